import math
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u

from gammajax.datasets import InputError
from gammajax.datasets.models import FoVBackgroundModel, GaussianPrior, Models, Parameter, Parameters, SkyModel
from gammajax.datasets.models.spectral import LogParabolaSpectralModel, PowerLawSpectralModel


@pytest.fixture
def models():
    return Models(
        [
            SkyModel(PowerLawSpectralModel(), name="crab"),
            SkyModel(LogParabolaSpectralModel(), name="vela", datasets_names=["run-1", "run-2"]),
            SkyModel(PowerLawSpectralModel(), name="geminga", datasets_names="run-2"),
            FoVBackgroundModel(datasets_names="run-1"),
            FoVBackgroundModel(datasets_names="run-2"),
        ]
    )


def changed(old, new):
    """Names of parameters that differ in any field."""
    return {
        n
        for n, p in old.parameters.items()
        if not eqx.tree_equal(p, new.parameters[n]) or p.value != new.parameters[n].value
    }


def test_container(models):
    assert models.names == ("crab", "vela", "geminga", "run-1-bkg", "run-2-bkg")
    assert len(models) == 5
    assert models["vela"] is models[1]
    assert "vela" in models
    assert "vel" not in models
    assert [m.name for m in models] == list(models.names)
    assert models[1:3].names == ("vela", "geminga")
    assert (models[:1] + models["vela"]).names == ("crab", "vela")
    assert Models(models["crab"]).names == ("crab",)
    assert Models(models).names == models.names
    assert len(Models()) == 0


def test_acting_on(models):
    assert models.acting_on("run-1").names == ("crab", "vela", "run-1-bkg")
    assert models.acting_on("other").names == ("crab",)
    with pytest.raises(InputError, match="'vela' acts on the datasets run-1, run-2 only"):
        models.acting_on(None)
    assert models[:1].acting_on(None).names == ("crab",)


def test_select(models):
    assert models.select(name_substring="e").names == ("vela", "geminga")
    with pytest.raises(InputError, match="part of a name"):
        models.select(["vela"])
    assert models.select(tag="fov-bkg").names == ("run-1-bkg", "run-2-bkg")
    assert models.select(tag=["pl", "lp"], datasets_names="run-1").names == ("crab", "vela")
    assert models.select(datasets_names=["run-2"]).names == ("crab", "vela", "geminga", "run-2-bkg")
    frozen = models.freeze("vela.spectral.amplitude", "alpha", "vela.spectral.beta")
    assert frozen.select(frozen=True).names == ("vela",)
    assert frozen.select(frozen=False, name_substring="a").names == ("crab", "geminga")


def test_parameters_by_name_and_ending(models):
    parameters = models.parameters
    assert parameters.names[:4] == (
        "crab.spectral.index",
        "crab.spectral.amplitude",
        "crab.spectral.reference",
        "vela.spectral.amplitude",
    )
    assert parameters["alpha"] is parameters["vela.spectral.alpha"]
    assert parameters.full_name("geminga.spectral.index") == "geminga.spectral.index"
    assert "crab.spectral.index" in parameters
    assert "nothing" not in parameters
    assert parameters.get("nothing") is None
    assert len(parameters) == len(parameters.names) == len(list(parameters)) == 16
    with pytest.raises(InputError, match=r"'spectral.index' is ambiguous; it may be crab.spectral.index, geminga"):
        parameters["spectral.index"]
    with pytest.raises(InputError, match=r"no parameter 'crab.spectral.indx'. Did you mean 'crab.spectral.index'"):
        parameters["crab.spectral.indx"]
    # an ending is a number of whole words
    with pytest.raises(InputError, match="no parameter 'lpha'"):
        parameters["lpha"]


def test_with_parameter_changes_one_and_no_other(models):
    """Models with untouched parameters share the default objects of their class."""
    assert models["crab"].spectral.index is models["geminga"].spectral.index
    new = models.with_parameter("crab.spectral.index", value=2.7, frozen=True, min=1, prior=GaussianPrior(2, 1))
    assert changed(models, new) == {"crab.spectral.index"}
    p = new.parameters["crab.spectral.index"]
    assert (p.value, p.frozen, p.min, p.prior) == (2.7, True, 1.0, GaussianPrior(2, 1))
    new = models.with_parameter("crab.spectral.amplitude", value=2e-17 * u.Unit("cm-2 s-1 MeV-1"))
    assert new.parameters["crab.spectral.amplitude"].value == pytest.approx(2e-11, rel=1e-14, abs=0)
    assert models.with_parameter("alpha", value=3.0).parameters["vela.spectral.alpha"].value == 3.0
    assert models.parameters["crab.spectral.index"].value == 2.0


def test_with_values(models):
    new = models.with_values(
        {"crab.spectral.index": 2.5, "alpha": 2.2}, {"crab.spectral.index": 0.1, "vela.spectral.beta": 0.3}
    )
    assert changed(models, new) == {"crab.spectral.index", "vela.spectral.alpha", "vela.spectral.beta"}
    assert new.parameters["crab.spectral.index"].error == 0.1
    assert new.parameters["vela.spectral.beta"].value == models.parameters["vela.spectral.beta"].value
    assert jax.tree_util.tree_structure(new) == jax.tree_util.tree_structure(models)
    with pytest.raises(InputError, match=r"no parameter 'crab.spectral.gamma'"):
        models.with_values({"crab.spectral.gamma": 1.0})
    with pytest.raises(InputError, match=r"crab.spectral.index: the value must be finite"):
        models.with_values({"crab.spectral.index": math.nan})


def test_freeze_and_unfreeze(models):
    frozen = models.freeze()
    assert all(p.frozen for p in frozen.parameters.values())
    assert len(frozen.parameters.free) == 0
    assert changed(models, frozen) == set(models.parameters.free)
    # reference energies stay frozen unless they are named
    assert frozen.unfreeze().parameters.free.names == models.parameters.free.names
    named = frozen.unfreeze("crab.spectral.reference", "alpha")
    assert named.parameters.free.names == ("crab.spectral.reference", "vela.spectral.alpha")
    assert changed(models, models.freeze("geminga.spectral.index")) == {"geminga.spectral.index"}
    with pytest.raises(InputError, match="ambiguous"):
        models.freeze("index")


def test_link(models):
    models = models.with_parameter("crab.spectral.index", value=2.6, min=1).with_values({"alpha": 1.9})
    linked = models.link("crab.spectral.index", "alpha")
    assert changed(models, linked) == {"crab.spectral.index", "vela.spectral.alpha"}
    assert linked.parameters["alpha"].value == 2.6
    assert linked.parameters["alpha"].min == 1.0
    assert linked.parameters["alpha"].link == linked.parameters["crab.spectral.index"].link is not None
    assert len(linked.parameters) == len(models.parameters)
    assert "vela.spectral.alpha" not in linked.parameters.unique
    assert "vela.spectral.alpha" not in linked.parameters.free
    assert len(linked.parameters.free) == len(models.parameters.free) - 1


@pytest.mark.parametrize("name", ["crab.spectral.index", "vela.spectral.alpha"])
def test_a_change_reaches_all_linked_parameters(models, name):
    linked = models.link("crab.spectral.index", "alpha")
    for new in (
        linked.with_parameter(name, value=3.0, error=0.2),
        linked.with_values({name: 3.0}, {name: 0.2}),
        linked.with_values({"alpha": 3.0, "crab.spectral.index": 3.0}, {name: 0.2}),
    ):
        for p in (new.parameters["crab.spectral.index"], new.parameters["alpha"]):
            assert (p.value, p.error) == (3.0, 0.2)
    assert "crab.spectral.index" not in linked.freeze(name).parameters.free
    assert linked.freeze(name).parameters["alpha"].frozen


def test_links_join_and_dissolve(models):
    # "vela.spectral.alpha" brings "geminga.spectral.index" along
    linked = models.link("vela.spectral.alpha", "geminga.spectral.index").link("crab.spectral.index", "alpha")
    names = ("crab.spectral.index", "vela.spectral.alpha", "geminga.spectral.index")
    assert len({linked.parameters[n].link for n in names}) == 1
    alone = linked.with_parameter("crab.spectral.index", link=None, value=3.0)
    assert alone.parameters["crab.spectral.index"].link is None
    assert alone.parameters["alpha"].value == 2.0
    # a new group does not take the label of the old one, which two others still bear
    again = alone.link("crab.spectral.index", "vela.spectral.beta")
    assert again.parameters["crab.spectral.index"].link != again.parameters["alpha"].link
    assert again.parameters["alpha"].value == 2.0


def test_link_errors(models):
    with pytest.raises(
        InputError, match=r"crab.spectral.amplitude is in 'TeV-1 s-1 cm-2' and crab.spectral.index in ''"
    ):
        models.link("crab.spectral.index", "crab.spectral.amplitude")
    other = models.with_parameter("crab.spectral.index", value=2.0)
    other = Models([SkyModel(PowerLawSpectralModel(reference=1 * u.GeV), name="gev"), *other])
    with pytest.raises(InputError, match="linked parameters need one unit"):
        other.link("crab.spectral.reference", "gev.spectral.reference")
    with pytest.raises(InputError, match=r"link parameters with models.link\('crab.spectral.index'"):
        models.with_parameter("crab.spectral.index", link="x")
    linked = models.link("crab.spectral.index", "alpha")
    with pytest.raises(InputError, match=r"another value, 1.0 and not 2.0"):
        linked.with_values({"crab.spectral.index": 1.0, "alpha": 2.0})
    # undetermined errors agree with each other
    linked.with_values({}, {"crab.spectral.index": math.nan, "alpha": math.nan})


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda m: Models([m[0], m[0]]), "the name 'crab' is there twice"),
        (lambda m: Models([PowerLawSpectralModel()]), "Wrap a spectrum as SkyModel"),
        (lambda m: Models(PowerLawSpectralModel()), "found PowerLawSpectralModel"),
        (lambda m: Models(3), "found int"),
        (lambda m: m["carb"], "no model 'carb'. Did you mean 'crab'? Known names: crab, vela"),
        (lambda m: m.with_parameter("crab.spectral.index", min=3, max=2), "crab.spectral.index: min 3.0"),
        (lambda m: m.with_parameter("crab.spectral.reference", value=3 * u.s), "crab.spectral.reference: "),
    ],
)
def test_bad_input(models, make, text):
    with pytest.raises(InputError) as error:
        make(models)
    assert text in str(error.value)


def total(models, energy):
    return sum(jnp.sum(m.spectral.evaluate(energy)) * 1e12 for m in models if isinstance(m, SkyModel))


def test_models_are_pytrees(models):
    energy = jnp.geomspace(0.5, 20, 5)
    leaves, treedef = jax.tree_util.tree_flatten(models)
    again = jax.tree_util.tree_unflatten(treedef, leaves)
    assert eqx.tree_equal(again, models)
    assert len(leaves) == 2 * len(models.parameters)

    traces = []

    @jax.jit
    def jitted(models):
        traces.append(1)
        return total(models, energy)

    assert float(jitted(models)) == pytest.approx(float(total(models, energy)), rel=1e-13)
    other = models.with_values({"crab.spectral.index": 2.9}, {"alpha": 0.2})
    assert float(jitted(other)) == pytest.approx(float(total(other, energy)), rel=1e-13)
    assert len(traces) == 1, "new values and errors need no new program"

    gradient = jax.grad(total)(models, energy)
    step = 1e-6
    for name in ("crab.spectral.index", "vela.spectral.beta"):
        value = models.parameters[name].value
        low, high = (float(total(models.with_values({name: value + s}), energy)) for s in (-step, step))
        assert float(gradient.parameters[name].value) == pytest.approx((high - low) / (2 * step), rel=1e-6, abs=0)
        assert gradient.parameters[name].error == 0.0


def test_vmap_over_models(models):
    energy = jnp.geomspace(0.5, 20, 5)
    values = jnp.linspace(1.5, 3, 4)
    batched = jax.vmap(lambda v: total(models.with_values({"crab.spectral.index": v}), energy))(values)
    single = [float(total(models.with_values({"crab.spectral.index": v}), energy)) for v in values]
    np.testing.assert_allclose(batched, single, rtol=1e-13)
    stack = jax.tree_util.tree_map(lambda *x: jnp.stack(x), *[models.with_values({"alpha": v}) for v in values])
    many = jax.vmap(lambda m: total(m, energy))(stack)
    np.testing.assert_allclose(
        many, [float(total(models.with_values({"alpha": v}), energy)) for v in values], rtol=1e-13
    )


def test_tables(models):
    models = models.link("crab.spectral.index", "alpha").with_parameter("vela.spectral.beta", prior=GaussianPrior(0, 1))
    table = models.parameters.to_table()
    assert table["name"].tolist() == list(models.parameters.names)
    assert table["link"][0] == table["link"][5] == "crab.spectral.index"
    assert table["prior"][6] == "GaussianPrior"
    assert table["unit"][1] == "TeV-1 s-1 cm-2"
    assert table["frozen"][2]
    assert len(Parameters({}).to_table()) == 0


def test_repr(models):
    text = repr(models)
    assert "SkyModel 'vela': LogParabolaSpectralModel on run-1, run-2" in text
    assert "  spectral.index: Parameter(2)" in text
    assert repr(Models()) == "Models()"
    assert "crab.spectral.index: Parameter(2)" in repr(models.parameters)


def test_ten_thousand_background_models():
    """The nuisance parameters of 10,000 runs: a change of all of them is linear in their number."""
    runs = [FoVBackgroundModel(datasets_names=f"run-{i}") for i in range(10_000)]
    models = Models([SkyModel(PowerLawSpectralModel(), name="crab"), *runs])
    names = models.parameters.free.names
    assert len(names) == 10_002

    def seconds(action):
        # of this process: other jobs of the machine do not count
        start = time.process_time()
        result = action()
        return time.process_time() - start, result

    # about 0.7 s and 0.9 s; the bounds only catch what grows with the square
    spent, new = seconds(lambda: models.with_values(dict.fromkeys(names, 1.5), dict.fromkeys(names, 0.1)))
    assert spent < 6
    assert new.parameters["run-9999-bkg.spectral.norm"] is not models.parameters["run-9999-bkg.spectral.norm"]
    assert {float(p.value) for p in new.parameters.free.values()} == {1.5}
    spent, frozen = seconds(new.freeze)
    assert spent < 6
    assert len(frozen.parameters.free) == 0
    spent, one = seconds(lambda: new.with_parameter("run-77-bkg.spectral.norm", value=3.0))
    assert spent < 3
    assert one["run-78-bkg"] is new["run-78-bkg"]


def test_parameter_labels_given_by_hand_link_too():
    shared = Parameter(2.1, link="gamma")
    models = Models([SkyModel(PowerLawSpectralModel(index=shared), name=n) for n in "ab"])
    assert models.parameters.free.names == ("a.spectral.index", "a.spectral.amplitude", "b.spectral.amplitude")
    assert models.with_values({"a.spectral.index": 2.5}).parameters["b.spectral.index"].value == 2.5
