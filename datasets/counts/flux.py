"""The flux of a source in the true-energy bins of a dataset: the one door through which it enters a prediction."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from ..arrays import Array
from ..gti import GTI
from ..models.sky_model import SkyModel


def source_flux(
    model: SkyModel, energy_true_edges: Float[Array, " n_true+1"], nodes: int, gti: GTI | None
) -> Float[jax.Array, " n_true"]:
    """Flux in each true-energy bin in s-1 cm-2, the mean over the good time intervals.

    Spectra, maps, regions and simulated events take the flux of every source from here, in fits and outside of them:
    what acts on the flux of all sources of a dataset belongs here. ``nodes``: quadrature nodes per bin.
    """
    return jnp.asarray(model.mean_flux(jnp.asarray(energy_true_edges), nodes, gti))
