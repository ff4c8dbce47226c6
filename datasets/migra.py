"""Energy migration tables: probability density of E_reco / E_true, turned into a matrix once, outside any fit."""

import numpy as np

THRESHOLD = 1e-8
"""Matrix elements below this are set to zero, so that interpolation noise does not fill the matrix."""


def kernel_from_migration(
    density: np.ndarray, migra_edges: np.ndarray, energy_true_edges: np.ndarray, energy_edges: np.ndarray
) -> np.ndarray:
    """Matrix (n_true, n_reco) from the density dP/dmigra of shape (n_true, n_migra).

    At the logarithmic centre E of each true bin, R[e, r] = C(E_r,max / E) - C(E_r,min / E), where C is the integral of
    the density up to a migration, linear between the migration edges and constant outside.
    """
    cumulative = np.zeros((density.shape[0], migra_edges.size))
    np.cumsum(density * np.diff(migra_edges), axis=1, out=cumulative[:, 1:])
    centres = np.sqrt(energy_true_edges[:-1] * energy_true_edges[1:])
    at_edges = [np.interp(energy_edges / e, migra_edges, c) for e, c in zip(centres, cumulative, strict=True)]
    matrix = np.clip(np.diff(np.array(at_edges), axis=1), 0.0, None)
    return np.where(matrix < THRESHOLD, 0.0, matrix)
