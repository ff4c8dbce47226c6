"""Images of points on pixels, at any place between them.

A point is moved by the phases of its Fourier transform, which is that of the PSF times that of a pixel. The image is
then exact, and smooth in the position, for what the frequencies resolve. Frequencies above those that pixels can show
are folded back onto them, as sampling at pixels does.

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


def point_image(transform: Array, x: Any, y: Any, shape: tuple[int, int], period: tuple[int, int]) -> Array:
    """Image (e, ny, nx) of a point at (x, y), pixels from the first of the window of ``shape``.

    The image repeats with ``period``, which must hold the window. It holds wherever the kernel is inside the window;
    points fade out as they leave it.
    """
    image = _images(transform, x, y, period, ((0, 0),))[0]
    return image[:, : shape[0], : shape[1]] * (_inside(x, shape[1]) * _inside(y, shape[0]))


def _inside(at: Any, n: int) -> Array:
    """1 for places in a window of n pixels, falling smoothly to 0 over its outermost sixteenth."""
    half, fade = (n - 1) / 2, max(n / 16, 1.0)
    t = jnp.clip((half - jnp.abs(at - half)) / fade, 0.0, 1.0)
    return t * t * t * (10 - 15 * t + 6 * t * t)


@partial(jax.custom_jvp, nondiff_argnums=(3, 4))
@partial(jax.jit, static_argnums=(3, 4))
def _images(transform: Array, x: Any, y: Any, period: tuple[int, int], orders: Orders) -> Array:
    """Derivatives of the given orders in (x, y) of the image of a point, (order, e, *period)."""
    s = transform.shape[1]
    fy, fx = frequencies(period, s)
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
    spectrum = jax.lax.complex(sum(p * c - q * d for p, q, c, d in parts), sum(p * d + q * c for p, q, c, d in parts))
    return jnp.fft.irfft2(spectrum, s=period)


def _times(transform: Array, phase: Array) -> tuple[Array, Array]:
    """Real and imaginary part of the product; the transforms of symmetric kernels are real."""
    if not jnp.iscomplexobj(transform):
        return transform * phase.real, transform * phase.imag
    product = transform * phase
    return product.real, product.imag


@partial(_images.defjvp, symbolic_zeros=True)
def _slopes(period: tuple[int, int], orders: Orders, primals: Any, tangents: Any) -> tuple[Array, Array]:
    # slopes of images are images of slopes: written out, all of them share their sums over frequencies
    of_transform, of_x, of_y = tangents
    moves = [(t, step) for t, step in ((of_x, (1, 0)), (of_y, (0, 1))) if not isinstance(t, SymbolicZero)]
    needed = sorted({*orders, *((i + a, j + b) for i, j in orders for _, (a, b) in moves)})
    images = _images(*primals, period, tuple(needed))
    value = images[np.array([needed.index(o) for o in orders])]
    slope = jnp.zeros_like(value)
    for tangent, (a, b) in moves:
        slope = slope + tangent * images[np.array([needed.index((i + a, j + b)) for i, j in orders])]
    if not isinstance(of_transform, SymbolicZero):
        slope = slope + _images(of_transform, *primals[1:], period, orders)
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
