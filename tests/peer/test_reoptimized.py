"""Norms with the other models fitted along, beside gammapy's estimator with ``reoptimize=True``."""

import numpy as np
import pytest
from astropy import units as u

import gammajax as gj

estimators = pytest.importorskip("gammapy.estimators")
peer = pytest.importorskip("gammapy.datasets")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_background_norm(spectrum_factory, power_law):
    dataset = spectrum_factory(1, on_off=False, background=100.0, n_reco=16)
    background = gj.FoVBackgroundModel(name="bkg", datasets_names=["run"])
    models = gj.Models([power_law()["source"], background])
    edges = np.asarray(dataset.energy_edges)[[0, 5, 10]] * u.TeV
    theirs = peer.Datasets([gj.to_gammapy(dataset, name="run")])
    theirs.models = gj.to_gammapy(models)
    estimator = estimators.FluxPointsEstimator(
        energy_edges=edges, source="source", selection_optional=["errn-errp"], reoptimize=True
    )
    table = estimator.run(theirs).to_table(sed_type="likelihood")
    ours = gj.flux_points({"run": dataset}, models, "source", edges, reoptimize=True)
    held = gj.flux_points({"run": dataset}, models, "source", edges)
    error = np.asarray(table["norm_err"], float)
    assert np.all(np.abs(np.asarray(ours.norm) - table["norm"]) < 0.05 * error)
    # the background takes part in the errors
    assert np.all(np.asarray(ours.norm_err) > 1.01 * np.asarray(held.norm_err))
    # its errors upwards and limits are 0 above the norm here: ours are compared with SciPy in tests/fit/estimators
    tolerances = {"norm_err": 3e-2, "norm_errn": 3e-2, "sqrt_ts": 1e-2}
    for name, tolerance in tolerances.items():
        np.testing.assert_allclose(getattr(ours, name), np.asarray(table[name], float), rtol=tolerance, err_msg=name)
