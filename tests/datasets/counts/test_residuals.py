"""Residuals per bin."""

import jax
import numpy as np
import pytest

import gammajax as gj

EDGES = np.geomspace(1, 10, 5)
SOURCE = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-11, index=2.0), name="source")])


def known(**fields):
    given = {"counts": [30, 0, 5, 2], "background": [20.0, 4.0, 0.0, 1.0], "exposure": [1e12, 0.0, 0.0, 1e12]}
    return gj.SpectrumDataset(EDGES, **(given | fields))


def test_by_hand():
    dataset = known()
    flux = 1e-11 * (1 / EDGES[:-1] - 1 / EDGES[1:])
    expected = np.array([20.0, 4, 0, 1]) + flux * [1e12, 0, 0, 1e12]
    difference = np.array([30, 0, 5, 2]) - expected
    np.testing.assert_allclose(gj.residuals(dataset, SOURCE), difference, rtol=1e-12)
    np.testing.assert_allclose(gj.residuals(dataset, SOURCE, "diff/model")[:2], difference[:2] / expected[:2])
    np.testing.assert_allclose(gj.residuals(dataset, SOURCE, "diff/sqrt(model)")[1], -2.0)
    # counts where nothing is expected
    assert np.isposinf(gj.residuals(dataset, SOURCE, "diff/model")[2])
    assert np.isposinf(gj.residuals(dataset, SOURCE, "diff/sqrt(model)")[2])
    significance = gj.residuals(dataset, SOURCE, "significance")
    assert float(significance[0]) == pytest.approx(
        np.sign(difference[0]) * np.sqrt(2 * (30 * np.log(30 / expected[0]) - difference[0]))
    )
    assert float(significance[1]) == pytest.approx(-np.sqrt(8)) and 10 < float(significance[2]) < 100


def test_masked_and_empty_bins():
    dataset = known(counts=[30, 0, 0, 2], mask_safe=[True, True, True, False], mask_fit=[False, True, True, True])
    for method in ("diff", "diff/model", "diff/sqrt(model)", "significance"):
        found = np.asarray(gj.residuals(dataset, SOURCE, method))
        np.testing.assert_array_equal(np.isnan(found), [True, False, False, True])
        assert found[2] == 0, "nothing expected and nothing seen"


def test_on_off():
    dataset = gj.SpectrumDatasetOnOff(
        EDGES, counts=[30, 9, 5, 0], counts_off=[40, 3, 0, 2], acceptance_off=4, exposure=np.full(4, 1e11)
    )
    signal = np.asarray(gj.npred_signal(dataset, SOURCE))
    found = np.asarray(gj.residuals(dataset, SOURCE, "significance"))
    np.testing.assert_allclose(np.square(found), gj.stat_array(dataset, SOURCE), rtol=1e-12)
    np.testing.assert_array_equal(np.sign(found), np.sign(gj.residuals(dataset, SOURCE)))
    total = signal + np.asarray(gj.npred_background(dataset, SOURCE))
    np.testing.assert_allclose(gj.residuals(dataset, SOURCE, "diff/sqrt(model)"), (dataset.counts - total) / total**0.5)
    jitted = jax.jit(lambda d, m: gj.residuals(d, m, "significance"))(dataset, SOURCE)
    np.testing.assert_allclose(jitted, found, rtol=1e-12)


def test_background_models_count():
    norm = gj.FoVBackgroundModel(gj.PowerLawNormSpectralModel(norm=2.0))
    np.testing.assert_allclose(gj.residuals(known(), norm), [-10, -8, 5, 0])


def test_bad_input():
    with pytest.raises(gj.InputError, match="found method 'ratio', expected one of 'diff'"):
        gj.residuals(known(), SOURCE, "ratio")
    with pytest.raises(gj.InputError, match="no counts or no off counts"):
        gj.residuals(known(counts=None), SOURCE)


def test_flux_points():
    energy = np.array([1.0, 2.0, 4.0])
    points = gj.FluxPoints(energy, [2.0, 1.5, 1.0], 1e-11 * energy**-2, norm_err=[0.1, 0.1, 0.1])
    dataset = gj.FluxPointsDataset(points)
    np.testing.assert_allclose(gj.residuals(dataset, SOURCE, "diff/model"), [1.0, 0.5, 0.0], atol=1e-12)
    np.testing.assert_allclose(gj.residuals(dataset, SOURCE, "diff/sigma"), [10.0, 5.0, 0.0], atol=1e-10)
    with pytest.raises(gj.InputError, match="method must be 'diff', 'diff/model' or 'diff/sigma'"):
        gj.residuals(dataset, SOURCE, "significance")
    with pytest.raises(gj.InputError, match="residuals: found int"):
        gj.residuals(5, SOURCE)
