"""Numbers a bin and numbers of nodes from what constructors are given."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...kernels.quadrature import nodes_for
from ..arrays import Array, frozen_array, is_concrete
from ..errors import InputError


def per_bin(value: Array | float, shape: tuple[int, ...]) -> Float[Array, "n_reco *pixels"]:
    """One number a bin; a single one stands for all."""
    if isinstance(value, jax.Array):
        return jnp.broadcast_to(value, shape) if value.ndim == 0 else value
    if isinstance(value, float) or value.ndim == 0:
        return frozen_array(np.full(shape, float(value)))
    return value


def quadrature_nodes(given: int | None, energy_true_edges: Array) -> int:
    """The number of nodes that is given, or one that the widest bin needs."""
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
            raise InputError(f"nodes must be a positive integer, found {given!r}.")
        return int(given)
    if not is_concrete(energy_true_edges):
        raise InputError("nodes must be given when energy_true_edges is traced.")
    return nodes_for(np.asarray(energy_true_edges))
