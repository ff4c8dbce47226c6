"""Scoring and then Newton steps: the same minimum in fewer of them."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gammajax as gj

pytestmark = pytest.mark.slow

module = importlib.import_module("gammajax.fit.solvers.minimise")


@pytest.fixture(scope="module")
def slow_fit(background_runs_factory):
    """Bright source, faint backgrounds with free norm and tilt: scoring needs tens of steps."""
    return background_runs_factory(4, 20, background=200.0, exposure=3e13)


def test_fewer_steps_to_the_same_minimum(slow_fit, monkeypatch):
    quick = gj.fit(*slow_fit)
    with monkeypatch.context() as patch:
        patch.setattr(module, "PATIENCE", 10**6)
        slow = gj.fit(*slow_fit, max_iterations=1000)
    assert quick.success and slow.success
    assert quick.evaluations < 40 and slow.evaluations > 2 * quick.evaluations
    assert quick.stat == pytest.approx(slow.stat, abs=1e-6)
    for name in quick.free_names:
        one, two = quick.parameters[name], slow.parameters[name]
        assert abs(float(one.value) - float(two.value)) < 1e-3 * float(two.error)


def test_progress_and_limits(slow_fit):
    """Called about once an iteration, with the same end; a limit holds in both phases."""
    calls = []
    result = gj.fit(*slow_fit, progress=lambda *a: calls.append(a))
    plain = gj.fit(*slow_fit)
    assert result.stat == pytest.approx(plain.stat, abs=1e-8) and result.evaluations == plain.evaluations
    # what ended the fit has no call of its own, nor has a last step
    assert result.evaluations - 2 <= len(calls) < result.evaluations
    assert np.all(np.diff([c[1] for c in calls]) <= 1e-6)
    for limit in (3, 9):
        short = gj.fit(*slow_fit, max_iterations=limit)
        assert short.status == "max_iterations" and short.evaluations == limit + 1


def test_steps_that_are_refused_are_followed_by_scoring(slow_fit, monkeypatch):
    """Newton steps far off: the fit goes on as scoring does."""
    real = module.newton_step

    def astray(*args):
        candidate, decrease = real(*args)
        return candidate._replace(globals=np.asarray(candidate.globals) * 3), decrease

    monkeypatch.setattr(module, "newton_step", astray)
    result = gj.fit(*slow_fit)
    monkeypatch.undo()
    assert result.success and result.stat == pytest.approx(gj.fit(*slow_fit).stat, abs=1e-6)


class Swinging(gj.Dataset):
    """One number whose best value is 1: the square of arctan(4 (x - 1)), above 0.5 rounded to hundredths.

    Steps that take it as straight swing between two points beside it, of exactly equal statistic.
    """

    tag = "Swinging"

    @property
    def data_shape(self):
        return (1,)

    def predict(self, models):
        return jnp.arctan(4 * (gj.dnde(models, jnp.ones(1)) - 1))

    def stat_bins(self, prediction):
        exact = prediction**2
        return exact + jnp.where(exact > 0.5, jax.lax.stop_gradient(jnp.round(exact, 2) - exact), 0.0)


def test_equal_statistics_are_no_progress():
    """No statistic is accepted twice in a row: from x = 1 + 1.39 / 4 a step leads to 1 - 1.39 / 4, and back."""
    calls = []
    spectrum = gj.PowerLawSpectralModel(amplitude=1 + 1.3917 / 4, index=2.0)
    models = gj.Models([gj.SkyModel(spectrum, "s")]).freeze("s.spectral.index")
    result = gj.fit(Swinging(), models, progress=lambda *a: calls.append(a))
    assert result.success and result.evaluations < 20
    assert float(result.parameters["s.spectral.amplitude"].value) == pytest.approx(1, abs=1e-4)
    accepted = {iterations: stat for iterations, stat, _ in calls}
    assert accepted[0] == pytest.approx(0.9, abs=1e-12)
    assert np.all(np.diff([accepted[i] for i in sorted(accepted)]) < 0)


class Faint(Swinging):
    """Squares whose expected curvature vanishes where they are least, as it does in the width of a source that is a
    point: next to it the estimated distance g^2 / 2 A does not fall below 0.04."""

    tag = "Faint"

    @property
    def data_shape(self):
        return (7,)

    def predict(self, models):
        return gj.dnde(models, jnp.ones(7)) * SHARES

    def stat_bins(self, prediction):
        return (prediction - jnp.array([0.3, 0.7, 1.1, 1.2, 1.9, 1.8, 2.4])) ** 2

    def scoring_bins(self, prediction):
        stat, slope, curvature = super().scoring_bins(prediction)
        return stat, slope, jnp.minimum(curvature, jnp.sum(slope * SHARES) ** 2 / (0.08 * jnp.sum(SHARES**2)))


SHARES = np.arange(1.0, 8.0) / 3


def test_fits_end_where_exact_steps_lead_nowhere(monkeypatch):
    """With images, whose expected curvature may vanish: what neither lowers the statistic nor should is the end."""
    models = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=0.9), "s")]).freeze("s.spectral.index")
    monkeypatch.setattr(module, "makes_images", lambda spec: True)
    result = gj.fit(Faint(), models)
    assert float(result.parameters["s.spectral.amplitude"].value) == pytest.approx(1.005, abs=1e-7)
    assert result.success and result.evaluations < 30


class Steep(gj.Dataset):
    """Squares of three sums of amplitudes a, b, c: 1e10 (a + b - 2), a - b and c - 1, the first 1e20 times as steep as
    the second, whose curvature is below the rounding of the first's. The minimum is 0, at a = b = c = 1."""

    tag = "Steep"

    @property
    def data_shape(self):
        return (3,)

    def predict(self, models):
        one, two, three = gj.dnde(models, jnp.arange(1.0, 4.0))
        # a + b E + c E^2
        c = (three - 2 * two + one) / 2
        b = two - one - 3 * c
        a = one - b - c
        return jnp.stack([1e10 * (a + b - 2), a - b, c - 1])

    def stat_bins(self, prediction):
        return prediction**2


def test_where_curvature_is_lost_nothing_converges():
    """At a + b = 2, a - b = 10 the statistic is 100: no convergence there, of a fit or of the points of a profile."""
    powers = [gj.PowerLawSpectralModel(amplitude=x, index=-i) for i, x in enumerate((6.0, -4.0, 1.0))]
    models = gj.Models([gj.SkyModel(power, name) for name, power in zip("abc", powers, strict=True)])
    models = models.freeze(*(f"{name}.spectral.index" for name in "abc"))
    result = gj.fit(Steep(), models, starts=1)
    assert result.stat == pytest.approx(100) and result.edm > 1e-8 and not result.success
    still = gj.fit(Steep(), models, optax.sgd(0.0), steps=25)
    assert still.edm > 1e-8 and not still.success
    found = gj.profile(Steep(), result, "c.spectral.amplitude", [1.0, 1.5])
    assert not found.converged.any()
