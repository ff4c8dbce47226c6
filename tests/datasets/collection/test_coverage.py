"""Energies, times and tables of sets of datasets."""

import astropy.units as u
import numpy as np
import pytest

import gammajax as gj

EDGES = np.array([1.0, 2, 4, 8])


def run(gti=None, **changes):
    return gj.SpectrumDataset(EDGES, counts=[1, 2, 3], exposure=np.full(3, 1e12), gti=gti, **changes)


@pytest.fixture
def datasets():
    points = gj.FluxPoints.from_table(
        {"e_ref": [0.1, 20.0] * u.TeV, "e_min": [0.05, 15.0] * u.TeV, "e_max": [0.2, 30.0] * u.TeV,
         "dnde": u.Quantity([1e-11, 1e-12], "cm-2 s-1 TeV-1"),
         "dnde_err": u.Quantity([1e-12, np.nan], "cm-2 s-1 TeV-1")}
    )  # fmt: skip
    return gj.Datasets({
        "a": run(gj.GTI([0.0, 100.0], [50.0, 150.0]), mask_safe=[False, True, True]),
        "b": run(gj.GTI([40.0], [60.0])),
        "points": gj.FluxPointsDataset(points),
    })  # fmt: skip


def test_energies(datasets):
    low, high = datasets.energy_ranges
    np.testing.assert_allclose(low.to_value("TeV"), [1, 1, 0.05])
    np.testing.assert_allclose(high.to_value("TeV"), [8, 8, 30])
    # the second point has no error
    low, high = datasets.energy_range
    assert low == 0.05 * u.TeV and high == 8 * u.TeV
    low, high = datasets[:1].energy_range
    assert low == 2 * u.TeV and high == 8 * u.TeV
    assert np.isnan(gj.Datasets({"a": run(mask_safe=[False] * 3)}).energy_range[0])


def test_times(datasets):
    gti = datasets.gti
    np.testing.assert_allclose(gti.start, [0, 100])
    np.testing.assert_allclose(gti.stop, [60, 150])
    assert datasets.select(["points"]).gti is None and gj.Datasets().gti is None


def test_removal(datasets):
    assert datasets.remove("b").names == ("a", "points") and datasets.remove(["points", "a"]).names == ("b",)
    assert datasets.names == ("a", "b", "points")
    assert (datasets.remove("b") + {"c": run()}).names == ("a", "points", "c")
    with pytest.raises(gj.InputError, match=r"no dataset 'x'; names are 'a', 'b', 'points'"):
        datasets.remove(["a", "x"])


def test_table(datasets):
    table = datasets.info_table()
    assert list(table["name"]) == ["a", "b", "points"] and list(table["n_fit_bins"]) == [2, 3, 1]
    assert np.isnan(table["counts"][2]) and table["counts"][1] == 6


def test_cumulative_table(datasets):
    table = datasets.remove("points").info_table(cumulative=True)
    assert list(table["counts"]) == [5, 11]


def test_a_dataset_without_energies():
    class Flat(gj.Dataset):
        @property
        def data_shape(self):
            return (1,)

        def predict(self, models):
            return np.ones(1)

        def stat_bins(self, prediction):
            return prediction

    with pytest.raises(gj.InputError, match=r"Dataset 'f': Flat has no energy_edges"):
        _ = gj.Datasets({"f": Flat()}).energy_ranges
