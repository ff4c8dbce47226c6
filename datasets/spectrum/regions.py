"""The region of the sky that a spectrum is of, as it is kept in the spectrum's descriptions."""

from typing import Any

from ..errors import InputError
from ..io.fits import FitsTable
from ..io.region_table import pack_region, region_hdu
from ..meta import Meta
from ..sky.geom import SkyGeom

WHAT = "to_spectrum_dataset"

CARRIED = ("energy_edges", "energy_true_edges", "livetime", "gti", "nodes", "energy_interp", "stat_type")
"""Fields that a spectrum made of another dataset shares with it."""


def with_region(meta: Meta, geom: SkyGeom, region: Any) -> Meta:
    """Descriptions with the region as files keep it; a region that FITS cannot express is left out."""
    try:
        return meta.updated(region=pack_region(FitsTable(region_hdu(region, geom, "REGION"), "region")))
    except InputError:
        return meta
