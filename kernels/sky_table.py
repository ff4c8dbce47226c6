"""Interpolation in images and cubes of the sky, linear in pixels and in ln value."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .tables import floor_log, unfloor_exp


def _cell(at: Array, size: int, period: bool) -> tuple[Array, Array, Array]:
    """Lower and upper index of the cell that ``at`` lies in, and the way through it; end cells reach outwards."""
    if size == 1:
        zero = jnp.zeros(at.shape, int)
        return zero, zero, jnp.zeros_like(at)
    low = jnp.floor(at).astype(int)
    if not period:
        low = jnp.clip(low, 0, size - 2)
    return low % size, (low + 1) % size, at - low.astype(at.dtype)


def inside(at: Array, size: int) -> Array:
    """Whether a pixel coordinate is in the range of pixels 0 to size - 1; False for NaN."""
    return (at >= -0.5) & (at < size - 0.5)


def image_log(values: Float[Array, "*planes ny nx"], x: Array, y: Array, period: bool) -> tuple[Array, Array]:
    """ln value of each plane at pixel coordinates, (*planes, *shape of x), and whether an entry of 0 is next to it.

    Beyond the outer centres the straight line goes on, unless one of its entries is 0: a line through ln 0 would reach
    absurd numbers at once. Columns repeat after the last if ``period``.
    """
    ny, nx = values.shape[-2:]
    x0, x1, fx = _cell(x, nx, period)
    y0, y1, fy = _cell(y, ny, False)
    corners = [values[..., row, column] for row in (y0, y1) for column in (x0, x1)]
    tiny = jnp.finfo(values.dtype).tiny
    empty = (corners[0] <= tiny) | (corners[1] <= tiny) | (corners[2] <= tiny) | (corners[3] <= tiny)
    fx, fy = jnp.where(empty, jnp.clip(fx, 0, 1), fx), jnp.where(empty, jnp.clip(fy, 0, 1), fy)
    logs = [floor_log(corner) for corner in corners]
    return (1 - fy) * ((1 - fx) * logs[0] + fx * logs[1]) + fy * ((1 - fx) * logs[2] + fx * logs[3]), empty


def interpolate_image(values: Float[Array, "ny nx"], x: Array, y: Array, period: bool) -> Array:
    """Value at pixel coordinates: bilinear in ln value, so that entries of 0 give 0; 0 beyond the pixels."""
    ny, nx = values.shape
    shown = inside(x, nx) & inside(y, ny)
    x, y = jnp.where(shown, x, 0.0), jnp.where(shown, y, 0.0)
    return jnp.where(shown, unfloor_exp(image_log(values, x, y, period)[0]), 0.0)


def interpolate_cube(
    values: Float[Array, "n_planes ny nx"], plane: Float[Array, " n"], x: Array, y: Array, period: bool
) -> Array:
    """`interpolate_image` at fractional planes, linear in ln value between them too; (n, *shape of x)."""
    n_planes, ny, nx = values.shape
    shown = inside(x, nx) & inside(y, ny)
    x, y = jnp.where(shown, x, 0.0), jnp.where(shown, y, 0.0)
    low, high, share = _cell(plane, n_planes, False)
    share = share.reshape(-1, *[1] * x.ndim)
    (first, first_empty), (last, last_empty) = (image_log(values[i], x, y, period) for i in (low, high))
    share = jnp.where(first_empty | last_empty, jnp.clip(share, 0, 1), share)
    shown = shown & inside(plane, n_planes).reshape(-1, *[1] * x.ndim)
    return jnp.where(shown, unfloor_exp((1 - share) * first + share * last), 0.0)
