"""Spectral shapes: pure functions of energy (TeV) and numbers. Values have the unit of the amplitude.

Names of the numbers are those of the field: index (Gamma), amplitude A, reference energy E0; x = E / E0. Energies and
cutoffs are in TeV, indices are pure numbers. Powers are taken as exp(p ln x): one log of the energies per shape, and
finite derivatives in every number. Reference energies, cutoff and break energies must be positive.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .elementary import capped_exp, expm1_ratio, expm1_remainder, odd_power

Energy = Float[Array, "*shape"]

Number = Float[Array, ""]

LN_MEV_PER_TEV = 13.815510557964274


def power_law(energy: Energy, index: Number, amplitude: Number, reference: Number) -> Energy:
    """A x^-index."""
    return amplitude * jnp.exp(-index * jnp.log(energy / reference))


def power_law_2(energy: Energy, amplitude: Number, index: Number, emin: Number, emax: Number) -> Energy:
    """Power law by its integral: A (1 - G) E^-G / (emax^(1-G) - emin^(1-G)); A is the integral from emin to emax.

    Written as A (E/emin)^-G / (emin W r((1-G) W)), W = ln(emax/emin), r(z) = (e^z - 1)/z: nothing happens at G = 1.
    Source: PowerLaw2 of the Fermi-LAT source model definitions.
    """
    width = jnp.log(emax / emin)
    norm = emin * width * expm1_ratio((1 - index) * width)
    return amplitude * jnp.exp(-index * jnp.log(energy / emin)) / norm


def broken_power_law(energy: Energy, index1: Number, index2: Number, amplitude: Number, ebreak: Number) -> Energy:
    """A (E / Eb)^-index1 below Eb, A (E / Eb)^-index2 from Eb on."""
    log_x = jnp.log(energy / ebreak)
    return amplitude * jnp.exp(-jnp.where(log_x < 0, index1, index2) * log_x)


def smooth_broken_power_law(
    energy: Energy,
    index1: Number,
    index2: Number,
    amplitude: Number,
    ebreak: Number,
    reference: Number,
    beta: Number,
) -> Energy:
    """A x^-index1 (1 + (E/Eb)^(d/b))^-b with d = index2 - index1, b = beta sign(d); beta > 0 is the smoothness.

    With y = ln(E/Eb) the break is exp(-d y/2 - b ln(2 cosh(d y / 2 beta))). The definition jumps at d = 0, from a power
    law times 2^beta for d < 0 to one times 2^-beta for d > 0; the value at d = 0 is the power law itself, and the
    derivative in d that of the smooth part. Source: SmoothBrokenPowerLaw of the Fermi-LAT source model definitions.
    """
    log_break = jnp.log(energy / ebreak)
    step = index2 - index1
    half = step * log_break / (2 * beta)
    log_cosh = jnp.logaddexp(half, -half)
    exponent = -index1 * jnp.log(energy / reference) - step * log_break / 2 - beta * jnp.sign(step) * log_cosh
    return amplitude * jnp.exp(exponent)


def exp_cutoff_power_law(
    energy: Energy, index: Number, amplitude: Number, reference: Number, lambda_: Number, alpha: Number
) -> Energy:
    """A x^-index exp(-(lambda E)^alpha); lambda in TeV-1, alpha > 0.

    A negative lambda, met on the way of a fit to a spectrum without cutoff, continues as exp(|lambda E|^alpha).
    """
    exponent = -index * jnp.log(energy / reference) - odd_power(lambda_ * energy, alpha)
    return amplitude * capped_exp(exponent)


def exp_cutoff_power_law_3fgl(
    energy: Energy, index: Number, amplitude: Number, reference: Number, ecut: Number
) -> Energy:
    """A x^-index exp((E0 - E) / Ec). Source: Fermi-LAT 3FGL, Acero et al. 2015, ApJS 218, 23, eq. 3 with b = 1."""
    return amplitude * jnp.exp(-index * jnp.log(energy / reference) + (reference - energy) / ecut)


def super_exp_cutoff_power_law_3fgl(
    energy: Energy, amplitude: Number, reference: Number, ecut: Number, index_1: Number, index_2: Number
) -> Energy:
    """A x^-G1 exp((E0/Ec)^G2 - (E/Ec)^G2). Source: Fermi-LAT 3FGL, Acero et al. 2015, ApJS 218, 23, eq. 3."""
    cutoff = capped_exp(index_2 * jnp.log(reference / ecut)) - capped_exp(index_2 * jnp.log(energy / ecut))
    return amplitude * capped_exp(-index_1 * jnp.log(energy / reference) + cutoff)


def super_exp_cutoff_power_law_4fgl(
    energy: Energy, amplitude: Number, reference: Number, expfactor: Number, index_1: Number, index_2: Number
) -> Energy:
    """A x^-G1 exp(a (E0^G2 - E^G2)) with E and E0 in MeV inside the exponential, so a is in MeV^-G2.

    Source: Fermi-LAT 4FGL, Abdollahi et al. 2020, ApJS 247, 33, eq. 4.
    """
    log_reference = jnp.log(reference) + LN_MEV_PER_TEV
    log_energy = jnp.log(energy) + LN_MEV_PER_TEV
    cutoff = expfactor * (capped_exp(index_2 * log_reference) - capped_exp(index_2 * log_energy))
    return amplitude * capped_exp(-index_1 * jnp.log(energy / reference) + cutoff)


def super_exp_cutoff_power_law_4fgl_dr3(
    energy: Energy, amplitude: Number, reference: Number, expfactor: Number, index_1: Number, index_2: Number
) -> Energy:
    """A x^(-G1 + a/G2) exp(a/G2^2 (1 - x^G2)).

    With L = ln x this is A exp(-G1 L - a L^2 h(G2 L)), h(z) = (e^z - 1 - z)/z^2: a log-parabola of curvature a/2 where
    G2 L is small, without a singularity at G2 = 0 or L = 0.
    Source: Fermi-LAT 4FGL-DR3, Abdollahi et al. 2022, ApJS 260, 53, eqs. 2 and 3.
    """
    log_x = jnp.log(energy / reference)
    # beyond z = 300 the exponential is far below the smallest number for any a that is not itself tiny
    z = jnp.minimum(index_2 * log_x, 0.4 * jnp.log(jnp.finfo(log_x.dtype).max))
    return amplitude * capped_exp(-index_1 * log_x - expfactor * log_x**2 * expm1_remainder(z))


def log_parabola(energy: Energy, amplitude: Number, reference: Number, alpha: Number, beta: Number) -> Energy:
    """A x^(-alpha - beta ln x) (natural logarithm). Source: Massaro et al. 2004, A&A 413, 489, eq. 1."""
    log_x = jnp.log(energy / reference)
    return amplitude * jnp.exp(-(alpha + beta * log_x) * log_x)


def log_parabola_2(
    energy: Energy, amplitude: Number, reference: Number, alpha: Number, beta: Number, escale: Number
) -> Energy:
    """A x^(-alpha - beta ln(E / escale)): curvature counted from ``escale`` and not from E0."""
    return amplitude * jnp.exp(-(alpha + beta * jnp.log(energy / escale)) * jnp.log(energy / reference))


def gaussian(energy: Energy, amplitude: Number, mean: Number, sigma: Number) -> Energy:
    """A / (sigma sqrt(2 pi)) exp(-(E - mean)^2 / (2 sigma^2)): a line of total flux A; mean and sigma in TeV."""
    return amplitude / (sigma * jnp.sqrt(2 * jnp.pi)) * jnp.exp(-0.5 * ((energy - mean) / sigma) ** 2)


def constant(energy: Energy, const: Number) -> Energy:
    """The same value at all energies."""
    return const * jnp.ones_like(energy)
