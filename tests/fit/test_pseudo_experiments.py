"""Pseudo-experiments: each is a fit of counts that anyone can fit, and together they are what theory says."""

import dataclasses

import jax
import numpy as np
import pytest
from cases import maps
from scipy import stats

import gammajax as gj
from gammajax.fit.pseudo_experiments import _windows

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(spectrum_factory):
    """Fitted over other energies each, of which the programs of many fits take no more than they need."""
    on, known = spectrum_factory(0, exposure=1e13), spectrum_factory(1, on_off=False, exposure=1e13)
    bins = np.arange(on.n_reco)
    ranges = {"on": (bins >= 2) & (bins != 5), "known": bins < on.n_reco - 1}
    return gj.Datasets({k: d.replace(mask_fit=ranges[k]) for k, d in (("on", on), ("known", known))})


def test_what_is_not_fitted_is_left_out(runs, power_law):
    n = runs["on"].n_reco
    models = power_law()
    assert [d.fitted_range(models) for d in runs] == [(2, n), (0, n - 1)]
    # one length for both
    assert _windows(runs, models) == {"on": slice(1, n), "known": slice(0, n - 1)}
    assert _windows(runs, gj.Models([*models, gj.InstrumentModel(exposure=gj.Parameter(1.0), name="i")])) == {}
    nothing = runs["on"].replace(mask_fit=np.zeros(n, bool))
    assert nothing.fitted_range(models) is None


@pytest.fixture(scope="module")
def toys(runs, power_law):
    calls = []
    found = gj.pseudo_experiments(
        jax.random.key(0), runs, power_law(), 2000, progress=lambda *counted: calls.append(counted)
    )
    assert calls[-1] == (2000, 2000) and [c[0] for c in calls] == sorted(c[0] for c in calls)
    return found


def test_each_is_a_fit(toys, power_law):
    """Parameters, errors and statistic of `fit` on the same counts."""
    for i in (0, 1, 700, -1):
        result = gj.fit(toys.datasets(i), power_law())
        values = np.array([float(result.parameters[n].value) for n in toys.names])
        errors = np.array([float(result.parameters[n].error) for n in toys.names])
        assert np.max(np.abs(values - toys.parameters[i]) / errors) < 1e-6
        np.testing.assert_allclose(toys.errors[i], errors, rtol=1e-6)
        assert toys.stat[i] == pytest.approx(result.stat, rel=1e-11)
    assert list(np.unique(toys.status)) == [0] and len(toys) == 2000


def test_counts_are_poisson(runs, power_law, toys):
    """Mean and variance of on and off counts around what `fake` draws around."""
    drawn = [toys.datasets(i) for i in range(300)]
    on = runs["on"]
    background = np.asarray(on.background)
    wanted = {
        ("known", "counts"): np.asarray(gj.npred(runs["known"], power_law())),
        ("on", "counts"): np.asarray(gj.npred_signal(on, power_law())) + background,
        ("on", "counts_off"): np.asarray(on.counts_off),
    }
    for (name, field), expected in wanted.items():
        counts = np.array([np.asarray(getattr(d[name], field)) for d in drawn])
        chi2 = np.sum((counts - expected) ** 2 / np.where(expected > 0, expected, 1.0))
        assert abs(chi2 / (300 * np.sum(expected > 0)) - 1) < 0.1
        assert np.all(np.abs(counts.mean(axis=0) - expected) <= 5 * np.sqrt(expected / 300))


def test_pulls_and_coverage(toys):
    pulls = toys.pulls
    error = 1 / np.sqrt(len(toys))
    assert np.all(np.abs(pulls.mean(axis=0)) < 4 * error) and np.all(np.abs(pulls.std(axis=0) - 1) < 4 * error)
    for sigma, level in ((1.0, 0.6827), (2.0, 0.9545)):
        share = toys.coverage(sigma)
        assert share.shape == (2,) and np.all(np.abs(share - level) < 4 * np.sqrt(level * (1 - level) / len(toys)))
    np.testing.assert_array_equal(toys.coverage(), [toys.coverage(1.0), toys.coverage(2.0)])
    assert toys.p_value(toys.stat.max() + 1) == 1 / 2001 and toys.p_value(np.median(toys.stat)) == pytest.approx(
        0.5, abs=0.01
    )


def test_experiments_do_not_depend_on_how_many(runs, power_law, toys):
    few = gj.pseudo_experiments(jax.random.key(0), runs, power_law(), 5, batch_size=64)
    np.testing.assert_array_equal(few.parameters, toys.parameters[:5])
    other = gj.pseudo_experiments(jax.random.key(1), runs, power_law(), 5, batch_size=64)
    assert not np.any(other.stat == few.stat)
    # nor those of a dataset on the others
    alone = dataclasses.replace(few.draws, expected={"known": few.draws.expected["known"]}).counts(range(3))[0]
    np.testing.assert_array_equal(alone["counts"], few.draws.counts(range(3))[1]["counts"])
    assert not np.array_equal(*(alone["counts"][i] for i in (0, 1)))


def test_a_source_that_is_not_there(spectrum_factory):
    """The rise of the statistic without the source is half a chi-square of one degree of freedom (Chernoff)."""
    dataset = gj.Datasets({"run": spectrum_factory(0, on_off=False, background=300.0)})
    source = gj.SkyModel(gj.PowerLawSpectralModel(amplitude=0.0), name="source")
    source = gj.Models([source]).freeze("source.spectral.index").with_parameter("source.spectral.amplitude", min=0.0)
    background = gj.FoVBackgroundModel(datasets_names="run", name="bkg")
    null = gj.Models([background])
    both = gj.Models([*source.with_values({"source.spectral.amplitude": 1e-13}), background])
    key = jax.random.key(4)
    without = gj.pseudo_experiments(key, dataset, null, 2000)
    found = gj.pseudo_experiments(key, dataset, null, 2000, fit_models=both)
    ts = without.stat - found.stat
    assert np.all(without.success) and np.mean(found.success) > 0.99
    assert np.min(ts) > -1e-5 and abs(np.mean(ts < 1e-5) - 0.5) < 0.05
    positive = ts[ts > 1e-5]
    assert stats.kstest(positive, stats.chi2(1).cdf).pvalue > 1e-3


def test_maps(runs):
    """A Gaussian source on a map, of which the fit takes a part pixel by pixel."""
    empty = maps.small_map(n=44, n_energy=2, background=1.5)
    models = gj.Models(
        [
            maps.source(gj.GaussianSpatialModel(lon_0=83.64, lat_0=22.0, sigma=0.1), amplitude=6e-11),
            gj.FoVBackgroundModel(datasets_names="map"),
        ]
    )
    found = gj.pseudo_experiments(jax.random.key(2), gj.Datasets({"map": empty}), models, 40)
    assert np.all(found.success) and np.all(np.abs(found.pulls.mean(axis=0)) < 4 / np.sqrt(40))
    # the responses are those of the place where the source of each ended
    for number in (3, 17):
        single = gj.fit(found.datasets(number), models)
        values = np.array([float(single.parameters[name].value) for name in found.names])
        assert np.max(np.abs(values - found.parameters[number]) / found.errors[number]) < 1e-3
        assert found.stat[number] == pytest.approx(single.stat, abs=1e-5)


def test_what_is_refused(runs, power_law):
    key, models = jax.random.key(0), power_law()
    with pytest.raises(gj.InputError, match="positive whole number"):
        gj.pseudo_experiments(key, runs, models, 0)
    with pytest.raises(gj.InputError, match="'off', which is no dataset"):
        gj.pseudo_experiments(key, runs, models, 2, npred_background={"off": np.ones(12)})
    with pytest.raises(gj.InputError, match="inside a jax transformation"):
        jax.jit(lambda key: gj.pseudo_experiments(key, runs, models, 2).stat)(key)
