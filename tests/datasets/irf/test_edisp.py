import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from gammajax.datasets import InputError
from gammajax.datasets.irf import EDispKernel, EDispMap
from gammajax.kernels import diagonal_response, fold, gauss_response


def test_diagonal_response():
    # gammapy 2.1's example: (1-2, 2-4) into (1.5-3, 3-4)
    np.testing.assert_allclose(
        diagonal_response(np.array([1.0, 2.0, 4.0]), np.array([1.5, 3.0, 4.0])), [[0.5, 0.0], [0.5, 0.5]]
    )
    edges = np.geomspace(0.1, 10, 8)
    np.testing.assert_allclose(diagonal_response(edges, edges), np.eye(7), atol=1e-12)


def test_fold_is_a_matrix_product_over_true_energy():
    rng = np.random.default_rng(0)
    matrix, flux = rng.random((4, 3)), rng.random((4, 2, 2))
    np.testing.assert_allclose(fold(matrix, flux), np.einsum("er,exy->rxy", matrix, flux))
    np.testing.assert_allclose(jax.jit(fold)(matrix, flux[:, 0, 0]), matrix.T @ flux[:, 0, 0])
    batched = jax.vmap(fold, in_axes=(None, 0))(matrix, jnp.stack([flux[:, 0, 0], flux[:, 1, 0]]))
    np.testing.assert_allclose(batched[1], matrix.T @ flux[:, 1, 0])
    np.testing.assert_allclose(jax.grad(lambda f: fold(matrix, f).sum())(flux[:, 0, 0]), matrix.sum(axis=1))


def test_gauss_response_is_a_probability():
    true, reco = np.geomspace(0.1, 10, 9), np.geomspace(0.001, 1000, 61)
    matrix = gauss_response(true, reco, 0.15, 0.05)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=1e-9)
    centre = np.sqrt(true[:-1] * true[1:])
    fine = np.linspace(0.001, 20, 20001)
    mean = gauss_response(true, fine, 0.15, 0.05) @ ((fine[1:] + fine[:-1]) / 2)
    np.testing.assert_allclose(mean[:4] / centre[:4], 1.05, rtol=1e-3)
    per_bin = gauss_response(true, reco, np.linspace(0.1, 0.3, 8), np.zeros(8))
    np.testing.assert_allclose(per_bin[0], gauss_response(true, reco, 0.1, 0.0)[0])


def test_kernel_checks():
    with pytest.raises(InputError, match="shape"):
        EDispKernel(np.ones(3))
    with pytest.raises(InputError, match="negative"):
        EDispKernel([[1.0, -0.1]])
    kernel = EDispKernel.from_gauss(np.geomspace(1, 10, 4), np.geomspace(1, 10, 6), 0.2)
    assert kernel.matrix.shape == (3, 5)
    np.testing.assert_allclose(EDispKernel.from_diagonal_response(np.geomspace(1, 10, 4)).matrix, np.eye(3), atol=1e-12)


def test_bias_and_resolution():
    """Those of a Gaussian that is fine against the bins; by hand for a matrix of two rows."""
    true, reco = np.geomspace(1, 10, 4), np.geomspace(0.02, 60, 2001)
    kernel = EDispKernel.from_gauss(true, reco, sigma=0.1, bias=0.05)
    np.testing.assert_allclose(kernel.get_bias(true * 1000 * u.GeV, reco * u.TeV), 0.05, atol=1e-5)
    np.testing.assert_allclose(kernel.get_resolution(true, reco), 0.1, rtol=1e-4)
    coarse = EDispKernel([[0.2, 0.6], [0.0, 0.0]])
    centres, at = np.sqrt([2.0, 8.0]), np.sqrt(2.0)
    mean = (0.2 * centres[0] + 0.6 * centres[1]) / 0.8
    bias, width = coarse.get_bias([1, 2, 4], [1, 2, 4]), coarse.get_resolution([1, 2, 4], [1, 2, 4])
    assert bias[0] == pytest.approx(mean / at - 1, rel=1e-12) and np.isnan(bias[1]) and np.isnan(width[1])
    variance = (0.2 * (centres[0] - mean) ** 2 + 0.6 * (centres[1] - mean) ** 2) / 0.8
    assert width[0] == pytest.approx(np.sqrt(variance) / at, rel=1e-12)
    with pytest.raises(InputError, match=r"shape \(2, 2\), and the edges are those of 3 true"):
        coarse.get_bias([1, 2, 4, 8], [1, 2, 4])


def test_perfect_migrations():
    """Into the bin of the centre of a true bin; migrations within 1e-5 / 3 of 1."""
    edges = np.geomspace(0.1, 10, 8)
    perfect = EDispMap.from_diagonal_response(edges)
    vector = np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(perfect.matrix_at(vector, edges, edges), np.eye(7), atol=1e-12)
    # coarse migrations: of each true bin a width of 0.4 around 1
    wide = EDispMap.from_diagonal_response(edges, [0.4, 0.8, 1.2, 2.0])
    np.testing.assert_allclose(np.asarray(wide.values)[:, :, 0, 0], np.tile([0, 2.5, 0], (7, 1)), rtol=1e-12)
    # on an edge: half to either side
    shared = EDispMap.from_diagonal_response(edges, [0.5, 1.0, 1.2])
    np.testing.assert_allclose(np.asarray(shared.values)[0, :, 0, 0], [1.0, 2.5], rtol=1e-12)
    with pytest.raises(InputError, match="do not hold 1"):
        EDispMap.from_diagonal_response(edges, [1.1, 1.2])
