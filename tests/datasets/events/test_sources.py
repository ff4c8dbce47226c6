"""True directions and energies of events."""

import numpy as np
import pytest
from cases import maps as map_cases
from scipy import stats

import gammajax as gj
from gammajax.datasets.events import draw_directions, draw_source
from gammajax.kernels import local_offsets

small_map, source = map_cases.small_map, map_cases.source

CENTER = {"lon_0": 83.63, "lat_0": 22.01}
SHAPES = {
    "gauss": gj.GaussianSpatialModel(sigma=0.3, **CENTER),
    "wide": gj.GaussianSpatialModel(sigma=30.0, **CENTER),
    "elongated": gj.GaussianSpatialModel(sigma=0.3, e=0.9, phi=40.0, **CENTER, frame="galactic"),
    "disk": gj.DiskSpatialModel(r_0=0.4, e=0.7, phi=-30.0, edge_width=0.2, **CENTER),
    "shell": gj.ShellSpatialModel(radius=0.3, width=0.1, **CENTER),
    "shell2": gj.Shell2SpatialModel(r_0=0.4, eta=0.3, **CENTER),
    "generalized": gj.GeneralizedGaussianSpatialModel(r_0=0.3, eta=0.8, e=0.5, phi=70.0, **CENTER),
}


@pytest.mark.parametrize("name", SHAPES)
def test_directions_follow_the_brightness(name):
    """Counts in cells of offsets against the integral of the model's own profile over them, by the midpoint rule."""
    spatial = SHAPES[name]
    n, reach = 60_000, min(float(spatial.evaluation_radius), 150.0)
    vectors = draw_directions(np.random.default_rng(5), spatial, n)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-12)
    east, north = local_offsets(vectors, *(float(c) for c in spatial.position), spatial.frame)
    cells, fine = 12, 20
    edges = np.linspace(-reach, reach, cells + 1)
    seen = np.histogram2d(east, north, bins=(edges, edges))[0]
    middle = (np.arange(cells * fine) + 0.5) / fine * (edges[1] - edges[0]) - reach
    x, y = np.meshgrid(middle, middle, indexing="ij")
    r = np.hypot(x, y)
    area = np.sinc(r / 180) * np.radians(middle[1] - middle[0]) ** 2 * (r < 180)
    wanted = n * (np.asarray(spatial.profile(x, y)) * area).reshape(cells, fine, cells, fine).sum((1, 3))
    enough = wanted > 8
    assert enough.sum() > 10
    # the midpoint rule is good to 1e-3 at edges, which is below the noise of the counts
    chi2 = np.sum((seen - wanted)[enough] ** 2 / wanted[enough])
    assert 1e-4 < stats.chi2.sf(chi2, enough.sum()) < 0.9999


def test_sizes_of_zero_are_points():
    for spatial in (gj.GaussianSpatialModel(sigma=0.0, **CENTER), gj.DiskSpatialModel(r_0=0.0, **CENTER)):
        vectors = draw_directions(np.random.default_rng(0), spatial, 4)
        np.testing.assert_allclose(vectors, np.repeat(np.asarray(spatial.center_vector)[None], 4, 0), atol=1e-15)


def test_energies_follow_the_spectrum_inside_bins():
    """Wide bins with an exposure that is constant in each: a power law within, the exposures between."""
    edges = np.array([1.0, 10.0, 30.0])
    dataset = gj.SpectrumDataset(edges, exposure=[2e15, 8e15])
    model = gj.SkyModel(gj.PowerLawSpectralModel(index=3.0, amplitude=4e-11))
    vectors, energy, bins = draw_source(np.random.default_rng(1), dataset, model)
    assert vectors is None
    flux = 4e-11 / 2 * (edges[:-1] ** -2 - edges[1:] ** -2)
    expected = flux * [2e15, 8e15]
    seen = np.bincount(bins)
    assert np.all(np.abs(seen - expected) < 5 * np.sqrt(expected))
    for i in (0, 1):
        here = energy[bins == i]
        assert edges[i] <= here.min() and here.max() <= edges[i + 1]
        cdf = (edges[i] ** -2 - here**-2) / (edges[i] ** -2 - edges[i + 1] ** -2)
        assert stats.kstest(cdf, "uniform").pvalue > 1e-3


def test_exposure_at_the_true_place():
    """A step in the exposure under a disk; pixels between are linear."""
    geom = gj.SkyGeom.create((83.63, 22.01), 0.1, npix=11)
    exposure = np.ones((1, 11, 11)) * np.where(np.arange(11) < 5, 1e14, 4e14)
    dataset = gj.MapDataset(geom, [1.0, 2.0], exposure=exposure)
    model = source(gj.DiskSpatialModel(r_0=0.4, **CENTER), amplitude=1e-9, index=2.0)
    vectors, _, _ = draw_source(np.random.default_rng(2), dataset, model)
    x, _ = geom.vector_to_pixel(vectors)
    # the share of a disk of radius 4 pixels left of 1, between the two centres in proportion, and right of it
    weight = np.interp(np.linspace(-4, 4, 8001), [-1, 0], [1.0, 4.0]) * np.sqrt(
        np.maximum(16 - np.linspace(-4, 4, 8001) ** 2, 0)
    )
    left = weight[:3001].sum() / weight.sum()
    assert abs(np.mean(x < 4) - left) < 5 * np.sqrt(left * (1 - left) / len(x)) + 2e-3
    flux = 1e-9 * (1 - 1 / 2)
    mean = weight.sum() / np.sqrt(np.maximum(16 - np.linspace(-4, 4, 8001) ** 2, 0)).sum() * 1e14
    assert abs(len(x) - flux * mean) < 5 * np.sqrt(flux * mean) + 2e-3 * flux * mean


def test_maps_are_drawn_by_pixels():
    dataset = small_map(n=12, sigma=None)
    y, x = np.mgrid[:20, :20]
    template = gj.TemplateSpatialModel(1.0 + x + 0 * y, gj.SkyGeom.create((83.63, 22.01), 0.05, npix=20))
    model = source(template, amplitude=2e-9)
    vectors, energy, bins = draw_source(np.random.default_rng(3), dataset, model)
    seen = np.zeros(dataset.pixels)
    px, py = (np.rint(c).astype(int) for c in dataset.geom.vector_to_pixel(vectors))
    np.add.at(seen, (py, px), 1)
    per_bin = np.asarray(model.integrate_bins(dataset.energy_true_edges, dataset.nodes))[:, None, None]
    gx, gy = dataset.geom.pixel_grid
    image = np.asarray(template.evaluate(dataset.geom.pixel_to_vector(gx, gy))) * dataset.geom.solid_angle
    wanted = np.sum(per_bin * dataset.exposure * image, axis=0)
    assert stats.chi2.sf(np.sum((seen - wanted) ** 2 / wanted), wanted.size) > 1e-4
    assert energy.shape == bins.shape


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (source(gj.PointSpatialModel(**CENTER), amplitude=-1e-11), "'source' has the flux -.* in true-energy bin 0"),
        (source(None), "'source' has no spatial part"),
        (source(gj.PointSpatialModel(**CENTER), amplitude=1.0), "more than 1e.08. Check its amplitude"),
        (source(gj.ConstantSpatialModel(value=-1.0)), "negative surface brightness"),
    ],
)
def test_bad_models(model, message):
    with pytest.raises(gj.InputError, match=message):
        draw_source(np.random.default_rng(0), small_map(), model)


def test_missing_exposure():
    model = source(gj.PointSpatialModel(**CENTER))
    with pytest.raises(gj.InputError, match="no exposure, so that model 'source' gives no events"):
        draw_source(np.random.default_rng(0), small_map(exposure=None), model)
    bare = model.replace(apply_irf={"exposure": False})
    assert len(draw_source(np.random.default_rng(0), small_map(exposure=None), bare).energy) == 0
