"""Pseudo-experiments of the joint Crab fit: time, agreement with single fits, pulls and coverage; and a bright run.

    python benchmarks/pseudo_experiments.py [--n 1000] [--pulls 10000] [--singles 50] [--maps 0]

Ten on/off spectra, on and off counts drawn anew in each experiment around the best fit; log parabola with three free
parameters; errors from the exact curvature. Processor time counts all cores. The pulls once more with ten and a hundred
times the exposure: the bias of maximum likelihood falls as the root of the counts, that of a wrong program would not.
With ``--maps`` so many experiments of one simulated H.E.S.S.-like run, see ``many_maps.py``: a Gaussian source with
free position, width and spectrum, norm and tilt of the background.
"""

import argparse
import time

import jax
import many_maps
import numpy as np
from measure import MODEL_START, fit_range, joint_crab_files, load, show_time, table
from simulated import TRUTH, simulate, to_gammajax

import gammajax as gj

jax.config.update("jax_enable_x64", True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--pulls", type=int, default=10000)
    parser.add_argument("--singles", type=int, default=50)
    parser.add_argument("--maps", type=int, default=0)
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
    timed(datasets, best.models, options.n, min(options.n, options.singles))
    header = ["", "parameter", "mean pull", "in its errors", "width", "68.3 %", "95.4 %", "converged"]
    rows: list[list[str]] = []
    for times in (1, 10, 100) if options.pulls else ():
        many = gj.pseudo_experiments(jax.random.key(1), longer(datasets, times), best.models, options.pulls)
        rows += pulls(f"Crab, exposure x {times}", many)
        if times == 1:
            print(f"p-value of the data: {many.p_value(best.stat):.4f}")
    if options.maps:
        runs, start = many_maps.simulate(1, "power-law")
        rows += pulls("map", timed(runs, gj.fit(runs, start).models, options.maps, min(options.maps, options.singles)))
    if not options.pulls:
        print(table(header, rows))
        return
    bright, models = to_gammajax(simulate(1, "shared"))
    at_truth = models.with_values({f"{models[0].name}.spectral.{name}": value for name, value in TRUTH.items()})
    many = gj.pseudo_experiments(jax.random.key(2), longer(bright, 100), at_truth, options.pulls)
    rows += pulls("simulated run, exposure x 100", many)
    print(table(header, rows))


def timed(datasets: gj.Datasets, models: gj.Models, n: int, singles: int) -> gj.PseudoExperiments:
    """``n`` experiments, first and again, and some of them as single fits; prints how far apart these are."""
    rows, toys = [], None
    for label in ("first", "again", "again", "again"):
        wall, processor = time.perf_counter(), time.process_time()
        toys = gj.pseudo_experiments(jax.random.key(0), datasets, models, n)
        spent = time.perf_counter() - wall, time.process_time() - processor
        rows.append([f"{n} experiments, {label}", *map(show_time, spent)])
    assert toys is not None
    drawn = [toys.datasets(i) for i in range(singles)]
    wall, processor = time.perf_counter(), time.process_time()
    results = [gj.fit(d, models) for d in drawn]
    spent = time.perf_counter() - wall, time.process_time() - processor
    rows.append([f"{singles} single gj.fit of these", *map(show_time, spent)])
    print(f"Load average: {load()}\n\n{table(['', 'wall', 'processor'], rows)}")
    values = np.array([[float(r.parameters[name].value) for name in toys.names] for r in results])
    apart = np.abs(values - toys.parameters[:singles]) / toys.errors[:singles]
    print(f"largest difference from single fits: {apart.max():.1e} sigma; converged: {toys.success.sum()}\n")
    return toys


def longer(datasets: gj.Datasets, times: float) -> gj.Datasets:
    """The same with a longer exposure."""
    fields = ("counts", "counts_off", "exposure")
    return gj.Datasets(
        {k: d.replace(**{f: times * np.asarray(getattr(d, f)) for f in fields}) for k, d in datasets.items()}
    )


def pulls(label: str, toys: gj.PseudoExperiments) -> list[list[str]]:
    """Rows of the table of pulls."""
    found = []
    for name, pull, inside in zip(toys.names, toys.pulls.T, toys.coverage().T, strict=True):
        known = pull[np.isfinite(pull)]
        mean, shares = known.mean(), [f"{100 * x:.2f} %" for x in inside]
        in_errors = mean * np.sqrt(len(known))
        counted = f"{int(toys.success.sum())} of {len(toys)}"
        short = name.rpartition(".")[2]
        found.append([label, short, f"{mean:+.4f}", f"{in_errors:+.1f}", f"{known.std():.4f}", *shares, counted])
    return found


if __name__ == "__main__":
    main()
