"""What users hand in becomes numbers in the package's units."""

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Column, MaskedColumn

import gammajax as gj
from gammajax.datasets import InputError
from gammajax.datasets.units import edges_tev, number_in, to_unit


@pytest.mark.parametrize("given", ["500 GeV", 500 * u.GeV, 0.5])
def test_one_number(given):
    assert number_in(given, "TeV", "energy") == pytest.approx(0.5, rel=1e-15)


def test_lists():
    np.testing.assert_allclose(to_unit([1 * u.TeV, 2000 * u.GeV], "TeV", "x"), [1, 2], rtol=1e-15)
    assert number_in(-np.inf, "TeV", "x") == -np.inf
    assert to_unit(None, "TeV", "x") is None


def test_columns_of_tables():
    """Their unit counts, also where they are no Quantities."""
    for kind in (Column, MaskedColumn):
        column = kind([1000.0, 2000.0], unit="GeV")
        np.testing.assert_allclose(to_unit(column, "TeV", "x"), [1, 2], rtol=1e-15)
        np.testing.assert_array_equal(to_unit(kind([1.0, 2.0]), "TeV", "x"), [1, 2])
    masked = MaskedColumn([1.0, 2.0], mask=[False, True], unit="TeV")
    np.testing.assert_array_equal(to_unit(masked, "TeV", "x", masked=np.nan), [1, np.nan])
    with pytest.raises(InputError, match=r"^x: found 1 masked of 2 numbers"):
        to_unit(masked, "TeV", "x")
    with pytest.raises(InputError, match=r"x: found unit 's', expected one convertible to 'TeV'"):
        to_unit(Column([1.0], unit="s"), "TeV", "x")
    with pytest.raises(InputError, match="x: found"):
        to_unit(Column(["a"], unit="TeV"), "TeV", "x")
    spectrum = gj.SpectrumDataset(Column([1.0, 2, 4]), exposure=Column([1.0, 2.0], unit="m2 h"))
    np.testing.assert_allclose(spectrum.exposure, [3.6e7, 7.2e7], rtol=1e-15)


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
