"""Slopes of the predictions of maps with several sources, and their products, which are made source by source."""

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


def test_products_of_slopes_are_those_of_the_prediction():
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

    def predict(shared, own):
        return blocks.evaluate(spec, arrays, lambda dataset, models: dataset.predict(models), shared, own)

    def whole(shared, own):
        predicted, (of_shared, of_own) = predict(shared, own), jax.jacfwd(predict, (0, 1))(shared, own)
        of_own = jnp.moveaxis(jnp.diagonal(of_own, axis1=0, axis2=2), 1, 0).swapaxes(1, 2)
        stat, score, weight = blocks._per_bin(
            spec, arrays, lambda dataset, mask, prediction: dataset.scoring_bins(prediction), predicted
        )
        return jnp.sum(stat), blocks._blocks(jnp.moveaxis(of_shared, -1, 0), of_own, score, weight)

    found, wanted = (jax.jit(f)(shared, own) for f in (lambda *at: blocks.group_fisher(spec, arrays, *at), whole))
    assert float(found[0]) == pytest.approx(float(wanted[0]), rel=1e-12)
    of_shared, of_own = np.sqrt(np.diag(wanted[1].shared)), np.sqrt(np.diagonal(wanted[1].own, axis1=1, axis2=2))
    assert np.all(of_shared > 0) and np.all(of_own > 0)
    scales = {
        "slope_shared": of_shared,
        "slope_own": of_own,
        "shared": np.outer(of_shared, of_shared),
        "mixed": of_shared[None, :, None] * of_own[:, None, :],
        "own": of_own[:, :, None] * of_own[:, None, :],
    }
    for name, scale in scales.items():
        one, other = (np.asarray(getattr(block, name)) for block in (found[1], wanted[1]))
        assert one.shape == other.shape
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-10, err_msg=name)
