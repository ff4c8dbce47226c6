"""Events through the point spread function and the energy dispersion."""

import numpy as np
import pytest
from scipy import stats

import gammajax as gj
from gammajax.datasets.events import blurred, dispersed, moved, pixels_of
from gammajax.kernels import lonlat_to_vector

GEOM = gj.SkyGeom.create((83.6, 22.0), 0.1, npix=10)
N = 30_000


def separation(a, b):
    return np.degrees(2 * np.arcsin(np.linalg.norm(a - b, axis=1) / 2))


def at(lon, lat, n=N):
    return np.repeat(lonlat_to_vector(np.array([lon]), np.array([lat])), n, axis=0)


def test_moves_on_the_sphere():
    start = lonlat_to_vector(np.array([10.0, 200.0, 0.0]), np.array([0.0, 60.0, 90.0]))
    end = moved(start, np.array([2.0, 5.0, 1.0]), np.array([0.0, np.pi / 2, 1.0]))
    np.testing.assert_allclose(separation(start, end), [2, 5, 1], rtol=1e-12)
    np.testing.assert_allclose(end[0], lonlat_to_vector(10.0, 2.0), atol=1e-15)
    assert end[1] @ np.cross(start[1], [0, 0, 1.0]) < 0, "position angles grow to the east"


def test_radii_follow_the_profile():
    """A Gaussian whose width depends on energy and position; the test is the integral of the table's line."""
    energy = np.array([1.0, 10.0])
    psf = gj.PSFMap.from_gauss(energy, [0.1, 0.05], rad=np.arange(0, 0.8, 0.005))
    rng = np.random.default_rng(0)
    for e, sigma in ((1.0, 0.1), (10.0, 0.05), (200.0, 0.05)):
        vectors = at(83.0, 22.0)
        seen = blurred(rng, psf, GEOM, vectors, np.full(N, e), np.zeros(N, int))
        r = separation(vectors, seen)
        assert stats.kstest(-np.expm1(-0.5 * (r / sigma) ** 2), "uniform").pvalue > 1e-3
    # between the energies: half of the events by either profile
    r = separation(vectors, blurred(rng, psf, GEOM, vectors, np.full(N, 10**0.5), np.zeros(N, int)))
    mixed = -(np.expm1(-0.5 * (r / 0.1) ** 2) + np.expm1(-0.5 * (r / 0.05) ** 2)) / 2
    assert stats.kstest(mixed, "uniform").pvalue > 1e-3
    east, north = (seen - vectors) @ np.cross([0, 0, 1.0], vectors[0]), (seen - vectors)[:, 2]
    assert stats.kstest(np.arctan2(east, north) / (2 * np.pi) + 0.5, "uniform").pvalue > 1e-3


def test_profiles_of_a_map_of_positions():
    """Left and right have different widths; in the middle both, and a pixel without profile takes the nearest."""
    grid = gj.SkyGeom.create((83.6, 22.0), 1.0, npix=(4, 1))
    flat = gj.PSFMap.from_gauss([1.0, 2.0], 0.05, rad=np.arange(0, 0.8, 0.005))
    wide = gj.PSFMap.from_gauss([1.0, 2.0], 0.1, rad=np.arange(0, 0.8, 0.005))
    values = np.concatenate([flat.values, flat.values, wide.values, 0 * wide.values], axis=3)
    psf = gj.PSFMap(grid, flat.energy, flat.rad, flat.rad_edges, values)
    rng = np.random.default_rng(1)
    shares = {}
    for x in (0.0, 1.5, 2.2, 3.0):
        vectors = np.repeat(np.asarray(grid.pixel_to_vector(np.array([x]), np.array([0.0]))), N, axis=0)
        r = separation(vectors, blurred(rng, psf, GEOM, vectors, np.ones(N), np.zeros(N, int)))
        for share in (0.0, 0.5, 1.0):
            mixed = -(share * np.expm1(-0.5 * (r / 0.1) ** 2) + (1 - share) * np.expm1(-0.5 * (r / 0.05) ** 2))
            if stats.kstest(mixed, "uniform").pvalue > 1e-3:
                shares[x] = share
    assert shares == {0.0: 0.0, 1.5: 0.5, 2.2: 1.0, 3.0: 1.0}
    nothing = gj.PSFMap(grid, flat.energy, flat.rad, flat.rad_edges, 0 * values)
    assert np.all(np.isnan(blurred(rng, nothing, GEOM, vectors[:5], np.ones(5), np.zeros(5, int))))


def test_kernels_of_pixels():
    """Shares of the pixels of a kernel around the pixel of the source."""
    weights = np.zeros((2, 3, 3))
    weights[0, 1, 1], weights[0, 0, 2] = 0.75, 0.25
    weights[1, 2, 0] = 1.0
    vectors = np.repeat(np.asarray(GEOM.pixel_to_vector(np.array([4.0]), np.array([5.0]))), N, axis=0)
    bins = np.repeat([0, 1], N // 2)
    seen = blurred(np.random.default_rng(2), gj.PSFKernel(weights), GEOM, vectors, np.ones(N), bins)
    x, y = (np.rint(c).astype(int) for c in GEOM.vector_to_pixel(seen))
    assert np.all((x[bins == 1] == 3) & (y[bins == 1] == 6))
    corner = (x == 5) & (y == 4) & (bins == 0)
    assert abs(corner.sum() / (N // 2) - 0.25) < 0.02 and np.all(((x == 4) & (y == 5))[(bins == 0) & ~corner])


def test_energies_by_a_matrix():
    edges = np.array([1.0, 2, 4, 8])
    matrix = np.array([[0.5, 0.25, 0.0], [0.0, 0.0, 1.0]])
    bins = np.repeat([0, 1], N)
    rng = np.random.default_rng(3)
    for edisp in (gj.EDispKernel(matrix), gj.EDispKernelMap.from_kernel(gj.EDispKernel(matrix))):
        found = dispersed(rng, edisp, edges, at(83.6, 22.0, 2 * N), np.full(2 * N, 3.0), bins)
        first = np.histogram(found[bins == 0], edges)[0]
        lost = np.isnan(found[bins == 0]).sum()
        assert stats.chisquare([*first[:2], lost], [N / 2, N / 4, N / 4]).pvalue > 1e-3 and first[2] == 0
        assert stats.kstest(np.log(found[bins == 1] / 4) / np.log(2), "uniform").pvalue > 1e-3
    assert np.all(dispersed(rng, None, edges, None, np.array([3.0]), np.array([0])) == 3.0)


def test_energies_by_migrations():
    """Two places with different biases; what migrates off the table is lost."""
    migra = np.linspace(0.0, 2.0, 201)
    tables = [gj.EDispMap.from_gauss([1.0, 10.0], migra, 0.1, bias).values for bias in (0.0, 0.3)]
    grid = gj.SkyGeom.create((83.6, 22.0), 1.0, npix=(2, 1))
    edisp = gj.EDispMap(grid, [1.0, 10.0], migra, 0.5 * np.concatenate(tables, axis=3))
    for x, bias in ((0.0, 0.0), (1.2, 0.3)):
        vectors = np.repeat(np.asarray(grid.pixel_to_vector(np.array([x]), np.array([0.0]))), N, axis=0)
        energy = np.linspace(1, 10, N)
        found = dispersed(np.random.default_rng(4), edisp, np.array([1.0, 10]), vectors, energy, np.zeros(N, int))
        lost = np.isnan(found)
        assert abs(lost.mean() - 0.5) < 5 * np.sqrt(0.25 / N)
        ratio = (found / energy)[~lost]
        assert stats.kstest(ratio, stats.norm(1 + bias, 0.1).cdf).pvalue > 1e-3


@pytest.mark.parametrize("lon", [83.6, 260.0])
def test_pixels_beyond_the_grid(lon):
    valid = np.zeros((3, 3), bool)
    valid[0, 2] = True
    grid = gj.SkyGeom.create((83.6, 22.0), 0.1, npix=3)
    assert [int(i[0]) for i in pixels_of(grid, valid, at(lon, 22.0, 1))] == [0, 2]
