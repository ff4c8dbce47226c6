"""Comparison of fits of nested models to the same data: likelihood ratio tests."""

import math
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from ..datasets.collection.datasets import Datasets
from ..datasets.errors import InputError, closest, listed
from ..datasets.hints.calls import hinted
from ..datasets.hints.modules import found
from ..datasets.models.collection import Models
from ..kernels.significance import ts_to_sigma
from .density import stat_sum
from .fit import fit
from .joint.identity import fitted_data
from .joint.problem import SomeDatasets, as_datasets
from .joint.processes import share_of
from .result import FitResult
from .spectra import source_names
from .status import OF_THE_VANISHED, Status

Data = tuple[tuple[str, ...], int, str]
"""Names of datasets, fitted bins, and a checksum of what was measured in them."""

ROUNDING = 1e-6
"""Fall of the statistic, in units of the whole, below which the larger model counts as equally good."""

HALF = (
    "At the null hypothesis {name} is at its bound, so that half of the probability is at a TS of 0 (Chernoff 1954): "
    "the p-value is the mean of those of {ndf} and {less} degrees of freedom."
)

UNDEFINED = (
    "Without {component} its parameters {names} mean nothing, and their share of the degrees of freedom is approximate "
    "(Protassov et al. 2002): for a faint component take pseudo-experiments, gj.pseudo_experiments."
)


@dataclass(frozen=True)
class Comparison:
    """Likelihood ratio test of two nested models.

    ``delta_ts`` is the statistic of the smaller model less that of the larger, ``ndf`` the number of free parameters
    that the larger has more, ``p_value`` the probability of so large a ``delta_ts`` if the smaller is right, and
    ``sigma`` as many standard deviations: two-sided, chi2(``ndf``) as in `gammajax.ts_to_sigma`, so that it is the root
    of ``delta_ts`` for one parameter. ``boundary`` is the amplitude that is at its bound without the component, if
    there is one: the p-value is then that of half a chi2, and ``sigma`` one-sided, again the root for one parameter.
    ``larger`` says which of the two results that was, 0 or 1; ``message`` what a reader has to know besides.
    """

    delta_ts: float
    ndf: int
    p_value: float
    sigma: float
    larger: int
    boundary: str
    message: str

    def __repr__(self) -> str:
        head = f"Comparison(delta_ts = {self.delta_ts:.4f}, ndf = {self.ndf}, p = {self.p_value:.3g}, "
        return f"{head}{self.sigma:.2f} sigma)" + (f"  {self.message}" if self.message else "")


@hinted
def compare(result_a: FitResult, result_b: FitResult) -> Comparison:
    """Whether the additional parameters of one of two fits to the same data are needed.

    The model with fewer free parameters has to be a special case of the other (a power law of a log parabola, a sky
    without one of the sources): that cannot be read off names, and is not checked. Then the fall of the statistic is a
    chi2 of as many degrees of freedom as there are parameters more (Wilks 1938, Ann. Math. Stat. 9, 60). Where one of
    them is an amplitude or a norm with 0 as its lower bound, the smaller model is at the border of the larger, and half
    of the probability is at 0 (Chernoff 1954, Ann. Math. Stat. 25, 573; Mattox et al. 1996, ApJ 461, 396).

    Parameters
    ----------
    result_a, result_b : what `fit` gave, in any order

    Raises
    ------
    InputError
        for results of other datasets, other counts or other fitted bins, and for fits that did not converge

    Examples
    --------
    >>> gj.compare(gj.fit(datasets, power_law), gj.fit(datasets, log_parabola)).sigma
    """
    for result in (result_a, result_b):
        if not isinstance(result, FitResult):
            raise InputError(f"compare: found {found(result)}, expected two results of gj.fit.")
    _require_same_data("compare", _data_of(result_a), _data_of(result_b))
    for result in (result_a, result_b):
        _require_minimum(result, "compare")
    larger = int(len(result_b.free_names) > len(result_a.free_names))
    small, large = (result_a, result_b) if larger else (result_b, result_a)
    ndf = len(large.free_names) - len(small.free_names)
    if ndf == 0:
        raise InputError(
            f"compare: both fits have {len(large.free_names)} free parameters, so that neither model is a special case "
            "of the other. Their statistics: "
            f"{result_a.stat:.4f} and {result_b.stat:.4f}."
        )
    more = [name for name in large.free_names if name not in small.free_names]
    boundary = next((name for name in more if _at_null_bound(large, name)), "")
    return _comparison(
        float(small.stat - large.stat), ndf, larger, boundary, _undefined(small.models.names, large, more), small.stat
    )


@hinted
def component_ts(datasets: SomeDatasets, result: FitResult, component: str, **options: Any) -> Comparison:
    """Test statistic of one of the models of a fit: how much worse is a fit without it?

    The others are fitted again, from their best values. See `compare` for degrees of freedom and significance.

    Parameters
    ----------
    datasets, result : what was fitted, and the result
    component : name of a model, such as a `SkyModel`
    options : of the fit without it, see `fit`

    Raises
    ------
    InputError
        for names that are none of its models, and datasets that are not those of the result

    Examples
    --------
    >>> gj.component_ts(datasets, result, "crab").sigma
    """
    if not isinstance(result, FitResult):
        raise InputError(f"component_ts: found {found(result)}, expected a result of gj.fit.")
    if component not in result.models.names:
        raise InputError(f"component_ts: there is no model {component!r}. {closest(component, result.models.names)}")
    known = as_datasets(datasets)
    data = fitted_data(share_of(known, 1))
    _require_same_data("component_ts", _data_of(result), (known.names, data.n_bins, data.checksum))
    without = Models([model for model in result.models if model.name != component], result.models.penalties)
    compared = _without(known, result, without, options)
    if result.status != Status.VANISHED:
        return compared
    return replace(compared, message=" ".join(part for part in (compared.message, OF_THE_VANISHED) if part))


def _without(known: Datasets, result: FitResult, without: Models, options: dict[str, Any]) -> Comparison:
    """The comparison of a result with a fit of the models ``without`` one."""
    if len(without.parameters.free):
        return compare(result, fit(known, without, **options))
    # nothing to fit: the statistic of what is frozen, or of the background alone
    _require_minimum(result, "component_ts")
    null = float(stat_sum(known, without))
    boundary = next((name for name in result.free_names if _at_null_bound(result, name)), "")
    undefined = _undefined(without.names, result, list(result.free_names))
    return _comparison(null - float(result.stat), len(result.free_names), 0, boundary, undefined, null)


def _require_minimum(result: FitResult, what: str) -> None:
    # a component that has vanished from the larger model is how an absent one ends
    if result.status not in (Status.CONVERGED, Status.UNCONSTRAINED, Status.VANISHED):
        raise InputError(
            f"{what}: a fit ended {str(result.status)!r}, so that its statistic is not the lowest. {result.message}"
        )


def _data_of(result: FitResult) -> Data:
    return result.datasets_names, result.n_bins, result.data_checksum


def _require_same_data(what: str, a: Data, b: Data) -> None:
    if set(a[0]) != set(b[0]):
        raise InputError(
            f"{what}: the datasets differ, {listed(a[0])} and {listed(b[0])}. Fit both models to the same."
        )
    # results read from files of earlier versions have no checksum
    if a[1] != b[1] or (a[2] and b[2] and a[2] != b[2]):
        raise InputError(
            f"{what}: the data differ (counts, backgrounds, responses, fitted bins or the order of datasets; {a[1]} "
            f"and {b[1]} bins). Statistics compare on the same data only: fit both models to the same datasets."
        )


def _at_null_bound(result: FitResult, name: str) -> bool:
    """Whether a parameter is an amplitude that cannot be negative."""
    parameter = result.parameters.get(name)
    return parameter is not None and parameter.role in ("amplitude", "norm") and float(parameter.min) == 0


def _undefined(kept: tuple[str, ...], large: FitResult, more: list[str]) -> str:
    """What to say of parameters that a component has besides its amplitude, which do not exist without it."""
    for component in source_names(large.models):
        if component in kept:
            continue
        own = [n for n in more if n.startswith(f"{component}.")]
        shape = [n for n in own if large.parameters[n].role not in ("amplitude", "norm")]
        if shape:
            return UNDEFINED.format(component=component, names=", ".join(shape))
    return ""


def _comparison(delta_ts: float, ndf: int, larger: int, boundary: str, undefined: str, stat: float) -> Comparison:
    from scipy.special import log_ndtr, logsumexp, ndtri_exp

    parts = [HALF.format(name=boundary, ndf=ndf, less=ndf - 1)] if boundary else []
    parts += [undefined] if undefined else []
    if delta_ts < -ROUNDING * max(abs(stat), 1.0):
        parts.append(
            f"The larger model fits worse by {-delta_ts:.4g}: it does not contain the smaller, or its fit ended in "
            "another minimum. Start it from the values of the smaller."
        )
    ts = max(delta_ts, 0.0)
    sigma = float(ts_to_sigma(jnp.asarray(ts), ndf)) if ts > 0 else 0.0
    log_p = math.log(2) + float(log_ndtr(-sigma))
    if boundary and ts > 0:
        # tails of chi2 are 2 ndtr(-sigma); that of no degree of freedom is 0
        tails = [float(log_ndtr(-sigma))]
        if ndf > 1:
            tails.append(float(log_ndtr(-float(ts_to_sigma(jnp.asarray(ts), ndf - 1)))))
        log_p = float(logsumexp(tails))
        sigma = float(-ndtri_exp(log_p))
    return Comparison(delta_ts, ndf, math.exp(log_p), sigma, larger, boundary, " ".join(parts))
