"""Sums over bins of a dataset: what they conserve."""

import jax
import numpy as np
import pytest
from cases import reshape as reshape_cases

from gammajax.datasets import InputError
from gammajax.datasets.bins import on_host
from gammajax.datasets.counts import bin_sums, stored

TYPES, dataset, safe_total = (reshape_cases.TYPES, reshape_cases.dataset, reshape_cases.safe_total)


def halves(values):
    return np.stack([np.asarray(values)[:3].sum(0), np.asarray(values)[3:].sum(0)])


def any_half(values):
    return np.stack([np.asarray(values)[:3].any(0), np.asarray(values)[3:].any(0)])


def test_stored_fields():
    assert set(stored(dataset("MapDatasetOnOff"))) == {
        *("counts", "counts_off", "acceptance", "acceptance_off", "mask_safe", "mask_fit")
    }
    assert set(stored(dataset("SpectrumDataset", counts=None))) == {"background", "mask_safe", "mask_fit"}
    assert ["background" in stored(dataset(tag)) for tag in TYPES] == [True, False, True, False]


@pytest.mark.parametrize("tag", TYPES)
def test_counts_and_background_are_conserved(tag):
    before = dataset(tag)
    sums = bin_sums(before, halves, any_half)
    safe = np.asarray(before.mask_safe)
    assert sums["counts"].sum() == safe_total(before.counts, safe)
    np.testing.assert_array_equal(sums["mask_safe"], any_half(safe))
    np.testing.assert_array_equal(sums["mask_fit"], any_half(before.mask_fit))
    if tag.endswith("OnOff"):
        assert sums["counts_off"].sum() == safe_total(before.counts_off, safe)
        found = (
            sums["acceptance"] / np.where(sums["acceptance_off"] > 0, sums["acceptance_off"], 1) * sums["counts_off"]
        )
    else:
        found = sums["background"]
    np.testing.assert_allclose(found, halves(np.asarray(before.background) * safe), rtol=1e-14)


def test_off_acceptance():
    """Worked by hand: on/off bins (alpha n_off): 1/4 x 8, 2/4 x 0, 3/6 x 4; no off counts at all in the second half."""
    off = dataset(
        "SpectrumDatasetOnOff",
        counts_off=[8, 0, 4, 0, 0, 0],
        acceptance=[1, 2, 3, 1, 2, 5],
        acceptance_off=[4, 4, 6, 2, 8, 7],
        mask_safe=[True, True, True, True, True, False],
    )
    sums = bin_sums(off, halves, any_half)
    np.testing.assert_array_equal(sums["counts_off"], [12, 0])
    np.testing.assert_array_equal(sums["acceptance"], [6, 3])
    # 6 x 12 / (2 + 2); and the acceptances added up
    np.testing.assert_allclose(sums["acceptance_off"], [18, 10], rtol=1e-15)
    mean = bin_sums(off, halves, any_half, lambda values: halves(values) / 3)
    np.testing.assert_allclose(mean["acceptance"] / mean["acceptance_off"], [1 / 3, 3 / 10], rtol=1e-15)
    without = bin_sums(off.replace(counts_off=None, mask_safe=None), halves, any_half)
    assert "counts_off" not in without
    np.testing.assert_allclose(without["acceptance"] / without["acceptance_off"], [6 / 14, 8 / 17], rtol=1e-15)
    nothing = bin_sums(off.with_mask_safe(np.zeros(6, bool)), halves, any_half, lambda values: halves(values) / 3)
    np.testing.assert_array_equal(nothing["acceptance_off"], [0, 0])


def test_not_inside_jit():
    on_host(dataset(), "x")
    with pytest.raises(InputError, match="to_image: call it outside of jit"):
        jax.jit(lambda d: d.to_image().counts)(dataset("SpectrumDataset"))
    for name, arguments in (
        ("to_masked", ()),
        ("slice_by_energy", (1,)),
        ("slice_by_idx", ({"energy": slice(0, 1)},)),
        ("resample_energy_axis", ([1, 2],)),
        ("downsample", (2,)),
        ("pad", (1,)),
        ("cutout", (None, 1)),
        ("to_spectrum_dataset", (None,)),
    ):
        with pytest.raises(InputError, match=rf"{name}: call it outside of jit"):
            jax.jit(lambda d: getattr(d, name)(*arguments).counts)(dataset("MapDataset"))  # noqa: B023
