import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import special

from gammajax.kernels import integrate_bins, integrate_steep_bins, legendre, nodes_for, order_for_width


@pytest.mark.parametrize("density, order", [(1, 48), (5, 16), (10, 12), (24, 12), (100, 12)])
def test_order_follows_the_widest_bin(density, order):
    edges = np.geomspace(0.1, 100, 3 * density + 1)
    assert nodes_for(edges) == order == order_for_width(np.log(10) / density)
    assert nodes_for(1e6 * edges) == order


def test_order_is_bounded():
    assert nodes_for(np.array([1e-5, 1e5])) == 128


def test_legendre_rule_integrates_polynomials_of_twice_its_order():
    nodes, weights = legendre(8)
    np.testing.assert_allclose(weights @ nodes**14, 2 / 15, rtol=1e-14)


@pytest.mark.parametrize("order", [101, 400])
def test_legendre_rules_of_high_order(order):
    nodes, weights = legendre(order)
    np.testing.assert_allclose(nodes, special.roots_legendre(order)[0], atol=3e-16)
    np.testing.assert_allclose([weights.sum(), weights @ nodes**14], [2, 2 / 15], rtol=1e-13)
    # 13 digits of integrals; weights at the ends are small
    with mp.workdps(200):
        for i in (0, 1, order // 3, order - 1):
            x = mp.findroot(lambda x: mp.legendre(order, x), mp.mpf(float(nodes[i])))
            slope = order * (mp.legendre(order - 1, x) - x * mp.legendre(order, x)) / (1 - x**2)
            np.testing.assert_allclose(
                weights[i], float(2 / ((1 - x**2) * slope**2)), atol=1e-13 * weights.max(), rtol=0
            )


def test_a_power_law_is_exact():
    edges = np.geomspace(0.01, 100, 41)
    found = integrate_bins(lambda e: e**-2.0, edges, nodes_for(edges))
    np.testing.assert_allclose(found, 1 / edges[:-1] - 1 / edges[1:], rtol=1e-12)


@pytest.mark.parametrize("density", [1, 10, 50])
@pytest.mark.parametrize("scale", [0.1, 5.0, 60.0])
def test_steep_falls_and_rises_keep_eight_digits(density, scale):
    """Falls by up to thousands of e-foldings within a bin, upwards and downwards in energy."""
    edges = np.geomspace(0.1, 10, 2 * density + 1)
    found = jax.jit(lambda x: integrate_steep_bins(lambda e: jnp.exp(-scale * e), x, nodes_for(edges)))(edges)
    low, high = edges[:-1], edges[1:]
    wanted = np.exp(-scale * low) * -np.expm1(-scale * (high - low)) / scale
    np.testing.assert_allclose(found, wanted, rtol=3e-9)
    rising = jax.jit(lambda x: integrate_steep_bins(lambda e: jnp.exp(-scale / e) / e**2, x, nodes_for(edges)))(edges)
    wanted = np.exp(-scale / high) * -np.expm1(scale / high - scale / low) / scale
    np.testing.assert_allclose(rising, wanted, rtol=3e-9)


def test_the_derivative_of_a_steep_integral_is_the_integral_of_the_derivative():
    edges = np.geomspace(1, 10, 11)

    def total(scale):
        return integrate_steep_bins(lambda e: jnp.exp(-scale * e), edges, 12)

    mp.mp.dps = 40
    for derivatives, function in enumerate((total, jax.jacfwd(total), jax.jacfwd(jax.jacfwd(total)))):
        found = jax.jit(function)(60.0)
        for j in (0, 5, 9):
            a, b = mp.mpf(float(edges[j])), mp.mpf(float(edges[j + 1]))
            exact = mp.diff(lambda s, a=a, b=b: (mp.exp(-s * a) - mp.exp(-s * b)) / s, 60, derivatives)
            np.testing.assert_allclose(found[j], float(exact), rtol=1e-7)


def test_underflow_and_zero_functions_are_zero_with_finite_gradients():
    edges = np.geomspace(1, 1e4, 41)

    def total(scale):
        return integrate_steep_bins(lambda e: jnp.exp(-scale * e), edges, 12)

    values, gradient = jax.jit(lambda s: (total(s), jax.jacfwd(total)(s)))(5.0)
    assert np.all(np.isfinite(values)) and np.all(np.isfinite(gradient)) and values[-1] == 0
    np.testing.assert_array_equal(integrate_steep_bins(jnp.zeros_like, edges, 12), 0)


def test_negative_functions_are_integrated_too():
    edges = np.geomspace(0.1, 10, 21)
    np.testing.assert_allclose(
        integrate_steep_bins(lambda e: -(e**-2.0), edges, 12), 1 / edges[1:] - 1 / edges[:-1], rtol=1e-12
    )
