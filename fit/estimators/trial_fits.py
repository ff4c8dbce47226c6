"""Norms of a source at many places of a map, each fitted in a window around it: what TS maps are made of."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from ...datasets.arrays import Array
from ...datasets.dataset import Arrays
from ...datasets.statistics.base import Statistic
from ...kernels.programs import programs
from .one_norm import Norms, NormStatistic, best_norms, found, lowest_of, signal_of, wall_of

Rows = Float[jax.Array, "n n_bins"]
"""Bins of the window of each place."""

Data = dict[str, jax.Array]

ACCURACY = 1e-4
"""Errors of a norm to which it is found before the last step."""


class TrialMap(NamedTuple):
    """A dataset with a margin of empty pixels all around, so that every window lies in it.

    ``data`` of the statistic by name, ``rest``: what the statistic compares counts with without the source, ``seen``
    and ``kernels`` (n_kernels, n_reco, w, w): see `Trials`; ``seen`` is 0 where no bin is fitted.
    All others (n_reco, my, mx).
    """

    data: Arrays
    rest: Float[Array, "n_reco my mx"]
    seen: Float[Array, "n_reco my mx"]
    kernels: Float[Array, "n_kernels n_reco w w"]


class Trial(NamedTuple):
    """Where the windows of places begin, (n, 2) rows and columns, and which kernels are theirs, (n,)."""

    start: Int[Array, "n 2"]
    kernel: Int[Array, " n"]


class TrialFits(NamedTuple):
    """Best norms, their errors from the curvature, distances down and up where the statistic has risen by one amount,
    norms above the best where it has risen by another; how much it falls from no source to the best; counts of the
    source at norm 1. All (n,), NaN where there are none."""

    norm: Float[Array, "..."]
    err: Float[Array, "..."]
    errn: Float[Array, "..."]
    errp: Float[Array, "..."]
    ul: Float[Array, "..."]
    ts: Float[Array, "..."]
    signal: Float[Array, "..."]


@programs(0)
def trial_fits(
    static: tuple[tuple[Statistic, ...], int, bool, bool],
    maps: Sequence[TrialMap],
    trials: Sequence[Trial],
    rise: Float[jax.Array, ""],
    rise_ul: Float[jax.Array, ""],
    floor: Float[jax.Array, ""],
) -> TrialFits:
    """The best norm at each place, for all datasets together.

    ``static``: the statistics of the datasets, places that are done at a time, whether asymmetric errors and whether
    limits are wanted. ``floor``: norms are not below it.
    """
    statistics, batch, errors, limits = static

    def windows(trials: Sequence[Trial]) -> list[tuple[Data, Rows, Rows]]:
        return [_window(m, t) for m, t in zip(maps, trials, strict=True)]

    def fit(trials: Sequence[Trial]) -> TrialFits:
        return _fitted(statistics, windows(trials), rise, rise_ul, floor, errors, limits)

    n = trials[0].kernel.shape[0]
    parts = jax.tree.map(lambda a: jnp.asarray(a).reshape(n // batch, batch, *a.shape[1:]), tuple(trials))
    fits = jax.lax.map(fit, parts)
    return TrialFits(*(values.reshape(n) for values in fits))


def _window(of: TrialMap, trial: Trial) -> tuple[Data, Rows, Rows]:
    """Data, expectation without and counts of the source at norm 1 in the windows, a row for each place."""
    size = of.kernels.shape[2:]

    def rows(values: Array) -> Rows:
        values = jnp.asarray(values)
        shape = (values.shape[0], *size)

        def cut(start: jax.Array) -> jax.Array:
            return jax.lax.dynamic_slice(values, (0, start[0], start[1]), shape).reshape(-1)

        return jax.vmap(cut)(jnp.asarray(trial.start))

    signal = rows(of.seen) * jnp.asarray(of.kernels)[trial.kernel].reshape(trial.kernel.shape[0], -1)
    return {name: rows(values) for name, values in of.data.items()}, rows(of.rest), signal


def _fitted(
    statistics: Sequence[Statistic],
    bins: Sequence[tuple[Data, Rows, Rows]],
    rise: Float[jax.Array, ""],
    rise_ul: Float[jax.Array, ""],
    floor: Float[jax.Array, ""],
    errors: bool,
    limits: bool,
) -> TrialFits:
    def summed(function: Callable[[Statistic, Data, Rows, Rows], Rows]) -> Norms:
        terms = [jnp.sum(function(s, *b), axis=1) for s, b in zip(statistics, bins, strict=True)]
        return sum(terms[1:], terms[0])

    def deviance(norm: Norms) -> Norms:
        return summed(lambda s, data, rest, signal: s.deviance_bins(data, rest + norm[:, None] * signal))

    def slopes(norm: Norms) -> Norms:
        return summed(lambda s, data, rest, signal: s.scoring_bins(data, rest + norm[:, None] * signal)[1] * signal)

    def highest(of_bins: Callable[[Data, Rows, Rows], jax.Array]) -> Norms:
        return jnp.max(jnp.stack([jnp.max(of_bins(*b), axis=1) for b in bins]), axis=0)

    of = NormStatistic(
        deviance,
        slopes,
        expected=summed(lambda s, data, rest, signal: s.scoring_bins(data, rest)[2] * signal**2),
        signal=summed(lambda s, data, rest, signal: signal_of(data, signal)),
        seen=summed(lambda s, data, rest, signal: found(data, signal)) > 0,
        wall=highest(wall_of),
        lowest=highest(lowest_of),
    )
    best = best_norms(of, rise, rise_ul, ACCURACY, floor, errors=errors, limits=limits)
    fall = deviance(jnp.zeros_like(best.norm)) - deviance(jnp.where(of.signal > 0, best.norm, 0.0))
    return TrialFits(*best, ts=jnp.where(of.signal > 0, jnp.maximum(fall, 0.0), jnp.nan), signal=of.signal)
