"""Parts of a prepared map: sources that differ in numbers only, which are done one after the other."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ...kernels.derivatives import along, one_by_one, unit_steps
from ..arrays import Array, PickledTrees, stack_rows
from ..models.flatten import BuiltModels, Rows
from ..models.sky_model import SkyModel
from ..prepared import Arrays
from ..statistics.base import Bins
from .box import Place
from .source_image import Image, SourceImage, add_window

Stacked = tuple[Int[jax.Array, "m 2"], list[jax.Array]]
"""Of the m sources of a part: the first pixels (y, x) of their windows in the box, and their arrays."""

Slopes = Float[jax.Array, "m slots n_reco ny nx"]
"""Slopes of the counts in the windows of the m sources of a part, in the numbers that are free in any of them."""

Source = tuple[SkyModel, Int[jax.Array, " 2"], list[jax.Array]]
"""A source of a prepared map: the model, the first pixel (y, x) of its window in the box, and its arrays."""

Member = tuple[int, list[Array], SourceImage]
"""A source of a part: its place among the models, its arrays, and its image."""

Slot = tuple[int, int]
"""One number of a model: its item, and its place in that."""


@dataclass(frozen=True)
class SourcePart(PickledTrees):
    """How some models enter: "source" (images made anew), "shape" (images made already), or "template".

    ``models`` are their places among the models; sources of one part differ in numbers only. ``treedef`` is that of the
    arrays of one source, of which there are ``n_leaves``. ``scheme`` says how images are made, see `Plan`; it is
    "four-pixel" for points that are shared out over pixels. ``by_transform``: whether from transforms; ``radial``:
    whether from kernels that are made anew as the point spread function becomes wider.
    """

    kind: str
    models: tuple[int, ...]
    treedef: jax.tree_util.PyTreeDef | None = None
    n_leaves: int = 0
    scheme: str = ""
    by_transform: bool = False
    radial: bool = False

    def unpacked(self, leaves: Sequence[jax.Array]) -> tuple[SourceImage, Image]:
        """Image of one source, and exposed image of a frozen shape, from its arrays."""
        return jax.tree_util.tree_unflatten(cast(jax.tree_util.PyTreeDef, self.treedef), leaves)

    def add_with_slopes(
        self,
        total: Bins,
        window: Callable[[SkyModel, list[jax.Array]], Image],
        stacked: Stacked,
        models: BuiltModels,
        rows: Rows,
        shapes: Container[int],
    ) -> tuple[Bins, Slopes]:
        """Counts (n_reco, y, x) with those of the sources of this part added, and their slopes, in the order of
        `places`.

        ``window(model, leaves)``: counts of one of them, (n_reco, ny, nx). See `Prepared.by_source` for the rest.
        """
        definition, slots = models.definition(self.models[0]), self._slots(rows)
        numbers = [models.numbers(i) for i in self.models]
        columns = [jnp.stack([jnp.asarray(x) for x in column]) for column in zip(*numbers, strict=True)]
        images = [k for k, (j, e) in enumerate(slots) if any(rows[i][j][e] in shapes for i in self.models)]
        others = [k for k in range(len(slots)) if k not in images]

        def add(total: Bins, source):
            values, (y, x), leaves = source

            def counts(chosen: list[int], steps: list[jax.Array]) -> Image:
                moved = _moved(values, [slots[k] for k in chosen], steps)
                return window(cast(SkyModel, definition.build(moved)), leaves)

            shown: Image | None = None
            slopes: dict[int, Image] = {}
            for chosen, method in ((images, one_by_one if self.by_transform else along), (others, along)):
                if chosen:
                    at = [jnp.zeros((), total.dtype)] * len(chosen)
                    shown, slope = method(lambda steps, chosen=chosen: counts(chosen, steps), at, unit_steps(at))
                    slopes |= {k: slope[number] for number, k in enumerate(chosen)}
            shown = counts([], []) if shown is None else shown
            of_slots = [slopes[k] for k in range(len(slots))]
            return add_window(total, shown, x, y), jnp.stack(of_slots) if slots else jnp.zeros((0, *shown.shape))

        places, leaves = stacked
        sources = columns, places, leaves
        if len(self.models) > 1:
            return jax.lax.scan(add, total, sources)
        total, slopes = add(total, jax.tree.map(lambda x: x[0], sources))
        return total, slopes[None]

    def places(self, rows: Rows) -> Int[np.ndarray, "m slots"]:
        """The rows of the free numbers of each source, -1 where one is fixed."""
        return np.array([[rows[i][j][k] for j, k in self._slots(rows)] for i in self.models], int)

    def add_bends(
        self,
        found: jax.Array,
        overlap: Callable[[Source], jax.Array],
        stacked: Stacked,
        models: BuiltModels,
        rows: Rows,
    ) -> jax.Array:
        """Second derivatives (n, n) of sums over sources with those of ``overlap(source)`` of each one here added: only
        a source itself changes along its parameters."""
        definition, slots = models.definition(self.models[0]), self._slots(rows)
        numbers = [models.numbers(i) for i in self.models]
        columns = [jnp.stack([jnp.asarray(x) for x in column]) for column in zip(*numbers, strict=True)]
        to = self.places(rows)
        if not slots:
            return found

        def bend(source) -> jax.Array:
            values, place, leaves = source

            def value(steps: list[jax.Array]) -> jax.Array:
                model = cast(SkyModel, definition.build(_moved(values, slots, steps)))
                return overlap((model, place, leaves))

            at = [jnp.zeros((), found.dtype)] * len(slots)
            return jnp.stack(along(jax.grad(value), at, unit_steps(at))[1], axis=-1)

        sources = columns, *stacked
        if len(self.models) == 1:
            bent = bend(jax.tree.map(lambda x: x[0], sources))[None]
        else:
            bent = jax.lax.map(bend, sources)
        # fixed numbers have no row
        index = jnp.asarray(np.where(to < 0, found.shape[0], to))
        return found.at[index[:, :, None], index[:, None, :]].add(bent, mode="drop")

    def _slots(self, rows: Rows) -> list[Slot]:
        """The numbers that are free in any of the sources."""
        of_items = zip(*(rows[i] for i in self.models), strict=True)
        return [(j, k) for j, of in enumerate(of_items) for k in range(len(of[0])) if any(r[k] >= 0 for r in of)]


def _moved(values: Sequence[jax.Array], slots: Sequence[Slot], steps: Sequence[jax.Array]) -> list[jax.Array]:
    """The numbers of a model, those in the ``slots`` a step away."""
    moved = list(values)
    for (j, e), step in zip(slots, steps, strict=True):
        moved[j] = moved[j] + step if moved[j].ndim == 0 else _stepped(moved[j], e, step)
    return moved


def _stepped(values: jax.Array, place: int, step: jax.Array) -> jax.Array:
    return jnp.ravel(values).at[place].add(step).reshape(values.shape)


def part_of(
    kind: str,
    treedef: jax.tree_util.PyTreeDef,
    members: list[Member],
    number: int,
    first: Place,
    known: bool,
    arrays: Arrays,
) -> SourcePart:
    """One part of the sources; its arrays are added to ``arrays``. ``first``: the pixel (y, x) at which their places
    begin."""
    n_leaves, of_first = len(members[0][1]), members[0][2].plan
    shared_out = of_first.scheme == "point" and of_first.grid == "pixel"
    scheme = "four-pixel" if shared_out else of_first.scheme
    xp = np if known else jnp
    # where all members of a group have it at the same place, adding a window is a copy and not a scatter
    places = [[xp.asarray(f.y) - first[0], xp.asarray(f.x) - first[1]] for _, _, f in members]
    arrays[f"place_{number}"] = xp.stack([xp.stack(p) for p in places])
    for k in range(n_leaves):
        arrays[f"part_{number}_{k}"] = stack_rows([leaves[k] for _, leaves, _ in members])
    radial = members[0][2].radial is not None
    return SourcePart(kind, tuple(i for i, _, _ in members), treedef, n_leaves, scheme, of_first.by_transform, radial)
