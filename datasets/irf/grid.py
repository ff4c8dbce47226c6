"""Grids of responses over an image: their pixels, and what the image's pixels say about each of them."""

from functools import cached_property

import numpy as np

from ..sky.cutout import rebinned
from ..sky.geom import SkyGeom

RESPONSE_PIXEL = 0.2
"""Pixels (deg) of grids of responses that are made here, about."""

BORDER = 1e-4
"""Part of a pixel by which a centre may miss an image and still count as inside."""


def response_grid(geom: SkyGeom) -> SkyGeom:
    """Pixels of about `RESPONSE_PIXEL` over an image, each a whole number of its pixels wide."""
    factor = max(1, round(RESPONSE_PIXEL / geom.pixel_size))
    if factor == 1 or geom.wcs.has_distortion:
        return geom
    ny, nx = geom.shape
    return rebinned(geom, float(factor), (-(-ny // factor), -(-nx // factor)))


def response_mask(grid: SkyGeom | None, geom: SkyGeom, mask: np.ndarray) -> np.ndarray:
    """A mask (n, ny, nx) of the pixels of ``geom``, for the pixels of the ``grid`` of a response: (n, y, x).

    A pixel of the grid is in use where any of the map's pixels is that take their response there, those nearest to it.
    Pixels of the grid that no pixel of the map falls into have the value of the map's pixel nearest to them.
    """
    if grid is None:
        return np.asarray(mask.any(axis=(1, 2)))[:, None, None]
    return Shares(grid, geom).any_of(mask)


class Shares:
    """Which pixels of an image take their response from which pixel of a grid: the nearest one."""

    def __init__(self, grid: SkyGeom, geom: SkyGeom):
        self.grid, self.geom = grid, geom
        x, y = (np.asarray(c).ravel() for c in grid.vector_to_pixel(np.asarray(geom.pixel_to_vector(*geom.pixel_grid))))
        # neither off the projection of the image nor off that of the grid
        self._shown = np.isfinite(x) & np.isfinite(y)
        (ny, nx) = grid.shape
        self._x, self._y = np.clip(x[self._shown], 0, nx - 1), np.clip(y[self._shown], 0, ny - 1)
        self._nearest = self._index(np.rint(self._y), np.rint(self._x))
        self._number = np.bincount(self._nearest, minlength=ny * nx).reshape(grid.shape)

    def _index(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        return row.astype(int) * self.grid.shape[1] + column.astype(int)

    @cached_property
    def _centres(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres of the grid's pixels on the image, (x, y) in its pixels."""
        x, y = self.geom.vector_to_pixel(np.asarray(self.grid.pixel_to_vector(*self.grid.pixel_grid)))
        return np.asarray(x), np.asarray(y)

    @cached_property
    def _next(self) -> tuple[np.ndarray, np.ndarray]:
        """For each pixel of the grid the pixel of the image (y, x) nearest to it; the first one if it is not shown."""
        (x, y), (ny, nx) = (np.rint(np.nan_to_num(c)).astype(int) for c in self._centres), self.geom.shape
        return np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1)

    @cached_property
    def covered(self) -> np.ndarray:
        """Pixels of the grid with a pixel of the image in them, or their centre on the image; (y, x)."""
        inside = [
            (c >= -0.5 - BORDER) & (c <= n - 0.5 + BORDER)
            for c, n in zip(self._centres, self.geom.shape[::-1], strict=True)
        ]
        return inside[0] & inside[1] | (self._number > 0)

    def any_of(self, mask: np.ndarray) -> np.ndarray:
        """Whether a mask (n, ny, nx) is True in any pixel that takes its response there, see `response_mask`."""
        return self._or_next(self._sums(mask, self._nearest) > 0, mask)

    def any_around(self, mask: np.ndarray) -> np.ndarray:
        """Whether a mask (n, ny, nx) is True in any pixel with a share of its response from there by interpolation."""
        rows, columns = ((np.floor(c), np.ceil(c)) for c in (self._y, self._x))
        found = [self._sums(mask, self._index(row, column)) > 0 for row in rows for column in columns]
        return np.any(found, axis=0)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean of values (n, ny, nx) of the pixels that take their response there; the next pixel's if none does."""
        return self._or_next(self._sums(values, self._nearest) / np.maximum(self._number, 1), values)

    def _sums(self, values: np.ndarray, index: np.ndarray) -> np.ndarray:
        flat = values.reshape(len(values), -1)[:, self._shown].astype(float)
        return np.stack([np.bincount(index, line, self._number.size) for line in flat]).reshape(-1, *self.grid.shape)

    def _or_next(self, merged: np.ndarray, values: np.ndarray) -> np.ndarray:
        if self._number.all():
            return merged
        return np.where(self._number > 0, merged, values[(slice(None), *self._next)])
