"""Counts of frozen sources that are kept: the same numbers as without, whatever is changed."""

from concurrent.futures import ThreadPoolExecutor

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import maps as cases

import gammajax as gj
from gammajax.datasets.map import kept as module
from gammajax.datasets.map.kept import MANY, kept_counts


@pytest.fixture(scope="module")
def dataset():
    dataset = cases.small_map(n=30, n_energy=2)
    safe = np.ones(dataset.data_shape, bool)
    safe[0, :3] = False
    return dataset.replace(mask_safe=safe, mask_fit=safe, counts=np.ones(dataset.data_shape))


@pytest.fixture(scope="module")
def models(dataset):
    """One free source and more frozen ones than are needed."""
    lon, lat = cases.at_pixel(dataset, 14, 15)
    points = [
        cases.source(gj.PointSpatialModel(lon_0=lon + 0.02 * i, lat_0=lat), 1e-11 * (i + 1), name=f"s{i}")
        for i in range(MANY + 2)
    ]
    return gj.Models(points).freeze().unfreeze("s0.spectral.amplitude")


@pytest.fixture
def made(monkeypatch):
    """How many sources each call made counts of, from when nothing is kept."""
    kept_counts.clear()
    found, map_counts = [], module.map_counts

    def counted(response, sources, *args):
        found.append(len(sources))
        return map_counts(response, sources, *args)

    monkeypatch.setattr(module, "map_counts", counted)
    return found


def anew(dataset, models):
    """The signal where nothing is kept; what is kept afterwards is of these arguments."""
    kept_counts.clear()
    return np.asarray(gj.npred_signal(dataset, models))


def test_frozen_sources_are_made_once(dataset, models, made):
    first, second = (np.asarray(gj.npred_signal(dataset, models)) for _ in range(2))
    assert made == [len(models) - 1, 1, 1]
    np.testing.assert_array_equal(first, second)
    alone = sum(np.asarray(gj.npred_signal(dataset, [m])) for m in models)
    np.testing.assert_allclose(first, alone, rtol=1e-10, atol=1e-12 * alone.max())
    made.clear()
    # the free one may change, and counts, background and masks have no part in a signal
    gj.npred_signal(dataset.replace(counts=None, background=None, mask_safe=None), models)
    changed = models.with_values({"s0.spectral.amplitude": 5e-11})
    np.testing.assert_allclose(
        gj.npred_signal(dataset, changed), first + 4 * np.asarray(gj.npred_signal(dataset, [models[0]])), rtol=1e-9
    )
    # and the fit takes them from the prediction
    gj.likelihood(dataset, models)
    assert len(models) - 1 not in made
    gj.clear_programs()
    assert kept_counts.count() == 0


def test_any_change_of_the_dataset_counts(dataset, models):
    leaves, tree = jax.tree.flatten(dataset)
    known = anew(dataset, models)
    changes = 0
    for i, leaf in enumerate(leaves):
        gj.npred_signal(dataset, models)
        array = np.asarray(leaf)
        other = ~array if array.dtype == bool else array * 1.001
        changed = jax.tree.unflatten(tree, [*leaves[:i], other, *leaves[i + 1 :]])
        warm = np.asarray(gj.npred_signal(changed, models))
        np.testing.assert_array_equal(warm, anew(changed, models))
        changes += not np.array_equal(warm, known)
    # edges, exposure, psf, energy dispersion and pixels are more than a few leaves
    assert changes >= 6
    gj.npred_signal(dataset, models)
    changed = dataset.replace(source_grid="pixel")
    warm = np.asarray(gj.npred_signal(changed, models))
    np.testing.assert_array_equal(warm, anew(changed, models))


def test_any_change_of_a_frozen_number_counts(dataset, models):
    known = anew(dataset, models)
    for name in ("amplitude", "index", "reference", "lon_0", "lat_0"):
        full = models.parameters.full_name(f"s3.{'spatial' if '_0' in name else 'spectral'}.{name}")
        changed = models.with_values({full: float(models.parameters[full].value) * 1.0001})
        warm = np.asarray(gj.npred_signal(dataset, changed))
        assert not np.array_equal(warm, known)
        np.testing.assert_array_equal(warm, anew(dataset, changed))
        gj.npred_signal(dataset, models)
    # other models: fewer, another order of the same numbers, another instrument
    scale = gj.InstrumentModel(exposure=gj.Parameter(1.1, frozen=True), name="scale")
    for changed in (models[1:], [*models[:1], *models[3:1:-1], *models[4:], models[1]], [*models, scale]):
        gj.npred_signal(dataset, models)
        warm = np.asarray(gj.npred_signal(dataset, changed))
        np.testing.assert_array_equal(warm, anew(dataset, changed))


def test_arrays_that_are_changed_in_place(dataset, models):
    """Nobody should, as they are read-only; numbers are right all the same."""
    exposure = np.array(dataset.exposure)
    dataset = dataset.replace(exposure=exposure)
    before = np.asarray(gj.npred_signal(dataset, models))
    dataset.exposure.flags.writeable = True
    dataset.exposure[...] *= 2
    np.testing.assert_allclose(gj.npred_signal(dataset, models), 2 * before, rtol=1e-12)
    value = models["s2"].spectral.amplitude.value
    own = gj.Models(jax.tree.map(lambda x: x, list(models)))
    copy = np.array(value)
    own = eqx.tree_at(lambda m: m.models[2].spectral.amplitude.value, own, copy)
    before = np.asarray(gj.npred_signal(dataset, own))
    copy[...] = 0
    without = [m for m in own if m.name != "s2"]
    np.testing.assert_allclose(
        gj.npred_signal(dataset, own), gj.npred_signal(dataset, without), rtol=1e-9, atol=1e-12 * before.max()
    )
    assert not np.allclose(gj.npred_signal(dataset, own), before)


def test_transformations_have_nothing_kept_in_them(dataset, models, made):
    known = np.asarray(gj.npred_signal(dataset, models))
    made.clear()
    inside = jax.jit(lambda: gj.npred_signal(dataset, models))()
    np.testing.assert_allclose(inside, known, rtol=1e-10, atol=1e-12 * known.max())
    assert made == [len(models)] and kept_counts.count() == 1

    def with_exposure(values):
        return gj.npred_signal(dataset.replace(exposure=values), models)

    exposure = jnp.asarray(dataset.exposure)
    slope = jax.jvp(with_exposure, (exposure,), (exposure,))[1]
    np.testing.assert_allclose(slope, known, rtol=1e-9, atol=1e-12 * known.max())
    batch = jax.vmap(with_exposure)(jnp.stack([exposure, 2 * exposure]))
    np.testing.assert_allclose(batch[1], 2 * known, rtol=1e-9, atol=1e-12 * known.max())
    assert kept_counts.count() == 1

    def with_amplitude(value):
        at = eqx.tree_at(lambda m: m.models[0].spectral.amplitude.value, models, value)
        return jnp.sum(gj.npred_signal(dataset, at))

    made.clear()
    slope = jax.grad(with_amplitude)(jnp.asarray(1e-11))
    np.testing.assert_allclose(slope, np.sum(gj.npred_signal(dataset, [models[0]])) / 1e-11, rtol=1e-9)
    # of the frozen ones nothing was traced
    assert made[0] == 1


def test_threads_and_limits(dataset, models, monkeypatch):
    kept_counts.clear()
    datasets = [dataset.replace(exposure=np.asarray(dataset.exposure) * f) for f in (1.0, 1.5, 2.0, 3.0)]
    expected = [np.asarray(gj.npred_signal(d, models)) for d in datasets]
    size = expected[0].nbytes
    monkeypatch.setattr(kept_counts, "most_bytes", 2 * size)
    kept_counts.clear()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: np.asarray(gj.npred_signal(datasets[i % 4], models)), range(16)))
    for i, signal in enumerate(found):
        np.testing.assert_array_equal(signal, expected[i % 4])
    assert kept_counts.count() == 2


def test_settings_of_jax_choose_results(dataset, models):
    double = gj.npred_signal(dataset, models)
    with jax.enable_x64(False):
        single = gj.npred_signal(dataset, models)
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    assert gj.npred_signal(dataset, models).dtype == np.float64
