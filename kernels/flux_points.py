"""Statistics of flux points: asymmetric errors with upper limits, and likelihood profiles.

All are -2 ln L up to a constant, per point. The fluxes of one point (prediction, value, errors, limit) are in one unit,
for which that of its reference flux is a good choice.
"""

from types import ModuleType

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Bool, Float

from .arrays import AnyArray

LEAST_RISE = 1e-3
"""How far below zero a profile may fall beyond the end of its scan."""


def log_erfc(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """ln erfc(x), from erfc(x) = 2 Phi(-sqrt(2) x): no underflow, relative accuracy 1e-10 for every x."""
    return jnp.log(2.0) + log_ndtr(-np.sqrt(2.0) * x)


def upper_limit_stat(limit: Float[Array, "..."], predicted: Float[Array, "..."]) -> Float[Array, "..."]:
    """2 ln [erfc((u - f) / u) / erfc(1)] for a point of which only the upper limit u > 0 is known.

    It is 0 where nothing is predicted, 3.70 at f = u, and 5.09 far above. The limit serves as the width, too. Source:
    Mohanty et al. 2013, ApJ 773, 168, equation C7, as gammapy 2.1 has it. A negative prediction lowers it without end.
    """
    return 2 * (log_erfc(1 - predicted / limit) - log_erfc(jnp.ones_like(limit)))


def distrib(
    values: Float[Array, "..."],
    predicted: Float[Array, "..."],
    errors_low: Float[Array, "..."],
    errors_high: Float[Array, "..."],
    limits: Float[Array, "..."],
    is_ul: Bool[Array, "..."],
) -> Float[Array, "..."]:
    """((f - d) / sigma)^2 with the error of the side on which f lies (``errors_high`` for f >= d), and
    `upper_limit_stat` where ``is_ul``.

    Errors and limits must be positive where they are used; elsewhere they may be anything finite and not zero.
    """
    sigma = jnp.where(predicted >= values, errors_high, errors_low)
    point = ((jnp.where(is_ul, values, predicted) - values) / sigma) ** 2
    return jnp.where(is_ul, upper_limit_stat(limits, jnp.where(is_ul, predicted, 0.0)), point)


def distrib_terms(
    values: Float[Array, "..."],
    predicted: Float[Array, "..."],
    errors_low: Float[Array, "..."],
    errors_high: Float[Array, "..."],
    limits: Float[Array, "..."],
    is_ul: Bool[Array, "..."],
) -> tuple[Array, Array, Array]:
    """`distrib`, its slope in f and a curvature that is never negative: what scoring needs.

    2 / sigma^2 for points. The statistic of a limit bends downwards everywhere; its slope squared over two, the
    expected curvature of a likelihood as one datum tells it, stands for the curvature.
    """
    sigma = jnp.where(predicted >= values, errors_high, errors_low)
    x = 1 - predicted / limits
    rise = 4 / np.sqrt(np.pi) * jnp.exp(-(x**2) - log_erfc(x)) / limits
    slope = jnp.where(is_ul, rise, 2 * (predicted - values) / sigma**2)
    stat = distrib(values, predicted, errors_low, errors_high, limits, is_ul)
    return stat, slope, jnp.where(is_ul, slope**2 / 2, 2 / sigma**2)


def profile_pieces(norm: AnyArray, stat: AnyArray, xp: ModuleType = jnp) -> tuple[AnyArray, AnyArray]:
    """The quadratic spline through a scan of the statistic: where its pieces join, and their polynomials.

    ``norm`` and ``stat`` (..., k), k >= 3, ``norm`` increasing. Returns ends of the pieces (..., k - 1) and value,
    slope and curvature at the lower end of each, (..., k - 2, 3). The pieces join, with equal slopes, half way between
    nodes, except next to the ends: the choice of `scipy.interpolate.make_interp_spline`. ``xp`` is `jax.numpy` or
    `numpy`.
    """
    k = norm.shape[-1]
    middle = (norm[..., 1:] + norm[..., :-1]) / 2
    ends = xp.concatenate([norm[..., :1], middle[..., 1:-1], norm[..., -1:]], axis=-1)
    low, high = ends[..., :-1], ends[..., 1:]
    width = high - low
    # knots before and after each piece; those at the two ends are threefold
    before = xp.concatenate([low[..., :1], low[..., :-1]], axis=-1)
    after = xp.concatenate([high[..., 1:], high[..., -1:]], axis=-1)
    first, last = 1 / ((high - before) * width), 1 / ((after - low) * width)
    piece = xp.sum(norm[..., :, None] >= ends[..., None, 1:-1], axis=-1)
    at = xp.take_along_axis
    fall = at(first, piece, -1) * (at(high, piece, -1) - norm) ** 2
    climb = at(last, piece, -1) * (norm - at(low, piece, -1)) ** 2
    column = xp.arange(k) - piece[..., None]
    matrix = (column == 0) * fall[..., None] + (column == 2) * climb[..., None]
    matrix = matrix + (column == 1) * (1 - fall - climb)[..., None]
    height = xp.linalg.solve(matrix, stat[..., None])[..., 0]
    down = (height[..., :-2] - height[..., 1:-1]) * first
    up = (height[..., 2:] - height[..., 1:-1]) * last
    value = height[..., 1:-1] + down * width**2
    return ends, xp.stack([value, -2 * down * width, 2 * (down + up)], axis=-1)


def profile_terms(
    predicted: Float[Array, "..."], ends: Float[Array, "... m"], pieces: Float[Array, "... l 3"]
) -> tuple[Array, Array, Array]:
    """`profile`, its slope and a curvature that is never negative: its own, or its slope squared over two."""
    low, high = ends[..., 0], ends[..., -1]
    inside = jnp.where(predicted < low, low, jnp.where(predicted > high, high, predicted))
    piece = jnp.sum(inside[..., None] >= ends[..., 1:-1], axis=-1)
    chosen = jnp.take_along_axis(pieces, piece[..., None, None], axis=-2)[..., 0, :]
    step = inside - jnp.take_along_axis(ends, piece[..., None], axis=-1)[..., 0]
    curvature = chosen[..., 2]
    value = chosen[..., 0] + step * (chosen[..., 1] + step * curvature / 2)
    slope = chosen[..., 1] + step * curvature
    # beyond the scan: a parabola of the same value and slope that neither turns over nor falls below zero
    beyond = predicted - inside
    downhill = slope * beyond < 0
    enough = jnp.where(downhill, slope**2 / (2 * jnp.maximum(value, LEAST_RISE)), 0.0)
    outside = jnp.maximum(curvature, enough)
    stat = value + beyond * (slope + beyond * outside / 2)
    slope = slope + beyond * outside
    curvature = jnp.where(beyond == 0, curvature, outside)
    return stat, slope, jnp.where(curvature > 0, curvature, slope**2 / 2)


def profile(
    predicted: Float[Array, "..."], ends: Float[Array, "... m"], pieces: Float[Array, "... l 3"]
) -> Float[Array, "..."]:
    """The statistic at a flux, interpolated in a scan of it; ``ends`` and ``pieces`` from `profile_pieces`.

    Within the scan value and slope are continuous. Beyond its ends the statistic goes on as a parabola with the value
    and slope it has there, and with the curvature of the last piece, or more where it needs more to stay above zero;
    it never turns over.
    """
    return profile_terms(predicted, ends, pieces)[0]
