"""Good time intervals and their FITS table."""

import astropy.units as u
import jax
import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time

from gammajax.datasets import GTI, InputError
from gammajax.datasets.io import FitsTable, gti_hdu, read_gti


def table(start=(0.0, 10.0), stop=(5.0, 20.0), unit="s", **cards) -> FitsTable:
    columns = [
        fits.Column("START", "D", unit, array=np.array(start)),
        fits.Column("STOP", "D", unit, array=np.array(stop)),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="GTI")
    for key, value in ({"MJDREFI": 51910, "MJDREFF": 0.000742870368412695} | cards).items():
        if value is not None:
            hdu.header[key] = value
    return FitsTable(hdu, "x.fits[GTI]")


def test_times_and_ontime():
    gti = GTI([0, 100] * u.min, [50, 150] * u.min, Time("2010-05-01T00:00:00", scale="utc"))
    assert gti.ontime.to_value("min") == pytest.approx(100)
    assert abs(gti.time_start[1].utc - Time("2010-05-01T01:40:00", scale="utc")).to_value("s") < 1e-5
    assert abs(gti.time_stop[0].utc - Time("2010-05-01T00:50:00", scale="utc")).to_value("s") < 1e-5
    assert GTI([], []).ontime == 0 * u.s


def test_unions():
    """Sorted; intervals that overlap, touch or lie in others become one; times count from the earliest reference."""
    a = GTI([100.0, 0.0], [200.0, 50.0], 51910.0)
    b = GTI([50.0, 120.0, 300.0, 310.0], [60.0, 150.0, 400.0, 320.0], 51910.0)
    for union in (GTI.union([a, b]), GTI.union([b, a, a]), GTI.union([GTI.union([b]), a])):
        assert union.start.tolist() == [0, 100, 300] and union.stop.tolist() == [60, 200, 400]
        assert union.ontime.value == 260 and union.reference == 51910
    later = GTI.union([a, GTI([0.0], [10.0], 51911.0)])
    assert later.start.tolist() == [0, 100, 86400] and later.reference == 51910
    empty = GTI([], [], 40000.0)
    assert GTI.union([a, empty]).reference == 51910 and GTI.union([empty, empty]).ontime.value == 0
    with pytest.raises(InputError, match="give at least one"):
        GTI.union([])


def test_two_runs_share_one_program():
    traces = []

    @jax.jit
    def ontime(gti):
        traces.append(1)
        return (gti.stop - gti.start).sum()

    assert ontime(GTI([0.0], [5.0])) == 5 and ontime(GTI([1.0], [3.0], 55555.0)) == 2
    assert len(traces) == 1


@pytest.mark.parametrize(("start", "stop"), [([0.0, 1.0], [2.0]), (0.0, 1.0), ([2.0], [1.0]), ([np.nan], [1.0])])
def test_bad_intervals(start, stop):
    with pytest.raises(InputError, match="GTI: "):
        GTI(start, stop)


@pytest.mark.parametrize("scale", ["tt", "utc", "tai", "tdb"])
def test_time_scales(scale):
    gti = read_gti(table(TIMESYS=scale.upper()))
    expected = Time(51910, 0.000742870368412695, format="mjd", scale=scale) + np.array([0.0, 10.0]) * u.s
    assert np.all(np.abs((gti.time_start - expected).to_value("s")) < 2e-6)
    assert gti.ontime.to_value("s") == 15


def test_units_and_offsets():
    assert read_gti(table(unit="min")).stop[1] == 1200
    assert read_gti(table(unit=None, TIMEUNIT="d")).stop[0] == 5 * 86400
    assert read_gti(table(unit=None)).stop[0] == 5
    assert read_gti(table(TIMEZERO=1000.0)).start.tolist() == [1000, 1010]
    assert read_gti(table(MJDREFI=None, MJDREFF=None, MJDREF=55197.5)).reference == 55197.5
    # some writers quote numbers, or write the exponent with D
    assert read_gti(table(MJDREFF="7.42870368412695D-04")).reference == read_gti(table()).reference


def test_round_trip_is_exact():
    gti = GTI([0.125, 7e8 + 1 / 3], [10.0, 7e8 + 100.7], 51910.000742870368412695)
    back = read_gti(FitsTable(gti_hdu(gti), "x"))
    for field in ("start", "stop", "reference"):
        np.testing.assert_array_equal(getattr(gti, field), getattr(back, field))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"TIMESYS": "local"}, "TIMESYS is 'local', expected one of tt"),
        ({"MJDREFI": None}, "MJDREFI and MJDREFF are missing"),
        ({"MJDREFI": "x"}, "MJDREFI is 'x', expected a number"),
        ({"unit": "cm"}, "unit of START: found 'cm'"),
        ({"unit": "sx2"}, "unit of START: found 'sx2'"),
        ({"unit": None, "TIMEUNIT": "sx2"}, "TIMEUNIT: 'sx2' is not a unit"),
        ({"stop": (-1.0, 20.0)}, "needs a finite start before its stop"),
    ],
)
def test_bad_tables(changes, text):
    with pytest.raises(InputError, match=rf"x\.fits\[GTI\].*{text}"):
        read_gti(table(**changes))


@pytest.mark.parametrize("start, stop", [(["a"], ["b"]), ([0] * u.m, [1] * u.m), (None, [1.0]), ([0.0], "b")])
def test_no_times(start, stop):
    with pytest.raises(InputError, match=r"^GTI: "):
        GTI(start, stop)
