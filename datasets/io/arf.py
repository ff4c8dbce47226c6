"""Effective areas in the OGIP form (ARF): the table SPECRESP.

Source: OGIP memo CAL/GEN/92-002 of the NASA HEASARC.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from astropy import units as u
from astropy.io import fits

from ..errors import InputError, warn
from ..hints.calls import hinted
from ..units import Given, edges_tev, numbers_in
from .bins import usable_bins
from .fits import Card, FitsFile, bin_edges, naming, table_hdu, to_bytes
from .paths import Filename, as_path, write_files

OGIP_UNITS = {"ogip": "TeV", "ogip-sherpa": "keV"}
"""Unit of energies by the name of a form: keV for programs that assume it, such as XSPEC and Sherpa."""


class EffectiveArea(NamedTuple):
    """``area`` (n_true,) in cm2 between ``energy_true_edges`` (n_true + 1,) in TeV, as Quantities."""

    energy_true_edges: u.Quantity
    area: u.Quantity


@hinted
def read_arf(filename: Filename) -> EffectiveArea:
    """The effective area in an ARF file; times a livetime it is the ``exposure`` of a dataset.

    Example: ``edges, area = gj.read_arf("arf.fits")``. Raises InputError for other files and for areas below 0.
    """
    with naming(filename):
        edges, area = arf_arrays(FitsFile(filename))
    return EffectiveArea(u.Quantity(edges, "TeV"), u.Quantity(area, "cm2"))


@hinted
def write_arf(
    filename: Filename, energy_true_edges: Given, area: Given, overwrite: bool = False, format: str = "ogip"
) -> None:
    """Write an effective area (n_true,), Quantity or cm2, as an ARF file.

    ``energy_true_edges``: (n_true + 1,), Quantity or TeV; ``format``: "ogip", or "ogip-sherpa" for energies in keV.
    Raises InputError for areas that are negative or not finite, and for edges that do not fit.
    """
    edges = np.asarray(edges_tev(energy_true_edges, "energy_true_edges"))
    values = usable_bins(np.asarray(numbers_in(area, "cm2", "area")), "write_arf: area")
    if values.shape != (edges.size - 1,):
        raise InputError(f"write_arf: area has shape {values.shape}, expected {(edges.size - 1,)}, one per energy bin.")
    hdu = arf_hdu(edges, values, ogip_unit(format), {"TELESCOP": "unknown", "INSTRUME": "unknown", "FILTER": "None"})
    write_files({as_path(filename): to_bytes([hdu])}, overwrite)


def ogip_unit(format: str) -> str:
    """Unit of energies of a form."""
    if format not in OGIP_UNITS:
        raise InputError(f"format is {format!r}, expected one of {', '.join(map(repr, OGIP_UNITS))}.")
    return OGIP_UNITS[format]


def arf_arrays(file: FitsFile) -> tuple[np.ndarray, np.ndarray]:
    """Edges in TeV and effective area in cm2 of an ARF file."""
    table = file.table("SPECRESP")
    edges, area = bin_edges(table, "ENERG_LO", "ENERG_HI"), table.column("SPECRESP", "cm2")
    if area.ndim != 1:
        raise InputError(f"{table.where}: SPECRESP has shape {area.shape}, expected one number per energy.")
    area = usable_bins(area, f"{table.where}: SPECRESP")
    if table.column("ENERG_LO")[0] == 0 and area[0] > 0:
        warn(
            f"{table.where}: the first energy bin starts at 0, and is read as from {edges[0]:.4g} TeV: fluxes below "
            "are left out. Set ENERG_LO to a positive energy, or the effective area of the bin to 0."
        )
    return edges, area


def arf_hdu(edges: np.ndarray, area: np.ndarray, unit: str, cards: Mapping[str, Card]) -> fits.BinTableHDU:
    """The table SPECRESP; ``edges`` are in ``unit``, TeV or keV."""
    edges = edges * u.TeV.to(unit)
    return table_hdu(
        "SPECRESP",
        [("ENERG_LO", "D", edges[:-1], unit), ("ENERG_HI", "D", edges[1:], unit), ("SPECRESP", "D", area, "cm2")],
        {**cards, "HDUCLASS": "OGIP", "HDUCLAS1": "RESPONSE", "HDUCLAS2": "SPECRESP", "HDUVERS": "1.1.0"},
    )
