"""Bins without an off acceptance: their background was not measured, and whatever asks for it says so."""

import jax
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import gammajax as gj

EDGES = np.array([1.0, 2, 4, 8])
MODELS = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=3e-11, index=2.3), name="s")])
USES = {
    "stack": lambda run: gj.stack([run, run_of(5)]),
    "stack, second": lambda run: run_of(5).stack(run),
    "to_image": lambda run: run.to_image(),
    "resample_energy_axis": lambda run: run.resample_energy_axis(EDGES[[0, 1, 3]]),
    "background": lambda run: run.background,
    "excess": lambda run: run.excess,
    "info_dict": lambda run: gj.info_dict(run),
    "counts_statistic": lambda run: gj.counts_statistic(run),
    "npred": lambda run: gj.npred(run, MODELS),
    "npred_background": lambda run: gj.npred_background(run, MODELS),
    "residuals": lambda run: gj.residuals(run, MODELS, "significance"),
    "stat_array": lambda run: gj.stat_array(run, MODELS),
    "stat_sum": lambda run: gj.stat_sum(run, MODELS),
    "fake": lambda run: gj.fake(jax.random.key(0), run, MODELS, npred_background=np.ones(3)),
    "asimov": lambda run: gj.asimov(run, MODELS),
    "fit": lambda run: gj.fit(gj.Datasets({"a": run}), MODELS),
}


def run_of(acceptance_off, **fields):
    return gj.SpectrumDatasetOnOff(
        EDGES,
        counts=[60, 20, 12],
        counts_off=[50, 20, 10],
        acceptance_off=acceptance_off,
        exposure=[2e12] * 3,
        **fields,
    )


@pytest.mark.parametrize("use", USES)
def test_a_bin_without_off_acceptance_is_refused_by_all(use):
    with pytest.raises(gj.InputError, match=r"no background was measured in 1 bins.*bin 1.*with_mask_safe"):
        USES[use](run_of([5, 0, 5]))


@pytest.mark.parametrize("use", [use for use in USES if use != "fit"])
def test_and_taken_where_it_is_excluded(use):
    run = run_of([5, 0, 5])
    USES[use](run.with_mask_safe(run.safe_bins() & (run.alpha > 0)))


def test_maps_too():
    geom = gj.SkyGeom.create((83.0, 22.0), 0.1, npix=(3, 2))
    off = np.full((1, 2, 3), 5.0)
    off[0, 1, 2] = 0
    run = gj.MapDatasetOnOff(
        geom=geom, energy_edges=[1, 8], counts=np.ones_like(off), counts_off=off, acceptance_off=off
    )
    for use in (lambda r: r.excess, lambda r: r.to_image(), lambda r: gj.stack([r, r]), gj.counts_statistic):
        with pytest.raises(gj.InputError, match=r"1 bins.*bin 0, 1, 2"):
            use(run)
    safe = run.with_mask_safe(run.acceptance_off > 0)
    assert safe.excess.sum() == 0 + 1  # alpha n_off = 1 in five pixels, and nothing is known of the sixth
    assert safe.to_image().background.sum() == 5


def test_the_stack_of_what_was_measured_has_the_flux_of_the_truth():
    """The stack's W statistic, minimised by scipy, over the excluded bin of one run and all bins of the other."""
    bad = run_of([5, 0, 5])
    stacked = gj.stack([bad.with_mask_safe(bad.alpha > 0), run_of(5)])
    n_on, n_off, alpha = np.array([120, 20, 24.0]), np.array([100, 20, 20.0]), 0.2
    share = np.array([4e12, 2e12, 4e12]) * (EDGES[:-1] ** -1.3 - EDGES[1:] ** -1.3) / 1.3

    def wstat(amplitude):
        s = amplitude * 1e-11 * share
        c = alpha * (n_on + n_off) - (1 + alpha) * s
        b = (c + np.sqrt(c**2 + 4 * alpha * (alpha + 1) * n_off * s)) / (2 * alpha * (alpha + 1))
        return 2 * np.sum(s + (1 + alpha) * b - n_on * np.log(s + alpha * b) - n_off * np.log(b))

    best = minimize_scalar(wstat, (1.0, 5.0), tol=1e-10).x * 1e-11
    result = gj.fit(gj.Datasets({"a": stacked}), MODELS.freeze("s.spectral.index"))
    np.testing.assert_allclose(result.parameters["s.spectral.amplitude"].value, best, rtol=1e-5)


def test_alpha_of_0_is_measured_and_keeps_its_off_acceptance():
    """An on region of which nothing is seen: the background in it is 0, and stays so in sums."""
    none = run_of(10, acceptance=0.0)
    total = gj.stack([none, none])
    assert total.acceptance_off.tolist() == [20, 20, 20] and total.background.tolist() == [0, 0, 0]
    assert none.to_image().acceptance_off.tolist() == [30]
