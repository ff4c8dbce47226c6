"""Values per bin: masks, shapes, and what has to be known outside of transformations."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .arrays import Array, Mask, is_concrete
from .errors import InputError
from .statistics.base import Bins


def on_host(tree: object, what: str) -> None:
    """Raise an `InputError` that starts with ``what`` for numbers inside a JAX transformation: what chooses shapes, or
    gives plain numbers, is done with NumPy."""
    if not all(is_concrete(leaf) for leaf in jax.tree.leaves(tree)):
        raise InputError(f"{what}: call it outside of jit, vmap and grad, and pass its result to them.")


def require_shape(what: str, values: Array, shape: tuple[int, ...]) -> None:
    """Raise an `InputError` if a function of somebody's own gives values of another shape, which would broadcast."""
    if jnp.shape(values) != shape:
        raise InputError(f"{what} gave an array of shape {jnp.shape(values)}, expected {shape}, one number per bin.")


def masked(mask: Mask | None, function: Callable[[jax.Array], Bins], prediction: jax.Array) -> Bins:
    """``function(prediction)`` inside the mask, 0 with zero slope outside."""
    if mask is None:
        return function(prediction)
    inside = jnp.asarray(mask)
    # the inner where keeps NaN and infinity of masked bins out of the gradient
    return jnp.where(inside, function(jnp.where(inside, prediction, 1.0)), 0.0)
