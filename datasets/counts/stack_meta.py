"""Descriptions of a sum of datasets: what they have in common, and a table with one entry per observation."""

from collections.abc import Sequence

import numpy as np
from astropy import units as u

from ..io.region_table import PackedColumn
from ..meta import Meta

NOT_OF_A_SUM = ("name", "meta_table")


def join_meta(metas: Sequence[Meta]) -> Meta:
    """Entries that are equal in all, and ``meta_table``: the upper-case entries (OBS_ID, TELESCOP, ...) of all.

    The table has one row with an array in every column, an element per observation, as gammapy writes it. Columns that
    not all datasets have are left out. A single description is returned as it is.
    """
    if len(metas) == 1:
        return metas[0]
    if not metas:
        return Meta()
    first = metas[0]
    common = {
        key: first[key]
        for key in first
        if key not in NOT_OF_A_SUM and all(key in m and _equal(first[key], m[key]) for m in metas)
    }
    # an array describes several observations
    common = {key: value for key, value in common.items() if not (key.isupper() and np.ndim(value))}
    tables = [_observations(m) for m in metas]
    columns = []
    for name, (_, unit) in tables[0].items():
        values = [_in_unit(table[name], unit) for table in tables if name in table]
        if len(values) == len(tables) and all(v is not None for v in values):
            columns.append(_column(name, np.concatenate([v for v in values if v is not None]), unit))
    return Meta(common | ({"meta_table": {"columns": columns, "cards": []}} if columns else {}))


def _equal(a: object, b: object) -> bool:
    """Whether two descriptions say the same, down through tables and mappings."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    if np.asarray(a).shape != np.asarray(b).shape or isinstance(a, u.Quantity) != isinstance(b, u.Quantity):
        return False
    return bool(np.all(np.asarray(a == b)))


def _observations(meta: Meta) -> dict[str, tuple[np.ndarray, str | None]]:
    """Values and unit of every column, one element per observation."""
    if "meta_table" in meta:
        return {c["name"]: (np.ravel(c["array"]), c["unit"]) for c in meta["meta_table"]["columns"]}
    found: dict[str, tuple[np.ndarray, str | None]] = {}
    for key in meta:
        value = meta[key]
        if not key.isupper():
            continue
        unit = value.unit.to_string("fits") if isinstance(value, u.Quantity) else None
        array = np.ravel(value.value if isinstance(value, u.Quantity) else value)
        if array.dtype.kind in "biufSU":
            found[key] = array, unit
    return found


def _in_unit(column: tuple[np.ndarray, str | None], unit: str | None) -> np.ndarray | None:
    """The values in another unit, None where that cannot be."""
    values, own = column
    if own == unit:
        return values
    given, wanted = u.Unit(own or ""), u.Unit(unit or "")
    return values * given.to(wanted) if given.is_equivalent(wanted) else None


def _column(name: str, values: np.ndarray, unit: str | None) -> PackedColumn:
    """A packed column of one row, see `region_table.pack_region`."""
    values = np.asarray(values)
    n = values.size
    if values.dtype.kind in "US":
        values = values.astype(str)
        width = max(values.dtype.itemsize // 4, 1)
        form, dim = f"{n * width}A", f"({width},{n})"
    else:
        letter = {"b": "L", "i": "K", "u": "K", "f": "D"}[values.dtype.kind]
        form, dim = f"{n}{letter}", f"({n})"
    return {"name": name, "format": form, "unit": unit, "dim": dim, "array": values[None]}
