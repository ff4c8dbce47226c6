"""Residuals: how the counts of a dataset differ from a prediction, bin by bin."""

import jax
import jax.numpy as jnp

from ...kernels.significance import signed_root
from ..dataset import Models
from ..errors import InputError
from .base import CountsBase

METHODS = ("diff", "diff/model", "diff/sqrt(model)", "significance")


def count_residuals(dataset: CountsBase, models: Models, method: str) -> jax.Array:
    """Residuals of the counts to the prediction of the models that act on the dataset; see `gammajax.residuals`."""
    if method not in METHODS:
        raise InputError(f"residuals: found method {method!r}, expected one of {', '.join(map(repr, METHODS))}.")
    signal = dataset.signal(models)
    if dataset.missing_data() is not None:
        raise InputError("residuals: the dataset has no counts or no off counts to compare. Simulate with fake().")
    counts = jnp.asarray(dataset.counts)
    expected = signal + dataset.background_of(signal, models)
    difference = counts - expected
    if method == "diff":
        found = difference
    elif method == "significance":
        found = signed_root(dataset.rise(counts, expected, signal), difference)
    else:
        scale = expected if method == "diff/model" else jnp.sqrt(expected)
        # 0 / 0: nothing was expected, and nothing was seen
        nothing = (expected == 0) & (counts == 0)
        found = jnp.where(nothing, 0.0, difference / jnp.where(nothing, 1.0, scale))
    return found if dataset.mask is None else jnp.where(jnp.asarray(dataset.mask), found, jnp.nan)
