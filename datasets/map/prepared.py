"""Map datasets made ready for a fit: everything that no free parameter changes is computed here, once.

A prepared map has the pixels of a box around its sources. The rest knows the background only, whose norm depends on the
energy: its bins enter the likelihood through their sums per energy.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...kernels.quadrature import bin_centers, log_centers
from ..arrays import Array, is_concrete
from ..compile import is_tracing_ahead
from ..counts.base import CountsBase
from ..counts.flux import source_flux
from ..counts.instrument import Instrument, instrument_of, instruments_of, livetime_factor
from ..counts.known import background_model, background_norm, fitted_energies
from ..dataset import fitted_bins
from ..errors import InputError
from ..gti import GTI
from ..models.flatten import BuiltModels, ModelDef, Rows, canonical
from ..models.instrument import InstrumentModel
from ..models.sky_model import FoVBackgroundModel, SkyModel, TemplateNPredModel
from ..models.spatial.base import SpatialModel
from ..prepared import Arrays, Frozen, Models, PreparedCounts, Spec
from ..statistics.base import Bins, Statistic
from .box import Place, box_around, cut_box, known_bins, measured_bins, recounted, with_window
from .parts import Member, Slopes, Source, SourcePart, Stacked, part_of
from .plan import plan
from .prepared_image import image_of_shape, image_of_source, image_with_radial, prepared_image
from .response import Response
from .source_image import Image, SourceImage, add_window, with_room, without_room
from .windows import Windows, products_of_windows


@dataclass(frozen=True)
class MapSpec(Spec):
    """Static side of a prepared map; calling it with arrays gives the `PreparedMap`.

    ``measured``: whether the background is, by off counts. ``box``: pixels (y, x) of its box, with ``room`` around it
    for windows that run over it. ``rest``: whether one bin for the rest of the map follows at each energy. ``origin``:
    first pixel (y, x) of the box, where templates need it. ``energy_interp``: scale of the reconstructed energies.
    """

    statistic: Statistic
    measured: bool
    n_reco: int
    nodes: int
    box: Place
    room: Place
    rest: bool
    parts: tuple[SourcePart, ...]
    origin: Place | None
    energy_interp: str

    def __call__(self, **arrays: Array) -> "PreparedMap":
        return (MeasuredMap if self.measured else KnownMap)(self, arrays)

    @property
    def of_counts(self) -> tuple[str, ...]:
        # where the box lies is no part of the program either
        return ("counts", "counts_off", "extra", "rest_background", "origin") if self.measured else (
            "counts", "extra", "origin",
        )  # fmt: skip

    def counted(self, arrays: Arrays, frame: Arrays, counts: Arrays) -> Arrays:
        data = {name: values for name, values in frame.items() if name != "mask"} | dict(counts)
        origin = arrays["origin"]
        changed = recounted(
            self.statistic, data, frame["mask"], self.box, origin, measured=self.measured, rest=self.rest
        )
        return changed | {"origin": origin}

    def unfolded(self, arrays: Arrays, frame: Arrays, bins: Bins, shape: tuple[int, ...]) -> Bins:
        ny, nx = self.box
        by_energy = bins.reshape(self.n_reco, -1)
        if self.measured:
            everywhere = self.statistic.background_bins(frame, jnp.zeros(shape))
        else:
            # the bin of the rest holds the norm there
            norm = by_energy[:, -1] if self.rest else jnp.ones(self.n_reco)
            everywhere = jnp.asarray(frame["background"]) * norm[:, None, None]
        return with_window(everywhere, by_energy[:, : ny * nx].reshape(-1, ny, nx), arrays["origin"])

    def everywhere(self, signal: np.ndarray, origin: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        ny, nx = self.box
        inside = signal.reshape(self.n_reco, -1)[:, : ny * nx]
        return cut_box(inside.reshape(self.n_reco, ny, nx), (shape[1], shape[2]), (-int(origin[0]), -int(origin[1])))

    @property
    def makes_images(self) -> bool:
        return True

    @property
    def sources(self) -> tuple[int, ...]:
        # slopes of a single one are those of the prediction
        found = tuple(i for part in self.parts if part.kind != "template" for i in part.models)
        return found if len(found) > 1 else ()

    @property
    def sums_images(self) -> bool:
        return any(part.kind == "source" and not part.by_transform for part in self.parts)

    @property
    def dear_to_weigh(self) -> bool:
        return self.sums_images or any(part.radial for part in self.parts)

    @property
    def quick_to_compile(self) -> bool:
        # sources that are shared out over pixels
        return all(part.kind != "source" or part.scheme == "four-pixel" for part in self.parts)


class PreparedMap(PreparedCounts):
    """A map dataset inside a fit, with flat bins: energies by the pixels of the box and one for the rest of the map."""

    def __init__(self, spec: MapSpec, arrays: Arrays):
        self.spec, self.arrays = spec, arrays
        self.statistic, self.data = spec.statistic, arrays
        self.mask, self.extra = arrays["mask_safe"], arrays["extra"]
        self.energy_edges, self.energy_true_edges = arrays["energy_edges"], arrays["energy_true_edges"]
        self.gti = GTI.from_arrays(arrays)

    @property
    def energy_centers(self) -> Float[jax.Array, " n_reco"]:
        """Centres of the reconstructed bins, TeV."""
        return bin_centers(self.energy_edges, self.spec.energy_interp)

    def _seen(
        self, model: SkyModel, image: SourceImage, instrument: Instrument
    ) -> tuple[Float[Array, " n_true"], SourceImage]:
        """Flux of a source, and its image, with the responses as they are."""
        edges = self.energy_true_edges, self.energy_edges
        flux = source_flux(model, edges[0], self.spec.nodes, self.gti, instrument)
        return flux, image.seen_by(instrument, model, *edges)

    def signal(self, models: Models) -> Bins:
        """Counts of the sources, (n_bins,)."""
        spec = self.spec
        instrument = instrument_of(models, self.energy_true_edges, self.energy_edges)
        total = with_room(self._templates(models), spec.room)
        for number, part in enumerate(spec.parts):
            if part.kind == "template":
                continue

            def add(total: Bins, source: Source, part: SourcePart = part) -> tuple[Bins, None]:
                model, place_, leaves = source
                counts = self._window(part, model, leaves, instrument)
                # boxes and their room hold windows wholly
                return add_window(total, counts, place_[1], place_[0]), None

            total = self._over_sources(number, part, models, add, total)
        return self._flat(total)

    def _window(self, part: SourcePart, model: SkyModel, leaves: list[jax.Array], instrument: Instrument) -> Image:
        """Counts of a source in its window, (n_reco, ny, nx)."""
        image, exposed = part.unpacked(leaves)
        of_bins, image = self._seen(model, image, instrument)
        if part.kind == "shape":
            counts = image.counts_of(exposed, of_bins)
        else:
            counts = image.counts(cast(SpatialModel, model.spatial), of_bins, log_centers(self.energy_true_edges))
        # rules of quadrature are in double precision
        return counts.astype(jnp.asarray(self.arrays["constant"]).dtype)

    def _flat(self, values: jax.Array) -> jax.Array:
        """Flat bins (n_bins,) of pixels (n_reco, y, x) of the box with its room; nothing in those of the rest."""
        spec = self.spec
        flat = without_room(values, spec.box, spec.room).reshape(spec.n_reco, -1)
        if spec.rest:
            flat = jnp.concatenate([flat, jnp.zeros((spec.n_reco, 1), flat.dtype)], axis=1)
        return flat.reshape(-1)

    def by_source(self, models: Models, rows: Rows, n: int, shapes: Container[int]) -> tuple[Bins, list[Slopes]]:
        spec = self.spec
        instrument = instrument_of(models, self.energy_true_edges, self.energy_edges)
        total, slopes = with_room(self._templates(models), spec.room), []
        for number, part in enumerate(spec.parts):
            if part.kind != "template":
                window = partial(self._window, part, instrument=instrument)
                given = self._stacked(number, part), cast(BuiltModels, models), rows, shapes
                total, found = part.add_with_slopes(total, window, *given)
                slopes.append(found)
        return self._predicted(models, self._flat(total)), slopes

    def products(
        self,
        slopes: list[Slopes],
        others: Float[Array, "k n_bins"],
        score: Bins,
        weight: Bins,
        rows: Rows,
        n: int,
    ) -> tuple[Float[jax.Array, " n"], Float[jax.Array, "n n"], Float[jax.Array, "n k"]]:
        def wider(bins: Bins) -> Bins:
            return with_room(self._of_box(bins), self.spec.room)

        parts = [(number, part) for number, part in enumerate(self.spec.parts) if part.kind != "template"]
        pairs = zip(parts, slopes, strict=True)
        windows = [Windows(part.places(rows), self._stacked(k, part)[0], found) for (k, part), found in pairs]
        return products_of_windows(windows, jax.vmap(wider)(jnp.asarray(others)), wider(score), wider(weight), n)

    def _predicted(self, models: Models, signal: Bins) -> Bins:
        """What the data are compared with, (n_bins,), from the counts of the sources."""
        return signal

    def predict(self, models: Models) -> Bins:
        """What the data are compared with, (n_bins,)."""
        return self._predicted(models, self.signal(models))

    def shown(self, models: Models) -> tuple[Bins, Bins]:
        signal = self.signal(models)
        return signal, self._predicted(models, signal)

    def weighted_signal(self, models: Models, weights: Bins) -> Bins:
        """Sum of ``weights`` (n_bins,) times `signal`; its derivatives need fewer images."""
        spec, arrays = self.spec, self.arrays
        instrument = instrument_of(models, self.energy_true_edges, self.energy_edges)
        of_box = self._of_box(weights)
        total = jnp.sum(of_box * jnp.asarray(arrays["constant"]).reshape(of_box.shape))
        wider = with_room(of_box, spec.room)
        for number, part in enumerate(spec.parts):
            if part.kind == "template":
                norm, counts = self._template(models[part.models[0]])
                total = total + jnp.sum(norm * jnp.sum(counts * of_box, axis=(1, 2)))
                continue

            def add(total: Bins, source: Source, part: SourcePart = part) -> tuple[Bins, None]:
                return total + self._overlap(part, source, instrument, wider), None

            total = self._over_sources(number, part, models, add, total)
        return total

    def _of_box(self, bins: Bins) -> Float[jax.Array, "n_reco ny nx"]:
        """Those of flat bins (n_bins,) that are pixels of the box."""
        ny, nx = self.spec.box
        return bins.reshape(self.spec.n_reco, -1)[:, : ny * nx].reshape(self.spec.n_reco, ny, nx)

    def _overlap(
        self, part: SourcePart, source: Source, instrument: Instrument, wider: Float[jax.Array, "n_reco ny nx"]
    ) -> Float[jax.Array, ""]:
        """Sum of weights in the box and its room, times the counts of a source."""
        model, place_, leaves = source
        image, exposed = part.unpacked(leaves)
        here = jax.lax.dynamic_slice(wider, (0, place_[0], place_[1]), (self.spec.n_reco, *image.plan.shape))
        of_bins, image = self._seen(model, image, instrument)
        if part.kind == "shape":
            return image.weighted_counts_of(exposed, of_bins, here).astype(wider.dtype)
        energy = log_centers(self.energy_true_edges)
        return image.weighted(cast(SpatialModel, model.spatial), of_bins, energy, here).astype(wider.dtype)

    def bends(self, models: Models, weights: Bins, rows: Rows, n: int) -> Float[jax.Array, "n n"]:
        spec = self.spec
        instrument = instrument_of(models, self.energy_true_edges, self.energy_edges)
        wider = with_room(self._of_box(weights), spec.room)
        found = jnp.zeros((n, n), wider.dtype)
        for number, part in enumerate(spec.parts):
            if part.kind != "template":

                def overlap(source: Source, part: SourcePart = part) -> jax.Array:
                    return self._overlap(part, source, instrument, wider)

                found = part.add_bends(found, overlap, self._stacked(number, part), cast(BuiltModels, models), rows)
        return found

    def _templates(self, models: Models) -> Float[jax.Array, "n_reco ny nx"]:
        """Counts in the box of what has no window: of sources that do not change, and of templates."""
        spec = self.spec
        total = jnp.asarray(self.arrays["constant"]).reshape(spec.n_reco, *spec.box)
        for part in (part for part in spec.parts if part.kind == "template"):
            norm, counts = self._template(models[part.models[0]])
            total = total + counts * norm[:, None, None]
        return total

    def _template(self, model: eqx.Module) -> tuple[Float[jax.Array, " n_reco"], Float[jax.Array, "n_reco ny nx"]]:
        """Norm per energy and counts in the box, (n_reco,) and (n_reco, ny, nx), of a `TemplateNPredModel`."""
        assert self.spec.origin is not None and isinstance(model, TemplateNPredModel)
        return model.evaluate(self.energy_centers), cut_box(jnp.asarray(model.counts), self.spec.box, self.spec.origin)

    def _over_sources(
        self,
        number: int,
        part: SourcePart,
        models: Models,
        add: Callable[[Bins, Source], tuple[Bins, None]],
        total: Bins,
    ) -> Bins:
        """``total`` after ``add(total, (model, place, leaves))`` for every source of a part."""
        places, leaves = self._stacked(number, part)
        chosen = [cast(SkyModel, models[i]) for i in part.models]
        if len(chosen) == 1:
            return add(total, (chosen[0], places[0], [leaf[0] for leaf in leaves]))[0]
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *chosen)
        return jax.lax.scan(add, total, (stacked, places, leaves))[0]

    def _stacked(self, number: int, part: SourcePart) -> Stacked:
        """The first pixels of the windows of a part, and its arrays, with one row a source."""
        leaves = [jnp.asarray(self.arrays[f"part_{number}_{k}"]) for k in range(part.n_leaves)]
        return jnp.asarray(self.arrays[f"place_{number}"]), leaves

    def background_bins(self, models: Models, signal: Bins | None = None) -> Bins:
        """Background per bin, (n_bins,); profiled for the signal where it is measured."""
        raise InputError(f"{type(self).__name__} has no background.")

    def spectra(self, models: Models) -> tuple[Bins, Bins]:
        signal = self.signal(models)
        parts = (signal, self.background_bins(models, signal))
        first, second = (jnp.where(self.mask, x, 0.0).reshape(self.spec.n_reco, -1).sum(axis=1) for x in parts)
        return first, second + self.arrays.get("rest_background", 0.0)


class KnownMap(PreparedMap):
    """A prepared map with a known background."""

    def _predicted(self, models: Models, signal: Bins) -> Bins:
        return self.background_bins(models) + signal

    def weighted(self, models: Models, weights: Bins) -> Float[jax.Array, ""]:
        background = jnp.where(self.mask, self.background_bins(models), 0.0)
        return self.weighted_signal(models, weights) + jnp.sum(weights * background)

    def background_bins(self, models: Models, signal: Bins | None = None) -> Bins:
        """Background times its norm, per bin."""
        counts = jnp.asarray(self.arrays["background"]).reshape(self.spec.n_reco, -1) * livetime_factor(models)
        model = background_model(models)
        if model is None:
            return counts.reshape(-1)
        norm = self._norm(model)[:, None]
        if model.spatial is not None:
            sky = model.spatial.evaluate(self.arrays["vectors"], self.energy_centers)
            norm = norm * sky.reshape(-1, counts.shape[1])
        return (counts * norm).reshape(-1)

    def _norm(self, model: FoVBackgroundModel) -> Float[jax.Array, " n_reco"]:
        """The spectral norm of the background per energy."""
        kept = fitted_energies(jnp.asarray(self.mask).reshape(self.spec.n_reco, -1))
        return background_norm(model, self.energy_edges, self.spec.energy_interp, kept)

    def expected(self, models: Models) -> Bins:
        """`predict`, and for the rest of the map the norm of its background."""
        predicted = self.predict(models)
        if not self.spec.rest:
            return predicted
        model = background_model(models)
        norm = jnp.ones(self.spec.n_reco, predicted.dtype) if model is None else self._norm(model)
        return predicted.reshape(self.spec.n_reco, -1).at[:, -1].set(norm).reshape(-1)


class MeasuredMap(PreparedMap):
    """A prepared map with off counts; what the sources do not reach is a constant."""

    def weighted(self, models: Models, weights: Bins) -> Float[jax.Array, ""]:
        return self.weighted_signal(models, weights)

    def background_bins(self, models: Models, signal: Bins | None = None) -> Bins:
        """Background profiled for the signal, per bin."""
        return self.statistic.background_bins(self.data, self.signal(models) if signal is None else signal)

    def expected(self, models: Models) -> Bins:
        signal = self.signal(models)
        return signal + self.background_bins(models, signal)


Kind = tuple[str, ModelDef, jax.tree_util.PyTreeDef]
"""What sources of one part have in common: "source" or "shape", their definition, and the tree of their arrays."""


@dataclass
class _Sorted:
    """The models of a fit by how they enter: as constants, templates, or sources that differ in numbers only."""

    unchanging: list[eqx.Module]
    templates: list[int]
    alike: dict[Kind, list[Member]]


def prepare_map(
    dataset: CountsBase, response: Response, models: Models, frozen: Sequence[Frozen], name: str, *, measured: bool
) -> tuple[MapSpec, Arrays]:
    """A map with the models that act on it, at their present parameters."""
    found = _sorted(response, models, frozen)
    constant: Array = np.zeros(dataset.data_shape)
    if found.unchanging and not is_tracing_ahead():
        signal = dataset.signal([*found.unchanging, *instruments_of(models, frozen).models])
        constant = np.asarray(signal) if is_concrete(signal) else signal
    data = {field: getattr(dataset, field) for field in ("counts", *dataset.background_fields)}
    data = {name: values for name, values in data.items() if name != "weights" or values is not None}
    if not measured and data["background"] is None:
        data["background"] = np.zeros(dataset.data_shape)
    mask = fitted_bins(dataset)
    images = [f for members in found.alike.values() for _, _, f in members]
    known = all(is_concrete(x) for f in images for x in (f.x, f.y))
    norms = any(isinstance(m, FoVBackgroundModel) and m.spatial is not None for m in models)
    whole = norms or bool(found.templates) or bool(found.unchanging) or not known
    whole = whole or not all(is_concrete(x) for x in (mask, *data.values()))
    whole = whole or not (measured or dataset.statistic.merges)
    box, origin, room = box_around(dataset.pixels, images, whole, known)
    if measured:
        (arrays, extra), rest = measured_bins(dataset.statistic, data, mask, box, origin), False
    else:
        arrays, extra, rest = known_bins(dataset.statistic, data, mask, box, origin)
    arrays |= {k: getattr(dataset, k) for k in ("energy_edges", "energy_true_edges")}
    arrays |= {"constant": cut_box(constant, box, origin), "extra": extra, "origin": np.array(origin)}
    parts = [SourcePart("template", (i,)) for i in found.templates]
    first = origin[0] - room[0], origin[1] - room[1]
    for (kind, _, treedef), members in found.alike.items():
        parts.append(part_of(kind, treedef, members, len(parts), first, known, arrays))
    if norms:
        x, y = np.meshgrid(np.arange(box[1]) + float(origin[1]), np.arange(box[0]) + float(origin[0]))
        arrays["vectors"] = response.geom.shown_vectors(x, y)[0]
    timed = [m for m in models if isinstance(m, SkyModel) and m.temporal is not None]
    if timed:
        timed[0].check_times(dataset.gti, f"Dataset {name!r}")
        assert dataset.gti is not None
        arrays |= dataset.gti.to_arrays()
    spec = MapSpec(
        dataset.statistic, measured, dataset.n_reco, dataset.nodes, box, room, rest, tuple(parts),
        origin if found.templates else None, dataset.energy_interp,
    )  # fmt: skip
    return spec, arrays


def _sorted(response: Response, models: Models, frozen: Sequence[Frozen]) -> _Sorted:
    found, instruments = _Sorted([], [], {}), instruments_of(models, frozen)
    for i, (model, is_frozen) in enumerate(zip(models, frozen, strict=True)):
        if isinstance(model, FoVBackgroundModel | InstrumentModel):
            continue
        if is_frozen.model and not (instruments.free and isinstance(model, SkyModel)):
            found.unchanging.append(model)
            continue
        if isinstance(model, TemplateNPredModel):
            found.templates.append(i)
            continue
        source = cast(SkyModel, model)
        sizes = plan(response, source)
        definition, numbers = canonical(source)
        made = is_frozen.shape and sizes.psf != "reco" and not instruments.psf_width
        program = image_of_shape if made else image_with_radial if instruments.psf_width else image_of_source
        pair = prepared_image(program, (sizes, definition), response, numbers)
        leaves, treedef = jax.tree_util.tree_flatten(pair)
        key = ("shape" if made else "source", definition, treedef)
        found.alike.setdefault(key, []).append((i, leaves, pair[0]))
    return found
