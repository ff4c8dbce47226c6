"""Keys of older files, which gammapy reads over: what they would have said is not lost in silence."""

import math

import pytest

from gammajax.datasets import InputError
from gammajax.datasets.io import parse_yaml
from gammajax.datasets.models import Models

INDEX = """\
components:
- name: s
  type: SkyModel
  spectral: {type: pl, parameters: [{name: index, value: 2.5%s}]}
"""
SOURCE = """\
components:
- name: s
  type: %s
  datasets_names: a
  %s
"""


def read(text):
    return Models.from_dict(parse_yaml(text, "text"), "text")


@pytest.mark.parametrize("scale", ["1", "1.0"])
def test_a_scale_of_one_says_nothing(scale):
    assert read(INDEX % f", scale: {scale}")["s"].spectral.index.value == 2.5


def test_a_scale_is_no_factor():
    with pytest.warns(UserWarning, match=r"text: model 's', spectral, parameter 'index': the key 'scale' is ignored"):
        assert read(INDEX % ", scale: 0.1")["s"].spectral.index.value == 2.5


def test_settings_of_scans_are_read_over():
    more = ", scan_min: 1, scan_max: 2, scan_n_values: 5, scan_n_sigma: 2, scan_values: null"
    assert read(INDEX % more)["s"].spectral.index.value == 2.5


def test_an_error_that_is_not_known():
    assert math.isnan(read(INDEX % ", error: -.inf")["s"].spectral.index.error)
    with pytest.raises(InputError, match="the error must not be negative, found -1"):
        read(INDEX % ", error: -1.0")


def test_norms_beside_the_spectrum_of_a_background():
    text = SOURCE % ("FoVBackgroundModel", "parameters: [{name: norm, value: 1.2}]")
    with pytest.warns(UserWarning, match="the key 'parameters' of a FoVBackgroundModel is ignored, as by gammapy"):
        model = read(text)["s"]
    assert model.spectral.norm.value == 1.0
    with pytest.raises(InputError, match="model 's': unknown key 'parameters'"):
        read(SOURCE % ("SkyModel", "spectral: {type: pl}\n  parameters: []"))


def test_the_norm_of_a_table():
    spectrum = (
        "{type: template, energy: {data: [1, 2], unit: TeV}, values: {data: [1e-12, 2e-13], unit: 'TeV-1 s-1 cm-2'}"
    )
    text = SOURCE % ("SkyModel", f"spectral: {spectrum}, parameters: [{{name: norm, value: 2.1}}]}}")
    with pytest.warns(UserWarning, match="norm of a TemplateSpectralModel is ignored, as by gammapy"):
        model = read(text)["s"]
    assert float(model.spectral.evaluate(1.0)) == pytest.approx(1e-12, rel=1e-12)
    with pytest.raises(InputError, match="the model has no parameter of this name"):
        read(text.replace("name: norm", "name: nrom"))
