"""Arrays of modules of somebody's own that a fit leaves as they are, by their paths."""

from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx

from ..errors import InputError, listed
from .component import named_leaves


def frozen_arrays(given: str | Iterable[str], parts: Mapping[str, Any], what: str) -> tuple[str, ...]:
    """Paths to arrays of modules; InputError that starts with ``what`` for one at which there is none."""
    paths = (given,) if isinstance(given, str) else tuple(given)
    if not paths:
        return ()
    known = []
    for word, part in parts.items():
        leaves, names = named_leaves(part)
        arrays = (n for n, leaf in zip(names, leaves, strict=True) if eqx.is_inexact_array(leaf))
        known += [f"{word}.{name}" if name else word for name in arrays]
    for path in paths:
        if not any(is_at(name, (path,)) for name in known):
            has = f"arrays are at {listed(known)}" if known else "there are no arrays in it"
            raise InputError(
                f"{what}: frozen names {path!r}, and {has}. Give their paths, or those of the parts that hold them; "
                "parameters are frozen by models.freeze."
            )
    return paths


def is_at(name: str, paths: tuple[str, ...]) -> bool:
    """Whether what goes by a dotted name is at one of the paths, or in a part that is."""
    return any(name == path or name.startswith(f"{path}.") for path in paths)
