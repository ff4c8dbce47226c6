"""Optimisers of optax on parameters divided by the size of their start values."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from ...datasets.compile import OF_A_FIT
from ...kernels.programs import Programs
from ..joint.objective import ProblemSpec, stat_of_free
from ..joint.problem import Problem
from ..status import Status
from .solution import Progress, Solution, _at
from .structure import ByStructure

if TYPE_CHECKING:
    import optax

Vector = Float[jax.Array, " n"]

STEPS = 25
"""Steps between two looks at the distance to the minimum."""


def run_optax(
    problem: Problem, optimiser: "optax.GradientTransformation", steps: int, tolerance: float, progress: Progress | None
) -> Solution:
    """An optax optimiser on parameters divided by the size of their start values, projected into the bounds.

    It stops early when the estimated distance to the minimum, looked at every 25 steps, is below ``tolerance``.
    """
    start = jnp.asarray(problem.start())
    scale = jnp.where(start == 0, 1.0, jnp.abs(start))
    free = problem.space.free
    bounds = problem.space.low[free] / scale, problem.space.high[free] / scale

    z = start / scale
    state = optimiser.init(z)
    static = problem.spec, ByStructure(optimiser)
    taken = 0
    while True:
        z, state = _some_steps(static, problem.arrays, z, state, scale, bounds)
        taken += STEPS
        stat, edm, expected = _at(problem, np.asarray(z * scale), tolerance)
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


def some_steps(
    static: tuple[ProblemSpec, ByStructure],
    arrays: dict[str, PyTree],
    z: Vector,
    state: Any,
    scale: Vector,
    bounds: tuple[Vector, Vector],
) -> tuple[Vector, Any]:
    """`STEPS` steps of an optimiser from the parameters ``z``, in units of ``scale``, and its ``state``."""
    import optax

    spec, optimiser = static[0], optax.with_extra_args_support(static[1].content)

    def value(z: Vector) -> jax.Array:
        return stat_of_free(spec, arrays, z * scale)

    # a line search keeps value and slope of the point it accepted; others have none to reuse
    keeps_value = optax.tree.get(state, "value") is not None
    value_and_grad = optax.value_and_grad_from_state(value) if keeps_value else None

    def step(carry: tuple[Vector, Any], _: None) -> tuple[tuple[Vector, Any], None]:
        z, state = carry
        if value_and_grad is None:
            stat, gradient = jax.value_and_grad(value)(z)
        else:
            stat, gradient = value_and_grad(z, state=state)
        updates, state = optimiser.update(gradient, state, z, value=stat, grad=gradient, value_fn=value)
        return (jnp.clip(optax.apply_updates(z, updates), *bounds), state), None

    carry: tuple[Vector, Any] = jax.lax.scan(step, (z, state), length=STEPS)[0]
    return carry


_some_steps = Programs(some_steps, (0,), OF_A_FIT)
