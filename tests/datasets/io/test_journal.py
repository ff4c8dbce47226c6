"""Files that appear together or not at all, and what else writing promises."""

import json
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gammajax.datasets import InputError
from gammajax.datasets.io import read_bytes, write_files
from gammajax.datasets.io.journal import JOURNAL

SCRIPT = Path(__file__).resolve().parents[2] / "cases" / "killed.py"


def test_killed_writers_leave_no_mixture():
    """At every step of a writing of 25 files, and at 20 times by chance."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", SCRIPT, "20"], capture_output=True, text=True, timeout=300, check=True
    )
    found = json.loads(run.stdout)
    assert found["kills"] > 3 * 25 + 20
    assert found["mixtures"] == found["leftovers"] == 0


def journal(folder, text):
    (folder / JOURNAL).write_text(text)


def test_a_reader_finishes_what_was_interrupted(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "part").write_text("new")
    # the other one was renamed before the end came
    journal(tmp_path, json.dumps({"gone": "b", "part": "a"}))
    (tmp_path / "b").write_text("new")
    assert read_bytes(tmp_path / "a") == b"new" and sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_readers_beside_a_writer(tmp_path):
    """Three threads that write one folder again and again: each file is whole, and in the end all are of one writer."""
    paths = [tmp_path / f"{i}" for i in range(3)]
    words = [word * 20_000 for word in (b"a", b"b", b"c")]
    write_files(dict.fromkeys(paths, words[0]))

    def write(word):
        for _ in range(15):
            write_files(dict.fromkeys(paths, word), overwrite=True)

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, word) for word in words]
        while not all(writer.done() for writer in writers):
            assert all(read_bytes(path) in words for path in paths)
    assert [writer.result() for writer in writers] == [None] * 3
    assert len({read_bytes(path) for path in paths}) == 1
    assert {p.name for p in tmp_path.iterdir()} == {"0", "1", "2"}


def test_folders_change_one_after_the_other(tmp_path, monkeypatch):
    """A renaming that fails in one folder leaves that one as it was."""
    old = {tmp_path / "a" / "x": b"old", tmp_path / "b" / "x": b"old"}
    write_files(old)
    before, calls = os.replace, []

    def second_fails(*given):
        calls.append(given)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        before(*given)

    monkeypatch.setattr(os, "replace", second_fails)
    with pytest.raises(InputError, match="cannot write"):
        write_files(dict.fromkeys(old, b"new"), overwrite=True)
    assert sorted(path.read_bytes() for path in old) == [b"new", b"old"]
    assert all([p.name for p in (tmp_path / folder).iterdir()] == ["x"] for folder in "ab")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"../x": "a"}', '{"part": "/etc/x"}', '{"part": "lost"}', "\x00"], ids=str
)
def test_a_journal_that_cannot_be_followed(tmp_path, text):
    (tmp_path / "a").write_text("old")
    journal(tmp_path, text)
    with pytest.raises(InputError, match="was interrupted here, and cannot be finished"):
        read_bytes(tmp_path / "a")
    with pytest.raises(InputError, match="and write the files again"):
        write_files({tmp_path / "a": b"x"}, overwrite=True)


def test_permissions_and_links_stay(tmp_path):
    secret, link = tmp_path / "secret", tmp_path / "link"
    write_files({secret: b"1"})
    os.chmod(secret, 0o600)
    link.symlink_to("secret")
    write_files({link: b"2"}, overwrite=True)
    assert link.is_symlink() and secret.read_bytes() == b"2" and stat.S_IMODE(secret.stat().st_mode) == 0o600
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    os.chmod(secret, 0o640)
    write_files({secret: b"3", tmp_path / "new": b"4"}, overwrite=True)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(InputError, match="a device or a pipe"):
            write_files({path: b"x"}, overwrite=True)


def test_names_of_any_length(tmp_path):
    long = tmp_path / ("n" * 240 + ".fits")
    write_files({long: b"x", tmp_path / "b": b"y"})
    assert read_bytes(long) == b"x"
    for name in ("n" * 300, "n" * 5000, "a/" * 3000):
        for call in (lambda path: write_files({path: b"x"}), read_bytes):
            with pytest.raises(InputError) as caught:
                call(tmp_path / name)
            assert len(str(caught.value)) < 2000
    for name in ("", " ", "a\0b"):
        with pytest.raises(InputError, match="A file name is needed"):
            read_bytes(name)


def test_a_full_disk_or_a_missing_right_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="cannot write"):
        write_files({tmp_path / "a": b"new", tmp_path / "b": b"new"}, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize("names", [["new"], ["one", "two", "three"]])
def test_of_writers_of_new_files_one_is_the_first(tmp_path, names):
    """Threads look for the file before any has written it: all but one are told that it exists."""
    begin, ends = threading.Barrier(6), []

    def write(k):
        begin.wait()
        try:
            write_files({tmp_path / name: bytes([k]) * 100 for name in names})
            ends.append(k)
        except InputError as error:
            assert "exists already" in str(error)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 1 and sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {bytes(ends) * 100}
