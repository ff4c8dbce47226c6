"""Significance, asymmetric errors and upper limits of an excess of counts.

With a known background mu_b the best signal is n - mu_b, and the rise of the Cash statistic from there to no signal is
the test statistic (Cash 1979, ApJ 228, 939). With off counts it is the rise of the profile likelihood statistic, whose
root is the significance of Li & Ma (1983, ApJ 272, 317, equation 17). Errors and limits are the signals at which the
statistic is n_sigma^2 above its minimum.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import erfc, gammaincc, gammaln
from jaxtyping import Array, Float

from .arrays import Real
from .cash import cash_deviance
from .roots import find_root, quotient, widened
from .wstat import profile_expectations, slope_in_signal, wstat

Bins = Float[Array, "..."]

Number = Real

NEWTON_STEPS = 8
"""Newton steps for the errors of Poisson counts: enough for rounding accuracy for counts from 1e-6 to 1e15."""

DEEP_TAIL = 500.0
"""Argument from which the incomplete gamma function is taken from its asymptotic series."""


def cash_ts(n_on: Bins, mu_bkg: Bins) -> Bins:
    """2 [mu_b - n + n ln(n / mu_b)]: the rise of the Cash statistic from the best signal to none."""
    return jnp.maximum(cash_deviance(n_on, mu_bkg), 0.0)


def wstat_ts(n_on: Bins, n_off: Bins, alpha: Bins, mu_sig: Number = 0.0) -> Bins:
    """The rise of the W statistic from the best signal to ``mu_sig``; for 0 the square of Li & Ma's equation 17."""
    return jnp.maximum(wstat(n_on, n_off, alpha, jnp.asarray(mu_sig)), 0.0)


def signed_root(ts: Bins, excess: Bins) -> Bins:
    """sign(excess) sqrt(ts): the significance in standard deviations."""
    return jnp.sign(excess) * jnp.sqrt(ts)


def one_sided_p_value(ts: Bins) -> Bins:
    """Half the tail of chi2 with one degree of freedom above ``ts``, whatever the sign of the excess that gave it."""
    return erfc(jnp.sqrt(ts / 2)) / 2


def cash_errn(n_on: Bins, n_sigma: Number = 1.0) -> Bins:
    """Distance down to the signal whose Cash statistic is n_sigma^2 above the minimum; 0 for no counts.

    n (W_0(-exp(-c / n - 1)) + 1) with c = n_sigma^2 / 2 and W Lambert's function, without its cancellation for large n.
    """
    n = jnp.where(n_on > 0, n_on, 1.0)
    return jnp.where(n_on > 0, -n * jnp.expm1(_log_ratio(n_sigma**2 / 2 / n, -1.0)), 0.0)


def cash_errp(n_on: Bins, n_sigma: Number = 1.0) -> Bins:
    """Distance up, -n (W_-1(-exp(-c / n - 1)) + 1); c = n_sigma^2 / 2 for no counts."""
    n = jnp.where(n_on > 0, n_on, 1.0)
    half = n_sigma**2 / 2
    return jnp.where(n_on > 0, n * jnp.expm1(_log_ratio(half / n, 1.0)), half)


def cash_upper_limit(n_on: Bins, mu_bkg: Bins, n_sigma: Number = 3.0) -> Bins:
    """Signal above the best one at which the Cash statistic has risen by n_sigma^2.

    Without counts the statistic is counted from a signal of 0, so that the limit n_sigma^2 / 2 does not depend on the
    background.
    """
    return jnp.where(n_on > 0, n_on - mu_bkg + cash_errp(n_on, n_sigma), n_sigma**2 / 2)


def cash_matching_excess(mu_bkg: Bins, significance: Number) -> Bins:
    """Excess e with sign(e) sqrt(cash_ts(mu_b + e, mu_b)) = ``significance``.

    NaN without background (any excess is then infinitely significant), and where even no counts at all are less
    significant: below -sqrt(2 mu_b).
    """
    mu = jnp.where(mu_bkg > 0, mu_bkg, 1.0)
    mu, significance = jnp.broadcast_arrays(mu, jnp.asarray(significance, mu.dtype))
    target = significance**2

    def rise(n: Bins) -> tuple[Bins, Bins]:
        ratio = jnp.maximum(n, 0.0) / mu
        return cash_deviance(jnp.maximum(n, 0.0), mu) - target, 2 * _log(ratio)

    excess = _matching_excess(rise, mu, significance)
    return jnp.where(mu_bkg > 0, excess, jnp.nan)


def wstat_errn(n_on: Bins, n_off: Bins, alpha: Bins, n_sigma: Number = 1.0) -> Bins:
    """Distance from the best signal down to that whose W statistic is n_sigma^2 higher.

    n_on where the statistic does not rise so far (alpha = 0 without counts).
    """
    distance = _wstat_distance(n_on, n_off, alpha, n_sigma, -1.0)
    return jnp.where(jnp.isnan(distance), n_on, distance)


def wstat_errp(n_on: Bins, n_off: Bins, alpha: Bins, n_sigma: Number = 1.0) -> Bins:
    """Distance from the best signal up to that whose W statistic is n_sigma^2 higher."""
    return _wstat_distance(n_on, n_off, alpha, n_sigma, 1.0)


def wstat_matching_excess(n_off: Bins, alpha: Bins, significance: Number) -> Bins:
    """Excess e with sign(e) sqrt(wstat_ts(alpha n_off + e, n_off, alpha)) = ``significance``.

    NaN for alpha = 0, and where even no counts at all are less significant: below -sqrt(2 n_off ln(1 + alpha)).
    """
    n_off, alpha, significance = _floats(n_off, alpha, significance)
    safe = jnp.where(alpha > 0, alpha, 1.0)
    target = significance**2

    def rise(n: Bins) -> tuple[Bins, Bins]:
        n = jnp.maximum(n, 0.0)
        m, _ = profile_expectations(n, n_off, safe, jnp.zeros_like(n))
        return wstat(n, n_off, safe, jnp.zeros_like(n)) - target, 2 * _log(n / jnp.where(m > 0, m, 1.0))

    return jnp.where(alpha > 0, _matching_excess(rise, safe * n_off, significance), jnp.nan)


def sigma_to_ts(n_sigma: Bins, df: Number) -> Bins:
    """Test statistic of ``df`` degrees of freedom that is as rare as ``n_sigma`` standard deviations (two-sided).

    The tail of chi2(df) above it is that of chi2(1) above n_sigma^2 (Wilks 1938). Works in logarithms of the tails, so
    that 40 standard deviations and more have a value.
    """
    n_sigma, shape = _floats(n_sigma, df)
    return 2 * _tail_argument(_log_tail(jnp.full_like(shape, 0.5), n_sigma**2 / 2), n_sigma**2 / 2, shape / 2)


def ts_to_sigma(ts: Bins, df: Number) -> Bins:
    """Standard deviations that are as rare as a test statistic of ``df`` degrees of freedom: undoes `sigma_to_ts`."""
    ts, shape = _floats(ts, df)
    ts = jnp.maximum(ts, 0.0)
    return jnp.sqrt(2 * _tail_argument(_log_tail(shape / 2, ts / 2), ts / 2, jnp.full_like(shape, 0.5)))


def _log_ratio(x: Real, sign: float) -> Bins:
    """v with exp(v) - 1 - v = x and the given sign: ln of the ratio of the signal's expectation to the best one."""
    t = sign * jnp.sqrt(2 * jnp.where(x > 0, x, 1.0))
    if sign > 0:
        start = jnp.where(t < 2, t - t**2 / 6 + t**3 / 36, jnp.log1p(x + jnp.log1p(x)))
    else:
        start = t - jnp.where(x < 3, t**2 / 6, x - jnp.abs(t) + 1)

    def step(v: Bins) -> Bins:
        return v - quotient(_expm1_less(v) - x, jnp.expm1(v))

    v = jax.lax.stop_gradient(start)
    for _ in range(NEWTON_STEPS):
        v = jax.lax.stop_gradient(step(v))
    return jnp.where(x > 0, step(v), 0.0)


def _expm1_less(v: Bins) -> Bins:
    """exp(v) - 1 - v, by its series near 0."""
    near = jnp.abs(v) < 0.3
    small = jnp.where(near, v, 0.0)
    series = jnp.zeros_like(v)
    for k in range(14, 1, -1):
        series = (series + 1) * small / k
    return jnp.where(near, series * small, jnp.expm1(v) - v)


def _wstat_distance(n_on: Bins, n_off: Bins, alpha: Bins, n_sigma: Number, sign: float) -> Bins:
    n_on, n_off, alpha, n_sigma = _floats(n_on, n_off, alpha, n_sigma)
    best, target = n_on - alpha * n_off, n_sigma**2

    def rise(distance: Bins) -> tuple[Bins, Bins]:
        s = best + sign * distance
        m, _ = profile_expectations(n_on, n_off, alpha, s)
        return wstat(n_on, n_off, alpha, s) - target, sign * slope_in_signal(n_on, n_off, alpha, s, m)

    width = 2 * n_sigma * (jnp.sqrt(n_on + alpha**2 * n_off) + 1)
    width = widened(rise, width)
    root = find_root(rise, jnp.zeros_like(width), width)
    return jnp.where(jax.lax.stop_gradient(rise(width)[0]) >= 0, root, jnp.nan)


def _matching_excess(rise: Callable[[Bins], tuple[Bins, Bins]], mu: Bins, significance: Bins) -> Bins:
    """Counts above (or below) the background ``mu`` at which a statistic has risen enough, less the background."""
    width = widened(lambda w: rise(mu + w), jnp.abs(significance) * (jnp.sqrt(mu) + 1) + 1e-3)
    end = jnp.where(significance > 0, mu + width, 0.0)
    reached = jax.lax.stop_gradient(rise(end)[0]) >= 0
    root = find_root(rise, mu, end)
    return jnp.where(significance == 0, 0.0, jnp.where(reached, root - mu, jnp.nan))


def _log_tail(shape: Bins, x: Bins) -> Bins:
    """ln Q(a, x) of the regularised upper incomplete gamma function.

    Far out from its asymptotic series (Abramowitz & Stegun 6.5.32), as Q itself underflows.
    """
    deep = x > DEEP_TAIL + 4 * shape**2
    near, far = jnp.where(deep, 1.0, x), jnp.where(deep, x, 1e6)
    series, term = jnp.ones_like(far), jnp.ones_like(far)
    for k in range(1, 12):
        term = term * (shape - k) / far
        series = series + term
    asymptotic = (shape - 1) * jnp.log(far) - far - gammaln(shape) + jnp.log(series)
    return jnp.where(deep, asymptotic, jnp.log(jnp.maximum(gammaincc(shape, near), 1e-300)))


def _tail_argument(log_tail: Bins, like: Bins, shape: Bins) -> Bins:
    """x with ln Q(shape, x) = ``log_tail``; ``like`` is about as large."""

    def below(x: Bins) -> tuple[Bins, Bins]:
        found = _log_tail(shape, x)
        density = (shape - 1) * _log(x) - x - gammaln(shape) - found
        return log_tail - found, jnp.exp(jnp.minimum(density, 600.0))

    zero = jnp.zeros_like(like)
    root = find_root(below, zero, widened(below, like + shape + 1))
    return jnp.where(log_tail < 0, root, zero)


def _floats(*arrays: Real) -> list[Array]:
    dtype = jnp.result_type(float, *arrays)
    return [jnp.asarray(a, dtype) for a in jnp.broadcast_arrays(*map(jnp.asarray, arrays))]


def _log(x: Bins) -> Bins:
    """ln x, and that of the smallest float where x is not positive."""
    return jnp.log(jnp.where(x > 0, x, math.ulp(0.0) * 2**60))
