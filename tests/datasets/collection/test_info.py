"""Summaries of datasets."""

import math

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion

import gammajax as gj
from gammajax.datasets import GTI
from gammajax.datasets.collection import Datasets, info_dict, info_table
from gammajax.datasets.spectrum import SpectrumDataset, SpectrumDatasetOnOff

EDGES = np.array([1.0, 2, 4, 8])


def on_off(**changes):
    fields = {
        "counts": [10, 20, 30],
        "counts_off": [7, 40, 50],
        "acceptance": [1, 1, 2],
        "acceptance_off": [10, 10, 10],
        "exposure": [0.0, 2e12, 5e12],
        "mask_safe": [False, True, True],
        "livetime": 100,
        "gti": GTI([0.0], [120.0]),
    }
    return SpectrumDatasetOnOff(EDGES, **(fields | changes))


def li_ma(n_on, n_off, alpha):
    """Li & Ma 1983, equation 17."""
    total = n_on + n_off
    ts = 2 * (n_on * math.log((1 + alpha) / alpha * n_on / total) + n_off * math.log((1 + alpha) * n_off / total))
    return math.copysign(math.sqrt(ts), n_on - alpha * n_off)


def test_on_off():
    info = info_dict(on_off(), "run")
    assert (info["name"], info["type"], info["stat_type"]) == ("run", "SpectrumDatasetOnOff", "wstat")
    assert (info["counts"], info["counts_off"]) == (50, 90) and isinstance(info["counts"], int)
    # sum of alpha n_off over the safe bins
    assert info["background"] == pytest.approx(0.1 * 40 + 0.2 * 50)
    assert info["excess"] == pytest.approx(36)
    assert info["alpha"] == pytest.approx(14 / 90)
    assert info["acceptance"] == 3 and info["acceptance_off"] == pytest.approx(3 / (14 / 90))
    assert info["sqrt_ts"] == pytest.approx(li_ma(50, 90, 14 / 90), rel=1e-12)
    assert info["livetime"] == 100 * u.s and info["ontime"] == 120 * u.s
    assert info["exposure_min"] == 2e12 * u.cm**2 * u.s and info["exposure_max"] == 5e12 * u.cm**2 * u.s
    assert info["counts_rate"] == 0.5 / u.s and info["excess_rate"].to_value("1/s") == pytest.approx(0.36)
    assert (info["n_bins"], info["n_fit_bins"]) == (3, 2)
    assert info["energy_min"] == 2 * u.TeV and info["energy_max"] == 8 * u.TeV


def test_sign_of_a_deficit():
    info = info_dict(on_off(counts=[0, 1, 2]))
    assert info["sqrt_ts"] == pytest.approx(li_ma(3, 90, 14 / 90), rel=1e-12) and info["sqrt_ts"] < 0
    assert "name" not in info


def test_known_background():
    info = info_dict(SpectrumDataset(EDGES, counts=[3, 4, 5], background=[1.0, 2, 3], mask_fit=[True, False, False]))
    # twice the log of the Poisson likelihood ratio
    assert info["sqrt_ts"] == pytest.approx(math.sqrt(2 * (12 * math.log(12 / 6) - 6)), rel=1e-12)
    assert info["excess"] == 6 and "alpha" not in info and info["stat_type"] == "cash"
    assert math.isnan(info["livetime"].value) and math.isnan(info["ontime"].value)
    assert math.isnan(info["exposure_min"].value) and math.isnan(info["counts_rate"].value)
    assert info["n_fit_bins"] == 1 and info["energy_max"] == 2 * u.TeV


def test_empty_and_incomplete():
    nothing = info_dict(on_off(mask_safe=[False] * 3))
    assert nothing["counts"] == 0 and nothing["n_fit_bins"] == 0 and math.isnan(nothing["energy_min"].value)
    assert math.isnan(nothing["alpha"]) and math.isnan(nothing["sqrt_ts"])
    plan = info_dict(SpectrumDataset(EDGES, exposure=[0.0, 0, 0]))
    assert math.isnan(plan["counts"]) and math.isnan(plan["sqrt_ts"]) and plan["exposure_max"].value == 0
    assert plan["n_fit_bins"] == 3
    # no off counts at all: alpha from the acceptances
    quiet = info_dict(on_off(counts_off=[0, 0, 0]))
    assert quiet["alpha"] == pytest.approx(3 / 20)
    assert quiet["sqrt_ts"] == pytest.approx(math.sqrt(2 * 50 * math.log(1.15 / 0.15)), rel=1e-12)
    assert info_dict(on_off(counts=[0, 0, 0], counts_off=[0, 0, 0]))["sqrt_ts"] == 0
    assert info_dict(on_off(counts=[0, 0.5, 1.25]))["counts"] == 1.75


def test_table():
    table = info_table(Datasets({"a": on_off(), "b": SpectrumDataset(EDGES, counts=[3, 4, 5], background=[1.0, 2, 3])}))
    assert table["name"].tolist() == ["a", "b"] and table["counts"].tolist() == [50, 12]
    assert (
        table["livetime"].unit == "s" and table["exposure_max"].unit == "cm2 s" and table["counts_rate"].unit == "1/s"
    )
    assert np.isnan(table["alpha"][1]) and table["energy_max"].quantity[0] == 8 * u.TeV
    assert table.colnames[:5] == ["name", "type", "stat_type", "counts", "counts_off"]
    text = "\n".join(table.pformat(max_width=-1))
    assert "36.00" in text and "0.1556" in text
    assert len(info_table([on_off(), on_off()])) == 2
    assert len(info_table(Datasets())) == 0


def test_real_runs(data_path):
    paths = sorted((data_path / "joint-crab" / "spectra" / "hess").glob("pha_*.fits"))
    table = info_table(Datasets({p.stem: SpectrumDatasetOnOff.read(p) for p in paths}))
    assert np.all(table["sqrt_ts"] > 10) and np.all(table["n_fit_bins"] < 80)
    for row, path in zip(table, paths, strict=True):
        assert row["sqrt_ts"] == pytest.approx(li_ma(row["counts"], row["counts_off"], row["alpha"]), rel=1e-10)
        assert row["livetime"] == pytest.approx(1580, rel=0.01), path


def test_predictions():
    edges = EDGES
    dataset = SpectrumDataset(
        edges, counts=[30, 4, 5], background=[10.0, 2, 3], exposure=[1e12, 1e12, 0.0], mask_safe=[True, True, False]
    )
    models = gj.Models(
        [
            gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-11, index=2.0), name="source"),
            gj.FoVBackgroundModel(gj.PowerLawNormSpectralModel(norm=1.5), name="bkg"),
        ]
    )
    info = info_dict(dataset, "run", models)
    assert info["npred_signal"] == pytest.approx(10 * (1 - 1 / 4)) and info["npred_background"] == pytest.approx(18)
    assert info["npred"] == pytest.approx(25.5) and info["background"] == 12 and info["excess"] == pytest.approx(16)
    assert info["sqrt_ts"] == pytest.approx(math.sqrt(2 * (34 * math.log(34 / 18) - 16)), rel=1e-12)
    mu = np.array([15.0, 3.0]) + 10 * np.array([1 / 2, 1 / 4])
    assert info["stat_sum"] == pytest.approx(np.sum(2 * (mu - [30, 4] * np.log(mu))), rel=1e-10)
    only = info_dict(dataset, "run", models[1:])
    assert math.isnan(only["npred_signal"]) and only["npred"] == pytest.approx(18)
    off = info_dict(on_off(), "run", models[:1])
    assert off["excess"] == pytest.approx(36) and off["npred_background"] > 0
    table = info_table({"run": dataset}, models)
    assert table["npred"][0] == pytest.approx(25.5) and "npred" not in info_table({"run": dataset}).colnames


def test_cumulative_table():
    other = on_off(counts=[1, 2, 3], mask_safe=[True, True, False], livetime=50, gti=GTI([200.0], [260.0]))
    table = info_table({"a": on_off(), "b": other}, cumulative=True)
    assert table["name"].tolist() == ["a", "b"]
    assert table["counts"].tolist() == [50, 53] and table["counts_off"].tolist() == [90, 137]
    background = np.array([14, 14 + 0.7 + 4])
    np.testing.assert_allclose(table["background"], background)
    np.testing.assert_allclose(table["livetime"], [100, 150])
    np.testing.assert_allclose(table["ontime"], [120, 180])
    np.testing.assert_allclose(table["alpha"], background / [90, 137])
    np.testing.assert_allclose(table["sqrt_ts"][1], li_ma(53, 137, background[1] / 137), rtol=1e-12)
    with pytest.raises(gj.InputError, match="a cumulative table knows no models"):
        info_table([on_off()], gj.Models(), cumulative=True)


def bright_source():
    """A point of 400 counts on a flat background of 2 a pixel, blurred by 1.5 pixels, and its model."""
    geom = gj.SkyGeom.create(npix=41, binsz=0.02)
    edges = [1.0, 10.0]
    run = gj.MapDataset(
        geom,
        edges,
        exposure=np.full((1, 41, 41), 1e13),
        background=np.full((1, 41, 41), 2.0),
        psf=gj.PSFMap.from_gauss([1.0, 10.0], 0.03),
    )
    point = gj.PointSpatialModel(lon_0=0.0, lat_0=0.0)
    amplitude = 400 / 1e13 / float(gj.PowerLawSpectralModel(amplitude=1.0).integral(1.0, 10.0))
    models = gj.Models(gj.SkyModel(gj.PowerLawSpectralModel(amplitude=amplitude), name="s", spatial=point))
    return gj.asimov(run, models), models


def test_significance_at_the_source():
    """80 % of a Gaussian lie within 1.794 sigma: 320 counts on pi (1.794 x 1.5)^2 = 22.75 pixels of 2 counts."""
    run, models = bright_source()
    info = info_dict(run, models=models)
    excess, area = 0.8 * 400, math.pi * 2 * math.log(5) * 1.5**2
    # whole pixels
    assert info["source_excess"] == pytest.approx(excess, rel=0.05)
    background = info["source_counts"] - info["source_excess"]
    assert background == pytest.approx(2 * area, rel=0.1) and background % 2 == pytest.approx(0, abs=1e-9)
    n, mu = info["source_counts"], background
    assert info["source_sqrt_ts"] == pytest.approx(math.sqrt(2 * (n * math.log(n / mu) - n + mu)), rel=1e-6)
    assert info["source_sqrt_ts"] > 3 * info["sqrt_ts"]
    # with a norm of the background; masked pixels do not count; without sources or models there is nothing to say
    doubled = gj.Models([*models, gj.FoVBackgroundModel(gj.PowerLawNormSpectralModel(norm=2.0))])
    assert info_dict(run, models=doubled)["source_excess"] == pytest.approx(
        info["source_excess"] - background, rel=1e-6
    )
    masked = run.with_mask_safe(np.zeros(run.data_shape, bool))
    for dataset, given in ((run, None), (run, gj.Models()), (masked, models), (run.replace(counts=None), models)):
        assert "source_sqrt_ts" not in info_dict(dataset, models=given)
    assert "source_sqrt_ts" in info_table({"a": run}, models).colnames


def test_dictionaries_of_statistics():
    known = gj.CashCountsStatistic(10, 4).info_dict()
    assert {k: float(known[k]) for k in ("n_on", "mu_bkg", "excess")} == {"n_on": 10, "mu_bkg": 4, "excess": 6}
    measured = gj.WStatCountsStatistic(10, 8, 0.5, mu_sig=1).info_dict()
    assert [float(measured[k]) for k in ("n_off", "alpha", "mu_sig", "excess")] == [8, 0.5, 1, 5]


def test_the_crab_is_seen_in_its_map(data_path):
    """One H.E.S.S. run: the whole field says nothing of the brightest source of the sky."""
    folder = data_path / "hess-crab"
    run = gj.MapDataset.read(sorted((folder / "maps").glob("*.fits.gz"))[0])
    models = gj.Models.read(folder / "crab_joint_best_models.yaml")
    crab = gj.Models([m for m in models if isinstance(m, gj.SkyModel)])
    info = info_dict(run, models=crab)
    assert abs(info["sqrt_ts"]) < 2
    # about what a circle on it says
    inside = run.geom.region_mask(CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 0.1 * u.deg))
    kept = inside & np.asarray(run.safe_bins())
    circle = gj.CashCountsStatistic(np.asarray(run.counts)[kept].sum(), np.asarray(run.background)[kept].sum())
    assert info["source_sqrt_ts"] == pytest.approx(float(circle.sqrt_ts), rel=0.1) and circle.sqrt_ts > 15
    assert info["source_excess"] == pytest.approx(0.8 * info["npred_signal"], rel=0.25)
