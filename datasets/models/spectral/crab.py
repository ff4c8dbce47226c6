"""Published spectra of the Crab nebula, the standard candle of the field."""

import math
from collections.abc import Callable

import jax.numpy as jnp
from astropy import units as u

from ...errors import InputError, closest
from ...hints.calls import hinted
from ..parameter import ParameterField, parameter
from .base import DNDE, Energies, SpectralModel, Values
from .builtin import ExpCutoffPowerLawSpectralModel, LogParabolaSpectralModel, PowerLawSpectralModel

MEYER = (-0.00449161, 0.0, 0.0473174, -0.179475, -0.53616, -10.2708)
"""Coefficients of log10(E^2 dN/dE / erg cm-2 s-1) in log10(E / TeV), the highest power first."""

TEV_PER_ERG = u.erg.to(u.TeV)


class MeyerCrabSpectralModel(SpectralModel):
    """``norm`` times the Crab nebula from 10 GeV to 100 TeV of Meyer et al. 2010, A&A 523, A2, appendix D."""

    norm: ParameterField = parameter(1.0, frozen=True, role="norm")
    tag = ("MeyerCrabSpectralModel", "meyer-crab")

    def evaluate(self, energy: Energies) -> Values:
        x = jnp.log(energy) / math.log(10)
        power = jnp.zeros_like(x)
        for coefficient in MEYER:
            power = power * x + coefficient
        return self.norm.internal * TEV_PER_ERG * 10**power / energy**2


@hinted
def create_crab_spectral_model(reference: str = "meyer") -> SpectralModel:
    """A published spectrum of the Crab nebula, by gammapy's names.

    - "meyer": Meyer et al. 2010, A&A 523, A2, appendix D
    - "hegra": Aharonian et al. 2000, ApJ 539, 317
    - "hess_pl", "hess_ecpl": Aharonian et al. 2006, A&A 457, 899
    - "magic_lp", "magic_ecpl": Aleksic et al. 2015, JHEAp 5, 30

    Raises `InputError` for other names.
    """
    flux, tev = u.Unit(DNDE), u.TeV
    made: dict[str, Callable[[], SpectralModel]] = {
        "meyer": MeyerCrabSpectralModel,
        "hegra": lambda: PowerLawSpectralModel(index=2.62, amplitude=2.83e-11 * flux),
        "hess_pl": lambda: PowerLawSpectralModel(index=2.63, amplitude=3.45e-11 * flux),
        "hess_ecpl": lambda: ExpCutoffPowerLawSpectralModel(
            index=2.39, amplitude=3.76e-11 * flux, lambda_=1 / (14.3 * tev)
        ),
        "magic_lp": lambda: LogParabolaSpectralModel.from_log10(3.23e-11 * flux, 1 * tev, 2.47, 0.24),
        "magic_ecpl": lambda: ExpCutoffPowerLawSpectralModel(
            index=2.21, amplitude=3.80e-11 * flux, lambda_=1 / (6.0 * tev)
        ),
    }
    if reference not in made:
        raise InputError(f"create_crab_spectral_model: there is no {reference!r}. {closest(reference, made)}")
    return made[reference]()
