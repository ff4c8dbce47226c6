"""Light curves beside gammapy: fluxes, files in both directions, and measures of variability."""

import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time
from cases import light_curves

import gammajax as gj

estimators = pytest.importorskip("gammapy.estimators")
peer = pytest.importorskip("gammapy.datasets")
measures = pytest.importorskip("gammapy.estimators.utils")
pytestmark = pytest.mark.filterwarnings("ignore")

EDGES = [0.5, 2.0, 20.0]
COLUMNS = ("flux", "flux_err", "flux_errn", "flux_errp", "flux_ul")


@pytest.fixture(scope="module")
def beside(spectrum_factory, power_law):
    """A light curve of two nights of runs by both; one run lies on an edge, one bin is empty."""
    runs, models = light_curves.runs(spectrum_factory), power_law()
    theirs = peer.Datasets([gj.to_gammapy(run, name=name) for name, run in runs.items()])
    theirs.models = gj.to_gammapy(models)
    edges = Time(light_curves.REFERENCE + np.array([0.0, 0.5, 1.06, 2.0, 3.0, 5.0]), format="mjd", scale="tt")
    energies = np.asarray(runs["run-0"].energy_edges)[[2, 6, 10]] * u.TeV
    intervals = [edges[i : i + 2] for i in range(5)]
    estimator = estimators.LightCurveEstimator(
        time_intervals=intervals, energy_edges=energies, source="source", selection_optional=["errn-errp", "ul", "scan"]
    )
    return gj.light_curve(runs, models, "source", edges, energies), estimator.run(theirs)


def test_fluxes(beside):
    ours, theirs = beside
    assert ours.shape == (3, 2) == theirs.flux.data.shape[:2]
    np.testing.assert_allclose(ours.time_min, theirs.geom.axes["time"].time_min.tt.mjd, rtol=0, atol=1e-9)
    error = theirs.flux_err.quantity[..., 0, 0]
    assert np.all(np.abs(ours.flux - theirs.flux.quantity[..., 0, 0]) < 0.01 * error)
    tolerances = {
        "norm_err": 1e-2,
        "norm_errn": 2e-3,
        "norm_errp": 2e-3,
        "norm_ul": 2e-3,
        "sqrt_ts": 1e-4,
        "stat": 1e-4,
    }
    for name, tolerance in tolerances.items():
        expected = getattr(theirs, name).data[..., 0, 0]
        np.testing.assert_allclose(np.asarray(getattr(ours, name)), expected, rtol=tolerance, err_msg=name)
    sums = np.nansum(theirs.counts.data[..., 0, 0], axis=-1)
    np.testing.assert_array_equal(ours.points.meta["columns"]["counts"].reshape(3, 2), sums)


@pytest.mark.parametrize("name", ["curve.fits", "curve.ecsv"])
@pytest.mark.parametrize("kind", ["likelihood", "flux"])
def test_gammapy_reads_ours(beside, name, kind, tmp_path):
    ours, _ = beside
    ours.write(tmp_path / name, sed_type=kind)
    read = estimators.FluxPoints.read(tmp_path / name, format="lightcurve", sed_type=kind)
    axis = read.geom.axes["time"]
    np.testing.assert_allclose(axis.time_min.tt.mjd, ours.time_min, rtol=0, atol=1e-9)
    np.testing.assert_allclose(axis.time_max.tt.mjd, ours.time_max, rtol=0, atol=1e-9)
    for column in COLUMNS if kind == "flux" else [c.replace("flux", "norm") for c in COLUMNS]:
        expected = u.Quantity(getattr(ours, column))
        found = getattr(read, column).quantity[..., 0, 0]
        np.testing.assert_allclose(found.to_value(expected.unit), expected.value, rtol=1e-7, err_msg=column)
    np.testing.assert_array_equal(read.is_ul.data[..., 0, 0], ours.is_ul)
    if kind == "likelihood":
        np.testing.assert_allclose(read.stat_scan.data.reshape(ours.points.stat_scan.shape), ours.points.stat_scan)


@pytest.mark.parametrize("name", ["curve.fits", "curve.ecsv"])
@pytest.mark.parametrize("kind", ["likelihood", "flux", "e2dnde"])
def test_we_read_theirs(beside, name, kind, tmp_path):
    _, theirs = beside
    theirs.write(tmp_path / name, format="lightcurve", sed_type=kind)
    read = gj.LightCurve.read(tmp_path / name, sed_type=kind)
    np.testing.assert_allclose(read.time_max, theirs.geom.axes["time"].time_max.tt.mjd, rtol=0, atol=1e-9)
    for column in COLUMNS:
        column = column if kind != "e2dnde" else column.replace("flux", "e2dnde")
        expected = getattr(theirs, column).quantity[..., 0, 0]
        np.testing.assert_allclose(getattr(read, column).to_value(expected.unit), expected.value, rtol=1e-7)
    np.testing.assert_array_equal(read.is_ul, theirs.is_ul.data[..., 0, 0])
    np.testing.assert_allclose(np.asarray(read.sqrt_ts), theirs.sqrt_ts.data[..., 0, 0])


def test_measures_of_variability(tmp_path):
    """The fluxes of a file read by both. The point-to-point variance lacks a factor 1/2 there: see the differences."""
    ours = light_curves.curve()
    ours.write(tmp_path / "curve.fits", sed_type="flux")
    theirs = estimators.FluxPoints.read(tmp_path / "curve.fits", format="lightcurve")
    expected, found = measures.compute_lightcurve_fvar(theirs), ours.fvar()
    np.testing.assert_allclose(found.value, expected["fvar"].ravel(), rtol=1e-9)
    np.testing.assert_allclose(found.error, expected["fvar_err"].ravel(), rtol=1e-9)

    noise = np.mean(ours.flux_err.value**2, axis=0) / np.mean(ours.flux.value, axis=0) ** 2
    whole = np.asarray(measures.compute_lightcurve_fpp(theirs)["fpp"]).ravel() ** 2 + noise
    np.testing.assert_allclose(ours.fpp().excess, whole / 2 - noise, rtol=1e-9)

    expected = measures.compute_lightcurve_doublingtime(theirs)
    for found, name in ((ours.doubling_time(), "doubling"), (ours.halving_time(), "halving")):
        np.testing.assert_allclose(found.time, u.Quantity(expected[f"{name}time"]).to_value("d").ravel(), rtol=1e-7)
        np.testing.assert_allclose(found.error, u.Quantity(expected[f"{name}_err"]).to_value("d").ravel(), rtol=1e-7)
        times = Time(expected[f"{name}_coord"]).tt.mjd.ravel()
        np.testing.assert_allclose(ours.time.mjd[found.place], times, rtol=0, atol=1e-8)


def test_in_memory(beside):
    ours, theirs = beside
    there = gj.to_gammapy(ours)
    np.testing.assert_allclose(there.geom.axes["time"].time_max.tt.mjd, ours.time_max, rtol=0, atol=1e-9)
    np.testing.assert_allclose(there.flux.quantity[..., 0, 0].to_value(ours.flux.unit), ours.flux.value, rtol=1e-7)
    here = gj.from_gammapy(theirs)
    np.testing.assert_allclose(here.time_min, theirs.geom.axes["time"].time_min.tt.mjd, rtol=0, atol=1e-9)
    for name in ("norm", "norm_err", "norm_ul", "sqrt_ts"):
        np.testing.assert_allclose(getattr(here, name), getattr(theirs, name).data[..., 0, 0], rtol=1e-7)
    np.testing.assert_allclose(here.flux.value, theirs.flux.quantity[..., 0, 0].to_value("cm-2 s-1"), rtol=1e-7)
    back = gj.from_gammapy(there)
    np.testing.assert_allclose(back.norm, ours.norm, rtol=1e-12)
    np.testing.assert_allclose(back.points.stat_scan, ours.points.stat_scan)
