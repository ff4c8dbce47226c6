"""Types of datasets that an index may name, open to types of your own.

A type has ``tag``, the word in the index, ``read(filename)``, a class method that gives a dataset, and
``write(filename)``. `register_dataset` adds it; that it can be fitted is another matter, see `dataset`.
"""

import inspect
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, cast

from ..counts.dataset import CountsDataset
from ..dataset import Dataset
from ..errors import InputError
from ..flux_points.dataset import FluxPointsDataset
from ..hints.calls import hinted
from ..io.fits import FitsFile
from ..io.paths import Filename
from ..map.dataset import MapDataset, MapDatasetOnOff
from ..map.files import of_region
from ..region.dataset import RegionMapDataset
from ..spectrum.dataset import SpectrumDataset, SpectrumDatasetOnOff

Kind = TypeVar("Kind", bound=type)


class Writable(Protocol):
    """A dataset of a user's type."""

    def write(self, filename: Path) -> object: ...


@dataclass(frozen=True)
class DatasetType:
    """How datasets of one class are read and written.

    ``read`` gives a dataset from a path, ``contents(dataset, path, name)`` all files of one as bytes by path; ``stem``
    comes before the name of the dataset in the name of its file, and ``suffix`` after it. ``word`` is the type in an
    index that is written, the tag of the class by default.
    """

    cls: type
    read: Callable[[Filename], Dataset]
    contents: Callable[[Dataset, Path, str], Mapping[Path, bytes]]
    stem: str = ""
    suffix: str = ".fits"
    word: str = ""


@hinted
def register_dataset(cls: Kind, *, suffix: str = ".fits") -> Kind:
    """Let an index of datasets name datasets of this class: ``type`` is its ``tag``. Usable as a decorator.

    ``cls.read(filename)`` must give a dataset and ``dataset.write(filename)`` write it, to this file and, perhaps,
    others beside it. ``suffix`` ends the names of files in an index that is written. A type may be registered again,
    which replaces it, but not in place of one of the package's.
    """
    tag = getattr(cls, "tag", None)
    if not inspect.isclass(cls) or not isinstance(tag, str) or not re.fullmatch(r"\w+", tag):
        raise InputError(
            f"register_dataset: a class with tag = 'Name' is needed, found {cls!r} with tag {tag!r}. The tag is a word."
        )
    for method in ("read", "write"):
        if not callable(getattr(cls, method, None)):
            raise InputError(f"register_dataset: {cls.__name__} has no method {method}. It needs read and write.")
    if tag in BUILT_IN and BUILT_IN[tag].cls is not cls:
        raise InputError(f"register_dataset: the tag {tag!r} is one of the package's. Choose another tag.")
    DATASET_TYPES[tag] = DatasetType(cls, cls.read, _written, suffix=suffix)  # type: ignore[attr-defined]
    return cls


def dataset_type(dataset: object) -> DatasetType | None:
    """The type of a dataset; None if it is not registered."""
    found = DATASET_TYPES.get(getattr(type(dataset), "tag", None) or "")
    return found if found is not None and isinstance(dataset, found.cls) else None


def _written(dataset: Dataset, path: Path, name: str) -> dict[Path, bytes]:
    """What ``write`` of a type of the user's leaves in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        cast(Writable, dataset).write(Path(folder) / path.name)
        files = {path.parent / p.name: p.read_bytes() for p in Path(folder).iterdir() if p.is_file()}
    if path not in files:
        raise InputError(f"{type(dataset).__name__}.write wrote no file of the name it was given, {path.name}.")
    return files


def _contents(dataset: Dataset, path: Path, name: str) -> Mapping[Path, bytes]:
    """The files of a dataset of the package."""
    assert isinstance(dataset, CountsDataset | FluxPointsDataset)
    return dataset.contents(path, name)


def read_map(filename: Filename) -> MapDataset | RegionMapDataset | SpectrumDataset:
    """What gammapy calls a MapDataset, by what the file holds: images, or one region, with or without a PSF."""
    file = FitsFile(filename)
    if not of_region(file):
        return MapDataset.read(file)
    return RegionMapDataset.read(file) if "PSF" in file else SpectrumDataset.read(file)


def read_map_on_off(filename: Filename) -> MapDatasetOnOff | SpectrumDatasetOnOff:
    """What gammapy calls a MapDatasetOnOff, by what the file holds: images, or one region without a PSF."""
    file = FitsFile(filename)
    if not of_region(file):
        return MapDatasetOnOff.read(file)
    if "PSF" in file:
        raise InputError(
            f"{file}: the counts are of one region, and there is a point spread function, which says how much of a "
            "source the region contains. For on/off data that is not applied: read the file by "
            "SpectrumDatasetOnOff.read, which leaves the point spread function out, if the exposure is corrected for "
            "it already."
        )
    return SpectrumDatasetOnOff.read(file)


def read_dataset(filename: Filename) -> Dataset:
    """A dataset of the package from one file, by what the file holds.

    A spectrum with off counts, or without; a map, likewise; a region; or flux points. Raises the InputError of the more
    common kind where it is none of them.
    """
    first: InputError | None = None
    waiting: Dataset | None = None
    for name in ("SpectrumDatasetOnOff", "SpectrumDataset", "MapDatasetOnOff", "MapDataset", "FluxPointsDataset"):
        try:
            found = BUILT_IN[name].read(filename)
        except InputError as error:
            first = first or error
            continue
        if isinstance(found, SpectrumDatasetOnOff) and found.counts_off is None:
            # a spectrum that names no background may be complete without one
            waiting = found
            continue
        return found
    if waiting is not None:
        return waiting
    assert first is not None
    raise first


BUILT_IN = {
    "SpectrumDatasetOnOff": DatasetType(SpectrumDatasetOnOff, SpectrumDatasetOnOff.read, _contents, stem="pha_obs"),
    "SpectrumDataset": DatasetType(SpectrumDataset, SpectrumDataset.read, _contents),
    "MapDataset": DatasetType(MapDataset, read_map, _contents),
    # to gammapy it is a map
    "RegionMapDataset": DatasetType(RegionMapDataset, RegionMapDataset.read, _contents, word="MapDataset"),
    "MapDatasetOnOff": DatasetType(MapDatasetOnOff, read_map_on_off, _contents),
    "FluxPointsDataset": DatasetType(FluxPointsDataset, FluxPointsDataset.read, _contents),
}

DATASET_TYPES: dict[str, DatasetType] = dict(BUILT_IN)
"""Types by the word in the index."""
