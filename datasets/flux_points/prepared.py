"""Flux points made ready for a fit: padded to a size that similar tables share."""

from dataclasses import dataclass

import jax.numpy as jnp

from ..arrays import Array
from ..gti import GTI
from ..models.sky_model import summed_flux
from ..prepared import Arrays, Models, PreparedCounts, Spec
from ..statistics.base import Bins, Statistic


@dataclass(frozen=True)
class PointsSpec(Spec):
    """Static side of flux points inside a fit."""

    statistic: Statistic
    shapes: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(self, **arrays: Array) -> "PreparedPoints":
        return PreparedPoints(self, arrays)


class PreparedPoints(PreparedCounts):
    """Flux points inside a fit.

    ``arrays`` hold ``energy`` (TeV), ``reference`` (dnde per unit norm), ``mask_safe``, what the statistic reads, and
    perhaps the good time intervals.
    """

    def __init__(self, spec: PointsSpec, arrays: Arrays):
        self.statistic, self.data = spec.statistic, arrays
        self.mask = arrays["mask_safe"]

    def predict(self, models: Models) -> Bins:
        """Predicted norms: flux at the reference energies, in units of the reference flux."""
        return self.expected(models) / jnp.asarray(self.data["reference"])

    def expected(self, models: Models) -> Bins:
        """The flux itself, as `FluxPointsDataset.npred`."""
        times = GTI.from_arrays(dict(self.data))
        return summed_flux(models, jnp.asarray(self.data["energy"]), times)
