"""The cache of compiled programs: nothing damaged is taken from it, and no place for it is no error."""

import os
import subprocess
import sys
import zlib

import pytest

from gammajax.cli import compiled

WHOLE = zlib.compress(bytes(range(256)) * 40)

PROGRAM = """
import os, sys, warnings
warnings.simplefilter("error")
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # as the command
from gammajax.cli.session import set_up_jax
set_up_jax()
import jax
sys.stdout.write(str(float(jax.jit(lambda x: x * 3)(0.5))))
"""


def names(folder):
    return sorted(path.name.removesuffix("-cache") for path in folder.glob(compiled.ENTRY))


def test_damaged_entries_go(tmp_path):
    contents = {"whole": WHOLE, "cut": WHOLE[:-9], "garbage": b"x" * 500, "empty": b"", "zstd": b"\x28\xb5\x2f\xfd" * 9}
    for name, data in contents.items():
        (tmp_path / f"{name}-cache").write_bytes(data)
    (tmp_path / "folder-cache" / "inside").mkdir(parents=True)
    (tmp_path / "link-cache").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe-cache")
    compiled.prune(tmp_path)
    assert names(tmp_path) == ["whole"]
    # known now: it has to stay as it was, also where it would still unpack
    (tmp_path / "new-cache").write_bytes(WHOLE)
    (tmp_path / "whole-cache").write_bytes(zlib.compress(b"other machine code"))
    compiled.prune(tmp_path)
    assert names(tmp_path) == ["new"]
    for broken in (b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"new-cache": 7}'):
        (tmp_path / compiled.SUMS).write_bytes(broken)
        compiled.prune(tmp_path)
        assert names(tmp_path) == ([] if b"7" in broken else ["new"])


def test_two_processes_replace_what_is_damaged(tmp_path):
    """At the same time, in a folder whose entries were all cut off."""

    def started():
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def ended(run):
        assert (*run.communicate(timeout=300), run.returncode) == (b"1.5", b"", 0)

    ended(started())
    (folder,) = (tmp_path / "gammajax").iterdir()
    entries = list(folder.glob(compiled.ENTRY))
    sizes = {path: path.stat().st_size for path in entries}
    for path in entries:
        path.write_bytes(path.read_bytes()[:-20])
    for run in [started(), started()]:
        ended(run)
    assert len(entries) > 0
    assert all(abs(path.stat().st_size - size) < 20 for path, size in sizes.items())
    compiled.prune(folder)
    assert set(folder.glob(compiled.ENTRY)) == set(entries)


@pytest.mark.parametrize("home", ["", ".", "/", "afile", "/dev/null", "/proc/nobody", "a\udcffb", "n" * 5000])
def test_no_home_is_no_error(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "afile").write_text("")
    for name, value in (("HOME", home), ("XDG_CACHE_HOME", home)):
        monkeypatch.setenv("XDG_CACHE_HOME", "")
        monkeypatch.setenv(name, value)
        if name == "HOME" or value.startswith(("/dev", "/proc")):
            assert compiled.cache_folder("1") is None
    assert [path.name for path in tmp_path.iterdir()] == ["afile"]


def test_a_cache_folder_that_cannot_be_read_or_written(tmp_path):
    compiled.prune(tmp_path / "missing")
    (tmp_path / "a-cache").write_bytes(WHOLE)
    (tmp_path / compiled.SUMS).mkdir()
    compiled.prune(tmp_path)
    assert names(tmp_path) == ["a"]
