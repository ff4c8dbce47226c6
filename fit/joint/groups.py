"""Datasets that share a program, padded and stacked: the data of a vmapped sum."""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from ...datasets.errors import InputError
from ...datasets.models.collection import Models
from ...datasets.models.flatten import ModelDef
from ...datasets.prepared import Arrays, Frozen, Size, Spec
from ...kernels.buckets import batch_bucket, fine_bucket
from .devices import processors, rows_at_a_time, rows_per_device
from .layout import Source, _frozen, _Layout, _layout, _pieces, _shapes, _sources
from .padding import all_same, bucket, stack_equal, stack_padded
from .parameters import ParameterSpace
from .processes import Share, description, digest, owners

Family = Hashable
"""What datasets have in common that are fitted as one group: their program, but for sizes that can be padded."""

MERGE_SIZE = 2**18
"""Response elements (2 MB in float64) up to which groups that differ in shape only are padded to one."""

BY_MEMBER = ("own", "fixed_own", "table_own", "data_own")
"""Arrays of a group that have one row a member; of the others there is one for all."""


@dataclass(frozen=True)
class GroupSpec:
    """The static side of a group: everything that chooses its program.

    ``make`` builds a prepared dataset from its arrays: the `Spec` of its members.
    ``shapes_shared`` and ``shapes_own`` are the places of the parameters of spatial models among the shared and the own
    ones. ``mesh``: the devices on which the rows lie, or None; ``batch``: rows that a device takes at a time, or 0.
    """

    make: Spec
    definitions: tuple[ModelDef, ...]
    sources: tuple[tuple[Source, ...], ...]
    shared_fields: tuple[str, ...]
    n_members: int
    n_shared: int
    n_own: int
    n_local: int
    shapes_shared: tuple[int, ...] = ()
    shapes_own: tuple[int, ...] = ()
    mesh: Mesh | None = None
    batch: int = 0

    @property
    def shapes(self) -> tuple[int, ...]:
        """Places of the parameters of spatial models where the own parameters follow the shared ones."""
        return (*self.shapes_shared, *(self.n_shared + i for i in self.shapes_own))


@dataclass
class Group:
    """One group: its program, its arrays (a pytree of `GroupSpec`-shaped data), and who its members are.

    ``rows`` are those that are not padding, ``members`` the indices of the datasets in them; ``locals`` (rows, n_local)
    the indices of each row's local parameters in the vector of all parameters. In ``arrays`` are the rows of this
    process.
    """

    spec: GroupSpec
    arrays: dict[str, PyTree]
    members: np.ndarray
    rows: np.ndarray
    locals: np.ndarray


def build_groups(
    share: Share,
    models: Models,
    space: ParameterSpace,
    global_position: np.ndarray,
    mesh: Mesh | None = None,
    batch: int | None = None,
    pad: bool = True,
    spread: bool = False,
) -> list[Group]:
    """Sort datasets into groups of one program each.

    ``global_position`` maps an index in the vector of all parameters to its place among the global free ones. Without
    ``pad`` no array is larger than its dataset and groups are of equal shapes: longer to compile, quicker to run.
    ``spread``: without a ``mesh``, maps take all CPU devices that JAX has.

    Raises
    ------
    InputError
        if processes disagree on the models or on a dataset, or if one holds no dataset of a group.
    """
    # datasets on which the same models act have the same layout
    pieces = _pieces(space)
    of_acting = {acting: _layout([pieces[m] for m in acting]) for acting in space.acting}
    layouts = [of_acting[acting] for acting in space.acting]
    prepared: dict[int, tuple[Spec, Arrays]] = {}
    frozen = [Frozen(*_frozen(space, m, of_model)) for m, of_model in enumerate(pieces)]
    described = share.collect(lambda: _describe(share, models, space, layouts, frozen, prepared, pad))
    families: dict[Family, dict[Size, list[int]]] = {}
    holders: dict[int, list[int]] = {}
    for process, (_, part) in enumerate(described):
        for index, program, size, _ in part:
            if index not in holders:
                families.setdefault(program, {}).setdefault(size, []).append(index)
            holders.setdefault(index, []).append(process)
    _require_agreement(share, described)
    alike = [
        (size, rows)
        for sizes in families.values()
        for size, rows in (_merged(sizes, prepared) if pad else sizes).items()
    ]
    if mesh is None and spread:
        of_images = [len(rows) for _, rows in alike if prepared[rows[0]][0].makes_images]
        mesh = processors(max(of_images, default=0))
    where = _Where(share, holders, mesh, batch, pad)
    return [_group(where, space, layouts, rows, size, global_position, prepared) for size, rows in alike]


def _describe(
    share: Share,
    models: Models,
    space: ParameterSpace,
    layouts: list["_Layout"],
    frozen: list[Frozen],
    prepared: dict[int, tuple[Spec, Arrays]],
    pad: bool,
) -> tuple[str, list[tuple[int, Family, Size, str]]]:
    """Program and size of the datasets of this process, which are prepared here; what tells the models apart."""
    members = list(models)
    identities = _Identities()
    definition_id = [identities(m.definition) for m in space.models]
    alone = share.processes == 1
    texts: dict[Family, str] = {}
    found: list[tuple[int, Family, Size, str]] = []
    for index, dataset in share.held.items():
        acting = space.acting[index]
        chosen, fixed = [members[m] for m in acting], [frozen[m] for m in acting]
        # by its class: a method of an eqx.Module makes a new pytree at each access
        spec, arrays = type(dataset).prepare(dataset, chosen, fixed, share.names[index])
        prepared[index] = spec, arrays
        family, kinds = spec.with_size(()), layouts[index].kinds
        program: Family = (family, tuple(definition_id[m] for m in acting), kinds)
        if not alone:
            if program not in texts:
                texts[program] = description((family, kinds, [space.models[m].definition for m in acting]))
            program = texts[program]
        size = bucket(spec) if pad else spec.size
        found.append((index, program, size, "" if alone else digest(dataset)))
    if alone:
        return "", found
    return digest((models, space.values, space.free, space.low, space.high)) + repr(space.names), found


class _Identities:
    """Numbers for definitions: equal ones have one. Most are one object, which is quicker to look up."""

    def __init__(self) -> None:
        self._of_object: dict[int, int] = {}
        self._of_equal: dict[ModelDef, int] = {}

    def __call__(self, definition: ModelDef) -> int:
        known = self._of_object.get(id(definition))
        if known is None:
            known = self._of_equal.setdefault(definition, len(self._of_equal))
            self._of_object[id(definition)] = known
        return known


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
    """Which rows of a group are where: processes, devices, batches; whether their number may be rounded up."""

    share: Share
    holders: dict[int, list[int]]
    mesh: Mesh | None
    batch: int | None
    pad: bool

    def rows(self, members: list[int], arrays: Arrays | None) -> tuple[list[list[int]], int, int]:
        """The members of each process, the rows of each, and how many of them a device takes at a time; ``arrays`` of
        one member where images are made."""
        processes = self.share.processes
        owner = owners(members, self.holders, processes)
        parts = [[m for m in members if owner[m] == process] for process in range(processes)]
        devices = 1 if self.mesh is None else self.mesh.size // processes
        n = -(-max(map(len, parts)) // devices)
        fitting = None if arrays is None else rows_at_a_time(arrays, self.mesh)
        if self.pad:
            n = batch_bucket(n) if fitting is None or fitting >= n or self.batch is not None else fine_bucket(n)
        rows, batch = rows_per_device(n, fitting if self.batch is None else self.batch)
        return parts, rows * devices, batch


def _merged(sizes: dict[Size, list[int]], prepared: dict[int, tuple[Spec, Arrays]]) -> dict[Size, list[int]]:
    """Small groups that differ in size only, padded to one: a program more costs a second to compile."""
    if len(sizes) == 1:
        return sizes
    largest = tuple((axis, max(dict(size)[axis] for size in sizes)) for axis, _ in next(iter(sizes)))
    rows = sorted(row for members in sizes.values() for row in members)
    spec = next(prepared[row][0] for row in rows if row in prepared)
    separate = sum(len(members) * spec.cost(size) for size, members in sizes.items())
    together = len(rows) * spec.cost(largest)
    return {largest: rows} if together <= max(MERGE_SIZE, 1.25 * separate) else sizes


def _group(
    where: _Where,
    space: ParameterSpace,
    layouts: list[_Layout],
    members: list[int],
    size: Size,
    global_position: np.ndarray,
    prepared: dict[int, tuple[Spec, Arrays]],
) -> Group:
    share, layout = where.share, layouts[members[0]]
    if any(not any(process in where.holders[m] for m in members) for process in range(share.processes)):
        raise InputError(
            f"fit: {share.names[members[0]]!r} and its like, {len(members)} datasets, are not held by all processes. "
            "Give each process one of them at least; a dataset that several processes hold under one name counts once."
        )
    known = [m for m in members if m in share.held][:1]
    make, of_known = prepared[known[0]]
    make = make.with_size(size)
    parts, n_rows, batch = where.rows(members, of_known if make.makes_images else None)
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
    arrays: dict[str, PyTree] = {
        "fixed": fixed_values[0][fixed_same],
        "fixed_own": fixed_values[here, ~fixed_same],
        "shared": global_[0][global_same],
        "own": global_[here, ~global_same],
    }
    tables, tables_own, sources = _sources(space, padded, layout, fixed_same, global_same)
    arrays["table"], arrays["table_own"] = tables, [table[here] for table in tables_own]
    per_member = [prepared[r][1] for r in held]
    fill = partial(stack_padded, make) if make.axes else stack_equal
    shared_fields = _shared(share, per_member, own=("mask_safe", *make.of_counts), most=None if make.axes else 64)
    data = fill(per_member, n_rows, shared_fields)
    if not parts[share.process]:
        data["mask_safe"] = data["mask_safe"] & False
    arrays["data"] = {k: v for k, v in data.items() if k in shared_fields}
    arrays["data_own"] = {k: v for k, v in data.items() if k not in shared_fields}
    shapes = _shapes(space, space.acting[members[0]], sources, int((~global_same).sum()))
    spec = GroupSpec(
        make=make,
        definitions=tuple(space.models[m].definition for m in space.acting[members[0]]),
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


def _shared(share: Share, per_member: list[Arrays], own: tuple[str, ...], most: int | None) -> tuple[str, ...]:
    """The fields in which all members, of all processes, have the same; see `all_same` for ``most``.

    ``own`` are never among them: other counts are no other program.
    """
    same = {
        field: value
        for field, value in per_member[0].items()
        if field not in own and all_same([m[field] for m in per_member], most)
    }
    if share.processes == 1:
        return tuple(same)
    present = share.collect(lambda: {field: digest(value) for field, value in same.items()})
    return tuple(k for k in same if len({part.get(k) for part in present}) == 1)
