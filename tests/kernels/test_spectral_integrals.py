import functools

import jax
import mpmath as mp
import numpy as np
import pytest
from cases import spectral as cases

from gammajax.kernels import spectral_integrals as integrals

CLOSED = {
    "pl": integrals.power_law,
    "pl-2": integrals.power_law_2,
    "bpl": integrals.broken_power_law,
    "gauss": integrals.gaussian,
    "const": integrals.constant,
}


@pytest.mark.parametrize("tag", CLOSED)
@pytest.mark.parametrize("density", cases.EDGES)
def test_bins_agree_with_mpmath(tag, density):
    mp.mp.dps = 25
    case, edges, rng = cases.CASES[tag], cases.EDGES[density], np.random.default_rng(2)
    kernel = jax.jit(CLOSED[tag])
    for _ in range(4):
        parameters = case.sample(rng)
        found = kernel(edges, **parameters)
        for j in rng.integers(0, len(edges) - 1, 3):
            exact = cases.integral(case, edges[j], edges[j + 1], parameters)
            if abs(exact) > 1e-280:
                np.testing.assert_allclose(float(found[j]), float(exact), rtol=1e-10)
            else:
                assert abs(found[j]) < 1e-270


EDGES = np.array([0.1, 0.5, 1.0, 3.0, 3.1, 100.0])
WHOLE = jax.jit(integrals.broken_power_law)


@functools.cache
def _compiled(function):
    def at(numbers):
        return function(EDGES, *numbers)

    return jax.jit(lambda numbers: (at(numbers), jax.jacfwd(at)(numbers), jax.jacfwd(jax.jacfwd(at))(numbers)))


def _hessian_finite(function, *numbers):
    parts = _compiled(function)(tuple(float(n) for n in numbers))
    assert np.all([np.all(np.isfinite(leaf)) for leaf in jax.tree_util.tree_leaves(parts)])
    return parts


@pytest.mark.parametrize("delta", [0.0, 1e-13, -1e-9, 1e-5, 0.2, -0.2])
def test_power_law_integral_is_smooth_through_index_1(delta):
    """With w = ln(E2/E1), l = ln E1 E2 / 2: I = w (1 - d l + d^2 (l^2/2 + w^2/24) ...) for index 1 + d."""
    _, gradient, hessian = _hessian_finite(integrals.power_law, 1 + delta, 1.0, 1.0)
    mp.mp.dps = 50
    for j in range(5):
        a, b = mp.log(mp.mpf(EDGES[j])), mp.log(mp.mpf(EDGES[j + 1]))

        def moment(n, a=a, b=b):
            return mp.quad(lambda u: (-u) ** n * mp.exp(-mp.mpf(delta) * u), [a, b])

        np.testing.assert_allclose(gradient[0][j], float(moment(1)), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(hessian[0][0][j], float(moment(2)), rtol=1e-12)


def test_power_law_2_gives_back_its_amplitude():
    kernel = jax.jit(integrals.power_law_2)
    for index in (0.0, 1.0, 1.0 + 1e-10, 2.7):
        found = kernel(np.array([0.1, 100.0]), 4e-12, index, 0.1, 100.0)
        np.testing.assert_allclose(found, 4e-12, rtol=1e-14)
    _hessian_finite(integrals.power_law_2, 1.0, 1.0, 0.1, 100.0)


@pytest.mark.parametrize("ebreak", [0.01, 0.5, 0.7, 3.05, 100.0, 500.0])
def test_broken_power_law_wherever_the_break_is(ebreak):
    """At an edge, in a bin, outside; the derivative in ebreak against central differences."""

    def kernel(eb):
        return _compiled(integrals.broken_power_law)((1.0, 2.5, 1.0, float(eb)))[0]

    _, gradient, _ = _hessian_finite(integrals.broken_power_law, 1.0, 2.5, 1.0, ebreak)
    step = 1e-6 * ebreak
    wanted = (kernel(ebreak + step) - kernel(ebreak - step)) / (2 * step)
    np.testing.assert_allclose(gradient[3], wanted, rtol=3e-6)
    total = WHOLE(EDGES[[0, -1]], 1.0, 2.5, 1.0, ebreak)[0]
    np.testing.assert_allclose(np.sum(kernel(ebreak)), total, rtol=1e-13)


@pytest.mark.parametrize("mean, sigma", [(1.0, 2.0), (1.0, 0.03), (50.0, 1.5), (1e-3, 1e-4), (3.0, 1e3)])
def test_gaussian_tails_keep_their_digits(mean, sigma):
    mp.mp.dps = 40
    for edges in (EDGES, np.geomspace(1e-5, 100, 701)):
        found = jax.jit(integrals.gaussian)(edges, 1.0, mean, sigma)
        rows = range(0, len(edges) - 1, max(1, len(edges) // 25))
        for j in rows:
            u = [(mp.mpf(float(e)) - mp.mpf(mean)) / (mp.sqrt(2) * mp.mpf(sigma)) for e in edges[j : j + 2]]
            # in a tail from the complementary function, whose differences keep their digits
            near, far = sorted(map(abs, u))
            crossing = u[0] < 0 < u[1]
            exact = (mp.erf(u[1]) - mp.erf(u[0])) / 2 if crossing else (mp.erfc(near) - mp.erfc(far)) / 2
            if exact > 1e-290:
                np.testing.assert_allclose(float(found[j]), float(exact), rtol=1e-11)
            else:
                assert abs(found[j]) < 1e-280


def test_gaussian_hessians_are_finite_everywhere():
    for mean, sigma in [(1.0, 2.0), (1.0, 1e-3), (0.5, 0.1), (1e4, 1.0)]:
        _hessian_finite(integrals.gaussian, 1.0, mean, sigma)
