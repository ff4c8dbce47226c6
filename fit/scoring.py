"""Damped Fisher scoring: the default method of joint fits.

Newton steps with the expected curvature, Levenberg-Marquardt damping relative to its diagonal (so that units and scales
of parameters do not matter), bounds by projection, and stopping by the estimated distance to the minimum
EDM = g^T A^-1 g / 2 in units of the statistic. Local parameters are eliminated dataset by dataset (Schur complement),
so the cost is linear in their number.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import cho_solve

from ..datasets.program import Program
from .objective import LocalBlocks, Normal, Theta
from .problem import ProblemSpec, offset, stat_and_normal

RUNNING, CONVERGED, MAX_ITERATIONS, STALLED, BAD_START = range(5)
STATUS = ("running", "converged", "max_iterations", "stalled", "bad_start")

START_DAMPING, MOST_DAMPING = 1e-4, 1e12
AMPLITUDES_FIRST = 3
"""Evaluations in which shapes stay where they are while an amplitude is far off."""
FAR = 10.0
"""Factor by which an amplitude is far off; then it goes down by no more than this where steps are not known to be good.
"""
GONE = 1e-30
"""Curvature, as a share of the largest in the same parameter so far, below which the parameter means nothing any more.
"""


def least_damping(dtype: Any) -> float:
    """Damping that keeps a degenerate curvature matrix of unit diagonal solvable at this precision."""
    return max(1e-9, 100 * float(jnp.finfo(dtype).eps))


class Scoring(NamedTuple):
    """State of the loop. ``candidate`` is the point to evaluate next; the rest describes the best point so far.

    ``relative``: amplitudes move by factors, not by differences. ``largest``: of each parameter's curvatures so far.
    """

    theta: Theta
    stat: Any
    normal: Normal
    damping: Any
    candidate: Theta
    predicted: Any
    relative: Any
    largest: Theta
    edm: Any
    iterations: Any
    evaluations: Any
    status: Any


def initial_state(spec: ProblemSpec, theta: Theta) -> Scoring:
    """State before the first evaluation."""
    dtype = theta.globals.dtype
    locals_: tuple[LocalBlocks | None, ...] = tuple(
        LocalBlocks(
            np.zeros((g.n_members, g.n_local), dtype),
            np.zeros((g.n_members, g.n_local, g.n_local), dtype),
            np.zeros((g.n_members, g.n_shared + g.n_own, g.n_local), dtype),
            np.zeros((g.n_members, g.n_shared + g.n_own), jnp.result_type(int)),
        )
        if g.n_local
        else None
        for g in spec.groups
    )
    normal = Normal(np.zeros(spec.n_global, dtype), np.zeros((spec.n_global, spec.n_global), dtype), locals_)
    infinite, damping = np.asarray(np.inf, dtype), np.asarray(START_DAMPING, dtype)
    zero = np.zeros((), jnp.result_type(int))
    largest = jax.tree.map(lambda x: np.zeros(np.shape(x), dtype), theta)
    relative = np.zeros((), bool)
    return Scoring(theta, infinite, normal, damping, theta, infinite, relative, largest, infinite, zero, zero, zero)


@Program
def run_scoring(
    spec: ProblemSpec, arrays: dict[str, Any], state: Scoring, tolerance: jax.Array, limit: jax.Array
) -> tuple[Scoring, jax.Array]:
    """Iterate until convergence or until ``limit`` evaluations; the state, and the constant to add to its ``stat``."""

    def unfinished(s: Scoring) -> jax.Array:
        return (s.status == RUNNING) & (s.evaluations < limit)

    final = jax.lax.while_loop(unfinished, partial(_iterate, spec, arrays, tolerance), state)
    return final, offset(spec, arrays, final.theta)


def _iterate(spec: ProblemSpec, arrays: dict[str, Any], tolerance: jax.Array, s: Scoring) -> Scoring:
    stat, normal = stat_and_normal(spec, arrays, s.candidate)
    dtype = stat.dtype
    finite = jnp.isfinite(stat) & _all_finite(normal)
    noise = 8 * jnp.finfo(dtype).eps * jnp.maximum(1.0, jnp.abs(stat))
    better = finite & (stat <= s.stat + noise)
    first = s.evaluations == 0
    gain = jnp.where(first, 1.0, (s.stat - stat) / jnp.maximum(s.predicted, jnp.finfo(dtype).tiny))
    theta, kept_stat, kept_normal = jax.tree.map(
        lambda new, old: jnp.where(better, new, old), (s.candidate, stat, normal), (s.theta, s.stat, s.normal)
    )
    least = least_damping(dtype)
    eased = jnp.where(gain > 0.25, jnp.maximum(s.damping / 10, least), s.damping)
    damping = jnp.where(first, s.damping, jnp.where(better, eased, jnp.maximum(s.damping * 8, 1e-3)))

    low, high = arrays["low"], arrays["high"]
    active = active_set(theta, kept_normal, low, high)
    curvatures = diagonals(kept_normal, theta)
    largest = jax.tree.map(jnp.maximum, s.largest, curvatures)
    alive = jax.tree.map(lambda free, now, most: free & (now > GONE * most), active, curvatures, largest)
    slopes = slopes_of(kept_normal, theta)
    # with shapes held the statistic is convex in the amplitudes: from far off that is a better way than all at once
    early = s.evaluations < AMPLITUDES_FIRST
    far = early & _far_off(theta, slopes, curvatures, alive, arrays["scale_like"])
    moving = jax.tree.map(
        lambda on, free, like: jnp.stack([on & (jnp.asarray(like) | ~far), free]), alive, active, arrays["scale_like"]
    )
    steps, decreases = jax.vmap(lambda on, d: solve_arrowhead(kept_normal, on, d))(
        moving, jnp.stack([damping, jnp.asarray(least, dtype)])
    )
    edm = decreases[1]
    # nothing but parameters that mean nothing any more could still move
    stuck = (decreases[0] <= tolerance) & (damping <= 1e-2) & ~far
    # after a poor step change between x + d and x exp(d / x) for amplitudes: the second follows the valley of a norm
    # that fades while its tilt grows, the first goes straight to the answer from an amplitude far too low
    relative = jnp.where(better & (gain > 0.25), s.relative, ~s.relative)
    trusted = ~early | (better & (gain > 0.25) & ~first)
    candidate = jax.tree.map(partial(_move, relative, trusted), theta, steps, arrays["scale_like"], low, high)
    status = jnp.where(
        first & ~finite,
        BAD_START,
        jnp.where(edm <= tolerance, CONVERGED, jnp.where(stuck | (damping > MOST_DAMPING), STALLED, RUNNING)),
    )
    return Scoring(
        theta, kept_stat, kept_normal, damping, candidate, decreases[0], relative, largest, edm,
        s.iterations + (better & ~first), s.evaluations + 1, status,
    )  # fmt: skip


def _move(
    relative: jax.Array, trusted: jax.Array, x: jax.Array, steps: jax.Array, scale_like: Any, low: Any, high: Any
) -> jax.Array:
    """The point one step (the first of ``steps``) from ``x``, projected into the bounds.

    Unless ``trusted``, amplitudes keep a share of what they are: at zero the shape of what they scale has no slope.
    """
    step = steps[0]
    amplitude = scale_like & (x > 0)
    ratio = jnp.clip(step / jnp.where(x > 0, x, 1.0), -50.0, 5.0)
    moved = jnp.where(relative & amplitude, x * jnp.exp(ratio), x + step)
    moved = jnp.where(amplitude & ~trusted, jnp.maximum(moved, x / FAR), moved)
    return jnp.clip(moved, low, high)


def _far_off(theta: Theta, slopes: Theta, curvatures: Theta, alive: Theta, scale_like: Theta) -> jax.Array:
    """Whether an amplitude alone would move by more than the factor `FAR`."""

    def far(x: jax.Array, slope: jax.Array, curvature: jax.Array, on: jax.Array, amplitude: Any) -> jax.Array:
        step = -slope / jnp.where(on, curvature, 1.0)
        leaves = (step < (1 / FAR - 1) * x) | (step > (FAR - 1) * x)
        return jnp.any(jnp.asarray(amplitude) & on & (x > 0) & leaves)

    return jnp.any(jnp.stack(jax.tree.leaves(jax.tree.map(far, theta, slopes, curvatures, alive, scale_like))))


def slopes_of(normal: Normal, theta: Theta) -> Theta:
    """The slopes by parameter; zero where a group has no local ones."""
    blocks = zip(normal.locals, theta.locals, strict=True)
    return Theta(normal.slope, tuple(jnp.zeros_like(x) if b is None else b.slope for b, x in blocks))


def diagonals(normal: Normal, theta: Theta) -> Theta:
    """The curvatures by parameter, likewise."""
    blocks = zip(normal.locals, theta.locals, strict=True)
    return Theta(
        normal.matrix.diagonal(),
        tuple(jnp.zeros_like(x) if b is None else b.matrix.diagonal(axis1=1, axis2=2) for b, x in blocks),
    )


def _all_finite(normal: Normal) -> jax.Array:
    """No infinity or NaN in the normal equations; a prediction that overflows in masked bins shows here too."""
    leaves = jax.tree.leaves(normal)
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))


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


def solve_arrowhead(normal: Normal, active: Theta, damping: Any) -> tuple[Theta, jax.Array]:
    """Step -(A + damping diag A)^-1 g over the active parameters, and the decrease of the statistic it predicts."""
    scale, slope, matrix = _scaled(normal.slope, normal.matrix, active.globals)
    schur, right = matrix + damping * jnp.diag(active.globals.astype(slope.dtype)), slope
    eliminated: list[Any] = []
    for block, free in zip(normal.locals, active.locals, strict=True):
        if block is None:
            eliminated.append(None)
            continue
        local_scale, local_slope, local_matrix = jax.vmap(_scaled)(block.slope, block.matrix, free)
        local_matrix = local_matrix + damping * jnp.eye(free.shape[1], dtype=slope.dtype) * free[:, None, :]
        cross = block.cross * scale[block.places][:, :, None] * local_scale[:, None, :]
        factor = jnp.linalg.cholesky(local_matrix)
        solved = cho_solve(
            (factor, True), jnp.concatenate([jnp.swapaxes(cross, 1, 2), local_slope[:, :, None]], axis=2)
        )
        by_cross, by_slope = solved[:, :, :-1], solved[:, :, -1]
        index = block.places
        schur = schur.at[index[:, :, None], index[:, None, :]].add(-jnp.einsum("mgl,mlh->mgh", cross, by_cross))
        right = right.at[index].add(-jnp.einsum("mgl,ml->mg", cross, by_slope))
        eliminated.append((index, by_cross, by_slope, local_scale, local_slope))
    on = active.globals
    keep = on[:, None] & on[None, :]
    schur = jnp.where(keep, schur, jnp.eye(schur.shape[0], dtype=schur.dtype))
    right = jnp.where(on, right, 0.0)
    step = cho_solve((jnp.linalg.cholesky(schur), True), right) if schur.shape[0] else right
    # g^T d - d^T A d / 2 for the damped step d = (A + damping)^-1 g is g^T d / 2 + damping d^T d / 2
    decrease = (slope @ step + damping * step @ step) / 2
    locals_ = []
    for part, free in zip(eliminated, active.locals, strict=True):
        if part is None:
            locals_.append(jnp.zeros(free.shape, slope.dtype))
            continue
        index, by_cross, by_slope, local_scale, local_slope = part
        local = by_slope - jnp.einsum("mlg,mg->ml", by_cross, step[index])
        decrease = decrease + (jnp.sum(local_slope * local) + damping * jnp.sum(local * local)) / 2
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
