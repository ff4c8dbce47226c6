"""What every spatial model is: parameters, a surface brightness on the sky, and how its image is made."""

import math
from abc import abstractmethod
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from ....kernels.spatial_nodes import Rings, on_ellipses
from ....kernels.sphere import TO_ICRS, local_offsets, lonlat_to_vector, to_icrs
from ...arrays import Array, for_kernels, is_concrete
from ...errors import InputError
from ...units import Given, number_in, to_unit, with_unit
from ..component import Formulas, ModelComponent
from ..parameter import GivenParameter, Parameter, ParameterField, parameter
from ..spectral.base import Energies, Values, energy_in_tev
from .outline import sky_region

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from regions import SkyRegion


Vectors = Float[Array, "... 3"]
Offsets = Float[jax.Array, "..."]
Nodes = tuple[Float[jax.Array, " n"], Float[jax.Array, " n"], Float[jax.Array, " n"]]

SCHEMES = ("point", "gauss", "nodes", "direct")


class SpatialModel(ModelComponent):
    """Base of the spatial models.

    A subclass declares its parameters as fields (see `parameter`), the YAML tags in ``tag``, ``evaluate``, and in
    ``scheme`` how its image on pixels is made:

    - "point": all at its position;
    - "gauss": ``blurred_profile(x, y, blur)`` is its convolution with a round Gaussian, in closed form;
    - "nodes": ``nodes(*node_counts(spacing))`` replaces it by weighted points;
    - "direct": evaluated at the pixels; the whole sky, or a map of its own.

    ``frame`` is the frame of its longitude and latitude and of position angles, "icrs" or "galactic".
    """

    frame: str = eqx.field(static=True, default="icrs", kw_only=True)
    scheme: ClassVar[str] = "direct"
    formulas: ClassVar[Formulas] = {
        "evaluate": ("", "TeV"),
        "profile": ("deg", "deg"),
        "blurred_profile": ("deg", "deg", "deg"),
    }
    per_pixel: ClassVar[bool] = False
    """The image is 1 in every pixel, whatever its size: the value is not a surface brightness."""

    def __check_init__(self) -> None:
        if self.frame not in TO_ICRS:
            raise InputError(
                f"{type(self).__name__}: frame must be one of {', '.join(TO_ICRS)}, found {self.frame!r}. Convert the "
                "position."
            )

    @abstractmethod
    def evaluate(self, vectors: Vectors, energy: Energies | None = None) -> Values:
        """Surface brightness in ``unit`` at ICRS unit vectors (..., 3).

        An energy-dependent model gives shape (n_energy, ...) for ``energy`` (n_energy,) in TeV; others ignore it.
        """

    @property
    def unit(self) -> str:
        return "sr-1"

    @property
    def is_energy_dependent(self) -> bool:
        return False

    @property
    def position(self) -> tuple[Array, Array] | None:
        """Longitude and latitude of the centre in ``frame``, numbers in deg; None where there is no centre."""
        return None

    @property
    def center_vector(self) -> Float[Array, "3"] | None:
        """ICRS unit vector (3,) of the centre, or None."""
        return None if self.position is None else to_icrs(lonlat_to_vector(*self.position), self.frame)

    @property
    def evaluation_radius(self) -> Array | float | None:
        """Radius (deg) that holds the source, or None for one without limits."""
        return None

    def to_region(self, size_factor: Given = 1.0) -> "SkyRegion":
        """The outline as a region of the package regions, as gammapy's; of the whole sky a rectangle.

        ``size_factor`` multiplies sizes: of a Gaussian it is the number of standard deviations, at 1 one that holds
        39 % of the flux of a round one. Angles count from the north of the frame of the model.
        """
        return sky_region(self.frame)

    def __call__(self, lon: Given, lat: Given, energy: Given | None = None) -> Array:
        """Value at longitude and latitude in ``frame`` (Quantities, or numbers in deg) and energy (or TeV).

        A Quantity for a longitude that has a unit, else numbers in ``unit``.
        """
        lon = with_unit(lon, "lon")
        degrees = to_unit(lon, "deg", "lon"), to_unit(lat, "deg", "lat")
        xp: ModuleType = np if all(is_concrete(angle) for angle in degrees) else jnp
        vectors = to_icrs(lonlat_to_vector(*xp.broadcast_arrays(*degrees)), self.frame)
        value = self.evaluate(vectors, None if energy is None else energy_in_tev(energy))
        return u.Quantity(np.asarray(value), self.unit) if isinstance(lon, u.Quantity) else value


class PositionedModel(SpatialModel):
    """Base of the models around a position, ``lon_0`` and ``lat_0``, given by a profile of local offsets."""

    lon_0: ParameterField = parameter(0.0, "deg", role="position")
    lat_0: ParameterField = parameter(0.0, "deg", min=-90.0, max=90.0, role="latitude")

    @classmethod
    def from_position(cls, position: "SkyCoord", **parameters: GivenParameter) -> Self:
        """A model at a SkyCoord (ICRS or Galactic, others are converted to ICRS)."""
        if position.frame.name not in TO_ICRS:
            position = position.icrs
        angles = {"lon_0": position.data.lon.deg * u.deg, "lat_0": position.data.lat.deg * u.deg}
        return cls(**angles, frame=position.frame.name, **parameters)

    @property
    def position(self) -> tuple[Array, Array]:
        return self.lon_0.internal, self.lat_0.internal

    @property
    @abstractmethod
    def evaluation_radius(self) -> Array | float:
        """Radius (deg) that holds the source."""

    @abstractmethod
    def profile(self, x: Offsets, y: Offsets) -> Values:
        """Surface brightness (sr-1) at offsets (deg) to the east and north, azimuthal equidistant around the centre."""

    def evaluate(self, vectors: Vectors, energy: Energies | None = None) -> Values:
        x, y = local_offsets(jnp.asarray(vectors), *self.position, self.frame)
        return self.profile(for_kernels(x), for_kernels(y))


class ExtendedModel(PositionedModel):
    """Base of the positioned models that weighted points stand for, placed to resolve edges exactly.

    ``nodes`` is a quadrature on the source: sum w f(x, y) = int profile f dOmega for smooth f. It is smooth in the
    parameters as long as the counts stay the same.
    """

    scheme = "nodes"

    @abstractmethod
    def nodes(self, n_radial: tuple[int, ...], n_angular: int) -> Nodes:
        """Offsets x (east) and y (north) in deg, and weights, each of shape (n,); the weights sum to 1.

        The counts are those of `node_counts`; ``n_radial`` is one number for each part of the radial rule.
        """

    @abstractmethod
    def node_counts(self, spacing: Given) -> tuple[tuple[int, ...], int]:
        """Counts (n_radial, n_angular) with which neighbouring nodes are no farther apart than ``spacing`` (deg).

        At least 8 radii and 16 angles. Needs concrete parameters.
        """


class RingModel(ExtendedModel):
    """Base of the extended models whose nodes are those of ellipses: of large ones, only what reaches a map is made."""

    @abstractmethod
    def rings(self, n_radial: tuple[int, ...]) -> Rings:
        """The radial rule of the source: ellipses, and what of it each one stands for.

        The counts are those of `node_counts`, one number for each part of the rule.
        """

    def nodes(self, n_radial: tuple[int, ...], n_angular: int) -> Nodes:
        return on_ellipses(self.rings(n_radial), n_angular)


def concrete(model: SpatialModel, *parameters: Parameter) -> list[float]:
    """Values in deg of parameters that have to be numbers outside any JAX transformation."""
    if not all(is_concrete(p.value) for p in parameters):
        raise InputError(
            f"{type(model).__name__}: the number of nodes has to be known before tracing. Call node_counts outside "
            "jax.jit and jax.grad."
        )
    return [float(p.internal) for p in parameters]


def check_spacing(spacing: Given) -> float:
    number = number_in(spacing, "deg", "node_counts: spacing")
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"node_counts: spacing must be a positive number of deg, found {spacing}.")
    return number
