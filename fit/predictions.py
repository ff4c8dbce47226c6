"""What a fit predicts for each of its datasets: one program for all of them."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import PyTree

from ..datasets.compile import OF_A_FIT
from ..datasets.dataset import Dataset
from ..datasets.prepared import Models, Prepared
from ..datasets.seen import Spectrum
from ..kernels.programs import programs
from .joint.arrowhead import Theta
from .joint.blocks import evaluate, group_offset, group_stat, inputs
from .joint.objective import ProblemSpec, from_free
from .joint.problem import Problem


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
        """All that is expected, (n,)."""
        return self.signal + self.background


@programs(0, most=OF_A_FIT)
def compiled_predictions(
    spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta
) -> list[tuple[jax.Array, jax.Array, jax.Array]]:
    """For each group: signal and background (m, bins) and statistic (m,) of its members."""
    parts = []
    for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True)):
        at = inputs(group, data, theta, number)
        sources, background = evaluate(group, data, _counts, *at)
        parts.append((sources, background, group_stat(group, data, *at) + group_offset(group, data, *at)))
    return parts


def _counts(dataset: Prepared, models: Models) -> tuple[jax.Array, jax.Array]:
    return dataset.spectra(models)


def predictions(problem: Problem, free: np.ndarray) -> list[Prediction]:
    """Predictions for the datasets of ``problem``, in order, at the values ``free`` (n,) of its free parameters."""
    parts = compiled_predictions(problem.spec, problem.arrays, from_free(problem.arrays, np.asarray(free)))
    found: dict[int, Prediction] = {}
    for group, part in zip(problem.groups, parts, strict=True):
        sources, background, stat = (np.asarray(x) for x in part)
        for row, index in enumerate(group.members):
            name, dataset = problem.datasets.names[index], problem.datasets[int(index)]
            n = dataset.data_shape[0]
            found[int(index)] = prediction(name, dataset, sources[row, :n], background[row, :n], float(stat[row]))
    return [found[i] for i in range(len(problem.datasets))]


def prediction(name: str, dataset: Dataset, signal: np.ndarray, background: np.ndarray, stat: float) -> Prediction:
    """The prediction for one dataset from numbers that are known already."""
    spectrum: Spectrum = dataset.spectrum(signal, background)
    fields = {field: np.asarray(value) for field, value in spectrum._asdict().items() if field != "n_bins"}
    return Prediction(name=name, n_bins=spectrum.n_bins, stat=stat, stat_type=dataset.stat_type, **fields)
