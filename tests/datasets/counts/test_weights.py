"""The weighted Cash statistic: a fit against another optimiser, merged bins, files."""

import jax
import numpy as np
import pytest
from astropy.io import fits
from regions import CircleSkyRegion
from scipy.optimize import minimize

import gammajax as gj
from gammajax.kernels import cash

EDGES = np.array([1.0, 2, 4, 8])
WEIGHTS = np.array([0.25, 1.0, 0.5])
COUNTS = np.array([60.0, 30, 12])
MODELS = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=3e-11), name="s")])
GEOM = gj.SkyGeom.create((83.0, 22.0), 0.1, npix=(4, 2))


def spectrum(**fields):
    given = {"counts": COUNTS, "background": [5, 4, 3], "exposure": [2e12] * 3, "stat_type": "cash_weighted"}
    return gj.SpectrumDataset(EDGES, **(given | {"weights": WEIGHTS} | fields))


def image(**fields):
    shape = (3, 2, 4)
    given = {"counts": np.arange(24.0).reshape(shape) % 5, "background": np.ones(shape), "exposure": np.ones(shape)}
    return gj.MapDataset(GEOM, EDGES, **(given | {"stat_type": "cash_weighted"} | fields))


def test_the_fit_is_that_of_the_weighted_sum():
    dataset = spectrum()

    def stat(vector):
        models = MODELS.with_values({"index": vector[0], "amplitude": vector[1] * 1e-11})
        return float(np.sum(WEIGHTS * np.asarray(cash(COUNTS, gj.npred(dataset, models)))))

    result = gj.fit(dataset, MODELS)
    best = minimize(stat, [2.3, 3.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11})
    assert result.success
    np.testing.assert_allclose(result.stat, best.fun, rtol=1e-10)
    np.testing.assert_allclose(result.parameters["index"].value, best.x[0], rtol=1e-5)
    # ones are the plain statistic, and a weight of 0 takes a bin out
    plain = gj.stat_sum(spectrum(stat_type="cash", weights=None), MODELS)
    np.testing.assert_allclose(gj.stat_sum(spectrum(weights=None), MODELS), plain, rtol=1e-14)
    without = gj.stat_sum(spectrum(stat_type="cash", weights=None, mask_fit=[1, 1, 0]), MODELS)
    np.testing.assert_allclose(gj.stat_sum(spectrum(weights=[1, 1, 0]), MODELS), without, rtol=1e-14)


def test_slopes_and_terms():
    dataset = spectrum()
    prediction = np.array([50.0, 0.0, 1e-30])
    stat, slope, curvature = dataset.statistic.scoring_bins(dataset.statistic_data, prediction)
    for found, plain in zip(
        (stat, slope, curvature), spectrum(weights=[1.0] * 3).scoring_bins(prediction), strict=True
    ):
        np.testing.assert_allclose(found, WEIGHTS * np.asarray(plain), rtol=1e-14)
    np.testing.assert_allclose(
        dataset.deviance_bins(prediction) + dataset.offset_bins(), dataset.stat_bins(prediction), rtol=1e-12
    )
    slopes = jax.grad(lambda w: gj.stat_sum(spectrum(weights=w), MODELS))(WEIGHTS)
    np.testing.assert_allclose(slopes, cash(COUNTS, gj.npred(dataset, MODELS)), rtol=1e-12)
    assert jax.jit(gj.stat_sum)(dataset, MODELS) == pytest.approx(float(gj.stat_sum(dataset, MODELS)), rel=1e-12)


def test_maps_and_regions():
    source = gj.SkyModel(MODELS["s"].spectral, name="s", spatial=gj.PointSpatialModel(lon_0=83.0, lat_0=22.0))
    weights = np.linspace(0.1, 1, 24).reshape(3, 2, 4)
    dataset = image(weights=weights, exposure=np.full((3, 2, 4), 1e12))
    expected = np.sum(weights * np.asarray(cash(dataset.counts, gj.npred(dataset, source))))
    np.testing.assert_allclose(gj.stat_sum(dataset, source), expected, rtol=1e-9)
    region = CircleSkyRegion(GEOM.center, radius=0.1 * GEOM.center.ra.unit)
    half = image(weights=np.full((3, 2, 4), 0.5), exposure=np.full((3, 2, 4), 1e12)).to_region_map_dataset(region)
    assert half.stat_type == "cash_weighted" and np.all(half.weights == 0.5)
    whole = half.replace(stat_type="cash", weights=None)
    np.testing.assert_allclose(gj.stat_sum(half, source), 0.5 * gj.stat_sum(whole, source), rtol=1e-12)


def test_merged_bins_keep_a_common_weight():
    weights = np.broadcast_to(WEIGHTS[:, None, None], (3, 2, 4))
    coarse = image(weights=weights).downsample(2)
    np.testing.assert_allclose(coarse.weights[:, 0, 0], WEIGHTS)
    with pytest.raises(gj.InputError, match="merged have different weights"):
        image(weights=weights).to_image()
    np.testing.assert_allclose(spectrum(weights=[0.5] * 3).to_image().weights, [0.5])
    total = gj.stack([spectrum(), spectrum(mask_safe=[1, 1, 0], weights=[0.25, 1, 0.1])])
    np.testing.assert_allclose(total.weights, WEIGHTS)
    with pytest.raises(gj.InputError, match="merged have different weights"):
        gj.stack([spectrum(), spectrum(weights=[1, 1, 1])])
    assert spectrum().slice_by_idx(energy=slice(1, 3)).weights.tolist() == [1.0, 0.5]


def test_weights_belong_to_the_statistic():
    with pytest.raises(gj.InputError, match="weights are for stat_type='cash_weighted', found 'cash'"):
        spectrum(stat_type="cash")
    with pytest.raises(gj.InputError, match="weights must be finite and not negative"):
        spectrum(weights=[1, -1, 1])


@pytest.mark.parametrize("make", [spectrum, image])
def test_files_keep_them(tmp_path, make):
    dataset = make() if make is spectrum else image(weights=np.linspace(0, 1, 24).reshape(3, 2, 4))
    dataset.write(tmp_path / "d.fits")
    back = type(dataset).read(tmp_path / "d.fits")
    assert back.stat_type == "cash_weighted"
    np.testing.assert_array_equal(back.weights, dataset.weights)
    make(stat_type="cash", weights=None).write(tmp_path / "plain.fits")
    plain = type(dataset).read(tmp_path / "plain.fits")
    assert plain.stat_type == "cash" and plain.weights is None


class Halved(gj.Statistic):
    """Half of W."""

    stat_type = "halved"
    names = ("counts", "counts_off", "acceptance", "acceptance_off")

    def stat_bins(self, data, prediction):
        return gj.SpectrumDatasetOnOff(EDGES, **data).stat_bins(prediction) / 2


@pytest.mark.parametrize("form", ["ogip", "gadf"])
def test_statistics_of_ones_own_in_files(tmp_path, form):
    gj.register_statistic(Halved())
    run = gj.SpectrumDatasetOnOff(
        EDGES, counts=COUNTS, counts_off=[5, 4, 3], exposure=[1e12] * 3, livetime=100, stat_type="halved"
    )
    path = tmp_path / "run.fits"
    run.write(path, format=form)
    assert gj.SpectrumDatasetOnOff.read(path).stat_type == "halved"
    # what background it expects it does not say
    with pytest.raises(gj.InputError, match="does not say what background it expects"):
        gj.npred_background(run, MODELS)
    with fits.open(path, mode="update") as hdus:
        card = next(hdu for hdu in hdus if "STATTYPE" in hdu.header)
        card.header["STATTYPE"] = "unknown"
        for keyword in ("CHECKSUM", "DATASUM"):
            card.header.remove(keyword, ignore_missing=True)
    with pytest.warns(UserWarning, match="'unknown' is not known here, and the dataset has 'wstat'"):
        assert gj.SpectrumDatasetOnOff.read(path).stat_type == "wstat"
