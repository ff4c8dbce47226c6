"""The statistic of a joint fit, its gradient and its curvature, as compiled functions of the free parameters."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...datasets.arrays import Array
from ...datasets.compile import OF_A_FIT, QUICK, QUICKEST, Program
from ...kernels.programs import Programs
from .arrowhead import Blocks, LocalBlocks, Normal, Theta
from .blocks import assemble, group_fisher, group_hessian, group_offset, group_signal, group_stat, inputs
from .groups import GroupSpec
from .priors import (
    penalty_terms,
    penalty_value,
    population_terms,
    population_value,
    prior_curvature,
    prior_score,
    prior_value,
)


@dataclass(frozen=True)
class ProblemSpec:
    """Static side of a joint fit: it chooses the compiled program, and is all that does."""

    groups: tuple[GroupSpec, ...]
    n_global: int
    has_priors: bool


def from_free(arrays: dict[str, PyTree], free: Array) -> Theta:
    """Blocks from the vector of free parameters."""
    places: Theta = arrays["places"]
    return Theta(free[places.globals], tuple(free[p] for p in places.locals))


def stat_of_free(spec: ProblemSpec, arrays: dict[str, PyTree], free: Array) -> jax.Array:
    """`total_stat` as a function of the vector of free parameters, in the order of ``Problem.free_names``."""
    return total_stat(spec, arrays, from_free(arrays, jnp.asarray(free)))


def total_stat(spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta) -> jax.Array:
    """Fit statistic summed over all datasets, plus priors."""
    total = jnp.asarray(arrays["constant"], theta.globals.dtype)
    for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True)):
        at = inputs(group, data, theta, number)
        total = total + jnp.sum(group_stat(group, data, *at) + group_offset(group, data, *at))
    return total + _priors(spec, arrays, theta)


def stat_and_signals(
    spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """`total_stat`, and the counts of the sources in the bins of each member of each group, (m, bins)."""
    total, signals = jnp.asarray(arrays["constant"], theta.globals.dtype), []
    for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True)):
        at = inputs(group, data, theta, number)
        stats, signal = group_signal(group, data, *at)
        total = total + jnp.sum(stats + group_offset(group, data, *at))
        signals.append(signal)
    return total + _priors(spec, arrays, theta), tuple(signals)


def member_stats(spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta) -> tuple[jax.Array, ...]:
    """The statistic of each member of each group (m,), less a constant of its data."""
    return tuple(
        group_stat(group, data, *inputs(group, data, theta, number))
        for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True))
    )


def offset(spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta) -> jax.Array:
    """The part of `total_stat` that no free parameter changes."""
    total = jnp.asarray(arrays["constant"], theta.globals.dtype)
    for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True)):
        total = total + jnp.sum(group_offset(group, data, *inputs(group, data, theta, number)))
    return total


def stat_and_normal(spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta) -> tuple[jax.Array, Normal]:
    """`total_stat` less `offset`, and the normal equations of scoring."""
    stat = jnp.zeros((), theta.globals.dtype)
    blocks: list[Blocks] = []
    for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True)):
        part, block = group_fisher(group, data, *inputs(group, data, theta, number))
        stat = stat + part
        blocks.append(block)
    normal = assemble(spec.groups, arrays["groups"], blocks, spec.n_global)
    return stat + _priors(spec, arrays, theta), _add_priors(spec, arrays, theta, normal, exact=False)


def exact_normal(spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta) -> Normal:
    """Gradient and exact second derivatives of the fit statistic."""
    blocks: list[Blocks] = [
        group_hessian(group, data, *inputs(group, data, theta, number))
        for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True))
    ]
    normal = assemble(spec.groups, arrays["groups"], blocks, spec.n_global)
    return _add_priors(spec, arrays, theta, normal, exact=True)


def _priors(spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta) -> jax.Array:
    total = jnp.zeros((), theta.globals.dtype)
    for penalty in arrays.get("penalties", ()):
        total = total + penalty_value(penalty, theta.globals)
    for population in arrays.get("populations", ()):
        total = total + population_value(population, theta.globals)
    if not spec.has_priors:
        return total
    of_globals, of_locals = arrays["priors"]
    total = total + jnp.sum(prior_value(of_globals, theta.globals))
    for prior, values in zip(of_locals, theta.locals, strict=True):
        total = total + jnp.sum(prior_value(prior, values))
    return total


def _add_priors(spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta, normal: Normal, *, exact: bool) -> Normal:
    added = [penalty_terms(penalty, theta.globals) for penalty in arrays.get("penalties", ())]
    added += [population_terms(p, theta.globals, exact=exact) for p in arrays.get("populations", ())]
    for more in added:
        normal = normal._replace(slope=normal.slope + more[0], matrix=normal.matrix + more[1])
    if not spec.has_priors:
        return normal
    of_globals, of_locals = arrays["priors"]

    def terms(prior, values):
        slope, curvature = prior_score(prior, values)
        return slope, prior_curvature(prior, values) if exact else curvature

    slope, curvature = terms(of_globals, theta.globals)
    locals_: list[LocalBlocks | None] = []
    for prior, values, block in zip(of_locals, theta.locals, normal.locals, strict=True):
        if block is None:
            locals_.append(None)
            continue
        local_slope, local_curvature = terms(prior, values)
        diagonal = jnp.eye(values.shape[1], dtype=values.dtype) * local_curvature[:, None, :]
        locals_.append(block._replace(slope=block.slope + local_slope, matrix=block.matrix + diagonal))
    return Normal(normal.slope + slope, normal.matrix + jnp.diag(curvature), tuple(locals_))


compiled_stat = Programs(stat_of_free, (0,), OF_A_FIT)

compiled_value_and_grad = Programs(jax.value_and_grad(stat_of_free, argnums=2), (0,), OF_A_FIT)

_exact_normal, _quick_exact_normal = (Program(exact_normal, how, most=OF_A_FIT) for how in (QUICK, QUICKEST))


def compiled_exact_normal(spec: ProblemSpec) -> Program:
    """The program of `exact_normal`. It runs once in most fits: where all that is costly in it is quick, compiling it
    well costs more than it saves."""
    said = [group.make.quick_to_compile for group in spec.groups if group.make.quick_to_compile is not None]
    return _quick_exact_normal if said and all(said) else _exact_normal


compiled_normal = Program(stat_and_normal, most=OF_A_FIT)

compiled_signals = Program(stat_and_signals, most=OF_A_FIT)

compiled_member_stats = Program(member_stats, most=OF_A_FIT)
