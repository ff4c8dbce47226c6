"""Optimisers of optax on parameters divided by the size of their start values."""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from ..joint.objective import stat_of_free
from ..joint.problem import Problem
from ..status import Status
from .solution import Progress, Solution, _at

if TYPE_CHECKING:
    import optax


def run_optax(
    problem: Problem, optimiser: "optax.GradientTransformation", steps: int, tolerance: float, progress: Progress | None
) -> Solution:
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
    status, message = (Status.CONVERGED if edm <= tolerance else Status.STOPPED), ""
    if not np.isfinite(stat):
        message = (
            "The optimiser ran into infinite or undefined values. Lower its learning rate, or use method='scoring'."
        )
    return Solution(np.asarray(z * scale), stat, edm, status, taken, taken, "optax", expected, message)
