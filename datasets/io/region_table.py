"""Regions as FITS tables, and such tables carried from file to file unread."""

import warnings
from functools import reduce
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from astropy.io import fits

from ..errors import InputError
from ..sky.geom import SkyGeom
from .fits import Card, FitsTable, fits_column, readable_cards
from .text import from_ascii, to_ascii

if TYPE_CHECKING:
    from regions import Region


class PackedColumn(TypedDict):
    """A column of a table as plain data; ``dim`` is its TDIM."""

    name: str
    format: str
    unit: str | None
    dim: str | None
    array: np.ndarray


class PackedTable(TypedDict):
    """A table as plain data: its columns, and keyword, value and comment of its header cards."""

    columns: list[PackedColumn]
    cards: list[tuple[str, Card, str]]


STRUCTURE = (
    "XTENSION",
    "BITPIX",
    "NAXIS",
    "PCOUNT",
    "GCOUNT",
    "TFIELDS",
    "EXTNAME",
    "CHECKSUM",
    "DATASUM",
    "CREATOR",
    "CREATED",
)

PROJECTION = (
    "CTYPE",
    "CRVAL",
    "CRPIX",
    "CDELT",
    "CUNIT",
    "CD1",
    "CD2",
    "PC1",
    "PC2",
    "PV",
    "RADESYS",
    "EQUINOX",
    "LONPOLE",
    "LATPOLE",
)

COLUMN = ("TTYPE", "TFORM", "TUNIT", "TDIM", "TNULL", "TSCAL", "TZERO", "TDISP", "NAXIS")


def pack_region(table: FitsTable) -> PackedTable:
    """Columns and header cards as plain data: what is needed to write the table again, and nothing interpreted."""
    columns: list[PackedColumn] = [
        {"name": c.name, "format": str(c.format), "unit": c.unit, "dim": c.dim, "array": table.raw(c.name.upper())}
        for c in table.hdu.columns
    ]
    try:
        cards = [
            (card.keyword, from_ascii(card.value) if isinstance(card.value, str) else card.value, card.comment)
            for card in table.header.cards
            if card.keyword not in STRUCTURE and not _of_column(card.keyword)
        ]
    except Exception as error:  # astropy parses cards when they are asked for
        raise InputError(f"{table.where}: a header card cannot be read ({error}). Correct the header.") from error
    return {"columns": columns, "cards": cards}


def unpack_region(region: PackedTable, name: str) -> fits.BinTableHDU:
    """Table HDU from what `pack_region` kept."""
    try:
        columns = [fits_column(c["name"], c["format"], c["unit"], c["array"], c["dim"]) for c in region["columns"]]
        cards = [
            (key, to_ascii(value) if isinstance(value, str) else value, note) for key, value, note in region["cards"]
        ]
        return fits.BinTableHDU.from_columns(columns, header=fits.Header(cards), name=name)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"meta of the dataset: the region for the HDU {name} is not what a reader of this package left there "
            f"({error}). "
            "Remove it from meta."
        ) from error


def region_hdu(region: "Region", geom: SkyGeom, name: str) -> fits.BinTableHDU:
    """A region of the ``regions`` package (or a union of some) in the pixels of ``geom``, as gammapy stores it.

    InputError for a region that FITS cannot express.
    """
    from astropy.table import Table
    from astropy.utils.exceptions import AstropyUserWarning
    from regions import Regions

    try:
        pixel = [part.to_pixel(geom.wcs) if hasattr(part, "to_pixel") else part for part in _parts(region)]
        with warnings.catch_warnings():
            # that is how it says that it leaves a region out
            warnings.simplefilter("error", AstropyUserWarning)
            table = Regions(pixel).serialize(format="fits")
    except (TypeError, ValueError, KeyError, AttributeError, AstropyUserWarning) as error:
        raise InputError(
            f"the region {type(region).__name__} has no form in FITS ({error}). Use circles, ellipses, rectangles, "
            "annuli or polygons, or unions of these."
        ) from error
    hdu = fits.table_to_hdu(Table(table))
    hdu.header.update(geom.wcs.to_header())
    # gammapy asks for the size of the image of which these are the pixels
    hdu.header["WCSSHAPE"] = f"({geom.shape[1]},{geom.shape[0]})"
    hdu.name = name
    return hdu


def region_of(table: FitsTable) -> "Region":
    """The region of the sky (a union, where there are several) in a table that `region_hdu` or gammapy wrote."""
    from astropy.table import QTable, Table
    from regions import Regions

    # the cards of the projection are all that is needed of the header
    wcs = SkyGeom.from_header(
        {key: card for key, card in readable_cards(table.header, table.where).items() if key.startswith(PROJECTION)},
        (1, 1),
        table.where,
    ).wcs
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = Regions.parse(QTable.read(table.hdu), format="fits")
            except TypeError:
                found = Regions.parse(Table.read(table.hdu), format="fits")
        for part in found:
            # the reader leaves a word there that unions do not take
            part.meta["include"] = True
        sky = [part.to_sky(wcs) for part in found]
    except Exception as error:  # regions and astropy raise many types on damaged tables
        raise InputError(f"{table.where}: the region cannot be read ({error}). Write the file again.") from error
    if not sky:
        raise InputError(f"{table.where}: the table holds no region. Write the file again.")
    return reduce(lambda a, b: a | b, sky)


def _parts(region: "Region") -> list["Region"]:
    """The regions of a union, or the region itself."""
    if getattr(getattr(region, "operator", None), "__name__", "") == "or_":
        return _parts(region.region1) + _parts(region.region2)
    return [region]


def _of_column(keyword: str) -> bool:
    return any(keyword.startswith(stem) and keyword[len(stem) :].isdigit() for stem in COLUMN)


def plain(value: Card | np.generic) -> Card:
    """A header or table value as a python number or stripped string."""
    value = value.item() if isinstance(value, np.generic) else value
    return value.strip() if isinstance(value, str) else value
