"""Map datasets written in gammapy's GADF form: one FITS file, an image HDU and a BANDS table per quantity."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from astropy.io import fits

from ..errors import InputError
from ..irf.psf import PSFKernel
from ..meta import Meta
from ..sky.axis import MapAxis
from .fits import FitsTable, Hdu, set_cards, to_bytes
from .gadf_irf import edisp_hdus, psf_hdus
from .gadf_quantity import map_hdus
from .gti_table import gti_hdu
from .meta_table import meta_table_hdus
from .region_table import pack_region
from .stat_type import stat_type_cards


def gadf_map_contents(dataset: Any, name: str) -> bytes:
    """Content of the file of a map dataset, or a `RegionMapDataset`; gammapy calls the dataset ``name``.

    HDUs, their order and keywords are gammapy's. Numbers take 4 bytes where these hold them exactly, else 8. A dataset
    without counts, background and masks gets a safe mask that is True everywhere: something has to show its bins.
    """
    if all(getattr(dataset, name) is None for name in ("counts", "background", "mask_safe", "mask_fit")):
        dataset = dataset.replace(mask_safe=np.ones(dataset.data_shape, bool))
    primary = fits.PrimaryHDU()
    set_cards(primary.header, {**dataset.meta.get("primary", {}), "NAME": name, **stat_type_cards(dataset)})
    hdus: list[Hdu] = [primary]
    reco = MapAxis(np.asarray(dataset.energy_edges), dataset.energy_interp, "energy", "TeV")
    true = MapAxis(np.asarray(dataset.energy_true_edges), "log", "energy_true", "TeV")
    geom, region = dataset.sky_geom, None
    if hasattr(dataset, "region"):
        region = pack_region(FitsTable(dataset.region.to_table(), "region"))
        own = {key: dataset.meta[key] for key in dataset.meta}
        dataset = dataset.replace(meta=Meta({"psf_region": region, "edisp_region": region} | own))

    def add(key: str, axis: MapAxis, unit: str = "", meta: Mapping[str, object] | None = None) -> None:
        values = getattr(dataset, key.lower())
        if values is not None:
            values = values if region is None else np.asarray(values)[:, None, None]
            hdus.extend(map_hdus(key, values, unit, (axis,), geom, meta, region))

    add("COUNTS", reco)
    add("EXPOSURE", true, "cm2 s", _exposure_meta(dataset))
    # the form of regions has no place for the livetime: a keyword that gammapy does not know
    if region is not None and dataset.exposure is not None and np.isfinite(np.asarray(dataset.livetime)):
        livetime = float(np.asarray(dataset.livetime))
        next(hdu for hdu in hdus if hdu.name == "EXPOSURE").header["LIVETIME"] = (livetime, "[s]")
    if "background" in dataset.background_fields:
        add("BACKGROUND", reco)
    if dataset.edisp is not None:
        hdus += edisp_hdus(dataset.edisp, true, reco, dataset.meta.get("edisp_region"))
    if dataset.psf is not None:
        if isinstance(dataset.psf, PSFKernel):
            raise InputError(
                "the dataset has a PSFKernel, for which the GADF form has no place. Give it a PSFMap, or psf=None."
            )
        energies = true if dataset.psf.energy_axis == "energy_true" else reco
        hdus += psf_hdus(dataset.psf, energies, dataset.meta.get("psf_region"))
    add("MASK_SAFE", reco)
    add("MASK_FIT", reco)
    if dataset.gti is not None:
        hdus.append(gti_hdu(dataset.gti))
    hdus += meta_table_hdus(dataset.meta)
    for field in dataset.background_fields:
        if field != "background":
            add(field.upper(), reco)
    return to_bytes(hdus)


def _exposure_meta(dataset: Any) -> dict[str, object]:
    livetime = float(np.asarray(dataset.livetime))
    own: dict[str, object] = {"livetime": f"{livetime!r} s"} if np.isfinite(livetime) else {}
    return own | dict(dataset.meta.get("exposure", {}))
