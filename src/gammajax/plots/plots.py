"""Pictures: counts with what the models predict, and spectral energy distributions with their error band.

The figures are plain matplotlib figures without a window or a global state: save them with ``figure.savefig(...)``.
"""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u
from jaxtyping import Float

from gammajax.datasets.arrays import Array, for_kernels
from gammajax.datasets.counts.dataset import CountsDataset
from gammajax.datasets.counts.npred import SomeModels, npred, npred_background, npred_signal, stat_array
from gammajax.datasets.errors import InputError, closest
from gammajax.datasets.map.dataset import MapDataset, MapDatasetOnOff
from gammajax.datasets.models.collection import Models
from gammajax.datasets.models.flatten import ModelDef
from gammajax.datasets.models.sky_model import ModelBase, SkyModel
from gammajax.datasets.models.spectral.base import DNDE, SpectralModel
from gammajax.datasets.statistics.base import Bins
from gammajax.datasets.units import Given, edges_tev, to_unit
from gammajax.fit.joint.parameters import ParameterSpace, parameter_space
from gammajax.fit.predictions import Prediction, prediction
from gammajax.fit.result import FitResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEFAULT_RANGE = (0.1, 100.0)

N_ENERGIES = 200


def plot_counts(dataset: CountsDataset, models: SomeModels, name: str | None = None) -> "Figure":
    """Counts of a dataset with the prediction of ``models`` and the background, residuals below: a matplotlib Figure.

    ``name`` is the dataset's name; it selects among models with ``datasets_names`` and is the title.
    """
    if dataset.counts is None:
        raise InputError("plot_counts: the dataset has no counts. Read or simulate them first.")
    from gammajax.plots.figures import counts_figure

    signal, background, stat = _predicted(dataset, Models(models), name)
    return counts_figure(prediction(name or "", dataset, signal, background, float(stat)))


@partial(jax.jit, static_argnums=2)
def _predicted(dataset: CountsDataset, models: Models, name: str | None) -> tuple[Bins, Bins, Bins]:
    sources, background = npred_signal(dataset, models, name), npred_background(dataset, models, name)
    return sources, background, jnp.sum(stat_array(dataset, models, name))


def plot_sed(
    result: FitResult,
    model_name: str | None = None,
    energy: Given | None = None,
    points: Iterable[Prediction] | None = None,
) -> "Figure":
    """E^2 dN/dE of a fitted model with its one-sigma band: a matplotlib Figure.

    ``energy`` is the range (Quantities or TeV), 0.1 to 100 TeV by default. ``points`` are the predictions of the
    datasets (see `gammajax.fit.predictions.predictions`), drawn as excess over prediction times the model.
    """
    from gammajax.plots.figures import sed_figure

    name = _source_name(result, model_name)
    low, high = DEFAULT_RANGE if energy is None else edges_tev(energy, "plot_sed: energy")[[0, -1]]
    grid = np.geomspace(low, high, N_ENERGIES)
    dnde, error = flux_band(result, name, grid)
    return sed_figure(name, grid, dnde, error, () if points is None else excess_points(points))


def flux_band(
    result: FitResult, model_name: str | None, energy: Given
) -> tuple[np.ndarray, np.ndarray] | tuple[u.Quantity, u.Quantity]:
    """dN/dE of a fitted model and its one-sigma error at each of ``energy`` (n,).

    The error is sqrt(J C J^T) with the covariance C of all free parameters and the exact derivatives J of the model.
    Numbers in TeV give numbers in TeV-1 s-1 cm-2; Quantities give Quantities.
    """
    name = _source_name(result, model_name)
    given = np.atleast_1d(np.asarray(to_unit(energy, "TeV", "flux_band: energy")))
    space, index, dnde, slopes = derivatives(result.models, result.datasets_names, name, given)
    rows, covariance = _covariance_of(result, [space.names[i] for i in index], space.free[index])
    # a parameter that is linked within the model stands in several columns of the slopes, whose sum this takes
    jacobian = slopes[:, rows]
    unconstrained = np.isinf(np.diag(covariance))
    finite = np.where(np.isfinite(covariance), covariance, 0.0)
    variance = np.einsum("ei,ij,ej->e", jacobian, finite, jacobian)
    error = np.sqrt(np.maximum(variance, 0.0))
    error = np.where(np.any(jacobian[:, unconstrained] != 0, axis=1), np.inf, error)
    if isinstance(energy, u.Quantity):
        return u.Quantity(dnde, DNDE), u.Quantity(error, DNDE)
    return dnde, error


def derivatives(
    models: Models, datasets_names: tuple[str, ...], name: str, energy: np.ndarray
) -> tuple[ParameterSpace, np.ndarray, np.ndarray, np.ndarray]:
    """Space of all parameters, which of them model ``name`` has (p,), its dN/dE (n,) and its derivatives (n, p)."""
    space = parameter_space(models, datasets_names)
    entry = space.models[models.names.index(name)]
    values = np.asarray(space.values, float)
    tables = [item.content for item, e in zip(entry.items, entry.entries, strict=True) if e is None]
    shapes = tuple(
        None if e is None else np.shape(item.content) if item.kind == "weights" else ()
        for item, e in zip(entry.items, entry.entries, strict=True)
    )
    index = np.concatenate([e for e in entry.entries if e is not None] or [np.zeros(0, int)])
    dnde, slopes = compiled_band(entry.definition, shapes, tables, values[index], energy)
    return space, index, np.asarray(dnde), np.asarray(slopes)


@partial(jax.jit, static_argnums=(0, 1))
def compiled_band(
    definition: ModelDef,
    shapes: tuple[tuple[int, ...] | None, ...],
    tables: list[Array],
    vector: Float[Array, " p"],
    energy: Float[Array, " n"],
) -> tuple[Float[jax.Array, " n"], Float[jax.Array, "n p"]]:
    """dN/dE (n,) and its derivatives (n, p) in the parameters ``vector`` (p,) of a model."""

    def dnde(vector: Float[Array, " p"]) -> Float[jax.Array, " n"]:
        numbers: list[Array] = []
        place, others = 0, iter(tables)
        for shape in shapes:
            if shape is None:
                numbers.append(jnp.asarray(next(others)))
                continue
            size = int(np.prod(shape))
            numbers.append(vector[place : place + size].reshape(shape))
            place += size
        spectral = definition.build(numbers).spectral
        return jnp.asarray(
            spectral.evaluate(for_kernels(energy)) if isinstance(spectral, SpectralModel) else spectral(energy)
        )

    differentiate = jax.jacfwd if vector.shape[0] <= energy.shape[0] else jax.jacrev
    return dnde(vector), differentiate(dnde)(vector)


def _covariance_of(result: FitResult, names: list[str], free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``names`` are free, and the covariance of those."""
    rows = np.flatnonzero(free)
    wanted = [names[i] for i in rows]
    # shared parameters have their own, small matrix; the one of all may be huge
    known, matrix = list(result.curvature.names), result.curvature.covariance
    if not set(wanted) <= set(known):
        known, matrix = list(result.free_names), result.covariance
    place = {name: i for i, name in enumerate(known)}
    order = np.array([place[name] for name in wanted], int)
    return rows, matrix[np.ix_(order, order)]


def _source_name(result: FitResult, name: str | None) -> str:
    sources = source_names(result.models)
    if name is None and len(sources) == 1:
        return sources[0]
    if name is None:
        raise InputError(f"There are {len(sources)} source models, say which: {', '.join(sources) or 'none'}.")
    if name not in sources:
        raise InputError(f"There is no source model {name!r}. {closest(name, sources)}")
    return name


def source_names(models: Iterable[ModelBase]) -> list[str]:
    """Names of the models that have a flux."""
    return [m.name for m in models if isinstance(m, SkyModel)]


def excess_points(found: Iterable[Prediction], per_decade: int = 6) -> tuple[np.ndarray, ...]:
    """Excess over predicted signal of all datasets of counts: edges (n + 1,), ratio and its error (n,); () for none.

    Only fitted bins count, each where its centre lies. Times the model this is the usual "unfolded" spectrum: it shows
    where data and model disagree, and it is not independent of the model.
    """
    counted = [p for p in found if not np.all(np.isnan(p.counts))]
    if not counted:
        return ()
    centres = np.concatenate([np.sqrt(p.edges[:-1] * p.edges[1:])[p.mask] for p in counted])
    excess = np.concatenate([(p.counts - p.measured_background)[p.mask] for p in counted])
    variance = np.concatenate([(p.counts + p.background_error**2)[p.mask] for p in counted])
    signal = np.concatenate([p.signal[p.mask] for p in counted])
    low, high = np.log10(centres.min()) - 1e-9, np.log10(centres.max()) + 1e-9
    n = max(int(np.ceil((high - low) * per_decade)), 1)
    edges = np.logspace(low, high, n + 1)
    sums = [np.histogram(centres, edges, weights=w)[0] for w in (excess, variance, signal)]
    # where nothing was counted there is no error to give
    usable = (sums[1] > 0) & (sums[2] > 0)
    ratio = np.where(usable, sums[0] / np.where(usable, sums[2], 1.0), np.nan)
    error = np.where(usable, np.sqrt(sums[1]) / np.where(usable, sums[2], 1.0), np.nan)
    return edges, ratio, error


def plot_sky(dataset: MapDataset | MapDatasetOnOff, models: SomeModels, name: str | None = None) -> "Figure":
    """Images of a map dataset: counts, prediction of ``models`` and residual significance, summed over fitted bins.

    All three are smoothed with a Gaussian of one pixel. ``name`` is the dataset's name. Returns a matplotlib figure.
    """
    from gammajax.plots.figures import sky_figure

    if dataset.sky_geom is None:
        raise InputError(f"plot_sky: found {type(dataset).__name__}, expected a map dataset.")
    mask: np.ndarray = np.ones(dataset.data_shape, bool) if dataset.mask is None else np.asarray(dataset.mask)
    expected = np.asarray(npred(dataset, Models(models), name))
    counts, predicted = (np.where(mask, x, 0.0).sum(axis=0) for x in (np.asarray(dataset.counts, float), expected))
    return sky_figure(counts, predicted, np.asarray(mask.any(axis=0)), dataset.geom.wcs, name or dataset.tag)
