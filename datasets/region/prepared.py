"""Region datasets made ready for a fit: everything that no free parameter changes is computed here, once.

A source of frozen shape comes down to a response matrix, so that it costs in a fit what it costs on a spectrum. For a
free shape the containment of the region is made here, and its share of the source at each step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...kernels.quadrature import log_centers
from ..arrays import Array, PickledTrees, is_concrete, stack_rows
from ..counts.base import CountsBase
from ..counts.flux import source_flux
from ..counts.instrument import instrument_of, instruments_of, livetime_factor
from ..counts.known import background_model, background_norm, fitted_energies
from ..counts.template import template_counts
from ..dataset import fitted_bins
from ..gti import GTI
from ..models.flatten import ModelDef, canonical
from ..models.instrument import InstrumentModel
from ..models.sky_model import FoVBackgroundModel, SkyModel, TemplateNPredModel
from ..prepared import Arrays, Frozen, Models, PreparedCounts, Spec
from ..statistics.base import Bins, Statistic
from .containment import RegionResponse, RegionShare, ResponseMatrix, SharePlan, plan_share, prepare_share
from .npred import quick_program


@dataclass(frozen=True)
class RegionPart(PickledTrees):
    """How some sources enter: "matrix" (their response matrices are made already), "source", or "response" (nothing is
    made, as an instrument model changes the responses).

    ``models`` are their places among the models; sources of one part differ in numbers only. ``treedef`` is that of the
    arrays of one source, of which there are ``n_leaves``.
    """

    kind: str
    models: tuple[int, ...]
    treedef: jax.tree_util.PyTreeDef
    n_leaves: int
    plan: SharePlan


@dataclass(frozen=True)
class RegionSpec(Spec):
    """Static side of a prepared region; calling it with arrays gives the `PreparedRegion`."""

    statistic: Statistic
    n_reco: int
    nodes: int
    parts: tuple[RegionPart, ...]
    templates: tuple[int, ...]
    energy_interp: str

    def __call__(self, **arrays: Array) -> "PreparedRegion":
        return PreparedRegion(self, arrays)

    @property
    def of_counts(self) -> tuple[str, ...]:
        return ("counts",)

    @property
    def quick_to_compile(self) -> bool:
        return all(part.kind == "matrix" or part.plan.scheme == "point" for part in self.parts)


class PreparedRegion(PreparedCounts):
    """A region dataset inside a fit."""

    def __init__(self, spec: RegionSpec, arrays: Arrays):
        self.spec, self.arrays = spec, arrays
        self.statistic, self.data = spec.statistic, arrays
        self.mask = arrays["mask_safe"]
        self.energy_edges, self.energy_true_edges = arrays["energy_edges"], arrays["energy_true_edges"]
        self.gti = GTI.from_arrays(arrays)

    def predict(self, models: Models) -> Bins:
        """Counts per bin: signal plus background."""
        return self.signal(models) + self.background(models)

    def spectra(self, models: Models) -> tuple[Bins, Bins]:
        return self.signal(models), self.background(models)

    def background(self, models: Models) -> Bins:
        """Background times its norm, (n_reco,)."""
        known, model = jnp.asarray(self.arrays["background"]) * livetime_factor(models), background_model(models)
        if model is None:
            return known
        return known * background_norm(model, self.energy_edges, self.spec.energy_interp, fitted_energies(self.mask))

    def _template(self, model: eqx.Module, shape: tuple[int, ...]) -> Bins:
        known = cast(TemplateNPredModel, model)
        return template_counts(known, self.energy_edges, shape, self.spec.energy_interp)

    def signal(self, models: Models) -> Bins:
        """Counts of the sources, (n_reco,)."""
        edges = self.energy_true_edges, self.energy_edges
        energy, instrument = log_centers(edges[0]), instrument_of(models, *edges)
        total = jnp.asarray(self.arrays["constant"])
        for place in self.spec.templates:
            total = total + self._template(models[place], total.shape)
        for number, part in enumerate(self.spec.parts):

            def counts(source: tuple[SkyModel, list[jax.Array]], part: RegionPart = part) -> Bins:
                model, leaves = source
                staged = jax.tree_util.tree_unflatten(part.treedef, leaves)
                if part.kind == "response":
                    staged = prepare_share(staged, model, part.plan, instrument)
                matrix = staged if part.kind == "matrix" else staged.matrix(model.spatial, energy)
                if part.kind != "response" and model.flags.edisp:
                    matrix = instrument.matrix(matrix, *edges)
                return source_flux(model, edges[0], self.spec.nodes, self.gti, instrument) @ matrix

            leaves = [jnp.asarray(self.arrays[f"part_{number}_{k}"]) for k in range(part.n_leaves)]
            chosen = [cast(SkyModel, models[i]) for i in part.models]
            if len(chosen) == 1:
                total = total + counts((chosen[0], [leaf[0] for leaf in leaves]))
            else:
                stacked = jax.tree.map(lambda *x: jnp.stack(x), *chosen)
                total = total + jax.lax.map(counts, (stacked, leaves)).sum(axis=0)
        return total


Kind = tuple[str, SharePlan, ModelDef, jax.tree_util.PyTreeDef]
"""What sources of one part have in common: the kind of the part, plan, definition, and the tree of their arrays."""


def prepare_region(
    dataset: CountsBase, response: RegionResponse, models: Models, frozen: Sequence[Frozen]
) -> tuple[RegionSpec, Arrays]:
    """A region dataset with the models that act on it, at their present parameters."""
    templates: list[int] = []
    instruments = instruments_of(models, frozen)
    instrument = dataset.instrument(instruments.models)
    # sources that differ in numbers only, by what they have in common
    alike: dict[Kind, list[tuple[int, list[Array]]]] = {}
    unchanging: list[eqx.Module] = []
    for i, (model, is_frozen) in enumerate(zip(models, frozen, strict=True)):
        if isinstance(model, FoVBackgroundModel | InstrumentModel):
            continue
        if is_frozen.model and not (instruments.free and isinstance(model, SkyModel)):
            unchanging.append(model)
            continue
        if isinstance(model, TemplateNPredModel):
            templates.append(i)
            continue
        source = cast(SkyModel, model)
        made = is_frozen.shape or source.spatial is None
        definition, numbers = canonical(source)
        plan = plan_share(response, source)
        kind = "matrix" if made else "source"
        if instruments.psf_width or (instrument.dispersion is not None and plan.psf == "reco"):
            kind = "response"
        staged: RegionResponse | RegionShare | ResponseMatrix = response
        if kind != "response":
            staged = (_matrix if made else _share)((definition, plan), numbers, response)
        leaves, treedef = jax.tree_util.tree_flatten(staged)
        alike.setdefault((kind, plan, definition, treedef), []).append((i, leaves))
    unchanging += instruments.models if unchanging else []
    constant: Array = dataset.signal(unchanging) if unchanging else np.zeros(dataset.n_reco)
    arrays: Arrays = {
        "counts": cast(Array, dataset.counts),
        "background": np.zeros(dataset.n_reco) if dataset.background is None else dataset.background,
        "mask_safe": fitted_bins(dataset),
        "energy_edges": dataset.energy_edges,
        "energy_true_edges": dataset.energy_true_edges,
        "constant": np.asarray(constant) if is_concrete(constant) else constant,
    }
    weights = getattr(dataset, "weights", None)
    if weights is not None:
        arrays["weights"] = weights
    parts: list[RegionPart] = []
    for (kind, plan, _, treedef), members in alike.items():
        number, n_leaves = len(parts), len(members[0][1])
        parts.append(RegionPart(kind, tuple(i for i, _ in members), treedef, n_leaves, plan))
        for k in range(n_leaves):
            arrays[f"part_{number}_{k}"] = stack_rows([leaves[k] for _, leaves in members])
    if any(isinstance(m, SkyModel) and m.temporal is not None for m in models):
        assert dataset.gti is not None
        arrays |= dataset.gti.to_arrays()
    of_all = dataset.statistic, dataset.n_reco, dataset.nodes
    return RegionSpec(*of_all, tuple(parts), tuple(templates), dataset.energy_interp), arrays


@quick_program
def _share(static: tuple[ModelDef, SharePlan], numbers: list[Array], response: RegionResponse) -> RegionShare:
    """A source of free shape: its region's containment."""
    definition, plan = static
    return prepare_share(response, cast(SkyModel, definition.build(numbers)), plan)


@quick_program
def _matrix(static: tuple[ModelDef, SharePlan], numbers: list[Array], response: RegionResponse) -> ResponseMatrix:
    """A source of frozen shape: its response matrix."""
    definition, plan = static
    model = cast(SkyModel, definition.build(numbers))
    return prepare_share(response, model, plan).matrix(model.spatial, log_centers(response.energy_true_edges))
