"""Temporal models: parameters, units and tags over the formulas of ``kernels.temporal``."""

import jax.numpy as jnp

from ....kernels import temporal as k
from ...gti import GTI
from ...units import Given
from ..parameter import ParameterField, internal, parameter
from ..spectral.base import Energies, Values
from .base import Days, TemporalModel, t_ref


class ConstantTemporalModel(TemporalModel):
    """1 at all times."""

    tag = ("ConstantTemporalModel", "const")

    def value(self, days: Days, energy: Energies | None = None) -> Values:
        return jnp.ones_like(days)

    def value_mean(self, low: Days, high: Days, energy: Energies | None = None) -> Values:
        return jnp.ones_like(low)

    def mean(self, gti: GTI, energy: Given | None = None) -> Values:
        """1, also over an empty list of intervals."""
        return jnp.ones(())


class LinearTemporalModel(TemporalModel):
    """alpha + beta (t - t_ref)."""

    alpha: ParameterField = parameter(1.0)
    beta: ParameterField = parameter(0.0, "d-1")
    t_ref: ParameterField = t_ref()
    tag = ("LinearTemporalModel", "linear")

    def value(self, days: Days, energy: Energies | None = None) -> Values:
        return k.linear(days, *internal(self.alpha, self.beta))

    def value_mean(self, low: Days, high: Days, energy: Energies | None = None) -> Values:
        return k.linear((low + high) / 2, *internal(self.alpha, self.beta))


class ExpDecayTemporalModel(TemporalModel):
    """exp(-(t - t_ref) / t0), also before t_ref."""

    t0: ParameterField = parameter(1.0, "d", role="cutoff")
    t_ref: ParameterField = t_ref()
    tag = ("ExpDecayTemporalModel", "exp-decay")

    def value(self, days: Days, energy: Energies | None = None) -> Values:
        return k.exp_decay(days, self.t0.internal)

    def value_mean(self, low: Days, high: Days, energy: Energies | None = None) -> Values:
        return k.exp_decay_mean(low, high, self.t0.internal)


class GaussianTemporalModel(TemporalModel):
    """exp(-(t - t_ref)^2 / (2 sigma^2))."""

    t_ref: ParameterField = t_ref(frozen=False)
    sigma: ParameterField = parameter(1.0, "d", role="width")
    tag = ("GaussianTemporalModel", "gauss")

    def value(self, days: Days, energy: Energies | None = None) -> Values:
        return k.gaussian(days, self.sigma.internal)

    def value_mean(self, low: Days, high: Days, energy: Energies | None = None) -> Values:
        return k.gaussian_mean(low, high, self.sigma.internal)


class GeneralizedGaussianTemporalModel(TemporalModel):
    """exp(-|(t - t_ref) / tau|^(1 / eta) / 2) with tau = t_rise before t_ref and t_decay after it."""

    t_ref: ParameterField = t_ref(frozen=False)
    t_rise: ParameterField = parameter(1.0, "d")
    t_decay: ParameterField = parameter(1.0, "d")
    eta: ParameterField = parameter(0.5)
    tag = ("GeneralizedGaussianTemporalModel", "gengauss")

    def value(self, days: Days, energy: Energies | None = None) -> Values:
        return k.generalized_gaussian(days, *internal(self.t_rise, self.t_decay, self.eta))

    def value_mean(self, low: Days, high: Days, energy: Energies | None = None) -> Values:
        return k.generalized_gaussian_mean(low, high, *internal(self.t_rise, self.t_decay, self.eta))


class PowerLawTemporalModel(TemporalModel):
    """((t - t_ref) / t0)^alpha after t_ref, 0 before it (where gammapy has NaN, or negative numbers)."""

    alpha: ParameterField = parameter(1.0)
    t_ref: ParameterField = t_ref()
    t0: ParameterField = parameter(1.0, "d", frozen=True)
    tag = ("PowerLawTemporalModel", "powerlaw")

    def value(self, days: Days, energy: Energies | None = None) -> Values:
        return k.power_law(days, *internal(self.alpha, self.t0))

    def value_mean(self, low: Days, high: Days, energy: Energies | None = None) -> Values:
        return k.power_law_mean(low, high, *internal(self.alpha, self.t0))


class SineTemporalModel(TemporalModel):
    """1 + amp sin(omega (t - t_ref))."""

    amp: ParameterField = parameter(1.0)
    omega: ParameterField = parameter(1.0, "rad d-1")
    t_ref: ParameterField = t_ref(frozen=False)
    tag = ("SineTemporalModel", "sinus")

    def value(self, days: Days, energy: Energies | None = None) -> Values:
        return k.sine(days, *internal(self.amp, self.omega))

    def value_mean(self, low: Days, high: Days, energy: Energies | None = None) -> Values:
        return k.sine_mean(low, high, *internal(self.amp, self.omega))
