"""Spectrum datasets: what they accept, refuse and derive."""

import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax.datasets import InputError
from gammajax.datasets.irf import EDispKernel
from gammajax.datasets.spectrum import SpectrumDataset, SpectrumDatasetOnOff

EDGES = np.array([1.0, 2, 4, 8])
BOTH = pytest.mark.parametrize("cls", [SpectrumDataset, SpectrumDatasetOnOff])


@BOTH
def test_units_are_converted_at_the_door(cls):
    dataset = cls(EDGES * 1000 * u.GeV, counts=[1, 2, 3], exposure=[1, 2, 3] * u.m**2 * u.hr, livetime=0.5 * u.hr)
    np.testing.assert_allclose(dataset.energy_edges, EDGES, rtol=1e-15)
    np.testing.assert_allclose(dataset.exposure, np.array([1, 2, 3]) * 1e4 * 3600, rtol=1e-15)
    assert dataset.livetime == 1800 and (dataset.n_reco, dataset.n_true) == (3, 3)
    np.testing.assert_allclose(dataset.energy_centers, np.sqrt(EDGES[:-1] * EDGES[1:]))


@BOTH
def test_arrays_are_copies_that_cannot_change(cls):
    counts = np.array([1.0, 2, 3])
    dataset = cls(EDGES, counts=counts)
    counts[0] = 9
    assert dataset.counts[0] == 1
    with pytest.raises(ValueError):
        dataset.counts[0] = 5


@BOTH
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"energy_edges": [1.0]}, "at least two bin edges"),
        ({"energy_edges": [1.0, 3, 2]}, "must be positive, finite and increasing"),
        ({"energy_edges": [0.0, 1, 2]}, "must be positive, finite and increasing"),
        ({"energy_edges": [1, 2] * u.cm}, "energy_edges: found unit 'cm', expected one convertible to 'TeV'"),
        ({"energy_true_edges": [1.0, np.nan]}, "energy_true_edges: edges must be positive"),
        ({"counts": [1, 2]}, r"counts has shape \(2,\), expected \(3,\), one per energy bin"),
        ({"counts": [1, -2, 3]}, r"counts must be finite and not negative, found -2\.0 in bin 1"),
        ({"counts": [1, np.nan, 3]}, r"counts must be finite and not negative, found nan in bin 1"),
        ({"exposure": [1, 2]}, r"exposure has shape \(2,\), expected \(3,\), one per true-energy bin"),
        ({"exposure": [1, 2, np.inf]}, "exposure must be finite"),
        ({"exposure": [1, 2, 3] * u.m**2}, "exposure: found unit 'm2', expected one convertible to 'cm2 s'"),
        ({"livetime": 3 * u.m}, "livetime: found unit 'm'"),
        ({"mask_safe": [True]}, r"mask_safe has shape \(1,\)"),
        ({"mask_fit": [True] * 4}, r"mask_fit has shape \(4,\)"),
        ({"edisp": np.eye(2)}, r"edisp has shape \(2, 2\), expected \(3, 3\)"),
        ({"edisp": -np.eye(3)}, "NaN, infinite or negative entries"),
        ({"edisp": np.ones(3)}, r"shape \(n_true, n_reco\) is needed"),
    ],
)
def test_bad_input(cls, changes, text):
    with pytest.raises(InputError, match=text):
        cls(**({"energy_edges": EDGES} | changes))


@pytest.mark.parametrize("field", ["counts_off", "acceptance", "acceptance_off"])
def test_bad_off_measurement(field):
    with pytest.raises(InputError, match=rf"{field} must be finite and not negative, found -1\.0 in bin 0"):
        SpectrumDatasetOnOff(EDGES, **({"counts_off": np.ones(3)} | {field: np.array([-1.0, 1, 1])}))


def test_checks_run_on_replaced_copies():
    with pytest.raises(InputError, match="background has shape"):
        SpectrumDataset(EDGES).replace(background=[1.0])
    with pytest.raises(InputError, match=r"mask_fit has shape"):
        SpectrumDataset(EDGES).with_mask_fit([True])


@BOTH
def test_masks(cls):
    dataset = cls(EDGES, counts=[1, 2, 3])
    assert dataset.mask is None
    fit = dataset.with_mask_fit(energy_min=2 * u.TeV)
    assert fit.mask.tolist() == [False, True, True] and dataset.mask_fit is None
    both = fit.with_mask_safe([True, True, False])
    assert both.mask.tolist() == [False, True, False]
    assert both.with_mask_fit().mask.tolist() == [True, True, False]
    assert dataset.with_mask_fit([1, 0, 1]).mask.tolist() == [True, False, True]
    with pytest.raises(InputError, match="either a mask or an energy range"):
        dataset.with_mask_fit([1, 0, 1], energy_min=1 * u.TeV)
    with pytest.raises(InputError, match="energy_min: found unit 's'"):
        dataset.with_mask_fit(energy_min=1 * u.s)


def test_only_bins_wholly_inside_are_fitted_whatever_the_rounding():
    dataset = SpectrumDataset((EDGES.astype(np.float32) * np.float32(0.1)).astype(float))
    assert dataset.energy_mask(0.1, 0.8).all()
    assert dataset.energy_mask(0.1001, 0.7999).tolist() == [False, True, False]
    assert dataset.energy_mask(100 * u.GeV, 400 * u.GeV).tolist() == [True, True, False]


def test_alpha_background_and_excess():
    fields = {"counts": [5, 5, 5], "counts_off": [10, 20, 30], "acceptance": 1, "acceptance_off": [10, 5, 0]}
    dataset = SpectrumDatasetOnOff(EDGES, **fields, mask_safe=[True, True, False])
    np.testing.assert_allclose(dataset.alpha, [0.1, 0.2, 0])
    np.testing.assert_allclose(dataset.background, [1, 4, 0])
    np.testing.assert_allclose(dataset.excess, [4, 1, 5])
    assert SpectrumDatasetOnOff(EDGES).background is None


def test_no_matrix_is_a_perfect_detector():
    dataset = SpectrumDataset(EDGES, energy_true_edges=[1.0, 4, 8], exposure=[1.0, 1])
    expected = EDispKernel.from_diagonal_response([1.0, 4, 8], EDGES).matrix
    np.testing.assert_allclose(dataset.apply_response(jnp.array([3.0, 5.0])), np.array([3.0, 5.0]) @ expected)


def test_traced_arrays_pass():
    @jax.jit
    def total(counts):
        return SpectrumDataset(EDGES, counts=counts).counts.sum()

    assert total(jnp.ones(3)) == 3


def test_edges_counts_and_background_come_first():
    edges, numbers = np.geomspace(1, 10, 3), np.ones(2)
    np.testing.assert_array_equal(SpectrumDataset(edges, None, numbers, 2 * numbers).background, 2 * numbers)
    np.testing.assert_array_equal(SpectrumDatasetOnOff(edges, None, numbers, 3 * numbers).counts_off, 3 * numbers)
    with pytest.raises(TypeError, match="positional"):
        SpectrumDataset(edges, None, numbers, numbers, np.ones((2, 2)))


def test_fit_ranges_that_meet():
    """Bins that an energy cuts are in neither range, which is said, unless energies are moved to edges."""
    dataset = SpectrumDataset([1.0, 1.4, 2.0, 2.8], counts=[1, 2, 3])
    with pytest.warns(UserWarning, match=r"1.5 TeV is inside the bin from 1.4 to 2 TeV.*round_to_edge=True"):
        low = dataset.with_mask_fit(energy_min=1, energy_max=1.5)
    with pytest.warns(UserWarning) as found:
        high = dataset.with_mask_fit(energy_min=1.5, energy_max=2.2)
    assert [str(w.message).split(" TeV")[0] for w in found] == ["with_mask_fit: 1.5", "with_mask_fit: 2.2"]
    assert low.mask.tolist() == [True, False, False] and not high.mask.any()
    # nearest in ln E: 1.5 to 1.4, 2.2 to 2
    low = dataset.with_mask_fit(energy_min=1, energy_max=1.5, round_to_edge=True)
    high = dataset.with_mask_fit(energy_min=1.5, energy_max=2.2, round_to_edge=True)
    assert (low.mask.astype(int) + high.mask).tolist() == [1, 1, 0]
    # 1.69 is nearer to 1.4 on a linear axis, and to 2 on a logarithmic one
    for interp, wanted in (("lin", [False, True, True]), ("log", [False, False, True])):
        assert dataset.replace(energy_interp=interp).energy_mask(1.69, None, True).tolist() == wanted
    # outside of the axis nothing is cut, and False says that it is meant
    for energies in ((0.5, 10), (1, 2.8), (1.4 * (1 + 1e-7), 2.8)):
        dataset.with_mask_fit(energy_min=energies[0], energy_max=energies[1])
    assert dataset.with_mask_fit(energy_min=1.5, round_to_edge=False).mask.tolist() == [False, False, True]
