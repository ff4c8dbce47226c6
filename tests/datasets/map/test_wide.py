"""Sources that are wider than the map."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import maps as cases

import gammajax as gj
from gammajax.datasets.counts import npred_signal
from gammajax.datasets.map import plan

pytestmark = pytest.mark.slow

# a class, its sizes, how far away it is, and the sizes of one that is too wide for all of its nodes at once
SHAPES = {
    "disk": (gj.DiskSpatialModel, {"r_0": 1.0}, 1.0, {"r_0": 9.0}),
    "general": (gj.GeneralizedGaussianSpatialModel, {"r_0": 0.3, "eta": 0.5}, 0.5, {"r_0": 5.0, "eta": 0.5}),
    "shell": (gj.ShellSpatialModel, {"radius": 0.5, "width": 0.05}, 0.5, {"radius": 2.0, "width": 0.2}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_wide_sources_take_memory_by_the_map(shape):
    """And their slopes are differences, where the rim or the fall is on the map."""
    dataset = cases.small_map(n=16, n_energy=2)
    cls, parameters, away, wide = SHAPES[shape]
    lon, lat = cases.at_pixel(dataset, 7.5, 7.5)
    weights = jnp.asarray(np.random.default_rng(0).uniform(size=dataset.data_shape))

    def program(parameters):
        base = cases.source(cls(lon_0=lon, lat_0=lat - away, **parameters))

        def value(p):
            model = base
            for n, v in zip(parameters, p, strict=True):
                model = eqx.tree_at(lambda m, n=n: getattr(m.spatial, n).value, model, v)
            return jnp.vdot(weights, npred_signal(dataset, [model]))

        start = jnp.array(list(parameters.values()))
        return base, start, jax.jit(jax.value_and_grad(value)).lower(start).compile()

    source, start, big = program(wide)
    sizes = plan(dataset, source)
    n_radial, n_angular = sizes.nodes
    on_one_axis = len(source.spatial.rings(n_radial).u) * n_angular * sizes.s * sizes.shape[0] * 8
    assert on_one_axis > 1e9 and big.memory_analysis().temp_size_in_bytes < 1e8
    source, start, both = program(parameters)
    slopes = both(start)[1]
    step = 1e-5 * np.random.default_rng(1).uniform(0.5, 1.0, len(start))
    wanted = both(start + step)[0] - both(start - step)[0]
    np.testing.assert_allclose(2 * slopes @ step, wanted, rtol=1e-4)


def test_a_map_inside_a_disk_is_evenly_bright():
    """And of the brightness of a disk on the sphere, to a narrow edge: 1 / (2 pi (1 - cos r))."""
    dataset = cases.small_map(n=16, n_energy=2)
    lon, lat = cases.at_pixel(dataset, 7.5, 7.5)
    source = cases.source(gj.DiskSpatialModel(lon_0=lon, lat_0=lat, r_0=12.0, edge_width=0.001))
    flat = cases.source(gj.ConstantSpatialModel(value=1 / (2 * np.pi * (1 - np.cos(np.deg2rad(12.0))))))
    found, wanted = (np.asarray(gj.npred_signal(dataset, [m])) for m in (source, flat))
    # the edge softens by its width squared; the other ends at the pixels around the map
    np.testing.assert_allclose(found[:, 4:-4, 4:-4], wanted[:, 4:-4, 4:-4], rtol=2e-5)
