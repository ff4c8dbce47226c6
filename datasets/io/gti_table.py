"""Good time intervals as a FITS table."""

import math

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.time import Time

from ..errors import InputError
from ..gti import GTI
from ..units import parse_unit
from .fits import FitsTable, table_hdu

SCALES = ("tt", "tai", "utc", "tdb", "tcb", "tcg")


def read_gti(table: FitsTable) -> GTI:
    """Intervals from START and STOP, which count from MJDREFI + MJDREFF (or MJDREF) in the time scale TIMESYS.

    The unit is the columns', else TIMEUNIT, else seconds; TIMEZERO is added where it is given.
    """
    scale = table.text("TIMESYS", "tt").lower()
    if scale not in SCALES:
        raise InputError(
            f"{table.where}: TIMESYS is {scale!r}, expected one of {', '.join(SCALES)}. Correct the header."
        )
    if "MJDREFI" in table.header:
        day, fraction = table.number("MJDREFI"), table.number("MJDREFF", 0.0)
    elif "MJDREF" in table.header:
        day, fraction = table.number("MJDREF"), 0.0
    else:
        raise InputError(
            f"{table.where}: MJDREFI and MJDREFF are missing, so START and STOP count from nowhere. "
            "Add them to the header, or remove the GTI table."
        )
    default = parse_unit(table.text("TIMEUNIT", "s") or "s", f"{table.where}: TIMEUNIT")
    zero = table.number("TIMEZERO", 0.0)
    start, stop = (_seconds(table, name, default, zero) for name in ("START", "STOP"))
    reference = day + fraction if scale == "tt" else Time(day, fraction, format="mjd", scale=scale).tt.mjd
    try:
        return GTI(start, stop, reference)
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
