"""Summaries of datasets of counts: sums over bins, significance, rates, the fitted range."""

import math
from typing import TypeAlias

import numpy as np
from astropy import units as u

from ..arrays import Array
from ..dataset import Models, stat_bins_of
from ..energies import fitted_energies
from ..models.sky_model import SkyModel, TemplateNPredModel
from .base import CountsBase
from .significance import CashCountsStatistic, WStatCountsStatistic

Info: TypeAlias = int | float | str | u.Quantity
"""What a summary says of one thing."""


def counts_summary(dataset: CountsBase, models: Models | None) -> dict[str, Info]:
    """Sums over the safe bins, see `gammajax.info_dict`; with ``models`` those of predictions, too."""
    safe = dataset.safe_bins()
    counts, background = sum_of(dataset.counts, safe), sum_of(dataset.background, safe)
    predicted = {} if models is None else _predicted(dataset, models, safe)
    sums = dataset.info_sums(counts, background, predicted, safe)
    livetime = u.Quantity(float(np.asarray(dataset.livetime)), "s")
    info: dict[str, Info] = {"counts": whole(counts), **sums.before}
    info |= {"background": background, "excess": sums.excess, "sqrt_ts": sums.sqrt_ts} | sums.after | predicted
    if models is not None:
        info |= _at_sources(dataset, models, safe)
    info["livetime"] = livetime
    info["ontime"] = u.Quantity(math.nan, "s") if dataset.gti is None else dataset.gti.ontime
    info["exposure_min"], info["exposure_max"] = _exposure_range(dataset.exposure, safe)
    for key in ("counts", "background", "excess"):
        info[f"{key}_rate"] = info[key] / livetime
    return info | _fit_range(dataset)


def _predicted(dataset: CountsBase, models: Models, safe: np.ndarray) -> dict[str, float]:
    complete = dataset.missing_data() is None
    sources = [m for m in models if isinstance(m, SkyModel | TemplateNPredModel)]
    return {
        "npred": sum_of(dataset.npred(models), safe),
        "npred_background": sum_of(dataset.npred_background(models), safe) if dataset.has_background else math.nan,
        "npred_signal": sum_of(dataset.signal(models), safe) if sources else math.nan,
        "stat_sum": float(np.sum(stat_bins_of(dataset, models))) if complete else math.nan,
    }


REACH = 0.8
"""Share of the signal of the sources in the pixels whose counts are summed for their significance."""


def _at_sources(dataset: CountsBase, models: Models, safe: np.ndarray) -> dict[str, float]:
    """Counts, excess and significance in the brightest pixels of the sources that have a place, on a map."""
    placed = [m for m in models if isinstance(m, SkyModel) and m.spatial is not None and m.spatial.position is not None]
    if not dataset.pixels or not placed or dataset.missing_data() is not None:
        return {}
    image = (
        np.where(safe, np.asarray(dataset.source_counts(placed, dataset.instrument(models))), 0.0).sum(axis=0).ravel()
    )
    order = np.argsort(image)[::-1]
    share = np.cumsum(image[order])
    if not share[-1] > 0:
        return {}
    # the pixels before the one with which the share is reached, and that one
    inside = np.zeros(image.size, bool)
    inside[order[: int(np.searchsorted(share, REACH * share[-1])) + 1]] = True
    mask = safe & inside.reshape(dataset.pixels)
    predicted = {"npred_background": sum_of(dataset.npred_background(models), mask)} if dataset.has_background else {}
    counts = sum_of(dataset.counts, mask)
    sums = dataset.info_sums(counts, sum_of(dataset.background, mask), predicted, mask)
    return {"source_counts": whole(counts), "source_excess": sums.excess, "source_sqrt_ts": sums.sqrt_ts}


def sum_of(values: Array | float | None, mask: np.ndarray) -> float:
    """Sum inside a mask; NaN of nothing."""
    return math.nan if values is None else float(np.sum(np.asarray(values, dtype=float)[mask]))


def whole(value: float) -> float | int:
    """An int where the number is one: counts print as counts."""
    return int(value) if math.isfinite(value) and value == int(value) else value


def quotient(a: float, b: float) -> float:
    """a / b, NaN where b is not positive."""
    return a / b if b > 0 else math.nan


def significance(counts: float, other: float, alpha: float | None = None) -> float:
    """Significance of counts over a background, or over off counts; NaN where one of them is not known."""
    if not (math.isfinite(counts) and math.isfinite(other) and (alpha is None or alpha > 0)) or min(counts, other) < 0:
        return math.nan
    known = CashCountsStatistic(counts, other) if alpha is None else WStatCountsStatistic(counts, other, alpha)
    return float(known.sqrt_ts)


def _exposure_range(exposure: Array | None, safe: np.ndarray) -> tuple[u.Quantity, u.Quantity]:
    """Smallest and largest exposure above zero, in pixels with a safe bin; zero where there is none."""
    if exposure is None:
        return u.Quantity(math.nan, "cm2 s"), u.Quantity(math.nan, "cm2 s")
    values = np.asarray(exposure)
    seen = (values > 0) & safe.any(axis=0)
    values = values[seen] if np.any(seen) else values
    return u.Quantity(values.min(), "cm2 s"), u.Quantity(values.max(), "cm2 s")


def _fit_range(dataset: CountsBase) -> dict[str, Info]:
    mask = np.ones(dataset.data_shape, bool) if dataset.mask is None else np.asarray(dataset.mask)
    low, high = fitted_energies(dataset) or (math.nan, math.nan)
    return {
        "n_bins": int(mask.size),
        "n_fit_bins": int(mask.sum()),
        "energy_min": u.Quantity(low, "TeV"),
        "energy_max": u.Quantity(high, "TeV"),
    }
