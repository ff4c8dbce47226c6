"""On/off spectra in the OGIP form, the one of X-ray astronomy: PHA, ARF, RMF and background files."""

from typing import Any

from .fits_table import FitsFile, naming
from .ogip_read import read_fields
from .ogip_write import write_ogip
from .spectrum import SpectrumDataset, SpectrumDatasetOnOff

__all__ = ["read_ogip", "read_ogip_counts", "write_ogip"]


def read_ogip(filename: Any) -> SpectrumDatasetOnOff:
    """Read an on/off spectrum; ``filename`` is the PHA file, which names the others.

    ANCRFILE, RESPFILE and BACKFILE are looked for as given and in the folder of the PHA file; 'NONE' or an empty name
    means that there is no such file, a ``.gz`` sibling is accepted. Without RESPFILE the energy resolution is perfect,
    for which the energies of ARF and channels must be the same. Exposure is SPECRESP times EXPOSURE (times AREASCAL);
    acceptance is BACKSCAL AREASCAL, and acceptance_off the same of the background times the ratio of the two EXPOSUREs.
    Bins of QUALITY 0 are safe, all others not. GROUPING is not applied. Rates are multiplied by EXPOSURE.

    ``meta`` has OBS_ID, TELESCOP and INSTRUME, and the region tables as ``region`` and ``region_off``.
    """
    with naming(filename):
        file = filename if isinstance(filename, FitsFile) else FitsFile(filename)
        return SpectrumDatasetOnOff(**read_fields(file, background=True))


def read_ogip_counts(filename: Any) -> SpectrumDataset:
    """Read a PHA file that names no background file, as counts without background; otherwise like `read_ogip`."""
    with naming(filename):
        file = filename if isinstance(filename, FitsFile) else FitsFile(filename)
        return SpectrumDataset(**read_fields(file, background=False))
