"""The YAML index of datasets, and the GADF region form of spectra that it may name."""

import dataclasses
from pathlib import Path

import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from astropy.io import fits
from cases import gadf_maps as cases

from gammajax.datasets import GTI, InputError, Meta
from gammajax.datasets.collection import DATASET_TYPES, Datasets
from gammajax.datasets.irf import EDispKernel
from gammajax.datasets.models import FoVBackgroundModel, Models, SkyModel
from gammajax.datasets.models.spectral import PowerLawSpectralModel
from gammajax.datasets.spectrum import SpectrumDataset, SpectrumDatasetOnOff
from gammajax.kernels import matrix_from_migration

N = 5
EDGES = np.geomspace(0.5, 30, N + 1)
TRUE = np.geomspace(0.3, 40, 8)


def on_off(**changes) -> SpectrumDatasetOnOff:
    fields = {
        "energy_edges": EDGES,
        "energy_true_edges": TRUE,
        "counts": np.arange(N) + 3.0,
        "counts_off": np.arange(N) + 20.0,
        "acceptance": 1.0,
        "acceptance_off": np.linspace(9, 11, N),
        "exposure": np.geomspace(1e12, 3e13, 7),
        "edisp": EDispKernel.from_gauss(TRUE, EDGES, 0.2),
        "mask_safe": np.arange(N) > 0,
        "livetime": 1581.7367,
        "gti": GTI([0.0], [1800.0]),
        "meta": Meta({"OBS_ID": 23523, "TELESCOP": "HESS"}),
    }
    return SpectrumDatasetOnOff(**(fields | changes))


def known_background(**changes) -> SpectrumDataset:
    fields = {
        "energy_edges": EDGES,
        "energy_true_edges": TRUE,
        "counts": np.arange(N) + 3.0,
        "background": np.linspace(1.5, 2.5, N),
        "exposure": np.geomspace(1e12, 3e13, 7),
        "edisp": EDispKernel.from_gauss(TRUE, EDGES, 0.2),
        "mask_safe": np.arange(N) > 0,
        "livetime": 1234.5678,
        "gti": GTI([0.0], [1800.0]),
        "meta": Meta({"OBS_ID": 7, "TELESCOP": "CTAO", "INSTRUME": "LST-1"}),
    }
    return SpectrumDataset(**(fields | changes))


def assert_equal(a, b):
    assert type(a) is type(b)
    fields = ["energy_edges", "energy_true_edges", "counts", "mask_safe", "mask_fit", "livetime"]
    fields += ["background"] if a.tag == "SpectrumDataset" else ["counts_off", "acceptance", "acceptance_off"]
    for field in fields:
        one, two = getattr(a, field), getattr(b, field)
        assert (one is None) == (two is None), field
        if one is not None:
            np.testing.assert_array_equal(one, two, err_msg=field)
    np.testing.assert_allclose(a.exposure, b.exposure, rtol=3e-16)
    assert (a.edisp is None) == (b.edisp is None)
    if a.edisp is not None:
        np.testing.assert_array_equal(a.edisp.matrix, b.edisp.matrix)
    for key in ("OBS_ID", "TELESCOP", "INSTRUME"):
        assert a.meta.get(key) == b.meta.get(key)


def test_round_trip_of_both_types(tmp_path):
    datasets = Datasets({"run 1": on_off(), "model/bkg": known_background(), "no livetime": on_off(livetime=None)})
    datasets.write(tmp_path / "index.yaml")
    back = Datasets.read(tmp_path / "index.yaml")
    assert back.names == datasets.names
    for a, b in zip(datasets, back, strict=True):
        assert_equal(a, b)
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".part")]


def test_the_files_are_valid_fits(tmp_path):
    Datasets({"a": known_background(mask_fit=np.arange(N) > 1), "b": on_off()}).write(tmp_path / "index.yaml")
    for path in tmp_path.glob("*.fits"):
        with fits.open(path, checksum=True) as hdus:
            hdus.verify("exception")


@pytest.mark.parametrize(
    "mask",
    [[0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [1, 0, 1, 0, 1]],
    ids=["range", "all", "last", "none", "holes"],
)
@pytest.mark.parametrize("make", [on_off, known_background])
def test_fit_masks_survive(tmp_path, mask, make):
    mask = np.array(mask, bool)
    Datasets({"a": make(mask_fit=mask)}).write(tmp_path / "index.yaml")
    np.testing.assert_array_equal(Datasets.read(tmp_path / "index.yaml")["a"].mask_fit, mask)
    entry = yaml.safe_load((tmp_path / "index.yaml").read_text())["datasets"][0]["mask_fit"]
    contiguous = mask.any() and np.all(np.diff(np.flatnonzero(mask)) == 1)
    assert set(entry) == ({"energy_min", "energy_max"} if contiguous else {"bins"})


def test_names_that_would_share_a_file(tmp_path):
    datasets = Datasets({"a b": on_off(), "a/b": on_off(counts=np.ones(N)), "a_b": on_off(counts=np.zeros(N))})
    datasets.write(tmp_path / "index.yaml")
    back = Datasets.read(tmp_path / "index.yaml")
    for name in datasets.names:
        np.testing.assert_array_equal(back[name].counts, datasets[name].counts)


def test_a_name_that_looks_like_a_sibling_of_another(tmp_path):
    datasets = Datasets({"a": on_off(), "a_bkg": on_off(counts=np.ones(N)), "x_arf": on_off(), "x": on_off()})
    datasets.write(tmp_path / "index.yaml")
    for a, b in zip(datasets, Datasets.read(tmp_path / "index.yaml"), strict=True):
        assert_equal(a, b)


def test_nothing_is_written_when_one_file_exists(tmp_path):
    (tmp_path / "pha_obsb_rmf.fits").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"pha_obsb_rmf\.fits: the file exists already"):
        Datasets({"a": on_off(), "b": on_off()}).write(tmp_path / "index.yaml")
    assert [p.name for p in tmp_path.iterdir()] == ["pha_obsb_rmf.fits"]


def test_an_incomplete_dataset_names_itself(tmp_path):
    dataset = on_off(counts_off=None, livetime=None)
    Datasets({"plan": dataset}).write(tmp_path / "index.yaml")
    assert_back = Datasets.read(tmp_path / "index.yaml")["plan"]
    assert assert_back.counts_off is None and np.array_equal(assert_back.acceptance_off, dataset.acceptance_off)


def write_index(tmp_path: Path, entry: object, **more) -> Path:
    path = tmp_path / "index.yaml"
    path.write_text(yaml.safe_dump({"datasets": [entry], **more}))
    return path


@pytest.fixture
def entry(tmp_path):
    on_off().write(tmp_path / "run.fits")
    return {"name": 23523, "type": "SpectrumDatasetOnOff", "filename": "run.fits"}


def test_handwritten_index(tmp_path, entry):
    path = write_index(tmp_path, entry | {"mask_fit": {"energy_max": "20000 GeV"}, "comment": "kept by nobody"})
    datasets = Datasets.read(path)
    assert datasets.names == ("23523",)
    np.testing.assert_array_equal(datasets[0].mask_fit, on_off().energy_mask(energy_max=20 * u.TeV))


def test_files_are_found_beside_the_index_or_as_given(tmp_path, entry, monkeypatch):
    (tmp_path / "deep").mkdir()
    index = write_index(tmp_path, entry)
    index.rename(tmp_path / "deep" / "index.yaml")
    with pytest.raises(InputError, match=r"run\.fits: the file was not found"):
        Datasets.read(tmp_path / "deep" / "index.yaml")
    monkeypatch.chdir(tmp_path)
    assert len(Datasets.read("deep/index.yaml")) == 1
    monkeypatch.setenv("MY_RUNS", str(tmp_path))
    monkeypatch.chdir("/")
    index = write_index(tmp_path, entry | {"filename": "$MY_RUNS/run.fits"})
    assert len(Datasets.read(index)) == 1


def test_checksum_that_does_not_match_warns(tmp_path):
    path = tmp_path / "index.yaml"
    Datasets({"a": on_off()}).write(path)
    path.write_text(path.read_text().replace("creator: gammajax", "creator: me"))
    with pytest.warns(UserWarning, match=r"index\.yaml: the checksum does not match"):
        Datasets.read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "mapping"),
        ("just text", "mapping"),
        ("components: []", r"found the keys \['components'\], expected 'datasets'"),
        ("datasets: 3", "expected 'datasets' with a list"),
        ("datasets: [3]", r"datasets\[0\]: found 3, expected a mapping"),
        ("datasets: [{type: SpectrumDataset}]", r"datasets\[0\]: name, filename missing, found type"),
        (
            "datasets: [{name: a, type: LightCurve, filename: a.fits}]",
            r"'LightCurve' cannot be read; this version reads .*MapDatasetOnOff, FluxPointsDataset",
        ),
        (
            "datasets: [{name: a, type: MapDataset, filename: no.fits}]",
            r"dataset 'a': .*no\.fits: the file was not found",
        ),
        ("datasets: [{name: a, type: [x], filename: a.fits}]", r"the type \['x'\] cannot be read"),
        ("datasets: [{name: a, type: SpectrumDataset, filename: 3}]", r"file name is needed, found 3"),
        ("datasets: [{name: a, type: SpectrumDataset, filename: no.fits}]", r"no\.fits: the file was not found"),
        ("datasets: [", "YAML"),
        ("a: !!python/object/apply:os.getcwd []", r"tag .*not allowed"),
    ],
)
def test_bad_index(tmp_path, text, message):
    path = tmp_path / "index.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"(?s)index\.yaml.*{message}"):
        Datasets.read(path)


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match=r"index\.yaml: the file was not found"):
        Datasets.read(tmp_path / "index.yaml")
    (tmp_path / "index.yaml").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(InputError, match=r"index\.yaml: this is not a text file"):
        Datasets.read(tmp_path / "index.yaml")


def test_names_twice(tmp_path, entry):
    path = tmp_path / "index.yaml"
    path.write_text(yaml.safe_dump({"datasets": [entry, dict(entry)]}))
    with pytest.raises(InputError, match=r"index\.yaml.*the name '23523' is there twice"):
        Datasets.read(path)


@pytest.mark.parametrize(
    "mask_fit",
    [
        {"bins": [True]},
        {"bins": [1, 1, 1, 1, 1]},
        {"bins": [True] * 5, "energy_min": "1 TeV"},
        {"emin": "1 TeV"},
        {"energy_min": "1"},
        {"energy_min": "1 cm"},
        {"energy_min": "one TeV"},
        {"energy_min": "nan TeV"},
        {"energy_min": ["1 TeV", "2 TeV"]},
        {},
        "all",
    ],
)
def test_bad_mask_fit(tmp_path, entry, mask_fit):
    with pytest.raises(InputError, match=r"index\.yaml.*dataset '23523'.*mask_fit: "):
        Datasets.read(write_index(tmp_path, entry | {"mask_fit": mask_fit}))


def test_other_things_are_no_datasets():
    for thing in ({}, 3, None, np.ones(3)):
        with pytest.raises(InputError, match=r"Datasets: found \w+ as 'x', expected a dataset"):
            Datasets({"x": thing})


# --- maps ---------------------------------------------------------------------------------------------------------


def test_round_trip_of_maps_and_spectra(tmp_path):
    datasets = Datasets({"a map": cases.known(), "off": cases.on_off(mask_fit=None), "spectrum": on_off()})
    datasets.write(tmp_path / "index.yaml")
    entries = yaml.safe_load((tmp_path / "index.yaml").read_text())["datasets"]
    assert [(e["type"], e["filename"]) for e in entries[:2]] == [
        ("MapDataset", "a_map.fits"),
        ("MapDatasetOnOff", "off.fits"),
    ]
    # a fit mask that differs from pixel to pixel is in the file
    assert all("mask_fit" not in e for e in entries)
    back = Datasets.read(tmp_path / "index.yaml")
    assert back.names == datasets.names and back["a map"].meta["name"] == "a map"
    cases.assert_equal(back["a map"], datasets["a map"])
    cases.assert_equal(back["off"], datasets["off"])
    assert_equal(back["spectrum"], datasets["spectrum"])


@pytest.mark.parametrize("bins", [[0, 1, 1], [1, 0, 1], [0, 0, 0]], ids=["range", "holes", "none"])
@pytest.mark.parametrize("make", [cases.known, cases.on_off])
def test_fit_masks_of_maps_in_energy(tmp_path, bins, make):
    """They are in the index, where they can be edited, and in the file, where gammapy reads them."""
    bins = np.array(bins, bool)
    mask = np.broadcast_to(bins[:, None, None], cases.SHAPE)
    Datasets({"a": make(mask_fit=mask)}).write(tmp_path / "index.yaml")
    entry = yaml.safe_load((tmp_path / "index.yaml").read_text())["datasets"][0]
    low, high = float(cases.EDGES[1]), float(cases.EDGES[3])
    bounds = {"energy_min": f"{low!r} TeV", "energy_max": f"{high!r} TeV"}
    assert entry["mask_fit"] == (bounds if list(bins) == [False, True, True] else {"bins": bins.tolist()})
    np.testing.assert_array_equal(Datasets.read(tmp_path / "index.yaml")["a"].mask_fit, mask)
    assert np.array_equal(fits.getdata(tmp_path / "a.fits", "MASK_FIT"), mask)


def test_the_mask_of_the_index_replaces_that_of_the_file(tmp_path):
    cases.known().write(tmp_path / "a.fits.gz")
    entry = {"name": "a", "type": "MapDataset", "filename": "a.fits", "mask_fit": {"bins": [True, False, True]}}
    dataset = Datasets.read(write_index(tmp_path, entry))["a"]
    np.testing.assert_array_equal(dataset.mask_fit, np.array([1, 0, 1])[:, None, None] * np.ones(cases.SHAPE))
    entry["mask_fit"] = {"energy_max": f"{cases.EDGES[1]} TeV"}
    dataset = Datasets.read(write_index(tmp_path, entry))["a"]
    assert dataset.mask_fit[0].all() and not dataset.mask_fit[1:].any()


def test_a_map_entry_of_one_region_is_a_spectrum(tmp_path):
    known_background().write(tmp_path / "a.fits")
    path = write_index(tmp_path, {"name": "a", "type": "MapDataset", "filename": "a.fits"})
    assert_equal(Datasets.read(path)["a"], known_background())


def test_fermi_index(data_path):
    datasets = Datasets.read(data_path / "fermi-3fhl-crab" / "Fermi-LAT-3FHL_datasets.yaml")
    assert datasets.names == ("Fermi-LAT",) and datasets[0].counts.shape == (5, 40, 50)


# --- reading when needed --------------------------------------------------------------------------------------------


@pytest.fixture
def lazy_index(tmp_path):
    datasets = Datasets({"a": cases.known(), "b": cases.on_off(), "c": on_off(mask_fit=np.arange(N) > 1)})
    datasets.write(tmp_path / "index.yaml")
    return tmp_path / "index.yaml"


def test_lazy_datasets_are_read_once_and_when_asked_for(lazy_index, monkeypatch):
    reads = []
    for kind, form in list(DATASET_TYPES.items()):

        def read(path, old=form.read):
            reads.append(path.name)
            return old(path)

        monkeypatch.setitem(DATASET_TYPES, kind, dataclasses.replace(form, read=read))
    datasets = Datasets.read(lazy_index, lazy=True)
    assert datasets.names == ("a", "b", "c") and len(datasets) == 3 and "a" in datasets
    assert repr(datasets) == (
        "Datasets(\n  a: MapDataset (not read yet)\n  b: MapDatasetOnOff (not read yet)\n"
        "  c: SpectrumDatasetOnOff (not read yet)\n)"
    )
    part = (datasets.select(["c", "b"]) + Datasets({"d": known_background()}))[1:]
    assert part.names == ("b", "d") and not reads
    cases.assert_equal(datasets["b"], cases.on_off())
    assert part["b"] is datasets[1] is datasets.values()[1] is list(datasets)[1]
    assert sorted(reads) == ["a.fits", "b.fits", "pha_obsc.fits"]
    np.testing.assert_array_equal(datasets["c"].mask_fit, np.arange(N) > 1)
    assert "  b: MapDatasetOnOff(counts " in repr(datasets)


def test_jax_takes_lazy_datasets_once_they_are_loaded(lazy_index):
    lazy, eager = Datasets.read(lazy_index, lazy=True), Datasets.read(lazy_index)
    with pytest.raises(TypeError):
        jax.jit(lambda datasets: datasets["a"].counts.sum())(lazy)
    loaded = lazy.load()
    assert jax.tree.structure(loaded) == jax.tree.structure(eager) and loaded["a"] is lazy["a"]
    for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(eager), strict=True):
        np.testing.assert_array_equal(a, b)


def test_lazy_errors(lazy_index):
    with open(lazy_index.parent / "a.fits", "r+b") as stream:
        stream.truncate(2880 * 4)
    datasets = Datasets.read(lazy_index, lazy=True)
    assert datasets["b"].tag == "MapDatasetOnOff"
    with pytest.raises(InputError, match=r"index\.yaml: .*a\.fits"):
        datasets["a"]
    (lazy_index.parent / "a.fits").unlink()
    with pytest.raises(InputError, match=r"index\.yaml: dataset 'a': .*a\.fits: the file was not found"):
        Datasets.read(lazy_index, lazy=True)


# --- GADF region form ----------------------------------------------------------------------------------------------


def test_gadf_round_trip_without_optional_parts(tmp_path):
    dataset = known_background(counts=None, edisp=None, gti=None, mask_safe=None, livetime=None, meta=None)
    dataset.write(tmp_path / "a.fits")
    back = SpectrumDataset.read(tmp_path / "a.fits")
    assert back.counts is None and back.gti is None and back.mask_safe is None and np.isnan(back.livetime)
    # to gammapy no matrix means equal axes, so the perfect response is written out
    np.testing.assert_allclose(back.edisp.matrix, EDispKernel.from_diagonal_response(TRUE, EDGES).matrix, atol=1e-15)


def test_gadf_types_are_told_apart(tmp_path):
    known_background().write(tmp_path / "a.fits")
    on_off().write(tmp_path / "b.fits", format="gadf")
    with pytest.raises(InputError, match=r"a\.fits: the HDU ACCEPTANCE is missing.*SpectrumDataset\.read"):
        SpectrumDatasetOnOff.read(tmp_path / "a.fits")
    with pytest.raises(InputError, match=r"b\.fits: the file is an on/off spectrum.*SpectrumDatasetOnOff\.read"):
        SpectrumDataset.read(tmp_path / "b.fits")
    with pytest.raises(InputError, match=r"the OGIP form is for on/off spectra"):
        known_background().write(tmp_path / "c.fits", format="ogip")


def edit(path: Path, hdu: str, column: str | None = None, values=None, **cards):
    with fits.open(path, memmap=False) as hdus:
        if column:
            hdus[hdu].data[column] = values
        for key, value in (cards | {"CHECKSUM": None, "DATASUM": None}).items():
            if value is None:
                hdus[hdu].header.remove(key, ignore_missing=True)
            else:
                hdus[hdu].header[key] = value
        hdus.writeto(path, overwrite=True)


@pytest.mark.parametrize(
    ("hdu", "column", "values", "cards", "text"),
    [
        ("COUNTS", "DATA", [1, 2, -3, 4, 5], {}, r"COUNTS\]: values must be .* not negative, found -3\.0 in row 2"),
        ("COUNTS_OFF", "DATA", [1, 2, np.nan, 4, 5], {}, r"COUNTS_OFF\]: values must be finite"),
        ("ACCEPTANCE_OFF", "DATA", [1, 2, -1, 4, 5], {}, r"ACCEPTANCE_OFF\]: values must be finite and not negative"),
        ("ACCEPTANCE", "DATA", [1, 2, np.nan, 4, 5], {}, r"ACCEPTANCE\]: values must be finite"),
        ("EXPOSURE", None, None, {"TUNIT2": "TeV"}, r"unit of DATA: found 'TeV', expected one convertible to 'cm2 s'"),
        ("COUNTS_OFF_BANDS", "E_MIN", EDGES[:-1] * 1.1, {}, r"COUNTS_OFF.*edge 0 is 0\.55 TeV"),
        ("COUNTS_BANDS", None, None, {"AXCOLS1": "ENERGY"}, r"AXCOLS1 is 'ENERGY', expected a lower and an upper edge"),
        ("COUNTS_BANDS", None, None, {"AXCOLS1": "RAD_MIN,RAD_MAX"}, r"column RAD_MIN is missing"),
        ("COUNTS_BANDS", "E_MIN", np.full(N, 1.0), {}, r"found 1 lower and 5 upper edges of energy"),
        ("EDISP_BANDS", None, None, {"AXCOLS2": None}, r"axes are \['energy'\], expected"),
        ("EXPOSURE", None, None, {"LIVETIME": "x"}, r"keyword LIVETIME is 'x'"),
    ],
)
def test_bad_gadf(tmp_path, hdu, column, values, cards, text):
    path = tmp_path / "a.fits"
    on_off().write(path, format="gadf")
    edit(path, hdu, column, values, **cards)
    with pytest.raises(InputError, match=rf"(?s)a\.fits.*{text}"):
        SpectrumDatasetOnOff.read(path)


def test_cut_gadf(tmp_path):
    path = tmp_path / "a.fits"
    on_off().write(path, format="gadf")
    whole = path.read_bytes()
    for cut in (2880 * 2 + 100, len(whole) - 2880, len(whole) - 1, len(whole) // 2):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"a\.fits"):
            SpectrumDatasetOnOff.read(path)


def test_map_files_are_refused(data_path):
    with pytest.raises(
        InputError, match=r"obs_23523\.fits\.gz: the HDU COUNTS is an image, expected a table of one spectrum"
    ):
        SpectrumDataset.read(data_path / "hess-crab" / "maps" / "obs_23523.fits.gz")


def test_matrix_from_migration():
    """Worked example: a triangle around migra 1 with bins of 0.1 (half of the density left and right of the middle)."""
    migra = np.linspace(0.2, 5, 49)
    density = np.zeros((1, 48))
    density[0, 7:9] = 5.0
    true = np.array([1.0, 10 ** (1 / 3)])
    kernel = matrix_from_migration(density, migra, true, np.array([0.5, 1, 1.5, 2, 3, 20]))
    np.testing.assert_allclose(kernel, [[0, 0.6097, 0.3903, 0, 0]], atol=1e-4)
    assert kernel.sum() == pytest.approx(1)


def test_real_gadf_spectra(data_path):
    for path in sorted((data_path / "hess-crab" / "spectra").glob("pha_obs*.fits")):
        dataset = SpectrumDatasetOnOff.read(path)
        with fits.open(path) as hdus:
            np.testing.assert_array_equal(dataset.counts, hdus["COUNTS"].data["DATA"].ravel())
            np.testing.assert_array_equal(dataset.counts_off, hdus["COUNTS_OFF"].data["DATA"].ravel())
            np.testing.assert_array_equal(dataset.edisp.matrix, hdus["EDISP"].data["DATA"].reshape(66, 54))
            np.testing.assert_array_equal(dataset.exposure, hdus["EXPOSURE"].data["DATA"].ravel() * 1e4)
            np.testing.assert_array_equal(dataset.mask_safe, hdus["MASK_SAFE"].data["DATA"].ravel())
        assert np.isnan(dataset.livetime) and dataset.meta["TELESCOP"] == "HESS"
        assert str(dataset.meta["OBS_ID"]) in path.name
        assert 1600 < dataset.gti.ontime.to_value("s") < 1800


@pytest.mark.parametrize("make", [on_off, known_background])
@pytest.mark.parametrize("format", ["ogip", "gadf"])
def test_datasets_of_jax_arrays_are_written_too(tmp_path, make, format):
    """Simulated and stacked datasets hold JAX arrays."""
    dataset = make(mask_fit=np.arange(N) > 1, livetime=1234.5 if format == "ogip" else None)
    Datasets({"a": jax.tree.map(jnp.asarray, dataset)}).write(tmp_path / "index.yaml")
    assert_equal(dataset, Datasets.read(tmp_path / "index.yaml")["a"])


def test_datasets_and_models_in_one_step(tmp_path):
    """Datasets hold no models here, so that both come back; gammapy's habit of naming both files holds."""
    datasets = Datasets({"a": known_background(), "b": known_background()})
    source = SkyModel(PowerLawSpectralModel(index=2.3), name="source", datasets_names="a")
    models = Models([source, FoVBackgroundModel(datasets_names="b")])
    datasets.write(tmp_path / "d.yaml", filename_models=tmp_path / "m.yaml", models=models)
    back, read = Datasets.read(tmp_path / "d.yaml", filename_models=tmp_path / "m.yaml")
    assert back.names == ("a", "b") and read.names == models.names
    assert read["source"].spectral.index.value == 2.3 and read["source"].datasets_names == ("a",)
    lazy, _ = Datasets.read(tmp_path / "d.yaml", tmp_path / "m.yaml", lazy=True)
    assert_equal(lazy["a"], datasets["a"])
    files = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    (tmp_path / "a.fits").unlink()
    with pytest.raises(InputError, match=r"m\.yaml: the file exists already"):
        datasets.write(tmp_path / "new.yaml", filename_models=tmp_path / "m.yaml", models=models)
    assert {p.name for p in tmp_path.iterdir()} == set(files) - {"a.fits"}
    with pytest.raises(InputError, match="give filename_models and models, or neither"):
        datasets.write(tmp_path / "new.yaml", filename_models=tmp_path / "n.yaml")
    with pytest.raises(InputError, match=r"filename_models is True\. Write lazy=True"):
        Datasets.read(tmp_path / "d.yaml", True)
