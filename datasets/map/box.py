"""The part of a map that a fit takes pixel by pixel: a box around the windows of its sources."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...kernels.programs import programs
from ..arrays import Array, Mask
from ..sky.cutout import SameArray
from ..statistics.base import Bins, Data, Statistic
from .source_image import SourceImage

Place = tuple[int, int]

HALVINGS = 2
"""How often the side of a map is halved for boxes that are smaller."""


class Box(NamedTuple):
    """Pixels (y, x) of a box, its first pixel on the map, and the ``room`` around it that windows may run into."""

    size: Place
    origin: Place
    room: Place


def box_around(pixels: tuple[int, ...], images: Sequence[SourceImage], whole: bool, known: bool) -> Box:
    """A box around the windows of all sources, and around the ``whole`` map if need be.

    That of one window is the window, also where it runs off the map: it needs no copies. That of several is the map, or
    a half or a quarter of a side of it, and has room for those that run over it: where sources lie, and by how much
    runs are shifted, is hardly ever another program. Windows whose places are not ``known`` may lie beside the map.
    """
    places = {(f.plan.shape, f.plan.start) for f in images}
    if images and not known:
        room = tuple(max(f.plan.shape[axis] for f in images) for axis in (0, 1))
        return Box((pixels[0], pixels[1]), (0, 0), (room[0], room[1]))
    if images and not whole and (len(images) == 1 or (len(places) == 1 and images[0].plan.start is not None)):
        return Box(images[0].plan.shape, (int(images[0].y), int(images[0].x)), (0, 0))
    sizes, starts, rooms = [], [], []
    for axis, n in enumerate(pixels):
        first = np.array([int(f.y if axis == 0 else f.x) for f in images], int)
        windows = np.array([f.plan.shape[axis] for f in images], int)
        ends, most = first + windows, int(np.max(windows, initial=0))
        low, high = 0, n
        if images and not whole:
            low, high = int(np.clip(first, 0, n).min()), int(np.clip(ends, 0, n).max())
        size = next(part for part in (-(-n // 2**k) for k in range(HALVINGS, -1, -1)) if part >= high - low)
        start = min(low, n - size)
        over = max(np.max(start - first, initial=0), np.max(ends - start - size, initial=0))
        # of sources on the map, half of the window is beside it at most
        rooms.append(next(room for room in (0, 3 * most // 5 + 1, most) if room >= over and (room or len(images) < 2)))
        sizes.append(size)
        starts.append(start)
    return Box((sizes[0], sizes[1]), (starts[0], starts[1]), (rooms[0], rooms[1]))


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
