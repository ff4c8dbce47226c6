import astropy.units as u
import numpy as np
import pytest

from gammajax.datasets import InputError
from gammajax.datasets.models import Models, Parameter, SkyModel
from gammajax.datasets.models.spectral import PiecewiseNormSpectralModel, PowerLawSpectralModel

MODEL = PowerLawSpectralModel() * PiecewiseNormSpectralModel([1, 10, 100])


def test_parameters_are_attributes_by_their_short_names():
    assert MODEL.norm_1 is MODEL.parameters["norm_1"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = MODEL.nothing


def test_replace_sets_values_quantities_whole_parameters_and_fields():
    changed = MODEL.replace(norm_1=2.0, reference=500 * u.GeV, index=Parameter(3.0, frozen=True))
    assert float(changed.norm_1.value) == 2
    np.testing.assert_allclose(float(changed.reference.value), 0.5)
    assert changed.index.frozen and MODEL.norm_1.value == 1
    with pytest.raises(InputError, match="no parameter 'nothing'"):
        MODEL.replace(nothing=1)


def test_names_are_those_of_the_models_container():
    names = list(Models([SkyModel(spectral=MODEL, name="a")]).parameters)
    assert names == [f"a.spectral.{n}" for n in MODEL.parameters]
