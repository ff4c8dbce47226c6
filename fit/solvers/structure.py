"""Functions compared by what they do: two optimisers made alike share their programs."""

import functools
import types
from collections.abc import Hashable, Mapping
from typing import Any

import jax
import numpy as np


class ByStructure:
    """An object of functions, such as an optax optimiser, that equals others made in the same way.

    Functions of optax are equal with the same code and the same contents in their closures, numbers and arrays by
    value. Whatever else there is has to be the same object: a function of somebody's own may read what changes.
    """

    def __init__(self, content: Any):
        self.content = content
        self._key = _key(content, ())
        self._hash = hash(self._key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByStructure) and self._key == other._key


class _Same:
    """An object that equals itself only, and lives as long as the key that it is in."""

    def __init__(self, content: object):
        self.content = content

    def __hash__(self) -> int:
        return id(self.content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.content is other.content


def _key(content: Any, above: tuple[int, ...]) -> Hashable:
    """What tells an object from others; ``above`` are those that it is in, which a function may hold in turn."""
    if id(content) in above:
        return "above", above.index(id(content))
    if content is None or isinstance(content, bool | int | float | complex | str | bytes):
        # -0.0 and 0.0 are equal, 1 and True too
        return type(content), repr(content)
    if isinstance(content, np.ndarray | np.generic) or (
        isinstance(content, jax.Array) and not isinstance(content, jax.core.Tracer)
    ):
        array = np.asarray(content)
        if array.dtype.kind in "biufc":
            return type(content), array.shape, array.dtype.str, array.tobytes()
        return _Same(content)
    above = (*above, id(content))
    if isinstance(content, types.FunctionType) and (content.__module__ or "").startswith("optax."):
        inside = [*map(_content, content.__closure__ or ()), content.__defaults__, content.__kwdefaults__]
        return content.__code__, content.__module__, tuple(_key(part, above) for part in inside)
    if isinstance(content, functools.partial):
        return "partial", *(_key(part, above) for part in (content.func, content.args, content.keywords))
    if isinstance(content, tuple | list):
        return type(content), tuple(_key(part, above) for part in content)
    if type(content) is dict or isinstance(content, types.MappingProxyType):
        items: Mapping[Any, Any] = content
        return type(content), tuple((_key(k, above), _key(v, above)) for k, v in items.items())
    return _Same(content)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that was never given anything
        return "nothing"
