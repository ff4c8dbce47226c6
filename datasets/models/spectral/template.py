"""Spectral models given by tables: energy against flux, and grids in energy and further parameters."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from ....kernels import spectral as k
from ....kernels import spectral_integrals as integrals
from ....kernels import tables
from ...arrays import Array, for_kernels, is_known
from ...errors import InputError
from ...io.fits import FitsFile
from ...io.gadf_quantity import ENERGY_NAMES, read_quantity
from ...io.paths import Filename, as_path, beside
from ...units import Given, parse_unit, require_positive_somewhere, to_unit, with_unit
from ..component import Section
from ..parameter import GivenParameter, Parameter, declared, internal
from .base import DNDE, Edges, Energies, NestedSpectralModel, SpectralModel, Values
from .norms import quantity_from, table_energy


def _values_in(values: Given, value_unit: str | None, what: str) -> tuple[Array, str]:
    """Numbers and the internal unit of table values: '', that of a differential flux, or, if neither, their own."""
    values = with_unit(values, f"{what}: values")
    if isinstance(values, u.Quantity):
        unit = values.unit
    else:
        if value_unit in (None, "", DNDE):
            found = DNDE if value_unit is None else value_unit
            return to_unit(values, found, f"{what}: values"), found
        unit = parse_unit(value_unit, f"{what}: value_unit")
    target = next((t for t in (DNDE, "") if unit.is_equivalent(t)), None)
    try:
        own = unit.to_string("fits") if target is None else target
    except ValueError as error:  # factors that are no powers of ten
        raise InputError(f"{what}: the unit {str(unit)!r} has no form in files. {error}") from error
    if isinstance(values, u.Quantity):
        return to_unit(values, own, f"{what}: values"), own
    # numbers of JAX, perhaps traced, cannot be Quantities
    factor = float(unit.to(own))
    numbers = to_unit(values, "", f"{what}: values")
    return (numbers if factor == 1 else to_unit(numbers * factor, "", f"{what}: values")), own


class TemplateSpectralModel(SpectralModel):
    """A table of fluxes (or norms) against energy, linear in ln value against ln E, going on beyond both ends.

    ``energy`` and ``values`` are Quantities, or numbers in TeV and in ``value_unit`` (TeV-1 s-1 cm-2 by default).
    Values in other units than that of a flux keep theirs; a source takes them once a product makes a flux of them. One
    energy makes a constant.
    The value is 0 where an entry is 0 or negative; an end piece with such an entry is not extrapolated.
    """

    energy: Float[Array, " n_energy"]
    values: Float[Array, " n_energy"]
    value_unit: str = eqx.field(static=True)
    tag = ("TemplateSpectralModel", "template")

    def __init__(self, energy: Given, values: Given, value_unit: str | None = None) -> None:
        self.energy = table_energy(energy, "TemplateSpectralModel", least=1)
        self.values, self.value_unit = _values_in(values, value_unit, "TemplateSpectralModel")

    def __check_init__(self) -> None:
        if self.energy.shape != self.values.shape:
            raise InputError(
                f"TemplateSpectralModel: energies of shape {self.energy.shape} and values of shape {self.values.shape} "
                "must be of one length."
            )
        if is_known(self.values) and not np.all(np.isfinite(self.values)):
            raise InputError("TemplateSpectralModel: the values must be finite.")
        require_positive_somewhere(self.values, "TemplateSpectralModel")

    @property
    def unit(self) -> str:
        return self.value_unit

    @property
    def kinks(self) -> jax.Array:
        """Energies (TeV) at which the slope jumps."""
        return jnp.asarray(self.energy)

    def evaluate(self, energy: Energies) -> Values:
        if self.energy.shape[0] == 1:
            return k.constant(energy, self._constant)
        logs = tables.floor_log(for_kernels(self.values))
        return tables.unfloor_exp(tables.interpolate(jnp.log(energy), jnp.log(self.energy), logs, "floored"))

    @property
    def _constant(self) -> jax.Array:
        """The value of a table of one energy; like all entries 0 where it is negative."""
        return jnp.maximum(jnp.asarray(self.values)[0], 0.0)

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        if self.energy.shape[0] == 1:
            return integrals.constant(edges, self._constant)
        return tables.integrate_log_log(
            edges, jnp.log(self.energy), tables.floor_log(for_kernels(self.values)), "floored"
        )

    def extra_dict(self) -> Section:
        return {
            "energy": {"data": np.asarray(self.energy).tolist(), "unit": "TeV"},
            "values": {"data": np.asarray(self.values).tolist(), "unit": self.value_unit},
        }

    @classmethod
    def from_extra(
        cls, data: Section, parameters: dict[str, Parameter] | None = None, base_path: Filename | None = None
    ) -> Self:
        return cls(quantity_from(data, "energy", cls.__name__), quantity_from(data, "values", cls.__name__))


class TemplateNDSpectralModel(NestedSpectralModel):
    """A grid of fluxes (or norms) in energy and further axes, each further axis being a parameter of the model.

    ``energy`` are the energy nodes and ``axes`` maps names to the nodes of the further axes (Quantities or numbers).
    ``values`` has the shape (n_energy, n_axis_1, ..., n_axis_k). ``interp`` names the scale in which each axis is
    linear, "lin", "log" or "sqrt" (default "lin", and "log" for the energy under the name "energy_true").
    Interpolation is multilinear in ln value and goes on beyond the ends. Parameters start in the middle of their axes,
    bounded by the end nodes; keywords set them: ``TemplateNDSpectralModel(energy, axes, values, tilt=0.3)``.
    """

    energy: Float[Array, " n_energy"]
    nodes: OrderedDict[str, Float[Array, " n_nodes"]]
    values: Float[Array, "n_energy ..."]
    coordinates: OrderedDict[str, Parameter]
    scales: tuple[str, ...] = eqx.field(static=True)
    value_unit: str = eqx.field(static=True)
    filename: str | None = eqx.field(static=True)
    tag = ("TemplateNDSpectralModel", "templateND")

    def __init__(
        self,
        energy: Given,
        axes: Mapping[str, Given] | None = None,
        values: Given = (),
        interp: Mapping[str, str] | None = None,
        value_unit: str | None = None,
        filename: Filename | None = None,
        nodes: Mapping[str, Given] | None = None,
        coordinates: Mapping[str, Parameter] | None = None,
        scales: tuple[str, ...] | None = None,
        **parameters: GivenParameter,
    ) -> None:
        given = axes if axes is not None else nodes or {}
        axes = {name: with_unit(row, f"axes: {name}") for name, row in given.items()}
        unknown = sorted(set(parameters) - set(axes))
        if unknown:
            raise InputError(f"TemplateNDSpectralModel: there is no axis {unknown[0]!r}; axes are {', '.join(axes)}.")
        self.energy = table_energy(energy, "TemplateNDSpectralModel")
        interp = {"energy_true": "log"} | dict(interp or {})
        self.scales = scales or (interp["energy_true"], *(interp.get(name, "lin") for name in axes))
        self.values, self.value_unit = _values_in(values, value_unit, "TemplateNDSpectralModel")
        self.filename = None if filename is None else str(filename)
        units = {n: row.unit for n, row in axes.items() if isinstance(row, u.Quantity)}
        self.nodes = OrderedDict((n, to_unit(row, units.get(n, ""), f"axes: {n}")) for n, row in axes.items())
        for name, row in self.nodes.items():
            if np.ndim(row) != 1:
                raise InputError(
                    f"TemplateNDSpectralModel: axes: {name} must be one list of nodes, found shape {np.shape(row)}."
                )
        made = {n: _coordinate(n, row, units.get(n), parameters.get(n)) for n, row in self.nodes.items()}
        # those of a copy by dataclasses.replace are finished
        self.coordinates = OrderedDict((n, (coordinates or {}).get(n, p)) for n, p in made.items())

    def __check_init__(self) -> None:
        wanted = (self.energy.shape[0], *(row.shape[0] for row in self.nodes.values()))
        if tuple(self.values.shape) != wanted:
            raise InputError(
                f"TemplateNDSpectralModel: the values have shape {tuple(self.values.shape)}, "
                f"expected (energy, {', '.join(self.nodes)}) = {wanted}."
            )
        if is_known(self.values) and not np.all(np.isfinite(self.values)):
            raise InputError("TemplateNDSpectralModel: the values must be finite.")
        require_positive_somewhere(self.values, "TemplateNDSpectralModel")
        if min(wanted) < 2:
            raise InputError("TemplateNDSpectralModel: every axis needs at least two nodes.")
        bad = [scale for scale in self.scales if scale not in ("lin", "log", "sqrt")]
        if bad:
            raise InputError(f"TemplateNDSpectralModel: interp must be 'lin', 'log' or 'sqrt', found {bad[0]!r}.")
        if self.scales[0] != "log":
            raise InputError(
                f"TemplateNDSpectralModel: the energy axis must have interp 'log', found {self.scales[0]!r}."
            )

    @property
    def unit(self) -> str:
        return self.value_unit

    @property
    def kinks(self) -> jax.Array:
        """Energies (TeV) at which the slope jumps."""
        return jnp.asarray(self.energy)

    def _log_spectrum(self) -> jax.Array:
        at = tuple(internal(*self.coordinates.values()))
        return tables.slice_at(
            for_kernels(self.values), tuple(map(for_kernels, self.nodes.values())), at, self.scales[1:]
        )

    def evaluate(self, energy: Energies) -> Values:
        return tables.unfloor_exp(tables.interpolate(jnp.log(energy), jnp.log(self.energy), self._log_spectrum()))

    def integrate_bins(self, edges: Edges, order: int) -> Values:
        return tables.integrate_log_log(edges, jnp.log(self.energy), self._log_spectrum(), "linear")

    def extra_dict(self) -> Section:
        if self.filename is None:
            raise InputError(
                "TemplateNDSpectralModel: a YAML file refers to the grid by file name. Read the grid from a file, "
                "or set one: dataclasses.replace(model, filename='grid.fits')."
            )
        return {"filename": self.filename, "unit": self.value_unit}

    @classmethod
    def from_extra(cls, data: Section, parameters: dict[str, Parameter], base_path: Filename | None = None) -> Self:
        if "filename" not in data:
            raise InputError(f"{cls.__name__}: expected the key 'filename'.")
        return cls.read(beside(data["filename"], base_path), **parameters)

    @classmethod
    def read(cls, filename: Filename, **parameters: Any) -> Self:
        """From a FITS map with one spatial pixel or region and non-spatial axes, one of them the energy."""
        path = as_path(filename)
        if not path.is_file():
            raise InputError(f"{cls.__name__}: there is no file {path}.")
        return cls(**_grid(FitsFile(path)), filename=path, **parameters)


def _coordinate(name: str, row: Array, unit: u.UnitBase | None, given: GivenParameter | None) -> Parameter:
    """The parameter along an axis with these nodes; ``unit`` is that of the axis, None where it says none."""
    if given is None:
        return Parameter((row[0] + row[-1]) / 2, unit, min=row[0], max=row[-1])
    if not isinstance(given, Parameter):
        return Parameter(to_unit(given, unit or "", name), unit)
    if unit is None:
        return declared(given, 1.0, "")
    if not u.Unit(given.unit).is_equivalent(unit):
        raise _bad_unit(name, given.unit, unit)
    return declared(given, float(u.Unit(given.unit).to(unit)), "")


def _bad_unit(name: str, found: str | u.UnitBase, expected: u.UnitBase) -> InputError:
    found, expected = (u.Unit(unit).to_string() for unit in (found, expected))
    return InputError(f"TemplateNDSpectralModel: {name} has unit {found!r}, expected one convertible to {expected!r}.")


def _grid(file: FitsFile) -> dict[str, Any]:
    """Constructor arguments of the grid in the first map of a file."""
    name = next((h.name.removesuffix("_BANDS") for h in file.hdus if h.name.endswith("_BANDS")), None)
    if name is None:
        raise InputError(f"{file}: there is no BANDS table that says what the axes are, only {file.names()}.")
    stored = read_quantity(file, name)
    names = [axis.name for axis in stored.axes]
    energy = next((own for own in ENERGY_NAMES if own in names), None)
    if energy is None:
        raise InputError(f"{stored.where}: the axes are {names}, expected one of them to be an energy.")
    others = [own for own in names if own != energy]
    if stored.values.shape[-2:] != (1, 1):
        raise InputError(f"{stored.where}: found {stored.values.shape[-2:]} pixels, expected one, or a region.")
    # the energy first, as the constructor has it: in files the first axis is the last of the array
    stored = stored.require_axes(*reversed([energy, *others]))
    axes = {axis.name: axis for axis in stored.axes}
    return {
        "energy": axes[energy].center,
        "axes": {own: axes[own].center for own in others},
        "values": u.Quantity(stored.values[..., 0, 0], stored.unit),
        "interp": {"energy_true": axes[energy].interp} | {own: axes[own].interp for own in others},
    }
