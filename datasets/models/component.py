"""What parts of a model have in common: parameters by name, and copies with changed ones."""

import dataclasses
from typing import Any

import equinox as eqx

from ..errors import InputError
from .parameter import Parameter, is_parameter


class ModelComponent(eqx.Module):
    """A part of a model whose parameters are its own fields."""

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Parameters by name, in the order of their declaration."""
        found = ((field.name, getattr(self, field.name)) for field in dataclasses.fields(self))
        return {name: value for name, value in found if is_parameter(value)}

    def replace(self, **changes: Any) -> Any:
        """A copy with changed parameters: numbers and Quantities set the value, a `Parameter` replaces it whole."""
        known = self.parameters
        for name, given in changes.items():
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise InputError(f"{type(self).__name__} has no parameter {name!r}; {has}.")
            if not isinstance(given, Parameter):
                changes[name] = known[name].replace(value=given)
        return dataclasses.replace(self, **changes)
