"""Maps of excess and significance, their files and peaks beside gammapy's."""

import warnings

import astropy.units as u
import jax
import numpy as np
import pytest
from cases import maps

import gammajax as gj

pytest.importorskip("gammapy")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from gammapy.estimators import ExcessMapEstimator, FluxMaps, TSMapEstimator
    from gammapy.estimators.utils import find_peaks
    from gammapy.maps import Map


pytestmark = pytest.mark.filterwarnings("ignore")

PAIRS = {"counts": "counts", "npred_excess": "npred_excess", "ts": "ts", "sqrt_ts": "sqrt_ts"}


@pytest.fixture(scope="module")
def run():
    models = gj.Models([maps.source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01), name="crab", amplitude=2e-12)])
    dataset = maps.small_map(n=20)
    safe = np.ones(dataset.data_shape, bool)
    safe[:, 3:6, 4:9] = False
    return gj.fake(jax.random.key(1), dataset.with_mask_safe(safe), models, name="run"), models


def beside(run, models, *optional):
    peer = gj.to_gammapy(run, name="run")
    peer.models = gj.to_gammapy(models)
    edges = np.asarray(run.energy_edges)[[0, 1, 3]] * u.TeV
    estimator = ExcessMapEstimator("0.12 deg", selection_optional=["errn-errp", "ul", *optional], energy_edges=edges)
    return estimator.run(peer), edges


def test_excess(run):
    dataset, _ = run
    none = gj.Models([gj.FoVBackgroundModel(name="bkg", datasets_names=["run"])])
    theirs, edges = beside(dataset, none)
    ours = gj.excess_map({"run": dataset}, none, 0.12, edges, limits=True)
    for name in PAIRS:
        # their maps are of 4 bytes
        np.testing.assert_allclose(ours[name], theirs[name].data, rtol=1e-5, atol=1e-4, err_msg=name)
    # their fluxes are excesses over one exposure
    exposure = theirs["npred_excess"].data / theirs.norm.data
    for name, other in (("errn", theirs.norm_errn), ("errp", theirs.norm_errp), ("ul", theirs.norm_ul)):
        known = np.isfinite(ours["counts"]) & np.isfinite(other.data) & (abs(ours["npred_excess"]) > 1)
        assert known.sum() > 400
        np.testing.assert_allclose(
            ours[f"npred_excess_{name}"][known], (other.data * exposure)[known], rtol=1e-4, err_msg=name
        )


def test_off_counts(run):
    dataset, models = run
    rng = np.random.default_rng(3)
    background = np.asarray(dataset.background)
    fields = {f: getattr(dataset, f) for f in ("energy_true_edges", "exposure", "psf", "edisp", "mask_safe", "counts")}
    off = gj.MapDatasetOnOff(
        dataset.geom,
        dataset.energy_edges,
        counts_off=rng.poisson(4 * background),
        acceptance=np.ones(background.shape),
        acceptance_off=np.full(background.shape, 4.0),
        source_grid="pixel",
        **fields,
    )
    theirs, edges = beside(off, models)
    ours = gj.excess_map({"run": off}, models, 0.12, edges)
    for name in ("counts", "npred_excess", "sqrt_ts"):
        np.testing.assert_allclose(ours[name], theirs[name].data, rtol=1e-4, atol=2e-3, err_msg=name)


def test_files_and_peaks(run, tmp_path):
    dataset, _ = run
    ours = gj.excess_map(dataset, gj.Models([]), 0.12)
    ours.write(tmp_path / "maps.fits")
    for name in ours.names:
        read = Map.read(tmp_path / "maps.fits", hdu=name)
        np.testing.assert_array_equal(read.data, ours[name])
        np.testing.assert_allclose(read.geom.axes["energy"].edges.to_value("TeV"), ours.energy_edges)
    theirs = find_peaks(Map.read(tmp_path / "maps.fits", hdu="sqrt_ts"), threshold=1.5, min_distance=0.1 * u.deg)
    found = ours.peaks("sqrt_ts", 1.5, 0.1)
    assert len(found) > 2
    for name, other in (("value", "value"), ("x", "x"), ("y", "y"), ("lon", "ra"), ("lat", "dec")):
        np.testing.assert_allclose(np.asarray(found[name]), np.asarray(theirs[other]), rtol=1e-9)


def test_ts_map(run, tmp_path):
    """Their kernel is that of the middle, and its exposure that of every pixel, too; their norms end at 1 %."""
    dataset, _ = run
    none = gj.Models([gj.FoVBackgroundModel(name="bkg", datasets_names=["run"])])
    spectrum = gj.PowerLawSpectralModel(index=2.3, amplitude=1e-12)
    point = gj.SkyModel(spectrum, spatial=gj.PointSpatialModel(), name="point")
    peer = gj.to_gammapy(dataset, name="run")
    peer.models = gj.to_gammapy(none)
    estimator = TSMapEstimator(
        gj.to_gammapy(gj.Models([point]))[0],
        kernel_width="0.7 deg",
        energy_edges=np.asarray(dataset.energy_edges)[[0, -1]] * u.TeV,
        sum_over_energy_groups=False,
        selection_optional=["ul"],
        rtol=1e-4,
    )
    theirs = estimator.run(peer)
    ours = gj.ts_map({"run": dataset.replace(source_grid="pixel")}, none, point, kernel_width=0.7)
    root, known = theirs["sqrt_ts"].data, np.isfinite(ours["sqrt_ts"])
    assert known.sum() > 300
    np.testing.assert_array_equal(np.isfinite(root), known)
    # some of their negative norms end at a bound short of the minimum, where the statistic is higher
    short = known & (theirs["ts"].data < ours["ts"] - 0.02) & (ours["norm"] < 0)
    assert short.sum() < 0.03 * known.sum()
    assert np.max(np.abs(root - ours["sqrt_ts"])[known & ~short]) < 0.01
    for name in ("norm", "norm_err", "norm_ul"):
        difference = np.abs(getattr(theirs, name).data - ours[name]) / ours["norm_err"]
        assert np.max(difference[known & ~short]) < 0.03, name
    ratio = (theirs.flux.quantity.to_value("cm-2 s-1") / ours["flux"])[known & (ours["sqrt_ts"] > 3)]
    np.testing.assert_allclose(ratio, 1, rtol=0.02)

    ours.write(tmp_path / "ts.fits")
    read = FluxMaps.read(tmp_path / "ts.fits")
    for name in ("norm", "norm_err", "norm_ul", "ts", "sqrt_ts"):
        np.testing.assert_array_equal(getattr(read, name).data, ours[name])
    np.testing.assert_allclose(read.flux.quantity.to_value("cm-2 s-1")[known], ours["flux"][known], rtol=1e-4)
    theirs.write(tmp_path / "theirs.fits")
    again = gj.SkyMaps.read(tmp_path / "theirs.fits")
    np.testing.assert_array_equal(again["norm"], theirs.norm.data)
    assert gj.SkyMaps.read(tmp_path / "ts.fits").reference_model.name == "point"
