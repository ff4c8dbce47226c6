"""Spatial models: what they declare, where they put brightness on the sky, and how they behave as pytrees."""

import dataclasses

import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from gammajax.datasets import InputError
from gammajax.datasets.models.spatial import (
    SPATIAL_MODELS,
    ConstantFluxSpatialModel,
    ConstantSpatialModel,
    GaussianSpatialModel,
    PointSpatialModel,
)
from gammajax.kernels import lonlat_to_vector

pytestmark = pytest.mark.slow

# What gammapy 2.1 declares, in its order: (name, default, unit, frozen, min, max).
INF = np.inf
POSITION = [("lon_0", 0.0, "deg", False, -INF, INF), ("lat_0", 0.0, "deg", False, -90.0, 90.0)]
SHAPE = [("e", 0.0, "", True, 0.0, 1.0), ("phi", 0.0, "deg", True, -180.0, 180.0)]
DECLARED = {
    "point": POSITION,
    "gauss": [*POSITION, ("sigma", 1.0, "deg", False, 0.0, INF), *SHAPE],
    "gauss-general": [
        *POSITION,
        ("r_0", 1.0, "deg", False, -INF, INF),
        ("eta", 0.5, "", False, 0.01, 1.0),
        *SHAPE,
    ],
    "disk": [*POSITION, ("r_0", 1.0, "deg", False, 0.0, INF), *SHAPE, ("edge_width", 0.01, "", True, 0.0, 1.0)],
    "shell": [*POSITION, ("radius", 1.0, "deg", False, -INF, INF), ("width", 0.2, "deg", False, -INF, INF)],
    "shell2": [*POSITION, ("r_0", 1.0, "deg", False, -INF, INF), ("eta", 0.2, "", False, 0.02, 1.0)],
    "const": [("value", 1.0, "sr-1", True, -INF, INF)],
    "const-flux": [],
}
# One source of each kind, off the equator, as elongated as it gets.
SOURCES = {
    "gauss": {"sigma": 0.4, "e": 0.6, "phi": 35.0},
    "gauss-general": {"r_0": 0.4, "eta": 0.7, "e": 0.5, "phi": -70.0},
    "disk": {"r_0": 0.7, "e": 0.7, "phi": 110.0, "edge_width": 0.3},
    "shell": {"radius": 0.5, "width": 0.25},
    "shell2": {"r_0": 0.8, "eta": 0.3},
}


@pytest.mark.parametrize("tag", DECLARED)
def test_parameters_and_defaults_are_those_of_gammapy(tag):
    model = SPATIAL_MODELS[tag]()
    found = [(n, float(p.value), u.Unit(p.unit), p.frozen, p.min, p.max) for n, p in model.parameters.items()]
    assert found == [(n, v, u.Unit(unit), *rest) for n, v, unit, *rest in DECLARED[tag]]
    assert model.frame == "icrs" and model.unit == "sr-1" and not model.is_energy_dependent


def test_evaluation_radii():
    radii = {
        "point": 0.0,
        "gauss": 5.0,
        "gauss-general": 5.0,
        "disk": 1.1 * 1.01,
        "shell": 1.2,
        "shell2": 1.0,
    }
    for tag, radius in radii.items():
        assert float(SPATIAL_MODELS[tag]().evaluation_radius) == pytest.approx(radius, rel=1e-14)
    assert ConstantSpatialModel().evaluation_radius is None and ConstantSpatialModel().position is None
    assert ConstantSpatialModel().center_vector is None


def test_position_angle_counts_from_north_over_east():
    """Along the latitude for phi = 0, along the longitude for 90 deg, towards north-east between."""
    lon, lat, step = 83.0, 22.0, 0.5
    east = np.array([step / np.cos(np.radians(lat)), 0, step / np.cos(np.radians(lat)) / np.sqrt(2)])
    north = np.array([0, step, step / np.sqrt(2)])
    for phi, brightest in ((0.0, 1), (90.0, 0), (45.0, 2), (-90.0, 0)):
        model = GaussianSpatialModel(lon, lat, 0.3, e=0.9, phi=phi)
        assert int(np.argmax(model(lon + east, lat + north))) == brightest
    # gammapy 2.1, e = 0.8 and sigma = 1 deg: 0.607 of the peak 1 deg north, 0.249 1 deg east
    model = GaussianSpatialModel(sigma=1.0, e=0.8)
    peak, north, east = (float(model(x, y)) for x, y in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0)))
    np.testing.assert_allclose([north / peak, east / peak], [0.6065, 0.2494], atol=1e-4)


def test_frames():
    crab = SkyCoord(83.63, 22.01, unit="deg")
    here = GaussianSpatialModel.from_position(crab, sigma=0.2 * u.deg)
    there = GaussianSpatialModel.from_position(crab.galactic, sigma=12 * u.arcmin)
    assert there.frame == "galactic" and here.frame == "icrs"
    np.testing.assert_allclose([float(c) for c in there.position], [crab.galactic.l.deg, crab.galactic.b.deg])
    vectors = lonlat_to_vector(np.array([83.63, 83.8, 83.5]), np.array([22.01, 22.2, 21.7]))
    np.testing.assert_allclose(here.evaluate(vectors), there.evaluate(vectors), rtol=1e-10)
    np.testing.assert_allclose(here.center_vector, there.center_vector, atol=1e-13)
    sky = SkyCoord(83.8, 22.2, unit="deg").galactic
    value = there(sky.l, sky.b)
    assert value.unit == u.Unit("sr-1")
    np.testing.assert_allclose(value.value, here.evaluate(vectors)[1], rtol=1e-10)
    assert PointSpatialModel.from_position(crab.fk5).frame == "icrs"
    with pytest.raises(InputError, match="frame"):
        GaussianSpatialModel(frame="fk4")
    with pytest.raises(InputError, match="lon: found unit"):
        here(1 * u.TeV, 2 * u.TeV)


@pytest.mark.parametrize("tag", SOURCES)
def test_transformations(tag):
    """jit = eager, vmap = loop, gradients in all parameters and in the direction = central differences.

    At directions all around the source, at its centre, and across longitude 0.
    """
    model = SPATIAL_MODELS[tag](lon_0=359.9, lat_0=-50.0, frame="galactic", **SOURCES[tag])
    east, north = np.random.default_rng(3).uniform(-0.6, 0.6, (2, 12))
    # off the rims of the shells, where no derivative exists
    radius = np.hypot(east, north)
    keep = np.all([np.abs(radius - rim) > 0.02 for rim in (0.5, 0.75, 0.56, 0.8)], axis=0)
    lon = (359.9 + np.append(east[keep], 0.0) / np.cos(np.radians(50))) % 360
    lat = -50 + np.append(north[keep], 0.0)
    vectors = lonlat_to_vector(lon, lat) @ np.asarray(_rotation("galactic")).T

    moved, steps = [], {}
    for name, p in model.parameters.items():
        steps[name] = 1e-6 if p.unit == "" else 1e-5
        moved += [model.replace(**{name: float(p.value) + s * steps[name]}) for s in (-1, 1)]
    stacked = jax.tree_util.tree_map(lambda *leaf: jnp.asarray(np.stack(leaf)), model, *moved)

    def value(m):
        return m.evaluate(vectors)

    values, slopes = jax.jit(jax.vmap(lambda m: (value(m), jax.jacfwd(value)(m))))(stacked)
    np.testing.assert_allclose(values[0], value(model), rtol=1e-12)
    np.testing.assert_allclose(values[3], value(moved[2]), rtol=1e-12)
    peak = float(np.max(values[0]))
    for i, name in enumerate(model.parameters):
        wanted = (values[2 * i + 2] - values[2 * i + 1]) / (2 * steps[name])
        found = getattr(slopes, name).value[0]
        if tag == "gauss-general" and name in ("lon_0", "lat_0"):
            # it has a cusp at its centre
            wanted, found = wanted[:-1], found[:-1]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=3e-6 * peak, err_msg=name)
    assert np.all(np.isfinite(jax.jit(jax.jacfwd(model.evaluate))(vectors)))


def _rotation(frame):
    from gammajax.kernels import TO_ICRS

    return TO_ICRS[frame]


@pytest.mark.parametrize("tag", ["gauss", "disk", "shell"])
def test_one_program_for_all_numbers(tag):
    traces = []

    @jax.jit
    def f(m):
        traces.append(1)
        return m.evaluate(lonlat_to_vector(jnp.zeros(2), jnp.zeros(2)))

    first = SPATIAL_MODELS[tag]()
    f(first), f(first.replace(lon_0=3.0)), f(SPATIAL_MODELS[tag](lat_0=1.0))
    assert len(traces) == 1


def test_blurred_profiles():
    model = GaussianSpatialModel(sigma=0.3, e=0.5, phi=20.0)
    x, y = np.array([0.0, 0.2, -0.4]), np.array([0.0, 0.1, 0.3])
    np.testing.assert_allclose(model.blurred_profile(x, y, 0.0), model.profile(x, y), rtol=1e-14)
    point = PointSpatialModel()
    np.testing.assert_allclose(
        point.blurred_profile(x, y, 0.2), GaussianSpatialModel(sigma=0.2).profile(x, y), rtol=1e-13
    )
    np.testing.assert_allclose(
        GaussianSpatialModel(sigma=0.0).blurred_profile(x, y, 0.2), point.blurred_profile(x, y, 0.2), rtol=1e-13
    )
    slopes = jax.jit(jax.jacfwd(lambda m: m.blurred_profile(x, y, 0.1)))(GaussianSpatialModel(sigma=0.0, e=1.0))
    assert np.all(np.isfinite(jax.tree_util.tree_leaves(slopes)))
    with pytest.raises(InputError, match="no surface brightness"):
        point.evaluate(lonlat_to_vector(0.0, 0.0))


def test_models_without_a_position():
    vectors = lonlat_to_vector(np.arange(4.0), np.zeros(4))
    np.testing.assert_array_equal(ConstantSpatialModel(value=2.5 / u.sr).evaluate(vectors), np.full(4, 2.5))
    np.testing.assert_array_equal(ConstantFluxSpatialModel().evaluate(vectors), np.ones(4))
    assert ConstantFluxSpatialModel.per_pixel and not ConstantSpatialModel.per_pixel
    per_square_degree = ConstantSpatialModel(value=1 / u.deg**2)
    np.testing.assert_allclose(per_square_degree(0.0, 0.0), (180 / np.pi) ** 2, rtol=1e-13)


def test_changed_copies():
    model = GaussianSpatialModel(1 * u.deg, 2 * u.deg, 0.1, frame="galactic")
    other = model.replace(sigma=6 * u.arcmin, lon_0=5)
    assert float(other.sigma.internal) == pytest.approx(0.1) and other.frame == "galactic"
    assert dataclasses.replace(other, frame="icrs").frame == "icrs"
    with pytest.raises(InputError, match="'width'"):
        model.replace(width=1)
    with pytest.raises(InputError, match="it has none"):
        ConstantFluxSpatialModel().replace(norm=1)
    with pytest.raises(InputError, match="'TeV'"):
        GaussianSpatialModel(sigma=1 * u.TeV)
