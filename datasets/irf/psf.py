"""Point spread functions on the sky: tables of radial profiles at a grid of positions, and fixed kernels."""

import math
from typing import TYPE_CHECKING, ClassVar, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float
from numpy.typing import ArrayLike

from ...kernels import psf as kernels
from ...kernels.buckets import round_down, round_up
from ...kernels.psf import at_position
from ...kernels.sphere import lonlat_to_vector
from ..arrays import Array, Numbers, frozen_array, is_concrete
from ..errors import InputError
from ..hints.modules import HintedModule
from ..sky.geom import Direction, SkyGeom
from ..units import Given, to_unit

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

Energies = Float[Array, " n"]
"""Energies in TeV."""


class PSFMap(HintedModule):
    """Radial profiles of the point spread function at a grid of positions, as a function of true energy.

    Parameters
    ----------
    geom : `SkyGeom` of the grid, (y, x); None for one profile everywhere
    energy : energies at which the profiles hold, (n_energy,), Quantity or TeV
    rad : radii at which the profiles hold, (n_rad,), Quantity or deg
    rad_edges : edges of the bins in radius, (n_rad + 1,), Quantity or deg; halfway between the radii by default
    values : (n_energy, n_rad, y, x), Quantity or sr-1; normalised to 2 pi int P(r) r dr = 1
    exposure : (n_energy, y, x), Quantity or cm2 s; for stacking, not needed else

    Profiles are linear between radii, bilinear between positions and linear in ln E. ``reach`` and ``core`` (deg) are
    bounds of the radii that hold 99.9 % and 68 % of the events; they set the sizes of kernels.
    """

    geom: SkyGeom | None
    energy: Float[Array, " n_energy"]
    rad: Float[Array, " n_rad"]
    rad_edges: Float[Array, " n_rad+1"]
    values: Float[Array, "n_energy n_rad y x"]
    exposure: Float[Array, "n_energy y x"] | None
    reach: float = eqx.field(static=True)
    core: float = eqx.field(static=True)

    energy_axis: ClassVar[str] = "energy_true"

    def __init__(
        self,
        geom: SkyGeom | None,
        energy: Given,
        rad: Given,
        rad_edges: Given | None,
        values: Given,
        exposure: Given | None = None,
    ) -> None:
        self.geom = geom
        self.energy, self.rad = to_unit(energy, "TeV", "PSFMap energy"), to_unit(rad, "deg", "PSFMap rad")
        self.rad_edges = _edges_around(self.rad) if rad_edges is None else to_unit(rad_edges, "deg", "PSFMap rad_edges")
        self.values = to_unit(values, "sr-1", "PSFMap values")
        self.exposure = None if exposure is None else to_unit(exposure, "cm2 s", "PSFMap exposure")
        self._check()
        if not is_concrete(self.values) or not is_concrete(self.rad_edges):
            raise InputError(
                "PSFMap: make it outside of jit, its kernels need sizes. To differentiate in its values, exchange them "
                "with equinox.tree_at."
            )
        self.reach, self.core = _sizes(np.asarray(self.values), np.asarray(self.rad), np.asarray(self.rad_edges))

    def _check(self) -> None:
        name = type(self).__name__
        n_energy, n_rad = np.size(self.energy), np.size(self.rad)
        if n_rad < 2:
            raise InputError(f"{name}: profiles need at least two radii, found {n_rad}.")
        shape = (1, 1) if self.geom is None else self.geom.shape
        if np.shape(self.values) != (n_energy, n_rad, *shape):
            raise InputError(
                f"{name}: values have shape {np.shape(self.values)}, expected {(n_energy, n_rad, *shape)}: energies, "
                "radii, and the pixels of its geometry."
            )
        if np.shape(self.rad_edges) != (n_rad + 1,):
            raise InputError(f"{name}: found {np.size(self.rad_edges)} rad_edges for {n_rad} radii, expected one more.")
        if self.exposure is not None and np.shape(self.exposure) != (n_energy, *shape):
            raise InputError(
                f"{name}: the exposure has shape {np.shape(self.exposure)}, expected {(n_energy, *shape)}: energies, "
                "and the pixels of its geometry."
            )
        _check_axis(f"{name}: energy", self.energy, True)
        _check_axis(f"{name}: rad", self.rad)
        _check_axis(f"{name}: rad_edges", self.rad_edges)
        if is_concrete(self.values):
            bad = ~np.isfinite(self.values)
            if bad.any():
                first = tuple(int(i) for i in np.argwhere(bad)[0])
                raise InputError(
                    f"{name}: values must be finite, found {int(bad.sum())} NaN or infinite, the first at "
                    f"(energy, rad, y, x) = {first}. Set them to 0 where there is no exposure."
                )

    @classmethod
    def from_gauss(cls, energy: Given, sigma: Given, rad: Given | None = None, geom: SkyGeom | None = None) -> "PSFMap":
        """Gaussian profiles exp(-r^2 / 2 sigma^2) / (2 pi sigma^2), the same at all positions of ``geom``.

        ``energy`` (n,) and ``sigma`` (one or n): Quantities, or TeV and deg. ``rad``: bin edges; by default 0 to 0.66
        deg in steps of 0.01, or farther and finer if sigma asks for it.
        """
        energies = np.atleast_1d(np.asarray(to_unit(energy, "TeV", "energy")))
        width = np.broadcast_to(np.asarray(to_unit(sigma, "deg", "sigma")), energies.shape)
        if not np.all(width > 0):
            raise InputError(
                f"PSFMap: sigma must be positive, found {np.min(width)} deg. Use psf=None for a perfect one."
            )
        if rad is None:
            step = min(0.01, float(width.min()) / 6)
            edges = step * np.arange(math.ceil(max(0.66, 5.5 * float(width.max())) / step - 1e-9) + 1)
        else:
            edges = np.asarray(to_unit(rad, "deg", "rad"))
        centres = (edges[:-1] + edges[1:]) / 2
        values = np.exp(-0.5 * (centres / width[:, None]) ** 2) / (2 * np.pi * np.radians(width[:, None]) ** 2)
        shape = (1, 1) if geom is None else geom.shape
        values = np.broadcast_to(values[..., None, None], (*values.shape, *shape))
        return cls(geom, energies, centres, edges, values)

    def profile_at(self, vector: Direction, energy: Energies) -> Float[jax.Array, "n n_rad"]:
        """Profiles (n, n_rad) in sr-1 at an ICRS unit vector and energies (n,) in TeV.

        Where the pixel of the position has no profile (no exposure), those of the nearest pixel that has one.
        """
        values = jnp.asarray(self.values)
        if self.geom is None:
            table = values[..., 0, 0]
        else:
            x, y = self.geom.vector_to_pixel(vector)
            near_x, near_y, moved = kernels.nearest_valid(jnp.any(values > 0, axis=(0, 1)), x, y)
            table = kernels.at_position(values, jnp.where(moved, near_x, x), jnp.where(moved, near_y, y))
        return kernels.interpolate_axis(table, jnp.log(self.energy), jnp.log(energy), axis=0)

    def containment(self, rad: Given, energy: Given, position: "SkyCoord | None" = None) -> np.ndarray:
        """Share of events within ``rad`` (Quantity or deg, (m,)) at energies (n,) and a SkyCoord; shape (n, m)."""
        radii = jnp.atleast_1d(jnp.asarray(to_unit(rad, "deg", "rad")))
        return np.asarray(_containment(self, self._vector(position), _energies(energy), radii))

    def containment_radius(self, share: float, energy: Given, position: "SkyCoord | None" = None) -> u.Quantity:
        """Radius that holds ``share`` of the events at energies (n,) and a SkyCoord, to 1/20 of a bin; (n,) deg."""
        return u.Quantity(np.asarray(_radius(self, self._vector(position), _energies(energy), share)), "deg")

    def _vector(self, position: "SkyCoord | None") -> Float[jax.Array, " 3"]:
        if position is None:
            if self.geom is None:
                return jnp.asarray([1.0, 0.0, 0.0])
            position = self.geom.center
        sky = position.icrs
        return jnp.asarray(lonlat_to_vector(sky.ra.deg, sky.dec.deg))


class RecoPSFMap(PSFMap):
    """A `PSFMap` in reconstructed energy: it acts after the energy dispersion."""

    energy_axis = "energy"


class PSFKernel(HintedModule):
    """A fixed kernel on the pixels of a map: ``values`` (n_true, n, n), n odd, the PSF integrated over pixels.

    It is used as it is, at every position, for maps with the same pixels. Planes are normalised to sum 1.
    """

    values: Float[Array, "n_true n n"]

    def __init__(self, values: ArrayLike, normalize: bool = True) -> None:
        planes: Array = frozen_array(values)
        shape = np.shape(planes)
        if len(shape) != 3 or shape[1] != shape[2] or shape[1] % 2 == 0:
            raise InputError(f"PSFKernel: values have shape {shape}, expected (n_true, n, n) with n odd.")
        if is_concrete(planes):
            if not np.all(np.isfinite(planes)) or np.any(np.asarray(planes) < 0):
                raise InputError("PSFKernel: values must be finite and not negative.")
            if normalize:
                planes = frozen_array(np.asarray(kernels.normalised(jnp.asarray(planes))))
        self.values = planes

    @classmethod
    def from_gauss(
        cls, geom: SkyGeom, energy_true_edges: Given, sigma: Given, max_radius: Given | None = None
    ) -> "PSFKernel":
        """Gaussian kernels integrated over the pixels of ``geom``, out to ``max_radius`` (default 5 sigma).

        ``sigma``: one width, or one per true bin (Quantity or deg).
        """
        n_true = np.size(energy_true_edges) - 1
        width = np.broadcast_to(np.asarray(to_unit(sigma, "deg", "sigma")), (n_true,)) / geom.pixel_size
        if not np.all(width > 0):
            raise InputError(
                f"PSFKernel: sigma must be positive, found {np.min(width) * geom.pixel_size} deg. Use psf=None for a "
                "perfect one."
            )
        radius = (
            5 * width.max() if max_radius is None else float(to_unit(max_radius, "deg", "max_radius")) / geom.pixel_size
        )
        n = int(kernels.odd_width(2 * radius))
        edges = np.arange(n + 1) - n / 2
        line = np.diff(np.vectorize(math.erf)(edges / (np.sqrt(2) * width[:, None])), axis=1) / 2
        return cls(line[:, :, None] * line[:, None, :])


@eqx.filter_jit
def _containment(
    psf: PSFMap, vector: Direction, energy: Energies, rad: Float[jax.Array, " m"]
) -> Float[jax.Array, "n m"]:
    edges = jnp.asarray(psf.rad_edges)
    inside = kernels.containment(psf.profile_at(vector, energy), jnp.asarray(psf.rad), edges)
    return kernels.interpolate_axis(inside, edges, rad, axis=-1)


@eqx.filter_jit
def _radius(psf: PSFMap, vector: Direction, energy: Energies, share: float) -> Float[jax.Array, " n"]:
    profile = psf.profile_at(vector, energy)
    return kernels.containment_radius(profile, jnp.asarray(psf.rad), jnp.asarray(psf.rad_edges), share)


def _energies(energy: Given) -> Float[jax.Array, " n"]:
    return jnp.atleast_1d(jnp.asarray(to_unit(energy, "TeV", "energy")))


def _check_axis(what: str, axis: Numbers, positive: bool = False) -> None:
    if is_concrete(axis):
        nodes = np.ravel(axis)
        low = nodes.min(initial=np.inf)
        if not (np.all(np.isfinite(nodes)) and np.all(np.diff(nodes) > 0) and (low > 0 if positive else low >= 0)):
            wanted = "positive" if positive else "at least 0"
            raise InputError(f"{what} must be {wanted}, finite and increasing, found {nodes}.")


def _edges_around(rad: Float[Array, " n_rad"]) -> Float[np.ndarray, " n_rad+1"]:
    """Edges halfway between radii, and as far beyond the first and last; never below 0."""
    inner = (rad[1:] + rad[:-1]) / 2
    first, last = np.maximum(rad[:1] - (inner[:1] - rad[:1]), 0.0), rad[-1:] + (rad[-1:] - inner[-1:])
    return frozen_array(np.concatenate([first, inner, last]))


def _sizes(values: np.ndarray, rad: np.ndarray, edges: np.ndarray) -> tuple[float, float]:
    """Bounds of the radii that hold 99.9 % (from above) and 68 % (from below), rounded to programs that are shared."""
    weights = 2 * np.pi * np.radians(rad) * np.radians(np.diff(edges))
    inside = np.cumsum(values * weights[:, None, None], axis=1)
    used = inside[:, -1] > 0
    if not used.any():
        return float(edges[-1]), float(edges[1])
    enough = inside >= kernels.CONTAINMENT
    index = np.where(enough.any(1), enough.argmax(1), len(rad) - 1)
    inside = np.concatenate([np.zeros_like(inside[:, :1]), inside], axis=1)
    wanted = 0.68 * inside[:, -1:]
    upper = (inside >= wanted).argmax(1)[:, None]
    high, low = (np.take_along_axis(inside, np.maximum(i, 0), axis=1) for i in (upper, upper - 1))
    share = (wanted - low) / np.where(high > low, high - low, 1.0)
    core = edges[upper - 1] + (edges[upper] - edges[upper - 1]) * share
    # so that datasets of similar PSFs share programs
    return round_up(float(edges[1:][index[used].max()]), 4), round_down(float(core[:, 0][used].min()), 2)


AnyPSFMap = TypeVar("AnyPSFMap", bound=PSFMap | None)


def psf_at(psf: AnyPSFMap, vector: Direction) -> AnyPSFMap:
    """A `PSFMap` (or None) that has everywhere what it has at an ICRS unit vector."""
    if psf is None or psf.geom is None:
        return psf
    values = np.asarray(psf.profile_at(vector, np.asarray(psf.energy)))[..., None, None]
    x, y = psf.geom.vector_to_pixel(vector)
    exposure = None if psf.exposure is None else np.asarray(at_position(jnp.asarray(psf.exposure), x, y))
    return type(psf)(
        None, psf.energy, psf.rad, psf.rad_edges, values, None if exposure is None else exposure[:, None, None]
    )


def contained_share(
    psf: PSFMap, vector: Direction, energy: Float[Array, " n_energy"], radius: float
) -> Float[np.ndarray, " n_energy"]:
    """Share of the events within ``radius`` (deg) of an ICRS unit vector, at energies (TeV): (n_energy,).

    Profiles are linear between their radii and normalised to 1 out to the last one, as where they act on maps; 0 where
    there is no profile. The integrals over rings are exact for such profiles: between radii a < b with values p and q
    that of P(r) r is (b - a) (a (2 p + q) + b (p + 2 q)) / 6.
    """
    rad = np.asarray(psf.rad)
    profile = np.asarray(psf.profile_at(vector, np.asarray(energy)))
    slope = (profile[:, 1] - profile[:, 0]) / (rad[1] - rad[0])
    nodes = np.unique(np.concatenate([[0.0], rad, [min(radius, rad[-1])]]))
    values = np.stack([np.interp(nodes, rad, line) for line in profile])
    # below the first radius the line of the first two goes on
    values = np.where(nodes < rad[0], profile[:, :1] + slope[:, None] * (nodes - rad[0]), values)
    values = np.maximum(values, 0.0)
    a, b, p, q = nodes[:-1], nodes[1:], values[:, :-1], values[:, 1:]
    rings = (b - a) * (a * (2 * p + q) + b * (p + 2 * q)) / 6
    whole = rings.sum(axis=1)
    return np.where(whole > 0, rings[:, b <= radius].sum(axis=1) / np.where(whole > 0, whole, 1.0), 0.0)
