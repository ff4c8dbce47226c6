"""Energies and times that a set of datasets covers."""

from typing import Any

import numpy as np
from astropy import units as u

from .errors import InputError
from .gti import GTI
from .likelihood import fitted_bins


def energy_ranges(datasets: Any) -> tuple[u.Quantity, u.Quantity]:
    """Lowest and highest energy of every dataset, masks not applied: two Quantities (n,) in TeV."""
    low, high = [], []
    for name, dataset in datasets.items():
        bottom, top = _bins(name, dataset)
        low.append(np.min(bottom))
        high.append(np.max(top))
    return u.Quantity(low, "TeV"), u.Quantity(high, "TeV")


def energy_range(datasets: Any) -> tuple[u.Quantity, u.Quantity]:
    """Lowest and highest energy that enters the fit statistic of any dataset; NaN where nothing does."""
    low: list[float] = []
    high: list[float] = []
    for name, dataset in datasets.items():
        bottom, top = _bins(name, dataset)
        inside = np.asarray(fitted_bins(dataset)).reshape(len(bottom), -1).any(axis=1)
        low.extend(bottom[inside])
        high.extend(top[inside])
    return u.Quantity(min(low, default=np.nan), "TeV"), u.Quantity(max(high, default=np.nan), "TeV")


def union_of_times(datasets: Any) -> GTI | None:
    """Union of the good time intervals of the datasets that have some; None where none has any."""
    known = [gti for gti in (getattr(dataset, "gti", None) for dataset in datasets) if gti is not None]
    known = [gti for gti in known if np.size(gti.start)]
    return GTI.union(known) if known else None


def _bins(name: str, dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the energy bins, in TeV."""
    edges = getattr(dataset, "energy_edges", None)
    if edges is None:
        raise InputError(f"Dataset {name!r}: {type(dataset).__name__} has no energy_edges.")
    edges = np.asarray(edges)
    top = getattr(getattr(dataset, "data", None), "energy_max", None)
    return edges[:-1], edges[1:] if top is None else np.asarray(top)
