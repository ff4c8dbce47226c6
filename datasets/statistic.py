"""The fit statistics of counts datasets: what turns a prediction into a likelihood, for spectra and maps alike."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..kernels.cash import cash, cash_deviance, cash_offset, cash_terms
from ..kernels.wstat import profile_background, wstat, wstat_terms
from .convert import is_concrete


class CashStatistic(eqx.Module):
    """Poisson counts with a known background; the prediction is signal plus background."""

    counts: eqx.AbstractVar[Any]
    background: eqx.AbstractVar[Any]

    stat_type = "cash"

    def npred_background(self: Any, norm: Any = 1.0) -> jax.Array:
        """Background times ``norm`` (a number, or an array that broadcasts to the bins); zeros without a background."""
        if self.background is None:
            return jnp.zeros(self.data_shape)
        return jnp.asarray(self.background) * norm

    def stat_bins(self, prediction: Any) -> jax.Array:
        """Cash statistic per bin, masks not applied."""
        return cash(jnp.asarray(self.counts), prediction)

    def deviance_bins(self, prediction: Any) -> jax.Array:
        """`stat_bins` less a constant of the data, chosen so that the value is 0 for a perfect model."""
        return cash_deviance(jnp.asarray(self.counts), prediction)

    def offset_bins(self) -> jax.Array:
        """`stat_bins` minus `deviance_bins`."""
        return cash_offset(jnp.asarray(self.counts))

    def scoring_bins(self, prediction: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """`deviance_bins`, its slope in the prediction and its expected curvature, per bin."""
        return cash_terms(jnp.asarray(self.counts), prediction)


class WStatistic(eqx.Module):
    """On and off counts, the background profiled out bin by bin; the prediction is the signal."""

    counts: eqx.AbstractVar[Any]
    counts_off: eqx.AbstractVar[Any]
    acceptance: eqx.AbstractVar[Any]
    acceptance_off: eqx.AbstractVar[Any]

    stat_type = "wstat"

    @property
    def alpha(self) -> Any:
        """Acceptance ratio on / off per bin; 0 where the off acceptance is 0."""
        np_or_jnp = np if is_concrete(self.acceptance) and is_concrete(self.acceptance_off) else jnp
        on, off = np_or_jnp.asarray(self.acceptance), np_or_jnp.asarray(self.acceptance_off)
        return np_or_jnp.where(off > 0, on / np_or_jnp.where(off > 0, off, 1.0), 0.0)

    @property
    def background(self) -> Any:
        """Background in the on region estimated from the off counts, alpha n_off; None without off counts."""
        return None if self.counts_off is None else self.alpha * self.counts_off

    @property
    def excess(self) -> Any:
        return self.counts - self.background

    def npred_background(self, npred_signal: Any) -> jax.Array:
        """alpha times the off expectation, profiled for the given signal, per bin."""
        alpha = jnp.asarray(self.alpha)
        return alpha * profile_background(
            jnp.asarray(self.counts), jnp.asarray(self.counts_off), alpha, jnp.asarray(npred_signal)
        )

    def stat_bins(self, prediction: Any) -> jax.Array:
        """W statistic per bin (with the data-only terms, so zero for a perfect model), masks not applied."""
        return wstat(jnp.asarray(self.counts), jnp.asarray(self.counts_off), jnp.asarray(self.alpha), prediction)

    def deviance_bins(self, prediction: Any) -> jax.Array:
        """The same as `stat_bins`: the W statistic is a deviance."""
        return self.stat_bins(prediction)

    def offset_bins(self) -> jax.Array:
        return jnp.zeros_like(jnp.asarray(self.counts))

    def scoring_bins(self, prediction: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """`deviance_bins`, its slope in the signal and its expected curvature, per bin."""
        return wstat_terms(jnp.asarray(self.counts), jnp.asarray(self.counts_off), jnp.asarray(self.alpha), prediction)
