"""Flux points in FITS and ECSV files."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from cases import flux_points as cases

import gammajax as gj
from gammajax.datasets.flux_points import REQUIRED

N = cases.N
ENDINGS = (".fits", ".ecsv", ".fits.gz", ".ecsv.gz")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", REQUIRED)
def test_points_round_trip(tmp_path, ending, kind):
    points, path = cases.points(), tmp_path / f"points{ending}"
    points.write(path, kind)
    back = gj.FluxPoints.read(path)
    assert back.sed_type == kind
    for name in ("dnde", "dnde_err", "dnde_errn", "dnde_errp", "dnde_ul"):
        np.testing.assert_allclose(back.quantity(name), points.quantity(name), rtol=1e-12)
    for name in ("is_ul", "stat", "stat_scan", "norm_scan"):
        np.testing.assert_array_equal(getattr(back, name), getattr(points, name))
    if "fits" in ending:
        with fits.open(path, checksum=True) as hdus:
            hdus.verify("exception")
            assert [hdu.name for hdu in hdus] == ["PRIMARY", "FLUXPOINTS"]
    with pytest.raises(gj.InputError, match=r"the file exists already"):
        points.write(path)
    points.write(path, overwrite=True)


@pytest.mark.parametrize("ending", ENDINGS[:2])
@pytest.mark.parametrize("stat_type", ["chi2", "distrib", "profile"])
def test_datasets_round_trip(tmp_path, ending, stat_type):
    dataset = (
        cases.dataset(stat_type).with_mask_safe(np.arange(N) > 0).with_mask_fit(energy_max=20.0, round_to_edge=False)
    )
    path = tmp_path / f"points{ending}"
    dataset.write(path)
    back = gj.FluxPointsDataset.read(path)
    assert back.stat_type == stat_type
    for name in ("mask_safe", "mask_fit", "mask"):
        np.testing.assert_array_equal(getattr(back, name), getattr(dataset, name))
    cases.dataset(stat_type).write(path, overwrite=True)
    back = gj.FluxPointsDataset.read(path)
    assert back.mask_safe is None and back.mask_fit is None


@pytest.mark.parametrize("ending", ENDINGS)
def test_good_time_intervals(tmp_path, ending):
    gti, path = gj.GTI([0.0, 100.0], [50.0, 170.0], 55555.25), tmp_path / f"points{ending}"
    cases.dataset(gti=gti).write(path)
    back = gj.FluxPointsDataset.read(path).gti
    np.testing.assert_array_equal(back.start, gti.start)
    np.testing.assert_array_equal(back.stop, gti.stop)
    assert back.reference == gti.reference
    assert gj.FluxPoints.read(path).gti is not None
    cases.dataset().write(path, overwrite=True)
    assert gj.FluxPoints.read(path).gti is None


def test_damaged_good_time_intervals(tmp_path):
    path = tmp_path / "points.ecsv"
    cases.points(gti=gj.GTI([0.0], [50.0])).write(path)
    path.write_text(path.read_text().replace("reference: 51544.0", "reverence: 51544.0"))
    with pytest.raises(gj.InputError, match=r"the entry GTI of the meta is .*expected lists start and stop"):
        gj.FluxPoints.read(path)


def test_real_files(data_path):
    """Tables in HDUs without a name, of a name of their own; text beside FITS."""
    for stem in ("diff_flux_points", "flux_points"):
        first, second = (gj.FluxPoints.read(data_path / "flux-points" / f"{stem}.{e}") for e in ("fits", "ecsv"))
        np.testing.assert_allclose(first.dnde, second.dnde, rtol=1e-9)
        np.testing.assert_array_equal(first.is_ul, second.is_ul)
        assert first.n_points == 24 and first.is_ul.sum() == 5
    points = gj.FluxPoints.read(data_path / "flux-points" / "crab_hess_fp.fits")
    reference = np.load(data_path / "flux-points" / "reference.npz")
    for name in ("dnde", "dnde_err", "dnde_errn", "dnde_errp", "dnde_ul"):
        np.testing.assert_allclose(points.quantity(name).value, reference[f"crab_hess_fp::{name}"], rtol=1e-12)
    np.testing.assert_array_equal(points.is_ul, reference["crab_hess_fp::is_ul"])
    assert points.stat_scan.shape == (5, 11)


def with_bytes(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_bad_files(tmp_path):
    good = tmp_path / "good.fits"
    cases.dataset().write(good)
    data = good.read_bytes()
    for name, content, message in (
        ("cut.fits", data[:-2880], r"cut off or damaged"),
        ("odd.fits", data[:-7], r"cut off or damaged"),
        ("text.ecsv", b"hello world\n1 2\n", r"neither a FITS file nor an ECSV table"),
        ("binary.ecsv", bytes(range(256)), r"neither a FITS file nor an ECSV table"),
        ("empty.ecsv", b"", r"neither a FITS file nor an ECSV table"),
    ):
        path = with_bytes(tmp_path, name, content)
        with pytest.raises(gj.InputError, match=rf"{name}.*{message}"):
            gj.FluxPoints.read(path)
    with pytest.raises(gj.InputError, match=r"missing.fits: the file was not found"):
        gj.FluxPointsDataset.read(tmp_path / "missing.fits")
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.ones(3))]).writeto(tmp_path / "image.fits")
    with pytest.raises(gj.InputError, match=r"image.fits: there is no table of flux points"):
        gj.FluxPoints.read(tmp_path / "image.fits")
    table = Table.read(good, hdu=1)
    del table.meta["CHECKSUM"], table.meta["DATASUM"]
    for name, message in (("dnde", r"no.fits: .*norm missing"), ("ref_dnde", r"no.fits: .*ref_dnde missing")):
        short = table.copy()
        short.remove_column("norm" if name == "dnde" else name)
        short.write(tmp_path / "no.fits", overwrite=True)
        with pytest.raises(gj.InputError, match=message):
            gj.FluxPointsDataset.read(good.parent / "no.fits")
    table["mask_safe"] = np.ones((N, 2), bool)
    table.write(tmp_path / "mask.fits", overwrite=True)
    with pytest.raises(gj.InputError, match=r"mask.fits: .*mask_safe has shape \(12, 2\), expected \(12,\)"):
        gj.FluxPointsDataset.read(tmp_path / "mask.fits")


@pytest.mark.parametrize("name", ["points.fits", "points.ecsv"])
def test_threshold_of_limits_survives(name, tmp_path):
    points = cases.points(meta=gj.Meta({"sqrt_ts_threshold_ul": 2.5, "UL_CONF": 0.95}))
    points.write(tmp_path / name)
    back = gj.FluxPoints.read(tmp_path / name)
    assert back.meta["sqrt_ts_threshold_ul"] == 2.5 and back.meta["UL_CONF"] == 0.95
