"""Checks of linked parameters: those of one label are one."""

import dataclasses
from collections.abc import Iterable, Mapping

from ..errors import InputError
from .parameter import Parameter


def check_links(parameters: Mapping[str, Parameter]) -> None:
    """Parameters with one label have to be one, else the file would not say which of them is meant."""
    seen: dict[str, tuple[str, Parameter]] = {}
    # roles are those of the models
    compared = [f.name for f in dataclasses.fields(Parameter) if f.name != "role"]
    for name, parameter in parameters.items():
        if parameter.link is None:
            continue
        first, lead = seen.setdefault(parameter.link, (name, parameter))
        # texts, so that an undetermined error (NaN) equals itself
        if any(str(getattr(lead, n)) != str(getattr(parameter, n)) for n in compared):
            raise InputError(
                f"{name}: it is linked (as {parameter.link!r}) with {first}, but they differ: {parameter!r} and "
                f"{lead!r}. Make them one with models.link({first!r}, {name!r})."
            )


def check_units(parameters: Mapping[str, Parameter], labels: Iterable[str]) -> None:
    """Raise an `InputError` if parameters of one of the ``labels`` are in different units: a number is of one only."""
    for label in labels:
        units = {p.unit: name for name, p in parameters.items() if p.link == label}
        if len(units) > 1:
            raise InputError(
                f"{' and '.join(units.values())} are linked (as {label!r}) but in different units, "
                f"{' and '.join(map(repr, units))}. Give both the same unit."
            )
