"""Sums over disks of pixels: maps correlated with a top hat."""

import numpy as np
from jaxtyping import Float

EDGE = 1e-9
"""Relative slack of a radius: pixels on the rim are inside, whatever the division by the size of a pixel rounds to."""


def disk_sums(maps: Float[np.ndarray, "*n ny nx"], radius: float) -> Float[np.ndarray, "*n ny nx"]:
    """Sum over the pixels whose centres are within ``radius`` (pixels) of each; nothing lies beyond the edges.

    Rows of the disk are differences of cumulative sums, so that sums of whole numbers are exact, and sums over
    pixels that are 0 are 0: no Fourier transform leaves its noise there.
    """
    reach, squared = int(radius * (1 + EDGE)), (radius * (1 + EDGE)) ** 2
    ny, nx = maps.shape[-2:]
    before = np.concatenate([np.zeros((*maps.shape[:-1], 1)), np.cumsum(maps, axis=-1, dtype=float)], axis=-1)
    columns, total = np.arange(nx), np.zeros(maps.shape)
    for step in range(min(reach, ny - 1) + 1):
        half = int(np.sqrt(squared - step**2))
        rows = before[..., np.minimum(columns + half + 1, nx)] - before[..., np.maximum(columns - half, 0)]
        total[..., : ny - step, :] += rows[..., step:, :]
        if step:
            total[..., step:, :] += rows[..., : ny - step, :]
    return total
