"""Flux points in files: FITS tables and ECSV text, as gammapy reads and writes them."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

from ..errors import InputError
from ..gti import GTI
from ..io.fits import Fields, FitsFile, FitsTable, naming, to_bytes
from ..io.gti_table import gti_hdu, read_gti
from ..io.paths import Filename, as_path, existing, read_bytes
from ..io.tables import hdu_table, text_table
from ..models.sky_model import SkyModel
from ..models.spectral.base import SpectralModel
from .table import REQUIRED, point_fields, table_of

if TYPE_CHECKING:
    from astropy.table import Table


HDUS = ("FLUXPOINTS", "TABLE")
"""Names of the table, in gammapy's files of flux points and of datasets."""

TEXT_ENDINGS = (".ecsv", ".ecsv.gz")

GTI_KEY, GTI_FIELDS = "GTI", ("start", "stop", "reference")
"""Entry of good time intervals in the meta of an ECSV table, which has no place for a second table."""

STAT_TYPE = "STATTYPE"
"""Keyword of the fit statistic in a table's meta, short as FITS wants it."""


def read_point_fields(
    filename: Filename, sed_type: str | None = None, reference_model: SpectralModel | SkyModel | None = None
) -> Fields:
    """Constructor arguments of flux points from a FITS or ECSV file; see `table.point_fields` for the columns."""
    table, gti, path = read_table(filename)
    with naming(path):
        return point_fields(table, sed_type, reference_model, gti)


def read_dataset_fields(filename: Filename) -> tuple[Fields, Fields]:
    """Constructor arguments of flux points and of their dataset, from a table with, perhaps, ``mask_safe`` and
    ``mask_fit``.

    The fit statistic is that of ``STATTYPE`` in the table's meta, "chi2" without (gammapy writes none).
    """
    table, gti, path = read_table(filename)
    with naming(path):
        points = point_fields(table, None, None, gti)
        masks: dict[str, np.ndarray | None] = {}
        for name in ("mask_safe", "mask_fit"):
            if name in table.colnames:
                mask = np.asarray(table[name]).astype(bool)
                mask = mask.reshape(-1) if mask.size == len(table) else mask
                # all True says as much as no mask
                masks[name] = None if mask.all() and mask.shape == (len(table),) else mask
    return points, {"stat_type": str(table.meta.get(STAT_TYPE, "chi2")), **masks}


def point_contents(points: Any, path: Path, sed_type: str | None = None) -> dict[Path, bytes]:
    """The file of flux points: ECSV if the name says so, else FITS with the good time intervals."""
    return {path: table_bytes(table_of(points, sed_type), points.gti, path)}


def dataset_contents(dataset: Any, path: Path, sed_type: str | None = None) -> dict[Path, bytes]:
    """The file of a dataset: the table of flux points, with masks and the fit statistic."""
    table = table_of(dataset.data, sed_type)
    for name in ("mask_fit", "mask_safe"):
        mask = getattr(dataset, name)
        flat = np.ones(dataset.data_shape, bool) if mask is None else np.asarray(mask)
        # gammapy combines them with maps, whose axes are energy, y, x
        table[name] = flat[:, None, None]
    table.meta[STAT_TYPE] = dataset.stat_type
    return {path: table_bytes(table, dataset.data.gti, path)}


def table_bytes(table: "Table", gti: GTI | None, path: Path) -> bytes:
    """A table as the content of a file whose name says its form; ECSV has the good time intervals in its meta."""
    if path.name.endswith(TEXT_ENDINGS):
        if gti is not None:
            table.meta[GTI_KEY] = {field: np.asarray(getattr(gti, field), float).tolist() for field in GTI_FIELDS}
        stream = io.StringIO()
        table.write(stream, format="ascii.ecsv")
        return stream.getvalue().encode()
    with warnings.catch_warnings():
        # gammapy's name of the threshold of limits is longer than FITS has names
        warnings.simplefilter("ignore", VerifyWarning)
        hdu = fits.BinTableHDU(table, name=HDUS[0])
    return to_bytes([hdu] if gti is None else [hdu, gti_hdu(gti)])


def read_table(filename: Filename) -> tuple["Table", GTI | None, Path]:
    """The table of flux points in a file, the good time intervals beside it, and the path."""
    path = as_path(filename)
    path = existing(path) or path
    data = read_bytes(path)
    if data.startswith(b"SIMPLE  ="):
        return *_from_fits(path), path
    table = text_table(data, path, "Expected flux points.")
    return table, _gti_in(table.meta.pop(GTI_KEY, None), path), path


def _gti_in(stored: object, path: Path) -> GTI | None:
    """Good time intervals from the meta of a table: seconds after a reference (MJD, TT)."""
    if stored is None:
        return None
    try:
        fields = dict(stored)  # type: ignore[call-overload]
        return GTI(*(np.array(fields[field], dtype=float) for field in GTI_FIELDS))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: the entry {GTI_KEY} of the meta is {str(stored)[:60]!r}, expected lists start and stop (s) and a "
            "number reference (MJD, TT). Correct or remove it."
        ) from error


def _from_fits(path: Path) -> tuple["Table", GTI | None]:
    file = FitsFile(path)
    tables = [hdu for hdu in file.hdus if isinstance(hdu, fits.BinTableHDU)]
    named = [hdu for name in HDUS for hdu in tables if hdu.name == name]
    chosen = named or [hdu for hdu in tables if _holds_points(hdu)]
    if not chosen:
        raise InputError(
            f"{path}: there is no table of flux points; the HDUs are {file.names()}. Expected one named {HDUS[0]}, "
            "or one with the columns of flux points."
        )
    table = hdu_table(chosen[0], str(path))
    times = next((hdu for hdu in tables if hdu.name == "GTI"), None)
    return table, None if times is None else read_gti(FitsTable(times, f"{path}[GTI]"))


def _holds_points(hdu: fits.BinTableHDU) -> bool:
    names = set(hdu.columns.names)
    return bool(names & {"e_ref", "e_min"}) and any(set(required) <= names for required in REQUIRED.values())
