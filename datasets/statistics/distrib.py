"""Measured numbers with an error on each side, and upper limits."""

import jax.numpy as jnp

from ...kernels.flux_points import distrib, distrib_terms
from ..arrays import Array
from .base import Bins, Data, Statistic


class DistribStatistic(Statistic):
    """Errors by side, and a complementary error function for limits: `kernels.distrib`."""

    stat_type = "distrib"
    names = ("values", "errors_low", "errors_high", "limits", "is_ul")

    def stat_bins(self, data: Data, prediction: Array) -> Bins:
        values, *others = (jnp.asarray(data[name]) for name in self.names)
        return distrib(values, jnp.asarray(prediction), *others)

    def scoring_bins(self, data: Data, prediction: Array) -> tuple[Bins, Bins, Bins]:
        values, *others = (jnp.asarray(data[name]) for name in self.names)
        return distrib_terms(values, jnp.asarray(prediction), *others)
