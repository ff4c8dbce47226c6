"""Where two components of a spectrum merge: closer to it, and its other side."""

import jax.numpy as jnp
import numpy as np
import pytest

import gammajax as gj
from gammajax.fit.joint import make_problem
from gammajax.fit.solvers.merged import merging


@pytest.fixture
def problem():
    run = gj.SpectrumDataset(np.geomspace(0.5, 50, 6), counts=np.ones(5), background=np.ones(5), exposure=np.ones(5))

    def of(first, second, *bounds):
        one, two = (gj.PowerLawSpectralModel(amplitude=a, index=i) for a, i in (first, second))
        models = gj.Models([gj.SkyModel(one + two, name="s")])
        for name, bound in bounds:
            models = models.with_parameter(name, **bound)
        return make_problem(run, models), models

    return of


def by_name(problem, free):
    return dict(zip((n.partition("spectral.")[2] for n in problem.free_names), free, strict=True))


@pytest.mark.parametrize("step", [1e-2, 1e-3])
def test_the_spectrum_is_the_same_to_second_order(problem, step):
    given, models = problem((7e-11 / step, 2.0), (-6.9e-11 / step, 2.0 + step))
    start = np.asarray(given.start())
    there = merging(given, start, -1.0)
    found = by_name(given, there)
    assert found["model2.amplitude"] == 6.9e-11 / step and found["model2.index"] == pytest.approx(2.0 - step)
    energies = jnp.geomspace(0.5, 50, 9)
    one, other = (np.asarray(gj.dnde(m, energies)) for m in (
        models, models.with_values(dict(zip(given.free_names, there, strict=True)))))  # fmt: skip
    # they differ by b d L^2 with b = a2 d, L = ln E
    size = np.abs(6.9e-11 * np.asarray(energies) ** -2.0 * np.log(np.asarray(energies)) ** 2) * step
    np.testing.assert_allclose(other, one, rtol=0, atol=1.3 * np.max(size))
    assert np.max(np.abs(other - one)) > 0
    np.testing.assert_allclose(merging(given, there, -1.0), start, rtol=1e-12)
    closer = by_name(given, merging(given, start, 0.1))
    assert closer["model2.index"] == pytest.approx(2.0 + step / 10) and closer["model2.amplitude"] == pytest.approx(
        -6.9e-10 / step
    )
    assert closer["model1.amplitude"] + closer["model2.amplitude"] == pytest.approx(1e-12 / step, rel=1e-6)


def test_none_where_nothing_cancels_or_it_may_not_move(problem):
    given, _ = problem((7e-11, 2.0), (3e-11, 2.2))
    assert merging(given, np.asarray(given.start()), -1.0) is None
    given, _ = problem((7e-10, 2.0), (-6.9e-10, 2.1))
    start, names = np.asarray(given.start()), given.free_names
    held = np.array(["index" in n for n in names])
    assert merging(given, start, -1.0, held) is None
    # the one whose index is held stays
    held = np.array(["model2.index" in n for n in names])
    found = by_name(given, merging(given, start, -1.0, held))
    assert found["model2.index"] == 2.1 and found["model1.amplitude"] == -7e-10
    given, _ = problem(
        (7e-10, 2.0), (-6.9e-10, 2.1), ("model1.amplitude", {"min": 0.0}), ("model2.amplitude", {"max": 0.0})
    )
    assert merging(given, np.asarray(given.start()), -1.0) is None
