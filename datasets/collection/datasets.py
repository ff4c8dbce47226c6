"""The container of datasets."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import equinox as eqx
from astropy import units as u

from ..counts.dataset import CountsDataset
from ..counts.npred import SomeModels
from ..counts.reshape_energy import NoBinLeft
from ..counts.stack import stack_named
from ..dataset import Dataset
from ..errors import InputError, place_of
from ..gti import GTI
from ..hints.calls import hinted
from ..hints.modules import HintedModule
from ..hints.modules import found as kind_of
from ..io.fits import naming
from ..io.paths import Filename
from ..models.collection import Models
from ..shown import html_table, robust
from ..sky.geom import SkyGeom
from ..units import Given
from .index import read_index, write_index
from .info import energy_range, energy_ranges, table_of_infos, union_of_times
from .lazy import LazyDataset

if TYPE_CHECKING:
    from astropy.table import Table
    from regions import Region


class Datasets(HintedModule):
    """Datasets by name, in order. Immutable; adding and removing return new containers.

    Names live here and not in the datasets, so that runs that differ only in data share one compiled program.
    Iteration yields the datasets; ``items()``, ``names`` and ``[name]`` or ``[index]`` are there too. Datasets of an
    index that was read with ``lazy=True`` are read when they are handed out, each once; ``load()`` reads the rest.
    """

    entries: tuple[Dataset | LazyDataset, ...]
    names: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        datasets: "Datasets | Mapping[str, Dataset | LazyDataset] | Iterable[Dataset | LazyDataset]" = (),
        names: Iterable[str] | None = None,
    ):
        if isinstance(datasets, eqx.Module) and not isinstance(datasets, Datasets):
            raise InputError(
                f"Datasets: found a single {type(datasets).__name__}, expected a mapping of names to datasets: "
                "Datasets({'name': dataset})."
            )
        if isinstance(datasets, Mapping):
            if names is not None:
                raise InputError("Datasets: names are the keys of the mapping; do not give them twice.")
            names, entries = tuple(str(n) for n in datasets), tuple(datasets.values())
        elif isinstance(datasets, Datasets) and names is None:
            names, entries = datasets.names, datasets.entries
        else:
            if isinstance(datasets, str) or not isinstance(datasets, Iterable):
                raise InputError(f"Datasets: found {kind_of(datasets)}, expected a mapping of names to datasets.")
            if isinstance(names, str) or not isinstance(names, Iterable | None):
                raise InputError(f"Datasets: names must be a list of names, found {names!r}.")
            entries = tuple(datasets)
            names = tuple(f"dataset-{i}" for i in range(len(entries))) if names is None else tuple(map(str, names))
        for name, entry in zip(names, entries, strict=False):
            if not isinstance(entry, Dataset | LazyDataset):
                raise InputError(
                    f"Datasets: found {kind_of(entry)} as {name!r}, expected a dataset. A type of your own must derive "
                    "from gammajax.Dataset, which says what it needs."
                )
        if len(names) != len(entries):
            raise InputError(f"Datasets: found {len(names)} names for {len(entries)} datasets.")
        if len(set(names)) != len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise InputError(f"Datasets: the name {twice!r} is there twice; names must be unique.")
        self.names, self.entries = names, entries

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The datasets, all of them read."""
        return tuple(_loaded(entry) for entry in self.entries)

    def load(self) -> "Datasets":
        """The same datasets, all of them read: what JAX can take apart after `read` with ``lazy=True``."""
        return Datasets(self.datasets, self.names)

    def items(self) -> Iterator[tuple[str, Dataset]]:
        return zip(self.names, iter(self), strict=True)

    def keys(self) -> tuple[str, ...]:
        return self.names

    def values(self) -> tuple[Dataset, ...]:
        return self.datasets

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Dataset]:
        return map(_loaded, self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.names or (isinstance(name, int) and str(name) in self.names)

    # of one dataset the type is known to those who ask for it
    @overload
    def __getitem__(self, key: slice) -> "Datasets": ...

    @overload
    def __getitem__(self, key: str | int) -> Any: ...

    def __getitem__(self, key: str | int | slice) -> "Dataset | Datasets":
        if isinstance(key, str):
            if key not in self.names:
                raise InputError(f"Datasets: there is no dataset {key!r}; names are {_listed(self.names)}.")
            return _loaded(self.entries[self.names.index(key)])
        if isinstance(key, slice):
            return Datasets(self.entries[key], self.names[key])
        return _loaded(self.entries[place_of(key, len(self), "Datasets")])

    def select(self, names: Iterable[str]) -> "Datasets":
        """The named datasets, in the given order."""
        names = _as_names(names, "select")
        for name in names:
            if name not in self.names:
                raise InputError(f"Datasets: there is no dataset {name!r}; names are {_listed(self.names)}.")
        return Datasets([self.entries[self.names.index(name)] for name in names], names)

    def to_spectrum_datasets(self, region: "Region", containment_correction: bool = False) -> "Datasets":
        """The spectra of a region of all maps, under their names; see `MapDataset.to_spectrum_dataset`."""

        return region_spectra(self, region, containment_correction)

    def slice_by_energy(
        self,
        energy_min: Given | None = None,
        energy_max: Given | None = None,
        *,
        round_to_edge: bool | None = None,
    ) -> "Datasets":
        """The datasets between two energies; those without a bin there are left out.

        Energies inside of bins are treated as by `SpectrumDataset.slice_by_energy`.
        """
        return slice_all(self, energy_min, energy_max, round_to_edge)

    def stack_reduce(self) -> CountsDataset:
        """The sum of all datasets, one dataset; see `gammajax.stack`."""

        return stack(self)

    def remove(self, names: str | Iterable[str]) -> "Datasets":
        """The datasets without those named."""
        gone = {names} if isinstance(names, str) else set(_as_names(names, "remove"))
        unknown = sorted(gone - set(self.names))
        if unknown:
            raise InputError(f"Datasets: there is no dataset {unknown[0]!r}; names are {_listed(self.names)}.")
        return self.select(name for name in self.names if name not in gone)

    @property
    def energy_ranges(self) -> tuple[u.Quantity, u.Quantity]:
        """Lowest and highest energy of every dataset, masks not applied: two Quantities (n,) in TeV."""
        return energy_ranges(list(self.items()))

    @property
    def energy_range(self) -> tuple[u.Quantity, u.Quantity]:
        """Lowest and highest energy that enters the fit statistic of any dataset: two Quantities in TeV."""
        return energy_range(list(self.items()))

    @property
    def gti(self) -> GTI | None:
        """Union of the good time intervals of all datasets; None where none has any."""
        return union_of_times(self)

    def info_table(self, models: SomeModels | None = None, *, cumulative: bool = False) -> "Table":
        """`info_dict` of every dataset as a table; ``cumulative``: of the sums of the first one, two, ... datasets."""
        return table_of_infos(list(self.items()), models, cumulative=cumulative)

    def __add__(self, other: "Datasets | Mapping[str, Dataset] | Iterable[Dataset]") -> "Datasets":
        more = Datasets(other)
        return Datasets(self.entries + more.entries, self.names + more.names)

    @robust
    def __repr__(self) -> str:
        shown = list(zip(self.names, self.entries, strict=True))[:20]
        lines = [f"  {name}: {d!r}" for name, d in shown]
        more = [f"  ... {len(self) - 20} more"] if len(self) > 20 else []
        return "\n".join(["Datasets(", *lines, *more, ")"])

    @robust
    def _repr_html_(self) -> str:
        # what was not read stays so
        rows = [
            {"name": name, "type": d.tag} | ({} if isinstance(d, LazyDataset) else dict(d.facts))
            for name, d in zip(self.names, self.entries, strict=True)
        ]
        return html_table(rows, "Datasets")

    @overload
    @classmethod
    def read(cls, filename: Filename, filename_models: None = None, lazy: bool = False) -> Self: ...

    @overload
    @classmethod
    def read(cls, filename: Filename, filename_models: Filename, lazy: bool = False) -> "tuple[Self, Models]": ...

    @classmethod
    def read(
        cls, filename: Filename, filename_models: Filename | None = None, lazy: bool = False
    ) -> "Self | tuple[Self, Models]":
        """Read a YAML index and the files it names, now or (``lazy``) each when it is needed; see `index.read_index`.

        With ``filename_models``, a YAML file of models, the datasets and the `Models`, as datasets do not hold models
        here: ``datasets, models = gj.Datasets.read("datasets.yaml", filename_models="models.yaml")``. Pass
        ``datasets.load()`` to JAX transformations of your own if the datasets were read lazily.
        """
        if isinstance(filename_models, bool):
            raise InputError(f"Datasets.read: filename_models is {filename_models}. Write lazy={filename_models}.")
        models = None if filename_models is None else Models.read(filename_models)
        found = read_index(filename, lazy)
        with naming(filename):
            datasets = cls([dataset for _, dataset in found], [name for name, _ in found])
        return datasets if models is None else (datasets, models)

    def write(
        self,
        filename: Filename,
        overwrite: bool = False,
        filename_models: Filename | None = None,
        models: Models | None = None,
    ) -> None:
        """Write a YAML index and one set of files per dataset beside it; see `index.write_index`.

        With ``filename_models`` and ``models`` the YAML file of the models, too: all files or none.
        """
        if (filename_models is None) != (models is None):
            raise InputError(
                "Datasets.write: give filename_models and models, or neither: datasets hold no models here."
            )
        beside: Mapping[Path, bytes] = {}
        if models is not None and filename_models is not None:
            beside = models.contents(filename_models)
        write_index(self.items(), filename, overwrite, beside)


def _loaded(entry: Dataset | LazyDataset) -> Dataset:
    return entry.load() if isinstance(entry, LazyDataset) else entry


def _as_names(names: Any, what: str) -> list[str]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InputError(f"Datasets.{what}: found {names!r}, expected a list of names.")
    return [str(name) for name in names]


def _listed(names: Iterable[str], limit: int = 10) -> str:
    names = list(names)
    return ", ".join(repr(n) for n in names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def slice_all(
    datasets: Datasets, energy_min: Given | None, energy_max: Given | None, round_to_edge: bool | None = None
) -> Datasets:
    """`slice_energy_range` of each of `Datasets`, under their names; those without a bin in the range are left out."""
    kept = {}
    for name, dataset in datasets.items():
        if not isinstance(dataset, CountsDataset):
            raise InputError(
                f"slice_by_energy: dataset {name!r} is a {type(dataset).__name__}, which has no bins of counts. Leave "
                "it out: datasets.select([...])."
            )
        try:
            kept[name] = dataset.slice_by_energy(energy_min, energy_max, round_to_edge=round_to_edge)
        except NoBinLeft:
            continue
    return type(datasets)(kept)


def region_spectra(datasets: Datasets, on_region: "Region", containment_correction: bool = False) -> Datasets:
    """`to_spectrum_dataset` of each map among `Datasets`, under their names."""
    spectra: dict[str, Dataset] = {}
    for name, dataset in datasets.items():
        with naming(f"dataset {name!r}"):
            if dataset.sky_geom is None:
                raise InputError(f"{type(dataset).__name__} is no map, from which spectra of a region can be made.")
            # every map has the method
            on_sky: Any = dataset
            spectra[name] = on_sky.to_spectrum_dataset(on_region, containment_correction)
    return type(datasets)(spectra)


@hinted
def stack(datasets: Datasets | Mapping[str, Dataset] | Iterable[Dataset], geom: SkyGeom | None = None) -> CountsDataset:
    """The sum of datasets of one type: a dataset that holds the counts, background and exposure of all.

    Parameters
    ----------
    datasets : `SpectrumDataset`, `SpectrumDatasetOnOff`, `MapDataset`, `MapDatasetOnOff` or `RegionMapDataset` (of one
        region), on the same energies
    geom : image of the sum, for maps that are cutouts of it; not needed where all have the same pixels

    Every dataset enters with its safe bins only (all bins where ``mask_safe`` is None), so one without any changes
    nothing. With safe masks m_i (1 or 0):

    - counts, background, counts_off, acceptance: sum of m_i x_i per bin; exposure: sum of X_i over the pixels with any
      safe bin; livetime and the union of the GTIs: of the datasets with any safe bin
    - acceptance_off: such that the background alpha n_off of every bin is kept. Bins without off counts take the mean
      alpha of all off counts, as in gammapy; where there are none at all, sum(acceptance) / sum(acceptance_off)
    - PSF and energy dispersion: weighted with the exposure, see `stack_psf`, `stack_edisp`, `stack_region_responses`
    - mask_safe: bins that are safe in any. A mask_fit is not carried over: choose the fit range of the sum.
    - meta: what is equal in all, and a table with one entry per observation

    Sums are over all datasets in float64; they depend neither on the order nor on being done in parts, up to rounding.
    Norms of backgrounds are models, which datasets do not hold: replace each background by `npred_background` first to
    stack fitted ones. Lazy datasets are read. Raises InputError for datasets that do not fit together.
    """
    found = Datasets(datasets)
    if not len(found):
        raise InputError("stack: there are no datasets. Give at least one.")
    total = stack_named(list(found.items()), geom)
    assert isinstance(total, CountsDataset)
    return total


@hinted
def info_table(
    datasets: Datasets | Mapping[str, Dataset] | Iterable[Dataset],
    models: SomeModels | None = None,
    *,
    cumulative: bool = False,
) -> "Table":
    """`info_dict` of every dataset, as rows of an `astropy.table.Table`. Fields that a type does not have are NaN.

    ``cumulative``: a row is that of the sum (see `stack`) of the datasets up to it, which must be of one type and on
    the same energies and pixels; what depends on models is not there then.
    """
    return Datasets(datasets).info_table(models, cumulative=cumulative)
