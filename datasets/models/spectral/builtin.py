"""Spectral models: parameters, units and tags over the formulas of ``kernels.spectral``."""

import math
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u

from ....kernels import spectral as k
from ....kernels import spectral_integrals as integrals
from ....kernels.quadrature import STEEP_ORDER, integrate_bins
from ..parameter import GivenParameter, Parameter, ParameterField, internal, parameter
from .base import DNDE, Edges, Energies, SpectralModel, Values
from .norms import from_log10


def _peak(energy: float, reference: Parameter) -> u.Quantity:
    """An energy (TeV) in the unit of the reference energy."""
    return u.Quantity(energy, "TeV").to(reference.unit)


class PowerLawSpectralModel(SpectralModel):
    """amplitude (E / reference)^-index."""

    index: ParameterField = parameter(2.0, role="index")
    amplitude: ParameterField = parameter(1e-12, DNDE, role="amplitude")
    reference: ParameterField = parameter(1.0, "TeV", frozen=True, role="energy")
    tag = ("PowerLawSpectralModel", "pl")

    def evaluate(self, energy: Energies) -> Values:
        return k.power_law(energy, *internal(self.index, self.amplitude, self.reference))

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        return integrals.power_law(edges, *internal(self.index, self.amplitude, self.reference))


class PowerLaw2SpectralModel(SpectralModel):
    """Power law of integral flux ``amplitude`` between ``emin`` and ``emax``."""

    amplitude: ParameterField = parameter(1e-12, "s-1 cm-2", role="amplitude")
    index: ParameterField = parameter(2.0, role="index")
    emin: ParameterField = parameter(0.1, "TeV", frozen=True, role="energy")
    emax: ParameterField = parameter(100.0, "TeV", frozen=True, role="energy")
    tag = ("PowerLaw2SpectralModel", "pl-2")

    def evaluate(self, energy: Energies) -> Values:
        return k.power_law_2(energy, *internal(self.amplitude, self.index, self.emin, self.emax))

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        return integrals.power_law_2(edges, *internal(self.amplitude, self.index, self.emin, self.emax))


class BrokenPowerLawSpectralModel(SpectralModel):
    """amplitude (E / ebreak)^-index1 below ``ebreak``, amplitude (E / ebreak)^-index2 above."""

    index1: ParameterField = parameter(2.0, role="index")
    index2: ParameterField = parameter(2.0, role="index")
    amplitude: ParameterField = parameter(1e-12, DNDE, role="amplitude")
    ebreak: ParameterField = parameter(1.0, "TeV", role="energy")
    tag = ("BrokenPowerLawSpectralModel", "bpl")

    @property
    def kinks(self) -> jax.Array:
        """Energies (TeV) at which the slope jumps."""
        return jnp.asarray(self.ebreak.internal)[None]

    def evaluate(self, energy: Energies) -> Values:
        return k.broken_power_law(energy, *internal(self.index1, self.index2, self.amplitude, self.ebreak))

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        return integrals.broken_power_law(edges, *internal(self.index1, self.index2, self.amplitude, self.ebreak))


class SmoothBrokenPowerLawSpectralModel(SpectralModel):
    """Power law of ``index1`` that bends to ``index2`` at ``ebreak``; a smaller ``beta`` makes a sharper bend.

    amplitude x^-index1 (1 + (E / ebreak)^((index2 - index1) / b))^-b with x = E / reference and
    b = beta sign(index2 - index1).
    """

    index1: ParameterField = parameter(2.0, role="index")
    index2: ParameterField = parameter(2.0, role="index")
    amplitude: ParameterField = parameter(1e-12, DNDE, role="amplitude")
    ebreak: ParameterField = parameter(1.0, "TeV", role="energy")
    reference: ParameterField = parameter(1.0, "TeV", frozen=True, role="energy")
    beta: ParameterField = parameter(1.0, frozen=True)
    tag = ("SmoothBrokenPowerLawSpectralModel", "sbpl")

    def evaluate(self, energy: Energies) -> Values:
        return k.smooth_broken_power_law(
            energy, *internal(self.index1, self.index2, self.amplitude, self.ebreak, self.reference, self.beta)
        )

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        return integrate_bins(self.evaluate, edges, max(order, STEEP_ORDER))


class ExpCutoffPowerLawSpectralModel(SpectralModel):
    """amplitude x^-index exp(-(lambda_ E)^alpha), x = E / reference."""

    index: ParameterField = parameter(1.5, role="index")
    amplitude: ParameterField = parameter(1e-12, DNDE, role="amplitude")
    reference: ParameterField = parameter(1.0, "TeV", frozen=True, role="energy")
    lambda_: ParameterField = parameter(0.1, "TeV-1", role="rate")
    alpha: ParameterField = parameter(1.0, frozen=True, role="exponent")
    tag = ("ExpCutoffPowerLawSpectralModel", "ecpl")
    steep = True

    @property
    def e_peak(self) -> u.Quantity:
        """The energy at which E^2 times the value is largest; NaN where it rises or falls everywhere."""
        index, rate, alpha = (float(x) for x in internal(self.index, self.lambda_, self.alpha))
        power = (2 - index) / alpha
        return _peak(power ** (1 / alpha) / rate if power > 0 and rate > 0 and alpha > 0 else np.nan, self.reference)

    def evaluate(self, energy: Energies) -> Values:
        return k.exp_cutoff_power_law(
            energy, *internal(self.index, self.amplitude, self.reference, self.lambda_, self.alpha)
        )


class ExpCutoffPowerLaw3FGLSpectralModel(SpectralModel):
    """amplitude x^-index exp((reference - E) / ecut), x = E / reference."""

    index: ParameterField = parameter(1.5, role="index")
    amplitude: ParameterField = parameter(1e-12, DNDE, role="amplitude")
    reference: ParameterField = parameter(1.0, "TeV", frozen=True, role="energy")
    ecut: ParameterField = parameter(10.0, "TeV", role="cutoff")
    tag = ("ExpCutoffPowerLaw3FGLSpectralModel", "ecpl-3fgl")
    steep = True

    def evaluate(self, energy: Energies) -> Values:
        return k.exp_cutoff_power_law_3fgl(energy, *internal(self.index, self.amplitude, self.reference, self.ecut))


class SuperExpCutoffPowerLaw3FGLSpectralModel(SpectralModel):
    """amplitude x^-index_1 exp((reference / ecut)^index_2 - (E / ecut)^index_2), x = E / reference."""

    amplitude: ParameterField = parameter(1e-12, DNDE, role="amplitude")
    reference: ParameterField = parameter(1.0, "TeV", frozen=True, role="energy")
    ecut: ParameterField = parameter(10.0, "TeV", role="cutoff")
    index_1: ParameterField = parameter(1.5, role="index")
    index_2: ParameterField = parameter(2.0, role="exponent")
    tag = ("SuperExpCutoffPowerLaw3FGLSpectralModel", "secpl-3fgl")
    steep = True

    def evaluate(self, energy: Energies) -> Values:
        return k.super_exp_cutoff_power_law_3fgl(
            energy, *internal(self.amplitude, self.reference, self.ecut, self.index_1, self.index_2)
        )


class SuperExpCutoffPowerLaw4FGLSpectralModel(SpectralModel):
    """amplitude x^-index_1 exp(expfactor (reference^index_2 - E^index_2)) with energies in MeV in the exponential."""

    amplitude: ParameterField = parameter(1e-12, DNDE, role="amplitude")
    reference: ParameterField = parameter(1.0, "TeV", frozen=True, role="energy")
    expfactor: ParameterField = parameter(1e-14, role="coefficient")
    index_1: ParameterField = parameter(1.5, role="index")
    index_2: ParameterField = parameter(2.0, role="exponent")
    tag = ("SuperExpCutoffPowerLaw4FGLSpectralModel", "secpl-4fgl")
    steep = True

    def evaluate(self, energy: Energies) -> Values:
        return k.super_exp_cutoff_power_law_4fgl(
            energy, *internal(self.amplitude, self.reference, self.expfactor, self.index_1, self.index_2)
        )


class SuperExpCutoffPowerLaw4FGLDR3SpectralModel(SpectralModel):
    """amplitude x^(-index_1 + expfactor / index_2) exp(expfactor / index_2^2 (1 - x^index_2)), x = E / reference."""

    amplitude: ParameterField = parameter(1e-12, DNDE, role="amplitude")
    reference: ParameterField = parameter(1.0, "TeV", frozen=True, role="energy")
    expfactor: ParameterField = parameter(1e-2)
    index_1: ParameterField = parameter(1.5, role="index")
    index_2: ParameterField = parameter(2.0, role="index")
    tag = ("SuperExpCutoffPowerLaw4FGLDR3SpectralModel", "secpl-4fgl-dr3")
    steep = True

    @property
    def e_peak(self) -> u.Quantity:
        """The energy at which E^2 times the value is largest; NaN where there is none (2023, ApJ 958, 191, eq. 21)."""
        index, curvature, power = (float(x) for x in internal(self.index_1, self.expfactor, self.index_2))
        # d ln(E^2 f) / d ln E = 2 - index + (curvature / power) (1 - x^power)
        base = 1 + power / curvature * (2 - index) if curvature > 0 and power != 0 else np.nan
        x = base ** (1 / power) if base > 0 else np.nan
        return _peak(x * float(self.reference.internal), self.reference)

    def evaluate(self, energy: Energies) -> Values:
        return k.super_exp_cutoff_power_law_4fgl_dr3(
            energy, *internal(self.amplitude, self.reference, self.expfactor, self.index_1, self.index_2)
        )


class LogParabolaSpectralModel(SpectralModel):
    """amplitude (E / reference)^(-alpha - beta ln(E / reference))."""

    amplitude: ParameterField = parameter(1e-12, DNDE, role="amplitude")
    reference: ParameterField = parameter(10.0, "TeV", frozen=True, role="energy")
    alpha: ParameterField = parameter(2.0, role="index")
    beta: ParameterField = parameter(1.0)
    tag = ("LogParabolaSpectralModel", "lp")

    @property
    def e_peak(self) -> u.Quantity:
        """The energy at which E^2 times the value is largest; NaN for a curvature that is not positive."""
        alpha, beta, reference = (float(x) for x in internal(self.alpha, self.beta, self.reference))
        return _peak(reference * math.exp((2 - alpha) / (2 * beta)) if beta > 0 else np.nan, self.reference)

    @classmethod
    def from_log10(
        cls, amplitude: GivenParameter, reference: GivenParameter, alpha: GivenParameter, beta: GivenParameter
    ) -> Self:
        """From a curvature ``beta`` defined with the decimal logarithm."""
        return cls(amplitude=amplitude, reference=reference, alpha=alpha, beta=from_log10(beta))

    def evaluate(self, energy: Energies) -> Values:
        return k.log_parabola(energy, *internal(self.amplitude, self.reference, self.alpha, self.beta))


class LogParabola2SpectralModel(SpectralModel):
    """amplitude (E / reference)^(-alpha - beta ln(E / escale))."""

    amplitude: ParameterField = parameter(1e-12, DNDE, role="amplitude")
    reference: ParameterField = parameter(10.0, "TeV", frozen=True, role="energy")
    alpha: ParameterField = parameter(2.0, role="index")
    beta: ParameterField = parameter(1.0)
    escale: ParameterField = parameter(1.0, "TeV", frozen=True, role="energy")
    tag = ("LogParabola2SpectralModel", "lp2")

    @classmethod
    def from_log10(
        cls,
        amplitude: GivenParameter,
        reference: GivenParameter,
        alpha: GivenParameter,
        beta: GivenParameter,
        escale: GivenParameter,
    ) -> Self:
        """From a curvature ``beta`` defined with the decimal logarithm."""
        return cls(amplitude=amplitude, reference=reference, alpha=alpha, beta=from_log10(beta), escale=escale)

    @property
    def e_peak(self) -> u.Quantity:
        """The energy at which E^2 times the value is largest; NaN for a curvature that is not positive."""
        alpha, beta, *energies = (float(x) for x in internal(self.alpha, self.beta, self.reference, self.escale))
        middle = math.sqrt(energies[0] * energies[1])
        return _peak(middle * math.exp((2 - alpha) / (2 * beta)) if beta > 0 else np.nan, self.reference)

    def evaluate(self, energy: Energies) -> Values:
        return k.log_parabola_2(energy, *internal(self.amplitude, self.reference, self.alpha, self.beta, self.escale))


class GaussianSpectralModel(SpectralModel):
    """A line: total flux ``amplitude``, ``mean`` energy and width ``sigma``."""

    amplitude: ParameterField = parameter(1e-12, "s-1 cm-2", role="amplitude")
    mean: ParameterField = parameter(1.0, "TeV", role="energy")
    sigma: ParameterField = parameter(2.0, "TeV", role="width")
    tag = ("GaussianSpectralModel", "gauss")

    @property
    def kinks(self) -> jax.Array:
        """Energies (TeV) around the line: the nodes between wide bins' edges could miss a narrow one."""
        mean, sigma = internal(self.mean, self.sigma)
        return jnp.maximum(mean + sigma * jnp.array([-8.0, -4.0, -1.5, 0.0, 1.5, 4.0, 8.0]), 1e-30)

    def evaluate(self, energy: Energies) -> Values:
        return k.gaussian(energy, *internal(self.amplitude, self.mean, self.sigma))

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        return integrals.gaussian(edges, *internal(self.amplitude, self.mean, self.sigma))
