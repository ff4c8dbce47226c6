"""Integrals over energy bins by Gauss-Legendre quadrature in ln E."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .arrays import AnyArray
from .programs import remembered
from .tables import scaled, split_bins, sum_per_bin

# Order against bin width. A bin a tenth of a decade wide (12 nodes) is integrated to 1e-8 relative for every smooth
# built-in model; coarser bins get more nodes.
ORDERS = (8, 12, 16, 24, 32, 48, 64, 96, 128)

# Twelve nodes resolve a fall of 22 e-foldings to 2e-9, and what lies beyond the fall is e^-22 = 3e-10 of the bin.
FALL = 22.0

STEEP_ORDER = 12


def log_centers(edges: AnyArray) -> Array:
    """Centres of bins in the logarithm of energy, from their edges."""
    edges = jnp.asarray(edges)
    return jnp.sqrt(edges[:-1] * edges[1:])


def bin_centers(edges: AnyArray, scale: str) -> Array:
    """Centres of bins, halfway between their edges in the coordinate of their axis: "log", "lin" or "sqrt"."""
    if scale == "log":
        return log_centers(edges)
    middle = scaled(jnp.asarray(edges), scale)
    middle = (middle[:-1] + middle[1:]) / 2
    return middle**2 if scale == "sqrt" else middle


def nodes_for(edges: np.ndarray) -> int:
    """Number of quadrature nodes per bin, from the widest bin of ``edges`` (concrete numbers, any one unit)."""
    width = float(np.max(np.diff(np.log(edges))))
    wanted = 8 + 17 * width
    return next((n for n in ORDERS if n >= wanted - 1e-6), ORDERS[-1])


@remembered(64)
def legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [-1, 1]."""
    return np.polynomial.legendre.leggauss(order) if order <= EIGENVALUES else _by_newton(order)


EIGENVALUES = 100
"""Order up to which nodes are found as eigenvalues, whose time goes with its cube."""


def _by_newton(order: int) -> tuple[np.ndarray, np.ndarray]:
    """`legendre` by Newton's method in the angle from Tricomi's approximation: its time goes with the order squared."""
    half = (order + 1) // 2
    angle = np.arccos(
        (1 - (order - 1) / (8 * order**3)) * np.cos(np.pi * (4 * np.arange(1, half + 1) - 1) / (4 * order + 2))
    )
    for _ in range(3):
        # differences of neighbouring orders, which near 1 keep the digits
        below, here, step = -2 * np.sin(angle / 2) ** 2, np.ones(half), np.zeros(half)
        for k in range(1, order + 1):
            step = (k - 1) / k * step + (2 * k - 1) / k * below * here
            here = here + step
        # n (P_(n-1) - x P_n) = (1 - x^2) dP_n/dx
        slope = order * (-step - below * here)
        weights = 2 * (np.sin(angle) / slope) ** 2
        angle = angle + here * np.sin(angle) / slope
    nodes = np.cos(angle)
    if order % 2:
        nodes[-1] = 0.0
    rest = order - half
    return np.concatenate([-nodes, nodes[:rest][::-1]]), np.concatenate([weights, weights[:rest][::-1]])


def integrate_bins(
    function: Callable[[Array], Array], edges: Float[Array, " n_edges"], order: int
) -> Float[Array, " n_bins"]:
    """Integral of ``function`` over each bin.

    I_j = int_{E_j}^{E_j+1} f(E) dE = int f(e^u) e^u du, by Gauss-Legendre quadrature of ``order`` nodes in u = ln E.
    ``function`` maps energies of any shape to values of the same shape; the result has its unit times that of
    ``edges``.
    """
    nodes, weights = legendre(order)
    log_edges = jnp.log(edges)
    half = (log_edges[1:] - log_edges[:-1]) / 2
    middle = (log_edges[1:] + log_edges[:-1]) / 2
    energy = jnp.exp(middle[:, None] + half[:, None] * jnp.asarray(nodes, half.dtype)[None, :])
    values = function(energy) * energy
    return half * (values @ jnp.asarray(weights, half.dtype))


def integrate_steep_bins(
    function: Callable[[Array], Array], edges: Float[Array, " n_edges"], order: int
) -> Float[Array, " n_bins"]:
    """`integrate_bins` for functions that may fall by hundreds of e-foldings within a bin (exponential cutoffs).

    Where E f(E) falls by more than `FALL` e-foldings across a bin, the nodes go to the part next to the higher edge in
    which it falls that far, found from the logarithmic slope there. ln(E f) must be concave where that happens, as it
    is for exp(-E^p). The choice of the part is not differentiated: what it leaves out is negligible, and its slope too.
    """
    nodes, weights = legendre(max(order, STEEP_ORDER))
    low, high = _steep_part(function, edges)
    half = (high - low) / 2
    energy = jnp.exp((high + low)[:, None] / 2 + half[:, None] * jnp.asarray(nodes, half.dtype)[None, :])
    values = function(energy) * energy
    return half * (values @ jnp.asarray(weights, half.dtype))


def integrate_pieces(
    function: Callable[[Array], Array], edges: Float[Array, " n_edges"], kinks: Float[Array, " n_kinks"], order: int
) -> Float[Array, " n_bins"]:
    """`integrate_steep_bins` between the ``kinks`` of ``function`` (energies in any order), summed per bin."""
    if not kinks.size:
        return integrate_steep_bins(function, edges, order)
    points, bins = split_bins(jnp.asarray(edges), kinks)
    return sum_per_bin(integrate_steep_bins(function, points, order), bins, edges.shape[0] - 1)


def _steep_part(function: Callable[[Array], Array], edges: Array) -> tuple[Array, Array]:
    """ln E of the limits between which each bin's integrand is not negligible."""
    log_edges = jnp.log(edges)
    low, high = log_edges[:-1], log_edges[1:]
    step = float(jnp.finfo(log_edges.dtype).eps) ** 0.4
    n = edges.shape[0]
    # one call on all points: two calls would be traced and compiled twice
    points = jnp.concatenate([edges, edges[:-1] * (1 + step), edges[1:] * (1 - step)])
    height = jax.lax.stop_gradient(function(points) * points)
    positive = height > 0
    log_height = jnp.log(jnp.where(positive, height, 1.0))
    # a value that has underflowed to 0 is below everything
    log_height = jnp.where(positive, log_height, -jnp.inf)
    at, after, before = log_height[:n], log_height[n : 2 * n - 1], log_height[2 * n - 1 :]
    fall_up = jnp.where(positive[: n - 1] & positive[n : 2 * n - 1], (at[:-1] - after) / step, 0.0)
    fall_down = jnp.where(positive[1:n] & positive[2 * n - 1 :], (at[1:] - before) / step, 0.0)
    cut_high = (at[1:] < at[:-1] - FALL) & (fall_up > 0)
    cut_low = (at[:-1] < at[1:] - FALL) & (fall_down > 0)
    reach_up = FALL / jnp.where(cut_high, fall_up, 1.0)
    reach_down = FALL / jnp.where(cut_low, fall_down, 1.0)
    fixed_low, fixed_high = jax.lax.stop_gradient((low, high))
    new_high = jnp.where(cut_high & (fixed_low + reach_up < fixed_high), low + reach_up, high)
    new_low = jnp.where(cut_low & (fixed_high - reach_down > fixed_low), high - reach_down, low)
    return new_low, new_high


def order_for_width(width: float) -> int:
    """`nodes_for` for one bin of ``width`` in ln E."""
    return nodes_for(np.array([1.0, math.exp(width)]))
