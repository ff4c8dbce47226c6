"""Spectral energy distributions: fitted spectra with their error band, and flux points with limits."""

import numpy as np
from matplotlib.axes import Axes

from gammajax.datasets.errors import InputError
from gammajax.datasets.flux_points.points import FluxPoints
from gammajax.datasets.hints.modules import found
from gammajax.datasets.units import Given, edges_tev
from gammajax.fit.result import FitResult
from gammajax.fit.spectra import source_name
from gammajax.plots.bands import N_ENERGIES, flux_band, log_band
from gammajax.plots.figures import BLACK, BLUE, SHADE, axes_or_new, listed, log_axis

DEFAULT_RANGE = (0.1, 100.0)

SED_LABEL = "E² dN/dE [TeV cm⁻² s⁻¹]"

ARROW = 10**-0.22
"""Where the arrow of a limit ends, in units of the limit."""

NOT_FITTED = "not fitted"

BELOW_POINTS, BELOW_PEAK = 10.0, 1e4
"""How far below the lowest point, and without points below its peak, the axis follows the model."""

FAR_OFF = 30.0
"""Limits so many times above everything else are left to the table: they would only stretch the axes."""


def plot_sed(
    result: FitResult,
    model_name: str | None = None,
    energy: Given | None = None,
    points: FluxPoints | None = None,
    ax: Axes | None = None,
) -> Axes:
    """E^2 dN/dE of a fitted model with its one-sigma band, and flux points of the same source: axes.

    The band comes from the covariance of all free parameters: it is that of `flux_band` in the logarithm of the flux,
    which is never negative. Energies that were not fitted are grey, and the model is dashed there. The axis holds the
    model and the points; a band that is wider is cut. See `plot_flux_points` for the points.

    Parameters
    ----------
    result : what `gammajax.fit` gave
    model_name : the source; not needed if there is one only
    energy : range, Quantity or TeV; by default that of the points and of the fit, or 0.1 to 100 TeV
    points : what `gammajax.flux_points` gave for this source, or points from elsewhere
    ax : axes to draw into; by default those of a new figure, ``ax.figure``

    Examples
    --------
    >>> points = gj.flux_points(datasets, result, "crab", np.geomspace(0.7, 30, 9) * u.TeV)
    >>> gj.plots.plot_sed(result, "crab", points=points).figure.savefig("sed.png")
    """
    name = source_name(result.models, model_name)
    if points is not None and not isinstance(points, FluxPoints):
        raise InputError(
            f"plot_sed: points must be FluxPoints, found {found(points)}. gj.flux_points(datasets, result, "
            f"{name!r}, energy_edges) gives them."
        )
    fitted = result.energy_range(name)
    if energy is not None:
        low, high = edges_tev(energy, "plot_sed: energy")[[0, -1]]
    else:
        known = [ends for ends in (fitted, None if points is None else _extent(points)) if ends is not None]
        low, high = (min(k[0] for k in known), max(k[1] for k in known)) if known else DEFAULT_RANGE
    grid = np.geomspace(low, high, N_ENERGIES)
    if fitted is not None:
        # lines that end where the fit does, of as many energies: their program may be there already
        for end in fitted:
            if low < end < high:
                grid[1 + np.argmin(np.abs(np.log(grid[1:-1] / end)))] = end
    dnde, error = flux_band(result, name, grid)
    return draw_sed(name, grid, dnde, error, points, ax, fitted)


def plot_flux_points(points: FluxPoints, ax: Axes | None = None, label: str = "flux points") -> Axes:
    """Flux points as E^2 dN/dE: axes.

    Horizontal bars are the bins in energy, vertical ones the errors (``errn`` and ``errp`` where they are known, else
    ``err``). Points that are limits (``is_ul``) are arrows that start at the limit. Points without a value and a limit
    are left out.

    Parameters
    ----------
    points : at least one of them with a value or a limit
    ax : axes to draw into; by default those of a new figure
    label : of the points in the legend; that of the limits says their confidence level
    """
    if not isinstance(points, FluxPoints):
        raise InputError(f"plot_flux_points: found {found(points)}, expected FluxPoints.")
    ax = axes_or_new(ax)
    _finish(ax, _extent(points), _draw_points(ax, points, label))
    return ax


def draw_sed(
    name: str,
    energy: np.ndarray,
    dnde: np.ndarray,
    error: np.ndarray,
    points: FluxPoints | None = None,
    ax: Axes | None = None,
    fitted: tuple[float, float] | None = None,
) -> Axes:
    """E^2 dN/dE (n,) with its band, and points if there are any; dashed outside of the ``fitted`` energies."""
    ax = axes_or_new(ax)
    sed = energy**2 * dnde
    positive = sed > 0
    ends = (energy[0], energy[-1]) if fitted is None else fitted
    inside = (energy >= ends[0]) & (energy <= ends[1])
    low, high = log_band(dnde, error)
    for chosen, shade, text in ((inside, 0.3, "1σ of the fit"), (~inside, 0.12, None)):
        shown = positive & np.isfinite(high) & (error > 0)
        if np.any(shown & chosen):
            # from where the fit ends, and without a gap there
            where = shown & (chosen | np.isin(energy, ends))
            ax.fill_between(energy, energy**2 * low, energy**2 * high, where=where, color=BLUE, alpha=shade, lw=0,
                            label=text)  # fmt: skip
    ax.plot(energy, np.where(positive & inside, sed, np.nan), color=BLUE, lw=1.5, label="best fit")
    text = NOT_FITTED
    for start, stop in ((energy[0], ends[0]), (ends[1], energy[-1])):
        beyond = positive & (energy >= start) & (energy <= stop)
        if start < stop and beyond.any():
            ax.axvspan(start, stop, color=SHADE, lw=0, zorder=0)
            ax.plot(energy[beyond], sed[beyond], color=BLUE, lw=1.5, ls="--", label=text)
            text = "_"
    seen = sed[positive] if positive.any() else np.array([1.0])
    far = float(seen.max()) * FAR_OFF
    shown = np.zeros(0) if points is None else _draw_points(ax, points, "flux points", far)
    # a cutoff falls without end: far below all else its line is cut
    least = float(shown.min()) / BELOW_POINTS if shown.size else float(seen.max()) / BELOW_PEAK
    seen = np.concatenate([seen[seen >= least], shown])
    ax.set_title(name, loc="left", fontsize=11, y=1.02, parse_math=False)
    _finish(ax, (energy[0], energy[-1]), seen)
    return ax


def _extent(points: FluxPoints) -> tuple[float, float]:
    """Lowest and highest energy of the bins, in TeV; a little room around points without bins."""
    if points.energy_min is not None and points.energy_max is not None:
        return float(np.min(points.energy_min)), float(np.max(points.energy_max))
    return float(np.min(points.energy_ref)) / 1.2, float(np.max(points.energy_ref)) * 1.2


def _draw_points(ax: Axes, points: FluxPoints, label: str, most: float = np.inf) -> np.ndarray:
    """Draws the points, and gives the values that the axis has to show."""
    energy, scale = np.asarray(points.energy_ref), np.asarray(points.reference("e2dnde"))

    def values(name: str) -> np.ndarray:
        found = getattr(points, name)
        return np.full(energy.shape, np.nan) if found is None else np.asarray(found) * scale

    value, limit, err = values("norm"), values("norm_ul"), values("norm_err")
    is_ul = np.asarray(points.is_ul)
    up, down = (np.where(np.isfinite(e), e, err) for e in (values("norm_errp"), values("norm_errn")))
    up, down = np.nan_to_num(up), np.nan_to_num(down)
    if points.energy_min is None or points.energy_max is None:
        sides = [np.zeros(energy.shape)] * 2
    else:
        sides = [energy - np.asarray(points.energy_min), np.asarray(points.energy_max) - energy]

    measured = ~is_ul & np.isfinite(value) & (value + up > 0)
    if measured.any():
        # what lies below zero has no place on a logarithmic axis
        shown = np.where(value > 0, value, (value + up) / 10)[measured]
        errors = [np.minimum(down[measured], 0.95 * shown), (value + up)[measured] - shown]
        ax.errorbar(
            energy[measured], shown, yerr=listed(errors), xerr=listed([s[measured] for s in sides]), fmt="o", ms=4,
            color=BLACK, elinewidth=0.9, label=label,
        )  # fmt: skip
    limits = is_ul & np.isfinite(limit) & (limit > 0) & (limit < most)
    if limits.any():
        level = points.meta.get("UL_CONF")
        said = "upper limit" if level is None else f"upper limit ({100 * float(level):.4g} %)"
        y = limit[limits]
        ax.errorbar(
            energy[limits], y, yerr=listed([y * (1 - ARROW), 0 * y]), xerr=listed([s[limits] for s in sides]),
            uplims=True, fmt=" ", color=BLACK, elinewidth=0.9,
        )  # fmt: skip
        ax.plot([], [], ls="", marker="v", ms=5, color=BLACK, label=said)
    if not measured.any() and not limits.any():
        return np.zeros(0)
    low, high = value - down, value + up
    return np.concatenate(
        [value[measured & (value > 0)], low[measured & (low > 0.3 * value)], high[measured], limit[limits] * ARROW,
         limit[limits]]
    )  # fmt: skip


def _finish(ax: Axes, energy: tuple[float, float], seen: np.ndarray) -> None:
    """Axes around all that is ``seen``, in TeV cm-2 s-1, with their labels and the legend."""
    seen = seen if seen.size else np.array([1.0])
    log_axis(ax.xaxis, float(energy[0]), float(energy[1]))
    log_axis(ax.yaxis, float(seen.min()) / 2.0, float(seen.max()) * 2.0)
    ax.set_xlabel("Energy [TeV]")
    ax.set_ylabel(SED_LABEL)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="best", frameon=False, fontsize=9)
