"""Profiles at positions, containment, kernels on pixels and lattices, each against a slow way to the same number."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator, interp1d
from scipy.special import j0

from gammajax.kernels import psf as k

EDGES = np.linspace(0, 0.66, 67)
RAD = (EDGES[1:] + EDGES[:-1]) / 2
SIGMA = np.array([0.05, 0.1, 0.15])
PROFILES = np.exp(-0.5 * (RAD / SIGMA[:, None]) ** 2) / (2 * np.pi * np.radians(SIGMA[:, None]) ** 2)
WITH_EMPTY = np.concatenate([PROFILES, np.zeros((1, RAD.size))])

at_position = jax.jit(k.at_position)
nearest = jax.jit(k.nearest_valid)
radius_of = jax.jit(k.containment_radius)
pixel_kernel = jax.jit(k.pixel_kernel, static_argnames=("size", "tangent"))


@partial(jax.jit, static_argnames=("s", "size"))
def spectrum(profile, rad, last, reach, taper, jacobian, s, size):
    """Transforms at the frequencies of a real transform of ``size`` squared lattice nodes, ``s`` a pixel."""
    f = jnp.asarray(np.fft.fftfreq(size) * s, profile.dtype)
    return k.transforms(profile, rad, last, reach, taper, jacobian, f[: size // 2 + 1], f[:, None])


def test_interpolation_along_an_axis():
    nodes, values = np.array([0.0, 1.0, 3.0, 4.0]), np.arange(24.0).reshape(2, 4, 3) ** 1.3
    at = np.array([-1.0, 0.0, 0.4, 1.0, 3.5, 4.0, 6.0])
    line = interp1d(nodes, values, axis=1, fill_value="extrapolate")
    found = jax.jit(lambda v, at: (k.interpolate_axis(v, nodes, at, 1, True), k.interpolate_axis(v, nodes, at, 1)))
    on, held = found(values, at)
    np.testing.assert_allclose(on, line(at), rtol=1e-13)
    np.testing.assert_allclose(held, line(np.clip(at, 0, 4)), rtol=1e-13)
    np.testing.assert_array_equal(k.interpolate_axis(values[:, :1], nodes[:1], at, 1), np.repeat(values[:, :1], 7, 1))
    slope = jax.vmap(jax.grad(lambda a: k.interpolate_axis(values, nodes, a[None], 1)[0, 0, 0]))(at[[0, 2, 4, 6]])
    steps = np.diff(values[0, :, 0]) / np.diff(nodes)
    np.testing.assert_allclose(slope, [0, steps[0], steps[2], 0], rtol=1e-12)


def test_images_at_a_position():
    """Bilinear, straight on for half a pixel beyond the outermost centres, then constant."""
    maps = np.random.default_rng(1).random((2, 3, 4, 5))
    line = RegularGridInterpolator(
        (np.arange(4), np.arange(5)), np.moveaxis(maps, (2, 3), (0, 1)), fill_value=None, bounds_error=False
    )
    for x, y in ((1.3, 2.6), (0.0, 0.0), (4.0, 3.0), (2.0, 1.5), (-0.4, 3.4), (4.5, -0.5), (2.5, 2.5)):
        np.testing.assert_allclose(at_position(maps, x, y), line((y, x)), rtol=1e-12, atol=1e-13)
    for x, y in ((-3.0, 1.2), (9.0, 12.0)):
        np.testing.assert_allclose(
            at_position(maps, x, y), line((np.clip(y, -0.5, 3.5), np.clip(x, -0.5, 4.5))), rtol=1e-12
        )
    # axes of one pixel are constant
    np.testing.assert_array_equal(at_position(maps[..., :1, :1], 7.0, -3.0), maps[..., 0, 0])
    np.testing.assert_allclose(at_position(maps[..., :1], 7.0, 1.5), maps[..., 1:3, 0].mean(-1), rtol=1e-14)
    # one object for both coordinates
    same = jnp.asarray(2.5)
    np.testing.assert_allclose(k.at_position(jnp.asarray(maps), same, same), line((2.5, 2.5)), rtol=1e-13)
    points = np.random.default_rng(2).uniform(0, 3, (4, 2))
    batch = jax.jit(jax.vmap(k.at_position, in_axes=(None, 0, 0)))(maps, points[:, 0], points[:, 1])
    np.testing.assert_allclose(batch, line(points[:, ::-1]), rtol=1e-13)


def test_images_change_with_the_position():
    maps = np.random.default_rng(3).random((3, 4, 5))
    slope = jax.jit(jax.jacfwd(k.at_position, argnums=(1, 2)))
    for x, y in ((1.3, 2.6), (3.9, 0.1), (-0.3, 3.2), (8.0, 1.5)):
        h = 1e-6
        for axis, found in enumerate(slope(maps, x, y)):
            dx, dy = h * np.eye(2)[axis]
            wanted = (at_position(maps, x + dx, y + dy) - at_position(maps, x - dx, y - dy)) / (2 * h)
            np.testing.assert_allclose(found, wanted, atol=1e-9)
    # on a pixel centre the slope is that of one side
    np.testing.assert_allclose(slope(maps, 2.0, 1.0)[0], maps[:, 1, 3] - maps[:, 1, 2], rtol=1e-12)


def test_nearest_pixel_that_is_valid():
    rng = np.random.default_rng(4)
    for valid in (rng.random((5, 6)) > 0.7, np.ones((1, 1), bool), rng.random((1, 6)) > 0.5):
        ny, nx = valid.shape
        gy, gx = np.nonzero(valid)
        for x, y in ((1.2, 3.4), (-4.0, 2.0), (7.7, 9.0), (0.0, 0.0), (5.4, 0.2)):
            ix, iy, moved = (int(v) for v in nearest(valid, x, y))
            ox, oy = int(np.clip(np.rint(x), 0, nx - 1)), int(np.clip(np.rint(y), 0, ny - 1))
            assert valid[iy, ix] and bool(moved) == (not valid[oy, ox])
            if moved:
                assert np.isclose(np.hypot(ix - x, iy - y), np.hypot(gx - x, gy - y).min())
            else:
                assert (ix, iy) == (ox, oy)


@pytest.mark.parametrize("position", [(np.nan, np.nan), (np.inf, 2.0), (1.0, -np.inf)])
def test_position_off_the_projection_counts_as_the_middle(position):
    valid = np.zeros((5, 7), bool)
    assert [int(v) for v in nearest(valid, *position)] == [0, 0, 1]
    valid[2, 4] = valid[0, 0] = True
    assert [int(v) for v in nearest(valid, *position)] == [4, 2, 1]
    valid[2, 3] = True
    assert [int(v) for v in nearest(valid, *position)] == [3, 2, 1]


def test_nothing_valid_moves_nothing():
    ix, iy, moved = nearest(np.zeros((3, 4), bool), 1.8, 7.0)
    assert (int(ix), int(iy), bool(moved)) == (2, 2, False)


def test_containment():
    found = np.asarray(jax.jit(k.containment)(WITH_EMPTY, RAD, EDGES))
    wanted = np.zeros((4, 67))
    for e in range(4):
        for i in range(66):
            area = 2 * np.pi * np.radians(RAD[i]) * np.radians(EDGES[i + 1] - EDGES[i])
            wanted[e, i + 1] = wanted[e, i] + WITH_EMPTY[e, i] * area
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-16)
    # the midpoint rule overshoots by (step / sigma)^2 / 24
    np.testing.assert_allclose(found[1], 1 - np.exp(-0.5 * (EDGES / 0.1) ** 2), atol=7e-4)
    np.testing.assert_array_equal(found[3], 0)


def test_containment_radius():
    for share in (0.1, 0.393, 0.68, 0.95):
        found = np.asarray(radius_of(WITH_EMPTY, RAD, EDGES, share))
        np.testing.assert_allclose(found[:3], SIGMA * np.sqrt(-2 * np.log(1 - share)), atol=0.8e-3)
        # to a twentieth of a bin
        np.testing.assert_allclose(found / 0.01 * k.FINE % 1, 0.5, atol=1e-9)
    # a profile of zeros: the first of the radii; one that ends too early: the last
    assert np.isclose(found[3], 0.01 / 40)
    flat = np.full((1, 66), 0.5 / (np.pi * np.radians(0.66) ** 2))
    assert np.isclose(radius_of(flat, RAD, EDGES, 0.999)[0], 0.66 - 0.01 / 40)


def test_odd_width():
    extents = np.array([0.0, 0.2, 1.0, 1.01, 2.0, 2.5, 3.0, 36.7, 37.0])
    np.testing.assert_array_equal(k.odd_width(extents), 2 * np.floor(np.ceil(extents) / 2) + 1)
    assert np.all(np.asarray(k.odd_width(extents)) % 2 == 1)


def test_values_between_and_beyond_the_radii():
    radius = np.array([[0.0, 0.001, 0.005], [0.1234, 0.66, 3.0]])
    found = jax.jit(k.radial_values)(WITH_EMPTY, RAD, radius)
    wanted = np.maximum(interp1d(RAD, WITH_EMPTY, fill_value="extrapolate")(radius), 0)
    np.testing.assert_allclose(found, np.moveaxis(wanted, 0, -1), rtol=1e-11)
    assert found.shape == (2, 3, 4) and np.all(np.asarray(found)[1, 2] == 0)


@pytest.mark.parametrize("tangent", [False, True])
def test_kernel_on_pixels_is_a_mean_over_points(tangent):
    """A loop over pixels and points; widths, factors from 1 to 4, an empty plane."""
    scale, size = 0.05, 15
    widths, factors = np.array([7.0, 11.0, 15.0, 15.0]), np.array([4.0, 3.0, 2.0, 1.0])
    table = np.concatenate([PROFILES, PROFILES[1:2]])
    found = np.asarray(pixel_kernel(table, RAD, widths, factors, scale, size=size, tangent=tangent))
    for e in range(4):
        line, n = interp1d(RAD, table[e], fill_value="extrapolate"), int(factors[e])
        at = (np.arange(n) + 0.5) / n - 0.5
        wanted = np.zeros((size, size))
        for j in range(size):
            for i in range(size):
                if max(abs(j - 7), abs(i - 7)) < widths[e] / 2:
                    r = scale * np.hypot(j - 7 + at[:, None], i - 7 + at[None, :])
                    # separations on the sky are arc tangents of distances on the tangential plane
                    r = np.degrees(np.arctan(np.radians(r))) if tangent else r
                    wanted[j, i] = np.maximum(line(r), 0).mean()
        np.testing.assert_allclose(found[e], wanted / wanted.sum(), rtol=1e-11, atol=1e-16)
    empty = np.asarray(pixel_kernel(WITH_EMPTY, RAD, widths, factors, scale, size=size))
    np.testing.assert_allclose(empty.sum((1, 2)), [1, 1, 1, 0], rtol=1e-13)


def test_slopes_of_kernels_are_finite_and_right():
    """In the values of the profile, with an empty plane, whose slope is 0."""
    widths, factors = np.full(4, 7.0), np.array([1.0, 2.0, 3.0, 4.0])
    direction = np.random.default_rng(5).random(WITH_EMPTY.shape) * PROFILES.max()
    direction[3] = 0

    def one(t):
        return pixel_kernel(WITH_EMPTY + t * direction, RAD, widths, factors, 0.05, size=7)

    found, h = np.asarray(jax.jit(jax.jacfwd(one))(0.0)), 1e-5
    np.testing.assert_allclose(found, (one(h) - one(-h)) / (2 * h), atol=1e-8)
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(pixel_kernel(p, RAD, widths, factors, 0.05, size=7) ** 2)))(
        WITH_EMPTY
    )
    assert np.all(np.isfinite(gradient)) and np.all(np.asarray(gradient)[3] == 0)


JACOBIAN = np.array([[-0.05, 0.01], [0.012, 0.04]])


BEYOND = np.full(4, 10.0)
"""Radii farther out than the profiles: they are whole."""


def _transform(profile, reach, taper, frequency):
    """Of a profile that is straight between its radii, by many more nodes and scipy's Bessel function."""
    nodes, weights = np.polynomial.legendre.leggauss(30)
    edges = np.unique(np.concatenate([[0.0], RAD, [0.66], np.clip([reach, reach + 2 * taper], 0, 0.66)]))
    r = ((edges[1:] + edges[:-1])[:, None] / 2 + np.diff(edges)[:, None] / 2 * nodes).ravel()
    values = np.maximum(interp1d(RAD, profile, fill_value="extrapolate")(r), 0)
    weight = (np.diff(edges)[:, None] / 2 * weights).ravel() * r * values
    ending = 0.5 - np.sin(np.pi / 2 * np.clip((r - reach) / taper - 1, -1, 1)) / 2
    return j0(2 * np.pi * frequency[..., None] * r) @ (weight * ending) / weight.sum()


@pytest.mark.parametrize(("s", "size"), [(2, 30), (1, 25)])
def test_spectrum_on_a_lattice(s, size):
    """Skew pixels that are not square; even and odd sizes; an empty plane."""
    found = np.asarray(spectrum(WITH_EMPTY, RAD, EDGES[-1], BEYOND, 0.05, JACOBIAN, s=s, size=size))
    assert found.shape == (4, size, size // 2 + 1)
    f = np.fft.fftfreq(size) * s
    fx, fy = np.meshgrid(f[: size // 2 + 1], f)
    # k . offset = f . pixels for all pixels
    ke, kn = np.linalg.inv(JACOBIAN).T @ np.stack([fx.ravel(), fy.ravel()])
    frequency = np.hypot(ke, kn).reshape(fx.shape)
    for e in range(3):
        np.testing.assert_allclose(found[e], _transform(PROFILES[e], 10, 0.05, frequency), atol=1e-6)
    # close to what a Gaussian has; a table of steps of a fifth of sigma is not better
    np.testing.assert_allclose(found[1], np.exp(-2 * (np.pi * 0.1 * frequency) ** 2), atol=3e-3)
    np.testing.assert_array_equal(found[3], 0)
    np.testing.assert_allclose(found[:3, 0, 0], 1, rtol=1e-12)


@pytest.mark.parametrize("room", [1.0, 1.2, 0.8])
def test_one_table_for_many_positions(room):
    """It may end above the frequencies that are asked for; beyond its end it holds its last value."""
    f = np.fft.fftfreq(24) * 2
    fx, fy = f[:13], f[:, None]
    highest = np.max(k.radial_frequencies(JACOBIAN, fx, fy))
    ke, kn = np.linalg.inv(JACOBIAN).T @ np.stack(np.broadcast_arrays(fx, fy)).reshape(2, -1)
    frequency = np.hypot(ke, kn).reshape(24, 13)
    np.testing.assert_allclose(highest, frequency.max(), rtol=1e-13)
    found = np.asarray(k.transforms(PROFILES, RAD, EDGES[-1], BEYOND[:3], 0.05, JACOBIAN, fx, fy, room * highest))
    inside = frequency < 0.99 * room * highest
    for e in range(3):
        wanted = _transform(PROFILES[e], 10, 0.05, np.minimum(frequency, room * highest))
        np.testing.assert_allclose(found[e][inside], wanted[inside], atol=1e-6)
        assert np.all(np.abs(found[e] - wanted)[~inside] < 1e-2)


@pytest.mark.parametrize("reach", [0.155, 0.1577, 0.4, 0.65])
def test_spectrum_of_a_profile_that_ends(reach):
    """Whole before it was cut, so that the cut loses events; and smooth in where it ends."""
    f = np.fft.fftfreq(24) * 2
    frequency = np.hypot(*np.meshgrid(f[:13], f)) / 0.05

    def one(reach):
        return spectrum(PROFILES, RAD, EDGES[-1], jnp.full(3, reach), 0.05, 0.05 * np.eye(2), s=2, size=24)

    found, slope = (np.asarray(v) for v in jax.jit(lambda r: jax.jvp(one, (r,), (1.0,)))(reach))
    for e in range(3):
        np.testing.assert_allclose(found[e], _transform(PROFILES[e], reach, 0.05, frequency), atol=1e-5)
    np.testing.assert_allclose(slope, (one(reach + 1e-5) - one(reach - 1e-5)) / 2e-5, atol=2e-3)
    lost = 1 - found[:, 0, 0]
    assert np.all(lost < np.exp(-0.5 * (reach / SIGMA) ** 2) + 1e-4)
    assert reach > 0.2 or np.all(lost[1:] > 0.1)


def test_slope_of_a_spectrum():
    direction = np.random.default_rng(6).random(WITH_EMPTY.shape) * WITH_EMPTY

    def one(t):
        return spectrum(WITH_EMPTY + t * direction, RAD, EDGES[-1], BEYOND, 0.05, JACOBIAN, s=2, size=16)

    h = 1e-5
    np.testing.assert_allclose(jax.jit(jax.jacfwd(one))(0.0), (one(h) - one(-h)) / (2 * h), atol=1e-8)
    gradient = jax.jit(
        jax.grad(lambda p, j: jnp.sum(spectrum(p, RAD, EDGES[-1], BEYOND, 0.05, j, s=2, size=16) ** 2), argnums=(0, 1))
    )(WITH_EMPTY, JACOBIAN)
    assert all(np.all(np.isfinite(g)) for g in gradient) and np.all(np.asarray(gradient[0])[3] == 0)


def test_vmap_is_a_loop():
    tables = np.stack([WITH_EMPTY, 2 * WITH_EMPTY[::-1]])
    reach = np.array([[0.6, 0.5, 0.4, 0.3], [0.66] * 4])
    batch = jax.jit(jax.vmap(lambda p, r: spectrum(p, RAD, EDGES[-1], r, 0.05, JACOBIAN, s=2, size=16)))(tables, reach)
    for i in range(2):
        one = spectrum(tables[i], RAD, EDGES[-1], reach[i], 0.05, JACOBIAN, s=2, size=16)
        np.testing.assert_allclose(batch[i], one, atol=1e-13)


def test_normalised_planes():
    planes = np.stack([np.full((3, 3), 2.0), np.zeros((3, 3)), np.eye(3)])
    found = k.normalised(jnp.asarray(planes))
    np.testing.assert_allclose(found[0], 1 / 9), np.testing.assert_allclose(found[2], np.eye(3) / 3)
    np.testing.assert_array_equal(found[1], 0)
    assert np.all(np.isfinite(jax.grad(lambda p: jnp.sum(k.normalised(p) ** 2))(jnp.asarray(planes))))


def test_single_precision():
    with jax.enable_x64(False):
        profiles, rad, edges, jacobian = (jnp.asarray(a, jnp.float32) for a in (WITH_EMPTY, RAD, EDGES, JACOBIAN))
        found = spectrum(profiles, rad, edges[-1], jnp.full(4, 10.0), 0.05, jacobian, s=2, size=24)
        widths, factors = jnp.full(4, 11.0), jnp.asarray([1.0, 2.0, 3.0, 4.0])
        pixels = pixel_kernel(profiles, rad, widths, factors, 0.05, size=11)
        assert found.dtype == pixels.dtype == jnp.float32
    wanted = spectrum(WITH_EMPTY, RAD, EDGES[-1], BEYOND, 0.05, JACOBIAN, s=2, size=24)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    wanted = pixel_kernel(WITH_EMPTY, RAD, np.full(4, 11.0), np.array([1.0, 2.0, 3.0, 4.0]), 0.05, size=11)
    np.testing.assert_allclose(pixels, wanted, atol=1e-6)
