"""Stacking: one dataset from several, the sum of what each has in its safe bins."""

from collections.abc import Sequence

import jax
import numpy as np

from ..arrays import is_concrete
from ..dataset import Dataset
from ..errors import InputError
from ..gti import GTI
from ..hints.modules import found
from ..irf.stack import Part, require_same
from ..sky.cutout import is_inside, pixel_offset
from ..sky.geom import SkyGeom
from .base import AnyCounts, CountsBase
from .stack_meta import join_meta

Named = Sequence[tuple[str, CountsBase]]


def stack_onto(dataset: AnyCounts, other: object) -> AnyCounts:
    """`stack` of two datasets on the image of the first, of which the other may be a cutout."""
    if not isinstance(other, CountsBase):
        raise InputError(f"stack: found {found(other)}, expected a dataset: a {type(dataset).__name__}.")
    total = stack_named([("self", dataset), ("other", other)], dataset.sky_geom)
    assert isinstance(total, type(dataset))
    return total


def stack_named(named: Sequence[tuple[str, Dataset]], geom: SkyGeom | None = None) -> CountsBase:
    """`stack` of datasets with their names, which are for messages only."""
    counted = _check(named)
    first = counted[0][1]
    if geom is not None and first.sky_geom is None:
        raise InputError(f"stack: geom is for maps only, found datasets of type {first.tag}. Leave it out.")
    if first.sky_geom is not None:
        geom = _common_geom(counted) if geom is None else geom
        if not isinstance(geom, SkyGeom):
            raise InputError(f"stack: geom must be a SkyGeom, found {type(geom).__name__}.")
    parts = [_part(name, dataset, geom) for name, dataset in counted]
    pixels = () if geom is None else geom.shape
    union = np.zeros((first.n_reco, *pixels), bool)
    for part in parts:
        union[part.place()] |= part.safe
    used = [part for part in parts if part.safe.any()]

    fields: dict[str, object] = {
        "counts": _total(used, "counts", union.shape),
        "exposure": _total(used, "exposure", (first.n_true, *pixels)),
        "mask_safe": None if _all_safe(counted, parts, pixels) else union,
        "mask_fit": None,
        "livetime": sum(float(np.asarray(part.dataset.livetime)) for part in used),
        "gti": _gti(parts),
        "meta": join_meta([part.dataset.meta for part in used]),
        "nodes": max(part.dataset.nodes for part in parts),
    }
    fields |= first.stacked_background(used, lambda field: _total(used, field, union.shape), union.shape)
    if geom is not None:
        fields["geom"] = geom
    # where nothing is used any response will do
    if used:
        fields |= used[0].dataset.stacked_response(used, union, geom)
    return first.replace(**fields)


def _check(named: Sequence[tuple[str, Dataset]]) -> Named:
    """The datasets, if all are of one type and on the same energies."""
    counted: list[tuple[str, CountsBase]] = []
    for name, dataset in named:
        if not isinstance(dataset, CountsBase):
            raise InputError(f"stack: dataset {name!r} is a {type(dataset).__name__}, expected one of counts.")
        counted.append((name, dataset))
        first_name, first = counted[0]
        if type(dataset) is not type(first):
            raise InputError(
                f"stack: dataset {name!r} is a {dataset.tag} and {first_name!r} a {first.tag}, expected one type. "
                "Stack each type on its own; fit them jointly."
            )
        if not all(is_concrete(leaf) for leaf in jax.tree.leaves(dataset)):
            raise InputError(
                "stack: it works on numbers, not inside a JAX transformation. Stack outside of jit and grad."
            )
        first.require_stackable(first_name, name, dataset)
        for field in ("energy_edges", "energy_true_edges"):
            require_same(f"{field} (TeV)", first_name, getattr(first, field), name, getattr(dataset, field))
        if dataset.energy_interp != first.energy_interp:
            raise InputError(
                f"stack: energy_interp is {dataset.energy_interp!r} in dataset {name!r} and {first.energy_interp!r} in "
                f"{first_name!r}, expected one. Set it: dataset.replace(energy_interp={first.energy_interp!r})."
            )
        if dataset.stat_type != first.stat_type:
            raise InputError(
                f"stack: stat_type is {dataset.stat_type!r} in dataset {name!r} and {first.stat_type!r} in "
                f"{first_name!r}, expected one. Set it: dataset.replace(stat_type={first.stat_type!r})."
            )
    return counted


def _common_geom(named: Named) -> SkyGeom:
    first_name, first = named[0]
    geom = first.sky_geom
    assert geom is not None
    for name, dataset in named:
        own = dataset.sky_geom
        assert own is not None
        if own is not geom and not own.is_same(geom):
            raise InputError(
                f"stack: datasets {first_name!r} and {name!r} have different pixels ({_sky(geom)}; "
                f"{_sky(own)}). Pass geom, the image of which all are cutouts: stack(datasets, geom=geom)."
            )
    return geom


def _part(name: str, dataset: CountsBase, geom: SkyGeom | None) -> Part:
    safe, own = dataset.safe_bins(), dataset.sky_geom
    if geom is None or own is None:
        return Part(name, dataset, safe)
    start = pixel_offset(own, geom)
    if start is None:
        raise InputError(
            f"stack: the pixels of dataset {name!r} ({_sky(own)}) are not those of the sum ({_sky(geom)}): "
            "expected the same projection, shifted by whole pixels. Make the dataset on a cutout of that image."
        )
    if not is_inside(start, own, geom):
        raise InputError(
            f"stack: dataset {name!r} ({_sky(own)}) sticks out of the sum ({_sky(geom)}): its first pixel is "
            f"at row {start[0]}, column {start[1]}. Give a larger image as geom, or cut the dataset out."
        )
    return Part(name, dataset, safe, start)


def _sky(geom: SkyGeom) -> str:
    sky, (ny, nx) = geom.center, geom.shape
    return f"{nx} x {ny} pixels of {geom.pixel_size:.6g} deg {geom.projection} at {sky.ra.deg:.5f}, {sky.dec.deg:.5f}"


def _all_safe(named: Named, parts: Sequence[Part], pixels: tuple[int, ...]) -> bool:
    return all(d.mask_safe is None for _, d in named) and all(p.dataset.pixels == pixels for p in parts)


def _total(parts: Sequence[Part], field: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """Sum over the safe bins (for exposures the safe pixels) of all; None where no dataset has the quantity."""
    lacking = [part.name for part in parts if getattr(part.dataset, field) is None]
    if parts and len(lacking) == len(parts):
        return None
    if lacking:
        other = next(part.name for part in parts if part.name not in lacking)
        raise InputError(
            f"stack: dataset {lacking[0]!r} has no {field} and {other!r} has. Give all datasets one (zeros, if that is "
            "what is meant), or none."
        )
    total = np.zeros(shape)
    for part in parts:
        own = part.exposure if field == "exposure" else np.asarray(getattr(part.dataset, field), float) * part.safe
        total[part.place()] += own
    return total


def _gti(parts: Sequence[Part]) -> GTI | None:
    known = [part for part in parts if part.dataset.gti is not None]
    if not known:
        return None
    used = [part.dataset.gti for part in known if part.safe.any()]
    return GTI.union(used) if used else GTI([], [], known[0].dataset.gti.reference)
