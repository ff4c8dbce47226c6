"""Fit statistics of flux points: what turns a predicted flux into a likelihood.

A statistic works on norms, fluxes in units of the reference flux of each point: numbers near one, whatever the energy.
Each is a class; a new one is a class more in `STATISTICS`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ..kernels.chi2 import chi2
from ..kernels.flux_points import distrib, distrib_terms, profile, profile_pieces, profile_terms
from .dataset import dnde
from .errors import InputError
from .gti import GTI


class PointsStatistic(ABC):
    """Flux points as a fit sees them: arrays of one entry per point, and the statistic of a predicted norm.

    ``arrays`` holds ``energy`` (TeV), ``reference`` (dnde per unit norm), ``mask_safe``, what `data_arrays` gives, and
    perhaps the good time intervals.
    """

    stat_type: ClassVar[str]

    def __init__(self, arrays: dict[str, Any]):
        self.arrays = arrays

    @property
    def mask(self) -> Any:
        return self.arrays["mask_safe"]

    @property
    def gti(self) -> Any:
        return GTI.from_arrays(self.arrays)

    def predict(self, models: Sequence[Any]) -> jax.Array:
        """Predicted norms: flux at the reference energies, in units of the reference flux."""
        return dnde(models, self.arrays["energy"], self.gti) / jnp.asarray(self.arrays["reference"])

    def deviance_bins(self, prediction: Any) -> jax.Array:
        """The statistic is 0 for a perfect model already."""
        return self.stat_bins(prediction)

    def offset_bins(self) -> jax.Array:
        return jnp.zeros_like(jnp.asarray(self.arrays["energy"]))

    @staticmethod
    @abstractmethod
    def data_arrays(points: Any, xp: Any, kept: Any = True) -> tuple[dict[str, Any], Any]:
        """Arrays of the statistic from `FluxPoints`, and the points for which it has what it needs (bool).

        Numbers of other points are replaced by harmless ones: NaN would spoil gradients from behind a mask. Errors
        must be positive where ``kept`` (bool) is True; an `InputError` says where they are not.
        """

    @abstractmethod
    def stat_bins(self, prediction: Any) -> jax.Array:
        """The statistic per point, masks not applied."""

    @abstractmethod
    def scoring_bins(self, prediction: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The statistic, its slope in the norm, and a curvature that is not negative."""


class Chi2Statistic(PointsStatistic):
    """((d - f) / sigma)^2, limits left out; sigma is the symmetric error, else the mean of the two sides."""

    stat_type = "chi2"

    @staticmethod
    def data_arrays(points, xp, kept=True):
        norm = xp.asarray(points.norm)
        symmetric = column(points, "norm_err", xp)
        both = (column(points, "norm_errn", xp) + column(points, "norm_errp", xp)) / 2
        sigma = xp.where(xp.isfinite(symmetric), symmetric, both)
        valid = ~points.is_ul & xp.isfinite(norm) & xp.isfinite(sigma)
        require_positive(sigma, valid & kept, "the error")
        usable = valid & (sigma > 0)
        return {"values": xp.where(usable, norm, 0.0), "errors": xp.where(usable, sigma, 1.0)}, valid

    def stat_bins(self, prediction):
        return chi2(self.arrays["values"], prediction, self.arrays["errors"])

    def scoring_bins(self, prediction):
        curvature = 2 / self.arrays["errors"] ** 2
        return self.stat_bins(prediction), (prediction - self.arrays["values"]) * curvature, jnp.asarray(curvature)


class DistribStatistic(PointsStatistic):
    """Errors by side, and a complementary error function for limits: `kernels.flux_points.distrib`.

    A side without error takes the symmetric one.
    """

    stat_type = "distrib"
    names = ("values", "errors_low", "errors_high", "limits", "is_ul")

    @staticmethod
    def data_arrays(points, xp, kept=True):
        norm, symmetric, limit = xp.asarray(points.norm), column(points, "norm_err", xp), column(points, "norm_ul", xp)
        sides = [column(points, name, xp) for name in ("norm_errn", "norm_errp")]
        low, high = (xp.where(xp.isfinite(side), side, symmetric) for side in sides)
        is_ul = points.is_ul & xp.isfinite(limit)
        measured = ~points.is_ul & xp.isfinite(norm) & xp.isfinite(low) & xp.isfinite(high)
        require_positive(xp.minimum(low, high), measured & kept, "the error")
        require_positive(limit, is_ul & kept, "the upper limit")
        usable = measured & (low > 0) & (high > 0)
        arrays = {
            "values": xp.where(usable, norm, 0.0),
            "errors_low": xp.where(usable, low, 1.0),
            "errors_high": xp.where(usable, high, 1.0),
            "limits": xp.where(is_ul & (limit > 0), limit, 1.0),
            "is_ul": is_ul,
        }
        return arrays, measured | is_ul

    def stat_bins(self, prediction):
        values, *others = (jnp.asarray(self.arrays[name]) for name in self.names)
        return distrib(values, prediction, *others)

    def scoring_bins(self, prediction):
        values, *others = (jnp.asarray(self.arrays[name]) for name in self.names)
        return distrib_terms(values, prediction, *others)


class ProfileStatistic(PointsStatistic):
    """A scan of the likelihood of each point, |stat_scan - stat| against the norm: `kernels.flux_points.profile`."""

    stat_type = "profile"

    @staticmethod
    def data_arrays(points, xp, kept=True):
        missing = [name for name in ("stat_scan", "norm_scan", "stat") if getattr(points, name) is None]
        if missing:
            raise InputError(
                f"FluxPointsDataset: stat_type 'profile' needs {', '.join(missing)}, and the flux points have none. "
                "Use 'chi2' or 'distrib'."
            )
        if points.stat_scan.shape[-1] < 3:
            raise InputError(
                f"FluxPointsDataset: stat_type 'profile' needs scans of at least 3 norms, found "
                f"{points.stat_scan.shape[-1]}."
            )
        rise = xp.abs(xp.asarray(points.stat_scan) - xp.asarray(points.stat)[:, None])
        nodes = xp.asarray(points.norm_scan)
        valid = xp.all(xp.isfinite(rise) & xp.isfinite(nodes), axis=1)
        if xp is np and not np.all(np.diff(nodes[valid & kept], axis=1) > 0):
            raise InputError("FluxPointsDataset: norm_scan must increase along each scan. Sort the scans.")
        usable = (valid & xp.all(nodes[:, 1:] > nodes[:, :-1], axis=1))[:, None]
        plain = xp.arange(nodes.shape[1]) + xp.zeros(nodes.shape)
        ends, pieces = profile_pieces(xp.where(usable, nodes, plain), xp.where(usable, rise, 0.0), xp=xp)
        return {"ends": ends, "pieces": pieces}, valid

    def stat_bins(self, prediction):
        return profile(prediction, *(jnp.asarray(self.arrays[name]) for name in ("ends", "pieces")))

    def scoring_bins(self, prediction):
        return profile_terms(prediction, *(jnp.asarray(self.arrays[name]) for name in ("ends", "pieces")))


STATISTICS: dict[str, type[PointsStatistic]] = {
    cls.stat_type: cls for cls in (Chi2Statistic, DistribStatistic, ProfileStatistic)
}


@dataclass(frozen=True)
class PointsProgram:
    """Static side of flux points inside a fit."""

    stat_type: str
    shapes: tuple[Any, ...]

    def __call__(self, **arrays: Any) -> PointsStatistic:
        return STATISTICS[self.stat_type](arrays)


def column(points: Any, name: str, xp: Any) -> Any:
    """A column of norms, NaN where there is none."""
    values = getattr(points, name)
    return xp.full(np.shape(points.norm), np.nan) if values is None else xp.asarray(values)


def require_errors(points: Any, stat_type: str) -> None:
    """Raise an `InputError` where measured points have no column at all that says how well they are known."""
    measured = np.isfinite(np.asarray(points.norm)) & ~np.asarray(points.is_ul)
    sides = points.norm_errn is not None and points.norm_errp is not None
    if stat_type == "profile" or points.norm_err is not None or sides or not measured.any():
        return
    stem = "norm" if points.sed_type == "likelihood" else points.sed_type
    unread = points.meta.get("unread", ())
    raise InputError(
        f"FluxPointsDataset: stat_type {stat_type!r} needs errors: {stem}_err, or {stem}_errp and {stem}_errn, and the "
        f"flux points have neither."
        + (f" Columns that were not read: {', '.join(unread)}. Rename the one that is meant." if unread else "")
    )


def require_positive(values: Any, used: Any, what: str) -> None:
    """Raise an `InputError` where a number that divides is not positive."""
    if not isinstance(values, np.ndarray):
        return
    bad = np.asarray(used) & ~(values > 0)
    if bad.any():
        i = int(np.argmax(bad))
        raise InputError(
            f"FluxPointsDataset: {what} must be positive, found {values[i]} (in units of the reference flux) for point "
            f"{i} ({int(bad.sum())} such points). Set it to NaN, which leaves the point out, or repair it."
        )
