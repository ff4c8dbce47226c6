"""Models with spatial and temporal parts exchanged with gammapy in memory, both ways."""

import warnings

import numpy as np
import pytest
from astropy import units as u

import gammajax as gj
from gammajax.datasets.map import MapDataset
from gammajax.datasets.models import Parameter, TemplateNPredModel
from gammajax.datasets.models.spatial import (
    ConstantFluxSpatialModel,
    ConstantSpatialModel,
    GaussianSpatialModel,
    TemplateSpatialModel,
)
from gammajax.datasets.models.temporal import (
    ExpDecayTemporalModel,
    LightCurveTemplateTemporalModel,
    TemplatePhaseCurveTemporalModel,
)
from gammajax.datasets.models.yaml import PARTS
from gammajax.datasets.sky import MapAxis, SkyGeom

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    gm = pytest.importorskip("gammapy.modeling.models")
    from astropy.time import Time
    from gammapy.maps import Map, RegionNDMap, WcsGeom
    from gammapy.maps import MapAxis as PeerAxis

pytestmark = pytest.mark.filterwarnings("ignore")
PLAIN = [
    (word, cls)
    for word in ("spatial", "temporal")
    for cls in dict.fromkeys(PARTS[word].models.values())
    if not hasattr(cls, "from_extra")
]
RNG = np.random.default_rng(4)
FLUX = gj.PowerLawSpectralModel()


def parameters(models):
    """All that parameters say, by name; links by the names that share one."""
    links = {}
    for name, p in models.parameters.items():
        links.setdefault(p.link or name, []).append(name)
    group = {name: tuple(names) for names in links.values() for name in names}
    return {
        n: (float(p.value), u.Unit(p.unit), float(p.error), p.frozen, p.bounds, p.prior, group[n])
        for n, p in models.parameters.items()
    }


@pytest.mark.parametrize(("word", "kind"), PLAIN, ids=lambda x: getattr(x, "__name__", x))
def test_plain_parts(word, kind):
    ours = kind(**({"frame": "galactic"} if word == "spatial" else {"scale": "tt"}))
    ours = ours.replace(
        **{n: p.replace(value=p.value * 0.9 + 0.1, error=0.3, frozen=not p.frozen) for n, p in ours.parameters.items()}
    )
    peer = gj.to_gammapy(ours)
    assert type(peer).__name__ == kind.__name__
    if getattr(ours, "position", None) is not None:
        assert peer.frame == "galactic"
    again = gj.from_gammapy(peer)
    assert type(again) is kind
    expected, found = (gj.Models(gj.SkyModel(FLUX, "a", **{word: part})) for part in (ours, again))
    assert parameters(found) == parameters(expected)
    if word == "temporal":
        assert peer.scale == again.scale == "tt"


def sky_template(cube=False, **options):
    geom = SkyGeom.create((184.5, -5.8), 0.1, npix=(7, 5), frame="galactic")
    axis = MapAxis([0.1, 1, 10, 50], "log", "energy_true", "TeV") if cube else None
    return TemplateSpatialModel(RNG.random((3, 5, 7) if cube else (5, 7)) + 0.1, geom, axis, **options)


@pytest.mark.parametrize(
    "ours",
    [
        sky_template(lon_0=Parameter(184.6, "deg", error=0.1), filename="a.fits"),
        sky_template(normalize=False),
        sky_template(cube=True),
        sky_template(cube=True, normalize=False, lat_0=-5.7),
    ],
)
def test_sky_templates(ours):
    peer = gj.to_gammapy(ours)
    assert (peer.frame, peer.normalize, peer.filename) == ("galactic", ours.normalize, ours.filename)
    # at the centres of pixels, of the shifted map
    x, y = np.array([1.0, 3.0, 6.0]), np.array([2.0, 4.0, 0.0])
    coords = peer.map.geom.to_image().pix_to_coord((x, y))
    lon = coords[0].value + float(ours.lon_0.value - ours.middle[0])
    lat = coords[1].value + float(ours.lat_0.value - ours.middle[1])
    energy = None if ours.energy is None else np.asarray(ours.energy_center)
    arguments = () if energy is None else (energy[:, None] * u.TeV,)
    theirs = peer(lon * u.deg, lat * u.deg, *arguments).to_value(ours.unit)
    np.testing.assert_allclose(np.asarray(ours(lon, lat, energy)), theirs, rtol=1e-6)
    again = gj.from_gammapy(peer)
    assert_same_template(again, ours)


def assert_same_template(again, ours):
    # areas of pixels differ by that much
    np.testing.assert_allclose(again.values, ours.values, rtol=1e-8)
    assert (again.normalize, again.filename, again.frame) == (ours.normalize, ours.filename, ours.frame)
    assert again.geom.is_same(ours.geom) and (again.unit, again.energy_edges) == (ours.unit, ours.energy_edges)
    if ours.energy is not None:
        np.testing.assert_allclose(again.energy, ours.energy, rtol=1e-14)
    expected, found = (gj.Models(gj.SkyModel(FLUX, "a", spatial=part)) for part in (ours, again))
    assert parameters(found) == parameters(expected)


@pytest.mark.parametrize("energy", [None, np.array([0.1, 1.0, 10.0])])
def test_light_curves(energy):
    norm = RNG.random((4, 3) if energy is not None else 4) + 0.5
    ours = LightCurveTemplateTemporalModel(
        [0.0, 0.5, 1.0, 3.0], norm, 55555.25, energy=energy, scale="tt", filename="a"
    )
    peer = gj.to_gammapy(ours)
    assert (peer.scale, peer.filename, peer.t_ref.value, peer.t_ref.frozen) == ("tt", "a", 55555.25, True)
    mjd = 55555.25 + np.array([0.2, 0.7, 2.5])
    theirs = np.squeeze(peer.evaluate(Time(mjd, format="mjd", scale="tt")))
    np.testing.assert_allclose(np.asarray(ours(mjd, energy)).T, theirs, rtol=1e-6)
    again = gj.from_gammapy(peer)
    for name in ("time", "norm", "energy"):
        if getattr(ours, name) is not None:
            np.testing.assert_allclose(getattr(again, name), getattr(ours, name), rtol=1e-14)
    assert (again.scale, again.filename, again.t_ref) == (ours.scale, ours.filename, ours.t_ref)


def test_light_curve_with_the_energy_first():
    time = PeerAxis.from_nodes([0, 1] * u.d, name="time")
    energy = PeerAxis.from_nodes([1, 2, 4] * u.TeV, name="energy", interp="log")
    for axes in ((time, energy), (energy, time)):
        made = RegionNDMap.create(region=None, axes=list(axes))
        made.data = RNG.random(made.data.shape)
        ours = gj.from_gammapy(gm.LightCurveTemplateTemporalModel(made))
        values = made.data[..., 0, 0]
        np.testing.assert_allclose(ours.norm, values.T if axes[0] is time else values, rtol=1e-14)
        assert ours.norm.shape == (2, 3)


@pytest.mark.parametrize("normalize", [True, False])
def test_phase_curves(normalize):
    ours = TemplatePhaseCurveTemporalModel(
        [0, 0.4, 1], [1.0, 3.0, 2.0], f0=Parameter(0.3, "d-1", error=0.1), t_ref=55000, normalize=normalize, scale="tdb"
    )
    peer = gj.to_gammapy(ours)
    assert (peer.scale, peer.normalize) == ("tdb", normalize)
    mjd = np.array([55000.3, 55007.1])
    theirs = peer.evaluate(mjd * u.d, *(p.quantity for p in peer.parameters)).value
    np.testing.assert_allclose(ours(mjd), theirs, rtol=1e-10)
    again = gj.from_gammapy(peer)
    np.testing.assert_allclose(again(mjd), ours(mjd), rtol=1e-12)
    assert (again.scale, again.normalize, again.f0) == (ours.scale, normalize, ours.f0)


def run():
    geom = SkyGeom.create((83.6, 22.0), 0.1, npix=(4, 3))
    return MapDataset(geom, np.array([1.0, 3.0, 10.0]))


def test_everything_together(tmp_path, monkeypatch):
    """Links between parts of all kinds; no file is written or read."""
    monkeypatch.chdir(tmp_path)
    counts = RNG.random((2, 3, 4))
    curve = LightCurveTemplateTemporalModel([0.0, 1.0], [1.0, 2.0], 55555.0)
    decay = ExpDecayTemporalModel(t0=Parameter(2.0, "d", prior=gj.GaussianPrior(2, 0.1)), t_ref=55555.0)
    product = gj.CompoundSpectralModel(FLUX, gj.PowerLawNormSpectralModel(tilt=0.2), "mul")
    ours = gj.Models(
        [
            gj.SkyModel(FLUX, "a", spatial=sky_template(lon_0=184.5), temporal=curve, apply_irf={"psf": False}),
            gj.SkyModel(product, "b", ["d1"], spatial=GaussianSpatialModel(184.5, -5.8, sigma=0.2, frame="galactic")),
            gj.SkyModel(FLUX, "c", spatial=ConstantFluxSpatialModel(), temporal=decay),
            gj.FoVBackgroundModel(datasets_names="d1", spatial=ConstantSpatialModel(value=1.2)),
            gj.FoVBackgroundModel(datasets_names="d2", name="own", spatial=sky_template(normalize=False)),
            TemplateNPredModel(counts, gj.PowerLawNormSpectralModel(norm=1.5), "leak", "d1"),
            TemplateNPredModel(counts, name="spill"),
        ]
    )
    for names in (
        ("a.spatial.lon_0", "b.spatial.lon_0"),
        ("a.spectral.index", "b.spectral.index"),
        ("a.temporal.t_ref", "c.temporal.t_ref"),
        ("leak.spectral.norm", "spill.spectral.norm"),
    ):
        ours = ours.link(*names)
    peer = gj.to_gammapy(ours, dataset=run())
    assert peer.names == list(ours.names)
    assert peer["a"].spatial_model.lon_0 is peer["b"].spatial_model.lon_0
    assert peer["a"].spectral_model.index is peer["b"].spectral_model.model1.index
    assert peer["a"].temporal_model.t_ref is peer["c"].temporal_model.t_ref
    assert peer["leak"].spectral_model.norm is peer["spill"].spectral_model.norm
    assert peer["a"].apply_irf["psf"] is False and peer["b"].datasets_names == ["d1"]
    assert peer["d1-bkg"].spatial_model.value.value == 1.2
    assert peer["own"].datasets_names == ["d2"] and peer["leak"].datasets_names == ["d1"]
    np.testing.assert_allclose(peer["leak"].evaluate().data, 1.5 * counts)
    again = gj.from_gammapy(peer)
    assert [type(m) for m in again] == [type(m) for m in ours] and again.names == ours.names
    assert parameters(again) == parameters(ours)
    assert [m.datasets_names for m in again] == [m.datasets_names for m in ours]
    assert_same_template(again["a"].spatial, ours["a"].spatial)
    assert_same_template(again["own"].spatial, ours["own"].spatial)
    np.testing.assert_array_equal(again["leak"].counts, counts)
    assert list(tmp_path.iterdir()) == []
    # nothing is shared
    peer["leak"].map.data[...] = 0
    peer["a"].spatial_model.map.data[...] = 0
    np.testing.assert_array_equal(again["leak"].counts, counts)
    assert np.all(again["a"].spatial.values > 0)


def test_counts_of_spectra_and_of_files(tmp_path):
    spectrum = gj.SpectrumDataset([1.0, 3.0, 10.0], counts=[1.0, 2.0])
    ours = TemplateNPredModel(np.array([3.0, 4.0]), name="x")
    peer = gj.to_gammapy(ours, dataset=spectrum)
    np.testing.assert_array_equal(peer.map.data[:, 0, 0], [3, 4])
    np.testing.assert_array_equal(gj.from_gammapy(peer).counts, [3, 4])

    axis = PeerAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)
    geom = WcsGeom.create(npix=(4, 3), axes=[axis])
    Map.from_geom(geom).write(tmp_path / "t.fits")
    named = TemplateNPredModel(np.ones((2, 3, 4)), filename=tmp_path / "t.fits")
    peer = gj.to_gammapy(named)
    assert peer.map.geom == geom and np.all(peer.map.data == 1) and peer.filename == str(tmp_path / "t.fits")
    peer = gm.TemplateNPredModel(peer.map, filename="t.fits", spatial_model=gm.ConstantSpatialModel(value="3 sr-1"))
    baked = gj.from_gammapy(peer)
    np.testing.assert_array_equal(baked.counts, peer.evaluate().data)
    assert baked.filename is None and np.all(baked.counts == 3)


def test_positions_in_another_frame_are_icrs():
    equatorial = gj.from_gammapy(gm.PointSpatialModel(lon_0="10 deg", lat_0="5 deg", frame="fk5"))
    found = float(equatorial.lon_0.value), float(equatorial.lat_0.value)
    assert equatorial.frame == "icrs" and tuple(round(x, 8) for x in found) == (9.99999312, 4.99999847)


def test_models_that_gammapy_does_not_have():
    area = gj.InstrumentModel(exposure=1.0, name="area")
    scatter = gj.PopulationModel(["area.exposure.norm"], mean=1.0, width=0.1, name="areas")
    source = gj.SkyModel(FLUX, "source")
    for model in (area, scatter):
        message = rf"^to_gammapy: model '{model.name}': gammapy has no {type(model).__name__}. Leave it out.$"
        with pytest.raises(gj.InputError, match=message):
            gj.to_gammapy(model)
    with pytest.raises(gj.InputError, match="gammapy has no InstrumentModel"):
        gj.to_gammapy(gj.Models([source, area, scatter]))
    assert gj.to_gammapy(gj.Models([source, area, scatter])[:1]).names == ["source"]


def test_what_cannot_be_converted(tmp_path):
    template = TemplateNPredModel(np.ones((2, 3, 4)), name="x", filename=tmp_path / "missing.fits")
    with pytest.raises(gj.InputError, match=r"to_gammapy: the template 'x' does not know .*dataset=run"):
        gj.to_gammapy(template)
    with pytest.raises(gj.InputError, match=r"'x' have shape \(2, 3, 4\), expected \(2, 1, 1\) as"):
        gj.to_gammapy(template, dataset=gj.SpectrumDataset([1.0, 3.0, 10.0], counts=[1.0, 2.0]))
    with pytest.raises(gj.InputError, match=r"dataset must be one dataset, found Datasets"):
        gj.to_gammapy(template, dataset=gj.Datasets({}))
    with pytest.raises(
        gj.InputError, match=r"the template 'x' acts on a, b datasets, and one of gammapy on exactly one"
    ):
        gj.to_gammapy(template.replace(datasets_names=("a", "b")))
    apart = [
        gj.SkyModel(FLUX, n, spatial=GaussianSpatialModel(Parameter(v, "deg", link="x")))
        for n, v in (("a", 1), ("b", 2))
    ]
    with pytest.raises(gj.InputError, match=r"b.spatial.lon_0: it is linked \(as 'x'\) with a.spatial.lon_0, but they"):
        gj.to_gammapy(gj.Models(apart))
    local = gm.PointSpatialModel(frame="altaz")
    with pytest.raises(gj.InputError, match=r"from_gammapy: positions in the frame 'altaz' cannot be transformed"):
        gj.from_gammapy(local)
    linear = gm.TemplateSpatialModel(Map.create(npix=3), interp_kwargs={"values_scale": "lin"})
    with pytest.raises(gj.InputError, match=r"from_gammapy: found interp_kwargs \{'values_scale': 'lin'"):
        gj.from_gammapy(linear)
    named = gm.SkyModel(gm.PowerLawSpectralModel(), linear, name="m")
    with pytest.raises(gj.InputError, match=r"from_gammapy: model 'm', spatial: found interp_kwargs"):
        gj.from_gammapy(named)
    region = gm.TemplateSpatialModel(RegionNDMap.create("icrs;circle(83.63, 22.01, 0.5)"), normalize=False)
    with pytest.raises(gj.InputError, match=r"found a map with RegionGeom"):
        gj.from_gammapy(region)
    time = PeerAxis.from_nodes([0, 1] * u.d, name="time")
    made = RegionNDMap.create(region=None, axes=[time])
    with pytest.raises(
        gj.InputError,
        match=r"from_gammapy: found method 'nearest' and values_scale 'lin', expected 'linear'",
    ):
        gj.from_gammapy(gm.LightCurveTemplateTemporalModel(made, method="nearest"))
