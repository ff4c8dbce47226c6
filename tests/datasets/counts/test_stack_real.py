"""Sums of the four H.E.S.S. Crab runs against the stored sums of another program, in float32."""

import equinox as eqx
import jax
import numpy as np
import pytest
from astropy.io import fits

import gammajax as gj

pytestmark = pytest.mark.slow

RUNS = (23523, 23526, 23559, 23592)
PRECISION = 1e-6
"""Of the largest value: what float32 sums are good for."""


signal = jax.jit(gj.npred_signal)
"""Compiled once for all runs and positions."""


def point(lon, lat):
    power_law = gj.PowerLawSpectralModel(index=2.3, amplitude=3.5e-11)
    return gj.Models([gj.SkyModel(power_law, spatial=gj.PointSpatialModel(lon_0=lon, lat_0=lat), name="crab")])


def assert_close(found, reference, what=""):
    reference = np.asarray(reference, float)
    np.testing.assert_allclose(found, reference, rtol=0, atol=PRECISION * np.abs(reference).max(), err_msg=what)


def assert_same_times(found, reference):
    for times in ("time_start", "time_stop"):
        difference = getattr(found, times) - getattr(reference, times)
        np.testing.assert_allclose(difference.to_value("s"), 0, atol=1e-5)


@pytest.fixture(scope="module")
def reference(data_path):
    return np.load(data_path / "hess-crab" / "stacking.npz")


def spectra(folder):
    return gj.Datasets({f"run-{n}": gj.SpectrumDatasetOnOff.read(folder / f"pha_obs{n}.fits") for n in RUNS})


@pytest.fixture(scope="module")
def maps(data_path):
    folder = data_path / "hess-crab" / "maps"
    return gj.Datasets({f"run-{n}": gj.MapDataset.read(folder / f"obs_{n}.fits.gz") for n in RUNS})


@pytest.mark.parametrize(
    ("folder", "key", "file"),
    [
        ("hess-crab/spectra", "spec_own", "hess-crab/stacked_spectra.fits"),
        ("joint-crab/spectra/hess", "spec_jointcrab", "joint-crab/stacked_hess.fits"),
    ],
)
def test_spectra(data_path, reference, folder, key, file):
    runs = spectra(data_path / folder)
    s = gj.stack(runs)
    stored = gj.SpectrumDatasetOnOff.read(data_path / file)
    for name in ("counts", "counts_off", "acceptance", "acceptance_off", "alpha", "background", "mask_safe"):
        wanted = reference[f"{key}::stacked::{name}"]
        assert_close(getattr(s, name), wanted, name)
        assert_close(np.where(s.mask_safe, getattr(s, name), getattr(stored, name)), getattr(stored, name), name)
    # bins without off counts are among them: they take the mean alpha
    assert (np.asarray(s.mask_safe) & (s.counts_off == 0)).sum() > 1
    assert_close(s.exposure, reference[f"{key}::stacked::exposure_cm2_s"])
    assert_close(s.exposure, stored.exposure)
    if s.gti is not None:
        np.testing.assert_allclose(s.gti.ontime.value, reference[f"{key}::stacked::gti_time_sum_s"], rtol=1e-12)
        assert_same_times(s.gti, stored.gti)
    if np.isfinite(s.livetime):
        np.testing.assert_allclose(s.livetime, reference[f"{key}::stacked::livetime_s"], rtol=1e-12)
    weights = [
        _response_exposure(data_path / folder / f"pha_obs{n}.fits", run) for n, run in zip(RUNS, runs, strict=True)
    ]
    same = [run.replace(exposure=weight) for run, weight in zip(runs, weights, strict=True)]
    assert_close(gj.stack(same).edisp.matrix, reference[f"{key}::stacked::edisp_kernel"])
    assert_close(gj.stack(same).edisp.matrix, stored.edisp.matrix)


def _response_exposure(path, run):
    """What the other program weights matrices with: the exposure before the correction for containment, if stored."""
    with fits.open(path) as hdus:
        if "EDISP_EXPOSURE" not in hdus:
            return run.exposure
        table = hdus["EDISP_EXPOSURE"]
        return np.ravel(table.data["DATA"]).astype(float) * 1e4


def test_predictions_of_spectra_add_up(data_path):
    """Thresholds differ from run to run, and so does the containment in the region: with the exposure that a prediction
    is made with as weight the sum holds in every bin."""
    models = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=3.5e-11), name="crab")])
    for folder in ("hess-crab/spectra", "joint-crab/spectra/hess"):
        runs = spectra(data_path / folder)
        assert len({int(np.sum(run.mask_safe)) for run in runs}) > 1
        expected = sum(np.asarray(gj.npred_signal(run, models)) * run.mask_safe for run in runs)
        found = np.asarray(gj.npred_signal(gj.stack(runs), models))
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * expected.max())


def test_maps(data_path, reference, maps):
    s = gj.stack(maps)
    stored = gj.MapDataset.read(data_path / "hess-crab" / "stacked_maps.fits.gz")
    for name in ("counts", "background", "mask_safe"):
        assert_close(getattr(s, name), reference[f"map::stacked::{name}"], name)
        assert_close(getattr(s, name), getattr(stored, name), name)
    assert_close(s.exposure, stored.exposure)
    np.testing.assert_allclose(s.livetime, reference["map::stacked::livetime_s"], rtol=1e-12)
    assert_same_times(s.gti, stored.gti)
    # The other program asks the masks between four pixels in the middle of each pixel of the responses, and rounds
    # either way. So it forgets runs that are safe elsewhere in it, and takes those for whole of which a corner is safe:
    # compare where the masks of all runs are the same in all of the 4 x 4 pixels. Responses of energies at which no run
    # is safe there are 0 in one, and go on in the other, for safe pixels beside them.
    safe = np.stack([run.mask_safe for run in maps]).reshape(4, 16, 15, 4, 15, 4)
    images = safe.any(axis=1)
    whole = (images.any((2, 4)) == images.all((2, 4))).all(axis=0)
    assert whole.sum() > 0.8 * whole.size
    assert_close(s.psf.values[..., whole], stored.psf.values[..., whole])
    assert_close(s.psf.exposure[..., whole], stored.psf.exposure[..., whole])
    assert_close(s.edisp.exposure[..., whole], stored.edisp.exposure[..., whole])
    bins = (safe.any((3, 5)) == safe.all((3, 5))).all(axis=0) & whole & safe.any((0, 3, 5))
    assert bins.sum() > 0.7 * bins.size
    assert_close(s.edisp.values * bins, stored.edisp.values * bins)
    names = [c["name"] for c in s.meta["meta_table"]["columns"]]
    columns = {c["name"]: c for c in stored.meta["meta_table"]["columns"]}
    assert set(names) == set(columns)
    for column in s.meta["meta_table"]["columns"]:
        assert np.array_equal(column["array"], columns[column["name"]]["array"])
        assert column["format"] == columns[column["name"]]["format"]


def test_fermi_cube(data_path, maps):
    """Whose PSF has two pixels for all of the sky: the sum of one dataset predicts what it does, of two twice that."""
    fermi = gj.MapDataset.read(data_path / "fermi-3fhl-crab" / "Fermi-LAT-3FHL_data_Fermi-LAT.fits")
    assert fermi.psf.geom.shape == (1, 2) and not np.asarray(fermi.mask_safe).all()
    safe = np.asarray(fermi.mask_safe)
    models = point(83.63, 22.01)
    expected = np.asarray(signal(fermi, models)) * safe
    assert expected.sum() > 3000
    again = fermi.to_masked()
    for runs, factor in (([fermi], 1), ([again], 1), ([fermi, fermi], 2), ([fermi, again], 2)):
        found = np.asarray(signal(gj.stack(runs), models)) * safe
        np.testing.assert_allclose(found, factor * expected, rtol=0, atol=factor * 1e-12 * expected.max())


def test_the_sum_of_one_run_predicts_the_same(maps):
    """In safe bins, and for sources beside the safe pixels too; masked or not, alone or beside one without any."""
    run = maps["run-23559"]
    safe = np.asarray(run.mask_safe)
    nothing = maps["run-23526"].with_mask_safe(np.zeros(safe.shape, bool))
    _, row, column = np.argwhere(np.diff(safe, axis=2))[0]
    lon, lat = run.geom.wcs.wcs_pix2world(column + 0.3, row + 0.2, 0)
    for models in (point(83.62, 22.02), point(float(lon), float(lat))):
        expected = np.asarray(signal(run, models)) * safe
        assert expected.max() > 0
        for one in (gj.stack([run]), run.to_masked(), gj.stack([run.to_masked()]), nothing.stack(run)):
            found = np.asarray(signal(one, models)) * safe
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * expected.max())


def test_maps_in_parts(maps):
    whole, parts = gj.stack(maps), maps[:2].stack_reduce().stack(gj.stack(maps[2:]))
    for name in ("counts", "background", "exposure", "mask_safe", "livetime"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-12)
    for name in ("psf", "edisp"):
        one, other = getattr(parts, name), getattr(whole, name)
        np.testing.assert_allclose(one.values, other.values, rtol=1e-12)
        np.testing.assert_allclose(one.exposure, other.exposure, rtol=1e-12)


def test_predictions_of_maps_nearly_add_up(maps):
    """PSFs and exposures differ from run to run and over the width of the PSF. Counts add up to 0.1 %, and pixels to
    0.1 % of the highest; but at an energy at which one run alone is safe, the sum has the average PSF of both (1 %)."""
    models = point(83.62, 22.02)
    maps = maps.select(["run-23526", "run-23559"])
    expected = sum(np.asarray(signal(run, models)) * run.mask_safe for run in maps)
    s = gj.stack(maps)
    # kernels of the size of those of the runs, and one interval of time: one program for all
    where, run = lambda psf: (psf.values, psf.exposure), maps["run-23526"]
    s = s.replace(psf=eqx.tree_at(where, run.psf, where(s.psf)), gti=run.gti)
    found = np.asarray(signal(s, models))
    error = np.abs(found - expected).max(axis=(1, 2)) / expected.max()
    assert abs(found.sum() / expected.sum() - 1) < 1e-3
    number = sum(np.asarray(run.mask_safe).any(axis=(1, 2)).astype(int) for run in maps)
    assert error[number != 1].max() < 1e-3 and not found[number == 0].any()
    assert 0.005 < error[number == 1].max() < 0.02
