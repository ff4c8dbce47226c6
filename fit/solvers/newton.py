"""Newton steps for fits on which scoring is slow.

Scoring converges linearly, at a rate that is the relative difference of the expected and the exact curvature: where
counts are few, as for backgrounds of single runs, that is many steps. Near the minimum, steps with the exact curvature
converge quadratically instead. Where the exact curvature of a dataset's local parameters is not positive, or far below
the expected one, it is lifted to a share of that, so that steps go downhill.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ...datasets.compile import OF_A_FIT, Program
from ..joint.arrowhead import LocalBlocks, Normal, Theta, active_set, slopes_of, solve_arrowhead
from ..joint.coordinates import LOG, bend, moved, slope

LEAST = 0.1
"""Least exact curvature of local parameters, as a share of the expected one."""

MOST = 2.0
"""Longest step in the logarithm of a parameter."""

DAMPINGS = (1e-9, 0.1, 1.0)
"""Tried in turn until the global curvature is positive."""


@partial(Program, most=OF_A_FIT)
def newton_step(
    _: Any,
    exact: Normal,
    expected: Normal,
    theta: Theta,
    low: Theta,
    high: Theta,
    scale_like: Theta,
    coordinates: Theta,
) -> tuple[Theta, jax.Array]:
    """The next point, inside the bounds, and the decrease of the statistic to expect; NaN if there is no such step.

    Parameters step in their ``coordinates``, amplitudes (``scale_like``) in their logarithms: there the statistic of a
    background alone has one minimum and no saddle.
    """
    kinds = jax.tree.map(
        lambda like, kind, x: jnp.where(jnp.asarray(like) & (x > 0), LOG, kind), scale_like, coordinates, theta
    )
    factor, bends = jax.tree.map(slope, kinds, theta), jax.tree.map(bend, kinds, theta)
    exact, expected = _in_coordinates(exact, factor, bends), _in_coordinates(expected, factor, None)
    lifted = tuple(
        None if block is None or other is None else block._replace(matrix=_lifted(block.matrix, other.matrix))
        for block, other in zip(exact.locals, expected.locals, strict=True)
    )
    normal = exact._replace(locals=lifted)
    active = active_set(theta, normal, low, high)
    steps, decreases = jax.vmap(lambda d: solve_arrowhead(normal, active, d))(
        jnp.asarray(DAMPINGS, theta.globals.dtype)
    )
    finite = jnp.isfinite(decreases)
    for leaf in jax.tree.leaves(steps):
        finite = finite & jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim)))
    first = jnp.argmax(finite)
    candidate = jax.tree.map(
        lambda x, step, kind, by, lo, hi: moved(kind, x, step[first] * by, lo, hi, longest=(MOST, MOST)),
        theta, steps, kinds, factor, low, high,
    )  # fmt: skip
    return candidate, jnp.where(finite[first], decreases[first], jnp.nan)


def _in_coordinates(normal: Normal, factor: Theta, bends: Theta | None) -> Normal:
    """Normal equations in coordinates t of the parameters: ``factor`` is dx / dt, ``bends`` d2x / dt2 if it counts."""
    slopes = slopes_of(normal, factor)
    extra = jax.tree.map(lambda x, by: jnp.zeros_like(x) if bends is None else x * by, slopes, bends or factor)
    of_globals = factor.globals
    matrix = normal.matrix * of_globals[:, None] * of_globals[None] + jnp.diag(extra.globals)
    locals_: list[LocalBlocks | None] = []
    for block, own, more in zip(normal.locals, factor.locals, extra.locals, strict=True):
        if block is None:
            locals_.append(None)
            continue
        eye = jnp.eye(own.shape[1], dtype=own.dtype)
        locals_.append(
            LocalBlocks(
                block.slope * own,
                block.matrix * own[:, :, None] * own[:, None, :] + eye[None] * more[:, :, None],
                block.cross * of_globals[block.places][:, :, None] * own[:, None, :],
                block.places,
            )
        )
    return Normal(normal.slope * of_globals, matrix, tuple(locals_))


def _lifted(exact: jax.Array, expected: jax.Array) -> jax.Array:
    """``exact`` with its eigenvalues relative to ``expected`` not below `LEAST`, each (m, l, l)."""
    diagonal = jnp.diagonal(expected, axis1=1, axis2=2)
    known = diagonal > 0
    scale = jnp.where(known, 1 / jnp.sqrt(jnp.where(known, diagonal, 1.0)), 1.0)
    both = scale[:, :, None] * scale[:, None, :]
    # a little more than the expected curvature where that is singular
    eye = jnp.eye(exact.shape[1], dtype=exact.dtype)[None]
    factor = jnp.linalg.cholesky(jnp.where(known[:, :, None] & known[:, None, :], expected * both, eye) + 1e-9 * eye)
    solve = jax.scipy.linalg.solve_triangular
    half = jax.vmap(lambda f, x: solve(f, x, lower=True))(factor, exact * both)
    ratio = jax.vmap(lambda f, x: solve(f, x.T, lower=True))(factor, half)
    values, vectors = jnp.linalg.eigh((ratio + jnp.swapaxes(ratio, 1, 2)) / 2)
    root = factor @ vectors * jnp.sqrt(jnp.maximum(values, LEAST))[:, None, :]
    return root @ jnp.swapaxes(root, 1, 2) / both
