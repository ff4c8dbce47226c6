"""Corner plots: all pairs of parameters, from the covariance of a fit and from samples."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gammajax.datasets.errors import InputError, closest
from gammajax.datasets.units import Given, numbers_in
from gammajax.fit.result import FitResult
from gammajax.plots.figures import BLACK, BLUE, new_figure, power_of_ten
from gammajax.plots.scans import axis_label

MOST = 12
"""Parameters up to which all pairs have a panel that can be read."""

SIZE = 8.0

BINS = 30


def plot_corner(
    result: FitResult, samples: Given | None = None, names: Sequence[str] | None = None
) -> tuple[tuple[Axes, ...], ...]:
    """All pairs of free parameters and each of them alone: rows of axes, the i-th of i + 1.

    Blue are the fit and its covariance: curves where the statistic of two parameters has risen by 1 and by 4 (1 and 2
    standard deviations along each axis, 39 % and 86 % of the probability), and normal densities. Grey and black are the
    ``samples``, if there are any: their histograms.

    Parameters
    ----------
    result : what `gammajax.fit` gave
    samples : (..., n) points of a sampler in the units of the parameters, one column for each of
        ``result.free_names``, in this order
    names : full names or unambiguous endings of the parameters to show, by default all, of which there may be 12

    Raises
    ------
    InputError
        for parameters that are not free, too many of them, and samples of another shape

    Examples
    --------
    >>> like = gj.likelihood(datasets, result.models)
    >>> rows = gj.plots.plot_corner(result, white.to_theta(z), ["index", "amplitude"])
    >>> rows[0][0].figure.savefig("corner.png")
    """
    known = list(result.free_names)
    chosen = known if names is None else [_free_name(result, name) for name in names]
    if not chosen or len(chosen) > MOST:
        raise InputError(
            f"plot_corner: found {len(chosen)} free parameters, expected 1 to {MOST}. Choose with names=[...]."
        )
    at = [known.index(name) for name in chosen]
    points = None
    if samples is not None:
        points = np.asarray(numbers_in(samples, "", "plot_corner: samples"), float)
        if points.ndim < 2 or points.shape[-1] != len(known):
            raise InputError(
                f"plot_corner: samples have shape {points.shape}, expected (..., {len(known)}): one column for each of "
                "result.free_names."
            )
        points = points.reshape(-1, len(known))[:, at]
    best = np.array([float(result.parameters[name].value) for name in chosen])
    covariance = result.covariance[np.ix_(at, at)]
    labels = []
    for i, name in enumerate(chosen):
        scale, power = power_of_ten(best[i : i + 1])
        best[i] /= scale
        covariance[i, :] /= scale
        covariance[:, i] /= scale
        if points is not None:
            points[:, i] /= scale
        labels.append(axis_label(_short(name, chosen), result.parameters[name].unit, power))
    return _panels(labels, best, covariance, points)


def _free_name(result: FitResult, name: str) -> str:
    full = result.parameters.full_name(name)
    if full not in result.free_names:
        raise InputError(f"plot_corner: {full} is not a free parameter. {closest(full, result.free_names)}")
    return full


def _short(name: str, names: Sequence[str]) -> str:
    """The last part of a name, and more of it where that is not enough."""
    parts = name.split(".")
    for n in range(1, len(parts) + 1):
        ending = ".".join(parts[-n:])
        if sum(other.endswith(f".{ending}") or other == ending for other in names) == 1:
            return ending
    return name


def _panels(
    labels: list[str], best: np.ndarray, covariance: np.ndarray, points: np.ndarray | None
) -> tuple[tuple[Axes, ...], ...]:
    n = len(labels)
    side = max(1.6, min(2.4, 12.0 / n))
    width = n * side + 1.0
    figure = new_figure(width, width)
    first, step = 0.85 / width, side / width
    sigma = np.sqrt(np.diag(covariance))
    ranges = [_range(best[i], sigma[i], None if points is None else points[:, i]) for i in range(n)]
    rows = []
    for i in range(n):
        row = []
        for j in range(i + 1):
            ax = figure.add_axes((first + j * step, first + (n - 1 - i) * step, 0.92 * step, 0.92 * step))
            if i == j:
                _alone(ax, best[i], sigma[i], None if points is None else points[:, i], ranges[i])
            else:
                chosen = np.ix_([j, i], [j, i])
                _pair(ax, best[[j, i]], covariance[chosen], None if points is None else points[:, [j, i]],
                      (ranges[j], ranges[i]))  # fmt: skip
            _dress(ax, labels[j] if i == n - 1 else "", labels[i] if j == 0 and i else "", i == j)
            row.append(ax)
        rows.append(tuple(row))
    shown = [Line2D([], [], color=BLUE, label="fit and covariance" + (": 1σ, 2σ" if n > 1 else ""))]
    shown += [] if points is None else [Line2D([], [], color=BLACK, label="samples")]
    if n > 1:
        figure.legend(handles=shown, loc="upper right", frameon=False, fontsize=SIZE + 1)
    return tuple(rows)


def _range(best: float, sigma: float, points: np.ndarray | None) -> tuple[float, float]:
    """What an axis shows: 3.5 standard deviations, or where the samples are."""
    low, high = best, best
    if np.isfinite(sigma) and sigma > 0:
        low, high = best - 3.5 * sigma, best + 3.5 * sigma
    if points is not None:
        low, high = min(low, *np.quantile(points, [0.002])), max(high, *np.quantile(points, [0.998]))
    return (float(low), float(high)) if high > low else (best - 1.0, best + 1.0)


def _alone(ax: Axes, best: float, sigma: float, points: np.ndarray | None, shown: tuple[float, float]) -> None:
    if points is not None:
        ax.hist(points, BINS, range=shown, density=True, histtype="step", color=BLACK, lw=1.0)
    if np.isfinite(sigma) and sigma > 0:
        x = np.linspace(*shown, 200)
        ax.plot(x, np.exp(-0.5 * ((x - best) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi)), color=BLUE, lw=1.3)
    ax.axvline(best, color=BLUE, lw=0.8, ls=":")
    ax.set(xlim=shown, ylim=(0, None))


def _pair(
    ax: Axes,
    best: np.ndarray,
    covariance: np.ndarray,
    points: np.ndarray | None,
    shown: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    if points is not None:
        ax.hist2d(points[:, 0], points[:, 1], BINS, range=list(shown), cmap="Greys", rasterized=True)
    if np.all(np.isfinite(covariance)) and np.all(np.linalg.eigvalsh(covariance / _outer(covariance)) > 0):
        angle = np.linspace(0, 2 * np.pi, 200)
        scale = np.sqrt(np.diag(covariance))
        root = scale[:, None] * np.linalg.cholesky(covariance / _outer(covariance))
        for n_sigma in (1, 2):
            x, y = best[:, None] + n_sigma * root @ np.array([np.cos(angle), np.sin(angle)])
            ax.plot(x, y, color=BLUE, lw=1.3)
    ax.plot(*best, "+", ms=6, color=BLUE)
    ax.set(xlim=shown[0], ylim=shown[1])


def _outer(covariance: np.ndarray) -> np.ndarray:
    sigma = np.sqrt(np.diag(covariance))
    return np.outer(sigma, sigma)


def _dress(ax: Axes, x_label: str, y_label: str, alone: bool) -> None:
    """Ticks and labels along the outer panels only."""
    ax.xaxis.set_major_locator(MaxNLocator(3, prune="both"))
    ax.yaxis.set_major_locator(MaxNLocator(3, prune="both"))
    ax.tick_params(labelsize=SIZE, labelbottom=bool(x_label), labelleft=bool(y_label), left=not alone)
    ax.tick_params(axis="x", rotation=35)
    if x_label:
        ax.set_xlabel(x_label, fontsize=SIZE)
    if y_label:
        ax.set_ylabel(y_label, fontsize=SIZE)
    ax.ticklabel_format(useOffset=False)
