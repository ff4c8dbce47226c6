"""Components that a fit has driven to nothing: an amplitude so small that the data would not miss what it scales.

The other parameters of such a component have no effect any more, so that the fit ends wherever it is: a statistic with
zero slope that is a minimum of nothing.
"""

import numpy as np

from ..joint.problem import Problem
from ..status import Status
from .components import components
from .minimise import stat_at
from .solution import Solution

UNSEEN = 1e-3
"""Change of the statistic below which the data do not miss a component."""

MOST = 50
"""Components up to which this is looked at."""


def vanished(problem: Problem, solution: Solution, errors: np.ndarray) -> list[str]:
    """Names of the components that have vanished.

    ``errors`` (n,) are those of the free parameters: a component has vanished if all its free parameters that do not
    scale it have infinite errors, and the statistic is the same at amplitude zero. One whose amplitude a bound holds
    has not: zero is its value.
    """
    if solution.status not in (Status.CONVERGED, Status.FLAT, Status.STALLED) or not np.isinf(errors).any():
        return []
    low, high = problem.space.low[problem.space.free], problem.space.high[problem.space.free]
    found, free = [], solution.free
    for number, (name, scales, shapes) in enumerate(components(problem)):
        if number >= MOST or not len(scales) or not len(shapes) or not np.all(np.isinf(errors[shapes])):
            continue
        if np.any((free[scales] == 0) | (free[scales] <= low[scales]) | (free[scales] >= high[scales])):
            continue
        without = np.array(free)
        without[scales] = np.clip(0.0, low[scales], high[scales])
        if abs(stat_at(problem, without) - solution.stat) <= UNSEEN:
            found.append(name)
    return found
