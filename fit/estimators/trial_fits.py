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
from ...kernels.roots import find_root, quotient, widened

Norms = Float[jax.Array, " n"]

Rows = Float[jax.Array, "n n_bins"]
"""Bins of the window of each place."""

Data = dict[str, jax.Array]

ACCURACY = 1e-4
"""Errors of a norm to which it is found before the last step, which squares them."""

WALL = 1e-3
"""Errors of a norm that a first guess keeps from where a bin with counts has no prediction left."""


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
) -> TrialFits:
    """The best norm at each place, for all datasets together.

    ``static``: the statistics of the datasets, places that are done at a time, whether asymmetric errors and whether
    limits are wanted.
    """
    statistics, batch, errors, limits = static

    def windows(trials: Sequence[Trial]) -> list[tuple[Data, Rows, Rows]]:
        return [_window(m, t) for m, t in zip(maps, trials, strict=True)]

    def fit(trials: Sequence[Trial]) -> TrialFits:
        return _fitted(statistics, windows(trials), rise, rise_ul, errors, limits)

    n = trials[0].kernel.shape[0]
    parts = jax.tree.map(lambda a: jnp.asarray(a).reshape(n // batch, batch, *a.shape[1:]), tuple(trials))
    found = jax.lax.map(fit, parts)
    return TrialFits(*(values.reshape(n) for values in found))


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
    errors: bool,
    limits: bool,
) -> TrialFits:
    def summed(function: Callable[[Statistic, Data, Rows, Rows], Rows]) -> Norms:
        terms = [jnp.sum(function(s, *b), axis=1) for s, b in zip(statistics, bins, strict=True)]
        return sum(terms[1:], terms[0])

    def total(norm: Norms) -> Norms:
        return summed(lambda s, data, rest, signal: s.deviance_bins(data, rest + norm[:, None] * signal))

    def slopes(norm: Norms) -> Norms:
        return summed(lambda s, data, rest, signal: s.scoring_bins(data, rest + norm[:, None] * signal)[1] * signal)

    def curved(norm: Norms) -> tuple[Norms, Norms]:
        return jax.jvp(slopes, (norm,), (jnp.ones_like(norm),))

    signal = summed(lambda s, data, rest, signal: signal)
    zero = jnp.zeros_like(signal)
    seen = summed(lambda s, data, rest, signal: jnp.where(signal > 0, _found(data), 0.0)) > 0
    walls = [_wall(data, rest, signal) for data, rest, signal in bins]
    wall = jnp.max(jnp.stack(walls), axis=0)

    # a step with the curvature that is expected without a source; from where it ends up or down to beyond the best
    expected = summed(lambda s, data, rest, signal: s.scoring_bins(data, rest)[2] * signal**2)
    width = jnp.sqrt(quotient(jnp.full_like(zero, 2.0), expected))
    width = jnp.where(width > 0, width, quotient(jnp.ones_like(zero), signal))
    guess = jnp.where(seen, jnp.maximum(-quotient(slopes(zero), expected), wall + WALL * width), 0.0)
    value, slope = curved(guess)
    side = jnp.where(value < 0, 1.0, -1.0)
    step = quotient(jnp.abs(value), slope)

    def beyond(distance: Norms) -> tuple[Norms, Norms]:
        at = jnp.maximum(guess + side * distance, wall)
        return jnp.where(seen & (at > wall), side * slopes(at), 1.0), slope

    far = jnp.maximum(guess + side * widened(beyond, 1.5 * step + WALL * width), wall)
    low, high = jnp.where(side > 0, guess, far), jnp.where(side > 0, far, guess)
    start = jnp.clip(guess + side * step, low, high)
    norm = jnp.where(seen, find_root(curved, low, high, start, ACCURACY * width), 0.0)
    best, curvature = total(norm), curved(norm)[1]
    err = jnp.sqrt(quotient(jnp.full_like(zero, 2.0), jnp.maximum(curvature, 0.0)))

    def crossing(sign: float, amount: jax.Array, farthest: Norms) -> Norms:
        """Distance from the best norm at which the statistic has risen by an amount."""

        def risen(distance: Norms) -> tuple[Norms, Norms]:
            at = norm + sign * jnp.minimum(distance, farthest)
            return jnp.where(signal > 0, total(at) - best - amount, 1.0), sign * slopes(at)

        near = jnp.where(seen & (err > 0), jnp.sqrt(amount) * err, quotient(amount * jnp.ones_like(zero), signal))
        end = jnp.minimum(widened(risen, 1.5 * near), farthest)
        reached = (signal > 0) & (risen(end)[0] >= 0)
        root = find_root(risen, zero, end, jnp.minimum(near, end), ACCURACY * near)
        return jnp.where(reached, root, jnp.nan)

    none, anywhere = jnp.full_like(zero, jnp.nan), jnp.full_like(zero, jnp.inf)
    reached, known = signal > 0, (signal > 0) & seen & (curvature > 0)
    return TrialFits(
        norm=jnp.where(reached, norm, none),
        err=jnp.where(known, err, none),
        errn=jnp.where(seen, crossing(-1.0, rise, norm - wall), none) if errors else none,
        errp=crossing(1.0, rise, anywhere) if errors else none,
        ul=norm + crossing(1.0, rise_ul, anywhere) if limits else none,
        ts=jnp.where(reached, jnp.maximum(total(zero) - best, 0.0), none),
        signal=signal,
    )


def _found(data: Data) -> Rows:
    counts, off = data["counts"], data.get("counts_off")
    return counts if off is None else counts + off


def _wall(data: Data, rest: Rows, signal: Rows) -> Norms:
    """The largest norm at which a bin with counts has no prediction left; with off counts there is none."""
    if "counts_off" in data:
        return jnp.full(signal.shape[0], -jnp.inf)
    there = (signal > 0) & (data["counts"] > 0)
    edges = jnp.where(there, -rest / jnp.where(there, signal, 1.0), -jnp.inf)
    return jnp.max(edges, axis=1)
