"""Images of points, against error functions and scipy's convolution. Distances are in pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import convolve
from scipy.special import erf

from gammajax.kernels import fourier_image as k

point = jax.jit(k.point_image, static_argnums=(3, 4, 6))
bilinear = jax.jit(k.bilinear_point_image, static_argnums=3)

# sigma, bands of frequencies, and the accuracy of the peak: what is lost is beyond s / 2 cycles per pixel
RESOLVED = [(1.2, 2, 1e-12), (2.5, 1, 1e-12), (0.6, 4, 1e-12), (0.35, 8, 1e-12), (0.73, 2, 2e-6), (0.1825, 8, 2e-6)]
# middle of a pixel, its border, its corner, and between
POSITIONS = [(20.0, 17.0), (20.5, 17.0), (19.5, 17.5), (20.123, 16.71), (20.0 + 1e-9, 17.4999)]
SHAPE, PERIOD = (36, 41), (36, 42)


def gaussian(sigma, s, period=PERIOD):
    fy, fx = k.frequencies(period, s)
    fy = fy[:, :, None, None]
    return (np.exp(-2 * (np.pi * sigma) ** 2 * (fy**2 + fx**2)) * k.pixel_window(period, s))[None]


def exact(x, y, sigma, shape=SHAPE):
    def line(at, n):
        edges = (np.arange(n + 1) - 0.5 - at) / (np.sqrt(2) * sigma)
        return np.diff(erf(edges)) / 2

    return line(y, shape[0])[:, None] * line(x, shape[1])


@pytest.mark.parametrize("n", [8, 9])
@pytest.mark.parametrize("s", [1, 2, 3, 8])
def test_every_frequency_once(n, s):
    """The bands together are the frequencies of n s points, and fold onto those of n."""
    fy, fx = k.frequencies((n, n), s)
    assert fy.shape == (s, n) and fx.shape == (s, n // 2 + 1)
    np.testing.assert_allclose(np.sort(np.mod(fy.ravel() + 1e-9, s)), np.arange(n * s) / n + 1e-9, atol=1e-8)
    np.testing.assert_allclose(np.mod(fy - np.fft.fftfreq(n) + 0.5, 1.0), 0.5, atol=1e-12)
    assert np.abs(fy).max() <= s / 2 and np.all(fx[:, 0] == np.round(fx[:, 0]))


@pytest.mark.parametrize(("sigma", "s", "accuracy"), RESOLVED)
def test_points_between_pixels(sigma, s, accuracy):
    transform = gaussian(sigma, s)
    for x, y in POSITIONS:
        found = np.asarray(point(transform, x, y, SHAPE, PERIOD))[0]
        wanted = exact(x, y, sigma)
        assert np.abs(found - wanted).max() < max(accuracy, 1e-14) * wanted.max() + 1e-11
        assert abs(found.sum() - wanted.sum()) < 1e-9 + accuracy / 100


def test_points_that_leave_the_window():
    """Whole while the kernel is inside, then fading; nothing is far away, with slopes of 0."""
    transform = gaussian(1.2, 2)
    sums = [float(point(transform, x, 17.0, SHAPE, PERIOD).sum()) for x in (20.0, 33.0, 37.5, 38.5, 39.5, 40.0, 44.0)]
    assert abs(sums[0] - 1) < 1e-12 and abs(sums[1] - 1) < 1e-9
    assert np.all(np.diff(sums[2:]) <= 0) and sums[-2:] == [0, 0]
    for far in (-1e6, 300.0):
        np.testing.assert_array_equal(point(transform, far, 3.0, SHAPE, PERIOD), 0)
        assert np.all(np.asarray(jax.jacfwd(lambda x: point(transform, x, 3.0, SHAPE, PERIOD))(far)) == 0)


@pytest.mark.parametrize("shape", [(11, 11), (12, 17), (33, 14)])
def test_windows_of_any_shape(shape):
    period = tuple(n + n % 2 for n in shape)
    middle = ((shape[1] - 1) / 2 + 0.3, (shape[0] - 1) / 2 - 0.4)
    found = np.asarray(point(gaussian(0.6, 4, period), *middle, shape, period))[0]
    assert found.shape == shape
    assert np.abs(found - exact(*middle, 0.6, shape)).max() < 1e-9


def test_kernels_of_pixels():
    """At pixel centres they come out as they are, also without any symmetry; in between the sum is kept."""
    kernel = np.random.default_rng(4).random((3, 5, 5))
    transform = jax.jit(k.kernel_transform, static_argnums=1)(kernel, PERIOD)
    found = np.asarray(point(transform, 20.0, 17.0, SHAPE, PERIOD))
    wanted = np.zeros((3, *SHAPE))
    wanted[:, 15:20, 18:23] = kernel
    np.testing.assert_allclose(found, wanted, atol=1e-13)
    between = np.asarray(point(transform, 20.31, 16.77, SHAPE, PERIOD))
    # the window is narrower than the period by a column, so that a ripple is lost
    np.testing.assert_allclose(between.sum(axis=(1, 2)), kernel.sum(axis=(1, 2)), rtol=0.02)
    # a Gaussian is resolved by pixels
    offset = np.arange(-12, 13)
    line = np.exp(-(offset**2) / 8)
    smooth = point(k.kernel_transform((line[:, None] * line)[None], PERIOD), 20.31, 16.77, SHAPE, PERIOD)
    y, x = np.arange(36)[:, None], np.arange(41)
    np.testing.assert_allclose(smooth[0], np.exp(-((x - 20.31) ** 2 + (y - 16.77) ** 2) / 8), atol=2e-6)


def test_slopes():
    """First and second slopes are differences, on the middle of a pixel, its border and in between."""
    transform = gaussian(0.7, 4)
    image = jax.jit(lambda p: point(transform, p[0], p[1], SHAPE, PERIOD)[0])
    first, second = jax.jit(jax.jacfwd(image)), jax.jit(jax.jacfwd(jax.jacrev(lambda p: jnp.sum(weight * image(p)))))
    weight = np.random.default_rng(5).random(SHAPE)
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(weight * image(p))))
    h = 1e-5
    # the last is where points fade
    for at in ([20.0, 17.0], [20.5, 17.5], [20.31, 16.77], [38.7, 16.2]):
        at = np.array(at)
        steps = h * np.eye(2)
        wanted = np.stack([(image(at + s) - image(at - s)) / (2 * h) for s in steps], axis=-1)
        np.testing.assert_allclose(first(at), wanted, atol=1e-9)
        wanted = np.stack([(gradient(at + s) - gradient(at - s)) / (2 * h) for s in steps], axis=-1)
        np.testing.assert_allclose(second(at), wanted, atol=1e-8)
        np.testing.assert_allclose(gradient(at), np.einsum("yx,yxi->i", weight, first(at)), rtol=1e-10, atol=1e-12)
    # and the position is that of the image: its slope in x is the difference between the borders of the pixels
    edges = np.exp(-0.5 * ((np.arange(42) - 0.5 - 20.31) / 0.7) ** 2) / (np.sqrt(2 * np.pi) * 0.7)
    rows = exact(20.31, 16.77, 0.7).sum(axis=1)
    np.testing.assert_allclose(first(np.array([20.31, 16.77]))[..., 0], rows[:, None] * -np.diff(edges), atol=1e-9)


def test_slope_in_the_kernel():
    """Images are linear in the transform, forwards and backwards, also together with the position."""
    transform = np.concatenate([gaussian(1.2, 2), 0 * gaussian(1.2, 2)])

    def total(t, x):
        return jnp.sum(point(transform * (1 + t), x, 17.2, SHAPE, PERIOD) ** 2)

    grad = jax.jit(jax.grad(total, argnums=(0, 1)))(0.1, 20.3)
    h = 1e-6
    np.testing.assert_allclose(grad[0], (total(0.1 + h, 20.3) - total(0.1 - h, 20.3)) / (2 * h), rtol=1e-7)
    np.testing.assert_allclose(grad[1], (total(0.1, 20.3 + h) - total(0.1, 20.3 - h)) / (2 * h), rtol=1e-5, atol=1e-10)
    value, slope = jax.jvp(lambda t: point(t, 20.3, 17.2, SHAPE, PERIOD), (transform,), (transform,))
    np.testing.assert_allclose(slope, value, atol=1e-15)


WIDTHS = [(0.8, 0.8, 0.0), (3.0, 2.0, 0.6), (2.5, 0.5, -0.9), (0.0, 0.0, 0.0)]


def covariance(width_x, width_y, correlation):
    return width_x**2, correlation * width_x * width_y, width_y**2


def of_gaussian(x, y, spread, shape=SHAPE):
    """A Gaussian integrated over pixels, by Gauss-Legendre nodes in each."""
    at, weight = (a / 2 for a in np.polynomial.legendre.leggauss(8))
    px = (np.arange(shape[1])[:, None] + at).ravel() - x
    py = ((np.arange(shape[0])[:, None] + at).ravel() - y)[:, None]
    xx, xy, yy = spread
    det = xx * yy - xy**2
    values = np.exp(-(yy * px**2 - 2 * xy * px * py + xx * py**2) / (2 * det)) / (2 * np.pi * np.sqrt(det))
    return np.einsum("yaxb,a,b->yx", values.reshape(shape[0], 8, shape[1], 8), weight, weight)


@pytest.mark.parametrize("widths", WIDTHS)
def test_gaussians(widths):
    """Covariances of source and PSF add, turned ones as well; without a width it is the point."""
    transform, spread = gaussian(0.7, 4), covariance(*widths)
    together = (spread[0] + 0.49, spread[1], spread[2] + 0.49)
    for x, y in POSITIONS:
        found = np.asarray(point(transform, x, y, SHAPE, PERIOD, spread))[0]
        assert np.abs(found - of_gaussian(x, y, together)).max() < 2e-9
    if not any(widths):
        np.testing.assert_allclose(found, np.asarray(point(transform, x, y, SHAPE, PERIOD))[0], atol=1e-15)


def test_windows_with_a_margin():
    """Sources beside the window reach into it, and nothing comes in from the other side."""
    period, margin, spread = (60, 64), (12, 12), covariance(2.0, 2.0, 0.0)
    for x, y in ((-3.2, 17.0), (40.0, -5.0), (20.0, 40.1)):
        found = np.asarray(point(gaussian(0.7, 4, period), x, y, SHAPE, period, spread, margin))[0]
        wanted = of_gaussian(x, y, (4.49, 0.0, 4.49))
        assert wanted.max() > 1e-3 and np.abs(found - wanted).max() < 1e-8
    assert not np.any(point(gaussian(0.7, 4, period), -13.0, 17.0, SHAPE, period, spread, margin))


def moments(transform, p, weight=None, overlap=False):
    if overlap:
        return k.point_overlap(transform, weight, p[0], p[1], PERIOD, (p[2], p[3], p[4]))
    return k.point_image(transform, p[0], p[1], SHAPE, PERIOD, (p[2], p[3], p[4]))


def test_slopes_in_the_widths():
    transform = gaussian(0.7, 4)
    image = jax.jit(lambda p: moments(transform, p)[0])
    first = jax.jit(jax.jacfwd(image))
    h = 1e-5
    for at in ([20.31, 16.77, 4.0, 0.8, 2.0], [20.5, 17.0, 0.3, 0.0, 0.3], [20.0, 17.0, 0.0, 0.0, 0.0]):
        at = np.array(at)
        wanted = np.stack([(image(at + s) - image(at - s)) / (2 * h) for s in h * np.eye(5)], axis=-1)
        np.testing.assert_allclose(first(at), wanted, atol=2e-9)


def test_overlaps_are_sums_over_the_image():
    """Value, slopes and second slopes; jit and vmap change nothing."""
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(2, *SHAPE))
    transform = np.concatenate([gaussian(0.7, 2), gaussian(1.3, 2)])
    share = np.array([0.3, -1.2])

    def slow(p, scale=1.0):
        return jnp.sum(share[:, None, None] * weight * moments(transform * scale, p))

    def quick(p, scale=1.0):
        return jnp.sum(share * moments(transform * scale, p, weight, True))

    def everything(f):
        return jax.jit(lambda p: (f(p), jax.grad(f)(p), jax.jacfwd(jax.grad(f))(p)))

    for at in ([20.31, 16.77, 4.0, 0.8, 2.0], [38.7, 16.2, 0.5, 0.1, 0.3], [20.0, 17.5, 0.0, 0.0, 0.0]):
        at = np.array(at)
        for found, wanted in zip(everything(quick)(at), everything(slow)(at), strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-11)
    np.testing.assert_allclose(jax.grad(quick, argnums=1)(at, 1.0), jax.grad(slow, argnums=1)(at, 1.0), rtol=1e-10)
    rows = np.stack([at + 0.1 * i for i in range(3)])
    batch = jax.jit(jax.vmap(quick))(rows)
    np.testing.assert_allclose(batch, [quick(jnp.asarray(row)) for row in rows], rtol=1e-12)


@pytest.mark.parametrize("width", [2.69, 2.71, 4.0])
def test_wide_gaussians_need_one_band(width):
    """Next to the width from which on the other bands are left out: the sum over all of them, for every order."""
    s, (x, y), spread = 4, (20.31, 16.77), covariance(width, width + 0.01, 0.3)
    # a kernel without a Gaussian's decay of its own
    transform = np.stack([gaussian(0.2, s)[0], gaussian(0.1, s)[0]])
    orders = ((0, 0), (1, 0), (2, 1), (0, 4))
    fy, fx = k.frequencies(PERIOD, s)
    fy = fy[:, :, None, None]
    xx, xy, yy = spread
    factor = np.exp(-2 * np.pi**2 * (xx * fx**2 + 2 * xy * fx * fy + yy * fy**2) - 2j * np.pi * (fx * x + fy * y))

    def spectra(spread):
        return k._spectra(jnp.asarray(transform), x, y, spread, PERIOD, orders)

    weight = np.random.default_rng(4).normal(size=(2, *PERIOD))
    overlaps = k._overlaps(jnp.asarray(transform), weight, x, y, spread, PERIOD, orders)
    for (i, j), found, overlap in zip(orders, jax.jit(spectra)(spread), overlaps, strict=True):
        wanted = (transform * factor * (-2j * np.pi * fx) ** i * (-2j * np.pi * fy) ** j).sum(axis=(1, 3))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())
        image = np.fft.irfft2(wanted, PERIOD)
        np.testing.assert_allclose(overlap, (weight * image).sum(axis=(1, 2)), atol=1e-10 * np.abs(image).sum())
    # one narrow among wide ones takes all bands for all
    rows = [np.stack([c, n]) for c, n in zip(spread, covariance(0.5, 0.6, 0.0), strict=True)]
    batch = jax.jit(jax.vmap(spectra))(tuple(rows))
    for row in range(2):
        for found, wanted in zip(batch, spectra(tuple(c[row] for c in rows)), strict=True):
            np.testing.assert_allclose(found[row], wanted, atol=1e-13 * np.abs(wanted).max())


def test_eager_is_jit_and_vmap_is_a_loop():
    transform = gaussian(1.2, 2)
    at = np.array([[13.0, 14.0], [9.5, 10.2], [20.0, -3.0]])
    batch = jax.jit(jax.vmap(lambda x, y: k.point_image(transform, x, y, SHAPE, PERIOD)))(at[:, 0], at[:, 1])
    for i in range(3):
        np.testing.assert_allclose(batch[i], point(transform, *at[i], SHAPE, PERIOD), atol=1e-15)
        np.testing.assert_allclose(k.point_image(jnp.asarray(transform), *at[i], SHAPE, PERIOD), batch[i], atol=1e-15)


def test_single_precision():
    with jax.enable_x64(False):
        transform = jnp.asarray(gaussian(1.2, 2), jnp.float32)
        found = point(transform, jnp.float32(20.123), jnp.float32(16.71), SHAPE, PERIOD)
        assert found.dtype == jnp.float32
    np.testing.assert_allclose(found[0], exact(20.123, 16.71, 1.2), atol=5e-6 * 0.1)


@pytest.mark.parametrize("n", [1, 5, 9])
def test_sharing_out_over_four_pixels(n):
    """Two steps by scipy: a map of four pixels, and a convolution."""
    rng = np.random.default_rng(8)
    kernel = rng.random((3, n, n))
    for x, y in ((10.0, 8.0), (10.25, 8.5), (3.4, 13.9), (0.2, 0.1), (-0.6, 7.0), (14.7, 14.2)):
        four = np.zeros((15 + 4, 14 + 4))
        ix, iy = int(np.floor(x)), int(np.floor(y))
        for j, i in ((0, 0), (0, 1), (1, 0), (1, 1)):
            four[iy + j + 2, ix + i + 2] = (1 - abs(x - ix - i)) * (1 - abs(y - iy - j))
        wanted = np.stack([convolve(four, plane, mode="full") for plane in kernel])
        half = n // 2 + 2
        found = np.asarray(bilinear(kernel, x, y, (15, 14)))
        np.testing.assert_allclose(found, wanted[:, half : half + 15, half : half + 14], atol=1e-13)
    weights = np.asarray(k.hat(jnp.asarray([-1.5, -1.0, -0.25, 0.0, 0.5, 2.0])))
    np.testing.assert_array_equal(weights, [0, 0, 0.75, 1, 0.5, 0])


def test_four_pixel_images_have_finite_slopes():
    """Kinks at pixel centres and all: slopes of one side."""
    kernel = np.random.default_rng(12).random((1, 5, 5))
    slope = jax.jit(jax.jacfwd(lambda x: k.bilinear_point_image(kernel, x, 4.0, (9, 9))))
    for x in (4.0, 4.5, 4.25):
        assert np.all(np.isfinite(slope(x)))
    h = 1e-6
    wanted = (bilinear(kernel, 4.25 + h, 4.0, (9, 9)) - bilinear(kernel, 4.25 - h, 4.0, (9, 9))) / (2 * h)
    np.testing.assert_allclose(slope(4.25), wanted, atol=1e-9)
