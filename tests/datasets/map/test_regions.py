"""Spectra of regions, summed from maps."""

import astropy.units as u
import numpy as np
import pytest
import regions
from astropy.coordinates import SkyCoord
from cases import maps as map_cases
from cases import reshape as reshape_cases

import gammajax as gj
from gammajax.datasets import InputError, Meta

pytestmark = pytest.mark.slow

small_map, unit_vector = (map_cases.small_map, map_cases.unit_vector)
GEOM, RECO, TRUE, dataset = (reshape_cases.GEOM, reshape_cases.RECO, reshape_cases.TRUE, reshape_cases.dataset)


CENTER = GEOM.wcs.pixel_to_world(7.0, 4.0)
CIRCLE = regions.CircleSkyRegion(CENTER, 0.16 * u.deg)
MAPS = ("MapDataset", "MapDatasetOnOff")


def inside(region=CIRCLE):
    x, y = np.meshgrid(np.arange(12), np.arange(8))
    return GEOM.wcs.pixel_to_world(x, y).separation(CENTER) < 0.16 * u.deg


@pytest.mark.parametrize("tag", MAPS)
def test_sums(tag):
    before = dataset(tag, mask_fit=None)
    spectrum = before.to_spectrum_dataset(CIRCLE)
    here, safe = inside(), np.asarray(before.mask_safe)
    assert here.sum() == 9 and isinstance(spectrum, getattr(gj, tag.replace("Map", "Spectrum")))
    np.testing.assert_array_equal(spectrum.energy_edges, RECO)
    np.testing.assert_array_equal(spectrum.energy_true_edges, TRUE)
    np.testing.assert_array_equal(spectrum.counts, (before.counts * safe)[:, here].sum(1))
    np.testing.assert_allclose(spectrum.background, (before.background * safe)[:, here].sum(1), rtol=1e-14)
    np.testing.assert_allclose(spectrum.exposure, np.asarray(before.exposure)[:, here].mean(1), rtol=1e-15)
    assert spectrum.mask_safe.tolist() == [False, True, True, False, True, True] and spectrum.mask_fit is None
    # the middle lies in the third column and the second row of the responses
    np.testing.assert_array_equal(spectrum.edisp.matrix, np.asarray(before.edisp.values)[:, :, 1, 2])
    assert (spectrum.livetime, spectrum.gti, spectrum.nodes) == (before.livetime, before.gti, before.nodes)
    assert spectrum.meta["OBS_ID"] == 23523 and "region" not in before.meta
    if tag == "MapDatasetOnOff":
        np.testing.assert_array_equal(spectrum.counts_off, (before.counts_off * safe)[:, here].sum(1))
        wanted = np.where(spectrum.mask_safe, np.asarray(before.acceptance)[:, here].mean(1), 0)
        np.testing.assert_allclose(spectrum.acceptance, wanted, rtol=1e-14)


def test_energy_dispersion_of_other_kinds():
    migra = gj.EDispMap.from_gauss(TRUE, np.linspace(0.2, 3, 60), 0.15)
    found = dataset(edisp=migra, mask_fit=None).to_spectrum_dataset(CIRCLE).edisp.matrix
    np.testing.assert_allclose(found, np.asarray(migra.to_kernel_map(RECO).values)[..., 0, 0], rtol=1e-12)
    assert dataset(edisp=None, mask_fit=None).to_spectrum_dataset(CIRCLE).edisp is None


def test_nothing_is_contained_more_than_wholly():
    energy = np.array([1.0])
    psf = gj.PSFMap.from_gauss(energy, 0.1, rad=np.arange(0, 0.66, 0.01))
    for radius in (0.65, 5.0):
        np.testing.assert_allclose(psf.containment(radius, energy), 1, rtol=1e-14)
        assert psf.containment(radius, energy) <= 1
    empty = gj.PSFMap(None, energy, psf.rad, psf.rad_edges, np.zeros((1, 65, 1, 1)))
    assert empty.containment(0.1, energy) == 0


def test_containment_correction():
    before = dataset(mask_fit=None)
    plain, corrected = (before.to_spectrum_dataset(CIRCLE, correct) for correct in (False, True))
    share = corrected.exposure / plain.exposure
    np.testing.assert_allclose(share, 1 - np.exp(-0.5 * 1.6**2), rtol=1e-4)
    centres = np.sqrt(TRUE[1:] * TRUE[:-1])
    np.testing.assert_allclose(share, before.psf.containment(0.16, centres, CENTER)[:, 0], rtol=1e-12)
    square = regions.RectangleSkyRegion(CENTER, 0.3 * u.deg, 0.3 * u.deg)
    with pytest.raises(InputError, match="containment_correction is for a CircleSkyRegion, found RectangleSkyRegion"):
        before.to_spectrum_dataset(square, containment_correction=True)
    for psf, text in (
        (None, "no point spread function"),
        (gj.PSFKernel(np.ones((7, 3, 3))), "a PSFKernel"),
        (gj.RecoPSFMap.from_gauss(RECO[1:], 0.1), "a RecoPSFMap"),
    ):
        with pytest.raises(InputError, match=f"needs a PSFMap in true energy, the dataset has {text}"):
            before.replace(psf=psf).to_spectrum_dataset(CIRCLE, containment_correction=True)


def test_shares_are_those_of_the_map():
    """The events that a map predicts inside a circle are those that its spectrum predicts.

    Of pixels on the border their part inside counts, as if their events were spread evenly. They are denser inside:
    with density P at radius R and pixels h that misses 2 pi R |dP/dR| h^2 / 12, 0.4 per cent here.
    """
    before = small_map(n=40, binsz=0.02, n_energy=2, center=(83.63, 22.01), edisp=None)
    before = before.replace(exposure=np.full((3, 40, 40), 1e13))
    spot = gj.SkyModel(
        gj.PowerLawSpectralModel(index=2.3, amplitude=4e-11),
        spatial=gj.PointSpatialModel(lon_0=83.63, lat_0=22.01),
        name="source",
    )
    circle = regions.CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 0.13 * u.deg)
    spectrum = before.to_spectrum_dataset(circle, containment_correction=True)
    x, y = np.meshgrid(*2 * [(np.arange(400) - 4.5) / 10])
    near = np.asarray(before.geom.pixel_to_vector(x, y)) @ unit_vector(83.63, 22.01) > np.cos(np.radians(0.13))
    share = near.reshape(40, 10, 40, 10).mean((1, 3))
    mine = (np.asarray(gj.npred_signal(before, gj.Models([spot]))) * share).sum((1, 2))
    theirs = np.asarray(gj.npred_signal(spectrum, gj.Models([spot])))
    np.testing.assert_allclose(theirs, mine, rtol=7e-3)


def test_regions_without_a_middle_and_of_pixels():
    before = dataset(mask_fit=None)
    corners = GEOM.wcs.pixel_to_world([5.5, 8.5, 8.5, 5.5], [2.5, 2.5, 5.5, 5.5])
    for region in (
        regions.PolygonSkyRegion(corners),
        regions.RectanglePixelRegion(regions.PixCoord(7.0, 4.0), 2.8, 2.8),
        regions.RectangleSkyRegion(CENTER, 0.28 * u.deg, 0.28 * u.deg),
    ):
        spectrum = before.to_spectrum_dataset(region)
        np.testing.assert_array_equal(
            spectrum.counts, (before.counts * np.asarray(before.mask_safe))[:, 3:6, 6:9].sum((1, 2))
        )
        np.testing.assert_array_equal(spectrum.edisp.matrix, np.asarray(before.edisp.values)[:, :, 1, 2])


@pytest.mark.parametrize("tag", MAPS)
def test_the_region_is_written_and_read(tag, tmp_path):
    spectrum = dataset(tag, mask_fit=None).to_spectrum_dataset(CIRCLE)
    spectrum.write(tmp_path / "spectrum.fits", **({"format": "gadf"} if tag == "MapDatasetOnOff" else {}))
    again = type(spectrum).read(tmp_path / "spectrum.fits")
    (column,) = [c for c in again.meta["region"]["columns"] if c["name"] == "R"]
    assert np.ravel(column["array"])[0] == pytest.approx(1.6, rel=1e-3)
    assert {k: v for k, v, _ in again.meta["region"]["cards"]}["CTYPE1"] == "RA---TAN"


def test_unions_are_kept_and_other_compounds_left_out():
    other = regions.CircleSkyRegion(GEOM.wcs.pixel_to_world(8.0, 4.0), 0.12 * u.deg)
    before = dataset(mask_fit=None)
    union = before.to_spectrum_dataset(CIRCLE | other)
    (column,) = [c for c in union.meta["region"]["columns"] if c["name"] == "R"]
    assert len(column["array"]) == 2
    both = before.to_spectrum_dataset(CIRCLE & other)
    assert "region" not in both.meta and both.counts.sum() < union.counts.sum()


def test_regions_that_cannot_be():
    before = dataset(mask_fit=None)
    far = SkyCoord(90.0, 22.0, unit="deg")
    for region in (regions.CircleSkyRegion(far, 0.2 * u.deg), regions.CircleSkyRegion(GEOM.center, 0.01 * u.deg)):
        with pytest.raises(InputError, match="the centre of no pixel is inside the region"):
            before.to_spectrum_dataset(region)
    with pytest.raises(InputError, match="the region is not wholly inside the image"):
        before.to_spectrum_dataset(regions.CircleSkyRegion(GEOM.wcs.pixel_to_world(1.0, 4.0), 0.2 * u.deg))
    with pytest.raises(InputError, match="not wholly inside"):
        before.to_spectrum_dataset(regions.CirclePixelRegion(regions.PixCoord(1.0, 4.0), 2.0))
    with pytest.raises(InputError, match=r"not the same all over the region: in energy bin 1 8 of 9 pixels"):
        before.to_spectrum_dataset(regions.CircleSkyRegion(GEOM.wcs.pixel_to_world(3.0, 3.0), 0.16 * u.deg))
    with pytest.raises(InputError, match="expected a region such as"):
        before.to_spectrum_dataset(far)
    # a mask for the fit counts too
    with pytest.raises(InputError, match="not the same all over the region"):
        dataset().to_spectrum_dataset(CIRCLE)


def test_datasets():
    maps = gj.Datasets({"a": dataset(mask_fit=None), "b": dataset("MapDatasetOnOff", mask_fit=None)})
    spectra = maps.to_spectrum_datasets(CIRCLE)
    assert spectra.names == ("a", "b")
    assert isinstance(spectra["a"], gj.SpectrumDataset) and isinstance(spectra["b"], gj.SpectrumDatasetOnOff)
    np.testing.assert_array_equal(spectra["a"].counts, maps["a"].to_spectrum_dataset(CIRCLE).counts)
    with pytest.raises(InputError, match=r"dataset 'a': SpectrumDataset is no map"):
        spectra.to_spectrum_datasets(CIRCLE)
    with pytest.raises(InputError, match=r"dataset 'b': to_spectrum_dataset: the centre of no pixel"):
        gj.Datasets({"b": maps["b"]}).to_spectrum_datasets(
            regions.CircleSkyRegion(SkyCoord(0, 0, unit="deg"), 0.1 * u.deg)
        )
    assert Meta({}).get("region") is None


def test_region_map_dataset():
    """Sums and exposure as those of a spectrum, with the responses of the middle of the region."""
    before = dataset("MapDataset", mask_fit=None)
    wanted = before.to_spectrum_dataset(CIRCLE)
    found = before.to_region_map_dataset(CIRCLE)
    assert type(found) is gj.RegionMapDataset and found.region.region is CIRCLE
    for name in ("counts", "background", "exposure", "mask_safe", "livetime"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    np.testing.assert_array_equal(np.asarray(found.edisp.values)[..., 0, 0], wanted.edisp.matrix)
    energy = np.asarray(before.psf.energy)
    vector = unit_vector(CENTER.icrs.ra.deg, CENTER.icrs.dec.deg)
    profile = np.asarray(before.psf.profile_at(vector, energy))
    np.testing.assert_allclose(np.asarray(found.psf.values)[..., 0, 0], profile, rtol=1e-12)
    assert found.psf.geom is None and not found.varies
    pixel = CIRCLE.to_pixel(GEOM.wcs)
    assert before.to_region_map_dataset(pixel).counts.tolist() == found.counts.tolist()


def test_region_map_predicts_what_the_map_predicts():
    """A square of whole pixels: the sum of the prediction of the map over them."""
    sky = small_map(n=24, exposure=4e13 * np.ones((4, 24, 24)))
    width = 8 * 0.05 * u.deg
    square = regions.RectangleSkyRegion(sky.geom.wcs.pixel_to_world(11.5, 11.5), width, width)
    found = sky.to_region_map_dataset(square)
    assert found.background.sum() == pytest.approx(sky.background[:, 8:16, 8:16].sum(), rel=1e-12)
    lon, lat = sky.geom.wcs.wcs_pix2world(14.3, 12.1, 0)
    point = map_cases.source(gj.PointSpatialModel(lon_0=float(lon), lat_0=float(lat)))
    wanted = np.asarray(gj.npred_signal(sky, point))[:, 8:16, 8:16].sum((1, 2))
    np.testing.assert_allclose(gj.npred_signal(found, point), wanted, rtol=3e-4)


def test_region_map_errors():
    with pytest.raises(InputError, match="to_region_map_dataset: found a MapDatasetOnOff; there is no on/off dataset"):
        dataset("MapDatasetOnOff").to_region_map_dataset(CIRCLE)
    kernel = small_map(psf=gj.PSFKernel.from_gauss(small_map().geom, np.geomspace(0.5, 20, 5), 0.06))
    circle = regions.CircleSkyRegion(kernel.geom.center, 0.2 * u.deg)
    with pytest.raises(InputError, match="has a PSFKernel, which holds for its pixels only"):
        kernel.to_region_map_dataset(circle)
    far = regions.CircleSkyRegion(SkyCoord(10, 20, unit="deg"), 0.2 * u.deg)
    with pytest.raises(InputError, match="to_region_map_dataset: the centre of no pixel is inside the region"):
        small_map().to_region_map_dataset(far)
