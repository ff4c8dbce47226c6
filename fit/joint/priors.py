"""Priors of free parameters as arrays: one evaluation for any number of them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...datasets.errors import InputError
from ...datasets.models.parameter import Parameter
from ...datasets.models.penalty import quadratic
from ...datasets.models.prior import GaussianPrior, GeneralizedGaussianPrior, LogUniformPrior, Prior, UniformPrior
from .arrowhead import Leaf


class PriorArrays(NamedTuple):
    """-2 ln pdf is weight |(x - mu) / width|^power + log_weight ln x^2 + constant, elementwise.

    Gaussian and generalised Gaussian priors have the first term, log-uniform priors the second, uniform priors neither.
    Outside [low, high] it is infinite.
    """

    mu: Leaf
    width: Leaf
    power: Leaf
    weight: Leaf
    log_weight: Leaf
    constant: Leaf
    low: Leaf
    high: Leaf


class PenaltyArrays(NamedTuple):
    """(x - mean)^T matrix (x - mean) of parameters at ``place`` (n,) among the globals; ``fixed`` where that is -1."""

    place: Leaf
    fixed: Leaf
    mean: Leaf
    matrix: Leaf


class PopulationArrays(NamedTuple):
    """Members, mean and width of a hierarchical prior: ``place`` (n + 2,) and ``fixed`` as for penalties."""

    place: Leaf
    fixed: Leaf


def penalty_value(penalty: PenaltyArrays, globals_: jax.Array) -> jax.Array:
    """The penalty."""
    return jnp.asarray(quadratic(_chosen(penalty, globals_), penalty.mean, penalty.matrix))


def penalty_terms(penalty: PenaltyArrays, globals_: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Slope (n_global,) and curvature (n_global, n_global), which is that of scoring too."""
    slope = 2 * penalty.matrix @ (_chosen(penalty, globals_) - penalty.mean)
    return _placed(penalty.place, slope, 2 * penalty.matrix, globals_)


def population_value(population: PopulationArrays, globals_: jax.Array) -> jax.Array:
    """-2 ln of the normalised density of the members."""
    return _population(_chosen(population, globals_))


def population_terms(population: PopulationArrays, globals_: jax.Array, *, exact: bool) -> tuple[jax.Array, jax.Array]:
    """Slope (n_global,) and curvature (n_global, n_global): ``exact``, or the expected one, which is not negative."""
    at = _chosen(population, globals_)
    slope = jax.grad(_population)(at)
    curvature = jax.hessian(_population)(at) if exact else _expected(at)
    return _placed(population.place, slope, curvature, globals_)


def _population(numbers: jax.Array) -> jax.Array:
    """sum ((x - mean) / width)^2 + n ln(2 pi width^2) of the members x (n,), mean and width, in one vector (n + 2,)."""
    members, mean, width = numbers[:-2], numbers[-2], numbers[-1]
    safe = jnp.where(width > 0, width, 1.0)
    value = jnp.sum(((members - mean) / safe) ** 2) + members.shape[0] * jnp.log(2 * math.pi * safe**2)
    return jnp.where(width > 0, value, jnp.inf)


def _expected(numbers: jax.Array) -> jax.Array:
    """The second derivatives of `_population` where squared deviations are width^2, (n + 2, n + 2)."""
    n = numbers.shape[0] - 2
    # deviations from the mean, and two squared widths for each member
    steps = np.zeros((n, n + 2))
    steps[:, :n], steps[:, n] = np.eye(n), -1.0
    matrix = 2 * steps.T @ steps
    matrix[-1, -1] = 4 * n
    return jnp.asarray(matrix, numbers.dtype) / numbers[-1] ** 2


def require_bounded_widths(arrays: dict[str, PyTree], names: Sequence[str], what: str) -> None:
    """Raise an `InputError` for hierarchical priors with a free width that may go to 0, where there is no best fit.

    ``names`` are those of the free parameters. What is traced is not looked at.
    """
    low, high, places = arrays["low"].globals, arrays["high"].globals, arrays["places"].globals
    if isinstance(low, jax.core.Tracer) or isinstance(high, jax.core.Tracer):
        return
    for population in arrays.get("populations", ()):
        at = int(population.place[-1])
        if at >= 0 and low[at] <= 0 < high[at]:
            name = names[int(places[at])]
            raise InputError(
                f"{what}: the width {name} of a hierarchical prior is free, and the density grows without limit as it "
                "goes to 0: there is no best fit. Freeze it, give it a lower bound above 0 (min=..., or a UniformPrior "
                "or LogUniformPrior), or sample gj.likelihood(datasets, models).log_prob."
            )


def _placed(place: Leaf, slope: jax.Array, curvature: jax.Array, globals_: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Slope and curvature of some parameters as those of all globals."""
    n = globals_.shape[0]
    # what is not free falls off the end
    place = jnp.where(place < 0, n, place)
    zeros = jnp.zeros((n, n), globals_.dtype)
    return (
        jnp.zeros(n, globals_.dtype).at[place].add(slope, mode="drop"),
        zeros.at[place[:, None], place[None, :]].add(curvature, mode="drop"),
    )


def _chosen(of: PenaltyArrays | PopulationArrays, globals_: jax.Array) -> jax.Array:
    """The numbers that a prior is on."""
    if globals_.shape[0] == 0:
        return jnp.asarray(of.fixed)
    return jnp.where(of.place < 0, of.fixed, globals_[jnp.maximum(of.place, 0)])


def prior_arrays(parameters: list[Parameter | None], shape: tuple[int, ...]) -> PriorArrays:
    """Arrays of ``shape`` for the priors of ``parameters`` (flattened)."""
    columns = np.array([_row(p) for p in parameters], float).reshape(*shape, 8)
    return PriorArrays(*np.moveaxis(columns, -1, 0))


def _row(parameter: Parameter | None) -> tuple[float, ...]:
    prior = None if parameter is None else parameter.prior
    return (*_shape(prior), *((-np.inf, np.inf) if prior is None else prior.bounds))


def _shape(prior: Prior | None) -> tuple[float, ...]:
    if prior is None:
        return (0.0, 1.0, 2.0, 0.0, 0.0, 0.0)
    if isinstance(prior, GaussianPrior):
        return (prior.mu, prior.sigma, 2.0, prior.weight, 0.0, float(prior(prior.mu)))
    if isinstance(prior, GeneralizedGaussianPrior):
        width = prior.sigma * 2**0.5
        return (prior.mu, width, 1 / prior.eta, 2 * prior.weight, 0.0, float(prior(prior.mu)))
    if isinstance(prior, UniformPrior):
        return (0.0, 1.0, 2.0, 0.0, 0.0, float(prior((prior.min + prior.max) / 2)))
    if isinstance(prior, LogUniformPrior):
        return (0.0, 1.0, 2.0, 0.0, prior.weight, prior.weight * 2 * float(np.log(np.log(prior.max / prior.min))))
    raise InputError(f"Prior {type(prior).__name__} is not known to fits; use one of the built-in priors.")


def prior_value(arrays: PriorArrays, x: jax.Array) -> jax.Array:
    """-2 ln pdf, elementwise."""
    z = jnp.abs((x - arrays.mu) / arrays.width)
    at_mu = z == 0
    power = jnp.where(at_mu, 0.0, jnp.where(at_mu, 1.0, z) ** arrays.power)
    positive = x > 0
    log = jnp.where(arrays.log_weight != 0, jnp.where(positive, 2 * jnp.log(jnp.where(positive, x, 1.0)), jnp.inf), 0.0)
    value = arrays.weight * power + arrays.log_weight * log + arrays.constant
    return jnp.where((x < arrays.low) | (x > arrays.high), jnp.inf, value)


def prior_score(arrays: PriorArrays, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Slope and a non-negative curvature for scoring, elementwise."""
    deviation = (x - arrays.mu) / arrays.width
    z = jnp.abs(deviation)
    safe = jnp.where(z == 0, 1.0, z)
    slope = jnp.where(z == 0, 0.0, arrays.power * safe ** (arrays.power - 1) * jnp.sign(deviation))
    # the secant curvature slope / z is positive for every power, and exact for 2
    curvature = jnp.where(z == 0, jnp.where(arrays.power == 2, 2.0, 0.0), slope * jnp.sign(deviation) / safe)
    x_safe = jnp.where(x > 0, x, 1.0)
    slope = arrays.weight * slope / arrays.width + jnp.where(x > 0, arrays.log_weight * 2 / x_safe, 0.0)
    return slope, arrays.weight * curvature / arrays.width**2


def prior_curvature(arrays: PriorArrays, x: jax.Array) -> jax.Array:
    """Second derivative, elementwise (0 where it does not exist)."""
    z = jnp.abs((x - arrays.mu) / arrays.width)
    safe = jnp.where(z == 0, 1.0, z)
    power = arrays.power
    bend = jnp.where(z == 0, jnp.where(power == 2, 2.0, 0.0), power * (power - 1) * safe ** (power - 2))
    x_safe = jnp.where(x > 0, x, 1.0)
    return arrays.weight * bend / arrays.width**2 - jnp.where(x > 0, arrays.log_weight * 2 / x_safe**2, 0.0)
