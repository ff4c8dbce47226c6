"""Pseudo-experiments: counts drawn from models many times, and the models fitted to each."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ..datasets.collection.datasets import Datasets
from ..datasets.compile import OF_A_FIT, Program, being_traced
from ..datasets.counts.dataset import require_counts
from ..datasets.counts.npred import SomeModels
from ..datasets.counts.simulate import expected_counts, require_key
from ..datasets.errors import InputError
from ..datasets.hints.calls import hinted
from ..datasets.hints.modules import Hinted
from ..datasets.models.collection import Models
from ..datasets.prepared import Arrays
from ..datasets.units import Given, number_in, numbers_in
from .joint.again import MOST_REFRESHES, can_move, models_there
from .joint.parameters import parameter_space
from .joint.problem import SomeDatasets, as_datasets, as_models, make_problem, with_image_sizes
from .likelihood import Likelihood, LikelihoodFit, likelihood_of
from .solvers.pure import CODES, Whole, best_fit
from .solvers.solution import check_progress, limits
from .status import Status

Progress = Callable[[int, int], None]
"""Called as progress(experiments done, experiments in all)."""

MEMORY = 2**27
"""Bytes for the fits that run at a time."""

MOST_AT_A_TIME = 64
"""Experiments at a time: all of them take as many steps as the slowest, and what they need should stay in the cache."""


ROUGHLY = 1e-4
"""Estimated distance to the minimum (a hundredth of an error) up to which fits go with the images that sources have in
the truth: then images are made where the sources are."""


@dataclass(frozen=True, eq=False)
class PseudoExperiments(Hinted):
    """Fits of simulated counts, one experiment a row.

    ``names`` (n,) are the free parameters of the fits, ``truth`` (n,) their values in the models that were simulated
    (NaN for those that these do not have), in the units of the parameters. ``parameters`` and ``errors`` (N, n) are the
    best fits, ``stat`` (N,) their statistic with priors, ``status`` (N,) the place of each end in ``list(gj.Status)``.
    """

    names: tuple[str, ...]
    truth: Float[np.ndarray, " n"]
    parameters: Float[np.ndarray, "N n"]
    errors: Float[np.ndarray, "N n"]
    stat: Float[np.ndarray, " N"]
    status: Int[np.ndarray, " N"]
    draws: "Draws" = field(repr=False)

    @property
    def success(self) -> np.ndarray:
        """Which fits converged, (N,)."""
        return self.status == CODES.index(Status.CONVERGED)

    @property
    def pulls(self) -> Float[np.ndarray, "N n"]:
        """(Best fit - truth) / error, NaN where there is no error or the fit did not converge."""
        usable = self.success[:, None] & (self.errors > 0) & np.isfinite(self.errors)
        return np.where(usable, (self.parameters - self.truth) / np.where(usable, self.errors, 1.0), np.nan)

    def coverage(self, sigma: Given = (1.0, 2.0)) -> np.ndarray:
        """Share of the converged experiments whose interval best fit +- ``sigma`` errors holds the truth.

        ``sigma`` of shape (k,) gives (k, n); one number gives (n,). They should be 68.3 % for 1 and 95.4 % for 2.
        """
        levels = np.asarray(numbers_in(sigma, "", "coverage: sigma"), float)
        if not np.all(levels >= 0):
            raise InputError(f"coverage: sigma must not be negative or NaN, found {sigma}.")
        inside = np.abs(self.pulls) <= levels[..., None, None]
        counted = np.isfinite(self.pulls)
        return np.sum(inside & counted, axis=-2) / np.maximum(np.sum(counted, axis=-2), 1)

    def p_value(self, stat: Given) -> float:
        """Goodness of fit: the share of experiments whose statistic is at least ``stat``, that of a fit of the data.

        With the data counted as one of them, (1 + k) / (1 + N), so that it is never 0.
        """
        observed = number_in(stat, "", "p_value: stat")
        stats = self.stat[self.success]
        return float((1 + np.sum(stats >= observed)) / (1 + len(stats)))

    def datasets(self, index: int) -> Datasets:
        """The simulated datasets of one experiment."""
        if not isinstance(index, int | np.integer) or not -len(self.stat) <= index < len(self.stat):
            raise InputError(f"PseudoExperiments: there is no experiment {index} of {len(self.stat)}.")
        return self.draws.datasets(index % len(self.stat))

    def __len__(self) -> int:
        return len(self.stat)

    def __repr__(self) -> str:
        lines = [f"PseudoExperiments: {len(self)}, {int(self.success.sum())} converged"]
        pulls = self.pulls[self.success]
        for name, pull in zip(self.names[:20], pulls.T, strict=False):
            known = pull[np.isfinite(pull)]
            if len(known):
                lines.append(f"  {name}: pull {known.mean():.3f} +- {known.std():.3f}")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Draws:
    """Poisson counts around expectations: those of a dataset in an experiment depend on the seed, its name and the
    number of the experiment only."""

    seed: int
    simulated: Datasets
    expected: dict[str, dict[str, np.ndarray]]

    def counts(self, experiments: range) -> tuple[Arrays, ...]:
        """Counts of each dataset by field, (experiments, shape)."""
        return tuple(self._of_dataset(name, experiments) for name in self.expected)

    def _of_dataset(self, name: str, experiments: range) -> Arrays:
        fields = self.expected[name]
        flat = np.concatenate([v.ravel() for v in fields.values()])
        sequence = np.random.SeedSequence([self.seed, *name.encode()])
        bits = np.random.Philox(sequence)
        generator, state = np.random.Generator(bits), bits.state
        drawn = []
        for number in experiments:
            # the third of four words: what one experiment draws does not reach it
            state["state"]["counter"][2] = number
            bits.state = state
            drawn.append(generator.poisson(flat).astype(float))
        parts = np.split(np.stack(drawn), np.cumsum([v.size for v in fields.values()])[:-1], axis=1)
        return {k: part.reshape(-1, *v.shape) for (k, v), part in zip(fields.items(), parts, strict=True)}

    def datasets(self, index: int) -> Datasets:
        """The datasets with the counts of one experiment."""
        counts = self.counts(range(index, index + 1))
        given = zip(self.simulated.items(), counts, strict=True)
        return Datasets({name: d.replace(**{k: v[0] for k, v in fields.items()}) for (name, d), fields in given})


@hinted
def pseudo_experiments(
    key: jax.Array,
    datasets: SomeDatasets,
    models: SomeModels,
    n: int,
    *,
    fit_models: SomeModels | None = None,
    npred_background: Mapping[str, Given] | None = None,
    tolerance: Given = 1e-8,
    max_iterations: int = 200,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> PseudoExperiments:
    """Simulate the counts of ``datasets`` from ``models`` ``n`` times, and fit each: what a fit would find.

    All fits run in one compiled program, `Likelihood.fit`, on all cores. Those of maps are made ready again where
    sources have moved to, as in `fit`. Example::

        toys = gj.pseudo_experiments(jax.random.key(0), datasets, result.models, 1000)
        toys.pulls.mean(axis=0), toys.coverage(1.0), toys.p_value(result.stat)

    The same key gives the same counts, whatever is fitted to them: test statistics of a source are differences of the
    ``stat`` of two calls. Those of a dataset go by its name: they stay where others are added or change places.

    Parameters
    ----------
    key : JAX random key
    datasets : `Datasets`, a mapping of names to datasets, or one dataset; all of counts. Their own counts are not used
    models : the truth, as `fake` takes it
    n : number of experiments
    fit_models : models to fit, with their start values; by default ``models``
    npred_background : by name of on/off datasets, the background expected in the on region, see `fake`; off counts are
        drawn too
    tolerance, max_iterations : as in `fit`
    batch_size : experiments at a time, by default as many as a bounded memory holds; those of maps go one at a time
    progress : called as ``progress(done, n)``
    """
    if being_traced(key, datasets, models):
        raise InputError(
            "pseudo_experiments: this is inside a jax transformation (jit, grad, vmap); call it outside. Inside, "
            "jax.vmap(lambda n: gj.likelihood(datasets, models).with_counts(n).fit())(counts) fits many counts."
        )
    check_progress(progress, "pseudo_experiments")
    whole_number = isinstance(n, int | np.integer) and not isinstance(n, bool)
    if not whole_number or n < 1:
        raise InputError(f"pseudo_experiments: n must be a positive whole number, found {n!r}.")
    whole_number = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
    if batch_size is not None and (not whole_number or batch_size < 1):
        raise InputError(f"pseudo_experiments: batch_size must be a positive whole number, found {batch_size!r}.")
    require_key(key, "pseudo_experiments")
    limit, max_iterations = limits(tolerance, max_iterations, "pseudo_experiments")
    known, truth = as_datasets(datasets), as_models(models)
    draws = Draws(_seed(key), known, _expected(known, truth, {} if npred_background is None else npred_background))
    # the program of the data: their counts are any
    fitted = as_models(truth if fit_models is None else fit_models)
    windows = _windows(known, fitted)
    drawn = {name: require_counts(d, f"pseudo_experiments: {name}") for name, d in draws.datasets(0).items()}
    first = {k: d.slice_by_idx(energy=windows[k]) if k in windows else d for k, d in drawn.items()}
    # many fits by one program: it may take longer to compile
    seen = as_datasets(first)
    problem = make_problem(seen, with_image_sizes(fitted, seen), pad=False)
    like = likelihood_of(problem)
    images = any(group.make.makes_images for group in like.spec.groups)
    # of images one at a time: several leave the cache
    size = 1 if images else min(n, batch_size or _at_a_time(like))
    start = jnp.clip(jnp.asarray(like.initial), like.low, like.high)

    def counts(begin: int) -> tuple[Arrays, ...]:
        # as many as the others: another number is another program
        drawn = zip(known.names, draws.counts(range(begin, begin + size)), strict=True)
        return tuple({k: v[:, windows.get(name, slice(None))] for k, v in fields.items()} for name, fields in drawn)

    def given(like: Likelihood, parts: tuple[Arrays, ...], start: Any, tolerance: float) -> tuple[Any, ...]:
        whole = Whole(like.spec, like.rows, max_iterations, True)
        return whole, like, parts, jnp.asarray(start), jnp.asarray(tolerance)

    movable = images and can_move(problem)
    roughly = max(limit, ROUGHLY) if movable else limit

    def run(begin: int) -> LikelihoodFit:
        parts = counts(begin)
        fits: LikelihoodFit = jax.device_get(_fit_many(*given(like, parts, start, roughly)))
        here = problem
        # as in `fit`: responses belong to the places of sources
        for _ in range(MOST_REFRESHES if movable else 0):
            theta = fits.theta[0]
            if not np.all(np.isfinite(theta)):
                break
            there, moves = models_there(here, theta, seen)
            if not any(moves):
                break
            here = make_problem(seen, there, pad=False)
            fits = jax.device_get(_fit_many(*given(likelihood_of(here), parts, theta, limit)))
        if here is problem and roughly > limit:
            fits = jax.device_get(_fit_many(*given(like, parts, fits.theta[0], limit)))
        return fits

    _fit_many.compile(*given(like, counts(0), start, limit))
    found = []
    for done, part in enumerate(_in_threads(run, range(0, n, size))):
        found.append(part)
        if progress is not None:
            progress(min((done + 1) * size, n), n)
    fits = jax.tree.map(lambda *x: np.concatenate(x)[:n], *found)
    space = parameter_space(truth, known.names)
    values = dict(zip(space.names, np.asarray(space.values), strict=True))
    return PseudoExperiments(
        like.names,
        np.array([values.get(name, np.nan) for name in like.names], float),
        fits.theta,
        fits.covariance,
        fits.stat,
        fits.status,
        draws,
    )


def _expected(datasets: Datasets, models: Any, backgrounds: Mapping[str, Given]) -> dict[str, dict[str, np.ndarray]]:
    if not isinstance(backgrounds, Mapping):
        raise InputError(
            f"pseudo_experiments: npred_background is {type(backgrounds).__name__}, expected backgrounds by the names "
            "of datasets: {'run-1': ...}."
        )
    unknown = [name for name in backgrounds if name not in datasets.names]
    if unknown:
        raise InputError(f"pseudo_experiments: npred_background names {unknown[0]!r}, which is no dataset.")
    found = {}
    for name, dataset in datasets.items():
        known = require_counts(dataset, f"pseudo_experiments: {name}")
        expected = expected_counts(known, models, name, backgrounds.get(name), "pseudo_experiments")
        found[name] = {k: np.asarray(v, float) for k, v in expected._asdict().items() if v is not None}
    return found


def _seed(key: jax.Array) -> int:
    """A seed of 128 bits from a random key."""
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    sequence = np.random.SeedSequence(np.asarray(data).ravel().tolist())
    return int.from_bytes(sequence.generate_state(2, np.uint64).tobytes(), "little")


def _windows(datasets: Datasets, models: Models) -> dict[str, slice]:
    """Slices of datasets that hold all fitted bins, by name: the others would be predicted for nothing. Datasets of one
    length have slices of one length, so that they stay one group."""
    ranges: dict[int, dict[str, tuple[int, int]]] = {}
    for name, dataset in datasets.items():
        fitted = dataset.fitted_range(list(models))
        if fitted is not None:
            ranges.setdefault(dataset.data_shape[0], {})[name] = fitted
    found: dict[str, slice] = {}
    for n, of_length in ranges.items():
        length = max(stop - start for start, stop in of_length.values())
        first = {name: min(start, n - length) for name, (start, _) in of_length.items()}
        found |= {name: slice(start, start + length) for name, start in first.items()}
    return found


def _at_a_time(like: Likelihood) -> int:
    """Experiments of a batch: predictions and their derivatives of all of them are in memory."""
    bins = 0
    for spec, group in zip(like.spec.groups, like.arrays["groups"], strict=True):
        width = np.shape(group["data_own"]["mask_safe"])[1]
        bins += spec.n_members * width * (4 + 3 * (1 + spec.n_shared + spec.n_own + spec.n_local))
    return int(max(1, min(MOST_AT_A_TIME, MEMORY // (8 * bins))))


def _in_threads(run: Callable[[int], LikelihoodFit], begins: range) -> Iterator[LikelihoodFit]:
    """``run(begin)`` of each in order, on all cores."""
    with ThreadPoolExecutor(os.cpu_count() if jax.default_backend() == "cpu" else 1) as pool:
        yield from pool.map(run, begins)


@partial(Program, most=OF_A_FIT)
def _fit_many(
    whole: Whole, like: Likelihood, counts: tuple[Arrays, ...], start: jax.Array, tolerance: jax.Array
) -> LikelihoodFit:
    """Fits of many counts; in the place of the covariance the errors."""

    def one(counts: tuple[Arrays, ...]) -> LikelihoodFit:
        other = like.with_places(dict(enumerate(counts)))
        best = best_fit(whole, other.arrays, start, tolerance)
        fit = LikelihoodFit(best.free, other.stat(best.free), *best[1:])
        return fit._replace(covariance=fit.errors)

    # under vmap conditions run both of their branches
    alone = np.shape(jax.tree.leaves(counts)[0])[0] == 1
    return jax.lax.map(one, counts) if alone else jax.vmap(one)(counts)
