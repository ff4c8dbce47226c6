"""Errors of a fit from the exact curvature of the statistic.

The statistic is -2 ln L, so the covariance is 2 H^-1. Local parameters are eliminated dataset by dataset; the dense
matrix of all parameters is never formed unless it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .joint.arrowhead import Normal, Theta, active_set
from .joint.problem import Problem

DEGENERATE = 1e-10
"""Eigenvalues of the exact curvature (unit diagonal) below this share of the largest are degenerate."""

NULL = 1e-13
"""Likewise for the expected curvature, exactly singular where the prediction does not depend on a direction."""

DENSE_LIMIT = 4000
"""Free parameters up to which their covariance is one matrix."""


@dataclass(frozen=True)
class Curvature:
    """Errors at a minimum.

    ``errors`` (n,) for all parameters: 0 for frozen ones, NaN for those that a bound stops or whose errors the
    curvature does not tell (see `untold`), infinite along degenerate directions. ``covariance`` belongs to the global
    parameters ``names``; ``degenerate`` holds one text per direction that the data do not constrain, ``at_bound`` the
    names of parameters held by a bound.
    """

    errors: np.ndarray
    names: list[str]
    covariance: np.ndarray
    local_covariance: list[np.ndarray | None]
    degenerate: list[str]
    at_bound: list[str]
    response: tuple["LocalResponse | None", ...]
    places: Theta
    free_errors: np.ndarray

    def dense(self) -> np.ndarray:
        """Covariance of all free parameters in the order of their names, (n, n).

        Parameters that the data do not constrain have infinite variance and no covariances.
        """
        at = np.asarray(self.places.globals)
        rows, blocks = [np.eye(len(at))], []
        positions = [at]
        for part, place in zip(self.response, self.places.locals, strict=True):
            if part is None:
                continue
            n, n_local, _ = part.by_cross.shape
            place = np.asarray(place)[part.rows]
            spread = np.zeros((n, n_local, len(at)))
            np.add.at(
                spread,
                (np.arange(n)[:, None, None], np.arange(n_local)[:, None], part.index[:, None, :]),
                -part.by_cross,
            )
            rows.append(spread.reshape(n * n_local, len(at)))
            positions.append(place.ravel())
            blocks.append((place, 2 * part.inverse))
        response, where = np.concatenate(rows), np.concatenate(positions)
        full = np.zeros((len(where), len(where)))
        finite = np.where(np.isfinite(self.covariance), self.covariance, 0.0)
        full[np.ix_(where, where)] = response @ finite @ response.T
        for place, block in blocks:
            full[place[:, :, None], place[:, None, :]] += block
        return _opened(full, self.free_errors)


@dataclass(frozen=True)
class LocalResponse:
    """How the local parameters in the ``rows`` of a group follow the globals ``index``: d local / d global =
    -``by_cross``."""

    rows: np.ndarray
    index: np.ndarray
    by_cross: np.ndarray
    inverse: np.ndarray


def curvature(
    problem: Problem, theta: Theta, exact: Normal, expected: Normal, without: Sequence[int] = ()
) -> Curvature:
    """Covariance of global and marginal errors of local parameters at ``theta``.

    ``without``: parameters (indices of all) that are held where they are, with infinite errors.

    ``exact`` are the normal equations with exact second derivatives, ``expected`` those of scoring. Directions in which
    the prediction does not change at all are read off the latter: in the former the rest of the slope blurs them.
    """
    names = problem.space.names
    exact, expected = _to_numpy(exact), _to_numpy(expected)
    active = active_set(theta, _always_curved(exact), problem.arrays["low"], problem.arrays["high"])
    endless = np.isin(np.arange(len(names)), without)
    active = Theta(
        np.asarray(active.globals) & ~endless[problem.global_index],
        tuple(np.asarray(a) & ~endless[g.locals] for a, g in zip(active.locals, problem.groups, strict=True)),
    )
    on = np.asarray(active.globals)
    touching = (np.diag(expected.matrix) == 0) & (np.diag(exact.matrix) > 0) & _on_bounds(problem, theta)
    at_bound = [names[i] for i in problem.global_index[~on | touching]]
    touched = {names[i] for i in problem.global_index[on & touching]}
    degenerate: list[str] = []

    scale = _scale(np.diag(exact.matrix), np.diag(expected.matrix), on)
    schur = [matrix * np.outer(scale, scale) for matrix in (exact.matrix, expected.matrix)]
    solved: list[tuple[Any, LocalResponse, set[int]] | None] = []
    for number, (group, free_) in enumerate(zip(problem.groups, active.locals, strict=True)):
        blocks = [b for b in (exact.locals[number], expected.locals[number]) if b is not None]
        if not blocks:
            solved.append(None)
            continue
        rows = group.rows
        free, places = np.asarray(free_)[rows], group.locals[rows]
        at_bound.extend(names[places[row, slot]] for row, slot in zip(*np.nonzero(~free), strict=True))
        local_exact, local_expected = (np.diagonal(b.matrix[rows], axis1=1, axis2=2) for b in blocks)
        local_scale = _scale(local_exact, local_expected, free)
        outer = local_scale[:, :, None] * local_scale[:, None, :]
        inverses, bad = _inverses(blocks[0].matrix[rows] * outer, blocks[1].matrix[rows] * outer, free)
        degenerate.extend(_describe([names[i] for i in places[row]], direction) for row, direction in bad)
        index = blocks[0].places[rows]
        for which, block in enumerate(blocks):
            cross = block.cross[rows]
            by_cross = (inverses[which] * outer) @ np.swapaxes(cross, 1, 2)
            part = (cross @ by_cross) * scale[index][:, :, None] * scale[index][:, None, :]
            np.add.at(schur[which], (index[:, :, None], index[:, None, :]), -part)
            if which == 0:
                response = LocalResponse(rows, index, by_cross, inverses[0] * outer)
        solved.append((group, response, {row for row, _ in bad}))

    inverses, bad = _inverses(schur[0][None], schur[1][None], on[None])
    degenerate.extend(_describe([names[i] for i in problem.global_index], direction) for _, direction in bad)
    covariance = 2 * inverses[0][0] * np.outer(scale, scale)
    errors = np.zeros(len(names))
    errors[problem.global_index] = _sigma(np.diag(covariance))
    _mark_infinite(errors, problem.global_index, [direction for _, direction in bad])

    local_covariance: list[np.ndarray | None] = []
    for part in solved:
        if part is None:
            local_covariance.append(None)
            continue
        group, response, bad_rows = part
        of_globals = covariance[response.index[:, :, None], response.index[:, None, :]]
        local = 2 * response.inverse + response.by_cross @ of_globals @ np.swapaxes(response.by_cross, 1, 2)
        local_covariance.append(local)
        places = group.locals[response.rows]
        errors[places] = _sigma(np.diagonal(local, axis1=1, axis2=2))
        for row in bad_rows:
            errors[places[row]] = np.inf
    # held by a bound with a slope: no error describes it
    held = set(at_bound) - touched
    stopped = [
        name in held and low < high
        for name, low, high in zip(names, problem.space.low, problem.space.high, strict=True)
    ]
    errors[np.array(stopped, bool)] = np.nan
    at_bound = [name for name in at_bound if name not in {names[i] for i in without}]
    described = {name for text in degenerate for name in text.split(" & ")}
    degenerate.extend(names[i] for i in np.flatnonzero(np.isinf(errors)) if names[i] not in described)
    errors[endless] = np.inf
    return Curvature(
        errors,
        [names[i] for i in problem.global_index],
        _opened(covariance, errors[problem.global_index]),
        local_covariance,
        degenerate,
        at_bound,
        tuple(None if part is None else part[1] for part in solved),
        problem.arrays["places"],
        errors[problem.space.free],
    )


def untold(problem: Problem, found: Curvature, which: Sequence[int]) -> Curvature:
    """The curvature without the errors of the parameters ``which`` (indices of all): NaN, and infinite variances."""
    if not which:
        return found
    space = problem.space
    chosen = np.isin(np.arange(len(space.names)), which)
    opened = np.where(chosen, np.inf, found.errors)
    return replace(
        found,
        errors=np.where(chosen, np.nan, found.errors),
        covariance=_opened(found.covariance, opened[problem.global_index]),
        free_errors=opened[space.free],
    )


def _on_bounds(problem: Problem, theta: Theta) -> np.ndarray:
    """Which global parameters have the value of one of their bounds."""
    value, low, high = (np.asarray(x.globals) for x in (theta, problem.arrays["low"], problem.arrays["high"]))
    return (value == low) | (value == high)


def _opened(covariance: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The covariance with infinite variance, and no covariances, for parameters without a finite error."""
    unconstrained = np.isinf(errors)
    if not unconstrained.any():
        return covariance
    opened = np.where(unconstrained[:, None] | unconstrained[None, :], 0.0, covariance)
    opened[unconstrained, unconstrained] = np.inf
    return opened


def _to_numpy(normal: Normal) -> Normal:
    return Normal(
        np.asarray(normal.slope, float),
        np.asarray(normal.matrix, float),
        tuple(
            None
            if b is None
            else b._replace(
                slope=np.asarray(b.slope, float), matrix=np.asarray(b.matrix, float), cross=np.asarray(b.cross, float),
                places=np.asarray(b.places),
            )
            for b in normal.locals
        ),
    )  # fmt: skip


def _always_curved(normal: Normal) -> Normal:
    """With curvature one on the diagonal: a direction without curvature is degenerate here, not held by a bound."""
    return Normal(
        normal.slope,
        np.eye(len(normal.slope)),
        tuple(
            None if b is None else b._replace(matrix=np.broadcast_to(np.eye(b.matrix.shape[1]), b.matrix.shape))
            for b in normal.locals
        ),
    )


def _scale(exact: np.ndarray, expected: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Scales to unit diagonals, of the expected curvature where the exact one is not positive."""
    scale = np.where(free, 1.0, 0.0)
    for diagonal in (expected, exact):
        usable = free & (diagonal > 0) & np.isfinite(diagonal)
        scale = np.where(usable, 1 / np.sqrt(np.where(usable, diagonal, 1.0)), scale)
    return scale


def _sigma(variances: np.ndarray) -> np.ndarray:
    """Roots; infinite where rounding has left no variance."""
    known = variances >= 0
    return np.where(known, np.sqrt(np.where(known, variances, 0.0)), np.inf)


def _inverses(
    exact: np.ndarray, expected: np.ndarray, free: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], list[tuple[int, np.ndarray]]]:
    """Inverses of both curvatures over the free rows, directions without curvature left out.

    Also returns those directions with their batch row: null directions of the expected curvature, and directions in
    which the exact curvature is not positive.
    """
    size = exact.shape[-1]
    if size == 0:
        return (exact, expected), []
    unit = np.eye(size)
    keep = free[:, :, None] & free[:, None, :]
    exact, expected = (np.where(keep, np.where(np.isfinite(m), m, 0.0), unit) for m in (exact, expected))
    # where the prediction is at its extreme in a parameter (a width of 0), second derivatives are all there is
    of_exact, of_expected = (np.diagonal(m, axis1=1, axis2=2) for m in (exact, expected))
    expected = expected + unit * np.where((of_expected == 0) & (of_exact > 0), of_exact, 0.0)[:, None, :]
    values, vectors = np.linalg.eigh(expected)
    usable = values > NULL * np.maximum(values[:, -1:], 1e-300)
    bad = [(int(row), vectors[row, :, column]) for row, column in zip(*np.nonzero(~usable), strict=True)]
    inverse_expected = _from_eigen(values, vectors, usable)
    null = np.einsum("mij,mj,mkj->mik", vectors, ~usable * 1.0, vectors)
    kept = unit - null

    values, vectors = np.linalg.eigh(kept @ exact @ kept + null)
    usable = values > DEGENERATE * np.maximum(values[:, -1:], 1e-300)
    bad += [(int(row), vectors[row, :, column]) for row, column in zip(*np.nonzero(~usable), strict=True)]
    inverse_exact = kept @ _from_eigen(values, vectors, usable) @ kept
    return (np.where(keep, inverse_exact, 0.0), np.where(keep, inverse_expected, 0.0)), bad


def _from_eigen(values: np.ndarray, vectors: np.ndarray, usable: np.ndarray) -> np.ndarray:
    return np.einsum("mij,mj,mkj->mik", vectors, np.where(usable, 1 / np.where(usable, values, 1.0), 0.0), vectors)


def _describe(names: list[str], direction: np.ndarray) -> str:
    """A direction (in units of the parameters' own errors) in words, its largest components first."""
    weight = np.abs(direction) / max(np.max(np.abs(direction)), 1e-300)
    order = np.argsort(-weight)
    chosen = [i for i in order if weight[i] > 0.01][:5] or [int(order[0])]
    return " & ".join(names[i] for i in chosen)


def _mark_infinite(errors: np.ndarray, index: np.ndarray, directions: list[np.ndarray]) -> None:
    for direction in directions:
        errors[index[np.abs(direction) > 0.01 * np.max(np.abs(direction))]] = np.inf
