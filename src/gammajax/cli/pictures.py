"""Pictures of datasets and results as files, and ``gammajax plot``."""

import argparse
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gammajax.cli.fit_input import check_folder, check_new, file_names, read_datasets_or_spectrum
from gammajax.cli.session import set_up_jax
from gammajax.datasets.errors import InputError
from gammajax.datasets.io.paths import Filename, as_path, write_files

if TYPE_CHECKING:
    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.datasets.flux_points.points import FluxPoints
    from gammajax.datasets.models.collection import Models
    from gammajax.fit.predictions import Prediction
    from gammajax.fit.result import FitResult

    ResultOrModels = FitResult | Models

MOST_PICTURES = 30
"""Datasets that get a picture of their own."""

MOST_POINTS = 300
"""Datasets up to which pictures of spectra have flux points."""

PER_DECADE = 6
"""Flux points per decade of energy."""

OF_FITS = ("sed", "counts", "sky")
"""Pictures of ``gammajax fit``."""

KINDS = ("counts", "sed", "sky", "peek", "corner")
"""Pictures of ``gammajax plot``."""

Names = dict[tuple[str, str], str]
"""File names by what they show: (kind, dataset or model)."""


def picture_names(datasets: "Datasets", models: "Models", kinds: Sequence[str] = OF_FITS) -> Names:
    """File names of the pictures, by what they show: ("counts", dataset) or ("sed", model)."""
    from gammajax.fit.spectra import source_names

    first = datasets.names[:MOST_PICTURES]
    counted = [name for name in first if datasets[name].has_counts]
    known = {
        "sed": source_names(models),
        "counts": counted,
        "sky": [name for name in first if datasets[name].sky_geom is not None],
        "peek": counted,
        "corner": ["parameters"],
    }
    wanted = [(kind, name) for kind in kinds for name in known[kind]]
    return file_names(wanted, ".png")


def draw(
    kind: str,
    name: str,
    datasets: "Datasets",
    result: "ResultOrModels",
    found: "Mapping[str, Prediction] | None" = None,
    energy_edges: np.ndarray | None = None,
) -> bytes:
    """One picture as a PNG file; ``found`` are predictions that are known already, ``energy_edges`` (TeV) those of flux
    points, by default some over all fitted energies."""
    from gammajax.datasets.counts.dataset import require_counts
    from gammajax.datasets.counts.residuals import summed_significance
    from gammajax.fit.result import FitResult
    from gammajax.plots.corner import plot_corner
    from gammajax.plots.counts import background_limits, draw_counts, plot_counts
    from gammajax.plots.figures import png
    from gammajax.plots.overview import peek
    from gammajax.plots.sed import plot_sed
    from gammajax.plots.sky import plot_sky

    models = result.models if isinstance(result, FitResult) else result
    if kind == "sed":
        assert isinstance(result, FitResult)
        return png(plot_sed(result, name, points=flux_points_of(datasets, result, name, energy_edges)))
    if kind == "corner":
        assert isinstance(result, FitResult)
        return png(plot_corner(result))
    dataset = require_counts(datasets[name], "plot")
    if kind == "sky":
        return png(plot_sky(dataset, models, name))
    if kind == "peek":
        return png(peek(dataset, name))
    if found is None:
        return png(plot_counts(dataset, models, name))
    p = found[name]
    residual = summed_significance(dataset, p.counts, p.npred, p.signal)
    return png(draw_counts(p, residual, background_limits(dataset)))


def fitted_range(datasets: "Datasets", models: "Models", name: str) -> tuple[float, float]:
    """Lowest and highest energy (TeV) of the fitted bins of the datasets that a source acts on."""
    from gammajax.datasets.energies import fitted_energies

    acted_on = [dataset for dataset_name, dataset in datasets.items() if models[name].acts_on(dataset_name)]
    ends = [found for found in (fitted_energies(dataset) for dataset in acted_on) if found is not None]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0.1, 100.0)


def flux_points_of(
    datasets: "Datasets", result: "ResultOrModels", name: str, energy_edges: np.ndarray | None = None
) -> "FluxPoints | None":
    """Flux points of a source, by default over the fitted energies; None for sources that have none: of datasets
    without counts, with spectra of another kind, negative, or without an effect."""
    from gammajax.datasets.collection.datasets import Datasets
    from gammajax.fit.estimators.flux_points import flux_points
    from gammajax.fit.result import FitResult

    models = result.models if isinstance(result, FitResult) else result
    acting = {n: d for n, d in datasets.items() if d.has_counts and models[name].acts_on(n)}
    if not acting or len(acting) > MOST_POINTS:
        return None
    low, high = fitted_range(datasets, models, name)
    edges = np.geomspace(low, high, max(int(np.ceil(np.log10(high / low) * PER_DECADE)), 1) + 1)
    edges = edges if energy_edges is None else energy_edges
    try:
        with warnings.catch_warnings():
            # nobody asked for these bands, or those who did are told beside the table of the points
            warnings.filterwarnings("ignore", message="flux_points: ")
            # of a fit that did not converge the report has said so
            return flux_points(Datasets(acting), models, name, edges)
    except InputError:
        return None


def plot_command(args: argparse.Namespace) -> int:
    """The command: pictures of datasets with the models, or the result of a fit, in a file."""
    set_up_jax(cache=not args.no_cache)
    from gammajax.fit.result import FitResult

    output = as_path(args.output)
    check_folder(output)
    datasets, result = read_datasets_or_spectrum(args.datasets), read_result_or_models(args.models)
    fitted = isinstance(result, FitResult)
    of_fit = [kind for kind in args.only or () if kind in ("sed", "corner")]
    if of_fit and not fitted:
        raise InputError(
            f"{args.models}: {of_fit[0]} takes the errors of a fit. Give result.yaml, which `gammajax fit` wrote."
        )
    kinds = args.only or [kind for kind in KINDS if fitted or kind not in ("sed", "corner")]
    names = picture_names(datasets, result.models if isinstance(result, FitResult) else result, kinds)
    if not names:
        raise InputError(f"{args.datasets}: there is nothing to draw of {', '.join(kinds)}.")
    check_new(output, list(names.values()), args.overwrite)
    files = {output / file: draw(kind, name, datasets, result) for (kind, name), file in names.items()}
    write_files(files, overwrite=args.overwrite)
    if not args.quiet:
        print(f"Wrote {output}/: {', '.join(names.values())}")
        if len(datasets) > MOST_PICTURES:
            print(f"  (pictures of the first {MOST_PICTURES} of {len(datasets)} datasets)")
    return 0


def read_result_or_models(filename: Filename) -> "ResultOrModels":
    """The result of a fit, or models, whatever a YAML file holds."""
    from gammajax.datasets.io.yaml import load_yaml
    from gammajax.datasets.models.collection import Models
    from gammajax.fit.result import FitResult

    metadata = load_yaml(as_path(filename)).get("metadata")
    is_result = isinstance(metadata, dict) and "fit" in metadata
    return FitResult.read(filename) if is_result else Models.read(filename)
