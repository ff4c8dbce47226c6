"""Event lists beside gammapy: files that it reads, and its own sampler on the same dataset."""

import jax
import numpy as np
import pytest
from scipy import stats

import gammajax as gj

pytest.importorskip("gammapy")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def crab(data_path):
    """A real run with the Crab nebula, as a Gaussian, and its background."""
    folder = data_path / "hess-crab"
    dataset = gj.MapDataset.read(folder / "maps" / "obs_23523.fits.gz")
    models = gj.Models(
        [
            gj.SkyModel(
                gj.PowerLawSpectralModel(index=2.6, amplitude=4e-11),
                name="crab",
                spatial=gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.1),
            ),
            gj.FoVBackgroundModel(datasets_names="run", name="run-bkg"),
        ]
    )
    return dataset, models, gj.sample_events(jax.random.key(0), dataset, models, "run")


def test_gammapy_reads_the_file(crab, tmp_path):
    from gammapy.data import GTI, EventList

    dataset, _, events = crab
    events.write(tmp_path / "events.fits")
    theirs = EventList.read(tmp_path / "events.fits")
    np.testing.assert_allclose(theirs.energy.to_value("TeV"), events.energy)
    np.testing.assert_allclose(theirs.radec.ra.deg, events.lon)
    np.testing.assert_allclose(theirs.radec.dec.deg, events.lat)
    assert abs(theirs.time - events.times).max().to_value("s") < 1e-4
    assert theirs.table.meta["OBS_ID"] == 23523 and theirs.table.meta["MMN00001"] == "crab"
    gti = GTI.read(tmp_path / "events.fits")
    assert gti.time_sum.to_value("s") == pytest.approx(dataset.gti.ontime.value)
    counts = gj.to_gammapy(dataset).counts.copy()
    counts.data[...] = 0
    counts.fill_events(theirs)
    np.testing.assert_array_equal(counts.data, gj.bin_events(events, dataset).counts)


def test_distributions_of_gammapys_sampler(crab):
    """Energies, true energies and offsets of the Crab's events, and numbers, from both samplers."""
    from gammapy.datasets import MapDatasetEventSampler

    dataset, models, _ = crab
    bright = models.with_parameter("crab.spectral.amplitude", value=1e-8)
    ours = gj.sample_events(jax.random.key(1), dataset, bright, "run")
    theirs = gj.to_gammapy(dataset, name="run")
    theirs.models = gj.to_gammapy(bright)
    sampler = MapDatasetEventSampler(random_state=1)
    table = sampler.sample_sources(theirs)
    table = table[table["MC_ID"] == 1]
    source = ours[ours.mc_id == 1]
    # whole bins of true energy from which nothing falls off the axis of reconstructed energies; inside a bin gammapy's
    # events are uniform in ln E
    edges = np.asarray(dataset.energy_true_edges)[9:21]
    inside = (table["ENERGY_TRUE"] > edges[0]) & (table["ENERGY_TRUE"] < edges[-1])
    here = (source.energy_true > edges[0]) & (source.energy_true < edges[-1])
    a, b = (np.histogram(e, edges)[0] for e in (np.asarray(table["ENERGY_TRUE"])[inside], source.energy_true[here]))
    seen = a + b > 10
    chi2 = np.sum(((a - b) ** 2 / np.maximum(a + b, 1))[seen])
    assert stats.chi2.sf(chi2, seen.sum()) > 1e-4
    for name, column in (("lon_true", "RA_TRUE"), ("lat_true", "DEC_TRUE")):
        assert stats.ks_2samp(getattr(source, name)[here], np.asarray(table[column])[inside]).pvalue > 1e-4
    background = sampler.sample_background(theirs)
    n = np.sum(ours.mc_id == 0)
    assert abs(n - len(background)) < 5 * np.sqrt(n + len(background))
    assert stats.ks_2samp(ours.lon[ours.mc_id == 0], np.asarray(background["RA"])).pvalue > 1e-4
    assert stats.ks_2samp(np.log(ours.energy[ours.mc_id == 0]), np.log(np.asarray(background["ENERGY"]))).pvalue > 1e-4
    moved = sampler.sample_psf(theirs.psf, table)
    r = np.hypot(
        (moved["RA"] - moved["RA_TRUE"]) * np.cos(np.radians(22)), np.asarray(moved["DEC"] - moved["DEC_TRUE"])
    )
    own = np.hypot((source.lon - source.lon_true) * np.cos(np.radians(22)), source.lat - source.lat_true)
    assert here.sum() > 10_000
    quantiles = np.quantile(own[here], [0.2, 0.5, 0.8]) / np.quantile(np.asarray(r)[inside], [0.2, 0.5, 0.8])
    np.testing.assert_allclose(quantiles, 1, atol=0.03)
