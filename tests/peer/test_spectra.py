"""Errors of fluxes, pivot and peak energies against gammapy, which draws samples from the covariance."""

import warnings

import numpy as np
import pytest
from astropy import units as u

import gammajax as gj

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peer = pytest.importorskip("gammapy.modeling.models")

pytestmark = pytest.mark.filterwarnings("ignore")

DRAWS = 100_000

SAMPLING = 0.02
"""Errors of gammapy are quantiles of n draws, 1.9 / sqrt(n) of an error away from a normal distribution's: 0.6 %."""


@pytest.fixture(scope="module", params=["pl", "lp", "ecpl"])
def pair(request, spectrum_factory):
    """A fitted spectrum, and gammapy's model with the same values and covariance."""
    spectral = {
        "pl": gj.PowerLawSpectralModel(index=2.5, amplitude=3e-11),
        "lp": gj.LogParabolaSpectralModel(alpha=2.5, beta=0.1, amplitude=3e-11, reference=1.0),
        "ecpl": gj.ExpCutoffPowerLawSpectralModel(index=2.3, amplitude=3e-11, lambda_=0.05),
    }[request.param]
    # much exposure: errors are so small that the models are linear within them
    result = gj.fit(
        {"a": spectrum_factory(seed=5, exposure=3e15, background=100.0)}, gj.Models(gj.SkyModel(spectral, name="s"))
    )
    assert result.success
    theirs = gj.to_gammapy(result.models)[0].spectral_model
    place = {name.rsplit(".", 1)[-1]: i for i, name in enumerate(result.free_names)}
    names = theirs.parameters.names
    covariance = np.zeros((len(names), len(names)))
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            if first in place and second in place:
                covariance[i, j] = result.covariance[place[first], place[second]]
    theirs.covariance = covariance
    # gammapy's own draws lose the correlations of amplitudes, whose variances of 1e-26 its decomposition takes for 0
    error = np.sqrt(np.diag(covariance))
    safe = np.where(error > 0, error, 1.0)
    root = np.linalg.cholesky(covariance / np.outer(safe, safe) + 1e-14 * np.eye(len(names)))
    draws = np.random.default_rng(1).normal(size=(DRAWS, len(names))) @ root.T * error + theirs.parameters.value
    samples = [draws[:, i] * p.unit for i, p in enumerate(theirs.parameters)]
    return result.spectrum("s"), theirs, {"samples": samples}


def same(ours, theirs, unit):
    for found, wanted, tolerance in zip(ours, theirs, (2e-4, SAMPLING, SAMPLING), strict=True):
        np.testing.assert_allclose(u.Quantity(found).to_value(unit), u.Quantity(wanted).to_value(unit), rtol=tolerance)


def test_errors(pair):
    ours, theirs, draws = pair
    energy = [0.7, 2.0, 9.0] * u.TeV
    same(ours.evaluate_error(energy), theirs.evaluate_error(energy, **draws), "TeV-1 s-1 cm-2")
    low, high = 1 * u.TeV, 10 * u.TeV
    same(ours.integral_error(low, high), theirs.integral_error(low, high, **draws), "s-1 cm-2")
    same(ours.energy_flux_error(low, high), theirs.energy_flux_error(low, high, **draws), "TeV s-1 cm-2")
    np.testing.assert_allclose(ours.spectral_index(energy), theirs.spectral_index(energy), rtol=2e-5)
    of_index = theirs.spectral_index_error(energy, **draws)
    np.testing.assert_allclose(ours.spectral_index_error(energy).errp, of_index[2], rtol=SAMPLING)


def test_pivot_energy(pair):
    ours, theirs, _ = pair
    # of a power law gammapy has the formula, of others the minimum of a sampled curve
    tolerance = 1e-6 if theirs.tag[1] == "pl" else 0.05
    assert ours.pivot_energy.to_value("TeV") == pytest.approx(theirs.pivot_energy.to_value("TeV"), rel=tolerance)


def test_peaks():
    for name, given in {
        "ExpCutoffPowerLawSpectralModel": {"index": 1.3, "lambda_": 0.2, "alpha": 0.7},
        "SuperExpCutoffPowerLaw4FGLDR3SpectralModel": {
            "index_1": 1.6,
            "index_2": 0.6,
            "expfactor": 0.4,
            "reference": 3,
        },
        "LogParabolaSpectralModel": {"alpha": 2.3, "beta": 0.3, "reference": 2},
    }.items():
        ours = getattr(gj, name)(**given)
        theirs = gj.to_gammapy(gj.Models(gj.SkyModel(ours, name="s")))[0].spectral_model
        assert ours.e_peak.to_value("TeV") == pytest.approx(theirs.e_peak.to_value("TeV"), rel=1e-12)


def test_log10():
    given = (1e-12, 1.0, 2.0, 0.4, 3.0)
    units = ("TeV-1 s-1 cm-2", "TeV", "", "", "TeV")
    theirs = peer.LogParabola2SpectralModel.from_log10(
        *(x * u.Unit(unit) for x, unit in zip(given, units, strict=True))
    )
    ours = gj.LogParabola2SpectralModel.from_log10(*given)
    energy = [0.3, 7.0] * u.TeV
    np.testing.assert_allclose(ours(energy).to_value(units[0]), theirs(energy).to_value(units[0]), rtol=1e-12)
