"""Statistics of flux points against mpmath, scipy and finite differences."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.interpolate import interp1d

from gammajax.kernels import distrib, distrib_terms, log_erfc, profile, profile_pieces, profile_terms, upper_limit_stat

DISTRIB, TERMS = jax.jit(distrib), jax.jit(distrib_terms)
SLOPE = jax.jit(jax.vmap(jax.grad(lambda f, d, low, high, u, ul: distrib(d, f, low, high, u, ul))))
# value, error below and above, limit, is a limit; on both sides of the value, on it, and in both tails of the limit
POINTS = np.array([
    (2.0, 0.5, 0.8, 1.0, 0), (2.0, 0.5, 0.8, 1.0, 0), (2.0, 0.5, 0.8, 1.0, 0), (2.0, 0.5, 0.8, 1.0, 0),
    (1.0, 1.0, 1.0, 3.0, 1), (1.0, 1.0, 1.0, 3.0, 1), (1.0, 1.0, 1.0, 3.0, 1), (1.0, 1.0, 1.0, 3.0, 1),
    (1.0, 1.0, 1.0, 3.0, 1), (1.0, 1.0, 1.0, 3.0, 1),
])  # fmt: skip
PREDICTED = np.array([1.0, 2.0, 2.5, -4.0, 0.0, 1.5, 3.0, 300.0, -60.0, -3000.0])
COLUMNS = [*POINTS[:, :4].T, POINTS[:, 4].astype(bool)]


def expected(row, f):
    """The definition, with fifty digits."""
    d, low, high, u, is_ul = (mpmath.mpf(float(x)) for x in row)
    f = mpmath.mpf(f)
    if is_ul:
        return 2 * mpmath.log(mpmath.erfc((u - f) / u) / mpmath.erfc(1))
    return ((f - d) / (high if f >= d else low)) ** 2


def test_distrib_is_its_definition():
    values, wanted = DISTRIB(COLUMNS[0], PREDICTED, *COLUMNS[1:]), []
    with mpmath.workdps(50):
        wanted = [float(expected(row, f)) for row, f in zip(POINTS, PREDICTED, strict=True)]
    np.testing.assert_allclose(values, wanted, rtol=1e-10, atol=1e-15)
    # worked examples of gammapy 2.1
    assert float(upper_limit_stat(jnp.asarray(1e-13), jnp.asarray(6.875e-14))) == pytest.approx(2.86372, abs=1e-5)
    assert values[4] == 0 and values[6] == pytest.approx(3.70, abs=5e-3) and values[7] == pytest.approx(5.09, abs=5e-3)
    assert np.all(np.isfinite(values))


def test_slopes_are_derivatives():
    """Of mpmath's numbers; also on the value, where the error changes side, and where erfc underflows."""
    slopes = SLOPE(PREDICTED, *COLUMNS)
    stat, scored, curvature = TERMS(COLUMNS[0], PREDICTED, *COLUMNS[1:])
    with mpmath.workdps(50):
        wanted = [
            float(mpmath.diff(lambda x, row=row: expected(row, x) if row[4] else ((x - 2) / 0.5) ** 2, f))
            for row, f in zip(POINTS, PREDICTED, strict=True)
        ]
    wanted[2] = 2 * 0.5 / 0.8**2
    np.testing.assert_allclose(slopes, wanted, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(scored, wanted, rtol=1e-7, atol=1e-12)
    np.testing.assert_array_equal(stat, DISTRIB(COLUMNS[0], PREDICTED, *COLUMNS[1:]))
    assert slopes[1] == 0
    np.testing.assert_allclose(curvature[:4], [8, 3.125, 3.125, 8])
    np.testing.assert_allclose(curvature[4:], np.array(wanted[4:]) ** 2 / 2, rtol=1e-7)


def test_second_derivatives_are_finite():
    second = jax.jit(jax.vmap(jax.grad(jax.grad(lambda f, d, low, high, u, ul: distrib(d, f, low, high, u, ul)))))
    values = np.asarray(second(PREDICTED, *COLUMNS))
    assert np.all(np.isfinite(values))
    # the limit bends downwards
    assert np.all(values[4:7] < 0)
    np.testing.assert_allclose(values[[0, 2]], [8, 3.125])


def test_log_erfc():
    x = np.concatenate([np.linspace(-8, 8, 33), [13.9, 14.3, 20.0, 30.0, 1e3]])
    wanted = np.array([float(mpmath.log(mpmath.erfc(mpmath.mpf(float(v))))) for v in x])
    np.testing.assert_allclose(jax.jit(log_erfc)(x), wanted, rtol=1e-10, atol=1e-15)


@pytest.fixture(scope="module", params=[3, 4, 11])
def scan(request):
    rng = np.random.default_rng(request.param)
    norm = np.sort(rng.uniform(0.2, 5, (2, request.param)), axis=1)
    stat = np.abs((norm - 1.5) ** 2 * 4 + rng.normal(size=norm.shape))
    return norm, stat


PROFILE = jax.jit(jax.vmap(profile, in_axes=(0, None, None)))


def test_profile_is_the_quadratic_spline_of_scipy(scan):
    norm, stat = scan
    ends, pieces = profile_pieces(norm, stat, np)
    fractions = np.linspace(0, 1, 41)[:, None]
    at = norm[:, 0] + fractions * (norm[:, -1] - norm[:, 0])
    values = PROFILE(at, ends, pieces)
    for row in range(2):
        wanted = interp1d(norm[row], stat[row], kind="quadratic")(np.clip(at[:, row], norm[row, 0], norm[row, -1]))
        np.testing.assert_allclose(values[:, row], wanted, rtol=1e-10, atol=1e-10)
    both = jax.jit(profile_pieces)(norm, stat)
    np.testing.assert_allclose(both[1], pieces, rtol=1e-9, atol=1e-9)


def test_profile_beyond_its_scan():
    """A parabola goes on as it is; a scan that ends concave goes on straight; one that falls stays above zero."""
    norm = np.linspace(0.2, 5, 9)
    parabola, concave, falling = (norm - 1) ** 2 / 0.09, np.sqrt(norm), 30 - 5 * norm
    ends, pieces = profile_pieces(np.stack([norm] * 3), np.stack([parabola, concave, falling]), np)
    far = np.array([-3.0, 8.0, 40.0])
    values = np.asarray(PROFILE(np.stack([far] * 3, axis=1), ends, pieces))
    np.testing.assert_allclose(values[:, 0], (far - 1) ** 2 / 0.09, rtol=1e-9)
    slope = (values[2, 1] - values[1, 1]) / 32
    assert slope > 0 and values[1, 1] == pytest.approx(np.sqrt(5) + 3 * slope, rel=1e-9)
    assert np.all(values[:, 2] >= -1e-3)
    grid = np.linspace(-10, 30, 400)
    assert np.min(PROFILE(np.stack([grid] * 3, axis=1), ends, pieces)[:, [0, 2]]) >= -1e-3


def test_profile_slopes(scan):
    """Continuous inside, at joints, at the ends and beyond; equal to finite differences."""
    norm, stat = scan
    ends, pieces = (jnp.asarray(x[0]) for x in profile_pieces(norm, stat, np))
    width = norm[0, -1] - norm[0, 0]
    at = np.concatenate([np.asarray(ends), np.linspace(norm[0, 0] - width / 3, norm[0, -1] + width / 3, 23)])
    one = jax.jit(jax.vmap(lambda f: profile(f, ends, pieces)))
    slopes = jax.jit(jax.vmap(jax.grad(lambda f: profile(f, ends, pieces))))(at)
    step = 1e-6 * width
    differences = (one(at + step) - one(at - step)) / (2 * step)
    scale = np.max(np.abs(np.asarray(slopes)))
    np.testing.assert_allclose(slopes, differences, rtol=1e-4, atol=2e-5 * scale)
    value, slope, curvature = jax.jit(jax.vmap(lambda f: profile_terms(f, ends, pieces)))(at)
    np.testing.assert_array_equal(value, one(at))
    np.testing.assert_allclose(slope, slopes, rtol=1e-9, atol=1e-9 * scale)
    assert np.all(curvature >= 0)


def test_jit_is_eager_and_vmap_a_loop():
    eager = distrib(COLUMNS[0], PREDICTED, *COLUMNS[1:])
    mapped = jax.jit(jax.vmap(distrib))(COLUMNS[0], PREDICTED, *COLUMNS[1:])
    np.testing.assert_allclose(eager, mapped, rtol=1e-13)
    np.testing.assert_allclose(mapped, DISTRIB(COLUMNS[0], PREDICTED, *COLUMNS[1:]), rtol=1e-13)
