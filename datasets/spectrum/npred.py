"""Predicted counts of spectra: flux times exposure, folded with the energy dispersion."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from ...kernels.edisp import diagonal_response, fold
from ..arrays import Array
from ..counts.flux import source_flux
from ..counts.instrument import NOMINAL, Instrument
from ..gti import GTI
from ..models.sky_model import SkyModel
from ..statistics.base import Bins


class SpectrumResponse(NamedTuple):
    """What a spectrum does to a source. ``matrix`` is None for a perfect detector, ``exposure`` where no source needs
    one. ``bins``: reconstructed bins that are no padding, if not all."""

    energy_edges: Float[Array, " n_reco+1"]
    energy_true_edges: Float[Array, " n_true+1"]
    exposure: Float[Array, " n_true"] | None
    matrix: Float[Array, "n_true n_reco"] | None
    nodes: int
    gti: GTI | None
    bins: Array | None = None


def spectrum_counts(response: SpectrumResponse, sources: Sequence[SkyModel], instrument: Instrument = NOMINAL) -> Bins:
    """Counts of sky models, (n_reco,). Models that share the response are folded together."""
    dispersed, direct = None, None
    for model in sources:
        model.check_spectrum()
        counts = source_flux(model, response.energy_true_edges, response.nodes, response.gti, instrument)
        if model.flags.exposure:
            counts = counts * jnp.asarray(response.exposure)
        if model.flags.edisp:
            dispersed = counts if dispersed is None else dispersed + counts
        else:
            direct = counts if direct is None else direct + counts
    npred = jnp.zeros(response.energy_edges.shape[0] - 1, jnp.asarray(response.energy_true_edges).dtype)
    if dispersed is not None:
        edges = response.energy_true_edges, response.energy_edges
        npred = instrument.folded(dispersed, _matrix(response, response.matrix), *edges, response.bins)
    if direct is not None:
        npred = npred + fold(_matrix(response, None), direct)
    return npred


def _matrix(response: SpectrumResponse, given: Array | None) -> jax.Array:
    if given is not None:
        return jnp.asarray(given)
    return diagonal_response(jnp.asarray(response.energy_true_edges), jnp.asarray(response.energy_edges))
