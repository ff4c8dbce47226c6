"""Sources that reach across where a map of much of the sky is torn or stretched, which their images do not follow."""

from collections.abc import Sequence

import numpy as np

from ..arrays import is_known
from ..errors import warn
from ..irf.psf import PSFMap
from ..models.sky_model import SkyModel
from ..models.spatial.base import SpatialModel
from ..sky.geom import SkyGeom
from .plan import plan
from .response import Response

PLAIN = 50.0
"""Degrees on the plane of the projection from its middle up to which no image is torn, nor stretched much."""

DIRECTIONS = 32
"""Directions around a source that are looked at."""


def warn_of_torn(response: Response, models: Sequence[SkyModel], what: str) -> None:
    """A warning that starts with ``what`` for each source of which a part of the map shows what its image leaves out:
    on the other side of a seam, or beyond a window that is as wide as the source is where nothing is stretched."""
    if is_wide(response.geom):
        for model in models:
            _warn_of_torn(response, model, what)


def _warn_of_torn(response: Response, model: SkyModel, what: str) -> None:
    geom, spatial, sizes = response.geom, model.spatial, model.sizes
    if not isinstance(spatial, SpatialModel) or sizes is None or sizes.extent is None:
        return
    vector = spatial.center_vector
    if not is_known(vector):
        return
    window = plan(response, model)
    if window.start is not None and window.scheme not in ("point", "fourier"):
        return
    core = response.psf.core if isinstance(response.psf, PSFMap) and model.flags.psf else 0.0
    # most of the flux: two widths of a Gaussian, whose extent is five
    radius = (0.4 if spatial.scheme == "gauss" else 1.0) * sizes.extent + 1.2 * core
    middle = geom.vector_to_pixel(np.asarray(vector, float))
    x, y = geom.vector_to_pixel(_around(np.asarray(vector, float), radius))
    ny, nx = geom.shape
    inside = (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)
    dy, dx = window.half
    left_out = inside & ~((np.abs(x - middle[0]) <= dx + 1) & (np.abs(y - middle[1]) <= dy + 1))
    if np.any(left_out):
        warn(
            f"{what}: model {model.name!r} reaches across a seam of the map, or to where its projection stretches the "
            "sky (all-sky images end somewhere, and cylinders have poles). Its image does not follow there, and a part "
            "of its counts is missing. Use a map whose middle (CRVAL) is near the source."
        )


def is_wide(geom: SkyGeom) -> bool:
    """Whether an image shows places far from the middle of its projection; not of pixels that are traced."""
    if geom.projection == "poly" or not all(is_known(x) for x in (geom.crpix, geom.cd, geom.rotation)):
        return False
    ny, nx = geom.shape
    corners = np.array([[-0.5, -0.5], [nx - 0.5, -0.5], [-0.5, ny - 0.5], [nx - 0.5, ny - 0.5]])
    plane = (corners - np.asarray(geom.crpix)) @ np.asarray(geom.cd).T
    return bool(np.max(np.abs(plane)) > PLAIN)


def _around(vector: np.ndarray, radius: float) -> np.ndarray:
    """Directions (n, 3) at ``radius`` (deg) from one."""
    helper = np.eye(3)[np.argmin(np.abs(vector))]
    east = np.cross(helper, vector)
    east /= np.linalg.norm(east)
    north = np.cross(vector, east)
    angle = 2 * np.pi * np.arange(DIRECTIONS)[:, None] / DIRECTIONS
    r = np.deg2rad(min(radius, 180.0))
    return np.asarray(np.cos(r) * vector + np.sin(r) * (np.cos(angle) * east + np.sin(angle) * north))
