"""Values that a parameter cannot have, exponentials that run away, and integrals without an end."""

import astropy.units as u
import jax
import mpmath
import numpy as np
import pytest

import gammajax as gj

EDGES = np.array([1.0, 2, 4, 8])
PL = gj.PowerLawSpectralModel(index=2.3, amplitude=3e-11)
MODELS = gj.Models([gj.SkyModel(PL, name="s", spatial=gj.GaussianSpatialModel(sigma=0.2))])
RUN = gj.SpectrumDataset(EDGES, counts=[60, 30, 12], exposure=[2e12] * 3)

REFUSED = {
    "latitude": (lambda: gj.PointSpatialModel(lat_0=500 * u.deg), "lat_0: found 500 deg, expected at least -90 and at"),
    "latitude in rad": (lambda: gj.PointSpatialModel(lat_0=2 * u.rad), "lat_0: found 2 rad, expected at least -1.57"),
    "latitude of a parameter": (lambda: gj.PointSpatialModel(lat_0=gj.Parameter(91, "deg")), "lat_0: found 91 deg"),
    "width": (lambda: gj.GaussianSpatialModel(sigma=-1), "sigma: found -1 deg, expected at least 0 deg"),
    "radius": (lambda: gj.DiskSpatialModel(r_0=-1), "r_0: found -1 deg"),
    "eccentricity": (lambda: gj.GaussianSpatialModel(e=1.5), "e: found 1.5, expected at least 0 and at most 1"),
    "reference": (lambda: gj.PowerLawSpectralModel(reference=0), "reference: found 0 TeV, expected a number above 0"),
    "reference in GeV": (lambda: PL.replace(reference=-5 * u.GeV), "reference: found -"),
    "redshift": (
        lambda: gj.EBLAbsorptionNormSpectralModel([1, 10], [0.1, 0.2], [[0.5, 0.4], [0.3, 0.2]], redshift=-0.1),
        "redshift: found -0.1, expected at least 0",
    ),
    "by name": (lambda: MODELS.with_values({"lat_0": 100}), r"s.spatial.lat_0: value: found 100 deg"),
    "of a parameter": (lambda: MODELS.with_parameter("sigma", value=-0.1), "s.spatial.sigma: value: found -0.1 deg"),
    "edisp": (lambda: gj.EDispKernel(2 * np.eye(3)), "true-energy bin 0 add up to 2, expected at most 1"),
    "map of edisp": (lambda: gj.EDispKernelMap(None, 2 * np.eye(3)[..., None, None]), "add up to 2"),
    "migrations": (lambda: gj.EDispMap(None, [1, 2], [0, 1, 2], np.ones((1, 2, 1, 1))), "add up to 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_outside_of_the_domain(case):
    make, text = REFUSED[case]
    with pytest.raises(gj.InputError, match=text):
        make()


def test_of_files():
    data = MODELS.to_dict()
    data["components"][0]["spectral"]["parameters"][2]["value"] = -1.0
    with pytest.raises(gj.InputError, match="model 's', spectral: reference: found -1 TeV"):
        gj.Models.from_dict(data)


def test_what_fits_reach_stays():
    """A width that a fit left below 0 can be shown, frozen and written; only new values have to be possible."""
    below = MODELS.with_numbers([[(float(p.value) if n != "s.spatial.sigma" else -0.1, 0.0) for n, p in
                                  MODELS.parameters.items()]])  # fmt: skip
    assert float(below.freeze("sigma").parameters["sigma"].value) == -0.1


def test_runaway_exponentials_are_infinite():
    model = gj.SuperExpCutoffPowerLaw4FGLSpectralModel(expfactor=14, reference=10)
    assert model(1 * u.GeV).value == np.inf and model(1e3) == 0.0
    assert gj.dnde(gj.SkyModel(model), 1.0) == np.inf
    assert np.all(gj.npred(RUN, gj.SkyModel(model)) == np.inf)
    # in fits they are large, and their slopes finite
    slopes = jax.grad(lambda m: gj.stat_sum(RUN, m))(gj.SkyModel(model, name="s"))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def exact(function, low):
    ends = [low, *(e for e in (3, 10, 30, 100, 300, 1000) if e > low), mpmath.inf]
    return float(mpmath.quad(function, ends))


TAILS = {
    "power law": (PL, lambda e: mpmath.mpf(3e-11) * e ** mpmath.mpf(-2.3)),
    "cutoff": (gj.ExpCutoffPowerLawSpectralModel(), lambda e: mpmath.mpf(1e-12) * e**-1.5 * mpmath.exp(-e / 10)),
    "log parabola": (
        gj.LogParabolaSpectralModel(reference=1.0),
        lambda e: mpmath.mpf(1e-12) * e ** (-2 - mpmath.log(e)),
    ),
    "smooth break": (
        gj.SmoothBrokenPowerLawSpectralModel(index1=1.5, index2=3.5),
        lambda e: mpmath.mpf(1e-12) * e**-1.5 * (1 + e**2) ** -1,
    ),
}


@pytest.mark.parametrize("name", TAILS)
def test_integrals_to_infinity(name):
    model, formula = TAILS[name]
    for low in (0.5, 2.0):
        np.testing.assert_allclose(model.integral(low, np.inf), exact(formula, low), rtol=1e-8)
    pairs = model.integral([0.5, 2.0] * u.TeV, [np.inf, 3.0] * u.TeV)
    np.testing.assert_allclose(pairs[0].value, exact(formula, 0.5), rtol=1e-8)
    np.testing.assert_allclose(pairs[1], model.integral(2 * u.TeV, 3 * u.TeV), rtol=1e-12)
    if name != "power law":
        np.testing.assert_allclose(model.energy_flux(1.0, np.inf), exact(lambda e: e * formula(e), 1.0), rtol=1e-7)


def test_integrals_that_do_not_exist():
    with pytest.raises(gj.InputError, match=r"does not exist: far out it falls as E\^-1"):
        PL.replace(index=1.0).integral(1, np.inf)
    with pytest.raises(gj.InputError, match="does not exist"):
        PL.replace(index=2.0).energy_flux(1, np.inf)
    with pytest.raises(gj.InputError, match="energies must be positive, found 0 TeV"):
        PL.integral(0, 1)
