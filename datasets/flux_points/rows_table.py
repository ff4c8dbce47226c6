"""Tables with one row for each time, or region, whose columns are those of flux points with an axis of energy."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from ..errors import InputError
from .table import table_of

if TYPE_CHECKING:
    from astropy.table import Table


def rows_table(rows: Any, sed_type: str | None) -> "Table":
    """The table of `PointRows`, energies in TeV, without what tells rows apart."""
    from astropy.table import Table

    flat = table_of(rows.points, sed_type)
    table = Table(meta=dict(flat.meta))
    for name in flat.colnames:
        column = flat[name]
        values = np.asarray(column).reshape(*rows.shape, *column.shape[1:])
        table[name] = values if column.unit is None else u.Quantity(values, column.unit)
    return table


def require_rows(table: "Table", names: Collection[str], row: str, where: str) -> None:
    """An InputError for what is no table with the columns ``names`` and a ``row`` ("time") in each of its rows."""
    if not hasattr(table, "colnames"):
        raise InputError(
            f"{where}: found {type(table).__name__}, expected an astropy table with one row for each {row}."
        )
    missing = [name for name in names if name not in table.colnames]
    if missing:
        raise InputError(
            f"{where}: {' and '.join(missing)} missing; there are {', '.join(table.colnames) or 'none'}. Flux points "
            f"without {row}s are read by gj.FluxPoints."
        )
    if not len(table):
        raise InputError(f"{where}: the table has no rows, expected one for each {row}.")


def flat_table(table: "Table", without: Collection[str], order: np.ndarray, where: str) -> "Table":
    """The table of flux points in a table of rows, these in ``order``, but for the columns ``without``.

    Columns have the shape (n_rows, n_energies), or (n_rows,) for one energy.
    """
    from astropy.table import Table

    energies = next((table[name] for name in ("e_ref", "e_min") if name in table.colnames), None)
    n_energies = int(np.shape(energies)[1]) if energies is not None and np.ndim(energies) > 1 else 1
    flat = Table(meta=dict(table.meta))
    for name in table.colnames:
        column = table[name]
        if name in without or not isinstance(column[:0], np.ndarray):
            continue
        if column.shape[1:2] != (n_energies,) and (column.ndim > 1 or n_energies > 1):
            raise InputError(
                f"{where}: the column {name} has shape {column.shape}, expected ({len(table)}, {n_energies}), as the "
                "energies have."
            )
        rest = column.shape[2:] if column.ndim > 1 else ()
        flat[name] = column[order].reshape(len(table) * n_energies, *rest)
    return flat
