"""Spectra of a region of the sky, summed from map datasets."""

import warnings
from typing import Any

import numpy as np
from astropy.io import fits

from ..kernels.sphere import lonlat_to_vector, vector_to_lonlat
from .edisp import EDispKernel
from .edisp_map import matrix_at
from .errors import InputError
from .fits_table import FitsTable, naming
from .meta import Meta
from .psf import PSFMap, RecoPSFMap
from .region_table import pack_region
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
    on_host(dataset, WHAT)
    inside = _inside(dataset.geom, on_region)
    _require_uniform(dataset, inside)
    vector = _middle(dataset.geom, on_region, inside)

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
        if containment_correction:
            fields["exposure"] = fields["exposure"] * _contained(dataset, on_region, vector)
    if dataset.edisp is not None:
        matrix = matrix_at(dataset.edisp, vector, dataset.energy_true_edges, dataset.energy_edges)
        fields["edisp"] = EDispKernel(np.asarray(matrix))
    fields["meta"] = _with_region(dataset.meta, dataset.geom, on_region)
    return (SpectrumDatasetOnOff if is_on_off(dataset) else SpectrumDataset)(**fields)


def region_spectra(datasets: Any, on_region: Any, containment_correction: bool = False) -> Any:
    """`region_spectrum` of each of `Datasets`, under their names."""
    spectra = {}
    for name, dataset in datasets.items():
        with naming(f"dataset {name!r}"):
            if not hasattr(dataset, WHAT):
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


def _inside(geom: SkyGeom, region: Any) -> np.ndarray:
    """Pixels inside a region, (ny, nx)."""
    inside = geom.region_mask(region)
    if not inside.any():
        raise InputError(
            f"{WHAT}: the centre of no pixel is inside the region. It is outside the image, or smaller than its pixels "
            f"of {geom.pixel_size:.4g} deg."
        )
    around = padded(geom, 1)
    wide = around.region_mask(region if hasattr(region, "to_pixel") else region.to_sky(geom.wcs))
    if wide[[0, -1]].any() or wide[:, [0, -1]].any():
        raise InputError(f"{WHAT}: the region is not wholly inside the image. Use a smaller one, or a wider image.")
    return inside


def _require_uniform(dataset: Any, inside: np.ndarray) -> None:
    if dataset.mask is None:
        return
    mask = np.asarray(dataset.mask)[:, inside]
    partly = mask.any(axis=1) & ~mask.all(axis=1)
    if partly.any():
        bad = int(np.argmax(partly))
        raise InputError(
            f"{WHAT}: the mask is not the same all over the region: in energy bin {bad} {int(mask[bad].sum())} of "
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
    from astropy.table import Table
    from astropy.utils.exceptions import AstropyUserWarning
    from regions import Regions

    try:
        pixel = [part.to_pixel(geom.wcs) if hasattr(part, "to_pixel") else part for part in _parts(region)]
        with warnings.catch_warnings():
            # that is how it says that it leaves a region out
            warnings.simplefilter("error", AstropyUserWarning)
            table = Regions(pixel).serialize(format="fits")
    except (TypeError, ValueError, KeyError, AttributeError, AstropyUserWarning):
        return meta
    hdu = fits.table_to_hdu(Table(table))
    hdu.header.update(geom.wcs.to_header())
    # gammapy asks for the size of the image of which these are the pixels
    hdu.header["WCSSHAPE"] = f"({geom.shape[1]},{geom.shape[0]})"
    return meta.updated(region=pack_region(FitsTable(hdu, "region")))


def _parts(region: Any) -> list[Any]:
    """The regions of a union, or the region itself."""
    if getattr(getattr(region, "operator", None), "__name__", "") == "or_":
        return _parts(region.region1) + _parts(region.region2)
    return [region]
