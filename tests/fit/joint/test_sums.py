import jax
import numpy as np
import pytest
from cases import devices as device_cases

import gammajax as gj
from gammajax.datasets.map import plan
from gammajax.fit.joint import compiled_exact_normal, compiled_normal, compiled_value_and_grad, from_free, make_problem

pytestmark = pytest.mark.slow

N_RECO, N_TRUE = 12, 16


@pytest.fixture(scope="module")
def case():
    return device_cases.spectra(gj, n_reco=N_RECO, n_true=N_TRUE)


def test_batches_change_nothing(case):
    datasets, models = case
    result, batched = gj.fit(datasets, models), gj.fit(datasets, models, batch_size=4)
    assert batched.status == result.status == "converged" and batched.free_names == result.free_names
    assert batched.stat == pytest.approx(result.stat, rel=1e-12)
    for name in result.free_names:
        one, other = batched.parameters[name], result.parameters[name]
        sigma = float(other.error)
        assert float(one.value) == pytest.approx(float(other.value), rel=1e-10, abs=1e-10 * sigma)
        assert float(one.error) == pytest.approx(sigma, rel=1e-10)


def test_slopes_in_reverse_mode(case):
    plain, batched = (make_problem(*case, batch_size=n) for n in (None, 3))
    at = 1.01 * plain.start()
    value, slope = compiled_value_and_grad(plain.spec, plain.arrays, at)
    value_, slope_ = compiled_value_and_grad(batched.spec, batched.arrays, at)
    assert float(value_) == pytest.approx(float(value), rel=1e-12)
    unit = np.where(at == 0, 1.0, np.abs(at))
    np.testing.assert_allclose(slope_ * unit, slope * unit, rtol=1e-10, atol=1e-10 * np.max(np.abs(slope * unit)))


def memory(problem, program=compiled_normal):
    """Bytes of a step besides data and results, numbers that a member holds for itself, and directions."""
    theta = from_free(problem.arrays, problem.start())
    compiled = program._quick.lower(problem.spec, problem.arrays, theta).compile()
    (group,), (arrays,) = problem.spec.groups, problem.arrays["groups"]
    data = sum(x.size for x in jax.tree.leaves(arrays["data_own"])) / group.n_members
    s, q = group.n_shared, group.n_own + group.n_local
    return compiled.memory_analysis().temp_size_in_bytes, data, 1 + s + q


def test_memory_has_the_bound_that_is_stated(case):
    """In batches, what a step needs is as the documentation says, whatever the number of datasets."""
    datasets, models = case
    names = [f"{i}" for i in range(40)]
    many = gj.Datasets({name: datasets[i % 6] for i, name in enumerate(names)})
    background = models["run-0-bkg"].spectral
    backgrounds = [gj.FoVBackgroundModel(background, datasets_names=name) for name in names]
    all_models = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(), name="source"), *backgrounds])
    few_models = gj.Models(list(all_models)[:21])
    for batch, (sets, models) in {10: (many, all_models), 5: (many.select(names[:20]), few_models)}.items():
        problem = make_problem(sets, models, batch_size=batch)
        for program in (compiled_normal, compiled_exact_normal(problem.spec)):
            used, data, directions = memory(problem, program)
            rows = problem.spec.groups[0].batch
            of_spectrum = N_TRUE * sets[0].nodes * (1 + problem.spec.groups[0].n_shared) ** 2
            stated = 8 * (rows * (data + 2 * directions * (N_RECO + N_TRUE)) + of_spectrum)
            assert stated / 4 < used < 1.25 * stated


def test_memory_of_maps():
    """Images by transforms take three times their pixels in all true energies, for each derivative that is needed."""
    for free, images in {("sigma",): 4, ("lon_0",): 3}.items():
        datasets, models = device_cases.maps(gj, free=[f"source.spatial.{name}" for name in free])
        problem = make_problem(datasets, models, batch_size=1)
        used, data, directions = memory(problem)
        box = np.prod(problem.spec.groups[0].make.box)
        period = np.prod(plan(datasets[0], models["source"]).period)
        stated = 8 * (data + 2 * directions * 2 * box + 3 * images * 3 * period)
        assert stated / 4 < used < 1.25 * stated


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "all"])
def test_batch_sizes_are_checked(case, batch_size):
    with pytest.raises(gj.InputError, match=r"batch_size must be a positive integer or None, found"):
        gj.fit(*case, batch_size=batch_size)
