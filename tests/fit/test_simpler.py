"""Which parameters are named because they are near to having no effect."""

import numpy as np
import pytest

import gammajax as gj
from gammajax.fit.simpler import simpler

P = gj.Parameter


def spectral(model):
    return gj.SkyModel(model, name="s")


def spatial(model):
    return gj.SkyModel(gj.PowerLawSpectralModel(index=P(0.1, error=0.2)), name="s", spatial=model)


CUTOFF, FERMI, CURVED = (
    gj.ExpCutoffPowerLawSpectralModel,
    gj.ExpCutoffPowerLaw3FGLSpectralModel,
    gj.LogParabolaSpectralModel,
)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (spectral(CUTOFF(lambda_=P(0.59, "TeV-1", error=0.63))), "s.spectral.lambda_ is within 2 sigma of 0"),
        (spectral(CUTOFF(lambda_=P(0.59, "TeV-1", error=0.29))), ""),
        # of an energy the inverse: 1 / 10 has the error 4 / 10^2
        (spectral(FERMI(ecut=P(10, "TeV", error=6))), "s.spectral.ecut is within 2 sigma of infinity"),
        (spectral(FERMI(ecut=P(10, "TeV", error=4))), ""),
        (spectral(CURVED(beta=P(-0.1, error=0.06))), "s.spectral.beta is within 2 sigma of 0, where there is no curva"),
        (spectral(CURVED(beta=P(-0.1, error=0.04))), ""),
        # errors that are not known, or infinite, say nothing
        (spectral(CURVED(beta=P(0.1, error=np.inf))), ""),
        (spectral(CURVED(beta=P(0.1, error=0.0))), ""),
        (spatial(gj.GaussianSpatialModel(sigma=P(0.05, "deg", error=0.04))), "s.spatial.sigma is within 2 sigma of 0"),
        (
            spatial(gj.DiskSpatialModel(r_0=P(0.05, "deg", error=0.04))),
            "s.spatial.r_0 is within 2 sigma of 0, where the",
        ),
        # the width of a line is no cutoff, an index of 0 no lack of one
        (spectral(gj.GaussianSpectralModel(sigma=P(1.0, "TeV", error=2.0))), ""),
        (spatial(gj.PointSpatialModel(lon_0=P(0.1, "deg", error=1.0))), ""),
    ],
)
def test_what_is_named(model, named):
    models = gj.Models([model, gj.FoVBackgroundModel(name="b")])
    found = simpler(models, models.parameters.names)
    assert len(found) == bool(named) and all(text.startswith(named) for text in found)
    assert simpler(models, []) == []
