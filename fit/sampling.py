"""Coordinates for samplers: all of R^n, with unit scales if a fit is known.

Each parameter x with bounds low and high is a function of a number y without any. With a scale s, and
softplus(u) = ln(1 + exp(u)):

- no bound: x = s y
- a lower bound: x = low + s softplus(y), an upper one: x = high - s softplus(-y)
- both: x = low + s (softplus(y) - softplus(y - (high - low) / s))

so that x rises with y, as fast as s y away from the bounds and like an exponential within s of them: a posterior that
is Gaussian stays so, however near a bound is. A density in y is that in x times dx / dy, whose logarithm is added.
`whitened` takes the standard deviations of a fit for s and puts y = centre + root z, where at the best fit root root^T
is the covariance in y: z is about standard normal. Without a fit s is the distance of the initial value to the bound,
or that of both bounds to each other.

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
    scale: Float[Array, " n"]

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
        volume = jnp.where(held, -(y**2) / 2, log_slope(y, low, high, self.scale))
        constant = jnp.linalg.slogdet(self.root)[1]
        return -self.likelihood.stat(bounded(y, low, high, self.scale)) / 2 + jnp.sum(volume) + constant

    def to_theta(self, z: Float[Array, "*batch n"]) -> jax.Array:
        """The parameters of points ``z`` (..., n)."""
        y = self.center + jnp.asarray(z) @ self.root.T
        return bounded(y, self.likelihood.low, self.likelihood.high, self.scale)

    def from_theta(self, theta: Float[Array, " n"]) -> jax.Array:
        """The point of parameters (n,) inside the bounds."""
        y = unbounded(jnp.asarray(theta), self.likelihood.low, self.likelihood.high, self.scale)
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
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Centre (n,), root (n, n) and scale (n,) of unbounded coordinates for a best fit and its covariance.

    Parameters without a finite error have the scale that they have without a fit.
    """
    low, high = jnp.asarray(low), jnp.asarray(high)
    variance = jnp.diagonal(covariance)
    known = (variance > 0) & jnp.isfinite(variance) & (low < high)
    sigma = jnp.where(known, jnp.sqrt(jnp.where(known, variance, 1.0)), distances(theta, low, high))
    # from bounds so far as a step of a standard deviation is one there
    room = jnp.minimum(NEAREST * sigma, jnp.where(jnp.isfinite(high - low), (high - low) / 4, jnp.inf))
    inside = jnp.where(low < high, jnp.clip(theta, low + room, high - room), theta)
    way = jnp.where(high - inside < inside - low, -1.0, 1.0)
    end = jnp.clip(inside + way * sigma, low + room / 2, high - room / 2)
    center = unbounded(inside, low, high, sigma)
    scale = jnp.where(known, jnp.abs(unbounded(end, low, high, sigma) - center), 1.0)
    outer = sigma[:, None] * sigma[None, :]
    both = known[:, None] & known[None, :]
    eye = jnp.eye(len(sigma), dtype=sigma.dtype)
    correlation = jnp.where(both & (eye == 0), covariance / outer, eye)
    root = jnp.linalg.cholesky(correlation)
    root = jnp.where(jnp.all(jnp.isfinite(root)), root, eye)
    return center, scale[:, None] * root, sigma


def distances(theta: Float[Array, " n"], low: Array, high: Array) -> jax.Array:
    """Scales (n,) without a fit: distances to the bound, or between the bounds; 1 where there is none, or at it."""
    below, above = jnp.isfinite(low), jnp.isfinite(high)
    lo, hi = jnp.where(below, low, theta), jnp.where(above, high, theta)
    # with two bounds it is their distance, whatever theta is
    scale = jnp.asarray(hi - lo)
    return jnp.where((below | above) & (scale > 0), scale, 1.0)


def bounded(y: Array, low: Array, high: Array, scale: Array) -> jax.Array:
    """x of y, elementwise, see above."""
    below, above = jnp.isfinite(low), jnp.isfinite(high)
    both, lo, hi = below & above, jnp.where(below, low, 0.0), jnp.where(above, high, 0.0)
    rising = lo + scale * jax.nn.softplus(y)
    falling = hi - scale * jax.nn.softplus(-y)
    # what lies above softplus(y - width) may be small beside it
    width = jnp.where(both, (hi - lo) / scale, 1.0)
    inside = lo + scale * (jax.nn.softplus(y) - jax.nn.softplus(y - width))
    nearer = hi - scale * (jax.nn.softplus(width - y) - jax.nn.softplus(-y))
    two_sided = jnp.clip(jnp.where(y < width / 2, inside, nearer), lo, jnp.where(both, hi, jnp.inf))
    return jnp.where(both, two_sided, jnp.where(below, rising, jnp.where(above, falling, scale * y)))


def log_slope(y: Array, low: Array, high: Array, scale: Array) -> jax.Array:
    """ln of dx / dy, elementwise; 0 for held parameters."""
    below, above = jnp.isfinite(low), jnp.isfinite(high)
    both = below & above & (low < high)
    width = jnp.where(both, jnp.where(both, high - low, 1.0) / scale, 1.0)
    two_sided = jax.nn.log_sigmoid(y) + jax.nn.log_sigmoid(width - y) + jnp.log(-jnp.expm1(-width))
    one_sided = jnp.where(below, jax.nn.log_sigmoid(y), jnp.where(above, jax.nn.log_sigmoid(-jnp.asarray(y)), 0.0))
    return jnp.where(low < high, jnp.where(both, two_sided, one_sided) + jnp.log(scale), 0.0)


def unbounded(x: Array, low: Array, high: Array, scale: Array) -> jax.Array:
    """y of x, elementwise; 0 for held parameters."""
    below, above = jnp.isfinite(low), jnp.isfinite(high)
    free = low < high
    from_low = jnp.where(below & free, (x - jnp.where(below, low, 0.0)) / scale, 1.0)
    from_high = jnp.where(above & free, (jnp.where(above, high, 0.0) - x) / scale, 1.0)
    # the inverse of softplus, and of the difference of two: 1 - exp(-(high - x) / s) is what the upper bound leaves
    up = from_low + jnp.log(-jnp.expm1(-from_low))
    down = from_high + jnp.log(-jnp.expm1(-from_high))
    one_sided = jnp.where(below, up, -down)
    two_sided = up - jnp.log(-jnp.expm1(-from_high))
    bent = jnp.where(below & above, jnp.where(free, two_sided, 0.0), one_sided)
    return jnp.where(below | above, bent, x / scale)
