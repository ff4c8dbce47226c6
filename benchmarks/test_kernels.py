"""Kernels one by one: compilation and run apart. ``pytest benchmarks/test_kernels.py --benchmark-only``."""

from functools import partial

import jax
import numpy as np
import pytest

import gammajax as gj
from gammajax.datasets.compile import QUICK
from gammajax.fit.joint import exact_normal, from_free, make_problem, stat_and_normal, stat_of_free
from gammajax.kernels import cash, wstat

jax.config.update("jax_enable_x64", True)

pytest.importorskip("pytest_benchmark")

N_RUNS, N_TRUE, N_RECO = 100, 60, 30
N_BINS = 100_000


def per_bin_input():
    rng = np.random.default_rng(1)
    counts, off = (rng.poisson(mean, N_BINS).astype(float) for mean in (5.0, 20.0))
    return counts, off, np.full(N_BINS, 0.2), rng.uniform(0.1, 10.0, N_BINS)


def night():
    """On/off spectra of one source, all with the same response."""
    true, reco = np.geomspace(0.05, 200, N_TRUE + 1), np.geomspace(0.1, 100, N_RECO + 1)
    area = 1e13 * (1 - np.exp(-np.sqrt(true[:-1] * true[1:])))
    edisp = gj.EDispKernel.from_gauss(true, reco, 0.15)
    rng = np.random.default_rng(2)
    shape = 30 * (reco[:-1] / 0.3) ** -1.7
    datasets = {
        f"run-{i}": gj.SpectrumDatasetOnOff(
            reco, true, counts=rng.poisson(3 * shape), counts_off=rng.poisson(8 * shape), acceptance_off=8.0,
            exposure=area * rng.uniform(0.8, 1.2), edisp=edisp, livetime=1680.0,
        )
        for i in range(N_RUNS)
    }  # fmt: skip
    spectrum = gj.LogParabolaSpectralModel(amplitude=4e-12, alpha=2.3, beta=0.1, reference=1.0)
    return gj.Datasets(datasets), gj.Models([gj.SkyModel(spectrum, name="source")])


def cases():
    """Function, arguments, and whether a fit compiles it with the quick options, by name."""
    counts, off, alpha, mu = per_bin_input()
    datasets, models = night()
    problem = make_problem(datasets, models)
    spec, arrays = problem.spec, problem.arrays
    free = np.asarray(problem.start(), float)
    theta = from_free(arrays, free)

    return {
        "cash": (cash, (counts, mu), False),
        "wstat": (wstat, (counts, off, alpha, mu), False),
        "npred": (gj.npred, (datasets[0], models), False),
        "stat": (partial(stat_of_free, spec), (arrays, free), False),
        "value_and_grad": (jax.value_and_grad(partial(stat_of_free, spec), argnums=1), (arrays, free), False),
        "scoring_terms": (partial(stat_and_normal, spec), (arrays, theta), True),
        "exact_hessian": (partial(exact_normal, spec), (arrays, theta), True),
    }


CASES = ("cash", "wstat", "npred", "stat", "value_and_grad", "scoring_terms", "exact_hessian")


@pytest.fixture(scope="module")
def prepared():
    return cases()


def jitted(function, quick):
    """A new program: of a function that it knows, jit remembers the old one."""
    options = QUICK if quick and jax.default_backend() == "cpu" else None
    return jax.jit(lambda *arguments: function(*arguments), compiler_options=options)


@pytest.mark.parametrize("name", CASES)
def test_compile(benchmark, prepared, name):
    function, arguments, quick = prepared[name]
    benchmark.group = "compile"
    benchmark.pedantic(lambda: jitted(function, quick).lower(*arguments).compile(), rounds=3)


@pytest.mark.parametrize("name", CASES)
def test_run(benchmark, prepared, name):
    function, arguments, quick = prepared[name]
    benchmark.group = "run"
    program, on_device = jitted(function, quick), jax.device_put(arguments)
    value = jax.block_until_ready(program(*on_device))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(value))
    benchmark(lambda: jax.block_until_ready(program(*on_device)))
