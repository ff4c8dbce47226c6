"""Stacking: one dataset from several, the sum of what each has in its safe bins."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from .container import Datasets
from .convert import is_concrete
from .counts_base import CountsBase
from .errors import InputError
from .gti import GTI
from .map import MapDataset, MapDatasetOnOff
from .region_map import RegionMapDataset
from .reshape_sums import alpha_of_sum, ratio
from .sky_geometry import SkyGeom
from .spectrum import SpectrumDataset, SpectrumDatasetOnOff
from .stack_geom import is_inside, pixel_offset
from .stack_irf import Part, require_same, stack_edisp, stack_matrix, stack_psf
from .stack_meta import join_meta
from .stack_region import require_same_region, stack_region_responses

MAPS = (MapDataset, MapDatasetOnOff)
TYPES = (SpectrumDataset, SpectrumDatasetOnOff, *MAPS, RegionMapDataset)


def stack(datasets: Datasets | Mapping[str, Any] | Iterable[Any], geom: SkyGeom | None = None) -> Any:
    """The sum of datasets of one type: a dataset that holds the counts, background and exposure of all.

    Parameters
    ----------
    datasets : `SpectrumDataset`, `SpectrumDatasetOnOff`, `MapDataset`, `MapDatasetOnOff` or `RegionMapDataset` (of one
        region), on the same energies
    geom : image of the sum, for maps that are cutouts of it; not needed where all have the same pixels

    Every dataset enters with its safe bins only (all bins where ``mask_safe`` is None), so one without any changes
    nothing. With safe masks m_i (1 or 0):

    - counts, background, counts_off, acceptance: sum of m_i x_i per bin; exposure: sum of X_i over the pixels with any
      safe bin; livetime and the union of the GTIs: of the datasets with any safe bin
    - acceptance_off: such that the background alpha n_off of every bin is kept. Bins without off counts take the mean
      alpha of all off counts, as in gammapy; where there are none at all, sum(acceptance) / sum(acceptance_off)
    - PSF and energy dispersion: weighted with the exposure, see `stack_psf`, `stack_edisp`, `stack_region_responses`
    - mask_safe: bins that are safe in any. A mask_fit is not carried over: choose the fit range of the sum.
    - meta: what is equal in all, and a table with one entry per observation

    Sums are over all datasets in float64; they depend neither on the order nor on being done in parts, up to rounding.
    Norms of backgrounds are models, which datasets do not hold: replace each background by `npred_background` first to
    stack fitted ones. Lazy datasets are read. Raises InputError for datasets that do not fit together.
    """
    found = Datasets(datasets)
    if not len(found):
        raise InputError("stack: there are no datasets. Give at least one.")
    return stack_named(list(found.items()), geom)


def stack_onto(dataset: Any, other: Any) -> Any:
    """`stack` of two datasets on the image of the first, of which the other may be a cutout."""
    if not isinstance(other, TYPES):
        raise InputError(f"stack: found {type(other).__name__}, expected a dataset: a {type(dataset).__name__}.")
    return stack_named([("self", dataset), ("other", other)], getattr(dataset, "geom", None))


def stack_named(named: Sequence[tuple[str, Any]], geom: SkyGeom | None = None) -> Any:
    """`stack` of datasets with their names, which are for messages only."""
    first = _check(named)
    is_map = isinstance(first, MAPS)
    if geom is not None and not is_map:
        raise InputError(f"stack: geom is for maps only, found datasets of type {first.tag}. Leave it out.")
    if is_map:
        geom = _common_geom(named) if geom is None else geom
        if not isinstance(geom, SkyGeom):
            raise InputError(f"stack: geom must be a SkyGeom, found {type(geom).__name__}.")
    parts = [_part(name, dataset, geom) for name, dataset in named]
    pixels = () if geom is None else geom.shape
    union = np.zeros((first.n_reco, *pixels), bool)
    for part in parts:
        union[part.place()] |= part.safe
    used = [part for part in parts if part.safe.any()]

    fields: dict[str, Any] = {
        "counts": _total(used, "counts", union.shape),
        "exposure": _total(used, "exposure", (first.n_true, *pixels)),
        "mask_safe": None if _all_safe(named, parts, pixels) else union,
        "mask_fit": None,
        "livetime": sum(float(np.asarray(part.dataset.livetime)) for part in used),
        "gti": _gti(parts),
        "meta": join_meta([part.dataset.meta for part in used]),
        "nodes": max(part.dataset.nodes for part in parts),
    }
    if first.stat_type == "wstat":
        fields |= _off(used, union.shape)
    else:
        fields["background"] = _total(used, "background", union.shape)
    if geom is not None:
        fields["geom"] = geom
    # where nothing is used any response will do
    if used and isinstance(first, RegionMapDataset):
        fields |= stack_region_responses(used, union)
    elif used and geom is None:
        fields["edisp"] = stack_matrix(used, union)
    elif used and geom is not None:
        fields |= {"psf": stack_psf(used, geom), "edisp": stack_edisp(used, geom, union)}
    return first.replace(**fields)


def _check(named: Sequence[tuple[str, Any]]) -> Any:
    """The first dataset, if all are of one type and on the same energies."""
    first_name, first = named[0]
    for name, dataset in named:
        if not isinstance(dataset, TYPES):
            what = f"dataset {name!r} is a {type(dataset).__name__}"
            raise InputError(f"stack: {what}, expected one of {', '.join(t.tag for t in TYPES)}.")
        if type(dataset) is not type(first):
            raise InputError(
                f"stack: dataset {name!r} is a {dataset.tag} and {first_name!r} a {first.tag}, expected one type. "
                "Stack each type on its own; fit them jointly."
            )
        if not all(is_concrete(leaf) for leaf in jax.tree.leaves(dataset)):
            raise InputError(
                "stack: it works on numbers, not inside a JAX transformation. Stack outside of jit and grad."
            )
        if isinstance(dataset, RegionMapDataset) and isinstance(first, RegionMapDataset):
            require_same_region(first_name, first.region, name, dataset.region)
        for field in ("energy_edges", "energy_true_edges"):
            require_same(f"{field} (TeV)", first_name, getattr(first, field), name, getattr(dataset, field))
        grids = [getattr(d, "source_grid", None) for d in (first, dataset)]
        if grids[0] != grids[1]:
            raise InputError(
                f"stack: source_grid is {grids[1]!r} in dataset {name!r} and {grids[0]!r} in "
                f"{first_name!r}, expected one. Set it: dataset.replace(source_grid='exact')."
            )
    return first


def _common_geom(named: Sequence[tuple[str, Any]]) -> SkyGeom:
    first_name, first = named[0]
    for name, dataset in named:
        if dataset.geom is not first.geom and not dataset.geom.is_same(first.geom):
            raise InputError(
                f"stack: datasets {first_name!r} and {name!r} have different pixels ({_sky(first.geom)}; "
                f"{_sky(dataset.geom)}). Pass geom, the image of which all are cutouts: stack(datasets, geom=geom)."
            )
    return first.geom


def _part(name: str, dataset: CountsBase, geom: SkyGeom | None) -> Part:
    safe = np.ones(dataset.data_shape, bool) if dataset.mask_safe is None else np.asarray(dataset.mask_safe)
    if geom is None:
        return Part(name, dataset, safe)
    assert isinstance(dataset, MAPS)
    start = pixel_offset(dataset.geom, geom)
    if start is None:
        raise InputError(
            f"stack: the pixels of dataset {name!r} ({_sky(dataset.geom)}) are not those of the sum ({_sky(geom)}): "
            "expected the same projection, shifted by whole pixels. Make the dataset on a cutout of that image."
        )
    if not is_inside(start, dataset.geom, geom):
        raise InputError(
            f"stack: dataset {name!r} ({_sky(dataset.geom)}) sticks out of the sum ({_sky(geom)}): its first pixel is "
            f"at row {start[0]}, column {start[1]}. Give a larger image as geom, or cut the dataset out."
        )
    return Part(name, dataset, safe, start)


def _sky(geom: SkyGeom) -> str:
    sky, (ny, nx) = geom.center, geom.shape
    return f"{nx} x {ny} pixels of {geom.pixel_size:.6g} deg {geom.projection} at {sky.ra.deg:.5f}, {sky.dec.deg:.5f}"


def _all_safe(named: Sequence[tuple[str, Any]], parts: Sequence[Part], pixels: tuple[int, ...]) -> bool:
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


def _off(parts: Sequence[Part], shape: tuple[int, ...]) -> dict[str, Any]:
    """Off counts and acceptances whose alpha times off counts is the sum of the datasets' backgrounds."""
    acceptance, acceptance_off = _total(parts, "acceptance", shape), _total(parts, "acceptance_off", shape)
    assert acceptance is not None and acceptance_off is not None
    off, background = _total(parts, "counts_off", shape), np.zeros(shape)
    if off is not None and parts:
        known = _total(parts, "background", shape)
        assert known is not None
        background = known
    n_off = np.zeros(shape) if off is None else off
    alpha = alpha_of_sum(n_off, background, acceptance, acceptance_off)
    if n_off.any() and sum(part.safe.any() for part in parts) > 1:
        alpha = np.where(n_off > 0, alpha, background.sum() / n_off.sum())
    return {"counts_off": off, "acceptance": acceptance, "acceptance_off": ratio(acceptance, alpha)}


def _gti(parts: Sequence[Part]) -> GTI | None:
    known = [part for part in parts if part.dataset.gti is not None]
    if not known:
        return None
    used = [part.dataset.gti for part in known if part.safe.any()]
    return GTI.union(used) if used else GTI([], [], known[0].dataset.gti.reference)
