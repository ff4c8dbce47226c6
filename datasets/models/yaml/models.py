"""Models in gammapy's YAML form, read and written.

What the file says is what the models carry: values, units, bounds, frozen or not, errors, links and priors. A
covariance file that is referred to is not needed: its diagonal is in the ``error`` of each parameter, and models hold
no correlations.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, closest, warn
from ...io.fermi import is_counts_cube, read_counts_cube
from ...io.fits import FitsFile, naming
from ...io.gadf_quantity import read_quantity
from ...io.paths import Filename, as_path, beside, existing
from ...io.yaml import dump_yaml, load_yaml
from ..component import Section
from ..instrument import InstrumentModel
from ..population import PopulationModel
from ..sky_model import APPLY_IRF, FoVBackgroundModel, ModelBase, SkyModel, TemplateNPredModel, background_name
from .components import PARTS, part_to_dict, read_part
from .parameters import Links, flag_of, list_of, mapping_of, text_of

_COMMON = ("name", "type", "datasets_names", "spectral")

# what a model of each type may have
_KEYS: dict[type[ModelBase], tuple[str, ...]] = {
    SkyModel: (*_COMMON, "apply_irf", "spatial", "temporal"),
    FoVBackgroundModel: (*_COMMON, "spatial"),
    TemplateNPredModel: (*_COMMON, "filename"),
    InstrumentModel: ("name", "type", "datasets_names", *InstrumentModel.parts, "energy_scale_of"),
    PopulationModel: ("name", "type", "members", *PopulationModel.parts),
}

# norms that gammapy before 0.19 wrote there; it reads over them since
_LEGACY_KEYS: dict[type[ModelBase], tuple[str, ...]] = {
    SkyModel: (),
    FoVBackgroundModel: ("parameters",),
    TemplateNPredModel: ("parameters",),
    InstrumentModel: (),
    PopulationModel: (),
}

_ALL_KEYS = tuple(dict.fromkeys(key for keys in _KEYS.values() for key in keys))

MODELS: dict[str, type[ModelBase]] = {tag: cls for cls in _KEYS for tag in cls.tag}

OLD_TEMPLATE = "BackgroundModel"

# "optimize_result" and "covariance_result" stand in files of gammapy's FitResult
_FILE_KEYS = ("components", "penalties", "covariance", "metadata", "checksum", "optimize_result", "covariance_result")


def read_components(filename: Filename) -> list[ModelBase]:
    """Models from a YAML file as gammapy 2.1 writes it.

    Missing parameters and fields take the defaults of the model class; only parameters of spatial and temporal models
    that are free by default have to be there. Templates are read from the files that are named, beside the YAML file or
    as given. Whatever cannot be used ends in an `InputError` that names file, model and parameter.
    """
    path = as_path(filename)
    return components_from_dict(load_yaml(path), str(path), path.parent)


def components_from_dict(data: Mapping[str, Any], where: str = "models", base_path: Filename = ".") -> list[ModelBase]:
    """Models from the content of a YAML file.

    ``where`` names the source in error messages; files that the models refer to are looked for in ``base_path``.
    """
    data = mapping_of(data, _FILE_KEYS, where)
    if "components" not in data:
        raise InputError(f"{where}: the key 'components' (the list of models) is missing.")
    links: Links = {}
    components = list_of(data["components"], f"{where}, components")
    return [_component(entry, i, where, links, Path(base_path)) for i, entry in enumerate(components)]


def components_contents(models: Iterable[ModelBase], filename: Filename) -> dict[Path, bytes]:
    """The YAML file of models as bytes by path; gammapy 2.1 reads it.

    Of templates only the file names are written, relative to the YAML file where they are beside it or below. gammapy
    has no form for a background model of several datasets or one with a name of its own, nor for the model inside a
    ``ScaleSpectralModel``; these are written in the same manner, for gammajax to read.
    """
    path = as_path(filename)
    return {path: dump_yaml(_located(components_to_dict(models), path.parent)).encode()}


def components_to_dict(models: Iterable[ModelBase]) -> Section:
    """The content of the YAML file of models."""
    data: Section = {"components": [_component_to_dict(model) for model in models]}
    # gammapy has no form for them, and reads over the key
    penalties = getattr(models, "penalties", ())
    return data | {"penalties": [penalty.to_dict() for penalty in penalties]} if penalties else data


def _component(entry: object, index: int, where: str, links: Links, base: Path) -> ModelBase:
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
    tag = text_of(entry["type"], f"{where}, type")
    kind = MODELS.get(tag)
    if kind is None:
        old = " Before version 1.0 gammapy gave this name to a TemplateNPredModel." if tag == OLD_TEMPLATE else ""
        raise InputError(f"{where}: unknown model type {tag!r}.{old} {closest(tag, MODELS, 'types')}")
    _check_keys(entry, kind, where)
    apply_irf = _apply_irf(entry.get("apply_irf"), where)
    if kind is SkyModel and "spectral" not in entry:
        raise InputError(f"{where}: the section 'spectral' is missing.")
    parts: Section = {
        word: read_part(word, entry[word], f"{where}, {word}", links, base) for word in PARTS if word in entry
    }
    if kind is not FoVBackgroundModel and name is None:
        raise InputError(f"{where}: the key 'name' is missing. Give every model its own name.")
    common: Section = {"datasets_names": datasets_names, **parts}
    try:
        if kind is FoVBackgroundModel:
            return FoVBackgroundModel(**common, name=name)
        if kind is TemplateNPredModel:
            return _template(entry, name, common, base)
        if kind is InstrumentModel:
            scale_of = {key: entry[key] for key in ("energy_scale_of",) if key in entry}
            return InstrumentModel(**common, **scale_of, name=str(name))
        if kind is PopulationModel:
            return _population(entry, str(name), parts)
        return SkyModel(**common, name=str(name), apply_irf=apply_irf)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _check_keys(entry: Section, kind: type[ModelBase], where: str) -> None:
    mapping_of(entry, (*_ALL_KEYS, *_LEGACY_KEYS[kind]), where)
    for key in entry:
        if key in _KEYS[kind]:
            continue
        if key in _LEGACY_KEYS[kind]:
            warn(
                f"{where}: the key {key!r} of a {kind.__name__} is ignored, as by gammapy. Write a norm into the "
                "section 'spectral'."
            )
            continue
        cure = "Remove the key."
        if kind is TemplateNPredModel and key == "spatial":
            cure = "Multiply the counts in the file by it."
        raise InputError(f"{where}: a {kind.__name__} has no {key!r}. {cure}")


def _population(entry: Section, name: str, parts: Section) -> PopulationModel:
    if missing := [key for key in ("members", *PopulationModel.parts) if key not in entry]:
        raise InputError(f"the key {missing[0]!r} is missing.")
    members = [text_of(member, "members") for member in list_of(entry["members"], "members")]
    distribution = parts["distribution"]
    return PopulationModel(members, distribution.mean, distribution.width, name)


def _template(entry: Section, name: str | None, common: Section, base: Path) -> TemplateNPredModel:
    if "filename" not in entry:
        raise InputError("the key 'filename' (the FITS map of the counts) is missing.")
    path = beside(entry["filename"], base)
    return TemplateNPredModel(read_template_counts(path), name=str(name), filename=str(path), **common)


def _datasets_names(data: object, where: str) -> tuple[str, ...] | None:
    if data is None:
        return None
    names = data if isinstance(data, list) else [data]
    return tuple(text_of(name, f"{where}, datasets_names") for name in names)


def _apply_irf(data: object, where: str) -> dict[str, bool] | None:
    if data is None:
        return None
    data = mapping_of(data, APPLY_IRF, f"{where}, apply_irf")
    return {key: flag_of(flag, f"{where}, apply_irf, {key}") for key, flag in data.items()}


def _component_to_dict(model: ModelBase) -> Section:
    where = f"model {model.name!r}"
    if MODELS.get(model.tag[0]) is not type(model):
        raise InputError(f"{where}: a {type(model).__name__} cannot be written to YAML.")
    data: Section = {}
    names = model.datasets_names
    if not isinstance(model, FoVBackgroundModel) or model.name != background_name(names):
        data["name"] = model.name
    data["type"] = model.tag[0]
    if isinstance(model, SkyModel) and model.apply_irf != APPLY_IRF:
        data["apply_irf"] = model.apply_irf
    if isinstance(model, InstrumentModel) and model.energy_scale is not None:
        data["energy_scale_of"] = model.energy_scale_of
    if isinstance(model, PopulationModel):
        data["members"] = list(model.members)
    elif names is not None:
        data["datasets_names"] = list(names)
    for word, part in model.components.items():
        if word != "counts":
            data[word] = part_to_dict(word, part, f"{where}, {word}")
    if isinstance(model, TemplateNPredModel):
        if model.filename is None:
            raise InputError(
                f"{where}: a YAML file refers to the counts by the name of a FITS map. Write the map, and name it: "
                "model.replace(filename='template.fits')."
            )
        data["filename"] = model.filename
    return data


def _located(data: object, folder: Path) -> Any:
    """The same content, with names of existing files relative to ``folder`` if they are inside it, else absolute.

    Names are relative to the working folder in memory, and to the folder of the YAML file in the file.
    """
    if isinstance(data, list):
        return [_located(item, folder) for item in data]
    if not isinstance(data, dict):
        return data
    new = {key: _located(content, folder) for key, content in data.items()}
    if isinstance(new.get("filename"), str) and existing(Path(new["filename"])) is not None:
        path, inside = Path(new["filename"]).absolute(), folder.absolute()
        new["filename"] = (path.relative_to(inside) if path.is_relative_to(inside) else path).as_posix()
    return new


BANDS = "_BANDS"


def read_template_counts(filename: Filename) -> np.ndarray:
    """Counts from a map that gammapy wrote: (n_reco, ny, nx), or (n_reco,) if the map is of one region.

    The first map of the file counts. It needs one further axis, energy, by edges. Counts cubes of the Fermi-LAT
    tools are read too. Raises InputError for other files.
    """
    file = FitsFile(filename)
    if is_counts_cube(file):
        return read_counts_cube(file)[2]
    name = next((hdu.name.removesuffix(BANDS) for hdu in file.hdus if hdu.name.endswith(BANDS)), None)
    if name is None:
        raise InputError(
            f"{file}: there is no map with energies, only {file.names()}; expected an image and its BANDS table, as "
            "gammapy writes maps."
        )
    stored = read_quantity(file, name).require_axes("energy")
    if stored.axes[0].node_type != "edges":
        raise InputError(
            f"{stored.where}: the energies are given by centres, expected edges: counts are integrals over bins. Write "
            "the map again with an axis of edges."
        )
    with naming(stored.where):
        values = stored.to_value("")
    return values if stored.geom is not None else values[:, 0, 0]
