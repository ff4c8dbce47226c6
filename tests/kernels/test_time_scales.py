import jax
import numpy as np
import pytest
from astropy.time import Time

from gammajax.datasets.models.temporal import LEAP_KNOTS, LEAP_OFFSETS
from gammajax.kernels import SCALES, offset_from_tt

# Years apart, and around the leap second at the end of 2016.
DAYS = np.array([41500.3, 44000.0, 48442.5, 51544.0, 55197.99, 57752.9, 57753.2, 57753.7, 57754.0, 57754.001, 60000.5])


@pytest.mark.parametrize("scale", SCALES)
def test_offsets_are_those_of_astropy(scale):
    """To 1e-5 s: the terms of TDB - TT that are left out; days with a leap second included."""
    found = jax.jit(offset_from_tt, static_argnums=1)(DAYS, scale, LEAP_KNOTS, LEAP_OFFSETS)
    tt = Time(DAYS, np.zeros(DAYS.size), format="mjd", scale="tt")
    other = getattr(tt, scale)
    wanted = ((other.jd1 - tt.jd1) + (other.jd2 - tt.jd2)) * 86400
    np.testing.assert_allclose(found, wanted, atol=1.2e-5 if scale == "tdb" else 1e-6)


def test_utc_is_differentiable_and_constant_before_1972():
    def seconds(day):
        return offset_from_tt(day, "utc", LEAP_KNOTS, LEAP_OFFSETS)

    assert float(seconds(30000.0)) == pytest.approx(-42.184)
    slope = jax.jit(jax.grad(seconds))
    assert float(slope(57000.0)) == 0
    # over the day of a leap second UTC loses a second
    assert float(slope(57753.5)) == pytest.approx(-1, abs=1e-4)
