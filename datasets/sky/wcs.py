"""Projections of FITS headers, as astropy reads them: cards, frames, directions of pixels."""

import re
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike

from ...kernels.sphere import lonlat_to_vector
from ..errors import InputError
from ..units import Given, to_unit

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame
    from astropy.wcs import WCS


Cards = Mapping[str, str | float]
"""Cards of a FITS header: a value by keyword."""


SIZES, MOST_AXES = re.compile("WCSAXES[A-Z]?|[AB]P?_ORDER"), 32
"""The cards of the numbers of axes and of the orders of polynomials, whose squares libraries ask memory for, and the
most that wcslib takes."""


def check_cards(header: fits.Header | Cards, where: str) -> None:
    """wcslib skips cards of the wrong type, as if they were not there."""
    wrong: list[str] = []
    for name, kinds in {"CTYPE": str, "CUNIT": str, "CRVAL": Real, "CRPIX": Real, "CDELT": Real}.items():
        for axis in (1, 2) if isinstance(header, Mapping | fits.Header) else ():
            card = header.get(f"{name}{axis}", "" if kinds is str else 0.0)
            if not isinstance(card, kinds) or (kinds is Real and not np.isfinite(card)):
                wrong.append(f"{name}{axis} = {card!r}")
    for name, card in header.items() if isinstance(header, Mapping | fits.Header) else ():
        if SIZES.fullmatch(str(name)) and not (isinstance(card, int) and card <= MOST_AXES):
            raise InputError(
                f"{where}: found {name} = {card!r} in the header, expected a whole number up to {MOST_AXES}. Correct "
                "the header."
            )
    if wrong:
        raise InputError(
            f"{where}: found {', '.join(wrong)} in the header, expected texts in CTYPE and CUNIT, and "
            "finite numbers in CRVAL, CRPIX and CDELT. Correct the header."
        )


def angle_pair(value: Given, what: str) -> np.ndarray:
    """Two finite numbers in deg, from one or two, with or without units."""
    numbers = np.asarray(to_unit(value, "deg", f"SkyGeom: {what}"))
    if numbers.dtype == object or numbers.shape not in ((), (1,), (2,)):
        raise InputError(f"SkyGeom: {what} must be one or two angles (deg), found {value!r}.")
    pair = np.broadcast_to(numbers, 2)
    if not np.all(np.isfinite(pair)):
        raise InputError(f"SkyGeom: {what} must be finite, found {value!r}.")
    return pair


def frame_of(wcs: "WCS") -> "BaseCoordinateFrame":
    from astropy.coordinates import Galactic
    from astropy.wcs.utils import wcs_to_celestial_frame

    # a RADESYS card, which says nothing about galactic axes, must not make them equatorial
    return Galactic() if wcs.wcs.ctype[0].startswith("GLON") else wcs_to_celestial_frame(wcs)


def sampled_directions(wcs: "WCS", shape: tuple[int, int], where: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixel positions all over the image that the projection shows."""
    ny, nx = shape
    x: np.ndarray
    y: np.ndarray
    x, y = np.meshgrid(np.linspace(-0.4, nx - 0.6, 17), np.linspace(-0.4, ny - 0.6, 17))
    x, y = x.ravel(), y.ravel()
    # what lies off an all-sky projection comes back as NaN, or as another pixel
    back = np.array(wcs.wcs_world2pix(*wcs.wcs_pix2world(x, y, 0), 0))
    shown = np.all(np.isfinite(back), axis=0) & (np.abs(back - [x, y]).max(axis=0) < 1e-6)
    if shown.sum() < 3:
        raise InputError(
            f"{where}: the projection {tuple(wcs.wcs.ctype)} shows none of the image: check CRVAL, CRPIX and CDELT."
        )
    return x[shown], y[shown]


def directions(wcs: "WCS", x: ArrayLike, y: ArrayLike) -> np.ndarray:
    from astropy.coordinates import SkyCoord

    # with the distortions that a header may have; other functions of astropy leave them out
    lon, lat = wcs.all_pix2world(x, y, 0)
    sky = SkyCoord(lon, lat, unit="deg", frame=frame_of(wcs)).icrs
    return np.asarray(lonlat_to_vector(sky.ra.deg, sky.dec.deg))


def rotation_between(native: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The rotation R with vectors = R native (least squares)."""
    left, _, right = np.linalg.svd(vectors.T @ native)
    sign = np.sign(np.linalg.det(left @ right))
    return left @ np.diag([1.0, 1.0, sign]) @ right
