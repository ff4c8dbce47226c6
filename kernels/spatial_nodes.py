"""Weighted points that stand for extended sources: quadratures on the source, smooth in its shape.

A rule sum w f(x, y) = int S f dOmega, with S the surface brightness of `spatial` (the same arguments and units), is a
Gauss-Legendre rule in radius (`Rings`), split where the profile is not smooth, times evenly spaced angles. Weights
carry the Jacobian of the sphere and sum to 1. Counts are static; `steps_for` finds them from the largest distance of
neighbours.
"""

import itertools
import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .quadrature import legendre
from .spatial import (
    RAD,
    SMALLEST,
    Number,
    disk_profile,
    edge_spread,
    falloff_nodes,
    minor_axis,
    panel_nodes,
    sine_ratio,
    squared_axes,
)

Nodes = tuple[Float[Array, " n"], Float[Array, " n"], Float[Array, " n"]]


class Rings(NamedTuple):
    """Ellipses that stand for a source, (n,) of them: the radial rule, before it is put at angles.

    ``u``: their sizes in units of the half axes ``major`` and ``minor`` (deg), with the major one at the position angle
    ``phi``. ``weight``: f(u) u du. ``share``: static bounds of each ``u`` in units of the largest, at most 1, whatever
    the parameters are.
    """

    u: Float[Array, " n"]
    weight: Float[Array, " n"]
    major: Number | float
    minor: Number | float
    phi: Number | float
    share: Float[np.ndarray, " n"]


LEAST_RADIAL, LEAST_ANGULAR = 8, 16

FALLOFF_POWERS = (0.003, 4.6, 14.0)
"""Values of u^(1 / eta) that part the radial rule of a generalised Gaussian: the brightness has fallen to 1 % at the
second and to 1e-6 at the third, where the rule ends (1e-5 of the flux is beyond for eta = 1, less for others)."""

EDGE_REACH = 4.0


def steps_for(length: float, spacing: float, least: int) -> int:
    """Number of Gauss-Legendre nodes on ``length`` that are nowhere farther apart than ``spacing``: a multiple of 4."""
    # the widest step of n nodes is just below pi / (2 n) of the length
    wanted = max(least, math.pi / 2 * length / spacing)
    return 4 * math.ceil(wanted / 4 - 1e-9)


def angles_for(radius: float, spacing: float) -> int:
    """Number of angles that are nowhere farther apart than ``spacing`` on a circle of ``radius``: a multiple of 8."""
    wanted = max(LEAST_ANGULAR, 2 * math.pi * radius / spacing)
    return 8 * math.ceil(wanted / 8 - 1e-9)


def on_ellipses(rings: Rings, n_angular: int) -> Nodes:
    """Nodes on ``rings``, at evenly spaced eccentric anomalies. Every second ring is turned by half a step."""
    u, major, minor, phi = rings.u, rings.major, rings.minor, rings.phi
    steps = np.arange(n_angular) + 0.5 * (np.arange(u.shape[0]) % 2)[:, None]
    anomaly = 2 * np.pi / n_angular * steps
    p, q = major * u[:, None] * np.cos(anomaly), minor * u[:, None] * np.sin(anomaly)
    sin, cos = jnp.sin(phi * RAD), jnp.cos(phi * RAD)
    weights = rings.weight[:, None] * sine_ratio((p * p + q * q) * RAD**2)
    return (p * sin + q * cos).ravel(), (p * cos - q * sin).ravel(), (weights / jnp.sum(weights)).ravel()


def ring_total(rings: Rings) -> Float[Array, ""]:
    """Sum of the weights of all nodes of ``rings`` before they are normalised, without the nodes."""
    _, s2 = squared_axes(jnp.asarray(rings.major), jnp.asarray(rings.minor))
    return jnp.sum(rings.weight * jnp.mean(sine_ratio(rings.u[:, None] ** 2 * s2[None, :]), axis=1))


def disk_rings(n_radial: tuple[int, ...], r_0: Number, e: Number, phi: Number, edge_width: Number) -> Rings:
    """Rule for `spatial.disk`: one part inside, one across the edge (which for edge_width = 0 is no part at all)."""
    reach = EDGE_REACH * edge_spread(edge_width)
    # 1 - reach for a narrow edge, and smoothly away from 0 for a wide one
    edges = jnp.stack([jnp.zeros_like(reach), 1 / (1 + reach), 1 + reach])
    u, weight = panel_nodes(edges, n_radial)
    share = _shares(n_radial)
    return Rings(u, weight * u * disk_profile(u, edge_width), r_0, minor_axis(r_0, e), phi, share)


def _shares(n_radial: tuple[int, ...]) -> np.ndarray:
    """The field ``share`` of `Rings` in panels: of the first one, which begins in the middle, those of its nodes."""
    inner, *others = n_radial
    return np.concatenate([(1 + legendre(inner)[0]) / 2, np.ones(sum(others))])


def disk_counts(spacing: float, r_0: float, edge_width: float) -> tuple[tuple[int, int], int]:
    reach = EDGE_REACH * float(edge_spread(edge_width))
    inside = 1 / (1 + reach)
    # the second moment of the disk is then right to 1e-5
    across = 4 if edge_width < 0.015 else 8 if edge_width < 0.15 else 12
    counts = (
        steps_for(r_0 * inside, spacing, LEAST_RADIAL),
        steps_for(r_0 * (1 + reach - inside), spacing, across),
    )
    return counts, angles_for(r_0 * (1 + reach), spacing)


def generalized_gaussian_rings(n_radial: tuple[int, ...], r_0: Number, eta: Number, e: Number, phi: Number) -> Rings:
    """Rule for `spatial.generalized_gaussian`, in three parts up to `FALLOFF_POWERS`."""
    u, weight = falloff_nodes(n_radial, FALLOFF_POWERS, eta)
    return Rings(u, weight, r_0, minor_axis(r_0, e), phi, _shares(n_radial))


def generalized_gaussian_counts(spacing: float, r_0: float, eta: float) -> tuple[tuple[int, int, int], int]:
    """Beyond the radius where the brightness has fallen to 1 %, nodes may be twice as far apart as ``spacing``."""
    radii = [0.0, *(r_0 * power**eta for power in FALLOFF_POWERS)]
    steps = [high - low for low, high in itertools.pairwise(radii)]
    counts = (
        # for small eta nearly all of the flux is in the first part
        steps_for(steps[0], spacing, LEAST_RADIAL if eta < 0.3 else 4),
        steps_for(steps[1], spacing, 12),
        steps_for(steps[2], 2 * spacing, 8),
    )
    return counts, max(angles_for(radii[2], spacing), angles_for(radii[3], 2 * spacing))


def shell_rings(n_radial: tuple[int, ...], radius: Number, width: Number) -> Rings:
    """Rule for `spatial.shell`: (depths, heights) nodes on thin shells of radius q, seen at d = q sqrt(1 - c^2).

    A thin shell shines evenly in the height c along the line of sight, so that no node meets a cusp, and shells of any
    thickness, also none, are smooth mixtures of thin ones.
    """
    depths, heights = n_radial
    at, weight = legendre(depths)
    # not jnp.maximum, which at 0 has half the derivative
    radius, width = jnp.where(radius < 0, 0.0, radius), jnp.where(width < 0, 0.0, width)
    q = radius + width * (1 + at) / 2
    # q = 0 for a shell of no size
    volume = weight * (q**2 + SMALLEST**2)
    # half of a rule on [-1, 1]: what is projected is even in c
    height, share = (half[heights:] for half in legendre(2 * heights))
    projected = np.sqrt(1 - height**2)
    u = (q[:, None] * projected[None, :]).ravel()
    return Rings(u, (volume[:, None] * share[None, :]).ravel(), 1.0, 1.0, 0.0, np.tile(projected, depths))


def shell_counts(spacing: float, radius: float, width: float) -> tuple[tuple[int, int], int]:
    outer = max(radius, 0.0) + max(width, 0.0)
    return (steps_for(max(width, 0.0), spacing, 4), steps_for(outer, spacing, LEAST_RADIAL)), angles_for(outer, spacing)
