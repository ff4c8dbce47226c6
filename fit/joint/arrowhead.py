"""Normal equations with blocks for parameters of single datasets, solved by eliminating these block by block."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve

from ...datasets.arrays import Array

Leaf = Any
"""An array of NumPy on the host, of JAX on a device or inside a transformation; or what a tree of such maps to."""


class LocalBlocks(NamedTuple):
    """Local side of the normal equations of one group; ``cross`` (m, g, l) couples to the globals ``places`` (m, g)."""

    slope: Leaf
    matrix: Leaf
    cross: Leaf
    places: Leaf


class Normal(NamedTuple):
    """Normal equations of the whole problem: an arrowhead of global blocks and small local blocks."""

    slope: Leaf
    matrix: Leaf
    locals: tuple[LocalBlocks | None, ...]


class Theta(NamedTuple):
    """Values of the free parameters: ``globals`` (n_global,) and, per group, ``locals`` (n_members, n_local)."""

    globals: Leaf
    locals: tuple[Leaf, ...]


def slopes_of(normal: Normal, theta: Theta) -> Theta:
    """The slopes by parameter; zero where a group has no local ones."""
    blocks = zip(normal.locals, theta.locals, strict=True)
    return Theta(normal.slope, tuple(np.zeros(x.shape, x.dtype) if b is None else b.slope for b, x in blocks))


def diagonals(normal: Normal, theta: Theta) -> Theta:
    """The curvatures by parameter, likewise."""
    blocks = zip(normal.locals, theta.locals, strict=True)
    return Theta(
        normal.matrix.diagonal(),
        tuple(np.zeros(x.shape, x.dtype) if b is None else b.matrix.diagonal(axis1=1, axis2=2) for b, x in blocks),
    )


def active_set(theta: Theta, normal: Normal, low: Theta, high: Theta) -> Theta:
    """False for parameters held at a bound (the slope points out of the allowed range) or between two equal ones, and
    for those without any curvature."""

    def free(x, slope, curvature, lo, hi):
        return ~(((x <= lo) & (slope > 0)) | ((x >= hi) & (slope < 0)) | (lo >= hi)) & (curvature > 0)

    return Theta(
        free(theta.globals, normal.slope, normal.matrix.diagonal(), low.globals, high.globals),
        tuple(
            np.zeros(x.shape, bool)
            if block is None
            else free(x, block.slope, block.matrix.diagonal(axis1=1, axis2=2), lo, hi)
            for x, block, lo, hi in zip(theta.locals, normal.locals, low.locals, high.locals, strict=True)
        ),
    )


def solve_arrowhead(normal: Normal, active: Theta, damping: Array | float) -> tuple[Theta, jax.Array]:
    """Step -(A + damping diag A)^-1 g over the active parameters, and the decrease of the statistic it predicts."""
    weights = jax.tree.map(lambda free: free.astype(normal.slope.dtype), active)
    scale, slope, matrix = _scaled(normal.slope, normal.matrix, active.globals)
    schur, right = matrix + damping * jnp.diag(weights.globals), slope
    eliminated: list[Any] = []
    for block, free, weight in zip(normal.locals, active.locals, weights.locals, strict=True):
        if block is None:
            eliminated.append(None)
            continue
        local_scale, local_slope, local_matrix = jax.vmap(_scaled)(block.slope, block.matrix, free)
        local_matrix = local_matrix + damping * jnp.eye(free.shape[1], dtype=slope.dtype) * weight[:, None, :]
        cross = block.cross * scale[block.places][:, :, None] * local_scale[:, None, :]
        factor = jnp.linalg.cholesky(local_matrix)
        solved = cho_solve(
            (factor, True), jnp.concatenate([jnp.swapaxes(cross, 1, 2), local_slope[:, :, None]], axis=2)
        )
        by_cross, by_slope = solved[:, :, :-1], solved[:, :, -1]
        index = block.places
        schur = schur.at[index[:, :, None], index[:, None, :]].add(-jnp.einsum("mgl,mlh->mgh", cross, by_cross))
        right = right.at[index].add(-jnp.einsum("mgl,ml->mg", cross, by_slope))
        eliminated.append((index, by_cross, by_slope, local_scale, local_slope, weight))
    on = active.globals
    keep = on[:, None] & on[None, :]
    schur = jnp.where(keep, schur, jnp.eye(schur.shape[0], dtype=schur.dtype))
    right = jnp.where(on, right, 0.0)
    step = cho_solve((jnp.linalg.cholesky(schur), True), right) if schur.shape[0] else right
    # g^T d - d^T A d / 2 for the damped step d = (A + damping M)^-1 g is g^T d / 2 + damping d^T M d / 2
    decrease = (slope @ step + damping * step @ (weights.globals * step)) / 2
    locals_ = []
    for part, free in zip(eliminated, active.locals, strict=True):
        if part is None:
            locals_.append(jnp.zeros(free.shape, slope.dtype))
            continue
        index, by_cross, by_slope, local_scale, local_slope, weight = part
        local = by_slope - jnp.einsum("mlg,mg->ml", by_cross, step[index])
        decrease = decrease + (jnp.sum(local_slope * local) + damping * jnp.sum(weight * local * local)) / 2
        locals_.append(-local_scale * local)
    return Theta(-scale * step, tuple(locals_)), decrease


def _scaled(slope: jax.Array, matrix: jax.Array, free: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scale to unit diagonal; parameters that are not free get a unit row and no slope."""
    diagonal = jnp.diagonal(matrix)
    usable = free & (diagonal > 0)
    scale = jnp.where(usable, 1 / jnp.sqrt(jnp.where(usable, diagonal, 1.0)), 0.0)
    scaled = matrix * scale[:, None] * scale[None, :]
    scaled = jnp.where(jnp.eye(len(slope), dtype=bool), 1.0, scaled)
    return scale, slope * scale, scaled


class Blocks(NamedTuple):
    """Slope and curvature of one group: gradient and matrix in the order shared, own, local parameters.

    ``slope_shared`` (s,), ``slope_own`` (m, q), ``shared`` (s, s), ``mixed`` (m, s, q), ``own`` (m, q, q), where q
    counts the own and the local parameters of a member.
    """

    slope_shared: Leaf
    slope_own: Leaf
    shared: Leaf
    mixed: Leaf
    own: Leaf


SUMMED = Blocks(slope_shared=True, slope_own=False, shared=True, mixed=False, own=False)
"""The blocks that are sums over members; the others have one row a member."""
