"""Norms of a source, each fitted to its own bins while all else is held: what flux points and light curves are made of.

With all other parameters held, what is predicted in a bin is a line in the norm: rest + norm signal. The statistic of
all bins of a norm is then a function of one number, convex for counts, and its minimum and the places where it has
risen by some amount are roots. All norms of all datasets are found in one program.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from ...datasets.arrays import Array
from ...datasets.dataset import Arrays
from ...datasets.statistics.base import Statistic
from ...kernels.programs import programs
from ...kernels.roots import find_root, widened

Norms = Float[jax.Array, " n"]

CLOSE = 1e-10
"""A step that is the last but one when a norm is sought, in units of the error that counts alone would leave."""

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


@programs(0, most=MOST_KINDS)
def norm_fits(
    static: tuple[tuple[Statistic, ...], int],
    bins: Sequence[NormBins],
    rise: Norms,
    rise_ul: Norms,
    norms: Float[jax.Array, " n_norms"],
) -> NormFits:
    """The best norm of each of a number of places, with errors and limits.

    Where no counts (and no off counts) were found in any bin that the source reaches, and so the statistic only rises
    with the norm, the best norm is 0: there is an upper limit, and nothing else. ``rise`` and ``rise_ul``
    (n,): see `NormFits`.
    """
    statistics, n = static
    total, slopes, constant = _sums(statistics, bins, n)
    counts, expected, signal, wall = _figures(bins, n)
    reached, seen = signal > 0, counts > 0
    unit = jnp.where(reached, signal, 1.0)
    # where the source sends nothing the statistic never rises: nothing is looked for
    rise, rise_ul = (jnp.where(reached, amount, 0.0) for amount in (rise, rise_ul))

    def curved(norm: Norms) -> tuple[Norms, Norms]:
        return jax.jvp(slopes, (norm,), (jnp.ones_like(norm),))

    # a bracket around the best: from a guess down to the wall where a bin with counts has no prediction, and up
    guess = jnp.where(seen, jnp.maximum((counts - expected) / unit, wall), 0.0)
    width = (jnp.sqrt(counts) + 1) / unit

    def below(distance: Norms) -> tuple[Norms, Norms]:
        value, slope = curved(jnp.maximum(guess - distance, wall))
        return jnp.where(guess - distance <= wall, 1.0, -value), slope

    def above(distance: Norms) -> tuple[Norms, Norms]:
        return curved(guess + distance)

    low = jnp.maximum(guess - widened(below, width), wall)
    norm = find_root(curved, low, guess + widened(above, width), accuracy=CLOSE * width)
    # where the slope jumps at 0, as without off counts, the bracket closes on it from one side
    norm = jnp.where(seen & (jnp.abs(norm) > 10 * CLOSE * width), norm, 0.0)
    best, curvature = total(norm), curved(norm)[1]

    def crossing(sign: float, amount: Norms, farthest: Norms) -> Norms:
        """Distance from the best norm at which the statistic has risen by an amount."""

        def risen(distance: Norms) -> tuple[Norms, Norms]:
            at = norm + sign * jnp.minimum(distance, farthest)
            return total(at) - best - amount, sign * slopes(at)

        end = jnp.minimum(widened(risen, jnp.where(seen, width, amount / unit)), farthest)
        return jnp.where(
            reached & (risen(end)[0] >= 0), find_root(risen, jnp.zeros_like(end), end, accuracy=CLOSE * end), jnp.nan
        )

    none = jnp.full_like(norm, jnp.nan)
    anywhere = jnp.full_like(norm, jnp.inf)
    known = reached & seen & (curvature > 0)
    stat, stat_null = total(norm) + constant, total(jnp.zeros_like(norm)) + constant
    scan = jax.lax.map(lambda value: total(jnp.full(n, value, norm.dtype)), norms) + constant
    return NormFits(
        norm=jnp.where(reached, norm, none),
        err=jnp.where(known, jnp.sqrt(2 / jnp.where(known, curvature, 1.0)), none),
        errn=jnp.where(seen, crossing(-1.0, rise, norm - wall), none),
        errp=crossing(1.0, rise, anywhere),
        ul=norm + crossing(1.0, rise_ul, anywhere),
        stat=stat,
        stat_null=stat_null,
        stat_scan=scan.T,
    )


def _sums(
    statistics: Sequence[Statistic], bins: Sequence[NormBins], n: int
) -> tuple[Callable[[Norms], Norms], Callable[[Norms], Norms], Norms]:
    """Deviance of each norm's bins and its slope as functions of the norms, and what makes it the statistic."""
    nothing = jnp.zeros(n)

    def summed(values: jax.Array, part: NormBins) -> Norms:
        return jax.ops.segment_sum(values, part.place, n + 1)[:n]

    def predicted(norm: Norms, part: NormBins) -> jax.Array:
        return jnp.asarray(part.rest + jnp.append(norm, 0.0)[part.place] * part.signal)

    def total(norm: Norms) -> Norms:
        parts = zip(statistics, bins, strict=True)
        return sum((summed(s.deviance_bins(b.data, predicted(norm, b)), b) for s, b in parts), nothing)

    def slopes(norm: Norms) -> Norms:
        parts = zip(statistics, bins, strict=True)
        return sum((summed(s.scoring_bins(b.data, predicted(norm, b))[1] * b.signal, b) for s, b in parts), nothing)

    constant = sum((summed(s.offset_bins(b.data), b) for s, b in zip(statistics, bins, strict=True)), nothing)
    return total, slopes, constant


def _figures(bins: Sequence[NormBins], n: int) -> tuple[Norms, Norms, Norms, Norms]:
    """Of the bins that the source reaches and that have a weight: counts (off counts too), what is expected besides it,
    its signal, all summed; and the largest norm at which a bin with counts has no prediction left."""
    sums, wall = jnp.zeros((3, n + 1)), jnp.full(n + 1, -jnp.inf)
    for part in bins:
        found, off, weights = part.data["counts"], part.data.get("counts_off"), part.data.get("weights")
        there = jnp.asarray(part.signal) > 0
        if weights is not None:
            there = there & (jnp.asarray(weights) > 0)
        figures = jnp.stack([found if off is None else found + off, part.rest, part.signal])
        figures = jnp.where(there, figures, 0.0)
        sums = sums + jax.vmap(lambda x, place=part.place: jax.ops.segment_sum(x, place, n + 1))(figures)
        if off is None:
            edge = jnp.where(there & (found > 0), -part.rest / jnp.where(there, part.signal, 1.0), -jnp.inf)
            wall = jnp.maximum(wall, jax.ops.segment_max(edge, part.place, n + 1))
        # with off counts the signal may be as negative as it likes: a background makes up for it
    counts, expected, signal = sums[:, :n]
    return counts, expected, signal, wall[:n]
