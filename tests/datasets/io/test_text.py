"""Names of any language and any number in the files of the package."""

import numpy as np
import pytest
from astropy.io import fits
from cases import gadf_maps
from hypothesis import given
from hypothesis import strategies as st

from gammajax.datasets import Meta
from gammajax.datasets.collection import Datasets
from gammajax.datasets.io import FitsTable, dump_yaml, parse_yaml, table_hdu, to_bytes
from gammajax.datasets.io.text import from_ascii, to_ascii
from gammajax.datasets.models import FoVBackgroundModel, Models, SkyModel
from gammajax.datasets.models.spectral import PowerLawSpectralModel
from gammajax.datasets.spectrum import SpectrumDataset, SpectrumDatasetOnOff

NAMES = ("Käfer ☉", "日本 1", 23523, "0023", "\\xe4", "line\nbreak", "😀" * 40, "it's 100 %")

EDGES = np.array([1.0, 2, 4, 8])


@given(st.text())
def test_text_comes_back(text):
    ascii_text = to_ascii(text)
    assert ascii_text.isascii() and (ascii_text.isprintable() or not ascii_text)
    assert from_ascii(ascii_text) == text


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\")))
def test_plain_text_stays_as_it_is(text):
    assert to_ascii(text) == from_ascii(text) == text


def test_what_others_see(tmp_path):
    """Python's own escapes, in headers and in columns of any width and shape."""
    columns = [("NAME", "1A", ["Käfer", "ant"], None), ("PAIR", "2A", np.array([["a", "☉"], ["b", ""]]), None)]
    (tmp_path / "t.fits").write_bytes(to_bytes([table_hdu("T", columns, {"OBJECT": ("Käfer", "note")})]))
    with fits.open(tmp_path / "t.fits") as hdus:
        assert hdus["T"].header["OBJECT"] == "K\\xe4fer" and hdus["T"].header.comments["OBJECT"] == "note"
        assert hdus["T"].header["OBJECT"].encode().decode("unicode_escape") == "Käfer"
        assert hdus["T"].data["NAME"].tolist() == ["K\\xe4fer", "ant"]
        table = FitsTable(fits.BinTableHDU(hdus["T"].data, hdus["T"].header), "t")
        assert table.raw("NAME").tolist() == ["Käfer", "ant"]
        assert table.raw("PAIR").tolist() == [["a", "☉"], ["b", ""]]
        assert table.text("OBJECT") == "Käfer"


def spectra(name):
    meta = Meta({"OBS_ID": name, "OBJECT": str(name)})
    common = {"counts": [60, 20, 12], "exposure": np.full(3, 2e12), "livetime": 100.0, "meta": meta}
    return {
        "ogip": SpectrumDatasetOnOff(EDGES, counts_off=[50, 20, 10], acceptance_off=5, **common),
        "gadf": SpectrumDataset(EDGES, background=np.ones(3), **common),
    }


@pytest.mark.parametrize("name", NAMES)
def test_datasets(tmp_path, name):
    """Alone and in an index, in every form; a number stays one in a header."""
    made = spectra(name)
    for form, dataset in made.items():
        dataset.write(tmp_path / f"{form}.fits", format=form)
        assert type(dataset).read(tmp_path / f"{form}.fits").meta["OBS_ID"] == name
    made["ogip"].write(tmp_path / "on.fits", format="gadf")
    assert SpectrumDatasetOnOff.read(tmp_path / "on.fits").meta["OBS_ID"] == name
    for make in (gadf_maps.known, gadf_maps.on_off):
        dataset = make(meta=Meta({"name": str(name), "OBS_ID": name}))
        back = gadf_maps.round_trip(dataset, tmp_path / f"{make.__name__}.fits")
        assert (back.meta["name"], back.meta["OBS_ID"]) == (str(name), name)
    datasets = Datasets({name: made["ogip"], "other": made["gadf"], f"{name}.": made["gadf"]})
    datasets.write(tmp_path / "index" / "index.yaml")
    assert all(p.name.isascii() for p in (tmp_path / "index").iterdir())
    back = Datasets.read(tmp_path / "index" / "index.yaml")
    assert back.names == datasets.names == (str(name), "other", f"{name}.")
    assert Datasets(datasets.entries, [name, 2, 3]).names == (str(name), "2", "3")
    assert back.select([name]).names == (str(name),) and name in back


@pytest.mark.parametrize("name", NAMES)
def test_models(tmp_path, name):
    source = SkyModel(PowerLawSpectralModel(), name=name, datasets_names=[name, "other"])
    models = Models([source, FoVBackgroundModel(datasets_names=name)])
    models.write(tmp_path / "m.yaml")
    back = Models.read(tmp_path / "m.yaml")
    assert back.names == models.names == (str(name), f"{name}-bkg")
    assert back.models[0].datasets_names == (str(name), "other")


@pytest.mark.parametrize(
    ("written", "name"), [("23523", "23523"), ("0023", "0023"), ("1_2", "1_2"), ("12:30", "12:30"), ("1.10", "1.10")]
)
def test_names_are_as_they_are_written(written, name):
    """YAML 1.1 would make 19, 12, 750 and 1.1 of them."""
    text = f"components: [{{name: {written}, type: SkyModel, datasets_names: [{written}, a], spectral: {{type: pl}}}}]"
    model = Models.from_dict(parse_yaml(text, "text")).models[0]
    assert (model.name, model.datasets_names) == (name, (name, "a"))
    assert parse_yaml("value: 0023", "text") == {"value": 19}
    assert parse_yaml(dump_yaml({"name": name}), "text") == {"name": name}
