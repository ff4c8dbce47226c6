"""Summaries of datasets: what a table of runs shows."""

import math
from typing import Any

import numpy as np
from astropy import units as u

from .container import Datasets
from .counts_statistic import CashCountsStatistic, WStatCountsStatistic
from .dataset import Dataset
from .errors import InputError
from .models import Models
from .npred import npred, npred_background, npred_signal, stat_array
from .sky_model import SkyModel, TemplateNPredModel
from .stack import stack_named

COLUMN_FORMATS = {
    "background": ".2f",
    "excess": ".2f",
    "sqrt_ts": ".2f",
    "npred": ".2f",
    "npred_background": ".2f",
    "npred_signal": ".2f",
    "stat_sum": ".2f",
    "alpha": ".4f",
    "acceptance_off": ".2f",
    "livetime": ".1f",
    "ontime": ".1f",
    "exposure_min": ".3e",
    "exposure_max": ".3e",
    "counts_rate": ".4f",
    "background_rate": ".4f",
    "excess_rate": ".4f",
    "energy_min": ".3f",
    "energy_max": ".3f",
}


def info_dict(dataset: Any, name: str | None = None, models: Any = None) -> dict[str, Any]:
    """Sums over the safe bins of a dataset; numbers with a unit are Quantities, unknown ones NaN.

    ``sqrt_ts`` is the significance of the summed counts (Li & Ma 1983, equation 17, for on/off spectra), with the sign
    of the excess. ``alpha`` is the mean of the acceptance ratio weighted with the off counts (without off counts the
    ratio of the summed acceptances), and ``acceptance_off`` = acceptance / alpha. ``n_fit_bins``, ``energy_min`` and
    ``energy_max`` are those of the bins that enter the fit statistic, all bins if there is no mask.

    With ``models`` there are also the sums ``npred``, ``npred_background`` and ``npred_signal`` (NaN without sky
    models) over the safe bins, and ``stat_sum`` over the fitted ones, without priors; ``excess`` and ``sqrt_ts`` are
    then those over the background times the norms of its model. ``background`` is always that of the dataset.
    """
    if isinstance(dataset, Dataset):
        start = {} if name is None else {"name": name}
        end = {} if models is None else {"stat_sum": float(np.sum(stat_array(dataset, Models(models), name)))}
        return start | {"type": dataset.tag, "stat_type": dataset.stat_type} | dataset.info_dict() | end
    safe = np.ones(dataset.data_shape, bool) if dataset.mask_safe is None else np.asarray(dataset.mask_safe)
    on_off = dataset.stat_type == "wstat"
    counts = _sum(dataset.counts, safe)
    background = _sum(dataset.background, safe)
    predicted = {} if models is None else _predicted(dataset, Models(models), name, safe)
    info: dict[str, Any] = {} if name is None else {"name": name}
    info |= {"type": dataset.tag, "stat_type": dataset.stat_type, "counts": _whole(counts)}
    off: dict[str, Any] = {}
    if on_off:
        n_off, acceptance, acceptance_off = (
            _sum(v, safe) for v in (dataset.counts_off, dataset.acceptance, dataset.acceptance_off)
        )
        alpha = background / n_off if n_off > 0 else _ratio(acceptance, acceptance_off)
        excess, sqrt_ts = counts - background, _significance(counts, n_off, alpha)
        off = {"acceptance": acceptance, "acceptance_off": _ratio(acceptance, alpha), "alpha": alpha}
        info["counts_off"] = _whole(n_off)
    else:
        excess = counts - (
            predicted.get("npred_background", background) if dataset.background is not None else background
        )
        sqrt_ts = _significance(counts, counts - excess)
    info |= {"background": background, "excess": excess, "sqrt_ts": sqrt_ts} | off | predicted
    livetime = u.Quantity(float(np.asarray(dataset.livetime)), "s")
    info["livetime"] = livetime
    info["ontime"] = u.Quantity(math.nan, "s") if dataset.gti is None else dataset.gti.ontime
    info["exposure_min"], info["exposure_max"] = _exposure_range(dataset.exposure, safe)
    for key in ("counts", "background", "excess"):
        info[f"{key}_rate"] = info[key] / livetime
    return info | _fit_range(dataset)


def info_table(datasets: Any, models: Any = None, *, cumulative: bool = False) -> Any:
    """`info_dict` of every dataset, as rows of an `astropy.table.Table`. Fields that a type does not have are NaN.

    ``cumulative``: a row is that of the sum (see `stack`) of the datasets up to it, which must be of one type and on
    the same energies and pixels; what depends on models is not there then.
    """
    from astropy.table import Table

    found = Datasets(datasets)
    if cumulative and models is not None:
        raise InputError("info_table: a cumulative table knows no models. Leave them out.")
    rows = _sums(found) if cumulative else [info_dict(dataset, name, models) for name, dataset in found.items()]
    # the widest row gives the order of the columns
    fields = list(dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row))
    table = Table()
    for field in fields:
        values = [row.get(field, math.nan) for row in rows]
        unit = next((v.unit for v in values if isinstance(v, u.Quantity)), None)
        table[field] = (
            values if unit is None else [v.to_value(unit) if isinstance(v, u.Quantity) else v for v in values]
        )
        table[field].unit = unit
        if field in COLUMN_FORMATS:
            table[field].info.format = COLUMN_FORMATS[field]
    return table


def _sum(values: Any, mask: np.ndarray) -> float:
    return math.nan if values is None else float(np.sum(np.asarray(values, dtype=float)[mask]))


def _whole(value: float) -> float | int:
    """An int where the number is one: counts print as counts."""
    return int(value) if math.isfinite(value) and value == int(value) else value


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else math.nan


def _sums(datasets: Datasets) -> list[dict[str, Any]]:
    """Rows of the sums of the first one, two, ... datasets."""
    rows, total = [], None
    for name, dataset in datasets.items():
        if hasattr(dataset, "edisp"):
            # not in the table, and most of the work
            dataset = dataset.replace(edisp=None, **({"psf": None} if "psf" in vars(dataset) else {}))
        total = stack_named([(name, dataset)] if total is None else [("sum", total), (name, dataset)])
        rows.append(info_dict(total, name))
    return rows


def _predicted(dataset: Any, models: Models, name: str | None, safe: np.ndarray) -> dict[str, Any]:
    acting = models.acting_on(name)
    sources = [m for m in acting if isinstance(m, SkyModel | TemplateNPredModel)]
    complete = dataset.counts is not None and getattr(dataset, "counts_off", dataset.counts) is not None
    known = complete if dataset.stat_type == "wstat" else dataset.background is not None
    return {
        "npred": _sum(npred(dataset, acting, name), safe),
        "npred_background": _sum(npred_background(dataset, acting, name), safe) if known else math.nan,
        "npred_signal": _sum(npred_signal(dataset, acting, name), safe) if sources else math.nan,
        "stat_sum": float(np.sum(stat_array(dataset, acting, name))) if complete else math.nan,
    }


def _significance(counts: float, other: float, alpha: float | None = None) -> float:
    """Significance of counts over a background, or over off counts; NaN where one of them is not known."""
    if not (math.isfinite(counts) and math.isfinite(other) and (alpha is None or alpha > 0)) or min(counts, other) < 0:
        return math.nan
    known = CashCountsStatistic(counts, other) if alpha is None else WStatCountsStatistic(counts, other, alpha)
    return float(known.sqrt_ts)


def _exposure_range(exposure: Any, safe: np.ndarray) -> tuple[u.Quantity, u.Quantity]:
    """Smallest and largest exposure above zero, in pixels with a safe bin; zero where there is none."""
    if exposure is None:
        return u.Quantity(math.nan, "cm2 s"), u.Quantity(math.nan, "cm2 s")
    values = np.asarray(exposure)
    seen = (values > 0) & safe.any(axis=0)
    values = values[seen] if np.any(seen) else values
    return u.Quantity(values.min(), "cm2 s"), u.Quantity(values.max(), "cm2 s")


def _fit_range(dataset: Any) -> dict[str, Any]:
    mask = np.ones(dataset.data_shape, bool) if dataset.mask is None else np.asarray(dataset.mask)
    edges, inside = np.asarray(dataset.energy_edges), np.flatnonzero(mask.reshape(dataset.n_reco, -1).any(axis=1))
    low, high = (edges[inside[0]], edges[inside[-1] + 1]) if inside.size else (math.nan, math.nan)
    return {
        "n_bins": int(mask.size),
        "n_fit_bins": int(mask.sum()),
        "energy_min": u.Quantity(low, "TeV"),
        "energy_max": u.Quantity(high, "TeV"),
    }
