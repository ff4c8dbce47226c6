"""Images on a grid of parameters: interpolation by hand, files, predictions and fits."""

import jax
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

import gammajax as gj

pytestmark = pytest.mark.slow

GEOM = gj.SkyGeom.create(SkyCoord(83.63, 22.01, unit="deg"), 0.1, npix=(12, 10))
WIDTH = gj.MapAxis.from_nodes([0.1, 0.2, 0.4], "log", "width", "deg")
TILT = gj.MapAxis.from_edges([-1.0, 1.0, 3.0], "lin", "tilt")
ENERGY = gj.MapAxis.from_energy_bounds("0.5 TeV", "50 TeV", 3, name="energy_true")
RNG = np.random.default_rng(4)
IMAGES = RNG.uniform(0.5, 5, (3, 2, 10, 12))
CUBES = RNG.uniform(0.5, 5, (3, 2, 3, 10, 12))


def pixel_vectors():
    return GEOM.pixel_to_vector(*GEOM.pixel_grid)


def by_hand(values, width, tilt):
    """ln value linear in ln width and in tilt."""
    x, y = np.log(width / 0.1) / np.log(2), tilt / 2
    i = min(int(x), 1)
    logs = np.log(values)
    rows = logs[i] + (x - i) * (logs[i + 1] - logs[i])
    return np.exp(rows[0] + y * (rows[1] - rows[0]))


@pytest.mark.parametrize(("width", "tilt"), [(0.1, 0.0), (0.4, 2.0), (0.15, 1.3), (0.25, 0.4)])
def test_interpolation(width, tilt):
    image = gj.TemplateNDSpatialModel(IMAGES, GEOM, [WIDTH, TILT], width=width * 3600 * u.arcsec, tilt=tilt)
    np.testing.assert_allclose(image.evaluate(pixel_vectors()), by_hand(IMAGES, width, tilt), rtol=1e-6)
    cube = gj.TemplateNDSpatialModel(CUBES, GEOM, [WIDTH, TILT], ENERGY, width=width, tilt=tilt)
    assert cube.is_energy_dependent and not image.is_energy_dependent
    np.testing.assert_allclose(cube.evaluate(pixel_vectors()), by_hand(CUBES, width, tilt), rtol=1e-6)
    middle = np.sqrt(ENERGY.center.to_value("TeV")[0] * ENERGY.center.to_value("TeV")[1])
    between = np.sqrt(by_hand(CUBES, width, tilt)[0] * by_hand(CUBES, width, tilt)[1])
    np.testing.assert_allclose(cube.evaluate(pixel_vectors(), np.array([middle]))[0], between, rtol=1e-6)
    # beyond the map and the energies
    assert not np.any(cube.evaluate(pixel_vectors(), np.array([0.4, 60.0])))
    assert float(image(0.0, 0.0)) == 0


def test_parameters():
    model = gj.TemplateNDSpatialModel(IMAGES, GEOM, [WIDTH, TILT])
    assert list(model.parameters) == ["width", "tilt"]
    width, tilt = model.parameters.values()
    assert (float(width.value), width.min, width.max, width.unit) == (0.25, 0.1, 0.4, "deg")
    assert (float(tilt.value), tilt.min, tilt.max, tilt.unit) == (1.0, -1.0, 3.0, "")
    source = gj.Models(gj.SkyModel(gj.PowerLawSpectralModel(), name="s", spatial=model))
    assert source.parameters.names[3:] == ("s.spatial.width", "s.spatial.tilt")
    changed = source.with_values({"tilt": 0.3})["s"].spatial
    assert float(changed.tilt.value) == 0.3 == float(model.replace(tilt=0.3).tilt.value)
    assert float(model.replace(width=720 * u.arcsec).width.internal) == pytest.approx(0.2)
    assert changed.evaluate(pixel_vectors()) == pytest.approx(by_hand(IMAGES, 0.25, 0.3), rel=1e-6)
    slope = jax.grad(lambda m: m.evaluate(pixel_vectors()).sum())(model)
    step = 1e-5
    ends = [np.sum(by_hand(IMAGES, 0.25, 1.0 + s)) for s in (step, -step)]
    assert float(slope.coordinates["tilt"].value) == pytest.approx((ends[0] - ends[1]) / 2 / step, rel=1e-6)
    assert model.to_region().width.value == pytest.approx(1.2)


@pytest.mark.parametrize("energy", [None, ENERGY])
def test_files(energy, tmp_path):
    values = IMAGES if energy is None else CUBES
    model = gj.TemplateNDSpatialModel(
        values, GEOM, [WIDTH, TILT], energy, width=0.3, tilt=gj.Parameter(0.2, frozen=True)
    )
    written = model.write(tmp_path / "grid.fits")
    models = gj.Models(gj.SkyModel(gj.PowerLawSpectralModel(), name="s", spatial=written))
    models.write(tmp_path / "models.yaml")
    again = gj.Models.read(tmp_path / "models.yaml")["s"].spatial
    assert {n: (float(p.value), p.frozen, p.unit) for n, p in again.parameters.items()} == {
        n: (float(p.value), p.frozen, p.unit) for n, p in model.parameters.items()
    }
    np.testing.assert_allclose(again.values, model.values, rtol=1e-12)
    np.testing.assert_allclose(again.evaluate(pixel_vectors()), model.evaluate(pixel_vectors()), rtol=1e-9)
    with pytest.raises(gj.InputError, match="Write them first"):
        gj.Models(gj.SkyModel(gj.PowerLawSpectralModel(), name="s", spatial=model)).write(tmp_path / "no.yaml")


def test_a_fit_finds_the_parameter():
    """Counts of Gaussians of known widths: the template of widths is fitted to one between its nodes."""
    widths = np.geomspace(0.1, 0.4, 7)
    axis = gj.MapAxis.from_nodes(widths, "log", "width", "deg")
    geom = gj.SkyGeom.create(SkyCoord(83.63, 22.01, unit="deg"), 0.05, npix=(40, 40))
    vectors = geom.pixel_to_vector(*geom.pixel_grid)
    images = [gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=w).evaluate(vectors) for w in widths]
    model = gj.TemplateNDSpatialModel(np.array(images), geom, [axis], width=gj.Parameter(0.15, "deg", min=0.1, max=0.4))
    edges = np.array([1.0, 3.0, 10.0])
    run = gj.MapDataset(
        geom, edges, exposure=np.full((2, 40, 40), 1e14), background=np.full((2, 40, 40), 0.1), source_grid="pixel"
    )
    truth = gj.SkyModel(
        gj.PowerLawSpectralModel(amplitude=1e-11),
        name="s",
        spatial=gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.23),
    )
    data = gj.asimov(run, truth)
    result = gj.fit(data, gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-11), name="s", spatial=model))
    assert result.success
    # interpolation between the nodes, and pixels
    assert float(result.parameters["width"].value) == pytest.approx(0.23, rel=0.02)
    assert float(result.parameters["amplitude"].value) == pytest.approx(1e-11, rel=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gj.TemplateNDSpatialModel(IMAGES, GEOM), "axes must be at least one MapAxis"),
        (lambda: gj.TemplateNDSpatialModel(IMAGES, GEOM, [TILT, WIDTH]), r"expected \(2, 3, 10, 12\)"),
        (lambda: gj.TemplateNDSpatialModel(IMAGES * u.m, GEOM, [WIDTH, TILT]), "unit 'm'"),
        (lambda: gj.TemplateNDSpatialModel(IMAGES, GEOM, [WIDTH, TILT], wdth=1), "no axis 'wdth'"),
        (lambda: gj.TemplateNDSpatialModel(IMAGES, GEOM, [WIDTH, TILT], width=1 * u.s), "found unit 's'"),
        (lambda: gj.TemplateNDSpatialModel(IMAGES, GEOM, [WIDTH, TILT]).replace(lon_0=1), "no parameter 'lon_0'"),
    ],
)
def test_input(call, message):
    with pytest.raises(gj.InputError, match=message):
        call()
