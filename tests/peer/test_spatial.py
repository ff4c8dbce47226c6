"""Every spatial model against gammapy, run side by side where gammapy is installed."""

import warnings

import astropy.units as u
import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peer = pytest.importorskip("gammapy.modeling.models")
    peer_maps = pytest.importorskip("gammapy.maps")

from cases import spatial as cases

from gammajax.datasets.models.spatial import SPATIAL_MODELS, TemplateSpatialModel

pytestmark = pytest.mark.filterwarnings("ignore")


RNG = np.random.default_rng(9)


def test_parameters_and_limits_are_those_of_gammapy():
    for tag in ("point", "gauss", "gauss-general", "disk", "shell", "shell2", "const", "const-flux"):
        cls = SPATIAL_MODELS[tag]
        other = getattr(peer, cls.__name__)
        assert tuple(other.tag) == cls.tag
        declared = [
            (p.name, p.value, u.Unit(p.unit), p.frozen, *np.nan_to_num([p.min, p.max], nan=np.inf))
            for p in other().parameters
        ]
        found = [(n, float(p.value), u.Unit(p.unit), p.frozen, abs(p.min), p.max) for n, p in cls().parameters.items()]
        assert [(*d[:4], abs(d[4]), d[5]) for d in declared] == found
        radius, wanted = cls().evaluation_radius, other().evaluation_radius
        assert (radius is None) == (wanted is None)
        if wanted is not None:
            assert float(radius) == pytest.approx(wanted.to_value("deg"), rel=1e-12)


def test_the_list_of_models_is_the_same():
    names = {cls.__name__ for cls in peer.SPATIAL_MODEL_REGISTRY}
    assert names <= {cls.__name__ for cls in SPATIAL_MODELS.values()}


@pytest.mark.parametrize("frame", ["icrs", "galactic"])
@pytest.mark.parametrize(
    ("tag", "parameters"),
    # not a shell without a hole, where gammapy takes the root of a negative number
    [c for c in cases.SHAPES if c[1].get("sigma", 0) < 10 and c[1].get("radius", 1) > 0],
)
def test_values(tag, parameters, frame):
    """The same shape; and the same height, but for the plane that gammapy normalises on.

    gammapy's shells are in deg-2, and its disks leave out their soft edge.
    """
    model = SPATIAL_MODELS[tag](lon_0=350.0, lat_0=-40.0, frame=frame, **parameters)
    other = peer.SPATIAL_MODEL_REGISTRY.get_cls(tag)(lon_0=350 * u.deg, lat_0=-40 * u.deg, frame=frame)
    for name, value in parameters.items():
        other.parameters[name].value = value
    size = next(v for k, v in parameters.items() if k in ("sigma", "r_0", "radius"))
    east, north = size * RNG.uniform(-1.2, 1.2, (2, 60))
    lon, lat = (350 + east / np.cos(np.radians(40))) * u.deg, (-40 + north) * u.deg
    wanted = other(lon, lat).value * ((180 / np.pi) ** 2 if tag.startswith("shell") else 1.0)
    found = model(lon, lat).value
    seen = wanted > 1e-6 * wanted.max()
    np.testing.assert_array_equal(found[~seen] < 2e-6 * found.max(), True)
    ratio = found[seen] / wanted[seen]
    # disks of a sharp edge magnify the rounding of separations, and gammapy takes the cosine of small ones
    np.testing.assert_allclose(ratio, np.median(ratio), rtol=1e-6 if tag == "disk" else 1e-5 if size < 0.01 else 1e-8)
    if tag == "gauss" and not parameters.get("e"):
        np.testing.assert_allclose(ratio, 1, rtol=1e-9)
    else:
        planar = 0.7 * np.radians(size) ** 2 * (4 if tag == "gauss-general" else 1)
        soft = 0.4 * parameters.get("edge_width", 0.0) ** 2 + 1e-5
        np.testing.assert_allclose(ratio, 1, atol=planar + soft)


@pytest.mark.parametrize("tag", ["gauss", "disk", "gauss-general", "shell", "shell2"])
def test_sums_over_pixels(tag):
    """Containment in 0.7 deg; the sum over all pixels is 1 but for pixels that edges and cusps cut."""
    parameters = {"gauss": {"sigma": 0.5}, "shell": {"radius": 0.8, "width": 0.2}}.get(tag, {"r_0": 0.8})
    geom = peer_maps.WcsGeom.create(skydir=(83.6, 22.0), binsz=0.02, width=12, proj="TAN")
    model = SPATIAL_MODELS[tag](lon_0=83.6, lat_0=22.0, **parameters)
    other = peer.SPATIAL_MODEL_REGISTRY.get_cls(tag)(
        lon_0=83.6 * u.deg, lat_0=22 * u.deg, **{n: v * u.deg for n, v in parameters.items()}
    )
    coords = geom.get_coord()
    omega = geom.solid_angle().value
    values = np.asarray(model(coords.lon.value, coords.lat.value))
    wanted = other(coords.lon, coords.lat).value * ((180 / np.pi) ** 2 if tag.startswith("shell") else 1.0)
    inside = geom.separation(geom.center_skydir).deg < 0.7
    sums, others = np.sum(values * omega), np.sum(wanted * omega)
    assert sums == pytest.approx(1, abs={"disk": 1e-3, "shell": 3e-4, "shell2": 3e-4}.get(tag, 2e-5))
    assert np.sum((values * omega)[inside]) / sums == pytest.approx(np.sum((wanted * omega)[inside]) / others, abs=1e-4)


def _template(geom):
    image = peer_maps.Map.from_geom(geom, unit="sr-1", dtype=float)
    image.data = RNG.uniform(0.2, 3, image.data.shape)
    image.data[..., 5, 6] = 0
    return image


AXES = {
    "image": None,
    "edges": peer_maps.MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", nbin=6, name="energy_true"),
    "centres": peer_maps.MapAxis.from_nodes([100, 1e3, 3e4], unit="GeV", name="energy_true", interp="log"),
}


@pytest.mark.parametrize(("frame", "proj"), [("icrs", "TAN"), ("galactic", "CAR")])
@pytest.mark.parametrize("axis", AXES)
def test_template(tmp_path, frame, proj, axis):
    axes = None if AXES[axis] is None else [AXES[axis]]
    geom = peer_maps.WcsGeom.create(skydir=(83.6, 22.0), binsz=0.1, width=(5, 4), proj=proj, frame=frame, axes=axes)
    image = _template(geom)
    image.write(tmp_path / "map.fits")
    energy = None if axes is None else np.array([0.09, 0.11, 0.5, 3, 30, 110])
    lon, lat = 83.6 + RNG.uniform(-3.2, 3.2, 200), 22 + RNG.uniform(-2.4, 2.4, 200)
    for normalize, rtol in ((True, 1e-6), (False, 1e-10)):
        # gammapy's copies of a normalised template are normalised once more, so that each is made anew
        other = peer.TemplateSpatialModel(image.copy(), normalize=normalize, filename=str(tmp_path / "map.fits"))
        model = TemplateSpatialModel.read(tmp_path / "map.fits", normalize=normalize)
        assert float(model.lon_0.value) == pytest.approx(other.lon_0.value, abs=1e-9)
        assert float(model.evaluation_radius) == pytest.approx(other.evaluation_radius.to_value("deg"), rel=1e-10)
        for shift in (0.0, 0.07):
            other.lon_0.value, other.lat_0.value = float(model.lon_0.value) + shift, float(model.lat_0.value) - shift
            moved = model.replace(lon_0=other.lon_0.value, lat_0=other.lat_0.value)
            args = (lon * u.deg, lat * u.deg) if energy is None else (lon * u.deg, lat * u.deg, energy[:, None] * u.TeV)
            wanted = other(*args).to_value("sr-1")
            found = np.asarray(moved(lon, lat, energy))
            # where an entry is 0 gammapy goes on through it beyond the last energies, to absurd numbers
            seen = wanted > 1e-3 * np.median(wanted[wanted > 0])
            assert np.all(found[~seen] <= 1e-2 * np.median(wanted[wanted > 0]))
            good = np.abs(found[seen] / wanted[seen] - 1) < rtol
            assert np.mean(good) > (0.99 if axes else 0.9999)


def test_written_templates_are_read_by_gammapy(tmp_path):
    geom = peer_maps.WcsGeom.create(skydir=(83.6, 22.0), binsz=0.1, width=(5, 4), proj="TAN", axes=[AXES["edges"]])
    _template(geom).write(tmp_path / "map.fits")
    model = TemplateSpatialModel.read(tmp_path / "map.fits").write(tmp_path / "again.fits")
    other = peer.TemplateSpatialModel.read(tmp_path / "again.fits")
    lon, lat, energy = np.array([83.2, 84.0]), np.array([21.5, 22.3]), np.array([1.0, 20.0])
    found = np.asarray(model(lon, lat, energy))
    np.testing.assert_allclose(found, other(lon * u.deg, lat * u.deg, energy[:, None] * u.TeV).value, rtol=1e-6)


@pytest.mark.parametrize("tag", ["point", "gauss", "gauss-general", "disk", "shell", "shell2", "const", "const-flux"])
def test_outlines(tag):
    """Regions of the same numbers."""
    import gammajax as gj

    given = {
        "gauss": {"sigma": 0.3, "e": 0.6, "phi": 20.0},
        "gauss-general": {"r_0": 0.3, "e": 0.6, "phi": 20.0},
        "disk": {"r_0": 0.3, "e": 0.6, "phi": 20.0},
    }.get(tag, {})
    place = {} if tag.startswith("const") else {"lon_0": 3.0, "lat_0": 4.0, "frame": "galactic"}
    ours = gj.SkyModel.create("pl", tag).spatial
    ours = type(ours)(**given, **place)
    theirs = gj.to_gammapy(gj.Models(gj.SkyModel.create("pl", tag).replace(spatial=ours)))[0].spatial_model
    for size in (1.0, 2.5):
        found, wanted = ours.to_region(size), theirs.to_region(size_factor=size)
        assert type(found) is type(wanted) and found.center.separation(wanted.center).deg < 1e-9
        for name in ("width", "height", "angle", "inner_radius", "outer_radius"):
            if hasattr(wanted, name):
                assert getattr(found, name).to_value("deg") == pytest.approx(getattr(wanted, name).to_value("deg"))


@pytest.mark.parametrize("cube", [False, True])
def test_grids_of_images(cube, tmp_path):
    """Values between the centres of the grid; there and back; files of either read by the other."""
    import astropy.units as u
    import gammapy.maps as maps
    import gammapy.modeling.models as models

    import gammajax as gj

    width = maps.MapAxis.from_nodes([0.1, 0.2, 0.4], interp="log", name="width", unit="deg")
    tilt = maps.MapAxis.from_edges([-1, 1, 3], name="tilt")
    energy = [maps.MapAxis.from_energy_bounds("0.5 TeV", "50 TeV", nbin=3, name="energy_true")] if cube else []
    geom = maps.WcsGeom.create(skydir=(83.63, 22.01), npix=(12, 10), binsz=0.1, axes=[*energy, tilt, width])
    data = np.random.default_rng(4).uniform(0.5, 5, geom.data_shape)
    theirs = models.TemplateNDSpatialModel(maps.Map.from_geom(geom, data=data, unit="sr-1"))
    theirs.width.value, theirs.tilt.value = 0.15, 0.7
    source = models.SkyModel(spectral_model=models.PowerLawSpectralModel(), spatial_model=theirs, name="s")
    ours = gj.from_gammapy(source).spatial
    coords = geom.to_image().get_coord()
    lon, lat = (getattr(coords, c)[2:-2, 2:-2] + 0.013 * u.deg for c in ("lon", "lat"))
    at = np.array([1.0, 7.0, 20.0]) if cube else None
    wanted = theirs(lon[None], lat[None], energy=at[:, None, None] * u.TeV) if cube else theirs(lon, lat)
    found = ours(lon, lat, at) if cube else ours(lon, lat)
    np.testing.assert_allclose(found.value, wanted.to_value("sr-1"), rtol=1e-5)
    back = gj.to_gammapy(gj.Models(gj.SkyModel(gj.PowerLawSpectralModel(), name="s", spatial=ours)))[0].spatial_model
    again = back(lon[None], lat[None], energy=at[:, None, None] * u.TeV) if cube else back(lon, lat)
    np.testing.assert_allclose(again.to_value("sr-1"), wanted.to_value("sr-1"), rtol=1e-5)
    theirs.write(filename=str(tmp_path / "theirs.fits"))
    read = gj.TemplateNDSpatialModel.read(tmp_path / "theirs.fits", width=0.15, tilt=0.7)
    np.testing.assert_allclose((read(lon, lat, at) if cube else read(lon, lat)).value, found.value, rtol=1e-6)
    gj.Models(gj.SkyModel(gj.PowerLawSpectralModel(), name="s", spatial=ours.write(tmp_path / "ours.fits"))).write(
        tmp_path / "models.yaml"
    )
    import os

    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        loaded = models.Models.read("models.yaml")[0].spatial_model
    finally:
        os.chdir(here)
    again = loaded(lon[None], lat[None], energy=at[:, None, None] * u.TeV) if cube else loaded(lon, lat)
    np.testing.assert_allclose(again.to_value("sr-1"), wanted.to_value("sr-1"), rtol=1e-5)


def test_norms_at_places():
    """Values inside the outermost places; there and back."""
    import astropy.units as u
    import gammapy.maps as maps
    import gammapy.modeling.models as models

    import gammajax as gj

    rng = np.random.default_rng(8)
    lon, lat = 83.6 + rng.uniform(-2, 2, 12), 22.0 + rng.uniform(-2, 2, 12)
    norms = rng.uniform(0.5, 2, 12)
    theirs = models.PiecewiseNormSpatialModel(maps.MapCoord.create((lon * u.deg, lat * u.deg)), norms)
    weights = rng.dirichlet(np.ones(12), 100)
    at = weights @ lon, weights @ lat
    wanted = theirs(at[0] * u.deg, at[1] * u.deg).value
    ours = gj.PiecewiseNormSpatialModel(lon, lat, norms)
    # the gradients there are found to 1e-6
    np.testing.assert_allclose(ours(*at), wanted, rtol=1e-5)
    background = models.FoVBackgroundModel(dataset_name="run", spatial_model=theirs)
    found = gj.from_gammapy(background)
    np.testing.assert_allclose(found.spatial(*at), wanted, rtol=1e-5)
    back = gj.to_gammapy(gj.Models(found))[0].spatial_model
    np.testing.assert_allclose(back(at[0] * u.deg, at[1] * u.deg).value, wanted, rtol=1e-5)
