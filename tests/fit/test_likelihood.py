"""The likelihood as an object: what it says equals the functions it stands for, for every kind of dataset, and it
composes with jit, vmap, grad, pickle, export and serialisation."""

import copy
import io
import pickle
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases.likelihoods import LIKELIHOODS

import gammajax as gj
from gammajax.fit.joint.problem import with_image_sizes

pytestmark = pytest.mark.slow


class Case(NamedTuple):
    datasets: gj.Datasets
    models: gj.Models
    like: gj.Likelihood
    fitted: gj.FitResult


@pytest.fixture(scope="module", params=list(LIKELIHOODS))
def case(request):
    datasets, models = LIKELIHOODS[request.param]()
    # gj.fit looks responses up again until they settle: the likelihood of the place where that ends
    fitted = gj.fit(datasets, models)
    like = gj.likelihood(datasets, fitted.models)
    # their images have the sizes of a fit
    return Case(datasets, with_image_sizes(fitted.models, gj.Datasets(datasets)), like, fitted)


def at(case, shift=0.3):
    """A point some standard deviations from the best fit."""
    sigma = np.sqrt(np.diag(case.fitted.covariance))
    sign = np.where(np.arange(len(sigma)) % 2, 1.0, -1.0)
    return np.asarray(case.like.initial) + shift * sign * np.where(np.isfinite(sigma), sigma, 0.0)


def with_values(case, theta):
    """The models at ``theta``: the responses on maps as they are."""
    return case.models.with_values(dict(zip(case.like.names, map(float, theta), strict=True)))


def test_names_values_and_bounds(case):
    like, parameters = case.like, case.models.parameters
    assert like.names == case.fitted.free_names and like.datasets_names == case.datasets.names
    np.testing.assert_array_equal(like.initial, [float(parameters[n].value) for n in like.names])
    for bounds, of in ((like.low, "min"), (like.high, "max")):
        for bound, name in zip(bounds, like.names, strict=True):
            given = float(getattr(parameters[name], of))
            assert float(bound) == given or (np.isnan(given) and np.isinf(bound)) or ("sigma" in name and bound == 0)


def test_statistic_and_prediction(case):
    """Where the models are, and elsewhere where nothing is looked up again."""
    like = case.like
    points = [(np.asarray(like.initial), case.models)]
    if not any(".spatial." in name for name in like.names):
        points.append((at(case), with_values(case, at(case))))
    for theta, models in points:
        assert float(like.stat(theta)) == pytest.approx(float(gj.stat_sum(case.datasets, models)), rel=1e-11)
        predicted = like.npred(theta)
        assert tuple(predicted) == case.datasets.names
        for name, dataset in case.datasets.items():
            wanted = np.asarray(gj.npred(dataset, models, name))
            np.testing.assert_allclose(predicted[name], wanted, rtol=1e-9, atol=1e-9 * np.nanmax(wanted))


def test_log_prob(case):
    like, theta = case.like, at(case)
    assert float(like.log_prob(theta)) == pytest.approx(-float(like.stat(theta)) / 2, rel=1e-14)
    assert float(like.log_prob(theta)) == float(gj.log_density(case.datasets, case.fitted.models)(theta))
    for bound, way in ((like.low, -1), (like.high, 1)):
        for i in np.flatnonzero(np.isfinite(bound)):
            assert float(like.log_prob(np.where(np.arange(len(theta)) == i, bound + way, theta))) == -np.inf


def test_other_counts(case):
    """As a likelihood of other datasets, with the same program; counts of several datasets at once and of one."""
    like, theta = case.like, at(case)
    if case.datasets.names == ("points",):
        with pytest.raises(gj.InputError, match="points has no counts"):
            like.with_counts({"points": np.ones(12)})
        return
    same = like.with_counts(dict(case.datasets.items()))
    assert jax.tree.structure(same) == jax.tree.structure(like)
    assert float(same.stat(theta)) == pytest.approx(float(like.stat(theta)), rel=1e-12)
    rng = np.random.default_rng(5)
    fields = {n: [f for f in ("counts", "counts_off") if hasattr(d, f)] for n, d in case.datasets.items()}
    drawn = {
        name: {f: rng.poisson(np.asarray(getattr(d, f)) + 0.3).astype(float) for f in fields[name]}
        for name, d in case.datasets.items()
    }
    other = gj.Datasets({name: d.replace(**drawn[name]) for name, d in case.datasets.items()})
    wanted = gj.likelihood(other, case.fitted.models)
    found = like.with_counts({k: v["counts"] if len(v) == 1 else v for k, v in drawn.items()})
    # the offset of maps sums the bins beside the sources in another order
    assert float(found.stat(theta)) == pytest.approx(float(wanted.stat(theta)), rel=1e-11)
    for name, counts in wanted.npred(theta).items():
        np.testing.assert_allclose(found.npred(theta)[name], counts, rtol=1e-11)
    last = case.datasets.names[-1]
    one = like.with_counts({last: other[last]})
    mixed = gj.Datasets({n: other[n] if n == last else d for n, d in case.datasets.items()})
    assert float(one.stat(theta)) == pytest.approx(
        float(gj.likelihood(mixed, case.fitted.models).stat(theta)), rel=1e-11
    )
    stacked = {k: {f: jnp.stack([getattr(case.datasets[k], f), x]) for f, x in v.items()} for k, v in drawn.items()}
    both = jax.jit(jax.vmap(lambda n: like.with_counts(n).stat(theta)))(stacked)
    np.testing.assert_allclose(both, [like.stat(theta), wanted.stat(theta)], rtol=1e-11)


def test_it_composes(case):
    """As an argument of jit, over points and over its own arrays; copied; and what jit asks of a method."""
    like, theta = case.like, at(case)
    wanted = float(like.stat(theta))
    assert float(jax.jit(lambda like, theta: like.stat(theta))(like, theta)) == pytest.approx(wanted, rel=1e-12)
    assert float(jax.jit(like.stat)(theta)) == pytest.approx(wanted, rel=1e-12)
    density = gj.log_density(case.datasets, case.fitted.models)
    assert float(jax.jit(density)(theta)) == pytest.approx(-wanted / 2, rel=1e-12)
    points = np.stack([np.asarray(like.initial), theta])
    loop = [float(like.stat(p)) for p in points]
    np.testing.assert_allclose(jax.vmap(like.stat)(points), loop, rtol=1e-12)
    two = jax.tree.map(lambda x: jnp.stack([x, x]), like)
    np.testing.assert_allclose(jax.jit(jax.vmap(lambda like, p: like.stat(p)))(two, points), loop, rtol=1e-12)
    for again in (
        pickle.loads(pickle.dumps(like)),
        copy.deepcopy(like),
        pickle.loads(pickle.dumps(density)).likelihood,
    ):
        assert jax.tree.structure(again) == jax.tree.structure(like)
        assert float(again.stat(theta)) == wanted
    file = io.BytesIO()
    eqx.tree_serialise_leaves(file, like)
    file.seek(0)
    blank = jax.tree.map(np.zeros_like, like)
    assert float(eqx.tree_deserialise_leaves(file, blank).stat(theta)) == wanted


def test_derivatives(case):
    """Gradient and Hessian against central differences."""
    like, theta = case.like, at(case)
    sigma = np.sqrt(np.diag(case.fitted.covariance))
    scaled = jax.jit(lambda z: like.stat(theta + sigma * z))
    zero, step = np.zeros(len(sigma)), 1e-4
    moves = step * np.eye(len(sigma))
    slope = np.array([float(scaled(m)) - float(scaled(-m)) for m in moves]) / (2 * step)
    np.testing.assert_allclose(jax.jit(jax.grad(scaled))(zero), slope, rtol=1e-5, atol=1e-5)
    gradient = jax.jit(jax.grad(scaled))
    bend = np.array([np.asarray(gradient(m)) - np.asarray(gradient(-m)) for m in moves]) / (2 * step)
    np.testing.assert_allclose(jax.jit(jax.hessian(scaled))(zero), bend, rtol=1e-4, atol=1e-4)


def test_the_pure_fit_is_the_fit(case):
    """From a point beside it: the same steps, so the same place; the same covariance."""
    start = at(case, 1.0)
    fit = case.like.fit(start)
    assert bool(fit.success) and list(gj.Status)[int(fit.status)] == "converged"
    sigma = np.sqrt(np.diag(case.fitted.covariance))
    assert np.max(np.abs(np.asarray(fit.theta) - np.asarray(case.like.initial)) / sigma) < 1e-3
    again = gj.fit(case.datasets, with_values(case, start)) if "spatial" not in "".join(case.like.names) else None
    if again is not None:
        values = np.array([float(again.parameters[n].value) for n in case.like.names])
        np.testing.assert_allclose((np.asarray(fit.theta) - values) / sigma, 0, atol=1e-9)
        assert (int(fit.iterations), int(fit.evaluations)) == (again.iterations, again.evaluations)
        assert float(fit.stat) == pytest.approx(again.stat, rel=1e-13)
        outer = np.outer(sigma, sigma)
        np.testing.assert_allclose(fit.covariance / outer, again.covariance / outer, atol=1e-9)
    np.testing.assert_allclose(fit.errors, sigma, rtol=1e-3)
    correlation = [np.asarray(c) / np.outer(sigma, sigma) for c in (case.like.covariance(fit.theta), fit.covariance)]
    np.testing.assert_allclose(*correlation, atol=1e-9)
    # inside jit and vmap, over starts
    starts = np.stack([np.asarray(case.like.initial), start])
    many = jax.jit(jax.vmap(lambda t: case.like.fit(t)))(starts)
    np.testing.assert_allclose((np.asarray(many.theta[1]) - np.asarray(fit.theta)) / sigma, 0, atol=1e-9)
    assert np.all(np.asarray(many.success))


def test_it_lowers_for_every_device(case):
    """Statistic, gradient, prediction and fit, without calls of the host."""
    for function in (
        lambda like, theta: like.stat(theta),
        lambda like, theta: jax.grad(like.stat)(theta),
        lambda like, theta: like.npred(theta),
        lambda like, theta: like.fit(theta),
    ):
        exported = jax.export.export(jax.jit(function), platforms=["cuda", "tpu"])(case.like, at(case))
        assert set(exported.platforms) == {"cuda", "tpu"} and "callback" not in exported.mlir_module()
