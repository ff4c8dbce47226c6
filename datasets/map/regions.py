"""Datasets of a region of the sky, summed from map datasets."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from ...kernels.sphere import lonlat_to_vector, vector_to_lonlat
from ..arrays import Array
from ..bins import on_host
from ..counts.base import CountsBase
from ..counts.sums import bin_sums
from ..errors import InputError
from ..irf.edisp import EDispKernel, edisp_at, matrix_at
from ..irf.psf import PSFKernel, PSFMap, RecoPSFMap, psf_at
from ..sky.cutout import padded
from ..sky.geom import SkyGeom
from ..spectrum.regions import CARRIED, WHAT, with_region
from .reshape import geom_of

if TYPE_CHECKING:
    from regions import Region


def region_spectrum_fields(
    dataset: CountsBase, on_region: "Region", containment_correction: bool = False
) -> dict[str, Any]:
    """Constructor arguments of the spectrum of the pixels whose centre is inside ``on_region``.

    ``on_region`` is a region of the ``regions`` package.
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
    fields["meta"] = with_region(dataset.meta, geom_of(dataset), on_region)
    return fields


def region_map_fields(dataset: CountsBase, on_region: "Region") -> dict[str, Any]:
    """Constructor arguments of the `RegionMapDataset` of the pixels whose centre is inside ``on_region``.

    Sums and exposure as in `region_spectrum_fields`, with the point spread function, so that models act by what the
    region contains of them. PSF and energy dispersion are those of the middle of the region. The counts are of whole
    pixels, the prediction is for the region itself: choose a region that is large against the pixels. Raises InputError
    as `region_spectrum_fields` does, and for a `PSFKernel`.
    """
    what = "to_region_map_dataset"
    if isinstance(dataset.psf, PSFKernel):
        raise InputError(f"{what}: the dataset has a PSFKernel, which holds for its pixels only. Give it a PSFMap.")
    sky = on_region if hasattr(on_region, "to_pixel") else None
    if sky is None and hasattr(on_region, "to_sky"):
        sky = on_region.to_sky(geom_of(dataset).wcs)
    fields, vector = _summed(dataset, on_region, what)
    fields |= {"psf": psf_at(dataset.psf, vector), "edisp": edisp_at(dataset.edisp, vector), "meta": dataset.meta}
    return fields | {"region": sky}


def _summed(dataset: CountsBase, on_region: "Region", what: str) -> tuple[dict[str, Any], np.ndarray]:
    """Sums over the pixels in a region and the mean exposure, by argument of the constructors; and its middle."""
    on_host(dataset, what)
    inside = _inside(geom_of(dataset), on_region, what)
    _require_uniform(dataset, inside, what)

    def total(values: Array) -> np.ndarray:
        return np.asarray(values)[:, inside].sum(axis=1)

    def mean(values: Array) -> np.ndarray:
        safe = dataset.safe_bins()
        return total(values * safe) / np.maximum(total(safe), 1)

    def any_of(values: Array) -> np.ndarray:
        return total(values) > 0

    fields: dict[str, Any] = bin_sums(dataset, total, any_of, mean)
    fields |= {name: getattr(dataset, name) for name in CARRIED}
    if dataset.exposure is not None:
        fields["exposure"] = np.asarray(dataset.exposure)[:, inside].mean(axis=1)
    return fields, _middle(geom_of(dataset), on_region, inside)


def _contained(dataset: CountsBase, region: "Region", vector: np.ndarray) -> Float[np.ndarray, " n_true"]:
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
    return dataset.psf.containment_at(vector, region.radius, np.sqrt(edges[:-1] * edges[1:]))[:, 0]


def _inside(geom: SkyGeom, region: "Region", what: str) -> np.ndarray:
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


def _require_uniform(dataset: CountsBase, inside: np.ndarray, what: str) -> None:
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


def _middle(geom: SkyGeom, region: "Region", inside: np.ndarray) -> np.ndarray:
    """ICRS unit vector of the middle of a region: its centre, or the mean of its pixels."""
    center = getattr(region, "center", None)
    if center is not None and hasattr(region, "to_pixel"):
        sky = center.icrs
        return np.asarray(lonlat_to_vector(sky.ra.deg, sky.dec.deg))
    x, y = geom.pixel_grid
    vector = np.asarray(geom.pixel_to_vector(x[inside], y[inside])).mean(axis=0)
    return np.asarray(lonlat_to_vector(*vector_to_lonlat(vector / np.linalg.norm(vector))))
