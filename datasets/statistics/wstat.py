"""W statistic: on and off counts, the background profiled out bin by bin; the prediction is the signal."""

import jax.numpy as jnp
import numpy as np

from ...kernels.wstat import profile_background, wstat, wstat_terms
from ..arrays import Array, is_concrete
from .base import Bins, Data, Statistic


def alpha_of(acceptance: Array, acceptance_off: Array) -> Array:
    """Acceptance ratio on / off per bin; 0 where the off acceptance is 0."""
    xp = np if is_concrete(acceptance) and is_concrete(acceptance_off) else jnp
    on, off = xp.asarray(acceptance), xp.asarray(acceptance_off)
    return xp.where(off > 0, on / xp.where(off > 0, off, 1.0), 0.0)


def profiled_background(data: Data, signal: Array) -> Bins:
    """Background expected in the on region, alpha times the off expectation profiled for the signal, per bin."""
    alpha = jnp.asarray(alpha_of(data["acceptance"], data["acceptance_off"]))
    counts, counts_off = jnp.asarray(data["counts"]), jnp.asarray(data["counts_off"])
    return alpha * profile_background(counts, counts_off, alpha, jnp.asarray(signal))


class WStatistic(Statistic):
    """`kernels.wstat` with the data-only terms, so that it is 0 for a perfect model and a deviance itself."""

    stat_type = "wstat"
    names = ("counts", "counts_off", "acceptance", "acceptance_off")

    def stat_bins(self, data: Data, prediction: Array) -> Bins:
        return wstat(*self._arrays(data), jnp.asarray(prediction))

    def scoring_bins(self, data: Data, prediction: Array) -> tuple[Bins, Bins, Bins]:
        return wstat_terms(*self._arrays(data), jnp.asarray(prediction))

    def background_bins(self, data: Data, signal: Array) -> Bins:
        return profiled_background(data, signal)

    def _arrays(self, data: Data) -> tuple[Bins, Bins, Bins]:
        alpha = alpha_of(data["acceptance"], data["acceptance_off"])
        return jnp.asarray(data["counts"]), jnp.asarray(data["counts_off"]), jnp.asarray(alpha)
