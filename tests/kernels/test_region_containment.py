"""Fourier transforms of regions, and shares made of them, against closed forms."""

import jax
import numpy as np
import pytest
from scipy.special import j1
from scipy.stats import ncx2

from gammajax.kernels import region_containment as kernels

N = 48


def moved(values, x, y):
    fy, fx = kernels.lattice_frequencies(N)
    values = values * np.exp(-2j * np.pi * (fx * x + fy * y))
    return np.stack([values.real, values.imag])


def seen(width=2.0, radius=6.0, x=23.3, y=24.1):
    psf = kernels.gauss_transform(N, width)
    return kernels.seen_region(psf, kernels.disk_transform(N, x, y, radius))


@pytest.mark.parametrize("radius", [0.3, 2.0, 9.5])
def test_transform_of_a_disk(radius):
    fy, fx = kernels.lattice_frequencies(N)
    t = 2 * np.pi * np.hypot(fx, fy) * radius
    wanted = np.pi * radius**2 * np.where(t > 0, 2 * j1(t) / np.where(t > 0, t, 1), 1)
    found = kernels.disk_transform(N, 20.25, 25.5, radius)
    np.testing.assert_allclose(found, moved(wanted, 20.25, 25.5), rtol=0, atol=1e-12 * radius**2)


def test_transform_of_cells():
    """Of a rectangle of 6 x 3 steps, made of eighths of steps; aligned cells are the worst case."""
    fy, fx = kernels.lattice_frequencies(N)
    found = kernels.cells_transform(N, np.ones((24, 48)), 20.0625, 22.0625, 0.125)
    wanted = moved(18 * np.sinc(6 * fx) * np.sinc(3 * fy), 23.0, 23.5)
    low = np.hypot(fx, fy) < 0.1
    np.testing.assert_allclose(found[:, low], wanted[:, low], rtol=0, atol=5e-4 * 18)
    assert found[0, 0, 0] == pytest.approx(18, rel=1e-14)


def test_share_of_a_point():
    """That of a circle in a Gaussian at an offset is a Rice distribution."""
    terms = kernels.frequency_terms(seen())
    share = jax.jit(kernels.point_share)
    for x, y in ((23.3, 24.1), (26.0, 24.1), (31.77, 20.2), (38.0, 40.0)):
        offset = np.hypot(x - 23.3, y - 24.1)
        assert share(terms, x, y)[0] == pytest.approx(ncx2.cdf(9.0, 2, (offset / 2) ** 2), abs=2e-9)


def test_beside_the_lattice_nothing_is_seen():
    terms = kernels.frequency_terms(seen())
    for x in (-1.0, 48.0, 1e6, -1e6):
        share, slope = jax.value_and_grad(lambda x: kernels.point_share(terms, x, 24.0)[0])(x)
        assert share == 0 and slope == 0


def test_map_of_shares():
    """At the nodes it is the share of points there, and the product with a blurred image is what the blur undoes."""
    both = seen()
    found = kernels.share_map(both)
    terms = kernels.frequency_terms(both)
    assert float(found[0, 20, 30]) == pytest.approx(float(kernels.point_share(terms, 30.0, 20.0)[0]), rel=1e-9)
    sharp = kernels.share_map(both, np.eye(2))
    y, x = np.mgrid[:N, :N]
    blurred = np.exp(-0.5 * ((x - 26.3) ** 2 + (y - 22.7) ** 2)) / (2 * np.pi)
    wanted = float(kernels.point_share(terms, 26.3, 22.7)[0])
    assert float(np.sum(sharp[0] * blurred)) == pytest.approx(wanted, rel=1e-6)


def test_slopes():
    """First and second ones against differences."""
    terms = kernels.frequency_terms(seen())
    slope = jax.jit(jax.grad(lambda x: kernels.point_share(terms, x, 21.3)[0]))
    second = jax.jit(jax.grad(jax.grad(lambda x: kernels.point_share(terms, x, 21.3)[0])))
    values = [float(kernels.point_share(terms, 27.9 + s, 21.3)[0]) for s in (-1e-3, 1e-3)]
    assert float(slope(27.9)) == pytest.approx((values[1] - values[0]) / 2e-3, rel=1e-6)
    assert float(second(27.9)) == pytest.approx(float(slope(27.901) - slope(27.899)) / 2e-3, rel=1e-5)
