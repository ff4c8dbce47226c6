"""Fits of maps: staging changes nothing, on/off maps, maps with spectra, sources off the map, clear errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from cases import maps as cases
from scipy.special import erf

import gammajax as gj
from gammajax.datasets.counts import npred_signal
from gammajax.datasets.map.prepared_image import image_of_shape, image_of_source
from gammajax.fit.joint import blocks as objective
from gammajax.fit.joint import devices as mesh
from gammajax.fit.joint import from_free, make_problem
from gammajax.fit.joint import objective as joint_objective
from gammajax.fit.solvers import run_scoring

pytestmark = pytest.mark.slow

PIXEL = 0.05
signal = jax.jit(lambda dataset, model: npred_signal(dataset, [model]))


def test_staging_changes_nothing():
    """The statistic of a staged fit is that of the whole map: several sources, one off the map, masks, templates."""
    dataset = cases.small_map(n=30)
    lon, lat = cases.at_pixel(dataset, 12.3, 15.8)
    off_lon, off_lat = cases.at_pixel(dataset, -2.4, 5.0)
    models = gj.Models(
        [
            cases.source(gj.GaussianSpatialModel(lon_0=lon, lat_0=lat, sigma=0.05)),
            cases.source(gj.PointSpatialModel(lon_0=off_lon, lat_0=off_lat), name="off"),
            cases.source(gj.DiskSpatialModel(lon_0=lon + 0.2, lat_0=lat, r_0=0.1), name="disk", amplitude=2e-11),
            gj.FoVBackgroundModel(gj.PowerLawNormSpectralModel(norm=1.1, tilt=0.1), datasets_names="map"),
        ]
    )
    counts = np.asarray(gj.fake(jax.random.key(1), dataset, models, name="map").counts)
    mask = np.random.default_rng(1).random(dataset.data_shape) > 0.2
    dataset = dataset.replace(counts=counts, mask_safe=mask)
    whole = float(np.sum(gj.stat_array(dataset, models, name="map")))
    datasets = gj.Datasets({"map": dataset})
    assert abs(float(gj.stat_sum(datasets, models)) / whole - 1) < 1e-9
    template = gj.TemplateNPredModel(np.full(dataset.data_shape, 0.2), name="template")
    more = gj.Models([*models, template])
    whole = float(np.sum(gj.stat_array(dataset, more, name="map")))
    assert abs(float(gj.stat_sum(datasets, more)) / whole - 1) < 1e-9
    # a whole source, the shape of another, and a template
    disk = [name for name in more.parameters if name.startswith("disk.")]
    shape = ["source.spatial.lon_0", "source.spatial.lat_0", "source.spatial.sigma"]
    frozen = more.freeze(*disk, *shape, "template.spectral.norm")
    assert abs(float(gj.stat_sum(datasets, frozen)) / whole - 1) < 1e-9
    weighted_sums_are_sums(datasets, more.freeze("disk.spatial.lon_0", "disk.spatial.lat_0", "disk.spatial.r_0"))


def weighted_sums_are_sums(datasets, models):
    """Those without images, from which curvature comes: of sources, a frozen shape, a template and the background."""
    problem = make_problem(datasets, models)
    (group,), (arrays,) = problem.spec.groups, problem.arrays["groups"]
    shared, own = objective.inputs(group, arrays, from_free(problem.arrays, problem.start()), 0)
    assert {(part.kind, part.scheme) for part in group.make.parts} >= {("source", "point"), ("source", "fourier")}
    assert {part.kind for part in group.make.parts} == {"source", "shape", "template"}

    @jax.jit
    def both(arrays, weights):
        predicted = objective.evaluate(group, arrays, lambda dataset, models: dataset.predict(models), shared, own)
        weights = jnp.where(jnp.reshape((arrays["data"] | arrays["data_own"])["mask_safe"], (1, -1)), weights, 0.0)
        return jnp.sum(weights * predicted), objective.evaluate(
            group, arrays, objective._weighted, shared, own, weights
        )

    weights = np.random.default_rng(4).normal(size=(1, arrays["data_own"]["counts"].size))
    wanted, found = both(arrays, weights)
    assert float(found[0]) == pytest.approx(float(wanted), rel=1e-10)


def test_curvature_by_source_is_that_of_the_whole(monkeypatch):
    """Second derivatives source by source, with linked and local parameters, are those of the whole prediction."""
    maps = {name: cases.small_map(n=16, background=b) for name, b in (("a", 0.3), ("b", 0.6))}
    places = [
        dict(zip(("lon_0", "lat_0"), cases.at_pixel(maps["a"], x, y), strict=True))
        for x, y in ((8.3, 9), (12, 6), (6, 7))
    ]
    tilted = gj.PowerLawNormSpectralModel(tilt=gj.Parameter(0.1, frozen=False))
    models = gj.Models(
        [
            *(cases.source(gj.PointSpatialModel(**at), name=f"p{k}") for k, at in enumerate(places[:2])),
            cases.source(gj.GaussianSpatialModel(sigma=0.06, **places[2]), name="g"),
            *(gj.FoVBackgroundModel(tilted, name=f"{name}-bkg", datasets_names=name) for name in maps),
        ]
    ).link("p0.spectral.index", "g.spectral.index")
    datasets = gj.Datasets({name: gj.fake(jax.random.key(3), run, models, name=name) for name, run in maps.items()})
    problem = make_problem(datasets, models)
    theta = from_free(problem.arrays, problem.start() * 1.0001)

    def exact():
        return jax.jit(lambda *given: joint_objective.exact_normal(problem.spec, *given))(problem.arrays, theta)

    found = exact()
    monkeypatch.setattr(objective, "_sees_otherwise", lambda spec: True)
    wanted = exact()
    scale = np.sqrt(np.abs(np.diag(wanted.matrix)))
    assert np.all(scale > 0)
    np.testing.assert_allclose(found.matrix / np.outer(scale, scale), wanted.matrix / np.outer(scale, scale), atol=1e-9)
    (block,), (of_whole,) = found.locals, wanted.locals
    np.testing.assert_allclose(block.matrix, of_whole.matrix, rtol=1e-9)
    across = scale[of_whole.places][:, :, None]
    np.testing.assert_allclose(block.cross / across, of_whole.cross / across, rtol=1e-9, atol=1e-9)
    # in reverse, and so not source by source
    slope = jax.jit(lambda *given: jax.grad(joint_objective.total_stat, argnums=2)(problem.spec, *given))
    wanted = slope(problem.arrays, theta).globals
    np.testing.assert_allclose(found.slope / scale, wanted / scale, rtol=1e-8, atol=1e-8)


def test_on_off_maps():
    """The W statistic on maps, staged and not, and a fit of it."""
    like = cases.small_map(n=24)
    background = np.asarray(like.background)
    fields = {k: getattr(like, k) for k in ("energy_true_edges", "exposure", "psf", "edisp")}
    dataset = gj.MapDatasetOnOff(like.geom, like.energy_edges, acceptance=1.0, acceptance_off=5.0, **fields)
    lon, lat = cases.at_pixel(dataset, 11.2, 12.1)
    models = gj.Models([cases.source(gj.PointSpatialModel(lon_0=lon, lat_0=lat))])
    data = gj.fake(jax.random.key(0), dataset, models, npred_background=background)
    assert data.counts.shape == data.counts_off.shape == data.data_shape
    whole = float(np.sum(gj.stat_array(data, models)))
    datasets = gj.Datasets({"map": data})
    assert abs(float(gj.stat_sum(datasets, models)) / whole - 1) < 1e-9
    exact = gj.fit(gj.Datasets({"map": gj.asimov(dataset, models, npred_background=background)}), models)
    assert exact.success
    assert np.all(np.abs(cases.offset_in_pixels(dataset, exact) - [11.2, 12.1]) < 1e-3)


def test_maps_with_spectra(spectrum_factory):
    """One source on a map and on a spectrum, which takes no notice of its position."""
    lon, lat = 83.63, 22.01
    model = cases.source(gj.PointSpatialModel(lon_0=lon, lat_0=lat), amplitude=3e-11, index=2.5)
    bkg = gj.FoVBackgroundModel(datasets_names="map")
    run = gj.asimov(cases.small_map(), [model, bkg], name="map")
    spectrum = spectrum_factory(noise=False)
    result = gj.fit(gj.Datasets({"map": run, "spectrum": spectrum}), gj.Models([model, bkg]))
    alone = gj.fit(gj.Datasets({"map": run}), gj.Models([model, bkg]))
    assert result.success and alone.success
    together, single = (r.parameters["source.spectral.index"] for r in (result, alone))
    assert abs(float(together.value) - 2.5) < 0.05 and float(together.error) < 0.9 * float(single.error)
    names = ["source.spatial.lon_0", "source.spatial.lat_0"]
    np.testing.assert_allclose([float(result.parameters[n].value) for n in names], [lon, lat], atol=1e-3)


def test_bad_maps_and_models():
    dataset = cases.small_map(n=10)
    model = cases.source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01))
    datasets = gj.Datasets({"run": dataset})
    with pytest.raises(gj.InputError, match=r"'run'.*mask excludes every bin"):
        gj.fit(gj.Datasets({"run": dataset.replace(mask_safe=np.zeros(dataset.data_shape, bool))}), model)
    with pytest.raises(gj.InputError, match="no spatial part"):
        gj.fit(datasets, cases.source(None))
    with pytest.raises(gj.InputError, match="no spatial part"):
        gj.npred(dataset, cases.source(None))
    with pytest.raises(gj.InputError, match="exposure is missing"):
        gj.fit(gj.Datasets({"run": dataset.replace(exposure=None)}), model)
    bad = np.array(dataset.exposure)
    bad[1, 2, 3] = np.nan
    with pytest.raises(
        gj.InputError,
        match=r"exposure must be finite and not negative, found nan in bin \(energy, y, x\) = \(1, 2, 3\)",
    ):
        dataset.replace(exposure=bad)
    with pytest.raises(gj.InputError, match=r"counts has shape \(3, 10, 9\), expected \(3, 10, 10\)"):
        dataset.replace(counts=np.zeros((3, 10, 9)))
    with pytest.raises(gj.InputError, match="edisp has shape"):
        dataset.replace(edisp=gj.EDispKernel(np.eye(3)))
    with pytest.raises(gj.InputError, match="psf must be"):
        dataset.replace(psf=0.1)
    with pytest.raises(gj.InputError, match="planes"):
        dataset.replace(psf=gj.PSFKernel(np.ones((2, 3, 3))))
    with pytest.raises(gj.InputError, match="source_grid"):
        dataset.replace(source_grid="coarse")
    with pytest.raises(gj.InputError, match="projection"):
        gj.SkyGeom.create((0, 0), 0.1, 2, proj="XXX")


def test_without_psf_or_edisp():
    """Without a PSF a point is blurred by a quarter of a pixel, and nothing is lost."""
    dataset = cases.small_map(sigma=None, edisp=None)
    x, y = 14.3, 15.1
    lon, lat = cases.at_pixel(dataset, x, y)
    model = cases.source(gj.PointSpatialModel(lon_0=lon, lat_0=lat))
    counts = np.asarray(signal(dataset, model))
    edges = (np.arange(31) - 0.5)[:, None] - [x, y]
    in_x, in_y = np.diff(erf(edges / (np.sqrt(2) * 0.25)), axis=0).T / 2
    expected = in_y[:, None] * in_x[None, :]
    for plane in counts:
        # the exposure falls a little over the pixels, and nodes at the borders of pixels count half
        np.testing.assert_allclose(plane / plane.sum(), expected, atol=0.05)
    edges = np.asarray(dataset.energy_true_edges)
    flux = np.asarray(model.spectral.integral(edges[:-1], edges[1:]))
    matrix = np.asarray(dataset.diagonal_matrix())
    here = np.asarray(dataset.exposure)[:, 15, 14]
    np.testing.assert_allclose(counts.sum((1, 2)), (flux * here) @ matrix, rtol=0.01)


def test_sources_beside_the_map():
    """What the PSF brings in from beyond the border counts; what is far off, or behind the projection, does not."""
    wide, narrow = cases.small_map(n=40), cases.small_map(n=20)
    flat = {"exposure": np.full((4, 40, 40), 1e13)}, {"exposure": np.full((4, 20, 20), 1e13)}
    wide, narrow = wide.replace(**flat[0]), narrow.replace(**flat[1])
    lon, lat = cases.at_pixel(narrow, -1.3, 9.5)
    for spatial in (
        gj.PointSpatialModel(lon_0=lon, lat_0=lat),
        gj.GaussianSpatialModel(lon_0=lon, lat_0=lat, sigma=0.1),
        gj.DiskSpatialModel(lon_0=lon, lat_0=lat, r_0=0.1),
    ):
        model = cases.source(spatial)
        inside = np.asarray(signal(wide, model))[:, 10:30, 10:30]
        assert inside.max() > 0.1
        np.testing.assert_allclose(signal(narrow, model), inside, atol=2e-6 * inside.max())
        for far in [(lon + 180, -lat), (lon + 30, lat)]:
            moved = model.replace(spatial=spatial.replace(lon_0=far[0], lat_0=far[1]))
            assert np.max(np.abs(signal(narrow, moved))) < 1e-8


def test_diffuse_maps_have_no_flux_on_spectra(spectrum_factory):
    """A norm times a map of brightness is a flux on maps only; on a spectrum it is refused, predicted or fitted."""
    geom = gj.SkyGeom.create((83.63, 22.01), 0.5, npix=8)
    energy = gj.MapAxis.from_energy_bounds("0.1 TeV", "100 TeV", 6, name="energy_true")
    values = np.full((6, 8, 8), 1e-12) * u.Unit("TeV-1 s-1 cm-2 sr-1")
    diffuse = gj.TemplateSpatialModel(values, geom, energy, normalize=False)
    model = gj.SkyModel(gj.PowerLawNormSpectralModel(), "diffuse", spatial=diffuse)
    spectrum = spectrum_factory(noise=False)
    with pytest.raises(gj.InputError, match="maps only"):
        gj.npred(spectrum, model)
    with pytest.raises(gj.InputError, match="maps only"):
        gj.fit(gj.Datasets({"run": spectrum}), model)


@pytest.mark.parametrize("shape", ["gauss", "disk"])
def test_single_precision(shape):
    """Asked for, a fit in float32 ends where the other does."""
    data = cases.small_map(n=20)
    at = dict(zip(("lon_0", "lat_0"), cases.at_pixel(data, 9.3, 10.8), strict=True))
    spatial = {
        "gauss": gj.GaussianSpatialModel(sigma=0.1, **at),
        "disk": gj.DiskSpatialModel(r_0=0.15, **at),
    }[shape]
    models = gj.Models([cases.source(spatial), gj.FoVBackgroundModel(datasets_names="map")])
    models = models.freeze("source.spectral.index")
    datasets = gj.Datasets({"map": gj.asimov(data, models, name="map")})
    start = models.with_values({"source.spectral.amplitude": 3.5e-11})
    result = gj.fit(datasets, start, precision="float32")
    assert result.success and result.method == "scoring"
    truth = {n: float(p.value) for n, p in models.parameters.items()}
    for name in result.free_names:
        found = result.parameters[name]
        assert abs(float(found.value) - truth[name]) < 0.05 * float(found.error)


def test_widths_that_end_at_zero():
    """Where the prediction does not change with the width at first, second derivatives tell how far it may grow."""
    data = cases.small_map(n=20)
    at = dict(zip(("lon_0", "lat_0"), cases.at_pixel(data, 9.3, 10.8), strict=True))
    background = gj.FoVBackgroundModel(datasets_names="map")
    point = gj.Models([cases.source(gj.PointSpatialModel(**at)), background])
    # less light around the middle than a point has: narrower than the PSF
    counts = np.asarray(gj.npred(data, point, name="map"))
    x, y = np.meshgrid(np.arange(20) - 9.3, np.arange(20) - 10.8)
    datasets = gj.Datasets({"map": data.replace(counts=counts * (1 - 0.01 * np.minimum(np.hypot(x, y), 5)))})
    models = gj.Models([cases.source(gj.GaussianSpatialModel(sigma=0.02, **at)), background])
    models = models.freeze("source.spectral.index", "source.spatial.lon_0", "source.spatial.lat_0")
    result = gj.fit(datasets, models)
    width = result.parameters["source.spatial.sigma"]
    assert result.success and float(width.value) == 0
    assert "source.spatial.sigma" in result.at_bound and not result.degenerate
    # half the second difference of the statistic, the other parameters following
    free = result.models.freeze("source.spatial.sigma")
    step = 0.1 * float(width.error)
    up = gj.fit(datasets, free.with_values({"source.spatial.sigma": step})).stat
    assert 0 < step < 0.01
    assert up - result.stat == pytest.approx(0.01, rel=0.05)


def programs():
    """How many are kept of those that depend on how images are made."""
    return run_scoring.count() + sum(p.count() for p in (image_of_source, image_of_shape))


@pytest.mark.parametrize("shape", ["gauss", "disk"])
def test_starts_and_ends_of_other_widths_need_no_other_program(shape):
    """From a fifth of a pixel to two, in counts of a narrow and of a wide source: they were 3 to 6 programs each."""
    data = cases.small_map(n=24)
    lon, lat = cases.at_pixel(data, 11.4, 11.7)
    gj.clear_programs()

    def models(size):
        kinds = {"gauss": (gj.GaussianSpatialModel, "sigma"), "disk": (gj.DiskSpatialModel, "r_0")}
        kind, name = kinds[shape]
        return gj.Models([cases.source(kind(lon_0=lon, lat_0=lat, **{name: size}))])

    compiled = []
    for truth, starts in ((0.03, (0.05, 0.01, 0.1)), (0.1, (0.02, 0.08))):
        counts = np.asarray(gj.npred(data, models(truth)))
        for start in starts:
            result = gj.fit(gj.Datasets({"map": data.replace(counts=counts)}), models(start))
            assert result.success
            size = next(p for p in result.models.parameters.values() if p.role in ("width", "radius"))
            assert float(size.value) == pytest.approx(truth, rel=1e-2)
            compiled.append(programs())
    assert compiled[0] > 0 and compiled == [compiled[0]] * len(compiled)


def test_places_of_sources_need_no_other_program():
    """Neither two that are close nor those at the edges: the box is a part of the map, with room around it."""
    data = cases.small_map(n=24)
    gj.clear_programs()

    def models(places, amplitude):
        found = []
        for i, (x, y) in enumerate(places):
            lon, lat = cases.at_pixel(data, x, y)
            point = gj.PointSpatialModel(lon_0=lon, lat_0=lat)
            found.append(cases.source(point, amplitude=amplitude).replace(name=f"s{i}"))
        return gj.Models(found)

    compiled = []
    for places in ([(6.2, 5.3), (18.4, 17.9)], [(1.4, 2.2), (21.7, 20.6)], [(4.4, 19.3), (15.2, 2.8)]):
        datasets = gj.Datasets({"map": data.replace(counts=np.asarray(gj.npred(data, models(places, 4e-11))))})
        assert gj.stat_sum(datasets, models(places, 3e-11)) == pytest.approx(
            -2 * float(density_of(datasets, models(places, 3e-11))), rel=1e-9
        )
        assert gj.fit(datasets, models(places, 3e-11)).success
        compiled.append(programs())
    assert compiled[0] > 0 and compiled == [compiled[0]] * len(compiled)


def density_of(datasets, models):
    density = gj.log_density(datasets, models)
    return density(jnp.asarray(density.initial))


def test_maps_that_fill_the_cache_are_taken_one_by_one(monkeypatch):
    maps = {name: cases.small_map(n=16) for name in ("a", "b", "c")}
    model = cases.source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01))
    together = make_problem(gj.Datasets(maps), gj.Models([model]))
    monkeypatch.setattr(mesh, "AT_A_TIME", 1)
    monkeypatch.setattr(mesh, "AT_A_TIME_ELSEWHERE", 1)
    alone = make_problem(gj.Datasets(maps), gj.Models([model]))
    assert [p.groups[0].spec.batch for p in (together, alone)] == [0, 1]
    assert alone.groups[0].spec.n_members == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"gti": "all night"}, "gti must be a GTI, found str"),
        ({"meta": {"OBS_ID": 1}}, "meta must be a Meta, found dict"),
        ({"nodes": 0}, "nodes must be a positive integer, found 0"),
        ({"nodes": 2.5}, "nodes must be a positive integer, found 2.5"),
    ],
)
def test_fields_of_other_types(fields, message):
    with pytest.raises(gj.InputError, match=message):
        cases.small_map(n=8, **fields)


def test_zero_widths_and_eccentricities_are_left():
    """At zero a prediction does not change with them at first; fits that get there go on where the statistic falls."""
    data = cases.small_map(n=24)
    lon, lat = cases.at_pixel(data, 11.4, 11.7)
    background = gj.FoVBackgroundModel(datasets_names="map")

    def models(**shape):
        shape = gj.GaussianSpatialModel(lon_0=lon, lat_0=lat, **shape)
        return gj.Models([cases.source(shape), background])

    truth = models(sigma=0.12, e=0.8, phi=50.0)
    datasets = gj.Datasets({"map": data.replace(counts=np.asarray(gj.npred(data, truth, name="map")))})
    free = gj.Parameter(0.0, frozen=False, min=0.0, max=0.99)
    turned = gj.Parameter(-40.0, "deg", frozen=False)
    for start in (models(sigma=0.0), models(sigma=0.12, e=free, phi=turned)):
        start = start.freeze("source.spatial.lon_0", "source.spatial.lat_0")
        result = gj.fit(datasets, start)
        assert result.success and not result.degenerate and not result.at_bound
    best = {k: float(result.parameters[f"source.spatial.{k}"].value) for k in ("sigma", "e", "phi")}
    assert best["sigma"] == pytest.approx(0.12, rel=1e-3) and best["e"] == pytest.approx(0.8, rel=1e-3)
    assert best["phi"] % 180 == pytest.approx(50.0, abs=0.1)


def test_sizes_are_not_negative():
    """Also where neither the model nor a file bounds them: the shell of 0.1.0 ended at a radius of -0.0034 deg."""
    data = cases.small_map(n=8)
    for shape in (gj.ShellSpatialModel(radius=0.2, width=0.1), gj.GeneralizedGaussianSpatialModel(r_0=0.2)):
        assert all(p.min == -np.inf for p in shape.parameters.values() if p.role == "radius")
        space = make_problem(data, cases.source(shape)).space
        for name, parameter, low in zip(space.names, space.parameters, space.low, strict=True):
            assert low == 0 or parameter.role not in ("radius", "width"), name


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (lambda: gj.PointSpatialModel(lon_0=83.63, lat_0=95.0), "found 95 deg"),
        (lambda: gj.GaussianSpatialModel(lon_0=83.63, lat_0=22.0, sigma=1e3), "further than the sky is wide"),
    ],
)
def test_places_off_the_sky(shape, message):
    with pytest.raises(gj.InputError, match=message):
        gj.fit(gj.Datasets({"map": cases.small_map(n=8)}), cases.source(shape()))
