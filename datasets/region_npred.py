"""Predicted counts of the sources of a region dataset."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from ..kernels.quadrature import log_centers
from .errors import InputError
from .program import QUICKEST, Program
from .region_response import RegionResponse, SharePlan, plan_share, stage_share
from .sky_model import SkyModel
from .structure import Structure, canonical

quick_program = partial(Program, options=QUICKEST)
"""Products of small arrays are as fast when they are compiled in half of the time."""


def signal_of_region(dataset: Any, sources: list[SkyModel]) -> jax.Array:
    """Counts (n_reco,) of sources: flux times exposure and energy dispersion, times their shares in the region."""
    response = RegionResponse.of(dataset)
    total = jnp.zeros(dataset.n_reco, jnp.asarray(dataset.energy_true_edges).dtype)
    # sources that differ in numbers only share a program, and are done one after the other
    alike: dict[tuple[Structure, SharePlan], list[list[Any]]] = {}
    for model in sources:
        check_source(dataset, model)
        structure, numbers = canonical(model)
        alike.setdefault((structure, plan_share(dataset, model)), []).append(numbers)
    for (structure, plan), members in alike.items():
        total = total + _counts((structure, plan, dataset.nodes), members, response, dataset.gti)
    return total


def contained_share(dataset: Any, model: Any) -> jax.Array:
    """Share of a source that is reconstructed inside the region, for each energy of the PSF."""
    if not isinstance(model, SkyModel):
        raise InputError(f"contained_share: found {type(model).__name__}, expected a SkyModel.")
    plan = plan_share(dataset, model)
    n_true, n_reco = dataset.n_true, dataset.n_reco
    if plan.psf == "reco" and model.spatial is not None and model.spatial.is_energy_dependent:
        raise InputError(
            f"contained_share: the shape of model {model.name!r} depends on true energy and the PSF on reconstructed "
            "energy, so that no share has one energy only. Use npred_signal."
        )
    structure, numbers = canonical(model)
    share = _share((structure, plan), numbers, RegionResponse.of(dataset))
    return jnp.broadcast_to(share, (n_reco if plan.psf == "reco" else n_true,))


def check_source(dataset: Any, model: SkyModel) -> None:
    """InputError for a source that predicts nothing on the dataset."""
    if model.temporal is not None:
        model.check_times(dataset.gti, type(dataset).__name__)
    if model.flags[0] and dataset.exposure is None:
        raise InputError(
            f"{type(dataset).__name__}: the exposure is missing, so model {model.name!r} predicts nothing. "
            "Give exposure=..., or switch it off with apply_irf={'exposure': False}."
        )


@quick_program
def _counts(
    static: tuple[Structure, SharePlan, int], members: list[list[Any]], response: RegionResponse, gti: Any
) -> jax.Array:
    structure, plan, nodes = static
    edges = jnp.asarray(response.energy_true_edges)

    def counts(numbers):
        model: Any = structure.build(numbers)
        seen = stage_share(response, model, plan)
        return model.mean_flux(edges, nodes, gti) @ seen.matrix(model.spatial, log_centers(edges))

    if len(members) == 1:
        return counts(members[0])
    stacked = [jnp.stack(column) for column in zip(*members, strict=True)]
    return jax.lax.map(counts, stacked).sum(axis=0)


@quick_program
def _share(static: tuple[Structure, SharePlan], numbers: list[Any], response: RegionResponse) -> jax.Array:
    structure, plan = static
    model: Any = structure.build(numbers)
    return stage_share(response, model, plan).share(model.spatial, log_centers(response.energy_true_edges))
