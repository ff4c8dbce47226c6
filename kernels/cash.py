"""Cash statistic of Poisson counts with a known expectation (Cash 1979, ApJ 228, 939)."""

import jax.numpy as jnp
from jax.scipy.special import xlogy
from jaxtyping import Array, Float

TRUNCATION = 1e-25
"""Expectations at or below this value count as this value where counts were seen (the field's convention)."""


def cash(counts: Float[Array, "..."], npred: Float[Array, "..."]) -> Float[Array, "..."]:
    """Cash statistic per bin, 2 (mu - n ln mu).

    mu is floored at `TRUNCATION` where n != 0, so that a bin with counts and no expectation costs 115.13 n instead of
    infinity; below the floor value and slope are those of a constant. Where n = 0 the value is 2 max(mu, 0).

    **Shapes**: any, broadcast. **Source**: Cash 1979, equation 5; without the constant 2 ln n!.
    """
    empty = counts == 0
    floored = _floored(npred)
    return 2 * (jnp.where(empty, _positive_part(npred), floored) - counts * jnp.log(jnp.where(empty, 1.0, floored)))


def cash_deviance(counts: Float[Array, "..."], npred: Float[Array, "..."]) -> Float[Array, "..."]:
    """Cash statistic minus its minimum 2 (n - n ln n): zero where mu = n.

    A sum of deviances keeps digits that a sum of `cash` loses, which is what makes float32 fits possible.
    """
    n = jnp.where(counts > 0, counts, 1.0)
    ratio = _floored(npred) / n
    seen = 2 * n * _relative_deviance(ratio)
    # negative counts never pass a dataset's checks; a background-subtracted number here has no deviance
    return jnp.where(counts > 0, seen, cash(counts, npred))


def cash_offset(counts: Float[Array, "..."]) -> Float[Array, "..."]:
    """Data-only constant: `cash` = `cash_deviance` + `cash_offset`."""
    return jnp.where(counts > 0, 2 * (counts - xlogy(counts, jnp.where(counts > 0, counts, 1.0))), 0.0)


def cash_terms(counts: Float[Array, "..."], npred: Float[Array, "..."]) -> tuple[Array, Array, Array]:
    """`cash_deviance`, its slope in mu and its expected curvature, (D, 2 (1 - n / mu), 2 / mu): what scoring needs.

    Slope and curvature are taken at the floored mu, so that a model that predicts nothing where counts were seen still
    feels a pull. A bin in which nothing was seen and nothing is expected has no curvature, like its linear statistic;
    its slope is 2 at mu = 0 and 0 below.
    """
    above = npred > TRUNCATION
    floored = _floored(npred)
    seen = counts > 0
    slope = jnp.where(seen | (npred >= 0), 2 * (1 - counts / floored), 0.0)
    return cash_deviance(counts, npred), slope, jnp.where(seen | above, 2 / floored, 0.0)


def _floored(npred: Array) -> Array:
    """The expectation, at least `TRUNCATION`; NaN stays NaN."""
    return jnp.where((npred > TRUNCATION) | jnp.isnan(npred), npred, TRUNCATION)


def _positive_part(x: Array) -> Array:
    """max(x, 0) with the slope from the right at zero."""
    return jnp.where(x >= 0, x, jnp.where(jnp.isnan(x), x, 0.0))


def _relative_deviance(ratio: Array) -> Array:
    """r - 1 - ln r, by a series where r is near 1."""
    x = ratio - 1
    near = jnp.abs(x) < 1e-2
    small = jnp.where(near, x, 0.0)
    series = small**2 * (1 / 2 - small * (1 / 3 - small * (1 / 4 - small * (1 / 5 - small * (1 / 6 - small / 7)))))
    return jnp.where(near, series, x - jnp.log(jnp.where(near, 1.0, ratio)))
