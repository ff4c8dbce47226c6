"""The command line with flux points among the datasets."""

import os

import jax
import numpy as np
import pytest
from cases import flux_points as cases

import gammajax as gj
from gammajax.cli import session
from gammajax.cli.main import main

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"])
    monkeypatch.setattr(session, "cache_folder", lambda jaxlib: None)
    before = jax.config.read("jax_enable_x64")
    edges = np.geomspace(0.5, 20, 7)
    run = gj.SpectrumDatasetOnOff(
        edges, counts=[60, 40, 25, 12, 5, 2], counts_off=[80, 60, 30, 20, 8, 4], acceptance_off=8.0,
        exposure=np.full(6, 3e12), livetime=1000.0,
    )  # fmt: skip
    gj.Datasets({"run": run, "points": cases.dataset("distrib")}).write(tmp_path / "datasets.yaml")
    cases.power_law(2.3, 2e-11).write(tmp_path / "models.yaml")
    yield tmp_path
    jax.config.update("jax_enable_x64", before)


@pytest.mark.filterwarnings("default:with_mask_fit", "default:--energy-min")
def test_fit_and_info(folder, capsys):
    """Results and pictures of what has counts; flux points take part, and show no counts."""
    out = folder / "out"
    files = [str(folder / "datasets.yaml"), str(folder / "models.yaml")]
    assert main(["fit", *files, "-o", str(out), "--energy-max", "20TeV"]) == 0
    printed = capsys.readouterr().out
    (row,) = [line for line in printed.splitlines() if line.strip().startswith("points")]
    assert row.split()[1:5] == ["9", "-", "-", "-"] and "Converged" in printed
    assert {p.name for p in out.glob("*.png")} == {"counts-run.png", "sed-m.png"}
    datasets = gj.Datasets.read(folder / "datasets.yaml")
    datasets = gj.Datasets({name: d.with_mask_fit(energy_max=20) for name, d in datasets.items()})
    direct = gj.fit(datasets, cases.power_law(2.3, 2e-11))
    fitted = gj.Models.read(out / "result.yaml").parameters["m.spectral.index"]
    assert float(fitted.value) == pytest.approx(float(direct.parameters["m.spectral.index"].value), rel=1e-9)
    assert main(["info", str(folder / "datasets.yaml"), str(folder / "points.fits")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("11/12") == 2
