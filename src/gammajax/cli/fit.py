"""``gammajax fit``: read, fit, report, write.

A short fit spends its time on imports and on compilation. XLA compiles outside Python's lock, so everything that is
needed after the fit is compiled and imported by a second thread meanwhile.
"""

import argparse
import json
import os
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from gammajax.cli.session import set_up_jax
from gammajax.cli.terminal import Progress, make_console
from gammajax.datasets.errors import InputError
from gammajax.datasets.io.paths import Filename, as_path, write_files

if TYPE_CHECKING:
    from astropy import units as u

    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.counts.dataset import CountsDataset
    from gammajax.datasets.flux_points.points import FluxPoints
    from gammajax.datasets.models.collection import Models
    from gammajax.fit.joint.problem import Problem
    from gammajax.fit.predictions import Prediction
    from gammajax.fit.result import FitResult
    from gammajax.fit.solvers.globalise import Starts

MOST_PICTURES = 30
"""Datasets that get a picture of their own."""

WARM_DATASETS = 100
"""Larger fits are not prepared in a second thread: their programs take longer to run than to compile."""

RESULT_FILES = ("result.yaml", "result.fits", "parameters.ecsv")


@dataclass
class FitOptions:
    """What the command line says about a fit."""

    output: Path
    method: str = "scoring"
    energy_min: str | None = None
    energy_max: str | None = None
    max_iterations: int = 200
    starts: "Starts" = "auto"
    plots: bool = True
    precision: Literal["float64", "float32"] = "float64"
    overwrite: bool = False
    quiet: bool = False
    flux_points: tuple[str, ...] = ()
    json: bool = False


def fit_command(args: argparse.Namespace) -> int:
    """The command: exit code 0 if the fit converged, else 1."""
    set_up_jax(cache=not args.no_cache)
    options = FitOptions(
        output=as_path(args.output),
        method=args.method,
        energy_min=args.energy_min,
        energy_max=args.energy_max,
        max_iterations=args.max_iterations,
        starts=args.starts,
        plots=not args.no_plots,
        precision=args.precision,
        overwrite=args.overwrite,
        quiet=args.quiet,
        flux_points=tuple(args.flux_points or ()),
        json=args.json,
    )
    return 0 if fit_files(args.datasets, args.models, options).success else 1


def fit_files(datasets_file: Filename, models_file: Filename, options: FitOptions) -> "FitResult":
    """Fit the models of one file to the datasets of another, print the report, write all results; the `FitResult`."""
    from gammajax.cli.report import print_result
    from gammajax.datasets.models.collection import Models
    from gammajax.fit.fit import fit
    from gammajax.fit.joint.parameters import parameter_space
    from gammajax.fit.joint.problem import make_problem
    from gammajax.fit.predictions import predictions

    check_folder(options.output)
    datasets = with_range(read_datasets_or_spectrum(datasets_file), options.energy_min, options.energy_max)
    models = Models.read(models_file)
    pictures = picture_names(datasets, models) if options.plots else {}
    edges = energies(options.flux_points, "--flux-points") if options.flux_points else None
    names = {} if edges is None else point_names(models)
    check_new(options.output, [*RESULT_FILES, *pictures.values(), *names.values()], options.overwrite)
    problem = make_problem(datasets, models)

    start = time.perf_counter()
    imports = prepare(problem, options)
    with Progress(make_console, options.quiet or options.json) as progress:

        def follow(iterations: int, stat: float, edm: float) -> None:
            progress(iterations, stat, edm)

        result = fit(
            datasets,
            models,
            options.method,
            max_iterations=options.max_iterations,
            starts=options.starts,
            precision=options.precision,
            progress=follow,
        )
    seconds = time.perf_counter() - start
    if imports is not None:
        # two threads that import one package at a time may find half of it
        imports.join()

    space = parameter_space(result.models, datasets.names)
    if any(d.moved(list(models), list(result.models)) for d in datasets):
        # with the responses at the fitted positions
        problem = make_problem(datasets, result.models)
    found = predictions(problem, np.asarray(space.values[space.free]))
    try:
        files = {options.output / name: data for name, data in contents(result, found, pictures, datasets).items()}
        write_files(files, overwrite=options.overwrite)
    finally:
        # a full disk shall not cost the numbers
        if not options.quiet and not options.json:
            print_result(make_console(), result, found, seconds)
    points = {} if edges is None else flux_points_of(datasets, result, edges, options.output, names, options.overwrite)
    if options.json:
        print(json_text(result, points))
    elif not options.quiet:
        print_files(datasets, options, pictures, list(names.values()))
    if (options.quiet or options.json) and not result.success:
        print(f"gammajax: warning: {result.message}", file=sys.stderr)
    return result


def check_folder(folder: Path) -> None:
    """Results can be written there; found out before a long fit, not after it."""
    existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not existing.is_dir():
        raise InputError(f"{folder}: cannot write there, {existing} is a file. Choose another folder with --output.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: cannot write there, {existing} may not be changed. Choose another with --output.")


def check_new(folder: Path, names: list[str], overwrite: bool) -> None:
    """None of the files exists yet, unless they may be replaced."""
    there = [name for name in names if (folder / name).exists()]
    if there and not overwrite:
        raise InputError(
            f"{folder}: results are there already ({', '.join(there[:3])}{' ...' if len(there) > 3 else ''}). "
            "Choose another folder with --output, or replace them with --overwrite."
        )


def read_datasets_or_spectrum(filename: Filename) -> "Datasets":
    """The datasets of an index, or a single spectrum under the name of its file."""
    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.collection.registry import read_dataset

    path = as_path(filename)
    if path.name.endswith((".yaml", ".yml", ".yaml.gz", ".yml.gz")):
        return Datasets.read(path)
    return Datasets({path.name.split(".")[0]: read_dataset(path)})


def with_range(datasets: "Datasets", energy_min: str | None, energy_max: str | None) -> "Datasets":
    """The datasets with their fitted bins narrowed to an energy range."""
    if energy_min is None and energy_max is None:
        return datasets
    low, high = parse_energy(energy_min, "--energy-min"), parse_energy(energy_max, "--energy-max")
    narrowed = {}
    for name, dataset in datasets.items():
        # flux points have both methods, too
        binned = cast("CountsDataset", dataset)
        mask = np.asarray(binned.with_mask_fit(energy_min=low, energy_max=high).mask_fit)
        narrowed[name] = binned.with_mask_fit(mask if binned.mask_fit is None else mask & np.asarray(binned.mask_fit))
    return type(datasets)(narrowed)


def parse_energy(text: str | None, option: str) -> "u.Quantity | None":
    """An energy such as "0.5TeV"; a bare number is in TeV."""
    from astropy import units as u

    if text is None:
        return None
    try:
        energy = u.Quantity(text)
    except (TypeError, ValueError):
        energy = None
    if energy is not None and energy.unit == u.dimensionless_unscaled:
        energy = energy.value * u.TeV
    if energy is None or not energy.isscalar or not energy.unit.is_equivalent("TeV") or not energy > 0 * u.TeV:
        raise InputError(f"{option}: found {text!r}, expected an energy such as 0.5TeV or 500GeV.")
    return energy


def picture_names(datasets: "Datasets", models: "Models") -> dict[tuple[str, str], str]:
    """File names of the pictures, by what they show: ("counts", dataset) or ("sed", model)."""
    from gammajax.fit.spectra import source_names

    wanted = [("sed", name) for name in source_names(models)]
    wanted += [("counts", name) for name in datasets.names[:MOST_PICTURES] if datasets[name].has_counts]
    wanted += [("sky", name) for name in datasets.names[:MOST_PICTURES] if datasets[name].sky_geom is not None]
    names: dict[tuple[str, str], str] = {}
    for kind, name in wanted:
        stem = kind + "-" + re.sub(r"[^\w.+-]", "_", name)
        taken = {n.lower() for n in names.values()}
        numbers = (f"-{i}" for i in range(2, len(wanted) + 2))
        names[kind, name] = next(f"{stem}{s}.png" for s in ("", *numbers) if f"{stem}{s}.png".lower() not in taken)
    return names


def prepare(problem: "Problem", options: FitOptions) -> threading.Thread | None:
    """Compile and import, in other threads, what comes after the fit (which sees to its errors itself); the one that
    imports."""
    if len(problem.datasets) > WARM_DATASETS:
        return None

    def compile_rest() -> None:
        from gammajax.fit.joint.objective import from_free
        from gammajax.fit.predictions import compiled_predictions
        from gammajax.fit.spectra import derivatives, source_names
        from gammajax.plots.bands import N_ENERGIES

        start = from_free(problem.arrays, np.asarray(problem.start(), float))
        try:
            compiled_predictions(problem.spec, problem.arrays, start)
            if options.plots:
                for name in source_names(problem.models):
                    derivatives(problem.models, problem.datasets.names, name, (np.geomspace(0.1, 1.0, N_ENERGIES),))
        except Exception:
            # the same happens to the fit, which reports it
            return

    def import_rest() -> None:
        import astropy.io.ascii
        import astropy.table  # noqa: F401

        if options.plots:
            import gammajax.plots.figures  # noqa: F401
        if not options.quiet:
            import rich.box
            import rich.table  # noqa: F401

    # not daemons: a thread that is inside XLA while the interpreter ends takes the whole process down with it
    threads = [threading.Thread(target=work) for work in (compile_rest, import_rest)]
    for thread in threads:
        thread.start()
    return threads[1]


def contents(
    result: "FitResult", found: "list[Prediction]", pictures: dict[tuple[str, str], str], datasets: "Datasets"
) -> dict[str, bytes]:
    """All result files by name."""
    from gammajax.datasets.models.sky_model import SkyModel
    from gammajax.fit.result_files import result_contents

    files = {path.name: data for name in RESULT_FILES for path, data in result_contents(result, name).items()}
    if not pictures:
        return files
    from gammajax.plots.figures import counts_figure, png
    from gammajax.plots.plots import plot_sed, plot_sky

    by_name = {p.name: p for p in found}
    for (kind, name), file in pictures.items():
        if kind == "counts":
            files[file] = png(counts_figure(by_name[name]))
            continue
        if kind == "sky":
            files[file] = png(plot_sky(datasets[name], result.models, name))
            continue
        seen = [p for p in found if result.models[name].acts_on(p.name)]
        edges = np.concatenate([p.edges[:-1][p.mask] for p in seen] + [p.edges[1:][p.mask] for p in seen])
        # where several sources share a region, its excess belongs to none of them alone
        sources = [m for m in result.models if isinstance(m, SkyModel)]
        alone = all(sum(m.acts_on(p.name) for m in sources) == 1 for p in seen)
        files[file] = png(plot_sed(result, name, (edges.min(), edges.max()), seen if alone else None))
    return files


def point_names(models: "Models") -> dict[str, str]:
    """File names of the flux points of each source."""
    from gammajax.fit.spectra import source_names

    found: dict[str, str] = {}
    for name in source_names(models):
        stem, taken = "flux-points-" + re.sub(r"[^\w.+-]", "_", name), {n.lower() for n in found.values()}
        numbers = ("", *(f"-{i}" for i in range(2, len(taken) + 3)))
        found[name] = next(f"{stem}{n}.ecsv" for n in numbers if f"{stem}{n}.ecsv".lower() not in taken)
    return found


def flux_points_of(
    datasets: "Datasets",
    result: "FitResult",
    edges: np.ndarray,
    folder: Path,
    names: dict[str, str],
    overwrite: bool,
) -> "dict[str, FluxPoints]":
    """Flux points of the sources of a fit, also as files; ``names``: those of the files by source."""
    from gammajax.datasets.flux_points.files import point_contents
    from gammajax.fit.estimators.flux_points import flux_points

    counted = type(datasets)({name: dataset for name, dataset in datasets.items() if dataset.has_counts})
    found = {source: flux_points(counted, result, source, edges) for source in names}
    contents: dict[Path, bytes] = {}
    for source, points in found.items():
        contents |= point_contents(points, folder / names[source])
    write_files(contents, overwrite=overwrite)
    return found


def energies(texts: Sequence[str], option: str = "--energy-edges") -> np.ndarray:
    """Edges of bands in TeV from texts such as "500GeV" and "1"."""
    found = [parse_energy(text, option) for text in texts]
    return np.array([e.to_value("TeV") for e in found if e is not None])


def json_text(result: "FitResult", points: "dict[str, FluxPoints]") -> str:
    """The result as JSON: figures of the fit, parameters, and flux points by source; null for what is unknown."""

    def plain(value: object) -> object:
        if isinstance(value, Mapping):
            return {str(key): plain(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple | np.ndarray):
            return [plain(entry) for entry in value]
        if isinstance(value, np.generic):
            value = value.item()
        return None if isinstance(value, float) and not np.isfinite(value) else value

    parameters = [
        {"name": name, "value": float(p.value), "error": float(p.error), "unit": p.unit, "frozen": bool(p.frozen)}
        for name, p in result.parameters.items()
    ]
    tables = {}
    for source, found in points.items():
        table = found.to_table("dnde")
        units = {name: str(table[name].unit) for name in table.colnames if table[name].unit is not None}
        tables[source] = {"units": units, **{name: np.asarray(table[name]) for name in table.colnames}}
    document = {
        "success": result.success,
        "status": str(result.status),
        "message": result.message,
        "fit": result.summary(),
        "parameters": parameters,
        "flux_points": tables,
    }
    return json.dumps(plain(document), indent=2, allow_nan=False)


def print_files(
    datasets: "Datasets", options: FitOptions, pictures: dict[tuple[str, str], str], points: list[str]
) -> None:
    """Where the results are."""
    print(f"Wrote {options.output}/: {', '.join([*RESULT_FILES, *points])}")
    if pictures:
        print(
            f"  and {len(pictures)} pictures: {', '.join(list(pictures.values())[:2])}{', ...' * (len(pictures) > 2)}"
        )
    if options.plots and len(datasets) > MOST_PICTURES:
        print(f"  (pictures of the first {MOST_PICTURES} of {len(datasets)} datasets)")
