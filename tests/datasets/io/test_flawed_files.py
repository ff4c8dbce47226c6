"""Files with flaws that do not matter, as real ones have them: they are read, and what matters is said."""

import numpy as np
import pytest
from astropy.io import fits
from cases import gadf_maps as cases

from gammajax.datasets import InputError
from gammajax.datasets.map import MapDataset
from gammajax.datasets.models.spatial import TemplateSpatialModel
from gammajax.datasets.sky import SkyGeom

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
