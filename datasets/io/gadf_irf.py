"""Point spread functions and energy dispersions in gammapy's GADF form: the HDUs PSF and EDISP of a map file."""

from typing import NamedTuple

import numpy as np

from ..arrays import frozen_array
from ..errors import InputError
from ..irf.edisp import EDisp, EDispKernel, EDispKernelMap, EDispMap
from ..irf.grid import response_mask
from ..irf.psf import PSFMap, RecoPSFMap, energies_around
from ..sky.axis import MapAxis
from ..sky.geom import SkyGeom
from .fits import FitsFile, Hdu, naming
from .gadf_quantity import StoredMap, map_hdus, read_quantity
from .paths import Filename
from .region_table import PackedTable

SAME_CENTRE = 1e-6
"""Relative difference up to which an energy is the centre of a bin of the dataset."""

EXACT = 1e-13
"""The same for bins of the response's own, which files are to keep."""


class Excluded:
    """Where the safe mask (n, ny, nx) of a dataset lets nothing through; ``geom`` is None for one region."""

    def __init__(self, geom: SkyGeom | None, safe: np.ndarray):
        self.geom, self.safe = geom, safe

    @property
    def pixels(self) -> np.ndarray:
        """The pixels of the dataset without a safe bin, (ny, nx)."""
        return np.asarray(~self.safe.any(axis=0))

    def of(self, stored: StoredMap) -> np.ndarray | None:
        """The pixels of a response from which no safe bin takes it, (y, x); None where all values are good."""
        if np.isfinite(stored.values).all() and stored.values.min(initial=0.0) >= 0:
            return None
        if self.geom is None:
            return self.pixels
        return np.asarray(~response_mask(stored.geom, self.geom, self.safe).any(axis=0))


class StoredEDisp(NamedTuple):
    """An energy dispersion and its axes (TeV); migration tables have no reconstructed energies."""

    edisp: EDispMap | EDispKernelMap
    energy_true_edges: np.ndarray
    energy_edges: np.ndarray | None


def read_psf(
    filename: Filename | FitsFile,
    geoms: dict[str, SkyGeom] | None = None,
    name: str = "PSF",
    excluded: Excluded | None = None,
) -> PSFMap:
    """The point spread function of a file: a `RecoPSFMap` if its energies are reconstructed ones.

    The offset axis may be called RAD or THETA, in any angle unit, and be given by edges or by centres. A table of one
    region holds everywhere (``geom`` None). Raises InputError for other axes or units, and values that are not finite.
    """
    file = filename if isinstance(filename, FitsFile) else FitsFile(filename)
    stored = read_quantity(file, name, geoms)
    reco = "energy" in [axis.name for axis in stored.axes]
    stored = stored.require_axes("rad", "energy" if reco else "energy_true")
    unused = None if excluded is None else excluded.of(stored)
    stored = stored.require_finite(negative=True, excluded=unused)
    rad, energy = stored.axes
    exposure = _exposure(file, name, geoms, stored, excluded)
    # an offset has no bins below zero, but centres that start at 0 have an edge there
    edges = np.maximum(axis_edges(stored, 0), 0.0)
    kind: type[PSFMap] = RecoPSFMap if reco else PSFMap
    with naming(stored.where):
        return kind(
            stored.geom,
            frozen_array(energy.center.value),
            frozen_array(rad.center.value),
            frozen_array(edges),
            frozen_array(stored.to_value("sr-1")),
            exposure,
            # of one energy alone there are none
            None if energy.node_type == "center" and energy.nbin == 1 else frozen_array(energy.edges.value),
        )


def read_edisp(
    filename: Filename | FitsFile,
    geoms: dict[str, SkyGeom] | None = None,
    name: str = "EDISP",
    excluded: Excluded | None = None,
) -> StoredEDisp:
    """The energy dispersion of a file, as matrices (axis ENERGY) or as migration tables (axis MIGRA)."""
    file = filename if isinstance(filename, FitsFile) else FitsFile(filename)
    stored = read_quantity(file, name, geoms)
    kernel = "migra" not in [axis.name for axis in stored.axes]
    stored = stored.require_axes("energy" if kernel else "migra", "energy_true")
    stored = stored.require_finite(excluded=None if excluded is None else excluded.of(stored))
    edges, true_edges = axis_edges(stored, 0), axis_edges(stored, 1)
    exposure = _exposure(file, name, geoms, stored, excluded)
    values = frozen_array(stored.to_value(""))
    with naming(stored.where):
        if kernel:
            return StoredEDisp(EDispKernelMap(stored.geom, values, exposure), true_edges, edges)
        return StoredEDisp(EDispMap(stored.geom, true_edges, edges, values, exposure), true_edges, None)


def axis_edges(stored: StoredMap, i: int = 0) -> np.ndarray:
    """Edges of an axis; halfway between its centres, in its scale, where it is given by these."""
    with naming(stored.where):
        return frozen_array(stored.axes[i].edges.value)


def _exposure(
    file: FitsFile, name: str, geoms: dict[str, SkyGeom] | None, irf: StoredMap, excluded: Excluded | None
) -> np.ndarray | None:
    """Exposure that goes with a response map, (n_energy, y, x) cm2 s."""
    name = f"{name}_EXPOSURE"
    if name not in file:
        return None
    stored = read_quantity(file, name, geoms)
    stored = stored.require_finite(excluded=None if excluded is None else excluded.of(stored))
    first, energy = (axis.name for axis in irf.axes)
    own = (len(irf.values), 1, *irf.values.shape[2:])
    if len(stored.axes) == 1:
        # early versions of gammapy left out the axis of one bin
        stored = stored.require_axes(energy)
        stored = stored._replace(values=stored.values[:, None])
    else:
        stored = stored.require_axes(first, energy)
    if stored.values.shape != own or not stored.has_pixels_of(irf):
        raise InputError(
            f"{stored.where}: found shape {stored.values.shape}, expected {own} and the pixels of the map whose "
            "exposure it is. Write both from one source."
        )
    return frozen_array(stored.to_value("cm2 s")[:, 0])


def psf_hdus(psf: PSFMap, own: MapAxis | None = None, region: PackedTable | None = None) -> list[Hdu]:
    """HDUs of a point spread function; ``own`` is the energy axis of its dataset, and ``region`` that of one without
    positions."""
    name, energy, bounds = psf.energy_axis, np.asarray(psf.energy), np.asarray(psf.energy_edges)
    if own is None or not _is_centre_of(own, energy):
        own = MapAxis(energy, "log", name, "TeV", "center")
        # edges that follow from the energies say nothing
        if not np.array_equal(bounds, energies_around(energy)):
            kept = (MapAxis(bounds, scale, name, "TeV") for scale in ("log", "lin", "sqrt"))
            own = next((axis for axis in kept if _is_centre_of(axis, energy, EXACT)), own)
    rad = np.asarray(psf.rad)
    axis = MapAxis(np.asarray(psf.rad_edges), "lin", "rad", "deg")
    if not _is_centre_of(axis, rad):
        axis = MapAxis(rad, "lin", "rad", "deg", "center")
    return _irf_hdus("PSF", psf, "sr-1", (axis, own), region)


def edisp_hdus(
    edisp: EDisp, true: MapAxis, reco: MapAxis | None = None, region: PackedTable | None = None
) -> list[Hdu]:
    """HDUs of an energy dispersion; migration tables need no reconstructed energies."""
    if isinstance(edisp, EDispKernel):
        edisp = EDispKernelMap.from_kernel(edisp)
    first = reco if isinstance(edisp, EDispKernelMap) else MapAxis(np.asarray(edisp.migra_edges), "lin", "migra")
    assert first is not None
    return _irf_hdus("EDISP", edisp, "", (first, true), region)


def _is_centre_of(axis: MapAxis, nodes: np.ndarray, rtol: float = SAME_CENTRE) -> bool:
    centre = axis.center.value
    return centre.shape == nodes.shape and bool(np.allclose(centre, nodes, rtol=rtol, atol=0))


def _irf_hdus(
    key: str,
    irf: EDispMap | EDispKernelMap | PSFMap,
    unit: str,
    axes: tuple[MapAxis, MapAxis],
    region: PackedTable | None,
) -> list[Hdu]:
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
