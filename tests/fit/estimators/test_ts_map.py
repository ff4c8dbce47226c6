"""TS maps against fits of the norm of a source to whole datasets, at the same places."""

import astropy.units as u
import jax
import numpy as np
import pytest
from cases import maps
from scipy.stats import kstest

import gammajax as gj
from gammajax.datasets.sky import SkyGeom

pytestmark = pytest.mark.slow

QUANTITIES = ("norm", "norm_err", "norm_errn", "norm_errp", "norm_ul", "ts", "sqrt_ts")

POINT = gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=1e-12), spatial=gj.PointSpatialModel(), name="point")


@pytest.fixture(scope="module")
def dataset():
    dataset = maps.small_map(n=20)
    mask = np.ones(dataset.data_shape, bool)
    mask[0, 3:6, 4:9] = False
    mask[:, 15, 15] = False
    return dataset.with_mask_fit(mask)


@pytest.fixture(scope="module")
def models():
    crab = maps.source(gj.PointSpatialModel(lon_0=83.63, lat_0=22.01), name="crab", amplitude=2e-12)
    backgrounds = [gj.FoVBackgroundModel(name=f"{n}-bkg", datasets_names=[n]) for n in "ab"]
    return gj.Models([crab, *backgrounds])


@pytest.fixture(scope="module")
def run(dataset, models):
    return gj.fake(jax.random.key(1), dataset, models, name="a")


def beside(datasets, models, found, places, tolerance, band=0, rounded=lambda vector: vector):
    """The quantities at pixels of the map, and those of a fit of the norm of a source there to all bins in the band."""
    others = [m for m in models if m.name not in ("crab", "point")]
    for x, y in places:
        vector = rounded(np.asarray(found.geom.pixel_to_vector(np.asarray(float(x)), np.asarray(float(y)))))
        lon, lat = np.degrees(np.arctan2(vector[1], vector[0])) % 360, np.degrees(np.arcsin(vector[2]))
        here = POINT.replace(spatial=gj.PointSpatialModel(lon_0=float(lon), lat_0=float(lat)), name="here")
        points = gj.flux_points(datasets, gj.Models([*others, here]), "here", found.energy_edges[band : band + 2])
        error = float(points.norm_err[0])
        for name in (n for n in QUANTITIES if n in found):
            scale = {"ts": 2 * abs(float(points.sqrt_ts[0])) + 0.1, "sqrt_ts": 1.0}.get(name, error)
            difference = abs(found[name][band, y, x] - float(getattr(points, name)[0])) / scale
            assert difference < tolerance, (name, x, y, found[name][band, y, x], getattr(points, name)[0])
        flux = float(points.flux_ref[0])
        assert found["flux"][band, y, x] == pytest.approx(found["norm"][band, y, x] * flux, rel=1e-6)


def test_whole_windows(run, models):
    """With windows of all of the map only the energies of the exposure are approximate."""
    found = gj.ts_map({"a": run}, models, POINT, exclude="crab", errors=True, kernel_width=2 * u.deg)
    assert found.maps.keys() > {*QUANTITIES, "flux", "flux_err", "flux_ul", "npred_excess"}
    beside({"a": run}, models, found, [(9, 9), (3, 4), (18, 2), (6, 15)], 2e-3)
    assert np.isnan(found["norm"][0, 15, 15]) and np.isfinite(found["norm"]).sum() == 399
    top = found.peaks("sqrt_ts", 5)
    assert len(top) == 1 and (abs(top["x"][0] - 9.5) < 1 and abs(top["y"][0] - 9.5) < 1)


def test_default_windows(run, models):
    """They hold 99 % of the source."""
    found = gj.ts_map({"a": run}, models, POINT, exclude="crab", errors=True)
    beside({"a": run}, models, found, [(9, 9), (3, 4), (18, 2), (6, 15)], 0.03)


def test_datasets_together(dataset, run, models):
    """Two runs, the second cut out of the same pixels, on pixels of a map that lie between theirs, in two bands."""
    b = gj.fake(jax.random.key(2), dataset.crop(slice(2, 18), slice(5, 20)), models, name="b")
    runs = {"a": run, "b": b}
    geom = SkyGeom.create(run.geom.center, 0.11, npix=9, frame="galactic")
    edges = np.asarray(run.energy_edges)[[0, 2, 3]]
    found = gj.ts_map(runs, models, POINT, edges, exclude="crab", geom=geom, kernel_width=2 * u.deg)

    def to_thirds(vector):
        """The middle of the third of a pixel in which a direction lies."""
        thirds = [np.floor((np.asarray(c) + 0.5) * 3) for c in run.geom.vector_to_pixel(vector)]
        return np.asarray(run.geom.pixel_to_vector(*((c + 0.5) / 3 - 0.5 for c in thirds)))

    assert found.shape == (2, 9, 9)
    for band in (0, 1):
        beside(runs, models, found, [(5, 3), (4, 5), (5, 5)], 3e-3, band, to_thirds)


def test_off_counts(run, models):
    rng = np.random.default_rng(3)
    background = np.asarray(run.background)
    fields = {f: getattr(run, f) for f in ("energy_true_edges", "exposure", "psf", "edisp", "mask_fit", "counts")}
    off = gj.MapDatasetOnOff(
        run.geom,
        run.energy_edges,
        counts_off=rng.poisson(4 * background),
        acceptance=np.ones(background.shape),
        acceptance_off=np.full(background.shape, 4.0),
        **fields,
    )
    none = gj.Models([])
    found = gj.ts_map({"a": off}, none, POINT, stride=3, kernel_width=2 * u.deg)
    assert found.geom.shape == (6, 6)
    beside({"a": off}, none, found, [(2, 2), (4, 1), (3, 3)], 3e-3)


def test_no_counts(dataset, models):
    """Only a limit, where the statistic has risen by 4: 2 norm signal, from where a bin has no prediction left."""
    empty = dataset.replace(counts=np.zeros(dataset.data_shape))
    options = {"exclude": "crab", "stride": 3, "kernel_width": 2 * u.deg}
    with pytest.warns(UserWarning, match="the upper limits of .* pixels are below zero"):
        low = gj.ts_map({"a": empty}, models, POINT, **options)
    assert np.all(low["norm"] < 0) and np.all(low["sqrt_ts"] < 0) and np.isnan(low["norm_err"]).all()
    bounded = POINT.replace(
        spectral=POINT.spectral.replace(amplitude=gj.Parameter(1e-12, POINT.spectral.amplitude.unit, min=0))
    )
    found = gj.ts_map({"a": empty}, models, bounded, **options)
    assert np.all(found["norm"] == 0) and np.all(found["ts"] == 0) and np.isnan(found["norm_err"]).all()
    np.testing.assert_allclose(low["norm_ul"] - low["norm"], found["norm_ul"], rtol=1e-6)
    signal = np.asarray(gj.npred_signal(dataset, gj.Models([at(found, 2, 3)])))[np.asarray(dataset.mask)].sum()
    assert found["norm_ul"][0, 3, 2] == pytest.approx(2 / signal, rel=1e-3)


def at(found, x, y):
    vector = np.asarray(found.geom.pixel_to_vector(np.asarray(float(x)), np.asarray(float(y))))
    lon, lat = np.degrees(np.arctan2(vector[1], vector[0])) % 360, np.degrees(np.arcsin(vector[2]))
    return POINT.replace(spatial=gj.PointSpatialModel(lon_0=float(lon), lat_0=float(lat)))


def test_empty_fields(models):
    """Places whose windows have no pixel in common: sqrt_ts is a unit Gaussian."""
    dataset = maps.small_map(n=20, background=3.0)
    none = gj.Models([m for m in models if m.name == "a-bkg"])
    values = []
    for seed in range(40):
        empty = gj.fake(jax.random.key(seed), dataset, none, name="a")
        found = gj.ts_map({"a": empty}, none, POINT, stride=9, kernel_width=0.4, limits=False)
        values.append(found["sqrt_ts"].ravel())
    values = np.concatenate(values)
    assert values.size == 160
    assert abs(values.mean()) < 3 / np.sqrt(160) and abs(values.std() - 1) < 3 / np.sqrt(2 * 160)
    assert kstest(values, "norm").pvalue > 0.01


def test_extended_sources_and_names(run, models):
    """The shape of one of the models, which is left out of the others."""
    found = gj.ts_map({"a": run}, models, "crab", stride=3, kernel_width=2 * u.deg)
    unit = gj.ts_map({"a": run}, models, POINT, exclude="crab", stride=3, kernel_width=2 * u.deg)
    np.testing.assert_allclose(2 * found["norm"], unit["norm"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found["flux"], unit["flux"], rtol=1e-6, atol=1e-20)
    # what titles say
    edges = run.energy_edges
    assert unit.meta["kind"] == "ts" and unit.meta["source"] == "Point, PowerLaw (index 2.3)"
    assert unit.n_sigma_ul == 2
    assert (unit.meta["fitted_min"][0], unit.meta["fitted_max"][0]) == (edges[0], edges[-1])


def test_what_is_refused(run, models):
    with pytest.raises(gj.InputError, match="expected one with a position"):
        gj.ts_map({"a": run}, models, POINT.replace(spatial=gj.ConstantSpatialModel()))
    with pytest.raises(gj.InputError, match="there is no source 'vela'"):
        gj.ts_map({"a": run}, models, "vela")
    with pytest.raises(gj.InputError, match="is not positive"):
        gj.ts_map({"a": run}, models, POINT.replace(spectral=gj.PowerLawSpectralModel(amplitude=-1e-12)))
    with pytest.raises(gj.InputError, match="stride must be"):
        gj.ts_map({"a": run}, models, POINT, stride=0)
    with pytest.raises(gj.InputError, match="stride is 100"):
        gj.ts_map({"a": run}, models, POINT, stride=100)
    with pytest.raises(gj.InputError, match="lies on the dataset"):
        gj.ts_map({"a": run}, models, POINT, geom=SkyGeom.create((10, 0), 0.1, npix=4))
