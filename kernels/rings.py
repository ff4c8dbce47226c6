"""Lattice images of extended sources of any size, in memory that is set by the lattice.

The nodes of a source (`spatial_nodes`) grow with its area, and are seldom all needed: those that do not reach the
lattice are left out ring by ring, and the others are made and laid on it in blocks.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .lattice import AT_ONCE, BLOCK, BLUR, particle_image
from .spatial import RAD, sine_ratio
from .spatial_nodes import LEAST_ANGULAR, Rings, on_ellipses, ring_total

ToPixels = Callable[[Array, Array], tuple[Array, Array]]
"""From offsets (deg) to the east and north of the source to pixels (x, y) from the first one of the window."""

REACH = 8.0 * BLUR
"""Lattice steps beyond which a node adds nothing to rounding: exp(-32)."""


def ring_image(
    rings: Rings,
    n_angular: int,
    to_pixels: ToPixels,
    seen: Callable[[], tuple[Array, Array]],
    shape: tuple[int, int],
    s: int,
) -> Float[Array, "ly lx"]:
    """`particle_image` (ny s, nx s) of the nodes of a source.

    ``seen()``: the least and the largest separation (deg) from its centre of what is within `REACH` of the lattice. Of
    large sources, rings that are known to be small have fewer angles: the distance of neighbours stays the same.
    """
    per_node = s * sum(shape)
    if rings.u.shape[0] * n_angular * per_node <= AT_ONCE:
        x, y, weight = on_ellipses(rings, n_angular)
        return particle_image(*to_pixels(x, y), weight, shape, s)
    size = max(BLOCK // per_node, LEAST_ANGULAR)
    order, blocks = blocks_of(rings.share, n_angular, size)
    total = ring_total(rings)
    low, high = (jax.lax.stop_gradient(bound) for bound in seen())
    half_axes = [jnp.abs(jax.lax.stop_gradient(jnp.asarray(axis))) for axis in (rings.major, rings.minor)]

    def image(block: Int[Array, " 4"]) -> Float[Array, "ly lx"]:
        first, step, angles, number = block
        index = step + jnp.arange(size, dtype=step.dtype)
        inside = jnp.arange(size, dtype=step.dtype) < number
        ring = jnp.asarray(order)[first + jnp.minimum(index, step + number - 1) // angles]
        u = rings.u[ring]

        def laid() -> Float[Array, "ly lx"]:
            n = angles.astype(dtype)
            anomaly = 2 * np.pi / n * ((index % angles).astype(dtype) + 0.5 * (ring % 2).astype(dtype))
            p, q = rings.major * u * jnp.cos(anomaly), rings.minor * u * jnp.sin(anomaly)
            sin, cos = jnp.sin(rings.phi * RAD), jnp.cos(rings.phi * RAD)
            weight = rings.weight[ring] / (n * total) * sine_ratio((p * p + q * q) * RAD**2)
            x, y = to_pixels(p * sin + q * cos, p * cos - q * sin)
            weight = jnp.where(inside, weight, 0.0)
            near = inside
            for at, side in ((x, shape[1]), (y, shape[0])):
                near = near & (at * s > -REACH) & (at * s < side * s + REACH)
            return jax.lax.cond(
                jnp.any(near), lambda: particle_image(x, y, weight, shape, s), lambda: jnp.zeros(lattice, dtype)
            )

        fixed = jax.lax.stop_gradient(u)
        reaching = (jnp.max(fixed) * half_axes[0] >= low) & (jnp.min(fixed) * half_axes[1] <= high)
        return jax.lax.cond(reaching, laid, lambda: jnp.zeros(lattice, dtype))

    lattice = shape[0] * s, shape[1] * s
    dtype = jnp.result_type(rings.u, *jax.eval_shape(to_pixels, rings.u, rings.u))
    # slopes make a block once more instead of keeping all of them
    again = jax.checkpoint(image)
    start = jnp.zeros(lattice, dtype)
    return jax.lax.scan(lambda sum_, block: (sum_ + again(block), None), start, jnp.asarray(blocks))[0]


def blocks_of(
    share: Float[np.ndarray, " n"], n_angular: int, size: int
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, "m 4"]]:
    """The order of the rings, and the blocks of at most ``size`` nodes.

    A block is its first ring in that order, its first angle there, the number of angles of each of its rings, and that
    of its nodes. Rings of up to a half, a quarter, ... of the largest have as many fewer angles.
    """
    order = np.argsort(share, kind="stable")
    halved = np.floor(-np.log2(np.maximum(share[order], 1e-9))).astype(int)
    angles = np.maximum(-(-n_angular // 2**halved), min(LEAST_ANGULAR, n_angular))
    blocks = []
    for n in np.unique(angles):
        ring = int(np.argmax(angles == n))
        nodes = int(n) * int(np.sum(angles == n))
        starts = np.arange(0, nodes, size)
        rows = [ring + starts // n, starts % n, np.full(len(starts), n), np.minimum(size, nodes - starts)]
        blocks.append(np.stack(rows, axis=1))
    return order.astype(np.int32), np.concatenate(blocks).astype(np.int32)
