"""One quantity of a map file in gammapy's GADF form: the HDU X with an image, or a region's table, and X_BANDS."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy import units as u
from astropy.io import fits

from ..arrays import Array, frozen_array
from ..errors import InputError
from ..sky.axis import MapAxis
from ..sky.geom import SkyGeom
from ..units import unit_of_file
from .bins import usable_bins
from .fits import Card, Column, FitsFile, FitsTable, Hdu, naming, readable_cards, set_cards, table_hdu
from .region_table import PackedTable, unpack_region

COUNT_UNITS = ("ct", "cts", "count", "counts")
"""Unit strings that writers give to numbers of events; they are plain numbers."""

AXIS_UNITS = {"energy": "TeV", "energy_true": "TeV", "rad": "deg", "migra": ""}

ENERGY_NAMES = ("energy_true", "energy")

AXIS_NAMES = {"e": "energy", "theta": "rad"}

JOIN = 1e-6
"""Largest relative difference between the end of a bin and the start of the next: edges may be stored in float32."""

STRUCTURE = re.compile(
    r"(XTENSION|SIMPLE|BITPIX|NAXIS\d*|[PG]COUNT|EXTEND|EXTNAME|AXCOLS\d|INTERP\d|WCSSHAPE|BANDSHDU|META|BUNIT|CREATOR|"
    r"CREATED|CHECKSUM|DATASUM|BSCALE|BZERO|DATE.*|MJD.*)$"
)
"""Header cards of the file's form and making: they differ between images of the same pixels."""


class StoredMap(NamedTuple):
    """``values`` in ``unit``, shape (n_last_axis, ..., n_first_axis, ny, nx); ``geom`` is None for a region's table.

    ``axes`` are in the order of the file, the first varies fastest. ``meta`` is the mapping that gammapy keeps with a
    map, ``where`` names file and HDU in messages.
    """

    where: str
    values: np.ndarray
    unit: u.UnitBase
    axes: tuple[MapAxis, ...]
    geom: SkyGeom | None
    meta: dict[str, Any]

    def to_value(self, unit: str) -> np.ndarray:
        """The values in another unit."""
        if not self.unit.is_equivalent(unit):
            found = self.unit.to_string() or "none"
            raise InputError(
                f"{self.where}: the unit is {found!r}, expected one convertible to {unit!r}. Correct BUNIT (images) or "
                "TUNIT (tables) in the header."
            )
        factor = self.unit.to(unit)
        return self.values if factor == 1 else self.values * factor

    def require_axes(self, *names: str) -> "StoredMap":
        """The map with axes of these names, fastest first; they are exchanged where a file has another order."""
        own = tuple(axis.name for axis in self.axes)
        if sorted(own) != sorted(names):
            raise InputError(
                f"{self.where}: the axes are {list(own)}, expected {list(names)}. Correct AXCOLS in the BANDS table, "
                "or check that this is the right file."
            )
        if own == names:
            return self
        # axis i of the file is dimension n - 1 - i of the array
        n = len(own)
        order = [n - 1 - own.index(name) for name in reversed(names)]
        values = np.transpose(self.values, (*order, n, n + 1))
        return self._replace(values=values, axes=tuple(self.axes[own.index(name)] for name in names))

    def has_pixels_of(self, other: "StoredMap") -> bool:
        """Whether both maps show the same pixels of the sky, or both one region."""
        if self.geom is other.geom:
            return True
        return self.geom is not None and other.geom is not None and self.geom.is_same(other.geom)

    def require_finite(self, negative: bool = False, excluded: np.ndarray | None = None) -> "StoredMap":
        """The map with values that are finite, and not below zero unless ``negative``; see `bins.usable_bins`."""
        return self._replace(values=usable_bins(self.values, self.where, excluded, negative))


def is_region(file: FitsFile, name: str) -> bool:
    """Whether a quantity is stored for one region (a table) and not as an image."""
    hdu = _hdu(file, name)
    if not isinstance(hdu, fits.BinTableHDU):
        return False
    if "DATA" not in (column.upper() for column in hdu.columns.names):
        raise InputError(
            f"{file}[{name}]: a table with the columns {', '.join(hdu.columns.names)}, expected an image, or a table "
            "with DATA for one region. HEALPix and sparse maps are not read: write the map as an image."
        )
    return True


def read_quantity(file: FitsFile, name: str, geoms: dict[str, SkyGeom] | None = None) -> StoredMap:
    """Read one quantity. ``geoms`` collects the geometries of a file, so that equal headers give one object."""
    hdu = _hdu(file, name)
    where = f"{file}[{name}]"
    header = readable_cards(hdu.header, where)
    axes = _axes(file, name, header, where)
    shape = tuple(axis.nbin for axis in reversed(axes))
    with naming(where):
        if is_region(file, name):
            table = FitsTable(hdu, where)
            values, geom = table.column("DATA"), None
            text = hdu.columns[table.names["DATA"]].unit
            if values.size != np.prod(shape):
                raise InputError(
                    f"DATA holds {values.size} numbers, expected {shape} as {name}_BANDS says. Write both again."
                )
            values = values.reshape((*shape, 1, 1))
        else:
            if hdu.data is None or hdu.data.dtype.kind not in "biuf":
                raise InputError("the HDU holds no image. Check that the file is complete.")
            # FITS stores big-endian numbers
            values = frozen_array(hdu.data)
            if values.shape[:-2] != shape or values.ndim < 2:
                raise InputError(
                    f"the image has shape {values.shape}, expected {shape} and two sky axes, as {name}_BANDS says. "
                    "Write image and BANDS from one source."
                )
            geom = _geometry(header, values.shape[-2:], where, {} if geoms is None else geoms)
            text = header.get("BUNIT")
        return StoredMap(where, values, _unit(text), axes, geom, _meta(header))


def _hdu(file: FitsFile, name: str) -> Hdu:
    found = [hdu for hdu in file.hdus if hdu.name == name]
    if len(found) != 1:
        problem = f"there are {len(found)} HDUs {name}" if found else f"the HDU {name} is missing"
        raise InputError(
            f"{file}: {problem}; the file has {file.names()}, expected {name} once. Check that this is the right file "
            "and that it is complete."
        )
    return found[0]


def _geometry(header: Mapping[str, Card], shape: tuple[int, ...], where: str, geoms: dict[str, SkyGeom]) -> SkyGeom:
    ny, nx = shape
    cards = {keyword: value for keyword, value in header.items() if not STRUCTURE.match(keyword)}
    text = f"{ny} {nx} {cards}"
    if text not in geoms:
        new = SkyGeom.from_header(cards, (ny, nx), where)
        geoms[text] = next((geom for geom in geoms.values() if new.is_same(geom)), new)
    return geoms[text]


def _axes(file: FitsFile, name: str, header: Mapping[str, Card], where: str) -> tuple[MapAxis, ...]:
    bands = str(header.get("BANDSHDU", "") or f"{name}_BANDS").strip().upper()
    if bands not in file:
        raise InputError(
            f"{where}: the HDU {bands}, which describes the axes, is missing; there are {file.names()}. Check that the "
            "file is complete."
        )
    table = file.table(bands)
    axes = []
    for i in range(1, 6):
        columns = table.text(f"AXCOLS{i}") or str(header.get(f"AXCOLS{i}", ""))
        if not columns.strip():
            break
        names = [c.strip().upper() for c in columns.split(",")]
        interp = table.text(f"INTERP{i}") or str(header.get(f"INTERP{i}", unstated_scale(names[0])))
        with naming(table.where):
            axes.append(_axis(table, i, names, interp.strip().lower()))
    if not axes:
        raise InputError(
            f"{table.where}: no AXCOLS1 in the header, expected the columns of an axis, such as 'E_MIN,E_MAX'. Add it."
        )
    return tuple(axes)


def unstated_scale(column: str) -> str:
    """Scale of an axis that says none, from its first column: energies are logarithmic."""
    return "log" if column.upper().startswith(("E_MIN", "ENERGY")) else "lin"


def _axis(table: FitsTable, i: int, columns: list[str], interp: str) -> MapAxis:
    if len(columns) not in (1, 2):
        raise InputError(f"AXCOLS{i} is {','.join(columns)!r}, expected NAME_MIN,NAME_MAX (edges) or NAME (centres).")
    name = columns[0].lower()
    name = name.removesuffix("_min") if len(columns) == 2 else name
    name = AXIS_NAMES.get(name, name)
    nodes = [_in_order(table.column(column, AXIS_UNITS.get(name))) for column in columns]
    unit = u.Unit(AXIS_UNITS[name]) if name in AXIS_UNITS else table.unit(columns[0])
    if len(columns) == 1:
        return MapAxis(nodes[0], interp, name, unit, "center")
    low, high = nodes
    if low.size != high.size or low.size == 0:
        raise InputError(
            f"found {low.size} different values of {columns[0]} and {high.size} of {columns[1]}, expected the same "
            "number and at least one. Write the table again."
        )
    gaps = np.abs(low[1:] - high[:-1]) > JOIN * np.maximum(np.abs(high[:-1]), high[:-1] - low[:-1])
    if gaps.any():
        k = int(np.argmax(gaps))
        raise InputError(
            f"bins must join, but {columns[1]} of bin {k} is {high[k]} and {columns[0]} of bin {k + 1} is "
            f"{low[k + 1]} {unit}. Rebin the map to bins without gaps."
        )
    return MapAxis(np.append(low, high[-1]), interp, name, unit, "edges")


def _in_order(column: np.ndarray) -> np.ndarray:
    """The different values of a column, in the order in which they come: an axis that runs backwards is found out."""
    values, first = np.unique(column, return_index=True)
    return values[np.argsort(first)]


def _unit(text: Card | None) -> u.UnitBase:
    text = str(text or "").strip()
    return u.dimensionless_unscaled if text.lower() in COUNT_UNITS else unit_of_file(text, "the unit of the map")


def _meta(header: Mapping[str, Card]) -> dict[str, Any]:
    text = header.get("META", "")
    try:
        meta = json.loads(text) if isinstance(text, str) and text.strip() else {}
    except ValueError as error:
        raise InputError(f"META is not JSON ({error}): {text!r}. Correct or remove the keyword.") from error
    return meta if isinstance(meta, dict) else {}


def map_hdus(
    key: str,
    values: Array,
    unit: str,
    axes: Sequence[MapAxis],
    geom: SkyGeom | None,
    meta: Mapping[str, object] | None = None,
    region: PackedTable | None = None,
) -> list[Hdu]:
    """HDUs of one quantity: an image (or a table, where ``geom`` is None) and its BANDS; the last axis comes first.

    ``values`` have shape (n_last_axis, ..., n_first_axis, ny, nx). ``region`` is a packed region table.
    """
    values = np.asarray(values)
    cards: dict[str, Card] = {}
    for i, axis in enumerate(axes, start=1):
        cards |= {f"AXCOLS{i}": ",".join(_columns(axis)), f"INTERP{i}": axis.interp}
    bands = _bands(f"{key}_BANDS", axes, cards)
    if geom is None:
        rows = values.reshape(len(values), -1)
        letter = "L" if rows.dtype == bool else "D"
        columns = [
            ("CHANNEL", "J", np.arange(len(rows)), None),
            ("DATA", f"{rows.shape[1]}{letter}", rows, unit or None),
        ]
        table = table_hdu(key, columns, cards)
        return [table, bands, *([unpack_region(region, f"{key}_REGION")] if region else [])]
    image = fits.ImageHDU(_compact(values), name=key)
    set_cards(image.header, geom.header)
    shape = ",".join(str(n) for n in (geom.shape[1], geom.shape[0], *(axis.nbin for axis in axes)))
    cards |= {"WCSSHAPE": f"({shape})", "BANDSHDU": bands.name, "META": json.dumps(meta or {}), "BUNIT": unit}
    set_cards(image.header, cards)
    return [image, bands]


def _columns(axis: MapAxis) -> list[str]:
    name = axis.name.upper()
    if axis.node_type == "center":
        return [name]
    stem = "E" if name == "ENERGY" else name
    return [f"{stem}_MIN", f"{stem}_MAX"]


def _bands(key: str, axes: Sequence[MapAxis], cards: Mapping[str, Card]) -> fits.BinTableHDU:
    """One row per combination of bins, the first axis running fastest."""
    index = [i.ravel() for i in np.meshgrid(*(np.arange(axis.nbin) for axis in reversed(axes)), indexing="ij")]
    columns: list[Column] = [("CHANNEL", "K", np.arange(index[0].size), None)]
    for axis, i in zip(axes, reversed(index), strict=True):
        unit = axis.unit.to_string("fits") or None
        stem = "E" if axis.name == "energy" else axis.name.upper()
        # one centre alone has no edges
        edges = axis.edges.value if axis.nodes.size > 1 else axis.nodes[[0, 0]]
        columns += [
            (axis.name.upper(), "D", axis.center.value[i], unit),
            (f"{stem}_MIN", "D", edges[:-1][i], unit),
            (f"{stem}_MAX", "D", edges[1:][i], unit),
        ]
    return table_hdu(key, columns, cards)


def _compact(values: np.ndarray) -> np.ndarray:
    """The same numbers in fewer bytes, where that loses nothing."""
    if values.dtype == bool:
        return values.astype(np.uint8)
    values = values.astype(float)
    with np.errstate(over="ignore"):
        short = values.astype(np.float32)
    return short if np.array_equal(short, values, equal_nan=True) else values
