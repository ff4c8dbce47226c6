"""Starts from coarse profiles, and what is said where a fit ended nowhere: vanished components, limits at infinity.

The lowest statistics are those of the shared data, or of thousands of fits from scattered starts.
"""

import json

import numpy as np
import pytest
from scipy.optimize import minimize

import gammajax as gj
from gammajax.fit.joint import make_problem
from gammajax.fit.scans import ConditionalFit
from gammajax.fit.solvers import run_scoring
from gammajax.fit.solvers.sweeps import ENERGIES, OFFSETS, sweeps, swept

pytestmark = pytest.mark.slow


def power_law(amplitude, index, **more):
    return gj.PowerLawSpectralModel(amplitude=amplitude, index=index, **more)


def broken(**more):
    return gj.BrokenPowerLawSpectralModel(amplitude=5e-11, index1=2.0, index2=2.6, **more)


def source(spectral, **more):
    return gj.SkyModel(spectral, name="s", **more)


@pytest.fixture(scope="module")
def best(data_path):
    return json.loads((data_path / "convergence" / "best.json").read_text())


@pytest.fixture(scope="module")
def fermi(joint_crab):
    return gj.Datasets({name: d for name, d in joint_crab[0].items() if name.startswith("fermi")})


@pytest.fixture(scope="module")
def fact(joint_crab):
    return gj.Datasets({name: d for name, d in joint_crab[0].items() if name.startswith("fact")})


def test_what_is_swept(fermi):
    """A break at energies of the data, in its own unit; the index of one of two alike components, of both if unlike."""
    (sweep,) = sweeps(make_problem(fermi, source(broken(ebreak="300 GeV"))))
    edges = np.asarray(fermi[0].energy_edges)[np.r_[np.asarray(fermi[0].mask), False]]
    assert len(sweep.values) == ENERGIES + 2 and np.all(np.diff(sweep.values) > 0)
    assert edges.min() * 800 < sweep.values[0] < edges.min() * 1e3 < sweep.values[1] < edges.min() * 2e3
    problem = make_problem(fermi, source(power_law(3e-11, 2.0) + power_law(1e-11, 2.6)))
    (sweep,) = sweeps(problem)
    names = problem.free_names
    assert [names[k] for k in (*sweep.places, *sweep.amplitudes, *sweep.beside)] == [
        "s.spectral.model2.index", "s.spectral.model2.amplitude", "s.spectral.model1.index",
    ]  # fmt: skip
    np.testing.assert_array_equal(sweep.values, OFFSETS)
    unlike = source(power_law(3e-11, 2.0) + gj.LogParabolaSpectralModel(amplitude=1e-11))
    assert len(sweeps(make_problem(fermi, unlike))) == 2
    unlike = source(power_law(3e-11, 2.0) + gj.ExpCutoffPowerLawSpectralModel(amplitude=1e-11))
    assert len(sweeps(make_problem(fermi, unlike))) == 2
    assert sweeps(make_problem(fermi, source(power_law(3e-11, 2.0)))) == []
    held = gj.Models([source(broken(ebreak=0.3))]).freeze("ebreak")
    assert sweeps(make_problem(fermi, held)) == []
    # with very many there is no end to it
    many = [gj.SkyModel(broken(ebreak=0.3), name=str(k)) for k in range(4)]
    assert sweeps(make_problem(fermi, gj.Models(many))) == []


def test_sources_of_their_own_datasets_are_swept_together(joint_crab):
    runs = (
        {k: joint_crab[0][f"veritas_{k}"] for k in ("54809", "57993")}
        if False
        else dict(list(joint_crab[0].items())[-2:])
    )
    models = gj.Models([gj.SkyModel(broken(ebreak=0.5), name=f"of-{n}", datasets_names=n) for n in runs])
    (sweep,) = sweeps(make_problem(gj.Datasets(runs), models))
    assert sweep.places.shape == sweep.below.shape == sweep.above.shape == (2,)


def test_starts_lie_at_minima_of_the_profile(fermi):
    """The lowest of them is as low as any fit with the break held at the values of the sweep."""
    problem = make_problem(fermi, source(broken(ebreak=0.3)))
    (sweep,) = sweeps(problem)
    before = run_scoring.count()
    starts, spent = swept(problem, sweep, np.asarray(problem.start()))
    assert run_scoring.count() <= before + 1 and 0 < spent < 30 * ENERGIES
    assert np.all(np.isin([s[sweep.places[0]] for s in starts], sweep.values))
    held = gj.Models([source(broken(ebreak=0.3))]).freeze("ebreak")
    lowest = min(gj.fit(fermi, held.with_values({"s.spectral.ebreak": e}), starts=1).stat for e in sweep.values)
    from_start = gj.fit(fermi, gj.Models([source(broken(ebreak=0.3))]).with_values(
        dict(zip(problem.free_names, starts[0], strict=True))), starts=1)  # fmt: skip
    assert from_start.stat <= lowest + 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_sums_and_breaks_are_found_from_anywhere(fermi, fact, best, seed):
    rng = np.random.default_rng(seed)
    amplitudes, indices = 3e-11 * 30 ** rng.uniform(-1, 1, 2), rng.uniform(1.2, 3.8, 2)
    first, second = (power_law(a, i) for a, i in zip(amplitudes, indices, strict=True))
    result = gj.fit(fermi, source(first + second))
    assert result.success and result.stat < best["jc_fermi/pl+pl"] + 0.01
    # thousands of fits had not found it: one component of index 9 is subtracted from the other
    assert gj.fit(fact, source(first + second)).stat < 43.31 < best["jc_fact/pl+pl"] - 1
    spectrum = gj.BrokenPowerLawSpectralModel(
        amplitude=amplitudes[0], index1=indices[0], index2=indices[1], ebreak=0.25 * 5 ** rng.uniform(-1, 1)
    )
    result = gj.fit(fermi, source(spectrum))
    assert result.success and result.stat < best["jc_fermi/bpl"] + 0.01


def test_errors_beside_a_parameter_at_infinity(fermi):
    """The spectrum is cut off within the last bin: how sharply is not known, and so neither where."""
    spectrum = gj.SmoothBrokenPowerLawSpectralModel(amplitude=5e-11, index1=2.0, index2=3.0, ebreak=0.5)
    result = gj.fit(fermi, source(spectrum))
    assert result.status == "at_infinity" and result.stat < 32.95
    error = {n.rpartition(".")[2]: float(result.parameters[n].error) for n in result.free_names}
    # NaN or infinite: how far out the fit ends is a matter of rounding
    assert np.isinf(error["index2"]) and not np.isfinite(error["ebreak"])
    assert "s.spectral.ebreak" in result.message
    at = result.free_names.index("s.spectral.ebreak")
    assert np.isinf(result.covariance[at, at]) and np.sum(result.covariance[at] != 0) == 1


@pytest.fixture(scope="module")
def deficit():
    edges = np.geomspace(0.5, 50, 16)
    return gj.SpectrumDataset(edges, counts=np.full(15, 15.0), background=np.full(15, 20.0), exposure=np.full(15, 1e13))


@pytest.mark.parametrize("amplitude", [1e-9, 1e-11, 1e-13, 1e-15, 1e-18])
def test_a_deficit_ends_at_the_bound(deficit, amplitude):
    """From any amplitude, however small: steps in its logarithm never arrived at zero, and ended as "flat"."""
    index = gj.Parameter(2.4, frozen=True)
    bounded = gj.Parameter(amplitude, "cm-2 s-1 TeV-1", min=0.0)
    result = gj.fit(deficit, source(power_law(bounded, index)))
    assert result.success and result.at_bound == ["s.spectral.amplitude"], result.message
    assert float(result.parameters["s.spectral.amplitude"].value) == 0 and result.evaluations < 30
    counts, background = np.asarray(deficit.counts), np.asarray(deficit.background)
    assert result.stat == pytest.approx(2 * np.sum(background - counts * np.log(background)), abs=1e-6)


class Reference:
    """The least W statistic of two power laws of free amplitudes, one index held, in NumPy.

    As a E^-i + b (E^-(i + d) - E^-i) / d, which is regular where the two merge (d = 0): there amplitudes are infinite.
    """

    def __init__(self, dataset):
        edges, self.low = np.log(np.asarray(dataset.energy_true_edges)), np.asarray(dataset.mask)
        nodes, weights = np.polynomial.legendre.leggauss(20)
        half = np.diff(edges)[:, None] / 2
        self.log = half * nodes + (edges[1:] + edges[:-1])[:, None] / 2
        self.width = half * weights * np.exp(self.log)
        self.fold = np.asarray(dataset.exposure)[:, None] * np.asarray(dataset.edisp.matrix)
        self.data = [np.asarray(x, float)[self.low] for x in (dataset.counts, dataset.counts_off, dataset.alpha)]

    def stat(self, index, a, b, d):
        one = np.exp(-index * self.log)
        other = one * (np.expm1(-d * self.log) / d if abs(d) > 1e-9 else -self.log)
        signal = ((self.width * (a * one + b * other)).sum(1) @ self.fold)[self.low] * 1e-11
        on, off, alpha = self.data
        c = alpha * (on + off) - (1 + alpha) * signal
        off_mean = (c + np.sqrt(c**2 + 4 * alpha * (1 + alpha) * off * signal)) / (2 * alpha * (1 + alpha))
        with np.errstate(divide="ignore", invalid="ignore"):
            pairs = ((on, signal + alpha * off_mean), (off, off_mean))
            terms = [2 * (mu - n + np.where(n > 0, n * np.log(n / mu), 0)) for n, mu in pairs]
        return np.sum(terms) if np.all(np.isfinite(terms)) else 1e30

    def profile(self, index):
        """The least from d on either side of the merging."""
        ends = []
        for start in ((3.0, 0.5, 0.3), (3.0, 0.5, 0.8), (3.0, -0.5, -0.5), (3.0, 5.0, 0.03)):
            for _ in range(3):
                # again, as a simplex collapses
                end = minimize(lambda x: self.stat(index, *x), start, method="Nelder-Mead", options={"maxiter": 1500})
                start = end.x
            ends.append(end.fun)
        return min(ends)


def test_no_point_of_a_profile_lies_above_what_its_neighbours_lead_to(fermi):
    """Nor above the profile: a fit that stopped on the wrong side of the merging of both said that it converged."""
    first, second = power_law(7e-11, 2.0), power_law(-3e-11, 1.2)
    result = gj.fit(fermi, source(first + second))
    values = np.linspace(1.0, 2.6, 9)
    found = gj.profile(fermi, result, "model1.index", values)
    fit = ConditionalFit(fermi, result, ["s.spectral.model1.index"], "profile")
    points = [fit.at(np.array([v])) for v in values]
    for one, other, stat in [*zip(points[1:], points, found.stat[1:], strict=False),
                             *zip(points, points[1:], found.stat, strict=False)]:  # fmt: skip
        assert stat <= min(one.stat, fit.from_neighbour(one, other).stat) + 1e-2
    reference = Reference(fermi[0])
    assert found.converged[:4].any()
    for value, stat, converged in zip(values[:5], found.stat, found.converged, strict=False):
        least = reference.profile(value)
        assert stat > least - 1e-2 and (stat < least + 1e-2 or not converged), value


@pytest.mark.parametrize("least", [0.0, -np.inf])
@pytest.mark.parametrize("amplitude", [1e-13, 1e-25, 1e-40])
def test_what_vanished_is_named_or_found_again(deficit, amplitude, least):
    """An amplitude too small to be seen: nothing else has an effect. From one that suits the shape the fit goes on."""
    models = source(power_law(gj.Parameter(amplitude, "cm-2 s-1 TeV-1", min=least), 2.4))
    alone = gj.fit(deficit, models, starts=1)
    assert alone.status == "vanished" and not alone.success
    assert alone.message.startswith(
        "The fit ended where a component of the model has vanished. The data would not miss s"
    )
    absent = gj.component_ts(deficit, alone, "s")
    assert absent.delta_ts == pytest.approx(0, abs=1e-3) and "Freeze its position, size and spectrum" in absent.message
    result = gj.fit(deficit, models)
    value = float(result.parameters["s.spectral.amplitude"].value)
    if least == 0:
        assert value == 0 and result.at_bound == ["s.spectral.amplitude"] and result.status == "unconstrained"
    else:
        good = source(power_law(gj.Parameter(-1e-12, "cm-2 s-1 TeV-1"), 2.4))
        assert value < 0 and result.stat == pytest.approx(gj.fit(deficit, good).stat, abs=1e-3)
        assert result.success and min(result.starts.stats) == pytest.approx(result.stat, abs=1e-6)


def cutoff(alpha, amplitude=4e-11, index=2.1, lambda_=0.3):
    alpha = gj.Parameter(alpha, frozen=False)
    return gj.ExpCutoffPowerLawSpectralModel(amplitude=amplitude, index=index, lambda_=lambda_, alpha=alpha)


def test_cutoffs_that_are_steps(fermi):
    """With a free exponent the best cutoff of these data is a step between two bins, and the smooth one is 0.37 higher,
    a minimum of its own. The step by itself: a cutoff whose exponent is held far out."""
    (sweep,) = sweeps(make_problem(fermi, source(cutoff(1.0))))
    assert len(sweep.exponents) == 1 and np.all(np.diff(sweep.values) < 0)
    held = gj.Models([source(cutoff(300.0, lambda_=0.63))]).freeze("s.spectral.alpha", "s.spectral.lambda_")
    step = gj.fit(fermi, held).stat
    for alpha, lambda_ in ((1.0, 0.3), (0.7, 2.0)):
        result = gj.fit(fermi, source(cutoff(alpha, lambda_=lambda_)))
        assert result.stat == pytest.approx(step, abs=0.1) and result.stat < 33.277 - 0.2
        assert not result.success and "s.spectral.alpha" in result.message
