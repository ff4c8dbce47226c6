"""The fit statistics of flux points as classes: what they share, and that scoring and derivatives agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import flux_points as cases

import gammajax as gj
from gammajax.datasets.flux_points import PointsSpec, column, data_arrays, require_positive
from gammajax.datasets.statistics import STATISTICS as ALL

N = cases.N
STATISTICS = ("chi2", "distrib", "profile")


@pytest.mark.parametrize("stat_type", STATISTICS)
def test_scoring_terms_are_derivatives(stat_type):
    program, arrays = cases.dataset(stat_type).prepare([], [])
    prepared = program(**arrays)
    assert prepared.statistic is ALL[stat_type] and prepared.mask.sum() == np.sum(cases.dataset(stat_type).mask)
    predicted = np.full(prepared.mask.shape, 20.0)
    predicted[:N] = np.nan_to_num(cases.columns(1)["norm"], nan=1.0)

    @jax.jit
    def both(p):
        value, slope = jax.value_and_grad(lambda p: jnp.sum(prepared.deviance_bins(p)))(p)
        return value, slope, prepared.scoring_bins(p)

    value, slope, (stat, scored, curvature) = both(predicted)
    assert float(value) == pytest.approx(float(jnp.sum(stat)), rel=1e-12)
    np.testing.assert_allclose(scored, slope, rtol=1e-9, atol=1e-9)
    assert np.all(np.isfinite(curvature)) and np.all(curvature >= 0)
    assert np.all(prepared.offset_bins() == 0)


@pytest.mark.parametrize("stat_type", STATISTICS)
def test_numbers_behind_masks_are_finite(stat_type):
    arrays, valid = data_arrays(stat_type, cases.points(), np)
    assert all(np.all(np.isfinite(values)) for values in arrays.values()) and not valid.all()
    traced, same = jax.jit(lambda p: data_arrays(stat_type, p, jnp))(cases.points())
    np.testing.assert_array_equal(valid, same)
    for name, values in arrays.items():
        np.testing.assert_allclose(traced[name], values, rtol=1e-9, atol=1e-9)


def test_predictions_are_norms():
    program, arrays = cases.dataset().prepare([], [])
    norms = np.asarray(program(**arrays).predict(list(cases.power_law())))[:N]
    np.testing.assert_allclose(norms, cases.AMPLITUDE * cases.ENERGY ** (2 - cases.INDEX) / 1e-12, rtol=1e-12)


def test_programs_do_not_depend_on_data():
    programs = [cases.dataset(seed=i).prepare([], [])[0] for i in range(2)]
    assert programs[0] == programs[1] and hash(programs[0]) == hash(programs[1])
    assert isinstance(programs[0], PointsSpec) and programs[0] != cases.dataset("distrib").prepare([], [])[0]


def test_helpers():
    assert np.isnan(column(cases.points(norm_ul=None), "norm_ul", np)).all()
    require_positive(np.array([1.0, -1.0]), np.array([True, False]), "x")
    with pytest.raises(gj.InputError, match=r"x must be positive, found -1.0 .* for point 1 \(1 such points\)"):
        require_positive(np.array([1.0, -1.0]), np.array([True, True]), "x")
