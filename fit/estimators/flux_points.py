"""Flux points of a source: its norm in bands of energy, fitted to all datasets jointly."""

from collections.abc import Sequence
from math import erf, sqrt

import jax
import numpy as np

from ...datasets.counts.npred import SomeModels
from ...datasets.counts.reshape_energy import edge_places
from ...datasets.dataset import fitted_bins, on_host
from ...datasets.errors import InputError
from ...datasets.flux_points.points import FluxPoints
from ...datasets.flux_points.reference import references
from ...datasets.hints.calls import hinted
from ...datasets.meta import Meta
from ...datasets.models.spectral.base import SpectralModel
from ...datasets.units import Given, edges_tev, numbers_in
from ..joint.problem import SomeDatasets, as_datasets, as_models
from ..result import FitResult
from ..scans.profile import positive
from .bins import Places, SortedBins, SourceBins, counted, require_source, source_bins

SCANNED = np.geomspace(0.2, 5.0, 11)
"""Norms at which the statistic is given unless others are asked for: those of gammapy."""


@hinted
def flux_points(
    datasets: SomeDatasets,
    result: FitResult | SomeModels,
    source: str,
    energy_edges: Given,
    *,
    n_sigma: Given = 1.0,
    n_sigma_ul: Given = 2.0,
    norms: Given | Sequence[float] = SCANNED,
) -> FluxPoints:
    """Flux points of ``source``: in each band of energy the norm by which its spectrum is to be multiplied.

    The norm of a band is fitted to the bins of all datasets in it, jointly; the shape of the spectrum inside the band
    and all other models stay as they are in ``result``. As gammapy's ``FluxPointsEstimator`` with its default
    ``reoptimize=False``, whose columns the points have: ``norm`` with ``norm_err`` (from the curvature), ``norm_errn``
    and ``norm_errp`` (where the statistic has risen by ``n_sigma``^2), ``norm_ul`` (above the norm, by
    ``n_sigma_ul``^2), ``ts``, ``sqrt_ts``, ``stat``, ``stat_null``, ``stat_scan``, and in ``meta["columns"]`` sums per
    dataset, (n, n_datasets): ``counts``, ``npred``, ``npred_excess``.

    Edges are moved to the nearest edges of the bins of each dataset, so that between two bands no bin is lost; the
    energies of a point are those of the fitted bins. A band without a bin, or whose bins the source does not reach, is
    a point that is NaN, without success. Where there are no counts the norm is 0, with nothing but a limit: 4 / (2
    signal) for two sigma.

    Parameters
    ----------
    datasets : `Datasets`, a mapping of names to datasets, or one dataset; all of counts
    result : what `fit` gave, or models
    source : name of a `SkyModel` with one of the package's spectra, or one derived from `SpectralModel`
    energy_edges : (n + 1,) rising energies, Quantity or TeV
    n_sigma, n_sigma_ul : standard deviations of errors and of limits
    norms : (n_norms,) at which ``stat_scan`` is given

    Raises
    ------
    InputError
        for datasets without counts, sources that are not there, that are negative or send nothing to the datasets,
        edges that do not rise or meet no dataset.

    Examples
    --------
    >>> points = gj.flux_points(datasets, result, "crab", [1, 3, 10, 30] * u.TeV)
    >>> points.quantity("e2dnde"), points.to_table("dnde")
    """
    what = "flux_points"
    models = as_models(result.models if isinstance(result, FitResult) else result)
    known = counted(as_datasets(datasets), what)
    on_host((list(known.values()), models), what)
    if not jax.config.read("jax_enable_x64"):
        raise InputError(
            f"{what}: it needs float64, and JAX is set to float32. Say jax.config.update('jax_enable_x64', True) first."
        )
    spectrum = require_source(models, source, what).spectral
    if not isinstance(spectrum, SpectralModel):
        raise InputError(f"{what}: the spectrum of {source!r} is {type(spectrum).__name__}, expected a SpectralModel.")
    edges = np.asarray(edges_tev(energy_edges, f"{what}: energy_edges"))
    sigma, sigma_ul = positive(n_sigma, f"{what}: n_sigma"), positive(n_sigma_ul, f"{what}: n_sigma_ul")
    scan = np.asarray(numbers_in(norms, "", f"{what}: norms"), float)
    if scan.ndim != 1 or not np.all(np.isfinite(scan)):
        raise InputError(f"{what}: norms must be a list of finite numbers, found {norms!r}.")

    n = len(edges) - 1
    bins = SortedBins(n)
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    parts: list[tuple[SourceBins, Places]] = []
    for name, dataset in known.items():
        dataset.check_ready(list(models.acting_on(name)), f"{what}: {name}")
        band = _bands(np.asarray(dataset.energy_edges), edges)
        places = np.where(fitted_bins(dataset), dataset.per_energy(band), -1)
        part = source_bins(dataset, name, models, source)
        bins.add(part, places)
        parts.append((part, places))
        fitted = places.reshape(len(band), -1).max(axis=1) >= 0
        np.minimum.at(low, band[fitted], np.asarray(dataset.energy_edges)[:-1][fitted])
        np.maximum.at(high, band[fitted], np.asarray(dataset.energy_edges)[1:][fitted])
    there = low < high
    if not there.any():
        raise InputError(
            f"{what}: no fitted bin of the datasets lies between {edges[0]:.6g} and {edges[-1]:.6g} TeV. Give other "
            "energy_edges, or widen the fit ranges."
        )
    low, high = np.where(there, low, edges[:-1]), np.where(there, high, edges[1:])
    center = np.sqrt(low * high)
    reference = references(center, low, high, spectrum)
    if np.any(np.asarray(reference["dnde_ref"])[there] < 0):
        raise InputError(
            f"{what}: the spectrum of {source!r} is negative, and norms and their limits are multiples of it. Give "
            "models in which its amplitude is positive: models.with_values({...})."
        )
    fits = bins.fit(np.full(n, sigma**2), np.full(n, sigma_ul**2), scan)
    success = np.isfinite(fits.norm)
    if not success.any():
        raise InputError(
            f"{what}: {source!r} sends nothing to the fitted bins between {edges[0]:.6g} and {edges[-1]:.6g} TeV. "
            "Is its amplitude 0, does it lie outside of the maps, or does it act on other datasets (datasets_names)?"
        )
    ts = np.where(success, np.maximum(fits.stat_null - fits.stat, 0.0), np.nan)
    kept = {
        "SED_TYPE": "likelihood",
        "UL_CONF": erf(sigma_ul / sqrt(2)),
        "columns": _sums(parts, np.asarray(fits.norm)),
    }
    return FluxPoints(
        energy_ref=center,
        energy_min=low,
        energy_max=high,
        **reference,
        norm=fits.norm,
        norm_err=sigma * fits.err,
        norm_errn=fits.errn,
        norm_errp=fits.errp,
        norm_ul=fits.ul,
        ts=ts,
        sqrt_ts=np.sign(fits.norm) * np.sqrt(ts),
        stat=np.where(there, fits.stat, np.nan),
        stat_null=np.where(there, fits.stat_null, np.nan),
        success=success,
        stat_scan=np.where(there[:, None], fits.stat_scan, np.nan),
        norm_scan=scan,
        gti=as_datasets(datasets).gti,
        reference_model=spectrum,
        meta=Meta(kept),
    )


def _bands(own: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Which band each bin of a dataset is in (edges ``own``), when the ``edges`` of bands are moved to the nearest of
    bins; -1 for none, (n_reco,)."""
    moved = np.round(edge_places(own, edges))
    band = np.searchsorted(moved, np.arange(len(own) - 1), side="right") - 1
    return np.where(band < len(edges) - 1, band, -1)


def _sums(parts: list[tuple[SourceBins, Places]], norm: np.ndarray) -> dict[str, np.ndarray]:
    """Counts and predictions at the best norms in each band, summed over the fitted bins of each dataset: (n, m)."""
    found: dict[str, list[np.ndarray]] = {"counts": [], "npred": [], "npred_excess": []}
    for part, places in parts:
        norms = np.append(np.nan_to_num(norm), 0.0)[places]
        for name, values in (
            ("counts", np.asarray(part.dataset.counts, float)),
            ("npred", part.npred(norms)),
            ("npred_excess", norms * part.signal),
        ):
            inside = places >= 0
            found[name].append(np.bincount(places[inside], values[inside], minlength=len(norm)))
    sums = {name: np.stack(columns, axis=1) for name, columns in found.items()}
    unknown = ~np.isfinite(norm)[:, None]
    return {name: values if name == "counts" else np.where(unknown, np.nan, values) for name, values in sums.items()}
