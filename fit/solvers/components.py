"""The components of models: what an amplitude or a norm multiplies."""

from collections.abc import Iterator

import equinox as eqx
import jax
import numpy as np

from ...datasets.arrays import fields_of
from ...datasets.models.parameter import SCALING, is_parameter
from ...datasets.models.sky_model import ModelBase
from ..joint.problem import Problem


def components(problem: Problem) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Models, and the terms of spectra that are sums: name, places of the free parameters that scale them, and of the
    others."""
    place = np.cumsum(problem.space.free) - 1
    for number, entry in enumerate(problem.space.models):
        parts: dict[str, tuple[list[int], list[int]]] = {}
        for name, roles in by_role(problem, number).items():
            both = parts.setdefault(name, ([], []))
            for role, indices in roles.items():
                both[role not in SCALING].extend(int(place[index]) for index in indices)
        scaled = {name: both for name, both in parts.items() if both[0]}
        if len(scaled) == 1:
            ((scales, _),) = scaled.values()
            yield entry.name, np.array(scales), np.array(sorted(k for _, shapes in parts.values() for k in shapes), int)
        else:
            for name, (scales, shapes) in scaled.items():
                yield name, np.array(scales), np.array(shapes, int)


def by_role(problem: Problem, number: int) -> dict[str, dict[str, list[int]]]:
    """The free parameters (indices of all) of each component of a model, by role."""
    space, entry = problem.space, problem.space.models[number]
    found: dict[str, dict[str, list[int]]] = {}
    where = _where(problem.models.models[number])
    for name, item, index in zip(where, entry.items, entry.entries, strict=True):
        if item.kind == "parameter" and index is not None and space.free[index[0]]:
            found.setdefault(name, {}).setdefault(space.roles[index[0]], []).append(int(index[0]))
    return found


def _where(model: ModelBase) -> list[str]:
    """For each item of a model the component that it is in; names of items leave out what is not needed to tell them
    apart."""
    fields = fields_of(model)
    return [
        f"{fields['name']}.{part}" + "".join(map(str, path[:-1]))
        for part in type(model).parts
        if fields[part] is not None
        for path, leaf in jax.tree_util.tree_flatten_with_path(fields[part], is_leaf=is_parameter)[0]
        if is_parameter(leaf) or eqx.is_array(leaf)
    ]
