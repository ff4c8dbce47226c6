import astropy.units as u
import equinox as eqx
import pytest

from gammajax.datasets import InputError
from gammajax.datasets.models import ModelComponent, Parameter, ParameterField, parameter


class Wobble(ModelComponent):
    size: ParameterField = parameter(2.0, "deg")
    label: str = eqx.field(static=True, default="x")
    rate: ParameterField = parameter(1.0, "s-1", frozen=True)


def test_parameters_are_the_fields_that_are_parameters():
    assert list(Wobble().parameters) == ["size", "rate"]
    assert Wobble().parameters["rate"].frozen


def test_replace_sets_values_or_whole_parameters():
    model = Wobble(label="y").replace(size=30 * u.arcmin, rate=Parameter(5.0, "min-1"))
    assert float(model.size.internal) == pytest.approx(0.5) and model.size.unit == "deg"
    assert float(model.rate.internal) == pytest.approx(5 / 60) and not model.rate.frozen
    assert model.label == "y"
    with pytest.raises(InputError, match="it has size, rate"):
        model.replace(label="z")
