"""Pixels of map datasets cut out, added and merged: what is conserved, and what is predicted afterwards."""

import astropy.units as u
import numpy as np
import pytest
from cases import maps as map_cases
from cases import reshape as reshape_cases

import gammajax as gj
from gammajax.datasets import InputError
from gammajax.datasets.sky import cutout_slices

pytestmark = pytest.mark.slow

small_map, source = (map_cases.small_map, map_cases.source)
GEOM, NX, NY, assert_carried, dataset, safe_total = (
    reshape_cases.GEOM,
    reshape_cases.NX,
    reshape_cases.NY,
    reshape_cases.assert_carried,
    reshape_cases.dataset,
    reshape_cases.safe_total,
)


MAPS = ("MapDataset", "MapDatasetOnOff")
NAMES = ("counts", "background", "counts_off", "acceptance", "acceptance_off", "mask_safe", "mask_fit", "exposure")


def fields(dataset):
    return {name: np.asarray(getattr(dataset, name)) for name in NAMES if hasattr(dataset, name)}


@pytest.mark.parametrize("tag", MAPS)
def test_cutout(tag):
    before = dataset(tag)
    position = GEOM.wcs.pixel_to_world(4.0, 3.0)
    after = before.cutout(position, (0.5, 0.3) * u.deg)
    assert_carried(after, before)
    for name, value in fields(before).items():
        np.testing.assert_array_equal(getattr(after, name), value[:, 2:5, 2:7], err_msg=name)
    assert after.geom.wcs.world_to_pixel(position) == pytest.approx((2.0, 1.0), abs=1e-9)
    same = before.slice_by_idx(x=slice(2, 7), y=slice(2, 5))
    np.testing.assert_array_equal(same.counts, after.counts)
    assert same.geom.is_same(after.geom)
    both = before.slice_by_idx({"energy": slice(0, 2), "x": slice(2, 7)})
    np.testing.assert_array_equal(both.counts, np.asarray(before.counts)[:2, :, 2:7])
    with pytest.raises(InputError, match=r"slice_by_idx: y: slice\(9, 12, None\) takes no range of the 8 bins"):
        before.slice_by_idx(y=slice(9, 12))
    with pytest.raises(InputError, match=r"beyond the image"):
        before.cutout(position, 2.0, mode="strict")


def test_partial_cutouts_are_empty_outside():
    before = dataset("MapDataset", mask_safe=None)
    after = before.cutout(GEOM.wcs.pixel_to_world(0.0, 0.0), 0.5, mode="partial")
    assert after.pixels == (5, 5)
    for name in ("counts", "background", "exposure"):
        values = np.asarray(getattr(after, name))
        assert values[:, :2].max() == values[:, :, :2].max() == 0
        np.testing.assert_array_equal(values[:, 2:, 2:], np.asarray(getattr(before, name))[:, :3, :3])
    # nothing was measured there, though the dataset had no mask
    assert after.mask_safe[:, 2:, 2:].all() and after.mask_safe.sum() == 6 * 9
    assert before.cutout(GEOM.center, 0.5).mask_safe is None


@pytest.mark.parametrize("tag", MAPS)
def test_pad(tag):
    before = dataset(tag)
    after = before.pad((2, 1))
    assert_carried(after, before)
    assert after.pixels == (NY + 2, NX + 4) and after.psf is before.psf and after.edisp is before.edisp
    for name, value in fields(before).items():
        found = np.asarray(getattr(after, name))
        np.testing.assert_array_equal(found[:, 1:-1, 2:-2], value, err_msg=name)
        assert found.astype(float).sum() == pytest.approx(value.astype(float).sum(), rel=1e-14)
    assert before.replace(mask_safe=None).pad(1).mask_safe.sum() == before.counts.size


@pytest.mark.parametrize("tag", MAPS)
def test_downsample(tag):
    before = dataset(tag)
    after = before.downsample(2)
    assert_carried(after, before)
    assert after.psf is before.psf and after.edisp is before.edisp
    safe = np.asarray(before.mask_safe)

    def blocks(values):
        return np.asarray(values).reshape(-1, NY // 2, 2, NX // 2, 2)

    np.testing.assert_array_equal(after.counts, blocks(before.counts * safe).sum((2, 4)))
    np.testing.assert_allclose(after.background, blocks(before.background * safe).sum((2, 4)), rtol=1e-14)
    np.testing.assert_allclose(after.exposure, blocks(before.exposure).mean((2, 4)), rtol=1e-15)
    for name in ("mask_safe", "mask_fit"):
        np.testing.assert_array_equal(getattr(after, name), blocks(getattr(before, name)).any((2, 4)))
    if tag == "MapDatasetOnOff":
        assert after.counts_off.sum() == safe_total(before.counts_off, safe)
        np.testing.assert_allclose(after.acceptance, blocks(before.acceptance).mean((2, 4)), rtol=1e-15)
    assert before.downsample(1) is before
    with pytest.raises(InputError, match=r"the factor 3 does not divide the 8 pixels in y"):
        before.downsample(3)
    with pytest.raises(InputError, match=r"axis_name is 'rad', expected None \(the pixels\) or 'energy'"):
        before.downsample(2, "rad")


def test_kernels_hold_on_their_pixels():
    before = dataset("MapDataset", psf=gj.PSFKernel(np.ones((7, 3, 3))))
    assert before.cutout(GEOM.center, 0.5).psf is before.psf
    with pytest.raises(InputError, match="downsample: the dataset has a PSFKernel, which holds for its present pixels"):
        before.downsample(2)


def test_responses_are_cut_around_the_image():
    before = dataset("MapDataset")
    after = before.cutout(GEOM.wcs.pixel_to_world(1.0, 1.0), 0.3)
    assert after.psf.geom.shape == (2, 2) == after.edisp.geom.shape
    np.testing.assert_array_equal(after.psf.values, np.asarray(before.psf.values)[..., :2, :2])
    np.testing.assert_array_equal(after.edisp.values, np.asarray(before.edisp.values)[..., :2, :2])
    np.testing.assert_array_equal(after.edisp.exposure, np.asarray(before.edisp.exposure)[..., :2, :2])
    assert (after.psf.reach, after.psf.core) == (before.psf.reach, before.psf.core)
    sky = after.geom.center
    energy = np.asarray(before.psf.energy)
    np.testing.assert_allclose(
        after.psf.containment([0.1], energy, sky), before.psf.containment([0.1], energy, sky), rtol=1e-12
    )


def test_predictions():
    """Inside a cutout and a padded image predictions are those of the whole; those of merged pixels the sums, nearly.

    The exposure of a merged pixel is a mean, not that where its events are. This one falls to half its value in 20
    pixels; predictions differ by 9e-4 of the brightest pixel (2e-5 where the exposure is flat).
    """
    before = small_map(n=16)
    models = gj.Models([source(gj.PointSpatialModel(lon_0=83.66, lat_0=22.05))])
    signal = np.asarray(gj.npred_signal(before, models))
    peak = signal.max()
    # cut out ten by ten pixels and pad them again: images of one size have one program
    position = before.geom.wcs.pixel_to_world(8.0, 7.0)
    rows, columns = cutout_slices(before.geom, position, 0.5)
    again = np.asarray(gj.npred_signal(before.cutout(position, 0.5).pad(3), models))
    np.testing.assert_allclose(again[:, 3:-3, 3:-3], signal[:, rows, columns], atol=1e-11 * peak)
    # nothing in the padding
    outside = np.array(again)
    outside[:, 3:-3, 3:-3] = 0
    assert not outside.any() and again.sum() > 0.5 * signal.sum()
    merged = np.asarray(gj.npred_signal(before.downsample(2), models))
    sums = signal.reshape(3, 8, 2, 8, 2).sum((2, 4))
    np.testing.assert_allclose(merged, sums, atol=2e-3 * sums.max())
