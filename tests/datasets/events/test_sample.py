"""Simulated events beside predicted counts."""

import jax
import numpy as np
import pytest
from cases import maps as map_cases
from scipy import stats

import gammajax as gj
from gammajax.kernels import lonlat_to_vector

pytestmark = pytest.mark.slow

small_map, source = map_cases.small_map, map_cases.source

GTI = gj.GTI([0.0, 500.0], [300.0, 2000.0])
EDGES = np.geomspace(1, 10, 5)


@pytest.fixture(scope="module")
def scene():
    """A map with PSF, energy dispersion, background, a point between pixels and a Gaussian; and its prediction."""
    energy = np.sqrt(np.geomspace(0.5, 20, 5)[1:] * np.geomspace(0.5, 20, 5)[:-1])
    dataset = small_map(n=20, gti=GTI, psf=gj.PSFMap.from_gauss(energy, 0.06, rad=np.arange(0, 0.45, 0.003)))
    models = gj.Models(
        [
            source(gj.PointSpatialModel(lon_0=83.717, lat_0=22.083), name="point", amplitude=2e-11),
            source(gj.GaussianSpatialModel(lon_0=83.5, lat_0=21.9, sigma=0.12), name="gauss", amplitude=2e-11),
            gj.FoVBackgroundModel(gj.PowerLawNormSpectralModel(norm=1.3, tilt=0.2), name="bkg"),
        ]
    )
    return dataset, models, np.asarray(gj.npred(dataset, models))


def test_binned_events_follow_the_prediction(scene):
    """chi2 of the counts is uniform over seeds, for bins merged to 3 x 3 x 3 and more; and so is their total."""
    dataset, models, npred = scene

    def merged(counts):
        cells = counts.reshape(3, 5, 4, 5, 4).sum((2, 4))
        return cells.ravel()

    wanted, shares, totals = merged(npred), [], []
    assert wanted.min() > 3
    for seed in range(30):
        seen = merged(gj.bin_events(gj.sample_events(jax.random.key(seed), dataset, models), dataset).counts)
        # the sum of squared pulls has mean n and variance 2 n + sum 1 / mu: scaled to a chi2 of those
        variance = 2 * wanted.size + np.sum(1 / wanted)
        scale = variance / (2 * wanted.size)
        shares.append(stats.chi2.cdf(np.sum((seen - wanted) ** 2 / wanted) / scale, wanted.size / scale))
        totals.append(stats.norm.cdf((seen.sum() - wanted.sum()) / np.sqrt(wanted.sum())))
    assert stats.kstest(shares, "uniform").pvalue > 1e-3
    assert stats.kstest(totals, "uniform").pvalue > 1e-3


def test_many_events_bin_by_bin(scene):
    """100 times the exposure: 27 cells would hide what 1200 bins show."""
    dataset, models, npred = scene
    long = dataset.replace(exposure=100 * dataset.exposure, background=100 * dataset.background)
    seen = gj.bin_events(gj.sample_events(jax.random.key(100), long, models), long).counts
    wanted = 100 * npred
    enough = wanted > 10
    chi2 = np.sum(((seen - wanted) ** 2 / wanted)[enough])
    assert enough.mean() > 0.9 and stats.chi2.sf(chi2, enough.sum()) > 1e-3
    # the test sees a tenth of a pixel
    moved = 0.9 * wanted + 0.1 * np.roll(wanted, 1, axis=2)
    assert stats.chi2.sf(np.sum(((seen - moved) ** 2 / moved)[enough]), enough.sum()) < 1e-3


def test_columns(scene):
    dataset, models, _ = scene
    events = gj.sample_events(jax.random.key(1), dataset, models)
    assert events.meta["models"] == {0: "bkg", 1: "point", 2: "gauss"} and set(np.unique(events.mc_id)) == {0, 1, 2}
    assert np.all(np.diff(events.time) >= 0) and len(events) == events.energy.size
    inside = (events.time <= 300) | ((events.time >= 500) & (events.time <= 2000))
    assert np.all(inside) and events.time.max() > 500
    point = events[events.mc_id == 1]
    np.testing.assert_allclose(point.lon_true, 83.717, rtol=1e-12)
    np.testing.assert_allclose(point.lat_true, 22.083, rtol=1e-12)
    apart = lonlat_to_vector(point.lon, point.lat) - lonlat_to_vector(83.717, 22.083)
    assert 0.04 < np.degrees(np.sqrt(np.mean(np.sum(apart**2, -1)) / 2)) < 0.08
    assert 0.5 < np.corrcoef(np.log(point.energy), np.log(point.energy_true))[0, 1] < 0.99
    assert np.all(np.isnan(events.energy_true[events.mc_id == 0]))
    assert events.times[0].scale == "tt"
    assert abs((events.times[-1] - dataset.gti.time_start[0]).to_value("s") - events.time[-1]) < 1e-6
    assert len(events[:10]) == 10


def test_the_same_key_gives_the_same_events(scene):
    dataset, models, _ = scene
    first, again, other = (gj.sample_events(jax.random.key(k), dataset, models) for k in (5, 5, 6))
    for name in ("energy", "lon", "time", "mc_id"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert len(first) != len(other) or np.any(first.energy != other.energy)
    raw = gj.sample_events(jax.random.PRNGKey(5), dataset, models)
    np.testing.assert_array_equal(raw.energy, first.energy)


def test_light_curves_scale_and_shape_the_events(scene):
    dataset, models, _ = scene
    decay = gj.ExpDecayTemporalModel(t0=400 / 86400, t_ref=51544.0, scale="tt")
    models = gj.Models([models["point"].replace(temporal=decay, spectral=gj.PowerLawSpectralModel(amplitude=4e-9))])
    dataset = dataset.replace(background=None)
    events = gj.sample_events(jax.random.key(2), dataset, models)
    wanted = float(np.sum(gj.npred(dataset, models)))
    assert abs(len(events) - wanted) < 5 * np.sqrt(wanted)
    early = -np.expm1(-300 / 400)
    early /= early + np.exp(-500 / 400) - np.exp(-2000 / 400)
    share = np.mean(events.time <= 300)
    assert abs(share - early) < 5 * np.sqrt(early * (1 - early) / len(events))


def test_spectra_and_off_counts():
    spectrum = gj.SpectrumDataset(
        EDGES, background=[2000.0, 500, 100, 50], exposure=np.full(4, 3e14), gti=GTI, edisp=np.eye(4)
    )
    models = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-11), name="source")])
    events = gj.sample_events(jax.random.key(0), spectrum, models)
    assert events.lon is None and events.lon_true is None
    counts, wanted = gj.bin_events(events, spectrum).counts, np.asarray(gj.npred(spectrum, models))
    assert np.all(np.abs(counts - wanted) < 5 * np.sqrt(wanted))
    off = gj.SpectrumDatasetOnOff(EDGES, counts_off=[4000, 1000, 200, 100], acceptance_off=2.0, gti=GTI)
    on = gj.bin_events(gj.sample_events(jax.random.key(1), off), off)
    assert np.all(np.abs(on.counts - off.background) < 5 * np.sqrt(off.background))
    np.testing.assert_array_equal(on.counts_off, off.counts_off)
    given = gj.sample_events(jax.random.key(1), off.replace(counts_off=None), npred_background=100.0)
    assert abs(len(given) - 400) < 100
    assert len(gj.sample_events(jax.random.key(1), gj.SpectrumDataset(EDGES, gti=GTI))) == 0


def test_templates_and_reconstructed_psf(scene):
    dataset, _, _ = scene
    counts = np.zeros(dataset.data_shape)
    counts[1, 4, 7] = 1000.0
    template = gj.TemplateNPredModel(counts, name="spot")
    spot = gj.sample_events(jax.random.key(0), dataset.replace(background=None), template)
    binned = gj.bin_events(spot, dataset).counts
    assert binned[1, 4, 7] == len(spot) > 800 and spot.meta["models"] == {1: "spot"}
    energy = np.sqrt(np.asarray(dataset.energy_edges)[1:] * np.asarray(dataset.energy_edges)[:-1])
    narrow = gj.PSFMap.from_gauss(energy, [0.1, 0.1, 0.02])
    reco = gj.RecoPSFMap(None, narrow.energy, narrow.rad, narrow.rad_edges, narrow.values)
    point = source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01), amplitude=1e-9)
    events = gj.sample_events(jax.random.key(0), dataset.replace(background=None, psf=reco), point)
    apart = np.degrees(
        np.linalg.norm(lonlat_to_vector(events.lon, events.lat) - lonlat_to_vector(83.63, 22.01), axis=1)
    )
    high = events.energy > energy[2]
    assert np.sqrt(np.mean(apart[high] ** 2) / 2) == pytest.approx(0.02, rel=0.05)
    assert np.sqrt(np.mean(apart[events.energy < energy[1]] ** 2) / 2) == pytest.approx(0.1, rel=0.05)


def test_binning_by_hand():
    geom = gj.SkyGeom.create((10.0, 0.0), 1.0, npix=(3, 2), proj="CAR")
    dataset = gj.MapDataset(geom, [1.0, 2.0, 4.0])
    lon, lat = geom.wcs.wcs_pix2world([0, 2.4, 1, 1, 3], [0, 1, 1, 1, 0], 0)
    events = gj.EventList([1.0, 3.9, 2.0, 4.0, 1.5], np.arange(5.0), GTI, lon, lat)
    wanted = np.zeros((2, 2, 3))
    # energies of 4 and a column 3 are outside; 2 belongs to the upper bin
    wanted[0, 0, 0] = wanted[1, 1, 2] = wanted[1, 1, 1] = 1
    np.testing.assert_array_equal(gj.bin_events(events, dataset).counts, wanted)


def test_bad_input(scene):
    dataset, models, _ = scene
    key = jax.random.key(0)
    for change, message in (
        ({"gti": None}, "no good time intervals, so that events have no times"),
        ({"background": np.where(np.arange(20) == 3, np.nan, 1.0) * np.ones(dataset.data_shape)}, "background must be"),
    ):
        with pytest.raises(gj.InputError, match=message):
            gj.sample_events(key, dataset.replace(**change), models)
    negative = models.with_parameter("bkg.spectral.norm", value=-1.0)
    with pytest.raises(gj.InputError, match=r"expected of the background must be finite and not negative, found -"):
        gj.sample_events(key, dataset, negative)
    with pytest.raises(gj.InputError, match=r"has the flux -.* in true-energy bin 0"):
        gj.sample_events(key, dataset, models.with_parameter("point.spectral.amplitude", value=-1e-11))
    with pytest.raises(gj.InputError, match="expected one dataset of counts"):
        gj.sample_events(key, gj.Datasets({"a": dataset}), models)
    with pytest.raises(gj.InputError, match=r"expected jax.random.key\(seed\)"):
        gj.sample_events(3, dataset, models)
    with pytest.raises(gj.InputError, match="cannot be drawn inside jit"):
        jax.jit(lambda k: gj.sample_events(k, dataset, models).energy)(key)
    with pytest.raises(gj.InputError, match="npred_background is for on/off data"):
        gj.sample_events(key, dataset, models, npred_background=1.0)
    with pytest.raises(gj.InputError, match="needs npred_background"):
        gj.sample_events(key, gj.SpectrumDatasetOnOff(EDGES, gti=GTI))
    with pytest.raises(gj.InputError, match="has no name"):
        gj.sample_events(key, dataset, gj.Models([models["point"].replace(datasets_names="other")]))
    with pytest.raises(gj.InputError, match="the events have no directions"):
        gj.bin_events(gj.EventList([1.0], [0.0], GTI), dataset)
    with pytest.raises(gj.InputError, match=r"time has shape \(1,\), expected one number an event, \(2,\)"):
        gj.EventList([1.0, 2.0], [0.0], GTI)
    with pytest.raises(gj.InputError, match="lon and lat belong together"):
        gj.EventList([1.0], [0.0], GTI, lon=[1.0])


def test_units_of_columns():
    import astropy.units as u

    events = gj.EventList(
        [1000, 2000] * u.GeV, [1, 2] * u.min, GTI, lon=[180, 90] * u.arcmin, lat=[0.5, 1] * u.deg, energy_true=[1.0, 2]
    )
    np.testing.assert_allclose(events.energy, [1, 2], rtol=1e-15)
    np.testing.assert_allclose(events.time, [60, 120], rtol=1e-15)
    np.testing.assert_allclose(events.lon, [3, 1.5], rtol=1e-15)
    with pytest.raises(gj.InputError, match="EventList: energy: found unit 's'"):
        gj.EventList([1.0] * u.s, [1.0], GTI)
    with pytest.raises(gj.InputError, match="EventList: mc_id: found"):
        gj.EventList([1.0], [1.0], GTI, mc_id=["a"])
    assert len(events[np.array([True, False])]) == 1
    for chosen in (np.array([True, False, True]), [7], "energy"):
        with pytest.raises(gj.InputError, match=r"EventList: .* a mask of shape \(2,\)"):
            events[chosen]
