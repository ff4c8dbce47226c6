"""Run all benchmarks and write benchmarks/RESULTS.md.

    python benchmarks/run_all.py [--provisional] [--quick]

Ten to twenty minutes on two idle cores, half of it gammapy's 200 random starts. ``--quick`` is a smaller run that shows
whether everything works, and ``--provisional`` says in the report that the figures are not final.
"""

import argparse
import datetime
import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import load, machine, show_time, table

HERE = Path(__file__).parent

FULL = [
    ["joint_crab.py"],
    ["many_spectra.py"],
    ["many_spectra.py", "--responses", "shared"],
    ["many_spectra.py", "--local", "--sizes", "1", "10", "100", "1000", "--gammapy-max", "1"],
    ["cold_start.py"],
    ["maps.py"],
    ["catalogue.py"],
    ["many_maps.py", "--sizes", "1", "5", "20", "100", "--gammapy-max", "5"],
    ["many_maps.py", "--stages", "20"],
    ["convergence.py", "--seed", "2"],
    ["convergence.py", "--seed", "2", "--starts", "3", "--method", "scoring", "minuit", "gammapy"],
    ["convergence.py", "--seed", "11", "--starts", "10", "--simulated", "20"],
    ["convergence_maps.py", "--seed", "5", "--many", "10", "30"],
    ["pseudo_experiments.py"],
    ["sky_maps.py", "--gammapy"],
    ["sky_maps.py", "--hess"],
    ["flux_points.py", "--gammapy"],
    ["flux_points.py", "--maps", "--gammapy"],
    ["light_curve.py", "--gammapy"],
    ["scaling.py", "--strong", "2000", "--weak", "500"],
    ["positions.py"],
    ["events.py"],
    ["fit_stages.py", "1000"],
    ["fit_stages.py", "10000"],
]
QUICK = [
    ["joint_crab.py", "--repeats", "50", "--gammapy-repeats", "2", "--starts", "20", "--gammapy-starts", "3"],
    ["many_spectra.py", "--gammapy-max", "10"],
    ["many_spectra.py", "--responses", "shared", "--gammapy-max", "0"],
    ["many_spectra.py", "--local", "--sizes", "1", "10", "100", "1000", "--gammapy-max", "1"],
    ["convergence.py", "--starts", "3"],
    ["cold_start.py", "--repeats", "1"],
    ["maps.py", "--repeats", "3"],
    ["many_maps.py", "--sizes", "1", "5", "--gammapy-max", "1"],
    ["pseudo_experiments.py", "--pulls", "1000"],
    ["positions.py", "--positions", "4", "--draws", "1"],
    ["events.py", "--repeats", "2"],
    ["fit_stages.py", "1000"],
]
TITLES = {
    "joint_crab.py": "Joint Crab fit",
    "many_spectra.py": "Joint fits of N spectra",
    "convergence.py": "Fits from scattered starts",
    "convergence_maps.py": "Fits of maps from scattered starts",
    "cold_start.py": "Cold start",
    "maps.py": "Maps",
    "catalogue.py": "A catalogue on one map",
    "many_maps.py": "Joint 3D fits of N runs",
    "pseudo_experiments.py": "Pseudo-experiments",
    "sky_maps.py": "Maps of the sky",
    "flux_points.py": "Flux points",
    "light_curve.py": "Light curves",
    "scaling.py": "Many devices",
    "positions.py": "Positions between the pixels",
    "events.py": "Sampling of events",
    "fit_stages.py": "Where the time goes",
    "test_kernels.py": "Kernels",
}
KERNELS = ["-m", "pytest", "benchmarks/test_kernels.py", "-q", "--benchmark-only", "--benchmark-json"]


def run(command: list[str]) -> tuple[str, str, bool]:
    """Printed text, time taken, and whether the benchmark ended well."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=HERE.parent)
    text = done.stdout.strip()
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        text += f"\n\n**Failed**: {last[0]}"
        print(done.stderr[-3000:], file=sys.stderr)
    return text, show_time(time.perf_counter() - start), done.returncode == 0


def kernels() -> tuple[str, str, bool]:
    """The pytest-benchmark figures as a table."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernels.json"
        text, seconds, good = run([*KERNELS, str(file)])
        if not good:
            return text, seconds, good
        found: dict[str, dict[str, dict[str, float]]] = {}
        for entry in json.loads(file.read_text())["benchmarks"]:
            found.setdefault(entry["params"]["name"], {})[entry["group"]] = entry["stats"]
    rows = [
        [name, show_time(f["compile"]["min"]), show_time(f["run"]["min"]), show_time(f["run"]["median"])]
        for name, f in found.items()
    ]
    return table(["kernel", "compilation, fastest", "run, fastest", "run, median"], rows), seconds, True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--provisional", action="store_true", help="mark the figures as not final")
    parser.add_argument("--quick", action="store_true", help="a few minutes, with less of gammapy")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "RESULTS.md")
    args = parser.parse_args()
    parts = ["# Benchmark results\n"]
    if args.provisional or args.quick:
        parts.append("**Provisional**: measured on a busy machine or with few repeats; not to be quoted.\n")
    parts.append(
        f"{datetime.date.today().isoformat()}, written by "
        f"`python benchmarks/run_all.py{' --quick' if args.quick else ''}`. "
        f"Load average at the start {load()}. What each benchmark measures: see [README.md](README.md).\n"
    )
    parts.append(table(["", ""], machine()) + "\n")
    title, failed = "", False
    for command in [*(QUICK if args.quick else FULL), ["test_kernels.py"]]:
        script = command[0]
        print(f"{' '.join(command)} ...", flush=True)
        text, seconds, good = kernels() if script == "test_kernels.py" else run([f"benchmarks/{script}", *command[1:]])
        failed |= not good
        if TITLES[script] != title:
            title = TITLES[script]
            parts.append(f"## {title}\n")
        shown = ["benchmarks/" + script, *command[1:]]
        called = ["pytest", *shown, "--benchmark-only"] if script == "test_kernels.py" else ["python", *shown]
        parts.append(f"`{shlex.join(called)}` ({seconds})\n\n{text}\n")
        print(f"  {seconds}{'' if good else ', FAILED'}", flush=True)
        args.output.write_text("\n".join(parts))
    print(f"Wrote {args.output}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
