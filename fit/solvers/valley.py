"""Leaps along the valleys that lead to optima at infinity.

Two amplitudes of opposite signs that grow while their indices approach each other, or a cutoff whose exponent fades
while its energy grows, form a valley that bends at every step: a fit creeps along it, and each step is right and short.
In coordinates where such valleys are nearly straight (1 / x for amplitudes, those of the solver for the rest) the way
that the last steps made, once more or several times, is where the fit would be much later. From there it falls back
into the valley, or the leap is undone.
"""

import jax
import numpy as np
from jaxtyping import PyTree

from ...datasets.arrays import Array
from ..joint.arrowhead import Theta
from ..joint.coordinates import INVERSE, LOG

REACH = 2.0
"""How far the first leap goes, in units of the way that led here."""

CLOSER = 0.1
"""Share of its inverse to which a parameter goes at most, so that none passes infinity."""


def leap(theta: Theta, before: Theta, reach: float, arrays: dict[str, PyTree]) -> Theta:
    """The point ahead of ``theta``, seen from ``before``, inside the bounds."""

    def kind(x: Array, old: Array, kind: Array, scale_like: Array) -> np.ndarray:
        kind = np.where(np.asarray(scale_like, bool), INVERSE, kind)
        return np.where(np.asarray(x) * np.asarray(old) > 0, kind, -1)

    def forward(kind: Array, x: Array) -> np.ndarray:
        safe = np.where(kind < 0, 1.0, x)
        return np.where(kind == LOG, np.log(np.abs(safe)), np.where(kind == INVERSE, 1 / safe, x))

    def share(kind: Array, z: Array, d: Array) -> np.ndarray:
        # of the signs: products of inverses of tiny numbers overflow
        towards = (kind == INVERSE) & (np.sign(z) * np.sign(d) < 0)
        return np.where(towards, (1 - CLOSER) * np.abs(z) / np.where(towards, np.abs(d), 1.0), np.inf)

    def back(kind: Array, x: Array, z: Array, low: Array, high: Array) -> np.ndarray:
        with np.errstate(over="ignore"):
            logs = np.sign(x) * np.exp(z)
        found = np.where(kind == LOG, logs, np.where(kind == INVERSE, 1 / np.where(z == 0, 1.0, z), z))
        return np.clip(found, low, high).astype(np.asarray(x).dtype)

    kinds = jax.tree.map(kind, theta, before, arrays["coordinates"], arrays["scale_like"])
    now, old = jax.tree.map(forward, kinds, theta), jax.tree.map(forward, kinds, before)
    way = jax.tree.map(np.subtract, now, old)
    shares = jax.tree.leaves(jax.tree.map(share, kinds, now, way))
    reach = min([reach, *(float(s.min()) for s in shares if np.size(s))])
    ahead = jax.tree.map(lambda z, d: z + reach * d, now, way)
    return jax.tree.map(back, kinds, theta, ahead, arrays["low"], arrays["high"])
