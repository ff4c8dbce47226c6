"""Map datasets read from gammapy's GADF form: one FITS file, an image HDU and a BANDS table per quantity.

Bad numbers where the safe mask of the file excludes them are read as 0, whatever they are; see `bins.usable_bins`. An
acceptance of 0 means that nothing was measured there: what needs it, such as a fit, says so.
"""

import math

import numpy as np
from astropy import units as u

from ..arrays import frozen_array
from ..errors import InputError
from ..meta import Meta
from ..sky.axis import MapAxis
from ..sky.geom import SkyGeom
from .fits import Fields, FitsFile, naming, readable_cards, require_same_edges
from .gadf_irf import Excluded, axis_edges, read_edisp, read_psf
from .gadf_quantity import STRUCTURE, StoredMap, is_region, read_quantity
from .gti_table import read_gti
from .meta_table import read_meta_table
from .region_table import pack_region
from .stat_type import STAT_TYPE, stat_type_of

ON_ENERGY = ("COUNTS", "BACKGROUND", "COUNTS_OFF", "ACCEPTANCE", "ACCEPTANCE_OFF", "WEIGHTS", "MASK_SAFE", "MASK_FIT")
"""Quantities on the sky pixels and reconstructed energies of a dataset."""

KNOWN_BACKGROUND = ("COUNTS", "BACKGROUND", "WEIGHTS", "MASK_SAFE", "MASK_FIT")

AGAIN = "Write the dataset again from one source."


def known_fields(file: FitsFile) -> Fields:
    """Arguments of the constructor of a map with known background."""
    if "ACCEPTANCE" in file:
        raise InputError("the file is an on/off dataset (it has ACCEPTANCE). Use MapDatasetOnOff.read.")
    return map_fields(file, KNOWN_BACKGROUND)


def on_off_fields(file: FitsFile) -> Fields:
    """Arguments of the constructor of an on/off map: as `known_fields`, with off counts and acceptances."""
    if "ACCEPTANCE" not in file:
        raise InputError(
            f"the HDU ACCEPTANCE is missing, there are {file.names()}; an on/off dataset needs it. "
            "Read a dataset with known background by MapDataset.read."
        )
    fields = map_fields(file, tuple(name for name in ON_ENERGY if name not in ("BACKGROUND", "WEIGHTS")))
    if fields["acceptance_off"] is None:
        raise InputError(f"the HDU ACCEPTANCE_OFF is missing, there are {file.names()}. {AGAIN}")
    return fields


def map_fields(file: FitsFile, names: tuple[str, ...], of_region: bool = False) -> Fields:
    """Arguments of the constructors; ``geom`` is None for the tables of one region, which are read if ``of_region``."""
    geoms: dict[str, SkyGeom] = {}
    maps = {name: _on_energy(file, name, geoms, of_region) for name in names if name in file}
    if not maps:
        raise InputError(f"none of the HDUs {', '.join(names)} is there, only {file.names()}. Check the file's name.")
    first = next(iter(maps.values()))
    geom, edges = first.geom, axis_edges(first)
    for other in maps.values():
        _require_same_sky(first, other)
        require_same_edges(edges, axis_edges(other), f"energies of {_short(first)} and {_short(other)}", AGAIN)
    masks = {name: _mask(stored) for name, stored in maps.items() if name.startswith("MASK")}
    safe = masks.get("MASK_SAFE")
    excluded = None if safe is None else Excluded(geom, safe)
    exposure = _exposure(file, geoms, first, excluded) if "EXPOSURE" in file else None
    true_edges = exposure[1] if exposure is not None else None
    edisp = read_edisp(file, geoms, excluded=excluded) if "EDISP" in file else None
    if edisp is not None:
        if edisp.energy_edges is not None:
            require_same_edges(edges, edisp.energy_edges, f"energies of {_short(first)} and EDISP", AGAIN)
        if true_edges is None:
            # there is no exposure, or one energy alone without a bin
            true_edges = edisp.energy_true_edges
        require_same_edges(true_edges, edisp.energy_true_edges, "true energies of EXPOSURE and EDISP", AGAIN)
    livetime, description = exposure[2:] if exposure is not None else (None, {})
    fields: Fields = {"geom": geom, "energy_edges": edges, "energy_interp": first.axes[0].interp}
    fields |= {name.lower(): None for name in names}
    for name, stored in maps.items():
        fields[name.lower()] = masks[name] if name in masks else _numbers(stored, None if safe is None else ~safe)
    fields |= stat_type_of(file.hdus[0].header, str(file), "wstat" if "ACCEPTANCE" in names else "cash")
    return fields | {
        "energy_true_edges": true_edges,
        "exposure": None if exposure is None else exposure[0],
        "psf": read_psf(file, geoms, excluded=excluded) if "PSF" in file else None,
        "edisp": None if edisp is None else edisp.edisp,
        "livetime": livetime,
        "gti": read_gti(file.table("GTI")) if "GTI" in file else None,
        "meta": Meta(_description(file) | description),
    }


def _on_energy(file: FitsFile, name: str, geoms: dict[str, SkyGeom], of_region: bool) -> StoredMap:
    stored = read_quantity(file, name, geoms).require_axes("energy")
    if stored.geom is None and not of_region:
        raise InputError(
            f"{stored.where}: the HDU is a table of one region, expected an image. Read spectra of a region by "
            "SpectrumDataset.read or SpectrumDatasetOnOff.read."
        )
    if stored.geom is not None and of_region:
        raise InputError(
            f"{stored.where}: the HDU is an image, expected a table of one region. Read maps by MapDataset.read."
        )
    return stored


def _numbers(stored: StoredMap, excluded: np.ndarray | None) -> np.ndarray:
    # the unit first: a flaw of it tells what the numbers are
    with naming(stored.where):
        stored.to_value("")
    return frozen_array(stored.require_finite(excluded=excluded).to_value(""))


def _mask(stored: StoredMap) -> np.ndarray:
    values = stored.values
    odd = ~(np.isfinite(values) & (values == np.rint(values)))
    if odd.any():
        value = values[odd][0]
        raise InputError(
            f"{stored.where}: a mask holds 0 and 1, found {value}. Weights of the statistic are another "
            "quantity: write a mask of 0 and 1, and replace(stat_type='cash_weighted', weights=...)."
        )
    return frozen_array(values != 0, bool)


def _short(stored: StoredMap) -> str:
    return stored.where.rsplit("[", 1)[-1].rstrip("]")


def _require_same_sky(first: StoredMap, other: StoredMap) -> None:
    if first.has_pixels_of(other):
        return
    raise InputError(
        f"{other.where}: found {_sky(other.geom)}, expected the pixels of {_short(first)}: {_sky(first.geom)}. "
        "Reproject the maps to one geometry."
    )


def _sky(geom: SkyGeom | None) -> str:
    if geom is None:
        return "a region"
    center = geom.center
    return (
        f"{geom.shape[1]} x {geom.shape[0]} pixels {geom.projection} of {geom.pixel_size:.6g} deg around RA "
        f"{center.ra.deg:.5f}, Dec {center.dec.deg:.5f}"
    )


def _exposure(
    file: FitsFile, geoms: dict[str, SkyGeom], sky: StoredMap, excluded: "Excluded | None"
) -> tuple[np.ndarray, np.ndarray | None, float | None, dict[str, object]]:
    """Exposure in cm2 s, its edges (None for one energy alone, if the energy dispersion has them), the livetime, and
    what else is stored with it."""
    stored = _true_energy(read_quantity(file, "EXPOSURE", geoms)).require_axes("energy_true")
    _require_same_sky(sky, stored)
    stored = stored.require_finite(excluded=None if excluded is None else excluded.pixels)
    meta = dict(stored.meta)
    with naming(stored.where):
        livetime = _seconds(meta.pop("livetime", None))
    values = frozen_array(stored.to_value("cm2 s"))
    alone = stored.axes[0].nodes.size == 1 and "EDISP" in file
    edges = None if alone else axis_edges(stored)
    return values, edges, livetime, {"exposure": meta} if meta else {}


def _true_energy(stored: StoredMap) -> StoredMap:
    """Older files call the true energy of an exposure plainly energy."""
    axes = tuple(
        MapAxis(a.nodes, a.interp, "energy_true", a.unit, a.node_type) if a.name == "energy" else a for a in stored.axes
    )
    return stored._replace(axes=axes)


def _seconds(value: u.Quantity | str | float | None) -> float | None:
    if value is None:
        return None
    try:
        livetime = float(u.Quantity(value).to_value("s"))
    except (TypeError, ValueError, u.UnitConversionError) as error:
        raise InputError(f"livetime in META is {value!r}, expected a time such as '1580.5 s'. Correct META.") from error
    if not math.isfinite(livetime):
        raise InputError(f"livetime in META is {value!r}, expected a finite time. Correct or remove it.")
    return livetime


def _description(file: FitsFile) -> dict[str, object]:
    """Name, header cards of the file, regions, and the table of observations: a single one as upper-case entries."""
    primary = readable_cards(file.hdus[0].header, str(file))
    primary.pop(STAT_TYPE, None)
    meta: dict[str, object] = {}
    if name := str(primary.pop("NAME", "")).strip():
        meta["name"] = name
    if primary := {keyword: value for keyword, value in primary.items() if not STRUCTURE.match(keyword)}:
        meta["primary"] = primary
    for name in ("PSF", "EDISP"):
        if name in file and is_region(file, name) and f"{name}_REGION" in file:
            meta[f"{name.lower()}_region"] = pack_region(file.table(f"{name}_REGION"))
    if "META_TABLE" in file:
        meta |= read_meta_table(file.table("META_TABLE"))
    return meta
