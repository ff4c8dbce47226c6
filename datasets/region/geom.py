"""Geometry of a region of the sky: the region, and the lattice on which its containment is found."""

import math
from typing import TYPE_CHECKING

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Bool, Float

from ...kernels.buckets import fast_size, round_up
from ...kernels.region_containment import cells_transform, disk_transform
from ..arrays import Array, frozen_array
from ..errors import InputError
from ..hints.modules import HintedModule
from ..io.fits import FitsTable
from ..io.region_table import region_hdu, region_of
from ..irf.psf import PSFMap
from ..meta import Meta
from ..shown import Facts, Shown
from ..sky.geom import SkyGeom
from ..units import Given, to_unit

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from regions import PixelRegion, Region, SkyRegion

RESOLUTION = 4.5
"""Lattice steps in the radius that holds 68 % of the sharpest PSF, as far as `MOST_NODES` allow."""

REACH = 1.5
"""Largest radius at which PSFs end, in units of the one that holds 99.9 % of the widest."""

TAILS = 12
"""Lattice steps around the reach of the PSF, for the fading out of profiles and the tails of sharpened kernels."""

MOST_NODES = 384
"""Most lattice nodes on a side: a region with a PSF that is sharp and has wide wings gets coarser ones."""

NO_PSF_NODES = 96
"""Lattice nodes across a region without a PSF."""

CELLS = 128
"""Cells across a region without a closed form, at least; those on its rim are divided by `DIVISIONS` once more."""

DIVISIONS = 16

WIDEST = 20.0
"""Widest region in deg."""

FIRST_STEP = 1e-3
"""Pixels in deg of the image on which the extent of a region is measured first."""


class RegionGeom(Shown, HintedModule):
    """A region of the sky, and the Fourier transform of it on a lattice (a gnomonic image around its middle).

    ``lattice``: the `SkyGeom` of the nodes, (n, n). ``transform``: (2, n, n // 2 + 1) real and imaginary part of the
    integral of exp(-2 pi i f x) over the region in steps of the lattice. ``reach`` (deg): how far around the region
    sources are seen. The region itself is in ``meta``, and is not there inside JAX transformations.
    """

    lattice: SkyGeom
    transform: Float[Array, "2 n m"]
    meta: Meta
    reach: float = eqx.field(static=True)

    @property
    def facts(self) -> Facts:
        region = self.meta.get("region")
        seen = {"sources seen within": f"{self.reach:.4g} deg"}
        return {"": "traced" if region is None else " ".join(repr(region).split())} | seen

    @classmethod
    def create(
        cls, region: "Region", psf: PSFMap | None = None, step: Given | None = None, reach: Given | None = None
    ) -> "RegionGeom":
        """Geometry of a ``region`` of the ``regions`` package with an area, in the sky.

        The lattice fits ``psf``, a `PSFMap`, or the perfect one (None); or give its ``step`` and ``reach`` (deg or
        Quantities). Circles (and annuli) have closed forms; the area of others is found to 1e-4 or better. The sky is
        taken as flat: areas are off by 2e-4 for a radius of 2.5 deg, and by 6e-4 for one of 5 deg.

        Raises
        ------
        InputError
            for what is not a region of the sky with an area, for one wider than `WIDEST`, for wrong units, and for
            steps that are too coarse for the region.
        """
        _check(region)
        if psf is not None and not isinstance(psf, PSFMap):
            raise InputError(f"RegionGeom: psf must be a PSFMap or None, found {type(psf).__name__}.")
        center, extent = _extent(region)
        if extent > WIDEST:
            raise InputError(
                f"RegionGeom: the region is {extent:.4g} deg wide, expected {WIDEST:g} deg at most, because it is "
                "taken as flat. Use a map."
            )
        given_width, given_reach = _angle(step, "step"), _angle(reach, "reach")
        if given_width is not None and not 0 < given_width <= extent / 4:
            raise InputError(
                f"RegionGeom: step must be positive and at most a quarter of the region's width of {extent:.4g} deg, "
                f"found {given_width:.4g} deg."
            )
        if given_reach is not None and not given_reach >= 0:
            raise InputError(f"RegionGeom: reach must not be negative, found {given_reach:.4g} deg.")
        width = extent / NO_PSF_NODES if psf is None else psf.core / RESOLUTION
        around = 0.0 if psf is None else REACH * psf.reach
        width = width if given_width is None else given_width
        around = around if given_reach is None else given_reach
        # rounded: regions that are nearly alike share programs
        size = round_up(extent, 4)
        width = max(float(width), (size + 2 * around) / (MOST_NODES - 2 * TAILS))
        width = float(f"{width:.4g}")
        n = fast_size(math.ceil(0.999 * (size + 2 * around) / width) + 2 * TAILS)
        lattice = SkyGeom.create(center, width, npix=n)
        pixel = region.to_pixel(lattice.wcs)
        transform = _transform(pixel, n)
        area = transform[0, 0, 0]
        if not area > 0:
            raise InputError(f"RegionGeom: the region {type(region).__name__} has no area. Use one with an area.")
        return cls(lattice, frozen_array(transform), Meta({"region": region}), around)

    def fitted(self, psf: PSFMap | None) -> "RegionGeom":
        """This geometry if its lattice is fine and wide enough for ``psf``, else a new one of the same region."""
        if psf is None or "region" not in self.meta:
            return self
        wide = self.reach >= 0.999 * REACH * psf.reach
        if wide and self.lattice.pixel_size <= 1.01 * psf.core / RESOLUTION:
            return self
        # lattices have so many nodes at most, and may be as fine as they can be
        new = RegionGeom.create(self.region, psf)
        return self if wide and self.lattice.pixel_size <= 1.01 * new.lattice.pixel_size else new

    @property
    def region(self) -> "Region":
        """The region, of the ``regions`` package."""
        if "region" not in self.meta:
            raise InputError("RegionGeom: its region is not there inside a JAX transformation; keep it outside.")
        return self.meta["region"]

    @property
    def center(self) -> "SkyCoord":
        """Direction of the middle of the region (of the box around it), ICRS SkyCoord."""
        return self.lattice.center

    @property
    def solid_angle(self) -> Float[Array, ""]:
        """Solid angle of the region in sr."""
        return self.transform[0, 0, 0] * np.radians(self.lattice.pixel_size) ** 2

    def contains(self, vectors: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
        """Whether ICRS unit vectors (n, 3) are inside the region."""
        from regions import PixCoord

        x, y = (np.asarray(c) for c in self.lattice.vector_to_pixel(vectors))
        shown = np.isfinite(x) & np.isfinite(y)
        at = PixCoord(np.where(shown, x, 0.0), np.where(shown, y, 0.0))
        return shown & np.asarray(self.region.to_pixel(self.lattice.wcs).contains(at), bool)

    def to_table(self, name: str = "REGION") -> fits.BinTableHDU:
        """The region as a FITS table HDU, as gammapy stores it."""
        return region_hdu(self.region, self.lattice, name)

    @classmethod
    def from_table(cls, table: FitsTable, psf: PSFMap | None = None) -> "RegionGeom":
        """Geometry from such a table."""
        return cls.create(region_of(table), psf)


def _check(region: "Region") -> None:
    """InputError for what is not a region of the sky."""
    if not (hasattr(region, "to_pixel") and hasattr(region, "contains")):
        raise InputError(
            f"RegionGeom: found {type(region).__name__}, expected a region of the sky of the package regions, such as "
            "regions.CircleSkyRegion(center, radius)."
        )


def _extent(region: "SkyRegion") -> tuple["SkyCoord", float]:
    """Middle (SkyCoord) and larger side (deg) of the box around a region."""
    center, extent = _first_center(region), 0.0
    # a second time in the projection around its middle
    for _ in range(2):
        image = SkyGeom.create(center, FIRST_STEP, npix=1)
        try:
            x0, x1, y0, y1 = region.to_pixel(image.wcs).bounding_box.extent
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            raise InputError(
                f"RegionGeom: the region {type(region).__name__} has no area that can be found. Use one with an area, "
                "such as a circle, an ellipse or a polygon."
            ) from error
        center = image.wcs.pixel_to_world((x0 + x1) / 2, (y0 + y1) / 2)
        extent = max(x1 - x0, y1 - y0) * FIRST_STEP
    return center, extent


def _first_center(region: "SkyRegion") -> "SkyCoord":
    """The centre of a region, or of one of its parts, ICRS."""
    for part in (region, getattr(region, "region1", None)):
        if part is None:
            continue
        center = getattr(part, "center", None)
        if center is None and hasattr(part, "vertices"):
            center = part.vertices[0]
        if center is not None and center.isscalar:
            return center.icrs
    if hasattr(region, "region1"):
        return _first_center(region.region1)
    raise InputError(
        f"RegionGeom: the region {type(region).__name__} has no centre. Use a circle, an ellipse, a rectangle, an "
        "annulus or a polygon, or a union of these."
    )


def _transform(pixel: "PixelRegion", n: int) -> Float[np.ndarray, "2 n m"]:
    """The field ``transform`` of a `RegionGeom`, of a region in pixels of its lattice."""
    from regions import CircleAnnulusPixelRegion, CirclePixelRegion

    if isinstance(pixel, CirclePixelRegion):
        return disk_transform(n, pixel.center.x, pixel.center.y, pixel.radius)
    if isinstance(pixel, CircleAnnulusPixelRegion):
        at = pixel.center.x, pixel.center.y
        return disk_transform(n, *at, pixel.outer_radius) - disk_transform(n, *at, pixel.inner_radius)
    x0, x1, y0, y1 = pixel.bounding_box.extent
    size = max(x1 - x0, y1 - y0) + 1
    cells = max(8, 2 ** math.ceil(math.log2(CELLS / size)))
    first = (x0 - 0.5, y0 - 0.5)
    shares = _filled(pixel, first, (math.ceil((x1 - x0 + 1) * cells), math.ceil((y1 - y0 + 1) * cells)), 1 / cells)
    return cells_transform(n, shares, first[0] + 0.5 / cells, first[1] + 0.5 / cells, 1 / cells)


def _filled(pixel: "PixelRegion", first: tuple[float, float], size: tuple[int, int], step: float) -> np.ndarray:
    """Share of each square cell that is inside a region, (ny, nx)."""
    from regions import PixCoord

    def inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(pixel.contains(PixCoord(x, y)), bool)

    nx, ny = size
    corners = inside(*np.meshgrid(first[0] + step * np.arange(nx + 1), first[1] + step * np.arange(ny + 1)))
    middles = inside(*np.meshgrid(first[0] + step * (np.arange(nx) + 0.5), first[1] + step * (np.arange(ny) + 0.5)))
    found = np.stack([corners[:-1, :-1], corners[1:, :-1], corners[:-1, 1:], corners[1:, 1:], middles])
    shares = middles.astype(float)
    rows, columns = np.nonzero(found.any(axis=0) & ~found.all(axis=0))
    at = (np.arange(DIVISIONS) + 0.5) / DIVISIONS
    x = first[0] + step * (columns[:, None, None] + at)
    y = first[1] + step * (rows[:, None, None] + at[:, None])
    shares[rows, columns] = inside(*np.broadcast_arrays(x, y)).mean(axis=(1, 2))
    return shares


def _angle(value: Given | None, name: str) -> float | None:
    """A finite angle in deg, or None."""
    if value is None:
        return None
    try:
        angle = float(to_unit(value, "deg", f"RegionGeom: {name}"))
    except (TypeError, ValueError) as error:
        raise InputError(f"RegionGeom: {name} must be one angle (deg or a Quantity), found {value!r}.") from error
    if not math.isfinite(angle):
        raise InputError(f"RegionGeom: {name} must be finite, found {angle} deg.")
    return angle
