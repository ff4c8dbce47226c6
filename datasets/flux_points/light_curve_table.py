"""Light curves as tables, in the form "lightcurve" that gammapy reads and writes: one row for each time.

``time_min`` and ``time_max`` are MJD in the scale ``TIMESYS``, or times (``TIMEUNIT``) elapsed since ``MJDREFI`` +
``MJDREFF`` where these are not 0; all other columns are those of flux points, with an axis of energy.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.time import Time

from ..errors import InputError
from ..gti import GTI
from ..io.fits import Fields
from ..io.gti_table import SCALES
from ..models.sky_model import SkyModel
from ..models.spectral.base import SpectralModel
from ..units import parse_unit
from .rows_table import flat_table, require_rows, rows_table
from .table import point_fields

if TYPE_CHECKING:
    from astropy.table import Table

TIMES = ("time_min", "time_max")

DEFAULT_SCALE = "utc"
"""Time scale of tables that name none, as in gammapy."""


def curve_table(curve: Any, sed_type: str | None) -> "Table":
    """The table of a light curve: times in MJD (TT), energies in TeV."""
    columns = rows_table(curve, sed_type)
    times = {name: np.array(getattr(curve, name), float) for name in TIMES}
    columns.add_columns(list(times.values()), names=list(times), indexes=[0] * len(times))
    columns.meta.update(MJDREFI=0, MJDREFF=0.0, TIMESYS="tt", TIMEUNIT="d")
    return columns


def curve_fields(
    table: "Table", sed_type: str | None, reference_model: SpectralModel | SkyModel | None, gti: GTI | None
) -> tuple[Time, Time, Fields]:
    """Start and stop of the bins, and the constructor arguments of flux points, from a table with a row for each time.

    Which columns there may be says `point_fields`. Rows are sorted by time.
    """
    where = "Light curve"
    require_rows(table, TIMES, "time", where)
    low, high = (_times(table, name, where) for name in TIMES)
    order = np.argsort(low.mjd, kind="stable")
    flat = flat_table(table, TIMES, order, where)
    return low[order], high[order], point_fields(flat, sed_type, reference_model, gti)


def _times(table: "Table", name: str, where: str) -> Time:
    """A column of times, in the scale TT."""
    column = table[name]
    if isinstance(column, Time):
        return column.tt
    meta = {str(key).upper(): value for key, value in table.meta.items()}
    scale = str(meta.get("TIMESYS", DEFAULT_SCALE)).strip().lower()
    if scale not in SCALES:
        raise InputError(f"{where}: the time scale TIMESYS is {scale!r}, expected one of {', '.join(SCALES)}.")
    unit = parse_unit(getattr(column, "unit", None) or meta.get("TIMEUNIT", "d"), f"{where}: unit of {name}")
    if not unit.is_equivalent("d"):
        raise InputError(f"{where}: unit of {name}: found {unit.to_string()!r}, expected one of time, such as 'd'.")
    try:
        reference = (float(meta.get("MJDREFI", 0)), float(meta.get("MJDREFF", 0)))
        numbers = np.asarray(column, float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {name}, MJDREFI and MJDREFF must be numbers: {error}.") from error
    if numbers.ndim != 1 or not np.all(np.isfinite(numbers)):
        raise InputError(f"{where}: the column {name} must hold one finite time in each row.")
    if reference == (0, 0):
        # MJD, and no time elapsed since 1858, which would lack the leap seconds of UTC
        return Time(numbers * unit.to("d"), format="mjd", scale=scale).tt
    return (Time(*reference, format="mjd", scale=scale) + numbers * unit).tt
