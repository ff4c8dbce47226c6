"""Norms of a source, each fitted to its own bins while all else is held: what flux points and light curves are made of.

With all other parameters held, what is predicted in a bin is a line in the norm: rest + norm signal. The statistic of
all bins of a norm is then a function of one number, convex for counts, and its minimum and the places where it has
risen by some amount are roots. All norms of all datasets are found in one program.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from ...datasets.arrays import Array
from ...datasets.compile import quick_programs
from ...datasets.prepared import Arrays
from ...datasets.statistics.base import Data, Statistic
from .one_norm import Norms, NormStatistic, best_norms, found, lowest_of, signal_of, wall_of

ACCURACY = 1e-10
"""Errors of a norm to which it is found before the last step."""

MOST_KINDS = 8
"""Programs that are kept: one for each set of statistics and size."""


class NormBins(NamedTuple):
    """Bins of one statistic: its ``data`` by name, what the source sends at norm 1 (``signal``), what is predicted
    besides (``rest``), and which norm a bin belongs to (``place``; the number of norms for none). All (n_bins,)."""

    data: Arrays
    signal: Float[Array, " n_bins"]
    rest: Float[Array, " n_bins"]
    place: Int[Array, " n_bins"]


class NormFits(NamedTuple):
    """Best norms, and where the statistic has risen: all (n,), NaN where there is no such place.

    ``norm`` is the best, ``err`` its error from the curvature, ``errn`` and ``errp`` the distances down and up at which
    the statistic has risen by the first amount, ``ul`` the norm above the best at which it has risen by the second.
    ``stat``, ``stat_null`` and ``stat_scan`` (n, n_norms) are the statistic there, for no source, and at given norms.
    """

    norm: Float[Array, " n"]
    err: Float[Array, " n"]
    errn: Float[Array, " n"]
    errp: Float[Array, " n"]
    ul: Float[Array, " n"]
    stat: Float[Array, " n"]
    stat_null: Float[Array, " n"]
    stat_scan: Float[Array, "n n_norms"]


@quick_programs(0, most=MOST_KINDS)
def norm_fits(
    static: tuple[tuple[Statistic, ...], int],
    bins: Sequence[NormBins],
    rise: Norms,
    rise_ul: Norms,
    norms: Float[jax.Array, " n_norms"],
    floor: Float[jax.Array, ""],
) -> NormFits:
    """The best norm of each of a number of places, with errors and limits.

    Where no counts (and no off counts) were found in any bin that the source reaches, and so the statistic only rises
    with the norm, the best norm is the lowest with which no prediction is negative: there is an upper limit, and
    nothing else. ``rise`` and ``rise_ul`` (n,): see `NormFits`; ``floor``: norms are not below it.
    """
    statistics, n = static
    of, constant = _statistic(statistics, bins, n)
    best = best_norms(of, rise, rise_ul, ACCURACY, floor)
    null = of.deviance(jnp.zeros_like(of.signal)) + constant
    scan = jax.lax.map(lambda value: of.deviance(jnp.full(n, value, of.signal.dtype)), norms) + constant[None]
    stat = of.deviance(jnp.where(of.signal > 0, best.norm, 0.0)) + constant
    return NormFits(*best, stat=stat, stat_null=null, stat_scan=scan.T)


def _statistic(statistics: Sequence[Statistic], bins: Sequence[NormBins], n: int) -> tuple[NormStatistic, Norms]:
    """The deviance of each norm's bins, and what makes it the statistic."""
    pairs = list(zip(statistics, bins, strict=True))

    def summed(values: Iterable[jax.Array]) -> Norms:
        terms = (jax.ops.segment_sum(v, b.place, n + 1)[:n] for v, b in zip(values, bins, strict=True))
        return sum(terms, jnp.zeros(n))

    def predicted(norm: Norms, part: NormBins) -> jax.Array:
        return jnp.asarray(part.rest + jnp.append(norm, 0.0)[part.place] * part.signal)

    def deviance(norm: Norms) -> Norms:
        return summed(s.deviance_bins(b.data, predicted(norm, b)) for s, b in pairs)

    def slopes(norm: Norms) -> Norms:
        return summed(s.scoring_bins(b.data, predicted(norm, b))[1] * b.signal for s, b in pairs)

    def highest(of_bins: Callable[[Data, Array, Array], jax.Array]) -> Norms:
        found = jnp.full(n + 1, -jnp.inf)
        for part in bins:
            values = of_bins(part.data, part.rest, part.signal)
            found = jnp.maximum(found, jax.ops.segment_max(values, part.place, n + 1))
        return found[:n]

    of = NormStatistic(
        deviance,
        slopes,
        expected=summed(s.scoring_bins(b.data, b.rest)[2] * b.signal**2 for s, b in pairs),
        signal=summed(signal_of(b.data, b.signal) for b in bins),
        seen=summed(found(b.data, b.signal) for b in bins) > 0,
        wall=highest(wall_of),
        lowest=highest(lowest_of),
    )
    return of, summed(s.offset_bins(b.data) for s, b in pairs)
