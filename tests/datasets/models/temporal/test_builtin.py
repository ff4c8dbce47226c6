"""Temporal models: what they declare, and their values."""

import astropy.units as u
import jax
import numpy as np
import pytest
from astropy.time import Time

from gammajax.datasets import GTI
from gammajax.datasets.models.temporal import CLASSES, TEMPORAL_MODELS

REFERENCE = ("t_ref", 51544.0, "d", True)
FREE_REFERENCE = ("t_ref", 51544.0, "d", False)
# What gammapy 2.1 declares, in its order: (name, default, unit, frozen).
DECLARED = {
    "const": [],
    "linear": [("alpha", 1.0, "", False), ("beta", 0.0, "d-1", False), REFERENCE],
    "exp-decay": [("t0", 1.0, "d", False), REFERENCE],
    "gauss": [FREE_REFERENCE, ("sigma", 1.0, "d", False)],
    "gengauss": [
        FREE_REFERENCE,
        ("t_rise", 1.0, "d", False),
        ("t_decay", 1.0, "d", False),
        ("eta", 0.5, "", False),
    ],
    "powerlaw": [("alpha", 1.0, "", False), REFERENCE, ("t0", 1.0, "d", True)],
    "sinus": [("amp", 1.0, "", False), ("omega", 1.0, "rad d-1", False), FREE_REFERENCE],
}


@pytest.mark.parametrize("tag", DECLARED)
def test_parameters_and_defaults_are_those_of_gammapy(tag):
    model = TEMPORAL_MODELS[tag]()
    found = [(n, float(p.value), u.Unit(p.unit), p.frozen) for n, p in model.parameters.items()]
    assert found == [(n, v, u.Unit(unit), frozen) for n, v, unit, frozen in DECLARED[tag]]
    assert model.scale == "utc" and not model.is_energy_dependent


def test_every_class_is_found_by_both_tags():
    for cls in CLASSES:
        assert len(cls.tag) == 2 and cls.tag[0] == cls.__name__
        assert all(TEMPORAL_MODELS[tag] is cls for tag in cls.tag)


# Parameters (t_ref = MJD 55000), and values 0.25 d before and 0.5 d after it.
VALUES = {
    "const": ({}, [1, 1]),
    "linear": ({"alpha": 2.0, "beta": 0.4 / u.d}, [1.9, 2.2]),
    "exp-decay": ({"t0": 12 * u.h}, [np.exp(0.5), np.exp(-1)]),
    "gauss": ({"sigma": 0.5}, [np.exp(-0.125), np.exp(-0.5)]),
    "gengauss": ({"t_rise": 0.5, "t_decay": 0.25, "eta": 1.0}, [np.exp(-0.25), np.exp(-1)]),
    "powerlaw": ({"alpha": -2.0, "t0": 0.25 * u.d}, [0, 0.25]),
    "sinus": ({"amp": 0.3, "omega": 180 * u.deg / u.d}, [1 - 0.3 * np.sqrt(0.5), 1.3]),
}


@pytest.mark.parametrize("tag", VALUES)
def test_values_and_means(tag):
    parameters, wanted = VALUES[tag]
    if tag != "const":
        parameters = parameters | {"t_ref": 55000.0}
    model = TEMPORAL_MODELS[tag](**parameters)
    np.testing.assert_allclose(model(np.array([54999.75, 55000.5])), wanted, rtol=1e-12)
    np.testing.assert_allclose(model(Time([54999.75, 55000.5], format="mjd")), wanted, rtol=1e-10)
    # a mean over two stretches is the weighted mean of fine steps
    start = Time(54999.6, format="mjd", scale="utc").tt
    gti = GTI([0.0, 40000.0], [9000.0, 75000.0], start)
    middles = [np.linspace(a, b, 20001)[:-1] + (b - a) / 40000 for a, b in ((0.0, 9000.0), (40000.0, 75000.0))]
    means = [float(np.mean(model.value(model.days_after(s, float(start.mjd))))) for s in middles]
    both = jax.jit(lambda m: (m.mean(gti), jax.grad(lambda m: m.mean(gti))(m)))
    value, slopes = both(model)
    np.testing.assert_allclose(value, (means[0] * 9 + means[1] * 35) / 44, rtol=1e-7)
    for name, p in model.parameters.items():
        step = 1e-5
        ends = [both(model.replace(**{name: float(p.value) + s}))[0] for s in (-step, step)]
        slope = getattr(slopes, name).value
        np.testing.assert_allclose(slope, (ends[1] - ends[0]) / (2 * step), rtol=1e-5, atol=1e-6, err_msg=name)
