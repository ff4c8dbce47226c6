"""Where an optimiser ended."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from ...datasets.errors import InputError
from ...datasets.units import Given, number_in
from ..joint.arrowhead import Normal, active_set, solve_arrowhead
from ..joint.objective import compiled_normal, from_free, offset
from ..joint.problem import Problem
from ..result import Minima
from ..status import Status
from .scoring import distance, least_damping, rounding_of_curvature

Progress = Callable[[int, float, float], None]
"""Called as progress(iterations, stat, edm) about once an iteration."""


@dataclass(frozen=True)
class Solution:
    """End point of an optimiser: the free parameters ``free`` (n,), how it got there, the normal equations there.

    ``exact``: those with exact second derivatives, if the optimiser has them. ``minima``: what several starts led to.
    """

    free: np.ndarray
    stat: float
    edm: float
    status: Status
    iterations: int
    evaluations: int
    method: str
    expected: Normal
    message: str = ""
    exact: Normal | None = None
    minima: Minima | None = None


def check_progress(progress: object, what: str) -> None:
    """Raise an `InputError` that starts with ``what`` for what cannot be called."""
    if progress is not None and not callable(progress):
        raise InputError(f"{what}: progress must be a function that is called as it goes, found {progress!r}.")


def limits(tolerance: Given, max_iterations: object, what: str) -> tuple[float, int]:
    """The ``tolerance`` and ``max_iterations`` of a fit; an `InputError`, which begins with ``what``, for others."""
    tolerance = number_in(tolerance, "", f"{what}: tolerance")
    if not 0 <= tolerance < np.inf:
        raise InputError(f"{what}: tolerance must be finite and not negative, found {tolerance}.")
    if isinstance(max_iterations, bool) or not isinstance(max_iterations, int | np.integer) or max_iterations < 0:
        raise InputError(
            f"{what}: max_iterations must be a whole number that is not negative, found {max_iterations!r}."
        )
    return tolerance, int(max_iterations)


def _at(problem: Problem, free: np.ndarray, tolerance: float) -> tuple[float, float, Normal]:
    """Statistic, estimated distance to the minimum and normal equations at a point."""
    theta = from_free(problem.arrays, jnp.asarray(free))
    stat, normal = compiled_normal(problem.spec, problem.arrays, theta)
    active = active_set(theta, normal, problem.arrays["low"], problem.arrays["high"])
    damped, barely = (
        solve_arrowhead(normal, active, damping)[1]
        for damping in (least_damping(stat.dtype), rounding_of_curvature(stat.dtype))
    )
    edm = distance(damped, barely, tolerance)
    return float(stat + offset(problem.spec, problem.arrays, theta)), float(edm), normal
