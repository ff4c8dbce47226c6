"""Leaving saddles at zero widths and eccentricities.

A prediction is even in the width of a Gaussian and in its eccentricity, so that at zero it does not change with them at
first: slope and expected curvature vanish, and a step that ends there is the last. The exact curvature tells whether
the statistic falls from there.
"""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from ..joint.arrowhead import Normal, diagonals
from ..joint.objective import compiled_exact_normal, from_free
from ..joint.problem import Problem
from .solution import Solution

FALL = 1.0
"""Decrease of the statistic to expect of the step away."""

LONGEST = 0.5
"""Longest step of an eccentricity."""

TURNS = (0.0, 45.0, 90.0, 135.0)
"""Position angles (deg, added to the present one) at which a Gaussian may become elongated."""


def off_saddle(problem: Problem, solution: Solution) -> tuple[np.ndarray | None, Solution]:
    """Free parameters next to those of ``solution`` from which the statistic falls, None if they are no saddle; and the
    solution, with the exact curvature there if that was asked for."""
    free = np.array(solution.free, float)
    theta = from_free(problem.arrays, free)
    expected = problem.to_free(diagonals(jax.device_get(solution.expected), theta))
    low = problem.space.low[problem.space.free]
    zero = (expected == 0) & (free == low) & (free == 0)
    if not np.any(zero):
        return None, solution
    found = None
    shapes = _free_shapes(problem)
    curvatures: dict[bytes, np.ndarray] = {}

    def curvature_at(start: np.ndarray) -> np.ndarray:
        # several widths at zero ask at one point
        nonlocal solution
        known = curvatures.get(start.tobytes())
        if known is None:
            here = np.array_equal(start, free)
            exact = _exact(problem, start) if solution.exact is None or not here else solution.exact
            if here:
                solution = replace(solution, exact=exact)
            known = curvatures[start.tobytes()] = problem.to_free(diagonals(jax.device_get(exact), theta))
        return known

    for role, turns in (("width", TURNS[:1]), ("eccentricity", TURNS)):
        # linked ones once
        for k, turn in {s[role]: s.get("angle") for s in shapes if role in s and zero[s[role]]}.items():
            starts = []
            for by in turns if turn is not None else TURNS[:1]:
                start = np.array(free if found is None else found)
                if turn is not None:
                    start[turn] += by
                curvature = curvature_at(start)[k]
                if curvature < 0:
                    start[k] = np.sqrt(2 * FALL / -curvature)
                    start[k] = min(start[k], LONGEST) if role == "eccentricity" else start[k]
                    starts.append((curvature, start))
            if starts:
                found = min(starts, key=lambda pair: pair[0])[1]
    return found, solution


def _free_shapes(problem: Problem) -> list[dict[str, int]]:
    """Places of the free parameters of each spatial model among all free ones, by role."""
    space = problem.space
    place = np.cumsum(space.free) - 1
    return [
        {
            item.content.role: int(place[index[0]])
            for item, index in zip(entry.items, entry.entries, strict=True)
            if item.part == "spatial" and item.kind == "parameter" and index is not None and space.free[index[0]]
        }
        for entry in space.models
    ]


def _exact(problem: Problem, free: np.ndarray) -> Normal:
    theta: Any = from_free(problem.arrays, free.astype(problem.arrays["low"].globals.dtype))
    return compiled_exact_normal(problem.spec)(problem.spec, problem.arrays, theta)
