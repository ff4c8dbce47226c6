"""Reconstructed energies of datasets: merged, or a range of them cut out."""

from collections.abc import Mapping

import equinox as eqx
import numpy as np
from astropy import units as u

from ..arrays import frozen_array
from ..bins import on_host
from ..errors import InputError
from ..irf.edisp import EDisp, EDispKernel, EDispKernelMap, EDispMap
from ..irf.psf import PSFKernel, RecoPSFMap
from ..sky.axis import MapAxis
from ..units import AT_EDGE, EDGE_TOLERANCE, Given, edges_tev, to_unit, warn_of_cut_bins
from .base import AnyCounts, CountsBase
from .reshape_mask import masked_edisp
from .sums import bin_sums, stored


class NoBinLeft(InputError):
    """An energy range that holds no bin of a dataset."""


def resample(dataset: AnyCounts, energy_edges: Given | MapAxis, what: str = "resample_energy_axis") -> AnyCounts:
    """A copy with merged reconstructed bins between ``energy_edges`` (Quantity, TeV or `MapAxis`, (n + 1,)).

    The edges must be among those of the dataset, to 1e-6; bins below the first and above the last are dropped. Counts
    and background are the sums over safe bins, masks are True where any bin was, and the energy dispersion is that into
    safe bins, so that predicted counts are the sums too. That is so for each pixel of a map as long as pixels which
    share a matrix of the energy dispersion are safe at the same energies: a bin goes into the sums of all of them if
    it is safe in one. Nothing says so where safe masks differ more finely; pixels with fewer safe energies then predict
    too much. For acceptances see `bin_sums`. Other edges: InputError.
    """
    on_host(dataset, what)
    index = _edge_index(dataset, energy_edges, what)
    start, stop = int(index[0]), int(index[-1])

    def merged(ufunc: np.ufunc, values: np.ndarray) -> np.ndarray:
        return ufunc.reduceat(values[:stop], index[:-1], axis=0)

    sums = bin_sums(
        dataset, lambda values: merged(np.add, values), lambda values: merged(np.logical_or, values.astype(bool))
    )
    edisp = masked_edisp(dataset, slice(start, stop))
    if isinstance(edisp, EDispKernel):
        edisp = EDispKernel(merged(np.add, np.asarray(edisp.matrix).T).T)
    elif isinstance(edisp, EDispKernelMap):
        values = np.moveaxis(merged(np.add, np.moveaxis(np.asarray(edisp.values), 1, 0)), 0, 1)
        edisp = EDispKernelMap(edisp.geom, values, edisp.exposure)
    return dataset.replace(energy_edges=np.asarray(dataset.energy_edges)[index], edisp=edisp, **sums)


def image(dataset: AnyCounts) -> AnyCounts:
    """A copy with one reconstructed energy bin, see `resample`; true energies stay."""
    on_host(dataset, "to_image")
    return resample(dataset, np.asarray(dataset.energy_edges)[[0, -1]], "to_image")


def downsample_energy(dataset: AnyCounts, factor: int) -> AnyCounts:
    """A copy in which ``factor`` neighbouring reconstructed bins are one, see `resample`."""
    on_host(dataset, "downsample")
    check_factor(factor, "downsample", {"energy bins": dataset.n_reco})
    return resample(dataset, np.asarray(dataset.energy_edges)[::factor], "downsample")


def slice_energy(dataset: AnyCounts, bins: slice, what: str = "slice_by_idx") -> AnyCounts:
    """A copy with a range of the reconstructed bins; true energies and exposure stay."""
    on_host(dataset, what)
    start, stop = slice_bounds(bins, dataset.n_reco, f"{what}: energy")
    bins = slice(start, stop)
    changes: dict[str, object] = {name: value[bins] for name, value in stored(dataset).items()}
    changes["edisp"] = _sliced_edisp(dataset.edisp, bins)
    psf = dataset.psf
    if isinstance(psf, RecoPSFMap) and np.size(psf.energy) == dataset.n_reco:
        # its sizes stay, so that kernels are those of the whole dataset
        where = lambda p: (p.energy, p.values, p.exposure)  # noqa: E731
        parts = (None if part is None else frozen_array(np.asarray(part)[bins]) for part in where(psf))
        changes["psf"] = eqx.tree_at(where, psf, tuple(parts), is_leaf=lambda leaf: leaf is None)
    return dataset.replace(energy_edges=np.asarray(dataset.energy_edges)[start : stop + 1], **changes)


def slice_energy_true(dataset: AnyCounts, bins: slice, what: str = "slice_by_idx") -> AnyCounts:
    """A copy with a range of the true-energy bins: what sources send at other energies is not predicted any more.

    A `PSFMap` keeps its energies, which need not be those of the exposure.
    """
    on_host(dataset, what)
    start, stop = slice_bounds(bins, dataset.n_true, f"{what}: energy_true")
    rows = slice(start, stop)
    edges = np.asarray(dataset.energy_true_edges)[start : stop + 1]
    changes: dict[str, object] = {"energy_true_edges": edges, "edisp": _rows_of_edisp(dataset.edisp, rows)}
    if dataset.exposure is not None:
        changes["exposure"] = np.asarray(dataset.exposure)[rows]
    if isinstance(dataset.psf, PSFKernel):
        changes["psf"] = PSFKernel(np.asarray(dataset.psf.values)[rows], normalize=False)
    return dataset.replace(**changes)


def _rows_of_edisp(edisp: EDisp | None, rows: slice) -> EDisp | None:
    """An energy dispersion of a range of true energies."""
    if edisp is None:
        return None
    if isinstance(edisp, EDispKernel):
        return EDispKernel(np.asarray(edisp.matrix)[rows])
    values, exposure = np.asarray(edisp.values)[rows], edisp.exposure
    exposure = None if exposure is None else np.asarray(exposure)[rows]
    if isinstance(edisp, EDispKernelMap):
        return EDispKernelMap(edisp.geom, values, exposure)
    edges = np.asarray(edisp.energy_true_edges)[rows.start : rows.stop + 1]
    return EDispMap(edisp.geom, edges, edisp.migra_edges, values, exposure)


def slice_energy_range(
    dataset: AnyCounts,
    energy_min: Given | None = None,
    energy_max: Given | None = None,
    round_to_edge: bool | None = None,
) -> AnyCounts:
    """A copy with the reconstructed bins between two energies (Quantities, texts such as "1 TeV", or TeV).

    Energies are moved to the nearest edge of a bin in ln E, and to the ends of the axis from outside (as gammapy does);
    a warning names the bins that are cut, unless ``round_to_edge`` is True. If it is False bins have to be wholly
    inside. InputError where no bin is left.
    """
    on_host(dataset, "slice_by_energy")
    edges = np.asarray(dataset.energy_edges)
    low, high = (
        default if value is None else _energy(value, name)
        for name, value, default in (("energy_min", energy_min, edges[0]), ("energy_max", energy_max, edges[-1]))
    )
    place = edge_places(edges, np.array([low, high]))
    if round_to_edge is None:
        warn_of_cut_bins(edges[:-1], edges[1:], (low, high), "slice_by_energy", AT_EDGE)
    near = np.round(place)
    if round_to_edge is False:
        exact = np.abs(place - near) < EDGE_TOLERANCE
        near = np.where(exact, near, [np.ceil(place[0]), np.floor(place[1])])
    start, stop = (int(i) for i in near)
    if not start < stop:
        raise NoBinLeft(
            f"slice_by_energy: no bin is left between {low:.6g} and {high:.6g} TeV, which are moved to the nearest bin "
            f"edges; the bins go from {edges[0]:.6g} to {edges[-1]:.6g} TeV. Widen the range."
        )
    return slice_energy(dataset, slice(start, stop), "slice_by_energy")


def edge_places(edges: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Places of ``energies`` among edges, whole numbers on edges and between them in ln E; from outside the ends."""
    return np.interp(np.log(energies), np.log(edges), np.arange(float(edges.size)))


def axes_to_slice(
    dataset: CountsBase, slices: Mapping[str, slice] | None, by_name: Mapping[str, slice]
) -> dict[str, slice]:
    """The bins in ``slices``, a mapping of "energy", "energy_true" (and "x", "y" of maps) to slices."""
    if slices is not None and not isinstance(slices, Mapping):
        raise InputError(f"slice_by_idx: slices must be a mapping such as {{'energy': slice(0, 3)}}, found {slices!r}.")
    wanted = dict(slices or {}) | dict(by_name)
    known = ("energy", "energy_true", "x", "y") if dataset.pixels else ("energy", "energy_true")
    for name in wanted:
        if name not in known:
            raise InputError(
                f"slice_by_idx: {type(dataset).__name__} has no axis {name!r} to slice, expected {', '.join(known)}."
            )
    return wanted


def slice_bounds(given: slice, size: int, what: str) -> tuple[int, int]:
    """First and last + 1 of the bins that a slice without steps takes from ``size``; InputError if it takes none."""
    if not isinstance(given, slice):
        raise InputError(f"{what} must be a slice such as slice(0, 3), found {given!r}. For bin i: slice(i, i + 1).")
    try:
        start, stop, step = given.indices(size)
    except TypeError as error:
        raise InputError(f"{what}: {given} does not hold whole numbers.") from error
    if step != 1 or start >= stop:
        raise InputError(
            f"{what}: {given} takes no range of the {size} bins; expected neighbouring bins, at least one."
        )
    return start, stop


def check_factor(factor: int, what: str, sizes: Mapping[str, int]) -> None:
    """Raise an `InputError` that starts with ``what`` unless ``factor`` divides all ``sizes``, which have names."""
    if isinstance(factor, bool) or not isinstance(factor, int | np.integer) or factor < 1:
        raise InputError(f"{what}: factor must be a positive integer, found {factor!r}.")
    for name, size in sizes.items():
        if size % factor:
            raise InputError(
                f"{what}: the factor {factor} does not divide the {size} {name}. Choose a divisor, or cut the dataset."
            )


def _sliced_edisp(edisp: EDisp | None, bins: slice) -> EDisp | None:
    if isinstance(edisp, EDispKernel):
        return EDispKernel(np.asarray(edisp.matrix)[:, bins])
    if isinstance(edisp, EDispKernelMap):
        return EDispKernelMap(edisp.geom, np.asarray(edisp.values)[:, bins], edisp.exposure)
    return edisp


def _edge_index(dataset: CountsBase, energy_edges: Given | MapAxis, what: str) -> np.ndarray:
    """Places of new edges among those of the dataset."""
    if isinstance(energy_edges, MapAxis):
        energy_edges = energy_edges.edges
    wanted = np.asarray(edges_tev(energy_edges, f"{what}: energy_edges"))
    edges = np.asarray(dataset.energy_edges)
    index = np.abs(np.log(wanted[:, None] / edges)).argmin(axis=1)
    far = np.abs(wanted / edges[index] - 1) > EDGE_TOLERANCE
    if far.any() or np.any(np.diff(index) < 1):
        bad = wanted[int(np.argmax(far))]
        raise InputError(
            f"{what}: {bad:.8g} TeV is not an edge of the energy bins; the nearest is "
            f"{edges[index[int(np.argmax(far))]]:.8g} TeV. Bins can be merged but not divided: take edges from "
            "dataset.energy_edges."
        )
    return index


def _energy(value: Given, what: str) -> float:
    try:
        given = u.Quantity(value) if isinstance(value, str) else value
        energy = float(to_unit(given, "TeV", what))
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"slice_by_energy: {what} must be an energy such as 1 * u.TeV, found {value!r}.") from error
    if not (np.isfinite(energy) and energy > 0):
        raise InputError(f"slice_by_energy: {what} must be a positive energy, found {value!r}.")
    return energy
