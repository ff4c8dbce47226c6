"""Likelihood scans: profiles and contours."""

import numpy as np
from matplotlib.axes import Axes

from gammajax.datasets.errors import InputError
from gammajax.datasets.hints.modules import found
from gammajax.fit.scans.contour import Contour
from gammajax.fit.scans.profile import Profile
from gammajax.plots.figures import BLACK, BLUE, GREEN, PALE, SUPERSCRIPTS, VERMILLION, axes_or_new, power_of_ten

COLOURS = (BLUE, VERMILLION, GREEN, BLACK)


def plot_profile(profile: Profile, ax: Axes | None = None) -> Axes:
    """A profile likelihood: the rise of the fit statistic above its minimum against the parameter.

    Lines mark rises of 1, 4, 9, ..., where one parameter is 1, 2, 3 standard deviations from its best (Wilks 1938).
    Points where the other parameters did not reach their best are hollow.

    Parameters
    ----------
    profile : what `gammajax.profile` gave
    ax : axes to draw into; by default those of a new figure
    """
    if not isinstance(profile, Profile):
        raise InputError(
            f"plot_profile: found {found(profile)}, expected what gj.profile(datasets, result, name) gives."
        )
    ax = axes_or_new(ax)
    order = np.argsort(profile.values)
    scale, power = power_of_ten(profile.values)
    x, rise, converged = profile.values[order] / scale, profile.delta_stat[order], profile.converged[order]
    known = np.isfinite(rise)
    ax.plot(*_smooth(x[known], rise[known]), color=BLUE, lw=1.5)
    for chosen, face in ((known & converged, BLUE), (known & ~converged, "none")):
        ax.plot(x[chosen], rise[chosen], "o", ms=4, mfc=face, mec=BLUE, ls="")
    top = float(np.max(rise[known], initial=1.0))
    ax.set_ylim(min(0.0, float(np.min(rise[known], initial=0.0))) - 0.03 * top, 1.08 * max(top, 1.1))
    for sigma in range(1, int(np.sqrt(max(top, 1.0))) + 1)[:5]:
        ax.axhline(sigma**2, color=PALE, lw=0.8, ls="--", zorder=0)
        ax.annotate(f"{sigma}σ", (0.99, sigma**2), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                    fontsize=9, color="#555555")  # fmt: skip
    ax.set_xlabel(axis_label(profile.name, profile.unit, power))
    ax.set_ylabel("Rise of the fit statistic, Δ(−2 ln L)")
    return ax


def plot_contour(contours: Contour | list[Contour] | tuple[Contour, ...], ax: Axes | None = None) -> Axes:
    """Confidence contours of two parameters, with the best fit.

    ``sigma`` counts along each axis, as in `gammajax.contour`: the curve of 1 is where the statistic has risen by 1; it
    encloses both parameters with 39 % confidence, that of 2 with 86 %.

    Parameters
    ----------
    contours : what `gammajax.contour` gave: one, or several of the same two parameters
    ax : axes to draw into; by default those of a new figure
    """
    curves: list[Contour] = list(contours) if isinstance(contours, list | tuple) else [contours]
    if not curves or not all(isinstance(c, Contour) for c in curves):
        raise InputError("plot_contour: expected one Contour or several: gj.contour(datasets, result, x, y, sigma).")
    first = curves[0]
    if any((c.x_name, c.y_name, c.x_unit, c.y_unit) != (first.x_name, first.y_name, first.x_unit, first.y_unit)
           for c in curves):  # fmt: skip
        raise InputError("plot_contour: the contours are of different parameters. Draw each into axes of its own.")
    ax = axes_or_new(ax, 5.6, 4.8)
    (x_scale, x_power), (y_scale, y_power) = power_of_ten(first.x), power_of_ten(first.y)
    for curve, colour in zip(curves, [COLOURS[i % len(COLOURS)] for i in range(len(curves))], strict=True):
        share = 100 * -np.expm1(-(curve.sigma**2) / 2)
        x, y = curve.x / x_scale, curve.y / y_scale
        ax.plot(*_closed(curve, x, y), color=colour, lw=1.5, label=f"{curve.sigma:g}σ ({share:.3g} %)")
        ax.plot(x, y, ".", ms=3, color=colour)
    ax.plot(first.best[0] / x_scale, first.best[1] / y_scale, "+", ms=9, mew=1.4, color=BLACK, label="best fit")
    ax.set_xlabel(axis_label(first.x_name, first.x_unit, x_power))
    ax.set_ylabel(axis_label(first.y_name, first.y_unit, y_power))
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.22 * (high - low))
    ax.legend(loc="upper right", frameon=False, fontsize=9)
    return ax


def _smooth(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A curve through points (n,) that does not swing out between them."""
    from scipy.interpolate import PchipInterpolator

    if len(x) < 4 or np.any(np.diff(x) <= 0):
        return x, y
    fine = np.linspace(x[0], x[-1], 200)
    return fine, np.asarray(PchipInterpolator(x, y)(fine))


def _closed(curve: Contour, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A smooth curve through the points (n + 1,) of a contour, straight where a bound cuts it."""
    from scipy.interpolate import CubicSpline

    if curve.at_bound.any() or len(x) < 9:
        return x, y
    place = np.arange(len(x))
    spline = CubicSpline(place, np.stack([x, y], axis=1), bc_type="periodic")
    fine = spline(np.linspace(0, place[-1], 300))
    return fine[:, 0], fine[:, 1]


def axis_label(name: str, unit: str, power: str = "") -> str:
    """A parameter with its power of ten and unit, in the signs of papers."""
    parts = []
    for part in unit.split():
        letters = part.rstrip("0123456789-")
        parts.append(letters + part[len(letters) :].translate(SUPERSCRIPTS))
    inside = f"{power}{' '.join(parts)}".strip()
    return f"{name} [{inside}]" if inside else name
