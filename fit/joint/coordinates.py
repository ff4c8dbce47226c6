"""Coordinates in which the steps of a fit are taken: those in which models are nearly linear.

A step dx along a parameter x is taken as the step dz = dx / (dx / dz) in its coordinate z(x), which its role says:

- -1 / x for the energy of a cutoff: a spectrum without one is at 0, in the middle of the coordinate, not at its end;
- ln x for positive energies, exponents and coefficients, whose size is not known beforehand;
- x for all others. Amplitudes step in x or in ln x, as their solver decides.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ...datasets.arrays import Array
from .parameters import ParameterSpace

STRAIGHT, LOG, INVERSE = range(3)

OF_ROLE = {"cutoff": INVERSE, "energy": LOG, "exponent": LOG, "coefficient": LOG}
"""The coordinate of a parameter by its role; `STRAIGHT` for all others."""

LONGEST = 2.3
"""Longest step in the logarithm of a parameter: a factor of ten."""


OUTWARDS = 1e3
"""Longest step of a parameter with the coordinate 1 / x towards an infinity that a bound forbids to pass: a factor."""


def at_its_end(tolerance: Array, kind: Array, x: jax.Array, slope_of_x: Array, low: Array, high: Array) -> jax.Array:
    """Whether a parameter has come so near to its bound, or to the infinity that ends its range, that the rest of the
    way is worth less than the tolerance; it is held there, as at a bound.

    An amplitude that its steps divide would never arrive at zero, and look as far from its minimum for ever.
    """
    down, up = slope_of_x > 0, slope_of_x < 0
    way = jnp.where(down, x - low, jnp.where(up, high - x, jnp.inf))
    next_to_it = jnp.isfinite(way) & (jnp.abs(slope_of_x) * jnp.where(jnp.isfinite(way), way, 0.0) <= tolerance)
    bounded = ((low >= 0) & (x > 0) & up) | ((high <= 0) & (x < 0) & down)
    return ((kind == INVERSE) & bounded & (jnp.abs(slope_of_x * x) <= tolerance)) | next_to_it


def coordinates_of(space: ParameterSpace) -> np.ndarray:
    """The coordinate of each parameter, (n,)."""
    roles = space.roles
    found = np.array([OF_ROLE.get(role, STRAIGHT) for role in roles], np.int8)
    exponents = {place for place, role in enumerate(roles) if role == "exponent" and space.free[place]}
    if not exponents:
        return found
    for entry in space.models:
        places = [
            int(index[0])
            for item, index in zip(entry.items, entry.entries, strict=True)
            if item.kind == "parameter" and index is not None
        ]
        # with a free exponent a, (x / x_c)^a is not linear in 1 / x_c, and its logarithm is in ln x_c
        if not exponents.isdisjoint(places):
            found[[place for place in places if roles[place] in ("rate", "cutoff")]] = LOG
    return found


def slope(kind: Array, x: jax.Array) -> jax.Array:
    """dx / dz, by which slopes are multiplied; 1 where x is out of the range of its coordinate."""
    kind = valid(kind, x)
    return jnp.where(kind == LOG, x, jnp.where(kind == INVERSE, x**2, 1.0))


def bend(kind: Array, x: jax.Array) -> jax.Array:
    """d2x / dz2, likewise; 0 where z is straight."""
    kind = valid(kind, x)
    return jnp.where(kind == LOG, x, jnp.where(kind == INVERSE, 2 * x**3, 0.0))


def valid(kind: Array, x: jax.Array) -> jax.Array:
    """The coordinate in which x can step: only positive numbers have logarithms, and 0 no inverse."""
    out = ((kind == LOG) & (x <= 0)) | ((kind == INVERSE) & (x == 0))
    return jnp.where(out, STRAIGHT, kind)


def moved(
    kind: Array,
    x: jax.Array,
    dx: jax.Array,
    low: Array,
    high: Array,
    longest: tuple[Array | float, Array | float] = (LONGEST, LONGEST),
) -> jax.Array:
    """The parameter after the step ``dx``, taken in its coordinate and projected into the bounds.

    ``longest``: steps in a logarithm, down and up.
    """
    kind = valid(kind, x)
    straight = x + dx
    logs = x * jnp.exp(jnp.clip(dx / jnp.where(kind == LOG, x, 1.0), -longest[0], longest[1]))
    # 1 / x passes through 0 where the parameter jumps from one infinity to the other, unless a bound forbids it
    tiny = jnp.finfo(x.dtype).tiny ** 0.125
    inverse = jnp.where(kind == INVERSE, 1 / jnp.where(x == 0, 1.0, x), 1.0)
    further = inverse - dx * inverse**2
    # towards a bound at infinity by a factor at a time, so that the other parameters can follow
    further = jnp.where((low >= 0) & (x > 0), jnp.maximum(further, inverse / OUTWARDS), further)
    further = jnp.where((high <= 0) & (x < 0), jnp.minimum(further, inverse / OUTWARDS), further)
    further = jnp.where(jnp.abs(further) < tiny, jnp.where(further < 0, -tiny, tiny), further)
    return jnp.clip(jnp.where(kind == LOG, logs, jnp.where(kind == INVERSE, 1 / further, straight)), low, high)
