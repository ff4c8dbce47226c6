import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from gammajax.kernels import TRUNCATION, cash, cash_deviance, cash_offset, cash_terms

COUNTS = np.array([0.0, 0.0, 1.0, 3.0, 7.5, 1e4, 1e-3])
NPRED = np.array([0.0, 2.0, 1e-30, 2.0, 7.4, 1.01e4, 1e-3])


def reference(n, mu):
    """Cash statistic at 40 digits."""
    mpmath.mp.dps = 40
    mu = max(mpmath.mpf(mu), mpmath.mpf(TRUNCATION))
    return float(2 * (mu - (n * mpmath.log(mu) if n else 0)))


def test_values_against_mpmath():
    expected = [reference(n, mu) for n, mu in zip(COUNTS, NPRED, strict=True)]
    np.testing.assert_allclose(cash(COUNTS, NPRED), expected, rtol=1e-14, atol=1e-14)


def test_values_of_the_field():
    # gammapy 2.1: cash(0, 0) = 2e-25, cash(1, 0) = 115.1292546497
    assert float(cash(0.0, 0.0)) == pytest.approx(2e-25, abs=1e-24)
    assert float(cash(1.0, 0.0)) == pytest.approx(115.1292546497, abs=1e-9)
    assert np.isnan(cash(3.0, np.nan)) and np.isnan(cash(0.0, np.nan))


def test_deviance_is_cash_less_a_constant_of_the_data():
    np.testing.assert_allclose(
        cash_deviance(COUNTS, NPRED) + cash_offset(COUNTS), cash(COUNTS, NPRED), rtol=1e-13, atol=1e-13
    )
    np.testing.assert_allclose(cash_deviance(COUNTS, np.where(COUNTS > 0, COUNTS, 0.0)), 0, atol=1e-25)


def test_deviance_keeps_digits_near_its_minimum():
    mpmath.mp.dps = 40
    n, mu = 1e6, 1e6 * (1 + 1e-7)
    x = mpmath.mpf(mu) / mpmath.mpf(n)
    assert float(cash_deviance(n, mu)) == pytest.approx(float(2 * n * (x - 1 - mpmath.log(x))), rel=1e-6)
    single = cash_deviance(jnp.float32(1000.0), jnp.float32(1001.0))
    assert float(single) == pytest.approx(float(cash_deviance(1000.0, 1001.0)), rel=1e-4)


def test_jit_vmap():
    compiled = jax.jit(cash)
    np.testing.assert_allclose(compiled(COUNTS, NPRED), cash(COUNTS, NPRED), rtol=1e-14)
    loop = [compiled(n, m) for n, m in zip(COUNTS, NPRED, strict=True)]
    np.testing.assert_allclose(jax.vmap(cash)(COUNTS, NPRED), loop, rtol=1e-14)


DERIVATIVES = {
    f.__name__: (jax.jit(f), jax.jit(jax.grad(f, 1)), jax.jit(jax.grad(jax.grad(f, 1), 1)))
    for f in (cash, cash_deviance)
}


@pytest.mark.parametrize("name", DERIVATIVES)
@pytest.mark.parametrize("n", [0.0, 1e-3, 5.0])
@pytest.mark.parametrize("mu", [1e-10, 1e-3, 0.7, 5.0, 5.01, 40.0])
def test_derivatives_equal_finite_differences(name, n, mu):
    function, first, second = DERIVATIVES[name]
    step = 1e-5 * mu
    numeric = (function(n, mu + step) - function(n, mu - step)) / (2 * step)
    assert float(first(n, mu)) == pytest.approx(float(numeric), rel=1e-6, abs=1e-6 * max(1.0, n / mu))
    numeric = (first(n, mu + step) - first(n, mu - step)) / (2 * step)
    assert float(second(n, mu)) == pytest.approx(float(numeric), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", DERIVATIVES)
def test_derivatives_at_the_corners(name):
    _, first, second = DERIVATIVES[name]
    for n, mu in [(0.0, 0.0), (0.0, -1.0), (3.0, 0.0), (3.0, -1.0), (3.0, TRUNCATION)]:
        assert np.isfinite([first(n, mu), second(n, mu)]).all(), (n, mu)
    # one-sided from the right where nothing was seen; flat below the floor
    assert float(first(0.0, 0.0)) == 2.0
    assert float(first(0.0, -1.0)) == 0.0 and float(first(3.0, -1.0)) == 0.0


def test_undefined_predictions_stay_undefined():
    for n in (0.0, 3.0):
        assert np.isnan(cash(n, np.nan)) and np.isnan(cash_deviance(n, np.nan))
        assert np.isnan(cash_terms(jnp.asarray(n), jnp.asarray(np.nan))[0])


def test_scoring_terms():
    stat, slope, weight = cash_terms(COUNTS, NPRED)
    np.testing.assert_array_equal(stat, cash_deviance(COUNTS, NPRED))
    inside = NPRED > 1e-20
    np.testing.assert_allclose(slope[inside], jax.vmap(jax.grad(cash, 1))(COUNTS, NPRED)[inside], rtol=1e-13)
    np.testing.assert_allclose(weight[inside], 2 / NPRED[inside])
    # nothing seen, nothing expected: a slope from the right, no curvature
    assert slope[0] == 2 and weight[0] == 0
    # a model that predicts nothing where a count was seen is pulled up
    assert slope[2] < -1e24 and np.isfinite(weight[2])
