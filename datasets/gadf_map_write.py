"""Map datasets written in gammapy's GADF form: one FITS file, an image HDU and a BANDS table per quantity."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.io import fits

from .edisp import EDispKernel
from .edisp_map import EDispKernelMap
from .errors import InputError
from .fits_table import FitsTable, table_hdu, to_bytes
from .gti_table import gti_hdu
from .map_axis import MapAxis
from .meta import Meta
from .meta_table import meta_table_hdus
from .psf import PSFKernel
from .region_table import pack_region, unpack_region
from .sky_geometry import SkyGeom

SAME_CENTRE = 1e-6
"""Relative difference up to which an energy is the centre of a bin of the dataset."""


def gadf_map_contents(dataset: Any, name: str) -> bytes:
    """Content of the file of a map dataset, or a `RegionMapDataset`; gammapy calls the dataset ``name``.

    HDUs, their order and keywords are gammapy's. Numbers take 4 bytes where these hold them exactly, else 8. A dataset
    without counts, background and masks gets a safe mask that is True everywhere: something has to show its bins.
    """
    if all(getattr(dataset, name) is None for name in ("counts", "background", "mask_safe", "mask_fit")):
        dataset = dataset.replace(mask_safe=np.ones(dataset.data_shape, bool))
    primary = fits.PrimaryHDU()
    for keyword, value in dataset.meta.get("primary", {}).items():
        primary.header[keyword] = value
    primary.header["NAME"] = name
    hdus: list[Any] = [primary]
    reco = MapAxis(np.asarray(dataset.energy_edges), "log", "energy", "TeV")
    true = MapAxis(np.asarray(dataset.energy_true_edges), "log", "energy_true", "TeV")
    geom, region = getattr(dataset, "geom", None), None
    if geom is None:
        region = pack_region(FitsTable(dataset.region.to_table(), "region"))
        own = {key: dataset.meta[key] for key in dataset.meta}
        dataset = dataset.replace(meta=Meta({"psf_region": region, "edisp_region": region} | own))

    def add(key: str, axis: MapAxis, unit: str = "", meta: dict[str, Any] | None = None) -> None:
        values = getattr(dataset, key.lower())
        if values is not None:
            values = values if region is None else np.asarray(values)[:, None, None]
            hdus.extend(map_hdus(key, values, unit, (axis,), geom, meta, region))

    add("COUNTS", reco)
    add("EXPOSURE", true, "cm2 s", _exposure_meta(dataset))
    # the form of regions has no place for the livetime: a keyword that gammapy does not know
    if region is not None and dataset.exposure is not None and np.isfinite(np.asarray(dataset.livetime)):
        next(hdu for hdu in hdus if hdu.name == "EXPOSURE").header["LIVETIME"] = (float(dataset.livetime), "[s]")
    on_off = dataset.tag == "MapDatasetOnOff"
    if not on_off:
        add("BACKGROUND", reco)
    if dataset.edisp is not None:
        hdus += _edisp_hdus(dataset, reco, true)
    if dataset.psf is not None:
        hdus += _psf_hdus(dataset, reco, true)
    add("MASK_SAFE", reco)
    add("MASK_FIT", reco)
    if dataset.gti is not None:
        hdus.append(gti_hdu(dataset.gti))
    hdus += meta_table_hdus(dataset.meta)
    if on_off:
        for key in ("COUNTS_OFF", "ACCEPTANCE", "ACCEPTANCE_OFF"):
            add(key, reco)
    return to_bytes(hdus)


def map_hdus(
    key: str,
    values: Any,
    unit: str,
    axes: Sequence[MapAxis],
    geom: SkyGeom | None,
    meta: dict[str, Any] | None = None,
    region: dict[str, Any] | None = None,
) -> list[Any]:
    """HDUs of one quantity: an image (or a table, where ``geom`` is None) and its BANDS; the last axis comes first.

    ``values`` have shape (n_last_axis, ..., n_first_axis, ny, nx). ``region`` is a packed region table.
    """
    values = np.asarray(values)
    cards: dict[str, Any] = {}
    for i, axis in enumerate(axes, start=1):
        cards |= {f"AXCOLS{i}": ",".join(_columns(axis)), f"INTERP{i}": axis.interp}
    bands = _bands(f"{key}_BANDS", axes, cards)
    if geom is None:
        rows = values.reshape(len(values), -1)
        letter = "L" if rows.dtype == bool else "D"
        columns = [
            ("CHANNEL", "J", np.arange(len(rows)), None),
            ("DATA", f"{rows.shape[1]}{letter}", rows, unit or None),
        ]
        table = table_hdu(key, columns, cards)
        return [table, bands, *([unpack_region(region, f"{key}_REGION")] if region else [])]
    image = fits.ImageHDU(_compact(values), name=key)
    for keyword, value in geom.header.items():
        image.header[keyword] = value
    shape = ",".join(str(n) for n in (geom.shape[1], geom.shape[0], *(axis.nbin for axis in axes)))
    cards |= {"WCSSHAPE": f"({shape})", "BANDSHDU": bands.name, "META": json.dumps(meta or {}), "BUNIT": unit}
    for keyword, value in cards.items():
        image.header[keyword] = value
    return [image, bands]


def _columns(axis: MapAxis) -> list[str]:
    name = axis.name.upper()
    if axis.node_type == "center":
        return [name]
    stem = "E" if name == "ENERGY" else name
    return [f"{stem}_MIN", f"{stem}_MAX"]


def _bands(key: str, axes: Sequence[MapAxis], cards: dict[str, Any]) -> fits.BinTableHDU:
    """One row per combination of bins, the first axis running fastest."""
    index = [i.ravel() for i in np.meshgrid(*(np.arange(axis.nbin) for axis in reversed(axes)), indexing="ij")]
    columns: list[tuple[str, str, Any, str | None]] = [("CHANNEL", "K", np.arange(index[0].size), None)]
    for axis, i in zip(axes, reversed(index), strict=True):
        unit = axis.unit.to_string("fits") or None
        stem = "E" if axis.name == "energy" else axis.name.upper()
        edges = axis.edges.value
        columns += [
            (axis.name.upper(), "D", axis.center.value[i], unit),
            (f"{stem}_MIN", "D", edges[:-1][i], unit),
            (f"{stem}_MAX", "D", edges[1:][i], unit),
        ]
    return table_hdu(key, columns, cards)


def _compact(values: np.ndarray) -> np.ndarray:
    """The same numbers in fewer bytes, where that loses nothing."""
    if values.dtype == bool:
        return values.astype(np.uint8)
    values = values.astype(float)
    with np.errstate(over="ignore"):
        short = values.astype(np.float32)
    return short if np.array_equal(short, values, equal_nan=True) else values


def _exposure_meta(dataset: Any) -> dict[str, Any]:
    livetime = float(np.asarray(dataset.livetime))
    own = {"livetime": f"{livetime!r} s"} if np.isfinite(livetime) else {}
    return own | dict(dataset.meta.get("exposure", {}))


def _edisp_hdus(dataset: Any, reco: MapAxis, true: MapAxis) -> list[Any]:
    edisp = dataset.edisp
    if isinstance(edisp, EDispKernel):
        edisp = EDispKernelMap.from_kernel(edisp)
    first = reco if isinstance(edisp, EDispKernelMap) else MapAxis(np.asarray(edisp.migra_edges), "lin", "migra")
    return _irf_hdus("EDISP", edisp, "", (first, true), dataset.meta.get("edisp_region"))


def _psf_hdus(dataset: Any, reco: MapAxis, true: MapAxis) -> list[Any]:
    psf = dataset.psf
    if isinstance(psf, PSFKernel):
        raise InputError(
            "the dataset has a PSFKernel, for which the GADF form has no place. Give it a PSFMap, or psf=None."
        )
    own = true if psf.energy_axis == "energy_true" else reco
    energy = np.asarray(psf.energy)
    if not _is_centre_of(own, energy):
        own = MapAxis(energy, "log", own.name, "TeV", "center")
    rad, edges = np.asarray(psf.rad), np.asarray(psf.rad_edges)
    axis = MapAxis(edges, "lin", "rad", "deg")
    if not _is_centre_of(axis, rad):
        axis = MapAxis(rad, "lin", "rad", "deg", "center")
    return _irf_hdus("PSF", psf, "sr-1", (axis, own), dataset.meta.get("psf_region"))


def _is_centre_of(axis: MapAxis, nodes: np.ndarray) -> bool:
    centre = axis.center.value
    return centre.shape == nodes.shape and bool(np.allclose(centre, nodes, rtol=SAME_CENTRE, atol=0))


def _irf_hdus(key: str, irf: Any, unit: str, axes: tuple[MapAxis, MapAxis], region: dict[str, Any] | None) -> list[Any]:
    """A response map, and the exposure that weights it when datasets are stacked, with one bin on the first axis."""
    region = region if irf.geom is None else None
    hdus = map_hdus(key, irf.values, unit, axes, irf.geom, region=region)
    if irf.exposure is None:
        return hdus
    first, energy = axes
    edges = first.edges.value[[0, -1]]
    whole = MapAxis(edges, first.interp, first.name, first.unit)
    values = np.asarray(irf.exposure)[:, None]
    return hdus + map_hdus(f"{key}_EXPOSURE", values, "cm2 s", (whole, energy), irf.geom, region=region)
