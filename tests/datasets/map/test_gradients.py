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


def with_changing_psf(n, n_energy=2):
    """A small map whose PSF is wider to the east and north."""
    dataset = cases.small_map(n=n, n_energy=n_energy)
    energy = np.sqrt(dataset.energy_true_edges[1:] * dataset.energy_true_edges[:-1])
    grid, rad = gj.SkyGeom.create((83.63, 22.01), 0.4, npix=4), np.arange(0.0015, 0.45, 0.003)
    y, x = np.meshgrid(np.arange(4), np.arange(4), indexing="ij")
    sigma = 0.05 + 0.004 * x + 0.006 * y
    values = np.exp(-0.5 * (rad[:, None, None] / sigma) ** 2) / (2 * np.pi * np.radians(sigma) ** 2)
    return dataset.replace(psf=gj.PSFMap(grid, energy, rad, None, np.stack([values] * energy.size)))


@pytest.mark.parametrize("shape", ["point", "disk"])
def test_slopes_go_through_the_change_of_the_psf(shape):
    """Both ways of differentiation have them, and finite differences."""
    dataset = with_changing_psf(16)
    weights = jnp.asarray(np.random.default_rng(0).normal(size=dataset.data_shape))
    lon, lat = cases.at_pixel(dataset, 7.2, 8.4)
    base = cases.source(SHAPES[shape](lon, lat))

    def value(p):
        model = eqx.tree_at(lambda m: (m.spatial.lon_0.value, m.spatial.lat_0.value), base, (p[0], p[1]))
        return jnp.vdot(weights, npred_signal(dataset, [model]))

    at, h = jnp.array([lon, lat]), 1e-4
    values = jax.jit(jax.vmap(value))
    wanted = []
    for move in h * jnp.eye(2):
        far, near, back, away = values(jnp.stack([at + 2 * move, at + move, at - move, at - 2 * move]))
        wanted.append((8 * (near - back) - (far - away)) / (12 * h))
    scale = np.max(np.abs(wanted))
    for slope in (jax.jit(jax.grad(value)), jax.jit(jax.jacfwd(value))):
        np.testing.assert_allclose(slope(at), wanted, atol=1e-5 * scale)


def test_gradients_keep_windows_of_sources_and_not_maps():
    """What many points leave for the way back is some of their windows each, which are a fraction of the map."""
    dataset = cases.small_map(n=200, n_energy=2)
    rng = np.random.default_rng(3)
    models = gj.Models(
        [
            cases.source(gj.PointSpatialModel(lon_0=83.63 + a, lat_0=22.01 + b), name=f"s{i}")
            for i, (a, b) in enumerate(rng.uniform(-1, 1, (24, 2)))
        ]
    )
    slope = jax.jit(jax.grad(lambda m: jnp.sum(npred_signal(dataset, m)), allow_int=True))
    needed = slope.lower(models).compile().memory_analysis().temp_size_in_bytes
    assert needed < len(models) * dataset.exposure.nbytes
