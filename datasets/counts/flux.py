"""The flux of a source in the true-energy bins of a dataset: the one door through which it enters a prediction."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from ..arrays import Array
from ..gti import GTI
from ..models.sky_model import SkyModel
from .instrument import NOMINAL, Instrument


def source_flux(
    model: SkyModel,
    energy_true_edges: Float[Array, " n_true+1"],
    nodes: int,
    gti: GTI | None,
    instrument: Instrument = NOMINAL,
) -> Float[jax.Array, " n_true"]:
    """Flux in each true-energy bin in s-1 cm-2, the mean over the good time intervals.

    Spectra, maps, regions and simulated events take the flux of every source from here, in fits and outside of them:
    what acts on the flux of all sources of a dataset belongs here. So it is that of the energies which the
    ``instrument`` sees as those of the bin, times the factor of its exposure. ``nodes``: quadrature nodes per bin.
    """
    edges = jnp.asarray(energy_true_edges) if instrument.seen_as is None else instrument.seen_as
    flux = jnp.asarray(model.mean_flux(edges, nodes, gti))
    # what no exposure acts on is no flux, and knows no detector
    return flux if instrument.exposure is None or not model.flags.exposure else flux * instrument.exposure
