"""What a fit statistic is: -2 ln L of bins, as pure functions of data and prediction."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..arrays import Array
from ..errors import InputError

Data = Mapping[str, Array]
"""Arrays of the data of one shape, by the names that a statistic gives in `Statistic.names`."""

Bins = Float[jax.Array, "..."]


class Statistic(ABC):
    """-2 ln L of bins, up to a constant of the data. An object without state: register one of each in `STATISTICS`.

    Bins do not depend on each other's predictions. Values and slopes are finite wherever a bin may be fitted.
    """

    stat_type: ClassVar[str]
    names: ClassVar[tuple[str, ...]]
    """Arrays of the data that it reads."""

    # without state: those of one class are one, also after pickling
    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    @property
    def described(self) -> str:
        """What tells it apart in another process."""
        return self.stat_type

    @abstractmethod
    def stat_bins(self, data: Data, prediction: Array) -> Bins:
        """The statistic per bin, masks not applied."""

    def deviance_bins(self, data: Data, prediction: Array) -> Bins:
        """`stat_bins` less a constant of the data, chosen so that the value is 0 for a perfect model."""
        return self.stat_bins(data, prediction)

    def offset_bins(self, data: Data) -> Bins:
        """`stat_bins` minus `deviance_bins`."""
        return jnp.zeros_like(jnp.asarray(data[self.names[0]]))

    def scoring_bins(self, data: Data, prediction: Array) -> tuple[Bins, Bins, Bins]:
        """`deviance_bins`, its slope in the prediction, and a curvature that is not negative, per bin.

        The curvature is the expected one where a statistic knows it. By default it is that of the statistic, and where
        that is negative the slope squared over two.
        """
        return scoring_terms(lambda p: self.deviance_bins(data, p), prediction)

    def background_bins(self, data: Data, signal: Array) -> Bins:
        """Background expected in the on region of on/off data for a ``signal``, per bin: what `npred_background`,
        residuals and plots show. The statistic of on and off counts decides it; InputError where it does not."""
        raise InputError(
            f"{type(self).__name__}: the statistic does not say what background it expects in on/off data. Override "
            "background_bins(data, signal)."
        )

    merges: ClassVar[bool] = False
    """Whether `merged_bins` is there: without it all pixels of maps are fitted one by one."""

    def merged_bins(self, data: Data, where: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Bins ``where`` nothing but a background with one norm per energy is predicted, as one bin per energy.

        ``data`` holds the arrays that the statistic reads and ``background``, (n_reco, ny, nx). Gives the arrays of the
        merged bins, (n_reco,), with their ``mask_safe``, and the constant by which their statistic differs from that of
        the single ones.
        """
        raise InputError(f"{type(self).__name__}: the statistic of a sum of bins does not say that of its parts.")

    def merged_counts(self, data: Data, where: Array) -> tuple[Bins, Bins]:
        """The counts and the constant of `merged_bins`, pure: for other counts inside a program."""
        raise InputError(
            f"{type(self).__name__} merges bins, but has no merged_counts: its counts cannot be exchanged."
        )


def scoring_terms(deviance: Callable[[Array], Bins], prediction: Array) -> tuple[Bins, Bins, Bins]:
    """Value, slope and curvature of a function that acts bin by bin, see `Statistic.scoring_bins`."""
    prediction = jnp.asarray(prediction)
    slope = jax.grad(lambda p: jnp.sum(deviance(p)))
    first, second = jax.jvp(slope, (prediction,), (jnp.ones_like(prediction),))
    return deviance(prediction), first, jnp.where(second > 0, second, first**2 / 2)
