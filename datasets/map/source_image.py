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
from ...kernels.edisp import fold, unfold
from ...kernels.elementary import inverse_2x2
from ...kernels.rings import REACH, ring_image
from ...kernels.sphere import local_offsets, namespace, offset_vectors
from ..arrays import Array, Numbers, for_kernels
from ..counts.instrument import Instrument
from ..irf.edisp import Matrix, matrix_at
from ..models.sky_model import SkyModel
from ..models.spatial.base import ExtendedModel, RingModel, SpatialModel
from ..models.spatial.builtin import GaussianSpatialModel, PointSpatialModel
from ..region.containment import Nodes
from ..sky.geom import Direction, SkyGeom
from .plan import PIXEL_OVERSAMPLING, Plan
from .response import Response
from .source_kernel import (
    Pixel,
    RadialTransform,
    blur_size,
    is_by_pixel,
    kernel_of,
    kernel_of_radial,
    pixel_jacobian,
    radial_transform,
)

Vector = Float[Array, " n_true"]
"""One number for each true-energy bin."""

Image = Float[jax.Array, "n_energy ny nx"]
"""Pixels of a window, for each energy or for all of them."""


class SourceImage(eqx.Module):
    """A source on a map: kernel, response and exposure at its position, and the pixels of its window.

    ``x``, ``y``: first pixel of the window. ``kernel``: a transform for points, spectra of lattice kernels for the
    rest, None without a convolution. ``exposure``: (n_true, ny, nx) in the window. ``matrix``: (n_true, n_reco).
    ``vectors``, ``omega``: directions and solid angles of the lattice nodes, where the scheme needs them. ``inverse``:
    pixels in x and y per deg to the east and north, (2, 2), likewise. ``blur``: see `blur_size`, where
    the kernel undoes it. ``radial``: what kernels of another width of the
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
    blur: Float[jax.Array, ""] | None
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
        return eqx.tree_at(
            lambda i: i.kernel, image, kernel_of_radial(self.radial, self.plan, self.geom.pixel_size, width)
        )

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
        return kernels.convolved(image, self.kernel, self.plan.shape, 1 if is_by_pixel(self.plan) else self.plan.s)

    def _pixel_of(self, spatial: SpatialModel) -> tuple[Pixel, Pixel]:
        """Position of a source in pixels of the window; far outside where the projection does not show it."""
        vector = cast(Direction, spatial.center_vector)
        x, y = self.geom.vector_to_pixel_or_far(for_kernels(vector))
        return self._in_window(x, y)

    def _in_window(self, x: Pixel, y: Pixel) -> tuple[Pixel, Pixel]:
        """Pixels of the map as those of the window."""
        x, y = jnp.asarray(x), jnp.asarray(y)
        return x - jnp.asarray(self.x, x.dtype), y - jnp.asarray(self.y, y.dtype)

    def _spread_of(self, spatial: SpatialModel) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Covariance (xx, xy, yy) of a Gaussian in pixels squared."""
        ee, en, nn = cast(GaussianSpatialModel, spatial).covariance
        assert self.inverse is not None
        a, on_sky = self.inverse, jnp.stack([jnp.stack([ee, en]), jnp.stack([en, nn])])
        # not a product of matrices, which a GPU may round
        here = jnp.sum(a[:, None, :, None] * a[None, :, None, :] * on_sky[None, None], axis=(2, 3))
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
            return self._of_nodes(cast(ExtendedModel, spatial))
        assert self.vectors is not None and self.omega is not None
        if plan.scheme in ("point", "gauss"):
            blur = kernels.BLUR * (self.geom.pixel_size if self.blur is None else self.blur) / plan.s
            compact = cast(PointSpatialModel | GaussianSpatialModel, spatial)
            offsets = local_offsets(self.vectors, *compact.position, compact.frame)
            return compact.blurred_profile(for_kernels(offsets[0]), for_kernels(offsets[1]), blur) * self.omega
        if plan.scheme == "pixel":
            ny, nx = plan.shape
            fine = spatial.evaluate(self.vectors).reshape(ny, PIXEL_OVERSAMPLING, nx, PIXEL_OVERSAMPLING)
            return jnp.mean(fine, axis=(1, 3)) * self.omega
        values = spatial.evaluate(self.vectors, for_kernels(energy))
        return values if spatial.per_pixel else values * self.omega

    def _of_nodes(self, spatial: ExtendedModel) -> Float[jax.Array, "ly lx"]:
        plan = self.plan
        n_radial, n_angular = cast(Nodes, plan.nodes)

        def to_pixels(east: jax.Array, north: jax.Array) -> tuple[Pixel, Pixel]:
            nodes = for_kernels(offset_vectors(east, north, *spatial.position, spatial.frame))
            return self._in_window(*self.geom.vector_to_pixel_or_far(nodes))

        if not isinstance(spatial, RingModel):
            x, y, weight = spatial.nodes(n_radial, n_angular)
            return kernels.particle_image(*to_pixels(x, y), weight, plan.shape, plan.s)

        def seen() -> tuple[jax.Array, jax.Array]:
            around = int(np.ceil(REACH / plan.s)) + 1
            dtype = jnp.asarray(spatial.position[0]).dtype
            y, x = np.mgrid[tuple(slice(-around, n + around) for n in plan.shape)].astype(dtype)
            first_x, first_y = (jnp.asarray(first, dtype) for first in (self.x, self.y))
            vectors, shown = self.geom.shown_vectors(first_x + x, first_y + y)
            separation = jnp.hypot(*local_offsets(vectors, *spatial.position, spatial.frame))
            # what lies between the pixels
            steps = [jnp.max(jnp.abs(jnp.diff(separation, axis=axis))) for axis in (0, 1)]
            slack = steps[0] + steps[1]
            known = jnp.all(shown)
            return (
                jnp.where(known, jnp.min(separation) - slack, 0.0),
                jnp.where(known, jnp.max(separation) + slack, jnp.inf),
            )

        return ring_image(spatial.rings(n_radial), n_angular, to_pixels, seen, plan.shape, plan.s)

    def counts(self, spatial: SpatialModel, flux: Vector, energy: Vector) -> Float[jax.Array, "n_reco ny nx"]:
        """Counts (n_reco, ny, nx) in the pixels of the window for ``flux`` (n_true,) in s-1 cm-2."""
        if self.plan.psf != "reco":
            return self.counts_of(self.exposed(self.image(spatial, energy)), flux)
        lattice = self.lattice(spatial, energy)
        s = 1 if is_by_pixel(self.plan) else self.plan.s
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
        back = jnp.where(seen, self.exposed(unfold(self.matrix, weights)), 0.0)
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
        kernel=kernel_of(response, plan, vector, x, y),
        exposure=exposure,
        matrix=matrix_at(
            response.edisp if apply_edisp else None, vector, response.energy_true_edges, response.energy_edges
        ),
        vectors=vectors,
        omega=omega,
        inverse=inverse_2x2(pixel_jacobian(geom, x, y, spatial.frame)) if plan.scheme == "fourier" else None,
        blur=_blur_of(geom, x, y, plan),
        radial=radial_transform(response, plan, vector, x, y) if keep_radial else None,
        plan=plan,
    )


def _blur_of(geom: SkyGeom, x: Pixel, y: Pixel, plan: Plan) -> Float[jax.Array, ""] | None:
    if plan.scheme not in ("gauss", "point") or plan.psf not in ("true", "reco") or is_by_pixel(plan):
        return None
    return blur_size(pixel_jacobian(geom, x, y), geom.pixel_size)


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


def with_room(of_box: jax.Array, room: tuple[int, int]) -> jax.Array:
    """Bins (n, ny, nx) of a box, with zeros around it."""
    y, x = room
    return jnp.pad(of_box, ((0, 0), (y, y), (x, x))) if y or x else of_box


def without_room(values: jax.Array, box: tuple[int, int], room: tuple[int, int]) -> jax.Array:
    """The bins of the box alone."""
    return values[:, room[0] : room[0] + box[0], room[1] : room[1] + box[1]]
