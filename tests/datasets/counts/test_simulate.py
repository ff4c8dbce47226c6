import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import gammajax as gj

pytestmark = pytest.mark.slow

EDGES = np.geomspace(1, 10, 6)
MODELS = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-11, index=2.0), name="source")])
BACKGROUND = np.array([20.0, 10.0, 4.0, 1.0, 0.0])


def known(**fields):
    return gj.SpectrumDataset(EDGES, background=BACKGROUND, exposure=np.full(5, 3e12), **fields)


def on_off(**fields):
    return gj.SpectrumDatasetOnOff(EDGES, exposure=np.full(5, 3e12), acceptance_off=5.0, **fields)


def test_the_same_key_gives_the_same_counts():
    key = jax.random.key(3)
    first, again, other = (gj.fake(k, known(), MODELS) for k in (key, key, jax.random.key(4)))
    np.testing.assert_array_equal(first.counts, again.counts)
    assert np.any(first.counts != other.counts)
    assert np.all(first.counts == np.rint(first.counts))


def test_keys_of_another_kind():
    """JAX draws Poisson numbers from one kind of key only; here they come from all, and are independent."""
    key = jax.random.key(7, impl="rbg")
    many = jax.vmap(lambda k: gj.fake(k, known(), MODELS).counts)(jax.random.split(key, 400))
    expected = np.asarray(gj.npred(known(), MODELS))
    assert np.all(np.abs(many.mean(axis=0) - expected) < 5 * np.sqrt(expected / 400) + 1e-12)
    np.testing.assert_array_equal(gj.fake(key, known(), MODELS).counts, gj.fake(key, known(), MODELS).counts)
    with pytest.raises(gj.InputError, match="expected jax"):
        gj.fake(np.zeros(3, np.uint32), known(), MODELS)


def test_everything_else_stays():
    dataset = known(mask_fit=EDGES[:-1] > 2, livetime=100.0)
    drawn = gj.fake(jax.random.key(0), dataset, MODELS)
    np.testing.assert_array_equal(drawn.mask_fit, dataset.mask_fit)
    np.testing.assert_array_equal(drawn.background, dataset.background)
    assert drawn.livetime == dataset.livetime
    assert dataset.counts is None


def test_on_and_off_counts_are_poisson_around_their_expectation():
    n = 4000
    keys = jax.random.split(jax.random.key(1), n)
    dataset = on_off()

    def draw(key):
        drawn = gj.fake(key, dataset, MODELS, npred_background=BACKGROUND)
        return drawn.counts, drawn.counts_off

    on, off = jax.jit(jax.vmap(draw))(keys)
    expected_on = gj.npred_signal(dataset, MODELS) + BACKGROUND
    for counts, expected in ((on, expected_on), (off, BACKGROUND * 5)):
        expected = np.asarray(expected)
        sigma = np.sqrt(expected / n)
        assert np.all(np.abs(np.mean(counts, 0) - expected) <= 5 * sigma)
        # the variance of a Poisson variance estimate is about (mu + 2 mu^2) / n
        assert np.all(np.abs(np.var(counts, 0) - expected) <= 5 * np.sqrt((expected + 2 * expected**2) / n))
    correlation = np.corrcoef(np.asarray(on)[:, 0], np.asarray(off)[:, 0])[0, 1]
    assert abs(correlation) < 5 / np.sqrt(n), "on and off counts are independent"


def test_vmap_gives_what_single_calls_give():
    keys = jax.random.split(jax.random.key(2), 3)
    together = jax.vmap(lambda key: gj.fake(key, known(), MODELS).counts)(keys)
    for key, counts in zip(keys, together, strict=True):
        np.testing.assert_array_equal(gj.fake(key, known(), MODELS).counts, counts)


def test_large_expectations_are_not_cut():
    dataset = known().replace(exposure=np.full(5, 3e23))
    counts = gj.fake(jax.random.key(0), dataset, MODELS).counts
    np.testing.assert_allclose(counts, gj.npred(dataset, MODELS), rtol=1e-4)
    assert counts.max() > 2**31


def test_off_counts_give_the_background_by_default():
    dataset = on_off(counts=np.zeros(5), counts_off=np.array([500.0, 50, 5, 0, 0]))
    exact = gj.asimov(dataset, MODELS)
    signal = gj.npred_signal(dataset, MODELS)
    np.testing.assert_allclose(exact.counts, signal + np.array([100.0, 10, 1, 0, 0]))
    np.testing.assert_allclose(exact.counts_off, dataset.counts_off)


def test_asimov_counts_are_a_perfect_fit():
    dataset = gj.asimov(on_off(), MODELS, npred_background=BACKGROUND)
    np.testing.assert_allclose(gj.stat_array(dataset, MODELS), 0.0, atol=1e-9)
    result = gj.fit(dataset, MODELS.with_values({"amplitude": 3e-11, "index": 2.5}))
    assert result.success
    amplitude = result.parameters["amplitude"]
    # the distance to the minimum at which fits stop, 1e-8, is a part in ten thousand of the error
    assert abs(float(amplitude.value) - 1e-11) < 1e-3 * float(amplitude.error)
    np.testing.assert_allclose(gj.asimov(known(), MODELS).counts, gj.npred(known(), MODELS))


def test_models_are_chosen_by_the_name_of_the_dataset():
    elsewhere = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(), name="source", datasets_names="other")])
    counts = gj.asimov(known(), elsewhere, "this").counts
    np.testing.assert_allclose(counts, BACKGROUND)


def test_missing_background_is_an_error():
    with pytest.raises(gj.InputError, match="needs npred_background"):
        gj.fake(jax.random.key(0), on_off(), MODELS)


@pytest.mark.parametrize("amplitude", [-1e-9])
def test_negative_expectation_is_an_error(amplitude):
    models = MODELS.with_values({"amplitude": amplitude})
    with pytest.raises(gj.InputError, match=r"npred must be finite and not negative, found .* in bin 0"):
        gj.fake(jax.random.key(0), known(), models)
    with pytest.raises(gj.InputError, match="npred must be finite and not negative"):
        gj.fake(jax.random.key(0), on_off(), models, npred_background=jnp.asarray(BACKGROUND))


def test_ten_thousand_simulations_in_one_call():
    """One vmapped program; means and variances of all bins within the bounds of chi2, on and off."""
    n = 10_000
    keys = jax.random.split(jax.random.key(11), n)
    dataset = on_off()
    background = np.array([20.0, 10.0, 4.0, 1.0, 0.3])

    @jax.jit
    def draw(keys, dataset, models):
        def one(key):
            drawn = gj.fake(key, dataset, models, npred_background=background)
            return jnp.concatenate([drawn.counts, drawn.counts_off])

        return jax.vmap(one)(keys)

    counts = np.asarray(draw(keys, dataset, MODELS))
    assert counts.shape == (n, 10) and len(np.unique(counts[:, 0])) > 20
    signal = np.asarray(gj.npred_signal(dataset, MODELS))
    expected = np.concatenate([signal + background, background * 5])
    pulls = (counts.mean(0) - expected) / np.sqrt(expected / n)
    assert stats.chi2.interval(0.9999, 10)[0] < np.sum(pulls**2) < stats.chi2.interval(0.9999, 10)[1]
    # the variance of (x - mu)^2 of a Poisson number is mu + 2 mu^2
    spread = (np.mean((counts - expected) ** 2, 0) - expected) / np.sqrt((expected + 2 * expected**2) / n)
    assert stats.chi2.interval(0.9999, 10)[0] < np.sum(spread**2) < stats.chi2.interval(0.9999, 10)[1]
    # the whole distribution of one bin
    seen = np.bincount(counts[:, 3].astype(int), minlength=40)
    wanted = n * stats.poisson.pmf(np.arange(seen.size), expected[3])
    enough = wanted > 5
    assert stats.chi2.sf(np.sum((seen - wanted)[enough] ** 2 / wanted[enough]), enough.sum()) > 1e-4


def test_datasets_without_counts_are_an_error():
    with pytest.raises(gj.InputError, match="fake: found Datasets, expected one dataset of counts"):
        gj.fake(jax.random.key(0), gj.Datasets({"a": known()}), MODELS)


def test_asimov_refuses_what_fake_does():
    points = gj.FluxPointsDataset(gj.FluxPoints([1.0, 2.0], [1.0, 1.0], [1e-12, 1e-13], norm_err=[0.1, 0.1]))
    with pytest.raises(gj.InputError, match=r"^asimov: found FluxPointsDataset"):
        gj.asimov(points, MODELS)
    with pytest.raises(gj.InputError, match=r"^asimov: an on/off dataset without off counts"):
        gj.asimov(on_off(), MODELS)
    negative = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=-1e-9), name="source")])
    for dataset, options in ((known(), {}), (on_off(), {"npred_background": BACKGROUND})):
        with pytest.raises(gj.InputError, match=r"^asimov: npred must be finite and not negative"):
            gj.asimov(dataset, negative, **options)
