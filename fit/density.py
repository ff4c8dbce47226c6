"""The joint fit statistic, and ln of the posterior density, as plain functions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..datasets.arrays import Array
from ..datasets.counts.npred import SomeModels
from ..datasets.errors import listed
from ..datasets.hints.calls import hinted
from ..datasets.units import to_unit
from .joint.objective import compiled_stat
from .joint.problem import SomeDatasets, make_problem
from .likelihood import Likelihood, likelihood


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
    differentiable, and works under jit and vmap. It is ``like.log_prob`` of a `Likelihood`.
    """

    likelihood: Likelihood

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the vector."""
        return self.likelihood.names

    @property
    def initial(self) -> Float[Array, " n"]:
        """Values of the models."""
        return self.likelihood.initial

    @property
    def low(self) -> Float[np.ndarray, " n"]:
        """Lower bounds."""
        return np.asarray(self.likelihood.low)

    @property
    def high(self) -> Float[np.ndarray, " n"]:
        """Upper bounds."""
        return np.asarray(self.likelihood.high)

    def __repr__(self) -> str:
        """The parameters and where they start."""
        try:
            start = [f"{name}={float(value):.6g}" for name, value in zip(self.names, self.initial, strict=True)]
        except (TypeError, ValueError):  # inside a JAX transformation
            start = list(self.names)
        return f"LogDensity({listed(start)})"

    def __call__(self, vector: Float[Array, " n"]) -> jax.Array:
        return self.likelihood.log_prob(to_unit(vector, "", "LogDensity: vector"))

    # jax.jit(density) asks
    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@hinted
def log_density(datasets: SomeDatasets, models: SomeModels) -> LogDensity:
    """The log density of the free parameters of ``models`` given ``datasets``; see `LogDensity`.

    Sources on maps have the responses at the places that ``models`` give them, as in a fit, and images with room for
    free widths of Gaussians to double. Make it anew for sources that leave their pixel or their size.
    """
    return LogDensity(likelihood(datasets, models))
