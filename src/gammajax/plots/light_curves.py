"""Pictures of light curves."""

from typing import Any

import numpy as np
from astropy.time import Time
from matplotlib.axes import Axes
from matplotlib.axes._secondary_axes import SecondaryAxis
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gammajax.datasets.errors import InputError
from gammajax.datasets.flux_points.light_curve import LightCurve
from gammajax.datasets.flux_points.reference import UNITS
from gammajax.datasets.hints.modules import found
from gammajax.plots.figures import SUPERSCRIPTS, new_figure

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

ARROW = 0.06
"""Length of the arrow of a limit in units of the height of the picture."""

WHOLE_DAYS = 6
"""Days from which on ticks stand at whole days."""

PLACE = (0.1, 0.13, 0.87, 0.72)
"""Of the axes in the figure: left, bottom, width, height."""

MOST_DATES = 6
"""Dates along the upper axis."""

STEPS = (
    *((n, "s", "s") for n in (1, 2, 5, 10, 30)),
    *((n, "m", "m") for n in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)),
    *((n, "D", "D") for n in (1, 2)),
    *((n, "M", "D") for n in (5, 10)),
    *((n, "M", "M") for n in (1, 2, 3, 6)),
    *((n, "Y", "Y") for n in (1, 2, 5, 10, 20, 50, 100)),
)
"""Steps from one date to the next: how many of what, and down to what dates are told (units of NumPy)."""

ROW = 0.075
"""Height of a row of the legend in units of the height of the picture."""


def plot_light_curve(curve: LightCurve, kind: str = "flux", ax: Axes | None = None) -> Axes:
    """Fluxes with errors against time, a colour for each band of energy; limits are arrows downwards. Matplotlib axes.

    Horizontal bars are the bins of time; the lower axis is in MJD (TT), the upper one has the date in UTC at the same
    places. A dashed line is the best constant flux of a band, with its chi-square in the legend. ``kind``: flux, dnde,
    e2dnde, eflux or norm; ``ax``: axes to draw into, by default those of a new figure (``ax.figure.savefig(...)``).

    Raises
    ------
    InputError
        for what is no `LightCurve`, and for other kinds.
    """
    if not isinstance(curve, LightCurve):
        raise InputError(f"plot_light_curve: found {found(curve)}, expected a LightCurve: gj.light_curve(...).")
    if kind not in UNITS:
        raise InputError(f"plot_light_curve: kind must be one of {', '.join(UNITS)}, found {kind!r}.")
    if ax is None:
        ax = new_figure(8.0, 4.4).add_axes(PLACE)
    value, errn, errp, limit = _columns(curve, kind)
    shown = [x[np.isfinite(x)] for x in (value + errp, value, limit)]
    power = _power(np.concatenate(shown))
    value, errn, errp, limit = (x / 10.0**power for x in (value, errn, errp, limit))
    low, high = np.asarray(curve.time_min), np.asarray(curve.time_max)
    time = (low + high) / 2
    is_ul = np.asarray(curve.is_ul) & np.isfinite(limit)
    arrow = ARROW * _height(
        np.where(is_ul, limit, value + np.nan_to_num(errp)), np.where(is_ul, 0.0, value - np.nan_to_num(errn))
    )
    entries = []
    for band in range(curve.n_energies):
        colour, marker = COLOURS[band % len(COLOURS)], MARKERS[band % len(MARKERS)]
        limits = is_ul[:, band]
        points = ~limits & np.isfinite(value[:, band])
        style: dict[str, Any] = {"color": colour, "elinewidth": 1.0, "ls": "none"}
        if points.any():
            sides = [(time - low)[points].tolist(), (high - time)[points].tolist()]
            errors = [errn[points, band].tolist(), errp[points, band].tolist()]
            ax.errorbar(time[points], value[points, band], yerr=errors, xerr=sides, marker=marker, ms=4, **style)
        if limits.any():
            sides = [(time - low)[limits].tolist(), (high - time)[limits].tolist()]
            ax.errorbar(
                time[limits],
                limit[limits, band],
                yerr=arrow,
                xerr=sides,
                uplims=True,
                marker="none",
                **style,
            )
        label = _band(curve, band)
        constant = curve.constancy(kind) if curve.norm_err is not None else None
        if constant is not None and np.isfinite(constant.chi2[band]):
            ax.axhline(constant.mean[band] / 10.0**power, color=colour, lw=1.0, ls="--", zorder=1)
            label += f" (constant: χ² {constant.chi2[band]:.1f}, {constant.ndf[band]} degrees of freedom)"
        entries.append(Line2D([], [], color=colour, marker=marker, ms=4, lw=1, ls="--", label=label))
    if is_ul.any():
        level = curve.points.meta.get("UL_CONF")
        label = "upper limits" if level is None else f"upper limits ({100 * level:.4g} %)"
        entries.append(Line2D([], [], color="0.4", marker="v", ms=5, ls="none", label=label))
    low_end, high_end = ax.get_ylim()
    # the legend stands above all points
    ax.set_ylim(low_end, high_end + ROW * (len(entries) + 0.5) * (high_end - low_end))
    if low_end < 0:
        ax.axhline(0, color="0.6", lw=0.8, zorder=0)
    name, unit = NAMES[kind]
    factor = f"10{str(power).translate(SUPERSCRIPTS)}" if power else ""
    unit = " ".join(part for part in (factor, unit) if part)
    ax.set_ylabel(f"{name} [{unit}]" if unit else name)
    _time_axes(ax)
    ax.legend(handles=entries, loc="upper left", frameon=False, fontsize=9)
    return ax


def _columns(curve: LightCurve, kind: str) -> tuple[np.ndarray, ...]:
    """Values, errors down and up, limits, (n_times, n_energies); errors that are unknown to one side are symmetric."""

    def column(suffix: str) -> np.ndarray:
        values = curve.quantity(f"{kind}{suffix}")
        return np.full(curve.shape, np.nan) if values is None else values.value

    error = column("_err")
    sides = (np.where(np.isfinite(side), side, error) for side in (column("_errn"), column("_errp")))
    errn, errp = (np.nan_to_num(side) for side in sides)
    return column(""), errn, errp, column("_ul")


def _power(values: np.ndarray) -> int:
    """Power of ten that goes into the label of the axis."""
    largest = np.max(np.abs(values), initial=0.0)
    power = int(np.floor(np.log10(largest))) if largest > 0 else 0
    return power if abs(power) > 2 else 0


def _height(top: np.ndarray, bottom: np.ndarray) -> float:
    return float(np.nanmax(top, initial=0.0) - np.nanmin(bottom, initial=0.0)) or 1.0


def _band(curve: LightCurve, band: int) -> str:
    if curve.energy_min is None or curve.energy_max is None:
        return f"{curve.energy_ref[band]:.3g} TeV"
    return f"{curve.energy_min[band]:.3g} to {curve.energy_max[band]:.3g} TeV"


def _time_axes(ax: Axes) -> None:
    """MJD below, the date above."""
    span = float(np.diff(ax.get_xlim())[0])
    ax.set_xlabel("Time [MJD, TT]")
    ax.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=span > WHOLE_DAYS))
    digits = max(0, int(np.ceil(1 - np.log10(max(span, 1e-6) / 6)))) if span <= WHOLE_DAYS else 0
    ax.xaxis.set_major_formatter(FuncFormatter(lambda mjd, _: f"{mjd:.{digits}f}"))
    top = ax.secondary_xaxis("top")
    top.set_xlabel("Date (UTC)")
    date_ticks(top, *ax.get_xlim())


def date_ticks(top: SecondaryAxis, low: float, high: float) -> None:
    """Ticks at round dates and times of day in UTC, and what they are a part of in the label of the axis."""
    begin, end = (np.datetime64(t, "s") for t in Time([low, high], format="mjd", scale="tt").utc.isot)
    ticks, unit = _round_dates(begin, end)
    # as texts: astropy takes no dates of years far from now from NumPy
    places = Time(ticks.astype("datetime64[s]").astype(str), format="isot", scale="utc").tt.mjd
    words = ticks.astype(f"datetime64[{unit}]").astype(str)
    if unit in ("m", "s"):
        # the day stands where it begins, and first
        before = ["", *(word[:10] for word in words[:-1])]
        shown = [f"{w[11:]}\n{w[:10]}" if w[:10] != day else w[11:] for w, day in zip(words, before, strict=True)]
    else:
        shown = list(words)
    top.set_xticks(places, shown)
    top.tick_params(labelsize=8)


def _round_dates(begin: np.datetime64, end: np.datetime64) -> tuple[np.ndarray, str]:
    """The finest round dates between two of which there are no more than `MOST_DATES`, and down to what they are told:
    numpy's units Y, M, D, m, s."""
    inside, unit = np.array([begin]), "s"
    for step, calendar, told in STEPS:
        first, last = (int(t.astype(f"datetime64[{calendar}]").astype(int)) for t in (begin, end))
        places = np.arange(first // step * step, last + 1, step)
        if len(places) > 2 * MOST_DATES:
            continue
        dates = places.astype(f"datetime64[{calendar}]")
        if (calendar, told) == ("M", "D"):
            # the days 1, 11 and 21, or 1, 6, ... of each month
            days = np.arange(0, 30, step)
            dates = (np.arange(first, last + 1).astype("datetime64[M]").astype("datetime64[D]")[:, None] + days).ravel()
        dates = dates[(dates.astype("datetime64[s]") >= begin) & (dates.astype("datetime64[s]") <= end)]
        if 0 < len(dates) <= MOST_DATES:
            return dates, told
    return inside, unit
