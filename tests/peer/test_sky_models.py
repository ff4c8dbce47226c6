"""Models with spatial and temporal parts in files, in both directions between gammajax and gammapy."""

import math
import warnings

import numpy as np
import pytest
from astropy import units as u

from gammajax.datasets.models import FoVBackgroundModel, GaussianPrior, Models, Parameter, SkyModel
from gammajax.datasets.models.spatial import GaussianSpatialModel, PointSpatialModel
from gammajax.datasets.models.spectral import PowerLawSpectralModel
from gammajax.datasets.models.temporal import ExpDecayTemporalModel
from gammajax.datasets.models.yaml import PARTS, declared_parameters

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    gm = pytest.importorskip("gammapy.modeling.models")
    from astropy.table import Table
    from astropy.time import Time
    from gammapy.maps import Map, MapAxis, RegionNDMap

pytestmark = pytest.mark.filterwarnings("ignore")
PLAIN = [
    (word, cls.tag[0])
    for word in ("spatial", "temporal")
    for cls in dict.fromkeys(PARTS[word].models.values())
    if not hasattr(cls, "from_extra")
]


def assert_same_parameters(ours, theirs):
    """Names, values, units, errors, flags and bounds of a component."""
    assert list(ours) == theirs.names
    for p, q in zip(ours.values(), theirs, strict=True):
        assert (float(p.value), u.Unit(p.unit), p.frozen) == (q.value, q.unit, q.frozen)
        assert float(p.error) == float(q.error)
        low, high = (none if np.isnan(b) else b for b, none in ((q.min, -math.inf), (q.max, math.inf)))
        assert (p.min, p.max) == (low, high), q.name


def assert_same_models(ours, theirs):
    assert list(ours.names) == theirs.names
    for one, other in zip(ours, theirs, strict=True):
        assert type(one).__name__ == type(other).__name__
        assert (one.datasets_names is None) == (other.datasets_names is None)
        assert list(one.datasets_names or []) == list(other.datasets_names or [])
        for word in ("spectral", "spatial", "temporal"):
            part, peer = getattr(one, word, None), getattr(other, f"{word}_model", None)
            assert (part is None) == (peer is None), (one.name, word)
            if part is not None:
                assert type(part).__name__ == type(peer).__name__
                assert_same_parameters(part.parameters, peer.parameters)
                if word == "spatial" and part.position is not None:
                    assert part.frame == peer.frame
                if word == "temporal":
                    assert part.scale == peer.scale


@pytest.mark.parametrize("word", ["spatial", "temporal"])
def test_declarations_are_those_of_gammapy(word):
    """What gammapy leaves out of a file because it is a default has to be the same default here."""
    for ours in dict.fromkeys(PARTS[word].models.values()):
        theirs = getattr(gm, ours.tag[0])
        assert list(ours.tag) == theirs.tag
        declared, peers = declared_parameters(ours), theirs.default_parameters
        assert list(declared) == peers.names
        for q in peers:
            # the middle of the map of a template
            q.value = 0.0 if np.isnan(q.value) else q.value
        assert_same_parameters(declared, peers)


@pytest.mark.parametrize("full_output", [False, True])
@pytest.mark.parametrize(("word", "name"), PLAIN)
def test_plain_models_in_both_directions(tmp_path, word, name, full_output):
    part = getattr(gm, name)(**({"scale": "tt"} if word == "temporal" else {"frame": "galactic"}))
    for i, p in enumerate(part.parameters):
        p.value = p.value * 0.9 + 0.1 / (i + 3)
        p.frozen = not p.frozen
        p.error = abs(p.value) / 7
    theirs = gm.Models([gm.SkyModel(gm.PowerLawSpectralModel(), **{f"{word}_model": part}, name="crab")])
    theirs.write(tmp_path / "theirs.yaml", full_output=full_output)
    ours = Models.read(tmp_path / "theirs.yaml")
    if name == "ConstantSpatialModel":
        # it is not in the file
        assert ours["crab"].spatial.value.value == 1
        value = Parameter(part.value.value, "sr-1", error=part.value.error, frozen=False)
        ours = Models(ours["crab"].replace(spatial=ours["crab"].spatial.replace(value=value)))
    assert_same_models(ours, theirs)
    if name == "ConstantFluxSpatialModel":
        # gammapy writes it, and cannot read it
        assert name not in {cls.__name__ for cls in gm.SPATIAL_MODEL_REGISTRY}
        return
    ours.write(tmp_path / "ours.yaml")
    assert_same_models(ours, gm.Models.read(tmp_path / "ours.yaml"))


@pytest.fixture
def everything(tmp_path):
    """Models of gammapy with all kinds of files."""
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
    true = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=4, name="energy_true")
    rng = np.random.default_rng(2)

    def sky(frame, axes=(), unit=""):
        made = Map.create(npix=(6, 5), binsz=0.1, skydir=(83.6, 22.0), frame=frame, proj="TAN", axes=axes, unit=unit)
        made.data = rng.random(made.data.shape)
        return made

    image = gm.TemplateSpatialModel(sky("icrs"), filename=str(tmp_path / "image.fits"))
    cube = gm.TemplateSpatialModel(
        sky("galactic", [true], "sr-1"), filename=str(tmp_path / "cube.fits"), normalize=False
    )
    cube.lon_0.value += 0.3
    times = Table({"TIME": [0, 1, 2] * u.d, "NORM": [1, 2, 1.0]})
    times.meta.update(MJDREFI=55555, MJDREFF=0.25, TIMESYS="utc")
    curve = gm.LightCurveTemplateTemporalModel.from_table(times, filename=str(tmp_path / "curve.fits"))
    curve.write()
    phases = gm.TemplatePhaseCurveTemporalModel(
        Table({"PHASE": [0, 0.5, 1], "NORM": [1, 2, 1.0]}), filename=str(tmp_path / "phases.fits"), f0=0.3 / u.d
    )
    phases.write()
    counts = sky("icrs", [energy])
    flux = gm.PowerLawSpectralModel
    point = gm.PointSpatialModel(lon_0="83.6 deg", lat_0="22 deg")
    wide = gm.GaussianSpatialModel(lon_0="83.6 deg", lat_0="22 deg", sigma="0.2 deg", frame="icrs")
    wide.lat_0 = point.lat_0
    norm = gm.PowerLawNormSpectralModel(norm=1.3)
    return gm.Models(
        [
            gm.SkyModel(flux(index=2.5), point, gm.ExpDecayTemporalModel(t0="3 d"), name="point"),
            gm.SkyModel(flux(), wide, name="wide", datasets_names=["run"]),
            gm.SkyModel(flux(), image, curve, name="image"),
            gm.SkyModel(flux(), cube, phases, name="cube"),
            gm.SkyModel(flux(), gm.ConstantSpatialModel(), name="flat"),
            gm.FoVBackgroundModel("run", norm, gm.GaussianSpatialModel(sigma="2 deg", frame="galactic")),
            gm.TemplateNPredModel(counts, filename=str(tmp_path / "counts.fits"), name="leak", datasets_names=["run"]),
        ]
    )


def test_files_of_gammapy(everything, tmp_path):
    everything.write(tmp_path / "theirs.yaml")
    ours = Models.read(tmp_path / "theirs.yaml")
    assert_same_models(ours, everything)
    assert ours["wide"].spatial.lat_0.link == ours["point"].spatial.lat_0.link is not None
    np.testing.assert_array_equal(ours["leak"].counts, everything["leak"].map.data)
    # the templates as gammapy reads them again (a normalised image changes by 2e-5), at the centres of their pixels
    peers = gm.Models.read(tmp_path / "theirs.yaml")
    for name in ("image", "cube"):
        theirs = peers[name].spatial_model
        coords = theirs.map.geom.get_coord(frame=theirs.frame)
        lon, lat = (np.asarray(angle.to_value("deg")) for angle in (coords.lon, coords.lat))
        if name == "image":
            found, expected = ours[name].spatial(lon, lat), theirs(coords.lon, coords.lat)
        else:
            energy = coords["energy_true"]
            found = np.asarray(ours[name].spatial(lon[0] + 0.3, lat[0], energy[:, 0, 0]))
            expected = theirs(coords.lon + 0.3 * u.deg, coords.lat, energy)
        np.testing.assert_allclose(found, expected.to_value(ours[name].spatial.unit), rtol=1e-6)
    mjd = np.array([55555.5, 55556.9])
    for name in ("image", "cube"):
        peer = peers[name].temporal_model
        np.testing.assert_allclose(ours[name].temporal(mjd), _at(peer, mjd), rtol=1e-6)
    # and back again, from another folder
    ours.write(tmp_path / "other" / "ours.yaml")
    back = gm.Models.read(tmp_path / "other" / "ours.yaml")
    assert_same_models(ours, back)
    np.testing.assert_array_equal(back["leak"].map.data, everything["leak"].map.data)


def _at(peer, mjd):
    time = Time(mjd, format="mjd", scale="utc")
    if isinstance(peer, gm.LightCurveTemplateTemporalModel):
        return np.squeeze(peer(time))
    return np.squeeze(peer.evaluate(mjd * u.d, *(p.quantity for p in peer.parameters)))


def test_counts_of_a_region(tmp_path):
    """gammapy writes such templates, and cannot read them."""
    axis = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=3)
    region = RegionNDMap.create("icrs;circle(83.63, 22.01, 0.5)", axes=[axis])
    region.data[:, 0, 0] = [1, 2, 4]
    theirs = gm.Models([gm.TemplateNPredModel(region, filename=str(tmp_path / "region.fits"), name="spill")])
    theirs.write(tmp_path / "theirs.yaml")
    np.testing.assert_array_equal(Models.read(tmp_path / "theirs.yaml")["spill"].counts, [1, 2, 4])


def test_files_of_gammajax(tmp_path):
    ours = Models(
        [
            SkyModel(
                PowerLawSpectralModel(),
                "a",
                spatial=PointSpatialModel(
                    lon_0=Parameter(83.6, "deg", error=0.1, prior=GaussianPrior(83.6, 0.1)), lat_0=1320 * u.arcmin
                ),
                temporal=ExpDecayTemporalModel(t0=Parameter(3600.0, "s"), t_ref=55000.0, scale="tt"),
            ),
            SkyModel(
                PowerLawSpectralModel(), "b", spatial=GaussianSpatialModel(184.5, -5.8, sigma=0.3, frame="galactic")
            ),
            FoVBackgroundModel(datasets_names="d1", spatial=GaussianSpatialModel(83.6, 22, sigma=2)),
        ]
    ).link("a.spatial.lon_0", "d1-bkg.spatial.lon_0")
    ours.write(tmp_path / "ours.yaml")
    theirs = gm.Models.read(tmp_path / "ours.yaml")
    assert theirs["a"].spatial_model.lon_0 is theirs["d1-bkg"].spatial_model.lon_0
    assert theirs["a"].spatial_model.lon_0.prior.sigma.value == 0.1
    assert_same_models(ours, theirs)
