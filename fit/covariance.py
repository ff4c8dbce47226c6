"""Errors of a fit from the exact curvature of the statistic.

The statistic is -2 ln L, so the covariance is 2 H^-1. Local parameters are eliminated dataset by dataset; the dense
matrix of all parameters is never formed unless it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..datasets.arrays import Array
from .joint.arrowhead import Normal, Theta, active_set
from .joint.problem import Problem

DEGENERATE = 1e-10
"""Eigenvalues of the exact curvature (unit diagonal) below this share of the largest are degenerate."""

NULL = 1e-13
"""Likewise for the expected curvature, exactly singular where the prediction does not depend on a direction."""

SMALL = 0.01
"""Share of the largest component of a degenerate direction below which a parameter has no part in it."""

DENSE_LIMIT = 4000
"""Free parameters up to which their covariance is one matrix."""


@dataclass(frozen=True, eq=False)
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


@dataclass(frozen=True, eq=False)
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
        inverses, bad = _with_directions(blocks[0].matrix[rows] * outer, blocks[1].matrix[rows] * outer, free)
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

    inverses, bad = _with_directions(schur[0][None], schur[1][None], on[None])
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


def _scale(exact: Array, expected: Array, free: Array, xp: ModuleType = np) -> Any:
    """Scales to unit diagonals, of the expected curvature where the exact one is not positive."""
    scale = xp.where(free, 1.0, 0.0)
    for diagonal in (expected, exact):
        usable = free & (diagonal > 0) & xp.isfinite(diagonal)
        scale = xp.where(usable, 1 / xp.sqrt(xp.where(usable, diagonal, 1.0)), scale)
    return scale


def _sigma(variances: np.ndarray) -> np.ndarray:
    """Roots; infinite where rounding has left no variance."""
    known = variances >= 0
    return np.where(known, np.sqrt(np.where(known, variances, 0.0)), np.inf)


def _with_directions(
    exact: np.ndarray, expected: np.ndarray, free: np.ndarray
) -> tuple[tuple[np.ndarray, np.ndarray], list[tuple[int, np.ndarray]]]:
    """`_inverses`, and the directions that they leave out with their batch row."""
    if exact.shape[-1] == 0:
        return (exact, expected), []
    both, left_out = _inverses(exact, expected, free, np)
    bad = [
        (int(row), vectors[row, :, column])
        for vectors, out in left_out
        for row, column in zip(*np.nonzero(out), strict=True)
    ]
    return both, bad


def _inverses(
    exact: Any, expected: Any, free: Any, xp: ModuleType
) -> tuple[tuple[Any, Any], tuple[tuple[Any, Any], tuple[Any, Any]]]:
    """Inverses of both curvatures (m, n, n) over the free rows, directions without curvature left out.

    Also returns all directions (m, n, n), in columns, and which of them (m, n) are left out: null directions of the
    expected curvature, and directions in which the exact curvature is not positive. ``xp``: NumPy, or that of JAX.
    """
    unit = xp.eye(exact.shape[-1], dtype=exact.dtype)[None]
    keep = free[:, :, None] & free[:, None, :]
    exact, expected = (xp.where(keep, xp.where(xp.isfinite(m), m, 0.0), unit) for m in (exact, expected))
    # where the prediction is at its extreme in a parameter (a width of 0), second derivatives are all there is
    of_exact, of_expected = (xp.diagonal(m, axis1=1, axis2=2) for m in (exact, expected))
    expected = expected + unit * xp.where((of_expected == 0) & (of_exact > 0), of_exact, 0.0)[:, None, :]
    values, vectors = xp.linalg.eigh(expected)
    usable = values > NULL * xp.maximum(values[:, -1:], 1e-300)
    left_out = vectors, ~usable
    inverse_expected = _from_eigen(values, vectors, usable, xp)
    null: Any = 0.0 if xp is np and usable.all() else _composed(vectors, xp.where(usable, 0.0, 1.0))

    def kept(matrix: Any) -> Any:
        # products with a unit matrix of a thousand parameters take as long as all else
        return matrix if isinstance(null, float) else (unit - null) @ matrix @ (unit - null)

    values, vectors = xp.linalg.eigh(kept(exact) + null)
    usable = values > DEGENERATE * xp.maximum(values[:, -1:], 1e-300)
    inverse_exact = kept(_from_eigen(values, vectors, usable, xp))
    both = xp.where(keep, inverse_exact, 0.0), xp.where(keep, inverse_expected, 0.0)
    return both, (left_out, (vectors, ~usable))


def _from_eigen(values: Any, vectors: Any, usable: Any, xp: ModuleType) -> Any:
    return _composed(vectors, xp.where(usable, 1 / xp.where(usable, values, 1.0), 0.0))


def _composed(vectors: Any, values: Any) -> Any:
    """Matrices (m, n, n) of these eigenvectors, in columns, and eigenvalues (m, n): as products, which are quick where
    NumPy's sums over three arrays are loops."""
    return (vectors * values[:, None, :]) @ vectors.swapaxes(1, 2)


def dense_inverse(exact: jax.Array, expected: jax.Array, free: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Covariance 2 H^-1 of all parameters at once from dense curvatures (n, n); which (n,) have a finite error.

    The same as `curvature`, pure: rows of parameters that are not ``free`` are 0; parameters of directions without
    curvature have an infinite variance and no covariances.
    """
    scale = _scale(jnp.diagonal(exact), jnp.diagonal(expected), free, jnp)
    outer = scale[:, None] * scale[None, :]
    (inverse, _), left_out = _inverses((exact * outer)[None], (expected * outer)[None], free[None], jnp)
    infinite = jnp.zeros(free.shape, bool)
    for vectors, out in left_out:
        weight = jnp.abs(vectors[0])
        touched = (weight > SMALL * jnp.max(weight, axis=0, keepdims=True)) & out
        infinite = infinite | jnp.any(touched, axis=1)
    covariance = 2 * inverse[0] * outer
    infinite = free & (infinite | ~(jnp.diagonal(covariance) >= 0))
    none = infinite[:, None] | infinite[None, :]
    return jnp.where(none, jnp.where(jnp.eye(len(free), dtype=bool), jnp.inf, 0.0), covariance), ~infinite


def _describe(names: list[str], direction: np.ndarray) -> str:
    """A direction (in units of the parameters' own errors) in words, its largest components first."""
    weight = np.abs(direction) / max(np.max(np.abs(direction)), 1e-300)
    order = np.argsort(-weight)
    chosen = [i for i in order if weight[i] > 0.01][:5] or [int(order[0])]
    return " & ".join(names[i] for i in chosen)


def _mark_infinite(errors: np.ndarray, index: np.ndarray, directions: list[np.ndarray]) -> None:
    for direction in directions:
        errors[index[np.abs(direction) > SMALL * np.max(np.abs(direction))]] = np.inf
