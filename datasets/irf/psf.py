"""Point spread functions on the sky: tables of radial profiles at a grid of positions, and fixed kernels."""

import math
from typing import TYPE_CHECKING, ClassVar, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from ...kernels import psf as kernels
from ...kernels.buckets import round_down, round_up
from ...kernels.programs import programs
from ...kernels.psf import at_position
from ...kernels.sphere import lonlat_to_vector
from ..arrays import Array, Numbers, frozen_array, is_concrete
from ..errors import InputError
from ..hints.modules import HintedModule
from ..hints.switches import to_flag
from ..shown import Facts, Shown, number_text
from ..sky.geom import Direction, SkyGeom
from ..units import Given, edges_tev, kernel_numbers, number_in, numbers_in, require_not_negative, to_unit
from .formats import Filename, read_response, write_response

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

ROUNDING = 1e-6
"""Share of the largest value of a table down to which negative ones are rounding, and count as 0."""

Energies = Float[Array, " n"]
"""Energies in TeV."""


class PSFMap(Shown, HintedModule):
    """Radial profiles of the point spread function at a grid of positions, as a function of true energy.

    Parameters
    ----------
    geom : `SkyGeom` of the grid, (y, x); None for one profile everywhere
    energy : energies at which the profiles hold, (n_energy,), Quantity or TeV
    rad : radii at which the profiles hold, (n_rad,), Quantity or deg
    rad_edges : edges of the bins in radius, (n_rad + 1,), Quantity or deg; halfway between the radii by default
    values : (n_energy, n_rad, y, x), Quantity or sr-1; normalised to 2 pi int P(r) r dr = 1
    exposure : (n_energy, y, x), Quantity or cm2 s; for stacking, not needed else
    energy_edges : edges of the bins in energy, (n_energy + 1,), Quantity or TeV, which files keep; halfway between the
        energies in ln E by default

    Profiles are linear between radii, bilinear between positions and linear in ln E. ``reach`` and ``core`` (deg) are
    bounds of the radii that hold 99.9 % and 68 % of the events; they set the sizes of kernels.
    """

    geom: SkyGeom | None
    energy: Float[Array, " n_energy"]
    rad: Float[Array, " n_rad"]
    rad_edges: Float[Array, " n_rad+1"]
    values: Float[Array, "n_energy n_rad y x"]
    exposure: Float[Array, "n_energy y x"] | None
    energy_edges: Float[Array, " n_energy+1"]
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
        energy_edges: Given | None = None,
    ) -> None:
        self.geom = geom
        self.energy, self.rad = to_unit(energy, "TeV", "PSFMap energy"), to_unit(rad, "deg", "PSFMap rad")
        self.rad_edges = _edges_around(self.rad) if rad_edges is None else to_unit(rad_edges, "deg", "PSFMap rad_edges")
        _check_axis(f"{type(self).__name__}: energy", self.energy, True)
        given = None if energy_edges is None else to_unit(energy_edges, "TeV", "PSFMap energy_edges")
        self.energy_edges = energies_around(self.energy) if given is None else given
        self.values = to_unit(values, "sr-1", "PSFMap values")
        self.exposure = to_unit(exposure, "cm2 s", "PSFMap exposure")
        self._check()
        if not is_concrete(self.values) or not is_concrete(self.rad_edges):
            raise InputError(
                "PSFMap: make it outside of jit, its kernels need sizes. To differentiate in its values, exchange them "
                "with equinox.tree_at."
            )
        self.reach, self.core = _sizes(np.asarray(self.values), np.asarray(self.rad), np.asarray(self.rad_edges))

    @property
    def facts(self) -> Facts:
        """What is shown: energies, radii, positions, and the radii that hold 68 % and 99.9 % (their largest)."""
        size = "one position" if self.geom is None else f"{' x '.join(map(str, self.geom.shape))} positions"
        found = {"energy": f"{number_text(self.energy)} TeV", "rad": f"{number_text(self.rad, 4)} deg", "": size}
        return found | {"68 % within": f"{self.core:.4g} deg", "99.9 % within": f"{self.reach:.4g} deg"}

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
        if np.shape(self.energy_edges) != (n_energy + 1,):
            raise InputError(
                f"{name}: found {np.size(self.energy_edges)} energy_edges for {n_energy} energies, expected one more."
            )
        # those of one energy alone are equal
        edges = self.energy_edges
        if is_concrete(edges) and not (
            np.all(np.isfinite(edges)) and np.min(edges) >= 0 and np.all(np.diff(edges) >= 0)
        ):
            raise InputError(f"{name}: energy_edges must be at least 0, finite and increasing, found {edges}.")
        if self.exposure is not None and np.shape(self.exposure) != (n_energy, *shape):
            raise InputError(
                f"{name}: the exposure has shape {np.shape(self.exposure)}, expected {(n_energy, *shape)}: energies, "
                "and the pixels of its geometry."
            )
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
            low = np.min(self.values, initial=0.0)
            if low < -ROUNDING * np.max(self.values, initial=0.0):
                first = tuple(int(i) for i in np.argwhere(np.asarray(self.values) == low)[0])
                raise InputError(
                    f"{name}: values must not be negative, found {low} at (energy, rad, y, x) = {first}. Check the "
                    "sign, and that the right table was read."
                )
        if self.exposure is not None and is_concrete(self.exposure):
            require_not_negative(self.exposure, f"{name}: exposure")

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

    @classmethod
    def read(cls, filename: Filename, format: str = "gadf", hdu: str | None = None) -> "PSFMap":
        """Read a file of gammapy's ("gadf"), from the HDU PSF or another; or of the Fermi-LAT tool gtpsf ("gtpsf").

        As in gammapy the file says what it is: a `RecoPSFMap` if its energies are reconstructed ones. Raises InputError
        for other files.
        """
        psf: PSFMap = read_response("PSFMap", format, filename, hdu)
        return psf

    def write(self, filename: Filename, overwrite: bool = False, format: str = "gadf") -> None:
        """Write a file that gammapy reads; "gtpsf" is for one profile everywhere, with its exposure."""
        write_response("PSFMap", format, self, filename, overwrite)

    def profile_at(self, vector: Direction, energy: Energies) -> Float[jax.Array, "n n_rad"]:
        """Profiles (n, n_rad) in sr-1 at an ICRS unit vector and energies (n,) in TeV.

        Where the pixel of the position has no profile (no exposure), those of the nearest pixel that has one.
        """
        vector, energy = kernel_numbers(vector, "", "vector"), kernel_numbers(energy, "TeV", "energy")
        values = jnp.asarray(self.values)
        if self.geom is None:
            table = values[..., 0, 0]
        else:
            x, y = self.geom.vector_to_pixel(vector)
            near_x, near_y, moved = kernels.nearest_valid(jnp.any(values > 0, axis=(0, 1)), x, y)
            table = kernels.at_position(values, jnp.where(moved, near_x, x), jnp.where(moved, near_y, y))
        return kernels.interpolate_axis(table, jnp.log(self.energy), jnp.log(energy), axis=0)

    def containment(self, rad: Given, energy: Given, position: "SkyCoord | None" = None) -> np.ndarray:
        """Share of events within ``rad`` (Quantity or deg, (m,)) at energies (n,) and a SkyCoord; shape (n, m).

        Of profiles that are smooth between their radii, as formulas are, and normalised to 1 out to the last edge: to
        1e-3 where bins are not wider than a third of the core. On maps the straight lines between the radii act.
        """
        return self.containment_at(self._vector(position), rad, energy)

    def containment_at(self, vector: Direction, rad: Given, energy: Given) -> np.ndarray:
        """`containment` at an ICRS unit vector."""
        radii = jnp.atleast_1d(jnp.asarray(numbers_in(rad, "deg", "rad")))
        at = jnp.asarray(numbers_in(vector, "", "vector"))
        return np.asarray(_containment(self, at, _energies(energy), radii))

    def containment_radius(self, share: Given, energy: Given, position: "SkyCoord | None" = None) -> u.Quantity:
        """Radius that holds ``share`` of the events at energies (n,) and a SkyCoord, to 1/20 of a bin; (n,) deg."""
        part = number_in(share, "", "share")
        return u.Quantity(np.asarray(_radius(self, self._vector(position), _energies(energy), part)), "deg")

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


class PSFKernel(Shown, HintedModule):
    """A fixed kernel on the pixels of a map: ``values`` (n_true, n, n), n odd, the PSF integrated over pixels.

    It is used as it is, at every position, for maps with the same pixels. Planes are normalised to sum 1.
    """

    values: Float[Array, "n_true n n"]

    def __init__(self, values: Given, normalize: bool = True) -> None:
        planes = to_unit(values, "", "PSFKernel: values")
        shape = np.shape(planes)
        if len(shape) != 3 or shape[1] != shape[2] or shape[1] % 2 == 0:
            raise InputError(f"PSFKernel: values have shape {shape}, expected (n_true, n, n) with n odd.")
        if is_concrete(planes):
            if not np.all(np.isfinite(planes)) or np.any(np.asarray(planes) < 0):
                raise InputError("PSFKernel: values must be finite and not negative.")
            if to_flag(normalize, "PSFKernel: normalize"):
                planes = frozen_array(np.asarray(kernels.normalised(jnp.asarray(planes))))
        self.values = planes

    @property
    def facts(self) -> Facts:
        n, ny, nx = np.shape(self.values)
        return {"": f"{n} energies of {ny} x {nx} pixels"}

    @classmethod
    def from_gauss(
        cls, geom: SkyGeom, energy_true_edges: Given, sigma: Given, max_radius: Given | None = None
    ) -> "PSFKernel":
        """Gaussian kernels integrated over the pixels of ``geom``, out to ``max_radius`` (default 5 sigma).

        ``sigma``: one width, or one per true bin (Quantity or deg).
        """
        n_true = np.size(edges_tev(energy_true_edges, "energy_true_edges")) - 1
        width = np.broadcast_to(np.asarray(to_unit(sigma, "deg", "sigma")), (n_true,)) / geom.pixel_size
        if not np.all(width > 0):
            raise InputError(
                f"PSFKernel: sigma must be positive, found {np.min(width) * geom.pixel_size} deg. Use psf=None for a "
                "perfect one."
            )
        radius = 5 * width.max() if max_radius is None else number_in(max_radius, "deg", "max_radius") / geom.pixel_size
        n = int(kernels.odd_width(2 * radius))
        edges = np.arange(n + 1) - n / 2
        line = np.diff(np.vectorize(math.erf)(edges / (np.sqrt(2) * width[:, None])), axis=1) / 2
        return cls(line[:, :, None] * line[:, None, :])

    @classmethod
    def read(cls, filename: Filename, hdu: str | None = None) -> "PSFKernel":
        """Read a file of gammapy's, from its first map or from that of an HDU."""
        kernel: PSFKernel = read_response("PSFKernel", "gadf", filename, hdu)
        return kernel

    def write(self, filename: Filename, geom: SkyGeom, energy_true_edges: Given, overwrite: bool = False) -> None:
        """Write a file that gammapy reads, in the middle of ``geom``, a map that has the pixels of the kernel."""
        write_response(
            "PSFKernel",
            "gadf",
            self,
            filename,
            overwrite,
            geom=geom,
            energy_true_edges=edges_tev(energy_true_edges, "energy_true_edges"),
        )


@programs()
def _containment(
    psf: PSFMap, vector: Direction, energy: Energies, rad: Float[jax.Array, " m"]
) -> Float[jax.Array, "n m"]:
    return kernels.contained(psf.profile_at(vector, energy), jnp.asarray(psf.rad), jnp.asarray(psf.rad_edges)[-1], rad)


@programs()
def _radius(psf: PSFMap, vector: Direction, energy: Energies, share: float) -> Float[jax.Array, " n"]:
    edges = jnp.asarray(psf.rad_edges)
    nodes = (np.arange(kernels.FINE) + 0.5) / kernels.FINE
    fine = (edges[:-1, None] + jnp.diff(edges)[:, None] * nodes).reshape(-1)
    inside = kernels.contained(psf.profile_at(vector, energy), jnp.asarray(psf.rad), edges[-1], fine)
    return fine[jnp.argmin(jnp.abs(inside - share), axis=-1)]


def _energies(energy: Given) -> Float[jax.Array, " n"]:
    return jnp.atleast_1d(jnp.asarray(numbers_in(energy, "TeV", "energy")))


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


def energies_around(energy: Float[Array, " n_energy"]) -> Float[Array, " n_energy+1"]:
    """Edges halfway between energies in ln E, and as far beyond the first and last; one energy alone is both edges."""
    xp = np if is_concrete(energy) else jnp
    if np.size(energy) < 2:
        return frozen_array(xp.concatenate([energy, energy]))
    inner = xp.sqrt(energy[1:] * energy[:-1])
    return frozen_array(xp.concatenate([energy[:1] ** 2 / inner[:1], inner, energy[-1:] ** 2 / inner[-1:]]))


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
    exposure = None if exposure is None else exposure[:, None, None]
    return type(psf)(None, psf.energy, psf.rad, psf.rad_edges, values, exposure, psf.energy_edges)
