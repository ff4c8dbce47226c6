"""The command where homes, caches, locales and limits are as strangers have them: the same result, and nothing said."""

import os
import subprocess
import sys

import pytest

import gammajax as gj

pytestmark = pytest.mark.slow

CONDITIONS = {
    # variables that are set, or not (None); FILE is one that is no folder
    "no home": {"HOME": None, "XDG_CACHE_HOME": None, "LC_ALL": "C", "TERM": None},
    "a home that is none": {"HOME": "/proc", "XDG_CACHE_HOME": None, "LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"},
    "a home that is a file": {"HOME": "FILE", "XDG_CACHE_HOME": "here", "LC_ALL": "tr_TR.UTF-8", "PYTHONOPTIMIZE": "1"},
    "a cache that is a file": {"HOME": "", "XDG_CACHE_HOME": "FILE", "PYTHONWARNINGS": "error", "MPLBACKEND": "none"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("conditions")
    data = {"counts": [52, 31, 14, 9], "background": [4, 3, 2, 1], "exposure": [2e12] * 4, "livetime": 1800.0}
    gj.Datasets({"run": gj.SpectrumDataset([1.0, 2.0, 4.0, 8.0, 16.0], **data)}).write(path / "datasets.yaml")
    spectrum = gj.PowerLawSpectralModel(index=2.0, amplitude=2e-11)
    gj.Models([gj.SkyModel(spectrum, name="crab")]).write(path / "models.yaml")
    (path / "file").write_text("no folder\n")
    return path


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_fit_with_pictures(folder, name):
    changes = {k: str(folder / "file") if v == "FILE" else v for k, v in CONDITIONS[name].items()}
    kept = {k: v for k, v in os.environ.items() if k not in {"MPLCONFIGDIR", *changes}}
    output = folder / name
    run = subprocess.run(
        [sys.executable, "-m", "gammajax_command", "fit", "datasets.yaml", "models.yaml", "-o", str(output)],
        cwd=folder,
        env=kept | {"JAX_PLATFORMS": "cpu"} | {k: v for k, v in changes.items() if v is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )
    assert (run.returncode, run.stderr.decode()) == (0, "")
    result = gj.FitResult.read(output / "result.yaml")
    assert result.success and len(list(output.glob("*.png"))) == 2
    assert "crab" in run.stdout.decode("utf-8")


def test_devices_that_there_are_not(folder):
    run = subprocess.run(
        [sys.executable, "-m", "gammajax_command", "fit", "datasets.yaml", "models.yaml", "-o", "nowhere"],
        cwd=folder,
        env=os.environ | {"JAX_PLATFORMS": "abacus"},
        capture_output=True,
        timeout=300,
    )
    error = run.stderr.decode()
    assert run.returncode == 2 and error.count("\n") == 1 and "JAX_PLATFORMS is 'abacus'" in error
