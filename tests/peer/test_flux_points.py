"""Flux points against gammapy: statistics in all corners, fits, files both ways, objects both ways."""

import numpy as np
import pytest
from cases import flux_points as cases

import gammajax as gj
from gammajax.datasets.flux_points import REQUIRED

estimators = pytest.importorskip("gammapy.estimators")
peer = pytest.importorskip("gammapy.datasets")
peer_models = pytest.importorskip("gammapy.modeling.models")
modeling = pytest.importorskip("gammapy.modeling")
pytestmark = pytest.mark.filterwarnings("ignore")


N = cases.N
STATISTICS = ("chi2", "distrib", "profile")
TABLES = ("crab_hess_fp.fits", "diff_flux_points.fits", "diff_flux_points.ecsv", "flux_points.fits", "flux_points.ecsv")
SUFFIXES = ("", "_err", "_errn", "_errp", "_ul")
NAMES = [f"{kind}{suffix}" for kind in ("dnde", "e2dnde", "flux", "eflux") for suffix in SUFFIXES]


def theirs_stat(dataset, models):
    """The statistic per point of gammapy, and its mask."""
    theirs = gj.to_gammapy(dataset, name="points")
    theirs.models = gj.to_gammapy(models)
    mask = np.asarray(theirs.mask).reshape(-1)
    return np.asarray(theirs.stat_array()).reshape(-1), mask, theirs


def same_points(ours, theirs, rtol=1e-12):
    """All fluxes that both know; returns how many there are."""
    count = 0
    for name in NAMES:
        try:
            their_values = getattr(theirs, name).quantity[:, 0, 0]
        except (AttributeError, ValueError):
            their_values = None
        try:
            our_values = ours.quantity(name)
        except gj.InputError:
            our_values = None
        if our_values is None:
            assert their_values is None, name
            continue
        if their_values is None:
            assert name.startswith(("flux", "eflux"))
            continue
        values = our_values.to_value(their_values.unit)
        np.testing.assert_allclose(values, np.ma.filled(their_values.value, np.nan), rtol=rtol, err_msg=name)
        count += 1
    np.testing.assert_array_equal(ours.is_ul, theirs.is_ul.data[:, 0, 0])
    np.testing.assert_allclose(ours.energy_ref, theirs.energy_ref.to_value("TeV"), rtol=1e-9)
    return count


@pytest.mark.parametrize("name", TABLES)
def test_reading_and_objects(data_path, name):
    """The files of the reference: read by both, handed over both ways."""
    path = data_path / "flux-points" / name
    theirs, ours = estimators.FluxPoints.read(path), gj.FluxPoints.read(path)
    assert same_points(ours, theirs, 1e-9) >= 6
    assert same_points(gj.from_gammapy(theirs), theirs) >= 6
    assert same_points(ours, gj.to_gammapy(ours), 1e-9) >= 6


@pytest.mark.parametrize("ending", [".fits", ".ecsv"])
@pytest.mark.parametrize("kind", REQUIRED)
def test_files_both_ways(tmp_path, kind, ending):
    """Written here and read there, and the reverse: values, limits, scans."""
    points = cases.points()
    points.write(tmp_path / f"ours{ending}", kind)
    theirs = estimators.FluxPoints.read(tmp_path / f"ours{ending}")
    stem = "dnde" if kind == "likelihood" else kind
    for suffix in SUFFIXES:
        ours = points.quantity(stem + suffix)
        values = getattr(theirs, stem + suffix).quantity[:, 0, 0].to_value(ours.unit)
        np.testing.assert_allclose(np.ma.filled(values, np.nan), ours.value, rtol=1e-12)
    np.testing.assert_array_equal(theirs.is_ul.data[:, 0, 0], points.is_ul)
    np.testing.assert_array_equal(theirs.stat_scan.data[..., 0, 0], points.stat_scan)

    theirs.write(tmp_path / f"theirs{ending}", sed_type=kind)
    back = gj.FluxPoints.read(tmp_path / f"theirs{ending}")
    for suffix in SUFFIXES:
        np.testing.assert_allclose(back.quantity(stem + suffix), points.quantity(stem + suffix), rtol=1e-12)
    np.testing.assert_array_equal(back.is_ul, points.is_ul)
    np.testing.assert_array_equal(back.stat_scan, points.stat_scan)


@pytest.mark.parametrize("ending", [".fits", ".ecsv"])
def test_datasets_both_ways(tmp_path, ending):
    dataset = cases.dataset().with_mask_safe(np.arange(N) > 0).with_mask_fit(energy_max=20)
    dataset.write(tmp_path / f"a{ending}")
    theirs = peer.FluxPointsDataset.read(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(np.asarray(theirs.mask).reshape(-1), dataset.mask)
    theirs.write(tmp_path / f"b{ending}")
    back = gj.FluxPointsDataset.read(tmp_path / f"b{ending}")
    np.testing.assert_array_equal(back.mask, dataset.mask)
    np.testing.assert_allclose(back.data.dnde, dataset.data.dnde, rtol=1e-12)


def test_index_both_ways(tmp_path, data_path):
    datasets = gj.Datasets(
        {"a b": cases.dataset(), "c": gj.FluxPointsDataset.read(data_path / "flux-points" / TABLES[3])}
    )
    datasets.write(tmp_path / "ours.yaml")
    theirs = peer.Datasets.read(tmp_path / "ours.yaml")
    assert theirs.names == ["a b", "c"] and [d.tag for d in theirs] == ["FluxPointsDataset"] * 2
    (tmp_path / "theirs").mkdir()
    theirs.write(tmp_path / "theirs" / "index.yaml")
    back = gj.Datasets.read(tmp_path / "theirs" / "index.yaml")
    for name, dataset in datasets.items():
        np.testing.assert_array_equal(back[name].mask, dataset.mask)
        np.testing.assert_array_equal(np.asarray(theirs[name].mask).reshape(-1), dataset.mask)
        np.testing.assert_allclose(back[name].data.dnde, dataset.data.dnde, rtol=1e-12)


CORNERS = {
    "all there": {},
    "no symmetric error": {"norm_err": None},
    "no errors by side": {"norm_errn": None, "norm_errp": None},
    "sides missing here and there": {
        "norm_errn": np.where(np.arange(N) % 3 == 0, np.nan, 0.4),
        "norm_errp": np.where(np.arange(N) % 4 == 1, np.nan, 0.5)
    },
    "no limits": {"norm_ul": None, "is_ul": None, "ts": None},
    "a limit without number": {"norm_ul": np.where(np.arange(N) == N - 1, np.nan, 2.0)},
    "limits everywhere": {"is_ul": np.ones(N, bool)},
    "negative norms": {"norm": np.where(np.arange(N) % 2, -3.0, 40.0)},
    "holes in scans": {"stat_scan": np.where(np.arange(N)[:, None] == 2, np.nan, cases.columns()["stat_scan"])},
}  # fmt: skip


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("stat_type", STATISTICS)
def test_statistics(stat_type, corner):
    """Per point, 1e-10. Where gammapy has no answer (an error, or NaN in the sum) there is one here."""
    fields = cases.columns() | CORNERS[corner]
    scan = np.linspace(0.3, 60, 13)
    # gammapy has one list of norms for all points
    rise = (scan - np.nan_to_num(cases.columns()["norm"], nan=1.0)[:, None]) / cases.columns()["norm_err"][:, None]
    lost = np.isnan(fields["stat_scan"]).any(axis=1)
    fields |= {"norm_scan": scan, "stat_scan": np.where(lost[:, None], np.nan, 7 + rise**2)}
    dataset = gj.FluxPointsDataset(gj.FluxPoints(**fields), stat_type=stat_type)
    for models in (cases.power_law(), cases.power_law(2.0, 1e-11), cases.power_law(2.7, 5e-11)):
        ours, mask = (np.asarray(x) for x in (gj.stat_array(dataset, models), dataset.mask))
        if stat_type == "distrib" and corner == "no symmetric error":
            # gammapy wants the symmetric error of points that it does not use it for
            with pytest.raises(AttributeError):
                theirs_stat(dataset, models)
            continue
        if stat_type == "distrib" and corner == "no limits":
            with pytest.raises(gj.InputError, match=r"'distrib' needs a column of upper limits"):
                gj.to_gammapy(dataset)
            continue
        theirs, their_mask, _ = theirs_stat(dataset, models)
        np.testing.assert_allclose(ours[mask], theirs[mask], rtol=1e-10, atol=1e-12)
        # what gammapy sums beyond: limits without number, which count 0
        beyond = their_mask & ~mask
        assert not np.any(mask & ~their_mask) and np.all(theirs[beyond] == 0)
        assert np.all(ours[~mask] == 0)


def test_extrapolated_profiles():
    """Beyond the scan gammapy continues the last parabola too, where it opens upwards."""
    scan = np.linspace(5, 25, 7)
    dataset = cases.dataset(
        "profile", stat=np.zeros(N), norm_scan=scan, stat_scan=np.tile((scan - 14) ** 2 / 3, (N, 1))
    )
    models = cases.power_law(2.0, 1e-10)
    theirs, _, _ = theirs_stat(dataset, models)
    np.testing.assert_allclose(gj.stat_array(dataset, models), theirs, rtol=1e-10)
    assert np.all(np.asarray(gj.npred(dataset, models)) / dataset.data.dnde_ref > 25)


@pytest.mark.parametrize("stat_type", ["chi2", "distrib"])
@pytest.mark.parametrize("kind", ["pl", "lp", "ecpl"])
def test_fits(data_path, stat_type, kind):
    """The minimum of gammapy to 0.02 sigma, or a lower one."""
    spectrum = {
        "pl": gj.PowerLawSpectralModel(index=2.4, amplitude=4e-11),
        "lp": gj.LogParabolaSpectralModel(amplitude=4e-11, alpha=2.4, beta=0.1, reference=1.0),
        "ecpl": gj.ExpCutoffPowerLawSpectralModel(index=2.4, amplitude=4e-11, lambda_=0.05),
    }[kind]
    models = gj.Models([gj.SkyModel(spectrum, name="m")])
    dataset = cases.dataset(stat_type)
    result = gj.fit(dataset, models)
    _, _, theirs = theirs_stat(dataset, models)
    # a rough start leaves Minuit where it stops; from here it may only improve
    theirs.models = gj.to_gammapy(result.models)
    found = modeling.Fit().run([theirs])
    assert result.status == "converged" and found.success
    assert result.stat - found.total_stat < 1e-4
    for name in result.free_names:
        ours, value = result.parameters[name], theirs.models.parameters[name.split(".")[-1]].value
        assert abs(float(ours.value) - value) < 0.02 * float(ours.error), name


def test_objects_keep_what_they_have():
    dataset = cases.dataset("distrib", gti=gj.GTI([0.0], [100.0])).with_mask_fit(energy_max=20)
    dataset = dataset.replace(data=dataset.data.replace(meta=gj.Meta({"SED_TYPE": "e2dnde", "UL_CONF": 0.9544997})))
    theirs = gj.to_gammapy(gj.Datasets({"p": dataset}))["p"]
    assert theirs.stat_type == "distrib" and theirs.data.sed_type_init == "e2dnde"
    assert theirs.data.n_sigma_ul == 2 and theirs.gti.time_sum.to_value("s") == pytest.approx(100)
    back = gj.from_gammapy(theirs)
    np.testing.assert_array_equal(back.mask, dataset.mask)
    assert back.data.sed_type == "e2dnde" and back.data.meta["UL_CONF"] == pytest.approx(0.9544997)
    np.testing.assert_allclose(back.data.dnde, dataset.data.dnde, rtol=1e-12)
    same_points(gj.from_gammapy(theirs.data), theirs.data)
    with_model = gj.FluxPoints.from_table(
        cases.points().to_table("flux"), reference_model=gj.PowerLawSpectralModel(index=3, amplitude=1e-11)
    )
    assert same_points(with_model, gj.to_gammapy(with_model), 1e-9) == 20
    with pytest.raises(gj.InputError, match=r"not at the logarithmic centres of their bins"):
        gj.to_gammapy(cases.points(energy_ref=cases.ENERGY * 1.01))
    with pytest.raises(gj.InputError, match=r"bins of the flux points do not join"):
        gj.to_gammapy(cases.points(energy_max=cases.EDGES[1:] * 0.99))
