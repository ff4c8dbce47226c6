"""What all pictures share: figures without a window, colours, ticks, error bars and files.

No pyplot, no layout engine, no mathematical typesetting: a picture costs a fraction of what it would with them, and
nothing global is touched.
"""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.markers import TICKDOWN, TICKLEFT
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

# Okabe & Ito (2008): told apart with every kind of colour vision
BLUE, VERMILLION, BLACK, GREEN = "#0072B2", "#D55E00", "#000000", "#009E73"

PALE, SHADE = "#9A9A9A", "#EFEFEF"

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

DPI = 110

FACTORS = ((1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
"""Labelled multiples of powers of ten, the densest first."""

MOST_LABELS = 7
"""Labels along an axis."""

LABEL_SIZE = 10.0
"""Size of tick labels, in points."""

CHARACTER = 0.6
"""Width of a character in units of its size."""


Picture = Figure | Axes | Sequence[Axes] | Sequence[Sequence[Axes]]
"""What functions that draw return."""


def png(picture: Picture) -> bytes:
    """A figure, or the figure of axes, as a PNG file.

    Parameters
    ----------
    picture : what one of the functions gave: axes, tuples of axes, or a figure
    """
    figure = figure_of(picture)
    stream = io.BytesIO()
    # without the version of the library in it, equal figures are equal files
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
    return stream.getvalue()


def figure_of(picture: Picture) -> Figure:
    """The figure that axes, or the first of several, are part of."""
    while not isinstance(picture, Figure | Axes):
        picture = picture[0]
    if isinstance(picture, Figure):
        return picture
    figure = picture.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def new_figure(width: float, height: float) -> Figure:
    """A figure of a size in inches that belongs to no window."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def axes_or_new(ax: Axes | None, width: float = 6.4, height: float = 4.6, left: float = 0.17) -> Axes:
    """The axes given, or those of a new figure."""
    return new_figure(width, height).add_axes((left, 0.12, 0.97 - left, 0.8)) if ax is None else ax


def listed(errors: np.ndarray | Sequence[np.ndarray]) -> list[float]:
    """Errors as lists: matplotlib turns arrays of one into numbers, which NumPy has deprecated."""
    return np.asarray(errors).tolist()


def draw_points(
    ax: Axes, x: np.ndarray, y: np.ndarray, errors: np.ndarray | Sequence[np.ndarray], colour: str, label: str | None
) -> None:
    """Points with error bars up and down."""
    ax.errorbar(x, y, yerr=listed(errors), fmt="o", ms=3.2, color=colour, elinewidth=0.9, label=label)


def shade(ax: Axes, edges: np.ndarray, mask: np.ndarray) -> None:
    """Grey behind runs of bins that are not fitted."""
    border = np.flatnonzero(np.diff(np.concatenate([[False], ~mask, [False]]).astype(int)))
    for start, stop in zip(border[::2], border[1::2], strict=True):
        ax.axvspan(edges[start], edges[stop], color=SHADE, lw=0, zorder=0)


def poisson_errors(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper 1-sigma errors of Poisson counts, Gehrels (1986), ApJ 303, 336, equations 7 and 14."""
    safe = np.maximum(counts, 1.0)
    lower = counts - np.where(counts > 0, safe * (1 - 1 / (9 * safe) - 1 / (3 * np.sqrt(safe))) ** 3, 0.0)
    return lower, np.sqrt(counts + 0.75) + 1


def log_axis(axis: XAxis | YAxis, low: float, high: float, size: float = LABEL_SIZE) -> list[str]:
    """A logarithmic axis from ``low`` to ``high``, as many labelled ticks as have room, and their labels.

    Labels stand at multiples of powers of ten, of a range too short for two of these at round numbers; they need no
    typesetting.
    """
    ax = axis.axes
    horizontal = axis is ax.xaxis
    if horizontal:
        ax.set(xscale="log", xlim=(low, high))
    else:
        ax.set(yscale="log", ylim=(low, high))
    box = ax.get_window_extent()
    length = (box.width if horizontal else box.height) * 72 / ax.figure.dpi
    chosen = _ticks(low, high, length, size if horizontal else 0.0, size)
    axis.set_major_locator(FixedLocator(list(chosen)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(tick_label))
    axis.set_tick_params(labelsize=size)
    if np.log10(high / low) < 6:
        whole = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        minor = np.array([f * 10.0**k for k in whole for f in range(1, 10)])
        _minor_marks(axis, minor[(minor >= low) & (minor <= high) & ~np.isin(minor, chosen)])
    return [tick_label(value) for value in chosen]


def _ticks(low: float, high: float, length: float, wide: float, tall: float) -> np.ndarray:
    """Labelled values for an axis of ``length`` points: ``wide`` is the size of characters along it, 0 across it."""
    whole = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    choices = [np.array([f * 10.0**k for k in whole for f in factors]) for factors in FACTORS]
    choices += [10.0 ** whole[whole % step == 0] for step in (2, 3, 4, 6, 10)]
    inside = [c[(c >= low * 0.999) & (c <= high * 1.001)] for c in choices]
    even = np.asarray(MaxNLocator(4).tick_values(low, high))
    inside.append(even[(even >= low) & (even <= high) & (even > 0)])
    for values in inside:
        if 2 <= len(values) <= MOST_LABELS:
            place = np.log(values) / np.log(high / low) * length
            width = np.array([len(tick_label(v)) for v in values]) * CHARACTER * wide
            room = (width[1:] + width[:-1]) / 2 + tall * (0.6 if wide else 1.4)
            if np.all(np.diff(place) >= room):
                return np.asarray(values)
    return np.asarray(next((v for v in inside if len(v)), np.array([low])))[:1]


def _minor_marks(axis: XAxis | YAxis, values: np.ndarray) -> None:
    """Minor ticks as one artist: matplotlib makes three of each, which doubles the time that a picture takes."""
    ax, zeros = axis.axes, np.zeros(len(values))
    style: dict[str, Any] = {"ls": "", "ms": 2.0, "mew": 0.6, "color": BLACK, "clip_on": False, "zorder": 2.5}
    if axis is ax.xaxis:
        ax.plot(values, zeros, marker=TICKDOWN, transform=ax.get_xaxis_transform(), **style)
    else:
        ax.plot(zeros, values, marker=TICKLEFT, transform=ax.get_yaxis_transform(), **style)


def label_beside(axes: Iterable[Axes], labels: Iterable[str], size: float = LABEL_SIZE) -> None:
    """The labels of y axes one above the other, left of the longest of the tick ``labels``."""
    longest = max((len(label) for label in labels), default=1)
    for ax in axes:
        width = ax.get_window_extent().width * 72 / ax.figure.dpi
        ax.yaxis.set_label_coords(-(longest * CHARACTER * size + 14) / width, 0.5)


def tick_label(value: float, _: int = 0) -> str:
    """A number as a label: plain, or with a power of ten in superscripts."""
    if 1e-3 < value < 1e5:
        return f"{value:.6g}"
    mantissa, exponent = f"{value:.3e}".split("e")
    power = f"10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    mantissa = mantissa.rstrip("0").rstrip(".")
    return power if mantissa == "1" else f"{mantissa}×{power}"


def power_of_ten(values: np.ndarray) -> tuple[float, str]:
    """A power of ten by which numbers are divided to read well, and its text: 1 and none for those that do."""
    largest = float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0))
    exponent = int(np.floor(np.log10(largest))) if largest > 0 else 0
    if -3 <= exponent < 5:
        return 1.0, ""
    return 10.0**exponent, f"10{str(exponent).translate(SUPERSCRIPTS)} "
