"""Chi-square: measured numbers with symmetric errors."""

import jax.numpy as jnp

from ...kernels.chi2 import chi2
from ..arrays import Array
from .base import Bins, Data, Statistic


class Chi2Statistic(Statistic):
    """((values - prediction) / errors)^2."""

    stat_type = "chi2"
    names = ("values", "errors")

    def stat_bins(self, data: Data, prediction: Array) -> Bins:
        return chi2(*(jnp.asarray(x) for x in (data["values"], prediction, data["errors"])))

    def scoring_bins(self, data: Data, prediction: Array) -> tuple[Bins, Bins, Bins]:
        curvature = 2 / jnp.asarray(data["errors"]) ** 2
        slope = (jnp.asarray(prediction) - jnp.asarray(data["values"])) * curvature
        return self.stat_bins(data, prediction), slope, curvature
