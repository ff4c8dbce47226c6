"""Exact second derivatives of fits of maps, against differences of the slopes."""

from functools import partial

import numpy as np
import pytest
from cases import maps as cases

import gammajax as gj
from gammajax.fit.joint import compiled_exact_normal, from_free, make_problem

pytestmark = pytest.mark.slow


def models_of(shape, lon, lat, names):
    """A source that all maps see, and in each a point of its own; spectra and backgrounds likewise."""
    models = [cases.source(shape(lon_0=lon, lat_0=lat))]
    for name in names:
        point = gj.PointSpatialModel(lon_0=lon + 0.11, lat_0=lat - 0.07)
        models.append(cases.source(point, name=f"of-{name}", amplitude=2e-11, datasets_names=[name]))
        norm = gj.PowerLawNormSpectralModel(norm=1.1, tilt=gj.Parameter(0.1, frozen=False))
        models.append(gj.FoVBackgroundModel(norm, datasets_names=name))
    return gj.Models(models).freeze(*(f"of-{name}.spatial.lon_0" for name in names))


ellipse = partial(gj.GaussianSpatialModel, sigma=0.08, e=gj.Parameter(0.4, frozen=False), phi=20.0)


@pytest.mark.parametrize(("grid", "shape"), [("exact", ellipse), ("pixel", gj.PointSpatialModel)])
def test_second_derivatives_are_differences_of_slopes(grid, shape):
    """Every block of the arrowhead, with shapes that are shared and local; "pixel" needs images, "exact" none."""
    maps = {name: cases.small_map(n=12, source_grid=grid) for name in ("a", "b")}
    models = models_of(shape, *cases.at_pixel(maps["a"], 5.3, 5.8), maps)
    rng = np.random.default_rng(4)
    expected = {name: np.asarray(gj.npred(data, models, name=name)) for name, data in maps.items()}
    datasets = {name: data.replace(counts=rng.poisson(expected[name]) * 1.3) for name, data in maps.items()}
    problem = make_problem(gj.Datasets(datasets), models.with_image_margins())
    program = compiled_exact_normal(problem.spec)
    theta = from_free(problem.arrays, problem.start())

    def normal(globals_, locals_):
        return program(problem.spec, problem.arrays, theta._replace(globals=globals_, locals=(locals_,)))

    (spec,), (of_locals,) = problem.spec.groups, theta.locals
    assert spec.n_local == len(spec.shapes_own) + 4 and spec.shapes_own and len(spec.shapes_shared) >= 2
    assert spec.make.sums_images == (grid == "pixel")
    exact = normal(theta.globals, of_locals)
    (block,) = exact.locals
    diagonal = np.diagonal(np.asarray(exact.matrix))
    steps = 1e-4 / np.sqrt(np.abs(diagonal))
    for i, step in enumerate(steps):
        ends = [normal(theta.globals + s * step * np.eye(len(steps))[i], of_locals) for s in (1, -1)]
        column = (np.asarray(ends[0].slope) - np.asarray(ends[1].slope)) / (2 * step)
        scale = np.sqrt(np.abs(diagonal * diagonal[i]))
        np.testing.assert_allclose(column / scale, np.asarray(exact.matrix)[:, i] / scale, atol=2e-6)
        place = np.argmax(np.asarray(block.places) == i, axis=1)
        cross = np.asarray(block.cross)[np.arange(len(place)), place]
        found = (np.asarray(ends[0].locals[0].slope) - np.asarray(ends[1].locals[0].slope)) / (2 * step)
        own = np.sqrt(np.abs(np.diagonal(np.asarray(block.matrix), axis1=1, axis2=2) * diagonal[i]))
        np.testing.assert_allclose(found / own, cross / own, atol=2e-6)
    sizes = np.sqrt(np.abs(np.diagonal(np.asarray(block.matrix), axis1=1, axis2=2)))
    for k in range(spec.n_local):
        step = 1e-4 / sizes[:, k]
        moved = np.zeros_like(sizes)
        moved[:, k] = step
        ends = [normal(theta.globals, of_locals + s * moved) for s in (1, -1)]
        found = (np.asarray(ends[0].locals[0].slope) - np.asarray(ends[1].locals[0].slope)) / (2 * step[:, None])
        scale = sizes * sizes[:, k : k + 1]
        np.testing.assert_allclose(found / scale, np.asarray(block.matrix)[:, :, k] / scale, atol=2e-6)
