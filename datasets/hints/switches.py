"""Arguments that are switches: found by their annotation, and refused where they are neither on nor off."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError

Switches = tuple[tuple[str, int, bool], ...]
"""Arguments that are switches: name, place, and whether None may be one."""


def switches_of(function: Callable[..., Any]) -> Switches:
    """The arguments of a function that are declared as ``bool``, or ``bool | None``."""
    parameters = inspect.signature(function).parameters.values()
    return tuple(
        (p.name, i, p.annotation is not bool)
        for i, p in enumerate(parameters)
        if p.annotation is bool or p.annotation == bool | None
    )


def check_switches(switches: Switches, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise an `InputError` for a switch that is given as anything but True and False, or 1 and 0."""
    for argument, place, optional in switches:
        given = kwargs[argument] if argument in kwargs else args[place] if place < len(args) else True
        if given is not True and given is not False and not (optional and given is None):
            to_flag(given, f"{name}: {argument}")


def to_flag(value: object, what: str) -> bool:
    """A switch: True or False, or 1 or 0, of Python or NumPy; for others, such as a text, an InputError, which begins
    with ``what``."""
    if isinstance(value, bool | np.bool_) or (isinstance(value, int | np.integer) and value in (0, 1)):
        return bool(value)
    raise InputError(f"{what}: found {str(value)[:60]!r}, expected True or False.")
