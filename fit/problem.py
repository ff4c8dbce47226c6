"""A joint fit made ready: programs, arrays, parameters."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..datasets.container import Datasets
from ..datasets.errors import InputError
from ..datasets.likelihood import check_ready
from ..datasets.models import Models
from ..datasets.parameter import fields_of
from ..datasets.program import QUICKEST, Program
from ..datasets.region_staging import RegionProgram
from ..datasets.staging import MapProgram
from .groups import BY_MEMBER, Group, GroupSpec, build_groups
from .mesh import check_mesh, n_processes, placed_everywhere, placed_rows
from .objective import (
    Blocks,
    LocalBlocks,
    Normal,
    Theta,
    assemble,
    group_fisher,
    group_hessian,
    group_offset,
    group_stat,
    inputs,
)
from .priors import PriorArrays, prior_arrays, prior_curvature, prior_score, prior_value
from .processes import Share, share_of
from .space import ParameterSpace, parameter_space


@dataclass(frozen=True)
class ProblemSpec:
    """Static side of a joint fit: it chooses the compiled program, and is all that does."""

    groups: tuple[GroupSpec, ...]
    n_global: int
    has_priors: bool


@dataclass
class Problem:
    """A joint fit of ``datasets`` with ``models``: a static ``spec``, a pytree of ``arrays``, and who is who.

    ``datasets`` are those of this process, ``share`` tells which of all of them they are.

    Everything numerical is a pure function of ``(spec, arrays, theta)``, see the functions of this module.
    """

    datasets: Datasets
    models: Models
    space: ParameterSpace
    groups: list[Group]
    spec: ProblemSpec
    arrays: dict[str, Any]
    global_index: np.ndarray
    share: Share

    @property
    def free_names(self) -> list[str]:
        return self.space.free_names

    def start(self) -> Any:
        """Start values of the free parameters, in the order of ``free_names``, moved into their bounds."""
        values = self.space.values[self.space.free]
        if isinstance(values, jax.Array):
            return values
        return np.clip(values, self.space.low[self.space.free], self.space.high[self.space.free])

    def to_free(self, blocks: Theta) -> np.ndarray:
        """The vector of free parameters from blocks."""
        vector = np.empty(int(self.space.free.sum()))
        places = self.arrays["places"]
        vector[places.globals] = np.asarray(blocks.globals)
        for group, place, block in zip(self.groups, places.locals, blocks.locals, strict=True):
            vector[place[group.rows]] = np.asarray(block)[group.rows]
        return vector


def make_problem(
    datasets: Any, models: Any, *, need_free: bool = True, mesh: Any = None, batch_size: int | None = None
) -> Problem:
    """Check the input, sort the datasets into groups and lay out the parameters; see `fit` for ``mesh`` and
    ``batch_size``."""
    with no_collection():
        return _make_problem(datasets, models, need_free, check_mesh(mesh), batch_size)


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage collection meanwhile: it looks at every object of thousands of models and datasets again and again,
    while all that is made here stays."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _make_problem(datasets: Any, models: Any, need_free: bool, mesh: Any, batch_size: int | None) -> Problem:
    whole = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
    if batch_size is not None and not (whole and batch_size > 0):
        raise InputError(f"fit: batch_size must be a positive integer or None, found {batch_size!r}.")
    datasets = as_datasets(datasets)
    models = as_models(models)
    share = share_of(datasets, n_processes(mesh))
    if not share.names:
        raise InputError("There is no dataset to fit.")
    space = parameter_space(models, share.names)
    members = models.models

    def check() -> None:
        for index, dataset in share.held.items():
            check_ready(dataset, share.names[index], [members[i] for i in space.acting[index]])

    share.collect(check)
    if need_free and not space.free.any():
        raise InputError(
            f"All {len(space.names)} parameters are frozen, there is nothing to fit. "
            "Free some with models.unfreeze(name)."
        )
    is_global = space.free & (space.owner < 0)
    global_index = np.flatnonzero(is_global)
    position = np.full(len(space.names), -1)
    position[global_index] = np.arange(len(global_index))
    groups = build_groups(share, models, space, position, mesh, batch_size)
    with_prior = [i for i, p in enumerate(space.parameters) if p is not None and fields_of(p)["prior"] is not None]
    priors = bool(np.any(space.free[with_prior]))
    spec = ProblemSpec(tuple(g.spec for g in groups), len(global_index), priors)
    place = np.cumsum(space.free) - 1
    arrays: dict[str, Any] = {
        "groups": tuple(_placed(g.arrays, mesh) for g in groups),
        "places": Theta(place[global_index], tuple(place[g.locals] for g in groups)),
        "low": Theta(space.low[global_index], tuple(space.low[g.locals] for g in groups)),
        "high": Theta(space.high[global_index], tuple(space.high[g.locals] for g in groups)),
        "scale_like": _scale_like(space, global_index, groups),
        "constant": _frozen_priors(space, with_prior),
    }
    if priors:
        arrays["priors"] = (
            prior_arrays([space.parameters[i] for i in global_index], (len(global_index),)),
            tuple(_local_priors(space, g) for g in groups),
        )
    return Problem(datasets, models, space, groups, spec, jax.tree.map(_on_device, arrays), global_index, share)


def _scale_like(space: ParameterSpace, global_index: np.ndarray, groups: list[Group]) -> Theta:
    """Which free parameters multiply a whole component: amplitudes and norms."""
    flags = np.array([name.rsplit(".", 1)[-1].startswith(("amplitude", "norm")) for name in space.names], bool)
    return Theta(flags[global_index], tuple(flags[g.locals] for g in groups))


def _placed(arrays: dict[str, Any], mesh: Any) -> dict[str, Any]:
    """A group's arrays on the devices of a mesh: every row on one of them, what members share on all."""
    if mesh is None:
        return arrays
    return {
        k: jax.tree.map(lambda x, put=placed_rows if k in BY_MEMBER else placed_everywhere: put(mesh, x), v)
        for k, v in arrays.items()
    }


def _on_device(leaf: Any) -> Any:
    """Large arrays move to the device once; for small ones the call is dearer than what it saves."""
    return jax.device_put(leaf) if isinstance(leaf, np.ndarray) and leaf.nbytes > 2**18 else leaf


def as_models(given: Any) -> Models:
    """The container itself, whose thousands of names need no second look, or one of what is given."""
    return given if type(given) is Models else Models(given)


def as_datasets(given: Any) -> Datasets:
    """What `fit` takes as `Datasets`."""
    if isinstance(given, Datasets):
        return given
    if isinstance(given, dict | list | tuple):
        return Datasets(given)
    return Datasets([given])


def _frozen_priors(space: ParameterSpace, with_prior: list[int]) -> Any:
    """Priors of frozen parameters: a constant of the statistic."""
    parameters: list[Any] = [space.parameters[i] for i in with_prior]
    return sum((p.prior(p.value) for p in parameters if p.frozen), 0.0)


def _local_priors(space: ParameterSpace, group: Group) -> PriorArrays:
    parameters = [space.parameters[i] for i in group.locals.ravel()]
    arrays = prior_arrays(parameters, group.locals.shape)
    padding = ~np.isin(np.arange(len(group.locals)), group.rows)
    quiet = {"weight": 0.0, "log_weight": 0.0, "constant": 0.0, "low": -np.inf, "high": np.inf}
    silent = {name: np.where(padding[:, None], value, getattr(arrays, name)) for name, value in quiet.items()}
    return arrays._replace(**silent)


def from_free(arrays: dict[str, Any], free: Any) -> Theta:
    """Blocks from the vector of free parameters."""
    places: Theta = arrays["places"]
    return Theta(free[places.globals], tuple(free[p] for p in places.locals))


def stat_of_free(spec: ProblemSpec, arrays: dict[str, Any], free: Any) -> jax.Array:
    """`total_stat` as a function of the vector of free parameters, in the order of ``Problem.free_names``."""
    return total_stat(spec, arrays, from_free(arrays, jnp.asarray(free)))


def total_stat(spec: ProblemSpec, arrays: dict[str, Any], theta: Theta) -> jax.Array:
    """Fit statistic summed over all datasets, plus priors."""
    total = jnp.asarray(arrays["constant"], theta.globals.dtype)
    for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True)):
        at = inputs(group, data, theta, number)
        total = total + jnp.sum(group_stat(group, data, *at) + group_offset(group, data, *at))
    return total + _priors(spec, arrays, theta)


def offset(spec: ProblemSpec, arrays: dict[str, Any], theta: Theta) -> jax.Array:
    """The part of `total_stat` that no free parameter changes."""
    total = jnp.asarray(arrays["constant"], theta.globals.dtype)
    for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True)):
        total = total + jnp.sum(group_offset(group, data, *inputs(group, data, theta, number)))
    return total


def stat_and_normal(spec: ProblemSpec, arrays: dict[str, Any], theta: Theta) -> tuple[jax.Array, Normal]:
    """`total_stat` less `offset`, and the normal equations of scoring."""
    stat = jnp.zeros((), theta.globals.dtype)
    blocks: list[Blocks] = []
    for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True)):
        part, block = group_fisher(group, data, *inputs(group, data, theta, number))
        stat = stat + part
        blocks.append(block)
    normal = assemble(spec.groups, arrays["groups"], blocks, spec.n_global)
    return stat + _priors(spec, arrays, theta), _add_priors(spec, arrays, theta, normal, exact=False)


def exact_normal(spec: ProblemSpec, arrays: dict[str, Any], theta: Theta) -> Normal:
    """Gradient and exact second derivatives of the fit statistic."""
    blocks: list[Blocks] = [
        group_hessian(group, data, *inputs(group, data, theta, number))
        for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True))
    ]
    normal = assemble(spec.groups, arrays["groups"], blocks, spec.n_global)
    return _add_priors(spec, arrays, theta, normal, exact=True)


def _priors(spec: ProblemSpec, arrays: dict[str, Any], theta: Theta) -> jax.Array:
    if not spec.has_priors:
        return jnp.zeros((), theta.globals.dtype)
    of_globals, of_locals = arrays["priors"]
    total = jnp.sum(prior_value(of_globals, theta.globals))
    for prior, values in zip(of_locals, theta.locals, strict=True):
        total = total + jnp.sum(prior_value(prior, values))
    return total


def _add_priors(spec: ProblemSpec, arrays: dict[str, Any], theta: Theta, normal: Normal, *, exact: bool) -> Normal:
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


compiled_stat = jax.jit(stat_of_free, static_argnums=0)
compiled_value_and_grad = jax.jit(jax.value_and_grad(stat_of_free, argnums=2), static_argnums=0)
_exact_normal, _quick_exact_normal = Program(exact_normal), Program(exact_normal, QUICKEST)


def compiled_exact_normal(spec: ProblemSpec) -> Program:
    """The program of `exact_normal`. It runs once in most fits: for points in regions, and where sources are shared out
    over the pixels of maps, it is quick, and compiling it well costs more than it saves."""
    quick = {MapProgram: "four-pixel", RegionProgram: "point"}
    makes = [group.make for group in spec.groups if type(group.make) in quick]
    all_quick = all(p.kind != "source" or p.scheme == quick[type(make)] for make in makes for p in make.parts)
    return _quick_exact_normal if makes and all_quick else _exact_normal


compiled_normal = Program(stat_and_normal)
