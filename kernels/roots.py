"""Roots of functions of one number, for arrays of them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Numbers = Float[Array, "..."]

WIDENINGS = 60
"""Doublings of a bracket, at most."""

ROOT_STEPS = 256
"""Steps of the safeguarded Newton method, at most; the bisections alone would leave 2^-64 of the bracket."""

SETTLED = 4
"""Roundings of a root within which it is known: the last step is to follow."""


def find_root(
    function: Callable[[Numbers], tuple[Numbers, Numbers]],
    low: Numbers,
    high: Numbers,
    start: Numbers | None = None,
    accuracy: Numbers | None = None,
) -> Numbers:
    """Root between ``low`` (where the function is not positive) and ``high`` (where it is not negative).

    ``function`` gives value and slope. Newton steps that leave the bracket, or that shrink it too slowly, are replaced
    by bisections, until all roots are known to rounding. This jits and vmaps, and the result has the slope of the
    implicit function. ``low`` may be the larger of the two. ``start`` is where to begin, in the middle by default;
    ``accuracy`` the length of a step that is the last but one: one of Newton's, which squares the error, follows it.
    A step that short only counts where the one before it halved the function: beside a pole all steps are short.
    """

    def step(
        state: tuple[Array, Array, Numbers, Numbers, Numbers, Numbers],
    ) -> tuple[Array, Array, Numbers, Numbers, Numbers, Numbers]:
        i, _, low, high, before, at = state
        value, slope = function(at)
        low, high = jnp.where(value <= 0, at, low), jnp.where(value <= 0, high, at)
        newton = quotient(value, slope)
        inside = (at - newton - low) * (at - newton - high) < 0
        # every fourth step halves the bracket: Newton steps alone may move one end only
        following = jnp.where(inside & (i % 4 != 3), at - newton, (low + high) / 2)
        rounding = SETTLED * jnp.finfo(at.dtype).eps
        least = 0.0 if accuracy is None else accuracy
        narrow = jnp.abs(high - low) <= jnp.maximum(rounding * jnp.maximum(jnp.abs(low), jnp.abs(high)), least)
        short = jnp.abs(newton) <= jnp.where(jnp.abs(value) <= before / 2, least, 0.0)
        settled = narrow | (value == 0) | (inside & (short | (jnp.abs(newton) <= rounding * jnp.abs(at))))
        return i + 1, jnp.any(~settled), low, high, jnp.abs(value), jnp.where(settled, at, following)

    def goes_on(state: tuple[Array, Array, Numbers, Numbers, Numbers, Numbers]) -> Array:
        return (state[0] < ROOT_STEPS) & state[1]

    first = (low + high) / 2 if start is None else start
    begin = (jnp.asarray(0), jnp.asarray(True), low, high, jnp.zeros_like(first), first)
    ended = jax.lax.while_loop(goes_on, step, jax.lax.stop_gradient(begin))
    low, high, _, root = (jax.lax.stop_gradient(x) for x in ended[2:])
    value, slope = function(root)
    polished = root - quotient(value, slope)
    # where the function jumps the bracket closes on the jump, and a Newton step leads far away from it; where an end of
    # the bracket all but is the root, the step may lead past it
    inside = (polished - low) * (polished - high) <= 0
    near = jnp.abs(polished - root) <= 4 * SETTLED * jnp.finfo(root.dtype).eps * jnp.abs(root)
    end = jnp.where(jnp.abs(polished - low) < jnp.abs(polished - high), low, high)
    return jnp.where(inside | near, polished, end)


def widened(rise: Callable[[Numbers], tuple[Numbers, Numbers]], width: Numbers) -> Numbers:
    """``width`` doubled until the function is not negative there."""

    def step(state: tuple[Array, Array, Numbers]) -> tuple[Array, Array, Numbers]:
        i, _, width = state
        low = rise(width)[0] < 0
        return i + 1, jnp.any(low), jnp.where(low, 2 * width, width)

    start = (jnp.asarray(0), jnp.asarray(True), jax.lax.stop_gradient(width))
    return jax.lax.while_loop(lambda state: (state[0] < WIDENINGS) & state[1], step, start)[2]


def quotient(numerator: Numbers, denominator: Numbers) -> Numbers:
    """The ratio, 0 where the denominator vanishes."""
    return jnp.where(denominator == 0, 0.0, numerator / jnp.where(denominator == 0, 1.0, denominator))
