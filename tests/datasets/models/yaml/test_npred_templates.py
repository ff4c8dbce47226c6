import numpy as np
import pytest
from astropy.io import fits

from gammajax.datasets import InputError
from gammajax.datasets.io import map_hdus, to_bytes, write_files
from gammajax.datasets.models.yaml import read_template_counts
from gammajax.datasets.sky import MapAxis, SkyGeom

GEOM = SkyGeom.create((83.6, 22.0), 0.1, npix=(4, 3))
ENERGY = MapAxis([1, 3, 10], "log", "energy", "TeV")
COUNTS = np.arange(24.0).reshape(2, 3, 4) / 7


def write(path, values=COUNTS, unit="", axes=(ENERGY,), geom=GEOM, more=()):
    write_files({path: to_bytes([fits.PrimaryHDU(), *map_hdus("SKYMAP", values, unit, axes, geom), *more])})
    return path


def test_map(tmp_path):
    for name in ("a.fits", "b.fits.gz"):
        found = read_template_counts(write(tmp_path / name))
        np.testing.assert_array_equal(found, COUNTS)
        assert found.dtype == float


def test_region(tmp_path):
    found = read_template_counts(write(tmp_path / "a.fits", COUNTS[:, :1, :1], geom=None))
    np.testing.assert_array_equal(found, COUNTS[:, 0, 0])


def test_the_first_map_counts(tmp_path):
    more = map_hdus("BACKGROUND", 2 * COUNTS, "", (ENERGY,), GEOM)
    np.testing.assert_array_equal(read_template_counts(write(tmp_path / "a.fits", more=more)), COUNTS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "sr-1"}, r"a.fits\[SKYMAP\]: the unit is '1 / sr', expected one convertible to ''"),
        (
            {"axes": (MapAxis([1, 3, 10], "log", "energy_true", "TeV"),)},
            r"a.fits\[SKYMAP\]: the axes are \['energy_true'\], expected \['energy'\]",
        ),
        (
            {"axes": (MapAxis([1, 3], "log", "energy", "TeV", "center"),)},
            r"a.fits\[SKYMAP\]: the energies are given by centres, expected edges",
        ),
    ],
)
def test_other_maps(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_template_counts(write(tmp_path / "a.fits", **changes))


def test_other_files(tmp_path):
    fits.PrimaryHDU(COUNTS).writeto(tmp_path / "a.fits")
    with pytest.raises(InputError, match=r"a.fits: there is no map with energies, only PRIMARY; expected an image"):
        read_template_counts(tmp_path / "a.fits")
    with pytest.raises(InputError, match="was not found"):
        read_template_counts(tmp_path / "b.fits")
