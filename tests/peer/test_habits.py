"""The tables of habits, against gammapy: what it has is here too, or is answered with what to write instead."""

import dataclasses
import importlib

import numpy as np
import pytest

import gammajax as gj
from gammajax.datasets.hints.arguments import ARGUMENTS
from gammajax.datasets.hints.attributes import ATTRIBUTES
from gammajax.datasets.hints.modules import habit
from gammajax.datasets.hints.names import NAMES
from gammajax.datasets.models.parameters import Parameters

pytest.importorskip("gammapy", reason="gammapy is not installed")

import astropy.units as u
import gammapy.data
import gammapy.datasets
import gammapy.estimators
import gammapy.irf
import gammapy.maps
import gammapy.modeling
import gammapy.modeling.models as peers
import gammapy.utils.regions

MODULES = (
    *("datasets", "data", "irf", "maps", "estimators", "estimators.utils", "makers", "stats", "modeling"),
    "modeling.models",
)

ELSEWHERE = {
    # in modules of gammapy that MODULES does not list, or internal
    "evaluator", "plot",
}  # fmt: skip


def peer_names():
    return {n for m in MODULES for n in importlib.import_module(f"gammapy.{m}").__all__}


PAIRS = {
    gj.SpectrumDataset: gammapy.datasets.SpectrumDataset,
    gj.SpectrumDatasetOnOff: gammapy.datasets.SpectrumDatasetOnOff,
    gj.MapDataset: gammapy.datasets.MapDataset,
    gj.MapDatasetOnOff: gammapy.datasets.MapDatasetOnOff,
    gj.FluxPointsDataset: gammapy.datasets.FluxPointsDataset,
    gj.Datasets: gammapy.datasets.Datasets,
    gj.Models: peers.Models,
    gj.SkyModel: peers.SkyModel,
    gj.FoVBackgroundModel: peers.FoVBackgroundModel,
    gj.TemplateNPredModel: peers.TemplateNPredModel,
    Parameters: gammapy.modeling.Parameters,
    gj.Parameter: gammapy.modeling.Parameter,
    gj.FitResult: gammapy.modeling.FitResult,
    gj.GTI: gammapy.data.GTI,
    **{
        ours: theirs
        for name in gj.__all__
        if isinstance(ours := getattr(gj, name), type) and (theirs := getattr(peers, name, None)) is not None
        if name.endswith(("SpectralModel", "SpatialModel", "TemporalModel"))
        if name not in ("SpectralModel", "SpatialModel", "TemporalModel")
    },
}


def own_names(cls):
    fields = {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    return {name for name in dir(cls) if not name.startswith("_")} | fields


def test_every_name_of_the_packages():
    ours = {name for name in dir(gj) if not name.startswith("_")}
    assert peer_names() - ours - set(NAMES) == set()
    assert set(NAMES) - peer_names() - set(dir(gammapy.utils.regions)) == set(), "habits that nobody has"


@pytest.mark.parametrize("cls", PAIRS, ids=lambda cls: cls.__name__)
def test_every_attribute(cls):
    theirs = {name for name in dir(PAIRS[cls]) if not name.startswith("_")}
    lacking = {n for n in theirs - own_names(cls) if habit(ATTRIBUTES, cls, n) is None}
    assert not lacking


def test_every_hint_is_of_an_attribute_there():
    """So that the table holds no habit that nobody has."""
    families = {
        "Dataset": [theirs for ours, theirs in PAIRS.items() if issubclass(ours, gj.Dataset)],
        "ModelBase": [peers.SkyModel, peers.FoVBackgroundModel, peers.TemplateNPredModel],
        "ModelComponent": [theirs for theirs in PAIRS.values() if issubclass(theirs, peers.ModelBase)],
        "TemporalModel": [peers.GaussianTemporalModel, peers.TemplatePhaseCurveTemporalModel],
        "Parameters": [gammapy.modeling.Parameters],
        "FluxPoints": [gammapy.estimators.FluxPoints],
        "FitResult": [gammapy.modeling.FitResult],
        "SkyGeom": [gammapy.maps.WcsGeom],
        "SpectralModel": [peers.PowerLawSpectralModel, peers.MeyerCrabSpectralModel],
        "SpatialModel": [peers.PointSpatialModel, peers.PiecewiseNormSpatialModel],
        **{name: [getattr(gammapy.irf, name)] for name in ("EDispKernel", "EDispKernelMap", "EDispMap")},
        **{name: [getattr(gammapy.irf, name)] for name in ("PSFMap", "PSFKernel")},
        **{name: [PAIRS[getattr(gj, name)]] for name in ("Datasets", "Models", "Parameter", "GTI")},
        "EventList": [gammapy.data.EventList],
    }
    there = {owner: {name for cls in families[owner] for name in dir(cls)} | ELSEWHERE for owner in ATTRIBUTES}
    unknown = {owner: set(habits) - there[owner] for owner, habits in ATTRIBUTES.items()}
    assert not {owner: names for owner, names in unknown.items() if names}


def test_arguments_are_those_of_gammapy():
    import inspect

    made = [peers.SkyModel, peers.FoVBackgroundModel, peers.TemplateNPredModel]
    there = {name for cls in made for name in inspect.signature(cls).parameters} | {"dataset_name"}
    assert set(ARGUMENTS["ModelBase"]) <= there
    there = set(inspect.signature(gammapy.datasets.MapDataset).parameters)
    assert set(ARGUMENTS["Dataset"]) <= there


def peer_dataset():
    axis = gammapy.maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)
    geom = gammapy.maps.RegionGeom.create("icrs;circle(0, 0, 0.1)", axes=[axis])
    return gammapy.datasets.SpectrumDataset.create(geom, name="run")


def test_objects_of_gammapy_are_refused_with_the_way():
    dataset = peer_dataset()
    model = peers.SkyModel(spectral_model=peers.PowerLawSpectralModel(), name="s")
    ours = gj.SkyModel(gj.PowerLawSpectralModel(), name="s")
    run = gj.SpectrumDataset([1, 2, 4], counts=[1, 2])
    calls = {
        lambda: gj.fit(dataset, ours): "SpectrumDataset",
        lambda: gj.fit(gammapy.datasets.Datasets([dataset]), ours): "Datasets",
        lambda: gj.fit({"run": dataset}, ours): "SpectrumDataset",
        lambda: gj.npred(run, model): "SkyModel",
        lambda: gj.npred(run, peers.Models([model])): "Models",
        lambda: gj.SkyModel(model.spectral_model): "PowerLawSpectralModel",
        lambda: gj.stat_sum([dataset], ours): "SpectrumDataset",
        lambda: gj.info_dict(dataset): "SpectrumDataset",
        lambda: gj.PowerLawSpectralModel(index=model.parameters["index"]): "Parameter",
        lambda: run.replace(gti=gammapy.data.GTI.create(0 * u.s, 10 * u.s)): "GTI",
        lambda: run.replace(counts=dataset.counts): "RegionNDMap",
        lambda: run.replace(energy_edges=dataset.counts.geom.axes["energy"]): "MapAxis",
        lambda: gj.MapDataset(dataset.counts.geom, [1, 2]): "RegionGeom",
    }
    for call, name in calls.items():
        with pytest.raises(gj.InputError, match=rf"an? {name} of gammapy \(take ") as caught:
            call()
        assert "gj." in str(caught.value) or "its " in str(caught.value)


def test_what_the_hints_say_of_objects_works():
    """The ways that `OBJECTS` names, taken."""
    start = gammapy.data.GTI.create([0, 20] * u.s, [10, 50] * u.s)
    gti = start
    ours = gj.GTI((gti.time_start - gti.time_ref).to("s"), (gti.time_stop - gti.time_ref).to("s"), gti.time_ref)
    assert ours.ontime.to_value("s") == pytest.approx(gti.time_sum.to_value("s"))
    np.testing.assert_allclose(ours.time_start.mjd, gti.time_start.tt.mjd, atol=1e-9)
    geom = gammapy.maps.WcsGeom.create(npix=(4, 3), binsz=0.1)
    assert gj.SkyGeom.from_wcs(geom.wcs, geom.data_shape[-2:]).shape == (3, 4)
    axis = gammapy.maps.MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=2)
    assert gj.SpectrumDataset(axis.edges).n_reco == 2
    parameter = peers.PowerLawSpectralModel().parameters["amplitude"]
    assert gj.PowerLawSpectralModel(amplitude=parameter.quantity).amplitude.value == parameter.value
