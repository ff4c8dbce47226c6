"""Reading bytes and writing files whole or not at all."""

import gzip
import io
import os
import uuid
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..errors import InputError

Filename = str | os.PathLike[str]
"""The name of a file as users give it."""

GZIP_MAGIC = b"\x1f\x8b"

MOST_UNPACKED = 2**30
"""Bytes that a compressed file may unpack to: a small file may be made so that it fills the memory."""


def as_path(filename: Filename) -> Path:
    """A path, with ``~`` and environment variables such as ``$GAMMAPY_DATA`` filled in."""
    if not isinstance(filename, str | os.PathLike):
        raise InputError(f"A file name is needed, found {filename!r}. Give a string or a pathlib.Path.")
    if not str(filename).strip() or "\0" in str(filename):
        raise InputError(f"A file name is needed, found {str(filename)[:60]!r}. Give the name of a file.")
    return Path(os.path.expandvars(os.path.expanduser(filename)))


def beside(filename: Filename, folder: Filename | None) -> Path:
    """A file that another file names: in that file's ``folder`` if it is there, else as given."""
    path = as_path(filename)
    inside = Path(folder or ".") / path
    return inside if existing(inside) is not None else path


def existing(path: Path) -> Path | None:
    """The file itself or its ``.gz`` sibling; None where there is neither."""
    for candidate in (path, path.with_name(path.name + ".gz")):
        try:
            if candidate.is_file():
                return candidate
        except OSError as error:  # names that are too long, folders that may not be looked into
            raise InputError(f"{path}: there can be no such file ({error.strerror}).") from error
    return None


def read_bytes(filename: Filename) -> bytes:
    """The content of a file, unpacked if it is gzip-compressed."""
    path = as_path(filename)
    found = existing(path)
    if found is None:
        kind = "is a folder" if path.is_dir() else "was not found"
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
            f"{found}: the file unpacks to more than {MOST_UNPACKED / 2**30:.0f} GiB. If it is what you expect, unpack "
            "it first (gunzip), and read that."
        )
    return unpacked


def write_files(contents: Mapping[Path, bytes], overwrite: bool = False) -> None:
    """Write several files; each appears complete or not at all. Names ending in ``.gz`` are compressed.

    Existing files are refused before anything is written, unless ``overwrite``. All content goes to temporary names in
    the target folders first, so that a full disk or an interrupt leaves the old files as they were.
    """
    if not isinstance(overwrite, bool | np.bool_):
        raise InputError(f"overwrite must be True or False, found {overwrite!r}. Give other arguments by name.")
    paths = list(contents)
    for path in paths:
        if path.is_dir():
            raise InputError(f"{path}: cannot write, there is a folder of this name. Choose another name.")
        if path.exists() and not overwrite:
            raise InputError(f"{path}: the file exists already. Choose another name, or pass overwrite=True.")
    parts: dict[Path, Path] = {}
    try:
        for path, data in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            parts[path] = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
            # no time stamp inside: equal datasets give equal files
            packed = gzip.compress(data, mtime=0) if path.suffix == ".gz" else data
            with open(parts[path], "xb") as stream:
                stream.write(packed)
        for path in paths:
            os.replace(parts[path], path)
            del parts[path]
    except OSError as error:
        raise InputError(
            f"{path}: cannot write ({error.strerror}). Check the folder, its permissions and free space."
        ) from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
