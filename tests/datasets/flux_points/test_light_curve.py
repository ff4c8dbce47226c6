"""Light curves as objects: parts, tables, files, and measures of variability by hand and SciPy."""

import jax
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from cases import light_curves
from scipy import stats

import gammajax as gj

CURVE = light_curves.curve()


def test_shapes_and_parts():
    assert CURVE.shape == (12, 2) and len(CURVE) == 12
    assert CURVE.flux.shape == CURVE.norm_ul.shape == CURVE.is_ul.shape == (12, 2)
    np.testing.assert_allclose(CURVE.flux.value, CURVE.norm * CURVE.points.flux_ref.reshape(12, 2))
    last = CURVE.at(-1)
    np.testing.assert_array_equal(last.norm, CURVE.norm[11])
    np.testing.assert_array_equal(last.energy_max, CURVE.energy_max)
    mask = np.arange(12) % 2 == 0
    for chosen in (mask, np.flatnonzero(mask), slice(0, None, 2)):
        part = CURVE.select_times(chosen)
        np.testing.assert_array_equal(part.norm, CURVE.norm[::2])
        np.testing.assert_array_equal(part.time_min, CURVE.time_min[::2])
    band = CURVE.select_energies([1])
    np.testing.assert_array_equal(band.flux_err, CURVE.flux_err[:, 1:])
    assert band.n_energies == 1 and band.energy_min[0] == CURVE.energy_min[1]
    assert "12" in repr(CURVE) and "MJD 55000" in repr(CURVE) and "time_min" in CURVE._repr_html_()
    with pytest.raises(AttributeError, match="fluxes"):
        _ = CURVE.fluxes


def test_it_is_a_pytree():
    doubled = jax.tree.map(lambda x: x, CURVE)
    np.testing.assert_array_equal(doubled.norm, CURVE.norm)


@pytest.mark.parametrize("name", ["curve.fits", "curve.ecsv"])
@pytest.mark.parametrize("kind", ["likelihood", "flux", "dnde"])
def test_files(name, kind, tmp_path):
    gti = gj.GTI([0.0, 5000.0], [1000.0, 6000.0], light_curves.REFERENCE)
    curve = gj.LightCurve(CURVE.time_min, CURVE.time_max, CURVE.points.replace(gti=gti))
    curve.write(tmp_path / name, sed_type=kind)
    read = gj.LightCurve.read(tmp_path / name)
    assert read.sed_type == kind
    np.testing.assert_allclose(read.time_min, curve.time_min, rtol=0, atol=1e-10)
    np.testing.assert_allclose(read.time_max, curve.time_max, rtol=0, atol=1e-10)
    for field in ("dnde", "dnde_err", "dnde_ul", "ts", "energy_min"):
        np.testing.assert_allclose(np.asarray(getattr(read, field)), np.asarray(getattr(curve, field)), rtol=1e-12)
    np.testing.assert_array_equal(read.is_ul, curve.is_ul)
    np.testing.assert_allclose(read.gti.stop, gti.stop)
    with pytest.raises(gj.InputError, match=r"LightCurve\.read"):
        gj.FluxPoints.read(tmp_path / name)


def test_tables_in_other_scales_orders_and_units():
    """UTC where nothing is said; hours; rows in any order; one energy as plain columns."""
    table = Table(meta={"MJDREFI": 55000, "MJDREFF": 0.5, "TIMEUNIT": "h", "SED_TYPE": "flux"})
    table["time_min"], table["time_max"] = [24.0, 0.0], [25.0, 1.0]
    table["e_min"], table["e_max"] = u.Quantity([1.0, 1.0], "TeV"), u.Quantity([10.0, 10.0], "TeV")
    table["flux"] = u.Quantity([2e-7, 1e-7], "m-2 s-1")
    table["flux_err"] = u.Quantity([2e-8, 1e-8], "m-2 s-1")
    found = gj.LightCurve.from_table(table)
    assert list(found.time_start.utc.iso) == ["2009-06-18 12:00:00.000", "2009-06-19 12:00:00.000"]
    np.testing.assert_allclose(found.flux[:, 0].to_value("cm-2 s-1"), [1e-11, 2e-11])
    assert found.shape == (2, 1)
    # from MJD 0 on days are those of the calendar: no leap second is lost
    table.meta = {"TIMESYS": "utc", "SED_TYPE": "flux"}
    table["time_min"], table["time_max"] = [55001.0, 55000.0], [55001.5, 55000.5]
    np.testing.assert_allclose(
        gj.LightCurve.from_table(table).time_start.utc.mjd, [55000.0, 55001.0], rtol=0, atol=1e-9
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: gj.LightCurve([1.0, 2.0], [2.0], CURVE.points), "one length"),
        (lambda: gj.LightCurve(np.arange(7.0), np.arange(7.0) + 1, CURVE.points), "24 points cannot be shared"),
        (lambda: gj.LightCurve(CURVE.time_max, CURVE.time_min, CURVE.points), "time_min below their time_max"),
        (lambda: gj.LightCurve(CURVE.time_min[::-1], CURVE.time_max[::-1], CURVE.points), "must rise"),
        (lambda: gj.LightCurve(CURVE.time_min[:8], CURVE.time_max[:8], CURVE.points), "same in all times"),
        (lambda: gj.LightCurve([1.0], [2.0], "points"), "FluxPoints"),
        (lambda: CURVE.at(12), "no place 12"),
        (lambda: CURVE.select_times([True]), "mask"),
        (lambda: CURVE.select_times([]), "nothing is left"),
        (lambda: CURVE.select_energies([5]), "no place 5"),
        (lambda: CURVE.fvar("counts"), "kind"),
        (lambda: light_curves.curve(norm_err=None).fvar(), "no errors"),
        (lambda: CURVE.to_table(format="gadf-sed"), "lightcurve"),
        (lambda: gj.LightCurve.from_table(CURVE.points.to_table("flux")), "time_min and time_max missing"),
        (lambda: gj.LightCurve.from_table(_changed(TIMESYS="local")), "TIMESYS"),
        (lambda: gj.LightCurve.from_table(_changed(TIMEUNIT="m")), "unit of time_min"),
        (lambda: gj.LightCurve.from_table(_changed()[:0]), "no rows"),
    ],
)
def test_refused(make, words):
    with pytest.raises(gj.InputError, match=words):
        make()


def _changed(**meta):
    table = CURVE.to_table("flux")
    table.meta.update(meta)
    return table


def test_fvar_by_hand():
    flux, error = CURVE.flux.value, CURVE.flux_err.value
    for band in range(2):
        x, s = flux[:, band], error[:, band]
        excess = (np.var(x, ddof=1) - np.mean(s**2)) / np.mean(x) ** 2
        found = CURVE.fvar()
        assert found.value[band] == pytest.approx(np.sqrt(excess)) and found.excess[band] == pytest.approx(excess)
        # Vaughan et al. 2003, equation B2
        n, f = len(x), np.sqrt(excess)
        noise = np.mean(s**2)
        expected = np.hypot(np.sqrt(1 / (2 * n)) * noise / (np.mean(x) ** 2 * f), np.sqrt(noise / n) / np.mean(x))
        assert found.error[band] == pytest.approx(expected)


def test_variability_of_white_noise():
    """Of 20,000 points with an intrinsic scatter of 30 % both measures see it, with errors that cover; without any
    scatter the excess is 0, and chi-square that of its degrees of freedom."""
    rng = np.random.default_rng(3)
    n = 20_000
    error = np.full(n, 0.1)
    for scatter in (0.3, 0.0):
        norm = 1 + scatter * rng.normal(size=n) + error * rng.normal(size=n)
        curve = light_curves.curve(n_times=n, n_energies=1, norm=norm, norm_err=error)
        for found in (curve.fvar("norm"), curve.fpp("norm")):
            assert found.excess[0] == pytest.approx(scatter**2, abs=6e-3 * (scatter or 0.1))
        constant = curve.constancy("norm")
        if scatter:
            assert constant.p_value[0] == 0
        else:
            assert constant.chi2[0] / constant.ndf[0] == pytest.approx(1, abs=5 * np.sqrt(2 / n))


def test_no_excess_is_not_a_number():
    curve = light_curves.curve(norm=np.tile([1.0, 1.1], 12), norm_err=np.full(24, 0.5))
    found = curve.fvar()
    assert np.all(np.isnan(found.value)) and np.all(np.isnan(found.error)) and np.all(found.excess < 0)


def test_constancy_by_scipy():
    found = CURVE.constancy("dnde")
    for band in range(2):
        x, s = CURVE.dnde.value[:, band], CURVE.dnde_err.value[:, band]
        mean = np.average(x, weights=s**-2)
        assert found.mean[band] == pytest.approx(mean)
        assert found.chi2[band] == pytest.approx(np.sum(((x - mean) / s) ** 2)) and found.ndf[band] == 11
        assert found.p_value[band] == pytest.approx(stats.chi2.sf(found.chi2[band], 11), rel=1e-9)


def test_unknown_points_are_left_out():
    norm = CURVE.norm.copy()
    norm[[0, 5, 11], 0] = np.nan
    error = CURVE.norm_err.copy()
    error[2, 0] = np.nan
    gaps = light_curves.curve(norm=norm.ravel(), norm_err=error.ravel())
    left = CURVE.select_times([1, 3, 4, 6, 7, 8, 9, 10]).select_energies([0])
    for name in ("fvar", "fpp", "constancy", "doubling_time", "halving_time"):
        with pytest.warns(UserWarning, match=r"1 of 21 fluxes have no error.*times 2"):
            found = getattr(gaps, name)()
        expected = getattr(left, name)()
        for a, b in zip(found[:2], expected[:2], strict=True):
            np.testing.assert_allclose(a[0], b[0], rtol=1e-12, err_msg=name)
        np.testing.assert_allclose(found[0][1], getattr(CURVE, name)()[0][1], rtol=1e-12)
    one = gaps.select_times([1])
    assert np.all(np.isnan(one.fvar().value)) and np.all(np.isnan(one.constancy().p_value))
    assert list(one.doubling_time().place) == [-1, -1]


def test_doubling_of_a_flare():
    """A flux that doubles in 2 days and halves in 3, with errors by derivatives."""
    norm = np.array([1.0, 1.0, 4.0, 2.0, 2.0])
    error = np.array([0.1, 0.1, 0.3, 0.2, 0.1])
    start = np.array([0.0, 3.0, 7.0, 10.0, 11.0])
    points = light_curves.curve(n_times=5, n_energies=1, norm=norm, norm_err=error).points
    curve = gj.LightCurve(start, start + 0.5, points)
    up, down = curve.doubling_time("norm"), curve.halving_time("norm")
    assert up.time[0] == pytest.approx(2.0) and up.place[0] == 1
    assert down.time[0] == pytest.approx(3.0) and down.place[0] == 2

    def time(a, b):
        return 4 / np.log2(b / a)

    h = 1e-6
    slopes = [(time(1 + h, 4) - time(1 - h, 4)) / (2 * h), (time(1, 4 + h) - time(1, 4 - h)) / (2 * h)]
    assert up.error[0] == pytest.approx(np.hypot(slopes[0] * 0.1, slopes[1] * 0.3), rel=1e-6)
