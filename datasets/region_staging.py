"""Region datasets made ready for a fit: everything that no free parameter changes is computed here, once.

A source of frozen shape comes down to a response matrix, so that it costs in a fit what it costs on a spectrum. For a
free shape the containment of the region is made here, and its share of the source at each step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..kernels.quadrature import log_centers
from .convert import is_concrete
from .gti import GTI
from .npred import background, flux, signal, template
from .region_map import RegionMapDataset
from .region_npred import check_source, quick_program
from .region_response import RegionResponse, SharePlan, plan_share, stage_share
from .sky_model import FoVBackgroundModel, SkyModel, TemplateNPredModel
from .staging import stack_rows
from .statistic import CashStatistic
from .structure import Structure, canonical


@dataclass(frozen=True)
class RegionPart:
    """How some sources enter: "matrix" (their response matrices are made already) or "source".

    ``models`` are their places among the models; sources of one part differ in numbers only. ``treedef`` is that of the
    arrays of one source, of which there are ``n_leaves``. ``scheme`` is that of their shapes, see `SharePlan`.
    """

    kind: str
    models: tuple[int, ...]
    treedef: Any
    n_leaves: int
    scheme: str


@dataclass(frozen=True)
class RegionProgram:
    """Static side of a staged region; calling it with arrays gives the `StagedRegion`."""

    n_reco: int
    nodes: int
    parts: tuple[RegionPart, ...]
    templates: tuple[int, ...]

    def __call__(self, **arrays: Any) -> "StagedRegion":
        return StagedRegion(self, arrays)


class StagedRegion:
    """A region dataset inside a fit."""

    deviance_bins = CashStatistic.deviance_bins
    scoring_bins = CashStatistic.scoring_bins
    offset_bins = CashStatistic.offset_bins
    npred_background = CashStatistic.npred_background
    pixels = ()

    def __init__(self, program: RegionProgram, arrays: dict[str, Any]):
        self.program, self.arrays = program, arrays
        self.counts, self.background, self.mask = arrays["counts"], arrays["background"], arrays["mask_safe"]
        self.energy_edges, self.energy_true_edges = arrays["energy_edges"], arrays["energy_true_edges"]
        self.nodes, self.data_shape = program.nodes, (program.n_reco,)
        self.gti = GTI.from_arrays(arrays)

    def predict(self, models: Sequence[Any]) -> jax.Array:
        """Counts per bin: signal plus background."""
        return self.signal(models) + background(self, models, fitted_only=True)

    def spectra(self, models: Sequence[Any]) -> tuple[jax.Array, jax.Array]:
        """Signal and background, each (n_reco,)."""
        return self.signal(models), background(self, models, fitted_only=True)

    def signal(self, models: Sequence[Any]) -> jax.Array:
        """Counts of the sources, (n_reco,)."""
        energy = log_centers(self.energy_true_edges)
        total = jnp.asarray(self.arrays["constant"])
        for place in self.program.templates:
            total = total + template(self, models[place])
        for number, part in enumerate(self.program.parts):

            def counts(source, part=part):
                model, leaves = source
                staged = jax.tree_util.tree_unflatten(part.treedef, leaves)
                matrix = staged if part.kind == "matrix" else staged.matrix(model.spatial, energy)
                return flux(self, model) @ matrix

            leaves = [jnp.asarray(self.arrays[f"part_{number}_{k}"]) for k in range(part.n_leaves)]
            chosen = [models[i] for i in part.models]
            if len(chosen) == 1:
                total = total + counts((chosen[0], [leaf[0] for leaf in leaves]))
            else:
                stacked = jax.tree.map(lambda *x: jnp.stack(x), *chosen)
                total = total + jax.lax.map(counts, (stacked, leaves)).sum(axis=0)
        return total


def stage_region(
    dataset: RegionMapDataset, models: Sequence[Any], frozen: Sequence[tuple[bool, bool]]
) -> tuple[RegionProgram, dict[str, Any]]:
    """A region dataset with the models that act on it, at their present parameters.

    ``frozen``: for each model, whether all of it is frozen, and whether its shape is.
    """
    response = RegionResponse.of(dataset)
    templates: list[int] = []
    # sources that differ in numbers only, by what they have in common
    alike: dict[tuple[Any, ...], list[tuple[int, list[Any]]]] = {}
    unchanging: list[Any] = []
    for i, (model, (all_frozen, shape_frozen)) in enumerate(zip(models, frozen, strict=True)):
        if isinstance(model, FoVBackgroundModel):
            continue
        if all_frozen:
            unchanging.append(model)
            continue
        if isinstance(model, TemplateNPredModel):
            templates.append(i)
            continue
        check_source(dataset, model)
        made = shape_frozen or model.spatial is None
        structure, numbers = canonical(model)
        plan = plan_share(dataset, model)
        staged = (_matrix if made else _share)((structure, plan), numbers, response)
        leaves, treedef = jax.tree_util.tree_flatten(staged)
        alike.setdefault(("matrix" if made else "source", plan.scheme, structure, treedef), []).append((i, leaves))
    constant: Any = signal(dataset, unchanging) if unchanging else np.zeros(dataset.n_reco)
    arrays: dict[str, Any] = {
        "counts": dataset.counts,
        "background": np.zeros(dataset.n_reco) if dataset.background is None else dataset.background,
        "mask_safe": np.ones(dataset.n_reco, bool) if dataset.mask is None else dataset.mask,
        "energy_edges": dataset.energy_edges,
        "energy_true_edges": dataset.energy_true_edges,
        "constant": np.asarray(constant) if is_concrete(constant) else constant,
    }
    parts: list[RegionPart] = []
    for (kind, scheme, _, treedef), members in alike.items():
        number, n_leaves = len(parts), len(members[0][1])
        parts.append(RegionPart(kind, tuple(i for i, _ in members), treedef, n_leaves, scheme))
        for k in range(n_leaves):
            arrays[f"part_{number}_{k}"] = stack_rows([leaves[k] for _, leaves in members])
    if any(isinstance(m, SkyModel) and m.temporal is not None for m in models):
        assert dataset.gti is not None
        arrays |= dataset.gti.to_arrays()
    return RegionProgram(dataset.n_reco, dataset.nodes, tuple(parts), tuple(templates)), arrays


@quick_program
def _share(static: tuple[Structure, SharePlan], numbers: list[Any], response: RegionResponse) -> Any:
    """A source of free shape: its region's containment."""
    structure, plan = static
    return stage_share(response, structure.build(numbers), plan)  # type: ignore[arg-type]


@quick_program
def _matrix(static: tuple[Structure, SharePlan], numbers: list[Any], response: RegionResponse) -> Any:
    """A source of frozen shape: its response matrix."""
    structure, plan = static
    model: Any = structure.build(numbers)
    return stage_share(response, model, plan).matrix(model.spatial, log_centers(response.energy_true_edges))
