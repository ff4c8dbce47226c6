"""Flux profiles as tables, in the form "profile" that gammapy reads and writes: one row for each region.

``x_min``, ``x_max`` and ``x_ref`` are where a region begins, ends and has its middle along the profile.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from jaxtyping import Float

from ..errors import InputError
from ..gti import GTI
from ..io.fits import Fields, naming
from ..io.paths import Filename
from ..models.sky_model import SkyModel
from ..models.spectral.base import SpectralModel
from ..units import numbers_in
from .files import read_table, table_bytes
from .rows_table import flat_table, require_rows, rows_table
from .table import point_fields

if TYPE_CHECKING:
    from astropy.table import Table

ENDS = ("x_min", "x_max")

PLACES = (*ENDS, "x_ref")

SOLID_ANGLE = "solid_angle"
"""Column that gammapy passes over."""

Ends = Float[np.ndarray, " n_regions"]


def profile_table(profile: Any, sed_type: str | None) -> "Table":
    """The table of a flux profile: distances in deg, energies in TeV."""
    table = rows_table(profile, sed_type)
    found = (profile.distance_min, profile.distance_max, profile.distance)
    table.add_columns([u.Quantity(np.asarray(x), "deg") for x in found], names=list(PLACES), indexes=[0] * len(PLACES))
    if profile.solid_angle is not None:
        table.add_column(u.Quantity(np.asarray(profile.solid_angle), "sr"), name=SOLID_ANGLE, index=len(PLACES))
    return table


def profile_fields(
    table: "Table", sed_type: str | None, reference_model: SpectralModel | SkyModel | None, gti: GTI | None
) -> tuple[Ends, Ends, Ends | None, Fields]:
    """Begin and end of the regions in deg, their solid angles in sr (None where the table has none), and the
    constructor arguments of flux points, from a table with a row for each region.

    Which columns there may be says `point_fields`. Rows are sorted by distance.
    """
    where = "Flux profile"
    require_rows(table, ENDS, "region", where)
    low, high = (_angles(table, name, "deg", where) for name in ENDS)
    solid = _angles(table, SOLID_ANGLE, "sr", where) if SOLID_ANGLE in table.colnames else None
    order = np.argsort(low, kind="stable")
    flat = flat_table(table, (*PLACES, SOLID_ANGLE), order, where)
    return (
        low[order],
        high[order],
        None if solid is None else solid[order],
        point_fields(flat, sed_type, reference_model, gti),
    )


def read_profile_fields(
    filename: Filename, sed_type: str | None, reference_model: SpectralModel | SkyModel | None
) -> tuple[Ends, Ends, Ends | None, Fields]:
    """As `profile_fields`, from a FITS or ECSV file."""
    table, gti, path = read_table(filename)
    with naming(path):
        return profile_fields(table, sed_type, reference_model, gti)


def profile_contents(profile: Any, path: Path, sed_type: str | None) -> dict[Path, bytes]:
    """The file of a flux profile: ECSV if the name says so, else FITS with the good time intervals."""
    return {path: table_bytes(profile_table(profile, sed_type), profile.gti, path)}


def _angles(table: "Table", name: str, unit: str, where: str) -> Ends:
    column = table[name]
    values = u.Quantity(np.asarray(column), getattr(column, "unit", None) or unit)
    found: Ends = np.asarray(numbers_in(values, unit, f"{where}: {name}"), float)
    if found.ndim != 1 or not np.all(np.isfinite(found)):
        raise InputError(f"{where}: the column {name} must hold one finite angle in each row.")
    return found
