"""The parameters of a joint fit as vectors: which are free, which are one, and on which datasets each acts."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import jax
import numpy as np

from ...datasets.arrays import Array, fields_of
from ...datasets.errors import InputError, closest, listed, warn
from ...datasets.models.collection import Models
from ...datasets.models.flatten import Item, ModelDef, flatten
from ...datasets.models.instrument import InstrumentModel
from ...datasets.models.parameter import Parameter, bounds_of
from ...datasets.models.population import PopulationModel, full_names, require_unit


@dataclass
class ModelEntry:
    """One model, flattened; ``entries[i]`` are the indices of item i in the vector of all parameters."""

    name: str
    definition: ModelDef
    items: list[Item]
    entries: list[np.ndarray | None]


@dataclass
class ParameterSpace:
    """All distinct parameters of ``models``, linked ones once, and the models that act on each dataset.

    ``values`` has shape (n,), ``roles`` are what models declare (none for arrays of own modules), ``free`` says
    which of them a fit changes; ``owner`` is the dataset on which a parameter acts if it is one only (a *local*
    parameter), else -1 (a *global* one). ``populations`` are the places (n + 2,) of the members, the mean and the width
    of each hierarchical prior.
    """

    names: list[str] = field(default_factory=list)
    parameters: list[Parameter | None] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    values: Array = field(default_factory=lambda: np.zeros(0))
    free: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    owner: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    low: np.ndarray = field(default_factory=lambda: np.zeros(0))
    high: np.ndarray = field(default_factory=lambda: np.zeros(0))
    models: list[ModelEntry] = field(default_factory=list)
    acting: list[tuple[int, ...]] = field(default_factory=list)
    populations: list[np.ndarray] = field(default_factory=list)

    @property
    def free_index(self) -> np.ndarray:
        return np.flatnonzero(self.free)

    def index_of(self, names: Iterable[str]) -> np.ndarray:
        """Places of parameters by full name, of linked ones and of numbers in arrays too."""
        place = self.places()
        return np.array([place[name] for name in names], int)

    def places(self) -> dict[str, int]:
        """Places of all numbers by full name."""
        return {
            name: int(entry)
            for model in self.models
            for item, entries in zip(model.items, model.entries, strict=True)
            if entries is not None
            for name, entry in zip(item.numbers, entries, strict=True)
        }

    @property
    def free_names(self) -> list[str]:
        return [self.names[i] for i in self.free_index]


def parameter_space(models: Models, dataset_names: tuple[str, ...]) -> ParameterSpace:
    """Lay out the parameters of ``models`` for datasets of these names."""
    space = ParameterSpace()
    values: list[Array] = []
    links: dict[str, int] = {}
    for model in models.models:
        definition, items = flatten(model)
        entries = [_register(space, values, links, item) for item in items]
        space.models.append(ModelEntry(fields_of(model)["name"], definition, items, entries))
    traced = any(type(v) is not np.ndarray and isinstance(v, jax.Array) for v in values)
    space.values = jax.numpy.stack([jax.numpy.asarray(v) for v in values]) if traced else np.array(values, float)
    fields = [None if p is None else fields_of(p) for p in space.parameters]
    space.free = np.array([f is None or not f["frozen"] for f in fields], bool)
    space.roles = ["" if f is None else f["role"] for f in fields]
    bounds = [(-np.inf, np.inf) if p is None else bounds_of(p) for p in space.parameters]
    space.low, space.high = np.array(bounds, float).reshape(-1, 2).T
    # sizes are not negative, also where a file says nothing about it
    size = np.array([role in ("width", "radius") for role in space.roles], bool)
    for entry in space.models:
        if entry.definition.type is InstrumentModel:
            # nor are factors of responses
            for index in entry.entries:
                if index is not None:
                    size[index] |= [space.roles[i] == "norm" for i in index]
    space.low[size] = np.maximum(space.low[size], np.minimum(0.0, space.high[size]))
    space.acting = _acting(models, dataset_names)
    space.owner = _owners(space)
    for penalty in fields_of(models)["penalties"]:
        # they tie parameters of several datasets together
        space.owner[space.index_of(penalty.names)] = -1
    space.populations = [_population(space, m) for m in models.models if isinstance(m, PopulationModel)]
    for index in space.populations:
        space.owner[index] = -1
    return space


def _population(space: ParameterSpace, model: PopulationModel) -> np.ndarray:
    """Places of the members, the mean and the width."""
    place = space.places()
    names = full_names(model, place)
    index = [place[n] for n in (*names, f"{model.name}.distribution.mean", f"{model.name}.distribution.width")]
    if len(set(index)) < len(index):
        raise InputError(
            f"PopulationModel {model.name!r}: a parameter is there twice among its members, its mean and its width: "
            "some of them are linked. Name each once."
        )
    found = {n: space.parameters[i] for n, i in zip(names, index, strict=False)}
    require_unit(model, {n: "" if p is None else p.unit for n, p in found.items()})
    return np.array(index, int)


def _register(space: ParameterSpace, values: list[Array], links: dict[str, int], item: Item) -> np.ndarray | None:
    """Add an item's numbers to the space; their indices, or None for tables."""
    kind, name, content, _ = item
    if kind == "data":
        return None
    if kind == "weights":
        start, size = len(values), int(np.size(content))
        flat = content.reshape(-1)
        values.extend(flat[i] for i in range(size))
        space.names.extend(item.numbers)
        space.parameters.extend([None] * size)
        return np.arange(start, start + size)
    parameter: Parameter = content
    fields = fields_of(parameter)
    link = fields["link"]
    if link is not None and link in links:
        index = links[link]
        first = space.parameters[index]
        assert first is not None
        if (first.unit, first.scale) != (parameter.unit, parameter.scale):
            raise InputError(
                f"Parameters {space.names[index]} ({first.unit!r}) and {name} ({parameter.unit!r}) are linked by "
                f"{parameter.link!r} but have different units. Give both the same unit."
            )
        _check_link(space.names[index], first, name, parameter)
        return np.array([index])
    index = len(values)
    if link is not None:
        links[link] = index
    values.append(fields["value"])
    space.names.append(name)
    space.parameters.append(parameter)
    return np.array([index])


def _check_link(first: str, lead: Parameter, name: str, parameter: Parameter) -> None:
    """Parameters with one label have to be one, else it is unknown which of them is meant."""
    for what in ("frozen", "min", "max", "prior", "value"):
        one, two = getattr(lead, what), getattr(parameter, what)
        concrete = isinstance(one, np.ndarray) and isinstance(two, np.ndarray)
        if (concrete or what != "value") and one != two:
            raise InputError(
                f"Parameters {first} and {name} are linked by {parameter.link!r} but differ in {what}: {one} and "
                f"{two}. Make them one with models.link({first!r}, {name!r})."
            )


def _acting(models: Models, dataset_names: tuple[str, ...]) -> list[tuple[int, ...]]:
    """For each dataset the indices of the models that act on it."""
    position = {name: i for i, name in enumerate(dataset_names)}
    acting: list[list[int]] = [[] for _ in dataset_names]
    strange: set[str] = set()
    for i, model in enumerate(models.models):
        if not model.predicts:
            continue
        names = fields_of(model)["datasets_names"]
        if names is None:
            chosen = list(range(len(dataset_names)))
        else:
            chosen = sorted({position[n] for n in names if n in position})
        if not chosen:
            wanted = ", ".join(model.datasets_names or ())
            raise InputError(
                f"Model {model.name!r} selects no dataset: it names {wanted or 'none'}, and the datasets are "
                f"{', '.join(dataset_names[:10])}{' ...' if len(dataset_names) > 10 else ''}. "
                "Correct datasets_names, or remove the model."
            )
        if names is not None and len(chosen) < min(len(set(names)), len(dataset_names)):
            strange |= {n for n in names if n not in position}
        for j in chosen:
            acting[j].append(i)
    # a model that acts on all datasets may name others that were left out
    if strange:
        warn(
            f"datasets_names of the models name {listed(sorted(strange))}, beside datasets that are there: no such "
            f"dataset is. {closest(min(strange), dataset_names, 'datasets')}"
        )
    return [tuple(a) for a in acting]


def _owners(space: ParameterSpace) -> np.ndarray:
    """The dataset on which each parameter acts if it is one only, else -1."""
    n = len(space.names)
    if len(space.acting) == 1:
        # with a single dataset there is nothing to tell apart
        return np.full(n, -1)
    single = [-2] * len(space.models)
    for dataset, chosen in enumerate(space.acting):
        for model in chosen:
            single[model] = dataset if single[model] == -2 else -1
    pairs = [
        (entries, owner)
        for owner, entry in zip(single, space.models, strict=True)
        for entries in entry.entries
        if entries is not None
    ]
    if not pairs:
        return np.full(n, -1)
    index = np.concatenate([entries for entries, _ in pairs])
    owners = np.repeat([owner for _, owner in pairs], [len(entries) for entries, _ in pairs])
    least, most = np.full(n, len(space.acting)), np.full(n, -2)
    np.minimum.at(least, index, owners)
    np.maximum.at(most, index, owners)
    return np.where(least == most, most, -1)
