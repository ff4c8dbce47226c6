"""Template maps of the sky in FITS files."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.io import fits

from ...errors import InputError
from ...io.fits import Card, FitsFile, FitsTable, naming, readable_cards, set_cards, to_bytes
from ...io.gadf_quantity import ENERGY_NAMES, map_hdus, read_quantity
from ...io.paths import Filename, as_path, write_files
from ...sky.axis import MapAxis
from ...sky.geom import SkyGeom
from ...units import unit_of_file

FERMI_TABLES = ("EBOUNDS", "ENERGIES")
"""Tables of energies by the names that the Fermi-LAT tools give them: the one that is preferred first."""

FERMI_UNIT = "cm-2 s-1 MeV-1 sr-1"
"""Unit of the diffuse models that the Fermi-LAT tools read and write, which say nothing of it."""


class StoredTemplate(NamedTuple):
    """``values``: (ny, nx), or (n_energy, ny, nx) with an axis ``energy``."""

    values: np.ndarray
    unit: u.UnitBase
    geom: SkyGeom
    energy: MapAxis | None


def read_template(filename: Filename) -> StoredTemplate:
    """The first image of a FITS file.

    A cube has its energies in the BANDS table that gammapy writes, or as the Fermi-LAT tools do in a table ENERGIES
    with a column Energy (MeV unless it says otherwise), or EBOUNDS with E_MIN and E_MAX (keV). Those are interpolated
    in ln E whatever else the table says, and without BUNIT the cube is in cm-2 s-1 MeV-1 sr-1. Raises InputError for
    other files.
    """
    file = FitsFile(filename)
    hdu = next((h for h in file.hdus if not isinstance(h, fits.BinTableHDU) and np.ndim(h.data) >= 2), None)
    if hdu is None:
        raise InputError(f"{file}: there is no image, only {file.names()}. HEALPix maps are not read: reproject them.")
    where = f"{file}[{hdu.name or 'PRIMARY'}]"
    header = readable_cards(hdu.header, where)
    bands = str(header.get("BANDSHDU", "") or f"{hdu.name}_BANDS").strip().upper()
    if bands not in FERMI_TABLES and bands in file and "AXCOLS1" in file.table(bands).header:
        return _from_bands(file, hdu.name)
    fermi = bands if bands in FERMI_TABLES else next((name for name in FERMI_TABLES if name in file), None)
    with naming(where):
        values = np.array(hdu.data, float)
        while values.ndim > 2 and values.shape[0] == 1 and fermi is None:
            values = values[0]
        axis = None
        if values.ndim == 3 and fermi is not None:
            axis = (_bounds if fermi == "EBOUNDS" else _energies)(file.table(fermi))
        if values.ndim != (2 if axis is None else 3) or (axis is not None and axis.nbin != len(values)):
            raise InputError(
                f"the image has shape {values.shape}, expected two sky axes, or a third one that a table of energies "
                f"(ENERGIES, EBOUNDS or BANDS) describes{'' if axis is None else f' (it has {axis.nbin})'}."
            )
        return StoredTemplate(
            values,
            _unit(header, "" if axis is None else FERMI_UNIT),
            SkyGeom.from_header(header, values.shape[-2:], where),
            axis,
        )


def _from_bands(file: FitsFile, name: str) -> StoredTemplate:
    stored = read_quantity(file, name)
    axes = [axis.name for axis in stored.axes]
    if stored.geom is None or len(axes) != 1 or axes[0] not in ENERGY_NAMES:
        raise InputError(
            f"{stored.where}: the axes are {axes}, expected an image, or a cube with the axis energy_true."
        )
    return StoredTemplate(stored.values, stored.unit, stored.geom, stored.axes[0])


def _energies(table: FitsTable) -> MapAxis:
    name = next((name for name in ("ENERGY", "ENERGY_TRUE") if name in table), None)
    if name is None:
        raise InputError(f"{table.where}: the column Energy is missing; there are {', '.join(table.names)}.")
    unit = table.unit(name)
    unit = u.MeV if unit == u.dimensionless_unscaled else unit
    return MapAxis(np.asarray(table.column(name), float) * unit.to("TeV"), "log", "energy_true", "TeV", "center")


def _bounds(table: FitsTable) -> MapAxis:
    low, high = (np.asarray(table.column(name, "keV"), float) for name in ("E_MIN", "E_MAX"))
    return MapAxis(np.append(low, high[-1]) * u.keV.to("TeV"), "log", "energy_true", "TeV", "edges")


def _unit(header: Mapping[str, Card], missing: str) -> u.UnitBase:
    first, *rest = (str(header.get("BUNIT", "") or "").strip() or missing).split("/")
    # one by one: several slashes, as in photon/cm2/s/MeV/sr, are not standard
    units = [unit_of_file(text, "BUNIT") for text in (first, *rest)]
    for part in units:
        if isinstance(part, u.UnrecognizedUnit):
            return part
    unit = units[0]
    for part in units[1:]:
        unit = unit / part
    counted = unit.decompose().bases
    return unit / u.photon if u.photon in counted else unit


def write_template(
    values: np.ndarray, unit: str, axis: MapAxis | None, geom: SkyGeom, filename: Filename, overwrite: bool
) -> None:
    """Write an image, or a cube with its BANDS table, as gammapy does."""
    if axis is not None:
        hdus = map_hdus("SKYMAP", values, unit, (axis,), geom)
    else:
        image = fits.PrimaryHDU(values)
        set_cards(image.header, geom.header | {"BUNIT": unit})
        hdus = [image]
    write_files({as_path(filename): to_bytes(hdus)}, overwrite=overwrite)
