"""Spectral models whose parameters lie deeper than their own fields: in lists of nodes, or in other models."""

import dataclasses
from typing import Any

import jax

from .errors import InputError
from .parameter import Parameter, is_parameter
from .spectral_base import SpectralModel


class NestedSpectralModel(SpectralModel):
    """Base of models that hold parameters in containers or sub-models.

    A parameter goes by the last word of its path where that is unique (``norm_3``, ``index``), else by the whole path
    (``model1.reference``).
    """

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters by name, in order."""
        return {name: leaf for name, leaf in _named_leaves(self) if is_parameter(leaf)}

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name not in {f.name for f in dataclasses.fields(type(self))}:
            found = self.parameters.get(name)
            if found is not None:
                return found
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def replace(self, **changes: Any) -> Any:
        """A copy with changed parameters (numbers and Quantities set the value) or changed fields."""
        fields = {f.name for f in dataclasses.fields(self)}
        own = {name: given for name, given in changes.items() if name in fields and not self._is_own_parameter(name)}
        base = dataclasses.replace(self, **own) if own else self
        wanted = {name: given for name, given in changes.items() if name not in own}
        unknown = sorted(set(wanted) - set(base.parameters))
        if unknown:
            known = ", ".join(base.parameters)
            raise InputError(f"{type(self).__name__} has no parameter {unknown[0]!r}; it has {known}.")
        leaves, treedef = jax.tree_util.tree_flatten(base, is_leaf=is_parameter)
        for i, (name, leaf) in enumerate(_named_leaves(base)):
            if name in wanted and is_parameter(leaf):
                given = wanted[name]
                leaves[i] = given if isinstance(given, Parameter) else leaf.replace(value=given)
        return jax.tree_util.tree_unflatten(treedef, leaves)

    def _is_own_parameter(self, name: str) -> bool:
        return isinstance(getattr(self, name), Parameter)


def _named_leaves(model: Any) -> list[tuple[str, Any]]:
    """(name, leaf) of all leaves, with parameters as leaves."""
    paths, _ = jax.tree_util.tree_flatten_with_path(model, is_leaf=is_parameter)
    whole = [".".join(str(getattr(k, "name", getattr(k, "key", getattr(k, "idx", k)))) for k in p) for p, _ in paths]
    last = [name.rsplit(".", 1)[-1] for name in whole]
    count = [short for short, (_, leaf) in zip(last, paths, strict=True) if is_parameter(leaf)]
    return [
        (short if is_parameter(leaf) and count.count(short) == 1 else name, leaf)
        for short, name, (_, leaf) in zip(last, whole, paths, strict=True)
    ]
