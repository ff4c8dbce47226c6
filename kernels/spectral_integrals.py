"""Integrals of spectral shapes over energy bins, in closed form. Edges in TeV; results: unit of the shape times TeV."""

import jax.numpy as jnp
from jax.scipy.special import erf, erfc
from jaxtyping import Array, Float

from .elementary import expm1_ratio
from .quadrature import legendre
from .spectral import Number

Edges = Float[Array, " n_edges"]

Bins = Float[Array, " n_bins"]


def _power_law_between(log_low: Array, log_high: Array, index: Number) -> Array:
    """int e^(-index u) e^u du from log_low to log_high, with a series at index = 1."""
    width = log_high - log_low
    return width * jnp.exp((1 - index) * log_low) * expm1_ratio((1 - index) * width)


def power_law(edges: Edges, index: Number, amplitude: Number, reference: Number) -> Bins:
    """A E0 (x2^(1-G) - x1^(1-G)) / (1 - G), and A E0 ln(x2/x1) at G = 1."""
    log_x = jnp.log(edges / reference)
    return amplitude * reference * _power_law_between(log_x[:-1], log_x[1:], index)


def power_law_2(edges: Edges, amplitude: Number, index: Number, emin: Number, emax: Number) -> Bins:
    """A (E2^(1-G) - E1^(1-G)) / (emax^(1-G) - emin^(1-G)), a ratio of logarithms at G = 1."""
    log_x = jnp.log(edges / emin)
    total = _power_law_between(jnp.zeros_like(log_x[0]), jnp.log(emax / emin), index)
    return amplitude * _power_law_between(log_x[:-1], log_x[1:], index) / total


def broken_power_law(edges: Edges, index1: Number, index2: Number, amplitude: Number, ebreak: Number) -> Bins:
    """Two power-law integrals that meet at the break, wherever it lies."""
    log_x = jnp.log(edges / ebreak)
    below, above = jnp.minimum(log_x, 0.0), jnp.maximum(log_x, 0.0)
    low = _power_law_between(below[:-1], below[1:], index1)
    high = _power_law_between(above[:-1], above[1:], index2)
    return amplitude * ebreak * (low + high)


def gaussian(edges: Edges, amplitude: Number, mean: Number, sigma: Number) -> Bins:
    """A/2 (erf(u2) - erf(u1)), u = (E - mean) / (sqrt(2) sigma), to full relative accuracy.

    In the tails the difference is taken between complementary error functions of the near side. Bins so narrow that any
    difference would cancel are integrated by an eight-node Gauss rule, exact to rounding for them.
    """
    unit = jnp.sqrt(2.0) * sigma
    u = (edges - mean) / unit
    low, high = u[:-1], u[1:]
    # the width from the energies: far below the mean the difference of two u has lost its digits
    middle, half = (low + high) / 2, (edges[1:] - edges[:-1]) / (2 * unit)
    narrow = 2 * half * jnp.maximum(1.0, jnp.abs(middle)) < 0.1
    nodes, weights = legendre(8)
    short = jnp.where(narrow, half, 0.0)
    at = jnp.where(narrow, middle, 0.0)[:, None] + short[:, None] * jnp.asarray(nodes, u.dtype)
    by_rule = 2 / jnp.sqrt(jnp.pi) * short * (jnp.exp(-(at**2)) @ jnp.asarray(weights, u.dtype))
    across = (low < 0) & (high > 0)
    # outside the peak fold both ends to the positive side, where erfc keeps its digits
    near, far = jnp.where(high <= 0, -high, low), jnp.where(high <= 0, -low, high)
    in_tail = erfc(jnp.where(across, 1.0, near)) - erfc(jnp.where(across, 1.0, far))
    at_peak = erf(jnp.where(across, high, 1.0)) - erf(jnp.where(across, low, 0.0))
    return amplitude / 2 * jnp.where(narrow, by_rule, jnp.where(across, at_peak, in_tail))


def constant(edges: Edges, const: Number) -> Bins:
    """const (E2 - E1)."""
    return const * (edges[1:] - edges[:-1])
