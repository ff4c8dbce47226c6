"""``gammajax maps``: residuals, excess and TS of map datasets, as files and pictures."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from gammajax.cli.fit_input import check_folder, check_new, read_datasets_or_spectrum
from gammajax.cli.session import set_up_jax
from gammajax.cli.terminal import make_console
from gammajax.datasets.errors import InputError
from gammajax.datasets.io.paths import as_path, write_files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gammajax.datasets.collection.datasets import Datasets

KINDS = {"residual": "residual", "excess": "sqrt_ts", "ts": "sqrt_ts"}
"""The maps by the stem of their files, and the quantity that is drawn of each."""


PIXELS = 2.5
"""Radius of the disks unless one is given, in pixels: those of 2 pixels make a map look like a chessboard."""


def maps_command(args: argparse.Namespace) -> int:
    """The command: reads an index and fitted models, writes FOLDER/residual.fits.gz, excess.fits.gz, ts.fits.gz and a
    picture of each, shows their largest peaks."""
    set_up_jax(cache=not args.no_cache)
    from gammajax.datasets.models.collection import Models
    from gammajax.datasets.models.sky_model import SkyModel
    from gammajax.datasets.models.spatial.builtin import PointSpatialModel
    from gammajax.datasets.models.spectral.builtin import PowerLawSpectralModel
    from gammajax.fit.estimators.excess_map import excess_map, residual_map
    from gammajax.fit.estimators.ts_map import ts_map
    from gammajax.plots.estimated import plot_map, plot_significance
    from gammajax.plots.figures import png

    folder = as_path(args.output)
    check_folder(folder)
    pictures = [] if args.no_plots else [*(f"{kind}.png" for kind in KINDS), "residual-histogram.png"]
    check_new(folder, [*(f"{kind}.fits.gz" for kind in KINDS), *pictures], args.overwrite)
    given = None if args.radius is None else _radius(args.radius)
    datasets, models = read_datasets_or_spectrum(args.datasets), Models.read(args.models)
    radius = PIXELS * _pixel_size(datasets) if given is None else given
    sources = [model for model in models if isinstance(model, SkyModel)]
    point = SkyModel(PowerLawSpectralModel(), spatial=PointSpatialModel(), name="point")
    found = {
        "residual": residual_map(datasets, models, radius),
        "excess": excess_map(datasets, models, radius, exclude=[model.name for model in sources]),
        "ts": ts_map(datasets, models, args.source or point, stride=args.stride),
    }
    files: dict[Path, bytes] = {}
    for kind, maps in found.items():
        files |= maps.contents(folder / f"{kind}.fits.gz")
        if pictures:
            files[folder / f"{kind}.png"] = png(_figure_of(plot_map(maps, KINDS[kind], models=models)))
    if pictures:
        files[folder / "residual-histogram.png"] = png(_figure_of(plot_significance(found["residual"])))
    write_files(files, args.overwrite)
    if args.quiet:
        return 0
    residual = found["residual"]["residual"]
    known = residual[np.isfinite(residual)]
    where = f"in disks of {radius:g} deg" if radius > 0 else "of pixels"
    print(f"Residual significance {where}: mean {known.mean():+.3f}, width {known.std():.3f}")
    peaks = found["ts"].peaks("sqrt_ts", threshold=5.0, min_distance=2 * radius if radius > 0 else None)
    print(f"Peaks of the TS map above 5 sigma: {len(peaks) or 'none'}")
    console = make_console()
    for row in peaks[:10]:
        console.print(f"  RA {row['lon']:.4f}, Dec {row['lat']:.4f} deg: {row['value']:.1f} sigma")
    print(f"Wrote {folder}/: {', '.join(f'{kind}.fits.gz' for kind in KINDS)}")
    if pictures:
        print(f"  and {len(pictures)} pictures: {', '.join(pictures)}")
    return 0


def _figure_of(ax: "Axes") -> "Figure":
    return cast("Figure", ax.figure)


def _pixel_size(datasets: "Datasets") -> float:
    """In deg, of the first dataset; anything for what is no map, which the maps will say."""
    geom = next((dataset.sky_geom for dataset in datasets), None)
    return float(getattr(geom, "pixel_size", 0.1))


def _radius(text: str) -> float:
    from astropy import units as u

    try:
        angle = u.Quantity(text)
        angle = angle.value * u.deg if angle.unit == u.dimensionless_unscaled else angle
        degrees = float(angle.to_value("deg"))
    except (TypeError, ValueError, u.UnitConversionError):
        degrees = -1.0
    if not 0 <= degrees < 180:
        raise InputError(f"--radius: found {text!r}, expected an angle such as 0.1deg.")
    return degrees
