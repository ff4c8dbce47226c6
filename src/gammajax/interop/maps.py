"""Map datasets to and from gammapy, by way of the FITS form of both, in memory."""

import io
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.io import fits

from gammajax.datasets.errors import InputError
from gammajax.datasets.io.fits import FitsFile, Hdu, naming
from gammajax.datasets.io.gadf_write import gadf_map_contents
from gammajax.datasets.map.dataset import MapDataset, MapDatasetOnOff
from gammajax.datasets.region.dataset import RegionMapDataset
from gammajax.interop.api import Api

if TYPE_CHECKING:
    import gammapy.datasets

MAPS = ("counts", "background", "mask_safe", "mask_fit", "exposure")

OFF_MAPS = ("counts_off", "acceptance", "acceptance_off")


class _InMemory(FitsFile):
    """HDUs that are in no file; ``where`` stands for its name in messages."""

    def __init__(self, hdus: fits.HDUList, where: str):
        stream = io.BytesIO()
        hdus.writeto(stream)
        self.path = where  # type: ignore[assignment]  # shown, and not opened
        self.hdus = _opened(stream.getvalue())


def _opened(content: bytes) -> list[Hdu]:
    return list(fits.open(io.BytesIO(content), memmap=False, lazy_load_hdus=False))


def is_region(peer: "gammapy.datasets.MapDataset") -> bool:
    """Whether a map dataset of gammapy is of one region."""
    first = next((m for name in MAPS if (m := getattr(peer, name)) is not None), None)
    return first is not None and first.geom.is_region


def region_from(peer: "gammapy.datasets.MapDataset", api: Api) -> RegionMapDataset:
    """A dataset from one of gammapy of one region with a point spread function."""
    where = f"from_gammapy: {peer.tag} {peer.name!r}"
    if isinstance(peer, api.datasets.MapDatasetOnOff):
        raise InputError(
            f"{where} is of one region, and has a point spread function, which says how much of a source the region "
            "contains. For on/off data that is not applied: use to_spectrum_dataset(..., containment_correction=True) "
            "of the map dataset."
        )
    if peer.psf is not None and not hasattr(peer.psf, "psf_map"):
        raise InputError(f"{where} has a PSFKernel, which says nothing about a region. Give it a PSFMap.")
    try:
        hdus = _hdus_of(peer, api)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _no_form(where, error) from error
    # that its tables leave out
    livetime = (getattr(peer.exposure, "meta", None) or {}).get("livetime")
    dataset = RegionMapDataset.read(_InMemory(hdus, where))
    return dataset if livetime is None else dataset.replace(livetime=livetime)


def _hdus_of(peer: "gammapy.datasets.MapDataset", api: Api) -> fits.HDUList:
    """Its FITS form, in which a fit mask of weights is one of 0 and 1."""
    hdus = api.datasets.MapDataset.to_hdulist(peer)
    if peer.stat_type == "cash_weighted" and peer.mask_fit is not None:
        inside = np.asarray(peer.mask_fit.data) > 0
        mask = api.maps.Map.from_geom(peer.mask_fit.geom, data=inside.astype(float)).to_hdulist(hdu="mask_fit")
        names = {hdu.name for hdu in mask[1:]}
        hdus = fits.HDUList([*(hdu for hdu in hdus if hdu.name not in names), *mask[1:]])
    return hdus


def _no_form(where: str, error: Exception) -> InputError:
    return InputError(
        f"{where}: gammapy gives no FITS form of it ({type(error).__name__}: {error}). Give it maps of counts, "
        "exposure, PSF and energy dispersion."
    )


def map_from(peer: "gammapy.datasets.MapDataset", api: Api) -> MapDataset | MapDatasetOnOff:
    """A dataset from one of gammapy with image geometry."""
    where = f"from_gammapy: {peer.tag} {peer.name!r}"
    on_off = isinstance(peer, api.datasets.MapDatasetOnOff)
    try:
        # its own to_hdulist asks for a background, which a dataset without off counts has not
        hdus = _hdus_of(peer, api)
        for name in OFF_MAPS if on_off else ():
            off = getattr(peer, name)
            if off is not None:
                hdus += off.to_hdulist(hdu=name)[1:]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _no_form(where, error) from error
    file = _InMemory(hdus, where)
    return MapDatasetOnOff.read(file) if on_off else MapDataset.read(file)


def map_to(
    dataset: MapDataset | MapDatasetOnOff | RegionMapDataset, name: str | None, api: Api
) -> "gammapy.datasets.MapDataset":
    """A dataset of gammapy; its name is that in ``dataset.meta`` by default."""
    name = dataset.meta.get("name") if name is None else name
    with naming("to_gammapy"):
        hdus = fits.HDUList(_opened(gadf_map_contents(dataset, str(name or ""))))
    # the base class reads masks and PSFs in reconstructed energy as such also for on/off data
    base = api.datasets.MapDataset.from_hdulist(hdus, name=name)
    if isinstance(dataset, RegionMapDataset):
        livetime = float(np.asarray(dataset.livetime))
        if base.exposure is not None and np.isfinite(livetime):
            base.exposure.meta["livetime"] = livetime * u.s
        return base
    if isinstance(dataset, MapDataset):
        return base
    off = {key: api.maps.Map.from_hdulist(hdus, hdu=key.upper()) for key in OFF_MAPS if key.upper() in hdus}
    return api.datasets.MapDatasetOnOff.from_map_dataset(base, **off, name=name)
