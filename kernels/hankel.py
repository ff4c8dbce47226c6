"""Fourier transforms of radial profiles in the plane."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

# Abramowitz & Stegun, Handbook of Mathematical Functions (1964), 9.4.1 and 9.4.3: errors below 5e-8.
_SMALL = (1.0, -2.2499997, 1.2656208, -0.3163866, 0.0444479, -0.0039444, 0.0002100)

_MODULUS = (0.79788456, -0.00000077, -0.00552740, -0.00009512, 0.00137237, -0.00072805, 0.00014476)

_PHASE = (-0.78539816, -0.04166397, -0.00003954, 0.00262573, -0.00054125, -0.00029333, 0.00013558)

NODES = 4
"""Gauss-Legendre nodes between neighbouring radii, where profiles are linear."""


def bessel_j0(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Bessel function of the first kind and order 0 for x >= 0, to 5e-8."""
    small = x <= 3
    inner, outer = jnp.where(small, x, 0.0) / 3, 3 / jnp.where(small, 3.0, x)
    near = jnp.polyval(jnp.asarray(_SMALL[::-1], x.dtype), inner * inner)
    modulus = jnp.polyval(jnp.asarray(_MODULUS[::-1], x.dtype), outer)
    phase = 3 / outer + jnp.polyval(jnp.asarray(_PHASE[::-1], x.dtype), outer)
    return jnp.where(small, near, modulus * jnp.sqrt(outer / 3) * jnp.cos(phase))


def radial_quadrature(rad: Float[Array, " r"], last: Array) -> tuple[Array, Array]:
    """Radii and weights w with int_0^last f(r) 2 pi r dr = sum w f(r), for f smooth between neighbouring ``rad``."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    edges = jnp.concatenate([jnp.zeros(1, rad.dtype), rad, jnp.reshape(last, 1)])
    half, middle = jnp.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    radius = (middle + half * nodes[None, :]).reshape(-1)
    return radius, (half * weights[None, :]).reshape(-1) * 2 * np.pi * radius


def radial_spectrum(
    values: Float[Array, "n e"], radius: Float[Array, " n"], weight: Float[Array, " n"], k: Float[Array, " k"]
) -> Float[Array, "k e"]:
    """Transforms P(k) = 2 pi int P(r) J0(2 pi k r) r dr of profiles at quadrature nodes; k in cycles per unit of r."""
    return bessel_j0(2 * np.pi * k[:, None] * radius[None, :]) @ (values * weight[:, None])


@jax.custom_jvp
def interpolate_uniform(table: Float[Array, "k e"], position: Float[Array, "*shape"]) -> Float[Array, "*shape e"]:
    """Cubic interpolation of ``table`` at positions in units of its steps, 0 <= position < len - 2; even at 0."""
    return _weighted(table, position, _VALUE)


# Lagrange's polynomials through -1, 0, 1, 2, as coefficients of t^3, t^2, t and 1
_VALUE = (
    (-1 / 6, 1 / 2, -1 / 3, 0.0),
    (1 / 2, -1.0, -1 / 2, 1.0),
    (-1 / 2, 1 / 2, 1.0, 0.0),
    (1 / 6, 0.0, -1 / 6, 0.0),
)


def _weighted(table: Array, position: Array, polynomials: tuple[tuple[float, ...], ...]) -> Array:
    """Sum over four neighbours of a table, each times a polynomial of the place between the middle two."""
    padded = jnp.concatenate([table[1:2], table])  # position -1 mirrors 1
    index = jax.lax.stop_gradient(jnp.floor(position)).astype(int)
    t = position - index.astype(position.dtype)
    weights = (jnp.polyval(jnp.asarray(p, t.dtype), t)[..., None] for p in polynomials)
    first, *others = (weight * padded[index + i] for i, weight in enumerate(weights))
    return sum(others, first)


@partial(interpolate_uniform.defjvp, symbolic_zeros=True)
def _interpolation_slope(
    primals: tuple[Array, Array], tangents: tuple[Array | SymbolicZero, Array | SymbolicZero]
) -> tuple[Array, Array]:
    # as a sum over the table's slope, which steps through every product would not be
    (table, position), (of_table, of_position) = primals, tangents
    value = interpolate_uniform(table, position)
    slope = jnp.zeros_like(value)
    if not isinstance(of_position, SymbolicZero):
        derived = tuple((3 * a, 2 * b, c) for a, b, c, _ in _VALUE)
        slope = slope + _weighted(table, position, derived) * of_position[..., None]
    if not isinstance(of_table, SymbolicZero):
        slope = slope + interpolate_uniform(of_table, position)
    return value, slope
