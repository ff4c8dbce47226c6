"""Reading spectra in the OGIP form: counts (PHA), off counts (BKG), effective area (ARF) and redistribution (RMF).

Sources: OGIP/92-007 (spectra), CAL/GEN/92-002 and 92-002a (responses), of the NASA HEASARC.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..gti import GTI
from ..irf.edisp import EDispKernel
from ..meta import Meta
from .arf import arf_arrays
from .bins import usable_bins
from .fits import Card, Fields, FitsFile, FitsTable, bin_edges, naming, require_same_edges
from .gti_table import read_gti
from .paths import as_path, existing
from .region_table import PackedTable, pack_region, plain
from .rmf import Redistribution, channel_numbers, read_rmf
from .stat_type import stat_type_of

ABSENT = ("", "NONE")

ROUNDING = 1e-5
"""Counts that come from rates within this of whole numbers are whole numbers: rates are often stored in float32."""


@dataclass
class Pha:
    """One spectrum file."""

    path: Path
    table: FitsTable
    counts: np.ndarray
    good: np.ndarray
    backscal: np.ndarray
    areascal: np.ndarray
    exposure: float | None
    channels: np.ndarray
    energy_edges: np.ndarray | None
    region: PackedTable | None
    gti: GTI | None


def read_fields(file: FitsFile, background: bool) -> Fields:
    """Constructor arguments of a spectrum dataset, with the off measurement if ``background``."""
    pha = read_pha(file)
    if pha.exposure is None:
        pha.table.number("EXPOSURE")
    arf_path, rmf_path, off_path = (_linked(pha, key) for key in ("ANCRFILE", "RESPFILE", "BACKFILE"))
    if not background and off_path is not None:
        raise InputError(
            f"{pha.table.where}: the keyword BACKFILE names off counts ({off_path.name}), which a SpectrumDataset "
            "cannot hold. "
            "Use SpectrumDatasetOnOff.read, or set BACKFILE to 'NONE'."
        )
    if arf_path is None:
        raise InputError(
            f"{pha.table.where}: the keyword ANCRFILE is {_shown(pha, 'ANCRFILE')}, expected the file of the "
            "effective area. "
            "Set it in the header."
        )
    true_edges, area = arf_arrays(FitsFile(arf_path))
    rmf = None if rmf_path is None else _read_rmf(rmf_path)
    edges = _reconstructed_edges(pha, rmf, rmf_path)
    if rmf is None:
        require_same_edges(
            edges,
            true_edges,
            f"{pha.table.where}: the keyword RESPFILE is {_shown(pha, 'RESPFILE')}, which means a perfect energy "
            "resolution, but the "
            f"energies of the channels and of {arf_path} differ",
            "Name the redistribution file in RESPFILE.",
        )
    else:
        require_same_edges(
            true_edges,
            rmf.energy_true_edges,
            f"true energies of {arf_path} and {rmf_path}",
            "Use the ARF and RMF that belong together.",
        )
    exposure, edisp = _scaled_response(pha, area * pha.exposure, None if rmf is None else rmf.matrix)
    fields: Fields = {
        "energy_edges": edges,
        "energy_true_edges": true_edges,
        "counts": pha.counts,
        "exposure": exposure,
        "edisp": None if edisp is None else EDispKernel(edisp),
        "mask_safe": pha.good,
        "livetime": pha.exposure,
        "gti": pha.gti,
    }
    meta = _meta(pha)
    if background and off_path is None:
        # nothing was measured there: the dataset waits for off counts
        fields |= {"counts_off": None, "acceptance": _acceptance(pha, pha.good), "acceptance_off": 0.0}
    if off_path is not None:
        off = read_pha(FitsFile(off_path), pha.good)
        off_fields, region = _off_fields(pha, off, edges)
        # a background that is flagged bad is none
        fields |= off_fields | {"mask_safe": pha.good & off.good}
        if region is not None:
            meta["region_off"] = region
    if background:
        fields |= stat_type_of(pha.table.header, pha.table.where, "wstat")
    return fields | {"meta": Meta(meta)}


def read_pha(file: FitsFile, good: np.ndarray | None = None) -> Pha:
    """Counts, flags and scalings of one spectrum file; bad counts are 0 outside the ``good`` channels, by default those
    of QUALITY 0."""
    table = file.table("SPECTRUM")
    if "COUNTS" not in table and "RATE" in table:
        unscaled, seconds = table.column("RATE"), _exposure(table)
        if seconds is None:
            table.number("EXPOSURE")
        counts = unscaled * seconds
        whole = np.rint(counts)
        counts = np.where(np.abs(counts - whole) <= ROUNDING * np.maximum(whole, 1), whole, counts)
    else:
        counts = table.column("COUNTS")
    if counts.ndim != 1 or "SPEC_NUM" in table:
        raise InputError(
            f"{table.where}: the file holds several spectra (type II, shape {counts.shape}), expected one number per "
            "channel. "
            "Split it into one file per spectrum."
        )
    own = _per_channel(table, "QUALITY", 0.0) == 0
    used = own if good is None or good.shape != own.shape else good
    counts = usable_bins(counts, f"{table.where}: counts", ~used)
    channels = channel_numbers(table)
    edges = None
    if "EBOUNDS" in file:
        edges = bin_edges(file.table("EBOUNDS"), "E_MIN", "E_MAX")
        if edges.size - 1 != counts.size:
            raise InputError(
                f"{table.where}: found {counts.size} channels, but EBOUNDS of the same file has {edges.size - 1}. "
                "Repair the file."
            )
    return Pha(
        path=file.path,
        table=table,
        counts=counts,
        good=own,
        backscal=_per_channel(table, "BACKSCAL", None),
        areascal=_per_channel(table, "AREASCAL", 1.0),
        exposure=_exposure(table),
        channels=channels,
        energy_edges=edges,
        region=pack_region(file.table("REGION")) if "REGION" in file else None,
        gti=read_gti(file.table("GTI")) if "GTI" in file else None,
    )


def _per_channel(table: FitsTable, name: str, default: float | None) -> np.ndarray:
    """A column, or a keyword for all channels."""
    if name in table:
        values = table.column(name)
        if values.shape != (len(table),):
            raise InputError(
                f"{table.where}: {name} has shape {values.shape}, expected one number per channel ({len(table)})."
            )
        return values
    if default is None and name not in table.header:
        raise InputError(
            f"{table.where}: {name} is missing, expected a column or a keyword. Add it (1 for equal regions)."
        )
    return np.full(len(table), table.number(name, default))


def _exposure(table: FitsTable) -> float | None:
    if "EXPOSURE" not in table.header:
        return None
    seconds = table.number("EXPOSURE")
    if seconds <= 0:
        raise InputError(
            f"{table.where}: the keyword EXPOSURE is {seconds} s, expected more than zero. Correct the header."
        )
    return seconds


def _shown(pha: Pha, key: str) -> str:
    return repr(pha.table.text(key)) if key in pha.table.header else "missing"


def _linked(pha: Pha, key: str) -> Path | None:
    """File named by a keyword: in the folder of the spectrum if it is there, else as given; None if none is named."""
    text = pha.table.text(key)
    if text.upper() in ABSENT:
        return None
    given = as_path(text)
    for path in (pha.path.parent / given, given):
        found = existing(path)
        if found is not None:
            return found
    raise InputError(
        f"{pha.table.where}: the file {text!r} of the keyword {key} was not found, neither in {pha.path.parent} "
        "nor as given. "
        f"Put it there, or correct {key}."
    )


def _read_rmf(path: Path) -> Redistribution:
    with naming(path):
        return read_rmf(FitsFile(path))


def _reconstructed_edges(pha: Pha, rmf: Redistribution | None, rmf_path: Path | None) -> np.ndarray:
    """Energies of the channels: EBOUNDS of the spectrum, which must agree with the RMF, else EBOUNDS of the RMF."""
    if rmf is None:
        if pha.energy_edges is None:
            raise InputError(
                f"{pha.path}: the HDU EBOUNDS is missing and RESPFILE names no file that has one, so the energies of "
                "the "
                "channels are unknown. Set RESPFILE."
            )
        return pha.energy_edges
    if pha.counts.size != rmf.channels.size:
        raise InputError(
            f"{pha.table.where}: found {pha.counts.size} channels, but {rmf_path} has {rmf.channels.size}. Use the "
            "RMF of this spectrum."
        )
    if pha.energy_edges is None:
        if pha.channels[0] != rmf.channels[0]:
            raise InputError(
                f"{pha.table.where}: channels start at {pha.channels[0]}, those of {rmf_path} at {rmf.channels[0]}, "
                "and the spectrum has "
                "no EBOUNDS to say which energies are meant. Renumber the channels of one of them."
            )
        return rmf.energy_edges
    require_same_edges(
        pha.energy_edges,
        rmf.energy_edges,
        f"energies (EBOUNDS) of {pha.path} and {rmf_path}",
        "Use the RMF of this spectrum.",
    )
    return pha.energy_edges


def _scaled_response(pha: Pha, exposure: np.ndarray, matrix: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """AREASCAL scales the effective area: all of it if it is one number, else channel by channel in the matrix."""
    _require_positive(pha, "AREASCAL", pha.areascal)
    if np.all(pha.areascal == pha.areascal[0]):
        return exposure * pha.areascal[0], matrix
    if matrix is None:
        matrix = np.eye(pha.counts.size)
    return exposure, matrix * pha.areascal


def _require_positive(pha: Pha, name: str, values: np.ndarray, where: np.ndarray | None = None) -> None:
    bad = ~(np.isfinite(values) & (values > 0)) & (True if where is None else where)
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(
            f"{pha.table.where}: {name} must be above zero in every bin of good QUALITY, found {values[row]} in row "
            f"{row} "
            f"({int(bad.sum())} such bins). Correct {name}, or flag the bins by QUALITY in the on spectrum."
        )


def _off_fields(pha: Pha, off: Pha, edges: np.ndarray) -> tuple[dict[str, np.ndarray], PackedTable | None]:
    if off.counts.size != edges.size - 1:
        raise InputError(
            f"{off.table.where}: found {off.counts.size} channels, but the spectrum {pha.path} has {edges.size - 1}. "
            "Use the background file of this spectrum."
        )
    if off.energy_edges is not None:
        require_same_edges(
            off.energy_edges,
            edges,
            f"energies (EBOUNDS) of {off.path} and {pha.path}",
            "Use the background file of this spectrum.",
        )
    # a background file without EXPOSURE was taken together with the spectrum
    assert pha.exposure is not None  # `read_fields` asks for it first
    ratio = 1.0 if off.exposure is None else off.exposure / pha.exposure
    on, off_acceptance = _acceptance(pha, pha.good), _acceptance(off, pha.good) * ratio
    return {"counts_off": off.counts, "acceptance": on, "acceptance_off": off_acceptance}, off.region


def _acceptance(pha: Pha, good: np.ndarray) -> np.ndarray:
    """BACKSCAL AREASCAL per channel; 0 where nothing was measured, and where bins are not used: files have anything
    there."""
    _require_positive(pha, "AREASCAL", pha.areascal, good)
    backscal = usable_bins(pha.backscal, f"{pha.table.where}: BACKSCAL", ~good)
    return np.where(np.isfinite(pha.areascal) & (pha.areascal > 0), backscal * pha.areascal, 0.0)


def _known(text: str) -> bool:
    return text.lower() not in ("", "unknown")


def _meta(pha: Pha) -> dict[str, Card | PackedTable]:
    # OBS_ORIG: a writer of this package puts the dataset's name into OBS_ID and the telescope's own number there
    keys = {
        "OBS_ID": "OBS_ORIG" if "OBS_ORIG" in pha.table.header else "OBS_ID",
        "TELESCOP": "TELESCOP",
        "INSTRUME": "INSTRUME",
    }
    meta: dict[str, Card | PackedTable] = {
        name: plain(pha.table.card(key, "")) for name, key in keys.items() if _known(pha.table.text(key))
    }
    if pha.region is not None:
        meta["region"] = pha.region
    return meta
