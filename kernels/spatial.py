"""Surface brightness of sources: formulas in offsets from their centre, all normalised to 1 on the sphere.

Offsets ``x`` (east), ``y`` (north), sizes and the position angle ``phi`` (of the major axis, from north over east) are
in deg, results in sr-1. Offsets are azimuthal equidistant (`sphere.local_offsets`), so that r = hypot(x, y) is the
separation on the sphere and dOmega = (sin r / r) dx dy.

An elongated shape of half axes a and b = a sqrt(1 - e^2) is a function of u = r / r_eff = hypot(p / a, q / b), with p
and q along the axes. Its integral over the sphere is a b int int (sin r / r) f(u) u du dt in the eccentric anomaly t,
with r = u s and s^2 = a^2 cos^2 t + b^2 sin^2 t: a polynomial in cos 2t at every order in s^2, so that `ANOMALIES`
points in t are exact to rounding.
"""

import math
from typing import TypeVar

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float

from .arrays import Real
from .elementary import capped_exp
from .quadrature import legendre

Offset = Float[Array, "*shape"]

Number = Float[Array, ""]

Width = TypeVar("Width", Array, float)

RAD = math.pi / 180

SMALLEST = 1e-9
"""Sizes below this (deg, 4 micro-arcsec) count as this: a profile of no width has no value."""

EDGE = 2.326174307353347
"""A disk falls from 99 % to 1 % over 2 x edge_width of its radius; this is where erf(EDGE / sqrt 2) = 0.98."""

ANOMALIES = 8

_COS2 = np.cos((np.arange(ANOMALIES) + 0.5) * np.pi / (2 * ANOMALIES)) ** 2

_TERMS = 18


def _alternating(square: Array, first: int) -> Array:
    """first! sum_k (-square)^k / (2k + first)! for squared angles up to pi^2 (rad^2), to rounding."""
    total = jnp.zeros_like(square)
    for k in reversed(range(_TERMS)):
        total = total * -square + math.factorial(first) / math.factorial(2 * k + first)
    return total


def sine_ratio(square: Array) -> Array:
    """sin(r) / r as a function of r^2 (rad^2), smooth at 0; 0 beyond the far side of the sphere."""
    return _alternating(jnp.minimum(square, math.pi**2), 1)


def versine_ratio(square: Array) -> Array:
    """2 (1 - cos r) / r^2 as a function of r^2 (rad^2), smooth at 0."""
    return _alternating(jnp.minimum(square, math.pi**2), 2)


def safe_sqrt(x: Array) -> Array:
    """sqrt(x), and 0 with gradient 0 where x <= 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def minor_axis(major: Number, e: Number) -> Array:
    """b = a sqrt(1 - e^2), with gradient 0 at e = 1, where it diverges."""
    return major * safe_sqrt((1 - e) * (1 + e))


def along_axes(x: Offset, y: Offset, phi: Number) -> tuple[Offset, Offset]:
    """Offsets along the major and the minor axis."""
    sin, cos = jnp.sin(phi * RAD), jnp.cos(phi * RAD)
    return x * sin + y * cos, x * cos - y * sin


def elliptical_radius(x: Offset, y: Offset, major: Number, minor: Number, phi: Number) -> Offset:
    """u^2 = (p / a)^2 + (q / b)^2, the square of r / r_eff."""
    p, q = along_axes(x, y, phi)
    major, minor = jnp.maximum(major, SMALLEST), jnp.maximum(minor, SMALLEST)
    return (p / major) ** 2 + (q / minor) ** 2


def squared_axes(major: Number, minor: Number) -> tuple[Number, Array]:
    """a b and s^2(t) at the `ANOMALIES` points, rad^2."""
    major, minor = jnp.maximum(major, SMALLEST) * RAD, jnp.maximum(minor, SMALLEST) * RAD
    return major * minor, major**2 * _COS2 + minor**2 * (1 - _COS2)


def gaussian(x: Offset, y: Offset, sigma: Number, e: Number, phi: Number, blur: Real = 0.0) -> Offset:
    """N exp(-(1 - cos r) / (2 (1 - cos s))) with s the width in the direction of the point.

    For e = 0 this is the Gaussian of the sphere (Fisher 1953, Proc. R. Soc. A 217, 295, with
    kappa = 1 / (2 (1 - cos s))), and N = 1 / (2 pi A (1 - exp(-2 / A))), A = 2 (1 - cos s), is exact; for e > 0 N is
    the exact integral too. ``blur`` adds in quadrature to both axes: the convolution with a round Gaussian, exact in
    the plane.
    """
    major = safe_sqrt(sigma**2 + blur**2)
    minor = safe_sqrt(sigma**2 * (1 - e) * (1 + e) + blur**2)
    square = (x * x + y * y) * RAD**2
    u2 = elliptical_radius(x, y, major, minor, phi)
    product, s2 = squared_axes(major, minor)
    centre = u2 <= 0
    width2 = jnp.where(centre, product, square / jnp.where(centre, 1.0, u2))
    exponent = -0.5 * u2 * versine_ratio(square) / versine_ratio(width2)
    # int sin r exp(-(1 - cos r) / A) dr = A (1 - exp(-2 / A)), A = s^2 versine_ratio(s^2)
    ratio = versine_ratio(s2)
    norm = 2 * math.pi * product * jnp.mean(-ratio * jnp.expm1(-2 / (s2 * ratio)))
    return capped_exp(exponent) / norm


def edge_spread(edge_width: Width) -> Width:
    """Standard deviation, in u, of the normal density whose integral the edge of a disk is."""
    return edge_width / (EDGE * math.sqrt(2))


def disk_profile(scaled: Array, edge_width: Number) -> Array:
    """(1 - erf(EDGE (u - 1) / edge_width)) / 2; a step for edge_width = 0."""
    return 0.5 * (1 - erf(EDGE * (scaled - 1) / jnp.maximum(edge_width, SMALLEST)))


def disk(x: Offset, y: Offset, r_0: Number, e: Number, phi: Number, edge_width: Number) -> Offset:
    """Disk of half axis r_0 with a soft edge, `disk_profile` (u) / Z.

    Z = int n(v) A(v) dv: the edge is a mixture, with n a normal density around 1, of sharp disks of areas A(v).
    """
    minor = minor_axis(r_0, e)
    u = safe_sqrt(elliptical_radius(x, y, r_0, minor, phi))
    product, s2 = squared_axes(r_0, minor)
    spread = edge_spread(jnp.maximum(edge_width, SMALLEST))
    nodes, weights = legendre(48)
    # counted in standard deviations, which keeps the digits of narrow edges
    low, high = jnp.maximum(-1 / spread, -7.0), 7.0
    t = (low + high) / 2 + (high - low) / 2 * nodes
    density = weights * (high - low) / 2 * jnp.exp(-0.5 * t**2) / math.sqrt(2 * math.pi)
    v = 1 + spread * t
    # area within u = v: 2 pi (1 - cos(v s)) / s^2 times a b, averaged over t
    area = math.pi * product * v**2 * jnp.mean(versine_ratio(v[:, None] ** 2 * s2[None, :]), axis=1)
    return disk_profile(u, edge_width) / jnp.sum(density * area)


def falloff(square: Array, eta: Number) -> Array:
    """exp(-u^(1 / eta)) from u^2; at u = 0 1 with gradient 0 (the slope of a cusp, eta = 1, is left out there)."""
    zero = square <= 0
    power = capped_exp(jnp.log(jnp.where(zero, 1.0, square)) / (2 * eta))
    return jnp.where(zero, 1.0, jnp.exp(-power))


def generalized_gaussian(x: Offset, y: Offset, r_0: Number, eta: Number, e: Number, phi: Number) -> Offset:
    """exp(-u^(1 / eta)) / Z: an exponential for eta = 1, a Gaussian for 1/2, a disk for eta to 0.

    In the plane Z = 2 pi r_0 b eta Gamma(2 eta); here it is the integral over the sphere, by quadrature.
    """
    minor = minor_axis(r_0, e)
    square = elliptical_radius(x, y, r_0, minor, phi)
    product, s2 = squared_axes(r_0, minor)
    u, weight = falloff_nodes((24, 32, 32), (0.1, 5.0, 40.0), eta)
    sphere = jnp.mean(sine_ratio(u[:, None] ** 2 * s2[None, :]), axis=1)
    return falloff(square, eta) / (2 * math.pi * product * jnp.sum(weight * sphere))


def falloff_nodes(counts: tuple[int, ...], powers: tuple[float, ...], eta: Number) -> tuple[Array, Array]:
    """Nodes u and weights of int f(u) exp(-u^(1 / eta)) u du: Gauss-Legendre between u^(1 / eta) = 0 and ``powers``."""
    edges = jnp.concatenate([jnp.zeros(1), jnp.exp(eta * np.log(np.asarray(powers)))])
    u, weight = panel_nodes(edges, counts)
    return u, weight * u * falloff(u**2, eta)


def panel_nodes(edges: Array, counts: tuple[int, ...]) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights of all panels between ``edges``, of ``counts`` nodes."""
    nodes, weights = [], []
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        at, weight = legendre(count)
        nodes.append((low + high) / 2 + (high - low) / 2 * at)
        weights.append((high - low) / 2 * weight)
    return jnp.concatenate(nodes), jnp.concatenate(weights)


def shell(x: Offset, y: Offset, radius: Number, width: Number) -> Offset:
    """Projection of a shell that shines evenly between r = radius and R = radius + width.

    [sqrt(R^2 - d^2) - sqrt(r^2 - d^2) (d < r)] / (R - r) / Z, flat as in the plane, with Z its integral over the sphere
    (in the plane (R^2 + R r + r^2) 2 pi / 3). Written without the difference of roots: finite for width = 0, where it
    is a thin shell. Infinitely steep at the rims, where the gradient is given as 0.
    """
    inner, thickness = jnp.maximum(radius, 0.0) * RAD, jnp.maximum(width, SMALLEST) * RAD
    outer = inner + thickness
    square = (x * x + y * y) * RAD**2
    far, near = safe_sqrt(outer**2 - square), safe_sqrt(inner**2 - square)
    inside = square < inner**2
    total = jnp.where(inside, far + near, 1.0)
    value = jnp.where(inside, (outer + inner) / total, far / thickness)
    # Z = 2 pi int_r^R k(q) dq / (R - r): thin shells of radius q
    nodes, weights = legendre(8)
    q = inner + thickness * (1 + nodes) / 2
    return value / (math.pi * jnp.sum(weights * thin_shell(q)))


def thin_shell(radius: Array) -> Array:
    """d/dq int_0^q sin(d) sqrt(q^2 - d^2) dd (rad^2): q^2 in the plane; a series in q^2, to rounding up to q = 2."""
    square, total, moment = radius**2, jnp.zeros_like(radius), 1 / 3
    moments = []
    for k in range(_TERMS):
        moments.append(moment * (2 * k + 3) / math.factorial(2 * k + 1))
        moment *= (k + 1) / (k + 2.5)
    for coefficient in reversed(moments):
        total = total * -square + coefficient
    return square * total
