import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax.datasets import InputError
from gammajax.datasets.models import SkyModel
from gammajax.datasets.models.spectral import (
    BrokenPowerLawSpectralModel,
    CompoundSpectralModel,
    ConstantSpectralModel,
    ExpCutoffPowerLawNormSpectralModel,
    ExpCutoffPowerLawSpectralModel,
    GaussianSpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    ScaleSpectralModel,
    kinks_of,
)

PL, NORM = PowerLawSpectralModel(index=2.0), PowerLawNormSpectralModel(norm=3.0, tilt=0.5)
E = np.array([0.3, 1.0, 4.0])
EDGES = np.geomspace(0.1, 50, 12)
INTEGRATE = jax.jit(lambda m, e: m.integrate_bins(e, 12))


def test_operators_combine_models():
    np.testing.assert_allclose((PL * NORM)(E), 3e-12 * E**-2.5)
    np.testing.assert_allclose((PL / NORM)(E), 1e-12 / 3 * E**-1.5)
    np.testing.assert_allclose((PL + PL)(E), 2e-12 * E**-2)
    np.testing.assert_allclose((PL - 0.5 * PL)(E), 0.5e-12 * E**-2)
    assert [m.operator for m in (PL + PL, PL - PL, PL * NORM, PL / NORM)] == ["add", "sub", "mul", "truediv"]


def test_operators_take_numbers_and_quantities_on_both_sides():
    flux = 1e-12 / (u.TeV * u.s * u.cm**2)
    for number in (2, 2.0, np.float64(2), jnp.array(2.0), 2 * u.dimensionless_unscaled):
        for model in (PL * number, number * PL):
            assert isinstance(model, CompoundSpectralModel)
            np.testing.assert_allclose(model(E), 2e-12 * E**-2)
    np.testing.assert_allclose((PL / 2)(E), 0.5e-12 * E**-2)
    for model in (PL + 1e-12, 1e-12 + PL, PL + flux, flux + PL):
        np.testing.assert_allclose(model(E), 1e-12 * (1 + E**-2))
    np.testing.assert_allclose((1e-12 - PL)(E), 1e-12 * (1 - E**-2))
    np.testing.assert_allclose((1 - NORM)(E), 1 - 3 * E**-0.5)
    assert (1 / PL).unit == (u.Unit(PL.unit) ** -1).to_string("fits")
    assert all(p.frozen for n, p in (PL * 2).parameters.items() if n in ("norm", "tilt", "model2.reference"))


def test_units_are_checked():
    assert (PL * NORM).unit == (NORM * PL).unit == (PL / NORM).unit == PL.unit and (NORM * NORM).unit == ""
    assert (PL / PL).unit == ""
    with pytest.raises(InputError, match="needs two models of one unit"):
        PL + NORM
    with pytest.raises(InputError, match="unit 'TeV'"):
        PL + 2 * u.TeV
    with pytest.raises(TypeError):
        PL + "model"
    with pytest.raises(InputError, match="pow"):
        CompoundSpectralModel(PL, NORM, "pow")
    with pytest.raises(InputError, match="expected a spectral model"):
        CompoundSpectralModel(PL, 3.0, "mul")
    with pytest.raises(InputError):
        SkyModel(spectral=PL * PL, name="a")


def test_sums_are_integrated_term_by_term():
    wanted = INTEGRATE(PL, EDGES) - INTEGRATE(ConstantSpectralModel(), EDGES)
    np.testing.assert_allclose(INTEGRATE(PL - ConstantSpectralModel(), EDGES), wanted, rtol=1e-14)


def test_products_of_smooth_models_are_integrated_to_eight_digits():
    flat = ExpCutoffPowerLawNormSpectralModel(lambda_=5.0)
    wanted = INTEGRATE(ExpCutoffPowerLawSpectralModel(index=2.0, lambda_=5.0), EDGES)
    np.testing.assert_allclose(INTEGRATE(PL * flat, EDGES), wanted, rtol=1e-8)
    wanted = INTEGRATE(PowerLawSpectralModel(index=2.5, amplitude=3e-12), EDGES)
    np.testing.assert_allclose(INTEGRATE(PL * NORM, EDGES), wanted, rtol=1e-12)


def test_products_are_split_at_kinks():
    """A product with a power-law norm is again a broken power law: value and slope in ebreak keep their digits."""
    broken = BrokenPowerLawSpectralModel(index1=1.0, index2=3.0, ebreak=1.37)
    plain = BrokenPowerLawSpectralModel(index1=1.5, index2=3.5, ebreak=1.37, amplitude=3e-12 * 1.37**-0.5)
    np.testing.assert_allclose(INTEGRATE(broken * NORM, EDGES), INTEGRATE(plain, EDGES), rtol=1e-11)

    @jax.jit
    def slope(eb):
        return jax.jacfwd(lambda x: (broken.replace(ebreak=x) * NORM).integrate_bins(EDGES, 12))(eb)

    ends = [INTEGRATE(broken.replace(ebreak=1.37 + s) * NORM, EDGES) for s in (-1e-5, 1e-5)]
    np.testing.assert_allclose(slope(1.37), (ends[1] - ends[0]) / 2e-5, rtol=1e-6, atol=1e-22)


def test_a_narrow_line_is_not_missed():
    line = GaussianSpectralModel(mean=1.234, sigma=0.004)
    np.testing.assert_allclose(jnp.sum(INTEGRATE(line * PowerLawNormSpectralModel(), EDGES)), 1e-12, rtol=1e-9)


def test_names_are_unique_and_can_be_replaced():
    model = PL * NORM
    assert list(model.parameters) == ["index", "amplitude", "model1.reference", "tilt", "norm", "model2.reference"]
    assert float(model.replace(norm=7.0).norm.value) == 7
    changed = model.replace(model2=PowerLawNormSpectralModel(norm=2.0), index=3.0)
    np.testing.assert_allclose(changed(E), 2e-12 * E**-3)
    both = model + PL
    assert "model1.model1.index" in both.parameters and "model2.index" in both.parameters


def test_as_a_pytree():
    one, two = PL * NORM, PowerLawSpectralModel(index=4) * PowerLawNormSpectralModel()
    assert jax.tree_util.tree_structure(one) == jax.tree_util.tree_structure(two)
    stacked = jax.tree_util.tree_map(lambda a, b: jnp.stack([jnp.asarray(a), jnp.asarray(b)]), one, two)
    found = jax.vmap(lambda m: m.evaluate(E))(stacked)
    np.testing.assert_allclose(found, [one(E), two(E)])


def test_compound_extra_keys():
    data = (PL * NORM).extra_dict()
    assert data["operator"] == "mul" and data["model1"] is PL
    np.testing.assert_array_equal(CompoundSpectralModel.from_extra(data, {}, None)(E), (PL * NORM)(E))


def test_scale():
    model = ScaleSpectralModel(PowerLawNormSpectralModel(norm=4.0), norm=2.0)
    assert next(iter(model.parameters)) == "norm" and float(model.parameters["norm"].value) == 2
    assert [n for n, p in model.parameters.items() if not p.frozen] == ["norm"]
    np.testing.assert_allclose(model.replace(norm=3.0)(E), 12.0)
    scaled = ScaleSpectralModel(PL, norm=3)
    assert scaled.unit == PL.unit and kinks_of(scaled).size == 0
    np.testing.assert_allclose(INTEGRATE(scaled, EDGES), 3 * INTEGRATE(PL, EDGES), rtol=1e-15)
    again = ScaleSpectralModel.from_extra(scaled.extra_dict(), {"norm": scaled.norm}, None)
    np.testing.assert_array_equal(again(E), scaled(E))
    with pytest.raises(InputError, match="float"):
        ScaleSpectralModel(2.0)
