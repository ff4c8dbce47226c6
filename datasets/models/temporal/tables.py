"""Temporal models given by tables: light curves, and phase curves of pulsars and binaries."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from astropy.time import Time
from jaxtyping import Float

from ....kernels import tables
from ....kernels import temporal as k
from ...arrays import Array, for_kernels, frozen_array, is_known
from ...errors import InputError, warn
from ...gti import GTI
from ...io.fits import FitsFile, naming, readable_cards
from ...io.gadf_quantity import read_quantity
from ...io.gti_table import reference_time
from ...io.paths import Filename, as_path, beside, existing
from ...io.tables import read_table
from ...sky.axis import SCALES, MapAxis
from ...units import Given, parse_unit, require_positive_somewhere, to_unit
from ..component import Section
from ..parameter import GivenParameter, Parameter, ParameterField, internal, parameter, placed
from ..spectral.base import Energies, Values
from .base import SECONDS_PER_DAY, Days, TemporalModel, mjd_in, t_ref

if TYPE_CHECKING:
    from astropy.table import Table


GivenTime: TypeAlias = Time | GivenParameter | None

FORMATS = ("table", "map")


class LightCurveTemplateTemporalModel(TemporalModel):
    """A table of norms against time, linear between its times, going on beyond both ends, and 0 where it is negative.

    ``time``: days after ``t_ref`` (numbers or Quantity), (n_time,); ``norm``: (n_time,). With ``energy`` (TeV or
    Quantity, (n_energy,)) the model depends on energy: ``norm`` is (n_time, n_energy), and its logarithm is linear in
    time and in ln E. ``time_interp`` and ``energy_interp`` are the scales ("lin", "log" or "sqrt") of the two axes, in
    which the table is linear in place of time and ln E; in another scale than "lin" the norm is constant before the
    first time. ``filename`` is what YAML files refer to.
    """

    time: Float[Array, " n_time"]
    norm: Float[Array, "n_time ..."]
    t_ref: ParameterField = t_ref()
    energy: Float[Array, " n_energy"] | None = None
    filename: str | None = eqx.field(static=True, default=None)
    time_interp: str = eqx.field(static=True, default="lin")
    energy_interp: str = eqx.field(static=True, default="log")
    tag = ("LightCurveTemplateTemporalModel", "template")

    def __init__(
        self,
        time: Given,
        norm: Given,
        t_ref: GivenTime = None,
        energy: Given | None = None,
        filename: Filename | None = None,
        scale: str = "utc",
        time_interp: str = "lin",
        energy_interp: str = "log",
    ) -> None:
        name = type(self).__name__
        self.time, self.norm = to_unit(time, "d", f"{name}: time"), to_unit(norm, "", f"{name}: norm")
        self.energy = to_unit(energy, "TeV", f"{name}: energy")
        self.t_ref = _reference(type(self), t_ref, scale)
        self.filename, self.scale = None if filename is None else str(filename), scale
        self.time_interp, self.energy_interp = time_interp, energy_interp

    def __check_init__(self) -> None:
        name = type(self).__name__
        wanted = np.shape(self.time) if self.energy is None else (*np.shape(self.time), *np.shape(self.energy))
        if np.ndim(self.time) != 1 or np.shape(self.norm) != wanted or np.shape(self.time)[0] < 2:
            raise InputError(
                f"{name}: found times of shape {np.shape(self.time)} and norms of shape {np.shape(self.norm)}, "
                f"expected (n_time,) and {'(n_time,)' if self.energy is None else '(n_time, n_energy)'} with two times "
                "or more."
            )
        if self.energy is not None:
            _check_nodes(self.energy, f"{name}: energies", positive=True)
        for field in ("time_interp", "energy_interp"):
            if (interp := getattr(self, field)) not in SCALES:
                raise InputError(f"{name}: {field} is {interp!r}, expected one of {', '.join(SCALES)}.")
        _check_nodes(self.time, f"{name}: times", positive=self.time_interp != "lin")
        _check_values(self.norm, name)

    @property
    def is_energy_dependent(self) -> bool:
        return self.energy is not None

    def check_intervals(self, gti: GTI, what: str) -> None:
        start, stop = gti.start, gti.stop
        if not (is_known(self.time) and is_known(start) and is_known(stop) and is_known(self.t_ref.value)):
            return
        nodes = np.asarray(self.time)
        # time scales differ by a minute
        low, high = (
            gti.reference - float(self.reference_mjd) + np.array([np.min(start), np.max(stop)]) / SECONDS_PER_DAY
        )
        if low < 2 * nodes[0] - nodes[1] or high > 2 * nodes[-1] - nodes[-2]:
            first, last = float(self.reference_mjd) + nodes[[0, -1]]
            warn(
                f"{what}: the light curve is known from MJD {first:.6g} to {last:.6g}, and the good time intervals are "
                f"from {first - nodes[0] + low:.6g} to {first - nodes[0] + high:.6g}. Outside, its first and last "
                "pieces go on straight, as in gammapy. Add points to the table, or check t_ref and the times."
            )

    def _log_norm(self, energy: Energies | None) -> jax.Array:
        """ln norm (n_time, n) at energies (n,) in TeV; at those of the table for None."""
        logs = tables.floor_log(for_kernels(self.norm))
        if energy is None or self.energy is None:
            return logs
        if np.shape(self.energy)[0] == 1:
            return jnp.broadcast_to(logs, (logs.shape[0], np.shape(energy)[0]))
        nodes, at = (tables.scaled(jnp.asarray(x), self.energy_interp) for x in (self.energy, energy))
        i = tables.piece_of(at, nodes)
        share = (at - nodes[i]) / (nodes[i + 1] - nodes[i])
        return logs[:, i] + share * (logs[:, i + 1] - logs[:, i])

    def value(self, days: Days, energy: Energies | None = None) -> Values:
        nodes, days = jnp.asarray(self.time), jnp.asarray(days)
        if self.time_interp != "lin":
            days = tables.scaled(jnp.maximum(days, nodes[0]), self.time_interp)
            nodes = tables.scaled(nodes, self.time_interp)
        if self.energy is None:
            return jnp.maximum(tables.interpolate(days, nodes, jnp.asarray(self.norm)), 0.0)
        logs = self._log_norm(energy)
        i = tables.piece_of(days, nodes)
        share = ((days - nodes[i]) / (nodes[i + 1] - nodes[i]))[..., None]
        return tables.unfloor_exp(logs[i] + share * (logs[i + 1] - logs[i]))

    def value_mean(self, low: Days, high: Days, energy: Energies | None = None) -> Values:
        nodes = jnp.asarray(self.time)
        if self.time_interp != "lin":
            logs = self.energy is not None
            values = self._log_norm(energy) if logs else jnp.asarray(self.norm)
            return k.scaled_table_mean(low, high, nodes, values, self.time_interp, logs)
        if self.energy is None:
            return k.table_mean(low, high, nodes, jnp.asarray(self.norm))
        return k.log_table_mean(low, high, nodes, self._log_norm(energy))

    @classmethod
    def read(cls, filename: Filename, format: str | None = None, t_ref: GivenTime = None, scale: str = "utc") -> Self:
        """From a table (FITS or ECSV) with columns TIME and NORM, or a map of one region with axes time and energy.

        TIME counts from MJDREFI + MJDREFF (or MJDREF) in the scale TIMESYS (default UTC), in the unit of the column or
        TIMEUNIT. ``format`` is "table" or "map", found out by default. ``t_ref`` overrides the reference time.
        """
        path = _found(cls, filename)
        if format not in (None, *FORMATS):
            raise InputError(f"{cls.__name__}: format must be one of {', '.join(FORMATS)}, found {format!r}.")
        if format == "map" or (format is None and _is_map(path)):
            return cls._read_map(path, t_ref, scale)
        table = _table(cls, path, ("TIME", "NORM"))
        times, unit = table["TIME"], table["TIME"].unit or table.meta.get("TIMEUNIT")
        if unit is None:
            raise InputError(f"{cls.__name__}: {path} gives no unit for TIME. Add it to the column, or TIMEUNIT.")
        own = parse_unit(unit, f"{cls.__name__}: {path}")
        days = _days(to_unit(times, own, f"{cls.__name__}: TIME", masked=np.nan), own, cls.__name__)
        start = t_ref if t_ref is not None else _reference_in(cls, path, table.meta)
        norm = np.asarray(to_unit(table["NORM"], "", f"{cls.__name__}: NORM", masked=np.nan))
        if norm.size == len(table):
            # gammapy writes each norm as an image of one pixel
            norm = norm.ravel()
        days, norm = _present(days, norm, f"{cls.__name__}: {path}")
        return cls(days, norm, start, filename=filename, scale=scale)

    @classmethod
    def _read_map(cls, path: Path, t_ref: GivenTime, scale: str) -> Self:
        file = FitsFile(path)
        bands = next((hdu.name for hdu in file.hdus if hdu.name.endswith("_BANDS")), "SKYMAP_BANDS")
        name = bands.removesuffix("_BANDS")
        stored = read_quantity(file, name, {})
        axes: dict[str, MapAxis] = {axis.name: axis for axis in stored.axes}
        if set(axes) != {"time", "energy"} or stored.geom is not None:
            raise InputError(
                f"{cls.__name__}: {stored.where} has the axes {list(axes)}, expected one region with time and energy."
            )
        values = stored.require_axes("time", "energy").to_value("")[..., 0, 0].T
        days = _days(axes["time"].center.value, axes["time"].unit, cls.__name__)
        start = (
            t_ref
            if t_ref is not None
            else _reference_in(cls, path, readable_cards(file.table(bands).header, str(path)))
        )
        days, values = _present(days, values, f"{cls.__name__}: {path}")
        scales = axes["time"].interp, axes["energy"].interp
        return cls(days, values, start, axes["energy"].center.to_value("TeV"), path, scale, *scales)

    def to_table(self) -> "Table":
        """Table with columns TIME and NORM, as `read` takes it; for models that do not depend on energy."""
        from astropy.table import Table

        if self.energy is not None:
            raise InputError(f"{type(self).__name__}: an energy-dependent light curve is no table of two columns.")
        if self.time_interp != "lin":
            raise InputError(
                f"{type(self).__name__}: a table of two columns is linear in time, and time_interp is "
                f"{self.time_interp!r}. Make a finer table with time_interp='lin'."
            )
        return Table(
            {"TIME": np.asarray(self.time) * u.d, "NORM": np.asarray(self.norm)},
            meta=_reference_cards(float(self.t_ref.internal), self.scale),
        )

    def extra_dict(self) -> Section:
        format = "table" if self.energy is None else "map"
        return {"filename": _filename(self), "format": format, "unit": "", "scale": self.scale}

    @classmethod
    def from_extra(cls, data: Section, parameters: dict[str, Parameter], base_path: Filename | None = None) -> Self:
        return cls.read(
            beside(_named(cls, data), base_path), data.get("format"), **parameters, scale=data.get("scale", "utc")
        )


class TemplatePhaseCurveTemporalModel(TemporalModel):
    """A table of norms against phase, repeated with the timing solution of a pulsar or a binary.

    The phase at dt after ``t_ref`` is phi_ref + dt (f0 + dt / 2 (f1 + dt / 3 f2)). ``phase`` are increasing numbers
    from 0 to 1, ``norm`` is linear between them (and on to 0 and 1), and divided by its mean over a phase if
    ``normalize``.
    The mean over intervals follows the frequency exactly to first order of its change within a phase.
    """

    phase: Float[Array, " n_phase"]
    norm: Float[Array, " n_phase"]
    t_ref: ParameterField = t_ref(48442.5)
    phi_ref: ParameterField = parameter(0.0, frozen=True)
    f0: ParameterField = parameter(29.946923, "s-1", frozen=True)
    f1: ParameterField = parameter(0.0, "s-2", frozen=True)
    f2: ParameterField = parameter(0.0, "s-3", frozen=True)
    normalize: bool = eqx.field(static=True, default=True)
    filename: str | None = eqx.field(static=True, default=None)
    tag = ("TemplatePhaseCurveTemporalModel", "template-phase")

    def __init__(
        self,
        phase: Given,
        norm: Given,
        *,
        t_ref: GivenTime = None,
        normalize: bool = True,
        filename: Filename | None = None,
        scale: str = "utc",
        **timing: GivenParameter,
    ) -> None:
        unknown = set(timing) - {"phi_ref", "f0", "f1", "f2"}
        if unknown:
            raise InputError(f"{type(self).__name__} has no parameter {sorted(unknown)[0]!r}.")
        name = type(self).__name__
        self.phase, self.norm = _whole_phase(to_unit(phase, "", f"{name}: phase"), to_unit(norm, "", f"{name}: norm"))
        self.t_ref = _reference(type(self), t_ref, scale)
        for key in ("phi_ref", "f0", "f1", "f2"):
            setattr(self, key, timing.get(key, getattr(type(self), key)))
        self.normalize, self.scale = normalize, scale
        self.filename = None if filename is None else str(filename)

    def __check_init__(self) -> None:
        name = type(self).__name__
        _check_nodes(self.phase, f"{name}: phases")
        if is_known(self.phase) and (self.phase[0] != 0 or self.phase[-1] != 1):
            raise InputError(f"{name}: phases must be from 0 to 1, found {self.phase[0]} to {self.phase[-1]}.")
        _check_values(self.norm, name)
        if not isinstance(self.normalize, bool):
            raise InputError(f"{name}: normalize must be True or False, found {self.normalize!r}.")

    @property
    def _curve(self) -> tuple[jax.Array, jax.Array]:
        """Nodes from 0 to 1, and the norm there."""
        nodes, values = jnp.asarray(self.phase), jnp.asarray(self.norm)
        if self.normalize:
            values = 2 * values / jnp.sum((nodes[1:] - nodes[:-1]) * (values[1:] + values[:-1]))
        return nodes, values

    @property
    def _timing(self) -> tuple[jax.Array, ...]:
        return tuple(internal(self.phi_ref, self.f0, self.f1, self.f2))

    def value(self, days: Days, energy: Energies | None = None) -> Values:
        phase, _ = k.phase_at(jnp.asarray(days), *self._timing)
        return tables.interpolate(phase - jnp.floor(phase), *self._curve)

    def value_mean(self, low: Days, high: Days, energy: Energies | None = None) -> Values:
        return k.phase_mean(low, high, *self._curve, self._timing)

    @classmethod
    def read(cls, filename: Filename, normalize: bool = True, scale: str = "utc", **parameters: Any) -> Self:
        """From a table (FITS or ECSV) with columns PHASE and NORM; the timing solution is given by keywords."""
        table = _table(cls, _found(cls, filename), ("PHASE", "NORM"))
        phase, norm = (
            np.asarray(to_unit(table[name], "", f"{cls.__name__}: {name}", masked=np.nan)) for name in ("PHASE", "NORM")
        )
        phase, norm = _present(phase, norm, f"{cls.__name__}: {filename}")
        return cls(phase, norm, normalize=normalize, filename=str(filename), scale=scale, **parameters)

    def to_table(self) -> "Table":
        """Table with columns PHASE and NORM, as `read` takes it."""
        from astropy.table import Table

        return Table({"PHASE": np.asarray(self.phase), "NORM": np.asarray(self.norm)})

    def extra_dict(self) -> Section:
        return {"filename": _filename(self), "normalize": self.normalize, "scale": self.scale}

    @classmethod
    def from_extra(cls, data: Section, parameters: dict[str, Parameter], base_path: Filename | None = None) -> Self:
        path = beside(_named(cls, data), base_path)
        return cls.read(path, data.get("normalize", True), data.get("scale", "utc"), **parameters)


def _present(nodes: np.ndarray, norm: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (n,) and norms (n, ...) without those that are missing; a warning says how many were."""
    if nodes.ndim != 1 or nodes.shape != norm.shape[:1] or not nodes.size:
        return nodes, norm
    present = np.isfinite(nodes) & np.isfinite(norm).reshape(len(norm), -1).all(axis=1)
    if not present.all():
        warn(
            f"{where}: {int((~present).sum())} of {present.size} norms are missing or NaN, and are left out: the curve "
            "is linear across."
        )
    return nodes[present], norm[present]


def _reference(cls: type[TemporalModel], given: GivenTime, scale: str) -> Parameter:
    """Parameter of a reference time: an astropy Time, MJD in ``scale``, a Quantity, a `Parameter`, or the default."""
    default: Any = next(f.default for f in dataclasses.fields(cls) if f.name == "t_ref")
    if given is None:
        return default
    if isinstance(given, Time):
        given = mjd_in(given, scale, "t_ref")
    return given if isinstance(given, Parameter) else placed(given, default, "t_ref")


def _days(times: np.ndarray, unit: u.UnitBase, name: str) -> np.ndarray:
    if not unit.is_equivalent("d"):
        raise InputError(f"{name}: the times have unit {unit.to_string()!r}, expected one such as 'd' or 's'.")
    return np.asarray(times, float) * unit.to("d")


def _whole_phase(phase: Array, norm: Array) -> tuple[Array, Array]:
    """A phase curve with its end pieces drawn out to 0 and 1."""
    if not (is_known(phase) and is_known(norm)):
        return phase, norm
    if phase.ndim != 1 or phase.shape != norm.shape or phase.size < 2:
        raise InputError(
            f"TemplatePhaseCurveTemporalModel: phases of shape {phase.shape} and norms of shape {norm.shape} must be "
            "two lists of one length, of two entries or more."
        )
    _check_nodes(phase, "TemplatePhaseCurveTemporalModel: phases")
    if phase[0] > 0:
        start = norm[0] - phase[0] * (norm[1] - norm[0]) / (phase[1] - phase[0])
        phase, norm = np.append(0.0, phase), np.append(start, norm)
    if phase[-1] < 1:
        stop = norm[-1] + (1 - phase[-1]) * (norm[-1] - norm[-2]) / (phase[-1] - phase[-2])
        phase, norm = np.append(phase, 1.0), np.append(norm, stop)
    return frozen_array(phase), frozen_array(norm)


def _check_nodes(nodes: Array, what: str, positive: bool = False) -> None:
    if not is_known(nodes):
        return
    good = nodes.ndim == 1 and bool(np.all(np.isfinite(nodes)) and np.all(np.diff(nodes) > 0))
    if not good or (positive and nodes[0] <= 0):
        kind = "positive, finite and increasing" if positive else "finite and increasing"
        raise InputError(f"{what} must be one list of {kind} numbers, found {nodes}. Sort the table.")


def _check_values(values: Array, name: str) -> None:
    if is_known(values) and not np.all(np.isfinite(values)):
        raise InputError(f"{name}: the norms must be finite. Leave the rows out where they are missing.")
    require_positive_somewhere(values, name)


def _found(cls: type, filename: Filename) -> Path:
    path = existing(as_path(filename))
    if path is None:
        raise InputError(f"{cls.__name__}: there is no file {filename}. Check the name and the folder.")
    return path


def _is_map(path: Path) -> bool:
    return ".fits" in path.suffixes and any(hdu.name.endswith("_BANDS") for hdu in FitsFile(path).hdus)


def _table(cls: type, path: Path, columns: tuple[str, ...]) -> "Table":
    """A table with (at least) these columns, in whatever letter case they are stored."""
    wanted = " and ".join(columns)
    with naming(cls.__name__):
        table = read_table(path, f"Expected a table with columns {wanted}.")
    for column in columns:
        own = next((name for name in table.colnames if name.upper() == column), None)
        if own is None:
            raise InputError(f"{cls.__name__}: {path} has the columns {', '.join(table.colnames)}, expected {wanted}.")
        if own != column:
            table.rename_column(own, column)
    return table


def _reference_in(cls: type, path: Path, header: Mapping[str, Any]) -> Time:
    """The time from which a table counts, from its header."""
    with naming(cls.__name__):
        return reference_time({str(key).upper(): value for key, value in header.items()}, str(path), "utc")


def _reference_cards(mjd: float, scale: str) -> dict[str, Any]:
    day = math.floor(mjd)
    return {"MJDREFI": day, "MJDREFF": mjd - day, "TIMESYS": scale}


def _named(cls: type, data: Section) -> str:
    if "filename" not in data:
        raise InputError(f"{cls.__name__}: expected the key 'filename'.")
    return data["filename"]


def _filename(model: LightCurveTemplateTemporalModel | TemplatePhaseCurveTemporalModel) -> str:
    if model.filename is None:
        raise InputError(
            f"{type(model).__name__}: a YAML file refers to the table by file name. Write the table "
            "(model.to_table()), and name the file: dataclasses.replace(model, filename='curve.fits')."
        )
    return model.filename
