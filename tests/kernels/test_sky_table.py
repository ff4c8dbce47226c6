import jax
import numpy as np

from gammajax.kernels import sky_table as k

VALUES = np.array([[1.0, 2.0, 4.0, 8.0], [3.0, 6.0, 0.0, 24.0], [9.0, 18.0, 36.0, 72.0]])


def test_images_are_bilinear_in_the_logarithm():
    x, y = np.array([0.0, 0.5, 1.25, 3.0, 0.5, -0.25]), np.array([0.0, 0.5, 0.0, 2.0, 2.25, 0.0])
    found = k.interpolate_image(VALUES, x, y, False)
    # 2^x 3^y but for the empty pixel, also half a pixel beyond the outer centres
    np.testing.assert_allclose(found, 2.0**x * 3.0**y, rtol=1e-12)
    outside = k.interpolate_image(VALUES, np.array([-0.51, 3.5, 1.0, np.nan]), np.array([0.0, 0.0, 2.5, 0.0]), False)
    np.testing.assert_array_equal(outside, 0)
    assert float(k.interpolate_image(VALUES, np.array([2.0]), np.array([1.0]), False)[0]) == 0
    assert 0 <= float(k.interpolate_image(VALUES, np.array([2.5]), np.array([1.0]), False)[0]) < 1e-150
    # a line through ln 0 does not go on beyond the outer centres
    beyond = k.interpolate_image(VALUES[:2], np.array([2.0, 3.4, 3.4]), np.array([-0.4, 0.0, 1.4]), False)
    np.testing.assert_allclose(beyond, [4, 8, 24], rtol=1e-12)


def test_columns_go_round():
    at = np.array([3.25, -0.5, 3.499])
    found = k.interpolate_image(VALUES[:1], at, np.zeros(3), True)
    np.testing.assert_allclose(found, [8 * 8**-0.25, np.sqrt(8), 8 * 8**-0.499], rtol=1e-12)


def test_cubes_are_linear_in_the_logarithm_between_planes():
    cube = np.stack([VALUES, 10 * VALUES, 1000 * VALUES])
    x, y = np.array([0.0, 0.5]), np.array([0.5, 2.0])
    plane = np.array([0.0, 0.5, 1.5, 2.25, -0.6, 2.6])
    found = k.interpolate_cube(cube, plane, x, y, False)
    factor = [1, np.sqrt(10), 100, 1000 * np.sqrt(10), 0, 0]
    np.testing.assert_allclose(found, np.outer(factor, 2.0**x * 3.0**y), rtol=1e-12)
    one = k.interpolate_cube(cube[:1], np.array([0.0, 0.3, 0.7]), x, y, False)
    np.testing.assert_allclose(one, np.outer([1, 1, 0], 2.0**x * 3.0**y), rtol=1e-12)


def test_gradients_are_finite_everywhere():
    x, y = np.array([0.3, 2.0, 2.5, -3.0, np.nan]), np.array([0.2, 1.0, 1.0, 0.0, 0.0])

    def value(v, x):
        return k.interpolate_image(v, x, y, False)

    for slope in jax.jit(jax.jacfwd(value, argnums=(0, 1)))(VALUES, x):
        assert np.all(np.isfinite(slope))
    step = 1e-6
    slope = jax.jit(jax.jacfwd(value, argnums=1))(VALUES, x)[0, 0]
    ends = [value(VALUES, x + s)[0] for s in (-step, step)]
    np.testing.assert_allclose(slope, (ends[1] - ends[0]) / (2 * step), rtol=1e-8)
