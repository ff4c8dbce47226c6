"""Map datasets read whole: parts that do not fit together, and real files."""

import numpy as np
import pytest
from astropy.io import fits
from cases import gadf_maps as cases

from gammajax.datasets import InputError
from gammajax.datasets.irf import EDispKernelMap, PSFMap
from gammajax.datasets.map import MapDataset, MapDatasetOnOff

pytestmark = pytest.mark.slow

EDGES, TRUE = cases.EDGES, cases.TRUE
assert_equal, edit, known, on_off = cases.assert_equal, cases.edit, cases.known, cases.on_off
cards, column = cases.cards, cases.column


@pytest.mark.parametrize(
    ("edisp", "change", "message"),
    [
        ("kernel", column("EDISP_BANDS", "E_MAX", np.tile([*EDGES[1:-1], 33.0], 5)), "of COUNTS and EDISP: edge 3"),
        ("kernel", column("EXPOSURE_BANDS", "ENERGY_TRUE_MAX", [*TRUE[1:-1], 45]), "true energies of EXPOSURE and E"),
        ("migra", column("EXPOSURE_BANDS", "ENERGY_TRUE_MAX", [*TRUE[1:-1], 45]), "true energies of EXPOSURE and E"),
        ("migra", cards("EDISP_BANDS", AXCOLS1="MIGRA_MIN"), r"\[EDISP\]: the axes are \['migra_min',"),
    ],
)  # fmt: skip
def test_responses_that_do_not_fit(tmp_path, edisp, change, message):
    path = tmp_path / "a.fits"
    known(edisp=cases.migra_map() if edisp == "migra" else cases.kernel_map()).write(path)
    edit(path, change)
    with pytest.raises(InputError, match=rf"(?s)a\.fits.*{message}"):
        MapDataset.read(path)


def test_no_maps_at_all(tmp_path):
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones((2, 2)), name="SKYMAP")]).writeto(tmp_path / "a.fits")
    with pytest.raises(InputError, match=r"a\.fits: none of the HDUs COUNTS, .* only PRIMARY, SKYMAP"):
        MapDataset.read(tmp_path / "a.fits")
    with pytest.raises(InputError, match=r"b\.fits: the file was not found"):
        MapDataset.read(tmp_path / "b.fits")


@pytest.mark.parametrize("suffix", ["fits", "fits.gz"])
def test_cut_files(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    known().write(path)
    whole = path.read_bytes()
    # in a header, in the data, in the last block, after a whole HDU's header, nearly nothing left
    for cut in (len(whole) // 3, len(whole) // 2, len(whole) - 1, 2880 * 3, 100, 2):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"a\.fits"):
            MapDataset.read(path)


def test_acceptances_outside_the_safe_mask(tmp_path):
    def change(hdus):
        for name, value in (("ACCEPTANCE", 0), ("ACCEPTANCE_OFF", np.nan), ("COUNTS_OFF", np.nan)):
            data = hdus[name].data.astype(float)
            data[0, 0, 0] = value
            hdus[name].data = data

    path = tmp_path / "a.fits"
    safe = np.ones(cases.SHAPE, bool)
    safe[0, 0, 0] = False
    on_off(mask_safe=safe).write(path)
    edit(path, change)
    back = MapDatasetOnOff.read(path)
    assert back.acceptance[0, 0, 0] == back.acceptance_off[0, 0, 0] == back.counts_off[0, 0, 0] == 0
    on_off(mask_safe=None).write(path, overwrite=True)
    edit(path, change)
    with pytest.raises(InputError, match=r"a\.fits\[COUNTS_OFF\]: values must be finite .*, found nan at \[0, 0, 0\]"):
        MapDatasetOnOff.read(path)
    # an acceptance of 0 says that nothing was measured: the fit is to refuse it, not the file
    on_off(mask_safe=None).write(path, overwrite=True)
    edit(path, cases.data("ACCEPTANCE_OFF", (0, 0, 0), 0.0))
    back = MapDatasetOnOff.read(path)
    assert back.alpha[0, 0, 0] == 0 < back.alpha.max()


def test_hess_maps(data_path):
    for path in sorted((data_path / "hess-crab" / "maps").glob("obs_*.fits.gz")):
        dataset = MapDataset.read(path)
        with fits.open(path) as hdus:
            np.testing.assert_array_equal(dataset.counts, hdus["COUNTS"].data)
            np.testing.assert_array_equal(dataset.background, hdus["BACKGROUND"].data)
            np.testing.assert_array_equal(dataset.exposure, hdus["EXPOSURE"].data * 1e4)
            np.testing.assert_array_equal(dataset.mask_safe, hdus["MASK_SAFE"].data == 1)
            np.testing.assert_allclose(dataset.psf.values, hdus["PSF"].data * (180 / np.pi) ** 2, rtol=1e-15)
            np.testing.assert_array_equal(dataset.edisp.values, hdus["EDISP"].data)
            np.testing.assert_array_equal(dataset.edisp.exposure, hdus["EDISP_EXPOSURE"].data[:, 0] * 1e4)
            bands = hdus["PSF_BANDS"].data
            np.testing.assert_allclose(dataset.psf.rad, np.unique(bands["RAD"]), rtol=1e-14)
            np.testing.assert_allclose(dataset.psf.energy, np.unique(bands["ENERGY_TRUE"]), rtol=1e-14)
        assert dataset.geom.shape == (60, 60) and dataset.geom.frame == "icrs" and dataset.mask_fit is None
        assert dataset.data_shape == (16, 60, 60) and dataset.n_true == 27
        assert dataset.meta["name"] == path.name[:9] == f"obs_{dataset.meta['OBS_ID']}"
        assert dataset.meta["RA_PNT"].unit == "deg" and 1570 < dataset.livetime < 1585
        assert 1600 < dataset.gti.ontime.to_value("s") < 1800


def test_stacked_maps(data_path):
    dataset = MapDataset.read(data_path / "hess-crab" / "stacked_maps.fits.gz")
    runs = [MapDataset.read(p) for p in sorted((data_path / "hess-crab" / "maps").glob("obs_*.fits.gz"))]
    assert dataset.livetime == pytest.approx(sum(float(run.livetime) for run in runs), rel=1e-12)
    assert len(dataset.gti.start) == 4 and dataset.counts.sum() == sum(run.counts[run.mask_safe].sum() for run in runs)
    # times in the file are UTC, those of the runs TT
    start = sorted(run.gti.time_start[0].mjd for run in runs)
    np.testing.assert_allclose(dataset.gti.time_start.mjd, start, rtol=0, atol=1e-10)


def test_fermi_maps(data_path):
    """Coarse responses: kernels on 20 x 25 pixels, a PSF on two pixels of the whole sky at nodes in rad and GeV."""
    path = data_path / "fermi-3fhl-crab" / "Fermi-LAT-3FHL_data_Fermi-LAT.fits"
    dataset = MapDataset.read(path)
    assert dataset.geom.frame == "galactic" and dataset.geom.projection == "CAR" and dataset.geom.shape == (40, 50)
    assert dataset.psf.geom.shape == (1, 2) and dataset.edisp.geom.shape == (20, 25)
    assert isinstance(dataset.edisp, EDispKernelMap) and type(dataset.psf) is PSFMap
    with fits.open(path) as hdus:
        theta = hdus["PSF_BANDS"].data["THETA"][:300].astype(float)
        energy = np.unique(hdus["PSF_BANDS"].data["ENERGY_TRUE"]).astype(float)
        np.testing.assert_allclose(dataset.psf.rad, np.degrees(theta), rtol=1e-14)
        np.testing.assert_allclose(dataset.psf.energy, energy / 1000, rtol=1e-14)
        np.testing.assert_array_equal(dataset.psf.values, hdus["PSF"].data)
        np.testing.assert_array_equal(dataset.exposure, hdus["EXPOSURE"].data)
    assert dataset.psf.rad[0] == dataset.psf.rad_edges[0] == 0 and np.all(np.diff(dataset.psf.rad_edges) > 0)
    np.testing.assert_allclose(dataset.energy_edges, np.geomspace(0.01, 2, 6), rtol=1e-6)
    assert len(dataset.gti.start) == 0 and np.isnan(dataset.livetime) and "name" not in dataset.meta


@pytest.mark.parametrize(
    "name",
    [
        "hess-crab/maps/obs_23523.fits.gz",
        "hess-crab/stacked_maps.fits.gz",
        "fermi-3fhl-crab/Fermi-LAT-3FHL_data_Fermi-LAT.fits",
    ],
)
def test_real_files_survive_writing(tmp_path, data_path, name):
    dataset = MapDataset.read(data_path / name)
    dataset.write(tmp_path / "a.fits")
    assert_equal(dataset, MapDataset.read(tmp_path / "a.fits"))
