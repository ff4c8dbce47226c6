"""Chi-square of measured values with Gaussian errors."""

import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float


def chi2(
    values: Float[Array, "..."], predicted: Float[Array, "..."], errors: Float[Array, "..."]
) -> Float[Array, "..."]:
    """((d - f) / sigma)^2 per bin. ``errors`` must be positive; bins to be left out are masked by the caller."""
    return ((values - predicted) / errors) ** 2


def whiten(vector: Float[Array, " n"], covariance: Float[Array, "n n"]) -> Float[Array, " n"]:
    """L^-1 x with covariance = L L^T (Cholesky): the components of x in units of independent standard errors.

    chi-square with a full covariance is the sum of squares of the whitened residuals, so fits with correlated errors
    are fits with independent unit errors of whitened data and predictions. NaN where the covariance is not positive
    definite.
    """
    return solve_triangular(jnp.linalg.cholesky(covariance), vector, lower=True)


def chi2_covariance(
    values: Float[Array, " n"], predicted: Float[Array, " n"], covariance: Float[Array, "n n"]
) -> Float[Array, " n"]:
    """(d - f)^T C^-1 (d - f) as n terms that sum to it: squares of the whitened residuals."""
    return whiten(values - predicted, covariance) ** 2
