"""Datasets that share a program, padded and stacked: the data of a vmapped sum."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..datasets.container import Datasets
from ..datasets.dataset import Dataset
from ..datasets.likelihood import LIKELIHOOD_AXES, SpectrumProgram, likelihood_arrays
from ..datasets.map import MapBase
from ..datasets.models import Models
from ..datasets.sky_model import SkyModel, TemplateNPredModel
from ..datasets.staging import stack_rows, stage_map
from ..datasets.structure import Structure
from .ladder import batch_rung, bins_rung
from .space import ParameterSpace

MERGE_SIZE = 2**18
"""Response elements (2 MB in float64) up to which groups that differ in shape only are padded to one."""


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
    ones.
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


@dataclass
class Group:
    """One group: its program, its arrays (a pytree of `GroupSpec`-shaped data), and who its members are.

    ``members`` are the indices of the datasets in the rows that are not padding; ``locals`` (rows, n_local) the indices
    of each row's local parameters in the vector of all parameters.
    """

    spec: GroupSpec
    arrays: dict[str, Any]
    members: np.ndarray
    locals: np.ndarray


class _Shape(NamedTuple):
    n_reco: int
    n_true: int
    nodes: int
    intervals: int = 0

    def size(self, axis: str) -> int:
        """Length of an axis by its name in `LIKELIHOOD_AXES`."""
        if axis == "intervals":
            return self.intervals
        n = self.n_true if axis.startswith("energy_true") else self.n_reco
        return n + 1 if axis.endswith("edges") else n


def build_groups(datasets: Datasets, models: Models, space: ParameterSpace, global_position: np.ndarray) -> list[Group]:
    """Sort datasets into groups of one program each.

    ``global_position`` maps an index in the vector of all parameters to its place among the global free ones.
    """
    members = list(models)
    frozen = [_frozen(space, m) for m in range(len(members))]
    staged: dict[int, tuple[Any, dict[str, Any]]] = {}
    identities: dict[Structure, int] = {}
    structure_id = [identities.setdefault(m.structure, len(identities)) for m in space.models]
    families: dict[tuple[Any, ...], dict[_Shape, list[int]]] = {}
    # datasets on which the same models act have the same layout
    of_acting: dict[tuple[int, ...], _Layout] = {}
    layouts: list[_Layout] = []
    for index, (dataset, acting) in enumerate(zip(datasets, space.acting, strict=True)):
        if acting not in of_acting:
            of_acting[acting] = _layout(space, acting)
        layout = of_acting[acting]
        layouts.append(layout)
        kind: Any = type(dataset)
        if isinstance(dataset, MapBase):
            chosen = [members[m] for m in acting]
            staged[index] = stage_map(dataset, chosen, [frozen[m] for m in acting], datasets.names[index])
            kind = staged[index][0]
        elif isinstance(dataset, Dataset):
            staged[index] = dataset.stage([members[m] for m in acting])
            kind = staged[index][0]
        program = (kind, tuple(structure_id[m] for m in acting), layout.kinds)
        if isinstance(dataset, Dataset):
            families.setdefault(program, {}).setdefault(_Shape(0, 0, 0), []).append(index)
            continue
        fields = vars(dataset)
        n_reco, n_true = len(fields["energy_edges"]) - 1, len(fields["energy_true_edges"]) - 1
        # templates have as many bins as their dataset, not more
        exact = any(isinstance(members[m], TemplateNPredModel) for m in acting)
        shape = _Shape(*((n_reco, n_true) if exact else (bins_rung(n_reco), bins_rung(n_true))), fields["nodes"])
        if index in staged:
            shape = _Shape(n_reco, n_true, fields["nodes"])
        elif any(isinstance(members[m], SkyModel) and members[m].temporal is not None for m in acting):
            shape = shape._replace(intervals=np.size(dataset.gti.start))
        families.setdefault(program, {}).setdefault(shape, []).append(index)
    return [
        _group(datasets, space, layouts, rows, shape, global_position, staged)
        for shapes in families.values()
        for shape, rows in _merged(shapes).items()
    ]


def _frozen(space: ParameterSpace, model: int) -> tuple[bool, bool]:
    """Whether a model is frozen as a whole, and whether its spatial part is."""
    entry = space.models[model]
    free = [e is not None and bool(np.any(space.free[e])) for e in entry.entries]
    return not any(free), not any(f and s for f, s in zip(free, _of_shape(space, model), strict=True))


def _merged(shapes: dict[_Shape, list[int]]) -> dict[_Shape, list[int]]:
    """Small groups that differ in shape only, padded to one: a program more costs a second to compile."""
    if len(shapes) == 1:
        return shapes
    largest = _Shape(*(max(column) for column in zip(*shapes, strict=True)))
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


def _layout(space: ParameterSpace, acting: tuple[int, ...]) -> _Layout:
    kinds: list[tuple[str, int, int]] = []
    vectors: dict[str, list[int]] = {"fixed": [], "global": [], "local": []}
    for model in acting:
        for entries in space.models[model].entries:
            if entries is None:
                kinds.append(("table", 0, 0))
                continue
            first = int(entries[0]) if len(entries) else -1
            if first < 0 or not space.free[first]:
                kind = "fixed"
            else:
                kind = "global" if space.owner[first] < 0 else "local"
            vector = vectors[kind]
            if kind == "local" and first in vector:
                # linked within the dataset: one local parameter in two places
                kinds.append((kind, vector.index(first), len(entries)))
                continue
            kinds.append((kind, len(vector), len(entries)))
            vector.extend(int(e) for e in entries)
    return _Layout(tuple(kinds), vectors["fixed"], vectors["global"], vectors["local"])


def _group(
    datasets: Datasets,
    space: ParameterSpace,
    layouts: list[_Layout],
    rows: list[int],
    shape: _Shape,
    global_position: np.ndarray,
    staged: dict[int, tuple[Any, dict[str, Any]]],
) -> Group:
    first, layout = datasets[rows[0]], layouts[rows[0]]
    n_rows = batch_rung(len(rows))
    padded = rows + [rows[0]] * (n_rows - len(rows))
    fixed = np.array([layouts[r].fixed for r in padded], int).reshape(n_rows, -1)
    global_ = global_position[np.array([layouts[r].globals for r in padded], int).reshape(n_rows, -1)]
    locals_ = np.array([layouts[r].locals for r in padded], int).reshape(n_rows, -1)
    fixed_values = space.values[fixed]
    traced = isinstance(fixed_values, jax.Array)
    fixed_same = np.all(fixed == fixed[:1], axis=0) if traced else np.all(fixed_values == fixed_values[:1], axis=0)
    global_same = np.all(global_ == global_[:1], axis=0)

    arrays: dict[str, Any] = {
        "fixed": fixed_values[0][fixed_same],
        "fixed_own": fixed_values[:, ~fixed_same],
        "shared": global_[0][global_same],
        "own": global_[:, ~global_same],
    }
    tables, tables_own, sources = _sources(space, padded, layout, fixed_same, global_same)
    arrays["table"], arrays["table_own"] = tables, tables_own
    if rows[0] in staged:
        make: Any = staged[rows[0]][0]
        data, shared_fields = _stack_equal([staged[r][1] for r in rows], n_rows)
    else:
        make = SpectrumProgram(type(first), shape.nodes)
        data, shared_fields = _stack_data([datasets[r] for r in rows], n_rows, shape)
    arrays["data"] = {k: v for k, v in data.items() if k in shared_fields}
    arrays["data_own"] = {k: v for k, v in data.items() if k not in shared_fields}
    shapes = _shapes(space, space.acting[rows[0]], sources, int((~global_same).sum()))
    spec = GroupSpec(
        make=make,
        structures=tuple(space.models[m].structure for m in space.acting[rows[0]]),
        sources=sources,
        shared_fields=shared_fields,
        n_members=n_rows,
        n_shared=int(global_same.sum()),
        n_own=int((~global_same).sum()),
        n_local=locals_.shape[1],
        shapes_shared=shapes[0],
        shapes_own=shapes[1],
    )
    return Group(spec, arrays, np.array(rows), locals_)


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


def _stack_data(members: list[Any], n_rows: int, shape: _Shape) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Arrays of the members by field: one array where all members hold the same, else stacked (rows first).

    Padding bins are masked and have neither exposure nor response, padding rows are masked: they contribute nothing.
    """
    per_member = [likelihood_arrays(m) for m in members]
    if shape.intervals:
        for arrays, member in zip(per_member, members, strict=True):
            arrays |= {f"gti_{field}": getattr(member.gti, field) for field in ("start", "stop", "reference")}
    data: dict[str, Any] = {}
    shared: list[str] = []
    for field in per_member[0]:
        values = [arrays[field] for arrays in per_member]
        axes = LIKELIHOOD_AXES[field]
        size = tuple(shape.size(axis) for axis in axes)
        if field != "mask_safe" and _all_same(values):
            shared.append(field)
            data[field] = _fill(values[:1], 1, size, axes)[0]
            continue
        if any(isinstance(v, jax.Array) for v in values):
            data[field] = _fill_traced(values, n_rows, size, axes)
        else:
            data[field] = _fill(values, n_rows, size, axes)
    return data, tuple(shared)


def _stack_equal(members: list[dict[str, Any]], n_rows: int) -> tuple[dict[str, Any], tuple[str, ...]]:
    """`_stack_data` for arrays that have the same shapes already."""
    data: dict[str, Any] = {}
    shared: list[str] = []
    for field in members[0]:
        values = [m[field] for m in members]
        if field != "mask_safe" and _all_same(values, most=64):
            shared.append(field)
            data[field] = values[0]
            continue
        blank = values[0] & False if field == "mask_safe" else values[0]
        rows = values + [blank] * (n_rows - len(values))
        data[field] = stack_rows(rows)
    return data, tuple(shared)


def _fill(values: list[Any], n_rows: int, size: tuple[int, ...], axes: tuple[str, ...]) -> Any:
    """Arrays in the corners of one array (n_rows, *size), zero elsewhere; padding rows repeat the first, masked.

    Edges go on close above the last one, where every model is as finite as it is there.
    """
    if isinstance(values[0], jax.Array):
        return _fill_traced(values, n_rows, size, axes)
    out = np.zeros((n_rows, *size), values[0].dtype)
    edges = axes[0].endswith("edges")
    for row, value in zip(out, values, strict=False):
        row[tuple(slice(n) for n in value.shape)] = value
        if edges and len(value) < len(row):
            row[len(value) :] = value[-1] * (1 + 1e-3 * np.arange(1, len(row) - len(value) + 1))
    if out.dtype != bool:
        out[len(values) :] = out[0]
    return out


def _fill_traced(values: list[Any], n_rows: int, size: tuple[int, ...], axes: tuple[str, ...]) -> jax.Array:
    """`_fill` for values that are traced, or live on a device."""
    rows = []
    for value in values:
        extra = [(0, n - k) for n, k in zip(size, np.shape(value), strict=True)]
        if axes[0].endswith("edges"):
            rows.append(jnp.concatenate([value, value[-1] * (1 + 1e-3 * np.arange(1, extra[0][1] + 1))]))
        else:
            rows.append(jnp.pad(jnp.asarray(value), extra))
    blank = jnp.zeros_like(rows[0]) if rows[0].dtype == bool else rows[0]
    return jnp.stack(rows + [blank] * (n_rows - len(rows)))


def _all_same(values: list[Any], most: int | None = None) -> bool:
    """Whether arrays are equal; those of more than ``most`` elements only if they are one object."""
    first = values[0]
    if all(v is first for v in values):
        return True
    if any(isinstance(v, jax.Array) for v in values) or (most is not None and np.size(first) > most):
        return False
    return all(np.array_equal(first, v) for v in values[1:])
