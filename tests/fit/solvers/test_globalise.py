"""Fits end in the best minimum, or say that they did not: cutoffs, breaks, sums of two power laws, optima at infinity.

The lowest statistics are those of the shared data, found by thousands of fits of two optimisers.
"""

import json

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

import gammajax as gj
from gammajax.fit.joint import make_problem
from gammajax.fit.solvers import run_scoring
from gammajax.fit.solvers.globalise import AUTO, SIGNS, automatic, distinct, scattered

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stacked(data_path):
    return gj.SpectrumDatasetOnOff.read(data_path / "convergence" / "crab_stacked.fits")


@pytest.fixture(scope="module")
def best(data_path):
    return json.loads((data_path / "convergence" / "best.json").read_text())


def source(spectral):
    return gj.SkyModel(spectral, name="s")


def ecpl(amplitude, index, cutoff, form="rate"):
    if form == "rate":
        return source(gj.ExpCutoffPowerLawSpectralModel(amplitude=amplitude, index=index, lambda_=1 / cutoff))
    # the same spectrum: exp((1 - E) / Ec) at 1 TeV
    amplitude = amplitude * np.exp(-1 / cutoff)
    return source(gj.ExpCutoffPowerLaw3FGLSpectralModel(amplitude=amplitude, index=index, ecut=cutoff))


def starts_of_cutoffs(n, seed):
    rng = np.random.default_rng(seed)
    return [(3e-11 * 30 ** rng.uniform(-1, 1), rng.uniform(1.2, 3.2), 10 * 30 ** rng.uniform(-1, 1)) for _ in range(n)]


@pytest.mark.parametrize("form", ["rate", "energy"])
def test_cutoffs_are_found_from_anywhere(stacked, best, form):
    """Both forms, from starts within a factor 30; a cutoff energy used to run away (5.8e-12, 3.2, 7.4 TeV)."""
    for start in [(5.847e-12 * np.exp(1 / 7.43), 3.177, 7.43), *starts_of_cutoffs(8, seed=3)]:
        result = gj.fit(stacked, ecpl(*start, form=form))
        assert result.success, (start, result.message)
        assert result.stat == pytest.approx(best["crab_stacked/ecpl"], abs=1e-3), start
        assert min(result.starts.stats) == pytest.approx(result.stat, abs=1e-6)


@pytest.fixture(scope="module")
def simulated(stacked):
    """Some 1,500 counts of a spectrum with a cutoff at 5 TeV, and the least statistic of such spectra by SciPy."""
    truth = np.array([5e-11, 2.0, 0.2])
    run = gj.fake(jax.random.key(5), stacked, gj.Models(ecpl(*truth[:2], 1 / truth[2])))
    stat = jax.jit(lambda a, i, r: gj.stat_sum(run, gj.Models(ecpl(a, i, 1 / r))))
    least = minimize(
        lambda x: float(stat(*(x * truth))), np.ones(3), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-7}
    ).fun
    return run, least


def test_a_grid_of_starts_leads_to_one_minimum(simulated):
    """32 of 32, where 12 used to end in the minimum of a rate without end."""
    run, least = simulated
    for rate in (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0):
        for index in (1.0, 1.5, 2.0, 2.5):
            result = gj.fit(run, ecpl(2e-12, index, 1 / rate))
            assert result.success and result.stat == pytest.approx(least, abs=1e-3), (rate, index)


@pytest.mark.parametrize("start", [(1.549e-12, 2.454, 0.01636, 0.5318), (1.792e-12, 2.404, 0.01077, 1.674)])
def test_a_free_exponent_of_a_cutoff_is_found_or_named(simulated, start):
    """An exponent of -38.6 +- 793 was success, and edm = 0 where all curvature was lost."""
    run, least = simulated
    amplitude, index, rate, alpha = start
    spectrum = gj.ExpCutoffPowerLawSpectralModel(
        amplitude=amplitude, index=index, lambda_=rate, alpha=gj.Parameter(alpha, frozen=False)
    )
    result = gj.fit(run, source(spectrum))
    # exponent 1 is one of them
    assert result.stat < least + 0.1
    errors = [float(result.parameters[n].error) for n in result.free_names]
    assert np.all(np.isfinite(errors)) if result.success else result.status in ("at_infinity", "unconstrained")


def test_profiles_of_what_the_data_do_not_constrain(stacked):
    """At any second index the break may leave the data: a power law, 34.81. Statistics of 1e214 came without a word."""
    result = gj.fit(
        stacked, source(gj.BrokenPowerLawSpectralModel(amplitude=9.9e-11, index1=2.5, index2=2.5, ebreak=0.7))
    )
    assert result.status == "at_infinity"
    line = gj.fit(stacked, source(gj.PowerLawSpectralModel()))
    found = gj.profile(stacked, result, "index2", [-800.0, -50.0, 0.0, 4.0, 50.0, 1e3, 1e9])
    assert np.all(found.stat[found.converged] < line.stat + 0.01) and found.converged.sum() >= 3
    assert np.all(found.stat > result.stat - 0.01)


def test_two_forms_of_a_cutoff_converge_alike(stacked):
    compared = 0
    for start in starts_of_cutoffs(4, seed=8):
        rate, energy = (gj.fit(stacked, ecpl(*start, form=form), starts=1) for form in ("rate", "energy"))
        if not (rate.success and energy.success):
            continue
        lambda_, ecut = rate.parameters["s.spectral.lambda_"], energy.parameters["s.spectral.ecut"]
        assert float(ecut.value) * float(lambda_.value) == pytest.approx(1, rel=1e-4)
        assert float(ecut.error) / float(ecut.value) == pytest.approx(
            float(lambda_.error) / float(lambda_.value), rel=1e-3
        )
        assert abs(energy.evaluations - rate.evaluations) <= 6
        compared += 1
    assert compared >= 3


def test_joint_cutoffs_from_anywhere(joint_crab, best):
    datasets, *_ = joint_crab
    for start in starts_of_cutoffs(4, seed=5):
        for form in ("rate", "energy"):
            result = gj.fit(datasets, ecpl(*start, form=form))
            assert result.success and result.stat == pytest.approx(best["jc_all/ecpl"], abs=1e-3), (start, form)


def test_breaks_beyond_the_data_are_named(stacked, best):
    """The best second index is infinite: the statistic of the limit, and no "converged"."""
    for start in [(9.904e-11, 2.5, 2.5, 0.7), (2.831e-11, 2.033, 2.46, 1.973)]:
        values = dict(zip(("amplitude", "index1", "index2", "ebreak"), start, strict=True))
        result = gj.fit(stacked, source(gj.BrokenPowerLawSpectralModel(**values)))
        assert result.stat < best["crab_stacked/bpl"] + 0.1
        assert result.status == "at_infinity" and not result.success
        assert "converged" not in result.message.split(".")[0]
        assert "no best value of s.spectral.index2" in result.message
        assert float(result.parameters["s.spectral.index1"].value) == pytest.approx(2.61, abs=0.02)


@pytest.fixture(scope="module")
def straight(stacked):
    """Counts of a power law, to which a negative cutoff energy fits best."""
    models = gj.Models(source(gj.PowerLawSpectralModel(index=2.6, amplitude=3e-11)))
    return gj.fake(jax.random.key(0), stacked, models)


@pytest.mark.parametrize("ecut", [{"value": 10.0, "min": 0.0}, {"value": 1000.0, "min": 0.1}])
def test_a_cutoff_that_is_not_there_ends_at_infinity_and_the_rest_at_its_best(straight, ecut):
    """With a bound that keeps it positive: the power law, with its errors, and profiles of what is constrained."""
    line = gj.fit(straight, source(gj.PowerLawSpectralModel()))
    cutoff = gj.ExpCutoffPowerLaw3FGLSpectralModel(ecut=gj.Parameter(ecut["value"], "TeV", min=ecut["min"]))
    result = gj.fit(straight, source(cutoff))
    assert result.status == "at_infinity" and "no best value of s.spectral.ecut" in result.message
    assert result.stat == pytest.approx(line.stat, abs=1e-5) and result.evaluations < 80
    for name in ("s.spectral.index", "s.spectral.amplitude"):
        one, other = result.parameters[name], line.parameters[name]
        assert float(one.value) == pytest.approx(float(other.value), rel=1e-5)
        assert float(one.error) == pytest.approx(float(other.error), rel=1e-4)
    assert np.isinf(float(result.parameters["s.spectral.ecut"].error))
    curve = gj.profile(straight, result, "ecut", [10.0, 20.0, 100.0])
    assert np.all(np.diff(curve.delta_stat) < 0) and curve.delta_stat[-1] > 0.1
    bounded = gj.fit(straight, source(cutoff).replace(spectral=cutoff.replace(ecut=cutoff.ecut.replace(max=2000.0))))
    assert bounded.success and bounded.at_bound == ["s.spectral.ecut"]
    assert np.isnan(float(bounded.parameters["s.spectral.ecut"].error))


def test_a_rate_of_the_wrong_sign_is_left(stacked, best):
    """exp(+E / TeV): the first fit fades and ends nowhere, others do not."""
    result = gj.fit(stacked, source(gj.ExpCutoffPowerLawSpectralModel(lambda_=-1.0)))
    assert result.success and result.stat == pytest.approx(best["crab_stacked/ecpl"], abs=1e-3)


def test_transformations_and_other_methods_are_refused(stacked):
    def stat(rate):
        return gj.fit(stacked, source(gj.ExpCutoffPowerLawSpectralModel(lambda_=rate))).stat

    for transformed, at in ((jax.jit(stat), 0.1), (jax.grad(stat), 0.1), (jax.vmap(stat), np.array([0.1, 0.2]))):
        with pytest.raises(gj.InputError, match=r"gj\.fit is a program of its own"):
            transformed(at)
    with pytest.raises(gj.InputError, match="several starts are for method='scoring'"):
        gj.fit(stacked, source(gj.PowerLawSpectralModel()), "minuit", starts=3)


def test_components_that_merge_are_named(stacked):
    first, second = (
        gj.PowerLawSpectralModel(amplitude=a, index=i, reference=1.0)
        for a, i in ((2.822e-11, 2.284), (7.483e-11, 3.389))
    )
    result = gj.fit(stacked, source(first + second))
    # a single power law has 34.81
    assert result.stat < 34.81 and not result.success
    assert "converged" not in result.message.split(".")[0].replace("did not converge", "")


def test_models_of_one_minimum_pay_nothing(joint_crab, log_parabola):
    datasets, *_ = joint_crab
    models = log_parabola()
    before = run_scoring.count()
    auto, one = gj.fit(datasets, models), gj.fit(datasets, models, starts=1)
    assert auto.evaluations == one.evaluations and auto.starts.counts == (1,)
    assert auto.stat == one.stat and run_scoring.count() <= before + 1


def test_other_starts_compile_nothing(stacked):
    gj.fit(stacked, ecpl(2e-11, 2.0, 5.0), starts=1)
    before = run_scoring.count()
    result = gj.fit(stacked, ecpl(3e-11, 2.2, 15.0), starts=8)
    assert sum(result.starts.counts) == 8 and run_scoring.count() == before
    assert result.starts.stats == tuple(sorted(result.starts.stats))


def test_starts_are_scattered_the_same_way_each_time_and_inside_the_bounds(stacked):
    models = gj.Models([ecpl(2e-11, 2.0, 5.0)]).with_parameter("index", max=2.5)
    problem = make_problem(stacked, models)
    assert automatic(problem) == AUTO
    first = np.asarray(problem.start())
    others = [scattered(problem, first, k) for k in range(1, 8)]
    np.testing.assert_array_equal(others[0], scattered(problem, first, 1))
    names = problem.free_names
    index, rate = names.index("s.spectral.index"), names.index("s.spectral.lambda_")
    assert {round(o[index], 6) for o in others} <= {1.3, 2.0, 2.5}
    assert {round(o[rate], 6) for o in others} <= {0.02, 0.2, 2.0}
    assert len({tuple(o) for o in others[:3]}) == 3
    assert automatic(make_problem(stacked, source(gj.LogParabolaSpectralModel()))) == 1
    frozen = gj.Models([ecpl(2e-11, 2.0, 5.0)]).freeze("lambda_")
    assert automatic(make_problem(stacked, frozen)) == 1


def test_components_of_a_sum_are_subtracted_in_half_of_the_starts(stacked):
    """Two power laws bend a spectrum upwards, unless one is subtracted: each in turn, and not where bounds forbid."""
    first, second = (gj.PowerLawSpectralModel(amplitude=a, index=i) for a, i in ((3e-11, 2.0), (1e-11, 2.6)))
    problem = make_problem(stacked, source(first + second))
    assert automatic(problem) == 2 * AUTO
    start, names = np.asarray(problem.start()), problem.free_names
    amplitudes = [k for k, name in enumerate(names) if "amplitude" in name]
    indices = [k for k, name in enumerate(names) if "index" in name]
    found = [scattered(problem, start, k) for k in range(1, 8)]
    signs = [tuple(np.sign(x[amplitudes])) for x in found]
    assert signs == [(1, 1), (1, -1), (-1, 1), (1, 1), (1, 1), (1, -1), (-1, 1)]
    for x in (found[1], found[2]):
        assert x[amplitudes].sum() == pytest.approx(4e-11) and x[indices].mean() == pytest.approx(2.3)
    bounded = gj.Models([source(first + second)])
    for name in bounded.parameters.names:
        bounded = bounded.with_parameter(name, min=0) if "amplitude" in name else bounded
    problem = make_problem(stacked, bounded)
    assert all(np.all(scattered(problem, start, k)[amplitudes] > 0) for k in range(1, 8))


def test_a_cutoff_by_coefficient_and_exponent_moves_as_a_whole(stacked):
    """exp(-r E^a) with E in MeV: other starts have their cutoff a factor ten away, whatever the exponent."""
    spectrum = gj.SuperExpCutoffPowerLaw4FGLSpectralModel(
        amplitude=3e-11, index_1=2.0, index_2=gj.Parameter(0.8, frozen=False), expfactor=(5e6) ** -0.8
    )
    problem = make_problem(stacked, source(spectrum))
    names = problem.free_names
    exponent, coefficient = names.index("s.spectral.index_2"), names.index("s.spectral.expfactor")
    for k in range(1, 8):
        start = scattered(problem, np.asarray(problem.start()), k)
        cutoff = start[coefficient] ** (-1 / start[exponent])
        assert min(abs(np.log10(cutoff / e)) for e in (5e5, 5e6, 5e7)) < 1e-9


def test_each_dataset_may_have_another_best_start(joint_crab):
    """Spectra fitted together, with breaks of their own: no start suits all, and each ends in its best minimum."""
    run = joint_crab[0]["magic_obs5029747"]
    rng = np.random.default_rng(1)

    def broken(name):
        ebreak, index1 = 0.5 * 5 ** rng.uniform(-1, 1), rng.uniform(1.2, 3.2)
        spectral = gj.BrokenPowerLawSpectralModel(
            amplitude=5e-11 * 30 ** rng.uniform(-1, 1) * ebreak**-index1,
            index1=index1, index2=rng.uniform(1.8, 3.8), ebreak=ebreak,
        )  # fmt: skip
        return gj.SkyModel(spectral, name=name, datasets_names=f"run-{name}")

    sources = [broken(str(i)) for i in range(6)]
    datasets = gj.Datasets({f"run-{s.name}": run for s in sources})
    result = gj.fit(datasets, gj.Models(sources))
    alone = min(gj.fit(gj.Datasets({f"run-{s.name}": run}), s, starts=8).stat for s in sources)
    assert result.success and result.stat == pytest.approx(len(sources) * alone, abs=0.01)
    assert result.starts.stats[1] > result.stat + 1


def test_signs_are_orthogonal_and_ends_are_sorted():
    np.testing.assert_array_equal(SIGNS @ SIGNS.T, 16 * np.eye(16))
    minima = distinct([3.0, 1.0, 1.0004, np.inf, 2.0, 1.0])
    assert minima.stats == (1.0, 2.0, 3.0) and minima.counts == (3, 1, 1)


@pytest.mark.parametrize("starts", [0, -1, 17, 2.5, True, "many", None])
def test_bad_numbers_of_starts(stacked, starts):
    with pytest.raises(gj.InputError, match=r"starts must be 'auto' or a number from 1 to 16"):
        gj.fit(stacked, source(gj.PowerLawSpectralModel()), starts=starts)


@pytest.mark.parametrize(("counts", "background"), [([1.0] * 10, 4.0), ([2, 1, 1, 0, 2, 1, 0, 1, 1, 3], 4.0)])
@pytest.mark.parametrize("start", [(2.0, 2e-11), (1.5, -2e-11)])
@pytest.mark.parametrize("template", [False, True])
def test_deficits_are_found_from_either_sign(counts, background, start, template):
    """Fewer counts than background: amplitudes of the wrong sign or size lead to a deficit of one bin. So do norms."""
    edges, exposure = np.geomspace(1, 100, 11), 3e12
    counts = np.array(counts, float)
    dataset = gj.SpectrumDataset(
        edges, counts=counts, background=np.full(10, background), exposure=np.full(10, exposure)
    )
    index, amplitude = start
    spectrum = gj.PowerLawSpectralModel(index=index, amplitude=amplitude)
    if template:
        # a power law too: of index 2, tilted
        tilt = gj.Parameter(index - 2, frozen=False)
        table = gj.TemplateSpectralModel(edges, 1e-12 * edges**-2.0)
        spectrum = table * gj.PowerLawNormSpectralModel(norm=amplitude / 1e-12, tilt=tilt)
    result = gj.fit(dataset, gj.Models([gj.SkyModel(spectrum, name="source")]))

    def cash(parameters):
        index, norm = parameters
        flux = norm * 1e-12 * (edges[1:] ** (1 - index) - edges[:-1] ** (1 - index)) / (1 - index)
        mu = background + exposure * flux
        return np.inf if np.any(mu <= 0) else 2 * np.sum(mu - counts * np.log(mu))

    best = minimize(cash, [1.2, -1.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000})
    assert result.success
    np.testing.assert_allclose(result.stat, best.fun, atol=1e-6)
