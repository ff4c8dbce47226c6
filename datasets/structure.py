"""Models taken apart into a program (hashable) and its numbers, and put together again.

A joint fit compiles one program for all datasets whose models have the same structure. Names, bounds, priors and errors
are not part of it.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from .parameter import Parameter, frozen_array, is_parameter
from .sky_model import ModelBase
from .spectral_base import SpectralModel
from .spectral_compound import ScaleSpectralModel


class Item(NamedTuple):
    """One leaf of a model: ``kind`` is "parameter", "weights" (free arrays of a foreign module) or "data" (tables)."""

    kind: str
    name: str
    content: Any


@dataclass(frozen=True)
class Structure:
    """What chooses the program of one model: enough to rebuild it from its numbers."""

    type: type
    flags: tuple[Any, ...]
    treedef: Any
    kinds: tuple[tuple[Any, ...], ...]

    def build(self, numbers: list[Any]) -> ModelBase:
        """The model with ``numbers`` in place of its parameters, weights and tables, in the order of its items."""
        values = iter(numbers)
        leaves = [
            Parameter(next(values), scale=kind[1])
            if kind[0] == "parameter"
            else (kind[1] if kind[0] == "static" else next(values))
            for kind in self.kinds
        ]
        spectral = jax.tree_util.tree_unflatten(self.treedef, leaves)
        model: Any = object.__new__(self.type)
        for field, value in (("spectral", spectral), ("name", ""), ("datasets_names", None), ("flags", self.flags)):
            if field != "flags" or self.flags:
                object.__setattr__(model, field, value)
        return model


def take_apart(model: ModelBase) -> tuple[Structure, list[Item]]:
    """Structure of a model and its items; item names are full parameter names."""
    spectral = model.spectral
    foreign = not isinstance(spectral, SpectralModel)
    leaves, treedef = jax.tree_util.tree_flatten(spectral, is_leaf=is_parameter)
    names = _item_names(treedef, tuple(is_parameter(leaf) for leaf in leaves))
    kinds: list[tuple[Any, ...]] = []
    items: list[Item] = []
    for name, leaf in zip(names, leaves, strict=True):
        full = f"{model.name}.spectral.{name}"
        if is_parameter(leaf):
            kinds.append(("parameter", leaf.scale))
            items.append(Item("parameter", full, leaf))
        elif foreign and eqx.is_inexact_array(leaf):
            kinds.append(("weights", np.shape(leaf)))
            items.append(Item("weights", full, leaf))
        elif eqx.is_array(leaf):
            kinds.append(("data", np.shape(leaf)))
            items.append(Item("data", full, leaf))
        else:
            kinds.append(("static", leaf))
    return Structure(type(model), model.flags, treedef, tuple(kinds)), items


def free_by_default(models: Iterable[ModelBase]) -> tuple[str, ...]:
    """Full names of the parameters that the classes of the models declare free."""
    return tuple(
        item.name
        for model in models
        for item, free in zip(
            (i for i in take_apart(model)[1] if i.kind == "parameter"), _declared_free(model.spectral), strict=True
        )
        if free
    )


def _declared_free(node: Any) -> Iterator[bool]:
    """Per parameter, in the order of the leaves: does its class declare it free?"""
    scaled = isinstance(node, ScaleSpectralModel)  # its norm is free, the model inside stays frozen
    for field in dataclasses.fields(node):
        if field.metadata.get("static", False):
            continue
        for part in jax.tree_util.tree_leaves(getattr(node, field.name), is_leaf=lambda x: isinstance(x, eqx.Module)):
            if is_parameter(part):
                yield not (is_parameter(field.default) and field.default.frozen)
            elif isinstance(part, eqx.Module):
                yield from (free and not scaled for free in _declared_free(part))


def _item_names(treedef: Any, is_param: tuple[bool, ...]) -> tuple[str, ...]:
    """Last part of each leaf's path where no other leaf ends in it, else the whole path."""
    try:
        return _names_of(treedef, is_param)
    except TypeError:  # a foreign module with a static field that cannot be hashed
        return _names_of.__wrapped__(treedef, is_param)


# thousands of background models share one treedef, and walking its paths is slow
@lru_cache(maxsize=1024)
def _names_of(treedef: Any, is_param: tuple[bool, ...]) -> tuple[str, ...]:
    tree = jax.tree_util.tree_unflatten(treedef, range(treedef.num_leaves))
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    whole = [".".join(_part(key) for key in path) for path, _ in paths]
    last = [name.rsplit(".", 1)[-1] for name in whole]
    return tuple(s if flag and last.count(s) == 1 else w for s, w, flag in zip(last, whole, is_param, strict=True))


def _part(key: Any) -> str:
    for attribute in ("name", "key", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def with_numbers(model: ModelBase, numbers: list[tuple[Any, Any]]) -> ModelBase:
    """The model with new (value, error) of its parameters and new weights, in the order of its items less tables."""
    given = iter(numbers)
    foreign = not isinstance(model.spectral, SpectralModel)
    leaves, treedef = jax.tree_util.tree_flatten(model.spectral, is_leaf=is_parameter)
    new = []
    for leaf in leaves:
        if is_parameter(leaf):
            value, error = next(given)
            leaf_treedef = jax.tree_util.tree_structure(leaf)
            values = [frozen_array(np.reshape(value, ())), frozen_array(np.reshape(error, ()))]
            new.append(jax.tree_util.tree_unflatten(leaf_treedef, values))
        elif foreign and eqx.is_inexact_array(leaf):
            new.append(np.reshape(next(given)[0], np.shape(leaf)).astype(leaf.dtype))
        else:
            new.append(leaf)
    spectral = jax.tree_util.tree_unflatten(treedef, new)
    outer, outer_treedef = jax.tree_util.tree_flatten(model, is_leaf=lambda node: node is model.spectral)
    return jax.tree_util.tree_unflatten(outer_treedef, [spectral if leaf is model.spectral else leaf for leaf in outer])
