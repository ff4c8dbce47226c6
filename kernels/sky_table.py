"""Interpolation in images and cubes of the sky, linear in pixels and in ln value."""

from typing import Any

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
    return low % size, (low + 1) % size, at - low


def inside(at: Array, size: int) -> Array:
    """Whether a pixel coordinate is in the range of pixels 0 to size - 1; False for NaN."""
    return (at >= -0.5) & (at < size - 0.5)


def image_log(values: Float[Array, "*planes ny nx"], x: Array, y: Array, period: bool) -> Array:
    """ln value of each plane at pixel coordinates, (*planes, *shape of x); columns repeat after the last if ``period``."""
    ny, nx = values.shape[-2:]
    x0, x1, fx = _cell(x, nx, period)
    y0, y1, fy = _cell(y, ny, False)
    rows = [(1 - fx) * floor_log(values[..., row, x0]) + fx * floor_log(values[..., row, x1]) for row in (y0, y1)]
    return (1 - fy) * rows[0] + fy * rows[1]


def interpolate_image(values: Float[Array, "ny nx"], x: Array, y: Array, period: bool) -> Array:
    """Value at pixel coordinates: bilinear in ln value, so that entries of 0 give 0; 0 beyond the pixels."""
    ny, nx = values.shape
    shown = inside(x, nx) & inside(y, ny)
    x, y = jnp.where(shown, x, 0.0), jnp.where(shown, y, 0.0)
    return jnp.where(shown, unfloor_exp(image_log(values, x, y, period)), 0.0)


def interpolate_cube(
    values: Float[Array, "n_planes ny nx"], plane: Float[Array, " n"], x: Any, y: Any, period: bool
) -> Array:
    """`interpolate_image` at fractional planes, linear in ln value between them too; (n, *shape of x)."""
    n_planes, ny, nx = values.shape
    shown = inside(x, nx) & inside(y, ny)
    x, y = jnp.where(shown, x, 0.0), jnp.where(shown, y, 0.0)
    low, high, share = _cell(plane, n_planes, False)
    share = share.reshape(-1, *[1] * x.ndim)
    logs = (1 - share) * image_log(values[low], x, y, period) + share * image_log(values[high], x, y, period)
    shown = shown & inside(plane, n_planes).reshape(share.shape)
    return jnp.where(shown, unfloor_exp(logs), 0.0)
