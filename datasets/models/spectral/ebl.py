"""Absorption of gamma rays by the extragalactic background light."""

import os
from typing import Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from ....kernels import tables
from ...arrays import Array, for_kernels, is_known
from ...errors import InputError, closest
from ...io.fits import FitsFile
from ...io.paths import Filename, as_path, beside
from ...units import Given, to_unit
from ..component import Section
from ..parameter import GivenParameter, Parameter, ParameterField, parameter
from .base import Energies, SpectralModel, Values
from .norms import quantity_from, table_energy

# Published tables are float32 and underflow to 0: a transmission below the smallest float32 counts as that number, so
# that the interpolation in ln T does not depend on the precision in which a table is held.
FLOOR = float(np.finfo(np.float32).tiny)

ABOVE_ONE = 1e-3
"""By how much transmissions may exceed 1, which then counts as 1: tables are rounded, and interpolated."""


BUILT_IN = {
    "franceschini": "ebl_franceschini.fits.gz",
    "dominguez": "ebl_dominguez11.fits.gz",
    "finke": "frd_abs.fits.gz",
    "franceschini17": "ebl_franceschini_2017.fits.gz",
    "saldana-lopez21": "ebl_saldana-lopez_2021.fits.gz",
}
"""Files of the gammapy data sets: Franceschini et al. 2008, Dominguez et al. 2011, Finke et al. 2010, Franceschini &
Rodighiero 2017, Saldana-Lopez et al. 2021."""

PARTS = ("PARAMETERS", "ENERGIES", "SPECTRA")
"""Tables of an XSPEC table model."""


class EBLAbsorptionNormSpectralModel(SpectralModel):
    """Transmission T(redshift, E)^alpha_norm, with T between 0 and 1 from a table.

    ``energy`` and ``param`` are the nodes in energy (Quantity or TeV) and redshift, ``data`` the transmission, shape
    (n_redshift, n_energy). ln T is linear in redshift and in ln E, and goes on beyond the table. `read` takes a file.
    """

    energy: Float[Array, " n_energy"]
    param: Float[Array, " n_redshift"]
    data: Float[Array, "n_redshift n_energy"]
    redshift: ParameterField = parameter(0.1, frozen=True, role="redshift")
    alpha_norm: ParameterField = parameter(1.0, frozen=True)
    filename: str | None = eqx.field(static=True, default=None)
    tag = ("EBLAbsorptionNormSpectralModel", "ebl-norm")

    def __init__(
        self,
        energy: Given,
        param: Given,
        data: Given,
        redshift: GivenParameter = 0.1,
        alpha_norm: GivenParameter = 1.0,
        filename: Filename | None = None,
    ) -> None:
        self.energy = table_energy(energy, "EBLAbsorptionNormSpectralModel")
        self.param = to_unit(param, "", "EBLAbsorptionNormSpectralModel: param")
        self.data = to_unit(data, "", "EBLAbsorptionNormSpectralModel: data")
        # parameter() declares defaults that keep their frozen state when a plain number is given
        self.redshift, self.alpha_norm = redshift, alpha_norm
        self.filename = None if filename is None else str(filename)

    def __check_init__(self) -> None:
        wanted = (self.param.shape[0], self.energy.shape[0])
        if tuple(self.data.shape) != wanted or min(wanted) < 2:
            raise InputError(
                f"EBLAbsorptionNormSpectralModel: the table has shape {tuple(self.data.shape)}, expected "
                f"(redshift, energy) = {wanted} with at least two nodes each."
            )
        if is_known(self.data):
            bad = ~((self.data >= 0) & (self.data <= 1 + ABOVE_ONE))
            if bad.any():
                first = tuple(int(i) for i in np.argwhere(bad)[0])
                raise InputError(
                    f"EBLAbsorptionNormSpectralModel: transmissions are from 0 to 1, found {self.data[first]} at "
                    f"(redshift, energy) = {first} ({int(bad.sum())} such entries). Give exp(-tau), not tau."
                )
        if is_known(self.param) and not np.all(np.diff(self.param) > 0):
            raise InputError("EBLAbsorptionNormSpectralModel: the redshifts of the table must increase.")

    @property
    def unit(self) -> str:
        return ""

    @property
    def kinks(self) -> jax.Array:
        """Energies (TeV) at which the slope jumps."""
        return jnp.asarray(self.energy)

    def evaluate(self, energy: Energies) -> Values:
        table = jnp.swapaxes(jnp.asarray(self.data), 0, 1)
        row = tables.slice_at(table, (for_kernels(self.param),), (self.redshift.internal,), ("lin",), FLOOR)
        log_transmission = tables.interpolate(jnp.log(energy), jnp.log(self.energy), row)
        return jnp.exp(self.alpha_norm.internal * jnp.minimum(log_transmission, 0.0))

    def extra_dict(self) -> Section:
        if self.filename is not None:
            return {"filename": self.filename}
        return {
            "energy": {"data": np.asarray(self.energy).tolist(), "unit": "TeV"},
            "param": {"data": np.asarray(self.param).tolist(), "unit": ""},
            "values": {"data": np.asarray(self.data).tolist(), "unit": ""},
        }

    @classmethod
    def from_extra(cls, data: Section, parameters: dict[str, Parameter], base_path: Filename | None = None) -> Self:
        if "filename" in data:
            return cls.read(beside(data["filename"], base_path), **parameters)
        energy, param, values = (quantity_from(data, key, cls.__name__) for key in ("energy", "param", "values"))
        return cls(energy, param, values, **parameters)  # type: ignore[arg-type]

    @classmethod
    def read_builtin(
        cls,
        reference: str = "dominguez",
        redshift: GivenParameter = 0.1,
        alpha_norm: GivenParameter = 1.0,
        *,
        folder: Filename | None = None,
    ) -> Self:
        """One of the published tables by gammapy's name, from a folder that has the files of the gammapy data sets.

        ``reference``: "franceschini", "dominguez", "finke", "franceschini17" or "saldana-lopez21". ``folder`` holds the
        file, or is the folder of all data sets, in which it stands under ``ebl``; by default that of the environment
        variable GAMMAPY_DATA.
        """
        if reference not in BUILT_IN:
            raise InputError(f"{cls.__name__}: there is no table {reference!r}. {closest(reference, BUILT_IN)}")
        given = folder if folder is not None else os.environ.get("GAMMAPY_DATA")
        if given is None:
            raise InputError(
                f"{cls.__name__}: the tables come with the gammapy data sets. Say where they are: "
                "read_builtin(reference, folder='...'), or set GAMMAPY_DATA."
            )
        path = as_path(given)
        places = (path / BUILT_IN[reference], path / "ebl" / BUILT_IN[reference])
        return cls.read(next((place for place in places if place.is_file()), places[0]), redshift, alpha_norm)

    @classmethod
    def read(cls, filename: Filename, redshift: GivenParameter = 0.1, alpha_norm: GivenParameter = 1.0) -> Self:
        """From a FITS file in XSPEC table form: extensions PARAMETERS, ENERGIES (keV) and SPECTRA."""
        path = as_path(filename)
        if not path.is_file():
            raise InputError(
                f"{cls.__name__}: there is no file {path}. Tables of the usual models come with the gammapy data sets."
            )
        file = FitsFile(path)
        if not all(name in file for name in PARTS):
            raise InputError(
                f"{cls.__name__}: {path} is not an XSPEC table model: there are {file.names()}, expected "
                f"{', '.join(PARTS)}. Check that this is the right file."
            )
        nodes, energies, spectra = (file.table(name) for name in PARTS)
        low, high, data = energies.column("ENERG_LO"), energies.column("ENERG_HI"), spectra.column("INTPSPEC")
        # a row of any length in the files of the usual models
        stored = nodes.raw("VALUE")
        try:
            redshifts = np.asarray(stored[0], float).ravel()
        except (IndexError, TypeError, ValueError) as error:
            raise InputError(f"{nodes.where}: VALUE must be a row of redshifts ({error}).") from error
        if redshifts.shape != data.shape[:1]:
            raise InputError(
                f"{nodes.where}: VALUE has {redshifts.size} redshifts, expected {len(data)}, one for each of the "
                "spectra. Check that the file is an XSPEC table model of one parameter."
            )
        # files repeat redshifts; the first row of each counts
        param, rows = np.unique(redshifts, return_index=True)
        if low.shape != high.shape or not np.all(low * high > 0):
            raise InputError(f"{energies.where}: ENERG_LO and ENERG_HI must be positive energies, in keV.")
        return cls(np.sqrt(low * high) * u.keV, param, data[rows], redshift, alpha_norm, path)
