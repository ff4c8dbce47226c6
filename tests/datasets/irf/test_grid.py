"""Grids of responses, and which pixels of an image take their response from where."""

import numpy as np
import pytest

from gammajax.datasets.irf import Shares, response_grid, response_mask
from gammajax.datasets.sky import SkyGeom, cropped

NX, NY = 12, 8
GEOM = SkyGeom.create((83.63, 22.01), 0.1, npix=(NX, NY))
COARSE = SkyGeom.create((83.63, 22.01), 0.4, npix=(3, 2))
"""Four by four pixels of the image in each."""
FINE = SkyGeom.create((83.63, 22.01), 0.05, npix=(2 * NX + 4, 2 * NY))
ALL_SKY = SkyGeom.create((0.0, 0.0), 180.0, npix=(2, 1), proj="CAR")


def blocks(values):
    return np.asarray(values).reshape(-1, 2, 4, 3, 4)


def test_grids_of_responses():
    fine = SkyGeom.create((83.6, 22.0), 0.05, npix=(10, 8))
    grid = response_grid(fine)
    assert grid.shape == (2, 3) and grid.pixel_size == pytest.approx(0.2)
    # its first pixel covers the first four by four pixels
    x, y = fine.vector_to_pixel(grid.pixel_to_vector(np.array([0.0, 2.0]), np.array([0.0, 1.0])))
    np.testing.assert_allclose([x, y], [[1.5, 9.5], [1.5, 5.5]], atol=1e-9)
    coarse = SkyGeom.create((83.6, 22.0), 0.3, npix=(10, 8))
    assert response_grid(coarse) is coarse


def test_response_mask():
    mask = np.zeros((2, NY, NX), bool)
    mask[0, 5, 7] = True
    mask[1, :, :8] = True
    expected = np.zeros((2, 2, 3), bool)
    expected[0, 1, 1] = True
    expected[1, :, :2] = True
    np.testing.assert_array_equal(response_mask(COARSE, GEOM, mask), expected)
    # finer pixels, and pixels beyond the image, take the nearest one
    found = response_mask(FINE, GEOM, mask)
    assert found[0].sum() == 4 and found[0, 10:12, 16:18].all()
    assert found[1, :, :18].all() and not found[1, :, 18:].any()
    # all of the sky in two pixels
    assert response_mask(ALL_SKY, GEOM, mask)[:, 0].any(axis=1).tolist() == [True, True]
    assert response_mask(None, GEOM, mask).tolist() == [[[True]], [[True]]]


def test_against_a_loop_over_pixels():
    rng = np.random.default_rng(1)
    mask, values = rng.random((3, NY, NX)) > 0.8, rng.uniform(1, 2, (3, NY, NX))
    shares = Shares(COARSE, GEOM)
    np.testing.assert_array_equal(shares.any_of(mask), blocks(mask).any((2, 4)))
    np.testing.assert_allclose(shares.mean(values), blocks(values).mean((2, 4)), rtol=1e-14)
    # with weights of a bilinear interpolation between the centres
    x, y = (np.asarray(c) for c in COARSE.vector_to_pixel(GEOM.pixel_to_vector(*GEOM.pixel_grid)))
    around = np.zeros((3, 2, 3), bool)
    for row in range(2):
        for column in range(3):
            share = (abs(np.clip(y, 0, 1) - row) < 1) & (abs(np.clip(x, 0, 2) - column) < 1)
            around[:, row, column] = (mask & share).any((1, 2))
    np.testing.assert_array_equal(shares.any_around(mask), around)
    assert not np.array_equal(around, shares.any_of(mask))


def test_what_lies_beside_the_image():
    part = cropped(GEOM, slice(0, 4), slice(5, 9))
    # two of the coarse columns have pixels of it
    np.testing.assert_array_equal(Shares(COARSE, part).covered, [[False, True, True], [False, False, False]])
    fine = Shares(FINE, GEOM).covered
    assert fine[:, 2:-2].all() and fine.sum() == 4 * NX * NY
    assert Shares(ALL_SKY, GEOM).covered.sum() == 1
    opposite = SkyGeom.create((263.6, -22.0), 0.4, npix=(3, 2))
    assert not Shares(opposite, GEOM).covered.any()
    assert not Shares(opposite, GEOM).any_around(np.ones((1, NY, NX), bool)).any()


def test_pixels_without_sky_take_no_response():
    """The corners of an all-sky image in Aitoff's projection."""
    sky = SkyGeom.create((0.0, 0.0), 10.0, npix=(36, 18), proj="AIT")
    shown = np.isfinite(np.asarray(sky.pixel_to_vector(*sky.pixel_grid))[..., 0])
    mask = ~shown[None]
    assert mask.any() and not Shares(ALL_SKY, sky).any_of(mask).any()
