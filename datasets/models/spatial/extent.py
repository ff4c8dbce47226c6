"""What sets the size of the image of a source: numbers that choose a program, and so must not be traced."""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import jax
import numpy as np

from ....kernels.buckets import round_up
from ...arrays import is_concrete
from ...errors import InputError
from ..parameter import Parameter, declared, is_parameter
from .base import ExtendedModel, SpatialModel

Extended = TypeVar("Extended", bound=ExtendedModel)

SHRINKS = 2.0
"""Factor by which sources may become smaller than their sizes say before they get new ones, Gaussians apart."""

STEP = math.sqrt(2)
"""From one bucket of sizes to the next."""


Rungs = tuple[float, ...]
"""Extents (deg) in ascending order, of which sources of free size have one; () where they are to have a margin."""


class Sizes(NamedTuple):
    """``extent``: half-width (deg) of the part of the sky on which a source is evaluated, rounded up to a power of
    sqrt 2; None for the whole sky. ``numbers``: its parameters, rounded, from which counts of nodes are found; of a
    Gaussian one number, which is 0 if it is round. ``shrinks``: factor by which the extent may become smaller, infinite
    on a rung (`on_rung`)."""

    extent: float | None
    numbers: tuple[float, ...] = ()
    shrinks: float = SHRINKS


def sizes_of(spatial: SpatialModel | None) -> Sizes | None:
    """Sizes of a spatial model with concrete parameters; those of the whole sky while JAX traces it."""
    if spatial is None:
        return None
    parameters = spatial.parameters
    if not all(is_concrete(p.value) for p in parameters.values()):
        return Sizes(None)
    radius = spatial.evaluation_radius
    if radius is None:
        return Sizes(None)
    extent = 0.0 if spatial.scheme == "point" else round_up(max(float(radius), 1e-3), 2)
    if spatial.scheme == "gauss":
        elongated = any(np.asarray(p.value) != 0 for p in parameters.values() if p.role == "eccentricity")
        return Sizes(extent, (float(elongated),), 1.0)
    if not isinstance(spatial, ExtendedModel):
        return Sizes(extent)
    # where a source lies and points has nothing to do with its size
    return Sizes(
        extent, tuple(0.0 if p.role in ("position", "latitude", "angle") else _rounded(p) for p in parameters.values())
    )


def fits_in(new: Sizes, old: Sizes) -> bool:
    """Whether a source of ``new`` sizes can be made with the ``old`` ones, without much waste."""
    if new == old:
        return True
    if new.extent is None or old.extent is None:
        return False
    smaller = all(a <= b for a, b in zip(new.numbers, old.numbers, strict=True))
    # buckets, up to rounding
    return smaller and old.extent / old.shrinks / 1.1 < new.extent < old.extent * 1.1


def sizes_in_fit(spatial: SpatialModel | None, sizes: Sizes | None, rungs: Sequence[Rungs]) -> Sizes | None:
    """Sizes of images in a fit to datasets with these ``rungs``: the larger of them, or a margin if one has none."""
    if spatial is None or spatial.scheme == "point":
        return sizes
    if rungs and all(rungs):
        return on_rung(spatial, sizes, tuple(max(extents) for extents in zip(*rungs, strict=True)))
    return with_margin(spatial, sizes)


def with_margin(spatial: SpatialModel, sizes: Sizes | None) -> Sizes | None:
    """Image sizes with which a Gaussian of free width can grow by two buckets and shrink by one, others as they are.

    For images that cost the more the narrower a source may become, and for datasets without rungs.
    """
    if sizes is None or sizes.shrinks != 1.0:
        return sizes
    free = _free_roles(spatial)
    if spatial.scheme != "gauss" or sizes.extent is None or not free & {"width", "eccentricity"}:
        return sizes
    elongated = 1.0 if "eccentricity" in free else sizes.numbers[0]
    return Sizes(sizes.extent * STEP**2, (elongated,), STEP**3)


def on_rung(spatial: SpatialModel, sizes: Sizes | None, rungs: Rungs) -> Sizes | None:
    """Image sizes of the lowest of a few ``rungs`` (deg) that holds a source of free size; of others as they are.

    They do not depend on how small the source is now: other starts of a fit, and other ends, share its programs.
    """
    free, radius = _free_roles(spatial), spatial.evaluation_radius
    if sizes is None or sizes.extent is None or radius is None or not free & {"width", "radius", "eccentricity"}:
        return sizes
    if spatial.scheme == "gauss":
        return Sizes(_rung(float(radius), rungs), (0.0,), math.inf)
    if not isinstance(spatial, ExtendedModel) or not free <= {*UNSIZED, *LENGTHS}:
        return sizes
    # nodes cost by their number, which goes with the area
    lowest, *others = rungs
    extent = _rung(float(radius), (NODE_SHARE * lowest, lowest, *others[1:]))
    thin = tuple(extent / 4**k for k in (2, 1, 0))

    def number(p: Parameter) -> float:
        if p.role in UNSIZED and (p.role != "eccentricity" or not p.frozen):
            return 0.0
        if p.frozen:
            return _rounded(p)
        return extent if p.role == "radius" else _rung(float(p.value), thin)

    return Sizes(extent, tuple(number(p) for p in spatial.parameters.values()), math.inf)


UNSIZED = ("position", "latitude", "angle", "eccentricity")
"""Roles of parameters that add nothing to the size of a source: a round one is the largest."""

LENGTHS = ("radius", "width")

NODE_SHARE = 0.3
"""Extent of the smallest sources that are made of nodes, in the lowest rung."""


def _free_roles(spatial: SpatialModel) -> set[str]:
    return {p.role for p in spatial.parameters.values() if not p.frozen}


def _rung(size: float, rungs: Rungs) -> float:
    """The lowest of the rungs that holds a size; the highest is doubled until it does."""
    high = next((rung for rung in rungs if size <= rung * (1 + 1e-9)), rungs[-1])
    while high * (1 + 1e-9) < size < math.inf:
        high *= 2
    return high


def _rounded(parameter: Parameter) -> float:
    """Sizes rounded up to their bucket; numbers without unit to two digits."""
    value = float(parameter.value)
    if parameter.unit == "" or value <= 0:
        return float(f"{value:.2g}")
    return round_up(value, 2)


def representative(spatial: Extended, sizes: Sizes) -> Extended:
    """The model with the rounded parameters of its ``sizes``: concrete also where the model itself is traced."""
    leaves, treedef = jax.tree_util.tree_flatten(spatial, is_leaf=is_parameter)
    numbers = iter(sizes.numbers)
    new = [
        declared(Parameter(np.asarray(next(numbers))), leaf.scale, leaf.role) if is_parameter(leaf) else leaf
        for leaf in leaves
    ]
    return jax.tree_util.tree_unflatten(treedef, new)


NODE_SPACING = 1.2
"""Distance of the nodes of extended sources in lattice steps: their blurred sum is smooth to exp(-2 pi^2 / 1.2^2)."""


def extended_nodes(
    spatial: SpatialModel | None, sizes: Sizes | None, spacing: float
) -> tuple[tuple[int, ...], int] | tuple[()]:
    """Counts of the nodes of an extended source no farther apart than ``spacing`` (deg); () for others."""
    if not isinstance(spatial, ExtendedModel):
        return ()
    if sizes is None or sizes.extent is None:
        raise InputError(
            f"{type(spatial).__name__}: made inside a JAX transformation, so that its size is unknown. Make the model "
            "outside, and change its parameters inside with equinox.tree_at."
        )
    return representative(spatial, sizes).node_counts(spacing)
