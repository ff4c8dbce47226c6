"""The default method of joint fits: damped scoring, then Newton steps if that is slow."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from ...datasets.arrays import Array
from ...datasets.errors import InputError
from ..joint.arrowhead import Normal, Theta, diagonals, slopes_of
from ..joint.objective import ProblemSpec, compiled_exact_normal, from_free
from ..joint.problem import Problem
from .newton import newton_step
from .scoring import BAD_START, CONVERGED, MAX_ITERATIONS, RUNNING, STATUS, Scoring, initial_state, run_scoring
from .solution import Progress, Solution

PATIENCE = 8
"""Evaluations after which steps may be Newton's."""

SLOW = 0.3
"""Share of the estimated distance to the minimum that a step of scoring has to leave for Newton's to be worth it, which
cost several times as much."""

PAUSE = 4
"""Evaluations of scoring after a step of Newton's that did not lead down."""

MOST_AT_BOUNDS = 20
"""Evaluations for the other parameters to follow some that were put on their bounds."""

NEAR = 0.1
"""Estimated distance to the minimum, per free parameter, below which they are. In the bends of long valleys scoring is
better."""

NEGLIGIBLE = 1e-3
"""Decrease to expect, as a share of the tolerance, for which no last step is taken."""


class Minimum(NamedTuple):
    """The last state, the constant to add to its ``stat``, and the exact normal equations there if they are known."""

    state: Scoring
    constant: float
    exact: Normal | None


def minimise(
    spec: ProblemSpec,
    arrays: dict[str, PyTree],
    theta: Theta,
    *,
    tolerance: float,
    max_iterations: int,
    progress: Progress | None = None,
) -> Minimum:
    """Minimise from ``theta``.

    ``progress(iterations, stat, edm)`` is called about once an iteration if given.
    """
    state = initial_state(spec, theta)
    tolerance_, most = np.asarray(tolerance, state.stat.dtype), max_iterations + 1
    limit = min(PATIENCE, most) if progress is None else 1
    newton, resume = False, PATIENCE + 1
    near = NEAR * sum(np.size(leaf) for leaf in jax.tree.leaves(theta))
    while True:
        before, distance = int(state.iterations), float(state.edm)
        state, constant = jax.device_get(run_scoring(spec, arrays, state, tolerance_, np.asarray(limit)))
        if int(state.status) != RUNNING or limit >= most:
            break
        if progress is not None:
            progress(int(state.iterations), float(state.stat + constant), float(state.edm))
        refused = newton and int(state.iterations) == before
        resume = limit + PAUSE if refused else resume
        slow = newton or float(state.edm) > SLOW * distance
        newton = limit >= resume and slow and float(state.edm) < near
        if newton:
            state, _ = _towards_newton(spec, arrays, state)
        limit += 1
    exact = None
    if int(state.status) == CONVERGED and newton:
        # where the exact curvature is far below the expected one, which says when to stop, a last step is worth it
        last, exact = _towards_newton(spec, arrays, state)
        if float(last.predicted) > NEGLIGIBLE * tolerance:
            last, exact = last._replace(status=np.asarray(RUNNING)), None
            state, constant = jax.device_get(run_scoring(spec, arrays, last, tolerance_, np.asarray(limit + 1)))
            state = state._replace(status=np.asarray(CONVERGED))
    if int(state.status) == CONVERGED:
        at_bounds = _onto_bounds(spec, arrays, state, tolerance)
        state, exact = at_bounds, exact if at_bounds is state else None
    if int(state.status) == RUNNING:
        state = state._replace(status=np.asarray(MAX_ITERATIONS))
    return Minimum(state, float(constant), exact)


def _onto_bounds(spec: ProblemSpec, arrays: dict[str, PyTree], state: Scoring, tolerance: float) -> Scoring:
    """The fit with parameters on the bounds that they are next to, as far as the tolerance tells.

    An amplitude that fades goes on for ever in steps that lower the statistic by less and less. At its bound it is
    named as being there, and the shape of what it scales as undetermined.
    """

    def onto(x: Array, slope: Array, curvature: Array, low: Array, high: Array) -> np.ndarray:
        bound = np.where(slope > 0, low, high)
        way = np.where(np.isfinite(bound), np.abs(x - bound), np.inf)
        with np.errstate(invalid="ignore", over="ignore"):
            near = (np.abs(slope) * way <= tolerance) & (curvature * way**2 / 2 <= tolerance)
        return np.where(near & (slope != 0) & (way > 0), bound, x)

    slopes, curvatures = (f(state.normal, state.theta) for f in (slopes_of, diagonals))
    there = jax.tree.map(onto, state.theta, *jax.device_get((slopes, curvatures, arrays["low"], arrays["high"])))
    n_moved = sum(int(np.sum(a != b)) for a, b in zip(*map(jax.tree.leaves, (there, state.theta)), strict=True))
    if not n_moved:
        return state
    limit = np.asarray(state.evaluations + MOST_AT_BOUNDS)
    restart = state._replace(
        candidate=there, stat=np.full_like(state.stat, np.inf), predicted=np.ones_like(state.stat),
        status=np.full_like(state.status, RUNNING),
    )  # fmt: skip
    found, _ = jax.device_get(run_scoring(spec, arrays, restart, np.asarray(tolerance, state.stat.dtype), limit))
    rounding = 8 * np.finfo(state.stat.dtype).eps * max(1.0, abs(float(state.stat)))
    good = int(found.status) == CONVERGED and found.stat <= state.stat + n_moved * 2 * tolerance + rounding
    return found if good else state


def lower_scoring(spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta) -> None:
    """Trace what `minimise` calls first."""
    state = initial_state(spec, theta)
    run_scoring.lower(spec, arrays, state, np.asarray(0.0, state.stat.dtype), np.asarray(0))


def _towards_newton(spec: ProblemSpec, arrays: dict[str, PyTree], state: Scoring) -> tuple[Scoring, Normal]:
    """The state with Newton's step as the next to try, and the exact normal equations at the point it starts from."""
    exact = compiled_exact_normal(spec)(spec, arrays, state.theta)
    candidate, decrease = jax.device_get(
        newton_step(None, exact, state.normal, state.theta, arrays["low"], arrays["high"], arrays["scale_like"])
    )
    return state._replace(candidate=candidate, predicted=decrease) if np.isfinite(decrease) else state, exact


def run_scoring_method(
    problem: Problem, tolerance: float, max_iterations: int, precision: str, progress: Progress | None
) -> Solution:
    """Damped Fisher scoring, see ``scoring``."""
    start = from_free(problem.arrays, np.asarray(problem.start(), precision))
    state, constant, exact = minimise(
        problem.spec, problem.arrays, start, tolerance=tolerance, max_iterations=max_iterations, progress=progress
    )
    if int(state.status) == BAD_START:
        _raise_bad_start(problem)
    return Solution(
        free=problem.to_free(state.theta),
        stat=float(state.stat) + constant,
        edm=float(state.edm),
        status=STATUS[int(state.status)],
        iterations=int(state.iterations),
        evaluations=int(state.evaluations),
        method="scoring",
        expected=state.normal,
        exact=exact,
    )


def _raise_bad_start(problem: Problem) -> None:
    listed = ", ".join(
        f"{n} = {v:.4g}" for n, v in zip(problem.free_names[:10], np.asarray(problem.start())[:10], strict=True)
    )
    raise InputError(
        f"fit: the statistic or its slope is infinite or undefined at the start values ({listed}). Give start values "
        "at which every model is finite over the energies of the exposure."
    )
