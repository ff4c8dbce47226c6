"""Every temporal model against gammapy, run side by side where gammapy is installed."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table
from astropy.time import Time

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    peer = pytest.importorskip("gammapy.modeling.models")
    peer_maps = pytest.importorskip("gammapy.maps")
    from gammapy.data import GTI as PeerGTI

from gammajax import from_gammapy, to_gammapy
from gammajax.datasets import GTI
from gammajax.datasets.models.temporal import (
    CLASSES,
    TEMPORAL_MODELS,
    LightCurveTemplateTemporalModel,
    TemplatePhaseCurveTemporalModel,
)

pytestmark = pytest.mark.filterwarnings("ignore")

START = Time("2020-05-01T00:00:00", scale="tt")
SECONDS = np.array([[0.0, 1700.0], [86400.0, 88100.0], [259200.0, 262800.0]])
OURS = GTI(SECONDS[:, 0], SECONDS[:, 1], START)
THEIRS = PeerGTI.create(SECONDS[:, 0] * u.s, SECONDS[:, 1] * u.s, START)
T0 = 58970.3
CASES = {
    "const": {},
    "linear": {"alpha": 1.2, "beta": 0.3, "t_ref": T0},
    "exp-decay": {"t0": 2.5, "t_ref": T0},
    "gauss": {"t_ref": T0, "sigma": 1.1},
    "gengauss": {"t_ref": T0 - 8, "t_rise": 0.8, "t_decay": 1.9, "eta": 0.7},
    "powerlaw": {"alpha": -1.3, "t_ref": T0 - 15, "t0": 0.7},
    "sinus": {"amp": 0.4, "omega": 3.0, "t_ref": T0},
}


def _pair(tag, scale):
    other = peer.TEMPORAL_MODEL_REGISTRY.get_cls(tag)(scale=scale)
    for name, value in CASES[tag].items():
        other.parameters[name].value = value
    return TEMPORAL_MODELS[tag](scale=scale, **CASES[tag]), other


def test_lists_and_parameters_are_those_of_gammapy():
    assert {c.__name__ for c in CLASSES} == {c.__name__ for c in peer.TEMPORAL_MODEL_REGISTRY}
    for cls in peer.TEMPORAL_MODEL_REGISTRY:
        assert tuple(cls.tag) == TEMPORAL_MODELS[cls.__name__].tag
    for tag in CASES:
        declared = [
            (p.name, p.value, u.Unit(p.unit), p.frozen) for p in peer.TEMPORAL_MODEL_REGISTRY.get_cls(tag)().parameters
        ]
        own = TEMPORAL_MODELS[tag]().parameters.items()
        assert declared == [(n, float(p.value), u.Unit(p.unit), p.frozen) for n, p in own]


@pytest.mark.parametrize("scale", ["tt", "utc"])
@pytest.mark.parametrize("tag", CASES)
def test_values_and_means(tag, scale):
    model, other = _pair(tag, scale)
    times = START + np.linspace(0, 4, 23) * u.d
    np.testing.assert_allclose(model(times), other(times).to_value(""), rtol=1e-9)
    found = float(model.mean(OURS))
    if tag in ("gengauss", "sinus"):
        # gammapy's sum of 100 points for the one is 1 % too much, its integral of the sine is a difference of sines
        wanted = np.sum([_trapezoid(other, a, b) for a, b in SECONDS]) / np.sum(SECONDS[:, 1] - SECONDS[:, 0])
        assert found == pytest.approx(wanted, rel=1e-6)
        return
    start, stop = (getattr(t, scale) for t in (THEIRS.time_start, THEIRS.time_stop))
    wanted = np.sum(np.atleast_1d(u.Quantity(other.integral(start, stop)).to_value("")))
    # elapsed seconds since t_ref, in gammapy's integrals, count the leap seconds between
    assert found == pytest.approx(wanted, rel=1e-9 if scale == "tt" else 2e-4)


def _trapezoid(other, a, b):
    s = np.linspace(a, b, 4001)
    values = other(START + s * u.s).to_value("")
    return np.sum((values[1:] + values[:-1]) / 2) * (s[1] - s[0])


def test_light_curve_table(tmp_path):
    days, norms = np.array([0.0, 0.7, 1.4, 3.5]), np.array([0.2, 3.0, 0.4, 2.0])
    meta = {"MJDREFI": 58970, "MJDREFF": 0.25, "TIMESYS": "utc", "TIMEUNIT": "d"}
    Table({"TIME": days * u.d, "NORM": norms}, meta=meta).write(tmp_path / "curve.fits")
    other = peer.LightCurveTemplateTemporalModel.read(tmp_path / "curve.fits")
    model = LightCurveTemplateTemporalModel.read(tmp_path / "curve.fits")
    times = START + np.linspace(-1, 6, 40) * u.d
    np.testing.assert_allclose(model(times), other(times).value.ravel(), rtol=1e-7, atol=1e-9)
    wanted = np.sum([_trapezoid(other, a, b) for a, b in SECONDS]) / np.sum(SECONDS[:, 1] - SECONDS[:, 0])
    assert float(model.mean(OURS)) == pytest.approx(wanted, rel=1e-5)
    # and written by us, read by gammapy
    model.to_table().write(tmp_path / "again.fits")
    again = peer.LightCurveTemplateTemporalModel.read(tmp_path / "again.fits")
    np.testing.assert_allclose(again(times).value, other(times).value, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("scales", [("lin", "log"), ("log", "log"), ("sqrt", "lin")])
def test_light_curve_map(tmp_path, scales):
    """Axes are interpolated as they say: linearly, in the logarithm, in the root."""
    first = 0.0 if scales[0] == "lin" else 0.2
    time = peer_maps.MapAxis.from_nodes([first, 0.7, 1.4, 3.5], name="time", unit="d", interp=scales[0])
    edges = (np.linspace if scales[1] == "lin" else np.geomspace)(0.1, 10, 4) * u.TeV
    energy = peer_maps.MapAxis.from_edges(edges, name="energy", interp=scales[1])
    values = peer_maps.RegionNDMap.create(region=None, axes=[energy, time])
    values.data = np.random.default_rng(2).uniform(0.5, 3, values.data.shape)
    other = peer.LightCurveTemplateTemporalModel(values, t_ref=Time(58970.25, format="mjd"))
    other.write(tmp_path / "curve.fits", format="map")
    model = LightCurveTemplateTemporalModel.read(tmp_path / "curve.fits")
    assert model.is_energy_dependent
    times = START + np.linspace(0 if scales[0] == "lin" else 0.5, 6, 30) * u.d
    grid = np.array([0.15, 0.7, 8.0])
    wanted = np.asarray(other.evaluate(times, energy=grid * u.TeV)).squeeze()
    np.testing.assert_allclose(model(times, grid).T, wanted, rtol=1e-6)
    np.testing.assert_array_equal(from_gammapy(other)(times, grid), model(times, grid))
    np.testing.assert_allclose(np.asarray(to_gammapy(model).evaluate(times, energy=grid * u.TeV)).squeeze(), wanted)


def test_phase_curve(tmp_path):
    Table({"PHASE": np.array([0.05, 0.3, 0.5, 0.95]), "NORM": np.array([1.0, 3.0, 0.5, 2.0])}).write(
        tmp_path / "p.fits"
    )
    timing = {"t_ref": 58965.0 * u.d, "phi_ref": 0.2, "f0": 2.9e-3 / u.s, "f1": -1e-13 / u.s**2, "f2": 1e-21 / u.s**3}
    other = peer.TemplatePhaseCurveTemporalModel.read(tmp_path / "p.fits", **timing)
    model = TemplatePhaseCurveTemporalModel.read(tmp_path / "p.fits", **timing)
    times = Time(58970.5 + np.linspace(0, 0.1, 57), format="mjd", scale="utc")
    np.testing.assert_allclose(model(times), other(times).value, rtol=2e-5)
    # one interval at a time: gammapy's integral does not take several
    lengths = SECONDS[:, 1] - SECONDS[:, 0]
    ends = zip(THEIRS.time_start.utc, THEIRS.time_stop.utc, strict=True)
    means = [float(other.integral(start, stop).to_value("")) for start, stop in ends]
    wanted = np.sum(means * lengths) / np.sum(lengths)
    assert float(model.mean(OURS)) == pytest.approx(wanted, rel=1e-5)
