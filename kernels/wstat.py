"""Profile likelihood of an on/off measurement with unknown background.

n_on ~ Poisson(s + alpha b), n_off ~ Poisson(b): b is the background expected in the off region, eliminated at its
maximum-likelihood value (Li & Ma 1983, ApJ 272, 317; Arnaud et al., XSPEC manual, appendix B, "W statistic").

With y = (1 + alpha) s and D^2 = (y - alpha (n_on - n_off))^2 + 4 alpha^2 n_on n_off >= 0 the two expectations are

    m = s + alpha b = (alpha (n_on + n_off) + y + D) / (2 (1 + alpha))
            b       = (alpha (n_on + n_off) - y + D) / (2 alpha (1 + alpha))

which shows that they exist for every real s: negative signal is a valid model as long as alpha > 0.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .cash import TRUNCATION, cash_deviance, cash_offset

Bins = Float[Array, "..."]


def profile_expectations(n_on: Bins, n_off: Bins, alpha: Bins, mu_sig: Bins) -> tuple[Bins, Bins]:
    """Expected on counts m = s + alpha b and expected off counts b at the profiled background.

    Each is computed in the form without cancellation. At alpha = 0 they are the limits max(s, 0) and n_off.
    **Shapes**: any, broadcast.
    """
    y = (1 + alpha) * mu_sig
    total = alpha * (n_on + n_off)
    root = _hypot(
        y - alpha * (n_on - n_off), jnp.where(n_on * n_off > 0, 2 * alpha * jnp.sqrt(_guard(n_on * n_off)), 0.0)
    )
    up, down = total + y, total - y
    m = jnp.where(
        up >= 0,
        (up + root) / (2 * (1 + alpha)),
        _ratio(-2 * alpha * mu_sig * n_on, root - jnp.where(up >= 0, -1.0, up)),
    )
    direct = _ratio(down + root, 2 * alpha * (1 + alpha))
    stable = _ratio(2 * n_off * mu_sig, root - jnp.where(down >= 0, -1.0, down))
    b = jnp.where(down >= 0, direct, stable)
    # 0/0 of both forms at alpha = s = 0
    b = jnp.where((alpha == 0) & (down >= 0), n_off, b)
    return m, b


def profile_background(n_on: Bins, n_off: Bins, alpha: Bins, mu_sig: Bins) -> Bins:
    """Expected counts in the off region at the profiled background."""
    return profile_expectations(n_on, n_off, alpha, mu_sig)[1]


@jax.custom_jvp
def _profile_deviance(n_on: Bins, n_off: Bins, alpha: Bins, mu_sig: Bins) -> Bins:
    return _deviance(n_on, n_off, *profile_expectations(n_on, n_off, alpha, mu_sig))


@_profile_deviance.defjvp
def _profile_deviance_jvp(primals, tangents):
    # Envelope theorem: at the profiled background the derivative along b vanishes. This keeps the slope exact on the
    # branch boundaries D = 0, where b itself has a kink.
    n_on, n_off, alpha, mu_sig = primals
    d_on, d_off, d_alpha, d_sig = tangents
    m, b = profile_expectations(n_on, n_off, alpha, mu_sig)
    slope = slope_in_signal(n_on, n_off, alpha, mu_sig, m)
    along_alpha = b * slope
    along_on = jnp.where((n_on > 0) & (m > 0), 2 * (_log(n_on) - _log(m)), 0.0)
    along_off = jnp.where((n_off > 0) & (b > 0), 2 * (_log(n_off) - _log(b)), 0.0)
    return _deviance(n_on, n_off, m, b), slope * d_sig + along_alpha * d_alpha + along_on * d_on + along_off * d_off


def slope_in_signal(n_on: Bins, n_off: Bins, alpha: Bins, mu_sig: Bins, m: Bins) -> Bins:
    """Derivative of the profile statistic in the signal, 2 (1 - n_on / m).

    Where the expectation of the on region is held at zero (n_on = 0 and s < -alpha n_off / (1 + alpha)) the slope is
    that of b = -s / alpha.
    """
    free = m > 0
    held = 2 * (-_ratio(jnp.ones_like(m), alpha) - _ratio(n_off, mu_sig))
    # alpha = 0 and s <= 0 with counts: the value is the constant of the floor
    held = jnp.where((alpha > 0) & (mu_sig < 0), held, jnp.where((n_on == 0) & (mu_sig >= 0), 2.0, 0.0))
    return jnp.where(free, 2 * (1 - _ratio(n_on, m)), held)


def wstat(
    n_on: Bins, n_off: Bins, alpha: Bins, mu_sig: Bins, mu_bkg: Bins | None = None, extra_terms: bool = True
) -> Bins:
    """W statistic per bin.

    2 [s + (1 + alpha) b - n_on ln(s + alpha b) - n_off ln b] with b profiled, or fixed to ``mu_bkg`` (expectation in
    the off region); with ``extra_terms`` the data-only constant is added that makes the value a deviance, zero for a
    perfect model.

    **Shapes**: any, broadcast. ``alpha`` is the ratio of on to off acceptance. At alpha = 0 the off counts say nothing
    about the on region and the value is its limit, the Poisson deviance of n_on and s (gammapy: NaN).
    """
    n_on, n_off, alpha, mu_sig = _floats(n_on, n_off, alpha, mu_sig)
    if mu_bkg is None:
        deviance = _profile_deviance(n_on, n_off, alpha, mu_sig)
    else:
        deviance = _deviance(n_on, n_off, mu_sig + alpha * mu_bkg, mu_bkg)
    return deviance if extra_terms else deviance + cash_offset(n_on) + cash_offset(n_off)


def wstat_terms(n_on: Bins, n_off: Bins, alpha: Bins, mu_sig: Bins) -> tuple[Bins, Bins, Bins]:
    """W statistic, its slope in s, and its expected curvature 2 / (m + alpha^2 b): what scoring needs.

    The curvature is the Schur complement of the Fisher information of (s, b): the variance of the excess is
    s + alpha b + alpha^2 b. Where counts were seen and m vanishes, slope and curvature are those of the floor; a bin in
    which nothing was seen and nothing is expected has a slope but, like its linear statistic, no curvature.
    """
    m, b = profile_expectations(n_on, n_off, alpha, mu_sig)
    seen = n_on > 0
    slope = jnp.where(seen, 2 * (1 - n_on / jnp.maximum(m, TRUNCATION)), slope_in_signal(n_on, n_off, alpha, mu_sig, m))
    variance = m + alpha**2 * b
    weight = jnp.where(seen | (variance > TRUNCATION), 2 / jnp.maximum(variance, TRUNCATION), 0.0)
    return _deviance(n_on, n_off, m, b), slope, weight


def _deviance(n_on: Bins, n_off: Bins, m: Bins, b: Bins) -> Bins:
    """Poisson deviance of on and off counts together (stacked: half the program)."""
    n_on, n_off, m, b = jnp.broadcast_arrays(n_on, n_off, m, b)
    return jnp.sum(cash_deviance(jnp.stack([n_on, n_off]), jnp.stack([m, b])), axis=0)


def _floats(*arrays: Array) -> list[Array]:
    """Broadcast to one shape and one floating dtype; integer counts become floats, float32 stays float32."""
    dtype = jnp.result_type(*arrays)
    dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
    return [jnp.asarray(a, dtype) for a in jnp.broadcast_arrays(*arrays)]


def _guard(x: Array) -> Array:
    return jnp.where(x > 0, x, 1.0)


def _log(x: Array) -> Array:
    return jnp.log(_guard(x))


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Quotient, 0 with zero slope where the denominator vanishes."""
    safe = jnp.where(denominator == 0, 1.0, denominator)
    return jnp.where(denominator == 0, 0.0, numerator / safe)


def _hypot(x: Array, y: Array) -> Array:
    """sqrt(x^2 + y^2) without overflow or underflow, slope sign(x) on y = 0 and 0 at the origin."""
    ax, ay = jnp.abs(x), jnp.abs(y)
    # lax.sign-based abs has slope 0 at 0, which is the choice wanted at the origin
    big, small = jnp.where(ax >= ay, ax, ay), jnp.where(ax >= ay, ay, ax)
    q = _ratio(small, big)
    return big * jnp.sqrt(1 + q * q)
