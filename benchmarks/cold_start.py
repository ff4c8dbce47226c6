"""Whole processes, from the prompt to the files: the joint Crab fit with `gammajax fit` and with a gammapy script.

    python benchmarks/cold_start.py [--repeats 5]

Each run is a fresh interpreter, with files and bytecode in the page cache. "cold" has no compiled programs from before;
"again" finds those of an earlier run in gammajax's cache. The programs take turns.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import MODEL_START, fit_range, joint_crab_files, load, median, show_time, table

MODELS = f"""components:
-   name: crab
    type: SkyModel
    spectral:
        type: LogParabolaSpectralModel
        parameters:
        -   name: amplitude
            value: {MODEL_START["amplitude"]}
            unit: TeV-1 s-1 cm-2
        -   name: reference
            value: 1.0
            unit: TeV
            frozen: true
        -   name: alpha
            value: {MODEL_START["alpha"]}
        -   name: beta
            value: {MODEL_START["beta"]}
"""


def write_input(folder: Path) -> tuple[Path, Path]:
    """Index of the datasets with their fit ranges, and models."""
    lines = ["datasets:"]
    for name, path in joint_crab_files().items():
        low, high = fit_range(name)
        lines += [f"-   name: {name}", "    type: SpectrumDatasetOnOff", f"    filename: {path}"]
        lines += [f"    mask_fit: {{energy_min: {low} TeV, energy_max: {high} TeV}}"]
    datasets, models = folder / "datasets.yaml", folder / "models.yaml"
    datasets.write_text("\n".join(lines) + "\n")
    models.write_text(MODELS)
    return datasets, models


def run(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Wall time, processor time and peak memory (MB) of a process."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"failed: {' '.join(command)}\n{output.read().decode(errors='replace')[-3000:]}")
    # this process is small, so that its own peak, which children inherit, does not show
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    print(f"Load average at the start: {load()}\n")
    gammapy = importlib.util.find_spec("gammapy") is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        datasets, models = write_input(folder)
        # matplotlib's font list belongs to neither
        fonts = {"MPLCONFIGDIR": str(folder / "matplotlib")}
        # gammajax leaves a cache that the user has set up alone, and it would be warm
        os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
        figures: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        # round 0 warms the page cache and is not counted
        for turn in range(args.repeats + 1):
            for plots in ("with pictures", "no pictures"):
                switch = [] if plots == "with pictures" else ["--no-plots"]
                cache = {"XDG_CACHE_HOME": str(folder / f"cache-{turn}-{len(switch)}")}
                ours = [sys.executable, "-m", "gammajax", "fit", str(datasets), str(models), "-o"]
                for kind in ("gammajax, cold", "gammajax, again"):
                    output = folder / f"{turn}-{len(switch)}-{kind[-4:]}"
                    seen = run([*ours, str(output), *switch], fonts | cache)
                    figures.setdefault((plots, kind), []).append(seen)
                if gammapy:
                    script = str(Path(__file__).with_name("gammapy_joint_crab.py"))
                    output = folder / f"{turn}-{len(switch)}-gammapy"
                    seen = run([sys.executable, script, str(output), *switch], fonts)
                    figures.setdefault((plots, "gammapy"), []).append(seen)
    rows = []
    for (plots, kind), seen in figures.items():
        walls, processor, memory = zip(*seen[1:], strict=True)
        rows.append(
            [
                kind, plots, show_time(min(walls)), show_time(median(walls)), show_time(median(processor)),
                f"{max(memory):.0f} MB",
            ]
        )  # fmt: skip
    print("### Whole process: read ten spectra, fit, write tables (and eleven pictures)\n")
    print(table(["program", "output", "fastest", "median", "processor time", "peak memory"], rows))
    print(f"\n{args.repeats} repeats, in turns.")


if __name__ == "__main__":
    main()
