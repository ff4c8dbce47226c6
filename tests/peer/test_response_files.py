"""Responses alone, exchanged with gammapy through files both ways."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from cases import gadf_maps as cases

import gammajax as gj

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    irf = pytest.importorskip("gammapy.irf")
    from gammapy.maps import Map, MapAxis, RegionGeom, RegionNDMap, WcsGeom

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.filterwarnings("error:.*[Cc]hecksum")]

ENERGY = MapAxis.from_energy_bounds("0.5 TeV", "30 TeV", nbin=4)
TRUE = MapAxis.from_energy_bounds("300 GeV", "60000 GeV", nbin=6, name="energy_true")
RAD = MapAxis.from_bounds(0, 0.4, nbin=20, unit="deg", name="rad")
MIGRA = MapAxis.from_bounds(0.3, 3, nbin=40, node_type="edges", name="migra")
GRID = WcsGeom.create(skydir=(83.63, 22.01), npix=(5, 4), binsz=0.3, frame="icrs")


def filled(geom, unit="", seed=0):
    return Map.from_geom(geom, data=np.random.default_rng(seed).uniform(1, 2, geom.data_shape), unit=unit)


def peer_psf(geom, energy=TRUE, kind=None):
    values = filled(geom.to_cube([RAD, energy]), "sr-1")
    return (kind or irf.PSFMap)(values, filled(geom.to_cube([RAD.squash(), energy]), "m2 s", 1))


def same_axes(one, two):
    """Equal nodes in TeV or deg, of the same kind and scale, whatever the unit."""
    for a, b in zip(one, two, strict=True):
        assert (a.name, a.node_type, a.nbin) == (b.name, b.node_type, b.nbin)
        if a.nbin > 1:
            assert a.interp == b.interp
        np.testing.assert_allclose(a.edges.to_value(b.unit), b.edges.value, rtol=1e-12, atol=1e-14)


ONE = [
    MapAxis.from_energy_bounds("0.5 TeV", "3 TeV", nbin=1, name="energy_true"),
    MapAxis.from_edges([0.5, 3], unit="TeV", interp="lin", name="energy_true"),
    MapAxis.from_nodes([1.3], unit="TeV", interp="log", name="energy_true"),
]


@pytest.mark.parametrize(
    ("geom", "energy", "kind"),
    [
        (GRID, TRUE, irf.PSFMap),
        (RegionGeom(None), TRUE, irf.PSFMap),
        (GRID, ENERGY, irf.RecoPSFMap),
        *((GRID, axis, irf.PSFMap) for axis in ONE),
    ],
    ids=["map", "region", "reco", "one log bin", "one linear bin", "one energy"],
)
def test_psf_maps(tmp_path, geom, energy, kind):
    """The geometry, with edges or centres of energies, and every number; also of one true energy."""
    theirs = peer_psf(geom, energy, kind)
    theirs.write(tmp_path / "theirs.fits")
    ours = gj.PSFMap.read(tmp_path / "theirs.fits")
    assert type(ours).__name__ == kind.__name__
    np.testing.assert_allclose(ours.values, theirs.psf_map.quantity.to_value("sr-1"), rtol=1e-14)
    np.testing.assert_allclose(ours.energy, energy.center.to_value("TeV"), rtol=1e-13)
    np.testing.assert_allclose(ours.energy_edges, energy.edges.to_value("TeV"), rtol=1e-13)
    ours.write(tmp_path / "ours.fits")
    back = irf.PSFMap.read(tmp_path / "ours.fits")
    assert type(back) is type(theirs)
    same_axes(back.psf_map.geom.axes, theirs.psf_map.geom.axes)
    np.testing.assert_allclose(back.psf_map.quantity.to_value("sr-1"), ours.values, rtol=1e-14)
    np.testing.assert_allclose(
        back.exposure_map.quantity.to_value("m2 s"), theirs.exposure_map.quantity.value, rtol=1e-14
    )
    if geom is GRID:
        assert back.psf_map.geom.to_image() == theirs.psf_map.geom.to_image()


def test_gtpsf(tmp_path):
    theirs = peer_psf(
        RegionGeom(None), MapAxis.from_nodes([1e2, 1e3, 1e4], unit="MeV", interp="log", name="energy_true")
    )
    theirs.write(tmp_path / "theirs.fits", format="gtpsf")
    ours = gj.PSFMap.read(tmp_path / "theirs.fits", format="gtpsf")
    ours.write(tmp_path / "ours.fits", format="gtpsf")
    back = irf.PSFMap.read(tmp_path / "ours.fits", format="gtpsf")
    np.testing.assert_allclose(ours.values, theirs.psf_map.quantity.to_value("sr-1"), rtol=1e-14)
    np.testing.assert_allclose(ours.energy, [1e-4, 1e-3, 1e-2], rtol=1e-14)
    theirs = irf.PSFMap.read(tmp_path / "theirs.fits", format="gtpsf")
    for name in ("psf_map", "exposure_map"):
        one, two = getattr(back, name), getattr(theirs, name)
        np.testing.assert_allclose(one.quantity.to_value(two.unit), two.quantity.value, rtol=1e-14)
    same_axes(back.psf_map.geom.axes, theirs.psf_map.geom.axes)


@pytest.mark.parametrize("geom", [GRID, RegionGeom(None)])
@pytest.mark.parametrize("migra", [True, False])
def test_energy_dispersions(tmp_path, geom, migra):
    first = MIGRA if migra else ENERGY
    kind = irf.EDispMap if migra else irf.EDispKernelMap
    # of less than all events
    theirs = kind(filled(geom.to_cube([first, TRUE])) / 8, filled(geom.to_cube([first.squash(), TRUE]), "m2 s", 1))
    theirs.write(tmp_path / "theirs.fits")
    ours = (gj.EDispMap if migra else gj.EDispKernelMap).read(tmp_path / "theirs.fits")
    assert type(ours).__name__ == kind.__name__
    np.testing.assert_array_equal(ours.values, theirs.edisp_map.data)
    np.testing.assert_allclose(ours.energy_true_edges, TRUE.edges.to_value("TeV"), rtol=1e-14)
    np.testing.assert_allclose(ours.migra_edges if migra else ours.energy_edges, first.edges.value, rtol=1e-14)
    ours.write(tmp_path / "ours.fits")
    back = kind.read(tmp_path / "ours.fits")
    assert type(back) is kind
    same_axes(back.edisp_map.geom.axes, theirs.edisp_map.geom.axes)
    np.testing.assert_array_equal(back.edisp_map.data, theirs.edisp_map.data)
    exposure = back.exposure_map.quantity.to_value("m2 s")
    np.testing.assert_allclose(exposure, theirs.exposure_map.quantity.value, rtol=1e-14)


@pytest.mark.parametrize("format", ["ogip", "ogip-sherpa"])
def test_matrices(tmp_path, format):
    theirs = irf.EDispKernel.from_gauss(TRUE, ENERGY, 0.15, 0.0)
    theirs.write(tmp_path / "theirs.fits", format=format)
    ours = gj.EDispKernel.read(tmp_path / "theirs.fits")
    # it writes four bytes a number
    np.testing.assert_allclose(ours.matrix, theirs.pdf_matrix, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(ours.energy_true_edges, TRUE.edges.to_value("TeV"), rtol=1e-6)
    ours.write(tmp_path / "ours.fits", format=format)
    back = irf.EDispKernel.read(tmp_path / "ours.fits")
    np.testing.assert_array_equal(back.pdf_matrix, ours.matrix)
    np.testing.assert_allclose(back.axes["energy"].edges.to_value("TeV"), ours.energy_edges, rtol=1e-14)


@pytest.mark.parametrize("margin", [0, 2])
def test_gtdrm(tmp_path, margin):
    """A file as the Fermi-LAT tool makes it, which gammapy cannot write: both read the same out of it."""
    n_true, n_reco = 9, 9 - 2 * margin
    edges, matrix = np.geomspace(50, 5e4, n_true + 1), np.random.default_rng(1).uniform(size=(n_true, n_reco)) / n_reco
    inner = edges[margin : edges.size - margin] * 1e3
    drm = [
        fits.Column("ENERG_LO", "D", "MeV", array=edges[:-1]),
        fits.Column("ENERG_HI", "D", "MeV", array=edges[1:]),
        fits.Column("N_GRP", "I", array=np.ones(n_true)),
        fits.Column("F_CHAN", "I", array=np.ones(n_true)),
        fits.Column("N_CHAN", "I", array=np.full(n_true, n_reco)),
        fits.Column("MATRIX", f"{n_reco}D", array=matrix),
    ]
    bounds = [fits.Column(n, "D", "keV", array=a) for n, a in (("E_MIN", inner[:-1]), ("E_MAX", inner[1:]))]
    tables = [fits.BinTableHDU.from_columns(c, name=n) for c, n in ((drm, "DRM"), (bounds, "EBOUNDS"))]
    tables[0].header["DETCHANS"] = n_reco
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(tmp_path / "drm.fits")
    ours = gj.EDispKernelMap.read(tmp_path / "drm.fits", format="gtdrm")
    theirs = irf.EDispKernelMap.read(tmp_path / "drm.fits", format="gtdrm").edisp_map
    np.testing.assert_allclose(ours.values, theirs.data, rtol=1e-6)
    for edges, name in ((ours.energy_edges, "energy"), (ours.energy_true_edges, "energy_true")):
        np.testing.assert_allclose(edges, theirs.geom.axes[name].edges.to_value("TeV"), rtol=1e-12)


def test_effective_areas(tmp_path):
    theirs = RegionNDMap.create(region=None, axes=[TRUE], unit="m2")
    theirs.data[:, 0, 0] = np.geomspace(1, 1e5, 6)
    theirs.write(tmp_path / "theirs.fits", format="ogip-arf")
    edges, area = gj.read_arf(tmp_path / "theirs.fits")
    np.testing.assert_allclose(area.to_value("m2"), theirs.data[:, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(edges.to_value("TeV"), TRUE.edges.to_value("TeV"), rtol=1e-6)
    gj.write_arf(tmp_path / "ours.fits", edges, area)
    back = RegionNDMap.read(tmp_path / "ours.fits", format="ogip-arf")
    np.testing.assert_allclose(back.quantity[:, 0, 0].to_value("cm2"), area.value, rtol=1e-14)
    np.testing.assert_allclose(back.geom.axes[0].edges.to_value("TeV"), edges.value, rtol=1e-14)


def test_psf_kernels(tmp_path):
    geom = GRID.to_cube([TRUE])
    theirs = irf.PSFKernel.from_gauss(geom, 0.3 * u.deg)
    theirs.write(tmp_path / "theirs.fits")
    ours = gj.PSFKernel.read(tmp_path / "theirs.fits")
    np.testing.assert_allclose(ours.values, theirs.data, rtol=1e-6)
    for keepdims in (True, False):
        image = theirs.to_image(keepdims=keepdims)
        image.write(tmp_path / "image.fits", overwrite=True)
        found = gj.PSFKernel.read(tmp_path / "image.fits").values
        np.testing.assert_allclose(found, np.reshape(image.data, (1, *theirs.data.shape[1:])), rtol=1e-6)
    wcs = gj.SkyGeom.from_wcs(GRID.wcs, GRID.data_shape)
    ours.write(tmp_path / "ours.fits", wcs, TRUE.edges)
    back = irf.PSFKernel.read(tmp_path / "ours.fits")
    np.testing.assert_allclose(back.data, ours.values, rtol=1e-14)
    kernel, own = back.psf_kernel_map.geom, theirs.psf_kernel_map.geom
    assert kernel.data_shape == own.data_shape and kernel.center_skydir.separation(GRID.center_skydir).arcsec < 1e-6
    np.testing.assert_allclose(kernel.pixel_scales.deg, own.pixel_scales.deg, rtol=1e-9)


def test_counts_cubes(tmp_path):
    dataset = cases.known()
    dataset.write(tmp_path / "ours.fits", format="fgst-ccube")
    theirs = Map.read(tmp_path / "ours.fits")
    np.testing.assert_array_equal(theirs.data, dataset.counts)
    np.testing.assert_allclose(theirs.geom.axes["energy"].edges.to_value("TeV"), dataset.energy_edges, rtol=1e-14)
    theirs.write(tmp_path / "theirs.fits", format="fgst-ccube")
    back = gj.MapDataset.read(tmp_path / "theirs.fits")
    np.testing.assert_array_equal(back.counts, dataset.counts)
    np.testing.assert_allclose(back.energy_edges, dataset.energy_edges, rtol=1e-14)
    assert back.geom.is_same(dataset.geom)
