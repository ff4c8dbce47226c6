"""Parameters and priors in the YAML form that gammapy uses."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

from ...arrays import Array
from ...errors import InputError, closest, warn
from ...units import parse_unit
from ..component import Section
from ..parameter import Parameter
from ..prior import PRIORS, Prior

# gammapy's settings for Minuit, scans and plots; they have no meaning for a scale-free fit and are read over
_UNUSED = (
    *("interp", "scale_method", "scale_transform", "is_norm"),
    *("scan_min", "scan_max", "scan_n_values", "scan_n_sigma", "scan_values"),
)

# "scale": what gammapy before 1.0 wrote beside a value, which does not change it
_KEYS = ("name", "value", "unit", "error", "min", "max", "frozen", "link", "prior", "scale", *_UNUSED)

# numbers of a prior are parameters in gammapy, so that it writes bounds and errors for them
_PRIOR_NUMBER_KEYS = ("name", "value", "unit", "error", "min", "max", "scale_method", "scale_transform")

# first parameter with each link label, and where it stands
Links = dict[str, tuple[str, Parameter]]


def shown(data: object) -> str:
    """What the file has there, cut short: it may be a whole section."""
    text = repr(data)
    return text if len(text) <= 60 else f"{text[:60]}..."


def mapping_of(data: object, keys: Iterable[str] | None, where: str) -> Section:
    """``data``, checked to be a mapping with no other than the given keys; keys without a value count as absent."""
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected a mapping ('key: value' lines), found {shown(data)}.")
    if keys is not None:
        for key in data:
            if key not in keys:
                raise InputError(f"{where}: unknown key {key!r}. {closest(key, keys, 'keys')}")
    return {key: content for key, content in data.items() if content is not None}


def list_of(data: object, where: str) -> list[Any]:
    if not isinstance(data, list):
        raise InputError(f"{where}: expected a list ('- ' lines), found {shown(data)}.")
    return data


def text_of(data: object, where: str) -> str:
    """Text; names such as 23523 that YAML takes for numbers are meant as text."""
    if isinstance(data, bool) or not isinstance(data, str | int | float):
        raise InputError(f"{where}: expected text, found {shown(data)}. Put it in quotes.")
    return str(data)


def flag_of(data: object, where: str) -> bool:
    if not isinstance(data, bool):
        raise InputError(f"{where}: expected true or false, found {shown(data)}.")
    return data


def number_of(data: object, where: str) -> float:
    """A number. Text such as 1e-12, a number for everyone but YAML 1.1, which wants 1.0e-12, counts too."""
    try:
        if isinstance(data, bool):
            raise ValueError
        return float(data)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: expected a number, found {shown(data)}.") from error


def read_parameters(
    data: object, where: str, links: Links, declared: Mapping[str, Parameter], others: bool = False
) -> dict[str, Parameter]:
    """Parameters by name from their YAML list.

    ``declared`` holds the defaults of the model class; ``others``: the class has further parameters, named by its data.
    """
    parameters: dict[str, Parameter] = {}
    for i, entry in enumerate(list_of(data, f"{where}, parameters")):
        entry = mapping_of(entry, _KEYS, _where(where, i, entry))
        spot = _where(where, i, entry)
        if "name" not in entry:
            raise InputError(f"{spot}: the key 'name' is missing. Names here: {', '.join(declared)}.")
        name = text_of(entry["name"], spot)
        if number_of(entry.get("scale", 1.0), f"{spot}, scale") != 1:
            warn(
                f"{spot}: the key 'scale' is ignored, as by gammapy: 'value' is the whole value, {entry.get('value')}."
            )
        if name not in declared and not others:
            raise InputError(f"{spot}: the model has no parameter of this name. {closest(name, declared)}")
        if name in parameters:
            raise InputError(f"{spot}: the parameter is there twice. Remove one of them.")
        parameters[name] = _read(entry, spot, links, declared.get(name))
    return parameters


def _where(where: str, index: int, entry: object) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return f"{where}, parameter {index + 1}" if name is None else f"{where}, parameter {str(name)!r}"


def _read(entry: Section, where: str, links: Links, default: Parameter | None) -> Parameter:
    unit = _unit(entry, where, default)
    label = text_of(entry["link"], f"{where}, link") if "link" in entry else None
    if label in links:
        return _linked(entry, where, unit, label, links, default)
    if "value" not in entry:
        raise InputError(f"{where}: the key 'value' is missing. Write for example 'value: 2.0'.")
    parameter = _standalone(entry, where, unit, default, number_of(entry["value"], f"{where}, value"), label)
    if label is not None:
        links[label] = (where, parameter)
    return parameter


def _unit(entry: Section, where: str, default: Parameter | None) -> str:
    if "unit" not in entry:
        return default.unit if default is not None else ""
    unit = text_of(entry["unit"], f"{where}, unit")
    if default is None:
        parse_unit(unit, where)
    elif not parse_unit(unit, where).is_equivalent(parse_unit(default.unit, where)):
        raise InputError(f"{where}: found unit {unit!r}, expected one convertible to {default.unit!r}.")
    return unit


def _standalone(
    entry: Section, where: str, unit: str, default: Parameter | None, value: float, label: str | None
) -> Parameter:
    if not math.isfinite(value):
        raise InputError(f"{where}: the value must be a finite number, found {value}.")
    error = number_of(entry.get("error", 0.0), f"{where}, error")
    if error == -math.inf:
        # catalogues say so that an error is not known
        error = math.nan
    if error < 0:
        raise InputError(f"{where}: the error must not be negative, found {error}.")
    low, high = (_bound(entry, key, where, unit, default) for key in ("min", "max"))
    if low > high:
        raise InputError(f"{where}: min {low} is above max {high}. Swap or remove them.")
    frozen = default.frozen if default is not None else False
    parameter = Parameter(
        value,
        unit,
        error=error,
        frozen=flag_of(entry.get("frozen", frozen), f"{where}, frozen"),
        min=low,
        max=high,
        prior=read_prior(entry["prior"], f"{where}, prior", unit) if "prior" in entry else None,
        link=label,
    )
    low, high = parameter.bounds
    # a fit that ends at a bound may have been written with the last digit beyond it
    slack = 1e-12 * abs(value)
    if not low - slack <= value <= high + slack:
        source = "min and max" if parameter.prior is None else f"min, max and the {parameter.prior.tag}"
        raise InputError(f"{where}: the value {value} lies outside [{low}, {high}], the range that {source} allow.")
    return parameter


def _bound(entry: Section, key: str, where: str, unit: str, default: Parameter | None) -> float:
    """A bound: as given, NaN meaning none; else that of the class, in the unit that is used here."""
    none = -math.inf if key == "min" else math.inf
    if key in entry:
        given = number_of(entry[key], f"{where}, {key}")
        return none if math.isnan(given) else given
    if default is None:
        return none
    own = getattr(default, key)
    if math.isinf(own):
        return own
    return float(parse_unit(default.unit, where).to(parse_unit(unit, where), own))


def _linked(entry: Section, where: str, unit: str, label: str, links: Links, default: Parameter | None) -> Parameter:
    """The parameter with which this one is linked; what the entry says must agree with it."""
    first, lead = links[label]
    if parse_unit(unit, where) != parse_unit(lead.unit, where):
        raise InputError(
            f"{where}: it is linked (as {label!r}) with a parameter in another unit, {lead.unit!r} and not {unit!r} "
            f"({first}). Linked parameters need one unit."
        )
    value = number_of(entry.get("value", lead.value), f"{where}, value")
    own = _standalone(entry, where, unit, default, value, label)
    for key in ("value", "error", "min", "max", "frozen", "prior"):
        a, b = getattr(own, key), getattr(lead, key)
        if key in entry and a != b and not (key == "error" and np.isnan(a) and np.isnan(b)):
            raise InputError(
                f"{where}: it is linked (as {label!r}) with a parameter that has another {key}, {b} and not {a} "
                f"({first}). Give {key} there only."
            )
    return lead


def read_prior(data: object, where: str, unit: str) -> Prior:
    data = mapping_of(data, ("type", "parameters", "weight"), where)
    if "type" not in data:
        raise InputError(f"{where}: the key 'type' is missing. Types: {', '.join(PRIORS)}.")
    kind = PRIORS.get(text_of(data["type"], f"{where}, type"))
    if kind is None:
        raise InputError(f"{where}: unknown prior type {data['type']!r}. {closest(data['type'], PRIORS, 'types')}")
    numbers: dict[str, float] = {}
    for i, entry in enumerate(list_of(data.get("parameters", []), f"{where}, parameters")):
        spot = _where(where, i, entry)
        entry = mapping_of(entry, _PRIOR_NUMBER_KEYS, spot)
        name = entry.get("name")
        if name not in kind.names:
            raise InputError(f"{spot}: {kind.tag} has no parameter {name!r}. {closest(name, kind.names)}")
        if "value" not in entry:
            raise InputError(f"{spot}: the key 'value' is missing.")
        own_unit = text_of(entry.get("unit", ""), f"{spot}, unit")
        if own_unit != "" and parse_unit(own_unit, spot) != parse_unit(unit, spot):
            raise InputError(
                f"{spot}: found unit {own_unit!r}, but a prior is in the unit of its parameter, {unit!r}. "
                "Convert the number and remove the unit."
            )
        numbers[name] = number_of(entry["value"], f"{spot}, value")
    weight = number_of(data.get("weight", 1.0), f"{where}, weight")
    try:
        return kind(**numbers, weight=weight)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def parameter_to_dict(name: str, parameter: Parameter, default: Parameter | None, where: str) -> Section:
    """YAML form of a parameter; what equals the default of its class is left out where gammapy has the same default."""
    data: Section = {"name": name, "value": _plain(parameter.value, f"{where}, parameter {name!r}")}
    error = _plain(parameter.error, f"{where}, parameter {name!r}, error")
    if parameter.unit or (default is not None and default.unit):
        data["unit"] = parameter.unit
    if error != 0:
        data["error"] = error
    for key in ("min", "max"):
        bound = getattr(parameter, key)
        if math.isfinite(bound):
            data[key] = bound
        elif default is not None and math.isfinite(getattr(default, key)):
            data[key] = math.nan
    if parameter.frozen or (default is not None and default.frozen):
        data["frozen"] = parameter.frozen
    if parameter.link is not None:
        data["link"] = parameter.link
    if parameter.prior is not None:
        if PRIORS.get(parameter.prior.tag) is not type(parameter.prior):
            raise InputError(
                f"{where}, parameter {name!r}: a {type(parameter.prior).__name__} cannot be written to YAML; "
                f"{', '.join(PRIORS)} can."
            )
        data["prior"] = parameter.prior.to_dict()
    return data


def _plain(value: Array | float, where: str) -> float:
    if isinstance(value, jax.core.Tracer) or np.ndim(value):
        raise InputError(
            f"{where}: one number is needed, found {value!r}. Write models outside jax.jit, and one set of values at "
            "a time."
        )
    return float(value)


def declared_parameters(model_class: type) -> dict[str, Parameter]:
    """Default parameters that a model class declares, by name."""
    return {f.name: f.default for f in dataclasses.fields(model_class) if isinstance(f.default, Parameter)}
