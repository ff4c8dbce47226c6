"""Fits whose sources have moved: the models there, and whether the datasets have to be made ready again for them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from jax.sharding import Mesh

from ...datasets.collection.datasets import Datasets
from ...datasets.models.collection import Models
from ...datasets.models.sky_model import SkyModel
from ...datasets.models.spatial.extent import fits_in
from .parameters import ParameterSpace
from .problem import Problem, with_image_sizes

MOST_REFRESHES = 4
"""How often a fit is made ready again at the most."""


def models_there(
    problem: Problem, free: np.ndarray, datasets: Datasets, mesh: Mesh | None = None
) -> tuple[Models, Sequence[bool]]:
    """The models at other values of the free parameters, and for each process whether a dataset of it has to be
    prepared again for them: their responses belong to another place."""
    new = models_at(problem, free)
    new = _kept_sizes(problem.models, new, with_image_sizes(new, datasets, mesh))
    return new, problem.share.collect(partial(_moved, problem, new))


def can_move(problem: Problem) -> bool:
    """Whether a source has a place, which it can leave."""
    return any(type(m) is SkyModel and m.spatial is not None for m in problem.models.models)


def models_at(problem: Problem, free: np.ndarray) -> Models:
    """The models with new values and no errors."""
    return fitted_models(problem, free, np.full(len(problem.space.values), np.nan))


def fitted_models(problem: Problem, free: np.ndarray, errors: np.ndarray) -> Models:
    """The models with new values and errors; bounds, units, links and priors stay."""
    values = np.array(problem.space.values, float)
    values[problem.space.free] = free
    return Models.with_numbers(problem.models, _numbers(problem.space, values, errors))


def _numbers(space: ParameterSpace, values: np.ndarray, errors: np.ndarray) -> list[list[tuple[Any, Any]]]:
    """Value and error of every item of every model, see `Models.with_numbers`."""
    pairs: list[tuple[Any, Any]] = list(zip(values.tolist(), np.asarray(errors, float).tolist(), strict=True))
    return [
        [pairs[e.item()] if e.size == 1 else (values[e], errors[e]) for e in m.entries if e is not None]
        for m in space.models
    ]


def _kept_sizes(before: Models, after: Models, sized: Models) -> Models:
    """The later models, with the sizes of the earlier where those will do, for another size is another program; else
    as ``sized``."""

    def kept(old: Any, new: Any, grown: Any) -> Any:
        if not isinstance(new, SkyModel) or new.sizes is None or old.sizes is None:
            return grown
        # frozen ones, of a catalogue nearly all
        if new is old:
            return old
        fit = any(fits_in(sizes, old.sizes) for sizes in (new.sizes, grown.sizes))
        return grown.with_sizes(old.sizes) if fit else grown

    return Models([kept(*three) for three in zip(before, after, sized, strict=True)], after.penalties)


def _moved(problem: Problem, after: Models) -> bool:
    """Whether a dataset of this process has to be prepared again for the later models."""
    before, later, acting = list(problem.models), list(after), problem.space.acting
    return any(
        dataset.moved([before[m] for m in acting[index]], [later[m] for m in acting[index]])
        for index, dataset in problem.share.held.items()
    )
