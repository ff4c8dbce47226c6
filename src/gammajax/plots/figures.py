"""Drawing: matplotlib figures from plain arrays.

No pyplot, no layout engine, no mathematical typesetting: a picture costs a fraction of what it would with them, and
nothing global is touched.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.markers import TICKDOWN, TICKLEFT
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from gammajax.fit.predictions import Prediction

if TYPE_CHECKING:
    from astropy.wcs import WCS

# Okabe & Ito (2008): told apart with every kind of colour vision
BLUE, VERMILLION, BLACK = "#0072B2", "#D55E00", "#000000"

PALE, SHADE = "#9A9A9A", "#EFEFEF"

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

DPI = 110

SMOOTHING = 1.0
"""Width of the Gaussian that smooths images, in pixels."""


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    stream = io.BytesIO()
    # without the version of the library in it, equal figures are equal files
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def counts_figure(p: Prediction) -> Figure:
    """Counts, prediction and background above, residuals below; bins that are not fitted are shaded."""
    figure = _figure(6.4, 5.0)
    top = figure.add_axes((0.12, 0.345, 0.85, 0.585))
    bottom = figure.add_axes((0.12, 0.11, 0.85, 0.215), sharex=top)
    first, last = _shown_bins(p)
    edges, show = p.edges[first : last + 2], slice(first, last + 1)
    counts, npred, background, mask = p.counts[show], p.npred[show], p.background[show], p.mask[show]
    centre = np.sqrt(edges[:-1] * edges[1:])
    for ax in (top, bottom):
        _shade(ax, edges, mask)

    below, above = poisson_errors(counts)
    lowest, highest = _counts_range(counts + above, npred, background)
    top.stairs(
        np.maximum(background, lowest / 10), edges, baseline=lowest / 10, fill=True, color=VERMILLION, alpha=0.25, lw=0
    )
    top.stairs(np.maximum(background, lowest / 10), edges, baseline=None, color=VERMILLION, lw=1.2, label="background")
    top.stairs(np.maximum(npred, lowest / 10), edges, baseline=None, color=BLUE, lw=1.8, label="signal + background")
    for chosen, colour, label in ((mask, BLACK, "counts"), (~mask, PALE, "counts, not fitted")):
        if (shown := chosen & (counts > 0)).any():
            errors = [np.minimum(below, counts * (1 - 1e-6))[shown], above[shown]]
            _points(top, centre[shown], counts[shown], errors, colour, label)
        if (empty := chosen & (counts == 0)).any():
            # the 84 % upper limit of an empty bin
            top.plot(centre[empty], above[empty], "v", ms=3.5, mfc="none", mec=colour)

    spread = np.sqrt(np.where(npred > 0, npred, np.nan))
    residual = (counts - npred) / spread
    bottom.axhline(0, color=BLUE, lw=1.2)
    for chosen, colour in ((mask, BLACK), (~mask, PALE)):
        if (shown := chosen & np.isfinite(residual)).any():
            _points(bottom, centre[shown], residual[shown], np.sqrt(counts[shown]) / spread[shown], colour, None)
    widest = np.nanmax(np.abs(residual[mask]), initial=0.0) if mask.any() else 0.0
    height = max(3.6, 1.2 * widest)
    step = max(2, int(height / 2))
    bottom.set(ylim=(-height, height), yticks=[-step, 0, step])

    top.set(yscale="log", xscale="log", xlim=(edges[0], edges[-1]), ylim=(lowest, highest))
    _log_ticks(top.yaxis, lowest, highest)
    for ax in (top, bottom):
        _log_ticks(ax.xaxis, edges[0], edges[-1])
    top.tick_params(labelbottom=False)
    top.set_ylabel("Counts per bin")
    bottom.set_ylabel("(n − μ) / √μ")
    bottom.set_xlabel("Reconstructed energy [TeV]")
    for ax in (top, bottom):
        ax.yaxis.set_label_coords(-0.085, 0.5)
    # a given height keeps matplotlib from measuring everything around the title
    top.set_title(p.name, loc="left", fontsize=11, y=1.02, parse_math=False)
    top.set_title(f"{p.stat_type} {p.stat:.1f} / {p.n_bins} bins", loc="right", fontsize=9, y=1.02)
    top.legend(loc="upper right", frameon=False, fontsize=9)
    return figure


def sed_figure(
    name: str, energy: np.ndarray, dnde: np.ndarray, error: np.ndarray, points: tuple[np.ndarray, ...] = ()
) -> Figure:
    """E^2 dN/dE with its band, and points of (edges, ratio to the model, error of the ratio) if there are any."""
    figure = _figure(6.4, 4.6)
    ax = figure.add_axes((0.13, 0.12, 0.84, 0.8))
    sed, band = energy**2 * dnde, energy**2 * error
    positive = sed > 0
    floor = sed[positive].min() / 1e3 if positive.any() else 1e-30
    known = np.isfinite(band)
    if np.any(band[known] > 0):
        low, high = np.maximum(sed - band, floor)[known], np.maximum(sed + band, floor)[known]
        ax.fill_between(energy[known], low, high, color=BLUE, alpha=0.3, lw=0, label="one sigma, full covariance")
    ax.plot(energy[positive], sed[positive], color=BLUE, lw=1.5, label="best fit")
    seen = [sed[positive]]
    if points:
        edges, ratio, ratio_error = points
        centre = np.sqrt(edges[:-1] * edges[1:])
        model = np.interp(np.log(centre), np.log(energy), sed)
        # bins of hardly any sensitivity would only stretch the axes
        good = (model > 0) & np.isfinite(ratio) & (ratio > 0) & (ratio_error < 1.5)
        x, y, dy = centre[good], (ratio * model)[good], (ratio_error * model)[good]
        sides = [x - edges[:-1][good], edges[1:][good] - x]
        ax.errorbar(
            x, y, yerr=_listed([np.minimum(dy, 0.9 * y), dy]), xerr=_listed(sides), fmt="o", ms=4, color=BLACK,
            elinewidth=0.9, label="excess / prediction × best fit",
        )  # fmt: skip
        seen += [y, np.minimum(y + dy, y * 2)]
    everything = np.concatenate(seen) if positive.any() else np.array([1.0])
    bottom, top = everything.min() / 2.5, everything.max() * 2.0
    ax.set(xscale="log", yscale="log", xlim=(energy[0], energy[-1]), ylim=(bottom, top))
    _log_ticks(ax.xaxis, energy[0], energy[-1])
    _log_ticks(ax.yaxis, bottom, top)
    ax.set_xlabel("Energy [TeV]")
    ax.set_ylabel("E² dN/dE [TeV cm⁻² s⁻¹]")
    ax.yaxis.set_label_coords(-0.1, 0.5)
    ax.set_title(name, loc="left", fontsize=11, y=1.02, parse_math=False)
    ax.legend(loc="lower left", frameon=False, fontsize=9)
    return figure


def poisson_errors(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper 1-sigma errors of Poisson counts, Gehrels (1986), ApJ 303, 336, equations 7 and 14."""
    safe = np.maximum(counts, 1.0)
    lower = counts - np.where(counts > 0, safe * (1 - 1 / (9 * safe) - 1 / (3 * np.sqrt(safe))) ** 3, 0.0)
    return lower, np.sqrt(counts + 0.75) + 1


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def _listed(errors: np.ndarray | Sequence[np.ndarray]) -> list[float]:
    """Errors as lists: matplotlib turns arrays of one into numbers, which NumPy has deprecated."""
    return np.asarray(errors).tolist()


def _points(
    ax: Axes, x: np.ndarray, y: np.ndarray, errors: np.ndarray | Sequence[np.ndarray], colour: str, label: str | None
) -> None:
    ax.errorbar(x, y, yerr=_listed(errors), fmt="o", ms=3.2, color=colour, elinewidth=0.9, label=label)


def _shown_bins(p: Prediction) -> tuple[int, int]:
    """First and last bin worth showing: from the first to the last with counts, in the fit or with a prediction."""
    shown = np.flatnonzero((p.counts > 0) | p.mask | (p.npred > 0.1))
    return (int(shown[0]), int(shown[-1])) if shown.size else (0, len(p.counts) - 1)


def _shade(ax: Axes, edges: np.ndarray, mask: np.ndarray) -> None:
    """Grey behind runs of bins that are not fitted."""
    border = np.flatnonzero(np.diff(np.concatenate([[False], ~mask, [False]]).astype(int)))
    for start, stop in zip(border[::2], border[1::2], strict=True):
        ax.axvspan(edges[start], edges[stop], color=SHADE, lw=0, zorder=0)


def _counts_range(highest: np.ndarray, npred: np.ndarray, background: np.ndarray) -> tuple[float, float]:
    """Limits of the counts axis: the legend fits above, and a background below one count is still seen."""
    top = max(highest.max(initial=1.0), npred.max(initial=1.0))
    positive = np.concatenate([npred[npred > 0], background[background > 0]])
    least = np.quantile(positive, 0.1) if positive.size else 0.1
    low = min(max(least / 2, top / 1e5), 0.5)
    return low, low * (top / low) ** 1.22


def _log_ticks(axis: XAxis | YAxis, low: float, high: float) -> None:
    """Ticks at powers of ten, at 2 and 5 as well where the range is short, with labels that need no typesetting."""
    decades = np.log10(high / low)
    whole = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    step = max(1, int(np.ceil(decades / 7)))
    factors = (1, 2, 5) if decades < 2.1 else (1,)
    major = np.array([f * 10.0**k for k in whole[::step] for f in factors])
    minor = np.array([f * 10.0**k for k in whole for f in range(2, 10)])
    axis.set_major_locator(FixedLocator(list(major[(major >= low * 0.999) & (major <= high * 1.001)])))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_tick_label))
    if decades < 6:
        _minor_marks(axis, minor[(minor >= low) & (minor <= high)])


def _minor_marks(axis: XAxis | YAxis, values: np.ndarray) -> None:
    """Minor ticks as one artist: matplotlib makes three of each, which doubles the time that a picture takes."""
    ax, zeros = axis.axes, np.zeros(len(values))
    style: dict[str, Any] = {"ls": "", "ms": 2.0, "mew": 0.6, "color": BLACK, "clip_on": False, "zorder": 2.5}
    if axis is ax.xaxis:
        ax.plot(values, zeros, marker=TICKDOWN, transform=ax.get_xaxis_transform(), **style)
    else:
        ax.plot(zeros, values, marker=TICKLEFT, transform=ax.get_yaxis_transform(), **style)


def _tick_label(value: float, _: int) -> str:
    if 1e-3 < value < 1e5:
        return f"{value:.6g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    power = f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return power if mantissa == "1" else f"{mantissa}×{power}"


def sky_figure(counts: np.ndarray, npred: np.ndarray, pixels: np.ndarray, wcs: "WCS", title: str) -> Figure:
    """Counts, prediction and residual significance (counts - npred) / sqrt(npred) of a map, smoothed alike.

    ``counts`` and ``npred``: sums over the fitted energies, (ny, nx); ``pixels``: True where there are any.
    """
    from scipy.ndimage import gaussian_filter

    def smooth(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(np.where(pixels, image, 0.0), SMOOTHING, mode="constant", truncate=4.0)

    weight = np.maximum(smooth(pixels.astype(float)), 1e-9)
    seen, expected = (np.where(pixels, smooth(image) / weight, np.nan) for image in (counts, npred))
    # the variance of a smoothed Poisson image with the Gaussian of width s: npred / (4 pi s^2)
    with np.errstate(invalid="ignore", divide="ignore"):
        residual = (seen - expected) / np.sqrt(expected / (4 * np.pi * SMOOTHING**2))
    figure = _figure(12.0, 3.8)
    figure.subplots_adjust(left=0.06, right=0.98, bottom=0.1, top=0.9, wspace=0.25)
    top = np.nanmax(expected) if np.isfinite(expected).any() else 1.0
    for i, (image, label, limits, colours) in enumerate(
        (
            (seen, "counts", (0, top), "viridis"),
            (expected, "predicted", (0, top), "viridis"),
            (residual, "residual significance", (-5, 5), "RdBu_r"),
        )
    ):
        ax = figure.add_subplot(1, 3, i + 1, projection=wcs)
        shown = ax.imshow(image, origin="lower", vmin=limits[0], vmax=limits[1], cmap=colours, interpolation="nearest")
        figure.colorbar(shown, ax=ax, shrink=0.8)
        ax.set_title(label if i else f"{title}: {label}", fontsize=9)
        for axis in ax.coords:
            axis.set_ticklabel(size=7)
            axis.set_axislabel("")
    return figure
