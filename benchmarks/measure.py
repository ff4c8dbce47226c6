"""What the benchmarks share: timing, memory, the real data, the machine, tables. Imports nothing heavy."""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

RANGES_TEV = {"fermi": (0.03, 2), "magic": (0.08, 30), "veritas": (0.15, 30), "fact": (0.4, 30), "hess": (0.66, 30)}
"""Fit ranges of the joint Crab analysis, by instrument."""

MODEL_START = {"amplitude": 3.8e-11, "alpha": 2.47, "beta": 0.1042}
"""Usual start of the joint Crab fit; beta is for the natural logarithm."""


def data_folder() -> Path:
    """Folder of the real data, which is not part of the project."""
    given = os.environ.get("GAMMAJAX_TEST_DATA")
    return Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"


def joint_crab_files() -> dict[str, Path]:
    """PHA files of the joint Crab analysis by dataset name; ends the program where the data are absent."""
    folder = data_folder() / "joint-crab" / "spectra"
    files = {
        f"{instrument}_{path.stem.removeprefix('pha_')}": path.resolve()
        for instrument in RANGES_TEV
        for path in sorted((folder / instrument).glob("pha_*.fits"))
    }
    if len(files) != 10:
        sys.exit(
            f"The ten joint-crab spectra were not found (found {len(files)}). Set GAMMAJAX_TEST_DATA to the folder "
            "that holds joint-crab/spectra/{fermi,magic,veritas,fact,hess}/pha_*.fits."
        )
    return files


def fit_range(name: str) -> tuple[float, float]:
    """Fit range in TeV of a dataset of `joint_crab_files`."""
    return RANGES_TEV[name.split("_", 1)[0]]


def seconds_of(function: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time of one call, and what it returned."""
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def repeat(function: Callable[[], Any], least: int = 3, most: int = 50, budget: float = 3.0) -> list[float]:
    """Wall times of repeated calls: at least ``least``, then until ``budget`` seconds or ``most`` calls are spent."""
    times: list[float] = []
    while len(times) < least or (len(times) < most and sum(times) < budget):
        times.append(seconds_of(function)[0])
    return times


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def memory_mb(key: str = "VmHWM") -> float:
    """Peak (``VmHWM``) or present (``VmRSS``) resident memory of this process in MB."""
    try:
        with open("/proc/self/status") as stream:
            return next(int(line.split()[1]) for line in stream if line.startswith(key + ":")) / 1024
    except (OSError, StopIteration):
        import resource

        # Linux gives kB, macOS bytes; a child starts from its parent's peak, so parents here stay small
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 1024)


def show_time(seconds: float | None) -> str:
    """A time with three significant digits and its unit."""
    if seconds is None:
        return "-"
    if seconds >= 100:
        return f"{seconds:.0f} s"
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table with aligned columns."""
    cells = [[str(c) for c in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def machine() -> list[tuple[str, str]]:
    """Processor, memory and versions, for the head of a report."""
    from importlib.metadata import PackageNotFoundError, version

    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as stream:
            cpu = next(line.split(":", 1)[1].strip() for line in stream if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    rows = [("processor", f"{cpu}, {cores} cores"), ("system", f"{platform.system()} {platform.machine()}")]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        rows.append(("memory", f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"))
    rows.append(("Python", platform.python_version()))
    for package in ("gammajax", "jax", "jaxlib", "equinox", "numpy", "scipy", "astropy", "gammapy", "iminuit", "ray"):
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:
            rows.append((package, "not installed"))
    return rows


def load() -> str:
    """Load average of the last minute: on a busy machine the figures mean little."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
