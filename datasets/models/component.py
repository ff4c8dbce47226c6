"""What parts of a model have in common: parameters by name, and copies with changed ones."""

import dataclasses
import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import wraps
from typing import Any, ClassVar, NamedTuple, Self

import equinox as eqx
import jax
import numpy as np

from ...kernels.programs import remembered
from ..errors import InputError, listed
from ..hints.modules import HintedModule
from ..shown import html_table, number_text, robust
from ..units import kernel_numbers
from .parameter import Declaration, Parameter, is_parameter, placed

Section = dict[str, Any]
"""Content of a section of a YAML file."""

Formulas = Mapping[str, tuple[str, ...]]
"""Units of the arguments of methods, by the names of these."""


class ModelComponent(HintedModule):
    """A part of a model. Its parameters are its fields, or stand in containers and models that are its fields.

    A parameter goes by the last word of its path where that is unique (``index``, ``norm_3``), else by the whole path
    (``model1.reference``). ``tag`` are the words that stand for the class in files.
    """

    tag: ClassVar[tuple[str, ...]] = ()
    formulas: ClassVar[Formulas] = {}
    """Methods that are formulas of bare numbers, and the units of their arguments, to which what has one is converted.

    They are wrapped where a class is made, those of somebody's own classes too.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name, content in tuple(vars(cls).items()):
            if isinstance(content, dataclasses.Field):
                declaration = content.metadata.get("converter")
                if isinstance(declaration, Declaration):
                    declaration.name = name
            elif name in cls.formulas and inspect.isfunction(content):
                setattr(cls, name, _of_bare_numbers(content, cls.formulas[name]))

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters by name, in the order of their declaration."""
        leaves, names = named_leaves(self)
        return {name: leaf for name, leaf in zip(names, leaves, strict=True) if is_parameter(leaf)}

    @robust
    def __repr__(self) -> str:
        shown = (f"{name}={p.text}{' frozen' if p.frozen else ''}" for name, p in self.parameters.items())
        return f"{type(self).__name__}({', '.join([*shown, *self._tables()])})"

    def _tables(self) -> list[str]:
        """The tables among the fields, in figures."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return [f"{name}={_figures(v)}" for name, v in fields.items() if isinstance(v, np.ndarray | jax.Array)]

    @robust
    def _repr_html_(self) -> str:
        return html_table([p.facts(name) for name, p in self.parameters.items()], type(self).__name__)

    def replace(self, **changes: Any) -> Self:
        """A copy with changed parameters: numbers and Quantities set the value, a `Parameter` replaces it whole."""
        known = self.parameters
        for name in changes:
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise InputError(f"{type(self).__name__} has no parameter {name!r}; {has}.")
        new = {name: placed(given, known[name], name) for name, given in changes.items()}
        own = {name: new.pop(name) for name in tuple(new) if name in fields_by_name(type(self))}
        base = dataclasses.replace(self, **own) if own else self
        if not new:
            return base
        leaves, names = named_leaves(base)
        treedef = jax.tree_util.tree_structure(base, is_leaf=is_parameter)
        return jax.tree_util.tree_unflatten(
            treedef, [new.get(n, leaf) if is_parameter(leaf) else leaf for n, leaf in zip(names, leaves, strict=True)]
        )


def _of_bare_numbers(formula: Callable[..., Any], units: tuple[str, ...]) -> Callable[..., Any]:
    """A formula whose arguments are numbers in these units, so that it may be given anything that has a unit."""
    arguments = tuple(inspect.signature(formula).parameters)[1 : len(units) + 1]
    # fewer where a class leaves an energy out that it takes no notice of
    by_name = dict(zip(arguments, units, strict=False))

    @wraps(formula)
    def of_anything(self: Any, *args: Any, **keywords: Any) -> Any:
        what = f"{type(self).__name__}.{formula.__name__}"
        given = [kernel_numbers(v, by_name[k], f"{what}: {k}") for v, k in zip(args, by_name, strict=False)]
        named = {k: kernel_numbers(v, by_name[k], f"{what}: {k}") for k, v in keywords.items() if k in by_name}
        return formula(self, *given, *args[len(given) :], **{**keywords, **named})

    return of_anything


def fields_by_name(kind: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    """Fields of a class of modules."""
    return {field.name: field for field in dataclasses.fields(kind)}


def _figures(table: Any) -> str:
    shape = np.shape(table)
    return (
        number_text(table)
        if len(shape) < 2
        else f"{number_text(table)} of shape {shape}".replace(f" ({np.size(table)} values)", "")
    )


def named_leaves(tree: object) -> tuple[list[Any], tuple[str, ...]]:
    """Leaves of a tree, with parameters as leaves, and their names."""
    leaves, treedef = jax.tree_util.tree_flatten(tree, is_leaf=is_parameter)
    return leaves, leaf_names(treedef, tuple(is_parameter(leaf) for leaf in leaves))


def leaf_names(treedef: Hashable, is_param: tuple[bool, ...]) -> tuple[str, ...]:
    """Names of leaves: the whole path, of a parameter its last word if no other leaf could be meant by it."""
    try:
        return _names_of(treedef, is_param)
    except TypeError:  # a foreign module with a static field that cannot be hashed
        return _find_names(treedef, is_param)


def _find_names(treedef: Hashable, is_param: tuple[bool, ...]) -> tuple[str, ...]:
    tree = jax.tree_util.tree_unflatten(treedef, range(len(is_param)))
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    whole = [".".join(_word(key) for key in path) for path, _ in paths]
    last = [name.rsplit(".", 1)[-1] for name in whole]
    ends = [word for word, flag in zip(last, is_param, strict=True) if flag]
    others = {name for name, flag in zip(whole, is_param, strict=True) if not flag}
    return tuple(
        word if flag and ends.count(word) == 1 and word not in others else name
        for word, name, flag in zip(last, whole, is_param, strict=True)
    )


# thousands of background models share one treedef, and walking its paths is slow
_names_of = remembered(1024)(_find_names)


def _word(key: Any) -> str:
    for attribute in ("name", "key", "idx"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


class Held(NamedTuple):
    """Static choices of a model: the paths to arrays of modules that are not free."""

    frozen: tuple[str, ...] = ()


def frozen_arrays(given: str | Iterable[str], parts: Mapping[str, Any], what: str) -> tuple[str, ...]:
    """Paths to arrays of modules; InputError that starts with ``what`` for one at which there is none."""
    if not isinstance(given, str | Iterable):
        raise InputError(f"{what}: frozen must be paths to arrays, found {given!r}.")
    paths = (given,) if isinstance(given, str) else tuple(given)
    if not paths:
        return ()
    known = []
    for word, part in parts.items():
        leaves, names = named_leaves(part)
        arrays = (n for n, leaf in zip(names, leaves, strict=True) if eqx.is_inexact_array(leaf))
        known += [f"{word}.{name}" if name else word for name in arrays]
    for path in paths:
        if not any(is_at(name, (path,)) for name in known):
            has = f"arrays are at {listed(known)}" if known else "there are no arrays in it"
            raise InputError(
                f"{what}: frozen names {path!r}, and {has}. Give their paths, or those of the parts that hold them; "
                "parameters are frozen by models.freeze."
            )
    return paths


def is_at(name: str, paths: tuple[str, ...]) -> bool:
    """Whether what goes by a dotted name is at one of the paths, or in a part that is."""
    return any(name == path or name.startswith(f"{path}.") for path in paths)
