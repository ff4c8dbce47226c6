"""Energy dispersion of one position."""

from typing import Any

import equinox as eqx
import numpy as np

from ..kernels import edisp as kernels
from .convert import edges_tev
from .errors import InputError
from .parameter import frozen_array


class EDispKernel(eqx.Module):
    """Probability of a reconstructed energy bin, given a true one: ``matrix`` has shape (n_true, n_reco)."""

    matrix: Any

    def __init__(self, matrix: Any):
        self.matrix = frozen_array(matrix)

    def __check_init__(self):
        if isinstance(self.matrix, np.ndarray):
            if self.matrix.ndim != 2:
                raise InputError(
                    f"EDispKernel: a matrix of shape (n_true, n_reco) is needed, found {self.matrix.shape}."
                )
            if not np.all(np.isfinite(self.matrix)) or np.any(self.matrix < 0):
                raise InputError(
                    "EDispKernel: the matrix has NaN, infinite or negative entries; probabilities are needed."
                )

    @classmethod
    def from_diagonal_response(cls, energy_true_edges: Any, energy_edges: Any = None) -> "EDispKernel":
        """Perfect detector: share of each true bin in each reconstructed bin. Edges as Quantities or numbers in TeV."""
        true = edges_tev(energy_true_edges, "energy_true_edges")
        reco = true if energy_edges is None else edges_tev(energy_edges, "energy_edges")
        return cls(np.asarray(kernels.diagonal_response(np.asarray(true), np.asarray(reco))))

    @classmethod
    def from_gauss(cls, energy_true_edges: Any, energy_edges: Any, sigma: Any, bias: Any = 0.0) -> "EDispKernel":
        """Gaussian E_reco / E_true around 1 + bias with relative width sigma (numbers or one per true bin)."""
        true, reco = edges_tev(energy_true_edges, "energy_true_edges"), edges_tev(energy_edges, "energy_edges")
        return cls(
            np.asarray(kernels.gauss_response(np.asarray(true), np.asarray(reco), np.asarray(sigma), np.asarray(bias)))
        )
