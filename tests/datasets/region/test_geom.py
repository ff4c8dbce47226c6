"""Regions on their lattices: areas, errors, tables."""

import astropy.units as u
import numpy as np
import pytest
import regions
from astropy.coordinates import SkyCoord
from cases import regions as cases

import gammajax as gj
from gammajax.datasets.io import FitsTable
from gammajax.datasets.region import MOST_NODES, RegionGeom
from gammajax.kernels import lonlat_to_vector

CENTER, CIRCLE, PSF = cases.CENTER, cases.CIRCLE, cases.PSF

OTHER = regions.CircleSkyRegion(CENTER.directional_offset_by(0 * u.deg, 0.3 * u.deg), 0.1 * u.deg)
TRIANGLE = regions.PolygonSkyRegion(SkyCoord([83.6, 83.7, 83.6], [22.0, 22.0, 22.1], unit="deg"))
SHAPES = {
    "circle": (CIRCLE, np.pi * 0.12**2),
    "annulus": (regions.CircleAnnulusSkyRegion(CENTER, 0.1 * u.deg, 0.2 * u.deg), np.pi * 0.03),
    "ellipse": (regions.EllipseSkyRegion(CENTER, 0.2 * u.deg, 0.1 * u.deg, 30 * u.deg), np.pi * 0.005),
    "rectangle": (regions.RectangleSkyRegion(CENTER, 0.2 * u.deg, 0.1 * u.deg, 20 * u.deg), 0.02),
    "triangle": (TRIANGLE, 0.005 * np.cos(np.radians(22.0))),
    "union": (CIRCLE | OTHER, np.pi * (0.12**2 + 0.1**2)),
    "galactic": (regions.CircleSkyRegion(CENTER.galactic, 0.12 * u.deg), np.pi * 0.12**2),
}


@pytest.mark.parametrize("name", SHAPES)
def test_area(name):
    region, area = SHAPES[name]
    found = RegionGeom.create(region, PSF)
    assert found.solid_angle == pytest.approx(area * np.radians(1) ** 2, rel=1e-4)
    inside = CENTER if name not in ("annulus", "triangle") else SkyCoord(83.63, 22.03, unit="deg")
    inside = inside.directional_offset_by(0 * u.deg, 0.15 * u.deg) if name == "annulus" else inside
    vectors = lonlat_to_vector(np.array([inside.ra.deg, 90.0, 263.0]), np.array([inside.dec.deg, 22.0, -22.0]))
    assert found.contains(vectors).tolist() == [True, False, False]


def test_closed_form_and_cells_agree():
    ellipse = regions.EllipseSkyRegion(CENTER, 0.24 * u.deg, 0.24 * u.deg)
    found, wanted = (np.asarray(RegionGeom.create(r, step=0.01, reach=0.2).transform) for r in (ellipse, CIRCLE))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * wanted[0, 0, 0])


def test_size_of_the_lattice():
    geom = RegionGeom.create(CIRCLE, PSF)
    assert geom.lattice.shape[0] % 2 == 0 and geom.lattice.pixel_size == pytest.approx(PSF.core / 4.5, rel=1e-3)
    assert geom.fitted(PSF) is geom and geom.fitted(None) is geom
    sharp = cases.gauss_psf(0.02)
    assert geom.fitted(sharp).lattice.pixel_size < geom.lattice.pixel_size / 2
    wings = gj.PSFMap.from_gauss([1.0, 10.0], [0.01, 2.0], rad=np.arange(0, 8, 0.004))
    wide = RegionGeom.create(CIRCLE, wings)
    assert wide.lattice.shape[0] <= MOST_NODES and wide.fitted(wings) is wide


@pytest.mark.parametrize("name", ["circle", "ellipse", "triangle", "union"])
def test_table(name):
    geom = RegionGeom.create(SHAPES[name][0], PSF)
    hdu = geom.to_table("COUNTS_REGION")
    assert hdu.name == "COUNTS_REGION" and "WCSSHAPE" in hdu.header
    again = RegionGeom.from_table(FitsTable(hdu, "a file"), PSF)
    assert again.center.separation(geom.center).deg < 1e-6
    wanted = np.asarray(geom.transform)
    np.testing.assert_allclose(again.transform, wanted, rtol=0, atol=1e-4 * wanted[0, 0, 0])


def test_errors():
    with pytest.raises(gj.InputError, match="found str, expected a region of the sky"):
        RegionGeom.create("circle")
    with pytest.raises(gj.InputError, match="CirclePixelRegion, expected a region of the sky"):
        RegionGeom.create(regions.CirclePixelRegion(regions.PixCoord(1, 1), 2))
    with pytest.raises(gj.InputError, match="PointSkyRegion has no area"):
        RegionGeom.create(regions.PointSkyRegion(CENTER), PSF)
    with pytest.raises(gj.InputError, match="has no form in FITS"):
        RegionGeom.create(CIRCLE & OTHER.__class__(CENTER, 0.1 * u.deg), PSF).to_table()
    with pytest.raises(gj.InputError, match="a file: the table holds no region"):
        hdu = RegionGeom.create(CIRCLE, PSF).to_table()
        hdu.data = hdu.data[:0]
        RegionGeom.from_table(FitsTable(hdu, "a file"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"step": -0.01}, "step must be positive and at most a quarter"),
        ({"step": 1.0}, "step must be positive and at most a quarter"),
        ({"reach": -1.0}, "reach must not be negative"),
        ({"reach": "x"}, "reach"),
        ({"reach": 3 * u.TeV}, "reach"),
        ({"step": np.nan}, "step must be finite"),
        ({"psf": 3}, "psf must be a PSFMap or None"),
    ],
)
def test_lattices_that_make_no_sense(given, message):
    region = regions.CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 0.2 * u.deg)
    with pytest.raises(gj.InputError, match=message):
        gj.RegionGeom.create(region, **given)
    wide = regions.CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 11 * u.deg)
    with pytest.raises(gj.InputError, match="taken as flat"):
        gj.RegionGeom.create(wide)


def test_quantities_and_lattices_that_are_too_coarse():
    region = regions.CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 0.2 * u.deg)
    one, other = (
        gj.RegionGeom.create(region, step=0.01, reach=0.1),
        gj.RegionGeom.create(region, step=0.6 * u.arcmin, reach=6 * u.arcmin),
    )
    assert one.lattice.is_same(other.lattice) and one.reach == pytest.approx(other.reach)
    psf = gj.PSFMap.from_gauss([1.0], 0.05)
    coarse = gj.RegionGeom.create(region, reach=40.0)
    assert coarse.fitted(psf).lattice.pixel_size < 0.1 * coarse.lattice.pixel_size
    fine = gj.RegionGeom.create(region, psf)
    assert fine.fitted(psf) is fine
