"""Formulas of light curves: means over intervals against mpmath, short ones and none included."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from gammajax.kernels import temporal as k

# From 2 s to a year, before, across and after the reference time; days.
LOW = np.array([-3.0, -1e-4, -0.3, 0.2, 0.5, 2.0, -40.0, 7.3, 0.9999])
HIGH = np.array([-2.98, 2e-5, 0.4, 0.20002, 0.8, 9.0, 325.0, 7.31, 1.0001])

CASES = {
    "exp_decay": [(1.3,), (0.3,), (-20.0,)],
    "gaussian": [(1.0,), (0.02,), (30.0,)],
    "generalized_gaussian": [(0.7, 1.9, 0.5), (2.0, 0.4, 1.0), (0.3, 0.3, 0.1), (1.0, 0.5, 1.7)],
    "power_law": [(1.0, 1.0), (-0.5, 0.3), (2.3, 4.0)],
    "sine": [(0.4, 1.0), (1.5, 0.0), (0.9, 400.0)],
}


def _shape(name, parameters):
    numbers = [mp.mpf(p) for p in parameters]
    if name == "exp_decay":
        return lambda t: mp.exp(-t / numbers[0])
    if name == "gaussian":
        return lambda t: mp.exp(-((t / numbers[0]) ** 2) / 2)
    if name == "generalized_gaussian":
        rise, decay, eta = numbers
        return lambda t: mp.exp(-(abs(t / (rise if t < 0 else decay)) ** (1 / eta)) / 2)
    if name == "power_law":
        return lambda t: (t / numbers[1]) ** numbers[0] if t > 0 else mp.mpf(0)
    return lambda t: 1 + numbers[0] * mp.sin(numbers[1] * t)


def _integral(name, parameters, low, high):
    """Where quadrature would struggle, in the closed form that mpmath has with all digits."""
    a, b = mp.mpf(low), mp.mpf(high)
    if name == "exp_decay":
        (t0,) = (mp.mpf(p) for p in parameters)
        return t0 * (mp.exp(-a / t0) - mp.exp(-b / t0))
    if name == "gaussian":
        (sigma,) = (mp.mpf(p) for p in parameters)
        unit = sigma * mp.sqrt(2)
        return sigma * mp.sqrt(mp.pi / 2) * (mp.erf(b / unit) - mp.erf(a / unit))
    if name == "generalized_gaussian":
        rise, decay, eta = (mp.mpf(p) for p in parameters)

        def side(x, tau):
            return tau * eta * 2**eta * mp.gammainc(eta, 0, (x / tau) ** (1 / eta) / 2)

        total = side(max(b, 0), decay) - side(max(a, 0), decay)
        return total + side(max(-a, 0), rise) - side(max(-b, 0), rise)
    if name == "power_law":
        alpha, t0 = (mp.mpf(p) for p in parameters)
        a, b = max(a, 0) / t0, max(b, 0) / t0
        return t0 * (b ** (alpha + 1) - a ** (alpha + 1)) / (alpha + 1)
    amp, omega = (mp.mpf(p) for p in parameters)
    return b - a + (amp * (mp.cos(omega * a) - mp.cos(omega * b)) / omega if omega else 0)


@pytest.mark.parametrize("name", CASES)
def test_means_over_intervals(name):
    mp.mp.dps = 60
    value, mean = jax.jit(getattr(k, name)), jax.jit(getattr(k, f"{name}_mean"))
    for parameters in CASES[name]:
        found = np.asarray(mean(LOW, HIGH, *parameters))
        shape = _shape(name, parameters)
        at = np.asarray(value(np.append(LOW, 0.0), *parameters))
        for t, v in zip(np.append(LOW, 0.0), at, strict=True):
            assert abs(v - shape(mp.mpf(float(t)))) <= 1e-12 * max(abs(v), 1e-280), (parameters, t)
        for low, high, one in zip(LOW, HIGH, found, strict=True):
            wanted = _integral(name, parameters, low, high) / (mp.mpf(high) - mp.mpf(low))
            # pulses end, at 4e-18 of their height
            assert abs(one - wanted) <= 1e-9 * abs(wanted) + 1e-17, (parameters, low, high)
        # intervals of no length do no harm, and moments are worth what the curve is worth there
        none = np.asarray(mean(LOW, LOW, *parameters))
        assert np.all(np.isfinite(none))


def test_power_law_at_and_before_its_start():
    low, high = np.array([0.5, 0.5, -1.0, -2.0]), np.array([2.0, 0.5, 3.0, -1.0])
    found = k.power_law_mean(low, high, -1.0, 2.0)
    np.testing.assert_allclose(found, [2 * np.log(4) / 1.5, 4.0, np.inf, 0.0], rtol=1e-13)
    np.testing.assert_array_equal(k.power_law(np.array([-1.0, 0.0]), -1.0, 2.0), [0, 0])
    np.testing.assert_allclose(k.power_law_mean(low, high, 1.0, 2.0)[2], 9 / 4 / 4, rtol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_gradients(name):
    """In the parameters and the reference time; finite also for intervals of no length."""
    parameters = CASES[name][0]
    mean = getattr(k, f"{name}_mean")

    def total(shift, *parameters):
        return mean(LOW + shift, HIGH + shift, *parameters)

    args = (0.0, *parameters)
    both = jax.jit(lambda *a: (total(*a), jax.jacfwd(total, argnums=tuple(range(len(args))))(*a)))
    _, slopes = both(*args)
    step = 1e-5
    for i, slope in enumerate(slopes):
        ends = [both(*[a + s * (j == i) for j, a in enumerate(args)])[0] for s in (-step, step)]
        size = np.max(np.abs(slope))
        np.testing.assert_allclose(slope, (ends[1] - ends[0]) / (2 * step), rtol=1e-5, atol=3e-6 * size)
    empty = jax.jit(jax.jacfwd(lambda *p: mean(LOW, LOW, *p), argnums=tuple(range(len(parameters)))))(*parameters)
    assert np.all(np.isfinite(empty))


def test_tables_of_straight_lines():
    nodes, values = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1.0, 3.0, 0.0, 2.0])
    low, high = np.array([0.0, 0.25, -0.5, 0.5, 3.0, -4.0, 1.0]), np.array([4.0, 0.75, 0.0, 2.5, 5.0, -3.0, 1.0])
    found = k.table_mean(low, high, nodes, values)
    # it is 1 + 2 t before, and t - 2 after the ends; negative values count as 0
    wanted = [(2 + 1.5 + 2) / 4, 2.0, 0.5, (1.25 + 1.5 + 0.125) / 2, 2.0, 0.0, 0.0]
    np.testing.assert_allclose(found, wanted, rtol=1e-14)
    dips = k.table_mean(np.array([0.0]), np.array([2.0]), np.array([0.0, 1.0, 2.0]), np.array([1.0, -1.0, 1.0]))
    np.testing.assert_allclose(dips, 0.25, rtol=1e-14)
    slope = jax.jit(jax.jacfwd(lambda v: k.table_mean(low, high, nodes, v)))(values)
    assert np.all(np.isfinite(slope))
    np.testing.assert_allclose(slope @ values, found, atol=1e-14)


def test_tables_of_straight_lines_in_the_logarithm():
    nodes = np.array([0.0, 1.0, 3.0])
    logs = np.log(np.array([[1.0, 2.0], [np.e, 2.0], [1.0, 2.0 * np.exp(4)]]))
    found = k.log_table_mean(np.array([0.0, 2.0, -1.0, 1.0]), np.array([1.0, 3.0, 0.0, 1.0]), nodes, logs)
    wanted = [
        [np.e - 1, 2.0],
        [2 * (np.exp(0.5) - 1), (np.exp(4) - np.exp(2))],
        [1 - np.exp(-1), 2.0],
        [0.0, 0.0],
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_phase_curve():
    """Whole periods give the mean of the curve; parts of one, and a changing frequency, what mpmath says."""
    nodes, values = np.array([0.0, 0.3, 0.5, 1.0]), np.array([1.0, 3.0, 0.5, 2.0])
    mp.mp.dps = 20
    mean = (0.3 * 4 + 0.2 * 3.5 + 0.5 * 2.5) / 2
    day = k.SECONDS_PER_DAY
    timing = (0.2, 4.0, 0.0, 0.0)
    low, high = np.array([0.0, 0.1, 3.0, 1.0]), np.array([0.25, 0.60, 3.0, 1.0 + 0.05 / 4]) / 1.0
    found = k.phase_mean(low / day, high / day, nodes, values, timing)

    def curve(t, f0=4.0, f1=0.0, f2=0.0):
        phase = (mp.mpf("0.2") + t * (f0 + t / 2 * (f1 + t / 3 * f2))) % 1
        i = 0 if phase < 0.3 else 1 if phase < 0.5 else 2
        return values[i] + (phase - nodes[i]) * (values[i + 1] - values[i]) / (nodes[i + 1] - nodes[i])

    wanted = [mean, mean, mean, mp.quad(curve, [1, mp.mpf("1.0125")]) / mp.mpf("0.0125")]
    np.testing.assert_allclose(found, [float(w) for w in wanted], rtol=1e-9)

    # frequencies that grow by 3e-4 in a phase, over 2.5 s, from corner to corner of the curve
    timing = (0.2, 4.0, 5e-3, 1e-5)
    corners = [mp.mpf(0)]
    for target in [n + mp.mpf(at) for n in range(10) for at in ("0", "0.3", "0.5")][1:]:
        start = corners[-1] + mp.mpf("0.05")
        corners.append(mp.findroot(lambda s, g=target: 0.2 + s * (4 + s / 2 * (0.005 + s / 3 * 1e-5)) - g, start))
    wanted = mp.quad(lambda t: curve(t, 4, 0.005, 1e-5), corners, maxdegree=3) / corners[-1]
    found = k.phase_mean(np.zeros(1), np.array([float(corners[-1]) / day]), nodes, values, timing)
    np.testing.assert_allclose(found, [float(wanted)], rtol=1e-6)
    slope = jax.jit(jax.jacfwd(lambda f: k.phase_mean(low / day, high / day, nodes, values, (0.2, f, 0.0, 0.0))))(4.0)
    step = 1e-6
    ends = [k.phase_mean(low / day, high / day, nodes, values, (0.2, 4.0 + s, 0.0, 0.0)) for s in (-step, step)]
    np.testing.assert_allclose(slope, (ends[1] - ends[0]) / (2 * step), rtol=1e-6, atol=1e-7)


def test_linear():
    np.testing.assert_allclose(k.linear(jnp.array([0.0, 2.0]), 1.0, 0.5), [1, 2])
    np.testing.assert_allclose(k.per_length(jnp.array([3.0, 5.0]), jnp.array([2.0, 0.0])), [1.5, 0])


NODES, VALUES = np.array([0.1, 0.7, 2.0, 9.0]), np.array([1.0, 3.0, -0.5, 2.0])
"""Days, and norms of which one is negative."""


@pytest.mark.parametrize("scale", ["log", "sqrt"])
@pytest.mark.parametrize("logs", [False, True])
def test_tables_in_a_scale_of_time(scale, logs):
    """Piecewise linear in ln t or the root of t, against mpmath: across nodes and zeros, before the first node too."""
    f = mp.log if scale == "log" else mp.sqrt
    values = np.array([0.1, -0.4, 1.2, 0.3])[:, None] + [0.0, 1.0] if logs else VALUES

    def table(t, column):
        x = [f(mp.mpf(n)) for n in NODES]
        y = [mp.mpf(v) for v in (values[:, column] if logs else values)]
        if t <= NODES[0]:
            found = y[0]
        else:
            i = min(max(int(np.searchsorted(NODES, float(t), side="right")) - 1, 0), len(x) - 2)
            found = y[i] + (f(t) - x[i]) / (x[i + 1] - x[i]) * (y[i + 1] - y[i])
        return mp.exp(found) if logs else max(found, mp.mpf(0))

    low, high = np.array([0.2, 0.05, -1.0, 1.0, 3.0, 0.3]), np.array([0.21, 20.0, -0.5, 1.1, 3.0, 12.0])
    found = np.asarray(k.scaled_table_mean(low, high, jnp.asarray(NODES), jnp.asarray(values), scale, logs))
    for i, (a, b) in enumerate(zip(low, high, strict=True)):
        for column in range(2 if logs else 1):
            got = found[i, column] if logs else found[i]
            if a == b:
                assert got == 0
                continue
            # zeros of the line are ends of pieces
            y, x = VALUES, [float(f(n)) for n in NODES]
            zeros = [] if logs else [x[j] - y[j] / (y[j + 1] - y[j]) * (x[j + 1] - x[j]) for j in (1, 2)]
            zeros = [np.exp(z) if scale == "log" else z * z for z in zeros]
            points = [a, *sorted(p for p in (*NODES, *zeros) if a < p < b), b]
            wanted = mp.quad(lambda t, c=column: table(t, c), points) / (mp.mpf(b) - mp.mpf(a))
            np.testing.assert_allclose(got, float(wanted), rtol=1e-9)
