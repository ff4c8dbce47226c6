"""The fit: choose a method, run it, attach errors."""

from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import jax
import numpy as np
from jax.sharding import Mesh

from ..datasets.arrays import Array
from ..datasets.collection.datasets import Datasets
from ..datasets.compile import being_traced, tracing_ahead
from ..datasets.counts.npred import SomeModels
from ..datasets.dataset import Dataset
from ..datasets.errors import InputError
from ..datasets.hints.calls import hinted
from ..datasets.models.collection import Models
from ..kernels.programs import Memory
from .covariance import Curvature, curvature, untold
from .double import require_double
from .joint.again import MOST_REFRESHES, can_move, fitted_models, models_there
from .joint.devices import check_mesh, n_processes
from .joint.identity import bins_and_checksum
from .joint.objective import compiled_exact_normal, from_free
from .joint.priors import require_bounded_widths
from .joint.problem import (
    Problem,
    SomeDatasets,
    as_datasets,
    as_models,
    make_problem,
    no_collection,
    with_image_sizes,
)
from .result import FitResult
from .solvers.elsewhere import End, Sky, direction, elsewhere, faint, looks, placed, without_place
from .solvers.globalise import SAME, Starts, check_starts, joined
from .solvers.infinity import at_infinity, beside_infinity
from .solvers.minimise import MOST_ELSEWHERE, is_better, lower_scoring, run_scoring_method
from .solvers.minuit import run_minuit
from .solvers.optax import run_optax
from .solvers.saddle import off_saddle
from .solvers.solution import Progress, Solution, check_progress, limits
from .solvers.vanished import vanished
from .status import MESSAGES, Status

if TYPE_CHECKING:
    import optax


AHEAD_DATASETS = 1000
"""Datasets up to which the program for the errors is compiled while the fit runs; it computes them once for nothing."""


@hinted
def fit(
    datasets: SomeDatasets,
    models: SomeModels,
    method: "Literal['scoring', 'minuit'] | optax.GradientTransformation" = "scoring",
    *,
    steps: int = 1000,
    tolerance: float = 1e-8,
    max_iterations: int = 200,
    precision: Literal["float64", "float32"] = "float64",
    progress: Progress | None = None,
    batch_size: int | None = None,
    mesh: Mesh | None = None,
    starts: Starts = "auto",
) -> FitResult:
    """Fit ``models`` to ``datasets`` jointly.

    Parameters
    ----------
    datasets : `Datasets`, a mapping of names to datasets, or one dataset
    models : `Models`, or models
    method : "scoring" (damped Fisher scoring, the default), "minuit" (needs iminuit; fed with our gradient), or an
        optax gradient transformation such as ``optax.adam(1e-2)`` or ``optax.lbfgs()``, which runs for at most
        ``steps`` steps (rounded up to 25) on parameters divided by the size of their start values
    tolerance : estimated distance to the minimum, in units of the statistic, at which the fit has converged
    max_iterations : limit of "scoring" (and of Minuit's calls, times 100)
    precision : "float64", or "float32" if asked for
    progress : called as ``progress(iterations, stat, edm)`` about once an iteration
    batch_size : datasets of a kind that a device takes at a time (default: all; of maps as many as stay in the cache
        of a processor, or in 256 MB with their data on other devices). What a step needs besides the data
        is then about 8 x (batch_size x (d + 2 (1 + s + q) (n + t)) + k t (1 + s)^2) bytes: d counts the numbers of one
        dataset, s the free parameters that all share, q those that they do not, n the bins, t those in true energy (for
        a map the pixels of its images) and k the nodes in each of these; see docs/cluster.md
    mesh : a `jax.sharding.Mesh` of one axis: the datasets are spread over its devices, and what they have in common
        is summed over them. With devices of several processes (`jax.distributed`) every process gives the datasets
        that it holds and the models of all, calls this function, and gets the same result; see docs/cluster.md. By
        default maps take all CPU devices that JAX has (one, unless ``jax_num_cpu_devices`` says so), others the first
    starts : how many starts "scoring" takes: that of ``models``, and others whose energies and exponents are scattered
        in a fixed way, or lie at the minima of a coarse profile; the lowest end counts. "auto": several where spectra
        with such free parameters (cutoffs, breaks, sums of two) may have several minima, where a curved one is faint,
        and where the first fit does not converge, else one; faint sources of maps are tried at other places besides.
        What they led to is in ``result.starts``

    Raises
    ------
    InputError
        for input that cannot be fitted: see its message. A fit that does not converge does not raise; its ``status``,
        ``message`` and ``success`` say so.
    """
    _check_precision(precision)
    is_optax = hasattr(method, "init") and hasattr(method, "update")
    if method not in ("scoring", "minuit") and not is_optax:
        raise InputError(f"fit: method must be 'scoring', 'minuit' or an optax optimiser, found {method!r}.")
    if method != "scoring" and n_processes(check_mesh(mesh)) > 1:
        raise InputError("fit: on a mesh of several processes the method must be 'scoring'.")
    tolerance, max_iterations = limits(tolerance, max_iterations, "fit")
    check_progress(progress, "fit")
    if precision == "float32":
        tolerance = max(tolerance, 1e-4)

    check_starts(starts)
    if method != "scoring" and starts not in ("auto", 1):
        raise InputError(f"fit: several starts are for method='scoring', found starts={starts!r}. Leave starts out.")

    def run(problem: Problem, starts: Starts = 1, again: bool = False, once: bool = False) -> Solution:
        if precision == "float32":
            problem.arrays = jax.tree.map(_single, problem.arrays)
        ahead = None
        if len(problem.datasets) <= AHEAD_DATASETS and mesh is None:
            start = from_free(problem.arrays, np.asarray(problem.start(), precision))
            ahead = compiled_exact_normal(problem.spec).prepare(
                problem.spec,
                problem.arrays,
                start,
                before=partial(lower_scoring, problem.spec, problem.arrays, start) if method == "scoring" else None,
                run=problem.mesh is None,
            )
        try:
            if is_optax:
                return run_optax(problem, method, steps, tolerance, progress)
            if method == "minuit":
                return run_minuit(problem, tolerance, max_iterations, progress)
            return run_scoring_method(problem, tolerance, max_iterations, precision, progress, starts, again, once)
        finally:
            if ahead is not None:
                ahead.join()

    datasets = as_datasets(datasets)
    models = with_image_sizes(as_models(models), datasets, mesh)
    _refuse_traced()
    if mesh is None and method == "scoring":
        _trace_ahead(datasets, models, batch_size, precision)
    problem = make_problem(datasets, models, mesh=mesh, batch_size=batch_size, spread=True)
    _refuse_traced(problem.arrays, problem.space.values)
    require_bounded_widths(problem.arrays, problem.free_names, "fit")
    begun = np.asarray(problem.start(), float)
    movable = can_move(problem)

    def remade(fitted: Models) -> Problem:
        return make_problem(datasets, fitted, mesh=mesh, batch_size=batch_size, spread=True)

    def at(problem: Problem, free: np.ndarray) -> Problem:
        return remade(models_there(problem, free, datasets, mesh)[0])

    def settled(problem: Problem, solution: Solution) -> tuple[Problem, Solution]:
        """The end with responses and images of where the sources are; its iterations are those of all runs."""
        iterations, evaluations = solution.iterations, solution.evaluations
        minima, of_starts = solution.minima, solution.stat
        before: tuple[Problem, Solution] | None = None
        for _ in range(MOST_REFRESHES if movable else 0):
            # once: what falls from there again is no way out
            off, solution = off_saddle(problem, solution) if before is None else (None, solution)
            if off is not None:
                before = problem, solution
            fitted, moves = models_there(problem, solution.free if off is None else off, datasets, mesh)
            if off is None and not any(moves):
                break
            problem = remade(fitted)
            solution = run(problem, again=off is None and solution.status == Status.CONVERGED)
            iterations, evaluations = iterations + solution.iterations, evaluations + solution.evaluations
        if before is not None and not solution.stat < before[1].stat:
            problem, solution = before
        minima = None if minima is None else minima.moved(solution.stat - of_starts)
        return problem, replace(solution, iterations=iterations, evaluations=evaluations, minima=minima)

    def sought(problem: Problem, solution: Solution) -> tuple[Problem, Solution, dict[str, float]]:
        """The same after other places of faint sources were tried, and those that have none by the data."""
        found, ends, stats = faint(problem, solution), list[End](), list[float]()
        if not found:
            return problem, solution, {}
        sky = Sky(problem, solution)
        for source, rise in found:
            others, extent = elsewhere(problem, solution, source, rise, begun, sky)
            seen = looks([at(problem, start) for start in others], solution, precision)
            solution = replace(solution, evaluations=solution.evaluations + sum(look.evaluations for look in seen))
            for look in seen:
                end, ended = End(source, look.free, look.stat, extent), look.there
                if look.lowest < solution.stat - SAME:
                    there = at(look.problem, look.free)
                    there, other = settled(there, run(there, again=look.there))
                    end, ended = End(source, other.free, other.stat, extent), True
                    n_evaluations = solution.evaluations + other.evaluations
                    if is_better(other, solution):
                        ends.append(End(source, solution.free, solution.stat, extent))
                        n_iterations = solution.iterations + other.iterations
                        problem, solution = there, replace(other, iterations=n_iterations, minima=solution.minima)
                        sky.taken.append(direction(problem, source, solution.free))
                    solution = replace(solution, evaluations=n_evaluations)
                ends.append(end)
                stats += [end.stat] if ended else []
        if ends:
            solution = replace(solution, minima=joined(solution, stats))
        return problem, solution, without_place(problem, solution, found, ends)

    begins, unplaced = problem, dict[str, float]()
    seeks = movable and method == "scoring" and starts == "auto" and max_iterations >= MOST_ELSEWHERE
    seeks = seeks and bool(placed(problem))
    # where a source is at the wrong place, starts scattered in its spectrum are of no use
    solution = run(problem, starts, once=seeks)
    doubtful = solution.status != Status.CONVERGED
    problem, solution = settled(problem, solution)
    if seeks:
        problem, solution, unplaced = sought(problem, solution)
        if doubtful and solution.status != Status.CONVERGED:
            there, other, of_other = sought(*settled(begins, run(begins, starts)))
            n_evaluations = solution.evaluations + other.evaluations
            if is_better(other, solution, SAME):
                problem, solution, unplaced = there, other, of_other
            solution = replace(solution, evaluations=n_evaluations)
    return finish(problem, solution, unplaced)


def _refuse_traced(*numbers: object) -> None:
    """Raise an `InputError` inside a jit, or if one of these numbers belongs to another transformation."""
    if being_traced(*numbers):
        raise InputError(
            "fit: this is inside a jax transformation (jit, grad, vmap). gj.fit is a program of its own: call it "
            "outside. Inside, gj.likelihood(datasets, models).fit() is a pure fit, and gj.stat_sum the statistic."
        )


_traced_ahead: Memory[Hashable, None] = Memory(256)


def _trace_ahead(datasets: Datasets, models: Models, batch_size: int | None, precision: str) -> None:
    """For the first fit of a kind of maps: trace the fit while the programs that prepare the datasets are compiled."""
    given = list(datasets)
    if len(given) > AHEAD_DATASETS or not any(d.prepare_compiles for d in given if isinstance(d, Dataset)):
        return
    leaves, structure = jax.tree.flatten((given, list(models)))
    _refuse_traced(leaves)
    key = (structure, tuple(map(np.shape, leaves)), batch_size, precision)
    if key in _traced_ahead:
        return
    _traced_ahead[key] = None
    with tracing_ahead() as threads:
        problem = make_problem(datasets, models, batch_size=batch_size, spread=True)
    if threads:
        if precision == "float32":
            problem.arrays = jax.tree.map(_single, problem.arrays)
        lower_scoring(problem.spec, problem.arrays, from_free(problem.arrays, np.asarray(problem.start(), precision)))
    for thread in threads:
        thread.join()


def finish(problem: Problem, solution: Solution, unplaced: Mapping[str, float] = MappingProxyType({})) -> FitResult:
    """Errors at the end point, and the models that carry them; for ``unplaced`` sources see `elsewhere`."""
    theta = from_free(problem.arrays, np.asarray(solution.free, problem.arrays["low"].globals.dtype))
    exact = solution.exact
    if exact is None:
        exact = compiled_exact_normal(problem.spec)(problem.spec, problem.arrays, theta)
    exact, expected = jax.device_get((exact, solution.expected))
    errors = curvature(problem, theta, exact, expected)
    endless: list[int] = []
    blunt: list[int] = []
    gone: list[str] = []
    if problem.share.processes == 1:
        endless = at_infinity(problem, solution, errors.free_errors)
        if endless:
            # the errors of the others are those of the limit
            errors = curvature(problem, theta, exact, expected, without=endless)
        gone = vanished(problem, solution, errors.free_errors)
        blunt = beside_infinity(problem, solution, errors.free_errors, endless)
        errors = untold(problem, errors, blunt)
    status = _status(solution, errors, endless, gone)
    with no_collection():
        models = fitted_models(problem, solution.free, errors.errors)
    names = problem.space.names
    n_bins, checksum = bins_and_checksum(problem.share)
    return FitResult(
        models=models,
        stat=solution.stat,
        status=status,
        message=_message(
            status, solution, errors, [names[i] for i in endless], [names[i] for i in blunt], gone, unplaced
        ),
        iterations=solution.iterations,
        evaluations=solution.evaluations,
        edm=solution.edm,
        method=solution.method,
        free_names=tuple(problem.free_names),
        n_bins=n_bins,
        datasets_names=problem.share.names,
        curvature=errors,
        starts=solution.minima,
        data_checksum=checksum,
    )


def _status(solution: Solution, errors: Curvature, endless: list[int], gone: list[str]) -> Status:
    """Converged only where every free parameter has a place of its own."""
    if gone:
        return Status.VANISHED
    if endless:
        return Status.AT_INFINITY
    ended = solution.status in (Status.CONVERGED, Status.FLAT, Status.STALLED)
    return Status.UNCONSTRAINED if ended and errors.degenerate else solution.status


def _message(
    status: Status,
    solution: Solution,
    errors: Curvature,
    endless: list[str],
    blunt: list[str],
    gone: list[str],
    unplaced: Mapping[str, float],
) -> str:
    parts = [MESSAGES[status] if status != solution.status else solution.message or MESSAGES[status]]
    if gone:
        parts.append(
            f"The data would not miss {', '.join(gone)}: the amplitude is next to nothing, and whatever else is free "
            "there has no effect, and no value. If it should be there, start nearer (position, size, amplitude). Else "
            "freeze all but its amplitude at sensible values, models.freeze(...), and fit again: gj.upper_limit then "
            "tells how faint it is. Or leave it out."
        )
    if endless:
        parts.append(
            f"There is no best value of {', '.join(endless)}: much further out the statistic is the same. Freeze it, "
            "bound it, or take a simpler model; the other parameters are those of that limit."
        )
    if blunt:
        parts.append(
            f"The curvature there does not tell the errors of {', '.join(blunt)}, which are NaN: see "
            "gj.confidence_interval."
        )
    open_ones = [text for text in errors.degenerate if not _all_of(gone, text)]
    if open_ones:
        shown = "; ".join(open_ones[:5]) + (" ..." if len(open_ones) > 5 else "")
        parts.append(
            f"The data do not constrain: {shown}. Errors along these directions are infinite. Freeze one parameter of "
            "each, or give it a prior."
        )
    for name, rise in unplaced.items():
        if name not in gone:
            parts.append(
                f"The data do not tell where {name} is: without it, or elsewhere, the statistic is only {rise:.1f} "
                "higher, as much as a fluctuation of the background is. Freeze or bound its place, or leave it out."
            )
    if errors.at_bound:
        shown = ", ".join(errors.at_bound[:5]) + (" ..." if len(errors.at_bound) > 5 else "")
        parts.append(f"At a bound: {shown}.")
    return " ".join(parts)


def _all_of(components: list[str], text: str) -> bool:
    """Whether a direction is one of parameters of some components alone."""
    return all(any(name.startswith(f"{own}.") for own in components) for name in text.split(" & "))


def _check_precision(precision: str) -> None:
    if precision not in ("float64", "float32"):
        raise InputError(f"fit: precision must be 'float64' or 'float32', found {precision!r}.")
    if precision == "float64":
        require_double("fit", ", or ask for precision='float32'")


def _single(leaf: Array) -> Array:
    if isinstance(leaf, jax.Array) and len(leaf.sharding.device_set) > 1:
        return leaf.astype(np.float32) if leaf.dtype == np.float64 else leaf
    array = np.asarray(leaf)
    return array.astype(np.float32) if array.dtype == np.float64 else leaf
