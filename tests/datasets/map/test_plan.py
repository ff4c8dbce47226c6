"""How images of sources are made: the choice of sizes, and that the ways agree."""

import importlib

import numpy as np
import pytest
from astropy import units as u
from scipy.special import erf

import gammajax as gj
from gammajax.datasets.map import plan
from gammajax.datasets.sky import SkyGeom
from gammajax.kernels import fast_size

pytestmark = pytest.mark.slow

TRUE = np.geomspace(0.5, 20, 4)


def dataset(npix=40, psf=0.08, binsz=0.05):
    geom = SkyGeom.create((83.63, 22.01), binsz=binsz, npix=npix)
    return gj.MapDataset(
        geom=geom,
        energy_edges=TRUE,
        energy_true_edges=TRUE,
        exposure=1e13 * np.ones((3, *geom.shape)),
        psf=None if psf is None else gj.PSFMap.from_gauss([0.5, 5, 20], [1.4 * psf, psf, 0.8 * psf]),
        background=np.ones((3, *geom.shape)),
        counts=np.ones((3, *geom.shape)),
    )


def source(lon=83.63, lat=22.01, **spatial):
    spectral = gj.PowerLawSpectralModel(amplitude=1e-11)
    return gj.SkyModel(spectral, name="s", spatial=gj.GaussianSpatialModel(lon_0=lon, lat_0=lat, **spatial))


def test_fast_sizes():
    assert [fast_size(n) for n in (1, 2, 7, 11, 13, 59, 121)] == [2, 2, 8, 12, 16, 60, 128]


def test_gaussians_by_their_transform():
    """Where the image is straight over them; with as few frequencies as their width allows."""
    wide, narrow = plan(dataset(), source(sigma=0.2)), plan(dataset(), source(sigma=0.01))
    assert (wide.scheme, narrow.scheme) == ("fourier", "fourier") and wide.s < narrow.s
    assert plan(dataset(), source(sigma=0.2, e=0.5)).s == narrow.s
    assert plan(dataset(psf=None), source(sigma=0.2)).scheme == "fourier"
    # too narrow to be shown, and a map that bends
    assert plan(dataset(psf=None), source(sigma=0.002)).scheme == "gauss"
    assert plan(dataset(binsz=0.5), source(sigma=2.0)).scheme == "gauss"
    assert plan(dataset().replace(source_grid="pixel"), source(sigma=0.2)).scheme == "pixel"
    # a window as large as the map is the map
    assert plan(dataset(), source(sigma=0.6)).shape == (40, 40)


CASES = {
    "narrow": ({"sigma": 0.03}, {}),
    "wide": ({"sigma": 0.11, "lon": 83.9, "lat": 22.3}, {}),
    "elongated": ({"sigma": 0.15, "e": 0.8, "phi": 35 * u.deg}, {}),
    "galactic": ({"sigma": 0.15, "e": 0.8, "phi": 35 * u.deg, "lon": 184.55, "lat": -5.78, "frame": "galactic"}, {}),
    "beside the map": ({"sigma": 0.15, "lon": 84.9}, {}),
    "wider than the map": ({"sigma": 0.5, "lon": 83.2}, {}),
}


def test_without_a_psf():
    """Error functions: the lattice would blur it by a quarter of a pixel."""
    data, model = dataset(psf=None), source(sigma=0.1)
    x, y = (float(c) for c in data.geom.vector_to_pixel(np.asarray(model.spatial.center_vector)))
    lines = [np.diff(erf((np.arange(41) - 0.5 - c) / np.sqrt(2) / 2)) / 2 for c in (y, x)]
    wanted = lines[0][:, None] * lines[1]
    found = np.asarray(gj.npred_signal(data, model))
    assert np.all(np.abs(found / found.sum((1, 2), keepdims=True) - wanted) < 1e-6 * wanted.max())


@pytest.mark.parametrize("case", CASES)
def test_the_ways_agree(case, monkeypatch):
    """Transforms against the lattice, which knows that the sky is bent."""
    spatial, changes = CASES[case]
    data, model = dataset(**changes), source(**spatial)
    assert plan(data, model).scheme == "fourier"
    found = np.asarray(gj.npred_signal(data, model))
    monkeypatch.setattr(importlib.import_module("gammajax.datasets.map.plan"), "STRAIGHT", 0.0)
    assert plan(data, model).scheme == "gauss"
    wanted = np.asarray(gj.npred_signal(data, model))
    assert wanted.max() > 1e-3
    assert np.abs(found - wanted).max() < 4e-4 * wanted.max()
