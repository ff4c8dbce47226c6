"""Predicted counts of region datasets: chain, slopes, transformations of JAX, errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import regions as cases

import gammajax as gj

pytestmark = pytest.mark.slow

beside, dataset, source = cases.beside, cases.dataset, cases.source
GAUSS = source(gj.GaussianSpatialModel(sigma=0.05, **beside(0.1)))


@pytest.fixture(scope="module")
def circle():
    return dataset()


def test_chain(circle):
    """Flux, exposure, share and energy dispersion."""
    flux = np.asarray(GAUSS.integrate_bins(jnp.asarray(cases.TRUE), 32))
    share = cases.in_circle(np.hypot(cases.SIGMA, 0.05), 0.1)
    signal = (flux * circle.exposure * share) @ np.asarray(circle.edisp.matrix)
    np.testing.assert_allclose(gj.npred_signal(circle, GAUSS), signal, rtol=1e-4)
    np.testing.assert_allclose(gj.npred(circle, GAUSS), signal + circle.background, rtol=1e-4)
    stat = np.asarray(gj.stat_array(circle, GAUSS))
    mu = np.asarray(gj.npred(circle, GAUSS))
    np.testing.assert_allclose(stat, 2 * (mu - circle.counts * np.log(mu)), rtol=1e-12)


def test_several_sources_add_up(circle):
    """Those of one structure share a program, and templates and background models act as ever."""
    points = [source(gj.PointSpatialModel(**beside(r)), 1e-11 * (1 + r), name=f"p{r}") for r in (0.0, 0.1, 0.3)]
    alone = sum(np.asarray(gj.npred_signal(circle, p)) for p in points)
    np.testing.assert_allclose(gj.npred_signal(circle, points), alone, rtol=1e-12)
    template = gj.TemplateNPredModel(np.array([3.0, 4.0]))
    norm = gj.FoVBackgroundModel(gj.PowerLawNormSpectralModel(norm=2.0))
    found = gj.npred(circle, [*points, template, norm])
    np.testing.assert_allclose(found, alone + [3, 4] + 2 * circle.background, rtol=1e-12)


def moved(model, lon, lat, sigma, amplitude):
    def where(m):
        spatial = m.spatial
        return [p.value for p in (spatial.lon_0, spatial.lat_0, spatial.sigma, m.spectral.amplitude)]

    return eqx.tree_at(where, model, [lon, lat, sigma, amplitude])


def test_slopes(circle):
    """In position, width and amplitude, against differences."""
    at = [float(x) for x in (*beside(0.1).values(), 0.05, GAUSS.spectral.amplitude.value)]
    slopes = jax.jacfwd(lambda p: gj.npred(circle, moved(GAUSS, *p)))(jnp.array(at))
    for i, step in enumerate((1e-4, 1e-4, 1e-4, 1e-15)):
        ends = [[*at[:i], at[i] + s, *at[i + 1 :]] for s in (-step, step)]
        low, high = (np.asarray(gj.npred(circle, moved(GAUSS, *p))) for p in ends)
        difference = (high - low) / (2 * step)
        np.testing.assert_allclose(slopes[:, i], difference, rtol=2e-5, atol=2e-6 * np.abs(difference).max())


def test_under_jit_and_backwards(circle):
    """The same counts as outside of it, and slopes from reverse differentiation."""
    point = source(gj.PointSpatialModel(**beside(0.1)))

    def total(lon):
        return gj.npred(circle, eqx.tree_at(lambda m: m.spatial.lon_0.value, point, lon)).sum()

    lon = beside(0.1)["lon_0"]
    value, slope = jax.jit(jax.value_and_grad(total))(lon)
    assert float(value) == pytest.approx(float(total(lon)), rel=1e-12)
    assert float(slope) == pytest.approx(float(total(lon + 1e-4) - total(lon - 1e-4)) / 2e-4, rel=1e-5)


def test_vmap_is_the_loop(circle):
    """Over positions, and over the exposures of datasets."""
    lons = jnp.array([83.5, 83.6, 83.7])
    point = source(gj.PointSpatialModel(**beside(0.1)))

    def counts(lon):
        return gj.npred(circle, eqx.tree_at(lambda m: m.spatial.lon_0.value, point, lon))

    np.testing.assert_allclose(jax.vmap(counts)(lons), jnp.stack([counts(lon) for lon in lons]), rtol=1e-12)


def test_errors(circle):
    with pytest.raises(gj.InputError, match="RegionMapDataset: the exposure is missing, so model 'source' predicts"):
        gj.npred(dataset(exposure=None), GAUSS)
    with pytest.raises(gj.InputError, match="contained_share: found PowerLawSpectralModel, expected a SkyModel"):
        circle.contained_share(gj.PowerLawSpectralModel())
    timed = source(temporal=gj.ExpDecayTemporalModel())
    with pytest.raises(gj.InputError, match="has no good time intervals"):
        gj.npred(circle, timed)
    with pytest.raises(gj.InputError, match="has a spatial norm, and the dataset is a"):
        gj.npred(circle, gj.FoVBackgroundModel(spatial=gj.GaussianSpatialModel(sigma=1.0)))
