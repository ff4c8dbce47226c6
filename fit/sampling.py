"""Coordinates for samplers: all of R^n, with unit scales if a fit is known.

Each parameter x with bounds low and high is a function of a number y without any:

- no bound: x = y
- a lower bound: x = low + exp(y), an upper one: x = high - exp(-y)
- both: x = low + (high - low) / (1 + exp(-y))

so that x rises with y. A density in y is that in x times dx / dy, whose logarithm is added. `whitened` puts
y = centre + root z, where at the best fit root root^T is the covariance in y: z is about standard normal.

A parameter that is held (low = high) is not sampled: x stays, and its y is standard normal.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Float

from ..datasets.arrays import Array
from ..datasets.errors import listed
from ..datasets.shown import robust

NEAREST = 0.1
"""Distance of the centre from a bound at least, in standard deviations."""


class SamplingDensity(eqx.Module):
    """ln of the posterior density on all of R^n, up to a constant of the data; see `Likelihood.whitened`.

    ``log_prob(z)`` is a pure scalar with the Jacobian of the transform in it; ``to_theta(z)`` gives the parameters (n,)
    in the order of ``names``, ``from_theta(theta)`` the way back. ``initial`` is where a sampler may start.
    """

    likelihood: Any
    center: Float[Array, " n"]
    root: Float[Array, "n n"]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        names: tuple[str, ...] = self.likelihood.names
        return names

    @property
    def initial(self) -> jax.Array:
        """The parameters that the likelihood was made with, (n,)."""
        return self.from_theta(self.likelihood.initial)

    def log_prob(self, z: Float[Array, " n"]) -> jax.Array:
        """ln of the density at ``z`` (n,), a scalar."""
        low, high = self.likelihood.low, self.likelihood.high
        y = self.center + self.root @ jnp.asarray(z)
        held = low >= high
        volume = jnp.where(held, -(y**2) / 2, log_slope(y, low, high))
        constant = jnp.linalg.slogdet(self.root)[1]
        return -self.likelihood.stat(bounded(y, low, high)) / 2 + jnp.sum(volume) + constant

    def to_theta(self, z: Float[Array, "*batch n"]) -> jax.Array:
        """The parameters of points ``z`` (..., n)."""
        y = self.center + jnp.asarray(z) @ self.root.T
        return bounded(y, self.likelihood.low, self.likelihood.high)

    def from_theta(self, theta: Float[Array, " n"]) -> jax.Array:
        """The point of parameters (n,) inside the bounds."""
        y = unbounded(jnp.asarray(theta), self.likelihood.low, self.likelihood.high)
        return jnp.linalg.solve(self.root, y - self.center)

    @robust
    def __repr__(self) -> str:
        """The parameters."""
        return f"SamplingDensity({listed(self.names)})"

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


def whitening(
    theta: Float[Array, " n"], covariance: Float[Array, "n n"], low: Array, high: Array
) -> tuple[jax.Array, jax.Array]:
    """Centre (n,) and root (n, n) in unbounded coordinates of a best fit and its covariance.

    Parameters without a finite error have scale 1 there.
    """
    low, high = jnp.asarray(low), jnp.asarray(high)
    variance = jnp.diagonal(covariance)
    known = (variance > 0) & jnp.isfinite(variance) & (low < high)
    sigma = jnp.where(known, jnp.sqrt(jnp.where(known, variance, 1.0)), 1.0)
    # from bounds so far as a step of a standard deviation is one there
    room = jnp.minimum(NEAREST * sigma, jnp.where(jnp.isfinite(high - low), (high - low) / 4, jnp.inf))
    inside = jnp.where(low < high, jnp.clip(theta, low + room, high - room), theta)
    way = jnp.where(high - inside < inside - low, -1.0, 1.0)
    end = jnp.clip(inside + way * sigma, low + room / 2, high - room / 2)
    center = unbounded(inside, low, high)
    scale = jnp.where(known, jnp.abs(unbounded(end, low, high) - center), 1.0)
    outer = sigma[:, None] * sigma
    both = known[:, None] & known
    eye = jnp.eye(len(sigma))
    correlation = jnp.where(both & (eye == 0), covariance / outer, eye)
    root = jnp.linalg.cholesky(correlation)
    root = jnp.where(jnp.all(jnp.isfinite(root)), root, eye)
    return center, scale[:, None] * root


def bounded(y: Array, low: Array, high: Array) -> jax.Array:
    """x of y, elementwise, see above."""
    below, above = jnp.isfinite(low), jnp.isfinite(high)
    lo, hi = jnp.where(below, low, 0.0), jnp.where(above, high, 0.0)
    one_sided = jnp.where(below, lo + jnp.exp(_only(y, below & ~above)), hi - jnp.exp(-_only(y, above & ~below)))
    two_sided = lo + (hi - lo) * jax.nn.sigmoid(_only(y, below & above))
    return jnp.where(below & above, two_sided, jnp.where(below | above, one_sided, y))


def log_slope(y: Array, low: Array, high: Array) -> jax.Array:
    """ln of dx / dy, elementwise; 0 for held parameters."""
    below, above = jnp.isfinite(low), jnp.isfinite(high)
    both = below & above
    free = jnp.where(both & (low < high), high - low, 1.0)
    inside = _only(y, both)
    two_sided = jnp.log(free) + jax.nn.log_sigmoid(inside) + jax.nn.log_sigmoid(-inside)
    return jnp.where(both, two_sided, jnp.where(below, y, jnp.where(above, -jnp.asarray(y), 0.0)))


def unbounded(x: Array, low: Array, high: Array) -> jax.Array:
    """y of x, elementwise; 0 for held parameters."""
    below, above = jnp.isfinite(low), jnp.isfinite(high)
    held = low >= high
    from_low = jnp.where(below & ~held, x - jnp.where(below, low, 0.0), 1.0)
    from_high = jnp.where(above & ~held, jnp.where(above, high, 0.0) - x, 1.0)
    bent = jnp.log(from_low) - jnp.log(from_high)
    return jnp.where(below | above, bent, x)


def _only(y: Array, where: jax.Array) -> jax.Array:
    """y there and 0 elsewhere, whose exponential has a slope whatever y is."""
    return jnp.where(where, y, 0.0)
