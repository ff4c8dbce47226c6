"""Images of the sky: pixels and directions against astropy, what headers may hold, and what they may not."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from gammajax.datasets import InputError
from gammajax.datasets.sky import SkyGeom
from gammajax.kernels import ANALYTIC, lonlat_to_vector

SHAPE = (40, 60)
BASE = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 83.6,
    "CRVAL2": 22.0,
    "CRPIX1": 33.5,
    "CRPIX2": 18.25,
    "CDELT1": -0.05,
    "CDELT2": 0.04,
    "CUNIT1": "deg",
    "CUNIT2": "deg",
    "PC1_1": 0.8,
    "PC1_2": -0.6,
    "PC2_1": 0.6,
    "PC2_2": 0.8,
}
FITTED = {
    "AZP": {"PV2_1": 2.0},
    "SZP": {},
    "ZPN": {"PV2_1": 1.0, "PV2_3": 0.05},
    "AIR": {},
    "CYP": {"PV2_1": 1.0, "PV2_2": 0.7},
    "PAR": {},
    "MOL": {},
    "COP": {"PV2_1": 45.0, "PV2_2": 10.0},
    "COE": {"PV2_1": 45.0, "PV2_2": 10.0},
    "COD": {"PV2_1": 45.0, "PV2_2": 10.0},
    "COO": {"PV2_1": 45.0, "PV2_2": 10.0},
    "BON": {"PV2_1": 45.0},
    "PCO": {},
    "TSC": {},
    "HPX": {},
}
POSITIONS = {"Crab": (83.6, 22.0), "zero": (0.0, 0.0), "near a pole": (200.0, -89.7), "pole": (0.0, 90.0)}

to_vector = jax.jit(lambda geom, x, y: geom.pixel_to_vector(x, y))
to_pixel = jax.jit(lambda geom, v: geom.vector_to_pixel(v))


def make(code="TAN", frame="icrs", position=(83.6, 22.0), shape=SHAPE, **cards):
    axes = ("RA--", "DEC-") if frame == "icrs" else ("GLON", "GLAT")
    header = BASE | {f"CTYPE{i + 1}": f"{axis}-{code}" for i, axis in enumerate(axes)}
    return SkyGeom.from_header(header | {"CRVAL1": position[0], "CRVAL2": position[1]} | cards, shape)


def directions(wcs, x, y, frame="icrs"):
    """By astropy alone."""
    lon, lat = wcs.all_pix2world(x, y, 0)
    shown = np.isfinite(lon)
    sky = SkyCoord(np.where(shown, lon, 0), np.where(shown, lat, 0), unit="deg", frame=frame).icrs
    return np.where(shown[..., None], np.moveaxis(sky.cartesian.xyz.value, 0, -1), np.nan)


def check(geom, frame, atol=2e-13, pixels=1e-9):
    x, y = geom.pixel_grid
    x, y = x + 0.23, y - 0.31
    wanted = directions(geom.wcs, x, y, frame)
    for convert in (to_vector, lambda geom, x, y: geom.pixel_to_vector(x, y)):  # and without jit, on the host
        np.testing.assert_allclose(convert(geom, x, y), wanted, atol=atol)
    for back in (to_pixel(geom, wanted), geom.vector_to_pixel(wanted)):
        np.testing.assert_allclose(back, [x, y], atol=pixels)
    assert isinstance(geom.pixel_to_vector(x, y), np.ndarray)


@pytest.mark.parametrize("position", POSITIONS.values(), ids=POSITIONS)
@pytest.mark.parametrize("frame", ["icrs", "galactic"])
@pytest.mark.parametrize("code", ANALYTIC)
def test_projections_with_formulas(code, frame, position):
    """Rotated, on pixels that are not square."""
    geom = make(code, frame, position)
    assert geom.projection == code and geom.frame == frame and geom.pixel_size == 0.0466476
    x, y = geom.pixel_grid
    wanted = directions(geom.wcs, x, y, frame)
    np.testing.assert_allclose(geom.pixel_to_vector(x, y), wanted, atol=2e-14)
    np.testing.assert_allclose(geom.vector_to_pixel(wanted), [x, y], atol=3e-10)
    if position[1] == 22.0:
        check(geom, frame, 2e-14)


@pytest.mark.parametrize("position", POSITIONS.values(), ids=POSITIONS)
@pytest.mark.parametrize("code", FITTED)
def test_projections_without_formulas(code, position):
    frame = "galactic" if position[0] == 0 else "icrs"
    geom = make(code, frame, position, **FITTED[code])
    assert geom.projection == "poly" and geom.frame == frame
    x, y = geom.pixel_grid
    wanted = directions(geom.wcs, x, y, frame)
    np.testing.assert_allclose(geom.pixel_to_vector(x, y), wanted, atol=3e-12)
    np.testing.assert_allclose(geom.vector_to_pixel(wanted), [x, y], atol=1e-8)
    if position[1] == 22.0:
        check(geom, frame, 3e-12, 1e-8)


def test_fitted_projections_beyond_the_map():
    """A source far away stays far away, straight on from where the polynomials end; nowhere beyond 90 deg."""
    geom = make("MOL")
    near, far, hidden = (lonlat_to_vector(*p) for p in ((87.0, 22.0), (140.0, 50.0), (250.0, -10.0)))
    x, y = (np.array(c) for c in zip(*(geom.vector_to_pixel(v) for v in (near, far)), strict=True))
    np.testing.assert_allclose(geom.wcs.wcs_world2pix([[87.0, 22.0]], 0), [[x[0], y[0]]], atol=1e-3)
    assert np.all(np.hypot(x[1] - 30, y[1] - 20) > 500)
    assert np.all(np.isnan(geom.vector_to_pixel(hidden)))
    slopes = jax.jit(jax.jacfwd(lambda v: jnp.stack(geom.vector_to_pixel(v))))
    assert np.all(np.isfinite(slopes(jnp.asarray(far)))) and np.all(np.asarray(slopes(jnp.asarray(hidden))) == 0)
    # pixels far outside come back as they were, roughly
    back = geom.vector_to_pixel(geom.pixel_to_vector(np.array([-200.0, 400.0]), np.array([10.0, 300.0])))
    np.testing.assert_allclose(back, [[-200, 400], [10, 300]], rtol=0.05)


@pytest.mark.parametrize("code", ["MOL", "PAR", "QSC", "XPH", "CSC", "TSC"])
def test_images_that_polynomials_do_not_describe(code):
    """Too wide, or with an edge in the middle."""
    with pytest.raises(InputError, match=r"Reproject|shows none"):
        make(code, position=(83.6, 44.0), shape=(150, 200), CDELT1=-1.0, CDELT2=1.0)


@pytest.mark.parametrize(
    ("cards", "frame"),
    [
        ({"RADESYS": "FK5", "EQUINOX": 2000.0}, "fk5"),
        ({"RADESYS": "FK5", "EQUINOX": 1975.0}, "fk5"),
        ({"RADECSYS": "FK5"}, "fk5"),
        ({"EQUINOX": 1950.0}, "fk4"),
        ({"RADESYS": "ICRS", "MJD-OBS": 55000.0, "DATE-OBS": "2009-06-18"}, "icrs"),
    ],
)
def test_frames(cards, frame):
    geom = SkyGeom.from_header(BASE | cards, SHAPE)
    assert geom.frame == frame
    x, y = geom.pixel_grid
    lon, lat = geom.wcs.wcs_pix2world(x, y, 0)
    equinox = {} if "EQUINOX" not in cards else {"equinox": f"{'B' if frame == 'fk4' else 'J'}{cards['EQUINOX']}"}
    sky = SkyCoord(lon, lat, unit="deg", frame=frame, **equinox).icrs
    np.testing.assert_allclose(geom.pixel_to_vector(x, y), lonlat_to_vector(sky.ra.deg, sky.dec.deg), atol=1e-12)


@pytest.mark.parametrize("system", ["FK5", "ICRS"])
def test_galactic_axes_are_galactic(system):
    """Some files say RADESYS all the same, and astropy would take them for equatorial ones."""
    geom = make("CAR", "galactic", RADESYS=system, EQUINOX=2000.0)
    assert geom.frame == "galactic"
    x, y = geom.pixel_grid
    np.testing.assert_allclose(geom.pixel_to_vector(x, y), make("CAR", "galactic").pixel_to_vector(x, y), atol=1e-15)


def test_special_headers():
    # distortions, which wcs_pix2world leaves out
    sip = BASE | {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2}
    sip |= {"A_2_0": 1e-4, "A_1_1": -3e-5, "B_0_2": 2e-4}
    geom = SkyGeom.from_header(sip, SHAPE)
    x, y = geom.pixel_grid
    lon, lat = geom.wcs.all_pix2world(x, y, 0)
    np.testing.assert_allclose(geom.pixel_to_vector(x, y), lonlat_to_vector(lon, lat), atol=1e-12)
    plain = SkyGeom.from_header(BASE, SHAPE)
    assert np.abs(np.array(plain.vector_to_pixel(lonlat_to_vector(lon, lat))) - [x, y]).max() > 0.05
    # oblique SIN, a pole of longitudes, other units, three axes, a CD matrix
    for cards in (
        {"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "PV2_1": 0.1, "PV2_2": 0.2},
        {"LONPOLE": 170.0},
        {"CUNIT1": "arcmin", "CUNIT2": "arcmin", "CDELT1": -3.0, "CDELT2": 2.4, "CRVAL1": 5016.0, "CRVAL2": 1320.0},
        {"CTYPE3": "ENERGY", "CRVAL3": 1.0, "CDELT3": 0.1, "CRPIX3": 1.0, "NAXIS": 3},
    ):
        geom = SkyGeom.from_header(fits.Header(BASE | cards), SHAPE)
        check(geom, "icrs", 1e-12)
    matrix = {k: v for k, v in BASE.items() if k[:2] not in ("PC",) and k[:5] != "CDELT"}
    matrix |= {"CD1_1": -0.04, "CD1_2": 0.03, "CD2_1": 0.024, "CD2_2": 0.032}
    check(SkyGeom.from_header(matrix, SHAPE), "icrs", 2e-14)


def test_headers_come_back():
    for geom in (make("CAR", "galactic"), make("TAN"), make("MOL")):
        again = SkyGeom.from_header(geom.header, geom.shape)
        x, y = geom.pixel_grid
        np.testing.assert_allclose(again.pixel_to_vector(x, y), geom.pixel_to_vector(x, y), atol=1e-14)
        assert again.is_same(geom) and jax.tree_util.tree_structure(again) == jax.tree_util.tree_structure(geom)
    assert WCS(fits.Header(geom.header)).wcs.ctype[0] == "RA---MOL"
    with pytest.raises(InputError, match="outside"):
        jax.jit(lambda geom: geom.header)(geom)


@pytest.mark.parametrize(
    ("cards", "match"),
    [
        ({"CTYPE1": "RA---XYZ", "CTYPE2": "DEC--XYZ"}, "XYZ.*Expected CTYPE1"),
        ({"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN"}, "longitude first"),
        ({"CTYPE2": "DEC--SIN"}, "Inconsistent projection"),
        ({"CTYPE1": "X", "CTYPE2": "Y"}, "found axes"),
        ({"CTYPE2": "LINEAR"}, "celestial"),
        ({"CTYPE1": "ELON-TAN", "CTYPE2": "ELAT-TAN"}, "found axes .'ELON-TAN"),
        ({"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}, "found axes"),
        ({"CTYPE1": None}, "CTYPE1 = None"),
        ({"CTYPE1": 3}, "CTYPE1 = 3"),
        ({"CUNIT1": "foo"}, "CUNIT1"),
        ({"CRVAL1": "abc"}, "CRVAL1 = 'abc'.*finite numbers"),
        ({"CRVAL2": 100.0}, "no sky projection"),
        ({"CRPIX2": "12"}, "CRPIX2"),
        ({"CDELT1": 0.0}, "singular"),
        ({"CRPIX1": 1e9}, "shows none|described|describe"),
    ],
)
def test_broken_headers(cards, match):
    with pytest.raises(InputError, match=match) as caught:
        SkyGeom.from_header(BASE | cards, SHAPE, "file.fits[COUNTS]")
    assert "file.fits[COUNTS]" in str(caught.value)


@pytest.mark.parametrize("header", [{}, None, 3, "abc"])
def test_no_header(header):
    with pytest.raises(InputError, match="xpected"):
        SkyGeom.from_header(header, SHAPE)


def test_no_pixels():
    with pytest.raises(InputError, match="no pixels"):
        SkyGeom.from_header(BASE, (0, 5))


@pytest.mark.parametrize("code", ANALYTIC)
def test_all_of_the_sky(code):
    """Pixels off the sky are NaN where astropy says so; solid angles are NaN at its rim, and sum up to the sphere."""
    geom = SkyGeom.create((0, 0), binsz=2.0, width=(360, 180), proj=code, frame="galactic")
    x, y = geom.pixel_grid
    wanted = directions(geom.wcs, x, y, "galactic")
    found = geom.pixel_to_vector(x, y)
    np.testing.assert_allclose(found, wanted, atol=1e-13)
    back, on_sky = np.array(geom.vector_to_pixel(found)), np.isfinite(found[..., 0])
    np.testing.assert_allclose(back[:, on_sky], np.array([x, y])[:, on_sky], atol=1e-8)
    vectors, shown = geom.shown_vectors(x, y)
    np.testing.assert_array_equal(shown, on_sky)
    np.testing.assert_array_equal(vectors[on_sky], found[on_sky])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, rtol=1e-13)
    omega = geom.solid_angle
    assert np.all(np.isnan(omega[~on_sky])) and np.all(omega[np.isfinite(omega)] > 0)
    if code in ("CAR", "AIT", "SFL"):
        # CAR covers the sphere; of the others pixels across the rim are missing, half of them centred on the sky
        part = np.nansum(omega) / (4 * np.pi)
        rim = (on_sky & np.isnan(omega)).sum() * np.radians(2) ** 2 / (4 * np.pi)
        assert abs(part - 1) < 3e-4 if code == "CAR" else 1 - 3 * rim < part < 1 - rim / 2


def test_solid_angles():
    """Cells of a CAR map have one in closed form: the flat quadrangle between the corners is a little smaller."""
    geom = SkyGeom.create((0, 0), binsz=0.1, width=(1, 60), proj="CAR")
    b = np.radians(np.arange(-300, 301) * 0.1)
    wanted = np.radians(0.1) * np.diff(np.sin(b))
    np.testing.assert_allclose(geom.solid_angle, np.broadcast_to(wanted[:, None], (600, 10)), rtol=1e-6)
    wide = SkyGeom.create((0, 0), binsz=1.0, npix=1, proj="CAR").solid_angle[0, 0]
    assert 4e-5 < 1 - wide / (2 * np.radians(1) * np.sin(np.radians(0.5))) < 1e-4
    # by subdivision, also on a rotated TAN map
    geom = make()
    x, y = np.array([0.0, 30.0, 59.0]), np.array([3.0, 39.0, 20.0])
    offset = (np.arange(8) + 0.5) / 8 - 0.5
    parts = geom.cell_solid_angle(x[:, None, None] + offset[:, None], y[:, None, None] + offset, 1 / 8)
    np.testing.assert_allclose(jax.jit(lambda g: g.cell_solid_angle(x, y))(geom), parts.sum((1, 2)), rtol=1e-6)


def test_images_in_other_places_share_programs():
    geoms = [make("TAN", position=(83.6, c)) for c in (22.0, 23.0)]
    assert len({jax.tree_util.tree_structure(g) for g in geoms}) == 1
    batch = jax.tree_util.tree_map(lambda *leaves: np.stack(leaves), *geoms)
    vectors = np.asarray(jax.jit(jax.vmap(lambda g: g.pixel_to_vector(jnp.asarray(7.0), jnp.asarray(3.0))))(batch))
    for geom, vector in zip(geoms, vectors, strict=True):
        np.testing.assert_allclose(vector, geom.pixel_to_vector(np.asarray(7.0), np.asarray(3.0)), atol=1e-15)


@pytest.mark.parametrize("code", ["TAN", "CAR", "MOL"])
def test_slopes(code):
    """Of positions in pixels, and of pixel positions in directions, against differences."""
    geom, h = make(code, "galactic"), 1e-3
    slope = jax.jit(jax.jacfwd(lambda p: geom.pixel_to_vector(p[0], p[1])))
    for x, y in ((32.5, 17.25), (10.0, 30.5)):  # the reference point, and a border
        found = np.asarray(slope(jnp.array([x, y])))
        for i, (dx, dy) in enumerate(((h, 0), (0, h))):
            wanted = (geom.pixel_to_vector(x + dx, y + dy) - geom.pixel_to_vector(x - dx, y - dy)) / (2 * h)
            np.testing.assert_allclose(found[:, i], wanted, atol=1e-12)
        # on the sphere, the slopes of the inverse undo those of the map
        vector = jnp.asarray(geom.pixel_to_vector(np.asarray(x), np.asarray(y)))
        inverse = np.asarray(jax.jacfwd(lambda v: jnp.stack(geom.vector_to_pixel(v)))(vector))
        np.testing.assert_allclose(inverse @ found, np.eye(2), atol=1e-8)


def test_slopes_where_there_is_no_sky():
    """They are 0 for what hangs on directions there."""
    geom = SkyGeom.create((0, 0), binsz=20.0, width=(360, 180), proj="AIT")
    x, y = geom.pixel_grid
    slope = jax.jit(jax.grad(lambda step: jnp.sum(geom.shown_vectors(x + step, y + step)[0] ** 3)))(0.01)
    ends = [np.sum(geom.shown_vectors(x + step, y + step)[0] ** 3) for step in (0.01 + 1e-6, 0.01 - 1e-6)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


def test_create():
    geom = SkyGeom.create((83.633, 22.014), binsz=0.02, width=(3.01, 2.0))
    assert geom.shape == (100, 150) and geom.projection == "TAN" and geom.frame == "icrs" and geom.pixel_size == 0.02
    assert abs(geom.center.ra.deg - 83.633) < 1e-12 and abs(geom.center.dec.deg - 22.014) < 1e-12
    assert [float(m) for m in geom.middle] == [74.5, 49.5]
    x, y = geom.pixel_grid
    assert x.shape == (100, 150) and x[3, 7] == 7 and y[3, 7] == 3
    # longitude grows to the left
    assert geom.pixel_to_vector(np.asarray(0.0), np.asarray(49.5)) @ lonlat_to_vector(90.0, 22) > np.cos(np.radians(6))
    again = SkyGeom.create(SkyCoord("83.633d", "22.014d"), binsz=1.2 * u.arcmin, npix=(150, 100))
    assert again.is_same(geom)
    galactic = SkyGeom.create(SkyCoord("83.633d", "22.014d"), binsz=(0.1, 0.2), npix=5, frame="galactic", proj="CAR")
    assert galactic.shape == (5, 5) and galactic.frame == "galactic" and galactic.pixel_size == 0.2
    assert galactic.center.separation(SkyCoord("83.633d", "22.014d")).deg < 1e-10
    pair = SkyGeom.create((1 * u.deg, 60 * u.arcmin), width=1 * u.deg)
    assert pair.shape == (20, 20) and abs(pair.center.dec.deg - 1) < 1e-12


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"proj": "XYZ"}, "'XYZ' is not known"),
        ({"frame": "fk5"}, "frame must be"),
        ({"width": None}, "width"),
        ({"binsz": 0.0}, "binsz must be positive"),
        ({"binsz": -0.1}, "binsz must be positive"),
        ({"binsz": np.nan}, "binsz must be finite"),
        ({"binsz": 3 * u.TeV}, "binsz: found unit 'TeV'"),
        ({"width": "wide"}, "width: found 'wide'"),
        ({"width": 0.01}, "no pixels"),
        ({"npix": 0}, "no pixels"),
        ({"skydir": "Crab"}, "skydir: found 'Crab'"),
        ({"skydir": (0.0, 91.0)}, "from -90 to 90"),
        ({"skydir": (np.inf, 1.0)}, "skydir must be finite"),
    ],
)
def test_create_refuses(arguments, match):
    with pytest.raises(InputError, match=match):
        SkyGeom.create(**({"skydir": (0.0, 0.0), "width": 1.0} | arguments))


def test_same_pixels():
    geom = make()
    assert geom.is_same(make()) and geom.is_same(make(CRPIX1=33.50005)) and not geom.is_same(make(CRPIX1=33.501))
    assert not geom.is_same(make(shape=(40, 61))) and not geom.is_same(make("SIN", CDELT1=-0.5))
    # not on the other one at all
    assert not geom.is_same(make(position=(263.6, -22.0)))
    sky = SkyGeom.create((0, 0), binsz=10.0, width=(360, 180), proj="AIT")
    assert sky.is_same(SkyGeom.create((0, 0), binsz=10.0, width=(360, 180), proj="AIT"))
    assert not sky.is_same(SkyGeom.create((0, 0), binsz=10.0, width=(360, 180), proj="CAR"))


def test_region_masks():
    regions = pytest.importorskip("regions")
    geom = SkyGeom.create((83.6, 22.0), binsz=0.1, npix=(30, 20))
    centre = SkyCoord("83.7d", "22.1d")
    found = geom.region_mask(regions.CircleSkyRegion(centre, 0.52 * u.deg))
    x, y = geom.pixel_grid
    vectors = geom.pixel_to_vector(x, y)
    separation = np.degrees(np.arccos(vectors @ lonlat_to_vector(83.7, 22.1)))
    np.testing.assert_array_equal(found, separation < 0.52)
    assert found.dtype == bool and found.any() and not found.all()
    small = regions.CirclePixelRegion(regions.PixCoord(3.0, 2.0), 1.2)
    assert np.argwhere(geom.region_mask(small)).tolist() == [[1, 3], [2, 2], [2, 3], [2, 4], [3, 3]]
    both = regions.CircleSkyRegion(centre, 0.52 * u.deg) & regions.CircleSkyRegion(centre, 0.2 * u.deg)
    np.testing.assert_array_equal(geom.region_mask(both), separation < 0.2)
    far = regions.CircleSkyRegion(SkyCoord("90d", "22d"), 0.52 * u.deg)
    assert not geom.region_mask(far).any()
    with pytest.raises(InputError, match="found str, expected a region"):
        geom.region_mask("circle(1, 2, 3)")


def test_region_masks_need_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "regions", None)
    with pytest.raises(InputError, match="pip install regions"):
        make().region_mask(object())


def test_single_precision():
    """Pixels are good to the rounding of directions, 6e-8 rad."""
    geom = make()
    x, y = geom.pixel_grid
    with jax.enable_x64(False):
        narrow = jax.tree_util.tree_map(lambda leaf: jnp.asarray(leaf, jnp.float32), geom)
        vectors = to_vector(narrow, jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
        back = to_pixel(narrow, vectors)
        assert vectors.dtype == jnp.float32
    np.testing.assert_allclose(vectors, geom.pixel_to_vector(x, y), atol=3e-7)
    np.testing.assert_allclose(back, [x, y], atol=6e-4)
