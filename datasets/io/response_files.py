"""Files of one response alone, in gammapy's GADF form, as RMF, and as the Fermi-LAT tools write them."""

from typing import Any

import numpy as np
from astropy import units as u
from astropy.io import fits

from ..arrays import fields_of
from ..errors import InputError
from ..irf.edisp import EDispKernel, EDispKernelMap, EDispMap
from ..irf.formats import FORMS, Filename, Form
from ..irf.psf import PSFKernel, PSFMap
from ..sky.axis import MapAxis
from ..sky.geom import SkyGeom
from .arf import OGIP_UNITS
from .bins import usable_bins
from .fermi import gtpsf_contents, read_gtdrm, read_gtpsf
from .fits import FitsFile, Hdu, naming, to_bytes
from .gadf_irf import edisp_hdus, psf_hdus, read_edisp, read_psf
from .gadf_quantity import map_hdus, read_quantity
from .paths import as_path, write_files
from .rmf import read_rmf, rmf_hdus

MAP = "SKYMAP"
"""Name of the HDU of a map alone."""


def _write(filename: Filename, hdus: list[Hdu] | bytes, overwrite: bool) -> None:
    write_files({as_path(filename): hdus if isinstance(hdus, bytes) else to_bytes(hdus)}, overwrite)


# point spread functions


def _read_psf(filename: Filename, hdu: str | None) -> PSFMap:
    with naming(filename):
        return read_psf(filename, name=(hdu or "PSF").upper())


def _write_psf(psf: PSFMap, filename: Filename, overwrite: bool) -> None:
    _write(filename, psf_hdus(psf), overwrite)


def _read_gtpsf(filename: Filename, hdu: str | None) -> PSFMap:
    with naming(filename):
        return PSFMap(**read_gtpsf(FitsFile(filename)))


def _write_gtpsf(psf: PSFMap, filename: Filename, overwrite: bool) -> None:
    with naming(filename):
        if psf.energy_axis != "energy_true":
            raise InputError("the gtpsf form has true energies, and this is a RecoPSFMap. Use format='gadf'.")
        _write(filename, gtpsf_contents(fields_of(psf)), overwrite)


def _read_psf_kernel(filename: Filename, hdu: str | None) -> PSFKernel:
    file = FitsFile(filename)
    names = [h.name for h in file.hdus]
    name = hdu.upper() if hdu else next((n.removesuffix("_BANDS") for n in names if n.endswith("_BANDS")), None)
    with naming(filename):
        if name is not None:
            return PSFKernel(read_quantity(file, name).require_axes("energy_true").require_finite().values)
        image = next((h for h in file.hdus if not isinstance(h, fits.BinTableHDU) and np.ndim(h.data) == 2), None)
        if image is None:
            raise InputError(f"there is no image, only {file.names()}. Check that this is the right file.")
        # of all energies together
        return PSFKernel(usable_bins(np.asarray(image.data, float), str(file))[None])


def _write_psf_kernel(
    kernel: PSFKernel, filename: Filename, overwrite: bool, geom: SkyGeom, energy_true_edges: np.ndarray
) -> None:
    values = np.asarray(kernel.values)
    n = values.shape[-1]
    header: dict[str, Any] = dict(geom.header)
    for i, middle in enumerate(geom.middle, start=1):
        header[f"CRPIX{i}"] = float(header.get(f"CRPIX{i}", 0.0)) - float(middle) + (n - 1) / 2
    axis = MapAxis(energy_true_edges, "log", "energy_true", "TeV")
    if values.shape[0] != axis.nbin:
        raise InputError(
            f"{filename}: cannot write, the kernel has {values.shape[0]} planes for {axis.nbin} true-energy bins."
        )
    around = SkyGeom.from_header(header, (n, n), str(filename))
    _write(filename, map_hdus(MAP, values, "", (axis,), around), overwrite)


# energy dispersions


def _read_edisp(filename: Filename, hdu: str | None) -> EDispMap | EDispKernelMap:
    with naming(filename):
        edisp, true, reco = read_edisp(filename, name=(hdu or "EDISP").upper())
        if isinstance(edisp, EDispMap):
            return edisp
        return EDispKernelMap(edisp.geom, edisp.values, edisp.exposure, true, reco)


def _write_edisp_map(edisp: EDispMap, filename: Filename, overwrite: bool) -> None:
    _write(filename, edisp_hdus(edisp, _axis(edisp.energy_true_edges, "energy_true")), overwrite)


def _write_kernel_map(edisp: EDispKernelMap, filename: Filename, overwrite: bool, **edges: np.ndarray | None) -> None:
    true, reco = _edges(edisp, filename, edges)
    _write(filename, edisp_hdus(edisp, _axis(true, "energy_true"), _axis(reco, "energy")), overwrite)


def _axis(edges: Any, name: str) -> MapAxis:
    return MapAxis(np.asarray(edges), "log", name, "TeV")


def _edges(
    edisp: EDispKernel | EDispKernelMap, filename: Filename, given: dict[str, np.ndarray | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Edges that are given, else those of the response."""
    found = []
    shape = np.shape(edisp.matrix) if isinstance(edisp, EDispKernel) else np.shape(edisp.values)[:2]
    for n, (name, edges) in zip(shape, given.items(), strict=True):
        edges = getattr(edisp, name) if edges is None else edges
        if edges is None or np.size(edges) != n + 1:
            what = "no edges" if edges is None else f"{np.size(edges)} edges"
            raise InputError(
                f"{filename}: cannot write, found {what} of {n} energy bins. Give {name}=..., {n + 1} edges."
            )
        found.append(np.asarray(edges))
    return found[0], found[1]


def _read_kernel(filename: Filename, hdu: str | None) -> EDispKernel:
    with naming(filename):
        rmf = read_rmf(FitsFile(filename))
        return EDispKernel(rmf.matrix, rmf.energy_true_edges, rmf.energy_edges)


def _write_kernel(
    kernel: EDispKernel, filename: Filename, overwrite: bool, unit: str, **edges: np.ndarray | None
) -> None:
    factor = u.TeV.to(unit)
    true, reco = (factor * e for e in _edges(kernel, filename, edges))
    cards = {"TELESCOP": "unknown", "INSTRUME": "unknown", "FILTER": "None"}
    _write(filename, list(rmf_hdus(np.asarray(kernel.matrix), true, reco, unit, {**cards})), overwrite)


def _rmf_form(unit: str) -> Form:
    def write(kernel: EDispKernel, filename: Filename, overwrite: bool, **edges: np.ndarray | None) -> None:
        _write_kernel(kernel, filename, overwrite, unit, **edges)

    return Form(_read_kernel, write)


def _read_gtdrm_kernel(filename: Filename, hdu: str | None) -> EDispKernel:
    with naming(filename):
        return EDispKernel(**read_gtdrm(FitsFile(filename)))


def _read_gtdrm_map(filename: Filename, hdu: str | None) -> EDispKernelMap:
    return EDispKernelMap.from_kernel(_read_gtdrm_kernel(filename, hdu))


FORMS["PSFMap"] = {"gadf": Form(_read_psf, _write_psf), "gtpsf": Form(_read_gtpsf, _write_gtpsf)}
FORMS["PSFKernel"] = {"gadf": Form(_read_psf_kernel, _write_psf_kernel)}
FORMS["EDispMap"] = {"gadf": Form(_read_edisp, _write_edisp_map)}
FORMS["EDispKernelMap"] = {"gadf": Form(_read_edisp, _write_kernel_map), "gtdrm": Form(_read_gtdrm_map)}
FORMS["EDispKernel"] = {
    **{name: _rmf_form(unit) for name, unit in {**OGIP_UNITS, "gadf": "TeV"}.items()},
    "gtdrm": Form(_read_gtdrm_kernel),
}
