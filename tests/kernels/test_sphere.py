"""Directions, frames and offsets: against astropy and mpmath, at poles, centres and opposite points."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from gammajax.kernels import sphere as k

LON, LAT = np.array([0.0, 83.633, 359.9, 180.0, 12.0]), np.array([0.0, 22.0145, -89.5, 89.999, -45.0])
RAD = np.pi / 180
offsets = jax.jit(k.local_offsets, static_argnames="frame")
slopes = jax.jit(jax.jacfwd(k.local_offsets, argnums=(0, 1, 2)))


def test_vectors_are_those_of_astropy():
    sky = SkyCoord(LON, LAT, unit="deg")
    np.testing.assert_allclose(k.lonlat_to_vector(LON, LAT), sky.cartesian.xyz.value.T, atol=1e-15)
    lon, lat = k.vector_to_lonlat(3.0 * k.lonlat_to_vector(LON, LAT))
    np.testing.assert_allclose(lon, LON, atol=1e-10)  # 1e-13 deg at the equator is this at 0.001 deg from the pole
    np.testing.assert_allclose(lat, LAT, atol=1e-13)
    galactic = SkyCoord(LON, LAT, unit="deg", frame="galactic").icrs
    vectors = k.to_icrs(k.lonlat_to_vector(LON, LAT), "galactic")
    np.testing.assert_allclose(vectors, galactic.cartesian.xyz.value.T, atol=1e-14)
    np.testing.assert_allclose(k.from_icrs(vectors, "galactic"), k.lonlat_to_vector(LON, LAT), atol=3e-15)
    for matrix in k.TO_ICRS.values():
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-15)
        assert np.linalg.det(matrix) > 0


def test_numpy_stays_on_the_host():
    """No compilation for host code, and the same numbers with it."""
    both = jax.jit(lambda lon, lat: k.vector_to_lonlat(k.lonlat_to_vector(lon, lat)))(LON, LAT)
    host = k.vector_to_lonlat(k.lonlat_to_vector(LON, LAT))
    assert isinstance(host[0], np.ndarray) and isinstance(k.lonlat_to_vector(1.0, 2.0), np.ndarray)
    np.testing.assert_allclose(both, host, atol=1e-12)


@pytest.mark.parametrize("frame", ["icrs", "galactic"])
def test_offsets_are_separations_and_position_angles(frame):
    centre = SkyCoord(83.633, 22.0145, unit="deg", frame=frame)
    angle, separation = np.array([0.0, 30.0, 100.0, 200.0, 359.0]), np.array([1e-7, 0.02, 3.0, 60.0, 170.0])
    sky = centre.directional_offset_by(angle * u.deg, separation * u.deg)
    vectors = k.to_icrs(k.lonlat_to_vector(sky.data.lon.deg, sky.data.lat.deg), frame)
    east, north = offsets(vectors, 83.633, 22.0145, frame=frame)
    np.testing.assert_allclose(np.hypot(east, north), separation, rtol=1e-12, atol=3e-14)
    np.testing.assert_allclose(np.rad2deg(np.arctan2(east, north))[1:] % 360, angle[1:], rtol=1e-10)
    # astropy again, which finds the angles by other formulas
    np.testing.assert_allclose(np.hypot(east, north), centre.separation(sky).deg, rtol=1e-10, atol=1e-13)
    back = jax.jit(k.offset_vectors, static_argnames="frame")(east, north, 83.633, 22.0145, frame=frame)
    np.testing.assert_allclose(back, vectors, atol=2e-15)
    np.testing.assert_allclose(
        k.local_offsets(vectors, 83.633, 22.0145, frame), np.array([east, north]), rtol=1e-12, atol=1e-13
    )


def test_angle_over_sine_is_exact_to_the_last_digits():
    mp.mp.dps = 40
    for s in (0.0, 1e-12, 1e-4, 9.999e-4, 1.0001e-3, 0.01, 0.7, 1.0):
        wanted = mp.asin(s) / mp.mpf(s) if s else mp.mpf(1)
        assert abs(k.angle_over_sine(np.float64(s) ** 2, np.sqrt(1 - np.float64(s) ** 2)) - float(wanted)) < 4e-16
    # beyond 90 deg
    theta = mp.mpf("2.5")
    found = k.angle_over_sine(np.float64(mp.sin(theta) ** 2), np.float64(mp.cos(theta)))
    assert abs(found / float(theta / mp.sin(theta)) - 1) < 1e-15
    derivative = jax.grad(k.angle_over_sine)
    assert abs(derivative(0.0, 1.0) - 1 / 6) < 1e-15 and np.isfinite(derivative(0.0, -1.0))
    assert abs(jax.grad(derivative)(0.0, 1.0) - 3 / 20) < 1e-15


def test_hypotenuse():
    a, b = np.array([3.0, 0.0, -1e-5, 1e-20]), np.array([4.0, 0.0, 2e-5, 0.0])
    np.testing.assert_allclose(k.hypotenuse(a, b), np.hypot(a, b), rtol=1e-15)
    slope = jax.vmap(jax.grad(k.hypotenuse, argnums=(0, 1)))(a[:3], b[:3])
    np.testing.assert_allclose(slope, [[0.6, 0, -(0.2**0.5)], [0.8, 0, 2 * 0.2**0.5]], rtol=1e-14)


def test_opposite_point_is_half_a_turn_away():
    exactly = -np.asarray(k.tangent_basis(0.0, 0.0)[2])
    east, north = offsets(exactly, 0.0, 0.0)
    assert float(east) == 0 and float(north) == 180
    east, north = offsets(-np.asarray(k.lonlat_to_vector(83.633, 22.0145)), 83.633, 22.0145)
    assert abs(np.hypot(east, north) - 180) < 1e-6
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree_util.tree_leaves(slopes(jnp.asarray(exactly), 0.0, 0.0)))


@pytest.mark.parametrize(
    ("at", "position"),
    [
        ((83.633, 22.0145), (83.633, 22.0145)),  # on the centre
        ((83.634, 22.0145), (83.633, 22.0145)),
        ((83.6, 22.0571), (83.633, 22.0145)),  # about where the series ends
        ((85.0, 21.0), (83.633, 22.0145)),
        ((264.0, -21.5), (83.633, 22.0145)),  # close to the opposite point
        ((10.0, 90.0), (10.0, 90.0)),
        ((10.0, 89.99), (50.0, 89.98)),
    ],
)
def test_gradients(at, position):
    """In the direction and in the position, against differences of offsets on the host."""
    vector = k.lonlat_to_vector(*at)
    found = slopes(jnp.asarray(vector), *position)
    h = 1e-6
    tolerance = 1e-5 if at[0] == 264.0 else 2e-8
    for axis in range(2):
        shift = h * np.eye(2)[axis]
        up, down = (np.array(k.local_offsets(vector, *(position + sign * shift))) for sign in (1, -1))
        wanted = (up - down) / (2 * h)
        ours = np.array([found[0][1 + axis], found[1][1 + axis]])
        np.testing.assert_allclose(ours, wanted, rtol=tolerance, atol=tolerance)
    for axis in range(3):
        shift = h * np.eye(3)[axis]
        up, down = (np.array(k.local_offsets(vector + sign * shift, *position)) for sign in (1, -1))
        ours = np.array([found[0][0][axis], found[1][0][axis]])
        np.testing.assert_allclose(ours, (up - down) / (2 * h), rtol=tolerance, atol=tolerance * 57)


def test_second_derivatives_at_the_centre():
    """Those of the squared separation, which fits of widths see: 2 cos^2 lat and 2."""
    vector = jnp.asarray(k.lonlat_to_vector(83.633, 22.0145))
    hessian = jax.hessian(lambda p: sum(v * v for v in k.local_offsets(vector, p[0], p[1])))(
        jnp.asarray([83.633, 22.0145])
    )
    np.testing.assert_allclose(hessian, np.diag([2 * np.cos(22.0145 * RAD) ** 2, 2]), atol=1e-10)


def test_offset_vectors_at_small_and_large_offsets():
    east, north = np.array([0.0, 1e-9, 0.05, 0.0573, 0.08, 120.0]), np.array([0.0, 0.0, 0.01, 0.001, 0.0, 60.0])
    vectors = k.offset_vectors(east, north, 10.0, 50.0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-15)
    back = k.local_offsets(vectors, 10.0, 50.0)
    np.testing.assert_allclose(back, [east, north], rtol=1e-12, atol=1e-14)
    slope = jax.jacfwd(k.offset_vectors, argnums=(0, 1))(0.0, 0.0, 10.0, 50.0)
    np.testing.assert_allclose(slope, k.tangent_basis(10.0, 50.0)[:2] * RAD, atol=1e-17)


def test_vmap_is_a_loop():
    vectors = k.lonlat_to_vector(83.6 + LON / 100, 22 + LAT / 100)
    one = jax.jit(lambda lon, lat: jnp.stack(k.local_offsets(vectors, lon, lat)))
    lon, lat = np.array([83.0, 83.6, 84.0]), np.array([22.0, 21.0, 22.3])
    batch = jax.jit(jax.vmap(one))(lon, lat)
    for i in range(3):
        np.testing.assert_allclose(batch[i], one(lon[i], lat[i]), rtol=1e-13, atol=1e-14)


def test_single_precision():
    """Small offsets keep the accuracy of the direction, 6e-8 rad."""
    with jax.enable_x64(False):
        vectors = jnp.asarray(k.lonlat_to_vector(np.float32(83.65), np.float32(22.02)))
        assert vectors.dtype == jnp.float32
        east, north = jax.jit(k.local_offsets)(vectors, 83.633, 22.0145)
        assert east.dtype == jnp.float32
    wanted = k.local_offsets(k.lonlat_to_vector(83.65, 22.02), 83.633, 22.0145)
    np.testing.assert_allclose([east, north], wanted, atol=1e-5)
