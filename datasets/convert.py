"""From what users hand in (Quantities, lists, arrays) to read-only arrays in the package's units."""

from typing import Any

import jax
import numpy as np
from astropy import units as u

from .errors import InputError
from .parameter import frozen_array


def to_unit(value: Any, unit: str, what: str) -> Any:
    """Numbers in ``unit``: Quantities are converted, bare numbers are taken to be in it, JAX arrays pass unchanged."""
    if isinstance(value, u.Quantity):
        try:
            value = value.to_value(unit)
        except u.UnitConversionError as error:
            raise InputError(
                f"{what}: found unit {value.unit.to_string()!r}, expected one convertible to {unit!r}."
            ) from error
    return frozen_array(value)


def edges_tev(value: Any, what: str) -> Any:
    """Energy bin edges in TeV: increasing, positive, at least two."""
    edges = to_unit(value, "TeV", what)
    if isinstance(edges, jax.Array):
        return edges
    if edges.ndim != 1 or edges.size < 2:
        raise InputError(f"{what}: a list of at least two bin edges is needed, found shape {edges.shape}.")
    if not (np.all(np.isfinite(edges)) and np.all(edges > 0) and np.all(np.diff(edges) > 0)):
        raise InputError(f"{what}: edges must be positive, finite and increasing, found {edges}.")
    return edges


def is_concrete(value: Any) -> bool:
    return not isinstance(value, jax.core.Tracer)
