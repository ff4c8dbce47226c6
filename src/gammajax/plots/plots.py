"""Pictures: counts with what the models predict, and spectral energy distributions with their error band.

The figures are plain matplotlib figures without a window or a global state: save them with ``figure.savefig(...)``.
"""

from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from gammajax.datasets.counts.dataset import CountsDataset, require_counts
from gammajax.datasets.counts.npred import SomeModels, npred, npred_background, npred_signal, stat_array
from gammajax.datasets.errors import InputError
from gammajax.datasets.hints.modules import found
from gammajax.datasets.models.collection import Models
from gammajax.datasets.statistics.base import Bins
from gammajax.datasets.units import Given, edges_tev
from gammajax.fit.predictions import Prediction, prediction
from gammajax.fit.result import FitResult
from gammajax.fit.spectra import source_name
from gammajax.kernels.programs import programs
from gammajax.plots.bands import N_ENERGIES, flux_band
from gammajax.plots.figures import counts_figure, sed_figure, sky_figure

DEFAULT_RANGE = (0.1, 100.0)


def plot_counts(dataset: CountsDataset, models: SomeModels, name: str | None = None) -> Figure:
    """Counts of a dataset with the prediction of ``models`` and the background, residuals below: a matplotlib Figure.

    ``name`` is the dataset's name; it selects among models with ``datasets_names`` and is the title.
    """
    if require_counts(dataset, "plot_counts").counts is None:
        raise InputError("plot_counts: the dataset has no counts. Read or simulate them first.")
    signal, background, stat = _predicted(dataset, Models(models), name)
    return counts_figure(prediction(name or "", dataset, np.asarray(signal), np.asarray(background), float(stat)))


@programs(2)
def _predicted(dataset: CountsDataset, models: Models, name: str | None) -> tuple[Bins, Bins, Bins]:
    sources, background = npred_signal(dataset, models, name), npred_background(dataset, models, name)
    return sources, background, jnp.sum(stat_array(dataset, models, name))


def plot_sed(
    result: FitResult,
    model_name: str | None = None,
    energy: Given | None = None,
    points: Iterable[Prediction] | None = None,
) -> Figure:
    """E^2 dN/dE of a fitted model with its one-sigma band: a matplotlib Figure.

    ``energy`` is the range (Quantities or TeV), 0.1 to 100 TeV by default. ``points`` are the predictions of the
    datasets (see `gammajax.fit.predictions.predictions`), drawn as excess over prediction times the model.
    """
    name = source_name(result.models, model_name)
    low, high = DEFAULT_RANGE if energy is None else edges_tev(energy, "plot_sed: energy")[[0, -1]]
    grid = np.geomspace(low, high, N_ENERGIES)
    dnde, error = flux_band(result, name, grid)
    return sed_figure(name, grid, dnde, error, () if points is None else excess_points(points))


def excess_points(found: Iterable[Prediction], per_decade: int = 6) -> tuple[np.ndarray, ...]:
    """Excess over predicted signal of all datasets of counts: edges (n + 1,), ratio and its error (n,); () for none.

    Only fitted bins count, each where its centre lies. Times the model this is the usual "unfolded" spectrum: it shows
    where data and model disagree, and it is not independent of the model.
    """
    counted = [p for p in found if not np.all(np.isnan(p.counts))]
    if not counted:
        return ()
    centres = np.concatenate([np.sqrt(p.edges[:-1] * p.edges[1:])[p.mask] for p in counted])
    excess = np.concatenate([(p.counts - p.measured_background)[p.mask] for p in counted])
    variance = np.concatenate([(p.counts + p.background_error**2)[p.mask] for p in counted])
    signal = np.concatenate([p.signal[p.mask] for p in counted])
    low, high = np.log10(centres.min()) - 1e-9, np.log10(centres.max()) + 1e-9
    n = max(int(np.ceil((high - low) * per_decade)), 1)
    edges = np.logspace(low, high, n + 1)
    sums = [np.histogram(centres, edges, weights=w)[0] for w in (excess, variance, signal)]
    # where nothing was counted there is no error to give
    usable = (sums[1] > 0) & (sums[2] > 0)
    ratio = np.where(usable, sums[0] / np.where(usable, sums[2], 1.0), np.nan)
    error = np.where(usable, np.sqrt(sums[1]) / np.where(usable, sums[2], 1.0), np.nan)
    return edges, ratio, error


def plot_sky(dataset: CountsDataset, models: SomeModels, name: str | None = None) -> Figure:
    """Images of a map dataset: counts, prediction of ``models`` and residual significance, summed over fitted bins.

    All three are smoothed with a Gaussian of one pixel. ``name`` is the dataset's name. Returns a matplotlib figure.
    """
    geom = getattr(dataset, "sky_geom", None)
    if geom is None:
        raise InputError(f"plot_sky: found {found(dataset)}, expected a map dataset.")
    mask: np.ndarray = np.ones(dataset.data_shape, bool) if dataset.mask is None else np.asarray(dataset.mask)
    expected = np.asarray(npred(dataset, Models(models), name))
    counts, predicted = (np.where(mask, x, 0.0).sum(axis=0) for x in (np.asarray(dataset.counts, float), expected))
    return sky_figure(counts, predicted, np.asarray(mask.any(axis=0)), geom.wcs, name or dataset.tag)
