"""The door for numbers: whatever users hand in becomes read-only arrays in the package's units, or an `InputError`.

Every constructor and method that takes physical numbers takes them through `to_unit` (or `as_bins`, `number_in`,
`edges_tev`, and for masks `to_mask`), so that what a column of a table, a masked array or an array of integers means
is decided here and nowhere else. JAX arrays of floating-point numbers, traced or not, pass as they are.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, overload

import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Bool, Float

from ..kernels.programs import remembered
from .arrays import Array, Mask, frozen_array, is_concrete, is_known
from .errors import InputError, warn

Given: TypeAlias = u.Quantity | Array | Sequence[float] | float | str
"""Numbers as users give them: with a unit, as text, or bare in the package's unit."""

EDGE_TOLERANCE = 1e-6
"""Relative tolerance when asking whether an energy bin lies inside a range: files store edges in float32 or in keV."""

NUMBERS = "biuf"
"""Kinds of NumPy's types that are numbers; of objects each is asked."""

BARE = (float, int, bool, np.float64)
"""Types that have neither unit nor mask."""


class Parts(NamedTuple):
    """What is given, taken apart: bare numbers, the unit they have (None: none), and which are masked (None: none)."""

    numbers: Any
    unit: u.UnitBase | None = None
    mask: np.ndarray | None = None


@overload
def to_unit(value: None, unit: str | u.UnitBase, what: str, masked: float | None = None) -> None: ...


@overload
def to_unit(value: Given, unit: str | u.UnitBase, what: str, masked: float | None = None) -> Array: ...


def to_unit(value: Given | None, unit: str | u.UnitBase, what: str, masked: float | None = None) -> Array | None:
    """Numbers in ``unit``: what has a unit is converted, bare numbers are taken to be in it.

    Quantities, columns of tables, texts such as "1 TeV" and lists of these have a unit. Integers and booleans become
    floating-point numbers, JAX arrays of them too. ``masked`` is the number in place of masked entries; by default they
    are refused. InputError, which begins with ``what``, for these, for what is no number, and for other units.
    """
    if value is None:
        return None
    return _converted(value, unit, what, masked)


def numbers_in(value: Given | None, unit: str | u.UnitBase, what: str) -> Array:
    """As `to_unit`, of numbers that have to be there."""
    if value is None:
        raise _no_number(value, unit, what)
    return to_unit(value, unit, what)


@overload
def as_bins(value: None, what: str = "counts") -> None: ...


@overload
def as_bins(value: Given, what: str = "counts") -> Array: ...


def as_bins(value: Given | None, what: str = "counts") -> Array | None:
    """Numbers of events: without unit, or in counts; as `to_unit`."""
    return None if value is None else _converted(value, "", what, None, bins=True)


def number_in(value: Given, unit: str | u.UnitBase, what: str) -> float:
    """One number in ``unit``, as `to_unit`; infinite ones are fine, NaN is not."""
    number = to_unit(value, unit, what)
    if number is None or np.ndim(number) or not is_concrete(number) or np.isnan(number):
        raise InputError(f"{what}: found {_shown(value)}, expected one number{f' in {unit}' if str(unit) else ''}.")
    return float(number)


def kernel_numbers(value: Any, unit: str, what: str) -> Any:
    """Numbers for a formula: what JAX and NumPy compute with passes as it is, anything else goes through `to_unit`.

    The quick way for methods that traced programs call, and users too.
    """
    kind = type(value)
    if value is None or kind is float or kind is int or isinstance(value, jax.core.Tracer):
        return value
    if (kind is np.ndarray or isinstance(value, jax.Array)) and value.dtype in (np.float64, np.float32):
        return value
    return to_unit(value, unit, what)


def with_unit(value: Any, what: str) -> Any:
    """A Quantity of what has a unit (see `to_unit`), anything else as it is; InputError for masked entries."""
    kind = type(value)
    if kind in BARE or kind is u.Quantity or isinstance(value, jax.Array):
        return value
    parts = _parts(value, None, what)
    if parts.mask is not None:
        raise _masked(parts.mask, what)
    return value if parts.unit is None else u.Quantity(parts.numbers, parts.unit)


def split_mask(value: Any, what: str) -> tuple[Any, Bool[np.ndarray, "..."] | None]:
    """What is given with 0 in place of masked entries, and which those are; None where there are none."""
    if value is None or type(value) in (np.ndarray, *BARE) or isinstance(value, jax.Array):
        return value, None
    parts = _parts(value, None, what)
    if parts.mask is None:
        return value, None
    numbers = np.where(parts.mask, 0.0, _real(parts.numbers))
    return (numbers if parts.unit is None else u.Quantity(numbers, parts.unit)), parts.mask


@overload
def to_mask(value: None, what: str, masked: bool | None = False) -> None: ...


@overload
def to_mask(value: Mask | Sequence[bool], what: str, masked: bool | None = False) -> Mask: ...


def to_mask(value: Mask | Sequence[bool] | None, what: str, masked: bool | None = False) -> Mask | None:
    """Booleans of a mask: True and False, or the numbers 1 and 0, of any type; JAX arrays stay such.

    ``masked`` is the value of masked entries, None refuses them. InputError, which begins with ``what``, for texts, NaN
    and other numbers, which say neither.
    """
    if value is None:
        return None
    if isinstance(value, jax.core.Tracer):
        return value if value.dtype == bool else value != 0
    if isinstance(value, jax.Array) and value.dtype == bool:
        return value
    try:
        parts = _taken_apart(value, what)
        numbers = np.asarray(parts.numbers)
    except (TypeError, ValueError) as error:
        raise _no_mask(value, what) from error
    if parts.mask is not None:
        if masked is None:
            raise _masked(parts.mask, what)
        numbers = np.where(parts.mask, masked, numbers)
    if numbers.dtype != bool:
        known = parts.unit is None and (numbers.dtype.kind in "iuf" or all(isinstance(v, BARE) for v in numbers.flat))
        good = known and bool(np.all((numbers == 0) | (numbers == 1)))
        if not good:
            raise _no_mask(value, what)
    return value.astype(bool) if isinstance(value, jax.Array) else frozen_array(numbers, bool)


def edges_tev(value: Given | None, what: str) -> Float[Array, " n_bins+1"]:
    """Energy bin edges in TeV: increasing, positive, at least two."""
    edges = to_unit(value, "TeV", what)
    if isinstance(edges, jax.core.Tracer):
        return edges
    if edges is None:
        raise InputError(f"{what}: found None, expected a list of at least two bin edges.")
    if edges.ndim != 1 or edges.size < 2:
        raise InputError(f"{what}: a list of at least two bin edges is needed, found shape {edges.shape}.")
    if not (np.all(np.isfinite(edges)) and np.all(edges > 0) and np.all(np.diff(edges) > 0)):
        raise InputError(f"{what}: edges must be positive, finite and increasing, found {edges}.")
    return edges


def whole_numbers(value: Any, what: str) -> np.ndarray:
    """Integers, of any type that has no unit; InputError, which begins with ``what``, for others."""
    if isinstance(value, str):
        raise InputError(f"{what}: found {value!r}, expected whole numbers.")
    numbers = np.asarray(to_unit(value, "", what))
    if numbers.dtype == object or not np.all(np.isfinite(numbers) & (numbers == np.rint(numbers))):
        raise InputError(f"{what}: found {_shown(value)}, expected whole numbers.")
    return numbers.astype(int)


def require_not_negative(values: Array, what: str) -> None:
    """Raise an `InputError` for numbers that are negative, NaN or infinite."""
    if not is_known(values):
        return
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise InputError(
            f"{what}: values must be finite and not negative, found {values[bad][0]} ({int(bad.sum())} bad of "
            f"{values.size})."
        )


def require_positive_somewhere(values: Array, what: str) -> None:
    """Raise an `InputError` for a table without any number above zero, such as one of the wrong sign."""
    if is_known(values) and values.size and not np.any(values > 0):
        raise InputError(
            f"{what}: no value is above zero, the largest is {np.max(values):.4g}, so that nothing would be predicted. "
            "Check the sign, and that the right table was read."
        )


def nearest_edge(energy: float, edges: np.ndarray, scale: str) -> float:
    """The edge nearest to an energy in a scale ("log", "lin" or "sqrt"); outside of the edges the energy itself."""
    if not edges[0] < energy < edges[-1]:
        return energy
    at = np.append(edges, energy)
    scaled = np.log(at) if scale == "log" else np.sqrt(at) if scale == "sqrt" else at
    return float(edges[np.argmin(np.abs(scaled[:-1] - scaled[-1]))])


NOT_FITTED = "which is not fitted: ranges that meet there both leave it out"
AT_EDGE = "and is moved to the nearest edge"


ROUND = (
    "round_to_edge=True moves energies to the nearest edge, round_to_edge=False says that only whole bins are meant."
)


def warn_of_cut_bins(
    low: np.ndarray, high: np.ndarray, energies: Sequence[Given | None], what: str, then: str, cure: str = ROUND
) -> None:
    """A warning for each of the ``energies`` (None: no limit) that cuts a bin; ``low``, ``high``: edges (n,) in TeV.

    It starts with ``what``, says what happens ``then``, and ends with the ``cure``.
    """
    for given in energies:
        energy = None if given is None else number_in(given, "TeV", "energy")
        if energy is None:
            continue
        cut = (low * (1 + EDGE_TOLERANCE) < energy) & (energy < high * (1 - EDGE_TOLERANCE))
        if cut.any():
            i = int(np.argmax(cut))
            warn(f"{what}: {energy:.6g} TeV is inside the bin from {low[i]:.6g} to {high[i]:.6g} TeV, {then}. {cure}")


def parse_unit(unit: str | u.UnitBase | None, what: str) -> u.UnitBase:
    """An astropy unit from a string or unit, or an `InputError` that names ``what``."""
    if unit is None:
        return u.dimensionless_unscaled
    try:
        found = _unit(unit) if isinstance(unit, str) else u.Unit(unit)
        if isinstance(found, u.StructuredUnit):
            raise TypeError("units of several fields")
        return found
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"{what}: {str(unit)[:60]!r} is not a unit that astropy can read. Write for example 'TeV-1 s-1 cm-2'."
        ) from error


# files with thousands of models repeat a handful of units, and astropy parses and prints them slowly
@remembered(256)
def _unit(text: str) -> u.UnitBase:
    return u.Unit(text)


@remembered(256)
def _unit_text(unit: u.UnitBase) -> str:
    try:
        return unit.to_string("fits")
    except ValueError:  # scaled units, which FITS cannot express
        return unit.to_string()


def _converted(value: Any, unit: str | u.UnitBase, what: str, masked: float | None, *, bins: bool = False) -> Array:
    kind = type(value)
    if kind is float or (kind is np.ndarray and value.dtype.kind in NUMBERS):
        return frozen_array(value)
    if isinstance(value, jax.Array) and value.dtype in (np.float64, np.float32):
        return value
    numbers, own, mask = _parts(value, unit, what)
    try:
        numbers = _real(numbers)
        if own is not None:
            target = _unit(unit) if isinstance(unit, str) else unit
            target = u.ct if bins and own.is_equivalent(u.ct) else target
            # equal units leave the last digit alone
            numbers = numbers if own == target else own.to(target, numbers)
        if mask is not None and masked is not None:
            numbers = np.where(mask, masked, numbers)
        found: Array = frozen_array(numbers)
    except u.UnitsError as error:
        assert own is not None
        raise InputError(
            f"{what}: found unit {own.to_string()!r}, expected one convertible to {str(unit)!r}."
        ) from error
    except (TypeError, ValueError, OverflowError) as error:
        raise _no_number(value, unit, what) from error
    if mask is not None and masked is None:
        raise _masked(mask, what)
    return found


def _parts(value: Any, unit: str | u.UnitBase | None, what: str) -> Parts:
    """Take apart what is given; InputError for texts that are no Quantity and for lists of which some have a unit."""
    try:
        return _taken_apart(value, what)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise _no_number(value, unit, what) from error


def _taken_apart(value: Any, what: str) -> Parts:
    kind = type(value)
    if kind in BARE or isinstance(value, jax.Array):
        return Parts(value)
    if isinstance(value, str):
        value = u.Quantity(value)
    elif isinstance(value, list | tuple):
        return _list_taken_apart(value, what)
    if not isinstance(value, np.ndarray):
        return Parts(value)
    if value.dtype.kind == "U":
        return _taken_apart(value.tolist(), what)
    unit, mask = getattr(value, "unit", None), getattr(value, "mask", None)
    # of masked arrays of astropy, which are no arrays to NumPy's functions
    numbers = np.asarray(getattr(value, "unmasked", value))
    if mask is not None:
        mask = np.broadcast_to(np.asarray(mask, bool), numbers.shape)
    unit = None if unit is None else parse_unit(unit, what)
    if isinstance(unit, u.function.FunctionUnitBase):
        # magnitudes and dex
        numbers, unit = unit.to(unit.physical_unit, numbers), unit.physical_unit
    return Parts(numbers, unit, mask if np.any(mask) else None)


def _list_taken_apart(values: Sequence[Any], what: str) -> Parts:
    if all(type(v) in BARE or not isinstance(v, str | list | tuple | np.ndarray) for v in values):
        return Parts(values)
    parts = [_taken_apart(v, what) for v in values]
    units = [p.unit for p in parts if p.unit is not None]
    if units and len(units) < len(parts):
        raise TypeError("some entries have a unit and some have none")
    masks = [p.mask for p in parts]
    if not units and all(m is None for m in masks):
        return Parts(values)
    numbers = [p.numbers if p.unit is None else p.unit.to(units[0], p.numbers) for p in parts]
    if any(m is not None for m in masks):
        mask = np.array([np.zeros(np.shape(n), bool) if m is None else m for n, m in zip(numbers, masks, strict=True)])
        return Parts(np.array(numbers), units[0] if units else None, mask)
    return Parts(np.array(numbers), units[0])


def _real(numbers: Any) -> Any:
    """The numbers themselves; TypeError for dates and complex numbers, ValueError for lists that differ in length."""
    if isinstance(numbers, list | tuple):
        traced = any(isinstance(n, jax.core.Tracer) for n in numbers)
        numbers = jnp.asarray(numbers) if traced else np.asarray(numbers)
    kind = getattr(numbers, "dtype", None)
    if kind is not None and not any(jnp.issubdtype(kind, k) for k in (np.floating, np.integer, np.bool_, np.object_)):
        raise TypeError(f"numbers of the type {kind}")
    return numbers


def _no_number(value: object, unit: str | u.UnitBase | None, what: str) -> InputError:
    if unit is None:
        expected = "numbers, or a Quantity such as '1 TeV'"
    else:
        expected = f"a Quantity such as '1 {unit}', or numbers in {unit}" if str(unit) else "numbers without unit"
    return InputError(f"{what}: found {_shown(value)}, expected {expected}.")


def _no_mask(value: object, what: str) -> InputError:
    return InputError(f"{what}: found {_shown(value)}, expected True and False, or the numbers 1 and 0.")


def _masked(mask: np.ndarray, what: str) -> InputError:
    return InputError(
        f"{what}: found {int(np.sum(mask))} masked of {np.size(mask)} numbers, expected none. Leave them out, or fill "
        "in what they are."
    )


def _shown(value: object) -> str:
    return repr(str(value)[:60])


def unit_of_file(text: object, what: str) -> u.UnitBase:
    """The unit that a file names. One that astropy cannot read converts to none: it is refused where it is needed.

    InputError for what is no text, and for powers that no number can hold.
    """
    if not isinstance(text, str):
        raise InputError(f"{what}: found {text!r}, expected a text such as 'TeV'. Correct the header.")
    try:
        return parse_unit(text.strip() or None, what)
    except InputError as error:
        try:
            found = u.Unit(text, parse_strict="silent")
        except Exception:  # astropy raises many types on texts that look like units
            raise error from error.__cause__
        if not isinstance(found, u.UnrecognizedUnit):
            raise error
        return found
