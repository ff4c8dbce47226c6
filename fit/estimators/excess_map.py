"""Excess and significance in a disk around each pixel, and residuals of counts to models."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from ...datasets.counts.dataset import CountsDataset
from ...datasets.counts.measured import alpha_of_sum, off_acceptance
from ...datasets.counts.npred import SomeModels
from ...datasets.counts.significance import CashCountsStatistic, WStatCountsStatistic
from ...datasets.dataset import fitted_bins
from ...datasets.errors import InputError
from ...datasets.hints.calls import hinted
from ...datasets.prepared import Models
from ...datasets.sky.geom import SkyGeom
from ...datasets.units import Given, number_in
from ...kernels.disk import disk_sums
from ..joint.problem import SomeDatasets
from ..result import FitResult
from ..scans.profile import positive
from .bands import band_places
from .map_input import (
    band_edges,
    fitted_energies,
    geom_of,
    map_input,
    on_geom,
    pixel_places,
    predictions_of,
    warn_of_outside,
)
from .sky_maps import SkyMaps

MOST_UNEVEN = 0.1
"""Relative difference of the sizes of pixels up to which disks are counted in pixels."""

METHODS = ("diff", "diff/sqrt(model)", "significance")

Images = Float[np.ndarray, "n ny nx"]


@hinted
def excess_map(
    datasets: SomeDatasets,
    models: FitResult | SomeModels,
    radius: Given,
    energy_edges: Given | None = None,
    *,
    exclude: str | Sequence[str] = (),
    geom: SkyGeom | None = None,
    limits: bool = False,
    n_sigma: Given = 1.0,
    n_sigma_ul: Given = 2.0,
    correlate_off: bool = True,
) -> SkyMaps:
    """Counts, prediction, excess and significance in a disk around each pixel, of all datasets together.

    Fitted bins of all datasets are added up in each band of energy and pixel; what ``models`` (all of them: leave the
    source out that is to be seen) and the background predict there with the norms that they have is the expectation
    without an excess. The sums are then correlated with a top hat: pixels whose centre is within ``radius``. The
    quantities, (n, ny, nx), are ``counts``; ``npred``; ``npred_excess``, counts - npred, with ``npred_excess_err``;
    ``ts`` and ``sqrt_ts``, with the sign of the excess: the rise of the Cash statistic (Cash 1979) for known
    backgrounds, of the W statistic (Li & Ma 1983, equation 17) for on/off maps; with ``limits`` also
    ``npred_excess_errn``, ``npred_excess_errp`` and ``npred_excess_ul``, counted from the excess, so that it may be
    below zero (without any counts that of source and background together, as gammapy has it). NaN where a pixel has no
    fitted bin. For on/off maps ``n_off`` and ``alpha`` are given too. Neighbouring pixels share counts: they are not
    independent.

    Parameters
    ----------
    datasets : map datasets: `Datasets`, a mapping of names to datasets, or one; all with known backgrounds, or all with
        off counts
    models : what `fit` gave, or models
    radius : of the disk, Quantity or deg; 0 for single pixels. Disks of exactly 1 and 2 pixels share few of them with
        their neighbours, so that maps look like chessboards; those of 1.5 and 2.5 do not
    energy_edges : (n + 1,) edges of the bands, Quantity or TeV, moved to the nearest of bins; one band by default
    exclude : name, or names, of models to leave out
    geom : `SkyGeom` of the map, that of the first dataset by default. Counts of datasets with other pixels go into the
        pixel that holds the centre of theirs
    limits : whether asymmetric errors and upper limits are made
    n_sigma, n_sigma_ul : standard deviations of errors and of limits
    correlate_off : whether off counts are summed over the disk, too. Off counts that come from rings around each pixel
        are sums already: then False, and alpha is the acceptance in the disk over that of the ring

    Raises
    ------
    InputError
        for datasets without counts or pixels, datasets of both kinds, bands without a bin.

    Examples
    --------
    >>> maps = gj.excess_map(datasets, result, 0.12 * u.deg, exclude="crab")
    >>> maps["sqrt_ts"].max(), maps.peaks("sqrt_ts", threshold=5)
    """
    what = "excess_map"
    sigma, sigma_ul = positive(n_sigma, f"{what}: n_sigma"), positive(n_sigma_ul, f"{what}: n_sigma_ul")
    sums, pixels, edges, fitted = _summed(datasets, models, energy_edges, exclude, geom, what)
    size = _in_pixels(radius, pixels, what)
    statistic, known = _correlated(sums, size, correlate_off, what)
    n_on = np.asarray(statistic.n_on)
    excess = np.asarray(statistic.n_sig)
    found = {
        "counts": n_on,
        "npred": n_on - excess,
        "npred_excess": excess,
        "npred_excess_err": sigma * np.asarray(statistic.error),
        "ts": np.asarray(statistic.ts),
        "sqrt_ts": np.asarray(statistic.sqrt_ts),
    }
    if limits:
        found["npred_excess_errn"] = np.asarray(statistic.compute_errn(sigma))
        found["npred_excess_errp"] = np.asarray(statistic.compute_errp(sigma))
        found["npred_excess_ul"] = np.asarray(statistic.compute_upper_limit(sigma_ul))
    if isinstance(statistic, WStatCountsStatistic):
        found |= {"n_off": np.asarray(statistic.n_off), "alpha": np.asarray(statistic.alpha)}
    masked = {name: np.where(known, values, np.nan) for name, values in found.items()}
    meta: dict[str, Any] = {"kind": "excess", "radius": size * pixels.pixel_size} | fitted
    return SkyMaps(pixels, edges, masked, n_sigma=sigma, n_sigma_ul=sigma_ul if limits else None, meta=meta)


@hinted
def residual_map(
    datasets: SomeDatasets,
    models: FitResult | SomeModels,
    radius: Given,
    energy_edges: Given | None = None,
    *,
    method: Literal["diff", "diff/sqrt(model)", "significance"] = "significance",
    exclude: str | Sequence[str] = (),
    geom: SkyGeom | None = None,
) -> SkyMaps:
    """Residuals of the counts to a fit, in a disk around each pixel, of all datasets together.

    The sums are those of `excess_map`. ``method`` "diff" gives counts - npred, "diff/sqrt(model)" divides it by the
    root of npred, and "significance" is ``sqrt_ts``: for a model that is right it is distributed as a unit Gaussian
    where there are more than a few counts in the disk. The quantities, (n, ny, nx), are ``residual``, ``counts``,
    ``npred``, and ``sqrt_ts``, the significance, whatever the method.

    Parameters and errors: see `excess_map`.

    Examples
    --------
    >>> maps = gj.residual_map(datasets, result, 0.12 * u.deg)
    >>> np.nanmean(maps["residual"]), np.nanstd(maps["residual"])
    """
    what = "residual_map"
    if method not in METHODS:
        raise InputError(f"{what}: found method {method!r}, expected one of {', '.join(map(repr, METHODS))}.")
    sums, pixels, edges, fitted = _summed(datasets, models, energy_edges, exclude, geom, what)
    size = _in_pixels(radius, pixels, what)
    statistic, known = _correlated(sums, size, True, what)
    counts, excess = np.asarray(statistic.n_on), np.asarray(statistic.n_sig)
    npred = counts - excess
    if method == "diff":
        residual = excess
    elif method == "significance":
        residual = np.asarray(statistic.sqrt_ts)
    else:
        # 0 / 0: nothing was expected, and nothing was seen
        scale = np.where(npred > 0, np.sqrt(np.maximum(npred, 0.0)), np.where(counts > 0, 0.0, 1.0))
        with np.errstate(divide="ignore"):
            residual = excess / scale
    found = {"residual": residual, "counts": counts, "npred": npred, "sqrt_ts": np.asarray(statistic.sqrt_ts)}
    meta: dict[str, Any] = {"kind": "residual", "method": method, "radius": size * pixels.pixel_size} | fitted
    return SkyMaps(pixels, edges, {name: np.where(known, v, np.nan) for name, v in found.items()}, meta=meta)


def _summed(
    datasets: SomeDatasets,
    models: FitResult | SomeModels,
    energy_edges: Given | None,
    exclude: str | Sequence[str],
    geom: SkyGeom | None,
    what: str,
) -> tuple[dict[str, Images], SkyGeom, np.ndarray, dict[str, np.ndarray]]:
    """Sums of what a statistic of counts needs over the fitted bins of all datasets, the pixels, the edges of the
    bands, and the ends of what was fitted in them."""
    known, kept, pixels = map_input(datasets, models, exclude, geom, what)
    if geom is None:
        warn_of_outside(known, pixels, what)
    edges, moved = band_edges(known, energy_edges, what)
    measured = {name: "counts_off" in dataset.statistic_data for name, dataset in known.items()}
    if len(set(measured.values())) > 1:
        off = [name for name, is_off in measured.items() if is_off]
        raise InputError(
            f"{what}: {', '.join(off)} have off counts, the other datasets known backgrounds, and there is no common "
            "significance. Make a map of each kind."
        )
    shape = (len(edges) - 1, *pixels.shape)
    total: dict[str, Images] = {}
    all_places = {name: pixel_places(geom_of(dataset), pixels, name, what) for name, dataset in known.items()}
    if not any(np.any(places >= 0) for places in all_places.values()):
        raise InputError(f"{what}: no pixel of geom lies on a dataset. Give pixels of the same part of the sky.")
    for name, dataset in known.items():
        band = band_places(np.asarray(dataset.energy_edges), edges)
        places = all_places[name]
        inside = fitted_bins(dataset)
        for field, values in _fields(dataset, list(kept.acting_on(name))).items():
            image = on_geom(np.where(inside, values, 0.0), band, places, shape)
            total[field] = total[field] + image if field in total else image
        number = on_geom(np.asarray(inside, float), band, places, shape)
        total["bins"] = total["bins"] + number if "bins" in total else number
    return total, pixels, moved, fitted_energies(known, edges)


def _fields(dataset: CountsDataset, models: Models) -> dict[str, np.ndarray]:
    """What is added up, each of the shape of the data."""
    signal, background = (np.asarray(values, float) for values in predictions_of(dataset, models)[:2])
    data = {name: np.asarray(values, float) for name, values in dataset.statistic_data.items()}
    if "counts_off" not in data:
        return {"counts": data["counts"], "npred": signal + background}
    alpha = np.divide(
        data["acceptance"], data["acceptance_off"], out=np.zeros(dataset.data_shape), where=data["acceptance_off"] > 0
    )
    return data | {"signal": signal, "background": alpha * data["counts_off"]}


def uneven(geom: SkyGeom) -> float:
    """Largest relative difference of a pixel's width or height, at nine places, from the size of the geometry."""
    ny, nx = geom.shape
    x, y = (c.ravel() for c in np.meshgrid(np.linspace(0, nx - 1, 3), np.linspace(0, ny - 1, 3)))
    worst = 0.0
    for dx, dy in ((0.5, 0.0), (0.0, 0.5)):
        ends = [np.asarray(geom.pixel_to_vector(x + s * dx, y + s * dy)) for s in (-1, 1)]
        width = np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(ends[1] - ends[0], axis=-1) / 2, 0, 1)))
        known = width[np.isfinite(width)]
        worst = max(worst, float(np.max(np.abs(known / geom.pixel_size - 1), initial=0.0)))
    return worst


def _in_pixels(radius: Given, geom: SkyGeom, what: str) -> float:
    angle = number_in(radius, "deg", f"{what}: radius")
    if not 0 <= angle < 180:
        raise InputError(f"{what}: radius must be an angle from 0 to 180 deg, found {radius!r}.")
    radius_pixels = angle / geom.pixel_size
    if radius_pixels >= 1 and (worst := uneven(geom)) > MOST_UNEVEN:
        raise InputError(
            f"{what}: pixels of the map differ by {100 * worst:.0f} % in width, so that a disk is none in pixels. Cut "
            "out a smaller map (dataset.cutout), or reproject it to TAN around its middle."
        )
    return radius_pixels


def _correlated(
    sums: dict[str, Images], radius: float, correlate_off: bool, what: str
) -> tuple[CashCountsStatistic | WStatCountsStatistic, np.ndarray]:
    """The statistic of the counts in disks, and the pixels that have any fitted bin."""
    known = sums["bins"] > 0
    disks = {name: disk_sums(values, radius) for name, values in sums.items()}
    if "counts_off" not in sums:
        # rounding of sums with negative parts (models may be negative) is not a number of counts
        return CashCountsStatistic(disks["counts"], np.maximum(disks["npred"], 0.0)), known
    of = disks if correlate_off else sums
    fields = [of[name] for name in ("counts_off", "background", "acceptance", "acceptance_off")]
    alpha = alpha_of_sum(*fields)
    n_off = fields[0]
    if not correlate_off:
        off = off_acceptance(sums["acceptance"], alpha, sums["acceptance_off"])
        alpha = np.divide(disks["acceptance"], off, out=np.zeros(alpha.shape), where=off > 0)
    return WStatCountsStatistic(disks["counts"], n_off, alpha, disks["signal"]), known
