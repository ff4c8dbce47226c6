"""The map of ``gammajax demo``: the field around the Crab nebula in a few pixels, its fit, and what the fit leaves.

The field has a second source, which the models do not know.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from gammajax.cli.demo_array import LIVETIME, NIGHT, START, TRUTH, background_rate, effective_area
from gammajax.datasets.collection.datasets import Datasets
from gammajax.datasets.io.paths import write_files
from gammajax.datasets.irf.psf import PSFMap
from gammajax.datasets.map.dataset import MapDataset
from gammajax.datasets.models.collection import Models
from gammajax.datasets.models.sky_model import FoVBackgroundModel, SkyModel
from gammajax.datasets.models.spatial.builtin import PointSpatialModel
from gammajax.datasets.models.spectral.builtin import LogParabolaSpectralModel
from gammajax.datasets.sky.geom import SkyGeom
from gammajax.fit.estimators.excess_map import residual_map
from gammajax.fit.estimators.map_input import predictions_of
from gammajax.fit.fit import fit
from gammajax.fit.result import FitResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gammajax.fit.estimators.sky_maps import SkyMaps

CRAB, HIDDEN = (83.63, 22.01), (84.1, 22.45)
"""Right ascension and declination in degrees."""

HIDDEN_SHARE = 0.12
"""Flux of the second source, in units of the Crab nebula's."""

EDGES = np.geomspace(1.0, 30.0, 4)

PIXEL, N_PIXELS, PSF_WIDTH = 0.1, 24, 0.07

SOURCE_RADIUS = 0.11
"""Of the region in which the demo's background rate is given, in degrees."""

DISK = 0.15
"""Radius of the disks in which residuals are summed, in degrees."""

NAME = "field"

FILES = ("map-datasets.yaml", "map-models.yaml")

PICTURE = "residual.png"


class FittedField(NamedTuple):
    """A fitted map, and the residuals to the fit."""

    result: FitResult
    residuals: "SkyMaps"


def field_models(values: dict[str, float], position: tuple[float, float] = CRAB) -> Models:
    """A point source with the spectrum of the demo, whose curvature and place are known, and the background."""
    lon, lat = position
    source = SkyModel(
        LogParabolaSpectralModel(**values, reference=1.0), "crab", spatial=PointSpatialModel(lon_0=lon, lat_0=lat)
    )
    models = Models([source, FoVBackgroundModel(datasets_names=NAME, name="background")])
    return models.freeze("crab.spectral.beta", "crab.spatial.lon_0", "crab.spatial.lat_0")


def simulate_field(seed: int = 0) -> Datasets:
    """The runs of the night as one map; the same seed gives the same counts."""
    geom = SkyGeom.create(CRAB, PIXEL, npix=N_PIXELS)
    center = np.sqrt(EDGES[1:] * EDGES[:-1])
    cube = np.ones((len(center), *geom.shape))
    share = PIXEL**2 / (np.pi * SOURCE_RADIUS**2)
    background = np.sum([background_rate(run, center) for run in NIGHT], axis=0) * np.diff(EDGES) * LIVETIME * share
    area = np.sum([effective_area(run, center) for run in NIGHT], axis=0)
    empty = MapDataset(
        geom,
        EDGES,
        counts=0 * cube,
        exposure=area[:, None, None] * LIVETIME * cube,
        background=background[:, None, None] * cube,
        psf=PSFMap.from_gauss(center, PSF_WIDTH),
    )
    # the program of the residuals makes the predictions, too: the demo compiles as little as it can
    hidden = field_models(TRUTH | {"amplitude": HIDDEN_SHARE * TRUTH["amplitude"]}, HIDDEN)
    bright, known, _ = predictions_of(empty, list(field_models(TRUTH)))
    faint = predictions_of(empty, list(hidden))[0]
    expected = np.asarray(bright) + np.asarray(faint) + np.asarray(known)
    return Datasets({NAME: empty.replace(counts=np.random.default_rng(seed).poisson(expected))})


def fit_field(folder: Path, output: Path, seed: int, plots: bool, overwrite: bool) -> FittedField:
    """The files of the field, its fit, and the files of the results."""
    field, start = simulate_field(seed), field_models({**START, "beta": TRUTH["beta"]})
    field.write(folder / FILES[0], overwrite=overwrite)
    start.write(folder / FILES[1], overwrite=overwrite)
    result = fit(field, start)
    residuals = residual_map(field, result, DISK)
    result.write(output / "map-result.yaml", overwrite=overwrite)
    files = residuals.contents(output / "residual.fits.gz")
    if plots:
        from gammajax.plots.estimated import plot_map
        from gammajax.plots.figures import png

        axes = plot_map(residuals, "residual", models=result.models)
        files[output / PICTURE] = png(cast("Figure", axes.figure))
    write_files(files, overwrite)
    return FittedField(result, residuals)


def field_text(found: FittedField) -> str:
    """What the fit and the residuals show, in lines."""
    p = found.result.parameters
    short = {
        "crab.spectral.amplitude": "amplitude",
        "crab.spectral.alpha": "alpha",
        "background.spectral.norm": "background",
    }
    values = [f"{text} {float(p[name].value):.3g} +- {float(p[name].error):.2g}" for name, text in short.items()]
    lines = [f"Fitted a map of {N_PIXELS} x {N_PIXELS} pixels: {', '.join(values)}"]
    for row in found.residuals.peaks("sqrt_ts", threshold=5.0, min_distance=2 * DISK):
        lines.append(
            f"  Left over, {row['value']:.1f} sigma at RA {row['lon']:.2f}, Dec {row['lat']:.2f} deg: a source that "
            "the models do not know."
        )
    return "\n".join(lines)
