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
    lon, lat = vector_to_lonlat(np.asarray(geom.pixel_to_vector(x, y)))
    shown = np.isfinite(lon)
    if not shown.any():
        return math.inf
    to_x, to_y = np.array([(sign * dx, sign * dy) for sign in (1.0, -1.0) for dx, dy in DIRECTIONS]).T
    neighbours = geom.pixel_to_vector(x[shown, None] + to_x, y[shown, None] + to_y)
    offsets = np.array([local_offsets(v, a, b) for v, a, b in zip(neighbours, lon[shown], lat[shown], strict=True)])
    # (places, east and north, forward and backward, directions)
    ends = offsets.reshape(-1, 2, 2, len(DIRECTIONS))
    step = np.linalg.norm(ends[:, :, 0] - ends[:, :, 1], axis=1) / 2
    second = np.linalg.norm(ends[:, :, 0] + ends[:, :, 1], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = second / step / np.hypot(*np.transpose(DIRECTIONS))
    largest = float(np.max(np.where(np.isfinite(ratio), ratio, math.inf)))
    return 2.0 ** (math.ceil(2 * math.log2(max(largest, 1e-9))) / 2) if math.isfinite(largest) else math.inf
