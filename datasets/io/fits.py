"""FITS tables at the file edge: opened whole, checked for cuts, read column by column with units."""

import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from numpy.typing import ArrayLike

from ..errors import InputError, warn
from ..units import unit_of_file
from .paths import Filename, as_path, existing, read_bytes
from .text import from_ascii, texts_from_ascii, texts_to_ascii, to_ascii

Hdu: TypeAlias = fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU
"""One part of a FITS file: an image, or a table."""

Card = str | bool | int | float
"""What a header card may hold."""

Column = tuple[str, str, ArrayLike, str | None]
"""Name, FITS format, values and unit of a column."""

Fields = dict[str, Any]
"""Arguments of a constructor by name: its parameters have the types."""

LONG = 500
"""Letters of a name from which on it is cut in messages."""

BLOCK = 2880

CARD = 80

PARTS, MOST_PARTS = re.compile(rb"(NAXIS|TFIELDS) *= *([^ /]{1,20})"), 999
"""The cards of the numbers of axes and of columns, and the most there can be of each by the standard."""

SIZES = re.compile(rb"(NAXIS[0-9]{1,3}|PCOUNT|GCOUNT) *= *([^ /]{1,20})")
"""The cards of which the size of the data is a product, none of them more than the bytes of the file."""

KEYWORD = re.compile(r"(?!COMMENT|HISTORY)[A-Z0-9_-]{1,8}$")

EDGE_MATCH = 1e-5
"""Relative difference up to which bin edges of two files are the same: one of them may be stored in float32."""


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Put the file's name in front of an `InputError` from inside, and make one of what else its content leads to.

    Readers look for the flaws that there are; a number that is too large, or a shape that is another, may still come
    to light far inside.
    """
    name = str(where)
    # names of thousands of letters are refused, and must not hide why
    shown = name if len(name) < LONG else name[:40] + "..."
    try:
        yield
    except InputError as error:
        if name in str(error):
            raise
        raise InputError(f"{shown}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{shown}: the content cannot be made use of ({type(error).__name__}: {str(error)[:LONG]}). The file may "
            "be damaged, or be of another kind. Copy it again, and check what it is."
        ) from error


Default = TypeVar("Default", bound=Card | None)


def finite(value: object, what: str) -> float:
    """A finite number; text that spells one is accepted, as some writers quote numbers."""
    try:
        number = float(value.replace("D", "E") if isinstance(value, str) else value)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{what} is {value!r}, expected a number. Correct the header.")
    return number


class FitsTable:
    """One table HDU of a file. ``where`` names file and HDU in messages."""

    def __init__(self, hdu: fits.BinTableHDU, where: str):
        self.hdu, self.where = hdu, where
        self.header = hdu.header
        self.names = {name.upper(): name for name in hdu.columns.names}

    def __contains__(self, column: str) -> bool:
        return column in self.names

    def __len__(self) -> int:
        return int(self.header["NAXIS2"])

    def raw(self, column: str) -> np.ndarray:
        """The column as stored, in the machine's byte order; variable-length columns are object arrays."""
        if column not in self:
            raise InputError(
                f"{self.where}: the column {column} is missing; there are {', '.join(self.names) or 'none'}. "
                f"Add the column, or check that this is the right file."
            )
        try:
            array = np.array(self.hdu.data[self.names[column]])
        except Exception as error:  # astropy raises many types on damaged tables
            raise InputError(
                f"{self.where}: the column {column} cannot be read ({error}). The file is damaged."
            ) from error
        if array.dtype.hasobject:
            return array
        return texts_from_ascii(array) if array.dtype.kind == "U" else array.astype(array.dtype.newbyteorder("="))

    def unit(self, column: str) -> u.UnitBase:
        """The unit of a column; one that cannot be read converts to none."""
        text = self.hdu.columns[self.names[column]].unit
        text = "" if text is None else text
        with warnings.catch_warnings():
            # astropy warns about units that it reads but would write differently
            warnings.simplefilter("ignore", u.UnitsWarning)
            return unit_of_file(text, f"{self.where}: unit of {column}")

    def column(self, column: str, unit: str | None = None) -> np.ndarray:
        """The column as float64; with ``unit`` it is converted to that unit, and must carry one unless it is ''."""
        array = self.raw(column)
        if array.dtype.kind not in "biuf":
            raise InputError(f"{self.where}: the column {column} must hold numbers, found type {array.dtype}.")
        array = array.astype(float)
        if unit is None:
            return array
        own = self.unit(column)
        if not own.is_equivalent(unit):
            found = repr(own.to_string()) if own != u.dimensionless_unscaled else "none"
            raise InputError(
                f"{self.where}: unit of {column}: found {found}, expected one convertible to {unit!r}. "
                "Correct the TUNIT keyword of the column."
            )
        factor = own.to(unit)
        return array if factor == 1 else array * factor

    def text(self, key: str, default: str = "") -> str:
        return str(self.card(key, default)).strip()

    def number(self, key: str, default: float | None = None) -> float:
        """A header keyword as a number; strings that spell one are accepted, as some writers quote numbers."""
        value = self.card(key, default)
        if value is None:
            raise InputError(f"{self.where}: the keyword {key} is missing, expected a number. Add it to the header.")
        return finite(value, f"{self.where}: the keyword {key}")

    def card(self, key: str, default: Default) -> Card | Default:
        """The value of a header keyword, or the default where it is missing or empty."""
        try:
            value: Card | None = self.header.get(key, default)
        except Exception as error:  # astropy parses cards when they are asked for
            raise InputError(
                f"{self.where}: the keyword {key} cannot be read ({error}). Correct the header."
            ) from error
        if value is None or isinstance(value, fits.card.Undefined):
            return default
        return from_ascii(value) if isinstance(value, str) else value


class FitsFile:
    """A FITS file, read into memory and checked."""

    def __init__(self, filename: Filename):
        path = as_path(filename)
        self.path = existing(path) or path
        self.hdus = _open(read_bytes(path), self.path)

    def __contains__(self, name: str) -> bool:
        return any(hdu.name == name for hdu in self.hdus)

    def __str__(self) -> str:
        return str(self.path)

    def names(self) -> str:
        return ", ".join(hdu.name or "PRIMARY" for hdu in self.hdus)

    def table(self, *names: str) -> FitsTable:
        """The table HDU of this name (the first of several accepted names that is there)."""
        for name in names:
            found = [hdu for hdu in self.hdus if hdu.name == name]
            if len(found) > 1:
                raise InputError(f"{self.path}: there are {len(found)} HDUs {name}, expected one. Split the file.")
            if found:
                if not isinstance(found[0], fits.BinTableHDU):
                    raise InputError(f"{self.path}: the HDU {name} is an image, expected a table of one spectrum.")
                return FitsTable(found[0], f"{self.path}[{name}]")
        raise InputError(
            f"{self.path}: the HDU {' or '.join(names)} is missing; there are {self.names()}. "
            "Check that this is the right file and that it is complete."
        )


def _require_parts(data: bytes, cut: str) -> None:
    """An `InputError` for more axes, columns or bytes than there can be.

    astropy would ask for each of them, and for HDUs of a negative size without an end.
    """
    for cards, most in ((PARTS, MOST_PARTS), (SIZES, len(data))):
        for found in cards.finditer(data):
            if found.start() % CARD == 0 and not (found[2].isdigit() and int(found[2]) <= most):
                raise InputError(cut.format(f"{found[1].decode()} is {found[2].decode('latin-1')!r}"))


def _open(data: bytes, path: Path) -> list[Hdu]:
    if not data.startswith(b"SIMPLE  ="):
        if data.startswith(b"version https://git-lfs"):
            raise InputError(
                f"{path}: this is not the file, but the note of git-lfs in its place. Fetch the file: git lfs pull."
            )
        raise InputError(
            f"{path}: not a FITS file, it starts with {data[:9]!r} and not with 'SIMPLE  ='. Check the name."
        )
    cut = f"{path}: the file is cut off or damaged ({{}}). Copy or download it again."
    if len(data) % BLOCK:
        raise InputError(cut.format(f"{len(data)} bytes is not a multiple of {BLOCK}"))
    _require_parts(data, cut)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with fits.open(io.BytesIO(data), memmap=False, checksum=True, lazy_load_hdus=False) as hdulist:
                hdus = list(hdulist)
                spans = [hdu.fileinfo() for hdu in hdus]
                for hdu in hdus:
                    # read while the stream is open, and here, where a flaw gets its message
                    _ = hdu.name, hdu.data
        except Exception as error:  # astropy raises many types on damaged files
            raise InputError(cut.format(error)) from error
    wrong = [text for w in caught if "hecksum" in (text := str(w.message)) or "atasum" in text]
    if wrong:
        warn(
            f"{path}: {wrong[0].strip().rstrip('.')}: the content does not match the checksum stored with it. It was "
            "changed after it was written, or is damaged. Copy the file again, or remove CHECKSUM and DATASUM from the "
            "header if it was changed on purpose."
        )
    end = spans[-1]["datLoc"] + spans[-1]["datSpan"]
    if end > len(data):
        raise InputError(cut.format(f"the data of HDU {hdus[-1].name!r} end at byte {end}, the file at {len(data)}"))
    if data[end:].strip(b"\0 "):
        raise InputError(cut.format(f"after byte {end} there is something that is not a complete HDU"))
    return hdus


def readable_cards(header: fits.Header, where: str) -> dict[str, Card]:
    """Keywords and values of a header. Raises InputError for a card that cannot be parsed: astropy does so late."""
    cards: dict[str, Card] = {}
    with warnings.catch_warnings():
        # cards that can be read but would be written differently
        warnings.simplefilter("ignore", AstropyWarning)
        for card in header.cards:
            try:
                keyword, value = card.keyword, card.value
            except Exception as error:  # astropy parses cards when they are asked for
                raise InputError(f"{where}: a header card cannot be read ({error}). Correct the header.") from error
            if KEYWORD.match(keyword) and not isinstance(value, fits.card.Undefined):
                cards[keyword] = from_ascii(value) if isinstance(value, str) else value
    return cards


def bin_edges(table: FitsTable, low: str, high: str) -> np.ndarray:
    """Edges in TeV from columns of lower and upper energies, which must join.

    A first edge of 0, as X-ray programs write it, is moved up so that the first bin is as wide as the second in ln E: a
    flux may have any value below.
    """
    lower, upper = table.column(low, "TeV"), table.column(high, "TeV")
    if lower.ndim != 1 or lower.size == 0:
        raise InputError(
            f"{table.where}: {low} has shape {lower.shape}, expected one energy per row and at least one row."
        )
    edges = np.append(lower, upper[-1])
    if edges[0] == 0 and edges.size > 2 and edges[2] > 0:
        edges[0] = edges[1] ** 2 / edges[2]
    if not (np.all(np.isfinite(edges)) and np.all(edges > 0) and np.all(np.diff(edges) > 0)):
        raise InputError(
            f"{table.where}: energies in {low} and {high} must be positive, finite and increasing, found {edges} TeV."
        )
    gaps = ~same_edges(lower[1:], upper[:-1])
    if gaps.any():
        row = int(np.argmax(gaps))
        raise InputError(
            f"{table.where}: bins must join, but {high} of row {row} is {upper[row]} TeV and {low} of row {row + 1} "
            f"{lower[row + 1]} TeV. Rebin the file to bins without gaps."
        )
    return edges


def same_edges(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Elementwise: equal up to the precision in which files store energies."""
    return np.abs(first - second) <= EDGE_MATCH * np.abs(second)


def require_same_edges(first: np.ndarray, second: np.ndarray, what: str, cure: str) -> None:
    """Both lists of edges agree in number and value, or an `InputError` that starts with ``what``."""
    if first.shape != second.shape:
        raise InputError(f"{what}: found {first.size - 1} and {second.size - 1} bins, expected the same. {cure}")
    different = ~same_edges(first, second)
    if different.any():
        i = int(np.argmax(different))
        raise InputError(
            f"{what}: edge {i} is {first[i]:.9g} TeV in the one and {second[i]:.9g} TeV in the other, expected the "
            f"same. {cure}"
        )


def table_hdu(name: str, columns: Sequence[Column], header: Mapping[str, Card | tuple[Card, str]]) -> fits.BinTableHDU:
    """A table HDU from its columns and header cards, by keyword: a value, or a value and its comment.

    Text may be of any language, see `text`; columns of text are as wide as it takes, whatever their format says.
    """
    hdu = fits.BinTableHDU.from_columns([fits_column(n, f, unit, array) for n, f, array, unit in columns], name=name)
    set_cards(hdu.header, header)
    return hdu


def set_cards(header: fits.Header, cards: Mapping[str, Card | tuple[Card, str]]) -> None:
    """Set header cards by keyword: a value, or a value and its comment."""
    for key, card in cards.items():
        value, *comment = card if isinstance(card, tuple) else (card,)
        header[key] = (to_ascii(value) if isinstance(value, str) else value, *comment)


def fits_column(name: str, form: str, unit: str | None, array: ArrayLike, dim: str | None = None) -> fits.Column:
    """A column; ``form`` and ``dim`` are its TFORM and TDIM."""
    values = np.asarray(array) if form.endswith("A") else None
    if values is not None and values.dtype.kind == "U" and values.size:
        values = texts_to_ascii(values)
        width = max(values.dtype.itemsize // 4, 1)
        form = f"{width * int(np.prod(values.shape[1:]))}A"
        dim = None if values.ndim == 1 else f"({','.join(map(str, (width, *reversed(values.shape[1:]))))})"
        return fits.Column(name, form, unit, dim=dim, array=values)
    return fits.Column(name, form, unit, dim=dim, array=array)


def integer_format(array: np.ndarray) -> str:
    """Smallest of the FITS integer formats I, J, K that holds the (integral) values."""
    top = int(np.max(array, initial=0))
    return "I" if top < 2**15 else "J" if top < 2**31 else "K"


def to_bytes(hdus: Sequence[Hdu]) -> bytes:
    """A FITS file of these HDUs after an empty primary one (unless the first is one), with checksums."""
    hdus = list(hdus) if isinstance(hdus[0], fits.PrimaryHDU) else [fits.PrimaryHDU(), *hdus]
    for hdu in hdus:
        hdu.header["CREATOR"] = "gammajax"
    stream = io.BytesIO()
    with warnings.catch_warnings():
        # kept header cards of others may not be standard
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)
        fits.HDUList(hdus).writeto(stream, checksum=True, output_verify="silentfix+ignore")
    return stream.getvalue()
