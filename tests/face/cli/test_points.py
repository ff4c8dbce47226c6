"""``gammajax flux-points`` and ``gammajax light-curve`` on the command line."""

import json

import numpy as np
import pytest
from cases import light_curves

import gammajax as gj
from gammajax.cli.main import main

pytestmark = pytest.mark.usefixtures("command_line")

EDGES = ["500GeV", "2", "20TeV"]


@pytest.fixture(scope="module")
def files(tmp_path_factory, spectrum_factory, power_law):
    folder = tmp_path_factory.mktemp("files")
    light_curves.runs(spectrum_factory).write(folder / "datasets.yaml")
    power_law().write(folder / "models.yaml")
    return [str(folder / "datasets.yaml"), str(folder / "models.yaml")]


def test_flux_points(files, tmp_path, capsys):
    out = tmp_path / "out"
    given = ["flux-points", *files, "--energy-edges", *EDGES, "-o", str(out), "--sed-type", "dnde"]
    assert main(given) == 0
    shown = capsys.readouterr().out
    direct = gj.flux_points(gj.Datasets.read(files[0]), gj.Models.read(files[1]), "source", [0.5, 2, 20])
    for name in ("flux-points.ecsv", "flux-points.fits"):
        read = gj.FluxPoints.read(out / name)
        assert read.sed_type == "dnde"
        np.testing.assert_allclose(read.dnde, direct.dnde, rtol=1e-9)
    row = next(line for line in shown.splitlines() if f"{direct.energy_min[0]:.4g} to" in line)
    assert row.split()[-1] == f"{direct.sqrt_ts[0]:.1f}"
    assert main(given) == 2
    assert "results are there already" in capsys.readouterr().err


def test_light_curve(files, tmp_path, capsys):
    out = tmp_path / "out"
    given = ["light-curve", *files, "--energy-edges", *EDGES, "-o", str(out), "--source", "source"]
    assert main([*given, "--times", "night-wise", "--longitude", "15"]) == 0
    shown = capsys.readouterr().out
    datasets, models = gj.Datasets.read(files[0]), gj.Models.read(files[1])
    direct = gj.light_curve(datasets, models, "source", "night-wise", [0.5, 2, 20], longitude=15)
    for name in ("light-curve-source.ecsv", "light-curve-source.fits"):
        read = gj.LightCurve.read(out / name)
        np.testing.assert_allclose(read.flux, direct.flux, rtol=1e-9)
        np.testing.assert_allclose(read.time_min, direct.time_min, rtol=0, atol=1e-9)
    assert (out / "light-curve-source.png").read_bytes().startswith(b"\x89PNG")
    assert "2009-06-17 11:00" in shown and f"chi2 {direct.constancy().chi2[0]:.1f} for 2 degrees" in shown

    edges = ["2009-06-17T00:00:00", "2009-06-18T12:00:00", "2009-06-24T00:00:00"]
    assert main([*given, "--overwrite", "--quiet", "--no-plots", "--times", *edges]) == 0
    assert capsys.readouterr().out == ""
    assert gj.LightCurve.read(out / "light-curve-source.fits").time_min[1] == pytest.approx(55000.5 + 66.184 / 86400)


def test_fit_with_flux_points_as_json(files, tmp_path, capsys):
    """One document, from which a program takes all numbers."""
    out = tmp_path / "out"
    given = ["fit", *files, "-o", str(out), "--no-plots", "--json", "--flux-points", *EDGES]
    assert main(given) == 0
    document = json.loads(capsys.readouterr().out)
    result = gj.FitResult.read(out / "result.yaml")
    assert document["success"] and document["fit"]["stat"] == pytest.approx(result.stat)
    index = next(p for p in document["parameters"] if p["name"] == "source.spectral.index")
    assert index["value"] == pytest.approx(float(result.parameters["source.spectral.index"].value))
    points = gj.FluxPoints.read(out / "flux-points-source.ecsv")
    found = document["flux_points"]["source"]
    np.testing.assert_allclose(found["dnde"], points.dnde.to_value("cm-2 s-1 TeV-1"), rtol=1e-9)
    assert found["units"]["e_min"] == "TeV"
    assert main(given) == 2 and "results are there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--source", "nobody"], "nobody"),
        (["--times", "weekly"], "--times"),
        (["--times", "55000.0"], "time_edges"),
        (["--energy-edges", "5", "1"], "increasing"),
    ],
)
def test_bad_input_is_one_line(files, tmp_path, capsys, change, words):
    given = ["light-curve", *files, "--energy-edges", *EDGES, "-o", str(tmp_path / "out"), *change]
    assert main(given) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not (tmp_path / "out").exists()
