"""Fits of maps from scattered starts: how often they end in the best minimum known, and what they compile.

    python benchmarks/convergence_maps.py [--seed 1] [--starts 10] [--kinds point gauss disk] [--simulated 20]
        [--no-crab] [--many 10 30]

Starts: positions within 0.3 deg, widths within a factor 5 of 0.05 deg (of the truth where counts are simulated),
amplitudes within 30. *Right* is less than 0.1 above the best statistic of all starts. *Programs* are counted by XLA's
own events: those of the first fit of a kind, and those of all fits after it, which are to be none. ``--simulated N``
draws N sources of random truth with the responses of one H.E.S.S. run. ``--many``: fits of so many sources, half of
them points and half Gaussians, at random places of a map of 100 x 100 x 16 bins, all parameters free.
"""

import argparse
import time
import warnings
from typing import NamedTuple

import jax
import numpy as np
from measure import data_folder, load, median, table

import gammajax as gj

jax.config.update("jax_enable_x64", True)

RUNS = ("obs_23523", "obs_23526", "obs_23559", "obs_23592")
CRAB = (83.63, 22.01)
RIGHT, WIDTH, AMPLITUDE = 0.1, 0.05, 4e-11

compiled = {"programs": 0, "seconds": 0.0}


def count(name: str, seconds: float, **_: object) -> None:
    if name == "/jax/core/compile/backend_compile_duration":
        compiled["programs"] += 1
        compiled["seconds"] += seconds


jax.monitoring.register_event_duration_secs_listener(count)


class Ended(NamedTuple):
    """One fit: its statistic, what it says, evaluations, programs, seconds of their compilation, of processor time."""

    stat: float
    success: bool
    evaluations: int
    programs: int
    compile_s: float
    cpu_s: float


def read(name: str) -> gj.MapDataset:
    dataset = gj.MapDataset.read(data_folder() / "hess-crab" / "maps" / f"{name}.fits.gz")
    assert isinstance(dataset, gj.MapDataset)
    return dataset


def fitted(datasets: gj.Datasets, models: gj.Models) -> Ended:
    before, cpu = dict(compiled), time.process_time()
    result = gj.fit(datasets, models)
    return Ended(
        result.stat,
        result.success,
        result.evaluations,
        int(compiled["programs"] - before["programs"]),
        compiled["seconds"] - before["seconds"],
        time.process_time() - cpu,
    )


def source(kind: str, lon: float, lat: float, width: float, amplitude: float, name: str = "source") -> gj.SkyModel:
    at = {"lon_0": lon, "lat_0": lat}
    shapes = {
        "point": lambda: gj.PointSpatialModel(**at),
        "gauss": lambda: gj.GaussianSpatialModel(sigma=width, **at),
        "disk": lambda: gj.DiskSpatialModel(r_0=width, **at),
    }
    return gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=amplitude), name, spatial=shapes[kind]())


def background(name: str) -> gj.FoVBackgroundModel:
    return gj.FoVBackgroundModel(gj.PowerLawNormSpectralModel(), name=f"{name}-bkg", datasets_names=[name])


def away(rng: np.random.Generator, lon: float, lat: float) -> tuple[float, float]:
    """A place within 0.3 deg."""
    radius, angle = 0.3 * np.sqrt(rng.uniform()), rng.uniform(0, 2 * np.pi)
    return lon + radius * np.cos(angle) / np.cos(np.deg2rad(lat)), lat + radius * np.sin(angle)


def start(rng: np.random.Generator, kind: str, lon: float, lat: float, width: float, amplitude: float) -> gj.SkyModel:
    return source(kind, *away(rng, lon, lat), width * 5 ** rng.uniform(-1, 1), amplitude * 30 ** rng.uniform(-1, 1))


def row(name: str, ends: list[list[Ended]]) -> list[object]:
    """One line of the table; ``ends`` of each problem."""
    best = [min(e.stat for e in of) for of in ends]
    flat = [e for of in ends for e in of]
    right = sum(e.stat < b + RIGHT for of, b in zip(ends, best, strict=True) for e in of)
    lies = sum(e.success and e.stat > b + 0.5 for of, b in zip(ends, best, strict=True) for e in of)
    later = flat[1:]
    return [
        name,
        len(flat),
        f"{100 * right / len(flat):.1f} %",
        lies,
        f"{median([e.evaluations for e in flat]):.0f}, {max(e.evaluations for e in flat)}",
        flat[0].programs,
        sum(e.programs for e in later),
        f"{flat[0].cpu_s:.1f} s",
        f"{1000 * median([e.cpu_s for e in later]):.0f} ms",
    ]


HEADER = [
    "problem",
    "fits",
    "right",
    "success > 0.5 above",
    "evaluations: median, most",
    "programs, first fit",
    "all later fits",
    "processor time, first",
    "later",
]


def scattered(args: argparse.Namespace) -> None:
    rows = []
    runs = {name: read(name) for name in RUNS}
    for kind in args.kinds if args.crab else []:
        rng = np.random.default_rng(args.seed)
        datasets = gj.Datasets(runs)
        ends = [
            fitted(datasets, gj.Models([start(rng, kind, *CRAB, WIDTH, AMPLITUDE), *map(background, RUNS)]))
            for _ in range(args.starts)
        ]
        rows.append(row(f"Crab, four runs, {kind}", [ends]))
        print(table(HEADER, rows[-1:]), flush=True)
    run = runs[RUNS[0]]
    for kind in args.kinds if args.simulated else []:
        rng = np.random.default_rng(args.seed + 1)
        found = []
        for _ in range(-(-args.simulated // len(args.kinds))):
            truth = (*away(rng, *CRAB), 0.03 * 5 ** rng.uniform(), 1e-11 * 10 ** rng.uniform())
            models = gj.Models([source(kind, *truth), background(RUNS[0])])
            counts = rng.poisson(np.asarray(gj.npred(run, models, name=RUNS[0]))).astype(float)
            datasets = gj.Datasets({RUNS[0]: run.replace(counts=counts)})
            found.append(
                [
                    fitted(datasets, gj.Models([start(rng, kind, *truth), background(RUNS[0])]))
                    for _ in range(args.starts)
                ]
            )
        rows.append(row(f"simulated, {len(found)} x {kind}", found))
        print(table(HEADER, rows[-1:]), flush=True)
    if rows:
        print("\n### Scattered starts on maps\n")
        print(table(HEADER, rows))


def crowded(seed: int, n: int) -> tuple[gj.Datasets, gj.Models]:
    """A map of 100 x 100 x 16 bins, and the start of its fit; the pixels beside those of the run repeat its edge."""
    run = read(RUNS[0])
    size, beside = 100, (100 - run.geom.shape[0]) // 2

    def padded(values: object) -> np.ndarray:
        return np.pad(np.asarray(values), ((0, 0), (beside, beside), (beside, beside)), mode="edge")

    geom = gj.SkyGeom.create(tuple(float(v) for v in run.geom.wcs.wcs.crval), 0.05, npix=size)
    fields = {name: padded(getattr(run, name)) for name in ("counts", "exposure", "background", "mask_safe")}
    wide = run.replace(geom=geom, mask_fit=None, **fields)
    rng = np.random.default_rng(seed)
    places = rng.uniform(-1.2, 1.2, (n, 2))

    def models(factor: float, more: float, off: float) -> gj.Models:
        found: list[gj.SkyModel | gj.FoVBackgroundModel] = []
        for i, (x, y) in enumerate(places):
            at = (CRAB[0] + x / np.cos(np.deg2rad(CRAB[1])) + off, CRAB[1] + y + off)
            model = source("point" if i < n // 2 else "gauss", *at, 0.05, 1e-11 * factor, f"s{i}")
            found.append(model.replace(spectral=model.spectral.replace(index=2.3 + more)))
        tilted = gj.PowerLawNormSpectralModel(tilt=gj.Parameter(0.0, frozen=False))
        return gj.Models([*found, gj.FoVBackgroundModel(tilted, name="bkg")])

    counts = rng.poisson(np.asarray(gj.npred(wide, models(1, 0, 0)))).astype(float)
    return gj.Datasets({"map": wide.replace(counts=counts)}), models(0.6, 0.2, 0.01)


def many(args: argparse.Namespace) -> None:
    rows = []
    for n in args.many:
        for seed in (args.seed, args.seed + 1):
            datasets, models = crowded(seed, n)
            first, second = fitted(datasets, models), fitted(datasets, models)
            cells = [f"{first.stat:.2f}", second.success, second.evaluations, first.programs]
            rows.append([f"{n} sources, seed {seed}", *cells, f"{first.cpu_s:.1f} s", f"{second.cpu_s:.2f} s"])
            print(rows[-1], flush=True)
    if rows:
        print("\n### Many sources on one map, all parameters free\n")
        header = ["sources", "statistic", "success", "evaluations", "programs", "first fit", "again"]
        print(table(header, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--kinds", nargs="+", default=["point", "gauss", "disk"])
    parser.add_argument("--simulated", type=int, default=20)
    parser.add_argument("--no-crab", dest="crab", action="store_false")
    parser.add_argument("--many", nargs="*", type=int, default=[])
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"Load before: {load()}\n")
    scattered(args)
    many(args)
    print(f"\nLoad after: {load()}")


if __name__ == "__main__":
    main()
