"""The default method of joint fits: damped scoring, then Newton steps if that is slow."""

from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from ...datasets.arrays import Array
from ...datasets.errors import InputError
from ..joint.arrowhead import Normal, Theta, diagonals, slopes_of
from ..joint.objective import ProblemSpec, compiled_exact_normal, from_free
from ..joint.problem import Problem
from ..status import Status
from .globalise import (
    AUTO,
    SAME,
    Starts,
    automatic,
    away_from_nothing,
    best_members,
    distinct,
    hardly_there,
    is_deficit,
    revived,
    scattered,
)
from .merged import SHARES, merging
from .needles import is_faint, needles
from .newton import newton_step
from .scoring import (
    BAD_START,
    CONVERGED,
    FLAT,
    MAX_ITERATIONS,
    RUNNING,
    STATUS,
    Scoring,
    initial_state,
    run_scoring,
)
from .solution import Progress, Solution
from .sweeps import sweeps, swept
from .valley import REACH, leap

PATIENCE = 8
"""Evaluations after which steps may be Newton's."""

PATIENCE_OF_IMAGES = 4
"""The same where images are made, which cost so much that the exact curvature costs little more."""

PATIENCE_AGAIN = 1
"""The same in the runs after the images of sources have been made again: these begin next to the minimum, where the
exact curvature is right, and scoring creeps where the expected one is not."""

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

WINDOW, LEAST_FALL = 12, 1e-3
"""A fit whose estimated distance to the minimum has not become ten times smaller within so many evaluations leaps. If
that does not lower the statistic by this either, it is flat: its optimum lies at infinity, or does not matter."""

CREEP, SLIGHT = 1.0, 0.1
"""Fall below which such a fit creeps; and below which one that has used up its evaluations is called flat."""

LANDING = 8
"""Evaluations in which a leap along a valley has to lead down."""

MOST_ELSEWHERE = 50
"""Evaluations from another start than the first, unless it leads somewhere."""

ROUGHLY = 1e-4
"""Estimated distance to the minimum at which other starts are compared with the best end."""

PROMISING = 1.0
"""How far above the best end another one may lie that has not converged, to be followed further."""

NEGLIGIBLE = 1e-3
"""Decrease to expect, as a share of the tolerance, for which no last step is taken."""


class Minimum(NamedTuple):
    """The last state, the constant to add to its ``stat``, and the exact normal equations there if they are known."""

    state: Scoring
    constant: float
    exact: Normal | None

    @property
    def stat(self) -> float:
        return float(self.state.stat) + self.constant


def minimise(
    spec: ProblemSpec,
    arrays: dict[str, PyTree],
    theta: Theta,
    *,
    tolerance: float,
    max_iterations: int,
    progress: Progress | None = None,
    again: bool = False,
) -> Minimum:
    """Minimise from ``theta``.

    ``progress(iterations, stat, edm)`` is called about once an iteration if given. ``again``: from where such a fit has
    ended, with images that have been made again.
    """
    state = initial_state(spec, theta)
    tolerance_, most = np.asarray(tolerance, state.stat.dtype), max_iterations + 1
    patience = patience_of(spec, again)
    limit = min(patience, most) if progress is None else 1
    newton, resume = False, patience + 1
    looked, earlier, reach = patience, state, REACH
    near = NEAR * sum(np.size(leaf) for leaf in jax.tree.leaves(theta))
    # in the width of a source that is nearly a point, the expected curvature may be far below the exact one
    images = makes_images(spec)
    while True:
        before, distance, last_stat = int(state.iterations), float(state.edm), float(state.stat)
        state, constant = jax.device_get(run_scoring(spec, arrays, state, tolerance_, np.asarray(limit)))
        if int(state.status) != RUNNING or limit >= most:
            break
        if progress is not None:
            progress(int(state.iterations), float(state.stat + constant), float(state.edm))
        if limit == patience:
            earlier = state
        if limit >= looked + WINDOW:
            fall = float(earlier.stat - state.stat)
            if fall < CREEP and float(state.edm) > float(earlier.edm) / 10:
                ahead = _leap(spec, arrays, state, earlier, reach, tolerance_)
                landed = bool(ahead.stat < state.stat)
                if float(earlier.stat - (ahead if landed else state).stat) < LEAST_FALL:
                    state = state._replace(status=np.asarray(FLAT))
                    break
                limit += int(ahead.evaluations - state.evaluations)
                reach = reach * 2 if landed else reach / 4
                state = ahead if landed else state._replace(evaluations=ahead.evaluations)
                state = state._replace(status=np.asarray(RUNNING))
            looked, earlier = limit, state
        refused = newton and int(state.iterations) == before
        resume = limit + PAUSE if refused else resume
        slow = newton or again or float(state.edm) > SLOW * distance
        newton = limit >= resume and slow and float(state.edm) < near
        if newton:
            scored, (state, _) = state, _towards_newton(spec, arrays, state)
            stays = images and state is not scored and float(scored.stat) >= last_stat
            if stays and float(state.predicted) <= NEGLIGIBLE * tolerance:
                state = state._replace(status=np.asarray(CONVERGED), edm=state.predicted)
                break
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
        creeps = float(state.edm) > float(earlier.edm) / 10 and 0 <= float(earlier.stat - state.stat) < SLIGHT
        state = state._replace(status=np.asarray(FLAT if creeps else MAX_ITERATIONS))
    return Minimum(state, float(constant), exact)


def makes_images(spec: ProblemSpec) -> bool:
    """Whether predictions are images, next to which nothing else costs."""
    return any(group.make.makes_images for group in spec.groups)


def patience_of(spec: ProblemSpec, again: bool = False) -> int:
    """Evaluations after which steps may be Newton's, see `minimise`."""
    if not makes_images(spec):
        return PATIENCE
    return PATIENCE_AGAIN if again else min(PATIENCE, PATIENCE_OF_IMAGES)


def _leap(
    spec: ProblemSpec, arrays: dict[str, PyTree], state: Scoring, before: Scoring, reach: float, tolerance: np.ndarray
) -> Scoring:
    """The fit from a point further along the valley, as far as it falls back into it in a few evaluations."""
    ahead = state._replace(
        candidate=leap(state.theta, before.theta, reach, arrays), stat=np.full_like(state.stat, np.inf),
        predicted=np.ones_like(state.stat), status=np.full_like(state.status, RUNNING),
    )  # fmt: skip
    limit = np.asarray(state.evaluations + LANDING)
    return jax.device_get(run_scoring(spec, arrays, ahead, tolerance, limit))[0]


def _onto_bounds(spec: ProblemSpec, arrays: dict[str, PyTree], state: Scoring, tolerance: float) -> Scoring:
    """The fit with parameters on the bounds that they are next to, as far as the tolerance tells.

    An amplitude that fades goes on for ever in steps that lower the statistic by less and less. At its bound it is
    named as being there, and the shape of what it scales as undetermined.
    """

    slopes, curvatures = (f(state.normal, state.theta) for f in (slopes_of, diagonals))
    given = jax.device_get((slopes, curvatures, arrays["low"], arrays["high"]))
    with np.errstate(invalid="ignore", over="ignore"):
        there = jax.tree.map(partial(next_to_bound, np, tolerance), state.theta, *given)
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


def next_to_bound(
    xp: ModuleType, tolerance: Array | float, x: Array, slope: Array, curvature: Array, low: Array, high: Array
) -> Any:
    """The parameter on the bound that it falls to, if the tolerance does not tell it from there."""
    bound = xp.where(slope > 0, low, high)
    way = xp.where(xp.isfinite(bound), xp.abs(x - xp.where(xp.isfinite(bound), bound, x)), 0.0)
    near = (xp.abs(slope) * way <= tolerance) & (curvature * way**2 / 2 <= tolerance)
    return xp.where(near & (slope != 0) & (way > 0), bound, x)


def lower_scoring(spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta) -> None:
    """Trace what `minimise` calls first."""
    state = initial_state(spec, theta)
    run_scoring.lower(spec, arrays, state, np.asarray(0.0, state.stat.dtype), np.asarray(0))


def stat_at(problem: Problem, free: np.ndarray) -> float:
    """The statistic at other values of the free parameters, by the program of the fit; infinite where undefined."""
    theta = from_free(problem.arrays, np.asarray(free, problem.arrays["low"].globals.dtype))
    end = minimise(problem.spec, problem.arrays, theta, tolerance=0.0, max_iterations=0)
    return end.stat if int(end.state.status) != BAD_START and np.isfinite(end.stat) else np.inf


def _towards_newton(spec: ProblemSpec, arrays: dict[str, PyTree], state: Scoring) -> tuple[Scoring, Normal]:
    """The state with Newton's step as the next to try, and the exact normal equations at the point it starts from."""
    exact = compiled_exact_normal(spec)(spec, arrays, state.theta)
    given = [arrays[name] for name in ("low", "high", "scale_like", "coordinates")]
    candidate, decrease = jax.device_get(newton_step(None, exact, state.normal, state.theta, *given))
    return state._replace(candidate=candidate, predicted=decrease) if np.isfinite(decrease) else state, exact


def run_scoring_method(
    problem: Problem,
    tolerance: float,
    max_iterations: int,
    precision: str,
    progress: Progress | None,
    starts: Starts = 1,
    again: bool = False,
    once: bool = False,
) -> Solution:
    """Damped Fisher scoring, see ``scoring``, from one start or from several, see ``globalise``; for ``again`` see
    `minimise`. ``once``: from one, if that does not converge."""
    spec, arrays = problem.spec, problem.arrays

    def ended(
        free: np.ndarray, most: int, progress: Progress | None, bounds: dict[str, PyTree] | None = None
    ) -> Minimum:
        theta = from_free(arrays, np.asarray(free, precision))
        return minimise(
            spec, arrays | (bounds or {}), theta, tolerance=tolerance, max_iterations=most, progress=progress,
            again=again,
        )  # fmt: skip

    first = np.asarray(problem.start(), float)
    best = ended(first, max_iterations, progress)
    if int(best.state.status) == BAD_START:
        _raise_bad_start(problem)
    evaluations, stats, ends = int(best.state.evaluations), [best.stat], [best]
    doubtful = int(best.state.status) != CONVERGED and max_iterations >= MOST_ELSEWHERE
    if once and doubtful:
        return _solution(problem, best, evaluations, stats)
    n_starts = max(automatic(problem), AUTO if doubtful else 1) if starts == "auto" else starts
    converged, ended_at = int(best.state.status) == CONVERGED, problem.to_free(best.state.theta)

    def follow(start: np.ndarray) -> None:
        nonlocal best, evaluations
        if int(best.state.status) == CONVERGED:
            seen, lower = _seen(spec, arrays, from_free(arrays, np.asarray(start, precision)), tolerance, best)
            evaluations += int(seen.state.evaluations)
            if not lower:
                stats.append(seen.stat)
                ends.append(seen)
                return
        # from the start again, as by itself: a valley is entered where its steps lead
        other = ended(start, min(max_iterations, MOST_ELSEWHERE), None)
        evaluations += int(other.state.evaluations)
        cut_short = int(other.state.status) in (MAX_ITERATIONS, FLAT)
        cut_short &= int(other.state.evaluations) > MOST_ELSEWHERE
        if cut_short and other.stat < best.stat + PROMISING:
            before = int(other.state.iterations)
            other = ended(problem.to_free(other.state.theta), max_iterations, None)
            evaluations += int(other.state.evaluations)
            other = other._replace(state=other.state._replace(iterations=other.state.iterations + before))
        stats.append(other.stat)
        ends.append(other)
        if _preferred(other, best):
            best = other

    # amplitudes alone: what suits shapes that are held
    scaling = problem.to_free(jax.tree.map(np.asarray, arrays["scale_like"])) > 0

    def scaled(start: np.ndarray) -> Minimum:
        nonlocal evaluations
        held = ended(start, MOST_AT_BOUNDS, None, problem.held(start, ~scaling))
        evaluations += int(held.state.evaluations)
        return held

    if starts == "auto" and max_iterations >= MOST_ELSEWHERE and (doubtful or is_deficit(problem, ended_at)):
        suited = scaled(hardly_there(problem, first))
        if np.isfinite(suited.stat):
            follow(away_from_nothing(problem, problem.to_free(suited.state.theta)))
    others: list[np.ndarray] = []
    steps: list[np.ndarray] = []
    for sweep in sweeps(problem) if n_starts > 1 and max_iterations >= MOST_ELSEWHERE else []:
        found, spent = swept(problem, sweep, first)
        if len(sweep.exponents):
            steps += found[:1]
        else:
            others += found[:AUTO]
        evaluations += spent
    others = others if starts == "auto" else others[: n_starts - 1]
    if starts != "auto" or not others:
        more = range(1, n_starts - len(others))
        others += [scattered(problem, first, k, ended_at if converged else None) for k in more]
    others = others + steps if starts == "auto" else (steps + others)[: n_starts - 1]
    for start in others:
        follow(start)
    if starts == "auto" and max_iterations >= MOST_ELSEWHERE and is_faint(problem, best.state):
        found, spent = needles(problem, problem.to_free(best.state.theta), best.stat)
        evaluations += spent
        for start in found:
            follow(start)
    for share in SHARES if n_starts > 1 and max_iterations >= MOST_ELSEWHERE else ():
        merged = None
        if int(best.state.status) != CONVERGED:
            merged = merging(problem, problem.to_free(best.state.theta), share)
        if merged is not None:
            follow(merged)
    curvature = problem.to_free(jax.tree.map(np.asarray, diagonals(best.state.normal, best.state.theta)))
    revive = revived(problem, first, problem.to_free(best.state.theta), curvature) if starts == "auto" else None
    if revive is not None and max_iterations >= MOST_ELSEWHERE:
        held = scaled(revive)
        if held.stat < best.stat + SAME:
            other = ended(problem.to_free(held.state.theta), max_iterations, None)
            evaluations += int(other.state.evaluations)
            if _preferred(other, best):
                stats, best = [*stats, other.stat], other
    if len(ends) > 1 and any(np.size(x) for x in best.state.theta.locals):
        thetas = [end.state.theta for end in ends if np.isfinite(end.stat)]
        other = ended(problem.to_free(best_members(problem, best.state.theta, thetas)), max_iterations, None)
        evaluations += int(other.state.evaluations)
        if _preferred(other, best):
            stats, best = [*stats, other.stat], other
    return _solution(problem, best, evaluations, stats)


def _solution(problem: Problem, best: Minimum, evaluations: int, stats: list[float]) -> Solution:
    state = best.state
    return Solution(
        free=problem.to_free(state.theta),
        stat=best.stat,
        edm=float(state.edm),
        status=STATUS[int(state.status)],
        iterations=int(state.iterations),
        evaluations=evaluations,
        method="scoring",
        expected=state.normal,
        exact=best.exact,
        minima=distinct(stats),
    )


def _seen(
    spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta, tolerance: float, best: Minimum
) -> tuple[Minimum, bool]:
    """Where another start leads to, roughly, and whether its minimum may be better than the ``best`` so far.

    Most lead to a minimum that is known, or to a worse one, and how exactly does not matter.
    """
    state = initial_state(spec, theta)
    given = np.asarray(max(ROUGHLY, tolerance), state.stat.dtype), np.asarray(MOST_ELSEWHERE)
    state, constant = jax.device_get(run_scoring(spec, arrays, state, *given))
    end = Minimum(state, float(constant), None)
    return end, int(end.state.status) != CONVERGED or end.stat - float(end.state.edm) <= best.stat - SAME


def _preferred(other: Minimum, best: Minimum) -> bool:
    """Whether another end is better: lower, or the same and converged."""
    if not np.isfinite(other.stat) or int(other.state.status) == BAD_START:
        return False
    ended_well, best_well = (int(end.state.status) == CONVERGED for end in (other, best))
    slack = 0.0 if ended_well == best_well else SAME if ended_well else -SAME
    return other.stat < best.stat + slack


def is_better(other: Solution, best: Solution, slack: float = -SAME) -> bool:
    """Whether another end is lower, and not one that has not converged where the best has.

    ``slack``: by how much it may be higher if it has converged where the best has not.
    """
    ended, best_ended = (end.status == Status.CONVERGED for end in (other, best))
    more = slack if ended and not best_ended else -SAME
    return bool(np.isfinite(other.stat)) and (ended or not best_ended) and other.stat < best.stat + more


def _raise_bad_start(problem: Problem) -> None:
    listed = ", ".join(
        f"{n} = {v:.4g}" for n, v in zip(problem.free_names[:10], np.asarray(problem.start())[:10], strict=True)
    )
    raise InputError(
        f"fit: the statistic or its slope is infinite or undefined at the start values ({listed}). Give start values "
        "at which every model is finite over the energies of the exposure."
    )
