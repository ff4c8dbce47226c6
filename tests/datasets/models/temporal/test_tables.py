"""Light curves and phase curves given by tables, in memory and in files."""

import dataclasses

import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.time import Time

from gammajax.datasets import GTI, InputError
from gammajax.datasets.io import map_hdus, to_bytes
from gammajax.datasets.models.temporal import LightCurveTemplateTemporalModel as LightCurve
from gammajax.datasets.models.temporal import TemplatePhaseCurveTemporalModel as PhaseCurve
from gammajax.datasets.sky import MapAxis

pytestmark = pytest.mark.slow

START = Time("2020-01-01T00:00:00", scale="utc")
DAYS, NORMS = np.array([0.0, 0.5, 1.0, 3.0]), np.array([1.0, 3.0, 0.0, 2.0])
GRID = np.array([[1.0, 2.0], [4.0, 2.0], [1.0, 0.5], [2.0, 0.0]])
TIMES = START + np.array([-0.25, 0.25, 0.75, 2.0, 4.0]) * u.d


def _gti(*days):
    seconds = np.array(days) * 86400
    return GTI(seconds[::2], seconds[1::2], START.tt)


def _mean(model, gti, n=200000):
    """By the midpoint rule, far finer than any table here."""
    total = 0.0
    for a, b in zip(np.asarray(gti.start), np.asarray(gti.stop), strict=True):
        s = a + (np.arange(n) + 0.5) / n * (b - a)
        total += np.mean(np.asarray(model.value(model.days_after(s, float(gti.reference)))), axis=0) * (b - a)
    return total / float(np.sum(gti.stop - gti.start))


def test_light_curve_is_linear_and_goes_on_until_it_is_zero():
    model = LightCurve(DAYS, NORMS, START)
    np.testing.assert_allclose(model.evaluate(TIMES), [0, 2, 1.5, 1, 3], atol=1e-9)
    gti = _gti(0.1, 0.4, 0.9, 3.5)
    np.testing.assert_allclose(model.mean(gti), _mean(model, gti), rtol=1e-9)
    assert not model.is_energy_dependent and list(model.parameters) == ["t_ref"]
    assert model.t_ref.frozen and float(model.t_ref.value) == START.mjd
    slopes = jax.jit(jax.grad(lambda m: m.mean(gti)))(model)
    step = 1e-4
    ends = [model.replace(t_ref=START.mjd + s).mean(gti) for s in (-step, step)]
    np.testing.assert_allclose(slopes.t_ref.value, (ends[1] - ends[0]) / (2 * step), rtol=1e-5)
    # the mean is linear in the norms
    np.testing.assert_allclose(np.sum(slopes.norm * NORMS), model.mean(gti), rtol=1e-9)


def test_light_curve_in_energy_bands_is_linear_in_logarithms():
    model = LightCurve(DAYS * 24 * u.h, GRID, START.mjd, energy=[100, 10000] * u.GeV)
    assert model.is_energy_dependent
    found = model.evaluate(TIMES, np.array([0.1, 1.0]))
    assert found.shape == (5, 2)
    np.testing.assert_allclose(found[1], [2, np.sqrt(2 * 2)], rtol=1e-9)
    np.testing.assert_allclose(model.evaluate(TIMES, [1] * u.TeV)[:, 0], found[:, 1], rtol=1e-14)
    assert np.asarray(model.evaluate(TIMES))[3, 1] < 1e-150
    gti = _gti(0.1, 0.4, 0.7, 0.9)
    found = jax.jit(lambda m: m.mean(gti))(model)
    np.testing.assert_allclose(found, _mean(model, gti), rtol=1e-8)
    np.testing.assert_allclose(model.mean(gti, np.array([0.1, 10.0])), found, rtol=1e-12)
    one = LightCurve(DAYS, GRID[:, :1], START, energy=[1.0])
    np.testing.assert_allclose(one.evaluate(TIMES, [0.1, 5.0])[:, 1], one.evaluate(TIMES, [1.0])[:, 0])


@pytest.mark.parametrize("suffix", ["fits", "ecsv", "fits.gz"])
def test_light_curve_files(tmp_path, suffix):
    """TIME counts from a reference in its own scale, here TT, which the model turns into its own, UTC."""
    path = tmp_path / f"curve.{suffix}"
    meta = {"MJDREFI": 58849, "MJDREFF": 69.184 / 86400, "TIMESYS": "tt"}
    Table({"TIME": DAYS * 86400 * u.s, "NORM": NORMS}, meta=meta).write(path)
    model = LightCurve.read(path)
    np.testing.assert_allclose(model.evaluate(TIMES), [0, 2, 1.5, 1, 3], atol=1e-9)
    np.testing.assert_allclose(float(model.t_ref.value), 58849, atol=1e-10)
    assert model.extra_dict() == {"filename": str(path), "format": "table", "unit": "", "scale": "utc"}
    again = LightCurve.from_extra({"filename": path.name, "scale": "tt"}, {}, tmp_path)
    assert again.scale == "tt" and float(again.t_ref.value) == pytest.approx(58849 + 69.184 / 86400, abs=1e-10)
    moved = LightCurve.from_extra({"filename": path.name}, {"t_ref": model.t_ref.replace(value=59000.0)}, tmp_path)
    assert float(moved.t_ref.value) == 59000.0
    copy = tmp_path / "copy.fits"
    model.to_table().write(copy)
    np.testing.assert_allclose(LightCurve.read(copy).evaluate(TIMES), model.evaluate(TIMES), atol=1e-9)


def test_unit_of_time_from_the_header(tmp_path):
    path = tmp_path / "curve.fits"
    table = Table({"time": DAYS, "norm": NORMS}, meta={"MJDREF": 58849.0, "TIMEUNIT": "d"})
    table.write(path)
    np.testing.assert_allclose(LightCurve.read(path).evaluate(TIMES), [0, 2, 1.5, 1, 3], atol=1e-9)
    with fits.open(path) as hdus:
        del hdus[1].header["TIMEUNIT"]
        hdus.writeto(tmp_path / "no_unit.fits")
    with pytest.raises(InputError, match="unit for TIME"):
        LightCurve.read(tmp_path / "no_unit.fits")


def test_light_curve_map_file(tmp_path):
    path = tmp_path / "curve.fits"
    time = MapAxis(DAYS, "lin", "time", "d", "center")
    energy = MapAxis([0.1, 10.0], "log", "energy", "TeV", "center")
    hdus = map_hdus("SKYMAP", GRID.T[:, :, None, None], "", (time, energy), None)
    for keyword, value in {"MJDREFI": 58849, "MJDREFF": 0.0, "TIMESYS": "utc"}.items():
        hdus[1].header[keyword] = value
    path.write_bytes(to_bytes(hdus))
    model = LightCurve.read(path)
    wanted = LightCurve(DAYS, GRID, START, energy=[0.1, 10.0])
    np.testing.assert_allclose(model.evaluate(TIMES), wanted.evaluate(TIMES), rtol=1e-12)
    assert model.extra_dict()["format"] == "map"
    with pytest.raises(InputError, match="no table of two columns"):
        model.to_table()
    only_time = map_hdus("SKYMAP", NORMS[:, None, None], "", (time,), None)
    path.write_bytes(to_bytes(only_time))
    with pytest.raises(InputError, match="time and energy"):
        LightCurve.read(path, format="map")


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
@pytest.mark.parametrize("masked", [False, True])
def test_light_curves_with_missing_norms(tmp_path, suffix, masked):
    """NaN or masked: a warning, and the curve of the other rows."""
    table = LightCurve(np.insert(DAYS, 2, 0.7), np.insert(NORMS, 2, 7.0), START).to_table()
    table["NORM"][2] = np.nan
    if masked:
        table = Table(table, masked=True)
        table["NORM"][2], table["NORM"].mask[2] = 7.0, True
    table.write(tmp_path / f"curve.{suffix}")
    with pytest.warns(UserWarning, match=r"curve\.\w+: 1 of 5 norms are missing or NaN, and are left out"):
        back = LightCurve.read(tmp_path / f"curve.{suffix}")
    np.testing.assert_allclose(back.time, DAYS, rtol=1e-12)
    np.testing.assert_array_equal(back.norm, NORMS)


def test_phase_curves_with_missing_norms(tmp_path):
    Table({"PHASE": [0.0, 0.3, 0.6, 1.0], "NORM": [1.0, np.nan, 3.0, 1.0]}).write(tmp_path / "phase.ecsv")
    with pytest.warns(UserWarning, match="1 of 4 norms are missing"):
        back = PhaseCurve.read(tmp_path / "phase.ecsv")
    np.testing.assert_array_equal(back.phase, [0.0, 0.6, 1.0])


def test_bad_light_curves(tmp_path):
    for days, norms, extra in (
        (DAYS, NORMS[:3], {}),
        (DAYS[:1], NORMS[:1], {}),
        (DAYS[::-1], NORMS, {}),
        (DAYS, [1, np.nan, 2, 3], {}),
        (DAYS, GRID, {}),
        (DAYS, GRID, {"energy": [-1.0, 1.0]}),
        (DAYS * u.TeV, NORMS, {}),
    ):
        with pytest.raises(InputError, match="LightCurve"):
            LightCurve(days, norms, **extra)
    with pytest.raises(InputError, match="no file"):
        LightCurve.read(tmp_path / "none.fits")
    bad = tmp_path / "bad.fits"
    bad.write_bytes(b"nothing")
    with pytest.raises(InputError, match="format"):
        LightCurve.read(bad, format="cube")
    with pytest.raises(InputError, match=r"bad\.fits"):
        LightCurve.read(bad)
    Table({"TIME": DAYS * u.d, "FLUX": NORMS}).write(tmp_path / "flux.fits")
    with pytest.raises(InputError, match="TIME, FLUX"):
        LightCurve.read(tmp_path / "flux.fits")
    Table({"TIME": DAYS * u.d, "NORM": NORMS}).write(tmp_path / "nowhere.fits")
    with pytest.raises(InputError, match="MJDREFI"):
        LightCurve.read(tmp_path / "nowhere.fits")
    assert float(LightCurve.read(tmp_path / "nowhere.fits", t_ref=58849.0).t_ref.value) == 58849.0
    Table({"TIME": DAYS * u.d, "NORM": NORMS}, meta={"MJDREFI": 5e4, "TIMESYS": "moon"}).write(tmp_path / "moon.fits")
    with pytest.raises(InputError, match="TIMESYS is 'moon'"):
        LightCurve.read(tmp_path / "moon.fits")
    with pytest.raises(InputError, match="filename"):
        LightCurve.from_extra({}, {})
    with pytest.raises(InputError, match="to_table"):
        LightCurve(DAYS, NORMS).extra_dict()


PHASES, PULSE = np.array([0.1, 0.3, 0.5, 0.9]), np.array([1.0, 3.0, 0.5, 2.0])


def test_phase_curve_is_drawn_out_and_normalised():
    model = PhaseCurve(PHASES, PULSE, t_ref=58849.0, f0=2 / u.d)
    ends = [0.0, 2.375]
    np.testing.assert_allclose(model.norm[[0, -1]], ends, atol=1e-14)
    area = np.sum(np.diff(model.phase) * (model.norm[1:] + model.norm[:-1]) / 2)
    found = np.asarray(model.evaluate(58849.0 + np.array([0.05, 0.15, 0.5 + 0.45])))
    np.testing.assert_allclose(found * area, [1.0, 3.0, 2.0], rtol=1e-9)
    plain = dataclasses.replace(model, normalize=False)
    np.testing.assert_allclose(plain.evaluate(58849.15), 3.0, rtol=1e-9)
    declared = [(n, float(p.value), u.Unit(p.unit), p.frozen) for n, p in PhaseCurve(PHASES, PULSE).parameters.items()]
    assert declared == [
        ("t_ref", 48442.5, u.d, True),
        ("phi_ref", 0.0, u.Unit(""), True),
        ("f0", 29.946923, u.Unit("s-1"), True),
        ("f1", 0.0, u.Unit("s-2"), True),
        ("f2", 0.0, u.Unit("s-3"), True),
    ]


def test_phase_curve_means_and_gradients():
    model = PhaseCurve(PHASES, PULSE, t_ref=58848.0, phi_ref=0.2, f0=3.3e-4, f1=1e-12, f2=1e-18, scale="tdb")
    gti = _gti(0.0, 0.02, 0.1, 0.33)
    np.testing.assert_allclose(model.mean(gti), _mean(model, gti), rtol=3e-6)
    # many periods: the mean of the curve, to one part in their number
    fast = dataclasses.replace(model, f0=30.0)
    assert abs(float(fast.mean(gti)) - 1) < 1e-5
    slopes = jax.jit(jax.grad(lambda m: m.mean(gti)))(model)
    for name, step in (("t_ref", 1e-6), ("phi_ref", 1e-5), ("f0", 1e-9), ("f1", 1e-14), ("f2", 1e-18)):
        value = float(model.parameters[name].value)
        ends = [model.replace(**{name: value + s}).mean(gti) for s in (-step, step)]
        np.testing.assert_allclose(getattr(slopes, name).value, (ends[1] - ends[0]) / (2 * step), rtol=1e-4)
    stacked = jax.tree_util.tree_map(lambda *leaf: jnp.stack(leaf), model, model.replace(phi_ref=0.7))
    found = jax.jit(jax.vmap(lambda m: m.mean(gti)))(stacked)
    np.testing.assert_allclose(found, [model.mean(gti), model.replace(phi_ref=0.7).mean(gti)], rtol=1e-12)


def test_phase_curve_files(tmp_path):
    path = tmp_path / "phase.fits"
    Table({"PHASE": PHASES, "NORM": PULSE}).write(path)
    model = PhaseCurve.read(path, f0=2.0, normalize=False)
    assert model.extra_dict() == {"filename": str(path), "normalize": False, "scale": "utc"}
    data = {"filename": "phase.fits", "normalize": True, "scale": "tt"}
    again = PhaseCurve.from_extra(data, {"f0": model.f0}, tmp_path)
    assert again.normalize and again.scale == "tt" and float(again.f0.value) == 2.0
    copy = tmp_path / "copy.ecsv"
    model.to_table().write(copy)
    np.testing.assert_allclose(PhaseCurve.read(copy).norm, model.norm)


def test_bad_phase_curves():
    for phases, norms in (
        (PHASES, PULSE[:3]),
        (PHASES[::-1], PULSE),
        (PHASES * 2, PULSE),
        (PHASES, [1, 2, np.inf, 3]),
        (PHASES[:1], PULSE[:1]),
    ):
        with pytest.raises(InputError, match="TemplatePhaseCurve"):
            PhaseCurve(phases, norms)
    with pytest.raises(InputError, match="'f3'"):
        PhaseCurve(PHASES, PULSE, f3=1.0)
    with pytest.raises(InputError, match="normalize"):
        PhaseCurve(PHASES, PULSE, normalize="yes")
    with pytest.raises(InputError, match="to_table"):
        PhaseCurve(PHASES, PULSE).extra_dict()
    with pytest.raises(InputError, match="filename"):
        PhaseCurve.from_extra({}, {})
