"""Joint fits on 1, 2, 4 and 8 simulated devices: time, and the bytes that a step sends around.

    python benchmarks/scaling.py [--devices 1 2 4 8] [--strong 4000] [--weak 1000] [--batch-size B]

Spectra with a known background whose norm and tilt are free in each, and one log parabola. Strong scaling: the same
``--strong`` spectra on more and more devices. Weak scaling: ``--weak`` spectra on each device. Every row runs in a
fresh process, in which XLA makes the processor into so many devices.

Simulated devices share the cores of the machine. Where there are more of them than cores they take turns, so that a
step cannot get faster, and even one device uses several cores for large products. What the table can show is that the
answer stays, what is sent, and what the division of the work costs: strong scaling is good if the time does not grow,
weak scaling if the time for each spectrum does not.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from math import prod
from typing import Any

from measure import load, memory_mb, repeat, seconds_of, show_time, table

BYTES = {"f64": 8, "f32": 4, "s64": 8, "u64": 8, "s32": 4, "u32": 4, "pred": 1, "u8": 1, "s8": 1}
COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter")


def collectives(hlo: str) -> list[tuple[str, int, bool]]:
    """Kind, bytes of the result, and whether it is inside a loop, of everything that a program sends around."""
    found = []
    for line in hlo.splitlines():
        kind = next((k for k in COLLECTIVES if re.search(rf"\s{k}(-start)?\(", line)), None)
        if kind is None:
            continue
        shapes = re.findall(r"(\w+)\[([\d,]*)\]", re.split(rf"\s{kind}", line.split(" = ", 1)[1])[0])
        size = sum(BYTES[t] * prod(int(n) for n in s.split(",") if n) for t, s in shapes)
        found.append((kind, size, "/while/body" in line))
    return found


def stated_bytes(n_global: int, n_shared: int, has_own: bool) -> int:
    """Bytes that a step of one group sums over the devices, by the formula of docs/cluster.md."""
    g, s = n_global, n_shared
    return 8 * ((1 + s + s * s) + (g + 3 * g * g) * has_own + 2 * (g * g + g + 2)) + 3


def worker(n: int, devices: int, batch_size: int | None) -> dict[str, Any]:
    """Figures of one row; runs in its own process."""
    import jax
    import numpy as np
    from jax.sharding import Mesh

    import gammajax as gj

    jax.config.update("jax_enable_x64", True)
    from simulated import simulate, to_gammajax

    from gammajax.fit.joint import from_free, make_problem
    from gammajax.fit.solvers import initial_state, run_scoring

    datasets, models = to_gammajax(simulate(n, "own", True), True)
    assert len(jax.devices()) == devices
    mesh = Mesh(np.array(jax.devices()), ("datasets",))
    first, result = seconds_of(lambda: gj.fit(datasets, models, mesh=mesh, batch_size=batch_size))
    fit = min(repeat(lambda: gj.fit(datasets, models, mesh=mesh, batch_size=batch_size)))
    problem = make_problem(datasets, models, mesh=mesh, batch_size=batch_size)
    spec, (group,) = problem.spec, problem.spec.groups
    state = initial_state(spec, from_free(problem.arrays, problem.start()))
    arguments = (problem.arrays, state, np.asarray(0.0), np.asarray(20))
    seconds = min(repeat(lambda: jax.block_until_ready(run_scoring(spec, *arguments))))
    evaluations = int(run_scoring(spec, *arguments)[0].evaluations)
    sent = collectives(run_scoring._quick.lower(spec, *arguments).compile().as_text())
    return {
        "first": first,
        "fit": fit,
        "step": seconds / evaluations,
        "iterations": result.iterations,
        "stat": result.stat,
        "success": bool(result.success),
        "amplitude": float(result.parameters["source.spectral.amplitude"].value),
        "kinds": sorted({kind for kind, _, _ in sent}),
        "sent": sum(size for _, size, inside in sent if inside),
        "stated": stated_bytes(spec.n_global, group.n_shared, group.n_own > 0),
        "memory": memory_mb(),
    }


def in_new_process(n: int, devices: int, batch_size: int | None) -> dict[str, Any]:
    command = [sys.executable, __file__, "--worker", str(n), "--devices", str(devices)]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}".strip()
    done = subprocess.run(
        [*command, *(["--batch-size", str(batch_size)] if batch_size else [])],
        capture_output=True,
        text=True,
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    )
    if done.returncode:
        sys.exit(f"{n} spectra on {devices} devices failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def report(title: str, sizes: dict[int, int], batch_size: int | None) -> list[dict[str, Any]]:
    """Run the rows {devices: spectra}, print their table and return the figures."""
    print(f"### {title}\n\nLoad average at the start: {load()}\n")
    found = [in_new_process(n, devices, batch_size) for devices, n in sizes.items()]
    rows = [
        [
            devices, n, show_time(f["step"]), show_time(f["step"] / n), show_time(f["fit"]), show_time(f["first"]),
            f["iterations"], f"{f['sent']} B", f"{f['stated']} B", ", ".join(f["kinds"]), f"{f['memory']:.0f} MB",
        ]
        for (devices, n), f in zip(sizes.items(), found, strict=True)
    ]  # fmt: skip
    header = [
        "devices", "spectra", "step", "per spectrum", "fit, warm", "fit, first", "iterations", "sent per step",
        "formula", "by", "peak memory",
    ]  # fmt: skip
    print(table(header, rows) + "\n")
    assert all(f["success"] for f in found), "a fit did not converge"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--strong", type=int, default=4000, help="spectra of all devices together")
    parser.add_argument("--weak", type=int, default=1000, help="spectra of each device")
    parser.add_argument("--batch-size", type=int, help="spectra that a device takes at a time")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(worker(args.worker, args.devices[0], args.batch_size)))
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"Simulated devices on {cores} cores: with more devices than cores the time of a step cannot fall.\n")
    strong = report("Strong scaling", dict.fromkeys(args.devices, args.strong), args.batch_size)
    for f in strong:
        assert abs(f["stat"] / strong[0]["stat"] - 1) < 1e-10, "the statistic depends on the number of devices"
        assert abs(f["amplitude"] / strong[0]["amplitude"] - 1) < 1e-10, "the answer depends on the number of devices"
    report("Weak scaling", {n: n * args.weak for n in args.devices}, args.batch_size)


if __name__ == "__main__":
    main()
