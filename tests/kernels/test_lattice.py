"""Images of sources on pixels, against error functions and direct sums.

Distances are in pixels. A Gaussian PSF has its Fourier transform in closed form, and images of points and Gaussians
through it are products of error functions.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import convolve
from scipy.special import erf

from gammajax.kernels import lattice as k

particles = jax.jit(k.particle_image, static_argnums=(3, 4))
spectra_of = jax.jit(k.kernel_spectra, static_argnums=(1, 2))
convolved = jax.jit(k.convolved, static_argnums=(2, 3))
integrated = jax.jit(k.integrated, static_argnums=(1, 2))

# sigma, lattice steps a pixel, and the accuracy (of the peak) with which sources come out; the last two are the
# narrowest for which the lattice is not made finer
RESOLVED = [(1.2, 2, 3e-7), (2.5, 1, 3e-7), (0.6, 4, 2e-7), (0.35, 8, 3e-8), (0.73, 2, 2e-5), (0.1825, 8, 2e-5)]
LOST = 2e-8
"""Flux that comes and goes with the position: 4 exp(-2 pi^2) in the nodes of the blur."""
# middle of a pixel, its border, its corner, and between
POSITIONS = [(20.0, 17.0), (20.5, 17.0), (19.5, 17.5), (20.123, 16.71), (20.0 + 1e-9, 17.4999)]
SHAPE = (36, 41)


def gaussian_spectrum(sigma, s, size):
    f = np.fft.fftfreq(size)
    return np.exp(-2 * (np.pi * sigma * s) ** 2 * (f[:, None] ** 2 + f[None, : size // 2 + 1] ** 2))[None]


def sharpened(sigma, s, size=None):
    size = size or 2 * int(8 * sigma * s + 20)
    return integrated(gaussian_spectrum(sigma, s, size), size, s, k.BLUR**2 * np.eye(2))


def exact(x, y, sigma, shape=SHAPE):
    def line(at, n):
        edges = (np.arange(n + 1) - 0.5 - at) / (np.sqrt(2) * sigma)
        return np.diff(erf(edges)) / 2

    return line(y, shape[0])[:, None] * line(x, shape[1])


@pytest.mark.parametrize(("sigma", "s", "accuracy"), RESOLVED)
@pytest.mark.parametrize("width", [0.0, 0.02, 0.2, 1.0])
def test_gaussians_on_the_lattice(sigma, s, accuracy, width):
    """A blurred Gaussian of any width, also of none, through the sharpened kernel."""
    shape = (40, 48)
    spectra = spectra_of(sharpened(sigma, s), shape, s)
    gx, gy = k.lattice_nodes(shape, s)
    blurred = width**2 + (k.BLUR / s) ** 2
    for x, y in POSITIONS[1:4]:
        image = np.exp(-((gx - x) ** 2 + (gy - y) ** 2) / (2 * blurred)) / (2 * np.pi * blurred * s**2)
        found = np.asarray(convolved(image, spectra, shape, s))[0]
        wanted = exact(x, y, np.hypot(sigma, width), shape)
        assert np.abs(found - wanted).max() < accuracy * wanted.max()
        assert abs(found.sum() - 1) < LOST + accuracy / 5


def test_ring_of_particles():
    """The sum of its points; weights may be 0."""
    angle, s, shape = np.linspace(0, 2 * np.pi, 25)[:-1], 2, (40, 40)
    x, y = 19.3 + 4.2 * np.cos(angle), 20.1 + 4.2 * np.sin(angle)
    weight = np.linspace(0, 1, 24) / 12
    image = particles(x, y, weight, shape, s)
    assert image.shape == (80, 80) and abs(np.sum(image) - 1) < LOST
    found = np.asarray(convolved(image, spectra_of(sharpened(1.2, s), shape, s), shape, s))[0]
    wanted = sum(w * exact(a, b, 1.2, shape) for a, b, w in zip(x, y, weight, strict=True))
    assert np.abs(found - wanted).max() < 4e-7 * wanted.max()
    # one particle is a point
    one = convolved(particles(x[:1], y[:1], np.ones(1), shape, s), spectra_of(sharpened(1.2, s), shape, s), shape, s)
    np.testing.assert_allclose(one[0], exact(x[0], y[0], 1.2, shape), atol=3e-8)
    # particles off the window leave nothing
    assert not np.any(particles(np.array([-1e6, 90.0]), np.array([3.0, 3.0]), np.ones(2), shape, s))


def _direct(image, kernel, shape, s, circular):
    """The sum over lattice nodes, out[j] = sum_l K[s j - l] c_l; ``circular`` as `convolved` is, with offsets between
    pixels from -(n // 2) to (n - 1) // 2 only."""
    ny, nx = shape
    size = kernel.shape[-1]

    def rows(n):
        j, node = np.arange(n)[:, None], np.arange(n * s)[None, :]
        if not circular:
            offset = s * j - node
        else:
            # pixel offset of the node's own pixel, folded into the window
            fold = (j - node // s + n // 2) % n - n // 2
            offset = s * fold - node % s
        index = offset + size // 2
        inside = (index >= 0) & (index < size)
        return np.clip(index, 0, size - 1), inside

    (iy, oy), (ix, ox) = rows(ny), rows(nx)
    picked = kernel[:, iy[:, :, None, None], ix[None, None]] * (oy[:, :, None, None] & ox[None, None])
    return np.einsum("eylxm,...lm->eyx", picked, image)


@pytest.mark.parametrize(
    ("shape", "size", "s"),
    [((12, 15), 5, 1), ((12, 15), 6, 1), ((8, 9), 9, 2), ((9, 6), 8, 2), ((7, 6), 13, 4), ((6, 5), 12, 3)],
)
def test_convolution_is_the_direct_sum(shape, size, s):
    """Kernels without any symmetry, odd and even sizes; as scipy has it away from the rim, circular there."""
    rng = np.random.default_rng(9)
    kernel, image = rng.random((2, size, size)), rng.random((shape[0] * s, shape[1] * s))
    found = np.asarray(convolved(image, spectra_of(kernel, shape, s), shape, s))
    np.testing.assert_allclose(found, _direct(image, kernel, shape, s, True), rtol=1e-12)
    # away from the rim no kernel reaches around
    reach = -(-(size // 2 + s) // s)
    inner = (slice(None), slice(reach, shape[0] - reach), slice(reach, shape[1] - reach))
    direct = _direct(image, kernel, shape, s, False)
    np.testing.assert_allclose(found[inner], direct[inner], rtol=1e-12)
    if s == 1:
        whole = np.stack([convolve(image, plane, mode="full") for plane in kernel])
        first = size // 2
        np.testing.assert_allclose(direct, whole[:, first : first + shape[0], first : first + shape[1]], rtol=1e-12)


@pytest.mark.parametrize(("shape", "size", "s"), [((4, 5), 21, 2), ((1, 1), 9, 1), ((3, 2), 40, 4), ((5, 30), 25, 1)])
def test_windows_smaller_than_the_kernel(shape, size, s):
    """Offsets beyond half the window are left out, so that nothing comes around twice."""
    rng = np.random.default_rng(10)
    kernel, image = rng.random((2, size, size)), rng.random((2, shape[0] * s, shape[1] * s))
    found = np.asarray(convolved(image, spectra_of(kernel, shape, s), shape, s))
    wanted = [_direct(image[e], kernel[e : e + 1], shape, s, True)[0] for e in range(2)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_images_of_several_energies():
    rng = np.random.default_rng(11)
    kernel, image = rng.random((3, 7, 7)), rng.random((3, 20, 24))
    spectra = spectra_of(kernel, (10, 12), 2)
    found = convolved(image, spectra, (10, 12), 2)
    for e in range(3):
        one = convolved(image[e], spectra[e : e + 1], (10, 12), 2)[0]
        np.testing.assert_allclose(found[e], one, rtol=1e-12)
    # one kernel for all
    shared = convolved(image, spectra[:1], (10, 12), 2)
    np.testing.assert_allclose(shared[2], convolved(image[2], spectra[:1], (10, 12), 2)[0], rtol=1e-12)


def test_kernels_from_spectra():
    """Integration over pixels, and sharpening by a skew Gaussian, undone by a blur of the kernel."""
    size, s, sigma = 48, 2, 1.5
    offset = np.arange(size) - size // 2
    plain = np.asarray(integrated(gaussian_spectrum(sigma, s, size), size, 0))[0]
    step = sigma * s
    wanted = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * step**2)) / (2 * np.pi * step**2)
    np.testing.assert_allclose(plain, wanted, atol=1e-10)
    # the transform is the other way around
    np.testing.assert_allclose(jax.jit(k.transform)(plain[None]), gaussian_spectrum(sigma, s, size), atol=1e-9)
    pixels = np.asarray(integrated(gaussian_spectrum(sigma, s, size), size, s))[0]
    line = (erf((offset + s / 2) / (np.sqrt(2) * step)) - erf((offset - s / 2) / (np.sqrt(2) * step))) / 2
    np.testing.assert_allclose(pixels, line[:, None] * line, atol=1e-10)
    # a wider Gaussian sharpened by covariance C is one of covariance step^2 - C, here elongated
    spread = np.array([[1.2, 0.5], [0.5, 0.8]])
    found = np.asarray(integrated(gaussian_spectrum(sigma, s, size), size, 0, spread))[0]
    covariance = step**2 * np.eye(2) - spread
    gy, gx = np.meshgrid(offset, offset, indexing="ij")
    r = np.stack([gx, gy], axis=-1)
    quadratic = np.einsum("yxi,ij,yxj->yx", r, np.linalg.inv(covariance), r)
    wanted = np.exp(-quadratic / 2) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_pixel_without_a_psf():
    """A box of one pixel: of sum s^2, and a point blurred by the lattice's Gaussian comes out of it."""
    for s, size in ((1, 9), (2, 12), (3, 13), (4, 40)):
        box = k.pixel_box(s, size)
        assert box.shape == (1, size, size) and abs(box.sum() - s**2) < 1e-12
    shape = (16, 17)
    blurred = particles(np.array([8.2]), np.array([7.9]), np.ones(1), shape, 4)
    found = np.asarray(convolved(blurred, spectra_of(k.pixel_box(4, 40), shape, 4), shape, 4))[0]
    assert abs(found.sum() - 1) < LOST
    # midpoints (half of it on the rim) of a Gaussian of a quarter of a pixel
    np.testing.assert_allclose(found, exact(8.2, 7.9, 0.25, shape), atol=0.04)


def _sums(x, y, sigma, shape, s, spectra):
    """Images of particles and of a Gaussian."""
    gx, gy = k.lattice_nodes(shape, s)
    ring = jnp.linspace(0, 5, 9)
    nodes = k.particle_image(x + jnp.cos(ring), y + sigma * jnp.sin(ring), jnp.ones(9) / 9, shape, s)
    blurred = sigma**2 + (k.BLUR / s) ** 2
    image = jnp.exp(-((gx - x) ** 2 + (gy - y) ** 2) / (2 * blurred)) / (2 * np.pi * blurred * s**2)
    return jnp.stack(
        [
            k.convolved(nodes, spectra, shape, s)[0],
            k.convolved(image, spectra, shape, s)[0],
        ]
    )


def test_images_are_smooth_in_the_parameters():
    """Slopes are differences everywhere on a pixel, on its middle and border; at width 0 that in the width is 0."""
    s, shape = 2, (24, 26)
    spectra = np.asarray(spectra_of(sharpened(1.2, s), shape, s))
    images = jax.jit(lambda *p: _sums(*p, shape, s, spectra))
    slopes = jax.jit(jax.jacfwd(lambda *p: _sums(*p, shape, s, spectra), argnums=(0, 1, 2)))
    h = 1e-5
    for x, y, sigma in ((12.0, 11.0, 0.3), (12.5, 11.5, 0.02), (12.31, 11.07, 1.0), (12.5, 11.0, 0.0)):
        found = slopes(x, y, sigma)
        for i in range(3):
            up, down = np.array([x, y, sigma]) + h * np.eye(3)[i], np.array([x, y, sigma]) - h * np.eye(3)[i]
            wanted = (images(*up) - images(*down)) / (2 * h)
            np.testing.assert_allclose(found[i], wanted, atol=1e-9)


def test_slope_in_the_kernel():
    """Images are linear in it, down to a plane of zeros."""
    rng = np.random.default_rng(13)
    spectrum = gaussian_spectrum(1.2, 2, 48) * np.array([1.0, 0.0])[:, None, None]

    def total(t):
        kernel = k.integrated(spectrum * (1 + t), 48, 2, np.eye(2))
        return k.convolved(image, k.kernel_spectra(kernel, (20, 20), 2), (20, 20), 2)

    image = rng.random((40, 40))
    value, slope = jax.jit(lambda t: jax.jvp(total, (t,), (1.0,)))(0.0)
    np.testing.assert_allclose(slope, value, atol=1e-12)
    np.testing.assert_array_equal(value[1], 0)


def test_eager_is_jit_and_vmap_is_a_loop():
    kernel = np.asarray(sharpened(1.2, 2))
    spectra = spectra_of(kernel, (20, 22), 2)
    np.testing.assert_allclose(k.kernel_spectra(jnp.asarray(kernel), (20, 22), 2), spectra, atol=1e-13)
    image = jnp.asarray(np.random.default_rng(14).random((40, 44)))
    np.testing.assert_allclose(
        k.convolved(image, spectra, (20, 22), 2), convolved(image, spectra, (20, 22), 2), atol=1e-13
    )
    several = jnp.stack([image, 2 * image[::-1]])
    batch = jax.jit(jax.vmap(lambda i: k.convolved(i, spectra, (20, 22), 2)))(several)
    for i in range(2):
        np.testing.assert_allclose(batch[i], convolved(several[i], spectra, (20, 22), 2), atol=1e-13)


def test_upsampling():
    values = np.random.default_rng(15).random((2, 4, 6))
    found = np.asarray(jax.jit(k.upsampled, static_argnums=1)(values, 3))
    y, x = np.minimum(np.arange(12) / 3, 3), np.minimum(np.arange(18) / 3, 5)
    for e in range(2):
        rows = np.stack([np.interp(x, np.arange(6), row) for row in values[e]])
        wanted = np.stack([np.interp(y, np.arange(4), column) for column in rows.T], axis=1)
        np.testing.assert_allclose(found[e], wanted, rtol=1e-13)
    assert k.upsampled(values, 1) is values
    gx, gy = k.lattice_nodes((4, 6), 3)
    assert gx.shape == (12, 18) and gx[0, 3] == 1 and gy[4, 0] == 4 / 3 and gx[5, 17] == 17 / 3


def test_single_precision():
    """The sharpened kernel amplifies rounding by far less than the blur takes away again."""
    with jax.enable_x64(False):
        spectrum = jnp.asarray(gaussian_spectrum(1.2, 2, 60), jnp.float32)
        kernel = integrated(spectrum, 60, 2, jnp.eye(2))
        assert kernel.dtype == jnp.float32
        gx, gy = (jnp.asarray(g, jnp.float32) for g in k.lattice_nodes((40, 48), 2))
        image = jnp.exp(-2 * ((gx - 20.123) ** 2 + (gy - 16.71) ** 2)) / np.float32(2 * np.pi)
        other = convolved(image, spectra_of(kernel, (40, 48), 2), (40, 48), 2)
    np.testing.assert_allclose(other[0], exact(20.123, 16.71, 1.2, (40, 48)), atol=3e-6 * 0.1)
