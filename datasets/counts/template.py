"""Counts of templates in the bins of a dataset."""

import jax.numpy as jnp
from jaxtyping import Float

from ...kernels.quadrature import bin_centers
from ..arrays import Array
from ..errors import InputError
from ..models.sky_model import TemplateNPredModel
from ..statistics.base import Bins


def template_counts(
    model: TemplateNPredModel, energy_edges: Float[Array, " n_reco+1"], shape: tuple[int, ...], interp: str
) -> Bins:
    """Counts of a template times its norm at the centres of the energy bins, in their scale ``interp``.

    ``shape`` is that of the dataset.
    """
    if jnp.shape(model.counts) != shape:
        raise InputError(
            f"Model {model.name!r}: its counts have shape {jnp.shape(model.counts)}, expected {shape} as "
            "the dataset has. Make the template on the same axes and pixels."
        )
    norm = model.evaluate(bin_centers(energy_edges, interp))
    return jnp.asarray(model.counts) * norm.reshape(-1, *(1 for _ in shape[1:]))
