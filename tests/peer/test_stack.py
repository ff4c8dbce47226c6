"""Sums of datasets against gammapy's, live, for all types and for cutouts."""

import warnings

import numpy as np
import pytest
from astropy import units as u

import gammajax as gj
from gammajax.datasets import Meta

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peers = pytest.importorskip("gammapy.datasets")
    from astropy.coordinates import SkyCoord
    from astropy.table import Table
    from astropy.time import Time
    from gammapy import irf
    from gammapy.data import GTI
    from gammapy.maps import Map, MapAxis, RegionGeom, WcsGeom

pytestmark = pytest.mark.filterwarnings("ignore")

ENERGY = MapAxis.from_energy_bounds("0.5 TeV", "30 TeV", nbin=5)
TRUE = MapAxis.from_energy_bounds("0.3 TeV", "60 TeV", nbin=6, name="energy_true")
RAD = MapAxis.from_bounds(0, 0.6, nbin=30, unit="deg", name="rad")
CENTER = SkyCoord(83.6, 22.0, unit="deg")
# an odd number of pixels in each of the responses: no centre lies between pixels, where gammapy's rounding decides
GEOM = WcsGeom.create(skydir=CENTER, binsz=0.05, npix=(33, 27), proj="TAN", axes=[ENERGY])
GRID = WcsGeom.create(skydir=CENTER, binsz=0.15, npix=(11, 9), proj="TAN")
REGION = RegionGeom.create("icrs;circle(83.6, 22.0, 0.2)", axes=[ENERGY])
KINDS = ("SpectrumDataset", "SpectrumDatasetOnOff", "MapDataset", "MapDatasetOnOff")
PRECISION = 2e-6
"""Of the largest value: gammapy's sums are in float32."""


def peer_run(kind, seed, threshold=0, migra=False):
    """A dataset of gammapy with random numbers."""
    rng = np.random.default_rng(seed)
    is_map = kind.startswith("Map")
    geom = GEOM if is_map else REGION
    true = geom.to_image().to_cube([TRUE])
    grid = GRID if is_map else geom.to_image()
    exposure = Map.from_geom(true, data=rng.uniform(1e8, 3e9, true.data_shape), unit="m2 s")
    exposure.meta["livetime"] = rng.uniform(500, 900) * u.s
    safe = np.broadcast_to((np.arange(5) >= threshold)[:, None, None], geom.data_shape).copy()
    if is_map:
        # whole pixels of the responses
        safe &= ~np.kron(rng.random(GRID.data_shape) < 0.15, np.ones((3, 3), bool))
    fields = {
        "counts": Map.from_geom(geom, data=rng.poisson(3, geom.data_shape).astype(float)),
        "exposure": exposure,
        "edisp": edisp_of(rng, grid, migra, None if is_map else exposure),
        "mask_safe": Map.from_geom(geom, data=safe),
        "gti": GTI.create([seed * 1000] * u.s, [seed * 1000 + 700] * u.s, reference_time=Time("2012-03-04T05:06:07")),
        "meta_table": Table({"OBS_ID": [seed], "TELESCOP": ["HESS"]}),
        "name": f"run-{seed}",
    }
    if is_map:
        fields["psf"] = psf_of(rng, grid)
    if kind.endswith("OnOff"):
        for name, low, high in (("acceptance", 1, 2), ("acceptance_off", 5, 9)):
            fields[name] = Map.from_geom(geom, data=rng.uniform(low, high, geom.data_shape))
        fields["counts_off"] = Map.from_geom(geom, data=rng.poisson(0.8, geom.data_shape).astype(float))
    else:
        fields["background"] = Map.from_geom(geom, data=rng.uniform(1, 2, geom.data_shape))
    return getattr(peers, kind)(**fields)


def psf_of(rng, grid):
    psf = Map.from_geom(grid.to_cube([RAD, TRUE]), unit="sr-1")
    psf.data = rng.uniform(1, 2, psf.data.shape)
    weight = Map.from_geom(grid.to_cube([RAD.squash(), TRUE]), unit="m2 s")
    weight.data = rng.uniform(1e8, 2e8, weight.data.shape)
    return irf.PSFMap(psf, weight)


def edisp_of(rng, grid, migra, exposure):
    first = MapAxis.from_bounds(0.3, 3, nbin=20, name="migra") if migra else ENERGY
    table = Map.from_geom(grid.to_cube([first, TRUE]))
    table.data = rng.uniform(0, 0.3, table.data.shape)
    weight = Map.from_geom(grid.to_cube([first.squash(), TRUE]), unit="m2 s")
    weight.data = rng.uniform(1e8, 2e8, weight.data.shape) if exposure is None else exposure.data[:, None].copy()
    return (irf.EDispMap if migra else irf.EDispKernelMap)(table, weight)


def assert_close(found, reference, what):
    reference = np.asarray(reference, float).reshape(np.shape(found))
    np.testing.assert_allclose(found, reference, rtol=0, atol=PRECISION * np.abs(reference).max(), err_msg=what)


def assert_sum(found, peer):
    """Our sum holds what gammapy's holds."""
    onoff = found.stat_type == "wstat"
    for name in ("counts", "background", "mask_safe", *(("counts_off", "acceptance") if onoff else ())):
        assert_close(getattr(found, name), getattr(peer, name).data, name)
    if onoff:
        for name in ("alpha", "acceptance_off"):
            assert_close(getattr(found, name), getattr(peer, name).data, name)
    assert_close(found.exposure, peer.exposure.quantity.to_value("cm2 s"), "exposure")
    assert found.livetime == pytest.approx(peer.exposure.meta["livetime"].to_value("s"), rel=1e-12)
    assert found.gti.ontime.value == pytest.approx(peer.gti.time_sum.to_value("s"), rel=1e-9)
    assert abs(found.gti.time_start[0] - peer.gti.time_start[0]).to_value("s") < 1e-5
    if found.pixels == ():
        # gammapy takes noise of 1e-16 for safe: in bins that are not safe in the sum
        used = np.asarray(found.mask_safe)
        assert_close(found.edisp.matrix[:, used], peer.edisp.edisp_map.data[:, used], "edisp")
        return
    place = np.s_[:, :]
    assert_responses(found, peer, place, place)


def assert_responses(found, peer, psf_place, edisp_place):
    """Where any run is safe: elsewhere gammapy has 0, and ours go on for the safe pixels beside."""
    bins = np.asarray(found.mask_safe).reshape(ENERGY.nbin, 9, 3, 11, 3).any((2, 4))
    pixels, migra = bins.any(axis=0), isinstance(found.edisp, gj.EDispMap)
    assert not pixels.all()
    for own, table, weight, place, in_bins in (
        (found.psf, peer.psf.psf_map, peer.psf.exposure_map, psf_place, False),
        (
            found.edisp,
            peer.edisp.edisp_map,
            peer.edisp.exposure_map,
            edisp_place,
            not migra,
        ),
    ):
        used = pixels[place]
        theirs = weight.quantity.to_value("cm2 s")[:, 0][(..., *place)]
        assert_close(own.exposure * used, theirs, "weights")
        assert np.all(own.exposure > 0)
        # gammapy takes noise of 1e-16 for safe: in bins that are not safe in the sum
        kept = bins[(..., *place)] if in_bins else used
        assert_close(own.values * kept, table.data[(..., *place)] * kept, "response")


@pytest.mark.parametrize("kind", KINDS)
def test_all_types(kind):
    runs = [peer_run(kind, seed, threshold) for seed, threshold in ((1, 1), (2, 2), (3, 1))]
    ours = gj.Datasets({run.name: gj.from_gammapy(run) for run in runs})
    peer = peers.Datasets(runs).stack_reduce(name="sum")
    found = ours.stack_reduce()
    assert_sum(found, peer)
    if kind.startswith("Map"):
        columns = {c["name"]: c["array"] for c in found.meta["meta_table"]["columns"]}
        for name in ("OBS_ID", "TELESCOP"):
            assert columns[name].tolist() == np.atleast_2d(peer.meta_table[name]).tolist()
    # and gammapy takes the sum
    back = gj.to_gammapy(found, "sum")
    np.testing.assert_allclose(back.counts.data, peer.counts.data)
    if kind.endswith("OnOff"):
        none = np.asarray(found.counts_off).reshape(peer.counts_off.data.shape) == 0
        peer.acceptance_off.data[none] = back.acceptance_off.data[none]
        np.testing.assert_allclose(back.stat_sum(), peer.stat_sum(), rtol=1e-5)


def test_bins_without_off_counts():
    """Stacking takes the mean alpha of all bins. Merging bins, gammapy has no alpha and we that of the acceptances."""
    fields = {"counts": [3, 2], "counts_off": [8, 0], "acceptance": 1, "acceptance_off": [4, 20]}
    ours = gj.SpectrumDatasetOnOff([1, 2, 4], exposure=[1e9, 1e9], mask_safe=[1, 1], gti=gj.GTI([0], [1]), **fields)
    peer = peers.Datasets([gj.to_gammapy(ours, name) for name in "ab"]).stack_reduce()
    np.testing.assert_allclose(peer.alpha.data[:, 0, 0], [0.25, 0.25], rtol=1e-6)
    np.testing.assert_allclose(gj.stack([ours, ours]).alpha, [0.25, 0.25], rtol=1e-14)
    peer = gj.to_gammapy(ours.slice_by_idx(energy=slice(1, 2)), "a").to_image()
    assert peer.alpha.data[0, 0, 0] == 0
    np.testing.assert_allclose(ours.slice_by_idx(energy=slice(1, 2)).to_image().alpha, 0.05, rtol=1e-14)


def test_tables_of_observations_of_spectra(tmp_path):
    """Written by one and read by the other, both ways; sums have a table of their observations."""
    runs = [peer_run("SpectrumDatasetOnOff", seed) for seed in (1, 2)]
    peer = peers.Datasets(runs).stack_reduce(name="sum")
    peer.write(tmp_path / "peer.fits", format="gadf")
    read = gj.SpectrumDatasetOnOff.read(tmp_path / "peer.fits")
    mine = [gj.from_gammapy(run) for run in runs]
    found = gj.stack([run.replace(meta=Meta({"OBS_ID": i, "TELESCOP": "HESS"})) for i, run in enumerate(mine, 1)])
    found.write(tmp_path / "mine.fits", format="gadf")
    again, theirs = (
        gj.SpectrumDatasetOnOff.read(tmp_path / "mine.fits"),
        peers.SpectrumDatasetOnOff.read(tmp_path / "mine.fits"),
    )
    for meta in (read.meta, found.meta, again.meta):
        columns = {c["name"]: c["array"].tolist() for c in meta["meta_table"]["columns"]}
        assert columns == {"OBS_ID": [[1, 2]], "TELESCOP": [["HESS", "HESS"]]}
        assert "OBS_ID" not in meta and meta["TELESCOP"] == "HESS"
    for name in ("OBS_ID", "TELESCOP"):
        assert np.array_equal(theirs.meta_table[name], peer.meta_table[name])
    runs[0].write(tmp_path / "one.fits", format="gadf")
    assert gj.SpectrumDatasetOnOff.read(tmp_path / "one.fits").meta["OBS_ID"] == 1


def test_migration_tables():
    runs = [peer_run("MapDataset", seed, migra=True) for seed in (1, 2)]
    for run in runs:
        # one threshold: else matrices are needed, which gammapy does not make
        run.mask_safe.data[:] = run.mask_safe.data.any(axis=0)
    found = gj.stack([gj.from_gammapy(run) for run in runs])
    peer = peers.Datasets(runs).stack_reduce()
    assert isinstance(found.edisp, gj.EDispMap)
    assert_sum(found, peer)


@pytest.mark.parametrize("kind", KINDS[2:])
def test_cutouts(kind):
    runs = [peer_run(kind, seed, 1) for seed in (1, 2, 3)]
    cutouts = [
        run.cutout(_at(pixel), width=width * u.deg)
        for run, pixel, width in zip(runs, ((10, 13), (22, 16), (16, 13)), (0.75, 0.45, 1.35), strict=True)
    ]
    big = peers.MapDataset.create(GEOM, energy_axis_true=TRUE, rad_axis=RAD, binsz_irf=0.15)
    assert big.psf.psf_map.geom.to_image() == GRID
    if kind == "MapDatasetOnOff":
        big = peers.MapDatasetOnOff.create(GEOM, energy_axis_true=TRUE, rad_axis=RAD, binsz_irf=0.15)
    for cutout in cutouts:
        big.stack(cutout)
    ours = [gj.from_gammapy(cutout) for cutout in cutouts]
    found = gj.stack(ours, geom=gj.SkyGeom.from_wcs(GEOM.wcs, GEOM.to_image().data_shape))
    _compare_cutouts(found, big)
    # onto a whole dataset, one by one
    first, second = peer_run(kind, 4, 1), peer_run(kind, 5, 2)
    ours = gj.stack([gj.from_gammapy(first)]).stack(gj.from_gammapy(second)).stack(ours[0]).stack(ours[1])
    whole = peers.Datasets([first, second]).stack_reduce()
    for cutout in cutouts[:2]:
        whole.stack(cutout)
    _compare_cutouts(ours, whole)
    if kind == "MapDatasetOnOff":
        some = np.asarray(ours.counts_off) > 0
        assert_close(ours.alpha * some, whole.alpha.data * some, "alpha")


def _at(pixel):
    return SkyCoord(*GEOM.to_image().pix_to_coord(pixel), unit="deg")


def _compare_cutouts(found, big):
    """The grid of our responses is the part of gammapy's on which there are any."""
    for name in ("counts", "background", "mask_safe"):
        assert_close(getattr(found, name), getattr(big, name).data, name)
    assert_close(found.exposure, big.exposure.quantity.to_value("cm2 s"), "exposure")
    places = []
    for own in (found.psf, found.edisp):
        x, y = (int(np.rint(c)) for c in GRID.wcs.world_to_pixel(own.geom.wcs.pixel_to_world(0, 0)))
        ny, nx = own.geom.shape
        places.append(np.s_[y : y + ny, x : x + nx])
    assert_responses(found, big, *places)
