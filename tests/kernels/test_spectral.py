import functools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from cases import spectral as cases

from gammajax.kernels import spectral as k

KERNELS = {
    "pl": k.power_law,
    "pl-2": k.power_law_2,
    "bpl": k.broken_power_law,
    "sbpl": k.smooth_broken_power_law,
    "ecpl": k.exp_cutoff_power_law,
    "ecpl-3fgl": k.exp_cutoff_power_law_3fgl,
    "secpl-3fgl": k.super_exp_cutoff_power_law_3fgl,
    "secpl-4fgl": k.super_exp_cutoff_power_law_4fgl,
    "secpl-4fgl-dr3": k.super_exp_cutoff_power_law_4fgl_dr3,
    "lp": k.log_parabola,
    "lp2": k.log_parabola_2,
    "gauss": k.gaussian,
    "const": k.constant,
}


@pytest.mark.parametrize("tag", KERNELS)
def test_values_and_gradients_are_those_of_the_formula(tag):
    mp.mp.dps = 40
    case, rng = cases.CASES[tag], np.random.default_rng(1)
    value = jax.jit(lambda e, p: KERNELS[tag](e, **p))
    gradient = jax.jit(jax.jacfwd(lambda p, e: KERNELS[tag](e, **p)))
    for _ in range(4):
        parameters = {name: float(v) for name, v in case.sample(rng).items()}
        energies = 10 ** rng.uniform(-5, 2, 3)
        found, slopes = value(energies, parameters), gradient(parameters, energies)
        for i, energy in enumerate(energies):
            exact = cases.value(case, energy, parameters)
            if abs(exact) < 1e-250:
                assert abs(found[i]) < 1e-240
                continue
            np.testing.assert_allclose(float(found[i]), float(exact), rtol=1e-11)
            for name in parameters:
                step = abs(mp.mpf(parameters[name])) * mp.mpf(10) ** -12
                ends = [_shifted(case, energy, parameters, name, s * step) for s in (-1, 1)]
                exact_slope = (ends[1] - ends[0]) / (2 * step)
                # where a gradient is a difference of large terms, rounding is that of the terms
                allowed = 1e-9 * abs(exact_slope) + 1e-13 * abs(exact / parameters[name])
                assert abs(mp.mpf(float(slopes[name][i])) - exact_slope) < allowed, (name, parameters, energy)


def _shifted(case, energy, parameters, name, shift):
    numbers = {n: mp.mpf(float(v)) for n, v in parameters.items()}
    numbers[name] += shift
    return case.formula(mp.mpf(float(energy)), **numbers)


@functools.cache
def _compiled(function):
    def at(numbers):
        return function(*numbers)

    return jax.jit(lambda numbers: (at(numbers), jax.grad(at)(numbers), jax.hessian(at)(numbers)))


def _second(function, *numbers):
    """Value, gradient and Hessian in all numbers."""
    return _compiled(function)(tuple(float(n) for n in numbers))


EDGE_CASES = {
    "pl at zero amplitude": (k.power_law, (3.0, 2.0, 0.0, 1.0)),
    "pl-2 at index 1": (k.power_law_2, (3.0, 1.0, 1.0, 0.1, 100.0)),
    "pl-2 at index 1 and emin": (k.power_law_2, (0.1, 1.0, 1.0, 0.1, 100.0)),
    "bpl at the break": (k.broken_power_law, (3.0, 1.0, 2.0, 1.0, 3.0)),
    "sbpl at equal indices": (k.smooth_broken_power_law, (3.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0)),
    "sbpl at the break": (k.smooth_broken_power_law, (3.0, 2.0, 3.0, 1.0, 3.0, 1.0, 1.0)),
    "sbpl, sharp and far away": (k.smooth_broken_power_law, (100.0, 1.0, 5.0, 1.0, 1e-4, 1.0, 1e-3)),
    "ecpl without cutoff": (k.exp_cutoff_power_law, (3.0, 2.0, 1.0, 1.0, 0.0, 1.0)),
    "ecpl without cutoff, alpha 2": (k.exp_cutoff_power_law, (3.0, 2.0, 1.0, 1.0, 0.0, 2.0)),
    "ecpl without cutoff, alpha 0.5": (k.exp_cutoff_power_law, (3.0, 2.0, 1.0, 1.0, 0.0, 0.5)),
    "ecpl with a negative cutoff": (k.exp_cutoff_power_law, (3.0, 2.0, 1.0, 1.0, -0.1, 1.0)),
    "ecpl far beyond the cutoff": (k.exp_cutoff_power_law, (100.0, 2.0, 1.0, 1.0, 1e6, 3.0)),
    "ecpl far on the rise": (k.exp_cutoff_power_law, (100.0, 2.0, 1.0, 1.0, -1e6, 1.0)),
    "ecpl-3fgl far beyond the cutoff": (k.exp_cutoff_power_law_3fgl, (100.0, 2.0, 1.0, 1.0, 1e-4)),
    "secpl-3fgl at index_2 = 0": (k.super_exp_cutoff_power_law_3fgl, (3.0, 1.0, 1.0, 10.0, 2.0, 0.0)),
    "secpl-3fgl at E = Ec": (k.super_exp_cutoff_power_law_3fgl, (10.0, 1.0, 1.0, 10.0, 2.0, 1.0)),
    "secpl-3fgl far beyond": (k.super_exp_cutoff_power_law_3fgl, (100.0, 1.0, 1e-3, 1e-4, 2.0, 60.0)),
    "secpl-4fgl at index_2 = 0": (k.super_exp_cutoff_power_law_4fgl, (3.0, 1.0, 1.0, 1e-3, 2.0, 0.0)),
    "secpl-4fgl without cutoff": (k.super_exp_cutoff_power_law_4fgl, (3.0, 1.0, 1.0, 0.0, 2.0, 0.7)),
    "secpl-4fgl far beyond": (k.super_exp_cutoff_power_law_4fgl, (100.0, 1.0, 1e-3, 1e-3, 2.0, 40.0)),
    "dr3 at index_2 = 0": (k.super_exp_cutoff_power_law_4fgl_dr3, (3.0, 1.0, 1.0, 0.3, 2.0, 0.0)),
    "dr3 at the reference": (k.super_exp_cutoff_power_law_4fgl_dr3, (1.0, 1.0, 1.0, 0.3, 2.0, 0.7)),
    "dr3 at both": (k.super_exp_cutoff_power_law_4fgl_dr3, (1.0, 1.0, 1.0, 0.3, 2.0, 0.0)),
    "dr3 far beyond": (k.super_exp_cutoff_power_law_4fgl_dr3, (100.0, 1.0, 1e-5, 0.3, 2.0, 50.0)),
    "lp at the reference": (k.log_parabola, (1.0, 1.0, 1.0, 2.0, 1.0)),
    "gauss far away": (k.gaussian, (100.0, 1.0, 1.0, 1e-4)),
    "gauss at the mean": (k.gaussian, (1.0, 1.0, 1.0, 0.1)),
}


@pytest.mark.parametrize("name", EDGE_CASES)
def test_edge_cases_have_finite_values_gradients_and_hessians(name):
    function, numbers = EDGE_CASES[name]
    for part in _second(function, *numbers):
        assert np.all(np.isfinite(jax.tree_util.tree_leaves(part)))


def test_power_law_2_at_index_1_is_the_limit():
    """A / (E ln(emax/emin)); the derivative in the index is A / (E W) (ln(emin/E) + W/2), by hand."""
    value, gradient, hessian = _second(k.power_law_2, 3.0, 1.0, 1.0, 0.1, 100.0)
    width = np.log(1000)
    np.testing.assert_allclose(value, 1 / (3 * width), rtol=1e-14)
    d = np.log(0.1 / 3) + width / 2
    np.testing.assert_allclose(gradient[2], value * d, rtol=1e-13)
    np.testing.assert_allclose(hessian[2][2], value * (d**2 - width**2 / 12), rtol=1e-12)


def test_4fgl_dr3_at_index_2_zero_is_a_log_parabola():
    """Expansion of a L^2 (e^z - 1 - z) / z^2 at z = G2 L: a L^2/2, slope a L^3/6, curvature a L^4/12."""
    a, log_x = 0.3, np.log(3.0)
    value, gradient, hessian = _second(k.super_exp_cutoff_power_law_4fgl_dr3, 3.0, 1.0, 1.0, a, 2.0, 0.0)
    np.testing.assert_allclose(value, k.log_parabola(3.0, 1.0, 1.0, 2.0, a / 2), rtol=1e-14)
    np.testing.assert_allclose(gradient[5], -value * a * log_x**3 / 6, rtol=1e-13)
    np.testing.assert_allclose(hessian[5][5], value * ((a * log_x**3 / 6) ** 2 - a * log_x**4 / 12), rtol=1e-13)


@pytest.mark.parametrize("index_2", [1e-12, 1e-6, 0.0099, 0.0101, 0.5, -0.2])
def test_4fgl_dr3_has_no_seam(index_2):
    mp.mp.dps = 40
    numbers = {"amplitude": 1.0, "reference": 1.0, "expfactor": 0.3, "index_1": 2.0, "index_2": index_2}
    exact = cases.value(cases.CASES["secpl-4fgl-dr3"], 2.7, numbers)
    np.testing.assert_allclose(k.super_exp_cutoff_power_law_4fgl_dr3(2.7, **numbers), float(exact), rtol=1e-14)


def test_smooth_broken_power_law_at_equal_indices_is_the_power_law():
    value, gradient, _ = _second(k.smooth_broken_power_law, 3.0, 2.0, 2.0, 1.0, 0.5, 1.0, 1.0)
    np.testing.assert_allclose(value, 3.0**-2, rtol=1e-15)
    np.testing.assert_allclose(gradient[1] + gradient[2], -value * np.log(3.0), rtol=1e-13)


def test_hand_checked_numbers():
    np.testing.assert_allclose(k.power_law(2.0, 2.0, 1e-12, 1.0), 2.5e-13, rtol=1e-15)
    np.testing.assert_allclose(k.power_law_2(1.0, 1.0, 2.0, 1.0, 2.0), 2.0, rtol=1e-15)
    np.testing.assert_allclose(k.broken_power_law(jnp.array([0.5, 2.0]), 1.0, 3.0, 8.0, 1.0), [16.0, 1.0], rtol=1e-15)
    np.testing.assert_allclose(k.smooth_broken_power_law(2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 1.0), 0.25, rtol=1e-15)
    np.testing.assert_allclose(k.exp_cutoff_power_law(2.0, 0.0, 1.0, 1.0, 0.5, 3.0), np.exp(-1), rtol=1e-15)
    np.testing.assert_allclose(k.log_parabola(np.e, 1.0, 1.0, 2.0, 0.5), np.exp(-2.5), rtol=1e-15)
    np.testing.assert_allclose(k.gaussian(1.0, 1.0, 1.0, 1.0), 0.3989422804014327, rtol=1e-15)


def test_a_negative_cutoff_with_alpha_1_is_an_exponential_rise():
    np.testing.assert_allclose(k.exp_cutoff_power_law(3.0, 0.0, 1.0, 1.0, -0.1, 1.0), np.exp(0.3), rtol=1e-15)


def test_single_precision_stays_single_and_finite():
    energy = jnp.geomspace(1e-5, 100, 30, dtype=jnp.float32)
    for tag, kernel in KERNELS.items():
        numbers = {n: np.float32(v) for n, v in cases.CASES[tag].sample(np.random.default_rng(3)).items()}
        found = jax.jit(kernel)(energy, **numbers)
        assert found.dtype == jnp.float32 and np.all(np.isfinite(found)), tag
