"""Region datasets as datasets: what they are made of, reshaping, summaries, simulation."""

import jax
import numpy as np
import pytest
from cases import regions as cases

import gammajax as gj
from gammajax.kernels import lonlat_to_vector

pytestmark = pytest.mark.slow

CIRCLE, RECO, TRUE, beside, dataset, source = (
    getattr(cases, name) for name in ("CIRCLE", "RECO", "TRUE", "beside", "dataset", "source")
)
POINT = source(gj.PointSpatialModel(**beside(0.1)))


@pytest.fixture(scope="module")
def circle():
    return dataset(mask_safe=np.array([True, True]), gti=gj.GTI([0], [100.0]), livetime=90.0)


def test_what_it_is(circle):
    assert circle.stat_type == "cash" and circle.data_shape == (2,) and circle.pixels == ()
    np.testing.assert_array_equal(circle.excess, [70, 20])
    other = circle.replace(counts=np.ones(2))
    assert other.region is circle.region
    same = gj.RegionMapDataset(circle.region, RECO, TRUE, psf=cases.PSF)
    assert same.region is circle.region


def test_energies(circle):
    """Sums of bins predict the sums; a range of bins predicts the same."""
    npred = np.asarray(gj.npred(circle, POINT))
    np.testing.assert_allclose(gj.npred(circle.to_image(), POINT), npred.sum(keepdims=True), rtol=1e-12)
    matrices = circle.replace(edisp=gj.EDispKernelMap.from_kernel(circle.edisp))
    half = matrices.replace(mask_safe=np.array([False, True]))
    np.testing.assert_allclose(gj.npred_signal(half.to_image(), POINT), gj.npred_signal(circle, POINT)[1:], rtol=1e-12)
    assert half.to_masked().counts.tolist() == [0, 30]
    np.testing.assert_allclose(gj.npred(circle.slice_by_idx(energy=slice(1, 2)), POINT), npred[1:], rtol=1e-12)
    assert circle.slice_by_energy(RECO[1], RECO[2]).counts.tolist() == [30]
    assert circle.with_mask_fit(energy_min=RECO[1]).mask.tolist() == [False, True]
    with pytest.raises(gj.InputError, match="axis_name is None, expected 'energy' for a RegionMapDataset"):
        circle.downsample(2)


def test_as_a_spectrum(circle):
    """With the share of a source in the exposure the spectrum predicts the same."""
    spectrum = circle.to_spectrum_dataset(POINT)
    np.testing.assert_allclose(gj.npred(spectrum, POINT), gj.npred(circle, POINT), rtol=1e-12)
    assert "region" in spectrum.meta and spectrum.livetime == 90
    np.testing.assert_array_equal(circle.to_spectrum_dataset().exposure, circle.exposure)


def test_summaries(circle):
    info = gj.info_dict(circle, "circle", POINT)
    assert info["type"] == "RegionMapDataset" and info["counts"] == 130 and info["n_fit_bins"] == 2
    assert info["npred"] == pytest.approx(float(np.sum(gj.npred(circle, POINT))))
    assert len(gj.info_table({"a": circle, "b": circle}, cumulative=True)) == 2


def test_simulated(circle):
    expected = np.asarray(gj.npred(circle, POINT))
    drawn = np.asarray(gj.fake(jax.random.key(0), circle, POINT).counts)
    np.testing.assert_array_less(np.abs(drawn - expected), 5 * np.sqrt(expected))
    np.testing.assert_allclose(gj.asimov(circle, POINT).counts, expected)


def test_events(circle):
    """As many as predicted; and of events with directions those inside the region are counted."""
    expected = np.asarray(gj.npred(circle, POINT))
    events = gj.sample_events(jax.random.key(1), circle, POINT)
    counts = np.asarray(gj.bin_events(events, circle).counts)
    np.testing.assert_array_less(np.abs(counts - expected), 5 * np.sqrt(expected))
    lon, lat = np.array([[83.63, 22.01], [83.63, 22.2], [263.6, -22.0]]).T
    seen = gj.EventList(energy=[1.0, 1.0, 1.0], time=[0.0, 1.0, 2.0], lon=lon, lat=lat, gti=circle.gti)
    assert circle.region.contains(lonlat_to_vector(lon, lat)).tolist() == [True, False, False]
    assert np.sum(gj.bin_events(seen, circle).counts) == 1


def test_errors():
    kernel = gj.PSFKernel.from_gauss(gj.SkyGeom.create((83.6, 22), 0.02, npix=9), TRUE, 0.03)
    with pytest.raises(gj.InputError, match="a PSFKernel is made for the pixels of a map, and a region has none"):
        dataset(psf=kernel)
    with pytest.raises(gj.InputError, match="psf must be a PSFMap or RecoPSFMap, found str"):
        dataset(psf="gauss")
    with pytest.raises(gj.InputError, match="edisp must be an EDispKernel, EDispKernelMap or EDispMap, found ndarray"):
        dataset(edisp=np.eye(3))
    with pytest.raises(gj.InputError, match=r"edisp has shape \(3, 3\), expected \(3, 2\)"):
        dataset(edisp=gj.EDispKernel(np.eye(3)))
    with pytest.raises(gj.InputError, match="the true energies of edisp"):
        dataset(edisp=gj.EDispMap.from_gauss(2 * TRUE, np.linspace(0.2, 3, 9), 0.1))
    with pytest.raises(gj.InputError, match=r"counts has shape \(3,\), expected \(2,\), one per energy bin"):
        dataset(counts=np.ones(3))
    with pytest.raises(gj.InputError, match="PointSkyRegion has no area"):
        import regions

        dataset(regions.PointSkyRegion(cases.CENTER))
    reco = gj.PSFMap.from_gauss(np.sqrt(RECO[1:] * RECO[:-1]), 0.05)
    with pytest.raises(gj.InputError, match="the PSF is in reconstructed energy"):
        dataset(psf=gj.RecoPSFMap(None, reco.energy, reco.rad, reco.rad_edges, reco.values)).to_spectrum_dataset(POINT)
