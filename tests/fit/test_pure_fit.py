"""The pure fit: its implicit derivatives against refits, held parameters, ends that are no minimum; coordinates for
samplers against densities known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import maps

import gammajax as gj
from gammajax.fit.sampling import bounded, log_slope, unbounded

pytestmark = pytest.mark.slow

TIGHT = {"tolerance": 1e-22, "covariance": False}


@pytest.fixture(scope="module")
def runs(spectrum_factory):
    return gj.Datasets(
        {"on": spectrum_factory(0, exposure=3e13), "known": spectrum_factory(1, on_off=False, exposure=3e13)}
    )


@pytest.fixture(scope="module")
def models(power_law):
    norm = gj.FoVBackgroundModel(datasets_names="known", name="bkg")
    return gj.Models([*power_law(), norm])


@pytest.fixture(scope="module")
def like(runs, models):
    return gj.likelihood(runs, models)


@pytest.fixture(scope="module")
def best(like):
    return like.fit()


def central(function, x, step):
    return (np.asarray(function(x + step)) - np.asarray(function(x - step))) / (2 * step)


def test_derivatives_in_counts(runs, like, best):
    known, on = (np.asarray(runs[n].counts) for n in ("known", "on"))
    off = np.asarray(runs["on"].counts_off)

    @jax.jit
    def place(known, on, off):
        return (
            like.with_counts({"known": known, "on": {"counts": on, "counts_off": off}}).fit(best.theta, **TIGHT).theta
        )

    slopes = jax.jit(jax.jacfwd(place, argnums=(0, 1, 2)))(known, on, off)
    backward = jax.jit(jax.jacrev(place, argnums=(0, 1, 2)))(known, on, off)
    for one, other in zip(slopes, backward, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10 * np.abs(one).max())
    bins = np.flatnonzero(runs["known"].counts > 5)[:2]
    for number, data in enumerate((known, on, off)):
        for k in bins:
            given = [known, on, off]

            def moved(x, number=number, k=k, given=given):
                return place(
                    *(d if i != number else np.where(np.arange(d.size) == k, x, d) for i, d in enumerate(given))
                )

            np.testing.assert_allclose(slopes[number][:, k], central(moved, data[k], 1e-3 * data[k]), rtol=1e-5)


def test_derivatives_in_responses(runs, models, best):
    """The likelihood made inside of the function: exposure of all runs, and the second derivative."""

    @jax.jit
    def place(scale):
        scaled = gj.Datasets({n: d.replace(exposure=d.exposure * scale) for n, d in runs.items()})
        return gj.likelihood(scaled, models).fit(best.theta, **TIGHT).theta

    slope = jax.jit(jax.jacfwd(place))
    # twice the exposure is half of the amplitude
    wanted = [0.0, -float(place(1.0)[1]), 0.0]
    scale = np.asarray(best.errors)
    np.testing.assert_allclose(slope(1.0) / scale, wanted / scale, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(slope(1.0)[1], central(place, 1.0, 1e-4)[1], rtol=1e-5)
    bend = jax.jit(jax.jacfwd(jax.jacfwd(place)))(1.0)
    assert float(bend[1]) == pytest.approx(2 * float(best.theta[1]), rel=1e-6)


def test_derivatives_in_the_width_of_the_psf():
    """Of amplitude, index and background norm of a map in a PSF width that is held, against refits beside it."""
    data = maps.small_map(n=16, n_energy=2)
    at_rest = [gj.Parameter(c, "deg", frozen=True) for c in (83.63, 22.01)]
    sky = [maps.source(gj.PointSpatialModel(*at_rest)), gj.FoVBackgroundModel(name="bkg")]
    noise = np.random.default_rng(4)
    data = data.replace(counts=noise.poisson(np.asarray(gj.npred(data, gj.Models(sky)))).astype(float))
    like = gj.likelihood(data, gj.Models([*sky, gj.InstrumentModel(psf_width=1.0, name="psf")]))
    name, width = "psf.psf_width.norm", 1.07

    @jax.jit
    def place(value):
        return like.with_held({name: value}).fit(like.initial, **TIGHT).theta

    slope = jax.jit(jax.jacrev(place))(width)
    assert like.names[-1] == name and float(slope[-1]) == pytest.approx(1.0)
    # a step of 1e-3 leaves 1.6e-5 of its third derivative
    np.testing.assert_allclose(slope, central(place, width, 3e-4), rtol=1e-5)


def test_held_parameters(runs, models, like, best):
    """Profiles by vmap equal fits of frozen models; the slope of the others along the held one."""
    name, sigma = "source.spectral.index", float(best.errors[0])
    values = float(best.theta[0]) + sigma * np.array([-1.0, 0.0, 1.5])
    found = jax.jit(jax.vmap(lambda v: like.with_held({name: v}).fit(best.theta, tolerance=1e-12)))(values)
    assert np.all(np.asarray(found.success)) and np.all(np.asarray(found.errors)[:, 0] == 0)
    np.testing.assert_array_equal(found.theta[:, 0], values)
    for value, stat, theta, errors in zip(values, found.stat, found.theta, found.errors, strict=True):
        frozen = models.with_values({name: float(value)}).freeze(name)
        result = gj.fit(runs, frozen, tolerance=1e-12)
        assert float(stat) == pytest.approx(result.stat, rel=1e-12)
        wanted = [(float(result.parameters[n].value), float(result.parameters[n].error)) for n in like.names[1:]]
        np.testing.assert_allclose(np.stack([theta[1:], errors[1:]], axis=1), wanted, rtol=1e-5)

    @jax.jit
    def others(value):
        return like.with_held({name: value}).fit(best.theta, **TIGHT).theta

    slope = jax.jit(jax.jacrev(others))(values[2])
    np.testing.assert_allclose(slope, central(others, values[2], 1e-3 * sigma), rtol=1e-5)
    assert float(slope[0]) == pytest.approx(1.0)


def test_many_counts_equal_single_fits(runs, models, like, best):
    """vmap over counts: the results of gj.fit on each."""
    rng = np.random.default_rng(3)
    expected = {n: np.asarray(v) for n, v in like.npred(best.theta).items()}
    known = rng.poisson(expected["known"], (8, expected["known"].size)).astype(float)
    found = jax.jit(jax.vmap(lambda n: like.with_counts({"known": n}).fit()))(known)
    for i in range(8):
        datasets = gj.Datasets({n: d.replace(counts=known[i]) if n == "known" else d for n, d in runs.items()})
        single = gj.fit(datasets, models)
        values = np.array([float(single.parameters[n].value) for n in like.names])
        assert np.max(np.abs(np.asarray(found.theta[i]) - values) / np.sqrt(np.diag(single.covariance))) < 1e-6
        assert float(found.stat[i]) == pytest.approx(single.stat, rel=1e-12)


def test_slow_fits_take_the_same_newton_steps(background_runs_factory):
    """Backgrounds of few counts: scoring is slow there, and the exact curvature takes over."""
    datasets, models = background_runs_factory(3, 10, background=15.0, exposure=1e11)
    result = gj.fit(datasets, models)
    found = gj.likelihood(datasets, models).fit()
    values = np.array([float(result.parameters[n].value) for n in result.free_names])
    sigma = np.sqrt(np.diag(result.covariance))
    assert result.evaluations > 10
    assert (int(found.iterations), int(found.evaluations)) == (result.iterations, result.evaluations)
    np.testing.assert_allclose((np.asarray(found.theta) - values) / sigma, 0, atol=1e-8)
    np.testing.assert_allclose(found.covariance / np.outer(sigma, sigma), result.correlation, atol=1e-7)


def test_ends_that_are_no_minimum(runs, models, like):
    """Bounds, directions without curvature, too few iterations, start values without a statistic."""
    bounded_models = models.with_parameter("source.spectral.index", min=3.0)
    at_bound = gj.likelihood(runs, bounded_models).fit()
    assert float(at_bound.theta[0]) == 3.0 and bool(at_bound.success)
    result = gj.fit(runs, bounded_models)
    errors = [float(result.parameters[name].error) for name in result.free_names]
    np.testing.assert_allclose(at_bound.errors, errors, rtol=1e-8)
    np.testing.assert_array_equal(at_bound.at_bound, [name in result.at_bound for name in result.free_names])
    assert np.isnan(errors[0]) and np.all(np.isfinite(errors[1:]))
    np.testing.assert_allclose(at_bound.covariance, result.covariance, rtol=1e-8)
    two = gj.Models([*models, gj.SkyModel(models[0].spectral, name="twin")]).freeze(
        "source.spectral.index", "twin.spectral.index"
    )
    double = gj.likelihood(runs, two).fit()
    assert list(gj.Status)[int(double.status)] == "unconstrained"
    both = [n.endswith("amplitude") for n in gj.likelihood(runs, two).names]
    np.testing.assert_array_equal(np.isinf(double.errors), both)
    early = like.fit(np.asarray(like.initial) * 3, max_iterations=1)
    assert list(gj.Status)[int(early.status)] == "max_iterations"
    nowhere = like.fit(np.array([np.nan, 1e-11, 1.0]))
    assert list(gj.Status)[int(nowhere.status)] == "stopped" and np.isinf(nowhere.edm)


def test_what_is_refused(runs, models, like):
    with pytest.raises(gj.InputError, match="Did you mean 'known'"):
        like.with_counts({"knwon": np.ones(12)})
    with pytest.raises(gj.InputError, match=r"shape \(3,\), expected \(12,\)"):
        like.with_counts({"known": np.ones(3)})
    with pytest.raises(gj.InputError, match="expected counts and"):
        like.with_counts({"on": np.ones(12)})
    with pytest.raises(gj.InputError, match="no free parameter"):
        like.with_held({"bkg.spectral.tilt": 0.1})
    with pytest.raises(gj.InputError, match=r"expected \(3,\)"):
        like.stat(np.ones(4))
    message = "inside a jax transformation"
    counts = np.asarray(runs["known"].counts)
    with pytest.raises(gj.InputError, match=message):
        jax.jit(lambda n: gj.fit(runs["known"].replace(counts=n), models).stat)(counts)
    with pytest.raises(gj.InputError, match=message):
        jax.vmap(lambda v: gj.fit(runs, models.with_values({"source.spectral.index": v})).stat)(jnp.ones(2))
    with pytest.raises(gj.InputError, match=message):
        jax.jit(lambda x: gj.fit(runs, models).stat * x)(1.0)


BOUNDS = np.array([[-np.inf, np.inf], [1.0, np.inf], [-np.inf, 2.0], [-1.0, 3.0]])


def test_transforms():
    """There and back, and the logarithm of the slope, against autodiff; densities of unit volume."""
    low, high = BOUNDS.T
    y, scale = np.array([0.3, -1.2, 0.7, 2.0]), np.array([1.5, 0.3, 2.0, 0.7])
    x = bounded(y, low, high, scale)
    assert np.all((x > low) & (x < high))
    np.testing.assert_allclose(unbounded(x, low, high, scale), y, rtol=1e-12)
    slopes = jnp.diagonal(jax.jacfwd(lambda y: bounded(y, low, high, scale))(y))
    np.testing.assert_allclose(jnp.exp(log_slope(y, low, high, scale)), slopes, rtol=1e-12)
    far = np.array([900.0, -900.0, 900.0, -900.0])
    for function in (bounded, log_slope):
        assert np.all(np.isfinite(jax.jacfwd(lambda y, f=function: f(y, low, high, scale))(far)))
    # away from the bounds straight, and with both bounds far apart as with one
    np.testing.assert_allclose(bounded(np.full(4, 40.0), low, np.full(4, np.inf), scale)[1], 1.0 + 0.3 * 40, rtol=1e-14)
    wide = bounded(np.linspace(-30, 30, 9), 1.0, 1e6, 2.0)
    np.testing.assert_allclose(wide, bounded(np.linspace(-30, 30, 9), 1.0, np.inf, 2.0), rtol=1e-12)
    # with the scale of the distance between them it is a logistic function
    logistic = 3 / (1 + np.exp(-np.linspace(-6, 6, 9)))
    one = np.asarray(unbounded(logistic, 0.0, 3.0, 3.0))
    np.testing.assert_allclose(bounded(one, 0.0, 3.0, 3.0), logistic, rtol=1e-12)


def test_densities_of_samplers(runs, models):
    """Differences of log_prob are those of the density in the parameters times the volume; whitened ones have unit
    curvature at the best fit; held parameters are standard normal."""
    bounded_models = models.with_parameter("source.spectral.index", min=1.0, max=4.0).with_parameter(
        "bkg.spectral.norm", min=0.2
    )
    like = gj.likelihood(runs, bounded_models)
    result = gj.fit(runs, bounded_models)
    for density in (like.whitened(result), like.whitened(like.fit()), like.unconstrained()):
        start = density.initial
        np.testing.assert_allclose(density.to_theta(start), like.initial, rtol=1e-9)
        # the amplitude has its own scale in the second
        points = [
            start,
            start
            + np.array([0.3, -0.2, 0.1])
            * np.where(
                np.array(like.names) == "source.spectral.amplitude", 1e-2 / np.diag(np.linalg.inv(density.root)), 1.0
            ),
        ]
        volumes = [np.linalg.slogdet(np.asarray(jax.jacfwd(density.to_theta)(p)))[1] for p in points]
        wanted = [float(like.log_prob(density.to_theta(p))) + v for p, v in zip(points, volumes, strict=True)]
        np.testing.assert_allclose([float(density.log_prob(p)) for p in points], wanted, rtol=1e-9)
    free = gj.likelihood(runs, models)
    white = free.whitened(free.fit())
    np.testing.assert_allclose(jax.jit(jax.hessian(white.log_prob))(np.zeros(3)), -np.eye(3), atol=1e-8)
    held = like.with_held({"bkg.spectral.norm": 1.0}).whitened(like.fit())
    slope = jax.grad(held.log_prob)(jnp.array([0.1, 0.2, 0.5]))
    assert float(slope[2]) == pytest.approx(-0.5) and float(held.to_theta(jnp.array([0.1, 0.2, 0.5]))[2]) == 1.0
