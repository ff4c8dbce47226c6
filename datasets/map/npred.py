"""Predicted counts of maps: images of sources, times exposure, folded with the energy dispersion."""

from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from ...kernels.quadrature import log_centers
from ..arrays import Array, is_concrete, stack_rows
from ..compile import Program
from ..counts.flux import source_flux
from ..counts.instrument import NOMINAL, Instrument
from ..gti import GTI
from ..models.flatten import ModelDef, canonical
from ..models.sky_model import SkyModel
from ..statistics.base import Bins
from .plan import Plan
from .reach import reaching
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
    for model, sizes in reaching(response, sources):
        definition, numbers = canonical(model)
        alike.setdefault((definition, sizes), []).append(numbers)
    concrete = all(is_concrete(x) for x in jax.tree.leaves((response, gti, instrument)))
    for (definition, sizes), members in alike.items():
        columns, number = _columns(members, concrete)
        total = _add_sources((definition, sizes, nodes), total, columns, number, response, gti, instrument)
    return total


def _columns(members: list[list[Array]], concrete: bool) -> tuple[list[Array], np.ndarray | None]:
    """The numbers of sources, with one row for each; and how many of the rows count, where not all do.

    So many rows are there that a few sources more or less are no other program. Loops over a number that is not known
    beforehand have no slopes in reverse: what is traced has a row for each.
    """
    n = len(members)
    size = sum(np.size(x) for x in members[0])
    known = concrete and all(is_concrete(x) for numbers in members for x in numbers)
    if n == 1 or not known or size > MOST_NUMBERS:
        return [stack_rows(list(column)) for column in zip(*members, strict=True)], None
    rows = 4
    while rows < n:
        rows *= 4
    padded = members + [members[0]] * (rows - n)
    return [stack_rows(list(column)) for column in zip(*padded, strict=True)], np.asarray(n)


MOST_NUMBERS = 256
"""Numbers of a source up to which rows that nobody reads cost nothing; templates have more."""


@Program
def _add_sources(
    static: tuple[ModelDef, Plan, int],
    total: Bins,
    columns: list[Array],
    number: Int[Array, ""] | None,
    response: Response,
    gti: GTI | None,
    instrument: Instrument,
) -> Bins:
    """``total`` and the counts of sources of one definition with the numbers of the rows, or of the first ``number``
    of them."""
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
    if number is not None:
        rows = [jnp.asarray(column) for column in columns]
        padded = jax.lax.fori_loop(0, number, lambda i, sum_: add(sum_, [row[i] for row in rows])[0], padded)
    elif columns[0].shape[0] == 1:
        padded, _ = add(padded, [column[0] for column in columns])
    else:
        padded, _ = jax.lax.scan(add, padded, columns)
    return padded[:, ny:-ny, nx:-nx]
