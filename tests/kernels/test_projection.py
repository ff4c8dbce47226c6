"""Projections against wcslib, at their rims and beyond, and their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.wcs import WCS

from gammajax.kernels import projection as k

inverse = jax.jit(k.plane_to_native, static_argnums=0)
forward = jax.jit(k.native_to_plane, static_argnums=0)
derivatives = jax.jit(jax.jacfwd(k.plane_to_native, argnums=(1, 2)), static_argnums=0)


def wcslib(code):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{code}", f"DEC--{code}"]
    wcs.wcs.set()
    return wcs.wcs.cel.prj


def unit_vectors(phi, theta):
    phi, theta = np.radians(phi), np.radians(theta)
    return np.stack([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), np.sin(theta)], axis=-1)


def plane(code):
    """Positions from the middle of the projection to far out, within the sky."""
    if code in k.ZENITHAL:
        radius = {"TAN": 200.0, "SIN": 57.0, "STG": 300.0, "ZEA": 114.0, "ARC": 179.0}[code]
        r, angle = np.meshgrid(radius * np.array([0.0, 1e-9, 1e-4, 0.01, 0.3, 1.0]), np.arange(0.3, 6.2, 0.7))
        return (r * np.cos(angle)).ravel(), (r * np.sin(angle)).ravel()
    x, y = np.meshgrid([-179.0, -60.0, -1e-4, 0.0, 3.0, 120.0], [-80.0, -30.0, 0.0, 1e-7, 5.0, 56.0])
    if code == "AIT":
        x, y = 0.9 * x * np.sqrt(1 - (y / 81) ** 2), y
    if code == "SFL":
        x = x * np.cos(np.radians(y))
    if code == "CEA":
        y = y * 0.7
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("code", k.ANALYTIC)
def test_agrees_with_wcslib(code):
    x, y = plane(code)
    prj = wcslib(code)
    wanted = unit_vectors(*prj.prjx2s(x, y))
    found = np.asarray(inverse(code, x, y))
    np.testing.assert_allclose(found, wanted, atol=3e-14)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, rtol=2e-14)
    back = np.asarray(forward(code, wanted))
    # arc sines and cosines of wcslib lose digits at the poles, and all lose them at the rim of SIN and ZEA
    np.testing.assert_allclose(back, [x, y], rtol=1e-11, atol=5e-10 if code in ("SIN", "ZEA") else 2e-12)
    # numpy: the same, on the host
    on_host = k.plane_to_native(code, x, y)
    assert isinstance(on_host, np.ndarray)
    np.testing.assert_allclose(on_host, found, atol=1e-14)
    np.testing.assert_allclose(k.native_to_plane(code, wanted), back, rtol=1e-12, atol=1e-12)


OFF_SKY = {
    "SIN": [(58.0, 0.0), (-50.0, 50.0), (1e3, 0.0)],
    "ZEA": [(115.0, 0.0), (-90.0, 90.0)],
    "ARC": [(0.0, 180.5), (140.0, -140.0)],
    "CAR": [(0.0, 90.01), (30.0, -100.0)],
    "CEA": [(0.0, 57.4), (30.0, -80.0)],
    "SFL": [(100.0, 60.0), (0.0, 90.5), (180.01, 0.0), (-91.0, -60.0)],
    "AIT": [(150.0, 50.0), (0.0, 82.0), (-162.2, 0.0)],
}
RIM = {
    "SIN": [(180 / np.pi, 0.0)],
    "ZEA": [(0.0, 360 / np.pi)],
    "ARC": [(-180.0, 0.0)],
    "CAR": [(0.0, 90.0), (170.0, -90.0)],
    "CEA": [(20.0, 180 / np.pi)],
    "SFL": [(0.0, 90.0), (180.0, 0.0), (90.0, 60.0)],
    "AIT": [(0.0, np.sqrt(2) * 180 / np.pi), (np.sqrt(8) * 180 / np.pi, 0.0)],
}


@pytest.mark.parametrize("code", OFF_SKY)
def test_there_is_no_sky_beyond_the_rim(code):
    """NaN there, with derivatives of 0, and sky on the rim itself."""
    x, y = np.array(OFF_SKY[code]).T
    assert np.all(np.isnan(inverse(code, x, y)))
    slope = np.asarray(jax.grad(lambda x: jnp.nansum(k.plane_to_native(code, x, y)))(x))
    np.testing.assert_array_equal(slope, 0)
    x, y = np.array(RIM[code]).T
    np.testing.assert_allclose(np.linalg.norm(inverse(code, x, y), axis=-1), 1, rtol=2e-12)


def test_cylinders_go_on_across_the_seam():
    for code in ("CAR", "CEA", "MER"):
        np.testing.assert_allclose(inverse(code, 190.0, 20.0), inverse(code, -170.0, 20.0), atol=1e-15)


@pytest.mark.parametrize(("code", "least"), [(c, z) for c, (z, _) in k.VISIBLE.items()])
def test_hidden_directions_have_no_place_and_no_slope(code, least):
    """Half of the sky or the opposite point; NaN directions too."""
    hidden = np.array([[0.0, 0.0, -1.0], [0.6, 0.0, -0.8], [0.0, 1.0, 0.0], [np.nan, np.nan, np.nan]])
    if least < 0:
        hidden = hidden[[0, 3]]
    assert np.all(np.isnan(forward(code, hidden)))
    slope = jax.grad(lambda v: sum(jnp.nansum(c) for c in k.native_to_plane(code, v)))(jnp.asarray(hidden[:-1]))
    np.testing.assert_array_equal(slope, 0)
    shown = unit_vectors(40.0, np.degrees(np.arcsin(least + 0.02)))
    assert np.all(np.isfinite(forward(code, shown)))


@pytest.mark.parametrize("code", k.ANALYTIC)
def test_derivatives(code):
    """Central differences; also at the reference point, where zenithal formulas are 0 / 0."""
    x, y = plane(code)
    near = np.hypot(x, y) < 130 if code not in ("SIN", "ZEA") else np.hypot(x, y) < 50
    if code == "AIT":
        near = np.hypot(x, y) < 70
    x, y, h = x[near], y[near], 1e-4
    slopes = [np.asarray(jnp.einsum("iji->ij", s)) for s in derivatives(code, x, y)]
    for slope, (dx, dy) in zip(slopes, ((h, 0), (0, h)), strict=True):
        wanted = (k.plane_to_native(code, x + dx, y + dy) - k.plane_to_native(code, x - dx, y - dy)) / (2 * h)
        np.testing.assert_allclose(slope, wanted, atol=3e-11, rtol=1e-6)
    native = unit_vectors(25.0, 50.0)
    ours = np.array(jax.jacfwd(lambda v: jnp.stack(k.native_to_plane(code, v)))(jnp.asarray(native)))
    for axis in range(3):
        step = 1e-6 * np.eye(3)[axis]
        up, down = (np.array(k.native_to_plane(code, native + sign * step)) for sign in (1, -1))
        np.testing.assert_allclose(ours[:, axis], (up - down) / 2e-6, atol=1e-6)


def test_vmap_is_a_loop():
    x, y = plane("AIT")
    np.testing.assert_allclose(
        jax.jit(jax.vmap(lambda x, y: k.plane_to_native("AIT", x, y)))(x, y), inverse("AIT", x, y), atol=1e-15
    )
    native = inverse("TAN", *plane("TAN"))
    np.testing.assert_allclose(
        jax.jit(jax.vmap(lambda v: jnp.stack(k.native_to_plane("TAN", v))))(native).T,
        forward("TAN", native),
        rtol=1e-14,
    )


def test_single_precision_knows_the_rim():
    """Rounding takes no pixel at a pole off the sky; values are good to 1e-6 rad."""
    with jax.enable_x64(False):
        for code in ("CAR", "ARC", "AIT"):
            x, y = (np.float32(c) for c in plane(code))
            found = k.plane_to_native(code, jnp.asarray(x), jnp.asarray(y))
            assert found.dtype == jnp.float32
            np.testing.assert_allclose(found, k.plane_to_native(code, *plane(code)), atol=1e-6)
            x, y = (jnp.asarray(np.float32(c)) for c in np.array(RIM[code]).T)
            assert np.all(np.isfinite(k.plane_to_native(code, x, y)))


def test_polynomial_terms_are_those_of_chebyshev():
    rng = np.random.default_rng(4)
    x, y = rng.uniform(-1.2, 1.2, (2, 7))
    for degree in (1, 2, 9):
        pairs = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
        full = np.polynomial.chebyshev.chebvander2d(x, y, [degree, degree]).reshape(7, degree + 1, degree + 1)
        wanted = np.stack([full[:, i, j] for i, j in pairs], axis=-1)
        np.testing.assert_allclose(k.polynomial_terms(x, y, degree), wanted, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(jax.jit(k.polynomial_terms, static_argnums=2)(x, y, 9), wanted, rtol=1e-12, atol=1e-13)
