import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from gammajax.datasets import InputError
from gammajax.datasets.io import dump_yaml, parse_yaml
from gammajax.datasets.models import Models, Parameter, SkyModel, parameter
from gammajax.datasets.models.spatial import (
    SPATIAL_MODELS,
    ConstantSpatialModel,
    GaussianSpatialModel,
    PointSpatialModel,
    TemplateSpatialModel,
)
from gammajax.datasets.models.spectral import PowerLawSpectralModel
from gammajax.datasets.models.temporal import (
    TEMPORAL_MODELS,
    ConstantTemporalModel,
    ExpDecayTemporalModel,
    LightCurveTemplateTemporalModel,
    TemplatePhaseCurveTemporalModel,
    TemporalModel,
)
from gammajax.datasets.models.yaml import PARTS, part_to_dict, read_part
from gammajax.datasets.sky import MapAxis, SkyGeom


def again(word, model, base="."):
    """What comes back from YAML text."""
    data = parse_yaml(dump_yaml(part_to_dict(word, model, "here")), "text")
    return read_part(word, data, "here", {}, base)


def assert_same(one, two):
    assert jax.tree_util.tree_structure(one) == jax.tree_util.tree_structure(two)
    for a, b in zip(jax.tree_util.tree_leaves(one), jax.tree_util.tree_leaves(two), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


def assert_same_parameters(one, two):
    assert list(one.parameters) == list(two.parameters)
    for p, q in zip(one.parameters.values(), two.parameters.values(), strict=True):
        assert_same(p, q)


def plain(registry):
    return sorted({cls.tag[0] for cls in registry.values() if not hasattr(cls, "from_extra")})


@pytest.mark.parametrize(
    ("word", "name"),
    [(w, n) for w, r in (("spatial", SPATIAL_MODELS), ("temporal", TEMPORAL_MODELS)) for n in plain(r)],
)
def test_every_registered_model_with_only_parameters(word, name):
    """Values, changed from their defaults, units, frames and scales come back exactly, by both tags."""
    kind = PARTS[word].models[name]
    model = kind(**({"frame": "galactic"} if word == "spatial" else {"scale": "tt"}))
    changes = {
        n: Parameter(
            (p.value + 1 / 3) * 60 if p.unit == "deg" else p.value + 1 / 3,
            "arcmin" if p.unit == "deg" else p.unit,
            error=1 / 7,
            frozen=not p.frozen,
            min=-5400,
            max=1e5,
        )
        for n, p in model.parameters.items()
    }
    model = model.replace(**changes)
    assert_same(again(word, model), model)
    data = part_to_dict(word, model, "here")
    for tag in kind.tag:
        assert_same(read_part(word, data | {"type": tag}, "here", {}, "."), model)


def test_models_of_the_whole_sky_have_no_frame():
    """As gammapy writes them; but it also forgets the value."""
    bright = ConstantSpatialModel(value=3.0)
    data = part_to_dict("spatial", bright, "here")
    assert list(data) == ["type", "parameters"] and data["parameters"][0]["value"] == 3.0
    assert_same(again("spatial", bright), bright)
    assert read_part("spatial", {"type": "const", "parameters": []}, "here", {}, ".").value.value == 1.0
    assert part_to_dict("temporal", ConstantTemporalModel(), "here") == {
        "type": "ConstantTemporalModel",
        "parameters": [],
        "scale": "utc",
    }


def test_what_may_be_left_out():
    """Frames, scales, parameters that are frozen by default."""
    given = [{"name": n, "value": 1.0} for n in ("lon_0", "lat_0", "sigma")]
    model = read_part("spatial", {"type": "gauss", "parameters": given}, "here", {}, ".")
    assert_same(model, GaussianSpatialModel(1.0, 1.0, sigma=1.0))
    model = read_part("temporal", {"type": "exp-decay", "parameters": [{"name": "t0", "value": 2}]}, "here", {}, ".")
    assert_same(model, ExpDecayTemporalModel(t0=2.0))


@pytest.fixture
def templates(tmp_path):
    """Models with files in ``tmp_path``, by section."""
    rng = np.random.default_rng(3)
    geom = SkyGeom.create((184.5, -5.8), 0.1, npix=(7, 5), frame="galactic")
    energy = MapAxis([0.1, 1, 10], "log", "energy_true", "TeV", "center")
    image = TemplateSpatialModel(rng.random((5, 7)), geom, lon_0=Parameter(184.7, "deg", error=0.1))
    cube = TemplateSpatialModel(
        rng.random((3, 5, 7)) * u.Unit("TeV-1 s-1 cm-2 sr-1"), geom, energy, normalize=False, lat_0=-5.9
    )
    curve = LightCurveTemplateTemporalModel([0.0, 1.0, 4.0], [1.0, 3.0, 2.0], 55555.25, scale="tt")
    phases = TemplatePhaseCurveTemporalModel(
        [0.0, 0.5, 1.0], [1.0, 3.0, 2.0], f0=Parameter(0.3, "d-1"), t_ref=55000, normalize=False, scale="tdb"
    )
    for model, name in ((curve, "curve.fits"), (phases, "phases.ecsv")):
        model.to_table().write(tmp_path / name)
    curve, phases = (dataclasses.replace(m, filename=n) for m, n in ((curve, "curve.fits"), (phases, "phases.ecsv")))
    return [
        ("spatial", image.write(tmp_path / "image.fits")),
        ("spatial", cube.write(tmp_path / "cube.fits.gz")),
        ("temporal", curve),
        ("temporal", phases),
    ]


def test_templates(tmp_path, templates):
    vectors = np.asarray(templates[0][1].geom.pixel_to_vector(np.array([1.2, 3.0]), np.array([2.1, 3.3])))
    for word, model in templates:
        data = part_to_dict(word, model, "here")
        data["filename"] = data["filename"].removeprefix(f"{tmp_path}/")
        back = read_part(word, parse_yaml(dump_yaml(data), "text"), "here", {}, tmp_path)
        assert_same_parameters(back, model)
        assert back.filename == str(tmp_path / data["filename"])
        if word == "spatial":
            assert (back.frame, back.normalize, back.unit) == (model.frame, model.normalize, model.unit)
            np.testing.assert_allclose(back.evaluate(vectors), model.evaluate(vectors), rtol=1e-12)
            assert list(data) == ["type", "frame", "parameters", "filename", "normalize", "unit"]
        else:
            assert back.scale == model.scale
            days = np.array([0.3, 2.0])
            np.testing.assert_allclose(back.value(days), model.value(days), rtol=1e-12)
            assert list(data)[:4] == ["type", "parameters", "scale", "filename"]


def test_the_frame_of_a_template_is_that_of_its_map(tmp_path, templates):
    image = templates[0][1]
    data = part_to_dict("spatial", image, "here")
    for frame in ("icrs", "fk5"):
        with pytest.raises(
            InputError, match=rf"here: the frame is '{frame}', and that of the map 'galactic', in which"
        ):
            read_part("spatial", data | {"frame": frame}, "here", {}, tmp_path)
    del data["frame"]
    assert read_part("spatial", data, "here", {}, tmp_path).frame == "galactic"
    geom = SkyGeom.create((83.6, 22.0), 0.1, npix=3)
    equatorial = TemplateSpatialModel(np.ones((3, 3)), geom).write(tmp_path / "equatorial.fits")
    # what gammapy writes for maps whose header says EQUINOX = 2000 and no RADESYS
    data = part_to_dict("spatial", equatorial, "here") | {"frame": "fk5"}
    assert read_part("spatial", data, "here", {}, tmp_path).frame == "icrs"


def test_links_between_sections():
    links = {}
    entry = {"type": "point", "parameters": [{"name": n, "value": 2.0, "unit": "deg", "link": n} for n in ("lon_0",)]}
    entry["parameters"].append({"name": "lat_0", "value": 1.0, "unit": "deg"})
    one, two = (read_part("spatial", entry, where, links, ".") for where in ("one", "two"))
    assert one.lon_0.link == two.lon_0.link == "lon_0"
    models = Models([SkyModel(PowerLawSpectralModel(), n, spatial=m) for n, m in (("one", one), ("two", two))])
    assert "two.spatial.lon_0" not in models.parameters.free and "two.spatial.lat_0" in models.parameters.free
    entry["parameters"][0]["value"] = 3.0
    with pytest.raises(InputError, match=r"three, parameter 'lon_0': it is linked \(as 'lon_0'\) .* another value"):
        read_part("spatial", entry, "three", links, ".")


POINT = "{type: point, parameters: [{name: lon_0, value: 83.6}, {name: lat_0, value: 22}]"
GAUSS = "{type: gauss, parameters: [{name: lon_0, value: 83.6}, {name: lat_0, value: 22}, {name: sigma, value: %s}]}"
BAD = {
    "no mapping": ("spatial", "point", "here: expected a mapping"),
    "no type": ("spatial", "{parameters: []}", "here: the key 'type' is missing. Write for example 'type: PointSpat"),
    "no type, temporal": ("temporal", "{scale: tt}", "here: the key 'type' is missing. Write for example 'type: Exp"),
    "unknown type": (
        "temporal",
        "{type: exp-dekay}",
        "here: unknown temporal model type 'exp-dekay'. Did you mean 'exp-d",
    ),
    "another section's type": ("spatial", "{type: pl}", "here: unknown spatial model type 'pl'."),
    "unknown key": ("spatial", f"{POINT}, fram: icrs}}", "here: unknown key 'fram'. Did you mean 'frame'?"),
    "key of a template": ("spatial", f"{POINT}, filename: a.fits}}", "here: unknown key 'filename'"),
    "scale of a shape": ("spatial", f"{POINT}, scale: tt}}", "here: unknown key 'scale'"),
    "frame of a light curve": ("temporal", "{type: const, frame: icrs}", "here: unknown key 'frame'"),
    "frame": (
        "spatial",
        f"{POINT}, frame: fk6}}",
        "here: unknown frame 'fk6'. Known frames: altaz, ",
    ),
    "frame of a place and a time": (
        "spatial",
        f"{POINT}, frame: altaz}}",
        "here: positions in the frame 'altaz' cannot be transformed to icrs",
    ),
    "bounds in a turned frame": (
        "spatial",
        "{type: point, frame: supergalactic, parameters: [{name: lon_0, value: 10, max: 11}, {name: lat_0, value: 5}]}",
        "here: lon_0 has bounds along the axes of the frame 'supergalactic'",
    ),
    "link in another frame": (
        "spatial",
        "{type: point, frame: fk5, parameters: [{name: lon_0, value: 10, link: a}, {name: lat_0, value: 5}]}",
        "here: lon_0 is in the frame 'fk5' and linked",
    ),
    "frame of the whole sky": (
        "spatial",
        "{type: const, frame: fk5}",
        "here: ConstantSpatialModel: frame must be one of icrs, galactic, found",
    ),
    "frame is no text": ("spatial", f"{POINT}, frame: [icrs]}}", "here, frame: expected text, found ['icrs']"),
    "scale": ("temporal", "{type: const, scale: ut1}", "here: ConstantTemporalModel: scale must be one of"),
    "no position": (
        "spatial",
        "{type: point, parameters: [{name: lon_0, value: 83.6}]}",
        "here: the parameter 'lat_0' is missing. Add '- {name: lat_0, value: ..., unit: deg}' to the parameters.",
    ),
    "no parameters": (
        "temporal",
        "{type: linear}",
        "here: the parameter 'alpha' is missing. Add '- {name: alpha, value",
    ),
    "strange parameter": (
        "spatial",
        "{type: point, parameters: [{name: lon0, value: 83.6}]}",
        "here, parameter 'lon0': the model has no parameter of this name. Did you mean 'lon_0'",
    ),
    "strange parameter of a template": (
        "temporal",
        "{type: template, filename: a.fits, parameters: [{name: t0, value: 1}]}",
        "here, parameter 't0': the model has no parameter of this name. Known names: t_ref.",
    ),
    "unit": (
        "spatial",
        "{type: point, parameters: [{name: lon_0, value: 83.6, unit: TeV}]}",
        "here, parameter 'lon_0': found unit 'TeV', expected one convertible to 'deg'",
    ),
    "below the bound of the class": (
        "spatial",
        GAUSS % -0.1,
        "here, parameter 'sigma': the value -0.1 lies outside [0.0, inf], the range that min and max allow",
    ),
    "template without a file": (
        "spatial",
        "{type: template}",
        "here: TemplateSpatialModel: expected the key 'filename'",
    ),
    "light curve without a file": (
        "temporal",
        "{type: template}",
        "here: LightCurveTemplateTemporalModel: expected the",
    ),
    "missing file": ("spatial", "{type: template, filename: a.fits}", "here: a.fits: the file was not found"),
    "missing table": (
        "temporal",
        "{type: template-phase, filename: a.fits}",
        "here: TemplatePhaseCurveTemporalModel: there is no file a.fits",
    ),
    "file is no name": (
        "temporal",
        "{type: template, filename: {a: 1}}",
        "here: A file name is needed, found {'a': 1}",
    ),
    "normalize": (
        "spatial",
        "{type: template, filename: a.fits, normalize: maybe}",
        "here, normalize: expected true or false, found 'maybe'",
    ),
    "format": (
        "temporal",
        "{type: template, filename: curve.fits, format: csv}",
        "here: LightCurveTemplateTemporalModel:",
    ),
    "format is no text": (
        "temporal",
        "{type: template, filename: a.fits, format: [map]}",
        "here, format: expected text",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_sections(tmp_path, case):
    word, text, message = BAD[case]
    Table({"TIME": [0.0] * u.d, "NORM": [1.0]}).write(tmp_path / "curve.fits")
    with pytest.raises(InputError) as error:
        read_part(word, parse_yaml(f"section: {text}", "text")["section"], "here", {}, tmp_path)
    found = str(error.value).replace(f"{tmp_path}/", "")
    assert found.startswith(message), found
    assert "\n" not in found


class Unregistered(TemporalModel):
    t_ref: Parameter = parameter(51544.0, "d", frozen=True)
    tag = ("Unregistered",)

    def value(self, days, energy=None):
        return days

    def value_mean(self, low, high, energy=None):
        return low


@pytest.mark.parametrize(
    ("word", "model", "text"),
    [
        (
            "temporal",
            Unregistered(),
            "here: Unregistered is not a registered model, so that it could not be read again. Give it a tag, and "
            "make it known with gammajax.register_temporal_model.",
        ),
        ("spatial", Unregistered(), "here: a Unregistered has no YAML form"),
        ("spatial", PointSpatialModel(lon_0=jnp.array([1.0, 2.0])), "here, parameter 'lon_0': one number is needed"),
        (
            "spatial",
            TemplateSpatialModel(np.ones((3, 3)), SkyGeom.create(binsz=0.1, npix=3)),
            "here: TemplateSpatialModel: a YAML file refers to the map by file name",
        ),
    ],
)
def test_models_without_a_yaml_form(word, model, text):
    with pytest.raises(InputError) as error:
        part_to_dict(word, model, "here")
    assert str(error.value).startswith(text)
