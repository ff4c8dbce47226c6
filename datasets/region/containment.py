"""What of a source is seen in a region: plan, staging, and response matrices.

As with images on maps (see `image`), work is in three steps: `plan_share` finds what chooses a program,
`prepare_share` does what no parameter of the shape changes, and `RegionShare.matrix` the rest.
"""

from typing import NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...kernels import psf as psf_kernels
from ...kernels import region_containment as kernels
from ...kernels.lattice import BLUR, lattice_nodes, particle_image
from ...kernels.quadrature import log_centers
from ...kernels.sphere import local_offsets, offset_vectors
from ..arrays import Array, for_kernels
from ..counts.instrument import NOMINAL, Instrument
from ..errors import InputError
from ..irf.edisp import EDisp, matrix_at
from ..irf.psf import PSFMap, RecoPSFMap
from ..models.sky_model import SkyModel
from ..models.spatial.base import ExtendedModel, SpatialModel
from ..models.spatial.builtin import GaussianSpatialModel
from ..models.spatial.extent import NODE_SPACING, extended_nodes
from ..sky.geom import Direction, SkyGeom
from .geom import RegionGeom

HELD = 0.99999
"""Share of the events within the radius at which a PSF begins to end, unless the reach of the lattice is smaller."""

MOST_SOURCE_NODES = 50_000
"""Most nodes of an extended source: one that is wider than the lattice many times over is evaluated on the lattice."""

PERFECT = 0.5
"""Width in lattice steps of the Gaussian that stands for a perfect PSF."""

RINGING = 0.01
"""Share of a point with a perfect PSF that counts as none, and missing as nothing: sums ring by up to 2.3e-3."""


Nodes = tuple[tuple[int, ...], int]
"""Counts of the nodes of an extended source: radii of each part, and angles; see `ExtendedModel.nodes`."""

ResponseMatrix = Float[jax.Array, "n_true n_reco"]
"""Counts in each reconstructed bin for a flux of 1 s-1 cm-2 in each true one."""

Energies = Float[Array, " n_true"]
"""Centres of the true bins, TeV."""


class SharePlan(NamedTuple):
    """How the share of a source is found. ``scheme``: that of its shape, or "whole" for a source without one. ``psf``:
    "none", "true" or "reco" energy. ``nodes``: counts of the nodes of an extended source."""

    scheme: str
    psf: str
    nodes: Nodes | tuple[()]


class RegionResponse(eqx.Module):
    """What a region dataset does to a source: everything but its counts and background."""

    region: RegionGeom
    energy_edges: Float[Array, " n_reco+1"]
    energy_true_edges: Float[Array, " n_true+1"]
    exposure: Float[Array, " n_true"] | None
    psf: PSFMap | None
    edisp: EDisp | None


def plan_share(response: RegionResponse, model: SkyModel) -> SharePlan:
    """What chooses the program for one source on one region."""
    spatial = model.spatial
    if spatial is None:
        return SharePlan("whole", "none", ())
    if spatial.per_pixel:
        raise InputError(
            f"Model {model.name!r}: its {type(spatial).__name__} is a flux in every pixel, and a region has none. Use "
            "ConstantSpatialModel, a brightness, or let it act on maps only: datasets_names=[...]."
        )
    psf = response.psf if model.flags.psf else None
    kind = "none" if psf is None else "reco" if isinstance(psf, RecoPSFMap) else "true"
    nodes = extended_nodes(spatial, model.sizes, NODE_SPACING * response.region.lattice.pixel_size)
    if nodes and sum(nodes[0]) * nodes[1] > MOST_SOURCE_NODES:
        return SharePlan("direct", kind, ())
    return SharePlan(spatial.scheme, kind, nodes)


class RegionShare(eqx.Module):
    """A source staged on a region: the containment of the region at its responses, and these.

    ``contained``: for points the terms of a sum over frequencies, else the share at each node of the lattice; one for
    all energies, or one each. ``response``: exposure times energy dispersion, (n_true, n_reco). ``vectors``, ``omega``:
    directions and solid angles of the nodes, where the scheme needs them.
    """

    lattice: SkyGeom
    contained: Float[jax.Array, "n_energy n n"] | Float[jax.Array, "2 n_energy n m"] | None
    response: ResponseMatrix
    vectors: Float[Array, "n n 3"] | None
    omega: Float[Array, "n n"] | None
    plan: SharePlan = eqx.field(static=True)

    def matrix(self, spatial: SpatialModel | None, energy: Energies) -> ResponseMatrix:
        """Counts in each reconstructed bin for a flux of 1 s-1 cm-2 in each true one, (n_true, n_reco).

        ``energy``: centres of the true bins, TeV.
        """
        share = self.share(spatial, energy)
        if self.plan.psf == "reco":
            return self.response * (share if share.ndim == 2 else share[None])
        return self.response * share[:, None]

    def share(self, spatial: SpatialModel | None, energy: Energies) -> jax.Array:
        """Share of the source that is reconstructed inside the region: (1,), one for each true energy (n_true,), or for
        a PSF in reconstructed energy (n_reco,), of a shape that depends on energy (n_true, n_reco).

        Sums over frequencies ring a little around 0 and, of a whole source, around 1: they end there.
        """
        share = self._share(spatial, energy)
        return jnp.maximum(share, 0.0) if self.plan.scheme == "direct" else jnp.clip(share, 0.0, 1.0)

    def _share(self, spatial: SpatialModel | None, energy: Energies) -> jax.Array:
        plan = self.plan
        if plan.scheme == "whole":
            return jnp.ones(1)
        assert spatial is not None and self.contained is not None
        if plan.scheme == "point":
            vector = cast(Direction, spatial.center_vector)
            share = kernels.point_share(self.contained, *self.lattice.vector_to_pixel_or_far(vector))
            return (share - RINGING) / (1 - 2 * RINGING) if plan.psf == "none" else share
        image = self._image(spatial, energy)
        if image.ndim == 2:
            return jnp.einsum("eyx,yx->e", self.contained, image)
        if plan.psf == "reco":
            return jnp.einsum("ryx,eyx->er", self.contained, image)
        return jnp.sum(self.contained * image, axis=(1, 2))

    def _image(self, spatial: SpatialModel, energy: Energies) -> Float[jax.Array, "*n_true n n"]:
        """Share of the flux at each node of the lattice, (n, n); blurred, but for shapes that are evaluated there."""
        plan, shape = self.plan, self.lattice.shape
        if plan.scheme == "nodes":
            extended = cast(ExtendedModel, spatial)
            east, north, weight = extended.nodes(*cast(Nodes, plan.nodes))
            vectors = for_kernels(offset_vectors(east, north, *extended.position, extended.frame))
            return particle_image(*self.lattice.vector_to_pixel_or_far(vectors), weight, shape, 1)
        assert self.vectors is not None and self.omega is not None
        if plan.scheme == "gauss":
            gaussian = cast(GaussianSpatialModel, spatial)
            offsets = local_offsets(self.vectors, *gaussian.position, gaussian.frame)
            blur = BLUR * self.lattice.pixel_size
            return gaussian.blurred_profile(for_kernels(offsets[0]), for_kernels(offsets[1]), blur) * self.omega
        return spatial.evaluate(self.vectors, for_kernels(energy)) * self.omega


def prepare_share(
    response: RegionResponse, model: SkyModel, plan: SharePlan, instrument: Instrument = NOMINAL
) -> RegionShare:
    """Containment and responses at the position of a source, or in the middle of the region if it has none, as the
    ``instrument`` changes them."""
    region, spatial = response.region, model.spatial
    lattice = region.lattice
    vector = None if spatial is None else spatial.center_vector
    if vector is None or plan.scheme == "direct":
        vector = lattice.pixel_to_vector(*(jnp.asarray(c) for c in lattice.middle))
    apply_exposure, apply_edisp = model.flags.exposure, model.flags.edisp
    edisp = response.edisp if apply_edisp else None
    edges = response.energy_true_edges, response.energy_edges
    matrix = matrix_at(edisp, vector, *edges)
    if apply_edisp:
        matrix = instrument.matrix(matrix, *edges)
    if apply_exposure and response.exposure is not None:
        matrix = matrix * jnp.asarray(response.exposure)[:, None]
    contained = vectors = omega = None
    if plan.scheme != "whole":
        contained = _contained(response, plan, vector, instrument.width_of(plan.psf))
    if plan.scheme in ("gauss", "direct"):
        x, y = lattice_nodes(lattice.shape, 1)
        vectors, omega = lattice.pixel_to_vector(x, y), lattice.cell_solid_angle(x, y)
    return RegionShare(lattice, contained, matrix, vectors, omega, plan)


def _contained(
    response: RegionResponse, plan: SharePlan, vector: Direction, width: Float[jax.Array, " n"] | None
) -> jax.Array:
    """The field ``contained`` of a `RegionShare`."""
    region, lattice = response.region, response.region.lattice
    n, step = lattice.shape[0], lattice.pixel_size
    # the middle of a gnomonic image: east is to the left
    jacobian = step * jnp.asarray([[-1.0, 0.0], [0.0, 1.0]])
    if plan.psf == "none":
        psf = jnp.asarray(kernels.gauss_transform(n, PERFECT))
    else:
        table = cast(PSFMap, response.psf)
        edges = response.energy_edges if plan.psf == "reco" else response.energy_true_edges
        rad, rad_edges = jnp.asarray(table.rad), jnp.asarray(table.rad_edges)
        profile = table.profile_at(vector, log_centers(edges))
        held = psf_kernels.containment_radius(profile, rad, rad_edges, HELD)
        fy, fx = kernels.lattice_frequencies(n)
        k = psf_kernels.radial_frequencies(jacobian, jnp.asarray(fx), jnp.asarray(fy))
        reach = jnp.minimum(held, region.reach)
        spectrum = psf_kernels.radial_table(profile, rad, rad_edges[-1], reach, step, jnp.max(k))
        psf = psf_kernels.transforms_at(spectrum, k, jnp.max(k), width)
    seen = kernels.seen_region(psf, jnp.asarray(region.transform))
    if plan.scheme == "point":
        return kernels.frequency_terms(seen)
    # lattice images are blurred by a Gaussian of a step, which is undone here
    return kernels.share_map(seen, None if plan.scheme == "direct" else BLUR**2 * np.eye(2))
