"""The container of datasets."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import equinox as eqx

from .errors import InputError
from .lazy import LazyDataset


class Datasets(eqx.Module):
    """Datasets by name, in order. Immutable; adding and removing return new containers.

    Names live here and not in the datasets, so that runs that differ only in data share one compiled program.
    Iteration yields the datasets; ``items()``, ``names`` and ``[name]`` or ``[index]`` are there too. Datasets of an
    index that was read with ``lazy=True`` are read when they are handed out, each once; ``load()`` reads the rest.
    """

    entries: tuple[Any, ...]
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
            names, datasets = datasets.names, datasets.entries
        else:
            datasets = tuple(datasets)
            names = tuple(f"dataset-{i}" for i in range(len(datasets))) if names is None else tuple(names)
        if len(names) != len(datasets):
            raise InputError(f"Datasets: found {len(names)} names for {len(datasets)} datasets.")
        if len(set(names)) != len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise InputError(f"Datasets: the name {twice!r} is there twice; names must be unique.")
        self.names, self.entries = names, datasets

    @property
    def datasets(self) -> tuple[Any, ...]:
        """The datasets, all of them read."""
        return tuple(_loaded(entry) for entry in self.entries)

    def load(self) -> "Datasets":
        """The same datasets, all of them read: what JAX can take apart after `read` with ``lazy=True``."""
        return Datasets(self.datasets, self.names)

    def items(self) -> Iterator[tuple[str, Any]]:
        return zip(self.names, iter(self), strict=True)

    def keys(self) -> tuple[str, ...]:
        return self.names

    def values(self) -> tuple[Any, ...]:
        return self.datasets

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Any]:
        return map(_loaded, self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self.names:
                raise InputError(f"Datasets: there is no dataset {key!r}; names are {_listed(self.names)}.")
            return _loaded(self.entries[self.names.index(key)])
        if isinstance(key, slice):
            return Datasets(self.entries[key], self.names[key])
        return _loaded(self.entries[key])

    def select(self, names: Iterable[str]) -> "Datasets":
        """The named datasets, in the given order."""
        names = list(names)
        for name in names:
            if name not in self.names:
                raise InputError(f"Datasets: there is no dataset {name!r}; names are {_listed(self.names)}.")
        return Datasets([self.entries[self.names.index(name)] for name in names], names)

    def to_spectrum_datasets(self, region: Any, containment_correction: bool = False) -> "Datasets":
        """The spectra of a region of all maps, under their names; see `MapDataset.to_spectrum_dataset`."""
        from .region_sums import region_spectra

        return region_spectra(self, region, containment_correction)

    def slice_by_energy(self, energy_min: Any = None, energy_max: Any = None) -> "Datasets":
        """The datasets between two energies; those without a bin there are left out."""
        from .reshape_energy import slice_all

        return slice_all(self, energy_min, energy_max)

    def stack_reduce(self) -> Any:
        """The sum of all datasets, one dataset; see `gammajax.stack`."""
        from .stack import stack

        return stack(self)

    def remove(self, names: str | Iterable[str]) -> "Datasets":
        """The datasets without those named."""
        gone = {names} if isinstance(names, str) else set(names)
        unknown = sorted(gone - set(self.names))
        if unknown:
            raise InputError(f"Datasets: there is no dataset {unknown[0]!r}; names are {_listed(self.names)}.")
        return self.select(name for name in self.names if name not in gone)

    @property
    def energy_ranges(self) -> Any:
        """Lowest and highest energy of every dataset, masks not applied: two Quantities (n,) in TeV."""
        from .container_summary import energy_ranges

        return energy_ranges(self)

    @property
    def energy_range(self) -> Any:
        """Lowest and highest energy that enters the fit statistic of any dataset: two Quantities in TeV."""
        from .container_summary import energy_range

        return energy_range(self)

    @property
    def gti(self) -> Any:
        """Union of the good time intervals of all datasets; None where none has any."""
        from .container_summary import union_of_times

        return union_of_times(self)

    def info_table(self, models: Any = None, *, cumulative: bool = False) -> Any:
        """`info_dict` of every dataset as a table; ``cumulative``: of the sums of the first one, two, ... datasets."""
        from .info import info_table

        return info_table(self, models, cumulative=cumulative)

    def __add__(self, other: Any) -> "Datasets":
        other = Datasets(other)
        return Datasets(self.entries + other.entries, self.names + other.names)

    def __repr__(self) -> str:
        shown = list(zip(self.names, self.entries, strict=True))[:20]
        lines = [f"  {name}: {d if isinstance(d, LazyDataset) else type(d).__name__}" for name, d in shown]
        more = [f"  ... {len(self) - 20} more"] if len(self) > 20 else []
        return "\n".join(["Datasets(", *lines, *more, ")"])

    @classmethod
    def read(cls, filename: Any, lazy: bool = False) -> "Datasets":
        """Read a YAML index and the files it names, now or (``lazy``) each when it is needed; see `read_datasets`.

        Pass ``datasets.load()`` to JAX transformations of your own if the datasets were read lazily.
        """
        from .index import read_datasets

        return read_datasets(filename, lazy)

    def write(self, filename: Any, overwrite: bool = False) -> None:
        """Write a YAML index and one set of files per dataset beside it; see `write_datasets`."""
        from .index import write_datasets

        write_datasets(self, filename, overwrite=overwrite)


def _loaded(entry: Any) -> Any:
    return entry.load() if isinstance(entry, LazyDataset) else entry


def _listed(names: Iterable[str], limit: int = 10) -> str:
    names = list(names)
    return ", ".join(repr(n) for n in names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
