"""``gammajax fit``: read, fit, report, write.

A short fit spends its time on imports and on compilation. XLA compiles outside Python's lock, so everything that is
needed after the fit is compiled and imported by a second thread meanwhile.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from gammajax.cli.fit_input import check_folder, check_new, energies, file_names, read_datasets_or_spectrum, with_range
from gammajax.cli.pictures import MOST_PICTURES, flux_points_of, picture_names
from gammajax.cli.session import set_up_jax
from gammajax.cli.terminal import Progress, make_console
from gammajax.datasets.io.paths import Filename, as_path, write_files

if TYPE_CHECKING:
    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.flux_points.points import FluxPoints
    from gammajax.datasets.models.collection import Models
    from gammajax.fit.joint.problem import Problem
    from gammajax.fit.predictions import Prediction
    from gammajax.fit.result import FitResult
    from gammajax.fit.solvers.globalise import Starts

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
        write_files(_inside(options.output, result_files(result)), overwrite=options.overwrite)
        # after them: a picture that cannot be drawn or written shall not cost the results
        if pictures:
            drawn = picture_files(result, found, pictures, datasets, edges)
            write_files(_inside(options.output, drawn), overwrite=options.overwrite)
    finally:
        # a full disk shall not cost the numbers
        if not options.quiet and not options.json:
            print_result(make_console(), result, found, seconds, any(kind == "counts" for kind, _ in pictures))
    points = {} if edges is None else write_flux_points(datasets, result, edges, names, options)
    if options.json:
        print(json_text(result, points))
    elif not options.quiet:
        print_points(points)
        print_files(datasets, options, pictures, list(names.values()))
    if (options.quiet or options.json) and not result.success:
        print(f"gammajax: warning: {result.message}", file=sys.stderr)
    return result


def print_points(points: "dict[str, FluxPoints]") -> None:
    """Flux points of each source as a table."""
    if not points:
        return
    from gammajax.cli.points import points_table

    console = make_console()
    for source, found in points.items():
        console.print(f"Flux points of {source}")
        console.print(points_table(found, console))


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
                    # maps take long, and images that depend on where the fit ends
                    if all(d.sky_geom is None for d in problem.datasets):
                        flux_points_of(problem.datasets, problem.models, name)
        except Exception:
            # the same happens to the fit, which reports it
            return

    def import_rest() -> None:
        import astropy.io.ascii
        import astropy.table  # noqa: F401

        if options.plots:
            import gammajax.plots.counts
            import gammajax.plots.sed  # noqa: F401
        if not options.quiet:
            import rich.box
            import rich.table  # noqa: F401

    # not daemons: a thread that is inside XLA while the interpreter ends takes the whole process down with it
    threads = [threading.Thread(target=work) for work in (compile_rest, import_rest)]
    for thread in threads:
        thread.start()
    return threads[1]


def _inside(folder: Path, files: dict[str, bytes]) -> dict[Path, bytes]:
    return {folder / name: data for name, data in files.items()}


def result_files(result: "FitResult") -> dict[str, bytes]:
    """Content of the result files by name."""
    from gammajax.fit.result_files import result_contents

    return {path.name: data for name in RESULT_FILES for path, data in result_contents(result, name).items()}


def picture_files(
    result: "FitResult",
    found: "list[Prediction]",
    pictures: dict[tuple[str, str], str],
    datasets: "Datasets",
    edges: np.ndarray | None,
) -> dict[str, bytes]:
    """Content of the pictures by name."""
    from gammajax.cli.pictures import draw

    by_name = {p.name: p for p in found}
    return {file: draw(kind, name, datasets, result, by_name, edges) for (kind, name), file in pictures.items()}


def point_names(models: "Models") -> dict[str, str]:
    """File names of the flux points of each source."""
    from gammajax.fit.spectra import source_names

    names = file_names([("flux-points", name) for name in source_names(models)], ".ecsv")
    return {name: file for (_, name), file in names.items()}


def write_flux_points(
    datasets: "Datasets", result: "FitResult", edges: np.ndarray, names: dict[str, str], options: FitOptions
) -> "dict[str, FluxPoints]":
    """Flux points of the sources of a fit, also as files; ``names``: those of the files by source."""
    from gammajax.datasets.flux_points.files import point_contents
    from gammajax.fit.estimators.flux_points import flux_points

    counted = type(datasets)({name: dataset for name, dataset in datasets.items() if dataset.has_counts})
    # of a fit that did not converge the report says so
    found = {source: flux_points(counted, result.models, source, edges) for source in names}
    contents: dict[Path, bytes] = {}
    for source, points in found.items():
        contents |= point_contents(points, options.output / names[source])
    write_files(contents, overwrite=options.overwrite)
    return found


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
