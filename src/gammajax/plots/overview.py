"""A dataset at a glance: its counts, responses and masks."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, PowerNorm

from gammajax.datasets.counts.dataset import CountsDataset, require_counts
from gammajax.datasets.dataset import fitted_bins
from gammajax.datasets.irf.psf import PSFMap
from gammajax.datasets.sky.geom import SkyGeom
from gammajax.plots.counts import background_limits
from gammajax.plots.figures import (
    BLACK,
    PALE,
    VERMILLION,
    draw_points,
    log_axis,
    new_figure,
    poisson_errors,
    power_of_ten,
    shade,
    tick_label,
)
from gammajax.plots.response import draw_exposure, plot_edisp, plot_psf
from gammajax.plots.sky import outline_mask, show_image, sky_axes

SIZE = 9.0
"""Labels of small panels, in points."""


def peek(dataset: CountsDataset, name: str | None = None) -> tuple[Axes, ...]:
    """All that a dataset of counts holds in one figure: a tuple of axes.

    Of a spectrum counts and background, exposure, energy dispersion, and of a region with a point spread function its
    containment radii. Of a map images of counts, background and exposure (summed over all energies, and at the true
    energy in the middle of the fitted ones), then the spectrum of all pixels, the point spread function and the energy
    dispersion, both at the middle of the map. Energies that are not fitted are shaded; the borders of the safe and of
    the fitted pixels are dotted and dashed lines. What the dataset lacks is said in its place.

    Parameters
    ----------
    dataset : spectrum, region or map; it need not have counts
    name : its name, for the title

    Examples
    --------
    >>> gj.plots.peek(datasets["run-1"], "run-1")[0].figure.savefig("run-1.png")
    """
    require_counts(dataset, "peek")
    geom = dataset.sky_geom
    if isinstance(geom, SkyGeom):
        return _map(dataset, geom, name)
    return _spectrum(dataset, name)


def _spectrum(dataset: CountsDataset, name: str | None) -> tuple[Axes, ...]:
    n = 3 if dataset.psf is None else 4
    figure = new_figure(4.2 * n, 3.7)
    places = [((i + 0.18) / n, 0.15, 0.76 / n, 0.71) for i in range(n)]
    axes = [figure.add_axes(place) for place in places]
    _counts(axes[0], dataset)
    axes[0].set_title(name or dataset.tag, fontsize=SIZE + 0.5, parse_math=False)
    if dataset.exposure is None:
        _without(axes[1], "Exposure", "no exposure")
    else:
        draw_exposure(axes[1], dataset, SIZE)
    plot_edisp(dataset, ax=axes[2], size=SIZE)
    if n == 4:
        plot_psf(dataset, ax=axes[3], size=SIZE)
    return tuple(axes)


def _map(dataset: CountsDataset, geom: SkyGeom, name: str | None) -> tuple[Axes, ...]:
    figure = new_figure(13.0, 7.6)
    fitted = np.asarray(fitted_bins(dataset))
    safe = np.ones(fitted.shape, bool) if dataset.mask_safe is None else np.asarray(dataset.mask_safe)
    reco, true = np.asarray(dataset.energy_edges), np.asarray(dataset.energy_true_edges)
    used = np.flatnonzero(fitted.any(axis=(1, 2)))
    low, high = (reco[used[0]], reco[used[-1] + 1]) if used.size else (reco[0], reco[-1])
    middle = int(np.clip(np.searchsorted(true, np.sqrt(low * high)) - 1, 0, len(true) - 2))
    at = tick_label(float(f"{np.sqrt(true[middle] * true[middle + 1]):.3g}"))
    background = dataset.background_error()[0] if dataset.background is None else dataset.background
    images = (
        (dataset.counts, f"{name or dataset.tag}: counts", "counts per pixel", True),
        (background, "Background", "counts per pixel", True),
        (None if dataset.exposure is None else np.asarray(dataset.exposure)[middle : middle + 1],
         f"Exposure at {at} TeV", "cm² s", False),
    )  # fmt: skip
    axes: list[Axes] = []
    for i, (values, title, label, root) in enumerate(images):
        place = (0.065 + 0.325 * i, 0.57, 0.21, 0.365)
        if values is None:
            axes.append(figure.add_axes(place))
            _without(axes[-1], title, "none")
            continue
        image = np.asarray(values, float).sum(axis=0)
        scale, power = (1.0, "") if root else power_of_ten(image)
        image, label = image / scale, power + label
        top = max(float(np.nanmax(image)), 1e-300)
        ax = sky_axes(figure, geom, place, SIZE)
        show_image(ax, image, label, PowerNorm(0.5, 0.0, top) if root else Normalize(0.0, top), "inferno", SIZE)
        ax.set_title(title, fontsize=SIZE + 0.5, parse_math=False)
        outline_mask(ax, np.asarray(safe.any(axis=0)), "white", ":")
        outline_mask(ax, np.asarray(fitted.any(axis=0)), "white", "--")
        axes.append(ax)
    lower = [figure.add_axes((0.065 + 0.325 * i, 0.085, 0.25, 0.36)) for i in range(3)]
    _counts(lower[0], dataset)
    lower[0].set_title("All pixels", fontsize=SIZE + 0.5)
    if isinstance(dataset.psf, PSFMap):
        plot_psf(dataset, ax=lower[1], size=SIZE)
    else:
        _without(lower[1], "Point spread function", "none" if dataset.psf is None else "a fixed kernel on the pixels")
    plot_edisp(dataset, ax=lower[2], size=SIZE)
    return (*axes, *lower)


def _counts(ax: Axes, dataset: CountsDataset) -> None:
    """Counts and background per energy, of a map the sums over all pixels."""
    edges = np.asarray(dataset.energy_edges)
    fitted = np.asarray(fitted_bins(dataset))
    mask = np.asarray(fitted.reshape(len(fitted), -1).any(axis=1))
    shade(ax, edges, mask)
    centre = np.sqrt(edges[:-1] * edges[1:])

    def per_energy(values: object) -> np.ndarray | None:
        return None if values is None else np.nansum(np.asarray(values, float).reshape(len(mask), -1), axis=1)

    counts, background = per_energy(dataset.counts), per_energy(dataset.background)
    known = [v for v in (counts, background) if v is not None]
    if not known:
        _without(ax, "", "no counts, no background")
        return
    positive = np.concatenate([v[v > 0] for v in known])
    top = float(positive.max(initial=1.0)) * 1.5
    low = max(float(np.min(positive)) / 3 if positive.size else 0.5, top / 1e6)
    if background is not None:
        ax.stairs(np.maximum(background, low / 10), edges, baseline=None, color=VERMILLION, lw=1.2, label="background")
    if counts is not None:
        below, above = poisson_errors(counts)
        for chosen, colour, label in ((mask, BLACK, "counts"), (~mask, PALE, "counts, not fitted")):
            if (seen := chosen & (counts > 0)).any():
                errors = [np.minimum(below, counts * (1 - 1e-6))[seen], above[seen]]
                draw_points(ax, centre[seen], counts[seen], errors, colour, label)
        top = max(top, float((counts + above).max()))
    limits = None if dataset.counts is None else background_limits(dataset)
    if limits is not None and np.isfinite(limits).any():
        said = "no off counts: 84 % upper limit"
        ax.plot(centre, limits, "v", ms=3.0, mfc="none", mec=VERMILLION, ls="", label=said)
        low = min(low, float(np.nanmin(limits)) / 2)
    log_axis(ax.xaxis, float(edges[0]), float(edges[-1]), SIZE)
    log_axis(ax.yaxis, low, low * (top / low) ** 1.35, SIZE)
    ax.set_xlabel("Reconstructed energy [TeV]", fontsize=SIZE)
    ax.set_ylabel("Counts per bin", fontsize=SIZE)
    ax.legend(loc="upper right", frameon=False, fontsize=SIZE - 1)


def _without(ax: Axes, title: str, text: str) -> None:
    """An empty panel that says what is missing."""
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=SIZE + 0.5, parse_math=False)
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, fontsize=SIZE, color="#666666")
