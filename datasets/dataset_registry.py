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
from typing import Any

import numpy as np

from .errors import InputError
from .files import as_path
from .flux_points_dataset import FluxPointsDataset
from .gadf_map_write import gadf_map_contents
from .gadf_region import read_gadf_region
from .map import MapDataset, MapDatasetOnOff
from .map_files import read_map, read_map_on_off
from .region_map import RegionMapDataset
from .spectrum import SpectrumDataset, SpectrumDatasetOnOff
from .spectrum_files import contents, read_counts, read_on_off


@dataclass(frozen=True)
class DatasetType:
    """How datasets of one class are read and written.

    ``read`` gives a dataset from a path, ``contents(dataset, path, name)`` all files of one as bytes by path; ``stem``
    comes before the name of the dataset in the name of its file, and ``suffix`` after it. ``word`` is the type in an
    index that is written, the tag of the class by default.
    """

    cls: type
    read: Callable[[Any], Any]
    contents: Callable[[Any, Path, str], Mapping[Path, bytes]]
    stem: str = ""
    suffix: str = ".fits"
    word: str = ""


def register_dataset(cls: type, *, suffix: str = ".fits") -> type:
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


def dataset_type(dataset: Any) -> DatasetType | None:
    """The type of a dataset; None if it is not registered."""
    found = DATASET_TYPES.get(getattr(type(dataset), "tag", None) or "")
    return found if found is not None and isinstance(dataset, found.cls) else None


def _written(dataset: Any, path: Path, name: str) -> dict[Path, bytes]:
    """What ``write`` of a type of the user's leaves in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        dataset.write(Path(folder) / path.name)
        files = {path.parent / p.name: p.read_bytes() for p in Path(folder).iterdir() if p.is_file()}
    if path not in files:
        raise InputError(f"{type(dataset).__name__}.write wrote no file of the name it was given, {path.name}.")
    return files


def _spectrum_contents(dataset: Any, path: Path, name: str) -> dict[Path, bytes]:
    ogip = isinstance(dataset, SpectrumDatasetOnOff) and _fits_ogip(dataset)
    return contents(dataset, path, name, "ogip" if ogip else "gadf")


def _fits_ogip(dataset: SpectrumDatasetOnOff) -> bool:
    whole = all(field is not None for field in (dataset.counts, dataset.counts_off, dataset.exposure))
    perfect = dataset.edisp is None
    return (
        whole
        and float(np.asarray(dataset.livetime)) > 0
        and not (perfect and not np.array_equal(dataset.energy_edges, dataset.energy_true_edges))
    )


def _map_contents(dataset: Any, path: Path, name: str) -> dict[Path, bytes]:
    return {path: gadf_map_contents(dataset, name)}


def _points_contents(dataset: Any, path: Path, name: str) -> dict[Path, bytes]:
    from .flux_points_files import points_dataset_contents

    return points_dataset_contents(dataset, as_path(path))


BUILT_IN = {
    "SpectrumDatasetOnOff": DatasetType(SpectrumDatasetOnOff, read_on_off, _spectrum_contents, stem="pha_obs"),
    "SpectrumDataset": DatasetType(SpectrumDataset, read_counts, _spectrum_contents),
    "MapDataset": DatasetType(MapDataset, read_map, _map_contents),
    # to gammapy it is a map
    "RegionMapDataset": DatasetType(RegionMapDataset, read_gadf_region, _map_contents, word="MapDataset"),
    "MapDatasetOnOff": DatasetType(MapDatasetOnOff, read_map_on_off, _map_contents),
    "FluxPointsDataset": DatasetType(FluxPointsDataset, FluxPointsDataset.read, _points_contents),
}
DATASET_TYPES: dict[str, DatasetType] = dict(BUILT_IN)
"""Types by the word in the index."""
