"""The cache of compiled programs on the disk: where it is, and that nothing damaged is taken from it.

JAX writes an entry in place, and never again once there is a file of its name: what a killed process or a full disk has
cut off would stay for good, and a flipped bit would be machine code. Entries are therefore looked at when a process
starts: each has to be as it was when it was first found whole, and all others go, to be compiled anew.
"""

import hashlib
import importlib
import json
import os
import platform
import shutil
import zlib
from pathlib import Path

from gammajax.datasets.errors import InputError
from gammajax.datasets.io.paths import write_files

MOST_CACHED = 400
"""Programs kept in the cache; the ones that were written first go first."""

ENTRY, SUMS = "*-cache", "sums.json"
"""Names of JAX's entries, and of the file with their checksums."""

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def cache_folder(jaxlib: str) -> Path | None:
    """Folder of compiled programs for this machine and jaxlib, made if need be; None where none can be made.

    Programs are machine code, and home directories are shared by machines of different make.
    """
    base, home = os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~")
    if os.path.isabs(base):
        root = Path(base)
    elif os.path.isabs(home) and os.path.dirname(home) != home:
        root = Path(home) / ".cache"
    else:  # nobody is at home at / or in the folder of the moment
        return None
    folder = root / "gammajax" / f"{jaxlib}-{_machine()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return folder if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else None
    except (OSError, ValueError):
        return None


def _machine() -> str:
    """A short name of the processor's kind."""
    text = f"{platform.machine()} {platform.system()} {platform.processor()}"
    try:
        with open("/proc/cpuinfo") as stream:
            text += "".join(sorted({line for line in stream if line.startswith(("flags", "Features", "model name"))}))
    except OSError:
        pass
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def prune(folder: Path) -> None:
    """Remove entries that are damaged, and the oldest of too many."""
    try:
        entries = sorted(folder.glob(ENTRY), key=lambda path: path.lstat().st_mtime)
        known, found = _sums(folder / SUMS), {}
        for path in entries[: max(len(entries) - MOST_CACHED, 0)]:
            _remove(path)
        for path in entries[max(len(entries) - MOST_CACHED, 0) :]:
            data = _content(path)
            total = f"{len(data)}-{zlib.crc32(data):08x}"
            if data and (known[path.name] == total if path.name in known else _complete(data)):
                found[path.name] = total
            else:
                _remove(path)
        if found != known:
            write_files({folder / SUMS: json.dumps(found).encode()}, overwrite=True)
    except (OSError, InputError):  # another process prunes too, or the disk is full
        pass


def _content(path: Path) -> bytes:
    """The bytes of a file; none where it is something else, or cannot be read."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""


def _sums(path: Path) -> dict[str, str]:
    """Checksums of entries by name."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _complete(data: bytes) -> bool:
    """Whether an entry that is new was written to its end: JAX compresses with zstd where it finds it."""
    try:
        if not data.startswith(ZSTD_MAGIC):
            return bool(zlib.decompress(data))
        try:
            return bool(importlib.import_module("compression.zstd").decompress(data))
        except ImportError:
            return bool(importlib.import_module("zstandard").ZstdDecompressor().decompress(data))
    except Exception:  # errors of the libraries that decompress, or none of them
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
