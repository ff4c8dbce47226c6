"""Template maps: normalisation, interpolation, shifts, files."""

import dataclasses

import astropy.units as u
import jax
import numpy as np
import pytest
from astropy.io import fits

from gammajax.datasets import InputError
from gammajax.datasets.models.spatial import DNDE_SURFACE, TemplateSpatialModel, pixel_areas
from gammajax.datasets.sky import MapAxis, SkyGeom

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(5)
GEOM = SkyGeom.create((83.6, 22.0), binsz=0.1, npix=(21, 15))
IMAGE = RNG.uniform(0.2, 3.0, GEOM.shape)
ENERGY = MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", nbin=3, name="energy_true")
CUBE = RNG.uniform(0.2, 3.0, (3, *GEOM.shape))


# without a compilation for every operation
_evaluate = jax.jit(lambda model, vectors, energy=None: model.evaluate(vectors, energy))


def _centres(geom):
    return np.asarray(geom.pixel_to_vector(*geom.pixel_grid))


def test_image_shares_out_a_flux_of_one():
    model = TemplateSpatialModel(10 * IMAGE, GEOM)
    values = np.asarray(_evaluate(model, _centres(GEOM)))
    np.testing.assert_allclose(np.sum(values * GEOM.solid_angle), 1, rtol=1e-9)
    np.testing.assert_allclose(values * GEOM.solid_angle, IMAGE / IMAGE.sum(), rtol=1e-9)
    assert model.unit == "sr-1" and not model.is_energy_dependent and model.scheme == "direct"
    assert [(n, p.frozen) for n, p in model.parameters.items()] == [("lon_0", True), ("lat_0", True)]
    np.testing.assert_allclose([float(p) for p in model.position], [83.6, 22.0], atol=1e-10)
    np.testing.assert_allclose(float(model.evaluation_radius), 21 * 0.1 / 2, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(model.center_vector), GEOM.pixel_to_vector(*GEOM.middle), atol=1e-12)


def test_brightness_is_kept_without_normalize():
    vectors = _centres(GEOM)[3:5, 4:7]
    plain = TemplateSpatialModel(IMAGE, GEOM, normalize=False)
    np.testing.assert_allclose(_evaluate(plain, vectors), IMAGE[3:5, 4:7], rtol=1e-9)
    per_degree = TemplateSpatialModel(IMAGE / u.deg**2, GEOM, normalize=False)
    np.testing.assert_allclose(_evaluate(per_degree, vectors), IMAGE[3:5, 4:7] * (180 / np.pi) ** 2, rtol=1e-9)
    diffuse = TemplateSpatialModel(IMAGE * u.Unit("MeV-1 s-1 cm-2 sr-1"), GEOM, normalize=False)
    assert diffuse.unit == DNDE_SURFACE
    np.testing.assert_allclose(_evaluate(diffuse, vectors), 1e6 * IMAGE[3:5, 4:7], rtol=1e-9)
    between = np.asarray(_evaluate(plain, np.asarray(GEOM.pixel_to_vector(np.array([4.5]), np.array([3.0])))))
    np.testing.assert_allclose(between, np.sqrt(IMAGE[3, 4] * IMAGE[3, 5]), rtol=1e-8)
    # zeros, NaN and negative entries count as 0
    spoilt = IMAGE.copy()
    spoilt[3, 4:7] = 0, np.nan, -1
    spoilt = TemplateSpatialModel(spoilt, GEOM, normalize=False)
    np.testing.assert_array_less(_evaluate(spoilt, _centres(GEOM)[3, 4:7]), 1e-250)
    far = np.asarray(plain(np.array([83.6 + 5, 83.6 - 180]), np.array([22.0, -22.0])))
    np.testing.assert_array_equal(far, 0)


def test_cube_is_normalised_at_each_energy_and_ends_with_its_axis():
    model = TemplateSpatialModel(CUBE, GEOM, ENERGY)
    assert model.is_energy_dependent
    np.testing.assert_allclose(model.energy_center, ENERGY.center.to_value("TeV"), rtol=1e-12)
    vectors = _centres(GEOM)
    values = np.asarray(_evaluate(model, vectors))
    assert values.shape == CUBE.shape
    np.testing.assert_allclose(np.sum(values * GEOM.solid_angle, axis=(1, 2)), 1, rtol=1e-9)
    middle = np.asarray(_evaluate(model, vectors[3, 4:6], np.array([1.0, 0.09, 0.11, 101.0])))
    np.testing.assert_allclose(middle[0], np.sqrt(values[0, 3, 4:6] * values[1, 3, 4:6]), rtol=1e-9)
    assert np.all(middle[[1, 3]] == 0) and np.all(middle[2] > 0)
    value = model(83.6 * u.deg, 22 * u.deg, 500 * u.GeV)
    assert value.unit == u.Unit("sr-1") and value.shape == (1,)
    nodes = MapAxis([0.1, 1.0, 20.0], "log", "energy_true", "TeV", "center")
    np.testing.assert_allclose(TemplateSpatialModel(CUBE, GEOM, nodes).energy_center, [0.1, 1, 20], rtol=1e-12)


def test_shifts_move_the_image_in_longitude_and_latitude():
    model = TemplateSpatialModel(IMAGE, GEOM, normalize=False)
    moved = model.replace(lon_0=83.6 + 0.05, lat_0=22.1)
    lon, lat = np.array([83.4, 83.7]), np.array([22.05, 21.8])
    np.testing.assert_allclose(moved(lon + 0.05, lat + 0.1), model(lon, lat), rtol=1e-9)
    free = dataclasses.replace(moved, lon_0=dataclasses.replace(model, lon_0=83.6).lon_0.replace(frozen=False))
    # far from the map too, where the projection shows nothing
    lon, lat = np.append(lon, 263.6), np.append(lat, -22.0)

    def value(m):
        return m(lon, lat)

    both = jax.jit(lambda m: (value(m), jax.jacfwd(value)(m)))
    found, slopes = both(free)
    np.testing.assert_allclose(found, value(free), rtol=1e-12)
    for name in ("lon_0", "lat_0"):
        step = 1e-6
        at = float(free.parameters[name].value)
        ends = [both(free.replace(**{name: at + s}))[0] for s in (-step, step)]
        np.testing.assert_allclose(getattr(slopes, name).value, (ends[1] - ends[0]) / (2 * step), rtol=1e-6)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree_util.tree_leaves(slopes))


def test_all_sky_maps_go_round_and_leave_out_what_is_not_sky():
    geom = SkyGeom.create((0, 0), binsz=10, npix=(36, 18), proj="CAR", frame="galactic")
    data = np.exp(np.cos(np.radians(np.arange(36.0) * 10 - 175)))[None, :] * np.ones((18, 1))
    model = TemplateSpatialModel(data, geom, normalize=False)
    assert model.frame == "galactic" and model.period
    edge, first, last = (float(model(lon, 2.0)) for lon in (180.0, 175.0, 185.0))
    np.testing.assert_allclose(edge, np.sqrt(first * last), rtol=1e-9)
    assert not TemplateSpatialModel(IMAGE, GEOM).period
    # the corners of an Aitoff map
    geom = SkyGeom.create((0, 0), binsz=10, npix=(36, 18), proj="AIT", frame="galactic")
    areas = pixel_areas(geom)
    assert areas[0, 0] == 0 and areas[9, 18] > 0
    values = np.asarray(TemplateSpatialModel(np.ones(geom.shape), geom).values)
    assert np.all(np.isfinite(values)) and values[0, 0] == 0


def test_files(tmp_path):
    """An image, and a cube with its energies as gammapy writes them: the same numbers come back."""
    lon, lat = 83.6 + RNG.uniform(-0.8, 0.8, 20), 22 + RNG.uniform(-0.5, 0.5, 20)
    models = {
        "image": TemplateSpatialModel(IMAGE, GEOM),
        "diffuse": TemplateSpatialModel(CUBE * u.Unit("TeV-1 s-1 cm-2 sr-1"), GEOM, ENERGY, normalize=False),
        "cube": TemplateSpatialModel(CUBE, GEOM, MapAxis([0.1, 1, 20], "log", "energy_true", "TeV", "center")),
    }
    for name, model in models.items():
        with pytest.raises(InputError, match="write"):
            model.extra_dict()
        written = model.write(tmp_path / f"{name}.fits.gz")
        assert written.extra_dict() == {
            "filename": str(tmp_path / f"{name}.fits.gz"),
            "normalize": model.normalize,
            "unit": model.unit,
        }
        np.testing.assert_array_equal(written.values, model.values)
        data = {"filename": f"{name}.fits.gz", "normalize": model.normalize}
        again = TemplateSpatialModel.from_extra(data, {"lon_0": model.lon_0.replace(value=83.61)}, tmp_path)
        assert again.unit == model.unit and float(again.lon_0.value) == 83.61
        np.testing.assert_allclose(again.replace(lon_0=model.lon_0)(lon, lat), model(lon, lat), rtol=1e-6)
        with pytest.raises(InputError, match="exists"):
            model.write(tmp_path / f"{name}.fits.gz")


def test_fermi_diffuse_form(tmp_path):
    """A cube in the primary HDU and a table ENERGIES in MeV."""
    path = tmp_path / "iem.fits"
    primary = fits.PrimaryHDU(CUBE)
    for keyword, value in (GEOM.header | {"BUNIT": "photon/cm2/s/MeV/sr"}).items():
        primary.header[keyword] = value
    table = fits.BinTableHDU.from_columns([fits.Column("Energy", "D", array=[1e5, 1e6, 1e7])], name="ENERGIES")
    fits.HDUList([primary, table]).writeto(path)
    model = TemplateSpatialModel.read(path, normalize=False)
    np.testing.assert_allclose(model.energy_center, [0.1, 1, 10], rtol=1e-12)
    np.testing.assert_allclose(_evaluate(model, _centres(GEOM)), 1e6 * CUBE, rtol=1e-8)


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match="expected"):
        TemplateSpatialModel(IMAGE.T, GEOM)
    with pytest.raises(InputError, match="energy, y, x"):
        TemplateSpatialModel(IMAGE, GEOM, ENERGY)
    with pytest.raises(InputError, match="MapAxis"):
        TemplateSpatialModel(CUBE, GEOM, np.array([1.0, 2, 3]))
    with pytest.raises(InputError, match="SkyGeom"):
        TemplateSpatialModel(IMAGE, GEOM.wcs)
    with pytest.raises(InputError, match="'m'"):
        TemplateSpatialModel(IMAGE * u.m, GEOM, normalize=False)
    with pytest.raises(InputError, match="'norm'"):
        TemplateSpatialModel(IMAGE, GEOM, norm=2)
    with pytest.raises(InputError, match="no energies"):
        _ = TemplateSpatialModel(IMAGE, GEOM).energy_center
    with pytest.raises(InputError, match="filename"):
        TemplateSpatialModel.from_extra({}, {})
    table = fits.BinTableHDU.from_columns([fits.Column("A", "D", array=[1.0])])
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "table.fits")
    with pytest.raises(InputError, match="no image"):
        TemplateSpatialModel.read(tmp_path / "table.fits")
    header = fits.Header(GEOM.header)
    fits.PrimaryHDU(CUBE, header).writeto(tmp_path / "cube.fits")
    with pytest.raises(InputError, match="energies"):
        TemplateSpatialModel.read(tmp_path / "cube.fits")
    energies = fits.BinTableHDU.from_columns([fits.Column("Energy", "D", array=[1.0, 2.0])], name="ENERGIES")
    fits.HDUList([fits.PrimaryHDU(CUBE, header), energies]).writeto(tmp_path / "short.fits")
    with pytest.raises(InputError, match="it has 2"):
        TemplateSpatialModel.read(tmp_path / "short.fits")
    energies.columns.change_name("Energy", "E")
    fits.HDUList([fits.PrimaryHDU(CUBE, header), energies]).writeto(tmp_path / "name.fits")
    with pytest.raises(InputError, match="column Energy"):
        TemplateSpatialModel.read(tmp_path / "name.fits")
    data = (tmp_path / "cube.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(data[:3000])
    with pytest.raises(InputError, match="cut"):
        TemplateSpatialModel.read(tmp_path / "cut.fits")


def _fermi_cube(path, table, cards=(), bunit=None):
    """A cube (3, 2, 4) as Fermi-LAT tools write it: energies of 100, 1000, 10000 MeV or bins around them."""
    geom = SkyGeom.create((83.6, 22.0), 0.5, npix=(4, 2))
    cube = np.arange(24.0).reshape(3, 2, 4) + 1
    image = fits.PrimaryHDU(cube)
    image.header.update(geom.header)
    if bunit is not None:
        image.header["BUNIT"] = bunit
    if table == "ENERGIES":
        columns = [fits.Column("Energy", "D", "MeV", array=[1e2, 1e3, 1e4])]
    else:
        edges = 1e3 * np.array([50.0, 200.0, 5000.0, 20000.0])
        columns = [fits.Column("CHANNEL", "J", array=[1, 2, 3])]
        columns += [fits.Column(n, "D", "keV", array=a) for n, a in (("E_MIN", edges[:-1]), ("E_MAX", edges[1:]))]
    energies = fits.BinTableHDU.from_columns(columns, name=table)
    energies.header.update(dict(cards))
    fits.HDUList([image, energies]).writeto(path)
    return cube, geom


AXCOLS = {"AXCOLS1": "ENERGY", "INTERP1": "lin"}


@pytest.mark.parametrize("cards", [{}, {"AXCOLS1": "ENERGY"}, AXCOLS], ids=["plain", "axcols", "lin"])
def test_fermi_cubes_are_logarithmic_in_energy(tmp_path, cards):
    """Between two planes the cube is a power law, whatever else the table of energies says."""
    cube, geom = _fermi_cube(tmp_path / "cube.fits", "ENERGIES", cards)
    model = TemplateSpatialModel.read(tmp_path / "cube.fits", normalize=False)
    # in cm-2 s-1 MeV-1 sr-1, as no unit is given
    at = np.asarray(geom.pixel_to_vector(1.0, 1.0))
    energy = 1e-6 * 300.0
    share = np.log(300 / 100) / np.log(10)
    wanted = 1e6 * cube[0, 1, 1] ** (1 - share) * cube[1, 1, 1] ** share
    assert model.unit == DNDE_SURFACE
    np.testing.assert_allclose(model.evaluate(at[None], np.array([energy])), [[wanted]], rtol=1e-10)
    _fermi_cube(tmp_path / "unit.fits", "ENERGIES", cards, "ph/cm2/s/GeV/sr")
    model = TemplateSpatialModel.read(tmp_path / "unit.fits", normalize=False)
    np.testing.assert_allclose(model.evaluate(at[None], np.array([energy])), [[wanted * 1e-3]], rtol=1e-10)


def test_fermi_cubes_with_bounds(tmp_path):
    """EBOUNDS: planes hold at the logarithmic centres of their bins."""
    cube, geom = _fermi_cube(tmp_path / "cube.fits", "EBOUNDS")
    model = TemplateSpatialModel.read(tmp_path / "cube.fits", normalize=False)
    at = np.asarray(geom.pixel_to_vector(2.0, 0.0))
    np.testing.assert_allclose(model.energy_center, [1e-4, 1e-3, 1e-2], rtol=1e-12)
    np.testing.assert_allclose(model.evaluate(at[None], np.array([1e-3])), [[1e6 * cube[1, 0, 2]]], rtol=1e-10)
