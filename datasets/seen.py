"""What a dataset shows of itself and of sources: tables that fits and summaries ask for."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from .arrays import Array


class Spectrum(NamedTuple):
    """Data and prediction of a dataset per reconstructed energy, of a map the sums over the fitted pixels.

    ``edges`` (n + 1,) in TeV; ``mask``: energies with a fitted bin; ``n_bins``: fitted bins.
    """

    edges: Float[Array, " n_edges"]
    counts: Float[Array, " n"]
    signal: Float[Array, " n"]
    background: Float[Array, " n"]
    background_error: Float[Array, " n"]
    measured_background: Float[Array, " n"]
    mask: Bool[Array, " n"]
    n_bins: int


class Scores(NamedTuple):
    """What one more source would explain at each of n places.

    ``falls`` (f, n): how far the statistic falls, about, with ``factors`` (f,) times its amplitude. ``vectors`` (n, 3):
    the places, ICRS. ``extent``: radius (deg) that holds two thirds of its counts.
    """

    falls: np.ndarray
    factors: np.ndarray
    vectors: np.ndarray
    extent: float
