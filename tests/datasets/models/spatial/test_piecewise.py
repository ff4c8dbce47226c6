"""Norms at places on the sky: the surface against scipy's, files, backgrounds."""

import jax
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from scipy.interpolate import CloughTocher2DInterpolator

import gammajax as gj

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(8)
LON, LAT = 83.6 + RNG.uniform(-2, 2, 15), 22.0 + RNG.uniform(-2, 2, 15)
NORMS = RNG.uniform(0.5, 2, 15)


def inner(n=300):
    """Points inside the hull: mixtures of places."""
    weights = RNG.dirichlet(np.ones(15), n)
    return weights @ LON, weights @ LAT


def values(model, lon, lat):
    return np.asarray(model(lon, lat))


@pytest.mark.parametrize("interp", ["lin", "log"])
def test_it_is_the_surface_of_scipy(interp):
    model = gj.PiecewiseNormSpatialModel(LON, LAT, NORMS, interp)
    lon, lat = inner()
    heights = np.log(NORMS) if interp == "log" else NORMS
    wanted = CloughTocher2DInterpolator(np.stack([LON, LAT], 1), heights, tol=1e-12, maxiter=4000)(lon, lat)
    np.testing.assert_allclose(values(model, lon, lat), np.exp(wanted) if interp == "log" else wanted, rtol=1e-7)
    np.testing.assert_allclose(values(model, LON, LAT), NORMS, rtol=1e-7)


def test_planes_are_planes():
    """A surface through the values of a plane is that plane."""
    model = gj.PiecewiseNormSpatialModel(LON, LAT, 0.3 * (LON - 80) + 0.2 * LAT)
    lon, lat = inner()
    np.testing.assert_allclose(values(model, lon, lat), 0.3 * (lon - 80) + 0.2 * lat, rtol=1e-9)


def test_around_zero_and_in_other_frames():
    east = gj.PiecewiseNormSpatialModel(np.array([359.0, 1, 359, 1, 0]), [-1.0, -1, 1, 1, 0], [1, 2, 3, 4, 5.0])
    shifted = gj.PiecewiseNormSpatialModel(np.array([9.0, 11, 9, 11, 10]), [-1.0, -1, 1, 1, 0], [1, 2, 3, 4, 5.0])
    lon = np.array([359.2, 359.9, 0.0, 0.4, 0.8])
    np.testing.assert_allclose(values(east, lon, 0.1), values(shifted, (lon + 10) % 360, 0.1), rtol=1e-6)
    places = SkyCoord(LON, LAT, unit="deg").galactic
    model = gj.PiecewiseNormSpatialModel(places.l, places.b, NORMS, frame="galactic")
    np.testing.assert_allclose(values(model, places.l.deg, places.b.deg), NORMS, rtol=1e-6)


def test_outside_it_is_a_norm_of_the_rim():
    model = gj.PiecewiseNormSpatialModel([0, 1, 1, 0, 0.5], [0, 0, 1, 1, 0.5], [1.0, 1.0, 1.0, 1.0, 1.0])
    assert values(model, [-5.0, 9.0, 0.5], [3.0, -4.0, 30.0]) == pytest.approx(1.0)
    model = gj.PiecewiseNormSpatialModel([0, 1, 1, 0, 0.5], [0, 0, 1, 1, 0.5], [1.0, 2.0, 2.0, 1.0, 1.5])
    assert values(model, [1.3], [0.5]) == pytest.approx(2.0)


def test_parameters_and_slopes():
    model = gj.PiecewiseNormSpatialModel(LON, LAT, [gj.Parameter(n, frozen=i == 2) for i, n in enumerate(NORMS)])
    assert list(model.parameters) == [f"norm_{i}" for i in range(15)]
    assert model.norm_2.frozen and float(model.norm_3.value) == NORMS[3] and model.norm_3.role == "norm"
    assert float(model.replace(norm_3=9.0).norm_3.value) == 9
    lon, lat = inner(20)
    slopes = jax.jacfwd(lambda m: m(lon, lat))(model)
    one = gj.PiecewiseNormSpatialModel(LON, LAT, np.eye(15)[4])
    np.testing.assert_allclose(slopes.norms["norm_4"].value, values(one, lon, lat), rtol=1e-9, atol=1e-12)
    models = gj.Models(gj.FoVBackgroundModel(spatial=model)).with_values({"norm_0": 3.0})
    assert float(models[0].spatial.norm_0.value) == 3.0


def test_a_background_is_fitted_with_it(tmp_path):
    """Counts of a tilted field: the norms of the corners are those of the plane. And the file says the same."""
    geom = gj.SkyGeom.create(SkyCoord(83.6, 22.0, unit="deg"), 0.1, npix=(20, 20), proj="CAR")
    corners = np.array([[82.2, 20.7], [85.0, 20.7], [82.2, 23.3], [85.0, 23.3], [83.6, 22.0]])
    plane = 1 + 0.1 * (corners[:, 0] - 83.6) + 0.2 * (corners[:, 1] - 22.0)
    shape = gj.PiecewiseNormSpatialModel(*corners.T * u.deg)
    run = gj.MapDataset(geom, [1.0, 10.0], background=np.full((1, 20, 20), 50.0), exposure=np.ones((1, 20, 20)))
    frozen = gj.PowerLawNormSpectralModel(norm=gj.Parameter(1.0, frozen=True))
    truth = gj.Models(gj.FoVBackgroundModel(frozen, "run", spatial=shape)).with_values(
        {f"norm_{i}": value for i, value in enumerate(plane)}
    )
    data = gj.asimov(run, truth, "run")
    result = gj.fit({"run": data}, gj.Models(gj.FoVBackgroundModel(frozen, "run", spatial=shape)))
    assert result.success
    found = [float(result.parameters[f"norm_{i}"].value) for i in range(5)]
    np.testing.assert_allclose(found, plane, rtol=1e-4)
    result.models.write(tmp_path / "models.yaml")
    again = gj.Models.read(tmp_path / "models.yaml")[0].spatial
    lon, lat = 83.6 + RNG.uniform(-1, 1, 30), 22 + RNG.uniform(-1, 1, 30)
    np.testing.assert_allclose(values(again, lon, lat), values(result.models[0].spatial, lon, lat), rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda make: make([0, 1, 2], [0, 1, 0]), "at least 4"),
        (lambda make: make([0, 1, 2, 3], [0, 1, 2, 3]), "on a line"),
        (lambda make: make([0, 1, 0, 1, 1], [0, 0, 1, 1, 1]), "there twice"),
        (lambda make: make(LON, LAT, [1.0]), "15 places need as many norms, found 1"),
        (lambda make: make(LON, LAT, interp="sqrt"), "interp must be"),
        (lambda make: make(LON * u.s, LAT), "lon"),
        (lambda make: make(LON, LAT).replace(norm_99=1), "no parameter 'norm_99'"),
    ],
)
def test_input(call, message):
    with pytest.raises(gj.InputError, match=message):
        call(gj.PiecewiseNormSpatialModel)
