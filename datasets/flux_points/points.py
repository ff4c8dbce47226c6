"""Flux points: fluxes of a source in energy bins, with errors and limits."""

import dataclasses
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, overload

import jax
import numpy as np
from astropy import units as u
from jaxtyping import Bool, Float

from ..arrays import Array, Mask, frozen_array, is_concrete, is_known
from ..errors import InputError
from ..gti import GTI
from ..hints.modules import HintedModule
from ..io.fits import naming
from ..io.paths import Filename, as_path, write_files
from ..meta import Meta
from ..models.sky_model import SkyModel
from ..models.spectral.base import SpectralModel
from ..shown import Facts, Shown, html_table, robust, sum_text
from ..units import Given, to_mask, to_unit
from .files import point_contents, read_point_fields
from .reference import PER_POINT, SUFFIXES, UNITS, reference_flux
from .table import Columns, formatted_table, point_fields, table_of

if TYPE_CHECKING:
    from astropy.table import Table

PerPoint = Float[Array, " n"]

PointsMask = Bool[Array, " n"]

Scans = Float[Array, "n n_norm"]
"""Fit statistics, or the norms at which they were taken, for each point."""


class FluxPoints(Shown, HintedModule):
    """A table of flux points. Made from a table by `from_table`, from a file by `read`.

    Fluxes are norms: in units of a reference flux per point, by which they become ``dnde``, ``e2dnde``, ``flux`` or
    ``eflux``: see `quantity`. Arrays have one entry per point, (n,), unless stated otherwise; or they are None.

    Parameters
    ----------
    energy_ref : energies at which ``dnde`` is given, Quantity or TeV
    norm, norm_err, norm_errn, norm_errp, norm_ul, norm_sensitivity : value, symmetric error, errors downwards and
        upwards, upper limit, sensitivity. NaN, or masked, where unknown
    dnde_ref, flux_ref, eflux_ref : reference fluxes, Quantity or TeV-1 s-1 cm-2, s-1 cm-2, TeV s-1 cm-2
    energy_min, energy_max : bins, Quantity or TeV; without them there are no integral fluxes
    is_ul : whether a point is an upper limit; default: where sqrt_ts < 2 if it (or ts) is known and there are limits,
        else where there is a limit; without limits where the norm is NaN
    ts, sqrt_ts, stat, stat_null : test statistic, its root with the sign of the norm, fit statistic at the norm and
        without source
    success : False where the fit of a point failed: its norm and error count as unknown
    stat_scan, norm_scan : fit statistic at these norms, (n, n_norm); norm_scan may be one for all, (n_norm,)
    gti : good time intervals
    reference_model : the spectral model that gave the reference fluxes, if it is known
    meta : ``SED_TYPE``, ``UL_CONF`` (confidence level of the limits), and ``columns``: further columns
    """

    energy_ref: PerPoint
    norm: PerPoint
    dnde_ref: PerPoint
    energy_min: PerPoint | None
    energy_max: PerPoint | None
    flux_ref: PerPoint | None
    eflux_ref: PerPoint | None
    norm_err: PerPoint | None
    norm_errn: PerPoint | None
    norm_errp: PerPoint | None
    norm_ul: PerPoint | None
    norm_sensitivity: PerPoint | None
    is_ul: PointsMask
    ts: PerPoint | None
    sqrt_ts: PerPoint | None
    stat: PerPoint | None
    stat_null: PerPoint | None
    success: PointsMask | None
    stat_scan: Scans | None
    norm_scan: Scans | None
    gti: GTI | None
    reference_model: SpectralModel | None
    meta: Meta

    def __init__(
        self,
        energy_ref: Given,
        norm: Given | None,
        dnde_ref: Given,
        energy_min: Given | None = None,
        energy_max: Given | None = None,
        flux_ref: Given | None = None,
        eflux_ref: Given | None = None,
        norm_err: Given | None = None,
        norm_errn: Given | None = None,
        norm_errp: Given | None = None,
        norm_ul: Given | None = None,
        norm_sensitivity: Given | None = None,
        is_ul: Mask | Sequence[bool] | None = None,
        ts: Given | None = None,
        sqrt_ts: Given | None = None,
        stat: Given | None = None,
        stat_null: Given | None = None,
        success: Mask | Sequence[bool] | None = None,
        stat_scan: Given | None = None,
        norm_scan: Given | None = None,
        gti: GTI | None = None,
        reference_model: SpectralModel | SkyModel | None = None,
        meta: Meta | None = None,
    ):
        self.gti, self.meta = gti, meta or Meta()
        self.energy_ref = _numbers(energy_ref, "TeV", "energy_ref")
        self.energy_min, self.energy_max = (
            _numbers(v, "TeV", name) for v, name in ((energy_min, "energy_min"), (energy_max, "energy_max"))
        )
        self.dnde_ref = _numbers(dnde_ref, UNITS["dnde"], "dnde_ref")
        self.flux_ref = _numbers(flux_ref, UNITS["flux"], "flux_ref")
        self.eflux_ref = _numbers(eflux_ref, UNITS["eflux"], "eflux_ref")
        self.success = to_mask(success, "success", masked=None)
        norm, norm_err = _numbers(norm, "", "norm"), _numbers(norm_err, "", "norm_err")
        if self.success is not None:
            norm, norm_err = (_where(self.success, v) for v in (norm, norm_err))
        self.norm, self.norm_err = frozen_array(norm), frozen_array(norm_err)
        self.norm_errn, self.norm_errp = _numbers(norm_errn, "", "norm_errn"), _numbers(norm_errp, "", "norm_errp")
        self.norm_ul = _numbers(norm_ul, "", "norm_ul")
        self.norm_sensitivity = _numbers(norm_sensitivity, "", "norm_sensitivity")
        self.ts, self.sqrt_ts = _numbers(ts, "", "ts"), _numbers(sqrt_ts, "", "sqrt_ts")
        self.stat, self.stat_null = _numbers(stat, "", "stat"), _numbers(stat_null, "", "stat_null")
        self.stat_scan, norm_scan = _numbers(stat_scan, "", "stat_scan"), _numbers(norm_scan, "", "norm_scan")
        if isinstance(norm_scan, np.ndarray) and norm_scan.ndim < 2 and np.ndim(self.stat_scan) == 2:
            norm_scan = np.broadcast_to(norm_scan, np.shape(self.stat_scan)) if norm_scan.ndim else norm_scan
        self.norm_scan = frozen_array(norm_scan)
        if is_ul is None and np.shape(self.norm) == np.shape(self.energy_ref):
            is_ul = self._limits()
        # None only where the shapes do not fit, which is an error
        self.is_ul = to_mask(is_ul, "is_ul", masked=None)  # type: ignore[assignment]
        self.reference_model = reference_model.spectral if isinstance(reference_model, SkyModel) else reference_model

    def __check_init__(self) -> None:
        shape = np.shape(self.energy_ref)
        if len(shape) != 1 or shape[0] == 0:
            raise InputError(f"FluxPoints: energy_ref has shape {shape}, expected a list of energies, one per point.")
        names = ["energy_min", "energy_max", "dnde_ref", "flux_ref", "eflux_ref", "is_ul", *PER_POINT]
        for name in [*names, *(f"norm{s}" for s in SUFFIXES)]:
            value = getattr(self, name)
            if value is None and name in ("norm", "dnde_ref"):
                raise InputError(f"FluxPoints: {name} is missing.")
            if value is not None and np.shape(value) != shape:
                raise InputError(f"FluxPoints: {name} has shape {np.shape(value)}, expected {shape}, one per point.")
        if self.stat_scan is not None:
            if np.ndim(self.stat_scan) != 2 or np.shape(self.stat_scan)[0] != shape[0]:
                raise InputError(
                    f"FluxPoints: stat_scan has shape {np.shape(self.stat_scan)}, expected ({shape[0]}, n_norm)."
                )
            found = () if self.norm_scan is None else np.shape(self.norm_scan)
            if found != np.shape(self.stat_scan):
                raise InputError(
                    f"FluxPoints: norm_scan has shape {found}, expected that of stat_scan, "
                    f"{np.shape(self.stat_scan)}, or one row for all points."
                )
        for name in ("energy_ref", "energy_min", "energy_max", "dnde_ref"):
            value = getattr(self, name)
            if is_known(value) and not np.all(np.isfinite(value) & (value > 0)):
                i = int(np.argmin(np.isfinite(value) & (value > 0)))
                raise InputError(f"FluxPoints: {name} must be positive and finite, found {value[i]} for point {i}.")
        for name in ("norm_err", "norm_errn", "norm_errp"):
            value = getattr(self, name)
            if is_known(value) and np.any(value < 0):
                i = int(np.argmax(value < 0))
                raise InputError(
                    f"FluxPoints: {name} must not be negative, found {value[i]} (in units of the reference flux) for "
                    f"point {i}. Errors are distances to both sides: give their absolute values."
                )
        low, high = self.energy_min, self.energy_max
        if (low is None) != (high is None):
            raise InputError("FluxPoints: energy_min and energy_max must be given both, or neither.")
        if is_known(low) and is_known(high) and not np.all(high > low):
            i = int(np.argmin(high > low))
            raise InputError(f"FluxPoints: energy_max must be above energy_min, found {low[i]} to {high[i]} TeV.")

    def _limits(self) -> PointsMask:
        xp: ModuleType = (
            np if all(is_concrete(v) for v in (self.norm, self.norm_ul, self.ts, self.sqrt_ts)) else jax.numpy
        )
        if self.norm_ul is None:
            return xp.isnan(self.norm)
        if self.sqrt_ts is None and self.ts is None:
            self._warn_of_both()
            return xp.isfinite(self.norm_ul)
        root = self.sqrt_ts
        if root is None:
            root = xp.sqrt(xp.clip(self.ts, 0, None)) * xp.where(self.norm > 0, 1.0, -1.0)
        return root < float(self.meta.get("sqrt_ts_threshold_ul", 2))

    def _warn_of_both(self) -> None:
        """A warning for points that have a value, an error and a limit, with nothing to say which of them is meant."""
        errors = [e for e in (self.norm_err, self.norm_errn, self.norm_errp) if e is not None]
        if not all(is_concrete(v) for v in (self.norm, self.norm_ul, *errors)):
            return
        both = np.isfinite(np.asarray(self.norm)) & np.isfinite(np.asarray(self.norm_ul))
        shaped = [np.isfinite(np.asarray(e)) for e in errors if np.shape(e) == both.shape]
        both = both & np.any(shaped, axis=0) if shaped else np.zeros_like(both)
        if both.any():
            warnings.warn(
                f"FluxPoints: {int(both.sum())} points have a value, an error and an upper limit, and neither is_ul "
                "nor sqrt_ts says which is meant. They count as limits (as in gammapy), which chi2 leaves out: give "
                "is_ul, False for those that were measured.",
                UserWarning,
                stacklevel=5,
            )

    @property
    def n_points(self) -> int:
        return self.energy_ref.shape[0]

    @property
    def sed_type(self) -> str:
        """Kind of table the points came from: dnde, e2dnde, flux, eflux or likelihood."""
        return self.meta.get("SED_TYPE", "likelihood")

    def replace(self, **changes: Any) -> Self:
        """A copy with changed fields. Limits that were told from others (see ``is_ul``) are told from the new ones."""
        sources = {"norm", "norm_ul", "ts", "sqrt_ts", "success"}
        if "is_ul" not in changes and sources & set(changes):
            known = all(is_concrete(v) for v in (self.is_ul, self.norm, self.norm_ul, self.ts, self.sqrt_ts))
            if known and np.array_equal(self.is_ul, self._limits()):
                changes["is_ul"] = None
        return dataclasses.replace(self, **changes)

    def reference(self, kind: str) -> Array:
        """Reference fluxes in the package's unit of ``kind`` (`UNITS`), (n,)."""
        names = ("energy_ref", "energy_min", "dnde_ref", "flux_ref", "eflux_ref")
        return reference_flux(kind, {name: getattr(self, name) for name in names})

    def quantity(self, name: str) -> u.Quantity | None:
        """Fluxes by name, such as "dnde", "e2dnde_err", "flux_errn", "eflux_ul"; None if they are unknown."""
        kind, _, suffix = name.partition("_")
        if kind not in UNITS or f"_{suffix}" not in (*SUFFIXES, "_"):
            raise InputError(f"FluxPoints: there is no quantity {name!r}; expected such as 'dnde' or 'e2dnde_err'.")
        values = getattr(self, f"norm_{suffix}" if suffix else "norm")
        if values is None:
            return None
        return u.Quantity(np.asarray(values) * np.asarray(self.reference(kind)), UNITS[kind])

    def __getattr__(self, name: str) -> u.Quantity | None:
        """``points.dnde``, ``points.e2dnde_err``: see `quantity`."""
        kind, _, suffix = name.partition("_")
        if kind in UNITS and kind != "norm" and f"_{suffix}" in (*SUFFIXES, "_"):
            return self.quantity(name)
        return super().__getattr__(name)  # type: ignore[misc]

    @property
    def facts(self) -> Facts:
        energy = self.energy_ref
        where = f"{np.min(energy):.6g} to {np.max(energy):.6g} TeV" if is_concrete(energy) else "traced"
        return {"points": str(self.n_points), "upper limits": sum_text(self.is_ul), "energy": where, "": self.sed_type}

    @robust
    def _repr_html_(self) -> str:
        names = ("energy_ref", "dnde", "dnde_err", "dnde_ul", "sqrt_ts", "is_ul")
        columns = {name: getattr(self, name) for name in names}
        rows = [
            {name: f"{np.asarray(values)[i]:.4g}" for name, values in columns.items() if values is not None}
            for i in range(self.n_points)
        ]
        return html_table(rows, repr(self))

    @classmethod
    def from_table(
        cls,
        table: Columns,
        sed_type: str | None = None,
        reference_model: SpectralModel | SkyModel | None = None,
        gti: GTI | None = None,
    ) -> Self:
        """From an `astropy.table.Table`, or a mapping of names to Quantities; see `table.point_fields`."""
        return cls(**point_fields(table, sed_type, reference_model, gti))

    def to_table(self, sed_type: str | None = None, *, formatted: bool = False) -> "Table":
        """An `astropy.table.Table` of the given kind, by default that of the table the points came from.

        ``formatted``: to be read, with few digits.
        """
        table = table_of(self, sed_type)
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
            return cls(**read_point_fields(filename, sed_type, reference_model))

    def write(self, filename: Filename, sed_type: str | None = None, overwrite: bool = False) -> None:
        """Write a FITS table, or ECSV if the name ends in ``.ecsv``."""
        write_files(point_contents(self, as_path(filename), sed_type), overwrite)


def _where(success: PointsMask, values: Array | None) -> Array | None:
    """Numbers of the points of which the fit succeeded, NaN for the others; shapes that differ are an error later."""
    if values is None or np.shape(values) != np.shape(success):
        return values
    xp: ModuleType = np if isinstance(values, np.ndarray) and isinstance(success, np.ndarray) else jax.numpy
    return xp.where(success, values, np.nan)


@overload
def _numbers(value: None, unit: str, what: str) -> None: ...


@overload
def _numbers(value: Given, unit: str, what: str) -> Array: ...


def _numbers(value: Given | None, unit: str, what: str) -> Array | None:
    """`to_unit`, where what is masked is unknown."""
    return to_unit(value, unit, what, masked=np.nan)
