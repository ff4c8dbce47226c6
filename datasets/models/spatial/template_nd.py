"""Images or cubes of the sky on a grid of further parameters."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from ....kernels import sky_table, tables
from ...arrays import Array, fields_of, for_kernels, frozen_array
from ...errors import InputError
from ...io.fits import FitsFile, to_bytes
from ...io.gadf_quantity import ENERGY_NAMES, map_hdus, read_quantity
from ...io.paths import Filename, as_path, beside, write_files
from ...sky.axis import MapAxis
from ...sky.geom import SkyGeom
from ...units import Given
from ..component import Section
from ..parameter import GivenParameter, Parameter, internal, placed
from ..spectral.base import Energies, Values
from .base import SpatialModel, Vectors
from .template import DNDE_SURFACE, SURFACE, TemplateSpatialModel, centres_of, map_region, plane_of, surface_numbers

if TYPE_CHECKING:
    from regions import RectangleSkyRegion

NAME = "TemplateNDSpatialModel"


class TemplateNDSpatialModel(SpatialModel):
    """Images (or cubes against true energy) on a grid of parameters, interpolated linearly in ln value.

    Parameters
    ----------
    values : (n_1, ..., n_k, ny, nx) or (n_1, ..., n_k, n_energy, ny, nx), Quantity or numbers in sr-1: surface
        brightness, or a diffuse flux in TeV-1 s-1 cm-2 sr-1. NaN, negative and masked entries count as 0.
    geom : `SkyGeom`
    axes : one `MapAxis` for each further parameter, named as it; values stand at its centres
    energy : `MapAxis` of true energies for a cube
    filename : what YAML files refer to
    parameters : values by name; by default in the middle of the axes, within which they are bounded

    Values are not normalised. Outside the map and the energies they are 0; beyond the outer centres of a parameter the
    straight line goes on.
    """

    values: Float[Array, "..."]
    geom: SkyGeom
    nodes: OrderedDict[str, Float[Array, " n"]]
    coordinates: OrderedDict[str, Parameter]
    energy: Float[Array, " n_energy"] | None
    middle: Float[Array, "2"]
    radius: Float[Array, ""]
    energy_interp: str = eqx.field(static=True)
    energy_edges: bool = eqx.field(static=True)
    period: bool = eqx.field(static=True)
    scales: tuple[str, ...] = eqx.field(static=True)
    filename: str | None = eqx.field(static=True)
    value_unit: str = eqx.field(static=True)
    tag = (NAME, "templateND")
    scheme = "direct"

    def __init__(
        self,
        values: Given,
        geom: SkyGeom,
        axes: Iterable[MapAxis] = (),
        energy: MapAxis | None = None,
        filename: Filename | None = None,
        **parameters: Any,
    ) -> None:
        if "middle" in parameters:
            # a copy of a finished model, by dataclasses.replace
            fields = {"values": values, "geom": geom, "energy": energy, "filename": filename}
            for name, content in (fields | parameters).items():
                setattr(self, name, content)
            return
        rows = tuple(axes)
        names = [axis.name for axis in rows]
        if not rows or len(set(names)) < len(names) or not all(names):
            raise InputError(f"{NAME}: axes must be at least one MapAxis, each with a name of its own; found {names}.")
        numbers, unit = surface_numbers(values, f"{NAME}: values")
        wanted = (*(axis.nbin for axis in rows), *(() if energy is None else (energy.nbin,)), *geom.shape)
        if numbers.shape != wanted or min(axis.nbin for axis in rows) < 2:
            raise InputError(
                f"{NAME}: the values have shape {numbers.shape}, expected {wanted}: {', '.join(names)}, "
                f"{'' if energy is None else 'energy, '}y, x, with at least two of each parameter."
            )
        numbers[~np.isfinite(numbers) | (numbers < 0)] = 0.0
        target = next((t for t in (SURFACE, DNDE_SURFACE) if unit.is_equivalent(t)), None)
        if target is None:
            raise InputError(
                f"{NAME}: the values have unit {unit.to_string()!r}, expected {SURFACE!r} or {DNDE_SURFACE!r}. Convert "
                "them."
            )
        unknown = sorted(set(parameters) - set(names))
        if unknown:
            raise InputError(f"{NAME}: there is no axis {unknown[0]!r}; axes are {', '.join(names)}.")
        self.values, self.value_unit = frozen_array(numbers * unit.to(target)), target
        self.geom, self.filename = geom, None if filename is None else str(filename)
        self.nodes = OrderedDict((axis.name, frozen_array(axis.center.value)) for axis in rows)
        self.scales = tuple(axis.interp for axis in rows)
        self.coordinates = OrderedDict((axis.name, _coordinate(axis, parameters.get(axis.name))) for axis in rows)
        # what stands at the first point of the grid knows the pixels and energies
        first = u.Quantity(self.values[(0,) * len(rows)], target)
        image = TemplateSpatialModel(first, geom, energy, normalize=False)
        for name in ("energy", "middle", "radius", "energy_interp", "energy_edges", "period", "frame"):
            setattr(self, name, getattr(image, name))

    @property
    def unit(self) -> str:
        return self.value_unit

    @property
    def is_energy_dependent(self) -> bool:
        return self.energy is not None

    @property
    def parameters(self) -> dict[str, Parameter]:
        """One for each further axis."""
        return dict(self.coordinates)

    def replace(self, **changes: GivenParameter) -> Self:
        """A copy with changed parameters: numbers and Quantities set the value, a `Parameter` replaces it whole."""
        unknown = sorted(set(changes) - set(self.coordinates))
        if unknown:
            raise InputError(f"{NAME} has no parameter {unknown[0]!r}; it has {', '.join(self.coordinates)}.")
        new = {name: placed(given, self.coordinates[name], name) for name, given in changes.items()}
        coordinates = OrderedDict((name, new.get(name, p)) for name, p in self.coordinates.items())
        return type(self)(**(dict(fields_of(self)) | {"coordinates": coordinates}))

    def __getattr__(self, name: str) -> Any:
        found = None if name.startswith("_") else fields_of(self).get("coordinates", {}).get(name)
        return super().__getattr__(name) if found is None else found  # type: ignore[misc]

    @property
    def position(self) -> tuple[Array, Array]:
        """The middle of the map."""
        return self.middle[0], self.middle[1]

    @property
    def evaluation_radius(self) -> Array | float:
        """Half of the longer side of the map."""
        return self.radius

    def to_region(self, size_factor: Given = 1.0) -> "RectangleSkyRegion":
        """The rectangle of the map."""
        return map_region(self.geom, self.position, self.frame)

    def evaluate(self, vectors: Vectors, energy: Energies | None = None) -> Values:
        at = tuple(internal(*self.coordinates.values()))
        nodes = tuple(map(for_kernels, self.nodes.values()))
        logs = tables.slice_leading(for_kernels(self.values), nodes, at, self.scales)
        values = tables.unfloor_exp(logs)
        x, y = self.geom.vector_to_pixel(for_kernels(jnp.asarray(vectors)))
        if self.period:
            x = (x + 0.5) % self.geom.shape[1] - 0.5
        if self.energy is None:
            return sky_table.interpolate_image(values, x, y, self.period)
        kind = self.energy_interp, self.energy_edges
        wanted = centres_of(self.energy, *kind) if energy is None else jnp.atleast_1d(jnp.asarray(energy))
        return sky_table.interpolate_cube(values, plane_of(wanted, self.energy, *kind), x, y, self.period)

    @classmethod
    def read(cls, filename: Filename, **parameters: Any) -> Self:
        """From a FITS map with further axes, as gammapy writes it; an axis ``energy_true`` makes cubes."""
        file = FitsFile(filename)
        name = next((h.name.removesuffix("_BANDS") for h in file.hdus if h.name.endswith("_BANDS")), None)
        if name is None:
            raise InputError(f"{file}: there is no BANDS table of axes, only {file.names()}.")
        stored = read_quantity(file, name)
        geom = stored.geom
        if geom is None:
            raise InputError(f"{stored.where}: found the map of one region, expected images of the sky.")
        energy = next((axis for axis in stored.axes if axis.name in ENERGY_NAMES), None)
        axes = [axis for axis in stored.axes if axis.name not in ENERGY_NAMES]
        fastest = [*([] if energy is None else [energy.name]), *(axis.name for axis in reversed(axes))]
        stored = stored.require_axes(*fastest)
        # a map without a unit is surface brightness
        unit = stored.unit if stored.unit != u.dimensionless_unscaled else u.Unit(SURFACE)
        return cls(u.Quantity(np.asarray(stored.values, float), unit), geom, axes, energy, filename, **parameters)

    def write(self, filename: Filename, overwrite: bool = False) -> Self:
        """Write the maps to a FITS file as gammapy reads it. Returns the model with this ``filename``."""
        axes = []
        if self.energy is not None:
            kind = "edges" if self.energy_edges else "center"
            axes = [MapAxis(np.asarray(self.energy), self.energy_interp, "energy_true", "TeV", kind)]
        for name, scale in zip(self.nodes, self.scales, strict=True):
            axes.append(MapAxis(np.asarray(self.nodes[name]), scale, name, self.coordinates[name].unit, "center"))
        hdus = map_hdus("SKYMAP", self.fastest_first(), self.value_unit, tuple(axes), self.geom)
        write_files({as_path(filename): to_bytes(hdus)}, overwrite=overwrite)
        return type(self)(**(dict(fields_of(self)) | {"filename": str(filename)}))

    def fastest_first(self) -> np.ndarray:
        """The values with the parameters in reversed order, as files have them: the first axis is the last there."""
        n = len(self.nodes)
        return np.transpose(np.asarray(self.values), (*reversed(range(n)), *range(n, np.ndim(self.values))))

    def extra_dict(self) -> Section:
        if self.filename is None:
            raise InputError(
                f"{NAME}: a YAML file refers to the maps by file name. Write them first: model = "
                "model.write('template.fits')."
            )
        return {"filename": self.filename, "unit": self.value_unit}

    @classmethod
    def from_extra(cls, data: Section, parameters: dict[str, Parameter], base_path: Filename | None = None) -> Self:
        if "filename" not in data:
            raise InputError(f"{cls.__name__}: expected the key 'filename'.")
        return cls.read(beside(data["filename"], base_path), **parameters)


def _coordinate(axis: MapAxis, given: GivenParameter | None) -> Parameter:
    """The parameter of an axis: in its middle and bounded by its ends, or what is given in place of that."""
    low, high = float(axis.nodes[0]), float(axis.nodes[-1])
    default = Parameter((low + high) / 2, axis.unit, min=low, max=high)
    return default if given is None else placed(given, default, axis.name)
