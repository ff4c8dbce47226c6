"""Integrals and energy fluxes of spectral models between any energies."""

import astropy.units as u
import jax
import mpmath as mp
import numpy as np
import pytest

from gammajax.datasets import InputError
from gammajax.datasets.models.spectral import (
    BrokenPowerLawSpectralModel,
    ExpCutoffPowerLaw3FGLSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    GaussianSpectralModel,
    LogParabolaSpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    ScaleSpectralModel,
    SuperExpCutoffPowerLaw3FGLSpectralModel,
    TemplateSpectralModel,
)
from gammajax.kernels import nodes_for

pytestmark = pytest.mark.slow

LOW = np.geomspace(0.03, 80, 30)
HIGH = LOW * np.geomspace(1.02, 30, 30)
NORM = PowerLawNormSpectralModel(norm=2.0)
CUT = ExpCutoffPowerLawSpectralModel(index=1.8, lambda_=5.0)


def cut_off(index, rate, power=1.0, factor=1.0):
    """int factor E^-index exp(-(rate E)^power) E^moment dE by incomplete gamma functions."""

    def exact(moment, low, high):
        index_, rate_, power_ = mp.mpf(index), mp.mpf(rate), mp.mpf(power)
        s = (moment + 1 - index_) / power_
        ends = [(rate_ * mp.mpf(float(e))) ** power_ for e in (low, high)]
        return factor * rate_ ** (index_ - moment - 1) / power_ * mp.gammainc(s, *ends)

    return exact


def total(*parts):
    return lambda *args: sum(part(*args) for part in parts)


# in units of the amplitude 1e-12
STEEP = {
    "ecpl": (CUT, cut_off(1.8, 5.0)),
    "ecpl-3fgl": (ExpCutoffPowerLaw3FGLSpectralModel(ecut=0.2), cut_off(1.5, 5.0, factor=mp.exp(5))),
    "secpl-3fgl": (
        SuperExpCutoffPowerLaw3FGLSpectralModel(ecut=2.0, index_2=1.5),
        cut_off(1.5, 0.5, 1.5, factor=mp.exp(mp.mpf(0.5) ** 1.5)),
    ),
    "norm times cutoff": (NORM * CUT, cut_off(1.8, 5.0, factor=2)),
    "scaled cutoff": (ScaleSpectralModel(CUT, 2.0), cut_off(1.8, 5.0, factor=2)),
    "sum of cutoffs": (
        CUT + ExpCutoffPowerLawSpectralModel(index=2.2, lambda_=0.5),
        total(cut_off(1.8, 5.0), cut_off(2.2, 0.5)),
    ),
}


@pytest.mark.parametrize("name", STEEP)
def test_energy_flux_far_beyond_a_cutoff(name):
    """In bins of a tenth of a decade (12 nodes), with falls by up to 130 e-foldings in a bin where there is a flux."""
    mp.mp.dps = 40
    model, exact = STEEP[name]
    low, high = LOW, LOW * 10**0.1
    flux = model.energy_flux(low * u.TeV, high * u.TeV)
    assert flux.unit.is_equivalent("erg cm-2 s-1")
    found = flux.to_value("TeV cm-2 s-1") * 1e12
    for i in range(30):
        wanted = exact(1, low[i], high[i])
        if wanted > 1e-260:
            np.testing.assert_allclose(found[i], float(wanted), rtol=1e-8, err_msg=f"{low[i]} to {high[i]} TeV")
        else:
            assert 0 <= found[i] < 1e-250


def test_energy_flux_sees_lines_breaks_and_tables():
    """Between 0.1 and 100 TeV in one bin: a line far narrower than the nodes lie apart, and slopes that jump."""
    line = GaussianSpectralModel(mean=1.234, sigma=0.004)
    np.testing.assert_allclose(line.energy_flux(0.1, 100.0), 1.234e-12, rtol=1e-10)
    broken = BrokenPowerLawSpectralModel(index1=1.0, index2=4.0, ebreak=1.37)
    wanted = 1e-12 * (1.37 * (1.37 - 0.1) + 1.37**4 * (1.37**-2 - 100.0**-2) / 2)
    np.testing.assert_allclose(broken.energy_flux(0.1, 100.0), wanted, rtol=1e-10)
    table = TemplateSpectralModel([0.5, 1.0, 10.0], [4e-12, 1e-12, 1e-15])
    wanted = 1e-12 * (np.log(1 / 0.5) + (1 - 1 / 10))
    np.testing.assert_allclose(table.energy_flux(0.5, 10.0), wanted, rtol=1e-10)
    np.testing.assert_allclose((table * NORM).energy_flux(0.5, 10.0), 2 * wanted, rtol=1e-10)


@pytest.mark.parametrize("model", [CUT, LogParabolaSpectralModel(reference=1.0), PowerLawSpectralModel() * NORM])
def test_many_bins_are_each_bin_in_one_program(model):
    compiled = jax.jit(lambda m, e, n: m.integrate_bins(e, n)[0], static_argnums=2)
    found = model.integral(LOW, HIGH)
    alone = [compiled(model, np.array(pair), nodes_for(np.array(pair))) for pair in zip(LOW, HIGH, strict=True)]
    np.testing.assert_allclose(found, alone, rtol=1e-9, atol=1e-280)


def test_thirty_bins_evaluate_the_model_once():
    calls = []

    class Counted(PowerLawSpectralModel):
        def evaluate(self, energy):
            calls.append(energy.shape)
            return super().evaluate(energy)

    Counted().energy_flux(LOW, HIGH)
    assert len(calls) == 1
    # other numbers are the same program
    Counted(index=3.0).energy_flux(2 * LOW, 2 * HIGH)
    assert len(calls) == 1


def test_energies_are_quantities_or_numbers_that_broadcast():
    model = PowerLawSpectralModel()
    found = model.integral([[1000.0], [2000.0]] * u.GeV, [4, 5, 6] * u.TeV)
    wanted = 1e-12 * (1 / np.array([[1.0], [2.0]]) - 1 / np.array([4.0, 5, 6]))
    np.testing.assert_allclose(found.to_value("cm-2 s-1"), wanted, rtol=1e-14)
    np.testing.assert_allclose(model.integral(np.array([[1.0], [2.0]]), np.array([4.0, 5, 6])), wanted, rtol=1e-14)
    np.testing.assert_allclose(model.integral(1, 4), 0.75e-12, rtol=1e-14)
    assert NORM.integral(1 * u.TeV, 2 * u.TeV).unit == u.TeV
    assert model.energy_flux([], []).shape == (0,)
    with pytest.raises(InputError, match="energy_min: found unit 's', expected one convertible to 'TeV'"):
        model.integral(1 * u.s, 2 * u.s)


def test_energy_flux_is_differentiable():
    """The slope in the amplitude is the flux over the amplitude; that in the index is minus the moment of ln E."""
    slopes = jax.grad(lambda m: 1e12 * m.energy_flux(1.0, 10.0))(PowerLawSpectralModel(index=2.0))
    np.testing.assert_allclose(slopes.amplitude.value, 1e12 * np.log(10), rtol=1e-12)
    np.testing.assert_allclose(slopes.index.value, -(np.log(10) ** 2) / 2, rtol=1e-12)
