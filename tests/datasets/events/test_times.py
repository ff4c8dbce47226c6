"""Times of events."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gammajax as gj
from gammajax.datasets.events import check_gti, draw_times

GTI = gj.GTI([0.0, 500.0, 500.0, 4000.0], [300.0, 500.0, 2000.0, 5000.0])
REFERENCE = 51544.0  # of the intervals, TT; 64.184 s later in UTC
N = 40_000


def draw(temporal, n=N, gti=GTI, seed=0):
    return draw_times(np.random.default_rng(seed), gti, temporal, np.zeros(n, int), np.ones(1))


def inside(times, gti=GTI):
    start, stop = np.asarray(gti.start), np.asarray(gti.stop)
    return np.all(np.any((times[:, None] >= start) & (times[:, None] <= stop), axis=1))


def p_value(times, density):
    """Kolmogorov-Smirnov test against the integral of a density over the intervals, by brute force."""
    grid = np.concatenate([np.linspace(a, b, 20001)[:-1] for a, b in zip(GTI.start, GTI.stop, strict=True) if b > a])
    widths = np.concatenate(
        [np.full(20000, (b - a) / 20000) for a, b in zip(GTI.start, GTI.stop, strict=True) if b > a]
    )
    cumulative = np.concatenate([[0.0], np.cumsum(density(grid + widths / 2) * widths)])
    ends = np.append(grid, 5000.0)
    return stats.kstest(np.interp(times, ends, cumulative / cumulative[-1]), "uniform").pvalue


def test_without_a_light_curve_times_are_even():
    for temporal in (None, gj.ConstantTemporalModel()):
        times = draw(temporal)
        assert inside(times) and p_value(times, np.ones_like) > 1e-3


def test_light_curves():
    utc = -64.184
    cases = {
        "decay": (gj.ExpDecayTemporalModel(t0=900 / 86400, t_ref=REFERENCE), lambda t: np.exp(-(t + utc) / 900)),
        "flare": (
            gj.GaussianTemporalModel(t_ref=REFERENCE + 1200 / 86400, sigma=60 / 86400, scale="tt"),
            lambda t: np.exp(-0.5 * ((t - 1200) / 60) ** 2),
        ),
        "sine": (
            gj.SineTemporalModel(amp=0.8, omega=2 * np.pi * 86400 / 400, t_ref=REFERENCE, scale="tt"),
            lambda t: 1 + 0.8 * np.sin(2 * np.pi * t / 400),
        ),
        "table": (
            gj.LightCurveTemplateTemporalModel(
                np.array([0, 1000, 1100, 6000]) / 86400, [0.0, 1, 5, 0], t_ref=REFERENCE, scale="tt"
            ),
            lambda t: np.interp(t, [0, 1000, 1100, 6000], [0, 1, 5, 0]),
        ),
    }
    for name, (temporal, density) in cases.items():
        times = draw(temporal)
        assert inside(times) and p_value(times, density) > 1e-3, name
        if name != "table":
            assert p_value(times, np.ones_like) < 1e-6, f"{name}: the test sees light curves"


def test_pulses_shorter_than_a_cell_of_time():
    """A pulsar of 30 Hz: its phases follow its curve, and its times are even."""
    phases, norm = np.linspace(0, 1, 41), 1 + np.cos(2 * np.pi * np.linspace(0, 1, 41))
    pulsar = gj.TemplatePhaseCurveTemporalModel(phases, norm, t_ref=REFERENCE, f0=30.0, scale="tt")
    times = draw(pulsar)
    # float64 days hold 1e-11 d: 3e-5 of a phase
    phase = times * 30 % 1
    expected = phase + np.sin(2 * np.pi * phase) / (2 * np.pi)
    assert stats.kstest(expected, "uniform").pvalue > 1e-3 and p_value(times, np.ones_like) > 1e-3


def test_light_curves_that_depend_on_energy():
    """One bin rises, the other falls: each event follows that of its true energy."""
    temporal = gj.LightCurveTemplateTemporalModel(
        np.array([0, 5000]) / 86400, np.array([[1.0, 20.0], [20.0, 1.0]]), REFERENCE, energy=[1.0, 10.0], scale="tt"
    )
    bins = np.repeat([0, 1], N)
    times = draw_times(np.random.default_rng(0), GTI, temporal, bins, np.array([1.0, 10.0]))
    assert p_value(times[bins == 0], lambda t: 20 ** (t / 5000)) > 1e-3
    assert p_value(times[bins == 1], lambda t: 20 ** (1 - t / 5000)) > 1e-3


def test_bad_input():
    with pytest.raises(gj.InputError, match="has no good time intervals, so that events have no times"):
        check_gti(None, "sample_events")
    with pytest.raises(gj.InputError, match="has no good time intervals"):
        check_gti(gj.GTI([], []), "sample_events")
    with pytest.raises(gj.InputError, match="intervals of no length"):
        check_gti(gj.GTI([1.0], [1.0]), "sample_events")
    falling = gj.LinearTemporalModel(alpha=1.0, beta=-86400 / 1000, t_ref=REFERENCE)
    with pytest.raises(gj.InputError, match="LinearTemporalModel: the light curve is negative"):
        draw(falling)
    assert draw(gj.ExpDecayTemporalModel(), n=0).shape == (0,)
    assert jnp.isfinite(jnp.asarray(draw(None, n=3))).all()
