"""Descriptive data that travels with a dataset and never chooses a program."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np


@jax.tree_util.register_pytree_node_class
class Meta:
    """A read-only mapping of descriptive data (observation id, region table, header cards).

    As a pytree it has one dummy leaf and compares equal to every other `Meta`: two runs that differ only in their
    descriptions share one compiled program. Because a compiled program would otherwise hand the first caller's
    descriptions to every later one, a `Meta` that passes through a JAX trace comes out empty.
    """

    __slots__ = ("_data", "_token")

    def __init__(self, data: Mapping[str, Any] | None = None) -> None:
        self._data = dict(data or {})
        self._token = np.zeros(())

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self._data.get(key, default)

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def updated(self, **changes: object) -> "Meta":
        return Meta(self._data | changes)

    def __repr__(self) -> str:
        return f"Meta({', '.join(self._data)})"

    def tree_flatten(self) -> "tuple[tuple[object], _Payload]":
        return (self._token,), _Payload(self._data)

    @classmethod
    def tree_unflatten(cls, payload: "_Payload", children: tuple[Any]) -> "Meta":
        new = cls()
        new._token = children[0]
        new._data = {} if isinstance(children[0], jax.core.Tracer) else payload.data
        return new


class _Payload:
    """Static part of a `Meta`: equal to every other, so that it never splits a compilation."""

    __slots__ = ("data",)

    described = ""
    """What tells it apart from others in another process: nothing."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Payload)

    def __hash__(self) -> int:
        return 0
