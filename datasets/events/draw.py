"""Drawing events from tables of probabilities, many tables at once."""

import numpy as np


def pick(rng: np.random.Generator, weights: np.ndarray, rows: np.ndarray, *, lose: bool = False) -> np.ndarray:
    """A bin of a row of ``weights`` for every event: index (n_events,), -1 for events that get none.

    ``weights`` (n_rows, n_bins) are not negative; ``rows`` (n_events,) are the rows to draw from. Bins are drawn in
    proportion to their weights. With ``lose`` weights are probabilities, and what a row lacks to 1 is the chance to be
    lost; a row above 1 counts as divided by its sum. Rows of zeros always lose.

    All rows make one increasing function, row number plus cumulative probability, that is inverted by one search.
    """
    n_rows, n_bins = weights.shape
    cumulative = np.cumsum(weights, axis=1)
    total = cumulative[:, -1]
    scale = np.maximum(total, 1.0) if lose else np.where(total > 0, total, 1.0)
    cumulative /= scale[:, None]
    if not lose:
        # rounding must not leave a gap at the end
        cumulative[total > 0, -1] = 1.0
    cumulative += np.arange(n_rows)[:, None]
    found = np.searchsorted(cumulative.ravel(), rows + rng.random(rows.size), side="right") - rows * n_bins
    return np.where((found >= n_bins) | (total[rows] <= 0), -1, found)


def between(rng: np.random.Generator, edges: np.ndarray, bins: np.ndarray, power: float = 1.0) -> np.ndarray:
    """A place inside bins of ``edges``, uniform in x^power; for power 0 uniform in ln x."""
    low, high = edges[bins], edges[bins + 1]
    share = rng.random(bins.size)
    if power == 0:
        # the end is no part of the bin, whatever rounding does
        return np.minimum(low * (high / low) ** share, np.nextafter(high, low))
    return (low**power + share * (high**power - low**power)) ** (1 / power)
