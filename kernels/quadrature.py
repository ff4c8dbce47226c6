"""Integrals over energy bins by Gauss-Legendre quadrature in ln E."""

import functools
import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

# Order against bin width. A bin a tenth of a decade wide is integrated to 1e-8 relative for every smooth built-in
# model, exponential cutoffs of 20 e-foldings per bin included; coarser bins get more nodes.
LADDER = (8, 12, 16, 24, 32, 48, 64, 96, 128)


def nodes_for(edges: np.ndarray) -> int:
    """Number of quadrature nodes per bin, from the widest bin of ``edges`` (concrete numbers, any one unit)."""
    width = float(np.max(np.diff(np.log(edges))))
    wanted = 8 + 34 * width
    return next((n for n in LADDER if n >= wanted - 1e-6), LADDER[-1])


@functools.cache
def legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [-1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    return nodes, weights


def integrate_bins(
    function: Callable[[Array], Array], edges: Float[Array, " n_edges"], order: int
) -> Float[Array, " n_bins"]:
    """Integral of ``function`` over each bin.

    I_j = int_{E_j}^{E_j+1} f(E) dE = int f(e^u) e^u du, by Gauss-Legendre quadrature of ``order`` nodes in u = ln E.
    ``function`` maps energies of any shape to values of the same shape; the result has its unit times that of ``edges``.
    """
    nodes, weights = legendre(order)
    log_edges = jnp.log(edges)
    half = (log_edges[1:] - log_edges[:-1]) / 2
    middle = (log_edges[1:] + log_edges[:-1]) / 2
    energy = jnp.exp(middle[:, None] + half[:, None] * jnp.asarray(nodes, half.dtype))
    values = function(energy) * energy
    return half * (values @ jnp.asarray(weights, half.dtype))


def order_for_width(width: float) -> int:
    """`nodes_for` for one bin of ``width`` in ln E."""
    return nodes_for(np.array([1.0, math.exp(width)]))
