"""Empty datasets: zeros on given axes and images, into which runs are stacked."""

import inspect
from collections.abc import Callable, Mapping

import numpy as np

from ..errors import InputError, closest
from ..gti import GTI
from ..irf.edisp import EDispKernel, EDispKernelMap, EDispMap
from ..irf.grid import RESPONSE_PIXEL
from ..irf.psf import PSFMap, RecoPSFMap
from ..sky.axis import MapAxis
from ..sky.geom import SkyGeom
from ..units import Given, edges_tev, to_unit
from .base import AnyCounts, CountsBase

RAD_EDGES = np.linspace(0, 0.66, 67)
"""Edges in deg of the bins in radius of point spread functions."""

MAP_ARGUMENTS = ("binsz_irf", "rad_edges", "migra_edges", "reco_psf", "geom_psf", "geom_edisp")


def empty_map(
    cls: type[AnyCounts],
    geom: SkyGeom,
    energy_edges: Given | MapAxis,
    energy_true_edges: Given | MapAxis | None = None,
    rad_edges: Given | MapAxis | None = None,
    migra_edges: Given | MapAxis | None = None,
    binsz_irf: Given = RESPONSE_PIXEL,
    reco_psf: bool = False,
    geom_psf: SkyGeom | None = None,
    geom_edisp: SkyGeom | None = None,
    **fields: object,
) -> AnyCounts:
    """A `MapDataset` or `MapDatasetOnOff` (``cls``) without events, exposure and time.

    Edges are Quantities, numbers (TeV; deg for ``rad_edges``) or `MapAxis`; true energies are by default the
    reconstructed ones. The PSF is a table of zeros on ``rad_edges`` (0 to 0.66 deg in 66 bins by default), in
    reconstructed energy if ``reco_psf``; the energy dispersion is perfect: migration tables where ``migra_edges`` are
    given, else matrices. Both have exposure zero, so that they weigh nothing when datasets are stacked, and pixels of
    ``binsz_irf`` over the width of the image, or those of ``geom_psf`` and ``geom_edisp``. ``mask_safe`` is False
    everywhere: no bin has been measured, and none can be fitted until another mask is set. ``fields`` are further
    arguments of ``cls``.
    """
    if not isinstance(geom, SkyGeom):
        raise InputError(f"{cls.__name__}.create: geom must be a SkyGeom, found {type(geom).__name__}.")
    _check_fields(cls, fields, MAP_ARGUMENTS)
    reco, true = _energies(cls, energy_edges, energy_true_edges)
    n_reco, n_true = reco.size - 1, true.size - 1
    geom_psf, geom_edisp = (coarse(geom, binsz_irf) if g is None else g for g in (geom_psf, geom_edisp))
    rad = RAD_EDGES if rad_edges is None else np.asarray(to_unit(_edges(rad_edges), "deg", "rad_edges"))
    centers = _centers(reco if reco_psf else true)
    shape = (centers.size, rad.size - 1, *geom_psf.shape)
    kind: type[PSFMap] = RecoPSFMap if reco_psf else PSFMap
    psf = kind(
        geom_psf, centers, (rad[1:] + rad[:-1]) / 2, rad, np.zeros(shape), np.zeros((centers.size, *geom_psf.shape))
    )
    given: dict[str, object] = {
        "exposure": np.zeros((n_true, *geom.shape)),
        "psf": psf,
        "edisp": _perfect(geom_edisp, true, reco, migra_edges),
    }
    make: Callable[..., AnyCounts] = cls
    given["energy_interp"] = _scale(energy_edges)
    return make(geom, reco, true, **_empty(cls, (n_reco, *geom.shape)) | given | fields)


def empty_spectrum(
    cls: type[AnyCounts],
    energy_edges: Given | MapAxis,
    energy_true_edges: Given | MapAxis | None = None,
    **fields: object,
) -> AnyCounts:
    """A `SpectrumDataset` or `SpectrumDatasetOnOff` (``cls``) without events, exposure and time, see `empty_map`."""
    _check_fields(cls, fields)
    reco, true = _energies(cls, energy_edges, energy_true_edges)
    given: dict[str, object] = {
        "exposure": np.zeros(true.size - 1),
        "edisp": EDispKernel.from_diagonal_response(true, reco),
        "energy_interp": _scale(energy_edges),
    }
    make: Callable[..., AnyCounts] = cls
    return make(reco, true, **_empty(cls, (reco.size - 1,)) | given | fields)


def coarse(geom: SkyGeom, binsz: Given) -> SkyGeom:
    """An image of the same middle, projection and width (to whole pixels, one at least); pixels of ``binsz`` deg."""
    size = np.broadcast_to(np.asarray(to_unit(binsz, "deg", "binsz_irf")), 2)
    if not np.all(np.isfinite(size) & (size > 0)):
        raise InputError(f"create: binsz_irf must be positive, found {binsz}.")
    step = np.abs(geom.wcs.pixel_scale_matrix.diagonal())
    npix = np.maximum(np.rint(np.array(geom.shape[::-1]) * step / size), 1).astype(int)
    frame = "galactic" if geom.frame == "galactic" else "icrs"
    code = str(geom.wcs.wcs.ctype[0])[-3:]
    return SkyGeom.create(geom.center, size, npix=tuple(int(n) for n in npix), proj=code, frame=frame)


def _perfect(
    geom: SkyGeom, true: np.ndarray, reco: np.ndarray, migra_edges: Given | MapAxis | None
) -> EDispKernelMap | EDispMap:
    exposure = np.zeros((true.size - 1, *geom.shape))
    if migra_edges is None:
        matrix = np.asarray(EDispKernel.from_diagonal_response(true, reco).matrix)[..., None, None]
        return EDispKernelMap(geom, np.broadcast_to(matrix, (*matrix.shape[:2], *geom.shape)), exposure)
    migra = np.asarray(to_unit(_edges(migra_edges), "", "migra_edges"))
    if not migra[0] < 1 < migra[-1]:
        raise InputError(
            f"create: migra_edges go from {migra[0]:.4g} to {migra[-1]:.4g}, expected a range around 1, where the "
            "reconstructed energy is the true one."
        )
    # shared out over the two bins whose centres are around 1
    centers = (migra[1:] + migra[:-1]) / 2
    pixel = np.interp(1.0, centers, np.arange(float(centers.size)))
    density = np.maximum(1 - np.abs(np.arange(centers.size) - pixel), 0.0) / np.diff(migra)
    values = np.broadcast_to(density[:, None, None], (true.size - 1, density.size, *geom.shape))
    return EDispMap(geom, true, migra, values, exposure)


def _empty(cls: type[CountsBase], shape: tuple[int, ...]) -> dict[str, object]:
    return {
        **{name: np.zeros(shape) for name in ("counts", *cls.background_fields) if name != "weights"},
        "mask_safe": np.zeros(shape, bool),
        "livetime": 0.0,
        "gti": GTI([], []),
    }


def _energies(
    cls: type[CountsBase], energy_edges: Given | MapAxis, energy_true_edges: Given | MapAxis | None
) -> tuple[np.ndarray, np.ndarray]:
    reco = np.asarray(edges_tev(_edges(energy_edges), f"{cls.__name__}.create: energy_edges"))
    if energy_true_edges is None:
        return reco, reco
    return reco, np.asarray(edges_tev(_edges(energy_true_edges), f"{cls.__name__}.create: energy_true_edges"))


def _edges(axis: Given | MapAxis) -> Given:
    return axis.edges if isinstance(axis, MapAxis) else axis


def _scale(axis: Given | MapAxis) -> str:
    return axis.interp if isinstance(axis, MapAxis) else "log"


def _check_fields(cls: type[CountsBase], fields: Mapping[str, object], own: tuple[str, ...] = ()) -> None:
    known = [*own, *inspect.signature(cls).parameters]
    for name in fields:
        if name not in known:
            raise InputError(
                f"{cls.__name__}.create: there is no argument {name!r}. {closest(name, known, 'arguments')}"
            )


def _centers(edges: np.ndarray) -> np.ndarray:
    return np.sqrt(edges[:-1] * edges[1:])
