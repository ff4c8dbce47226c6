"""Predictions of sources that are positive are nowhere negative, and their slopes are those of what is predicted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import maps as cases

import gammajax as gj
from gammajax.datasets.map.plan import plan
from gammajax.datasets.map.source_image import prepare_image
from gammajax.kernels.quadrature import log_centers

pytestmark = pytest.mark.slow

AT = {"lon_0": 83.64, "lat_0": 22.03}
SHAPES = {
    "point": gj.PointSpatialModel(**AT),
    "gauss": gj.GaussianSpatialModel(**AT, sigma=0.05),
    "disk": gj.DiskSpatialModel(**AT, r_0=0.15),
}


@pytest.fixture(scope="module")
def empty():
    """A map without background."""
    return cases.small_map(n=24, background=0.0)


def prepared(dataset, spatial):
    model = cases.source(spatial)
    return model, prepare_image(dataset.response, model, plan(dataset.response, model))


@pytest.mark.parametrize("shape", SHAPES)
def test_counts_can_be_drawn_without_a_background(empty, shape):
    npred = np.asarray(gj.npred(empty, cases.source(SHAPES[shape])))
    assert np.all(npred >= 0) and npred.max() > 0
    gj.fake(jax.random.key(0), empty, cases.source(SHAPES[shape]))
    # a source that takes away is the same upside down
    below = np.asarray(gj.npred(empty, cases.source(SHAPES[shape], amplitude=-4e-11)))
    np.testing.assert_allclose(below, -npred, rtol=1e-12)


@pytest.mark.parametrize("shape", ["point", "gauss"])
def test_what_is_cut_off_is_what_rings(empty, shape):
    """Less than 3e-5 of the peak, and no flux to speak of."""
    model, image = prepared(empty, SHAPES[shape])
    energy = log_centers(empty.energy_true_edges)
    ringing = np.asarray(image._by_transform(model.spatial))
    found = np.asarray(image.image(model.spatial, energy))
    assert np.any(ringing < 0) and np.all(found == np.maximum(ringing, 0))
    assert np.abs(found - ringing).max() < 3e-5 * ringing.max()
    assert np.all(np.abs((found - ringing).sum(axis=(1, 2))) < 1e-4)


def test_slopes_without_images_are_those_of_the_images(empty):
    """First and second derivatives of a weighted sum of counts, with weights on the pixels that ring alone as well."""
    model, image = prepared(empty, SHAPES["gauss"])
    energy, flux = log_centers(empty.energy_true_edges), jnp.asarray([4.0, 3.0, 2.0, 1.0])
    shape = np.shape(image.counts(model.spatial, flux, energy))
    ringing = np.asarray(image.counts_of(image.exposed(image._by_transform(model.spatial)), flux)) < 0
    rng = np.random.default_rng(1)

    @jax.jit
    def both(weights):
        def of(total, place):
            lon, lat, sigma = place
            spatial = model.spatial.replace(lon_0=lon, lat_0=lat, sigma=sigma)
            return total(spatial)

        def by_image(place):
            return of(lambda s: jnp.sum(weights * image.counts(s, flux, energy)), place)

        def by_overlap(place):
            return of(lambda s: image.weighted(s, flux, energy, weights), place)

        place = jnp.asarray([AT["lon_0"], AT["lat_0"], 0.05])
        return [(f(place), jax.grad(f)(place), jax.hessian(f)(place)) for f in (by_image, by_overlap)]

    for weights in (rng.normal(size=shape), rng.normal(size=shape) * ringing):
        one, other = both(jnp.asarray(weights))
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9 * np.abs(one[2]).max())


def test_a_fit_without_a_background_finds_the_truth(empty):
    """Counts as predicted, in all pixels: none of them meets the floor of the statistic."""
    truth = cases.source(SHAPES["point"])
    start = gj.Models([cases.source(gj.PointSpatialModel(lon_0=83.65, lat_0=22.02), amplitude=3e-11)])
    result = gj.fit(gj.asimov(empty, truth), start.freeze("source.spectral.index"))
    assert result.success
    for name, wanted in (("spectral.amplitude", 4e-11), ("spatial.lon_0", 83.64), ("spatial.lat_0", 22.03)):
        np.testing.assert_allclose(result.parameters[f"source.{name}"].value, wanted, rtol=1e-6)


def test_a_real_run_takes_three_sources(data_path):
    """Where its background is 0, too."""
    run = gj.MapDataset.read(next((data_path / "hess-crab" / "maps").glob("obs_*.fits.gz")))
    lon, lat = float(run.geom.center.ra.deg), float(run.geom.center.dec.deg)
    sources = [
        cases.source(gj.PointSpatialModel(lon_0=lon, lat_0=lat), name="a"),
        cases.source(gj.GaussianSpatialModel(lon_0=lon + 0.4, lat_0=lat - 0.3, sigma=0.1), name="b"),
        cases.source(gj.DiskSpatialModel(lon_0=lon - 0.5, lat_0=lat + 0.4, r_0=0.3), name="c"),
    ]
    counts = np.asarray(gj.fake(jax.random.key(2), run, gj.Models(sources)).counts)
    assert counts.sum() > 0
