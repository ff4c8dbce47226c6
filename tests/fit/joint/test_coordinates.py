"""Coordinates of steps: derivatives, small steps, bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gammajax as gj
from gammajax.fit.joint import coordinates as c
from gammajax.fit.joint import make_problem

BACK = {c.STRAIGHT: lambda z: z, c.LOG: jnp.exp, c.INVERSE: lambda z: -1 / z}
FORTH = {c.STRAIGHT: lambda x: x, c.LOG: np.log, c.INVERSE: lambda x: -1 / x}
INFINITE = (-np.inf, np.inf)


@pytest.mark.parametrize("kind", BACK)
@pytest.mark.parametrize("x", [0.3, 1.0, 7.0])
def test_derivatives_are_those_of_the_coordinate(kind, x):
    z = FORTH[kind](x)
    np.testing.assert_allclose(BACK[kind](z), x, rtol=1e-12)
    np.testing.assert_allclose(c.slope(kind, x), jax.grad(BACK[kind])(z), rtol=1e-12)
    np.testing.assert_allclose(c.bend(kind, x), jax.grad(jax.grad(BACK[kind]))(z), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", BACK)
@pytest.mark.parametrize("x", [0.3, 7.0])
def test_a_step_is_taken_in_the_coordinate(kind, x):
    dz = 0.02
    dx = dz * np.asarray(c.slope(kind, x))
    wanted = BACK[kind](FORTH[kind](x) + dz)
    found = c.moved(jnp.asarray(kind), jnp.asarray(x), dx, *INFINITE)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert c.moved(jnp.asarray(kind), jnp.asarray(x), 0.0, *INFINITE) == pytest.approx(x, rel=1e-14)
    both = jax.jit(jax.vmap(lambda x, dx: c.moved(jnp.asarray(kind), x, dx, *INFINITE)))(
        jnp.array([x, 2 * x]), jnp.array([dx, dx])
    )
    np.testing.assert_allclose(both[0], wanted, rtol=1e-12)


def test_numbers_out_of_the_range_of_a_coordinate_step_straight():
    for kind, x in ((c.LOG, -2.0), (c.LOG, 0.0), (c.INVERSE, 0.0)):
        assert c.moved(jnp.asarray(kind), jnp.asarray(x), 0.5, *INFINITE) == x + 0.5
        assert c.slope(kind, jnp.asarray(x)) == 1 and c.bend(kind, jnp.asarray(x)) == 0


def test_a_cutoff_passes_infinity_unless_a_bound_forbids_it():
    x = jnp.asarray(10.0)
    # from 1 / x = 0.1 by -0.3
    assert c.moved(jnp.asarray(c.INVERSE), x, 0.3 * x**2, *INFINITE) == pytest.approx(-5.0)
    held = c.moved(jnp.asarray(c.INVERSE), x, 0.3 * x**2, 0.0, np.inf)
    assert held == pytest.approx(c.OUTWARDS * x)
    assert c.moved(jnp.asarray(c.INVERSE), x, 0.3 * x**2, 0.0, 40.0) == 40.0
    assert c.moved(jnp.asarray(c.INVERSE), x, -0.3 * x**2, 5.0, np.inf) == 5.0
    # and comes back
    assert c.moved(jnp.asarray(c.INVERSE), jnp.asarray(-5.0), -0.3 * 25.0, *INFINITE) == pytest.approx(10.0)


def test_positive_numbers_stay_so_and_move_by_a_factor_at_most():
    x = jnp.asarray(3.0)
    assert 0.29 < c.moved(jnp.asarray(c.LOG), x, -1e6, *INFINITE) < 0.31
    assert 29 < c.moved(jnp.asarray(c.LOG), x, 1e6, *INFINITE) < 31


def coordinates(spectrum):
    data = gj.SpectrumDataset(energy_edges=[1.0, 2.0, 4.0], counts=[5, 3], exposure=[1e12, 1e12], background=[1, 1])
    space = make_problem(data, gj.SkyModel(spectrum, name="s")).space
    kinds = c.coordinates_of(space)
    return {n.removeprefix("s.spectral."): int(k) for n, k in zip(space.names, kinds, strict=True)}


def test_roles():
    spectrum = gj.ExpCutoffPowerLaw3FGLSpectralModel(ecut=3.0)
    assert coordinates(spectrum) == {
        "index": c.STRAIGHT,
        "amplitude": c.STRAIGHT,
        "reference": c.LOG,
        "ecut": c.INVERSE,
    }
    free = {"alpha": gj.Parameter(1.0, frozen=False)}
    assert coordinates(gj.ExpCutoffPowerLawSpectralModel())["lambda_"] == c.STRAIGHT
    assert coordinates(gj.ExpCutoffPowerLawSpectralModel(**free))["lambda_"] == c.LOG
