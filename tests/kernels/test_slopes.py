"""Slopes of many numbers in few: those of the function itself, of any order, however they are taken."""

import jax
import jax.numpy as jnp
import numpy as np

from gammajax.kernels.slopes import with_forward_slopes

NODES = np.linspace(-1.0, 1.0, 7)
AT = np.array([0.3, -0.2])


def many(few, others):
    """Seven numbers; an integer among what else they depend on is not differentiated."""
    table, power = others
    return table * jnp.exp(few[0] * NODES) * (1 + few[1] * NODES) ** power


def total(function, few, table):
    return jnp.sum(function(few, (table, np.array(3))) ** 2)


known = with_forward_slopes(many)
TABLE = np.cos(NODES) + 2


def test_value_and_derivatives_are_those_of_the_function():
    np.testing.assert_allclose(known(AT, (TABLE, np.array(3))), many(AT, (TABLE, np.array(3))), rtol=1e-14)
    for derivative in (jax.jacrev, jax.jacfwd):
        for of in (0, 1):
            found, wanted = (derivative(lambda f, t, k=k: k(f, (t, np.array(3))), of)(AT, TABLE) for k in (known, many))
            np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_slopes_are_finite_differences():
    h = 1e-5
    gradient = jax.grad(lambda few: total(known, few, TABLE))(AT)
    for i, unit in enumerate(np.eye(2)):
        up, down = (float(total(known, AT + s * h * unit, TABLE)) for s in (1, -1))
        np.testing.assert_allclose(gradient[i], (up - down) / (2 * h), rtol=1e-8)


def test_second_derivatives():
    """Forward over reverse, and in both arguments."""
    for wrt in ((0,), (0, 1)):
        found, wanted = (jax.hessian(lambda f, t, k=k: total(k, f, t), wrt)(AT, TABLE) for k in (known, many))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_eager_is_jit_and_vmap_is_a_loop():
    slope = jax.grad(lambda few: total(known, few, TABLE))
    places = np.stack([AT, 2 * AT, -AT])
    np.testing.assert_allclose(jax.jit(slope)(AT), slope(AT), rtol=1e-13)
    np.testing.assert_allclose(jax.vmap(slope)(places), [slope(p) for p in places], rtol=1e-13)


def test_no_residual_of_what_made_the_result():
    """In reverse nothing is scattered back over a table that was looked up."""
    index = np.arange(1000) % 50

    def looked_up(few, others):
        return jnp.exp(few[0] * jnp.arange(50.0) / 50)[index] * few[1]

    text = str(jax.make_jaxpr(jax.grad(lambda f: jnp.sum(with_forward_slopes(looked_up)(f, ()) ** 2)))(AT))
    assert "scatter" not in text
    assert "scatter" in str(jax.make_jaxpr(jax.grad(lambda f: jnp.sum(looked_up(f, ()) ** 2)))(AT))
