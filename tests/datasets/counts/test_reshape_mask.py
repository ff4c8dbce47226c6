"""Bins outside the safe mask emptied, and responses that know about it."""

import numpy as np
import pytest
from cases import reshape as reshape_cases

import gammajax as gj
from gammajax.datasets.counts import masked_edisp

GEOM, N_RECO, NX, NY, RECO, TRUE, TYPES, assert_carried, dataset = (
    reshape_cases.GEOM,
    reshape_cases.N_RECO,
    reshape_cases.NX,
    reshape_cases.NY,
    reshape_cases.RECO,
    reshape_cases.TRUE,
    reshape_cases.TYPES,
    reshape_cases.assert_carried,
    reshape_cases.dataset,
)


@pytest.mark.parametrize("tag", TYPES)
def test_to_masked(tag):
    before = dataset(tag)
    after = before.to_masked()
    assert_carried(after, before)
    safe = np.asarray(before.mask_safe)
    for name in ("counts", "background", "counts_off", "acceptance", "acceptance_off"):
        if hasattr(before, name):
            np.testing.assert_array_equal(getattr(after, name), np.asarray(getattr(before, name)) * safe, err_msg=name)
    for name in ("mask_safe", "mask_fit"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    np.testing.assert_array_equal(after.exposure, np.asarray(before.exposure) * safe.any(0))
    if tag.startswith("Map"):
        assert after.exposure[:, 2, 3].max() == 0 < after.exposure[:, 2, 4].min()
        np.testing.assert_array_equal(after.psf.values, before.psf.values)
        np.testing.assert_array_equal(after.edisp.values[:, [0, 3]], 0)
        np.testing.assert_array_equal(after.edisp.values[:, [1, 2, 4, 5]], before.edisp.values[:, [1, 2, 4, 5]])
        # one of the sixteen pixels that a pixel of the responses stands for is not enough
        np.testing.assert_array_equal(after.edisp.exposure, before.edisp.exposure)
    else:
        np.testing.assert_array_equal(after.edisp.matrix, np.asarray(before.edisp.matrix) * safe)
    again = after.to_masked()
    np.testing.assert_array_equal(again.counts, after.counts)


@pytest.mark.parametrize("tag", TYPES)
def test_without_a_mask_nothing_changes(tag):
    before = dataset(tag, mask_safe=None)
    assert before.to_masked() is before


def test_response_exposure_where_no_pixel_is_safe():
    mask = np.ones((N_RECO, NY, NX), bool)
    mask[:, :, :4] = False
    before = dataset("MapDataset", mask_safe=mask)
    after = before.to_masked()
    empty = np.zeros((3, 4), bool)
    empty[:, 0] = True
    for response in ("psf", "edisp"):
        new, old = (np.asarray(getattr(d, response).exposure) for d in (after, before))
        np.testing.assert_array_equal(new, np.where(empty, 0.0, old))
    assert after.psf.reach == before.psf.reach


def test_perfect_responses_and_migration_tables_become_matrices_only_if_needed():
    perfect = dataset("SpectrumDataset", edisp=None)
    matrix = np.asarray(gj.EDispKernel.from_diagonal_response(TRUE, RECO).matrix)
    safe = np.asarray(perfect.mask_safe)
    np.testing.assert_array_equal(masked_edisp(perfect).matrix, matrix * safe)
    assert masked_edisp(perfect, slice(1, 3)) is None
    assert masked_edisp(perfect.with_mask_safe(None)) is None
    table = gj.EDispMap.from_gauss(TRUE, np.linspace(0.2, 3, 60), 0.15)
    migrating = dataset("MapDataset", edisp=table)
    assert masked_edisp(migrating.with_mask_safe(None)) is table
    found = masked_edisp(migrating)
    assert isinstance(found, gj.EDispKernelMap)
    np.testing.assert_array_equal(
        np.asarray(found.values)[..., 0, 0], np.asarray(table.to_kernel_map(RECO).values)[..., 0, 0] * safe
    )
