"""Pictures of light curves."""

import numpy as np
from astropy.time import Time
from matplotlib.axes import Axes
from matplotlib.axes._secondary_axes import SecondaryAxis
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gammajax.datasets.errors import InputError
from gammajax.datasets.flux_points.light_curve import LightCurve
from gammajax.datasets.hints.modules import found
from gammajax.plots.figures import new_figure
from gammajax.plots.rows import draw_rows, require_kind

WHOLE_DAYS = 6
"""Days from which on ticks stand at whole days."""

PLACE = (0.125, 0.13, 0.845, 0.72)
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


def plot_light_curve(curve: LightCurve, kind: str = "flux", ax: Axes | None = None) -> Axes:
    """Fluxes with errors against time, a colour for each band of energy; limits are arrows downwards. Matplotlib axes.

    Horizontal bars are the bins of time; the lower axis is in MJD (TT), the upper one has the date in UTC at the same
    places. A dashed line is the best constant flux of a band, with its chi-square in the legend. Bands of very
    different fluxes get a logarithmic axis, if all of them are positive. ``kind``: flux, dnde, e2dnde, eflux or norm;
    ``ax``: axes to draw into, by default those of a new figure (``ax.figure.savefig(...)``).

    Raises
    ------
    InputError
        for what is no `LightCurve`, and for other kinds.
    """
    if not isinstance(curve, LightCurve):
        raise InputError(f"plot_light_curve: found {found(curve)}, expected a LightCurve: gj.light_curve(...).")
    require_kind(kind, "plot_light_curve")
    if ax is None:
        ax = new_figure(8.0, 4.4).add_axes(PLACE)
    levels, notes = np.full(curve.n_energies, np.nan), [""] * curve.n_energies
    constant = curve.constancy(kind) if curve.norm_err is not None else None
    if constant is not None:
        for band in np.flatnonzero(np.isfinite(constant.chi2)):
            levels[band] = constant.mean[band]
            ndf = int(constant.ndf[band])
            notes[band] = f" (constant: χ² {constant.chi2[band]:.1f}, {ndf} degree{'s' * (ndf != 1)} of freedom)"
    draw_rows(ax, curve, kind, (np.asarray(curve.time_min), np.asarray(curve.time_max)), levels, notes)
    _time_axes(ax)
    return ax


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
