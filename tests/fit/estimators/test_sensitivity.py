"""Sensitivities against closed forms, SciPy, and the significance of data without noise."""

from itertools import pairwise

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from cases import maps
from scipy.optimize import brentq
from scipy.special import xlogy

import gammajax as gj

EDGES = [0.2, 1.0, 3.0, 10.0, 50.0]


@pytest.mark.parametrize("on_off", [False, True])
def test_one_number_a_band(on_off, spectrum_factory, power_law):
    """The flux times the excess of a band has the significance that was asked for, by the statistic of its sum."""
    dataset = spectrum_factory(1, on_off=on_off)
    own = np.asarray(dataset.energy_edges)
    edges = own[[0, 3, 6, 9]]
    spectrum = power_law()["source"].spectral
    table = gj.sensitivity(dataset, edges, spectrum, gamma_min=0, bkg_syst_fraction=0)
    assert set(table["criterion"]) == {"significance"}
    np.testing.assert_allclose(table["e_max"].quantity.to_value("TeV"), edges[1:])
    merged = gj.asimov(dataset).resample_energy_axis(edges)
    found = merged.replace(counts=np.asarray(merged.counts) + table["excess"])
    np.testing.assert_allclose(gj.counts_statistic(found).sqrt_ts, 5.0, rtol=1e-7)
    norm = table["e2dnde"].quantity.to_value("TeV s-1 cm-2") / np.asarray(spectrum.evaluate(table["e_ref"].value))
    norm = norm / table["e_ref"].value ** 2
    signal = np.asarray(gj.npred_signal(dataset, power_law()))[:9].reshape(3, 3).sum(axis=1)
    np.testing.assert_allclose(norm * signal, table["excess"], rtol=1e-9)


@pytest.mark.parametrize("on_off", [False, True])
def test_several_datasets_are_added_up(on_off, spectrum_factory):
    """Twice the same is as their stack, and told apart as one of twice the time."""
    one = spectrum_factory(1, on_off=on_off)
    edges = np.asarray(one.energy_edges)[[0, 3, 6, 9]]
    two = gj.Datasets({"a": one, "b": one})
    options = {"gamma_min": 0, "bkg_syst_fraction": 0}
    joint = gj.sensitivity(two, edges, **options)
    stacked = gj.sensitivity(one.stack(one), edges, **options)
    for name in ("e2dnde", "excess", "background"):
        np.testing.assert_allclose(joint[name], stacked[name], rtol=1e-9, err_msg=name)
    apart = gj.sensitivity(two, edges, per_bin=True, **options)
    assert np.all(apart["e2dnde"] <= joint["e2dnde"] * (1 + 1e-9))
    bright = np.asarray(apart["e2dnde"]) / np.asarray(gj.sensitivity(one, edges, per_bin=True, **options)["e2dnde"])
    assert np.all((bright < 1) & (bright > 0.5))


def test_bands_without_bins_and_of_other_widths_are_told_of(spectrum_factory):
    dataset = spectrum_factory(1, on_off=False)
    own = np.asarray(dataset.energy_edges)
    masked = dataset.with_mask_fit(np.arange(len(own) - 1) >= 6)
    with pytest.warns(UserWarning, match="1 of 2 bands hold no fitted bin"):
        table = gj.sensitivity(masked, own[[0, 6, 12]])
    assert len(table) == 2 and np.isnan(table["e2dnde"][0]) and table["criterion"][0] == ""
    np.testing.assert_allclose(table["e_max"], own[[6, 12]])
    assert len(gj.sensitivity(masked)) == 6
    with pytest.warns(UserWarning, match="edges move to the nearest of bins"):
        gj.sensitivity(dataset, np.geomspace(own[0], own[-1], 9))
    with pytest.raises(gj.InputError, match="energy_edges="):
        gj.sensitivity({"a": dataset, "b": spectrum_factory(1, on_off=False, n_reco=9)})
    mixed = {"a": dataset, "b": spectrum_factory(1)}
    with pytest.raises(gj.InputError, match="per_bin=True"):
        gj.sensitivity(mixed, own[[0, 6, 12]])
    assert np.all(np.isfinite(gj.sensitivity(mixed, own[[0, 6, 12]], per_bin=True)["e2dnde"]))


def test_criteria(spectrum_factory):
    """Hardly any background: ten counts. Much: 5 % of it."""
    dataset = spectrum_factory(1, on_off=False)
    background = np.geomspace(1e6, 1e-3, 12)
    table = gj.sensitivity(dataset.replace(background=background))
    assert list(table["criterion"][[0, -1]]) == ["bkg", "gamma"] and "significance" in table["criterion"]
    assert table["excess"][0] == pytest.approx(5e4) and table["excess"][-1] == 10
    strict = gj.sensitivity(dataset.replace(background=background), n_sigma=10, gamma_min=20, bkg_syst_fraction=0.5)
    assert np.all(strict["excess"] >= 1.9 * table["excess"])


def test_bins_told_apart_by_scipy(spectrum_factory, power_law):
    dataset = spectrum_factory(1, on_off=False)
    table = gj.sensitivity(
        dataset, EDGES, power_law()["source"], n_sigma=3, gamma_min=0, bkg_syst_fraction=0, per_bin=True
    )
    signal, background = np.asarray(gj.npred_signal(dataset, power_law())), np.asarray(dataset.background)
    own = np.asarray(dataset.energy_edges)
    for row in table:
        band = (own[:-1] >= row["e_min"] * 0.999) & (own[1:] <= row["e_max"] * 1.001)
        s, b = signal[band], background[band]
        norm = brentq(lambda x, s=s, b=b: 2 * np.sum(xlogy(b + x * s, 1 + x * s / b) - x * s) - 9, 1e-6, 1e3)
        assert row["excess"] == pytest.approx(norm * s.sum(), rel=1e-9)
    together = gj.sensitivity(dataset, EDGES, power_law()["source"], n_sigma=3, gamma_min=0, bkg_syst_fraction=0)
    assert np.all(table["excess"] <= together["excess"] * (1 + 1e-9))


def test_a_band_of_one_bin_is_the_same_both_ways(spectrum_factory):
    for on_off in (False, True):
        dataset = spectrum_factory(2, on_off=on_off)
        found = [gj.sensitivity(dataset, per_bin=per_bin)["e2dnde"].value for per_bin in (False, True)]
        np.testing.assert_allclose(*found, rtol=1e-7)


def test_maps_by_their_own_significance():
    """Data without noise of a source of that flux have the significance."""
    dataset = maps.small_map()
    source = maps.source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01))
    edges = np.asarray(dataset.energy_edges)[[0, 1, -1]]
    table = gj.sensitivity(dataset, edges, source, gamma_min=0, bkg_syst_fraction=0, per_bin=True)
    for i, (low, high) in enumerate(pairwise(edges)):
        band = dataset.with_mask_fit(energy_min=low, energy_max=high)
        e2dnde = table["e2dnde"].quantity[i].to_value("TeV s-1 cm-2")
        norm = e2dnde / float(source.spectral.evaluate(table["e_ref"][i]) * table["e_ref"][i] ** 2)
        bright = gj.Models([source.replace(spectral=gj.ScaleSpectralModel(source.spectral, norm=norm))])
        expected = gj.asimov(band, bright)
        ts = float(gj.stat_sum(expected, bright.with_values({"norm": 0.0})) - gj.stat_sum(expected, bright))
        assert ts == pytest.approx(25.0, rel=1e-4)
    with pytest.raises(gj.InputError, match="per_bin"):
        gj.sensitivity(dataset, edges, source)


def test_the_size_of_a_map_has_no_part():
    """The background that decides is that under the source."""
    dataset = maps.small_map(n=24, n_energy=2)
    source = maps.source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01))
    position = SkyCoord(83.63, 22.01, unit="deg")
    options = {"source": source, "per_bin": True, "gamma_min": 0, "bkg_syst_fraction": 5.0}
    whole = gj.sensitivity(dataset, **options)
    part = gj.sensitivity(dataset.cutout(position, 12 * dataset.geom.pixel_size), **options)
    assert set(whole["criterion"]) == {"bkg"}
    np.testing.assert_allclose(part["background"], whole["background"], rtol=0.02)
    np.testing.assert_allclose(part["e2dnde"], whole["e2dnde"], rtol=0.02)


def test_datasets_without_the_source_have_no_part(spectrum_factory, power_law):
    """Those that it is not for, and those that do not see it."""
    dataset, model = spectrum_factory(1, on_off=False), power_law()["source"]
    dataset = dataset.replace(background=np.full(12, 5.0))
    blind = dataset.replace(exposure=0 * np.asarray(dataset.exposure))
    for per_bin in (False, True):
        alone = gj.sensitivity(dataset, source=model, per_bin=per_bin)
        for other, source in ((blind, model), (dataset, model.replace(datasets_names="a"))):
            found = gj.sensitivity({"a": dataset, "b": other}, source=source, per_bin=per_bin)
            for name in ("e2dnde", "background"):
                np.testing.assert_allclose(found[name], alone[name], rtol=1e-9)
    with pytest.raises(gj.InputError, match="acts on none"):
        gj.sensitivity({"a": dataset}, source=model.replace(datasets_names="z"))
    with pytest.raises(gj.InputError, match="no fitted bin"):
        gj.sensitivity(dataset, [1e-4, 1e-3])


@pytest.mark.parametrize("on_off", [False, True])
def test_sensitivity_of_flux_points(on_off, spectrum_factory, power_law):
    """As of data without noise of the best fit; of a known background that is `sensitivity` itself."""
    dataset = spectrum_factory(1, on_off=on_off)
    points = gj.flux_points(dataset, power_law(), "source", EDGES, n_sigma_sensitivity=4)
    assert gj.flux_points(dataset, power_law(), "source", EDGES).norm_sensitivity is None
    if not on_off:
        options = {"n_sigma": 4, "gamma_min": 0, "bkg_syst_fraction": 0, "per_bin": True}
        table = gj.sensitivity(dataset, EDGES, power_law()["source"], **options)
        expected = points.quantity("e2dnde_sensitivity").to_value("TeV s-1 cm-2")
        assert table["e2dnde"].unit == "TeV s-1 cm-2" and table.meta["n_sigma"] == 4
        np.testing.assert_allclose(table["e2dnde"].value, expected, rtol=1e-9)
    norm = float(points.norm_sensitivity[1])
    own = np.asarray(dataset.energy_edges)
    band = (own[:-1] >= points.energy_min[1] * 0.999) & (own[1:] <= points.energy_max[1] * 1.001)
    fitted = power_law(amplitude=3e-11 * float(points.norm[1]))
    background = np.asarray(gj.npred_background(dataset, fitted))
    signal = np.asarray(gj.npred_signal(dataset, power_law()))
    asimov = dataset.replace(counts=background + norm * signal, mask_fit=band)
    ts = gj.stat_sum(asimov, power_law(amplitude=0.0)) - gj.stat_sum(asimov, power_law(amplitude=3e-11 * norm))
    assert float(ts) == pytest.approx(16.0, rel=1e-7)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_sigma": 0}, "n_sigma"),
        ({"gamma_min": -1}, "gamma_min"),
        ({"bkg_syst_fraction": np.inf}, "bkg_syst_fraction"),
        ({"source": 2.0}, "source must be"),
        ({"energy_edges": [3, 1]}, "increasing"),
        ({"energy_edges": [1e4, 1e5]}, "no fitted bin"),
    ],
)
def test_refused(spectrum_factory, change, words):
    with pytest.raises(gj.InputError, match=words):
        gj.sensitivity(spectrum_factory(1), **change)


@pytest.mark.parametrize("per_bin", [False, True])
def test_without_background_ten_counts_decide(per_bin, spectrum_factory):
    dataset = spectrum_factory(1, on_off=False)
    background = np.where(np.arange(12) < 6, 2.0, 0.0)
    table = gj.sensitivity(dataset.replace(background=background), per_bin=per_bin)
    bare = np.asarray(table["background"]) == 0
    assert bare.sum() > 3
    np.testing.assert_array_equal(table["excess"][bare], 10.0)
    assert set(table["criterion"][bare]) == {"gamma"} and np.all(np.isfinite(table["e2dnde"]))
