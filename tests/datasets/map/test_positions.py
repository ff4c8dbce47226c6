"""Positions and widths of sources on maps come back without bias, wherever they lie between the pixels."""

import jax
import numpy as np
import pytest
from cases import maps as cases
from scipy.special import erf

import gammajax as gj
from gammajax.datasets.counts import npred_signal
from gammajax.fit.joint.problem import with_image_sizes

pytestmark = pytest.mark.slow

PIXEL = 0.05
signal = jax.jit(lambda dataset, model: npred_signal(dataset, [model]))


def gauss_truth(dataset, spectrum, x, y, sigma):
    """Counts of a Gaussian (or point) in a Gaussian PSF, integrated over pixels in closed form: the plane is flat."""
    n = dataset.geom.shape[0]
    psf = 0.06 * np.linspace(1.2, 0.8, dataset.n_true) / PIXEL
    flux = np.asarray(
        spectrum.integral(np.asarray(dataset.energy_true_edges)[:-1], np.asarray(dataset.energy_true_edges)[1:])
    )

    def share(at, width):
        edges = (np.arange(n + 1) - 0.5 - at) / (np.sqrt(2) * width[:, None])
        return np.diff(erf(edges), axis=1) / 2

    width = np.hypot(psf, sigma / PIXEL)
    image = share(y, width)[:, :, None] * share(x, width)[:, None, :]
    true = flux[:, None, None] * image * np.asarray(dataset.exposure)
    return np.einsum("er,eyx->ryx", np.asarray(dataset.edisp.matrix), true)


BETWEEN = [(19.03, 20.48), (19.5, 20.5), (20.21, 18.87)]


@pytest.mark.parametrize("sigma", [0.2, 0.5, 1.0])
def test_position_and_width_of_gaussians_are_unbiased(sigma):
    """Positions between the pixels and widths (in pixels) come back; all from one start, and so with one program."""
    dataset = cases.small_map(n=40)
    for x, y in BETWEEN:
        lon, lat = cases.at_pixel(dataset, x, y)
        model = cases.source(gj.GaussianSpatialModel(lon_0=lon, lat_0=lat, sigma=sigma * PIXEL))
        truth = gauss_truth(dataset, model.spectral, x, y, sigma * PIXEL)
        start = model.replace(spatial=model.spatial.replace(lon_0=lon + 0.03, lat_0=lat - 0.02, sigma=0.042))
        sizes = with_image_sizes(gj.Models(start), gj.Datasets({"map": dataset}))["source"].sizes
        np.testing.assert_allclose(signal(dataset, model.with_sizes(sizes)), truth, atol=1e-3 * truth.max())
        data = dataset.replace(counts=truth + np.asarray(dataset.background))
        result = gj.fit(gj.Datasets({"map": data}), start)
        assert result.success
        assert np.all(np.abs(cases.offset_in_pixels(data, result) - [x, y]) < 0.02)
        assert abs(float(result.parameters["source.spatial.sigma"].value) / PIXEL - sigma) < 0.02


def test_position_and_width_of_a_wide_gaussian_are_unbiased():
    """The same for 3 pixels, where the steps of scoring are made here, from the prediction and its slopes alone."""
    dataset, sigma = cases.small_map(n=40), 3.0
    background = np.asarray(dataset.background).ravel()
    sizes = cases.source(gj.GaussianSpatialModel(sigma=sigma * PIXEL)).sizes

    def counts(vector):
        amplitude, index, lon, lat, width = vector
        spatial = gj.GaussianSpatialModel(lon_0=lon, lat_0=lat, sigma=width)
        model = cases.source(spatial, amplitude * 4e-11, index).with_sizes(sizes)
        flat = npred_signal(dataset, [model]).ravel()
        return flat, flat

    slopes = jax.jit(jax.jacfwd(counts, has_aux=True))
    for x, y in BETWEEN:
        lon, lat = cases.at_pixel(dataset, x, y)
        spectrum = cases.source(None).spectral
        truth = gauss_truth(dataset, spectrum, x, y, sigma * PIXEL)
        found = np.array([1.2, 2.2, lon + 0.03, lat - 0.02, 0.12])
        for _ in range(8):
            slope, predicted = (np.asarray(a) for a in slopes(found))
            weighted = slope / (predicted + background)[:, None]
            step = np.linalg.solve(weighted.T @ slope, weighted.T @ (truth.ravel() - predicted))
            found = found + step
        assert np.all(np.abs(step) < 1e-6)
        np.testing.assert_allclose(predicted, truth.ravel(), atol=1e-3 * truth.max())
        assert np.all(np.abs(np.array(dataset.geom.wcs.wcs_world2pix(*found[2:4], 0)) - [x, y]) < 0.02)
        assert abs(found[4] / PIXEL - sigma) < 0.02


@pytest.fixture(scope="module")
def hess_run(data_path):
    return gj.MapDataset.read(data_path / "hess-crab" / "maps" / "obs_23523.fits.gz")


def random_positions(n):
    return 29.5 + np.random.default_rng(5).uniform(-0.5, 0.5, (n, 2))


def test_positions_of_points_are_unbiased(hess_run):
    """25 positions between the pixels, counts from brute force with the PSF of H.E.S.S.: recovered to 0.02 pixels."""
    spectrum = gj.PowerLawSpectralModel(index=2.4, amplitude=4e-11)
    edges = np.asarray(hess_run.energy_true_edges)
    flux = np.asarray(spectrum.integral(edges[:-1], edges[1:]))
    offsets, pulls = [], []
    for number, (x, y) in enumerate(random_positions(25)):
        lon, lat = cases.at_pixel(hess_run, x, y)
        truth = cases.brute_force(hess_run, flux, [(lon, lat, 1.0)], frame_lonlat=(lon, lat))
        expected = truth + np.asarray(hess_run.background)
        start = gj.SkyModel(spectrum, name="source", spatial=gj.PointSpatialModel(lon_0=lon + 0.01, lat_0=lat - 0.01))
        result = gj.fit(gj.Datasets({"map": hess_run.replace(counts=expected)}), start)
        assert result.success
        offsets.append(cases.offset_in_pixels(hess_run, result) - [x, y])
        for seed in range(2):
            counts = np.random.default_rng(100 * number + seed).poisson(expected).astype(float)
            result = gj.fit(gj.Datasets({"map": hess_run.replace(counts=counts)}), start)
            assert result.success
            for name, true in (("lon_0", lon), ("lat_0", lat)):
                p = result.parameters[f"source.spatial.{name}"]
                pulls.append((float(p.value) - true) / float(p.error))
    assert np.max(np.abs(offsets)) < 0.02
    n = len(pulls)
    assert abs(np.mean(pulls)) < 3.5 / np.sqrt(n) and abs(np.std(pulls) - 1) < 3.5 / np.sqrt(2 * n)
