"""Files of map datasets: what `MapDataset.read` and `write` do."""

from typing import Any

from .errors import InputError
from .files import as_path, write_files
from .fits_table import FitsFile, naming
from .gadf_map import is_region
from .gadf_map_read import ON_ENERGY, read_gadf_map, read_gadf_map_on_off
from .gadf_map_write import gadf_map_contents
from .gadf_region import read_gadf_region
from .gadf_spectrum import read_gadf_counts, read_gadf_on_off


def read_map(filename: Any) -> Any:
    """Read a dataset with known background: a `MapDataset`; or, if the file is of one region, a `RegionMapDataset` or,
    without a point spread function, a `SpectrumDataset`."""
    file = FitsFile(filename)
    if not _of_region(file):
        return read_gadf_map(file)
    return read_gadf_region(file) if "PSF" in file else read_gadf_counts(file)


def read_map_on_off(filename: Any) -> Any:
    """Read an on/off dataset: a `MapDatasetOnOff`, or a `SpectrumDatasetOnOff` if the file is of one region."""
    file = FitsFile(filename)
    if not _of_region(file):
        return read_gadf_map_on_off(file)
    if "PSF" in file:
        raise InputError(
            f"{file}: the counts are of one region, and there is a point spread function, which says how much of a "
            "source the region contains. For on/off data that is not applied: read the file by "
            "SpectrumDatasetOnOff.read, which leaves the point spread function out, if the exposure is corrected for "
            "it already."
        )
    return read_gadf_on_off(file)


def _of_region(file: FitsFile) -> bool:
    first = next((name for name in ON_ENERGY if name in file), None)
    return first is not None and is_region(file, first)


def write_map(dataset: Any, filename: Any, overwrite: bool = False) -> None:
    """Write a map dataset to one file, complete or not at all; names ending in ``.gz`` are compressed.

    Its ``source_grid`` is a choice of the analysis and not written.
    """
    path = as_path(filename)
    with naming(path):
        content = gadf_map_contents(dataset, str(dataset.meta.get("name", "")))
    write_files({path: content}, overwrite)
