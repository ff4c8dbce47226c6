"""Derivatives of a function along several directions."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree


def unit_steps(at: list[jax.Array]) -> list[jax.Array]:
    """A unit step along each of some parameters, first axis; all rows of a parameter that has rows step together."""
    eye = np.eye(len(at))
    return [
        jnp.broadcast_to(jnp.asarray(eye[:, k], x.dtype).reshape(-1, *([1] * x.ndim)), (len(at), *x.shape))
        for k, x in enumerate(at)
    ]


def along(function: Callable[..., PyTree], at: list[jax.Array], directions: list[jax.Array]) -> tuple[PyTree, PyTree]:
    """Value of ``function`` and its derivatives along each direction (first axis of each of their arrays)."""
    if not directions:
        value = function(at)
        return value, jax.tree.map(lambda v: jnp.zeros((0, *v.shape), v.dtype), value)
    return jax.vmap(lambda d: jax.jvp(function, (at,), (d,)), out_axes=(None, 0))(directions)


def one_by_one(
    function: Callable[..., PyTree], at: list[jax.Array], directions: list[jax.Array]
) -> tuple[PyTree, PyTree]:
    """`along` for images: those of several directions at once leave the cache, and what they share is computed once
    here and not once for each of them."""
    value, slope = jax.linearize(function, at)
    return value, jax.lax.map(slope, directions)
