"""Models of a user's own in YAML files."""

import jax.numpy as jnp
import numpy as np
import pytest

import gammajax as gj
from gammajax.datasets.models import ParameterField, parameter
from gammajax.datasets.models.spatial import SPATIAL_MODELS, PositionedModel
from gammajax.datasets.models.spectral import SPECTRAL_MODELS
from gammajax.datasets.models.temporal import TEMPORAL_MODELS

REGISTRIES = {
    "spectral": (SPECTRAL_MODELS, gj.register_spectral_model),
    "spatial": (SPATIAL_MODELS, gj.register_spatial_model),
    "temporal": (TEMPORAL_MODELS, gj.register_temporal_model),
}


@pytest.fixture(autouse=True)
def as_before():
    """The registries are left as they were."""
    before = {word: dict(registry) for word, (registry, _) in REGISTRIES.items()}
    yield
    for word, (registry, _) in REGISTRIES.items():
        registry.clear()
        registry.update(before[word])


def own_classes():
    @gj.register_spectral_model
    class Flat(gj.SpectralModel):
        height: ParameterField = parameter(1e-12, "TeV-1 s-1 cm-2", role="amplitude")
        tag = ("Flat", "flat")

        def evaluate(self, energy):
            return self.height.internal * jnp.ones_like(energy)

    @gj.register_spatial_model
    class Cone(PositionedModel):
        size: ParameterField = parameter(0.3, "deg", role="radius")
        tag = ("Cone",)

        @property
        def evaluation_radius(self):
            return self.size.internal

        def profile(self, x, y):
            return jnp.maximum(1 - jnp.hypot(x, y) / self.size.internal, 0.0)

    @gj.register_temporal_model
    class Steps(gj.TemporalModel):
        rate: ParameterField = parameter(2.0)
        tag = ("Steps",)

        def value(self, days, energy=None):
            return self.rate.internal * jnp.ones_like(days)

        def value_mean(self, low, high, energy=None):
            return self.rate.internal * jnp.ones_like(low)

    return Flat, Cone, Steps


def test_models_of_registered_classes_are_written_and_read(tmp_path):
    flat, cone, steps = own_classes()
    model = gj.SkyModel(flat(height=3e-12), "x", spatial=cone(lon_0=1.0, lat_0=2.0), temporal=steps(rate=1.5))
    gj.Models(model).write(tmp_path / "models.yaml")
    back = gj.Models.read(tmp_path / "models.yaml")["x"]
    assert [type(part) for part in back.components.values()] == [flat, cone, steps]
    found = gj.Models(back).parameters
    assert {n: (float(p.value), p.role) for n, p in found.items()} == {
        n: (float(p.value), p.role) for n, p in gj.Models(model).parameters.items()
    }
    assert found["x.spectral.height"].role == "amplitude"
    np.testing.assert_array_equal(gj.dnde(back, jnp.array([1.0, 2.0])), [3e-12, 3e-12])


@pytest.mark.parametrize("word", REGISTRIES)
def test_the_last_of_a_tag_counts_and_all_tags_are_entered(word):
    registry, register = REGISTRIES[word]
    first = dict(zip(REGISTRIES, own_classes(), strict=True))[word]
    assert all(registry[tag] is first for tag in first.tag)
    second = dict(zip(REGISTRIES, own_classes(), strict=True))[word]
    assert all(registry[tag] is second for tag in second.tag)
    assert register(first) is first and registry[first.tag[0]] is first


def test_a_replaced_class_is_not_taken_for_its_successor():
    old = own_classes()[0]
    own_classes()
    with pytest.raises(gj.InputError, match=r"Flat is not a registered model.*gammajax.register_spectral_model"):
        gj.Models(gj.SkyModel(old(), "x")).to_dict()


@pytest.mark.parametrize("word", REGISTRIES)
def test_what_cannot_be_registered(word):
    registry, register = REGISTRIES[word]
    own = dict(zip(REGISTRIES, own_classes(), strict=True))[word]
    base = registry.base
    for wrong in (own(), gj.Parameter, "Flat"):
        with pytest.raises(
            gj.InputError, match=rf"register_{word}_model: found .* derived from gammajax.{base.__name__}"
        ):
            register(wrong)
    built_in = next(iter(registry.built_in.values()))
    taken = type("Impostor", (own,), {"tag": (own.tag[0] + "-2", built_in.tag[-1])})
    with pytest.raises(gj.InputError, match=rf"the tag '{built_in.tag[-1]}' is one of the package's"):
        register(taken)
    assert own.tag[0] + "-2" not in registry
    # a class that is derived from one of the package's and has no tag of its own
    with pytest.raises(gj.InputError, match="is one of the package's"):
        register(type("Heir", (built_in,), {}))
    for tag in ((), "Word", ("two words",), (1,), None):
        with pytest.raises(gj.InputError, match=r"Wordless needs the words .* such as tag = \('Wordless',\); found"):
            register(type("Wordless", (own,), {"tag": tag}))
    with pytest.raises(gj.InputError, match=r"Formless has no (evaluate|value)"):
        register(type("Formless", (base,), {"tag": ("Formless",)}))
    assert register(built_in) is built_in


def test_an_unknown_type_names_those_that_are_registered():
    own_classes()
    entry = {"name": "x", "type": "SkyModel", "spectral": {"type": "Flatt", "parameters": []}}
    with pytest.raises(gj.InputError, match=r"Flat\b"):
        gj.Models.from_dict({"components": [entry]})
