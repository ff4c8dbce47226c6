"""Sensitivities beside gammapy's estimators."""

import numpy as np
import pytest
from astropy import units as u

import gammajax as gj

estimators = pytest.importorskip("gammapy.estimators")
peer = pytest.importorskip("gammapy.datasets")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_one_number_a_band(spectrum_factory, power_law):
    """All three criteria."""
    dataset = spectrum_factory(1)
    off = np.asarray(dataset.counts_off) * np.geomspace(3e3, 0.1, 12)
    dataset = dataset.replace(counts_off=np.floor(off))
    edges = np.asarray(dataset.energy_edges)[::2]
    merged = dataset.resample_energy_axis(edges)
    models = gj.to_gammapy(power_law())
    for spectrum, theirs in ((None, None), (power_law()["source"], models[0].spectral_model)):
        found = gj.sensitivity(dataset, edges * u.TeV, spectrum)
        table = estimators.SensitivityEstimator(spectral_model=theirs).run(gj.to_gammapy(merged))
        assert set(table["criterion"]) == {"significance", "gamma", "bkg"}
        assert list(found["criterion"]) == list(table["criterion"])
        for name in ("excess", "background", "e2dnde", "e_min", "e_ref"):
            ours = u.Quantity(found[name])
            np.testing.assert_allclose(ours.value, u.Quantity(table[name]).to_value(ours.unit), rtol=1e-3, err_msg=name)


def test_sensitivity_of_flux_points(spectrum_factory, power_law):
    """Of data without noise: within 1 %, to which gammapy looks for the root. Its measured backgrounds are those of
    every norm that it tries, with the counts as they are: the data are built so that this is no difference."""
    for on_off in (False, True):
        dataset = spectrum_factory(1, on_off=on_off, noise=not on_off)
        edges = np.asarray(dataset.energy_edges)[[0, 4, 8]] * u.TeV
        theirs = peer.Datasets([gj.to_gammapy(dataset, name="run")])
        theirs.models = gj.to_gammapy(power_law())
        estimator = estimators.FluxPointsEstimator(
            energy_edges=edges, source="source", selection_optional=["sensitivity"], n_sigma_sensitivity=5
        )
        expected = estimator.run(theirs).norm_sensitivity.data.ravel()
        found = gj.flux_points(dataset, power_law(), "source", edges, n_sigma_sensitivity=5).norm_sensitivity
        np.testing.assert_allclose(found, expected, rtol=0.01 if not on_off else 0.2)
        print(on_off, found / expected)
