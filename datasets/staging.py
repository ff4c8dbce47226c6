"""Map datasets made ready for a fit: everything that no free parameter changes is computed here, once.

A staged map has the pixels of a box around its sources one by one. The rest of the map knows the background only, whose
norm depends on the energy alone, so that its bins enter the likelihood through their sums per energy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..kernels.cash import TRUNCATION, cash_offset
from ..kernels.wstat import wstat
from .convert import is_concrete
from .footprint import Footprint, Plan, Response, place, plan, stage
from .gti import GTI
from .map import MapBase
from .npred import background_norm, flux, template
from .sky_model import FoVBackgroundModel, SkyModel, TemplateNPredModel
from .statistic import CashStatistic, WStatistic

BOX_STEP = 4
"""Boxes have sides of multiples of this, so that runs with neighbouring pointings share programs."""


@dataclass(frozen=True)
class Part:
    """How one model enters: "background", "source" (image made anew), "shape" (image made already), "template", or
    "constant" (nothing about it is free: it is part of the constant counts). ``treedef`` is that of its arrays."""

    kind: str
    plan: Plan | None = None
    treedef: Any = None
    n_leaves: int = 0


@dataclass(frozen=True)
class MapProgram:
    """Static side of a staged map; calling it with arrays gives the `StagedMap`."""

    on_off: bool
    n_reco: int
    n_true: int
    nodes: int
    box: tuple[int, int]
    rest: bool
    parts: tuple[Part, ...]

    def __call__(self, **arrays: Any) -> "StagedMap":
        return (StagedOnOff if self.on_off else StagedCash)(self, arrays)


class StagedMap:
    """A map dataset inside a fit. Bins are flat: energies times the pixels of the box and one for the rest of the map."""

    def __init__(self, program: MapProgram, arrays: dict[str, Any]):
        self.program, self.arrays = program, arrays
        self.counts, self.mask = arrays["counts"], arrays["mask_safe"]
        self.energy_edges, self.energy_true_edges = arrays["energy_edges"], arrays["energy_true_edges"]
        self.nodes, self.extra = program.nodes, arrays["extra"]
        self.gti = None
        if "gti_start" in arrays:
            self.gti = object.__new__(GTI)
            for field in ("start", "stop", "reference"):
                object.__setattr__(self.gti, field, arrays[f"gti_{field}"])

    def signal(self, models: Sequence[Any]) -> jax.Array:
        """Counts of the sources, (n_bins,)."""
        program, arrays = self.program, self.arrays
        edges = jnp.asarray(self.energy_true_edges)
        energy = jnp.sqrt(edges[:-1] * edges[1:])
        total = jnp.asarray(arrays["constant"]).reshape(program.n_reco, *program.box)
        for i, (part, model) in enumerate(zip(program.parts, models, strict=True)):
            if part.kind == "template":
                centres = jnp.asarray(self.energy_edges)
                norm = model.evaluate(jnp.sqrt(centres[:-1] * centres[1:]))
                total = total + jnp.asarray(model.counts) * norm[:, None, None]
            if part.kind not in ("source", "shape"):
                continue
            leaves = [arrays[f"part_{i}_{k}"] for k in range(part.n_leaves)]
            footprint, exposed = jax.tree_util.tree_unflatten(part.treedef, leaves)
            of_bins = flux(self, model)
            if part.kind == "shape":
                counts = footprint.counts_of(exposed, of_bins)
            else:
                counts = footprint.counts(model.spatial, of_bins, energy)
            origin = arrays["origin"]
            total = place(total, counts, footprint.x - origin[0], footprint.y - origin[1])
        flat = total.reshape(program.n_reco, -1)
        if program.rest:
            flat = jnp.concatenate([flat, jnp.zeros((program.n_reco, 1), flat.dtype)], axis=1)
        return flat.reshape(-1)


class StagedCash(StagedMap):
    """A staged map with a known background."""

    data_shape = ()
    npred_background = CashStatistic.npred_background
    deviance_bins = CashStatistic.deviance_bins
    scoring_bins = CashStatistic.scoring_bins

    def offset_bins(self) -> jax.Array:
        """What turns `deviance_bins` into the statistic, per bin; ``extra`` is to be added to their sum."""
        return cash_offset(jnp.asarray(self.counts))

    def predict(self, models: Sequence[Any]) -> jax.Array:
        """Counts per bin: signal plus background."""
        counts = jnp.asarray(self.arrays["background"]).reshape(self.program.n_reco, -1)
        for model in models:
            if isinstance(model, FoVBackgroundModel):
                kept = jnp.asarray(self.mask).reshape(self.program.n_reco, -1).any(axis=1)
                norm = background_norm(self, model, kept)[:, None]
                if model.spatial is not None:
                    edges = jnp.asarray(self.energy_edges)
                    sky = model.spatial.evaluate(self.arrays["vectors"], jnp.sqrt(edges[:-1] * edges[1:]))
                    norm = norm * sky.reshape(-1, counts.shape[1])
                counts = counts * norm
        return counts.reshape(-1) + self.signal(models)


class StagedOnOff(StagedMap):
    """A staged map with off counts; what the sources do not reach is a constant."""

    deviance_bins = WStatistic.deviance_bins
    stat_bins = WStatistic.stat_bins
    scoring_bins = WStatistic.scoring_bins
    alpha = WStatistic.alpha

    def __init__(self, program: MapProgram, arrays: dict[str, Any]):
        super().__init__(program, arrays)
        for field in ("counts_off", "acceptance", "acceptance_off"):
            setattr(self, field, arrays[field])

    def offset_bins(self) -> jax.Array:
        """The deviance is the statistic."""
        return jnp.zeros_like(jnp.asarray(self.counts))

    def predict(self, models: Sequence[Any]) -> jax.Array:
        """Counts of the signal per bin."""
        return self.signal(models)


def stage_map(
    dataset: MapBase, models: Sequence[Any], frozen: Sequence[tuple[bool, bool]], name: str
) -> tuple[MapProgram, dict[str, Any]]:
    """A map with the models that act on it, at their present parameters.

    ``frozen``: for each model, whether all of it is frozen, and whether its shape is.
    """
    response = Response.of(dataset)
    parts: list[Part] = []
    staged: list[Any] = []
    constant = np.zeros(dataset.data_shape)
    for model, (all_frozen, shape_frozen) in zip(models, frozen, strict=True):
        if isinstance(model, FoVBackgroundModel):
            parts.append(Part("background"))
        elif isinstance(model, TemplateNPredModel):
            if all_frozen:
                constant = constant + template(dataset, model)
            parts.append(Part("constant" if all_frozen else "template"))
        else:
            sizes = plan(dataset, model)
            bare = model.bare()
            if all_frozen:
                constant = constant + _constant_counts(response, dataset.nodes, dataset.gti, bare, sizes)
                parts.append(Part("constant"))
                continue
            made = shape_frozen and sizes.psf != "reco"
            pair = (_stage_shape if made else _stage_source)(response, bare, sizes)
            leaves, treedef = jax.tree_util.tree_flatten(pair)
            parts.append(Part("shape" if made else "source", sizes, treedef, len(leaves)))
            staged.append((len(parts) - 1, leaves, pair[0]))
    whole = any(p.kind in ("template", "constant") for p in parts) or any(
        isinstance(m, FoVBackgroundModel) and m.spatial is not None for m in models
    )
    fields = [dataset.counts, dataset.mask, dataset.background, *(x for f in staged for x in (f[2].x, f[2].y))]
    box, origin = dataset.pixels, (0, 0)
    if not whole and all(is_concrete(f) for f in fields):
        box, origin = _box(dataset.pixels, [f[2] for f in staged])
    arrays, rest = _bins(dataset, constant, box, origin)
    arrays["origin"] = np.array(origin[::-1])
    for i, leaves, _ in staged:
        for k, leaf in enumerate(leaves):
            arrays[f"part_{i}_{k}"] = leaf
    if any(isinstance(m, FoVBackgroundModel) and m.spatial is not None for m in models):
        x, y = dataset.geom.pixel_grid
        arrays["vectors"] = dataset.geom.pixel_to_vector(x, y)
    timed = [m for m in models if isinstance(m, SkyModel) and m.temporal is not None]
    if timed:
        timed[0].mean_over(dataset.gti, f"Dataset {name!r}")
        arrays |= {f"gti_{field}": getattr(dataset.gti, field) for field in ("start", "stop", "reference")}
    program = MapProgram(
        isinstance(dataset, WStatistic), dataset.n_reco, dataset.n_true, dataset.nodes, box, rest, tuple(parts)
    )
    return program, arrays


@eqx.filter_jit
def _stage_source(response: Response, model: SkyModel, sizes: Plan) -> tuple[Footprint, None]:
    return stage(response, model, sizes), None


@eqx.filter_jit
def _stage_shape(response: Response, model: SkyModel, sizes: Plan) -> tuple[Footprint, Any]:
    """The image of a frozen shape, and a footprint without what made it."""
    footprint = stage(response, model, sizes)
    edges = jnp.asarray(response.energy_true_edges)
    exposed = footprint.exposed(footprint.image(model.spatial, jnp.sqrt(edges[:-1] * edges[1:])))
    small = Footprint(None, footprint.x, footprint.y, None, None, footprint.matrix, None, None, sizes)
    return small, exposed


@eqx.filter_jit
def _constant_counts(response: Response, nodes: int, gti: Any, model: SkyModel, sizes: Plan) -> jax.Array:
    edges = jnp.asarray(response.energy_true_edges)
    footprint = stage(response, model, sizes)
    of_bins = model.integrate_bins(edges, nodes)
    if model.temporal is not None:
        of_bins = of_bins * model.mean_over(gti, "Map")
    counts = footprint.counts(model.spatial, of_bins, jnp.sqrt(edges[:-1] * edges[1:]))
    n_reco = response.energy_edges.shape[0] - 1
    return place(jnp.zeros((n_reco, *response.geom.shape)), counts, footprint.x, footprint.y)


def _box(pixels: tuple[int, ...], footprints: list[Footprint]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size (y, x) and first pixel (y, x) of a box on the map around all windows."""
    sizes, starts = [], []
    for axis, n in enumerate(pixels):
        first = [int(f.y if axis == 0 else f.x) for f in footprints]
        last = [a + f.plan.shape[axis] for a, f in zip(first, footprints, strict=True)]
        low, high = (min(first), max(last)) if first else (0, 0)
        size = min(n, max(BOX_STEP, -(-(high - low) // BOX_STEP) * BOX_STEP))
        sizes.append(size)
        starts.append(min(max(low, 0), n - size))
    return (sizes[0], sizes[1]), (starts[0], starts[1])


def _bins(
    dataset: MapBase, constant: Any, box: tuple[int, int], origin: tuple[int, int]
) -> tuple[dict[str, Any], bool]:
    """Flat arrays of the bins of the box, and whether one for the rest of the map follows them at each energy.

    ``extra`` is what the rest of the map adds to the statistic whatever the parameters are.
    """
    window = (slice(None), *(slice(a, a + n) for a, n in zip(origin, box, strict=True)))
    mask = np.ones(dataset.data_shape, bool) if dataset.mask is None else dataset.mask
    fields = {"counts": dataset.counts, "mask_safe": mask}
    on_off = isinstance(dataset, WStatistic)
    if on_off:
        fields |= {k: getattr(dataset, k) for k in ("counts_off", "acceptance", "acceptance_off")}
    else:
        fields["background"] = np.zeros(dataset.data_shape) if dataset.background is None else dataset.background
    arrays = {k: v[window].reshape(dataset.n_reco, -1) for k, v in fields.items()}
    extra, rest = np.zeros(()), False
    if box != dataset.pixels:
        outside = np.array(mask)
        outside[window] = False
        if on_off:
            extra = _unreached(outside, fields["counts"], fields["counts_off"], dataset.alpha)
        else:
            column, extra = _rest_of_map(outside, fields["counts"], fields["background"])
            arrays = {k: np.concatenate([v, column[k][:, None]], axis=1) for k, v in arrays.items()}
            rest = True
    flat = {k: v.reshape(-1) for k, v in arrays.items()}
    edges = {k: getattr(dataset, k) for k in ("energy_edges", "energy_true_edges")}
    return flat | edges | {"constant": constant[window], "extra": extra}, rest


def _unreached(outside: np.ndarray, counts: Any, counts_off: Any, alpha: Any) -> np.ndarray:
    """W statistic of bins that no signal reaches."""
    chosen = [np.asarray(v)[outside] for v in (counts, counts_off, alpha)]
    return np.asarray(np.sum(np.asarray(_quick_wstat(*chosen, np.zeros(chosen[0].shape)))))


_quick_wstat = jax.jit(wstat)


def _rest_of_map(outside: np.ndarray, counts: Any, background: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Sums per energy over the bins ``outside``, (n_reco,), and the constant by which their statistic differs from that
    of the sums: with the norm g, sum of 2 (g B - n ln(g B)) = 2 (g sum B - sum n ln(g sum B)) + constant."""
    counts, background = np.asarray(counts, float), np.asarray(background, float)
    known = outside & (background > 0)
    n, b = np.where(known, counts, 0.0), np.where(known, background, 0.0)
    total_n, total_b = n.sum((1, 2)), b.sum((1, 2))
    logs = np.sum(n * np.log(np.where(known, background, 1.0)), axis=(1, 2))
    constant = 2 * np.sum(total_n * np.log(np.where(total_b > 0, total_b, 1.0)) - logs)
    # where no background is known either, the floor of the statistic stands for any norm
    unknown = np.where(outside & (background == 0), counts, 0.0)
    constant = constant + 2 * np.sum(np.where(unknown > 0, TRUNCATION - unknown * np.log(TRUNCATION), 0.0))
    return {"counts": total_n, "background": total_b, "mask_safe": known.any((1, 2))}, np.asarray(constant)
