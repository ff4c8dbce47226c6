"""Region datasets with a point spread function, read from gammapy's GADF form: one FITS file, a table per quantity."""

from typing import Any

import numpy as np

from ..errors import InputError
from ..io.fits import FitsFile
from ..io.gadf_read import KNOWN_BACKGROUND, map_fields
from ..io.paths import Filename
from ..meta import Meta
from .geom import RegionGeom

PER_BIN = ("counts", "background", "weights", "exposure", "mask_safe", "mask_fit")


def region_fields(filename: Filename | FitsFile) -> dict[str, Any]:
    """Constructor arguments of a dataset of one region, from a file as gammapy and `gadf_map_contents` write it.

    Counts, background, exposure and reduced responses, as in `MapDataset.read`. The region is that of the counts.

    The livetime is NaN unless this package wrote the file: the form has no place for it, so it is an extra keyword.
    Raises InputError where the file names no region, or one without an area.
    """
    file = filename if isinstance(filename, FitsFile) else FitsFile(filename)
    if "ACCEPTANCE" in file:
        raise InputError(
            "the file is an on/off dataset of one region with a point spread function, for which there is no type. "
            "Read it by SpectrumDatasetOnOff.read, which leaves the point spread function out, if the exposure is "
            "corrected for what the region does not contain."
        )
    fields = map_fields(file, KNOWN_BACKGROUND, of_region=True)
    del fields["geom"]
    for name in PER_BIN:
        if fields[name] is not None:
            fields[name] = np.asarray(fields[name])[..., 0, 0]
    table = next((f"{name}_REGION" for name in KNOWN_BACKGROUND if f"{name}_REGION" in file), None)
    if table is None:
        raise InputError(
            f"no HDU names the region, there are {file.names()}, expected COUNTS_REGION. Without a region nothing "
            "is known of what it contains: read the file by SpectrumDataset.read."
        )
    if fields["livetime"] is None and "EXPOSURE" in file and "LIVETIME" in file.table("EXPOSURE").header:
        fields["livetime"] = file.table("EXPOSURE").number("LIVETIME")
    # written anew with the dataset
    dropped = ("psf_region", "edisp_region")
    fields["meta"] = Meta({key: fields["meta"][key] for key in fields["meta"] if key not in dropped})
    region = RegionGeom.from_table(file.table(table), fields["psf"])
    return fields | {"region": region}
