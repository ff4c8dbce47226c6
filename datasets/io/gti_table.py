"""Good time intervals as a FITS table."""

import math
from collections.abc import Mapping

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.time import Time

from ..errors import InputError
from ..gti import GTI
from ..units import parse_unit
from .fits import Card, FitsTable, finite, table_hdu

SCALES = ("tt", "tai", "utc", "tdb", "tcb", "tcg")


TIME_CARDS = ("MJDREFI", "MJDREFF", "MJDREF", "TIMESYS")


def reference_time(cards: Mapping[str, Card | None], where: str, scale: str = "tt") -> Time:
    """The time from which a table counts: MJDREFI + MJDREFF (or MJDREF) in the time scale TIMESYS.

    ``scale`` is that of tables that say none. InputError, which begins with ``where``, for headers that say no time.
    """
    given = {key: cards[key] for key in TIME_CARDS if cards.get(key) is not None}
    scale = str(given.get("TIMESYS", scale)).strip().lower()
    if scale not in SCALES:
        raise InputError(f"{where}: TIMESYS is {scale!r}, expected one of {', '.join(SCALES)}. Correct the header.")
    if "MJDREFI" not in given and "MJDREF" not in given:
        raise InputError(
            f"{where}: MJDREFI and MJDREFF are missing, so that times count from nowhere. Add them to the header."
        )
    keys = ("MJDREFI", "MJDREFF") if "MJDREFI" in given else ("MJDREF",)
    day, fraction = (*(finite(given.get(key, 0.0), f"{where}: {key}") for key in keys), 0.0)[:2]
    try:
        return Time(day, fraction, format="mjd", scale=scale)
    except ValueError as error:
        raise InputError(f"{where}: the reference time {day} + {fraction} cannot be used ({error}).") from error


def read_gti(table: FitsTable) -> GTI:
    """Intervals from START and STOP, which count from MJDREFI + MJDREFF (or MJDREF) in the time scale TIMESYS.

    The unit is the columns', else TIMEUNIT, else seconds; TIMEZERO is added where it is given.
    """
    reference = reference_time({key: table.card(key, None) for key in TIME_CARDS}, table.where)
    default = parse_unit(table.text("TIMEUNIT", "s") or "s", f"{table.where}: TIMEUNIT")
    zero = table.number("TIMEZERO", 0.0)
    start, stop = (_seconds(table, name, default, zero) for name in ("START", "STOP"))
    try:
        return GTI(start, stop, reference.tt.mjd)
    except InputError as error:
        raise InputError(f"{table.where}: {error}") from error


def _seconds(table: FitsTable, name: str, default: u.UnitBase, zero: float) -> np.ndarray:
    values = table.column(name)
    unit = table.unit(name)
    unit = default if unit == u.dimensionless_unscaled else unit
    if not unit.is_equivalent("s"):
        raise InputError(f"{table.where}: unit of {name}: found {unit.to_string()!r}, expected one convertible to 's'.")
    return values * unit.to("s") + zero * default.to("s") if zero else values * unit.to("s")


def gti_hdu(gti: GTI) -> fits.BinTableHDU:
    """Table HDU named GTI in time scale TT."""
    reference = float(gti.reference)
    day = math.floor(reference)
    return table_hdu(
        "GTI",
        [("START", "D", np.asarray(gti.start), "s"), ("STOP", "D", np.asarray(gti.stop), "s")],
        {
            "MJDREFI": day,
            "MJDREFF": reference - day,
            "TIMESYS": "tt",
            "TIMEUNIT": "s",
            "HDUCLASS": "OGIP",
            "HDUCLAS1": "GTI",
            "HDUCLAS2": "STANDARD",
        },
    )
