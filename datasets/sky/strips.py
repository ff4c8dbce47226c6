"""Regions of a profile: rectangles side by side along a line, and rings around a place."""

from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from ..errors import InputError
from ..hints.calls import hinted
from ..units import Given, number_in, numbers_in

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from regions import CircleAnnulusSkyRegion, RectangleSkyRegion


@hinted
def rectangles_along(start: "SkyCoord", stop: "SkyCoord", n: int, width: Given) -> "list[RectangleSkyRegion]":
    """``n`` rectangles side by side along the great circle from ``start`` to ``stop``, each ``width`` wide across it.

    Parameters
    ----------
    start, stop : SkyCoord, where the first begins and the last ends
    n : number of rectangles, at least 1
    width : across the line, Quantity or deg

    Raises
    ------
    InputError
        for one place given twice, and for numbers that are not positive.

    Examples
    --------
    >>> gj.rectangles_along(SkyCoord("83d", "22d"), SkyCoord("84d", "22.5d"), 10, 0.3 * u.deg)
    """
    from regions import RectangleSkyRegion

    across = number_in(width, "deg", "rectangles_along: width")
    if not 0 < across < 180:
        raise InputError(f"rectangles_along: width must be a positive angle, found {width!r}.")
    if isinstance(n, bool) or int(n) != n or n < 1:
        raise InputError(f"rectangles_along: n must be a whole number of at least 1, found {n!r}.")
    begin, end = _place(start, "rectangles_along: start"), _place(stop, "rectangles_along: stop")
    length = begin.separation(end.transform_to(begin.frame))
    if not length.deg > 0:
        raise InputError("rectangles_along: start and stop are one place. Give two.")
    end = end.transform_to(begin.frame)
    direction = begin.position_angle(end)
    found = []
    for k in range(int(n)):
        center = begin.directional_offset_by(direction, (k + 0.5) / n * length)
        # angles of regions are counted as seen, from the right (west) over north; position angles from north over east
        along = center.position_angle(begin) + 180 * u.deg
        found.append(RectangleSkyRegion(center, length / n, across * u.deg, angle=90 * u.deg + along))
    return found


@hinted
def rings_around(center: "SkyCoord", radii: Given) -> "list[CircleAnnulusSkyRegion]":
    """Rings around ``center`` (SkyCoord) between each radius and the next, (n + 1,), Quantity or deg, for n rings.

    The first radius may be 0: the first ring is then a disk. Raises InputError for radii that do not rise.

    Examples
    --------
    >>> gj.rings_around(SkyCoord("83.63d", "22.01d"), [0, 0.1, 0.2, 0.4] * u.deg)
    """
    from regions import CircleAnnulusSkyRegion

    edges = np.asarray(numbers_in(radii, "deg", "rings_around: radii"), float)
    if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0) or edges[0] < 0 or edges[-1] >= 180:
        raise InputError(f"rings_around: radii must rise, from 0 on, found {radii!r}.")
    place = _place(center, "rings_around: center")
    # regions have no rings without a hole; this one holds the middle of no pixel
    inner = np.maximum(edges[:-1], 1e-9 * edges[1:])
    return [
        CircleAnnulusSkyRegion(place, low * u.deg, high * u.deg) for low, high in zip(inner, edges[1:], strict=True)
    ]


def _place(given: "SkyCoord", what: str) -> "SkyCoord":
    from astropy.coordinates import SkyCoord

    if not isinstance(given, SkyCoord) or not given.isscalar:
        raise InputError(f"{what} must be one SkyCoord, found {type(given).__name__}.")
    return given
