"""Pseudo-experiments of the joint Crab fit: time, agreement with single fits, pulls and coverage.

    python benchmarks/pseudo_experiments.py [--n 1000] [--pulls 10000] [--singles 50]

Ten on/off spectra, on and off counts drawn anew in each experiment around the best fit; log parabola with three free
parameters; errors from the exact curvature. Processor time counts all cores.
"""

import argparse
import time

import jax
import numpy as np
from measure import MODEL_START, fit_range, joint_crab_files, show_time, table

import gammajax as gj

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--pulls", type=int, default=10000)
    parser.add_argument("--singles", type=int, default=50)
    options = parser.parse_args()
    datasets = gj.Datasets(
        {
            name: gj.SpectrumDatasetOnOff.read(path).with_mask_fit(
                energy_min=fit_range(name)[0], energy_max=fit_range(name)[1], round_to_edge=False
            )
            for name, path in joint_crab_files().items()
        }
    )
    spectrum = gj.LogParabolaSpectralModel(reference=1.0, **MODEL_START)
    best = gj.fit(datasets, gj.Models([gj.SkyModel(spectrum, name="crab")]))
    rows, toys = [], None
    for label in ("first", "again", "again"):
        wall, processor = time.perf_counter(), time.process_time()
        toys = gj.pseudo_experiments(jax.random.key(0), datasets, best.models, options.n)
        spent = time.perf_counter() - wall, time.process_time() - processor
        rows.append([f"{options.n} experiments, {label}", *map(show_time, spent)])
    assert toys is not None
    singles = [toys.datasets(i) for i in range(options.singles)]
    wall, processor = time.perf_counter(), time.process_time()
    results = [gj.fit(d, best.models) for d in singles]
    spent = time.perf_counter() - wall, time.process_time() - processor
    rows.append([f"{options.singles} single gj.fit of these", *map(show_time, spent)])
    print(table(["", "wall", "processor"], rows))
    values = np.array([[float(r.parameters[name].value) for name in toys.names] for r in results])
    apart = np.abs(values - toys.parameters[: options.singles]) / toys.errors[: options.singles]
    print(f"largest difference from single fits: {apart.max():.1e} sigma")
    many = gj.pseudo_experiments(jax.random.key(1), datasets, best.models, options.pulls)
    error = 1 / np.sqrt(options.pulls)
    for name, pull, inside in zip(many.names, many.pulls.T, many.coverage().T, strict=True):
        print(
            f"{name}: pull {pull.mean() / error:+.2f} standard errors, width {pull.std():.4f}, "
            f"coverage {100 * inside[0]:.1f} and {100 * inside[1]:.1f} %"
        )
    print(f"p-value of the data: {many.p_value(best.stat):.4f}; converged: {int(many.success.sum())} of {len(many)}")


if __name__ == "__main__":
    main()
