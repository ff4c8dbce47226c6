"""Models files in both directions between gammajax and gammapy, both alive in one process."""

import math

import numpy as np
import pytest
from astropy import units as u

from gammajax.datasets.models import (
    FoVBackgroundModel,
    GaussianPrior,
    GeneralizedGaussianPrior,
    LogUniformPrior,
    Models,
    Parameter,
    SkyModel,
    UniformPrior,
)
from gammajax.datasets.models.spectral import (
    SPECTRAL_MODELS,
    CompoundSpectralModel,
    LogParabolaSpectralModel,
    PiecewiseNormSpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
)

gammapy_models = pytest.importorskip("gammapy.modeling.models")

pytestmark = pytest.mark.filterwarnings("ignore")
ENERGY = np.geomspace(0.05, 80, 13) * u.TeV
# the Crab spectrum of Meyer et al. has neither tag nor YAML form in gammapy
CLASSES = sorted({cls.__name__ for cls in SPECTRAL_MODELS.values()} - {"MeyerCrabSpectralModel"})
# models with data besides their parameters are made by hand below; gammapy cannot read a ScaleSpectralModel again
PLAIN = [name for name in CLASSES if not hasattr(SPECTRAL_MODELS[name], "from_extra")]


def prior_numbers(prior):
    if prior is None:
        return None
    if isinstance(prior, gammapy_models.Prior):
        return (type(prior).__name__, float(prior.weight), *(float(p.value) for p in prior.parameters))
    return (prior.tag, prior.weight, *(getattr(prior, name) for name in prior.names))


def assert_same_parameter(ours, theirs):
    assert float(ours.value) == theirs.value
    assert u.Unit(ours.unit) == theirs.unit
    np.testing.assert_equal(float(ours.error), float(theirs.error))
    assert ours.frozen == theirs.frozen
    # gammapy lets these priors stand for the bounds
    low, high = ours.bounds
    assert (low, high) == (
        -math.inf if np.isnan(theirs.min) else theirs.min,
        math.inf if np.isnan(theirs.max) else theirs.max,
    )
    assert prior_numbers(ours.prior) == prior_numbers(theirs.prior)


def assert_same_models(ours, theirs):
    assert list(ours.names) == theirs.names
    assert len(ours.parameters) == len(theirs.parameters)
    for p, q in zip(ours.parameters.values(), theirs.parameters, strict=True):
        assert_same_parameter(p, q)
    labels = [p.link for p in ours.parameters.values()]
    ids = [id(q) for q in theirs.parameters]
    for i, label in enumerate(labels):
        ours_linked = {j for j, other in enumerate(labels) if label is not None and other == label} | {i}
        assert ours_linked == {j for j, other in enumerate(ids) if other == ids[i]}
    for one, other in zip(ours, theirs, strict=True):
        assert type(one).__name__ == type(other).__name__
        assert list(one.datasets_names or []) == list(other.datasets_names or [])
        assert (one.datasets_names is None) == (other.datasets_names is None)
        if isinstance(one, SkyModel):
            assert one.apply_irf == other.apply_irf
        expected = other.spectral_model(ENERGY)
        np.testing.assert_allclose(
            np.asarray(one.spectral.evaluate(ENERGY.value)),
            expected.to_value(u.Unit(one.spectral.unit)),
            # gammapy keeps and interpolates absorption tables in float32
            rtol=1e-4 if one.name == "absorbed" else 1e-10,
            atol=1e-40,
        )


@pytest.mark.parametrize("name", CLASSES)
def test_declarations_are_those_of_gammapy(name):
    """What gammapy leaves out of a file because it is a default has to be the same default here."""
    ours, theirs = SPECTRAL_MODELS[name], getattr(gammapy_models, name)
    assert list(ours.tag) == theirs.tag
    declared = {f.name: f.default for f in ours.__dataclass_fields__.values() if isinstance(f.default, Parameter)}
    assert list(declared) == theirs.default_parameters.names
    for p, q in zip(declared.values(), theirs.default_parameters, strict=True):
        assert_same_parameter(p, q)


@pytest.mark.parametrize("full_output", [False, True])
@pytest.mark.parametrize("name", PLAIN)
def test_plain_models_in_both_directions(tmp_path, name, full_output):
    spectral = getattr(gammapy_models, name)()
    for i, p in enumerate(spectral.parameters):
        p.value *= 1 + 0.1 / (i + 3)
        p.frozen = not p.frozen
        p.error = abs(p.value) / 7
        p.min, p.max = p.value - abs(p.value) / 3, math.nan
    if "norm" in spectral.tag[1]:
        theirs = gammapy_models.Models(
            [gammapy_models.FoVBackgroundModel(dataset_name="run 1", spectral_model=spectral)]
        )
    else:
        theirs = gammapy_models.Models([gammapy_models.SkyModel(spectral, name="crab")])
    theirs.write(tmp_path / "theirs.yaml", full_output=full_output)
    ours = Models.read(tmp_path / "theirs.yaml")
    assert_same_models(ours, theirs)
    ours.write(tmp_path / "ours.yaml")
    assert_same_models(ours, gammapy_models.Models.read(tmp_path / "ours.yaml"))


@pytest.fixture
def everything(data_path):
    """gammapy models with all that a file can hold."""
    gm = gammapy_models
    linked = gm.PowerLawSpectralModel(index=2.3, amplitude="2e-18 cm-2 s-1 MeV-1", reference="1 GeV")
    linked.index.min, linked.index.max, linked.index.error = 0, 5, 0.1
    linked.index.prior = gm.GaussianPrior(mu=2, sigma=0.3, weight=2)
    one = gm.SkyModel(
        linked,
        name="one",
        datasets_names=["d1", "d2"],
        apply_irf={"exposure": True, "psf": False, "edisp": True},
    )
    two = gm.SkyModel(
        gm.PowerLawSpectralModel() * gm.PowerLawNormSpectralModel(tilt=0.1) + gm.LogParabolaSpectralModel(), name="two"
    )
    three = gm.SkyModel(gm.PowerLawSpectralModel(), name="three")
    three.spectral_model.index = linked.index
    table = gm.SkyModel(
        gm.TemplateSpectralModel(np.array([0.05, 1, 100]) * u.TeV, [1e-9, 2e-12, 3e-17] * u.Unit("cm-2 s-1 TeV-1")),
        name="table",
    )
    ebl = gm.EBLAbsorptionNormSpectralModel.read(data_path / "ebl" / "ebl_franceschini.fits.gz", redshift=0.2)
    absorbed = gm.SkyModel(gm.PowerLawSpectralModel() * ebl, name="absorbed")
    bounded = gm.SkyModel(gm.SuperExpCutoffPowerLaw4FGLDR3SpectralModel(), name="bounded")
    bounded.spectral_model.amplitude.prior = gm.LogUniformPrior()
    bounded.spectral_model.index_1.prior = gm.UniformPrior(min=1, max=3)
    bounded.spectral_model.index_2.prior = gm.GeneralizedGaussianPrior(mu=1, sigma=0.1, eta=0.4)
    first = gm.FoVBackgroundModel(dataset_name="d1")
    first.spectral_model.norm.error = math.nan
    piecewise = gm.PiecewiseNormSpectralModel([1, 3, 10] * u.TeV, norms=[1, 1.2, 0.7] * u.Unit(""))
    second = gm.FoVBackgroundModel(dataset_name="d2", spectral_model=piecewise)
    return gm.Models([one, two, three, table, absorbed, bounded, first, second])


def test_files_of_gammapy(everything, tmp_path):
    everything.write(tmp_path / "theirs.yaml")
    ours = Models.read(tmp_path / "theirs.yaml")
    assert_same_models(ours, everything)
    assert ours.parameters["three.spectral.index"].link == ours.parameters["one.spectral.index"].link is not None
    # and back again
    ours.write(tmp_path / "ours.yaml")
    assert_same_models(ours, gammapy_models.Models.read(tmp_path / "ours.yaml"))


def test_files_of_gammajax(tmp_path):
    flux = PowerLawSpectralModel(
        index=Parameter(2.2, error=0.1, min=1, prior=GaussianPrior(2.1, 0.3, 0.5)),
        amplitude=3e-18 * u.Unit("cm-2 s-1 MeV-1"),
        reference=Parameter(1.5, "TeV"),
    )
    curved = LogParabolaSpectralModel(
        amplitude=Parameter(2e-12, "TeV-1 s-1 cm-2", prior=LogUniformPrior(1e-13, 1e-11)),
        beta=Parameter(0.1, prior=UniformPrior(-1, 1), frozen=True),
        alpha=Parameter(2.0, prior=GeneralizedGaussianPrior(2, 0.1, 0.4)),
    )
    ours = Models(
        [
            SkyModel(flux, name="a", datasets_names=["d1"], apply_irf={"edisp": False}),
            SkyModel(CompoundSpectralModel(flux, PowerLawNormSpectralModel(tilt=0.2), "mul"), name="b"),
            SkyModel(CompoundSpectralModel(curved, flux, "sub"), name="c"),
            FoVBackgroundModel(datasets_names="d1"),
            FoVBackgroundModel(PiecewiseNormSpectralModel([1, 3] * u.TeV, [1.0, 1.5], "lin"), "d2"),
        ]
    ).link("a.spectral.index", "b.spectral.index", "c.spectral.index")
    ours.write(tmp_path / "ours.yaml")
    assert_same_models(ours, gammapy_models.Models.read(tmp_path / "ours.yaml"))


def test_fit_results_of_gammapy_hold_models(tmp_path):
    from gammapy.modeling.models.core import _write_models

    theirs = gammapy_models.Models([gammapy_models.SkyModel(gammapy_models.PowerLawSpectralModel(), name="a")])
    extra = {"optimize_result": {"success": True}, "covariance_result": {"backend": "minuit"}}
    _write_models(theirs, tmp_path / "result.yaml", extra_dict=extra)
    assert_same_models(Models.read(tmp_path / "result.yaml"), theirs)


@pytest.mark.parametrize("value", [0.7, 1.5, 2.9])
def test_priors(value):
    gm = gammapy_models
    pairs = [
        (GaussianPrior(1.2, 0.3, 2.0), gm.GaussianPrior(mu=1.2, sigma=0.3, weight=2.0)),
        (UniformPrior(0.5, 3), gm.UniformPrior(min=0.5, max=3)),
        (LogUniformPrior(0.5, 3), gm.LogUniformPrior(min=0.5, max=3)),
        (GeneralizedGaussianPrior(1.2, 0.3, 0.7), gm.GeneralizedGaussianPrior(mu=1.2, sigma=0.3, eta=0.7)),
    ]
    for ours, theirs in pairs:
        assert float(ours(value)) == pytest.approx(float(theirs(value * u.Unit(""))), rel=1e-12)
    assert float(pairs[1][0](4.0)) == float(pairs[1][1](4.0 * u.Unit(""))) == math.inf
