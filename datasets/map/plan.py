"""Sizes of the image of a source on a map, and how it is made: static numbers, which choose a program."""

from typing import NamedTuple

import numpy as np

from ...kernels.buckets import fast_size
from ..errors import InputError
from ..irf.psf import PSFKernel, PSFMap, RecoPSFMap
from ..models.sky_model import SkyModel
from ..models.spatial.extent import NODE_SPACING, STEP, Rungs, Sizes, extended_nodes
from ..region.containment import Nodes
from ..sky.geom import SkyGeom
from .response import Response

MARGIN = 2
"""Pixels that a source can move from where it was prepared before its image runs off its window."""

RESOLUTION = 4.5
"""Lattice steps in the radius that holds 68 % of the PSF, as far as `STEPS` allow: a PSF with a cusp in its middle is
then resolved to 1e-3 of its peak (tests/test_map_real.py)."""

STEPS = {"point": (2, 3, 4, 6, 8), "extended": (2, 3, 4), "fourier": (1, 2, 3, 4, 6, 8)}
"""Lattice steps a pixel to choose from, for images by Fourier transform and for the rest, which cost more."""

RADII = 5.0
"""Widths of a Gaussian in the radius in which it is evaluated."""

DAMPING = 1.37
"""Lattice steps in the width of a Gaussian that leave 1e-4 of its transform beyond the frequencies they resolve."""

STRAIGHT = 1e-3
"""Largest bend over a width of a Gaussian that is imaged by its transform: 0.6 of this is lost at the peak at most."""

NO_PSF_STEPS = 4
"""Lattice steps a pixel without a PSF: a source is blurred by a Gaussian of a quarter of a pixel."""

PIXEL_OVERSAMPLING = 10
"""Points a pixel and dimension at which extended sources are averaged for ``source_grid="pixel"``."""


class Plan(NamedTuple):
    """Sizes of the image of a source, and how it is made.

    ``scheme``: "point", "gauss", "nodes" or "direct"; "fourier" for Gaussians imaged as points are; "pixel" averages
    over pixels. ``s``: lattice steps a pixel. ``shape``: the window, (ny, nx); it starts ``half`` pixels before the
    source, or at pixel ``start`` where given (then ``half`` is what an image by its transform needs around it).
    ``width``: pixels of the widest kernel. ``nodes``: counts of nodes, or ().
    ``psf``: "none", "true", "reco" or "kernel".
    """

    scheme: str
    s: int
    shape: tuple[int, int]
    half: tuple[int, int]
    start: tuple[int, int] | None
    width: int
    nodes: Nodes | tuple[()]
    psf: str
    grid: str

    @property
    def period(self) -> tuple[int, int]:
        """Pixels after which an image by its transform repeats itself."""
        ny, nx = (n + 2 * m for n, m in zip(self.shape, self.margin, strict=True))
        return fast_size(ny), fast_size(nx)

    @property
    def margin(self) -> tuple[int, int]:
        """Pixels around the window where sources still reach into it, as far as these are not in it."""
        return (0, 0) if self.start is None or self.scheme != "fourier" else self.half

    @property
    def by_transform(self) -> bool:
        """Whether images are made from Fourier transforms in closed form."""
        return self.scheme in ("point", "fourier") and self.psf != "reco" and self.grid != "pixel"


def plan(response: Response, model: SkyModel) -> Plan:
    """Sizes for one source on one map, from what is static in both."""
    spatial, pixel = model.spatial, response.geom.pixel_size
    if spatial is None:
        raise InputError(
            f"Model {model.name!r} has no spatial part, and the dataset is a map. Give it one, such as "
            "spatial=PointSpatialModel(lon_0=..., lat_0=...)."
        )
    psf = response.psf if model.flags.psf else None
    grid = response.source_grid
    kind = "none" if psf is None else "kernel" if isinstance(psf, PSFKernel) else "true"
    kind = "reco" if isinstance(psf, RecoPSFMap) else kind
    scheme, sizes = spatial.scheme, model.sizes
    if scheme == "gauss" and grid != "pixel" and _has_transform(response, kind, sizes):
        scheme = "fourier"
    if grid == "pixel":
        s = 1
    elif scheme == "fourier":
        assert not isinstance(psf, PSFKernel) and sizes is not None
        s = _fourier_steps(psf, pixel, sizes)
    elif kind == "none":
        s = NO_PSF_STEPS * (2 if scheme == "point" else 1)
    elif kind == "kernel":
        s = 1
    else:
        assert isinstance(psf, PSFMap)
        wanted = RESOLUTION * pixel / psf.core
        steps = STEPS["point"] if scheme == "point" and kind == "true" else STEPS["extended"]
        s = next((n for n in steps if n >= wanted), steps[-1])
    width = 1 if psf is None else _kernel_width(psf, pixel)
    if grid == "pixel" and scheme in ("gauss", "nodes"):
        scheme = "pixel"
    nodes = () if scheme == "fourier" else extended_nodes(spatial, sizes, NODE_SPACING * pixel / s)
    reach = (width + 1) // 2 + MARGIN
    ny, nx = response.geom.shape
    whole = fast_size(ny + 2 * reach), fast_size(nx + 2 * reach)
    if scheme == "direct" or sizes is None or sizes.extent is None:
        return Plan(scheme, s, whole, (0, 0), (-reach, -reach), width, nodes, kind, grid)
    extent = int(np.ceil(sizes.extent / pixel))
    # three widths beyond the PSF a Gaussian has little left of what is little there
    half = max(extent + MARGIN, reach + int(np.ceil(0.6 * extent))) if scheme == "fourier" else reach + extent
    size = fast_size(2 * half + 1)
    if size >= max(whole) and scheme == "fourier":
        return Plan(scheme, s, (ny, nx), (half, half), (0, 0), width, (), kind, grid)
    if size >= max(whole) and scheme != "point":
        return Plan(scheme, s, whole, (0, 0), (-reach, -reach), width, nodes, kind, grid)
    return Plan(scheme, s, (size, size), (half, half), None, width, nodes, kind, grid)


def image_rungs(geom: SkyGeom, psf: PSFMap | PSFKernel | None) -> Rungs:
    """Extents (deg) of the images of sources of free size: a window not much wider than the PSF needs, the whole map,
    and one between. () without a PSF, where images take the more frequencies the narrower a source is."""
    if psf is None:
        return ()
    pixel = geom.pixel_size
    side = pixel * max(geom.shape)
    lowest = max(min(PSF_SHARE * _kernel_width(psf, pixel) / 2 * pixel, side / 4), LEAST_EXTENT * pixel)
    highest = max(side, 2 * lowest)
    return lowest, float(np.sqrt(lowest * highest)), highest


def _kernel_width(psf: PSFMap | PSFKernel, pixel: float) -> int:
    """Pixels across the widest kernel."""
    if isinstance(psf, PSFKernel):
        return int(np.shape(psf.values)[-1])
    return 2 * int(np.ceil(2 * psf.reach / pixel) // 2) + 1


PSF_SHARE = 1.1
"""Extent of the smallest sources of free size, in radii of the PSF: as far as the map is wide enough for it."""

LEAST_EXTENT = 12.0
"""The same in pixels, at least."""


def _has_transform(response: Response, kind: str, sizes: Sizes | None) -> bool:
    """Whether a Gaussian is imaged by its transform: on an image that is straight over its width, where kernels have
    one, and where without a PSF few lattice steps show it."""
    if kind not in ("true", "none") or sizes is None or sizes.extent is None:
        return False
    if response.geom.bend * sizes.extent / RADII / response.geom.pixel_size > STRAIGHT:
        return False
    return kind == "true" or DAMPING / _narrowest(response.geom.pixel_size, sizes) <= STEPS["fourier"][-1]


def _narrowest(pixel: float, sizes: Sizes) -> float:
    """Least width in pixels that a Gaussian of these sizes may have, see `fits_in`."""
    anything = any(sizes.numbers) or sizes.shrinks == np.inf
    assert sizes.extent is not None
    return 1e-9 if anything else sizes.extent / RADII / pixel / (STEP * sizes.shrinks)


def _fourier_steps(psf: PSFMap | None, pixel: float, sizes: Sizes) -> int:
    wanted = DAMPING / _narrowest(pixel, sizes)
    if psf is not None:
        wanted = min(wanted, RESOLUTION * pixel / psf.core)
    return next((n for n in STEPS["fourier"] if n >= wanted), STEPS["fourier"][-1])
