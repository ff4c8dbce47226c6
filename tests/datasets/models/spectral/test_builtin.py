"""Spectral models: what they declare, their bin integrals, and how they behave as pytrees."""

import dataclasses

import astropy.units as u
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from cases import spectral as cases

from gammajax.datasets import InputError
from gammajax.datasets.models.spectral import (
    SPECTRAL_MODELS,
    LogParabolaSpectralModel,
    PowerLaw2SpectralModel,
    PowerLawSpectralModel,
)
from gammajax.kernels import nodes_for

# What gammapy 2.1 declares, in its order: (name, default, unit, frozen).
A, TEV = ("amplitude", 1e-12, "TeV-1 s-1 cm-2", False), "TeV"
E0 = ("reference", 1.0, TEV, True)
DECLARED = {
    "const": [("const", 1e-12, "TeV-1 s-1 cm-2", False)],
    "pl": [("index", 2.0, "", False), A, E0],
    "pl-2": [
        ("amplitude", 1e-12, "s-1 cm-2", False),
        ("index", 2.0, "", False),
        ("emin", 0.1, TEV, True),
        ("emax", 100.0, TEV, True),
    ],
    "bpl": [("index1", 2.0, "", False), ("index2", 2.0, "", False), A, ("ebreak", 1.0, TEV, False)],
    "sbpl": [
        ("index1", 2.0, "", False),
        ("index2", 2.0, "", False),
        A,
        ("ebreak", 1.0, TEV, False),
        E0,
        ("beta", 1.0, "", True),
    ],
    "ecpl": [("index", 1.5, "", False), A, E0, ("lambda_", 0.1, "TeV-1", False), ("alpha", 1.0, "", True)],
    "ecpl-3fgl": [("index", 1.5, "", False), A, E0, ("ecut", 10.0, TEV, False)],
    "secpl-3fgl": [A, E0, ("ecut", 10.0, TEV, False), ("index_1", 1.5, "", False), ("index_2", 2.0, "", False)],
    "secpl-4fgl": [A, E0, ("expfactor", 1e-14, "", False), ("index_1", 1.5, "", False), ("index_2", 2.0, "", False)],
    "secpl-4fgl-dr3": [
        A,
        E0,
        ("expfactor", 0.01, "", False),
        ("index_1", 1.5, "", False),
        ("index_2", 2.0, "", False),
    ],
    "lp": [A, ("reference", 10.0, TEV, True), ("alpha", 2.0, "", False), ("beta", 1.0, "", False)],
    "lp2": [
        A,
        ("reference", 10.0, TEV, True),
        ("alpha", 2.0, "", False),
        ("beta", 1.0, "", False),
        ("escale", 1.0, TEV, True),
    ],
    "gauss": [("amplitude", 1e-12, "s-1 cm-2", False), ("mean", 1.0, TEV, False), ("sigma", 2.0, TEV, False)],
    "pl-norm": [("tilt", 0.0, "", True), ("norm", 1.0, "", False), E0],
    "lp-norm": [
        ("norm", 1.0, "", False),
        ("reference", 10.0, TEV, True),
        ("alpha", 0.0, "", False),
        ("beta", 0.0, "", False),
    ],
    "ecpl-norm": [
        ("index", 0.0, "", False),
        ("norm", 1.0, "", False),
        E0,
        ("lambda_", 0.1, "TeV-1", False),
        ("alpha", 1.0, "", True),
    ],
}

# Made with gammapy 2.1: parameters (others at their defaults), values at 0.02, 0.7, 5, 60 TeV, and integrals over
# 0.5-1 and 1-10 TeV (its log-log trapezoid, good to about 1e-4 where there is no closed form).
GAMMAPY = {
    "pl": (
        {"index": 2.3, "amplitude": 3e-12},
        [2.4252262746650886e-08, 6.813900110820255e-12, 7.404406352640119e-14, 2.4399075946269654e-16],
        [3.3745126769765366e-12, 2.192033715316784e-12],
    ),
    "pl-2": (
        {"amplitude": 4e-11, "index": 2.6, "emin": 0.3, "emax": 30.0},
        [2.438765825362937e-07, 2.3582681482629657e-11, 1.4207775235901165e-13, 2.221543585646441e-16],
        [1.1844879263231168e-11, 5.684336422640774e-12],
    ),
    "bpl": (
        {"index1": 1.7, "index2": 2.9, "amplitude": 3e-12, "ebreak": 0.9},
        [1.9390210693563375e-09, 4.599036461880522e-12, 2.0768805516249143e-14, 1.540940628646002e-17],
        [2.2211106834099736e-12, 1.1485999166476216e-12],
    ),
    "sbpl": (
        {"index1": 1.7, "index2": 2.9, "amplitude": 3e-12, "ebreak": 0.9, "beta": 0.4},
        [2.319361029357321e-09, 4.7148478655754695e-12, 2.478500861133827e-14, 1.8432025120763173e-17],
        [2.281686401422147e-12, 1.2520425278025932e-12],
    ),
    "ecpl": (
        {"index": 1.8, "amplitude": 3e-12, "lambda_": 0.15, "alpha": 1.2},
        [3.4265697197717284e-09, 5.332003332845412e-12, 8.155794031722508e-14, 1.6249023933980732e-21],
        [2.599186687796798e-12, 2.2810533788774117e-12],
    ),
    "ecpl-3fgl": (
        {"index": 1.8, "amplitude": 3e-12, "ecut": 7.0},
        [3.945195144877855e-09, 5.950554036584791e-12, 9.349900119585341e-14, 4.130160627423355e-19],
        [2.9019525952409804e-12, 2.535318669906089e-12],
    ),
    "secpl-3fgl": (
        {"amplitude": 3e-12, "ecut": 7.0, "index_1": 1.8, "index_2": 0.8},
        [4.19587896984435e-09, 6.007223164281409e-12, 9.522063299047536e-14, 8.825003335446796e-18],
        [2.931565479957919e-12, 2.530550851141611e-12],
    ),
    "secpl-4fgl": (
        {"amplitude": 3e-12, "reference": 0.05, "expfactor": 2e-05, "index_1": 1.8, "index_2": 0.7},
        [1.5900776526640018e-11, 2.1074262233958374e-14, 2.9465817275397424e-16, 3.4130868067534214e-20],
        [1.0293499355073436e-14, 8.360456466741449e-15],
    ),
    "secpl-4fgl-dr3": (
        {"amplitude": 3e-12, "reference": 0.05, "expfactor": 0.3, "index_1": 1.8, "index_2": 0.4},
        [1.395825341851581e-11, 5.595979838757638e-15, 1.1311603251918308e-18, 1.4999955761409954e-28],
        [2.8709850522352072e-15, 5.836051810530625e-16],
    ),
    "lp": (
        {"amplitude": 3e-12, "reference": 2.0, "alpha": 2.1, "beta": 0.2},
        [6.839953989101532e-10, 2.1819704801246664e-11, 3.7027252540038176e-13, 2.346229175786498e-16],
        [1.052805836870702e-11, 1.0115382052708843e-11],
    ),
    "lp2": (
        {"amplitude": 3e-12, "reference": 2.0, "alpha": 2.1, "beta": 0.2, "escale": 0.5},
        [2.4522849045511027e-09, 2.9191744589744386e-11, 2.872030780905492e-13, 9.137459347499294e-17],
        [1.4173030191989984e-11, 1.026158265388988e-11],
    ),
    "gauss": (
        {"amplitude": 3e-12, "mean": 2.0, "sigma": 0.7},
        [3.130243265456032e-14, 3.04787307981829e-13, 1.7559597999617468e-16, 0.0],
        [1.8150431971801945e-13, 2.7703088234704957e-12],
    ),
    "const": (
        {"const": 3e-12},
        [3e-12, 3e-12, 3e-12, 3e-12],
        [1.5000000000000037e-12, 2.7000000000000007e-11],
    ),
    "pl-norm": (
        {"tilt": 0.3, "norm": 1.4},
        [4.527089046041501, 1.558111825340898, 0.8638474078080134, 0.4099044758973299],
        [0.7688555866550837, 8.023744672545444],
    ),
    "lp-norm": (
        {"norm": 1.4, "reference": 2.0, "alpha": 0.1, "beta": 0.2},
        [0.0319197852824738, 1.247359791137934, 1.0799615324177798, 0.09854162538303295],
        [0.6296317421741617, 9.510002558473046],
    ),
    "ecpl-norm": (
        {"index": 0.2, "norm": 1.4, "lambda_": 0.15},
        [3.052243328216151, 1.3536534892905987, 0.47930633971951503, 7.618113669716294e-05],
        [0.6663564196730882, 4.59233053644147],
    ),
}


@pytest.mark.parametrize("tag", DECLARED)
def test_parameters_and_defaults_are_those_of_gammapy(tag):
    found = [(n, float(p.value), u.Unit(p.unit), p.frozen) for n, p in SPECTRAL_MODELS[tag]().parameters.items()]
    assert found == [(n, v, u.Unit(unit), frozen) for n, v, unit, frozen in DECLARED[tag]]


@pytest.mark.parametrize("tag", GAMMAPY)
def test_numbers_are_those_of_gammapy(tag):
    parameters, values, integrals = GAMMAPY[tag]
    model = SPECTRAL_MODELS[tag](**parameters)
    found = jax.jit(lambda m, e: m.evaluate(e))(model, np.array([0.02, 0.7, 5.0, 60.0]))
    np.testing.assert_allclose(found, values, rtol=1e-10)
    edges = np.array([0.5, 1.0, 10.0])
    found = jax.jit(lambda m, e: m.integrate_bins(e, nodes_for(edges)))(model, edges)
    np.testing.assert_allclose(found, integrals, rtol=1e-4)


@pytest.mark.parametrize("tag", cases.CASES)
def test_bin_integrals_agree_with_mpmath(tag):
    """To 1e-8 relative from 10 MeV to 100 TeV, at 10 and 24 bins per decade, also far beyond a cutoff."""
    mp.mp.dps = 20
    case, rng = cases.CASES[tag], np.random.default_rng(11)
    integrate = jax.jit(lambda m, e: m.integrate_bins(e, 12))
    for edges in cases.EDGES.values():
        assert nodes_for(edges) == 12
        for _ in range(4):
            parameters = case.sample(rng)
            found = integrate(case.cls(**parameters), edges)
            for j in rng.integers(0, len(edges) - 1, 3):
                exact = cases.integral(case, edges[j], edges[j + 1], parameters)
                if abs(exact) > 1e-280:
                    assert abs(mp.mpf(float(found[j])) / exact - 1) < 1e-8, (parameters, edges[j])
                else:
                    assert abs(found[j]) < 1e-270


@pytest.mark.parametrize("tag", cases.CASES)
def test_transformations(tag):
    """jit = eager, vmap = loop, gradient of the integral = central difference; one treedef whatever the numbers."""
    case, rng = cases.CASES[tag], np.random.default_rng(5)
    edges = np.geomspace(0.05, 20, 8)
    rows = [case.sample(rng) for _ in range(3)]
    models = [case.cls(**row) for row in rows]
    definitions = {jax.tree_util.tree_structure(m) for m in models}
    assert len(definitions) == 1
    leaves, definition = jax.tree_util.tree_flatten(models[0])
    assert isinstance(jax.tree_util.tree_unflatten(definition, leaves), case.cls)

    def total(model):
        return model.integrate_bins(edges, 12)

    # one program for all: the three models, and the first one with each parameter moved a little either way
    first, moved = models[0], []
    for name, p in first.parameters.items():
        moved += [first.replace(**{name: float(p.value) * (1 + s)}) for s in (-3e-6, 3e-6)]
    stacked = jax.tree_util.tree_map(lambda *leaf: jnp.asarray(np.stack(leaf)), *models, *moved)
    values, sums, slopes = jax.jit(jax.vmap(lambda m: (m.evaluate(edges), total(m), jax.jacfwd(total)(m))))(stacked)
    for i, model in enumerate(models):
        np.testing.assert_allclose(values[i], model.evaluate(edges), rtol=1e-12)
        np.testing.assert_allclose(sums[i], total(model), rtol=1e-11)
    for j, (name, p) in enumerate(first.parameters.items()):
        value = float(p.value)
        wanted = (sums[3 + 2 * j + 1] - sums[3 + 2 * j]) / (6e-6 * value)
        size = np.abs(wanted) + 1e-4 * np.abs(sums[0] / value) + 1e-290
        np.testing.assert_allclose((getattr(slopes, name).value[0] - wanted) / size, 0, atol=3e-6, err_msg=name)


def test_dataclasses_replace_and_equality_of_programs():
    model = PowerLawSpectralModel(index=2.5)
    other = dataclasses.replace(model, index=3.0)
    assert float(other.index.value) == 3.0 and float(other.amplitude.value) == 1e-12
    traces = []

    @jax.jit
    def f(m):
        traces.append(1)
        return m.evaluate(2.0)

    f(model), f(other), f(PowerLawSpectralModel(amplitude=0.0))
    assert len(traces) == 1


def test_zero_amplitude_is_zero_with_a_gradient():
    edges = np.geomspace(0.1, 10, 5)
    for tag in ("pl", "ecpl", "lp"):
        model = SPECTRAL_MODELS[tag](amplitude=0.0)
        slopes = jax.jit(jax.jacfwd(lambda m: m.integrate_bins(edges, 12)))(model)
        assert np.all(np.isfinite(jax.tree_util.tree_leaves(slopes)))
        assert np.all(slopes.amplitude.value > 0)


def test_parameters_in_other_units_mean_the_same():
    one = PowerLawSpectralModel(amplitude=2e-12, reference=0.5)
    two = PowerLawSpectralModel(amplitude=2e-15 / (u.GeV * u.s * u.cm**2), reference=500 * u.GeV)
    np.testing.assert_allclose(one.evaluate(3.0), two.evaluate(3.0), rtol=1e-14)
    with pytest.raises(InputError):
        PowerLaw2SpectralModel(amplitude=2e-12 / (u.TeV * u.s * u.cm**2))


def test_log10_curvature():
    model = LogParabolaSpectralModel.from_log10(3e-12, 1.0, 2.0, 0.5)
    np.testing.assert_allclose(model.evaluate(10.0), 3e-12 * 10 ** (-2 - 0.5), rtol=1e-14)
