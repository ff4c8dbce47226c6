"""Counts statistics, residuals and tables of runs beside gammapy."""

import numpy as np
import pytest

import gammajax as gj

pytest.importorskip("gammapy")

N_ON, N_OFF, ALPHA = (
    a.ravel()
    for a in np.meshgrid([0, 1, 2, 10, 55, 1000.0], [0, 1, 7, 60, 3000.0], [0.01, 0.1, 0.5, 1.0], indexing="ij")
)
MU = ALPHA * N_OFF + 0.3


@pytest.fixture(scope="module")
def cash():
    from gammapy.stats import CashCountsStatistic

    return gj.CashCountsStatistic(N_ON, MU), CashCountsStatistic(N_ON, MU)


@pytest.fixture(scope="module")
def wstat():
    from gammapy.stats import WStatCountsStatistic

    return gj.WStatCountsStatistic(N_ON, N_OFF, ALPHA), WStatCountsStatistic(N_ON, N_OFF, ALPHA)


@pytest.mark.parametrize("kind", ["cash", "wstat"])
def test_numbers(kind, request):
    ours, theirs = request.getfixturevalue(kind)
    # theirs are differences of numbers up to 1e5
    for name, atol in (
        ("n_sig", 0),
        ("n_bkg", 0),
        ("error", 0),
        ("p_value", 0),
        ("stat_null", 1e-9),
        ("stat_max", 1e-9),
    ):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-8, atol=atol, err_msg=name)
    np.testing.assert_allclose(ours.ts, theirs.ts, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(np.square(ours.sqrt_ts), np.square(theirs.sqrt_ts), rtol=1e-8, atol=1e-9)
    certain = theirs.ts > 1e-6
    np.testing.assert_array_equal(np.sign(ours.sqrt_ts)[certain], np.sign(theirs.sqrt_ts)[certain])


@pytest.mark.parametrize("n_sigma", [1.0, 3.0])
def test_errors_with_known_background(cash, n_sigma):
    ours, theirs = cash
    for name in ("compute_errn", "compute_errp", "compute_upper_limit"):
        np.testing.assert_allclose(
            getattr(ours, name)(n_sigma), getattr(theirs, name)(n_sigma), rtol=1e-8, err_msg=name
        )
    for significance in (-0.5, 0.5, 5.0):
        expected = theirs.n_sig_matching_significance(significance)
        # no counts at all are less significant there; theirs is the real part of a complex number
        reached = significance > -np.sqrt(2 * MU)
        found = np.asarray(ours.n_sig_matching_significance(significance))
        np.testing.assert_allclose(found[reached], expected[reached], rtol=1e-8)
        assert np.all(np.isnan(found[~reached]))


@pytest.mark.parametrize("n_sigma", [1.0, 3.0])
def test_errors_with_off_counts(wstat, n_sigma):
    """To the tolerance of gammapy's root finder; where it finds no root it gives NaN, or n_on for errn."""
    ours, theirs = wstat
    for name in ("compute_errn", "compute_errp", "compute_upper_limit"):
        expected, found = getattr(theirs, name)(n_sigma), np.asarray(getattr(ours, name)(n_sigma))
        assert np.all(np.isfinite(found))
        known = np.isfinite(expected) & ~((name == "compute_errn") & (expected == N_ON))
        assert known.mean() > 0.8
        np.testing.assert_allclose(found[known], expected[known], rtol=1e-6, atol=1e-8, err_msg=name)


def test_excess_over_off_counts(wstat):
    ours, theirs = wstat
    for significance in (1.0, 5.0):
        found = np.asarray(ours.n_sig_matching_significance(significance))
        expected = theirs.n_sig_matching_significance(significance)
        known = np.isfinite(expected)
        assert known.mean() > 0.8 and np.all(np.isfinite(found))
        np.testing.assert_allclose(found[known], expected[known], rtol=1e-6)


def test_sums(wstat, cash):
    for ours, theirs in (wstat, cash):
        assert float(ours.sum().sqrt_ts) == pytest.approx(float(theirs.sum().sqrt_ts), rel=1e-8)


def test_sigma_and_ts():
    from gammapy.stats import utils

    sigma = np.array([0.5, 1, 3, 5])
    for df in (1, 2, 4):
        np.testing.assert_allclose(gj.sigma_to_ts(sigma, df), utils.sigma_to_ts(sigma, df), rtol=1e-8)
        np.testing.assert_allclose(gj.ts_to_sigma(sigma**2, df), utils.ts_to_sigma(sigma**2, df), rtol=1e-8)


COLUMNS = (
    "counts",
    "excess",
    "sqrt_ts",
    "background",
    "exposure_min",
    "exposure_max",
    "livetime",
    "ontime",
    "counts_rate",
    "background_rate",
    "excess_rate",
    "n_bins",
)


def same_table(found, expected, columns, rtol):
    for column in columns:
        unit = expected[column].unit
        theirs = np.asarray(expected[column], float)
        ours = found[column].quantity.to_value(unit) if unit else np.asarray(found[column], float)
        np.testing.assert_allclose(ours, theirs, rtol=rtol, err_msg=column)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cumulative", [False, True])
def test_table_of_real_maps(data_path, cumulative):
    from gammapy.datasets import Datasets, MapDataset

    files = {run: data_path / "hess-crab" / "maps" / f"obs_{run}.fits.gz" for run in (23523, 23526, 23559)}
    theirs = Datasets([MapDataset.read(file, name=f"r{run}") for run, file in files.items()])
    ours = gj.Datasets({f"r{run}": gj.MapDataset.read(file) for run, file in files.items()})
    expected = theirs.info_table(cumulative=cumulative)
    # float32 sums
    same_table(gj.info_table(ours, cumulative=cumulative), expected, COLUMNS, 2e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cumulative", [False, True])
def test_table_of_real_spectra(data_path, cumulative):
    from gammapy.datasets import Datasets, SpectrumDatasetOnOff

    files = sorted((data_path / "hess-crab" / "spectra").glob("pha_obs*.fits"))[:3]
    theirs = Datasets([SpectrumDatasetOnOff.read(file, format="gadf", name=file.stem) for file in files])
    ours = gj.Datasets({file.stem: gj.SpectrumDatasetOnOff.read(file) for file in files})
    columns = ("counts", "counts_off", "excess", "sqrt_ts", "background", "alpha", "acceptance_off", "ontime")
    expected = theirs.info_table(cumulative=cumulative)
    same_table(gj.info_table(ours, cumulative=cumulative), expected, columns, 1e-6)


@pytest.mark.filterwarnings("ignore")
def test_predictions_and_residuals_of_a_real_map(data_path):
    from gammapy.datasets import MapDataset

    folder = data_path / "hess-crab"
    ours = gj.MapDataset.read(folder / "maps" / "obs_23523.fits.gz").replace(source_grid="pixel")
    models = gj.Models.read(folder / "crab_joint_ref_models.yaml")
    theirs = MapDataset.read(folder / "maps" / "obs_23523.fits.gz", name="obs_23523")
    theirs.models = gj.to_gammapy(gj.Models([m for m in models if m.acts_on("obs_23523")]))
    found, expected = gj.info_dict(ours, "obs_23523", models), theirs.info_dict()
    for name in ("counts", "excess", "sqrt_ts", "npred", "npred_background", "npred_signal", "stat_sum"):
        assert found[name] == pytest.approx(float(expected[name]), rel=2e-5), name
    for method in ("diff", "diff/sqrt(model)", "diff/model"):
        ratio, other = gj.residuals(ours, models, method, "obs_23523"), theirs.residuals(method).data
        seen = np.isfinite(other)
        # NaN without any prediction there, 0 here
        np.testing.assert_array_equal(np.isfinite(ratio)[seen], True)
        np.testing.assert_allclose(np.asarray(ratio)[seen], other[seen], rtol=1e-3, atol=2e-4, err_msg=method)
