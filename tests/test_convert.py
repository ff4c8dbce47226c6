"""What users hand in becomes numbers in the package's units."""

import astropy.units as u
import numpy as np
import pytest

import gammajax as gj
from gammajax.datasets.convert import edges_tev, number_in, to_unit
from gammajax.datasets.errors import InputError


@pytest.mark.parametrize("given", ["500 GeV", 500 * u.GeV, 0.5])
def test_one_number(given):
    assert number_in(given, "TeV", "energy") == pytest.approx(0.5, rel=1e-15)


def test_lists():
    np.testing.assert_allclose(to_unit([1 * u.TeV, 2000 * u.GeV], "TeV", "x"), [1, 2], rtol=1e-15)
    assert number_in(-np.inf, "TeV", "x") == -np.inf
    assert to_unit(None, "TeV", "x") is None


@pytest.mark.parametrize("given", ["one", "", "1 foo", "1 s", "5", object(), ["a"], [1 * u.TeV, 2 * u.s], 3 * u.s])
def test_refused(given):
    with pytest.raises(InputError, match=r"^energy: found"):
        to_unit(given, "TeV", "energy")


@pytest.mark.parametrize("given", [None, np.nan, [1, 2]])
def test_not_one_number(given):
    with pytest.raises(InputError, match=r"^energy: found"):
        number_in(given, "TeV", "energy")


@pytest.mark.parametrize("given", [None, "a", [["a"]]])
def test_edges(given):
    with pytest.raises(InputError, match=r"^edges: found"):
        edges_tev(given, "edges")
    spectrum = gj.SpectrumDataset([1.0, 2, 4], counts=[1, 2], background=[1.0, 1], exposure=[1e12, 1e12])
    with pytest.raises(InputError, match="resample_energy_axis: energy_edges: found"):
        spectrum.resample_energy_axis(given)


def test_fit_range_from_text():
    spectrum = gj.SpectrumDataset([1.0, 2, 4], counts=[1, 2], background=[1.0, 1], exposure=[1e12, 1e12])
    np.testing.assert_array_equal(spectrum.with_mask_fit(energy_min="2000 GeV").mask_fit, [False, True])
    with pytest.raises(InputError, match="energy_min: found 'two TeV'"):
        spectrum.with_mask_fit(energy_min="two TeV")
