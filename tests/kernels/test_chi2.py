import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax.kernels import chi2, chi2_covariance, whiten


def test_values():
    # 0.4444: gammapy 2.1's example with d - f = 1 and a mean error of 1.5
    assert float(chi2(2.0, 1.0, 1.5)) == pytest.approx(0.4444, abs=1e-4)
    np.testing.assert_allclose(chi2(np.array([1.0, 2.0]), np.array([0.0, 2.5]), np.array([2.0, 0.5])), [0.25, 1.0])


def test_covariance_against_numpy():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    covariance = root @ root.T + np.eye(5)
    d, f = rng.normal(size=5), rng.normal(size=5)
    terms = chi2_covariance(d, f, covariance)
    assert terms.shape == (5,)
    assert float(terms.sum()) == pytest.approx((d - f) @ np.linalg.solve(covariance, d - f), rel=1e-12)
    np.testing.assert_allclose(chi2_covariance(d, f, np.diag(np.arange(1.0, 6) ** 2)), chi2(d, f, np.arange(1.0, 6)))
    np.testing.assert_allclose(
        whiten(covariance @ np.ones(5), covariance), np.linalg.cholesky(covariance).T @ np.ones(5)
    )


def test_gradient_jit_vmap():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(4, 4))
    covariance = root @ root.T + np.eye(4)
    d, f = rng.normal(size=4), rng.normal(size=4)
    gradient = jax.grad(lambda x: chi2_covariance(d, x, covariance).sum())(f)
    np.testing.assert_allclose(gradient, -2 * np.linalg.solve(covariance, d - f), rtol=1e-10)
    np.testing.assert_allclose(
        jax.jit(chi2_covariance)(d, f, covariance), chi2_covariance(d, f, covariance), rtol=1e-12
    )
    batch = jnp.stack([f, f + 1])
    loop = jnp.stack([chi2_covariance(d, x, covariance) for x in batch])
    np.testing.assert_allclose(jax.vmap(lambda x: chi2_covariance(d, x, covariance))(batch), loop, rtol=1e-12)
    assert jax.grad(lambda x: chi2(2.0, x, 0.5))(1.0) == pytest.approx(-8.0)
