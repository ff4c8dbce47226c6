"""Energy dispersions on the sky: matrices at positions, from migrations, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from scipy.stats import norm

from gammajax.datasets import InputError
from gammajax.datasets.irf import EDispKernel, EDispKernelMap, EDispMap, matrix_at
from gammajax.datasets.sky import SkyGeom
from gammajax.kernels import diagonal_response, matrix_from_migration

TRUE, RECO = np.geomspace(0.1, 50, 6), np.geomspace(0.2, 30, 8)
CENTRE = np.sqrt(TRUE[1:] * TRUE[:-1])
MIGRA = np.linspace(0.2, 5, 97)
GEOM = SkyGeom.create((83.6, 22.0), binsz=0.5, npix=(4, 3))
KERNELS = np.random.default_rng(0).dirichlet(np.ones(7), (5, 3, 4)).transpose(0, 3, 1, 2)
# of which none adds up to more than 1
DENSITIES = np.random.default_rng(1).random((5, 96, 3, 4)) / 5

at_vector = eqx.filter_jit(lambda edisp, vector: matrix_at(edisp, vector, TRUE, RECO))


def at(x, y):
    return GEOM.pixel_to_vector(np.asarray(float(x)), np.asarray(float(y)))


def test_matrix_of_the_pixel():
    """No interpolation; beyond the grid its nearest pixel."""
    edisp = EDispKernelMap(GEOM, KERNELS)
    cases = {(2.4, 1.4): (2, 1), (0.0, 0.0): (0, 0), (2.6, -0.4): (3, 0), (-8.0, 30.0): (0, 2)}
    for (x, y), (i, j) in cases.items():
        np.testing.assert_array_equal(at_vector(edisp, at(x, y)), KERNELS[:, :, j, i])
        np.testing.assert_array_equal(edisp.matrix_at(jnp.asarray(at(x, y)), TRUE, RECO), KERNELS[:, :, j, i])
    vectors = np.stack([at(*p) for p in cases])
    batch = eqx.filter_jit(jax.vmap(lambda v: edisp.matrix_at(v, TRUE, RECO)))(vectors)
    np.testing.assert_array_equal(batch, np.stack([KERNELS[:, :, j, i] for i, j in cases.values()]))


def test_empty_pixels_and_empty_rows():
    """An empty pixel takes the matrix of its nearest neighbour; an empty row of a pixel is as it is. Off the projection
    the middle counts."""
    values = KERNELS.copy()
    values[..., :2] = 0
    values[1, :, 1, 2] = 0
    edisp = EDispKernelMap(GEOM, values)
    for x, y in ((0.8, 1.2), (1.4, 0.9), (2.0, 1.0), (-5.0, 1.0)):
        found = np.asarray(at_vector(edisp, at(x, y)))
        np.testing.assert_array_equal(found, values[:, :, 1, 2])
    assert not np.any(found[1]) and np.all(np.sum(found, axis=1)[[0, 2, 3, 4]] > 0.999)
    np.testing.assert_array_equal(at_vector(edisp, -at(1.5, 1.0)), values[:, :, 1, 2])
    empty = EDispKernelMap(GEOM, 0 * values)
    for vector in (at(1, 1), -at(1, 1)):
        assert not np.any(at_vector(empty, vector))


def test_slopes():
    """None in the position; in the values that of the pixel, also where rows are empty."""
    values = KERNELS.copy()
    values[2] = 0
    edisp = EDispKernelMap(GEOM, values)
    assert not np.any(jax.jit(jax.jacrev(lambda v: edisp.matrix_at(v, TRUE, RECO)))(jnp.asarray(at(2.3, 1.1))))
    hidden = jax.jit(jax.jacrev(lambda v: edisp.matrix_at(v, TRUE, RECO)))(jnp.asarray(-at(2.3, 1.1)))
    assert np.all(np.isfinite(hidden))
    vector = jnp.asarray(at(2.3, 1.1))
    gradient = jax.jit(
        jax.grad(lambda v: jnp.sum(eqx.tree_at(lambda e: e.values, edisp, v).matrix_at(vector, TRUE, RECO)))
    )(jnp.asarray(values))
    wanted = np.zeros_like(values)
    wanted[:, :, 1, 2] = 1
    np.testing.assert_array_equal(gradient, wanted)


def test_from_one_matrix():
    kernel = EDispKernel.from_gauss(TRUE, RECO, 0.2, 0.05)
    for edisp in (EDispKernelMap.from_kernel(kernel), EDispKernelMap.from_gauss(TRUE * u.TeV, RECO, 0.2, 0.05)):
        assert edisp.geom is None and edisp.values.shape == (5, 7, 1, 1)
        np.testing.assert_array_equal(at_vector(edisp, at(0, 0)), kernel.matrix)
    np.testing.assert_array_equal(matrix_at(kernel, None, TRUE, RECO), kernel.matrix)
    for perfect in (None, EDispKernelMap.from_diagonal_response(TRUE, RECO)):
        np.testing.assert_allclose(at_vector(perfect, at(0, 0)), diagonal_response(TRUE, RECO), atol=1e-15)
    np.testing.assert_allclose(EDispKernelMap.from_diagonal_response(TRUE).values[..., 0, 0], np.eye(5), atol=1e-12)


def test_gaussian_migrations():
    sigma, bias = np.array([0.3, 0.25, 0.2, 0.15, 0.1]), np.array([0.1, 0.05, 0.0, 0.0, -0.05])
    edisp = EDispMap.from_gauss(TRUE * 1e3 * u.GeV, np.linspace(0.05, 4, 1601), sigma, bias)
    z = (RECO / CENTRE[:, None] - 1 - bias[:, None]) / sigma[:, None]
    # linear between migrations 0.0025 apart, and the small ones set to 0
    np.testing.assert_allclose(at_vector(edisp, at(0, 0)), np.diff(norm.cdf(z), axis=1), atol=1e-5)
    shares = np.asarray(edisp.values)[..., 0, 0] * np.diff(edisp.migra_edges)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-3)
    one = EDispMap.from_gauss(TRUE, MIGRA, 0.2)
    np.testing.assert_allclose(np.asarray(one.values)[0], np.asarray(one.values)[3], rtol=1e-15)


def test_migrations_of_a_pixel():
    edisp = EDispMap(GEOM, TRUE, MIGRA, DENSITIES)
    convert = jax.jit(matrix_from_migration)
    np.testing.assert_allclose(
        at_vector(edisp, at(2.4, 1.6)), convert(DENSITIES[:, :, 2, 2], MIGRA, TRUE, RECO), rtol=1e-13
    )
    empty = DENSITIES.copy()
    empty[..., 2:, 2:] = 0
    found = at_vector(EDispMap(GEOM, TRUE, MIGRA, empty), at(2.4, 1.6))
    np.testing.assert_allclose(found, convert(DENSITIES[:, :, 1, 2], MIGRA, TRUE, RECO), rtol=1e-13)


def test_to_kernel_map():
    exposure = np.arange(60.0).reshape(5, 3, 4) * u.Unit("m2 s")
    edisp = EDispMap(GEOM, TRUE, MIGRA, DENSITIES, exposure)
    kernels = edisp.to_kernel_map(RECO * u.TeV)
    assert kernels.geom is GEOM and kernels.values.shape == (5, 7, 3, 4)
    np.testing.assert_array_equal(kernels.exposure, 1e4 * exposure.value)
    for x, y in ((0, 0), (3, 2), (1, 2)):
        np.testing.assert_allclose(at_vector(kernels, at(x, y)), at_vector(edisp, at(x, y)), rtol=1e-13)
    flat = EDispMap.from_gauss(TRUE, MIGRA, 0.2)
    np.testing.assert_allclose(at_vector(flat.to_kernel_map(RECO), at(0, 0)), at_vector(flat, at(0, 0)), rtol=1e-13)


def test_slope_in_an_energy_scale():
    """Reconstructed edges may be traced: they move with an energy scale."""
    edisp = EDispMap.from_gauss(TRUE, MIGRA, 0.2)
    one = jax.jit(lambda s: edisp.matrix_at(at(0, 0), TRUE, s * RECO))
    slope = jax.jit(jax.jacfwd(lambda s: edisp.matrix_at(at(0, 0), TRUE, s * RECO)))(1.01)
    np.testing.assert_allclose(slope, (one(1.01 + 1e-6) - one(1.01 - 1e-6)) / 2e-6, atol=1e-7)


NAN = np.where(np.arange(7)[:, None, None] == 3, np.nan, KERNELS)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: EDispKernelMap(GEOM, KERNELS[..., :3]), r"shape \(5, 7, 3, 3\).*\(3, 4\)"),
        (lambda: EDispKernelMap(None, KERNELS), r"\(1, 1\)"),
        (lambda: EDispKernelMap(None, np.eye(3)), "n_true, n_reco, y, x"),
        (lambda: EDispKernelMap(GEOM, NAN), r"found nan at \(n_true, n_reco, y, x\) = \(0, 3, 0, 0\)"),
        (lambda: EDispKernelMap(GEOM, -KERNELS), "not negative"),
        (lambda: EDispKernelMap(GEOM, KERNELS * u.m), "EDispKernelMap values: found unit 'm'"),
        (lambda: EDispKernelMap(GEOM, KERNELS, np.ones((4, 3, 4))), r"exposure has shape \(4, 3, 4\), expected"),
        (lambda: EDispMap(GEOM, TRUE, MIGRA[:-1], DENSITIES), "5 true energies and 95 migrations"),
        (lambda: EDispMap(GEOM, TRUE[1:], MIGRA, DENSITIES), "4 true energies and 96 migrations"),
        (lambda: EDispMap(GEOM, TRUE[::-1], MIGRA, DENSITIES), "energy_true_edges: edges must be"),
        (lambda: EDispMap(GEOM, TRUE, MIGRA[::-1], DENSITIES), "migra_edges must be at least 0, finite and increasing"),
        (lambda: EDispMap(GEOM, TRUE, MIGRA - 1, DENSITIES), "migra_edges"),
        (lambda: EDispMap(GEOM, TRUE, np.append(MIGRA[:-1], np.nan), DENSITIES), "migra_edges"),
        (lambda: EDispMap(GEOM, TRUE, MIGRA, DENSITIES[:, :, :2]), "EDispMap: values have shape"),
        (lambda: EDispMap.from_gauss(TRUE, MIGRA, 0.0), "sigma must be positive, found 0"),
        (lambda: EDispMap.from_gauss(TRUE, MIGRA, [0.1, 0.1, np.nan, 0.1, 0.1]), "sigma must be positive"),
        (lambda: EDispMap.from_gauss(TRUE, MIGRA, 0.1).to_kernel_map([1.0]), "energy_edges"),
    ],
)
def test_what_is_refused(make, match):
    with pytest.raises(InputError, match=match):
        make()


def test_made_in_a_program():
    """Values may be traced: their shape is checked all the same."""
    found = jax.jit(lambda v: EDispKernelMap(GEOM, v).matrix_at(at(2, 1), TRUE, RECO))(KERNELS)
    np.testing.assert_array_equal(found, KERNELS[:, :, 1, 2])
    with pytest.raises(InputError, match="shape"):
        jax.jit(lambda v: EDispKernelMap(GEOM, v).values)(KERNELS[..., :2])
