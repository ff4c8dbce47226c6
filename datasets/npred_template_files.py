"""Maps of predicted counts in FITS files, to which `TemplateNPredModel`s refer."""

from typing import Any

import numpy as np

from .errors import InputError
from .fits_table import FitsFile, naming
from .gadf_map import read_quantity

BANDS = "_BANDS"


def read_template_counts(filename: Any) -> np.ndarray:
    """Counts from a map that gammapy wrote: (n_reco, ny, nx), or (n_reco,) if the map is of one region.

    The first map of the file counts. It needs one further axis, energy, by edges. Raises InputError for other files.
    """
    file = FitsFile(filename)
    name = next((hdu.name.removesuffix(BANDS) for hdu in file.hdus if hdu.name.endswith(BANDS)), None)
    if name is None:
        raise InputError(
            f"{file}: there is no map with energies, only {file.names()}; expected an image and its BANDS table, as "
            "gammapy writes maps."
        )
    stored = read_quantity(file, name).require_axes("energy")
    if stored.axes[0].node_type != "edges":
        raise InputError(
            f"{stored.where}: the energies are given by centres, expected edges: counts are integrals over bins. Write "
            "the map again with an axis of edges."
        )
    with naming(stored.where):
        values = stored.to_value("")
    return values if stored.geom is not None else values[:, 0, 0]
