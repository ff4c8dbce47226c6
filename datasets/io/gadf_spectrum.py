"""Spectra in gammapy's GADF region form: one FITS file with a table per quantity.

Each quantity X is a table of CHANNEL and DATA, with its axes in X_BANDS and its region in X_REGION.
"""

from typing import Any

import numpy as np
from astropy.io import fits

from ...kernels.edisp import diagonal_response
from ..arrays import Array
from ..errors import InputError
from ..irf.edisp import EDispKernel, EDispMap
from ..meta import Meta
from ..sky.axis import MapAxis
from .bins import usable_bins
from .fits import Column, Fields, FitsFile, FitsTable, Hdu, naming, require_same_edges, set_cards, table_hdu, to_bytes
from .gti_table import gti_hdu, read_gti
from .meta_table import META_TABLE, meta_table_hdus, read_meta_table
from .region_table import pack_region, unpack_region
from .stat_type import stat_type_cards, stat_type_of

ON_ENERGY = ("COUNTS", "COUNTS_OFF", "BACKGROUND", "MASK_SAFE", "ACCEPTANCE", "ACCEPTANCE_OFF", "MASK_FIT")

META_KEYS = ("OBS_ID", "TELESCOP", "INSTRUME")


def on_off_fields(file: FitsFile) -> Fields:
    """Arguments of the constructor of an on/off spectrum.

    The livetime is NaN unless this package wrote the file: the form has no place for it, so it is an extra keyword.
    """
    with naming(file):
        if "ACCEPTANCE" not in file:
            raise InputError(
                f"the HDU ACCEPTANCE is missing, there are {file.names()}; an on/off spectrum needs it. "
                "Read a spectrum with known background by SpectrumDataset.read."
            )
        fields, edges = _common(file)
        fields |= {"counts_off": _values(file, "COUNTS_OFF", edges, excluded=_excluded(fields))}
        for key in ("ACCEPTANCE", "ACCEPTANCE_OFF"):
            values = _values(file, key, edges, excluded=_excluded(fields))
            if values is None and fields["counts_off"] is not None:
                raise InputError(f"the HDU {key} is missing, there are {file.names()}. Write the dataset again.")
            fields[key.lower()] = 0.0 if values is None else values
        return fields | stat_type_of(file.hdus[0].header, str(file), "wstat")


def counts_fields(file: FitsFile) -> Fields:
    """Arguments of the constructor of a spectrum with known background; livetime as in `on_off_fields`."""
    with naming(file):
        if "ACCEPTANCE" in file:
            raise InputError("the file is an on/off spectrum (it has ACCEPTANCE). Use SpectrumDatasetOnOff.read.")
        fields, edges = _common(file)
        fields |= stat_type_of(file.hdus[0].header, str(file), "cash")
        return fields | {
            key.lower(): _values(file, key, edges, excluded=_excluded(fields)) for key in ("BACKGROUND", "WEIGHTS")
        }


def _common(file: FitsFile) -> tuple[Fields, np.ndarray]:
    first = next((name for name in ON_ENERGY if name in file), None)
    if first is None:
        raise InputError(
            f"none of the HDUs {', '.join(ON_ENERGY)} is there, only {file.names()}. Check that this is the right file."
        )
    edges = _axis(file, first, "energy")
    exposure, true_edges, livetime = None, None, None
    if "EXPOSURE" in file:
        table, true_edges = file.table("EXPOSURE"), _axis(file, "EXPOSURE", "energy_true")
        exposure = usable_bins(_shaped(table, table.column("DATA", "cm2 s"), true_edges.size - 1), table.where)
        livetime = table.number("LIVETIME") if "LIVETIME" in table.header else None
    edisp = None
    if "EDISP" in file:
        edisp, own_true = _edisp(file, edges)
        true_edges = own_true if true_edges is None else true_edges
        require_same_edges(
            true_edges, own_true, "true energies of EXPOSURE and EDISP", "Write the dataset again from one source."
        )
    fields = {
        "energy_edges": edges,
        "energy_interp": file.table(f"{first}_BANDS").text("INTERP1", "log").lower(),
        "energy_true_edges": true_edges,
        "counts": None,
        "exposure": exposure,
        "edisp": edisp,
        "mask_safe": _mask(file, "MASK_SAFE", edges),
        "mask_fit": _mask(file, "MASK_FIT", edges),
        "livetime": livetime,
        "gti": read_gti(file.table("GTI")) if "GTI" in file else None,
        "meta": Meta(_meta(file)),
    }
    fields["counts"] = _values(file, "COUNTS", edges, excluded=_excluded(fields))
    return fields, edges


def _excluded(fields: Fields) -> np.ndarray | None:
    return None if fields["mask_safe"] is None else ~fields["mask_safe"]


def _meta(file: FitsFile) -> dict[str, object]:
    meta = read_meta_table(file.table(META_TABLE)) if META_TABLE in file else {}
    regions = {"region": "COUNTS_REGION", "region_off": "COUNTS_OFF_REGION"}
    return meta | {key: pack_region(file.table(hdu)) for key, hdu in regions.items() if hdu in file}


def _axes(file: FitsFile, name: str) -> list[tuple[str, np.ndarray]]:
    """Name and edges of each axis: energies in TeV, all else as stored."""
    table = file.table(f"{name}_BANDS")
    axes = []
    for i in range(1, 6):
        columns = table.text(f"AXCOLS{i}").split(",")
        if columns == [""]:
            break
        if len(columns) != 2:
            raise InputError(
                f"{table.where}: AXCOLS{i} is {columns[0]!r}, expected a lower and an upper edge. Write the axis "
                "with edges."
            )
        label = "energy" if columns[0] == "E_MIN" else columns[0].removesuffix("_MIN").lower()
        unit = "TeV" if label.startswith("energy") else ""
        low, high = (np.unique(table.column(c, unit)) for c in columns)
        if low.size != high.size or not low.size:
            raise InputError(
                f"{table.where}: found {low.size} lower and {high.size} upper edges of {label}, expected the same "
                "number."
            )
        axes.append((label, np.append(low, high[-1])))
    return axes


def _axis(file: FitsFile, name: str, label: str) -> np.ndarray:
    """Edges of the one axis of a quantity; older files call the true energy of an exposure plainly energy."""
    table = file.table(name)
    axes = _axes(file, name)
    if len(axes) != 1 or axes[0][0] not in (label, "energy"):
        raise InputError(
            f"{table.where}: axes are {[a for a, _ in axes]}, expected ['{label}']. Check that this is a spectrum."
        )
    return axes[0][1]


def _values(file: FitsFile, name: str, edges: np.ndarray, excluded: np.ndarray | None = None) -> np.ndarray | None:
    """Numbers of the bins (n_reco,); bad ones are 0 where the safe mask excludes them, see `bins.usable_bins`."""
    values = _stored(file, name, edges)
    return None if values is None else usable_bins(values, file.table(name).where, excluded)


def _mask(file: FitsFile, name: str, edges: np.ndarray) -> np.ndarray | None:
    values = _stored(file, name, edges)
    return None if values is None else values.astype(bool)


def _stored(file: FitsFile, name: str, edges: np.ndarray) -> np.ndarray | None:
    if name not in file:
        return None
    table = file.table(name)
    require_same_edges(
        _axis(file, name, "energy"),
        edges,
        f"{table.where}: energies of this table and the others",
        "Write the dataset again.",
    )
    return _shaped(table, table.column("DATA"), edges.size - 1)


def _shaped(table: FitsTable, values: np.ndarray, *shape: int) -> np.ndarray:
    if values.size != np.prod(shape):
        raise InputError(
            f"{table.where}: DATA has shape {values.shape}, expected {np.prod(shape)} numbers as its axes say. "
            "Only files of one region are read."
        )
    return values.reshape(shape)


def _edisp(file: FitsFile, edges: np.ndarray) -> tuple[EDispKernel, np.ndarray]:
    """Kernel and its true-energy edges, from a stored kernel or a migration table."""
    table, axes = file.table("EDISP"), _axes(file, "EDISP")
    labels = [label for label, _ in axes]
    if labels not in (["energy", "energy_true"], ["migra", "energy_true"]):
        raise InputError(
            f"{table.where}: axes are {labels}, expected ['energy', 'energy_true'] (kernel) or ['migra', "
            "'energy_true'] (migration)."
        )
    (label, own), (_, true_edges) = axes
    values = usable_bins(_shaped(table, table.column("DATA"), true_edges.size - 1, own.size - 1), table.where)
    if label == "migra":
        kernels = EDispMap(None, true_edges, own, values[..., None, None]).to_kernel_map(edges)
        return EDispKernel(kernels.values[..., 0, 0]), true_edges
    require_same_edges(own, edges, f"{table.where}: energies of this table and the counts", "Write the dataset again.")
    return EDispKernel(values), true_edges


def gadf_contents(dataset: Any, name: str) -> bytes:
    """Content of the file of a `SpectrumDataset` or `SpectrumDatasetOnOff`; gammapy calls the dataset ``name``."""
    edges, true_edges = np.asarray(dataset.energy_edges), np.asarray(dataset.energy_true_edges)
    reco = MapAxis(edges, dataset.energy_interp, "energy", "TeV")
    true = MapAxis(true_edges, "log", "energy_true", "TeV")
    primary = fits.PrimaryHDU()
    set_cards(primary.header, {"NAME": name, **stat_type_cards(dataset)})
    hdus: list[Hdu] = [primary]

    def add(key: str, values: Array | None, unit: str, *axes: MapAxis, region: str = "region") -> None:
        if values is not None:
            hdus.extend(_map_hdus(key, np.asarray(values), unit, axes))
            if region in dataset.meta:
                hdus.append(unpack_region(dataset.meta[region], f"{key}_REGION"))

    add("COUNTS", dataset.counts, "", reco)
    add("EXPOSURE", dataset.exposure, "cm2 s", true)
    livetime = float(np.asarray(dataset.livetime))
    if dataset.exposure is not None and np.isfinite(livetime):
        next(hdu for hdu in hdus if hdu.name == "EXPOSURE").header["LIVETIME"] = (livetime, "[s]")
    if "background" in dataset.background_fields:
        add("BACKGROUND", dataset.background, "", reco)
    matrix = dataset.edisp.matrix if isinstance(dataset.edisp, EDispKernel) else None
    if matrix is None and not np.array_equal(edges, true_edges):
        # to gammapy a missing EDISP means equal axes
        matrix = diagonal_response(true_edges, edges)
    add("EDISP", matrix, "", reco, true)
    if matrix is not None and dataset.exposure is not None:
        add(
            "EDISP_EXPOSURE",
            np.asarray(dataset.exposure)[:, None],
            "cm2 s",
            MapAxis(edges[[0, -1]], "log", "energy", "TeV"),
            true,
        )
    add("MASK_SAFE", dataset.mask_safe, "", reco)
    add("MASK_FIT", dataset.mask_fit, "", reco)
    if dataset.gti is not None:
        hdus.append(gti_hdu(dataset.gti))
    hdus += meta_table_hdus(dataset.meta)
    for field in dataset.background_fields:
        if field != "background":
            of_region = "region_off" if field.endswith("_off") else "region"
            add(field.upper(), getattr(dataset, field), "", reco, region=of_region)
    return to_bytes(hdus)


def _map_hdus(key: str, values: np.ndarray, unit: str, axes: tuple[MapAxis, ...]) -> list[fits.BinTableHDU]:
    """Data and BANDS tables; the last axis runs over the rows of the data."""
    n = len(values)
    letter = "L" if values.dtype == bool else "D"
    inner = values.shape[1] if values.ndim > 1 else 1
    cards: dict[str, str] = {}
    bands: list[Column] = []
    mesh = np.meshgrid(*(np.arange(axis.nbin) for axis in axes))
    bands.append(("CHANNEL", "K", np.arange(mesh[0].size), None))
    for i, (axis, index) in enumerate(zip(axes, mesh, strict=True), start=1):
        stem = "E" if axis.name == "energy" else axis.name.upper()
        cards |= {f"AXCOLS{i}": f"{stem}_MIN,{stem}_MAX", f"INTERP{i}": axis.interp}
        numbers = (axis.center.value, axis.nodes[:-1], axis.nodes[1:])
        names = (axis.name.upper(), f"{stem}_MIN", f"{stem}_MAX")
        bands += [(name, "D", of_bins[index.ravel()], "TeV") for name, of_bins in zip(names, numbers, strict=True)]
    data: list[Column] = [("CHANNEL", "J", np.arange(n), None), ("DATA", f"{inner}{letter}", values, unit)]
    return [table_hdu(key, data, cards), table_hdu(f"{key}_BANDS", bands, cards)]
