"""Excess, significance, errors and limits of counts: known background, or off counts."""

import abc
import dataclasses
from types import EllipsisType

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...kernels import significance as k
from ...kernels.cash import cash
from ...kernels.programs import Programs
from ...kernels.wstat import wstat
from ..arrays import Array, Numbers, frozen_array, is_concrete
from ..errors import InputError
from ..hints.calls import hinted
from ..hints.modules import HintedModule
from ..shown import Facts, Shown, number_text
from ..statistics.base import Bins
from ..units import Given, as_bins, to_unit

Number = Numbers | float
"""Arrays of any shape, or one number."""

Index = int | slice | EllipsisType | Array | tuple[int | slice | EllipsisType | None, ...]
"""What picks elements of an array."""

# one program a formula and shape, whoever asks
_jitted = {
    f.__name__: Programs(f)
    for f in (
        cash,
        wstat,
        k.cash_ts,
        k.wstat_ts,
        k.cash_errn,
        k.cash_errp,
        k.cash_upper_limit,
        k.cash_matching_excess,
        k.wstat_errn,
        k.wstat_errp,
        k.wstat_matching_excess,
        k.one_sided_p_value,
        k.sigma_to_ts,
        k.ts_to_sigma,
    )
}


class CountsStatistic(Shown, HintedModule):
    """What both kinds of counts statistics share. Arrays of any shape, element by element; jit and vmap work."""

    n_on: eqx.AbstractVar[Numbers]

    @property
    @abc.abstractmethod
    def n_bkg(self) -> Numbers:
        """Background expected in the on region."""

    @property
    @abc.abstractmethod
    def n_sig(self) -> Numbers:
        """Excess."""

    @property
    @abc.abstractmethod
    def ts(self) -> Bins:
        """Rise of the fit statistic from the best signal to none."""

    @property
    def sqrt_ts(self) -> Bins:
        """Significance in standard deviations, with the sign of the excess."""
        return k.signed_root(self.ts, jnp.asarray(self.n_sig))

    @property
    def p_value(self) -> Bins:
        """Half the tail of chi2 (one degree of freedom) above `ts`, as gammapy: for an excess the chance of one as
        significant without a signal. The sign is not looked at: a deficit has the value of the excess of equal `ts`.
        """
        return _call("one_sided_p_value", self.ts)

    @abc.abstractmethod
    def _shown_significance(self) -> np.ndarray:
        """`sqrt_ts` without JAX, which would compile a program for it."""

    @property
    def facts(self) -> Facts:
        shown = {"n_on": self.n_on, "background": self.n_bkg, "excess": self.n_sig}
        concrete = all(is_concrete(leaf) for leaf in jax.tree.leaves(self))
        found = {name: number_text(values) for name, values in shown.items()}
        return found | {"sqrt_ts": number_text(self._shown_significance(), 4) if concrete else "traced"}

    def info_dict(self) -> dict[str, Numbers]:
        """The numbers by gammapy's names."""
        own = {"n_on": self.n_on, "background": self.n_bkg, "excess": self.n_sig, "significance": self.sqrt_ts}
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return own | {"p_value": self.p_value} | given


class CashCountsStatistic(CountsStatistic):
    """Counts ``n_on`` with a known background ``mu_bkg``, numbers or arrays that broadcast.

    Quantities have no unit, or counts. Errors and limits are closed forms (Lambert's W function). InputError for counts
    or backgrounds that are not finite or negative.
    """

    n_on: Numbers
    mu_bkg: Numbers

    def __init__(self, n_on: Given, mu_bkg: Given):
        self.n_on, self.mu_bkg = _broadcast("CashCountsStatistic", n_on=n_on, mu_bkg=mu_bkg)

    def __check_init__(self) -> None:
        _check(self, "n_on", "mu_bkg")

    @property
    def n_bkg(self) -> Numbers:
        return self.mu_bkg

    @property
    def n_sig(self) -> Numbers:
        return self.n_on - self.mu_bkg

    @property
    def error(self) -> Numbers:
        """Square root of the counts."""
        return self.n_on**0.5

    @property
    def stat_null(self) -> Bins:
        """Cash statistic without a signal."""
        return _call("cash", self.n_on, self.mu_bkg)

    @property
    def stat_max(self) -> Bins:
        """Cash statistic of the best signal."""
        return _call("cash", self.n_on, self.n_on)

    @property
    def ts(self) -> Bins:
        return _call("cash_ts", self.n_on, self.mu_bkg)

    def _shown_significance(self) -> np.ndarray:
        return _host_root(_host_deviance(self.n_on, self.mu_bkg), self.n_sig)

    def compute_errn(self, n_sigma: Given = 1.0) -> Bins:
        """Distance down to the signal whose statistic is ``n_sigma``^2 higher than that of the best; 0 for no counts.

        The signal may be negative, down to minus the background.
        """
        return _call("cash_errn", self.n_on, _not_negative(n_sigma))

    def compute_errp(self, n_sigma: Given = 1.0) -> Bins:
        """Distance up to the signal whose statistic is ``n_sigma``^2 higher than that of the best."""
        return _call("cash_errp", self.n_on, _not_negative(n_sigma))

    def compute_upper_limit(self, n_sigma: Given = 3.0) -> Bins:
        """The excess plus `compute_errp`; without counts ``n_sigma``^2 / 2, whatever the background (as gammapy)."""
        return _call("cash_upper_limit", self.n_on, self.mu_bkg, _not_negative(n_sigma))

    def n_sig_matching_significance(self, significance: Given) -> Bins:
        """Excess over this background that has a given `sqrt_ts`; NaN where none has."""
        return _call("cash_matching_excess", self.mu_bkg, to_unit(significance, "", "significance"))

    def sum(self, axis: int | tuple[int, ...] | None = None) -> "CashCountsStatistic":
        """Statistic of the summed counts and backgrounds."""
        return CashCountsStatistic(self.n_on.sum(axis), self.mu_bkg.sum(axis))

    def __getitem__(self, key: Index) -> "CashCountsStatistic":
        return CashCountsStatistic(self.n_on[key], self.mu_bkg[key])


class WStatCountsStatistic(CountsStatistic):
    """Counts ``n_on``, off counts ``n_off``, ratio ``alpha`` of the acceptances on to off; arrays that broadcast.

    ``mu_sig`` is a signal that is known already: `n_sig` and `sqrt_ts` are those of what exceeds it, 0 by default.
    `sqrt_ts` is then equation 17 of Li & Ma (1983). Errors and limits are roots of the profile likelihood statistic.
    Quantities have no unit, or counts. InputError for numbers that are not finite, or negative.
    """

    n_on: Numbers
    n_off: Numbers
    alpha: Numbers
    mu_sig: Numbers

    def __init__(self, n_on: Given, n_off: Given, alpha: Given, mu_sig: Given | None = None):
        signal = 0.0 if mu_sig is None else mu_sig
        given = _broadcast("WStatCountsStatistic", n_on=n_on, n_off=n_off, alpha=alpha, mu_sig=signal)
        self.n_on, self.n_off, self.alpha, self.mu_sig = given

    def __check_init__(self) -> None:
        _check(self, "n_on", "n_off", "alpha")
        if is_concrete(self.mu_sig) and not np.all(np.isfinite(self.mu_sig)):
            raise InputError("WStatCountsStatistic: mu_sig must be finite, found NaN or infinite numbers.")

    @property
    def n_bkg(self) -> Numbers:
        return self.alpha * self.n_off

    @property
    def n_sig(self) -> Numbers:
        return self.n_on - self.n_bkg - self.mu_sig

    def _shown_significance(self) -> np.ndarray:
        n_on, n_off, alpha, signal = (np.asarray(getattr(self, f)) for f in ("n_on", "n_off", "alpha", "mu_sig"))
        # off expectation of the profile: Rolke et al. 2005, as in `kernels.profile_background`
        half = alpha * (n_on + n_off) - (1 + alpha) * signal
        root = np.sqrt(half**2 + 4 * alpha * (1 + alpha) * n_off * signal)
        scale = 2 * alpha * (1 + alpha)
        off = np.where(alpha > 0, (half + root) / np.where(alpha > 0, scale, 1.0), n_off)
        return _host_root(_host_deviance(n_on, signal + alpha * off) + _host_deviance(n_off, off), self.n_sig)

    @property
    def error(self) -> Numbers:
        """sqrt(n_on + alpha^2 n_off)."""
        return (self.n_on + self.alpha**2 * self.n_off) ** 0.5

    @property
    def stat_null(self) -> Bins:
        """W statistic without a signal beyond ``mu_sig``."""
        return _call("wstat", self.n_on, self.n_off, self.alpha, self.mu_sig)

    @property
    def stat_max(self) -> Bins:
        """W statistic of the best signal."""
        return _call("wstat", self.n_on, self.n_off, self.alpha, self.n_on - self.n_bkg)

    @property
    def ts(self) -> Bins:
        return _call("wstat_ts", self.n_on, self.n_off, self.alpha, self.mu_sig)

    def compute_errn(self, n_sigma: Given = 1.0) -> Bins:
        """Distance down to the signal whose statistic is ``n_sigma``^2 higher than that of the best (see the kernel).

        The signal may be negative, as far as it goes with a background that makes up for it.
        """
        return _call("wstat_errn", self.n_on, self.n_off, self.alpha, _not_negative(n_sigma))

    def compute_errp(self, n_sigma: Given = 1.0) -> Bins:
        """Distance up to the signal whose statistic is ``n_sigma``^2 higher than that of the best."""
        return _call("wstat_errp", self.n_on, self.n_off, self.alpha, _not_negative(n_sigma))

    def compute_upper_limit(self, n_sigma: Given = 3.0) -> Numbers:
        """The excess plus `compute_errp`."""
        return self.n_sig + self.compute_errp(n_sigma)

    def n_sig_matching_significance(self, significance: Given) -> Bins:
        """Excess over this background that has a given `sqrt_ts` for ``mu_sig`` = 0; NaN where none has."""
        return _call("wstat_matching_excess", self.n_off, self.alpha, to_unit(significance, "", "significance"))

    def sum(self, axis: int | tuple[int, ...] | None = None) -> "WStatCountsStatistic":
        """Statistic of the summed counts, with alpha = sum alpha n_off / sum n_off and the signals added up.

        Without any off counts alpha is the mean: exact where all are the same.
        """
        n_off, background = self.n_off.sum(axis), self.n_bkg.sum(axis)
        xp = np if isinstance(self.n_off, np.ndarray) else jnp
        seen = n_off > 0
        alpha = xp.where(seen, background / xp.where(seen, n_off, 1.0), self.alpha.mean(axis))
        return WStatCountsStatistic(self.n_on.sum(axis), n_off, alpha, self.mu_sig.sum(axis))

    def __getitem__(self, key: Index) -> "WStatCountsStatistic":
        return WStatCountsStatistic(self.n_on[key], self.n_off[key], self.alpha[key], self.mu_sig[key])


@hinted
def sigma_to_ts(n_sigma: Given, df: Given = 1) -> Bins:
    """Test statistic (``df`` degrees of freedom) as rare as ``n_sigma`` standard deviations; see the kernel."""
    return _call("sigma_to_ts", *_degrees("sigma_to_ts", "n_sigma", n_sigma, df))


@hinted
def ts_to_sigma(ts: Given, df: Given = 1) -> Bins:
    """Standard deviations as rare as a test statistic of ``df`` degrees of freedom; see the kernel."""
    return _call("ts_to_sigma", *_degrees("ts_to_sigma", "ts", ts, df))


def _call(formula: str, *arrays: Number) -> Bins:
    dtype = jnp.result_type(float)
    return _jitted[formula](*(jnp.asarray(a, dtype) for a in arrays))


def _degrees(what: str, name: str, value: Given, df: Given) -> tuple[Number, Number]:
    value, df = to_unit(value, "", f"{what}: {name}"), to_unit(df, "", f"{what}: df")
    if is_concrete(df) and not np.all(np.asarray(df) > 0):
        raise InputError(f"{what}: the degrees of freedom must be positive, found {df}.")
    if is_concrete(value) and is_concrete(df):
        value, df = np.broadcast_arrays(value, df)
    return value, df


def _not_negative(n_sigma: Given | None) -> Numbers:
    number = to_unit(n_sigma, "", "n_sigma")
    if number is None or (is_concrete(number) and not np.all(np.asarray(number) >= 0)):
        raise InputError(f"n_sigma must not be negative, found {number}.")
    return number


def _broadcast(what: str, **arrays: Given | None) -> list[Numbers]:
    for name, values in arrays.items():
        if values is None:
            raise InputError(f"{what}: {name} is missing, expected numbers.")
    given = [as_bins(values, f"{what}: {name}") for name, values in arrays.items()]
    try:
        if all(isinstance(a, np.ndarray) for a in given):
            return [frozen_array(a) for a in np.broadcast_arrays(*given)]
        return list(jnp.broadcast_arrays(*given))
    except ValueError as error:
        raise InputError(f"Counts and backgrounds of shapes {[np.shape(a) for a in given]} do not match.") from error


def _host_deviance(counts: Numbers, expected: Numbers) -> np.ndarray:
    """Poisson deviance by NumPy, as `kernels.cash_deviance`."""
    n, mu = np.asarray(counts, float), np.asarray(expected, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(n > 0, n * np.log(np.where(n > 0, n, 1.0) / mu), 0.0)
    return 2 * (mu - n + logs)


def _host_root(ts: np.ndarray, excess: Numbers) -> np.ndarray:
    return np.sign(np.asarray(excess)) * np.sqrt(np.maximum(ts, 0.0))


def _check(statistic: CountsStatistic, *names: str) -> None:
    for name in names:
        value = getattr(statistic, name)
        if not is_concrete(value):
            continue
        numbers = np.asarray(value)
        bad = ~(np.isfinite(numbers) & (numbers >= 0))
        if bad.any():
            raise InputError(
                f"{type(statistic).__name__}: {name} must be finite and not negative, found {numbers[bad][0]} "
                f"({int(bad.sum())} bad of {numbers.size})."
            )
