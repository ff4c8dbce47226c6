"""Geometry of an image of the sky: pixels and directions."""

import dataclasses
import math
import warnings
from typing import TYPE_CHECKING, cast

import equinox as eqx
import numpy as np
from astropy.io import fits
from jaxtyping import Bool, Float

from ...kernels.projection import ANALYTIC, native_to_plane, plane_to_native, polynomial_terms
from ...kernels.sphere import namespace, vector_to_lonlat
from ..arrays import Array, frozen_array
from ..errors import InputError
from ..hints.modules import HintedModule
from ..meta import Meta
from ..shown import Facts, Shown
from ..units import Given, kernel_numbers, whole_numbers
from .bend import bend
from .cutout import PadWidth, SameArray, cropped, cutout_slices, downsampled, padded, upsampled
from .wcs import Cards, angle_pair, check_cards, directions, frame_of, rotation_between, sampled_directions

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS
    from regions import Region


Direction = Float[Array, " 3"]
"""A direction: an ICRS unit vector."""

DEGREE = 9

FAR = -1e6
"""Pixel coordinate of what a projection does not show."""

TOLERANCE_PIXELS = 1e-6
"""How well pixel positions have to come back, in pixels, from a projection that is fitted by polynomials."""

FITTED = 1.5
"""Coordinates up to which polynomials hold, in units of the range in which they were fitted."""


class SkyGeom(Shown, HintedModule):
    """Geometry of an image: ``shape`` (ny, nx) pixels, and where each looks.

    The projections of `ANALYTIC` have closed forms; any other that astropy reads is fitted by polynomials over the map.
    The arrays that describe the mapping are leaves, so that images which differ in pointing share one program; the FITS
    header is in ``meta``. ``pixel_size`` is the largest side of a pixel at the reference point, in deg to six digits;
    ``bend`` says how much the steps from pixel to pixel differ, see `sky.bend`.
    """

    projection: str = eqx.field(static=True)
    shape: tuple[int, int] = eqx.field(static=True)
    pixel_size: float = eqx.field(static=True)
    crpix: Float[Array, " 2"]
    cd: Float[Array, "2 2"]
    rotation: Float[Array, "3 3"]
    coefficients: Float[Array, "2 n_terms 2"] | None
    meta: Meta
    bend: float = eqx.field(static=True, default=math.inf)

    @property
    def facts(self) -> Facts:
        """What is shown: pixels, and where the middle is. Of a geometry inside a JAX transformation the pixels only."""
        pixels = f"{self.shape[1]} x {self.shape[0]} pixels of {self.pixel_size:.6g} deg"
        try:
            sky, frame = self.center, self.frame
        except Exception:  # no header, or traced
            return {"": f"{pixels} {self.projection}"}
        lon, lat = (sky.ra, sky.dec) if frame == "icrs" else (sky.galactic.l, sky.galactic.b)
        return {"": f"{pixels} {self.projection}, {frame}, around {lon.deg:.5f}, {lat.deg:.5f} deg"}

    @classmethod
    def from_header(cls, header: fits.Header | Cards, shape: tuple[int, int], where: str = "WCS") -> "SkyGeom":
        """Geometry from FITS header cards; InputError for headers without two celestial axes, longitude first."""
        from astropy.wcs import WCS, FITSFixedWarning

        check_cards(header, where)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FITSFixedWarning)
            try:
                wcs = WCS(fits.Header(header)).celestial
                wcs.wcs.set()
            except Exception as error:  # astropy raises many types
                reason = " ".join(str(error).split())
                raise InputError(
                    f"{where}: the header holds no sky projection that can be used: {reason}. Expected CTYPE1 and "
                    "CTYPE2 such as RA---TAN and DEC--TAN with CRVAL, CRPIX and CDELT."
                ) from error
        return cls.from_wcs(wcs, shape, where)

    @classmethod
    def from_wcs(cls, wcs: "WCS", shape: tuple[int, int], where: str = "WCS") -> "SkyGeom":
        """Geometry from an astropy ``WCS`` of two celestial axes."""
        if wcs.naxis != 2 or wcs.wcs.lng != 0 or wcs.wcs.lat != 1 or wcs.wcs.ctype[0][:4] not in ("RA--", "GLON"):
            raise InputError(
                f"{where}: found axes {tuple(wcs.wcs.ctype)}, expected longitude first and latitude second, equatorial "
                "or galactic, such as RA---TAN and DEC--TAN or GLON-CAR and GLAT-CAR. Reproject the image."
            )
        ny, nx = (int(n) for n in shape)
        if ny < 1 or nx < 1:
            raise InputError(f"{where}: an image of shape {shape} has no pixels.")
        try:
            return cls._of_pixels(wcs, (ny, nx), where)
        except InputError:
            raise
        except Exception as error:  # astropy raises many types
            raise InputError(
                f"{where}: the header holds no sky projection that can be used: {' '.join(str(error).split())}. Check "
                "CTYPE, RADESYS, CRVAL, CRPIX and CDELT."
            ) from error

    @classmethod
    def _of_pixels(cls, wcs: "WCS", shape: tuple[int, int], where: str) -> "SkyGeom":
        from astropy.wcs.utils import proj_plane_pixel_scales

        ny, nx = shape
        code = str(wcs.wcs.ctype[0])[-3:]
        size = float(f"{np.max(proj_plane_pixel_scales(wcs)):.6g}")
        meta = Meta({"header": dict(wcs.to_header(relax=True)), "wcs": wcs})
        crpix, cd = wcs.wcs.crpix - 1.0, wcs.pixel_scale_matrix
        x, y = sampled_directions(wcs, (ny, nx), where)
        vectors = directions(wcs, x, y)
        if code in ANALYTIC and not wcs.has_distortion:
            rotation = rotation_between(np.asarray(plane_to_native(code, *_to_plane(x, y, crpix, cd))), vectors)
            geom = cls(code, (ny, nx), size, frozen_array(crpix), frozen_array(cd), frozen_array(rotation), None, meta)
            if _largest_error(geom, x, y) < TOLERANCE_PIXELS and np.allclose(
                geom.pixel_to_vector(x, y), vectors, atol=1e-11, rtol=0
            ):
                return dataclasses.replace(geom, bend=bend(geom))
        return _fitted(wcs, (ny, nx), size, meta, where)

    @classmethod
    def create(
        cls,
        skydir: "SkyCoord | Given" = (0.0, 0.0),
        binsz: Given = 0.05,
        width: Given | None = None,
        npix: PadWidth | None = None,
        proj: str = "TAN",
        frame: str = "icrs",
    ) -> "SkyGeom":
        """An image around ``skydir`` (SkyCoord, or longitude and latitude in deg of ``frame``).

        ``binsz``, ``width``: deg or Quantities, one number or (x, y); or ``npix``, one number or (nx, ny). The
        reference point of the projection is the centre of the image.
        """
        from astropy.coordinates import SkyCoord
        from astropy.wcs import WCS, WcsError

        if frame not in ("icrs", "galactic"):
            raise InputError(f"SkyGeom: frame must be 'icrs' or 'galactic', found {frame!r}.")
        if isinstance(skydir, SkyCoord):
            sky = skydir.transform_to(frame)
            skydir = (sky.data.lon.deg, sky.data.lat.deg)
        lon, lat = angle_pair(skydir, "skydir")
        if not abs(lat) <= 90:
            raise InputError(f"SkyGeom: the latitude of skydir must be from -90 to 90 deg, found {lat}.")
        step = angle_pair(binsz, "binsz")
        if not np.all(step > 0):
            raise InputError(f"SkyGeom: binsz must be positive, found {binsz}.")
        if npix is not None:
            size = whole_numbers(npix, "SkyGeom: npix")
            if size.shape not in ((), (1,), (2,)):
                raise InputError(f"SkyGeom: npix must be one or two (x, y) numbers of pixels, found {npix!r}.")
        elif width is not None:
            size = np.rint(angle_pair(width, "width") / step)
        else:
            raise InputError("SkyGeom: give width (deg) or npix.")
        nx, ny = (int(n) for n in np.broadcast_to(size, 2))
        wcs = WCS(naxis=2)
        axes = ("RA", "DEC") if frame == "icrs" else ("GLON", "GLAT")
        wcs.wcs.ctype = [f"{axis}{'-' * (5 - len(axis))}{proj}" for axis in axes]
        wcs.wcs.cunit = ["deg", "deg"]
        wcs.wcs.crval = [lon, lat]
        wcs.wcs.cdelt = [-step[0], step[1]]
        wcs.wcs.crpix = [(nx + 1) / 2, (ny + 1) / 2]
        if frame == "icrs":
            wcs.wcs.radesys = "ICRS"
        try:
            wcs.wcs.set()
        except (WcsError, ValueError) as error:
            raise InputError(f"SkyGeom: projection {proj!r} is not known to astropy. Try TAN or CAR.") from error
        return cls.from_wcs(wcs, (ny, nx), "SkyGeom")

    @property
    def header(self) -> dict[str, str | float]:
        """FITS cards of the projection."""
        return dict(self._described()["header"])

    @property
    def wcs(self) -> "WCS":
        """The projection, of astropy; InputError inside JAX transformations."""
        return self._described()["wcs"]

    def _described(self) -> Meta:
        if "wcs" not in self.meta:
            raise InputError("SkyGeom: its header is not there inside a JAX transformation; keep it outside.")
        return self.meta

    @property
    def frame(self) -> str:
        """Frame of the image: "icrs", "galactic", "fk5", ..."""
        return frame_of(self.wcs).name

    @property
    def center(self) -> "SkyCoord":
        """Direction of the middle of the image, ICRS."""
        from astropy.coordinates import SkyCoord

        lon, lat = vector_to_lonlat(np.asarray(self.pixel_to_vector(*self.middle)))
        return SkyCoord(lon, lat, unit="deg", frame="icrs")

    @property
    def middle(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixel coordinates (x, y) of the middle of the image."""
        ny, nx = self.shape
        return np.asarray((nx - 1) / 2), np.asarray((ny - 1) / 2)

    def pixel_to_vector(
        self, x: Float[SameArray, "*shape"], y: Float[SameArray, "*shape"]
    ) -> Float[SameArray, "*shape 3"]:
        """ICRS unit vectors (..., 3) at pixel coordinates (0-based, centres at integers); NaN off the sky."""
        x, y = kernel_numbers(x, "", "x"), kernel_numbers(y, "", "y")
        if self.projection == "poly":
            return self._poly_to_vector(x, y)
        native = plane_to_native(self.projection, *_to_plane(x, y, self.crpix, self.cd))
        return cast(SameArray, native @ self.rotation.T)

    def shown_vectors(
        self, x: Float[SameArray, "*shape"], y: Float[SameArray, "*shape"]
    ) -> tuple[Float[SameArray, "*shape 3"], Bool[SameArray, "*shape"]]:
        """`pixel_to_vector` where there is sky, any unit vector where there is none, and where there is sky, (...)."""
        vectors = self.pixel_to_vector(x, y)
        xp = namespace(vectors)
        shown = xp.isfinite(vectors[..., 0])
        return xp.where(shown[..., None], vectors, xp.asarray([0.0, 0.0, 1.0])), shown

    def vector_to_pixel(
        self, vectors: Float[SameArray, "*shape 3"]
    ) -> tuple[Float[SameArray, "*shape"], Float[SameArray, "*shape"]]:
        """Pixel coordinates (x, y) of ICRS unit vectors (..., 3); NaN where the projection does not show them."""
        native = kernel_numbers(vectors, "", "vectors") @ self.rotation
        if self.projection == "poly":
            return self._poly_to_pixel(native)
        px, py = native_to_plane(self.projection, native)
        cd = self.cd
        det = cd[0, 0] * cd[1, 1] - cd[0, 1] * cd[1, 0]
        x = (cd[1, 1] * px - cd[0, 1] * py) / det + self.crpix[0]
        y = (cd[0, 0] * py - cd[1, 0] * px) / det + self.crpix[1]
        return cast(tuple[SameArray, SameArray], (x, y))

    def vector_to_pixel_or_far(
        self, vectors: Float[SameArray, "*shape 3"]
    ) -> tuple[Float[SameArray, "*shape"], Float[SameArray, "*shape"]]:
        """`vector_to_pixel`, and far outside of any map where the projection does not show them."""
        x, y = self.vector_to_pixel(vectors)
        xp = namespace(x, y)
        return xp.where(xp.isfinite(x), x, FAR), xp.where(xp.isfinite(y), y, FAR)

    def _poly_to_vector(
        self, x: Float[SameArray, "*shape"], y: Float[SameArray, "*shape"]
    ) -> Float[SameArray, "*shape 3"]:
        assert self.coefficients is not None
        xp = namespace(x, y, self.crpix)
        u_, v_ = (xp.asarray(x) - self.crpix[0]) / self.cd[0, 0], (xp.asarray(y) - self.crpix[1]) / self.cd[1, 1]
        plane = _polynomial(u_, v_, self.coefficients[0])
        return cast(SameArray, plane_to_native("TAN", plane[..., 0], plane[..., 1]) @ self.rotation.T)

    def _poly_to_pixel(
        self, native: Float[SameArray, "*shape 3"]
    ) -> tuple[Float[SameArray, "*shape"], Float[SameArray, "*shape"]]:
        assert self.coefficients is not None
        px, py = native_to_plane("TAN", native)
        xp = namespace(px, py)
        shown = xp.isfinite(px) & xp.isfinite(py)
        u_, v_ = xp.where(shown, px, 0.0) / self.cd[0, 1], xp.where(shown, py, 0.0) / self.cd[1, 0]
        terms = _polynomial(u_, v_, self.coefficients[1])
        x, y = terms[..., 0] * self.cd[0, 0] + self.crpix[0], terms[..., 1] * self.cd[1, 1] + self.crpix[1]
        return xp.where(shown, x, np.nan), xp.where(shown, y, np.nan)

    def cell_solid_angle(
        self, x: Float[SameArray, "*shape"], y: Float[SameArray, "*shape"], size: float = 1.0
    ) -> Float[SameArray, "*shape"]:
        """Solid angle (sr) of cells of ``size`` pixels around pixel coordinates, from their corner directions.

        The area of the flat quadrangle between the four unit vectors: for cells of 1 deg up to 8e-5 below the sphere's.
        """
        x, y, half = kernel_numbers(x, "", "x"), kernel_numbers(y, "", "y"), kernel_numbers(size, "", "size") / 2
        xp = namespace(x, y, self.crpix)
        corners = [self.pixel_to_vector(x + i * half, y + j * half) for i, j in ((-1, -1), (1, 1), (1, -1), (-1, 1))]
        return xp.linalg.norm(xp.cross(corners[1] - corners[0], corners[3] - corners[2]), axis=-1) / 2

    @property
    def solid_angle(self) -> np.ndarray:
        """Solid angle of each pixel, (ny, nx) sr; NaN where a corner is off the projection."""
        x, y = self.pixel_grid
        return np.asarray(self.cell_solid_angle(x, y))

    @property
    def pixel_grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixel coordinates x and y of all pixels, each (ny, nx)."""
        ny, nx = self.shape
        x, y = np.meshgrid(np.arange(float(nx)), np.arange(float(ny)))
        return x, y

    def region_mask(self, region: "Region") -> np.ndarray:
        """True for the pixels whose centre is inside a region (of the sky, or in pixels) of the ``regions`` package,
        (ny, nx). Raises InputError without that package, and for anything that is not such a region."""
        try:
            from regions import PixCoord
        except ImportError as error:
            raise InputError("SkyGeom.region_mask needs the package regions: pip install regions.") from error
        if not hasattr(region, "contains"):
            raise InputError(
                f"SkyGeom.region_mask: found {type(region).__name__}, expected a region such as "
                "regions.CircleSkyRegion(center, radius)."
            )
        pixel = region.to_pixel(self.wcs) if hasattr(region, "to_pixel") else region
        x, y = self.pixel_grid
        return np.asarray(pixel.contains(PixCoord(x, y)), bool)

    def cutout(self, position: "SkyCoord", width: Given, mode: str = "trim") -> "SkyGeom":
        """The pixels around a ``position`` (SkyCoord), ``width`` wide (deg or Quantity); see `cutout_slices`."""
        return cropped(self, *cutout_slices(self, position, width, mode))

    def pad(self, width: PadWidth) -> "SkyGeom":
        """The image with ``width`` more pixels on each side, one number or (x, y)."""
        return padded(self, width)

    def downsample(self, factor: int) -> "SkyGeom":
        """The image in which ``factor`` by ``factor`` pixels are one."""
        return downsampled(self, factor)

    def upsample(self, factor: int) -> "SkyGeom":
        """The image in which each pixel is ``factor`` by ``factor``."""
        return upsampled(self, factor)

    def is_same(self, other: "SkyGeom") -> bool:
        """Whether two images have the same pixels, to a ten-thousandth of one."""
        if self.shape != other.shape:
            return False
        x, y = (grid[::7, ::7] for grid in self.pixel_grid)
        vectors = np.asarray(self.pixel_to_vector(x, y))
        ox, oy = other.vector_to_pixel(vectors)
        shown = np.isfinite(vectors[..., 0])
        return bool(np.all(np.hypot(ox - x, oy - y)[shown] < 1e-4))


def _polynomial(
    u_: Float[SameArray, "*shape"], v_: Float[SameArray, "*shape"], coefficients: Float[Array, "n_terms 2"]
) -> Float[SameArray, "*shape 2"]:
    """Fitted polynomials at scaled coordinates; straight on where these are beyond `FITTED`."""
    xp = namespace(u_, v_)
    beyond = xp.maximum(xp.maximum(abs(u_), abs(v_)) / FITTED, 1.0)
    middle = polynomial_terms(np.zeros(()), np.zeros(()), DEGREE).astype(coefficients.dtype) @ coefficients
    inside = polynomial_terms(u_ / beyond, v_ / beyond, DEGREE) @ coefficients
    return middle + (inside - middle) * beyond[..., None]


def _to_plane(
    x: Float[SameArray, "*shape"],
    y: Float[SameArray, "*shape"],
    crpix: Float[SameArray, " 2"],
    cd: Float[SameArray, "2 2"],
) -> tuple[Float[SameArray, "*shape"], Float[SameArray, "*shape"]]:
    dx, dy = x - crpix[0], y - crpix[1]
    return cd[0, 0] * dx + cd[0, 1] * dy, cd[1, 0] * dx + cd[1, 1] * dy


def _largest_error(geom: SkyGeom, x: np.ndarray, y: np.ndarray) -> float:
    back = geom.vector_to_pixel(geom.pixel_to_vector(x, y))
    error = np.hypot(back[0] - x, back[1] - y)
    return float(np.max(np.where(np.isfinite(error), error, np.inf)))


def _fitted(wcs: "WCS", shape: tuple[int, int], pixel: float, meta: Meta, where: str) -> SkyGeom:
    """A projection without formula here: polynomials between pixels and the tangent plane of the image's middle."""
    from astropy.wcs.utils import proj_plane_pixel_scales

    ny, nx = shape
    crpix = np.array([(nx - 1) / 2, (ny - 1) / 2])
    reach = np.array([0.6 * nx + 1, 0.6 * ny + 1])
    nodes = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
    u_, v_ = (g.ravel() for g in np.meshgrid(nodes, nodes))
    x, y = crpix[0] + u_ * reach[0], crpix[1] + v_ * reach[1]
    vectors = directions(wcs, x, y)
    middle = directions(wcs, *crpix)
    east = np.cross([0.0, 0.0, 1.0], middle)
    east = east / np.linalg.norm(east) if np.linalg.norm(east) > 1e-9 else np.array([1.0, 0.0, 0.0])
    # native TAN vectors (-y, x, 1): columns are the directions of native X, Y, Z
    rotation = np.stack([-np.cross(middle, east), east, middle], axis=1)
    native = vectors @ rotation
    hidden = ~np.all(np.isfinite(native), axis=1) | (native[:, 2] < 0.3)
    if np.any(hidden):
        raise InputError(
            f"{where}: the projection {wcs.wcs.ctype[0][-3:]!r} has no formula here, and the image is too wide (or "
            f"runs off the projection) to fit one. Reproject it to one of {', '.join(ANALYTIC)}."
        )
    px, py = native_to_plane("TAN", native)
    size = np.array([np.abs(px).max(), np.abs(py).max()]) * 1.05
    forward = np.linalg.lstsq(polynomial_terms(u_, v_, DEGREE), np.stack([px, py], 1), rcond=None)[0]
    inverse = np.linalg.lstsq(polynomial_terms(px / size[0], py / size[1], DEGREE), np.stack([u_, v_], 1), rcond=None)[
        0
    ]
    cd = np.array([[reach[0], size[0]], [size[1], reach[1]]])
    geom = SkyGeom(
        "poly",
        shape,
        pixel,
        frozen_array(crpix),
        frozen_array(cd),
        frozen_array(rotation),
        frozen_array(np.stack([forward, inverse])),
        meta,
    )
    sample = sampled_directions(wcs, shape, where)
    error = np.abs(np.asarray(geom.pixel_to_vector(*sample)) - directions(wcs, *sample)).max()
    scale = np.radians(np.min(proj_plane_pixel_scales(wcs)))
    worst = max(error / scale, _largest_error(geom, *sample))
    if not worst < TOLERANCE_PIXELS:
        raise InputError(
            f"{where}: the projection {wcs.wcs.ctype[0][-3:]!r} has no formula here, and polynomials describe it only "
            f"to {worst:.1e} pixels over this image (expected {TOLERANCE_PIXELS:.0e}). Reproject it to one of "
            f"{', '.join(ANALYTIC)}, or cut out a smaller image."
        )
    return dataclasses.replace(geom, bend=bend(geom))
