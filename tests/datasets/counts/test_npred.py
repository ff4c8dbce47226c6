import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gammajax as gj

pytestmark = pytest.mark.slow


def by_hand(dataset, spectrum):
    """Counts by explicit loops over fine energy grids."""
    edges = np.asarray(dataset.energy_true_edges)
    total = np.zeros(dataset.n_reco)
    for e, (low, high) in enumerate(itertools.pairwise(edges)):
        energy = np.geomspace(low, high, 2001)
        flux = np.trapezoid(spectrum(energy) * energy, np.log(energy))
        total += flux * dataset.exposure[e] * dataset.edisp.matrix[e]
    return total


def test_signal_against_explicit_sums(spectrum_factory, power_law):
    dataset = spectrum_factory(0, on_off=False)
    expected = by_hand(dataset, lambda e: 3e-11 * e**-2.5)
    np.testing.assert_allclose(gj.npred_signal(dataset, power_law()), expected, rtol=1e-6)
    np.testing.assert_allclose(gj.npred(dataset, power_law()), expected + dataset.background, rtol=1e-6)


def test_models_add(spectrum_factory, power_law):
    dataset = spectrum_factory(0)
    line = gj.Models([gj.SkyModel(gj.GaussianSpectralModel(amplitude=1e-12, mean=3.0, sigma=0.2), name="line")])
    both = gj.npred_signal(dataset, power_law() + line)
    np.testing.assert_allclose(both, gj.npred_signal(dataset, power_law()) + gj.npred_signal(dataset, line), rtol=1e-12)
    assert not np.any(gj.npred_signal(dataset, gj.Models([])))


def test_each_model_by_its_name(spectrum_factory, power_law):
    """By hand, each; in order; models of other datasets and backgrounds are not among them."""
    dataset = spectrum_factory(0, on_off=False)
    bent = gj.SkyModel(gj.LogParabolaSpectralModel(amplitude=1e-11, reference=1.0, alpha=2.0, beta=0.3), name="bent")
    counts = gj.TemplateNPredModel(np.arange(12.0), name="counts", datasets_names="run")
    other = gj.SkyModel(gj.PowerLawSpectralModel(), name="other", datasets_names="elsewhere")
    models = gj.Models([*power_law(), bent, counts, other, gj.FoVBackgroundModel()])
    found = gj.npred_signal(dataset, models, "run", stack=False)
    assert list(found) == ["source", "bent", "counts"]
    np.testing.assert_allclose(found["source"], by_hand(dataset, lambda e: 3e-11 * e**-2.5), rtol=1e-6)
    shape = by_hand(dataset, lambda e: 1e-11 * e ** (-2.0 - 0.3 * np.log(e)))
    np.testing.assert_allclose(found["bent"], shape, rtol=1e-6)
    np.testing.assert_array_equal(found["counts"], np.arange(12.0))
    np.testing.assert_allclose(sum(found.values()), gj.npred_signal(dataset, models, "run"), rtol=1e-12)
    traced = jax.jit(lambda m: gj.npred_signal(dataset, m, "run", stack=False))(models)
    np.testing.assert_allclose(traced["bent"], found["bent"], rtol=1e-12)


def test_apply_irf_switches(spectrum_factory):
    dataset = spectrum_factory(0, on_off=False, n_reco=16, n_true=16)
    perfect = dataset.replace(edisp=None)
    spectrum = gj.PowerLawSpectralModel(index=2.5, amplitude=3e-11)
    model = gj.SkyModel(spectrum, name="x", apply_irf={"edisp": False})
    # the true axis reaches beyond the reconstructed one: the perfect response drops what falls outside
    np.testing.assert_allclose(
        gj.npred_signal(dataset, model), gj.npred_signal(perfect, gj.SkyModel(spectrum, name="x")), rtol=1e-12
    )
    bare = gj.SkyModel(spectrum, name="x", apply_irf={"exposure": False})
    unit = dataset.replace(exposure=np.ones(16))
    np.testing.assert_allclose(gj.npred_signal(dataset, bare), gj.npred_signal(unit, gj.SkyModel(spectrum, name="x")))
    both = gj.Models([model, gj.SkyModel(spectrum, name="y")])
    np.testing.assert_allclose(
        gj.npred_signal(dataset, both),
        gj.npred_signal(dataset, model) + gj.npred_signal(dataset, gj.SkyModel(spectrum, name="y")),
        rtol=1e-12,
    )


def test_background_model(spectrum_factory):
    dataset = spectrum_factory(0, on_off=False)
    norm = gj.PowerLawNormSpectralModel(norm=1.5, tilt=0.5, reference=2.0)
    model = gj.FoVBackgroundModel(norm, datasets_names="a")
    expected = dataset.background * 1.5 * (dataset.energy_centers / 2.0) ** -0.5
    np.testing.assert_allclose(gj.npred_background(dataset, model, "a"), expected, rtol=1e-12)
    np.testing.assert_allclose(gj.npred_background(dataset, model, "b"), dataset.background)
    two = gj.Models([model, model.replace(name="other")])
    with pytest.raises(gj.InputError, match="One background model"):
        gj.npred(dataset, two, "a")


def test_on_off_background_is_profiled(spectrum_factory, power_law):
    dataset = spectrum_factory(0)
    # gammapy's example: n_on = 7, n_off = 0, alpha = 0.1 and no signal give 0.63636
    small = gj.SpectrumDatasetOnOff([1.0, 10.0], counts=[7], counts_off=[0], acceptance_off=10.0, exposure=[0.0])
    assert float(gj.npred_background(small, power_law())[0]) == pytest.approx(0.63636, abs=1e-5)
    total = gj.npred(dataset, power_law())
    np.testing.assert_allclose(
        total, gj.npred_signal(dataset, power_law()) + gj.npred_background(dataset, power_law()), rtol=1e-12
    )


def test_names_select_models(spectrum_factory):
    dataset = spectrum_factory(0)
    model = gj.SkyModel(gj.PowerLawSpectralModel(), name="x", datasets_names=["a"])
    with pytest.raises(gj.InputError, match="has no name"):
        gj.npred(dataset, model)
    assert float(gj.npred_signal(dataset, model, name="a").sum()) > 0
    assert float(gj.npred_signal(dataset, model, name="b").sum()) == 0


def test_masked_bins_neither_count_nor_steer(spectrum_factory, power_law):
    dataset = spectrum_factory(0).with_mask_fit(energy_min=1.0, round_to_edge=False)
    outside = ~dataset.mask
    stat = gj.stat_array(dataset, power_law())
    assert not np.any(np.asarray(stat)[outside]) and np.all(np.asarray(stat)[~outside] != 0)
    bad = {"counts": np.where(outside, 1e9, dataset.counts), "acceptance_off": np.where(outside, 0.0, 8.0)}
    poisoned = dataset.replace(**bad)
    gradient = eqx.filter_grad(lambda m, d: gj.stat_sum(d, m))
    for one, two in zip(
        jax.tree.leaves(gradient(power_law(), dataset)), jax.tree.leaves(gradient(power_law(), poisoned)), strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=1e-12)


def test_pure_under_jit_vmap_grad(spectrum_factory, power_law):
    dataset = spectrum_factory(0, on_off=False)
    eager = gj.npred(dataset, power_law())
    np.testing.assert_allclose(jax.jit(gj.npred)(dataset, power_law()), eager, rtol=1e-12)

    amplitudes = jnp.array([1e-11, 3e-11, 1e-10])
    batch = jax.vmap(lambda a: gj.npred(dataset, power_law(amplitude=a)))(amplitudes)
    np.testing.assert_allclose(batch[2], gj.npred(dataset, power_law(amplitude=1e-10)), rtol=1e-12)

    exposure = jnp.asarray(dataset.exposure)
    slope = jax.grad(lambda x: gj.npred_signal(dataset.replace(exposure=x), power_law()).sum())(exposure)
    total = gj.npred_signal(dataset, power_law()).sum()
    assert float(jnp.vdot(slope, exposure)) == pytest.approx(float(total), rel=1e-12, abs=0)


def test_two_runs_share_one_program(spectrum_factory, power_law):
    traces = 0

    @jax.jit
    def total(dataset, models):
        nonlocal traces
        traces += 1
        return gj.npred(dataset, models).sum()

    for seed in range(3):
        total(spectrum_factory(seed).replace(livetime=seed, meta=gj.Meta({"OBS_ID": seed})), power_law(index=2 + seed))
    assert traces == 1


def test_one_dataset_at_a_time(spectrum_factory, power_law):
    datasets = gj.Datasets({"a": spectrum_factory(0)})
    for function in (gj.npred, gj.npred_signal, gj.npred_background, gj.stat_array):
        with pytest.raises(gj.InputError, match="one dataset at a time"):
            function(datasets, power_law())
    without = spectrum_factory(0).replace(counts_off=None)
    for function in (gj.npred_background, gj.stat_array):
        with pytest.raises(gj.InputError, match="off counts"):
            function(without, power_law())


def test_missing_exposure_and_counts(spectrum_factory, power_law):
    with pytest.raises(gj.InputError, match="exposure is missing"):
        gj.npred(spectrum_factory(0).replace(exposure=None), power_law())
    with pytest.raises(gj.InputError, match="no counts"):
        gj.stat_array(spectrum_factory(0).replace(counts=None), power_law())
