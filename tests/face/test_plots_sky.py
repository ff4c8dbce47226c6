import jax
import numpy as np
import pytest
from astropy import units as u

import gammajax as gj
from gammajax import plots
from gammajax.cli.demo import NIGHT, simulate_night
from gammajax.datasets.counts.residuals import summed_significance
from gammajax.plots import figures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source():
    return gj.SkyModel(
        gj.PowerLawSpectralModel(), "s", spatial=gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.05)
    )


@pytest.fixture(scope="module")
def field(source):
    """A simulated map of 12 x 12 pixels, two rows of which are not safe."""
    edges = np.geomspace(1, 10, 3)
    mask = np.ones((2, 12, 12), bool)
    mask[:, :2] = False
    dataset = gj.MapDataset(
        gj.SkyGeom.create((83.63, 22.01), 0.05, npix=12),
        edges,
        exposure=np.full((2, 12, 12), 1e13),
        background=np.full((2, 12, 12), 0.5),
        psf=gj.PSFMap.from_gauss(np.sqrt(edges[1:] * edges[:-1]), 0.06),
        mask_safe=mask,
    )
    return gj.fake(jax.random.key(0), dataset, [source])


def cash_significance(n, mu):
    """sign(n - mu) sqrt(2 (mu - n + n ln(n / mu)))"""
    return np.sign(n - mu) * np.sqrt(2 * (mu - n + n * np.log(np.maximum(n, 1e-300) / mu)))


def test_sky_picture(field, source):
    """Counts, prediction and residuals are sums in disks; spectra have no picture of the sky."""
    axes = plots.plot_sky(field, [source], "run", radius=7.5 * u.arcmin)
    y, x = np.mgrid[:12, :12]
    disk = ((x - 7) ** 2 + (y - 5) ** 2 <= 6) & np.asarray(field.mask[0])
    n = float(np.asarray(field.counts).sum(axis=0)[disk].sum())
    mu = float(np.asarray(gj.npred(field, [source])).sum(axis=0)[disk].sum())
    found = [np.asarray(ax.images[0].get_array())[5, 7] for ax in axes]
    np.testing.assert_allclose(found, [n, mu, cash_significance(n, mu)], rtol=1e-9)
    assert np.all(np.isnan(np.ma.filled(axes[0].images[0].get_array(), np.nan)[:2])), "what is not fitted stays grey"
    assert [ax.coords[0].get_axislabel() for ax in axes] == ["Right ascension"] * 3
    assert axes[0].coords[1].get_axislabel() == "Declination"
    bars = [ax.get_ylabel() for ax in axes[0].figure.axes if ax not in axes]
    assert bars == ["counts in disks of 0.125 deg"] * 2 + ["significance [σ], in disks of 0.125 deg"]
    assert [t.get_text() for t in axes[0].texts] == ["s"] and len(axes[0].patches) == 1
    assert len(axes[0].collections) == 1, "the border of the mask"
    assert len(figures.png(axes)) > 1000
    with pytest.raises(gj.InputError, match="expected a map"):
        plots.plot_sky(gj.SpectrumDataset([1, 2]), [source])
    with pytest.raises(gj.InputError, match="radius is -1"):
        plots.plot_sky(field, [source], radius=-1)


def test_counts_map(field, source):
    ax = plots.plot_counts_map(field, [source])
    np.testing.assert_array_equal(ax.images[0].get_array(), np.asarray(field.counts).sum(axis=0))
    assert ax.get_title() == "MapDataset, 1 to 10 TeV"
    with pytest.raises(gj.InputError, match="no counts"):
        plots.plot_counts_map(field.replace(counts=None))


def test_spectrum_of_a_region_of_a_map(field, source):
    from astropy.coordinates import SkyCoord
    from regions import CircleSkyRegion

    region = CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 0.12 * u.deg)
    top, bottom = plots.plot_counts(field, [source], "run", region=region)
    inside = field.geom.region_mask(region) & np.asarray(field.mask)
    n, mu = (np.where(inside, v, 0).sum(axis=(1, 2)) for v in (field.counts, gj.npred(field, [source])))
    (drawn,) = (c.lines[0].get_ydata() for c in bottom.containers)
    np.testing.assert_allclose(drawn, cash_significance(n, mu), rtol=1e-9)
    (counts,) = (c.lines[0].get_ydata() for c in top.containers)
    np.testing.assert_allclose(counts, n)
    with pytest.raises(gj.InputError, match="only maps have regions"):
        plots.plot_counts(gj.SpectrumDataset([1, 2], counts=[1.0]), [source], region=region)
    with pytest.raises(gj.InputError, match="no fitted pixel"):
        plots.plot_counts(field, [source], region=np.zeros((12, 12), bool))


def test_significance_of_sums_of_on_off_bins():
    """Of pixels of different alpha: that of Li & Ma for the sums, with the mean alpha of the off counts."""
    rng = np.random.default_rng(1)
    shape = (2, 4, 4)
    counts, off = rng.poisson(3.0, shape).astype(float), rng.poisson(5.0, shape).astype(float)
    off_acceptance = rng.uniform(1.5, 4.0, shape)
    dataset = gj.MapDatasetOnOff(
        gj.SkyGeom.create((0, 0), 0.1, npix=4), [1, 2, 4], counts=counts, counts_off=off, acceptance=1.0,
        acceptance_off=off_acceptance, exposure=np.ones(shape),
    )  # fmt: skip
    n, m = counts.sum(axis=(1, 2)), off.sum(axis=(1, 2))
    background = (off / off_acceptance).sum(axis=(1, 2))
    alpha = background / m
    li_ma = np.sqrt(2 * (n * np.log((1 + alpha) / alpha * n / (n + m)) + m * np.log((1 + alpha) * m / (n + m))))
    found = summed_significance(dataset, n, background, np.zeros(2))
    np.testing.assert_allclose(found, np.sign(n - background) * li_ma, rtol=1e-9)


def test_peek(field):
    run = simulate_night(1, NIGHT[:1])["run-1"]
    axes = plots.peek(run, "run-1")
    assert [ax.get_title() for ax in axes] == ["run-1", "Exposure", "Energy dispersion"]
    assert len(figures.png(axes)) > 1000
    axes = plots.peek(field, "run")
    titles = [ax.get_title() for ax in axes]
    assert titles[:2] == ["run: counts", "Background"] and titles[2].startswith("Exposure at ")
    assert titles[3:] == ["All pixels", "Point spread function", "Energy dispersion"]
    np.testing.assert_array_equal(axes[0].images[0].get_array(), np.asarray(field.counts).sum(axis=0))
    np.testing.assert_allclose(axes[2].images[0].get_array(), np.ones((12, 12)))
    assert "10¹³ cm² s" in [ax.get_ylabel() for ax in axes[0].figure.axes]
    # 68 % and 95 % of a Gaussian: sigma sqrt(-2 ln(1 - share)), to 1/20 of a bin of 0.01 deg
    found = [line.get_ydata()[0] for line in axes[4].lines[:2]]
    np.testing.assert_allclose(found, 0.06 * np.sqrt(-2 * np.log([0.32, 0.05])), atol=0.001)
    assert len(figures.png(axes)) > 1000
    empty = plots.peek(gj.SpectrumDataset([1, 2, 3]))
    assert [t.get_text() for ax in empty for t in ax.texts] == ["no counts, no background", "no exposure"]
    bare = plots.peek(field.replace(counts=None, background=None, psf=None, exposure=None))
    assert [t.get_text() for ax in bare for t in ax.texts] == [
        "none",
        "none",
        "none",
        "no counts, no background",
        "none",
    ]
    with pytest.raises(gj.InputError, match="no PSFMap"):
        plots.plot_psf(run)
