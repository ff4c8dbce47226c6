"""Numbers as people hand them in: every kind of array, column and text that one argument can be given as.

For the contract test of all arguments that take numbers: what each kind has to lead to is said here, once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn
from astropy.time import Time
from astropy.utils.masked import Masked

OTHER = {
    "": "%",
    "TeV": "GeV",
    "cm2 s": "m2 h",
    "s": "min",
    "d": "h",
    "deg": "arcmin",
    "sr-1": "deg-2",
    "TeV-1 s-1 cm-2": "GeV-1 h-1 m-2",
    "s-1 cm-2": "h-1 m-2",
    "TeV s-1 cm-2": "erg h-1 m-2",
    "TeV-1": "GeV-1",
    "TeV-1 s-1 cm-2 sr-1": "GeV-1 s-1 m-2 deg-2",
    "d-1": "h-1",
    "s-1": "kHz",
    "rad d-1": "deg h-1",
    "s-2": "min-2",
    "s-3": "min-3",
}
"""Another unit of the same kind, by the unit of plain numbers."""

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")

SAME, EITHER, REFUSED, HIDDEN = "same", "same or refused", "refused", "hidden"
"""The result of the plain number; that or an InputError; an InputError; the latter, or one that hidden numbers do not
change. Every InputError names the argument."""


@dataclass(frozen=True)
class Argument:
    """An argument that takes numbers: ``where`` is "Class.method: argument" or "function: argument".

    ``call`` is given the argument and returns numbers. ``plain``: a number or list without unit, ``unit`` its unit,
    ``other`` another one. ``name`` stands in every error (default: the argument). ``masked``: whether masked entries
    may pass because something is left out for them. ``times``: an astropy Time is a number here. ``text``: "1 TeV" is.
    ``mask``: True and False. ``bare``: numbers without unit are taken.
    """

    where: str
    call: Callable[[Any], Any]
    plain: Any
    unit: str = ""
    other: str = ""
    name: str = ""
    masked: bool = False
    times: bool = False
    text: bool = True
    mask: bool = False
    bare: bool = True

    @property
    def named(self) -> str:
        return self.name or self.where.split(": ")[1]


def numbers_of(result: Any) -> list[np.ndarray]:
    """Bare numbers of a result, or of several."""
    results = result if isinstance(result, tuple) else (result,)
    return [np.asarray(getattr(r, "value", r), float) for r in results]


Kind = tuple[str, Any, str]


def kinds_of(argument: Argument) -> Iterator[Kind]:
    """All kinds in which the plain numbers can be given: a label, what is given, and what it has to lead to."""
    plain = np.array(argument.plain, float)
    for label, given, wanted in _arrays(plain, argument.plain):
        yield label, given, wanted if argument.bare else REFUSED
    yield from _nonsense(plain, argument)
    yield from _masks(plain, argument)
    if argument.mask:
        return
    other = argument.other or OTHER[argument.unit]
    # events have no unit, or are counted
    moved = plain if other == "ct" else plain * u.Unit(argument.unit).to(other)
    for label, numbers, unit in (("own unit", plain, argument.unit), ("other unit", moved, other)):
        quantity = u.Quantity(numbers, unit)
        yield f"Quantity, {label}", quantity, SAME
        yield f"big-endian Quantity, {label}", u.Quantity(numbers.astype(">f8"), unit), SAME
        yield f"Column, {label}", Column(numbers, unit=unit), SAME
        yield f"MaskedColumn, {label}", MaskedColumn(numbers, unit=unit), SAME
        yield f"Masked Quantity, {label}", Masked(quantity, mask=np.zeros(plain.shape, bool)), SAME
        if plain.ndim:
            yield f"list of Quantities, {label}", list(quantity), SAME
            yield (
                f"list of texts, {label}",
                [f"{float(n)!r} {unit}" for n in numbers] if plain.ndim == 1 else None,
                EITHER,
            )
        else:
            yield f"text, {label}", f"{float(numbers)!r} {unit}".strip(), SAME if argument.text else EITHER
    wrong = "kg" if argument.unit != "kg" else "s"
    yield "Quantity, wrong unit", u.Quantity(plain, wrong), REFUSED
    yield "Column, wrong unit", Column(plain, unit=wrong), REFUSED
    yield "MaskedColumn, wrong unit", MaskedColumn(plain, unit=wrong), REFUSED
    yield "list of Quantities, wrong unit", list(u.Quantity(plain, wrong)) if plain.ndim else None, REFUSED
    yield "text, wrong unit", f"1 {wrong}", REFUSED


def _arrays(plain: np.ndarray, given: Any) -> Iterator[Kind]:
    whole = bool(np.all(plain == np.rint(plain)))
    for kind in ("float64", "float32", ">f8", ">f4", "object"):
        yield f"NumPy {kind}", plain.astype(kind), SAME
    for kind in ("float64", "float32"):
        yield f"JAX {kind}", jnp.asarray(plain, kind), EITHER
    for kind in INTEGERS if whole else ():
        if plain.min() >= np.iinfo(kind).min and plain.max() <= np.iinfo(kind).max:
            yield f"NumPy {kind}", plain.astype(kind), SAME
            yield f"JAX {kind}", jnp.asarray(plain.astype(kind)), EITHER
    yield "big-endian integers", plain.astype(">i4") if whole else None, SAME
    yield "Column without unit", Column(plain), SAME
    yield "MaskedColumn without unit", MaskedColumn(plain), SAME
    yield "masked array without masked entries", np.ma.array(plain, mask=np.zeros(plain.shape, bool)), SAME
    yield "Masked without masked entries", Masked(plain, mask=np.zeros(plain.shape, bool)), SAME
    if plain.ndim:
        yield "tuple", tuple(given), SAME
        yield "not contiguous", np.repeat(plain, 2, axis=0)[::2], SAME
        yield "reversed view", plain[::-1].copy()[::-1], SAME
        yield "Fortran order", np.asfortranarray(plain), SAME
        yield "broadcast view", np.broadcast_to(plain, (2, *plain.shape))[0], SAME
    else:
        yield "NumPy scalar", np.float64(plain), SAME
        yield "float32 scalar", np.float32(plain), SAME
        yield "int of Python", int(plain) if whole else None, SAME
        yield "integer scalar", np.int64(plain) if whole else None, SAME


def _nonsense(plain: np.ndarray, argument: Argument) -> Iterator[Kind]:
    yield "text", "not a number", REFUSED
    yield "texts", np.full(plain.shape, "seven"), REFUSED
    yield "bytes", np.full(plain.shape, b"7"), REFUSED
    yield "complex", plain + 1j, REFUSED
    yield "complex of JAX", jnp.asarray(plain + 1j), REFUSED
    yield "date", np.full(plain.shape, "2020-01-01", "M8[D]"), REFUSED
    yield "Time", None if argument.times else Time(np.full(plain.shape, 55555.0), format="mjd"), REFUSED
    yield "mapping", {}, REFUSED
    yield "object", object(), REFUSED


def _masks(plain: np.ndarray, argument: Argument) -> Iterator[Kind]:
    """The first entry is masked; each kind twice, with other numbers under the mask."""
    outcome = HIDDEN if argument.masked else REFUSED
    mask = np.zeros(plain.shape, bool)
    mask.flat[0] = True

    def hiding(number: float) -> np.ndarray:
        numbers = plain.copy()
        numbers.flat[0] = number
        return numbers

    pair = (hiding(9999.0), hiding(7777.0)) if not argument.mask else (hiding(1.0), hiding(0.0))
    unit = argument.unit
    yield "masked array", tuple(np.ma.array(n, mask=mask) for n in pair), outcome
    yield "MaskedColumn", tuple(MaskedColumn(n, mask=mask) for n in pair), outcome
    yield "Masked", tuple(Masked(n, mask=mask) for n in pair), outcome
    if plain.ndim == 1:
        yield "list with a masked entry", ([np.ma.masked, *plain[1:]],) * 2, outcome
    if not argument.mask:
        yield "MaskedColumn with unit", tuple(MaskedColumn(n, mask=mask, unit=unit or None) for n in pair), outcome
        yield "Masked Quantity", tuple(Masked(u.Quantity(n, unit), mask=mask) for n in pair), outcome


def booleans(argument: Argument) -> Iterator[Kind]:
    """Ones as booleans."""
    ones = np.ones(np.shape(argument.plain), bool)
    yield "NumPy bool", ones, EITHER
    yield "JAX bool", jnp.asarray(ones), EITHER
    yield "bools of Python", ones.tolist(), EITHER
