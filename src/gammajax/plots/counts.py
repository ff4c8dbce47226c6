"""Counts of a dataset with what its models predict."""

from typing import TYPE_CHECKING

import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes

from gammajax.datasets.counts.dataset import CountsDataset, require_counts
from gammajax.datasets.counts.npred import SomeModels, npred_background, npred_signal, stat_array
from gammajax.datasets.counts.residuals import summed_significance
from gammajax.datasets.dataset import fitted_bins
from gammajax.datasets.errors import InputError
from gammajax.datasets.hints.modules import found
from gammajax.datasets.models.collection import Models
from gammajax.datasets.sky.geom import SkyGeom
from gammajax.datasets.statistics.base import Bins
from gammajax.fit.predictions import Prediction, prediction
from gammajax.kernels.programs import programs
from gammajax.plots.figures import (
    BLACK,
    BLUE,
    PALE,
    VERMILLION,
    draw_points,
    label_beside,
    log_axis,
    new_figure,
    poisson_errors,
    shade,
)

if TYPE_CHECKING:
    from regions import Region


FEW_ENTRIES = 4
"""Entries of a legend for which the usual room above the counts is enough."""


def plot_counts(
    dataset: CountsDataset, models: SomeModels, name: str | None = None, region: "Region | np.ndarray | None" = None
) -> tuple[Axes, Axes]:
    """Counts of a dataset with the prediction of ``models`` and the background, and the residuals below: two axes.

    Of a map they are sums over the fitted pixels, with ``region`` over those inside of it: the spectrum of a source
    region out of a 3D fit. Bins that are not fitted are shaded, and the prediction is dashed there. Residuals are in
    standard deviations: the root of the rise of the fit statistic from a perfect prediction to that of the models, with
    the sign of counts less prediction (as `gammajax.residuals` with ``method="significance"``). Errors of counts are
    those of Gehrels (1986, ApJ 303, 336), triangles his limits, 84 %, of empty bins and of the background where there
    are no off counts.

    Parameters
    ----------
    dataset : a dataset with counts
    models : what is predicted
    name : the dataset's name; it selects among models with ``datasets_names`` and is the title
    region : of a map: a sky region of the ``regions`` package, or an image (ny, nx) that is True inside

    Raises
    ------
    InputError
        for datasets without counts, and for a region in what is no map

    Examples
    --------
    >>> top, bottom = gj.plots.plot_counts(run, result.models)
    >>> top.figure.savefig("counts.png")
    """
    if require_counts(dataset, "plot_counts").counts is None:
        raise InputError("plot_counts: the dataset has no counts. Read or simulate them first.")
    if region is not None:
        dataset = _within(dataset, region)
    signal, background, stat = _predicted(dataset, Models(models), name)
    shown = prediction(name or "", dataset, np.asarray(signal), np.asarray(background), float(stat))
    residual = summed_significance(dataset, shown.counts, shown.npred, shown.signal)
    return draw_counts(shown, residual, background_limits(dataset))


@programs(2)
def _predicted(dataset: CountsDataset, models: Models, name: str | None) -> tuple[Bins, Bins, Bins]:
    sources, background = npred_signal(dataset, models, name), npred_background(dataset, models, name)
    return sources, background, jnp.sum(stat_array(dataset, models, name))


def _within(dataset: CountsDataset, region: "Region | np.ndarray") -> CountsDataset:
    """The dataset with its fitted bins narrowed to the pixels of a region."""
    geom = dataset.sky_geom
    if not isinstance(geom, SkyGeom):
        raise InputError(f"plot_counts: found {found(dataset)}, expected a map: only maps have regions to choose.")
    inside = region if isinstance(region, np.ndarray) else geom.region_mask(region)
    if np.shape(inside) != geom.shape:
        raise InputError(f"plot_counts: region has shape {np.shape(inside)}, expected {geom.shape}.")
    mask = np.asarray(fitted_bins(dataset)) & np.asarray(inside, bool)
    if not mask.any():
        raise InputError("plot_counts: no fitted pixel has its centre inside the region. Take a larger region.")
    return dataset.with_mask_fit(mask)


def background_limits(dataset: CountsDataset) -> np.ndarray | None:
    """Limits (n,) of 84 % of the background of an on/off spectrum where it has no off counts, NaN elsewhere; None for
    other datasets."""
    data = dataset.statistic_data
    if "counts_off" not in data or len(dataset.data_shape) > 1:
        return None
    n_off, on, off = (np.asarray(data[name], float) for name in ("counts_off", "acceptance", "acceptance_off"))
    none = (n_off == 0) & (off > 0)
    return np.where(none, on / np.where(none, off, 1.0) * poisson_errors(np.zeros(1))[1], np.nan)


def draw_counts(p: Prediction, residual: np.ndarray, off_limits: np.ndarray | None = None) -> tuple[Axes, Axes]:
    """Counts, prediction and background above; ``residual`` (n,), in standard deviations, below. ``off_limits`` (n,):
    of the background where it was not seen, see `background_limits`."""
    figure = new_figure(6.4, 5.0)
    top = figure.add_axes((0.12, 0.345, 0.85, 0.585))
    bottom = figure.add_axes((0.12, 0.11, 0.85, 0.215), sharex=top)
    first, last = _shown_bins(p)
    edges, show = p.edges[first : last + 2], slice(first, last + 1)
    counts, npred, background, mask = p.counts[show], p.npred[show], p.background[show], p.mask[show]
    residual, centre = residual[show], np.sqrt(edges[:-1] * edges[1:])
    for ax in (top, bottom):
        shade(ax, edges, mask)

    below, above = poisson_errors(counts)
    lowest, highest = _counts_range(counts + above, npred, background)
    top.stairs(
        np.maximum(background, lowest / 10), edges, baseline=lowest / 10, fill=True, color=VERMILLION, alpha=0.25, lw=0
    )
    top.stairs(np.maximum(background, lowest / 10), edges, baseline=None, color=VERMILLION, lw=1.2, label="background")
    if off_limits is not None and np.isfinite(limits := off_limits[show]).any():
        top.plot(
            centre, limits, "v", ms=3.5, mfc="none", mec=VERMILLION, ls="", label="no off counts: 84 % upper limit"
        )
        lowest = min(lowest, float(np.nanmin(limits)) / 2)
    # dashed where it was not fitted, down to the steps between
    steps = np.maximum(npred, lowest / 10)
    top.stairs(steps, edges, baseline=None, color=BLUE, lw=1.2, ls="--")
    fitted = np.where(mask, steps, np.nan)
    top.stairs(fitted, edges, baseline=None, color=BLUE, lw=1.8, label="signal + background")
    for chosen, colour, label in ((mask, BLACK, "counts"), (~mask, PALE, "counts, not fitted")):
        if (shown := chosen & (counts > 0)).any():
            errors = [np.minimum(below, counts * (1 - 1e-6))[shown], above[shown]]
            draw_points(top, centre[shown], counts[shown], errors, colour, label)
    said = "no counts: 84 % upper limit"
    for chosen, colour in ((mask, BLACK), (~mask, PALE)):
        if (empty := chosen & (counts == 0)).any():
            top.plot(centre[empty], above[empty], "v", ms=3.5, mfc="none", mec=colour, label=said)
            said = "_"

    bottom.axhline(0, color=BLUE, lw=1.2)
    largest = 0.0
    for chosen, colour in ((mask, BLACK), (~mask, PALE)):
        if (shown := chosen & np.isfinite(residual)).any():
            draw_points(bottom, centre[shown], residual[shown], np.ones(int(shown.sum())), colour, None)
            largest = max(largest, float(np.max(np.abs(residual[shown]))))
    # the whole error bars, of one standard deviation
    height = max(3.6, 1.08 * (largest + 1))
    step = max(2, int(height / 2))
    bottom.set(ylim=(-height, height), yticks=[-step, 0, step])

    if len(top.get_legend_handles_labels()[0]) > FEW_ENTRIES:
        highest *= (highest / lowest) ** 0.1
    labels = log_axis(top.yaxis, lowest, highest)
    for ax in (top, bottom):
        log_axis(ax.xaxis, edges[0], edges[-1])
    top.tick_params(labelbottom=False)
    top.set_ylabel("Counts per bin")
    bottom.set_ylabel("Residual [σ]")
    bottom.set_xlabel("Reconstructed energy [TeV]")
    label_beside((top, bottom), labels)
    # a given height keeps matplotlib from measuring everything around the title
    top.set_title(p.name, loc="left", fontsize=11, y=1.02, parse_math=False)
    top.set_title(f"{p.stat_type} {p.stat:.1f}, {p.n_bins} bins", loc="right", fontsize=9, y=1.02)
    top.legend(loc="upper right", frameon=False, fontsize=9)
    return top, bottom


def _shown_bins(p: Prediction) -> tuple[int, int]:
    """First and last bin worth showing: from the first to the last with counts, in the fit or with a prediction."""
    shown = np.flatnonzero((p.counts > 0) | p.mask | (p.npred > 0.1))
    return (int(shown[0]), int(shown[-1])) if shown.size else (0, len(p.counts) - 1)


def _counts_range(highest: np.ndarray, npred: np.ndarray, background: np.ndarray) -> tuple[float, float]:
    """Limits of the counts axis: the legend fits above, and a background below one count is still seen."""
    top = max(highest.max(initial=1.0), npred.max(initial=1.0))
    positive = np.concatenate([npred[npred > 0], background[background > 0]])
    least = np.quantile(positive, 0.1) if positive.size else 0.1
    low = min(max(least / 2, top / 1e5), 0.5)
    return low, low * (top / low) ** 1.32
