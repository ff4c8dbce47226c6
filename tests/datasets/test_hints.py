"""Habits of gammapy's users are answered with what to write here: every row of the tables, on its object."""

import copy
import dataclasses
import inspect
import pickle
import re

import equinox as eqx
import jax
import numpy as np
import pytest

import gammajax as gj
from gammajax.datasets.hints.arguments import ARGUMENTS, ASSIGNMENTS
from gammajax.datasets.hints.attributes import ATTRIBUTES
from gammajax.datasets.hints.calls import hinted
from gammajax.datasets.hints.modules import found, is_foreign
from gammajax.datasets.hints.names import NAMES, OBJECTS

EDGES = [1.0, 2.0, 4.0, 8.0]


def spectrum(**fields):
    given = {"counts": [60, 20, 5], "counts_off": [50, 20, 10], "acceptance_off": 5, "exposure": np.full(3, 2e12)}
    return gj.SpectrumDatasetOnOff(EDGES, **(given | fields))


def points():
    return gj.FluxPoints([1.0, 2.0], [1.0, 1.0], [1e-12, 1e-13], energy_min=[0.8, 1.5], energy_max=[1.5, 3.0])


MODEL = gj.SkyModel(gj.PowerLawSpectralModel(), name="s")

OBJECTS_HERE = {
    "Dataset": gj.SpectrumDataset(EDGES, counts=[60, 20, 5]),
    "Datasets": gj.Datasets({"a": spectrum()}),
    "Models": gj.Models(MODEL),
    "ModelBase": MODEL,
    "ModelComponent": gj.PowerLawSpectralModel(),
    "SpectralModel": gj.PowerLawSpectralModel(),
    "SpatialModel": gj.ConstantSpatialModel(),
    "TemporalModel": gj.ConstantTemporalModel(),
    "Parameter": gj.Parameter(2.0),
    "Parameters": gj.Models(MODEL).parameters,
    "GTI": gj.GTI([0.0], [10.0]),
    "FluxPoints": points(),
    "EDispKernel": gj.EDispKernel(np.eye(3)),
    "EDispKernelMap": gj.EDispKernelMap.from_diagonal_response(EDGES),
    "EDispMap": gj.EDispMap.from_gauss(EDGES, [0.5, 1.0, 1.5], 0.1),
    "PSFMap": gj.PSFMap.from_gauss([1.0, 10.0], 0.1),
    "PSFKernel": gj.PSFKernel.from_gauss(gj.SkyGeom.create(npix=5, binsz=0.1), [1.0, 10.0], 0.1),
    "SkyGeom": gj.SkyGeom.create(npix=5, binsz=0.1),
    "EventList": gj.EventList([1.0], [2.0], None),
}


def rows(table):
    return [(owner, name, text) for owner, names in table.items() for name, text in names.items()]


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    assert name not in gj.__all__
    with pytest.raises(AttributeError, match=re.escape(NAMES[name])) as caught:
        getattr(gj, name)
    assert isinstance(caught.value, gj.InputError) and not hasattr(gj, name)


@pytest.mark.parametrize(("owner", "name", "text"), [r for r in rows(ATTRIBUTES) if r[0] != "FitResult"])
def test_attributes(owner, name, text):
    thing = OBJECTS_HERE[owner]
    # those without equinox answer by their objects only
    for asked in (thing, type(thing)) if isinstance(thing, eqx.Module) else (thing,):
        with pytest.raises(AttributeError, match=re.escape(text)) as caught:
            getattr(asked, name)
        assert isinstance(caught.value, gj.InputError)
        assert not hasattr(asked, name) and getattr(asked, name, 5) == 5


@pytest.mark.parametrize(("owner", "name", "text"), rows(ASSIGNMENTS))
def test_assignments(owner, name, text):
    with pytest.raises(dataclasses.FrozenInstanceError, match=re.escape(text)) as caught:
        setattr(OBJECTS_HERE[owner], name, 3)
    assert isinstance(caught.value, gj.InputError)


@pytest.mark.parametrize(("owner", "name", "text"), rows(ARGUMENTS))
def test_arguments(owner, name, text):
    with pytest.raises(TypeError, match=re.escape(text)) as caught:
        type(OBJECTS_HERE[owner])(**{name: 3})
    assert isinstance(caught.value, gj.InputError)


def test_what_to_write_exists():
    """Every name that a hint says is one of the package, of the class that it is said of, or of a method there."""
    holders = {
        "dataset": (gj.MapDataset, gj.MapDatasetOnOff, gj.FluxPointsDataset),
        "datasets": (gj.Datasets,),
        "models": (gj.Models,),
        "model": (gj.SkyModel, gj.GaussianSpatialModel, gj.PowerLawSpectralModel, gj.TemplateNPredModel,
                  gj.TemplateSpatialModel, gj.GaussianTemporalModel, gj.PiecewiseNormSpatialModel),
        "spectral": (gj.PowerLawSpectralModel,),
        "parameter": (gj.Parameter,),
        "parameters": (type(OBJECTS_HERE["Parameters"]),),
        "result": (gj.FitResult,),
        "gti": (gj.GTI,),
        "points": (gj.FluxPoints,),
        "psf": (gj.PSFMap,),
        "edisp": (gj.EDispKernelMap, gj.EDispMap, gj.EDispKernel),
        "kernel": (gj.PSFKernel,),
        "geom": (gj.SkyGeom,),
        "events": (gj.EventList,),
    }  # fmt: skip
    texts = [*NAMES.values(), *(text for table in (ATTRIBUTES, ASSIGNMENTS, ARGUMENTS) for _, _, text in rows(table))]
    checked = 0
    for text in (*texts, *OBJECTS.values()):
        for name in re.findall(r"\bgj\.(\w+)", text):
            assert hasattr(gj, name), (name, text)
            checked += 1
        for path in re.findall(r"\bgj\.(\w+\.\w+)", text):
            first, second = path.split(".")
            assert hasattr(getattr(gj, first), second), (path, text)
        for name in re.findall(r"\bgammajax\.plots\.(\w+)", text) + re.findall(r"\b(plot_s\w+)\(", text):
            assert hasattr(gj.plots, name), (name, text)
        for holder, name in re.findall(r"(?<![\w.])([a-z]+)\.([a-z]\w*)", text):
            if holder in holders and text not in OBJECTS.values():
                fields = (
                    {f.name for kind in holders[holder] for f in dataclasses.fields(kind)}
                    if (dataclasses.is_dataclass(holders[holder][0]))
                    else set()
                )
                derived = holder == "points" and name.partition("_")[0] in ("dnde", "e2dnde", "flux", "eflux")
                known = name in fields or derived or any(hasattr(kind, name) for kind in holders[holder])
                assert known, (holder, name, text)
                checked += 1
    assert checked > 200


def test_unknown_arguments_are_named_with_the_closest():
    with pytest.raises(TypeError, match=r"no argument 'amplitud'. Did you mean 'amplitude'"):
        gj.PowerLawSpectralModel(amplitud=3)


def test_models_are_asked_for():
    for dataset in (spectrum(), gj.FluxPointsDataset(points().replace(norm_err=[0.1, 0.1]))):
        with pytest.raises(gj.InputError, match=r"^npred: a dataset holds no models"):
            dataset.npred()
        with pytest.raises(gj.InputError, match=r"^residuals: a dataset holds no models"):
            dataset.residuals()


def test_nothing_else_changes():
    """Copies, pickles, JAX, dataclasses and plain missing names."""
    dataset, model = spectrum(livetime=10.0), gj.PowerLawSpectralModel(index=2.5)
    assert copy.copy(model) == model == copy.deepcopy(model) == pickle.loads(pickle.dumps(model))
    assert bool(eqx.tree_equal(pickle.loads(pickle.dumps(dataset)), dataset))
    assert jax.tree.map(lambda leaf: leaf, model) == model
    assert float(jax.jit(lambda m: m.index.internal)(model)) == 2.5
    assert dataclasses.replace(model, index=3.0).index.value == 3.0
    for thing in (dataset, model, gj.Models(MODEL), OBJECTS_HERE["Parameters"]):
        with pytest.raises(AttributeError, match="has no attribute 'nonsense'") as caught:
            thing.nonsense  # noqa: B018
        assert not isinstance(caught.value, gj.InputError)
        assert not hasattr(thing, "__jax_array__") and not hasattr(thing, "_ipython_display_")


def test_errors_inside_properties_are_seen():
    class Broken(gj.Dataset):
        x: jax.Array

        @property
        def data_shape(self):
            return self.x.no_such_thing

        def predict(self, models):
            return self.x

        def stat_bins(self, prediction):
            return prediction

    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = Broken(np.ones(2)).data_shape


class FromGammapy:
    """Stands for an object of gammapy, which these tests do not need; tests/peer has real ones."""


FromGammapy.__module__ = "gammapy.datasets.map"


def test_objects_of_gammapy():
    foreign = FromGammapy()
    assert is_foreign(foreign) and not is_foreign(spectrum())
    assert found(foreign) == "a FromGammapy of gammapy (take gj.from_gammapy(...) of it)"
    calls = (
        lambda: gj.fit(foreign, gj.Models(MODEL)),
        lambda: gj.fit(spectrum(), foreign),
        lambda: gj.Datasets({"a": foreign}),
        lambda: gj.Models([foreign]),
        lambda: gj.SkyModel(foreign),
        lambda: gj.npred(foreign, MODEL),
        lambda: gj.npred(spectrum(), foreign),
        lambda: gj.stat_sum(foreign, MODEL),
        lambda: gj.info_dict(foreign),
        lambda: gj.stack([foreign]),
        lambda: gj.fake(jax.random.key(0), foreign, MODEL),
        lambda: spectrum(counts=foreign),
        lambda: spectrum().with_mask_fit(foreign),
        lambda: gj.counts_statistic(foreign),
        lambda: gj.FluxPoints.from_table(foreign),
        lambda: gj.plots.plot_counts(foreign, MODEL),
        lambda: gj.plots.plot_sky(foreign, MODEL),
    )
    for call in calls:
        with pytest.raises(gj.InputError, match=r"a FromGammapy of gammapy \(take gj.from_gammapy"):
            call()


def test_dir_lists_all_public_names():
    assert {*gj.__all__, "plots", "from_gammapy", "to_gammapy"} <= set(dir(gj))


FIT_OPTIONS = {"backend": "minuit"}
RUN = gj.SpectrumDataset(EDGES, counts=[60, 20, 5])

WRONG_CALLS = {
    "unknown argument": (lambda: gj.fit(RUN, MODEL, **FIT_OPTIONS), "fit has no argument 'backend'. Here: method="),
    "of a method": (lambda: RUN.slice_by_energy(1, 2, name="a"), "has no argument 'name'. Here: names are the keys"),
    "misspelt": (lambda: gj.npred(RUN, model=MODEL), "npred has no argument 'model'. Did you mean 'models'?"),
    "too many": (
        lambda: RUN.with_mask_fit(1, 2),
        r"with_mask_fit\(mask=None, \*, energy_min=None",
    ),
    "missing": (lambda: gj.fit(RUN), "fit: missing a required argument: 'models'"),
    "of a constructor": (lambda: gj.GTI([1], [2], 3, 4), "GTI: too many positional"),
    "none of a constructor": (lambda: gj.SpectrumDataset(), "SpectrumDataset: missing a required argument"),
    "of a class method": (lambda: gj.PSFMap.from_gauss(1, 2, 3, 4, 5), "from_gauss: too many positional"),
    "of a call": (lambda: gj.PowerLawSpectralModel()(), "__call__: missing a required argument: 'energy'"),
    "no key": (lambda: gj.fake(42, RUN, MODEL), r"fake: found 42 as key, expected jax.random.key\(seed\)"),
}


@pytest.mark.parametrize("case", WRONG_CALLS)
def test_wrong_calls_show_the_right_one(case):
    call, text = WRONG_CALLS[case]
    with pytest.raises(gj.InputError, match=text):
        call()


def public_functions():
    """Functions of the package and methods of its classes, by their names."""
    for name in gj.__all__:
        content = getattr(gj, name)
        if inspect.isfunction(content):
            # of one without arguments Python says all there is to say
            if inspect.signature(content).parameters:
                yield name, content
        elif inspect.isclass(content) and issubclass(content, eqx.Module):
            for word, member in vars(content).items():
                member = getattr(member, "__func__", member)
                public = not word.startswith("_") and not isinstance(
                    inspect.getattr_static(content, word), staticmethod
                )
                if public and inspect.isfunction(member):
                    yield f"{name}.{word}", member


@pytest.mark.parametrize("name", [name for name, _ in public_functions()])
def test_every_public_function_answers_a_wrong_keyword(name):
    function = dict(public_functions())[name]
    if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values()):
        return
    bare = [None] * sum(p.default is p.empty for p in inspect.signature(function).parameters.values())
    with pytest.raises(gj.InputError, match="has no argument 'no_such_argument'"):
        function(*bare, no_such_argument=1)


def test_errors_inside_a_function_stay():
    with pytest.raises(TypeError, match="unhashable") as caught:
        hinted(lambda x: {x})([])
    assert not isinstance(caught.value, gj.InputError)
