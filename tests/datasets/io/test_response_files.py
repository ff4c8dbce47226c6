"""Responses in files of their own: every form comes back, and what a form has no place for is named."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from cases import gadf_maps as cases

import gammajax as gj
from gammajax.datasets import InputError

TRUE, EDGES = cases.TRUE, cases.EDGES
ENERGY = np.sqrt(TRUE[1:] * TRUE[:-1])


def assert_same(a, b, rtol=0.0):
    """Every number of two responses; energies to the last digit but one where they are centres of edges."""
    assert type(a) is type(b)
    for name, own in vars(a).items():
        other = getattr(b, name)
        if name == "geom":
            assert (own is None) == (other is None) and (own is None or own.is_same(other))
        elif own is None:
            assert other is None, name
        else:
            exact = name in ("values", "matrix", "exposure")
            np.testing.assert_allclose(other, own, rtol=rtol if exact else 1e-14, atol=1e-16, err_msg=name)


PSFS = {
    "map": cases.psf_map(),
    "bare": cases.psf_map(exposure=False),
    "reco": cases.psf_map(gj.RecoPSFMap),
    "region": cases.psf_map(geom=None),
    "nodes": cases.psf_map(energy=np.array([0.2, 1, 3, 50]), rad=0.3 * np.linspace(0, 1, 12) ** 2),
    "one": gj.PSFMap.from_gauss([1.7], 0.1),
    "edges": gj.PSFMap(None, [1.75], [0.1, 0.2], None, np.ones((1, 2, 1, 1)), energy_edges=[0.5, 3]),
}


@pytest.mark.parametrize("name", PSFS)
@pytest.mark.parametrize("suffix", ["fits", "fits.gz"])
def test_psf_maps(tmp_path, name, suffix):
    path = tmp_path / f"psf.{suffix}"
    PSFS[name].write(path)
    back = gj.PSFMap.read(path)
    assert_same(PSFS[name], back)
    assert (back.reach, back.core) == (PSFS[name].reach, PSFS[name].core)
    with pytest.raises(InputError, match="exists already"):
        PSFS[name].write(path)


def test_one_energy_with_its_edges(tmp_path):
    """In a dataset of one true-energy bin whose centre is another one, edges and energy stay what they were."""
    path = tmp_path / "a.fits"
    bins = {"energy_true_edges": [0.5, 3.0], "exposure": np.ones((1, 5, 6)), "edisp": None}
    for psf in (PSFS["edges"], PSFS["one"]):
        cases.known(psf=psf, **bins).write(path, overwrite=True)
        assert_same(psf, gj.MapDataset.read(path).psf)
    with pytest.raises(InputError, match="found 3 energy_edges for 1 energies, expected one more"):
        gj.PSFMap(None, [1.0], [0.1, 0.2], None, np.ones((1, 2, 1, 1)), energy_edges=[0.5, 1, 3])


def test_an_exposure_of_one_energy(tmp_path):
    """Given by its centre it has no bin: that of the energy dispersion, and an error without."""
    path = tmp_path / "a.fits"
    true, kernel = np.array([0.5, 3.0]), gj.EDispKernel.from_gauss([0.5, 3.0], EDGES, 0.3)
    exposure = np.full((1, 5, 6), 1e10)
    dataset = cases.known(psf=None, energy_true_edges=true, exposure=exposure, edisp=kernel)
    dataset.write(path)
    cases.edit(
        path, lambda hdus: [cases.set_cards(hdus, n, AXCOLS1="ENERGY_TRUE") for n in ("EXPOSURE", "EXPOSURE_BANDS")]
    )
    back = gj.MapDataset.read(path)
    np.testing.assert_array_equal(back.energy_true_edges, true)
    np.testing.assert_array_equal(back.exposure, exposure)
    cases.edit(path, cases.remove("EDISP"))
    with pytest.raises(InputError, match="one centre alone has no bin width"):
        gj.MapDataset.read(path)


def test_the_hdu_of_another_name(tmp_path):
    path = tmp_path / "psf.fits"
    PSFS["map"].write(path)
    cases.edit(path, lambda hdus: [setattr(hdu, "name", hdu.name.replace("PSF", "OTHER")) for hdu in hdus[1:]])
    cases.edit(
        path, lambda hdus: [cases.set_cards(hdus, n, BANDSHDU=f"{n}_BANDS") for n in ("OTHER", "OTHER_EXPOSURE")]
    )
    assert_same(PSFS["map"], gj.PSFMap.read(path, hdu="other"))
    with pytest.raises(InputError, match=r"psf\.fits: the HDU PSF is missing"):
        gj.PSFMap.read(path)


def test_gtpsf(tmp_path):
    """The Fermi-LAT tool's tables, made by hand: MeV, deg, cm2 s, sr-1, and no units in the file."""
    rng = np.random.default_rng(0)
    energy, theta, profile = np.geomspace(1e2, 1e5, 4), np.linspace(0, 30, 7), rng.uniform(size=(4, 7))
    psf = [("Energy", "D", energy), ("Exposure", "D", np.full(4, 1e11)), ("Psf", "7D", profile)]
    tables = [
        fits.BinTableHDU.from_columns([fits.Column(n, f, array=a) for n, f, a in columns], name=name)
        for name, columns in (("PSF", psf), ("THETA", [("Theta", "D", theta)]))
    ]
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(tmp_path / "gtpsf.fits")
    back = gj.PSFMap.read(tmp_path / "gtpsf.fits", format="gtpsf")
    np.testing.assert_allclose(back.energy, energy * 1e-6, rtol=1e-14)
    np.testing.assert_array_equal(back.rad, theta)
    np.testing.assert_array_equal(back.values[..., 0, 0], profile)
    np.testing.assert_array_equal(back.exposure, np.full((4, 1, 1), 1e11))
    back.write(tmp_path / "again.fits", format="gtpsf")
    assert_same(back, gj.PSFMap.read(tmp_path / "again.fits", format="gtpsf"))
    for psf, message in (
        (PSFS["map"], "depends on the position"),
        (cases.psf_map(geom=None, exposure=False), "has no exposure"),
        (cases.psf_map(gj.RecoPSFMap, geom=None), "true energies, and this is a RecoPSFMap"),
    ):
        with pytest.raises(InputError, match=message):
            psf.write(tmp_path / "no.fits", format="gtpsf")
    with pytest.raises(InputError, match=r"format is 'fits', expected one of 'gadf', 'gtpsf' to be read"):
        gj.PSFMap.read(tmp_path / "gtpsf.fits", format="fits")


def gtdrm(path, n_true=6, n_reco=4, bounds=True, groups=False):
    rng = np.random.default_rng(1)
    edges, matrix = np.geomspace(50, 5e4, n_true + 1), rng.uniform(size=(n_true, n_reco)) / n_reco
    columns = [
        fits.Column("ENERG_LO", "D", "MeV", array=edges[:-1]),
        fits.Column("ENERG_HI", "D", "MeV", array=edges[1:]),
        fits.Column("N_GRP", "I", array=np.ones(n_true)),
        fits.Column("F_CHAN", "I", array=np.full(n_true, 2 if groups else 1)),
        fits.Column("N_CHAN", "I", array=np.full(n_true, n_reco - 1 if groups else n_reco)),
        fits.Column("MATRIX", f"{n_reco - groups}D", array=matrix[:, 1:] if groups else matrix),
    ]
    drm = fits.BinTableHDU.from_columns(columns, name="DRM")
    drm.header["DETCHANS"] = n_reco
    inner = edges[1:-1] * 1e3
    columns = [fits.Column(n, "D", "keV", array=a) for n, a in (("E_MIN", inner[:-1]), ("E_MAX", inner[1:]))]
    hdus = [drm, *([fits.BinTableHDU.from_columns(columns, name="EBOUNDS")] if bounds else [])]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    if groups:
        matrix[:, 0] = 0
    return edges, matrix


@pytest.mark.parametrize("bounds", [True, False])
@pytest.mark.parametrize("groups", [True, False])
def test_gtdrm(tmp_path, bounds, groups):
    edges, matrix = gtdrm(tmp_path / "drm.fits", bounds=bounds, groups=groups)
    back = gj.EDispKernel.read(tmp_path / "drm.fits", format="gtdrm")
    np.testing.assert_array_equal(back.matrix, matrix)
    np.testing.assert_allclose(back.energy_true_edges, edges * 1e-6, rtol=1e-14)
    np.testing.assert_allclose(back.energy_edges, edges[1:-1] * 1e-6, rtol=1e-14)
    everywhere = gj.EDispKernelMap.read(tmp_path / "drm.fits", format="gtdrm")
    np.testing.assert_array_equal(everywhere.values[..., 0, 0], matrix)
    with pytest.raises(InputError, match="expected one of 'ogip', 'ogip-sherpa', 'gadf' to be written"):
        back.write(tmp_path / "no.fits", format="gtdrm")


@pytest.mark.parametrize("geom", [cases.COARSE, None])
def test_energy_dispersion_maps(tmp_path, geom):
    kernels, tables = cases.kernel_map(geom), cases.migra_map(geom)
    own = gj.EDispKernelMap(geom, kernels.values, kernels.exposure, TRUE, EDGES)
    own.write(tmp_path / "own.fits")
    kernels.write(tmp_path / "given.fits", energy_true_edges=TRUE, energy_edges=EDGES * 1e3 * u.GeV)
    tables.write(tmp_path / "tables.fits")
    for kind in (gj.EDispKernelMap, gj.EDispMap):
        assert_same(own, kind.read(tmp_path / "own.fits"))
        assert_same(own, kind.read(tmp_path / "given.fits"))
        assert_same(tables, kind.read(tmp_path / "tables.fits"))
    with pytest.raises(
        InputError, match=r"cannot write, found no edges of 5 energy bins. Give energy_true_edges=..., 6"
    ):
        kernels.write(tmp_path / "no.fits")
    with pytest.raises(InputError, match=r"found 2 bins in energy_edges, expected 3, as the matrix has"):
        gj.EDispKernelMap(geom, kernels.values, None, TRUE, EDGES[:-1])


@pytest.mark.parametrize("format", ["ogip", "ogip-sherpa", "gadf"])
def test_matrices(tmp_path, format):
    kernel = gj.EDispKernel.from_gauss(TRUE, EDGES, 0.2)
    kernel.write(tmp_path / "rmf.fits", format=format)
    assert_same(kernel, gj.EDispKernel.read(tmp_path / "rmf.fits"))
    with fits.open(tmp_path / "rmf.fits") as hdus:
        assert hdus["EBOUNDS"].columns["E_MIN"].unit == ("keV" if format == "ogip-sherpa" else "TeV")
    gj.EDispKernel(kernel.matrix).write(tmp_path / "b.fits", energy_true_edges=TRUE, energy_edges=EDGES, format=format)
    assert_same(kernel, gj.EDispKernel.read(tmp_path / "b.fits"))
    with pytest.raises(InputError, match="found no edges of 5 energy bins"):
        gj.EDispKernel(kernel.matrix).write(tmp_path / "no.fits")


def test_kernels_of_other_places_keep_their_energies():
    """What is known of the energies goes with a response through what is made of it, and never to other axes."""
    kernel = gj.EDispKernel.from_gauss(TRUE, EDGES, 0.2)
    np.testing.assert_array_equal(gj.EDispKernelMap.from_kernel(kernel).energy_edges, EDGES)
    tables = cases.migra_map().to_kernel_map(EDGES)
    np.testing.assert_array_equal(tables.energy_true_edges, TRUE)
    spectrum = gj.SpectrumDataset(EDGES, energy_true_edges=TRUE, edisp=kernel, exposure=np.ones(5))
    assert spectrum.slice_by_energy(energy_min=EDGES[1]).edisp.energy_edges is None


@pytest.mark.parametrize("format", ["ogip", "ogip-sherpa"])
def test_effective_areas(tmp_path, format):
    area = np.geomspace(1, 1e3, 5) * u.m**2
    gj.write_arf(tmp_path / "arf.fits", TRUE * u.TeV, area, format=format)
    edges, back = gj.read_arf(tmp_path / "arf.fits")
    np.testing.assert_allclose(edges.to_value("TeV"), TRUE, rtol=1e-14)
    np.testing.assert_allclose(back.to_value("m2"), area.value, rtol=1e-14)
    for bad, message in (
        ([1, 2, 3, 4, -5], r"area: values must be finite and not negative, found -5\.0 in row 4"),
        ([1, 2, 3, 4], r"area has shape \(4,\), expected \(5,\)"),
    ):
        with pytest.raises(InputError, match=message):
            gj.write_arf(tmp_path / "no.fits", TRUE, bad)
    with pytest.raises(InputError, match="format is 'keV', expected one of 'ogip', 'ogip-sherpa'"):
        gj.write_arf(tmp_path / "no.fits", TRUE, area, format="keV")


def test_psf_kernels(tmp_path):
    geom = gj.SkyGeom.create((83.6, 22.0), 0.05, npix=(30, 21))
    kernel = gj.PSFKernel.from_gauss(geom, TRUE, 0.1)
    kernel.write(tmp_path / "kernel.fits", geom, TRUE)
    np.testing.assert_allclose(gj.PSFKernel.read(tmp_path / "kernel.fits").values, kernel.values, atol=1e-16)
    with fits.open(tmp_path / "kernel.fits") as hdus:
        header = hdus["SKYMAP"].header
        n = kernel.values.shape[-1]
    around = gj.SkyGeom.from_header(header, (n, n))
    assert around.center.separation(geom.center).arcsec < 1e-6 and around.pixel_size == geom.pixel_size
    with pytest.raises(InputError, match="the kernel has 5 planes for 3 true-energy bins"):
        kernel.write(tmp_path / "no.fits", geom, EDGES)


def test_counts_cubes(tmp_path):
    """As gtbin makes them: an image in the first HDU, and EBOUNDS in keV, also without saying so."""
    dataset = cases.known()
    dataset.write(tmp_path / "ccube.fits", format="fgst-ccube")
    for unit in ("keV", None):

        def change(hdus, unit=unit):
            for n in (2, 3):
                cases.set_cards(hdus, "EBOUNDS", **{f"TUNIT{n}": unit})

        cases.edit(tmp_path / "ccube.fits", change)
        back = gj.MapDataset.read(tmp_path / "ccube.fits")
        np.testing.assert_array_equal(back.counts, dataset.counts)
        np.testing.assert_allclose(back.energy_edges, dataset.energy_edges, rtol=1e-14)
        assert back.geom.is_same(dataset.geom) and back.background is None and back.exposure is None
    with pytest.raises(InputError, match="there are no counts to write"):
        dataset.replace(counts=None).write(tmp_path / "no.fits", format="fgst-ccube")
    with pytest.raises(InputError, match="format is 'ccube', expected one of 'gadf', 'fgst-ccube'"):
        dataset.write(tmp_path / "no.fits", format="ccube")
    cases.edit(tmp_path / "ccube.fits", cases.reshape("PRIMARY", np.ones((2, 5, 6))))
    with pytest.raises(InputError, match=r"found 2 images, but EBOUNDS has 3 energy bins"):
        gj.MapDataset.read(tmp_path / "ccube.fits")


def test_responses_of_real_files(tmp_path, data_path):
    """H.E.S.S. and Fermi-LAT maps, and spectra of five instruments: read out, written, and read again."""
    maps = ("hess-crab/maps/obs_23523.fits.gz", "fermi-3fhl-crab/Fermi-LAT-3FHL_data_Fermi-LAT.fits")
    for path in (data_path / name for name in maps):
        for kind, name in ((gj.PSFMap, "psf"), (gj.EDispKernelMap, "edisp")):
            response = kind.read(path)
            response.write(tmp_path / f"{name}.fits", overwrite=True)
            assert_same(response, kind.read(tmp_path / f"{name}.fits"))
            np.testing.assert_array_equal(response.values, getattr(gj.MapDataset.read(path), name).values)
    found = sorted((data_path / "joint-crab" / "spectra").glob("*/rmf_*.fits"))
    assert len(found) == 10
    for path in found:
        kernel, area = gj.EDispKernel.read(path), gj.read_arf(path.with_name(path.name.replace("rmf", "arf")))
        np.testing.assert_allclose(kernel.energy_true_edges, area.energy_true_edges.to_value("TeV"), rtol=1e-5)
        run = gj.SpectrumDatasetOnOff.read(path.with_name(path.name.replace("rmf", "pha")))
        np.testing.assert_array_equal(kernel.matrix, run.edisp.matrix)
        np.testing.assert_allclose(area.area.to_value("cm2") * float(run.livetime), run.exposure, rtol=1e-14)
