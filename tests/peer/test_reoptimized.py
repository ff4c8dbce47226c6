"""Norms with the other models fitted along, beside gammapy's estimator with ``reoptimize=True``."""

import jax
import numpy as np
import pytest
from astropy import units as u
from cases import maps

import gammajax as gj

estimators = pytest.importorskip("gammapy.estimators")
peer = pytest.importorskip("gammapy.datasets")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_maps_with_a_background(spectrum_factory):
    dataset = maps.small_map(n=20, source_grid="pixel")
    source = maps.source(gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.1), name="crab")
    models = gj.Models([source, gj.FoVBackgroundModel(name="bkg", datasets_names=["run"])])
    run = gj.fake(jax.random.key(1), dataset, models, name="run")
    edges = np.asarray(run.energy_edges)[[0, 1, 3]] * u.TeV
    theirs = peer.Datasets([gj.to_gammapy(run, name="run")])
    theirs.models = gj.to_gammapy(models)
    estimator = estimators.FluxPointsEstimator(
        energy_edges=edges, source="crab", selection_optional=["errn-errp", "ul"], reoptimize=True
    )
    table = estimator.run(theirs).to_table(sed_type="likelihood")
    ours = gj.flux_points({"run": run}, models, "crab", edges, reoptimize=True)
    held = gj.flux_points({"run": run}, models, "crab", edges)
    error = np.asarray(table["norm_err"], float)
    assert np.all(np.abs(np.asarray(ours.norm) - table["norm"]) < 0.05 * error)
    # the background takes part in the errors
    assert np.all(np.asarray(ours.norm_err) > 1.01 * np.asarray(held.norm_err))
    for name, tolerance in {
        "norm_err": 3e-2,
        "norm_errn": 3e-2,
        "norm_errp": 3e-2,
        "norm_ul": 2e-2,
        "sqrt_ts": 5e-3,
    }.items():
        np.testing.assert_allclose(getattr(ours, name), np.asarray(table[name], float), rtol=tolerance, err_msg=name)
