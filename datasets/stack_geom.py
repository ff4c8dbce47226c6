"""Images that share pixels: cutouts of a larger image, and the image around several."""

from collections.abc import Sequence

import numpy as np

from .sky_cutout import cropped
from .sky_geometry import SkyGeom

ALIGNED = 1e-4
"""How well pixels have to fall on pixels, in pixels."""


def pixel_offset(inner: SkyGeom, outer: SkyGeom) -> tuple[int, int] | None:
    """Rows and columns (y, x) from the first pixel of ``outer`` to that of ``inner``, where pixels fall on pixels.

    None where they do not: another projection, other pixels, or a shift by a part of a pixel. ``inner`` may stick out.
    """
    if inner is outer or inner.is_same(outer):
        return 0, 0
    ny, nx = inner.shape
    x, y = np.meshgrid(np.linspace(-0.5, nx - 0.5, 9), np.linspace(-0.5, ny - 0.5, 9))
    vectors = np.asarray(inner.pixel_to_vector(x, y))
    shown = np.isfinite(vectors[..., 0])
    if not shown.any():
        return None
    ox, oy = (np.asarray(c) for c in outer.vector_to_pixel(vectors[shown]))
    shift = np.stack([oy - y[shown], ox - x[shown]])
    if not np.all(np.isfinite(shift)):
        return None
    whole = np.rint(shift[:, 0])
    return (int(whole[0]), int(whole[1])) if np.abs(shift - whole[:, None]).max() < ALIGNED else None


def is_inside(offset: tuple[int, int], inner: SkyGeom, outer: SkyGeom) -> bool:
    """Whether an image at this offset lies wholly inside another."""
    return all(o >= 0 and o + n <= m for o, n, m in zip(offset, inner.shape, outer.shape, strict=True))


def image_around(geoms: Sequence[SkyGeom]) -> tuple[SkyGeom, list[tuple[int, int]]] | None:
    """The smallest image that holds all of these, and where each begins in it; None if their pixels do not agree."""
    found = [pixel_offset(geom, geoms[0]) for geom in geoms]
    offsets = [o for o in found if o is not None]
    if len(offsets) < len(geoms):
        return None
    low = tuple(min(o[i] for o in offsets) for i in (0, 1))
    high = tuple(max(o[i] + g.shape[i] for o, g in zip(offsets, geoms, strict=True)) for i in (0, 1))
    shape = (high[0] - low[0], high[1] - low[1])
    moved = [(o[0] - low[0], o[1] - low[1]) for o in offsets]
    for geom, offset in zip(geoms, moved, strict=True):
        if offset == (0, 0) and geom.shape == shape:
            return geom, moved
    return cropped(geoms[0], slice(low[0], high[0]), slice(low[1], high[1])), moved
