"""Several files that appear together or not at all, also when the writer is killed in the middle.

New content goes to files of temporary names first, and is forced to the disk. A list of what is to be renamed, the
journal, is then written in the folder; from that moment the new files count as written. The renaming follows, and the
journal goes. Whoever meets a journal, to read or to write in the folder, does the rest of its renaming first: what was
written by half is either finished so, or, before the journal, seen by no one. Leftovers of killed writers are removed
by the next one.
"""

import contextlib
import json
import os
import socket
import stat
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ...kernels.programs import remembered
from ..errors import InputError

try:
    import fcntl
except ImportError:  # systems other than Unix
    fcntl = None  # type: ignore[assignment]

JOURNAL = ".gammajax-writing"
"""Name of the journal in a folder."""

PART = ".gammajax-{host}-{pid}-{id}.part"
"""Names of files that are not written to the end."""

LONGEST_WAIT = 10.0
"""Seconds for which a writer waits for another one."""


def finish_writing(folder: Path) -> None:
    """Do the renaming that a killed writer left in a folder; nothing where there is no journal.

    Raises InputError where that is not possible: the files of the folder may be of two writings then.
    """
    journal = folder / JOURNAL
    if not os.path.lexists(journal):
        return
    try:
        text = journal.read_text()
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise _stuck(folder, error) from error
    try:
        moves = {str(part): str(target) for part, target in json.loads(text).items()}
        # nothing outside of the folder, whoever wrote the journal
        if any(Path(name).name != name for move in moves.items() for name in move):
            raise ValueError("names of other folders")
    except (ValueError, AttributeError) as error:
        raise _stuck(folder, error) from error
    try:
        _rename(folder, moves)
        _end(journal, text)
    except OSError as error:
        raise _stuck(folder, error) from error


def _stuck(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"{folder}: a writing of several files was interrupted here, and cannot be finished ({error}), so that the "
        f"files may be of two writings. Remove {JOURNAL} in that folder, and write the files again."
    )


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """A time in which no other writer of this package gives files of a folder their names.

    Where systems know no such locks, or a writer that holds one stands still, this is not waited for.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # as on systems where folders cannot be opened
        yield
        return
    try:
        _wait_for_lock(handle)
        yield
    finally:
        os.close(handle)


def _wait_for_lock(handle: int) -> None:
    if fcntl is None:
        return
    last = time.monotonic() + LONGEST_WAIT
    while time.monotonic() < last:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.005)
        except OSError:  # a file system without locks
            return


def switch(folder: Path, moves: Mapping[str, str]) -> None:
    """Rename files of one folder, all or none of them; if none, those of temporary names are removed."""
    text = json.dumps(dict(moves))
    seen = False
    try:
        if len(moves) > 1:
            _place_journal(folder, text)
            seen = True
        _to_disk(folder)
        try:
            _rename(folder, moves)
        except OSError:
            # as long as no file has a new name there is a way back
            if all((folder / part).exists() for part in moves):
                discard([folder / JOURNAL] if seen else [])
                seen = False
            raise
    finally:
        # from the journal on the new files are needed, whatever happens to this process
        if not seen:
            discard(folder / part for part in moves)
    _to_disk(folder)
    if len(moves) > 1:
        _end(folder / JOURNAL, text)


def _end(journal: Path, text: str) -> None:
    """Remove a journal that was followed, unless another writer has met it too, and placed its own."""
    with contextlib.suppress(FileNotFoundError):
        if journal.read_text() == text:
            journal.unlink()


def _place_journal(folder: Path, text: str) -> None:
    draft = folder / part_name()
    try:
        _written(draft, text.encode(), None)
        while True:
            finish_writing(folder)
            try:
                # unlike a renaming this fails where there is one
                os.link(draft, folder / JOURNAL)
                return
            except FileExistsError:
                continue
            except OSError:  # a file system without links
                os.replace(draft, folder / JOURNAL)
                return
    finally:
        discard([draft])


def _rename(folder: Path, moves: Mapping[str, str]) -> None:
    for part, target in moves.items():
        try:
            os.replace(folder / part, folder / target)
        except FileNotFoundError:
            # renamed by someone who met the journal
            if not (folder / target).exists():
                raise


def discard(paths: Iterable[Path]) -> None:
    """Remove files, as far as they are there."""
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def part_name() -> str:
    """A new name for a file that is not written to the end; it says whose it is."""
    return PART.format(host=_host(), pid=os.getpid(), id=uuid.uuid4().hex[:12])


def write_part(path: Path, data: bytes, like: Path) -> None:
    """Write a file through to the disk, with the permissions of ``like`` where that exists."""
    mode = stat.S_IMODE(like.stat().st_mode) if like.exists() else None
    _written(path, data, mode)


def _written(path: Path, data: bytes, mode: int | None) -> None:
    with open(path, "xb") as stream:
        if mode is not None:
            os.chmod(path, mode)
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _to_disk(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# once a process: a folder may have many files
@remembered(256)
def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed on this machine have left in a folder, and nothing of those that live."""
    journal = folder / JOURNAL
    named = journal.read_text(errors="replace") if journal.exists() else ""
    for path in folder.glob(PART.format(host="*", pid="*", id="*")):
        host, pid, _ = path.name.removeprefix(".gammajax-").split("-", 2)
        if host == _host() and pid.isdigit() and not _lives(int(pid)) and path.name not in named:
            discard([path])


def _host() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
