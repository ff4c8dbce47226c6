"""Counts and values that a likelihood is given in place of its own, checked."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..datasets.arrays import Array, is_concrete
from ..datasets.dataset import Dataset
from ..datasets.errors import InputError
from ..datasets.prepared import Arrays
from ..datasets.units import as_bins, numbers_in

Counts = Array | Mapping[str, Array] | Dataset
"""Counts of a dataset: an array; on/off data by field ("counts", "counts_off"); or a dataset that has them."""


class Member(NamedTuple):
    """A dataset in the program: its name, group and row, the shape of its data, and the fields of its counts."""

    name: str
    group: int
    row: int
    shape: tuple[int, ...]
    counted: tuple[str, ...]


def by_name(given: Any, what: str, of: str, values: str) -> Mapping[str, Any]:
    """What is given by name; an `InputError` that begins with ``what`` for anything else."""
    if isinstance(given, Mapping):
        return given
    raise InputError(f"{what}: found {type(given).__name__}, expected {values} by the names of {of}: {{'name': ...}}.")


def held_value(given: Any, unit: str, what: str) -> Array:
    """The finite number, in ``unit``, at which a parameter is held."""
    value = numbers_in(given, unit, what)
    if jnp.shape(value):
        raise InputError(
            f"{what}: found an array of shape {jnp.shape(value)}, expected one number. Of many: jax.vmap over them."
        )
    if is_concrete(value) and not np.isfinite(value):
        raise InputError(f"{what}: found {float(value)}, expected a finite number.")
    return value


def counts_of(member: Member, given: Counts, mask: Array) -> Arrays:
    """Checked counts of a dataset by field; 0 where ``mask`` excludes numbers that are none."""
    what = f"with_counts: {member.name}"
    if not member.counted:
        raise InputError(f"{what} has no counts that could be exchanged.")
    if isinstance(given, Dataset):
        by_field: dict[str, Any] = {field: getattr(given, field, None) for field in member.counted}
    else:
        by_field = dict(given) if isinstance(given, Mapping) else {"counts": given}
    missing = [field for field in member.counted if by_field.get(field) is None]
    unknown = [field for field in by_field if field not in member.counted]
    if missing or unknown:
        raise InputError(
            f"{what}: found {', '.join(by_field) or 'nothing'}, expected {' and '.join(member.counted)}: "
            f"{{'{member.name}': {{{', '.join(repr(f) + ': ...' for f in member.counted)}}}}}."
        )
    found: Arrays = {}
    for field in member.counted:
        values = jnp.asarray(as_bins(by_field[field], f"{what}: {field}"))
        if values.shape != member.shape:
            raise InputError(f"{what}: {field} has shape {values.shape}, expected {member.shape}.")
        if is_concrete(values) and is_concrete(mask):
            bad = ~(np.isfinite(values) & (np.asarray(values) >= 0))
            if (bad & np.asarray(mask)).any():
                first = tuple(int(i) for i in np.argwhere(bad & np.asarray(mask))[0])
                raise InputError(
                    f"{what}: {field} must be finite and not negative, found {float(values[first])} in bin "
                    f"{', '.join(map(str, first))} ({int((bad & np.asarray(mask)).sum())} bad of {values.size})."
                )
            values = jnp.where(bad, 0.0, values) if bad.any() else values
        found[field] = values.astype(jnp.result_type(float))
    return found
