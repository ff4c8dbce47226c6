"""Where on a map one more source like a given one would lower the statistic."""

from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...kernels.quadrature import log_centers
from ..arrays import Array
from ..compile import Program
from ..counts.base import CountsBase
from ..counts.flux import source_flux
from ..counts.instrument import Instrument
from ..dataset import fitted_bins
from ..gti import GTI
from ..models.flatten import ModelDef, canonical
from ..models.sky_model import FoVBackgroundModel, SkyModel
from ..models.spatial.base import PositionedModel, SpatialModel
from ..prepared import Models
from ..seen import Scores
from ..statistics.base import Bins
from .box import cut_box
from .plan import plan
from .prepared_image import image_of_source, image_with_radial, prepared_image
from .response import Response
from .source_image import SourceImage
from .trial import at_vector

CORE, WIDER = 0.68, 1.3
"""Share of the counts of a source within its extent; and how much wider the part of its image is that is tried."""

COUNTS = (2.0, 6.0, 20.0, 60.0, 200.0)
"""Counts that the source is tried with."""


def scores_of(
    dataset: CountsBase,
    response: Response,
    models: Models,
    source: SkyModel,
    instrument: Instrument,
    like: Scores | None,
    signal: np.ndarray | None,
) -> Scores | None:
    """`Scores` of the ``source`` on a map with these responses, beside the other ``models``; see
    `Dataset.source_scores`.

    The image of the source in the middle of the map is moved from pixel to pixel, and the change of the statistic of
    all bins of its core is summed for a few amplitudes. (The slope and curvature of the statistic, from which one
    correlation would give the same, follow single events where hardly any are expected.)
    """
    if not isinstance(source.spatial, PositionedModel):
        return None
    geom = response.geom
    ny, nx = geom.shape
    middle = np.asarray(geom.pixel_to_vector(np.asarray(nx // 2), np.asarray(ny // 2)))
    image = _image(dataset, response, at_vector(source, middle).with_sizes(source.sizes), instrument)
    total = float(image.sum())
    if not total > 0:
        return None
    radius = _radius(image.sum(axis=0))
    half = min(int(np.ceil(WIDER * radius)), (min(ny, nx) - 1) // 2)
    rows, columns = (slice(n // 2 - half, n // 2 + half + 1) for n in (ny, nx))
    factors = np.array(COUNTS) / total if like is None else like.factors
    backgrounds = [m for m in models if isinstance(m, FoVBackgroundModel)]
    shown = np.asarray(dataset.signal(models) if signal is None else signal)
    falls = np.asarray(_falls(half, dataset, backgrounds, shown, image[:, rows, columns], factors))
    falls = falls.reshape(len(factors), -1)
    extent = max(radius, 1.0) * geom.pixel_size
    if like is None:
        x, y = (np.asarray(c, float) for c in geom.pixel_grid)
        return Scores(falls, factors, np.asarray(geom.pixel_to_vector(x, y)).reshape(-1, 3), extent)
    column, row = (np.rint(np.asarray(c)) for c in geom.vector_to_pixel(like.vectors))
    inside = (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
    index = (np.where(inside, row, 0) * nx + np.where(inside, column, 0)).astype(int)
    return like._replace(falls=like.falls + np.where(inside, falls[:, index], 0.0))


def _image(
    dataset: CountsBase, response: Response, source: SkyModel, instrument: Instrument
) -> Float[np.ndarray, "n_reco ny nx"]:
    """Counts of a source in all pixels of a map, by the programs that prepare it for a fit."""
    sizes = plan(response, source)
    definition, numbers = canonical(source)
    program = image_of_source if instrument.width_of(sizes.psf) is None else image_with_radial
    image, _ = prepared_image(program, (sizes, definition), response, numbers)
    static, edges = (definition, dataset.nodes), (response.energy_true_edges, response.energy_edges)
    counts = np.asarray(_counts(static, image, numbers, edges, dataset.gti, instrument))
    return cut_box(counts, response.geom.shape, (-int(image.y), -int(image.x)))


@Program
def _counts(
    static: tuple[ModelDef, int],
    image: SourceImage,
    numbers: list[Array],
    edges: tuple[Array, Array],
    gti: GTI | None,
    instrument: Instrument,
) -> Float[jax.Array, "n_reco ny nx"]:
    """Counts of a source in the window of its ``image``; ``edges``: of true and reconstructed energies, TeV."""
    definition, nodes = static
    model = cast(SkyModel, definition.build(numbers))
    flux = source_flux(model, edges[0], nodes, gti, instrument)
    seen = image.seen_by(instrument, model, *edges)
    return seen.counts(cast(SpatialModel, model.spatial), flux, log_centers(edges[0]))


def _radius(image: Float[np.ndarray, "ny nx"]) -> float:
    """Radius in pixels around the middle one that holds the share `CORE`."""
    ny, nx = image.shape
    y, x = np.mgrid[:ny, :nx]
    radius = np.hypot(y - ny // 2, x - nx // 2).ravel()
    order = np.argsort(radius)
    held = np.cumsum(image.ravel()[order])
    return float(radius[order][np.searchsorted(held, CORE * held[-1])])


@Program
def _falls(
    half: int,
    dataset: CountsBase,
    backgrounds: list[FoVBackgroundModel],
    signal: Bins,
    core: Float[Array, "n_reco k k"],
    factors: Float[Array, " f"],
) -> Float[jax.Array, "f ny nx"]:
    """How far the statistic falls with a source at each pixel: its ``core`` times each of the ``factors``."""
    prediction, core = dataset.predict(backgrounds) + signal, jnp.asarray(core)
    mask = jnp.asarray(fitted_bins(dataset))
    safe = jnp.where(mask, prediction, 1.0)
    before = dataset.deviance_bins(safe)
    n_reco, ny, nx = prediction.shape
    size = 2 * half + 1

    def of_factor(factor: jax.Array) -> jax.Array:
        def add(total: jax.Array, k: jax.Array) -> tuple[jax.Array, None]:
            y, x = k // size, k % size
            here = jax.lax.dynamic_slice(core, (0, y, x), (n_reco, 1, 1))
            change = before - dataset.deviance_bins(safe + factor * here)
            of_pixels = jnp.sum(jnp.where(mask & jnp.isfinite(change), change, 0.0), axis=0)
            # the pixel that this one is so far away from
            return jax.lax.dynamic_update_slice(
                total,
                jax.lax.dynamic_slice(total, (2 * half - y, 2 * half - x), (ny, nx)) + of_pixels,
                (2 * half - y, 2 * half - x),
            ), None

        padded = jnp.zeros((ny + 2 * half, nx + 2 * half), prediction.dtype)
        return jax.lax.scan(add, padded, jnp.arange(size * size))[0][half : half + ny, half : half + nx]

    return jax.lax.map(of_factor, jnp.asarray(factors))
