"""JAX as the command line sets it up: float64, a device for each core, programs compiled quickly or not at all."""

import contextlib
import os
import warnings
from importlib.metadata import version
from types import ModuleType

from gammajax.cli.compiled import cache_folder, prune
from gammajax.datasets.errors import InputError


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
    if cache:
        _use_cache(jax)
    _start(jax)


def _use_cache(jax: ModuleType) -> None:
    """Keep compiled programs in the folder of the user, unless another one is set or there can be none."""
    if jax.config.jax_compilation_cache_dir is not None:
        return
    folder = cache_folder(version("jaxlib"))
    if folder is None:
        return
    prune(folder)
    # a cache that cannot be read or written is no error
    warnings.filterwarnings("ignore", message=".*persistent compilation cache.*")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def _start(jax: ModuleType) -> None:
    """Let JAX look for its devices, which it would do at the first array."""
    try:
        jax.devices()
    except RuntimeError as error:
        raise InputError(
            f"JAX does not start ({str(error).strip().splitlines()[0][:200]}). JAX_PLATFORMS is "
            f"{os.environ.get('JAX_PLATFORMS', '')!r}: unset it, or set it to cpu."
        ) from error


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
