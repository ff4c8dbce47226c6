"""What light curves and flux profiles share: fluxes in rows, a colour for each band of energy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gammajax.datasets.errors import InputError
from gammajax.datasets.flux_points.reference import UNITS
from gammajax.datasets.flux_points.rows import PointRows
from gammajax.plots.figures import SUPERSCRIPTS, log_axis

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito (2008): told apart with every kind of colour vision."""

MARKERS = "osD^vP*"

NAMES = {
    "norm": ("Norm", ""),
    "flux": ("Flux", "cm⁻² s⁻¹"),
    "dnde": ("dN/dE", "TeV⁻¹ cm⁻² s⁻¹"),
    "e2dnde": ("E² dN/dE", "TeV cm⁻² s⁻¹"),
    "eflux": ("Energy flux", "TeV cm⁻² s⁻¹"),
}
"""Kinds of flux with their units, as labels."""

ARROW, LOG_ARROW = 0.06, 10**-0.15
"""Length of the arrow of a limit in units of the height of the picture; on a logarithmic axis its end in units of the
limit."""

ROW = 0.075
"""Height of a row of the legend in units of the height of the picture."""

APART = 3.0
"""Ratio of the fluxes of bands from which on a linear axis shows one of them only."""


def require_kind(kind: str, what: str) -> None:
    """An InputError for what is no kind of flux."""
    if kind not in UNITS:
        raise InputError(f"{what}: kind must be one of {', '.join(UNITS)}, found {kind!r}.")


def draw_rows(
    ax: Axes,
    rows: PointRows,
    kind: str,
    ends: tuple[np.ndarray, np.ndarray],
    levels: np.ndarray | None = None,
    notes: Sequence[str] = (),
    *,
    zero: bool = False,
) -> None:
    """Points with errors, limits as arrows, the label of the y axis and the legend.

    ``ends`` (n_rows,) are those of the horizontal bars; ``levels`` (n_energies,) are dashed lines, NaN none; ``notes``
    follow the energies in the legend; ``zero``: a linear axis begins there, or below. Bands of very different fluxes
    get a logarithmic axis, if all points and levels are positive.
    """
    columns = _columns(rows, kind)
    value, limit = columns[0], columns[3]
    is_ul = np.asarray(rows.is_ul) & np.isfinite(limit)
    logarithmic = _is_logarithmic(value, limit, is_ul, levels)
    shown = [x[np.isfinite(x)] for x in (columns[0] + columns[2], value, limit)]
    power = 0 if logarithmic else _power(np.concatenate(shown))
    value, errn, errp, limit = (x / 10.0**power for x in columns)
    low, high = ends
    middle = (low + high) / 2
    if logarithmic:
        errn = np.minimum(errn, 0.95 * np.abs(value))
    span = ARROW * _height(np.where(is_ul, limit, value + errp), np.where(is_ul, 0.0, value - errn))
    entries = []
    for band in range(rows.n_energies):
        colour, marker = COLOURS[band % len(COLOURS)], MARKERS[band % len(MARKERS)]
        limits = is_ul[:, band]
        points = ~limits & np.isfinite(value[:, band])
        style: dict[str, Any] = {"color": colour, "elinewidth": 1.0, "ls": "none"}
        if points.any():
            errors = [errn[points, band].tolist(), errp[points, band].tolist()]
            sides = _sides(middle, low, high, points)
            ax.errorbar(middle[points], value[points, band], yerr=errors, xerr=sides, marker=marker, ms=4, **style)
        if limits.any():
            y = limit[limits, band]
            arrow = (y * (1 - LOG_ARROW)).tolist() if logarithmic else span
            sides = _sides(middle, low, high, limits)
            ax.errorbar(middle[limits], y, yerr=_down(arrow, y), xerr=sides, uplims=True, marker="none", **style)
        level = np.nan if levels is None else float(levels[band])
        if np.isfinite(level):
            ax.axhline(level / 10.0**power, color=colour, lw=1.0, ls="--", zorder=1)
        label = _band(rows, band) + (notes[band] if notes else "")
        line = "--" if np.isfinite(level) else "none"
        entries.append(Line2D([], [], color=colour, marker=marker, ms=4, lw=1, ls=line, label=label))
    if is_ul.any():
        conf = rows.points.meta.get("UL_CONF")
        label = "upper limits" if conf is None else f"upper limits ({100 * conf:.4g} %)"
        entries.append(Line2D([], [], color="0.4", marker="v", ms=5, ls="none", label=label))
    bottom, top = ax.get_ylim()
    bottom = min(bottom, 0.0) if zero else bottom
    # the legend stands above all points
    room = ROW * (len(entries) + 0.5)
    if logarithmic:
        lowest, highest = _log_range(value, errn, errp, limit, is_ul, levels)
        log_axis(ax.yaxis, lowest, highest * (highest / lowest) ** (room / (1 - room)))
    else:
        ax.set_ylim(bottom, top + room * (top - bottom))
        if bottom < 0:
            ax.axhline(0, color="0.6", lw=0.8, zorder=0)
    name, unit = NAMES[kind]
    factor = f"10{str(power).translate(SUPERSCRIPTS)}" if power else ""
    unit = " ".join(part for part in (factor, unit) if part)
    ax.set_ylabel(f"{name} [{unit}]" if unit else name)
    ax.legend(handles=entries, loc="upper left", frameon=False, fontsize=9)


def _sides(middle: np.ndarray, low: np.ndarray, high: np.ndarray, chosen: np.ndarray) -> list[list[float]]:
    """Horizontal bars."""
    return [(middle - low)[chosen].tolist(), (high - middle)[chosen].tolist()]


def _down(arrow: float | list[float], y: np.ndarray) -> list[list[float]]:
    """Arrows downwards, as errors."""
    lengths = arrow if isinstance(arrow, list) else [arrow] * len(y)
    return [lengths, [0.0] * len(y)]


def _columns(rows: PointRows, kind: str) -> tuple[np.ndarray, ...]:
    """Values, errors down and up, limits, (n_rows, n_energies); errors that are unknown to one side are symmetric."""

    def column(suffix: str) -> np.ndarray:
        values = rows.quantity(f"{kind}{suffix}")
        return np.full(rows.shape, np.nan) if values is None else values.value

    error = column("_err")
    sides = (np.where(np.isfinite(side), side, error) for side in (column("_errn"), column("_errp")))
    errn, errp = (np.nan_to_num(side) for side in sides)
    return column(""), errn, errp, column("_ul")


def _is_logarithmic(value: np.ndarray, limit: np.ndarray, is_ul: np.ndarray, levels: np.ndarray | None) -> bool:
    """Whether bands have fluxes far apart, all of them positive."""
    shown = np.where(is_ul, limit, value)
    known = np.isfinite(shown)
    if value.shape[1] < 2 or not known.any() or np.any(shown[known] <= 0):
        return False
    if levels is not None and np.any(levels[np.isfinite(levels)] <= 0):
        return False
    middle = [float(np.median(shown[known[:, k], k])) for k in range(value.shape[1]) if known[:, k].any()]
    return max(middle) > APART * min(middle)


def _log_range(
    value: np.ndarray,
    errn: np.ndarray,
    errp: np.ndarray,
    limit: np.ndarray,
    is_ul: np.ndarray,
    levels: np.ndarray | None,
) -> tuple[float, float]:
    """Ends of a logarithmic axis around all points; bars that reach far below their points are cut."""
    low = np.where(is_ul, limit * LOG_ARROW, np.maximum(value - errn, value / 3))
    high = np.where(is_ul, limit, value + errp)
    lines = np.zeros(0) if levels is None else levels[np.isfinite(levels)]
    return float(np.nanmin([np.nanmin(low), *lines])) / 1.3, float(np.nanmax([np.nanmax(high), *lines])) * 1.3


def _power(values: np.ndarray) -> int:
    """Power of ten that goes into the label of the axis."""
    largest = np.max(np.abs(values), initial=0.0)
    power = int(np.floor(np.log10(largest))) if largest > 0 else 0
    return power if abs(power) > 2 else 0


def _height(top: np.ndarray, bottom: np.ndarray) -> float:
    return float(np.nanmax(top, initial=0.0) - np.nanmin(bottom, initial=0.0)) or 1.0


def _band(rows: PointRows, band: int) -> str:
    if rows.energy_min is None or rows.energy_max is None:
        return f"{rows.energy_ref[band]:.3g} TeV"
    return f"{rows.energy_min[band]:.3g} to {rows.energy_max[band]:.3g} TeV"
