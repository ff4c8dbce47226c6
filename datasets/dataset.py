"""What a dataset says about itself: the one protocol of all types, of the package and of your own.

A type needs three things::

    class Measured(gj.Dataset):
        energy: jax.Array               # numbers that enter arithmetic: arrays; anything else is a static field
        value: jax.Array
        sigma: jax.Array
        tag = "Measured"
        @property
        def data_shape(self):           # one statistic each
            return self.value.shape

        def predict(self, models):      # what the data are compared with, of that shape; JAX only
            return gj.dnde(models, self.energy)
        def stat_bins(self, prediction):  # -2 ln L of each
            return ((self.value - prediction) / self.sigma) ** 2

`gj.stat_array`, `gj.stat_sum`, `gj.fit` (alone, or jointly with any other datasets), `gj.log_density` and `gj.profile`
work then. Further methods may be overridden: see `Dataset`. `gj.register_dataset` adds reading and writing.

A joint fit asks a dataset for a `Spec` and arrays, once (`Dataset.prepare`), and works on what the spec makes of the
arrays, a `Prepared` dataset: everything that no free parameter changes has been computed by then.
"""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, NoReturn, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, PyTree

from .arrays import Array, Mask, PickledTrees, is_concrete
from .bins import masked, require_shape
from .errors import InputError
from .hints.modules import HintedModule, require_models
from .seen import Scores, Spectrum
from .shown import Facts, Shown
from .statistics.base import Bins, Statistic, scoring_terms

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
        """`predict`, and its slopes in ``n`` free parameters through the models of `Spec.sources`, as `products` takes
        them; items of these have the ``rows`` (-1: fixed numbers), of which ``shapes`` change images."""
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
        """Counts of `Prepared.shown` in the ``shape`` of the data; those of maps begin at the pixel ``origin``."""
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


class Dataset(Shown, HintedModule):
    """Base of all datasets. A subclass has ``data_shape``, ``predict`` and ``stat_bins``.

    ``mask_safe`` and ``mask_fit`` are fields of a subclass that has masks, of ``data_shape`` or None. ``gti`` is one if
    light curves shall apply. What enters arithmetic is an array field; what chooses the program is static.
    """

    tag: ClassVar[str] = ""
    stat_type = "custom"
    prepare_compiles: ClassVar[bool] = False
    """Whether `prepare` runs programs of its own, which the first fit of a kind traces ahead."""

    has_counts: ClassVar[bool] = False
    """Whether the data are counts of events."""

    @property
    @abstractmethod
    def data_shape(self) -> tuple[int, ...]:
        """Shape of predictions, statistics and masks."""

    @abstractmethod
    def predict(self, models: Models) -> Bins:
        """What the data are compared with, of ``data_shape``: traceable by JAX. ``models`` act on this dataset."""

    @abstractmethod
    def stat_bins(self, prediction: Array) -> Bins:
        """-2 ln L per bin, masks not applied; finite with finite slopes wherever a bin may be fitted."""

    def deviance_bins(self, prediction: Array) -> Bins:
        """`stat_bins` less a constant of the data."""
        return self.stat_bins(prediction)

    def offset_bins(self) -> Bins:
        """`stat_bins` minus `deviance_bins`."""
        return jnp.zeros(self.data_shape)

    def scoring_bins(self, prediction: Array) -> tuple[Bins, Bins, Bins]:
        """`deviance_bins`, its slope in the prediction, and a curvature that is not negative, per bin.

        The curvature is that of the statistic, and where that is negative the slope squared over two. Bins must not
        depend on each other's predictions.
        """
        return scoring_terms(self.deviance_bins, prediction)

    def npred(self, models: Models | None = None) -> Bins:
        """All that is expected, of ``data_shape``; of a dataset without counts what its data are compared with."""
        return jnp.asarray(self.predict(require_models(models, "npred")))

    @property
    def mask(self) -> Mask | None:
        """Bins that enter the fit statistic: mask_safe and mask_fit; None when there is neither."""
        safe, fit = getattr(self, "mask_safe", None), getattr(self, "mask_fit", None)
        if safe is None or fit is None:
            return fit if safe is None else safe
        return safe & fit

    @property
    def sky_geom(self) -> eqx.Module | None:
        """The pixels of a map, a `SkyGeom`; None for what has none."""
        return None

    def replace(self, **changes: Any) -> Self:
        """A copy with changed fields."""
        return dataclasses.replace(self, **changes)

    # what a fit asks

    def check_models(self, models: Models, what: str) -> None:
        """Raise an `InputError` that starts with ``what`` if the dataset cannot be fitted with these models."""

    def check_ready(self, models: Models, what: str) -> None:
        """Raise an `InputError` that starts with ``what`` if the dataset cannot enter a fit with these models."""
        self.check_models(models, what)
        mask = fitted_bins(self)
        if is_concrete(mask) and not np.any(mask):
            raise InputError(
                f"{what}: none of its {np.size(mask)} bins can be fitted: all are masked, or lack what the statistic "
                f"{self.stat_type!r} needs. Widen the fit range, or leave the dataset out."
            )

    def prepare(self, models: Models, frozen: Sequence[Frozen], name: str = "") -> tuple[Spec, Arrays]:
        """Spec and arrays for a joint fit: ``spec(**arrays)`` is the dataset that a fit sees.

        ``models`` act on it and have their present values; ``frozen`` has one entry for each. ``name`` is that of the
        dataset, for messages. ``arrays["mask_safe"]`` (n_bins,) is the mask.
        """
        leaves, treedef = jax.tree.flatten(self)
        for leaf in leaves:
            if not eqx.is_array_like(leaf):
                raise InputError(
                    f"{type(self).__name__}: found {leaf!r} among its numbers. Declare a field that is not an array "
                    "as static: eqx.field(static=True)."
                )
        arrays = {
            f"leaf_{i}": leaf if isinstance(leaf, jax.Array) else np.asarray(leaf) for i, leaf in enumerate(leaves)
        }
        spec = TreeSpec(treedef, tuple((np.shape(a), str(a.dtype)) for a in arrays.values()))
        return spec, arrays | {"mask_safe": fitted_bins(self).reshape(-1)}

    def frame(self) -> Arrays:
        """Arrays of all bins that `Spec.counted` and `Spec.unfolded` need beside those of `prepare`."""
        return {}

    def moved(self, before: Models, after: Models) -> bool:
        """Whether one of the models that act on the dataset has moved or grown so far that it has to be prepared again:
        its responses are those of another place."""
        return False

    def source_scores(
        self, models: Models, source: eqx.Module, like: Scores | None = None, signal: np.ndarray | None = None
    ) -> Scores | None:
        """How well one more source like ``source`` would do at the places that the dataset tells apart, beside the
        ``models``; or ``like`` those of other datasets, with what it would do here added. None where places do not
        matter. ``signal``: counts of the sources among the ``models``, where they are known."""
        return like

    @property
    def image_rungs(self) -> tuple[float, ...] | None:
        """Extents of the images of sources of free size; None where sizes choose no images."""
        return None

    def fitted_range(self, models: Models) -> tuple[int, int] | None:
        """Of data along one axis the first and one past the last of the bins that matter in a fit of these models, if
        the dataset may be sliced so (`slice_by_idx`); None if it stays whole."""
        return None

    # what summaries ask

    @property
    def facts(self) -> Facts:
        return {"": f"data of shape {self.data_shape}", "statistic": self.stat_type}

    def info_dict(self) -> dict[str, Any]:
        """The dataset in figures, all that `gammajax.info_dict` shows without a name and models."""
        mask = np.asarray(fitted_bins(self))
        return {"type": self.tag, "stat_type": self.stat_type, "n_bins": int(mask.size), "n_fit_bins": int(mask.sum())}

    def summary(self, models: Models | None = None) -> dict[str, Any]:
        """`info_dict`, and with ``models`` what depends on them."""
        if models is None:
            return self.info_dict()
        return self.info_dict() | {"stat_sum": float(np.sum(stat_bins_of(self, models)))}

    def spectrum(self, signal: Array, background: Array) -> Spectrum:
        """Data and prediction per energy; ``signal`` and ``background`` are those of `Prepared.spectra`."""
        mask = np.asarray(fitted_bins(self))
        bins = np.asarray(mask.reshape(mask.shape[0], -1).any(axis=1))
        unknown = np.full(bins.shape, np.nan)
        edges = getattr(self, "energy_edges", None)
        edges = np.full(bins.size + 1, np.nan) if edges is None else np.asarray(edges)
        return Spectrum(edges, unknown, unknown, unknown, unknown, unknown, bins, int(mask.sum()))

    def residuals(self, models: Models | None = None, method: str = "diff") -> Array:
        """Data minus prediction by a ``method`` that the type knows, see `gammajax.residuals`."""
        self._has_no_counts("residuals")

    def residual_methods(self) -> tuple[str, ...]:
        """The methods that `residuals` knows."""
        return ()

    def _has_no_counts(self, what: str) -> NoReturn:
        raise InputError(f"{what}: found {type(self).__name__}, expected one dataset of counts: datasets['name'].")


@dataclass(frozen=True)
class TreeSpec(PickledTrees, Spec):
    """A dataset from its leaves."""

    treedef: jax.tree_util.PyTreeDef
    shapes: tuple[tuple[tuple[int, ...], str], ...]

    def __call__(self, **arrays: Array) -> "FlatDataset":
        numbers = [arrays[f"leaf_{i}"] for i in range(self.treedef.num_leaves)]
        return FlatDataset(jax.tree.unflatten(self.treedef, numbers), arrays["mask_safe"])


class FlatDataset(Prepared):
    """A `Dataset` of any shape as a fit sees it: with one axis of bins."""

    def __init__(self, dataset: Dataset, mask: Array):
        self.dataset, self.mask = dataset, mask

    def predict(self, models: Models) -> Bins:
        return self._flat("predict", self.dataset.predict(models))

    def deviance_bins(self, prediction: Bins) -> Bins:
        return self._flat("deviance_bins (or stat_bins)", self.dataset.deviance_bins(self._shaped(prediction)))

    def offset_bins(self) -> Bins:
        return jnp.ravel(self.dataset.offset_bins())

    def scoring_bins(self, prediction: Bins) -> tuple[Bins, Bins, Bins]:
        first, second, third = (jnp.ravel(term) for term in self.dataset.scoring_bins(self._shaped(prediction)))
        return first, second, third

    def _shaped(self, prediction: Bins) -> Bins:
        return prediction.reshape(self.dataset.data_shape)

    def _flat(self, what: str, values: Array) -> Bins:
        require_shape(f"{type(self.dataset).__name__}.{what}", values, self.dataset.data_shape)
        return jnp.ravel(values)


def fitted_bins(dataset: Dataset) -> Mask:
    """The mask as an array, all True where there is none; of ``data_shape``."""
    mask = dataset.mask
    return np.ones(dataset.data_shape, bool) if mask is None else mask


def stat_bins_of(dataset: Dataset, models: Models) -> Bins:
    """Fit statistic per bin, 0 outside the mask."""
    prediction, name = dataset.predict(models), type(dataset).__name__
    require_shape(f"{name}.predict", prediction, dataset.data_shape)

    def stat_bins(prediction: Array) -> Bins:
        stat = dataset.stat_bins(prediction)
        require_shape(f"{name}.stat_bins", stat, dataset.data_shape)
        return stat

    return masked(dataset.mask, stat_bins, jnp.asarray(prediction))
