"""JAX as the command line sets it up: float64, a device for each core, programs compiled quickly or not at all."""

import contextlib
import hashlib
import os
import platform
import warnings
from importlib.metadata import version
from pathlib import Path

MOST_CACHED = 400
"""Programs kept in the cache; the ones used least recently go first."""


def set_up_jax(cache: bool = True) -> None:
    """Float64, all cores, quick compilation, and the cache of compiled programs. Only the command line calls this."""
    import jax

    from gammajax.datasets.compile import RELEASE, with_flags

    flags = with_flags(os.environ.get("XLA_FLAGS", ""), RELEASE)
    if flags:
        os.environ["XLA_FLAGS"] = flags

    jax.config.update("jax_enable_x64", True)
    # JAX declares its settings while it is imported, where type checkers do not see them
    if jax.config.jax_num_cpu_devices < 0 and "host_platform_device_count" not in flags:  # type: ignore[attr-defined]
        # where JAX has run already, the devices are those that it has
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", n_cores())
    if not cache or jax.config.jax_compilation_cache_dir is not None:  # type: ignore[attr-defined]
        return
    folder = cache_folder(version("jaxlib"))
    if folder is None:
        return
    _prune(folder)
    # a cache that cannot be read or written is no error
    warnings.filterwarnings("ignore", message=".*persistent compilation cache.*")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cache_folder(jaxlib: str) -> Path | None:
    """Folder of compiled programs for this machine and jaxlib, made if need be; None where none can be made.

    Programs are machine code, and home directories are shared by machines of different make.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if os.path.isabs(base) else Path(os.path.expanduser("~")) / ".cache"
    folder = root / "gammajax" / f"{jaxlib}-{_machine()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _machine() -> str:
    """A short name of the processor's kind."""
    text = f"{platform.machine()} {platform.system()} {platform.processor()}"
    try:
        with open("/proc/cpuinfo") as stream:
            text += "".join(sorted({line for line in stream if line.startswith(("flags", "Features", "model name"))}))
    except OSError:
        pass
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _prune(folder: Path) -> None:
    try:
        files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in files[: max(len(files) - MOST_CACHED, 0)]:
            path.unlink(missing_ok=True)
    except OSError:
        pass
