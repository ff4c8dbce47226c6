"""Maps with gammapy and gammajax in one process: predicted counts, their gradients, and the four-run Crab fit.

    python benchmarks/maps.py [--no-gammapy] [--repeats 10] [--gammapy-repeats 1]
    python benchmarks/maps.py --gradients [--repeats 10]

gammapy is run where it is installed. Its spectral and spatial caches are emptied before each call by a change of the
position, as in a fit; of the fit the best of its ways is taken (first steps of Minuit from sensible errors). With
``--gradients`` predictions and their gradients of 1, 8 and 64 sources, in turn, and the memory that XLA says they need.
"""

import argparse
import importlib.util
import json
import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from measure import data_folder, load, median, seconds_of, show_time, table

import gammajax as gj
from gammajax.datasets.compile import QUICK
from gammajax.datasets.map import plan
from gammajax.fit.joint import evaluate, from_free, inputs, make_problem

jax.config.update("jax_enable_x64", True)

RUNS = ("obs_23523", "obs_23526", "obs_23559", "obs_23592")
CENTER = (83.63, 22.01)


def simulated(n: int, n_energy: int = 20) -> gj.MapDataset:
    """An n by n map of 0.05 deg pixels with ``n_energy`` bins, a PSF of 0.06 deg and 15 % energy dispersion."""
    edges = np.geomspace(0.3, 50, n_energy + 1)
    centres = np.sqrt(edges[1:] * edges[:-1])
    return gj.MapDataset(
        gj.SkyGeom.create(CENTER, 0.05, npix=n),
        edges,
        exposure=np.full((n_energy, n, n), 1e13),
        background=np.full((n_energy, n, n), 0.1),
        psf=gj.PSFMap.from_gauss(centres, 0.06),
        edisp=gj.EDispKernel.from_gauss(edges, edges, 0.15),
    )


def sources(n: int, kind: str, spread: float = 3.0) -> list[gj.SkyModel]:
    rng = np.random.default_rng(1)
    found = []
    for i in range(n):
        at = {
            "lon_0": CENTER[0] + rng.uniform(-spread, spread) * (n > 1),
            "lat_0": CENTER[1] + rng.uniform(-spread, spread) * (n > 1),
        }
        spatial = gj.PointSpatialModel(**at) if kind == "point" else gj.GaussianSpatialModel(sigma=0.2, **at)
        found.append(gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=3e-12), f"s{i}", spatial=spatial))
    return found


def timed(function: Any, *args: Any, repeats: int) -> tuple[float, float]:
    """Seconds of the first call, and the median of the next."""
    start = time.perf_counter()
    jax.block_until_ready(function(*args))
    first = time.perf_counter() - start
    return first, median([seconds_of(lambda: jax.block_until_ready(function(*args)))[0] for _ in range(repeats)])


def bare_transforms(dataset: Any, models: gj.Models, repeats: int) -> float:
    """Time of the inverse transforms that sources cannot do without: one per plane and source."""
    ny, nx = plan(dataset, models[0]).period
    planes = jnp.ones((dataset.n_true, ny, nx // 2 + 1), complex)
    return len(models) * timed(jax.jit(lambda x: jnp.fft.irfft2(x, s=(ny, nx))), planes, repeats=repeats)[1]


def staged_npred(datasets: gj.Datasets, models: gj.Models, repeats: int) -> float:
    """Time of the predicted counts inside a fit, where all shapes and spectra are free."""
    problem = make_problem(datasets, models.unfreeze(*[f"{m.name}.spatial.lon_0" for m in models]))
    (group,), (arrays,) = problem.spec.groups, problem.arrays["groups"]
    arrays = jax.tree.map(jnp.asarray, arrays)
    theta = from_free(problem.arrays, jnp.asarray(problem.start()))
    shared, own = inputs(group, arrays, theta, 0)
    function = jax.jit(
        lambda a, s, o: evaluate(group, a, lambda dataset, models: dataset.predict(models), s, o),
        compiler_options=QUICK,
    )
    return timed(function, arrays, shared, own, repeats=repeats)[1]


def predictions(args: argparse.Namespace) -> None:
    rows = []
    npred = jax.jit(gj.npred)
    slope = jax.jit(jax.value_and_grad(lambda m, d: jnp.sum(gj.npred(d, m)), allow_int=True))
    cases = [
        (200, 1, "point"),
        (200, 1, "gauss"),
        (200, 8, "point"),
        (200, 64, "point"),
        (100, 1, "gauss"),
        (400, 1, "gauss"),
    ]
    for n, number, kind in cases:
        dataset, models = simulated(n), gj.Models(sources(number, kind))
        counts = jnp.asarray(np.asarray(npred(dataset, models)))
        # in a fit: kernels and cutouts are staged, a position is free
        free = models.freeze().unfreeze("s0.spatial.lon_0", "s0.spectral.amplitude")
        density = gj.log_density(gj.Datasets({"map": dataset.replace(counts=counts)}), free)
        vector = jnp.asarray(density.initial)
        both = jax.jit(jax.value_and_grad(density))
        _, pure = timed(npred, dataset, models, repeats=args.repeats)
        _, gradient = timed(slope, models, dataset, repeats=args.repeats)
        _, staged = timed(both, vector, repeats=args.repeats)
        inside = staged_npred(gj.Datasets({"map": dataset.replace(counts=counts)}), models, args.repeats)
        floor = bare_transforms(dataset, models, args.repeats)
        peer = gammapy_npred(dataset, models, args) if args.gammapy else float("nan")
        rows.append(
            [f"{number} {kind}, {n} x {n} x 20"]
            + [show_time(x) if np.isfinite(x) else "" for x in (pure, gradient, inside, floor, staged, peer)]
        )
    print(
        table(
            [
                "model, map",
                "npred",
                "npred and gradient",
                "npred in a fit",
                "its bare FFTs",
                "statistic and gradient in a fit, one position free",
                "gammapy npred",
            ],
            rows,
        )
    )


def gradients(args: argparse.Namespace) -> None:
    """Predictions and gradients in turn: times of the fastest, wall and processor."""
    dataset, rows = simulated(200), []
    for kind in ("point", "gauss"):
        for number in (1, 8, 64):
            models = gj.Models(sources(number, kind))
            npred = jax.jit(gj.npred).lower(dataset, models).compile()
            total = jax.value_and_grad(lambda m, d: jnp.sum(gj.npred(d, m)), allow_int=True)
            slope = jax.jit(total).lower(models, dataset).compile()
            times: list[list[tuple[float, float]]] = [[], []]
            for _ in range(args.repeats + 1):
                for found, call, given in ((times[0], npred, (dataset, models)), (times[1], slope, (models, dataset))):
                    wall, processor = time.perf_counter(), time.process_time()
                    jax.block_until_ready(call(*given))
                    found.append((time.perf_counter() - wall, time.process_time() - processor))
            best = [[min(column) for column in zip(*found[1:], strict=True)] for found in times]
            walls, processors = zip(*best, strict=True)
            ratios = [f"{of_both[1] / of_both[0]:.1f}" for of_both in (walls, processors)]
            memory = f"{slope.memory_analysis().temp_size_in_bytes / 2**20:.0f} MB"
            shown = [show_time(x) for x in (*walls, *processors)]
            rows.append([f"{number} {kind}", *shown[:2], ratios[0], *shown[2:], ratios[1], memory])
    header = ["sources, 200 x 200 x 20", "npred", "gradient", "ratio"]
    print(table([*header, "npred, processor", "gradient, processor", "ratio", "memory"], rows))


def gammapy_npred(dataset: gj.MapDataset, models: gj.Models, args: argparse.Namespace) -> float:
    peer = gj.to_gammapy(dataset)
    peer.models = gj.to_gammapy(models)
    peer.npred()
    times = []
    for k in range(max(args.gammapy_repeats, 3)):
        for model in peer.models:
            model.spatial_model.lon_0.value += 1e-4 * (1 if k % 2 else -1)
        times.append(seconds_of(peer.npred)[0])
    return median(times)


def crab(args: argparse.Namespace) -> None:
    folder = data_folder() / "hess-crab"
    models = gj.Models.read(folder / "crab_joint_ref_models.yaml")
    default = models.with_values(
        {"crab.spectral.amplitude": 1e-11, "crab.spectral.alpha": 2.0, "crab.spectral.beta": 0.0}
        | {f"{run}-bkg.spectral.norm": 1.0 for run in RUNS}
    )
    rows = []
    for grid in ("pixel", "exact"):
        datasets = gj.Datasets(
            {run: gj.MapDataset.read(folder / "maps" / f"{run}.fits.gz").replace(source_grid=grid) for run in RUNS}
        )
        first = seconds_of(lambda d=datasets: gj.fit(d, models).covariance)[0]
        for name, start in (("good start", models), ("default start", default)):
            result = gj.fit(datasets, start)
            warm = [seconds_of(lambda d=datasets, s=start: gj.fit(d, s).covariance)[0] for _ in range(args.repeats)]
            rows.append(
                [
                    f"gammajax, source_grid={grid!r}, {name}",
                    show_time(min(warm)),
                    show_time(median(warm)),
                    result.evaluations,
                    f"{result.stat:.4f}",
                    result.status,
                    show_time(first),
                ]
            )
    reference = json.loads((folder / "crab_joint.json").read_text())
    if args.gammapy:
        rows.append(gammapy_crab(folder))
    else:
        fit = reference["fit"]
        rows.append(
            [
                "gammapy, recorded elsewhere",
                show_time(fit["optimize_s_median"]),
                "+ HESSE " + show_time(fit["hesse_s_median"]),
                fit["nfev_opt_median"],
                f"{reference['stat_fresh_evaluators']:.4f}",
                "",
                "",
            ]
        )
    print(
        table(
            [
                "fit with 13 parameters and covariance",
                "fastest",
                "median",
                "evaluations",
                "stat",
                "status",
                "first call",
            ],
            rows,
        )
    )


def gammapy_crab(folder: Any) -> list[Any]:
    import yaml
    from gammapy.datasets import Datasets, MapDataset
    from gammapy.modeling import Fit
    from gammapy.modeling.models import Models

    datasets = Datasets([MapDataset.read(folder / "maps" / f"{run}.fits.gz", name=run) for run in RUNS])
    content = yaml.safe_load((folder / "crab_joint_ref_models.yaml").read_text())
    content.pop("covariance", None)
    datasets.models = Models.from_dict(content)
    fit = Fit()
    start = time.perf_counter()
    result = fit.optimize(datasets)
    optimise = time.perf_counter() - start
    start = time.perf_counter()
    fit.covariance(datasets)
    hesse = time.perf_counter() - start
    return [
        "gammapy, good start and steps",
        show_time(optimise + hesse),
        f"of this HESSE {show_time(hesse)}",
        result.nfev,
        f"{result.total_stat:.4f}",
        "converged" if result.success else "failed",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-gammapy", dest="gammapy", action="store_false")
    parser.add_argument("--gradients", action="store_true", help="time these of many sources instead")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--gammapy-repeats", type=int, default=3)
    args = parser.parse_args()
    args.gammapy = args.gammapy and importlib.util.find_spec("gammapy") is not None
    warnings.simplefilter("ignore")
    print(f"Load before: {load()}")
    if args.gradients:
        gradients(args)
        return
    predictions(args)
    print()
    crab(args)
    print(f"\nLoad after: {load()}")


if __name__ == "__main__":
    main()
