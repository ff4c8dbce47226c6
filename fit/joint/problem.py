"""A joint fit made ready: programs, arrays, parameters."""

import gc
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from ...datasets.arrays import Array, fields_of
from ...datasets.collection.datasets import Datasets
from ...datasets.counts.npred import SomeModels
from ...datasets.dataset import Dataset
from ...datasets.errors import InputError
from ...datasets.models.collection import Models
from ...datasets.models.parameter import SCALING
from ...datasets.models.penalty import GaussianPriorPenalty
from .arrowhead import Theta
from .coordinates import coordinates_of
from .cutoffs import cutoff_pairs, pairs_in
from .devices import check_mesh, n_processes, placed_everywhere, placed_rows
from .groups import BY_MEMBER, Group, build_groups
from .objective import ProblemSpec, from_free
from .parameters import ParameterSpace, parameter_space
from .priors import PenaltyArrays, PopulationArrays, PriorArrays, prior_arrays
from .processes import Share, share_of

SomeDatasets = Datasets | Mapping[str, Dataset] | Iterable[Dataset] | Dataset
"""Datasets as users give them: the container, by name, several, or one."""


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
    arrays: dict[str, PyTree]
    global_index: np.ndarray
    share: Share

    @property
    def mesh(self) -> Mesh | None:
        """The devices over which its datasets are spread, or None."""
        return self.spec.groups[0].mesh

    @property
    def free_names(self) -> list[str]:
        return self.space.free_names

    def start(self) -> Array:
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

    def held(self, free: np.ndarray, fixed: np.ndarray) -> dict[str, PyTree]:
        """The ``arrays`` of bounds with which the ``fixed`` (n,) of the ``free`` parameters stay where they are.

        Bounds are data: a fit with parameters held runs the compiled program of the fit itself.
        """
        low, high = self.space.low[self.space.free], self.space.high[self.space.free]
        bounds = {"low": np.where(fixed, free, low), "high": np.where(fixed, free, high)}
        dtype = self.arrays["low"].globals.dtype
        return {name: from_free(self.arrays, bound.astype(dtype)) for name, bound in bounds.items()}


def make_problem(
    datasets: SomeDatasets,
    models: SomeModels,
    *,
    need_free: bool = True,
    mesh: Mesh | None = None,
    batch_size: int | None = None,
    pad: bool = True,
    spread: bool = False,
) -> Problem:
    """Check the input, sort the datasets into groups and lay out the parameters; see `fit` for ``mesh`` and
    ``batch_size``, `build_groups` for ``pad`` and ``spread``."""
    with no_collection():
        return _make_problem(datasets, models, need_free, check_mesh(mesh), batch_size, pad, spread)


def with_image_sizes(models: Models, datasets: Datasets, mesh: Mesh | None = None) -> Models:
    """The models with the sizes that their images have in a fit to these datasets."""
    # processes hold different datasets, and have to agree
    alone = n_processes(check_mesh(mesh)) == 1
    rungs = {name: d.image_rungs for name, d in datasets.items() if isinstance(d, Dataset)} if alone else {}
    return Models.with_image_margins(models, rungs)


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage collection meanwhile: it looks at every object of thousands of models and datasets again and again,
    while all that is made here stays. Where other threads run they may need it."""
    if threading.active_count() > 1:
        yield
        return
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _make_problem(
    given_datasets: SomeDatasets,
    given_models: SomeModels,
    need_free: bool,
    mesh: Mesh | None,
    batch_size: int | None,
    pad: bool,
    spread: bool,
) -> Problem:
    whole = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
    if batch_size is not None and not (whole and batch_size > 0):
        raise InputError(f"fit: batch_size must be a positive integer or None, found {batch_size!r}.")
    datasets = as_datasets(given_datasets)
    models = as_models(given_models)
    share = share_of(datasets, n_processes(mesh))
    if not share.names:
        raise InputError("There is no dataset to fit.")
    space = parameter_space(models, share.names)
    members = models.models

    def check() -> None:
        for index, dataset in share.held.items():
            what = f"Dataset {share.names[index]!r}"
            if not isinstance(dataset, Dataset):
                raise InputError(
                    f"{what}: found {type(dataset).__name__}, expected a dataset. A type of your own must derive from "
                    "gammajax.Dataset, which says what it needs."
                )
            # by its class: a method of an eqx.Module makes a new pytree at each access
            type(dataset).check_ready(dataset, [members[i] for i in space.acting[index]], what)

    share.collect(check)
    if need_free and not space.free.any():
        if not space.names:
            raise InputError("There is nothing to fit: the models have no parameters. Give one or more models.")
        raise InputError(
            f"All {len(space.names)} parameters are frozen, there is nothing to fit. "
            "Free some with models.unfreeze(name)."
        )
    is_global = space.free & (space.owner < 0)
    global_index = np.flatnonzero(is_global)
    position = np.full(len(space.names), -1)
    position[global_index] = np.arange(len(global_index))
    groups = build_groups(share, models, space, position, mesh, batch_size, pad, spread)
    with_prior = [i for i, p in enumerate(space.parameters) if p is not None and fields_of(p)["prior"] is not None]
    priors = bool(np.any(space.free[with_prior]))
    spec = ProblemSpec(tuple(g.spec for g in groups), len(global_index), priors)
    place, pairs = np.cumsum(space.free) - 1, cutoff_pairs(space)
    arrays: dict[str, PyTree] = {
        "groups": tuple(_placed(g.arrays, g.spec.mesh) for g in groups),
        "places": Theta(place[global_index], tuple(place[g.locals] for g in groups)),
        "low": Theta(space.low[global_index], tuple(space.low[g.locals] for g in groups)),
        "high": Theta(space.high[global_index], tuple(space.high[g.locals] for g in groups)),
        "scale_like": _by_block(_scale_like(space), global_index, groups),
        "coordinates": _by_block(coordinates_of(space), global_index, groups),
        "pairs": Theta(pairs_in(global_index, pairs), tuple(pairs_in(g.locals[0], pairs) for g in groups)),
        "constant": _frozen_priors(space, with_prior),
    }
    if priors:
        arrays["priors"] = (
            prior_arrays([space.parameters[i] for i in global_index], (len(global_index),)),
            tuple(_local_priors(space, g) for g in groups),
        )
    if models.penalties:
        arrays["penalties"] = [_penalty_arrays(space, penalty, position) for penalty in models.penalties]
    if space.populations:
        arrays["populations"] = [PopulationArrays(position[i], space.values[i]) for i in space.populations]
    return Problem(datasets, models, space, groups, spec, jax.tree.map(_on_device, arrays), global_index, share)


def _penalty_arrays(space: ParameterSpace, penalty: GaussianPriorPenalty, position: np.ndarray) -> PenaltyArrays:
    index = space.index_of(penalty.names)
    if len(set(index.tolist())) < index.size:
        raise InputError(f"The penalty on {', '.join(penalty.names)} names a parameter twice: some of them are linked.")
    mean, matrix = penalty.terms
    return PenaltyArrays(position[index], space.values[index], mean, matrix)


def _scale_like(space: ParameterSpace) -> np.ndarray:
    """Which parameters multiply a whole component: amplitudes and norms."""
    return np.array([role in SCALING for role in space.roles], bool)


def _by_block(values: np.ndarray, global_index: np.ndarray, groups: list[Group]) -> Theta:
    """Values of all parameters as those of the free ones, in blocks."""
    return Theta(values[global_index], tuple(values[g.locals] for g in groups))


def _placed(arrays: dict[str, PyTree], mesh: Mesh | None) -> dict[str, PyTree]:
    """A group's arrays on the devices of a mesh: every row on one of them, what members share on all."""
    if mesh is None:
        return arrays
    return {
        k: jax.tree.map(lambda x, put=placed_rows if k in BY_MEMBER else placed_everywhere: put(mesh, x), v)
        for k, v in arrays.items()
    }


def _on_device(leaf: Array) -> Array:
    """Large arrays move to the device once; for small ones the call is dearer than what it saves."""
    return jax.device_put(leaf) if isinstance(leaf, np.ndarray) and leaf.nbytes > 2**18 else leaf


def as_models(given: SomeModels) -> Models:
    """The container itself, whose thousands of names need no second look, or one of what is given."""
    return given if type(given) is Models else Models(given)


def as_datasets(given: SomeDatasets) -> Datasets:
    """What `fit` takes as `Datasets`."""
    if isinstance(given, Datasets):
        return given
    # other things than datasets are refused by name later
    return Datasets(given) if isinstance(given, dict | list | tuple) else Datasets([cast(Dataset, given)])


def _frozen_priors(space: ParameterSpace, with_prior: list[int]) -> Array | float:
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
