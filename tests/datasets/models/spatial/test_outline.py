"""Models as regions and regions as models."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion, EllipseSkyRegion, PointSkyRegion, RectangleSkyRegion

import gammajax as gj

CENTER = SkyCoord(83.63, 22.01, unit="deg")
GALACTIC = {"lon_0": 184.56, "lat_0": -5.78, "frame": "galactic"}


def wcs_around(center):
    return gj.SkyGeom.create(center.icrs, 0.005, npix=401).wcs


def test_a_gaussian_is_1_over_e_to_the_half_on_its_outline():
    """On the ellipse at n sigma the profile is exp(-n^2 / 2) of the middle, whatever frame and angle."""
    model = gj.GaussianSpatialModel(sigma=0.3, e=0.7, phi=30.0, **GALACTIC)
    for n in (1.0, 2.0):
        region = model.to_region(n)
        middle = region.center.galactic
        # along the major axis: at the position angle phi in the frame of the model
        tip = middle.directional_offset_by(region.angle, region.height / 2)
        side = middle.directional_offset_by(region.angle + 90 * u.deg, region.width / 2)
        top = float(model(middle.l, middle.b).value)
        for at in (tip, side):
            assert float(model(at.l, at.b).value) / top == pytest.approx(np.exp(-(n**2) / 2), rel=1e-4)


def test_disks_fill_their_regions():
    disk = gj.DiskSpatialModel(lon_0=83.63, lat_0=22.01, r_0=0.5, e=0.8, phi=-40.0, edge_width=0.001)
    region, wcs = disk.to_region(), wcs_around(CENTER)
    geom = gj.SkyGeom.from_wcs(wcs, (401, 401))
    inside = geom.region_mask(region)
    shines = np.asarray(disk.evaluate(geom.pixel_to_vector(*geom.pixel_grid))) > 0.5 * float(disk(83.63, 22.01))
    # but for pixels on the rim
    assert np.mean(inside != shines) < 1e-3 and inside.sum() > 10000


@pytest.mark.parametrize("frame", ["icrs", "galactic", "fk5"])
def test_disks_of_regions_and_back(frame):
    center = CENTER.transform_to(frame)
    tall = EllipseSkyRegion(center, height=0.8 * u.deg, width=0.5 * u.deg, angle=25 * u.deg)
    wide = EllipseSkyRegion(center, height=0.5 * u.deg, width=0.8 * u.deg, angle=115 * u.deg)
    wcs = wcs_around(CENTER)
    masks = []
    for region in (tall, wide):
        disk = gj.DiskSpatialModel.from_region(region, edge_width=0.02)
        assert float(disk.r_0.value) == pytest.approx(0.4, rel=1e-5)
        assert float(disk.e.value) == pytest.approx(np.sqrt(1 - (5 / 8) ** 2), rel=1e-5)
        assert disk.e.frozen and float(disk.edge_width.value) == 0.02 and -180 <= float(disk.phi.value) <= 180
        geom = gj.SkyGeom.from_wcs(wcs, (401, 401))
        masks += [geom.region_mask(region), geom.region_mask(disk.to_region())]
    assert all(np.mean(mask != masks[0]) < 2e-4 for mask in masks)


def test_circles():
    disk = gj.DiskSpatialModel.from_region(CircleSkyRegion(CENTER, 0.3 * u.deg))
    assert float(disk.r_0.value) == pytest.approx(0.3, rel=1e-12) and float(disk.e.value) == 0
    with pytest.raises(gj.InputError, match="found PointSkyRegion, expected a CircleSkyRegion"):
        gj.DiskSpatialModel.from_region(PointSkyRegion(CENTER))


def test_other_outlines():
    assert gj.PointSpatialModel(**GALACTIC).to_region().center.separation(CENTER) < 0.1 * u.deg
    ring = gj.ShellSpatialModel(radius=0.4, width=0.1, **GALACTIC).to_region(2.0)
    assert (ring.inner_radius, ring.outer_radius) == (0.8 * u.deg, 1.0 * u.deg)
    second = gj.Shell2SpatialModel(r_0=0.5, eta=0.2)
    assert (
        second.to_region().inner_radius.value == pytest.approx(0.4) and second.to_region().outer_radius == 0.5 * u.deg
    )
    assert second.r_in.to_value("deg") == pytest.approx(0.4)
    assert isinstance(gj.ConstantSpatialModel().to_region(), RectangleSkyRegion)
    geom = gj.SkyGeom.create(CENTER, 0.1, npix=(30, 20))
    box = gj.TemplateSpatialModel(np.ones((20, 30)), geom).to_region()
    assert (box.width.value, box.height.value) == (pytest.approx(3.0), pytest.approx(2.0))
    assert box.center.separation(CENTER) < 1e-6 * u.deg
