"""Counts of the frozen sources of a map: made once, and kept while nothing that they are made of changes."""

from collections.abc import Hashable, Sequence

import jax

from ...kernels.programs import KeptArrays
from ..arrays import Array, fields_of
from ..compile import being_traced
from ..counts.instrument import NOMINAL, Instrument
from ..gti import GTI
from ..models.flatten import ModelDef, flatten
from ..models.sky_model import SkyModel
from ..statistics.base import Bins
from .npred import map_counts
from .response import Response

MANY = 8
"""Frozen sources from which on they are kept: to read all responses is as dear as a few images."""

MOST_BYTES = 2**28

kept_counts = KeptArrays(MOST_BYTES)


def counts_of_sources(
    response: Response,
    sources: Sequence[SkyModel],
    nodes: int,
    gti: GTI | None,
    what: str,
    instrument: Instrument = NOMINAL,
) -> Bins:
    """`map_counts`, those of many frozen sources from the last call with the same ones.

    What is kept goes by the content of all that `map_counts` is given: the numbers and definitions of the sources, the
    pixels, axes and responses of the map, its times, and the state of the instrument.
    """
    rest: list[SkyModel] = []
    frozen: list[SkyModel] = []
    # models of one definition have the same object, and hashing one takes as long as flattening a model
    definitions: dict[int, tuple[int, ModelDef]] = {}
    order: list[int] = []
    numbers: list[Array] = []
    for model in sources:
        definition, of_model = _if_frozen(model)
        if of_model is None:
            rest.append(model)
            continue
        frozen.append(model)
        order.append(definitions.setdefault(id(definition), (len(definitions), definition))[0])
        numbers.extend(of_model)
    leaves, tree = jax.tree.flatten((response, gti, instrument))
    leaves += numbers
    if len(frozen) < MANY or being_traced(leaves) or not all(map(_is_here, leaves)):
        return map_counts(response, sources, nodes, gti, what, instrument)
    static: Hashable = (tree, nodes, tuple(order), tuple(d for _, d in definitions.values()))
    try:
        hash(static)
    except TypeError:  # a module of somebody's own, with a static field that cannot be hashed
        return map_counts(response, sources, nodes, gti, what, instrument)

    def make() -> Bins:
        return map_counts(response, frozen, nodes, gti, what, instrument)

    known = kept_counts.get(static, leaves, make)
    return known + map_counts(response, rest, nodes, gti, what, instrument) if rest else known


def _if_frozen(model: SkyModel) -> tuple[ModelDef, list[Array] | None]:
    """Definition of a model, and its numbers if none of them is free."""
    definition, items = flatten(model)
    if any(i.kind == "weights" or (i.kind == "parameter" and not fields_of(i.content)["frozen"]) for i in items):
        return definition, None
    return definition, [fields_of(i.content)["value"] if i.kind == "parameter" else i.content for i in items]


def _is_here(leaf: object) -> bool:
    """Whether this process has all of an array."""
    return not isinstance(leaf, jax.Array) or leaf.is_fully_addressable
