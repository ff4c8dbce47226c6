"""Fit statistics against gammapy's on random bins, zeros included."""

import jax
import numpy as np
import pytest

from gammajax.kernels import cash, profile_background, wstat

stats = pytest.importorskip("gammapy.stats")
get_fit_statistics_compiled = pytest.importorskip("gammapy.stats.fit_statistics").get_fit_statistics_compiled
CASH, WSTAT, BACKGROUND = jax.jit(cash), jax.jit(wstat), jax.jit(profile_background)
BARE = jax.jit(lambda *bins: wstat(*bins, extra_terms=False))
FIXED = jax.jit(lambda n_on, n_off, alpha, mu, b: wstat(n_on, n_off, alpha, mu, mu_bkg=b))

pytestmark = pytest.mark.filterwarnings("ignore")
SIZE = 4000


def counts(rng, means):
    return rng.poisson(rng.choice(means, SIZE)).astype(float)


def numbers(rng, tiny, normal, zeros=True):
    """Zeros, tiny and ordinary numbers, a third each."""
    kind = rng.integers(0 if zeros else 1, 3, SIZE)
    return np.select([kind == 0, kind == 1], [0.0, 10 ** rng.uniform(*tiny, SIZE)], 10 ** rng.uniform(*normal, SIZE))


@pytest.mark.parametrize("seed", range(3))
def test_cash(seed):
    rng = np.random.default_rng(seed)
    n, mu = counts(rng, [0, 0.3, 5, 1e3, 1e6]), numbers(rng, (-30, -8), (-3, 6))
    theirs = stats.cash(n, mu)
    np.testing.assert_allclose(CASH(n, mu), theirs, rtol=1e-10, atol=1e-10)
    # the compiled sum rounds the logarithm of the floor to float32: compared where no counts meet the floor
    seen = (mu > 1e-25) | (n == 0)
    total = get_fit_statistics_compiled()["cash_sum_compiled"](n[seen], mu[seen])
    assert float(np.sum(CASH(n[seen], mu[seen]))) == pytest.approx(total, rel=1e-10)


def on_off(seed):
    rng = np.random.default_rng(seed)
    n_on, n_off = counts(rng, [0, 0.3, 5, 1e3]), counts(rng, [0, 0.3, 20, 1e4])
    return n_on, n_off, numbers(rng, (-6, -3), (-2, 0.5), zeros=False), numbers(rng, (-12, -6), (-2, 4))


@pytest.mark.parametrize("seed", range(3))
def test_wstat(seed):
    bins = on_off(seed)
    n_on, n_off, alpha, mu = bins
    theirs = stats.wstat(n_on=n_on, n_off=n_off, alpha=alpha, mu_sig=mu)
    np.testing.assert_allclose(WSTAT(*bins), theirs, rtol=1e-10, atol=1e-10)
    ours, theirs = BACKGROUND(*bins), stats.get_wstat_mu_bkg(n_on=n_on, n_off=n_off, alpha=alpha, mu_sig=mu)
    # the peer adds two numbers of opposite sign, of about this size, where the signal exceeds the counts
    size = (alpha * (n_on + n_off) + (1 + alpha) * mu) / (alpha * (1 + alpha))
    assert np.all(np.abs(ours - theirs) <= 1e-10 * (1 + theirs) + 4e-16 * size)
    theirs = stats.wstat(n_on=n_on, n_off=n_off, alpha=alpha, mu_sig=mu, extra_terms=False)
    np.testing.assert_allclose(BARE(*bins), theirs, rtol=1e-10, atol=1e-10)
    assert {0.0} < set(n_on) and {0.0} < set(n_off) and {0.0} < set(mu)


def test_wstat_with_known_background():
    n_on, n_off, alpha, mu = on_off(7)
    background = np.random.default_rng(8).uniform(0.1, 50, SIZE)
    theirs = stats.wstat(n_on=n_on, n_off=n_off, alpha=alpha, mu_sig=mu, mu_bkg=background)
    np.testing.assert_allclose(FIXED(n_on, n_off, alpha, mu, background), theirs, rtol=1e-10, atol=1e-10)
