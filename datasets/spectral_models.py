"""Spectral models: parameters, units and tags over the formulas of ``kernels.spectral``."""

from ..kernels import spectral as k
from .parameter import Parameter, parameter
from .spectral_base import DNDE, SpectralModel


class PowerLawSpectralModel(SpectralModel):
    """amplitude (E / reference)^-index."""

    index: Parameter = parameter(2.0)
    amplitude: Parameter = parameter(1e-12, DNDE)
    reference: Parameter = parameter(1.0, "TeV", frozen=True)
    tag = ("PowerLawSpectralModel", "pl")

    def evaluate(self, energy):
        return k.power_law(energy, self.index.internal, self.amplitude.internal, self.reference.internal)


class LogParabolaSpectralModel(SpectralModel):
    """amplitude (E / reference)^(-alpha - beta ln(E / reference))."""

    amplitude: Parameter = parameter(1e-12, DNDE)
    reference: Parameter = parameter(10.0, "TeV", frozen=True)
    alpha: Parameter = parameter(2.0)
    beta: Parameter = parameter(1.0)
    tag = ("LogParabolaSpectralModel", "lp")

    def evaluate(self, energy):
        return k.log_parabola(
            energy, self.amplitude.internal, self.reference.internal, self.alpha.internal, self.beta.internal
        )


class PowerLawNormSpectralModel(SpectralModel):
    """norm (E / reference)^-tilt."""

    norm: Parameter = parameter(1.0)
    tilt: Parameter = parameter(0.0, frozen=True)
    reference: Parameter = parameter(1.0, "TeV", frozen=True)
    tag = ("PowerLawNormSpectralModel", "pl-norm")

    @property
    def unit(self):
        return ""

    def evaluate(self, energy):
        return k.power_law(energy, self.tilt.internal, self.norm.internal, self.reference.internal)
