"""Sources of a catalogue that cannot be seen on a map cost nothing, and change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import maps as cases

import gammajax as gj
from gammajax.datasets.map import npred as module
from gammajax.datasets.map.reach import reaching


@pytest.fixture(scope="module")
def dataset():
    return cases.small_map(n=30, n_energy=2)


def around(dataset, kind):
    """Sources on lines through the map and far beyond it, and on the other side of the sky."""
    places = [
        cases.at_pixel(dataset, x, y) for x in (-60.0, -25.0, -8.0, -2.0, 14.5, 31.0, 38.0, 300.0) for y in (5, 34)
    ]
    places += [(263.63, -22.01), (83.63, -60.0), (0.0, 90.0)]
    shapes = {
        "point": lambda **at: gj.PointSpatialModel(**at),
        "gauss": lambda **at: gj.GaussianSpatialModel(sigma=0.1, **at),
        "wide gauss": lambda **at: gj.GaussianSpatialModel(sigma=0.5, **at),
        "disk": lambda **at: gj.DiskSpatialModel(r_0=0.2, **at),
    }
    return [
        cases.source(shapes[kind](lon_0=lon % 360, lat_0=lat), amplitude=1e-7, name=f"s{i}")
        for i, (lon, lat) in enumerate(places)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["point", "gauss", "wide gauss", "disk"])
def test_sources_that_are_left_out_have_no_counts(dataset, kind):
    sources = around(dataset, kind)
    kept = [m.name for m, _ in reaching(dataset.response, sources)]
    assert kept == [m.name for m in sources if m.name in kept]
    assert 0 < len(kept) < len(sources)
    # traced positions are never left out
    signal = jax.jit(lambda d, m: gj.npred_signal(d, [m]))
    for model in sources:
        if model.name not in kept:
            assert np.max(np.abs(np.asarray(signal(dataset, model)))) == 0
    together = gj.npred_signal(dataset, sources)
    alone = sum(np.asarray(signal(dataset, m)) for m in sources)
    np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-9 * np.max(alone))


def test_sources_more_or_less_are_no_other_program(dataset):
    lon, lat = cases.at_pixel(dataset, 14, 15)
    points = [cases.source(gj.PointSpatialModel(lon_0=lon + 0.01 * i, lat_0=lat), name=f"s{i}") for i in range(9)]
    known = np.asarray(gj.npred_signal(dataset, points[:7]))
    before = module._add_sources.count()
    more = np.asarray(gj.npred_signal(dataset, points))
    assert module._add_sources.count() == before
    rest = sum(np.asarray(gj.npred_signal(dataset, [m])) for m in points[7:])
    np.testing.assert_allclose(more, known + rest, rtol=1e-10, atol=1e-12)


def test_gradients_in_the_response_alone(dataset):
    """What a loop over an unknown number of sources would not have."""
    lon, lat = cases.at_pixel(dataset, 14, 15)
    points = [cases.source(gj.PointSpatialModel(lon_0=lon + 0.01 * i, lat_0=lat), name=f"s{i}") for i in range(2)]

    def total(values):
        return jnp.sum(gj.npred_signal(dataset.replace(exposure=values), points) ** 2)

    slope = jax.grad(total)(jnp.asarray(dataset.exposure))
    # counts are linear in the exposure
    np.testing.assert_allclose(
        jnp.vdot(slope, jnp.asarray(dataset.exposure)), 2 * total(jnp.asarray(dataset.exposure)), rtol=1e-9
    )
