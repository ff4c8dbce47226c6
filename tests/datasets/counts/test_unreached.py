"""Counts where no model predicts any: a fit names the bins, whose statistic is that of the floor."""

import re
import warnings

import numpy as np
import pytest

import gammajax as gj

EDGES = np.array([1.0, 2, 4, 8])
MODELS = gj.Models([gj.SkyModel(gj.PowerLawSpectralModel(amplitude=1e-12, index=2.0), name="s")]).freeze(
    "s.spectral.index"
)


def run_of(**fields):
    given = {"counts": [30, 12, 5], "background": [0, 3.0, 0], "exposure": [0, 1e13, 0]} | fields
    return gj.SpectrumDataset(EDGES, **given)


def test_bins_without_background_and_exposure_are_named():
    with pytest.warns(UserWarning, match=re.escape("35 counts are in bins in which no model predicts any")) as found:
        result = gj.fit(gj.Datasets({"run": run_of()}), MODELS)
    text = str(found[0].message)
    assert "'run'" in text and "2 bins, 0, 2." in text and "adds 115.1" in text
    # the others are fitted as if these were not there: signal = counts - background
    amplitude = float(result.parameters["s.spectral.amplitude"].value)
    assert amplitude * 1e13 * 0.25 == pytest.approx(9.0, rel=1e-6)


@pytest.mark.parametrize(
    "fields",
    [
        {"exposure": [1e13] * 3},
        {"background": [0.1, 3.0, 0.1]},
        {"mask_safe": [False, True, False]},
        {"counts": [0, 12, 0]},
        {"edisp": gj.EDispKernel(np.full((3, 3), 1 / 3))},
    ],
    ids=["exposure", "background", "mask", "no counts", "dispersed"],
)
def test_others_are_not(fields):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gj.fit(run_of(**fields), MODELS)


def test_a_response_that_leads_elsewhere():
    with pytest.warns(UserWarning, match="5 counts .* 1 bins, 2"):
        gj.fit(run_of(exposure=[1e13] * 3, edisp=gj.EDispKernel([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]])), MODELS)


def test_pixels_of_maps_and_templates():
    geom = gj.SkyGeom.create((83.0, 22.0), 0.1, npix=(3, 2))
    exposure = np.full((1, 2, 3), 1e13)
    exposure[0, 1, 2] = 0
    image = gj.MapDataset(geom, [1.0, 8.0], counts=np.ones((1, 2, 3)), exposure=exposure)
    source = gj.SkyModel(
        gj.PowerLawSpectralModel(amplitude=1e-12, index=2.0),
        name="s",
        spatial=gj.GaussianSpatialModel(lon_0=83.0, lat_0=22.0, sigma=0.2),
    )
    models = gj.Models([source])
    models = models.freeze("index", "lon_0", "lat_0", "sigma")
    with pytest.warns(UserWarning, match=re.escape("1 counts are in bins in which no model predicts any")) as found:
        gj.fit(image, models)
    assert "(0, 1, 2)" in str(found[0].message)
    template = gj.TemplateNPredModel(np.ones((1, 2, 3)), name="t")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gj.fit(image, models + gj.Models([template]))
