"""Transforms of radial profiles against closed forms, and the tables between."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import j0, j1

from gammajax.kernels import hankel as k

bessel = jax.jit(k.bessel_j0)
spectrum = jax.jit(k.radial_spectrum)
quadrature = jax.jit(k.radial_quadrature)
interpolate = jax.jit(k.interpolate_uniform)


def test_bessel_function():
    x = np.concatenate([[0.0, 1e-9], np.linspace(0, 12, 2401), [3.0, 3 + 1e-12], np.geomspace(12, 1e4, 500)])
    np.testing.assert_allclose(bessel(x), j0(x), atol=5e-8)
    np.testing.assert_allclose(k.bessel_j0(jnp.asarray(x[::500])), bessel(x)[::500], atol=1e-15)
    # its own derivative, to what the approximation allows
    slope = jax.vmap(jax.grad(k.bessel_j0))(x[:-500:50])
    np.testing.assert_allclose(slope, -j1(x[:-500:50]), atol=1e-6)
    assert float(bessel(0.0)) == 1
    with jax.enable_x64(False):
        found = k.bessel_j0(jnp.asarray(x, jnp.float32))
        assert found.dtype == jnp.float32
        # rounding of the argument, and of a phase of hundreds of turns
        np.testing.assert_allclose(found, j0(x), atol=1e-5)


def test_quadrature_in_rings():
    """Exact for polynomials between neighbouring radii, from 0 to the end, also with a radius at 0."""
    for rad in (np.array([0.05, 0.1, 0.3, 0.4]), np.array([0.0, 0.1, 0.3, 0.4])):
        radius, weight = quadrature(rad, 0.5)
        assert radius.shape == weight.shape == (5 * k.NODES,)
        for power in range(2 * k.NODES - 1):
            wanted = 2 * np.pi * 0.5 ** (power + 2) / (power + 2)
            np.testing.assert_allclose(np.sum(weight * radius**power), wanted, rtol=1e-13)
    slope = jax.grad(lambda last: jnp.sum(k.radial_quadrature(rad, last)[1]))(0.5)
    np.testing.assert_allclose(slope, 2 * np.pi * 0.5, rtol=1e-12)


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.3])
def test_transform_of_a_gaussian(sigma):
    rad = np.arange(0.005, 8 * sigma, sigma / 6)
    radius, weight = quadrature(rad, 8 * sigma)
    frequency = np.linspace(0, 1.2 / sigma, 40)
    values = jnp.exp(-0.5 * (radius / sigma) ** 2)[:, None] / (2 * np.pi * sigma**2) * jnp.array([1.0, 3.0, 0.0])
    found = spectrum(values, radius, weight, frequency)
    wanted = np.exp(-2 * (np.pi * sigma * frequency) ** 2)
    np.testing.assert_allclose(found, wanted[:, None] * np.array([1.0, 3.0, 0.0]), atol=2e-7)


def test_transform_of_a_disk():
    """2 j1(z) / z, z = 2 pi k R."""
    size = 0.3
    radius, weight = quadrature(np.linspace(0.005, 0.295, 30), size)
    frequency = np.linspace(0.01, 12, 50)
    values = jnp.full((radius.size, 1), 1 / (np.pi * size**2))
    z = 2 * np.pi * frequency * size
    np.testing.assert_allclose(spectrum(values, radius, weight, frequency)[:, 0], 2 * j1(z) / z, atol=5e-8)


def test_transform_is_linear_in_the_profile():
    """Its derivative in the profile is the transform of the direction; a profile of zeros has zeros."""
    radius, weight = quadrature(np.linspace(0.01, 0.3, 12), 0.32)
    frequency = np.linspace(0, 3, 5)
    rng = np.random.default_rng(2)
    values, direction = rng.random((2, radius.size, 2))
    _, slope = jax.jvp(lambda v: spectrum(v, radius, weight, frequency), (values,), (direction,))
    np.testing.assert_allclose(slope, spectrum(direction, radius, weight, frequency), rtol=1e-13)
    np.testing.assert_array_equal(spectrum(0 * values, radius, weight, frequency), 0)
    batch = jax.jit(jax.vmap(k.radial_spectrum, in_axes=(0, None, None, None)))(
        np.stack([values, direction]), radius, weight, frequency
    )
    np.testing.assert_allclose(batch[1], spectrum(direction, radius, weight, frequency), rtol=1e-12)


def test_interpolation_is_cubic_and_even():
    at = np.array([0.0, 0.3, 1.0, 2.5, 4.999, 6.0])
    table = np.arange(9.0)[:, None] ** np.arange(4)
    # away from 0 polynomials of third order are exact
    np.testing.assert_allclose(interpolate(table, at)[2:], at[2:, None] ** np.arange(4), rtol=1e-12)
    # around 0 it is that of an even function
    even = np.stack([np.arange(9.0) ** 2, np.cos(0.2 * np.arange(9.0))], axis=1)
    found = interpolate(even, at)
    np.testing.assert_allclose(found[:, 0], at**2, atol=1e-12)
    np.testing.assert_allclose(found[:, 1], np.cos(0.2 * at), atol=4e-5)
    np.testing.assert_allclose(interpolate(even, at.reshape(2, 3)), np.asarray(found).reshape(2, 3, 2), rtol=1e-13)
    slope = jax.vmap(jax.grad(lambda p: k.interpolate_uniform(even, p)[0]))(at)
    np.testing.assert_allclose(slope, 2 * at, atol=1e-12)
    # it is linear in the table, and its slopes are derivatives of any order
    into = jax.jacrev(lambda t: k.interpolate_uniform(t, at))(even)
    np.testing.assert_allclose(jnp.einsum("peke,ke->pe", into, even), found, rtol=1e-13)
    bend = jax.vmap(jax.hessian(lambda p: k.interpolate_uniform(even, p)[0]))(at)
    np.testing.assert_allclose(bend, 2, atol=1e-12)


def test_table_of_a_spectrum_is_fine_enough():
    """512 nodes for a profile that reaches over 60 lattice steps: as `transforms` uses them."""
    sigma, reach = 2.0, 60.0  # lattice steps
    radius, weight = quadrature(np.arange(0.5, reach, 0.5), reach)
    wide = jnp.where(radius < 50, 1e-5, 0.0)
    values = (jnp.exp(-0.5 * (radius / sigma) ** 2) / (2 * np.pi * sigma**2) + wide)[:, None]
    step = np.sqrt(0.5) / 508
    table = spectrum(values, radius, weight, np.arange(512) * step)
    at = np.random.default_rng(3).uniform(0, 508, 200)
    wanted = spectrum(values, radius, weight, at * step)
    np.testing.assert_allclose(interpolate(table, at), wanted, atol=1e-5)
