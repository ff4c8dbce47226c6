"""Profile likelihood intervals, limits and contours against analytic results, Minuit and refits."""

import math
from dataclasses import replace
from statistics import NormalDist

import equinox as eqx
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from astropy import units as u
from scipy.optimize import brentq

import gammajax as gj
from gammajax.fit.scans import ConditionalFit
from gammajax.fit.solvers import run_scoring

pytestmark = pytest.mark.slow

AMPLITUDE, INDEX = "source.spectral.amplitude", "source.spectral.index"


@pytest.fixture(scope="module")
def counting(spectrum_factory, power_law):
    """Asimov data without background and a fit of the amplitude alone: an experiment that counts N events."""
    dataset = spectrum_factory(on_off=False, noise=False, background=0.0, amplitude=2e-12).replace(background=None)
    models = power_law(amplitude=2e-12).freeze(INDEX)
    return dataset, gj.fit(dataset, models, tolerance=1e-12)


@pytest.fixture(scope="module")
def runs(spectrum_factory, power_law):
    datasets = gj.Datasets({f"run-{i}": spectrum_factory(i) for i in range(6)})
    return datasets, gj.fit(datasets, power_law())


@pytest.fixture(scope="module")
def crab(joint_crab, log_parabola):
    return joint_crab[0], gj.fit(joint_crab[0], log_parabola())


def counting_roots(n, delta):
    """Roots x = A / A_best of 2 N (x - 1 - ln x) = delta."""

    below = -mpmath.exp(-1 - mpmath.mpf(delta) / (2 * n))
    return [float(-mpmath.lambertw(below, branch)) for branch in (0, -1)]


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 4.0])
def test_counting_experiment_is_analytic(counting, sigma):
    dataset, result = counting
    n = float(np.sum(dataset.counts))
    assert 5 < n < 100  # few enough to be asymmetric
    interval = gj.confidence_interval(dataset, result, "amplitude", sigma)
    best, error = interval.value, float(result.parameters[AMPLITUDE].error)
    low, high = counting_roots(n, sigma**2)
    assert interval.lower == pytest.approx(best * low, abs=1e-5 * error)
    assert interval.upper == pytest.approx(best * high, abs=1e-5 * error)
    assert interval.errp > interval.errn > 0 and interval.converged
    assert (interval.lower_end, interval.upper_end, interval.message) == ("reached", "reached", "")
    assert interval.unit == result.parameters[AMPLITUDE].unit and interval.name == AMPLITUDE
    assert interval.evaluations < 15


def test_upper_limit_is_analytic(counting):
    dataset, result = counting
    for confidence in (0.9, 0.95, 0.999):
        limit = gj.upper_limit(dataset, result, AMPLITUDE, confidence)
        z = mpmath.sqrt(2) * mpmath.erfinv(2 * confidence - 1)
        expected = counting_roots(float(np.sum(dataset.counts)), z**2)[1]
        assert float(limit) == pytest.approx(limit.best * expected, rel=1e-6, abs=0)
        assert limit.quantity.unit == u.Unit("TeV-1 s-1 cm-2") and limit.end == "reached"
    assert "0.999 confidence" in repr(limit) and AMPLITUDE in repr(limit)


def test_a_limit_cannot_be_taken_for_the_best_fit(counting):
    limit = gj.upper_limit(*counting, AMPLITUDE)
    with pytest.raises(AttributeError, match=r"write \.limit or .* for the limit, \.best"):
        _ = limit.value
    assert limit.best == counting[1].parameters[AMPLITUDE].value and not limit.below_zero


def test_a_negative_limit_says_so():
    """Forty counts over a known background of a hundred: the limit of the signal is mu - 100 at the root of the rise
    of 2 (mu - n ln mu), which is below zero."""
    run = gj.SpectrumDataset([1.0, 10.0], counts=[40], background=[100.0], exposure=[1e13])
    models = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-12, index=2.0), name="source")])
    models = models.freeze("source.spectral.index")
    result = gj.fit(run, models)
    z2 = NormalDist().inv_cdf(0.95) ** 2
    root = brentq(lambda mu: 2 * (mu - 40 - 40 * np.log(mu / 40)) - z2, 40, 90)
    with pytest.warns(UserWarning, match=r"upper_limit of source.spectral.amplitude: -5.*The limit is negative.*min=0"):
        limit = gj.upper_limit(run, result, AMPLITUDE)
    assert limit.limit == pytest.approx((root - 100) / 1e13 / 0.9, rel=1e-6) and limit.limit < 0
    assert limit.below_zero and "The limit is negative" in repr(limit)
    bounded = gj.fit(run, models.with_parameter(AMPLITUDE, min=0.0, value=5e-12))
    assert gj.upper_limit(run, bounded, AMPLITUDE).limit > 0


def test_profile_of_the_counting_experiment(counting):
    dataset, result = counting
    scan = gj.profile(dataset, result, AMPLITUDE, n=9, sigma=3)
    x = scan.values / float(result.parameters[AMPLITUDE].value)
    n = float(np.sum(dataset.counts))
    np.testing.assert_allclose(scan.delta_stat, 2 * n * (x - 1 - np.log(x)), atol=1e-8)
    assert scan.converged.all() and scan.new_minimum is None
    table = scan.table()
    assert len(table) == 9 and table["value"].unit == u.Unit(scan.unit) and table.meta["parameter"] == AMPLITUDE
    # Quantities in any equivalent unit, in any order; nothing else is free, so that nothing is left to optimise
    values = u.Quantity(scan.values[[8, 0, 4]], scan.unit).to("cm-2 s-1 GeV-1")
    for reoptimize in (True, False):
        again = gj.profile(dataset, result, AMPLITUDE, values, reoptimize=reoptimize)
        np.testing.assert_allclose(again.stat, scan.stat[[8, 0, 4]], atol=1e-9)


def test_joint_crab_is_nearly_gaussian(crab):
    datasets, result = crab
    for name in result.free_names:
        interval = gj.confidence_interval(datasets, result, name, sigma=0.3)
        error = 0.3 * float(result.parameters[name].error)
        assert interval.value == float(result.parameters[name].value)
        assert interval.errn == pytest.approx(error, rel=0.03, abs=0) and interval.errp == pytest.approx(
            error, rel=0.03, abs=0
        )
        # asymmetry is of first order in the distance
        assert (interval.errn + interval.errp) / 2 == pytest.approx(error, rel=2e-3, abs=0)


def test_against_minos(crab):
    iminuit = pytest.importorskip("iminuit")
    datasets, result = crab
    density = gj.log_density(datasets, result.models)
    scale = np.array([float(result.parameters[n].error) for n in density.names])
    both = jax.jit(jax.value_and_grad(lambda z: -2 * density(density.initial + scale * z)))
    minuit = iminuit.Minuit(
        lambda z: float(both(z)[0]), np.zeros(3), grad=lambda z: np.asarray(both(z)[1]), name=density.names
    )
    minuit.errordef, minuit.strategy, minuit.tol = 1.0, 2, 1e-4
    minuit.migrad()
    # the level is found to 1e-2 tolerance of Minuit's own, which is why it is tightened
    minuit.minos()
    for i, name in enumerate(density.names):
        interval = gj.confidence_interval(datasets, result, name)
        lower, upper = minuit.merrors[name].lower * scale[i], minuit.merrors[name].upper * scale[i]
        assert interval.errn == pytest.approx(-lower, rel=1e-3, abs=0)
        assert interval.errp == pytest.approx(upper, rel=1e-3, abs=0)


def test_profile_against_refits(crab):
    datasets, result = crab
    scan = gj.profile(datasets, result, "alpha", n=5)
    held = gj.profile(datasets, result, "alpha", scan.values, reoptimize=False)
    for value, stat, fixed in zip(scan.values, scan.stat, held.stat, strict=True):
        models = result.models.with_parameter("alpha", value=value, frozen=True)
        assert stat == pytest.approx(gj.fit(datasets, models).stat, abs=1e-6)
        assert fixed == pytest.approx(float(gj.stat_sum(datasets, models)), abs=1e-8)
    assert np.all(held.stat >= scan.stat - 1e-9)


def test_contour(crab):
    datasets, result = crab
    curve = gj.contour(datasets, result, "alpha", "beta", sigma=1.5, n=8)
    assert curve.x[0] == curve.x[-1] and curve.y[0] == curve.y[-1] and len(curve.x) == 9
    assert curve.converged.all() and not curve.at_bound.any()
    for x, y in zip(curve.x[:-1], curve.y[:-1], strict=True):
        models = result.models.with_values({"alpha": x, "beta": y}).freeze("alpha", "beta")
        assert gj.fit(datasets, models).stat - result.stat == pytest.approx(2.25, abs=1e-3)
    # its extent is the interval of either parameter
    interval = gj.confidence_interval(datasets, result, "alpha", sigma=1.5)
    fine = gj.contour(datasets, result, "alpha", "beta", sigma=1.5, n=60)
    assert np.min(fine.x) == pytest.approx(interval.lower, abs=5e-3 * interval.errn)
    assert np.max(fine.x) == pytest.approx(interval.upper, abs=5e-3 * interval.errp)
    assert len(fine.table()) == 61 and fine.table()["x"].unit is not None
    assert fine.evaluations < 60 * 8


def test_one_program(runs):
    """A scan runs the program of the fit, whatever is held."""
    datasets, result = runs
    before = run_scoring.count()
    for name in (AMPLITUDE, INDEX):
        gj.profile(datasets, result, name, n=5)
        gj.profile(datasets, result, name, n=3, reoptimize=False)
        gj.confidence_interval(datasets, result, name)
    gj.upper_limit(datasets, result, AMPLITUDE)
    gj.contour(datasets, result, INDEX, AMPLITUDE, n=5)
    assert run_scoring.count() == before


def test_local_parameters(spectrum_factory):
    """Norms that act on one dataset each are held like any other parameter."""
    datasets = gj.Datasets(
        {f"run-{i}": spectrum_factory(10 + i, on_off=False, background=2000.0, exposure=1e14) for i in range(3)}
    )
    source = gj.SkyModel(gj.PowerLawSpectralModel(index=2.0, amplitude=1e-11), name="source")
    result = gj.fit(datasets, gj.Models([source, *(gj.FoVBackgroundModel(datasets_names=n) for n in datasets.names)]))
    name = "run-1-bkg.spectral.norm"
    interval = gj.confidence_interval(datasets, result, name)
    assert (interval.errn + interval.errp) / 2 == pytest.approx(float(result.parameters[name].error), rel=1e-3, abs=0)
    value = interval.upper
    held = result.models.with_parameter(name, value=value, min=value, max=value)
    assert gj.fit(datasets, held).stat - result.stat == pytest.approx(1, abs=1e-4)
    curve = gj.contour(datasets, result, name, "run-2-bkg.spectral.norm", n=4)
    held = result.models
    for norm, value in {name: curve.x[1], "run-2-bkg.spectral.norm": curve.y[1]}.items():
        held = held.with_parameter(norm, value=value, min=value, max=value)
    assert gj.fit(datasets, held).stat - result.stat == pytest.approx(1, abs=1e-3)


def test_linked_parameters(runs):
    datasets, alone = runs
    spectrum = gj.PowerLawSpectralModel(index=2.5, amplitude=3e-11)
    names = {"a": datasets.names[:3], "b": datasets.names[3:]}
    models = gj.Models([gj.SkyModel(spectrum, name=n, datasets_names=d) for n, d in names.items()])
    models = models.link("a.spectral.index", "b.spectral.index").link("a.spectral.amplitude", "b.spectral.amplitude")
    result = gj.fit(datasets, models)
    expected = gj.confidence_interval(datasets, alone, INDEX)
    for name in ("a.spectral.index", "b.spectral.index"):
        interval = gj.confidence_interval(datasets, result, name)
        assert interval.name == name
        assert (interval.errn, interval.errp) == pytest.approx((expected.errn, expected.errp), rel=1e-4, abs=0)
    with pytest.raises(gj.InputError, match="are one parameter"):
        gj.contour(datasets, result, "a.spectral.index", "b.spectral.index")


def test_priors_count(runs):
    datasets, free = runs
    value, error = (float(getattr(free.parameters[INDEX], k)) for k in ("value", "error"))
    prior = gj.GaussianPrior(mu=value, sigma=error / 10)
    result = gj.fit(datasets, free.models.with_parameter(INDEX, prior=prior))
    interval = gj.confidence_interval(datasets, result, INDEX)
    assert interval.errp == pytest.approx(error / math.sqrt(101), rel=1e-2, abs=0)


def test_bounds(runs):
    datasets, free = runs
    value, error = (float(getattr(free.parameters[INDEX], k)) for k in ("value", "error"))
    models = free.models.with_parameter(INDEX, max=value + 0.5 * error)
    result = gj.fit(datasets, models)
    interval = gj.confidence_interval(datasets, result, INDEX)
    assert interval.upper == value + 0.5 * error and interval.upper_end == "bound"
    assert interval.lower_end == "reached" and interval.errn == pytest.approx(error, rel=0.05, abs=0)
    assert "upper end is the parameter's bound" in interval.message and interval.message in repr(interval)
    limit = gj.upper_limit(datasets, result, INDEX)
    assert limit.limit == value + 0.5 * error and limit.end == "bound" and "bound" in limit.message
    scan = gj.profile(datasets, result, INDEX)
    assert scan.values[-1] == value + 0.5 * error and scan.values[0] < value - 1.9 * error
    curve = gj.contour(datasets, result, INDEX, AMPLITUDE, n=12)
    assert curve.at_bound.any() and not curve.at_bound.all()
    assert np.all(curve.x[curve.at_bound] == value + 0.5 * error)
    with pytest.raises(gj.InputError, match="inside the bounds"):
        gj.profile(datasets, result, INDEX, [value, value + error])


def test_best_at_a_bound(runs):
    """The statistic rises with a slope from there; the interval is one-sided."""
    datasets, free = runs
    value, error = (float(getattr(free.parameters[INDEX], k)) for k in ("value", "error"))
    bound = value + 2 * error
    result = gj.fit(datasets, free.models.with_parameter(INDEX, value=bound, min=bound))
    assert result.at_bound == [INDEX]
    interval = gj.confidence_interval(datasets, result, INDEX)
    assert (interval.value, interval.lower, interval.errn, interval.lower_end) == (bound, bound, 0.0, "bound")
    models = result.models.with_parameter(INDEX, value=interval.upper, frozen=True)
    assert gj.fit(datasets, models).stat - result.stat == pytest.approx(1, abs=1e-4)
    assert len(gj.profile(datasets, result, INDEX, n=3).values) == 3
    curve = gj.contour(datasets, result, INDEX, AMPLITUDE, n=8)
    assert np.all(curve.x >= bound) and np.all(np.isfinite(curve.y))


def test_ends_that_are_not_reached(spectrum_factory, power_law):
    """A signal that the data do not demand: no lower end, no upper end of its index, never NaN."""
    dataset = spectrum_factory(4, amplitude=1e-20)
    models = power_law(amplitude=1e-13).freeze(INDEX)
    fitted = gj.fit(dataset, models.with_parameter(AMPLITUDE, min=0.0))
    interval = gj.confidence_interval(dataset, fitted, AMPLITUDE, sigma=5)
    assert interval.lower == 0.0 and interval.lower_end == "bound" and interval.upper_end == "reached"

    # two sources of one shape: only their sum is known
    twins = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-11), name=n) for n in ("a", "b")])
    twins = twins.freeze("a.spectral.index", "b.spectral.index")
    run = spectrum_factory(5)
    result = gj.fit(run, twins)
    assert result.status == "unconstrained" and result.degenerate
    interval = gj.confidence_interval(run, result, "a.spectral.amplitude")
    assert (interval.lower, interval.upper) == (-math.inf, math.inf)
    assert (interval.lower_end, interval.upper_end) == ("open", "open")
    assert interval.errn == math.inf and "not constrained" in interval.message and "nan" not in repr(interval)
    limit = gj.upper_limit(run, result, "a.spectral.amplitude")
    assert float(limit) == math.inf and not limit.advice
    # of what has vanished, too, and then with what to do
    gone = gj.upper_limit(run, replace(result, status=gj.Status.VANISHED), "a.spectral.amplitude")
    assert float(gone) == math.inf and "Freeze its position, size and spectrum" in gone.message
    with pytest.raises(gj.InputError, match=r"do not constrain a.spectral.amplitude: its error is infinite"):
        gj.profile(run, result, "a.spectral.amplitude")
    flat = gj.profile(run, result, "a.spectral.amplitude", [0.5e-11, 1e-11])
    assert np.all(np.abs(flat.delta_stat) < 1e-5)
    with pytest.raises(gj.InputError, match="does not close"):
        gj.contour(run, result, "a.spectral.amplitude", "b.spectral.amplitude", n=8)


class TwoWells(eqx.Module):
    """A power law whose index and norm are functions of one number: right at x = 1, nearly right at x = -0.85."""

    x: jax.Array

    def __call__(self, energy):
        index = 2.5 + 0.6 * (self.x**2 - 1) - 0.1 * (self.x - 1)
        return 3e-11 * (1 + 0.1 * (self.x - 1)) * energy**-index


def test_lower_minimum(spectrum_factory):
    run = spectrum_factory(7, noise=False)
    result = gj.fit(run, gj.Models([gj.SkyModel(TwoWells(jnp.asarray(-0.87)), name="s")]))
    name = "s.spectral.x"
    assert result.status == "converged" and result.free_names == (name,)
    near = gj.confidence_interval(run, result, name, sigma=0.5)
    assert -1 < near.lower < near.value < near.upper < -0.7
    scan = gj.profile(run, result, name, [-0.8, 0.0, 0.99])
    assert scan.delta_stat[1] > 0 > scan.delta_stat[2]
    again = gj.fit(run, scan.new_minimum)
    assert again.stat < result.stat - 1e-3
    # an interval whose search comes by there says so
    fit = ConditionalFit(run, result, [name], "confidence_interval")
    fit.require_no_new_minimum(fit.at(np.array([-0.8])))
    with pytest.raises(gj.InputError, match=r"lower minimum .*s\.spectral\.x.*Fit again from there"):
        fit.require_no_new_minimum(fit.at(np.array([0.99])))
    assert gj.confidence_interval(run, again, name, sigma=1).message == ""


def test_errors(runs, power_law):
    datasets, result = runs
    with pytest.raises(gj.InputError, match="no parameter 'colour'"):
        gj.profile(datasets, result, "colour")
    with pytest.raises(gj.InputError, match="reference is frozen"):
        gj.confidence_interval(datasets, result, "source.spectral.reference")
    for sigma in (0, -1, math.nan):
        with pytest.raises(gj.InputError, match="sigma must be"):
            gj.confidence_interval(datasets, result, INDEX, sigma)
        with pytest.raises(gj.InputError, match="sigma must be"):
            gj.contour(datasets, result, INDEX, AMPLITUDE, sigma)
        with pytest.raises(gj.InputError, match="sigma must be"):
            gj.profile(datasets, result, INDEX, sigma=sigma)
    for confidence in (0.3, 1.0, 95):
        with pytest.raises(gj.InputError, match=r"between 0\.5 and 1"):
            gj.upper_limit(datasets, result, INDEX, confidence)
    with pytest.raises(gj.InputError, match="3 points or more"):
        gj.contour(datasets, result, INDEX, AMPLITUDE, n=2)
    with pytest.raises(gj.InputError, match="finite"):
        gj.profile(datasets, result, INDEX, [2.0, math.nan])
    with pytest.raises(gj.InputError, match=r"did not converge.*Fit again.*max_iterations"):
        gj.profile(datasets, gj.fit(datasets, power_law(index=4.0, amplitude=1e-9), max_iterations=1), INDEX)
    with pytest.raises(gj.InputError, match="Give the datasets of the fit"):
        gj.profile(datasets[:2], result, INDEX)
    swapped = gj.Datasets(dict(zip(datasets.names, [datasets[0]] * 6, strict=True)))
    with pytest.raises(gj.InputError, match="at the fitted values the statistic of these datasets"):
        gj.profile(swapped, result, INDEX)
