"""The picture of a light curve: what it shows where."""

import numpy as np
import pytest
from astropy.time import Time
from cases import light_curves

import gammajax as gj
from gammajax import plots
from gammajax.plots.figures import new_figure
from gammajax.plots.light_curves import date_ticks


def drawn(ax):
    ax.figure.canvas.draw()
    return ax


def test_values_errors_and_limits():
    curve = light_curves.curve(n_times=6, is_ul=np.arange(12) == 3)
    ax = drawn(plots.plot_light_curve(curve))
    power = -12
    assert "10⁻¹² cm⁻² s⁻¹" in ax.get_ylabel() and "MJD" in ax.get_xlabel()
    values = [c for c in ax.containers if c.lines[0].get_marker() in "os"]
    assert len(values) == 2
    for band, container in enumerate(values):
        shown = ~np.asarray(curve.is_ul)[:, band]
        x, y = container.lines[0].get_data()
        np.testing.assert_allclose(x, curve.time.mjd[shown])
        np.testing.assert_allclose(y, curve.flux.value[shown, band] / 10.0**power)
        # horizontal bars are bins of time, vertical ones the errors to both sides
        bars = [np.array(lines.get_segments()) for lines in container.lines[2]]
        np.testing.assert_allclose(bars[0][:, :, 0], np.stack([curve.time_min, curve.time_max], axis=1)[shown])
        low = (curve.flux - curve.flux_errn).value[shown, band] / 10.0**power
        high = (curve.flux + curve.flux_errp).value[shown, band] / 10.0**power
        np.testing.assert_allclose(bars[1][:, :, 1], np.stack([low, high], axis=1))
    (limit,) = [c for c in ax.containers if c not in values]
    assert limit.lines[0].get_ydata()[0] == pytest.approx(curve.flux_ul.value[1, 1] / 10.0**power)
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words[2] == "upper limits" and sum("χ²" in w for w in words) == 2
    assert words[0].startswith("1 to 3.16 TeV")
    # the legend covers no point
    box = ax.get_legend().get_window_extent()
    highest = ax.transData.transform((0, np.nanmax((curve.flux + curve.flux_errp).value) / 10.0**power))[1]
    assert box.y0 > highest


def test_dates_stand_over_their_times():
    curve = light_curves.curve()
    ax = drawn(plots.plot_light_curve(curve, "norm"))
    (top,) = ax.child_axes
    labels = {t.get_text(): x for x, t in zip(top.get_xticks(), top.get_xticklabels(), strict=True)}
    assert len(labels) > 2
    for day, place in labels.items():
        assert place == pytest.approx(Time(day, scale="utc").tt.mjd, rel=0, abs=1e-8)
    assert ax.get_ylabel() == "Norm"


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0.1, ["00:00\n2009-06-18", "00:30", "01:00", "01:30", "02:00"]),
        (30, ["2009-06-21", "2009-06-26", "2009-07-01", "2009-07-06", "2009-07-11", "2009-07-16"]),
        (400, ["2009-07", "2009-10", "2010-01", "2010-04", "2010-07"]),
        (4000, ["2010", "2012", "2014", "2016", "2018", "2020"]),
    ],
)
def test_dates_are_round(days, expected):
    ax = new_figure(8.0, 4.4).add_subplot()
    ax.set_xlim(55000.0, 55000.001 + days)
    top = ax.secondary_xaxis("top")
    date_ticks(top, *ax.get_xlim())
    assert [t.get_text() for t in top.get_xticklabels()] == expected


def test_axes_that_are_given_and_what_is_refused():
    curve = light_curves.curve(norm_err=None)
    from matplotlib.figure import Figure

    given = Figure().subplots()
    assert plots.plot_light_curve(curve, "dnde", ax=given) is given
    with pytest.raises(gj.InputError, match="LightCurve"):
        plots.plot_light_curve(curve.points)
    with pytest.raises(gj.InputError, match="kind"):
        plots.plot_light_curve(curve, "counts")
