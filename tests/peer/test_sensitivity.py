"""Sensitivities beside gammapy's estimators."""

import numpy as np
import pytest
from astropy import units as u
from scipy.optimize import brentq

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


def beside(dataset, models, edges):
    """`norm_sensitivity` of both."""
    theirs = peer.Datasets([gj.to_gammapy(dataset, name="run")])
    theirs.models = gj.to_gammapy(models)
    estimator = estimators.FluxPointsEstimator(
        energy_edges=edges, source="source", selection_optional=["sensitivity"], n_sigma_sensitivity=5
    )
    expected = estimator.run(theirs).norm_sensitivity.data.ravel()
    return gj.flux_points(dataset, models, "source", edges, n_sigma_sensitivity=5).norm_sensitivity, expected


def test_sensitivity_of_flux_points(spectrum_factory, power_law):
    """Of data without noise: within 1 %, to which gammapy looks for the root."""
    dataset = spectrum_factory(1, on_off=False)
    found, expected = beside(dataset, power_law(), np.asarray(dataset.energy_edges)[[0, 4, 8]] * u.TeV)
    np.testing.assert_allclose(found, expected, rtol=0.01)


def test_measured_backgrounds(spectrum_factory, power_law):
    """Gammapy takes the background that the counts as they are have for the norm that it tries, and not that of the
    best norm: see the differences. What it gives is the root of that."""
    dataset = spectrum_factory(1)
    edges = np.asarray(dataset.energy_edges)[[0, 4, 8]]
    found, expected = beside(dataset, power_law(), edges * u.TeV)
    signal, none = np.asarray(gj.npred_signal(dataset, power_law())), power_law(amplitude=0.0)
    for k in range(2):
        band = np.arange(12) // 4 == k

        def missing(norm, band=band):
            models = power_law(amplitude=3e-11 * norm)
            counts = np.asarray(gj.npred_background(dataset, models)) + norm * signal
            asimov = dataset.replace(counts=counts, mask_fit=band)
            return float(gj.stat_sum(asimov, none) - gj.stat_sum(asimov, models)) - 25

        assert expected[k] == pytest.approx(brentq(missing, 1e-3, 10, rtol=1e-6), rel=0.01)
    assert np.all(found > expected)
