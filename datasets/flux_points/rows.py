"""Flux points in rows: those of all energies at one time, or in one region, after the other."""

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import equinox as eqx
import jax
import numpy as np
from astropy import units as u
from jaxtyping import Bool, Float

from ..arrays import Array, is_concrete
from ..errors import InputError, place_of
from ..gti import GTI
from ..hints.modules import HintedModule
from ..io.fits import naming
from ..io.paths import Filename, as_path, write_files
from ..meta import Meta
from ..models.sky_model import SkyModel
from ..models.spectral.base import SpectralModel
from ..shown import Shown, html_table, robust
from ..units import to_mask
from .files import read_table, table_bytes
from .points import FluxPoints
from .reference import PER_POINT, SUFFIXES, UNITS
from .table import formatted_table

if TYPE_CHECKING:
    from astropy.table import Table

IN_BINS = {*PER_POINT, *(f"norm{suffix}" for suffix in SUFFIXES), "is_ul"}
"""Fields of flux points that rows have in bins (n_rows, n_energies)."""

SAME_ENERGY = 1e-6
"""Relative difference up to which energies of two rows are equal."""


class PointRows(Shown, HintedModule):
    """Base of `LightCurve` and `FluxProfile`: ``points`` (n_rows n_energies,), the same energies in each row.

    A subclass names the ``FORM`` of its tables, what its ``ROWS`` are, and the fields with the ``ENDS`` of a row, and
    with other numbers ``OF_ROWS``, one a row, which may be None.
    """

    FORM: ClassVar[str]
    ROWS: ClassVar[str]
    ENDS: ClassVar[tuple[str, str]]
    OF_ROWS: ClassVar[tuple[str, ...]] = ()

    points: eqx.AbstractVar[FluxPoints]

    @classmethod
    @abstractmethod
    def _of_table(
        cls, table: "Table", sed_type: str | None, reference_model: SpectralModel | SkyModel | None, gti: GTI | None
    ) -> Self:
        """From a table of its form."""

    @abstractmethod
    def _as_table(self, sed_type: str | None) -> "Table":
        """As a table of its form."""

    def _ends(self) -> tuple[Array, Array]:
        low, high = (getattr(self, name) for name in self.ENDS)
        return low, high

    def __check_init__(self) -> None:
        what, (begin, end), (low, high) = type(self).__name__, self.ENDS, self._ends()
        shape = np.shape(low)
        if len(shape) != 1 or not shape[0] or np.shape(high) != shape:
            raise InputError(
                f"{what}: {begin} and {end} must be lists of one length, found shapes {shape} and {np.shape(high)}."
            )
        for name in self.OF_ROWS:
            if (values := getattr(self, name)) is not None and np.shape(values) != shape:
                raise InputError(f"{what}: {name} has shape {np.shape(values)}, expected {shape}.")
        self._check_points(what)
        if is_concrete(low) and is_concrete(high):
            low, high = np.asarray(low), np.asarray(high)
            if not np.all(np.isfinite(low) & np.isfinite(high) & (high > low)):
                raise InputError(f"{what}: all {self.ROWS} need a finite {begin} below their {end}.")
            if np.any(np.diff(low) <= 0):
                i = int(np.argmax(np.diff(low) <= 0))
                raise InputError(
                    f"{what}: {begin} must rise, found {low[i]:.6f} before {low[i + 1]:.6f}. Sort the {self.ROWS}."
                )

    def _check_points(self, what: str) -> None:
        """InputError where the points are none, or cannot be the same energies in each of the rows."""
        if not isinstance(self.points, FluxPoints):
            raise InputError(f"{what}: points must be FluxPoints, found {type(self.points).__name__}.")
        if self.points.n_points % self.n_rows:
            raise InputError(
                f"{what}: {self.points.n_points} points cannot be shared out among {self.n_rows} {self.ROWS}. Give all "
                f"energies of the first of the {self.ROWS}, then of the second, ..."
            )
        for name in ("energy_ref", "energy_min", "energy_max"):
            values = getattr(self.points, name)
            if values is not None and is_concrete(values):
                table = np.asarray(values).reshape(self.n_rows, -1)
                if not np.allclose(table, table[0], rtol=SAME_ENERGY, atol=0):
                    raise InputError(f"{what}: {name} must be the same in all {self.ROWS}. Make one object of each.")

    @property
    def n_rows(self) -> int:
        """Times, or regions."""
        return int(np.shape(self._ends()[0])[0])

    @property
    def n_energies(self) -> int:
        return self.points.n_points // self.n_rows

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rows, n_energies)."""
        return self.n_rows, self.n_energies

    @property
    def energy_ref(self) -> Float[Array, " n_energies"]:
        """Reference energies in TeV, (n_energies,)."""
        return self.points.energy_ref[: self.n_energies]

    @property
    def energy_min(self) -> Float[Array, " n_energies"] | None:
        """Lower edges of the bands in TeV, (n_energies,)."""
        return None if self.points.energy_min is None else self.points.energy_min[: self.n_energies]

    @property
    def energy_max(self) -> Float[Array, " n_energies"] | None:
        """Upper edges of the bands in TeV, (n_energies,)."""
        return None if self.points.energy_max is None else self.points.energy_max[: self.n_energies]

    @property
    def sed_type(self) -> str:
        """Kind of table the fluxes came from: dnde, e2dnde, flux, eflux or likelihood."""
        return self.points.sed_type

    @property
    def gti(self) -> GTI | None:
        return self.points.gti

    def quantity(self, name: str) -> u.Quantity | None:
        """Fluxes (n_rows, n_energies) by name, such as "flux", "dnde_err", "eflux_ul"; None if they are unknown."""
        found = self.points.quantity(name)
        return None if found is None else found.reshape(self.shape)

    def __getattr__(self, name: str) -> Any:
        """``rows.flux``, ``rows.dnde_err``: see `quantity`; and ``rows.norm``, ``rows.is_ul``, ``rows.ts``, ..."""
        kind, _, suffix = name.partition("_")
        if name in IN_BINS:
            values = getattr(self.points, name)
            return None if values is None else values.reshape(self.shape)
        if kind in UNITS and kind != "norm" and f"_{suffix}" in (*SUFFIXES, "_"):
            return self.quantity(name)
        return super().__getattr__(name)  # type: ignore[misc]

    def __len__(self) -> int:
        return self.n_rows

    def select_energies(self, chosen: Sequence[bool] | Sequence[int] | Array | slice) -> Self:
        """The same for some bands of energy: a mask (n_energies,), their places in order, or a slice."""
        places = places_of(chosen, self.n_energies, f"{type(self).__name__}.select_energies")
        return dataclasses.replace(self, points=self.points_of(slice(None), places))

    def _select_rows(self, chosen: Sequence[bool] | Sequence[int] | Array | slice, what: str) -> Self:
        places = places_of(chosen, self.n_rows, f"{type(self).__name__}.{what}")
        fields = {name: getattr(self, name) for name in (*self.ENDS, *self.OF_ROWS)}
        kept = {name: np.asarray(values)[places] for name, values in fields.items() if values is not None}
        return dataclasses.replace(self, **kept, points=self.points_of(places, slice(None)))

    def at(self, place: int) -> FluxPoints:
        """The flux points of one row, by its place: 0, 1, ..., or -1 for the last."""
        place = place_of(place, self.n_rows, f"{type(self).__name__}.at")
        return taken(self.points, np.arange(self.points.n_points).reshape(self.shape)[place])

    def points_of(self, rows: np.ndarray | slice, bands: np.ndarray | slice) -> FluxPoints:
        """The flux points of some rows and bands, by their places."""
        return taken(self.points, np.arange(self.points.n_points).reshape(self.shape)[rows][:, bands].ravel())

    @robust
    def _repr_html_(self) -> str:
        names = ("flux", "flux_err", "flux_ul", "sqrt_ts", "is_ul")
        columns = {name: values for name in names if (values := getattr(self, name)) is not None}
        rows = []
        for i, ends in enumerate(zip(*map(np.asarray, self._ends()), strict=True)):
            cells = {name: ", ".join(f"{v:.4g}" for v in np.asarray(values)[i]) for name, values in columns.items()}
            rows.append({name: f"{end:.6f}" for name, end in zip(self.ENDS, ends, strict=True)} | cells)
        return html_table(rows, repr(self))

    @classmethod
    def from_table(
        cls,
        table: "Table",
        sed_type: str | None = None,
        reference_model: SpectralModel | SkyModel | None = None,
        gti: GTI | None = None,
    ) -> Self:
        """From an `astropy.table.Table` in gammapy's form "lightcurve" or "profile": one row for each time or region,
        energies along the columns, which are those of flux points besides."""
        return cls._of_table(table, sed_type, reference_model, gti)

    def to_table(self, sed_type: str | None = None, format: str | None = None, *, formatted: bool = False) -> "Table":
        """An `astropy.table.Table` in gammapy's form "lightcurve" or "profile": one row for each time or region.

        ``sed_type``: dnde, e2dnde, flux, eflux or likelihood, by default that of the table the fluxes came from.
        ``format``: the name of the form, the only one. ``formatted``: to be read, with few digits.
        """
        if format not in (None, self.FORM):
            raise InputError(f"{type(self).__name__}.to_table: format must be {self.FORM!r}, found {format!r}.")
        table = self._as_table(sed_type)
        return formatted_table(table) if formatted else table

    @classmethod
    def read(
        cls,
        filename: Filename,
        sed_type: str | None = None,
        reference_model: SpectralModel | SkyModel | None = None,
    ) -> Self:
        """Read a FITS or ECSV table; see `from_table`."""
        with naming(filename):
            table, gti, path = read_table(filename)
            with naming(path):
                return cls._of_table(table, sed_type, reference_model, gti)

    def write(self, filename: Filename, sed_type: str | None = None, overwrite: bool = False) -> None:
        """Write a FITS table with the good time intervals, or ECSV if the name ends in ``.ecsv``."""
        write_files(self.contents(as_path(filename), sed_type), overwrite)

    def contents(self, path: Path, sed_type: str | None) -> dict[Path, bytes]:
        """What `write` writes into the file."""
        return {path: table_bytes(self._as_table(sed_type), self.gti, path)}


def taken(points: FluxPoints, rows: np.ndarray) -> FluxPoints:
    """Some of the points, by their places."""
    kept = {"gti", "reference_model", "meta"}
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(points):
        values = getattr(points, field.name)
        if field.name not in kept and values is not None:
            changes[field.name] = np.asarray(values)[rows] if not isinstance(values, jax.Array) else values[rows]
    columns = {name: np.asarray(values)[rows] for name, values in points.meta.get("columns", {}).items()}
    meta = points.meta.updated(columns=columns) if columns else Meta({key: points.meta[key] for key in points.meta})
    return dataclasses.replace(points, **changes, meta=meta)


def places_of(chosen: Sequence[bool] | Sequence[int] | Array | slice, number: int, what: str) -> np.ndarray:
    """A mask, places or a slice as places among ``number``, checked: at least one."""
    places = np.arange(number)
    if isinstance(chosen, slice):
        found = places[chosen]
    else:
        given = np.asarray(chosen)
        if given.dtype == bool or given.dtype == object:
            mask: Bool[np.ndarray, " n"] = np.asarray(to_mask(given, what))
            if mask.shape != (number,):
                raise InputError(f"{what}: the mask has shape {mask.shape}, expected ({number},).")
            found = places[mask]
        else:
            found = np.array([place_of(place, number, what) for place in given.ravel()], dtype=int)
    if not found.size:
        raise InputError(f"{what}: nothing is left.")
    return found
