"""Images that share pixels."""

import numpy as np
import pytest

import gammajax as gj
from gammajax.datasets.sky import image_around, is_inside, pixel_offset

BIG = gj.SkyGeom.create((83.6, 22.0), 0.1, npix=(9, 7))


def cut(geom, y, x, shape):
    """The image of ``shape`` that begins in row y and column x of another."""
    wcs = geom.wcs.deepcopy()
    wcs.wcs.crpix = wcs.wcs.crpix - [x, y]
    return gj.SkyGeom.from_wcs(wcs, shape)


@pytest.mark.parametrize("frame", ["icrs", "galactic"])
@pytest.mark.parametrize("proj", ["TAN", "CAR", "AIT"])
def test_offsets_of_cutouts(proj, frame):
    big = gj.SkyGeom.create((3.0, 12.0), 0.2, npix=(9, 7), proj=proj, frame=frame)
    for y, x, shape in ((0, 0, (7, 9)), (2, 3, (3, 4)), (-1, 5, (2, 8)), (6, 8, (1, 1))):
        small = cut(big, y, x, shape)
        assert pixel_offset(small, big) == (y, x)
        assert pixel_offset(big, small) == (-y, -x)
        np.testing.assert_allclose(
            small.pixel_to_vector(*small.pixel_grid),
            big.pixel_to_vector(small.pixel_grid[0] + x, small.pixel_grid[1] + y), atol=1e-14,
        )  # fmt: skip
        assert is_inside((y, x), small, big) is (y >= 0)


@pytest.mark.parametrize(
    "other",
    [
        cut(BIG, 0, 0.5, (7, 9)),
        cut(BIG, 1, 1.001, (3, 3)),
        gj.SkyGeom.create((83.6, 22.0), 0.2, npix=(9, 7)),
        gj.SkyGeom.create((83.6, 22.0), 0.1, npix=(9, 7), proj="SIN"),
        gj.SkyGeom.create((83.6, 23.0), 0.1, npix=(9, 7)),
        gj.SkyGeom.create((263.6, -22.0), 0.1, npix=(3, 3)),
        gj.SkyGeom.create(BIG.center, 0.1, npix=(9, 7), frame="galactic"),
    ],
    ids=["half a pixel", "a thousandth", "pixel size", "projection", "reference point", "opposite", "frame"],
)
def test_images_whose_pixels_do_not_agree(other):
    assert pixel_offset(other, BIG) is None and image_around([BIG, other]) is None


def test_the_image_around_cutouts():
    pieces = [cut(BIG, 1, 2, (3, 3)), cut(BIG, 3, 0, (2, 4)), cut(BIG, 2, 3, (1, 1))]
    around, starts = image_around(pieces)
    assert around.shape == (4, 5) and starts == [(0, 2), (2, 0), (1, 3)]
    assert pixel_offset(around, BIG) == (1, 0)
    same, starts = image_around([pieces[0], BIG])
    assert same is BIG and starts == [(1, 2), (0, 0)]
