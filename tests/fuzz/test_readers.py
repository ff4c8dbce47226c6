"""A short run of damaged files over every reader; a long one: ``python -m fuzz --cases 200000`` in the folder tests."""

import ast
import gzip

import numpy as np
import pytest
from astropy.table import Table
from test_architecture import files, short

import gammajax as gj

from .cases import Sound, fault_of, faults
from .readers import READERS

SEEDS = range(10)

BY_NAME = {reader.name: reader for reader in READERS}


@pytest.mark.parametrize("reader", READERS, ids=[reader.name for reader in READERS])
def test_damaged_files(reader):
    assert faults(reader, SEEDS) == []


def card(key, value):
    """Put a card as it stands in place of that of the file, or in front of the END of the first header."""

    def change(data):
        for line in value if isinstance(value, tuple) else (value,):
            text = f"{key:8}= {line}".encode("latin-1").ljust(80)[:80]
            place = data.find(f"{key:8}=".encode())
            place = place if place >= 0 and place % 80 == 0 else data.find(b"END" + b" " * 77)
            data = data[:place] + text + data[place + 80 :]
        return data

    return change


KNOWN = {
    # reader, file, and what was done to it: all were errors of Python or of astropy, or took half a minute
    "axes": ("map", "map.fits", card("NAXIS", "99999999")),
    "more axes": ("absorption", "ebl.fits", card("NAXIS", "2147483647")),
    "columns": ("rmf", "rmf.fits", card("TFIELDS", "99999999")),
    "a unit that is none": ("arf", "arf.fits", card("TUNIT1", "T")),
    "a unit that is a number": ("psf-map", "psf.fits", card("TUNIT2", "7")),
    "a power that is too large": ("cube", "template.fits", card("TUNIT2", "'TeV**999'")),
    "a card that is none": ("template", "template.fits", card("CRPIX2", "2.5.5")),
    "another": ("template", "template.fits", card("EQUINOX", "2.5.5")),
    "a unit of the map": ("cube", "template.fits", card("BUNIT", "2.5.5")),
    "a unit of two fields": ("template", "template.fits", card("BUNIT", "'m, s'")),
    "a frame": ("template", "template.fits", card("RADESYS", "'XYZ'")),
    "axes of the sky": ("template", "template.fits", card("WCSAXES", "99999999")),
    "fewer of them": ("template", "template.fits", card("WCSAXES", "9000")),
    "orders of distortions": ("template", "template.fits", card("A_ORDER", "9999")),
    "a row of a negative size": ("phase", "phase.fits", card("NAXIS1", "-1")),
    "more behind the table than there is": ("grid", "grid.fits", card("PCOUNT", "99999999")),
    "a format of a column": ("points", "points.fits", card("TFORM9", "0xFF")),
    "a format that is none": ("points", "points.fits", card("TFORM15", "INF")),
    "a first channel": ("rmf", "rmf.fits", card("TLMIN4", "1e308")),
    "a time scale": ("events", "events.fits", card("TIMESYS", "'XYZ'")),
    "a column of a region": ("region", "region.fits", lambda data: data.replace(b"'SHAPE   '", b"'XYZ     '")),
    "a factor of a unit": ("grid", "grid.fits", card("TUNIT2", "'0.999999 m'")),
    "a fit statistic": ("ogip", "pha.fits", card("STATTYPE", "2.5.5")),
}


@pytest.mark.parametrize("reader, name, change", KNOWN.values(), ids=KNOWN)
def test_what_was_found(tmp_path, reader, name, change):
    sound = Sound(BY_NAME[reader], tmp_path / "files")
    path = sound.folder / name
    path.write_bytes(change(path.read_bytes()))
    assert fault_of(lambda: sound.reader.read(sound.folder)) is None


def test_tables_without_rows_and_kinds_that_are_lists(tmp_path):
    (tmp_path / "curve.ecsv").write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: TIME, unit: d, datatype: float64}\n"
        "# - {name: NORM, datatype: float64}\nTIME NORM\n"
    )
    with pytest.raises(gj.InputError):
        gj.LightCurveTemplateTemporalModel.read(tmp_path / "curve.ecsv")
    points = Table({"e_ref": [1.0], "dnde": [1e-12]}, meta={"SED_TYPE": ["dnde"]})
    with pytest.raises(gj.InputError, match="the kind of table"):
        gj.FluxPoints.from_table(points)


def test_a_column_of_one_number_more(tmp_path):
    Table({"PHASE": [[0.0], [0.5], [1.0]], "NORM": [1.0, np.nan, 1.0]}).write(tmp_path / "phase.fits")
    with pytest.raises(gj.InputError):
        gj.TemplatePhaseCurveTemporalModel.read(tmp_path / "phase.fits")


def aliases(levels):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join([*lines, f"datasets: [*a{levels - 1}]", f"components: [*a{levels - 1}]"])


@pytest.mark.parametrize("read", [gj.Datasets.read, gj.Models.read])
@pytest.mark.parametrize(
    "text",
    [
        aliases(11),
        "datasets: &a [*a]\ncomponents: &b [*b]",
        f"components: 0x{'f' * 5000}\ndatasets: 0x{'f' * 5000}",
        f"datasets: -0b{'1' * 50_000}",
        f"components: {'9:' * 5000}9",
    ],
    ids=["many", "itself", "digits", "bits", "hours"],
)
def test_yaml_that_fills_the_memory(tmp_path, read, text):
    path = tmp_path / "bomb.yaml"
    path.write_text(text)
    with pytest.raises(gj.InputError) as caught:
        read(path)
    assert len(str(caught.value)) < 2000


def test_compressed_files_that_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("gammajax.datasets.io.paths.MOST_UNPACKED", 2**20)
    (tmp_path / "map.fits.gz").write_bytes(gzip.compress(b"\0" * (2**20 + 1)))
    with pytest.raises(gj.InputError, match="unpack"):
        gj.MapDataset.read(tmp_path / "map.fits.gz")


def test_no_address_is_opened(tmp_path, monkeypatch):
    """Neither one that a text file consists of, nor one in a table of another form."""
    import urllib.request

    def opened(*_, **__):
        raise AssertionError("an address was opened")

    monkeypatch.setattr(urllib.request, "urlopen", opened)
    remote = (tmp_path / "secret.txt").as_uri()
    (tmp_path / "secret.txt").write_text("TIME NORM\n1 2\n")
    votable = (
        '<?xml version="1.0"?><VOTABLE version="1.3"><RESOURCE><TABLE><FIELD name="TIME" datatype="double"/>'
        f'<DATA><BINARY><STREAM href="{remote}"/></BINARY></DATA></TABLE></RESOURCE></VOTABLE>'
    )
    for number, text in enumerate((remote, "http://localhost:9/x", votable)):
        path = tmp_path / f"{number}.ecsv"
        path.write_text(text)
        for read in (gj.LightCurveTemplateTemporalModel.read, gj.FluxPoints.read):
            with pytest.raises(gj.InputError, match="neither a FITS file nor an ECSV table"):
                read(path)


OPENERS = {
    "datasets/io/fits.py": {"fits.open"},
    "datasets/io/tables.py": {"Table.read"},
    "datasets/io/region_table.py": {"Table.read", "QTable.read"},
    # what gammapy has in memory
    "src/gammajax/interop/maps.py": {"fits.open"},
    "src/gammajax/interop/datasets.py": {"Table.read"},
}
"""Calls that read FITS and tables: of bytes that the door has given them."""


def test_one_door():
    """Files are opened in `datasets/io/paths.py`, FITS in `datasets/io/fits.py`, tables in `datasets/io/tables.py`."""
    for path in files().values():
        calls = [ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        found = {
            call for call in calls if call in ("fits.open", "Table.read", "QTable.read", "fits.getdata", "np.load")
        }
        assert found <= OPENERS.get(short(path), set()), path


def test_the_files_are_read_before_they_are_damaged(tmp_path):
    """Else nothing would be tried."""
    for reader in READERS:
        sound = Sound(reader, tmp_path / reader.name)
        reader.read(sound.folder)
        assert sound.targets and all(sound.contents.values())
