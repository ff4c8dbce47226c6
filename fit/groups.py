"""Datasets that share a program, padded and stacked: the data of a vmapped sum."""

import re
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
import numpy as np

from ..datasets.dataset import Dataset
from ..datasets.errors import InputError
from ..datasets.likelihood import SpectrumProgram
from ..datasets.map import MapBase
from ..datasets.models import Models
from ..datasets.parameter import fields_of
from ..datasets.region_map import RegionMapDataset
from ..datasets.region_staging import stage_region
from ..datasets.sky_model import SkyModel, TemplateNPredModel
from ..datasets.staging import MapProgram, stage_map
from ..datasets.structure import Structure
from .ladder import batch_rung, bins_rung, fine_rung
from .mesh import rows_at_a_time, rows_per_device
from .padding import Shape, all_same, likelihood_of, stack_equal, stack_padded
from .processes import Share, digest, owners
from .space import ParameterSpace

MERGE_SIZE = 2**18
"""Response elements (2 MB in float64) up to which groups that differ in shape only are padded to one."""


BY_MEMBER = ("own", "fixed_own", "table_own", "data_own")
"""Arrays of a group that have one row a member; of the others there is one for all."""


@dataclass(frozen=True)
class Source:
    """Where the numbers of a model item are found: ``vector`` is one of

    "fixed" / "fixed_own": constants, the same for all members / one row a member;
    "shared" / "own": global free parameters, likewise; "local": the member's own free parameters;
    "table" / "table_own": arrays that are not parameters.
    """

    vector: str
    offset: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class GroupSpec:
    """The static side of a group: everything that chooses its program.

    ``make`` builds a dataset from its arrays: the program of a spectrum, of a map, or of `Dataset.stage`.
    ``shapes_shared`` and ``shapes_own`` are the places of the parameters of spatial models among the shared and the own
    ones. ``mesh``: the devices on which the rows lie, or None; ``batch``: rows that a device takes at a time, or 0.
    """

    make: Any
    structures: tuple[Structure, ...]
    sources: tuple[tuple[Source, ...], ...]
    shared_fields: tuple[str, ...]
    n_members: int
    n_shared: int
    n_own: int
    n_local: int
    shapes_shared: tuple[int, ...] = ()
    shapes_own: tuple[int, ...] = ()
    mesh: Any = None
    batch: int = 0

    @property
    def shapes(self) -> tuple[int, ...]:
        """Places of the parameters of spatial models where the own parameters follow the shared ones."""
        return (*self.shapes_shared, *(self.n_shared + i for i in self.shapes_own))

    @property
    def sums_images(self) -> bool:
        """Whether weighted sums over the bins need images, see `StagedMap.weighted_signal`."""
        parts = self.make.parts if isinstance(self.make, MapProgram) else ()
        return any(part.kind == "source" and not part.by_transform for part in parts)


@dataclass
class Group:
    """One group: its program, its arrays (a pytree of `GroupSpec`-shaped data), and who its members are.

    ``rows`` are those that are not padding, ``members`` the indices of the datasets in them; ``locals`` (rows, n_local)
    the indices of each row's local parameters in the vector of all parameters. In ``arrays`` are the rows of this
    process.
    """

    spec: GroupSpec
    arrays: dict[str, Any]
    members: np.ndarray
    rows: np.ndarray
    locals: np.ndarray


def build_groups(
    share: Share,
    models: Models,
    space: ParameterSpace,
    global_position: np.ndarray,
    mesh: Any = None,
    batch: int | None = None,
) -> list[Group]:
    """Sort datasets into groups of one program each.

    ``global_position`` maps an index in the vector of all parameters to its place among the global free ones.

    Raises
    ------
    InputError
        if processes disagree on the models or on a dataset, or if one holds no dataset of a group.
    """
    # datasets on which the same models act have the same layout
    pieces = _pieces(space)
    of_acting = {acting: _layout([pieces[m] for m in acting]) for acting in space.acting}
    layouts = [of_acting[acting] for acting in space.acting]
    staged: dict[int, tuple[Any, dict[str, Any]]] = {}
    described = share.collect(lambda: _describe(share, models, space, layouts, staged))
    families: dict[Any, dict[Shape, list[int]]] = {}
    holders: dict[int, list[int]] = {}
    for process, (_, part) in enumerate(described):
        for index, program, shape, _ in part:
            if index not in holders:
                families.setdefault(program, {}).setdefault(shape, []).append(index)
            holders.setdefault(index, []).append(process)
    _require_agreement(share, described)
    where = _Where(share, holders, mesh, batch)
    return [
        _group(where, space, layouts, rows, shape, global_position, staged)
        for shapes in families.values()
        for shape, rows in _merged(shapes).items()
    ]


def _describe(
    share: Share, models: Models, space: ParameterSpace, layouts: list["_Layout"], staged: dict[int, Any]
) -> tuple[str, list[tuple[int, Any, Shape, str]]]:
    """Program and shape of the datasets of this process, which are staged if need be; what tells the models apart."""
    members = list(models)
    identities = _Identities()
    structure_id = [identities(m.structure) for m in space.models]
    # what only templates, and only light curves, ask of the shape
    exact = {m for m, model in enumerate(members) if type(model) is TemplateNPredModel}
    timed = {
        m for m, model in enumerate(members) if type(model) is SkyModel and fields_of(model)["temporal"] is not None
    }
    alone = share.processes == 1
    texts: dict[Any, str] = {}
    found: list[tuple[int, Any, Shape, str]] = []
    types = {type(dataset): dataset for dataset in share.held.values()}
    maps = {of for of, dataset in types.items() if isinstance(dataset, MapBase)}
    own = {of for of, dataset in types.items() if isinstance(dataset, Dataset)} - maps
    frozen = cache(partial(_frozen, space))
    for index, dataset in share.held.items():
        acting = space.acting[index]
        kind: Any = type(dataset)
        if kind in maps:
            chosen = [members[m] for m in acting]
            staged[index] = stage_map(dataset, chosen, [frozen(m) for m in acting], share.names[index])
        elif kind is RegionMapDataset:
            staged[index] = stage_region(dataset, [members[m] for m in acting], [frozen(m) for m in acting])
        elif kind in own:
            staged[index] = dataset.stage([members[m] for m in acting])
        shape = Shape(0, 0, 0)
        if kind not in own:
            shape = _shape(dataset, index in staged, not exact.isdisjoint(acting), not timed.isdisjoint(acting))
        if index in staged:
            kind = staged[index][0]
        program: Any = (kind, tuple(structure_id[m] for m in acting), layouts[index].kinds)
        if not alone:
            # some static fields are equal whatever they hold, and show where they are in memory
            program = texts.setdefault(program, re.sub(r" at 0x[0-9a-f]+", "", repr(program)))
        found.append((index, program, shape, "" if alone else digest(dataset)))
    if alone:
        return "", found
    return digest((models, space.values, space.free, space.low, space.high)) + repr(space.names), found


class _Identities:
    """Numbers for structures: equal ones have one. Most are one object, which is quicker to look up."""

    def __init__(self) -> None:
        self._of_object: dict[int, int] = {}
        self._of_equal: dict[Structure, int] = {}

    def __call__(self, structure: Structure) -> int:
        known = self._of_object.get(id(structure))
        if known is None:
            known = self._of_equal.setdefault(structure, len(self._of_equal))
            self._of_object[id(structure)] = known
        return known


def _shape(dataset: Any, staged: bool, exact: bool, timed: bool) -> Shape:
    """Shape of a dataset; with bins ``exact`` as they are, and the good time intervals if ``timed``."""
    fields = fields_of(dataset)
    n_reco, n_true = len(fields["energy_edges"]) - 1, len(fields["energy_true_edges"]) - 1
    if staged:
        return Shape(n_reco, n_true, fields["nodes"])
    # templates have as many bins as their dataset, not more
    shape = Shape(*((n_reco, n_true) if exact else (bins_rung(n_reco), bins_rung(n_true))), fields["nodes"])
    if timed:
        shape = shape._replace(intervals=np.size(dataset.gti.start))
    return shape


def _require_agreement(share: Share, described: list[Any]) -> None:
    if len({models for models, _ in described}) > 1:
        raise InputError(
            "fit: the models differ between the processes. Every process has to give the models of all datasets, in "
            "the same order and with the same start values."
        )
    known: dict[int, Any] = {}
    for _, part in described:
        for index, *what in part:
            if known.setdefault(index, what) != what:
                raise InputError(
                    f"fit: dataset {share.names[index]!r} differs between the processes that hold it. Datasets of one "
                    "name are one dataset: give different ones different names."
                )


@dataclass(frozen=True)
class _Where:
    """Which rows of a group are where: processes, devices, batches."""

    share: Share
    holders: dict[int, list[int]]
    mesh: Any
    batch: int | None

    def rows(self, members: list[int], arrays: dict[str, Any] | None) -> tuple[list[list[int]], int, int]:
        """The members of each process, the rows of each, and how many of them a device takes at a time; ``arrays`` of
        one member where it is a map."""
        processes = self.share.processes
        owner = owners(members, self.holders, processes)
        parts = [[m for m in members if owner[m] == process] for process in range(processes)]
        devices = 1 if self.mesh is None else self.mesh.size // processes
        n = -(-max(map(len, parts)) // devices)
        fitting = None if arrays is None else rows_at_a_time(arrays, self.mesh)
        n = batch_rung(n) if fitting is None or fitting >= n or self.batch is not None else fine_rung(n)
        rows, batch = rows_per_device(n, fitting if self.batch is None else self.batch)
        return parts, rows * devices, batch


def _frozen(space: ParameterSpace, model: int) -> tuple[bool, bool]:
    """Whether a model is frozen as a whole, and whether its spatial part is."""
    entry = space.models[model]
    free = [e is not None and bool(np.any(space.free[e])) for e in entry.entries]
    return not any(free), not any(f and s for f, s in zip(free, _of_shape(space, model), strict=True))


def _merged(shapes: dict[Shape, list[int]]) -> dict[Shape, list[int]]:
    """Small groups that differ in shape only, padded to one: a program more costs a second to compile."""
    if len(shapes) == 1:
        return shapes
    largest = Shape(*(max(column) for column in zip(*shapes, strict=True)))
    rows = sorted(row for members in shapes.values() for row in members)
    separate = sum(len(members) * shape.n_reco * shape.n_true for shape, members in shapes.items())
    together = len(rows) * largest.n_reco * largest.n_true
    return {largest: rows} if together <= max(MERGE_SIZE, 1.25 * separate) else shapes


@dataclass
class _Layout:
    """Numbers of one dataset's models: kinds of the items (static) and indices in the vector of all parameters."""

    kinds: tuple[tuple[str, int, int], ...]
    fixed: list[int]
    globals: list[int]
    locals: list[int]


def _pieces(space: ParameterSpace) -> list[list[tuple[str, int, list[int]]]]:
    """For each item of each model the kind of its numbers, the first of them, and all."""
    free, owner = space.free.tolist(), space.owner.tolist()

    def piece(entries: np.ndarray | None) -> tuple[str, int, list[int]]:
        if entries is None:
            return "table", -1, []
        indices = entries.tolist()
        first = indices[0] if indices else -1
        if first < 0 or not free[first]:
            return "fixed", first, indices
        return "global" if owner[first] < 0 else "local", first, indices

    return [[piece(entries) for entries in model.entries] for model in space.models]


def _layout(pieces: list[list[tuple[str, int, list[int]]]]) -> _Layout:
    kinds: list[tuple[str, int, int]] = []
    vectors: dict[str, list[int]] = {"table": [], "fixed": [], "global": [], "local": []}
    for of_model in pieces:
        for kind, first, indices in of_model:
            vector = vectors[kind]
            if kind == "local" and first in vector:
                # linked within the dataset: one local parameter in two places
                kinds.append((kind, vector.index(first), len(indices)))
                continue
            kinds.append((kind, len(vector), len(indices)))
            vector += indices
    return _Layout(tuple(kinds), vectors["fixed"], vectors["global"], vectors["local"])


def _group(
    where: _Where,
    space: ParameterSpace,
    layouts: list[_Layout],
    members: list[int],
    shape: Shape,
    global_position: np.ndarray,
    staged: dict[int, tuple[Any, dict[str, Any]]],
) -> Group:
    share, layout = where.share, layouts[members[0]]
    if any(not any(process in where.holders[m] for m in members) for process in range(share.processes)):
        raise InputError(
            f"fit: {share.names[members[0]]!r} and its like, {len(members)} datasets, are not held by all processes. "
            "Give each process one of them at least; a dataset that several processes hold under one name counts once."
        )
    known = [m for m in members if m in share.held][:1]
    is_map = isinstance(share.held[known[0]], MapBase)
    parts, n_rows, batch = where.rows(members, staged[known[0]][1] if is_map else None)
    # the others of a group that this process holds are padding here
    held = parts[share.process] or known
    padded = [m for part in parts for m in part + [members[0]] * (n_rows - len(part))]
    total = len(padded)
    fixed = np.array([layouts[r].fixed for r in padded], int).reshape(total, -1)
    global_ = global_position[np.array([layouts[r].globals for r in padded], int).reshape(total, -1)]
    locals_ = np.array([layouts[r].locals for r in padded], int).reshape(total, -1)
    fixed_values = space.values[fixed]
    traced = isinstance(fixed_values, jax.Array)
    fixed_same = np.all(fixed == fixed[:1], axis=0) if traced else np.all(fixed_values == fixed_values[:1], axis=0)
    global_same = np.all(global_ == global_[:1], axis=0)

    here = slice(share.process * n_rows, (share.process + 1) * n_rows)
    arrays: dict[str, Any] = {
        "fixed": fixed_values[0][fixed_same],
        "fixed_own": fixed_values[here, ~fixed_same],
        "shared": global_[0][global_same],
        "own": global_[here, ~global_same],
    }
    tables, tables_own, sources = _sources(space, padded, layout, fixed_same, global_same)
    arrays["table"], arrays["table_own"] = tables, [table[here] for table in tables_own]
    if held[0] in staged:
        make: Any = staged[held[0]][0]
        per_member, fill = [staged[r][1] for r in held], stack_equal
    else:
        first = share.held[held[0]]
        make = SpectrumProgram(type(first), shape.nodes)
        per_member, fill = likelihood_of([share.held[r] for r in held], shape), partial(stack_padded, shape)
    shared_fields = _shared(share, per_member, most=64 if held[0] in staged else None)
    data = fill(per_member, n_rows, shared_fields)
    if not parts[share.process]:
        data["mask_safe"] = data["mask_safe"] & False
    arrays["data"] = {k: v for k, v in data.items() if k in shared_fields}
    arrays["data_own"] = {k: v for k, v in data.items() if k not in shared_fields}
    shapes = _shapes(space, space.acting[members[0]], sources, int((~global_same).sum()))
    spec = GroupSpec(
        make=make,
        structures=tuple(space.models[m].structure for m in space.acting[members[0]]),
        sources=sources,
        shared_fields=shared_fields,
        n_members=total,
        n_shared=int(global_same.sum()),
        n_own=int((~global_same).sum()),
        n_local=locals_.shape[1],
        shapes_shared=shapes[0],
        shapes_own=shapes[1],
        mesh=where.mesh,
        batch=batch,
    )
    rows = np.concatenate([n_rows * i + np.arange(len(part)) for i, part in enumerate(parts)])
    return Group(spec, arrays, np.array([m for part in parts for m in part]), rows, locals_)


def _shared(share: Share, per_member: list[dict[str, Any]], most: int | None) -> tuple[str, ...]:
    """The fields in which all members, of all processes, have the same; see `all_same` for ``most``."""
    same = {
        field: value
        for field, value in per_member[0].items()
        if field != "mask_safe" and all_same([m[field] for m in per_member], most)
    }
    if share.processes == 1:
        return tuple(same)
    present = share.collect(lambda: {field: digest(value) for field, value in same.items()})
    return tuple(k for k in same if len({part.get(k) for part in present}) == 1)


def _shapes(
    space: ParameterSpace, acting: tuple[int, ...], sources: tuple[tuple[Source, ...], ...], n_own: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Places of the parameters of spatial models among the shared, and among the own and local ones."""
    shared: set[int] = set()
    own: set[int] = set()
    for model, of_model in zip(acting, sources, strict=True):
        for spatial, source in zip(_of_shape(space, model), of_model, strict=True):
            if spatial and source.vector in ("shared", "own", "local"):
                start = source.offset + (n_own if source.vector == "local" else 0)
                places = range(start, start + int(np.prod(source.shape)))
                (shared if source.vector == "shared" else own).update(places)
    return tuple(sorted(shared)), tuple(sorted(own))


def _of_shape(space: ParameterSpace, model: int) -> list[bool]:
    """Which items of a model belong to its spatial part."""
    entry = space.models[model]
    return [item.name.startswith(f"{entry.name}.spatial.") for item in entry.items]


def _sources(
    space: ParameterSpace, rows: list[int], layout: _Layout, fixed_same: np.ndarray, global_same: np.ndarray
) -> tuple[list[Any], list[Any], tuple[tuple[Source, ...], ...]]:
    """Tables of the models (one for all members where they share it), and where each item's numbers are found."""
    tables: list[Any] = []
    tables_own: list[Any] = []
    sources: list[tuple[Source, ...]] = []
    kinds = iter(layout.kinds)
    for place, model in enumerate(space.acting[rows[0]]):
        of_model: list[Source] = []
        for number, item in enumerate(space.models[model].items):
            kind, offset, size = next(kinds)
            shape = np.shape(item.content) if item.kind != "parameter" else ()
            if kind == "table":
                contents = [space.models[space.acting[r][place]].items[number].content for r in rows]
                if all(c is contents[0] for c in contents):
                    of_model.append(Source("table", len(tables), shape))
                    tables.append(contents[0])
                else:
                    of_model.append(Source("table_own", len(tables_own), shape))
                    tables_own.append(np.stack(contents))
                continue
            if kind == "local":
                of_model.append(Source("local", offset, shape))
                continue
            same = fixed_same if kind == "fixed" else global_same
            names = ("fixed", "fixed_own") if kind == "fixed" else ("shared", "own")
            # arrays of one item are consecutive and either all shared or all not
            is_same = bool(same[offset]) if size else True
            of_model.append(Source(names[0 if is_same else 1], int(np.sum(same[:offset] == is_same)), shape))
        sources.append(tuple(of_model))
    return tables, tables_own, tuple(sources)
