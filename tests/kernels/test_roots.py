"""Roots against closed forms and SciPy; under jit, vmap and grad."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from gammajax.kernels.roots import find_root, widened

POWERS = jnp.array([1.0, 2.0, 3.0, 5.0])
TARGETS = jnp.array([0.3, 2.0, 1e-6, 7e7])


def power(x):
    return jnp.abs(x) ** POWERS - TARGETS, POWERS * jnp.abs(x) ** (POWERS - 1)


def test_closed_form():
    zero, high = jnp.zeros(4), jnp.full(4, 1e9)
    expected = TARGETS ** (1 / POWERS)
    np.testing.assert_allclose(find_root(power, zero, high), expected, rtol=1e-14)
    jitted = jax.jit(lambda a, b: find_root(power, a, b))(zero, high)
    np.testing.assert_allclose(jitted, find_root(power, zero, high), rtol=1e-15)


def test_falling_functions_and_roots_at_zero():
    """``low`` may be the larger one; roots at 0 and at the ends of the bracket are found."""

    def falling(x):
        return -(x + x**3 / 7), -(1 + 3 * x**2 / 7)

    found = find_root(falling, jnp.array([3.0, 1.0, 0.0]), jnp.array([-5.0, 0.0, -2.0]))
    np.testing.assert_allclose(found, 0.0, atol=1e-15)


def test_functions_that_newton_alone_fails_on():
    """Flat on one side, steep on the other."""
    place = np.array([1e-8, 0.3, 4.0, 900.0])

    def steep(x):
        return jnp.tanh(50 * (x - place) / place), 50 / place / jnp.cosh(50 * (x - place) / place) ** 2

    found = find_root(steep, jnp.full(4, -1e3), jnp.full(4, 1e4))
    expected = [brentq(lambda x, p=p: np.tanh(50 * (x - p) / p), -1e3, 1e4, xtol=1e-22, rtol=1e-14) for p in place]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_each_as_alone():
    together = find_root(power, jnp.zeros(4), jnp.full(4, 1e9))
    for i in range(4):

        def one(x, i=i):
            return x ** POWERS[i] - TARGETS[i], POWERS[i] * x ** (POWERS[i] - 1)

        np.testing.assert_allclose(find_root(one, jnp.asarray(0.0), jnp.asarray(1e9)), together[i], rtol=1e-14)


def test_slope_of_the_implicit_function():
    def root(target):
        return find_root(lambda x: (jnp.exp(x) + x - target, jnp.exp(x) + 1), target * 0 - 50, target * 0 + 50)

    at = jnp.array([0.5, 3.0, 40.0])
    slope = jax.vmap(jax.grad(root))(at)
    step = 1e-5
    difference = (jax.vmap(root)(at + step) - jax.vmap(root)(at - step)) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=1e-8)


def test_widened_until_it_is_positive():
    limit = jnp.array([0.5, 3.0, 1e6])
    found = widened(lambda x: (x - limit, jnp.ones_like(x)), jnp.ones(3))
    np.testing.assert_array_equal(found, [1.0, 4.0, 2.0**20])
    never = widened(lambda x: (-jnp.ones_like(x), jnp.ones_like(x)), jnp.ones(1))
    assert np.isfinite(never[0])


def test_root_at_a_jump():
    """A slope that jumps from below to above zero (a W statistic without off counts has some): the root is there."""
    at = jnp.array([0.3, -0.2])

    def jump(x):
        return jnp.where(x < at, -8.0 + 0.1 * (x - at), 2.0 + 0.1 * (x - at)), jnp.full_like(x, 0.1)

    found = find_root(jump, jnp.full(2, -100.0), jnp.full(2, 50.0))
    np.testing.assert_allclose(found, at, rtol=1e-12)


def test_accuracy_and_start():
    """The last step squares the error of the one before."""
    n = jnp.array([2.0, 30.0])
    steps = []

    def line(x):
        jax.debug.callback(lambda _: steps.append(1), x)
        return x * x - n, 2 * x

    exact = find_root(line, jnp.zeros(2), n)
    needed = len(steps)
    steps.clear()
    found = find_root(line, jnp.zeros(2), n, jnp.sqrt(n) + 0.1, jnp.full(2, 1e-4))
    np.testing.assert_allclose(found, exact, atol=1e-8)
    assert len(steps) < needed


def test_a_start_beside_a_pole_is_no_root():
    """Newton's steps are short there, and so are those that an accuracy calls the last."""

    def rise(x):
        return -jnp.log(jnp.maximum(1 - x, 1e-25)) - 1.5, 1 / jnp.maximum(1 - x, 1e-25)

    start = jnp.array([1 - 1e-13, 1 - 1e-9, 0.5])
    found = find_root(rise, jnp.zeros(3), jnp.ones(3), start, jnp.full(3, 1e-4))
    np.testing.assert_allclose(found, 1 - np.exp(-1.5), rtol=1e-7)
