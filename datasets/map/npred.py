"""Predicted counts of maps: images of sources, times exposure, folded with the energy dispersion."""

from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp

from ...kernels.quadrature import log_centers
from ..arrays import Array
from ..compile import Program
from ..counts.flux import source_flux
from ..counts.instrument import NOMINAL, Instrument
from ..gti import GTI
from ..models.flatten import ModelDef, canonical
from ..models.sky_model import SkyModel
from ..statistics.base import Bins
from .plan import Plan, plan
from .response import Response
from .source_image import add_window, prepare_image


def map_counts(
    response: Response,
    sources: Sequence[SkyModel],
    nodes: int,
    gti: GTI | None,
    what: str,
    instrument: Instrument = NOMINAL,
) -> Bins:
    """Counts of sky models, (n_reco, ny, nx); ``what`` begins messages."""
    shape = (response.energy_edges.shape[0] - 1, *response.geom.shape)
    total = jnp.zeros(shape, jnp.asarray(response.energy_true_edges).dtype)
    # sources that differ in numbers only share a program, and are done one after the other
    alike: dict[tuple[ModelDef, Plan], list[list[Array]]] = {}
    for model in sources:
        if model.temporal is not None:
            model.check_times(gti, what)
        definition, numbers = canonical(model)
        alike.setdefault((definition, plan(response, model)), []).append(numbers)
    for (definition, sizes), members in alike.items():
        total = _add_sources((definition, sizes, nodes), total, members, response, gti, instrument)
    return total


@Program
def _add_sources(
    static: tuple[ModelDef, Plan, int],
    total: Bins,
    members: list[list[Array]],
    response: Response,
    gti: GTI | None,
    instrument: Instrument,
) -> Bins:
    """``total`` and the counts of sources of one definition with these numbers."""
    definition, sizes, nodes = static
    ny, nx = sizes.shape
    edges = jnp.asarray(response.energy_true_edges)

    def add(padded: Bins, numbers: Sequence[Array]) -> tuple[Bins, None]:
        model = cast(SkyModel, definition.build(list(numbers)))
        assert model.spatial is not None
        of_bins = source_flux(model, edges, nodes, gti, instrument)
        image = prepare_image(response, model, sizes, True).seen_by(instrument, model, edges, response.energy_edges)
        counts = image.counts(model.spatial, of_bins, log_centers(edges))
        return add_window(padded, counts, image.x + nx, image.y + ny), None

    padded = jnp.pad(total, ((0, 0), (ny, ny), (nx, nx)))
    if len(members) == 1:
        padded, _ = add(padded, members[0])
    else:
        padded, _ = jax.lax.scan(add, padded, [jnp.stack(column) for column in zip(*members, strict=True)])
    return padded[:, ny:-ny, nx:-nx]
