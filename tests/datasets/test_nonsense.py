"""Responses and tables that cannot be meant: of the wrong sign, empty, no numbers. Refused, the right ones taken."""

import numpy as np
import pytest

import gammajax as gj

EDGES = np.array([1.0, 2, 4, 8])
GEOM = gj.SkyGeom.create((83.0, 22.0), 0.1, npix=(4, 3))
MODELS = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(), name="s")])
PSF = gj.PSFMap.from_gauss([1.0, 5.0], 0.1)
EBL = {"energy": [1.0, 10.0], "param": [0.1, 0.2]}
POINTS = {"energy_ref": [1.0, 2.0], "norm": [1.0, 1.0], "dnde_ref": [1e-12, 1e-13]}
MIGRA = gj.EDispMap.from_gauss(EDGES, np.linspace(0, 3, 31), 0.2)
T_REF = 55555.0


def psf(values, exposure=None):
    return gj.PSFMap(None, PSF.energy, PSF.rad, PSF.rad_edges, values, exposure)


def spectrum(**fields):
    return gj.SpectrumDataset(EDGES, counts=[3, 2, 1], **({"exposure": [1e12] * 3} | fields))


REFUSED = {
    "PSF": (lambda s: psf(s * np.asarray(PSF.values)), "PSFMap: values must not be negative"),
    "exposure of a PSF": (
        lambda s: psf(PSF.values, s * np.ones((2, 1, 1))),
        "PSFMap: exposure: values must be finite and not negative",
    ),
    "exposure of an energy dispersion": (
        lambda s: gj.EDispKernelMap(None, np.eye(3)[..., None, None], s * np.ones((3, 1, 1))),
        "EDispKernelMap: exposure: values must be finite and not negative",
    ),
    "migrations": (lambda s: gj.EDispMap(None, EDGES, MIGRA.migra_edges, s * np.asarray(MIGRA.values)), "not negative"),
    "PSF kernel": (lambda s: gj.PSFKernel(s * np.ones((1, 3, 3))), "not negative"),
    "EBL": (
        lambda s: gj.EBLAbsorptionNormSpectralModel(**EBL, data=[[s * 0.5, 0.4], [0.3, 0.2]]),
        r"transmissions are from 0 to 1, found -0.5 at \(redshift, energy\) = \(0, 0\)",
    ),
    "sky template": (lambda s: gj.TemplateSpatialModel(s * np.ones(GEOM.shape), GEOM), "no value is above zero"),
    "sky template, as it is": (
        lambda s: gj.TemplateSpatialModel(s * np.ones(GEOM.shape), GEOM, normalize=False),
        "no value is above zero",
    ),
    "spectral template": (lambda s: gj.TemplateSpectralModel([1, 2], [s * 1e-12, s * 1e-13]), "no value is above zero"),
    "grid of spectra": (
        lambda s: gj.TemplateNDSpectralModel([1, 2], {"x": [0, 1]}, s * np.ones((2, 2))),
        "no value is above zero",
    ),
    "light curve": (
        lambda s: gj.LightCurveTemplateTemporalModel([0, 1], [s * 1.0, s * 2.0], t_ref=T_REF),
        "no value is above zero",
    ),
    "phase curve": (lambda s: gj.TemplatePhaseCurveTemporalModel([0, 1], [s * 1.0, s * 2.0]), "no value is above zero"),
    "norm_err": (lambda s: gj.FluxPoints(**POINTS, norm_err=[0.1, s * 0.1]), "norm_err must not be negative.*point 1"),
    "norm_errn": (
        lambda s: gj.FluxPoints(**POINTS, norm_errp=[0.1, 0.1], norm_errn=[s * 0.1, 0.1]),
        "norm_errn must not be negative.*point 0",
    ),
    "weight of a prior": (lambda s: gj.GaussianPrior(weight=s), "weight must not be negative"),
    "weight of another prior": (lambda s: gj.UniformPrior(weight=s), "weight must not be negative"),
    "livetime": (lambda s: spectrum(livetime=s * 5.0), "livetime must be one time that is not negative, found -5.0"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_wrong_sign_is_refused(what):
    make, message = REFUSED[what]
    make(1.0)
    with pytest.raises(gj.InputError, match=message):
        make(-1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gj.EBLAbsorptionNormSpectralModel(**EBL, data=[[0.5, np.nan], [0.3, 0.2]]), "from 0 to 1, found nan"),
        (lambda: gj.EBLAbsorptionNormSpectralModel(**EBL, data=[[0.7, 0.9], [1.4, 1.8]]), "not tau"),
        (lambda: gj.TemplateNDSpectralModel([1, 2], {"x": [0, 1]}, [[1, np.nan], [1, 1]]), "must be finite"),
        (lambda: spectrum(livetime=[1.0, 2.0, 3.0]), r"livetime must be one time .* an array of shape \(3,\)"),
        (lambda: spectrum(livetime=np.inf), "livetime must be one time"),
        (lambda: gj.TemplateSpatialModel(np.zeros(GEOM.shape), GEOM), "no value is above zero"),
    ],
)
def test_what_are_no_numbers_is_refused(make, message):
    with pytest.raises(gj.InputError, match=message):
        make()


def test_negative_entries_of_an_image_take_no_share():
    """Shares of what counts: the entries above zero, which sum to 3 over their pixels."""
    image = np.zeros(GEOM.shape)
    image[1, 1], image[1, 2], image[2, 2] = 1.0, 2.0, -1.5
    model = gj.TemplateSpatialModel(image, GEOM)
    np.testing.assert_allclose(np.asarray(model.values) * GEOM.solid_angle, np.maximum(image, 0) / 3, rtol=1e-12)


@pytest.mark.parametrize("where", ["npred", "fit"])
def test_a_response_of_zeros_predicts_nothing_and_is_refused(where):
    use = {"npred": lambda d: gj.npred(d, MODELS), "fit": lambda d: gj.fit(gj.Datasets({"a": d}), MODELS)}[where]
    broken = spectrum(edisp=gj.EDispKernel(np.zeros((3, 3))))
    with pytest.raises(gj.InputError, match="the response edisp is 0 everywhere"):
        use(broken)
    source = gj.SkyModel(gj.PowerLawSpectralModel(), name="s", spatial=gj.PointSpatialModel(lon_0=83.0, lat_0=22.0))
    image = gj.MapDataset(
        GEOM, EDGES, counts=np.ones((3, 3, 4)), exposure=np.full((3, 3, 4), 1e12), psf=psf(0 * np.asarray(PSF.values))
    )
    use = {"npred": lambda d: gj.npred(d, source), "fit": lambda d: gj.fit(gj.Datasets({"a": d}), source)}[where]
    with pytest.raises(gj.InputError, match="the response psf is 0 everywhere"):
        use(image)
    # switched off it does no harm
    np.testing.assert_allclose(
        gj.npred(broken, gj.SkyModel(gj.PowerLawSpectralModel(), name="s", apply_irf={"edisp": False})),
        gj.npred(spectrum(), MODELS),
    )


def test_a_run_without_safe_bins_keeps_a_response():
    run = spectrum(mask_safe=[False] * 3).to_masked()
    assert gj.npred(run, MODELS).shape == (3,)
