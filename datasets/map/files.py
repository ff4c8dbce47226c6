"""Files of map datasets: constructor arguments from gammapy's GADF form."""

from typing import Any

from ..errors import InputError
from ..io.fermi import is_counts_cube, read_counts_cube
from ..io.fits import FitsFile
from ..io.gadf_quantity import is_region
from ..io.gadf_read import ON_ENERGY, known_fields, on_off_fields
from ..io.paths import Filename


def map_fields_of(filename: Filename | FitsFile, *, measured: bool) -> dict[str, Any]:
    """Constructor arguments of a map; ``measured``: with off counts, else with a known background.

    A counts cube of the Fermi-LAT tools is a map that has counts only.
    """
    file = filename if isinstance(filename, FitsFile) else FitsFile(filename)
    if not measured and is_counts_cube(file):
        geom, edges, counts = read_counts_cube(file)
        return {"geom": geom, "energy_edges": edges, "counts": counts}
    if of_region(file):
        raise InputError(f"the counts are of one region, expected images. Read the file by {_reader(file, measured)}.")
    return on_off_fields(file) if measured else known_fields(file)


def of_region(file: FitsFile) -> bool:
    """Whether the quantities of a file are of one region, and no images."""
    first = next((name for name in ON_ENERGY if name in file), None)
    return first is not None and is_region(file, first)


def _reader(file: FitsFile, measured: bool) -> str:
    if not measured:
        return "RegionMapDataset.read" if "PSF" in file else "SpectrumDataset.read"
    if "PSF" not in file:
        return "SpectrumDatasetOnOff.read"
    return (
        "SpectrumDatasetOnOff.read, which leaves the point spread function out, if the exposure is corrected for what "
        "the region does not contain"
    )
