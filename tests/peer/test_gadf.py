"""Map datasets exchanged with gammapy through files, both ways."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    gammapy_datasets = pytest.importorskip("gammapy.datasets")
    from astropy.coordinates import SkyCoord
    from astropy.time import Time
    from gammapy.data import GTI as PeerGTI
    from gammapy.irf import EDispKernelMap, EDispMap, PSFMap, RecoPSFMap
    from gammapy.maps import Map, MapAxis, RegionGeom, WcsGeom
    from gammapy.modeling.models import PointSpatialModel, PowerLawSpectralModel, SkyModel

from gammajax.datasets.collection import Datasets
from gammajax.datasets.map import MapDataset, MapDatasetOnOff
from gammajax.datasets.sky import MapAxis as OurAxis

# the warnings of the peer and of its dependencies are not ours; a checksum that does not match is
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.filterwarnings("error:.*[Cc]hecksum")]

ENERGY = MapAxis.from_energy_bounds("0.5 TeV", "30 TeV", nbin=4)
TRUE = MapAxis.from_energy_bounds("300 GeV", "60000 GeV", nbin=6, name="energy_true")
RAD = MapAxis.from_bounds(0, 0.4, nbin=20, unit="deg", name="rad")
MIGRA = MapAxis.from_bounds(0.3, 3, nbin=40, node_type="edges", name="migra")
CENTER = SkyCoord(83.63, 22.01, unit="deg")
CUBES = ("counts", "background", "counts_off", "acceptance", "acceptance_off")
OF_GAMMAPY = {"MapDataset": gammapy_datasets.MapDataset, "MapDatasetOnOff": gammapy_datasets.MapDatasetOnOff}
OURS = {"MapDataset": MapDataset, "MapDatasetOnOff": MapDatasetOnOff}


def peer_psf(kind, image):
    energy = ENERGY if kind is RecoPSFMap else TRUE
    width = 0.05 + 0.02 * np.arange(energy.nbin)[:, None]
    profile = np.exp(-0.5 * (RAD.center.value / width) ** 2) / (2 * np.pi * np.radians(width) ** 2)
    geom = image.to_cube([RAD, energy])
    drift = np.linspace(1, 1.1, np.prod(geom.data_shape[-2:])).reshape(geom.data_shape[-2:])
    values = Map.from_geom(geom, data=profile[..., None, None] * drift, unit="sr-1")
    exposure = Map.from_geom(geom.squash("rad"), data=3e9, unit="m2 s", dtype=float)
    return kind(values, exposure)


def peer_edisp(migra, image):
    if migra:
        density = np.exp(-0.5 * ((MIGRA.center.value - 1) / 0.15) ** 2) / (np.sqrt(2 * np.pi) * 0.15)
        geom = image.to_cube([MIGRA, TRUE])
        values = Map.from_geom(geom, data=density[None, :, None, None] * np.ones(geom.data_shape))
        return EDispMap(values, Map.from_geom(geom.squash("migra"), data=2e9, unit="m2 s", dtype=float))
    kernel = EDispKernelMap.from_gauss(ENERGY, TRUE, 0.15, 0.0).get_edisp_kernel().pdf_matrix
    geom = image.to_cube([ENERGY, TRUE])
    values = Map.from_geom(geom, data=kernel[:, :, None, None] * np.ones(geom.data_shape))
    return EDispKernelMap(values, Map.from_geom(geom.squash("energy"), data=2e9, unit="m2 s", dtype=float))


def peer_dataset(
    tag="MapDataset", psf=PSFMap, migra=False, region=False, seed=3, name="run 7", frame="icrs", proj="TAN"
):
    """A gammapy dataset with all that a file can keep."""
    rng = np.random.default_rng(seed)
    image = WcsGeom.create(skydir=CENTER, npix=(12, 10), binsz=0.1, proj=proj, frame=frame)
    geom, geom_true = image.to_cube([ENERGY]), image.to_cube([TRUE])
    coarse = (
        RegionGeom(None) if region else WcsGeom.create(skydir=CENTER, npix=(5, 4), binsz=0.3, proj=proj, frame=frame)
    )
    exposure = Map.from_geom(geom_true, data=rng.uniform(1e8, 3e9, geom_true.data_shape), unit="m2 s")
    exposure.meta["livetime"] = 1234.5 * u.s
    fields = {
        "name": name,
        "counts": Map.from_geom(geom, data=rng.poisson(4, geom.data_shape).astype("float32")),
        "exposure": exposure,
        "psf": peer_psf(psf, coarse),
        "edisp": peer_edisp(migra, coarse),
        "mask_safe": Map.from_geom(geom, data=rng.uniform(size=geom.data_shape) > 0.2),
        "mask_fit": Map.from_geom(geom, data=rng.uniform(size=geom.data_shape) > 0.1),
        "gti": PeerGTI.create([0, 700] * u.s, [600, 1400] * u.s, reference_time=Time("2012-03-04T05:06:07")),
        "meta_table": Table({"TELESCOP": ["HESS"], "OBS_ID": [23523], "RA_PNT": [83.5] * u.deg}),
    }
    if tag == "MapDataset":
        return gammapy_datasets.MapDataset(
            **fields, background=Map.from_geom(geom, data=rng.uniform(0.1, 3, geom.data_shape))
        )
    off = {n: Map.from_geom(geom, data=rng.uniform(1, 30, geom.data_shape)) for n in CUBES[2:]}
    return gammapy_datasets.MapDatasetOnOff(**fields, **off)


def values(peer_map, unit):
    """In double precision: some maps are kept in single, also when their unit is changed."""
    return peer_map.data.astype(float) * peer_map.unit.to(unit)


def assert_same(ours, peer):
    """Every number of our dataset is gammapy's, in our units."""
    np.testing.assert_allclose(ours.energy_edges, peer.counts.geom.axes["energy"].edges.to_value("TeV"), rtol=1e-14)
    true = peer.exposure.geom.axes["energy_true"].edges.to_value("TeV")
    np.testing.assert_allclose(ours.energy_true_edges, true, rtol=1e-14)
    for name in CUBES:
        if name in ours.__dataclass_fields__:
            np.testing.assert_array_equal(getattr(ours, name), getattr(peer, name).data, err_msg=name)
    np.testing.assert_allclose(ours.exposure, peer.exposure.quantity.to_value("cm2 s"), rtol=1e-15)
    for name in ("mask_safe", "mask_fit"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(peer, name).data)
    assert ours.livetime == peer.exposure.meta["livetime"].to_value("s")
    np.testing.assert_allclose(ours.psf.values, peer.psf.psf_map.quantity.to_value("sr-1"), rtol=1e-15)
    axes = peer.psf.psf_map.geom.axes
    np.testing.assert_allclose(ours.psf.rad, axes["rad"].center.to_value("deg"), rtol=1e-14)
    np.testing.assert_allclose(ours.psf.energy, axes[1].center.to_value("TeV"), rtol=1e-14)
    np.testing.assert_array_equal(ours.edisp.values, peer.edisp.edisp_map.data)
    for one, two in ((ours.psf, peer.psf), (ours.edisp, peer.edisp)):
        assert type(one).__name__ == type(two).__name__
        np.testing.assert_allclose(one.exposure, two.exposure_map.quantity.to_value("cm2 s")[:, 0], rtol=1e-15)
    sky = peer.counts.geom.to_image().get_coord().skycoord.icrs
    lon, lat = np.radians(sky.ra.deg), np.radians(sky.dec.deg)
    vectors = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    np.testing.assert_allclose(ours.geom.pixel_to_vector(*ours.geom.pixel_grid), vectors, atol=1e-12)
    np.testing.assert_allclose(ours.geom.solid_angle, peer.counts.geom.to_image().solid_angle().value, rtol=1e-5)
    np.testing.assert_allclose(ours.gti.ontime.to_value("s"), peer.gti.time_sum.to_value("s"), rtol=1e-12)
    assert abs((ours.gti.time_start - peer.gti.time_start).to_value("s")).max() < 1e-5


def assert_same_peers(one, two):
    """Two gammapy datasets agree in data, geometry (axes included), types and descriptions."""
    assert type(one) is type(two) and one.name == two.name
    irfs = [(irf.psf.psf_map, irf.psf.exposure_map, irf.edisp.edisp_map, irf.edisp.exposure_map) for irf in (one, two)]
    names = [n for n in (*CUBES, "exposure", "mask_safe", "mask_fit") if n in one.__dict__ or f"_{n}" in one.__dict__]
    pairs = [(getattr(one, n), getattr(two, n)) for n in names] + list(zip(*irfs, strict=True))
    assert len(pairs) == (9 if one.tag == "MapDataset" else 11)
    for a, b in pairs:
        assert a.geom == b.geom
        np.testing.assert_allclose(
            a.quantity.to_value(b.unit), b.quantity.value, rtol=3e-16 if a.unit == b.unit else 1e-14
        )
    assert one.mask_safe.data.dtype == two.mask_safe.data.dtype == bool
    assert type(one.psf) is type(two.psf) and type(one.edisp) is type(two.edisp)
    assert one.exposure.meta == two.exposure.meta
    assert abs((one.gti.time_start - two.gti.time_start).to_value("s")).max(initial=0) < 1e-5
    assert abs((one.gti.time_stop - two.gti.time_stop).to_value("s")).max(initial=0) < 1e-5
    if one.meta_table is not None:
        assert one.meta_table.colnames == two.meta_table.colnames
        assert all(np.all(one.meta_table[c] == two.meta_table[c]) for c in one.meta_table.colnames)


@pytest.mark.parametrize("tag", ["MapDataset", "MapDatasetOnOff"])
@pytest.mark.parametrize(
    "kind",
    [{}, {"migra": True}, {"region": True}, {"frame": "galactic", "proj": "CAR"}],
    ids=["kernel", "migra", "region", "galactic"],
)
@pytest.mark.parametrize("suffix", ["fits", "fits.gz"])
def test_there_and_back(tmp_path, tag, kind, suffix):
    peer = peer_dataset(tag, **kind)
    peer.write(tmp_path / f"peer.{suffix}")
    ours = OURS[tag].read(tmp_path / f"peer.{suffix}")
    assert_same(ours, peer)
    assert ours.meta["OBS_ID"] == 23523 and ours.meta["RA_PNT"] == 83.5 * u.deg
    ours.write(tmp_path / f"ours.{suffix}")
    back = OF_GAMMAPY[tag].read(tmp_path / f"ours.{suffix}", name=peer.name)
    first = OF_GAMMAPY[tag].read(tmp_path / f"peer.{suffix}", name=peer.name)
    assert_same_peers(first, back)
    np.testing.assert_allclose(back.stat_sum(), first.stat_sum(), rtol=1e-12)


def test_psf_in_reconstructed_energy(tmp_path):
    peer = peer_dataset(psf=RecoPSFMap)
    peer.write(tmp_path / "peer.fits")
    ours = MapDataset.read(tmp_path / "peer.fits")
    assert_same(ours, peer)
    ours.write(tmp_path / "ours.fits")
    back = gammapy_datasets.MapDataset.read(tmp_path / "ours.fits")
    assert_same_peers(gammapy_datasets.MapDataset.read(tmp_path / "peer.fits"), back)


def test_layout_is_the_same(tmp_path):
    """HDUs in their order, and the keywords that say what they hold."""
    for tag in OURS:
        peer_dataset(tag).write(tmp_path / f"{tag}.fits")
        OURS[tag].read(tmp_path / f"{tag}.fits").write(tmp_path / f"{tag}-ours.fits")
        with fits.open(tmp_path / f"{tag}.fits") as peer, fits.open(tmp_path / f"{tag}-ours.fits") as ours:
            assert [hdu.name for hdu in ours] == [hdu.name for hdu in peer]
            for a, b in zip(ours, peer, strict=True):
                assert type(a) is type(b)
                for key in b.header:
                    same = ("AXCOLS", "INTERP", "WCSSHAPE", "BANDSHDU", "META", "CTYPE", "NAXIS", "CRVAL", "CRPIX")
                    if key.startswith(same) and not (key in ("META", "NAXIS1") and a.name != "EXPOSURE"):
                        assert a.header[key] == b.header[key], (a.name, key)


def test_gammapy_predicts_the_same_from_our_file(tmp_path):
    peer_dataset().write(tmp_path / "peer.fits")
    MapDataset.read(tmp_path / "peer.fits").write(tmp_path / "ours.fits")
    npred = []
    for path in ("peer.fits", "ours.fits"):
        dataset = gammapy_datasets.MapDataset.read(tmp_path / path)
        point = PointSpatialModel(lon_0=83.7 * u.deg, lat_0=22.05 * u.deg)
        dataset.models = [SkyModel(PowerLawSpectralModel(amplitude="1e-11 cm-2 s-1 TeV-1"), point)]
        npred.append(dataset.npred_signal().data)
    assert npred[0].max() > 1
    np.testing.assert_allclose(npred[1], npred[0], rtol=2e-6, atol=1e-6 * npred[0].max())


def test_index_there_and_back(tmp_path):
    peers = [peer_dataset(name="a"), peer_dataset("MapDatasetOnOff", name="b c", seed=5)]
    gammapy_datasets.Datasets(peers).write(tmp_path / "peer.yaml")
    ours = Datasets.read(tmp_path / "peer.yaml", lazy=True)
    assert ours.names == ("a", "b c")
    for dataset, peer in zip(ours, peers, strict=True):
        assert_same(dataset, peer)
    (tmp_path / "ours").mkdir()
    ours.write(tmp_path / "ours" / "index.yaml")
    back = gammapy_datasets.Datasets.read(tmp_path / "ours" / "index.yaml", lazy=False)
    assert [(d.name, d.tag) for d in back] == [("a", "MapDataset"), ("b c", "MapDatasetOnOff")]
    for one, two in zip(gammapy_datasets.Datasets.read(tmp_path / "peer.yaml", lazy=False), back, strict=True):
        assert_same_peers(one, two)


@pytest.mark.parametrize(
    "name",
    [
        "hess-crab/maps/obs_23592.fits.gz",
        "hess-crab/stacked_maps.fits.gz",
        "fermi-3fhl-crab/Fermi-LAT-3FHL_data_Fermi-LAT.fits",
    ],
)
def test_gammapy_reads_real_files_that_we_wrote(tmp_path, data_path, name):
    MapDataset.read(data_path / name).write(tmp_path / "ours.fits")
    peer = gammapy_datasets.MapDataset.read(data_path / name, name="x")
    ours = gammapy_datasets.MapDataset.read(tmp_path / "ours.fits", name="x")
    assert ours.psf.psf_map.geom.axes == peer.psf.psf_map.geom.axes or "fermi" in name
    for irf in (peer.psf.psf_map, ours.psf.psf_map):
        # gammapy keeps the file's name of the axis of offsets
        assert irf.geom.axes[0].name in ("rad", "theta")
    for n in ("counts", "background", "exposure", "mask_safe"):
        one, two = getattr(peer, n), getattr(ours, n)
        assert one.geom == two.geom
        np.testing.assert_allclose(values(one, two.unit), two.data, rtol=1e-14)
    for one, two in ((peer.psf.psf_map, ours.psf.psf_map), (peer.edisp.edisp_map, ours.edisp.edisp_map)):
        np.testing.assert_allclose(values(one, two.unit), two.data, rtol=1e-14)
        for a, b in zip(one.geom.axes, two.geom.axes, strict=True):
            np.testing.assert_allclose(a.center.to_value(b.unit), b.center.value, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("interp", ["lin", "log", "sqrt"])
@pytest.mark.parametrize("kind", ["edges", "center"])
def test_axes_are_gammapys(interp, kind):
    nodes = [1.0, 3.0, 10.0, 11.0]
    ours = OurAxis(nodes, interp, "energy", "TeV", kind)
    peer = MapAxis(nodes, interp=interp, name="energy", unit="TeV", node_type=kind)
    np.testing.assert_allclose(ours.edges.value, peer.edges.value, rtol=1e-14)
    np.testing.assert_allclose(ours.center.value, peer.center.value, rtol=1e-14)
    coord = np.array([0.5, 1.0, 2.0, 5.0, 10.5, 30.0])
    np.testing.assert_allclose(ours.coord_to_pix(coord), peer.coord_to_pix(coord * u.TeV), rtol=1e-13, atol=1e-14)
    pix = np.array([-0.5, 0.2, 1.9])
    np.testing.assert_allclose(ours.pix_to_coord(pix).value, peer.pix_to_coord(pix).value, rtol=1e-13)


def test_energy_bounds_are_gammapys():
    for per_decade in (False, True):
        ours = OurAxis.from_energy_bounds("1 TeV", "20 TeV", 5, per_decade=per_decade)
        peer = MapAxis.from_energy_bounds("1 TeV", "20 TeV", 5, per_decade=per_decade)
        np.testing.assert_allclose(ours.edges.value, peer.edges.value, rtol=1e-14)
