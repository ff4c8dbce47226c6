"""Flux points in rows: those of all energies at one time, or in one region, after the other."""

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np
from astropy import units as u
from jaxtyping import Bool, Float

from ..arrays import Array, is_concrete
from ..errors import InputError, place_of
from ..gti import GTI
from ..hints.modules import HintedModule
from ..meta import Meta
from ..shown import Shown
from ..units import to_mask
from .points import FluxPoints
from .reference import PER_POINT, SUFFIXES, UNITS

IN_BINS = {*PER_POINT, *(f"norm{suffix}" for suffix in SUFFIXES), "is_ul"}
"""Fields of flux points that rows have in bins (n_rows, n_energies)."""

SAME_ENERGY = 1e-6
"""Relative difference up to which energies of two rows are equal."""


class PointRows(Shown, HintedModule):
    """Base of `LightCurve` and `FluxProfile`: ``points`` (n_rows n_energies,), the same energies in each row."""

    points: eqx.AbstractVar[FluxPoints]

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Times, or regions."""

    def check_rows(self, rows: str) -> None:
        """InputError where the points are none, or cannot be the same energies in each of the ``rows`` ("times")."""
        what = type(self).__name__
        if not isinstance(self.points, FluxPoints):
            raise InputError(f"{what}: points must be FluxPoints, found {type(self.points).__name__}.")
        if self.points.n_points % self.n_rows:
            raise InputError(
                f"{what}: {self.points.n_points} points cannot be shared out among {self.n_rows} {rows}. Give all "
                f"energies of the first of the {rows}, then of the second, ..."
            )
        for name in ("energy_ref", "energy_min", "energy_max"):
            values = getattr(self.points, name)
            if values is not None and is_concrete(values):
                table = np.asarray(values).reshape(self.n_rows, -1)
                if not np.allclose(table, table[0], rtol=SAME_ENERGY, atol=0):
                    raise InputError(f"{what}: {name} must be the same in all {rows}. Make one object of each.")

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

    def at(self, place: int) -> FluxPoints:
        """The flux points of one row, by its place: 0, 1, ..., or -1 for the last."""
        place = place_of(place, self.n_rows, f"{type(self).__name__}.at")
        return taken(self.points, np.arange(self.points.n_points).reshape(self.shape)[place])

    def points_of(self, rows: np.ndarray | slice, bands: np.ndarray | slice) -> FluxPoints:
        """The flux points of some rows and bands, by their places."""
        return taken(self.points, np.arange(self.points.n_points).reshape(self.shape)[rows][:, bands].ravel())


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
