"""Images of points and Gaussians on pixels, at any place between them.

A point is moved by the phases of its Fourier transform, which is that of the PSF times that of a pixel; times that of a
Gaussian it becomes one. The image is then exact, and smooth in the position and the widths, for what the
frequencies resolve. Frequencies above those that pixels can show are folded back onto them, as sampling at pixels does.

Transforms have shape (e, s, ny, s, nx // 2 + 1): ``s`` bands of frequencies in each dimension, for periods of (ny, nx)
pixels.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from .arrays import Real
from .programs import programs

Orders = tuple[tuple[int, int], ...]

Spread = tuple[()] | tuple[Real, Real, Real]

Result = TypeVar("Result")


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
    x: Real,
    y: Real,
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
    image = _image(transform, x, y, _inside(x, y, shape, margin), spread, period)
    return image[:, : shape[0], : shape[1]]


@programs(5)
def _image(transform: Array, x: Real, y: Real, share: Real, spread: Spread, period: tuple[int, int]) -> Array:
    """``share`` times the image, (e, *period)."""
    if transform.shape[1] == 1:
        # its slopes in any of these numbers are one product each
        return jnp.fft.irfft2(_moved(transform, x, y, share, spread, period), s=period)
    (spectrum,) = _spectra(transform, x, y, spread, period, ((0, 0),))
    return jnp.fft.irfft2(spectrum, s=period) * share


def _moved(transform: Array, x: Real, y: Real, share: Real, spread: Spread, period: tuple[int, int]) -> Array:
    """``share`` times the transform (e, ny, nx // 2 + 1) of the image of a source, where there is one band.

    What moves the source is one product with numbers that are the same for all energies.
    """
    fy, fx = (f.astype(transform.real.dtype) for f in frequencies(period, 1))
    (c, d), (p, q) = share * _phases(fy, y, (0,))[0][..., None, None], _phases(fx, x, (0,))[0]
    factors = jnp.stack([c * p - d * q, c * q + d * p])
    if spread:
        factors = factors * _spreading(fy, fx, spread)
    return jax.lax.complex(*_times(transform, *_kept(factors)))[:, 0, :, 0]


def _inside(x: Real, y: Real, shape: tuple[int, int], margin: tuple[int, int]) -> Array:
    """1 for places in a window with a margin, falling smoothly to 0 over its outermost sixteenths."""
    at = jnp.stack([y, x])
    half = (np.array(shape, at.dtype) - 1) / 2
    wide = half + np.array(margin, at.dtype)
    fade = np.maximum((2 * wide + 1) / 16, 1)
    t = jnp.clip((wide - jnp.abs(at - half)) / fade, 0.0, 1.0)
    smooth = t * t * t * (10 - 15 * t + 6 * t * t)
    return smooth[0] * smooth[1]


@partial(jax.custom_jvp, nondiff_argnums=(4, 5))
def _spectra(
    transform: Array, x: Real, y: Real, spread: Spread, period: tuple[int, int], orders: Orders
) -> tuple[Array, ...]:
    """Transforms of the derivatives in (x, y) of the image of a source, one (e, ny, nx // 2 + 1) for each order."""
    s = transform.shape[1]
    powers_x, powers_y = (sorted(set(powers)) for powers in zip(*orders, strict=True))

    def of_bands(bands: slice) -> tuple[Array, ...]:
        # as they are, double precision would spread from here
        fy, fx = (f[bands].astype(transform.real.dtype) for f in frequencies(period, s))
        along_y = dict(zip(powers_y, _phases(fy, y, powers_y), strict=True))
        along_x = dict(zip(powers_x, _phases(fx, x, powers_x), strict=True))
        wide = _kept(_spreading(fy, fx, spread)) if spread else 1.0

        def of_energy(of_point: Array) -> tuple[Array, ...]:
            shown = (of_point * wide)[None]
            rows: dict[int, tuple[Array, Array]] = {}
            for j, phases in along_y.items():
                real, imaginary = _times(shown, *phases[:, :, :, None, None])
                rows[j] = _over_bands(real, 1), _over_bands(imaginary, 1)
            spectra = []
            for i, j in orders:
                (p, q), (c, d) = rows[j], along_x[i][:, None, None]
                spectra.append(jax.lax.complex(_over_bands(p * c - q * d, 2), _over_bands(p * d + q * c, 2))[0])
            return tuple(spectra)

        found: tuple[Array, ...] = _by_energy(of_energy, transform[:, bands, :, bands])
        return found

    return _in_reach(of_bands, s, spread)


NOTHING = 36.0
"""Exponent of a Gaussian beyond which it is less than the rounding of its peak in double precision."""


def _in_reach(function: Callable[[slice], Result], s: int, spread: Spread) -> Result:
    """``function`` of the bands of frequencies, of ``s``, at which a Gaussian source has anything left.

    That of a source three pixels wide is the one that pixels show, however fine a point is resolved. There are two
    choices only, this band or all, as each is compiled.
    """
    if s == 1 or not spread:
        return function(slice(None))
    xx, xy, yy = (jax.lax.stop_gradient(jnp.asarray(c)) for c in spread)
    narrowest = _least((xx + yy) / 2 - jnp.hypot((xx - yy) / 2, xy))
    one, whole = partial(function, slice(s // 2, s // 2 + 1)), partial(function, slice(None))
    found: Result = jax.lax.cond(2 * (np.pi / 2) ** 2 * narrowest > NOTHING, one, whole)
    return found


@jax.custom_batching.custom_vmap
def _least(values: Array) -> Array:
    """The number itself, under vmap the least of all: where each has its own, all sides of a branch are taken."""
    return values


@_least.def_vmap
def _least_of_all(_: int, __: Sequence[bool], values: Array) -> tuple[Array, bool]:
    return _least(jnp.min(values, axis=0)), False


AT_A_TIME = 2**17
"""Numbers of a transform (1 MB in double precision) that stay in the cache of a processor while an image is made."""


def _by_energy(function: Callable[..., Any], *arrays: Array) -> Any:
    """``function`` of the rows of some arrays, of as many at a time as stay in the cache of a processor."""
    n, size = arrays[0].shape[0], arrays[0][0].size
    whole = jax.vmap(function)
    if jax.default_backend() != "cpu" or n * size <= AT_A_TIME:
        return whole(*arrays)
    rows = max((k for k in range(1, n) if n % k == 0 and k * size <= AT_A_TIME), default=1)
    parts = [x.reshape(n // rows, rows, *x.shape[1:]) for x in arrays]
    found = jax.lax.map(lambda part: whole(*part), parts)
    return jax.tree.map(lambda x: x.reshape(n, *x.shape[2:]), found)


def _over_bands(values: Array, axis: int) -> Array:
    """Sum over an axis of bands; loops along rows are several times faster than XLA's reductions across them."""
    return sum(
        (jax.lax.index_in_dim(values, b, axis, keepdims=False) for b in range(1, values.shape[axis])),
        start=jax.lax.index_in_dim(values, 0, axis, keepdims=False),
    )


def _phases(frequency: np.ndarray, at: Real, powers: Sequence[int]) -> Array:
    """Real and imaginary part of exp(-2 pi i f x) (-2 pi i f)^n for each power n, (n, 2, *shape)."""
    omega = 2 * np.pi * frequency
    cosine, sine = jnp.cos(omega * at), jnp.sin(omega * at)
    # each factor -i turns the real part into the imaginary one
    turned = jnp.stack([cosine, -sine, -cosine, sine])[np.array([(n % 4, (n + 1) % 4) for n in powers])]
    return _kept(turned * np.stack([omega**n for n in powers])[:, None])


def _kept(values: Array) -> Array:
    """The values themselves, computed once: fused with what uses them, XLA computes them again for every energy.

    It does not fuse products of matrices, and those with the identity are exact.
    """
    rows = values.reshape(-1, values.shape[-1])
    eye = jnp.eye(values.shape[-1], dtype=values.dtype)
    return jnp.dot(rows, eye, precision=jax.lax.Precision.HIGHEST).reshape(values.shape)


def _spreading(fy: np.ndarray, fx: np.ndarray, spread: tuple[Real, Real, Real]) -> Array:
    """Transform of a Gaussian, (s, ny, s, nx // 2 + 1)."""
    fy, fx = fy[:, :, None, None], fx[None, None]
    xx, xy, yy = spread
    return jnp.exp(-2 * np.pi**2 * (xx * fx**2 + 2 * xy * (fx * fy) + yy * fy**2))


def _times(transform: Array, real: Array, imaginary: Array) -> tuple[Array, Array]:
    """Real and imaginary part of the product; the transforms of symmetric kernels are real."""
    real, imaginary = real[None], imaginary[None]
    if not jnp.iscomplexobj(transform):
        return transform * real, transform * imaginary
    a, b = transform.real, transform.imag
    return a * real - b * imaginary, a * imaginary + b * real


MOVES = ((1.0, (1, 0)), (1.0, (0, 1)), (0.5, (2, 0)), (1.0, (1, 1)), (0.5, (0, 2)))
"""Slopes of images in x, y, xx, xy, yy as multiples of their derivatives: a Gaussian spreads as heat does."""


@partial(_spectra.defjvp, symbolic_zeros=True)
def _spectra_slopes(
    period: tuple[int, int], orders: Orders, primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    of_transform, *moved = tangents
    value, slope = _moving(lambda needed: _spectra(*primals, period, needed), moved, orders)
    if not isinstance(of_transform, SymbolicZero):
        more = _spectra(of_transform, *primals[1:], period, orders)
        slope = tuple(a + b for a, b in zip(slope, more, strict=True))
    return value, slope


def _moving(
    function: Callable[[Orders], tuple[Array, ...]], tangents: Sequence[Any], orders: Orders
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Values and slopes of ``function(orders)``, which has one result for each order of derivatives in (x, y).

    ``tangents``: of x, y and the spread. Slopes are results of higher orders: all of them share their sums over
    frequencies.
    """
    of_x, of_y, of_spread = tangents
    along = (of_x, of_y, *of_spread)
    moves = [(t, *move) for t, move in zip(along, MOVES, strict=False) if not isinstance(t, SymbolicZero)]
    needed = sorted({*orders, *((i + a, j + b) for i, j in orders for _, _, (a, b) in moves)})
    found = dict(zip(needed, function(tuple(needed)), strict=True))
    slopes = []
    for i, j in orders:
        terms = [_scaled(found[i + a, j + b], tangent * share) for tangent, share, (a, b) in moves]
        slopes.append(sum(terms[1:], terms[0]) if terms else jnp.zeros_like(found[i, j]))
    return tuple(found[order] for order in orders), tuple(slopes)


def _scaled(values: Array, factor: Array) -> Array:
    """``values``, which may be complex, times a real number."""
    return values * jnp.asarray(factor).astype(values.dtype)


def point_overlap(
    transform: Array,
    weights: Float[Array, "e ny nx"],
    x: Real,
    y: Real,
    period: tuple[int, int],
    spread: Spread = (),
    margin: tuple[int, int] = (0, 0),
) -> Float[Array, " e"]:
    """Sum over pixels of ``weights`` times the `point_image`, by its transform: without any image.

    It is a polynomial around the position and the spread that has the value and the first and second derivatives in
    these: what a Hessian needs, and cheap to differentiate. Higher ones are not those of the sum, and those in anything
    else are those of its value.
    """
    ny, nx = weights.shape[-2:]
    at = (x, y, *spread)
    fixed_x, fixed_y, *fixed_spread = jax.lax.stop_gradient(at)
    moves = [move for _, move in MOVES[: len(at)]]
    pairs = [[(a + c, b + d) for a, b in moves] for c, d in moves]
    orders = sorted({(0, 0), *moves, *(order for row in pairs for order in row)})
    found = jnp.stack(_overlaps(transform, weights, fixed_x, fixed_y, tuple(fixed_spread), period, tuple(orders)))
    place = {order: n for n, order in enumerate(orders)}
    slopes = found[np.array([place[m] for m in moves])]
    bends = found[np.array([[place[m] for m in row] for row in pairs])]
    # no step at all, but one with slopes
    now = jnp.stack(at)
    step = jnp.asarray([share for share, _ in MOVES[: len(at)]], now.dtype) * (now - jax.lax.stop_gradient(now))
    bent = slopes + jnp.sum(step[None, :, None] * bends, axis=1) / 2
    total = found[place[0, 0]] + jnp.sum(step[:, None] * bent, axis=0)
    return total * _inside(x, y, (ny, nx), margin)


@programs(5, 6)
def _overlaps(
    transform: Array, weights: Array, x: Real, y: Real, spread: Spread, period: tuple[int, int], orders: Orders
) -> tuple[Array, ...]:
    """Sums over pixels of ``weights`` times the derivatives of the given orders in (x, y) of an image, each (e,)."""
    rows, columns = period
    ny, nx = weights.shape[-2:]
    padded = jnp.pad(weights, ((0, 0), (0, rows - ny), (0, columns - nx)))
    # of the columns of frequencies that are not there, all but these are mirror images
    once = (np.arange(columns // 2 + 1) % (columns / 2)) == 0
    there = jnp.conj(jnp.fft.rfft2(padded))
    there = there * jnp.asarray(np.where(once, 1.0, 2.0) / (rows * columns), there.dtype)[None, None]
    powers = range(max(max(order) for order in orders) + 1)
    sums = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)

    def of_bands(bands: slice) -> Array:
        fy, fx = (f[bands].astype(weights.dtype) for f in frequencies(period, transform.shape[1]))
        along_y, along_x = (jax.lax.complex(p[:, 0], p[:, 1]) for p in (_phases(fy, y, powers), _phases(fx, x, powers)))
        wide = _kept(_spreading(fy, fx, spread)) if spread else 1.0

        def of_energy(of_point: Array, there: Array) -> Array:
            by_rows = sums("byak,iak->byi", (of_point * wide).astype(there.dtype) * there[None, :, None, :], along_x)
            return sums("byi,jby->ij", by_rows, along_y).real

        found: Array = _by_energy(of_energy, transform[:, bands, :, bands], there)
        return found

    found = _in_reach(of_bands, transform.shape[1], spread)
    return tuple(found[:, i, j] for i, j in orders)


def bilinear_point_image(
    kernel: Float[Array, "e n n"], x: Real, y: Real, shape: tuple[int, int]
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
