"""Switches and arrays of JAX: what a text, or an array that is no NumPy, hides from a check."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gammajax as gj

GEOM = gj.SkyGeom.create(npix=(2, 2), binsz=0.1)
PL = gj.PowerLawSpectralModel()

SWITCHES = {
    "frozen": lambda v: gj.Parameter(1.0, frozen=v),
    "frozen by name": lambda v: gj.Models(gj.SkyModel(PL)).with_parameter("index", frozen=v),
    "apply_irf": lambda v: gj.SkyModel(PL, apply_irf={"psf": v}),
    "normalize": lambda v: gj.TemplateSpatialModel(np.ones((2, 2)), GEOM, normalize=v),
    "normalize of a kernel": lambda v: gj.PSFKernel(np.ones((1, 3, 3)), normalize=v),
}


@pytest.mark.parametrize("name", SWITCHES)
def test_switches_are_true_or_false(name):
    for value in ("False", "no", "", None, 2, 0.5, np.array([True, False])):
        with pytest.raises(gj.InputError, match="expected True or False"):
            SWITCHES[name](value)
    for value in (True, np.True_, 1) if name == "normalize" else (True, False, np.False_, np.int8(0)):
        SWITCHES[name](value)


REFUSED = {
    "edges that fall": lambda x: gj.SpectrumDataset(x([4.0, 2.0, 1.0])),
    "edges without a number": lambda x: gj.SpectrumDataset(x([1.0, np.nan, 2.0])),
    "dispersion": lambda x: gj.EDispKernel(x([[1.0, -0.5], [0.0, 1.0]])),
    "value": lambda x: gj.PowerLawSpectralModel(index=x(np.nan)),
    "error": lambda x: gj.Parameter(1.0, error=x(-1.0)),
    "template": lambda x: gj.TemplateSpectralModel([1, 2], x([np.nan, 1e-12])),
    "template of the wrong sign": lambda x: gj.TemplateSpectralModel([1, 2], x([-1e-12, -1e-13])),
    "flux points": lambda x: gj.FluxPoints([1, 2], [1, 1], x([1e-12, -1e-13])),
    "reference of times": lambda x: gj.GTI([0], [1], x(np.nan)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_arrays_of_jax_are_looked_at(name):
    for kind in (np.asarray, jnp.asarray):
        with pytest.raises(gj.InputError):
            REFUSED[name](kind)


def test_traced_numbers_pass():
    def stat(edges, index):
        run = gj.SpectrumDataset(edges, counts=[3, 2], exposure=[1e12] * 2, nodes=8)
        return gj.npred(run, gj.SkyModel(gj.PowerLawSpectralModel(index=index))).sum()

    assert np.isfinite(jax.jit(stat)(jnp.array([1.0, 2.0, 4.0]), 2.0))
    assert np.isfinite(jax.grad(stat, argnums=1)(jnp.array([1.0, 2.0, 4.0]), 2.0))
