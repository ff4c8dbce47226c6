"""Region tables, carried from file to file unread."""

from typing import Any

import numpy as np
from astropy.io import fits

from .errors import InputError
from .fits_table import FitsTable

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
COLUMN = ("TTYPE", "TFORM", "TUNIT", "TDIM", "TNULL", "TSCAL", "TZERO", "TDISP", "NAXIS")


def pack_region(table: FitsTable) -> dict[str, Any]:
    """Columns and header cards as plain data: what is needed to write the table again, and nothing interpreted."""
    columns = [
        {"name": c.name, "format": str(c.format), "unit": c.unit, "dim": c.dim, "array": table.raw(c.name.upper())}
        for c in table.hdu.columns
    ]
    try:
        cards = [
            (card.keyword, card.value, card.comment)
            for card in table.header.cards
            if card.keyword not in STRUCTURE and not _of_column(card.keyword)
        ]
    except fits.VerifyError as error:
        raise InputError(f"{table.where}: a header card cannot be read ({error}). Correct the header.") from error
    return {"columns": columns, "cards": cards}


def unpack_region(region: dict[str, Any], name: str) -> fits.BinTableHDU:
    """Table HDU from what `pack_region` kept."""
    try:
        columns = [
            fits.Column(c["name"], c["format"], c["unit"], dim=c["dim"], array=c["array"]) for c in region["columns"]
        ]
        return fits.BinTableHDU.from_columns(
            columns, header=fits.Header([tuple(c) for c in region["cards"]]), name=name
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"meta of the dataset: the region for the HDU {name} is not what a reader of this package left there "
            f"({error}). "
            "Remove it from meta."
        ) from error


def _of_column(keyword: str) -> bool:
    return any(keyword.startswith(stem) and keyword[len(stem) :].isdigit() for stem in COLUMN)


def plain(value: Any) -> Any:
    """A header or table value as a python number or stripped string."""
    value = value.item() if isinstance(value, np.generic) else value
    return value.strip() if isinstance(value, str) else value
