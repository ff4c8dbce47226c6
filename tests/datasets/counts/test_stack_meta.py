"""Descriptions of sums."""

import astropy.units as u
import numpy as np

import gammajax as gj
from gammajax.datasets import Meta
from gammajax.datasets.counts import join_meta


def columns(meta):
    return {c["name"]: c["array"][0].tolist() for c in meta["meta_table"]["columns"]}


def test_common_entries_and_a_table_of_observations():
    a = Meta({"name": "a", "OBS_ID": 1, "TELESCOP": "HESS", "RA_PNT": 10 * u.deg, "region": {"x": np.ones(2)}, "N": 1})
    b = Meta({"name": "b", "OBS_ID": 22, "TELESCOP": "HESS", "RA_PNT": 600 * u.arcmin, "region": {"x": np.ones(2)}})
    s = join_meta([a, b])
    assert s["TELESCOP"] == "HESS" and "name" not in s and "OBS_ID" not in s and s["region"]["x"].tolist() == [1, 1]
    assert columns(s) == {"OBS_ID": [1, 22], "TELESCOP": ["HESS", "HESS"], "RA_PNT": [10, 10]}
    # in parts, and tables that are there already
    c = Meta({"OBS_ID": 333, "TELESCOP": "MAGIC", "RA_PNT": 1 * u.deg, "region": {"x": np.zeros(2)}})
    both = join_meta([s, c])
    assert columns(both)["OBS_ID"] == [1, 22, 333] and columns(both)["TELESCOP"] == ["HESS", "HESS", "MAGIC"]
    assert "region" not in both and columns(join_meta([c, s]))["RA_PNT"] == [1, 10, 10]


def test_what_cannot_be_joined_is_left_out():
    assert len(join_meta([])) == 0
    own = Meta({"name": "a", "OBS_ID": 1})
    assert join_meta([own]) is own
    s = join_meta([Meta({"OBS_ID": 1, "T": 1 * u.s}), Meta({"OBS_ID": np.array([2, 3]), "T": 1 * u.m})])
    assert columns(s) == {"OBS_ID": [1, 2, 3]} and "T" not in s
    assert len(join_meta([Meta({"A": 1}), Meta({"B": 1})])) == 0
    array = Meta({"OBS_ID": np.array([2, 3])})
    assert "OBS_ID" not in join_meta([array, array])


def test_files_keep_the_table(tmp_path):
    geom = gj.SkyGeom.create((0, 0), 0.1, npix=2)
    meta = {"TELESCOP": "HESS", "RA_PNT": 1.5 * u.deg, "OK": True}
    runs = [
        gj.MapDataset(geom, [1, 2], counts=np.ones((1, 2, 2)), exposure=np.ones((1, 2, 2)), meta=Meta(meta | own))
        for own in ({"OBS_ID": 5, "MODE": "A"}, {"OBS_ID": 6, "MODE": "LONGER"})
    ]
    s = gj.stack(runs)
    s.write(tmp_path / "s.fits")
    back = gj.MapDataset.read(tmp_path / "s.fits")
    expected = {
        "TELESCOP": ["HESS"] * 2,
        "RA_PNT": [1.5, 1.5],
        "OK": [True, True],
        "OBS_ID": [5, 6],
        "MODE": ["A", "LONGER"],
    }
    assert columns(s.meta) == columns(back.meta) == expected
    assert columns(back.stack(runs[0]).meta)["OBS_ID"] == [5, 6, 5]
