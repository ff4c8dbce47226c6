"""Sums of datasets: worked examples, predictions, order, and what is refused."""

import equinox as eqx
import jax
import numpy as np
import pytest
from cases import maps as cases
from hypothesis import given, settings
from hypothesis import strategies as st

import gammajax as gj
from gammajax.datasets import InputError, Meta

EDGES = np.array([1.0, 2, 4, 8])
KINDS = ("SpectrumDataset", "SpectrumDatasetOnOff", "MapDataset", "MapDatasetOnOff")
MAPS, SPECTRA = KINDS[2:], KINDS[:2]
GEOM = gj.SkyGeom.create((83.0, 22.0), 0.1, npix=(5, 4))
GRID = gj.SkyGeom.create((83.0, 22.0), 0.2, npix=(3, 3))
"""Of responses: wider than the image, whose pixels do not lie evenly on it."""
POWER_LAW = gj.PowerLawSpectralModel(index=2.3, amplitude=3e-12)


def make(kind, rng=None, masked=0.3, at_positions=False, **fields):
    """A small dataset of a kind with random numbers in all that it can have."""
    rng = np.random.default_rng(0) if rng is None else rng
    is_map = kind.startswith("Map")
    pixels = fields["geom"].shape if "geom" in fields else GEOM.shape if is_map else ()
    shape = (3, *pixels)
    given = {
        "energy_true_edges": [0.8, 1.5, 3, 6, 9],
        "counts": rng.poisson(3, shape),
        "exposure": rng.uniform(1e12, 3e12, (4, *pixels)) * rng.choice([0, 1], (4, *pixels), p=[0.1, 0.9]),
        "edisp": gj.EDispKernel(rng.dirichlet(np.ones(3), 4)),
        "mask_safe": rng.random(shape) > masked,
        "livetime": rng.uniform(100, 200),
        "gti": gj.GTI([start := rng.uniform(0, 1e4)], [start + 100.0], 51910.0),
    }
    if kind.endswith("OnOff"):
        given |= {"counts_off": rng.poisson(1, shape), "acceptance": rng.uniform(1, 2, shape)}
        given |= {"acceptance_off": rng.uniform(5, 20, shape)}
    else:
        given["background"] = rng.uniform(1, 2, shape)
    if is_map:
        given["geom"] = GEOM
        if at_positions:
            weight = rng.uniform(1, 2, (4, *GRID.shape))
            values = np.moveaxis(rng.dirichlet(np.ones(3), (4, *GRID.shape)), -1, 1)
            given["edisp"] = gj.EDispKernelMap(GRID, values, weight)
            profiles = rng.uniform(1, 2, (4, 6, *GRID.shape))
            given["psf"] = gj.PSFMap(GRID, [1, 2, 4, 7], np.arange(0.05, 0.6, 0.1), None, profiles, weight)
        else:
            given["psf"] = gj.PSFMap.from_gauss([1, 2, 4, 7], rng.uniform(0.05, 0.2), rad=np.linspace(0, 0.6, 13))
    return getattr(gj, kind)(energy_edges=EDGES, **(given | fields))


def assert_same(a, b, rtol=1e-12):
    """Two sums hold the same numbers, to rounding."""
    for name in ("counts", "background", "counts_off", "acceptance", "acceptance_off", "alpha", "exposure", "livetime",
                 "mask_safe", "energy_edges"):  # fmt: skip
        if hasattr(a, name) and getattr(a, name) is not None:
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, err_msg=name)
    assert (a.mask_safe is None) == (b.mask_safe is None) and type(a) is type(b) and a.nodes == b.nodes
    for name in ("psf", "edisp"):
        one, other = getattr(a, name), getattr(b, name)
        assert type(one) is type(other)
        for field in ("values", "matrix", "exposure"):
            if getattr(one, field, None) is not None:
                np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=rtol, err_msg=name)
    for end in ("start", "stop"):
        np.testing.assert_allclose(getattr(a.gti, end), getattr(b.gti, end), rtol=rtol)


def test_on_off_worked_example():
    """The example of the algebra: background is kept in each bin, bins without off counts take the mean alpha."""
    common = {"energy_edges": EDGES, "acceptance": 1}
    a = gj.SpectrumDatasetOnOff(
        **common, counts=[10, 5, 2], counts_off=[40, 20, 0], acceptance_off=10, exposure=[1, 2, 3], livetime=50
    )
    b = gj.SpectrumDatasetOnOff(
        **common, counts=[7, 6, 1], counts_off=[30, 10, 0], acceptance_off=5, exposure=[4, 5, 6], livetime=100,
        mask_safe=[0, 1, 1],
    )  # fmt: skip
    for s in (a.stack(b), b.stack(a), gj.stack([a, b]), gj.Datasets({"a": a, "b": b}).stack_reduce()):
        assert s.counts.tolist() == [10, 11, 3] and s.counts_off.tolist() == [40, 30, 0]
        assert s.acceptance.tolist() == [1, 2, 2] and s.background.tolist() == [4, 4, 0]
        np.testing.assert_allclose(s.acceptance_off, [10, 15, 17.5], rtol=1e-15)
        np.testing.assert_allclose(s.alpha, [0.1, 4 / 30, 8 / 70], rtol=1e-15)
        assert s.exposure.tolist() == [5, 7, 9] and s.livetime == 150 and s.mask_safe.all()


def test_without_any_off_counts_acceptances_add_up():
    def run(off, acceptance_off, n_off=0):
        return gj.SpectrumDatasetOnOff(
            EDGES, counts=[1, 1, 1], counts_off=[n_off, 0, 0], acceptance=off, acceptance_off=acceptance_off
        )

    s = gj.stack([run(1, 10), run(2, 20)])
    assert s.acceptance_off.tolist() == [30, 30, 30] and s.acceptance.tolist() == [3, 3, 3]
    np.testing.assert_allclose(s.alpha, 0.1)
    assert s.background.tolist() == [0, 0, 0]
    # as soon as any bin has some they say what alpha is, however the sum is done
    more = run(1, 4, n_off=8)
    for total in (s.stack(more), gj.stack([run(1, 10), run(2, 20), more])):
        np.testing.assert_allclose(total.alpha, 0.25, rtol=1e-15)
        np.testing.assert_allclose(total.background, [2, 0, 0], rtol=1e-15)
    # off counts of which nothing is expected in the on region
    none = gj.stack([run(0, 10, n_off=5), run(0, 10, n_off=1)])
    assert none.alpha.tolist() == [0, 0, 0] and none.background.tolist() == [0, 0, 0]


def test_merging_bins_and_merging_runs_have_one_rule():
    """Two runs of one bin and one run of two bins: the same sums, with off counts and without any."""
    for n_off in ([0, 0], [3, 0], [0, 2], [4, 1]):
        fields = {"counts": [2, 3], "counts_off": n_off, "acceptance": [1, 2], "acceptance_off": [10, 7]}
        one = gj.SpectrumDatasetOnOff([1, 2, 4], **fields).to_image()
        two = gj.stack(
            [gj.SpectrumDatasetOnOff([1, 4], **{k: v[i : i + 1] for k, v in fields.items()}) for i in (0, 1)]
        )
        for name in ("counts", "counts_off", "acceptance", "acceptance_off", "alpha", "background"):
            np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-15, err_msg=name)


@pytest.mark.parametrize("kind", ["SpectrumDatasetOnOff", "MapDatasetOnOff"])
def test_merging_runs_and_merging_bins_can_be_swapped(kind):
    rng = np.random.default_rng(4)
    runs = [make(kind, rng, edisp=None, psf=None) if kind in MAPS else make(kind, rng) for _ in range(2)]
    one, other = gj.stack(runs).to_image(), gj.stack([run.to_image() for run in runs])
    for name in ("counts", "counts_off", "acceptance", "acceptance_off", "alpha", "background"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-14, err_msg=name)


@pytest.mark.parametrize("kind", ["SpectrumDatasetOnOff", "MapDatasetOnOff"])
def test_the_sum_of_one_dataset_has_its_statistic(kind):
    """Also in bins without off counts, whose alpha differs from that of the others."""
    run = make(kind)
    s, safe = gj.stack([run]), np.asarray(run.mask_safe)
    assert np.any(safe & (np.asarray(run.counts_off) == 0))
    for name in ("counts", "counts_off", "alpha"):
        np.testing.assert_allclose(getattr(s, name)[safe], getattr(run, name)[safe], rtol=1e-14, err_msg=name)
    if kind == "SpectrumDatasetOnOff":
        models = gj.Models([])
        np.testing.assert_allclose(gj.stat_array(s, models), gj.stat_array(run, models), rtol=1e-13)


def test_cash_worked_example():
    """Backgrounds .5 and 3, exposures 10 and 20; the second run is not safe in one pixel."""
    safe = np.ones((2, 3, 3), bool)
    safe[:, 1, 1] = False
    geom = gj.SkyGeom.create((0, 0), 0.1, npix=3)

    def run(background, exposure, mask):
        return gj.MapDataset(
            geom, [1, 2, 4], counts=np.ones((2, 3, 3)), background=np.full((2, 3, 3), background),
            exposure=np.full((2, 3, 3), exposure), mask_safe=mask,
        )  # fmt: skip

    s = run(0.5, 10, None).stack(run(3, 20, safe))
    np.testing.assert_array_equal(s.background, np.where(safe, 3.5, 0.5))
    np.testing.assert_array_equal(s.exposure, np.where(safe, 30, 10))
    np.testing.assert_array_equal(s.counts, np.where(safe, 2, 1))
    assert s.mask_safe.all() and s.edisp is None and s.psf is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_safe_bins_of_one_dataset(kind):
    """The first dataset is masked as every other."""
    run = make(kind)
    s = gj.stack([run])
    np.testing.assert_array_equal(s.counts, run.counts * run.mask_safe)
    np.testing.assert_array_equal(s.exposure, run.exposure * run.mask_safe.any(axis=0))
    np.testing.assert_array_equal(s.mask_safe, run.mask_safe)
    np.testing.assert_allclose(s.background, run.background * run.mask_safe, rtol=1e-15)
    assert s.livetime == run.livetime and s.mask_fit is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_dataset_without_safe_bins_changes_nothing(kind):
    run = make(kind, meta=Meta({"OBS_ID": 1}))
    nothing = make(kind, np.random.default_rng(5), masked=1.1, meta=Meta({"OBS_ID": 2}), edisp=None)
    for s in (nothing.stack(run), run.stack(nothing), gj.stack([nothing, run, nothing])):
        assert_same(s, gj.stack([run]))
        assert s.meta["OBS_ID"] == 1
    s = nothing.stack(nothing)
    assert not s.counts.any() and not s.exposure.any() and s.livetime == 0 and not s.mask_safe.any()
    assert s.gti.ontime.value == 0


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31), order=st.permutations(range(4)), cut=st.integers(1, 3), at_positions=st.booleans())
def test_neither_order_nor_parts_matter(kind, seed, order, cut, at_positions):
    rng = np.random.default_rng(seed)
    # responses at positions or without, few safe bins, and none at all in one of them
    masked = rng.choice([0.0, 0.3, 0.97, 1.1], 4, p=[0.2, 0.3, 0.4, 0.1])
    masked[rng.integers(4)] = 0.0
    runs = [make(kind, rng, share, at_positions) for share in masked]
    whole = gj.stack(runs)
    assert_same(gj.stack([runs[i] for i in order]), whole)
    assert_same(gj.stack(runs[:cut]).stack(gj.stack(runs[cut:])), whole)
    one_by_one = runs[order[0]]
    for i in order[1:]:
        one_by_one = one_by_one.stack(runs[i])
    assert_same(one_by_one, whole)


def test_more_counts_than_float32_holds():
    runs = [gj.SpectrumDataset([1, 2], counts=[n]) for n in (2.0**24, 1.0)]
    assert gj.stack(runs).counts[0] == 2**24 + 1


@pytest.mark.parametrize("kind", SPECTRA)
def test_predictions_in_safe_bins_add_up(kind):
    """sum_i m_i npred_i = npred of the sum, in every bin, whatever the thresholds; the plain sum of the predictions is
    that of the sum only in bins where all runs are safe."""
    rng = np.random.default_rng(2)
    runs = [make(kind, rng, mask_safe=mask) for mask in ([0, 0, 1], [0, 1, 1], [1, 1, 1])]
    models = gj.Models([gj.SkyModel(POWER_LAW, name="source")])
    signals = [np.asarray(gj.npred_signal(run, models)) for run in runs]
    s = gj.stack(runs)
    total = np.asarray(gj.npred_signal(s, models))
    np.testing.assert_allclose(total, sum(n * r.mask_safe for n, r in zip(signals, runs, strict=True)), rtol=1e-12)
    np.testing.assert_allclose(total[2], sum(signals)[2], rtol=1e-12)
    assert np.all(total[:2] < 0.9 * sum(signals)[:2])
    if kind == "SpectrumDataset":
        both = sum(np.asarray(gj.npred(r, models)) * r.mask_safe for r in runs)
        np.testing.assert_allclose(gj.npred(s, models), both, rtol=1e-12)


signal = jax.jit(lambda dataset, models: gj.npred_signal(dataset, models))
POINT = gj.Models([cases.source(gj.PointSpatialModel(lon_0=83.65, lat_0=22.03))])


PIXELS = gj.SkyGeom.create((83.63, 22.01), 0.5, npix=(2, 1))
ENERGIES = np.sqrt((edges := np.geomspace(0.5, 20, 5))[1:] * edges[:-1])
# of the sizes of both: kernels of one size have one program
SIZES = gj.PSFMap(PIXELS, ENERGIES, (rad := np.arange(0.0015, 0.8, 0.003)), None, np.stack(
    [gj.PSFMap.from_gauss(ENERGIES, sigma, rad=np.append(rad - 0.0015, rad[-1] + 0.0015)).values[..., 0]
     for sigma in (0.06, 0.13)], axis=-1))  # fmt: skip


def sized(values, exposure):
    arrays = np.broadcast_to(values, SIZES.values.shape), np.broadcast_to(exposure, (4, 1, 2)) * 1.0
    return eqx.tree_at(lambda p: (p.values, p.exposure), SIZES, arrays, is_leaf=lambda leaf: leaf is None)


def run_of(exposure, sigma, low):
    run = cases.small_map(n=10, sigma=None)
    mask = np.broadcast_to(np.arange(3)[:, None, None] >= low, run.data_shape)
    values = np.exp(-0.5 * (rad / sigma) ** 2) / (2 * np.pi * np.radians(sigma) ** 2)
    psf = sized(values[:, None, None], np.mean(exposure) * np.asarray(run.exposure)[:, 5:6, 5:6])
    matrices = np.broadcast_to(np.asarray(run.edisp.matrix)[..., None, None], (4, 3, 1, 2))
    edisp = gj.EDispKernelMap(PIXELS, matrices, psf.exposure)
    return run.replace(mask_safe=mask, exposure=run.exposure * exposure, psf=psf, edisp=edisp)


def signal_of_sum(runs):
    s = gj.stack(runs)
    return np.asarray(signal(s.replace(psf=sized(s.psf.values, s.psf.exposure)), POINT))


def test_map_predictions_add_up_where_responses_agree():
    """Thresholds differ, exposures are multiples of each other, the PSF is one."""
    runs = [run_of(1.0, 0.12, 1), run_of(0.3, 0.12, 0)]
    total = signal_of_sum(runs)
    each = [np.asarray(signal(run, POINT)) for run in runs]
    expected = sum(n * r.mask_safe for n, r in zip(each, runs, strict=True))
    np.testing.assert_allclose(total, expected, rtol=1e-10, atol=1e-10 * expected.max())
    assert np.all(total[0] < 0.5 * sum(each)[0])


def test_map_predictions_of_different_psfs_add_up_only_where_exposures_are_flat():
    """The average PSF at the source stands for the products of PSFs and exposures at every pixel."""

    def worst(slope):
        fall = np.exp(slope * np.linspace(-1, 1, 10))
        flat = 4e13 / cases.small_map(n=10, sigma=None).exposure
        runs = [
            run.replace(exposure=run.exposure * flat) for run in (run_of(2 * fall, 0.06, 0), run_of(1 / fall, 0.12, 0))
        ]
        runs = [run.replace(psf=sized(run.psf.values, factor)) for run, factor in zip(runs, (2.0, 1.0), strict=True)]
        expected = sum(np.asarray(signal(run, POINT)) for run in runs)
        return np.abs(signal_of_sum(runs) - expected).max() / expected.max()

    # kernels end where they hold 99.9 % of the wider PSF
    assert worst(0.0) < 2e-3
    assert 0.005 < worst(0.5) < 0.1


@pytest.mark.parametrize("kind", MAPS)
def test_cutouts(kind):
    """Cutouts enter where they belong, whatever their order; what they do not cover is not safe."""
    rng = np.random.default_rng(3)
    wcs = GEOM.wcs.deepcopy()
    wcs.wcs.crpix = wcs.wcs.crpix - [2, 1]
    part = gj.SkyGeom.from_wcs(wcs, (3, 2))
    inside = np.s_[:, 1:4, 2:4]
    big, small = make(kind, rng), make(kind, rng, geom=part)
    s = big.stack(small)
    expected = big.counts * big.mask_safe
    expected[inside] += small.counts * small.mask_safe
    np.testing.assert_array_equal(s.counts, expected)
    exposure = big.exposure * big.mask_safe.any(0)
    exposure[inside] += small.exposure * small.mask_safe.any(0)
    np.testing.assert_allclose(s.exposure, exposure, rtol=1e-15)
    assert_same(gj.stack([small, big], geom=GEOM), s)
    alone = gj.stack([small.with_mask_safe(None)], geom=GEOM)
    covered = np.zeros(alone.data_shape, bool)
    covered[inside] = True
    np.testing.assert_array_equal(alone.mask_safe, covered)


def test_fit_masks_are_dropped_and_missing_safe_masks_stay_missing():
    runs = [make("SpectrumDataset", mask_safe=None).with_mask_fit(energy_min=2) for _ in range(2)]
    s = gj.stack(runs)
    assert s.mask_safe is None and s.mask_fit is None
    assert runs[0].stack(runs[1].with_mask_safe([1, 0, 0])).mask_safe.all()


def test_unknown_stays_unknown():
    run = make("SpectrumDatasetOnOff")
    assert np.isnan(run.stack(run.replace(livetime=None)).livetime)
    s = gj.stack([run.replace(counts=None, gti=None)] * 2)
    assert s.counts is None and s.gti is None
    assert run.stack(run.replace(gti=None)).gti.ontime.value == pytest.approx(100)


def test_input_stays_and_lazy_datasets_are_read(tmp_path):
    runs = gj.Datasets({"a": make("SpectrumDatasetOnOff"), "b": make("SpectrumDatasetOnOff")})
    before = runs["a"].counts.copy()
    s = gj.stack(runs)
    assert np.array_equal(runs["a"].counts, before)
    runs.write(tmp_path / "runs.yaml")
    assert_same(gj.Datasets.read(tmp_path / "runs.yaml", lazy=True).stack_reduce(), s, rtol=1e-9)
    assert_same(gj.stack({"x": runs["a"], "y": runs["b"]}), s)


SHIFTED = gj.SkyGeom.create((83.05, 22.0), 0.1, npix=(5, 4))


@pytest.mark.parametrize(
    ("kind", "changes", "text"),
    [
        (
            "SpectrumDataset",
            {"energy_edges": [1.0, 2, 4, 9]},
            r"energy_edges \(TeV\): found 4 from 1 to 9 in dataset 'b'",
        ),
        (
            "SpectrumDataset",
            {"energy_true_edges": [0.8, 1.5, 3, 6, 10]},
            r"energy_true_edges \(TeV\): found 5 from 0.8",
        ),
        ("SpectrumDataset", {"counts": None}, "dataset 'b' has no counts and 'a' has"),
        ("SpectrumDataset", {"background": None}, "dataset 'b' has no background and 'a' has"),
        ("SpectrumDatasetOnOff", {"counts_off": None}, "dataset 'b' has no counts_off and 'a' has"),
        ("MapDataset", {"exposure": None}, "dataset 'b' has no exposure and 'a' has"),
        ("MapDataset", {"psf": None}, "psf: found none in dataset 'b' and a PSFMap in 'a', expected the same kind"),
        ("MapDataset", {"source_grid": "pixel"}, "source_grid is 'pixel' in dataset 'b' and 'exact' in 'a'"),
        ("MapDatasetOnOff", {"geom": SHIFTED}, r"'a' and 'b' have different pixels .*Pass geom"),
    ],
)
def test_datasets_that_do_not_fit_together(kind, changes, text):
    fields = changes if set(changes) & {"energy_edges", "source_grid"} else {}
    other = make(kind, **({} if fields else changes))
    with pytest.raises(InputError, match=text):
        gj.stack({"a": make(kind), "b": other.replace(**fields)})


def test_other_bad_input():
    spectrum, image = make("SpectrumDataset"), make("MapDataset")
    with pytest.raises(InputError, match="there are no datasets"):
        gj.stack([])
    with pytest.raises(InputError, match="there are no datasets"):
        gj.Datasets().stack_reduce()
    with pytest.raises(InputError, match="found a single SpectrumDataset, expected a mapping"):
        gj.stack(spectrum)
    with pytest.raises(InputError, match="'b' is a SpectrumDatasetOnOff and 'a' a SpectrumDataset, expected one type"):
        gj.stack({"a": spectrum, "b": make("SpectrumDatasetOnOff")})
    with pytest.raises(InputError, match="dataset 'b' is a MapDataset and 'a' a SpectrumDataset, expected one type"):
        gj.Datasets({"a": spectrum, "b": image}).stack_reduce()
    points = gj.FluxPointsDataset(gj.FluxPoints([1.0, 2.0], [1.0, 1.0], [1e-12, 1e-13], norm_err=[0.1, 0.1]))
    with pytest.raises(InputError, match="dataset 'b' is a FluxPointsDataset, expected one of counts"):
        gj.Datasets({"a": spectrum, "b": points}).stack_reduce()
    with pytest.raises(InputError, match="found ndarray, expected a dataset: a SpectrumDataset"):
        spectrum.stack(np.ones(3))
    with pytest.raises(InputError, match="not inside a JAX transformation"):
        jax.jit(lambda run: run.stack(run).counts)(spectrum)
    with pytest.raises(InputError, match="geom is for maps only"):
        gj.stack([spectrum], geom=GEOM)
    with pytest.raises(InputError, match="geom must be a SkyGeom, found tuple"):
        gj.stack([image], geom=(4, 5))
    with pytest.raises(InputError, match=r"pixels of dataset 'other' .* are not those of the sum .* whole pixels"):
        image.stack(make("MapDataset", geom=SHIFTED))
    with pytest.raises(
        InputError, match=r"'other' .* sticks out of the sum .*: its first pixel is at row -1, column -1"
    ):
        image.stack(make("MapDataset", geom=gj.SkyGeom.create((83.0, 22.0), 0.1, npix=(7, 6))))


def test_something_else_is_stacked():
    with pytest.raises(InputError, match=r"^stack: found int, expected a dataset: a SpectrumDataset"):
        gj.SpectrumDataset.create(EDGES).stack(5)
