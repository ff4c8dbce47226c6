"""Programs inside the programs of others: whether a call is traced is a fact of its context."""

import equinox as eqx
import jax
import numpy as np
import pytest
from cases.likelihoods import LIKELIHOODS

import gammajax as gj

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["maps", "spectra", "region"])
def test_only_counts_are_traced(kind):
    """Everything else is constant there, and so are the arguments of programs that are called inside."""
    datasets, models = LIKELIHOODS[kind]()
    name = datasets.names[-1]
    run, models = datasets[name], gj.Models(list(models.acting_on(name)))
    wanted = float(gj.stat_sum(gj.Datasets({name: run}), models))

    @jax.jit
    def stat(counts):
        changed = gj.Datasets({name: run.replace(counts=counts)})
        return gj.stat_sum(changed, models), gj.npred(run.replace(counts=counts), models, name)

    found, predicted = stat(np.asarray(run.counts))
    assert float(found) == pytest.approx(wanted, rel=1e-11)
    np.testing.assert_allclose(predicted, gj.npred(run, models, name), rtol=1e-11)


def test_gradient_over_the_numbers_of_a_dataset(spectrum_factory, power_law):
    run = spectrum_factory(0, on_off=False)
    slopes = eqx.filter_grad(lambda run: gj.stat_sum(run, power_law()))(run)
    predicted = np.asarray(gj.npred(run, power_law()))
    np.testing.assert_allclose(slopes.background, 2 * (1 - run.counts / predicted), rtol=1e-9)
    assert np.all(np.isfinite(slopes.exposure)) and np.any(slopes.exposure != 0)


@pytest.mark.parametrize("kind", ["spectra"])
def test_no_leaks_and_no_nans(kind):
    datasets, models = LIKELIHOODS[kind]()
    like = gj.likelihood(datasets, models)
    with jax.checking_leaks(), jax.debug_nans(True):
        found = like.fit()
        assert bool(found.success) and np.all(np.isfinite(like.npred(found.theta)["on-off"]))
        assert np.isfinite(float(like.stat(found.theta)))
