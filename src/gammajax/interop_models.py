"""Models to and from gammapy by way of the YAML form of both; templates, which that form keeps in files, in memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from gammajax.datasets.errors import InputError
from gammajax.datasets.files import as_path, existing
from gammajax.datasets.map_axis import MapAxis
from gammajax.datasets.models import Models
from gammajax.datasets.models_yaml import models_from_dict, models_to_dict
from gammajax.datasets.parameters_yaml import declared_parameters, parameter_to_dict, read_parameters
from gammajax.datasets.sky_geometry import SkyGeom
from gammajax.datasets.sky_model import FoVBackgroundModel, ModelBase, SkyModel, TemplateNPredModel
from gammajax.datasets.spatial_base import SpatialModel
from gammajax.datasets.spatial_models import ConstantFluxSpatialModel
from gammajax.datasets.spatial_template import TemplateSpatialModel
from gammajax.datasets.spectral_base import SpectralModel
from gammajax.datasets.spectral_models import PowerLawSpectralModel
from gammajax.datasets.temporal_base import TemporalModel
from gammajax.datasets.temporal_tables import LightCurveTemplateTemporalModel, TemplatePhaseCurveTemporalModel

WORDS = ("spatial", "temporal")
NESTED = ("model1", "model2", "model")


# From gammapy


def models_from(models: Any, api: Any) -> Models:
    """Models from a container of gammapy."""
    if getattr(models, "_penalties", None):
        raise InputError("from_gammapy: the models have penalties, which gammajax does not. Use priors instead.")
    # labels are given when models are written; the container's own to_dict would write templates to files
    models.update_link_label()
    entries, held = [], []
    for model in models:
        # the name of a background model is not in its dictionary
        entry = {**model.to_dict(), "name": model.name}
        held.append({word: entry.pop(word) for word in WORDS if entry.get(word, {}).get("type") in _FROM})
        if isinstance(model, api.models.TemplateNPredModel):
            entry = {key: entry[key] for key in ("name", "spectral", "datasets_names") if key in entry}
            entry["type"] = FoVBackgroundModel.tag[0]
        elif "spatial" in entry:
            # the value of a ConstantSpatialModel is not in its dictionary either
            entry["spatial"]["parameters"] = model.spatial_model.parameters.to_dict()
        entries.append(entry)
    bare = models_from_dict({"components": entries}, where="from_gammapy")
    return Models([_completed(*parts, api) for parts in zip(bare, models, held, strict=True)])


def part_from(part: Any, api: Any) -> Any:
    """A spectral, spatial or temporal model from one of gammapy."""
    if isinstance(part, api.models.SpectralModel):
        # without exposure a model may have any unit
        entry = {"name": "model", "type": "SkyModel", "apply_irf": {"exposure": False}, **part.to_dict()}
        return models_from_dict({"components": [entry]}, where="from_gammapy")[0].spectral
    word = "spatial" if isinstance(part, api.models.SpatialModel) else "temporal"
    holder = api.models.SkyModel(api.models.PowerLawSpectralModel(), **{f"{word}_model": part}, name="model")
    return getattr(models_from(api.models.Models([holder]), api)[0], word)


def _completed(ours: ModelBase, peer: Any, held: dict[str, Any], api: Any) -> ModelBase:
    if isinstance(peer, api.models.TemplateNPredModel):
        return _template_from(ours, peer)
    if not held:
        return ours
    parts = {}
    for word, section in held.items():
        kind, build = _FROM[section["type"]]
        where = f"from_gammapy: model {peer.name!r}, {word}"
        parameters = read_parameters(section["parameters"], where, {}, declared_parameters(kind))
        try:
            parts[word] = build(getattr(peer, f"{word}_model"), parameters)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    return ours.replace(**parts)


def _template_from(ours: Any, peer: Any) -> TemplateNPredModel:
    counts, filename = np.array(peer.map.data, float), peer.filename
    if peer.spatial_model is not None:
        # its numbers are no parameters of the model in gammapy, so that counts say the same; the file does not
        counts, filename = counts * peer.spatial_model.evaluate_geom(peer.map.geom).value, None
    if peer.map.geom.is_region:
        counts = counts[:, 0, 0]
    return TemplateNPredModel(counts, ours.spectral, peer.name, ours.datasets_names, filename)


def _axis_from(axis: Any, name: str) -> MapAxis:
    nodes = axis.edges if axis.node_type == "edges" else axis.center
    return MapAxis(nodes, axis.interp, name, node_type=axis.node_type)


def _sky_template_from(peer: Any, parameters: dict[str, Any]) -> TemplateSpatialModel:
    geom = peer.map.geom
    if geom.is_hpx or geom.is_region or set(geom.axes.names) - {"energy_true"}:
        raise InputError(
            f"found a map with {type(geom).__name__} and the axes {geom.axes.names}, expected an image, or a cube with "
            "the axis energy_true. Reproject it."
        )
    options = getattr(peer, "_interp_kwargs", {})
    if options.get("method", "linear") != "linear" or options.get("values_scale", "log") != "log":
        raise InputError(f"found interp_kwargs {options}; here values are interpolated linearly in their logarithm.")
    # a normalised map holds surface brightness, made from shares of pixels
    area = geom.to_image().solid_angle() if peer.normalize else 1
    values = u.Quantity(peer.map.data, peer.map.unit) * area
    return TemplateSpatialModel(
        values.value if peer.normalize else values,
        SkyGeom.from_wcs(geom.wcs, geom.data_shape[-2:]),
        _axis_from(geom.axes["energy_true"], "energy_true") if geom.axes.names else None,
        peer.normalize,
        filename=peer.filename,
        **parameters,
    )


def _light_curve_from(peer: Any, parameters: dict[str, Any]) -> LightCurveTemplateTemporalModel:
    axes = peer.map.geom.axes
    energy = axes["energy"].center if "energy" in axes.names else None
    expected = ("linear", "lin" if energy is None else "log")
    if (peer.method, peer.values_scale) != expected:
        raise InputError(
            f"found method {peer.method!r} and values_scale {peer.values_scale!r}, expected {expected[0]!r} and "
            f"{expected[1]!r}, the interpolation that there is here."
        )
    values = np.array(peer.map.data, float)[..., 0, 0]
    if axes.names[0] == "time":
        # the first axis is the last dimension
        values = values.T
    return LightCurveTemplateTemporalModel(
        axes["time"].center, values, energy=energy, filename=peer.filename, scale=peer.scale, **parameters
    )


def _phase_curve_from(peer: Any, parameters: dict[str, Any]) -> TemplatePhaseCurveTemporalModel:
    columns = (np.array(peer.table[name], float) for name in ("PHASE", "NORM"))
    options = {"normalize": peer.normalize, "filename": peer.filename, "scale": peer.scale}
    return TemplatePhaseCurveTemporalModel(*columns, **options, **parameters)


_FROM: dict[str, tuple[type, Any]] = {
    "TemplateSpatialModel": (TemplateSpatialModel, _sky_template_from),
    "LightCurveTemplateTemporalModel": (LightCurveTemplateTemporalModel, _light_curve_from),
    "TemplatePhaseCurveTemporalModel": (TemplatePhaseCurveTemporalModel, _phase_curve_from),
}


# To gammapy


def models_to(models: Models, api: Any, geom: Any = None) -> Any:
    """A container of gammapy; ``geom`` (of gammapy) is that of the counts of `TemplateNPredModel`s."""
    for model in models:
        _check_datasets(model)
    bare = Models([_bare(model, i) for i, model in enumerate(models)])
    built = _built(api.models.Models.from_dict, models_to_dict(bare))
    components = [_completed_peer(*pair, api, geom) for pair in zip(built, models, strict=True)]
    _link(components, models)
    return api.models.Models(components)


def part_to(part: SpectralModel | SpatialModel | TemporalModel, api: Any) -> Any:
    """A spectral, spatial or temporal model of gammapy."""
    if isinstance(part, SpectralModel):
        holder = Models(SkyModel(part, name="model", apply_irf={"exposure": False}))
        entry = models_to_dict(holder)["components"][0]["spectral"]
        kind = _built(api.models.SPECTRAL_MODEL_REGISTRY.get_cls, entry["type"])
        return _built(kind.from_dict, {"spectral": entry})
    word = "spatial" if isinstance(part, SpatialModel) else "temporal"
    holder = Models(SkyModel(PowerLawSpectralModel(), name="model", **{word: part}))
    return getattr(models_to(holder, api)[0], f"{word}_model")


def _check_datasets(model: ModelBase) -> None:
    names = model.datasets_names
    wrong = {
        FoVBackgroundModel: names is None or len(names) != 1,
        TemplateNPredModel: names is not None and len(names) != 1,
    }
    if wrong.get(type(model)):
        what = "background model" if isinstance(model, FoVBackgroundModel) else "template"
        raise InputError(
            f"to_gammapy: the {what} {model.name!r} acts on {', '.join(names or ()) or 'all'} datasets, and one of "
            "gammapy on exactly one. Give every dataset its own, and link their parameters."
        )


def _in_memory(model: ModelBase) -> dict[str, Any]:
    """The parts of a model that gammapy would read from files (or not at all) by word."""
    return {word: part for word in WORDS if type(part := getattr(model, word, None)) in _TO}


def _bare(model: ModelBase, index: int) -> ModelBase:
    if isinstance(model, TemplateNPredModel):
        return FoVBackgroundModel(model.spectral, f"template {index}", model.name)
    held = _in_memory(model)
    return model.replace(**dict.fromkeys(held)) if held else model


def _completed_peer(theirs: Any, ours: ModelBase, api: Any, geom: Any) -> Any:
    if isinstance(ours, TemplateNPredModel):
        return _template_to(theirs, ours, api, geom)
    parts = {f"{word}_model": _TO[type(part)](part, api) for word, part in _in_memory(ours).items()}
    if not parts and theirs.name == ours.name:
        return theirs
    parts = {"spectral_model": theirs.spectral_model, "spatial_model": theirs.spatial_model} | parts
    if isinstance(ours, FoVBackgroundModel):
        # gammapy reads a background model under its default name; its parameters stay
        return api.models.FoVBackgroundModel(theirs.datasets_names[0], name=ours.name, **parts)
    return api.models.SkyModel(
        **{"temporal_model": theirs.temporal_model} | parts,
        name=ours.name,
        apply_irf=theirs.apply_irf,
        datasets_names=theirs.datasets_names,
    )


def _template_to(theirs: Any, ours: TemplateNPredModel, api: Any, geom: Any) -> Any:
    shape = np.shape(ours.counts)
    if geom is None and ours.filename is not None and existing(as_path(ours.filename)) is not None:
        geom = _built(api.maps.Map.read, ours.filename).geom
    if geom is None:
        raise InputError(
            f"to_gammapy: the template {ours.name!r} does not know the energies and pixels of its counts. Give a "
            "dataset that has them: to_gammapy(models, dataset=run)."
        )
    wanted = geom.data_shape if len(shape) > 1 else geom.data_shape[:1]
    if shape != wanted:
        raise InputError(
            f"to_gammapy: the counts of the template {ours.name!r} have shape {shape}, expected {wanted} as the "
            "dataset or the file has."
        )
    return api.models.TemplateNPredModel(
        api.maps.Map.from_geom(geom, data=np.array(ours.counts, float).reshape(geom.data_shape)),
        spectral_model=theirs.spectral_model,
        name=ours.name,
        filename=ours.filename,
        datasets_names=None if ours.datasets_names is None else list(ours.datasets_names),
    )


def _parameters_to(model: Any, api: Any) -> dict[str, Any]:
    declared, where = declared_parameters(type(model)), f"to_gammapy: {type(model).__name__}"
    entries = [parameter_to_dict(name, p, declared.get(name), where) for name, p in model.parameters.items()]
    return {p.name: p for p in api.parameters.from_dict(entries)}


def _sky_template_to(model: TemplateSpatialModel, api: Any) -> Any:
    axes = []
    if model.energy is not None:
        edges, nodes = model.energy_edges, np.asarray(model.energy) * u.TeV
        make = api.maps.MapAxis.from_edges if edges else api.maps.MapAxis.from_nodes
        axes = [make(nodes, interp=model.energy_interp, name="energy_true")]
    geom = api.maps.WcsGeom(model.geom.wcs, npix=model.geom.shape[::-1], axes=axes)
    values, unit = np.array(model.values, float), model.unit
    if model.normalize:
        # gammapy divides by the areas of the pixels again
        values = values * np.nan_to_num(geom.to_image().solid_angle().value)
    made = api.maps.Map.from_geom(geom, data=values, unit=unit)
    options = {"normalize": model.normalize, "filename": model.filename}
    return api.models.TemplateSpatialModel(made, **options, **_parameters_to(model, api))


def _light_curve_to(model: LightCurveTemplateTemporalModel, api: Any) -> Any:
    axes = [api.maps.MapAxis.from_nodes(np.asarray(model.time) * u.d, name="time")]
    if model.energy is not None:
        axes.append(api.maps.MapAxis.from_nodes(np.asarray(model.energy) * u.TeV, interp="log", name="energy"))
    made = api.maps.RegionNDMap.create(region=None, axes=axes, dtype=float)
    made.data = np.array(model.norm, float).T.reshape(made.data.shape)
    peer = api.models.LightCurveTemplateTemporalModel(made, filename=model.filename)
    peer.scale, peer.t_ref = model.scale, _parameters_to(model, api)["t_ref"]
    return peer


def _phase_curve_to(model: TemplatePhaseCurveTemporalModel, api: Any) -> Any:
    table = Table({"PHASE": np.array(model.phase), "NORM": np.array(model.norm)})
    options = {"normalize": model.normalize, "filename": model.filename, "scale": model.scale}
    return api.models.TemplatePhaseCurveTemporalModel(table, **options, **_parameters_to(model, api))


_TO: dict[type, Any] = {
    TemplateSpatialModel: _sky_template_to,
    LightCurveTemplateTemporalModel: _light_curve_to,
    TemplatePhaseCurveTemporalModel: _phase_curve_to,
    # gammapy writes it, and does not find it when it reads
    ConstantFluxSpatialModel: lambda model, api: api.models.ConstantFluxSpatialModel(),
}


def _link(components: list[Any], models: Models) -> None:
    """Make parameters with one label one object, as gammapy's links are."""
    leads: dict[str, Any] = {}
    for theirs, ours in zip(components, models, strict=True):
        for word in ("spectral", *WORDS):
            for owner, name, parameter in _owned(getattr(ours, word, None), getattr(theirs, f"{word}_model", None)):
                if parameter.link is not None:
                    setattr(owner, name, leads.setdefault(parameter.link, getattr(owner, name)))


def _owned(ours: Any, theirs: Any) -> Iterator[tuple[Any, str, Any]]:
    """Model of gammapy, name and our `Parameter` for each parameter; those of nested models belong to these."""
    if not isinstance(ours, SpectralModel | SpatialModel | TemporalModel):
        return
    inner = [key for key in NESTED if isinstance(getattr(ours, key, None), SpectralModel)]
    for key in inner:
        yield from _owned(getattr(ours, key), getattr(theirs, key))
    if not inner:
        for name, parameter in ours.parameters.items():
            yield theirs, name, parameter


def _built(function: Any, entry: Any) -> Any:
    try:
        return function(entry)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"to_gammapy: gammapy cannot build these models ({type(error).__name__}: {error}).") from error
