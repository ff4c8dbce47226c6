"""Images of sources on pixels: sub-pixel lattices, spreading, and convolution with kernels.

A source is laid on a lattice of ``s`` nodes a pixel and dimension after blurring with a Gaussian of `BLUR` lattice
steps; the kernels (PSF integrated over the pixel) are sharpened by the same Gaussian. For PSFs that the lattice
resolves, the two cancel: the image is exact wherever the source lies between pixels, and however small it is, and it is
smooth in its parameters. (This is the gridding of non-uniform Fourier transforms; see Greengard & Lee 2004, SIAM Review
46, 443.)

Lattice kernels have shape (e, l, l) with offset 0 at index l // 2. Windows are (ny, nx) pixels.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from .arrays import AnyArray

BLUR = 1.0
"""Width of the spreading Gaussian in lattice steps: a point comes back to exp(-2 pi^2 BLUR^2 (1 - 2 f)) at frequency f
cycles a step, 3e-9 at low ones."""

AT_ONCE = 2**22
"""Points times rows and columns of a lattice up to which all are laid on it at once: some 100 MB, with slopes."""

BLOCK = 2**20
"""The same for each block of more points."""


def integrated(
    spectrum: Array, size: int, s: int, spread: Float[AnyArray, "2 2"] | None = None
) -> Float[Array, "e l l"]:
    """Kernel on ``size`` squared lattice nodes from its Fourier transform (e, size, size // 2 + 1), which is real.

    It is integrated over a pixel, sinc(f s), unless ``s`` is 0, and sharpened: divided by the transform of the
    spreading Gaussian, whose covariance ``spread`` (2, 2) is in lattice steps squared, ordered (x, y).
    """
    f = jnp.asarray(np.fft.fftfreq(size), spectrum.dtype)
    fy, fx = f[:, None], f[None, : size // 2 + 1]
    if s:
        spectrum = spectrum * (s**2 * jnp.sinc(fx * s) * jnp.sinc(fy * s))[None]
    if spread is not None:
        quadratic = spread[0, 0] * fx * fx + 2 * spread[0, 1] * fx * fy + spread[1, 1] * fy * fy
        spectrum = spectrum * jnp.exp(2 * np.pi**2 * quadratic)[None]
    return jnp.fft.fftshift(jnp.fft.irfft2(spectrum, s=(size, size)), axes=(-2, -1))


def transform(kernel: Float[Array, "e l l"]) -> Array:
    """The real transform of symmetric kernels with offset 0 at index l // 2."""
    return jnp.fft.rfft2(jnp.fft.ifftshift(kernel, axes=(-2, -1)))


def pixel_box(s: int, size: int) -> np.ndarray:
    """Lattice kernel without a PSF: the pixel itself, (1, size, size); nodes on its rim count half."""
    offset = np.abs(np.arange(size) - size // 2)
    line = np.where(offset < s / 2, 1.0, np.where(offset == s / 2, 0.5, 0.0))
    return (line[:, None] * line[None, :])[None]


def particle_image(x: Array, y: Array, weight: Array, shape: tuple[int, int], s: int) -> Float[Array, "ly lx"]:
    """Lattice image of points at (x, y) pixels from the window's first pixel, blurred; (ny s, nx s).

    Many points are laid on it in blocks, so that memory beyond that of their numbers is set by the lattice.
    """
    ny, nx = shape
    n, side = x.shape[0], (ny + nx) * s
    if n * side > AT_ONCE:
        size = max(BLOCK // side, 1)
        blocks = [jnp.pad(a, (0, -n % size)).reshape(-1, size) for a in (x, y, weight)]
        # slopes make a block once more instead of keeping all of them
        again = jax.checkpoint(lambda block: particle_image(block[0], block[1], block[2], shape, s))
        start = jnp.zeros((ny * s, nx * s), jnp.result_type(x, weight))
        return jax.lax.scan(lambda sum_, block: (sum_ + again(block), None), start, tuple(blocks))[0]

    def spread(at, n):
        t = (jnp.arange(n * s, dtype=at.dtype)[None, :] - at[:, None] * s) / BLUR
        return jnp.exp(-t * t / 2) / (np.sqrt(2 * np.pi) * BLUR)

    return (spread(y, ny) * weight[:, None]).T @ spread(x, nx)


def lattice_nodes(shape: tuple[int, int], s: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates x and y of the lattice nodes of a window in pixels from its first, each (ny s, nx s)."""
    ny, nx = shape
    x, y = np.meshgrid(np.arange(nx * s) / s, np.arange(ny * s) / s)
    return x, y


def kernel_spectra(kernel: Float[Array, "e l l"], shape: tuple[int, int], s: int) -> Complex[Array, "e p ny nf"]:
    """Transforms of the ``s``² pixel-spaced parts of a lattice kernel, for `convolved` on windows of ``shape``.

    out[j] = sum_l K[s j - l] c_l with l = s q + b is a sum over b of convolutions on pixels.
    """
    ny, nx = shape
    phases = []
    for b in range(s):
        for a in range(s):
            # offsets s m - b on the lattice, as pixel offsets m from -half to half
            phases.append(_phase(_phase(kernel, s, b, -2), s, a, -1))
    stacked = jnp.stack(phases, axis=1)
    half = stacked.shape[-1] // 2
    grid = jnp.zeros((*stacked.shape[:2], max(ny, 2 * half + 1), max(nx, 2 * half + 1)), kernel.dtype)
    grid = grid.at[..., : 2 * half + 1, : 2 * half + 1].set(stacked)
    grid = jnp.roll(grid, (-half, -half), axis=(-2, -1))
    # the tails of a sharpened kernel may be wider than the window; offsets beyond it never meet a pixel of it
    grid = grid[..., _near(grid.shape[-2], ny), :][..., _near(grid.shape[-1], nx)]
    return jnp.fft.rfft2(grid)


def _near(size: int, n: int) -> np.ndarray:
    """Indices of the offsets -(n // 2) ... of a rolled axis of ``size``, in rolled order."""
    offsets = np.concatenate([np.arange((n + 1) // 2), np.arange(-(n // 2), 0)])
    return offsets % size


def _phase(kernel: Array, s: int, b: int, axis: int) -> Array:
    """Entries at offsets s m - b, m = -half ... half, of one axis; zero beyond the kernel."""
    size = kernel.shape[axis]
    half = -(-(size // 2 + s) // s)
    index = s * np.arange(-half, half + 1) - b + size // 2
    inside = (index >= 0) & (index < size)
    taken = jnp.take(kernel, jnp.asarray(np.clip(index, 0, size - 1)), axis=axis)
    shape = [1] * kernel.ndim
    shape[axis] = -1
    return taken * inside.astype(taken.dtype).reshape(shape)


def convolved(
    image: Float[Array, "*e ly lx"], spectra: Complex[Array, "e p ny nf"], shape: tuple[int, int], s: int
) -> Float[Array, "e ny nx"]:
    """Counts per pixel of a lattice image, (e, ny, nx); circular, so that windows need room for the kernel."""
    ny, nx = shape
    lead = image.shape[:-2]
    phases = jnp.moveaxis(image.reshape(*lead, ny, s, nx, s), (-3, -1), (-4, -3)).reshape(*lead, s * s, ny, nx)
    # a shape that no energy changes has no axis of energies
    transformed = jnp.fft.rfft2(phases)[None] if not lead else jnp.fft.rfft2(phases)
    product = jnp.sum(transformed * spectra, axis=-3)
    return jnp.fft.irfft2(product, s=shape)


def upsampled(values: Float[Array, "e ny nx"], s: int) -> Float[Array, "e ly lx"]:
    """Values at pixel centres, linearly interpolated to the lattice nodes; the last ones go on unchanged."""
    if s == 1:
        return values
    ny, nx = values.shape[-2:]

    def weights(n):
        at = np.minimum(np.arange(n * s) / s, n - 1)
        return jnp.asarray(np.maximum(0.0, 1 - np.abs(at[:, None] - np.arange(n))), values.dtype)

    return jnp.einsum("yl,elm,xm->eyx", weights(ny), values, weights(nx), optimize=[(0, 1), (0, 1)])
