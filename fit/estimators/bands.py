"""Norms of a source in bands of energy, and of time: what flux points and light curves have in common."""

from collections.abc import Mapping, Sequence
from math import erf, sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ...datasets.bins import on_host
from ...datasets.collection.datasets import Datasets
from ...datasets.counts.dataset import CountsDataset
from ...datasets.counts.npred import SomeModels
from ...datasets.counts.reshape_energy import edge_places
from ...datasets.dataset import fitted_bins
from ...datasets.errors import InputError, warn
from ...datasets.flux_points.points import FluxPoints
from ...datasets.flux_points.reference import references
from ...datasets.gti import GTI
from ...datasets.meta import Meta
from ...datasets.models.collection import Models
from ...datasets.models.parameter import SCALING
from ...datasets.models.spectral.base import SpectralModel
from ...datasets.models.spectral.compound import CompoundSpectralModel
from ...datasets.units import EDGE_TOLERANCE, Given, edges_tev, numbers_in
from ..double import require_double
from ..joint.problem import as_models
from ..result import FitResult
from ..scans.profile import positive
from ..solvers.solution import check_progress
from .bins import Places, SortedBins, SourceBins, counted, require_source, source_bins
from .norms import NormFits
from .reoptimized import Steps, refitted

SCANNED = np.geomspace(0.2, 5.0, 11)
"""Norms at which the statistic is given unless others are asked for: those of gammapy."""

SomeNorms = Given | Sequence[float]


class BandTask(NamedTuple):
    """What is to be fitted, checked: datasets by name, models, the source and its spectrum, edges of bands (n + 1,) in
    TeV, standard deviations of errors, of limits and of sensitivities (None: there are none), norms of scans, energies
    (TeV) over which the spectrum was fitted (None: unknown), what is called before each fit. ``what`` begins
    messages."""

    what: str
    datasets: dict[str, CountsDataset]
    models: Models
    source: str
    spectrum: SpectralModel
    edges: Float[np.ndarray, " n_edges"]
    sigma: float
    sigma_ul: float
    sigma_sensitivity: float | None
    scan: Float[np.ndarray, " n_norms"]
    reoptimize: bool
    fit_range: tuple[float, float] | None
    progress: Steps | None = None


def band_task(
    what: str,
    datasets: Datasets,
    result: FitResult | SomeModels,
    source: str,
    energy_edges: Given,
    n_sigma: Given,
    n_sigma_ul: Given,
    n_sigma_sensitivity: Given | None,
    norms: SomeNorms,
    reoptimize: bool,
    progress: Steps | None = None,
) -> BandTask:
    """The arguments of an estimator, checked; an `InputError` that begins with ``what`` where they are wrong."""
    if not len(datasets):
        raise InputError(f"{what}: there are no datasets. Give at least one.")
    if isinstance(result, FitResult) and not result.success:
        warn(
            f"{what}: the fit did not converge ({result.status}); spectrum and other models are held where it ended. "
            f"{result.message}"
        )
    models = as_models(result.models if isinstance(result, FitResult) else result)
    known = counted(datasets, what)
    on_host((list(known.values()), models), what)
    require_double(what)
    spectrum = require_source(models, source, what).spectral
    if not isinstance(spectrum, SpectralModel):
        raise InputError(f"{what}: the spectrum of {source!r} is {type(spectrum).__name__}, expected a SpectralModel.")
    edges = np.asarray(edges_tev(energy_edges, f"{what}: energy_edges"))
    sigma, sigma_ul = positive(n_sigma, f"{what}: n_sigma"), positive(n_sigma_ul, f"{what}: n_sigma_ul")
    found = None
    if n_sigma_sensitivity is not None:
        found = positive(n_sigma_sensitivity, f"{what}: n_sigma_sensitivity")
    scan = np.asarray(numbers_in(norms, "", f"{what}: norms"), float)
    if scan.ndim != 1 or not np.all(np.isfinite(scan)):
        raise InputError(f"{what}: norms must be a list of finite numbers, found {norms!r}.")
    fit_range = result.energy_range(source) if isinstance(result, FitResult) else None
    check_progress(progress, what)
    return BandTask(
        what, known, models, source, spectrum, edges, sigma, sigma_ul, found, scan, reoptimize, fit_range, progress
    )


def fitted_bands(task: BandTask, when: Mapping[str, int], gti: GTI | None, *, by_dataset: bool) -> FluxPoints:
    """Flux points of all bands of the first time, then of the second, ...: (n_times n_bands,).

    ``when`` tells which time a dataset belongs to. The energies of a band are those of its fitted bins at any time.
    ``by_dataset``: sums of counts and predictions for each dataset, (n_times n_bands, n_datasets), instead of (.., 1).
    """
    n_bands, n_times = len(task.edges) - 1, max(when.values()) + 1
    bins = SortedBins(n_bands * n_times)
    low, high = np.full(n_bands, np.inf), np.full(n_bands, -np.inf)
    parts: list[tuple[SourceBins, Places]] = []
    for name, time in when.items():
        dataset = task.datasets[name]
        dataset.check_ready(list(task.models.acting_on(name)), f"{task.what}: {name}")
        own = np.asarray(dataset.energy_edges)
        band = band_places(own, task.edges)
        in_band = np.where(fitted_bins(dataset), dataset.per_energy(band), -1)
        part, places = source_bins(dataset, name, task.models, task.source), _at_time(in_band, time, n_bands)
        bins.add(part, places)
        parts.append((part, places))
        of_dataset = energies_of_bands(in_band, own, n_bands)
        low, high = np.minimum(low, of_dataset[0]), np.maximum(high, of_dataset[1])
    there = low < high
    if not there.any():
        raise InputError(
            f"{task.what}: no fitted bin of the datasets lies between {task.edges[0]:.6g} and {task.edges[-1]:.6g} "
            "TeV. Give other energy_edges, or widen the fit ranges."
        )
    low, high = with_empty(low, high, task.edges)
    warn_of_empty(low, high, there, task.what)
    if task.fit_range is not None:
        bottom, top = task.fit_range
        _warn_of_extrapolation(task, (low < bottom * (1 - EDGE_TOLERANCE)) | (high > top * (1 + EDGE_TOLERANCE)), there)
    center = np.sqrt(low * high)
    reference = references(center, low, high, task.spectrum)
    if np.any(np.asarray(reference["dnde_ref"])[there] < 0):
        raise InputError(
            f"{task.what}: the spectrum of {task.source!r} is negative, and norms and their limits are multiples of "
            "it. Give models in which its amplitude is positive: models.with_values({...})."
        )
    floor = lowest_norm(task.spectrum)
    fits = bins.fit(task.sigma**2, task.sigma_ul**2, task.scan, floor)
    if not np.isfinite(fits.norm).any():
        raise InputError(
            f"{task.what}: {task.source!r} sends nothing to the fitted bins between {task.edges[0]:.6g} and "
            f"{task.edges[-1]:.6g} TeV. Is its amplitude 0, does it lie outside of the maps, or does it act on other "
            "datasets (datasets_names)?"
        )
    sensitivity = None
    if task.sigma_sensitivity is not None:
        sensitivity = bins.matching(_without_source(parts, np.asarray(fits.norm)), task.sigma_sensitivity**2)
    columns = _sums(parts, np.asarray(fits.norm), by_dataset)
    if task.reoptimize:
        where = {name: places for name, (_, places) in zip(when, parts, strict=True)}
        used, amounts = {name: task.datasets[name] for name in when}, (task.sigma**2, task.sigma_ul**2)
        again = refitted(
            used, where, task.models, task.source, fits, amounts, task.scan, floor, task.what, task.progress
        )
        fits = again.fits
        for name, new in (("npred", again.npred), ("npred_excess", again.npred_excess)):
            total = new if by_dataset else np.nansum(new, axis=1, keepdims=True)
            known = np.isfinite(total) & np.isfinite(new).any(axis=1, keepdims=True)
            found = np.where(known, total, columns[name])
            columns[name] = np.where(np.isfinite(fits.norm)[:, None], found, np.nan)
    warn_of_negative(task.what, np.asarray(fits.ul), "bands", f"{task.source}.spectral")
    energies = {"energy_ref": center, "energy_min": low, "energy_max": high, **reference}
    repeated = {name: np.tile(np.asarray(values), n_times) for name, values in energies.items()}
    return _as_points(task, fits, repeated, bins.filled, columns, gti, sensitivity)


def _warn_of_extrapolation(task: BandTask, beyond: np.ndarray, there: np.ndarray) -> None:
    n = int((beyond & there).sum())
    if n and task.fit_range is not None:
        low, high = task.fit_range
        warn(
            f"{task.what}: {n} of {len(there)} bands reach beyond the energies at which {task.source!r} was fitted, "
            f"{low:.4g} to {high:.4g} TeV: its spectrum is extrapolated there. Fit it over the wider range, or give "
            "energy_edges inside of this one."
        )


def lowest_norm(spectrum: SpectralModel) -> float:
    """The norm of a spectrum at which a parameter that scales all of it is at its lower bound; -inf for none."""
    scaling = [p for p in spectrum.parameters.values() if p.role in SCALING]
    if not all(float(p.value) > 0 for p in scaling) or (len(scaling) > 1 and not _is_product(spectrum)):
        return -np.inf
    return max((float(p.min) / float(p.value) for p in scaling), default=-np.inf)


def _is_product(spectrum: object) -> bool:
    """Whether each parameter that scales a part of a spectrum scales all of it: there are no sums in it."""
    if not isinstance(spectrum, CompoundSpectralModel):
        return True
    return spectrum.operator == "mul" and _is_product(spectrum.model1) and _is_product(spectrum.model2)


def warn_of_negative(what: str, limits: np.ndarray, places: str, spectrum: str) -> None:
    """Warn of upper limits below zero; ``places``: of what they are the limits."""
    n = int(np.sum(limits < 0))
    if n:
        warn(
            f"{what}: the upper limits of {n} of {np.size(limits)} {places} are below zero: there are fewer counts "
            "than are expected without the source, and limits are counted from the best norm, as in gammapy. For a "
            "flux that cannot be negative give the source a bound, "
            f"models.with_parameter('{spectrum}.amplitude', min=0): norms, and what limits are counted from, are then "
            "at least 0."
        )


def energies_of_bands(places: Places, own: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest energy of the fitted bins of each of ``n`` bands, (n,), infinite where there is none;
    ``places``: which band a bin is for, of the shape of the data, ``own``: edges of the bins."""
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    band = places.reshape(len(own) - 1, -1).max(axis=1)
    fitted = band >= 0
    np.minimum.at(low, band[fitted], own[:-1][fitted])
    np.maximum.at(high, band[fitted], own[1:][fitted])
    return low, high


def warn_of_empty(low: np.ndarray, high: np.ndarray, there: np.ndarray, what: str) -> None:
    """Warn of bands without a fitted bin."""
    if not there.all():
        empty = [f"{low[k]:.3g} to {high[k]:.3g} TeV" for k in np.flatnonzero(~there)]
        warn(
            f"{what}: {len(empty)} of {len(there)} bands hold no fitted bin, and are NaN: {', '.join(empty[:4])}"
            f"{', ...' if len(empty) > 4 else ''}. Give fewer or other energy_edges to be without them."
        )


def with_empty(
    low: Float[np.ndarray, " n"], high: Float[np.ndarray, " n"], edges: Float[np.ndarray, " n_edges"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Energies of bands: of fitted bins, and of bands without one (infinite) what was asked for, as far as neighbours
    leave room; those within a bin of a neighbour overlap it."""
    there = low < high
    below = np.concatenate([[0.0], np.maximum.accumulate(np.where(there, high, 0.0))[:-1]])
    above = np.append(np.minimum.accumulate(np.where(there, low, np.inf)[::-1])[::-1][1:], np.inf)
    asked_low, asked_high = edges[:-1], edges[1:]
    cut_low, cut_high = np.maximum(asked_low, below), np.minimum(asked_high, above)
    room = cut_high > cut_low * (1 + 1e-9)
    found_low = np.where(there, low, np.where(room, cut_low, asked_low))
    return found_low, np.where(there, high, np.where(room, cut_high, asked_high))


def _at_time(band: Places, time: int, n_bands: int) -> Places:
    return np.where(band >= 0, band + time * n_bands, -1)


def _as_points(
    task: BandTask,
    fits: NormFits,
    energies: Mapping[str, np.ndarray],
    there: np.ndarray,
    columns: Mapping[str, np.ndarray],
    gti: GTI | None,
    sensitivity: np.ndarray | None,
) -> FluxPoints:
    """Fits of norms as flux points; ``there``: which have a fitted bin, (n,)."""
    success = np.isfinite(fits.norm)
    ts = np.where(success, np.maximum(fits.stat_null - fits.stat, 0.0), np.nan)
    kept: dict[str, object] = {"SED_TYPE": "likelihood", "columns": dict(columns)}
    level = erf(task.sigma_ul / sqrt(2))
    if level < 1:
        # of more than eight standard deviations no number says how near to 1 it is
        kept["UL_CONF"] = level
    return FluxPoints(
        **energies,
        norm=fits.norm,
        norm_err=task.sigma * fits.err,
        norm_errn=fits.errn,
        norm_errp=fits.errp,
        norm_ul=fits.ul,
        norm_sensitivity=sensitivity,
        ts=ts,
        sqrt_ts=np.sign(fits.norm) * np.sqrt(ts),
        stat=np.where(there, fits.stat, np.nan),
        stat_null=np.where(there, fits.stat_null, np.nan),
        success=success,
        stat_scan=np.where(there[:, None], fits.stat_scan, np.nan),
        norm_scan=task.scan,
        gti=gti,
        reference_model=task.spectrum,
        meta=Meta(kept),
    )


def band_places(own: np.ndarray, edges: np.ndarray) -> Int[np.ndarray, " n_reco"]:
    """Which band each bin of a dataset is in (edges ``own``), when the ``edges`` of bands are moved to the nearest of
    bins; -1 for none, (n_reco,)."""
    moved = np.round(edge_places(own, edges))
    band = np.searchsorted(moved, np.arange(len(own) - 1), side="right") - 1
    return np.where(band < len(edges) - 1, band, -1)


def _without_source(parts: Sequence[tuple[SourceBins, Places]], norm: np.ndarray) -> list[np.ndarray]:
    """Counts that are expected besides the source; measured backgrounds as they are at the best norms."""
    found = []
    for part, places in parts:
        norms = np.append(np.nan_to_num(norm), 0.0)[places]
        found.append(np.maximum(part.npred(norms) - norms * part.signal, 0.0))
    return found


def _sums(parts: Sequence[tuple[SourceBins, Places]], norm: np.ndarray, by_dataset: bool) -> dict[str, np.ndarray]:
    """Counts and predictions at the best norms, summed over the fitted bins of each norm: (n, m) with m datasets, or
    (n, 1) over all."""
    names = ("counts", "npred", "npred_excess")
    sums = {name: np.zeros((len(norm), len(parts) if by_dataset else 1)) for name in names}
    for i, (part, places) in enumerate(parts):
        norms = np.append(np.nan_to_num(norm), 0.0)[places]
        inside = places >= 0
        values = (np.asarray(part.dataset.counts, float), part.npred(norms), norms * part.signal)
        for name, found in zip(names, values, strict=True):
            column = i if by_dataset else 0
            sums[name][:, column] += np.bincount(places[inside], found[inside], minlength=len(norm))
    unknown = ~np.isfinite(norm)[:, None]
    return {name: values if name == "counts" else np.where(unknown, np.nan, values) for name, values in sums.items()}
