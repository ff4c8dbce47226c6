"""Energy bins merged and cut out: what is conserved, and what is predicted afterwards."""

import itertools

import astropy.units as u
import numpy as np
import pytest
from cases import maps as map_cases
from cases import reshape as reshape_cases

import gammajax as gj
from gammajax.datasets import InputError
from gammajax.datasets.counts import check_factor, slice_bounds

small_map, source = (map_cases.small_map, map_cases.source)
RECO, TRUE, TYPES, assert_carried, dataset, safe_total = (
    reshape_cases.RECO,
    reshape_cases.TRUE,
    reshape_cases.TYPES,
    reshape_cases.assert_carried,
    reshape_cases.dataset,
    reshape_cases.safe_total,
)


GROUPS = [1, 3, 4, 6]
"""Edges that are kept; the first bin is dropped, the third group is two bins of which one is not safe."""


def grouped(values, axis=0):
    return np.stack([np.asarray(values)[a:b].sum(axis) for a, b in itertools.pairwise(GROUPS)])


@pytest.mark.parametrize("tag", TYPES)
def test_resample(tag):
    before = dataset(tag)
    after = before.resample_energy_axis(RECO[GROUPS] * 1000 * u.GeV)
    assert_carried(after, before)
    np.testing.assert_array_equal(after.energy_edges, RECO[GROUPS])
    safe = np.asarray(before.mask_safe)
    np.testing.assert_array_equal(after.counts, grouped(before.counts * safe))
    np.testing.assert_allclose(after.background, grouped(before.background * safe), rtol=1e-14)
    np.testing.assert_array_equal(after.mask_safe, grouped(safe) > 0)
    np.testing.assert_array_equal(after.mask_fit, grouped(before.mask_fit) > 0)
    np.testing.assert_array_equal(after.exposure, before.exposure)
    if tag.endswith("OnOff"):
        np.testing.assert_array_equal(after.counts_off, grouped(before.counts_off * safe))
    if tag.startswith("Map"):
        assert after.psf is before.psf
        expected = grouped(np.moveaxis(before.edisp.values, 1, 0) * safe[:, 0, 0, None, None, None])
        np.testing.assert_allclose(np.moveaxis(after.edisp.values, 1, 0), expected, rtol=1e-14)
    axis = gj.MapAxis.from_edges(RECO[GROUPS], "log", "energy", "TeV")
    np.testing.assert_array_equal(before.resample_energy_axis(axis).counts, after.counts)


@pytest.mark.parametrize("tag", TYPES)
def test_to_image(tag):
    before = dataset(tag)
    after = before.to_image()
    assert after.data_shape == (1, *before.pixels) and after.n_true == before.n_true
    safe = np.asarray(before.mask_safe)
    np.testing.assert_array_equal(after.counts[0], safe_total(before.counts, safe, 0))
    np.testing.assert_allclose(after.background[0], safe_total(before.background, safe, 0), rtol=1e-14)
    np.testing.assert_array_equal(after.mask_safe[0], safe.any(0))


def test_downsample_energy():
    before = dataset("SpectrumDataset")
    after = before.downsample(2, axis_name="energy")
    np.testing.assert_array_equal(after.energy_edges, RECO[::2])
    np.testing.assert_array_equal(after.counts, before.resample_energy_axis(RECO[::2]).counts)
    with pytest.raises(InputError, match=r"downsample: the factor 4 does not divide the 6 energy bins"):
        before.downsample(4, "energy")
    with pytest.raises(InputError, match=r"axis_name is None, expected 'energy' for a SpectrumDataset"):
        before.downsample(2)


@pytest.mark.parametrize("kind", ["matrix", "perfect"])
@pytest.mark.parametrize("tag", ["SpectrumDataset", "SpectrumDatasetOnOff"])
def test_predictions_of_merged_bins_are_the_sums(tag, kind, power_law):
    before = dataset(tag, **({} if kind == "matrix" else {"edisp": None}))
    signal = np.asarray(gj.npred_signal(before, power_law()))
    after = before.resample_energy_axis(RECO[GROUPS])
    np.testing.assert_allclose(
        gj.npred_signal(after, power_law()), grouped(signal * np.asarray(before.mask_safe)), rtol=1e-12
    )


def test_predictions_of_images_are_the_sums():
    safe = np.ones((3, 16, 16), bool)
    safe[0] = False
    before = small_map(n=16, sigma=None, mask_safe=safe)
    models = gj.Models([source(gj.PointSpatialModel(lon_0=83.7, lat_0=22.05))])
    signal = np.asarray(gj.npred_signal(before, models))
    found = np.asarray(gj.npred_signal(before.to_image(), models))
    np.testing.assert_allclose(found[0], safe_total(signal, safe, 0), atol=1e-12 * found.max())
    # a bin that is left out would be a tenth more
    assert signal[0].sum() > 0.1 * found.sum()


def test_migration_tables_lose_what_falls_into_masked_bins():
    table = gj.EDispMap.from_gauss(TRUE, np.linspace(0.2, 4, 120), 0.12)
    before = dataset("MapDataset", edisp=table)
    after = before.to_image()
    matrix = np.asarray(table.to_kernel_map(RECO).values)
    safe = np.asarray(before.mask_safe)[:, 0, 0, None, None]
    np.testing.assert_allclose(after.edisp.values[:, 0], (matrix * safe).sum(1), rtol=1e-14)
    # nothing to lose: the table goes on, and its matrix for the merged bin is the sum
    whole = before.with_mask_safe(None).to_image()
    assert whole.edisp is table
    np.testing.assert_allclose(table.to_kernel_map(RECO[[0, -1]]).values[:, 0], matrix.sum(1), atol=1e-7)


@pytest.mark.parametrize("tag", TYPES)
def test_slices(tag):
    before = dataset(tag)
    after = before.slice_by_idx({"energy": slice(2, 5)})
    assert_carried(after, before)
    np.testing.assert_array_equal(after.energy_edges, RECO[2:6])
    for name in ("counts", "background", "counts_off", "acceptance", "acceptance_off", "mask_safe", "mask_fit"):
        if hasattr(before, name):
            np.testing.assert_array_equal(getattr(after, name), np.asarray(getattr(before, name))[2:5], err_msg=name)
    np.testing.assert_array_equal(after.exposure, before.exposure)
    values = "values" if tag.startswith("Map") else "matrix"
    np.testing.assert_array_equal(getattr(after.edisp, values), np.asarray(getattr(before.edisp, values))[:, 2:5])
    np.testing.assert_array_equal(before.slice_by_idx(energy=slice(-4, -1)).counts, after.counts)
    np.testing.assert_array_equal(before.slice_by_energy(RECO[2], RECO[5] * u.TeV).counts, after.counts)


def test_slice_of_a_psf_in_reconstructed_energy():
    centers = np.sqrt(RECO[:-1] * RECO[1:])
    before = dataset("MapDataset", psf=gj.RecoPSFMap.from_gauss(centers, np.linspace(0.2, 0.1, 6)))
    after = before.slice_by_idx(energy=slice(1, 3))
    np.testing.assert_array_equal(after.psf.energy, centers[1:3])
    np.testing.assert_array_equal(after.psf.values, np.asarray(before.psf.values)[1:3])
    assert (after.psf.reach, after.psf.core) == (before.psf.reach, before.psf.core)


def test_energies_move_to_the_nearest_edge():
    edges = np.geomspace(1, 10, 4)
    spectrum = gj.SpectrumDataset(edges, counts=[1, 2, 3])
    # (1.5, 7) TeV on three bins a decade
    with pytest.warns(UserWarning, match="1.5 TeV is inside the bin from 1 to 2.15443 TeV, and is moved"):
        found = spectrum.slice_by_energy("1.5 TeV", 10)
    np.testing.assert_allclose(found.energy_edges, edges[1:], rtol=1e-15)
    found = spectrum.slice_by_energy("1.5 TeV", 7, round_to_edge=True)
    np.testing.assert_allclose(found.energy_edges, edges[1:], rtol=1e-15)
    whole = spectrum.slice_by_energy("1.5 TeV", 7, round_to_edge=False)
    np.testing.assert_allclose(whole.energy_edges, edges[1:3], rtol=1e-15)
    # an edge of float32 is one
    exact = spectrum.slice_by_energy(float(np.float32(edges[1])), float(np.float32(edges[2])), round_to_edge=False)
    assert exact.counts.tolist() == spectrum.slice_by_energy(*edges[1:3]).counts.tolist() == [2]
    assert spectrum.slice_by_energy(0.01, 1e3).n_reco == 3
    assert spectrum.slice_by_energy(energy_min=3e3 * u.GeV, round_to_edge=True).counts.tolist() == [2, 3]
    for low, high in ((1.01, 1.02), (20, 30), (5, 2)):
        with pytest.raises(InputError, match=r"slice_by_energy: no bin is left between"):
            spectrum.slice_by_energy(low, high, round_to_edge=True)
    for bad in ("many", 3 * u.s, -1.0, np.nan, [1, 2]):
        with pytest.raises(InputError, match=r"energy_min"):
            spectrum.slice_by_energy(energy_min=bad)


def test_datasets_slice_by_energy():
    low, high = (gj.SpectrumDataset(np.geomspace(1, 10, 4) * f, counts=[1, 2, 3]) for f in (1, 100))
    found = gj.Datasets({"low": low, "high": high}).slice_by_energy(1 * u.TeV, 5 * u.TeV, round_to_edge=True)
    assert found.names == ("low",) and found["low"].counts.tolist() == [1, 2]
    with pytest.raises(InputError, match="must be a positive energy"):
        gj.Datasets({"low": low}).slice_by_energy(-1)
    points = gj.FluxPointsDataset(gj.FluxPoints([1.0, 2.0], [1.0, 1.0], [1e-12, 1e-13], norm_err=[0.1, 0.1]))
    with pytest.raises(InputError, match="dataset 'other' is a FluxPointsDataset, which has no bins of counts"):
        gj.Datasets({"other": points}).slice_by_energy(1)


@pytest.mark.parametrize(
    ("edges", "text"),
    [
        ([1.0, 20], r"resample_energy_axis: 1 TeV is not an edge of the energy bins; the nearest is 0\.92\d* TeV"),
        (RECO[[0, 2]] * (1 + 3e-6), "is not an edge"),
        ([0.5], "at least two bin edges"),
        ([RECO[3], RECO[1]], "positive, finite and increasing"),
        ([RECO[1], RECO[1] * (1 + 1e-9)], "is not an edge"),
        (RECO[[0, 2]] * u.s, "found unit 'TeV s'|found unit 's'"),
        (np.append(RECO, 40.0), "40 TeV is not an edge"),
    ],
)
def test_edges_that_are_none(edges, text):
    with pytest.raises(InputError, match=text):
        dataset("SpectrumDataset").resample_energy_axis(edges)


def test_edges_as_files_round_them():
    assert dataset("SpectrumDataset").resample_energy_axis(RECO[[0, 2]].astype(np.float32)).n_reco == 1
    assert TRUE.size == 8


@pytest.mark.parametrize(
    ("slices", "text"),
    [
        ({"energy": 3}, r"energy must be a slice such as slice\(0, 3\), found 3"),
        ({"energy": slice(0, 6, 2)}, "takes no range of the 6 bins"),
        ({"energy": slice(4, 4)}, "takes no range of the 6 bins"),
        ({"energy": slice(0.5, 2)}, "does not hold whole numbers"),
        ({"rad": slice(0, 2)}, "SpectrumDataset has no axis 'rad' to slice, expected energy"),
        (slice(0, 3), "slices must be a mapping"),
    ],
)
def test_bad_slices(slices, text):
    with pytest.raises(InputError, match=text):
        dataset("SpectrumDataset").slice_by_idx(slices)


def test_checks():
    assert slice_bounds(slice(None), 4, "x") == (0, 4)
    for bad in (0, -2, 1.5, True, "2"):
        with pytest.raises(InputError, match="factor must be a positive integer"):
            check_factor(bad, "x", {})


@pytest.mark.parametrize("tag", TYPES)
def test_true_energies_cut_out_leave_their_share_of_the_prediction(tag):
    """Predictions of the parts add up to that of the whole; each is the part of the flux between its energies."""
    whole = dataset(tag)
    parts = [whole.slice_by_idx(energy_true=bins) for bins in (slice(0, 2), slice(2, 3), slice(3, None))]
    assert [part.n_true for part in parts] == [2, 1, whole.n_true - 3]
    np.testing.assert_array_equal(parts[1].energy_true_edges, np.asarray(whole.energy_true_edges)[2:4])
    np.testing.assert_array_equal(parts[0].exposure, np.asarray(whole.exposure)[:2])
    np.testing.assert_array_equal(parts[0].counts, whole.counts)
    spatial = gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.01, sigma=0.1) if whole.pixels else None
    model = gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-10), name="s", spatial=spatial)
    found = [np.asarray(gj.npred_signal(part, model)) for part in parts]
    np.testing.assert_allclose(sum(found), gj.npred_signal(whole, model), rtol=1e-6, atol=1e-9 * np.max(found))
    assert all(np.any(part > 0) for part in found)
    both = whole.slice_by_idx({"energy": slice(1, 3), "energy_true": slice(0, 2)})
    assert (both.n_reco, both.n_true) == (2, 2)
    with pytest.raises(InputError, match="slice_by_idx: energy_true"):
        whole.slice_by_idx(energy_true=slice(99, 100))


def test_true_energies_of_every_response():
    """Kernels, tables and kernel maps of the energy dispersion, PSF kernels and maps."""
    geom = gj.SkyGeom.create(npix=9, binsz=0.1)
    true, reco = np.geomspace(0.5, 20, 5), np.geomspace(1, 10, 4)
    common = {"exposure": np.full((4, 9, 9), 1e13), "counts": np.zeros((3, 9, 9))}
    model = gj.SkyModel(
        gj.PowerLawSpectralModel(amplitude=1e-11),
        name="s",
        spatial=gj.GaussianSpatialModel(lon_0=0, lat_0=0, sigma=0.1),
    )
    responses = (
        {"edisp": gj.EDispKernel.from_gauss(true, reco, 0.2)},
        {"edisp": gj.EDispKernelMap.from_gauss(true, reco, 0.2), "psf": gj.PSFMap.from_gauss([0.5, 20], 0.1)},
        {
            "edisp": gj.EDispMap.from_gauss(true, np.linspace(0.1, 3, 100), 0.2),
            "psf": gj.PSFKernel.from_gauss(geom, true, [0.05, 0.1, 0.1, 0.15]),
        },
        {},
    )
    for given in responses:
        whole = gj.MapDataset(geom, reco, energy_true_edges=true, **common, **given)
        parts = [whole.slice_by_idx(energy_true=bins) for bins in (slice(0, 1), slice(1, 4))]
        total = sum(np.asarray(gj.npred_signal(part, model)) for part in parts)
        np.testing.assert_allclose(total, gj.npred_signal(whole, model), rtol=1e-9, atol=1e-12 * total.max())


def test_known_background_of_measured_ones():
    """alpha times the off counts; bins that nothing was measured in leave the safe mask."""
    spectrum = gj.SpectrumDatasetOnOff(
        RECO[:5],
        counts=[9, 8, 7, 6],
        counts_off=[10, 20, 0, 5],
        acceptance=[1, 1, 1, 0],
        acceptance_off=[4, 5, 0, 0],
        exposure=np.full(4, 1e12),
        livetime=100.0,
        stat_type="wstat",
    )
    assert "background 6.5" in repr(spectrum)
    known = spectrum.to_spectrum_dataset()
    assert type(known) is gj.SpectrumDataset and known.stat_type == "cash"
    np.testing.assert_allclose(known.background, [2.5, 4, 0, 0])
    np.testing.assert_array_equal(known.mask_safe, [True, True, False, True])
    np.testing.assert_array_equal(known.counts, spectrum.counts)
    assert float(known.livetime) == 100
    runs = dataset("MapDatasetOnOff")
    maps = runs.to_map_dataset()
    assert type(maps) is gj.MapDataset and maps.psf is runs.psf and maps.geom is runs.geom
    np.testing.assert_allclose(maps.background, runs.alpha * runs.counts_off)
    np.testing.assert_array_equal(maps.mask_safe, runs.mask_safe)
    with pytest.raises(InputError, match="no off counts"):
        spectrum.replace(counts_off=None).to_spectrum_dataset()
