"""How much of a source a region contains after the point spread function has blurred it.

The share of a point at x0 is C(x0) = (P * W)(x0): the PSF P convolved with the region W (1 inside, 0 outside). It is
made from the Fourier transforms of both on a lattice that holds the region and the reach of the PSF, so that no image
of the source is needed: a point is a sum over frequencies, and an extended source the product of its lattice image with
C. Both are smooth in all parameters, and exact for what the lattice resolves of the PSF, however sharp the region is.

Lattices have n by n nodes; coordinates are in their steps from the first one, frequencies in cycles per step. Real and
imaginary parts of transforms, shape (2, ..., n, n // 2 + 1), are kept apart.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

CHEBYSHEV_MARGIN = 24
"""Nodes by which the quadrature of a disk exceeds the phase that it has to resolve."""


def lattice_frequencies(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies fy (n, 1) and fx (n // 2 + 1,)."""
    f = np.fft.fftfreq(n)
    return f[:, None], np.abs(f[: n // 2 + 1])


def disk_transform(n: int, x: float, y: float, radius: float) -> Float[np.ndarray, "2 n m"]:
    """Transform of a disk around (x, y): int 2 sqrt(r^2 - t^2) cos(2 pi k t) dt, by Gauss-Chebyshev quadrature."""
    fy, fx = lattice_frequencies(n)
    k = np.hypot(fy, fx)
    order = int(np.ceil(np.sqrt(2) * np.pi * radius)) + CHEBYSHEV_MARGIN
    angle = np.pi * np.arange(1, order + 1) / (order + 1)
    weight = 2 * np.pi * radius**2 / (order + 1) * np.sin(angle) ** 2
    values = np.zeros(k.shape)
    for cosine, part in zip(np.cos(angle), weight, strict=True):
        values += part * np.cos(2 * np.pi * radius * cosine * k)
    return _moved(values, fy, fx, x, y)


def cells_transform(
    n: int, shares: Float[np.ndarray, "ny nx"], x: float, y: float, step: float
) -> Float[np.ndarray, "2 n m"]:
    """Transform of square cells of side ``step``, of which ``shares`` are filled; (x, y) is the middle of the first.

    Cells are finer than the lattice: what is filled inside of one is taken to be spread as the transform of the whole
    cell undone, which holds for frequencies that are low against 1 / step.
    """
    fy, fx = lattice_frequencies(n)
    ny, nx = shares.shape
    rows = np.exp(-2j * np.pi * fy * (y + step * np.arange(ny)))
    columns = np.exp(-2j * np.pi * (x + step * np.arange(nx))[:, None] * fx)
    values = rows @ shares @ columns * step**2 / (np.sinc(fy * step) * np.sinc(fx * step))
    return np.stack([values.real, values.imag])


def _moved(values: np.ndarray, fy: np.ndarray, fx: np.ndarray, x: float, y: float) -> np.ndarray:
    phase = 2 * np.pi * (fx * x + fy * y)
    return np.stack([values * np.cos(phase), -values * np.sin(phase)])


def gauss_transform(n: int, width: float) -> Float[np.ndarray, "1 n m"]:
    """Transform of a Gaussian of ``width`` steps, which stands for a perfect PSF."""
    fy, fx = lattice_frequencies(n)
    return np.exp(-2 * (np.pi * width) ** 2 * (fx**2 + fy**2))[None]


def seen_region(psf: Float[Array, "e n m"], region: Float[Array, "2 n m"]) -> Float[Array, "2 e n m"]:
    """Transform of C for each energy."""
    return jnp.asarray(region)[:, None] * psf[None]


def frequency_terms(seen: Float[Array, "2 e n m"]) -> Float[Array, "2 e n m"]:
    """What `point_share` sums: each frequency that is stored stands for its opposite, too."""
    n = seen.shape[-2]
    weight = np.full(n // 2 + 1, 2.0)
    weight[0] = 1.0
    if n % 2 == 0:
        weight[-1] = 1.0
    return seen * (weight / n**2)[None, None, None]


def point_share(terms: Float[Array, "2 e n m"], x: Any, y: Any) -> Float[Array, " e"]:
    """C at (x, y), for each energy: a sum over frequencies. 0 for points that are off the lattice."""
    n = terms.shape[-2]
    fy, fx = lattice_frequencies(n)
    middle = (n - 1) / 2
    inside = (jnp.abs(x - middle) < n / 2) & (jnp.abs(y - middle) < n / 2)
    # zero slopes off the lattice, and no angles that are too large for their cosines
    x, y = jnp.where(inside, x, middle), jnp.where(inside, y, middle)
    along_x, along_y = 2 * np.pi * fx * x, 2 * np.pi * fy[:, 0] * y
    cx, sx, cy, sy = jnp.cos(along_x), jnp.sin(along_x), jnp.cos(along_y), jnp.sin(along_y)
    # the real part of (a + i b) exp(i (u + v)) is a cos(u + v) - b sin(u + v)
    a, b = terms[0], terms[1]
    share = (a @ cx - b @ sx) @ cy - (a @ sx + b @ cx) @ sy
    return jnp.where(inside, share, 0.0)


def share_map(seen: Float[Array, "2 e n m"], spread: Any = None) -> Float[Array, "e n n"]:
    """C at the nodes of the lattice; ``spread`` (2, 2) undoes the blurring of lattice images by a Gaussian of this
    covariance in steps squared, ordered (x, y)."""
    n = seen.shape[-2]
    fy, fx = lattice_frequencies(n)
    if spread is not None:
        quadratic = spread[0, 0] * fx * fx + 2 * spread[0, 1] * fx * fy + spread[1, 1] * fy * fy
        seen = seen * jnp.exp(2 * np.pi**2 * quadratic)[None, None]
    return jnp.fft.irfft2(jax.lax.complex(seen[0], seen[1]), s=(n, n))
