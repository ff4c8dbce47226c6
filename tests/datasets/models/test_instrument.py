"""Instrument models: what their constructor takes, names, links, files and copies."""

import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gammajax as gj
from gammajax.datasets.models import canonical


def make(**changes):
    fields = {
        "exposure": gj.PiecewiseNormSpectralModel([0.1, 1, 10], norms=[1, 1.1, 0.9]),
        "energy_scale": gj.Parameter(1.05, prior=gj.GaussianPrior(1, 0.15)),
        "psf_width": gj.PowerLawNormSpectralModel(norm=1.1, tilt=gj.Parameter(0.1)),
        "livetime": 0.98,
        "name": "hess",
        "datasets_names": ["run-1", "run-2"],
        "energy_scale_of": "response",
    }
    return gj.InstrumentModel(**(fields | changes))


def test_names_and_factors():
    model = make()
    names = gj.Models(model).parameters.names
    assert [n for n in names if not gj.Models(model).parameters[n].frozen] == [
        *("hess.exposure.norm_0", "hess.exposure.norm_1", "hess.exposure.norm_2"),
        "hess.energy_scale.norm",
        *("hess.psf_width.tilt", "hess.psf_width.norm"),
        "hess.livetime.norm",
    ]
    np.testing.assert_allclose(model.evaluate("psf_width", [1, 10]), [1.1, 1.1 * 10**-0.1], rtol=1e-14)
    np.testing.assert_array_equal(make(exposure=None).evaluate("exposure", [1, 10]), [1, 1])
    assert model.energy_scale_of == "response" and model.replace(name="a").name == "a"
    assert "energy_scale" in repr(model) and "hess" in repr(gj.Models(model))
    assert gj.Models(model).select(tag="instrument").names == ("hess",)


@pytest.mark.parametrize(
    "given, words",
    [
        ({"energy_scale_of": "exposure"}, "'dispersion' or 'response'"),
        ({"exposure": gj.PowerLawSpectralModel()}, "with unit"),
        ({"psf_width": "wide"}, "psf_width"),
        ({"psf_width": [1, 2]}, "psf_width"),
        ({"livetime": gj.PowerLawNormSpectralModel(tilt=1)}, "one factor"),
        ({"livetime": gj.PowerLawNormSpectralModel(tilt=gj.Parameter(0))}, "one factor"),
        (dict.fromkeys(("exposure", "energy_scale", "psf_width", "livetime")), "one or more"),
    ],
)
def test_refused(given, words):
    with pytest.raises(gj.InputError, match=words):
        make(**given)


def test_files(tmp_path):
    models = gj.Models([make(), gj.InstrumentModel(exposure=1.2, name="all")]).link(
        "hess.livetime.norm", "all.exposure.norm"
    )
    models.write(tmp_path / "models.yaml")
    again = gj.Models.read(tmp_path / "models.yaml")
    assert eqx.tree_equal(again, models)
    assert again["hess"].energy_scale_of == "response" and again["all"].datasets_names is None
    assert again.parameters["hess.energy_scale.norm"].prior == gj.GaussianPrior(1, 0.15)
    assert eqx.tree_equal(pickle.loads(pickle.dumps(models)), models)


def test_a_file_with_a_section_that_another_model_has():
    entry = {"components": [{"name": "a", "type": "InstrumentModel", "spectral": {"type": "pl-norm"}}]}
    with pytest.raises(gj.InputError, match="'spectral'"):
        gj.Models.from_dict(entry)


class Wiggle(eqx.Module):
    size: jax.Array

    def __call__(self, energy):
        return 1 + self.size * jnp.sin(jnp.log(energy))


def test_a_module_of_ones_own():
    model = make(exposure=Wiggle(jnp.asarray(0.1)))
    np.testing.assert_allclose(model.evaluate("exposure", [2.0]), 1 + 0.1 * np.sin(np.log(2)))
    definition, numbers = canonical(model)
    assert ("weights", ()) in definition.kinds
    np.testing.assert_allclose(definition.build(numbers).evaluate("exposure", [2.0]), 1 + 0.1 * np.sin(np.log(2)))


def test_arrays_of_modules_that_stay():
    """Of every model that takes one: frozen by their paths, in a fit's names, in copies and in pickles."""
    wiggle = Wiggle(jnp.asarray(0.1))
    models = [
        make(exposure=wiggle, livetime=gj.Parameter(1.0, frozen=True)),
        gj.FoVBackgroundModel(wiggle, "run-1"),
        gj.TemplateNPredModel(np.ones(3), wiggle),
    ]
    for model, path in zip(models, ("exposure", "spectral.size", "spectral"), strict=True):
        held = model.replace(frozen=[path])
        assert [sum(k[0] == "weights" for k in canonical(m)[0].kinds) for m in (model, held)] == [1, 0]
        assert held.replace(name="other").flags.frozen == pickle.loads(pickle.dumps(held)).flags.frozen == (path,)
        definition, numbers = canonical(held)
        assert definition.build(numbers).flags == held.flags
        with pytest.raises(gj.InputError, match=rf"frozen names 'spectral.nothing', and arrays are at {path[:8]}"):
            model.replace(frozen="spectral.nothing")
