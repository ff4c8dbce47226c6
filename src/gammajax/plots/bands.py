"""Spectra with their one-sigma band, as numbers: what pictures show, without any picture."""

import numpy as np
from astropy import units as u

from gammajax.datasets.units import Given
from gammajax.fit.result import FitResult

N_ENERGIES = 200


def flux_band(
    result: FitResult, model_name: str | None, energy: Given
) -> tuple[np.ndarray, np.ndarray] | tuple[u.Quantity, u.Quantity]:
    """dN/dE of a fitted model and its one-sigma error at each of ``energy`` (n,); see `FittedSpectrum`.

    Numbers in TeV give numbers in TeV-1 s-1 cm-2; Quantities give Quantities.
    """
    band = result.spectrum(model_name).evaluate_error(np.atleast_1d(energy))
    return band.value, band.errp


def log_band(dnde: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends (n,) of the one-sigma band of a positive spectrum, by its errors in ln(dN/dE): never negative.

    To first order they are those of dN/dE. Where the flux is an exponential of the parameters (an amplitude with
    exponents and cutoffs) these are exact for parameters that are normal, where linear ones reach below zero.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = np.exp(np.where(dnde > 0, error / dnde, np.nan))
        return dnde / relative, dnde * relative
