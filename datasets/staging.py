"""Map datasets made ready for a fit: everything that no free parameter changes is computed here, once.

A staged map has the pixels of a box around its sources one by one. The rest of the map knows the background only, whose
norm depends on the energy alone, so that its bins enter the likelihood through their sums per energy.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from ..kernels.cash import TRUNCATION, cash_offset
from ..kernels.quadrature import log_centers
from ..kernels.wstat import profile_background, wstat
from .convert import is_concrete
from .footprint import Footprint, Response, stage
from .gti import GTI
from .image_plan import Plan, plan
from .map import MapBase
from .npred import background_norm, flux, signal
from .program import Program
from .rehearsal import is_running, staged
from .sky_model import FoVBackgroundModel, SkyModel, TemplateNPredModel
from .statistic import CashStatistic, WStatistic
from .structure import canonical

BOX_STEP = 4
"""Boxes have sides of multiples of this, so that runs with neighbouring pointings share programs."""


@dataclass(frozen=True)
class Part:
    """How some models enter: "source" (images made anew), "shape" (images made already), or "template".

    ``models`` are their places among the models; sources of one part differ in numbers only. ``treedef`` is that of the
    arrays of one source, of which there are ``n_leaves``. ``scheme`` says how images are made, see `Plan`; it is
    "four-pixel" for points that are shared out over pixels. ``by_transform``: whether from transforms.
    """

    kind: str
    models: tuple[int, ...]
    treedef: Any = None
    n_leaves: int = 0
    scheme: str = ""
    by_transform: bool = False


@dataclass(frozen=True)
class MapProgram:
    """Static side of a staged map; calling it with arrays gives the `StagedMap`.

    ``box``: pixels (y, x) of its box. ``origin``: its first pixel (y, x), where templates need it.
    """

    on_off: bool
    n_reco: int
    nodes: int
    box: tuple[int, int]
    rest: bool
    parts: tuple[Part, ...]
    origin: tuple[int, int] | None

    def __call__(self, **arrays: Any) -> "StagedMap":
        return (StagedOnOff if self.on_off else StagedCash)(self, arrays)


class StagedMap:
    """A map dataset inside a fit, with flat bins: energies by the pixels of the box and one for the rest of the map."""

    background_bins: Callable[..., jax.Array]
    weighted: Callable[..., jax.Array]

    def __init__(self, program: MapProgram, arrays: dict[str, Any]):
        self.program, self.arrays = program, arrays
        self.counts, self.mask = arrays["counts"], arrays["mask_safe"]
        self.energy_edges, self.energy_true_edges = arrays["energy_edges"], arrays["energy_true_edges"]
        self.nodes, self.extra = program.nodes, arrays["extra"]
        self.gti = GTI.from_arrays(arrays)

    def signal(self, models: Sequence[Any]) -> jax.Array:
        """Counts of the sources, (n_bins,)."""
        program, arrays = self.program, self.arrays
        energy = log_centers(self.energy_true_edges)
        total = jnp.asarray(arrays["constant"]).reshape(program.n_reco, *program.box)
        for number, part in enumerate(program.parts):
            if part.kind == "template":
                norm, counts = self._template(models[part.models[0]])
                total = total + counts * norm[:, None, None]
                continue

            def add(total, source, part=part):
                model, place_, leaves = source
                footprint, exposed = jax.tree_util.tree_unflatten(part.treedef, leaves)
                of_bins = flux(self, model)
                if part.kind == "shape":
                    counts = footprint.counts_of(exposed, of_bins)
                else:
                    counts = footprint.counts(model.spatial, of_bins, energy)
                # boxes hold their windows wholly, so that nothing has to be cut off
                start = (0, place_[0], place_[1])
                here = jax.lax.dynamic_slice(total, start, counts.shape)
                # rules of quadrature are in double precision
                return jax.lax.dynamic_update_slice(total, here + counts.astype(total.dtype), start), None

            total = self._over_sources(number, part, models, add, total)
        flat = total.reshape(program.n_reco, -1)
        if program.rest:
            flat = jnp.concatenate([flat, jnp.zeros((program.n_reco, 1), flat.dtype)], axis=1)
        return flat.reshape(-1)

    def weighted_signal(self, models: Sequence[Any], weights: Any) -> jax.Array:
        """Sum of ``weights`` (n_bins,) times `signal`; its derivatives need fewer images."""
        program, arrays = self.program, self.arrays
        energy = log_centers(self.energy_true_edges)
        ny, nx = program.box
        of_box = weights.reshape(program.n_reco, -1)[:, : ny * nx].reshape(program.n_reco, ny, nx)
        total = jnp.sum(of_box * jnp.asarray(arrays["constant"]).reshape(of_box.shape))
        for number, part in enumerate(program.parts):
            if part.kind == "template":
                norm, counts = self._template(models[part.models[0]])
                total = total + jnp.sum(norm * jnp.sum(counts * of_box, axis=(1, 2)))
                continue

            def add(total, source, part=part):
                model, place_, leaves = source
                footprint, exposed = jax.tree_util.tree_unflatten(part.treedef, leaves)
                shape = (program.n_reco, *footprint.plan.shape)
                here = jax.lax.dynamic_slice(of_box, (0, place_[0], place_[1]), shape)
                of_bins = flux(self, model)
                if part.kind == "shape":
                    return total + footprint.weighted_counts_of(exposed, of_bins, here).astype(total.dtype), None
                return total + footprint.weighted(model.spatial, of_bins, energy, here).astype(total.dtype), None

            total = self._over_sources(number, part, models, add, total)
        return total

    def _template(self, model: Any) -> tuple[Any, Any]:
        """Norm per energy and counts in the box, (n_reco,) and (n_reco, ny, nx), of a `TemplateNPredModel`."""
        assert self.program.origin is not None
        return model.evaluate(log_centers(self.energy_edges)), _cut(
            jnp.asarray(model.counts), self.program.box, self.program.origin
        )

    def _over_sources(self, number: int, part: Part, models: Sequence[Any], add: Any, total: Any) -> Any:
        """``total`` after ``add(total, (model, place, leaves))`` for every source of a part."""
        leaves = [jnp.asarray(self.arrays[f"part_{number}_{k}"]) for k in range(part.n_leaves)]
        chosen = [models[i] for i in part.models]
        places = jnp.asarray(self.arrays[f"place_{number}"])
        if len(chosen) == 1:
            return add(total, (chosen[0], places[0], [leaf[0] for leaf in leaves]))[0]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *chosen)
        return jax.lax.scan(add, total, (stacked, places, leaves))[0]

    def spectra(self, models: Sequence[Any]) -> tuple[jax.Array, jax.Array]:
        """Signal and background per energy, sums over the fitted pixels: each (n_reco,)."""
        signal = self.signal(models)
        parts = (signal, self.background_bins(models, signal))
        first, second = (jnp.where(self.mask, x, 0.0).reshape(self.program.n_reco, -1).sum(axis=1) for x in parts)
        return first, second + self.arrays.get("rest_background", 0.0)


class StagedCash(StagedMap):
    """A staged map with a known background."""

    deviance_bins = CashStatistic.deviance_bins
    scoring_bins = CashStatistic.scoring_bins

    def offset_bins(self) -> jax.Array:
        """What turns `deviance_bins` into the statistic, per bin; ``extra`` is to be added to their sum."""
        return cash_offset(jnp.asarray(self.counts))

    def predict(self, models: Sequence[Any]) -> jax.Array:
        """Counts per bin: signal plus background."""
        return self.background_bins(models) + self.signal(models)

    def weighted(self, models: Sequence[Any], weights: Any) -> jax.Array:
        """Sum of ``weights`` (n_bins,), 0 outside the mask, times `predict`."""
        background = jnp.where(self.mask, self.background_bins(models), 0.0)
        return self.weighted_signal(models, weights) + jnp.sum(weights * background)

    def background_bins(self, models: Sequence[Any], signal: Any = None) -> jax.Array:
        """Background times its norms, per bin."""
        counts = jnp.asarray(self.arrays["background"]).reshape(self.program.n_reco, -1)
        for model in models:
            if isinstance(model, FoVBackgroundModel):
                kept = jnp.asarray(self.mask).reshape(self.program.n_reco, -1).any(axis=1)
                norm = background_norm(self, model, kept)[:, None]
                if model.spatial is not None:
                    sky = model.spatial.evaluate(self.arrays["vectors"], log_centers(self.energy_edges))
                    norm = norm * sky.reshape(-1, counts.shape[1])
                counts = counts * norm
        return counts.reshape(-1)


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

    def weighted(self, models: Sequence[Any], weights: Any) -> jax.Array:
        """Sum of ``weights`` (n_bins,), 0 outside the mask, times `predict`."""
        return self.weighted_signal(models, weights)

    def background_bins(self, models: Sequence[Any], signal: Any = None) -> jax.Array:
        """Background profiled for the signal, per bin."""
        return WStatistic.npred_background(cast(Any, self), self.signal(models) if signal is None else signal)


def stage_map(
    dataset: MapBase, models: Sequence[Any], frozen: Sequence[tuple[bool, bool]], name: str
) -> tuple[MapProgram, dict[str, Any]]:
    """A map with the models that act on it, at their present parameters.

    ``frozen``: for each model, whether all of it is frozen, and whether its shape is.
    """
    response = Response.of(dataset)
    templates: list[int] = []
    # sources that differ in numbers only, by what they have in common
    alike: dict[tuple[Any, ...], list[tuple[int, list[Any], Footprint]]] = {}
    unchanging: list[Any] = []
    whole = False
    for i, (model, (all_frozen, shape_frozen)) in enumerate(zip(models, frozen, strict=True)):
        if isinstance(model, FoVBackgroundModel):
            whole = whole or model.spatial is not None
            continue
        if all_frozen:
            unchanging.append(model)
            continue
        if isinstance(model, TemplateNPredModel):
            templates.append(i)
            continue
        sizes = plan(dataset, model)
        structure, numbers = canonical(model)
        bare = structure.build(numbers)
        made = shape_frozen and sizes.psf != "reco"
        pair = staged(_stage_shape if made else _stage_source, sizes, response, cast(SkyModel, bare))
        leaves, treedef = jax.tree_util.tree_flatten(pair)
        key = ("shape" if made else "source", structure, treedef)
        alike.setdefault(key, []).append((i, leaves, pair[0]))
    constant: Any = np.zeros(dataset.data_shape)
    if unchanging and not is_running():
        constant = signal(dataset, unchanging)
    constant = np.asarray(constant) if is_concrete(constant) else constant
    whole = whole or bool(templates) or bool(unchanging)
    footprints = [f for members in alike.values() for _, _, f in members]
    known = all(is_concrete(x) for f in footprints for x in (f.x, f.y))
    whole = whole or not all(is_concrete(f) for f in (dataset.counts, dataset.mask, cast(Any, dataset).background))
    box, origin = _box(dataset.pixels, footprints, whole or not known, known)
    arrays, rest = _bins(dataset, constant, box, origin)
    parts: list[Part] = [Part("template", (i,)) for i in templates]
    xp = np if known else jnp
    for (kind, _, treedef), members in alike.items():
        number, n_leaves = len(parts), len(members[0][1])
        of_first = members[0][2].plan
        shared_out = of_first.scheme == "point" and of_first.grid == "pixel"
        scheme = "four-pixel" if shared_out else of_first.scheme
        places_of = tuple(i for i, _, _ in members)
        parts.append(Part(kind, places_of, treedef, n_leaves, scheme, of_first.by_transform))
        # where all members of a group have it at the same place, adding a window is a copy and not a scatter
        places = [[xp.asarray(f.y) - origin[0], xp.asarray(f.x) - origin[1]] for _, _, f in members]
        arrays[f"place_{number}"] = xp.stack([xp.stack(p) for p in places])
        for k in range(n_leaves):
            arrays[f"part_{number}_{k}"] = stack_rows([leaves[k] for _, leaves, _ in members])
    if any(isinstance(m, FoVBackgroundModel) and m.spatial is not None for m in models):
        x, y = np.meshgrid(np.arange(box[1]) + float(origin[1]), np.arange(box[0]) + float(origin[0]))
        arrays["vectors"] = dataset.geom.shown_vectors(x, y)[0]
    timed = [m for m in models if isinstance(m, SkyModel) and m.temporal is not None]
    if timed:
        timed[0].check_times(dataset.gti, f"Dataset {name!r}")
        assert dataset.gti is not None
        arrays |= dataset.gti.to_arrays()
    program = MapProgram(
        isinstance(dataset, WStatistic),
        dataset.n_reco,
        dataset.nodes,
        box,
        rest,
        tuple(parts),
        origin if templates else None,
    )
    return program, arrays


def stack_rows(rows: list[Any]) -> Any:
    """One array of equal ones. On CPUs NumPy does it, without compiling anything."""
    if len(rows) == 1 and isinstance(rows[0], np.ndarray):
        return rows[0][None]
    if any(isinstance(v, jax.core.Tracer) for v in rows):
        return jnp.stack(rows)
    if any(isinstance(v, jax.Array) for v in rows) and jax.default_backend() != "cpu":
        return jnp.stack(rows)
    return np.stack([np.asarray(v) for v in rows])


@Program
def _stage_source(sizes: Plan, response: Response, model: SkyModel) -> tuple[Footprint, None]:
    return stage(response, model, sizes), None


@Program
def _stage_shape(sizes: Plan, response: Response, model: SkyModel) -> tuple[Footprint, Any]:
    """The image of a frozen shape, and a footprint without what made it."""
    footprint = stage(response, model, sizes)
    exposed = footprint.exposed(footprint.image(model.spatial, log_centers(response.energy_true_edges)))
    small = Footprint(cast(Any, None), footprint.x, footprint.y, None, None, footprint.matrix, None, None, None, sizes)
    return small, exposed


def _box(
    pixels: tuple[int, ...], footprints: list[Footprint], whole: bool, known: bool
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size (y, x) and first pixel (y, x) of a box around all windows, and around the ``whole`` map if need be.

    Where the windows run off the map, so does the box. Windows whose places are not ``known`` may lie beside the map.
    """
    sizes, starts = [], []
    for axis, n in enumerate(pixels):
        windows = [f.plan.shape[axis] for f in footprints]
        if known:
            first = [int(f.y if axis == 0 else f.x) for f in footprints]
        else:
            reach = max(windows)
            first, windows = [-reach, n], [reach, reach]
        ends = [a + w for a, w in zip(first, windows, strict=True)]
        if whole or not first:
            first, ends = [*first, 0], [*ends, n]
        low, size = min(first), max(ends) - min(first)
        # a box that is a window needs no copies
        sizes.append(size if size in (n, *windows) else -(-size // BOX_STEP) * BOX_STEP)
        starts.append(low)
    return (sizes[0], sizes[1]), (starts[0], starts[1])


def _bins(dataset: Any, constant: Any, box: tuple[int, int], origin: tuple[int, int]) -> tuple[dict[str, Any], bool]:
    """Flat arrays of the bins of the box, and whether one for the rest of the map follows them at each energy.

    ``extra`` is what the rest of the map adds to the statistic whatever the parameters are. Pixels of the box beyond
    the map are masked.
    """
    mask = np.ones(dataset.data_shape, bool) if dataset.mask is None else dataset.mask
    fields = {"counts": dataset.counts, "mask_safe": mask}
    on_off = isinstance(dataset, WStatistic)
    if on_off:
        fields |= {k: getattr(dataset, k) for k in ("counts_off", "acceptance", "acceptance_off")}
    else:
        fields["background"] = np.zeros(dataset.data_shape) if dataset.background is None else dataset.background
    arrays = {k: _cut(v, box, origin).reshape(dataset.n_reco, -1) for k, v in fields.items()}
    outside = _beyond(dataset.pixels, box, origin)
    extra, rest, beside = np.zeros(()), False, np.zeros(dataset.n_reco)
    if outside.any():
        outside = outside & np.asarray(mask)
        if on_off:
            extra = _unreached(outside, fields["counts"], fields["counts_off"], dataset.alpha)
            nothing = np.zeros(dataset.data_shape)
            alone = np.asarray(_quick_profile(fields["counts"], fields["counts_off"], dataset.alpha, nothing))
            beside = np.where(outside, dataset.alpha * alone, 0.0).sum((1, 2))
        else:
            column, extra = _rest_of_map(outside, fields["counts"], fields["background"])
            arrays = {k: np.concatenate([v, column[k][:, None]], axis=1) for k, v in arrays.items()}
            rest = True
    flat = {k: v.reshape(-1) for k, v in arrays.items()}
    if on_off:
        flat["rest_background"] = beside
    edges = {k: getattr(dataset, k) for k in ("energy_edges", "energy_true_edges")}
    return flat | edges | {"constant": _cut(constant, box, origin), "extra": extra}, rest


def _beyond(pixels: tuple[int, ...], box: tuple[int, int], origin: tuple[int, int]) -> np.ndarray:
    """True for the pixels of the map that are not in the box."""
    beyond = np.ones(pixels, bool)
    beyond[tuple(slice(max(a, 0), max(a + n, 0)) for a, n in zip(origin, box, strict=True))] = False
    return beyond


def _cut(values: Any, box: tuple[int, int], origin: tuple[int, int]) -> Any:
    """The box of ``values`` (n, ny, nx); zeros beyond the map."""
    xp = np if isinstance(values, np.ndarray) else jnp
    pads, slices = [(0, 0)], [slice(None)]
    for n, size, start in zip(values.shape[1:], box, origin, strict=True):
        before, after = max(-start, 0), max(start + size - n, 0)
        pads.append((before, after))
        slices.append(slice(start + before, start + before + size))
    return xp.pad(values, pads)[tuple(slices)]


def _unreached(outside: np.ndarray, counts: Any, counts_off: Any, alpha: Any) -> np.ndarray:
    """W statistic of bins that no signal reaches."""
    # of all bins: the number of those outside would be another program for each dataset
    values = np.asarray(_quick_wstat(counts, counts_off, alpha, np.zeros(outside.shape)))
    return np.asarray(np.sum(np.where(outside, values, 0.0)))


_quick_wstat = jax.jit(wstat)
_quick_profile = jax.jit(profile_background)


def _rest_of_map(outside: np.ndarray, counts: Any, background: Any) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Sums per energy over the bins ``outside``, (n_reco,), and the constant by which their statistic differs from that
    of the sums: with the norm g, sum of 2 (g B - n ln(g B)) = 2 (g sum B - sum n ln(g sum B)) + constant."""
    counts, background = np.asarray(counts, float), np.asarray(background, float)
    known = outside & (background > 0)
    n, b = np.where(known, counts, 0.0), np.where(known, background, 0.0)
    total_n, total_b = n.sum((1, 2)), b.sum((1, 2))
    # most bins are empty
    hit = np.nonzero(n)
    logs = np.bincount(hit[0], n[hit] * np.log(b[hit]), minlength=len(n))
    constant = 2 * np.sum(total_n * np.log(np.where(total_b > 0, total_b, 1.0)) - logs)
    # where no background is known either, the floor of the statistic stands for any norm
    unknown = np.where(outside & (background == 0), counts, 0.0)
    constant = constant + 2 * np.sum(np.where(unknown > 0, TRUNCATION - unknown * np.log(TRUNCATION), 0.0))
    return {"counts": total_n, "background": total_b, "mask_safe": known.any((1, 2))}, np.asarray(constant)
