"""Joint 3D fits of N H.E.S.S.-like runs: time, iterations and memory as N grows.

    python benchmarks/many_maps.py [--spectrum power-law|log-parabola] [--sizes 1 5 20 ...] [--gammapy-max 20]
    python benchmarks/many_maps.py --stages 20 [--profile]
    python benchmarks/many_maps.py --cores 20

Every size runs in a fresh process. A run is a map of 100 x 100 pixels of 0.05 deg with 16 reconstructed and 27 true
energy bins, PSF and energy dispersion at 15 x 15 positions. Its responses are those of the Crab runs 23523, 23526,
23559 and 23592 in turn, as functions of the offset from its own pointing, 0.4 to 0.7 deg from the source; efficiency
and background vary from run to run. All see one Gaussian source, whose position, width and power law (or log parabola)
are free, and the norm and tilt of each run's background are free: 2 N + 5 (or 6) parameters. Seeds are fixed.
``--stages`` shows where the time of a fit goes, ``--cores`` what a device for each core brings: fits on one device and
on all, in turn, of the simulated runs and of the four real ones.
"""

import argparse
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from measure import data_folder, load, median, memory_mb, repeat, seconds_of, show_time, table

RUNS = ("obs_23523", "obs_23526", "obs_23559", "obs_23592")
CENTER = (83.63, 22.01)
N_PIXELS, PIXEL, FIELD = 100, 0.05, 2.0
"""Pixels a side, their size, and the largest offset from the pointing that is used, in deg."""

TRUTH = {
    "spatial.lon_0": CENTER[0], "spatial.lat_0": CENTER[1], "spatial.sigma": 0.15,
    "spectral.amplitude": 4e-11, "spectral.index": 2.5, "spectral.alpha": 2.4, "spectral.beta": 0.1,
}  # fmt: skip
START = {
    "spatial.lon_0": CENTER[0] + 0.02, "spatial.lat_0": CENTER[1] - 0.02, "spatial.sigma": 0.1,
    "spectral.amplitude": 2e-11, "spectral.index": 2.2, "spectral.alpha": 2.2, "spectral.beta": 0.05,
}  # fmt: skip
ERRORS = {
    "spatial.lon_0": 0.01, "spatial.lat_0": 0.01, "spatial.sigma": 0.005,
    "spectral.amplitude": 2e-12, "spectral.index": 0.05, "spectral.alpha": 0.1, "spectral.beta": 0.05,
}  # fmt: skip
"""Rough errors of one run: Minuit's first steps."""


def source(numbers: dict[str, float], spectrum: str) -> Any:
    """The source with the values of ``numbers``, as a model of gammajax."""
    import gammajax as gj

    spatial = gj.GaussianSpatialModel(**{k: numbers[f"spatial.{k}"] for k in ("lon_0", "lat_0", "sigma")})
    classes = {
        "power-law": (gj.PowerLawSpectralModel, ("index", "amplitude")),
        "log-parabola": (gj.LogParabolaSpectralModel, ("alpha", "beta", "amplitude")),
    }
    make, names = classes[spectrum]
    return gj.SkyModel(make(**{k: numbers[f"spectral.{k}"] for k in names}), name="source", spatial=spatial)


def background(norm: float, tilt: float, run: str | None = None) -> Any:
    """A background model with norm and tilt free."""
    import gammajax as gj

    spectral = gj.PowerLawNormSpectralModel(norm=norm, tilt=gj.Parameter(tilt, frozen=False))
    return gj.FoVBackgroundModel(spectral, name=f"{run}-bkg" if run else "bkg", datasets_names=run)


@dataclass
class Responses:
    """What a real run becomes: profiles of exposure and background over the offset from the pointing."""

    read: Any
    offset: np.ndarray
    exposure: np.ndarray
    background: np.ndarray
    safe: np.ndarray
    pointing: np.ndarray


def separation(geom: Any, at: np.ndarray) -> np.ndarray:
    """Distances in deg of the pixels of ``geom`` from the direction ``at`` (lon, lat), (ny, nx)."""
    lon, lat = np.radians(at)
    center = np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
    vectors = np.asarray(geom.pixel_to_vector(*np.meshgrid(*(np.arange(n) for n in geom.shape[::-1]))))
    return np.degrees(2 * np.arcsin(np.linalg.norm(vectors - center, axis=-1) / 2))


def responses(run: str) -> Responses:
    """The profiles of a real run, means over rings of 0.1 deg."""
    import gammajax as gj

    read = gj.MapDataset.read(data_folder() / "hess-crab" / "maps" / f"{run}.fits.gz")
    pointing = np.array([read.meta[k].to_value("deg") for k in ("RA_PNT", "DEC_PNT")])
    offset = separation(read.geom, pointing)
    exposure, background, mask = (np.asarray(x, float) for x in (read.exposure, read.background, read.mask_safe))
    inside = (offset < FIELD) & (exposure.max(axis=0) > 0)
    ring = (offset[inside] / 0.1).astype(int)
    number = np.bincount(ring)
    of_rings = [
        np.array([np.bincount(ring, plane[inside]) for plane in planes])[:, number > 0] / number[number > 0]
        for planes in (exposure, background / read.geom.pixel_size**2 * PIXEL**2)
    ]
    centres = 0.1 * (np.flatnonzero(number) + 0.5)
    return Responses(read, centres, *of_rings, mask.reshape(len(mask), -1).any(axis=1), pointing)


def simulate(n: int, spectrum: str, seed: int = 7) -> tuple[Any, Any]:
    """Datasets and start models of ``n`` runs."""
    import jax

    import gammajax as gj

    npred = jax.jit(gj.npred)
    rng = np.random.default_rng(seed)
    real = [responses(run) for run in RUNS[: min(n, len(RUNS))]]
    truth = source(TRUTH, spectrum)
    narrow = math.cos(math.radians(CENTER[1]))
    datasets, models = {}, []
    for i in range(n):
        of = real[i % len(real)]
        distance, angle = rng.uniform(0.4, 0.7), rng.uniform(0, 2 * math.pi)
        efficiency, norm, tilt = rng.uniform(0.7, 1.1), rng.normal(1.0, 0.1), rng.normal(0.0, 0.05)
        pointing = np.array(CENTER) + distance * np.array([math.cos(angle) / narrow, math.sin(angle)])
        geom = gj.SkyGeom.create(tuple(pointing), PIXEL, npix=N_PIXELS)
        offset = separation(geom, pointing)
        read, psf, edisp = of.read, of.read.psf, of.read.edisp
        # PSF and energy dispersion move along with the pointing
        moved = gj.SkyGeom.create(
            tuple(np.array(CENTER) + pointing - of.pointing), psf.geom.pixel_size, npix=psf.geom.shape[::-1]
        )
        exposure, brightness = (
            np.stack([np.interp(offset, of.offset, plane) for plane in planes])
            for planes in (of.exposure, of.background)
        )
        dataset = gj.MapDataset(
            geom,
            read.energy_edges,
            read.energy_true_edges,
            background=efficiency * brightness,
            exposure=efficiency * exposure,
            psf=gj.PSFMap(moved, psf.energy, psf.rad, psf.rad_edges, psf.values, psf.exposure),
            edisp=gj.EDispKernelMap(moved, edisp.values, edisp.exposure),
            mask_safe=of.safe[:, None, None] & (offset < FIELD),
            livetime=read.livetime,
        )
        expected = np.asarray(npred(dataset, gj.Models([truth, background(norm, tilt)])))
        datasets[f"run-{i}"] = dataset.replace(counts=rng.poisson(expected).astype(float))
        models.append(background(1.0, 0.0, f"run-{i}"))
    return gj.Datasets(datasets), gj.Models([source(START, spectrum), *models])


def megabytes(tree: Any) -> float:
    """Size of the arrays of a pytree, each object once."""
    import jax

    arrays = {id(leaf): leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "nbytes")}
    return sum(leaf.nbytes for leaf in arrays.values()) / 2**20


def fit_gammajax(n: int, spectrum: str) -> dict[str, Any]:
    """Figures of one size; runs in its own process."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import gammajax as gj
    from gammajax.fit.joint import make_problem

    figures: dict[str, Any] = {}
    figures["simulate"], (datasets, models) = seconds_of(lambda: simulate(n, spectrum))
    figures["memory_data"] = memory_mb("VmRSS")
    before = memory_mb()
    figures["first"], result = seconds_of(lambda: with_covariance(gj.fit(datasets, models)))
    times = repeat(lambda: with_covariance(gj.fit(datasets, models)), most=20, budget=10.0)
    memory = memory_mb()
    figures["prepare"], problem = seconds_of(lambda: make_problem(datasets, models.with_image_margins()))
    found = {k.removeprefix("source."): (float(p.value), float(p.error)) for k, p in result.parameters.free.items()}
    return figures | {
        "fastest": min(times),
        "median": median(times),
        "compile": figures["first"] - median(times),
        "iterations": result.iterations,
        "evaluations": result.evaluations,
        "free": len(result.free_names),
        "status": result.status,
        "success": bool(result.success),
        "stat": float(result.stat),
        "found": {k: v for k, v in found.items() if k in TRUTH},
        "data": megabytes(list(datasets.values())),
        "staged": megabytes(problem.arrays),
        "groups": len(problem.groups),
        # the peak before the fit is that of the simulation, which may hide the fit's where runs are few
        "memory": memory,
        "memory_hidden": memory <= before,
    }


def with_covariance(result: Any) -> Any:
    _ = result.covariance
    return result


def fit_gammapy(n: int, spectrum: str) -> dict[str, Any]:
    """Figures of one size; runs in its own process."""
    import logging
    import warnings

    import jax

    jax.config.update("jax_enable_x64", True)
    from gammapy.datasets import Datasets
    from gammapy.modeling import Fit

    import gammajax as gj

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    ours, models = simulate(n, spectrum)
    datasets = Datasets([gj.to_gammapy(dataset, name=name) for name, dataset in ours.items()])
    datasets.models = gj.to_gammapy(models)
    parameters = {
        **{f"spatial.{p.name}": p for p in datasets.models["source"].spatial_model.parameters.free_parameters},
        **{f"spectral.{p.name}": p for p in datasets.models["source"].spectral_model.parameters.free_parameters},
    }
    for name, parameter in parameters.items():
        parameter.error = ERRORS[name] / math.sqrt(n)
    for parameter in datasets.models.parameters.free_parameters:
        if parameter.name in ("norm", "tilt"):
            parameter.error = 0.02
    fit = Fit()
    optimise, result = seconds_of(lambda: fit.optimize(datasets))
    hesse, _ = seconds_of(lambda: fit.covariance(datasets))
    return {
        "optimise": optimise,
        "hesse": hesse,
        "evaluations": int(result.nfev),
        "success": bool(result.success),
        "stat": float(result.total_stat),
        "found": {k: (float(p.value), float(p.error)) for k, p in parameters.items()},
    }


WORKERS = {"gammajax": fit_gammajax, "gammapy": fit_gammapy}


def in_new_process(package: str, n: int, spectrum: str) -> dict[str, Any] | None:
    """Figures of one size; None if the system ended the process for the memory it took."""
    command = [sys.executable, __file__, "--worker", package, "--sizes", str(n), "--spectrum", spectrum]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode in (-9, 137) or "RESOURCE_EXHAUSTED" in done.stderr:
        return None
    if done.returncode:
        sys.exit(f"{package} with {n} runs failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def pull(found: dict[str, tuple[float, float]]) -> float:
    """Largest deviation of a parameter of the source from the simulated truth, in its errors."""
    return max(abs(value - TRUTH[name]) / error for name, (value, error) in found.items())


def report(sizes: list[int], spectrum: str, gammapy_max: int) -> None:
    """Run all sizes and print the tables."""
    print(f"### N runs of {N_PIXELS} x {N_PIXELS} pixels x 16 bins, Gaussian source, {spectrum}\n")
    print(f"Load average at the start: {load()}\n")
    ours, rows = {}, []
    for n in sizes:
        f = in_new_process("gammajax", n, spectrum)
        if f is None:
            print(f"N = {n}: not enough memory.\n")
            break
        ours[n] = f
        rows.append(
            [
                n, f["free"], show_time(f["fastest"]), show_time(f["median"]), show_time(f["first"]),
                show_time(f["compile"]), show_time(f["prepare"]), f["iterations"], f["evaluations"], f["groups"],
                f"{f['data']:.0f} MB", f"{f['staged']:.0f} MB", f"{f['memory']:.0f} MB", f"{pull(f['found']):.1f}",
                f["status"],
            ]
        )  # fmt: skip
    header = [
        "N", "free parameters", "fit, fastest", "fit, median", "first call", "compilation", "one preparation",
        "iterations", "evaluations", "groups", "data", "staged", "peak memory", "max pull", "status",
    ]  # fmt: skip
    print(table(header, rows) + "\n")
    large = [n for n in ours if n >= 5]
    if len(large) > 1:
        first, last = large[0], large[-1]
        slope = math.log(ours[last]["fastest"] / ours[first]["fastest"]) / math.log(last / first)
        per_run = (ours[last]["memory"] - ours[first]["memory"]) / (last - first)
        base = ours[last]["memory"] - per_run * last
        print(
            f"From N = {first} to {last} time grows as N^{slope:.2f}, and the peak memory by {per_run:.1f} MB a run: "
            f"{(base + 500 * per_run) / 1024:.1f} GB at N = 500.\n"
        )
    assert all(f["success"] for f in ours.values()), "a fit did not converge"
    if importlib.util.find_spec("gammapy") is None:
        return
    rows = []
    for n in (n for n in ours if n <= gammapy_max):
        f, o = in_new_process("gammapy", n, spectrum), ours[n]
        assert f is not None, "gammapy: not enough memory"
        apart = max(abs(f["found"][k][0] - value) / error for k, (value, error) in o["found"].items())
        whole = f["optimise"] + f["hesse"]
        rows.append(
            [
                n, show_time(f["optimise"]), show_time(f["hesse"]), f["evaluations"], f["success"],
                f"{pull(f['found']):.1f}", show_time(o["fastest"]), f"{whole / o['fastest']:.0f}",
                f"{whole / o['first']:.1f}", f"{o['stat'] - f['stat']:+.3f}", f"{apart:.2f}",
            ]
        )  # fmt: skip
    header = [
        "N", "gammapy, optimize", "HESSE", "evaluations", "success", "max pull", "gammajax, fastest", "times faster",
        "with the first call", "stat less gammapy's", "values apart, sigma",
    ]  # fmt: skip
    print(table(header, rows) + "\n")


def stages(n: int, spectrum: str, profile: bool) -> None:
    """Where the time of a fit goes; goes along with the internals of gammajax."""
    import cProfile
    import pstats

    import jax

    jax.config.update("jax_enable_x64", True)
    import fit_stages

    import gammajax as gj

    datasets, models = simulate(n, spectrum)
    parts: dict[str, Callable[[], Any]] = fit_stages.stages(datasets, models)
    rows = []
    for name, function in parts.items():
        start = time.perf_counter()
        function()
        first = time.perf_counter() - start
        times = repeat(function, least=3, most=10, budget=4.0)
        rows.append([name, show_time(min(times)), show_time(median(times)), show_time(first)])
    print(f"### Stages of a fit of {n} runs, {spectrum}\n\nLoad average: {load()}\n")
    print(table(["stage", "fastest", "median", "first call"], rows) + "\n")
    if profile:
        python = cProfile.Profile()
        python.runcall(gj.fit, datasets, models)
        pstats.Stats(python).sort_stats("tottime").print_stats(25)


def real() -> tuple[Any, Any]:
    """The four runs on the Crab, with the models of the simulated ones but for a log parabola and a narrow source."""
    import gammajax as gj

    folder = data_folder() / "hess-crab" / "maps"
    datasets = gj.Datasets({run: gj.MapDataset.read(folder / f"{run}.fits.gz") for run in RUNS})
    start = START | {"spatial.sigma": 0.02, "spectral.amplitude": 4.5e-11}
    return datasets, gj.Models([source(start, "log-parabola"), *[background(1.0, 0.0, run) for run in RUNS]])


def cores(n: int) -> None:
    """Fits on one CPU device, and on one for each core, in turn."""
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    import gammajax as gj

    alone = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("datasets",))
    rows = []
    for name, (datasets, models) in {f"{n} simulated runs": simulate(n, "power-law"), "four real runs": real()}.items():
        times: dict[str, list[float]] = {"one": [], "all": []}
        stats: dict[str, float] = {}
        for k in range(9):
            for which, mesh in (("one", alone), ("all", None)):
                fitted = partial(gj.fit, datasets, models, mesh=mesh)
                seconds, result = seconds_of(lambda fitted=fitted: with_covariance(fitted()))
                stats[which] = float(result.stat)
                if k:
                    times[which].append(seconds)
        share = median([b / a for a, b in zip(times["one"], times["all"], strict=True)])
        apart = stats["all"] / stats["one"] - 1
        rows.append([name, *(show_time(median(t)) for t in times.values()), f"{100 * share:.0f} %", f"{apart:.0e}"])
    header = ["", "one device", f"{jax.device_count()} devices", "share, median of pairs", "statistic, relative"]
    print(f"Load average: {load()}\n\n{table(header, rows)}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--spectrum", choices=("power-law", "log-parabola"), default="power-law")
    parser.add_argument("--gammapy-max", type=int, default=20, help="largest N for gammapy; 0 for none")
    parser.add_argument("--stages", type=int, metavar="N", help="time the stages of a fit of N runs instead")
    parser.add_argument("--cores", type=int, metavar="N", help="compare one device and one for each core, with N runs")
    parser.add_argument("--profile", action="store_true", help="with --stages: add the Python profile of one fit")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(WORKERS[args.worker](args.sizes[0], args.spectrum)))
    elif args.cores:
        cores(args.cores)
    elif args.stages:
        stages(args.stages, args.spectrum, args.profile)
    else:
        report(sorted(args.sizes), args.spectrum, args.gammapy_max)


if __name__ == "__main__":
    main()
