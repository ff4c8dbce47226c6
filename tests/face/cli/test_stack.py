"""``gammajax stack`` on the command line."""

import numpy as np
import pytest

import gammajax as gj
from gammajax.cli.main import main

EDGES = [1.0, 2, 4, 8]


pytestmark = pytest.mark.usefixtures("command_line")


@pytest.fixture
def index(tmp_path):
    """Two spectra of which one has a fit range."""
    fields = {"counts_off": [20, 10, 5], "acceptance_off": 10, "exposure": [1e9, 2e9, 3e9], "livetime": 1800}
    run = gj.SpectrumDatasetOnOff(EDGES, counts=[10, 5, 2], edisp=np.eye(3), **fields)
    other = run.with_mask_safe([0, 1, 1]).with_mask_fit(energy_min=4)
    gj.Datasets({"one": run, "two": other}).write(tmp_path / "runs.yaml")
    return tmp_path / "runs.yaml"


def test_sum_of_spectra(index, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["stack", str(index), "-o", str(out), "--name", "night"]) == 0
    shown = capsys.readouterr().out
    row = next(line.split() for line in shown.splitlines() if "night" in line)
    assert row[:3] == ["night", "24", "50"]
    assert "Fit ranges are not carried over" in shown and f"Wrote {out}/: datasets.yaml" in shown
    datasets = gj.Datasets.read(out / "datasets.yaml")
    assert datasets.names == ("night",)
    expected = gj.Datasets.read(index).stack_reduce()
    np.testing.assert_array_equal(datasets["night"].counts, expected.counts)
    np.testing.assert_allclose(datasets["night"].background, expected.background, rtol=1e-12)
    np.testing.assert_allclose(datasets["night"].exposure, expected.exposure, rtol=1e-12)
    assert datasets["night"].mask_fit is None and datasets["night"].livetime == 3600


def test_files_of_an_earlier_run(index, tmp_path, capsys):
    options = ["stack", str(index), "-o", str(tmp_path / "out"), "--quiet"]
    assert main(options) == 0 and capsys.readouterr() == ("", "")
    assert main(options) == 2
    assert "results are there already (datasets.yaml)" in capsys.readouterr().err
    assert main([*options, "--overwrite"]) == 0


def test_bad_input_is_one_line(index, tmp_path, capsys):
    datasets = gj.Datasets.read(index)
    mixed = datasets[:1] + gj.Datasets({"known": gj.SpectrumDataset(EDGES, counts=[1, 2, 3], exposure=[1, 1, 1])})
    mixed.write(tmp_path / "mixed.yaml", overwrite=True)
    assert main(["stack", str(tmp_path / "mixed.yaml"), "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gammajax: error: stack: dataset 'known' is a SpectrumDataset and 'one' a")
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()
    assert main(["stack", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err
