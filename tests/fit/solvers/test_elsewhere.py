"""Other places for faint sources of maps: far starts, sources that leave their flux to a neighbour, empty maps."""

import jax
import numpy as np
import pytest
from cases import maps as cases

import gammajax as gj
from gammajax.datasets.map.scores import COUNTS
from gammajax.fit.solvers import elsewhere

BACKGROUND = gj.FoVBackgroundModel(datasets_names="map")


def point(dataset, x, y, amplitude=2e-12, name="source"):
    lon, lat = cases.at_pixel(dataset, x, y)
    return cases.source(gj.PointSpatialModel(lon_0=lon, lat_0=lat), amplitude=amplitude, name=name)


def observed(dataset, *sources, seed=0):
    return gj.Datasets({"map": gj.fake(jax.random.key(seed), dataset, [*sources, BACKGROUND], name="map")})


def test_falls_are_those_of_the_statistic():
    """The fall with a source at a pixel is that of Cash's statistic over the bins of its core, by numpy."""
    dataset = cases.small_map(n=24)
    data = observed(dataset, point(dataset, 9, 14))["map"]
    scores = data.source_scores([BACKGROUND], point(dataset, 3, 3))
    n = 24
    image = np.asarray(data.npred([point(dataset, n // 2, n // 2)])) - np.asarray(data.background)
    half = int(np.ceil(1.3 * radius(image)))
    np.testing.assert_allclose(scores.factors * image.sum(), COUNTS)
    counts, background = (np.asarray(x) for x in (data.counts, data.background))
    for x, y, k in ((9, 14, 2), (2, 20, 1), (12, 12, 3)):
        total = 0.0
        for row in range(max(y - half, 0), min(y + half + 1, n)):
            for column in range(max(x - half, 0), min(x + half + 1, n)):
                more = background[:, row, column] + scores.factors[k] * image[:, row - y + n // 2, column - x + n // 2]
                for mean, sign in ((background[:, row, column], 1), (more, -1)):
                    total += sign * np.sum(2 * (mean - counts[:, row, column] * np.log(mean)))
        assert scores.falls[k].reshape(n, n)[y, x] == pytest.approx(total, rel=1e-9, abs=1e-9)


def radius(image):
    """Radius in pixels around the middle that holds 0.68 of the counts."""
    y, x = np.mgrid[:24, :24]
    distance = np.hypot(y - 12, x - 12).ravel()
    order = np.argsort(distance, kind="stable")
    held = np.cumsum(image.sum(axis=0).ravel()[order])
    return distance[order][np.searchsorted(held, 0.68 * held[-1])]


def test_faint_sources_are_found_from_afar():
    """One start from across the map ends in a fluctuation; the best of other places is that of the truth."""
    dataset = cases.small_map(n=24)
    data = observed(dataset, point(dataset, 6, 7))
    right = gj.fit(data, gj.Models([point(dataset, 6, 7), BACKGROUND]))
    models = gj.Models([point(dataset, 18, 16), BACKGROUND])
    one, found = gj.fit(data, models, starts=1), gj.fit(data, models)
    assert one.stat > right.stat + 10
    assert found.success and found.stat == pytest.approx(right.stat, abs=1e-4)
    assert np.all(np.abs(cases.offset_in_pixels(dataset, found) - [6, 7]) < 1)
    assert found.starts.stats[0] == pytest.approx(right.stat, abs=1e-4) and len(found.starts.stats) > 1
    assert "do not tell where" not in found.message


def test_bright_sources_pay_nothing():
    dataset = cases.small_map(n=24)
    data = observed(dataset, point(dataset, 6, 7, 4e-11))
    models = gj.Models([point(dataset, 7, 8, 3e-11), BACKGROUND])
    one, auto = gj.fit(data, models, starts=1), gj.fit(data, models)
    assert auto.evaluations == one.evaluations and auto.stat == one.stat
    assert auto.starts.counts == (1,)


def test_sources_that_end_far_from_where_they_began_are_told():
    dataset = cases.small_map(n=24)
    data = observed(dataset, point(dataset, 6, 7, 4e-11))
    source = point(dataset, 7, 8, 3e-11)
    mistyped = source.replace(spatial=source.spatial.replace(lon_0=200.0, lat_0=-60.0))
    near, far = (gj.fit(data, gj.Models([model, BACKGROUND])) for model in (source, mistyped))
    assert far.stat == pytest.approx(near.stat, abs=1e-4)
    assert "from where it began" not in near.message and "source ended 1" in far.message


def test_fluctuations_are_named():
    """A source that is not there ends at a fluctuation, and the message says so."""
    dataset = cases.small_map(n=24)
    result = gj.fit(observed(dataset), gj.Models([point(dataset, 12, 12), BACKGROUND]))
    assert "do not tell where source is" in result.message or not result.success


@pytest.mark.slow
def test_neighbours_give_back_what_they_took(monkeypatch):
    """A bright source that begins beside a faint one takes its place and its flux. With half of that flux both find
    their places; no peak of the residuals is tried here."""
    monkeypatch.setattr(elsewhere, "PEAKS", 0)
    dataset = cases.small_map(n=24)
    truth = point(dataset, 10.5, 12.5, 4e-11, "a"), point(dataset, 8.1, 14.7, 4.1e-12, "b")
    data = observed(dataset, *truth, seed=1)
    right = gj.fit(data, gj.Models([*truth, BACKGROUND]), starts=1)
    begun = point(dataset, 8.7, 14.1, 2.4e-11, "a"), point(dataset, 7.5, 15.2, 2.5e-12, "b")
    models = gj.Models([*begun, BACKGROUND])
    one, found = gj.fit(data, models, starts=1), gj.fit(data, models)
    assert one.stat > right.stat + 100
    assert found.success and found.stat == pytest.approx(right.stat, abs=1e-4)
    # one other start, and no scattered ones
    assert found.starts.counts == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("faint", "most"), [(2e-11, 12), (2e-12, 30)])
def test_many_sources_take_few_evaluations(faint, most):
    """Points and Gaussians, all free, from nearby: the minimum of the start at the truth or a lower one. Where one is
    so faint that its place is not certain, other places cost some more."""
    dataset = cases.small_map(n=24)

    def models(factor, more, off):
        found = []
        for k, (x, y) in enumerate(((6.2, 7.1), (16.8, 8.3), (9.7, 16.4), (15.1, 15.7))):
            lon, lat = cases.at_pixel(dataset, x, y)
            at = {"lon_0": lon + off, "lat_0": lat + off}
            spatial = gj.PointSpatialModel(**at) if k < 2 else gj.GaussianSpatialModel(sigma=0.05, **at)
            amplitude = (2e-11 if k < 3 else faint) * factor
            found.append(cases.source(spatial, amplitude=amplitude, index=2.3 + more, name=f"s{k}"))
        tilted = gj.PowerLawNormSpectralModel(tilt=gj.Parameter(0.0, frozen=False))
        return gj.Models([*found, gj.FoVBackgroundModel(tilted, datasets_names="map")])

    data = gj.Datasets({"map": gj.fake(jax.random.key(1), dataset, models(1, 0, 0), name="map")})
    result = gj.fit(data, models(0.6, 0.2, 0.01))
    assert result.success and result.evaluations <= most
    assert result.stat < gj.fit(data, models(1, 0, 0), starts=1).stat + 1e-4
