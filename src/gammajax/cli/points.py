"""``gammajax flux-points`` and ``gammajax light-curve``: read, fit norms, report, write."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gammajax.cli.fit_input import (
    check_folder,
    check_new,
    energies,
    file_names,
    read_datasets_or_spectrum,
    with_range,
)
from gammajax.cli.session import set_up_jax
from gammajax.cli.terminal import Progress, is_ascii, make_console
from gammajax.datasets.errors import InputError
from gammajax.datasets.io.paths import as_path, write_files

if TYPE_CHECKING:
    from astropy.time import Time
    from rich.console import Console
    from rich.table import Table

    from gammajax.datasets.arrays import Array
    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.flux_points.light_curve import LightCurve
    from gammajax.datasets.flux_points.points import FluxPoints
    from gammajax.datasets.models.collection import Models
    from gammajax.fit.result import FitResult

WORDS = ("run-wise", "night-wise")


def flux_points_command(args: argparse.Namespace) -> int:
    """The command: exit code 0, or 1 if a fit before it did not converge."""
    from gammajax.datasets.flux_points.files import point_contents
    from gammajax.fit.estimators.flux_points import flux_points

    set_up_jax(cache=not args.no_cache)
    folder = as_path(args.output)
    names = table_names("flux-points", args.source)
    pictures = [] if args.no_plots else [names[0].replace(".ecsv", ".png")]
    edges = energies(args.energy_edges)
    datasets, fitted = inputs(args, folder, names + pictures)
    with progress_of(args) as progress:
        points = flux_points(
            datasets,
            fitted,
            source_of(fitted, args.source),
            edges,
            reoptimize=args.reoptimize,
            progress=progress.steps,
        )
    contents: dict[Path, bytes] = {}
    for name in names:
        contents |= point_contents(points, folder / name, args.sed_type)
    for name in pictures:
        from gammajax.plots.figures import png
        from gammajax.plots.sed import plot_flux_points

        contents[folder / name] = png(plot_flux_points(points))
    write_files(contents, overwrite=args.overwrite)
    if not args.quiet:
        console = make_console()
        console.print(points_table(points, console))
        print(f"Wrote {folder}/: {', '.join(names + pictures)}")
    return exit_code(fitted)


def light_curve_command(args: argparse.Namespace) -> int:
    """The command: exit code 0, or 1 if a fit before it did not converge."""
    from gammajax.datasets.flux_points.light_curve_table import curve_contents
    from gammajax.fit.estimators.light_curve import light_curve

    set_up_jax(cache=not args.no_cache)
    folder = as_path(args.output)
    names = table_names("light-curve", args.source)
    pictures = [] if args.no_plots else [names[0].replace(".ecsv", ".png")]
    edges, times = energies(args.energy_edges), time_edges(args.times)
    datasets, fitted = inputs(args, folder, names + pictures)
    source = source_of(fitted, args.source)
    options = {"longitude": args.longitude, "reoptimize": args.reoptimize}
    with progress_of(args) as progress:
        curve = light_curve(datasets, fitted, source, times, edges, **options, progress=progress.steps)
    contents: dict[Path, bytes] = {}
    for name in names:
        contents |= curve_contents(curve, folder / name, args.sed_type)
    for name in pictures:
        from gammajax.plots.figures import png
        from gammajax.plots.light_curves import plot_light_curve

        contents[folder / name] = png(plot_light_curve(curve))
    write_files(contents, overwrite=args.overwrite)
    if not args.quiet:
        console = make_console()
        console.print(curve_table(curve, console))
        print(variability_text(curve))
        print(f"Wrote {folder}/: {', '.join(names + pictures)}")
    return exit_code(fitted)


def inputs(args: argparse.Namespace, folder: Path, names: list[str]) -> "tuple[Datasets, Models | FitResult]":
    """The datasets, and the models of the file; with ``--fit`` the result of their fit."""
    from gammajax.datasets.models.collection import Models
    from gammajax.fit.fit import fit

    check_folder(folder)
    check_new(folder, names, args.overwrite)
    datasets = with_range(read_datasets_or_spectrum(args.datasets), args.energy_min, args.energy_max)
    models = Models.read(args.models)
    return datasets, fit(datasets, models) if args.fit else models


def progress_of(args: argparse.Namespace) -> Progress:
    """Progress of an estimator, on terminals only."""
    return Progress(make_console, args.quiet or not sys.stdout.isatty())


def exit_code(fitted: "Models | FitResult") -> int:
    return 0 if getattr(fitted, "success", True) else 1


def source_of(fitted: "Models | FitResult", given: str | None) -> str:
    """The source that is meant: the only one, if none is named."""
    from gammajax.fit.result import FitResult
    from gammajax.fit.spectra import source_names

    names = source_names(fitted.models if isinstance(fitted, FitResult) else fitted)
    if given is not None:
        return given
    if len(names) != 1:
        raise InputError(f"--source: the models have {len(names)} sources ({', '.join(names) or 'none'}). Name one.")
    return names[0]


def table_names(stem: str, source: str | None) -> list[str]:
    """Names of the tables."""
    endings = (".ecsv", ".fits")
    if source is None:
        return [f"{stem}{ending}" for ending in endings]
    return [name for ending in endings for name in file_names([(stem, source)], ending).values()]


def time_edges(texts: Sequence[str]) -> "str | Time | np.ndarray":
    """Edges of bins of time: "run-wise", "night-wise", MJD (TT), or dates in UTC."""
    from astropy.time import Time

    if len(texts) == 1 and texts[0] in WORDS:
        return texts[0]
    try:
        return np.array([float(text) for text in texts])
    except ValueError:
        pass
    try:
        return Time(list(texts), scale="utc")
    except ValueError as error:
        raise InputError(
            f"--times: found {' '.join(texts)}, expected {' or '.join(WORDS)}, or edges: all MJD (TT), or all dates "
            "such as 2026-01-31T20:00:00 (UTC)."
        ) from error


def points_table(points: "FluxPoints", console: "Console") -> "Table":
    """Flux points on the terminal."""
    from gammajax.cli.report import rich_table, with_rest

    shown = rich_table(console, "Energy [TeV]", "*E² dN/dE [TeV cm-2 s-1]", "*Limit", "*Excess", "*sqrt(TS)")
    excess = np.asarray(points.meta["columns"]["npred_excess"]).sum(axis=1)
    for i in range(points.n_points):
        low, high = (np.asarray(end)[i] for end in (points.energy_min, points.energy_max))
        cells = fluxes(points, "e2dnde", i, console)
        shown.add_row(f"{low:.4g} to {high:.4g}", *cells, number(excess[i], ".1f"), number(points.sqrt_ts, ".1f", i))
    return with_rest(shown, points.n_points)


def curve_table(curve: "LightCurve", console: "Console") -> "Table":
    """A light curve on the terminal: a row for each time and band."""
    from astropy import units as u

    from gammajax.cli.report import MOST_ROWS, rich_table, with_rest

    shown = rich_table(console, "Start (UTC)", "Energy [TeV]", "*Flux [cm-2 s-1]", "*Limit", "*sqrt(TS)")
    points = curve.points
    # times are known to a microsecond, and minutes are cut off below
    starts = (curve.time_start.utc + 0.5 * u.s).iso
    for i in range(min(points.n_points, MOST_ROWS)):
        low, high = (np.asarray(end)[i] for end in (points.energy_min, points.energy_max))
        cells = fluxes(points, "flux", i, console)
        start = starts[i // curve.n_energies][:16]
        shown.add_row(start, f"{low:.4g} to {high:.4g}", *cells, number(points.sqrt_ts, ".1f", i))
    return with_rest(shown, points.n_points)


def fluxes(points: "FluxPoints", kind: str, i: int, console: "Console") -> tuple[str, str]:
    """A flux with its error, and its upper limit."""
    from gammajax.cli.report import format_value

    def value(name: str) -> float:
        found = points.quantity(name)
        return float("nan") if found is None else float(found.value[i])

    ascii_only = is_ascii(console)
    flux, error, limit = (value(f"{kind}{suffix}") for suffix in ("", "_err", "_ul"))
    return (
        "-" if np.isnan(flux) else format_value(flux, error, ascii_only=ascii_only),
        "-" if np.isnan(limit) else f"{limit:.3g}",
    )


def number(values: "Array | float | None", form: str, i: int | None = None) -> str:
    """A number, "-" where it is unknown."""
    found = float("nan") if values is None else float(np.asarray(values) if i is None else np.asarray(values)[i])
    return "-" if np.isnan(found) else f"{found:{form}}"


def variability_text(curve: "LightCurve") -> str:
    """Chi-square of a constant and fractional variance, a line for each band."""
    constant, variance = curve.constancy(), curve.fvar()
    lines = []
    for i in range(curve.n_energies):
        if not constant.ndf[i]:
            continue
        low, high = (np.asarray(end)[i] for end in (curve.energy_min, curve.energy_max))
        shown = (
            "none beyond the errors"
            if np.isnan(variance.value[i])
            else (f"{variance.value[i]:.3f} +- {variance.error[i]:.3f}")
        )
        lines.append(
            f"{low:.4g} to {high:.4g} TeV: constant flux chi2 {constant.chi2[i]:.1f} for {constant.ndf[i]} degrees of "
            f"freedom, p = {constant.p_value[i]:.2g}; fractional variability {shown}"
        )
    return "\n".join(lines) or "One time: nothing to say about variability."
