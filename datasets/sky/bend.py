"""How far an image of the sky is from a flat one with straight coordinates."""

import math

import numpy as np

from ...kernels.sphere import local_offsets, vector_to_lonlat
from .cutout import Image

SAMPLES = 5
"""Places a side of the image where it is measured."""

DIRECTIONS = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0))


def bend(geom: Image) -> float:
    """Largest change of the offset on the sky from one pixel to the next, relative to that offset.

    On an image of bend b, the place n pixels from another is off by up to b n^2 / 2 pixels from where steps like the
    first would lead. Rounded up to a power of sqrt 2, so that like images are the same; infinite if nothing is shown.
    """
    ny, nx = geom.shape
    x, y = (g.ravel() for g in np.meshgrid(*(np.linspace(0.0, n - 1.0, SAMPLES) for n in (nx, ny))))
    largest = 0.0
    lon, lat = vector_to_lonlat(np.asarray(geom.pixel_to_vector(x, y)))
    shown = np.isfinite(lon)
    if not shown.any():
        return math.inf
    for dx, dy in DIRECTIONS:
        ends = [
            np.stack(
                [
                    np.stack(local_offsets(geom.pixel_to_vector(px + sign * dx, py + sign * dy), a, b))
                    for px, py, a, b in zip(x[shown], y[shown], lon[shown], lat[shown], strict=True)
                ]
            )
            for sign in (1.0, -1.0)
        ]
        step = np.linalg.norm(ends[0] - ends[1], axis=1) / 2
        second = np.linalg.norm(ends[0] + ends[1], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = second / step / math.hypot(dx, dy)
        largest = max(largest, float(np.max(np.where(np.isfinite(ratio), ratio, math.inf))))
    return 2.0 ** (math.ceil(2 * math.log2(max(largest, 1e-9))) / 2) if math.isfinite(largest) else math.inf
