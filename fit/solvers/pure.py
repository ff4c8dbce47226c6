"""A whole fit as one pure function: it runs inside jit and vmap, and has derivatives.

The steps are those of `minimise`, by the same functions, and so are their order and their conditions; what `minimise`
asks on the host is asked here on the device. Left out are what needs other starts or other coordinates: leaps along
valleys, starts about the first, parameters at infinity, and the search for other responses when sources move.

`minimise` stays beside it: there the exact curvature is a program of its own, which most fits run once. Inside one
loop with scoring it would be compiled a second time, and under vmap computed for all as soon as one needs it.

Derivatives are those of the best fit (implicit function theorem): where the slope g(theta, data) of the statistic stays
zero, d theta = -H^-1 (dg / d data) d data with the exact curvature H; parameters at a bound follow the bound.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

from ...datasets.arrays import Array
from ..covariance import dense_inverse
from ..joint.arrowhead import Leaf, Normal, Theta, active_set, diagonals, slopes_of, solve_arrowhead
from ..joint.objective import ProblemSpec, exact_normal, from_free, stat_and_normal, total_stat
from ..status import Status
from .minimise import MOST_AT_BOUNDS, NEAR, NEGLIGIBLE, PAUSE, SLOW, next_to_bound, patience_of
from .newton import newton_step
from .scoring import BAD_START, CONVERGED, MAX_ITERATIONS, RUNNING, STALLED, Scoring, initial_state, iterate

CODES = tuple(Status)
"""The ends of a fit by their numbers in `Best.status`: ``CODES[int(status)]``."""


class Best(NamedTuple):
    """Where a fit ended; ``status`` is the place of the `Status` in `CODES`, ``at_bound`` (n,) tells which parameters a
    bound holds against the slope."""

    free: Leaf
    covariance: Leaf
    edm: Leaf
    status: Leaf
    iterations: Leaf
    evaluations: Leaf
    at_bound: Leaf


class Whole(NamedTuple):
    """What is static of a pure fit: ``spec``, how many rows of each group are datasets (the others are padding), most
    evaluations, and whether there is a covariance."""

    spec: ProblemSpec
    rows: tuple[int, ...]
    most: int
    covariance: bool


def to_free(arrays: dict[str, PyTree], rows: tuple[int, ...], blocks: Theta) -> jax.Array:
    """The vector of free parameters (n,) from blocks; the inverse of `from_free`."""
    places: Theta = arrays["places"]
    parts = [(places.globals, blocks.globals)]
    parts += [(p[:n], b[:n]) for n, p, b in zip(rows, places.locals, blocks.locals, strict=True)]
    index = jnp.concatenate([jnp.ravel(p) for p, _ in parts])
    values = jnp.concatenate([jnp.ravel(v) for _, v in parts])
    # each place is there once, and a gather has a transpose
    return values[jnp.argsort(index)]


def dense(arrays: dict[str, PyTree], rows: tuple[int, ...], normal: Normal) -> jax.Array:
    """The curvature of all free parameters as one matrix (n, n)."""
    places: Theta = arrays["places"]
    at = jnp.asarray(places.globals)
    n = at.shape[0] + sum(k * p.shape[1] for k, p in zip(rows, places.locals, strict=True))
    full = jnp.zeros((n, n), normal.slope.dtype).at[at[:, None], at].set(normal.matrix)
    for k, place, block in zip(rows, places.locals, normal.locals, strict=True):
        if block is None:
            continue
        own = jnp.asarray(place)[:k]
        to = at[block.places[:k]]
        full = full.at[own[:, :, None], own[:, None, :]].add(block.matrix[:k])
        full = full.at[to[:, :, None], own[:, None, :]].add(block.cross[:k])
        full = full.at[own[:, :, None], to[:, None, :]].add(jnp.swapaxes(block.cross[:k], 1, 2))
    return full


def product(normal: Normal, active: Theta, step: Theta) -> Theta:
    """The curvature of the active parameters times a step; that of the others is one."""
    part = jax.tree.map(lambda on, x: jnp.where(on, x, 0.0), active, step)
    of_globals = normal.matrix @ part.globals
    locals_ = []
    for block, x in zip(normal.locals, part.locals, strict=True):
        if block is None:
            locals_.append(x)
            continue
        of_globals = of_globals.at[block.places].add(jnp.einsum("mgl,ml->mg", block.cross, x))
        across = jnp.einsum("mgl,mg->ml", block.cross, part.globals[block.places])
        locals_.append(jnp.einsum("mkl,ml->mk", block.matrix, x) + across)
    found = Theta(of_globals, tuple(locals_))
    return jax.tree.map(lambda on, new, x: jnp.where(on, new, x), active, found, step)


def covariance_at(
    whole: Whole, arrays: dict[str, PyTree], theta: Theta, exact: Normal, expected: Normal
) -> tuple[jax.Array, jax.Array]:
    """Covariance (n, n) of the free parameters as in `FitResult.covariance`, and which of them have a finite error."""
    active = to_free(arrays, whole.rows, _free(arrays, theta, exact))
    return dense_inverse(dense(arrays, whole.rows, exact), dense(arrays, whole.rows, expected), active)


def normals_at(whole: Whole, arrays: dict[str, PyTree], free: jax.Array) -> tuple[Theta, Normal, Normal]:
    """A point in blocks, and the exact and the expected normal equations there."""
    theta = from_free(arrays, free)
    return theta, exact_normal(whole.spec, arrays, theta), stat_and_normal(whole.spec, arrays, theta)[1]


@eqx.filter_custom_jvp
def best_fit(whole: Whole, arrays: dict[str, PyTree], start: jax.Array, tolerance: jax.Array) -> Best:
    """The fit of the free parameters from ``start`` (n,). Its ``free`` has the derivatives of the minimum in all
    ``arrays``; the rest, and the start, have none."""
    spec, n = whole.spec, start.shape[0]
    state, exact = descend(spec, arrays, from_free(arrays, start), tolerance, whole.most, whole.covariance)
    free = to_free(arrays, whole.rows, state.theta)
    covariance = jnp.zeros((n, n), free.dtype)
    finite = jnp.ones(n, bool)
    between = jax.tree.map(lambda low, high: low < high, arrays["low"], arrays["high"])
    held = jax.tree.map(lambda on, way: ~on & way, _free(arrays, state.theta, state.normal), between)
    if whole.covariance:
        covariance, finite = covariance_at(whole, arrays, state.theta, exact, state.normal)
    ends = {
        CONVERGED: Status.CONVERGED, MAX_ITERATIONS: Status.MAX_ITERATIONS, STALLED: Status.STALLED,
        BAD_START: Status.STOPPED, RUNNING: Status.MAX_ITERATIONS,
    }  # fmt: skip
    code = jnp.zeros((), int)
    for end, status in ends.items():
        code = jnp.where(state.status == end, CODES.index(status), code)
    ended = (state.status == CONVERGED) | (state.status == STALLED)
    code = jnp.where(ended & ~jnp.all(finite), CODES.index(Status.UNCONSTRAINED), code)
    # where the statistic is undefined there is no distance to its minimum
    edm = jnp.where(state.status == BAD_START, jnp.inf, state.edm)
    at_bound = to_free(arrays, whole.rows, held)
    return Best(free, covariance, edm, code, jnp.asarray(state.iterations), jnp.asarray(state.evaluations), at_bound)


@best_fit.def_jvp
def _derivative_of_best_fit(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Best, Any]:
    whole, arrays, start, tolerance = primals
    best = best_fit(whole, arrays, start, tolerance)
    changing = jax.tree.map(lambda t: t is not None, tangents[1], is_leaf=lambda t: t is None)
    moving, still = eqx.partition(arrays, changing)
    along = tangents[1]
    theta = from_free(arrays, best.free)
    exact = exact_normal(whole.spec, arrays, theta)
    active = _free(arrays, theta, exact)
    low, high = (_tangent_of(along, arrays, name) for name in ("low", "high"))
    follows = jax.tree.map(
        lambda on, x, lo, d_low, d_high: jnp.where(on, 0.0, jnp.where(x <= lo, d_low, d_high)),
        active, theta, arrays["low"], low, high,
    )  # fmt: skip

    def slope(moving: PyTree, theta: Theta) -> Theta:
        return jax.grad(lambda t: total_stat(whole.spec, eqx.combine(moving, still), t))(theta)

    changed = jax.jvp(slope, (moving, theta), (along, follows))[1]
    changed = jax.tree.map(lambda on, x: jnp.where(on, x, 0.0), active, changed)

    # as one vector: with leaves of which some do not depend on others JAX has no transpose
    vector, blocks_of = ravel_pytree(changed)

    def solved(_: Any, vector: jax.Array) -> jax.Array:
        right = blocks_of(vector)
        slopes = (None if b is None else b._replace(slope=r) for b, r in zip(exact.locals, right.locals, strict=True))
        step = solve_arrowhead(exact._replace(slope=right.globals, locals=tuple(slopes)), active, 0.0)[0]
        return ravel_pytree(jax.tree.map(jnp.negative, step))[0]

    def times_curvature(vector: jax.Array) -> jax.Array:
        return ravel_pytree(product(exact, active, blocks_of(vector)))[0]

    # its transpose and its derivative are solves too
    moved = blocks_of(-jax.lax.custom_linear_solve(times_curvature, vector, solved, symmetric=True))
    step = jax.tree.map(lambda on, a, b: jnp.where(on, a, b), active, moved, follows)
    nothing = jax.tree.map(lambda x: jnp.zeros_like(x) if eqx.is_inexact_array(x) else None, best)
    return best, nothing._replace(free=to_free(arrays, whole.rows, step))


def _tangent_of(along: dict[str, PyTree], arrays: dict[str, PyTree], name: str) -> Theta:
    """The tangents of a bound, zeros where there are none."""
    return jax.tree.map(
        lambda t, x: jnp.zeros_like(x) if t is None else t, along[name], arrays[name], is_leaf=lambda t: t is None
    )


def _free(arrays: dict[str, PyTree], theta: Theta, exact: Normal) -> Theta:
    """Which parameters are not held by a bound, whatever their curvature."""
    curved = Normal(
        exact.slope,
        jnp.eye(exact.slope.shape[0]),
        tuple(
            None if b is None else b._replace(matrix=jnp.broadcast_to(jnp.eye(b.matrix.shape[1]), b.matrix.shape))
            for b in exact.locals
        ),
    )
    return active_set(theta, curved, arrays["low"], arrays["high"])


SEARCH, LAST, BOUNDS, AT_BOUNDS, DONE, END = range(6)


class _Descent(NamedTuple):
    """State of a whole fit.

    ``stage``: searching; at one more of Newton's steps after these; about to put parameters on bounds; following
    these; about to leave; gone. ``exact`` are the exact normal equations of the last point at which they were wanted,
    ``known``: that is where the search has ended.
    ``newton``: whether the last step was Newton's; ``resume``: the evaluation from which the next may be; ``before``
    and ``distance``: iterations and estimated distance before the last step; ``anchor``: the state before parameters
    were put on bounds, of which ``moved``.
    """

    scoring: Scoring
    exact: Normal
    known: jax.Array
    stage: jax.Array
    newton: jax.Array
    resume: jax.Array
    before: jax.Array
    distance: jax.Array
    anchor: Scoring
    moved: jax.Array


def descend(
    spec: ProblemSpec, arrays: dict[str, PyTree], theta: Theta, tolerance: Array, most: int, want_exact: bool
) -> tuple[Scoring, Normal]:
    """The end of the fit from ``theta`` as in `minimise`, and the exact normal equations there (if wanted)."""
    start = jax.tree.map(jnp.asarray, initial_state(spec, theta))
    # one loop, in which each program stands once: compiling them is what takes time
    begun = _Descent(
        start, start.normal, jnp.asarray(False), jnp.asarray(SEARCH), jnp.asarray(False),
        jnp.asarray(patience_of(spec) + 1), start.iterations, start.edm, start, jnp.asarray(0),
    )  # fmt: skip

    def one(s: _Descent) -> _Descent:
        return _one(spec, arrays, tolerance, most + 1, want_exact, s)

    end = jax.lax.while_loop(lambda s: s.stage != END, one, begun)
    return end.scoring, end.exact


def _one(
    spec: ProblemSpec, arrays: dict[str, PyTree], tolerance: Array, limit: int, want_exact: bool, s: _Descent
) -> _Descent:
    """The evaluations up to the next for which the exact curvature is wanted; one of those, or one that is left out."""
    state, old = s.scoring, s.scoring
    over, resume, newton = _next(s, limit)
    next_stage = jnp.where(state.status == CONVERGED, jnp.where(s.newton, LAST, BOUNDS), DONE)
    stage = jnp.where((s.stage == SEARCH) & over, next_stage, s.stage)

    newton = (stage == SEARCH) & newton
    wanted = newton | (stage == LAST) | ((stage == DONE) & want_exact & ~s.known)
    exact, _ = _once(wanted, partial(_exact, spec, arrays), (s.exact, state.theta))
    steps = newton | (stage == LAST)
    tried, decrease = _once(steps, partial(_newton, arrays, exact), (state, jnp.full_like(state.edm, jnp.nan)))
    there = steps & jnp.isfinite(decrease)
    state = _where(there, state._replace(candidate=tried.candidate, predicted=decrease), state)
    worth = (stage == LAST) & (state.predicted > NEGLIGIBLE * tolerance)

    on_bounds, n_moved = _on_bounds(arrays, tolerance, state)
    onto = (stage == BOUNDS) & (n_moved > 0)
    restart = state._replace(
        candidate=on_bounds, stat=jnp.full_like(state.stat, jnp.inf), predicted=jnp.ones_like(state.stat)
    )
    anchor, moved = _where(onto, state, s.anchor), jnp.where(onto, n_moved, s.moved)
    state = _where(onto, restart, state)

    evaluate = (stage == SEARCH) | worth | onto | (stage == AT_BOUNDS)
    state = state._replace(status=jnp.where(evaluate, RUNNING, state.status))
    newton = newton | (s.newton & (stage != SEARCH))
    s = s._replace(scoring=state, stage=stage, newton=newton, resume=resume, before=old.iterations, distance=old.edm)
    s = _evaluated(spec, arrays, tolerance, limit, evaluate, s)
    state = s.scoring
    last = stage == LAST
    state = _where(last & ~worth, old, state)
    state = state._replace(status=jnp.where(last, CONVERGED, state.status))
    follows = onto | (stage == AT_BOUNDS)
    followed = follows & ((state.status != RUNNING) | (state.evaluations >= anchor.evaluations + MOST_AT_BOUNDS))
    rounding = 8 * jnp.finfo(state.stat.dtype).eps * jnp.maximum(1.0, jnp.abs(anchor.stat))
    allowed = moved.astype(state.stat.dtype) * 2 * tolerance + rounding
    good = (state.status == CONVERGED) & (state.stat <= anchor.stat + allowed)
    state = _where(followed & ~good, anchor, state)
    stage = jnp.select(
        [stage == SEARCH, last, followed, follows, stage == BOUNDS],
        [jnp.full_like(stage, x) for x in (SEARCH, BOUNDS, DONE, AT_BOUNDS, DONE)],
        END,
    )
    known = (s.known | (last & ~worth)) & ~(followed & good)
    return s._replace(scoring=state, exact=exact, known=known, stage=stage, anchor=anchor, moved=moved)


def _next(s: _Descent, limit: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of a search: whether it is over, the evaluation from which a step may be Newton's, whether the next is one."""
    state = s.scoring
    n_free = sum(np.size(leaf) for leaf in jax.tree.leaves(state.theta))
    over = (state.status != RUNNING) | (state.evaluations >= limit)
    refused = s.newton & (state.iterations == s.before)
    resume = jnp.where(refused, state.evaluations + PAUSE, s.resume)
    slow = s.newton | (state.edm > SLOW * s.distance)
    return over, resume, (state.evaluations >= resume) & slow & (state.edm < NEAR * n_free)


def _evaluated(
    spec: ProblemSpec, arrays: dict[str, PyTree], tolerance: Array, limit: int, wanted: jax.Array, s: _Descent
) -> _Descent:
    """After an evaluation, if it is wanted, and after those of a search that follow without the exact curvature.

    Under vmap the fits so wait for each other where that is wanted, and it is computed once for all, not whenever one
    of them has converged.
    """
    searching = s.stage == SEARCH

    # what does not change stays outside of the loop
    def changing(s: _Descent) -> tuple[Any, ...]:
        return s.scoring, s.newton, s.resume, s.before, s.distance

    def put(changed: tuple[Any, ...]) -> _Descent:
        scoring, newton, resume, before, distance = changed
        return s._replace(scoring=scoring, newton=newton, resume=resume, before=before, distance=distance)

    def one(carried: tuple[jax.Array, tuple[Any, ...]]) -> tuple[jax.Array, tuple[Any, ...]]:
        old = put(carried[1])
        state = iterate(spec, arrays, tolerance, old.scoring)
        new = old._replace(scoring=state, before=old.scoring.iterations, distance=old.scoring.edm)
        over, resume, newton = _next(new, limit)
        again = searching & ~over & ~newton
        new = new._replace(newton=new.newton & ~again, resume=jnp.where(again, resume, new.resume))
        return again, changing(new)

    return put(jax.lax.while_loop(lambda carried: carried[0], one, (wanted, changing(s)))[1])


def _once(wanted: jax.Array, function: Callable[[Any], Any], value: Any) -> Any:
    """``function(value)`` where it is wanted, else ``value``. A loop: vmap takes both sides of a branch."""

    def one(carried: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        return jnp.asarray(False), function(carried[1])

    return jax.lax.while_loop(lambda carried: carried[0], one, (wanted, value))[1]


def _where(where: jax.Array, one: Scoring, other: Scoring) -> Scoring:
    return jax.tree.map(lambda a, b: jnp.where(where, a, b), one, other)


def _exact(spec: ProblemSpec, arrays: dict[str, PyTree], carried: tuple[Normal, Theta]) -> tuple[Normal, Theta]:
    """The exact normal equations at a point.

    The point moves: what is the same at every turn of a loop XLA computes before it, wanted or not.
    """
    _, theta = carried
    return exact_normal(spec, arrays, theta), jax.tree.map(lambda x: x + 1, theta)


def _newton(arrays: dict[str, PyTree], exact: Normal, carried: tuple[Scoring, jax.Array]) -> tuple[Scoring, jax.Array]:
    """Newton's step as the candidate, with the decrease to expect; the point moves, likewise."""
    state, _ = carried
    given = [arrays[name] for name in ("low", "high", "scale_like", "coordinates")]
    candidate, decrease = newton_step.function(None, exact, state.normal, state.theta, *given)
    return state._replace(theta=candidate, candidate=candidate), decrease


def _on_bounds(arrays: dict[str, PyTree], tolerance: Array, state: Scoring) -> tuple[Theta, jax.Array]:
    """The point with parameters on the bounds that they are next to, and how many have moved."""

    def onto(x: jax.Array, slope: jax.Array, curvature: jax.Array, low: Array, high: Array) -> jax.Array:
        return jnp.asarray(next_to_bound(jnp, tolerance, x, slope, curvature, low, high))

    slopes, curvatures = slopes_of(state.normal, state.theta), diagonals(state.normal, state.theta)
    there = jax.tree.map(onto, state.theta, slopes, curvatures, arrays["low"], arrays["high"])
    moved = [jnp.sum(a != b) for a, b in zip(*map(jax.tree.leaves, (there, state.theta)), strict=True)]
    return there, jnp.asarray(sum(moved))
