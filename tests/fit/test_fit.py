"""Fits against analytic results, dense linear algebra and each other."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

import gammajax as gj

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(spectrum_factory):
    """Six on/off runs."""
    return gj.Datasets({f"run-{i}": spectrum_factory(i) for i in range(6)})


@pytest.fixture(scope="module")
def background_runs(background_runs_factory):
    """Five runs with a known background each, and a model with one source and five background norms and tilts."""
    return background_runs_factory(5, 10, background=2000.0, exposure=1e14)


def dense_covariance(datasets, result):
    """2 H^-1 from the Hessian of the joint density, by autodiff and a dense inverse."""
    density = gj.log_density(datasets, result.models)
    hessian = jax.jit(jax.hessian(density))(density.initial)
    scale = np.sqrt(-np.diag(hessian))
    return np.linalg.inv(-np.asarray(hessian) / np.outer(scale, scale)) / np.outer(scale, scale)


def test_one_parameter_fit_is_analytic(spectrum_factory, power_law):
    """Without background the best amplitude is counts / expected counts, with error amplitude / sqrt(counts)."""
    dataset = spectrum_factory(3, on_off=False).replace(background=None)
    models = power_law().freeze("source.spectral.index")
    result = gj.fit(dataset, models)
    expected = float(jnp.sum(gj.npred(dataset, models)))
    amplitude = result.parameters["source.spectral.amplitude"]
    assert float(amplitude.value) == pytest.approx(3e-11 * dataset.counts.sum() / expected, rel=1e-8, abs=0)
    assert float(amplitude.error) == pytest.approx(
        float(amplitude.value) / np.sqrt(dataset.counts.sum()), rel=1e-8, abs=0
    )
    assert result.evaluations <= 5


def test_asimov_data_return_the_truth(spectrum_factory, power_law):
    for on_off in (True, False):
        result = gj.fit(
            spectrum_factory(on_off=on_off, noise=False), power_law(index=3.0, amplitude=1e-10), tolerance=1e-14
        )
        assert float(result.parameters["index"].value) == pytest.approx(2.5, abs=1e-7)
        assert float(result.parameters["amplitude"].value) == pytest.approx(3e-11, rel=1e-7, abs=0)


def test_result(runs, power_law):
    result = gj.fit(runs, power_law())
    assert result.success and result.status == "converged" and result.edm < 1e-8
    assert result.stat == pytest.approx(float(gj.stat_sum(runs, result.models)), rel=1e-12)
    assert result.n_bins == 72 and result.ndf == 70
    assert result.free_names == ("source.spectral.index", "source.spectral.amplitude")
    np.testing.assert_allclose(result.covariance, dense_covariance(runs, result), rtol=1e-6)
    np.testing.assert_allclose(
        np.sqrt(np.diag(result.covariance)), [float(result.parameters[n].error) for n in result.free_names]
    )
    table = result.table()
    assert table.meta["status"] == "converged" and list(table["name"]) == list(result.parameters.names)
    assert "source.spectral.index = " in repr(result) and "converged" in repr(result)
    # bounds, names and frozen flags survive, start models do not change
    assert result.parameters["source.spectral.reference"].frozen
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.stat = 0.0


def test_local_parameters_against_a_dense_solution(background_runs):
    """Elimination of local blocks gives the minimum and the covariance of the dense problem."""
    datasets, models = background_runs
    result = gj.fit(datasets, models)
    assert result.success
    assert len(result.free_names) == 12
    density = gj.log_density(datasets, result.models)
    np.testing.assert_allclose(result.covariance, dense_covariance(datasets, result), rtol=1e-5, atol=1e-20)
    errors = np.array([float(result.parameters[n].error) for n in result.free_names])
    np.testing.assert_allclose(errors, np.sqrt(np.diag(result.covariance)), rtol=1e-10)
    slope = np.asarray(jax.grad(density)(density.initial)) * errors
    assert np.max(np.abs(slope)) < 1e-4
    # the same problem with every parameter global: a second model keeps no parameter local to one dataset
    assert [g.n_local for g in _problem(datasets, models).spec.groups] == [2]


def _problem(datasets, models):
    from gammajax.fit.joint import make_problem

    return make_problem(datasets, models)


def test_methods_agree(background_runs):
    optax = pytest.importorskip("optax")
    pytest.importorskip("iminuit")
    datasets, models = background_runs
    best = gj.fit(datasets, models)
    values = np.array([float(best.parameters[n].value) for n in best.free_names])
    errors = np.array([float(best.parameters[n].error) for n in best.free_names])
    for method, tolerance in (("minuit", 1e-5), (optax.lbfgs(), 1e-5)):
        result = gj.fit(datasets, models, method=method, tolerance=tolerance, steps=3000)
        assert result.status == "converged", (method, result.edm, result.message)
        found = np.array([float(result.parameters[n].value) for n in result.free_names])
        # a distance to the minimum of edm allows sqrt(2 edm) standard errors
        assert np.max(np.abs(found - values) / errors) < np.sqrt(2 * tolerance) * 1.5, method
        assert result.stat == pytest.approx(best.stat, abs=2e-3)
        np.testing.assert_allclose([float(result.parameters[n].error) for n in result.free_names], errors, rtol=0.02)


def test_adam(runs, power_law):
    optax = pytest.importorskip("optax")
    best = gj.fit(runs, power_law())
    result = gj.fit(runs, power_law(index=2.2, amplitude=2e-11), method=optax.adam(1e-2), steps=500, tolerance=1e-4)
    assert result.status == "converged" and result.method == "optax"
    assert result.stat == pytest.approx(best.stat, abs=1e-3)


def test_optimiser_that_stops_early_says_so(runs, power_law):
    optax = pytest.importorskip("optax")
    result = gj.fit(runs, power_law(index=4.0), method=optax.sgd(1e-9), steps=25)
    assert result.status == "stopped" and not result.success and "more steps" in result.message


def test_iteration_limit_is_reported(runs, power_law):
    result = gj.fit(runs, power_law(index=4.0, amplitude=1e-9), max_iterations=1)
    assert result.status == "max_iterations" and not result.success
    assert "max_iterations" in result.message and np.isfinite(result.stat)


def test_bounds_by_projection(runs, power_law):
    models = power_law().with_parameter("source.spectral.index", min=2.6, max=3.0)
    result = gj.fit(runs, models)
    assert float(result.parameters["source.spectral.index"].value) == 2.6
    assert result.at_bound == ["source.spectral.index"] and "At a bound" in result.message and result.success
    held = gj.fit(runs, power_law(index=2.6).freeze("source.spectral.index"))
    assert result.stat == pytest.approx(held.stat, abs=1e-6)
    amplitude = "source.spectral.amplitude"
    assert float(result.parameters[amplitude].error) == pytest.approx(
        float(held.parameters[amplitude].error), rel=1e-4, abs=0
    )
    # a start outside is moved in; a bound that does not bind changes nothing
    free = gj.fit(runs, power_law(index=5.0).with_parameter("source.spectral.index", max=4.0))
    assert free.stat == pytest.approx(gj.fit(runs, power_law()).stat, abs=1e-8) and not free.at_bound


def test_links(runs, spectrum_factory):
    one = gj.SkyModel(gj.PowerLawSpectralModel(index=2.2, amplitude=2e-11), name="a", datasets_names=runs.names[:3])
    two = gj.SkyModel(gj.PowerLawSpectralModel(index=2.9, amplitude=4e-11), name="b", datasets_names=runs.names[3:])
    models = gj.Models([one, two]).link("a.spectral.index", "b.spectral.index")
    result = gj.fit(runs, models)
    assert result.free_names == ("a.spectral.index", "a.spectral.amplitude", "b.spectral.amplitude")
    assert float(result.parameters["a.spectral.index"].value) == float(result.parameters["b.spectral.index"].value)
    everything = models.link("a.spectral.amplitude", "b.spectral.amplitude")
    joint = gj.SkyModel(gj.PowerLawSpectralModel(index=2.2, amplitude=2e-11), name="joint")
    assert gj.fit(runs, everything).stat == pytest.approx(gj.fit(runs, gj.Models([joint])).stat, abs=1e-8)


def test_link_inside_one_dataset(spectrum_factory):
    """A local parameter in two places: two copies of half the source."""
    datasets = gj.Datasets({"a": spectrum_factory(1), "b": spectrum_factory(2)})
    halves = [
        gj.SkyModel(gj.PowerLawSpectralModel(index=2.5, amplitude=1e-11), name=n, datasets_names="a")
        for n in ("x", "y")
    ]
    other = gj.SkyModel(gj.PowerLawSpectralModel(index=2.5, amplitude=3e-11), name="z", datasets_names="b")
    models = gj.Models([*halves, other])
    models = models.link("x.spectral.index", "y.spectral.index").link("x.spectral.amplitude", "y.spectral.amplitude")
    result = gj.fit(datasets, models)
    whole = gj.fit(
        datasets["a"], gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(index=2.5, amplitude=1e-11), name="w")])
    )
    assert result.success
    assert float(result.parameters["x.spectral.amplitude"].value) == pytest.approx(
        float(whole.parameters["w.spectral.amplitude"].value) / 2, rel=1e-5, abs=0
    )


def test_outside_a_uniform_prior_the_statistic_is_infinite(runs, power_law):
    for prior in (gj.UniformPrior(min=1, max=2), gj.LogUniformPrior(min=1, max=2)):
        models = power_law(index=2.5).with_parameter("source.spectral.index", prior=prior)
        assert float(gj.stat_sum(runs, models)) == np.inf
        inside = power_law(index=1.5).with_parameter("source.spectral.index", prior=prior)
        assert np.isfinite(float(gj.stat_sum(runs, inside)))


def test_links_that_disagree_are_refused(runs):
    one, two = (
        gj.SkyModel(gj.PowerLawSpectralModel(index=gj.Parameter(value, link="i")), name=name)
        for name, value in (("a", 2.0), ("b", 3.0))
    )
    with pytest.raises(gj.InputError, match="linked by 'i' but differ in value"):
        gj.stat_sum(runs, gj.Models([one, two]))


def test_priors(runs, background_runs, power_law):
    free = gj.fit(runs, power_law())
    index, sigma = (float(getattr(free.parameters["source.spectral.index"], k)) for k in ("value", "error"))
    prior = gj.GaussianPrior(mu=index + 3 * sigma, sigma=sigma)
    models = power_law().with_parameter("source.spectral.index", prior=prior)
    result = gj.fit(runs, models)
    pulled = result.parameters["source.spectral.index"]
    # two equal Gaussian constraints meet half way, up to the curvature of the likelihood
    assert float(pulled.value) == pytest.approx(index + 1.5 * sigma, abs=0.15 * sigma)
    assert float(pulled.error) == pytest.approx(sigma / np.sqrt(2), rel=0.05)
    without = float(gj.stat_sum(runs, power_law(float(pulled.value), float(result.parameters["amplitude"].value))))
    assert result.stat == pytest.approx(without + float(prior(float(pulled.value))), rel=1e-12)
    np.testing.assert_allclose(result.covariance, dense_covariance(runs, result), rtol=1e-6)

    uniform = gj.fit(runs, power_law().with_parameter("source.spectral.index", prior=gj.UniformPrior(min=1, max=2.4)))
    assert float(uniform.parameters["source.spectral.index"].value) == 2.4 and uniform.at_bound
    for prior in (gj.GeneralizedGaussianPrior(mu=2.4, sigma=0.1, eta=0.3), gj.LogUniformPrior(min=1.0, max=5.0)):
        result = gj.fit(runs, power_law().with_parameter("source.spectral.index", prior=prior))
        assert result.success
        np.testing.assert_allclose(result.covariance, dense_covariance(runs, result), rtol=1e-5)

    datasets, models = background_runs
    for name in datasets.names:
        models = models.with_parameter(f"{name}-bkg.spectral.norm", prior=gj.GaussianPrior(mu=1.0, sigma=0.02))
    result = gj.fit(datasets, models)
    np.testing.assert_allclose(result.covariance, dense_covariance(datasets, result), rtol=1e-5, atol=1e-20)
    assert result.stat == pytest.approx(float(gj.stat_sum(datasets, result.models)), rel=1e-12)


def test_prior_of_a_frozen_or_linked_parameter_counts_once(runs, power_law):
    prior = gj.GaussianPrior(mu=2.0, sigma=0.5)
    models = power_law().with_parameter("source.spectral.index", prior=prior, frozen=True)
    assert float(gj.stat_sum(runs, models) - gj.stat_sum(runs, power_law())) == pytest.approx(float(prior(2.5)))
    two = gj.Models([gj.SkyModel(m.spectral, name=n, datasets_names=d) for m, n, d in
                     ((models[0], "a", runs.names[:3]), (models[0], "b", runs.names[3:]))])  # fmt: skip
    linked = two.link("a.spectral.index", "b.spectral.index")
    assert float(gj.stat_sum(runs, linked) - gj.stat_sum(runs, power_law())) == pytest.approx(float(prior(2.5)))


def test_degenerate_directions_are_named(runs):
    same = [gj.SkyModel(gj.PowerLawSpectralModel(index=2.5, amplitude=1.5e-11), name=n) for n in ("a", "b")]
    models = gj.Models(same).freeze("a.spectral.index", "b.spectral.index")
    result = gj.fit(runs, models)
    assert not result.success and result.status == "unconstrained"
    assert len(result.degenerate) == 1 and set(result.degenerate[0].split(" & ")) == {
        "a.spectral.amplitude", "b.spectral.amplitude",
    }  # fmt: skip
    assert np.isinf(float(result.parameters["a.spectral.amplitude"].error))
    assert "do not constrain" in result.message
    np.testing.assert_array_equal(result.covariance, np.diag([np.inf, np.inf]))
    np.testing.assert_array_equal(result.curvature.covariance, result.covariance)
    assert np.isfinite(result.correlation).all()
    from gammajax.plots import flux_band

    assert np.isinf(flux_band(result, "a", [1.0])[1]).all()


def test_degenerate_local_parameters_are_named(background_runs):
    datasets, models = background_runs
    blind = datasets["run-2"].with_mask_fit(np.arange(12) == 3)
    changed = gj.Datasets({n: blind if n == "run-2" else d for n, d in datasets.items()})
    result = gj.fit(changed, models)
    assert [set(text.split(" & ")) for text in result.degenerate] == [
        {"run-2-bkg.spectral.norm", "run-2-bkg.spectral.tilt"}
    ]
    assert np.isinf(float(result.parameters["run-2-bkg.spectral.tilt"].error))
    finite = [float(p.error) for n, p in result.parameters.items() if not n.startswith("run-2") and not p.frozen]
    assert np.all(np.isfinite(finite)) and np.all(np.array(finite) > 0)


def test_a_run_without_counts(spectrum_factory, power_law):
    full, empty = spectrum_factory(0), spectrum_factory(1)
    empty = empty.replace(counts=np.zeros(12), counts_off=np.zeros(12))
    result = gj.fit({"full": full, "empty": empty}, power_law())
    assert result.success and np.isfinite(result.stat)
    alone = gj.fit({"empty": empty}, power_law())
    assert np.isfinite(alone.stat) and not any(np.isnan(float(p.error)) for p in alone.parameters.values())
    known = gj.fit({"a": spectrum_factory(2, on_off=False).replace(counts=np.zeros(12))}, power_law())
    assert np.isfinite(known.stat)


@pytest.mark.parametrize("factor", [1e-4, 1e-2, 100.0, 1e4])
@pytest.mark.parametrize("on_off", [True, False])
def test_starts_far_off(spectrum_factory, power_law, factor, on_off):
    data = {f"{i}": spectrum_factory(i, on_off=on_off) for i in range(3)}
    best = gj.fit(data, power_law())
    result = gj.fit(data, power_law(index=1.8, amplitude=3e-11 * factor))
    assert result.success and result.stat == pytest.approx(best.stat, abs=1e-5)


def test_zero_amplitude_start_recovers(runs, power_law):
    best = gj.fit(runs, power_law())
    result = gj.fit(runs, power_law(amplitude=0.0))
    assert result.stat == pytest.approx(best.stat, abs=1e-5)


def test_units_of_parameters_do_not_matter(runs, power_law):
    spectrum = gj.PowerLawSpectralModel(index=2.0, amplitude=1e-17 / (u.MeV * u.s * u.cm**2), reference=30 * u.GeV)
    result = gj.fit(runs, gj.Models([gj.SkyModel(spectrum, name="source")]))
    best = gj.fit(runs, power_law())
    assert result.stat == pytest.approx(best.stat, abs=1e-7)
    at_1_tev = result.models["source"].spectral(1 * u.TeV).to("TeV-1 s-1 cm-2").value
    assert at_1_tev == pytest.approx(float(best.parameters["amplitude"].value), rel=1e-4, abs=0)


def test_adding_runs_of_a_known_shape_compiles_nothing(spectrum_factory, power_law):
    from gammajax.fit.solvers import run_scoring

    runs = {f"r{i}": spectrum_factory(50 + i) for i in range(12)}
    gj.fit({k: runs[k] for k in list(runs)[:9]}, power_law())
    before = run_scoring.count()
    for n in (10, 11, 12):
        gj.fit({k: runs[k] for k in list(runs)[:n]}, power_law(index=2.0 + 0.1 * n))
    renamed = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(), name="another name")])
    gj.fit({f"other {k}": run for k, run in list(runs.items())[:9]}, renamed)
    assert run_scoring.count() == before


def test_order_of_datasets_does_not_matter(background_runs):
    datasets, models = background_runs
    one = gj.fit(datasets, models)
    two = gj.fit(datasets.select(datasets.names[::-1]), models)
    assert one.stat == pytest.approx(two.stat, rel=1e-12)
    for name in one.free_names:
        assert float(one.parameters[name].value) == pytest.approx(float(two.parameters[name].value), rel=1e-6, abs=0)


def test_mixed_datasets_and_shapes(spectrum_factory, power_law):
    data = {
        "on-off": spectrum_factory(1),
        "long": spectrum_factory(2, n_reco=40, n_true=60),
        "known": spectrum_factory(3, on_off=False),
        "perfect": spectrum_factory(4, on_off=False, n_reco=16, n_true=16).replace(edisp=None),
    }
    result = gj.fit(data, power_law())
    assert result.success
    total = sum(float(jnp.sum(gj.stat_array(d, result.models))) for d in data.values())
    assert result.stat == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(result.covariance, dense_covariance(data, result), rtol=1e-5)


def test_float32_must_be_asked_for(runs, power_law):
    double = gj.fit(runs, power_law())
    single = gj.fit(runs, power_law(), precision="float32")
    for name in double.free_names:
        a, b = double.parameters[name], single.parameters[name]
        assert abs(float(a.value) - float(b.value)) < 0.05 * float(a.error)
        assert float(b.error) == pytest.approx(float(a.error), rel=0.02, abs=0)
    with pytest.raises(gj.InputError, match="float64"):
        gj.fit(runs, power_law(), precision="half")


class Bent(eqx.Module):
    """A foreign spectrum: log-dnde is linear in ln E, with arrays as parameters."""

    slope: jax.Array
    log_norm: jax.Array
    label: str = eqx.field(static=True, default="bent")

    def __call__(self, energy):
        return jnp.exp(self.log_norm[0] - self.slope[0] * jnp.log(energy))


def test_any_module_may_be_a_spectrum(runs, power_law):
    model = gj.SkyModel(Bent(jnp.array([2.0]), jnp.array([np.log(1e-11)])), name="net")
    result = gj.fit(runs, gj.Models([model]))
    best = gj.fit(runs, power_law())
    assert result.success and result.stat == pytest.approx(best.stat, abs=1e-6)
    assert result.free_names == ("net.spectral.slope[0]", "net.spectral.log_norm[0]")
    assert float(result.models["net"].spectral.slope[0]) == pytest.approx(
        float(best.parameters["index"].value), abs=1e-4
    )


def test_progress_is_called_only_if_asked(runs, power_law, capsys):
    seen = []
    gj.fit(runs, power_law(index=3.5), progress=lambda *a: seen.append(a))
    assert len(seen) >= 2 and seen[-1][0] >= 2 and seen[0][1] > seen[-1][1]
    gj.fit(runs, power_law())
    assert capsys.readouterr().out == ""


def test_bad_input(runs, power_law):
    with pytest.raises(gj.InputError, match=r"All 3 parameters are frozen"):
        gj.fit(runs, power_law().freeze())
    with pytest.raises(gj.InputError, match="selects no dataset"):
        gj.fit(runs, gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(), name="x", datasets_names="elsewhere")]))
    with pytest.raises(gj.InputError, match=r"'run-1'.*excludes every bin"):
        broken = gj.Datasets({n: d.with_mask_fit(energy_min=1e5) if n == "run-1" else d for n, d in runs.items()})
        gj.fit(broken, power_law())
    for bad in (0.0, np.inf):
        acceptance_off = np.full(12, 8.0)
        acceptance_off[4] = bad if bad == 0 else 8.0
        acceptance = np.where(np.arange(12) == 4, 0.0, 1.0) if bad else np.ones(12)
        with pytest.raises(gj.InputError, match=r"'a'.*no background was measured.*bin 4"):
            gj.fit({"a": runs["run-0"].replace(acceptance=acceptance, acceptance_off=acceptance_off)}, power_law())
    with pytest.raises(gj.InputError, match="no off counts"):
        gj.fit(runs["run-0"].replace(counts_off=None), power_law())
    with pytest.raises(gj.InputError, match="exposure is missing"):
        gj.fit(runs["run-0"].replace(exposure=None), power_law())
    with pytest.raises(gj.InputError, match="no counts"):
        gj.fit(runs["run-0"].replace(counts=None), power_law())
    with pytest.raises(gj.InputError, match="no dataset to fit"):
        gj.fit({}, power_law())
    with pytest.raises(gj.InputError, match="W statistic profiles"):
        gj.fit(runs, power_law() + gj.FoVBackgroundModel(datasets_names="run-0"))
    with pytest.raises(gj.InputError, match="method must be"):
        gj.fit(runs, power_law(), method="simplex")
    with pytest.raises(gj.InputError, match="start values"):
        gj.fit(runs, power_law(index=1e5))


def test_float64_is_the_default():
    import subprocess
    import sys

    code = """
import jax, numpy as np, gammajax as gj
assert not jax.config.jax_enable_x64
d = gj.SpectrumDataset(np.geomspace(1, 10, 5), counts=np.ones(4), exposure=np.ones(4) * 1e12)
m = gj.SkyModel(gj.PowerLawSpectralModel(), name="x")
try:
    gj.fit(d, m)
except gj.InputError as error:
    assert "jax_enable_x64" in str(error)
else:
    raise AssertionError("a float32 fit was not refused")
assert gj.fit(d, m, precision="float32").status == "converged"
assert not jax.config.jax_enable_x64
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_light_curves_on_spectra(spectrum_factory):
    """Runs of different lengths, with a source that fades: fluxes and the decay come back from expected counts."""
    decay = gj.ExpDecayTemporalModel(t0=gj.Parameter(0.5, "d", frozen=False), t_ref=51910.0)
    source = gj.SkyModel(gj.PowerLawSpectralModel(index=2.5, amplitude=3e-11), name="source", temporal=decay)
    runs = {}
    for i, intervals in enumerate(([[0.0], [1800.0]], [[40000.0, 50000.0], [41000.0, 51800.0]])):
        empty = spectrum_factory(i, on_off=False, noise=False).replace(gti=gj.GTI(*intervals, reference=51910.0))
        runs[f"run-{i}"] = gj.asimov(empty, source)
    start = gj.Models(source).with_values({"amplitude": 2e-11, "t0": 0.4})
    result = gj.fit(runs, start)
    assert result.success
    for name, wanted in (("index", 2.5), ("amplitude", 3e-11), ("t0", 0.5)):
        assert float(result.parameters[name].value) == pytest.approx(wanted, rel=1e-5)
    total = sum(float(np.sum(gj.stat_array(run, result.models))) for run in runs.values())
    assert result.stat == pytest.approx(total, rel=1e-10)


def test_float32_says_where_its_digits_end():
    """With 1e11 counts the minimum cannot be found to the tolerance: that is no fault of the model."""
    edges = np.geomspace(1, 100, 21)
    spectrum = gj.LogParabolaSpectralModel(alpha=2.2, beta=0.1, amplitude=1e-11)
    models = gj.Models([gj.SkyModel(spectrum, name="s")])
    empty = gj.SpectrumDataset(edges, counts=np.zeros(20), background=np.full(20, 1e9), exposure=np.full(20, 1e22))
    data = empty.replace(counts=np.random.default_rng(0).poisson(np.asarray(gj.npred(empty, models))).astype(float))
    start = models.with_values({"amplitude": 2e-11})
    found = gj.fit(data, start, precision="float32")
    assert found.status == "stalled" and "precision='float64'" in found.message
    assert gj.fit(data, start).success
