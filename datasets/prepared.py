"""What a joint fit works on: datasets of which all that no free parameter changes has been computed."""

import math
from abc import ABC, abstractmethod
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PyTree

from .arrays import Array
from .bins import masked, require_shape
from .statistics.base import Bins, Statistic

Models = Sequence[eqx.Module]
"""Models that act on one dataset."""

Arrays = dict[str, Array]

Size = tuple[tuple[str, int], ...]


class Frozen(NamedTuple):
    """Of a model in a fit: whether all of its parameters are frozen, and whether those of its shape on the sky are."""

    model: bool
    shape: bool


class Prepared(ABC):
    """A dataset inside a fit: its bins in one axis, and nothing left to compute that no free parameter changes.

    ``mask`` (n_bins,) are the fitted bins.
    """

    mask: Bool[Array, " n_bins"]
    extra: Float[Array, ""] | float = 0.0
    """What is to be added to the sum of the statistic whatever the parameters are."""

    @abstractmethod
    def predict(self, models: Models) -> Bins:
        """What the data are compared with, (n_bins,)."""

    @abstractmethod
    def deviance_bins(self, prediction: Bins) -> Bins:
        """The statistic per bin, less a constant of the data."""

    @abstractmethod
    def offset_bins(self) -> Bins:
        """That constant, per bin."""

    @abstractmethod
    def scoring_bins(self, prediction: Bins) -> tuple[Bins, Bins, Bins]:
        """`deviance_bins`, its slope in the prediction, and a curvature that is not negative."""

    def expected(self, models: Models) -> Bins:
        """All that is expected, (n_bins,), as `Spec.unfolded` takes it: with the background of on counts."""
        return self.predict(models)

    def weighted(self, models: Models, weights: Bins) -> Float[jax.Array, ""]:
        """Sum of ``weights`` (n_bins,), 0 outside the mask, times `predict`."""
        return jnp.sum(masked(self.mask, lambda prediction: weights * prediction, self.predict(models)))

    def shown(self, models: Models) -> tuple[Bins, Bins]:
        """Counts of the sources, and `predict`, each (n_bins,)."""
        prediction = self.predict(models)
        return prediction, prediction

    def by_source(
        self, models: Models, rows: Sequence[Sequence[Sequence[int]]], n: int, shapes: Container[int]
    ) -> tuple[Bins, PyTree]:
        """`predict`, and its slopes in ``n`` free parameters through the models of `Spec.sources`, in whatever form
        `products` takes them; the items of the models have these ``rows`` (-1: fixed numbers), of which ``shapes``
        change images."""
        return self.predict(models), ()

    def products(
        self,
        slopes: PyTree,
        others: Float[Array, "k n_bins"],
        score: Bins,
        weight: Bins,
        rows: Sequence[Sequence[Sequence[int]]],
        n: int,
    ) -> tuple[Float[Array, " n"], Float[Array, "n n"], Float[Array, "n k"]]:
        """With the ``slopes`` J of `by_source`, and those of what else is predicted, D = ``others``: the products
        J score, J weight J^T and J weight D^T."""
        return jnp.zeros(n), jnp.zeros((n, n)), jnp.zeros((n, others.shape[0]))

    def bends(
        self, models: Models, weights: Bins, rows: Sequence[Sequence[Sequence[int]]], n: int
    ) -> Float[Array, "n n"]:
        """Second derivatives of `weighted` in the free parameters of the models of `Spec.sources`, likewise."""
        return jnp.zeros((n, n))

    def spectra(self, models: Models) -> tuple[Bins, Bins]:
        """Signal and background per energy, sums over the fitted pixels: each (n_reco,)."""
        signal = self.predict(models)
        return signal, jnp.zeros(signal.shape)


class PreparedCounts(Prepared):
    """A prepared dataset whose statistic is one of `STATISTICS`; ``data`` are the arrays that it reads."""

    statistic: Statistic
    data: Mapping[str, Array]

    def deviance_bins(self, prediction: Bins) -> Bins:
        deviance = self.statistic.deviance_bins(self.data, prediction)
        require_shape(f"{type(self.statistic).__name__}.stat_bins", deviance, jnp.shape(prediction))
        return deviance

    def offset_bins(self) -> Bins:
        return self.statistic.offset_bins(self.data)

    def scoring_bins(self, prediction: Bins) -> tuple[Bins, Bins, Bins]:
        return self.statistic.scoring_bins(self.data, prediction)


class Spec:
    """The static side of a prepared dataset: hashable, and all that chooses its program. A frozen dataclass.

    ``spec(**arrays)`` is the `Prepared` dataset. Specs that are equal but for the size are fitted as one: their
    arrays have equal shapes, or are padded to one size (`axes`).
    """

    @abstractmethod
    def __call__(self, **arrays: Array) -> Prepared: ...

    @property
    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """The axes of each array by name, if arrays may be padded to `size`: see `fit.joint.padding`."""
        return {}

    @property
    def size(self) -> Size:
        """Length of each axis that may be padded, and other numbers of which the largest of a family serves all."""
        return ()

    @property
    def bucketed(self) -> tuple[str, ...]:
        """The axes whose length may be rounded up to one that more datasets share."""
        return ()

    def with_size(self, size: Size) -> "Spec":
        """The spec of datasets that are padded to another size; of size () that of the whole family."""
        return self

    def cost(self, size: Size) -> int:
        """What a dataset of some size costs in a fit, in some unit."""
        return 1

    @property
    def of_counts(self) -> tuple[str, ...]:
        """The arrays that depend on counts: every dataset of a fit has its own."""
        return ()

    def counted(self, arrays: Arrays, frame: Arrays, counts: Arrays) -> Arrays:
        """The arrays `of_counts` for other ``counts`` (and off counts), of the shape of the data.

        ``arrays`` are those of the prepared dataset, padded; ``frame`` is its `Dataset.frame`. Pure.
        """
        flat, width = {n: jnp.ravel(jnp.asarray(counts[n])) for n in self.of_counts}, jnp.shape(arrays["mask_safe"])[0]
        return {name: jnp.pad(values, (0, width - values.shape[0])) for name, values in flat.items()}

    def unfolded(self, arrays: Arrays, frame: Arrays, bins: Bins, shape: tuple[int, ...]) -> Bins:
        """The bins of `Prepared.expected` in the ``shape`` of the data."""
        return bins[: math.prod(shape)].reshape(shape)

    def everywhere(self, signal: np.ndarray, origin: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The counts of the sources of `Prepared.shown` in the ``shape`` of the data; ``origin``: where their bins
        begin, if those are a part of a map."""
        return signal[: math.prod(shape)].reshape(shape)

    @property
    def makes_images(self) -> bool:
        """Whether predictions are images, next to which nothing else costs."""
        return False

    @property
    def sources(self) -> tuple[int, ...]:
        """Places of the models along whose numbers `Prepared.by_source` has slopes."""
        return ()

    @property
    def sums_images(self) -> bool:
        """Whether `Prepared.weighted` needs images, too."""
        return False

    @property
    def dear_to_weigh(self) -> bool:
        """Whether it needs images, or kernels of images that are made anew."""
        return self.sums_images

    @property
    def quick_to_compile(self) -> bool | None:
        """Whether second derivatives run so quickly that compiling them well costs more than it saves; None: no say."""
        return None
