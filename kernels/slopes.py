"""Slopes of large arrays in few numbers."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

Others = TypeVar("Others")


def with_forward_slopes(
    function: Callable[[Float[Array, " n"], Others], Float[Array, "*shape"]],
) -> Callable[[Float[Array, " n"], Others], Float[Array, "*shape"]]:
    """``function(few, others)``, whose slopes in the few numbers (n,) are found one number after the other.

    Derivatives are the same, of any order. But in reverse they are n sums over the result, and do not go back through
    what made it: through tables in which many places were looked up, that is many times slower than the function.
    ``others``: any tree of arrays, differentiated as usual.

    >>> table = with_forward_slopes(lambda few, nodes: jnp.exp(few[0] * nodes))
    >>> jax.grad(lambda few: table(few, jnp.ones(3)).sum())(jnp.zeros(1))
    Array([3.], dtype=float32)
    """
    known = jax.custom_jvp(function)

    @partial(known.defjvp, symbolic_zeros=True)
    def _(primals: tuple[Array, Others], tangents: tuple[Array | SymbolicZero, Others]) -> tuple[Array, Array]:
        (few, others), (of_few, of_others) = primals, tangents
        value = known(few, others)
        slope = jnp.zeros_like(value)
        if not isinstance(of_few, SymbolicZero):
            for unit, along in zip(jnp.eye(few.shape[0], dtype=few.dtype), of_few, strict=True):
                slope = slope + along * jax.jvp(lambda x: function(x, others), (few,), (unit,))[1]
        leaves, treedef = jax.tree.flatten(others)
        moves = [(i, t) for i, t in enumerate(jax.tree.leaves(of_others)) if not isinstance(t, SymbolicZero)]
        if moves:
            places, along_others = zip(*moves, strict=True)

            def of_moved(moved: tuple[Array, ...]) -> Array:
                rest = list(leaves)
                for i, leaf in zip(places, moved, strict=True):
                    rest[i] = leaf
                return function(few, jax.tree.unflatten(treedef, rest))

            slope = slope + jax.jvp(of_moved, (tuple(leaves[i] for i in places),), (along_others,))[1]
        return value, slope

    return known
