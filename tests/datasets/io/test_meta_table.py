"""The table of observations in files of spectra."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

import gammajax as gj
from gammajax.datasets import InputError, Meta
from gammajax.datasets.io import FitsTable, meta_table_hdus, read_meta_table


def read(columns):
    return read_meta_table(FitsTable(fits.table_to_hdu(Table(columns)), "table"))


def test_one_observation():
    entries = {"OBS_ID": 5, "TELESCOP": "HESS", "RA_PNT": 1.5 * u.deg, "OK": True, "LIVE": 2.5}
    (hdu,) = meta_table_hdus(Meta(entries | {"name": "not a column"}))
    assert hdu.name == "META_TABLE" and len(hdu.data) == 1
    found = read_meta_table(FitsTable(hdu, "table"))
    assert found == entries and type(found["OBS_ID"]) is int
    assert meta_table_hdus(Meta({"name": "only"})) == []


def test_several_observations():
    """One row of arrays, or several rows: kept whole; entries are what is equal in all."""
    columns = {"OBS_ID": [[5, 6]], "TELESCOP": [["HESS", "HESS"]], "RA_PNT": [[1.0, 2.0]] * u.deg}
    rows = {name: value[0] for name, value in columns.items()}
    for table in (columns, rows):
        found = read(table)
        assert set(found) == {"meta_table", "TELESCOP"} and found["TELESCOP"] == "HESS"
        (hdu,) = meta_table_hdus(Meta(found))
        np.testing.assert_array_equal(np.ravel(hdu.data["OBS_ID"]), [5, 6])
        assert hdu.columns["RA_PNT"].unit == "deg"
    # nothing is said of empty tables and of columns that are no plain values
    assert set(read({"OBS_ID": np.zeros((0,), int)})) == {"meta_table"}
    assert set(read({"Z": [1j]})) == {"meta_table"}


def test_what_is_no_value():
    with pytest.raises(InputError, match=r"meta of the dataset: OBS_ID is \[1, 2\], expected a number, text"):
        meta_table_hdus(Meta({"OBS_ID": [1, 2]}))
    (hdu,) = meta_table_hdus(Meta({"OBS_ID": np.int64(7)}))
    assert hdu.data["OBS_ID"][0] == 7


@pytest.mark.parametrize("kind", ["SpectrumDataset", "SpectrumDatasetOnOff"])
def test_sums_of_spectra_keep_their_observations(kind, tmp_path):
    one = getattr(gj, kind)([1, 2, 4], counts=[1, 2], exposure=[1e9, 1e9])
    one = one.replace(background=[0.1, 0.1]) if kind == "SpectrumDataset" else one.replace(counts_off=[3, 4])
    runs = [one.replace(meta=Meta({"OBS_ID": i, "TELESCOP": "HESS"})) for i in (5, 66)]
    s = gj.stack(runs)
    s.write(tmp_path / "sum.fits", **({} if kind == "SpectrumDataset" else {"format": "gadf"}))
    back = getattr(gj, kind).read(tmp_path / "sum.fits")
    for meta in (s.meta, back.meta):
        columns = {c["name"]: c["array"][0].tolist() for c in meta["meta_table"]["columns"]}
        assert columns == {"OBS_ID": [5, 66], "TELESCOP": ["HESS", "HESS"]}
        assert meta["TELESCOP"] == "HESS" and "OBS_ID" not in meta
    more = back.stack(runs[0]).meta["meta_table"]["columns"]
    assert [c["array"][0].tolist() for c in more if c["name"] == "OBS_ID"] == [[5, 66, 5]]
