"""Predicted counts of the sources of a region dataset."""

from collections.abc import Sequence
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
from jaxtyping import Float

from ...kernels.quadrature import log_centers
from ..arrays import Array, for_kernels
from ..compile import QUICKEST, Program
from ..counts.flux import source_flux
from ..counts.instrument import NOMINAL, Instrument
from ..errors import InputError
from ..gti import GTI
from ..models.flatten import ModelDef, canonical
from ..models.sky_model import SkyModel
from ..statistics.base import Bins
from .containment import RegionResponse, SharePlan, plan_share, prepare_share

quick_program = partial(Program, options=QUICKEST)
"""Products of small arrays are as fast when they are compiled in half of the time."""


def region_counts(
    response: RegionResponse,
    sources: Sequence[SkyModel],
    nodes: int,
    gti: GTI | None,
    instrument: Instrument = NOMINAL,
) -> Bins:
    """Counts (n_reco,) of sky models: flux times exposure and energy dispersion, times their shares in the region."""
    total = jnp.zeros(response.energy_edges.shape[0] - 1, jnp.asarray(response.energy_true_edges).dtype)
    # sources that differ in numbers only share a program, and are done one after the other
    alike: dict[tuple[ModelDef, SharePlan], list[list[Array]]] = {}
    for model in sources:
        definition, numbers = canonical(model)
        alike.setdefault((definition, plan_share(response, model)), []).append(numbers)
    for (definition, plan), members in alike.items():
        total = total + _counts((definition, plan, nodes), members, response, gti, instrument)
    return total


def contained_share(
    response: RegionResponse, model: SkyModel, instrument: Instrument = NOMINAL
) -> Float[jax.Array, " n_energies"]:
    """Share of a source that is reconstructed inside the region, for each energy of the PSF."""
    if not isinstance(model, SkyModel):
        raise InputError(f"contained_share: found {type(model).__name__}, expected a SkyModel.")
    plan = plan_share(response, model)
    if plan.psf == "reco" and model.spatial is not None and model.spatial.is_energy_dependent:
        raise InputError(
            f"contained_share: the shape of model {model.name!r} depends on true energy and the PSF on reconstructed "
            "energy, so that no share has one energy only. Use npred_signal."
        )
    definition, numbers = canonical(model)
    share = _share((definition, plan), numbers, response, instrument)
    edges = response.energy_edges if plan.psf == "reco" else response.energy_true_edges
    return jnp.broadcast_to(share, (edges.shape[0] - 1,))


@quick_program
def _counts(
    static: tuple[ModelDef, SharePlan, int],
    members: list[list[Array]],
    response: RegionResponse,
    gti: GTI | None,
    instrument: Instrument,
) -> Bins:
    definition, plan, nodes = static
    edges = jnp.asarray(response.energy_true_edges)

    def counts(numbers: list[Array]) -> Bins:
        model = cast(SkyModel, definition.build(numbers))
        seen = prepare_share(response, model, plan, instrument)
        flux = source_flux(model, edges, nodes, gti, instrument)
        return for_kernels(flux) @ seen.matrix(model.spatial, log_centers(edges))

    if len(members) == 1:
        return counts(members[0])
    stacked = [jnp.stack(column) for column in zip(*members, strict=True)]
    return jax.lax.map(counts, stacked).sum(axis=0)


@quick_program
def _share(
    static: tuple[ModelDef, SharePlan], numbers: list[Array], response: RegionResponse, instrument: Instrument
) -> jax.Array:
    definition, plan = static
    model = cast(SkyModel, definition.build(numbers))
    return prepare_share(response, model, plan, instrument).share(
        model.spatial, log_centers(response.energy_true_edges)
    )
