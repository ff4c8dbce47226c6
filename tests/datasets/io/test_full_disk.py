"""Every writer on a disk that is full: a file system of its own, in memory, with room for part of the files."""

import ast
import os
import subprocess
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest
from cases import flux_points, gadf_maps, light_curves, regions
from test_architecture import files, short

import gammajax as gj
from gammajax.cli.main import main

PAGE, PAGES = 4096, 200
"""Bytes that a file takes at least, and how many of them the file system has."""

WRITING = {"savefig", "write_bytes", "write_text", "writeto", "tofile", "save", "savez", "savetxt", "mkstemp", "dump"}
"""Calls that would write a file past the door; `dump` of JSON and of YAML."""

EDGES = [1.0, 2.0, 4.0, 8.0]
MODELS = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(), name="crab")])


@pytest.fixture(scope="module")
def disk():
    """An empty file system of `PAGES` pages."""
    with tempfile.TemporaryDirectory() as name:
        options = ["-t", "tmpfs", "-o", f"size={PAGE * PAGES},mode=0700", "tmpfs", name]
        try:
            subprocess.run(["mount", *options], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"a small file system cannot be mounted here, which takes root on Linux ({error})")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def on_off():
    data = {"counts": [5, 3, 1], "counts_off": [9, 4, 2], "acceptance": 1, "acceptance_off": 5, "livetime": 1800.0}
    edisp = gj.EDispKernel.from_gauss(EDGES, EDGES, 0.2)
    return gj.SpectrumDatasetOnOff(EDGES, exposure=[2e12] * 3, edisp=edisp, gti=gj.GTI([0.0], [1800.0], 55555), **data)


def events():
    n = {"lon": np.full(9, 83.0), "lat": np.full(9, 22.0)}
    return gj.EventList(np.linspace(1, 7, 9), np.linspace(1, 90, 9), gj.GTI([0.0], [100.0], 55555), **n)


def sky_maps():
    maps = {name: np.ones((1, *gadf_maps.GEOM.shape)) for name in ("norm", "ts")}
    return gj.SkyMaps(gadf_maps.GEOM, [1.0, 10.0], maps, MODELS[0])


def result():
    run = gj.fake(jax.random.key(0), on_off(), MODELS)
    return gj.fit({"run": run}, MODELS, starts=1)


WRITERS = {
    "spectrum": (on_off, "pha.fits"),
    "map": (gadf_maps.on_off, "map.fits"),
    "region": (regions.dataset, "region.fits"),
    "collection": (lambda: gj.Datasets({f"run-{i}": on_off() for i in range(4)}), "datasets.yaml"),
    "models": (lambda: MODELS, "models.yaml"),
    "result": (result, "result.yaml"),
    "points": (flux_points.points, "points.fits"),
    "packed": (flux_points.points, "points.fits.gz"),
    "curve": (light_curves.curve, "curve.fits"),
    "sky": (sky_maps, "maps.fits"),
    "events": (events, "events.fits"),
    "psf": (gadf_maps.psf_map, "psf.fits"),
    "edisp": (gadf_maps.migra_map, "edisp.fits"),
    "template": (
        lambda: gj.TemplateSpatialModel(np.ones(gadf_maps.GEOM.shape), gadf_maps.GEOM),
        "template.fits",
    ),
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fill(disk, free):
    """Leave so many pages."""
    (disk / "filling").unlink(missing_ok=True)
    state = os.statvfs(disk)
    (disk / "filling").write_bytes(bytes((state.f_bavail - free) * PAGE))
    assert os.statvfs(disk).f_bavail == free


def emptied(disk):
    for path in disk.iterdir():
        path.unlink() if path.is_file() else subprocess.run(["rm", "-r", path], check=True)


@pytest.mark.parametrize("name", WRITERS)
def test_old_files_stay_where_there_is_no_room(disk, name):
    """With no room, room for all files but one page, and some in between."""
    make, filename = WRITERS[name]
    emptied(disk)
    folder = disk / "out"
    folder.mkdir()
    made = make()
    made.write(folder / filename)
    # that the new ones could not be told from the old ones would hide a mixture
    for path in folder.iterdir():
        path.write_bytes(b"old " + path.name.encode())
    old = contents(folder)
    fill(disk, PAGES // 2)
    made.write(folder / filename, overwrite=True)
    new = contents(folder)
    assert set(new) == set(old) and not set(new.values()) & set(old.values())
    needed = sum(-(-len(data) // PAGE) for data in new.values())
    for free in sorted({0, 1, needed // 2, needed - 1} & set(range(needed))):
        for file, data in old.items():
            (folder / file).write_bytes(data)
        fill(disk, free)
        with pytest.raises(gj.InputError, match=r"cannot write \(No space left on device\)"):
            made.write(folder / filename, overwrite=True)
        assert contents(folder) == old


def test_the_command_ends_with_one_line(disk, tmp_path, capsys):
    """Results and pictures that find no room: exit code 2, and the old files."""
    emptied(disk)
    gj.Datasets({"run": on_off()}).write(tmp_path / "datasets.yaml")
    MODELS.write(tmp_path / "models.yaml")
    files = [str(tmp_path / "datasets.yaml"), str(tmp_path / "models.yaml")]
    (disk / "out").mkdir()
    (disk / "out" / "counts-run.png").write_bytes(b"old")
    fill(disk, 1)
    out = ["-o", str(disk / "out"), "--overwrite", "--no-cache"]
    assert main(["plot", *files, *out, "--only", "counts"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gammajax: error: ") and error.count("\n") == 1 and "No space left" in error
    assert contents(disk / "out") == {"counts-run.png": b"old"}


def test_one_door():
    """No file of the package writes to the disk but those of the door, which is tried above."""
    for path in files().values():
        if short(path) in ("datasets/io/paths.py", "datasets/io/journal.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            into_memory = node.args and getattr(node.args[0], "id", "") == "stream"
            of_yaml = called == "dump" and len(node.args) == 1
            assert called not in WRITING or into_memory or of_yaml, f"{short(path)}, line {node.lineno}: {called}"
            if called == "open" and isinstance(node.func, ast.Name) and len(node.args) > 1:
                assert ast.unparse(node.args[0]) == "os.devnull", f"{short(path)}, line {node.lineno}: open"
