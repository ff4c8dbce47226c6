"""Response matrices from migration tables, and Gaussian migrations."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from gammajax.kernels import edisp as k

TRUE, RECO = np.geomspace(0.3, 30, 6), np.geomspace(0.2, 40, 12)
MIGRA = np.linspace(0.2, 3.0, 57)
CENTRE = np.sqrt(TRUE[:-1] * TRUE[1:])
matrix = jax.jit(k.matrix_from_migration)
shares = jax.jit(k.gauss_shares)


FINE, EDGES = np.geomspace(0.05, 200, 145), np.geomspace(0.3, 60, 24)
FINE_CENTRE = np.sqrt(FINE[:-1] * FINE[1:])
FLUX = FINE_CENTRE**-2.7 * np.diff(FINE)


def rescaled_gauss(scale, edges=EDGES, n_reco=None, sigma=0.12):
    matrix = k.gauss_response(FINE, EDGES, sigma, 0.0)
    matrix = jnp.pad(matrix, ((0, 0), (0, len(edges) - len(EDGES))))
    return k.rescaled(k.extended_response(matrix, FINE, edges, n_reco), edges, scale * jnp.ones(len(edges)), n_reco)


def test_reconstructed_energies_times_a_scale():
    """Against the response made so: counts of a power law to 1e-4 inside, nothing is lost, and none at scale 1."""
    np.testing.assert_array_equal(rescaled_gauss(1.0), k.gauss_response(FINE, EDGES, 0.12, 0.0))
    for scale in (0.8, 1.05, 1.3):
        exact = FLUX @ np.asarray(k.gauss_response(FINE, EDGES, 0.12 * scale, scale - 1))
        found = FLUX @ np.asarray(rescaled_gauss(scale))
        np.testing.assert_allclose(found[5:-5], exact[5:-5], rtol=1e-4)
        np.testing.assert_allclose(found, exact, rtol=1e-2)
        inside = (FINE_CENTRE > 2) & (FINE_CENTRE < 10)
        np.testing.assert_allclose(np.asarray(rescaled_gauss(scale)).sum(axis=1)[inside], 1, rtol=1e-4)


def test_padding_does_not_change_a_rescaled_response():
    edges = np.concatenate([EDGES, EDGES[-1] * (1 + 1e-3 * np.arange(1, 8))])
    padded = np.asarray(rescaled_gauss(0.9, edges, jnp.asarray(23)))
    np.testing.assert_allclose(padded[:, :23], rescaled_gauss(0.9), atol=1e-15)
    assert not padded[:, 23:].any()


def test_slopes_of_a_rescaled_response_have_no_kink():
    """First and second derivatives at 1 are those from below and from above; jit = eager, vmap = loop."""

    def total(scale):
        return jnp.sum(FLUX @ rescaled_gauss(scale) * jnp.cos(jnp.arange(23)))

    scales = jnp.array([1.0, 1.0 - 1e-9, 1.0 + 1e-9, 1.07])
    value, slope, bend = jax.jit(jax.vmap(lambda s: (total(s), jax.grad(total)(s), jax.grad(jax.grad(total))(s))))(
        scales
    )
    np.testing.assert_allclose(value[:3], float(total(1.0)), rtol=1e-7)
    np.testing.assert_allclose(slope[1:3], slope[0], rtol=1e-6)
    np.testing.assert_allclose(bend[1:3], bend[0], rtol=1e-5)
    for i, s in ((0, 1.0), (3, 1.07)):
        h = 1e-4
        assert abs(float((total(s + h) - total(s - h)) / (2 * h)) - float(slope[i])) < 1e-5 * abs(float(slope[i]))
        middle = float((total(s + h) - 2 * total(s) + total(s - h)) / h**2)
        assert abs(middle - float(bend[i])) < 1e-3 * abs(middle)


def test_a_scale_that_depends_on_energy():
    """Energies times (E / 3)^0.1: what is recorded in a bin had been recorded where the edges came from."""
    edges = np.geomspace(0.3, 60, 24)
    scale = (edges / 3) ** 0.1
    matrix = k.gauss_response(FINE, EDGES, 0.12, 0.0)
    found = FLUX @ np.asarray(k.rescaled(k.extended_response(matrix, FINE, EDGES), EDGES, jnp.asarray(scale)))
    exact = FLUX @ np.asarray(k.gauss_response(FINE, EDGES / scale, 0.12, 0.0))
    np.testing.assert_allclose(found[6:-6], exact[6:-6], rtol=2e-4)


def test_worked_example_of_gammapy():
    """Its diagonal response with bins of 0.1 in migration, at 10^(1/6) TeV."""
    migra = np.linspace(0.5, 1.5, 11)
    density = np.where(np.abs(migra[:-1] + 0.05 - 1) < 0.06, 5.0, 0.0)[None]
    edges = np.array([0.5, 1.0, 1.5, 2.0, 3.0, 20.0])
    found = matrix(density, migra, 10 ** (1 / 6) * np.array([0.8, 1 / 0.8]), edges)
    np.testing.assert_allclose(found, [[0, 0.6097, 0.3903, 0, 0]], atol=5e-5)


def test_is_the_integral_of_the_density():
    """The sum over overlaps of migration bins with reconstructed bins, one by one."""
    rng = np.random.default_rng(5)
    density = rng.random((5, 56))
    found = np.asarray(matrix(density, MIGRA, TRUE, RECO))
    for e in range(5):
        for r in range(11):
            low, high = RECO[r] / CENTRE[e], RECO[r + 1] / CENTRE[e]
            overlap = np.maximum(np.minimum(MIGRA[1:], high) - np.maximum(MIGRA[:-1], low), 0)
            assert abs(found[e, r] - density[e] @ overlap) < 1e-14
    np.testing.assert_allclose(k.matrix_from_migration(jnp.asarray(density), MIGRA, TRUE, RECO), found, atol=1e-15)
    batch = jax.jit(jax.vmap(k.matrix_from_migration, in_axes=(0, None, None, None)))
    np.testing.assert_allclose(batch(np.stack([density, 2 * density]), MIGRA, TRUE, RECO)[1], 2 * found, rtol=1e-12)


def test_rows_hold_what_is_inside_the_axes():
    density = np.zeros((5, 56))
    density[1:4] = np.asarray(shares(MIGRA, np.full(3, 0.15), np.zeros(3))) / np.diff(MIGRA)
    density[4, 0] = 1e-9 / 0.05
    wide = matrix(density, MIGRA, TRUE, np.geomspace(1e-3, 1e3, 100))
    np.testing.assert_allclose(wide.sum(axis=1), [0, 1, 1, 1, 0], atol=1e-6)
    np.testing.assert_array_equal(wide[4], 0)  # below the threshold
    narrow = matrix(density, MIGRA, TRUE, CENTRE[2] * np.array([1.0, 1.15]))
    np.testing.assert_allclose(narrow[2, 0], norm.cdf(1) - 0.5, atol=1e-9)
    assert not np.any(matrix(density, MIGRA, TRUE, np.array([1e3, 2e3])))


def test_derivative_in_the_density():
    """It is linear above the threshold: the derivative is the matrix of the direction; 0 where nothing is."""
    rng = np.random.default_rng(6)
    density, direction = rng.random((2, 5, 56))
    density[0] = direction[0] = 0
    _, slope = jax.jvp(lambda d: matrix(d, MIGRA, TRUE, RECO), (density,), (direction,))
    wanted = (matrix(density + 1e-3 * direction, MIGRA, TRUE, RECO) - matrix(density, MIGRA, TRUE, RECO)) / 1e-3
    np.testing.assert_allclose(slope, wanted, atol=1e-11)
    np.testing.assert_array_equal(slope[0], 0)
    # in the energies, which an energy scale moves
    scale = jax.jit(jax.jacfwd(lambda s: k.matrix_from_migration(density, MIGRA, TRUE, s * RECO)))(1.003)
    ends = [np.asarray(matrix(density, MIGRA, TRUE, s * RECO)) for s in (1.003 + 1e-6, 1.003 - 1e-6)]
    np.testing.assert_allclose(scale, (ends[0] - ends[1]) / 2e-6, atol=1e-7)


def test_gaussian_shares():
    sigma, bias = np.array([0.05, 0.2, 0.8]), np.array([0.0, 0.1, -0.3])
    found = shares(MIGRA, sigma, bias)
    wanted = np.diff(norm.cdf(MIGRA[None], 1 + bias[:, None], sigma[:, None]), axis=1)
    np.testing.assert_allclose(found, wanted, atol=1e-15)
    slope = jax.jit(jax.jacfwd(lambda s: k.gauss_shares(MIGRA, s, bias)))(sigma)
    up, down = (np.asarray(shares(MIGRA, sigma + h, bias)) for h in (1e-6, -1e-6))
    np.testing.assert_allclose(jnp.einsum("imi->im", slope), (up - down) / 2e-6, atol=2e-9)


def test_single_precision():
    with jax.enable_x64(False):
        args = (jnp.asarray(a, jnp.float32) for a in (MIGRA, np.full(5, 0.2), np.zeros(5)))
        density = k.gauss_shares(*args) / jnp.asarray(np.diff(MIGRA), jnp.float32)
        found = matrix(density, *(jnp.asarray(a, jnp.float32) for a in (MIGRA, TRUE, RECO)))
        assert found.dtype == jnp.float32
    wanted = matrix(shares(MIGRA, np.full(5, 0.2), np.zeros(5)) / np.diff(MIGRA), MIGRA, TRUE, RECO)
    np.testing.assert_allclose(found, wanted, atol=2e-6)


def test_gaussian_shares_are_not_negative_in_float32():
    """The error function of single precision is not monotonic where it is all but 1."""
    edges = np.geomspace(1, 50, 20).astype(np.float32)
    response = np.asarray(k.gauss_response(edges, edges, np.float32(0.2), np.float32(0.0)))
    assert response.dtype == np.float32 and response.min() >= 0
    np.testing.assert_allclose(
        response, k.gauss_response(edges.astype(float), edges.astype(float), 0.2, 0.0), atol=1e-6
    )
