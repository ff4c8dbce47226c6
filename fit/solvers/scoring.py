"""Damped Fisher scoring: the default method of joint fits.

Steps d = -(A + damping diag A)^-1 g with the slope g and the expected curvature A of the statistic, and stopping by the
estimated distance to the minimum EDM = g^T A^-1 g / 2, in its units: neither depends on units and scales of parameters.
Local parameters are eliminated dataset by dataset (Schur complement), so the cost is linear in their number. What there
is besides:

- *Damping*: a tenth after a step whose gain (decrease / decrease to expect) is above a quarter, eight times after one
  that does not lead down. Equal statistics count as down only where the decrease to expect is below their rounding.
- *Lost curvature*: directions flatter than the least damping look near their minimum however far it is. Their distance
  counts with damping at the level of rounding too, and where that says `LOST` tolerances the fit has stalled.
- *Coordinates* (`joint.coordinates`): a step along x is taken in 1 / x or ln x where the model is nearly linear in
  that, and projected into the bounds; coefficient and exponent of a cutoff step as a pair (`joint.cutoffs`).
- *Amplitudes*: with shapes held the statistic is convex in them, so that they go first while one is off by a factor
  `FAR`; they step in x and, after a poor step, in ln x, and in x again after the next. Until steps are known to be
  good, none falls to zero, where the shape of what it scales has no slope.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...datasets.arrays import Array
from ...datasets.compile import OF_A_FIT, Program
from ..joint.arrowhead import Leaf, LocalBlocks, Normal, Theta, active_set, diagonals, slopes_of, solve_arrowhead
from ..joint.coordinates import LOG, LONGEST, at_its_end, moved
from ..joint.cutoffs import moved_pairs, sheared
from ..joint.objective import ProblemSpec, offset, stat_and_normal
from ..status import Status

RUNNING, CONVERGED, MAX_ITERATIONS, STALLED, BAD_START, FLAT = range(6)

STATUS = {
    CONVERGED: Status.CONVERGED, MAX_ITERATIONS: Status.MAX_ITERATIONS, STALLED: Status.STALLED, FLAT: Status.FLAT,
}  # fmt: skip

START_DAMPING, MOST_DAMPING = 1e-4, 1e12

AMPLITUDES_FIRST = 3
"""Evaluations in which shapes stay where they are while an amplitude is far off."""

FAR = 10.0
"""Factor by which an amplitude is far off; then it goes down by no more than this where steps are not known to be good.
"""


LOST = 20.0
"""Estimated distance to the minimum in tolerances, along directions of next to no curvature, that is not convergence.
"""


def least_damping(dtype: np.dtype) -> float:
    """Damping that keeps a degenerate curvature matrix of unit diagonal solvable at this precision."""
    return max(1e-9, 100 * float(jnp.finfo(dtype).eps))


def rounding_of_curvature(dtype: np.dtype) -> float:
    """Share of a curvature matrix of unit diagonal that is rounding."""
    return min(500 * float(jnp.finfo(dtype).eps), least_damping(dtype))


def distance(damped: jax.Array, barely: jax.Array, tolerance: Array | float) -> jax.Array:
    """The estimated distance to the minimum from those with `least_damping` and with `rounding_of_curvature`: the
    latter where it alone tells that this is no minimum. It is NaN where rounding has made a degenerate matrix
    indefinite."""
    return jnp.where((damped <= tolerance) & (barely > LOST * tolerance), barely, damped)


class Scoring(NamedTuple):
    """State of the loop. ``candidate`` is the point to evaluate next; the rest describes the best point so far.

    ``relative``: amplitudes move by factors, not by differences.
    """

    theta: Theta
    stat: Leaf
    normal: Normal
    damping: Leaf
    candidate: Theta
    predicted: Leaf
    relative: Leaf
    edm: Leaf
    iterations: Leaf
    evaluations: Leaf
    status: Leaf


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
    relative = np.zeros((), bool)
    return Scoring(theta, infinite, normal, damping, theta, infinite, relative, infinite, zero, zero, zero)


@partial(Program, most=OF_A_FIT)
def run_scoring(
    spec: ProblemSpec, arrays: dict[str, PyTree], state: Scoring, tolerance: jax.Array, limit: jax.Array
) -> tuple[Scoring, jax.Array]:
    """Iterate until convergence or until ``limit`` evaluations; the state, and the constant to add to its ``stat``."""
    final = iterated(spec, arrays, state, tolerance, limit)
    return final, offset(spec, arrays, final.theta)


def iterated(
    spec: ProblemSpec, arrays: dict[str, PyTree], state: Scoring, tolerance: Array, limit: Array | int
) -> Scoring:
    """The state after `iterate` until convergence or until ``limit`` evaluations."""

    def unfinished(s: Scoring) -> jax.Array:
        return (s.status == RUNNING) & (s.evaluations < limit)

    return jax.lax.while_loop(unfinished, partial(iterate, spec, arrays, tolerance), state)


def iterate(spec: ProblemSpec, arrays: dict[str, PyTree], tolerance: Array, s: Scoring) -> Scoring:
    """One evaluation, at the candidate, and the next candidate."""
    stat, normal = stat_and_normal(spec, arrays, s.candidate)
    dtype = stat.dtype
    finite = jnp.isfinite(stat) & _all_finite(normal)
    noise = 8 * jnp.finfo(dtype).eps * jnp.maximum(1.0, jnp.abs(stat))
    first = s.evaluations == 0
    # equal counts as better only where no more can be seen of the decrease to expect
    unseen = s.predicted <= noise
    better = finite & ((stat < s.stat) | (unseen & (stat <= s.stat + noise)))
    gain = jnp.where(first | (unseen & better), 1.0, (s.stat - stat) / jnp.maximum(s.predicted, noise))
    theta, kept_stat, kept_normal = jax.tree.map(
        lambda new, old: jnp.where(better, new, old), (s.candidate, stat, normal), (s.theta, s.stat, s.normal)
    )
    least = least_damping(dtype)
    eased = jnp.where(gain > 0.25, jnp.maximum(s.damping / 10, least), s.damping)
    damping = jnp.where(first, s.damping, jnp.where(better, eased, jnp.maximum(s.damping * 8, 1e-3)))

    low, high = arrays["low"], arrays["high"]
    straight = sheared(kept_normal, theta, arrays["pairs"])
    kinds, slopes = arrays["coordinates"], slopes_of(straight, theta)
    ended = jax.tree.map(partial(at_its_end, tolerance), kinds, theta, slopes, low, high)
    active = jax.tree.map(lambda on, end: on & ~end, active_set(theta, straight, low, high), ended)
    # with shapes held the statistic is convex in the amplitudes: from far off that is a better way than all at once
    early = s.evaluations < AMPLITUDES_FIRST
    far = early & _far_off(theta, slopes, diagonals(straight, theta), active, arrays["scale_like"])
    moving = jax.tree.map(
        lambda free, like: jnp.stack([free & (jnp.asarray(like) | ~far), free, free]), active, arrays["scale_like"]
    )
    dampings = jnp.stack([damping, jnp.asarray(least, dtype), jnp.asarray(rounding_of_curvature(dtype), dtype)])
    steps, decreases = jax.vmap(partial(solve_arrowhead, straight))(moving, dampings)
    edm = distance(decreases[1], decreases[2], tolerance)
    lost = (decreases[1] <= tolerance) & (edm > tolerance)
    # after a poor step change between x + d and x exp(d / x) for amplitudes: the second follows the valley of a norm
    # that fades while its tilt grows, the first goes straight to the answer from an amplitude far too low
    relative = jnp.where(better & (gain > 0.25), s.relative, ~s.relative)
    trusted = ~early | (better & (gain > 0.25) & ~first)
    candidate = jax.tree.map(partial(_move, relative, trusted), theta, steps, arrays["scale_like"], kinds, low, high)
    first_step = jax.tree.map(lambda step: step[0], steps)
    candidate = moved_pairs(candidate, theta, first_step, low, high, arrays["pairs"])
    status = jnp.where(
        first & ~finite,
        BAD_START,
        jnp.where(edm <= tolerance, CONVERGED, jnp.where(lost | (damping > MOST_DAMPING), STALLED, RUNNING)),
    )
    return Scoring(
        theta, kept_stat, kept_normal, damping, candidate, decreases[0], relative, edm,
        s.iterations + jnp.asarray(better & ~first, jnp.result_type(s.iterations)), s.evaluations + 1, status,
    )  # fmt: skip


def _move(
    relative: jax.Array,
    trusted: jax.Array,
    x: jax.Array,
    steps: jax.Array,
    scale_like: jax.Array,
    kind: jax.Array,
    low: jax.Array,
    high: jax.Array,
) -> jax.Array:
    """The point one step (the first of ``steps``) from ``x``, in the coordinates of the parameters and their bounds.

    Unless ``trusted``, amplitudes keep a share of what they are: at zero the shape of what they scale has no slope.
    """
    amplitude = scale_like & (x > 0)
    point = moved(
        jnp.where(relative & amplitude, LOG, kind), x, steps[0], low, high,
        longest=(jnp.where(amplitude, 50.0, LONGEST), jnp.where(amplitude, 5.0, LONGEST)),
    )  # fmt: skip
    kept = jnp.maximum(point, x / FAR)
    return jnp.clip(jnp.where(amplitude & ~trusted, kept, point), low, high)


def _far_off(theta: Theta, slopes: Theta, curvatures: Theta, active: Theta, scale_like: Theta) -> jax.Array:
    """Whether an amplitude alone would move by more than the factor `FAR`."""

    def far(x: jax.Array, slope: jax.Array, curvature: jax.Array, on: jax.Array, amplitude: jax.Array) -> jax.Array:
        step = -slope / jnp.where(on, curvature, 1.0)
        leaves = (step < (1 / FAR - 1) * x) | (step > (FAR - 1) * x)
        return jnp.any(jnp.asarray(amplitude) & on & (x > 0) & leaves)

    return jnp.any(jnp.stack(jax.tree.leaves(jax.tree.map(far, theta, slopes, curvatures, active, scale_like))))


def _all_finite(normal: Normal) -> jax.Array:
    """No infinity or NaN in the normal equations; a prediction that overflows in masked bins shows here too."""
    leaves = jax.tree.leaves(normal)
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
