"""Norms at which a source would be found: by the data that are expected, without noise."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Float

from ...datasets.arrays import Array
from ...datasets.compile import quick_programs
from ...datasets.statistics.base import Statistic
from ...kernels.roots import find_root, widened
from .norms import MOST_KINDS, NormBins, Norms

Expected = Sequence[Float[Array, " n_bins"]]


@quick_programs(0, most=MOST_KINDS)
def matching_norms(
    static: tuple[tuple[Statistic, ...], int], bins: Sequence[NormBins], expected: Expected, rise: Norms
) -> Norms:
    """The norm N of each place at which the statistic of no source is higher by ``rise`` (n,) than that of N, when the
    counts are those that N is expected to give.

    ``expected``: counts of each bin without the source, for each statistic; off counts stay. The square root of
    ``rise`` is then the median significance (Cowan et al. 2011, EPJ C 71, 1554). NaN where the source sends nothing.
    """
    statistics, n = static
    signal = jnp.zeros(n + 1)
    noise = jnp.zeros(n + 1)
    for part, counts in zip(bins, expected, strict=True):
        there = jnp.asarray(part.signal) > 0
        signal = signal + jax.ops.segment_sum(jnp.where(there, part.signal, 0.0), part.place, n + 1)
        noise = noise + jax.ops.segment_sum(jnp.where(there, counts, 0.0), part.place, n + 1)
    reached = signal[:n] > 0
    amount = jnp.where(reached, rise, 0.0)

    def significance(norm: Norms) -> Norms:
        """Rise of the statistic from the norm to none, less the amount."""
        found = -amount
        for statistic, part, counts in zip(statistics, bins, expected, strict=True):
            sent = jnp.append(norm, 0.0)[part.place] * part.signal
            data = {**part.data, "counts": jnp.asarray(counts) + sent}
            nothing, truth = (statistic.deviance_bins(data, part.rest + s) for s in (jnp.zeros_like(sent), sent))
            found = found + jax.ops.segment_sum(nothing - truth, part.place, n + 1)[:n]
        return found

    def with_slope(norm: Norms) -> tuple[Norms, Norms]:
        return jax.jvp(significance, (norm,), (jnp.ones_like(norm),))

    unit = jnp.where(reached, signal[:n], 1.0)
    width = (jnp.sqrt(amount * noise[:n]) + amount + 1e-3) / unit
    end = widened(with_slope, width)
    root = find_root(with_slope, jnp.zeros_like(end), end)
    return jnp.where(reached & (significance(end) >= 0), root, jnp.nan)
