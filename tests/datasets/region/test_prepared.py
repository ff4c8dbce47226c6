"""Fits of region datasets: truth comes back, alone and beside spectra."""

import astropy.units as u
import jax
import numpy as np
import pytest
import regions
from cases import regions as cases

import gammajax as gj
from gammajax.datasets.prepared import Frozen

pytestmark = pytest.mark.slow

beside, dataset, source = cases.beside, cases.dataset, cases.source
TRUTH = source(gj.GaussianSpatialModel(sigma=0.06, **beside(0.03)))
POINT = source(gj.PointSpatialModel(**beside(0.03)))


@pytest.fixture(scope="module")
def circles():
    """Four circles, one in the middle and three around it."""
    places = [cases.CENTER] + [cases.CENTER.directional_offset_by(a * u.deg, 0.15 * u.deg) for a in (0, 120, 240)]
    found = [dataset(regions.CircleSkyRegion(at, cases.RADIUS * u.deg)) for at in places]
    return gj.Datasets({f"circle-{i}": d for i, d in enumerate(found)})


def test_position_comes_back(circles):
    expected = gj.Datasets({name: gj.asimov(d, POINT) for name, d in circles.items()})
    result = gj.fit(expected, source(gj.PointSpatialModel(**beside(0.06, 200.0)), 2e-11, 2.0))
    assert result.success and result.iterations < 15
    for name in ("lon_0", "lat_0"):
        wanted = float(getattr(POINT.spatial, name).value)
        assert float(result.parameters[f"source.spatial.{name}"].value) == pytest.approx(wanted, abs=1e-6)
    assert float(result.parameters["source.spectral.amplitude"].value) == pytest.approx(4e-11, rel=1e-6)


def test_truth_is_the_minimum(circles):
    """In position, width and flux of a Gaussian: no slope there, and less density around it."""
    expected = gj.Datasets({name: gj.asimov(d, TRUTH) for name, d in circles.items()})
    density = gj.log_density(expected, TRUTH)
    slope = jax.jit(jax.value_and_grad(density))
    at = np.array(density.initial)
    steps = 0.1 * np.abs(at) * np.where(np.abs(at) > 10, 1e-3, 1)
    highest, none = slope(at)
    for i, step in enumerate(steps):
        for sign in (-1, 1):
            less, some = slope(at + sign * step * (np.arange(at.size) == i))
            assert less < highest - 1 and abs(none[i]) < 1e-6 * abs(some[i]), density.names[i]


def test_frozen_shape_is_a_response_matrix(circles):
    """It costs what a spectrum costs: the numbers of the share are gone."""
    circle = circles["circle-1"]
    models = [POINT, gj.TemplateNPredModel(np.array([3.0, 1.0])), gj.FoVBackgroundModel(), source(name="without")]
    wanted = np.asarray(gj.npred(circle, models))
    for frozen in ([Frozen(False, False)] * 3 + [Frozen(True, True)], [Frozen(False, True)] * 4):
        program, arrays = circle.prepare(models, frozen)
        np.testing.assert_allclose(program(**arrays).predict(models), wanted, rtol=1e-10)
    assert max(np.size(a) for a in arrays.values()) <= 6 and [p.kind for p in program.parts] == ["matrix"] * 2


def test_beside_a_spectrum(circles):
    """The joint likelihood is the sum of those of each."""
    circle = circles["circle-0"]
    datasets = gj.Datasets({"region": circle, "spectrum": circle.to_spectrum_dataset()})
    density = gj.log_density(datasets, POINT)
    wanted = sum(float(np.sum(gj.stat_array(d, POINT))) for d in datasets)
    assert float(density(density.initial)) == pytest.approx(-wanted / 2, rel=1e-10)


def test_errors(circles):
    empty = circles["circle-0"].replace(exposure=None)
    with pytest.raises(gj.InputError, match="the exposure is missing"):
        gj.fit(empty, TRUTH)
    with pytest.raises(gj.InputError, match="a flux in every pixel, and a region has none"):
        gj.fit(circles["circle-0"], source(gj.ConstantFluxSpatialModel()))
