"""Summaries of datasets: what a table of runs shows."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u

from ..kernels.cash import cash
from ..kernels.wstat import wstat
from .container import Datasets

_cash, _wstat = jax.jit(cash), jax.jit(wstat)

COLUMN_FORMATS = {
    "background": ".2f",
    "excess": ".2f",
    "sqrt_ts": ".2f",
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


def info_dict(dataset: Any, name: str | None = None) -> dict[str, Any]:
    """Sums over the safe bins of a dataset; numbers with a unit are Quantities, unknown ones NaN.

    ``sqrt_ts`` is the significance of the summed counts (Li & Ma 1983, equation 17, for on/off spectra), with the sign
    of the excess. ``alpha`` is the mean of the acceptance ratio weighted with the off counts (without off counts the
    ratio of the summed acceptances), and ``acceptance_off`` = acceptance / alpha. ``n_fit_bins``, ``energy_min`` and
    ``energy_max`` are those of the bins that enter the fit statistic, all bins if there is no mask.
    """
    safe = np.ones(dataset.data_shape, bool) if dataset.mask_safe is None else np.asarray(dataset.mask_safe)
    on_off = dataset.stat_type == "wstat"
    counts = _sum(dataset.counts, safe)
    background = _sum(dataset.background, safe)
    info: dict[str, Any] = {} if name is None else {"name": name}
    info |= {"type": dataset.tag, "stat_type": dataset.stat_type, "counts": _whole(counts)}
    off: dict[str, Any] = {}
    if on_off:
        n_off, acceptance, acceptance_off = (
            _sum(v, safe) for v in (dataset.counts_off, dataset.acceptance, dataset.acceptance_off)
        )
        alpha = background / n_off if n_off > 0 else _ratio(acceptance, acceptance_off)
        sqrt_ts = _significance(counts, n_off, alpha)
        off = {"acceptance": acceptance, "acceptance_off": _ratio(acceptance, alpha), "alpha": alpha}
        info["counts_off"] = _whole(n_off)
    else:
        sqrt_ts = _significance(counts, background)
    info |= {"background": background, "excess": counts - background, "sqrt_ts": sqrt_ts} | off
    livetime = u.Quantity(float(np.asarray(dataset.livetime)), "s")
    info["livetime"] = livetime
    info["ontime"] = u.Quantity(math.nan, "s") if dataset.gti is None else dataset.gti.ontime
    info["exposure_min"], info["exposure_max"] = _exposure_range(dataset.exposure)
    for key in ("counts", "background", "excess"):
        info[f"{key}_rate"] = info[key] / livetime
    return info | _fit_range(dataset)


def info_table(datasets: Any) -> Any:
    """`info_dict` of every dataset, as rows of an `astropy.table.Table`. Fields that a type does not have are NaN."""
    from astropy.table import Table

    rows = [info_dict(dataset, name) for name, dataset in Datasets(datasets).items()]
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


def _significance(counts: float, other: float, alpha: float | None = None) -> float:
    """Square root of the rise of the statistic from the best signal to none, with the sign of the excess."""
    if not (math.isfinite(counts) and math.isfinite(other) and (alpha is None or alpha > 0)):
        return math.nan
    if alpha is None:
        excess = counts - other
        rise = _cash(jnp.asarray(counts), jnp.asarray(other)) - _cash(jnp.asarray(counts), jnp.asarray(counts))
    else:
        excess = counts - alpha * other
        args = jnp.asarray(counts), jnp.asarray(other), jnp.asarray(alpha)
        rise = _wstat(*args, jnp.asarray(0.0)) - _wstat(*args, jnp.asarray(excess))
    return math.copysign(math.sqrt(max(float(rise), 0.0)), excess)


def _exposure_range(exposure: Any) -> tuple[u.Quantity, u.Quantity]:
    """Smallest and largest exposure above zero; zero where there is none."""
    if exposure is None:
        return u.Quantity(math.nan, "cm2 s"), u.Quantity(math.nan, "cm2 s")
    values = np.asarray(exposure)
    values = values[values > 0] if np.any(values > 0) else values
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
