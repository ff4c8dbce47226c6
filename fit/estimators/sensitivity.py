"""Sensitivity: the flux at which a source would be found in each band of energy."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from ...datasets.bins import on_host
from ...datasets.collection.datasets import Datasets
from ...datasets.counts.dataset import CountsDataset, require_counts
from ...datasets.counts.significance import CashCountsStatistic, WStatCountsStatistic
from ...datasets.counts.simulate import asimov
from ...datasets.dataset import fitted_bins
from ...datasets.errors import InputError, warn
from ...datasets.flux_points.table import FILE_UNITS
from ...datasets.hints.calls import hinted
from ...datasets.models.collection import Models
from ...datasets.models.sky_model import SkyModel
from ...datasets.models.spectral.base import SpectralModel
from ...datasets.models.spectral.builtin import PowerLawSpectralModel
from ...datasets.units import Given, edges_tev, number_in
from ..joint.problem import SomeDatasets, as_datasets
from ..scans.profile import positive
from .bands import band_places, energies_of_bands, warn_of_empty, with_empty
from .bins import SortedBins, source_bins

if TYPE_CHECKING:
    from astropy.table import Table

NAME = "source"

UNEVEN = 0.1
"""Relative differences of widths up to which bands count as equally wide."""


@hinted
def sensitivity(
    datasets: SomeDatasets,
    energy_edges: Given | None = None,
    source: SkyModel | SpectralModel | None = None,
    *,
    n_sigma: Given = 5.0,
    gamma_min: Given = 10.0,
    bkg_syst_fraction: Given = 0.05,
    per_bin: bool = False,
) -> "Table":
    """Sensitivity in bands of energy: the flux with a significance of ``n_sigma``, at least ``gamma_min`` counts and at
    least ``bkg_syst_fraction`` of the background.

    The significance is that of the counts that are expected: background from ``dataset.background``, or alpha times the
    off counts, known as well as the data know it. Counts of the data are not looked at. All counts of a band count as
    one number, also those of several datasets, as in gammapy's ``SensitivityEstimator`` and its stacked datasets; with
    ``per_bin`` the bins of a band, of a map all its pixels, and the datasets are told apart, by the likelihood of data
    without noise (Asimov), which is more sensitive.

    A band is as wide as its fitted bins: edges between those of bins move to the nearest. Where bands are asked for
    that are little wider than bins, some get one bin and others two, and their sensitivities differ by that: a warning
    says so, and edges that every n-th bin has are the cure.

    Parameters
    ----------
    datasets : one dataset, `Datasets`, or a mapping of names to datasets, all of counts; without ``per_bin`` spectra,
        all with known backgrounds or all with off counts
    energy_edges : (n + 1,) rising energies, Quantity or TeV, moved to the nearest edges of bins; by default the fitted
        bins, where all datasets have the same
    source : spectrum, or `SkyModel`, whose shape the source has; by default a power law of index 2. For maps a
        `SkyModel` with a place
    n_sigma, gamma_min, bkg_syst_fraction : criteria; 0 for no least number or fraction
    per_bin : whether bins of a band, and datasets, are told apart. The background of a band is then that under the
        source: 1 / sum(p^2 / b) of its bins, with the share p of the source in each, so that the size of a map has no
        part in the fraction of the background

    Returns
    -------
    Table with ``e_ref``, ``e_min``, ``e_max``, ``e2dnde``, ``excess`` and ``background`` (counts), and ``criterion``:
    which of "significance", "gamma" and "bkg" decides; bands without a fitted bin, of which a warning tells, or which
    the source does not reach are NaN, with the criterion "". Its ``meta`` holds the criteria

    Raises
    ------
    InputError
        for datasets without background or off counts, sources that send nothing there, and criteria that are negative.

    Examples
    --------
    >>> gj.sensitivity(dataset, np.geomspace(0.1, 100, 13) * u.TeV)["e_ref", "e2dnde", "criterion"]
    """
    from astropy.table import Table

    what = "sensitivity"
    known = {name: require_counts(dataset, what) for name, dataset in as_datasets(datasets).items()}
    if not known:
        raise InputError(f"{what}: there are no datasets. Give at least one.")
    model = _source(source)
    if isinstance(datasets, Mapping | Datasets):
        known = {name: dataset for name, dataset in known.items() if model.acts_on(name)}
        if not known:
            raise InputError(f"{what}: {model.name!r} acts on none of the datasets (datasets_names).")
    model = model.replace(datasets_names=None)
    on_host((list(known.values()), model), what)
    sigma = positive(n_sigma, f"{what}: n_sigma")
    least = [
        _not_negative(value, f"{what}: {name}")
        for name, value in (("gamma_min", gamma_min), ("bkg_syst_fraction", bkg_syst_fraction))
    ]
    if any(len(dataset.data_shape) != 1 for dataset in known.values()) and not per_bin:
        raise InputError(
            f"{what}: the dataset has pixels. Take the spectrum of a region out, dataset.to_spectrum_dataset(region, "
            "containment_correction=True), or say per_bin=True."
        )
    edges = _edges(known, energy_edges, what)
    n = len(edges) - 1
    parts = [_Part(name, dataset, model, edges, what) for name, dataset in known.items()]
    if not any(np.any(part.places >= 0) for part in parts):
        raise InputError(
            f"{what}: no fitted bin lies between {edges[0]:.4g} and {edges[-1]:.4g} TeV. Give other energy_edges."
        )
    signal = sum((part.summed(part.bins.signal) for part in parts), np.zeros(n))
    for part in parts:
        part.leave_out(signal)
    background = _under_source(parts, n) if per_bin else sum((p.summed(p.counts) for p in parts), np.zeros(n))
    if not np.any(signal > 0):
        raise InputError(f"{what}: the source sends nothing to the fitted bins of the dataset between these energies.")
    if per_bin:
        bins = SortedBins(n)
        for part in parts:
            bins.add(part.bins, part.places)
        excess = signal * bins.matching([part.counts for part in parts], sigma**2)
    else:
        excess = np.asarray(_statistic(parts, background, what).n_sig_matching_significance(sigma))
    # where no background is expected one event would be significant: the other criteria decide
    excess = np.where(np.isnan(excess) & (background == 0), 0.0, excess)
    floor = np.maximum(least[0], least[1] * background)
    criterion = np.where(excess >= floor, "significance", np.where(floor == least[0], "gamma", "bkg"))
    excess = np.maximum(excess, floor)

    low, high = np.min([part.low for part in parts], axis=0), np.max([part.high for part in parts], axis=0)
    there = low < high
    low, high = with_empty(low, high, edges)
    warn_of_empty(low, high, there, what)
    _warn_of_uneven(low[there], high[there], edges, what)
    reached = signal > 0
    center = np.sqrt(low * high)
    dnde = np.asarray(model.spectral.evaluate(center))
    norm = np.divide(excess, signal, out=np.full(n, np.nan), where=reached)
    table = Table(meta={"n_sigma": sigma, "gamma_min": least[0], "bkg_syst_fraction": least[1]})
    for name, values in (("e_ref", center), ("e_min", low), ("e_max", high)):
        table[name] = u.Quantity(values, "TeV")
    table["e2dnde"] = u.Quantity(norm * dnde * center**2, "TeV s-1 cm-2").to(FILE_UNITS["e2dnde"])
    table["excess"], table["background"] = np.where(reached, excess, np.nan), np.where(there, background, np.nan)
    table["criterion"] = np.where(reached, criterion, "")
    for name in ("e_ref", "e_min", "e_max", "e2dnde", "excess", "background"):
        table[name].info.format = ".4g"
    return table


class _Part:
    """A dataset as it enters: what a source sends to its bins (``bins``), the expected counts, which band each bin is
    for (``places``, -1 for none), and the energies of the fitted bins of each band, infinite where there are none."""

    def __init__(self, name: str, dataset: CountsDataset, model: SkyModel, edges: np.ndarray, what: str):
        # only the background is looked at
        self.dataset = asimov(dataset.replace(counts=np.zeros(dataset.data_shape)))
        own = np.asarray(dataset.energy_edges)
        band = band_places(own, edges)
        self.places = np.where(fitted_bins(dataset), dataset.per_energy(band), -1)
        self.n = len(edges) - 1
        self.dataset.check_models([model], what)
        self.bins = source_bins(self.dataset, name, Models([model]), model.name)
        self.counts = np.asarray(self.dataset.counts, float)
        self.low, self.high = energies_of_bands(self.places, own, self.n)

    def leave_out(self, signal: np.ndarray) -> None:
        """Leave out the bands to which the source sends something (``signal``), but not in this dataset."""
        blind = (self.summed(self.bins.signal) == 0) & (signal > 0)
        self.places = np.where((self.places >= 0) & blind[self.places], -1, self.places)

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Sums over the fitted bins of each band."""
        inside = self.places >= 0
        full = np.broadcast_to(np.asarray(values, float), self.places.shape)
        return np.bincount(self.places[inside], full[inside], minlength=self.n)


def _under_source(parts: Sequence[_Part], n: int) -> np.ndarray:
    """Background of one bin that would hide the source as that of all bins does: 1 / sum(p^2 / b), with the shares p of
    the source in the bins. Of one bin it is its background; bins of a map beside the source have no part in it."""
    signal = sum((part.summed(part.bins.signal) for part in parts), np.zeros(n))
    total = np.zeros(n)
    for part in parts:
        square = part.bins.signal**2
        total += part.summed(
            np.divide(square, part.counts, out=np.where(square > 0, np.inf, 0.0), where=part.counts > 0)
        )
    return np.divide(signal**2, total, out=np.zeros(n), where=total > 0)


def _edges(datasets: Mapping[str, CountsDataset], given: Given | None, what: str) -> np.ndarray:
    """Edges of the bands: given ones, or those of the fitted bins, which all datasets have to share."""
    if given is not None:
        return np.asarray(edges_tev(given, f"{what}: energy_edges"))
    all_edges = [np.asarray(dataset.energy_edges) for dataset in datasets.values()]
    if any(e.shape != all_edges[0].shape or not np.allclose(e, all_edges[0]) for e in all_edges):
        raise InputError(f"{what}: the datasets have other bins of energy. Say which bands: energy_edges=...")
    fitted = [np.asarray(fitted_bins(d)).reshape(len(all_edges[0]) - 1, -1).any(axis=1) for d in datasets.values()]
    used = np.flatnonzero(np.any(fitted, axis=0))
    return all_edges[0][used[0] : used[-1] + 2] if used.size else all_edges[0]


def _warn_of_uneven(low: np.ndarray, high: np.ndarray, edges: np.ndarray, what: str) -> None:
    """A warning where bands were asked for that are equally wide, and are not as their bins are."""
    asked, found = np.log(edges[1:] / edges[:-1]), np.log(high / low)
    if np.ptp(asked) < UNEVEN * asked.min() and np.ptp(found) > 3 * UNEVEN * found.min():
        warn(
            f"{what}: edges move to the nearest of bins, and bands are a factor of {np.exp(found.min()):.3g} to "
            f"{np.exp(found.max()):.3g} wide in energy, where {np.exp(asked.mean()):.3g} was asked for: wider bands "
            "are more sensitive. Give every n-th of dataset.energy_edges for equal ones."
        )


def _source(given: SkyModel | SpectralModel | None) -> SkyModel:
    """The source as a model of its own."""
    if given is None:
        given = PowerLawSpectralModel(index=2.0, amplitude=1e-12)
    if isinstance(given, SpectralModel):
        return SkyModel(given, name=NAME)
    if not isinstance(given, SkyModel) or not isinstance(given.spectral, SpectralModel):
        raise InputError(f"sensitivity: source must be a spectrum or a SkyModel, found {type(given).__name__}.")
    return given


def _not_negative(value: Given, what: str) -> float:
    number = number_in(value, "", what)
    if not 0 <= number < np.inf:
        raise InputError(f"{what}: found {number}, expected a finite number of at least 0.")
    return number


def _statistic(parts: Sequence[_Part], background: np.ndarray, what: str) -> CashCountsStatistic | WStatCountsStatistic:
    """Counts of all bands: those of the background alone."""
    of_bins = [part.dataset.counts_statistic([]) for part in parts]
    measured = [(p, s) for p, s in zip(parts, of_bins, strict=True) if isinstance(s, WStatCountsStatistic)]
    if not measured:
        return CashCountsStatistic(background, background)
    if len(measured) < len(parts):
        raise InputError(
            f"{what}: some datasets have off counts, others known backgrounds, and their sums have no common "
            "significance. Say per_bin=True, which tells datasets apart."
        )
    zero = np.zeros(len(background))
    n_off = sum((part.summed(np.asarray(s.n_off)) for part, s in measured), zero)
    weighted = sum((part.summed(np.asarray(s.alpha) * np.asarray(s.n_off)) for part, s in measured), zero)
    # without off counts alpha is that of the bins
    number = np.maximum(sum((part.summed(np.ones(1)) for part, _ in measured), zero), 1)
    mean = sum((part.summed(np.asarray(s.alpha)) for part, s in measured), zero) / number
    alpha = np.where(n_off > 0, weighted / np.where(n_off > 0, n_off, 1.0), mean)
    return WStatCountsStatistic(alpha * n_off, n_off, alpha)
