"""Responses of a sum of datasets: averages of the datasets' own, weighted with their exposure where they are safe.

With exposure X_i and safe masks m_i, at every position, true energy e and reconstructed energy k::

    PSF(e) = sum_i any_k(m_ik) X_ie PSF_i(e) / sum_i any_k(m_ik) X_ie
    R(e, k) = sum_i m_ik X_ie R_i(e, k) / sum_i any_k(m_ik) X_ie

so that the predictions of the datasets in their safe bins add up to that of the sum. Rows of R miss the events that
fall into bins where a dataset is not safe. Masks are those of the map's pixels that take their response from a pixel of
its grid, see `response_mask`.

Sources beside the safe pixels are seen in them, so responses go on there. A pixel of the grid that no safe pixel takes
its response from has the average of the datasets whose safe pixels take a share of it, by interpolation; a pixel of no
such dataset that of all datasets. Its energies at which no dataset is safe there have the events of the datasets that
are safe at this energy anywhere. One dataset alone keeps its responses. Where there is no exposure at all the average
is 0, and a source takes the response of the nearest pixel that has one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import EllipsisType
from typing import Any, TypeVar

import equinox as eqx
import numpy as np

from ...kernels.edisp import diagonal_response
from ..arrays import Array, frozen_array, ratio
from ..errors import InputError
from ..sky.axis import MATCH
from ..sky.cutout import image_around
from ..sky.geom import SkyGeom
from .edisp import EDisp, EDispKernel, EDispKernelMap, EDispMap
from .grid import Shares, response_grid
from .psf import PSFKernel, PSFMap, RecoPSFMap

NEAR, AROUND = 2, 1

Tables = PSFMap | EDispKernelMap | EDispMap
"""Responses that may have positions: ``values`` (n_true, m, y, x) on the pixels of ``geom``."""

AnyTables = TypeVar("AnyTables", bound=Tables)

AnyResponse = TypeVar("AnyResponse")

Place = tuple[EllipsisType | slice, ...]
"""Index of pixels in an array (..., y, x)."""


@dataclass(frozen=True)
class Part:
    """A dataset in a sum: its name, its safe bins (of the shape of its counts) and where its image begins (y, x).

    ``dataset``: of one of the types of datasets of counts, which all stand on this file.
    """

    name: str
    dataset: Any
    safe: np.ndarray
    start: tuple[int, int] = (0, 0)

    @cached_property
    def safe_image(self) -> np.ndarray:
        """Pixels with any safe bin, (ny, nx); one value for a spectrum."""
        return np.asarray(self.safe.any(axis=0))

    @cached_property
    def exposure(self) -> np.ndarray:
        """Exposure of the pixels with any safe bin, (n_true, ny, nx) or (n_true,) cm2 s; zero elsewhere."""
        if self.dataset.exposure is None:
            raise InputError(
                f"stack: dataset {self.name!r} has no exposure, with which its response would have to be weighted. "
                "Give it one."
            )
        return np.asarray(self.dataset.exposure, dtype=float) * self.safe_image

    def place(self) -> Place:
        """Where the dataset's pixels lie in the arrays of the sum."""
        if not self.dataset.pixels:
            return (...,)
        ny, nx = self.dataset.pixels
        return ..., slice(self.start[0], self.start[0] + ny), slice(self.start[1], self.start[1] + nx)


def same_range(parts: Sequence[Part], union: np.ndarray) -> bool:
    """Whether every dataset is safe wherever the sum is, in each pixel that it contributes to."""
    return all(np.array_equal(p.safe, union[p.place()] & p.safe_image) for p in parts)


def stack_psf(parts: Sequence[Part], geom: SkyGeom) -> PSFMap | PSFKernel | None:
    """Average point spread function of maps on ``geom``; None if all are perfect.

    Averages are `PSFMap`s on the pixels of the datasets' own, with their exposure; tables without positions are put on
    a grid over the map, unless all are equal. Raises InputError for different `PSFKernel`s or `RecoPSFMap`s, for which
    there is no average, for mixtures, and for tables of different energies, radii or pixels.
    """
    psfs: list[PSFMap | PSFKernel | None] = [p.dataset.psf for p in parts]
    require_one_kind(parts, "psf", psfs)
    first = psfs[0]
    if first is None or len(parts) == 1:
        return first
    equal = same_responses(psfs)
    if equal and (isinstance(first, PSFKernel | RecoPSFMap) or first.geom is None):
        return of_equal(psfs)
    if type(first) is not PSFMap:
        why = "kernel of fixed pixels" if isinstance(first, PSFKernel) else "PSF in reconstructed energy"
        raise InputError(
            f"stack: the datasets have different PSFs of the kind {type(first).__name__}, and a {why} has no average "
            "that holds for every source. Give the datasets PSFMaps, or fit them jointly."
        )
    maps = [psf for psf in psfs if isinstance(psf, PSFMap)]
    for part, psf in zip(parts, maps, strict=True):
        for axis, unit in (("energy", "TeV"), ("rad", "deg"), ("rad_edges", "deg")):
            require_same(
                f"{axis} of the PSF ({unit})", parts[0].name, getattr(first, axis), part.name, getattr(psf, axis)
            )
    grid, starts = _grid(parts, maps, geom, "psf")

    def at(part: Part, psf: PSFMap) -> np.ndarray:
        own = np.sqrt(np.asarray(part.dataset.energy_true_edges)[:-1] * np.asarray(part.dataset.energy_true_edges)[1:])
        wanted = np.asarray(psf.energy)
        if own.shape == wanted.shape and np.allclose(own, wanted, rtol=1e-3):
            return part.exposure
        flat = part.exposure.reshape(own.size, -1).T
        values = [np.interp(np.log(wanted), np.log(own), column) for column in flat]
        return np.stack(values, axis=1).reshape(wanted.size, *part.exposure.shape[1:])

    values, exposure = _average(parts, maps, grid, starts, geom, at)
    axes = first.energy, first.rad, first.rad_edges
    return PSFMap(grid, *axes, first.values if equal else values, exposure, first.energy_edges)


def stack_edisp(parts: Sequence[Part], geom: SkyGeom, union: np.ndarray) -> EDisp | None:
    """Average energy dispersion of maps on ``geom``, of which the bins ``union`` are safe; None if all are perfect.

    Averages are `EDispKernelMap`s on the pixels of the datasets' own, with their exposure; matrices without positions
    are put on a grid over the map. Equal matrices stay what they are, and migration tables are averaged as such, where
    the datasets are safe at the same energies; else they become matrices, which alone can say what gets lost.
    """
    edisps: list[EDisp | None] = [p.dataset.edisp for p in parts]
    first = edisps[0]
    if len(parts) == 1:
        return first
    uniform = same_range(parts, union)
    equal = uniform and same_responses(edisps)
    if equal and (first is None or isinstance(first, EDispKernel) or first.geom is None):
        return of_equal(edisps)
    dataset = parts[0].dataset

    def at(part: Part, _: Tables) -> np.ndarray:
        return part.exposure

    tables = [e for e in edisps if isinstance(e, EDispMap)]
    same_migrations = all(np.array_equal(e.migra_edges, tables[0].migra_edges) for e in tables)
    if uniform and isinstance(first, EDispMap) and len(tables) == len(edisps) and same_migrations:
        grid, starts = _grid(parts, tables, geom, "edisp")
        values, exposure = _average(parts, tables, grid, starts, geom, at)
        values = np.asarray(first.values) if equal else values
        return EDispMap(grid, first.energy_true_edges, first.migra_edges, values, exposure)
    matrices = [_as_matrices(e, dataset) for e in edisps]
    grid, starts = _grid(parts, matrices, geom, "edisp")
    values, exposure = _average(parts, matrices, grid, starts, geom, at, per_bin=True)
    return EDispKernelMap(grid, matrices[0].values if equal else values, exposure)


def stack_matrix(parts: Sequence[Part], union: np.ndarray) -> EDisp | None:
    """Average energy dispersion of spectra, of which the bins ``union`` are safe; None if all are perfect."""
    edisps: list[EDisp | None] = [p.dataset.edisp for p in parts]
    if same_range(parts, union) and same_responses(edisps):
        return of_equal(edisps)
    dataset = parts[0].dataset
    weighted, total = np.zeros((dataset.n_true, dataset.n_reco)), np.zeros(dataset.n_true)
    for part in parts:
        matrix = np.asarray(_as_matrices(part.dataset.edisp, dataset).values)[..., 0, 0]
        weighted += part.exposure[:, None] * part.safe * matrix
        total += part.exposure
    return EDispKernel(ratio(weighted, total[:, None]))


def require_same(what: str, first: str, values: Array, other: str, others: Array) -> None:
    """InputError unless two axes agree to a millionth."""
    a, b = np.asarray(values), np.asarray(others)
    if a.shape != b.shape or not np.allclose(a, b, rtol=MATCH, atol=0):
        raise InputError(
            f"stack: {what}: found {_span(b)} in dataset {other!r} and {_span(a)} in {first!r}, expected the same. "
            "Make the datasets on one axis, or fit them jointly."
        )


def _span(axis: np.ndarray) -> str:
    return f"{axis.size} from {axis.flat[0]:.6g} to {axis.flat[-1]:.6g}" if axis.size else "none"


def _as_matrices(edisp: EDisp | None, dataset: Any) -> EDispKernelMap:
    if isinstance(edisp, EDispKernelMap):
        return edisp
    if isinstance(edisp, EDispMap):
        return edisp.to_kernel_map(dataset.energy_edges)
    if isinstance(edisp, EDispKernel):
        return EDispKernelMap.from_kernel(edisp)
    true, reco = np.asarray(dataset.energy_true_edges), np.asarray(dataset.energy_edges)
    return EDispKernelMap.from_kernel(EDispKernel(np.asarray(diagonal_response(true, reco))))


def require_one_kind(parts: Sequence[Part], field: str, values: Sequence[object]) -> None:
    """InputError unless the values of a field are of one type in all datasets."""
    for part, value in zip(parts, values, strict=True):
        if type(value) is not type(values[0]):
            kinds = ["none" if v is None else f"a {type(v).__name__}" for v in (values[0], value)]
            raise InputError(
                f"stack: {field}: found {kinds[1]} in dataset {part.name!r} and {kinds[0]} in {parts[0].name!r}, "
                "expected the same kind. Give all datasets one, or none."
            )


def same_responses(irfs: Sequence[object]) -> bool:
    """Whether all responses hold the same numbers on the same pixels, whatever their exposures."""
    first = irfs[0]
    return all(other is first or _equal(first, other) for other in irfs[1:])


def of_equal(irfs: Sequence[AnyResponse]) -> AnyResponse:
    """The response of a sum whose responses are equal: the first, with the exposures added up if all have one."""
    first = irfs[0]
    exposures = [getattr(irf, "exposure", None) for irf in irfs]
    if len(irfs) == 1 or all(e is None for e in exposures):
        return first
    known = [np.asarray(e) for e in exposures if e is not None]
    total = frozen_array(np.sum(known, axis=0)) if len(known) == len(irfs) else None
    return eqx.tree_at(lambda irf: irf.exposure, first, total, is_leaf=lambda leaf: leaf is None)


def _equal(a: object, b: object) -> bool:
    if type(a) is not type(b):
        return False
    geoms = [getattr(irf, "geom", None) for irf in (a, b)]
    if (geoms[0] is None) != (geoms[1] is None) or (geoms[0] is not None and not geoms[0].is_same(geoms[1])):
        return False
    arrays = ("values", "matrix", "energy", "rad", "rad_edges", "migra_edges", "energy_true_edges")
    pairs = [(getattr(a, name), getattr(b, name)) for name in arrays if hasattr(a, name)]
    # matrices need not know their energies
    return all(np.array_equal(one, two) for one, two in pairs if one is not None and two is not None)


def _grid(
    parts: Sequence[Part], irfs: Sequence[Tables], geom: SkyGeom, field: str
) -> tuple[SkyGeom, list[tuple[int, int] | None]]:
    """Pixels that hold all responses, and where each begins in them (None for one without positions)."""
    geoms = [irf.geom for irf in irfs if irf.geom is not None]
    if not geoms:
        return response_grid(geom), [None] * len(parts)
    found = image_around(geoms)
    if found is None:
        raise InputError(
            f"stack: the pixels of {field} do not agree among the datasets: expected grids of one projection, shifted "
            "by whole pixels. Make the responses of all datasets on one grid."
        )
    starts = iter(found[1])
    return found[0], [None if irf.geom is None else next(starts) for irf in irfs]


def _average(
    parts: Sequence[Part],
    irfs: Sequence[AnyTables],
    grid: SkyGeom,
    starts: Sequence[tuple[int, int] | None],
    geom: SkyGeom,
    exposure_of: Callable[[Part, AnyTables], np.ndarray],
    per_bin: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of responses (n_true, m, y, x) on ``grid``, and the sum of the weights (n_true, y, x).

    ``exposure_of`` a dataset (n_true, ny, nx) weights responses that hold no exposure of their own. ``per_bin``: the m
    are the reconstructed bins, of which those count that are safe.
    """
    shape = np.shape(irfs[0].values)
    shares = [
        Shares(grid if irf.geom is None else irf.geom, p.dataset.geom) for p, irf in zip(parts, irfs, strict=True)
    ]
    places = [_place(start, share.grid) for start, share in zip(starts, shares, strict=True)]
    ranks = [_ranks(*one) for one in zip(parts, starts, shares, strict=True)]
    best = np.zeros(grid.shape, int)
    for place, rank in zip(places, ranks, strict=True):
        best[place] = np.maximum(best[place], rank)
    used = [rank == best[place] for place, rank in zip(places, ranks, strict=True)]

    masks: list[np.ndarray | float] = [1.0] * len(parts)
    if per_bin:
        near = [share.any_of(part.safe) & here for share, part, here in zip(shares, parts, used, strict=True)]
        any_near = np.zeros((shape[1], *grid.shape), bool)
        for place, mask in zip(places, near, strict=True):
            any_near[place] |= mask
        anywhere = [np.asarray(part.safe.any(axis=(1, 2)))[:, None, None] for part in parts]
        masks = [np.where(any_near[p], m, far) for p, m, far in zip(places, near, anywhere, strict=True)]

    weighted, total = np.zeros((*shape[:2], *grid.shape)), np.zeros((shape[0], *grid.shape))
    for part, irf, start, share, place, rank, here, mask in zip(
        parts, irfs, starts, shares, places, ranks, used, masks, strict=True
    ):
        if start is None or irf.exposure is None:
            own = exposure_of(part, irf)
            whole = own.sum(axis=(1, 2))[:, None, None] / np.prod(geom.shape)
            exposure = np.where(rank == NEAR, share.mean(own), whole)
        else:
            exposure = np.asarray(irf.exposure, dtype=float)
        weight = exposure * here
        weighted[place] += weight[:, None] * mask * np.asarray(irf.values, dtype=float)
        total[place] += weight
    return ratio(weighted, total[:, None]), total


def _ranks(part: Part, start: tuple[int, int] | None, share: Shares) -> np.ndarray:
    """How safe pixels of a dataset use those of its grid: as the nearest one, by interpolation only, or not (0)."""
    safe = part.safe_image[None]
    near = share.any_of(safe)[0]
    if start is None:
        # a response without positions does not belong to what lies beside the image
        near = near & share.covered
    return np.where(near, NEAR, np.where(share.any_around(safe)[0], AROUND, 0))


def _place(start: tuple[int, int] | None, own: SkyGeom) -> Place:
    (y, x), (ny, nx) = start or (0, 0), own.shape
    return ..., slice(y, y + ny), slice(x, x + nx)
