"""Redistribution matrices in the OGIP form: groups of channels, so that zeros are not stored.

Source: OGIP memo CAL/GEN/92-002 of the NASA HEASARC.
"""

from typing import NamedTuple

import numpy as np
from astropy.io import fits

from ..errors import InputError
from .bins import usable_bins
from .fits import Card, FitsFile, FitsTable, bin_edges, integer_format, table_hdu

MATRIX_NAMES = ("MATRIX", "SPECRESP MATRIX")


class Redistribution(NamedTuple):
    """What an RMF file says: matrix (n_true, n_reco), edges in TeV, channel numbers of the reconstructed bins."""

    matrix: np.ndarray
    energy_true_edges: np.ndarray
    energy_edges: np.ndarray
    channels: np.ndarray


def read_rmf(file: FitsFile) -> Redistribution:
    """Matrix and axes of an RMF file.

    The number of the first channel, from which F_CHAN counts, is the TLMIN keyword of the F_CHAN column; without one it
    is the first channel of EBOUNDS.
    """
    table, bounds = file.table(*MATRIX_NAMES), file.table("EBOUNDS")
    edges, channels = bin_edges(bounds, "E_MIN", "E_MAX"), channel_numbers(bounds)
    if "MATRIX" in table and not table.unit("MATRIX").is_equivalent(""):
        raise InputError(
            f"{table.where}: MATRIX has unit {table.unit('MATRIX').to_string()!r}, so it contains the effective "
            "area; expected "
            "probabilities. Divide by the effective area and name it in ANCRFILE of the spectrum."
        )
    return Redistribution(matrix_rows(table, channels), bin_edges(table, "ENERG_LO", "ENERG_HI"), edges, channels)


def channel_numbers(table: FitsTable) -> np.ndarray:
    """Channel numbers, which must count up in steps of one."""
    channels = table.column("CHANNEL")
    if channels.ndim != 1 or channels.size == 0 or np.any(np.diff(channels) != 1):
        raise InputError(
            f"{table.where}: CHANNEL must count up in steps of one, found {channels}. Rewrite the file in order."
        )
    return channels.astype(int)


def matrix_rows(table: FitsTable, channels: np.ndarray) -> np.ndarray:
    """Matrix (n_true, n_reco) from groups of channels; the first of ``channels`` counts if the table names none."""
    n_groups = table.column("N_GRP").astype(int).ravel()
    first, count, values = (_rows(table, name) for name in ("F_CHAN", "N_CHAN", "MATRIX"))
    index = list(table.names).index("F_CHAN") + 1
    origin = int(table.number(f"TLMIN{index}", float(channels[0])))
    matrix = np.zeros((len(table), channels.size))
    for row, groups in enumerate(n_groups):
        if first[row].size < groups or count[row].size < groups:
            raise InputError(
                f"{table.where}: row {row} announces {groups} groups in N_GRP, but F_CHAN has {first[row].size} and "
                "N_CHAN "
                f"{count[row].size} entries. The file is damaged."
            )
        starts, lengths = first[row][:groups].astype(int) - origin, count[row][:groups].astype(int)
        filled = lengths > 0
        if np.any(lengths < 0) or np.any(starts[filled] < 0) or np.any((starts + lengths)[filled] > channels.size):
            raise InputError(
                f"{table.where}: row {row} has channels {first[row][:groups].astype(int)} + {lengths}, expected inside "
                f"{origin} to {origin + channels.size - 1} (first channel by TLMIN{index}, else by EBOUNDS; number "
                "by EBOUNDS). "
                "Correct TLMIN or the EBOUNDS table."
            )
        if values[row].size < lengths.sum():
            raise InputError(
                f"{table.where}: row {row} announces {lengths.sum()} elements in N_CHAN, but MATRIX has "
                f"{values[row].size}. "
                "The file is damaged."
            )
        used = 0
        for start, length in zip(starts[filled], lengths[filled], strict=True):
            matrix[row, start : start + length] = values[row][used : used + length]
            used += length
    return usable_bins(matrix, f"{table.where}: MATRIX")


def _rows(table: FitsTable, name: str) -> list[np.ndarray]:
    """One array per row, whether the column is scalar, of fixed length or of variable length."""
    column = table.raw(name)
    if column.dtype.hasobject or column.ndim > 1:
        return [np.ravel(row) for row in column]
    return list(column[:, None])


def rmf_hdus(
    matrix: np.ndarray, energy_true_edges: np.ndarray, energy_edges: np.ndarray, unit: str, cards: dict[str, Card]
) -> list[fits.BinTableHDU]:
    """MATRIX and EBOUNDS tables in full precision; energies are in ``unit``, channels count from 0."""
    n_true, n_reco = matrix.shape
    first, count, values = (np.empty(n_true, dtype=object) for _ in range(3))
    small = integer_format(np.array(n_reco))
    dtype = {"I": np.int16, "J": np.int32}[small]
    for row in range(n_true):
        filled = np.flatnonzero(matrix[row])
        runs = np.split(filled, np.flatnonzero(np.diff(filled) > 1) + 1) if filled.size else []
        first[row] = np.array([run[0] for run in runs], dtype=dtype)
        count[row] = np.array([run.size for run in runs], dtype=dtype)
        values[row] = matrix[row, filled]
    n_groups = np.array([f.size for f in first])
    hdu = table_hdu(
        "MATRIX",
        [
            ("ENERG_LO", "D", energy_true_edges[:-1], unit),
            ("ENERG_HI", "D", energy_true_edges[1:], unit),
            ("N_GRP", small, n_groups, None),
            ("F_CHAN", f"P{small}()", first, None),
            ("N_CHAN", f"P{small}()", count, None),
            ("MATRIX", "PD()", values, None),
        ],
        cards
        | {
            "HDUCLASS": "OGIP",
            "HDUCLAS1": "RESPONSE",
            "HDUCLAS2": "RSP_MATRIX",
            "HDUCLAS3": "REDIST",
            "HDUVERS": "1.3.0",
            "CHANTYPE": "PHA",
            "DETCHANS": n_reco,
            "TLMIN4": 0,
            "TLMAX4": n_reco - 1,
            "NUMGRP": int(n_groups.sum()),
            "NUMELT": int(sum(v.size for v in values)),
            "LO_THRES": 0.0,
        },
    )
    return [hdu, ebounds_hdu(energy_edges, unit, cards)]


def ebounds_hdu(energy_edges: np.ndarray, unit: str, cards: dict[str, Card]) -> fits.BinTableHDU:
    """EBOUNDS table: the energies of the channels, which count from 0."""
    n = energy_edges.size - 1
    channels = np.arange(n)
    return table_hdu(
        "EBOUNDS",
        [
            ("CHANNEL", integer_format(channels), channels, None),
            ("E_MIN", "D", energy_edges[:-1], unit),
            ("E_MAX", "D", energy_edges[1:], unit),
        ],
        cards
        | {
            "HDUCLASS": "OGIP",
            "HDUCLAS1": "RESPONSE",
            "HDUCLAS2": "EBOUNDS",
            "HDUVERS": "1.2.0",
            "CHANTYPE": "PHA",
            "DETCHANS": n,
        },
    )
