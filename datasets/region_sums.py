"""Datasets of a region of the sky, summed from map datasets."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..kernels.psf import at_position, nearest_valid
from ..kernels.sphere import lonlat_to_vector, vector_to_lonlat
from .edisp import EDispKernel
from .edisp_map import EDispKernelMap, EDispMap, matrix_at
from .errors import InputError
from .fits_table import FitsTable, naming
from .meta import Meta
from .psf import PSFKernel, PSFMap, RecoPSFMap
from .region_map import RegionMapDataset
from .region_table import pack_region, region_hdu
from .reshape_sums import bin_sums, is_on_off, on_host
from .sky_cutout import padded
from .sky_geometry import SkyGeom
from .spectrum import SpectrumDataset, SpectrumDatasetOnOff

WHAT = "to_spectrum_dataset"
CARRIED = ("energy_edges", "energy_true_edges", "livetime", "gti", "nodes")


def region_spectrum(
    dataset: Any, on_region: Any, containment_correction: bool = False
) -> SpectrumDataset | SpectrumDatasetOnOff:
    """The spectrum of the pixels whose centre is inside ``on_region``, a region of the ``regions`` package.

    Counts, background and off counts are the sums over safe bins; the exposure is the mean over the pixels, times the
    share of a point source in the middle that a circle contains, with ``containment_correction``; the energy dispersion
    is that of the middle of the region. The acceptance is the mean over safe bins, for the off acceptance see
    `bin_sums`. The region is in ``meta`` in the form that readers leave there.

    Raises InputError for a region that holds no pixel or is not wholly inside the image, for a mask that is not the
    same all over the region at each energy, and where the containment is not known.
    """
    fields, vector = _summed(dataset, on_region, WHAT)
    if dataset.exposure is not None and containment_correction:
        fields["exposure"] = fields["exposure"] * _contained(dataset, on_region, vector)
    if dataset.edisp is not None:
        matrix = matrix_at(dataset.edisp, vector, dataset.energy_true_edges, dataset.energy_edges)
        fields["edisp"] = EDispKernel(np.asarray(matrix))
    fields["meta"] = _with_region(dataset.meta, dataset.geom, on_region)
    return (SpectrumDatasetOnOff if is_on_off(dataset) else SpectrumDataset)(**fields)


def region_map(dataset: Any, on_region: Any) -> RegionMapDataset:
    """The `RegionMapDataset` of the pixels whose centre is inside ``on_region``: sums and exposure as in
    `region_spectrum`, with the point spread function, so that models act by what the region contains of them.

    PSF and energy dispersion are those of the middle of the region. The counts are of whole pixels, the prediction is
    for the region itself: choose a region that is large against the pixels. Raises InputError as `region_spectrum`
    does, for on/off data, and for a `PSFKernel`.
    """
    what = "to_region_map_dataset"
    if is_on_off(dataset):
        raise InputError(
            f"{what}: found a {type(dataset).__name__}; there is no on/off dataset of a region with a point spread "
            "function. Use to_spectrum_dataset(region, containment_correction=True)."
        )
    if isinstance(dataset.psf, PSFKernel):
        raise InputError(f"{what}: the dataset has a PSFKernel, which holds for its pixels only. Give it a PSFMap.")
    sky = on_region if hasattr(on_region, "to_pixel") else None
    if sky is None and hasattr(on_region, "to_sky"):
        sky = on_region.to_sky(dataset.geom.wcs)
    fields, vector = _summed(dataset, on_region, what)
    fields |= {"psf": psf_at(dataset.psf, vector), "edisp": edisp_at(dataset.edisp, vector), "meta": dataset.meta}
    return RegionMapDataset(sky, **fields)


def without_psf(dataset: RegionMapDataset, model: Any = None) -> SpectrumDataset:
    """See `RegionMapDataset.to_spectrum_dataset`."""
    on_host(dataset, WHAT)
    names = ("counts", "background", "exposure", "mask_safe", "mask_fit", *CARRIED)
    fields: dict[str, Any] = {name: getattr(dataset, name) for name in names}
    lattice = dataset.region.lattice
    vector = np.asarray(lattice.pixel_to_vector(*lattice.middle))
    if model is not None:
        share = np.asarray(dataset.contained_share(model))
        if isinstance(dataset.psf, RecoPSFMap):
            raise InputError(
                f"{WHAT}: the PSF is in reconstructed energy, so that what the region contains is no factor of the "
                "exposure. Leave the model out, or give the dataset a PSFMap in true energy."
            )
        if dataset.exposure is not None:
            fields["exposure"] = np.asarray(dataset.exposure) * share
        if model.spatial is not None and model.spatial.center_vector is not None:
            vector = np.asarray(model.spatial.center_vector)
    if dataset.edisp is not None:
        matrix = matrix_at(dataset.edisp, vector, dataset.energy_true_edges, dataset.energy_edges)
        fields["edisp"] = EDispKernel(np.asarray(matrix))
    fields["meta"] = _with_region(dataset.meta, lattice, dataset.region.region)
    return SpectrumDataset(**fields)


def psf_at(psf: Any, vector: Any) -> Any:
    """A `PSFMap` (or None) that has everywhere what it has at an ICRS unit vector."""
    if psf is None or psf.geom is None:
        return psf
    values = np.asarray(psf.profile_at(vector, np.asarray(psf.energy)))[..., None, None]
    x, y = psf.geom.vector_to_pixel(vector)
    exposure = None if psf.exposure is None else np.asarray(at_position(jnp.asarray(psf.exposure), x, y))
    return type(psf)(
        None, psf.energy, psf.rad, psf.rad_edges, values, None if exposure is None else exposure[:, None, None]
    )


def edisp_at(edisp: Any, vector: Any) -> Any:
    """An energy dispersion (or None) that is everywhere that of an ICRS unit vector."""
    if edisp is None or getattr(edisp, "geom", None) is None:
        return edisp
    x, y, _ = nearest_valid(jnp.any(jnp.asarray(edisp.values) > 0, axis=(0, 1)), *edisp.geom.vector_to_pixel(vector))
    at = slice(int(y), int(y) + 1), slice(int(x), int(x) + 1)
    values = np.asarray(edisp.values)[(..., *at)]
    exposure = None if edisp.exposure is None else np.asarray(edisp.exposure)[(..., *at)]
    if isinstance(edisp, EDispKernelMap):
        return EDispKernelMap(None, values, exposure)
    return EDispMap(None, edisp.energy_true_edges, edisp.migra_edges, values, exposure)


def _summed(dataset: Any, on_region: Any, what: str) -> tuple[dict[str, Any], np.ndarray]:
    """Sums over the pixels in a region and the mean exposure, by argument of the constructors; and its middle."""
    on_host(dataset, what)
    inside = _inside(dataset.geom, on_region, what)
    _require_uniform(dataset, inside, what)

    def total(values: Any) -> np.ndarray:
        return np.asarray(values)[:, inside].sum(axis=1)

    def mean(values: Any) -> np.ndarray:
        safe = np.broadcast_to(True if dataset.mask_safe is None else np.asarray(dataset.mask_safe), dataset.data_shape)
        return total(values * safe) / np.maximum(total(safe), 1)

    def any_of(values: Any) -> np.ndarray:
        return total(values) > 0

    fields: dict[str, Any] = bin_sums(dataset, total, any_of, mean)
    fields |= {name: getattr(dataset, name) for name in CARRIED}
    if dataset.exposure is not None:
        fields["exposure"] = np.asarray(dataset.exposure)[:, inside].mean(axis=1)
    return fields, _middle(dataset.geom, on_region, inside)


def region_spectra(datasets: Any, on_region: Any, containment_correction: bool = False) -> Any:
    """`region_spectrum` of each of `Datasets`, under their names."""
    spectra = {}
    for name, dataset in datasets.items():
        with naming(f"dataset {name!r}"):
            if not hasattr(dataset, "geom"):
                raise InputError(f"{type(dataset).__name__} is no map, from which spectra of a region can be made.")
            spectra[name] = dataset.to_spectrum_dataset(on_region, containment_correction)
    return type(datasets)(spectra)


def contained_share(psf: PSFMap, vector: Any, energy: Any, radius: float) -> np.ndarray:
    """Share of the events within ``radius`` (deg) of an ICRS unit vector, at energies (TeV): (n_energy,).

    Profiles are linear between their radii and normalised to 1 out to the last one, as where they act on maps; 0 where
    there is no profile. The integrals over rings are exact for such profiles: between radii a < b with values p and q
    that of P(r) r is (b - a) (a (2 p + q) + b (p + 2 q)) / 6.
    """
    rad = np.asarray(psf.rad)
    profile = np.asarray(psf.profile_at(vector, np.asarray(energy)))
    slope = (profile[:, 1] - profile[:, 0]) / (rad[1] - rad[0])
    nodes = np.unique(np.concatenate([[0.0], rad, [min(radius, rad[-1])]]))
    values = np.stack([np.interp(nodes, rad, line) for line in profile])
    # below the first radius the line of the first two goes on
    values = np.where(nodes < rad[0], profile[:, :1] + slope[:, None] * (nodes - rad[0]), values)
    values = np.maximum(values, 0.0)
    a, b, p, q = nodes[:-1], nodes[1:], values[:, :-1], values[:, 1:]
    rings = (b - a) * (a * (2 * p + q) + b * (p + 2 * q)) / 6
    whole = rings.sum(axis=1)
    return np.where(whole > 0, rings[:, b <= radius].sum(axis=1) / np.where(whole > 0, whole, 1.0), 0.0)


def _contained(dataset: Any, region: Any, vector: Any) -> np.ndarray:
    from regions import CircleSkyRegion

    if not isinstance(region, CircleSkyRegion):
        raise InputError(
            f"{WHAT}: containment_correction is for a CircleSkyRegion, found {type(region).__name__}. Use a circle, or "
            "leave it out."
        )
    if not isinstance(dataset.psf, PSFMap) or isinstance(dataset.psf, RecoPSFMap):
        found = "no point spread function" if dataset.psf is None else f"a {type(dataset.psf).__name__}"
        raise InputError(f"{WHAT}: containment_correction needs a PSFMap in true energy, the dataset has {found}.")
    edges = np.asarray(dataset.energy_true_edges)
    return contained_share(dataset.psf, vector, np.sqrt(edges[:-1] * edges[1:]), region.radius.to_value("deg"))


def _inside(geom: SkyGeom, region: Any, what: str) -> np.ndarray:
    """Pixels inside a region, (ny, nx)."""
    inside = geom.region_mask(region)
    if not inside.any():
        raise InputError(
            f"{what}: the centre of no pixel is inside the region. It is outside the image, or smaller than its pixels "
            f"of {geom.pixel_size:.4g} deg."
        )
    around = padded(geom, 1)
    wide = around.region_mask(region if hasattr(region, "to_pixel") else region.to_sky(geom.wcs))
    if wide[[0, -1]].any() or wide[:, [0, -1]].any():
        raise InputError(f"{what}: the region is not wholly inside the image. Use a smaller one, or a wider image.")
    return inside


def _require_uniform(dataset: Any, inside: np.ndarray, what: str) -> None:
    if dataset.mask is None:
        return
    mask = np.asarray(dataset.mask)[:, inside]
    partly = mask.any(axis=1) & ~mask.all(axis=1)
    if partly.any():
        bad = int(np.argmax(partly))
        raise InputError(
            f"{what}: the mask is not the same all over the region: in energy bin {bad} {int(mask[bad].sum())} of "
            f"{mask.shape[1]} pixels are inside it ({int(partly.sum())} such bins). The exposure of a part of a region "
            "is not that of the whole: use a region inside the mask, or mask whole energy bins."
        )


def _middle(geom: SkyGeom, region: Any, inside: np.ndarray) -> np.ndarray:
    """ICRS unit vector of the middle of a region: its centre, or the mean of its pixels."""
    center = getattr(region, "center", None)
    if center is not None and hasattr(region, "to_pixel"):
        sky = center.icrs
        return lonlat_to_vector(sky.ra.deg, sky.dec.deg)
    x, y = geom.pixel_grid
    vector = np.asarray(geom.pixel_to_vector(x[inside], y[inside])).mean(axis=0)
    return lonlat_to_vector(*vector_to_lonlat(vector / np.linalg.norm(vector)))


def _with_region(meta: Meta, geom: SkyGeom, region: Any) -> Meta:
    """Descriptions with the region as files keep it; a region that FITS cannot express is left out."""
    try:
        return meta.updated(region=pack_region(FitsTable(region_hdu(region, geom, "REGION"), "region")))
    except InputError:
        return meta
