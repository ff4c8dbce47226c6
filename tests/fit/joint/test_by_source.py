"""Slopes of the predictions of maps with several sources, which are made source by source."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import maps as cases

import gammajax as gj
from gammajax.fit.joint import blocks, from_free, make_problem

pytestmark = pytest.mark.slow


def sources(dataset):
    """Three Gaussians, of which two share an index and not all have the same free parameters, and a disk."""
    found = []
    for i, (x, y) in enumerate([(5.3, 5.8), (7.1, 4.2), (-0.4, 9.6)]):
        lon, lat = cases.at_pixel(dataset, x, y)
        found.append(
            cases.source(
                gj.GaussianSpatialModel(lon_0=lon, lat_0=lat, sigma=0.06), name=f"s{i}", amplitude=(1 + i) * 1e-11
            )
        )
    lon, lat = cases.at_pixel(dataset, 6.5, 6.1)
    found.append(cases.source(gj.DiskSpatialModel(lon_0=lon, lat_0=lat, r_0=0.1), name="disk"))
    frozen = ["s1.spatial.lon_0", *(f"disk.spatial.{name}" for name in ("lon_0", "lat_0", "r_0"))]
    return gj.Models(found).link("s0.spectral.index", "s2.spectral.index").freeze(*frozen)


def test_slopes_are_those_of_the_prediction():
    """Shared, own and linked parameters, windows that run over the edge, frozen shapes, and tilted
    backgrounds: as JAX differentiates the whole prediction."""
    maps = {name: cases.small_map(n=12) for name in ("a", "b")}
    tilted = gj.PowerLawNormSpectralModel(norm=1.1, tilt=gj.Parameter(0.1, frozen=False))
    models = sources(maps["a"])
    models = gj.Models([*models, *(gj.FoVBackgroundModel(tilted, name=f"{n}-bkg", datasets_names=[n]) for n in maps)])
    problem = make_problem(gj.Datasets(maps), models.with_image_margins())
    (spec,), (arrays,) = problem.spec.groups, problem.arrays["groups"]
    assert set(spec.make.sources) == {0, 1, 2, 3}
    shared, own = blocks.inputs(spec, arrays, from_free(problem.arrays, problem.start()), 0)
    predicted, along_shared, along_own = jax.jit(lambda *at: blocks._jacobian(spec, arrays, *at))(shared, own)

    def predict(shared, own):
        return blocks.evaluate(spec, arrays, lambda dataset, models: dataset.predict(models), shared, own)

    wanted, (of_shared, of_own) = jax.jit(lambda *at: (predict(*at), jax.jacfwd(predict, (0, 1))(*at)))(shared, own)
    np.testing.assert_allclose(predicted, wanted, rtol=1e-12)
    for found, slopes in (
        (along_shared, jnp.moveaxis(of_shared, -1, 0)),
        (along_own, jnp.moveaxis(jnp.diagonal(of_own, axis1=0, axis2=2), 1, 0).swapaxes(1, 2)),
    ):
        assert found.shape == slopes.shape and np.all(np.max(np.abs(slopes), axis=(1, 2)) > 0)
        np.testing.assert_allclose(found, slopes, atol=1e-11 * np.max(np.abs(slopes)), rtol=1e-9)
