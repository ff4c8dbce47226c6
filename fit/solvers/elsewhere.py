"""Other places for faint sources of maps.

A source that is faint, or blended with another, may end at a fluctuation of the background, or leave its flux to its
neighbour: a minimum by itself, out of which no step leads, as images are small and the sky between them is flat. What
the residuals without the source look like tells where else it might be. Bright sources have no other place, and cost
nothing here.
"""

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple, cast

import jax
import numpy as np

from ...datasets.models.flatten import canonical
from ...datasets.models.parameter import SCALING
from ...datasets.models.sky_model import SkyModel
from ...datasets.models.spatial.base import PositionedModel
from ...datasets.seen import Scores
from ...kernels.sphere import from_icrs, lonlat_to_vector, to_icrs, vector_to_lonlat
from ..joint.again import models_at
from ..joint.objective import compiled_signals, from_free
from ..joint.problem import Problem
from .components import by_role
from .globalise import SAME
from .scoring import BAD_START, RUNNING, initial_state, run_scoring
from .solution import Solution

FAINT = 40.0
"""Rise of the statistic without a source up to which it is faint."""

UNPLACED = 9.0
"""The same up to which the data do not tell where it is."""

MOST, PEAKS = 5, 2
"""Sources that are looked at, the faintest first, and peaks of the residuals that are tried for each."""

WORTH, SHARE = 6.0, 0.5
"""Fall of the statistic that a peak has to promise to be tried; and as a share of what the source is worth."""

ROUGHLY, GLANCE, LOOK = 0.1, 4, 12
"""Estimated distance to the minimum of a look at another place, its evaluations at first, and of one that promises
more."""

FAR = 1.0
"""Degrees between where a source began and ended from which on a result tells of it."""

RIDGE = 1e-9
"""Added to the unit diagonal of the curvature of the other models, which may be singular."""


class Placed(NamedTuple):
    """A source whose place is free: number of its model, and places of its free parameters among all free ones: those
    that scale it, its longitude and latitude, and all."""

    number: int
    name: str
    scales: np.ndarray
    lonlat: np.ndarray
    everything: np.ndarray


def placed(problem: Problem) -> list[Placed]:
    """The sources whose place and amplitude are free."""
    place, found = np.cumsum(problem.space.free) - 1, []
    for number, model in enumerate(problem.models.models):
        if type(model) is not SkyModel or not isinstance(model.spatial, PositionedModel):
            continue
        if model.spatial.lon_0.frozen or model.spatial.lat_0.frozen:
            continue
        of_role: dict[str, list[int]] = {}
        for roles in by_role(problem, number).values():
            for role, indices in roles.items():
                of_role.setdefault(role, []).extend(int(place[i]) for i in indices)
        scales = [k for role, indices in of_role.items() if role in SCALING for k in indices]
        lon, lat = of_role.get("position", []), of_role.get("latitude", [])
        if scales and len(lon) == len(lat) == 1:
            name = problem.space.models[number].name
            everything = np.array(sorted(k for indices in of_role.values() for k in indices))
            found.append(Placed(number, name, np.array(scales), np.array(lon + lat), everything))
    return found


def faint(problem: Problem, solution: Solution) -> list[tuple[Placed, float]]:
    """The sources that the data hardly need, with the rise of the statistic without them, the faintest first.

    Which ones come into question tells the expected curvature: the amplitude squared over its variance, the parameters
    of all other models at their best, its own held.
    """
    if problem.share.processes > 1 or not np.all(np.isfinite(solution.free)):
        return []
    position = np.full(len(problem.space.free_index), -1)
    position[np.searchsorted(problem.space.free_index, problem.global_index)] = np.arange(len(problem.global_index))
    matrix = np.asarray(solution.expected.matrix, float) / 2
    found = []
    for source in placed(problem):
        k = position[source.scales]
        if np.any(k < 0):
            continue
        own = position[source.everything]
        others = np.setdiff1d(np.flatnonzero(matrix.diagonal() > 0), own)
        amplitude = solution.free[source.scales]
        worth = amplitude @ matrix[np.ix_(k, k)] @ amplitude
        if worth > 0 and len(others):
            scale = np.sqrt(matrix.diagonal()[others])
            mixed = (amplitude @ matrix[np.ix_(k, others)]) / scale
            scaled = matrix[np.ix_(others, others)] / np.outer(scale, scale)
            worth -= mixed @ np.linalg.solve(scaled + RIDGE * np.eye(len(others)), mixed)
        # below zero the expected counts, and with them the variance, go to nothing
        if not worth > FAINT or np.all(amplitude <= 0):
            found.append((source, float(worth)))
    found = sorted(found, key=lambda pair: pair[1])[:MOST]
    stats = [float(_seen(problem, _without(problem, solution, source))[0]) for source, _ in found]
    return [(source, stat - solution.stat) for (source, _), stat in zip(found, stats, strict=True)]


def _seen(problem: Problem, free: np.ndarray) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """The statistic at other values of the free parameters, and the counts of the sources: see `stat_and_signals`."""
    theta = from_free(problem.arrays, np.asarray(free, problem.arrays["low"].globals.dtype))
    return compiled_signals(problem.spec, problem.arrays, theta)


def _without(problem: Problem, solution: Solution, source: Placed) -> np.ndarray:
    low, high = (bound[problem.space.free][source.scales] for bound in (problem.space.low, problem.space.high))
    free = np.array(solution.free)
    free[source.scales] = np.clip(0.0, low, high)
    return free


class Sky:
    """What the data show beside the sources of a ``solution``: made once for all sources of one shape and spectrum.

    ``taken``: directions in which there is a source since then.
    """

    def __init__(self, problem: Problem, solution: Solution):
        self._problem, self._known = problem, dict[Hashable, Scores | None]()
        self.taken = list[np.ndarray]()
        signals = jax.device_get(_seen(problem, solution.free)[1])
        self._models, self._signals = models_at(problem, solution.free).models, dict[int, np.ndarray]()
        for group, of_group in zip(problem.groups, signals, strict=True):
            if not group.spec.make.makes_images:
                continue
            for row, index in zip(group.rows, group.members, strict=True):
                shape = problem.share.held[index].data_shape
                origin = np.asarray((group.arrays["data"] | group.arrays["data_own"])["origin"])
                origin = origin[row] if origin.ndim == 2 else origin
                self._signals[index] = group.spec.make.everywhere(of_group[row], origin, shape)

    def scores(self, source: SkyModel, number: int) -> Scores | None:
        """`Scores` of the source, wherever it is, with the datasets on which the model of this ``number`` acts."""
        acting = self._problem.space.acting
        seen_by = tuple(index for index in self._signals if number in acting[index])
        spatial = cast(PositionedModel, source.spatial)
        definition, numbers = canonical(source.replace(spatial=spatial.replace(lon_0=0.0, lat_0=0.0)))
        key = definition, seen_by, *(np.asarray(x).tobytes() for x in numbers)
        if key not in self._known:
            total: Scores | None = None
            for index in seen_by:
                models = [self._models[m] for m in acting[index]]
                dataset = self._problem.share.held[index]
                total = dataset.source_scores(models, source, total, self._signals[index])
            self._known[key] = total
        return self._known[key]


def elsewhere(
    problem: Problem,
    solution: Solution,
    source: Placed,
    rise: float,
    begun: np.ndarray,
    sky: Sky,
) -> tuple[list[np.ndarray], float]:
    """Starts (free parameters) with a faint ``source`` at other places, and its extent (deg); ``rise``: see `faint`.

    ``begun``: the free parameters at which the fit began. At the highest peaks of the residuals the source has the
    shape that it began with; all others are at their best. Beside a neighbour it begins where it began, with half of
    the neighbour's flux.
    """
    first = np.array(solution.free)
    first[source.everything] = begun[source.everything]
    as_begun = cast(SkyModel, models_at(problem, first).models[source.number])
    # of a faint source itself there is little beyond the places that are left out below
    total = sky.scores(as_begun, source.number)
    if total is None:
        return [], 0.0
    low, high = problem.space.low[problem.space.free], problem.space.high[problem.space.free]
    best = np.argmax(total.falls, axis=0)
    factor, fall = total.factors[best], np.max(total.falls, axis=0)
    frame = cast(PositionedModel, as_begun.spatial).frame
    starts, near = list[np.ndarray](), np.cos(np.deg2rad(2 * total.extent))
    for taken in (_vector(solution.free[source.lonlat], frame), *sky.taken):
        fall[total.vectors @ taken > near] = 0.0
    for _ in range(PEAKS):
        k = int(np.argmax(fall))
        if not fall[k] > max(WORTH, SHARE * rise):
            break
        start = np.array(first)
        start[source.lonlat] = _lonlat_near(total.vectors[k], frame, solution.free[source.lonlat])
        start[source.scales] *= factor[k]
        if np.all((start >= low) & (start <= high)):
            starts.append(start)
        fall[total.vectors @ total.vectors[k] > near] = 0.0
    neighbours = [
        other
        for other in placed(problem)
        if other.number != source.number
        and _vector(begun[source.lonlat], frame) @ _vector(solution.free[other.lonlat], _frame_of(problem, other))
        > np.cos(np.deg2rad(total.extent))
    ]
    if neighbours:
        start = np.array(first)
        for other in neighbours:
            start[other.scales] /= 2
        if np.all((start >= low) & (start <= high)):
            starts.append(start)
    return starts, total.extent


class End(NamedTuple):
    """Where a fit from another place of a ``source`` of this ``extent`` (deg) ended, or where the best one was before
    that was better."""

    source: Placed
    free: np.ndarray
    stat: float
    extent: float


def without_place(
    problem: Problem, solution: Solution, found: list[tuple[Placed, float]], ends: list[End]
) -> dict[str, float]:
    """Names of the sources whose places the data do not tell, and by how much the statistic is higher without them, or
    with them at another of the places that were tried. ``found``: those that were `faint` before that."""
    if ends:
        # other sources may have changed with it
        found = faint(problem, solution)
    rises = [(source.name, rise) for source, rise in found]
    for source, free, stat, extent in ends:
        frame = _frame_of(problem, source)
        here, there = (_vector(x[source.lonlat], frame) for x in (solution.free, free))
        if here @ there < np.cos(np.deg2rad(extent)):
            rises.append((source.name, stat - solution.stat))
    named: dict[str, float] = {}
    for name, rise in rises:
        if rise < UNPLACED:
            named[name] = min(rise, named.get(name, rise))
    return named


class Look:
    """A look at where a fit leads from the start of a ``problem``."""

    def __init__(self, problem: Problem, precision: str):
        self.problem = problem
        theta = from_free(problem.arrays, np.asarray(problem.start(), precision))
        self._state, self._constant = initial_state(problem.spec, theta), 0.0

    def go(self, most: int) -> None:
        """Go on until it is roughly there, up to so many evaluations in all."""
        limits = np.asarray(ROUGHLY, self._state.stat.dtype), np.asarray(most)
        seen = run_scoring(self.problem.spec, self.problem.arrays, self._state, *limits)
        self._state, self._constant = jax.device_get(seen)

    @property
    def free(self) -> np.ndarray:
        return self.problem.to_free(self._state.theta)

    @property
    def evaluations(self) -> int:
        return int(self._state.evaluations)

    @property
    def there(self) -> bool:
        """Whether there is nothing more to see."""
        return int(self._state.status) != RUNNING

    @property
    def stat(self) -> float:
        bad = int(self._state.status) == BAD_START
        return np.inf if bad else float(self._state.stat) + float(self._constant)

    @property
    def lowest(self) -> float:
        """The statistic that it may lead to."""
        return self.stat - float(self._state.edm)


def looks(problems: Sequence[Problem], solution: Solution, precision: str) -> list[Look]:
    """Looks at where fits lead from the starts of ``problems``, the lowest first.

    Those that do not promise to end below the ``solution`` and the other looks are not followed to their ends."""
    found = [Look(problem, precision) for problem in problems]
    for look in found:
        look.go(GLANCE)
    for look in sorted(found, key=lambda look: look.lowest):
        best = min((other.stat for other in found if other.there), default=np.inf)
        if not look.there and look.lowest < min(best, solution.stat) - SAME:
            look.go(LOOK)
    return sorted(found, key=lambda look: look.stat)


def _frame_of(problem: Problem, source: Placed) -> str:
    return cast(PositionedModel, cast(SkyModel, problem.models.models[source.number]).spatial).frame


def direction(problem: Problem, source: Placed, free: np.ndarray) -> np.ndarray:
    """Where a source is: a unit vector, ICRS."""
    return _vector(free[source.lonlat], _frame_of(problem, source))


def far_away(problem: Problem, begun: np.ndarray, free: np.ndarray) -> dict[str, float]:
    """Sources that ended far from where they began, with the angle in deg: these may be others than were meant."""
    found = {}
    for source in placed(problem):
        first, last = (direction(problem, source, numbers) for numbers in (begun, free))
        angle = math.degrees(2 * math.asin(min(float(np.linalg.norm(last - first)) / 2, 1.0)))
        if angle > FAR:
            found[source.name] = angle
    return found


def _vector(lonlat: Sequence[float] | np.ndarray, frame: str) -> np.ndarray:
    return np.asarray(to_icrs(np.asarray(lonlat_to_vector(*np.asarray(lonlat, float))), frame))


def _lonlat_near(vector: np.ndarray, frame: str, like: np.ndarray) -> np.ndarray:
    """Longitude and latitude of a direction, the longitude within half a turn of that of ``like``."""
    lon, lat = (float(c) for c in vector_to_lonlat(from_icrs(vector, frame)))
    return np.array([lon + 360 * np.rint((like[0] - lon) / 360), lat])
