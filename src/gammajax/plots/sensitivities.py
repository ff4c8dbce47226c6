"""Pictures of sensitivities."""

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from matplotlib.axes import Axes

from gammajax.datasets.errors import InputError
from gammajax.datasets.hints.modules import found
from gammajax.plots.figures import BLUE, GREEN, VERMILLION, axes_or_new, log_axis
from gammajax.plots.sed import SED_LABEL

if TYPE_CHECKING:
    from astropy.table import Table

COLUMNS = ("e_min", "e_max", "e_ref", "e2dnde")

CRITERIA = {"significance": ("o", BLUE), "gamma": ("s", VERMILLION), "bkg": ("D", GREEN)}
"""Markers of what decides."""


def plot_sensitivity(table: "Table", ax: Axes | None = None, label: str = "") -> Axes:
    """Sensitivity as E^2 dN/dE against energy: axes.

    Horizontal bars are the bands. Markers say which criterion decides in each: the significance, the least number of
    counts, or the least share of the background; with their numbers, where the table knows them.

    Parameters
    ----------
    table : what `gammajax.sensitivity` gave, or a table with ``e_min``, ``e_max``, ``e_ref`` and ``e2dnde``
    ax : axes to draw into, such as those of `plot_sed`, whose axes grow where they have to; by default those of a new
        figure
    label : what begins the words of the legend, such as "5 h"

    Raises
    ------
    InputError
        for what is no such table

    Examples
    --------
    >>> table = gj.sensitivity(dataset, np.geomspace(0.1, 100, 13) * u.TeV)
    >>> gj.plots.plot_sensitivity(table, label="20 min").figure.savefig("sensitivity.png")
    """
    names = getattr(table, "colnames", None)
    if names is None or not set(COLUMNS) <= set(names):
        there = found(table) if names is None else f"the columns {', '.join(names)}"
        raise InputError(
            f"plot_sensitivity: found {there}, expected a table with {', '.join(COLUMNS)}: gj.sensitivity(...)."
        )
    low, high, middle = (u.Quantity(table[name]).to_value("TeV") for name in COLUMNS[:3])
    flux = u.Quantity(table["e2dnde"]).to_value("TeV cm-2 s-1")
    known = np.isfinite(flux) & (flux > 0)
    if not known.any():
        raise InputError("plot_sensitivity: no band has a sensitivity.")
    own = ax is None
    ax = axes_or_new(ax)
    criterion = np.asarray(table["criterion"]).astype(str) if "criterion" in names else np.full(len(flux), "")
    before = (*ax.get_xlim(), *ax.get_ylim())
    for kind in [*CRITERIA, *sorted(set(criterion) - set(CRITERIA))]:
        chosen = known & (criterion == kind)
        if not chosen.any():
            continue
        marker, colour = CRITERIA.get(kind, ("o", BLUE))
        sides = [(middle - low)[chosen].tolist(), (high - middle)[chosen].tolist()]
        said = ": ".join(part for part in (label, words(kind, table.meta)) if part)
        ax.errorbar(middle[chosen], flux[chosen], xerr=sides, fmt=marker, ms=4.5, mfc="white", mew=1.2, color=colour,
                    elinewidth=1.2, label=said)  # fmt: skip
    ends = [low[known].min(), high[known].max(), flux[known].min() / 2, flux[known].max() * 2]
    if not own:
        ends = [f(a, b) for f, a, b in zip((min, max, min, max), ends, before, strict=True)]
    log_axis(ax.xaxis, float(ends[0]), float(ends[1]))
    log_axis(ax.yaxis, float(ends[2]), float(ends[3]))
    ax.set_xlabel("Energy [TeV]")
    ax.set_ylabel(SED_LABEL)
    ax.legend(loc="best", frameon=False, fontsize=9)
    return ax


def words(criterion: str, meta: "dict[str, object]") -> str:
    """What decides, with its number."""
    numbers = {name: meta.get(name) for name in ("n_sigma", "gamma_min", "bkg_syst_fraction")}
    sigma, counts, share = (v if isinstance(v, int | float) else None for v in numbers.values())
    if criterion == "significance":
        return "significance" if sigma is None else f"{sigma:g}σ"
    if criterion == "gamma":
        return "counts of the source" if counts is None else f"{counts:g} counts of the source"
    if criterion == "bkg":
        return "share of the background" if share is None else f"{100 * share:g} % of the background"
    return criterion or "sensitivity"
