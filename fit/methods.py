"""Optimisers over the same objective: scoring, Minuit, optax."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..datasets.errors import InputError
from .minimise import minimise
from .objective import Normal
from .outcome import Outcome
from .problem import Problem, compiled_normal, compiled_stat, compiled_value_and_grad, from_free, offset, stat_of_free
from .scoring import BAD_START, STATUS, active_set, least_damping, solve_arrowhead


def run_scoring_method(
    problem: Problem, tolerance: float, max_iterations: int, precision: str, progress: Any
) -> Outcome:
    """Damped Fisher scoring, see ``scoring``."""
    start = from_free(problem.arrays, np.asarray(problem.start(), precision))
    state, constant, exact = minimise(
        problem.spec, problem.arrays, start, tolerance=tolerance, max_iterations=max_iterations, progress=progress
    )
    if int(state.status) == BAD_START:
        _raise_bad_start(problem)
    return Outcome(
        free=problem.to_free(state.theta),
        stat=float(state.stat) + constant,
        edm=float(state.edm),
        status=STATUS[int(state.status)],
        iterations=int(state.iterations),
        evaluations=int(state.evaluations),
        method="scoring",
        expected=state.normal,
        exact=exact,
    )


def run_minuit(problem: Problem, tolerance: float, max_iterations: int, progress: Any) -> Outcome:
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
    status = "converged" if minuit.valid else "stopped"
    message = "" if minuit.valid else f"Minuit did not converge: {_minuit_reason(minuit)} Try method='scoring'."
    stat, edm, expected = _at(problem, end)
    return Outcome(end, stat, edm, status, minuit.nfcn, calls, "minuit", expected, message)


def _minuit_reason(minuit: Any) -> str:
    minimum = minuit.fmin
    if minimum.has_reached_call_limit:
        return "it reached its call limit."
    if minimum.is_above_max_edm:
        return f"its estimated distance to the minimum is {minimum.edm:.3g}."
    return "its minimum is not valid."


def run_optax(problem: Problem, optimiser: Any, steps: int, tolerance: float, progress: Any) -> Outcome:
    """An optax optimiser on parameters divided by the size of their start values, projected into the bounds.

    It stops early when the estimated distance to the minimum, looked at every 25 steps, is below ``tolerance``.
    """
    import optax

    start = jnp.asarray(problem.start())
    scale = jnp.where(start == 0, 1.0, jnp.abs(start))
    free = problem.space.free
    low, high = problem.space.low[free] / scale, problem.space.high[free] / scale
    optimiser = optax.with_extra_args_support(optimiser)

    def value(z, arrays):
        return stat_of_free(problem.spec, arrays, z * scale)

    # a line search keeps value and slope of the point it accepted; others have none to reuse
    keeps_value = optax.tree.get(optimiser.init(start), "value") is not None
    value_and_grad = optax.value_and_grad_from_state(value) if keeps_value else None

    @jax.jit
    def some_steps(z, state, arrays):
        def step(carry, _):
            z, state = carry
            if value_and_grad is None:
                stat, gradient = jax.value_and_grad(value)(z, arrays)
            else:
                stat, gradient = value_and_grad(z, arrays, state=state)
            updates, state = optimiser.update(
                gradient, state, z, value=stat, grad=gradient, value_fn=lambda x: value(x, arrays)
            )
            return (jnp.clip(optax.apply_updates(z, updates), low, high), state), stat

        return jax.lax.scan(step, (z, state), length=25)[0]

    z = start / scale
    state = optimiser.init(z)
    taken = 0
    while True:
        z, state = some_steps(z, state, problem.arrays)
        taken += 25
        stat, edm, expected = _at(problem, np.asarray(z * scale))
        if progress is not None:
            progress(taken, stat, edm)
        if not np.isfinite(stat) or edm <= tolerance or taken >= steps:
            break
    status, message = ("converged", "") if edm <= tolerance else ("stopped", "")
    if not np.isfinite(stat):
        message = (
            "The optimiser ran into infinite or undefined values. Lower its learning rate, or use method='scoring'."
        )
    return Outcome(np.asarray(z * scale), stat, edm, status, taken, taken, "optax", expected, message)


def _at(problem: Problem, free: np.ndarray) -> tuple[float, float, Normal]:
    """Statistic, estimated distance to the minimum and normal equations at a point."""
    theta = from_free(problem.arrays, jnp.asarray(free))
    stat, normal = compiled_normal(problem.spec, problem.arrays, theta)
    active = active_set(theta, normal, problem.arrays["low"], problem.arrays["high"])
    _, edm = solve_arrowhead(normal, active, least_damping(stat.dtype))
    return float(stat + offset(problem.spec, problem.arrays, theta)), float(edm), normal


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


def _raise_bad_start(problem: Problem) -> None:
    listed = ", ".join(
        f"{n} = {v:.4g}" for n, v in zip(problem.free_names[:10], np.asarray(problem.start())[:10], strict=True)
    )
    raise InputError(
        f"fit: the statistic or its slope is infinite or undefined at the start values ({listed}). Give start values "
        "at which every model is finite over the energies of the exposure."
    )
