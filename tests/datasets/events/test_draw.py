"""Drawing bins of tables."""

import numpy as np
from scipy import stats

from gammajax.datasets.events import between, pick


def test_bins_are_drawn_in_proportion():
    rng = np.random.default_rng(1)
    weights = np.array([[1.0, 0, 3, 0], [0, 0, 0, 0], [0, 5, 5, 10], [2, 0, 0, 0]])
    rows = rng.integers(0, 4, 200_000)
    found = pick(rng, weights, rows)
    assert np.all(found[rows == 1] == -1) and np.all(found[rows == 3] == 0)
    for row in (0, 2):
        seen = np.bincount(found[rows == row], minlength=4)
        wanted = weights[row] / weights[row].sum() * seen.sum()
        assert np.all(seen[wanted == 0] == 0)
        assert stats.chisquare(seen[wanted > 0], wanted[wanted > 0]).pvalue > 1e-4


def test_what_a_row_lacks_is_lost():
    rng = np.random.default_rng(2)
    rows = np.repeat([0, 1, 2], 100_000)
    found = pick(rng, np.array([[0.2, 0.3], [0.5, 0.5], [1.5, 0.5]]), rows, lose=True)
    lost = np.mean(found[rows == 0] == -1)
    assert abs(lost - 0.5) < 5 * np.sqrt(0.25 / 1e5)
    # above 1: as if divided by the sum
    assert np.all(found[rows > 0] >= 0) and abs(np.mean(found[rows == 2] == 0) - 0.75) < 0.01


def test_many_rows_keep_their_bins():
    """The last of 100,000 rows is as exact as the first."""
    rng = np.random.default_rng(3)
    weights = np.tile([0.0, 1.0, 0.0], (100_000, 1))
    assert np.all(pick(rng, weights, np.arange(100_000)) == 1)


def test_places_inside_bins():
    rng = np.random.default_rng(4)
    edges, bins = np.array([1.0, 2.0, 10.0]), np.repeat([0, 1], 20_000)
    for power, scaled in ((1, lambda x: x), (2, np.square), (0, np.log)):
        x = between(rng, edges, bins, power)
        for i in (0, 1):
            here = x[bins == i]
            assert here.min() >= edges[i] and here.max() < edges[i + 1]
            low, high = scaled(edges[i]), scaled(edges[i + 1])
            assert stats.kstest((scaled(here) - low) / (high - low), "uniform").pvalue > 1e-4
