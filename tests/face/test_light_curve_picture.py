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


def far_apart(**changes):
    """Two bands, of which the second has a twentieth of the flux."""
    curve = light_curves.curve(**changes)
    points = curve.points.replace(flux_ref=np.tile([1e-11, 5e-13], 12))
    return gj.LightCurve(curve.time_min, curve.time_max, points)


def test_bands_far_apart_have_a_logarithmic_axis():
    curve = far_apart(is_ul=np.arange(24) == 3)
    ax = drawn(plots.plot_light_curve(curve))
    assert ax.get_yscale() == "log" and ax.get_ylabel() == "Flux [cm⁻² s⁻¹]"
    first, second, limit = ax.containers
    np.testing.assert_allclose(first.lines[0].get_ydata(), curve.flux.value[:, 0])
    np.testing.assert_allclose(second.lines[0].get_ydata(), np.delete(curve.flux.value[:, 1], 1))
    # whole error bars, and arrows from the limit down
    for container, band in ((first, 0), (second, 1)):
        ends = np.array([s[:, 1] for s in container.lines[2][1].get_segments()])
        shown = ~np.asarray(curve.is_ul)[:, band]
        np.testing.assert_allclose(ends[:, 1], (curve.flux + curve.flux_errp).value[shown, band])
    assert limit.lines[0].get_ydata()[0] == pytest.approx(curve.flux_ul.value[1, 1])
    low, high = ax.get_ylim()
    assert low < (curve.flux - curve.flux_errn).value.min() and high > (curve.flux + curve.flux_errp).value.max()
    highest = ax.transData.transform((0, (curve.flux + curve.flux_errp).value.max()))[1]
    assert ax.get_legend().get_window_extent().y0 > highest
    # the label stands inside of the figure
    assert ax.yaxis.label.get_window_extent().x0 > 0
    # what is not positive has its place on a linear axis only
    negative = np.asarray(curve.points.norm).copy()
    negative[1] = -0.1
    assert plots.plot_light_curve(far_apart(norm=negative)).get_yscale() == "linear"
    assert plots.plot_light_curve(far_apart(), "norm").get_yscale() == "linear"


def test_flux_profile():
    points = light_curves.curve(n_times=4, n_energies=1).points
    profile = gj.FluxProfile([0, 0.1, 0.2, 0.4], [0.1, 0.2, 0.4, 0.6], points)
    ax = drawn(plots.plot_flux_profile(profile))
    assert ax.get_xlabel() == "Distance [deg]" and ax.get_ylabel() == "Flux [10⁻¹² cm⁻² s⁻¹]"
    (container,) = ax.containers
    x, y = container.lines[0].get_data()
    np.testing.assert_allclose(x, [0.05, 0.15, 0.3, 0.5])
    np.testing.assert_allclose(y, profile.flux.value[:, 0] / 1e-12)
    bars = [np.array(lines.get_segments()) for lines in container.lines[2]]
    np.testing.assert_allclose(bars[0][:, :, 0], np.stack([profile.distance_min, profile.distance_max], axis=1))
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["1 to 10 TeV"]
    assert plots.plot_flux_profile(profile, "e2dnde", ax=ax) is ax and "E² dN/dE" in ax.get_ylabel()
    with pytest.raises(gj.InputError, match="expected a FluxProfile"):
        plots.plot_flux_profile(points)
    with pytest.raises(gj.InputError, match="kind"):
        plots.plot_flux_profile(profile, "counts")


def test_axes_that_are_given_and_what_is_refused():
    curve = light_curves.curve(norm_err=None)
    from matplotlib.figure import Figure

    given = Figure().subplots()
    assert plots.plot_light_curve(curve, "dnde", ax=given) is given
    with pytest.raises(gj.InputError, match="LightCurve"):
        plots.plot_light_curve(curve.points)
    with pytest.raises(gj.InputError, match="kind"):
        plots.plot_light_curve(curve, "counts")
