"""Files with flaws that do not matter, as real ones have them: they are read, and what matters is said."""

import numpy as np
import pytest
from astropy.io import fits
from cases import gadf_maps as cases
from cases import regions

from gammajax.datasets import InputError
from gammajax.datasets.io import read_psf
from gammajax.datasets.map import MapDataset
from gammajax.datasets.models.spatial import TemplateSpatialModel
from gammajax.datasets.sky import SkyGeom
from gammajax.datasets.spectrum import SpectrumDataset, SpectrumDatasetOnOff

IMAGE = np.arange(1.0, 13).reshape(3, 4)
GEOM = SkyGeom.create((83.6, 22.0), 0.1, npix=(4, 3))


def image_file(path, **more):
    hdu = fits.PrimaryHDU(IMAGE)
    hdu.header.update(GEOM.header | more)
    hdu.writeto(path, checksum=True)
    return path


@pytest.mark.parametrize("unit", ["JY", "JY/BEAM", "ct deg2/s2/foo"])
def test_a_unit_that_nobody_needs(tmp_path, unit):
    """Shares of a flux of 1 have none: as without the unit, and as gammapy reads it."""
    path = image_file(tmp_path / "a.fits", BUNIT=unit)
    model = TemplateSpatialModel.read(path)
    np.testing.assert_array_equal(model.values, TemplateSpatialModel(IMAGE, GEOM).values)
    assert np.sum(np.asarray(model.values) * GEOM.solid_angle) == pytest.approx(1, rel=1e-12)
    with pytest.raises(InputError, match=r"the values have unit '.*', expected 'sr-1' or"):
        TemplateSpatialModel.read(path, normalize=False)


def test_a_unit_of_a_mask(tmp_path):
    path = tmp_path / "a.fits"
    cases.known().write(path)
    cases.edit(path, lambda hdus: cases.set_cards(hdus, "MASK_SAFE", BUNIT="bananas"))
    cases.assert_equal(MapDataset.read(path), cases.known())


def test_a_wrong_checksum_is_a_warning(tmp_path):
    """And one for the whole file; it points at the line that reads."""
    path = image_file(tmp_path / "a.fits")
    content = bytearray(path.read_bytes())
    place = content.index(np.array(IMAGE, ">f8").tobytes())
    content[place : place + 8] = np.array(7.0, ">f8").tobytes()
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"a\.fits: .*does not match the checksum stored with it") as caught:
        model = TemplateSpatialModel.read(path)
    assert len(caught) == 1 and caught[0].filename == __file__
    changed = IMAGE.copy()
    changed[0, 0] = 7
    np.testing.assert_array_equal(model.values, TemplateSpatialModel(changed, GEOM).values)


def test_a_note_of_git_lfs(tmp_path):
    (tmp_path / "a.fits").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n")
    with pytest.raises(InputError, match=r"a\.fits: this is not the file, but the note of git-lfs"):
        TemplateSpatialModel.read(tmp_path / "a.fits")


def test_rounding_below_zero(tmp_path):
    """Public HAWC maps have backgrounds of -8e-18: with one warning they are 0, and larger ones an error."""
    path = tmp_path / "a.fits"
    dataset = cases.known(mask_safe=None)
    dataset.write(path)
    largest = float(np.max(dataset.background[1]))

    def change(value):
        def write(hdus):
            cases.data("BACKGROUND", (1, 2, 3), value)(hdus)
            cases.data("BACKGROUND", (1, 0, 0), -8e-18)(hdus)

        return write

    cases.edit(path, change(-0.9e-6 * largest))
    with pytest.warns(UserWarning, match=r"a\.fits\[BACKGROUND\]: 2 of 90 values are negative by a rounding") as caught:
        back = MapDataset.read(path)
    assert len(caught) == 1
    expected = np.array(dataset.background)
    expected[1, 2, 3] = expected[1, 0, 0] = 0
    np.testing.assert_array_equal(back.background, expected)
    cases.edit(path, change(-1.1e-6 * largest))
    with (
        pytest.warns(UserWarning, match="1 of 90 values are negative by a rounding"),
        pytest.raises(InputError, match=r"\[BACKGROUND\]: values must be .* at \[1, 2, 3\] \(energy, y, x\); 1 bad"),
    ):
        MapDataset.read(path)


def test_rounding_below_zero_in_spectra(tmp_path):
    edges = np.array([1.0, 2, 4, 8])
    dataset = SpectrumDataset(edges, counts=[3, 2, 1], background=[2.0, 1.0, 0.5], exposure=np.full(3, 1e12))
    dataset.write(tmp_path / "a.fits")
    cases.edit(tmp_path / "a.fits", lambda hdus: hdus["BACKGROUND"].data["DATA"].__setitem__(2, -1e-12))
    with pytest.warns(UserWarning, match=r"\[BACKGROUND\]: 1 of 3 values are negative by a rounding error"):
        back = SpectrumDataset.read(tmp_path / "a.fits")
    np.testing.assert_array_equal(back.background, [2.0, 1.0, 0.0])


OUTSIDE = ("COUNTS", "BACKGROUND", "COUNTS_OFF", "ACCEPTANCE", "ACCEPTANCE_OFF")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -5.0])
@pytest.mark.parametrize("make", [cases.known, cases.on_off])
def test_bad_numbers_outside_the_safe_mask_of_maps(tmp_path, make, bad):
    """They are 0, and all else is as it was: in counts and exposures, and in responses that no safe bin takes."""
    safe = np.ones(cases.SHAPE, bool)
    safe[0, 1, 2] = False
    # the left third of the map: the first pixel of the responses' grid, which is three pixels wide
    safe[:, :, :2] = False
    path = tmp_path / "a.fits"
    dataset = make(mask_safe=safe)
    dataset.write(path)

    def change(hdus):
        for name in OUTSIDE:
            if name in hdus:
                cases.data(name, (0, 1, 2), bad, float)(hdus)
        cases.data("EXPOSURE", (2, 3, 0), bad, float)(hdus)
        for name in ("EDISP", "PSF_EXPOSURE", "EDISP_EXPOSURE"):
            cases.data(name, (1, 0, 0, 0), bad, float)(hdus)
        cases.data("PSF", (1, 0, 0, 0), np.nan, float)(hdus)

    assert GRID_USED.tolist() == [[False, True, True]] * 2
    cases.edit(path, change)
    back = type(dataset).read(path)
    for name in (*OUTSIDE, "MASK_SAFE"):
        own = getattr(dataset, name.lower(), None)
        if own is None or (make is cases.on_off and name == "BACKGROUND"):
            continue
        expected = np.array(own)
        expected[0, 1, 2] = 0
        np.testing.assert_array_equal(getattr(back, name.lower()), expected, err_msg=name)
    for own, found, place in (
        (dataset.exposure, back.exposure, (2, 3, 0)),
        (dataset.edisp.values, back.edisp.values, (1, 0, 0, 0)),
        (dataset.edisp.exposure, back.edisp.exposure, (1, 0, 0)),
        (dataset.psf.values, back.psf.values, (1, 0, 0, 0)),
        (dataset.psf.exposure, back.psf.exposure, (1, 0, 0)),
    ):
        expected = np.array(own)
        expected[place] = 0
        np.testing.assert_array_equal(found, expected)
    # alone the response has nothing that excludes it
    with pytest.raises(InputError, match=r"\[PSF\]: values must be finite"):
        read_psf(path)


@pytest.mark.parametrize("name", ["EXPOSURE", "EDISP", "PSF"])
def test_bad_responses_of_safe_bins_are_refused(tmp_path, name):
    safe = np.ones(cases.SHAPE, bool)
    safe[:, :, :2] = False
    path = tmp_path / "a.fits"
    cases.known(mask_safe=safe).write(path)
    place = (1, 2, 3) if name == "EXPOSURE" else (1, 0, 0, 1)
    cases.edit(path, cases.data(name, place, np.nan, float))
    with pytest.raises(InputError, match=rf"\[{name}\]: values must be finite"):
        MapDataset.read(path)


def test_bad_numbers_outside_the_safe_mask_of_spectra(tmp_path):
    edges = np.array([1.0, 2, 4, 8])
    common = {"counts": [3, 2, 1], "exposure": np.full(3, 1e12), "mask_safe": [True, False, True]}
    known = SpectrumDataset(edges, background=[2.0, 1.0, 0.5], **common)
    on = SpectrumDatasetOnOff(edges, counts_off=[30, 20, 10], acceptance_off=10, **common)
    for dataset in (known, on):
        path = tmp_path / f"{dataset.tag}.fits"
        dataset.write(path, format="gadf")

        def change(hdus):
            for name in OUTSIDE:
                if name in hdus:
                    hdus[name].data["DATA"][1] = np.nan

        cases.edit(path, change)
        back = type(dataset).read(path)
        for name in OUTSIDE:
            own = getattr(dataset, name.lower(), None)
            if own is not None:
                np.testing.assert_array_equal(getattr(back, name.lower()), np.where([1, 0, 1], own, 0), err_msg=name)


# which pixels of the responses' grid the safe bins take, by the positions of their centres
GRID_USED = np.zeros((2, 3), bool)
for _x, _y in np.stack(cases.COARSE.vector_to_pixel(cases.GEOM.pixel_to_vector(*cases.GEOM.pixel_grid)), -1)[
    :, 2:
].reshape(-1, 2):
    GRID_USED[int(np.clip(np.rint(_y), 0, 1)), int(np.clip(np.rint(_x), 0, 2))] = True


def test_bad_numbers_outside_the_safe_mask_of_regions(tmp_path):
    """Regions with a point spread function take the same door."""
    path = tmp_path / "a.fits"
    dataset = regions.dataset(mask_safe=[True, False])
    dataset.write(path)

    def change(hdus):
        for name in ("COUNTS", "BACKGROUND"):
            hdus[name].data["DATA"][1] = np.nan

    cases.edit(path, change)
    back = type(dataset).read(path)
    np.testing.assert_array_equal(back.counts, [100, 0])
    np.testing.assert_array_equal(back.background, [30, 0])
    cases.edit(path, lambda hdus: hdus["BACKGROUND"].data["DATA"].__setitem__(0, -1.0))
    with pytest.raises(InputError, match=r"\[BACKGROUND\]: values must be finite and not negative, found -1\.0"):
        type(dataset).read(path)
