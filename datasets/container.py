"""The container of datasets."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import equinox as eqx

from .errors import InputError


class Datasets(eqx.Module):
    """Datasets by name, in order. Immutable; adding and removing return new containers.

    Names live here and not in the datasets, so that runs that differ only in data share one compiled program.
    Iteration yields the datasets; ``items()``, ``names`` and ``[name]`` or ``[index]`` are there too.
    """

    datasets: tuple[Any, ...]
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, datasets: Mapping[str, Any] | Iterable[Any] = (), names: Iterable[str] | None = None):
        if isinstance(datasets, eqx.Module) and not isinstance(datasets, Datasets):
            raise InputError(
                f"Datasets: found a single {type(datasets).__name__}, expected a mapping of names to datasets: "
                "Datasets({'name': dataset})."
            )
        if isinstance(datasets, Mapping):
            if names is not None:
                raise InputError("Datasets: names are the keys of the mapping; do not give them twice.")
            names, datasets = tuple(str(n) for n in datasets), tuple(datasets.values())
        elif isinstance(datasets, Datasets) and names is None:
            names, datasets = datasets.names, datasets.datasets
        else:
            datasets = tuple(datasets)
            names = tuple(f"dataset-{i}" for i in range(len(datasets))) if names is None else tuple(names)
        if len(names) != len(datasets):
            raise InputError(f"Datasets: found {len(names)} names for {len(datasets)} datasets.")
        if len(set(names)) != len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise InputError(f"Datasets: the name {twice!r} is there twice; names must be unique.")
        self.names, self.datasets = names, datasets

    def items(self) -> Iterator[tuple[str, Any]]:
        return zip(self.names, self.datasets, strict=True)

    def keys(self) -> tuple[str, ...]:
        return self.names

    def values(self) -> tuple[Any, ...]:
        return self.datasets

    def __len__(self) -> int:
        return len(self.datasets)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.datasets)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self.names:
                raise InputError(f"Datasets: there is no dataset {key!r}; names are {_listed(self.names)}.")
            return self.datasets[self.names.index(key)]
        if isinstance(key, slice):
            return Datasets(self.datasets[key], self.names[key])
        return self.datasets[key]

    def select(self, names: Iterable[str]) -> "Datasets":
        """The named datasets, in the given order."""
        return Datasets({n: self[n] for n in names})

    def __add__(self, other: Any) -> "Datasets":
        other = Datasets(other)
        return Datasets(self.datasets + other.datasets, self.names + other.names)

    def __repr__(self) -> str:
        lines = [f"  {name}: {type(d).__name__}" for name, d in list(self.items())[:20]]
        more = [f"  ... {len(self) - 20} more"] if len(self) > 20 else []
        return "\n".join(["Datasets(", *lines, *more, ")"])

    @classmethod
    def read(cls, filename: Any) -> "Datasets":
        """Read a YAML index and the files it names; see `read_datasets`."""
        from .index import read_datasets

        return read_datasets(filename)

    def write(self, filename: Any, overwrite: bool = False) -> None:
        """Write a YAML index and one set of files per dataset beside it; see `write_datasets`."""
        from .index import write_datasets

        write_datasets(self, filename, overwrite=overwrite)


def _listed(names: Iterable[str], limit: int = 10) -> str:
    names = list(names)
    return ", ".join(repr(n) for n in names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
