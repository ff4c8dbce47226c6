import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from gammajax.kernels import cash_deviance, profile_background, profile_expectations, wstat, wstat_terms

STAT = jax.jit(wstat)
FIRST = jax.jit(jax.grad(wstat, argnums=3))
SECOND = jax.jit(jax.grad(jax.grad(wstat, argnums=3), argnums=3))
FIXED = jax.jit(lambda n_on, n_off, alpha, s, b: wstat(n_on, n_off, alpha, s, mu_bkg=b))
BARE = jax.jit(lambda *bins: wstat(*bins, extra_terms=False))
BACKGROUND, EXPECTATIONS = jax.jit(profile_background), jax.jit(profile_expectations)

# n_on, n_off, alpha, mu_sig, mu_bkg, wstat, wstat without extra terms: made with gammapy 2.1
CORNERS = [
    (5, 0, 0.1, 0, 4.545454545, 23.978953, 17.884574),
    (5, 0, 0.1, 3, 0, 1.108256, -4.986123),
    (5, 0, 0.1, 8, 0, 1.299964, -4.794415),
    (0, 5, 0.1, 1, 4.545454545, 2.953102, -3.141276),
    (0, 0, 0.1, 1, 0, 2, 2),
    (5, 10, 0.5, 2, 8.972158, 0.483449, -31.662632),
]


@pytest.mark.parametrize("n_on, n_off, alpha, mu_sig, mu_bkg, stat, bare", CORNERS)
def test_corner_values(n_on, n_off, alpha, mu_sig, mu_bkg, stat, bare):
    assert float(BACKGROUND(n_on, n_off, alpha, mu_sig)) == pytest.approx(mu_bkg, abs=1e-6)
    assert float(STAT(n_on, n_off, alpha, mu_sig)) == pytest.approx(stat, abs=2e-6)
    assert float(BARE(n_on, n_off, alpha, mu_sig)) == pytest.approx(bare, abs=2e-6)


def reference(n_on, n_off, alpha, s, b=None):
    """Profile statistic at 50 digits, from the textbook root of the quadratic."""
    mpmath.mp.dps = 50
    n_on, n_off, alpha, s = (mpmath.mpf(float(x)) for x in (n_on, n_off, alpha, s))
    if b is None:
        c = alpha * (n_on + n_off) - (1 + alpha) * s
        d = mpmath.sqrt(c**2 + 4 * alpha * (alpha + 1) * n_off * s)
        b = (c + d) / (2 * alpha * (alpha + 1))
    m = s + alpha * b

    def log_term(n, mu):
        return n * mpmath.log(mu / n) if n else mpmath.mpf(0)

    return float(2 * (m - n_on - log_term(n_on, m) + b - n_off - log_term(n_off, b))), float(b)


def random_bins(size=400, seed=1):
    rng = np.random.default_rng(seed)
    n_on, n_off = rng.poisson(rng.choice([0, 0.5, 5, 300], size)), rng.poisson(rng.choice([0, 0.5, 20, 4000], size))
    alpha = 10 ** rng.uniform(-4, 0.5, size)
    mu_sig = np.where(rng.random(size) < 0.15, 0.0, 10 ** rng.uniform(-8, 3, size))
    return n_on.astype(float), n_off.astype(float), alpha, mu_sig


def test_random_values_against_mpmath():
    bins = random_bins()
    expected = np.array([reference(*row) for row in zip(*bins, strict=True)])
    np.testing.assert_allclose(STAT(*bins), expected[:, 0], rtol=1e-11, atol=1e-10)
    np.testing.assert_allclose(BACKGROUND(*bins), expected[:, 1], rtol=1e-10, atol=1e-12)


def test_fixed_background():
    n_on, n_off, alpha, mu_sig = random_bins(50)
    b = n_off + 0.5
    expected = [reference(*row)[0] for row in zip(n_on, n_off, alpha, mu_sig, b, strict=True)]
    np.testing.assert_allclose(FIXED(n_on, n_off, alpha, mu_sig, b), expected, rtol=1e-11, atol=1e-10)


def test_background_is_the_best_one():
    for n_on, n_off, alpha, s in [(7, 12, 0.2, 3.0), (7, 0, 0.2, 0.1), (0, 9, 0.2, 1.0), (3, 9, 0.2, -0.5)]:
        best = float(STAT(n_on, n_off, alpha, s))
        b = float(BACKGROUND(n_on, n_off, alpha, s))
        for factor in (0.99, 1.01):
            if s + alpha * b * factor > 0:
                assert float(FIXED(n_on, n_off, alpha, s, b * factor)) >= best - 1e-12


def test_jit_vmap_shapes_and_dtypes():
    bins = random_bins(30)
    eager = wstat(*bins)
    np.testing.assert_allclose(STAT(*bins), eager, rtol=1e-13, atol=1e-13)
    loop = [STAT(*row) for row in zip(*bins, strict=True)]
    np.testing.assert_allclose(jax.jit(jax.vmap(wstat))(*bins), np.array(loop), rtol=1e-13, atol=1e-13)
    assert jax.eval_shape(wstat, bins[0][:, None], bins[1][:, None], 0.1, jnp.arange(3.0)).shape == (30, 3)
    assert jax.eval_shape(wstat, *(x.astype(np.float32) for x in bins)).dtype == jnp.float32
    assert jax.eval_shape(wstat, 5, 10, 0.5, 2).dtype == jnp.float64


VALUES = {"n_on": (0.0, 1e-3, 5.0), "n_off": (0.0, 1e-3, 7.0), "alpha": (0.0, 1e-6, 0.1, 2.0)}


@pytest.mark.parametrize("n_on, n_off, alpha", list(itertools.product(*VALUES.values())))
def test_derivatives_on_all_corners(n_on, n_off, alpha):
    """Finite everywhere; equal to the (one-sided, at kinks of the second derivative) finite differences."""
    boundaries = (alpha * n_on / (1 + alpha), -alpha * n_off / (1 + alpha), alpha * (n_on - n_off) / (1 + alpha))

    def stat(s):
        return STAT(n_on, n_off, alpha, s)

    def first(s):
        return FIRST(n_on, n_off, alpha, s)

    def second(s):
        return SECOND(n_on, n_off, alpha, s)

    for s in (0.0, 1e-9, 1e-3, 3.0, -1.0, *boundaries):
        assert np.isfinite([stat(s), first(s), second(s)]).all(), s
        if alpha == 0 and s <= 0:
            continue  # the floor: a logarithm without a background to soften it
        step = 1e-6 * max(abs(s), 1e-3)
        sides = sorted([float(stat(s + step) - stat(s)) / step, float(stat(s) - stat(s - step)) / step])
        slack = 1e-4 * (1 + abs(float(first(s))))
        assert sides[0] - slack <= float(first(s)) <= sides[1] + slack, s
        near_kink = any(abs(s - x) <= 2 * step for x in boundaries) or (n_on * n_off < 1e-2 and alpha < 1e-3)
        if not near_kink:
            numeric = float(first(s + step) - first(s - step)) / (2 * step)
            assert float(second(s)) == pytest.approx(numeric, rel=1e-4, abs=1e-4), s


def test_derivatives_in_all_arguments():
    for at in [(5.0, 10.0, 0.5, 2.0), (3.0, 40.0, 0.1, 0.2), (30.0, 4.0, 0.3, 12.0)]:
        gradient = jax.jit(jax.grad(wstat, argnums=(0, 1, 2, 3)))(*at)
        for i, slope in enumerate(gradient):
            step = 1e-6 * at[i]
            up, down = (tuple(x + sign * step if j == i else x for j, x in enumerate(at)) for sign in (1, -1))
            assert float(slope) == pytest.approx(float(STAT(*up) - STAT(*down)) / (2 * step), rel=1e-6)


def test_negative_signal_is_a_model():
    # a dip below the background: expectations stay positive, the best s of n_on = 2, n_off = 60, alpha = 0.1 is -4
    s = np.linspace(-30, 10, 401)
    stat = np.asarray(STAT(2.0, 60.0, 0.1, s))
    assert np.isfinite(stat).all() and s[np.argmin(stat)] == pytest.approx(-4.0)
    m, b = map(np.asarray, EXPECTATIONS(2.0, 60.0, 0.1, s))
    assert (m > 0).all() and (b > 0).all()
    np.testing.assert_allclose(m, s + 0.1 * b, rtol=1e-9)


@pytest.mark.parametrize("n_on, n_off", [(0.0, 0.0), (3.0, 0.0), (0.0, 4.0), (3.0, 4.0)])
def test_undefined_signal_stays_undefined(n_on, n_off):
    assert np.isnan(STAT(n_on, n_off, 0.1, np.nan))


def test_alpha_zero_is_the_limit():
    for s in (0.5, 3.0, 20.0):
        assert float(STAT(5.0, 7.0, 0.0, s)) == pytest.approx(float(cash_deviance(5.0, s)), rel=1e-12)
        assert float(STAT(5.0, 7.0, 1e-12, s)) == pytest.approx(float(STAT(5.0, 7.0, 0.0, s)), rel=1e-9)


def test_scoring_terms():
    bins = random_bins(100)
    stat, slope, weight = jax.jit(wstat_terms)(*bins)
    np.testing.assert_allclose(stat, STAT(*bins), rtol=1e-12, atol=1e-12)
    gradient = jax.jit(jax.vmap(FIRST))(*bins)
    np.testing.assert_allclose(slope, gradient, rtol=1e-10, atol=1e-10)
    assert (np.asarray(weight) >= 0).all()
    assert (np.asarray(weight)[(bins[0] > 0) | (bins[3] > 0)] > 0).all()


def test_expected_curvature_is_the_mean_of_the_observed_one():
    """By simulation: the mean second derivative at the truth is 2 / (m + alpha^2 b)."""
    alpha, s, b = 0.2, 300.0, 2000.0
    rng = np.random.default_rng(3)
    n_on, n_off = rng.poisson(s + alpha * b, 4000), rng.poisson(b, 4000)
    observed = jax.jit(jax.vmap(lambda on, off: SECOND(on, off, alpha, s)))(n_on * 1.0, n_off * 1.0)
    assert float(observed.mean()) == pytest.approx(2 / (s + alpha * b + alpha**2 * b), rel=0.01)
