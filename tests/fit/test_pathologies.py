"""Fits that go wrong elsewhere: empty runs, runs of background alone, twin backgrounds, bounds, starts far off.

The answers come from likelihoods written here in NumPy and minimised by SciPy (spectra), or from Minuit and closed
forms (maps). Every fit either ends there, or names what the data do not tell; no value is ever NaN.
"""

import itertools

import jax
import numpy as np
import pytest
from cases import maps as cases
from scipy.optimize import minimize

import gammajax as gj

pytestmark = pytest.mark.slow

RUNS = ("run-0", "run-1", "run-2")
INDEX, AMPLITUDE = "source.spectral.index", "source.spectral.amplitude"
NODES = np.polynomial.legendre.leggauss(20)


def norm(run):
    return f"{run}-bkg.spectral.norm"


def tilt(run):
    return f"{run}-bkg.spectral.tilt"


class Reference:
    """The likelihood of the three runs and its gradient, from the definitions; parameters in a dict of names."""

    def __init__(self, datasets):
        self.datasets = datasets

    def __call__(self, values):
        total, slope = 0.0, dict.fromkeys(values, 0.0)
        for name, dataset in self.datasets.items():
            edges, reco = np.log(dataset.energy_true_edges), np.asarray(dataset.energy_edges)
            half, middle = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
            log = middle + half * NODES[0]
            density = half * NODES[1] * np.exp(log * (1 - values[INDEX]))
            fold = np.asarray(dataset.exposure)[:, None] * np.asarray(dataset.edisp.matrix)
            per_amplitude, per_index = density.sum(1) @ fold, -values[AMPLITUDE] * (density * log).sum(1) @ fold
            signal, n = values[AMPLITUDE] * per_amplitude, np.asarray(dataset.counts)
            if isinstance(dataset, gj.SpectrumDatasetOnOff):
                stat, d_signal = w_statistic(n, np.asarray(dataset.counts_off), np.asarray(dataset.alpha), signal)
            else:
                log_reco = np.log(reco[1:] * reco[:-1]) / 2
                per_norm = np.asarray(dataset.background) * np.exp(-values[tilt(name)] * log_reco)
                stat, d_signal = cash(n, signal + values[norm(name)] * per_norm)
                slope[norm(name)] += d_signal @ per_norm
                slope[tilt(name)] -= d_signal @ (values[norm(name)] * per_norm * log_reco)
            total += stat
            slope[AMPLITUDE] += d_signal @ per_amplitude
            slope[INDEX] += d_signal @ per_index
        return total, slope

    def minimum(self, start, bounds=None):
        """Least value that sequential quadratic programming finds within ``bounds`` {name: (low, high)}, and where."""
        names, bounds = list(start), bounds or {}
        scale = np.array([1e-12 if n == AMPLITUDE else 0.05 for n in names])

        def function(x):
            value, slope = self(dict(zip(names, x * scale, strict=True)))
            return value, np.array([slope[n] for n in names]) * scale

        limits = [bounds.get(n, (-np.inf, np.inf)) for n in names] / scale[:, None]
        x = np.array([start[n] for n in names]) / scale
        for _ in range(3):
            found = minimize(
                function, x, jac=True, bounds=limits, method="SLSQP", options={"ftol": 1e-13, "maxiter": 300}
            )
            x = found.x
        return found.fun, dict(zip(names, x * scale, strict=True))


def cash(n, mu):
    """2 (mu - n ln mu) and its slope; 2 max(mu, 0) in bins without counts, mu at least 1e-25 in the others."""
    floored = np.maximum(mu, 1e-25)
    seen = n > 0
    value = np.where(seen, floored - n * np.log(floored), np.maximum(mu, 0.0))
    return 2 * value.sum(), 2 * np.where(seen, 1 - n / floored, (mu >= 0) * 1.0)


def w_statistic(n_on, n_off, alpha, signal):
    """The likelihood ratio of both regions at the best background b, a root of a quadratic equation."""
    p = n_on + n_off - (1 + 1 / alpha) * signal
    b = np.maximum((p + np.sqrt(p**2 + 4 * (1 + 1 / alpha) * n_off * signal)) / (2 * (1 + alpha)), 0.0)
    on, off = np.maximum(signal + alpha * b, 1e-300), np.maximum(b, 1e-300)
    value = on + off - n_on * np.log(on) - n_off * np.log(off)
    return 2 * value.sum(), 2 * (1 - n_on / on)


@pytest.fixture(scope="module")
def known(spectrum_factory):
    """Runs with a known background, steep enough to tell it from the source, and each with its own share of it: if all
    had the same, source and backgrounds could exchange their roles in a second minimum."""
    like = spectrum_factory(on_off=False, noise=False)
    reco, true = np.asarray(like.energy_edges), np.asarray(like.energy_true_edges)
    background = 3000 * (reco[:-1] / reco[0]) ** -2.7
    flux = 3e-11 * (true[:-1] ** -1.5 - true[1:] ** -1.5) / 1.5
    rng = np.random.default_rng(20)
    datasets = {}
    for run, exposure in zip(RUNS, (10.0, 40.0, 2.5), strict=True):
        signal = (exposure * flux * np.asarray(like.exposure)) @ np.asarray(like.edisp.matrix)
        counts = rng.poisson(signal + background).astype(float)
        exposed = exposure * np.asarray(like.exposure)
        datasets[run] = like.replace(exposure=exposed, background=background, counts=counts)
    return gj.Datasets(datasets)


@pytest.fixture(scope="module")
def on_off(spectrum_factory):
    return gj.Datasets({r: spectrum_factory(30 + i) for i, r in enumerate(RUNS)})


def with_backgrounds():
    """The source and three backgrounds with norm and tilt free, no norm below zero."""
    spectrum = gj.PowerLawNormSpectralModel(norm=gj.Parameter(1.0, min=0.0), tilt=gj.Parameter(0.0))
    source = gj.SkyModel(gj.PowerLawSpectralModel(index=2.5, amplitude=3e-11), name="source")
    return gj.Models([source, *(gj.FoVBackgroundModel(spectrum, datasets_names=r) for r in RUNS)])


def values_of(result):
    values = {n: float(result.parameters[n].value) for n in result.free_names}
    assert np.all(np.isfinite(list(values.values()))), values
    assert np.isfinite(result.stat) and np.isfinite(result.edm)
    # a parameter that a bound stops has no error
    assert {n for n, p in result.parameters.items() if np.isnan(float(p.error))} <= set(result.at_bound)
    return values


def short(dataset):
    """The fields of a run so short that nothing was seen in it."""
    known = isinstance(dataset, gj.SpectrumDataset)
    less = {k: 1e-5 * np.asarray(getattr(dataset, k)) for k in ("exposure", *(["background"] if known else []))}
    return less | {"counts": np.zeros(12)}


def changed(datasets, name, **fields):
    return gj.Datasets({n: d.replace(**fields) if n == name else d for n, d in datasets.items()})


def named(result):
    """Parameters that the result calls undetermined or at a bound; the message shows the first five of each."""
    assert all(text in result.message for text in (*result.degenerate[:5], *result.at_bound[:5]))
    return {n for text in result.degenerate for n in text.split(" & ")} | set(result.at_bound)


def vanishes(value, scale=1.0):
    """Zero as far as the tolerance of a fit (1e-8 in the statistic) tells."""
    return 0 <= value < 1e-9 * scale


def check(datasets, result, start, bounds=None, within=1e-5):
    """The fitted values are as good as the best that SciPy finds."""
    reference, values = Reference(datasets), values_of(result)
    best, at = reference.minimum({n: start[n] for n in values}, bounds)
    assert result.status in ("converged", "unconstrained"), result.message
    assert reference(values)[0] <= best + within, (reference(values)[0] - best, values, at)
    return values, at


NORMS = {norm(r): (0.0, np.inf) for r in RUNS}
TRUE = {INDEX: 2.5, AMPLITUDE: 3e-11} | {norm(r): 1.0 for r in RUNS} | {tilt(r): 0.0 for r in RUNS}


def test_a_run_without_counts(known, on_off):
    """Its norm goes to zero, where its tilt means nothing; the source is that of all three runs."""
    empty = changed(known, "run-1", **short(known["run-1"]))
    result = gj.fit(empty, with_backgrounds())
    values, at = check(empty, result, TRUE, NORMS)
    assert vanishes(values[norm("run-1")]) and named(result) == {norm("run-1"), tilt("run-1")}
    for name in (INDEX, AMPLITUDE):
        assert abs(values[name] - at[name]) < 0.01 * float(result.parameters[name].error)
    nothing = changed(on_off, "run-1", counts_off=np.zeros(12), **short(on_off["run-1"]))
    result = gj.fit(nothing, with_backgrounds().select("source"))
    check(nothing, result, TRUE)
    assert result.success


def test_a_run_without_counts_and_a_norm_without_bounds(known):
    """A norm below zero takes away what is expected of the source: what is left is the fit of the others."""
    empty = changed(known, "run-1", **short(known["run-1"]))
    result = gj.fit(empty, with_backgrounds().with_parameter(norm("run-1"), min=-np.inf))
    values = values_of(result)
    assert named(result) and named(result) <= {norm("run-1"), tilt("run-1")}
    others = gj.Datasets({n: d for n, d in known.items() if n != "run-1"})
    best, _ = Reference(others).minimum({n: v for n, v in TRUE.items() if "run-1" not in n}, NORMS)
    assert Reference(empty)(values)[0] <= best + 1e-5 or result.status != "converged"


def test_no_counts_at_all(known, on_off):
    """Nothing was seen anywhere: everything goes to zero and says so."""
    nothing = gj.Datasets({n: d.replace(counts=np.zeros(12)) for n, d in known.items()})
    result = gj.fit(nothing, with_backgrounds().with_parameter(AMPLITUDE, min=0.0))
    values = values_of(result)
    assert result.status == "unconstrained" and vanishes(values[AMPLITUDE], 3e-11)
    assert all(vanishes(values[norm(r)]) for r in RUNS)
    assert not result.success and named(result) >= {AMPLITUDE, INDEX, *map(tilt, RUNS)}
    dark = gj.Datasets({n: d.replace(counts=np.zeros(12), counts_off=np.zeros(12)) for n, d in on_off.items()})
    result = gj.fit(dark, with_backgrounds().select("source").with_parameter(AMPLITUDE, min=0.0))
    assert vanishes(values_of(result)[AMPLITUDE], 3e-11)
    assert result.status == "unconstrained" and not result.success and named(result) == {INDEX, AMPLITUDE}


def test_a_run_of_background_alone(known, on_off):
    """A run that the source does not reach leaves the source to the others."""
    blind = changed(known, "run-1", exposure=np.zeros(16))
    blind = changed(blind, "run-1", counts=np.random.default_rng(3).poisson(known["run-1"].background).astype(float))
    result = gj.fit(blind, with_backgrounds())
    values, at = check(blind, result, TRUE, NORMS)
    assert result.success
    for name in values:
        assert abs(values[name] - at[name]) < 0.01 * float(result.parameters[name].error)
    # a run off the source whose exposure is not zero: the joint likelihood has its minimum where SciPy finds it
    off = changed(known, "run-1", counts=np.asarray(blind["run-1"].counts))
    result = gj.fit(off, with_backgrounds())
    check(off, result, TRUE, NORMS)
    assert result.success
    blind = changed(on_off, "run-1", exposure=np.zeros(16))
    result = gj.fit(blind, with_backgrounds().select("source"))
    check(blind, result, TRUE)
    assert result.success


def test_two_backgrounds_of_one_shape(known):
    """Only the sum of two equal backgrounds is known; everything else is as with one of them."""
    twin = gj.TemplateNPredModel(np.asarray(known["run-1"].background), name="twin", datasets_names="run-1")
    models, second = gj.Models([*with_backgrounds(), twin]), "twin.spectral.norm"
    models = models.with_parameter(tilt("run-1"), min=0.0, max=0.0)
    # the second one held at zero by its bounds
    alone = gj.fit(known, models.with_values({second: 0.0}).with_parameter(second, min=0.0, max=0.0))
    result = gj.fit(known, models)
    values, held = values_of(result), {tilt("run-1"), second}
    assert alone.success and set(alone.at_bound) == held
    assert result.status == "unconstrained" and not result.success
    assert named(result) == {norm("run-1"), *held}
    assert all(np.isinf(float(result.parameters[n].error)) for n in (norm("run-1"), second))
    assert result.stat == pytest.approx(alone.stat, abs=1e-6)
    total = values[norm("run-1")] + values[second]
    assert total == pytest.approx(float(alone.parameters[norm("run-1")].value), rel=1e-5)
    for name in {*alone.free_names} - named(result):
        one, two = alone.parameters[name], result.parameters[name]
        assert abs(float(one.value) - float(two.value)) < 1e-3 * float(one.error)
        assert float(two.error) == pytest.approx(float(one.error), rel=1e-3, abs=0)


def test_backgrounds_that_a_source_mimics(known):
    """Without energies a norm and an amplitude cannot be told apart in a run; the other runs still can."""
    single = changed(known, "run-1", mask_fit=np.arange(12) == 4)
    result = gj.fit(single, with_backgrounds().with_parameter(norm("run-1"), min=-np.inf))
    values = values_of(result)
    assert result.status == "unconstrained" and named(result) == {norm("run-1"), tilt("run-1")}
    others = gj.Datasets({n: d for n, d in known.items() if n != "run-1"})
    best, at = Reference(others).minimum({n: v for n, v in TRUE.items() if "run-1" not in n}, NORMS)
    assert Reference(others)({n: v for n, v in values.items() if "run-1" not in n})[0] <= best + 1e-5
    assert abs(values[INDEX] - at[INDEX]) < 0.01 * float(result.parameters[INDEX].error)


def test_a_source_at_its_lower_bound(known, on_off):
    """Data with less than the background: amplitude zero, at the bound; the index then means nothing, and is named."""
    models = with_backgrounds().with_parameter(AMPLITUDE, min=0.0)
    # known backgrounds: held by bounds, which compile nothing
    fixed = models
    for run in RUNS:
        fixed = fixed.with_parameter(norm(run), min=1.0, max=1.0).with_parameter(tilt(run), min=0.0, max=0.0)
    fewer = gj.Datasets({n: d.replace(counts=np.floor(0.9 * np.asarray(d.background))) for n, d in known.items()})
    held = {n for r in RUNS for n in (norm(r), tilt(r))}
    for start in (3e-11, 3e-9, 1e-14, 0.0):
        result = gj.fit(fewer, fixed.with_values({AMPLITUDE: start}))
        assert result.status == "unconstrained" and values_of(result)[AMPLITUDE] == 0
        assert named(result) == {AMPLITUDE, INDEX, *held} and set(result.at_bound) == {AMPLITUDE, *held}
    # unknown backgrounds, and data that lack some at high energies, where the source would stand out
    absorbed = {}
    for run, dataset in known.items():
        edges = np.asarray(dataset.energy_edges)
        lack = 0.3 * np.exp(-(np.log(edges[1:] * edges[:-1] / 20**2) ** 2) / 8)
        absorbed[run] = dataset.replace(counts=(1 - lack) * np.asarray(dataset.background))
    absorbed, at_index = gj.Datasets(absorbed), models.with_parameter(INDEX, min=2.5, max=2.5)
    bounds = NORMS | {INDEX: (2.5, 2.5)}
    for start in (3e-11, 3e-9, 1e-14, 0.0):
        result = gj.fit(absorbed, at_index.with_values({AMPLITUDE: start}))
        values, _ = check(absorbed, result, TRUE | {AMPLITUDE: 0.0}, bounds | {AMPLITUDE: (0.0, 0.0)})
        assert values[AMPLITUDE] == 0 and result.success and set(result.at_bound) == {AMPLITUDE, INDEX}
    free = gj.fit(absorbed, at_index.with_parameter(AMPLITUDE, min=-np.inf).with_values({AMPLITUDE: 0.0}))
    values, at = check(absorbed, free, TRUE | {AMPLITUDE: 0.0}, bounds)
    assert values[AMPLITUDE] < 0 and values[AMPLITUDE] == pytest.approx(at[AMPLITUDE], rel=1e-3, abs=0)
    dark = gj.Datasets(
        {n: d.replace(counts=np.floor(0.5 * np.asarray(d.alpha * d.counts_off))) for n, d in on_off.items()}
    )
    for start in (3e-11, 3e-9):
        result = gj.fit(dark, models.select("source").with_values({AMPLITUDE: start}))
        assert result.status == "unconstrained" and values_of(result)[AMPLITUDE] == 0
        assert named(result) == {AMPLITUDE, INDEX}


FACTORS = (0.01, 100.0)
ONE_OFF = [
    {AMPLITUDE: 3e-13},
    {AMPLITUDE: 3e-9},
    {INDEX: 0.5},
    {INDEX: 4.5},
    *({norm(r): f for r in RUNS} for f in FACTORS),
]
ALL_OFF = [
    {AMPLITUDE: 3e-11 * a, INDEX: 2.5 + i, **{norm(r): f for r in RUNS}}
    for a, i, f in itertools.product(FACTORS, (-2.0, 2.0), FACTORS)
]


def test_starts_far_off(known, on_off):
    """Starts off by factors of 100, or by 2 in the index, end in the same minimum; so do all of them at once."""
    models, bounds = with_backgrounds().with_parameter(AMPLITUDE, min=0.0), NORMS.copy()
    for run in RUNS:
        models = models.with_parameter(tilt(run), min=0.0, max=0.0)
        bounds[tilt(run)] = (0.0, 0.0)
    reference = Reference(known)
    best, at = reference.minimum(TRUE, bounds)
    good = gj.fit(known, models)
    for start in (*ONE_OFF, *ALL_OFF):
        result = gj.fit(known, models.with_values(start))
        values = values_of(result)
        assert result.success and reference(values)[0] <= best + 1e-5, (start, result.message)
        for name, value in values.items():
            assert abs(value - at[name]) <= 0.01 * float(good.parameters[name].error), (start, name)
    reference = Reference(on_off)
    best, _ = reference.minimum({INDEX: 2.5, AMPLITUDE: 3e-11})
    for start in ALL_OFF[1::2]:
        source = {n: start[n] for n in (AMPLITUDE, INDEX)}
        result = gj.fit(on_off, models.select("source").with_values(source))
        assert result.success and reference(values_of(result))[0] <= best + 1e-5, (start, result.message)


def test_starts_far_off_with_free_tilts(known):
    """Backgrounds that can take the shape of the source make further minima, in which other optimisers end too.

    From starts off in norms or in the amplitude the fit ends in the best one. A success elsewhere is a minimum from
    which SciPy finds no way down; anything else is named.
    """
    reference, models = Reference(known), with_backgrounds()
    best, _ = reference.minimum(TRUE, NORMS)
    for start in (*ONE_OFF, *ALL_OFF):
        result = gj.fit(known, models.with_values(start))
        values = values_of(result)
        found = reference(values)[0]
        if INDEX not in start:
            assert result.success and found <= best + 1e-5, (start, result.message)
        elif result.success:
            assert found <= reference.minimum(values, NORMS)[0] + 1e-5, (start, values)
        else:
            assert named(result) or result.status != "converged", (start, result.message)


MAP_BACKGROUND = ("map-bkg.spectral.norm", "map-bkg.spectral.tilt")
POSITION = ("source.spatial.lon_0", "source.spatial.lat_0")


@pytest.fixture(scope="module")
def small():
    """A map of 20 x 20 pixels with a point source off its middle, and the models that made it."""
    dataset = cases.small_map(n=20)
    lon, lat = cases.at_pixel(dataset, 9.3, 10.2)
    spectrum = gj.PowerLawNormSpectralModel(norm=gj.Parameter(1.0, min=0.0), tilt=gj.Parameter(0.0))
    source = cases.source(gj.PointSpatialModel(lon_0=lon, lat_0=lat))
    models = gj.Models([source, gj.FoVBackgroundModel(spectrum, datasets_names="map")])
    models = models.with_parameter(AMPLITUDE, min=0.0)
    expected = jax.jit(lambda dataset, models: gj.npred(dataset, models, "map"))(dataset, models)
    return dataset.replace(counts=np.random.default_rng(4).poisson(expected).astype(float)), models


def fit_map(dataset, models, **values):
    return gj.fit(gj.Datasets({"map": dataset}), models.with_values(values.pop("values", {})), **values)


def test_starts_far_off_of_a_map(small):
    pytest.importorskip("iminuit")
    dataset, models = small
    best = fit_map(dataset, models)
    peer = fit_map(dataset, models, method="minuit", tolerance=1e-6)
    assert best.success and peer.status == "converged"
    assert best.stat <= peer.stat + 1e-6
    expected = values_of(peer)
    for amplitude, index, factor in ((0.01, -2, 0.01), (100.0, 2, 0.01), (0.01, 2, 100.0), (100.0, -2, 100.0)):
        start = {AMPLITUDE: 4e-11 * amplitude, INDEX: 2.3 + index, MAP_BACKGROUND[0]: factor}
        result = fit_map(dataset, models, values=start)
        found = values_of(result)
        assert result.success, (start, result.message)
        for name, value in found.items():
            assert abs(value - expected[name]) < 0.01 * float(best.parameters[name].error), (start, name)


def test_maps_without_counts_or_source(small):
    """No counts: all goes to zero. Background alone, or less than that: its norm has a closed form at tilt zero."""
    dataset, models = small
    result = fit_map(dataset.replace(counts=np.zeros(dataset.data_shape)), models)
    values = values_of(result)
    assert result.status == "unconstrained" and vanishes(values[AMPLITUDE], 4e-11)
    assert vanishes(values[MAP_BACKGROUND[0]])
    assert named(result) == {AMPLITUDE, INDEX, *POSITION, *MAP_BACKGROUND}
    background = np.asarray(dataset.background)
    x, y = np.meshgrid(np.arange(20) - 9.3, np.arange(20) - 10.2)
    hole = 1 - 0.3 * np.exp(-(x**2 + y**2) / (2 * 2.0**2))
    result = fit_map(dataset.replace(counts=0.9 * background * hole), models)
    values = values_of(result)
    assert result.status == "unconstrained" and values[AMPLITUDE] == 0
    assert named(result) == {AMPLITUDE, INDEX, *POSITION}, result.message
    # in every energy bin the same share is gone
    assert values[MAP_BACKGROUND[0]] == pytest.approx(0.9 * np.sum(background * hole) / np.sum(background), rel=1e-5)
    assert values[MAP_BACKGROUND[1]] == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("index", [-4.0, -2.5, 0.0, 6.0])
@pytest.mark.parametrize("amplitude", [1e-14, 1e-9, 1.0, 1e8])
def test_power_laws_from_absurd_starts(index, amplitude):
    """The wrong sign of an index, a wrong unit of an amplitude: the one minimum all the same."""
    edges = np.geomspace(0.5, 50, 16)
    run = gj.SpectrumDataset(edges, counts=np.zeros(15), background=np.full(15, 0.5), exposure=np.full(15, 1e13))
    truth = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=3e-11, index=2.4), name="s")])
    run = run.replace(counts=np.round(gj.npred(run, truth)))
    start = gj.SkyModel(gj.PowerLawSpectralModel(amplitude=amplitude, index=index), name="s")
    result = gj.fit(run, start)
    assert result.success, result.message
    assert result.stat == pytest.approx(gj.fit(run, truth).stat, abs=1e-6)
