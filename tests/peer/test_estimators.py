"""Flux points beside gammapy's estimator, on the same data and models."""

import jax
import numpy as np
import pytest
from astropy import units as u
from cases import maps

import gammajax as gj

estimators = pytest.importorskip("gammapy.estimators")
peer = pytest.importorskip("gammapy.datasets")
pytestmark = pytest.mark.filterwarnings("ignore")

EDGES = [1, 2, 5, 10] * u.TeV


def beside(datasets, models, edges, **options):
    """Both tables of kind "likelihood"."""
    theirs = peer.Datasets([gj.to_gammapy(dataset, name=name) for name, dataset in datasets.items()])
    theirs.models = gj.to_gammapy(models)
    estimator = estimators.FluxPointsEstimator(
        energy_edges=edges, source="crab", selection_optional=["errn-errp", "ul", "scan"], **options
    )
    table = estimator.run(theirs).to_table(sed_type="likelihood")
    return gj.flux_points(datasets, models, "crab", edges), table


def compare(ours, table, rise=1e-3):
    """Norms within 0.05 sigma (of Minuit's tolerance), errors within 1 %, limits within 0.1 %, the rest as computed.

    ``rise``: by how much the statistics may differ.
    """
    known = np.isfinite(np.asarray(table["norm"], float))
    assert known.sum() > 1
    np.testing.assert_array_equal(ours.success, known)
    found = ours.to_table("likelihood")
    error = np.asarray(table["norm_err"], float)

    def both(name):
        # energy fluxes are in TeV here, and in erg there
        factor = u.Unit(table[name].unit or "").to(found[name].unit or "")
        return np.asarray(found[name], float)[known], factor * np.asarray(table[name], float)[known]

    a, b = both("norm")
    assert np.all(np.abs(a - b) < 0.05 * error[known])
    tolerances = {"norm_err": 1e-2, "norm_errn": 1e-3, "norm_errp": 1e-3, "norm_ul": 1e-3, "sqrt_ts": 1e-4}
    tolerances |= {"ref_dnde": 1e-6, "ref_flux": 1e-4, "ref_eflux": 1e-4, "norm_scan": 1e-12, "e_ref": 1e-7}
    tolerances |= {"e_min": 1e-7, "e_max": 1e-7, "stat_null": 1e-7, "npred": 1e-2, "npred_excess": 1e-2, "counts": 0}
    for name, tolerance in tolerances.items():
        np.testing.assert_allclose(*both(name), rtol=tolerance, err_msg=name)
    np.testing.assert_allclose(*both("stat"), rtol=1e-6, atol=rise)
    # a norm of 5 is 50 sigma off, where differences of the predictions are as much larger
    np.testing.assert_allclose(*both("stat_scan"), rtol=1e-4, atol=20 * rise)


@pytest.mark.slow
def test_spectra(joint_crab, log_parabola):
    datasets, _, _ = joint_crab
    hess = gj.Datasets({name: d for name, d in datasets.items() if name in ("hess_obs23523", "hess_obs23526")})
    compare(*beside(hess, log_parabola(), EDGES))


def test_maps():
    dataset = maps.small_map(n=20, source_grid="pixel")
    source = maps.source(gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.1), name="crab")

    models = gj.Models([source, gj.FoVBackgroundModel(name="bkg", datasets_names=["run"])])
    run = gj.fake(jax.random.key(1), dataset, models, name="run")
    # gammapy takes pixel averages of sources from two points a side
    ours, table = beside(gj.Datasets({"run": run}), models, np.asarray(run.energy_edges)[[0, 1, 3]] * u.TeV)
    compare(ours, table, rise=0.2)


@pytest.mark.parametrize("name", ["points.fits", "points.ecsv"])
def test_gammapy_reads_them(name, tmp_path, spectrum_factory, power_law):
    points = gj.flux_points(spectrum_factory(1), power_law(), "source", [0.2, 1, 3, 10])
    points.write(tmp_path / name, sed_type="dnde")
    read = estimators.FluxPoints.read(tmp_path / name, sed_type="dnde", format="gadf-sed")
    for column in ("dnde", "dnde_err", "dnde_errn", "dnde_errp", "dnde_ul"):
        ours = points.quantity(column)
        np.testing.assert_allclose(getattr(read, column).quantity[:, 0, 0].to_value(ours.unit), ours.value, rtol=1e-9)
    np.testing.assert_allclose(read.sqrt_ts.data[:, 0, 0], points.sqrt_ts, rtol=1e-9)
