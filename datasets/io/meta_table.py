"""The table of observations of a dataset, META_TABLE: one observation as entries of its `Meta`, several as a table."""

import numpy as np
from astropy import units as u
from astropy.io import fits

from ..errors import InputError
from ..meta import Meta
from .fits import Column, FitsTable, table_hdu
from .region_table import pack_region, plain, unpack_region

META_TABLE = "META_TABLE"


def read_meta_table(table: FitsTable) -> dict[str, object]:
    """Descriptions from the table: a single observation as upper-case entries (OBS_ID, TELESCOP, ...).

    Several (one row with an array in every column, as gammapy writes sums, or several rows) are kept as they are in
    ``meta_table``; entries are then what is equal in all of them.
    """
    columns = {name: table.raw(name) for name in table.names}
    entries = {}
    for name, column in columns.items():
        values = np.ravel(column)
        if column.dtype.kind in "biufSU" and values.size and np.all(values == values[0]):
            unit, value = table.unit(name), plain(values[0])
            plainly = unit == u.dimensionless_unscaled or isinstance(unit, u.UnrecognizedUnit)
            entries[name] = value if plainly else value * unit
    one = len(table) == 1 and all(c.ndim == 1 for c in columns.values())
    if one and len(entries) == len(columns):
        return entries
    return {"meta_table": pack_region(table)} | ({} if one else entries)


def meta_table_hdus(meta: Meta) -> list[fits.BinTableHDU]:
    """META_TABLE: as it was read or made by a sum, or one row of the upper-case entries of ``meta``; [] without any."""
    if "meta_table" in meta:
        return [unpack_region(meta["meta_table"], META_TABLE)]
    columns: list[Column] = []
    for key in meta:
        if not key.isupper():
            continue
        value, unit = meta[key], None
        if isinstance(value, u.Quantity):
            value, unit = value.value.item() if value.isscalar else value.value, value.unit.to_string("fits")
        value = value.item() if isinstance(value, np.generic) else value
        if not isinstance(value, bool | int | float | str):
            raise InputError(
                f"meta of the dataset: {key} is {value!r}, expected a number, text or Quantity: upper-case entries are "
                "the table of observations. Use a lower-case key for anything else."
            )
        letter = {bool: "L", int: "K", float: "D", str: f"{max(len(str(value)), 1)}A"}[type(value)]
        columns.append((key, letter, [value], unit))
    return [table_hdu(META_TABLE, columns, {})] if columns else []
