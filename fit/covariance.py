"""Errors of a fit from the exact curvature of the statistic.

The statistic is -2 ln L, so the covariance is 2 H^-1. Local parameters are eliminated dataset by dataset; the dense
matrix of all parameters is never formed unless it is asked for.
"""

from dataclasses import dataclass

import numpy as np

from .objective import Normal, Theta
from .problem import Problem
from .scoring import active_set

DEGENERATE = 1e-10
"""Eigenvalues of the curvature matrix, scaled to unit diagonal, below this share of the largest are degenerate."""


@dataclass(frozen=True)
class Curvature:
    """Errors at a minimum.

    ``errors`` (n,) for all parameters: 0 for frozen ones and for those at a bound, infinite along degenerate
    directions. ``covariance`` belongs to the global parameters ``names``; ``degenerate`` holds one text per direction
    that the data do not constrain, ``at_bound`` the names of parameters held by a bound.
    """

    errors: np.ndarray
    names: list[str]
    covariance: np.ndarray
    local_covariance: list[np.ndarray | None]
    degenerate: list[str]
    at_bound: list[str]
    response: tuple["LocalResponse | None", ...]
    places: Theta

    def dense(self) -> np.ndarray:
        """Covariance of all free parameters in the order of their names, (n, n)."""
        at = np.asarray(self.places.globals)
        rows, blocks = [np.eye(len(at))], []
        positions = [at]
        for part, place in zip(self.response, self.places.locals, strict=True):
            if part is None:
                continue
            n, n_local, n_seen = part.by_cross.shape
            spread = np.zeros((n, n_local, len(at)))
            np.add.at(spread, (np.arange(n)[:, None, None], np.arange(n_local)[:, None], part.index[:, None, :]), -part.by_cross)
            rows.append(spread.reshape(n * n_local, len(at)))
            positions.append(np.asarray(place)[:n].ravel())
            blocks.append((np.asarray(place)[:n], 2 * part.inverse))
        response, where = np.concatenate(rows), np.concatenate(positions)
        full = np.zeros((len(where), len(where)))
        full[np.ix_(where, where)] = response @ self.covariance @ response.T
        for place, block in blocks:
            full[place[:, :, None], place[:, None, :]] += block
        return full


@dataclass(frozen=True)
class LocalResponse:
    """How the local parameters of a group follow the globals ``index``: d local / d global = -``by_cross``."""

    index: np.ndarray
    by_cross: np.ndarray
    inverse: np.ndarray


def curvature(problem: Problem, theta: Theta, normal: Normal) -> Curvature:
    """Covariance of global and marginal errors of local parameters from the exact normal equations at ``theta``."""
    names = problem.space.names
    normal = _to_numpy(normal)
    low, high = problem.arrays["low"], problem.arrays["high"]
    active = active_set(theta, _always_curved(normal), low, high)
    on = np.asarray(active.globals)
    at_bound = [names[i] for i in problem.global_index[~on]]
    degenerate: list[str] = []

    scale = _scale(np.diag(normal.matrix), on)
    schur = normal.matrix * np.outer(scale, scale)
    solved = []
    for group, block, free in zip(problem.groups, normal.locals, active.locals, strict=True):
        if block is None:
            solved.append(None)
            continue
        n = len(group.members)
        free = np.asarray(free)[:n]
        for row, slot in zip(*np.nonzero(~free), strict=True):
            at_bound.append(names[group.locals[row, slot]])
        matrix, cross, index = block.matrix[:n], block.cross[:n], block.index[:n]
        local_scale = _scale(np.diagonal(matrix, axis1=1, axis2=2), free)
        inverse, bad = _inverse(matrix * local_scale[:, :, None] * local_scale[:, None, :], free)
        for row, direction in bad:
            degenerate.append(_describe([names[i] for i in group.locals[row]], direction))
        inverse = inverse * local_scale[:, :, None] * local_scale[:, None, :]
        by_cross = inverse @ np.swapaxes(cross, 1, 2)
        part = (cross @ by_cross) * scale[index][:, :, None] * scale[index][:, None, :]
        np.add.at(schur, (index[:, :, None], index[:, None, :]), -part)
        solved.append((group, LocalResponse(index, by_cross, inverse), {row for row, _ in bad}))

    inverse, bad = _inverse(schur[None], on[None])
    for _, direction in bad:
        degenerate.append(_describe([names[i] for i in problem.global_index], direction))
    covariance = 2 * inverse[0] * np.outer(scale, scale)
    errors = np.zeros(len(names))
    errors[problem.global_index] = np.sqrt(np.diag(covariance))
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
        rows = group.locals[: len(local)]
        errors[rows] = np.sqrt(np.diagonal(local, axis1=1, axis2=2))
        for row in bad_rows:
            errors[rows[row]] = np.inf
    return Curvature(
        errors,
        [names[i] for i in problem.global_index],
        covariance,
        local_covariance,
        degenerate,
        at_bound,
        tuple(None if part is None else part[1] for part in solved),
        problem.arrays["places"],
    )


def _to_numpy(normal: Normal) -> Normal:
    return Normal(
        np.asarray(normal.slope, float),
        np.asarray(normal.matrix, float),
        tuple(
            None
            if b is None
            else b._replace(
                slope=np.asarray(b.slope, float), matrix=np.asarray(b.matrix, float), cross=np.asarray(b.cross, float),
                index=np.asarray(b.index),
            )
            for b in normal.locals
        ),
    )  # fmt: skip


def _always_curved(normal: Normal) -> Normal:
    """With curvature one on the diagonal: a direction without curvature is degenerate here, not held by a bound."""
    return Normal(
        normal.slope,
        np.eye(len(normal.slope)),
        tuple(None if b is None else b._replace(matrix=np.broadcast_to(np.eye(b.matrix.shape[1]), b.matrix.shape)) for b in normal.locals),
    )


def _scale(diagonal: np.ndarray, free: np.ndarray) -> np.ndarray:
    usable = free & (diagonal > 0) & np.isfinite(diagonal)
    return np.where(usable, 1 / np.sqrt(np.where(usable, diagonal, 1.0)), np.where(free, 1.0, 0.0))


def _inverse(matrices: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
    """Inverses over the free rows, directions without curvature left out; and those directions with their batch row."""
    if matrices.shape[-1] == 0:
        return matrices, []
    keep = free[:, :, None] & free[:, None, :]
    filled = np.where(keep, np.where(np.isfinite(matrices), matrices, 0.0), np.eye(matrices.shape[-1]))
    values, vectors = np.linalg.eigh(filled)
    usable = values > DEGENERATE * np.maximum(values[:, -1:], 1e-300)
    inverse = np.einsum("mij,mj,mkj->mik", vectors, np.where(usable, 1 / np.where(usable, values, 1.0), 0.0), vectors)
    bad = [(int(row), vectors[row, :, column]) for row, column in zip(*np.nonzero(~usable), strict=True)]
    return np.where(keep, inverse, 0.0), bad


def _describe(names: list[str], direction: np.ndarray) -> str:
    """A direction (in units of the parameters' own errors) in words, its largest components first."""
    weight = np.abs(direction) / max(np.max(np.abs(direction)), 1e-300)
    order = np.argsort(-weight)
    chosen = [i for i in order if weight[i] > 0.01][:5] or [int(order[0])]
    return " & ".join(names[i] for i in chosen)


def _mark_infinite(errors: np.ndarray, index: np.ndarray, directions: list[np.ndarray]) -> None:
    for direction in directions:
        errors[index[np.abs(direction) > 0.01 * np.max(np.abs(direction))]] = np.inf
