"""Quantities of map files: the spellings that are understood, and the flaws that are named."""

import numpy as np
import pytest
from astropy.io import fits
from cases import gadf_maps as cases

from gammajax.datasets import InputError
from gammajax.datasets.map import MapDataset

EDGES, TRUE = cases.EDGES, cases.TRUE
assert_equal, edit, known = cases.assert_equal, cases.edit, cases.known
cards, column, data, remove = cases.cards, cases.column, cases.data, cases.remove
reshape, twice = cases.reshape, cases.twice


@pytest.mark.parametrize("unit", ["m2 s", "m^2 s", "m**2 s", "s m2"])
def test_unit_strings(tmp_path, unit):
    def change(hdus):
        cases.set_cards(hdus, "EXPOSURE", BUNIT=unit)
        cases.set_cards(hdus, "PSF", BUNIT="1 / deg2")
        cases.set_cards(hdus, "COUNTS", BUNIT="counts")
        cases.set_cards(hdus, "BACKGROUND", BUNIT=None)
        cases.scale_column(hdus, "EXPOSURE_BANDS", "ENERGY_TRUE", 1000, "GeV")

    path = tmp_path / "a.fits"
    dataset = known()
    dataset.write(path)
    edit(path, change)
    back = MapDataset.read(path)
    np.testing.assert_allclose(back.exposure, dataset.exposure * 1e4, rtol=1e-15)
    np.testing.assert_allclose(back.psf.values, dataset.psf.values * (180 / np.pi) ** 2, rtol=1e-14)
    np.testing.assert_array_equal(back.counts, dataset.counts)
    np.testing.assert_allclose(back.energy_true_edges, TRUE, rtol=1e-15)


def test_axis_names_of_others(tmp_path):
    def change(hdus):
        # early versions: energy for true energy in the exposure
        cases.rename_axis(hdus, "EXPOSURE", "ENERGY_TRUE", "ENERGY")
        for name in ("PSF", "PSF_EXPOSURE"):
            cases.rename_axis(hdus, name, "RAD", "THETA")
            cases.scale_column(hdus, f"{name}_BANDS", "THETA", np.pi / 180, "rad")
        hdus["MASK_SAFE"].data = hdus["MASK_SAFE"].data.astype(np.int64)

    path = tmp_path / "a.fits"
    dataset = known()
    dataset.write(path)
    edit(path, change)
    with fits.open(path) as hdus:
        assert hdus["PSF"].header["AXCOLS1"] == "THETA_MIN,THETA_MAX"
        assert hdus["EXPOSURE_BANDS"].columns.names[1] == "ENERGY"
    back = MapDataset.read(path)
    np.testing.assert_array_equal(back.exposure, dataset.exposure)
    np.testing.assert_array_equal(back.energy_true_edges, TRUE)
    np.testing.assert_array_equal(back.mask_safe, dataset.mask_safe)
    np.testing.assert_allclose(back.psf.rad, dataset.psf.rad, rtol=1e-14)
    np.testing.assert_allclose(back.psf.rad_edges, cases.RAD, rtol=1e-14, atol=1e-17)


def test_exposure_at_nodes_gets_edges_between_them(tmp_path):
    nodes = np.array([0.4, 1.0, 3.0, 8.0, 20.0])

    def change(hdus):
        for name in ("EXPOSURE", "EXPOSURE_BANDS"):
            cases.set_cards(hdus, name, AXCOLS1="ENERGY_TRUE")
        hdus["EXPOSURE_BANDS"].data["ENERGY_TRUE"] = nodes

    path = tmp_path / "a.fits"
    known(edisp=None).write(path)
    edit(path, change)
    edges = MapDataset.read(path).energy_true_edges
    np.testing.assert_allclose(edges[1:-1], np.sqrt(nodes[1:] * nodes[:-1]), rtol=1e-14)
    np.testing.assert_allclose(edges[[0, -1]], [0.4 * np.sqrt(0.4), 20 * np.sqrt(2.5)], rtol=1e-14)


def test_axes_in_another_order(tmp_path):
    def change(hdus):
        for name in ("EDISP", "PSF"):
            hdu, bands = hdus[name], hdus[f"{name}_BANDS"]
            hdu.data = np.swapaxes(hdu.data, 0, 1).copy()
            for header in (hdu.header, bands.header):
                header["AXCOLS1"], header["AXCOLS2"] = header["AXCOLS2"], header["AXCOLS1"]
                header["INTERP1"], header["INTERP2"] = header["INTERP2"], header["INTERP1"]

    path = tmp_path / "a.fits"
    dataset = known()
    dataset.write(path)
    edit(path, change)
    assert_equal(dataset, MapDataset.read(path))


def test_irf_exposure_without_the_axis_of_one_bin(tmp_path):
    def change(hdus):
        hdus["PSF_EXPOSURE"].data = hdus["PSF_EXPOSURE"].data[:, 0].copy()
        for name in ("PSF_EXPOSURE", "PSF_EXPOSURE_BANDS"):
            header = hdus[name].header
            cases.set_cards(hdus, name, AXCOLS1=header["AXCOLS2"], INTERP1="log", AXCOLS2=None, INTERP2=None)

    path = tmp_path / "a.fits"
    dataset = known()
    dataset.write(path)
    edit(path, change)
    assert_equal(dataset, MapDataset.read(path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (data("COUNTS", (1, 2, 3), np.nan), r"\[COUNTS\]: values must be finite and .*, found nan at \[1, 2, 3\]"),
        (data("COUNTS", (0, 0, 0), -1), r"\[COUNTS\].*found -1\.0.*1 bad of 90.*MASK_SAFE"),
        (data("BACKGROUND", (0, 0, 0), np.inf), r"\[BACKGROUND\].*found inf"),
        (data("EXPOSURE", (0, 0, 0), np.nan), r"\[EXPOSURE\].*found nan"),
        (data("EXPOSURE", (4, 0, 0), -3e9), r"\[EXPOSURE\].*found -3000000000\.0 at \[4, 0, 0\]"),
        (data("PSF", (0, 0, 0, 0), np.nan), r"\[PSF\]: values must be finite, found nan"),
        (data("EDISP", (0, 0, 0, 0), np.inf), r"\[EDISP\]: values must be finite and not negative, found inf"),
        (data("EDISP", (0, 0, 0, 0), -0.1), r"\[EDISP\].*not negative, found -0\.1"),
        (data("PSF_EXPOSURE", (0, 0, 0, 0), -1e9), r"\[PSF_EXPOSURE\].*found -1000000000\.0"),
        (data("MASK_SAFE", (0, 0, 0), 0.25, float), r"\[MASK_SAFE\]: a mask holds 0 and 1, found 0\.25"),
        (data("MASK_FIT", (0, 0, 0), np.nan, float), r"\[MASK_FIT\]: a mask holds 0 and 1, found nan"),
        (remove("COUNTS_BANDS"), r"\[COUNTS\]: the HDU COUNTS_BANDS, which describes the axes, is missing"),
        (remove("PSF_EXPOSURE_BANDS"), r"\[PSF_EXPOSURE\]: the HDU PSF_EXPOSURE_BANDS"),
        (twice("COUNTS"), r"there are 2 HDUs COUNTS"),
        (twice("COUNTS_BANDS"), r"there are 2 HDUs COUNTS_BANDS"),
        (reshape("COUNTS", np.ones((4, 5, 6))), r"\[COUNTS\]: .* shape \(4, 5, 6\), expected \(3,\) and two sky"),
        (reshape("COUNTS", np.ones((5, 6))), r"\[COUNTS\]: the image has shape \(5, 6\)"),
        (reshape("COUNTS", None), r"\[COUNTS\]: the HDU holds no image"),
        (reshape("PSF", np.ones((5, 6, 2, 3))), r"\[PSF\]: the image has shape \(5, 6, 2, 3\), expected \(5, 7\)"),
        (reshape("BACKGROUND", np.ones((3, 5, 7))), r"\[BACKGROUND\]: found 7 x 5 .*pixels of COUNTS: 6 x 5"),
        (cards("BACKGROUND", CRVAL1=83.7), r"\[BACKGROUND\]: found 6 x 5 pixels TAN.*RA 83\.7.*RA 83\.6.*Reproject"),
        (cards("EXPOSURE", CDELT1=-0.2), r"\[EXPOSURE\]: found 6 x 5 pixels"),
        (cards("PSF_EXPOSURE", CRPIX1=1.0), r"\[PSF_EXPOSURE\]: found shape \(5, 1, 2, 3\).*pixels of the map"),
        (cards("COUNTS", CTYPE1="RA---XYZ", CTYPE2="DEC--XYZ"), r"\[COUNTS\].*projection"),
        (cards("COUNTS", CTYPE1=None, CTYPE2=None), r"\[COUNTS\]"),
        (cards("EXPOSURE", BUNIT="TeV"), r"\[EXPOSURE\]: the unit is 'TeV', expected one convertible to 'cm2 s'"),
        (cards("EXPOSURE", BUNIT=""), r"\[EXPOSURE\]: the unit is 'none'"),
        (cards("PSF", BUNIT="bananas"), r"\[PSF\]: the unit is 'bananas', expected one convertible to 'sr-1'"),
        (cards("COUNTS", BUNIT="s"), r"\[COUNTS\]: the unit is 's', expected one convertible to ''"),
        (cards("EXPOSURE", META="{livetime"), r"\[EXPOSURE\]: META is not JSON"),
        (cards("EXPOSURE", META='{"livetime": "12 m"}'), r"\[EXPOSURE\]: livetime in META is '12 m', expected a time"),
        (cards("EXPOSURE", META='{"livetime": "nan s"}'), r"\[EXPOSURE\]: livetime in META is 'nan s'.* finite"),
        (cards("COUNTS_BANDS", AXCOLS1="E_MIN,E_MAX,ENERGY"), r"\[COUNTS_BANDS\]: AXCOLS1 is 'E_MIN,E_MAX,ENERGY'"),
        (cards("COUNTS_BANDS", AXCOLS1="RAD_MIN,RAD_MAX"), r"\[COUNTS_BANDS\]: the column RAD_MIN is missing"),
        (cards("COUNTS_BANDS", INTERP1="cubic"), r"\[COUNTS_BANDS\]: MapAxis 'energy': interp is 'cubic'"),
        (cards("EXPOSURE_BANDS", TUNIT3="deg"), r"\[EXPOSURE_BANDS\]: unit of ENERGY_TRUE_MIN: found 'deg'"),
        (column("COUNTS_BANDS", "E_MIN", 1.0), r"\[COUNTS_BANDS\]: found 1 different values of E_MIN and 3 of E_MAX"),
        (column("COUNTS_BANDS", "E_MIN", EDGES[:-1] * 1.1), r"\[COUNTS_BANDS\]: bins must join, but E_MAX of bin 0 is"),
        (cases.backwards, r"\[COUNTS_BANDS\]: bins must join"),
        (column("BACKGROUND_BANDS", "E_MAX", [*EDGES[1:-1], 31.0]), r"of COUNTS and BACKGROUND: edge 3 is 30 TeV"),
        (cards("PSF", AXCOLS2=None), None),
        (cases.no_data, r"\[COUNTS\]: a table with the columns OBS_ID, .* HEALPix and sparse maps"),
    ],
)  # fmt: skip
def test_bad_files(tmp_path, change, message):
    path = tmp_path / "a.fits"
    known().write(path)
    edit(path, change)
    if message is None:
        # the cards of the image only repeat those of the BANDS
        assert_equal(known(), MapDataset.read(path))
        return
    with pytest.raises(InputError, match=rf"(?s)a\.fits.*{message}"):
        MapDataset.read(path)
