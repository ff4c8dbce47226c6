"""Flux profiles beside gammapy's estimator, and files in both directions."""

import astropy.units as u
import jax
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from cases import maps

import gammajax as gj

estimators = pytest.importorskip("gammapy.estimators")
Fit = pytest.importorskip("gammapy.modeling").Fit
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def beside():
    crab = maps.source(gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.1), name="crab")
    norms = gj.PowerLawNormSpectralModel(norm=1.2, tilt=0.1)
    background = gj.FoVBackgroundModel(norms, name="a-bkg", datasets_names=["a"])
    run = gj.fake(jax.random.key(1), maps.small_map(n=20), gj.Models([crab, background]), name="a")
    start, stop = SkyCoord(83.35, 21.85, unit="deg"), SkyCoord(83.85, 22.2, unit="deg")
    regions, edges = gj.rectangles_along(start, stop, 4, 0.3 * u.deg), np.asarray(run.energy_edges)[[0, 1, 3]] * u.TeV
    theirs = gj.to_gammapy(run, name="a")
    theirs.models = gj.to_gammapy(gj.Models([background]))
    fit = Fit(optimize_opts={"strategy": 2, "tol": 1e-6})
    estimator = estimators.FluxProfileEstimator(
        regions=regions, energy_edges=edges, selection_optional=["errn-errp", "ul"], fit=fit
    )
    ours = gj.flux_profile({"a": run}, gj.Models([crab, background]), regions, edges, exclude="crab", norms=[0.5, 2])
    return ours, estimator.run(theirs)


def test_fluxes(beside):
    ours, theirs = beside
    np.testing.assert_allclose(ours.distance, theirs.geom.axes["projected-distance"].center.to_value("deg"), atol=1e-9)
    error = np.asarray(ours.norm_err)
    for name, tolerance in {
        "norm": 0.01,
        "norm_err": 0.01,
        "norm_errn": 1e-3,
        "norm_errp": 1e-3,
        "norm_ul": 1e-3,
    }.items():
        off = np.asarray(getattr(ours, name)) - getattr(theirs, name).data.reshape(ours.shape)
        assert np.all(np.abs(off) < tolerance * error), name
    np.testing.assert_allclose(ours.sqrt_ts, theirs.sqrt_ts.data.reshape(ours.shape), rtol=1e-4)
    flux = theirs.flux.quantity.reshape(ours.shape)
    assert np.all(np.abs(ours.flux - flux) < 0.01 * ours.flux_err)


@pytest.mark.parametrize("name", ["profile.fits", "profile.ecsv"])
def test_files(beside, name, tmp_path):
    ours, theirs = beside
    ours.write(tmp_path / name, sed_type="flux")
    read = estimators.FluxPoints.read(tmp_path / name, format="profile", sed_type="flux")
    np.testing.assert_allclose(read.geom.axes["projected-distance"].center.to_value("deg"), ours.distance, atol=1e-9)
    for column in ("flux", "flux_err", "flux_ul"):
        expected = u.Quantity(getattr(ours, column))
        found = getattr(read, column).quantity.reshape(ours.shape).to_value(expected.unit)
        np.testing.assert_allclose(found, expected.value, rtol=1e-7)
    theirs.write(tmp_path / f"theirs-{name}", format="profile", sed_type="flux")
    back = gj.FluxProfile.read(tmp_path / f"theirs-{name}")
    flux = theirs.flux.quantity.reshape(ours.shape)
    np.testing.assert_allclose(back.flux.to_value(flux.unit), flux.value, rtol=1e-7)
    np.testing.assert_allclose(back.distance, ours.distance, atol=1e-9)


def test_in_memory(beside):
    ours, theirs = beside
    there, here = gj.to_gammapy(ours), gj.from_gammapy(theirs)
    for found, expected in ((there, ours), (theirs, here), (there, gj.from_gammapy(there))):
        distance = found.geom.axes["projected-distance"].center.to_value("deg")
        np.testing.assert_allclose(distance, expected.distance, atol=1e-9)
        for name in ("norm", "norm_err", "norm_ul", "sqrt_ts"):
            np.testing.assert_allclose(
                getattr(found, name).data.reshape(expected.shape), getattr(expected, name), rtol=1e-7
            )
