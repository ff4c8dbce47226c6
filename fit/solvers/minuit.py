"""Minuit, fed with the exact gradient."""

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np

from ...datasets.errors import InputError
from ..joint.objective import compiled_normal, compiled_stat, compiled_value_and_grad, from_free
from ..joint.problem import Problem
from ..status import Status
from .solution import Progress, Solution, _at

if TYPE_CHECKING:
    from iminuit import Minuit


def run_minuit(problem: Problem, tolerance: float, max_iterations: int, progress: Progress | None) -> Solution:
    """Minuit's Migrad with exact gradients, on parameters in units of their expected errors at the start."""
    try:
        from iminuit import Minuit
    except ImportError as error:
        raise InputError(
            "fit: method='minuit' needs iminuit. Install it with: pip install 'gammajax[minuit]'."
        ) from error
    start = np.asarray(problem.start(), float)
    scale = _expected_errors(problem, start)
    calls = 0

    def value(z: np.ndarray) -> float:
        nonlocal calls
        calls += 1
        stat = float(compiled_stat(problem.spec, problem.arrays, start + scale * np.asarray(z)))
        if progress is not None:
            progress(calls, stat, np.inf)
        return stat

    def gradient(z: np.ndarray) -> np.ndarray:
        return scale * np.asarray(
            compiled_value_and_grad(problem.spec, problem.arrays, start + scale * np.asarray(z))[1]
        )

    minuit = Minuit(value, np.zeros(len(start)), grad=gradient, name=problem.free_names)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.errors = 1.0
    free = problem.space.free
    minuit.limits = list(
        zip((problem.space.low[free] - start) / scale, (problem.space.high[free] - start) / scale, strict=True)
    )
    minuit.tol = tolerance / 0.002 if tolerance > 1e-6 else 0.001
    minuit.migrad(ncall=max_iterations * 100)
    end = np.clip(start + scale * np.array(minuit.values), problem.space.low[free], problem.space.high[free])
    status = Status.CONVERGED if minuit.valid else Status.STOPPED
    message = "" if minuit.valid else f"Minuit did not converge: {_minuit_reason(minuit)} Try method='scoring'."
    stat, edm, expected = _at(problem, end, tolerance)
    return Solution(end, stat, edm, status, minuit.nfcn, calls, "minuit", expected, message)


def _minuit_reason(minuit: "Minuit") -> str:
    minimum = minuit.fmin
    if minimum.has_reached_call_limit:
        return "it reached its call limit."
    if minimum.is_above_max_edm:
        return f"its estimated distance to the minimum is {minimum.edm:.3g}."
    return "its minimum is not valid."


def _expected_errors(problem: Problem, free: np.ndarray) -> np.ndarray:
    """Rough errors at ``free`` from the diagonal of the expected curvature: a scale for each parameter."""
    _, normal = compiled_normal(problem.spec, problem.arrays, from_free(problem.arrays, jnp.asarray(free)))
    diagonals = type(problem.arrays["places"])(
        np.diag(normal.matrix),
        tuple(
            np.zeros(p.shape) if b is None else np.diagonal(b.matrix, axis1=1, axis2=2)
            for b, p in zip(normal.locals, problem.arrays["places"].locals, strict=True)
        ),
    )
    diagonal = problem.to_free(diagonals)
    usable = np.isfinite(diagonal) & (diagonal > 0)
    return np.where(usable, np.sqrt(2 / np.where(usable, diagonal, 1.0)), np.where(free == 0, 1.0, np.abs(free)))
