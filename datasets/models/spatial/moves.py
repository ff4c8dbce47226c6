"""Whether sources have moved so far that the responses at their old place do not hold any more."""

from typing import Any, cast

import numpy as np

from ....kernels.sphere import lonlat_to_vector

SMALL_MOVE = 1e-3
"""Move of a source, in pixels, below which the responses at its old position stand for those at the new one."""


def has_moved(before: Any, after: Any, pixel: float | None) -> bool:
    """Whether one of some models has moved by more than `SMALL_MOVE` pixels of ``pixel`` deg, or has other sizes.

    ``before`` and ``after`` are the same models in one order; ``pixel=None``: places do not matter.
    """
    for old, new in zip(before, after, strict=True):
        if old is new:
            continue
        if getattr(old, "sizes", None) != getattr(new, "sizes", None):
            return True
        spatial = getattr(old, "spatial", None)
        if pixel is None or spatial is None or spatial.position is None:
            continue
        ends = [lonlat_to_vector(*(np.asarray(c, float) for c in m.spatial.position)) for m in (cast(Any, old), new)]
        if np.degrees(np.linalg.norm(ends[0] - ends[1])) > SMALL_MOVE * pixel:
            return True
    return False
