"""Sums over disks against sums pixel by pixel."""

import numpy as np
import pytest

from gammajax.kernels import disk_sums


@pytest.mark.parametrize("radius", [0.0, 0.9, 1.0, 2.4, 5.000000000001, 30.0])
def test_pixels_within_the_radius(radius):
    maps = np.random.default_rng(1).integers(0, 9, (2, 7, 11)).astype(float)
    y, x = np.mgrid[:7, :11]
    found = disk_sums(maps, radius)
    for j, i in np.ndindex(7, 11):
        near = np.hypot(y - j, x - i) <= radius + 1e-9
        np.testing.assert_array_equal(found[:, j, i], maps[:, near].sum(axis=1))


def test_nothing_is_left_where_there_is_nothing():
    maps = np.zeros((9, 9))
    maps[:3] = 1e15 / 3
    assert np.all(disk_sums(maps, 2.0)[6:] == 0)


def test_the_rim_is_inside():
    """0.3 deg of pixels of 0.1 deg are three pixels, whatever the quotient rounds to."""
    assert disk_sums(np.ones((9, 9)), 0.3 / 0.1)[4, 4] == disk_sums(np.ones((9, 9)), 3.0)[4, 4] == 29
