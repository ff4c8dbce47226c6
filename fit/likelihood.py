"""The joint likelihood as a pure object: a static program and arrays, for one's own optimisers, samplers and loops."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from ..datasets.arrays import Array
from ..datasets.compile import OF_A_FIT, Program
from ..datasets.counts.npred import SomeModels
from ..datasets.errors import InputError, closest, listed
from ..datasets.hints.calls import hinted
from ..datasets.hints.switches import to_flag
from ..datasets.prepared import Arrays, Models, Prepared
from ..datasets.shown import number_text, robust
from ..datasets.units import Given, numbers_in
from .covariance import DENSE_LIMIT
from .joint.blocks import evaluate, inputs
from .joint.objective import ProblemSpec, compiled_stat, from_free
from .joint.parameters import parameter_space
from .joint.priors import require_bounded_widths
from .joint.problem import Problem, SomeDatasets, as_datasets, as_models, make_problem, with_image_sizes
from .likelihood_input import Counts, Member, by_name, counts_of, held_value
from .result import FitResult
from .sampling import SamplingDensity, distances, whitening
from .solvers.pure import CODES, Whole, best_fit, covariance_at, normals_at, to_free
from .solvers.solution import limits
from .status import Status

MOST_SHOWN = 20
"""Parameters that a likelihood shows."""


class LikelihoodFit(NamedTuple):
    """What `Likelihood.fit` found, as arrays: with a leading axis for each ``vmap`` around it.

    ``theta`` (n,) the best fit, ``stat`` its statistic (with priors), ``covariance`` (n, n) as in
    `FitResult.covariance`, ``edm`` the estimated distance to the minimum in units of the statistic, ``status`` the
    place of the `Status` among ``list(gj.Status)``: 0 is converged; ``iterations`` and ``evaluations`` of the solver.
    ``at_bound`` (n,) tells which parameters a bound holds against the slope.
    """

    theta: Any
    stat: Any
    covariance: Any
    edm: Any
    status: Any
    iterations: Any
    evaluations: Any
    at_bound: Any

    @property
    def errors(self) -> Any:
        """Standard deviations (n,) as in `FitResult`: NaN for parameters ``at_bound``, infinite where the data say
        nothing, 0 for those that are held at a value."""
        return jnp.where(self.at_bound, jnp.nan, jnp.sqrt(jnp.diagonal(self.covariance, axis1=-2, axis2=-1)))

    @property
    def success(self) -> Any:
        """Whether the fit converged, and the data give every parameter a place."""
        return self.status == CODES.index(Status.CONVERGED)


class Likelihood(eqx.Module):
    """-2 ln L of datasets given models, with priors, as a function of the vector theta (n,) of free parameters.

    ``names`` is the order of theta, whose numbers are in the units of the parameters, as in
    ``models.parameters[name].value``; ``initial``, ``low`` and ``high`` (n,) are their values and bounds. All methods
    are pure: jit, grad, hessian and vmap work, also over the arrays of the object, which is a pytree with a static
    program and can be passed as an argument, pickled, exported and serialised. Two likelihoods that differ in data only
    share their programs.

    Sources on maps have the responses at the places that the models give them, and images with room for free widths of
    Gaussians to double, as in the first round of `fit`: within the pixel of the map that a source starts in the
    prepared responses are those of its place. `fit` looks them up again until they settle; here make the object anew
    with models that are nearer (``gj.likelihood(datasets, result.models)``) for sources that leave their pixel or
    outgrow their room.

    Example::

        like = gj.likelihood(datasets, models)
        best = like.fit()
        toys = jax.vmap(lambda n: like.with_counts({"run-1": n}).fit().theta)(counts)
    """

    spec: ProblemSpec = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    members: tuple[Member, ...] = eqx.field(static=True)
    rows: tuple[int, ...] = eqx.field(static=True)
    units: tuple[str, ...] = eqx.field(static=True)
    arrays: dict[str, PyTree]
    frames: tuple[Arrays, ...]
    initial: Float[Array, " n"]

    @property
    def low(self) -> jax.Array:
        """Lower bounds (n,), -inf where there is none."""
        return self._vector("low")

    @property
    def high(self) -> jax.Array:
        """Upper bounds (n,), inf where there is none."""
        return self._vector("high")

    @property
    def datasets_names(self) -> tuple[str, ...]:
        """Names of the datasets, in order."""
        return tuple(member.name for member in self.members)

    @hinted
    def stat(self, theta: Float[Array, " n"]) -> jax.Array:
        """Fit statistic summed over all datasets (inside their masks), plus priors and penalties: a scalar."""
        return compiled_stat(self.spec, self.arrays, self._theta(theta, "stat"))

    @hinted
    def log_prob(self, theta: Float[Array, " n"]) -> jax.Array:
        """-stat / 2: ln of likelihood times priors up to a constant of the data; -inf outside the bounds."""
        theta = self._theta(theta, "log_prob")
        inside = jnp.all((theta >= self.low) & (theta <= self.high))
        safe = jnp.where(inside, theta, self.initial)
        return jnp.where(inside, -compiled_stat(self.spec, self.arrays, safe) / 2, -jnp.inf)

    @hinted
    def npred(self, theta: Float[Array, " n"]) -> dict[str, jax.Array]:
        """All that is expected, by dataset, of the shape of the counts (of flux points, what they are compared with).

        As `gammajax.npred`, with the responses of the places that the models had when this object was made.
        """
        predicted = _npred((self.spec, self.members), self.arrays, self.frames, self._theta(theta, "npred"))
        return dict(zip(self.datasets_names, predicted, strict=True))

    @hinted
    def with_counts(self, counts: Mapping[str, Counts]) -> Self:
        """The likelihood of other data: same program, so that it may be vmapped over counts.

        ``counts`` by the names of datasets, those not named keep theirs. Each is an array of the shape of the data; for
        on/off data a mapping of "counts" and "counts_off"; or a dataset, such as `fake` gives, of which only the counts
        are taken: masks and responses stay.
        """
        counts = by_name(counts, "with_counts", "datasets", "counts")
        known = {member.name: i for i, member in enumerate(self.members)}
        found: dict[int, Arrays] = {}
        for name, given in counts.items():
            if name not in known:
                raise InputError(f"with_counts: there is no dataset {name!r}. {closest(name, known)}")
            place = known[name]
            found[place] = counts_of(self.members[place], given, self._mask(place))
        return self.with_places(found)

    @hinted
    def with_held(self, values: Mapping[str, Given]) -> Self:
        """The likelihood in which some parameters, by full name, are held at values; ``values`` may be traced.

        Values are numbers in the unit of the parameter, or Quantities. Held parameters stay in theta, with both bounds
        equal: the program is the same. For profiles: vmap over values.
        """
        values = by_name(values, "with_held", "parameters", "values")
        low, high, initial = self.low, self.high, jnp.asarray(self.initial)
        for name, given in values.items():
            if name not in self.names:
                raise InputError(f"with_held: there is no free parameter {name!r}. {closest(name, self.names)}")
            at = self.names.index(name)
            value = held_value(given, self.units[at], f"with_held: {name}")
            low, high, initial = (vector.at[at].set(value) for vector in (low, high, initial))
        arrays = self.arrays | {"low": from_free(self.arrays, low), "high": from_free(self.arrays, high)}
        return eqx.tree_at(lambda like: (like.arrays, like.initial), self, (arrays, initial))

    @hinted
    def fit(
        self,
        theta: Float[Array, " n"] | None = None,
        *,
        tolerance: float | None = None,
        max_iterations: int = 200,
        covariance: bool = True,
    ) -> LikelihoodFit:
        """The best fit from ``theta`` (n,), by default ``initial``: pure, for jit and vmap.

        The steps are those of `gammajax.fit` from one start; that also tries other starts, leaps along valleys and
        looks for parameters at infinity. Its ``status`` is one of those of `Status` but AT_INFINITY and FLAT, and
        STOPPED where the statistic is not finite at the start.

        ``theta`` and ``stat`` of the result have derivatives: those of the minimum (implicit function theorem, with the
        exact curvature) in all that the likelihood was made of, counts and responses, in bounds and held values. Take
        them through ``with_counts`` and ``with_held``, or make the likelihood inside of the function. The others have
        none; `covariance` has. Where the data do not give every parameter a place there are no derivatives (NaN).

        Parameters
        ----------
        theta : start values (n,), moved into the bounds
        tolerance : as in `fit`; by default 1e-8 in double, 1e-4 in single precision
        max_iterations : as in `fit`
        covariance : False leaves it out (zeros), and with it the check for directions that the data do not constrain
        """
        covariance = to_flag(covariance, "Likelihood.fit: covariance")
        start = self.initial if theta is None else self._theta(theta, "fit")
        start = jnp.clip(jnp.asarray(start), self.low, self.high)
        if covariance and start.shape[0] > DENSE_LIMIT:
            raise InputError(
                f"Likelihood.fit: the covariance of {start.shape[0]} parameters is too large (limit {DENSE_LIMIT}). "
                "Say covariance=False, or use gj.fit, whose errors need no such matrix."
            )
        if tolerance is None:
            tolerance = 1e-8 if start.dtype == np.float64 else 1e-4
        tolerance, max_iterations = limits(tolerance, max_iterations, "Likelihood.fit")
        require_bounded_widths(self.arrays, self.names, "Likelihood.fit")
        whole = Whole(self.spec, self.rows, max_iterations, covariance)
        return _fit(whole, self.arrays, start, jnp.asarray(tolerance, start.dtype))

    @hinted
    def covariance(self, theta: Float[Array, " n"]) -> jax.Array:
        """2 H^-1 of the exact curvature H at ``theta``, (n, n), as in `FitResult.covariance`: pure."""
        whole = Whole(self.spec, self.rows, 0, True)
        return _covariance(whole, self.arrays, self._theta(theta, "covariance"))

    @hinted
    def whitened(self, result: FitResult | LikelihoodFit) -> SamplingDensity:
        """The posterior in coordinates z in which it is about standard normal, on all of R^n: for samplers.

        ``result`` is that of a fit of these parameters. Bounds go away as in `unconstrained`.
        """
        if not isinstance(result, FitResult | LikelihoodFit):
            raise InputError(
                f"whitened: found {type(result).__name__}, expected the result of a fit: like.whitened(like.fit()), or "
                "that of gj.fit."
            )
        if isinstance(result, FitResult):
            space = parameter_space(as_models(result.models), self.datasets_names)
            if tuple(space.free_names) != self.names:
                raise InputError("whitened: the result is that of a fit with other free parameters.")
            theta, covariance = space.values[space.free], result.covariance
        else:
            theta, covariance = result.theta, result.covariance
        return SamplingDensity(self, *whitening(jnp.asarray(theta), jnp.asarray(covariance), self.low, self.high))

    @hinted
    def unconstrained(self) -> SamplingDensity:
        """The posterior on all of R^n: the bounds go away by the transforms of `fit.sampling`, their Jacobian is in it.

        x = low + s softplus(y) with a lower bound, x = high - s softplus(-y) with an upper one, both for two bounds,
        x = y without; s is the distance of the initial value to the bound, or of the bounds to each other.
        """
        n, dtype = len(self.names), jnp.asarray(self.initial).dtype
        scale = distances(jnp.asarray(self.initial), self.low, self.high)
        return SamplingDensity(self, jnp.zeros(n, dtype), jnp.eye(n, dtype=dtype), scale)

    @robust
    def __repr__(self) -> str:
        """The datasets, and the parameters with their values."""
        lines = [f"Likelihood of {listed(self.datasets_names)}: {len(self.names)} free parameters"]
        for name, value, unit in list(zip(self.names, self.initial, self.units, strict=True))[:MOST_SHOWN]:
            lines.append(f"  {name} = {number_text(value)} {unit}".rstrip())
        return "\n".join(lines + ["  ..."] * (len(self.names) > MOST_SHOWN))

    def _mask(self, place: int) -> Array:
        """Which bins of a dataset are fitted, of its shape."""
        member, frame = self.members[place], self.frames[place]
        if "mask" in frame or not member.counted:
            return frame.get("mask", np.ones(member.shape, bool))
        group = self.arrays["groups"][member.group]
        return group["data_own"]["mask_safe"][member.row][: math.prod(member.shape)].reshape(member.shape)

    def _vector(self, name: str) -> jax.Array:
        return to_free(self.arrays, self.rows, self.arrays[name])

    def _theta(self, given: Any, what: str) -> jax.Array:
        theta = jnp.asarray(numbers_in(given, "", f"Likelihood.{what}: theta"))
        if theta.shape != (len(self.names),):
            raise InputError(
                f"Likelihood.{what}: theta has shape {theta.shape}, expected ({len(self.names)},): one number for "
                f"each of {', '.join(self.names[:5])}{' ...' if len(self.names) > 5 else ''}. Use jax.vmap for many."
            )
        return theta

    @hinted
    def with_places(self, counts: Mapping[int, Arrays]) -> Self:
        """`with_counts` by the place of the dataset."""
        groups, frames = [dict(group) for group in self.arrays["groups"]], list(self.frames)
        for number, (group, spec) in enumerate(zip(groups, self.spec.groups, strict=True)):
            rows = {m.row: (m, i) for i, m in enumerate(self.members) if m.group == number and i in counts}
            if not rows:
                continue
            own = dict(group["data_own"])
            parts: dict[str, list[Any]] = {
                name: [own[name][row] for row in range(spec.n_members)] for name in spec.make.of_counts
            }
            for row, (_, place) in rows.items():
                of_row = group["data"] | {name: values[row] for name, values in own.items()}
                new = spec.make.counted(of_row, self.frames[place], counts[place])
                for name in parts:
                    parts[name][row] = new[name]
                frames[place] = {k: counts[place].get(k, v) for k, v in self.frames[place].items()}
            group["data_own"] = own | {
                name: jnp.stack([jnp.asarray(v) for v in rows_]) for name, rows_ in parts.items()
            }
        arrays = self.arrays | {"groups": tuple(groups)}
        return eqx.tree_at(lambda like: (like.arrays, like.frames), self, (arrays, tuple(frames)))

    # of two objects that hold arrays nobody can say quickly whether they are equal; jax.jit(like.stat) asks
    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@hinted
def likelihood(datasets: SomeDatasets, models: SomeModels) -> Likelihood:
    """The likelihood of the free parameters of ``models`` given ``datasets``, see `Likelihood`.

    Pure: it may be made inside jit, grad and vmap, of datasets and models that are traced.

    Parameters
    ----------
    datasets : `Datasets`, a mapping of names to datasets, or one dataset
    models : `Models`, or models

    Raises
    ------
    InputError
        for input that cannot be fitted: see its message.
    """
    datasets = as_datasets(datasets)
    return likelihood_of(make_problem(datasets, with_image_sizes(as_models(models), datasets)))


def likelihood_of(problem: Problem) -> Likelihood:
    """The likelihood of a problem that is made ready."""
    place = {
        int(index): (number, int(row))
        for number, group in enumerate(problem.groups)
        for index, row in zip(group.members, group.rows, strict=True)
    }
    members, frames = [], []
    for index, (name, dataset) in enumerate(problem.datasets.items()):
        number, row = place[index]
        own = problem.spec.groups[number].make.of_counts
        counted = tuple(field for field in ("counts", "counts_off") if field in own)
        members.append(Member(name, number, row, tuple(dataset.data_shape), counted))
        frames.append(dataset.frame())
    space = problem.space
    arrays, frames_ = jax.tree.map(_as_array, (problem.arrays, tuple(frames)))
    return Likelihood(
        spec=problem.spec,
        names=tuple(problem.free_names),
        members=tuple(members),
        rows=tuple(len(group.rows) for group in problem.groups),
        units=tuple("" if p is None else p.unit for p in (space.parameters[i] for i in space.free_index)),
        arrays=arrays,
        frames=frames_,
        initial=_as_array(problem.start()),
    )


def _as_array(leaf: Any) -> Array:
    return leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)


@partial(Program, most=OF_A_FIT)
def _fit(whole: Whole, arrays: dict[str, PyTree], start: jax.Array, tolerance: jax.Array) -> LikelihoodFit:
    best = best_fit(whole, arrays, start, tolerance)
    stat = compiled_stat(whole.spec, arrays, best.free)
    return LikelihoodFit(best.free, stat, *best[1:])


@partial(Program, most=OF_A_FIT)
def _covariance(whole: Whole, arrays: dict[str, PyTree], free: jax.Array) -> jax.Array:
    return covariance_at(whole, arrays, *normals_at(whole, arrays, free))[0]


@partial(Program, most=OF_A_FIT)
def _npred(
    static: tuple[ProblemSpec, tuple[Member, ...]],
    arrays: dict[str, PyTree],
    frames: tuple[Arrays, ...],
    free: jax.Array,
) -> list[jax.Array]:
    spec, members = static
    theta = from_free(arrays, free)
    bins = [
        evaluate(group, data, _expected, *inputs(group, data, theta, number))
        for number, (group, data) in enumerate(zip(spec.groups, arrays["groups"], strict=True))
    ]
    found = []
    for member, frame in zip(members, frames, strict=True):
        data = arrays["groups"][member.group]
        of_row = data["data"] | {name: values[member.row] for name, values in data["data_own"].items()}
        make = spec.groups[member.group].make
        found.append(make.unfolded(of_row, frame, bins[member.group][member.row], member.shape))
    return found


def _expected(dataset: Prepared, models: Models) -> jax.Array:
    return dataset.expected(models)
