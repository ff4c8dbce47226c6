"""Interpolation in tables that are linear between nodes, and exact integrals of such tables over energy bins.

Logarithms of zero entries are those of the smallest normal number of the dtype; a value that is not above it is 0.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .elementary import expm1_ratio

Nodes = Float[Array, " n_nodes"]


def floor_log(values: Array, floor: float | None = None) -> Array:
    """ln max(v, floor), with gradient 0 at and below the floor (default: smallest normal number of the dtype)."""
    values = jnp.asarray(values)
    tiny = float(jnp.finfo(values.dtype).tiny) if floor is None else floor
    above = values > tiny
    return jnp.where(above, jnp.log(jnp.where(above, values, 1.0)), jnp.log(jnp.asarray(tiny, values.dtype)))


def unfloor_exp(log_values: Array) -> Array:
    """e^v, 0 where v is at or below the floor of `floor_log`; never inf."""
    info = jnp.finfo(log_values.dtype)
    above = log_values > jnp.log(info.tiny)
    top = jnp.log(info.max) - 1
    return jnp.where(above, jnp.exp(jnp.where(above, jnp.minimum(log_values, top), 0.0)), 0.0)


def piece_of(x: Array, nodes: Nodes) -> Array:
    """Index of the piece (0 .. n_nodes - 2) in which ``x`` lies; the end pieces reach outwards."""
    return jnp.clip(jnp.searchsorted(nodes, x, side="right") - 1, 0, nodes.shape[0] - 2)


def interpolate(x: Array, nodes: Nodes, values: Nodes, outside: str = "linear") -> Array:
    """Linear interpolation; beyond the end nodes ``"linear"`` goes on, ``"constant"`` holds the end value.

    With ``"floored"`` it goes on too, but an end piece with a floored (zero) entry holds its end value: a straight line
    through ln 0 would reach absurd numbers at once.
    """
    nodes, values = jnp.asarray(nodes), jnp.asarray(values)
    if outside == "constant":
        x = jnp.clip(x, nodes[0], nodes[-1])
    elif outside == "floored":
        zero = values <= jnp.log(jnp.finfo(values.dtype).tiny)
        hold_low, hold_high = zero[0] | zero[1], zero[-1] | zero[-2]
        x = jnp.where(hold_low, jnp.maximum(x, nodes[0]), x)
        x = jnp.where(hold_high, jnp.minimum(x, nodes[-1]), x)
    i = piece_of(x, nodes)
    fraction = (x - nodes[i]) / (nodes[i + 1] - nodes[i])
    return values[i] + fraction * (values[i + 1] - values[i])


def split_bins(edges: Float[Array, " n_edges"], nodes: Nodes) -> tuple[Array, Array]:
    """Edges and nodes in one sorted row (nodes outside are moved to the ends), and the bin of each interval of it."""
    points = jnp.sort(jnp.concatenate([edges, jnp.clip(nodes, edges[0], edges[-1])]))
    middle = (points[1:] + points[:-1]) / 2
    return points, jnp.clip(jnp.searchsorted(edges, middle, side="right") - 1, 0, edges.shape[0] - 2)


def sum_per_bin(parts: Array, bins: Array, n_bins: int) -> Array:
    """Sums of the intervals of `split_bins`: sums per bin and not differences of a running one, which would lose the
    digits of the high-energy bins of a steep spectrum."""
    return jax.ops.segment_sum(parts, bins, num_segments=n_bins, indices_are_sorted=True)


def integrate_log_log(
    edges: Float[Array, " n_edges"], log_nodes: Nodes, log_values: Nodes, outside: str
) -> Float[Array, " n_bins"]:
    """Integral over each bin of a table that is linear in ln value against ln E: every piece is a power law."""
    points, bins = split_bins(jnp.log(edges), jnp.asarray(log_nodes))
    log_at = interpolate(points, log_nodes, log_values, outside)
    floored = log_at <= jnp.log(jnp.finfo(log_at.dtype).tiny)
    height = log_at + points
    low, high, width = height[:-1], height[1:], points[1:] - points[:-1]
    rise = high - low
    # counted from the higher end: the ratio to the lower one may be beyond the largest number
    falling = rise <= 0
    parts = width * jnp.exp(jnp.where(falling, low, high)) * expm1_ratio(jnp.where(falling, rise, -rise))
    return sum_per_bin(jnp.where(floored[:-1] & floored[1:], 0.0, parts), bins, edges.shape[0] - 1)


def integrate_lin_lin(
    edges: Float[Array, " n_edges"], nodes: Nodes, values: Nodes, outside: str
) -> Float[Array, " n_bins"]:
    """Integral over each bin of a table that is linear in value against E: every piece is a trapezoid."""
    points, bins = split_bins(edges, jnp.asarray(nodes))
    at = interpolate(points, nodes, values, outside)
    return sum_per_bin((at[1:] + at[:-1]) / 2 * (points[1:] - points[:-1]), bins, edges.shape[0] - 1)


def scaled(x: Array, scale: str) -> Array:
    """Coordinate in which an axis is linear: ``"log"``, ``"sqrt"`` or ``"lin"``."""
    if scale == "log":
        return jnp.log(x)
    return jnp.sqrt(x) if scale == "sqrt" else jnp.asarray(x)


def slice_leading(values: Array, nodes: tuple[Nodes, ...], at: tuple[Array, ...], scales: tuple[str, ...]) -> Array:
    """ln of a table of shape (n_1, ..., n_k, *rest) at one point of its k first axes, shape (*rest,); as `slice_at`."""
    values = jnp.asarray(values)
    fractions = []
    for axis, (row, x, scale) in enumerate(zip(nodes, at, scales, strict=True)):
        row, x = scaled(jnp.asarray(row), scale), scaled(x, scale)
        i = piece_of(x, row)
        values = jax.lax.dynamic_slice_in_dim(values, i, 2, axis)
        fractions.append((x - row[i]) / (row[i + 1] - row[i]))
    logs = floor_log(values)
    for fraction in fractions:
        logs = logs[0] + fraction * (logs[1] - logs[0])
    return logs


def slice_at(
    values: Array, nodes: tuple[Nodes, ...], at: tuple[Array, ...], scales: tuple[str, ...], floor: float | None = None
) -> Nodes:
    """ln of a table of shape (n_energy, n_1, ..., n_k) at one point of its k further axes, shape (n_energy,).

    Multilinear in ln value and in the scaled coordinates, going on linearly beyond the end nodes. Only the 2^k rows
    next to the point are read, so a large table costs nothing but its memory.
    """
    values = jnp.asarray(values)
    fractions = []
    for axis, (row, x, scale) in enumerate(zip(nodes, at, scales, strict=True), start=1):
        row, x = scaled(jnp.asarray(row), scale), scaled(x, scale)
        i = piece_of(x, row)
        values = jax.lax.dynamic_slice_in_dim(values, i, 2, axis)
        fractions.append((x - row[i]) / (row[i + 1] - row[i]))
    logs = floor_log(values, floor)
    for fraction in reversed(fractions):
        logs = logs[..., 0] + fraction * (logs[..., 1] - logs[..., 0])
    return logs
