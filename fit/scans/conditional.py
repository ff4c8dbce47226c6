"""A fit in which some parameters are held at given values, and the place where its statistic has risen by an amount.

A parameter is held by bounds that are both equal to its value. Bounds are data, so that a scan runs the compiled
program of the fit itself. The slope of the statistic in a held parameter comes for free, and is the slope of the
profile: the others are at their best, where theirs vanish.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...datasets.bins import on_host
from ...datasets.errors import InputError
from ...datasets.models.collection import Models
from ..covariance import DENSE_LIMIT
from ..double import require_double
from ..joint.arrowhead import diagonals, slopes_of
from ..joint.objective import from_free
from ..joint.problem import Problem, SomeDatasets, as_datasets, make_problem, with_image_sizes
from ..result import FitResult
from ..solvers.globalise import SAME, automatic
from ..solvers.merged import SHARES, merging
from ..solvers.minimise import minimise
from ..solvers.scoring import BAD_START, CONVERGED, Scoring
from ..status import Status

TOLERANCE = 1e-8
"""Estimated distance to the minimum at every point, in units of the statistic."""

NEW_MINIMUM = 1e-3
"""A statistic lower than that of the result by more than this is another minimum (and never less than its rounding)."""

LOWER = 1e-6
"""A point lower than another by more than this lies in another minimum of the other parameters."""

CLOSE = 3e-3
"""Last step of a root search, relative to the distance from the best: its own error is of the order of its square."""

FARTHEST = 1e8
"""Distance from the best, in errors, at which a search gives up."""


@dataclass(frozen=True)
class Point:
    """The best of the other parameters for the values ``held`` (d,): all free parameters ``free`` (n,), the statistic,
    its slope in the held parameters (d,). The statistic is infinite where it does not exist.
    """

    held: np.ndarray
    free: np.ndarray
    stat: float
    slope: np.ndarray
    converged: bool


class ConditionalFit:
    """The fit of ``result`` with the parameters ``names`` held.

    ``best`` is the minimum with nothing held, ``low`` and ``high`` (d,) the bounds of the held parameters. ``plane``
    (d, d) spans them: a step of length one in its coordinates raises the statistic by about one.
    """

    def __init__(self, datasets: SomeDatasets, result: FitResult, names: Sequence[str], what: str):
        _check(result, what)
        on_host((datasets, result.models), what)
        self.what = what
        models = with_image_sizes(result.models, as_datasets(datasets))
        self.problem = make_problem(datasets, models, spread=True)
        space = self.problem.space
        if self.problem.datasets.names != result.datasets_names:
            raise InputError(
                f"{what}: the result belongs to the datasets {', '.join(result.datasets_names[:10])}, found "
                f"{', '.join(self.problem.datasets.names[:10])}. Give the datasets of the fit."
            )
        self.names, index = zip(*(_find(self.problem, result, name, what) for name in names), strict=True)
        if len(set(index)) < len(index):
            raise InputError(f"{what}: {' and '.join(self.names)} are one parameter. Give two different ones.")
        parameters = [space.parameters[i] for i in index]
        self.units = ["" if p is None else p.unit for p in parameters]
        self.places = (np.cumsum(space.free) - 1)[list(index)]
        self._low, self._high = space.low[space.free], space.high[space.free]
        self.low, self.high = self._low[self.places], self._high[self.places]
        self.evaluations = 0

        start = np.asarray(self.problem.start(), float)
        self.best, state = self._run(start, np.zeros(len(start), bool))
        # sums of float32 fits carry their rounding
        slack = 1e-2 + 1e-6 * abs(result.stat)
        if abs(self.best.stat - result.stat) > slack:
            raise InputError(
                f"{what}: at the fitted values the statistic of these datasets is {self.best.stat:.6g}, and that of "
                f"the result is {result.stat:.6g}. Give the datasets of the fit, or fit again."
            )
        self.known, self.lowest = [self.best], self.best
        self.plane = _plane(self.problem, result, list(index), self.best, self.places, state)
        self._inverse = np.linalg.inv(self.plane)
        self.several_minima = automatic(self.problem) > 1

    def at(self, held: np.ndarray, reoptimize: bool = True) -> Point:
        """The best of the other parameters for these values; ``reoptimize=False``: the others where they are."""
        fixed = np.full(len(self._low), not reoptimize)
        fixed[self.places] = True
        start = np.array(self.best.free)
        start[self.places] = held
        if not reoptimize:
            return self._run(start, fixed)[0]
        guess = np.clip(self._guess(held), self._low, self._high)
        guess[self.places] = held
        point, _ = self._run(guess, fixed)
        if not point.converged:
            other, _ = self._run(start, fixed)
            point = other if _better(other, point) else point
            for share in SHARES:
                again = merging(self.problem, point.free, share, fixed) if not point.converged else None
                if again is not None:
                    other, _ = self._run(again, fixed)
                    point = other if _better(other, point) else point
        return self._kept(point)

    def from_neighbour(self, point: Point, neighbour: Point) -> Point:
        """The same point, or a lower one that the other parameters of a ``neighbour`` lead to."""
        fixed = np.zeros(len(self._low), bool)
        fixed[self.places] = True
        other, _ = self._run(np.where(fixed, point.free, neighbour.free), fixed)
        return self._kept(other) if _better(other, point) else point

    def _kept(self, point: Point) -> Point:
        """A new point, that later ones may start from."""
        if point.converged:
            self.known = [p for p in self.known if not np.array_equal(p.held, point.held) or p.stat < point.stat]
            self.known.append(point)
        if point.stat < self.lowest.stat:
            self.lowest = point
        return point

    def coordinates(self, held: np.ndarray) -> np.ndarray:
        """Distance of points (..., d) from the best in the coordinates of ``plane``."""
        return (held - self.best.held) @ self._inverse.T

    def models_at(self, point: Point) -> Models:
        """The models with the values of a point."""
        values = np.array(self.problem.space.values, float)
        errors = np.array([0.0 if p is None else float(p.error) for p in self.problem.space.parameters])
        values[self.problem.space.free] = point.free
        entries = [[e for e in m.entries if e is not None] for m in self.problem.space.models]
        return Models.with_numbers(self.problem.models, [[(values[e], errors[e]) for e in model] for model in entries])

    def is_new_minimum(self, point: Point) -> bool:
        """Does the point lie below the minimum of the result by more than numerical noise?"""
        return point.stat < self.best.stat - max(NEW_MINIMUM, 1e-10 * abs(self.best.stat))

    def require_no_new_minimum(self, point: Point) -> None:
        """Raise an `InputError` that says where to fit again from."""
        if not self.is_new_minimum(point):
            return
        values = {name: float(f"{v:.7g}") for name, v in zip(self.problem.free_names, point.free[:10], strict=False)}
        more = ", ..." if len(point.free) > 10 else ""
        raise InputError(
            f"{self.what}: the statistic has a lower minimum than the result: {point.stat:.4f} below "
            f"{self.best.stat:.4f}, near {values}{more}. Fit again from there: gj.fit(datasets, "
            "result.models.with_values({...}))."
        )

    def _run(self, start: np.ndarray, fixed: np.ndarray) -> tuple[Point, Scoring]:
        arrays = self.problem.arrays | self.problem.held(start, fixed)
        state, constant, _ = minimise(
            self.problem.spec, arrays, from_free(arrays, start), tolerance=TOLERANCE, max_iterations=200
        )
        self.evaluations += int(state.evaluations)
        if int(state.status) == BAD_START:
            zeros = np.zeros(len(self.places))
            return Point(start[self.places], start, np.inf, zeros, False), state
        free = self.problem.to_free(state.theta)
        slope = self.problem.to_free(slopes_of(state.normal, state.theta))[self.places]
        stat = float(state.stat) + constant
        return Point(free[self.places], free, stat, slope, int(state.status) == CONVERGED), state

    def _guess(self, held: np.ndarray) -> np.ndarray:
        """Start values from the nearest points known: linear through one more of them than parameters are held."""
        at = self.coordinates(np.array([p.held for p in self.known]))
        wanted = self.coordinates(held)
        near = np.argsort(np.linalg.norm(at - wanted, axis=1), kind="stable")[: len(held) + 1]
        if len(near) == len(held) + 1:
            matrix = np.vstack([np.ones(len(near)), at[near].T])
            weights = np.linalg.lstsq(matrix, np.array([1.0, *wanted]), rcond=1e-6)[0]
            if np.max(np.abs(weights)) < 5 and np.allclose(matrix @ weights, [1.0, *wanted]):
                return weights @ np.array([self.known[i].free for i in near])
        return np.array(self.known[near[0]].free)


def _better(other: Point, point: Point) -> bool:
    """Whether another end of the same point is lower, or the same and converged."""
    slack = -LOWER if other.converged == point.converged else SAME if other.converged else -SAME
    return other.stat < point.stat + slack


class Crossing(NamedTuple):
    """Where the statistic has risen far enough: values ``held`` (d,); ``end`` is "reached", "bound" or "open"."""

    held: np.ndarray
    end: str
    converged: bool


def crossing(fit: ConditionalFit, direction: np.ndarray, delta: float) -> Crossing:
    """Follow a ``direction`` in the coordinates of ``fit.plane`` until the statistic is ``delta`` above the minimum.

    The root of s(t) - sqrt(delta), where s is the root of the rise and t the distance: s is nearly linear and its slope
    known, so that Newton's method needs two or three points. It is kept inside a bracket as soon as there is one.
    """
    step = fit.plane @ direction
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(step > 0, (fit.high - fit.best.held) / step, (fit.low - fit.best.held) / step)
    most = max(float(np.min(np.where(step != 0, room, np.inf))), 0.0)
    if most == 0:
        return Crossing(fit.best.held, "bound", True)

    def held(t: float) -> np.ndarray:
        return np.clip(fit.best.held + t * step, fit.low, fit.high)

    target = np.sqrt(delta)
    # at a bound the statistic may rise with a slope from the start: delta = slope t + t^2
    slope = max(float(fit.best.slope @ step), 0.0)
    first = min(2 * delta / (slope + np.sqrt(slope**2 + 4 * delta)), most)
    low, s_low, high, s_high = 0.0, 0.0, np.inf, np.inf
    t, flat, converged = first, 0, True
    for attempt in range(1, 100):
        point = fit.at(held(t))
        fit.require_no_new_minimum(point)
        finite = np.isfinite(point.stat)
        converged &= point.converged or not finite
        s = np.sqrt(max(point.stat - fit.best.stat, 0.0))
        rise = float(point.slope @ step)
        newton = t + (target - s) * 2 * s / rise if finite and s > 0 and rise > 0 else np.nan
        # a flat statistic has noise for a slope: only near the target is Newton's word final
        if abs(newton - t) <= CLOSE * t and newton <= most and abs(s - target) <= 0.1 * target:
            return Crossing(held(newton), "reached", converged)
        if s < target:
            if t >= most:
                return Crossing(held(most), "bound", converged)
            flat = flat + 1 if t >= 2 * low > 0 and s - s_low < 1e-3 * target else 0
            low, s_low = t, s
            if not np.isfinite(high) and (flat > 5 or t > FARTHEST * max(first, 1.0)):
                return Crossing(held(t), "open", converged)
        else:
            high, s_high = t, s
        if not np.isfinite(high):
            least = 2 * t if s < target / 2 else 1.001 * t
            t = min(4 * t if flat or not newton < 4 * t else max(newton, least), most)
            continue
        if high - low <= 1e-6 * high:
            # a jump, or the edge of where the statistic exists
            return Crossing(held(low), "reached" if np.isfinite(s_high) else "open", converged)
        # every third step halves the bracket, whatever the shape
        t = newton if low < newton < high and attempt % 3 else (low + high) / 2
    return Crossing(held(low), "open", False)


def _check(result: FitResult, what: str) -> None:
    if not isinstance(result, FitResult):
        raise InputError(
            f"{what}: found {type(result).__name__}, expected the result of a fit: gj.fit(datasets, models)."
        )
    if result.status not in (Status.CONVERGED, Status.UNCONSTRAINED, Status.VANISHED, Status.AT_INFINITY):
        raise InputError(
            f"{what}: the fit did not converge ({result.status}), so that there is no minimum to start from. "
            "Fit again from where it ended, gj.fit(datasets, result.models, max_iterations=1000), and see its message."
        )
    require_double(what)


def _find(problem: Problem, result: FitResult, name: str, what: str) -> tuple[str, int]:
    """Full name of a free parameter, and its index among all distinct parameters."""
    space, parameters = problem.space, result.parameters
    full = name if name in space.names else parameters.full_name(name)
    if full in space.names:
        index = space.names.index(full)
    else:
        # linked with one that came before
        label = parameters[full].link
        index = next(i for i, p in enumerate(space.parameters) if p is not None and p.link == label)
    if not space.free[index]:
        raise InputError(
            f"{what}: {full} is frozen. Free it and fit again: gj.fit(datasets, result.models.unfreeze({full!r}))."
        )
    return full, index


def _plane(
    problem: Problem, result: FitResult, index: list[int], best: Point, places: np.ndarray, state: Scoring
) -> np.ndarray:
    """Root of the covariance of the held parameters; diagonal and rough where there is none."""
    names = [problem.space.names[i] for i in index]
    known = result.curvature.names
    if all(name in known for name in names):
        at = [known.index(name) for name in names]
        covariance = result.curvature.covariance[np.ix_(at, at)]
    elif len(index) > 1 and len(result.free_names) <= DENSE_LIMIT:
        covariance = result.covariance[np.ix_(places, places)]
    else:
        covariance = np.diag(result.curvature.errors[index] ** 2)
    sigma = result.curvature.errors[index]
    if np.all(np.isfinite(sigma) & (sigma > 0)):
        correlation = covariance / np.outer(sigma, sigma)
        if np.linalg.eigvalsh(correlation)[0] > 1e-6:
            return sigma[:, None] * np.linalg.cholesky(correlation)
    diagonal = problem.to_free(diagonals(state.normal, state.theta))[places]
    usable = np.isfinite(diagonal) & (diagonal > 0)
    rough = np.where(best.held == 0, 1.0, 0.1 * np.abs(best.held))
    return np.diag(np.where(usable, np.sqrt(2 / np.where(usable, diagonal, 1.0)), rough))
