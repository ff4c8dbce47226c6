from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.axes
import numpy as np
import pytest
from astropy import units as u

import gammajax as gj
from gammajax import plots
from gammajax.cli.demo import START, crab, simulate_night
from gammajax.fit import Prediction, predictions
from gammajax.fit.joint import make_problem
from gammajax.plots import figures
from gammajax.plots.bands import log_band
from gammajax.plots.counts import draw_counts
from gammajax.plots.sed import draw_sed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def night():
    return simulate_night(1)[:2]


@pytest.fixture(scope="module")
def result(night):
    return gj.fit(night, crab(START))


def free_values(result, datasets):
    problem = make_problem(datasets, result.models)
    return problem, problem.start()


def test_band_is_the_propagated_covariance(result):
    energy = np.array([0.7, 1.0, 3.0, 30.0])
    dnde, error = plots.flux_band(result, "crab", energy)
    spectral = result.models["crab"].spectral
    np.testing.assert_allclose(dnde, spectral(energy), rtol=1e-14)
    # closed form of the log parabola: d ln F / d(ln A, alpha, beta) = (1, -x, -x^2), x = ln E
    x = np.log(energy)
    amplitude = float(result.parameters["amplitude"].value)
    slopes = dnde[:, None] * np.stack([np.full(4, 1 / amplitude), -x, -(x**2)], axis=1)
    expected = np.sqrt(np.einsum("ei,ij,ej->e", slopes, result.covariance, slopes))
    np.testing.assert_allclose(error, expected, rtol=1e-10)
    # at the reference energy it is the error of the amplitude
    np.testing.assert_allclose(error[1], float(result.parameters["amplitude"].error), rtol=1e-12)


def test_band_has_the_width_of_a_sample_of_parameters(result):
    energy = np.array([2.0])
    _, error = plots.flux_band(result, "crab", energy)
    drawn = np.random.default_rng(0).multivariate_normal([float(result.parameters[n].value) for n in result.free_names],
                                                         result.covariance, 4000)  # fmt: skip
    x = np.log(2.0)
    flux = drawn[:, 0] * np.exp(-x * drawn[:, 1] - x**2 * drawn[:, 2])
    assert abs(np.std(flux) / error[0] - 1) < 0.08


def test_band_of_quantities_has_units(result):
    dnde, error = plots.flux_band(result, None, [1000.0, 2000.0] * u.GeV)
    numbers = plots.flux_band(result, None, [1.0, 2.0])
    assert dnde.unit == error.unit == u.Unit("TeV-1 s-1 cm-2")
    np.testing.assert_allclose((dnde.value, error.value), numbers)


def test_linked_parameters_and_several_models(night):
    parts = [gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=2e-11), name=n, datasets_names=d)
             for n, d in (("a", "run-1"), ("b", "run-2"))]  # fmt: skip
    result = gj.fit(night, gj.Models(parts).link("a.spectral.index", "b.spectral.index"))
    index, amplitude = (result.free_names.index(n) for n in ("a.spectral.index", "b.spectral.amplitude"))
    dnde, error = plots.flux_band(result, "b", np.array([5.0]))
    slopes = np.zeros(len(result.free_names))
    slopes[index] = -np.log(5.0) * dnde[0]
    slopes[amplitude] = dnde[0] / float(result.parameters["b.spectral.amplitude"].value)
    np.testing.assert_allclose(error[0], np.sqrt(slopes @ result.covariance @ slopes), rtol=1e-10)


def test_parameters_linked_within_a_model(night):
    model = gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=2e-11) * gj.PowerLawNormSpectralModel(), name="a")
    models = gj.Models([model])
    tilt = next(n for n in models.parameters if n.endswith("tilt"))
    models = (
        models.with_parameter(tilt, value=1.0)
        .unfreeze(tilt)
        .with_parameter("index", value=1.0)
        .link("a.spectral.index", tilt)
    )
    models = models.freeze("norm")
    result = gj.fit(night, models)
    dnde, error = plots.flux_band(result, "a", np.array([3.0]))
    i = result.free_names.index("a.spectral.index")
    j = result.free_names.index("a.spectral.amplitude")
    slopes = np.zeros(2)
    slopes[i] = -2 * np.log(3.0) * dnde[0]
    slopes[j] = dnde[0] / float(result.parameters["amplitude"].value)
    np.testing.assert_allclose(error[0], np.sqrt(slopes @ result.covariance @ slopes), rtol=1e-9)


class Bent(eqx.Module):
    """A power law with weights that are no Parameters."""

    weights: jax.Array

    def __call__(self, energy):
        return 1e-11 * jnp.exp(self.weights[0] - self.weights[1] * jnp.log(energy))


def test_spectra_that_are_plain_modules(night):
    result = gj.fit(night, gj.Models([gj.SkyModel(Bent(jnp.array([1.0, 2.0])), name="net")]))
    dnde, error = plots.flux_band(result, "net", np.array([1.0, 4.0]))
    slopes = dnde[:, None] * np.array([[1.0, -0.0], [1.0, -np.log(4.0)]])
    np.testing.assert_allclose(error, np.sqrt(np.einsum("ei,ij,ej->e", slopes, result.covariance, slopes)), rtol=1e-9)
    assert isinstance(plots.plot_sed(result, "net"), matplotlib.axes.Axes)


def test_which_model(result):
    with pytest.raises(gj.InputError, match="There is no source model 'crap'"):
        plots.flux_band(result, "crap", [1.0])
    two = gj.Models([*result.models, gj.SkyModel(gj.PowerLawSpectralModel(), name="other")])
    with pytest.raises(gj.InputError, match="There are 2 source models, say which: crab, other"):
        plots.flux_band(_with(result, two), None, [1.0])
    with pytest.raises(gj.InputError, match="convertible to 'TeV'"):
        plots.flux_band(result, "crab", [1.0] * u.s)


def _with(result, models):
    import dataclasses

    return dataclasses.replace(result, models=models)


def test_predictions_are_those_of_the_single_datasets(night, result):
    found = predictions(*free_values(result, night))
    np.testing.assert_allclose(sum(p.stat for p in found), result.stat, rtol=1e-12)
    for p, (name, dataset) in zip(found, night.items(), strict=True):
        assert p.name == name
        np.testing.assert_allclose(p.signal, gj.npred_signal(dataset, result.models), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(p.npred, gj.npred(dataset, result.models), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(p.stat, gj.stat_array(dataset, result.models).sum(), rtol=1e-9)


def test_predictions_of_known_backgrounds_with_a_background_model():
    edges = np.geomspace(1, 10, 6)
    dataset = gj.SpectrumDataset(edges, counts=np.arange(5.0), background=np.full(5, 2.0), exposure=np.full(5, 1e12))
    models = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-12), name="s"),
                        gj.FoVBackgroundModel(datasets_names="run").replace(name="run-bkg")])  # fmt: skip
    models = models.with_values({"run-bkg.spectral.norm": 1.5})
    problem = make_problem(gj.Datasets({"run": dataset}), models)
    (found,) = predictions(problem, problem.start())
    np.testing.assert_allclose(found.background, 3.0)
    np.testing.assert_allclose(found.signal, gj.npred_signal(dataset, models, "run"))
    assert not found.background_error.any()
    assert len(plots.plot_counts(dataset, models, "run")) == 2


def test_counts_figure_shows_what_it_says(night, result):
    top, bottom = plots.plot_counts(night["run-1"], result.models, "run-1")
    assert top.get_ylabel() == "Counts per bin"
    assert bottom.get_xlabel() == "Reconstructed energy [TeV]"
    assert top.get_xscale() == top.get_yscale() == "log"
    assert top.get_title(loc="left") == "run-1"
    assert top.get_title(loc="right").startswith("wstat ")
    labels = [t.get_text() for t in top.get_legend().get_texts()]
    said = [f"no {what}: 84 % upper limit" for what in ("off counts", "counts")]
    assert labels == ["background", said[0], "signal + background", said[1], "counts", "counts, not fitted"]
    # alpha times the limit of no counts, where there are no off counts
    run = night["run-1"]
    (limits,) = [line for line in top.lines if line.get_label() == said[0]]
    none = np.asarray(run.counts_off) == 0
    centre = np.sqrt(run.energy_edges[:-1] * run.energy_edges[1:])
    assert set(limits.get_xdata()[np.isfinite(limits.get_ydata())]) <= set(centre[none])
    np.testing.assert_allclose(np.nanmax(limits.get_ydata()), float(run.alpha[0]) * (1 + np.sqrt(0.75)))
    # dashed everywhere, and solid over it where it is fitted
    dashed, solid = (p.get_data().values for p in top.patches if p.get_edgecolor()[2] > 0.6 and not p.get_fill())
    first = len(solid) - len(run.mask)
    np.testing.assert_array_equal(np.isfinite(solid), run.mask[-len(solid) :] if first >= 0 else run.mask[: len(solid)])
    assert np.isfinite(dashed).all()


def test_residuals_are_those_of_the_statistic(night, result):
    """Of W, with error bars of one standard deviation that the axis does not cut."""
    run = night["run-1"]
    _, bottom = plots.plot_counts(run, result.models, "run-1")
    drawn = np.concatenate([c.lines[0].get_ydata() for c in bottom.containers])
    expected = np.asarray(gj.residuals(run, result.models, "significance"))
    assert set(np.round(expected[run.mask], 8)) <= set(np.round(drawn, 8))
    low, high = bottom.get_ylim()
    assert low < drawn.min() - 1 and drawn.max() + 1 < high


def some_points(**changes):
    """Two measured points, a limit, and a point without anything."""
    fields = {
        "energy_ref": [1.0, 3.0, 10.0, 30.0], "energy_min": [0.7, 2.0, 7.0, 20.0], "energy_max": [1.5, 5.0, 15.0, 45.0],
        "dnde_ref": [3e-11, 2e-12, 1e-13, 5e-15], "norm": [1.0, 1.1, -0.2, np.nan], "norm_err": [0.1, 0.2, 0.3, np.nan],
        "norm_errn": [0.09, np.nan, np.nan, np.nan], "norm_errp": [0.12, np.nan, np.nan, np.nan],
        "norm_ul": [1.2, 1.5, 0.7, np.nan], "sqrt_ts": [12.0, 6.0, -0.5, np.nan],
        "meta": gj.Meta({"UL_CONF": 0.9545}),
    }  # fmt: skip
    return gj.FluxPoints(**(fields | changes))


def segments(container):
    """Ends of the error bars: those along x, those along y."""
    return [np.array([line[:, axis] for line in bars.get_segments()]) for axis, bars in enumerate(container.lines[2])]


def test_sed_shows_points_and_limits(result):
    points = some_points()
    ax = plots.plot_sed(result, "crab", points=points)
    assert ax.get_ylabel() == "E² dN/dE [TeV cm⁻² s⁻¹]"
    # the energies of the points and those of the fit
    np.testing.assert_allclose(ax.get_xlim(), (result.energy_range("crab")[0], 45.0))
    measured, limits = ax.containers
    sed = points.e2dnde.to_value("TeV cm-2 s-1")
    np.testing.assert_allclose(measured.lines[0].get_xydata(), np.transpose([[1.0, 3.0], sed[:2]]))
    across, along = segments(measured)
    np.testing.assert_allclose(across, [[0.7, 1.5], [2.0, 5.0]])
    np.testing.assert_allclose(along, sed[:2, None] * [[1 - 0.09, 1.12], [1 - 0.2 / 1.1, 1 + 0.2 / 1.1]])
    # the arrow of the point of negative excess starts at its limit
    np.testing.assert_allclose(limits.lines[0].get_xydata(), [[10.0, points.e2dnde_ul.to_value("TeV cm-2 s-1")[2]]])
    said = [t.get_text() for t in ax.get_legend().get_texts()]
    assert sorted(said) == ["1σ of the fit", "best fit", "flux points", "not fitted", "upper limit (95.45 %)"]
    low, high = ax.get_ylim()
    assert low < sed[:2].min() * 0.8 and sed[:2].max() * 1.12 < high
    data = figures.png(ax)
    assert data.startswith(b"\x89PNG")
    assert data == figures.png(plots.plot_sed(result, "crab", points=points)), "equal input, equal file"
    assert plots.plot_sed(result, "crab", (0.5, 40) * u.TeV).get_xlim() == (0.5, 40)


def test_model_is_dashed_and_grey_where_it_was_not_fitted(result):
    low, high = result.energy_range("crab")
    ax = plots.plot_sed(result, "crab", (0.1, 100) * u.TeV)
    lines = {line.get_linestyle(): line for line in ax.lines if line.get_label() in ("best fit", "not fitted")}
    energy, sed = lines["-"].get_data()
    assert energy[np.isfinite(sed)][[0, -1]].tolist() == [low, high]
    dashed = [line.get_xdata() for line in ax.lines if line.get_linestyle() == "--"]
    assert [x[[0, -1]].tolist() for x in dashed] == [[0.1, low], [high, 100.0]]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["1σ of the fit", "best fit", "not fitted"]
    # results of earlier versions do not know
    unknown = plots.plot_sed(replace(result, energy_ranges={}), "crab", (0.1, 100) * u.TeV)
    assert [line.get_linestyle() for line in unknown.lines if line.get_label() in lines] == []
    assert [t.get_text() for t in unknown.get_legend().get_texts()] == ["1σ of the fit", "best fit"]


def test_band_stays_positive_and_is_that_of_the_logarithm():
    """Of a cutoff the ends are those of a cutoff one error away, where linear ones are negative."""
    energy, rate, error = np.array([1.0, 10.0, 40.0]), 0.2, 0.15
    dnde = np.exp(-rate * energy)
    low, high = log_band(dnde, energy * error * dnde)
    np.testing.assert_allclose(low, np.exp(-(rate + error) * energy), rtol=1e-12)
    np.testing.assert_allclose(high, np.exp(-(rate - error) * energy), rtol=1e-12)
    assert np.any(dnde - energy * error * dnde < 0) and np.all(low > 0)
    # small errors are those of dN/dE, and what is not positive has no band
    low, high = log_band(np.array([2.0, -1.0]), np.array([1e-6, 1.0]))
    np.testing.assert_allclose([low[0], high[0]], [2 - 1e-6, 2 + 1e-6], rtol=1e-12)
    assert np.isnan([low[1], high[1]]).all()


def test_axis_follows_model_and_points_not_the_band(result):
    """A cutoff that falls by 40 decades, with errors beyond all numbers."""
    grid = np.geomspace(0.1, 100, 50)
    dnde = 1e-11 * grid**-2 * np.exp(-grid)
    low, high = draw_sed("cutoff", grid, dnde, 3 * grid * dnde).get_ylim()
    assert 1e-16 < low < 1e-15 and 1e-11 < high < 3e-11
    low, high = draw_sed("cutoff", grid, dnde, 3 * grid * dnde, some_points()).get_ylim()
    limit = float(some_points().e2dnde_ul.to_value("TeV cm-2 s-1")[2])
    assert limit / 50 < low < limit and high < 1e-10


def test_sensitivity_picture(result):
    """Points of a table, by what decides; into the picture of a spectrum, whose axes grow."""
    edges = np.geomspace(1, 100, 11)
    dataset = gj.SpectrumDataset(edges, exposure=np.full(10, 1e13), background=40 * edges[:-1] ** -1.5)
    table = gj.sensitivity(dataset, n_sigma=4, gamma_min=8)
    ax = plots.plot_sensitivity(table, label="3 h")
    said = [t.get_text() for t in ax.get_legend().get_texts()]
    assert said == ["3 h: 4σ", "3 h: 8 counts of the source"]
    drawn = np.concatenate([c.lines[0].get_xydata() for c in ax.containers])
    np.testing.assert_allclose(drawn, np.transpose([table["e_ref"], table["e2dnde"].to("TeV cm-2 s-1")]))
    assert ax.get_ylabel() == "E² dN/dE [TeV cm⁻² s⁻¹]" and ax.get_xlabel() == "Energy [TeV]"
    np.testing.assert_allclose(ax.get_xlim(), (1, 100))
    assert len(figures.png(ax)) > 10_000
    both = plots.plot_sed(result, "crab")
    before = both.get_xlim()
    assert plots.plot_sensitivity(table[["e_min", "e_max", "e_ref", "e2dnde"]], ax=both) is both
    assert both.get_xlim() == (before[0], 100) and "sensitivity" in both.get_legend().get_texts()[-1].get_text()
    with pytest.raises(gj.InputError, match="expected a table with e_min"):
        plots.plot_sensitivity(result)
    with pytest.raises(gj.InputError, match="no band has a sensitivity"):
        plots.plot_sensitivity(table[:0])


def test_points_alone_and_what_are_none(result):
    ax = plots.plot_flux_points(some_points(), label="ours")
    assert {t.get_text() for t in ax.get_legend().get_texts()} == {"ours", "upper limit (95.45 %)"}
    assert plots.plot_flux_points(some_points(norm_ul=None, is_ul=[False] * 4), ax=ax) is ax
    assert len(figures.png(ax)) > 1000
    with pytest.raises(gj.InputError, match="points must be FluxPoints, found"):
        plots.plot_sed(result, points=[1.0])
    with pytest.raises(gj.InputError, match="expected FluxPoints"):
        plots.plot_flux_points(result)


@pytest.mark.parametrize("low", [1e-13, 0.02, 1.0, 7.3, 4e4])
@pytest.mark.parametrize("ratio", [1.02, 1.5, 4.0, 12.0, 80.0, 1e3, 1e6, 1e12])
@pytest.mark.parametrize("size", [(6.4, 4.6), (2.6, 2.2)])
def test_labels_of_logarithmic_axes_have_room(low, ratio, size):
    figure = figures.new_figure(*size)
    ax = figure.add_axes((0.3, 0.2, 0.65, 0.75))
    labels = [figures.log_axis(axis, low, low * ratio) for axis in (ax.xaxis, ax.yaxis)]
    ax.set_ylabel("y")
    figure.draw_without_rendering()
    for axis, texts in zip((ax.xaxis, ax.yaxis), labels, strict=True):
        shown = [t for t in axis.get_ticklabels() if t.get_text()]
        assert [t.get_text() for t in shown] == texts and 1 <= len(texts) <= 7
        boxes = [t.get_window_extent() for t in shown]
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
        beside = axis.label.get_window_extent()
        assert axis is ax.xaxis or not any(beside.overlaps(box) for box in boxes)
    # of wide axes more than one, whatever the range
    assert size[0] < 3 or all(len(texts) > 1 for texts in labels)


def odd_prediction(**changes):
    """Edge cases: nothing counted, nothing predicted, everything or nothing fitted."""
    n = 5
    fields = {
        "name": "a [strange] $name$",
        "edges": np.geomspace(0.01, 1000, n + 1),
        "mask": np.ones(n, bool),
        "n_bins": n,
        "stat": 0.0,
        "stat_type": "cash",
    }
    numbers = ("counts", "signal", "background", "background_error", "measured_background")
    return Prediction(**(fields | dict.fromkeys(numbers, np.zeros(n)) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"mask": np.zeros(5, bool)},
        {"counts": np.array([1e7, 1e5, 1e3, 10.0, 0])},
        {"signal": np.full(5, 1e-9), "counts": np.array([0, 0, 3.0, 0, 0])},
        {"signal": np.full(5, -1.0), "counts": np.ones(5)},
        {"edges": np.linspace(1, 1.2, 6), "signal": np.ones(5)},
    ],
)
def test_odd_data_can_be_drawn(changes):
    odd = odd_prediction(**changes)
    assert len(figures.png(draw_counts(odd, odd.counts - odd.npred))) > 1000


@pytest.mark.parametrize("values", [(1e-12, 0.0), (1e-12, np.inf), (0.0, 1e-12), (-1e-12, 1e-12)])
def test_odd_spectra_can_be_drawn(values):
    dnde, error = (np.full(50, v) for v in values)
    assert len(figures.png(draw_sed("odd", np.geomspace(0.1, 10, 50), dnde, error))) > 1000


def test_poisson_errors():
    # Gehrels 1986, tables 1 and 2, confidence 0.8413
    lower, upper = figures.poisson_errors(np.array([0.0, 1.0, 5.0, 50.0]))
    np.testing.assert_allclose(upper, [1.841, 2.300, 3.382, 8.118], rtol=0.02)
    np.testing.assert_allclose(lower, [0.0, 0.827, 2.159, 7.047], rtol=0.02)


def test_nothing_to_plot():
    dataset = gj.SpectrumDataset([1, 2, 3], exposure=[1.0, 1.0])
    with pytest.raises(gj.InputError, match="no counts"):
        plots.plot_counts(dataset, gj.Models([gj.SkyModel(gj.PowerLawSpectralModel())]))


def test_energy_dispersion_is_a_density(night):
    """The perfect response of equal bins: 1 / d ln E on the diagonal."""
    edges = np.geomspace(1, 10, 6)
    ax = plots.plot_edisp(gj.SpectrumDataset(edges))
    shown = np.ma.filled(ax.collections[0].get_array(), np.nan).reshape(5, 5)
    np.testing.assert_allclose(np.diag(shown), 5 / np.log(10))
    assert np.isnan(shown).sum() == 20
    assert plots.plot_edisp(night["run-1"], ax=ax) is ax


def test_profile_and_contour(result, night):
    """Points are those of the scan, in powers of ten."""
    profile = gj.profile(night, result, "amplitude", n=5)
    ax = plots.plot_profile(profile)
    drawn = np.concatenate([line.get_xydata() for line in ax.lines if line.get_marker() == "o"])
    np.testing.assert_allclose(drawn, np.transpose([profile.values * 1e11, profile.delta_stat]), atol=1e-12)
    assert ax.get_xlabel() == "crab.spectral.amplitude [10⁻¹¹ TeV⁻¹ s⁻¹ cm⁻²]"
    assert [t.get_text() for t in ax.texts] == ["1σ", "2σ"]
    curve = gj.contour(night, result, "alpha", "beta", n=9)
    ax = plots.plot_contour([curve, curve])
    np.testing.assert_allclose(ax.lines[1].get_xydata(), np.transpose([curve.x, curve.y]))
    # the smooth curve stays a contour: on the ellipse of the covariance to what that differs from the profile
    smooth = ax.lines[0].get_xydata() - curve.best
    at = [result.free_names.index(f"crab.spectral.{n}") for n in ("alpha", "beta")]
    distance = np.einsum("ni,ij,nj->n", smooth, np.linalg.inv(result.covariance[np.ix_(at, at)]), smooth)
    points = np.transpose([curve.x, curve.y]) - curve.best
    of_points = np.einsum("ni,ij,nj->n", points, np.linalg.inv(result.covariance[np.ix_(at, at)]), points)
    assert of_points.min() - 0.03 < distance.min() and distance.max() < of_points.max() + 0.03
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["1σ (39.3 %)"] * 2 + ["best fit"]
    for wrong in ([], profile, [profile]):
        with pytest.raises(gj.InputError, match="expected one Contour or several"):
            plots.plot_contour(wrong)
    with pytest.raises(gj.InputError, match=r"expected what gj\.profile"):
        plots.plot_profile(curve)


def test_corner(result):
    rng = np.random.default_rng(0)
    best = [float(result.parameters[name].value) for name in result.free_names]
    samples = rng.multivariate_normal(best, result.covariance, (2, 500))
    rows = plots.plot_corner(result, samples)
    assert [len(row) for row in rows] == [1, 2, 3]
    assert [ax.get_xlabel() for ax in rows[-1]] == ["amplitude [10⁻¹¹ TeV⁻¹ s⁻¹ cm⁻²]", "alpha", "beta"]
    # the curve of 1 sigma: its extent along each axis is the error
    one = rows[2][1].lines[0].get_xydata()
    errors = [float(result.parameters[f"crab.spectral.{n}"].error) for n in ("alpha", "beta")]
    np.testing.assert_allclose(np.ptp(one, axis=0) / 2, errors, rtol=1e-3)
    assert len(figures.png(rows)) > 1000
    assert len(plots.plot_corner(result, names=["beta"])) == 1
    with pytest.raises(gj.InputError, match=r"reference is not a free parameter"):
        plots.plot_corner(result, names=["reference"])
    with pytest.raises(gj.InputError, match=r"samples have shape \(4, 2\)"):
        plots.plot_corner(result, np.ones((4, 2)))
