"""Map datasets exchanged with gammapy in memory, both ways."""

import warnings

import numpy as np
import pytest
from astropy import units as u

import gammajax as gj
from gammajax.datasets import Meta
from gammajax.datasets.irf import EDispKernelMap, EDispMap, PSFKernel, PSFMap, RecoPSFMap
from gammajax.datasets.map import MapDataset, MapDatasetOnOff
from gammajax.datasets.sky import SkyGeom

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peers = pytest.importorskip("gammapy.datasets")
    from astropy.table import Table
    from astropy.time import Time
    from gammapy import irf
    from gammapy.data import GTI as PeerGTI
    from gammapy.maps import Map, MapAxis, RegionGeom, WcsGeom
    from gammapy.modeling import models as gm

pytestmark = pytest.mark.filterwarnings("ignore")

ENERGY = MapAxis.from_energy_bounds("0.5 TeV", "30 TeV", nbin=4)
TRUE = MapAxis.from_energy_bounds("0.3 TeV", "60 TeV", nbin=6, name="energy_true")
RAD = MapAxis.from_bounds(0, 0.6, nbin=60, unit="deg", name="rad")
GEOM = WcsGeom.create(skydir=(83.6, 22.0), binsz=0.1, width=(2.1, 1.7), proj="TAN", axes=[ENERGY])
FIELDS = ("counts", "background", "counts_off", "acceptance", "acceptance_off", "exposure", "mask_safe", "mask_fit")


def peer_map(kind="MapDataset", edisp="kernel", psf="true", geom=GEOM):
    """A dataset of gammapy with all that one can carry."""
    rng = np.random.default_rng(5)
    true = geom.to_image().to_cube([TRUE])
    gauss = {"energy_axis_true": TRUE, "rad_axis": RAD, "sigma": 0.12 * u.deg}
    if psf == "reco":
        wide = Map.create(npix=(2, 1), binsz=180, proj="CAR", axes=[RAD, ENERGY], unit="sr-1")
        profile = np.exp(-0.5 * (RAD.center.value / 0.12) ** 2) / (2 * np.pi * np.radians(0.12) ** 2)
        wide.data += profile[:, None, None]
        response = irf.RecoPSFMap(wide)
    else:
        response = irf.PSFMap.from_gauss(**gauss)
    migra = MapAxis.from_bounds(0.3, 3, nbin=40, name="migra")
    matrix = {
        "kernel": lambda: irf.EDispKernelMap.from_gauss(ENERGY, TRUE, 0.15, 0.02),
        "migra": lambda: irf.EDispMap.from_geom(WcsGeom.create(npix=1, binsz=10, axes=[migra, TRUE])),
    }[edisp]()
    if edisp == "migra":
        matrix.edisp_map.data[:, 12:16] = 1.0
    exposure = Map.from_geom(
        true, data=np.geomspace(1e8, 3e9, 6)[:, None, None] * np.ones(true.data_shape), unit="m2 s"
    )
    exposure.meta["livetime"] = 0.5 * u.h
    fields = {
        "counts": Map.from_geom(geom, data=rng.poisson(3, geom.data_shape).astype(float)),
        "exposure": exposure,
        "psf": response,
        "edisp": matrix,
        "mask_safe": Map.from_geom(geom, data=rng.random(geom.data_shape) > 0.1),
        "mask_fit": Map.from_geom(geom, data=rng.random(geom.data_shape) > 0.3),
        "gti": PeerGTI.create([0, 700] * u.s, [600, 1400] * u.s, reference_time=Time("2012-03-04T05:06:07")),
        "meta_table": Table({"OBS_ID": [23523], "TELESCOP": ["HESS"]}),
        "name": "run 1",
    }
    if kind == "MapDataset":
        return peers.MapDataset(**fields, background=Map.from_geom(geom, data=rng.random(geom.data_shape) + 1))
    off = {
        "counts_off": rng.poisson(9, geom.data_shape),
        "acceptance": 1.5,
        "acceptance_off": 4 + rng.random(geom.data_shape),
    }
    return peers.MapDatasetOnOff(
        **fields,
        **{
            key: Map.from_geom(geom, data=np.broadcast_to(value, geom.data_shape).astype(float))
            for key, value in off.items()
        },
    )


def peer_source():
    return gm.SkyModel(
        gm.PowerLawSpectralModel(index=2.3, amplitude="3e-12 cm-2 s-1 TeV-1"),
        gm.PointSpatialModel(lon_0="83.62 deg", lat_0="22.03 deg", frame="icrs"),
        name="source",
    )


def assert_same_fields(ours, theirs):
    for name in FIELDS:
        mine, other = getattr(ours, name, None), getattr(theirs, name, None)
        if name == "background" and ours.tag == "MapDatasetOnOff":
            continue
        assert (mine is None) == (other is None), name
        if mine is not None:
            other = other.quantity.to_value("cm2 s") if name == "exposure" else other.data
            np.testing.assert_allclose(mine, other, rtol=1e-14, err_msg=name)
            assert np.asarray(mine).dtype == (bool if name.startswith("mask") else float)


def assert_same_predictions(ours, theirs):
    theirs = theirs.copy(name=theirs.name)
    theirs.models = [peer_source()]
    signal = theirs.npred_signal().data
    found = gj.npred_signal(ours.replace(source_grid="pixel"), gj.from_gammapy(theirs.models))
    np.testing.assert_allclose(found, signal, atol=5e-5 * signal.max())


@pytest.mark.parametrize("kind", ["MapDataset", "MapDatasetOnOff"])
@pytest.mark.parametrize(("edisp", "psf"), [("kernel", "true"), ("migra", "true"), ("kernel", "reco")])
def test_datasets_of_gammapy(kind, edisp, psf):
    peer = peer_map(kind, edisp, psf)
    ours = gj.from_gammapy(peer)
    assert ours.tag == kind
    assert_same_fields(ours, peer)
    np.testing.assert_allclose(ours.energy_edges, ENERGY.edges.to_value("TeV"), rtol=1e-14)
    np.testing.assert_allclose(ours.energy_true_edges, TRUE.edges.to_value("TeV"), rtol=1e-14)
    center = ours.geom.center
    assert center.separation(GEOM.center_skydir) < 1e-9 * u.deg and ours.geom.shape == GEOM.data_shape[1:]
    assert type(ours.psf) is (RecoPSFMap if psf == "reco" else PSFMap)
    assert type(ours.edisp) is (EDispMap if edisp == "migra" else EDispKernelMap)
    assert float(ours.livetime) == 1800 and ours.gti.ontime.to_value("s") == pytest.approx(1300)
    assert ours.meta["OBS_ID"] == 23523 and ours.meta["name"] == "run 1"

    back = gj.to_gammapy(ours)
    assert type(back) is type(peer) and back.name == "run 1"
    assert gj.to_gammapy(ours, name="x").name == "x"
    assert_same_fields(ours, back)
    assert type(back.psf) is type(peer.psf) and type(back.edisp) is type(peer.edisp)
    assert back.mask_safe.data.dtype == back.mask_fit.data.dtype == bool
    assert back.exposure.meta["livetime"] == 1800 * u.s
    assert back.meta_table["OBS_ID"][0] == 23523
    assert np.all(abs((back.gti.time_stop - peer.gti.time_stop).to_value("s")) < 1e-6)
    again = gj.from_gammapy(back)
    assert_same_fields(again, back)
    for response in ("psf", "edisp"):
        np.testing.assert_array_equal(getattr(again, response).values, getattr(ours, response).values)


@pytest.mark.parametrize("kind", ["MapDataset", "MapDatasetOnOff"])
def test_predictions(kind):
    peer = peer_map(kind)
    assert_same_predictions(gj.from_gammapy(peer), peer)
    assert_same_predictions(gj.from_gammapy(peer), gj.to_gammapy(gj.from_gammapy(peer)))


def test_nothing_is_shared():
    peer = peer_map()
    ours = gj.from_gammapy(peer)
    before = np.array(ours.counts)
    peer.counts.data[...] = 7
    np.testing.assert_array_equal(ours.counts, before)
    back = gj.to_gammapy(ours)
    back.counts.data = back.counts.data + 1
    np.testing.assert_array_equal(ours.counts, before)


def small(**fields):
    geom = SkyGeom.create((184.5, -5.8), 0.2, npix=(6, 5), proj="CAR", frame="galactic")
    edges = np.array([0.5, 2.0, 20.0])
    return MapDataset(geom, edges, exposure=np.full((2, 5, 6), 1e13), **fields)


def test_datasets_of_gammajax():
    """No counts, no masks, one PSF and one matrix for all positions; a Galactic map."""
    edges = np.array([0.5, 2.0, 20.0])
    ours = small(
        background=np.full((2, 5, 6), 0.5),
        psf=PSFMap.from_gauss(np.array([1.0, 7.0]), 0.2),
        edisp=gj.EDispKernel.from_gauss(edges, edges, 0.2),
    )
    peer = gj.to_gammapy(ours, name="a")
    assert peer.counts is None and peer.mask_safe is None and peer.gti is None
    assert peer.background.geom.frame == "galactic"
    again = gj.from_gammapy(peer)
    assert again.geom.is_same(ours.geom) and again.psf.geom is None
    np.testing.assert_allclose(again.edisp.values[..., 0, 0], ours.edisp.matrix, rtol=1e-14)
    off = MapDatasetOnOff(ours.geom, edges, counts=np.ones((2, 5, 6)), acceptance_off=4.0)
    peer = gj.to_gammapy(off)
    assert peer.counts_off is None and np.all(peer.acceptance_off.data == 4)
    again = gj.from_gammapy(peer)
    assert again.counts_off is None
    np.testing.assert_array_equal(again.acceptance_off, np.full((2, 5, 6), 4.0))
    together = gj.Datasets({"a": ours, "b": off})
    assert gj.to_gammapy(together).names == ["a", "b"]
    assert gj.from_gammapy(gj.to_gammapy(together)).names == ("a", "b")


def test_regions():
    """A map dataset of one region is a spectrum here, if it has no PSF, and else a region dataset."""
    region = RegionGeom.create("icrs;circle(83.63, 22.01, 0.5)", axes=[ENERGY])
    true = region.to_image().to_cube([TRUE])
    fields = {
        "counts": Map.from_geom(region, data=np.arange(4.0)),
        "background": Map.from_geom(region, data=np.ones(4)),
        "exposure": Map.from_geom(true, data=np.ones(6), unit="m2 s"),
        "edisp": irf.EDispKernelMap.from_gauss(ENERGY, TRUE, 0.15, 0.0),
    }
    ours = gj.from_gammapy(peers.MapDataset(**fields, name="r"))
    assert isinstance(ours, gj.SpectrumDataset)
    np.testing.assert_array_equal(ours.counts, np.arange(4.0))
    assert ours.exposure[0] == 1e4
    psf = irf.PSFMap.from_gauss(energy_axis_true=TRUE, rad_axis=RAD, sigma=0.12 * u.deg)
    seen = gj.from_gammapy(peers.MapDataset(**fields, psf=psf, name="r"))
    assert isinstance(seen, gj.RegionMapDataset)
    np.testing.assert_array_equal(seen.counts, ours.counts)


def test_what_cannot_be_converted():
    with pytest.raises(gj.InputError, match=r"from_gammapy: MapDataset 'm': none of the HDUs COUNTS, .* is there"):
        gj.from_gammapy(peers.MapDataset(name="m"))
    wrong = peer_map()
    wrong.stat_type = "chi2"
    with pytest.raises(gj.InputError, match=r"MapDataset 'run 1': its statistic is 'chi2'"):
        gj.from_gammapy(wrong)
    broken = peer_map()
    broken.exposure.data[0, 0, 0] = np.nan
    with pytest.raises(gj.InputError, match=r"from_gammapy: MapDataset 'run 1'\[EXPOSURE\]: values must be finite"):
        gj.from_gammapy(peers.Datasets([broken]))
    odd = peer_map()
    odd.psf = 3
    with pytest.raises(gj.InputError, match=r"'run 1': gammapy gives no FITS form of it \(AttributeError"):
        gj.from_gammapy(odd)
    kernel = small(psf=PSFKernel(np.ones((2, 3, 3))))
    with pytest.raises(gj.InputError, match=r"to_gammapy: the dataset has a PSFKernel"):
        gj.to_gammapy(kernel)
    strange = small(background=np.ones((2, 5, 6)), meta=Meta({"OBS_ID": [1, 2]}))
    with pytest.raises(gj.InputError, match=r"to_gammapy: meta of the dataset: OBS_ID is \[1, 2\]"):
        gj.to_gammapy(strange)


def test_real_runs(data_path):
    path = sorted((data_path / "hess-crab" / "maps").glob("*.fits.gz"))[0]
    peer = peers.MapDataset.read(path)
    ours, read = gj.from_gammapy(peer), MapDataset.read(path)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(ours, name, None), getattr(read, name, None))
    np.testing.assert_array_equal(ours.psf.values, read.psf.values)
    assert ours.livetime == read.livetime
    back = gj.to_gammapy(ours)
    for each in (peer, back):
        each.models = [peer_source()]
    signal = peer.npred_signal().data
    np.testing.assert_allclose(back.npred_signal().data, signal, atol=1e-6 * signal.max())
