"""Gradients of predictions on maps are exact, and predictions are pure functions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import maps as cases

import gammajax as gj
from gammajax.datasets.counts import npred_signal

pytestmark = pytest.mark.slow

PIXEL = 0.05
signal = jax.jit(lambda dataset, model: npred_signal(dataset, [model]))


SHAPES = {
    "point": lambda lon, lat: gj.PointSpatialModel(lon_0=lon, lat_0=lat),
    "gauss": lambda lon, lat: gj.GaussianSpatialModel(lon_0=lon, lat_0=lat, sigma=0.04, e=0.6, phi=30.0),
    "narrow gauss": lambda lon, lat: gj.GaussianSpatialModel(lon_0=lon, lat_0=lat, sigma=0.003),
    "disk": lambda lon, lat: gj.DiskSpatialModel(lon_0=lon, lat_0=lat, r_0=0.12, e=0.5, phi=40.0),
    "shell": lambda lon, lat: gj.ShellSpatialModel(lon_0=lon, lat_0=lat, radius=0.1, width=0.04),
    "general": lambda lon, lat: gj.GeneralizedGaussianSpatialModel(
        lon_0=lon, lat_0=lat, r_0=0.05, eta=0.4, e=0.3, phi=10.0
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_finite_differences_at_all_positions(shape):
    """No kinks at pixel borders: on a grid of positions between the pixels, in all parameters of the shape."""
    dataset = cases.small_map(n=16, n_energy=2)
    weights = jnp.asarray(np.random.default_rng(0).normal(size=dataset.data_shape))
    lon, lat = cases.at_pixel(dataset, 7.5, 7.5)
    base = cases.source(SHAPES[shape](lon, lat))
    names = [n for n, p in base.spatial.parameters.items() if n != "edge_width"]
    start = jnp.array([float(base.spatial.parameters[n].value) for n in names])

    def value(p):
        model = base
        for i, n in enumerate(names):
            model = eqx.tree_at(lambda m, n=n: getattr(m.spatial, n).value, model, p[i])
        return jnp.vdot(weights, npred_signal(dataset, [model]))

    values = jax.jit(jax.vmap(value))
    grid = np.linspace(-0.5, 0.5, 3 if base.spatial.scheme == "nodes" else 5) * PIXEL
    points = np.array([start + jnp.zeros(len(names)).at[0].set(a).at[1].set(b) for a in grid for b in grid])
    step = 1e-4 * np.maximum(np.abs(np.asarray(start)), 0.02)
    step[:2] = 1e-4 if shape == "disk" else 1e-3
    slopes = jax.jit(jax.vmap(jax.grad(value)))(points)
    scale = np.max(np.abs(np.asarray(slopes)), axis=0)
    for i in range(len(names)):
        move = np.zeros(len(names))
        move[i] = step[i]
        up, down = values(points + move), values(points - move)
        far, near = values(points + 2 * move), values(points - 2 * move)
        difference = (8 * (up - down) - (far - near)) / (12 * step[i])
        if names[i] in ("e",) and start[i] == 0:
            continue
        np.testing.assert_allclose(difference, slopes[:, i], atol=1e-5 * scale[i] + 1e-6, err_msg=names[i])


def test_pure_functions():
    """jit, vmap over models and datasets, and the eager call agree; gradients reach the exposure and the PSF."""
    dataset = cases.small_map(n=16, n_energy=2)
    model = cases.source(gj.GaussianSpatialModel(lon_0=83.64, lat_0=22.0, sigma=0.05))
    eager = np.asarray(gj.npred(dataset, model))
    np.testing.assert_allclose(jax.jit(gj.npred)(dataset, model), eager, rtol=1e-9, atol=1e-12)
    stacked = jax.tree.map(lambda x: jnp.stack([jnp.asarray(x)] * 2), dataset)
    np.testing.assert_allclose(
        jax.jit(jax.vmap(lambda d: gj.npred(d, model)))(stacked)[1], eager, rtol=1e-9, atol=1e-12
    )
    slope = jax.jit(jax.grad(lambda d: jnp.sum(gj.npred(d, model)), allow_int=True))(dataset)
    assert np.all(np.isfinite(slope.exposure)) and np.any(slope.exposure != 0)
    assert np.all(np.isfinite(slope.psf.values)) and np.any(slope.psf.values != 0)
