"""Cash statistic: Poisson counts, and a prediction that is signal plus background."""

import jax.numpy as jnp
import numpy as np

from ...kernels.cash import TRUNCATION, cash, cash_deviance, cash_offset, cash_terms
from ..arrays import Array
from .base import Bins, Data, Statistic


class CashStatistic(Statistic):
    """2 (mu - n ln mu), see `kernels.cash`; the deviance is 0 for mu = n."""

    stat_type = "cash"
    names = ("counts",)
    merges = True

    def stat_bins(self, data: Data, prediction: Array) -> Bins:
        return cash(jnp.asarray(data["counts"]), jnp.asarray(prediction))

    def deviance_bins(self, data: Data, prediction: Array) -> Bins:
        return cash_deviance(jnp.asarray(data["counts"]), jnp.asarray(prediction))

    def offset_bins(self, data: Data) -> Bins:
        return cash_offset(jnp.asarray(data["counts"]))

    def scoring_bins(self, data: Data, prediction: Array) -> tuple[Bins, Bins, Bins]:
        return cash_terms(jnp.asarray(data["counts"]), jnp.asarray(prediction))

    def merged_bins(self, data: Data, where: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """With the norm g, sum of 2 (g B - n ln(g B)) = 2 (g sum B - sum n ln(g sum B)) + constant."""
        counts, background = np.asarray(data["counts"], float), np.asarray(data["background"], float)
        known = where & (background > 0)
        n, b = np.where(known, counts, 0.0), np.where(known, background, 0.0)
        total_n, total_b = n.sum((1, 2)), b.sum((1, 2))
        # most bins are empty
        hit = np.nonzero(n)
        logs = np.bincount(hit[0], n[hit] * np.log(b[hit]), minlength=len(n))
        constant = 2 * np.sum(total_n * np.log(np.where(total_b > 0, total_b, 1.0)) - logs)
        # where no background is known either, the floor of the statistic stands for any norm
        unknown = np.where(where & (background == 0), counts, 0.0)
        constant = constant + 2 * np.sum(np.where(unknown > 0, TRUNCATION - unknown * np.log(TRUNCATION), 0.0))
        return {"counts": total_n, "background": total_b, "mask_safe": known.any((1, 2))}, np.asarray(constant)

    def merged_counts(self, data: Data, where: Array) -> tuple[Bins, Bins]:
        counts, background = jnp.asarray(data["counts"]), jnp.asarray(data["background"])
        known = where & (background > 0)
        n, b = jnp.where(known, counts, 0.0), jnp.where(known, background, 1.0)
        total_n, total_b = n.sum((1, 2)), jnp.where(known, background, 0.0).sum((1, 2))
        logs = jnp.sum(n * jnp.log(b), axis=(1, 2))
        constant = jnp.sum(total_n * jnp.log(jnp.where(total_b > 0, total_b, 1.0)) - logs)
        unknown = jnp.where(where & (background == 0), counts, 0.0)
        floor = jnp.sum(jnp.where(unknown > 0, TRUNCATION - unknown * np.log(TRUNCATION), 0.0))
        return total_n, 2 * (constant + floor)


class WeightedCashStatistic(Statistic):
    """Cash statistic times a weight per bin, ``weights``: 2 w (mu - n ln mu), gammapy's ``cash_weighted``.

    With weights below 1 it is no likelihood any more, but what is fitted where a systematic error per bin limits what
    the bins may say (Fermi-LAT's weighted likelihood); its errors are those of the weighted sum.
    """

    stat_type = "cash_weighted"
    names = ("counts", "weights")

    def stat_bins(self, data: Data, prediction: Array) -> Bins:
        return self._times(data, cash(jnp.asarray(data["counts"]), jnp.asarray(prediction)))

    def deviance_bins(self, data: Data, prediction: Array) -> Bins:
        return self._times(data, cash_deviance(jnp.asarray(data["counts"]), jnp.asarray(prediction)))

    def offset_bins(self, data: Data) -> Bins:
        return self._times(data, cash_offset(jnp.asarray(data["counts"])))

    def scoring_bins(self, data: Data, prediction: Array) -> tuple[Bins, Bins, Bins]:
        stat, slope, curvature = cash_terms(jnp.asarray(data["counts"]), jnp.asarray(prediction))
        return self._times(data, stat), self._times(data, slope), self._times(data, curvature)

    def _times(self, data: Data, terms: Bins) -> Bins:
        return jnp.asarray(data["weights"]) * terms
