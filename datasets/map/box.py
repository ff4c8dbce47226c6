"""The part of a map that a fit takes pixel by pixel: a box around the windows of its sources."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ...kernels.programs import programs
from ..arrays import Array, Mask
from ..sky.cutout import SameArray
from ..statistics.base import Bins, Data, Statistic
from .source_image import SourceImage

Place = tuple[int, int]

BOX_STEP = 4
"""Boxes have sides of multiples of this, so that runs with neighbouring pointings share programs."""


def box_around(pixels: tuple[int, ...], images: Sequence[SourceImage], whole: bool, known: bool) -> tuple[Place, Place]:
    """Size (y, x) and first pixel (y, x) of a box around all windows, and around the ``whole`` map if need be.

    Where the windows run off the map, so does the box. Windows whose places are not ``known`` may lie beside the map.
    """
    sizes, starts = [], []
    for axis, n in enumerate(pixels):
        windows = [f.plan.shape[axis] for f in images]
        if known:
            first = [int(f.y if axis == 0 else f.x) for f in images]
        else:
            reach = max(windows)
            first, windows = [-reach, n], [reach, reach]
        ends = [a + w for a, w in zip(first, windows, strict=True)]
        if whole or not first:
            first, ends = [*first, 0], [*ends, n]
        low, size = min(first), max(ends) - min(first)
        # a box that is a window needs no copies
        sizes.append(size if size in (n, *windows) else -(-size // BOX_STEP) * BOX_STEP)
        starts.append(low)
    return (sizes[0], sizes[1]), (starts[0], starts[1])


def known_bins(
    statistic: Statistic, data: Data, mask: Mask, box: Place, origin: Place
) -> tuple[dict[str, Array], Array, bool]:
    """Flat arrays of the bins of the box, with known background; a constant; and whether the rest of the map follows.

    The rest of the map knows the background only, and is one bin more at each energy. The constant is what it adds to
    the statistic whatever the parameters are. Pixels of the box beyond the map are masked.
    """
    arrays = {k: cut_box(v, box, origin).reshape(len(v), -1) for k, v in (dict(data) | {"mask_safe": mask}).items()}
    outside = _beyond(mask.shape[1:], box, origin)
    if not outside.any():
        return {k: v.reshape(-1) for k, v in arrays.items()}, np.zeros(()), False
    column, constant = statistic.merged_bins(data, outside & np.asarray(mask))
    arrays = {k: np.concatenate([v, column[k][:, None]], axis=1) for k, v in arrays.items()}
    return {k: v.reshape(-1) for k, v in arrays.items()}, constant, True


def measured_bins(
    statistic: Statistic, data: Data, mask: Mask, box: Place, origin: Place
) -> tuple[dict[str, Array], Array]:
    """Flat arrays of the bins of the box, with off counts, and a constant: the statistic of what no source reaches.

    ``rest_background`` (n_reco,) is the background there.
    """
    arrays = {k: cut_box(v, box, origin).reshape(-1) for k, v in (dict(data) | {"mask_safe": mask}).items()}
    outside = _beyond(mask.shape[1:], box, origin)
    constant, beside = np.zeros(()), np.zeros(len(mask))
    if outside.any():
        outside = outside & np.asarray(mask)
        # of all bins: the number of those outside would be another program for each dataset
        stat, background = (np.asarray(x) for x in _without_signal(statistic, dict(data)))
        constant = np.asarray(np.sum(np.where(outside, stat, 0.0)))
        beside = np.where(outside, background, 0.0).sum((1, 2))
    return arrays | {"rest_background": beside}, constant


@programs(0)
def _without_signal(statistic: Statistic, data: Data) -> tuple[Bins, Bins]:
    """Statistic and background of bins that no signal reaches."""
    nothing = jnp.zeros(jnp.shape(data["counts"]))
    return statistic.stat_bins(data, nothing), statistic.background_bins(data, nothing)


def _beyond(pixels: tuple[int, ...], box: tuple[int, int], origin: tuple[int, int]) -> np.ndarray:
    """True for the pixels of the map that are not in the box."""
    beyond = np.ones(pixels, bool)
    beyond[tuple(slice(max(a, 0), max(a + n, 0)) for a, n in zip(origin, box, strict=True))] = False
    return beyond


def recounted(
    statistic: Statistic, data: Data, mask: Mask, box: Place, origin: Array, *, measured: bool, rest: bool
) -> dict[str, Array]:
    """The arrays of `known_bins` or `measured_bins` that depend on counts, from all bins of the map; pure.

    ``data`` hold the counts and what else the statistic reads, ``origin`` (2,) is the first pixel (y, x) of the box,
    ``rest`` whether the rest of the map is one bin more at each energy.
    """
    names = ("counts", "counts_off") if measured else ("counts",)
    n = jnp.shape(mask)[0]
    bins: dict[str, Array] = {name: window(jnp.asarray(data[name]), box, origin).reshape(n, -1) for name in names}
    outside = _outside(jnp.shape(mask)[1:], box, origin) & jnp.asarray(mask)
    if measured:
        nothing = jnp.zeros(jnp.shape(mask))
        stat, background = statistic.stat_bins(data, nothing), statistic.background_bins(data, nothing)
        more: dict[str, Array] = {
            "extra": jnp.sum(jnp.where(outside, stat, 0.0)),
            "rest_background": jnp.sum(jnp.where(outside, background, 0.0), axis=(1, 2)),
        }
    elif rest:
        column, extra = statistic.merged_counts(data, outside)
        bins = {"counts": jnp.concatenate([jnp.asarray(bins["counts"]), column[:, None]], axis=1)}
        more = {"extra": extra}
    else:
        more = {"extra": jnp.zeros(())}
    return {name: jnp.ravel(jnp.asarray(values)) for name, values in bins.items()} | more


def window(values: jax.Array, box: Place, origin: Array) -> jax.Array:
    """`cut_box` for an ``origin`` (2,) that is not known while a program is traced."""
    return jax.lax.dynamic_slice(_padded(values, box), _start(box, origin), (values.shape[0], *box))


def with_window(values: jax.Array, inside: jax.Array, origin: Array) -> jax.Array:
    """``values`` (n, ny, nx) with those of a box in their place."""
    box = (inside.shape[1], inside.shape[2])
    changed = jax.lax.dynamic_update_slice(_padded(values, box), inside, _start(box, origin))
    return changed[:, box[0] : box[0] + values.shape[1], box[1] : box[1] + values.shape[2]]


def _padded(values: jax.Array, box: Place) -> jax.Array:
    return jnp.pad(values, ((0, 0), *((n, n) for n in box)))


def _start(box: Place, origin: Array) -> tuple[jax.Array, ...]:
    y, x = jnp.asarray(origin) + jnp.asarray(box)
    return jnp.zeros_like(y), y, x


def _outside(pixels: tuple[int, ...], box: Place, origin: Array) -> jax.Array:
    """`_beyond`, likewise."""
    y, x = (
        (jnp.arange(n) >= first) & (jnp.arange(n) < first + size)
        for n, first, size in zip(pixels, jnp.asarray(origin), box, strict=True)
    )
    return ~(y[:, None] & x)


def cut_box(values: SameArray, box: Place, origin: Place) -> SameArray:
    """The box of ``values`` (n, ny, nx); zeros beyond the map."""
    xp = np if isinstance(values, np.ndarray) else jnp
    pads, slices = [(0, 0)], [slice(None)]
    for n, size, start in zip(values.shape[1:], box, origin, strict=True):
        before, after = max(-start, 0), max(start + size - n, 0)
        pads.append((before, after))
        slices.append(slice(start + before, start + before + size))
    return xp.pad(values, pads)[tuple(slices)]
