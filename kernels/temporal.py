"""Light curves, and their means over intervals of time.

Times are in days after the reference time, ``low`` and ``high`` are the ends of intervals, shape (n,). Means are closed
forms, written without differences that cancel, so that they hold for intervals of any length: also for those of none,
which padding makes.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf, erfc
from jaxtyping import Array, Float

from .elementary import capped_exp, expm1_ratio
from .quadrature import legendre
from .spatial import sine_ratio
from .tables import scaled
from .time_scales import SECONDS_PER_DAY

Times = Float[Array, " n"]

Number = Float[Array, ""]

SCALED_ORDER = 20
"""Quadrature nodes of a piece of a table that is linear in the logarithm or the root of time: 1e-10 over a decade."""


def per_length(integral: Array, length: Array) -> Array:
    """integral / length; 0 for an interval of no length, which has no weight."""
    some = length > 0
    return jnp.where(some, integral / jnp.where(some, length, 1.0), 0.0)


def linear(time: Times, alpha: Number, beta: Number) -> Times:
    """alpha + beta t, with beta in d-1. Its mean is its value in the middle."""
    return alpha + beta * time


def exp_decay(time: Times, t0: Number) -> Times:
    """exp(-t / t0)."""
    return capped_exp(-time / t0)


def exp_decay_mean(low: Times, high: Times, t0: Number) -> Times:
    """t0 / L (exp(-low / t0) - exp(-high / t0)), counted from the higher end."""
    first, last = -low / t0, -high / t0
    return capped_exp(jnp.maximum(first, last)) * expm1_ratio(-jnp.abs(last - first))


def gaussian(time: Times, sigma: Number) -> Times:
    """exp(-t^2 / (2 sigma^2)): 1 at its maximum."""
    return jnp.exp(-0.5 * (time / sigma) ** 2)


def gaussian_mean(low: Times, high: Times, sigma: Number) -> Times:
    """sigma / L sqrt(pi / 2) (erf(b) - erf(a)), a, b = low, high / (sqrt 2 sigma).

    By complementary functions in the tails; intervals so short that a difference would cancel by an eight-node Gauss
    rule, exact to rounding for them.
    """
    unit = math.sqrt(2) * sigma
    a, b = low / unit, high / unit
    middle, half = (a + b) / 2, (b - a) / 2
    narrow = 2 * half * jnp.maximum(1.0, jnp.abs(middle)) < 0.1
    nodes, weights = legendre(8)
    at = jnp.where(narrow, middle, 0.0)[..., None] + jnp.where(narrow, half, 0.0)[..., None] * nodes
    by_rule = jnp.exp(-(at**2)) @ weights / 2
    across = (a < 0) & (b > 0)
    near, far = jnp.where(b <= 0, -b, a), jnp.where(b <= 0, -a, b)
    in_tail = erfc(jnp.where(across, 1.0, near)) - erfc(jnp.where(across, 1.0, far))
    at_peak = erf(jnp.where(across, b, 1.0)) - erf(jnp.where(across, a, 0.0))
    wide = math.sqrt(math.pi) / 2 * jnp.where(across, at_peak, in_tail) / jnp.where(narrow, 1.0, b - a)
    return jnp.where(narrow, by_rule, wide)


def _pulse(scaled: Array, eta: Number) -> Array:
    """exp(-x^(1 / eta) / 2) for x >= 0."""
    zero = scaled <= 0
    power = capped_exp(jnp.log(jnp.where(zero, 1.0, scaled)) / eta)
    return jnp.where(zero, 1.0, jnp.exp(-power / 2))


def generalized_gaussian(time: Times, t_rise: Number, t_decay: Number, eta: Number) -> Times:
    """exp(-|t / tau|^(1 / eta) / 2), with tau = t_rise before the reference time and t_decay after it.

    Source: Norris et al. 1996, ApJ 459, 393, eq. 1, with nu = 1 / eta.
    """
    return jnp.where(time < 0, _pulse(-time / t_rise, eta), _pulse(time / t_decay, eta))


# Values of x^(1 / eta) / 2 that part the integral of a pulse; beyond the last it is 4e-18.
_PULSE_EDGES = np.array([1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 2.0, 6.0, 15.0, 40.0])


def _pulse_integral(low: Times, high: Times, eta: Number) -> Times:
    """int exp(-x^(1 / eta) / 2) dx between 0 <= low <= high, by Gauss rules of 12 nodes in ln x.

    Up to the first of the edges by a series.
    """
    log_edges = eta * np.log(2 * _PULSE_EDGES)
    first = capped_exp(log_edges[0])
    ends = [jnp.log(jnp.maximum(end, first))[:, None] for end in (low, high)]
    start, stop = (jnp.clip(edges, *ends) for edges in (log_edges[:-1], log_edges[1:]))
    nodes, weights = legendre(12)
    half = (stop - start) / 2
    at = capped_exp(((stop + start) / 2)[..., None] + half[..., None] * nodes)

    def start_of(x):
        # int (1 - p) dx with p = x^(1 / eta) / 2 = 1e-7 at the most
        return x * (1 + jnp.log(_pulse(x, eta)) / (1 + 1 / eta))

    near = jnp.where(low < first, start_of(jnp.minimum(high, first)) - start_of(jnp.minimum(low, first)), 0.0)
    return near + jnp.sum(half * ((_pulse(at, eta) * at) @ weights), axis=-1)


def generalized_gaussian_mean(low: Times, high: Times, t_rise: Number, t_decay: Number, eta: Number) -> Times:
    """Mean of `generalized_gaussian`, by quadrature to 1e-9 (there is no closed form without cancellation)."""
    before = t_rise * _pulse_integral(jnp.maximum(-high, 0.0) / t_rise, jnp.maximum(-low, 0.0) / t_rise, eta)
    after = t_decay * _pulse_integral(jnp.maximum(low, 0.0) / t_decay, jnp.maximum(high, 0.0) / t_decay, eta)
    return per_length(before + after, high - low)


def power_law(time: Times, alpha: Number, t0: Number) -> Times:
    """(t / t0)^alpha after the reference time, 0 before it."""
    after = time > 0
    return jnp.where(after, capped_exp(alpha * jnp.log(jnp.where(after, time / t0, 1.0))), 0.0)


def power_law_mean(low: Times, high: Times, alpha: Number, t0: Number) -> Times:
    """t0 / L [x^(alpha + 1)] / (alpha + 1), and t0 / L ln(high / low) for alpha = -1.

    From the reference time on it is infinite for alpha <= -1.
    """
    after, ends = low > 0, high > 0
    first = jnp.where(after, low / t0, 1.0)
    rise = jnp.log(jnp.where(after, high / t0, 1.0) / first)
    inside = capped_exp(alpha * jnp.log(first)) * expm1_ratio((alpha + 1) * rise) / expm1_ratio(rise)
    finite = alpha > -1
    power = jnp.where(finite, alpha + 1, 1.0)
    across = ends & ~after
    last = jnp.where(across, high / t0, 1.0)
    from_start = capped_exp(power * jnp.log(last)) / power * t0 / jnp.where(across, high - low, 1.0)
    return jnp.where(after, inside, jnp.where(across, jnp.where(finite, from_start, jnp.inf), 0.0))


def sine(time: Times, amp: Number, omega: Number) -> Times:
    """1 + amp sin(omega t), with omega in rad d-1."""
    return 1 + amp * jnp.sin(omega * time)


def sine_mean(low: Times, high: Times, amp: Number, omega: Number) -> Times:
    """1 + amp sin(omega m) sin(h) / h, with m the middle and h = omega L / 2."""
    half = omega * (high - low) / 2
    near = jnp.abs(half) < 2
    outer = jnp.where(near, 1.0, half)
    ratio = jnp.where(near, sine_ratio(jnp.where(near, half, 0.0) ** 2), jnp.sin(outer) / outer)
    return 1 + amp * jnp.sin(omega * (low + high) / 2) * ratio


def _pieces_in(low: Times, high: Times, nodes: Array, values: Array) -> tuple[Array, Array, Array]:
    """Lengths (n, pieces) of the parts of intervals in each piece of a table, and the straight line at their ends.

    ``values`` (n_nodes, ...) give ends of shape (n, pieces, ...). The end pieces reach outwards.
    """
    inner = nodes[1:-1]
    start = jnp.concatenate([jnp.full(1, -jnp.inf), inner])
    stop = jnp.concatenate([inner, jnp.full(1, jnp.inf)])
    first, last = (jnp.clip(end, low[:, None], high[:, None]) for end in (start, stop))
    slope = (values[1:] - values[:-1]) / (nodes[1:] - nodes[:-1]).reshape(-1, *[1] * (values.ndim - 1))

    def line(at):
        return values[:-1] + slope * (at - nodes[:-1]).reshape(*at.shape, *[1] * (values.ndim - 1))

    return last - first, line(first), line(last)


def table_mean(low: Times, high: Times, nodes: Array, values: Array) -> Times:
    """Mean of a table that is linear between nodes, goes on beyond them, and counts as 0 where it is negative."""
    length, first, last = _pieces_in(low, high, nodes, values)
    above, below = jnp.maximum(first, 0.0) + jnp.maximum(last, 0.0), jnp.minimum(first, 0.0) + jnp.minimum(last, 0.0)
    # a line from p > 0 to q < 0 is above 0 on p / (p - q) of its length
    crossing = (above > 0) & (below < 0)
    share = jnp.where(crossing, above / jnp.where(crossing, above - below, 1.0), jnp.where(above > 0, 1.0, 0.0))
    return per_length(jnp.sum(length * above / 2 * share, axis=1), high - low)


def log_table_mean(low: Times, high: Times, nodes: Array, log_values: Array) -> Array:
    """Mean of a table (n_nodes, n_energy) that is linear in ln value between nodes and goes on beyond them.

    Shape (n, n_energy).
    """
    length, first, last = _pieces_in(low, high, nodes, log_values)
    parts = length[..., None] * capped_exp(jnp.maximum(first, last)) * expm1_ratio(-jnp.abs(last - first))
    return per_length(jnp.sum(parts, axis=1), (high - low)[:, None])


def scaled_table_mean(low: Times, high: Times, nodes: Array, values: Array, scale: str, logs: bool) -> Array:
    """Mean of a table that is linear in ``scale`` ("log" or "sqrt") of time, and constant before its first node.

    ``values`` (n_nodes,), counted as 0 where they are negative, or ln values (n_nodes, n_energy) if ``logs``; shape
    (n,) or (n, n_energy). By quadrature in the scaled time, piece by piece.
    """
    first = nodes[0]
    began, ended = (scaled(jnp.maximum(end, first), scale) for end in (low, high))
    at_nodes = scaled(nodes, scale)
    width, start, stop = _pieces_in(began, ended, at_nodes, values)
    if not logs:
        # the part of a line from p > 0 to q < 0 that is above 0
        down = jnp.where(stop < 0, jnp.maximum(start, 0.0) / jnp.where(stop < start, start - stop, 1.0), 1.0)
        up = jnp.where(start < 0, jnp.maximum(stop, 0.0) / jnp.where(stop > start, stop - start, 1.0), 1.0)
        begin, share = 1 - up, jnp.maximum(up + down - 1, 0.0)
    else:
        begin, share = jnp.zeros_like(width), jnp.ones_like(width)
    nodes_of_rule, weights = legendre(SCALED_ORDER)
    inner = at_nodes[1:-1]
    low_end = jnp.clip(jnp.concatenate([jnp.full(1, -jnp.inf), inner]), began[:, None], ended[:, None])
    fraction = begin[..., None] + share[..., None] * (1 + nodes_of_rule) / 2
    at = low_end[..., None] + width[..., None] * fraction
    # dt of a step in the scaled time
    jacobian = jnp.exp(at) if scale == "log" else 2 * at
    step = (width * share)[..., None] / 2 * weights * jacobian
    fraction = fraction[..., None] if logs else fraction
    line = start[:, :, None] + fraction * (stop - start)[:, :, None]
    parts = step[..., None] * capped_exp(line) if logs else step * line
    before = jnp.maximum(jnp.minimum(high, first) - low, 0.0)
    held = before[:, None] * capped_exp(values[0]) if logs else before * jnp.maximum(values[0], 0.0)
    total = jnp.sum(parts, axis=(1, 2)) + held
    return per_length(total, (high - low)[:, None] if logs else high - low)


def phase_at(time: Times, phi_ref: Number, f0: Number, f1: Number, f2: Number) -> tuple[Times, Times]:
    """phi_ref + dt (f0 + dt / 2 (f1 + dt / 3 f2)), and its rate f0 + dt (f1 + dt / 2 f2), with dt in s."""
    dt = time * SECONDS_PER_DAY
    return phi_ref + dt * (f0 + dt / 2 * (f1 + dt / 3 * f2)), f0 + dt * (f1 + dt / 2 * f2)


def phase_mean(low: Times, high: Times, nodes: Array, values: Array, timing: tuple[Number, ...]) -> Times:
    """Mean of a phase curve, linear between ``nodes`` from 0 to 1, with the phase of `phase_at` (of ``timing``).

    int N dt = m L + [P / f], with m the mean of N over a phase, P the periodic integral of N - m whose own mean is 0,
    and f the frequency. What is left out is of second order in the change of f over one phase.
    """
    nodes, values = jnp.asarray(nodes), jnp.asarray(values)
    step = nodes[1:] - nodes[:-1]
    mean = jnp.sum(step * (values[1:] + values[:-1])) / 2
    excess = values - mean
    slope = (excess[1:] - excess[:-1]) / step
    at_nodes = jnp.concatenate([jnp.zeros(1), jnp.cumsum(step * (excess[1:] + excess[:-1]) / 2)])
    level = jnp.sum(step * (at_nodes[:-1] + step * (excess[:-1] / 2 + step * slope / 6)))

    def periodic(time):
        phase, rate = phase_at(time, *timing)
        phase = phase - jnp.floor(phase)
        i = jnp.clip(jnp.searchsorted(nodes, phase, side="right") - 1, 0, nodes.shape[0] - 2)
        s = phase - nodes[i]
        return (at_nodes[i] - level + s * (excess[i] + s * slope[i] / 2)) / rate

    return mean + per_length(periodic(high) - periodic(low), (high - low) * SECONDS_PER_DAY)
