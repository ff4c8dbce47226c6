"""Geometry of images cut out, widened and re-binned, against astropy."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.nddata import Cutout2D
from astropy.wcs import WCS

from gammajax.datasets import InputError
from gammajax.datasets.sky import (
    SkyGeom,
    covering_slices,
    cropped,
    cutout_slices,
    downsampled,
    padded,
    upsampled,
    window,
)

GEOMS = {
    "TAN": SkyGeom.create((83.6, 22.0), 0.1, npix=(30, 20)),
    "CAR": SkyGeom.create((184.6, -5.8), (0.1, 0.2), npix=(31, 20), proj="CAR", frame="galactic"),
    "AIT": SkyGeom.create((10.0, 60.0), 0.1, npix=(24, 20), proj="AIT"),
}


def lonlat(geom, x, y):
    vectors = np.asarray(geom.pixel_to_vector(np.asarray(x, float), np.asarray(y, float)))
    return vectors


@pytest.mark.parametrize("name", GEOMS)
def test_cropped(name):
    geom = GEOMS[name]
    part = cropped(geom, slice(4, 15), slice(7, 20))
    assert part.shape == (11, 13) and part.pixel_size == geom.pixel_size and part.frame == geom.frame
    x, y = np.array([0.0, 3.3, 12.0]), np.array([0.0, 10.0, 4.2])
    np.testing.assert_allclose(lonlat(part, x, y), lonlat(geom, x + 7, y + 4), atol=2e-10)


@pytest.mark.parametrize("name", GEOMS)
def test_padded(name):
    geom = GEOMS[name]
    wide = padded(geom, (3, 2))
    assert wide.shape == (24, geom.shape[1] + 6)
    x, y = np.array([0.0, 3.3, 12.0]), np.array([0.0, 10.0, 4.2])
    np.testing.assert_allclose(lonlat(wide, x + 3, y + 2), lonlat(geom, x, y), atol=2e-10)
    assert cropped(wide, slice(2, 22), slice(3, 3 + geom.shape[1])).is_same(geom)


@pytest.mark.parametrize("name", ["TAN", "AIT"])
def test_downsampled_and_upsampled(name):
    geom = GEOMS[name]
    coarse = downsampled(geom, 2)
    assert coarse.shape == (10, geom.shape[1] // 2)
    np.testing.assert_allclose(coarse.pixel_size, 2 * geom.pixel_size, rtol=1e-5)
    # the middle of a coarse pixel is the corner of four fine ones
    x, y = np.array([0.0, 5.0]), np.array([0.0, 9.0])
    np.testing.assert_allclose(lonlat(coarse, x, y), lonlat(geom, 2 * x + 0.5, 2 * y + 0.5), atol=2e-10)
    assert upsampled(coarse, 2).is_same(geom)
    np.testing.assert_allclose(coarse.solid_angle, geom.solid_angle.reshape(10, 2, -1, 2).sum((1, 3)), rtol=1e-5)
    with pytest.raises(InputError, match=r"the factor 3 does not divide the 20 x"):
        downsampled(geom, 3)


def test_matrix_instead_of_steps():
    wcs = GEOMS["TAN"].wcs.deepcopy()
    wcs.wcs.cd = [[-0.08, 0.06], [0.06, 0.08]]
    header = wcs.to_header()
    for axis in "12":
        header.pop(f"CDELT{axis}", None)
    turned = SkyGeom.from_wcs(wcs, (20, 30))
    coarse = downsampled(turned, 2)
    np.testing.assert_allclose(lonlat(coarse, 3, 4), lonlat(turned, 6.5, 8.5), atol=1e-12)


def test_distortions():
    wcs = GEOMS["TAN"].wcs.deepcopy()
    from astropy.wcs import Sip

    a = np.zeros((3, 3))
    a[2, 0] = 1e-3
    wcs.sip = Sip(a, a.T.copy(), None, None, wcs.wcs.crpix)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    bent = SkyGeom.from_wcs(wcs, (20, 30))
    part = cropped(bent, slice(4, 15), slice(7, 20))
    np.testing.assert_allclose(lonlat(part, 3.0, 10.0), lonlat(bent, 10.0, 14.0), atol=1e-8)
    for function in (padded, downsampled):
        with pytest.raises(InputError, match="the projection has distortions"):
            function(bent, 2)


@pytest.mark.parametrize("mode", ["trim", "partial"])
@pytest.mark.parametrize(
    ("x", "y", "width"),
    [(14.2, 9.7, (1.0, 0.5)), (14.0, 9.0, 0.7), (2.1, 17.8, (1.23, 0.84)), (-1.0, 10.3, 0.5), (14.7, 9.4, 9.0)],
)
def test_slices_are_those_of_astropy(x, y, width, mode):
    geom = GEOMS["TAN"]
    position = geom.wcs.pixel_to_world(x, y)
    rows, columns = cutout_slices(geom, position, width, mode)
    size = np.broadcast_to(width, 2)[::-1] / 0.1
    values = np.arange(600.0).reshape(20, 30)
    expected = Cutout2D(values, position, tuple(size), wcs=geom.wcs, mode=mode, fill_value=0.0)
    np.testing.assert_array_equal(window(values, rows, columns), expected.data)
    found = cropped(geom, rows, columns)
    assert found.shape == expected.data.shape
    sky = expected.wcs.pixel_to_world(0, 0)
    x0, y0 = found.wcs.world_to_pixel(sky)
    assert abs(x0) < 1e-6 and abs(y0) < 1e-6


def test_a_middle_between_pixels_is_not_left_to_rounding():
    geom = GEOMS["TAN"]
    # of an even number of pixels, an odd number around the middle
    for offset in (-1e-9, 0.0, 1e-9):
        rows, columns = cutout_slices(geom, geom.wcs.pixel_to_world(14.5 + offset, 9.5 - offset), 0.7)
        assert (rows, columns) == (slice(6, 13), slice(11, 18))


def test_cutouts_that_cannot_be():
    geom, inside = GEOMS["TAN"], GEOMS["TAN"].center
    for mode in ("trim", "partial", "strict"):
        with pytest.raises(InputError, match=r"nothing of it is inside the image of 30 x 20 pixels of 0.1 deg"):
            cutout_slices(geom, SkyCoord(90.0, 22.0, unit="deg"), 0.5, mode)
    with pytest.raises(InputError, match="does not show the position"):
        cutout_slices(geom, SkyCoord(263.6, -22.0, unit="deg"), 0.5)
    with pytest.raises(InputError, match=r"goes beyond the image. Use mode='trim'"):
        cutout_slices(geom, inside, 2.5, "strict")
    assert cutout_slices(geom, inside, (3.0, 2.0), "strict") == (slice(0, 20), slice(0, 30))
    assert cutout_slices(geom, inside, 1 * u.arcsec) == (slice(9, 10), slice(14, 15))
    with pytest.raises(InputError, match="mode is 'all', expected one of trim, strict, partial"):
        cutout_slices(geom, inside, 1, "all")
    for bad in (0, -1, np.nan, 3 * u.s, (1, 2, 3), "wide"):
        with pytest.raises(InputError, match="cutout: width"):
            cutout_slices(geom, inside, bad)
    for position in ((83.6, 22.0), SkyCoord([1, 2], [3, 4], unit="deg")):
        with pytest.raises(InputError, match="position must be one SkyCoord"):
            cutout_slices(geom, position, 1)
    for bad in (-1, 1.5, (1, 2, 3), "2"):
        with pytest.raises(InputError, match="whole numbers"):
            padded(geom, bad)


def test_covering():
    geom = GEOMS["TAN"]
    grid = SkyGeom.create((83.6, 22.0), 0.5, npix=(12, 10))
    rows, columns = covering_slices(grid, cropped(geom, slice(5, 15), slice(10, 20)))
    # the cutout is one deg wide: one of the coarse pixels to each side of its middle, and those that it lies between
    assert (rows, columns) == (slice(3, 7), slice(4, 8))
    whole = SkyGeom.create((0.0, 0.0), 180.0, npix=(2, 1), proj="CAR")
    assert covering_slices(whole, geom) == (slice(0, 1), slice(0, 2))
    behind = SkyGeom.create((263.6, -22.0), 0.5, npix=(12, 10))
    assert covering_slices(behind, geom) == (slice(0, 10), slice(0, 12))
    assert isinstance(grid.wcs, WCS)


def test_methods_of_images():
    geom = GEOMS["TAN"]
    position = geom.wcs.pixel_to_world(14.2, 9.7)
    assert geom.cutout(position, 0.7).is_same(cropped(geom, *cutout_slices(geom, position, 0.7)))
    assert geom.cutout(geom.wcs.pixel_to_world(0.0, 0.0), 0.5, mode="partial").shape == (5, 5)
    assert geom.pad((3, 2)).is_same(padded(geom, (3, 2)))
    assert geom.downsample(5).is_same(downsampled(geom, 5))
    assert geom.downsample(2).upsample(2).is_same(geom)
    for bad in (0, -2, 1.5, True):
        for method in (geom.downsample, geom.upsample):
            with pytest.raises(InputError, match="factor must be a positive integer"):
                method(bad)
