"""Residuals: how the counts of a dataset differ from a prediction, bin by bin."""

from typing import Any

import jax
import jax.numpy as jnp

from ..kernels.counts_statistic import cash_ts, signed_root, wstat_ts
from .counts_base import CountsBase
from .errors import InputError
from .models import Models
from .npred import background, npred_signal
from .statistic import WStatistic

METHODS = ("diff", "diff/model", "diff/sqrt(model)", "significance")


def residuals(dataset: Any, models: Any = (), method: str = "diff", name: str | None = None) -> jax.Array:
    """Residuals of the counts to the prediction of ``models``, of the shape of the counts.

    ``method``, with n the counts and mu the prediction (on/off data: signal, and the background profiled for it):

    - "diff": n - mu;
    - "diff/model": (n - mu) / mu;
    - "diff/sqrt(model)": (n - mu) / sqrt(mu);
    - "significance": square root of the rise of the fit statistic (Cash, or W with the off counts) from a perfect
      prediction to this one, with the sign of n - mu. It follows a normal distribution where "diff/sqrt(model)" does
      not: for few counts, and for few off counts.

    NaN outside the mask. A bin without counts in which nothing is predicted has residual 0; with counts the two ratios
    are infinite there. Negative predictions have no square root: NaN. Pure: jit and vmap work. ``name`` is the name of
    the dataset, for models with ``datasets_names``. Flux points have methods of their own, see
    `FluxPointsDataset.residuals`.
    """
    holds_counts = isinstance(dataset, CountsBase)
    if not holds_counts and hasattr(dataset, "residuals"):
        return dataset.residuals(models, method, name)
    if not holds_counts:
        raise InputError(f"residuals: found {type(dataset).__name__}, expected one dataset: datasets['name'].")
    if method not in METHODS:
        raise InputError(f"residuals: found method {method!r}, expected one of {', '.join(map(repr, METHODS))}.")
    signal = npred_signal(dataset, models, name)
    on_off = isinstance(dataset, WStatistic)
    if dataset.counts is None or (on_off and dataset.counts_off is None):
        raise InputError("residuals: the dataset has no counts or no off counts to compare. Simulate with fake().")
    counts = jnp.asarray(dataset.counts)
    if on_off:
        expected = signal + dataset.npred_background(signal)
    else:
        expected = signal + background(dataset, Models(models).acting_on(name))
    difference = counts - expected
    if method == "diff":
        found = difference
    elif method == "significance":
        if on_off:
            rise = wstat_ts(counts, jnp.asarray(dataset.counts_off), jnp.asarray(dataset.alpha), signal)
        else:
            rise = cash_ts(counts, expected)
        found = signed_root(rise, difference)
    else:
        scale = expected if method == "diff/model" else jnp.sqrt(expected)
        # 0 / 0: nothing was expected, and nothing was seen
        nothing = (expected == 0) & (counts == 0)
        found = jnp.where(nothing, 0.0, difference / jnp.where(nothing, 1.0, scale))
    return found if dataset.mask is None else jnp.where(jnp.asarray(dataset.mask), found, jnp.nan)
