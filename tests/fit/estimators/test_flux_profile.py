"""Flux profiles against flux points of the spectrum of each region, and regions against distances on the sky."""

import astropy.units as u
import jax
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from cases import maps

import gammajax as gj

START, STOP = SkyCoord(83.35, 21.85, unit="deg"), SkyCoord(83.85, 22.2, unit="deg")
FIELDS = ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "ts", "stat", "stat_null")


@pytest.fixture(scope="module")
def models():
    crab = maps.source(gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.1), name="crab")
    other = maps.source(gj.PointSpatialModel(lon_0=83.8, lat_0=22.2), amplitude=1e-11, name="other")
    norms = gj.PowerLawNormSpectralModel(norm=1.2)
    return gj.Models([crab, other, gj.FoVBackgroundModel(norms, name="a-bkg", datasets_names=["a"])])


@pytest.fixture(scope="module")
def runs(models, regions):
    a = maps.small_map(n=20)
    mask = np.ones(a.data_shape, bool)
    # the lowest energy is not fitted in a part of the last region, 3
    last = np.argwhere(a.geom.region_mask(regions[3]) & ~a.geom.region_mask(regions[2]))[-1]
    mask[0, last[0], last[1]] = False
    b = a.with_mask_fit(mask)
    return {n: gj.fake(jax.random.key(k), d, models, name=n) for k, (n, d) in enumerate({"a": a, "b": b}.items())}


@pytest.fixture(scope="module")
def regions():
    return gj.rectangles_along(START, STOP, 4, 0.3 * u.deg)


@pytest.fixture(scope="module")
def profile(runs, models, regions):
    edges = np.asarray(runs["a"].energy_edges)[[0, 1, 3]]
    with pytest.warns(UserWarning, match="b, region 3, 1 energies"):
        return gj.flux_profile(runs, models, regions, edges * u.TeV, exclude="crab", norms=[0.5, 2])


def test_each_region_as_flux_points_of_its_spectra(runs, models, regions, profile):
    assert profile.shape == (4, 2)
    spectrum = gj.PowerLawSpectralModel(index=2.0, amplitude=1e-12)
    alone = gj.Models([gj.SkyModel(spectrum, name="alone")])
    without = [m for m in models if m.name != "crab"]
    for place, region in enumerate(regions):
        inside = runs["a"].geom.region_mask(region)
        spectra = {}
        for name, run in runs.items():
            expected = np.asarray(gj.npred(run, gj.Models(without), name))[:, inside].sum(axis=1)
            here = run.replace(mask_fit=None).to_spectrum_dataset(region).replace(background=expected)
            if (name, place) == ("b", 3):
                here = here.with_mask_fit(np.array([False, True, True]))
            spectra[name] = here
        points = gj.flux_points(spectra, alone, "alone", np.asarray(runs["a"].energy_edges)[[0, 1, 3]], norms=[0.5, 2])
        found = profile.at(place)
        for field in FIELDS:
            np.testing.assert_allclose(getattr(found, field), getattr(points, field), rtol=1e-9, err_msg=field)
            np.testing.assert_array_equal(getattr(profile, field)[place], getattr(found, field))
        np.testing.assert_allclose(found.stat_scan, points.stat_scan, rtol=1e-9)
        np.testing.assert_allclose(profile.flux[place].value, points.quantity("flux").value)


def test_the_source_that_was_left_out_is_seen(profile):
    """The flux falls off the middle, and is there with more than five sigma."""
    assert np.all(profile.norm[1:3] > 2 * profile.norm[[0, 3]]) and np.all(profile.sqrt_ts[1:3] > 5)


def test_regions_follow_the_line(regions, profile):
    length = START.separation(STOP).deg
    np.testing.assert_allclose(profile.distance, length / 4 * np.arange(4), rtol=1e-6)
    np.testing.assert_allclose(profile.distance_max - profile.distance_min, length / 4, rtol=1e-6)
    grid = maps.small_map(n=200, binsz=0.005, sigma=None).geom
    vectors = np.asarray(grid.pixel_to_vector(*grid.pixel_grid))
    a, b = (maps.unit_vector(p.ra.deg, p.dec.deg) for p in (START, STOP))
    pole = np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    across = np.degrees(np.arcsin(vectors @ pole))
    along = np.degrees(np.arctan2(vectors @ np.cross(pole, a), vectors @ a))
    for k, region in enumerate(regions):
        expected = (np.abs(across) < 0.15) & (along > k * length / 4) & (along < (k + 1) * length / 4)
        assert (grid.region_mask(region) != expected).sum() < 0.02 * expected.sum()


def test_rings_begin_and_end_at_their_radii(runs, models):
    rings = gj.rings_around(SkyCoord(83.63, 22.01, unit="deg"), [0, 0.1, 0.2, 0.4])
    masks = [runs["a"].geom.region_mask(ring) for ring in rings]
    x, y = runs["a"].geom.pixel_grid
    center = maps.unit_vector(83.63, 22.01)
    offset = np.degrees(np.arccos(np.clip(np.asarray(runs["a"].geom.pixel_to_vector(x, y)) @ center, -1, 1)))
    for mask, low, high in zip(masks, (0, 0.1, 0.2), (0.1, 0.2, 0.4), strict=True):
        np.testing.assert_array_equal(mask, (offset >= low) & (offset < high))
    edges = np.asarray(runs["a"].energy_edges)[[0, 1, 3]]
    found = gj.flux_profile({"a": runs["a"]}, models, rings, edges, exclude="crab", norms=[0.5, 2])
    np.testing.assert_allclose(found.distance_min, [0, 0.1, 0.2], atol=1e-9)
    np.testing.assert_allclose(found.distance_max, [0.1, 0.2, 0.4])
    pixel = np.deg2rad(runs["a"].geom.pixel_size) ** 2
    np.testing.assert_allclose(found.solid_angle, [mask.sum() * pixel for mask in masks], rtol=1e-3)


@pytest.mark.parametrize("name", ["profile.fits", "profile.ecsv"])
@pytest.mark.parametrize("kind", ["likelihood", "dnde"])
def test_files(profile, name, kind, tmp_path):
    profile.write(tmp_path / name, sed_type=kind)
    model = profile.points.reference_model
    read = gj.FluxProfile.read(tmp_path / name, reference_model=model if kind == "dnde" else None)
    np.testing.assert_allclose(read.distance_min, profile.distance_min)
    for field in FIELDS:
        np.testing.assert_allclose(getattr(read, field), getattr(profile, field), rtol=1e-6)
    np.testing.assert_allclose(read.solid_angle, profile.solid_angle, rtol=1e-12)
    part = read.select_regions([1, 2]).select_energies(slice(1, 2))
    np.testing.assert_array_equal(part.solid_angle, read.solid_angle[1:3])
    np.testing.assert_array_equal(part.norm, read.norm[1:3, 1:])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"regions": lambda r: r[:1]}, "at least two"),
        ({"regions": lambda r: [r[0], r[2], r[1]]}, "farther"),
        ({"regions": lambda r: [r[0], "circle"]}, "str"),
        ({"regions": lambda r: gj.rectangles_along(START, SkyCoord(90, 22, unit="deg"), 9, 0.3)}, "region 1"),
        ({"exclude": "nobody"}, "nobody"),
        ({"energy_edges": [100, 200]}, "no fitted bin"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_refused(runs, models, regions, change, words):
    given = {"regions": lambda r: r, "energy_edges": [0.7, 15.0], "exclude": "crab"} | change
    with pytest.raises(gj.InputError, match=words):
        gj.flux_profile(runs, models, given["regions"](regions), given["energy_edges"], exclude=given["exclude"])


def test_regions_refused():
    with pytest.raises(gj.InputError, match="one place"):
        gj.rectangles_along(START, START, 3, 0.1)
    with pytest.raises(gj.InputError, match="width"):
        gj.rectangles_along(START, STOP, 3, -1)
    with pytest.raises(gj.InputError, match="rise"):
        gj.rings_around(START, [0.2, 0.1])
