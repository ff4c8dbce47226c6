"""Images cut out of images of the sky, widened and re-binned: their geometry."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import jax
import numpy as np
from jaxtyping import Float

from ...kernels.sphere import lonlat_to_vector
from ..arrays import Array
from ..errors import InputError
from ..units import Given, to_unit, whole_numbers

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.wcs import WCS

SameArray = TypeVar("SameArray", jax.Array, np.ndarray, jax.Array | np.ndarray)
"""NumPy's arrays where those come in, JAX's where JAX's come in."""

PadWidth = int | Sequence[int]
"""Numbers of pixels: one, or one in x and one in y."""


class Image(Protocol):
    """What is asked of an image here; a `SkyGeom`, which stands on this file, is one."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def pixel_size(self) -> float: ...
    @property
    def center(self) -> "SkyCoord": ...
    @property
    def wcs(self) -> "WCS": ...
    @classmethod
    def from_wcs(cls, wcs: "WCS", shape: tuple[int, int], where: str = "WCS") -> Self: ...
    def pixel_to_vector(
        self, x: Float[SameArray, "*shape"], y: Float[SameArray, "*shape"]
    ) -> Float[SameArray, "*shape 3"]: ...
    def vector_to_pixel(
        self, vectors: Float[SameArray, "*shape 3"]
    ) -> tuple[Float[SameArray, "*shape"], Float[SameArray, "*shape"]]: ...
    def is_same(self, other: Self) -> bool: ...


AnyImage = TypeVar("AnyImage", bound=Image)

MODES = ("trim", "strict", "partial")

TIE = 6
"""Digits of a pixel to which the middle of a cutout counts: a middle between two pixels is not left to rounding."""


def cropped(geom: AnyImage, y: slice, x: slice) -> AnyImage:
    """The image of the pixels ``y`` and ``x``, slices with start and stop that may go beyond the image."""
    if min(y.start, x.start) >= 0:
        # astropy moves the reference points of distortions too
        wcs = geom.wcs.slice((slice(y.start, None), slice(x.start, None)))
    else:
        wcs = geom.wcs.deepcopy()
        _refuse_distortion(wcs)
        wcs.wcs.crpix = wcs.wcs.crpix - [x.start, y.start]
    return geom.from_wcs(wcs, (y.stop - y.start, x.stop - x.start), "SkyGeom")


def padded(geom: AnyImage, width: PadWidth) -> AnyImage:
    """The image with ``width`` more pixels on each side, one number or (x, y)."""
    return cropped(geom, *pad_slices(geom, width))


def downsampled(geom: AnyImage, factor: int) -> AnyImage:
    """The image in which ``factor`` by ``factor`` pixels are one; their numbers must be multiples of it."""
    _check_factor(factor)
    ny, nx = geom.shape
    if ny % factor or nx % factor:
        raise InputError(f"SkyGeom: the factor {factor} does not divide the {ny} x {nx} pixels (y, x).")
    return rebinned(geom, float(factor), (ny // factor, nx // factor))


def upsampled(geom: AnyImage, factor: int) -> AnyImage:
    """The image in which each pixel is ``factor`` by ``factor``."""
    _check_factor(factor)
    ny, nx = geom.shape
    return rebinned(geom, 1.0 / factor, (ny * factor, nx * factor))


def rebinned(geom: AnyImage, factor: float, shape: tuple[int, int]) -> AnyImage:
    """An image of ``shape`` from the same corner, with pixels ``factor`` times as wide."""
    wcs = geom.wcs.deepcopy()
    _refuse_distortion(wcs)
    wcs.wcs.crpix = (wcs.wcs.crpix - 0.5) / factor + 0.5
    if wcs.wcs.has_cd():
        wcs.wcs.cd = wcs.wcs.cd * factor
    else:
        wcs.wcs.cdelt = wcs.wcs.cdelt * factor
    wcs.wcs.set()
    return geom.from_wcs(wcs, shape, "SkyGeom")


def _check_factor(factor: int) -> None:
    if isinstance(factor, bool) or not isinstance(factor, int | np.integer) or factor < 1:
        raise InputError(f"SkyGeom: factor must be a positive integer, found {factor!r}.")


def _refuse_distortion(wcs: "WCS") -> None:
    if wcs.has_distortion:
        raise InputError(
            "SkyGeom: the projection has distortions, so its pixels can be cut out, but not re-binned or continued. "
            "Reproject the image."
        )


def pad_slices(geom: Image, width: PadWidth) -> tuple[slice, slice]:
    """Slices (y, x) of an image with ``width`` more pixels on each side, one number or (x, y)."""
    pair = whole_numbers(width, "pad: width")
    if pair.shape not in ((), (2,)) or np.any(pair < 0):
        raise InputError(f"pad: the width must be one or two (x, y) whole numbers of pixels, found {width!r}.")
    px, py = (int(n) for n in np.broadcast_to(pair, 2))
    ny, nx = geom.shape
    return slice(-py, ny + py), slice(-px, nx + px)


def cutout_slices(geom: Image, position: "SkyCoord", width: Given, mode: str = "trim") -> tuple[slice, slice]:
    """Slices (y, x) of the pixels around a ``position`` (SkyCoord), ``width`` wide (deg or Quantity, one or (x, y)).

    The width is rounded to whole pixels, at least one. Where the cutout goes beyond the image, "trim" takes what is
    inside, "strict" refuses, and "partial" gives slices beyond the image. InputError if nothing is inside.
    """
    if mode not in MODES:
        raise InputError(f"cutout: mode is {mode!r}, expected one of {', '.join(MODES)}.")
    size = np.maximum(np.rint(_width(width) / _scales(geom)), 1).astype(int)
    x, y = _pixel(geom, position)
    spans = []
    for center, n, npix in ((y, int(size[1]), geom.shape[0]), (x, int(size[0]), geom.shape[1])):
        start = int(np.ceil(round(center - n / 2, TIE)))
        spans.append((start, start + n, npix))
    if any(start >= npix or stop <= 0 for start, stop, npix in spans):
        raise InputError(
            f"cutout: nothing of it is inside the image of {geom.shape[1]} x {geom.shape[0]} pixels of "
            f"{geom.pixel_size:.4g} deg around RA {geom.center.ra.deg:.4f}, Dec {geom.center.dec.deg:.4f} deg."
        )
    if mode == "strict" and any(start < 0 or stop > npix for start, stop, npix in spans):
        raise InputError("cutout: it goes beyond the image. Use mode='trim' for the part inside, or 'partial'.")
    if mode == "trim":
        spans = [(max(start, 0), min(stop, npix), npix) for start, stop, npix in spans]
    (y0, y1, _), (x0, x1, _) = spans
    return slice(y0, y1), slice(x0, x1)


def window(values: Array, y: slice, x: slice) -> np.ndarray:
    """Pixels of images (..., ny, nx), zero (False) where the slices go beyond."""
    values = np.asarray(values)
    ny, nx = values.shape[-2:]
    result = np.zeros((*values.shape[:-2], y.stop - y.start, x.stop - x.start), values.dtype)
    (y0, y1), (x0, x1) = ((max(s.start, 0), min(s.stop, n)) for s, n in ((y, ny), (x, nx)))
    result[..., y0 - y.start : y1 - y.start, x0 - x.start : x1 - x.start] = values[..., y0:y1, x0:x1]
    return result


def covering_slices(grid: Image, geom: Image) -> tuple[slice, slice]:
    """Slices (y, x) of the pixels of a coarse ``grid`` between whose centres ``geom`` lies."""
    ny, nx = geom.shape
    corners = np.meshgrid(np.arange(nx + 1) - 0.5, np.arange(ny + 1) - 0.5)
    x, y = (np.asarray(c) for c in grid.vector_to_pixel(np.asarray(geom.pixel_to_vector(*corners))))
    shown = np.isfinite(x) & np.isfinite(y)
    if not shown.any():
        return slice(0, grid.shape[0]), slice(0, grid.shape[1])
    spans = []
    for c, n in ((y[shown], grid.shape[0]), (x[shown], grid.shape[1])):
        low = int(np.clip(np.floor(c.min()), 0, n - 1))
        spans.append(slice(low, int(np.clip(np.ceil(c.max()) + 1, low + 1, n))))
    return spans[0], spans[1]


def _scales(geom: Image) -> np.ndarray:
    from astropy.wcs.utils import proj_plane_pixel_scales

    return np.asarray(proj_plane_pixel_scales(geom.wcs))


def _width(width: Given) -> np.ndarray:
    numbers = np.asarray(to_unit(width, "deg", "cutout: width"))
    if numbers.dtype == object or numbers.shape not in ((), (1,), (2,)):
        raise InputError(f"cutout: width must be one or two (x, y) angles (deg), found {width!r}.")
    pair = np.broadcast_to(numbers, 2)
    if not (np.all(np.isfinite(pair)) and np.all(pair > 0)):
        raise InputError(f"cutout: width must be positive and finite, found {width!r}.")
    return pair


def _pixel(geom: Image, position: "SkyCoord") -> tuple[float, float]:
    from astropy.coordinates import SkyCoord

    if not isinstance(position, SkyCoord) or not position.isscalar:
        raise InputError(f"cutout: position must be one SkyCoord, found {position!r}.")
    sky = position.icrs
    x, y = (float(c) for c in geom.vector_to_pixel(lonlat_to_vector(sky.ra.deg, sky.dec.deg)))
    if not (np.isfinite(x) and np.isfinite(y)):
        raise InputError("cutout: the projection of the image does not show the position.")
    return x, y


ALIGNED = 1e-4
"""How well pixels have to fall on pixels, in pixels."""


def pixel_offset(inner: Image, outer: Image) -> tuple[int, int] | None:
    """Rows and columns (y, x) from the first pixel of ``outer`` to that of ``inner``, where pixels fall on pixels.

    None where they do not: another projection, other pixels, or a shift by a part of a pixel. ``inner`` may stick out.
    """
    if inner is outer or inner.is_same(outer):
        return 0, 0
    ny, nx = inner.shape
    x, y = np.meshgrid(np.linspace(-0.5, nx - 0.5, 9), np.linspace(-0.5, ny - 0.5, 9))
    vectors = np.asarray(inner.pixel_to_vector(x, y))
    shown = np.isfinite(vectors[..., 0])
    if not shown.any():
        return None
    ox, oy = (np.asarray(c) for c in outer.vector_to_pixel(vectors[shown]))
    shift = np.stack([oy - y[shown], ox - x[shown]])
    if not np.all(np.isfinite(shift)):
        return None
    whole = np.rint(shift[:, 0])
    return (int(whole[0]), int(whole[1])) if np.abs(shift - whole[:, None]).max() < ALIGNED else None


def is_inside(offset: tuple[int, int], inner: Image, outer: Image) -> bool:
    """Whether an image at this offset lies wholly inside another."""
    return all(o >= 0 and o + n <= m for o, n, m in zip(offset, inner.shape, outer.shape, strict=True))


def image_around(geoms: Sequence[AnyImage]) -> tuple[AnyImage, list[tuple[int, int]]] | None:
    """The smallest image that holds all of these, and where each begins in it; None if their pixels do not agree."""
    found = [pixel_offset(geom, geoms[0]) for geom in geoms]
    offsets = [o for o in found if o is not None]
    if len(offsets) < len(geoms):
        return None
    low = tuple(min(o[i] for o in offsets) for i in (0, 1))
    high = tuple(max(o[i] + g.shape[i] for o, g in zip(offsets, geoms, strict=True)) for i in (0, 1))
    shape = (high[0] - low[0], high[1] - low[1])
    moved = [(o[0] - low[0], o[1] - low[1]) for o in offsets]
    for geom, offset in zip(geoms, moved, strict=True):
        if offset == (0, 0) and geom.shape == shape:
            return geom, moved
    return cropped(geoms[0], slice(low[0], high[0]), slice(low[1], high[1])), moved
