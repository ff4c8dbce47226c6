"""The command on terminals, pipes and disks as they are: encodings, widths, readers that leave, signals."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gammajax as gj

COMMAND = [sys.executable, "-m", "gammajax_command"]
NAMES = ("Käfer☉", "red\x1b[31mname", "a" * 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("terminal")
    data = {"counts": [5, 3, 1], "background": [1, 1, 0.5], "exposure": [2e12] * 3, "livetime": 1800.0}
    run = gj.SpectrumDataset([1.0, 2.0, 4.0, 8.0], **data)
    gj.Datasets(dict.fromkeys(NAMES, run)).write(path / "datasets.yaml")
    return path


def info(folder, *, stdout=subprocess.PIPE, **env):
    command = [*COMMAND, "info", str(folder / "datasets.yaml")]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=os.environ | env, timeout=120)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_letters_that_a_terminal_does_not_know(folder, encoding):
    run = info(folder, PYTHONIOENCODING=encoding)
    text = run.stdout.decode(encoding)
    assert run.returncode == 0 and not run.stderr
    assert ("K?fer?" if encoding == "ascii" else "Käfer?") in text
    # orders to the terminal in a name are shown, not obeyed
    assert "\x1b" not in text and r"red\x1b[31mname" in text


def test_a_reader_that_has_seen_enough(folder):
    command = [*COMMAND, "info", *[str(folder / "datasets.yaml")] * 50]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read() == b"" and run.wait(120) == 0


def test_no_output_and_a_full_disk(folder):
    closed = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m gammajax_command info {folder}/datasets.yaml >&-"],
        stderr=subprocess.PIPE,
        timeout=120,
    )
    assert closed.returncode == 0 and not closed.stderr
    if Path("/dev/full").exists():
        with open("/dev/full", "wb") as full:
            run = info(folder, stdout=full)
        assert run.returncode == 2 and re.fullmatch(rb"gammajax: error: [^\n]+\n", run.stderr)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_narrow_terminals_show_everything(folder, width):
    """In one table, or as a list for each dataset."""
    import fcntl
    import struct
    import termios

    try:
        main, side = pty.openpty()
    except OSError as error:
        pytest.skip(f"there are no pseudo terminals here: {error}")
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 25, width, 0, 0))
    env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")} | {"TERM": "xterm"}
    with subprocess.Popen(
        [*COMMAND, "info", "datasets.yaml"], stdin=side, stdout=side, stderr=side, env=env, cwd=folder
    ) as run:
        os.close(side)
        shown = b""
        try:
            while part := os.read(main, 4096):
                shown += part
        except OSError:  # the other end has gone
            pass
        os.close(main)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()
    assert run.returncode == 0 and max(map(len, lines)) <= width
    text = "\n".join(lines)
    for word in ("Käfer☉", "Counts", "Excess", "Signif.", "30.0", "3/3", "1 - 8"):
        assert word in text, text


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux how far a process has come")
@pytest.mark.parametrize("loaded", ["_multiarray", "jax"], ids=["imports", "work"])
@pytest.mark.parametrize("sent, code, word", [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_signals(tmp_path, sent, code, word, loaded):
    """While modules are imported, and while the command runs: one line, and no file written by half."""
    if signal.getsignal(sent) is signal.SIG_IGN:
        pytest.skip("the signal is ignored here, as by jobs in the background, and so by what they start")
    command = [*COMMAND, "demo", "--no-plots", "--quiet", "-o", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        deadline = time.monotonic() + 100
        while loaded not in Path(f"/proc/{run.pid}/maps").read_text() and time.monotonic() < deadline:
            time.sleep(0.005)
        if loaded == "jax":
            while not (tmp_path / "out").exists() and run.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
        run.send_signal(sent)
        out, err = run.communicate(timeout=120)
    assert (run.returncode, err.decode()) == (code, f"gammajax: {word}\n") and not out
    left = list((tmp_path / "out").rglob("*")) if (tmp_path / "out").exists() else []
    assert not [path for path in left if path.name.endswith(".part")]
