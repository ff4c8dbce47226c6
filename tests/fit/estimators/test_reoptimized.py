"""Norms with the other models fitted along, against fits and profiles of each band by hand."""

import numpy as np
import pytest
from astropy import units as u
from scipy.optimize import brentq, minimize

import gammajax as gj

pytestmark = pytest.mark.slow

EDGES = [0.2, 1.0, 3.0, 10.0]


@pytest.fixture(scope="module")
def run(spectrum_factory):
    return spectrum_factory(1, on_off=False, background=200.0)


@pytest.fixture(scope="module")
def models(power_law):
    background = gj.FoVBackgroundModel(name="bkg", datasets_names=["run"])
    other = gj.FoVBackgroundModel(name="elsewhere", datasets_names=["late"])
    prior = gj.GaussianPrior(mu=1.0, sigma=0.05)
    return gj.Models([power_law()["source"], background.replace(), other]).with_parameter(
        "bkg.spectral.norm", prior=prior
    )


@pytest.fixture(scope="module")
def points(run, models):
    return gj.flux_points({"run": run}, models, "source", EDGES * u.TeV, norms=[0.5, 2.0], reoptimize=True)


def test_each_band_by_scipy(run, models, points):
    """The background norm, which has a prior, is at its best for each norm of the source."""
    signal, background = np.asarray(gj.npred_signal(run, models["source"])), np.asarray(run.background)
    counts, own = np.asarray(run.counts), np.asarray(run.energy_edges)
    held = gj.flux_points({"run": run}, models, "source", EDGES * u.TeV)
    for k in range(3):
        band = (own[:-1] >= points.energy_min[k] * 0.999) & (own[1:] <= points.energy_max[k] * 1.001)
        s, b, n = signal[band], background[band], counts[band]

        def stat(norm, bkg, s=s, b=b, n=n):
            mu = norm * s + bkg * b
            # with the prior as a density
            prior = ((bkg - 1) / 0.05) ** 2 + 2 * np.log(0.05 * np.sqrt(2 * np.pi))
            return 2 * np.sum(mu - n * np.log(mu)) + prior

        def profile(norm, stat=stat):
            return minimize(
                lambda p: stat(norm, p[0]), [1.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11}
            ).fun

        best = minimize(
            lambda p, stat=stat: stat(*p), [1.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11}
        )
        norm, error = best.x[0], float(points.norm_err[k])
        assert abs(points.norm[k] - norm) < 1e-4 * error
        assert points.stat[k] == pytest.approx(best.fun, abs=1e-6)
        assert points.stat_null[k] == pytest.approx(profile(0.0), abs=1e-6)
        np.testing.assert_allclose(points.stat_scan[k], [profile(0.5), profile(2.0)], atol=1e-6)

        def risen(x, rise, best=best, profile=profile):
            return profile(x) - best.fun - rise

        assert points.norm_errp[k] == pytest.approx(brentq(risen, norm, norm + 2 * error, (1,)) - norm, rel=1e-3)
        assert points.norm_errn[k] == pytest.approx(norm - brentq(risen, norm - 1.5 * error, norm, (1,)), rel=1e-3)
        assert points.norm_ul[k] == pytest.approx(brentq(risen, norm, norm + 4 * error, (4,)), rel=1e-3)
        mu = norm * s + best.x[1] * b
        assert points.meta["columns"]["npred"][k, 0] == pytest.approx(mu.sum(), rel=1e-5)
        # as near as the norm itself
        excess = points.meta["columns"]["npred_excess"][k, 0]
        assert excess == pytest.approx(norm * s.sum(), abs=1e-4 * error * s.sum())
        # there is something to be fitted along
        assert points.norm_err[k] > 1.01 * held.norm_err[k] or k == 2


def test_nothing_else_free_is_the_same(run, power_law):
    """With all others frozen both ways agree."""
    steps: list[tuple[int, int]] = []
    options = {"norms": [1.0], "progress": lambda *step: steps.append(step)}
    found = gj.flux_points(run, power_law(), "source", EDGES, reoptimize=True, **options)
    n = len(steps) - 1
    assert steps == [(k, n) for k in range(n + 1)] and n
    held = gj.flux_points(run, power_law(), "source", EDGES, norms=[1.0])
    for name in ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "stat", "ts", "stat_scan"):
        np.testing.assert_allclose(getattr(found, name), getattr(held, name), rtol=2e-4, err_msg=name)


def test_light_curves_and_bands_without_counts(run, models):
    """Times one by one as flux points of theirs; where nothing was counted the limit is that with all held."""
    gti = {name: gj.GTI([start], [start + 1000.0], 55000.0) for name, start in (("run", 0.0), ("late", 5000.0))}
    late = run.replace(counts=np.where(np.arange(12) < 3, run.counts, 0.0), gti=gti["late"])
    both = {"run": run.replace(gti=gti["run"]), "late": late}
    # limits are then counted from 0
    models = models.with_parameter("source.spectral.amplitude", min=0.0)
    found = gj.light_curve(both, models, "source", "run-wise", EDGES, reoptimize=True)
    for place, name in enumerate(both):
        own = gj.Models([m for m in models if m.acts_on(name)])
        alone = gj.flux_points({name: both[name]}, own, "source", EDGES, reoptimize=True)
        np.testing.assert_allclose(found.norm[place], alone.norm, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(found.norm_ul[place], alone.norm_ul, rtol=1e-5)
    assert found.norm[1, 2] == 0 and np.isnan(found.norm_err[1, 2]) and found.norm_ul[1, 2] > 0
