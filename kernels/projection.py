"""From pixels to directions and back: the projections of FITS WCS paper II (Calabretta & Greisen 2002, A&A 395, 1077).

Intermediate world coordinates are in deg; native unit vectors are (cos t cos p, cos t sin p, sin t) of native longitude
p and latitude t. All functions are smooth where the projection is, and take numpy or JAX arrays.
"""

from collections.abc import Callable

import numpy as np

from .arrays import AnyArray
from .sphere import angle_over_sine, hypotenuse, namespace

Plane = tuple[AnyArray, AnyArray]
"""Coordinates x and y."""

DEG = 180 / np.pi


def _sqrt(value: AnyArray) -> AnyArray:
    """Square root, 0 with slope 0 at and below 0."""
    xp = namespace(value)
    return xp.where(value > 0, xp.sqrt(xp.where(value > 0, value, 1.0)), 0.0)


def _inverse_root(value: AnyArray) -> AnyArray:
    return 1 / namespace(value).sqrt(value)


# Zenithal projections: x = f Y, y = -f X with f a function of Z = sin t; inverse: (X, Y) = (-y, x) / f.
ZENITHAL: dict[str, tuple[Callable[[AnyArray, AnyArray], AnyArray], Callable[[AnyArray], Plane]]] = {
    "TAN": (lambda z, s: 1 / z, lambda r: (_inverse_root(1 + r), _inverse_root(1 + r))),
    "SIN": (lambda z, s: 1 + 0 * z, lambda r: (_sqrt(1 - r), 1 + 0 * r)),
    "STG": (lambda z, s: 2 / (1 + z), lambda r: ((4 - r) / (4 + r), 4 / (4 + r))),
    "ZEA": (lambda z, s: _sqrt(2 / (1 + z)), lambda r: (1 - r / 2, _sqrt(1 - r / 4))),
    "ARC": (lambda z, s: angle_over_sine(s, z), lambda r: _cos_and_sinc(r)),
}

VISIBLE = {
    "TAN": (0.0, np.inf),
    "SIN": (0.0, 1.0),
    "STG": (-1.0, np.inf),
    "ZEA": (-1.0, 4.0),
    "ARC": (-1.0, np.pi**2),
}
"""Least Z that a zenithal projection shows (without it), and the largest x^2 + y^2 (rad^2) that shows any sky."""


def _cos_and_sinc(square: AnyArray) -> Plane:
    xp = namespace(square)
    small = square < 1e-6
    radius = xp.sqrt(xp.where(small, 1.0, square))
    return (
        xp.where(small, 1 - square / 2 * (1 - square / 12 * (1 - square / 30)), xp.cos(radius)),
        xp.where(small, 1 - square / 6 * (1 - square / 20 * (1 - square / 42)), xp.sin(radius) / radius),
    )


def _zenithal_to_native(name: str, x: AnyArray, y: AnyArray) -> AnyArray:
    z, inverse = ZENITHAL[name][1](x * x + y * y)
    return namespace(x, y).stack([-y * inverse, x * inverse, z], axis=-1)


def _native_to_zenithal(name: str, n: AnyArray) -> Plane:
    xp = namespace(n)
    z = n[..., 2]
    shown = z > VISIBLE[name][0]
    f = ZENITHAL[name][0](xp.where(shown, z, 1.0), n[..., 0] ** 2 + n[..., 1] ** 2)
    # NaN last: derivatives of what is hidden are 0
    return xp.where(shown, f * n[..., 1], np.nan), xp.where(shown, -f * n[..., 0], np.nan)


def _lonlat(n: AnyArray) -> Plane:
    xp = namespace(n)
    return xp.arctan2(n[..., 1], n[..., 0]), xp.arctan2(n[..., 2], hypotenuse(n[..., 0], n[..., 1]))


def _from_lonlat(lon: AnyArray, lat: AnyArray) -> AnyArray:
    xp = namespace(lon, lat)
    return xp.stack([xp.cos(lat) * xp.cos(lon), xp.cos(lat) * xp.sin(lon), xp.sin(lat)], axis=-1)


def _car(n: AnyArray) -> Plane:
    lon, lat = _lonlat(n)
    return lon, lat


def _cea(n: AnyArray) -> Plane:
    return _lonlat(n)[0], n[..., 2]


def _mer(n: AnyArray) -> Plane:
    lon, lat = _lonlat(n)
    xp = namespace(n)
    return lon, xp.arcsinh(xp.tan(lat))


def _sfl(n: AnyArray) -> Plane:
    lon, lat = _lonlat(n)
    return lon * namespace(n).cos(lat), lat


def _ait(n: AnyArray) -> Plane:
    xp = namespace(n)
    lon, lat = _lonlat(n)
    gamma = xp.sqrt(2 / (1 + xp.cos(lat) * xp.cos(lon / 2)))
    return 2 * gamma * xp.cos(lat) * xp.sin(lon / 2), gamma * xp.sin(lat)


def _car_inverse(x: AnyArray, y: AnyArray) -> AnyArray:
    return _from_lonlat(x, y)


def _cea_inverse(x: AnyArray, y: AnyArray) -> AnyArray:
    xp = namespace(x, y)
    cos = _sqrt(1 - y * y)
    return xp.stack([cos * xp.cos(x), cos * xp.sin(x), y], axis=-1)


def _mer_inverse(x: AnyArray, y: AnyArray) -> AnyArray:
    return _from_lonlat(x, namespace(y).arctan(namespace(y).sinh(y)))


def _sfl_inverse(x: AnyArray, y: AnyArray) -> AnyArray:
    return _from_lonlat(x / namespace(y).cos(y), y)


def _ait_inverse(x: AnyArray, y: AnyArray) -> AnyArray:
    xp = namespace(x, y)
    z = _sqrt(1 - (x / 4) ** 2 - (y / 2) ** 2)
    lon = 2 * xp.arctan2(z * x / 2, 2 * z * z - 1)
    sin = y * z
    cos = _sqrt(1 - sin * sin)
    return xp.stack([cos * xp.cos(lon), cos * xp.sin(lon), sin], axis=-1)


# native vectors to (x, y), and back, all in radians
CYLINDRICAL: dict[str, tuple[Callable[[AnyArray], Plane], Callable[[AnyArray, AnyArray], AnyArray]]] = {
    "CAR": (_car, _car_inverse),
    "CEA": (_cea, _cea_inverse),
    "MER": (_mer, _mer_inverse),
    "SFL": (_sfl, _sfl_inverse),
    "AIT": (_ait, _ait_inverse),
}

ANALYTIC = (*ZENITHAL, *CYLINDRICAL)
"""Projections with formulas here; others are fitted by polynomials over the map."""


def _on_sky(name: str, x: AnyArray, y: AnyArray) -> AnyArray:
    """Whether the projection shows sky at (x, y) in rad; at its rim up to rounding."""
    xp = namespace(x, y)
    room = 1e3 * xp.finfo(xp.result_type(x, y, xp.float32)).eps
    if name in VISIBLE:
        return x * x + y * y <= VISIBLE[name][1] * (1 + room)
    if name == "CEA":
        return abs(y) <= 1 + room
    if name == "AIT":
        return (x / 4) ** 2 + (y / 2) ** 2 <= 0.5 + room
    low = abs(y) <= np.pi / 2 + room
    return low & (abs(x) <= np.pi * xp.cos(y) + room) if name == "SFL" else low


def plane_to_native(name: str, x: AnyArray, y: AnyArray) -> AnyArray:
    """Native unit vectors (..., 3) at intermediate world coordinates (deg); NaN where the projection shows no sky.

    CAR, CEA and MER repeat the sky beyond 180 deg of native longitude, so that windows across that seam are whole.
    """
    xp = namespace(x, y)
    x, y = xp.asarray(x) / DEG, xp.asarray(y) / DEG
    inverse = CYLINDRICAL[name][1] if name in CYLINDRICAL else lambda x, y: _zenithal_to_native(name, x, y)
    if name in ("TAN", "STG", "MER"):
        return inverse(x, y)
    shown = _on_sky(name, x, y)
    native = inverse(xp.where(shown, x, 0.0), xp.where(shown, y, 0.0))
    return xp.where(shown[..., None], native, np.nan)


def native_to_plane(name: str, native: AnyArray) -> Plane:
    """Intermediate world coordinates (deg) of native unit vectors; NaN where the projection does not show them."""
    x, y = CYLINDRICAL[name][0](native) if name in CYLINDRICAL else _native_to_zenithal(name, native)
    return x * DEG, y * DEG


def polynomial_terms(x: AnyArray, y: AnyArray, degree: int) -> AnyArray:
    """Products T_i(x) T_j(y) of Chebyshev polynomials with i + j <= degree, last axis."""
    xp = namespace(x, y)
    columns = []
    powers = []
    for value in (x, y):
        terms = [xp.ones_like(value), value]
        for _ in range(degree - 1):
            terms.append(2 * value * terms[-1] - terms[-2])
        powers.append(terms)
    for i in range(degree + 1):
        for j in range(degree + 1 - i):
            columns.append(powers[0][i] * powers[1][j])
    return xp.stack(columns, axis=-1)
