"""Where two components of a spectrum merge: closer to it, and on its other side.

Of two alike components a1 f(p1) + a2 f(p2) whose amplitudes grow with opposite signs while their shapes approach each
other only the sum a = a1 + a2 and the slope b = a2 (p2 - p1) are seen: a f(p1) + b f'(p1) and terms of the order of
b (p2 - p1). In these the statistic goes on smoothly through p2 = p1, but no step does, for there the amplitudes are
infinite: a fit creeps towards it and ends nowhere. The point of the same a and b with shapes t times as far apart is
a2' = a2 / t, a1' = a - a2', p2' = p1 + t (p2 - p1); with t = -1 it is on the other side.
"""

from itertools import permutations

import numpy as np

from ..joint.problem import Problem
from .components import by_role

CANCELLED = 0.5
"""Share of the larger of two amplitudes that their sum is less than where they cancel."""


SHARES = (-1.0, 0.1)
"""What distances of the shapes are multiplied by to go on from a fit that ended there."""


def merging(problem: Problem, free: np.ndarray, share: float, held: np.ndarray | None = None) -> np.ndarray | None:
    """The free parameters (n,) with two shapes ``share`` times as far apart; None if no components cancel.

    ``held`` (n,): parameters that stay where they are.
    """
    space = problem.space
    place = np.cumsum(space.free) - 1
    low, high = space.low[space.free], space.high[space.free]
    stays = np.zeros(len(free), bool) if held is None else held
    for number in range(len(space.models)):
        found = [
            (
                int(place[roles["amplitude"][0]]),
                place[[i for role, of in roles.items() if role != "amplitude" for i in of]],
            )
            for roles in by_role(problem, number).values()
            if len(roles.get("amplitude", ())) == 1 and len(roles) > 1
        ]
        for (scale, shape), (moved, shapes) in permutations(found, 2):
            one, two = free[scale], free[moved]
            cancel = one * two < 0 and abs(one + two) < CANCELLED * max(abs(one), abs(two))
            if not cancel or len(shape) != len(shapes) or stays[[scale, moved, *shapes]].any():
                continue
            other = np.array(free)
            other[scale], other[moved] = one + two - two / share, two / share
            other[shapes] = free[shape] + share * (free[shapes] - free[shape])
            if np.all((other >= low) & (other <= high)):
                return other
    return None
