"""Energy migration: from densities of E_reco / E_true to response matrices."""

import jax
import jax.numpy as jnp
from jax.scipy.special import erf
from jaxtyping import Array, Float

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
