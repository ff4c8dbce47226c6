"""From true to reconstructed: positions of events through the point spread function, energies through the dispersion.

Unlike in predictions, which take both at the position of a source, every event has those of its own place and energy.
"""

import itertools
from collections.abc import Callable

import numpy as np

from ..irf.edisp import EDisp, EDispKernel, EDispMap
from ..irf.psf import PSFKernel, PSFMap
from ..sky.geom import SkyGeom
from .draw import between, pick

FINE = 10
"""Divisions of a bin in radius of a point spread function."""

ROWS = 4096
"""Radial profiles that are tabulated at once."""


def blurred(
    rng: np.random.Generator,
    psf: PSFMap | PSFKernel,
    geom: SkyGeom,
    vectors: np.ndarray,
    energy: np.ndarray,
    bins: np.ndarray,
    widened: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> np.ndarray:
    """Reconstructed directions (n, 3) of events from ``vectors``; NaN where there is no point spread function.

    ``energy`` (n,) in TeV, true or reconstructed as the axis of the PSF says; ``bins``: true-energy bins, for kernels.
    ``widened``: radii (n,) as they are from those of the table, by default the same.
    """
    if isinstance(psf, PSFKernel):
        return _by_kernel(rng, psf, geom, vectors, bins)
    radius = widened(_radii(rng, psf, vectors, energy))
    return moved(vectors, radius, 2 * np.pi * rng.random(radius.size))


def moved(vectors: np.ndarray, radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Directions at ``radius`` (deg) and position ``angle`` (rad, from north over east) from ``vectors`` (n, 3)."""
    east = np.stack([-vectors[:, 1], vectors[:, 0], np.zeros(len(vectors))], axis=1)
    length = np.linalg.norm(east, axis=1, keepdims=True)
    east = np.where(length > 1e-12, east / np.where(length > 1e-12, length, 1.0), [0.0, 1.0, 0.0])
    north = np.cross(vectors, east)
    r = np.radians(radius)
    across = (np.sin(r) * np.sin(angle))[:, None] * east + (np.sin(r) * np.cos(angle))[:, None] * north
    return across + np.cos(r)[:, None] * vectors


def dispersed(
    rng: np.random.Generator,
    edisp: EDisp | None,
    energy_edges: np.ndarray,
    vectors: np.ndarray | None,
    energy: np.ndarray,
    bins: np.ndarray,
) -> np.ndarray:
    """Reconstructed energies (n,) in TeV of events of true ``energy`` in the true bins ``bins``; NaN for lost ones.

    From a matrix: a reconstructed bin of the row of the true bin, then uniform in ln E inside it. From a migration
    table: E times a migration, uniform inside the bin of migrations. From None: the true energy.
    """
    if edisp is None:
        return energy
    if isinstance(edisp, EDispKernel):
        rows, matrices, edges = bins, np.asarray(edisp.matrix), energy_edges
    else:
        assert vectors is not None
        values = np.asarray(edisp.values)
        iy, ix = pixels_of(edisp.geom, np.any(values > 0, axis=(0, 1)), vectors)
        # of the places and bins that occur, each once
        found, rows = np.unique(
            np.ravel_multi_index((bins, iy, ix), (values.shape[0], *values.shape[2:])), return_inverse=True
        )
        e, y, x = np.unravel_index(found, (values.shape[0], *values.shape[2:]))
        matrices, edges = values[e, :, y, x], energy_edges
        if isinstance(edisp, EDispMap):
            edges = np.asarray(edisp.migra_edges)
            matrices = matrices * np.diff(edges)
    column = pick(rng, matrices, rows.ravel(), lose=True)
    kept = column >= 0
    migration = isinstance(edisp, EDispMap)
    drawn = between(rng, edges, np.where(kept, column, 0), 1.0 if migration else 0.0)
    return np.where(kept, energy * drawn if migration else drawn, np.nan)


def pixels_of(geom: SkyGeom | None, valid: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels in which directions lie, or of the nearest ``valid`` ones; (n,) each."""
    n, (ny, nx) = len(vectors), valid.shape
    if geom is None:
        return np.zeros(n, int), np.zeros(n, int)
    x, y = (np.asarray(c) for c in geom.vector_to_pixel(vectors))
    shown = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(shown, x, (nx - 1) / 2), np.where(shown, y, (ny - 1) / 2)
    ix, iy = np.clip(np.rint(x), 0, nx - 1).astype(int), np.clip(np.rint(y), 0, ny - 1).astype(int)
    empty = ~valid[iy, ix]
    if np.any(empty) and np.any(valid):
        rows, columns = np.nonzero(valid)
        places, back = np.unique(iy[empty] * nx + ix[empty], return_inverse=True)
        nearest = np.array([np.argmin((rows - p // nx) ** 2 + (columns - p % nx) ** 2) for p in places])
        iy[empty], ix[empty] = rows[nearest][back], columns[nearest][back]
    return iy, ix


def _by_kernel(
    rng: np.random.Generator, psf: PSFKernel, geom: SkyGeom, vectors: np.ndarray, bins: np.ndarray
) -> np.ndarray:
    values = np.asarray(psf.values)
    size = values.shape[-1]
    found = pick(rng, values.reshape(len(values), -1), bins)
    x, y = (np.asarray(c) for c in geom.vector_to_pixel(vectors))
    x = x + found % size - size // 2 + rng.random(bins.size) - 0.5
    y = y + found // size - size // 2 + rng.random(bins.size) - 0.5
    return np.where((found >= 0)[:, None], np.asarray(geom.pixel_to_vector(x, y)), np.nan)


def _radii(rng: np.random.Generator, psf: PSFMap, vectors: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Distances (deg) from the true directions, by the inverse of the cumulative profile.

    Profiles are linear in ln E and between positions: an event takes one of the up to eight around it, with the chance
    of its share in the interpolated profile.
    """
    values = np.asarray(psf.values)
    shape = (values.shape[0], *values.shape[2:])
    cells, table = _radial_cells(psf)
    mass = np.einsum("r,eryx->eyx", table.sum(axis=0), np.maximum(values, 0.0))
    n = energy.size
    e, e_share = _nodes(np.log(np.asarray(psf.energy)), np.log(energy))
    y, y_share, x, x_share = _positions(psf, values, vectors)
    steps = list(itertools.product(*(range(min(size, 2)) for size in shape)))
    chances, places = np.empty((n, len(steps))), np.empty((n, len(steps)), int)
    for k, step in enumerate(steps):
        corner = (e + step[0], y + step[1], x + step[2])
        share = np.ones(n)
        for upper, weight in zip(step, (e_share, y_share, x_share), strict=True):
            share = share * (weight if upper else 1 - weight)
        chances[:, k] = share * mass[corner]
        places[:, k] = np.ravel_multi_index(corner, shape)
    cumulative = np.cumsum(chances, axis=1)
    which = np.sum(cumulative <= (rng.random(n) * cumulative[:, -1])[:, None], axis=1)
    place = places[np.arange(n), np.minimum(which, len(steps) - 1)]
    found, rows = np.unique(place, return_inverse=True)
    rows = rows.ravel()
    radius = np.full(n, np.nan)
    for first in range(0, found.size, ROWS):
        here = np.flatnonzero((rows >= first) & (rows < first + ROWS))
        e_, y_, x_ = np.unravel_index(found[first : first + ROWS], shape)
        weights = np.maximum(values[e_, :, y_, x_], 0.0) @ table.T
        cell = pick(rng, np.maximum(weights, 0.0), rows[here] - first)
        drawn = between(rng, cells, np.maximum(cell, 0), 2.0)
        radius[here] = np.where(cell >= 0, drawn, np.nan)
    return radius


def _radial_cells(psf: PSFMap) -> tuple[np.ndarray, np.ndarray]:
    """Edges of fine cells in radius (m + 1,), and the matrix (m, n_rad) from profiles to the share in each cell.

    Profiles are linear between their radii and beyond them, as in predictions.
    """
    rad, edges = np.asarray(psf.rad), np.asarray(psf.rad_edges)
    edges = np.concatenate([[0.0], edges[1:]])
    cells = np.interp(np.arange((edges.size - 1) * FINE + 1) / FINE, np.arange(edges.size), edges)
    middle = (cells[1:] + cells[:-1]) / 2
    i = np.clip(np.searchsorted(rad, middle, side="right") - 1, 0, rad.size - 2)
    share = (middle - rad[i]) / (rad[i + 1] - rad[i])
    table = np.zeros((middle.size, rad.size))
    area = np.diff(cells**2)
    table[np.arange(middle.size), i] = (1 - share) * area
    table[np.arange(middle.size), i + 1] = share * area
    return cells, table


def _positions(psf: PSFMap, values: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, ...]:
    """Lower pixel and share of the upper one for interpolation between positions, in y and x."""
    n, (ny, nx) = len(vectors), values.shape[2:]
    if psf.geom is None:
        return np.zeros(n, int), np.zeros(n), np.zeros(n, int), np.zeros(n)
    valid = np.any(values > 0, axis=(0, 1))
    iy, ix = pixels_of(psf.geom, valid, vectors)
    x, y = (np.asarray(c) for c in psf.geom.vector_to_pixel(vectors))
    # where the own pixel is empty or off the grid, the nearest one stands for it
    own = (np.abs(x - ix) <= 0.5) & (np.abs(y - iy) <= 0.5)
    x, y = np.where(own, x, ix), np.where(own, y, iy)
    return *_nodes(np.arange(ny, dtype=float), y), *_nodes(np.arange(nx, dtype=float), x)


def _nodes(nodes: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower node and share of the upper one, constant beyond the ends."""
    if nodes.size == 1:
        return np.zeros(at.size, int), np.zeros(at.size)
    i = np.clip(np.searchsorted(nodes, at, side="right") - 1, 0, nodes.size - 2)
    return i, np.clip((at - nodes[i]) / (nodes[i + 1] - nodes[i]), 0.0, 1.0)
