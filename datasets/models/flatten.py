"""Models as a definition (hashable) that chooses the program, and numbers, and models made from both again.

A joint fit compiles one program for all datasets whose models have the same definitions. Names, bounds, priors and
errors are not part of them.
"""

import dataclasses
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, cast, overload

import equinox as eqx
import jax
import numpy as np
from jax.tree_util import PyTreeDef

from ...kernels.programs import Memory, remembered
from ..arrays import Array, PickledTrees, fields_of, frozen_array, module_with
from ..hints.modules import HintedModule
from .component import ModelComponent, is_at, leaf_names
from .parameter import Parameter, is_parameter
from .sky_model import ModelBase
from .spectral.compound import ScaleSpectralModel

SomeModel = TypeVar("SomeModel", bound=ModelBase)

ValueAndError = tuple[Array | float, Array | float]


class Item(NamedTuple):
    """One leaf of a model: ``kind`` is "parameter", "weights" (free arrays of a foreign module) or "data" (tables).

    ``name`` is the full name, ``part`` the word of the component in it.
    """

    kind: str
    name: str
    content: Any
    part: str

    @property
    def numbers(self) -> tuple[str, ...]:
        """Full names of its free numbers: its own, of weights one each, as ``image.spatial.module.x[0, 2]``."""
        if self.kind == "data":
            return ()
        shape = np.shape(self.content) if self.kind == "weights" else ()
        return tuple(f"{self.name}{list(place) if shape else ''}" for place in np.ndindex(shape))


@dataclass(frozen=True)
class ModelDef(PickledTrees):
    """Definition of one model: what chooses its program, and enough to build it again from its numbers.

    ``treedefs``: the tree of each part (spectrum, shape, ...), None for one that is not there.
    """

    type: type[ModelBase]
    flags: tuple[Any, ...]
    treedefs: tuple[PyTreeDef | None, ...]
    kinds: tuple[tuple[Any, ...], ...]

    def build(self, numbers: Sequence[Array]) -> ModelBase:
        """The model with ``numbers`` in place of its parameters, weights and tables, in the order of its items."""
        values = iter(numbers)
        leaves = [
            Parameter(next(values), scale=kind[1], role=kind[2])
            if kind[0] == "parameter"
            else (kind[1] if kind[0] == "static" else next(values))
            for kind in self.kinds
        ]
        fields: dict[str, Any] = {"name": "", "datasets_names": None, "flags": self.flags, "filename": None}
        fields = {name: value for name, value in fields.items() if name in self.type.__dataclass_fields__}
        start = 0
        for part, treedef in zip(self.type.parts, self.treedefs, strict=True):
            stop = start if treedef is None else start + treedef.num_leaves
            fields[part] = None if treedef is None else jax.tree_util.tree_unflatten(treedef, leaves[start:stop])
            start = stop
        return module_with(self.type, fields)


def flatten(model: ModelBase) -> tuple[ModelDef, list[Item]]:
    """Definition of a model and its items; item names are full parameter names.

    Models of one definition have one `ModelDef`, the same object, if parameters are all that they have.
    """
    kind, fields = type(model), fields_of(model)
    name = fields["name"]
    items: list[Item] = []
    shapes, places = [], []
    for part in kind.parts:
        content = fields[part]
        found = None if content is None else _plain(content)
        shapes.append(found and found[0])
        if found is None:
            if content is not None:
                return _flatten_any(model)
            continue
        for last, leaf in zip(found[0].names, found[1], strict=True):
            items.append(Item("parameter", f"{name}.{part}.{last}", leaf, part))
            of_leaf = fields_of(leaf)
            places.append((of_leaf["scale"], of_leaf["role"]))
    flags: Any = fields["flags"] if "flags" in fields else kind.flags  # noqa: SIM401  the class need not have it
    key = (kind, flags, tuple(shapes), tuple(places))
    definition = _DEFINITIONS.get(key)
    if definition is None:
        definition = _DEFINITIONS[key] = _flatten_any(model)[0]
    return definition, items


MOST_DEFINITIONS = 1024


@dataclass(frozen=True, eq=False)
class _Plain:
    """The tree of a component all of whose leaves are parameters, and the names of these."""

    treedef: PyTreeDef
    names: tuple[str, ...]


_PLAIN: Memory[Hashable, _Plain] = Memory(MOST_DEFINITIONS)

_DEFINITIONS: Memory[Hashable, ModelDef] = Memory(MOST_DEFINITIONS)


def _plain(content: Any) -> tuple[_Plain, list[Parameter]] | None:
    """The shape of a component and its parameters, if these are all its leaves and fields of its own."""
    kind = type(content)
    if not issubclass(kind, eqx.Module):
        return None
    fields, (leaves, statics) = fields_of(content), _field_names(kind)
    parameters: list[Any] = [fields.get(name) for name in leaves]
    for p in parameters:
        if type(p) is not Parameter:
            return None
    try:
        key = (kind, *[fields[name] for name in statics])
        found = _PLAIN.get(key)
    except (KeyError, TypeError):  # a static field that is not there, or cannot be hashed
        return None
    if found is None:
        treedef = jax.tree_util.tree_structure(content, is_leaf=is_parameter)
        names = leaf_names(treedef, (True,) * len(parameters))
        found = _PLAIN[key] = _Plain(treedef, names)
    return found, parameters


def _flatten_any(model: ModelBase) -> tuple[ModelDef, list[Item]]:
    kinds: list[tuple[Any, ...]] = []
    items: list[Item] = []
    treedefs: list[PyTreeDef | None] = []
    for part in type(model).parts:
        content = fields_of(model)[part]
        if content is None:
            treedefs.append(None)
            continue
        leaves, treedef = jax.tree_util.tree_flatten(content, is_leaf=is_parameter)
        treedefs.append(treedef)
        names = leaf_names(treedef, tuple(is_parameter(leaf) for leaf in leaves))
        for name, leaf, free in zip(names, leaves, _weights(model, part, leaves, treedef), strict=True):
            full = f"{model.name}.{part}.{name}" if name else f"{model.name}.{part}"
            if is_parameter(leaf):
                kinds.append(("parameter", leaf.scale, leaf.role))
                items.append(Item("parameter", full, leaf, part))
            elif free:
                kinds.append(("weights", np.shape(leaf)))
                items.append(Item("weights", full, leaf, part))
            elif eqx.is_array(leaf):
                kinds.append(("data", np.shape(leaf)))
                items.append(Item("data", full, leaf, part))
            else:
                kinds.append(("static", leaf))
    return ModelDef(type(model), model.flags, tuple(treedefs), tuple(kinds)), items


def canonical(model: ModelBase) -> tuple[ModelDef, list[Array]]:
    """Definition of a model and its numbers: ``definition.build(numbers)`` is the model without names and bounds."""
    definition, items = flatten(model)
    return definition, [item.content.value if item.kind == "parameter" else item.content for item in items]


def _weights(model: ModelBase, part: str, leaves: Sequence[Any], treedef: PyTreeDef) -> list[bool]:
    """For each leaf of a part of a model, whether it is a free array of a module of somebody's own."""
    found = [
        foreign and eqx.is_inexact_array(leaf)
        for leaf, foreign in zip(leaves, _foreign(fields_of(model)[part], len(leaves)), strict=True)
    ]
    held: tuple[str, ...] = getattr(model.flags, "frozen", ())
    if not held:
        return found
    names = leaf_names(treedef, tuple(is_parameter(leaf) for leaf in leaves))
    return [free and not is_at(f"{part}.{n}" if n else part, held) for free, n in zip(found, names, strict=True)]


def _foreign(content: Any, n_leaves: int) -> list[bool]:
    """For each leaf of a part of a model, whether it is of a module or function of somebody's own, so that arrays are
    weights: of all that is neither a component nor a table, and of the modules in a component."""
    if eqx.is_array(content) or not isinstance(content, ModelComponent):
        return [not eqx.is_array(content)] * n_leaves
    parts = jax.tree_util.tree_leaves(content, is_leaf=lambda x: is_parameter(x) or _is_own_module(x))
    sizes = [len(jax.tree_util.tree_leaves(x, is_leaf=is_parameter)) if _is_own_module(x) else 1 for x in parts]
    return [_is_own_module(x) for x, size in zip(parts, sizes, strict=True) for _ in range(size)]


def _is_own_module(node: Any) -> bool:
    """Whether a node of a component is a module that is not of this package, such as a neural network."""
    return isinstance(node, eqx.Module) and not isinstance(node, HintedModule)


def free_numbers(models: Iterable[ModelBase]) -> set[str]:
    """Full names of parameters, and of the numbers in free arrays."""
    return {name for model in models for item in flatten(model)[1] for name in item.numbers}


Rows = Sequence[Sequence[Sequence[int]]]
"""Which of the free parameters the numbers of each item of each model are; -1: none."""


class BuiltModels(Sequence[ModelBase]):
    """Models that are built from their definitions when they are asked for, with ``numbers(i)`` of the i-th.

    In programs most models of a catalogue are constants, and never asked for.
    """

    def __init__(self, definitions: Sequence[ModelDef], numbers: Callable[[int], Sequence[Array]]):
        self._definitions, self.numbers = definitions, numbers
        self._built: dict[int, ModelBase] = {}

    def __len__(self) -> int:
        return len(self._definitions)

    def definition(self, index: int) -> ModelDef:
        """The definition of one of them."""
        return self._definitions[index]

    def held(self, chosen: Container[int]) -> "BuiltModels":
        """The same models; nothing is differentiated along the numbers of the ``chosen`` ones."""

        def numbers(index: int) -> Sequence[Array]:
            found = self.numbers(index)
            return [jax.lax.stop_gradient(x) for x in found] if index in chosen else found

        return BuiltModels(self._definitions, numbers)

    @overload
    def __getitem__(self, index: int) -> ModelBase: ...

    @overload
    def __getitem__(self, index: slice) -> list[ModelBase]: ...

    def __getitem__(self, index: int | slice) -> ModelBase | list[ModelBase]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        if i not in self._built:
            self._built[i] = self._definitions[i].build(self.numbers(i))
        return self._built[i]


def models_of_type(models: Iterable[eqx.Module], kind: type[SomeModel]) -> list[SomeModel]:
    """The models of a class, without building those of others."""
    if not isinstance(models, BuiltModels):
        # isinstance asks the machinery of abstract classes, for each of a catalogue
        return [cast(SomeModel, m) for m in models if kind in type(m).__mro__]
    chosen = [models[i] for i, d in enumerate(models._definitions) if issubclass(d.type, kind)]
    return cast(list[SomeModel], chosen)


def free_by_default(models: Iterable[ModelBase]) -> tuple[str, ...]:
    """Full names of the parameters that the classes of the models declare free."""
    return tuple(
        item.name
        for model in models
        for item, free in zip(
            (i for i in flatten(model)[1] if i.kind == "parameter"),
            (
                free
                for part in model.components.values()
                if eqx.is_array(part) is False
                for free in _declared_free(part)
            ),
            strict=True,
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


def with_numbers(model: ModelBase, numbers: Sequence[ValueAndError]) -> ModelBase:
    """The model with new (value, error) of its parameters and new weights, in the order of its items less tables."""
    if _is_settled(model, numbers):
        return model
    given = iter(numbers)
    fields = dict(fields_of(model))
    for part in type(model).parts:
        content = fields[part]
        if content is None:
            continue
        plain = _plain(content)
        if plain is not None:
            # what thousands of background models are: flattening trees is slow
            of_content: Any = type(content)
            names, _ = _field_names(of_content)
            new_fields = {name: _with_number(p, *next(given)) for name, p in zip(names, plain[1], strict=True)}
            fields[part] = module_with(of_content, fields_of(content) | new_fields)
            continue
        leaves, treedef = jax.tree_util.tree_flatten(content, is_leaf=is_parameter)
        new: list[Any] = []
        for leaf, free in zip(leaves, _weights(model, part, leaves, treedef), strict=True):
            if is_parameter(leaf):
                new.append(_with_number(leaf, *next(given)))
            elif free:
                new.append(np.reshape(next(given)[0], np.shape(leaf)).astype(leaf.dtype))
            else:
                new.append(leaf)
        fields[part] = jax.tree_util.tree_unflatten(treedef, new)
    return type(model).resized(module_with(type(model), fields))


def _is_settled(model: ModelBase, numbers: Sequence[ValueAndError]) -> bool:
    """Whether a model is frozen, and has these numbers: what most sources of a catalogue are.

    An error of NaN says that none is known yet.
    """
    given = iter(numbers)
    fields = fields_of(model)
    for part in type(model).parts:
        if fields[part] is None:
            continue
        plain = _plain(fields[part])
        if plain is None:
            return False
        for parameter in plain[1]:
            own = fields_of(parameter)
            (value, error), now, known = next(given), own["value"], own["error"]
            # others may be traced
            if not (own["frozen"] and type(value) is float and type(now) is type(known) is np.ndarray):
                return False
            if now != value or (error == error and known != error):
                return False
    return True


def _with_number(parameter: Parameter, value: Array | float, error: Array | float) -> Parameter:
    return module_with(Parameter, fields_of(parameter) | {"value": _number(value), "error": _number(error)})


def _number(given: Array | float) -> Array:
    if type(given) is not float:
        return frozen_array(np.reshape(given, ()))
    number = np.array(given)
    number.setflags(write=False)
    return number


@remembered(256)
def _field_names(kind: type[Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the fields of a module that hold leaves, and of the static ones."""
    fields = dataclasses.fields(kind)
    static = [bool(f.metadata.get("static", False)) for f in fields]
    leaves = tuple(f.name for f, s in zip(fields, static, strict=True) if not s)
    return leaves, tuple(f.name for f, s in zip(fields, static, strict=True) if s)
