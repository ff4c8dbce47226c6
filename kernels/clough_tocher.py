"""Clough-Tocher interpolation of scattered values in the plane: a smooth surface of cubics on triangles.

Each triangle is split at its centroid into three, on which the surface is a cubic in Bernstein form; its 19 ordinates
follow from values and gradients at the corners, and from the derivative across each edge being linear along it (Clough
and Tocher 1965; Alfeld 1984, CAGD 1, 169). They are linear in values and gradients.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

TERMS = (
    (3, 0, 0, 0), (2, 1, 0, 0), (2, 0, 1, 0), (2, 0, 0, 1), (1, 2, 0, 0), (1, 1, 0, 1), (1, 0, 2, 0), (1, 0, 1, 1),
    (1, 0, 0, 2), (0, 3, 0, 0), (0, 2, 1, 0), (0, 2, 0, 1), (0, 1, 2, 0), (0, 1, 1, 1), (0, 1, 0, 2), (0, 0, 3, 0),
    (0, 0, 2, 1), (0, 0, 1, 2), (0, 0, 0, 3),
)  # fmt: skip
"""Powers of the coordinates of the three corners and of the centroid in each term."""

FACTORIAL = (1, 1, 2, 6)

WEIGHTS = tuple(6 // (FACTORIAL[a] * FACTORIAL[b] * FACTORIAL[c] * FACTORIAL[d]) for a, b, c, d in TERMS)


def ordinates(
    corners: Float[np.ndarray, "t 3 2"],
    values: Float[np.ndarray, "t 3 *v"],
    gradients: Float[np.ndarray, "t 3 2 *v"],
    slants: Float[np.ndarray, "t 3"],
) -> Float[np.ndarray, "t 19 *v"]:
    """Ordinates of triangles, in the order of `TERMS`.

    ``slants``: of the edge opposite to each corner, see `slant`.
    """

    def along(start: int, end: int) -> np.ndarray:
        """A third of the way's derivative from one corner to another."""
        way = corners[:, end] - corners[:, start]
        return values[:, start] + np.einsum("tx,tx...->t...", way, gradients[:, start]) / 3

    wide = slants.reshape(*slants.shape, *(1 for _ in values.shape[2:]))
    c: dict[tuple[int, int, int, int], np.ndarray] = {}
    unit = np.eye(4, dtype=int)

    def at(*indices: int) -> tuple[int, int, int, int]:
        a, b, d, e = (int(n) for n in sum(unit[i] for i in indices))
        return a, b, d, e

    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        c[at(i, i, i)] = values[:, i]
        c[at(i, i, j)], c[at(i, i, k)] = along(i, j), along(i, k)
        c[at(i, i, 3)] = (c[at(i, i, i)] + c[at(i, i, j)] + c[at(i, i, k)]) / 3
    for i in range(3):
        # the edge from j to k, opposite to i
        j, k = (i + 1) % 3, (i + 2) % 3
        first, second, third, last = c[at(j, j, j)], c[at(j, j, k)], c[at(j, k, k)], c[at(k, k, k)]
        bend = wide[:, i] * (last - 3 * third + 3 * second - first)
        c[at(j, k, 3)] = (bend - first + 2 * second - third + c[at(k, k, 3)] + c[at(j, j, 3)]) / 2
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        c[at(i, 3, 3)] = (c[at(i, j, 3)] + c[at(i, k, 3)] + c[at(i, i, 3)]) / 3
    c[at(3, 3, 3)] = (c[at(0, 3, 3)] + c[at(1, 3, 3)] + c[at(2, 3, 3)]) / 3
    return np.stack([c[term] for term in TERMS], axis=1)


def slant(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """How the way across an edge leans, from the coordinates in the triangle (those of the corners at the edge's start
    and end) of the centroid of the triangle beyond; -1/2 stands for an edge with nothing beyond."""
    return (2 * second + first - 1) / (2 - 3 * second - 3 * first)


def surface(barycentric: Float[Array, "n 3"], coefficients: Float[Array, "n 19"]) -> Float[Array, " n"]:
    """Value at barycentric coordinates in triangles of some ordinates."""
    least = jnp.min(barycentric, axis=-1, keepdims=True)
    b = jnp.concatenate([barycentric - least, 3 * least], axis=-1)
    powers = jnp.stack([jnp.ones_like(b), b, b**2, b**3])
    total = jnp.zeros(b.shape[:-1], b.dtype)
    for number, (term, weight) in enumerate(zip(TERMS, WEIGHTS, strict=True)):
        product = coefficients[..., number] * weight
        for place, power in enumerate(term):
            if power:
                product = product * powers[power][..., place]
        total = total + product
    return total
