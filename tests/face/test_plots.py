import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.figure
import numpy as np
import pytest
from astropy import units as u

import gammajax as gj
from gammajax.cli.demo import START, crab, simulate_night
from gammajax.fit import Prediction, predictions
from gammajax.fit.joint import make_problem
from gammajax.plots import figures, plots

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
    assert isinstance(plots.plot_sed(result, "net"), matplotlib.figure.Figure)


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
    assert isinstance(plots.plot_counts(dataset, models, "run"), matplotlib.figure.Figure)


def test_counts_figure_shows_what_it_says(night, result):
    figure = plots.plot_counts(night["run-1"], result.models, "run-1")
    top, bottom = figure.axes
    assert top.get_ylabel() == "Counts per bin"
    assert bottom.get_xlabel() == "Reconstructed energy [TeV]"
    assert top.get_xscale() == top.get_yscale() == "log"
    assert top.get_title(loc="left") == "run-1"
    assert top.get_title(loc="right").startswith("wstat ")
    labels = [t.get_text() for t in top.get_legend().get_texts()]
    assert labels == ["background", "signal + background", "counts", "counts, not fitted"]


def test_excess_points_are_near_one_where_the_fit_is_good(night, result):
    edges, ratio, error = plots.excess_points(predictions(*free_values(result, night)))
    good = np.isfinite(ratio) & (error < 0.5)
    assert good.sum() > 3
    assert np.all(np.abs(ratio[good] - 1) < 4.5 * error[good])
    assert len(edges) == len(ratio) + 1


def test_sed_figure(result, night):
    found = predictions(*free_values(result, night))
    figure = plots.plot_sed(result, "crab", (0.5, 40) * u.TeV, found)
    (ax,) = figure.axes
    assert ax.get_ylabel() == "E² dN/dE [TeV cm⁻² s⁻¹]"
    assert ax.get_xlim() == (0.5, 40)
    assert len(ax.get_legend().get_texts()) == 3
    data = figures.png(figure)
    assert data.startswith(b"\x89PNG")
    assert data == figures.png(plots.plot_sed(result, "crab", (0.5, 40) * u.TeV, found)), "equal input, equal file"


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
    assert len(figures.png(figures.counts_figure(odd_prediction(**changes)))) > 1000


@pytest.mark.parametrize("values", [(1e-12, 0.0), (1e-12, np.inf), (0.0, 1e-12), (-1e-12, 1e-12)])
def test_odd_spectra_can_be_drawn(values):
    dnde, error = (np.full(50, v) for v in values)
    assert len(figures.png(figures.sed_figure("odd", np.geomspace(0.1, 10, 50), dnde, error))) > 1000


def test_poisson_errors():
    # Gehrels 1986, tables 1 and 2, confidence 0.8413
    lower, upper = figures.poisson_errors(np.array([0.0, 1.0, 5.0, 50.0]))
    np.testing.assert_allclose(upper, [1.841, 2.300, 3.382, 8.118], rtol=0.02)
    np.testing.assert_allclose(lower, [0.0, 0.827, 2.159, 7.047], rtol=0.02)


def test_nothing_to_plot():
    dataset = gj.SpectrumDataset([1, 2, 3], exposure=[1.0, 1.0])
    with pytest.raises(gj.InputError, match="no counts"):
        plots.plot_counts(dataset, gj.Models([gj.SkyModel(gj.PowerLawSpectralModel())]))


def test_sky_picture():
    """Counts, prediction and residuals of a map; spectra have no picture of the sky."""
    geom = gj.SkyGeom.create((83.63, 22.01), 0.05, npix=12)
    edges = np.geomspace(1, 10, 3)
    mask = np.ones((2, 12, 12), bool)
    mask[:, :2] = False
    dataset = gj.MapDataset(
        geom,
        edges,
        exposure=np.full((2, 12, 12), 1e13),
        background=np.full((2, 12, 12), 0.5),
        psf=gj.PSFMap.from_gauss(np.sqrt(edges[1:] * edges[:-1]), 0.06),
        mask_safe=mask,
    )
    source = gj.SkyModel(gj.PowerLawSpectralModel(), "s", spatial=gj.PointSpatialModel(lon_0=83.63, lat_0=22.01))
    dataset = gj.asimov(dataset, [source])
    assert len(figures.png(plots.plot_sky(dataset, [source]))) > 1000
    assert len(figures.png(plots.plot_counts(dataset, [source]))) > 1000
    with pytest.raises(gj.InputError, match="expected a map"):
        plots.plot_sky(gj.SpectrumDataset(edges), [source])
