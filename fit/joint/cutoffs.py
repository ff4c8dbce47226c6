"""Cutoffs exp(-r x^a) with a free exponent: coordinates for two parameters at a time.

The coefficient r means nothing by itself: it moves a long way with a while the cutoff x_c = r^(-1 / a) stays where it
is, and curvatures along r and along a alone say nothing of the valley between them. Such pairs step along a at constant
x_c, and along ln x_c.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ...datasets.arrays import Array
from .arrowhead import Normal, Theta
from .coordinates import LONGEST
from .parameters import ParameterSpace


def cutoff_pairs(space: ParameterSpace) -> list[tuple[int, int]]:
    """Free coefficients r of cutoffs exp(-r x^a), and their exponents a, free or not, as indices of all parameters."""
    if "coefficient" not in space.roles:
        return []
    found = []
    for entry in space.models:
        of_role = {
            space.roles[index[0]]: int(index[0])
            for item, index in zip(entry.items, entry.entries, strict=True)
            if item.kind == "parameter" and index is not None
        }
        if "coefficient" in of_role and "exponent" in of_role and space.free[of_role["coefficient"]]:
            found.append((of_role["coefficient"], of_role["exponent"]))
    return found


def pairs_in(row: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    """The ``pairs`` of which both are in ``row``, as places there, (n, 2)."""
    place = {int(index): k for k, index in enumerate(row)}
    both = [(place[r], place[a]) for r, a in pairs if r in place and a in place]
    return np.array(both, int).reshape(-1, 2)


def sheared(normal: Normal, theta: Theta, pairs: Theta) -> Normal:
    """Normal equations with the exponents of ``pairs`` moving at constant cutoff energy."""
    slope, matrix = normal.slope, normal.matrix
    if len(pairs.globals):
        r, a = pairs.globals.T
        by = _along(theta.globals, r, a)
        slope = slope.at[a].add(by * slope[r])
        matrix = matrix.at[:, a].add(by * matrix[:, r])
        matrix = matrix.at[a, :].add(by[:, None] * matrix[r, :])
    locals_ = []
    for block, x, own in zip(normal.locals, theta.locals, pairs.locals, strict=True):
        if block is not None and len(own):
            r, a = own.T
            by = _along(x, r, a)
            inner = block.matrix.at[:, :, a].add(by[:, None, :] * block.matrix[:, :, r])
            block = block._replace(
                slope=block.slope.at[:, a].add(by * block.slope[:, r]),
                matrix=inner.at[:, a, :].add(by[:, :, None] * inner[:, r, :]),
                cross=block.cross.at[:, :, a].add(by[:, None, :] * block.cross[:, :, r]),
            )
        locals_.append(block)
    return Normal(slope, matrix, tuple(locals_))


def _along(x: jax.Array, r: Array, a: Array) -> jax.Array:
    """dr / da at constant cutoff energy, r ln r / a; 0 where there is none."""
    coefficient, exponent = x[..., r], x[..., a]
    valid = (coefficient > 0) & (exponent > 0)
    return jnp.where(
        valid, coefficient * jnp.log(jnp.where(valid, coefficient, 1.0)) / jnp.where(valid, exponent, 1), 0
    )


def moved_pairs(point: Theta, theta: Theta, steps: Theta, low: Theta, high: Theta, pairs: Theta) -> Theta:
    """``point`` with the coefficients of ``pairs`` where the steps along cutoff energy and exponent lead."""

    def leaf(point: jax.Array, x: jax.Array, step: jax.Array, low: Array, high: Array, own: Array) -> jax.Array:
        if not len(own):
            return point
        r, a = own.T
        coefficient, exponent = x[..., r], x[..., a]
        valid = (coefficient > 0) & (exponent > 0)
        coefficient, exponent = jnp.where(valid, coefficient, 1.0), jnp.where(valid, exponent, 1.0)
        log_cutoff = -jnp.log(coefficient) / exponent
        # towards a = 0 there is no cutoff left, and r itself is what has a size
        longest = LONGEST / jnp.minimum(exponent, 1.0)
        further = jnp.clip(-step[..., r] / (coefficient * exponent), -longest, longest)
        found = jnp.exp(-point[..., a] * (log_cutoff + further))
        found = jnp.clip(found, jnp.asarray(low)[..., r], jnp.asarray(high)[..., r])
        return point.at[..., r].set(jnp.where(valid, found, point[..., r]))

    return jax.tree.map(leaf, point, theta, steps, low, high, pairs)
