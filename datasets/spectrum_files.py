"""Spectrum files of either form, told apart by their tables."""

from pathlib import Path
from typing import Any

from .errors import InputError
from .files import as_path, write_files
from .fits_table import FitsFile
from .gadf_spectrum import gadf_contents, read_gadf_counts, read_gadf_on_off
from .ogip import read_ogip, read_ogip_counts
from .ogip_write import ogip_contents
from .spectrum import SpectrumDataset, SpectrumDatasetOnOff

FORMATS = ("ogip", "gadf")


def read_on_off(filename: Any) -> SpectrumDatasetOnOff:
    """Read an on/off spectrum: an OGIP PHA file, or gammapy's GADF region form."""
    file = FitsFile(filename)
    return read_ogip(file) if _is_ogip(file) else read_gadf_on_off(file)


def read_counts(filename: Any) -> SpectrumDataset:
    """Read a spectrum without off counts: gammapy's GADF region form, or an OGIP PHA file that names no background."""
    file = FitsFile(filename)
    return read_ogip_counts(file) if _is_ogip(file) else read_gadf_counts(file)


def _is_ogip(file: FitsFile) -> bool:
    if "SPECTRUM" in file:
        return True
    if any(name.endswith("_BANDS") for name in file.names().split(", ")):
        return False
    raise InputError(
        f"{file}: no spectrum; the HDUs are {file.names()}, expected SPECTRUM (OGIP) or COUNTS and COUNTS_BANDS "
        "(GADF). Check the name."
    )


def contents(dataset: Any, path: Path, name: str, format: str) -> dict[Path, bytes]:
    """Content of all files of a spectrum."""
    if format not in FORMATS:
        raise InputError(f"format: found {format!r}, expected one of {', '.join(FORMATS)}.")
    if format == "gadf":
        return {path: gadf_contents(dataset, name)}
    if not isinstance(dataset, SpectrumDatasetOnOff):
        raise InputError(
            f"{path}: the OGIP form is for on/off spectra, not {type(dataset).__name__}. Use format='gadf'."
        )
    return ogip_contents(dataset, path, name or None)


def write_spectrum(dataset: Any, filename: Any, overwrite: bool, format: str) -> None:
    """Write one spectrum; see `write_ogip` for the OGIP form."""
    path = as_path(filename)
    name = str(dataset.meta.get("OBS_ID", "")) if format == "gadf" else ""
    write_files(contents(dataset, path, name, format), overwrite)
