"""Formulas of surface brightness: normalisation, values, gradients where they are delicate."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from cases import spatial as cases
from scipy import special

from gammajax.datasets.models.spatial import SPATIAL_MODELS
from gammajax.kernels import spatial as k

RAD = np.pi / 180


def test_series_are_exact_over_the_sphere():
    mp.mp.dps = 50
    for r in (0.0, 1e-9, 1e-3, 0.5, 2.0, 3.0, np.pi):
        q = mp.mpf(r) ** 2
        sine = mp.sin(mp.mpf(r)) / mp.mpf(r) if r else mp.mpf(1)
        versine = 2 * (1 - mp.cos(mp.mpf(r))) / q if r else mp.mpf(1)
        assert abs(float(k.sine_ratio(np.float64(r) ** 2)) - float(sine)) < 2e-15
        assert abs(float(k.versine_ratio(np.float64(r) ** 2)) - float(versine)) < 2e-15
    assert abs(float(k.sine_ratio(np.float64(100.0)))) < 1e-15
    slope = jax.grad(k.sine_ratio)(0.0)
    assert abs(slope + 1 / 6) < 1e-15


@pytest.mark.parametrize(("tag", "parameters"), cases.SHAPES)
def test_profiles_integrate_to_one_on_the_sphere(tag, parameters):
    model = SPATIAL_MODELS[tag](**parameters)
    x, y, omega = cases.polar_rule(cases.breaks_of(tag, parameters), 80, 512 if parameters.get("e") else 4)
    total = np.sum(np.asarray(jax.jit(lambda m: m.profile(x, y))(model)) * omega)
    # the quadrature itself is only good to 1e-9 across the edges of elongated disks, and in rings of 1e-4 of the radius
    assert abs(total - 1) < (3e-9 if parameters.get("e") or parameters.get("width", 1) < 1e-3 else 1e-11)


def _mp_axes(r, angle, size, e, phi):
    """u and the half axes in rad."""
    major = mp.mpf(size) * mp.pi / 180
    minor = major * mp.sqrt(1 - mp.mpf(e) ** 2)
    t = (mp.mpf(angle) - mp.mpf(phi)) * mp.pi / 180
    r_eff = major * minor / mp.sqrt((major * mp.sin(t)) ** 2 + (minor * mp.cos(t)) ** 2)
    return mp.mpf(r) * mp.pi / 180, r_eff


def _ours(formula, r, angle, *args):
    return float(formula(r * np.sin(angle * RAD), r * np.cos(angle * RAD), *args))


def test_values_are_the_formulas():
    """mpmath, written with the radius in the direction of the point; angles count from north over east."""
    mp.mp.dps = 25
    r, angle = 0.7, 65.0
    for e in (0.0, 0.6):
        radius, width = _mp_axes(r, angle, 0.5, e, 20.0)

        def gauss(rho, s):
            return mp.exp(-(1 - mp.cos(rho)) / (2 * (1 - mp.cos(s))))

        def ring(t, e=e):
            scale = 2 * (1 - mp.cos(_mp_axes(0, t, 0.5, e, 20.0)[1]))
            return scale * (1 - mp.exp(-2 / scale))

        total = 4 * mp.quad(ring, [20, 110]) * mp.pi / 180
        assert abs(_ours(k.gaussian, r, angle, 0.5, e, 20.0) / (gauss(radius, width) / total) - 1) < 1e-12
        # what the plane has, to the square of the size
        planar = gauss(radius, width) / (2 * mp.pi * (0.5 * RAD) ** 2 * mp.sqrt(1 - e**2))
        assert abs(_ours(k.gaussian, r, angle, 0.5, e, 20.0) / planar - 1) < 5e-5

        ratio = radius / width
        eta, edge = mp.mpf("0.3"), mp.mpf("0.4")
        planar = mp.exp(-(ratio ** (1 / eta))) / (
            2 * mp.pi * (0.5 * RAD) ** 2 * mp.sqrt(1 - e**2) * eta * mp.gamma(2 * eta)
        )
        assert abs(_ours(k.generalized_gaussian, r, angle, 0.5, 0.3, e, 20.0) / planar - 1) < 5e-5
        shape = (1 - mp.erf(mp.mpf("2.326174307353347") * (ratio - 1) / edge)) / 2
        again = _ours(k.disk, r, angle, 0.5, e, 20.0, 0.4) / _ours(k.disk, 0.0, 0.0, 0.5, e, 20.0, 0.4)
        assert abs(again / shape - 1) < 1e-7  # the centre is not quite flat: erf(-5.8)
    for rho in (0.3, 0.55):
        inner, outer, at = (mp.mpf(v) * mp.pi / 180 for v in (0.5, 0.6, rho))
        value = mp.sqrt(outer**2 - at**2) - (mp.sqrt(inner**2 - at**2) if at < inner else 0)
        planar = 3 / (2 * mp.pi * (outer**3 - inner**3)) * value
        found = _ours(k.shell, rho, 30.0, 0.5, 0.1)
        assert abs(found / planar - 1) < 3e-5

        def brightness(d, inner=inner, outer=outer):
            return mp.sqrt(outer**2 - d**2) - (mp.sqrt(inner**2 - d**2) if d < inner else 0)

        total = 2 * mp.pi * mp.quad(lambda d: mp.sin(d) * brightness(d), [0, inner, outer])
        assert abs(found / (value / total) - 1) < 1e-12


def test_uniform_sharp_disk_and_thin_shell():
    np.testing.assert_allclose(
        k.disk(np.array([0.0, 0.3, 0.6]), np.zeros(3), 0.5, 0.0, 0.0, 0.0),
        np.array([1, 1, 0]) / (2 * np.pi * (1 - np.cos(0.5 * RAD))),
        rtol=1e-11,
    )
    # a thin shell: 1 / (2 pi R sqrt(R^2 - d^2)) in the plane
    d, radius = np.array([0.0, 0.3, 0.49]), 0.5
    planar = 1 / (2 * np.pi * radius * np.sqrt(radius**2 - d**2)) / RAD**2
    np.testing.assert_allclose(k.shell(d, np.zeros(3), radius, 0.0), planar, rtol=3e-5)


def test_blur_is_a_convolution():
    """With a Gaussian of its own, on a fine grid of the plane; also of a point."""
    step = 0.02
    grid = np.arange(-60, 61) * step
    gx, gy = np.meshgrid(grid, grid)
    at = [(0.0, 0.0), (0.14, 0.06), (-0.3, 0.3)]
    make = jax.jit(k.gaussian)
    for sigma, e, phi, blur in ((0.2, 0.0, 0.0, 0.1), (0.2, 0.7, 30.0, 0.12)):
        shape = np.asarray(make(gx, gy, sigma, e, phi, 0.0))
        for x, y in at:
            kernel = np.asarray(make(x - gx, y - gy, blur, 0.0, 0.0, 0.0))
            wanted = np.sum(shape * kernel) * (step * RAD) ** 2
            assert abs(float(make(x, y, sigma, e, phi, blur)) / wanted - 1) < 2e-5
    np.testing.assert_allclose(make(0.1, 0.2, 0.0, 0.0, 0.0, 0.3), make(0.1, 0.2, 0.3, 0.0, 0.0, 0.0), rtol=1e-13)


@pytest.mark.parametrize(("sigma", "blur"), [(1.0, 0.1), (5.0, 1.0)])
def test_blur_on_the_sphere(sigma, blur):
    """Against the convolution there, a product of Legendre coefficients: to a sixth of the smaller width squared."""
    order = np.arange(4000)

    def coefficients(width):
        kappa = 1 / (2 * (1 - np.cos(width * RAD)))
        return special.ive(order + 0.5, kappa) / special.ive(0.5, kappa)

    r = np.array([0.0, 0.5, 1.0, 2.0]) * np.hypot(sigma, blur)
    product = np.nan_to_num((2 * order + 1) / (4 * np.pi) * coefficients(sigma) * coefficients(blur))
    wanted = special.eval_legendre(order, np.cos(r * RAD)[:, None]) @ product
    found = k.gaussian(r, np.zeros(4), sigma, 0.0, 0.0, blur)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1.1 / 6 * (blur * RAD) ** 2 * wanted[0])


X = np.array([0.0, 0.0, 0.3, 0.5, 1.0, 1.2, 0.7, 0.1])
Y = np.array([0.0, 0.4, 0.4, 0.0, 0.0, 0.0, 0.7, -0.2])
DELICATE = {
    "gauss": [{}, {"e": 0.7}, {"e": 1.0}, {"sigma": 0.0}],
    "disk": [{}, {"e": 1.0}, {"edge_width": 0.0}, {"edge_width": 1.0}, {"r_0": 0.0}],
    "gauss-general": [{"eta": 0.01}, {"eta": 1.0}, {"e": 1.0}, {"r_0": 0.0}],
    "shell": [{}, {"width": 0.0}, {"radius": 0.0}, {"radius": 0.0, "width": 0.0}],
    "shell2": [{"eta": 1.0}, {"eta": 0.02}],
}


@pytest.mark.parametrize("tag", DELICATE)
def test_first_and_second_derivatives_are_finite(tag):
    """At the centre, at the rim (offsets of 1 and 1.2 deg), at e = 0 and 1, without size, width or edge."""
    models = [SPATIAL_MODELS[tag](**parameters) for parameters in DELICATE[tag]]
    stacked = jax.tree_util.tree_map(lambda *leaf: jnp.stack(leaf), *models)

    def values(model, x, y):
        return model.profile(x, y)

    @jax.jit
    @jax.vmap
    def derivatives(model):
        def first(model):
            return jax.jacfwd(values, argnums=(0, 1, 2))(model, X, Y)

        # second derivatives with one partner, the sum of all parameters
        return jax.jvp(first, (model,), (jax.tree_util.tree_map(jnp.ones_like, model),))

    for leaf in jax.tree_util.tree_leaves(derivatives(stacked)):
        for parameters, row in zip(DELICATE[tag], leaf, strict=True):
            assert np.all(np.isfinite(row)), parameters
