"""Pixels of map datasets: cut out, added around, merged."""

from typing import TYPE_CHECKING, Any, TypeVar

import equinox as eqx
import numpy as np

from ..arrays import Array, frozen_array
from ..bins import on_host
from ..counts.base import AnyCounts, CountsBase
from ..counts.reshape_energy import check_factor, downsample_energy, slice_bounds
from ..counts.sums import bin_sums, stored
from ..errors import InputError
from ..irf.edisp import EDispKernelMap, EDispMap
from ..irf.psf import PSFKernel, PSFMap
from ..sky.cutout import PadWidth, covering_slices, cropped, cutout_slices, downsampled, pad_slices, window
from ..sky.geom import SkyGeom
from ..units import Given

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

AnyResponse = TypeVar("AnyResponse", bound=eqx.Module | None)


def geom_of(dataset: CountsBase) -> SkyGeom:
    """The pixels of a map."""
    geom = dataset.sky_geom
    assert geom is not None
    return geom


def cutout(dataset: AnyCounts, position: "SkyCoord", width: Given, mode: str = "trim") -> AnyCounts:
    """A copy of the pixels around a ``position`` (SkyCoord), ``width`` wide (deg or Quantity, one or (x, y)).

    For ``mode`` see `cutout_slices`; pixels beyond the image ("partial") are empty and outside the safe mask. Grids of
    responses keep the pixels between which the cutout lies, so that predicted counts inside it do not change.
    """
    on_host(dataset, "cutout")
    return _framed(dataset, *cutout_slices(geom_of(dataset), position, width, mode))


def crop(dataset: AnyCounts, y: slice, x: slice) -> AnyCounts:
    """A copy of a range of pixels, see `cutout`."""
    on_host(dataset, "slice_by_idx")
    ny, nx = dataset.pixels
    spans = slice_bounds(y, ny, "slice_by_idx: y"), slice_bounds(x, nx, "slice_by_idx: x")
    return _framed(dataset, slice(*spans[0]), slice(*spans[1]))


def pad(dataset: AnyCounts, width: PadWidth) -> AnyCounts:
    """A copy with ``width`` more pixels on each side, one number or (x, y): empty, and outside the safe mask.

    Their exposure is zero: nothing is predicted there, while sources there reach into the image through the point
    spread function. Responses stay as they are.
    """
    on_host(dataset, "pad")
    return _framed(dataset, *pad_slices(geom_of(dataset), width), responses=False)


def downsample(dataset: AnyCounts, factor: int, axis_name: str | None = None) -> AnyCounts:
    """A copy with coarser pixels (``axis_name`` None), see `downsample_pixels`, or coarser energies ("energy")."""
    if axis_name == "energy":
        return downsample_energy(dataset, factor)
    if axis_name is not None or not dataset.pixels:
        known = "None (the pixels) or 'energy'" if dataset.pixels else "'energy'"
        raise InputError(f"downsample: axis_name is {axis_name!r}, expected {known} for a {type(dataset).__name__}.")
    return downsample_pixels(dataset, factor)


def downsample_pixels(dataset: AnyCounts, factor: int) -> AnyCounts:
    """A copy in which ``factor`` by ``factor`` pixels are one.

    Counts, background and off counts are the sums over safe bins, masks are True where any bin was, exposure and
    acceptance are plain means (as in gammapy: of a pixel that is safe in part, the signal is predicted for the whole,
    and nothing says so; mask such pixels, or cut the dataset out inside its mask, where that matters).
    Responses stay as they are. Raises InputError where the factor does not divide the pixels, and for a PSFKernel,
    which holds on the pixels it was made for.
    """
    on_host(dataset, "downsample")
    ny, nx = dataset.pixels
    check_factor(factor, "downsample", {"pixels in y": ny, "pixels in x": nx})
    if factor == 1:
        return dataset
    if isinstance(dataset.psf, PSFKernel):
        raise InputError(
            "downsample: the dataset has a PSFKernel, which holds for its present pixels. Give it a PSFMap, or set psf "
            "to None and give a new kernel afterwards."
        )

    def blocks(values: Array) -> np.ndarray:
        return np.asarray(values).reshape(len(values), ny // factor, factor, nx // factor, factor)

    def mean(values: Array) -> np.ndarray:
        return blocks(values).mean((2, 4))

    def any_of(values: Array) -> np.ndarray:
        return np.asarray(blocks(values).any((2, 4)))

    sums = bin_sums(dataset, lambda values: blocks(values).sum((2, 4)), any_of, mean)
    exposure = None if dataset.exposure is None else mean(dataset.exposure)
    return dataset.replace(geom=downsampled(geom_of(dataset), factor), exposure=exposure, **sums)


def _framed(dataset: AnyCounts, y: slice, x: slice, responses: bool = True) -> AnyCounts:
    geom = cropped(geom_of(dataset), y, x)
    changes: dict[str, Any] = {name: window(value, y, x) for name, value in stored(dataset).items()}
    ny, nx = dataset.pixels
    if dataset.mask_safe is None and (y.start < 0 or x.start < 0 or y.stop > ny or x.stop > nx):
        # no measurement was made there
        changes["mask_safe"] = window(np.ones(dataset.data_shape, bool), y, x)
    if dataset.exposure is not None:
        changes["exposure"] = window(dataset.exposure, y, x)
    if responses:
        changes |= {"psf": _cropped_response(dataset.psf, geom), "edisp": _cropped_response(dataset.edisp, geom)}
    return dataset.replace(geom=geom, **changes)


def _cropped_response(response: AnyResponse, geom: SkyGeom) -> AnyResponse:
    """The pixels of a response around an image; PSFs keep their sizes, and with them the kernels made of them."""
    if not isinstance(response, PSFMap | EDispKernelMap | EDispMap) or response.geom is None:
        return response
    y, x = covering_slices(response.geom, geom)
    if (y.stop - y.start, x.stop - x.start) == response.geom.shape:
        return response
    where = lambda r: (r.geom, r.values, r.exposure)  # noqa: E731
    arrays = (None if a is None else frozen_array(window(a, y, x)) for a in (response.values, response.exposure))
    return eqx.tree_at(where, response, (cropped(response.geom, y, x), *arrays), is_leaf=lambda leaf: leaf is None)
