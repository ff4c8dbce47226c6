"""Scoring and then Newton steps: the same minimum in fewer of them."""

import importlib

import numpy as np
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
