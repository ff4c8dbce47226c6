"""Spatial models given by an image of the sky, or by a cube of images against energy."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from ....kernels import sky_table
from ....kernels.sphere import from_icrs, lonlat_to_vector, to_icrs, vector_to_lonlat
from ....kernels.tables import interpolate, scaled
from ...arrays import Array, for_kernels, frozen_array
from ...errors import InputError
from ...hints.switches import to_flag
from ...io.paths import Filename, beside
from ...sky.axis import MapAxis
from ...sky.geom import SkyGeom
from ...units import Given, require_positive_somewhere, split_mask, to_unit, with_unit
from ..component import Section
from ..parameter import GivenParameter, Parameter, ParameterField, parameter, placed
from ..spectral.base import Energies, Values
from .base import SpatialModel, Vectors
from .outline import rectangle_region
from .template_files import read_template, write_template

if TYPE_CHECKING:
    from regions import RectangleSkyRegion

SURFACE = "sr-1"

DNDE_SURFACE = "TeV-1 s-1 cm-2 sr-1"


class TemplateSpatialModel(SpatialModel):
    """An image of the sky, or a cube of images against true energy, interpolated linearly in ln value.

    Parameters
    ----------
    values : (ny, nx) or (n_energy, ny, nx), Quantity or numbers in sr-1. NaN, masked and negative entries count as 0.
    geom : `SkyGeom`
    energy : `MapAxis` of true energies for a cube, by edges or centres
    normalize : divide each image by its sum and by the solid angle of the pixels: it then shares a flux of 1 out as the
        entries say. Else the values are surface brightness, or a diffuse flux in TeV-1 s-1 cm-2 sr-1.
    lon_0, lat_0 : position of the middle of the map; other values shift the image in longitude and latitude of the
        map's frame (icrs or galactic). Frozen, at the middle, by default.
    filename : what YAML files refer to

    Outside the map, and outside the edges of the energy axis, the value is 0; an all-sky map of the projection CAR goes
    round. A cube without ``energy`` given is evaluated at the centres of its bins.
    """

    values: Float[Array, "..."]
    geom: SkyGeom
    lon_0: ParameterField = parameter(0.0, "deg", frozen=True, role="position")
    lat_0: ParameterField = parameter(0.0, "deg", frozen=True, min=-90.0, max=90.0, role="latitude")
    energy: Float[Array, " n_energy"] | None = None
    middle: Float[Array, "2"] = eqx.field(default=None)
    radius: Float[Array, ""] = eqx.field(default=None)
    energy_interp: str = eqx.field(static=True, default="log")
    energy_edges: bool = eqx.field(static=True, default=True)
    normalize: bool = eqx.field(static=True, default=True)
    filename: str | None = eqx.field(static=True, default=None)
    value_unit: str = eqx.field(static=True, default=SURFACE)
    period: bool = eqx.field(static=True, default=False)
    tag = ("TemplateSpatialModel", "template")
    scheme = "direct"

    def __init__(
        self,
        values: Given,
        geom: SkyGeom,
        energy: MapAxis | None = None,
        normalize: bool = True,
        lon_0: GivenParameter | None = None,
        lat_0: GivenParameter | None = None,
        filename: Filename | None = None,
        middle: Array | None = None,
        **rest: Any,
    ) -> None:
        if middle is not None:
            # a copy of a finished model, by dataclasses.replace
            fields = {"values": values, "geom": geom, "energy": energy, "normalize": normalize, "lon_0": lon_0}
            for name, content in (fields | {"lat_0": lat_0, "filename": filename, "middle": middle} | rest).items():
                setattr(self, name, content)
            return
        if rest:
            raise InputError(f"TemplateSpatialModel: there is no argument {sorted(rest)[0]!r}.")
        if not isinstance(geom, SkyGeom):
            raise InputError(f"TemplateSpatialModel: geom must be a SkyGeom, found {type(geom).__name__}.")
        self.geom, self.normalize = geom, to_flag(normalize, "TemplateSpatialModel: normalize")
        self.frame = "galactic" if geom.frame == "galactic" else "icrs"
        self.energy, self.energy_interp, self.energy_edges = _axis(energy)
        self.values, self.value_unit = _processed(values, geom, energy, self.normalize)
        lon, lat = vector_to_lonlat(from_icrs(np.asarray(geom.pixel_to_vector(*geom.middle)), self.frame))
        # 0 and not 360 less a rounding error
        lon = (lon + 1e-9) % 360 - 1e-9
        self.middle = frozen_array([lon, lat])
        self.lon_0, self.lat_0 = _angle(lon_0, float(lon), "lon_0"), _angle(lat_0, float(lat), "lat_0")
        # astropy's sky modules take long to import
        from astropy.wcs.utils import proj_plane_pixel_scales

        scales = proj_plane_pixel_scales(geom.wcs)
        self.radius = frozen_array(np.max(scales * np.array(geom.shape[::-1])) / 2)
        around = abs(float(scales[0]) * geom.shape[1] - 360) < 1e-6 * float(scales[0])
        self.period = geom.projection == "CAR" and around
        self.filename = None if filename is None else str(filename)

    @property
    def unit(self) -> str:
        return self.value_unit

    @property
    def is_energy_dependent(self) -> bool:
        return self.energy is not None

    @property
    def position(self) -> tuple[Array, Array]:
        return self.lon_0.internal, self.lat_0.internal

    @property
    def evaluation_radius(self) -> Array | float:
        """Half of the longer side of the map."""
        return self.radius

    @property
    def energy_center(self) -> Float[jax.Array, " n_energy"]:
        """Centres of the energy bins of a cube, (n_energy,) TeV."""
        if self.energy is None:
            raise InputError("TemplateSpatialModel: an image has no energies.")
        return centres_of(self.energy, self.energy_interp, self.energy_edges)

    def to_region(self, size_factor: Given = 1.0) -> "RectangleSkyRegion":
        """The rectangle of the map."""
        return map_region(self.geom, self.position, self.frame)

    def _plane(self, energy: Energies) -> jax.Array:
        """Fractional index into the cube of energies (TeV)."""
        assert self.energy is not None
        return plane_of(energy, self.energy, self.energy_interp, self.energy_edges)

    def _pixels(self, vectors: Vectors) -> tuple[jax.Array, jax.Array]:
        """Pixel coordinates of directions in the shifted map."""
        lon, lat = vector_to_lonlat(from_icrs(vectors, self.frame))
        lon, lat = lon - (self.lon_0.internal - self.middle[0]), lat - (self.lat_0.internal - self.middle[1])
        vectors = to_icrs(lonlat_to_vector(lon, lat), self.frame)
        x, y = self.geom.vector_to_pixel(for_kernels(vectors))
        if not (self.lon_0.frozen and self.lat_0.frozen):
            # where the projection shows nothing, gradients would be NaN times 0
            hidden = ~jnp.isfinite(jax.lax.stop_gradient(x + y))
            middle = self.geom.pixel_to_vector(*self.geom.middle)
            x, y = self.geom.vector_to_pixel(jnp.where(hidden[..., None], middle, vectors))
            x = jnp.where(hidden, -1e6, x)
        if self.period:
            nx = self.geom.shape[1]
            x = (x + 0.5) % nx - 0.5
        return x, y

    def evaluate(self, vectors: Vectors, energy: Energies | None = None) -> Values:
        x, y = self._pixels(jnp.asarray(vectors))
        values = jnp.asarray(self.values)
        if self.energy is None:
            return sky_table.interpolate_image(values, x, y, self.period)
        plane = self._plane(self.energy_center if energy is None else jnp.atleast_1d(jnp.asarray(energy)))
        return sky_table.interpolate_cube(values, plane, x, y, self.period)

    @classmethod
    def read(cls, filename: Filename, normalize: bool = True, **parameters: Any) -> Self:
        """From a FITS image, or a cube with its energies in a BANDS (gammapy) or ENERGIES (Fermi-LAT) table."""
        stored = read_template(filename)
        values = stored.values if normalize else u.Quantity(stored.values, stored.unit)
        return cls(values, stored.geom, stored.energy, normalize, filename=filename, **parameters)

    def write(self, filename: Filename, overwrite: bool = False) -> Self:
        """Write the map to a FITS file as gammapy reads it. Returns the model with this ``filename``."""
        axis = None
        if self.energy is not None:
            kind = "edges" if self.energy_edges else "center"
            axis = MapAxis(np.asarray(self.energy), self.energy_interp, "energy_true", "TeV", kind)
        # shares of pixels, which reading turns into surface brightness again
        values = np.asarray(self.values) * (pixel_areas(self.geom) if self.normalize else 1.0)
        unit = "" if self.normalize else self.value_unit
        write_template(values, unit, axis, self.geom, filename, overwrite)
        return dataclasses.replace(self, filename=str(filename))

    def extra_dict(self) -> Section:
        if self.filename is None:
            raise InputError(
                "TemplateSpatialModel: a YAML file refers to the map by file name. Write it first: model = "
                "model.write('template.fits')."
            )
        return {"filename": self.filename, "normalize": self.normalize, "unit": self.value_unit}

    @classmethod
    def from_extra(cls, data: Section, parameters: dict[str, Parameter], base_path: Filename | None = None) -> Self:
        if "filename" not in data:
            raise InputError(f"{cls.__name__}: expected the key 'filename'.")
        path: Path = beside(data["filename"], base_path)
        return cls.read(path, data.get("normalize", True), **parameters)


def centres_of(energy: Array, interp: str, edges: bool) -> jax.Array:
    """Centres of the energy bins of a cube, (n_energy,) TeV, from its nodes, their scale and whether they are edges."""
    nodes = scaled(jnp.asarray(energy), interp)
    middle = (nodes[1:] + nodes[:-1]) / 2 if edges else nodes
    return {"log": jnp.exp, "sqrt": jnp.square, "lin": jnp.asarray}[interp](middle)


def plane_of(energy: Energies, nodes: Array, interp: str, edges: bool) -> jax.Array:
    """Fractional index into a cube of energies (TeV)."""
    scale = scaled(jnp.asarray(nodes), interp)
    if scale.shape[0] == 1:
        return jnp.zeros_like(energy)
    index = jnp.arange(scale.shape[0], dtype=scale.dtype)
    return interpolate(scaled(energy, interp), scale, index) - (0.5 if edges else 0.0)


def map_region(geom: SkyGeom, position: tuple[Array, Array], frame: str) -> "RectangleSkyRegion":
    """The rectangle of a map around its middle."""
    from astropy.wcs.utils import proj_plane_pixel_scales

    ny, nx = geom.shape
    scales = proj_plane_pixel_scales(geom.wcs)
    return rectangle_region(position, frame, float(scales[0]) * nx, float(scales[1]) * ny)


def _axis(energy: MapAxis | None) -> tuple[Array | None, str, bool]:
    """Nodes in TeV, their scale, and whether they are edges."""
    if energy is None:
        return None, "log", True
    if not isinstance(energy, MapAxis) or not energy.unit.is_equivalent("TeV"):
        raise InputError(f"TemplateSpatialModel: energy must be a MapAxis of energies, found {energy!r}.")
    return frozen_array(energy.nodes * energy.unit.to("TeV")), energy.interp, energy.node_type == "edges"


def pixel_areas(geom: SkyGeom) -> np.ndarray:
    """Solid angles (ny, nx) in sr; 0 for pixels that an all-sky projection does not show."""
    x, y = geom.pixel_grid
    back = geom.vector_to_pixel(np.asarray(geom.pixel_to_vector(x, y)))
    shown = np.hypot(back[0] - x, back[1] - y) < 1e-3
    return np.where(shown, np.nan_to_num(geom.solid_angle), 0.0)


def surface_numbers(values: Given, what: str) -> tuple[np.ndarray, u.UnitBase]:
    """Numbers of a table as they are given, NaN in place of masked ones, and their unit."""
    given, hidden = split_mask(values, what)
    given = with_unit(given, what)
    unit = given.unit if isinstance(given, u.Quantity) else u.Unit(SURFACE)
    numbers = np.array(to_unit(given, unit, what))
    if hidden is not None:
        numbers[hidden] = np.nan
    return numbers, unit


def _processed(values: Given, geom: SkyGeom, energy: MapAxis | None, normalize: bool) -> tuple[np.ndarray, str]:
    """Surface brightness, and its unit."""
    numbers, unit = surface_numbers(values, "TemplateSpatialModel: values")
    wanted = geom.shape if energy is None else (energy.nbin, *geom.shape)
    if numbers.shape != wanted:
        raise InputError(
            f"TemplateSpatialModel: the values have shape {numbers.shape}, expected {wanted}: "
            f"{'' if energy is None else 'energy, '}y, x."
        )
    # before anything is summed: a negative image would be one of positive shares else
    numbers[~(numbers > 0) | np.isinf(numbers)] = 0.0
    require_positive_somewhere(numbers, "TemplateSpatialModel")
    if normalize:
        sums = numbers.sum(axis=(-2, -1), keepdims=True)
        shares = np.divide(numbers, sums, out=np.zeros_like(numbers), where=sums != 0)
        omega = pixel_areas(geom)
        return frozen_array(np.divide(shares, omega, out=np.zeros_like(shares), where=omega > 0)), SURFACE
    target = next((t for t in (SURFACE, DNDE_SURFACE) if unit.is_equivalent(t)), None)
    if target is None and not unit.is_equivalent(""):
        raise InputError(
            f"TemplateSpatialModel: the values have unit {unit.to_string()!r}, expected {SURFACE!r} or "
            f"{DNDE_SURFACE!r}. Convert them, or let normalize=True share out a flux of 1."
        )
    return frozen_array(numbers * unit.to(target or "")), target or SURFACE


def _angle(given: GivenParameter | None, default: float, field: str) -> Parameter:
    """Position parameter, frozen at the middle of the map unless given."""
    declared: Any = next(f.default for f in dataclasses.fields(TemplateSpatialModel) if f.name == field)
    return given if isinstance(given, Parameter) else placed(default if given is None else given, declared, field)
