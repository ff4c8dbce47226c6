"""Leaps along valleys: where the way so far leads, in coordinates in which such valleys are straight."""

import numpy as np
import pytest

from gammajax.fit.joint.arrowhead import Theta
from gammajax.fit.joint.coordinates import INVERSE, LOG, STRAIGHT
from gammajax.fit.solvers.valley import CLOSER, leap

KINDS = np.array([STRAIGHT, STRAIGHT, LOG, INVERSE])
LIKE = np.array([False, True, False, False])


def leaped(now, before, reach, low=-np.inf, high=np.inf):
    arrays = {
        "coordinates": Theta(KINDS, ()), "scale_like": Theta(LIKE, ()),
        "low": Theta(np.full(4, low), ()), "high": Theta(np.full(4, high), ()),
    }  # fmt: skip
    return leap(Theta(np.array(now), ()), Theta(np.array(before), ()), reach, arrays).globals


def test_each_parameter_goes_on_in_its_coordinate():
    before, now = [2.0, 1.0, 1.0, 4.0], [2.2, 1.25, 3.0, 5.0]
    index, amplitude, exponent, cutoff = leaped(now, before, 2.0)
    assert index == pytest.approx(2.6)
    assert 1 / amplitude == pytest.approx(0.8 - 2 * 0.2)
    assert exponent == pytest.approx(27.0)
    assert 1 / cutoff == pytest.approx(0.2 - 2 * 0.05)


def test_none_passes_infinity_and_all_shorten_the_way_alike():
    before, now = [2.0, 1.0, 1.0, 4.0], [2.2, 2.0, 1.0, 4.0]
    index, amplitude, *_ = leaped(now, before, 100.0)
    assert amplitude == pytest.approx(2.0 / CLOSER)
    assert index == pytest.approx(2.2 + 0.2 * (0.5 - 0.05) / 0.5)


def test_signs_that_change_go_straight_and_bounds_hold():
    before, now = [2.0, -1.0, 1.0, -4.0], [2.0, 1.0, 1.0, 4.0]
    np.testing.assert_allclose(leaped(now, before, 1.0), [2.0, 3.0, 1.0, 12.0])
    np.testing.assert_allclose(leaped(now, before, 1.0, high=2.5), [2.0, 2.5, 1.0, 2.5])
