import functools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from gammajax.kernels import capped_exp, expm1_ratio, expm1_remainder, odd_power
from gammajax.kernels.elementary import inverse_2x2

POINTS = [-40.0, -3.0, -1.0000001, -1.0, -0.9999999, -0.3, -1e-9, 0.0, 1e-300, 1e-9, 0.3, 0.9999999, 1.0, 2.5, 40.0]


def _ratio(x):
    return mp.expm1(x) / x


def _remainder(x):
    return (mp.expm1(x) - x) / x**2


@functools.cache
def _derivatives(function):
    return jax.jit(lambda x: (function(x), jax.grad(function)(x), jax.grad(jax.grad(function))(x)))


@pytest.mark.parametrize("function, exact", [(expm1_ratio, _ratio), (expm1_remainder, _remainder)])
@pytest.mark.parametrize("x", POINTS)
def test_value_and_two_derivatives_are_exact_around_zero_and_at_the_branches(function, exact, x):
    mp.mp.dps = 60
    # the point beside zero stands for zero, which the closed form cannot take; the functions are smooth
    at = mp.mpf(x) if x else mp.mpf(10) ** -18
    step = mp.mpf(10) ** -15
    values = [exact(at + k * step) for k in (-1, 0, 1)] if abs(at) > 1e-12 else None
    found = _derivatives(function)(x)
    if values is None:
        offset = 1 if function is expm1_ratio else 2
        wanted = [1 / mp.factorial(offset + k) * mp.factorial(k) for k in range(3)]
    else:
        wanted = [values[1], (values[2] - values[0]) / (2 * step), (values[2] - 2 * values[1] + values[0]) / step**2]
    np.testing.assert_allclose(found, [float(w) for w in wanted], rtol=1e-8 if 0 < abs(x) < 1e-8 else 1e-13)


def test_capped_exp_is_finite_with_zero_slope_at_the_top():
    assert np.isfinite(capped_exp(1e5))
    assert jax.grad(capped_exp)(1e5) == 0
    np.testing.assert_array_equal(capped_exp(jnp.array([-800.0, 0.0, 2.0])), np.exp([-800.0, 0.0, 2.0]))
    assert np.isfinite(capped_exp(jnp.float32(500.0)))


@pytest.mark.parametrize("p, slope, curvature", [(1.0, 1.0, 0.0), (2.0, 0.0, 2.0), (3.0, 0.0, 0.0), (0.5, 0.0, 0.0)])
def test_odd_power_at_zero(p, slope, curvature):
    assert odd_power(0.0, p) == 0
    first, second = jax.jit(lambda b: (jax.grad(odd_power)(b, p), jax.hessian(odd_power, argnums=(0, 1))(b, p)))(0.0)
    assert first == slope
    assert np.all(np.isfinite(jax.tree_util.tree_leaves(second)))
    if p != 2.0:  # |b| b bends either way at 0; the side of positive b counts
        assert second[0][0] == curvature


def test_odd_power_is_the_power_and_odd():
    b = np.array([1e-5, 0.3, 2.0, 600.0])
    np.testing.assert_allclose(odd_power(b, 1.3), b**1.3, rtol=1e-14)
    np.testing.assert_array_equal(odd_power(-b, 1.0), -b)
    np.testing.assert_allclose(jax.vmap(jax.grad(odd_power, argnums=1), (0, None))(-b, 1.0), -b * np.log(b), rtol=1e-14)


def test_inverse_of_small_matrices():
    matrices = np.random.default_rng(1).normal(size=(20, 2, 2))
    found = jax.jit(jax.vmap(inverse_2x2))(matrices)
    np.testing.assert_allclose(found, np.linalg.inv(matrices), rtol=1e-11)
    np.testing.assert_allclose(found[0], inverse_2x2(jnp.asarray(matrices[0])), rtol=1e-13)
    # d(A^-1) = -A^-1 dA A^-1
    for matrix in matrices[:3]:
        inverse = np.linalg.inv(matrix)
        slope = -np.einsum("ik,lj->ijkl", inverse, inverse)
        np.testing.assert_allclose(jax.jacrev(inverse_2x2)(jnp.asarray(matrix)), slope, rtol=1e-10)
