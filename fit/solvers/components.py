"""The components of models: what an amplitude or a norm multiplies."""

from collections.abc import Iterator

import numpy as np

from ...datasets.models.parameter import SCALING
from ..joint.problem import Problem


def components(problem: Problem) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Models, and the terms of spectra that are sums: name, places of the free parameters that scale them, and of the
    others."""
    space, place = problem.space, np.cumsum(problem.space.free) - 1
    for entry in space.models:
        parts: dict[str, tuple[list[int], list[int]]] = {}
        for item, index in zip(entry.items, entry.entries, strict=True):
            if item.kind == "parameter" and index is not None and space.free[index[0]]:
                shape = space.roles[index[0]] not in SCALING
                parts.setdefault(item.name.rpartition(".")[0], ([], []))[shape].append(int(place[index[0]]))
        scaled = {name: both for name, both in parts.items() if both[0]}
        if len(scaled) == 1:
            ((scales, _),) = scaled.values()
            yield entry.name, np.array(scales), np.array(sorted(k for _, shapes in parts.values() for k in shapes), int)
        else:
            for name, (scales, shapes) in scaled.items():
                yield name, np.array(scales), np.array(shapes, int)
