"""Sources where an image of the whole sky is torn or stretched: a part of their counts is missing, and it is said."""

import warnings

import numpy as np
import pytest
from astropy.wcs import WCS

import gammajax as gj

PL = gj.PowerLawSpectralModel(amplitude=1e-12, index=2)


def sky(projection="CAR", step=1.0, npix=(360, 180), crval=(0, 0), middle=None):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"GLON-{projection}", f"GLAT-{projection}"]
    wcs.wcs.crval, wcs.wcs.cdelt = crval, [-step, step]
    wcs.wcs.crpix = [(npix[0] + 1) / 2, (npix[1] + 1) / 2] if middle is None else middle
    shape = npix[::-1]
    return gj.MapDataset(
        gj.SkyGeom.from_wcs(wcs, shape),
        [1, 2],
        counts=np.zeros((1, *shape)),
        exposure=np.full((1, *shape), 1e12),
        psf=gj.PSFMap.from_gauss([1.0, 2.0], 1.0),
    )


def source(lon, lat, sigma=None):
    place = {"lon_0": lon, "lat_0": lat, "frame": "galactic"}
    spatial = gj.PointSpatialModel(**place) if sigma is None else gj.GaussianSpatialModel(sigma=sigma, **place)
    return gj.SkyModel(PL, name="s", spatial=spatial)


def share(dataset, model):
    """Of the events that the spectrum predicts, those that are on the map."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(np.sum(gj.npred_signal(dataset, model))) / 0.5


@pytest.mark.parametrize(
    ("projection", "lon", "lat", "sigma"),
    [("CAR", 180, 0, None), ("CAR", 179, 10, None), ("CAR", 40, 89, None), ("CAR", 40, 80, 4), ("CAR", 180, 0, 3)],
)
def test_missing_counts_are_said(projection, lon, lat, sigma):
    dataset, model = sky(projection), source(lon, lat, sigma)
    assert share(dataset, model) < 0.9
    with pytest.warns(UserWarning, match="model 's' reaches across a seam of the map"):
        gj.npred(dataset, model)


@pytest.mark.parametrize(
    ("projection", "lon", "lat", "sigma"),
    [("CAR", 170, 0, None), ("CAR", 40, 70, None), ("CAR", 0, 45, 4), ("AIT", 60, 30, None)],
)
def test_whole_sources_are_not(projection, lon, lat, sigma):
    dataset, model = sky(projection), source(lon, lat, sigma)
    gj.npred(dataset, model)
    assert share(dataset, model) == pytest.approx(1, abs=2e-3)


@pytest.mark.filterwarnings("ignore:MapDataset. model 's' reaches")
@pytest.mark.parametrize(("lat", "bend"), [(62, 0.01), (70, 0.04)])
def test_gaussians_where_the_projection_stretches(lat, bend):
    """Far from the equator of a CAR image: the Gaussian of both widths, as a formula, up to the bend of the map over
    the PSF. (It was 2 to 1e17 times that.)"""
    dataset = sky(step=0.1, npix=(300, 120), middle=(150.5, 60.5 - lat / 0.1))
    dataset = dataset.replace(psf=gj.PSFMap.from_gauss([1.0, 2.0], 0.4))
    got = np.asarray(gj.npred_signal(dataset, source(0.02, lat + 0.03, 0.5)))[0] / 0.5
    vectors = dataset.geom.pixel_to_vector(*dataset.geom.pixel_grid)
    middle = source(0.02, lat + 0.03).spatial.center_vector
    distance = 2 * np.arcsin(np.linalg.norm(vectors - np.asarray(middle), axis=-1) / 2)
    width = np.deg2rad(np.hypot(0.4, 0.5))
    right = np.exp(-((distance / width) ** 2) / 2) / (2 * np.pi * width**2) * dataset.geom.solid_angle
    np.testing.assert_allclose(got, right, atol=bend * right.max())
    assert got.sum() == pytest.approx(right.sum(), rel=2e-2)


def test_a_seam_inside_an_image():
    """Of an AIT image, whose corners show no sky: nothing is predicted on the other side."""
    with pytest.warns(UserWarning, match="seam"):
        gj.npred(sky("AIT"), source(180, 10))


def test_maps_beside_a_seam_are_whole():
    """CAR goes on beyond 180 deg of native longitude, where the map does not show both sides."""
    dataset = sky(step=0.5, npix=(40, 40), crval=(0, 0), middle=(380.0, 20.0))
    model = source(180, 0)
    assert share(dataset, model) == pytest.approx(1, abs=2e-3)
    gj.npred(dataset, model)
