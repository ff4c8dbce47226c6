"""Shapes by modules of somebody's own: neural networks, images of free pixels."""

import inspect
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ....kernels.sphere import from_icrs, vector_to_lonlat
from ...arrays import for_kernels
from ...errors import InputError
from ..component import ModelComponent
from ..spectral.base import Energies, Values
from .base import SpatialModel, Vectors


class ModuleSpatialModel(SpatialModel):
    """A surface brightness (sr-1) given by a module, ``module(lon, lat)`` or ``module(lon, lat, energy)``.

    ``lon`` (0 to 360) and ``lat`` in deg, in ``frame``, are arrays of one shape; ``energy`` in TeV has axes of length 1
    for these, and its own in front: what depends on energy gives the broadcast shape. A module of two arguments has one
    shape for all energies. `SkyModel` makes this of any other ``eqx.Module`` that it is given.

    The inexact arrays of the module are free parameters, whatever else is in it (functions, text, integers) stays. It
    is evaluated at the centres of the pixels of the whole map and as far beyond as the PSF reaches, with the responses
    in the middle of the map. Nothing makes its integral 1: freeze the amplitude of the spectrum, or divide by the
    integral in the module. It has no YAML form; arrays are kept with ``equinox.tree_serialise_leaves``.
    """

    module: Any

    def __check_init__(self) -> None:
        if not callable(self.module) or isinstance(self.module, type):
            raise InputError(
                "ModuleSpatialModel: module must be an object that is called with longitude and latitude, found "
                f"{type(self.module).__name__ if isinstance(self.module, eqx.Module) else repr(self.module)}."
            )

    @property
    def is_energy_dependent(self) -> bool:
        return _takes_energy(self.module)

    def evaluate(self, vectors: Vectors, energy: Energies | None = None) -> Values:
        lon, lat = vector_to_lonlat(from_icrs(jnp.asarray(vectors), self.frame))
        shape = jnp.shape(lon)
        if not self.is_energy_dependent:
            return self._spread(self.module(for_kernels(lon), for_kernels(lat)), (), shape)
        if energy is None:
            raise InputError("ModuleSpatialModel: its module takes an energy, and none is given.")
        at = for_kernels(energy).reshape((-1,) + (1,) * jnp.ndim(lon))
        return self._spread(self.module(for_kernels(lon), for_kernels(lat), at), (at.shape[0],), shape)

    def _spread(self, given: Any, energies: tuple[int, ...], sky: tuple[int, ...]) -> Values:
        """What the module gave, for all energies and places: a number and axes of length 1 are spread over them."""
        values, shape = jnp.asarray(given), (*energies, *sky)
        ends = shape[len(shape) - values.ndim :]
        if values.ndim not in (0, len(sky), len(shape)) or any(
            own not in (1, size) for own, size in zip(values.shape, ends, strict=True)
        ):
            raise InputError(
                f"ModuleSpatialModel: {type(self.module).__name__} gave shape {values.shape}, expected {shape}, for "
                f"longitudes and latitudes of shape {sky}. Map it over them: jax.vmap, jnp.vectorize."
            )
        return jnp.broadcast_to(values, shape)


def as_spatial(given: Any) -> Any:
    """A module of somebody's own as a spatial model; anything else, other parts of models too, as it is."""
    if isinstance(given, eqx.Module) and not isinstance(given, ModelComponent) and callable(given):
        return ModuleSpatialModel(given)
    return given


def _takes_energy(module: Any) -> bool:
    """Whether the third positional argument is one that a call has to give."""
    given = [
        p
        for p in inspect.signature(module).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    return len(given) > 2
