"""Hierarchical priors: the normal-normal model, whose posterior has a closed form in the members."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from astropy import units as u

import gammajax as gj

pytestmark = pytest.mark.slow

MEAN, WIDTH, SIGMA = 1.1, 0.3, 0.2
N = 100


class Measured(gj.Dataset):
    """One number with an error of ``SIGMA``, compared with the value of a constant at 1 TeV."""

    value: jax.Array
    tag = "Measured"

    @property
    def data_shape(self):
        return (1,)

    def predict(self, models):
        return models[0].spectral.evaluate(jnp.ones(1))

    def stat_bins(self, prediction):
        return ((self.value - prediction) / SIGMA) ** 2


class Drawn:
    """Runs whose norms are scattered about a mean, and measured."""

    def __init__(self, n=N, **changes):
        rng = np.random.default_rng(4)
        self.values = MEAN + WIDTH * rng.standard_normal(n) + SIGMA * rng.standard_normal(n)
        self.datasets = gj.Datasets({f"run-{i}": Measured(np.array([v])) for i, v in enumerate(self.values)})
        self.members = [
            gj.SkyModel(
                gj.PowerLawNormSpectralModel(norm=float(v)),
                name=f"source-{i}",
                datasets_names=f"run-{i}",
                apply_irf={"exposure": False},
            )
            for i, v in enumerate(self.values)
        ]
        self.names = [f"source-{i}.spectral.norm" for i in range(n)]
        given = {"mean": 1.0, "width": 0.25} | changes
        self.models = gj.Models([*self.members, gj.PopulationModel(self.names, name="norms", **given)])

    def marginal(self, mean, width):
        """ln of the density of the data for a mean and a width, the members integrated out."""
        return scipy.stats.norm.logpdf(self.values, mean, np.hypot(width, SIGMA)).sum()


@pytest.fixture(scope="module")
def drawn():
    return Drawn()


@pytest.fixture(scope="module")
def like(drawn):
    return gj.likelihood(drawn.datasets, drawn.models)


def log_prob_of(drawn, theta):
    """By hand, theta in the order of the likelihood: the norms, the mean, the width."""
    norms, mean, width = theta[:-2], theta[-2], theta[-1]
    prior = scipy.stats.norm.logpdf(norms, mean, width).sum()
    return prior - 0.5 * np.sum(((drawn.values - norms) / SIGMA) ** 2)


def test_log_prob_is_normalised_in_mean_and_width(drawn, like):
    assert like.names[-2:] == ("norms.distribution.mean", "norms.distribution.width")
    assert float(like.low[-1]) == 0 and float(like.low[-2]) == -np.inf
    rng = np.random.default_rng(1)
    for mean, width in ((1.0, 0.25), (0.7, 0.05), (1.4, 2.0)):
        theta = np.array([*(drawn.values + 0.1 * rng.standard_normal(N)), mean, width])
        assert float(like.log_prob(theta)) == pytest.approx(log_prob_of(drawn, theta), rel=1e-12)
        slope = jax.grad(like.log_prob)(theta)
        norms = theta[:-2]
        away = norms - mean
        by_hand = [*(drawn.values - norms) / SIGMA**2 - away / width**2, np.sum(away) / width**2]
        by_hand.append(np.sum(away**2) / width**3 - N / width)
        np.testing.assert_allclose(slope, by_hand, rtol=1e-9, atol=1e-9)
    assert float(like.log_prob(theta.copy() * [*np.ones(N + 1), 0.0])) == -np.inf


def test_the_posterior_of_mean_and_width_is_the_marginal_one(drawn, like):
    """ln of the posterior with the norms integrated out: it is Gaussian in them, so that Laplace is exact."""
    start = jnp.asarray(drawn.values)

    @jax.jit
    @jax.vmap
    def laplace(at):
        def density(norms):
            return like.log_prob(jnp.concatenate([norms, at]))

        slope, bend = jax.grad(density)(start), -jax.hessian(density)(start)
        best = density(start) + slope @ jnp.linalg.solve(bend, slope) / 2
        return best - jnp.linalg.slogdet(bend)[1] / 2

    grid = np.array([(m, w) for m in (0.9, 1.1, 1.3) for w in (0.1, 0.3, 0.8)])
    found = np.asarray(laplace(grid))
    expected = np.array([drawn.marginal(*at) for at in grid])
    np.testing.assert_allclose(found - found[0], expected - expected[0], rtol=0, atol=1e-8)


def test_a_free_mean_is_fitted(drawn):
    """The maximum for a fixed width is that of the marginal: norms are drawn to the mean of the data."""
    frozen = Drawn(width=gj.Parameter(0.25, frozen=True))
    result = gj.fit(frozen.datasets, frozen.models)
    assert result.success
    mean = np.mean(frozen.values)
    share = 0.25**2 / (0.25**2 + SIGMA**2)
    assert float(result.parameters["norms.distribution.mean"].value) == pytest.approx(mean, rel=1e-9)
    error = np.hypot(0.25, SIGMA) / np.sqrt(N)
    assert float(result.parameters["norms.distribution.mean"].error) == pytest.approx(error, rel=1e-9)
    found = [float(result.parameters[name].value) for name in frozen.names]
    np.testing.assert_allclose(found, mean + share * (frozen.values - mean), rtol=1e-7)


def test_a_width_that_may_vanish_is_refused(drawn, like):
    for refused in (lambda: gj.fit(drawn.datasets, drawn.models), like.fit):
        with pytest.raises(gj.InputError, match=r"norms\.distribution\.width") as caught:
            refused()
        assert "log_prob" in str(caught.value) and "min=" in str(caught.value)


@pytest.mark.parametrize("width", [gj.Parameter(0.3, min=0.2), gj.Parameter(0.3, prior=gj.LogUniformPrior(0.2, 2.0))])
def test_a_width_with_a_bound_is_fitted(width):
    """The best norms for a width are a closed form, and the width is then where a scan over it is lowest."""
    bounded = Drawn(20, width=width)
    result = gj.fit(bounded.datasets, bounded.models)
    extra = width.prior or (lambda x: 0.0)

    def lowest(width):
        mean = np.mean(bounded.values)
        away = (bounded.values - mean) / (width**2 + SIGMA**2)
        quadratic = np.sum((away * width) ** 2 + (away * SIGMA) ** 2)
        return quadratic + 20 * np.log(2 * np.pi * width**2) + float(extra(width))

    grid = np.geomspace(0.2, 0.6, 2001)
    best = min(map(lowest, grid))
    assert result.stat == pytest.approx(best, abs=1e-4)
    assert float(result.parameters["norms.distribution.width"].value) == pytest.approx(0.2, abs=1e-6)
    white = gj.likelihood(bounded.datasets, result.models).whitened(result)
    assert np.all(np.isfinite(jax.grad(white.log_prob)(np.full(22, 0.1))))


def test_forms_for_samplers(drawn, like):
    """On all of R^n: the density with the Jacobian of softplus, and finite slopes."""
    free = like.unconstrained()
    z = 0.3 * np.random.default_rng(2).standard_normal(N + 2)
    theta = np.asarray(free.to_theta(z))
    assert theta[-1] > 0
    jacobian = np.linalg.slogdet(jax.jacfwd(free.to_theta)(z))[1]
    assert float(free.log_prob(z)) == pytest.approx(log_prob_of(drawn, theta) + jacobian, rel=1e-10)
    assert np.all(np.isfinite(jax.grad(free.log_prob)(z)))


def test_yaml_round_trip(tmp_path, drawn):
    width = gj.Parameter(0.3, min=0.01, prior=gj.LogUniformPrior(0.01, 10))
    models = Drawn(3, mean=gj.Parameter(1.0, frozen=True), width=width).models
    models.write(tmp_path / "models.yaml")
    again = gj.Models.read(tmp_path / "models.yaml")
    assert again["norms"].members == models["norms"].members
    assert gj.Models.to_dict(again) == gj.Models.to_dict(models)
    assert again.parameters["norms.distribution.width"].prior == width.prior


def test_it_predicts_nothing_and_acts_on_no_dataset(drawn):
    models = Drawn(1).models
    one = gj.Datasets({"run-0": drawn.datasets["run-0"]})
    population = models["norms"]
    assert not population.acts_on("run-0") and models.acting_on("run-0").names == ("source-0",)
    source = models["source-0"].replace(datasets_names=None)
    assert gj.Models([source, population]).acting_on(None).names == ("source-0",)
    prior = float(gj.stat_sum(one, models) - gj.stat_sum(one, [models["source-0"]]))
    value = float(models.parameters["source-0.spectral.norm"].value)
    assert prior == pytest.approx(-2 * scipy.stats.norm.logpdf(value, 1.0, 0.25), rel=1e-10)


def test_wrong_populations_are_refused(drawn):
    one = gj.Datasets({"run-0": drawn.datasets["run-0"]})
    source = gj.Models(drawn.members[0])

    def likelihood(*members, **fields):
        return lambda: gj.likelihood(one, [source, gj.PopulationModel(members, **fields)])

    wrong = {
        "there is no 'source-9.spectral.norm'": likelihood("source-9.spectral.norm"),
        "is there twice": likelihood("source-0.spectral.norm", "spectral.norm"),
        "is in ''": likelihood("spectral.norm", mean=1 * u.TeV, width=1 * u.TeV),
        "one unit": lambda: gj.PopulationModel("norm", gj.Parameter("1 TeV"), gj.Parameter("1 GeV")),
        "above 0": lambda: gj.PopulationModel("norm", width=0.0),
        "different parameters": lambda: gj.PopulationModel([]),
    }
    for text, make in wrong.items():
        with pytest.raises(gj.InputError, match=text):
            make()
