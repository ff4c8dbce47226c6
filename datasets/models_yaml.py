"""Models in gammapy's YAML form, read and written.

What the file says is what the models carry: values, units, bounds, frozen or not, errors, links and priors. A
covariance file that is referred to is not needed: its diagonal is in the ``error`` of each parameter, and models hold
no correlations.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import InputError
from .files import as_path, write_files
from .models import Models
from .parameter import Parameter
from .parameters_yaml import (
    Links,
    declared_parameters,
    flag_of,
    list_of,
    mapping_of,
    parameter_to_dict,
    read_parameters,
    text_of,
)
from .sky_model import APPLY_IRF, FoVBackgroundModel, ModelBase, SkyModel, background_name
from .spectral_base import SpectralModel
from .spectral_registry import SPECTRAL_MODELS
from .suggestions import closest
from .yaml_files import dump_yaml, load_yaml

MODELS: dict[str, type[ModelBase]] = {tag: cls for cls in (SkyModel, FoVBackgroundModel) for tag in cls.tag}

# "optimize_result" and "covariance_result" stand in files of gammapy's FitResult
_FILE_KEYS = ("components", "covariance", "metadata", "checksum", "optimize_result", "covariance_result")
_COMPONENT_KEYS = ("name", "type", "apply_irf", "datasets_names", "spectral")
# models inside models: of sums and products, and of scaled models
_INNER = ("model1", "model2", "model")
_EXTRA_KEYS = (*_INNER, "operator", "energy", "values", "param", "unit", "interp", "filename")
_SECTIONS = {"spatial": " (spectra carry the containment of the source in their exposure)", "temporal": ""}
_MAPS_ONLY = ("TemplateNPredModel", "template-npred", "BackgroundModel")


def read_models(filename: Any) -> Models:
    """Read models from a YAML file as gammapy 2.1 writes it.

    Missing parameters and fields take the defaults of the model class. Whatever cannot be used ends in an `InputError`
    that names file, model and parameter.
    """
    path = as_path(filename)
    return models_from_dict(load_yaml(path), str(path), path.parent)


def models_from_dict(data: Mapping[str, Any], where: str = "models", base_path: Any = ".") -> Models:
    """Models from the content of a YAML file.

    ``where`` names the source in error messages; files that the models refer to are looked for in ``base_path``.
    """
    data = mapping_of(data, _FILE_KEYS, where)
    if "components" not in data:
        raise InputError(f"{where}: the key 'components' (the list of models) is missing.")
    links: Links = {}
    components = list_of(data["components"], f"{where}, components")
    models = [_component(entry, i, where, links, Path(base_path)) for i, entry in enumerate(components)]
    try:
        return Models(models)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def write_models(models: Any, filename: Any, overwrite: bool = False) -> None:
    """Write models to a YAML file, completely or not at all; gammapy 2.1 reads it.

    gammapy has no form for a background model of several datasets or one with a name of its own, nor for the model
    inside a ``ScaleSpectralModel``; these are written in the same manner, for gammajax to read.
    """
    path = as_path(filename)
    write_files({path: dump_yaml(models_to_dict(models)).encode()}, overwrite=overwrite)


def models_to_dict(models: Any) -> dict[str, Any]:
    """The content of the YAML file of models."""
    models = Models(models)
    _check_links(models)
    return {"components": [_component_to_dict(model) for model in models]}


def _component(entry: Any, index: int, where: str, links: Links, base: Path) -> ModelBase:
    where_index = f"{where}: component {index + 1}"
    entry = mapping_of(entry, None, where_index)
    datasets_names = _datasets_names(entry.get("datasets_names"), where_index)
    name = text_of(entry["name"], f"{where_index}, name") if "name" in entry else None
    if name is not None:
        where = f"{where}: model {name!r}"
    else:
        where = where_index + (f" (of {', '.join(datasets_names)})" if datasets_names else "")

    if "type" not in entry:
        raise InputError(f"{where}: the key 'type' is missing. Types: {', '.join(MODELS)}.")
    if entry["type"] in _MAPS_ONLY:
        raise InputError(
            f"{where}: a {entry['type']} is a model of maps. This version handles spectral models of spectra only. "
            "Remove the model from the file."
        )
    kind = MODELS.get(text_of(entry["type"], f"{where}, type"))
    if kind is None:
        raise InputError(f"{where}: unknown model type {entry['type']!r}. {closest(entry['type'], MODELS, 'types')}")
    for section, reason in _SECTIONS.items():
        if section in entry:
            raise InputError(
                f"{where}: it has a section {section!r}. This version handles spectral models of spectra only{reason}. "
                f"Remove the section {section!r} from the file."
            )
    mapping_of(entry, _COMPONENT_KEYS, where)

    spectral = None
    if "spectral" in entry:
        spectral = _spectral(entry["spectral"], f"{where}, spectral", links, base)
    elif kind is SkyModel:
        raise InputError(f"{where}: the section 'spectral' is missing.")
    apply_irf = _apply_irf(entry.get("apply_irf"), where)
    try:
        if kind is FoVBackgroundModel:
            if apply_irf is not None:
                raise InputError("a background model has no 'apply_irf'. Remove the key.")
            return FoVBackgroundModel(spectral, datasets_names, name)
        if name is None:
            raise InputError("the key 'name' is missing. Give every source its own name.")
        return SkyModel(spectral, name, datasets_names, apply_irf)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _datasets_names(data: Any, where: str) -> tuple[str, ...] | None:
    if data is None:
        return None
    names = data if isinstance(data, list) else [data]
    return tuple(text_of(name, f"{where}, datasets_names") for name in names)


def _apply_irf(data: Any, where: str) -> dict[str, bool] | None:
    if data is None:
        return None
    data = mapping_of(data, APPLY_IRF, f"{where}, apply_irf")
    return {key: flag_of(flag, f"{where}, apply_irf, {key}") for key, flag in data.items()}


def _spectral(entry: Any, where: str, links: Links, base: Path) -> SpectralModel:
    entry = mapping_of(entry, None, where)
    if "type" not in entry:
        raise InputError(f"{where}: the key 'type' is missing. Write for example 'type: PowerLawSpectralModel'.")
    tag = text_of(entry["type"], f"{where}, type")
    kind: Any = SPECTRAL_MODELS.get(tag)
    if kind is None:
        raise InputError(f"{where}: unknown spectral model type {tag!r}. {closest(tag, SPECTRAL_MODELS, 'types')}")
    has_extra = hasattr(kind, "from_extra")
    mapping_of(entry, ("type", "parameters", *(_EXTRA_KEYS if has_extra else ())), where)
    fields = {f.name for f in dataclasses.fields(kind)}
    inner = [key for key in _INNER if key in fields]
    for key in inner:
        if key not in entry:
            hint = " gammapy does not write the model inside a ScaleSpectralModel: add it." if key == "model" else ""
            raise InputError(f"{where}: the section {key!r} is missing.{hint}")
    parts = {key: _spectral(entry[key], f"{where}.{key}", links, base) for key in inner}
    declared = declared_parameters(kind)
    parameters = read_parameters(entry.get("parameters", []), where, links, declared, others=has_extra)
    try:
        model = kind.from_extra({**entry, **parts}, parameters, base) if has_extra else kind(**parameters)
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


def _check_links(models: Models) -> None:
    """Parameters with one label have to be one, else the file would not say which of them is meant."""
    seen: dict[str, tuple[str, Parameter]] = {}
    for name, parameter in models.parameters.items():
        if parameter.link is None:
            continue
        first, lead = seen.setdefault(parameter.link, (name, parameter))
        # texts, so that an undetermined error (NaN) equals itself
        if any(str(getattr(lead, f.name)) != str(getattr(parameter, f.name)) for f in dataclasses.fields(Parameter)):
            raise InputError(
                f"{name}: it is linked (as {parameter.link!r}) with {first}, but they differ: {parameter!r} and "
                f"{lead!r}. Make them one with models.link({first!r}, {name!r})."
            )


def _component_to_dict(model: ModelBase) -> dict[str, Any]:
    where = f"model {model.name!r}"
    if MODELS.get(model.tag[0]) is not type(model):
        raise InputError(f"{where}: a {type(model).__name__} cannot be written to YAML.")
    data: dict[str, Any] = {}
    names = model.datasets_names
    if not isinstance(model, FoVBackgroundModel) or model.name != background_name(names):
        data["name"] = model.name
    data["type"] = model.tag[0]
    if isinstance(model, SkyModel) and model.apply_irf != APPLY_IRF:
        data["apply_irf"] = model.apply_irf
    if names is not None:
        data["datasets_names"] = list(names)
    data["spectral"] = _spectral_to_dict(model.spectral, f"{where}, spectral")
    return data


def _spectral_to_dict(model: Any, where: str) -> dict[str, Any]:
    kind = type(model)
    if not isinstance(model, SpectralModel):
        raise InputError(
            f"{where}: a {kind.__name__} has no YAML form. Keep its arrays with equinox.tree_serialise_leaves, "
            "or leave this model out."
        )
    if not kind.tag or SPECTRAL_MODELS.get(kind.tag[0]) is not kind:
        raise InputError(
            f"{where}: {kind.__name__} is not a registered model, so that it could not be read again. "
            f"Give it a tag and enter it in gammajax.datasets.spectral_registry.SPECTRAL_MODELS."
        )
    data: dict[str, Any] = {"type": kind.tag[0]}
    extra = model.extra_dict() if hasattr(model, "extra_dict") else {}
    declared = declared_parameters(kind)
    nested = any(key in extra for key in _INNER)
    # models inside list their parameters themselves
    own = {name: getattr(model, name) for name in declared} if nested else model.parameters
    if own or not nested:
        data["parameters"] = [parameter_to_dict(n, p, declared.get(n), where) for n, p in own.items()]
    for key, content in extra.items():
        data[key] = _spectral_to_dict(content, f"{where}.{key}") if key in _INNER else content
    return data
