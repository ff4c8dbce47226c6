"""How the package is laid out, built and imported."""

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import gammajax as gj
from gammajax.datasets.models.spatial import SPATIAL_MODELS
from gammajax.datasets.models.spectral import SPECTRAL_MODELS
from gammajax.datasets.models.temporal import TEMPORAL_MODELS
from gammajax.datasets.models.yaml import MODELS

ROOT = Path(__file__).resolve().parents[1]


def test_kernels_know_arrays_only():
    allowed = {"jax", "jaxtyping", "numpy", "equinox"} | set(sys.stdlib_module_names)
    for path in (ROOT / "kernels").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            for module in modules:
                assert module.split(".")[0] in allowed, f"kernels/{path.name} imports {module}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    keep = ("pyproject.toml", "README.md", "LICENSE", "kernels", "datasets", "fit", "src")
    copy.mkdir()
    for name in keep:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, copy / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(copy)],
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_has_names_of_its_own_only(wheel):
    """``datasets`` and ``kernels`` must never be top-level packages: other projects own these names. The command has a
    module of its own, as it answers to signals before the package is imported."""
    names = wheel.namelist()
    tops = {n.split("/")[0] for n in names}
    assert {t for t in tops if not t.endswith(".dist-info")} == {"gammajax", "gammajax_command.py"}
    # every file of every folder: the folders are listed in pyproject.toml one by one
    for folder in ("kernels", "datasets", "fit", "src/gammajax"):
        root = ROOT / "src" if folder.startswith("src") else ROOT
        inside = [p.relative_to(root).as_posix() for p in (ROOT / folder).rglob("*.py")]
        assert {name if name.startswith("gammajax/") else f"gammajax/{name}" for name in inside} <= set(names)
    assert "gammajax/py.typed" in names
    assert not [n for n in names if "test" in n or n.endswith((".fits", ".gz"))]


def test_wheel_metadata(wheel):
    (name,) = [n for n in wheel.namelist() if n.endswith("METADATA")]
    metadata = wheel.read(name).decode()
    assert f"Version: {gj.__version__}" in metadata and "License-Expression: BSD-3-Clause" in metadata
    assert "Requires-Dist: jax>=0.10" in metadata
    (entry,) = [n for n in wheel.namelist() if n.endswith("entry_points.txt")]
    assert "gammajax = gammajax_command:main" in wheel.read(entry).decode()


def test_public_names_exist():
    for name in gj.__all__:
        assert getattr(gj, name).__doc__, name


def test_every_model_is_public():
    for registry in (SPECTRAL_MODELS, SPATIAL_MODELS, TEMPORAL_MODELS, MODELS):
        for cls in registry.values():
            assert getattr(gj, cls.__name__) is cls and cls.__name__ in gj.__all__


def test_import_is_light_and_changes_nothing():
    code = """
import sys, jax
before = {k: v for k, v in jax.config.values.items()}
import gammajax
assert {k: v for k, v in jax.config.values.items()} == before
heavy = {"matplotlib", "optax", "iminuit", "rich", "scipy", "regions", "gammapy", "astropy.table"}
heavy = (heavy | {"astropy.coordinates", "astropy.wcs"}) & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
