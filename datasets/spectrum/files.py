"""Spectrum files of either form, told apart by their tables."""

from pathlib import Path
from typing import Any

import numpy as np

from ..counts.base import CountsBase
from ..errors import InputError
from ..io.fits import FitsFile
from ..io.gadf_spectrum import counts_fields, gadf_contents, on_off_fields
from ..io.ogip_read import read_fields
from ..io.ogip_write import ogip_contents

FORMATS = ("ogip", "gadf")


def spectrum_fields(filename: str | Path | FitsFile, *, measured: bool) -> dict[str, Any]:
    """Constructor arguments from an OGIP PHA file and those it names, or from gammapy's GADF region form.

    ``measured``: on and off counts; else a known background, which a PHA file that names no background file has.
    """
    file = filename if isinstance(filename, FitsFile) else FitsFile(filename)
    if _is_ogip(file):
        return read_fields(file, background=measured)
    return on_off_fields(file) if measured else counts_fields(file)


def _is_ogip(file: FitsFile) -> bool:
    if "SPECTRUM" in file:
        return True
    if any(name.endswith("_BANDS") for name in file.names().split(", ")):
        return False
    raise InputError(
        f"{file}: no spectrum; the HDUs are {file.names()}, expected SPECTRUM (OGIP) or COUNTS and COUNTS_BANDS "
        "(GADF). Check the name."
    )


def measured_contents(dataset: CountsBase, path: Path, name: str, format: str) -> dict[Path, bytes]:
    """Content of all files of an on/off spectrum, in the "ogip" or the "gadf" form."""
    if format not in FORMATS:
        raise InputError(f"format: found {format!r}, expected one of {', '.join(FORMATS)}.")
    if format == "gadf":
        return {path: gadf_contents(dataset, name)}
    return ogip_contents(dataset, path, name or None)


def fits_ogip(dataset: CountsBase) -> bool:
    """Whether an on/off spectrum has all that the OGIP form needs."""
    whole = dataset.missing_data() is None and dataset.exposure is not None
    same_axes = np.array_equal(dataset.energy_edges, dataset.energy_true_edges)
    return whole and float(np.asarray(dataset.livetime)) > 0 and not (dataset.edisp is None and not same_axes)
