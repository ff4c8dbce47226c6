"""Maps of excess and residuals against sums pixel by pixel."""

import dataclasses

import astropy.units as u
import jax
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from cases import maps

import gammajax as gj
from gammajax.datasets.sky import SkyGeom

CENTER = SkyCoord(83.63, 22.01, unit="deg")


def in_disk(values, radius):
    """Sums over the pixels within ``radius`` pixels, one by one."""
    ny, nx = values.shape[-2:]
    y, x = np.mgrid[:ny, :nx]
    found = np.zeros(values.shape)
    for j in range(ny):
        for i in range(nx):
            near = (y - j) ** 2 + (x - i) ** 2 <= radius**2 * (1 + 1e-9)
            found[..., j, i] = values[..., near].sum(axis=-1)
    return found


@pytest.fixture(scope="module")
def models():
    crab = maps.source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01), name="crab")
    spectra = {"a": gj.PowerLawNormSpectralModel(norm=1.2), "b": gj.PowerLawNormSpectralModel(norm=0.9)}
    norms = [gj.FoVBackgroundModel(s, name=f"{n}-bkg", datasets_names=[n]) for n, s in spectra.items()]
    return gj.Models([crab, *norms])


@pytest.fixture(scope="module")
def runs(models):
    """Two runs of one pixel grid, the second cut out of it, with holes in the masks."""
    a = maps.small_map(n=20)
    mask = np.ones(a.data_shape, bool)
    mask[0, 3:6, 4:9] = False
    mask[:, 15, 15] = False
    a = gj.fake(jax.random.key(1), a.with_mask_fit(mask), models, name="a")
    b = maps.small_map(n=20).crop(slice(2, 18), slice(5, 20))
    return {"a": a, "b": gj.fake(jax.random.key(2), b.with_mask_safe(mask[:, 2:18, 5:]), models, name="b")}


def whole(runs, models, bins):
    """Counts and prediction in the fitted bins of both runs on the pixels of the first, by hand."""
    counts, npred = np.zeros((20, 20)), np.zeros((20, 20))
    for name, run in runs.items():
        place = (slice(None), slice(None)) if name == "a" else (slice(2, 18), slice(5, 20))
        inside = np.asarray(run.mask)[bins]
        counts[place] += np.where(inside, np.asarray(run.counts)[bins], 0).sum(axis=0)
        npred[place] += np.where(inside, np.asarray(gj.npred(run, models, name))[bins], 0).sum(axis=0)
    return counts, npred


def test_sums_in_disks(runs, models):
    edges = np.asarray(runs["a"].energy_edges)
    found = gj.excess_map(runs, models, 0.12 * u.deg, edges[[0, 2, 3]] * u.TeV, exclude="crab", limits=True, n_sigma=2)
    without = gj.Models([m for m in models if m.name != "crab"])
    np.testing.assert_allclose(found.energy_edges, edges[[0, 2, 3]])
    for k, bins in enumerate((slice(0, 2), slice(2, 3))):
        counts, npred = (in_disk(v, 0.12 / 0.05) for v in whole(runs, without, bins))
        beside = np.zeros((20, 20), bool)
        beside[15, 15] = True  # of "b" too
        statistic = gj.CashCountsStatistic(counts, npred)
        expected = {
            "counts": counts,
            "npred": npred,
            "npred_excess": counts - npred,
            "npred_excess_err": 2 * np.sqrt(counts),
            "ts": statistic.ts,
            "sqrt_ts": statistic.sqrt_ts,
            "npred_excess_errn": statistic.compute_errn(2),
            "npred_excess_errp": statistic.compute_errp(2),
            "npred_excess_ul": statistic.compute_upper_limit(2),
        }
        assert set(expected) == set(found.names)
        for name, values in expected.items():
            np.testing.assert_array_equal(np.isnan(found[name][k]), beside)
            np.testing.assert_allclose(found[name][k][~beside], np.asarray(values)[~beside], rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(found["counts"][k][~beside], counts[~beside])
    assert np.nanmax(found["sqrt_ts"][0]) > 30


def test_residuals(runs, models):
    """Those of a right model are a unit Gaussian; the other methods are sums of the same counts."""
    found = gj.residual_map(runs, models, 0.12)
    known = np.isfinite(found["residual"])
    values = found["residual"][known]
    # 19 disks that do not overlap: three standard deviations
    assert abs(values.mean()) < 3 / np.sqrt(19) and values.std() == pytest.approx(1, abs=3 / np.sqrt(2 * 19))
    counts, npred = (in_disk(v, 0.12 / 0.05)[None] for v in whole(runs, models, slice(None)))
    for method, expected in (("diff", counts - npred), ("diff/sqrt(model)", (counts - npred) / np.sqrt(npred))):
        residual = gj.residual_map(runs, models, 0.12, method=method)["residual"]
        np.testing.assert_allclose(residual[known], expected[known], rtol=1e-9, atol=1e-9)
    # what titles say: of energies that are fitted, not of all
    cut = {name: run.with_mask_fit(energy_min=run.energy_edges[1]) for name, run in runs.items()}
    meta = gj.residual_map(cut, models, 0.12, method="diff").meta
    assert (meta["kind"], meta["method"], round(meta["radius"], 9)) == ("residual", "diff", 0.12)
    assert (meta["fitted_min"], meta["fitted_max"]) == (runs["a"].energy_edges[1], runs["a"].energy_edges[-1])
    # of no radius: pixel by pixel
    single = gj.residual_map({"a": runs["a"]}, models, 0.0, np.asarray(runs["a"].energy_edges), method="significance")
    np.testing.assert_allclose(single["residual"], gj.residuals(runs["a"], models, "significance", "a"))


def test_other_pixels(runs, models):
    """Counts go where the middle of their pixel lies, and none is lost or made."""
    geom = SkyGeom.create(CENTER, 0.13, npix=12, frame="galactic")
    found = gj.excess_map(runs, models, 0.0, geom=geom)
    assert found.geom is geom
    sums = dict.fromkeys(("counts", "npred"), 0.0)
    for name, run in runs.items():
        x, y = run.geom.pixel_grid
        px, py = geom.vector_to_pixel(np.asarray(run.geom.pixel_to_vector(x, y)))
        inside = (abs(px - 5.5) < 6) & (abs(py - 5.5) < 6) & np.asarray(run.mask)
        sums["counts"] += np.asarray(run.counts)[inside].sum()
        sums["npred"] += np.asarray(gj.npred(run, models, name))[inside].sum()
    for name, total in sums.items():
        assert np.nansum(found[name]) == pytest.approx(total, rel=1e-12)
    with pytest.raises(gj.InputError, match="would have holes"):
        gj.excess_map(runs, models, 0.0, geom=SkyGeom.create(CENTER, 0.02, npix=12))


def on_off(seed):
    known = maps.small_map(n=20)
    rng = np.random.default_rng(seed)
    background = np.asarray(known.background)
    acceptance_off = rng.uniform(3, 6, background.shape)
    fields = {f: getattr(known, f) for f in ("energy_true_edges", "exposure", "psf", "edisp")}
    return gj.MapDatasetOnOff(
        known.geom,
        known.energy_edges,
        counts=rng.poisson(background),
        counts_off=rng.poisson(background * acceptance_off),
        acceptance=np.ones(background.shape),
        acceptance_off=acceptance_off,
        **fields,
    )


@pytest.mark.parametrize("correlate_off", [True, False])
def test_off_counts(correlate_off, models):
    """Equation 17 of Li & Ma for the sums, whose background is the sum of alpha n_off."""
    runs = {"x": on_off(3), "y": on_off(4)}
    crab = gj.Models([models["crab"].replace(spectral=gj.PowerLawSpectralModel(index=2.3, amplitude=2e-13))])
    found = gj.excess_map(runs, crab, 0.12, correlate_off=correlate_off, limits=True)
    total = {}
    for run in runs.values():
        fields = {f: np.asarray(getattr(run, f)) for f in ("counts", "counts_off", "acceptance", "background")}
        fields["signal"] = np.asarray(gj.npred_signal(run, crab))
        for name, values in fields.items():
            total[name] = total.get(name, 0) + values.sum(axis=0)
    disk = {name: in_disk(values, 0.12 / 0.05) for name, values in total.items()}
    if correlate_off:
        n_off, alpha = disk["counts_off"], disk["background"] / disk["counts_off"]
    else:
        n_off = total["counts_off"]
        alpha = disk["acceptance"] / total["acceptance"] * total["background"] / n_off
    statistic = gj.WStatCountsStatistic(disk["counts"], n_off, alpha, disk["signal"])
    for name, values in (
        ("sqrt_ts", statistic.sqrt_ts),
        ("npred_excess", statistic.n_sig),
        ("npred_excess_err", statistic.error),
        ("npred_excess_ul", statistic.compute_upper_limit(2)),
        ("npred", alpha * n_off + disk["signal"]),
    ):
        np.testing.assert_allclose(found[name][0], np.asarray(values), rtol=1e-8, atol=1e-8, err_msg=name)


def test_what_is_refused(runs, models, spectrum_factory):
    with pytest.raises(gj.InputError, match="expected a map dataset"):
        gj.excess_map(spectrum_factory(1), models, 0.1)
    with pytest.raises(gj.InputError, match="Make a map of each kind"):
        gj.excess_map({"a": runs["a"], "x": on_off(3)}, models, 0.1)
    with pytest.raises(gj.InputError, match="no model 'vela'"):
        gj.excess_map(runs, models, 0.1, exclude="vela")
    with pytest.raises(gj.InputError, match="Give fewer or other energy_edges"):
        gj.excess_map(runs, models, 0.1, [1.0, 1.01, 1.02])
    with pytest.raises(gj.InputError, match="found method 'ratio'"):
        gj.residual_map(runs, models, 0.1, method="ratio")
    with pytest.raises(gj.InputError, match="radius must be"):
        gj.residual_map(runs, models, -0.1)
    with pytest.raises(gj.InputError, match="no pixel of geom lies on a dataset"):
        gj.excess_map(runs, models, 0.1, geom=SkyGeom.create((200.0, -40.0), 0.05, npix=4))


@pytest.fixture(scope="module")
def some_maps():
    rng = np.random.default_rng(5)
    geom = SkyGeom.create(CENTER, 0.05, npix=(14, 12))
    values = rng.normal(size=(2, 12, 14))
    values[1, 4, 5] = np.nan
    return gj.SkyMaps(geom, [1, 3, 10] * u.TeV, {"sqrt_ts": values, "flux": 1e-12 * values / u.cm**2 / u.s})


def test_values_at_positions(some_maps):
    x, y = np.array([2.0, 3.25, 40.0]), np.array([7.0, 6.6, 3.0])
    sky = some_maps.geom.wcs.pixel_to_world(x, y)
    found, values = some_maps.at("flux", sky), some_maps["flux"]
    assert found.unit == "cm-2 s-1" and found.shape == (2, 3)
    between = (0.75 * values[:, 6:8, 3] + 0.25 * values[:, 6:8, 4]) @ [0.4, 0.6]
    np.testing.assert_allclose(found[:, 0].value, values[:, 7, 2], rtol=1e-6)
    np.testing.assert_allclose(found[:, 1].value, between, rtol=1e-6)
    assert np.isnan(found[:, 2]).all()
    np.testing.assert_array_equal(some_maps.at("flux", sky, "nearest")[:, 1].value, values[:, 7, 3])
    with pytest.raises(gj.InputError, match="there is no quantity 'fluxx'"):
        some_maps.at("fluxx", sky)


def test_peaks(some_maps):
    """Every pixel against all others around it."""
    values = some_maps["sqrt_ts"][1]
    table = some_maps.peaks("sqrt_ts", threshold=1.0, min_distance=0.1, band=1)
    expected = []
    for j, i in np.argwhere(values > 1.0):
        around = values[max(j - 2, 0) : j + 3, max(i - 2, 0) : i + 3]
        if values[j, i] == np.nanmax(around):
            expected.append((values[j, i], i, j))
    assert len(expected) > 2
    assert [(r["value"], r["x"], r["y"]) for r in table] == sorted(expected, reverse=True)
    sky = some_maps.geom.wcs.pixel_to_world(np.asarray(table["x"]), np.asarray(table["y"]))
    assert np.all(sky.separation(SkyCoord(table["lon"], table["lat"])).deg < 1e-9)
    np.testing.assert_allclose(table["flux"].value, 1e-12 * table["value"])
    assert len(some_maps.peaks("sqrt_ts", threshold=9.0)) == 0


def test_peaks_are_in_the_frame_of_the_map():
    place = SkyCoord(184.5, -5.8, unit="deg", frame="galactic")
    geom = SkyGeom.create(place, 0.1, npix=11, frame="galactic")
    values = np.zeros((1, 11, 11))
    values[0, 5, 5] = 8.0
    (peak,) = gj.SkyMaps(geom, [1, 10], {"sqrt_ts": values}).peaks()
    assert peak.meta["frame"] == "galactic" and (peak["lon"], peak["lat"]) == pytest.approx((184.5, -5.8), abs=1e-9)


def test_files(some_maps, tmp_path):
    path = tmp_path / "maps.fits.gz"
    assert some_maps.n_sigma_ul is None
    dataclasses.replace(some_maps, n_sigma=1, n_sigma_ul=2.5).write(path)
    read = gj.SkyMaps.read(path)
    assert (read.n_sigma, read.n_sigma_ul) == (1.0, 2.5)
    assert read.names == some_maps.names and read.geom.is_same(some_maps.geom)
    np.testing.assert_allclose(read.energy_edges, some_maps.energy_edges)
    for name in read.names:
        np.testing.assert_array_equal(read[name], some_maps[name])
    assert "14 x 12 pixels" in repr(read) and "2 bands from 1 to 10 TeV" in repr(read)
    with pytest.raises(gj.InputError, match="has shape"):
        gj.SkyMaps(some_maps.geom, [1, 10], {"ts": np.zeros((2, 12, 14))})
    with pytest.raises(gj.InputError, match=r"meta\['radius'\] is '0.1 deg', expected a finite number"):
        gj.SkyMaps(some_maps.geom, [1, 10], {}, meta={"radius": "0.1 deg"})


def test_disks_on_uneven_pixels_are_refused():
    """On the cylinder of the whole sky the pixels at high latitudes are narrower than those at the equator."""
    ones = np.ones((1, 18, 36))
    for center, size, even in (((0.0, 0.0), 10.0, False), ((0.0, 0.0), 0.1, True)):
        geom = SkyGeom.create(center, size, npix=(36, 18), proj="CAR")
        data = gj.MapDataset(geom, [1.0, 10.0], counts=ones, background=ones, exposure=ones * 1e13)
        # single pixels are always right
        assert float(gj.excess_map(data, [], 0.0)["counts"].max()) == 1
        if even:
            assert float(gj.excess_map(data, [], 2 * size)["counts"].max()) == 13
        else:
            with pytest.raises(gj.InputError, match=r"differ by \d+ % in width"):
                gj.residual_map(data, [], 2 * size)


@pytest.mark.parametrize("name", ["A", "primary", "", "é", "x y", "a" * 70])
def test_names_that_no_file_can_have(name):
    with pytest.raises(gj.InputError, match="found the name"):
        gj.SkyMaps(SkyGeom.create((83.0, 22.0), 0.05, npix=3), [1, 10], {name: np.ones((1, 3, 3))})
