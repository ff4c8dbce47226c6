"""Energy dispersion: from counts in true energy to counts in reconstructed energy."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float

AnyArray = Array | np.ndarray


def fold(matrix: Float[Array, "true reco"], npred_true: Float[Array, "true ..."]) -> Float[Array, "reco ..."]:
    """npred(r) = sum_e R[e, r] npred_true(e). Rows of R are probabilities; what falls off the reco axis is lost."""
    return jnp.tensordot(matrix, npred_true, axes=[[0], [0]])


def unfold(matrix: Float[Array, "true reco"], weights: Float[Array, "reco ..."]) -> Float[Array, "true ..."]:
    """Weights of counts in true energy from those of counts in reconstructed energy: the transpose of `fold`."""
    return jnp.tensordot(matrix, weights, axes=[[1], [0]])


def diagonal_response(
    edges_true: Float[AnyArray, " e"], edges_reco: Float[AnyArray, " r"]
) -> Float[Array, "true reco"]:
    """Response of a perfect detector: the share of each true bin that lies in each reco bin, linear in energy.

    R[e, r] = |[E_e] overlap [E_r]| / |[E_e]|. Where both axes are equal it is the unit matrix.
    """
    low = jnp.maximum(edges_true[:-1, None], edges_reco[None, :-1])
    high = jnp.minimum(edges_true[1:, None], edges_reco[None, 1:])
    width = edges_true[1:] - edges_true[:-1]
    return jnp.maximum(high - low, 0.0) / width[:, None]


def gauss_response(
    edges_true: Float[AnyArray, " e"],
    edges_reco: Float[AnyArray, " r"],
    sigma: Float[AnyArray, "..."],
    bias: Float[AnyArray, "..."],
) -> Float[Array, "true reco"]:
    """Response of a detector whose E_reco / E_true is Gaussian around 1 + bias with relative width sigma.

    Taken at the logarithmic centre of each true bin; ``sigma`` and ``bias`` are numbers or one per true bin. Rows sum
    to the part that falls inside the reco axis.
    """
    centre = jnp.sqrt(edges_true[:-1] * edges_true[1:])
    migra = edges_reco[None, :] / centre[:, None]
    width, shift = (jnp.broadcast_to(jnp.asarray(x), centre.shape) for x in (sigma, bias))
    return gauss_shares(jnp.asarray(migra), width, shift)


THRESHOLD = 1e-8
"""Matrix elements below this are set to zero, so that interpolation noise does not fill the matrix."""


def matrix_from_migration(
    density: Float[Array, "true migra"],
    migra_edges: Float[Array, " m"],
    energy_true_edges: Float[Array, " e"],
    energy_edges: Float[Array, " r"],
) -> Float[Array, "true reco"]:
    """Response matrix from dP/dmigra.

    At the logarithmic centre E of each true bin, R[e, r] = C(E_r,max / E) - C(E_r,min / E), where C is the integral of
    the density up to a migration, linear between the migration edges and constant outside.
    """
    total = jnp.cumsum(density * jnp.diff(migra_edges), axis=1)
    total = jnp.concatenate([jnp.zeros_like(total[:, :1]), total], axis=1)
    centre = jnp.sqrt(energy_true_edges[:-1] * energy_true_edges[1:])
    migra = energy_edges[None, :] / centre[:, None]
    at_edges = jax.vmap(lambda at, c: jnp.interp(at, migra_edges, c))(migra, total)
    matrix = jnp.maximum(jnp.diff(at_edges, axis=1), 0.0)
    return jnp.where(matrix < THRESHOLD, 0.0, matrix)


def gauss_shares(
    migra_edges: Float[Array, "*true m"], sigma: Float[Array, " true"], bias: Float[Array, " true"]
) -> Float[Array, "true migra"]:
    """Share of events in each migration bin for Gaussian migrations around 1 + bias with width sigma; the edges are the
    same for all true bins, or one list for each."""
    z = (migra_edges - 1 - bias[:, None]) / (jnp.sqrt(2.0) * sigma[:, None])
    return jnp.diff(erf(z), axis=1) / 2
