"""Outlines of spatial models as regions of the package regions, and the way back."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u

from ....kernels.sphere import TO_ICRS
from ...arrays import Array
from ...errors import InputError
from ...sky.geom import SkyGeom

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from regions import CircleAnnulusSkyRegion, EllipseSkyRegion, PointSkyRegion, RectangleSkyRegion, Region

Position = tuple[Array, Array]
"""Longitude and latitude in deg."""


def coordinate(position: Position, frame: str) -> "SkyCoord":
    """A position of a model in its frame."""
    from astropy.coordinates import SkyCoord

    return SkyCoord(*(float(angle) for angle in position), unit="deg", frame=frame)


def point_region(position: Position, frame: str) -> "PointSkyRegion":
    """A point."""
    from regions import PointSkyRegion

    return PointSkyRegion(coordinate(position, frame))


def rectangle_region(position: Position, frame: str, width: float, height: float) -> "RectangleSkyRegion":
    """A rectangle of some width and height (deg)."""
    from regions import RectangleSkyRegion

    return RectangleSkyRegion(coordinate(position, frame), width * u.deg, height * u.deg)


def sky_region(frame: str) -> "RectangleSkyRegion":
    """The whole sky."""
    return rectangle_region((np.zeros(()), np.zeros(())), frame, 360.0, 180.0)


def ellipse_region(position: Position, frame: str, major: float, e: float, phi: float) -> "EllipseSkyRegion":
    """An ellipse of half axis ``major`` (deg) and eccentricity ``e``; ``phi`` (deg) is from north over east."""
    from regions import EllipseSkyRegion

    minor = major * math.sqrt(1 - e**2)
    return EllipseSkyRegion(
        coordinate(position, frame), height=2 * major * u.deg, width=2 * minor * u.deg, angle=phi * u.deg
    )


def annulus_region(position: Position, frame: str, inner: float, outer: float) -> "CircleAnnulusSkyRegion":
    """A ring between two radii (deg)."""
    from regions import CircleAnnulusSkyRegion

    return CircleAnnulusSkyRegion(coordinate(position, frame), inner * u.deg, outer * u.deg)


def ellipse_of(region: "Region", what: str) -> dict[str, Any]:
    """Position, frame, half axis ``r_0``, eccentricity ``e`` and angle ``phi`` of a circle or an ellipse on the sky."""
    from regions import CircleSkyRegion, EllipseSkyRegion

    if isinstance(region, CircleSkyRegion):
        region = EllipseSkyRegion(region.center, height=2 * region.radius, width=2 * region.radius)
    if not isinstance(region, EllipseSkyRegion):
        raise InputError(f"{what}: found {type(region).__name__}, expected a CircleSkyRegion or an EllipseSkyRegion.")
    if region.center.frame.name not in TO_ICRS:
        # angles count from the north of the frame, which is another one there
        wcs = SkyGeom.create(region.center.icrs, 0.001, npix=1).wcs
        region = region.to_pixel(wcs).to_sky(wcs)
    angle, major, minor = (x.to_value("deg") for x in (region.angle, region.height, region.width))
    if minor > major:
        angle, major, minor = angle + 90, minor, major
    center = region.center
    return {
        "lon_0": center.data.lon.deg * u.deg,
        "lat_0": center.data.lat.deg * u.deg,
        "frame": center.frame.name,
        "r_0": major / 2 * u.deg,
        "e": math.sqrt(1 - (minor / major) ** 2),
        "phi": float(np.mod(angle + 180, 360) - 180) * u.deg,
    }
