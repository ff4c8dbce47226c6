"""Pairs of coefficient and exponent: normal equations at constant cutoff energy, and steps there."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax.fit.joint import cutoffs
from gammajax.fit.joint.arrowhead import LocalBlocks, Normal, Theta

NONE = np.zeros((0, 2), int)
PAIR = np.array([[0, 2]])
INFINITE = (-np.inf, np.inf)


def f(r, norm, a):
    """Any function of a cutoff's parameters."""
    return norm * jnp.exp(-r * 3.0**a) + 0.3 * jnp.log(r) ** 2 * a + r * a


def at_constant_cutoff(x, dr, dnorm, da):
    """The same near the point ``x``: dr as before, da along constant r^(-1 / a)."""
    r, norm, a = x
    return f(jnp.exp((a + da) * jnp.log(r) / a) + dr, norm + dnorm, a + da)


@pytest.fixture(scope="module")
def point():
    return jnp.array([0.02, 1.3, 0.7])


def gauss_newton(x):
    """Slope and expected curvature of (f - 1)^2 / 2 by the derivatives (3,) of f."""
    slope = jax.grad(lambda x: f(*x))(x)
    return slope * (f(*x) - 1), jnp.outer(slope, slope)


def test_normal_equations_are_those_along_constant_cutoff(point):
    slope, matrix = gauss_newton(point)
    along = jax.grad(lambda d: at_constant_cutoff(point, *d))(jnp.zeros(3))
    pairs = Theta(PAIR, ())
    found = cutoffs.sheared(Normal(slope, matrix, ()), Theta(point, ()), pairs)
    np.testing.assert_allclose(found.slope, along * (f(*point) - 1), rtol=1e-10)
    np.testing.assert_allclose(found.matrix, np.outer(along, along), rtol=1e-10)


def test_local_blocks_likewise(point):
    both = jnp.stack([point, point * jnp.array([2.0, 1.0, 1.1])])
    slopes, matrices = jax.vmap(gauss_newton)(both)
    cross = jnp.asarray([3.0, 5.0])[:, None, None] * slopes[:, None, :]
    block = LocalBlocks(slopes, matrices, cross, jnp.zeros((2, 1), int))
    normal = Normal(jnp.ones(1), jnp.eye(1), (block, None))
    theta, pairs = Theta(jnp.ones(1), (both, jnp.zeros((2, 0)))), Theta(NONE, (PAIR, NONE))
    found = jax.jit(lambda *a: cutoffs.sheared(*a, pairs))(normal, theta).locals[0]
    for k, x in enumerate(both):
        along = jax.grad(lambda d, x=x: at_constant_cutoff(x, *d))(jnp.zeros(3))
        np.testing.assert_allclose(found.slope[k], along * (f(*x) - 1), rtol=1e-10)
        np.testing.assert_allclose(found.matrix[k], np.outer(along, along), rtol=1e-10)
    np.testing.assert_allclose(found.cross[:, 0], np.array([[3.0], [5.0]]) * found.slope, rtol=1e-10)


def test_without_pairs_nothing_changes(point):
    slope, matrix = gauss_newton(point)
    found = cutoffs.sheared(Normal(slope, matrix, ()), Theta(point, ()), Theta(NONE, ()))
    assert found.slope is slope and found.matrix is matrix


def moved(x, step, after, low=None, high=None):
    """The coefficient after a step, by `moved_pairs`; ``after``: the exponent there."""
    point, bounds = x.at[2].set(after), [jnp.full(3, b) for b in INFINITE]
    bounds = [b if given is None else given for b, given in zip(bounds, (low, high), strict=True)]
    blocks = [Theta(v, ()) for v in (point, x, step, *bounds)]
    return cutoffs.moved_pairs(*blocks, Theta(PAIR, ())).globals[0]


def test_the_exponent_moves_at_constant_cutoff(point):
    cutoff = float(point[0]) ** (-1 / float(point[2]))
    assert moved(point, jnp.zeros(3), 2.1) == pytest.approx(cutoff**-2.1, rel=1e-12)
    # to first order a step of the coefficient is one of the cutoff
    small = moved(point, jnp.array([1e-6, 0.0, 0.0]), point[2])
    assert small == pytest.approx(0.02 + 1e-6, abs=1e-9)
    # and a long one is a factor ten of the cutoff, or of the coefficient where there is hardly a cutoff
    long = moved(point, jnp.array([1e6, 0.0, 0.0]), point[2])
    assert long == pytest.approx(0.02 * np.exp(cutoffs.LONGEST), rel=1e-12)


def test_coefficients_stay_inside_bounds_and_move_plainly_where_there_is_no_cutoff(point):
    assert moved(point, jnp.zeros(3), 2.1, high=jnp.array([1e-3, 9, 9])) <= 1e-3
    negative = point.at[0].set(-0.5)
    assert moved(negative, jnp.array([0.1, 0, 0]), 0.9) == -0.5


def test_pairs_are_found_in_a_row():
    pairs = [(3, 5), (7, 9)]
    np.testing.assert_array_equal(cutoffs.pairs_in(np.array([5, 1, 3, 7]), pairs), [[2, 0]])
    assert cutoffs.pairs_in(np.array([1, 2]), pairs).shape == (0, 2)
