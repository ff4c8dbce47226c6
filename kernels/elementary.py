"""Elementary functions with removable singularities, exact to second derivatives on both sides of every branch."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# Terms of the Taylor series on [-1, 1]: the first one left out is below 1e-16 in value and 1e-14 in second derivative.
TERMS = 20


def _series(x: Array, offset: int) -> Array:
    """sum_k x^k / (k + offset)!."""
    return _polynomial(x, tuple(1.0 / math.factorial(k + offset) for k in range(TERMS)))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """sum_k c_k x^k, by Horner's rule; its slope is another such sum, and not the slope of every step."""
    total = jnp.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


@_polynomial.defjvp
def _slope(coefficients: tuple[float, ...], primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (along,) = primals, tangents
    of_slope = tuple(k * c for k, c in enumerate(coefficients))[1:]
    return _polynomial(x, coefficients), _polynomial(x, of_slope) * along


def expm1_ratio(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """(e^x - 1) / x, which is 1 at x = 0."""
    x = jnp.asarray(x)
    near = jnp.abs(x) < 1
    inner, outer = jnp.where(near, x, 0.0), jnp.where(near, 1.0, x)
    return jnp.where(near, _series(inner, 1), jnp.expm1(outer) / outer)


def expm1_remainder(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """(e^x - 1 - x) / x^2, which is 1/2 at x = 0."""
    x = jnp.asarray(x)
    near = jnp.abs(x) < 1
    inner, outer = jnp.where(near, x, 0.0), jnp.where(near, 1.0, x)
    return jnp.where(near, _series(inner, 2), (jnp.expm1(outer) - outer) / outer**2)


def capped_exp(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """e^x, held constant where it would come near the largest number of the dtype (gradient 0 there, never inf)."""
    x = jnp.asarray(x)
    return jnp.exp(jnp.minimum(x, 0.9 * math.log(float(jnp.finfo(x.dtype).max))))


def overflowing(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x, infinite where it is beyond the root of the largest number of the dtype, as what `capped_exp` holds is.

    For numbers that a reader sees; the slope there is 0.
    """
    x = jnp.asarray(x)
    return jnp.where(jnp.abs(x) > math.sqrt(float(jnp.finfo(x.dtype).max)), jnp.sign(x) * jnp.inf, x)


def odd_power(base: Float[Array, "*shape"], exponent: Float[Array, ""]) -> Float[Array, "*shape"]:
    """sign(b) |b|^p for p > 0: a real power that goes on smoothly through b = 0 where the power does.

    At b = 0 the first and second derivatives in b are exact for p = 1, p = 2 and p > 2. For p < 1 and 1 < p < 2 the one
    that diverges is given as 0, so that a gradient stays finite.
    """
    base, exponent = jnp.asarray(base), jnp.asarray(exponent)
    zero = base == 0
    log_size = jnp.log(jnp.where(zero, 1.0, jnp.abs(base)))
    at_zero = base * (exponent == 1) + base * jnp.abs(base) * (exponent == 2)
    return jnp.where(zero, at_zero, base * capped_exp((exponent - 1) * log_size))


def inverse_2x2(matrix: Float[Array, "2 2"]) -> Float[Array, "2 2"]:
    """Inverse of a matrix, in closed form: general ones are calls out of the program, which loops wait for."""
    (a, b), (c, d) = matrix
    return jnp.stack([jnp.stack([d, -b]), jnp.stack([-c, a])]) / (a * d - b * c)
