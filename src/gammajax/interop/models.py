"""Models to and from gammapy by way of the YAML form of both; templates, which that form keeps in files, in memory."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from astropy import units as u
from astropy.table import Table

from gammajax.datasets.errors import InputError
from gammajax.datasets.io.fits import Fields
from gammajax.datasets.io.paths import as_path, existing
from gammajax.datasets.models.collection import Models
from gammajax.datasets.models.links import check_links
from gammajax.datasets.models.parameter import Parameter
from gammajax.datasets.models.penalty import GaussianPriorPenalty
from gammajax.datasets.models.sky_model import FoVBackgroundModel, ModelBase, SkyModel, TemplateNPredModel
from gammajax.datasets.models.spatial.base import SpatialModel
from gammajax.datasets.models.spatial.builtin import ConstantFluxSpatialModel
from gammajax.datasets.models.spatial.template import TemplateSpatialModel
from gammajax.datasets.models.spatial.template_nd import TemplateNDSpatialModel
from gammajax.datasets.models.spectral.base import SpectralModel
from gammajax.datasets.models.spectral.crab import MeyerCrabSpectralModel
from gammajax.datasets.models.temporal.base import TemporalModel
from gammajax.datasets.models.temporal.tables import LightCurveTemplateTemporalModel, TemplatePhaseCurveTemporalModel
from gammajax.datasets.models.yaml.components import PARTS, part_to_dict, read_part
from gammajax.datasets.models.yaml.parameters import Links, declared_parameters, parameter_to_dict, read_parameters
from gammajax.datasets.sky.axis import MapAxis
from gammajax.datasets.sky.geom import SkyGeom
from gammajax.interop.api import Api

if TYPE_CHECKING:
    import gammapy.maps
    import gammapy.modeling
    import gammapy.modeling.models as peers

Part = SpectralModel | SpatialModel | TemporalModel

PeerPart: TypeAlias = "peers.SpectralModel | peers.SpatialModel | peers.TemporalModel"

PeerModel: TypeAlias = "peers.SkyModel | peers.FoVBackgroundModel | peers.TemplateNPredModel"

Entry = TypeVar("Entry")

Built = TypeVar("Built")

WORDS = ("spatial", "temporal")

NESTED = ("model1", "model2", "model")

# From gammapy


def models_from(models: "peers.DatasetModels", api: Api) -> Models:
    """Models from a container of gammapy."""
    # labels are given when models are written; the container's own to_dict would write templates to files
    models.update_link_label()
    links: Links = {}
    found = Models([_model_from(model, api, links) for model in models])
    penalties = getattr(models, "_penalties", None)
    return Models(found, [_penalty_from(p, models, found) for p in penalties]) if penalties else found


def _penalty_from(
    peer: "gammapy.stats.GaussianPriorPenalty", models: "peers.DatasetModels", found: Models
) -> GaussianPriorPenalty:
    if type(peer).__name__ != GaussianPriorPenalty.__name__:
        raise InputError(f"from_gammapy: found the penalty {type(peer).__name__}, expected a GaussianPriorPenalty.")
    names = {id(parameter): name for name, parameter in _counterparts(found, models)}
    unknown = [p.name for p in peer.parameters if id(p) not in names]
    if unknown:
        raise InputError(f"from_gammapy: a penalty is on the parameter {unknown[0]!r}, which none of the models has.")
    return GaussianPriorPenalty([names[id(p)] for p in peer.parameters], peer.mean, peer.covariance.data, peer.lambda_)


def _penalty_to(
    penalty: GaussianPriorPenalty, models: Models, peer: "peers.Models", api: Api
) -> "gammapy.stats.GaussianPriorPenalty":
    parameters = dict(_counterparts(models, peer))
    chosen = [parameters[name] for name in penalty.names]
    return api.stats.GaussianPriorPenalty(chosen, np.asarray(penalty.mean), penalty.covariance, float(penalty.lambda_))


def _counterparts(models: Models, peer: "Iterable[PeerModel]") -> "Iterator[tuple[str, gammapy.modeling.Parameter]]":
    """Parameters of gammapy's models by the full names of ours; those of models that differ in them are left out."""
    for ours, theirs in zip(models, peer, strict=True):
        objects = [
            getattr(owner, name)
            for word in ("spectral", *WORDS)
            for owner, name, _ in _owned(getattr(ours, word, None), getattr(theirs, f"{word}_model", None))
        ]
        names = Models(ours).parameters.names
        if len(names) == len(objects):
            yield from zip(names, objects, strict=True)


def _model_from(peer: PeerModel, api: Api, links: Links) -> ModelBase:
    where = f"from_gammapy: model {peer.name!r}"
    template = isinstance(peer, api.models.TemplateNPredModel)
    parts = {
        word: part_from(part, f"{where}, {word}", links)
        for word in ("spectral", *(() if template else WORDS))
        if (part := getattr(peer, f"{word}_model", None)) is not None
    }
    common = {**parts, "name": peer.name, "datasets_names": peer.datasets_names}
    if template:
        return _template_from(peer, common)
    try:
        if isinstance(peer, api.models.FoVBackgroundModel):
            return FoVBackgroundModel(**common)
        return SkyModel(**common, apply_irf=peer.apply_irf)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def part_from(part: PeerPart, where: str = "from_gammapy", links: Links | None = None) -> Part:
    """A spectral, spatial or temporal model from one of gammapy."""
    word = part.type
    links = {} if links is None else links
    if type(part).__name__ == MeyerCrabSpectralModel.__name__:
        # gammapy has no tag for it, and cannot make a dictionary of it
        declared = declared_parameters(MeyerCrabSpectralModel)
        return MeyerCrabSpectralModel(**read_parameters(part.parameters.to_dict(), where, links, declared))
    section = part.to_dict()[word]
    if word != "spectral":
        # the value of a ConstantSpatialModel is not in its own dictionary
        section["parameters"] = part.parameters.to_dict()
    if section["type"] not in _FROM or word == "spectral":
        return read_part(word, section, where, links, Path())
    kind, build = _FROM[section["type"]]
    declared = declared_parameters(kind)
    # of some models their maps say which parameters there are
    parameters = read_parameters(section["parameters"], where, links, declared, not declared)
    try:
        return build(part, parameters)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _template_from(peer: "peers.TemplateNPredModel", common: Fields) -> TemplateNPredModel:
    counts, filename = np.array(peer.map.data, float), peer.filename
    if peer.spatial_model is not None:
        # its numbers are no parameters of the model in gammapy, so that counts say the same; the file does not
        counts, filename = counts * peer.spatial_model.evaluate_geom(peer.map.geom).value, None
    if peer.map.geom.is_region:
        counts = counts[:, 0, 0]
    return TemplateNPredModel(counts, **common, filename=filename)


def _axis_from(axis: "gammapy.maps.MapAxis", name: str) -> MapAxis:
    nodes = axis.edges if axis.node_type == "edges" else axis.center
    return MapAxis(nodes, axis.interp, name, node_type=axis.node_type)


def _sky_template_from(peer: "peers.TemplateSpatialModel", parameters: Fields) -> TemplateSpatialModel:
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


def _grid_from(peer: "peers.TemplateNDSpatialModel", parameters: Fields) -> TemplateNDSpatialModel:
    geom = peer.map.geom
    if geom.is_hpx:
        raise InputError("found a HEALPix map, expected a map in a projection. Reproject it.")
    axes = [axis for axis in geom.axes if axis.name != "energy_true"]
    # the first axis is the last dimension
    order = [len(geom.axes) - 1 - geom.axes.names.index(axis.name) for axis in axes]
    cube = "energy_true" in geom.axes.names
    if cube:
        order.append(len(geom.axes) - 1 - geom.axes.names.index("energy_true"))
    n = len(geom.axes)
    unit = peer.map.unit if peer.map.unit != "" else "sr-1"
    return TemplateNDSpatialModel(
        u.Quantity(np.transpose(np.array(peer.map.data, float), (*order, n, n + 1)), unit),
        SkyGeom.from_wcs(geom.wcs, geom.data_shape[-2:]),
        [_axis_from(axis, axis.name) for axis in axes],
        _axis_from(geom.axes["energy_true"], "energy_true") if cube else None,
        filename=peer.filename,
        **parameters,
    )


def _light_curve_from(
    peer: "peers.LightCurveTemplateTemporalModel", parameters: Fields
) -> LightCurveTemplateTemporalModel:
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
        axes["time"].center,
        values,
        energy=energy,
        filename=peer.filename,
        scale=peer.scale,
        time_interp=axes["time"].interp,
        energy_interp="log" if energy is None else axes["energy"].interp,
        **parameters,
    )


def _phase_curve_from(
    peer: "peers.TemplatePhaseCurveTemporalModel", parameters: Fields
) -> TemplatePhaseCurveTemporalModel:
    phase, norm = (np.array(peer.table[name], float) for name in ("PHASE", "NORM"))
    return TemplatePhaseCurveTemporalModel(
        phase, norm, normalize=peer.normalize, filename=peer.filename, scale=peer.scale, **parameters
    )


_FROM: dict[str, tuple[type[Part], Callable[[PeerPart, Fields], Part]]] = {
    "TemplateSpatialModel": (TemplateSpatialModel, _sky_template_from),
    "TemplateNDSpatialModel": (TemplateNDSpatialModel, _grid_from),
    "LightCurveTemplateTemporalModel": (LightCurveTemplateTemporalModel, _light_curve_from),
    "TemplatePhaseCurveTemporalModel": (TemplatePhaseCurveTemporalModel, _phase_curve_from),
}

# To gammapy


def models_to(models: Models, api: Api, geom: "gammapy.maps.Geom | None" = None) -> "peers.Models":
    """A container of gammapy; ``geom`` (of gammapy) is that of the counts of `TemplateNPredModel`s."""
    check_links(models.parameters)
    components = [_model_to(model, api, geom) for model in models]
    _link(components, models)
    built = _built(api.models.Models, components)
    if models.penalties:
        built.set_penalties([_penalty_to(penalty, models, built, api) for penalty in models.penalties])
    return built


def _model_to(model: ModelBase, api: Api, geom: "gammapy.maps.Geom | None") -> PeerModel:
    where = f"to_gammapy: model {model.name!r}"
    # before its parts, which gammapy need not know either
    if not isinstance(model, SkyModel | FoVBackgroundModel | TemplateNPredModel):
        raise InputError(f"{where}: gammapy has no {type(model).__name__}. Leave it out.")
    _check_datasets(model)
    names = None if model.datasets_names is None else list(model.datasets_names)
    parts = {
        f"{word}_model": part_to(part, api, f"{where}, {word}")
        for word, part in model.components.items()
        if word != "counts"
    }
    if isinstance(model, TemplateNPredModel):
        made = _template_map(model, api, geom)
        return api.models.TemplateNPredModel(
            made, **parts, name=model.name, filename=model.filename, datasets_names=names
        )
    if isinstance(model, FoVBackgroundModel):
        return api.models.FoVBackgroundModel(*names or (), **parts, name=model.name)
    options = {"name": model.name, "apply_irf": model.apply_irf, "datasets_names": names}
    return _built(lambda given: api.models.SkyModel(**given), parts | options)


def part_to(part: Part, api: Api, where: str = "to_gammapy") -> PeerPart:
    """A spectral, spatial or temporal model of gammapy."""
    if type(part) in _TO:
        return _TO[type(part)](part, api)
    word = next((word for word, known in PARTS.items() if isinstance(part, known.base)), "spectral")
    entry = part_to_dict(word, part, where)
    registry = getattr(api.models, f"{word.upper()}_MODEL_REGISTRY")
    return _built(_built(registry.get_cls, entry["type"]).from_dict, {word: entry})


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


def _template_map(ours: TemplateNPredModel, api: Api, geom: "gammapy.maps.Geom | None") -> "gammapy.maps.Map":
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
    return api.maps.Map.from_geom(geom, data=np.array(ours.counts, float).reshape(geom.data_shape))


def _parameters_to(model: Part, api: Api) -> dict[str, "gammapy.modeling.Parameter"]:
    declared, where = declared_parameters(type(model)), f"to_gammapy: {type(model).__name__}"
    entries = [parameter_to_dict(name, p, declared.get(name), where) for name, p in model.parameters.items()]
    return {p.name: p for p in api.parameters.from_dict(entries)}


def _sky_template_to(model: TemplateSpatialModel, api: Api) -> "peers.TemplateSpatialModel":
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


def _grid_to(model: TemplateNDSpatialModel, api: Api) -> "peers.TemplateNDSpatialModel":
    axes = []
    if model.energy is not None:
        make = api.maps.MapAxis.from_edges if model.energy_edges else api.maps.MapAxis.from_nodes
        axes = [make(np.asarray(model.energy) * u.TeV, interp=model.energy_interp, name="energy_true")]
    for name, scale in zip(model.nodes, model.scales, strict=True):
        nodes = u.Quantity(np.asarray(model.nodes[name]), model.coordinates[name].unit)
        axes.append(api.maps.MapAxis.from_nodes(nodes, interp=scale, name=name))
    geom = api.maps.WcsGeom(model.geom.wcs, npix=model.geom.shape[::-1], axes=axes)
    made = api.maps.Map.from_geom(geom, data=model.fastest_first(), unit=model.unit)
    peer = api.models.TemplateNDSpatialModel(made, filename=model.filename)
    for name, parameter in model.parameters.items():
        entry = parameter_to_dict(name, parameter, None, "to_gammapy")
        (built,) = api.parameters.from_dict([entry])
        setattr(peer, name, built)
    return peer


def _light_curve_to(model: LightCurveTemplateTemporalModel, api: Api) -> "peers.LightCurveTemplateTemporalModel":
    axes = [api.maps.MapAxis.from_nodes(np.asarray(model.time) * u.d, interp=model.time_interp, name="time")]
    if model.energy is not None:
        energy = np.asarray(model.energy) * u.TeV
        axes.append(api.maps.MapAxis.from_nodes(energy, interp=model.energy_interp, name="energy"))
    made = api.maps.RegionNDMap.create(region=None, axes=axes, dtype=float)
    made.data = np.array(model.norm, float).T.reshape(made.data.shape)
    peer = api.models.LightCurveTemplateTemporalModel(made, filename=model.filename)
    peer.scale, peer.t_ref = model.scale, _parameters_to(model, api)["t_ref"]
    return peer


def _phase_curve_to(model: TemplatePhaseCurveTemporalModel, api: Api) -> "peers.TemplatePhaseCurveTemporalModel":
    table = Table({"PHASE": np.array(model.phase), "NORM": np.array(model.norm)})
    options = {"normalize": model.normalize, "filename": model.filename, "scale": model.scale}
    return api.models.TemplatePhaseCurveTemporalModel(table, **options, **_parameters_to(model, api))


def _meyer_to(model: MeyerCrabSpectralModel, api: Api) -> "peers.MeyerCrabSpectralModel":
    peer = api.models.MeyerCrabSpectralModel()
    peer.norm = _parameters_to(model, api)["norm"]
    return peer


# each takes models of its own type
_TO: dict[type[Part], Callable[[Any, Api], PeerPart]] = {
    TemplateSpatialModel: _sky_template_to,
    TemplateNDSpatialModel: _grid_to,
    LightCurveTemplateTemporalModel: _light_curve_to,
    TemplatePhaseCurveTemporalModel: _phase_curve_to,
    MeyerCrabSpectralModel: _meyer_to,
    # gammapy writes it, and does not find it when it reads
    ConstantFluxSpatialModel: lambda model, api: api.models.ConstantFluxSpatialModel(),
}


def _link(components: list[PeerModel], models: Models) -> None:
    """Make parameters with one label one object, as gammapy's links are."""
    leads: dict[str, gammapy.modeling.Parameter] = {}
    for theirs, ours in zip(components, models, strict=True):
        for word in ("spectral", *WORDS):
            for owner, name, parameter in _owned(getattr(ours, word, None), getattr(theirs, f"{word}_model", None)):
                if parameter.link is not None:
                    setattr(owner, name, leads.setdefault(parameter.link, getattr(owner, name)))


def _owned(ours: object, theirs: "PeerPart | None") -> "Iterator[tuple[PeerPart | None, str, Parameter]]":
    """Model of gammapy, name and our `Parameter` for each parameter; those of nested models belong to these."""
    if not isinstance(ours, SpectralModel | SpatialModel | TemporalModel):
        return
    inner = [key for key in NESTED if isinstance(getattr(ours, key, None), SpectralModel)]
    for key in inner:
        yield from _owned(getattr(ours, key), getattr(theirs, key))
    if not inner:
        for name, parameter in ours.parameters.items():
            yield theirs, name, parameter


def _built(function: Callable[[Entry], Built], entry: Entry) -> Built:
    try:
        return function(entry)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"to_gammapy: gammapy cannot build these models ({type(error).__name__}: {error}).") from error
