"""Flux points against closed forms, SciPy and fits of the norm."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from cases import maps
from scipy.optimize import brentq, minimize_scalar

import gammajax as gj
from gammajax.fit.estimators.bands import with_empty
from gammajax.fit.estimators.norms import NormBins, norm_fits

EDGES = [0.2, 1.0, 3.0, 10.0, 50.0]


def as_given(points):
    names = ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "ts", "stat", "stat_null")
    return {name: np.asarray(getattr(points, name)) for name in names}


@pytest.mark.parametrize("on_off", [False, True])
def test_one_bin_a_band(on_off, spectrum_factory, power_law):
    """Excess, errors and limits are those of one number of counts with a known, or a measured, background."""
    dataset = spectrum_factory(1, on_off=on_off)
    points = gj.flux_points(dataset, power_law(), "source", dataset.energy_edges, n_sigma=1.5)
    signal = np.asarray(gj.npred_signal(dataset, power_law()))
    counts = gj.counts_statistic(dataset)
    seen = np.asarray(dataset.counts) > 0
    assert seen.sum() > 6

    expected = {
        "norm": counts.n_sig / signal,
        "norm_errn": counts.compute_errn(1.5) / signal,
        "norm_errp": counts.compute_errp(1.5) / signal,
        "norm_ul": (counts.n_sig + counts.compute_errp(2.0)) / signal,
        "sqrt_ts": counts.sqrt_ts,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(np.asarray(getattr(points, name))[seen], np.asarray(values)[seen], rtol=1e-8)
    if not on_off:
        np.testing.assert_allclose(points.norm_err[seen], 1.5 * (np.sqrt(dataset.counts) / signal)[seen], rtol=1e-8)
    np.testing.assert_allclose(points.energy_min, dataset.energy_edges[:-1])
    assert np.all(points.success)


@pytest.fixture(scope="module")
def runs(spectrum_factory):
    known = spectrum_factory(2, on_off=False).with_mask_fit(energy_max=20.0, round_to_edge=True)
    return gj.Datasets({"a": spectrum_factory(0), "b": spectrum_factory(1, n_reco=9), "c": known})


@pytest.fixture(scope="module")
def points(runs, power_law):
    return gj.flux_points(runs, power_law(), "source", EDGES * u.TeV, norms=[0.5, 1.0, 2.0])


def test_joint_norms(runs, points, power_law):
    """Best norms, errors and limits by SciPy on the statistic of all runs in a band."""
    for k in range(4):
        parts = {}
        for name, run in runs.items():
            own = np.asarray(run.energy_edges)
            near = own[[int(np.argmin(np.abs(np.log(own / e)))) for e in EDGES[k : k + 2]]]
            mask = run.energy_mask(near[0], near[1]) & _mask(run)
            parts[name] = (run, mask)

        def stat(norm, parts=parts):
            models = power_law(amplitude=3e-11 * norm)
            return sum(float(np.sum(np.asarray(gj.stat_array(run, models))[m])) for run, m in parts.values())

        best = minimize_scalar(stat, bounds=(0.1, 3), method="bounded", options={"xatol": 1e-10})
        assert points.norm[k] == pytest.approx(best.x, abs=1e-6)
        assert points.stat[k] == pytest.approx(best.fun, abs=1e-9)
        step = 1e-3 * best.x
        curvature = (stat(best.x + step) - 2 * best.fun + stat(best.x - step)) / step**2
        assert points.norm_err[k] == pytest.approx(np.sqrt(2 / curvature), rel=1e-4)

        def crossing(rise, errors, stat=stat, best=best, k=k):
            far = best.x + errors * points.norm_err[k]
            return brentq(lambda x: stat(x) - best.fun - rise, *sorted((best.x, far)))

        expected = [crossing(1, 3) - best.x, best.x - crossing(1, -3), crossing(4, 5)]
        found = [points.norm_errp[k], points.norm_errn[k], points.norm_ul[k]]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        np.testing.assert_allclose(points.stat_scan[k], [stat(0.5), stat(1.0), stat(2.0)], rtol=1e-11)
        counts = [float(np.sum(np.asarray(run.counts)[mask])) for run, mask in parts.values()]
        np.testing.assert_array_equal(points.meta["columns"]["counts"][k], counts)
        models = power_law(amplitude=3e-11 * float(points.norm[k]))
        for name, predict in (("npred", gj.npred), ("npred_excess", gj.npred_signal)):
            sums = [float(np.sum(np.asarray(predict(run, models))[mask])) for run, mask in parts.values()]
            np.testing.assert_allclose(points.meta["columns"][name][k], sums, rtol=1e-10)


def test_fluxes_are_norms_times_the_spectrum(points, power_law):
    spectrum = power_law()["source"].spectral
    center = np.sqrt(points.energy_min * points.energy_max)
    np.testing.assert_allclose(points.energy_ref, center)
    np.testing.assert_allclose(points.quantity("dnde").value, points.norm * np.asarray(spectrum.evaluate(center)))
    flux = np.asarray(spectrum.integral(points.energy_min, points.energy_max))
    np.testing.assert_allclose(points.quantity("flux").to_value("s-1 cm-2"), points.norm * flux)
    assert np.all(np.asarray(points.energy_min)[1:] <= np.asarray(points.energy_max)[:-1])
    assert points.meta["UL_CONF"] == pytest.approx(0.9545, abs=1e-4)


@pytest.mark.parametrize("name", ["points.fits", "points.ecsv"])
def test_files(points, name, tmp_path):
    points.write(tmp_path / name)
    read = gj.FluxPoints.read(tmp_path / name, reference_model=points.reference_model)
    for field, values in as_given(points).items():
        np.testing.assert_allclose(getattr(read, field), values, rtol=1e-12)
    np.testing.assert_allclose(read.meta["columns"]["npred"], points.meta["columns"]["npred"])


def test_no_counts(spectrum_factory, power_law):
    """Only a limit: from where the first bin has no prediction left, 2 (norm signal) = 4 at two sigma."""
    dataset = spectrum_factory(1, on_off=False)
    edges = np.asarray(dataset.energy_edges)
    empty = dataset.replace(counts=np.where(np.arange(12) < 6, dataset.counts, 0.0))
    points = gj.flux_points(empty, power_law(), "source", [edges[0], edges[6], edges[12]])
    each = np.asarray(gj.npred_signal(empty, power_law()))[6:]
    signal, lowest = each.sum(), -np.min(np.asarray(empty.background)[6:] / each)
    assert points.norm[1] == pytest.approx(lowest) and points.ts[1] == pytest.approx(-2 * lowest * signal)
    assert points.norm_ul[1] == pytest.approx(lowest + 2 / signal)
    assert np.isnan(points.norm_err[1]) and np.isnan(points.norm_errn[1]) and points.is_ul[1]
    assert points.norm_errp[1] == pytest.approx(0.5 / signal)


@pytest.mark.parametrize(("counts", "on_off"), [(0, False), (1, False), (2, False), (9, False), (0, True)])
def test_few_counts(counts, on_off, power_law):
    """One bin: (n - b) / s at any number of counts, and nothing below the bound of an amplitude that has one."""
    spectrum = gj.SpectrumDatasetOnOff if on_off else gj.SpectrumDataset
    background = {"counts_off": [15], "acceptance": 1.0, "acceptance_off": 5.0} if on_off else {"background": [3.0]}
    dataset = spectrum(energy_edges=[1.0, 10.0], counts=[counts], exposure=[1e13], **background)
    signal = float(gj.npred_signal(dataset, power_law())[0])
    statistic = gj.counts_statistic(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        free = gj.flux_points(dataset, power_law(), "source", [1.0, 10.0])
    assert free.norm[0] * signal == pytest.approx(counts - 3) and free.sqrt_ts[0] == pytest.approx(statistic.sqrt_ts[0])
    assert (free.norm_ul[0] - free.norm[0]) * signal == pytest.approx(statistic.compute_errp(2.0)[0])
    models = power_law().with_parameter("source.spectral.amplitude", min=0)
    bounded = gj.flux_points(dataset, models, "source", [1.0, 10.0])
    if counts > 3:
        for name in ("norm", "norm_err", "norm_errn", "norm_ul", "ts"):
            assert getattr(bounded, name)[0] == pytest.approx(getattr(free, name)[0], rel=1e-9)
        return
    assert (
        bounded.norm[0] == 0 and bounded.ts[0] == 0 and np.isnan(bounded.norm_err[0]) and np.isnan(bounded.norm_errn[0])
    )
    rise = np.diff(
        [
            float(gj.stat_sum(dataset, models.with_values({"amplitude": a})))
            for a in (0.0, float(bounded.norm_ul[0] * models.parameters["amplitude"].value))
        ]
    )
    assert rise[0] == pytest.approx(4.0)


def test_deficits_are_negative(spectrum_factory, power_law):
    dataset = spectrum_factory(3, on_off=False, background=400.0, amplitude=1e-14)
    counts = np.floor(0.9 * np.asarray(dataset.background))
    with pytest.warns(UserWarning, match="bands are below zero: .*'source.spectral.amplitude', min=0"):
        points = gj.flux_points(dataset.replace(counts=counts), power_law(), "source", EDGES)
    assert (
        np.all(points.norm[:2] < 0)
        and np.any(points.norm_ul < 0)
        and np.all(points.sqrt_ts[:2] < 0)
        and np.all(points.norm_errn[:2] > 0)
    )


def test_bands_without_bins(runs, power_law):
    with pytest.warns(UserWarning, match="3 of 6 bands hold no fitted bin, and are NaN: 0.001 to 0.01 TeV"):
        found = gj.flux_points(runs, power_law(), "source", [1e-3, 1e-2, 0.85, 0.86, 30.0, 2e3, 3e3])
    assert list(found.success) == [False, True, False, True, True, False]
    for name, values in as_given(found).items():
        assert np.all(np.isnan(values) == ~np.asarray(found.success)), name
    counts = found.meta["columns"]["counts"]
    inside = [np.asarray(run.counts)[_mask(run)].sum() for run in runs.values()]
    np.testing.assert_array_equal(counts.sum(axis=0), inside)


def test_empty_bands_end_where_their_neighbours_begin():
    """Of fitted bins the second and fourth of six bands; the third lies within a bin of the second."""
    inf = np.inf
    low, high = with_empty(
        np.array([inf, 0.8, inf, 9.0, inf, inf]),
        np.array([-inf, 5.0, -inf, 31.0, -inf, -inf]),
        np.array([0.1, 1.0, 4.0, 4.5, 30.0, 40.0, 50.0]),
    )
    np.testing.assert_array_equal(low, [0.1, 0.8, 4.0, 9.0, 31.0, 40.0])
    np.testing.assert_array_equal(high, [0.8, 5.0, 4.5, 31.0, 40.0, 50.0])


def _mask(run):
    return np.ones(run.data_shape, bool) if run.mask is None else np.asarray(run.mask)


def test_a_source_between_others(runs, power_law):
    """Other sources stay, in the prediction only; and a source that a run does not know adds nothing there."""
    other = gj.SkyModel(gj.PowerLawSpectralModel(index=2.0, amplitude=5e-12), name="other", datasets_names=["b", "c"])
    both = gj.Models([power_law()["source"], other])
    found = gj.flux_points(runs, both, "other", EDGES)
    alone = gj.flux_points({"b": runs["b"], "c": runs["c"]}, both, "other", EDGES)
    np.testing.assert_allclose(found.norm, alone.norm, rtol=1e-9)
    np.testing.assert_array_equal(found.meta["columns"]["npred_excess"][:, 0], 0.0)
    models = both.freeze(*[n for n in both.parameters if n != "other.spectral.amplitude"])
    masked = {
        n: runs[n].with_mask_fit(np.asarray(_mask(runs[n])) & runs[n].energy_mask(1, 3, True)) for n in ("b", "c")
    }
    result = gj.fit(masked, models)
    amplitude = result.parameters["other.spectral.amplitude"]
    assert found.norm[1] * 5e-12 == pytest.approx(float(amplitude.value), rel=1e-6)
    assert found.norm_err[1] * 5e-12 == pytest.approx(float(amplitude.error), rel=1e-6)


def test_maps_as_fits_of_the_norm():
    """Each band by `fit` with all else frozen."""
    dataset = maps.small_map()
    source = maps.source(gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.1))
    models = gj.Models([source, gj.FoVBackgroundModel(name="background")])
    run = gj.fake(jax.random.key(1), dataset, models)
    edges = np.asarray(run.energy_edges)[[0, 1, -1]]
    found = gj.flux_points(run, models, source.name, edges)
    for k in range(2):
        band = run.with_mask_fit(energy_min=edges[k], energy_max=edges[k + 1])
        scaled = gj.SkyModel(gj.ScaleSpectralModel(source.spectral), spatial=source.spatial, name=source.name)
        frozen = gj.Models([scaled, models["background"]])
        name = f"{source.name}.spectral.norm"
        result = gj.fit(band, frozen.freeze(*[n for n in frozen.parameters if n != name]))
        norm = result.parameters[name]
        # images of sources have other sizes in a fit
        assert abs(found.norm[k] - float(norm.value)) < 1e-4 * float(norm.error)
        assert found.norm_err[k] == pytest.approx(float(norm.error), rel=1e-4)
        assert found.stat[k] == pytest.approx(result.stat, abs=1e-4)


def test_norms_fitted_together_are_those_of_each_alone():
    rng = np.random.default_rng(1)
    place = np.repeat(np.arange(5), 30)
    signal, rest = rng.uniform(0, 3, 150), rng.uniform(0, 2, 150)
    counts = rng.poisson(rest + signal * np.repeat([0.0, 0.1, 1, 3, 10], 30)).astype(float)
    statistic = maps.small_map().statistic

    def fits(picked, places, n):
        bins = NormBins({"counts": jnp.asarray(counts[picked])}, signal[picked], rest[picked], places)
        return norm_fits(
            ((statistic,), n), (bins,), jnp.ones(n), 4 * jnp.ones(n), jnp.array([1.0]), jnp.array(-jnp.inf)
        )

    together = fits(slice(None), jnp.asarray(place), 5)
    for k in range(5):
        alone = fits(place == k, jnp.zeros(30, int), 1)
        for a, b in zip(alone, together, strict=True):
            np.testing.assert_allclose(a[0], b[k], rtol=1e-9)


def test_bins_of_weight_zero_are_left_out(spectrum_factory, power_law):
    """Counts in bins without a weight are no counts, and no wall for the norm: as if the mask left these bins out."""
    dataset = spectrum_factory(2, on_off=False, background=1e-3)
    weights = np.tile([0.0, 1.0, 1.0], 4)
    counts = np.where(weights > 0, np.repeat([0.0, 5.0], 6), 20.0)
    edges = np.asarray(dataset.energy_edges)[::3]
    weighted = dataset.replace(counts=counts, stat_type="cash_weighted", weights=weights)
    found = as_given(gj.flux_points(weighted, power_law(), "source", edges))
    left_out = dataset.replace(counts=counts, mask_fit=weights > 0)
    for name, values in as_given(gj.flux_points(left_out, power_law(), "source", edges)).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-9, err_msg=name)
    assert np.all(found["norm"][:2] <= 0) and np.all(found["norm"][:2] > -1e-2) and np.all(found["norm"][2:] > 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": "nobody"}, "nobody"),
        ({"source": 0}, "source"),
        ({"energy_edges": [3.0, 1.0]}, "increasing"),
        ({"energy_edges": [1e4, 1e5]}, "no fitted bin"),
        ({"energy_edges": [1, 10] * u.s}, "TeV"),
        ({"n_sigma": 0}, "n_sigma"),
        ({"n_sigma_ul": np.nan}, "n_sigma_ul"),
        ({"norms": [np.nan]}, "norms"),
    ],
)
def test_refused(runs, power_law, change, words):
    given = {"datasets": runs, "result": power_law(), "source": "source", "energy_edges": EDGES} | change
    with pytest.raises(gj.InputError, match=words):
        gj.flux_points(**given)


@pytest.mark.parametrize(
    ("amplitude", "names", "words"),
    [(-1e-12, None, "'source' is negative"), (0.0, None, "sends nothing"), (3e-11, ["d"], "sends nothing")],
)
def test_sources_that_are_no_unit(runs, amplitude, names, words):
    """A norm of a negative source would have limits that are none; of no source it would be NaN without a word."""
    spectrum = gj.PowerLawSpectralModel(index=2.5, amplitude=amplitude)
    beyond = runs["a"].with_mask_fit(energy_min=10.0, round_to_edge=True)
    models = gj.Models([gj.SkyModel(spectrum, name="source", datasets_names=names)])
    with pytest.raises(gj.InputError, match=words):
        gj.flux_points({"a": runs["a"], "d": beyond}, models, "source", EDGES[:3])


def test_data_that_are_no_counts(runs, power_law, spectrum_factory):
    points = gj.FluxPoints([1.0, 2.0], [1.0, 1.0], [1e-12, 1e-12], norm_err=[0.1, 0.1])
    for wrong, words in (
        ({"p": gj.FluxPointsDataset(points)}, "counts"),
        ({"a": spectrum_factory(0).replace(counts=None)}, "counts"),
    ):
        with pytest.raises(gj.InputError, match=words):
            gj.flux_points(wrong, power_law(), "source", EDGES)


def test_other_numbers_of_norms_and_bands_share_a_program(runs, power_law):
    """7 and 8 norms, and bands, are one size."""
    gj.flux_points(runs, power_law(), "source", np.geomspace(0.2, 50, 9), norms=np.ones(7))
    programs = norm_fits.count()
    found = gj.flux_points(runs, power_law(), "source", np.geomspace(0.2, 50, 8), norms=np.linspace(0.5, 1.5, 8))
    assert norm_fits.count() == programs and found.stat_scan.shape == (7, 8)
    assert np.all(np.isfinite(found.stat_scan[np.asarray(found.success)]))


def test_limits_of_a_hundred_sigma_state_no_level(runs, power_law):
    """No number is nearer to 1 without being 1."""
    found = gj.flux_points(runs, power_law(), "source", EDGES, n_sigma_ul=100)
    assert "UL_CONF" not in found.meta and np.all(found.norm_ul > found.norm)


def test_fits_that_did_not_converge_are_said(runs, power_law):
    run = {"a": runs["a"]}
    result = gj.fit(run, power_law())
    gj.flux_points(run, result, "source", EDGES)
    stopped = dataclasses.replace(result, status=gj.Status.MAX_ITERATIONS, message="Go on.")
    with pytest.warns(UserWarning, match=r"did not converge \(max_iterations\).*Go on"):
        gj.flux_points(run, stopped, "source", EDGES)
    with pytest.raises(gj.InputError, match="no datasets"):
        gj.flux_points(gj.Datasets({}), result, "source", EDGES)


def test_bands_without_off_counts():
    """There the statistic has a kink at 0, which may be its minimum."""
    edges = np.array([1.0, 2.0, 4.0, 8.0])
    run = gj.SpectrumDatasetOnOff(
        edges, counts=[9, 0, 1], counts_off=[0, 4, 0], acceptance=1, acceptance_off=5, exposure=np.full(3, 3e11)
    )
    models = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=2e-11, index=2.0), name="source")])
    for bands in (edges, edges[[0, 2, 3]], edges[[0, 1, 3]], edges[[0, 3]]):
        points = gj.flux_points(run, models, "source", bands)
        for k, norm in enumerate(np.asarray(points.norm)):
            mask = run.energy_mask(bands[k], bands[k + 1])

            def stat(norm, mask=mask):
                scaled = models.with_parameter("amplitude", value=2e-11 * norm)
                return float(np.sum(np.asarray(gj.stat_array(run, scaled))[mask]))

            around = [stat(n) for n in (norm - 1e-3, norm, norm + 1e-3, 0.0, 0.3, 3.0)]
            assert around[1] <= min(around) + 1e-12, (bands, k, norm)
            assert norm == 0 or abs(norm) > 1e-6


@pytest.mark.parametrize("kind", ["product", "scale", "sum"])
def test_bounds_of_compound_spectra(kind, spectrum_factory):
    """A bound of an amplitude, or of a norm, that scales all of the spectrum is one of the norms."""
    dataset = spectrum_factory(1, on_off=False, background=3.0)
    dataset = dataset.replace(counts=0 * np.asarray(dataset.counts))
    bounded = gj.Parameter(2e-11, "TeV-1 s-1 cm-2", min=0)
    spectrum = gj.PowerLawSpectralModel(amplitude=bounded)
    spectrum = {
        "product": spectrum * gj.PowerLawNormSpectralModel(),
        "scale": gj.ScaleSpectralModel(spectrum, norm=gj.Parameter(1.0, min=0)),
        "sum": spectrum + gj.PowerLawSpectralModel(amplitude=1e-12),
    }[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        points = gj.flux_points(dataset, [gj.SkyModel(spectrum, name="source")], "source", [1.0, 10.0])
    assert points.norm[0] < 0 if kind == "sum" else points.norm[0] == 0
