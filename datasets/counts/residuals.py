"""Residuals: how the counts of a dataset differ from a prediction, bin by bin."""

import jax
import jax.numpy as jnp
import numpy as np

from ...kernels.significance import signed_root
from ..dataset import fitted_bins
from ..errors import InputError
from ..prepared import Models
from .base import CountsBase, Sum

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


def summed_significance(
    dataset: CountsBase, counts: np.ndarray, expected: np.ndarray, signal: np.ndarray, total: Sum | None = None
) -> np.ndarray:
    """The method "significance" for sums of fitted bins, of the shape of the sums given.

    ``counts``, ``expected`` and ``signal`` are sums already; ``total`` adds up fields of the data, (n_reco, ny, nx)
    with 0 outside of the mask, in the same way: by default over the pixels of each energy.
    """
    mask = np.asarray(fitted_bins(dataset))

    def over_pixels(values: np.ndarray) -> np.ndarray:
        return np.asarray(values.reshape(len(values), -1).sum(axis=1))

    def inside(values: np.ndarray) -> np.ndarray:
        return (over_pixels if total is None else total)(np.where(mask, values, 0.0))

    # a spectrum has nothing to add up, and its bins are told outside of the mask, too
    sums = inside if mask.ndim > 1 else None
    rise = dataset.rise(jnp.asarray(counts), jnp.asarray(expected), jnp.asarray(signal), sums)
    return np.asarray(signed_root(rise, jnp.asarray(counts - expected)))
