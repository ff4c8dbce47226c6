"""The container of models."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import numpy as np

from ..arrays import differ, fields_of, module_with
from ..errors import InputError, closest, listed, place_of
from ..hints.modules import HintedModule
from ..io.fits import naming
from ..io.paths import Filename, as_path, write_files
from ..io.yaml import load_yaml
from ..shown import robust
from ..units import Given, to_unit
from .component import Section
from .flatten import ValueAndError, flatten, free_by_default, free_numbers, with_numbers
from .links import check_links, check_units
from .parameter import Parameter, is_parameter, placed
from .parameters import NUMBERS, Parameters, parameter_html
from .penalty import GaussianPriorPenalty, in_full, read_penalties
from .sky_model import ModelBase, SkyModel
from .spatial.extent import Rungs
from .yaml.models import components_contents, components_from_dict, components_to_dict

if TYPE_CHECKING:
    pass

Changes = dict[str, dict[str, Any]]
"""New fields of parameters by full name."""


class Models(HintedModule):
    """Models by name, in order. Immutable; every method that changes something returns a new container.

    ``penalties`` are priors on several parameters of theirs; where some of the models are taken, those stay of which
    all parameters are among them. Sums with lists and ``Models([models, model])`` keep them; ``list(models)`` warns.
    """

    models: tuple[Any, ...]
    penalties: tuple[GaussianPriorPenalty, ...]

    def __init__(
        self,
        models: "Iterable[ModelBase] | ModelBase" = (),
        penalties: Iterable[GaussianPriorPenalty] | GaussianPriorPenalty | None = None,
    ) -> None:
        given: Any = models.models if isinstance(models, Models) else models
        if penalties is None:
            penalties = models.penalties if isinstance(models, Models) else ()
        single = isinstance(given, eqx.Module) or not isinstance(given, Iterable)
        self.models = (given,) if single else tuple(given)
        # containers among the models are their models, with their penalties
        own = (penalties,) if isinstance(penalties, GaussianPriorPenalty) else tuple(penalties)
        own += tuple(p for m in self.models if isinstance(m, Models) for p in m.penalties)
        self.models = tuple(x for m in self.models for x in (m.models if isinstance(m, Models) else (m,)))
        self.penalties = in_full(own, self.parameters.full_name, free_numbers(self.models)) if own else ()

    def __check_init__(self) -> None:
        for model in self.models:
            if not isinstance(model, ModelBase):
                raise InputError(
                    f"Models: found {type(model).__name__}, expected models such as SkyModel or FoVBackgroundModel. "
                    "Wrap a spectrum as SkyModel(spectral=..., name=...)."
                )
        names = self.names
        if len(set(names)) < len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise InputError(f"Models: the name {twice!r} is there twice; names must be unique.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(fields_of(m)["name"] for m in self.models)

    def __len__(self) -> int:
        return len(self.models)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.models)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self.names:
                raise InputError(f"Models: there is no model {key!r}. {closest(key, self.names)}")
            return self.models[self.names.index(key)]
        found = self.models[key if isinstance(key, slice) else place_of(key, len(self), "Models")]
        return _some(self, found) if isinstance(key, slice) else found

    def __add__(self, other: "Models | ModelBase | Iterable[ModelBase]") -> "Models":
        more = Models(other)
        return Models(self.models + more.models, self.penalties + more.penalties)

    def __radd__(self, other: "ModelBase | Iterable[ModelBase]") -> "Models":
        """``[model] + models``, with the penalties."""
        return Models(other) + self

    def acting_on(self, dataset_name: str | None) -> "Models":
        """The models that act on a dataset of this name.

        Without a name all models must act everywhere, else it is unknown which of them are meant.
        """
        if dataset_name is not None:
            chosen = [m for m in self.models if (n := fields_of(m)["datasets_names"]) is None or dataset_name in n]
            return self if len(chosen) == len(self.models) else _some(self, chosen)
        acting = [m for m in self.models if m.predicts]
        for m in (m for m in acting if m.datasets_names is not None):
            raise InputError(
                f"Model {m.name!r} acts on the datasets {listed(m.datasets_names)} only, and the dataset at hand "
                "has no name. Give it: name='...' (names are the keys of Datasets)."
            )
        return self if len(acting) == len(self.models) else _some(self, acting)

    def select(
        self,
        name_substring: str | None = None,
        datasets_names: str | Iterable[str] | None = None,
        tag: str | Iterable[str] | None = None,
        frozen: bool | None = None,
    ) -> "Models":
        """The models that meet every given condition.

        ``name_substring`` is part of the name; ``datasets_names``: the model acts on one of these datasets; ``tag``:
        the model or its spectrum is of one of these types (``"fov-bkg"``, ``"PowerLawSpectralModel"``); ``frozen``:
        all its parameters are frozen, or not all.
        """
        if name_substring is not None and not isinstance(name_substring, str):
            raise InputError(
                f"Models.select: name_substring must be a part of a name, found {name_substring!r}. Models of given "
                "names: gj.Models([models[name] for name in names])."
            )
        datasets_names = [datasets_names] if isinstance(datasets_names, str) else datasets_names
        tags = {tag} if isinstance(tag, str) else None if tag is None else set(tag)

        def chosen(model: ModelBase) -> bool:
            own = {*model.tag, *(t for part in _parts(model, "spectral") for t in getattr(part, "tag", ()))}
            return (
                (name_substring is None or name_substring in model.name)
                and (datasets_names is None or any(model.acts_on(name) for name in datasets_names))
                and (tags is None or bool(tags & own))
                and (frozen is None or frozen == all(p.frozen for p in Models(model).parameters.values()))
            )

        return _some(self, [m for m in self.models if chosen(m)])

    @property
    def parameters(self) -> Parameters:
        """All parameters by full name.

        Free arrays of foreign modules are not in it: they have no unit, bound or prior.
        """
        return Parameters(
            {item.name: item.content for model in self.models for item in flatten(model)[1] if item.kind == "parameter"}
        )

    def with_parameter(self, name: str, **changes: Any) -> "Models":
        """A copy in which one parameter has changed fields: ``value`` (number or Quantity), ``frozen``, ``min``, ...

        ``name`` is a full name, or its unambiguous ending. A linked parameter changes wherever it is linked, except
        with ``link=None``, which takes the named one out of the link.
        """
        parameters = self.parameters
        full = parameters.full_name(name)
        if changes.get("link") is not None:
            raise InputError(f"{full}: link parameters with models.link({full!r}, ...), so that they share one value.")
        if "link" in changes:
            return _mapped(self, {full: changes})
        return _changed(self, {full: changes}, parameters)

    def with_values(self, values: Mapping[str, Given], errors: Mapping[str, Given] | None = None) -> "Models":
        """A copy with new values (numbers in each parameter's unit, or Quantities) and, where given, errors, by name.

        The value of a linked parameter is taken over wherever it is linked.
        """
        parameters = self.parameters
        changes: Changes = {}
        for field, given in (("value", values), ("error", errors or {})):
            for name, number in given.items():
                changes.setdefault(parameters.full_name(name), {})[field] = number
        return _changed(self, changes, parameters)

    def with_numbers(self, numbers: Sequence[Sequence[ValueAndError]]) -> "Models":
        """A copy with new (value, error) of every item of every model, in the order of its items, tables left out.

        The fast path for fits: no names are looked up, and nothing but numbers changes.
        """
        new = [with_numbers(model, of_model) for model, of_model in zip(self.models, numbers, strict=True)]
        return _unchecked(self, new)

    def with_image_margins(self, rungs: Mapping[str, Rungs | None] | None = None) -> "Models":
        """A copy whose images are so large that free sizes can change in a fit; ``rungs``: `Dataset.image_rungs` of
        the datasets, by name, of which those that a source acts on count."""
        placed = (type(m) is SkyModel and m.spatial is not None for m in self.models)
        # through the class: on an instance, equinox makes a module of a method, for each of a catalogue
        new = (SkyModel.with_room(m, rungs or {}) if there else m for m, there in zip(self.models, placed, strict=True))
        return _unchecked(self, new)

    def link(self, first: str, *others: str) -> "Models":
        """A copy in which the named parameters are one, with the value, bounds and prior of the first.

        Parameters that are linked with one of them already stay linked.
        """
        parameters = self.parameters
        names = [parameters.full_name(name) for name in (first, *others)]
        lead = parameters[names[0]]
        labels = {parameters[name].link for name in names} - {None}
        group = [n for n, p in parameters.items() if n in names or p.link in labels]
        for name in group:
            p = parameters[name]
            if p.unit != lead.unit or p.scale != lead.scale:
                raise InputError(
                    f"link: {name} is in {p.unit!r} and {names[0]} in {lead.unit!r}; linked parameters need one unit."
                )
        label = lead.link or names[0]
        taken = {p.link for n, p in parameters.items() if n not in group}
        while label in taken:
            label += "'"
        linked = lead.replace(link=label)
        return _mapped(self, dict.fromkeys(group, linked))

    def freeze(self, *names: str) -> "Models":
        """A copy with the named parameters frozen; all without names."""
        return _flagged(self, names, True)

    def unfreeze(self, *names: str) -> "Models":
        """A copy with the named parameters free; without names those that are free by default (no reference energy)."""
        return _flagged(self, names or free_by_default(self.models), False)

    @classmethod
    def read(cls, filename: Filename) -> "Models":
        """Read models from a YAML file as gammapy writes it; see `read_components`."""
        path = as_path(filename)
        return cls.from_dict(load_yaml(path), str(path), path.parent)

    def write(self, filename: Filename, overwrite: bool = False) -> None:
        """Write models as YAML that gammapy reads, completely or not at all; see `components_contents`."""
        write_files(self.contents(filename), overwrite=overwrite)

    def contents(self, filename: Filename) -> dict[Path, bytes]:
        """What `write` writes, by path."""
        check_links(self.parameters)
        return components_contents(self, filename)

    @classmethod
    def from_dict(cls, data: Section, where: str = "models", base_path: Filename = ".") -> "Models":
        """Models from the content of a YAML file; see `components_from_dict`."""
        models = components_from_dict(data, where, base_path)
        penalties = read_penalties(data["penalties"], where) if "penalties" in data else ()
        with naming(where):
            return cls(models, penalties)

    def to_dict(self) -> Section:
        """The content of the YAML file of the models."""
        check_links(self.parameters)
        return components_to_dict(self)

    @robust
    def __repr__(self) -> str:
        lines = []
        for model in self.models:
            where = f" on {', '.join(model.datasets_names)}" if model.datasets_names else ""
            kinds = [type(part).__name__ for part in _parts(model, "spectral")]
            lines.append(f"{type(model).__name__} {model.name!r}: {', '.join(kinds)}{where}")
            for item in flatten(model)[1]:
                content = repr(item.content) if item.kind == "parameter" else f"{item.kind} {np.shape(item.content)}"
                lines.append(f"  {item.name.removeprefix(model.name + '.')}: {content}")
        return "\n".join(lines) or "Models()"

    @robust
    def _repr_html_(self) -> str:
        return parameter_html(self.parameters)


# Functions and not methods: equinox builds a module that holds the whole container for every method that is looked up.


def _parts(model: ModelBase, word: str) -> list[Any]:
    """The component of a model that goes by ``word``, or all if there is none of this name."""
    components = model.components
    return [components[word]] if word in components else list(components.values())


def _flagged(models: Models, names: tuple[str, ...], frozen: bool) -> Models:
    parameters = models.parameters
    full = [parameters.full_name(name) for name in names] if names or not frozen else parameters.names
    return _changed(models, {name: {"frozen": frozen} for name in full}, parameters)


def _changed(models: Models, changes: Changes, parameters: Parameters) -> Models:
    """Change fields of parameters by full name, and of those linked with them."""
    shared: Changes = {}
    for name, fields in changes.items():
        label = parameters[name].link
        if label is None:
            continue
        known = shared.setdefault(label, {})
        for field, content in fields.items():
            if field in NUMBERS:
                content = to_unit(content, parameters[name].unit, f"{name}: {field}")
            if field in known and differ(content, known[field]):
                raise InputError(
                    f"{name}: it is linked (as {label!r}) with a parameter that is given another {field}, "
                    f"{known[field]} and not {content}. Give one of them."
                )
            known[field] = content
    if shared:
        check_units(parameters, shared)
        by_label = {n: shared[p.link] for n, p in parameters.items() if p.link in shared}
        changes = {**changes, **by_label}
    return _mapped(models, changes)


def _mapped(models: Models, changes: Mapping[str, Any]) -> Models:
    """Change parameters by full name: new fields, or a whole new `Parameter`."""
    new = []
    for model in models.models:
        names = [item.name for item in flatten(model)[1] if item.kind == "parameter"]
        if not any(name in changes for name in names):
            new.append(model)
            continue
        leaves, treedef = jax.tree_util.tree_flatten(model, is_leaf=is_parameter)
        ordered = iter(names)
        leaves = [_new(changes, next(ordered), leaf) if is_parameter(leaf) else leaf for leaf in leaves]
        new.append(type(model).resized(jax.tree_util.tree_unflatten(treedef, leaves)))
    return _unchecked(models, new)


def _unchecked(before: Models, models: Iterable[ModelBase]) -> Models:
    """Models whose names and types are as before: the checks of a constructor cost as much as changing them."""
    return module_with(Models, {"models": tuple(models), "penalties": fields_of(before)["penalties"]})


def _some(models: Models, chosen: Iterable[ModelBase]) -> Models:
    """Some of the models, with the penalties on parameters that are all among theirs."""
    new = Models(chosen)
    if not models.penalties:
        return new
    known = free_numbers(new.models)
    return Models(new.models, [p for p in models.penalties if known >= set(p.names)])


def _new(changes: Mapping[str, Any], name: str, parameter: Parameter) -> Parameter:
    change = changes.get(name)
    if change is None:
        return parameter
    if is_parameter(change):
        return placed(change, parameter)
    try:
        # through the class: equinox builds a module for every method that is looked up on an instance
        return Parameter.replace(parameter, **change)
    except InputError as error:
        raise InputError(f"{name}: {str(error).removeprefix('Parameter: ')}") from error
