"""YAML files of gammapy's past and of catalogues, read as gammapy 2.1 reads them."""

import math
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from gammajax.datasets.io import parse_yaml
from gammajax.datasets.models import Models

gammapy = pytest.importorskip("gammapy")
gm = pytest.importorskip("gammapy.modeling.models")

pytestmark = pytest.mark.filterwarnings("ignore")

# the configurations that gammapy brings along, from before version 1.0
SHIPPED = sorted(p for p in Path(gammapy.__file__).parent.rglob("model*.yaml") if "components" in p.read_text())

SPECTRUM = "{type: PowerLawSpectralModel, parameters: [{name: index, value: 2.0%s}, {name: amplitude, value: 1.0e-12}]}"


def both(text):
    return Models.from_dict(parse_yaml(text, "text")), gm.Models.from_yaml(text)


def test_shipped_files():
    assert len(SHIPPED) >= 4
    for path in SHIPPED:
        ours, theirs = Models.read(path), gm.Models.read(path)
        assert list(ours.names) == theirs.names
        for p, q in zip(ours.parameters.values(), theirs.parameters, strict=True):
            assert float(p.value) == q.value and p.frozen == q.frozen and u.Unit(p.unit) == q.unit
            assert (p.min if math.isfinite(p.min) else math.nan) == pytest.approx(q.min, nan_ok=True)


@pytest.mark.parametrize("more", [", scale: 1.0", ", scale: 1.0e-2", ", error: -.inf, scan_n_values: 5"])
def test_keys_of_parameters(more):
    ours, theirs = both(f"components:\n- {{name: s, type: SkyModel, spectral: {SPECTRUM % more}}}\n")
    energy = np.array([0.3, 1, 20])
    expected = theirs[0].spectral_model(energy * u.TeV).to_value("TeV-1 s-1 cm-2")
    np.testing.assert_allclose(ours["s"].spectral.evaluate(energy), expected, rtol=1e-14)


def test_norms_that_gammapy_reads_over():
    table = (
        "{type: template, energy: {data: [1, 2], unit: TeV}, values: {data: [1.0e-12, 2.0e-13], unit: TeV-1 s-1 cm-2}"
    )
    text = (
        "components:\n"
        f"- {{name: s, type: SkyModel, spectral: {table}, parameters: [{{name: norm, value: 2.1}}]}}}}\n"
        "- {type: FoVBackgroundModel, datasets_names: [a], parameters: [{name: norm, value: 1.3}]}\n"
    )
    ours, theirs = both(text)
    energy = np.array([1.0, 1.3])
    expected = theirs[0].spectral_model(energy * u.TeV).to_value("TeV-1 s-1 cm-2")
    np.testing.assert_allclose(ours["s"].spectral.evaluate(energy), expected, rtol=1e-12)
    assert float(ours["a-bkg"].spectral.norm.value) == theirs[1].spectral_model.norm.value == 1.0


@pytest.mark.parametrize("frame", ["fk5", "fk4", "supergalactic"])
@pytest.mark.parametrize("kind", ["GaussianSpatialModel", "DiskSpatialModel", "GeneralizedGaussianSpatialModel"])
def test_shapes_in_other_frames(tmp_path, frame, kind):
    """A file of gammapy with an ellipse of any frame: the same surface brightness at the same places on the sky."""
    shape = getattr(gm, kind)(lon_0="120 deg", lat_0="-35 deg", e=0.7, phi="40 deg", frame=frame)
    size = {"GaussianSpatialModel": "sigma"}.get(kind, "r_0")
    getattr(shape, size).value = 0.6
    gm.Models([gm.SkyModel(gm.PowerLawSpectralModel(), shape, name="s")]).write(tmp_path / "m.yaml")
    ours = Models.read(tmp_path / "m.yaml")["s"].spatial
    angles = np.arange(12) * 30 * u.deg
    points = SkyCoord(120, -35, unit="deg", frame=frame).directional_offset_by(
        angles, np.linspace(0.05, 0.55, 12) * u.deg
    )
    expected = shape(points.data.lon, points.data.lat).to_value("sr-1")
    found = np.asarray(ours(points.icrs.ra.deg, points.icrs.dec.deg))
    # a plane Gaussian of gammapy, which is not normalised on the sphere
    scale = found[0] / expected[0]
    assert scale == pytest.approx(1, rel=2e-4)
    np.testing.assert_allclose(found / scale, expected, rtol=1e-3, atol=1e-6 * expected.max())


SPECTRA = {
    "PowerLawSpectralModel": {"index": 2.4, "amplitude": "3e-12 cm-2 s-1 TeV-1", "reference": "7 TeV"},
    "PowerLaw2SpectralModel": {"index": 2.2, "amplitude": "1.3e-11 cm-2 s-1", "emin": "50 GeV", "emax": "2 TeV"},
    "LogParabolaSpectralModel": {"alpha": 2.1, "beta": 0.17, "amplitude": "4e-13 cm-2 s-1 MeV-1", "reference": "4 GeV"},
    "ExpCutoffPowerLawSpectralModel": {"index": 1.9, "lambda_": "0.12 TeV-1"},
    "ExpCutoffPowerLaw3FGLSpectralModel": {"index": 1.4, "ecut": "3 GeV", "reference": "0.8 GeV"},
    "SuperExpCutoffPowerLaw3FGLSpectralModel": {
        "index_1": 1.2,
        "index_2": 0.55,
        "ecut": "20 MeV",
        "reference": "0.8 GeV",
    },
    "SuperExpCutoffPowerLaw4FGLSpectralModel": {
        "index_1": 1.3,
        "index_2": 0.66,
        "expfactor": 1e-2,
        "reference": "1 GeV",
    },
    "SuperExpCutoffPowerLaw4FGLDR3SpectralModel": {
        "index_1": 2.1,
        "index_2": 0.7,
        "expfactor": 0.5,
        "reference": "1 GeV",
    },
}
SHAPES = {
    "PointSpatialModel": {},
    "GaussianSpatialModel": {"sigma": "0.3 deg"},
    "DiskSpatialModel": {"r_0": "0.5 deg", "e": 0.4, "phi": "20 deg"},
    "ShellSpatialModel": {"radius": "0.4 deg", "width": "0.1 deg"},
}


@pytest.mark.parametrize("full_output", [False, True])
@pytest.mark.parametrize("frame", ["icrs", "galactic", "fk5"])
def test_models_as_catalogues_have_them(tmp_path, frame, full_output):
    """Spectra and shapes of 3FGL, 4FGL, 2FHL, HGPS, gamma-cat, HAWC and 1LHAASO, with errors that are not known: every
    parameter, and dN/dE. (The catalogues themselves, of which 2FHL, 3FGL and 4FGL were at hand, read to 5e-14.)"""
    theirs = []
    for i, (kind, values) in enumerate(SPECTRA.items()):
        shape_kind = list(SHAPES)[i % len(SHAPES)]
        shape = getattr(gm, shape_kind)(lon_0="83.6 deg", lat_0="-5.4 deg", frame=frame, **SHAPES[shape_kind])
        model = gm.SkyModel(getattr(gm, kind)(**values), shape, name=f"J{i:04d}-05")
        for j, p in enumerate(model.parameters):
            p.error = (0.1 * abs(p.value), -math.inf, math.nan, 0.0)[(i + j) % 4]
        theirs.append(model)
    gm.Models(theirs).write(tmp_path / "catalogue.yaml", full_output=full_output, write_covariance=False)
    ours = Models.read(tmp_path / "catalogue.yaml")
    assert list(ours.names) == [m.name for m in theirs]
    energy = np.geomspace(1e-4, 10, 9)
    for one, other in zip(ours, theirs, strict=True):
        expected = other.spectral_model(energy * u.TeV).to_value("TeV-1 s-1 cm-2")
        assert np.all(np.isfinite(expected)) and np.sum(expected > 1e-100) >= 4
        np.testing.assert_allclose(one.spectral.evaluate(energy), expected, rtol=1e-7, atol=1e-250)
        where = other.spatial_model.position.icrs.cartesian.xyz.value
        np.testing.assert_allclose(one.spatial.center_vector, where, atol=1e-14)
        for q in other.parameters:
            p = getattr(one.spectral, q.name, None)
            p = getattr(one.spatial, q.name) if p is None else p
            if frame != "fk5" or q.name not in ("lon_0", "lat_0", "phi"):
                assert float(p.value) == q.value and u.Unit(p.unit) == q.unit and p.frozen == q.frozen
            known = math.isfinite(q.error)
            assert (float(p.error) == pytest.approx(q.error, rel=1e-6)) if known else math.isnan(float(p.error))


def test_the_examples_of_gammapys_own_tests(tmp_path, monkeypatch):
    """A file of version 0.18 with all that it names, made here: a background, a light curve, templates, a cube."""
    from gammapy.maps import Map, MapAxis, WcsGeom

    monkeypatch.setenv("GAMMAPY_DATA", str(tmp_path))
    example = next(p for p in Path(gammapy.__file__).parent.rglob("tests/data/examples.yaml"))
    rng = np.random.default_rng(1)
    reco = MapAxis.from_energy_bounds("0.1 TeV", "10 TeV", nbin=3)
    true = MapAxis.from_nodes([0.01, 0.1, 1], unit="TeV", name="energy_true", interp="log")
    geom = WcsGeom.create(npix=(6, 5), binsz=0.2, frame="galactic")
    files = {
        "tests/models/background_irf.fits": Map.from_geom(geom.to_cube([reco])),
        "catalogs/fermi/Extended_archive_v18/Templates/RXJ1713_2016_250GeV.fits": Map.from_geom(geom, unit="sr-1"),
        "fermi-3fhl-gc/gll_iem_v06_gc.fits.gz": Map.from_geom(geom.to_cube([true]), unit="cm-2 s-1 MeV-1 sr-1"),
    }
    for name, made in files.items():
        made.data = rng.uniform(1, 2, made.data.shape)
        (tmp_path / name).parent.mkdir(parents=True)
        made.write(tmp_path / name)
    curve = Table({"TIME": [0.0, 1.0, 2.0] * u.d, "NORM": [1.0, 3.0, 2.0]}, meta={"MJDREFI": 55000, "MJDREFF": 0.0})
    (tmp_path / "tests/models/light_curve").mkdir(parents=True)
    curve.write(tmp_path / "tests/models/light_curve/lightcrv_PKSB1222+216.fits")
    theirs = gm.Models.read(example)
    ours = Models.read(example)
    assert list(ours.names) == theirs.names and len(ours) == 5
    energy = np.array([0.03, 0.2, 1.3])
    points = geom.get_coord().skycoord.icrs[2, 1:4]
    for one, other in zip(ours, theirs, strict=True):
        assert type(one).__name__ == type(other).__name__
        expected = other.spectral_model(energy * u.TeV).to_value(u.Unit(one.spectral.unit))
        np.testing.assert_allclose(one.spectral.evaluate(energy), expected, rtol=1e-9)
        if one.name in ("source2", "cube_iem"):
            known = true.center if one.name == "cube_iem" else None
            galactic = points.galactic
            value = other.spatial_model.evaluate(galactic.l, galactic.b, *(() if known is None else (known[1],)))
            at = None if known is None else known[1].to_value("TeV")
            found = one.spatial(galactic.l.deg, galactic.b.deg, *(() if at is None else (np.array([at]),)))
            np.testing.assert_allclose(np.ravel(found), value.to_value(u.Unit(one.spatial.unit)), rtol=1e-6)
    np.testing.assert_array_equal(ours["background_irf"].counts, files["tests/models/background_irf.fits"].data)
    assert ours["background_irf"].datasets_names == ("CTA-gc",)
