"""What instrument models do to predictions: against responses that are made with the same change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from regions import CircleSkyRegion

import gammajax as gj

TRUE, RECO = np.geomspace(0.1, 100, 61), np.geomspace(0.5, 40, 25)
CENTERS = np.sqrt(TRUE[1:] * TRUE[:-1])
EXPOSURE = 1e13 * CENTERS**0.7
GEOM = gj.SkyGeom.create((83.6, 22.0), 0.05, npix=40)
SPECTRUM = gj.LogParabolaSpectralModel(amplitude=3.8e-11, alpha=2.4, beta=0.1, reference=1.0)
POINT = gj.SkyModel(SPECTRUM, name="crab", spatial=gj.PointSpatialModel(lon_0=83.61, lat_0=22.02))
REGION = CircleSkyRegion(SkyCoord(83.6, 22.0, unit="deg"), 0.15 * u.deg)


def spectrum(edisp=None, exposure=EXPOSURE, **fields):
    edisp = gj.EDispKernel.from_gauss(TRUE, RECO, 0.12) if edisp is None else edisp
    background = np.geomspace(20, 1, 24)
    return gj.SpectrumDataset(RECO, TRUE, exposure=exposure, edisp=edisp, background=background, **fields)


def image(sigma=0.06, **fields):
    psf = gj.PSFMap.from_gauss(CENTERS, sigma * np.ones(60), rad=np.linspace(0, 0.6, 241))
    edisp = gj.EDispKernelMap.from_gauss(TRUE, RECO, 0.12)
    flat = np.ones((1, 40, 40))
    shape = {
        "exposure": EXPOSURE[:, None, None] * flat,
        "background": 0.1 * np.geomspace(2, 0.1, 24)[:, None, None] * flat,
    }
    return gj.MapDataset(GEOM, RECO, TRUE, psf=psf, edisp=edisp, **(shape | fields))


def region(sigma=0.06, **fields):
    psf = gj.PSFMap.from_gauss(CENTERS, sigma * np.ones(60), rad=np.linspace(0, 0.6, 241))
    edisp = gj.EDispKernelMap.from_gauss(TRUE, RECO, 0.12)
    return gj.RegionMapDataset(REGION, RECO, TRUE, exposure=EXPOSURE, psf=psf, edisp=edisp, **fields)


DATASETS = {"spectrum": spectrum(), "map": image(), "region": region()}
NOMINAL = {
    "spectrum": {"exposure": 1.0, "energy_scale": 1.0, "livetime": 1.0},
    "map": dict.fromkeys(("exposure", "energy_scale", "psf_width", "livetime"), 1.0),
    "region": dict.fromkeys(("exposure", "energy_scale", "psf_width", "livetime"), 1.0),
}


def npred(dataset, *instruments):
    return np.asarray(gj.npred(dataset, gj.Models([POINT, *instruments])))


@pytest.mark.parametrize("kind", DATASETS)
def test_nothing_changes_at_nominal_values(kind):
    plain = npred(DATASETS[kind])
    for of in ("dispersion", "response"):
        changed = npred(DATASETS[kind], gj.InstrumentModel(**NOMINAL[kind], energy_scale_of=of))
        np.testing.assert_allclose(changed, plain, rtol=1e-12)


@pytest.mark.parametrize("kind", DATASETS)
def test_factors_of_the_exposure_multiply(kind):
    dataset = DATASETS[kind]
    norm = gj.PowerLawNormSpectralModel(norm=1.2, tilt=0.3, reference=2)
    factor = np.asarray(norm.evaluate(CENTERS)) * 0.9
    changed = dataset.replace(
        exposure=np.asarray(dataset.exposure) * factor.reshape(-1, *np.ones(dataset.exposure.ndim - 1, int))
    )
    two = gj.InstrumentModel(exposure=norm, name="a"), gj.InstrumentModel(exposure=0.9, name="b")
    np.testing.assert_allclose(npred(dataset, *two), npred(changed), rtol=1e-12)


def test_livetime_multiplies_signal_and_background():
    np.testing.assert_allclose(
        npred(DATASETS["spectrum"], gj.InstrumentModel(livetime=0.8)), 0.8 * npred(DATASETS["spectrum"]), rtol=1e-12
    )


@pytest.mark.parametrize("scale", [0.85, 1.1, 1.25])
def test_energy_scale_of_the_dispersion(scale):
    """A Gaussian E_reco / E around 1 of width w becomes one around s of width s w."""
    made = spectrum(gj.EDispKernel.from_gauss(TRUE, RECO, 0.12 * scale, scale - 1))
    changed = npred(DATASETS["spectrum"], gj.InstrumentModel(energy_scale=scale))
    signal = npred(made) - np.asarray(made.background)
    np.testing.assert_allclose(changed - np.asarray(made.background), signal, rtol=5e-3)
    # away from the ends of the axis, beyond which the response is not known
    np.testing.assert_allclose((changed - np.asarray(made.background))[4:-4], signal[4:-4], rtol=1e-5)


@pytest.mark.parametrize("kind", DATASETS)
def test_energy_scale_of_the_response(kind):
    """A power law whose E is taken for s E is another one: flux(E / s) / s = s^(index - 1) flux(E)."""
    pl = gj.SkyModel(gj.PowerLawSpectralModel(index=2.3, amplitude=3e-11), name="pl", spatial=POINT.spatial)
    scale = gj.InstrumentModel(energy_scale=1.1, energy_scale_of="response")
    plain = np.asarray(gj.npred_signal(DATASETS[kind], pl))
    changed = np.asarray(gj.npred_signal(DATASETS[kind], gj.Models([pl, scale])))
    np.testing.assert_allclose(changed, 1.1**1.3 * plain, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("kind", ["map", "region"])
@pytest.mark.parametrize("width", [0.8, 1.2])
def test_width_of_the_psf(kind, width):
    """A Gaussian profile of w times the width."""
    made = {"map": image, "region": region}[kind](0.06 * width)
    changed = npred(DATASETS[kind], gj.InstrumentModel(psf_width=width))
    np.testing.assert_allclose(changed, npred(made), rtol=1e-3, atol=2e-3 * npred(made).max())


FREE = {
    "spectrum": ("exposure", "energy_scale", "livetime"),
    "map": ("exposure", "energy_scale", "psf_width", "livetime"),
    "region": ("exposure", "energy_scale", "psf_width"),
}


@pytest.mark.parametrize("kind", DATASETS)
def test_slopes(kind):
    """jit = eager, vmap = loop, gradient = finite differences, at the nominal values and beside them."""
    dataset, words = DATASETS[kind], FREE[kind]
    weights = np.cos(np.arange(np.prod(dataset.data_shape))).reshape(dataset.data_shape) ** 2

    def total(theta):
        model = gj.InstrumentModel(**dict(zip(words, theta, strict=True)))
        return jnp.sum(weights * gj.npred(dataset, gj.Models([POINT, model])))

    at = jnp.stack([jnp.ones(len(words)), 1 + 0.03 * jnp.arange(1.0, len(words) + 1)])
    both = jax.jit(jax.vmap(jax.value_and_grad(total)))(at)
    for theta, value, slope in zip(at, *both, strict=True):
        assert float(total(theta)) == pytest.approx(float(value), rel=1e-10)
        for i in range(len(words)):
            step = jnp.zeros(len(words)).at[i].set(1e-4)
            numeric = (float(total(theta + step)) - float(total(theta - step))) / 2e-4
            assert float(slope[i]) == pytest.approx(numeric, rel=1e-4, abs=1e-6 * float(value)), words[i]


def test_widths_need_a_psf():
    wide = gj.InstrumentModel(psf_width=1.1, name="wide")
    with pytest.raises(gj.InputError, match="psf_width"):
        npred(DATASETS["spectrum"], wide)
    with pytest.raises(gj.InputError, match="psf_width"):
        npred(image(source_grid="pixel"), wide)


@pytest.mark.parametrize("of", ["dispersion", "response"])
def test_events_follow_the_prediction(of):
    gti = gj.GTI([0], [1000], 55555)
    models = gj.Models([POINT, gj.InstrumentModel(0.9, 1.2, 1.3, 1.1, energy_scale_of=of)])
    dataset = image(gti=gti, exposure=1e3 * np.asarray(DATASETS["map"].exposure), background=None)
    events = gj.sample_events(jax.random.key(1), dataset, models)
    counts = np.asarray(gj.bin_events(events, dataset).counts)
    expected = np.asarray(gj.npred(dataset, models))
    for axes in ((1, 2), (0, 1), (0, 2)):
        n, mu = counts.sum(axis=axes), expected.sum(axis=axes)
        kept = mu > 20
        chi2 = np.sum((n - mu)[kept] ** 2 / mu[kept])
        assert abs(chi2 - kept.sum()) < 5 * np.sqrt(2 * kept.sum()), axes


def test_point_spread_functions_are_at_most_twice_as_wide():
    with pytest.raises(gj.InputError, match=r"found 2\.5, expected a factor of at most 2"):
        gj.InstrumentModel(psf_width=2.5)
    assert gj.InstrumentModel(psf_width=1.1).psf_width.norm.max == 2
    assert gj.InstrumentModel(psf_width=gj.Parameter(1.1, max=1.5)).psf_width.norm.max == 1.5
