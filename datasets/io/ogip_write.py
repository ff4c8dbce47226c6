"""Writing spectra in the OGIP form."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits

from ..errors import InputError, warn
from ..irf.edisp import EDispKernel
from .arf import arf_hdu
from .fits import Card, integer_format, table_hdu, to_bytes
from .gti_table import gti_hdu
from .paths import Filename, as_path, write_files
from .region_table import unpack_region
from .rmf import ebounds_hdu, rmf_hdus
from .stat_type import stat_type_cards

ENDINGS = (".fits", ".fit", ".fts", ".pha")


def sibling_paths(path: Path) -> dict[str, Path]:
    """Files that belong to a spectrum NAME.fits[.gz]: NAME_arf, NAME_rmf and NAME_bkg beside it."""
    stem, packed = (path.name[:-3], ".gz") if path.name.endswith(".gz") else (path.name, "")
    ending = next((e for e in ENDINGS if stem.lower().endswith(e)), "")
    stem = stem[: len(stem) - len(ending)]
    return {key: path.with_name(f"{stem}_{key}{ending or '.fits'}{packed}") for key in ("arf", "rmf", "bkg")}


def write_ogip(
    dataset: Any,
    filename: Filename,
    overwrite: bool = False,
    name: str | None = None,
    energy_unit: str = "TeV",
) -> None:
    """Write an on/off spectrum as NAME.fits, NAME_arf.fits, NAME_rmf.fits (if it has a matrix) and NAME_bkg.fits
    (if it has off counts).

    Parameters
    ----------
    dataset : `SpectrumDatasetOnOff` with counts, exposure and livetime
    filename : name of the spectrum file; a name ending in ``.gz`` compresses all of them
    overwrite : replace existing files; without it nothing is written if one of the files exists
    name : written as OBS_ID, which gammapy takes as the name of the dataset; default is the OBS_ID of its meta
    energy_unit : "TeV" keeps every digit; "keV" for programs that assume it, such as XSPEC and Sherpa

    The fit mask is no part of the format; `Datasets.write` keeps it in the index.
    """
    path = as_path(filename)
    write_files(ogip_contents(dataset, path, name, energy_unit), overwrite)


def ogip_contents(dataset: Any, path: Path, name: str | None = None, energy_unit: str = "TeV") -> dict[Path, bytes]:
    """Content of every file of the spectrum; without off counts there is no background file."""
    livetime = float(np.asarray(dataset.livetime))
    _require(dataset, path, livetime)
    measured = dataset.counts_off is not None
    fields = ("counts", "acceptance", *(("counts_off", "acceptance_off") if measured else ()))
    per_bin = {name: np.asarray(getattr(dataset, name), float) for name in fields}
    paths = sibling_paths(path)
    factor = u.TeV.to(energy_unit)
    edges, true_edges = (np.asarray(e) * factor for e in (dataset.energy_edges, dataset.energy_true_edges))
    source: dict[str, Card] = {key: str(dataset.meta.get(key, "unknown")) for key in ("TELESCOP", "INSTRUME")}
    source["FILTER"] = "None"
    cards = source | {"EXPOSURE": livetime} | _identity(dataset, name)
    safe = np.ones(edges.size - 1, bool) if dataset.mask_safe is None else np.asarray(dataset.mask_safe)
    links: dict[str, Card] = {"ANCRFILE": paths["arf"].name}
    if measured:
        links["BACKFILE"] = paths["bkg"].name
    if isinstance(dataset.edisp, EDispKernel):
        # gammapy opens whatever RESPFILE says, 'NONE' too
        links["RESPFILE"] = paths["rmf"].name
    chosen: dict[str, Card] = {**stat_type_cards(dataset)}
    bounds = ebounds_hdu(edges, energy_unit, source)
    on = [
        _spectrum_hdu(per_bin["counts"], safe, per_bin["acceptance"], "TOTAL", cards | links | chosen),
        bounds,
        *_region(dataset, "region"),
    ]
    if dataset.gti is not None:
        on.append(gti_hdu(dataset.gti))
    contents = {path: to_bytes(on)}
    if measured:
        off = [_spectrum_hdu(per_bin["counts_off"], safe, per_bin["acceptance_off"], "BKG", cards), bounds.copy()]
        contents[paths["bkg"]] = to_bytes([*off, *_region(dataset, "region_off")])
    elif np.any(np.asarray(dataset.acceptance_off) > 0):
        warn(f"{path}: acceptance_off is not written: the format keeps it with off counts, and there are none.")
    area = np.asarray(dataset.exposure) / livetime
    contents[paths["arf"]] = to_bytes([arf_hdu(np.asarray(dataset.energy_true_edges), area, energy_unit, source)])
    if isinstance(dataset.edisp, EDispKernel):
        matrix = np.asarray(dataset.edisp.matrix)
        contents[paths["rmf"]] = to_bytes(rmf_hdus(matrix, true_edges, edges, energy_unit, source))
    return contents


def _require(dataset: Any, path: Path, livetime: float) -> None:
    for field in ("counts", "exposure"):
        if getattr(dataset, field) is None:
            raise InputError(
                f"{path}: cannot write, the dataset has no {field}. Fill it first: dataset.replace({field}=...)."
            )
    if not livetime > 0:
        raise InputError(
            f"{path}: cannot write, the livetime of the dataset is {livetime} s and the format needs it. "
            "Set it: dataset.replace(livetime=1800 * u.s)."
        )
    if dataset.edisp is None and not np.array_equal(dataset.energy_edges, dataset.energy_true_edges):
        raise InputError(
            f"{path}: cannot write, without a matrix the format needs equal axes of true and reconstructed energy. "
            "Give "
            "edisp=EDispKernel.from_diagonal_response(energy_true_edges, energy_edges)."
        )


def _identity(dataset: Any, name: str | None) -> dict[str, Card]:
    own = dataset.meta.get("OBS_ID")
    if name is None:
        return {"OBS_ID": "unknown" if own is None else own}
    return {"OBS_ID": name} if own is None or str(own) == name else {"OBS_ID": name, "OBS_ORIG": own}


def _spectrum_hdu(
    counts: np.ndarray, safe: np.ndarray, acceptance: np.ndarray, kind: str, cards: dict[str, Card]
) -> fits.BinTableHDU:
    channels = np.arange(counts.size)
    whole = bool(np.all(counts == np.rint(counts))) and counts.max(initial=0) < 2**53
    counts_format = "D" if not whole else max("J", integer_format(counts))
    return table_hdu(
        "SPECTRUM",
        [
            ("CHANNEL", integer_format(channels), channels, None),
            ("COUNTS", counts_format, counts.astype(int) if whole else counts, "count"),
            ("QUALITY", "I", (~safe).astype(np.int16), None),
            ("BACKSCAL", "D", acceptance, None),
        ],
        cards
        | {
            "HDUCLASS": "OGIP",
            "HDUCLAS1": "SPECTRUM",
            "HDUCLAS2": kind,
            "HDUCLAS3": "COUNT",
            "HDUCLAS4": "TYPE:I",
            "HDUVERS": "1.2.1",
            "POISSERR": True,
            "CHANTYPE": "PHA",
            "DETCHANS": counts.size,
            "TLMIN1": 0,
            "TLMAX1": counts.size - 1,
            "GROUPING": 0,
            "AREASCAL": 1.0,
            "CORRFILE": "NONE",
            "CORRSCAL": 1.0,
        },
    )


def _region(dataset: Any, key: str) -> list[fits.BinTableHDU]:
    return [unpack_region(dataset.meta[key], "REGION")] if key in dataset.meta else []
