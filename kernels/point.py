"""Images of points and Gaussians on pixels, at any place between them.

A point is moved by the phases of its Fourier transform, which is that of the PSF times that of a pixel; times that of a
Gaussian it becomes one. The image is then exact, and smooth in the position and the widths, for what the
frequencies resolve. Frequencies above those that pixels can show are folded back onto them, as sampling at pixels does.

Transforms have shape (e, s, ny, s, nx // 2 + 1): ``s`` bands of frequencies in each dimension, for periods of (ny, nx)
pixels.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

Orders = tuple[tuple[int, int], ...]
Spread = tuple[()] | tuple[Any, Any, Any]


def frequencies(shape: tuple[int, int], s: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies fy (s, ny) and fx (s, nx // 2 + 1) in cycles per pixel, from -s / 2 to s / 2."""
    ny, nx = shape
    return _bands(ny, s), _bands(nx, s)[:, : nx // 2 + 1]


def _bands(n: int, s: int) -> np.ndarray:
    f = np.abs(np.fft.fftfreq(n)) * np.where(np.arange(n) > n // 2, -1, 1) + (np.arange(s) - s // 2)[:, None]
    return np.where(f < -s / 2, f + s, np.where(f > s / 2, f - s, f))


def pixel_window(shape: tuple[int, int], s: int) -> np.ndarray:
    """Transform of a pixel, (s, ny, s, nx // 2 + 1)."""
    fy, fx = frequencies(shape, s)
    return np.sinc(fy)[:, :, None, None] * np.sinc(fx)


def kernel_transform(kernel: Float[Array, "e n n"], shape: tuple[int, int]) -> Array:
    """Transform (e, 1, ny, 1, nx // 2 + 1) of kernels that are integrated over pixels, with offset 0 in the middle.

    Between the pixels they are continued by the sines and cosines that go through their values.
    """
    size = kernel.shape[-1]
    fy, fx = frequencies(shape, 1)
    offset = np.arange(size) - size // 2
    phases = [np.exp(-2j * np.pi * f[0][:, None] * offset) for f in (fy, fx)]
    return jnp.einsum("ya,eab,xb->eyx", phases[0], kernel, phases[1])[:, None, :, None, :]


def point_image(
    transform: Array,
    x: Any,
    y: Any,
    shape: tuple[int, int],
    period: tuple[int, int],
    spread: Spread = (),
    margin: tuple[int, int] = (0, 0),
) -> Array:
    """Image (e, ny, nx) of a point, or of a Gaussian, at (x, y), pixels from the first of the window of ``shape``.

    ``spread``: the covariance (xx, xy, yy) of the Gaussian in pixels squared, or () for a point. The image repeats with
    ``period``, which must hold the window and ``margin`` (y, x) on either side of it. It holds wherever the kernel is
    inside the two; sources fade out as they leave them.
    """
    image = _images(transform, x, y, spread, period, ((0, 0),))[0]
    faded = _inside(x + margin[1], shape[1] + 2 * margin[1]) * _inside(y + margin[0], shape[0] + 2 * margin[0])
    return image[:, : shape[0], : shape[1]] * faded


def _inside(at: Any, n: int) -> Array:
    """1 for places in a window of n pixels, falling smoothly to 0 over its outermost sixteenth."""
    half, fade = (n - 1) / 2, max(n / 16, 1.0)
    t = jnp.clip((half - jnp.abs(at - half)) / fade, 0.0, 1.0)
    return t * t * t * (10 - 15 * t + 6 * t * t)


@partial(jax.custom_jvp, nondiff_argnums=(4, 5))
@partial(jax.jit, static_argnums=(4, 5))
def _images(transform: Array, x: Any, y: Any, spread: Spread, period: tuple[int, int], orders: Orders) -> Array:
    """Derivatives of the given orders in (x, y) of the image of a source, (order, e, *period)."""
    return jnp.fft.irfft2(_spectra(transform, x, y, spread, period, orders), s=period)


def _spectra(transform: Array, x: Any, y: Any, spread: Spread, period: tuple[int, int], orders: Orders) -> Array:
    """Transforms of the same, (order, e, ny, nx // 2 + 1)."""
    s = transform.shape[1]
    # strong types of NumPy would make all of it double precision
    fy, fx = (jnp.asarray(f, transform.real.dtype) for f in frequencies(period, s))
    transform = _widened(transform, spread, period)
    powers = sorted({j for _, j in orders})
    along_y = jnp.stack([jnp.exp(-2j * np.pi * fy * y) * (-2j * np.pi * fy) ** j for j in powers])
    along_x = jnp.stack([jnp.exp(-2j * np.pi * fx * x) * (-2j * np.pi * fx) ** i for i, _ in orders])
    terms = [_times(transform[:, b], along_y[:, None, b, :, None, None]) for b in range(s)]
    # fused with what follows, XLA would not compute these sums along their rows
    real, imaginary = jax.lax.optimization_barrier((sum(t[0] for t in terms), sum(t[1] for t in terms)))
    if len(powers) < len(orders):
        rows = np.array([powers.index(j) for _, j in orders])
        real, imaginary = real[rows], imaginary[rows]
    # sum(...) over the bands and not jnp.sum: loops along rows are several times faster than XLA's reductions across
    parts = [
        (real[..., b, :], imaginary[..., b, :], along_x[:, None, None, b].real, along_x[:, None, None, b].imag)
        for b in range(s)
    ]
    return jax.lax.complex(sum(p * c - q * d for p, q, c, d in parts), sum(p * d + q * c for p, q, c, d in parts))


def _widened(transform: Array, spread: Spread, period: tuple[int, int]) -> Array:
    """The transform of a Gaussian instead of a point."""
    if not spread:
        return transform
    fy, fx = (jnp.asarray(f, transform.real.dtype) for f in frequencies(period, transform.shape[1]))
    fy = fy[:, :, None, None]
    xx, xy, yy = spread
    return transform * jnp.exp(-2 * np.pi**2 * (xx * fx**2 + 2 * xy * (fx * fy) + yy * fy**2))


def _times(transform: Array, phase: Array) -> tuple[Array, Array]:
    """Real and imaginary part of the product; the transforms of symmetric kernels are real."""
    if not jnp.iscomplexobj(transform):
        return transform * phase.real, transform * phase.imag
    product = transform * phase
    return product.real, product.imag


MOVES = ((1.0, (1, 0)), (1.0, (0, 1)), (0.5, (2, 0)), (1.0, (1, 1)), (0.5, (0, 2)))
"""Slopes of images in x, y, xx, xy, yy as multiples of their derivatives: a Gaussian spreads as heat does."""


@partial(_images.defjvp, symbolic_zeros=True)
def _slopes(period: tuple[int, int], orders: Orders, primals: Any, tangents: Any) -> tuple[Array, Array]:
    of_transform, *moved = tangents
    value, slope = _moving(lambda needed: _images(*primals, period, needed), moved, orders)
    if not isinstance(of_transform, SymbolicZero):
        slope = slope + _images(of_transform, *primals[1:], period, orders)
    return value, slope


def _moving(function: Any, tangents: Any, orders: Orders) -> tuple[Array, Array]:
    """Value and slope of ``function(orders)``, whose rows are derivatives in (x, y); tangents of x, y and spread.

    Slopes of images are images of slopes: written out, all of them share their sums over frequencies.
    """
    of_x, of_y, of_spread = tangents
    along = (of_x, of_y, *of_spread)
    moves = [(t, *move) for t, move in zip(along, MOVES, strict=False) if not isinstance(t, SymbolicZero)]
    needed = sorted({*orders, *((i + a, j + b) for i, j in orders for _, _, (a, b) in moves)})
    rows = function(tuple(needed))
    value = rows[np.array([needed.index(o) for o in orders])]
    slope = jnp.zeros_like(value)
    for tangent, share, (a, b) in moves:
        slope = slope + tangent * share * rows[np.array([needed.index((i + a, j + b)) for i, j in orders])]
    return value, slope


def point_overlap(
    transform: Array,
    weights: Float[Array, "e ny nx"],
    x: Any,
    y: Any,
    period: tuple[int, int],
    spread: Spread = (),
    margin: tuple[int, int] = (0, 0),
) -> Float[Array, " e"]:
    """Sum over pixels of ``weights`` times the `point_image`, by its transform: without any image.

    Derivatives of any order in the position and the spread cost sums over frequencies only.
    """
    ny, nx = weights.shape[-2:]
    rows, columns = period
    padded = jnp.pad(weights, ((0, 0), (0, rows - ny), (0, columns - nx)))
    # of the columns of frequencies that are not there, all but these are mirror images
    once = (np.arange(columns // 2 + 1) % (columns / 2)) == 0
    there = jnp.conj(jnp.fft.rfft2(padded)) * (np.where(once, 1.0, 2.0) / (rows * columns))
    faded = _inside(x + margin[1], nx + 2 * margin[1]) * _inside(y + margin[0], ny + 2 * margin[0])
    return _overlaps(transform, there, x, y, spread, period, ((0, 0),))[0] * faded


@partial(jax.custom_jvp, nondiff_argnums=(5, 6))
@partial(jax.jit, static_argnums=(5, 6))
def _overlaps(
    transform: Array, there: Array, x: Any, y: Any, spread: Spread, period: tuple[int, int], orders: Orders
) -> Array:
    """Derivatives of the given orders in (x, y) of overlaps, (order, e)."""
    spectra = _spectra(transform, x, y, spread, period, orders)
    return jnp.sum(there.real * spectra.real - there.imag * spectra.imag, axis=(-2, -1))


@partial(_overlaps.defjvp, symbolic_zeros=True)
def _overlap_slopes(period: tuple[int, int], orders: Orders, primals: Any, tangents: Any) -> tuple[Array, Array]:
    of_transform, of_there, *moved = tangents
    value, slope = _moving(lambda needed: _overlaps(*primals, period, needed), moved, orders)
    if not isinstance(of_transform, SymbolicZero):
        slope = slope + _overlaps(of_transform, *primals[1:], period, orders)
    if not isinstance(of_there, SymbolicZero):
        slope = slope + _overlaps(primals[0], of_there, *primals[2:], period, orders)
    return value, slope


def bilinear_point_image(
    kernel: Float[Array, "e n n"], x: Any, y: Any, shape: tuple[int, int]
) -> Float[Array, "e ny nx"]:
    """Image of a point shared out over the four nearest pixels, and then convolved with a pixel kernel."""
    ny, nx = shape
    half = kernel.shape[-1] // 2
    nodes = jnp.arange(-half, half + 1)
    rows, columns = hat(jnp.arange(ny)[:, None] - y - nodes), hat(jnp.arange(nx)[:, None] - x - nodes)
    return jnp.einsum("yl,elm,xm->eyx", rows, kernel, columns, optimize=[(0, 1), (0, 1)])


def hat(t: Array) -> Array:
    """Weights of linear interpolation at distances ``t`` in steps."""
    return jnp.maximum(0.0, 1 - jnp.abs(t))
