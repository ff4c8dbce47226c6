import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits

from gammajax.datasets import InputError
from gammajax.datasets.io import dump_yaml, load_yaml, map_hdus, parse_yaml, to_bytes, write_files
from gammajax.datasets.models import (
    FoVBackgroundModel,
    GaussianPrior,
    GeneralizedGaussianPrior,
    LogUniformPrior,
    ModelBase,
    Models,
    Parameter,
    Prior,
    SkyModel,
    TemplateNPredModel,
    UniformPrior,
    parameter,
)
from gammajax.datasets.models.spatial import DiskSpatialModel, GaussianSpatialModel
from gammajax.datasets.models.spectral import (
    DNDE,
    SPECTRAL_MODELS,
    CompoundSpectralModel,
    LogParabolaSpectralModel,
    PiecewiseNormSpectralModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    ScaleSpectralModel,
    SpectralModel,
    TemplateSpectralModel,
)
from gammajax.datasets.models.temporal import ExpDecayTemporalModel
from gammajax.datasets.sky import MapAxis, SkyGeom

# as gammapy 2.1 writes it: link labels, a prior, frozen and bounds where they differ from the defaults, full output
# in the second model, a compound, and a background model
GAMMAPY = """\
components:
-   name: crab
    type: SkyModel
    apply_irf:
        exposure: true
        psf: false
        edisp: true
    datasets_names:
    - run-1
    - run-2
    spectral:
        type: PowerLawSpectralModel
        parameters:
        -   name: index
            value: 2.3
            error: 0.1
            min: 0.0
            max: 5.0
            link: index@EP4puh2g
            prior:
                type: GaussianPrior
                parameters:
                -   name: mu
                    value: 2.0
                    unit: ''
                -   name: sigma
                    value: 0.3
                    unit: ''
                weight: 2
        -   name: amplitude
            value: 2.0e-18
            unit: MeV-1 s-1 cm-2
        -   name: reference
            value: 1.0
            unit: GeV
-   name: vela
    type: SkyModel
    spectral:
        type: CompoundSpectralModel
        model1:
            type: PowerLawSpectralModel
            parameters:
            -   name: index
                value: 2.3
                unit: ''
                error: 0.1
                min: 0.0
                max: 5.0
                frozen: false
                interp: lin
                scale_method: scale10
                scale_transform: lin
                link: index@EP4puh2g
                prior:
                    type: GaussianPrior
                    parameters:
                    -   name: mu
                        value: 2.0
                        unit: ''
                    -   name: sigma
                        value: 0.3
                        unit: ''
                    weight: 2
            -   name: amplitude
                value: 1.0e-12
                unit: TeV-1 s-1 cm-2
                error: 0
                min: .nan
                max: .nan
                frozen: false
                interp: log
                scale_method: scale10
                scale_transform: lin
        model2:
            type: pl-norm
            parameters:
            -   name: tilt
                value: 0.1
                frozen: false
            -   name: norm
                value: 1.0
            -   name: reference
                value: 1.0
                unit: TeV
        operator: mul
-   type: FoVBackgroundModel
    datasets_names:
    - run-1
    spectral:
        type: PowerLawNormSpectralModel
        parameters:
        -   name: norm
            value: 0.93
covariance: models_covariance.dat
metadata:
    creator: Gammapy 2.1
    date: '2024-11-22T12:36:59.567119'
    origin: null
"""


def test_reads_what_gammapy_writes(tmp_path):
    (tmp_path / "models.yaml").write_text(GAMMAPY)
    models = Models.read(tmp_path / "models.yaml")
    assert models.names == ("crab", "vela", "run-1-bkg")
    crab, vela, background = models
    assert crab.datasets_names == ("run-1", "run-2")
    assert crab.apply_irf == {"exposure": True, "psf": False, "edisp": True}
    index = crab.spectral.index
    assert (index.value, index.error, index.min, index.max, index.frozen) == (2.3, 0.1, 0.0, 5.0, False)
    assert index.prior == GaussianPrior(2.0, 0.3, 2.0)
    assert crab.spectral.amplitude.unit == "MeV-1 s-1 cm-2"
    assert crab.spectral.reference.frozen, "the default of the class"
    assert vela.apply_irf["psf"]
    assert vela.spectral.operator == "mul"
    assert vela.spectral.model1.amplitude.max == math.inf
    assert vela.spectral.model1.reference.value == 1.0, "a missing parameter takes its default"
    assert not vela.spectral.model2.tilt.frozen
    assert models.parameters["vela.spectral.index"].link == index.link == "index@EP4puh2g"
    assert "vela.spectral.index" not in models.parameters.free
    assert background.datasets_names == ("run-1",)
    assert background.spectral.norm.value == 0.93
    assert background.spectral.tilt.frozen


def test_units_of_the_file_do_not_change_the_flux():
    mev, tev = (
        Models.from_dict(parse_yaml(minimal(f"[{{name: amplitude, value: {v}, unit: {unit}}}]"), "x"))["crab"].spectral
        for v, unit in ((2.0e-18, "cm-2 s-1 MeV-1"), (2.0e-12, "cm-2 s-1 TeV-1"))
    )
    energy = jnp.geomspace(0.1, 100, 11)
    np.testing.assert_allclose(mev.evaluate(energy), tev.evaluate(energy), rtol=1e-14)
    np.testing.assert_allclose(mev.integrate_bins(energy, 10), tev.integrate_bins(energy, 10), rtol=1e-14)


def everything():
    """Models with all that the file can hold."""
    rng = np.random.default_rng(1)
    index = Parameter(
        2.0 + rng.random(),
        error=rng.random(),
        min=-1 / 3,
        max=10 * rng.random() + 4,
        prior=GaussianPrior(2.1, 1 / 3, 0.7),
    )
    flux = PowerLawSpectralModel(index=index, amplitude=rng.random() * 1e-18 * u.Unit("cm-2 s-1 MeV-1"))
    template = TemplateSpectralModel([0.1, 1, 10] * u.TeV, [3e-11, 1e-12, 2e-14] * u.Unit(DNDE))
    models = Models(
        [
            SkyModel(flux, name="plain", datasets_names=["a", "b"], apply_irf={"edisp": False}),
            SkyModel(
                CompoundSpectralModel(
                    CompoundSpectralModel(flux, PowerLawNormSpectralModel(tilt=Parameter(0.2)), "mul"),
                    LogParabolaSpectralModel(
                        beta=Parameter(0.1, prior=UniformPrior(-1, 1)), reference=Parameter(1, "TeV")
                    ),
                    "sub",
                ),
                name="23523",
            ),
            SkyModel(ScaleSpectralModel(flux, norm=1 / 7), name="scaled"),
            SkyModel(template, name="table", datasets_names=[]),
            SkyModel(
                LogParabolaSpectralModel(
                    amplitude=Parameter(3e-12, DNDE, prior=LogUniformPrior(1e-14, 1e-10), error=math.nan),
                    alpha=Parameter(2, prior=GeneralizedGaussianPrior(2, 0.2, 0.3), frozen=True),
                ),
                name="yes: [a] #b é",
            ),
            FoVBackgroundModel(datasets_names="a"),
            FoVBackgroundModel(PiecewiseNormSpectralModel([1, 3, 10] * u.TeV, [1.0, 1 / 3, 0.8], interp="lin"), ["b"]),
            FoVBackgroundModel(datasets_names=["c", "d"], name="shared"),
            FoVBackgroundModel(name="everywhere"),
        ]
    )
    return models.link("plain.spectral.index", "23523.spectral.index").link(
        "a-bkg.spectral.norm", "shared.spectral.norm"
    )


def assert_same(one, two):
    assert jax.tree_util.tree_structure(one) == jax.tree_util.tree_structure(two)
    for a, b in zip(jax.tree_util.tree_leaves(one), jax.tree_util.tree_leaves(two), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def test_round_trip_is_exact(tmp_path):
    models = everything()
    models.write(tmp_path / "m.yaml")
    again = Models.read(tmp_path / "m.yaml")
    assert_same(again, models)
    again.write(tmp_path / "again.yaml")
    assert (tmp_path / "again.yaml").read_bytes() == (tmp_path / "m.yaml").read_bytes()


@pytest.mark.parametrize("tag", sorted({c.tag[0] for c in SPECTRAL_MODELS.values() if not hasattr(c, "from_extra")}))
def test_every_registered_model_with_only_parameters(tag):
    """All tags read; the values, changed from their defaults, come back exactly."""
    kind = SPECTRAL_MODELS[tag]
    model = kind()
    model = model.replace(
        **{n: p.replace(value=p.value * 4 / 3, frozen=not p.frozen) for n, p in model.parameters.items()}
    )
    wrapped = SkyModel(model, name="x") if model.unit else FoVBackgroundModel(model, "x")
    data = parse_yaml(dump_yaml(Models(wrapped).to_dict()), "x")
    for name in kind.tag:
        data["components"][0]["spectral"]["type"] = name
        assert_same(Models.from_dict(data), Models(wrapped))


def test_bounds_that_the_class_declares():
    class Bounded(SpectralModel):
        width: Parameter = parameter(2.0, "TeV", min=0.5, max=10.0)
        tag = ("Bounded", "bounded")

        def evaluate(self, energy):
            return energy / self.width.internal

    def read(text):
        return Models.from_dict(parse_yaml(text, "x"))["crab"].spectral.width

    SPECTRAL_MODELS["Bounded"] = Bounded
    try:
        width = read(minimal("[{name: width, value: 3000.0, unit: GeV}]", "Bounded"))
        assert (width.min, width.max) == (500.0, 10000.0)
        assert read(minimal("[{name: width, value: 30.0, max: .nan}]", "Bounded")).max == math.inf
        open_ended = Models(SkyModel(Bounded(Parameter(30.0, "TeV", min=0.5)), name="crab"))
        assert_same(Models.from_dict(Models(open_ended).to_dict()), open_ended)
    finally:
        del SPECTRAL_MODELS["Bounded"]


def test_written_file_is_short_and_plain(tmp_path):
    models = Models([SkyModel(PowerLawSpectralModel(), name="crab"), FoVBackgroundModel(datasets_names="run")])
    Models(models).write(tmp_path / "m.yaml")
    assert (
        (tmp_path / "m.yaml").read_text()
        == """\
components:
-   name: crab
    type: SkyModel
    spectral:
        type: PowerLawSpectralModel
        parameters:
        -   name: index
            value: 2.0
        -   name: amplitude
            value: 1.0e-12
            unit: TeV-1 s-1 cm-2
        -   name: reference
            value: 1.0
            unit: TeV
            frozen: true
-   type: FoVBackgroundModel
    datasets_names:
    - run
    spectral:
        type: PowerLawNormSpectralModel
        parameters:
        -   name: tilt
            value: 0.0
            frozen: true
        -   name: norm
            value: 1.0
        -   name: reference
            value: 1.0
            unit: TeV
            frozen: true
"""
    )
    Models(models["crab"]).write(tmp_path / "one.yaml")
    assert Models.read(tmp_path / "one.yaml").names == ("crab",)
    Models(Models()).write(tmp_path / "none.yaml")
    assert len(Models.read(tmp_path / "none.yaml")) == 0


def test_existing_files_are_kept(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"m.yaml: the file exists already.*overwrite=True"):
        Models().write(path)
    assert path.read_text() == "mine"
    # nothing is touched either when the models have no YAML form
    with pytest.raises(InputError):
        Models(SkyModel(lambda e: e, name="x")).write(path, overwrite=True)
    assert path.read_text() == "mine"
    Models().write(path, overwrite=True)
    assert len(Models.read(path)) == 0
    assert list(tmp_path.iterdir()) == [path]


def test_file_of_two_thousand_background_models(tmp_path):
    models = Models([FoVBackgroundModel(datasets_names=f"run-{i}") for i in range(2000)])
    models = models.with_values({f"run-{i}-bkg.spectral.norm": 1 + 1 / (i + 3) for i in range(2000)})
    models.write(tmp_path / "m.yaml")
    assert_same(Models.read(tmp_path / "m.yaml"), models)


def test_shapes_of_input_that_are_accepted():
    models = Models.from_dict(
        parse_yaml(
            """\
components:
- name: 23523
  type: sky-model
  datasets_names: run
  spectral:
    type: pl
    parameters:
    - {name: amplitude, value: 3e-12, unit: cm-2 s-1 TeV-1, error: null, scale_method: factor1}
    - {name: index, value: 2}
- {name: defaults, type: SkyModel, spectral: {type: lp}, spatial: null}
- {type: fov-bkg, datasets_names: [1, 2], name: bkg}
metadata: {a: 1}
metadata: {b: 2}
""",
            "x",
        )
    )
    assert models.names == ("23523", "defaults", "bkg")
    assert models["23523"].datasets_names == ("run",)
    assert models["23523"].spectral.amplitude.value == 3e-12, "YAML 1.1 takes 3e-12 for text"
    assert models["bkg"].datasets_names == ("1", "2")


def minimal(parameters="[]", kind="PowerLawSpectralModel", more=""):
    return f"""\
components:
- name: crab
  type: SkyModel
  {more}
  spectral:
    type: {kind}
    parameters: {parameters}
"""


def entry(text):
    return minimal(f"[{{{text}}}]")


def two(first, second):
    return (
        minimal(f"[{{{first}}}]")
        + f"""\
- name: vela
  type: SkyModel
  spectral: {{type: pl, parameters: [{{{second}}}]}}
"""
    )


def compound(second, more):
    return f"""\
components:
- name: crab
  type: SkyModel
  spectral: {{type: compound, model1: {{type: pl}}, model2: {second}, {more}}}
"""


CRAB = "m.yaml: model 'crab'"
PRIOR = (
    "name: index, value: 2.0, prior: {{type: {}, parameters: [{{name: mu, value: 2.0}}, {{name: sigma, value: {}}}]}}"
)

BAD = {
    "empty file": ("", "m.yaml: the file is empty. Expected YAML such as 'components: [...]'"),
    "only a comment": ("# nothing\n", "m.yaml: the file is empty"),
    "no mapping": ("- a\n- b\n", "expected a YAML mapping ('key: value' lines), found a list"),
    "python object": (
        minimal("!!python/object/apply:os.system ['true']"),
        "m.yaml, line 7: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed",
    ),
    "python name": ("a: !!python/name:os.system\n", "m.yaml, line 1: the tag"),
    "python tuple": ("a: !!python/tuple [1, 2]\n", "m.yaml, line 1: the tag"),
    "tab": ("components:\n\t- name: crab\n", "m.yaml, line 2: there is a tab in the indentation"),
    "syntax": ("components: [1, 2\nb: 3\n", "m.yaml, line 2: the YAML cannot be parsed"),
    "control character": ("a: \x00\n", "m.yaml: the YAML cannot be parsed"),
    "key twice": (
        "components: []\ncomponents: []\n",
        "line 2: the YAML cannot be parsed: the key 'components' is given twice",
    ),
    "endless nesting": ("a: " + "[" * 3000 + "]" * 3000, "the YAML cannot be "),  # PyYAML says in its words why
    "two documents": ("a: 1\n---\nb: 2\n", "m.yaml, line 2"),
    "no components": ("metadata: {}\n", "m.yaml: the key 'components' (the list of models) is missing"),
    "datasets file": ("datasets: []\n", "m.yaml: unknown key 'datasets'. Known keys: components"),
    "components are no list": ("components: {a: 1}\n", "m.yaml, components: expected a list"),
    "component is no mapping": ("components: [crab]\n", "m.yaml: component 1: expected a mapping"),
    "no model type": ("components: [{name: crab}]\n", f"{CRAB}: the key 'type' is missing. Types: SkyModel"),
    "model type": (
        "components: [{name: crab, type: SkyModell}]\n",
        f"{CRAB}: unknown model type 'SkyModell'. Did you mean 'SkyModel' or",
    ),
    "template without its map": (
        "components: [{name: crab, type: TemplateNPredModel}]\n",
        f"{CRAB}: the key 'filename' (the FITS map of the counts) is missing.",
    ),
    "template with a shape": (
        "components: [{name: crab, type: template-npred, filename: a.fits, spatial: {type: const}}]\n",
        f"{CRAB}: a TemplateNPredModel has no 'spatial'. Multiply the counts in the file by it.",
    ),
    "template without a name": (
        "components: [{type: template-npred, filename: a.fits}]\n",
        "m.yaml: component 1: the key 'name' is missing. Give every model its own name.",
    ),
    "template whose map is missing": (
        "components: [{name: crab, type: template-npred, filename: a.fits}]\n",
        f"{CRAB}: a.fits: the file was not found.",
    ),
    "template that is no file name": (
        "components: [{name: crab, type: template-npred, filename: [a]}]\n",
        f"{CRAB}: A file name is needed, found ['a'].",
    ),
    "old template": (
        "components: [{name: crab, type: BackgroundModel}]\n",
        f"{CRAB}: unknown model type 'BackgroundModel'. Before version 1.0 gammapy gave this name to a "
        "TemplateNPredModel. Did you mean",
    ),
    "switch of a template": (
        "components: [{name: crab, type: template-npred, filename: a.fits, apply_irf: {psf: true}}]\n",
        f"{CRAB}: a TemplateNPredModel has no 'apply_irf'. Remove the key.",
    ),
    "file of a source": (minimal(more="filename: a.fits"), f"{CRAB}: a SkyModel has no 'filename'. Remove the key."),
    "light curve of a background": (
        "components: [{type: fov-bkg, datasets_names: [a], temporal: {type: const}}]\n",
        "component 1 (of a): a FoVBackgroundModel has no 'temporal'. Remove the key.",
    ),
    "spatial section": (
        minimal(more="spatial: {type: PointSpatialModl, parameters: []}"),
        f"{CRAB}, spatial: unknown spatial model type 'PointSpatialModl'. Did you mean 'PointSpatialModel'",
    ),
    "temporal section": (minimal(more="temporal: [a]"), f"{CRAB}, temporal: expected a mapping"),
    "no spectrum": ("components: [{name: crab, type: SkyModel}]\n", f"{CRAB}: the section 'spectral' is missing"),
    "no name": (
        "components: [{type: SkyModel, spectral: {type: pl}}]\n",
        "m.yaml: component 1: the key 'name' is missing",
    ),
    "name is no text": ("components: [{name: [a], type: SkyModel}]\n", "component 1, name: expected text, found ['a']"),
    "model key": (minimal(more="spectrum: {}"), f"{CRAB}: unknown key 'spectrum'. Did you mean 'spectral'?"),
    "names twice": (minimal() + minimal().partition("\n")[2], "m.yaml: Models: the name 'crab' is there twice"),
    "switch": (minimal(more="apply_irf: {psf: 1}"), f"{CRAB}, apply_irf, psf: expected true or false, found 1"),
    "switch name": (minimal(more="apply_irf: {aeff: true}"), f"{CRAB}, apply_irf: unknown key 'aeff'"),
    "background switch": (
        "components: [{type: fov-bkg, datasets_names: [a], apply_irf: {psf: true}}]\n",
        "m.yaml: component 1 (of a): a FoVBackgroundModel has no 'apply_irf'. Remove the key.",
    ),
    "background with a flux": (
        "components: [{type: fov-bkg, datasets_names: [a], spectral: {type: pl}}]\n",
        "component 1 (of a): FoVBackgroundModel 'a-bkg': a norm model is needed",
    ),
    "source with a norm": (minimal(kind="pl-norm"), f"{CRAB}: SkyModel 'crab': the spectrum has unit ''"),
    "no spectral type": (
        "components: [{name: crab, type: SkyModel, spectral: {parameters: []}}]\n",
        f"{CRAB}, spectral: the key 'type' is missing",
    ),
    "spectral type": (
        minimal(kind="PowerLawSpectralModl"),
        f"{CRAB}, spectral: unknown spectral model type 'PowerLawSpectralModl'. Did you mean 'PowerLawSpectralModel'",
    ),
    "spectral key": (
        minimal() + "    paramters: []\n",
        f"{CRAB}, spectral: unknown key 'paramters'. Did you mean 'parameters'?",
    ),
    "parameters as a mapping": (minimal("{index: 2.0}"), f"{CRAB}, spectral, parameters: expected a list"),
    "parameter is no mapping": (minimal("[2.0]"), f"{CRAB}, spectral, parameter 1: expected a mapping"),
    "parameter without a name": (
        entry("value: 2.0"),
        f"{CRAB}, spectral, parameter 1: the key 'name' is missing. Names here: index",
    ),
    "parameter name": (
        entry("name: indx, value: 2.0"),
        f"{CRAB}, spectral, parameter 'indx': the model has no parameter of this name. Did you mean 'index'?",
    ),
    "parameter twice": (
        minimal("[{name: index, value: 2.0}, {name: index, value: 2.0}]"),
        f"{CRAB}, spectral, parameter 'index': the parameter is there twice",
    ),
    "parameter key": (
        entry("name: index, value: 2.0, frozn: true"),
        f"{CRAB}, spectral, parameter 'index': unknown key 'frozn'. Did you mean 'frozen'?",
    ),
    "other unit": (
        entry("name: amplitude, value: 1.0e-12, unit: TeV"),
        f"{CRAB}, spectral, parameter 'amplitude': found unit 'TeV', expected one convertible to 'TeV-1 s-1 cm-2'",
    ),
    "no unit where one is needed": (
        entry("name: amplitude, value: 1.0e-12, unit: ''"),
        "parameter 'amplitude': found unit '', expected one convertible",
    ),
    "unreadable unit": (
        entry("name: amplitude, value: 1.0e-12, unit: cm-2 s-1 TeVV-1"),
        f"{CRAB}, spectral, parameter 'amplitude': 'cm-2 s-1 TeVV-1' is not a unit that astropy can read",
    ),
    "unit is no text": (entry("name: index, value: 2.0, unit: [TeV]"), "parameter 'index', unit: expected text"),
    "no value": (entry("name: index"), f"{CRAB}, spectral, parameter 'index': the key 'value' is missing"),
    "empty value": (entry("name: index, value: "), "parameter 'index': the key 'value' is missing"),
    "value is text": (entry("name: index, value: two"), "parameter 'index', value: expected a number, found 'two'"),
    "value is true": (entry("name: index, value: true"), "parameter 'index', value: expected a number, found True"),
    "value is a list": (entry("name: index, value: [2.0]"), "parameter 'index', value: expected a number, found [2.0]"),
    "value is too large": (
        entry(f"name: index, value: {10**400}"),
        "parameter 'index', value: expected a number, found 1000",
    ),
    "value is NaN": (
        entry("name: index, value: .nan"),
        "parameter 'index': the value must be a finite number, found nan",
    ),
    "value is infinite": (entry("name: index, value: -.inf"), "must be a finite number, found -inf"),
    "min above max": (entry("name: index, value: 2.0, min: 3, max: 1"), "parameter 'index': min 3.0 is above max 1.0"),
    "value outside": (
        entry("name: index, value: 6.0, min: 1, max: 5"),
        f"{CRAB}, spectral, parameter 'index': the value 6.0 lies outside [1.0, 5.0], the range that min and max allow",
    ),
    "value impossible": (
        entry("name: index, value: 6.0, prior: {type: UniformPrior, parameters: [{name: max, value: 5.0}]}"),
        "parameter 'index': the value 6.0 lies outside [0.0, 5.0], the range that min, max and the UniformPrior allow",
    ),
    "negative error": (
        entry("name: index, value: 2.0, error: -1"),
        "parameter 'index': the error must not be negative",
    ),
    "bound is text": (
        entry("name: index, value: 2.0, min: low"),
        "parameter 'index', min: expected a number, found 'low'",
    ),
    "frozen is a number": (
        entry("name: index, value: 2.0, frozen: 1"),
        "parameter 'index', frozen: expected true or false",
    ),
    "link with another unit": (
        two("name: index, value: 2.0, link: a", "name: amplitude, value: 1.0e-12, link: a"),
        "m.yaml: model 'vela', spectral, parameter 'amplitude': it is linked (as 'a') with a parameter in another "
        "unit, '' and not 'TeV-1 s-1 cm-2' (m.yaml: model 'crab', spectral, parameter 'index')",
    ),
    "link with a unit that could be converted": (
        two("name: reference, value: 1.0, unit: GeV, link: a", "name: reference, value: 1.0, unit: TeV, link: a"),
        "parameter 'reference': it is linked (as 'a') with a parameter in another unit, 'GeV' and not 'TeV'",
    ),
    "link with another value": (
        two("name: index, value: 2.0, link: a", "name: index, value: 2.5, link: a"),
        "parameter 'index': it is linked (as 'a') with a parameter that has another value, 2.0 and not 2.5",
    ),
    "link with other bounds": (
        two("name: index, value: 2.0, link: a", "name: index, value: 2.0, max: 3, link: a"),
        "it is linked (as 'a') with a parameter that has another max, inf and not 3.0",
    ),
    "prior type": (
        entry(PRIOR.format("GausianPrior", 1.0)),
        f"{CRAB}, spectral, parameter 'index', prior: unknown prior type 'GausianPrior'. Did you mean 'GaussianPrior'",
    ),
    "prior sigma": (
        entry(PRIOR.format("GaussianPrior", -1.0)),
        f"{CRAB}, spectral, parameter 'index', prior: GaussianPrior: sigma must be positive, found -1.0",
    ),
    "prior sigma is text": (
        entry(PRIOR.format("GaussianPrior", "wide")),
        "prior, parameter 'sigma', value: expected a number",
    ),
    "prior parameter": (
        entry(PRIOR.format("UniformPrior", 1.0)),
        "prior, parameter 'mu': UniformPrior has no parameter 'mu'",
    ),
    "prior without a type": (entry("name: index, value: 2.0, prior: {weight: 1}"), "prior: the key 'type' is missing"),
    "prior without a value": (
        entry("name: index, value: 2.0, prior: {type: GaussianPrior, parameters: [{name: mu}]}"),
        "prior, parameter 'mu': the key 'value' is missing",
    ),
    "prior is text": (
        entry("name: index, value: 2.0, prior: GaussianPrior"),
        "parameter 'index', prior: expected a mapping",
    ),
    "prior key": (entry("name: index, value: 2.0, prior: {type: GaussianPrior, mu: 1}"), "prior: unknown key 'mu'"),
    "prior in another unit": (
        entry(
            "name: reference, value: 1.0, prior: {type: GaussianPrior, parameters: [{name: mu, value: 1.0, unit: GeV}]}"
        ),
        "prior, parameter 'mu': found unit 'GeV', but a prior is in the unit of its parameter, 'TeV'",
    ),
    "prior weight": (
        entry("name: index, value: 2.0, prior: {type: GaussianPrior, weight: a}"),
        "weight: expected a number",
    ),
    "operator": (
        compound("{type: pl-norm}", "operator: pow"),
        f"{CRAB}, spectral: CompoundSpectralModel: operator must be one of add, sub, mul, truediv, found 'pow'",
    ),
    "no operator": (
        compound("{type: pl-norm}", "parameters: []"),
        f"{CRAB}, spectral: the key 'operator' is missing",
    ),
    "half a compound": (
        "components: [{name: crab, type: SkyModel, spectral: {type: compound, model1: {type: pl}, operator: mul}}]\n",
        f"{CRAB}, spectral: the section 'model2' is missing",
    ),
    "error inside a compound": (
        compound("{type: pl-norm, parameters: [{name: norm, value: x}]}", "operator: mul"),
        f"{CRAB}, spectral.model2, parameter 'norm', value: expected a number",
    ),
    "scale without its model": (minimal(kind="scale"), f"{CRAB}, spectral: the section 'model' is missing."),
    "piecewise with a stranger": (
        "components: [{type: fov-bkg, datasets_names: [a], spectral: {type: piecewise-norm, energy: {data: [1, 2], "
        "unit: TeV}, parameters: [{name: norm_0, value: 1}, {name: norm_1, value: 1}, {name: norm_2, value: 1}]}}]\n",
        "component 1 (of a), spectral, parameter 'norm_2': the model has no parameter of this name",
    ),
    "template without data": (minimal(kind="template"), f"{CRAB}, spectral"),
    "dotted key of a template": (minimal(kind="template") + "    flux: 1\n", "unknown key 'flux'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path, case):
    text, message = BAD[case]
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        Models.read(tmp_path / "m.yaml")
    found = str(error.value).replace(str(tmp_path) + "/", "")
    assert found.startswith("m.yaml")
    assert message in found
    assert "\n" not in found


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"missing.yaml: the file was not found"):
        Models.read(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match="is a folder"):
        Models.read(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(InputError, match="not a text file in UTF-8"):
        Models.read(tmp_path / "latin.yaml")
    with pytest.raises(InputError, match="file name is needed"):
        Models.read(None)


def test_a_second_link_may_leave_out_what_the_first_says():
    models = Models.from_dict(parse_yaml(two("name: index, value: 2.2, max: 3, link: a", "name: index, link: a"), "x"))
    assert eqx.tree_equal(models["vela"].spectral.index, models["crab"].spectral.index)


def test_a_value_at_its_bound_up_to_rounding_is_accepted():
    text = entry("name: index, value: 4.999999999999999, min: 5.0")
    assert Models.from_dict(parse_yaml(text, "x"))["crab"].spectral.index.min == 5.0


class HandMade(SpectralModel):
    norm: Parameter = parameter(1.0, DNDE)
    tag = ("HandMade",)

    def evaluate(self, energy):
        return self.norm.internal * energy


class Cauchy(Prior):
    tag = "Cauchy"


class OtherModel(ModelBase):
    spectral: object
    name: str = eqx.field(static=True)
    datasets_names: None = None
    flags = ()
    tag = ("other",)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (SkyModel(lambda e: e, name="x"), "model 'x', spectral: a function has no YAML form"),
        (SkyModel(eqx.nn.MLP(1, 1, 2, 1, key=jax.random.key(0)), name="x"), "a MLP has no YAML form"),
        (SkyModel(HandMade(), name="x"), "HandMade is not a registered model"),
        (OtherModel(PowerLawSpectralModel(), "x"), "model 'x': a OtherModel cannot be written"),
        (
            SkyModel(PowerLawSpectralModel(index=Parameter(2, prior=Cauchy())), name="x"),
            "model 'x', spectral, parameter 'index': a Cauchy cannot be written to YAML",
        ),
        (
            SkyModel(PowerLawSpectralModel(index=jnp.array([1.0, 2.0])), name="x"),
            "model 'x', spectral, parameter 'index': one number is needed",
        ),
        (
            [SkyModel(PowerLawSpectralModel(index=Parameter(v, link="a")), name=n) for n, v in (("x", 2), ("y", 3))],
            "y.spectral.index: it is linked (as 'a') with x.spectral.index, but they differ",
        ),
    ],
)
def test_models_without_a_yaml_form(model, text):
    with pytest.raises(InputError) as error:
        Models(model).to_dict()
    assert text in str(error.value)


def test_models_of_real_files(data_path):
    """Positions, widths and backgrounds as in the files, and the same after a round trip."""
    paths = sorted((data_path / "hess-crab").glob("*_models.yaml"))
    assert len(paths) == 6
    for path in paths:
        models = Models.read(path)
        assert models.names[0] == "crab"
        assert models["crab"].spectral.amplitude.unit == "TeV-1 s-1 cm-2"
        spatial = models["crab"].spatial
        assert type(spatial).__name__ == ("GaussianSpatialModel" if "gauss" in path.name else "PointSpatialModel")
        # the file as plain YAML
        stored = load_yaml(path)["components"][0]["spatial"]
        assert spatial.frame == stored["frame"] == "icrs"
        assert {p["name"]: p["value"] for p in stored["parameters"]} == {
            n: float(p.value) for n, p in spatial.parameters.items()
        }
        assert spatial.lon_0.error == 0.01 and not spatial.lon_0.frozen
        assert_same(Models.from_dict(Models(models).to_dict()), models)


def test_real_fermi_models(data_path):
    folder = data_path / "fermi-3fhl-crab"
    shipped = Models.read(folder / "Fermi-LAT-3FHL_models.yaml")
    assert shipped.parameters["Crab Nebula.spectral.amplitude"].value == 0.018182745349064267
    assert shipped.parameters["Fermi-LAT-bkg.spectral.norm"].bounds == (0.0, math.inf)
    assert shipped.parameters["Crab Nebula.spectral.reference"].frozen
    assert shipped["Crab Nebula"].spatial.position == (83.63310241699219, 22.019899368286133)
    assert shipped.parameters["Crab Nebula.spatial.lat_0"].frozen
    assert shipped.parameters["Crab Nebula.spatial.lat_0"].bounds == (-90.0, 90.0)
    assert_same(Models.from_dict(Models(shipped).to_dict()), shipped)
    # as gammapy writes it today, which leaves defaults out
    again = Models.read(folder / "fermi_crab_ref_models.yaml")
    assert again["Crab Nebula"].spatial == shipped["Crab Nebula"].spatial


SKY = """\
components:
-   name: nebula
    type: SkyModel
    datasets_names:
    - run
    spectral:
        type: PowerLawSpectralModel
        parameters:
        -   name: index
            value: 2.0
        -   name: amplitude
            value: 1.0e-12
            unit: TeV-1 s-1 cm-2
        -   name: reference
            value: 1.0
            unit: TeV
            frozen: true
    spatial:
        type: DiskSpatialModel
        frame: galactic
        parameters:
        -   name: lon_0
            value: 184.5
            unit: deg
            link: nebula.spatial.lon_0
        -   name: lat_0
            value: -5.8
            unit: deg
            min: -90.0
            max: 90.0
        -   name: r_0
            value: 12.0
            unit: arcmin
            min: 0.0
        -   name: e
            value: 0.0
            min: 0.0
            max: 1.0
            frozen: true
        -   name: phi
            value: 0.0
            unit: deg
            min: -180.0
            max: 180.0
            frozen: true
        -   name: edge_width
            value: 0.01
            min: 0.0
            max: 1.0
            frozen: true
    temporal:
        type: ExpDecayTemporalModel
        parameters:
        -   name: t0
            value: 3.0
            unit: d
        -   name: t_ref
            value: 55555.5
            unit: d
            frozen: true
        scale: tt
-   type: FoVBackgroundModel
    datasets_names:
    - run
    spectral:
        type: PowerLawNormSpectralModel
        parameters:
        -   name: tilt
            value: 0.0
            frozen: true
        -   name: norm
            value: 1.0
        -   name: reference
            value: 1.0
            unit: TeV
            frozen: true
    spatial:
        type: GaussianSpatialModel
        frame: galactic
        parameters:
        -   name: lon_0
            value: 184.5
            unit: deg
            link: nebula.spatial.lon_0
        -   name: lat_0
            value: -5.8
            unit: deg
            min: -90.0
            max: 90.0
        -   name: sigma
            value: 2.0
            unit: deg
            min: 0.0
        -   name: e
            value: 0.0
            min: 0.0
            max: 1.0
            frozen: true
        -   name: phi
            value: 0.0
            unit: deg
            min: -180.0
            max: 180.0
            frozen: true
"""


def test_models_of_maps_as_text(tmp_path):
    disk = DiskSpatialModel(lon_0=184.5, lat_0=-5.8, r_0=12 * u.arcmin, frame="galactic")
    decay = ExpDecayTemporalModel(t0=3.0, t_ref=55555.5, scale="tt")
    models = Models(
        [
            SkyModel(PowerLawSpectralModel(), "nebula", "run", spatial=disk, temporal=decay),
            FoVBackgroundModel(
                datasets_names="run", spatial=GaussianSpatialModel(184.5, -5.8, sigma=2.0, frame="galactic")
            ),
        ]
    ).link("nebula.spatial.lon_0", "run-bkg.spatial.lon_0")
    models.write(tmp_path / "m.yaml")
    assert (tmp_path / "m.yaml").read_text() == SKY
    assert_same(Models.read(tmp_path / "m.yaml"), models)
    assert "run-bkg.spatial.lon_0" not in Models.read(tmp_path / "m.yaml").parameters.free


@pytest.fixture
def counts_map(tmp_path):
    """A template map in the folder ``maps``, and its counts."""
    counts = np.arange(24.0).reshape(2, 3, 4) / 7
    axis = MapAxis([1, 3, 10], "log", "energy", "TeV")
    geom = SkyGeom.create((83.6, 22.0), 0.1, npix=(4, 3))
    write_files(
        {tmp_path / "maps" / "t.fits": to_bytes([fits.PrimaryHDU(), *map_hdus("T", counts, "", (axis,), geom)])}
    )
    return counts


def template_yaml(filename):
    return f"""\
components:
- name: leak
  type: TemplateNPredModel
  filename: {filename}
  datasets_names: [run]
  spectral: {{type: pl-norm, parameters: [{{name: norm, value: 1.5, error: 0.2}}]}}
- {{name: rest, type: template-npred, filename: {filename}}}
"""


def test_templates_of_counts(tmp_path, monkeypatch, counts_map):
    """Maps are found beside the YAML file; names are written so that they are found again from anywhere."""
    (tmp_path / "maps" / "m.yaml").write_text(template_yaml("t.fits"))
    monkeypatch.chdir(tmp_path)
    models = Models.read("maps/m.yaml")
    leak, rest = models
    np.testing.assert_array_equal(leak.counts, counts_map)
    assert (leak.datasets_names, rest.datasets_names) == (("run",), None)
    assert (leak.spectral.norm.value, leak.spectral.norm.error, leak.spectral.tilt.frozen) == (1.5, 0.2, True)
    assert rest.spectral.norm.value == 1
    models.write("maps/again.yaml")
    models.write("other/again.yaml")
    written = {name: load_yaml(tmp_path / name / "again.yaml")["components"] for name in ("maps", "other")}
    assert [c["filename"] for c in written["maps"]] == ["t.fits", "t.fits"]
    assert [c["filename"] for c in written["other"]] == [str(tmp_path / "maps" / "t.fits")] * 2
    assert list(written["maps"][0]) == ["name", "type", "datasets_names", "spectral", "filename"]
    monkeypatch.chdir(tmp_path / "other")
    for folder in ("maps", "other"):
        again = Models.read(tmp_path / folder / "again.yaml")
        assert again.names == models.names and again.parameters.names == models.parameters.names
        assert_same(again["leak"].spectral, leak.spectral)
        np.testing.assert_array_equal(again["leak"].counts, counts_map)


def test_names_of_files_that_are_not_there_stay(tmp_path):
    model = TemplateNPredModel(np.ones((2, 3, 4)), name="x", filename="some/map.fits")
    model_in_memory = TemplateNPredModel(np.ones((2, 3, 4)), name="x")
    Models(model).write(tmp_path / "m.yaml")
    assert load_yaml(tmp_path / "m.yaml")["components"][0]["filename"] == "some/map.fits"
    with pytest.raises(InputError, match=r"model 'x': a YAML file refers to the counts by the name of a FITS map"):
        Models(model_in_memory).to_dict()
