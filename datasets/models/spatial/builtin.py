"""Spatial models: parameters, units and tags over the formulas of ``kernels.spatial``."""

import math
from typing import TYPE_CHECKING, Any, Self

import jax
import jax.numpy as jnp
from astropy import units as u

from ....kernels import spatial as k
from ....kernels import spatial_nodes as rules
from ...arrays import Array
from ...errors import InputError
from ...units import Given, number_in
from ..parameter import GivenParameter, Parameter, ParameterField, internal, parameter
from ..spectral.base import Energies, Values
from .base import Offsets, PositionedModel, RingModel, SpatialModel, Vectors, check_spacing, concrete
from .outline import annulus_region, ellipse_of, ellipse_region, point_region

if TYPE_CHECKING:
    from regions import CircleAnnulusSkyRegion, EllipseSkyRegion, PointSkyRegion, Region


def _ellipse(model: PositionedModel, size: Parameter, factor: Given) -> "EllipseSkyRegion":
    """The ellipse of a model with a size, an eccentricity ``e`` and an angle ``phi``."""
    numbers = (float(p.internal) for p in (size, model.parameters["e"], model.parameters["phi"]))
    major, e, phi = numbers
    return ellipse_region(model.position, model.frame, _factor(factor) * major, e, phi)


def _factor(given: Given) -> float:
    factor = number_in(given, "", "to_region: size_factor")
    if not 0 < factor < math.inf:
        raise InputError(f"to_region: size_factor is {factor}, expected a positive number.")
    return factor


class PointSpatialModel(PositionedModel):
    """A point: all flux at one position."""

    tag = ("PointSpatialModel", "point")
    scheme = "point"

    @property
    def evaluation_radius(self) -> Array | float:
        return 0.0

    def to_region(self, size_factor: Given = 1.0) -> "PointSkyRegion":
        """The position."""
        return point_region(self.position, self.frame)

    def profile(self, x: Offsets, y: Offsets) -> Values:
        raise InputError(
            "PointSpatialModel: a point has no surface brightness. Blur it (blurred_profile), or use a Gaussian of "
            "small sigma."
        )

    def blurred_profile(self, x: Offsets, y: Offsets, blur: Array | float) -> Values:
        """The point blurred by a round Gaussian of width ``blur`` (deg): sr-1 at offsets (deg)."""
        zero: Any = 0.0
        return k.gaussian(x, y, zero, zero, zero, blur)


class GaussianSpatialModel(PositionedModel):
    """Gaussian of the sphere of width ``sigma`` along its major axis, of eccentricity ``e`` and position angle ``phi``.

    ``phi`` runs from north over east; for phi = 0 the major axis is along the latitude.
    """

    sigma: ParameterField = parameter(1.0, "deg", min=0.0, role="width")
    e: ParameterField = parameter(0.0, frozen=True, min=0.0, max=1.0, role="eccentricity")
    phi: ParameterField = parameter(0.0, "deg", frozen=True, min=-180.0, max=180.0, role="angle")
    tag = ("GaussianSpatialModel", "gauss")
    scheme = "gauss"

    @property
    def evaluation_radius(self) -> Array | float:
        return 5 * self.sigma.internal

    def profile(self, x: Offsets, y: Offsets) -> Values:
        return k.gaussian(x, y, *internal(self.sigma, self.e, self.phi))

    def to_region(self, size_factor: Given = 1.0) -> "EllipseSkyRegion":
        """The ellipse at ``size_factor`` standard deviations."""
        return _ellipse(self, self.sigma, size_factor)

    @property
    def covariance(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Mean squares of the offsets (deg2): to the east, to the east times to the north, and to the north."""
        sigma, e, phi = internal(self.sigma, self.e, self.phi)
        sin, cos = jnp.sin(jnp.deg2rad(phi)), jnp.cos(jnp.deg2rad(phi))
        major, lack = sigma**2, (sigma * e) ** 2
        return major - lack * cos**2, lack * sin * cos, major - lack * sin**2

    def blurred_profile(self, x: Offsets, y: Offsets, blur: Array | float) -> Values:
        """The Gaussian blurred by a round one of width ``blur`` (deg): sr-1 at offsets (deg), also for sigma = 0.

        Widths add in quadrature along both axes. That is exact in the plane; on the sphere it holds to a sixth of the
        square of the smaller width in rad (5e-7 of the peak for 0.1 deg).
        """
        sigma, e, phi = internal(self.sigma, self.e, self.phi)
        return k.gaussian(x, y, sigma, e, phi, blur)


class GeneralizedGaussianSpatialModel(RingModel):
    """Falls as exp(-u^(1 / eta)) with the elliptical radius u in units of ``r_0``.

    An exponential for eta = 1, a Gaussian of sigma = r_0 / sqrt 2 for 1/2, nearly a disk for 0.01. Normalised on the
    sphere; the usual factor 2 pi r_0^2 sqrt(1 - e^2) eta Gamma(2 eta) is that of the plane.
    """

    r_0: ParameterField = parameter(1.0, "deg", role="radius")
    eta: ParameterField = parameter(0.5, min=0.01, max=1.0)
    e: ParameterField = parameter(0.0, frozen=True, min=0.0, max=1.0, role="eccentricity")
    phi: ParameterField = parameter(0.0, "deg", frozen=True, min=-180.0, max=180.0, role="angle")
    tag = ("GeneralizedGaussianSpatialModel", "gauss-general")

    @property
    def evaluation_radius(self) -> Array | float:
        return self.r_0.internal * (1 + 8 * self.eta.internal)

    def to_region(self, size_factor: Given = 1.0) -> "EllipseSkyRegion":
        """The ellipse at ``size_factor`` times ``r_0``."""
        return _ellipse(self, self.r_0, size_factor)

    def profile(self, x: Offsets, y: Offsets) -> Values:
        return k.generalized_gaussian(x, y, *internal(self.r_0, self.eta, self.e, self.phi))

    def rings(self, n_radial: tuple[int, ...]) -> rules.Rings:
        return rules.generalized_gaussian_rings(n_radial, *internal(self.r_0, self.eta, self.e, self.phi))

    def node_counts(self, spacing: Given) -> tuple[tuple[int, ...], int]:
        """As for every extended model; twice ``spacing`` where the brightness is below 1 % of the centre's."""
        return rules.generalized_gaussian_counts(check_spacing(spacing), *concrete(self, self.r_0, self.eta))


class DiskSpatialModel(RingModel):
    """Disk, or ellipse of major half axis ``r_0``, whose edge is softened over ``edge_width`` x r_0 on either side.

    Normalised with its soft edge (gammapy normalises the sharp ellipse: 4e-4 apart for the default width).
    """

    r_0: ParameterField = parameter(1.0, "deg", min=0.0, role="radius")
    e: ParameterField = parameter(0.0, frozen=True, min=0.0, max=1.0, role="eccentricity")
    phi: ParameterField = parameter(0.0, "deg", frozen=True, min=-180.0, max=180.0, role="angle")
    edge_width: ParameterField = parameter(0.01, frozen=True, min=0.0, max=1.0)
    tag = ("DiskSpatialModel", "disk")

    @property
    def evaluation_radius(self) -> Array | float:
        return 1.1 * self.r_0.internal * (1 + self.edge_width.internal)

    def to_region(self, size_factor: Given = 1.0) -> "EllipseSkyRegion":
        """The ellipse of half axis ``size_factor`` times ``r_0``."""
        return _ellipse(self, self.r_0, size_factor)

    @classmethod
    def from_region(cls, region: "Region", **parameters: GivenParameter) -> Self:
        """A disk in the place of a CircleSkyRegion or an EllipseSkyRegion; ``parameters`` are further or other ones."""
        return cls(**(ellipse_of(region, "DiskSpatialModel.from_region") | parameters))

    def profile(self, x: Offsets, y: Offsets) -> Values:
        return k.disk(x, y, *internal(self.r_0, self.e, self.phi, self.edge_width))

    def rings(self, n_radial: tuple[int, ...]) -> rules.Rings:
        return rules.disk_rings(n_radial, *internal(self.r_0, self.e, self.phi, self.edge_width))

    def node_counts(self, spacing: Given) -> tuple[tuple[int, ...], int]:
        return rules.disk_counts(check_spacing(spacing), *concrete(self, self.r_0, self.edge_width))


class ShellSpatialModel(RingModel):
    """Projection of a spherical shell that shines evenly from ``radius`` to ``radius`` + ``width``.

    Normalised on the sphere, in sr-1 (gammapy's values are in deg-2, labelled as sr-1).
    """

    radius: ParameterField = parameter(1.0, "deg", role="radius")
    width: ParameterField = parameter(0.2, "deg", role="width")
    tag = ("ShellSpatialModel", "shell")

    @property
    def evaluation_radius(self) -> Array | float:
        return self.radius.internal + self.width.internal

    def to_region(self, size_factor: Given = 1.0) -> "CircleAnnulusSkyRegion":
        """The ring between the inner and the outer radius, times ``size_factor``."""
        radius, width = (_factor(size_factor) * float(x) for x in internal(self.radius, self.width))
        return annulus_region(self.position, self.frame, radius, radius + width)

    def profile(self, x: Offsets, y: Offsets) -> Values:
        return k.shell(x, y, *internal(self.radius, self.width))

    def rings(self, n_radial: tuple[int, ...]) -> rules.Rings:
        return rules.shell_rings(n_radial, *internal(self.radius, self.width))

    def node_counts(self, spacing: Given) -> tuple[tuple[int, ...], int]:
        return rules.shell_counts(check_spacing(spacing), *concrete(self, self.radius, self.width))


class Shell2SpatialModel(RingModel):
    """`ShellSpatialModel` given by its outer radius ``r_0`` and its width in units of it, ``eta``."""

    r_0: ParameterField = parameter(1.0, "deg", role="radius")
    eta: ParameterField = parameter(0.2, min=0.02, max=1.0)
    tag = ("Shell2SpatialModel", "shell2")

    @property
    def evaluation_radius(self) -> Array | float:
        return self.r_0.internal

    def to_region(self, size_factor: Given = 1.0) -> "CircleAnnulusSkyRegion":
        """The ring between the inner and the outer radius, times ``size_factor``."""
        radius, width = (_factor(size_factor) * float(x) for x in self._radius_and_width())
        return annulus_region(self.position, self.frame, radius, radius + width)

    @property
    def r_in(self) -> u.Quantity:
        """The inner radius."""
        return (1 - self.eta.quantity) * self.r_0.quantity

    def _radius_and_width(self) -> tuple[jax.Array, jax.Array]:
        r_0, eta = internal(self.r_0, self.eta)
        return (1 - eta) * r_0, eta * r_0

    def profile(self, x: Offsets, y: Offsets) -> Values:
        return k.shell(x, y, *self._radius_and_width())

    def rings(self, n_radial: tuple[int, ...]) -> rules.Rings:
        return rules.shell_rings(n_radial, *self._radius_and_width())

    def node_counts(self, spacing: Given) -> tuple[tuple[int, ...], int]:
        r_0, eta = concrete(self, self.r_0, self.eta)
        return rules.shell_counts(check_spacing(spacing), (1 - eta) * r_0, eta * r_0)


class ConstantSpatialModel(SpatialModel):
    """The same surface brightness all over the sky."""

    value: ParameterField = parameter(1.0, "sr-1", frozen=True, role="norm")
    tag = ("ConstantSpatialModel", "const")

    def evaluate(self, vectors: Vectors, energy: Energies | None = None) -> Values:
        return self.value.internal * jnp.ones(vectors.shape[:-1])


class ConstantFluxSpatialModel(SpatialModel):
    """The same flux in every pixel, of whatever size: the spectrum is the flux of each pixel. `evaluate` is 1."""

    tag = ("ConstantFluxSpatialModel", "const-flux")
    per_pixel = True

    def evaluate(self, vectors: Vectors, energy: Energies | None = None) -> Values:
        return jnp.ones(vectors.shape[:-1])
