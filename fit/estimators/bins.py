"""What a source sends to the bins of datasets, and what else is predicted there, sorted by the norm they are for."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from ...datasets.collection.datasets import Datasets
from ...datasets.compile import OF_A_FIT, quick_programs
from ...datasets.counts.dataset import CountsDataset, require_counts
from ...datasets.dataset import Arrays, Models
from ...datasets.errors import InputError, closest
from ...datasets.models.collection import Models as AllModels
from ...datasets.models.instrument import InstrumentModel
from ...datasets.models.sky_model import SkyModel
from ...datasets.statistics.base import Statistic
from ...kernels.buckets import batch_bucket, bins_bucket
from .asimov import matching_norms
from .norms import NormBins, NormFits, norm_fits

Places = Int[np.ndarray, "..."]
"""Which norm each bin of a dataset is for, of the shape of its data; -1 for none."""


def require_source(models: AllModels, source: object, what: str) -> SkyModel:
    """The `SkyModel` of that name; an `InputError` that begins with ``what`` where there is none."""
    names = [model.name for model in models if isinstance(model, SkyModel)]
    if not isinstance(source, str) or source not in names:
        raise InputError(f"{what}: there is no source {source!r}. {closest(str(source), names)}")
    found: SkyModel = models[source]
    return found


def counted(datasets: Datasets, what: str) -> dict[str, CountsDataset]:
    """The datasets by name, which have to be of counts; an `InputError` that begins with ``what`` for others."""
    known = {name: require_counts(dataset, f"{what}: {name}") for name, dataset in datasets.items()}
    for name, dataset in known.items():
        missing = dataset.missing_data()
        if missing is not None:
            raise InputError(f"{what}: the dataset {name!r} has no {missing}. Simulate them with gj.fake.")
    return known


class SourceBins(NamedTuple):
    """A dataset as the fit of norms sees it, all of the shape of its data: counts that a source sends (``signal``) at
    norm 1, those of all other sources (``others``), and what the statistic compares counts with at norm 0 (``rest``).

    ``acting`` are the models that act on it without the source.
    """

    dataset: CountsDataset
    acting: Models
    signal: np.ndarray
    others: np.ndarray
    rest: np.ndarray

    def npred(self, norm: np.ndarray) -> np.ndarray:
        """All that is expected, background of on counts included, for norms of the shape of the data."""
        return np.asarray(_expected(self.dataset, self.acting, norm * self.signal + self.others))


def source_bins(dataset: CountsDataset, name: str, models: AllModels, source: str) -> SourceBins:
    """What ``source`` and all else send to the dataset ``name``."""
    acting = models.acting_on(name)
    instruments = [model for model in acting if isinstance(model, InstrumentModel)]
    alone = [model for model in acting if model.name == source]
    without = [model for model in acting if model.name != source]
    found = _predicted(dataset, [*alone, *instruments], without)
    return SourceBins(dataset, without, *(np.asarray(values) for values in found))


@quick_programs(most=OF_A_FIT)
def _predicted(dataset: CountsDataset, alone: Models, without: Models) -> tuple[jax.Array, jax.Array, jax.Array]:
    others = dataset.signal(without)
    return dataset.signal(alone), others, dataset.prediction_of(others, without)


@quick_programs(most=OF_A_FIT)
def _expected(dataset: CountsDataset, models: Models, signal: jax.Array) -> jax.Array:
    return signal + dataset.background_of(signal, models)


class SortedBins:
    """The fitted bins of datasets, sorted by statistic: collected one dataset after the other, then fitted at once.

    ``filled`` (n,) tells which norms have a bin.
    """

    def __init__(self, n: int):
        self.n = n
        self.filled = np.zeros(n, bool)
        self._parts: dict[Statistic, list[dict[str, np.ndarray]]] = {}
        self._added: list[tuple[Statistic, np.ndarray]] = []

    def add(self, part: SourceBins, places: Places) -> None:
        """The bins of a dataset that are for a norm."""
        inside = places >= 0
        data = {name: np.asarray(values, float) for name, values in part.dataset.statistic_data.items()}
        columns = data | {"signal": part.signal, "rest": part.rest, "place": places}
        picked = {name: np.broadcast_to(values, inside.shape)[inside] for name, values in columns.items()}
        self._parts.setdefault(part.dataset.statistic, []).append(picked)
        self._added.append((part.dataset.statistic, inside))
        self.filled[places[inside]] = True

    def fit(self, rise: float, rise_ul: float, norms: Float[np.ndarray, " n_norms"], floor: float) -> NormFits:
        """The best norms, see `norm_fits`; sizes are padded, so that others share the program."""
        size, scanned = batch_bucket(self.n), batch_bucket(len(norms))
        parts = {statistic: self._joined(found, size) for statistic, found in self._parts.items()}
        amounts = (np.full(size, rise), np.full(size, rise_ul))
        scan = np.pad(norms, (0, scanned - len(norms)), constant_values=1.0)
        fits = norm_fits((tuple(parts), size), tuple(parts.values()), *amounts, scan, np.array(floor))
        found = {name: np.asarray(values)[: self.n] for name, values in fits._asdict().items()}
        return NormFits(**found | {"stat_scan": found["stat_scan"][:, : len(norms)]})

    def matching(self, expected: Sequence[np.ndarray], rise: float) -> np.ndarray:
        """Norms at which the source would be found, (n,), see `matching_norms`; ``expected``: counts without the source
        of the bins of each dataset, in the order in which they were added."""
        size = batch_bucket(self.n)
        sorted_by: dict[Statistic, list[np.ndarray]] = {statistic: [] for statistic in self._parts}
        for (statistic, inside), counts in zip(self._added, expected, strict=True):
            sorted_by[statistic].append(np.broadcast_to(counts, inside.shape)[inside])
        parts = tuple(self._joined(found, size) for found in self._parts.values())
        joined = [np.concatenate(found) for found in sorted_by.values()]
        padded = tuple(np.pad(c, (0, len(p.place) - len(c))) for c, p in zip(joined, parts, strict=True))
        norms = matching_norms((tuple(self._parts), size), parts, padded, np.full(size, rise))
        return np.asarray(norms)[: self.n]

    def _joined(self, parts: Sequence[Mapping[str, np.ndarray]], none: int) -> NormBins:
        """All bins of a statistic, padded to a number that others have too with bins of the place ``none``."""
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        size = len(joined["place"])
        further = bins_bucket(size) - size
        padding = {"rest": 1.0, "place": none}
        padded = {name: np.pad(v, (0, further), constant_values=padding.get(name, 0)) for name, v in joined.items()}
        own: Arrays = {name: padded.pop(name) for name in list(padded) if name not in ("signal", "rest", "place")}
        return NormBins(own, **padded)
