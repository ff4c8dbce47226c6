"""A small dataset of a circle with a Gaussian PSF, for the tests of region datasets, and its analytic containment."""

import astropy.units as u
import numpy as np
import regions
from astropy.coordinates import SkyCoord
from scipy.stats import ncx2

import gammajax as gj

CENTER = SkyCoord(83.63, 22.01, unit="deg")
RADIUS = 0.12
TRUE, RECO = np.geomspace(0.5, 20, 4), np.geomspace(0.7, 15, 3)
SIGMA = np.array([0.08, 0.06, 0.05])
CIRCLE = regions.CircleSkyRegion(CENTER, RADIUS * u.deg)


def gauss_psf(sigma=SIGMA, **fields):
    return gj.PSFMap.from_gauss(np.sqrt(TRUE[:-1] * TRUE[1:]), sigma, rad=np.arange(0, 0.5, 0.001), **fields)


PSF = gauss_psf()


def dataset(region=CIRCLE, **fields):
    given = {
        "energy_true_edges": TRUE,
        "exposure": 4e14 * np.array([1.0, 1.5, 2.0]),
        "psf": PSF,
        "edisp": gj.EDispKernel.from_gauss(TRUE, RECO, 0.12),
        "background": np.array([30.0, 10.0]),
        "counts": np.array([100.0, 30.0]),
    }
    return gj.RegionMapDataset(region, RECO, **(given | fields))


def beside(offset, angle=40.0):
    """Right ascension and declination ``offset`` deg from the centre."""
    at = CENTER.directional_offset_by(angle * u.deg, offset * u.deg)
    return {"lon_0": at.ra.deg, "lat_0": at.dec.deg}


def source(spatial=None, amplitude=4e-11, index=2.3, **fields):
    spectral = gj.PowerLawSpectralModel(index=index, amplitude=amplitude)
    return gj.SkyModel(spectral, **({"name": "source"} | fields), spatial=spatial)


def in_circle(width, offset=0.0, radius=RADIUS):
    """Share of a round Gaussian of ``width`` at an ``offset`` from the middle of a circle: a Rice distribution."""
    return ncx2.cdf((radius / width) ** 2, 2, (offset / width) ** 2)
