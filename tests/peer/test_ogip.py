"""Spectra exchanged with gammapy through files, both ways."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    gammapy_datasets = pytest.importorskip("gammapy.datasets")
    from astropy.coordinates import SkyCoord
    from astropy.time import Time
    from gammapy.data import GTI as PeerGTI
    from gammapy.irf import EDispKernelMap, EDispMap
    from gammapy.maps import MapAxis, RegionGeom, RegionNDMap
    from gammapy.modeling.models import PowerLawSpectralModel, SkyModel
    from regions import CircleSkyRegion

import gammajax as gj
from gammajax.datasets.collection import Datasets, info_dict
from gammajax.datasets.io import write_ogip
from gammajax.datasets.spectrum import SpectrumDataset, SpectrumDatasetOnOff

# the warnings of the peer and of its dependencies are not ours; a checksum that does not match is
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.filterwarnings("error:.*[Cc]hecksum")]

ENERGY = MapAxis.from_energy_bounds("0.5 TeV", "30 TeV", nbin=9)
TRUE = MapAxis.from_energy_bounds("0.3 TeV", "60 TeV", nbin=14, name="energy_true")
REGION = CircleSkyRegion(SkyCoord(83.63, 22.01, unit="deg"), 0.11 * u.deg)
MODEL = SkyModel(PowerLawSpectralModel(index=2.3, amplitude="3e-12 cm-2 s-1 TeV-1"))


def peer_counts(name="a", migra=False, seed=3):
    """A gammapy SpectrumDataset with all that a file can keep."""
    rng = np.random.default_rng(seed)
    geom, geom_true = RegionGeom(REGION, axes=[ENERGY]), RegionGeom(REGION, axes=[TRUE])
    if migra:
        axis = MapAxis.from_bounds(0.2, 3, nbin=70, node_type="edges", name="migra")
        edisp = EDispMap.from_geom(RegionGeom(REGION, axes=[axis, TRUE]))
        width = 0.1 + 0.02 * np.arange(TRUE.nbin)[:, None]
        density = np.exp(-0.5 * ((axis.center.value - 1.05) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
        edisp.edisp_map.data = density[:, :, None, None]
    else:
        edisp = EDispKernelMap.from_gauss(ENERGY, TRUE, 0.15, 0.02, geom=RegionGeom(REGION).to_wcs_geom())
        kernel = edisp.get_edisp_kernel()
        edisp = EDispKernelMap.from_edisp_kernel(kernel, geom=geom_true)
    exposure = RegionNDMap(geom_true, data=np.geomspace(1e8, 3e9, TRUE.nbin)[:, None, None], unit="m2 s")
    exposure.meta["livetime"] = 1234.5 * u.s
    safe = np.arange(ENERGY.nbin) > 1
    return gammapy_datasets.SpectrumDataset(
        name=name,
        counts=RegionNDMap(geom, data=rng.poisson(30, (ENERGY.nbin, 1, 1)).astype(float)),
        background=RegionNDMap(geom, data=np.linspace(5, 1, ENERGY.nbin)[:, None, None]),
        exposure=exposure,
        edisp=edisp,
        mask_safe=RegionNDMap(geom, data=safe[:, None, None]),
        gti=PeerGTI.create([0, 700] * u.s, [600, 1400] * u.s, reference_time=Time("2012-03-04T05:06:07")),
    )


def peer_on_off(name="a", **kwargs):
    counts = peer_counts(name, **kwargs)
    off = RegionNDMap(counts.counts.geom, data=np.random.default_rng(8).poisson(90, (ENERGY.nbin, 1, 1)).astype(float))
    dataset = gammapy_datasets.SpectrumDatasetOnOff.from_spectrum_dataset(
        dataset=counts, acceptance=1.5, acceptance_off=12, counts_off=off
    )
    return dataset.copy(name=name)


def values(peer_map):
    return peer_map.data[..., 0, 0]


def assert_same(ours, peer):
    """Content, and the statistic for one prediction."""
    np.testing.assert_allclose(ours.energy_edges, peer.counts.geom.axes["energy"].edges.to_value("TeV"), rtol=1e-14)
    true = peer.exposure.geom.axes["energy_true"].edges.to_value("TeV")
    np.testing.assert_allclose(ours.energy_true_edges, true, rtol=1e-14)
    np.testing.assert_array_equal(ours.counts, values(peer.counts))
    np.testing.assert_array_equal(ours.mask_safe, values(peer.mask_safe))
    np.testing.assert_allclose(ours.exposure, peer.exposure.quantity[:, 0, 0].to_value("cm2 s"), rtol=1e-15)
    kernel = peer.edisp.get_edisp_kernel(energy_axis=peer.counts.geom.axes["energy"])
    # the peer keeps matrices in float32
    np.testing.assert_allclose(ours.edisp.matrix, kernel.pdf_matrix, rtol=1e-7, atol=1e-9)
    if ours.tag == "SpectrumDataset":
        np.testing.assert_array_equal(ours.background, values(peer.background))
    else:
        np.testing.assert_array_equal(ours.counts_off, values(peer.counts_off))
        np.testing.assert_allclose(ours.alpha, values(peer.alpha), rtol=1e-15)
    if ours.gti is not None:
        assert np.all(abs((ours.gti.time_start - peer.gti.time_start).to_value("s")) < 1e-5)
        assert abs(ours.gti.ontime - peer.gti.time_sum) < 1e-5 * u.s
    peer = peer.copy(name=peer.name)
    peer.models = [MODEL]
    signal = values(peer.npred_signal())
    prediction = signal + (ours.background if ours.tag == "SpectrumDataset" else 0)
    # the float32 of the peer's prediction is in both sums
    mask = True if ours.mask is None else ours.mask
    assert np.sum(np.where(mask, ours.stat_bins(prediction), 0)) == pytest.approx(peer.stat_sum(), rel=1e-9)


def test_ogip_from_gammapy(tmp_path):
    peer = peer_on_off()
    peer.write(tmp_path / "run.fits", format="ogip")
    ours = gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    again = gammapy_datasets.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    assert_same(ours, again)
    assert ours.livetime == 1234.5 and ours.meta["OBS_ID"] == "a" and "region" in ours.meta


@pytest.mark.parametrize("energy_unit", ["TeV", "keV"])
def test_ogip_to_gammapy(tmp_path, energy_unit):
    peer_on_off().write(tmp_path / "run.fits", format="ogip")
    ours = gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    write_ogip(ours, tmp_path / "ours.fits", name="new", energy_unit=energy_unit)
    peer = gammapy_datasets.SpectrumDatasetOnOff.read(tmp_path / "ours.fits")
    assert_same(gj.SpectrumDatasetOnOff.read(tmp_path / "ours.fits"), peer)
    assert_same(ours, peer)
    assert peer.name == "new" and peer.exposure.meta["livetime"] == 1234.5 * u.s
    # the region went through unread
    assert peer.counts.geom.region.center.separation(REGION.center) < 1e-9 * u.deg
    assert abs(peer.counts.geom.region.radius - REGION.radius) < 1e-9 * u.deg


def test_what_gammapy_would_lose_is_kept_for_it(tmp_path):
    """Fractional counts, and a matrix in float64."""
    peer_on_off().write(tmp_path / "run.fits", format="ogip")
    ours = gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    ours = ours.replace(counts=np.asarray(ours.counts) + 0.25, edisp=np.asarray(ours.edisp.matrix) / 3)
    write_ogip(ours, tmp_path / "ours.fits")
    assert_same(ours, gammapy_datasets.SpectrumDatasetOnOff.read(tmp_path / "ours.fits"))


def test_without_matrix(tmp_path):
    peer_on_off().write(tmp_path / "run.fits", format="ogip")
    ours = gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    ours = ours.replace(energy_true_edges=ours.energy_edges, exposure=np.full(ENERGY.nbin, 1e12), edisp=None)
    write_ogip(ours, tmp_path / "ours.fits")
    peer = gammapy_datasets.SpectrumDatasetOnOff.read(tmp_path / "ours.fits")
    assert peer.edisp is None
    np.testing.assert_allclose(peer.exposure.quantity.to_value("cm2 s").ravel(), 1e12, rtol=1e-15)


@pytest.mark.parametrize("migra", [False, True], ids=["kernel", "migra"])
def test_index_from_gammapy(tmp_path, migra):
    peers = gammapy_datasets.Datasets([peer_on_off("run 1", migra=migra), peer_counts("run 2", migra=migra)])
    peers[1].mask_fit = peers[1].counts.geom.energy_mask(2 * u.TeV, 20 * u.TeV)
    peers.write(tmp_path / "index.yaml")
    ours = gj.Datasets.read(tmp_path / "index.yaml")
    assert ours.names == ("run 1", "run 2")
    np.testing.assert_array_equal(ours["run 2"].mask_fit, values(peers[1].mask_fit))
    for mine, peer in zip(ours, gammapy_datasets.Datasets.read(tmp_path / "index.yaml", lazy=False), strict=True):
        assert_same(mine, peer)
    assert np.isnan(ours[0].livetime)


def test_index_to_gammapy(tmp_path):
    first = gammapy_datasets.Datasets([peer_on_off("x"), peer_counts("y"), peer_on_off("z")])
    first.write(tmp_path / "index.yaml")
    a, b, c = gj.Datasets.read(tmp_path / "index.yaml")
    mask = np.arange(ENERGY.nbin) % 2 == 0
    ours = Datasets(
        {
            "on off": a.replace(livetime=500.0).with_mask_fit(energy_min=1 * u.TeV),
            "known background": b.replace(livetime=600.0, mask_fit=mask),
            "no livetime": c.replace(mask_fit=mask),
        }
    )
    ours.write(tmp_path / "ours.yaml")
    peers = gammapy_datasets.Datasets.read(tmp_path / "ours.yaml", lazy=False)
    assert [p.name for p in peers] == list(ours.names)
    np.testing.assert_array_equal(values(peers[1].mask_fit), mask)
    # the peer drops the fit mask of every on/off spectrum
    assert peers[0].mask_fit is None and peers[2].mask_fit is None
    for mine, peer in zip(ours, peers, strict=True):
        assert_same(mine if peer.mask_fit is not None else mine.with_mask_fit(), peer)
    back = gj.Datasets.read(tmp_path / "ours.yaml")
    for mine, again in zip(ours, back, strict=True):
        np.testing.assert_array_equal(mine.mask_fit, again.mask_fit)
        np.testing.assert_array_equal(mine.livetime, again.livetime)
    peers.write(tmp_path / "theirs" / "peers.yaml")
    assert len(gj.Datasets.read(tmp_path / "theirs" / "peers.yaml")) == 3


def test_lazy_reading_by_gammapy(tmp_path):
    peer_counts("y").write(tmp_path / "theirs.fits")
    Datasets({"y": SpectrumDataset.read(tmp_path / "theirs.fits")}).write(tmp_path / "ours.yaml")
    peer = gammapy_datasets.Datasets.read(tmp_path / "ours.yaml")[0]
    assert_same(gj.Datasets.read(tmp_path / "ours.yaml")[0], peer)


def test_channels_from_one_are_ours_to_get_right(tmp_path):
    """The peer takes F_CHAN as an index whatever TLMIN says; a file with TLMIN 0 is the same to both."""
    peer_on_off().write(tmp_path / "run.fits", format="ogip")
    ours = gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    path = tmp_path / "run_rmf.fits"
    with fits.open(path, memmap=False) as hdus:
        for row in hdus["MATRIX"].data["F_CHAN"]:
            row += 1
        hdus["MATRIX"].header["TLMIN4"] = 1
        hdus.writeto(path, overwrite=True)
    np.testing.assert_array_equal(gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits").edisp.matrix, ours.edisp.matrix)


@pytest.mark.parametrize("make", [peer_on_off, peer_counts])
def test_info(tmp_path, make):
    peer = make()
    peer.write(tmp_path / "a.fits")
    ours = (SpectrumDataset if make is peer_counts else SpectrumDatasetOnOff).read(tmp_path / "a.fits")
    ours = ours.replace(livetime=peer.exposure.meta["livetime"])
    mine, theirs = info_dict(ours), peer.info_dict()
    shared = ["counts", "excess", "sqrt_ts", "background", "n_bins", "n_fit_bins"]
    shared += ["counts_off", "acceptance", "acceptance_off", "alpha"] if make is peer_on_off else []
    for key in shared:
        assert mine[key] == pytest.approx(theirs[key], rel=1e-10, abs=0), key
    for key in ("exposure_min", "exposure_max", "livetime", "ontime", "counts_rate", "background_rate", "excess_rate"):
        assert mine[key].to_value(theirs[key].unit) == pytest.approx(theirs[key].value, rel=1e-10, abs=0), key
    assert mine["stat_type"] == theirs["stat_type"]


def test_real_spectra(data_path, tmp_path):
    for path in sorted((data_path / "joint-crab" / "spectra").glob("*/pha_*.fits")):
        ours = SpectrumDatasetOnOff.read(path)
        assert_same(ours, gammapy_datasets.SpectrumDatasetOnOff.read(path))
        write_ogip(ours, tmp_path / path.name)
        assert_same(ours, gammapy_datasets.SpectrumDatasetOnOff.read(tmp_path / path.name))
    for path in sorted((data_path / "hess-crab" / "spectra").glob("pha_*.fits")):
        ours = SpectrumDatasetOnOff.read(path)
        assert_same(ours, gammapy_datasets.SpectrumDatasetOnOff.read(path))
