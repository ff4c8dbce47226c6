"""Scans of a likelihood, one for each bin."""

import jax.numpy as jnp

from ...kernels.flux_points import profile, profile_terms
from ..arrays import Array
from .base import Bins, Data, Statistic


class ProfileStatistic(Statistic):
    """The rise of the statistic along a scan, interpolated by parabolas: `kernels.profile`.

    ``ends`` (n, pieces + 1) are the ends of the pieces of each scan, ``pieces`` their coefficients.
    """

    stat_type = "profile"
    names = ("ends", "pieces")

    def stat_bins(self, data: Data, prediction: Array) -> Bins:
        return profile(jnp.asarray(prediction), *(jnp.asarray(data[name]) for name in self.names))

    def offset_bins(self, data: Data) -> Bins:
        return jnp.zeros(jnp.shape(data["ends"])[:1], jnp.asarray(data["ends"]).dtype)

    def scoring_bins(self, data: Data, prediction: Array) -> tuple[Bins, Bins, Bins]:
        return profile_terms(jnp.asarray(prediction), *(jnp.asarray(data[name]) for name in self.names))
