"""The arrays that fit statistics read from flux points.

A statistic works on norms, fluxes in units of the reference flux of each point: numbers near one, whatever the energy.
"""

from collections.abc import Callable
from types import ModuleType

import numpy as np

from ...kernels.flux_points import profile_pieces
from ..arrays import Array, Mask, Numbers, is_known
from ..errors import InputError
from ..statistics.registry import STATISTICS
from .points import FluxPoints

Read = tuple[dict[str, Array], Mask]
"""Arrays by name, and the points for which the statistic has what it needs.

Numbers of other points are replaced by harmless ones: NaN would spoil gradients from behind a mask."""


def data_arrays(stat_type: str, points: FluxPoints, xp: ModuleType, kept: Mask | bool = True) -> Read:
    """What a statistic reads of `FluxPoints`; ``xp`` is numpy or jax.numpy.

    Errors must be positive where ``kept`` (bool) is True; an `InputError` says where they are not.
    """
    return _READERS[_reader_of(stat_type) or "chi2"](points, xp, kept)


def _reader_of(stat_type: str) -> str | None:
    """The package's statistic whose arrays a statistic reads; None if there is none."""
    statistic = STATISTICS.get(stat_type)
    if statistic is None:
        return None
    return next((name for name in _READERS if set(statistic.names) <= set(STATISTICS[name].names)), None)


def available_statistics() -> tuple[str, ...]:
    """The statistics that flux points have the arrays for, by ``stat_type``."""
    return tuple(name for name in STATISTICS if _reader_of(name) is not None)


def _chi2_arrays(points: FluxPoints, xp: ModuleType, kept: Mask | bool) -> Read:
    """Limits left out; the error is the symmetric one, else the mean of the two sides."""
    norm = xp.asarray(points.norm)
    symmetric = column(points, "norm_err", xp)
    both = (column(points, "norm_errn", xp) + column(points, "norm_errp", xp)) / 2
    sigma = xp.where(xp.isfinite(symmetric), symmetric, both)
    valid = ~points.is_ul & xp.isfinite(norm) & xp.isfinite(sigma)
    require_positive(sigma, valid & kept, "the error")
    usable = valid & (sigma > 0)
    return {"values": xp.where(usable, norm, 0.0), "errors": xp.where(usable, sigma, 1.0)}, valid


def _distrib_arrays(points: FluxPoints, xp: ModuleType, kept: Mask | bool) -> Read:
    """Errors by side, and limits. A side without error takes the symmetric one."""
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


def _profile_arrays(points: FluxPoints, xp: ModuleType, kept: Mask | bool) -> Read:
    """Scans |stat_scan - stat| against the norm, as pieces of parabolas."""
    stat_scan, norm_scan, stat = points.stat_scan, points.norm_scan, points.stat
    if stat_scan is None or norm_scan is None or stat is None:
        missing = [name for name in ("stat_scan", "norm_scan", "stat") if getattr(points, name) is None]
        raise InputError(
            f"FluxPointsDataset: stat_type 'profile' needs {', '.join(missing)}, and the flux points have none. "
            "Use 'chi2' or 'distrib'."
        )
    if stat_scan.shape[-1] < 3:
        raise InputError(
            f"FluxPointsDataset: stat_type 'profile' needs scans of at least 3 norms, found {stat_scan.shape[-1]}."
        )
    rise = xp.abs(xp.asarray(stat_scan) - xp.asarray(stat)[:, None])
    nodes = xp.asarray(norm_scan)
    valid = xp.all(xp.isfinite(rise) & xp.isfinite(nodes), axis=1)
    if xp is np and not np.all(np.diff(nodes[valid & kept], axis=1) > 0):
        raise InputError("FluxPointsDataset: norm_scan must increase along each scan. Sort the scans.")
    usable = (valid & xp.all(nodes[:, 1:] > nodes[:, :-1], axis=1))[:, None]
    plain = xp.arange(nodes.shape[1]) + xp.zeros(nodes.shape)
    ends, pieces = profile_pieces(xp.where(usable, nodes, plain), xp.where(usable, rise, 0.0), xp=xp)
    return {"ends": ends, "pieces": pieces}, valid


_READERS: dict[str, Callable[[FluxPoints, ModuleType, Mask | bool], Read]] = {
    "chi2": _chi2_arrays,
    "distrib": _distrib_arrays,
    "profile": _profile_arrays,
}


def column(points: FluxPoints, name: str, xp: ModuleType) -> Numbers:
    """A column of norms, (n,), NaN where there is none."""
    values = getattr(points, name)
    return xp.full(np.shape(points.norm), np.nan) if values is None else xp.asarray(values)


def require_errors(points: FluxPoints, stat_type: str) -> None:
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


def require_positive(values: Numbers, used: Mask, what: str) -> None:
    """Raise an `InputError` where a number that divides is not positive."""
    if not is_known(values):
        return
    bad = np.asarray(used) & ~(values > 0)
    if bad.any():
        i = int(np.argmax(bad))
        raise InputError(
            f"FluxPointsDataset: {what} must be positive, found {values[i]} (in units of the reference flux) for point "
            f"{i} ({int(bad.sum())} such points). Set it to NaN, which leaves the point out, or repair it."
        )
