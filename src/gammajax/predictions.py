"""What a fit predicts for each of its datasets: one program for all of them."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.datasets.counts_base import CountsBase
from gammajax.datasets.dataset import Dataset
from gammajax.datasets.likelihood import fitted_bins
from gammajax.datasets.npred import predict, signal
from gammajax.datasets.region_staging import StagedRegion
from gammajax.datasets.staging import StagedMap
from gammajax.datasets.statistic import WStatistic
from gammajax.fit.objective import Theta, evaluate, group_offset, group_stat, inputs
from gammajax.fit.problem import Problem, ProblemSpec, from_free


@dataclass(frozen=True)
class Prediction:
    """Counts of one dataset and what its models predict, per reconstructed bin; ``edges`` in TeV.

    Of a map they are sums over the fitted pixels, of which there are ``n_bins`` with those of all energies.

    ``signal`` are the counts of the sources, ``background`` what is expected besides (profiled, for on/off data),
    ``mask`` the fitted bins, ``stat`` the fit statistic summed over them. ``measured_background`` is what the off
    counts say, with its error ``background_error``; for a known background that background, with error 0. Of a dataset
    without counts, such as flux points, all of these are NaN, and so are ``edges`` if it has no energies.
    """

    name: str
    edges: np.ndarray
    counts: np.ndarray
    signal: np.ndarray
    background: np.ndarray
    background_error: np.ndarray
    measured_background: np.ndarray
    mask: np.ndarray
    n_bins: int
    stat: float
    stat_type: str

    @property
    def npred(self) -> np.ndarray:
        return self.signal + self.background


@partial(jax.jit, static_argnums=0)
def compiled_predictions(spec: ProblemSpec, arrays: dict[str, Any], theta: Theta) -> list[Any]:
    """For each group: signal and background (m, bins) and statistic (m,) of its members."""
    parts = []
    for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True)):
        at = inputs(group, data, theta, number)
        sources, background = evaluate(group, data, _counts, *at)
        parts.append((sources, background, group_stat(group, data, *at) + group_offset(group, data, *at)))
    return parts


def _counts(dataset: Any, models: Any) -> tuple[jax.Array, jax.Array]:
    if isinstance(dataset, StagedMap | StagedRegion):
        return dataset.spectra(models)
    if not isinstance(dataset, CountsBase):
        return dataset.predict(models), jnp.zeros(dataset.mask.shape)
    sources = signal(dataset, models)
    if isinstance(dataset, WStatistic):
        return sources, dataset.npred_background(sources)
    return sources, predict(dataset, models) - sources


def predictions(problem: Problem, free: Any) -> list[Prediction]:
    """Predictions for the datasets of ``problem``, in order, at the values ``free`` (n,) of its free parameters."""
    parts = compiled_predictions(problem.spec, problem.arrays, from_free(problem.arrays, np.asarray(free)))
    found: dict[int, Prediction] = {}
    for group, part in zip(problem.groups, parts, strict=True):
        sources, background, stat = (np.asarray(x) for x in part)
        for row, index in enumerate(group.members):
            name, dataset = problem.datasets.names[index], problem.datasets[int(index)]
            if isinstance(dataset, Dataset):
                found[int(index)] = without_counts(name, dataset, float(stat[row]))
                continue
            n = dataset.n_reco
            found[int(index)] = prediction(name, dataset, sources[row, :n], background[row, :n], float(stat[row]))
    return [found[i] for i in range(len(problem.datasets))]


def without_counts(name: str, dataset: Dataset, stat: float) -> Prediction:
    """What is to be said of a dataset that has no counts."""
    mask: Any = np.asarray(fitted_bins(dataset))
    bins: Any = mask.reshape(mask.shape[0], -1).any(axis=1)
    unknown = np.full(bins.shape, np.nan)
    edges = getattr(dataset, "energy_edges", None)
    edges = np.full(bins.size + 1, np.nan) if edges is None else np.asarray(edges)
    return Prediction(
        name=name,
        edges=edges,
        counts=unknown,
        signal=unknown,
        background=unknown,
        background_error=unknown,
        measured_background=unknown,
        mask=bins,
        n_bins=int(mask.sum()),
        stat=stat,
        stat_type=dataset.stat_type,
    )


def prediction(name: str, dataset: Any, signal: Any, background: Any, stat: float) -> Prediction:
    """The prediction for one dataset from numbers that are known already."""
    on_off = isinstance(dataset, WStatistic)
    mask: Any = np.ones(dataset.data_shape, bool) if dataset.mask is None else np.asarray(dataset.mask)

    def spectrum(values):
        """Of a map the sum over the fitted pixels."""
        values = np.asarray(values, float)
        return values if values.ndim == 1 else np.where(mask, values, 0.0).sum(axis=(1, 2))

    measured, error = spectrum(background), np.zeros(dataset.n_reco)
    if on_off:
        measured = spectrum(dataset.background)
        error = np.sqrt(spectrum(np.asarray(dataset.alpha) ** 2 * np.asarray(dataset.counts_off)))
    return Prediction(
        name=name,
        edges=np.asarray(dataset.energy_edges),
        counts=spectrum(dataset.counts),
        signal=spectrum(signal),
        background=spectrum(background),
        background_error=error,
        measured_background=measured,
        mask=mask.reshape(dataset.n_reco, -1).any(axis=1),
        n_bins=int(mask.sum()),
        stat=stat,
        stat_type=dataset.stat_type,
    )
