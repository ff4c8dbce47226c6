"""Which sources reach a map: the many of a catalogue that do not cost a look at where they are."""

from collections.abc import Hashable, Sequence

import jax
import numpy as np

from ...kernels.sphere import lonlat_to_vector, to_icrs
from ..arrays import fields_of, is_concrete
from ..models.sky_model import SkyModel
from .plan import Plan, plan
from .response import Response


def reaching(response: Response, sources: Sequence[SkyModel]) -> list[tuple[SkyModel, Plan]]:
    """The sources whose windows are not wholly beside the map, in their order, and the sizes of their images.

    The others have no counts in any pixel. Sources at positions that JAX traces count as reaching it.
    """
    plans: dict[Hashable, Plan] = {}
    sizes = []
    for model in sources:
        # all that `plan` looks at
        fields = fields_of(model)
        flags = fields["flags"]
        key = (jax.tree.structure(fields["spatial"]), flags.sizes, flags.psf)
        found = plans.get(key)
        if found is None:
            found = plans[key] = plan(response, model)
        sizes.append(found)
    known, vectors = _directions(sources)
    beside: set[int] = set()
    if known and is_concrete(response.geom.crpix):
        x, y = response.geom.vector_to_pixel_or_far(vectors)
        beside = {i for i, px, py in zip(known, x, y, strict=True) if _beside(response, sizes[i], px, py)}
    return [(m, p) for i, (m, p) in enumerate(zip(sources, sizes, strict=True)) if i not in beside]


def _directions(sources: Sequence[SkyModel]) -> tuple[list[int], np.ndarray]:
    """Which sources have a place that is known, and their ICRS vectors (n, 3)."""
    found: dict[int, tuple[str, float, float]] = {}
    for i, model in enumerate(sources):
        spatial = fields_of(model)["spatial"]
        position = None if spatial is None else spatial.position
        if position is not None and all(is_concrete(x) for x in position):
            found[i] = (spatial.frame, *(float(x) for x in position))
    frames, lon, lat = (np.array(column) for column in zip(*found.values(), strict=True)) if found else ((),) * 3
    vectors = np.zeros((len(found), 3))
    for frame in set(frames):
        chosen = frames == frame
        vectors[chosen] = to_icrs(lonlat_to_vector(lon[chosen], lat[chosen]), str(frame))
    return list(found), vectors


def _beside(response: Response, sizes: Plan, x: float, y: float) -> bool:
    """Whether the window of a source at pixel (x, y) has no pixel of the map."""
    shown = response.geom.shape
    if sizes.start is None:
        first = [np.round(c) - half for c, half in zip((y, x), sizes.half, strict=True)]
        return any(a >= n or a + size <= 0 for a, size, n in zip(first, sizes.shape, shown, strict=True))
    # images by transform fade out where their margin ends; others are made of nodes that may lie anywhere
    return sizes.by_transform and any(
        abs(c - (n - 1) / 2) >= (n - 1) / 2 + half for c, half, n in zip((y, x), sizes.half, shown, strict=True)
    )
