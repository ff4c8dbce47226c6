"""Shares of sources in a region against closed forms."""

import astropy.units as u
import numpy as np
import pytest
import regions
from cases import regions as cases

import gammajax as gj
from gammajax.datasets.region import RegionGeom

pytestmark = pytest.mark.slow

CENTER, SIGMA, beside, dataset, in_circle, source = (
    getattr(cases, name) for name in ("CENTER", "SIGMA", "beside", "dataset", "in_circle", "source")
)


@pytest.fixture(scope="module")
def circle():
    return dataset()


def share(dataset, spatial, **fields):
    return np.asarray(dataset.contained_share(source(spatial, **fields)))


@pytest.mark.parametrize("offset", [0, 0.07, 0.12, 0.2, 0.35, 2.0])
def test_point(circle, offset):
    wanted = in_circle(SIGMA, offset)
    if offset == 0:
        np.testing.assert_allclose(wanted, 1 - np.exp(-(cases.RADIUS**2) / (2 * SIGMA**2)), rtol=1e-12)
    # the table of the PSF, linear between its radii, is a Gaussian to 1e-5
    np.testing.assert_allclose(share(circle, gj.PointSpatialModel(**beside(offset))), wanted, rtol=0, atol=3e-5)


@pytest.mark.parametrize("width", [0.002, 0.06, 0.3])
@pytest.mark.parametrize("offset", [0.0, 0.15])
def test_gaussian(circle, width, offset):
    found = share(circle, gj.GaussianSpatialModel(sigma=width, **beside(offset)))
    np.testing.assert_allclose(found, in_circle(np.hypot(SIGMA, width), offset), rtol=0, atol=3e-5)


def test_disk(circle):
    """The mean of points all over it."""
    offset, radius, n = 0.08, 0.1, 24
    r = radius * np.sqrt((np.arange(n) + 0.5) / n)
    angle = 2 * np.pi * np.arange(16) / 16
    at = np.sqrt(r[:, None] ** 2 + offset**2 - 2 * r[:, None] * offset * np.cos(angle))
    wanted = [in_circle(s, at).mean() for s in SIGMA]
    disk = gj.DiskSpatialModel(r_0=radius, edge_width=0.002, **beside(offset))
    np.testing.assert_allclose(share(circle, disk), wanted, rtol=0, atol=3e-4)


def test_wide_sources(circle):
    """Much wider than the region: its brightness in the middle times the solid angle."""
    found = share(circle, gj.DiskSpatialModel(r_0=3.0, **beside(0.1)))
    np.testing.assert_allclose(found, (cases.RADIUS / 3) ** 2, rtol=1e-3)
    found = share(circle, gj.GaussianSpatialModel(sigma=2.0, **beside(0.1)))
    np.testing.assert_allclose(found, in_circle(np.hypot(2.0, SIGMA), 0.1), rtol=2e-4)


def test_everywhere_the_same(circle):
    """A brightness of 1 / sr: the solid angle of the region, whatever the PSF is."""
    found = share(circle, gj.ConstantSpatialModel(value=1.0))
    np.testing.assert_allclose(found, np.pi * np.radians(cases.RADIUS) ** 2, rtol=2e-5)


def test_other_regions():
    """A union of two circles contains the sum; an annulus the difference."""
    other = regions.CircleSkyRegion(CENTER.directional_offset_by(90 * u.deg, 0.4 * u.deg), 0.1 * u.deg)
    at = gj.PointSpatialModel(**beside(0.2, 90.0))
    wanted = in_circle(SIGMA, 0.2) + in_circle(SIGMA, 0.2, 0.1)
    np.testing.assert_allclose(share(dataset(cases.CIRCLE | other), at), wanted, rtol=0, atol=1e-4)
    annulus = regions.CircleAnnulusSkyRegion(CENTER, 0.1 * u.deg, 0.2 * u.deg)
    wanted = in_circle(SIGMA, 0.2, 0.2) - in_circle(SIGMA, 0.2, 0.1)
    np.testing.assert_allclose(share(dataset(annulus), at), wanted, rtol=0, atol=3e-5)


def test_perfect_psf(circle):
    """Without a PSF the share is what lies inside: of a Gaussian twice over, and of a point all or nothing."""
    sharp = dataset(psf=None)
    gauss = gj.GaussianSpatialModel(sigma=0.1, **beside(0.05))
    np.testing.assert_allclose(share(sharp, gauss), in_circle(0.1, 0.05), rtol=2e-4)
    switched = share(circle, gauss, apply_irf={"psf": False})
    np.testing.assert_allclose(switched, in_circle(0.1, 0.05), rtol=4e-3)
    for other, switch in ((sharp, {}), (circle, {"apply_irf": {"psf": False}})):
        found = [share(other, gj.PointSpatialModel(**beside(r)), **switch)[0] for r in (0.0, 0.05, 0.08, 0.17)]
        assert found == [1, 1, 1, 0]


def test_psf_in_reconstructed_energy(circle):
    """One share for each reconstructed bin, after the energy dispersion."""
    centres = np.sqrt(cases.RECO[:-1] * cases.RECO[1:])
    width = np.array([0.09, 0.05])
    table = gj.PSFMap.from_gauss(centres, width, rad=np.arange(0, 0.5, 0.001))
    reco = dataset(psf=gj.RecoPSFMap(None, table.energy, table.rad, table.rad_edges, table.values))
    point = gj.PointSpatialModel(**beside(0.05))
    np.testing.assert_allclose(share(reco, point), in_circle(width, 0.05), rtol=0, atol=3e-5)
    whole = np.asarray(gj.npred_signal(reco, source()))
    np.testing.assert_allclose(gj.npred_signal(reco, source(point)), whole * in_circle(width, 0.05), rtol=1e-4)


def test_responses_at_the_source():
    """PSF and energy dispersion are those of the position of the source, on grids of them."""
    geom = gj.SkyGeom.create((83.63, 22.01), 0.4, npix=(2, 1))
    wide, narrow = (np.asarray(cases.gauss_psf(s).values)[..., 0, 0] for s in (0.1, 0.06))
    one = cases.gauss_psf(0.06)
    values = np.stack([wide, narrow], axis=-1)[:, :, None]
    at = [geom.pixel_to_vector(x, 0.0) for x in (0.0, 1.0)]
    found = dataset(psf=gj.PSFMap(geom, one.energy, one.rad, one.rad_edges, values))
    assert found.varies and not dataset().varies
    for vector, width in zip(at, (0.1, 0.06), strict=True):
        lon, lat = np.degrees(np.arctan2(vector[1], vector[0])), np.degrees(np.arcsin(vector[2]))
        wanted = in_circle(width, 0.2)
        point = gj.PointSpatialModel(lon_0=lon, lat_0=lat)
        np.testing.assert_allclose(share(found, point), wanted, rtol=0, atol=1e-4)


def test_without_a_spatial_part_all_is_contained(circle):
    np.testing.assert_array_equal(share(circle, None), 1)
    spectrum = circle.to_spectrum_dataset()
    np.testing.assert_allclose(gj.npred(circle, source()), gj.npred(spectrum, source()), rtol=1e-13)


def test_flux_per_pixel_is_refused(circle):
    with pytest.raises(gj.InputError, match="is a flux in every pixel, and a region has none"):
        share(circle, gj.ConstantFluxSpatialModel())


def test_lattice_is_fine_enough(circle):
    """Half its steps give the same."""
    finer = RegionGeom.create(cases.CIRCLE, step=circle.region.lattice.pixel_size / 2, reach=circle.region.reach)
    at = gj.PointSpatialModel(**beside(0.1))
    np.testing.assert_allclose(share(circle, at), share(circle.replace(region=finer), at), rtol=0, atol=1e-6)
