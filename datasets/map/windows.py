"""Products of the slopes of sources, each of which has them in a window of its own: where windows overlap.

Rows for all of the map would be zeros for the most part, and their product goes through all of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

Pixels = Float[jax.Array, "n_reco y x"]
"""Bins of a map and the room around it."""


class Windows(NamedTuple):
    """Slopes of m sources alike in their windows: ``rows`` (m, s) of the parameters along which they are, -1 for those
    that do not count; ``places`` (m, 2): first pixels (y, x) of the windows; ``slopes`` (m, s, n_reco, ny, nx)."""

    rows: Int[np.ndarray, "m s"]
    places: Int[jax.Array, "m 2"]
    slopes: Float[jax.Array, "m s n_reco ny nx"]


def products_of_windows(
    parts: Sequence[Windows],
    others: Float[jax.Array, "k n_reco y x"],
    score: Pixels,
    weight: Pixels,
    n: int,
) -> tuple[Float[jax.Array, " n"], Float[jax.Array, "n n"], Float[jax.Array, "n k"]]:
    """``J score``, ``J weight J^T`` and ``J weight others^T``, where J has ``n`` rows, which the slopes add up to.

    Examples
    --------
    >>> one = Windows(np.array([[0]]), jnp.array([[1, 1]]), jnp.ones((1, 1, 1, 2, 2)))
    >>> ones = jnp.ones((1, 4, 4))
    >>> slope, matrix, _ = products_of_windows([one], ones[None], ones, 2 * ones, 1)
    >>> float(slope[0]), float(matrix[0, 0])
    (4.0, 8.0)
    """
    dtype = score.dtype
    slope, matrix, mixed = jnp.zeros(n, dtype), jnp.zeros((n, n), dtype), jnp.zeros((n, others.shape[0]), dtype)
    # numbers that are fixed have no row
    rows = [jnp.asarray(np.where(part.rows < 0, n, part.rows)) for part in parts]
    weighted = []
    for part, to in zip(parts, rows, strict=True):
        size = part.slopes.shape[2:]

        def of_source(source, size=size):
            place, slopes = source
            here = jnp.concatenate([score[None], weight[None], others])
            here = jax.lax.dynamic_slice(here, (0, 0, place[0], place[1]), (here.shape[0], *size))
            heavy = slopes * here[1:2]
            rows, of_heavy = _flat(slopes), _flat(heavy)
            return heavy, rows @ here[0].ravel(), of_heavy @ rows.T, of_heavy @ _flat(here[2:]).T

        heavy, of_score, own, beside = jax.lax.map(of_source, (part.places, part.slopes))
        weighted.append(heavy)
        slope = slope.at[to].add(of_score, mode="drop")
        matrix = matrix.at[to[:, :, None], to[:, None, :]].add(own, mode="drop")
        mixed = mixed.at[to].add(beside, mode="drop")
    for a, first in enumerate(parts):
        for b, second in enumerate(parts[: a + 1]):
            pairs = [(i, j) for i in range(len(first.rows)) for j in range(len(second.rows)) if b < a or j < i]
            if not pairs:
                continue
            # in the smaller window
            small = int(np.prod(first.slopes.shape[3:])) <= int(np.prod(second.slopes.shape[3:]))
            inner, outer = (a, b) if small else (b, a)
            index = np.array(pairs)[:, :: 1 if small else -1]
            found = _overlaps(weighted[inner], parts[inner].places, parts[outer].slopes, parts[outer].places, index)
            y, x = rows[inner][index[:, 0]][:, :, None], rows[outer][index[:, 1]][:, None, :]
            matrix = matrix.at[y, x].add(found, mode="drop").at[x, y].add(found, mode="drop")
    return slope, matrix, mixed


def _overlaps(
    inner: Float[jax.Array, "m s n_reco ny nx"],
    inner_places: Int[jax.Array, "m 2"],
    outer: Float[jax.Array, "l t n_reco my mx"],
    outer_places: Int[jax.Array, "l 2"],
    pairs: Int[np.ndarray, "p 2"],
) -> Float[jax.Array, "p s t"]:
    """Products of some pairs of windows, (i, j), over the bins that are in both."""
    ny, nx = inner.shape[3:]
    my, mx = outer.shape[3:]

    def product(pair: jax.Array) -> jax.Array:
        i, j = pair
        y, x = inner_places[i] - outer_places[j]
        beyond = jnp.pad(outer[j], ((0, 0), (0, 0), (ny, ny), (nx, nx)))
        start = (0, 0, jnp.clip(y, -ny, my) + ny, jnp.clip(x, -nx, mx) + nx)
        piece = jax.lax.dynamic_slice(beyond, start, (outer.shape[1], outer.shape[2], ny, nx))
        return _flat(inner[i]) @ _flat(piece).T

    return jax.lax.map(product, jnp.asarray(pairs))


def _flat(rows: Float[jax.Array, "n n_reco ny nx"]) -> Float[jax.Array, "n bins"]:
    """The bins of each row as one axis; there may be no row."""
    return rows.reshape(rows.shape[0], int(np.prod(rows.shape[1:])))
