"""The parts of a model, spectral, spatial and temporal, in gammapy's YAML form."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ....kernels.sphere import TO_ICRS
from ...errors import InputError, closest, warn
from ..component import Section
from ..instrument import InstrumentModel
from ..parameter import Parameter
from ..population import GaussianDistribution
from ..spatial.base import SpatialModel
from ..spatial.frames import parameters_in_icrs
from ..spatial.module import ModuleSpatialModel
from ..spatial.registry import SPATIAL_MODELS
from ..spectral.base import SpectralModel
from ..spectral.registry import SPECTRAL_MODELS
from ..temporal.base import TemporalModel
from ..temporal.registry import TEMPORAL_MODELS
from .parameters import Links, declared_parameters, flag_of, mapping_of, parameter_to_dict, read_parameters, text_of

# models inside models: of sums and products, and of scaled models
_INNER = ("model1", "model2", "model")


# parameters of gammapy before 1.0, which it reads over since
_LEGACY_PARAMETERS: dict[str, tuple[str, ...]] = {
    "TemplateSpectralModel": ("norm", "tilt", "reference"),
    "TemplateSpatialModel": ("norm",),
}


class Part(NamedTuple):
    """A section of the file: which models it may hold, and its keys besides ``type`` and ``parameters``.

    ``static`` is a field that every model there has, ``register`` the kind by which own ones are registered. Where a
    section is ``complete``, parameters that are free by default have to be given: a source at longitude 0 because the
    file forgot its position is not what anyone means.
    """

    base: Any
    models: Mapping[str, Any]
    example: str
    extra: tuple[str, ...]
    static: str | None = None
    complete: bool = True
    register: str = "spectral"


_SPECTRAL = Part(
    SpectralModel,
    SPECTRAL_MODELS,
    "PowerLawSpectralModel",
    (*_INNER, "operator", "energy", "values", "param", "unit", "interp", "filename"),
    complete=False,
)

PARTS = {
    "spectral": _SPECTRAL,
    "spatial": Part(
        SpatialModel,
        SPATIAL_MODELS,
        "PointSpatialModel",
        ("filename", "normalize", "unit", "lon", "lat", "interp"),
        "frame",
        register="spatial",
    ),
    "temporal": Part(
        TemporalModel,
        TEMPORAL_MODELS,
        "ExpDecayTemporalModel",
        ("filename", "normalize", "format", "unit"),
        "scale",
        register="temporal",
    ),
    "distribution": Part(
        GaussianDistribution,
        dict.fromkeys(GaussianDistribution.tag, GaussianDistribution),
        "GaussianDistribution",
        (),
    ),
    # factors of an instrument are norm models
    **dict.fromkeys(InstrumentModel.parts, _SPECTRAL._replace(example="PowerLawNormSpectralModel")),
}


def read_part(word: str, entry: object, where: str, links: Links, base: Path) -> Any:
    """The model of the section ``word`` from what the file has there; ``where`` names file, model and section."""
    part = PARTS[word]
    entry = mapping_of(entry, None, where)
    if "type" not in entry:
        raise InputError(f"{where}: the key 'type' is missing. Write for example 'type: {part.example}'.")
    tag = text_of(entry["type"], f"{where}, type")
    kind: Any = part.models.get(tag)
    if kind is None:
        raise InputError(f"{where}: unknown {word} model type {tag!r}. {closest(tag, part.models, 'types')}")
    has_extra = hasattr(kind, "from_extra")
    static = () if part.static is None else (part.static,)
    mapping_of(entry, ("type", "parameters", *static, *(part.extra if has_extra else ())), where)
    for key in (*static, "format"):
        if key in entry:
            text_of(entry[key], f"{where}, {key}")
    if "normalize" in entry:
        flag_of(entry["normalize"], f"{where}, normalize")

    fields = {f.name for f in dataclasses.fields(kind)}
    inner = [key for key in _INNER if key in fields]
    for key in inner:
        if key not in entry:
            hint = " gammapy does not write the model inside a ScaleSpectralModel: add it." if key == "model" else ""
            raise InputError(f"{where}: the section {key!r} is missing.{hint}")
    inside = {key: read_part(word, entry[key], f"{where}.{key}", links, base) for key in inner}
    parameters = _parameters(part, kind, entry, where, links)
    given = entry.get("frame", "icrs")
    try:
        declared = declared_parameters(kind)
        if given not in TO_ICRS and "lon_0" in declared:
            # without a position a template is where its map is
            if parameters.keys() & {"lon_0", "lat_0"} or not has_extra:
                parameters = parameters_in_icrs(parameters, declared, given)
            entry = {**entry, "frame": "icrs"}
        if has_extra:
            model = kind.from_extra({**entry, **inside}, parameters, base)
            _check_frame(model, entry, given)
        else:
            model = kind(**parameters, **{key: entry[key] for key in static if key in entry})
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    except KeyError as error:
        raise InputError(f"{where}: the key {error} is missing.") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: no {tag} can be built from what the file says ({error}).") from error
    for name in parameters:
        if name not in model.parameters:
            known = closest(name, model.parameters)
            raise InputError(f"{where}, parameter {name!r}: the model has no parameter of this name. {known}")
    return model


def _parameters(part: Part, kind: Any, entry: Section, where: str, links: Links) -> dict[str, Parameter]:
    declared = declared_parameters(kind)
    # of some models a file that they name says which parameters there are
    others = hasattr(kind, "from_extra") and (not part.complete or not declared)
    given = entry.get("parameters", [])
    legacy = _LEGACY_PARAMETERS.get(kind.tag[0], ()) if isinstance(given, list) else ()
    ignored = [p for p in given if isinstance(p, dict) and p.get("name") in legacy]
    if ignored:
        names = " and ".join(str(p["name"]) for p in ignored)
        warn(f"{where}: {names} of a {kind.tag[0]} is ignored, as by gammapy. Multiply it by a norm model instead.")
        given = [p for p in given if p not in ignored]
    parameters = read_parameters(given, where, links, declared, others)
    for name, default in declared.items():
        if part.complete and not default.frozen and name not in parameters:
            unit = f", unit: {default.unit}" if default.unit else ""
            raise InputError(
                f"{where}: the parameter {name!r} is missing. Add '- {{name: {name}, value: ...{unit}}}' to the "
                "parameters."
            )
    return parameters


def _check_frame(model: Any, entry: Section, given: str) -> None:
    """The position of a template is in the frame of its map, whatever the file says, which is ``given``."""
    if not isinstance(model, SpatialModel) or "frame" not in entry:
        return
    if entry["frame"] != model.frame:
        raise InputError(
            f"the frame is {given!r}, and that of the map {model.frame!r}, in which lon_0 and lat_0 have to "
            "be. Correct them, or leave them out: the map is then where its header says."
        )


def part_to_dict(word: str, model: Any, where: str) -> Section:
    """The content of the section ``word`` of a file."""
    part: Part = PARTS[word]
    kind: Any = type(model)
    if not isinstance(model, part.base) or isinstance(model, ModuleSpatialModel):
        raise InputError(
            f"{where}: a {kind.__name__} has no YAML form. Keep its arrays with equinox.tree_serialise_leaves, "
            "or leave this model out."
        )
    if not kind.tag or part.models.get(kind.tag[0]) != kind:
        raise InputError(
            f"{where}: {kind.__name__} is not a registered model, so that it could not be read again. "
            f"Give it a tag, and make it known with gammajax.register_{part.register}_model."
        )
    try:
        extra = model.extra_dict() if hasattr(model, "extra_dict") else {}
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    declared = declared_parameters(kind)
    nested = any(key in extra for key in _INNER)
    # models inside list their parameters themselves
    own = {name: getattr(model, name) for name in declared} if nested else model.parameters

    data: Section = {"type": kind.tag[0]}
    if isinstance(model, SpatialModel) and (model.position is not None or model.frame != "icrs"):
        # models of the whole sky have no frame in gammapy
        data["frame"] = model.frame
    if own or not nested:
        data["parameters"] = [parameter_to_dict(n, p, declared.get(n), where) for n, p in own.items()]
    if isinstance(model, TemporalModel):
        data["scale"] = model.scale
    for key, content in extra.items():
        data[key] = part_to_dict(word, content, f"{where}.{key}") if key in _INNER else content
    return data
