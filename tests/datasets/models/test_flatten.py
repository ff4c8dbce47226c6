import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from gammajax.datasets.models import (
    FoVBackgroundModel,
    GaussianPrior,
    Models,
    Parameter,
    SkyModel,
    flatten,
    free_by_default,
)
from gammajax.datasets.models.spectral import (
    CompoundSpectralModel,
    LogParabolaSpectralModel,
    PiecewiseNormSpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    ScaleSpectralModel,
)

ENERGY = jnp.geomspace(0.1, 50, 9)


class Network(eqx.Module):
    """ln of a flux from ln E, by a small neural network, with one ordinary parameter beside it."""

    mlp: eqx.nn.MLP
    norm: Parameter

    def __init__(self, seed=0):
        self.mlp = eqx.nn.MLP(1, "scalar", 4, 2, key=jax.random.key(seed))
        self.norm = Parameter(1.0)

    def __call__(self, energy):
        log_flux = jax.vmap(self.mlp)(jnp.log(energy).reshape(-1, 1)).reshape(energy.shape)
        return self.norm.internal * 1e-12 * jnp.exp(log_flux)


def compound(index=2.0):
    flux = PowerLawSpectralModel(index=index, amplitude=3e-18 * u.Unit("cm-2 s-1 MeV-1"))
    return CompoundSpectralModel(
        CompoundSpectralModel(flux, PowerLawNormSpectralModel(tilt=0.2), "mul"), LogParabolaSpectralModel(), "add"
    )


MODELS = {
    "power-law": SkyModel(PowerLawSpectralModel(index=2.2), name="a"),
    "compound": SkyModel(compound(), name="b", datasets_names="run", apply_irf={"edisp": False}),
    "scale": SkyModel(ScaleSpectralModel(PowerLawSpectralModel(), norm=2.0), name="c"),
    "foreign": SkyModel(Network(), name="d"),
    "background": FoVBackgroundModel(datasets_names="run"),
    "piecewise": FoVBackgroundModel(PiecewiseNormSpectralModel([1, 3, 10] * u.TeV, [1.0, 1.2, 0.8]), "run"),
}


def value_of(model, energy):
    return model.evaluate(energy) if isinstance(model, FoVBackgroundModel) else model.spectral(energy)


@pytest.mark.parametrize("name", MODELS)
def test_built_from_its_numbers_it_is_the_same_model(name):
    model = MODELS[name]
    definition, items = flatten(model)
    numbers = [item.content.value if item.kind == "parameter" else item.content for item in items]
    again = definition.build(numbers)
    np.testing.assert_array_equal(value_of(again, ENERGY), value_of(model, ENERGY))
    assert again.flags == model.flags
    # under jit and grad with respect to the numbers
    inexact = [jnp.asarray(n, float) for n in numbers]
    total = jax.jit(lambda numbers: 1e12 * jnp.sum(value_of(definition.build(numbers), ENERGY)))
    assert float(total(inexact)) == pytest.approx(float(1e12 * jnp.sum(value_of(model, ENERGY))), rel=1e-12)
    assert all(np.all(np.isfinite(g)) for g in jax.grad(total)(inexact))


@pytest.mark.parametrize("name", MODELS)
def test_names_of_items_are_unique(name):
    items = flatten(MODELS[name])[1]
    names = [item.name for item in items]
    assert len(set(names)) == len(names)
    assert all(n.startswith(f"{MODELS[name].name}.spectral.") for n in names)


def test_kinds_and_names():
    kinds = {item.name: item.kind for item in flatten(MODELS["foreign"])[1]}
    assert kinds["d.spectral.norm"] == "parameter"
    assert kinds["d.spectral.mlp.layers.0.weight"] == "weights"
    assert list(kinds.values()).count("weights") == 6
    kinds = {item.name: item.kind for item in flatten(MODELS["piecewise"])[1]}
    assert kinds == {
        "run-bkg.spectral.energy": "data",
        "run-bkg.spectral.norm_0": "parameter",
        "run-bkg.spectral.norm_1": "parameter",
        "run-bkg.spectral.norm_2": "parameter",
    }
    names = [item.name for item in flatten(MODELS["compound"])[1]]
    assert names == [
        "b.spectral.index",
        "b.spectral.model1.model1.amplitude",
        "b.spectral.model1.model1.reference",
        "b.spectral.tilt",
        "b.spectral.norm",
        "b.spectral.model1.model2.reference",
        "b.spectral.model2.amplitude",
        "b.spectral.model2.reference",
        "b.spectral.alpha",
        "b.spectral.beta",
    ]


def test_a_parameter_that_shares_its_last_word_with_an_array_keeps_its_path():
    class Outer(eqx.Module):
        w: jax.Array
        inner: PowerLawSpectralModel
        sub: dict

        def __call__(self, energy):
            return self.w * self.inner.evaluate(energy)

    names = [i.name for i in flatten(SkyModel(Outer(jnp.ones(()), PowerLawSpectralModel(), {"w": Parameter(1.0)})))[1]]
    assert "source.spectral.sub.w" in names
    assert "source.spectral.w" in names
    assert len(set(names)) == len(names)


def test_only_what_chooses_the_program_is_in_the_structure():
    one = flatten(SkyModel(PowerLawSpectralModel(index=2.2), name="a"))[0]
    dressed = PowerLawSpectralModel(
        index=Parameter(2.9, error=0.1, min=1, frozen=True, prior=GaussianPrior(2, 1), link="x")
    )
    assert flatten(SkyModel(dressed, name="b", datasets_names="run"))[0] == one
    assert hash(flatten(SkyModel(dressed))[0]) == hash(one)
    assert flatten(SkyModel(LogParabolaSpectralModel()))[0] != one
    assert flatten(SkyModel(PowerLawSpectralModel(), apply_irf={"edisp": False}))[0] != one
    assert flatten(SkyModel(PowerLawSpectralModel(reference=1 * u.GeV)))[0] != one
    assert flatten(MODELS["compound"])[0] == flatten(MODELS["compound"].replace(spectral=compound(3.0)))[0]
    assert flatten(SkyModel(Network(0)))[0] == flatten(SkyModel(Network(1)))[0]


def test_a_static_field_that_cannot_be_hashed_still_gives_names():
    class Odd(eqx.Module):
        scale: jax.Array
        options: list = eqx.field(static=True)

        def __call__(self, energy):
            return self.scale * energy**-2

    assert flatten(SkyModel(Odd(jnp.array(1e-12), ["a"])))[1][0].name == "source.spectral.scale"


def test_free_by_default():
    names = free_by_default(
        [MODELS["power-law"].replace(spectral=PowerLawSpectralModel(index=Parameter(2, frozen=True)))]
    )
    assert names == ("a.spectral.index", "a.spectral.amplitude")
    assert free_by_default([MODELS["scale"]]) == ("c.spectral.norm",)
    assert free_by_default([MODELS["piecewise"]]) == tuple(f"run-bkg.spectral.norm_{i}" for i in range(3))
    assert free_by_default([MODELS["foreign"]]) == ("d.spectral.norm",)
    assert set(Models(MODELS["compound"]).freeze().unfreeze().parameters.free) == {
        n for n in Models(MODELS["compound"]).parameters if not n.endswith(("reference", "tilt"))
    }


def test_models_of_one_structure_share_it():
    """One object for many, so that joint fits compare it by identity; whatever chooses the program makes another."""
    one, two = (flatten(FoVBackgroundModel(PowerLawNormSpectralModel(norm=v), f"run-{v}")) for v in (1.0, 2.0))
    assert one[0] is two[0]
    assert [i.name for i in two[1]] == [f"run-2.0-bkg.spectral.{k}" for k in ("tilt", "norm", "reference")]
    assert float(two[1][1].content.value) == 2.0
    flux = PowerLawSpectralModel(amplitude=3e-18 * u.Unit("cm-2 s-1 MeV-1"))
    models = [
        SkyModel(PowerLawSpectralModel()),
        SkyModel(flux),
        SkyModel(LogParabolaSpectralModel()),
        SkyModel(PowerLawSpectralModel(), apply_irf={"edisp": False}),
        SkyModel(CompoundSpectralModel(PowerLawSpectralModel(), PowerLawSpectralModel(), "sub")),
        SkyModel(CompoundSpectralModel(PowerLawSpectralModel(), PowerLawSpectralModel(), "add")),
        FoVBackgroundModel(datasets_names="run"),
    ]
    assert len({flatten(model)[0] for model in models}) == len(models)
    assert flatten(models[0])[0] is flatten(models[0].replace(name="other"))[0]
