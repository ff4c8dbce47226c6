import itertools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from gammajax.kernels import tables

NODES = np.array([0.1, 0.35, 1.0, 4.0, 50.0])
VALUES = np.array([3e-11, 8e-12, 1e-12, 5e-13, 2e-16])
EDGES = np.geomspace(0.01, 300, 46)


def _exact(low, high, outside):
    """Piecewise power law, integrated piece by piece."""
    mp.mp.dps = 30
    e, v = [mp.mpf(x) for x in NODES], [mp.mpf(x) for x in VALUES]
    slopes = [mp.log(v[i + 1] / v[i]) / mp.log(e[i + 1] / e[i]) for i in range(4)]
    pieces = [(0, e[0], v[0], e[0], slopes[0] if outside == "linear" else 0)]
    pieces += [(e[i], e[i + 1], v[i], e[i], slopes[i]) for i in range(4)]
    pieces += [(e[4], mp.inf, v[4], e[4], slopes[3] if outside == "linear" else 0)]
    total = mp.mpf(0)
    for a, b, value, at, s in pieces:
        a, b = max(a, mp.mpf(float(low))), min(b, mp.mpf(float(high)))
        if a < b:
            total += value * at**-s * (b ** (s + 1) - a ** (s + 1)) / (s + 1)
    return float(total)


@pytest.mark.parametrize("outside", ["linear", "constant", "floored"])
@pytest.mark.parametrize("edges", [EDGES, NODES, np.array([1e-3, 1e3]), np.array([0.2, 0.3, 0.31])])
def test_integrals_of_log_log_tables_are_exact(outside, edges):
    found = jax.jit(tables.integrate_log_log, static_argnums=3)(edges, np.log(NODES), np.log(VALUES), outside)
    kind = "linear" if outside == "floored" else outside
    wanted = [_exact(a, b, kind) for a, b in itertools.pairwise(edges)]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_piece_of_slope_minus_one_has_right_second_derivatives():
    """int E^s dE from 1 to e has the moments of u e^((s+1)u) as derivatives: 1, 1/2, 1/3 at s = -1."""

    def area(s):
        return tables.integrate_log_log(jnp.array([1.0, np.e]), jnp.array([0.0, 1.0]), jnp.array([0.0, s]), "linear")[0]

    found = jax.jit(lambda s: (area(s), jax.grad(area)(s), jax.grad(jax.grad(area))(s)))(-1.0)
    np.testing.assert_allclose(found, [1.0, 1 / 2, 1 / 3], rtol=1e-14)


def test_floor_and_its_inverse():
    values = jnp.array([0.0, -1.0, 1e-310, 1e-300, 2.0])
    logs = tables.floor_log(values)
    np.testing.assert_allclose(tables.unfloor_exp(logs), [0, 0, 0, 1e-300, 2.0], rtol=1e-12)
    gradient = jax.jit(jax.vmap(jax.grad(lambda v: tables.unfloor_exp(tables.floor_log(v)))))(values)
    np.testing.assert_allclose(gradient, [0, 0, 0, 1, 1], rtol=1e-12)
    assert np.isfinite(tables.unfloor_exp(jnp.array(1e5)))


def test_zero_entries_leave_no_nan_and_are_not_extrapolated():
    values = jnp.array([0.0, 1e-12, 0.0, 1e-12, 0.0])

    def both(v):
        logs = tables.floor_log(v)
        at = tables.unfloor_exp(tables.interpolate(jnp.log(EDGES), jnp.log(NODES), logs, "floored"))
        return at, tables.integrate_log_log(EDGES, jnp.log(NODES), logs, "floored")

    at, sums = jax.jit(both)(values)
    assert np.all(np.isfinite(at)) and np.all(np.isfinite(sums)) and np.all(at <= 1e-12)
    assert at[0] == at[-1] == sums[0] == sums[-1] == 0
    derivatives = jax.jit(lambda v: (jax.jacfwd(both)(v), jax.jacfwd(jax.jacfwd(both))(v)))(values)
    for leaf in jax.tree_util.tree_leaves(derivatives):
        assert np.all(np.isfinite(leaf))


def test_tables_linear_in_energy():
    x, y = np.array([1.0, 2.0, 5.0]), np.array([1.0, 3.0, 0.0])
    np.testing.assert_allclose(tables.interpolate(np.array([0.5, 1.5, 2.0, 9.0]), x, y, "constant"), [1, 2, 3, 0])
    np.testing.assert_allclose(
        tables.integrate_lin_lin(np.array([0.5, 1.0, 3.0, 8.0]), x, y, "constant"), [0.5, 4.5, 2.0]
    )


def test_bins_are_split_at_nodes_and_summed_again():
    points, bins = tables.split_bins(jnp.array([1.0, 2.0, 4.0]), jnp.array([0.1, 1.5, 3.0, 9.0]))
    np.testing.assert_allclose(points, [1, 1, 1.5, 2, 3, 4, 4])
    np.testing.assert_allclose(tables.sum_per_bin(points[1:] - points[:-1], bins, 2), [1.0, 2.0])


def test_slices_are_multilinear_and_go_on_outside():
    a, b = np.array([1.0, 2.0, 4.0]), np.array([1.0, 10.0])
    grid = np.exp(
        np.arange(3)[None, :, None] * 2.0 + np.array([0.0, 5.0])[None, None, :] + np.array([0.0, 1.0])[:, None, None]
    )

    @jax.jit
    def at(x, y):
        return tables.slice_at(grid, (a, b), (x, y), ("lin", "log"))

    np.testing.assert_allclose(at(2.0, 1.0), [2.0, 3.0], atol=1e-13)
    np.testing.assert_allclose(at(3.0, np.sqrt(10)), [5.5, 6.5])
    np.testing.assert_allclose(at(5.0, 100.0), [15.0, 16.0])
    np.testing.assert_allclose(jax.jacfwd(at)(3.0, 2.0), [1.0, 1.0])
    np.testing.assert_allclose(tables.scaled(9.0, "sqrt"), 3.0)
