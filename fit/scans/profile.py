"""Profile likelihood: the fit statistic along a parameter with all others at their best, and what is read off it.

Everything follows Wilks (1938, Ann. Math. Stat. 9, 60): the rise of the statistic above its minimum is a chi2 of as
many degrees of freedom as parameters are held.
"""

import math
import warnings
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from ...datasets.errors import InputError
from ...datasets.hints.calls import hinted
from ...datasets.models.collection import Models
from ...datasets.shown import number_text
from ...datasets.units import Given, to_unit
from ..joint.problem import SomeDatasets
from ..result import FitResult
from ..status import OF_THE_VANISHED, Status
from .conditional import ConditionalFit, crossing

REACHED, BOUND, OPEN = "reached", "bound", "open"

BELOW_ZERO = (
    "The limit is negative, as the best fit is: the model predicts fewer than no counts. For the limit of a flux that "
    "is not negative fit with a bound: models.with_parameter(name, min=0)."
)

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True, eq=False)
class Profile:
    """Fit statistic along a parameter.

    ``values`` (n,) of the parameter ``name`` in ``unit``; ``stat`` (n,) and ``delta_stat`` (n,), its rise above the
    minimum; ``converged`` (n,) says where the other parameters reached their best. Where the statistic does not exist
    it is infinite. ``new_minimum`` are the models at the lowest point if that lies below the minimum of the result, to
    fit again from there; else None.
    """

    name: str
    unit: str
    values: np.ndarray
    stat: np.ndarray
    delta_stat: np.ndarray
    converged: np.ndarray
    new_minimum: Models | None = None

    def __repr__(self) -> str:
        low = self.values[int(np.argmin(self.stat))] if len(self.values) else math.nan
        return (
            f"Profile({self.name}, {number_text(self.values)} {self.unit}".rstrip()
            + f", delta_stat {number_text(self.delta_stat, 4)}, lowest at {low:.6g})"
        )

    def table(self) -> "Table":
        """An astropy Table with one row per value: value, stat, delta_stat, converged."""
        from astropy.table import Table

        columns = [u.Quantity(self.values, self.unit), self.stat, self.delta_stat, self.converged]
        return Table(columns, names=("value", "stat", "delta_stat", "converged"), meta={"parameter": self.name})


@dataclass(frozen=True)
class Interval:
    """Confidence interval of a parameter from its profile likelihood.

    ``lower`` and ``upper`` enclose the best ``value``, all in ``unit``. ``lower_end`` and ``upper_end`` say what they
    are: "reached", the statistic is ``sigma``^2 above its minimum there; "bound", it is not, and the end is the bound
    of the parameter; "open", it is not however far one goes, and the end is infinite. ``converged`` is False if the
    other parameters did not reach their best everywhere on the way. ``evaluations`` counts calls of the likelihood.
    """

    name: str
    unit: str
    sigma: float
    value: float
    lower: float
    upper: float
    lower_end: str
    upper_end: str
    converged: bool
    evaluations: int
    advice: str = ""

    @property
    def errn(self) -> float:
        """Distance from the value down to the lower end."""
        return self.value - self.lower

    @property
    def errp(self) -> float:
        """Distance from the value up to the upper end."""
        return self.upper - self.value

    @property
    def message(self) -> str:
        """What a reader of the numbers has to know besides; empty if nothing."""
        ends = [_told(f"The {side} end", end) for side, end in (("lower", self.lower_end), ("upper", self.upper_end))]
        told = [*ends, *_unconverged(self.converged), self.advice]
        return " ".join(text for text in told if text)

    def __repr__(self) -> str:
        text = f"{self.name} = {self.value:.6g} -{self.errn:.3g} +{self.errp:.3g} {self.unit}".rstrip()
        return f"Interval({text}, {self.sigma:g} sigma)" + (f"  {self.message}" if self.message else "")


@dataclass(frozen=True)
class UpperLimit:
    """One-sided upper limit of a parameter: ``limit`` in ``unit``, ``end`` as the ends of `Interval`.

    ``float()`` of it is the limit, `quantity` too, with its unit. ``best`` is the best fit. ``below_zero`` is True for
    a negative limit of an amplitude or a norm. ``advice``: what to do where there is no limit to find.
    """

    name: str
    unit: str
    confidence: float
    best: float
    limit: float
    end: str
    converged: bool
    evaluations: int
    below_zero: bool = False
    advice: str = ""

    @property
    def value(self) -> float:
        """There is none: it was the best fit, and was taken for the limit."""
        raise AttributeError("an UpperLimit has no value: write .limit or .quantity for the limit, .best for the fit.")

    def __float__(self) -> float:
        return self.limit

    @property
    def quantity(self) -> u.Quantity:
        """The limit with its unit."""
        return u.Quantity(self.limit, self.unit)

    @property
    def message(self) -> str:
        """What a reader of the number has to know besides; empty if nothing."""
        told = _told("The limit", self.end)
        below = [BELOW_ZERO] * self.below_zero
        return " ".join([told] * bool(told) + below + _unconverged(self.converged) + [self.advice] * bool(self.advice))

    def __repr__(self) -> str:
        text = f"{self.name} < {self.limit:.6g} {self.unit}".rstrip()
        return f"UpperLimit({text}, {self.confidence:g} confidence)" + (f"  {self.message}" if self.message else "")


def _told(what: str, end: str) -> str:
    if end == BOUND:
        return f"{what} is the parameter's bound: the statistic does not rise enough before it."
    if end == OPEN:
        return f"{what} is not constrained: the statistic does not rise enough however far one goes."
    return ""


def _advice(result: FitResult, *ends: str) -> str:
    """What to do where a scan of a component that has vanished finds no end."""
    return OF_THE_VANISHED if result.status == Status.VANISHED and OPEN in ends else ""


def _unconverged(converged: bool) -> list[str]:
    return [] if converged else ["The other parameters did not reach their best everywhere: take it with care."]


@hinted
def profile(
    datasets: SomeDatasets,
    result: FitResult,
    name: str,
    values: Given | None = None,
    *,
    n: int = 11,
    sigma: Given = 2,
    reoptimize: bool = True,
) -> Profile:
    """Fit statistic along the parameter ``name``, all other free parameters at their best for each value.

    Parameters
    ----------
    datasets, result : what was fitted, and the converged result
    name : full name of a free parameter, or its unambiguous ending
    values : Quantity or numbers in the parameter's unit; default ``n`` values within ``sigma`` errors of the best, cut
        off at the bounds
    reoptimize : False leaves the other parameters where they are

    Where the models may have several minima (see `fit`, ``starts``) every point is also fitted from both neighbours,
    and the lowest counts. A minimum below that of the result does not raise: ``delta_stat`` is negative there, and
    ``new_minimum`` set.
    """
    n = whole_points(n, 1, "profile")
    fit = ConditionalFit(datasets, result, [name], "profile")
    best, low, high, unit = fit.best.held[0], fit.low[0], fit.high[0], fit.units[0]
    if values is None:
        sigma = positive(sigma, "profile")
        if np.isinf(result.parameters[fit.names[0]].error):
            raise InputError(
                f"profile: the data do not constrain {fit.names[0]}: its error is infinite, so that no range suggests "
                "itself. Give the values: gj.profile(datasets, result, name, values)."
            )
        half = sigma * fit.plane[0, 0]
        grid = np.linspace(max(best - half, low), min(best + half, high), n)
    else:
        grid = np.atleast_1d(np.array(to_unit(values, unit, f"profile: values of {fit.names[0]}"), float))
        if grid.ndim != 1 or not grid.size or not np.all(np.isfinite(grid)):
            raise InputError("profile: values must be a list of finite numbers, one at least.")
        if np.any((grid < low) | (grid > high)):
            raise InputError(
                f"profile: values must lie inside the bounds of {fit.names[0]}, [{low:g}, {high:g}], found "
                f"{grid.min():g} to {grid.max():g}. Widen the bounds with models.with_parameter and fit again."
            )
    # from the best outwards, so that every point starts at a neighbour
    points = {i: fit.at(grid[i : i + 1], reoptimize) for i in np.argsort(np.abs(grid - best), kind="stable")}
    if fit.several_minima and reoptimize:
        # and to either side, so that none lies above what its neighbours lead to
        order = np.argsort(grid, kind="stable")
        for way in (order, order[::-1]):
            for before, i in pairwise(way.tolist()):
                points[i] = fit.from_neighbour(points[i], points[before])
    stat = np.array([points[i].stat for i in range(len(grid))])
    return Profile(
        name=fit.names[0],
        unit=unit,
        values=grid,
        stat=stat,
        delta_stat=stat - fit.best.stat,
        converged=np.array([points[i].converged for i in range(len(grid))], bool),
        new_minimum=fit.models_at(fit.lowest) if fit.is_new_minimum(fit.lowest) else None,
    )


@hinted
def confidence_interval(datasets: SomeDatasets, result: FitResult, name: str, sigma: Given = 1.0) -> Interval:
    """Where the profile of the parameter ``name`` is ``sigma``^2 above its minimum, on both sides.

    Full name or unambiguous ending; all other free parameters are at their best on the way. See `Interval` for ends
    that are not reached. A minimum below that of the result raises `InputError`, with the place to fit again from.
    """
    sigma = positive(sigma, "confidence_interval")
    fit = ConditionalFit(datasets, result, [name], "confidence_interval")
    down, up = (crossing(fit, np.array([sign]), sigma**2) for sign in (-1.0, 1.0))
    return Interval(
        name=fit.names[0],
        unit=fit.units[0],
        sigma=sigma,
        value=float(fit.best.held[0]),
        lower=-math.inf if down.end == OPEN else float(down.held[0]),
        upper=math.inf if up.end == OPEN else float(up.held[0]),
        lower_end=down.end,
        upper_end=up.end,
        converged=down.converged and up.converged,
        evaluations=fit.evaluations,
        advice=_advice(result, down.end, up.end),
    )


@hinted
def upper_limit(datasets: SomeDatasets, result: FitResult, name: str, confidence: Given = 0.95) -> UpperLimit:
    """One-sided upper limit of the parameter ``name`` at the given confidence, from its profile likelihood.

    The value above the best at which the profile has risen by z^2, where a normal variable stays below z with
    probability ``confidence``: 2.71 for 0.95. Otherwise as `confidence_interval`. A limit below zero of an amplitude
    or a norm comes with a warning.
    """
    share = _number(confidence, "upper_limit: confidence")
    if not 0.5 < share < 1:
        raise InputError(
            f"upper_limit: confidence must lie between 0.5 and 1, found {confidence!r}. Write 0.95 for 95 %."
        )
    fit = ConditionalFit(datasets, result, [name], "upper_limit")
    up = crossing(fit, np.array([1.0]), NormalDist().inv_cdf(share) ** 2)
    limit = math.inf if up.end == OPEN else float(up.held[0])
    below_zero = limit < 0 and result.parameters[fit.names[0]].role in ("amplitude", "norm")
    if below_zero:
        warnings.warn(f"upper_limit of {fit.names[0]}: {limit:.4g}. {BELOW_ZERO}", UserWarning, stacklevel=2)
    return UpperLimit(
        name=fit.names[0],
        unit=fit.units[0],
        confidence=share,
        best=float(fit.best.held[0]),
        limit=limit,
        end=up.end,
        converged=up.converged,
        evaluations=fit.evaluations,
        below_zero=below_zero,
        advice=_advice(result, up.end),
    )


def _number(given: Given, what: str) -> float:
    """One number without unit, NaN for what is none."""
    found = to_unit(given, "", what)
    return math.nan if found is None or np.ndim(found) else float(found)


def whole_points(n: int, least: int, what: str) -> int:
    """A number of points."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < least:
        raise InputError(f"{what}: n must be a whole number of {least} points or more, found {n!r}.")
    return int(n)


def positive(sigma: Given, what: str) -> float:
    """A number of standard deviations."""
    number = _number(sigma, f"{what}: sigma")
    if not (np.isfinite(number) and number > 0):
        raise InputError(f"{what}: sigma must be a positive number of standard deviations, found {sigma!r}.")
    return number
