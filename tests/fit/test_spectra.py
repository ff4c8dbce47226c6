"""Spectra of fitted models: values, errors, pivot energies, against closed forms."""

import jax
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column

import gammajax as gj


@pytest.fixture(scope="module")
def result(spectrum_factory, power_law):
    return gj.fit({"a": spectrum_factory(seed=3)}, power_law())


def test_power_law_in_closed_form(result):
    """Value, slopes and so errors of dN/dE, flux, energy flux and index of N (E / 1 TeV)^-G."""
    spectrum = result.spectrum("source")
    index, norm = (float(result.parameters[n].value) for n in ("index", "amplitude"))
    low, high, n = 1.0, 8.0, index - 1

    def error(slope_index, slope_norm):
        slopes = np.stack(np.broadcast_arrays(slope_index, slope_norm), axis=-1)
        return np.sqrt(np.einsum("...i,ij,...j->...", slopes, result.covariance, slopes))

    energy = np.array([[0.5, 2.0, 30.0]])
    value = norm * energy**-index
    found = spectrum.evaluate_error(energy)
    np.testing.assert_allclose(found.value, value, rtol=1e-12)
    np.testing.assert_allclose(found.errp, error(-value * np.log(energy), value / norm), rtol=1e-9)
    np.testing.assert_array_equal(found.errn, found.errp)

    flux = norm * (low**-n - high**-n) / n
    slope = norm * (high**-n * np.log(high) - low**-n * np.log(low)) / n - flux / n
    found = spectrum.integral_error(low * u.TeV, 8000 * u.GeV)
    np.testing.assert_allclose(found.value.to_value("s-1 cm-2"), flux, rtol=1e-10)
    np.testing.assert_allclose(found.errp.to_value("s-1 cm-2"), error(slope, flux / norm), rtol=1e-8)
    assert spectrum.flux(low, high) == pytest.approx(flux, rel=1e-10)

    m = index - 2
    energy_flux = norm * (low**-m - high**-m) / m
    slope = norm * (high**-m * np.log(high) - low**-m * np.log(low)) / m - energy_flux / m
    found = spectrum.energy_flux_error(low, high)
    np.testing.assert_allclose(found.value, energy_flux, rtol=1e-10)
    np.testing.assert_allclose(found.errp, error(slope, energy_flux / norm), rtol=1e-8)
    assert spectrum.energy_flux(low, high) == found.value

    found = spectrum.spectral_index_error([1.0, 5.0])
    np.testing.assert_allclose(found.value, index, rtol=1e-12)
    np.testing.assert_allclose(found.errp, float(result.parameters["index"].error), rtol=1e-9)
    np.testing.assert_allclose(spectrum.spectral_index(3.0), index, rtol=1e-12)


def test_pivot_energy_of_a_power_law(result):
    """E_0 exp(cov(N, G) / (N var(G))), Abdo et al. 2009, ApJ 183, 46 (arXiv:0910.4881)."""
    (i, j) = (result.free_names.index(f"source.spectral.{n}") for n in ("index", "amplitude"))
    norm = float(result.parameters["amplitude"].value)
    wanted = np.exp(result.covariance[i, j] / (norm * result.covariance[i, i]))
    pivot = result.spectrum().pivot_energy
    assert pivot.to_value("TeV") == pytest.approx(wanted, rel=1e-6)
    # and there the flux is uncorrelated with the index
    error = result.spectrum().evaluate_error(pivot)
    assert error.errp / error.value < 0.999 * result.spectrum().evaluate_error(1.1 * pivot).errp / (
        result.spectrum().evaluate_error(1.1 * pivot).value
    )


def test_there_may_be_no_pivot_energy(result, spectrum_factory, power_law):
    fixed = gj.fit({"a": spectrum_factory(seed=3)}, power_law().freeze("index"))
    assert np.isnan(fixed.spectrum().pivot_energy)
    constant = gj.Models(gj.SkyModel(gj.ConstantSpectralModel(const=1e-13), name="flat"))
    with pytest.raises(gj.InputError, match="no reference energy"):
        _ = gj.fit({"a": spectrum_factory(seed=3)}, constant).spectrum().pivot_energy


def test_energies_with_a_unit_give_fluxes_with_one(result):
    """However the unit comes: Quantities, texts, columns, of one end or both."""
    spectrum = result.spectrum()
    low, high = 1 * u.TeV, 10 * u.TeV
    wanted = spectrum.flux(low, high)
    ends = [("1 TeV", "10 TeV"), (Column([1000.0], unit="GeV"), Column([10.0], unit="TeV")), (1, high), (low, 10)]
    for given in ends:
        found = spectrum.flux(*given)
        assert isinstance(found, u.Quantity)
        np.testing.assert_allclose(found.to_value("s-1 cm-2"), wanted.to_value("s-1 cm-2"), rtol=1e-12)
    assert isinstance(spectrum.evaluate_error("1 TeV").value, u.Quantity)
    assert not isinstance(spectrum.flux(1, 10), u.Quantity)


def test_input(result):
    spectrum = result.spectrum()
    with pytest.raises(gj.InputError, match="energy_min must be positive and below energy_max"):
        spectrum.integral_error(8 * u.TeV, 1 * u.TeV)
    with pytest.raises(gj.InputError, match="TeV"):
        spectrum.evaluate_error(3 * u.s)
    with pytest.raises(gj.InputError, match="There is no source model 'sauce'"):
        result.spectrum("sauce")


@pytest.mark.parametrize(
    "model",
    [
        gj.ExpCutoffPowerLawSpectralModel(index=1.3, lambda_=0.2 / u.TeV, alpha=0.7, reference=2 * u.TeV),
        gj.SuperExpCutoffPowerLaw4FGLDR3SpectralModel(index_1=1.6, index_2=0.6, expfactor=0.4, reference=3 * u.TeV),
        gj.SuperExpCutoffPowerLaw4FGLDR3SpectralModel(index_1=2.4, index_2=0.6, expfactor=0.4, reference=3 * u.TeV),
        gj.LogParabolaSpectralModel(alpha=2.3, beta=0.3, reference=500 * u.GeV),
        gj.LogParabola2SpectralModel(alpha=2.3, beta=0.3, reference=2 * u.TeV, escale=5 * u.TeV),
    ],
    ids=lambda m: m.tag[-1],
)
def test_peaks_are_where_the_index_is_two_and_nothing_is_higher(model):
    peak = model.e_peak
    assert peak.unit == u.Unit(model.reference.unit)
    np.testing.assert_allclose(model.spectral_index(peak), 2.0, atol=1e-9)
    around = peak.to_value("TeV") * np.geomspace(1e-2, 1e2, 401)
    assert np.max(around**2 * model(around)) <= peak.to_value("TeV") ** 2 * float(model(peak.to_value("TeV"))) * (
        1 + 1e-12
    )


@pytest.mark.parametrize(
    "model",
    [
        gj.ExpCutoffPowerLawSpectralModel(index=2.1),
        gj.SuperExpCutoffPowerLaw4FGLDR3SpectralModel(index_1=2.4, index_2=0.6, expfactor=0.1),
        gj.SuperExpCutoffPowerLaw4FGLDR3SpectralModel(expfactor=-0.1),
        gj.LogParabolaSpectralModel(alpha=2.3, beta=-0.3),
        gj.LogParabola2SpectralModel(beta=0.0),
    ],
    ids=lambda m: m.tag[-1],
)
def test_there_may_be_no_peak(model):
    assert np.isnan(model.e_peak)


def test_spectral_index_has_the_slope_of_the_logarithms():
    model = gj.LogParabolaSpectralModel(alpha=2.3, beta=0.3, reference=1 * u.TeV)
    energy = np.array([0.3, 1.0, 20.0])
    np.testing.assert_allclose(model.spectral_index(energy), 2.3 + 2 * 0.3 * np.log(energy), rtol=1e-12)
    np.testing.assert_allclose(model.spectral_index(energy * 1000 * u.GeV), model.spectral_index(energy), rtol=1e-12)
    slope = jax.grad(lambda m: m.spectral_index(2.0))(model)
    np.testing.assert_allclose(slope.beta.value, 2 * np.log(2.0), rtol=1e-12)


def test_decimal_logarithms():
    """beta of log10 is that of ln times ln 10: 10^-(beta log10(x)^2) = x^(-beta ln(x) / ln(10))."""
    model = gj.LogParabola2SpectralModel.from_log10(1e-12, 1.0, 2.0, 0.4, 3.0)
    assert float(model.beta.value) == pytest.approx(0.4 / np.log(10), rel=1e-15)
    energy = 7.0
    wanted = 1e-12 * energy ** (-2.0 - 0.4 * np.log10(energy / 3.0))
    assert float(model(energy)) == pytest.approx(wanted, rel=1e-13)
