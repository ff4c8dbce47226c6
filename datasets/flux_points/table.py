"""Flux points as tables, in the layout of the gamma-astro-data-formats (gadf-sed) that gammapy reads and writes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from astropy import units as u

from ..arrays import Array
from ..errors import InputError
from ..gti import GTI
from ..hints.modules import found
from ..io.fits import Fields
from ..meta import Meta
from ..models.sky_model import SkyModel
from ..models.spectral.base import SpectralModel
from ..units import parse_unit, split_mask, with_unit
from .reference import PER_POINT, SUFFIXES, UNITS, reference_flux, references

if TYPE_CHECKING:
    from astropy.table import Table


Columns: TypeAlias = "Table | Mapping[str, np.ndarray | u.Quantity]"
"""A table, or its columns by name."""

REQUIRED = {
    "dnde": ("dnde",),
    "e2dnde": ("e2dnde",),
    "flux": ("e_min", "e_max", "flux"),
    "eflux": ("e_min", "e_max", "eflux"),
    "likelihood": ("ref_dnde", "norm"),
}
"""Columns by kind of table, beside the energies: ``e_ref``, or ``e_min`` and ``e_max``."""

FILE_UNITS = {
    "norm": "",
    "dnde": "cm-2 s-1 TeV-1",
    "e2dnde": "TeV cm-2 s-1",
    "flux": "cm-2 s-1",
    "eflux": "TeV cm-2 s-1",
}
"""Units of tables and files, those of `UNITS` in the order of papers: TeV, as in pictures and on the terminal."""

FURTHER = ("npred", "npred_excess", "counts", "niter", "n_dof", "dnde_scan_values")
"""Columns that are kept and mean nothing here."""

LAST = ("success", "stat_null", "stat", "ts", "sqrt_ts")
"""The columns `PER_POINT` in the order of tables."""

PLAIN = ("ts", "sqrt_ts", "stat", "stat_null", "npred", "npred_excess", "time_min", "time_max")
"""Columns that are printed without powers of ten."""

KEPT_META = ("UL_CONF", "sqrt_ts_threshold_ul")


def point_fields(
    table: Columns, sed_type: str | None, reference_model: SpectralModel | SkyModel | None, gti: GTI | None
) -> Fields:
    """Constructor arguments of flux points from a table or mapping of columns.

    The kind (`REQUIRED`) is ``sed_type``, else ``SED_TYPE`` in the table's meta, else the first whose columns are
    there. Columns need units, except norms and numbers without; photons are no unit. Bins are ``e_min`` and ``e_max``;
    the energy of a point is ``e_ref``, else the logarithmic centre of its bin. Fluxes become norms by
    ``reference_model``, by default a power law of index 2; in a likelihood table by ref_dnde, ref_flux and ref_eflux.
    """
    meta = dict(getattr(table, "meta", {}))
    if not isinstance(table, Mapping) and not hasattr(table, "colnames"):
        raise InputError(f"Flux points: found {found(table)}, expected a table, or a mapping of names to Quantities.")
    names = list(table.keys() if isinstance(table, Mapping) else table.colnames)
    where = "Flux points"
    if isinstance(table, Mapping):
        table = {name: _array(column, f"{where}: the column {name}") for name, column in table.items()}
    for column, what, cure in (
        ("time_min", "a light curve", "Read it with gj.LightCurve.read, or gj.LightCurve.from_table"),
        ("x_min", "a flux profile along a line", "Read it with gj.FluxProfile.read, or gj.FluxProfile.from_table"),
    ):
        if column in names:
            raise InputError(f"{where}: the column {column} says {what}. {cure}.")
    kind = sed_type or meta.get("SED_TYPE") or _guess(names)
    if kind is None:
        raise InputError(
            f"{where}: found the columns {', '.join(map(str, names)) or 'none'}; expected e_ref (or e_min and e_max) "
            f"with one of {'; '.join(' and '.join(c) for c in REQUIRED.values())}. Rename the columns."
        )
    # of a damaged file the card may be a list
    if not isinstance(kind, str) or kind not in REQUIRED:
        raise InputError(
            f"{where}: the kind of table is {kind!r}, expected one of {', '.join(REQUIRED)}. Give sed_type=..."
        )
    missing = [name for name in REQUIRED[kind] if name not in names]
    if "e_ref" not in names and not {"e_min", "e_max"} <= set(names):
        missing.append("e_ref (or e_min and e_max)")
    if missing:
        raise InputError(
            f"{where}: {', '.join(missing)} missing in a table of kind {kind!r}; there are "
            f"{', '.join(names) or 'none'}. Add them, or give the kind that it is: sed_type=..."
        )

    _check_lengths(table, names, where)

    def energy(name: str) -> np.ndarray | None:
        return _values(table, name, "TeV", where) if name in names else None

    e_ref, e_min, e_max = (energy(name) for name in ("e_ref", "e_min", "e_max"))
    if e_min is None or e_max is None:
        e_min = e_max = None
    if e_ref is None:
        assert e_min is not None and e_max is not None
        e_ref = np.sqrt(e_min * e_max)
    fields: Fields = {"energy_min": e_min, "energy_max": e_max, "energy_ref": e_ref}
    stem = "norm" if kind == "likelihood" else kind
    if kind == "likelihood":
        refs: dict[str, Array] = {
            f"{name}_ref": _values(table, f"ref_{name}", UNITS[name], where)
            for name in ("dnde", "flux", "eflux")
            if f"ref_{name}" in names
        }
    else:
        refs = references(e_ref, e_min, e_max, reference_model)
    factor = np.asarray(reference_flux(stem, fields | refs))
    for suffix in SUFFIXES:
        if stem + suffix in names:
            fields[f"norm{suffix}"] = _values(table, stem + suffix, UNITS[stem], where) / factor
    for name in PER_POINT:
        if name in names:
            fields[name] = _values(table, name, None, where) if name != "success" else _flags(table, name, where)
    if "is_ul" in names:
        fields["is_ul"] = _flags(table, "is_ul", where)
    if "stat_scan" in names:
        fields["stat_scan"] = _values(table, "stat_scan", None, where)
        if "norm_scan" not in names:
            raise InputError(f"{where}: there is stat_scan without norm_scan, the norms it was made at.")
        rows = _values(table, "norm_scan", None, where)
        fields["norm_scan"] = rows if rows.ndim < 2 or len(rows) > 1 else rows[0]
    kept: dict[str, object] = {"SED_TYPE": kind} | {key: meta[key] for key in KEPT_META if key in meta}
    unread = tuple(name for name in names if name not in _known(kind))
    if unread:
        kept["unread"] = unread
    further = {name: np.array(_filled(table[name])) for name in FURTHER if name in names}
    if further:
        kept["columns"] = further
    model = None if kind == "likelihood" else reference_model
    return {"norm": None} | fields | refs | {"gti": gti, "reference_model": model, "meta": Meta(kept)}


def table_of(points: Any, sed_type: str | None) -> "Table":
    """The table of flux points, energies and energy fluxes in TeV."""
    from astropy.table import Table

    kind = sed_type or points.sed_type
    if kind not in REQUIRED:
        raise InputError(f"FluxPoints: sed_type must be one of {', '.join(REQUIRED)}, found {kind!r}.")
    table = Table(meta={"SED_TYPE": kind} | {key: points.meta[key] for key in KEPT_META if key in points.meta})
    table["e_ref"] = u.Quantity(np.asarray(points.energy_ref), "TeV")
    if points.energy_min is not None:
        table["e_min"] = u.Quantity(np.asarray(points.energy_min), "TeV")
        table["e_max"] = u.Quantity(np.asarray(points.energy_max), "TeV")
    stem = kind
    if kind == "likelihood":
        stem = "norm"
        for name in ("dnde", "flux", "eflux"):
            if name == "dnde" or points.flux_ref is not None:
                table[f"ref_{name}"] = u.Quantity(np.asarray(points.reference(name)), UNITS[name]).to(FILE_UNITS[name])
    for suffix in SUFFIXES:
        values = points.quantity(stem + suffix)
        if values is not None:
            table[stem + suffix] = values.value if stem == "norm" else values.to(FILE_UNITS[stem])
    # narrow terminals show the first columns and the last: what is long stands between
    for name, values in points.meta.get("columns", {}).items():
        table[name] = values
    if points.stat_scan is not None:
        table["norm_scan"], table["stat_scan"] = np.asarray(points.norm_scan), np.asarray(points.stat_scan)
    for name in LAST:
        if getattr(points, name) is not None:
            table[name] = np.asarray(getattr(points, name))
    table["is_ul"] = np.asarray(points.is_ul)
    return table


def formatted_table(table: "Table") -> "Table":
    """The table, its numbers printed with few digits; files that are written from it have no more."""
    for name in table.colnames:
        if table[name].dtype.kind == "f":
            table[name].info.format = ".3f" if name in PLAIN else ".4g"
    return table


def _known(kind: str) -> set[str]:
    """Columns that are read from a table of some kind, and the masks, which datasets read."""
    stem = "norm" if kind == "likelihood" else kind
    fluxes = {stem + suffix for suffix in SUFFIXES} | {f"ref_{name}" for name in ("dnde", "flux", "eflux", "e2dnde")}
    further = {"e_ref", "e_min", "e_max", "is_ul", "stat_scan", "norm_scan", "mask_safe", "mask_fit"}
    return fluxes | further | {*PER_POINT, *FURTHER}


def _check_lengths(table: Columns, names: list[str], where: str) -> None:
    """Every column that is used has one entry per energy; `norm_scan` may be one row for all."""
    used = set().union(*map(_known, REQUIRED)) - {"norm_scan", "mask_safe", "mask_fit"}
    first = next(name for name in ("e_ref", "e_min") if name in names)
    for name in (first, *(n for n in names if n in used)):
        try:
            shape = np.shape(table[name])
        except (TypeError, ValueError) as error:
            raise InputError(f"{where}: the column {name} is no array of numbers: {error}.") from error
        if not shape:
            raise InputError(f"{where}: the column {name} is a single number, expected a list, one per point.")
        if shape[0] != np.shape(table[first])[0]:
            raise InputError(
                f"{where}: the column {name} has {shape[0]} entries, and {first} has {np.shape(table[first])[0]}."
            )


def _guess(names: list[str]) -> str | None:
    energies = {"e_ref"} <= set(names) or {"e_min", "e_max"} <= set(names)
    return next((kind for kind, required in REQUIRED.items() if energies and set(required) <= set(names)), None)


def _array(column: Any, what: str) -> Any:
    """A column as an array, Quantity or masked one of these, from one, or from a list of numbers or Quantities."""
    if not isinstance(column, list | tuple):
        return column
    given, hidden = split_mask(column, what)
    numbers = with_unit(given, what)
    numbers = numbers if isinstance(numbers, np.ndarray) else np.asarray(numbers)
    if hidden is None:
        return numbers
    # takes longer to import than what it is needed for
    from astropy.utils.masked import Masked

    return Masked(numbers, mask=hidden)


def _filled(column: Any) -> np.ndarray:
    """A column as an array, NaN where it is masked."""
    if isinstance(column, u.Quantity):
        mask = getattr(column, "mask", None)
        bare = np.asarray(column.value if mask is None else column.unmasked.value)
        return bare if mask is None else np.where(mask, np.nan, bare)
    if isinstance(column, np.ma.MaskedArray):
        if column.dtype.kind in "iub" and not np.any(column.mask):
            return np.asarray(column.data)
        return np.asarray(np.ma.filled(column.astype(float), np.nan))
    mask = getattr(column, "mask", None)
    return np.asarray(column) if mask is None else np.where(mask, np.nan, np.asarray(column.unmasked))


def _values(table: Columns, name: str, unit: str | None, where: str) -> np.ndarray:
    """A column as float64 in ``unit``; None takes it as it is."""
    column = table[name]
    values = _filled(column)
    if values.dtype.kind not in "biuf":
        raise InputError(f"{where}: the column {name} must hold numbers, found type {values.dtype}.")
    values = values.astype(float)
    if unit is None:
        return values
    own = _without_particles(parse_unit(getattr(column, "unit", None), f"{where}: unit of {name}"))
    if not own.is_equivalent(unit):
        found = repr(own.to_string()) if own != u.dimensionless_unscaled else "none"
        raise InputError(
            f"{where}: unit of {name}: found {found}, expected one convertible to {unit or 'a plain number'!r}. "
            "Correct the unit of the column."
        )
    factor = own.to(unit)
    return values if factor == 1 else values * factor


def _flags(table: Columns, name: str, where: str) -> np.ndarray:
    values = _filled(table[name])
    if values.dtype.kind in "SU":
        words = np.char.lower(values.astype(str))
        if not np.all(np.isin(words, ["true", "false"])):
            raise InputError(f"{where}: the column {name} must hold True and False, found {str(values[0])!r}.")
        return words == "true"
    return np.nan_to_num(values.astype(float)).astype(bool)


def _without_particles(unit: u.UnitBase) -> u.UnitBase:
    """The unit without photons and counts, which some tables count in."""
    unit = u.Unit(unit)
    if not hasattr(unit, "bases") or not {"ph", "photon", "ct", "count"} & {base.name for base in unit.bases}:
        return unit
    kept = [
        (b, p) for b, p in zip(unit.bases, unit.powers, strict=True) if b.name not in ("ph", "photon", "ct", "count")
    ]
    return u.CompositeUnit(unit.scale, [b for b, _ in kept], [p for _, p in kept])
