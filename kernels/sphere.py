"""Directions on the sky as ICRS unit vectors, and offsets around a position."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .arrays import AnyArray, Real

# Columns: ICRS directions of the galactic axes, as astropy has them (by way of FK5; 0.03 arcsec from the rotation in
# the Hipparcos catalogue), so that positions mean the same in both packages.
_GALACTIC = np.array(
    [
        [-0.05487565771259218, 0.49410943719272665, -0.8676661375596585],
        [-0.8734370519556162, -0.4448297212232957, -0.19807633727300056],
        [-0.4838350736167156, 0.7469821839866677, 0.45598381368730206],
    ]
)

TO_ICRS: dict[str, np.ndarray] = {"icrs": np.eye(3), "galactic": _GALACTIC}
"""Matrices that turn unit vectors of a frame into ICRS ones."""


def namespace(*values: object) -> Any:
    """jax.numpy if any of the values is a JAX array, else numpy: host code does not compile."""
    return jnp if any(isinstance(v, jax.Array) for v in values) else np


def hypotenuse(a: Real, b: Real) -> AnyArray:
    """sqrt(a^2 + b^2) with slope 0 at 0. (Those of jnp.hypot at 0 are 1/2, which sums see.)"""
    xp = namespace(a, b)
    square = a * a + b * b
    return xp.where(square > 0, xp.sqrt(xp.where(square > 0, square, 1.0)), 0.0)


def lonlat_to_vector(lon: Real, lat: Real) -> AnyArray:
    """Unit vectors (..., 3) of longitude and latitude in deg."""
    xp = namespace(lon, lat)
    lon, lat = xp.deg2rad(xp.asarray(lon)), xp.deg2rad(xp.asarray(lat))
    cos = xp.cos(lat)
    return xp.stack([cos * xp.cos(lon), cos * xp.sin(lon), xp.sin(lat) + 0 * lon], axis=-1)


def vector_to_lonlat(vectors: Float[AnyArray, "*shape 3"]) -> tuple[AnyArray, AnyArray]:
    """Longitude in [0, 360] and latitude of vectors (..., 3), in deg."""
    xp = namespace(vectors)
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return xp.rad2deg(xp.arctan2(y, x)) % 360, xp.rad2deg(xp.arctan2(z, hypotenuse(x, y)))


def to_icrs(vectors: Float[AnyArray, "*shape 3"], frame: str) -> AnyArray:
    """ICRS vectors of vectors (..., 3) in ``frame``."""
    return vectors if frame == "icrs" else vectors @ TO_ICRS[frame].T


def from_icrs(vectors: Float[AnyArray, "*shape 3"], frame: str) -> AnyArray:
    """Vectors in ``frame`` of ICRS vectors (..., 3)."""
    return vectors if frame == "icrs" else vectors @ TO_ICRS[frame]


def tangent_basis(lon: Real, lat: Real, frame: str = "icrs") -> AnyArray:
    """Rows east, north and outward at a position (deg) of ``frame``, as ICRS vectors; shape (3, 3)."""
    xp = namespace(lon, lat)
    lon, lat = xp.deg2rad(xp.asarray(lon)), xp.deg2rad(xp.asarray(lat))
    cl, sl, cb, sb = xp.cos(lon), xp.sin(lon), xp.cos(lat), xp.sin(lat)
    rows = xp.stack(
        [
            xp.stack([-sl, cl, 0 * lon]),
            xp.stack([-sb * cl, -sb * sl, cb]),
            xp.stack([cb * cl, cb * sl, sb]),
        ]
    )
    return to_icrs(rows, frame)


def angle_over_sine(sine_squared: Real, cosine: Real) -> AnyArray:
    """theta / sin(theta) for theta in [0, pi), smooth (with finite derivatives of any order used here) at 0.

    Near zero, where arctan2 of a square root has no derivative, the series 1 + s^2 / 6 + 3 s^4 / 40 + 5 s^6 / 112
    in s = sin(theta) stands for it (its error is below 1e-24 at the switch, s = 1e-3). At pi, where it is infinite, 0.
    """
    xp = namespace(sine_squared, cosine)
    small = (sine_squared < 1e-6) & (cosine > 0)
    opposite = (sine_squared == 0) & (cosine <= 0)
    sine = xp.sqrt(xp.where(small | opposite, 0.25, sine_squared))
    series = 1 + sine_squared * (1 / 6 + sine_squared * (3 / 40 + sine_squared * (5 / 112)))
    return xp.where(small, series, xp.where(opposite, 0.0, xp.arctan2(sine, cosine) / sine))


def local_offsets(
    vectors: Float[AnyArray, "*shape 3"], lon_0: Real, lat_0: Real, frame: str = "icrs"
) -> tuple[AnyArray, AnyArray]:
    """Offsets (deg) to the east and to the north of (lon_0, lat_0), azimuthal equidistant.

    Their hypotenuse is the angular separation, arctan2(east, north) the position angle in ``frame``. Smooth in all
    arguments, also at the centre; the point opposite to it counts as 180 deg to the north.
    """
    basis = tangent_basis(lon_0, lat_0, frame)
    # the difference to the centre keeps small offsets exact in single precision
    xp = namespace(vectors, basis)
    difference = xp.asarray(vectors) - xp.broadcast_to(basis[2], np.shape(vectors))
    east, north = difference @ basis[0], difference @ basis[1]
    cosine = 1 - xp.sum(difference * difference, axis=-1) / 2
    square = east * east + north * north
    scale = 180 / np.pi * angle_over_sine(square, cosine)
    return east * scale, xp.where((square == 0) & (cosine < 0), 180.0, north * scale)


def offset_vectors(east: Real, north: Real, lon_0: Real, lat_0: Real, frame: str = "icrs") -> AnyArray:
    """Unit vectors (..., 3) at offsets (deg) from (lon_0, lat_0): the inverse of `local_offsets`."""
    basis = tangent_basis(lon_0, lat_0, frame)
    xp = namespace(east, north, basis)
    east, north = xp.deg2rad(xp.asarray(east)), xp.deg2rad(xp.asarray(north))
    square = east * east + north * north
    small = square < 1e-6
    radius = xp.sqrt(xp.where(small, 1.0, square))
    sinc = xp.where(small, 1 - square / 6 * (1 - square / 20 * (1 - square / 42)), xp.sin(radius) / radius)
    cosine = xp.where(small, 1 - square / 2 * (1 - square / 12 * (1 - square / 30)), xp.cos(radius))
    basis = xp.reshape(basis, (3, *(1,) * np.ndim(square), 3))
    return (east * sinc)[..., None] * basis[0] + (north * sinc)[..., None] * basis[1] + cosine[..., None] * basis[2]
