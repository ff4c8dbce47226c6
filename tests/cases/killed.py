"""Writers of several files that are killed at every step, or at any time: run as a program of its own, as it forks.

Prints the numbers of kills, of folders that hold a mixture or cannot be read, and of leftovers after the next writing.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from gammajax.datasets.io import journal
from gammajax.datasets.io.paths import read_bytes, write_files

N = 25
STEPS = ((os, "replace"), (os, "link"), (os, "fsync"), (os, "chmod"), (os, "unlink"), (journal, "write_part"))


def contents(folder: Path, word: bytes) -> dict[Path, bytes]:
    return {folder / f"{i}.fits": word * 1000 for i in range(N)}


def read(folder: Path) -> set[bytes]:
    """The first letters of the files, as a reader of the package finds them."""
    return {read_bytes(folder / f"{i}.fits")[:3] for i in range(N)}


def killed_at(folder: Path, step: int) -> bool:
    """Write in a process that ends without a word before its call number ``step``; False if it came to its end."""
    child = os.fork()
    if child == 0:
        left = [step]
        for place, name in STEPS:
            before = getattr(place, name)

            def counted(*given, _before=before, **named):
                left[0] -= 1
                if left[0] < 0:
                    os._exit(9)
                return _before(*given, **named)

            setattr(place, name, counted)
        write_files(contents(folder, b"new"), overwrite=True)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def killed_after(folder: Path, seconds: float) -> bool:
    child = os.fork()
    if child == 0:
        while True:
            write_files(contents(folder, b"new"), overwrite=True)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main(by_chance: int) -> None:
    rng = random.Random(1)
    kills = mixtures = leftovers = finished = 0
    step = 0
    while True:
        by_step = not finished
        if not by_step and by_chance == 0:
            break
        # in memory, where thousands of fsync cost nothing: it is processes that are killed, and not the machine
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as name:
            folder = Path(name)
            write_files(contents(folder, b"old"))
            if by_step:
                killed = killed_at(folder, step)
                step += 1
                finished = not killed
            else:
                killed = killed_after(folder, rng.uniform(0, 0.05))
                by_chance -= 1
            kills += killed
            try:
                mixtures += len(read(folder)) != 1
            except ValueError:
                mixtures += 1
            journal.remove_leftovers.cache_clear()
            write_files(contents(folder, b"end"), overwrite=True)
            leftovers += len(list(folder.iterdir())) - N
            mixtures += read(folder) != {b"end"}
    print(json.dumps({"kills": kills, "mixtures": mixtures, "leftovers": leftovers}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
