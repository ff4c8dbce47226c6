"""Optima at infinity: parameters that a fit has driven so far that going on changes nothing, and coming back does.

A break beyond the data whose second index grows without end, or the exponent of a cutoff that becomes a step, has no
best value. Such a parameter is one whose statistic, with all others where they are, is the same much further out, and
higher where the fit began.
"""

import numpy as np

from ..joint.coordinates import INVERSE, LOG
from ..joint.objective import from_free
from ..joint.problem import Problem
from ..status import Status
from .minimise import minimise, stat_at
from .solution import Solution

UNBOUNDED = ("index", "energy", "cutoff", "rate", "exponent", "coefficient")
"""Roles of parameters that may have their best value at infinity, or at 0."""

FURTHER = 100.0
"""Factor by which the parameter is moved outwards."""

SAME, RISE = 1e-3, 1e-2
"""How little the statistic changes further out, and how much it rises towards the start."""

TOO_LITTLE, TOO_MUCH = 0.25, 4.0
"""Rise of the statistic one error away from the best, outside which that is not the error: a factor two."""

NEAR_ENOUGH, STEPS = 1e-3, 20
"""Estimated distance to the minimum, and evaluations, of the fits that measure the rise."""

RUNAWAY = 1e6
"""How many times further out than it began a parameter of any role ends, with an error as large, that has run away."""

MOST = 50
"""Parameters up to which this is looked at."""


def at_infinity(problem: Problem, solution: Solution, errors: np.ndarray) -> list[int]:
    """The free parameters, as indices of all, whose best values lie at infinity (or at 0 on a logarithmic scale).

    ``errors`` (n,) are those of the free parameters. After a fit that converged only those are looked at whose errors
    say that they may have run away.
    """
    space, start = problem.space, np.asarray(problem.start(), float)
    kinds = problem.to_free(problem.arrays["coordinates"])
    looked_at = np.array([space.roles[i] in UNBOUNDED for i in space.free_index], bool)
    if solution.status == Status.CONVERGED:
        looked_at &= np.isinf(errors) | ((kinds == INVERSE) & (errors > np.abs(solution.free)))
    far = np.abs(solution.free) > RUNAWAY * np.where(start == 0, 1.0, np.abs(start))
    places = np.flatnonzero(looked_at | (far & (errors > np.abs(solution.free))))
    if len(places) > MOST or not np.all(np.isfinite(solution.free)):
        return []
    low, high = space.low[space.free], space.high[space.free]
    found: list[int] = []
    for k in places:
        value, begun = solution.free[k], start[k]
        if kinds[k] == LOG and value > 0 and begun > 0:
            further = value * FURTHER if value > begun else value / FURTHER
        else:
            further = value + (value - begun) * FURTHER
        if value == begun or not low[k] <= further <= high[k]:
            continue
        stats = [stat_at(problem, np.where(np.arange(len(start)) == k, v, solution.free)) for v in (further, begun)]
        if abs(stats[0] - solution.stat) <= SAME and not stats[1] <= solution.stat + RISE:
            found.append(int(space.free_index[k]))
    return found


def beside_infinity(problem: Problem, solution: Solution, errors: np.ndarray, endless: list[int]) -> list[int]:
    """The free parameters, as indices of all, whose errors the curvature of the limit does not tell.

    Where the parameters ``endless`` of a model lie at infinity, or have an infinite error, the statistic may be sharp
    in others (a break on the edge of a bin), while from finite values of the endless ones it is blunt. ``errors`` (n,)
    of the free parameters are tried: one of them away to either side the statistic has to have risen by about one, the
    others at their best.
    """
    space, start = problem.space, np.asarray(problem.start(), float)
    place = np.cumsum(space.free) - 1
    low, high = space.low[space.free], space.high[space.free]
    found: list[int] = []
    boundless = [
        i for i, e in zip(space.free_index, errors, strict=True) if np.isinf(e) and space.roles[i] in UNBOUNDED
    ]
    endless = sorted({*endless, *map(int, boundless)})
    for entry in space.models:
        members = {int(index[0]) for index in entry.entries if index is not None and index.size == 1}
        if members.isdisjoint(endless) or len(members) > MOST:
            continue
        far = place[sorted(members & set(endless))]
        for member in sorted(members - set(endless)):
            k = place[member]
            if space.free[member] and np.isfinite(errors[k]) and errors[k] > 0:
                values = [v for v in solution.free[k] + errors[k] * np.array([-1.0, 1.0]) if low[k] <= v <= high[k]]
                if not all(_rises(problem, solution, start, int(k), value, far) for value in values):
                    found.append(member)
    return found


def _rises(problem: Problem, solution: Solution, start: np.ndarray, k: int, value: float, far: np.ndarray) -> bool:
    """Whether the statistic with parameter ``k`` at ``value`` is about one above the minimum."""
    fixed = np.arange(len(start)) == k
    least = np.inf
    for begun in (solution.free, np.where(np.isin(np.arange(len(start)), far), start, solution.free)):
        free = np.where(fixed, value, begun)
        arrays = problem.arrays | problem.held(free, fixed)
        theta = from_free(arrays, free.astype(arrays["low"].globals.dtype))
        end = minimise(problem.spec, arrays, theta, tolerance=NEAR_ENOUGH, max_iterations=STEPS)
        least = min(least, end.stat) if np.isfinite(end.stat) else least
        if least < solution.stat + TOO_LITTLE:
            return False
    return least < solution.stat + TOO_MUCH
