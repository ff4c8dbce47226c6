"""What a map does to a source: everything but its counts and background."""

from typing import Literal

import equinox as eqx
from jaxtyping import Float

from ..arrays import Array
from ..irf.edisp import EDisp
from ..irf.psf import PSFKernel, PSFMap
from ..sky.geom import SkyGeom


class Response(eqx.Module):
    """Pixels, axes, exposure and responses of a map. ``source_grid`` says where sources are put, see `MapDataset`."""

    geom: SkyGeom
    energy_edges: Float[Array, " n_reco+1"]
    energy_true_edges: Float[Array, " n_true+1"]
    exposure: Float[Array, "n_true ny nx"] | None
    psf: PSFMap | PSFKernel | None
    edisp: EDisp | None
    source_grid: Literal["exact", "pixel"] = eqx.field(static=True, default="exact")
