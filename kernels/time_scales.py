"""Differences of astronomical time scales."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .arrays import AnyArray

SECONDS_PER_DAY = 86400.0

TT_MINUS_TAI = 32.184
"""Seconds, by definition."""

# Amplitude (s), rate (rad per Julian century) and phase (rad) of the largest terms of TDB - TT; the secular one is
# multiplied by the time in centuries. Source: Kaplan 2005, USNO Circular 179, eq. 2.6: to 1e-5 s from 1600 to 2200.
_TDB = (
    (1.657e-3, 628.3076, 6.2401),
    (2.2e-5, 575.3385, 4.2970),
    (1.4e-5, 1256.6152, 6.1969),
    (5e-6, 606.9777, 4.0212),
    (5e-6, 52.9691, 0.4444),
    (2e-6, 21.3299, 5.5431),
)

_TDB_SECULAR = (1e-5, 628.3076, 4.2490)


def tdb_minus_tt(mjd: Array) -> Array:
    """Seconds, at ``mjd`` (TT or TDB), at the centre of the Earth."""
    century = (mjd - 51544.5) / 36525
    total = sum(size * jnp.sin(rate * century + phase) for size, rate, phase in _TDB)
    size, rate, phase = _TDB_SECULAR
    return total + size * century * jnp.sin(rate * century + phase)


def utc_minus_tai(mjd_tai: Array, knots: Float[Array, " n"], offsets: Float[Array, " n"]) -> Array:
    """Seconds of an MJD in UTC less one in TAI; linear between ``knots`` (MJD, TAI), constant beyond them.

    The knots are starts and ends of days with a leap second, over which the fraction of the day runs slower by
    1 / 86401.
    """
    return jnp.interp(mjd_tai, knots, offsets)


def offset_from_tt(mjd_tt: AnyArray, scale: str, knots: Float[Array, " n"], offsets: Float[Array, " n"]) -> Array:
    """Seconds of an MJD in ``scale`` ("tt", "tai", "utc", "tdb") less one in TT."""
    mjd_tt = jnp.asarray(mjd_tt)
    if scale == "tt":
        return jnp.zeros_like(mjd_tt)
    if scale == "tdb":
        return tdb_minus_tt(mjd_tt)
    if scale == "tai":
        return jnp.full_like(mjd_tt, -TT_MINUS_TAI)
    return utc_minus_tai(mjd_tt - TT_MINUS_TAI / SECONDS_PER_DAY, knots, offsets) - TT_MINUS_TAI


SCALES = ("utc", "tai", "tt", "tdb")
