"""Tables of astropy from files: the first table of a FITS file, or ECSV text. Other forms are not guessed."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from astropy import units as u
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from ..errors import InputError
from .fits import FitsFile
from .paths import Filename, as_path, existing, read_bytes
from .yaml import require_small

if TYPE_CHECKING:
    from astropy.table import Table


def read_table(filename: Filename, expected: str) -> "Table":
    """The table of a file, the first one of a FITS file. ``expected`` is said where there is none."""
    path = as_path(filename)
    path = existing(path) or path
    data = read_bytes(path)
    if not data.startswith(b"SIMPLE  ="):
        return text_table(data, path, expected)
    file = FitsFile(path)
    first = next((hdu for hdu in file.hdus if isinstance(hdu, fits.BinTableHDU)), None)
    if first is None:
        raise InputError(f"{path}: there is no table, only {file.names()}. {expected}")
    return hdu_table(first, str(path))


def hdu_table(hdu: fits.BinTableHDU, where: str) -> "Table":
    """The table of an HDU."""
    from astropy.table import Table

    try:
        with warnings.catch_warnings():
            # astropy warns about units that it reads but would write differently, and about cards of other programs
            warnings.simplefilter("ignore", u.UnitsWarning)
            warnings.simplefilter("ignore", AstropyWarning)
            return Table.read(hdu)
    except Exception as error:  # astropy raises many types on damaged tables
        raise InputError(
            f"{where}[{hdu.name}]: the table cannot be read ({_said(error)}). Correct the file."
        ) from error


def text_table(data: bytes, path: Path, expected: str) -> "Table":
    """The table in the content of an ECSV file."""
    from astropy.table import Table

    try:
        lines = data.decode("utf-8-sig").splitlines()
        header = [line[2:] for line in lines if line.startswith("# ") and not line.startswith("# %")]
        require_small("\n".join(header), str(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", u.UnitsWarning)
            # lines, not one text: astropy takes a text of one line for the name of a file, or for an address
            return Table.read([*lines, ""], format="ascii.ecsv")
    except InputError:
        raise
    except Exception as error:  # astropy raises many types on damaged tables
        raise InputError(
            f"{path}: neither a FITS file nor an ECSV table ({_said(error)}). {expected} Check that this is the right "
            "file, or convert it with astropy.table.Table."
        ) from error


def _said(error: Exception) -> str:
    first = str(error).strip().splitlines()
    return first[0][:200] if first else type(error).__name__
