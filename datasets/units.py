"""From what users hand in (Quantities, lists, arrays) to read-only arrays in the package's units."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias, overload

import jax
import numpy as np
from astropy import units as u
from jaxtyping import Float

from .arrays import Array, frozen_array
from .errors import InputError

Given: TypeAlias = u.Quantity | Array | Sequence[float] | float | str
"""Numbers as users give them: with a unit, as text, or bare in the package's unit."""

EDGE_TOLERANCE = 1e-6
"""Relative tolerance when asking whether an energy bin lies inside a range: files store edges in float32 or in keV."""


@overload
def to_unit(value: None, unit: str, what: str) -> None: ...


@overload
def to_unit(value: Given, unit: str, what: str) -> Array: ...


def to_unit(value: Given | None, unit: str, what: str) -> Array | None:
    """Numbers in ``unit``: Quantities are converted, bare numbers are taken to be in it, JAX arrays pass unchanged.

    Texts such as "1 TeV", lists of Quantities and columns of tables with a unit are Quantities. InputError, which
    begins with ``what``, for others and for units that cannot be converted.
    """
    own = getattr(value, "unit", None)
    if own is not None and isinstance(value, np.ndarray) and not isinstance(value, u.Quantity):
        # a column of a plain table, which knows its unit and is no Quantity; what it masks is NaN
        numbers = np.ma.filled(value.astype(float), np.nan) if isinstance(value, np.ma.MaskedArray) else value
        try:
            value = u.Quantity(np.asarray(numbers), own)
        except (TypeError, ValueError) as error:
            raise _no_number(value, unit, what) from error
    several = isinstance(value, list | tuple) and any(isinstance(v, u.Quantity) for v in value)
    if isinstance(value, str) or several:
        try:
            value = u.Quantity(value)
        except (TypeError, ValueError) as error:
            raise _no_number(value, unit, what) from error
    if isinstance(value, u.Quantity):
        given = value.unit
        try:
            value = value.to_value(unit)
        except u.UnitConversionError as error:
            raise InputError(
                f"{what}: found unit {given.to_string()!r}, expected one convertible to {unit!r}."
            ) from error
    try:
        return frozen_array(value)
    except (TypeError, ValueError) as error:
        raise _no_number(value, unit, what) from error


@overload
def as_bins(value: None, what: str = "counts") -> None: ...


@overload
def as_bins(value: Given, what: str = "counts") -> Array: ...


def as_bins(value: Given | None, what: str = "counts") -> Array | None:
    """Numbers of events: plain ones, or Quantities without unit or in counts."""
    if isinstance(value, u.Quantity) and value.unit == u.ct:
        value = value.value
    return to_unit(value, "", what)


def number_in(value: Given, unit: str, what: str) -> float:
    """One number in ``unit``, as `to_unit`; infinite ones are fine, NaN is not."""
    number = to_unit(value, unit, what)
    if number is None or np.ndim(number) or np.isnan(number):
        raise _no_number(value, unit, what)
    return float(number)


def _no_number(value: object, unit: str, what: str) -> InputError:
    expected = f"a Quantity such as '1 {unit}', or numbers in {unit}" if unit else "numbers without unit"
    return InputError(f"{what}: found {str(value)[:60]!r}, expected {expected}.")


def edges_tev(value: Given | None, what: str) -> Float[Array, " n_bins+1"]:
    """Energy bin edges in TeV: increasing, positive, at least two."""
    edges = to_unit(value, "TeV", what)
    if isinstance(edges, jax.Array):
        return edges
    if edges is None:
        raise InputError(f"{what}: found None, expected a list of at least two bin edges.")
    if edges.ndim != 1 or edges.size < 2:
        raise InputError(f"{what}: a list of at least two bin edges is needed, found shape {edges.shape}.")
    if not (np.all(np.isfinite(edges)) and np.all(edges > 0) and np.all(np.diff(edges) > 0)):
        raise InputError(f"{what}: edges must be positive, finite and increasing, found {edges}.")
    return edges


def parse_unit(unit: str | u.UnitBase | None, what: str) -> u.UnitBase:
    """An astropy unit from a string or unit, or an `InputError` that names ``what``."""
    if unit is None:
        return u.dimensionless_unscaled
    try:
        return _unit(unit) if isinstance(unit, str) else u.Unit(unit)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{what}: {unit!r} is not a unit that astropy can read. Write for example 'TeV-1 s-1 cm-2'."
        ) from error


# files with thousands of models repeat a handful of units, and astropy parses and prints them slowly
@lru_cache(maxsize=256)
def _unit(text: str) -> u.UnitBase:
    return u.Unit(text)


@lru_cache(maxsize=256)
def _unit_text(unit: u.UnitBase) -> str:
    try:
        return unit.to_string("fits")
    except ValueError:  # scaled units, which FITS cannot express
        return unit.to_string()


def unit_of_file(text: str, what: str) -> u.UnitBase:
    """The unit that a file names. One that astropy cannot read converts to none: it is refused where it is needed."""
    try:
        return parse_unit(text.strip() or None, what)
    except InputError:
        return u.Unit(text, parse_strict="silent")
