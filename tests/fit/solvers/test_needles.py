"""Faint spectra: the starts that put all of a source into a few bins.

What is right is at most the statistic of a line that the test puts there.
"""

import sys

import numpy as np
import pytest

import gammajax as gj
from gammajax.fit.joint import make_problem
from gammajax.fit.solvers.needles import STRETCHES, is_faint, needles, only

EDGES = np.geomspace(0.5, 50, 21)
SOFT = np.round(40 * np.geomspace(0.5, 50, 20) ** -1.2)


def spectrum(counts, background=0.05):
    """Counts with a known background, and a response as wide as a third of a bin."""
    edisp = gj.EDispKernel.from_gauss(EDGES, EDGES, sigma=0.05, bias=0.0)
    return gj.SpectrumDataset(EDGES, counts=counts, background=np.full(20, background), exposure=np.full(20, 1e12),
                              edisp=edisp)  # fmt: skip


def cutoff(lambda_=0.1, index=2.0, amplitude=1e-12):
    return gj.SkyModel(gj.ExpCutoffPowerLawSpectralModel(amplitude=amplitude, index=index, lambda_=lambda_), name="s")


def parabola(beta=0.1, alpha=2.0, amplitude=1e-12):
    spectral = gj.LogParabolaSpectralModel(amplitude=amplitude, alpha=alpha, beta=beta, reference=1.0)
    return gj.SkyModel(spectral, name="s")


@pytest.fixture(scope="module")
def dozen():
    """Few counts here and there, and five in one bin."""
    counts = np.zeros(20)
    counts[[0, 1, 10, 14]] = [2, 1, 1, 1]
    counts[6] = 5
    return spectrum(counts)


CENTRE = float(np.sqrt(EDGES[6] * EDGES[7]))


def line_of(model, curvature=100.0):
    """The model as a line in the bin of five counts; both have the same curvature in ln E there."""
    if model is parabola:
        alpha, log = -2 * curvature * np.log(CENTRE), curvature * np.log(CENTRE) ** 2
        return parabola(curvature, alpha, 1e-12 * np.exp(-log))
    index = -2 * curvature
    return cutoff(-index / CENTRE, index, 1e-12 * np.exp(-index + index * np.log(CENTRE)))


def lowest_of_lines(dataset, line):
    """The statistic of a line with the best of many amplitudes."""
    background, observed = np.asarray(dataset.background), np.asarray(dataset.counts)
    shape = np.asarray(gj.npred(dataset, line)) - background
    predicted = background + shape / shape.sum() * np.linspace(1, 10, 91)[:, None]
    return np.min(2 * np.sum(predicted - observed * np.log(predicted), axis=1))


@pytest.mark.parametrize("model", [cutoff, parabola])
def test_a_few_counts_in_one_bin_are_found(dozen, model):
    """From starts that know nothing of them, as low as a line there at least; one start ends higher."""
    line = lowest_of_lines(dozen, line_of(model))
    starts = [model(k, index) for k, index in ((0.02, 1.5), (0.1, 2.0), (0.5, 3.0))]
    assert max(gj.fit(dozen, start, starts=1).stat for start in starts) > line + 0.5
    found = [gj.fit(dozen, start) for start in starts]
    for result in found:
        assert result.stat <= line + 1e-3
        assert not result.success or result.stat <= min(r.stat for r in found) + 0.5


def test_where_needles_are_tried(dozen):
    """For faint sources with two parameters of shape, on spectra; not for bright ones, power laws, many parameters."""
    state = {}

    def faint(dataset, *models):
        problem = make_problem(gj.Datasets({"s": dataset}), gj.Models(list(models)))
        minimise = sys.modules["gammajax.fit.solvers.minimise"]
        start = minimise.from_free(problem.arrays, np.asarray(problem.start(), float))
        state["end"] = minimise.minimise(problem.spec, problem.arrays, start, tolerance=1e-8, max_iterations=50).state
        return is_faint(problem, state["end"])

    assert faint(dozen, cutoff())
    bright = spectrum(100 * SOFT)
    assert not faint(bright, cutoff(amplitude=1e-8))
    # the square of the significance of counts without a background is their number
    end = state["end"]
    along = np.where(np.asarray(end.theta.globals) < 1e-3, np.asarray(end.theta.globals), 0)
    assert along @ np.asarray(end.normal.matrix) @ along / 2 == pytest.approx(100 * SOFT.sum(), rel=0.05)
    power_law = gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-12), name="s")
    assert not faint(dozen, power_law)


def test_only_the_events_of_one_stretch(dozen):
    problem = make_problem(gj.Datasets({"s": dozen}), cutoff())
    arrays = only(problem, EDGES[5], EDGES[8])
    (group,) = arrays["groups"]
    kept = np.asarray(group["data_own"]["counts"])
    assert kept.sum() == 5 and kept[0, 6] == 5
    (before,) = problem.arrays["groups"]
    assert np.asarray(before["data_own"]["counts"]).sum() == 10
    assert only(problem, EDGES[16], EDGES[19]) is None
    starts, spent = needles(problem, np.asarray(problem.start(), float), np.inf)
    assert 1 <= len(starts) <= 4 and 0 < spent < 40 * STRETCHES
