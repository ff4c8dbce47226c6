"""Map datasets for estimates on the sky: their bands of energy, and where their pixels lie on one geometry."""

from collections.abc import Sequence
from typing import cast

import jax
import numpy as np
from jaxtyping import Float, Int

from ...datasets.bins import on_host
from ...datasets.compile import OF_A_FIT, quick_programs
from ...datasets.counts.dataset import CountsDataset
from ...datasets.counts.npred import SomeModels
from ...datasets.counts.reshape_energy import edge_places
from ...datasets.dataset import Models as ActingModels
from ...datasets.dataset import fitted_bins
from ...datasets.errors import InputError, closest, warn
from ...datasets.models.collection import Models
from ...datasets.sky.cutout import pixel_offset
from ...datasets.sky.geom import SkyGeom
from ...datasets.units import Given, edges_tev
from ..joint.problem import SomeDatasets, as_datasets, as_models
from ..result import FitResult
from .bands import band_places
from .bins import counted

COARSER = 1.01
"""How much larger pixels of a dataset may be than those of the map onto which its counts are put."""

MOST_OUTSIDE = 1 / 3
"""Share of the pixels of a dataset that may lie beside the map without a warning: runs look at fields side by side."""

Bands = Int[np.ndarray, " n_reco"]
"""Which band each bin of a dataset is in; -1 for none."""


def map_input(
    datasets: SomeDatasets, given: FitResult | SomeModels, exclude: str | Sequence[str], geom: SkyGeom | None, what: str
) -> tuple[dict[str, CountsDataset], Models, SkyGeom]:
    """The map datasets by name, the models but for those to ``exclude``, and the geometry of the map; ``what`` begins
    messages."""
    models = as_models(given.models if isinstance(given, FitResult) else given)
    left_out = [exclude] if isinstance(exclude, str) else list(exclude or ())
    for name in left_out:
        if name not in models.names:
            raise InputError(f"{what}: there is no model {name!r} to exclude. {closest(str(name), models.names)}")
    kept = Models([model for model in models if model.name not in left_out])
    known = counted(as_datasets(datasets), what)
    if not known:
        raise InputError(f"{what}: there is no dataset.")
    on_host((list(known.values()), kept), what)
    for name, dataset in known.items():
        if dataset.sky_geom is None:
            raise InputError(f"{what}: the dataset {name!r} is a {type(dataset).__name__}, expected a map dataset.")
        dataset.check_ready(list(kept.acting_on(name)), f"{what}: {name}")
    if geom is not None and not isinstance(geom, SkyGeom):
        raise InputError(f"{what}: geom must be a SkyGeom, found {type(geom).__name__}.")
    if geom is None:
        geom = geom_of(next(iter(known.values())))
    return known, kept, geom


@quick_programs(most=OF_A_FIT)
def predictions_of(dataset: CountsDataset, models: ActingModels) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Counts of sources, background, and what the statistic compares counts with, of the shape of the data."""
    signal = dataset.signal(models)
    return signal, dataset.background_of(signal, models), dataset.prediction_of(signal, models)


def geom_of(dataset: CountsDataset) -> SkyGeom:
    """The pixels of a map dataset."""
    return cast(SkyGeom, dataset.sky_geom)


def band_edges(
    datasets: dict[str, CountsDataset], given: Given | None, what: str
) -> tuple[Float[np.ndarray, " n+1"], Float[np.ndarray, " n+1"]]:
    """Edges of the bands as given, by default one band of all energies; and as they are said, moved to those of bins of
    the first dataset.

    InputError for bands without a bin in any dataset.
    """
    all_edges = [np.asarray(dataset.energy_edges) for dataset in datasets.values()]
    if given is None:
        ends = np.array([min(e[0] for e in all_edges), max(e[-1] for e in all_edges)])
        return ends, ends
    edges = np.asarray(edges_tev(given, f"{what}: energy_edges"))
    filled = {band for own in all_edges for band in band_places(own, edges)}
    for k in range(len(edges) - 1):
        if k not in filled:
            raise InputError(
                f"{what}: no bin of the datasets lies between {edges[k]:.6g} and {edges[k + 1]:.6g} TeV, when edges "
                "are moved to the nearest of bins. Give fewer or other energy_edges."
            )
    first = all_edges[0]
    moved = first[np.round(edge_places(first, edges)).astype(int)]
    return edges, moved if np.all(np.diff(moved) > 0) else edges


def fitted_energies(
    datasets: dict[str, CountsDataset], edges: Float[np.ndarray, " n+1"]
) -> dict[str, Float[np.ndarray, " n"]]:
    """Lowest and highest energy of the bins in each band that are fitted in any pixel of any dataset; NaN for none."""
    low, high = np.full(len(edges) - 1, np.inf), np.full(len(edges) - 1, -np.inf)
    for dataset in datasets.values():
        own, inside = np.asarray(dataset.energy_edges), np.asarray(fitted_bins(dataset))
        used = np.asarray(inside.reshape(len(inside), -1).any(axis=1))
        for k, place in enumerate(band_places(own, edges)):
            if place >= 0 and used[k]:
                low[place], high[place] = min(low[place], own[k]), max(high[place], own[k + 1])
    known = low < high
    return {"fitted_min": np.where(known, low, np.nan), "fitted_max": np.where(known, high, np.nan)}


def warn_of_outside(datasets: dict[str, CountsDataset], pixels: SkyGeom, what: str) -> None:
    """Warn of datasets of which much lies beside the map, which has the pixels of the first of them."""
    ny, nx = pixels.shape
    for name, dataset in datasets.items():
        own, fitted = geom_of(dataset), np.asarray(fitted_bins(dataset)).any(axis=0)
        x, y = (np.asarray(c) for c in pixels.vector_to_pixel_or_far(np.asarray(own.pixel_to_vector(*own.pixel_grid))))
        inside = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
        share = float(np.mean(~inside[fitted])) if fitted.any() else 0.0
        if share > MOST_OUTSIDE:
            warn(
                f"{what}: the map has the pixels of the first dataset, and {100 * share:.0f} % of those of {name!r} "
                "lie beside it. Give the pixels of the whole field: geom=gj.SkyGeom.create(center, pixel_size, width)."
            )


def pixel_places(own: SkyGeom, geom: SkyGeom, name: str, what: str) -> Int[np.ndarray, " n_pixels"]:
    """Pixel of ``geom`` (flat) that holds the centre of each pixel of a dataset; -1 for none."""
    my, mx = geom.shape
    offset = pixel_offset(own, geom)
    x, y = own.pixel_grid
    if offset is None:
        if own.pixel_size > COARSER * geom.pixel_size:
            raise InputError(
                f"{what}: pixels of the dataset {name!r} ({own.pixel_size:.4g} deg) are larger than those of the map "
                f"({geom.pixel_size:.4g} deg), which would have holes. Give a coarser geom=..."
            )
        x, y = (
            np.floor(np.asarray(c) + 0.5) for c in geom.vector_to_pixel_or_far(np.asarray(own.pixel_to_vector(x, y)))
        )
    else:
        x, y = x + offset[1], y + offset[0]
    inside = (x >= 0) & (x < mx) & (y >= 0) & (y < my)
    return np.where(inside, y * mx + x, -1.0).astype(int).ravel()


def on_geom(
    values: Float[np.ndarray, "n_reco ny nx"], band: Bands, places: Int[np.ndarray, " n_pixels"], shape: tuple[int, ...]
) -> Float[np.ndarray, "n my mx"]:
    """Sums of the bins of a dataset in bands and pixels of a map of ``shape`` (n, my, mx)."""
    total, inside = np.zeros((shape[0], shape[1] * shape[2])), places >= 0
    for k in range(shape[0]):
        image = values[band == k].sum(axis=0).ravel()
        total[k] = np.bincount(places[inside], image[inside], minlength=total.shape[1])
    return total.reshape(shape)
