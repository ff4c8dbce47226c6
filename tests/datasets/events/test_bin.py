"""Events in bins: what cannot be counted is named."""

import numpy as np
import pytest

import gammajax as gj

EDGES = [1.0, 3.0, 10.0]


def test_events_that_are_no_numbers_are_named():
    run = gj.SpectrumDataset(EDGES)
    good = gj.bin_events(gj.EventList([1.5, 2.0, 5.0, 20.0], np.zeros(4), None), run)
    assert good.counts.tolist() == [2, 1]
    events = gj.EventList([1.5, np.nan, 2.0, 5.0, np.inf], np.zeros(5), None)
    with pytest.warns(UserWarning, match=r"2 of 5 events are left out, the first is number 1: their energy is NaN"):
        assert gj.bin_events(events, run).counts.tolist() == [2, 1]


def test_directions_too():
    geom = gj.SkyGeom.create((83.0, 22.0), 0.5, npix=(2, 2))
    events = gj.EventList([2.0, 2.0, 2.0], np.zeros(3), None, lon=[83.1, np.nan, 83.1], lat=[22.1, 22.1, np.nan])
    with pytest.warns(UserWarning, match=r"2 of 3 events .* their lon, lat is NaN"):
        counts = gj.bin_events(events, gj.MapDataset(geom, EDGES)).counts
    assert counts.sum() == 1
