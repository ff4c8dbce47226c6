import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gammajax as gj

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def problem(spectrum_factory, power_law):
    datasets = gj.Datasets({"a": spectrum_factory(0), "b": spectrum_factory(1, on_off=False), "c": spectrum_factory(2)})
    models = power_law().with_parameter("source.spectral.index", prior=gj.GaussianPrior(mu=2.4, sigma=0.2), min=1.0)
    return datasets, models


def test_stat_sum_is_the_sum_of_stat_arrays_and_priors(problem):
    datasets, models = problem
    total = sum(float(gj.stat_array(d, models).sum()) for d in datasets)
    prior = float(gj.GaussianPrior(mu=2.4, sigma=0.2)(2.5))
    assert float(gj.stat_sum(datasets, models)) == pytest.approx(total + prior, rel=1e-12)
    assert float(gj.stat_sum(datasets["b"], models)) == pytest.approx(
        float(gj.stat_array(datasets["b"], models).sum()) + prior, rel=1e-12
    )


def test_log_density(problem):
    datasets, models = problem
    density = gj.log_density(datasets, models)
    assert density.names == ("source.spectral.index", "source.spectral.amplitude")
    np.testing.assert_array_equal(density.initial, [2.5, 3e-11])
    assert float(density(density.initial)) == pytest.approx(-float(gj.stat_sum(datasets, models)) / 2, rel=1e-12)
    moved = models.with_values({"source.spectral.index": 2.7, "source.spectral.amplitude": 2e-11})
    at = jnp.array([2.7, 2e-11])
    assert float(density(at)) == pytest.approx(-float(gj.stat_sum(datasets, moved)) / 2, rel=1e-12)
    assert float(density(jnp.array([0.5, 2e-11]))) == -np.inf


def test_gradients_equal_finite_differences(problem):
    datasets, models = problem
    density = gj.log_density(datasets, models)
    for at in ([2.5, 3e-11], [2.9, 1e-11], [1.5, 2e-10]):
        at = np.array(at)
        gradient = jax.grad(density)(at)
        for i in range(2):
            step = np.zeros(2)
            step[i] = 1e-6 * at[i]
            numeric = (float(density(at + step)) - float(density(at - step))) / (2 * step[i])
            assert float(gradient[i]) == pytest.approx(numeric, rel=1e-6, abs=0)


def test_gradient_with_respect_to_models_and_data(problem):
    datasets, models = problem
    gradient = eqx.filter_grad(lambda m: gj.stat_sum(datasets, m))(models)
    density = gj.log_density(datasets, models)
    slope = -2 * jax.grad(density)(density.initial)
    assert float(gradient["source"].spectral.index.value) == pytest.approx(float(slope[0]), rel=1e-10)
    assert float(gradient["source"].spectral.amplitude.value) == pytest.approx(float(slope[1]), rel=1e-10)

    dataset = datasets["b"]
    slope_in = jax.grad(lambda b: gj.stat_sum(dataset.replace(background=b), models))
    by_background = slope_in(jnp.asarray(dataset.background))
    expected = 2 * (1 - dataset.counts / gj.npred(dataset, models))
    np.testing.assert_allclose(by_background, expected, rtol=1e-9)


def test_jit_and_vmap_equal_loops(problem):
    datasets, models = problem
    density = gj.log_density(datasets, models)
    points = jnp.array([[2.5, 3e-11], [2.2, 2e-11], [0.2, 2e-11]])
    loop = [float(density(p)) for p in points]
    np.testing.assert_allclose(jax.jit(jax.vmap(density))(points), loop, rtol=1e-12)
    assert float(jax.jit(lambda d, x: d(x))(density, points[1])) == pytest.approx(loop[1], rel=1e-12)
    compiled = jax.jit(gj.stat_sum)(datasets, models)
    assert float(compiled) == pytest.approx(float(gj.stat_sum(datasets, models)), rel=1e-12)


def test_stat_sum_over_simulations(spectrum_factory, power_law):
    """vmap over keys: the mean of the W statistic at the truth is about the number of bins."""
    dataset = spectrum_factory(0, background=400.0)
    fakes = jax.vmap(lambda key: gj.fake(key, dataset, power_law(), npred_background=dataset.background))
    stats = jax.jit(jax.vmap(lambda d: gj.stat_sum(d, power_law())))(fakes(jax.random.split(jax.random.key(0), 500)))
    assert stats.shape == (500,)
    assert float(stats.mean()) == pytest.approx(12, abs=1.0)


def test_frozen_models_have_a_statistic_but_no_density(problem):
    datasets, models = problem
    assert np.isfinite(float(gj.stat_sum(datasets, models.freeze())))
    with pytest.raises(gj.InputError, match="frozen"):
        gj.log_density(datasets, models.freeze())
