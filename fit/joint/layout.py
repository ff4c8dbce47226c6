"""Where the numbers of each dataset's models are found: constants, parameters that are shared, and own ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .parameters import ParameterSpace


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


Piece = tuple[str, int, list[int]]
"""Of an item of a model: the kind of its numbers, the first of them, and all."""


def _frozen(space: ParameterSpace, model: int, pieces: list[Piece]) -> tuple[bool, bool]:
    """Whether a model is frozen as a whole, and whether its spatial part is."""
    free = [kind in ("global", "local") for kind, _, _ in pieces]
    return not any(free), not any(f and s for f, s in zip(free, _of_shape(space, model), strict=True))


@dataclass
class _Layout:
    """Numbers of one dataset's models: kinds of the items (static) and indices in the vector of all parameters."""

    kinds: tuple[tuple[str, int, int], ...]
    fixed: list[int]
    globals: list[int]
    locals: list[int]


def _pieces(space: ParameterSpace) -> list[list[Piece]]:
    """For each item of each model the kind of its numbers, the first of them, and all."""
    free, owner = space.free.tolist(), space.owner.tolist()

    def piece(entries: np.ndarray | None) -> Piece:
        if entries is None:
            return "table", -1, []
        indices = entries.tolist()
        first = indices[0] if indices else -1
        if first < 0 or not free[first]:
            return "fixed", first, indices
        return "global" if owner[first] < 0 else "local", first, indices

    return [[piece(entries) for entries in model.entries] for model in space.models]


def _layout(pieces: list[list[Piece]]) -> _Layout:
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
    """Which items of a model change images of sources: those of a spatial part, and of the width of the PSF."""
    return [item.part in ("spatial", "psf_width") for item in space.models[model].items]


def _sources(
    space: ParameterSpace, rows: list[int], layout: _Layout, fixed_same: np.ndarray, global_same: np.ndarray
) -> tuple[list[Any], list[Any], tuple[tuple[Source, ...], ...]]:
    """Tables of the models (one for all members where they share it), and where each item's numbers are found."""
    tables: list[Any] = []
    tables_own: list[Any] = []
    sources: list[tuple[Source, ...]] = []
    kinds = iter(layout.kinds)
    before = {name: np.cumsum([0, *same]).tolist() for name, same in (("fixed", fixed_same), ("global", global_same))}
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
            n_same = before[kind][offset]
            of_model.append(Source(names[0], n_same, shape) if is_same else Source(names[1], offset - n_same, shape))
        sources.append(tuple(of_model))
    return tables, tables_own, tuple(sources)
