import astropy.units as u
import jax
import numpy as np
import pytest

from gammajax.datasets import InputError
from gammajax.datasets.models import Parameter
from gammajax.datasets.models.spectral import (
    LogParabolaNormSpectralModel,
    PiecewiseNormSpectralModel,
    PowerLawNormSpectralModel,
    from_log10,
)

ENERGY = [0.5, 1, 2, 5, 10, 20, 100, 200]


def test_norms_have_no_unit():
    for model in (PowerLawNormSpectralModel(), LogParabolaNormSpectralModel(), PiecewiseNormSpectralModel([1, 2])):
        assert model.unit == ""
        assert (model(2 * u.TeV)).unit == u.dimensionless_unscaled


@pytest.mark.parametrize(
    "interp, wanted",
    [
        ("log", [1.0, 1.0, 1.23202369, 1.62334541, 2.0, 1.31762516, 0.5, 0.5]),
        ("lin", [1.0, 1.0, 1.11111111, 1.44444444, 2.0, 1.83333333, 0.5, 0.5]),
    ],
)
def test_piecewise_norm_is_that_of_gammapy(interp, wanted):
    """Numbers made with gammapy 2.1."""
    model = PiecewiseNormSpectralModel([1, 10, 100] * u.TeV, [1, 2, 0.5], interp=interp)
    np.testing.assert_allclose(model.evaluate(np.array(ENERGY)), wanted, rtol=1e-8)


def test_piecewise_norm_parameters_keep_their_order_and_can_be_set():
    model = PiecewiseNormSpectralModel(np.arange(1, 14), np.arange(13.0))
    assert list(model.parameters) == [f"norm_{i}" for i in range(13)]
    assert float(model.norm_11.value) == 11 and not model.norm_11.frozen
    assert float(model.replace(norm_11=5).norm_11.value) == 5
    # value and error of each, in order
    assert [float(x) for x in jax.tree_util.tree_leaves(model.norms)[::2]] == list(range(13))
    with pytest.raises(InputError, match="norm_13"):
        model.replace(norm_13=1.0)
    with pytest.raises(AttributeError):
        _ = model.norm_13


@pytest.mark.parametrize("interp", ["log", "lin"])
def test_piecewise_norm_integral_is_the_sum_over_many_thin_bins(interp):
    model = PiecewiseNormSpectralModel([1, 10, 100] * u.TeV, [1, 2, 0.5], interp=interp)
    fine = np.geomspace(0.3, 400, 30001)
    integrate = jax.jit(lambda m, e: m.integrate_bins(e, 12))
    middle = np.sqrt(fine[1:] * fine[:-1])
    # midpoint rule in ln E
    thin = np.asarray(model.evaluate(middle)) * middle * np.diff(np.log(fine))
    np.testing.assert_allclose(integrate(model, fine[::10000]), thin.reshape(3, -1).sum(axis=1), rtol=1e-6)


def test_piecewise_norm_at_zero_and_negative_norms_is_finite():
    model = PiecewiseNormSpectralModel([1, 10, 100], [1.0, 0.0, -1.0])
    edges = np.geomspace(0.1, 1000, 9)
    value, slopes = jax.jit(lambda m: (m.evaluate(edges), jax.jacfwd(lambda x: x.integrate_bins(edges, 12))(m)))(model)
    assert np.all(np.asarray(value)[edges >= 10] == 0)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree_util.tree_leaves(slopes))


def test_piecewise_norm_extra_keys_round_trip():
    model = PiecewiseNormSpectralModel([1, 10] * u.GeV, [1.0, 3.0], interp="lin")
    data = model.extra_dict()
    assert data == {"energy": {"data": [0.001, 0.01], "unit": "TeV"}, "interp": "lin"}
    again = PiecewiseNormSpectralModel.from_extra(data, model.parameters, None)
    assert jax.tree_util.tree_structure(again) == jax.tree_util.tree_structure(model)
    np.testing.assert_array_equal(again.evaluate(np.array([0.002])), model.evaluate(np.array([0.002])))
    with pytest.raises(InputError, match="norm_1"):
        PiecewiseNormSpectralModel.from_extra(data, {"norm_0": Parameter(1.0)}, None)


@pytest.mark.parametrize("energy, norms", [([1], [1]), ([2, 1], None), ([0, 1], None), ([1, 2], [1, 2, 3])])
def test_piecewise_norm_refuses_bad_nodes(energy, norms):
    with pytest.raises(InputError):
        PiecewiseNormSpectralModel(energy, norms)


def test_piecewise_norm_refuses_unknown_interpolation():
    with pytest.raises(InputError, match="cubic"):
        PiecewiseNormSpectralModel([1, 2], interp="cubic")


def test_log10_curvature_of_a_parameter_keeps_its_state():
    found = from_log10(Parameter(np.log(10), error=0.1, frozen=True))
    assert found.frozen and float(found.value) == 1.0
    np.testing.assert_allclose(
        LogParabolaNormSpectralModel.from_log10(2.0, 1.0, 0.0, 1.0).evaluate(10.0), 0.2, rtol=1e-14
    )
