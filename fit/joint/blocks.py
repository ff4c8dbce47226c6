"""The joint fit statistic as vmapped sums over groups of datasets, with the blocks of its normal equations.

Free parameters come in two kinds: *global* ones, a vector (n_global,), and *local* ones that act on one dataset each,
an array (n_members, n_local) per group. Everything here is pure and takes a hashable ``spec`` as its static side.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...datasets.bins import masked
from ...datasets.models.flatten import BuiltModels, Rows
from ...datasets.models.instrument import InstrumentModel
from ...datasets.prepared import Models, Prepared
from ...kernels.derivatives import along, one_by_one, unit_steps
from .arrowhead import SUMMED, Blocks, LocalBlocks, Normal, Theta
from .groups import GroupSpec
from .layout import Source
from .sums import over_members

Columns = jax.Array | list[jax.Array]
"""Parameters along the last axis, or one array for each."""


def inputs(spec: GroupSpec, arrays: dict[str, PyTree], theta: Theta, group: int) -> tuple[jax.Array, jax.Array]:
    """A group's shared parameters (s,) and its members' own ones (m, q)."""
    shared = theta.globals[arrays["shared"]]
    own = jnp.concatenate([theta.globals[arrays["own"]], theta.locals[group]], axis=1)
    return shared, own


def evaluate(
    spec: GroupSpec,
    arrays: dict[str, PyTree],
    function: Callable[..., PyTree],
    shared: Columns,
    own: Columns,
    *rows: jax.Array,
) -> PyTree:
    """``function(dataset, models, *row)`` for every member, stacked; ``rows`` have one row a member.

    What all members share stays unbatched, so that vmap hoists the work on it out of the sum.
    """
    batched = {k: arrays[k] for k in ("fixed_own", "table_own", "data_own")}
    common = {k: arrays[k] for k in ("fixed", "table", "data")}

    def member(shared, own, batched, common, *row):
        vectors = {
            "shared": shared,
            "own": own[: spec.n_own],
            "local": own[spec.n_own :],
            "fixed": common["fixed"],
            "fixed_own": batched["fixed_own"],
        }
        tables = {"table": common["table"], "table_own": batched["table_own"]}

        def numbers(model: int) -> list[jax.Array]:
            found = []
            for source in spec.sources[model]:
                if source.vector in tables:
                    found.append(jnp.asarray(tables[source.vector][source.offset]))
                    continue
                size = int(np.prod(source.shape))
                found.append(_shaped(vectors[source.vector][source.offset : source.offset + size], source.shape))
            return found

        models = BuiltModels(spec.definitions, numbers)
        dataset = spec.make(**common["data"], **batched["data_own"])
        return function(dataset, models, *row)

    # parameter by parameter: what a derivative is not taken along then has no tangent, not a tangent of zeros
    shared, own = _columns(shared), _columns(own)
    axes = (None, 0, 0, None, *(0 for _ in rows))
    return jax.vmap(member, in_axes=axes, axis_size=spec.n_members)(shared, own, batched, common, *rows)


def _columns(vector: Columns) -> list[jax.Array]:
    if isinstance(vector, list):
        return vector
    return [vector[..., i] for i in range(vector.shape[-1])]


def _shaped(numbers: Columns, shape: tuple[int, ...]) -> jax.Array:
    """Some numbers of a vector, or of a list of scalars, as an array."""
    if not isinstance(numbers, list):
        return numbers.reshape(shape)
    return numbers[0] if shape == () else jnp.stack(numbers).reshape(shape)


def _predict(dataset: Prepared, models: Models) -> jax.Array:
    return dataset.predict(models)


def _deviance(dataset: Prepared, models: Models) -> jax.Array:
    return masked(dataset.mask, dataset.deviance_bins, dataset.predict(models))


def group_stat(spec: GroupSpec, arrays: dict[str, PyTree], shared: Columns, own: Columns) -> jax.Array:
    """Deviance of each member, (m,)."""

    def deviance(spec, arrays, shared, own):
        return jnp.sum(evaluate(spec, arrays, _deviance, shared, own), axis=-1)

    return over_members(deviance, False, spec, arrays, shared, own)


def group_signal(
    spec: GroupSpec, arrays: dict[str, PyTree], shared: Columns, own: Columns
) -> tuple[jax.Array, jax.Array]:
    """Deviance of each member, (m,), and the counts of its sources, (m, bins)."""

    def shown(dataset, models):
        signal, prediction = dataset.shown(models)
        return jnp.sum(masked(dataset.mask, dataset.deviance_bins, prediction)), signal

    def signals(spec, arrays, shared, own):
        return evaluate(spec, arrays, shown, shared, own)

    return over_members(signals, (False, False), spec, arrays, shared, own)


def group_offset(spec: GroupSpec, arrays: dict[str, PyTree], shared: Columns, own: Columns) -> jax.Array:
    """What turns each member's deviance into its fit statistic, (m,)."""

    def offset(dataset, models):
        mask = jnp.asarray(dataset.mask)
        # rows of padding have empty masks
        extra = jnp.where(jnp.any(mask), dataset.extra, 0.0)
        return jnp.sum(jnp.where(mask, dataset.offset_bins(), 0.0)) + extra

    def offsets(spec, arrays, shared, own):
        return evaluate(spec, arrays, offset, shared, own)

    return over_members(offsets, False, spec, arrays, shared, own)


def group_fisher(spec: GroupSpec, arrays: dict[str, PyTree], shared: Columns, own: Columns) -> tuple[jax.Array, Blocks]:
    """Deviance of the group, its gradient and expected curvature, from forward-mode Jacobians of the prediction."""
    return over_members(_fisher, (True, SUMMED), spec, arrays, shared, own)


def _fisher(spec: GroupSpec, arrays: dict[str, PyTree], shared: jax.Array, own: jax.Array) -> tuple[jax.Array, Blocks]:
    def terms(dataset, mask, prediction):
        return dataset.scoring_bins(jnp.where(mask, prediction, 1.0))

    (stat, _, _), blocks = _of_slopes(spec, arrays, shared, own, terms)
    return jnp.sum(stat), blocks


def _of_slopes(
    spec: GroupSpec,
    arrays: dict[str, PyTree],
    shared: jax.Array,
    own: jax.Array,
    terms: Callable[..., tuple[jax.Array, ...]],
) -> tuple[tuple[jax.Array, ...], Blocks]:
    """``terms(dataset, mask, prediction)`` of the bins of each member, each (m, bins); and J score and J weight J^T
    with the slopes J of the predictions and the last two of these terms."""
    columns, n_shared = [*_columns(shared), *_columns(own)], spec.n_shared
    if not spec.make.sources:
        predicted, slopes = _slopes(spec, arrays, columns, tuple(range(len(columns))), _predict)
        found = _per_bin(spec, arrays, terms, predicted)
        return found, _blocks(slopes[:n_shared], slopes[n_shared:], *found[-2:])
    rows, shapes, n = _rows(spec), frozenset(spec.shapes), len(columns)

    def by_source(dataset: Prepared, models: BuiltModels) -> tuple[jax.Array, PyTree]:
        return dataset.by_source(models, rows, n, shapes)

    def of_others(dataset: Prepared, models: BuiltModels) -> jax.Array:
        return dataset.predict(models.held(spec.make.sources))

    def products(dataset: Prepared, _: BuiltModels, slopes: PyTree, *given: jax.Array) -> tuple[jax.Array, ...]:
        return tuple(jnp.asarray(x) for x in dataset.products(slopes, given[0], given[1], given[2], rows, n))

    predicted, slopes = _evaluated(spec, arrays, by_source, columns)
    found = _per_bin(spec, arrays, terms, predicted)
    kept = [of_model for i, of_model in enumerate(rows) if i not in spec.make.sources]
    others = np.array(sorted({row for of_model in kept for item in of_model for row in item if row >= 0}), int)
    beside = jnp.zeros((*predicted.shape[:1], 0, *predicted.shape[1:]), predicted.dtype)
    if others.size:
        beside = jnp.swapaxes(_slopes(spec, arrays, columns, tuple(others.tolist()), of_others)[1], 0, 1)
    slope, matrix, mixed = _evaluated(spec, arrays, products, columns, slopes, beside, *found[-2:])
    if others.size:
        score, weight = found[-2:]
        slope = slope.at[:, others].add(jnp.einsum("mkb,mb->mk", beside, score))
        matrix = matrix.at[:, :, others].add(mixed).at[:, others, :].add(jnp.swapaxes(mixed, 1, 2))
        of_others_alone = jnp.einsum("mkb,mb,mlb->mkl", beside, weight, beside)
        matrix = matrix.at[:, others[:, None], others[None, :]].add(of_others_alone)
    return found, Blocks(
        slope_shared=jnp.sum(slope[:, :n_shared], axis=0),
        slope_own=slope[:, n_shared:],
        shared=jnp.sum(matrix[:, :n_shared, :n_shared], axis=0),
        mixed=matrix[:, :n_shared, n_shared:],
        own=matrix[:, n_shared:, n_shared:],
    )


def group_hessian(spec: GroupSpec, arrays: dict[str, PyTree], shared: Columns, own: Columns) -> Blocks:
    """Gradient and exact curvature of the group's statistic, in the same blocks as `group_fisher`.

    With the statistic D of a prediction p they are J^T D'' J, from forward-mode Jacobians J of the prediction, and the
    second derivatives of sum D' p for fixed D', a number that is linear in the prediction: forward over reverse.
    """
    return over_members(_hessian, SUMMED, spec, arrays, shared, own)


def _hessian(spec: GroupSpec, arrays: dict[str, PyTree], shared: jax.Array, own: jax.Array) -> Blocks:
    def slopes(dataset, mask, prediction):
        prediction = jnp.where(mask, prediction, 1.0)
        ones = jnp.ones_like(prediction)

        def slope(p):
            return jax.jvp(dataset.deviance_bins, (p,), (ones,))[1]

        return jax.jvp(slope, (prediction,), (ones,))

    (score, _), blocks = _of_slopes(spec, arrays, shared, own, slopes)
    shared_bend, mixed_bend, own_bend = _bends(spec, arrays, shared, own, score)
    return blocks._replace(
        shared=blocks.shared + shared_bend, mixed=blocks.mixed + mixed_bend, own=blocks.own + own_bend
    )


def _weighted(dataset: Prepared, models: Models, weights: jax.Array) -> jax.Array:
    """Sum over the bins of the prediction times ``weights``, which are 0 outside the mask."""
    return dataset.weighted(models, weights)


def _bends(
    spec: GroupSpec, arrays: dict[str, PyTree], shared: jax.Array, own: jax.Array, weights: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Second derivatives of the sum of the prediction times ``weights`` (m, bins): the matrices of `Blocks`.

    Where images or their kernels have to be made for them, the slopes along spectra are not taken in shapes: the rows
    of the shapes have them, and no image is made for them.
    """
    columns, n_shared = [*_columns(shared), *_columns(own)], shared.shape[0]
    everything = tuple(range(len(columns)))

    def rows(places, wanted, weighted=_weighted):
        """Slopes along the parameters at ``places``, in the shared (p, s) and own (p, m, q) ones of the ``wanted``."""

        def gradient(part):
            moved = _inserted(columns, places, part)

            def value(chosen):
                return jnp.sum(_evaluated(spec, arrays, weighted, _inserted(moved, wanted, chosen), weights))

            return jax.grad(value)([moved[i] for i in wanted])

        part = [columns[i] for i in places]
        slopes = along(gradient, part, unit_steps(part))[1]
        n = sum(i < n_shared for i in wanted)
        nothing = jnp.zeros((len(places), 0), shared.dtype)
        return (
            jnp.stack(slopes[:n], axis=-1) if n else nothing,
            jnp.stack(slopes[n:], axis=-1) if slopes[n:] else jnp.zeros((len(places), *own.shape), own.dtype),
        )

    shapes, own_places = spec.shapes, everything[n_shared:]
    others = tuple(i for i in everything if i not in shapes)
    if not spec.make.makes_images:
        # nothing but their own models changes along own parameters, which is far less work
        matrix, mixed = rows(everything[:n_shared], everything)
        of_own = rows(own_places, own_places)[1] if own_places else jnp.zeros((0, *own.shape), own.dtype)
        return matrix, jnp.moveaxis(mixed, 0, 1), jnp.moveaxis(of_own, 0, 1)
    if spec.make.sources and not _sees_otherwise(spec):
        return _bends_by_source(spec, arrays, columns, own, weights, rows)
    if not (shapes and others and spec.make.dear_to_weigh):
        matrix, mixed = rows(everything, everything)
        return matrix[:n_shared], jnp.moveaxis(mixed[:n_shared], 0, 1), jnp.moveaxis(mixed[n_shared:], 0, 1)
    upper, own_upper = rows(shapes, everything)
    corner, own_corner = rows(others, tuple(i for i in everything if i in others or i >= n_shared))
    mixed = jnp.concatenate([own_upper, own_corner])[np.argsort(np.array(shapes + others))]
    first, second = ([i for i in places if i < n_shared] for places in (shapes, others))
    order = np.array(first + second, int)
    upper, corner = upper[: len(first), order], corner[: len(second)]
    lower = jnp.concatenate([upper[:, len(first) :].T, corner], axis=1)
    back = np.argsort(order)
    matrix = jnp.concatenate([upper, lower])[back][:, back]
    return matrix, jnp.moveaxis(mixed[:n_shared], 0, 1), jnp.moveaxis(mixed[n_shared:], 0, 1)


def _sees_otherwise(spec: GroupSpec) -> bool:
    """Whether free parameters change how sources are seen: then they are no sum of what is free in each."""
    rows = _rows(spec)
    return any(
        definition.type is InstrumentModel and any(row >= 0 for item in of_model for row in item)
        for definition, of_model in zip(spec.definitions, rows, strict=True)
    )


def _bends_by_source(
    spec: GroupSpec,
    arrays: dict[str, PyTree],
    columns: list[jax.Array],
    own: jax.Array,
    weights: jax.Array,
    rows_of: Callable[..., tuple[jax.Array, jax.Array]],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`_bends` of predictions that are sums over sources and the rest: source by source, and those of the rest."""
    n, rows, sources = spec.n_shared, _rows(spec), spec.make.sources

    def of_sources(dataset: Prepared, models: BuiltModels, weights: jax.Array) -> jax.Array:
        return jnp.asarray(dataset.bends(models, weights, rows, len(columns)))

    def of_rest(dataset: Prepared, models: BuiltModels, weights: jax.Array) -> jax.Array:
        return dataset.weighted(models.held(sources), weights)

    matrix = _evaluated(spec, arrays, of_sources, columns, weights)
    shared, mixed, of_own = jnp.sum(matrix[:, :n, :n], axis=0), matrix[:, :n, n:], matrix[:, n:, n:]
    kept = [of_model for i, of_model in enumerate(rows) if i not in sources]
    others = sorted({row for of_model in kept for item in of_model for row in item if row >= 0})
    if not others:
        return shared, mixed, of_own
    upper, lower = rows_of(tuple(others), tuple(others), of_rest)
    first, second = (np.array(x, int) for x in ([i for i in others if i < n], [i - n for i in others if i >= n]))
    if len(first):
        shared = shared.at[np.ix_(first, first)].add(upper[: len(first)])
    if len(second):
        by_member = jnp.moveaxis(lower, 0, 1)
        mixed = mixed.at[:, first[:, None], second[None, :]].add(by_member[:, : len(first)])
        of_own = of_own.at[:, second[:, None], second[None, :]].add(by_member[:, len(first) :])
    return shared, mixed, of_own


def _inserted(columns: list[jax.Array], places: tuple[int, ...], values: list[jax.Array]) -> list[jax.Array]:
    """The columns with those at ``places`` exchanged for ``values``."""
    new = list(columns)
    for place, column in zip(places, values, strict=True):
        new[place] = column
    return new


def _evaluated(
    spec: GroupSpec,
    arrays: dict[str, PyTree],
    function: Callable[..., PyTree],
    columns: list[jax.Array],
    *rows: jax.Array,
) -> PyTree:
    """`evaluate` with the shared parameters, and the own ones behind them, as one list."""
    return evaluate(spec, arrays, function, columns[: spec.n_shared], columns[spec.n_shared :], *rows)


def _rows(spec: GroupSpec) -> Rows:
    """Places of the numbers of all models among the shared, own and local parameters, in this order."""
    first = {"shared": 0, "own": spec.n_shared, "local": spec.n_shared + spec.n_own}

    def rows(source: Source) -> tuple[int, ...]:
        if source.vector in ("table", "table_own"):
            return ()
        size, start = int(np.prod(source.shape)), first.get(source.vector)
        return (-1,) * size if start is None else tuple(start + source.offset + k for k in range(size))

    return tuple(tuple(map(rows, of_model)) for of_model in spec.sources)


def _slopes(
    spec: GroupSpec,
    arrays: dict[str, PyTree],
    columns: list[jax.Array],
    chosen: tuple[int, ...],
    predict: Callable[..., jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """What is predicted (m, bins) and its derivatives (p, m, bins) in the ``chosen`` parameters.

    Those in the parameters of shapes apart from the rest: images of sources do not take part in steps along spectra,
    and to batch all steps would make them anew for each.
    """
    shapes = tuple(i for i in chosen if i in spec.shapes)
    others = tuple(i for i in chosen if i not in shapes)
    # what shared parameters change, own ones do not: no work on the sources for steps along backgrounds
    parts = [tuple(i for i in others if (i < spec.n_shared) == of_shared) for of_shared in (True, False)]
    predicted, slopes = None, []
    order: list[int] = []
    of_shapes = along if spec.make.sums_images else one_by_one
    for places, method in ((shapes, of_shapes), *((part, along) for part in parts)):
        if places:
            order += places
            part = [columns[i] for i in places]
            predicted, slope = method(
                lambda p, places=places: _evaluated(spec, arrays, predict, _inserted(columns, places, p)),
                part,
                unit_steps(part),
            )
            slopes.append(slope)
    if predicted is None:
        predicted = _evaluated(spec, arrays, predict, columns)
    found = jnp.concatenate([jnp.zeros((0, *predicted.shape), predicted.dtype), *slopes])
    if order != sorted(order):
        found = found[np.argsort(np.array(order))]
    return predicted, found


def _per_bin(
    spec: GroupSpec, arrays: dict[str, PyTree], function: Callable[..., PyTree], predicted: jax.Array
) -> PyTree:
    """``function(dataset, mask, prediction)`` for every member: arrays per bin, zero outside the masks."""

    def member(data_own, data, prediction):
        dataset = spec.make(**data, **data_own)
        mask = jnp.asarray(dataset.mask)
        return jax.tree.map(lambda x: jnp.where(mask, x, 0.0), function(dataset, mask, prediction))

    return jax.vmap(member, in_axes=(0, None, 0))(arrays["data_own"], arrays["data"], predicted)


def _blocks(along_shared: jax.Array, along_own: jax.Array, score: jax.Array, weight: jax.Array) -> Blocks:
    weighted = along_shared * weight[None]
    # members and bins as one axis: XLA turns these into plain products, which a contraction over two axes is not
    flat = along_shared.reshape(along_shared.shape[0], score.size)
    return Blocks(
        slope_shared=flat @ score.reshape(-1),
        slope_own=jnp.einsum("qmb,mb->mq", along_own, score),
        shared=weighted.reshape(flat.shape) @ flat.T,
        mixed=jnp.einsum("smb,qmb->msq", weighted, along_own),
        own=jnp.einsum("pmb,mb,qmb->mpq", along_own, weight, along_own),
    )


def assemble(
    specs: tuple[GroupSpec, ...], arrays: Sequence[dict[str, PyTree]], blocks: list[Blocks], n_global: int
) -> Normal:
    """Sum the groups' blocks into the normal equations of the whole problem."""
    dtype = blocks[0].slope_own.dtype
    slope, matrix = jnp.zeros(n_global, dtype), jnp.zeros((n_global, n_global), dtype)
    locals_: list[LocalBlocks | None] = []
    for spec, data, block in zip(specs, arrays, blocks, strict=True):
        shared, own, n = data["shared"], data["own"], spec.n_own
        if spec.n_shared:
            slope = slope.at[shared].add(block.slope_shared)
            matrix = matrix.at[shared[:, None], shared[None, :]].add(block.shared)
        if n:
            slope = slope.at[own].add(block.slope_own[:, :n])
            matrix = matrix.at[own[:, :, None], own[:, None, :]].add(block.own[:, :n, :n])
            if spec.n_shared:
                mixed = block.mixed[:, :, :n]
                matrix = matrix.at[shared[None, :, None], own[:, None, :]].add(mixed)
                matrix = matrix.at[own[:, :, None], shared[None, None, :]].add(jnp.swapaxes(mixed, 1, 2))
        if not spec.n_local:
            locals_.append(None)
            continue
        places = jnp.concatenate([jnp.broadcast_to(shared, (spec.n_members, spec.n_shared)), own], axis=1)
        cross = jnp.concatenate([block.mixed[:, :, n:], block.own[:, :n, n:]], axis=1)
        locals_.append(LocalBlocks(block.slope_own[:, n:], block.own[:, n:, n:], cross, places))
    return Normal(slope, matrix, tuple(locals_))
