"""Optima at infinity: parameters that a fit has driven so far that going on changes nothing, and coming back does.

A break beyond the data whose second index grows without end, or the exponent of a cutoff that becomes a step, has no
best value. Such a parameter is one whose statistic, with all others where they are, is the same much further out, and
higher where the fit began.
"""

import numpy as np

from ..joint.coordinates import INVERSE, LOG
from ..joint.problem import Problem
from ..status import Status
from .minimise import stat_at
from .solution import Solution

UNBOUNDED = ("index", "energy", "cutoff", "rate", "exponent", "coefficient")
"""Roles of parameters that may have their best value at infinity, or at 0."""

FURTHER = 100.0
"""Factor by which the parameter is moved outwards."""

SAME, RISE = 1e-3, 1e-2
"""How little the statistic changes further out, and how much it rises towards the start."""

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
    places = np.flatnonzero(looked_at)
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
