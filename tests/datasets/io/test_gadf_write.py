"""Map datasets written in gammapy's GADF form, and what comes back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.io import fits
from cases import gadf_maps as cases

from gammajax.datasets import InputError, Meta
from gammajax.datasets.irf import EDispKernel, PSFKernel, RecoPSFMap
from gammajax.datasets.map import MapDataset, MapDatasetOnOff
from gammajax.datasets.sky import SkyGeom

EDGES, TRUE, SHAPE = cases.EDGES, cases.TRUE, cases.SHAPE
assert_equal, edit, known, on_off = cases.assert_equal, cases.edit, cases.known, cases.on_off


MAKERS = pytest.mark.parametrize("make", [known, on_off])


def round_trip(dataset, path):
    dataset.write(path)
    return type(dataset).read(path)


@MAKERS
@pytest.mark.parametrize("suffix", ["fits", "fits.gz"])
def test_round_trip(tmp_path, make, suffix):
    dataset = make()
    back = round_trip(dataset, tmp_path / f"a.{suffix}")
    assert_equal(dataset, back)
    assert dict(back.meta._data) == dict(dataset.meta._data)
    # responses of one file share their geometry, which saves memory and programs
    assert back.psf.geom is back.edisp.geom


@MAKERS
@pytest.mark.parametrize("psf", [
    None,
    cases.psf_map(exposure=False),
    cases.psf_map(RecoPSFMap),
    cases.psf_map(geom=None),
    cases.psf_map(energy=np.geomspace(0.2, 50, 9), rad=0.3 * np.linspace(0, 1, 12) ** 2),
], ids=["none", "bare", "reco", "region", "nodes"])  # fmt: skip
@pytest.mark.parametrize(
    "edisp",
    [None, cases.kernel_map(None), cases.migra_map(), cases.migra_map(None)],
    ids=["none", "region", "migra", "migra-region"],
)
def test_round_trip_of_all_kinds_of_responses(tmp_path, make, psf, edisp):
    dataset = make(psf=psf, edisp=edisp)
    assert_equal(dataset, round_trip(dataset, tmp_path / "a.fits"))


@pytest.mark.parametrize("proj", ["TAN", "CAR", "AIT"])
@pytest.mark.parametrize("frame", ["icrs", "galactic"])
def test_round_trip_of_geometries(tmp_path, proj, frame):
    geom = SkyGeom.create((184.5, -5.8), binsz=(0.1, 0.2), npix=(6, 5), proj=proj, frame=frame)
    back = round_trip(known(geom=geom), tmp_path / "a.fits")
    assert back.geom.frame == frame and back.geom.is_same(geom)
    x, y = geom.pixel_grid
    np.testing.assert_allclose(back.geom.pixel_to_vector(x, y), geom.pixel_to_vector(x, y), atol=1e-15)


def test_round_trip_without_optional_parts(tmp_path):
    dataset = MapDataset(cases.GEOM, EDGES, counts=np.ones(SHAPE))
    back = round_trip(dataset, tmp_path / "a.fits")
    assert_equal(dataset, back)
    assert len(back.meta) == 0 and np.isnan(back.livetime)
    with fits.open(tmp_path / "a.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "COUNTS", "COUNTS_BANDS"]


def test_a_dataset_that_waits_for_its_counts(tmp_path):
    plan = known(counts=None, background=None, mask_safe=None, mask_fit=None)
    back = round_trip(plan, tmp_path / "a.fits")
    assert back.counts is None and back.background is None and back.mask_safe.all()
    assert_equal(plan.replace(mask_safe=np.ones(SHAPE, bool)), back)


def test_a_matrix_for_all_positions_is_written_as_a_map(tmp_path):
    kernel = EDispKernel.from_gauss(TRUE, EDGES, 0.2)
    back = round_trip(known(edisp=kernel), tmp_path / "a.fits")
    assert back.edisp.geom is None
    np.testing.assert_array_equal(back.edisp.values[..., 0, 0], kernel.matrix)


def test_datasets_of_jax_arrays_are_written_too(tmp_path):
    dataset = on_off(edisp=cases.migra_map())
    jax.tree.map(jnp.asarray, dataset).write(tmp_path / "a.fits")
    assert_equal(dataset, MapDatasetOnOff.read(tmp_path / "a.fits"))


@MAKERS
def test_hdus_are_gammapys(tmp_path, make):
    make().write(tmp_path / "a.fits")
    before = ["COUNTS", "EXPOSURE", *(["BACKGROUND"] if make is known else [])]
    maps = [*before, "EDISP", "EDISP_EXPOSURE", "PSF", "PSF_EXPOSURE", "MASK_SAFE", "MASK_FIT"]
    off = ["COUNTS_OFF", "ACCEPTANCE", "ACCEPTANCE_OFF"] if make is on_off else []
    with fits.open(tmp_path / "a.fits", checksum=True) as hdus:
        hdus.verify("exception")
        names = [f"{name}{end}" for name in maps for end in ("", "_BANDS")]
        names += ["GTI", "META_TABLE", *(f"{name}{end}" for name in off for end in ("", "_BANDS"))]
        assert [hdu.name for hdu in hdus] == ["PRIMARY", *names]
        assert hdus[0].header["NAME"] == "run 1"
        header = hdus["EDISP"].header
        assert (header["AXCOLS1"], header["INTERP1"]) == ("E_MIN,E_MAX", "log")
        assert (header["AXCOLS2"], header["INTERP2"]) == ("ENERGY_TRUE_MIN,ENERGY_TRUE_MAX", "log")
        assert header["WCSSHAPE"] == "(3,2,3,5)" and header["BANDSHDU"] == "EDISP_BANDS"
        assert hdus["PSF"].header["AXCOLS1"] == "RAD_MIN,RAD_MAX" and hdus["PSF"].header["BUNIT"] == "sr-1"
        assert hdus["EXPOSURE"].header["META"] == '{"livetime": "1581.7367 s"}'
        bands = hdus["EDISP_BANDS"].data
        # the reconstructed energy runs fastest
        np.testing.assert_array_equal(bands["E_MIN"], np.tile(EDGES[:-1], 5))
        np.testing.assert_array_equal(bands["ENERGY_TRUE_MAX"], np.repeat(TRUE[1:], 3))
        np.testing.assert_array_equal(bands["CHANNEL"], np.arange(15))
        assert hdus["EDISP_BANDS"].columns["E_MIN"].unit == "TeV"


def test_numbers_are_stored_small_and_exactly(tmp_path):
    counts = np.full(SHAPE, 2.0**24)
    path = tmp_path / "a.fits"
    known(counts=counts).write(path)
    assert fits.getheader(path, "COUNTS")["BITPIX"] == -32
    assert fits.getheader(path, "MASK_SAFE")["BITPIX"] == 8
    assert fits.getheader(path, "EXPOSURE")["BITPIX"] == -64
    counts[1, 2, 3] += 1
    known(counts=counts).write(path, overwrite=True)
    np.testing.assert_array_equal(MapDataset.read(path).counts, counts)


def test_existing_files_are_kept(tmp_path):
    path = tmp_path / "a.fits"
    path.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"a\.fits: the file exists already"):
        known().write(path)
    with pytest.raises(InputError, match=r"a\.fits: the dataset has a PSFKernel, for which the GADF form has no place"):
        known(psf=PSFKernel.from_gauss(cases.GEOM, TRUE, 0.1)).write(path, overwrite=True)
    with pytest.raises(InputError, match=r"a\.fits: meta of the dataset: OBS_IDS is \[1, 2\], expected a number"):
        known(meta=Meta({"OBS_IDS": [1, 2]})).write(path, overwrite=True)
    assert path.read_bytes() == b"mine" and [p.name for p in tmp_path.iterdir()] == ["a.fits"]


def test_descriptions_survive(tmp_path):
    """Cards of the primary HDU, tables of several observations, regions of responses, META of the exposure."""

    def change(hdus):
        hdus[0].header["OBSERVER"] = "me"
        hdus["EXPOSURE"].header["META"] = '{"livetime": "0.5 h", "is_pointlike": "False"}'
        columns = [fits.Column("OBS_ID", "K", array=[1, 2]), fits.Column("ZTOP", "D", "deg", array=[3.5, 4.5])]
        index = [hdu.name for hdu in hdus].index("META_TABLE")
        hdus[index] = fits.BinTableHDU.from_columns(columns, name="META_TABLE")
        shape = [fits.Column("SHAPE", "6A", array=["circle"]), fits.Column("X", "D", "pixel", array=[1.5])]
        hdus.append(fits.BinTableHDU.from_columns(shape, name="PSF_REGION"))

    path = tmp_path / "a.fits"
    known(psf=cases.psf_map(geom=None)).write(path)
    edit(path, change)
    for _ in range(2):
        back = MapDataset.read(path)
        assert back.livetime == 1800 and back.meta["exposure"] == {"is_pointlike": "False"}
        assert back.meta["primary"] == {"OBSERVER": "me"} and "OBS_ID" not in back.meta
        back.write(path, overwrite=True)
    with fits.open(path) as hdus:
        np.testing.assert_array_equal(hdus["META_TABLE"].data["ZTOP"], [3.5, 4.5])
        assert hdus["META_TABLE"].columns["ZTOP"].unit == "deg"
        assert hdus["PSF_REGION"].data["SHAPE"][0] == "circle"
