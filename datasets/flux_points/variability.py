"""Measures of variability of fluxes with errors, one for each band of energy.

All take fluxes and errors of shape (n_times, n_bands), in order of time; fluxes that are NaN, or whose errors are, are
left out. Bands with fewer than two fluxes are NaN.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Fluxes = Float[np.ndarray, "n_times n_bands"]

PerBand = Float[np.ndarray, " n_bands"]


class Variability(NamedTuple):
    """A fractional root mean square and its error, (n_bands,). NaN where the scatter is less than the errors explain;
    ``excess`` is the square then too: negative."""

    value: PerBand
    error: PerBand
    excess: PerBand


class Constancy(NamedTuple):
    """Chi-square of a constant flux with its degrees of freedom and the probability of a larger one, and the constant,
    the mean weighted with 1 / error^2: all (n_bands,)."""

    chi2: PerBand
    ndf: Int[np.ndarray, " n_bands"]
    p_value: PerBand
    mean: PerBand


class Doubling(NamedTuple):
    """Shortest time in which the flux doubles or halves, its error, both in days, and the number of the earlier of the
    two times between which that was found (-1 for none): all (n_bands,)."""

    time: PerBand
    error: PerBand
    place: Int[np.ndarray, " n_bands"]


def excess_variance(flux: Fluxes, error: Fluxes) -> Variability:
    """F_var = sqrt(S^2 - <error^2>) / <flux> with the sample variance S^2.

    Vaughan et al. 2003, MNRAS 345, 1271, equations 8 to 10, the error by equation B2.
    """
    flux, error, n = _known(flux, error)
    mean = _mean(flux, n)
    variance = _over(np.nansum((flux - mean) ** 2, axis=0), n - 1)
    return _fraction(variance, error, mean, n)


def point_to_point_variance(flux: Fluxes, error: Fluxes) -> Variability:
    """F_pp: as F_var, with half the mean square of the differences of successive fluxes as the variance.

    Edelson et al. 2002, ApJ 568, 610, equation 3. The two agree for white noise; of slow variations F_pp sees less.
    """
    flux, error, n = _known(flux, error)
    squares = np.full(flux.shape[1], np.nan)
    for band, values in enumerate(flux.T):
        steps = np.diff(values[np.isfinite(values)])
        if steps.size:
            squares[band] = np.sum(steps**2) / (2 * steps.size)
    return _fraction(squares, error, _mean(flux, n), n)


def constancy(flux: Fluxes, error: Fluxes) -> Constancy:
    """Chi-square of the weighted mean; the probability holds for Gaussian errors."""
    from scipy.special import gammaincc

    flux, error, n = _known(flux, error)
    weight = 1 / error**2
    mean = _over(np.nansum(weight * flux, axis=0), np.nansum(weight, axis=0))
    chi2 = np.where(n > 1, np.nansum(weight * (flux - mean) ** 2, axis=0), np.nan)
    ndf = np.maximum(n - 1, 0)
    return Constancy(chi2, ndf, np.where(n > 1, gammaincc(np.maximum(ndf, 1) / 2, chi2 / 2), np.nan), mean)


def doubling(flux: Fluxes, error: Fluxes, time: Float[np.ndarray, " n_times"], *, falling: bool = False) -> Doubling:
    """Shortest doubling time (t_2 - t_1) / log2(flux_2 / flux_1) of successive fluxes; of halvings if ``falling``.

    As in Brown 2013, MNRAS 431, 824, with errors of the fluxes propagated. Pairs with a flux that is not positive have
    none.
    """
    flux, error, _ = _known(flux, error)
    n_bands = flux.shape[1]
    shortest, sigma, place = np.full(n_bands, np.nan), np.full(n_bands, np.nan), np.full(n_bands, -1)
    for band in range(n_bands):
        there = np.flatnonzero(np.isfinite(flux[:, band]))
        value, spread = flux[there, band], error[there, band]
        good = (value[1:] > 0) & (value[:-1] > 0)
        ratio = np.where(good, value[1:], 1.0) / np.where(good, value[:-1], 1.0)
        slope = np.log2(ratio) * (-1 if falling else 1)
        times = np.full(len(ratio), np.inf)
        np.divide(np.diff(time[there]), slope, out=times, where=slope > 0)
        if not np.isfinite(times).any():
            continue
        first = int(np.argmin(times))
        relative = np.hypot(spread[first] / value[first], spread[first + 1] / value[first + 1])
        shortest[band], place[band] = times[first], there[first]
        sigma[band] = times[first] * relative / abs(np.log(ratio[first]))
    return Doubling(shortest, sigma, place)


def _known(flux: Fluxes, error: Fluxes) -> tuple[Fluxes, Fluxes, Int[np.ndarray, " n_bands"]]:
    """Fluxes and errors, NaN where one of them is unknown, and how many there are in each band."""
    known = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    return np.where(known, flux, np.nan), np.where(known, error, np.nan), known.sum(axis=0)


def _mean(flux: Fluxes, n: np.ndarray) -> PerBand:
    return _over(np.nansum(flux, axis=0), n)


def _over(total: np.ndarray, n: np.ndarray) -> PerBand:
    """Ratios, NaN where there is nothing to divide by."""
    return np.where(n > 0, total / np.where(n > 0, n, 1), np.nan)


def _fraction(variance: PerBand, error: Fluxes, mean: PerBand, n: np.ndarray) -> Variability:
    """The root of the variance beyond that of the errors, in units of the mean flux."""
    noise = _over(np.nansum(error**2, axis=0), n)
    excess = np.where(n > 1, (variance - noise) / mean**2, np.nan)
    positive = excess > 0
    value = np.sqrt(np.where(positive, excess, np.nan))
    of_excess = np.hypot(
        np.sqrt(2 / np.maximum(n, 1)) * noise / mean**2, np.sqrt(noise / np.maximum(n, 1)) * 2 * value / mean
    )
    return Variability(value, of_excess / (2 * value), excess)
