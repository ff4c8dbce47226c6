"""The best norm, its errors and limits where a statistic is a convex function of it, for arrays of norms."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...datasets.arrays import Array
from ...datasets.statistics.base import Data
from ...kernels.roots import find_root, quotient, widened

Norms = Float[jax.Array, " n"]

Ends = Float[jax.Array, "n_ends n"]
"""Numbers for each end of the intervals around norms."""

AWAY = 1e-3
"""Errors of a norm that a first guess keeps from where a bin with counts has no prediction left."""

AT_ZERO = 1e-10
"""Errors of a norm within which it is 0: the slope may jump there, as without off counts, past any root."""


class NormStatistic(NamedTuple):
    """A statistic as a convex function of norms, each of which has its own bins.

    ``deviance`` and ``slopes`` are functions of the norms, (n,) to (n,); ``expected`` is the curvature expected at norm
    0, ``signal`` the counts of the source at norm 1, ``seen`` whether there are counts (or off counts) where it sends
    any, ``wall`` the norm at and below which a bin with counts has no prediction left, and ``lowest`` that below which
    any bin has a negative one; -inf for none.
    """

    deviance: Callable[[Norms], Norms]
    slopes: Callable[[Norms], Norms]
    expected: Norms
    signal: Norms
    seen: jax.Array
    wall: Norms
    lowest: Norms


class BestNorms(NamedTuple):
    """``norm`` is the best, ``err`` its error from the curvature, ``errn`` and ``errp`` the distances down and up at
    which the statistic has risen by one amount, ``ul`` the norm above the best at which it has risen by another.

    All (n,). NaN where there is no such place, or where it was not asked for. Without counts the norm is the lowest
    with which no prediction is negative (0 where nothing says which that is), with a limit and an error upwards only.
    """

    norm: Norms
    err: Norms
    errn: Norms
    errp: Norms
    ul: Norms


def best_norms(
    of: NormStatistic,
    rise: Float[jax.Array, "*n"],
    rise_ul: Float[jax.Array, "*n"],
    accuracy: float,
    floor: Array | float = -np.inf,
    *,
    errors: bool = True,
    limits: bool = True,
) -> BestNorms:
    """The best of all norms, by safeguarded Newton steps from that of the expected curvature.

    ``rise`` and ``rise_ul``: see `BestNorms`; one for all, or (n,). ``accuracy``: errors of a norm to which it is found
    before the last step, which squares them. ``floor``: norms are not below it, and there is no error down to it.
    """
    deviance, slopes, _, signal, seen, wall, lowest = of
    zero, reached = jnp.zeros_like(signal), signal > 0

    def curved(norm: Norms) -> tuple[Norms, Norms]:
        return jax.jvp(slopes, (norm,), (jnp.ones_like(norm),))

    # a step with the curvature that is expected without a source; from where it ends up or down to beyond the best
    width = jnp.sqrt(quotient(jnp.full_like(zero, 2.0), of.expected))
    width = jnp.where(width > 0, width, quotient(jnp.ones_like(zero), signal))
    at_zero = slopes(zero)
    guess = jnp.where(seen, jnp.maximum(-quotient(at_zero, of.expected), wall + AWAY * width), 0.0)
    value, slope = curved(guess)
    side = jnp.where(value < 0, 1.0, -1.0)
    step = quotient(jnp.abs(value), slope)

    def beyond(distance: Norms) -> tuple[Norms, Norms]:
        at = jnp.maximum(guess + side * distance, wall)
        return jnp.where(seen & (at > wall), side * slopes(at), 1.0), slope

    far = jnp.maximum(guess + side * widened(beyond, 1.5 * step + AWAY * width), wall)
    low, high = jnp.where(side > 0, guess, far), jnp.where(side > 0, far, guess)
    norm = find_root(curved, low, high, jnp.clip(guess + side * step, low, high), accuracy * width)
    jumps = (at_zero >= 0) & (slopes(-AT_ZERO * width) <= 0)
    norm = jnp.where(seen, jnp.where(jumps, 0.0, norm), jnp.where(jnp.isfinite(lowest), lowest, 0.0))
    norm = jnp.maximum(norm, floor)
    best, curvature = deviance(norm), curved(norm)[1]
    known = reached & seen & (curvature > 0) & (norm > floor)
    err = jnp.where(known, jnp.sqrt(quotient(jnp.full_like(zero, 2.0), jnp.where(known, curvature, 1.0))), 0.0)

    def crossings(signs: Ends, amounts: Ends, farthest: Ends) -> Ends:
        """Distances from the best norms at which the statistic has risen by amounts; all (n_ends, n)."""

        def risen(distance: Ends) -> tuple[Ends, Ends]:
            at = norm[None] + signs * jnp.minimum(distance, farthest)
            # where the source sends nothing the statistic never rises: nothing is looked for
            rise = jnp.where(reached[None], jax.vmap(deviance)(at) - best[None] - amounts, 1.0)
            return rise, signs * jax.vmap(slopes)(at)

        near = jnp.where(
            err[None] > 0, jnp.sqrt(amounts) * err[None], quotient(amounts, jnp.broadcast_to(signal, amounts.shape))
        )
        end = jnp.minimum(widened(risen, 1.5 * near), farthest)
        found = reached[None] & (risen(end)[0] >= 0)
        # not at the end, which may be where the statistic has a pole
        root = find_root(risen, jnp.zeros_like(end), end, jnp.minimum(near, 0.9 * end), accuracy * near)
        return jnp.where(found, root, jnp.nan)

    none, anywhere = jnp.full_like(zero, jnp.nan), jnp.full_like(zero, jnp.inf)
    # all ends are looked for at once: one search to compile
    wanted = [(-1.0, rise, norm - jnp.maximum(wall, floor)), (1.0, rise, anywhere)] if errors else []
    wanted += [(1.0, rise_ul, anywhere)] if limits else []
    ends = [none] * len(wanted)
    if wanted:
        columns = zip(*wanted, strict=True)
        ends = list(crossings(*(jnp.stack([jnp.broadcast_to(v, zero.shape) for v in column]) for column in columns)))
    return BestNorms(
        norm=jnp.where(reached, norm, none),
        err=jnp.where(known, err, none),
        errn=jnp.where(seen, ends[0], none) if errors else none,
        errp=ends[1] if errors else none,
        ul=norm + ends[-1] if limits else none,
    )


def signal_of(data: Data, signal: Array) -> jax.Array:
    """Counts of the source at norm 1 in bins that have a weight; 0 in others."""
    weights, signal = data.get("weights"), jnp.asarray(signal)
    return signal if weights is None else jnp.where(jnp.asarray(weights) > 0, signal, 0.0)


def found(data: Data, signal: Array) -> jax.Array:
    """Counts (and off counts) of the bins that the source reaches; 0 in others."""
    counts, off = data["counts"], data.get("counts_off")
    return jnp.where(signal_of(data, signal) > 0, counts if off is None else counts + off, 0.0)


def wall_of(data: Data, rest: Array, signal: Array) -> jax.Array:
    """The norm at which a bin with counts has no prediction left, per bin; -inf for none.

    With off counts the signal may be as negative as it likes: a background makes up for it.
    """
    return jnp.where(jnp.asarray(data["counts"]) > 0, lowest_of(data, rest, signal), -jnp.inf)


def lowest_of(data: Data, rest: Array, signal: Array) -> jax.Array:
    """The norm at which a bin has no prediction left, whatever was counted, per bin; -inf for none."""
    signal = signal_of(data, signal)
    if "counts_off" in data:
        return jnp.full_like(signal, -jnp.inf)
    there = signal > 0
    return jnp.where(there, (0.0 - rest) / jnp.where(there, signal, 1.0), -jnp.inf)
