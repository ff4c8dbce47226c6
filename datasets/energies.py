"""Energies of the bins of a dataset, and of those that take part in a fit."""

import numpy as np

from .dataset import Dataset, fitted_bins

Bins = tuple[np.ndarray, np.ndarray]


def energy_bins(dataset: Dataset) -> Bins | None:
    """Lower and upper ends of the bins in energy, (n,) in TeV: the ``energy_bins`` of a dataset that has gaps between
    them, else its ``energy_edges``; None for what has neither."""
    given: Bins | None = getattr(dataset, "energy_bins", None)
    edges = getattr(dataset, "energy_edges", None)
    return given if given is not None or edges is None else (np.asarray(edges)[:-1], np.asarray(edges)[1:])


def fitted_energies(dataset: Dataset) -> tuple[float, float] | None:
    """Lowest and highest energy (TeV) of the fitted bins; None where there is none, or energies are unknown."""
    bins = energy_bins(dataset)
    if bins is None:
        return None
    inside = np.asarray(fitted_bins(dataset)).reshape(len(bins[0]), -1).any(axis=1)
    return (float(bins[0][inside].min()), float(bins[1][inside].max())) if inside.any() else None
