"""Spectral shapes: pure functions of energy (TeV) and numbers. Values have the unit of the amplitude."""

import jax.numpy as jnp


def power_law(energy, index, amplitude, reference):
    """A (E / E0)^-index."""
    return amplitude * jnp.exp(-index * jnp.log(energy / reference))


def log_parabola(energy, amplitude, reference, alpha, beta):
    """A x^(-alpha - beta ln x), x = E / E0 (natural logarithm)."""
    log_x = jnp.log(energy / reference)
    return amplitude * jnp.exp(-(alpha + beta * log_x) * log_x)
