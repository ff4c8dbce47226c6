"""Sizes of effects that docs/differences states of gammapy, measured on gammapy."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table
from scipy.special import erf

maps = pytest.importorskip("gammapy.maps", reason="needs gammapy")
irf = pytest.importorskip("gammapy.irf")
estimators = pytest.importorskip("gammapy.estimators")
peer = pytest.importorskip("gammapy.modeling.models")


def test_planes_of_a_kernel_without_a_psf_are_empty():
    true = maps.MapAxis.from_energy_bounds("1 TeV", "100 TeV", nbin=5, name="energy_true")
    fewer = maps.MapAxis.from_edges(true.edges[:-1], name="energy_true", interp="log")
    psf = irf.PSFMap.from_gauss(fewer, sigma=np.full(4, 0.1) * u.deg)
    kernel = psf.get_psf_kernel(maps.WcsGeom.create(skydir=(0, 0), binsz=0.05, width=2, axes=[true]))
    np.testing.assert_allclose(kernel.data.sum(axis=(1, 2)), [1, 1, 1, 1, 0], rtol=1e-6)


@pytest.mark.parametrize(("sigma", "size"), [(0.103, 0.0048), (0.05, 0.0086)])
def test_averages_over_pixels(sigma, size):
    """Against the integral over each pixel."""
    geom = maps.WcsGeom.create(skydir=(0, 0), binsz=0.05, width=3.05, proj="TAN")
    found = peer.GaussianSpatialModel(lon_0=0 * u.deg, lat_0=0 * u.deg, sigma=sigma * u.deg).integrate_geom(geom).data
    edges = (np.arange(len(found) + 1) - len(found) / 2) * 0.05
    line = np.diff(erf(edges / np.sqrt(2) / sigma)) / 2
    assert found.max() / line.max() ** 2 - 1 == pytest.approx(size, abs=1e-4)


def test_times_of_light_curves():
    day = 55197.0
    columns = {"time_min": [day] * u.d, "time_max": [day + 1] * u.d}
    columns |= {name: [[e]] * u.TeV for name, e in (("e_ref", 1.0), ("e_min", 0.9), ("e_max", 1.1))}
    columns |= {name: [[v]] * u.Unit("TeV-1 s-1 cm-2") for name, v in (("dnde", 1e-12), ("dnde_err", 1e-13))}
    meta = {"SED_TYPE": "dnde", "TIMESYS": "utc", "TIMEUNIT": "d", "MJDREFI": 0, "MJDREFF": 0}
    with warnings.catch_warnings():
        # MJD 0 is long before UTC
        warnings.simplefilter("ignore")
        points = estimators.FluxPoints.from_table(Table(columns, meta=meta), sed_type="dnde", format="lightcurve")
        start = points.geom.axes["time"].time_min.utc.mjd
    np.testing.assert_allclose((start - day) * 86400, -34, atol=1e-3)
