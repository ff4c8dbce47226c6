"""Kernels of sources on a map: the point spread function at a position, as transforms on the pixels of a window."""

from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...kernels import fourier_image as point_kernels
from ...kernels import lattice as kernels
from ...kernels import psf as psf_kernels
from ...kernels.buckets import fast_size
from ...kernels.elementary import inverse_2x2
from ...kernels.quadrature import log_centers
from ...kernels.slopes import with_forward_slopes
from ...kernels.sphere import from_icrs, local_offsets, tangent_basis, vector_to_lonlat
from ..irf.psf import PSFKernel, PSFMap
from ..sky.geom import Direction, SkyGeom
from .plan import NO_PSF_STEPS, Plan
from .response import Response

Pixel = Float[jax.Array, ""]
"""A pixel coordinate."""

ROOM = 1.2
"""How much higher frequencies on the sky may be at a position of a map than in its middle, for one table of all."""

MOST_SPREAD = 1.5
"""Widest spreading Gaussian along any direction of the lattice, in `BLUR`: undoing one of 2 loses 8 digits."""

PADDING = 12
"""Lattice steps around a kernel for the tails of its sharpening."""


class RadialTransform(eqx.Module):
    """Transforms of the PSF at a position, before they are put on pixels.

    ``table``: over frequencies up to ``highest`` (cycles per deg), see `radial_table`. ``jacobian``: offsets to the
    east and north (deg) per pixel in x and y.
    """

    table: Float[jax.Array, "k n_energy"]
    highest: Float[jax.Array, ""]
    jacobian: Float[jax.Array, "2 2"]

    def at(self, plan: Plan, width: Float[jax.Array, " n_energy"] | None = None) -> jax.Array:
        """Transforms (n_energy, *shape) at the frequencies of a plan, of a PSF wider by the factors ``width``."""
        return psf_kernels.transforms_at(self.table, _radial_frequencies(plan, self.jacobian), self.highest, width)


def is_by_pixel(plan: Plan) -> bool:
    """Whether kernels are steps of pixels apart."""
    return plan.scheme in ("direct", "pixel") or plan.grid == "pixel"


def kernel_of(response: Response, plan: Plan, vector: Direction, x: Pixel, y: Pixel) -> jax.Array | None:
    """The kernel of a `SourceImage`."""
    if plan.psf not in ("true", "reco") or cast(PSFMap, response.psf).geom is None:
        return _kernel_at(response, plan, vector, x, y)

    # profiles depend on the position by two numbers: how far it is to the east and north of where it is
    def of_offset(offset: Float[jax.Array, " 2"], others: tuple[Response, Direction, Pixel, Pixel]) -> jax.Array:
        response, fixed, x, y = others
        basis = tangent_basis(*vector_to_lonlat(fixed))
        there = jnp.sqrt(1 - jnp.sum(offset * offset)) * fixed + offset @ basis[:2]
        return cast(jax.Array, _kernel_at(response, plan, there, x, y))

    fixed = jax.lax.stop_gradient(vector)
    basis = tangent_basis(*vector_to_lonlat(fixed))
    offset = jnp.asarray(basis[:2] @ (vector - fixed))
    return with_forward_slopes(of_offset)(offset, (response, fixed, x, y))


def _kernel_at(response: Response, plan: Plan, vector: Direction, x: Pixel, y: Pixel) -> jax.Array | None:
    radial = radial_transform(response, plan, vector, x, y)
    if radial is not None:
        return kernel_of_radial(radial, plan, response.geom.pixel_size)
    by_pixel, as_point = is_by_pixel(plan), plan.scheme == "point" and plan.psf != "reco"
    if plan.by_transform:
        return _point_transform(response, plan)
    if plan.psf == "none":
        if by_pixel:
            return jnp.ones((1, 1, 1)) if as_point else None
        kernel = jnp.asarray(kernels.pixel_box(plan.s, 2 * plan.s + 2 * PADDING))
    elif plan.psf == "kernel":
        kernel = jnp.asarray(cast(PSFKernel, response.psf).values)
        if not by_pixel:
            kernel = jnp.pad(kernel, ((0, 0), (PADDING, PADDING), (PADDING, PADDING)))
            kernel = kernels.integrated(kernels.transform(kernel), kernel.shape[-1], 0, _spread(plan, None))
    else:
        kernel = _pixel_kernel(response, plan, vector)
    if as_point:
        return kernel
    return kernels.kernel_spectra(kernel, plan.shape, 1 if by_pixel else plan.s)


def _point_transform(response: Response, plan: Plan) -> jax.Array:
    """Transform of a fixed kernel, or of no PSF, integrated over pixels, for the image of a point or a Gaussian."""
    if plan.psf == "kernel":
        return point_kernels.kernel_transform(jnp.asarray(cast(PSFKernel, response.psf).values), plan.period)
    fy, fx = point_kernels.frequencies(plan.period, plan.s)
    fy = fy[:, :, None, None]
    window = point_kernels.pixel_window(plan.period, plan.s)
    if plan.scheme == "fourier":
        return jnp.asarray(window)[None]
    width = kernels.BLUR / NO_PSF_STEPS
    return jnp.asarray(np.exp(-2 * (np.pi * width) ** 2 * (fx**2 + fy**2)) * window)[None]


def radial_transform(response: Response, plan: Plan, vector: Direction, x: Pixel, y: Pixel) -> RadialTransform | None:
    """Transforms of the profiles of a `PSFMap`; None where there is none, or kernels are not made from them."""
    if plan.psf not in ("true", "reco") or plan.grid == "pixel":
        return None
    profile, rad, last, radius = _profile(response, plan, vector)
    jacobian = pixel_jacobian(response.geom, x, y)
    highest = _highest_frequency(response.geom, plan)
    if highest is None:
        highest = jnp.max(_radial_frequencies(plan, jacobian))
    table = psf_kernels.radial_table(profile, rad, last, radius, response.geom.pixel_size, highest)
    return RadialTransform(table, highest, jacobian)


def _radial_frequencies(plan: Plan, jacobian: Float[jax.Array, "2 2"]) -> jax.Array:
    """Frequencies in cycles per deg at which a plan needs the transforms of the PSF."""
    if plan.by_transform:
        fy, fx = point_kernels.frequencies(plan.period, plan.s)
        return psf_kernels.radial_frequencies(jacobian, jnp.asarray(fx), jnp.asarray(fy[:, :, None, None]))
    size = _lattice_size(plan)
    f = jnp.asarray(np.fft.fftfreq(size) * plan.s)
    return psf_kernels.radial_frequencies(jacobian, f[None, : size // 2 + 1], f[:, None])


def _highest_frequency(geom: SkyGeom, plan: Plan) -> Float[jax.Array, ""] | None:
    """Frequency (cycles per deg) up to which transforms of profiles are tabulated: on straight maps the same for all
    positions; None on others."""
    if geom.bend * (np.hypot(*geom.shape) / 2 + max(plan.shape)) > ROOM - 1:
        return None
    x, y = geom.middle
    return ROOM * jnp.max(_radial_frequencies(plan, pixel_jacobian(geom, jnp.asarray(x), jnp.asarray(y))))


def _lattice_size(plan: Plan) -> int:
    """Lattice steps of a kernel and its padding."""
    return fast_size(plan.s * (plan.width + 1) + 2 * PADDING)


def kernel_of_radial(
    radial: RadialTransform, plan: Plan, pixel_size: float, width: Float[jax.Array, " n_energy"] | None = None
) -> jax.Array:
    """The kernel of a `SourceImage`, of a PSF that is wider by the factors ``width``."""
    spectrum = radial.at(plan, width)
    if plan.by_transform:
        return spectrum * point_kernels.pixel_window(plan.period, plan.s)[None]
    size = _lattice_size(plan)
    if not is_by_pixel(plan):
        kernel = kernels.integrated(spectrum, size, plan.s, _spread(plan, radial.jacobian, pixel_size))
        return kernels.kernel_spectra(kernel, plan.shape, plan.s)
    kernel = kernels.integrated(spectrum, size, plan.s)
    # the pixel-spaced part, with offset 0 in the middle
    half = plan.width // 2 + 1
    index = size // 2 + plan.s * np.arange(-half, half + 1)
    return kernels.kernel_spectra(kernel[:, index][:, :, index], plan.shape, 1)


def _profile(
    response: Response, plan: Plan, vector: Direction
) -> tuple[Float[jax.Array, "n n_rad"], Float[jax.Array, " n_rad"], Float[jax.Array, ""], Float[jax.Array, " n"]]:
    """Profiles of the PSF at a position, their radii and where those end, and the radii that hold most events."""
    psf = cast(PSFMap, response.psf)
    edges = response.energy_edges if plan.psf == "reco" else response.energy_true_edges
    rad, rad_edges = jnp.asarray(psf.rad), jnp.asarray(psf.rad_edges)
    profile = psf.profile_at(vector, log_centers(edges))
    radius = psf_kernels.containment_radius(profile, rad, rad_edges, psf_kernels.CONTAINMENT)
    return profile, rad, rad_edges[-1], radius


def _pixel_kernel(response: Response, plan: Plan, vector: Direction) -> Float[jax.Array, "n_energy n n"]:
    """The kernel on pixels of profiles, for sources that are put on pixels."""
    geom, pixel = response.geom, response.geom.pixel_size
    profile, rad, _, radius = _profile(response, plan, vector)
    widths = jnp.minimum(psf_kernels.odd_width(2 * radius / pixel), plan.width)
    edges = jnp.asarray(cast(PSFMap, response.psf).rad_edges)
    core = psf_kernels.containment_radius(profile, rad, edges, 0.68)
    factors = jnp.minimum(jnp.ceil(12 / (2 * core / pixel)), 4)
    return psf_kernels.pixel_kernel(profile, rad, widths, factors, pixel, plan.width, geom.projection == "TAN")


def _spread(plan: Plan, jacobian: Float[jax.Array, "2 2"] | None, pixel_size: float = 1.0) -> Float[jax.Array, "2 2"]:
    """Covariance of the spreading Gaussian in lattice steps: round there for nodes, round on the sky for shapes in
    closed form."""
    if plan.scheme == "nodes" or jacobian is None:
        return kernels.BLUR**2 * jnp.eye(2)
    inverse = inverse_2x2(jacobian)
    return (kernels.BLUR * blur_size(jacobian, pixel_size)) ** 2 * inverse @ inverse.T


def blur_size(jacobian: Float[jax.Array, "2 2"], pixel_size: float) -> Float[jax.Array, ""]:
    """Width (deg) for each lattice step a pixel of the Gaussian that is round on the sky: the size of a pixel, less
    where the map stretches the sky, so that it is nowhere too wide on the lattice to be undone."""
    fixed = jax.lax.stop_gradient(jacobian)
    squares, area = jnp.sum(fixed * fixed), fixed[0, 0] * fixed[1, 1] - fixed[0, 1] * fixed[1, 0]
    narrow = jnp.sqrt(jnp.maximum(squares - jnp.sqrt(jnp.maximum(squares**2 - 4 * area**2, 0.0)), 0.0) / 2)
    return jnp.minimum(pixel_size, MOST_SPREAD * narrow)


def pixel_jacobian(geom: SkyGeom, x: Pixel, y: Pixel, frame: str = "icrs") -> Float[jax.Array, "2 2"]:
    """Offsets to the east and north of ``frame`` (deg) per pixel in x and y around a pixel position, (2, 2)."""
    shown = (jnp.abs(x) < 1e5) & (jnp.abs(y) < 1e5)
    middle_x, middle_y = geom.middle
    x, y = jnp.where(shown, x, middle_x), jnp.where(shown, y, middle_y)
    lon, lat = vector_to_lonlat(from_icrs(geom.shown_vectors(x, y)[0], frame))
    step = jnp.asarray([[0.5, -0.5], [0.0, 0.0]])
    ends, on_sky = geom.shown_vectors(x + step, y + step[::-1])
    # at the rim of the sky the other side has to do, and without any the size of a pixel
    plain = geom.pixel_size / 2 * jnp.asarray([[[-1.0, 1.0], [1.0, -1.0]]]) * jnp.eye(2)[:, :, None]
    rows = []
    for offset, size in zip(local_offsets(ends, lon, lat, frame), plain, strict=True):
        mirrored = jnp.where(on_sky[:, ::-1], -offset[:, ::-1], size)
        both = jnp.where(on_sky, offset, mirrored)
        rows.append(both[:, 0] - both[:, 1])
    return jnp.stack(rows)
