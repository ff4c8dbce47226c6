"""Products of slopes in windows are those of rows for all of the map, by numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gammajax.datasets.map.windows import Windows, products_of_windows

BOX, N = (2, 12, 14), 7


def parts(rng):
    """Sources of two kinds: windows of two sizes that overlap, touch, hold each other, or are apart; some numbers are
    fixed, and two sources share one."""
    small = Windows(
        np.array([[0, 1], [2, -1], [1, 3]]), np.array([[0, 0], [3, 9], [4, 3]]), rng.normal(size=(3, 2, 2, 4, 5))
    )
    large = Windows(np.array([[4, 3, -1], [5, 6, 0]]), np.array([[2, 1], [5, 7]]), rng.normal(size=(2, 3, 2, 7, 6)))
    return [small, large]


def dense(windows):
    rows = np.zeros((N, *BOX))
    for part in windows:
        for of_source, (y, x), slopes in zip(part.rows, part.places, part.slopes, strict=True):
            for row, window in zip(of_source, slopes, strict=True):
                if row >= 0:
                    rows[row, :, y : y + window.shape[1], x : x + window.shape[2]] += window
    return rows.reshape(N, -1)


@pytest.mark.parametrize("k", [0, 2])
def test_products_are_those_of_whole_rows(k):
    rng = np.random.default_rng(3)
    windows, score, weight = parts(rng), rng.normal(size=BOX), rng.uniform(size=BOX)
    others = rng.normal(size=(k, *BOX))

    def products(slopes, others, score, weight):
        given = [w._replace(places=jnp.asarray(w.places), slopes=s) for w, s in zip(windows, slopes, strict=True)]
        return products_of_windows(given, others, score, weight, N)

    given = [jnp.asarray(w.slopes) for w in windows], *map(jnp.asarray, (others, score, weight))
    found, rows = jax.jit(products)(*given), dense(windows)
    flat = rows * weight.ravel()
    for one, other in zip(
        found, (rows @ score.ravel(), flat @ rows.T, flat @ others.reshape(k, rows.shape[1]).T), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-12)
    with jax.disable_jit():
        for one, other in zip(products(*given), found, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-13)
    batched = jax.vmap(products, in_axes=([0, 0], 0, 0, 0))(*jax.tree.map(lambda x: jnp.stack([x, 2 * x]), given))
    for one, other, power in zip(batched, found, (2, 3, 3), strict=True):
        np.testing.assert_allclose(one, jnp.stack([other, 2**power * other]), atol=1e-11)


def test_sources_without_a_free_number():
    """Nothing is along them."""
    none = Windows(np.zeros((2, 0), int), jnp.zeros((2, 2), int), jnp.zeros((2, 0, 1, 3, 3)))
    ones = jnp.ones((1, 5, 5))
    slope, matrix, mixed = products_of_windows([none], ones[None], ones, ones, 2)
    assert not slope.any() and not matrix.any() and mixed.shape == (2, 1)
