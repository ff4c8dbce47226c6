"""The joint likelihood as plain functions, for other people's optimisers and samplers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from ..datasets.arrays import Array, frozen_array
from ..datasets.counts.npred import SomeModels
from ..datasets.errors import listed
from ..datasets.hints.calls import hinted
from ..datasets.units import to_unit
from .joint.objective import ProblemSpec, compiled_stat
from .joint.problem import SomeDatasets, as_models, make_problem


@hinted
def stat_sum(datasets: SomeDatasets, models: SomeModels) -> jax.Array:
    """Fit statistic summed over all datasets (inside their masks), plus the priors of ``models``: a scalar.

    Pure: jit, grad and vmap work on the datasets and on the models. ``datasets`` may be a single dataset.
    """
    problem = make_problem(datasets, models, need_free=False)
    return compiled_stat(problem.spec, problem.arrays, jnp.asarray(problem.space.values[problem.space.free]))


class LogDensity(eqx.Module):
    """ln of likelihood times priors, up to a constant of the data, as a function of the free-parameter vector.

    ``names`` gives the order of the vector, ``initial`` (n,) the values of the models it was made from, ``low`` and
    ``high`` (n,) the bounds. Calling it with a vector (n,) returns a scalar, -inf outside the bounds; it is pure and
    differentiable, and works under jit and vmap.
    """

    spec: ProblemSpec = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    arrays: dict[str, PyTree]
    initial: Float[Array, " n"]
    low: Float[Array, " n"]
    high: Float[Array, " n"]

    def __repr__(self) -> str:
        """The parameters and where they start."""
        try:
            start = [f"{name}={float(value):.6g}" for name, value in zip(self.names, self.initial, strict=True)]
        except (TypeError, ValueError):  # inside a JAX transformation
            start = list(self.names)
        return f"LogDensity({listed(start)})"

    def __call__(self, vector: Float[Array, " n"]) -> jax.Array:
        vector = jnp.asarray(to_unit(vector, "", "LogDensity: vector"))
        inside = jnp.all((vector >= self.low) & (vector <= self.high))
        safe = jnp.where(inside, vector, self.initial)
        return jnp.where(inside, -compiled_stat(self.spec, self.arrays, safe) / 2, -jnp.inf)


@hinted
def log_density(datasets: SomeDatasets, models: SomeModels) -> LogDensity:
    """The log density of the free parameters of ``models`` given ``datasets``; see `LogDensity`.

    Sources on maps have the responses at the places that ``models`` give them, as in a fit, and images with room for
    free widths of Gaussians to double. Make it anew for sources that leave their pixel or their size.
    """
    problem = make_problem(datasets, as_models(models).with_image_margins())
    free = problem.space.free
    low, high = frozen_array(problem.space.low[free]), frozen_array(problem.space.high[free])
    initial = frozen_array(np.array(problem.start(), float))
    return LogDensity(problem.spec, tuple(problem.free_names), problem.arrays, initial, low, high)
