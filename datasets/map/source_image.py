"""Where and how a source appears on a map: its window of pixels, the kernels there, and its image.

Work is in three steps, so that each is done as seldom as it can be. `plan` finds sizes (static numbers that choose a
program), `prepare_image` the kernels and responses at the position of the source, `SourceImage.image` the image for
given parameters. Fits prepare once, images of frozen shapes are made once, and predictions use the rest.
"""

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
from ...kernels.edisp import fold, unfold
from ...kernels.elementary import inverse_2x2
from ...kernels.quadrature import log_centers
from ...kernels.slopes import with_forward_slopes
from ...kernels.sphere import from_icrs, local_offsets, namespace, offset_vectors, tangent_basis, vector_to_lonlat
from ..arrays import Array, Numbers, for_kernels
from ..counts.instrument import Instrument
from ..irf.edisp import Matrix, matrix_at
from ..irf.psf import PSFKernel, PSFMap
from ..models.sky_model import SkyModel
from ..models.spatial.base import ExtendedModel, SpatialModel
from ..models.spatial.builtin import GaussianSpatialModel, PointSpatialModel
from ..region.containment import Nodes
from ..sky.geom import Direction, SkyGeom
from .plan import NO_PSF_STEPS, PIXEL_OVERSAMPLING, Plan
from .response import Response

Vector = Float[Array, " n_true"]
"""One number for each true-energy bin."""

Image = Float[jax.Array, "n_energy ny nx"]
"""Pixels of a window, for each energy or for all of them."""

Pixel = Float[jax.Array, ""]
"""A pixel coordinate."""

ROOM = 1.2
"""How much higher frequencies on the sky may be at a position of a map than in its middle, for one table of all."""

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


class SourceImage(eqx.Module):
    """A source on a map: kernel, response and exposure at its position, and the pixels of its window.

    ``x``, ``y``: first pixel of the window. ``kernel``: a transform for points, spectra of lattice kernels for the
    rest, None without a convolution. ``exposure``: (n_true, ny, nx) in the window. ``matrix``: (n_true, n_reco).
    ``vectors``, ``omega``: directions and solid angles of the lattice nodes, where the scheme needs them. ``inverse``:
    pixels in x and y per deg to the east and north, (2, 2), likewise. ``radial``: what kernels of another width of the
    PSF are made from, where that was asked for.
    """

    geom: SkyGeom
    x: Pixel
    y: Pixel
    kernel: jax.Array | None
    exposure: Float[jax.Array, "n_true ny nx"] | None
    matrix: Matrix
    vectors: Float[jax.Array, "*nodes 3"] | None
    omega: Float[jax.Array, "*nodes"] | None
    inverse: Float[jax.Array, "2 2"] | None
    radial: RadialTransform | None
    plan: Plan = eqx.field(static=True)

    def seen_by(
        self, instrument: Instrument, model: SkyModel, energy_true_edges: Array, energy_edges: Array
    ) -> "SourceImage":
        """The same of the ``model`` with the responses as the ``instrument`` changes them."""
        image = self
        if model.flags.edisp and instrument.dispersion is not None:
            matrix = instrument.matrix(self.matrix, energy_true_edges, energy_edges)
            image = eqx.tree_at(lambda i: i.matrix, image, matrix)
        width = instrument.width_of(self.plan.psf)
        if width is None or self.radial is None:
            return image
        return eqx.tree_at(lambda i: i.kernel, image, _of_radial(self.radial, self.plan, self.geom.pixel_size, width))

    def image(self, spatial: SpatialModel, energy: Vector) -> Image:
        """Share of the flux in each pixel of the window after the PSF, (n_true or 1, ny, nx).

        ``energy``: centres of the true bins, TeV. What rings below zero around a source that is nowhere negative, by
        some 1e-5 of the peak, is 0, and so are its slopes (`weighted` leaves the same pixels out).
        """
        plan = self.plan
        if plan.by_transform:
            return _not_negative(self._by_transform(spatial))
        if plan.scheme == "point" and plan.psf != "reco":
            assert self.kernel is not None
            return point_kernels.bilinear_point_image(self.kernel, *self._pixel_of(spatial), plan.shape)
        lattice = self.lattice(spatial, energy)
        # a shape of somebody's own may be negative
        return _not_negative(self._convolved(lattice), jnp.all(lattice >= 0))

    def _by_transform(self, spatial: SpatialModel) -> Image:
        plan = self.plan
        assert self.kernel is not None
        x, y = self._pixel_of(spatial)
        spread = self._spread_of(spatial) if plan.scheme == "fourier" else ()
        return point_kernels.point_image(self.kernel, x, y, plan.shape, plan.period, spread, plan.margin)

    def _convolved(self, image: Float[jax.Array, "*n_energy ly lx"]) -> Image:
        if self.kernel is None:
            return image if image.ndim == 3 else image[None]
        return kernels.convolved(image, self.kernel, self.plan.shape, 1 if self._by_pixel else self.plan.s)

    @property
    def _by_pixel(self) -> bool:
        return _by_pixel(self.plan)

    def _pixel_of(self, spatial: SpatialModel) -> tuple[Pixel, Pixel]:
        """Position of a source in pixels of the window; far outside where the projection does not show it."""
        vector = cast(Direction, spatial.center_vector)
        x, y = self.geom.vector_to_pixel_or_far(for_kernels(vector))
        return x - self.x, y - self.y

    def _spread_of(self, spatial: SpatialModel) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Covariance (xx, xy, yy) of a Gaussian in pixels squared."""
        ee, en, nn = cast(GaussianSpatialModel, spatial).covariance
        assert self.inverse is not None
        a, on_sky = self.inverse, jnp.stack([jnp.stack([ee, en]), jnp.stack([en, nn])])
        # not a product of matrices, which a GPU may round
        here = jnp.sum(a[:, None, :, None] * a[None, :, None, :] * on_sky, axis=(2, 3))
        return here[0, 0], here[0, 1], here[1, 1]

    def lattice(self, spatial: SpatialModel, energy: Vector) -> Float[jax.Array, "*n_energy ly lx"]:
        """Share of the flux at each lattice node (or pixel) of the window, (ny s, nx s), with energies in front if the
        shape depends on it."""
        plan = self.plan
        if plan.scheme == "point" and plan.grid == "pixel":
            x, y = self._pixel_of(spatial)
            ny, nx = plan.shape
            return point_kernels.hat(jnp.arange(ny) - y)[:, None] * point_kernels.hat(jnp.arange(nx) - x)[None, :]
        if plan.scheme == "nodes":
            extended = cast(ExtendedModel, spatial)
            east, north, weight = extended.nodes(*cast(Nodes, plan.nodes))
            nodes = for_kernels(offset_vectors(east, north, *extended.position, extended.frame))
            x, y = self.geom.vector_to_pixel_or_far(nodes)
            return kernels.particle_image(x - self.x, y - self.y, weight, plan.shape, plan.s)
        assert self.vectors is not None and self.omega is not None
        if plan.scheme in ("point", "gauss"):
            blur = kernels.BLUR * self.geom.pixel_size / plan.s
            compact = cast(PointSpatialModel | GaussianSpatialModel, spatial)
            offsets = local_offsets(self.vectors, *compact.position, compact.frame)
            return compact.blurred_profile(for_kernels(offsets[0]), for_kernels(offsets[1]), blur) * self.omega
        if plan.scheme == "pixel":
            ny, nx = plan.shape
            fine = spatial.evaluate(self.vectors).reshape(ny, PIXEL_OVERSAMPLING, nx, PIXEL_OVERSAMPLING)
            return jnp.mean(fine, axis=(1, 3)) * self.omega
        values = spatial.evaluate(self.vectors, for_kernels(energy))
        return values if spatial.per_pixel else values * self.omega

    def counts(self, spatial: SpatialModel, flux: Vector, energy: Vector) -> Float[jax.Array, "n_reco ny nx"]:
        """Counts (n_reco, ny, nx) in the pixels of the window for ``flux`` (n_true,) in s-1 cm-2."""
        if self.plan.psf != "reco":
            return self.counts_of(self.exposed(self.image(spatial, energy)), flux)
        lattice = self.lattice(spatial, energy)
        s = 1 if self._by_pixel else self.plan.s
        true = for_kernels(flux)[:, None, None] * (lattice if lattice.ndim == 3 else lattice[None])
        if self.exposure is not None:
            true = true * kernels.upsampled(self.exposure, s)
        return _not_negative(self._convolved(fold(self.matrix, true)), jnp.all(true >= 0))

    def weighted(
        self, spatial: SpatialModel, flux: Vector, energy: Vector, weights: Float[jax.Array, "n_reco ny nx"]
    ) -> Float[jax.Array, ""]:
        """Sum of ``weights`` (n_reco, ny, nx) times `counts`; its derivatives need no images where those are made by
        transforms."""
        plan = self.plan
        if not plan.by_transform:
            return jnp.sum(weights * self.counts(spatial, flux, energy))
        assert self.kernel is not None
        spread = self._spread_of(spatial) if plan.scheme == "fourier" else ()
        # as in `image`; which pixels these are is not differentiated
        seen = self._by_transform(jax.lax.stop_gradient(spatial)) > 0
        back = self.exposed(unfold(self.matrix, weights)) * seen
        of_bins = point_kernels.point_overlap(
            self.kernel, back, *self._pixel_of(spatial), plan.period, spread, plan.margin
        )
        return jnp.sum(flux * of_bins)

    def exposed(self, image: Image) -> Image:
        """``image`` times the exposure: what a frozen shape comes down to."""
        return image if self.exposure is None else image * self.exposure

    def counts_of(self, exposed: Image, flux: Vector) -> Float[jax.Array, "n_reco ny nx"]:
        """Counts (n_reco, ny, nx) of an exposed image: the sum over true energies, which are the first axis."""
        matrix = self.matrix * flux[:, None]
        if exposed.shape[0] == 1:
            return jnp.sum(matrix, axis=0)[:, None, None] * exposed
        return fold(matrix, exposed)

    def weighted_counts_of(
        self, exposed: Image, flux: Vector, weights: Float[jax.Array, "n_reco ny nx"]
    ) -> Float[jax.Array, ""]:
        """Sum of ``weights`` (n_reco, ny, nx) times `counts_of`."""
        return jnp.sum(flux * jnp.sum(unfold(self.matrix, weights) * exposed, axis=(1, 2)))


def _not_negative(image: Image, where: jax.Array | bool = True) -> Image:
    """The image, 0 in place of what is below zero; as it is unless ``where``."""
    return jnp.where((image > 0) | ~jnp.asarray(where), image, 0.0)


Place = tuple[Numbers, Numbers] | tuple[int, int]


def place(geom: SkyGeom, spatial: SpatialModel, plan: Plan) -> tuple[Direction, tuple[Numbers, Numbers], Place]:
    """Direction of a source (that of the middle of the map if it has none), its pixel (x, y), and the first pixel
    (x, y) of its window."""
    vector = spatial.center_vector
    if vector is None or spatial.scheme == "direct":
        vector = geom.pixel_to_vector(*geom.middle)
    x, y = geom.vector_to_pixel_or_far(vector)
    if plan.start is not None:
        return vector, (x, y), (plan.start[1], plan.start[0])
    xp = namespace(x, y)
    # a window that misses the map stays beside it
    first = [
        xp.clip(xp.round(jax.lax.stop_gradient(c) if xp is jnp else c) - half, -n, size).astype(int)
        for c, half, n, size in zip((x, y), plan.half[::-1], plan.shape[::-1], geom.shape[::-1], strict=True)
    ]
    return vector, (x, y), (first[0], first[1])


def prepare_image(response: Response, model: SkyModel, plan: Plan, keep_radial: bool = False) -> SourceImage:
    """Kernel and response at the position of a source (the middle of the map if it has none).

    ``keep_radial``: for a PSF whose width is a parameter, see `SourceImage.seen_by`.
    """
    geom, spatial = response.geom, model.spatial
    assert spatial is not None
    apply_exposure, apply_edisp = model.flags.exposure, model.flags.edisp
    vector, (x, y), first = place(geom, spatial, plan)
    vector, x, y, first_x, first_y = (jnp.asarray(c) for c in (vector, x, y, *first))
    exposure = None
    if apply_exposure:
        exposure = cut(jnp.asarray(response.exposure), first_x, first_y, plan.shape, plan.psf == "reco")
    vectors = omega = None
    if plan.scheme in ("gauss", "pixel", "direct") or (plan.scheme == "point" and plan.psf == "reco"):
        vectors, omega = _nodes_of(geom, first_x, first_y, plan)
    return SourceImage(
        geom=geom,
        x=first_x,
        y=first_y,
        kernel=_kernel(response, plan, vector, x, y),
        exposure=exposure,
        matrix=matrix_at(
            response.edisp if apply_edisp else None, vector, response.energy_true_edges, response.energy_edges
        ),
        vectors=vectors,
        omega=omega,
        inverse=inverse_2x2(_jacobian(geom, x, y, spatial.frame)) if plan.scheme == "fourier" else None,
        radial=_radial(response, plan, vector, x, y) if keep_radial else None,
        plan=plan,
    )


def _nodes_of(
    geom: SkyGeom, first_x: Pixel, first_y: Pixel, plan: Plan
) -> tuple[Float[jax.Array, "*nodes 3"], Float[jax.Array, "*nodes"]]:
    """Directions and solid angles of the nodes at which a shape is evaluated."""
    if plan.scheme == "pixel":
        ny, nx = plan.shape
        n = PIXEL_OVERSAMPLING
        x, y = np.meshgrid(*((np.arange(size * n) + 0.5) / n - 0.5 for size in (nx, ny)))
        px, py = kernels.lattice_nodes(plan.shape, 1)
        omega = geom.cell_solid_angle(px + first_x, py + first_y)
        return geom.shown_vectors(first_x + x, first_y + y)[0], jnp.where(jnp.isfinite(omega), omega, 0.0)
    s = 1 if plan.scheme == "direct" else plan.s
    x, y = kernels.lattice_nodes(plan.shape, s)
    omega = geom.cell_solid_angle(x + first_x, y + first_y, 1 / s)
    vectors, shown = geom.shown_vectors(first_x + x, first_y + y)
    # off an all-sky projection there is no sky
    return vectors, jnp.where(shown & jnp.isfinite(omega), omega, 0.0)


def cut(
    maps: Float[jax.Array, "n my mx"], x: Pixel, y: Pixel, shape: tuple[int, int], repeat_edges: bool = False
) -> Float[jax.Array, "n ny nx"]:
    """The window of ``maps`` (n, my, mx) from pixel (x, y) on; beyond the map zeros, or the pixels at its edge."""
    ny, nx = shape
    widths = ((0, 0), (ny, ny), (nx, nx))
    padded = jnp.pad(maps, widths, mode="edge") if repeat_edges else jnp.pad(maps, widths)
    return jax.lax.dynamic_slice(padded, (0, y + ny, x + nx), (maps.shape[0], ny, nx))


def add_window(
    total: Float[jax.Array, "n my mx"], window: Float[jax.Array, "n ny nx"], x: Pixel, y: Pixel
) -> Float[jax.Array, "n my mx"]:
    """``total`` and ``window``, whose first pixel is (x, y) there, and which must lie in it wholly."""
    if window.shape == total.shape:
        return total + window
    # not a slice that is put back: in reverse that goes through all of the map for every source
    whole = jax.lax.ScatterDimensionNumbers((0, 1, 2), (), (1, 2))
    return jax.lax.scatter_add(
        total, jnp.stack([y, x]), window, whole, unique_indices=True, mode=jax.lax.GatherScatterMode.CLIP
    )


def _by_pixel(plan: Plan) -> bool:
    """Whether kernels are steps of pixels apart."""
    return plan.scheme in ("direct", "pixel") or plan.grid == "pixel"


def _kernel(response: Response, plan: Plan, vector: Direction, x: Pixel, y: Pixel) -> jax.Array | None:
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
    radial = _radial(response, plan, vector, x, y)
    if radial is not None:
        return _of_radial(radial, plan, response.geom.pixel_size)
    by_pixel, as_point = _by_pixel(plan), plan.scheme == "point" and plan.psf != "reco"
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


def _radial(response: Response, plan: Plan, vector: Direction, x: Pixel, y: Pixel) -> RadialTransform | None:
    """Transforms of the profiles of a `PSFMap`; None where there is none, or kernels are not made from them."""
    if plan.psf not in ("true", "reco") or plan.grid == "pixel":
        return None
    profile, rad, last, radius = _profile(response, plan, vector)
    jacobian = _jacobian(response.geom, x, y)
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
    return ROOM * jnp.max(_radial_frequencies(plan, _jacobian(geom, jnp.asarray(x), jnp.asarray(y))))


def _lattice_size(plan: Plan) -> int:
    """Lattice steps of a kernel and its padding."""
    return fast_size(plan.s * (plan.width + 1) + 2 * PADDING)


def _of_radial(
    radial: RadialTransform, plan: Plan, pixel_size: float, width: Float[jax.Array, " n_energy"] | None = None
) -> jax.Array:
    """The kernel of a `SourceImage`, of a PSF that is wider by the factors ``width``."""
    spectrum = radial.at(plan, width)
    if plan.by_transform:
        return spectrum * point_kernels.pixel_window(plan.period, plan.s)
    size = _lattice_size(plan)
    if not _by_pixel(plan):
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
    return (kernels.BLUR * pixel_size) ** 2 * inverse @ inverse.T


def _jacobian(geom: SkyGeom, x: Pixel, y: Pixel, frame: str = "icrs") -> Float[jax.Array, "2 2"]:
    """Offsets to the east and north of ``frame`` (deg) per pixel in x and y around a pixel position, (2, 2)."""
    shown = (jnp.abs(x) < 1e5) & (jnp.abs(y) < 1e5)
    middle_x, middle_y = geom.middle
    x, y = jnp.where(shown, x, middle_x), jnp.where(shown, y, middle_y)
    lon, lat = vector_to_lonlat(from_icrs(geom.shown_vectors(x, y)[0], frame))
    step = jnp.asarray([[0.5, -0.5], [0.0, 0.0]])
    ends, on_sky = geom.shown_vectors(x + step, y + step[::-1])
    # at the rim of the sky the other side has to do, and without any the size of a pixel
    plain = geom.pixel_size / 2 * jnp.asarray([[-1.0, 1.0], [1.0, -1.0]]) * jnp.eye(2)[:, :, None]
    rows = []
    for offset, size in zip(local_offsets(ends, lon, lat, frame), plain, strict=True):
        mirrored = jnp.where(on_sky[:, ::-1], -offset[:, ::-1], size)
        both = jnp.where(on_sky, offset, mirrored)
        rows.append(both[:, 0] - both[:, 1])
    return jnp.stack(rows)
