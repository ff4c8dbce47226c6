"""Newton steps against dense linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gammajax as gj
from gammajax.fit.joint import compiled_exact_normal, compiled_normal, from_free, make_problem
from gammajax.fit.solvers import LEAST, newton_step
from gammajax.fit.solvers.newton import _lifted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def local_runs(background_runs_factory):
    """Four runs with a bright source and a background each, whose norm and tilt are free."""
    return background_runs_factory(4, 20, background=600.0, exposure=1e14)


def test_curvature_is_lifted():
    """Eigenvalues relative to the expected curvature: high ones stay, low and negative ones come up."""
    rng = np.random.default_rng(1)
    basis = rng.normal(size=(3, 2, 2)) * [[[1.0], [1e5]]]
    values = np.array([[2.0, 0.5], [0.05, 1.0], [-3.0, 0.01]])
    expected = basis @ np.swapaxes(basis, 1, 2)
    exact = basis * values[:, None, :] @ np.swapaxes(basis, 1, 2)
    wanted = basis * np.maximum(values, LEAST)[:, None, :] @ np.swapaxes(basis, 1, 2)
    found = np.asarray(jax.jit(_lifted)(exact, expected))
    size = np.sqrt(expected.diagonal(axis1=1, axis2=2))
    scaled = size[:, :, None] * size[:, None, :]
    np.testing.assert_allclose(found / scaled, wanted / scaled, atol=1e-6)
    # a parameter that nothing depends on
    nothing = np.array([[[4.0, 0.0], [0.0, 0.0]]])
    np.testing.assert_allclose(_lifted(jnp.asarray(nothing), jnp.asarray(nothing))[0, 0], [4.0, 0.0], rtol=1e-8)


def test_step_is_the_dense_one(local_runs):
    """-H^-1 g with all parameters in one matrix, for the statistic as a function of the logarithms of amplitudes."""
    datasets, models = local_runs
    problem = make_problem(datasets, models)
    result = gj.fit(datasets, models)
    free = np.array([float(result.parameters[n].value) for n in problem.free_names])
    free = free * (1 + 1e-3 * np.cos(np.arange(len(free))))
    arrays, theta = problem.arrays, from_free(problem.arrays, free)
    exact = compiled_exact_normal(problem.spec)(problem.spec, arrays, theta)
    _, expected = compiled_normal(problem.spec, arrays, theta)
    how = [arrays[name] for name in ("low", "high", "scale_like", "coordinates")]
    candidate, decrease = newton_step(None, exact, expected, theta, *how)
    logs = np.array([n.endswith(("amplitude", "norm")) for n in problem.free_names])
    density = gj.log_density(datasets, models)

    def of_logs(t):
        return -density(jnp.where(logs, jnp.exp(t), t))

    t = np.where(logs, np.log(np.where(logs, free, 1.0)), free)
    gradient, hessian = jax.jit(jax.grad(of_logs))(t), jax.jit(jax.hessian(of_logs))(t)
    wanted = t - np.linalg.solve(hessian, gradient)
    # the statistic is -2 ln L, and a padding row has no part in it
    np.testing.assert_allclose(decrease, gradient @ (t - wanted), rtol=1e-6)
    found = problem.to_free(candidate)
    np.testing.assert_allclose(np.where(logs, np.log(np.where(logs, found, 1.0)), found), wanted, rtol=1e-7, atol=1e-8)


def test_no_step_without_a_positive_curvature(local_runs):
    """A saddle that damping does not lift: there is no step."""
    problem = make_problem(*local_runs)
    theta = from_free(problem.arrays, np.asarray(problem.start(), float))
    _, expected = compiled_normal(problem.spec, problem.arrays, theta)
    arrays = problem.arrays
    size = np.sqrt(np.diagonal(expected.matrix))
    bad = expected._replace(matrix=np.outer(size, size) * np.array([[1.0, 5.0], [5.0, 1.0]]))
    bounds = arrays["low"], arrays["high"]
    plain = jax.tree.map(np.zeros_like, arrays["scale_like"])
    _, decrease = newton_step(None, bad, expected, theta, *bounds, plain, arrays["coordinates"])
    assert np.isnan(decrease)
    candidate, decrease = newton_step(
        None, expected, expected, theta, *bounds, arrays["scale_like"], arrays["coordinates"]
    )
    assert decrease > 0 and all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(candidate))
