"""OGIP spectra: round trips, what the standard allows, real data, and everything that can be wrong with a file."""

import json
from contextlib import nullcontext
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

import gammajax as gj
from gammajax.datasets import GTI, InputError, Meta
from gammajax.datasets.collection import read_dataset
from gammajax.datasets.io import write_ogip
from gammajax.datasets.irf import EDispKernel
from gammajax.datasets.spectrum import SpectrumDataset, SpectrumDatasetOnOff

N = 6


def region_table() -> dict:
    """A circle in pixels with its projection, as a reader keeps it."""
    cards = [("WCSAXES", 2, ""), ("CTYPE1", "RA---TAN", "projection"), ("CTYPE2", "DEC--TAN", ""), ("CRPIX1", 2.5, "")]
    cards += [
        ("CRPIX2", 2.5, ""),
        ("CDELT1", -0.1, ""),
        ("CDELT2", 0.1, ""),
        ("CUNIT1", "deg", ""),
        ("CUNIT2", "deg", ""),
    ]
    cards += [("CRVAL1", 83.633, ""), ("CRVAL2", 22.0145, ""), ("RADESYS", "ICRS", ""), ("WCSSHAPE", "(4,4)", "")]
    columns = [
        {"name": "SHAPE", "format": "6A", "unit": None, "dim": None, "array": np.array(["CIRCLE"])},
        {"name": "X", "format": "D", "unit": "pix", "dim": None, "array": np.array([2.5])},
        {"name": "Y", "format": "D", "unit": "pix", "dim": None, "array": np.array([2.5])},
        {"name": "R", "format": "D", "unit": "pix", "dim": None, "array": np.array([1.1])},
        {"name": "ROTANG", "format": "D", "unit": "deg", "dim": None, "array": np.array([0.0])},
    ]
    return {"columns": columns, "cards": cards}


def example(**changes) -> SpectrumDatasetOnOff:
    rng = np.random.default_rng(5)
    true = np.geomspace(0.3, 40, 9)
    edges = np.geomspace(0.5, 30, N + 1)
    matrix = np.asarray(EDispKernel.from_gauss(true, edges, 0.2).matrix).copy()
    matrix[matrix < 1e-3] = 0
    matrix[0] = 0
    matrix[3, 2] = 0
    fields = {
        "energy_edges": edges,
        "energy_true_edges": true,
        "counts": rng.poisson(20, N),
        "counts_off": rng.poisson(90, N),
        "acceptance": np.array([1, 1, 1, 1, 1, 0.5]),
        "acceptance_off": np.linspace(9, 11, N),
        "exposure": np.geomspace(1e12, 3e13, 8),
        "edisp": matrix,
        "mask_safe": np.arange(N) > 0,
        "livetime": 1581.7367,
        "gti": GTI([0, 900.5], [800.25, 1800.0]),
        "meta": Meta({"OBS_ID": 23523, "TELESCOP": "HESS", "region": region_table(), "region_off": region_table()}),
    }
    return SpectrumDatasetOnOff(**(fields | changes))


def assert_equal(a, b, skip=()):
    for field in (
        "energy_edges",
        "energy_true_edges",
        "counts",
        "counts_off",
        "acceptance",
        "acceptance_off",
        "mask_safe",
    ):
        if field not in skip:
            np.testing.assert_array_equal(getattr(a, field), getattr(b, field), err_msg=field)
    # the file has the quotient of exposure and livetime
    np.testing.assert_allclose(a.exposure, b.exposure, rtol=3e-16)
    np.testing.assert_array_equal(a.livetime, b.livetime)
    assert (a.edisp is None) == (b.edisp is None)
    if a.edisp is not None:
        np.testing.assert_array_equal(a.edisp.matrix, b.edisp.matrix)
    assert (a.gti is None) == (b.gti is None)
    if a.gti is not None:
        for field in ("start", "stop", "reference"):
            np.testing.assert_array_equal(getattr(a.gti, field), getattr(b.gti, field))


def assert_same_region(a, b):
    assert [tuple(c) for c in a["cards"]] == [tuple(c) for c in b["cards"]]
    for one, two in zip(a["columns"], b["columns"], strict=True):
        assert {k: v for k, v in one.items() if k != "array"} == {k: v for k, v in two.items() if k != "array"}
        np.testing.assert_array_equal(one["array"], two["array"])


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "run.fits"
    write_ogip(example(), path)
    return path


def edit(path: Path, hdu: str, **cards):
    """Change header cards of a file; None removes one. Checksums go, as they would no longer match."""
    with fits.open(path, memmap=False) as hdus:
        for key, value in (cards | {"CHECKSUM": None, "DATASUM": None}).items():
            if value is None:
                hdus[hdu].header.remove(key, ignore_missing=True)
            else:
                hdus[hdu].header[key] = value
        hdus.writeto(path, overwrite=True)


def set_column(
    path: Path, hdu: str, name: str, values, format: str | None = None, unit: str | None = None, rename=None
):
    """Replace (or, with ``values=None``, remove) a column."""
    with fits.open(path, memmap=False) as hdus:
        old = hdus[hdu]
        columns = []
        for c in old.columns:
            if c.name != name:
                # columns of variable length need their rows, not the descriptors of the old heap
                array = np.array(old.data[c.name])
                columns.append(fits.Column(c.name, c.format, c.unit, array=array))
            elif values is not None:
                columns.append(fits.Column(rename or name, format or c.format, unit or c.unit, array=values))
        if name not in old.columns.names:
            columns.append(fits.Column(name, format, unit, array=values))
        keep = fits.Header(
            [c for c in old.header.cards if c.keyword[:5] not in ("TTYPE", "TFORM", "TUNIT", "CHECK", "DATAS")]
        )
        hdus[hdus.index_of(hdu)] = fits.BinTableHDU.from_columns(columns, header=keep, name=hdu)
        hdus.writeto(path, overwrite=True)


def drop_hdu(path: Path, hdu: str):
    with fits.open(path, memmap=False) as hdus:
        del hdus[hdu]
        hdus.writeto(path, overwrite=True)


# --- round trips -------------------------------------------------------------------------------------------------


def test_round_trip_is_exact(written):
    dataset, back = example(), gj.SpectrumDatasetOnOff.read(written)
    assert_equal(dataset, back)
    assert back.meta["OBS_ID"] == 23523 and back.meta["TELESCOP"] == "HESS" and "INSTRUME" not in back.meta
    assert_same_region(back.meta["region"], dataset.meta["region"])
    assert_same_region(back.meta["region_off"], dataset.meta["region_off"])
    assert sorted(p.name for p in written.parent.iterdir()) == [
        "run.fits",
        "run_arf.fits",
        "run_bkg.fits",
        "run_rmf.fits",
    ]


def test_fits_verifies_and_types_are_those_of_the_standard(written):
    for path in written.parent.iterdir():
        with fits.open(path, checksum=True) as hdus:
            hdus.verify("exception")
    with fits.open(written) as hdus:
        assert [h.name for h in hdus] == ["PRIMARY", "SPECTRUM", "EBOUNDS", "REGION", "GTI"]
        assert hdus["SPECTRUM"].columns["COUNTS"].format == "J"
        header = hdus["SPECTRUM"].header
        assert (header["HDUCLASS"], header["HDUCLAS1"], header["HDUCLAS2"]) == ("OGIP", "SPECTRUM", "TOTAL")
        assert (header["ANCRFILE"], header["RESPFILE"], header["BACKFILE"]) == (
            "run_arf.fits",
            "run_rmf.fits",
            "run_bkg.fits",
        )
    with fits.open(written.with_name("run_rmf.fits")) as hdus:
        assert hdus["MATRIX"].data["N_GRP"].tolist()[:4] == [0, *hdus["MATRIX"].data["N_GRP"].tolist()[1:3], 2]
        assert hdus["MATRIX"].header["NUMELT"] == np.count_nonzero(example().edisp.matrix)


def test_equal_datasets_give_equal_data_units(tmp_path):
    for folder in ("a", "b"):
        write_ogip(example(), tmp_path / folder / "run.fits.gz")
    assert_equal(
        gj.SpectrumDatasetOnOff.read(tmp_path / "a" / "run.fits.gz"),
        gj.SpectrumDatasetOnOff.read(tmp_path / "b" / "run.fits.gz"),
    )
    assert (tmp_path / "a" / "run_rmf.fits.gz").exists()


def test_fractional_counts_are_kept(tmp_path):
    dataset = example(counts=np.array([3.7, 0, 1, 2, 3, 4]))
    write_ogip(dataset, tmp_path / "run.fits")
    assert_equal(dataset, gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits"))


def test_large_counts_are_kept(tmp_path):
    dataset = example(counts=np.array([3e9, 0, 1, 2, 3, 4]), counts_off=np.array([2.0**60, 0, 1, 2, 3, 4]))
    write_ogip(dataset, tmp_path / "run.fits")
    assert_equal(dataset, gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits"))


def test_no_matrix_no_masks_no_gti(tmp_path):
    edges = example().energy_edges
    plain = {
        "edisp": None,
        "energy_true_edges": edges,
        "exposure": np.ones(N),
        "gti": None,
        "mask_safe": None,
        "meta": None,
    }
    write_ogip(example(**plain), tmp_path / "run.fits")
    back = gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    assert_equal(example(**plain), back, skip=["mask_safe"])
    assert back.mask_safe.all() and not (tmp_path / "run_rmf.fits").exists() and "region" not in back.meta


def test_kev_for_other_programs(tmp_path):
    write_ogip(example(), tmp_path / "run.fits", energy_unit="keV")
    with fits.open(tmp_path / "run.fits") as hdus:
        assert hdus["EBOUNDS"].columns["E_MIN"].unit == "keV"
    np.testing.assert_allclose(
        gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits").energy_edges, example().energy_edges, rtol=4e-16
    )


def test_name_becomes_obs_id_and_the_own_one_stays(tmp_path):
    write_ogip(example(), tmp_path / "run.fits", name="crab 1")
    assert fits.getval(tmp_path / "run.fits", "OBS_ID", "SPECTRUM") == "crab 1"
    assert gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits").meta["OBS_ID"] == 23523


def test_methods_of_the_class(tmp_path):
    example().write(tmp_path / "run.fits")
    assert_equal(SpectrumDatasetOnOff.read(tmp_path / "run.fits"), example())
    example().write(tmp_path / "gadf.fits", format="gadf")
    assert_equal(SpectrumDatasetOnOff.read(tmp_path / "gadf.fits"), example())
    with pytest.raises(InputError, match=r"format: found 'xspec', expected one of ogip, gadf"):
        example().write(tmp_path / "x.fits", format="xspec")


# --- writing -----------------------------------------------------------------------------------------------------


def test_existing_files_are_refused_before_anything_is_written(tmp_path):
    (tmp_path / "run_rmf.fits").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"run_rmf\.fits: the file exists already.*overwrite=True"):
        write_ogip(example(), tmp_path / "run.fits")
    assert [p.name for p in tmp_path.iterdir()] == ["run_rmf.fits"]
    write_ogip(example(), tmp_path / "run.fits", overwrite=True)
    assert_equal(gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits"), example())


def test_a_failure_while_writing_leaves_the_old_files(tmp_path, monkeypatch):
    write_ogip(example(), tmp_path / "run.fits")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gammajax.datasets.io.paths.os.replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_ogip(example(counts=np.zeros(N)), tmp_path / "run.fits", overwrite=True)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"livetime": None}, r"livetime of the dataset is nan s.*replace\(livetime="),
        ({"counts": None}, r"has no counts"),
        ({"exposure": None}, r"has no exposure"),
        ({"edisp": None}, r"equal axes.*from_diagonal_response"),
    ],
)
def test_what_cannot_be_written(tmp_path, changes, text):
    with pytest.raises(InputError, match=text):
        write_ogip(example(**changes), tmp_path / "run.fits")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "run.fits").mkdir()
    with pytest.raises(InputError, match="there is a folder of this name"):
        write_ogip(example(), tmp_path / "run.fits", overwrite=True)


# --- what the standard allows --------------------------------------------------------------------------------------


def test_scalings_by_keyword_or_column_and_exposures(written):
    """alpha = (EXPOSURE BACKSCAL AREASCAL of the spectrum) / (the same of the background); AREASCAL scales the area."""
    bkg = written.with_name("run_bkg.fits")
    set_column(bkg, "SPECTRUM", "BACKSCAL", None)
    edit(bkg, "SPECTRUM", BACKSCAL=12.0, AREASCAL=2.0, EXPOSURE=1581.7367 * 3)
    edit(written, "SPECTRUM", AREASCAL=0.5)
    dataset, back = example(), gj.SpectrumDatasetOnOff.read(written)
    np.testing.assert_allclose(back.alpha, dataset.acceptance * 0.5 / (12 * 2 * 3), rtol=1e-15)
    np.testing.assert_allclose(back.exposure, dataset.exposure * 0.5, rtol=1e-15)


def test_areascal_per_channel_scales_the_matrix(written):
    scale = np.linspace(0.5, 1, N)
    set_column(written, "SPECTRUM", "AREASCAL", scale, "D")
    back = gj.SpectrumDatasetOnOff.read(written)
    np.testing.assert_allclose(back.edisp.matrix, example().edisp.matrix * scale, rtol=1e-15)
    np.testing.assert_allclose(back.exposure, example().exposure, rtol=1e-15)


def test_background_without_exposure_was_taken_together(written):
    edit(written.with_name("run_bkg.fits"), "SPECTRUM", EXPOSURE=None)
    assert_equal(gj.SpectrumDatasetOnOff.read(written), example())


def test_quality_by_keyword_and_any_flag_is_bad(written):
    background = written.with_name("run_bkg.fits")
    set_column(background, "SPECTRUM", "QUALITY", np.zeros(N, int))
    set_column(written, "SPECTRUM", "QUALITY", np.array([0, 1, 2, 5, 0, -1]))
    assert gj.SpectrumDatasetOnOff.read(written).mask_safe.tolist() == [True, False, False, False, True, False]
    set_column(written, "SPECTRUM", "QUALITY", None)
    edit(written, "SPECTRUM", QUALITY=0)
    assert gj.SpectrumDatasetOnOff.read(written).mask_safe.all()
    # a background that is flagged bad is none, and its scalings need not be right there
    set_column(background, "SPECTRUM", "QUALITY", np.array([0, 0, 1, 0, 0, 0]))
    assert gj.SpectrumDatasetOnOff.read(written).mask_safe.tolist() == [True, True, False, True, True, True]


def test_rates(written):
    rate = (np.asarray(example().counts) / 1581.7367).astype(np.float32)
    set_column(written, "SPECTRUM", "COUNTS", rate, "E", "count/s", rename="RATE")
    np.testing.assert_array_equal(gj.SpectrumDatasetOnOff.read(written).counts, example().counts)


def test_energy_and_area_units(written):
    dataset = example()
    set_column(
        written.with_name("run_arf.fits"), "SPECRESP", "SPECRESP", dataset.exposure / 1581.7367 * 1e-4, unit="m2"
    )
    set_column(written, "EBOUNDS", "E_MIN", dataset.energy_edges[:-1] * 1e6, unit="MeV")
    set_column(written, "EBOUNDS", "E_MAX", dataset.energy_edges[1:] * 1e9, unit="keV")
    back = gj.SpectrumDatasetOnOff.read(written)
    np.testing.assert_allclose(back.exposure, dataset.exposure, rtol=1e-15)
    np.testing.assert_allclose(back.energy_edges, dataset.energy_edges, rtol=1e-15)


@pytest.mark.parametrize("tlmin", [True, False])
def test_channels_that_start_at_one(written, tlmin):
    """F_CHAN counts from TLMIN; without it from the first channel of EBOUNDS."""
    rmf = written.with_name("run_rmf.fits")
    with fits.open(rmf, memmap=False) as hdus:
        shifted = np.array([np.array(row) + 1 for row in hdus["MATRIX"].data["F_CHAN"]], dtype=object)
    set_column(rmf, "MATRIX", "F_CHAN", shifted, "PI()")
    edit(rmf, "MATRIX", **({"TLMIN4": 1} if tlmin else {"TLMIN4": None}))
    if not tlmin:
        set_column(rmf, "EBOUNDS", "CHANNEL", np.arange(1, N + 1))
    assert_equal(gj.SpectrumDatasetOnOff.read(written), example())


def test_fixed_length_and_scalar_group_columns(written):
    """Full rows as one group: F_CHAN and N_CHAN scalar, MATRIX a vector; and vectors with padding."""
    rmf, matrix = written.with_name("run_rmf.fits"), example().edisp.matrix
    n = len(matrix)
    for name, values, form in (
        ("N_GRP", np.ones(n), "I"),
        ("F_CHAN", np.zeros(n), "I"),
        ("N_CHAN", np.full(n, N), "I"),
        ("MATRIX", matrix, f"{N}D"),
    ):
        set_column(rmf, "MATRIX", name, values, form)
    assert_equal(gj.SpectrumDatasetOnOff.read(written), example())
    padded = np.concatenate([matrix, np.full((n, 2), 7.0)], axis=1)
    for name, values, form in (
        ("F_CHAN", np.tile([0, 9], (n, 1)), "2I"),
        ("N_CHAN", np.tile([N, 9], (n, 1)), "2I"),
        ("MATRIX", padded, f"{N + 2}D"),
    ):
        set_column(rmf, "MATRIX", name, values, form)
    assert_equal(gj.SpectrumDatasetOnOff.read(written), example())


def test_spectrum_without_ebounds_takes_those_of_the_rmf(written):
    drop_hdu(written, "EBOUNDS")
    assert_equal(gj.SpectrumDatasetOnOff.read(written), example())
    set_column(written, "SPECTRUM", "CHANNEL", np.arange(1, N + 1))
    with pytest.raises(InputError, match=r"channels start at 1, those of .*run_rmf\.fits at 0"):
        gj.SpectrumDatasetOnOff.read(written)


def test_links_absolute_relative_and_compressed(written, tmp_path, monkeypatch):
    import gzip

    other = tmp_path / "other"
    other.mkdir()
    arf = written.with_name("run_arf.fits")
    arf.rename(other / "a.fits")
    edit(written, "SPECTRUM", ANCRFILE=str(other / "a.fits"))
    assert_equal(gj.SpectrumDatasetOnOff.read(written), example())
    monkeypatch.chdir(other)
    edit(written, "SPECTRUM", ANCRFILE="a.fits")
    assert_equal(gj.SpectrumDatasetOnOff.read(written), example())
    rmf = written.with_name("run_rmf.fits")
    rmf.with_name("run_rmf.fits.gz").write_bytes(gzip.compress(rmf.read_bytes()))
    rmf.unlink()
    assert_equal(gj.SpectrumDatasetOnOff.read(written), example())


def test_spectrum_without_background_file(written):
    """On/off data that wait for their off counts, or complete data without background, by the class that reads."""
    for card in ("NONE", None):
        edit(written, "SPECTRUM", BACKFILE=card)
        waiting = gj.SpectrumDatasetOnOff.read(written)
        assert waiting.counts_off is None and not np.any(waiting.alpha)
        np.testing.assert_array_equal(waiting.acceptance, example().acceptance)
        with pytest.raises(InputError, match="there are no off counts"):
            gj.fit(waiting, gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(), name="s")]))
    dataset = SpectrumDataset.read(written)
    np.testing.assert_array_equal(dataset.counts, example().counts)
    assert dataset.background is None and dataset.edisp is not None
    assert type(read_dataset(written)) is SpectrumDataset


def test_runs_without_off_counts_are_written(tmp_path):
    run = example(counts_off=None, acceptance_off=0)
    run.write(tmp_path / "run.fits")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.fits", "run_arf.fits", "run_rmf.fits"]
    back = gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    assert back.counts_off is None
    assert_equal(back, run, skip=("counts_off",))
    with pytest.warns(UserWarning, match=r"run\.fits: acceptance_off is not written"):
        example(counts_off=None).write(tmp_path / "run.fits", overwrite=True)


def test_bins_where_nothing_was_measured_survive(tmp_path):
    """A safe bin without an off acceptance is the fit's to refuse, and not the file's."""
    off = np.array(example().acceptance_off)
    off[2] = 0
    run = example(acceptance_off=off)
    for form in ("ogip", "gadf"):
        run.write(tmp_path / f"{form}.fits", format=form)
        back = gj.SpectrumDatasetOnOff.read(tmp_path / f"{form}.fits")
        np.testing.assert_array_equal(back.acceptance_off, off)
        with pytest.raises(InputError, match=r"acceptance_off 0\.0 in bin 2"):
            gj.fit(back, gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(), name="s")]))


@pytest.mark.parametrize("area", [0.0, 1e8])
def test_energies_from_zero(written, area):
    """As X-ray programs write them. Without area there nothing changes; else the bin is as wide as the next in ln E."""
    true, edges = np.array(example().energy_true_edges), np.array(example().energy_edges)
    effective = np.array(example().exposure) / float(example().livetime)
    effective[0] = area
    set_column(written.with_name("run_arf.fits"), "SPECRESP", "SPECRESP", effective)
    before = gj.SpectrumDatasetOnOff.read(written)
    for part, hdu, column, energies in (
        ("run_arf", "SPECRESP", "ENERG_LO", true),
        ("run_rmf", "MATRIX", "ENERG_LO", true),
        ("run_rmf", "EBOUNDS", "E_MIN", edges),
        ("run", "EBOUNDS", "E_MIN", edges),
        ("run_bkg", "EBOUNDS", "E_MIN", edges),
    ):
        set_column(
            written.with_name(f"{part}.fits"), hdu, column, np.where(np.arange(energies.size - 1), energies[:-1], 0)
        )
    with (
        nullcontext()
        if area == 0
        else pytest.warns(UserWarning, match=r"run_arf.*starts at 0, and is read as from 0\.3 TeV")
    ):
        back = gj.SpectrumDatasetOnOff.read(written)
    # both axes are even in ln E
    np.testing.assert_allclose(back.energy_true_edges, true, rtol=1e-12)
    np.testing.assert_allclose(back.energy_edges, edges, rtol=1e-12)
    models = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(), name="s")])
    np.testing.assert_allclose(gj.npred(back, models), gj.npred(before, models), rtol=1e-10)


def test_bad_counts_outside_the_safe_bins(written):
    """Channel 0 has QUALITY 1: what is in it does not matter, in either file; in a good channel it does."""
    on, off = np.array(example().counts, float), np.array(example().counts_off, float)
    for part, counts, bad in (("run", on, np.nan), ("run_bkg", off, -99.0)):
        counts[0] = bad
        set_column(written.with_name(f"{part}.fits"), "SPECTRUM", "COUNTS", counts, "D")
    back = gj.SpectrumDatasetOnOff.read(written)
    assert back.counts[0] == back.counts_off[0] == 0
    np.testing.assert_array_equal(back.counts[1:], example().counts[1:])


def test_counts_reader_refuses_a_background(written):
    with pytest.raises(InputError, match=r"BACKFILE names off counts.*SpectrumDatasetOnOff\.read"):
        SpectrumDataset.read(written)


def test_scalings_outside_the_safe_bins_do_not_matter(written):
    off = np.asarray(example().acceptance_off).copy()
    off[0] = np.nan
    set_column(written.with_name("run_bkg.fits"), "SPECTRUM", "BACKSCAL", off)
    back = gj.SpectrumDatasetOnOff.read(written)
    assert back.alpha[0] == 0 and np.array_equal(back.alpha[1:], example().alpha[1:])


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["run", "run_arf", "run_rmf", "run_bkg"])
def test_cut_files_never_give_numbers(written, part):
    """Cut anywhere: in a header, in data, in the heap of variable-length rows, in padding, and between HDUs."""
    path = written.with_name(f"{part}.fits")
    whole = path.read_bytes()
    optional = ("REGION", "GTI") if part == "run_rmf" else ("REGION", "GTI", "EBOUNDS")
    with fits.open(path) as hdus:
        needed = max(i for i, h in enumerate(hdus) if h.name not in optional)
        info = [hdu.fileinfo() for hdu in hdus]
    end = info[needed]["datLoc"] + info[needed]["datSpan"]
    cuts = {0, 1, 80, 2879, 2880, len(whole) - 1, len(whole) - 2000}
    cuts |= {
        i[key] + shift
        for i in info
        for key, shift in (("hdrLoc", 0), ("hdrLoc", 2000), ("datLoc", 0), ("datLoc", 1), ("datLoc", 37))
    }
    cuts |= {n for n in range(0, len(whole), 2880) if n < end}
    for cut in sorted(c for c in cuts if c < len(whole)):
        if cut >= end and cut in {i["hdrLoc"] for i in info}:
            # exactly before an optional table: what is left is a complete file
            continue
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=path.name):
            gj.SpectrumDatasetOnOff.read(written)


def test_flipped_bits_are_found_by_the_checksum(written):
    data = bytearray(written.read_bytes())
    with fits.open(written) as hdus:
        data[hdus["SPECTRUM"].fileinfo()["datLoc"] + 5] ^= 8
    written.write_bytes(data)
    with pytest.warns(UserWarning, match=r"run\.fits: .*does not match the checksum.*remove CHECKSUM") as caught:
        gj.SpectrumDatasetOnOff.read(written)
    # it names the line of the user
    assert len(caught) == 1 and caught[0].filename == __file__


def test_cut_gzip(tmp_path):
    path = tmp_path / "run.fits.gz"
    write_ogip(example(), path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"run\.fits\.gz: the gzip stream is cut off or damaged"):
        gj.SpectrumDatasetOnOff.read(path)


def test_not_fits_missing_and_folder(tmp_path):
    path = tmp_path / "x.fits"
    with pytest.raises(InputError, match=r"x\.fits: the file was not found"):
        gj.SpectrumDatasetOnOff.read(path)
    path.write_text("energy,counts\n1,2\n")
    with pytest.raises(InputError, match=r"x\.fits: not a FITS file"):
        gj.SpectrumDatasetOnOff.read(path)
    with pytest.raises(InputError, match="is a folder"):
        gj.SpectrumDatasetOnOff.read(tmp_path)
    with pytest.raises(InputError, match="A file name is needed, found None"):
        gj.SpectrumDatasetOnOff.read(None)
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    with pytest.raises(InputError, match="no spectrum; the HDUs are PRIMARY"):
        SpectrumDatasetOnOff.read(tmp_path / "empty.fits")


@pytest.mark.parametrize(
    ("part", "hdu"),
    [
        ("run", "SPECTRUM"),
        ("run_bkg", "SPECTRUM"),
        ("run_arf", "SPECRESP"),
        ("run_rmf", "MATRIX"),
        ("run_rmf", "EBOUNDS"),
    ],
)
def test_missing_hdu(written, part, hdu):
    drop_hdu(written.with_name(f"{part}.fits"), hdu)
    # the first file says by its tables which form it is of
    message = "no spectrum; .* expected SPECTRUM" if part == "run" else f"the HDU {hdu}.* is missing"
    with pytest.raises(InputError, match=rf"{part}\.fits: {message}"):
        gj.SpectrumDatasetOnOff.read(written)


@pytest.mark.parametrize(
    ("part", "hdu", "column"),
    [
        ("run", "SPECTRUM", "COUNTS"),
        ("run", "SPECTRUM", "CHANNEL"),
        ("run", "EBOUNDS", "E_MIN"),
        ("run_bkg", "SPECTRUM", "COUNTS"),
        ("run_arf", "SPECRESP", "SPECRESP"),
        ("run_arf", "SPECRESP", "ENERG_HI"),
        ("run_rmf", "MATRIX", "MATRIX"),
        ("run_rmf", "MATRIX", "F_CHAN"),
        ("run_rmf", "EBOUNDS", "E_MAX"),
        ("run", "GTI", "STOP"),
    ],
)
def test_missing_column(written, part, hdu, column):
    set_column(written.with_name(f"{part}.fits"), hdu, column, None)
    with pytest.raises(InputError, match=rf"{part}\.fits\[{hdu}\]: the column {column} is missing"):
        gj.SpectrumDatasetOnOff.read(written)


def test_missing_backscal(written):
    set_column(written, "SPECTRUM", "BACKSCAL", None)
    with pytest.raises(InputError, match=r"BACKSCAL is missing, expected a column or a keyword"):
        gj.SpectrumDatasetOnOff.read(written)


@pytest.mark.parametrize(("key", "part"), [("ANCRFILE", "arf"), ("RESPFILE", "rmf"), ("BACKFILE", "bkg")])
def test_missing_linked_file(written, key, part):
    written.with_name(f"run_{part}.fits").unlink()
    with pytest.raises(InputError, match=rf"'run_{part}\.fits' of the keyword {key} was not found"):
        gj.SpectrumDatasetOnOff.read(written)


@pytest.mark.parametrize(
    ("part", "hdu", "cards", "text"),
    [
        ("run", "SPECTRUM", {"ANCRFILE": ""}, r"keyword ANCRFILE is ''"),
        ("run", "SPECTRUM", {"RESPFILE": "none"}, r"RESPFILE is 'none', which means a perfect energy resolution"),
        ("run", "SPECTRUM", {"EXPOSURE": None}, r"keyword EXPOSURE is missing"),
        ("run", "SPECTRUM", {"EXPOSURE": 0.0}, r"keyword EXPOSURE is 0\.0 s, expected more than zero"),
        ("run", "SPECTRUM", {"EXPOSURE": "long"}, r"keyword EXPOSURE is 'long', expected a number"),
        ("run_bkg", "SPECTRUM", {"EXPOSURE": -1.0}, r"keyword EXPOSURE is -1\.0 s"),
        ("run", "SPECTRUM", {"AREASCAL": 0.0}, r"AREASCAL must be above zero"),
        ("run_arf", "SPECRESP", {"TUNIT3": "TeV"}, r"unit of SPECRESP: found 'TeV', expected one convertible to 'cm2'"),
        ("run_arf", "SPECRESP", {"TUNIT3": "acre2x"}, r"unit of SPECRESP: found 'acre2x', expected one convert"),
        ("run_arf", "SPECRESP", {"TUNIT1": None}, r"unit of ENERG_LO: found none"),
        ("run", "EBOUNDS", {"TUNIT2": "cm"}, r"unit of E_MIN: found 'cm', expected one convertible to 'TeV'"),
        ("run_rmf", "MATRIX", {"TUNIT6": "cm2"}, r"MATRIX has unit 'cm2', so it contains the effective area"),
        ("run_rmf", "MATRIX", {"TLMIN4": 3}, r"has channels .*expected inside 3 to 8"),
        ("run", "GTI", {"MJDREFI": None}, r"MJDREFI and MJDREFF are missing"),
        ("run", "GTI", {"TIMESYS": "moon"}, r"TIMESYS is 'moon'"),
    ],
)
def test_bad_keyword(written, part, hdu, cards, text):
    edit(written.with_name(f"{part}.fits"), hdu, **cards)
    with pytest.raises(InputError, match=rf"(?s){part}\.fits.*{text}"):
        gj.SpectrumDatasetOnOff.read(written)


@pytest.mark.parametrize(
    ("part", "hdu", "column", "values", "format", "text"),
    [
        ("run", "SPECTRUM", "COUNTS", [1, 2, -3, 4, 5, 6], None, r"not negative, found -3\.0 in row 2"),
        ("run", "SPECTRUM", "COUNTS", [1, 2, np.nan, 4, 5, 6], "D", r"found nan in row 2"),
        ("run", "SPECTRUM", "COUNTS", list("abcdef"), "1A", r"COUNTS must hold numbers"),
        ("run", "SPECTRUM", "COUNTS", np.ones((N, 2)), "2D", r"several spectra"),
        ("run", "SPECTRUM", "CHANNEL", [0, 1, 2, 4, 5, 6], None, r"CHANNEL must count up in steps of one"),
        ("run_bkg", "SPECTRUM", "COUNTS", [1, 2, np.inf, 4, 5, 6], "D", r"found inf in row 2"),
        (
            "run",
            "SPECTRUM",
            "BACKSCAL",
            [1, 1, -1, 1, 1, 1],
            None,
            r"BACKSCAL: values must be finite and not negative, found -1\.0 in row 2",
        ),
        ("run", "EBOUNDS", "E_MIN", [1, 2, 3, 4, 5, 6], None, r"bins must join"),
        ("run", "EBOUNDS", "E_MIN", [-1, 2, 3, 4, 5, 6], None, r"must be positive, finite and increasing"),
        (
            "run_arf",
            "SPECRESP",
            "SPECRESP",
            np.full(8, np.nan),
            None,
            r"SPECRESP: values must be finite and not negative, found nan in row 0",
        ),
        ("run_rmf", "MATRIX", "N_GRP", np.full(8, 9), None, r"announces 9 groups in N_GRP"),
    ],
)
def test_bad_column(written, part, hdu, column, values, format, text):
    set_column(written.with_name(f"{part}.fits"), hdu, column, np.array(values), format)
    with pytest.raises(InputError, match=rf"(?s){part}\.fits.*{text}"):
        gj.SpectrumDatasetOnOff.read(written)


def test_matrix_shorter_than_its_groups_and_negative(written):
    rmf = written.with_name("run_rmf.fits")
    rows = np.empty(8, dtype=object)
    rows[:] = [np.array([0.5])] * 8
    set_column(rmf, "MATRIX", "MATRIX", rows, "PD()")
    with pytest.raises(InputError, match=r"elements in N_CHAN, but MATRIX has 1"):
        gj.SpectrumDatasetOnOff.read(written)
    rows[:] = [np.full(N, -0.5)] * 8
    set_column(rmf, "MATRIX", "MATRIX", rows, "PD()")
    with pytest.raises(InputError, match=r"MATRIX: values must be finite and not negative, found -0\.5 at \[1, 0\]"):
        gj.SpectrumDatasetOnOff.read(written)


def test_files_that_do_not_belong_together(tmp_path):
    write_ogip(example(), tmp_path / "run.fits")
    edges, true = np.asarray(example().energy_edges), np.asarray(example().energy_true_edges)

    def swap(part: str, **changes):
        """The ``part`` of another dataset beside the spectrum."""
        write_ogip(example(**changes), tmp_path / "b.fits", overwrite=True)
        edit(
            tmp_path / "run.fits",
            "SPECTRUM",
            **{"arf": {"ANCRFILE": "b_arf.fits"}, "rmf": {"RESPFILE": "b_rmf.fits"}}.get(
                part, {"BACKFILE": "b_bkg.fits"}
            ),
        )

    def restore():
        edit(
            tmp_path / "run.fits", "SPECTRUM", ANCRFILE="run_arf.fits", RESPFILE="run_rmf.fits", BACKFILE="run_bkg.fits"
        )

    short = {"counts": np.ones(4), "counts_off": np.ones(4), "acceptance": 1, "acceptance_off": 9, "mask_safe": None}
    swap("rmf", energy_edges=edges[:5], edisp=np.zeros((8, 4)), **short)
    with pytest.raises(InputError, match=r"run\.fits\[SPECTRUM\]: found 6 channels, but .*b_rmf\.fits has 4"):
        gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    swap("rmf", energy_edges=edges * 1.01)
    with pytest.raises(InputError, match=r"energies \(EBOUNDS\) of .*run\.fits and .*b_rmf\.fits: edge 0 is 0\.5 TeV"):
        gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    swap("rmf", energy_true_edges=true * 1.01)
    with pytest.raises(InputError, match=r"true energies of .*run_arf\.fits and .*b_rmf\.fits: edge 0"):
        gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    restore()
    swap("arf", energy_true_edges=true[:5], exposure=np.ones(4), edisp=np.zeros((4, N)))
    with pytest.raises(InputError, match=r"true energies of .*b_arf\.fits and .*run_rmf\.fits: found 4 and 8 bins"):
        gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    restore()
    swap("bkg", energy_edges=edges[:5], edisp=np.zeros((8, 4)), **short)
    with pytest.raises(
        InputError, match=r"b_bkg\.fits\[SPECTRUM\]: found 4 channels, but the spectrum .*run\.fits has 6"
    ):
        gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")
    swap("bkg", energy_edges=edges * 1.01)
    with pytest.raises(InputError, match=r"energies \(EBOUNDS\) of .*b_bkg\.fits and .*run\.fits"):
        gj.SpectrumDatasetOnOff.read(tmp_path / "run.fits")


# --- real data -----------------------------------------------------------------------------------------------------


def real_files(data_path: Path) -> dict[str, Path]:
    """The ten spectra of the joint Crab analysis, by the names of the reference."""
    paths = sorted((data_path / "joint-crab" / "spectra").glob("*/pha_*.fits"))
    return {f"{p.parent.name}_{p.stem.removeprefix('pha_')}": p for p in paths}


def test_real_spectra_are_what_gammapy_reads(data_path):
    reference = np.load(data_path / "joint-crab" / "reference.npz")
    settings = json.loads((data_path / "joint-crab" / "reference.json").read_text())
    n_fit = {d["name"]: d["n_fit"] for d in settings["datasets"]}
    files = real_files(data_path)
    assert set(files) == set(n_fit) and len(files) == 10
    for name, path in files.items():
        dataset = SpectrumDatasetOnOff.read(path)
        expected = {k.split("::")[2]: reference[k] for k in reference.files if k.startswith(f"input::{name}::")}
        for field in ("counts", "counts_off", "mask_safe"):
            np.testing.assert_array_equal(getattr(dataset, field), expected[field], err_msg=f"{name} {field}")
        np.testing.assert_array_equal(dataset.edisp.matrix, expected["edisp_kernel"])
        np.testing.assert_allclose(dataset.alpha, expected["acceptance"] / expected["acceptance_off"], rtol=1e-15)
        # gammapy keeps edges as exp(ln E), and the exposure in the unit of the file
        np.testing.assert_allclose(dataset.energy_edges, expected["energy_edges_TeV"], rtol=1e-14)
        np.testing.assert_allclose(dataset.energy_true_edges, expected["energy_true_edges_TeV"], rtol=1e-14)
        ratio = dataset.exposure / np.where(expected["exposure"] > 0, expected["exposure"], 1)
        assert np.array_equal(dataset.exposure > 0, expected["exposure"] > 0)
        np.testing.assert_allclose(ratio[dataset.exposure > 0], ratio.max(), rtol=1e-14)
        assert round(ratio.max()) in (1, 10_000)
        low, high = settings["settings"]["ranges_TeV"][name.split("_")[0]]
        fitted = dataset.with_mask_fit(energy_min=low * u.TeV, energy_max=high * u.TeV, round_to_edge=False)
        np.testing.assert_array_equal(fitted.mask, expected["mask"])
        assert fitted.mask.sum() == n_fit[name]


def test_real_spectra_survive_a_round_trip(data_path, tmp_path):
    for name, path in real_files(data_path).items():
        dataset = SpectrumDatasetOnOff.read(path)
        dataset.write(tmp_path / f"{name}.fits")
        assert_equal(dataset, SpectrumDatasetOnOff.read(tmp_path / f"{name}.fits"))


def test_files_of_a_spectrum_are_those_beside_it(tmp_path, monkeypatch):
    """Files of the same names in the current folder are not its own."""
    edges = np.geomspace(1, 10, 4)
    for folder, off in (("own", 5.0), ("here", 50.0)):
        (tmp_path / folder).mkdir()
        run = gj.SpectrumDatasetOnOff(
            edges, counts=[9, 8, 7], counts_off=np.full(3, off), acceptance_off=5, exposure=np.full(3, 1e12), livetime=1
        )
        run.write(tmp_path / folder / "pha_run.fits", format="ogip")
    monkeypatch.chdir(tmp_path / "here")
    read = gj.SpectrumDatasetOnOff.read(tmp_path / "own" / "pha_run.fits")
    np.testing.assert_array_equal(read.counts_off, [5, 5, 5])
    with pytest.raises(gj.InputError, match=r"overwrite: found 'models\.yaml', expected True or False"):
        gj.Datasets([read]).write(tmp_path / "index.yaml", "models.yaml")
    assert not (tmp_path / "index.yaml").exists()
