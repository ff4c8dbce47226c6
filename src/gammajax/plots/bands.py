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
