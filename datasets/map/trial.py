"""What a map sees of a source at any of its pixels: kernels at a few places, and the exposure of every bin."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int

from ...kernels.sphere import from_icrs, vector_to_lonlat
from ..counts.flux import source_flux
from ..counts.instrument import Instrument
from ..counts.trials import Trials
from ..errors import InputError
from ..gti import GTI
from ..irf.edisp import EDispKernelMap, EDispMap, matrix_at
from ..irf.psf import PSFMap
from ..models.sky_model import SkyModel
from ..models.spatial.base import PositionedModel
from ..sky.geom import SkyGeom
from .npred import map_counts
from .plan import plan
from .response import Response


def same_everywhere(response: Response) -> bool:
    """Whether point spread function and energy dispersion are those of one place."""
    tables = [t for t in (response.psf, response.edisp) if isinstance(t, PSFMap | EDispKernelMap | EDispMap)]
    return all(t.geom is None or t.geom.shape == (1, 1) for t in tables)


def trial_responses(
    response: Response,
    source: SkyModel,
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    nodes: int,
    gti: GTI | None,
    instrument: Instrument,
    what: str,
) -> Trials:
    """Kernels of the ``source`` at pixel coordinates (x, y), each in the window around the nearest pixel.

    The point spread function and energy dispersion of a kernel are those of its place, and its exposure has the
    energies of that place, but is the same in all pixels of the window. ``seen`` is the exposure of each bin, weighted
    with the spectrum and the energy dispersion in the middle of the map: that of the pixels that see the source, not of
    its place.
    """
    spatial = source.spatial
    if not isinstance(spatial, PositionedModel):
        raise InputError(
            f"{what}: the shape of {source.name!r} is {type(spatial).__name__}, expected one with a position, such as "
            "PointSpatialModel() or GaussianSpatialModel(sigma=...)."
        )
    geom, edges = response.geom, np.asarray(response.energy_true_edges)
    exposed = np.asarray(response.exposure) if source.flags.exposure else np.ones((len(edges) - 1, *geom.shape))
    sizes = plan(response, source)
    half = min(max(sizes.half) if sizes.start is None else max(geom.shape), max(geom.shape))
    size = 2 * half + 1

    vector = geom.pixel_to_vector(*geom.middle)
    matrix = matrix_at(response.edisp if source.flags.edisp else None, vector, edges, response.energy_edges)
    if source.flags.edisp and instrument.dispersion is not None:
        matrix = instrument.matrix(matrix, edges, response.energy_edges)
    weights = np.asarray(matrix) * np.asarray(source_flux(source, edges, nodes, gti, instrument))[:, None]
    seen = np.tensordot(weights.T, exposed, axes=1)

    positive = exposed > 0
    mean = exposed.sum(axis=(1, 2)) / np.maximum(positive.sum(axis=(1, 2)), 1)
    kernels = np.zeros((len(x), len(seen), size, size))
    for k, (px, py) in enumerate(zip(x, y, strict=True)):
        column, row = int(np.floor(px + 0.5)), int(np.floor(py + 0.5))
        inside = 0 <= column < geom.shape[1] and 0 <= row < geom.shape[0]
        here = exposed[:, row, column] if inside and positive[:, row, column].all() else mean
        around = dataclasses.replace(
            response,
            geom=window_geom(geom, column - half, row - half, size),
            exposure=np.broadcast_to(here[:, None, None], (len(here), size, size)),
        )
        placed = at_vector(source, np.asarray(geom.pixel_to_vector(np.asarray(px), np.asarray(py))))
        counts = np.asarray(map_counts(around, [placed], nodes, gti, what, instrument))
        of_one = (weights.T @ here)[:, None, None]
        kernels[k] = np.divide(counts, of_one, out=np.zeros_like(counts), where=of_one > 0)
    return Trials(kernels, seen)


def window_geom(geom: SkyGeom, x: int, y: int, size: int) -> SkyGeom:
    """The ``size`` by ``size`` pixels from pixel (x, y) on, for kernels only: the header stays that of the image.

    Windows of an image differ in numbers alone, and share programs.
    """
    return dataclasses.replace(geom, shape=(size, size), crpix=np.asarray(geom.crpix) - np.array([x, y]))


def at_vector(source: SkyModel, vector: Float[np.ndarray, " 3"]) -> SkyModel:
    """The source moved to an ICRS unit vector."""
    assert isinstance(source.spatial, PositionedModel)
    lon, lat = vector_to_lonlat(from_icrs(vector, source.spatial.frame))
    return source.replace(spatial=source.spatial.replace(lon_0=float(lon), lat_0=float(lat)))


def places_of(
    response: Response, x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], most: int
) -> tuple[Float[np.ndarray, "m 2"], np.ndarray]:
    """Places (x, y) in pixels at which kernels stand for those of the given ones, and which one does for each, (n,).

    ``most`` by ``most`` places spread evenly where responses differ over the map, one where they do not.
    """
    n = 1 if same_everywhere(response) else most
    ends = [(c.min(), c.max()) for c in (x, y)]
    middles = [low + (high - low) * (np.arange(n) + 0.5) / n for low, high in ends]
    index = [
        np.clip(((c - low) / max(high - low, 1e-9) * n).astype(int), 0, n - 1)
        for c, (low, high) in zip((x, y), ends, strict=True)
    ]
    grid = np.stack([g.ravel() for g in np.meshgrid(*middles)], axis=1)
    return grid, index[1] * n + index[0]


def shifts_of(x: np.ndarray, y: np.ndarray, steps: int) -> tuple[Float[np.ndarray, "m 2"], np.ndarray]:
    """Offsets (x, y) of places from the nearest pixel, rounded to ``steps`` a pixel unless all are the same; and which
    one is that of each, (n,)."""
    offsets = np.stack([c - np.floor(c + 0.5) for c in (x, y)], axis=1)
    if np.ptp(offsets, axis=0).max() < 1e-3:
        return offsets[:1], np.zeros(len(x), int)
    levels = np.clip(np.floor((offsets + 0.5) * steps), 0, steps - 1).astype(int)
    centers = (np.arange(steps) + 0.5) / steps - 0.5
    grid = np.stack([g.ravel() for g in np.meshgrid(centers, centers)], axis=1)
    return grid, levels[:, 1] * steps + levels[:, 0]


def trials_at(
    response: Response,
    source: SkyModel,
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, " n"],
    rules: tuple[int, int],
    nodes: int,
    gti: GTI | None,
    instrument: Instrument,
    what: str,
) -> tuple[Trials, Int[np.ndarray, " n"]]:
    """Kernels that stand for the source at pixel coordinates (x, y), and which one does at each, (n,).

    ``rules``: places along each side of the map (`places_of`), and steps of a pixel (`shifts_of`).
    """
    grid, place = places_of(response, x, y, rules[0])
    shifts, shift = shifts_of(x, y, rules[1])
    at = (np.floor(grid + 0.5)[:, None, :] + shifts[None, :, :]).reshape(-1, 2)
    found = trial_responses(response, source, at[:, 0], at[:, 1], nodes, gti, instrument, what)
    return found, place * len(shifts) + shift
