"""Images of the sources of a prepared map: programs that are called with the numbers of a model."""

from typing import cast

import equinox as eqx
import jax
import numpy as np

from ...kernels.quadrature import log_centers
from ..arrays import Array
from ..compile import Program, ahead_threads
from ..models.flatten import ModelDef
from ..models.sky_model import SkyModel
from ..models.spatial.base import SpatialModel
from ..sky.geom import SkyGeom
from .plan import Plan
from .response import Response
from .source_image import Image, SourceImage, place, prepare_image

Drawn = tuple[Plan, ModelDef]  # models may hold what is no array, so that programs of images build them


@Program
def image_of_source(static: Drawn, response: Response, numbers: list[Array]) -> tuple[SourceImage, None]:
    return prepare_image(response, _built(static, numbers), static[0]), None


@Program
def image_with_radial(static: Drawn, response: Response, numbers: list[Array]) -> tuple[SourceImage, None]:
    return prepare_image(response, _built(static, numbers), static[0], True), None


@Program
def image_of_shape(static: Drawn, response: Response, numbers: list[Array]) -> tuple[SourceImage, Image]:
    """The image of a frozen shape, and a source image without what made it."""
    sizes, model = static[0], _built(static, numbers)
    image = prepare_image(response, model, sizes)
    exposed = image.exposed(image.image(cast(SpatialModel, model.spatial), log_centers(response.energy_true_edges)))
    small = SourceImage(
        cast(SkyGeom, None), image.x, image.y, None, None, image.matrix, None, None, None, None, None, sizes
    )
    return small, exposed


def _built(static: Drawn, numbers: list[Array]) -> SkyModel:
    return cast(SkyModel, static[1].build(numbers))


def prepared_image(
    program: Program, static: Drawn, response: Response, numbers: list[Array]
) -> tuple[SourceImage, Image | None]:
    """``program(static, response, numbers)``: a source image and what comes with it."""
    if (threads := ahead_threads()) is None:
        return program(static, response, numbers)
    shapes = program.shapes(static, response, numbers)
    thread = program.prepare(static, response, numbers)
    if thread is not None:
        threads.append(thread)
    pair = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    # programs depend on where windows are
    _, _, first = place(response.geom, cast(SpatialModel, _built(static, numbers).spatial), static[0])
    return eqx.tree_at(lambda p: (p[0].x, p[0].y), pair, tuple(np.asarray(c) for c in first))
