"""Arrays of datasets as one: padded to one shape, and stacked."""

import jax
import jax.numpy as jnp
import numpy as np

from ...datasets.arrays import Array, stack_rows
from ...datasets.prepared import Arrays, Size, Spec
from ...kernels.buckets import bins_bucket


def length(size: Size, axis: str) -> int:
    """Length of an axis by its name in `Spec.axes`: that in ``size``, or one more for the edges of its bins."""
    name, _, edges = axis.partition(" ")
    return dict(size)[name] + bool(edges)


def bucket(spec: Spec) -> Size:
    """The size of a prepared dataset, the axes that may be rounded up so."""
    return tuple((axis, bins_bucket(n) if axis in spec.bucketed else n) for axis, n in spec.size)


def stack_padded(spec: Spec, members: list[Arrays], n_rows: int, shared: tuple[str, ...]) -> Arrays:
    """Arrays of the members by field: those of ``shared`` once, the others stacked (rows first).

    Padding bins are masked and have neither exposure nor response, padding rows are masked: they contribute nothing.
    """
    data: Arrays = {}
    for field in members[0]:
        values = [arrays[field] for arrays in members]
        axes = spec.axes[field]
        size = tuple(length(spec.size, axis) for axis in axes)
        if field in shared:
            data[field] = _fill(values[:1], 1, size, axes)[0]
        elif any(isinstance(v, jax.Array) for v in values):
            data[field] = _fill_traced(values, n_rows, size, axes)
        else:
            data[field] = _fill(values, n_rows, size, axes)
    return data


def stack_equal(members: list[Arrays], n_rows: int, shared: tuple[str, ...]) -> Arrays:
    """`stack_padded` for arrays that have the same shapes already."""
    data: Arrays = {}
    for field in members[0]:
        values = [m[field] for m in members]
        if field in shared:
            data[field] = values[0]
            continue
        blank = values[0] & False if field == "mask_safe" else values[0]
        data[field] = stack_rows(values + [blank] * (n_rows - len(values)))
    return data


def _fill(values: list[Array], n_rows: int, size: tuple[int, ...], axes: tuple[str, ...]) -> Array:
    """Arrays in the corners of one array (n_rows, *size), zero elsewhere; padding rows repeat the first, masked.

    Edges go on close above the last one, where every model is as finite as it is there.
    """
    if isinstance(values[0], jax.Array):
        return _fill_traced(values, n_rows, size, axes)
    if not axes:
        return np.array([*values, *(values[0] for _ in range(n_rows - len(values)))])
    out = np.zeros((n_rows, *size), values[0].dtype)
    edges = axes[0].endswith("edges")
    for row, value in zip(out, values, strict=False):
        row[tuple(slice(n) for n in value.shape)] = value
        if edges and len(value) < len(row):
            row[len(value) :] = value[-1] * (1 + 1e-3 * np.arange(1, len(row) - len(value) + 1))
    if out.dtype != bool:
        out[len(values) :] = out[0]
    return out


def _fill_traced(values: list[Array], n_rows: int, size: tuple[int, ...], axes: tuple[str, ...]) -> jax.Array:
    """`_fill` for values that are traced, or live on a device."""
    rows = []
    for value in values:
        extra = [(0, n - k) for n, k in zip(size, np.shape(value), strict=True)]
        if axes and axes[0].endswith("edges"):
            rows.append(jnp.concatenate([value, value[-1] * (1 + 1e-3 * np.arange(1, extra[0][1] + 1))]))
        else:
            rows.append(jnp.pad(jnp.asarray(value), extra))
    blank = jnp.zeros_like(rows[0]) if rows[0].dtype == bool else rows[0]
    return jnp.stack(rows + [blank] * (n_rows - len(rows)))


def all_same(values: list[Array], most: int | None = None) -> bool:
    """Whether arrays are equal; those of more than ``most`` elements only if they are one object."""
    first = values[0]
    if all(v is first for v in values):
        return True
    if any(isinstance(v, jax.Array) for v in values) or (most is not None and np.size(first) > most):
        return False
    return all(np.array_equal(first, v) for v in values[1:])
