"""Sensitivity: the flux at which a source would be found in each band of energy."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from ...datasets.bins import on_host
from ...datasets.counts.dataset import CountsDataset, require_counts
from ...datasets.counts.significance import CashCountsStatistic, WStatCountsStatistic
from ...datasets.counts.simulate import asimov
from ...datasets.dataset import fitted_bins
from ...datasets.errors import InputError
from ...datasets.flux_points.table import FILE_UNITS
from ...datasets.hints.calls import hinted
from ...datasets.models.collection import Models
from ...datasets.models.sky_model import SkyModel
from ...datasets.models.spectral.base import SpectralModel
from ...datasets.models.spectral.builtin import PowerLawSpectralModel
from ...datasets.units import Given, edges_tev, number_in
from ..scans.profile import positive
from .bands import band_places
from .bins import SortedBins, source_bins

if TYPE_CHECKING:
    from astropy.table import Table

NAME = "source"


@hinted
def sensitivity(
    dataset: CountsDataset,
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
    one number, as in gammapy's ``SensitivityEstimator``; with ``per_bin`` the bins of a band, of a map all its pixels,
    are told apart, by the likelihood of data without noise (Asimov), which is more sensitive.

    Parameters
    ----------
    dataset : one dataset of counts; without ``per_bin`` of a spectrum
    energy_edges : (n + 1,) rising energies, Quantity or TeV, moved to the nearest edges of bins; by default the bins
    source : spectrum, or `SkyModel`, whose shape the source has; by default a power law of index 2. For maps a
        `SkyModel` with a place
    n_sigma, gamma_min, bkg_syst_fraction : criteria; 0 for no least number or fraction
    per_bin : whether bins of a band are told apart

    Returns
    -------
    Table with ``e_ref``, ``e_min``, ``e_max``, ``e2dnde``, ``excess`` and ``background`` (counts), and ``criterion``:
    which of "significance", "gamma" and "bkg" decides; bands without fitted bins are left out

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
    require_counts(dataset, what)
    model = _source(source)
    on_host((dataset, model), what)
    sigma = positive(n_sigma, f"{what}: n_sigma")
    least = [
        _not_negative(value, f"{what}: {name}")
        for name, value in (("gamma_min", gamma_min), ("bkg_syst_fraction", bkg_syst_fraction))
    ]
    if len(dataset.data_shape) != 1 and not per_bin:
        raise InputError(
            f"{what}: the dataset has pixels. Take the spectrum of a region out, "
            "dataset.to_spectrum_dataset(region), or say per_bin=True."
        )
    # only the background is looked at
    silent = asimov(dataset.replace(counts=np.zeros(dataset.data_shape)))
    own = np.asarray(dataset.energy_edges)
    edges = own if energy_edges is None else np.asarray(edges_tev(energy_edges, f"{what}: energy_edges"))
    band = band_places(own, edges)
    places = np.where(fitted_bins(dataset), dataset.per_energy(band), -1)
    n = len(edges) - 1
    silent.check_models([model], what)
    part = source_bins(silent, "", Models([model]), model.name)
    inside = places >= 0

    def summed(values: np.ndarray) -> np.ndarray:
        full = np.broadcast_to(np.asarray(values, float), places.shape)
        return np.bincount(places[inside], full[inside], minlength=n)

    signal, background = summed(part.signal), summed(np.asarray(silent.counts))
    if not np.any(signal > 0):
        raise InputError(f"{what}: the source sends nothing to the fitted bins of the dataset between these energies.")
    if per_bin:
        bins = SortedBins(n)
        bins.add(part, places)
        excess = signal * bins.matching([np.asarray(silent.counts, float)], sigma**2)
    else:
        excess = np.asarray(_statistic(silent, summed, background).n_sig_matching_significance(sigma))
    # where no background is expected one event would be significant: the other criteria decide
    excess = np.where(np.isnan(excess) & (background == 0), 0.0, excess)
    floor = np.maximum(least[0], least[1] * background)
    criterion = np.where(excess >= floor, "significance", np.where(floor == least[0], "gamma", "bkg"))
    excess = np.maximum(excess, floor)

    there = signal > 0
    energies = [_ends(own, band, int(place)) for place in np.flatnonzero(there)]
    low, high = np.array(energies).T
    center = np.sqrt(low * high)
    dnde = np.asarray(model.spectral.evaluate(center))
    e2dnde = u.Quantity(excess[there] / signal[there] * dnde * center**2, "TeV s-1 cm-2")
    table = Table()
    for name, values in (("e_ref", center), ("e_min", low), ("e_max", high)):
        table[name] = u.Quantity(values, "TeV")
    table["e2dnde"] = e2dnde.to(FILE_UNITS["e2dnde"])
    table["excess"], table["background"] = excess[there], background[there]
    table["criterion"] = criterion[there]
    for name in ("e_ref", "e_min", "e_max", "e2dnde", "excess", "background"):
        table[name].info.format = ".4g"
    return table


def _source(given: SkyModel | SpectralModel | None) -> SkyModel:
    """The source as a model of its own."""
    if given is None:
        given = PowerLawSpectralModel(index=2.0, amplitude=1e-12)
    if isinstance(given, SpectralModel):
        return SkyModel(given, name=NAME)
    if not isinstance(given, SkyModel) or not isinstance(given.spectral, SpectralModel):
        raise InputError(f"sensitivity: source must be a spectrum or a SkyModel, found {type(given).__name__}.")
    return given.replace(datasets_names=None)


def _not_negative(value: Given, what: str) -> float:
    number = number_in(value, "", what)
    if not 0 <= number < np.inf:
        raise InputError(f"{what}: found {number}, expected a finite number of at least 0.")
    return number


def _statistic(
    dataset: CountsDataset, summed: Callable[[np.ndarray], np.ndarray], background: np.ndarray
) -> CashCountsStatistic | WStatCountsStatistic:
    """Counts of all bands: those of the background alone."""
    of_bins = dataset.counts_statistic([])
    if isinstance(of_bins, CashCountsStatistic):
        return CashCountsStatistic(background, background)
    n_off, weighted = summed(np.asarray(of_bins.n_off)), summed(np.asarray(of_bins.alpha) * np.asarray(of_bins.n_off))
    # without off counts alpha is that of the bins
    number = np.maximum(summed(np.ones(dataset.data_shape)), 1)
    mean = summed(np.asarray(of_bins.alpha)) / number
    alpha = np.where(n_off > 0, weighted / np.where(n_off > 0, n_off, 1.0), mean)
    return WStatCountsStatistic(alpha * n_off, n_off, alpha)


def _ends(own: np.ndarray, band: np.ndarray, place: int) -> tuple[float, float]:
    """Lowest and highest energy of the bins of a band."""
    bins = np.flatnonzero(band == place)
    return float(own[bins[0]]), float(own[bins[-1] + 1])
