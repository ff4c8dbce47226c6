import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from gammajax.datasets import InputError
from gammajax.datasets.models import GaussianPrior, Models, Parameter, SkyModel, UniformPrior, canonical
from gammajax.datasets.models.spatial import GaussianSpatialModel, TemplateSpatialModel
from gammajax.datasets.models.spectral import (
    LogParabolaSpectralModel,
    PiecewiseNormSpectralModel,
    PowerLawSpectralModel,
    TemplateNDSpectralModel,
)
from gammajax.datasets.sky import SkyGeom
from gammajax.datasets.units import parse_unit


def test_value_and_unit_from_number_and_quantity():
    p = Parameter(2.5, "cm-2 s-1 TeV-1", error=0.1, min=0)
    assert p.value == 2.5
    assert p.unit == "TeV-1 s-1 cm-2"
    assert p.quantity == 2.5 * u.Unit("cm-2 s-1 TeV-1")
    assert (p.min, p.max) == (0.0, math.inf)
    assert Parameter(3 * u.GeV).unit == "GeV"
    assert Parameter(3 * u.GeV, "GeV").value == 3
    assert Parameter(1.0, min=math.nan, max=math.nan).bounds == (-math.inf, math.inf)


def test_quantities_are_converted_to_the_unit_of_the_parameter():
    p = Parameter(1 * u.TeV, min=10 * u.GeV, max=20 * u.TeV, error=100 * u.GeV)
    assert (p.min, p.max) == pytest.approx((0.01, 20.0), rel=1e-14)
    assert p.error == pytest.approx(0.1, rel=1e-14)
    new = p.replace(value=500 * u.GeV, min=None)
    assert new.value == pytest.approx(0.5, rel=1e-14)
    assert new.min == -math.inf
    assert new.unit == "TeV"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Parameter(1.0, "TeVV"), "'TeVV' is not a unit"),
        (lambda: Parameter(1.0, "TeV s-"), "not a unit"),
        (lambda: Parameter(1 * u.TeV, "GeV"), "disagree"),
        (lambda: Parameter(1.0, min=2, max=1), "min 2.0 is above max 1.0"),
        (lambda: Parameter(math.nan), "must be finite"),
        (lambda: Parameter([1.0, 2.0]), "single number"),
        (lambda: Parameter("abc"), "Parameter: value: found 'abc'"),
        (lambda: Parameter(1.0, min="low"), "Parameter: min: found 'low'"),
        (lambda: Parameter(1.0, prior=3), "prior must be a prior"),
        (lambda: Parameter(1.0, link=3), "link must be a label"),
        (lambda: Parameter(1.0, "TeV", max=3 * u.s), "Parameter: max: found unit 's'"),
        (lambda: Parameter(1.0, "TeV").replace(value=3 * u.s), "found unit 's', expected one convertible to 'TeV'"),
        (lambda: Parameter(1.0).replace(valeu=3), "'valeu' cannot be changed; value, error"),
        (lambda: Parameter(1.0, "TeV").replace(unit="GeV"), "Give the value as a Quantity"),
        (lambda: Parameter(1.0, min=0).replace(max=-1), "above max"),
        (lambda: Parameter(1.0).replace(value=math.inf), "finite"),
        (lambda: PowerLawSpectralModel(amplitude=1 * u.TeV), "expected one convertible to 'TeV-1 s-1 cm-2'"),
        (lambda: PowerLawSpectralModel(reference=Parameter(1.0, "s")), "expected one convertible to 'TeV'"),
    ],
)
def test_bad_input(make, text):
    with pytest.raises(InputError) as error:
        make()
    assert text in str(error.value)


def test_replace_keeps_the_rest():
    p = Parameter(2.0, "TeV", error=0.1, frozen=True, min=1, max=3, prior=GaussianPrior(2, 1), link="a", scale=2.0)
    new = p.replace(value=2.5, frozen=False)
    assert (new.value, new.frozen) == (2.5, False)
    for name in ("error", "unit", "min", "max", "prior", "link", "scale"):
        assert getattr(new, name) == getattr(p, name)
    assert (p.value, p.frozen) == (2.0, True)


def test_prior_narrows_bounds():
    assert Parameter(0.5, min=0.2, max=3, prior=UniformPrior(0, 1)).bounds == (0.2, 1.0)
    assert Parameter(0.5, max=3, prior=GaussianPrior(0, 1)).bounds == (-math.inf, 3.0)


def test_numbers_are_read_only():
    given = np.array(2.0)
    p = Parameter(given)
    given[...] = 5.0
    assert p.value == 2.0
    with pytest.raises(ValueError):
        p.value[...] = 3.0
    with pytest.raises(AttributeError):
        p.value = 3.0


def test_value_and_error_are_leaves_and_the_rest_is_static():
    p = Parameter(2.0, "TeV", error=0.5, min=0, prior=GaussianPrior(2, 1))
    assert jax.tree_util.tree_leaves(p) == [2.0, 0.5]
    same = jax.tree_util.tree_structure(p.replace(value=3.0, error=0.1))
    assert jax.tree_util.tree_structure(p) == same
    assert jax.tree_util.tree_structure(p.replace(frozen=True)) != same
    gradient = jax.grad(lambda q: q.internal**2)(p.replace(value=jnp.array(3.0)))
    assert gradient.value == 6.0
    assert gradient.error == 0.0
    assert jax.jit(lambda q: q.internal)(p) == 2.0


def test_units_of_the_user_are_kept_and_change_no_value():
    energy = np.geomspace(0.1, 50, 7)
    per_tev = PowerLawSpectralModel(amplitude=2e-12 * u.Unit("cm-2 s-1 TeV-1"), reference=1 * u.TeV)
    per_mev = PowerLawSpectralModel(amplitude=2e-18 * u.Unit("cm-2 s-1 MeV-1"), reference=1e6 * u.MeV)
    assert per_mev.amplitude.unit == "MeV-1 s-1 cm-2"
    assert per_mev.reference.unit == "MeV"
    np.testing.assert_allclose(per_mev.evaluate(energy), per_tev.evaluate(energy), rtol=1e-14)
    # the gradient is with respect to the number in the user's unit
    d_mev = jax.grad(lambda m: m.evaluate(jnp.array(1.0)))(per_mev).amplitude.value
    assert d_mev == pytest.approx(1e6, rel=1e-14)


def test_declared_fields_take_numbers_quantities_and_parameters():
    model = LogParabolaSpectralModel(reference=2.0, alpha=Parameter(2.2, frozen=True), beta=jnp.array(0.1))
    assert (model.reference.value, model.reference.unit, model.reference.frozen) == (2.0, "TeV", True)
    assert LogParabolaSpectralModel(reference=3 * u.GeV).reference.frozen
    assert model.alpha.frozen
    assert model.beta.value == 0.1


def test_units_that_fits_cannot_express():
    assert parse_unit(None, "x") == u.dimensionless_unscaled
    p = Parameter(2.0, u.Unit("1e-12 cm-2 s-1 TeV-1"))
    assert u.Unit(p.unit) == u.Unit("1e-12 cm-2 s-1 TeV-1")
    odd = Parameter(2.0, 3 * u.TeV)
    assert u.Unit(odd.unit) == u.Unit(3 * u.TeV)


def test_repr_under_jit_shows_no_number():
    assert repr(Parameter(2.0, "TeV", frozen=True)) == "Parameter(2 TeV, frozen)"
    seen = []
    jax.jit(lambda p: seen.append(repr(p)) or p.value)(Parameter(2.0))
    assert "Parameter(" in seen[0]


def test_roles_come_from_the_class_wherever_the_parameter_comes_from():
    model = SkyModel(PowerLawSpectralModel(amplitude=Parameter(1e-12, "cm-2 s-1 TeV-1")), "a")
    index, amplitude, reference = model.spectral.parameters.values()
    assert (index.role, amplitude.role, reference.role) == ("index", "amplitude", "energy")
    # a number, a quantity, a parameter of another role
    for given in (2e-12, 2e-8 * u.Unit("m-2 s-1 TeV-1"), Parameter(1, "cm-2 s-1 TeV-1", role="width")):
        assert model.spectral.replace(amplitude=given).amplitude.role == "amplitude"
    assert amplitude.replace(value=3e-12, frozen=True).role == "amplitude"
    assert PowerLawSpectralModel(index=Parameter(1.0, role="norm")).index.role == "index"
    norms = PiecewiseNormSpectralModel([1, 2] * u.TeV, [1.0, Parameter(2.0)])
    assert [p.role for p in norms.parameters.values()] == ["norm", "norm"]
    grid = TemplateNDSpectralModel([1, 2] * u.TeV, {"tilt": [0, 1]}, np.ones((2, 2)), tilt=Parameter(0.5, role="norm"))
    assert grid.tilt.role == "" and list(Models(SkyModel(grid, "b")).parameters) == ["b.spectral.tilt"]
    geom = SkyGeom.create((10, 20), 0.1, npix=(3, 3))
    image = TemplateSpatialModel(np.ones((3, 3)), geom, lon_0=Parameter(10, "deg"))
    assert (image.lon_0.role, image.lat_0.role) == ("position", "latitude")


def test_roles_survive_files_flattening_and_links():
    shape = GaussianSpatialModel(lon_0=1, lat_0=2, sigma=0.2)
    models = Models([SkyModel(PowerLawSpectralModel(), n, spatial=shape) for n in "ab"])
    roles = {name: p.role for name, p in models.parameters.items()}
    assert list(roles.values())[:8] == [
        *("index", "amplitude", "energy"),
        *("position", "latitude", "width", "eccentricity", "angle"),
    ]
    # linked parameters are one, and what each is in its model stays
    linked = models.link("a.spatial.sigma", "b.spatial.lon_0").with_values({"a.spatial.sigma": 0.3})
    data = linked.to_dict()
    assert "role" not in repr(data)
    built, numbers = canonical(models["a"])
    again = Models(built.build(numbers)).parameters
    numbers = [[(1.0, 0.1)] * 8] * 2
    for found in (linked, Models.from_dict(data), models.freeze(), models.with_numbers(numbers)):
        assert {name: p.role for name, p in found.parameters.items()} == roles
    assert [p.role for p in again.values()] == list(roles.values())[:8]


def test_an_unknown_role_is_refused():
    with pytest.raises(InputError, match=r"role must be one of amplitude, norm, .* found 'size'"):
        Parameter(1.0, role="size")
