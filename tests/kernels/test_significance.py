"""Significance, errors and limits of counts."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy import optimize, stats

import gammajax as gj
from gammajax.kernels import significance as k

mpmath.mp.dps = 40
errn, errp, matching_excess = (jax.jit(f) for f in (k.cash_errn, k.cash_errp, k.cash_matching_excess))
N_ON = np.array([0, 1e-3, 0.5, 1, 2, 10, 100, 1e4, 1e8, 1e12])


def li_ma(n_on, n_off, alpha):
    """Li & Ma 1983, equation 17."""
    total = n_on + n_off
    on = n_on * np.log((1 + alpha) / alpha * n_on / total) if n_on > 0 else 0.0
    off = n_off * np.log((1 + alpha) * n_off / total) if n_off > 0 else 0.0
    return np.sign(n_on - alpha * n_off) * np.sqrt(2 * max(on + off, 0.0))


def profile_stat(n_on, n_off, alpha, signal):
    """W statistic by minimising over the background, on a bounded line."""

    def deviance(n, mu):
        return 2 * (mu - n + (n * np.log(n / mu) if n > 0 else 0.0)) if mu > 0 else (2e3 if n > 0 else -2 * n)

    def at(log_b):
        b = np.exp(log_b) + max(-signal / alpha, 0.0)
        return deviance(n_on, signal + alpha * b) + deviance(n_off, b)

    return optimize.minimize_scalar(at, bounds=(-40, np.log(1e4)), method="bounded", options={"xatol": 1e-12}).fun


@pytest.mark.parametrize("n_sigma", [0.1, 1.0, 3.0, 20.0])
def test_errors_of_poisson_counts_are_lamberts_function(n_sigma):
    down, up = np.asarray(errn(N_ON, n_sigma)), np.asarray(errp(N_ON, n_sigma))
    c = mpmath.mpf(n_sigma) ** 2 / 2
    for n, low, high in zip(N_ON[1:], down[1:], up[1:], strict=True):
        z = -mpmath.exp(-c / mpmath.mpf(n) - 1)
        assert low == pytest.approx(float(n * (mpmath.lambertw(z, 0).real + 1)), rel=1e-14)
        assert high == pytest.approx(float(-n * (mpmath.lambertw(z, -1).real + 1)), rel=1e-14)
    assert down[0] == 0 and up[0] == pytest.approx(n_sigma**2 / 2, rel=1e-14)


def test_errors_are_differentiable():
    """The slope of the implicit function, d errp / d n = ..., against central differences."""
    slope = jax.vmap(jax.grad(lambda n: errp(n, 1.0)))(jnp.array([0.5, 4.0, 900.0]))
    n = np.array([0.5, 4.0, 900.0])
    numeric = (errp(n * (1 + 1e-5), 1.0) - errp(n * (1 - 1e-5), 1.0)) / (2e-5 * n)
    np.testing.assert_allclose(slope, numeric, rtol=1e-6)


def test_excess_with_a_given_significance():
    mu = np.array([0.01, 1, 5, 100, 1e6])
    for significance in (-3.0, -0.1, 0.0, 0.1, 5.0, 30.0):
        excess = np.asarray(matching_excess(mu, significance))
        reached = significance > -np.sqrt(2 * mu)
        found = k.signed_root(k.cash_ts(jnp.asarray(mu + excess), jnp.asarray(mu)), excess)
        np.testing.assert_allclose(np.asarray(found)[reached], significance, atol=1e-11)
        assert np.all(np.isnan(excess[~reached]))
    c = 12.5
    expected = [float(b * (mpmath.exp(mpmath.lambertw((mpmath.mpf(c) / b - 1) / mpmath.e).real + 1) - 1)) for b in mu]
    np.testing.assert_allclose(matching_excess(mu, 5.0), expected, rtol=1e-12)
    assert np.all(np.isnan(matching_excess(np.zeros(5), 5.0)))


@pytest.mark.parametrize("df", [1, 2, 7.5])
def test_tails_of_chi2(df):
    sigma = np.array([0, 1e-3, 0.5, 1, 3, 5, 20, 36.0])
    ts = np.asarray(gj.sigma_to_ts(sigma, df))
    np.testing.assert_allclose(ts, stats.chi2.isf(stats.chi2.sf(sigma**2, 1), df), rtol=1e-9)
    np.testing.assert_allclose(gj.ts_to_sigma(ts, df), sigma, rtol=1e-9, atol=1e-9)


def test_tails_beyond_underflow():
    """Where the tail itself is no floating number any more: from mpmath."""

    def log_tail(a, x):
        return mpmath.log(mpmath.gammainc(a, x, regularized=True))

    cases = ((40.0, 2), (60.0, 4), (100.0, 3)) + 5 * ((1.0, 1),)
    many = gj.sigma_to_ts(*map(np.array, zip(*cases, strict=True)))
    for (sigma, df), found in zip(cases, many.tolist(), strict=True):
        wanted = log_tail(mpmath.mpf(1) / 2, mpmath.mpf(sigma) ** 2 / 2)
        assert float(log_tail(mpmath.mpf(df) / 2, mpmath.mpf(found) / 2)) == pytest.approx(float(wanted), rel=1e-12)
    with pytest.raises(gj.InputError, match="degrees of freedom must be positive"):
        gj.sigma_to_ts(3.0, 0)


def test_roots_with_slopes():
    """cos x = x / p, jitted and mapped; the slope is that of the implicit function."""

    def solve(p):
        return k.find_root(lambda x: (x / p - jnp.cos(x), 1 / p + jnp.sin(x)), jnp.zeros_like(p), 2 * jnp.ones_like(p))

    root, slope = jax.vmap(jax.value_and_grad(solve))(jnp.array([1.0, 0.1]))
    assert float(root[0]) == pytest.approx(0.7390851332151607, abs=1e-15)
    x, p = np.asarray(root), np.array([1.0, 0.1])
    np.testing.assert_allclose(slope, x / p**2 / (1 / p + np.sin(x)), rtol=1e-12)


ON_OFF = [(10, 20, 0.5), (3, 50, 0.1), (100, 300, 1 / 3), (1, 1000, 0.01), (7, 3, 1.0)]


def test_significance_is_that_of_li_and_ma():
    n_on, n_off, alpha = map(np.array, zip(*ON_OFF, (0, 5, 0.1), (5, 0, 0.1), (0, 0, 0.3), strict=True))
    found = gj.WStatCountsStatistic(n_on, n_off, alpha)
    expected = [li_ma(*row) for row in zip(n_on, n_off, alpha, strict=True)]
    np.testing.assert_allclose(found.sqrt_ts, expected, rtol=1e-12)
    np.testing.assert_allclose(found.p_value, stats.chi2.sf(np.square(expected), 1) / 2, rtol=1e-11)
    np.testing.assert_allclose(found.ts, found.stat_null - found.stat_max, atol=1e-10)
    # the numbers of the off run and the on run of the first source of Li & Ma's table, equation 17 by hand
    assert float(gj.WStatCountsStatistic(1000, 1000, 1.0).sqrt_ts) == 0


def test_errors_of_on_off_counts_solve_the_profile():
    n_on, n_off, alpha = map(np.array, zip(*ON_OFF, strict=True))
    found = gj.WStatCountsStatistic(n_on, n_off, alpha)
    for n_sigma in (1.0, 3.0):
        for signal in (found.n_sig + found.compute_errp(n_sigma), found.n_sig - found.compute_errn(n_sigma)):
            risen = [profile_stat(*row) for row in zip(n_on, n_off, alpha, np.asarray(signal), strict=True)]
            np.testing.assert_allclose(risen, n_sigma**2, rtol=1e-7)
        limit = found.compute_upper_limit(n_sigma)
        np.testing.assert_allclose(limit, found.n_sig + found.compute_errp(n_sigma), rtol=1e-14)
    # many off counts make the background known
    known = gj.CashCountsStatistic(12.0, 5.0)
    nearly = gj.WStatCountsStatistic(12.0, 5e9, 1e-9)
    for name in ("compute_errn", "compute_errp", "compute_upper_limit"):
        np.testing.assert_allclose(getattr(nearly, name)(2.0), getattr(known, name)(2.0), rtol=1e-6)


def test_corners_of_on_off_counts():
    """No counts: W is 2 s (upwards, from s = 0 on), and 2 |s| / alpha (downwards)."""
    nothing = gj.WStatCountsStatistic(0.0, 0.0, 0.25)
    np.testing.assert_allclose([nothing.compute_errp(2.0), nothing.compute_errn(2.0)], [2.0, 0.5], rtol=1e-12)
    assert float(nothing.sqrt_ts) == 0 and float(nothing.compute_upper_limit(3.0)) == pytest.approx(4.5)
    # alpha = 0: the off counts say nothing
    bare = gj.WStatCountsStatistic([4.0, 0.0], 7.0, 0.0)
    np.testing.assert_allclose(bare.compute_errp(1.0), errp(np.array([4.0, 0.0]), 1.0), rtol=1e-10)
    np.testing.assert_allclose(bare.compute_errn(1.0), errn(np.array([4.0, 0.0]), 1.0), rtol=1e-10)
    assert np.all(np.isnan(bare.n_sig_matching_significance(3.0)))


def test_excess_over_off_counts_with_a_given_significance():
    n_off, alpha = np.array([0, 5, 20, 300.0]), np.array([0.1, 0.1, 0.5, 1 / 3])
    for significance in (-1.0, 0.5, 5.0):
        excess = np.asarray(gj.WStatCountsStatistic(0, n_off, alpha).n_sig_matching_significance(significance))
        reached = significance > -np.sqrt(2 * n_off * np.log1p(alpha))
        found = [li_ma(*row) for row in zip(excess + alpha * n_off, n_off, alpha, strict=True)]
        np.testing.assert_allclose(np.array(found)[reached], significance, rtol=1e-9)
        assert np.all(np.isnan(excess[~reached])) and np.any(reached)


def test_known_signal():
    """With mu_sig the null hypothesis is that signal, and the best one stays where it is."""
    with_signal, without = gj.WStatCountsStatistic(30, 40, 0.5, mu_sig=4), gj.WStatCountsStatistic(30, 40, 0.5)
    assert float(with_signal.n_sig) == 6
    assert float(with_signal.ts) == pytest.approx(profile_stat(30, 40, 0.5, 4), rel=1e-8)
    assert float(with_signal.compute_errp()) == float(without.compute_errp())
    assert float(with_signal.compute_upper_limit()) == pytest.approx(float(without.compute_upper_limit()) - 4)


def test_cash_by_hand():
    found = gj.CashCountsStatistic([13, 0, 5], [5.5, 3.0, 9.0])
    np.testing.assert_allclose(found.ts, [2 * (13 * np.log(13 / 5.5) - 7.5), 6.0, 2 * (5 * np.log(5 / 9) + 4)])
    np.testing.assert_allclose(found.sqrt_ts, np.sign([7.5, -3, -4]) * np.sqrt(found.ts))
    np.testing.assert_allclose(found.error, np.sqrt([13, 0, 5]))
    # without counts the limit does not know the background
    np.testing.assert_allclose(found.compute_upper_limit(2.0)[1], 2.0)
    assert float(found.sum().ts) == pytest.approx(2 * (18 * np.log(18 / 17.5) - 0.5))
    assert float(found[1].n_sig) == -3 and set(found.info_dict()) >= {"n_on", "background", "excess", "significance"}


def test_sums():
    found = gj.WStatCountsStatistic([[5, 7], [2, 1]], [[10, 20], [0, 0]], [[0.1, 0.2], [0.3, 0.5]], 1.0)
    rows = found.sum(axis=1)
    np.testing.assert_allclose(rows.alpha, [5 / 30, 0.4])
    np.testing.assert_allclose(rows.n_on, [12, 3])
    np.testing.assert_allclose(rows.mu_sig, [2, 2])
    assert float(found.sum().n_bkg) == pytest.approx(5.0)


def test_under_jit_and_vmap():
    def both(n_on, n_off):
        found = gj.WStatCountsStatistic(n_on, n_off, 0.3)
        return found.sqrt_ts, found.compute_upper_limit(2.0)

    n_on, n_off = jnp.array([3.0, 8, 0]), jnp.array([4.0, 2, 9])
    for mapped, plain in zip(jax.jit(jax.vmap(both))(n_on, n_off), both(n_on, n_off), strict=True):
        np.testing.assert_allclose(mapped, plain, rtol=1e-12)


def test_of_datasets():
    edges = np.array([1.0, 2, 4])
    known = gj.SpectrumDataset(edges, counts=[8, 3], background=[4.0, 2.0])
    np.testing.assert_allclose(gj.counts_statistic(known).n_sig, [4, 1])
    norm = gj.FoVBackgroundModel(gj.PowerLawNormSpectralModel(norm=0.5))
    np.testing.assert_allclose(gj.counts_statistic(known, norm).n_bkg, [2, 1])
    off = gj.SpectrumDatasetOnOff(edges, counts=[8, 3], counts_off=[10, 0], acceptance_off=5)
    assert float(gj.counts_statistic(off)[0].sqrt_ts) == pytest.approx(li_ma(8, 10, 0.2))
    with pytest.raises(gj.InputError, match="no counts or no off counts"):
        gj.counts_statistic(off.replace(counts_off=None))
    with pytest.raises(gj.InputError, match="expected one dataset of counts"):
        gj.counts_statistic(gj.Datasets({"a": off}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gj.CashCountsStatistic(-1, 2.0), "n_on must be finite and not negative, found -1"),
        (lambda: gj.CashCountsStatistic([1, 2], [np.nan, 1]), r"mu_bkg must be finite .* nan \(1 bad of 2\)"),
        (lambda: gj.WStatCountsStatistic(1, 2, -0.1), "alpha must be finite"),
        (lambda: gj.CashCountsStatistic([1, 2], [1, 2, 3]), r"shapes \[\(2,\), \(3,\)\] do not match"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(gj.InputError, match=message):
        make()


def test_units_of_counts():
    import astropy.units as u

    plain = gj.WStatCountsStatistic([5, 7], 12, 0.1, 1.0)
    given = gj.WStatCountsStatistic([5, 7] * u.ct, 1200 * u.percent, 10 * u.percent, 1 * u.ct)
    for name in ("n_on", "n_off", "alpha", "mu_sig", "n_sig"):
        np.testing.assert_allclose(getattr(given, name), getattr(plain, name), rtol=1e-15)
    with pytest.raises(gj.InputError, match="CashCountsStatistic: mu_bkg: found unit 's'"):
        gj.CashCountsStatistic(3, 2 * u.s)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("a", 1, 0.1), "WStatCountsStatistic: n_on: found 'a', expected numbers"),
        ((1, None, 0.1), "WStatCountsStatistic: n_off is missing"),
        ((1, 1, 0.1, np.nan), "WStatCountsStatistic: mu_sig must be finite"),
    ],
)
def test_no_counts(arguments, message):
    with pytest.raises(gj.InputError, match=message):
        gj.WStatCountsStatistic(*arguments)


@pytest.mark.parametrize("n_sigma", [-1.0, np.nan, [1.0, -2.0]])
def test_negative_n_sigma(n_sigma):
    for statistic in (gj.CashCountsStatistic(3, 2.0), gj.WStatCountsStatistic(3, 2, 0.5)):
        for method in ("compute_errn", "compute_errp", "compute_upper_limit"):
            with pytest.raises(gj.InputError, match="n_sigma must not be negative"):
                getattr(statistic, method)(n_sigma)


def test_p_value_of_a_deficit():
    deficit = gj.CashCountsStatistic(3, 9.0)
    assert float(deficit.sqrt_ts) < 0
    assert float(deficit.p_value) == pytest.approx(stats.chi2.sf(float(deficit.ts), 1) / 2, rel=1e-12)
