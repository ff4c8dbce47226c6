"""Sums of datasets of one region."""

import astropy.units as u
import numpy as np
import pytest
import regions
from cases import regions as cases

import gammajax as gj

dataset = cases.dataset
POINT = cases.source(gj.PointSpatialModel(**cases.beside(0.05)))


def test_sums_predict_the_sum():
    """Of datasets with other PSFs and exposures, the energy dispersion being the same."""
    first = dataset(livetime=10.0)
    # the same circle made anew
    again = regions.CircleSkyRegion(cases.CENTER.galactic, cases.RADIUS * u.deg)
    second = dataset(again, exposure=9e14 * np.ones(3), psf=cases.gauss_psf(0.05), livetime=20.0)
    total = first.stack(second)
    assert type(total) is gj.RegionMapDataset and total.livetime == 30
    np.testing.assert_array_equal(total.counts, 2 * first.counts)
    np.testing.assert_array_equal(total.exposure, first.exposure + second.exposure)
    wanted = np.asarray(gj.npred(first, POINT)) + np.asarray(gj.npred(second, POINT))
    np.testing.assert_allclose(gj.npred(total, POINT), wanted, rtol=3e-6)


def test_masks_and_equal_responses():
    safe = dataset(mask_safe=np.array([False, True]))
    total = gj.stack([dataset(), safe])
    np.testing.assert_array_equal(total.counts, [100, 60])
    assert total.psf is cases.PSF and total.mask_safe.tolist() == [True, True]
    # what the masked bin of the one lost is in its energy dispersion
    wanted = np.asarray(gj.npred(dataset(), POINT)) * [1, 2]
    np.testing.assert_allclose(gj.npred(total, POINT), wanted, rtol=1e-12)
    assert gj.stack([safe]).edisp is safe.edisp


def test_errors():
    other = regions.CircleSkyRegion(cases.CENTER, 0.13 * u.deg)
    with pytest.raises(gj.InputError, match="dataset 'b' is of another region than 'a'"):
        gj.stack({"a": dataset(), "b": dataset(other)})
    with pytest.raises(gj.InputError, match="psf: found none in dataset 'b' and a PSFMap in 'a'"):
        gj.stack({"a": dataset(), "b": dataset(psf=None)})
    centres = np.sqrt(cases.RECO[1:] * cases.RECO[:-1])
    tables = [gj.PSFMap.from_gauss(centres, s) for s in (0.05, 0.06)]
    reco = [gj.RecoPSFMap(None, t.energy, t.rad, t.rad_edges, t.values) for t in tables]
    with pytest.raises(gj.InputError, match="different PSFs in reconstructed energy"):
        gj.stack([dataset(psf=psf) for psf in reco])
    rad = gj.PSFMap.from_gauss(cases.PSF.energy, 0.05, rad=np.arange(0, 0.5, 0.01))
    with pytest.raises(gj.InputError, match=r"rad of the PSF \(deg\)"):
        gj.stack([dataset(), dataset(psf=rad)])
    with pytest.raises(gj.InputError, match="geom is for maps only"):
        gj.stack([dataset()], geom=gj.SkyGeom.create((83.6, 22), 0.1, npix=4))
