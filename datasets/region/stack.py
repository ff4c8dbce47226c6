"""Stacking datasets of one region: whether their regions are the same, and the average of their responses."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..arrays import ratio
from ..errors import InputError
from ..irf.edisp import EDisp, edisp_at
from ..irf.psf import PSFMap, RecoPSFMap, psf_at
from ..irf.stack import Part, of_equal, require_one_kind, require_same, same_responses, stack_matrix
from .geom import RegionGeom

SAME_REGION = 1e-4
"""Difference between two regions, as a share of their area, up to which they are the same."""


def require_same_region(first_name: str, first: RegionGeom, name: str, other: RegionGeom) -> None:
    """InputError unless two geometries are of one region."""
    if first is other or first.region is other.region:
        return
    lattice = first.lattice
    again = RegionGeom.create(other.region, step=lattice.pixel_size, reach=first.reach)
    apart = float(np.asarray(again.center.separation(first.center).deg))
    same = again.lattice.shape == lattice.shape and apart < SAME_REGION * lattice.pixel_size
    difference = np.abs(np.asarray(again.transform) - np.asarray(first.transform)).max() if same else np.inf
    if not difference <= SAME_REGION * np.asarray(first.transform)[0, 0, 0]:
        raise InputError(
            f"stack: dataset {name!r} is of another region than {first_name!r} (their middles are {apart:.4g} deg "
            "apart). Stack datasets of one region, and fit those of several jointly."
        )


def stack_region_responses(parts: Sequence[Part], union: np.ndarray) -> dict[str, PSFMap | EDisp | None]:
    """PSF and energy dispersion of the sum, weighted with the exposures, in the middle of the region: ``psf``, and
    ``edisp``, of which see `stack_matrix`. Responses that are the same in all stay what they are."""
    first = parts[0].dataset
    lattice = first.region.lattice
    vector = np.asarray(lattice.pixel_to_vector(*lattice.middle))
    psfs: list[PSFMap | None] = [part.dataset.psf for part in parts]
    require_one_kind(parts, "psf", psfs)
    at_middle = [
        replace(p, dataset=p.dataset.replace(edisp=edisp_at(p.dataset.edisp, vector))) for p in parts
    ]  # positions do not matter to their average
    psf = of_equal(psfs) if same_responses(psfs) else _average(parts, [p for p in psfs if p is not None], vector)
    return {"psf": psf, "edisp": first.edisp if len(parts) == 1 else stack_matrix(at_middle, union)}


def _average(parts: Sequence[Part], psfs: Sequence[PSFMap], vector: np.ndarray) -> PSFMap:
    first = psfs[0]
    if isinstance(first, RecoPSFMap):
        raise InputError(
            "stack: the datasets have different PSFs in reconstructed energy, which have no average that holds for "
            "every source. Give the datasets PSFMaps, or fit them jointly."
        )
    for part, psf in zip(parts, psfs, strict=True):
        for axis, unit in (("energy", "TeV"), ("rad", "deg"), ("rad_edges", "deg")):
            what = f"{axis} of the PSF ({unit})"
            require_same(what, parts[0].name, getattr(first, axis), part.name, getattr(psf, axis))
    energy = np.asarray(first.energy)
    weighted, total = np.zeros(np.shape(first.values)[:2]), np.zeros(energy.size)
    for part, psf in zip(parts, psfs, strict=True):
        edges = np.asarray(part.dataset.energy_true_edges)
        weight = np.interp(np.log(energy), np.log(np.sqrt(edges[1:] * edges[:-1])), part.exposure)
        weighted += weight[:, None] * np.asarray(psf_at(psf, vector).values)[..., 0, 0]
        total += weight
    values = ratio(weighted, total[:, None])[..., None, None]
    return PSFMap(None, first.energy, first.rad, first.rad_edges, values, total[:, None, None], first.energy_edges)
