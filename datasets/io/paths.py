"""Reading bytes and writing files whole or not at all."""

import gzip
import io
import os
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import InputError
from .journal import alone, discard, finish_writing, part_name, remove_leftovers, switch, write_part

Filename = str | os.PathLike[str]
"""The name of a file as users give it."""

GZIP_MAGIC = b"\x1f\x8b"

LONGEST = 4095
"""Letters of a path, at most."""

MOST_UNPACKED = 2**29
"""Bytes that a compressed file may unpack to: a small file may be made so that it fills the memory. With all that is
loaded besides, a reader that stops there stays below 1 GB."""


def as_path(filename: Filename) -> Path:
    """A path, with ``~`` and environment variables such as ``$GAMMAPY_DATA`` filled in."""
    if not isinstance(filename, str | os.PathLike):
        raise InputError(f"A file name is needed, found {filename!r}. Give a string or a pathlib.Path.")
    if not str(filename).strip() or "\0" in str(filename):
        raise InputError(f"A file name is needed, found {str(filename)[:60]!r}. Give the name of a file.")
    if len(str(filename)) > LONGEST:
        raise InputError(
            f"A file name is needed, found one of {len(str(filename))} letters, {str(filename)[:40]!r}..., expected "
            f"{LONGEST} at most. Give the name of a file."
        )
    return Path(os.path.expandvars(os.path.expanduser(filename)))


def beside(filename: Filename, folder: Filename | None) -> Path:
    """A file that another file names: in that file's ``folder`` if it is there, else as given."""
    path = as_path(filename)
    inside = Path(folder or ".") / path
    return inside if existing(inside) is not None else path


def existing(path: Path) -> Path | None:
    """The file itself or its ``.gz`` sibling; None where there is neither."""
    # a folder such as "." has no name of its own
    for candidate in (path, *([path.with_name(path.name + ".gz")] if path.name else [])):
        try:
            if candidate.is_file():
                return candidate
        except OSError as error:  # names that are too long, folders that may not be looked into
            raise InputError(f"{path}: there can be no such file ({error.strerror}).") from error
    return None


def read_bytes(filename: Filename) -> bytes:
    """The content of a file, unpacked if it is gzip-compressed."""
    path = as_path(filename)
    finish_writing(path.parent)
    found = existing(path)
    if found is None:
        kind = "is a folder" if path.is_dir() else "is a device or a pipe" if path.exists() else "was not found"
        raise InputError(f"{path}: the file {kind}. Give the name of an existing file.")
    try:
        data = found.read_bytes()
    except OSError as error:
        raise InputError(f"{found}: the file cannot be read ({error.strerror}). Check its permissions.") from error
    if not data.startswith(GZIP_MAGIC):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            unpacked = stream.read(MOST_UNPACKED + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(
            f"{found}: the gzip stream is cut off or damaged ({error}). Copy or download the file again."
        ) from error
    if len(unpacked) > MOST_UNPACKED:
        raise InputError(
            f"{found}: the file unpacks to more than {MOST_UNPACKED / 2**20:.0f} MiB. If it is what you expect, unpack "
            "it first (gunzip), and read that."
        )
    return unpacked


def write_files(contents: Mapping[Path, bytes], overwrite: bool = False) -> None:
    """Write several files; all of one folder appear complete or none does. Names ending in ``.gz`` are compressed.

    Existing files are refused before anything is written, unless ``overwrite``, and so are those that another writer
    has made meanwhile; they keep their permissions, and where
    a name is a symbolic link the file behind it is written. All content goes to temporary names in the target folders
    first, so that a full disk, an interrupt or the end of the process leaves the old files as they were; see `journal`.
    """
    if not isinstance(overwrite, bool | np.bool_):
        raise InputError(f"overwrite must be True or False, found {overwrite!r}. Give other arguments by name.")
    for path in contents:
        _check_target(path, bool(overwrite))
    moves: dict[Path, dict[str, str]] = {}
    try:
        for path, data in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            target = Path(os.path.realpath(path))
            folder, part = target.parent, part_name()
            if folder not in moves:
                finish_writing(folder)
                remove_leftovers(folder)
            moves.setdefault(folder, {})[part] = target.name
            # no time stamp inside: equal datasets give equal files
            write_part(folder / part, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data, target)
        while moves:
            folder, names = moves.popitem()
            with alone(folder):
                try:
                    for name in names.values():
                        _check_target(folder / name, bool(overwrite))  # another writer may have been quicker
                except InputError:
                    discard(folder / part for part in names)
                    raise
                switch(folder, names)
    except OSError as error:
        raise InputError(
            f"{path}: cannot write ({error.strerror}). Check the folder, its permissions and free space."
        ) from error
    finally:
        discard(folder / part for folder, names in moves.items() for part in names)


def _check_target(path: Path, overwrite: bool) -> None:
    """An `InputError` where a file cannot be written, or would have to be replaced without ``overwrite``."""
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:  # names that are too long, folders that may not be looked into
        raise InputError(f"{path}: cannot write ({error.strerror}). Choose another name.") from error
    if stat.S_ISDIR(kind):
        raise InputError(f"{path}: cannot write, there is a folder of this name. Choose another name.")
    if not stat.S_ISREG(kind):
        raise InputError(f"{path}: cannot write, this is no file but a device or a pipe. Choose another name.")
    if not overwrite:
        raise InputError(f"{path}: the file exists already. Choose another name, or pass overwrite=True.")
