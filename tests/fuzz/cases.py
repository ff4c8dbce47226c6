"""Damaged files given to readers: a valid object or an `InputError`, in bounded time and memory, whatever the bytes."""

import contextlib
import resource
import signal
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import gammajax as gj

from .damage import damaged
from .readers import Reader

SECONDS, MEBIBYTES = 5.0, 1024


class TooLong(BaseException):
    """A reader that takes too long; not an `Exception`, which readers catch."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """`TooLong` after so many seconds of processor time."""

    def stop(*_: object) -> None:
        raise TooLong(f"more than {seconds} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Sound:
    """The files of a reader as they were written, in a folder of their own."""

    def __init__(self, reader: Reader, folder: Path):
        self.reader, self.folder = reader, folder
        folder.mkdir()
        reader.write(folder)
        self.contents = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        self.targets = [reader.target] if reader.target else list(self.contents)

    def fault(self, seed: int) -> str | None:
        """What went wrong with the damage of this number; None where the reader did what it promises."""
        # a number of its own for each reader, the same in every process
        rng = np.random.default_rng([seed, zlib.crc32(self.reader.name.encode())])
        name = str(rng.choice(self.targets))
        path = self.folder / name
        path.write_bytes(damaged(self.contents[name], rng))
        try:
            return fault_of(lambda: self.reader.read(self.folder))
        finally:
            path.write_bytes(self.contents[name])


def fault_of(read) -> str | None:  # type: ignore[no-untyped-def]
    """None where a call gives an object or an `InputError`, in time and in bounded memory, else what it did."""
    before = _most_used()
    found = _outcome(read)
    used = (_most_used() - before) / 1024
    return found if found is not None or used < MEBIBYTES else f"{used:.0f} MiB"


def _most_used() -> int:
    """KiB that this process had in memory at most. That it only grows hides little: the first large one is seen."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _outcome(read) -> str | None:  # type: ignore[no-untyped-def]
    try:
        with limited(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
    except gj.InputError as error:
        return None if len(str(error)) < 2000 else f"a message of {len(str(error))} letters"
    except TooLong as error:
        return "".join(traceback.format_exception(error)[-4:])
    except Exception as error:  # what is looked for
        return "".join(traceback.format_exception(error)[-4:])
    return None


def faults(reader: Reader, seeds: range) -> list[tuple[int, str]]:
    """Numbers of damages and what went wrong with them."""
    with tempfile.TemporaryDirectory() as folder:
        sound = Sound(reader, Path(folder) / reader.name)
        return [(seed, found) for seed in seeds if (found := sound.fault(seed)) is not None]
