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
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .arrays import Array, Mask, PickledTrees, fields_of, is_concrete
from .bins import masked, require_shape
from .errors import InputError
from .hints.modules import HintedModule, require_models
from .prepared import Arrays, Frozen, Models, Prepared, Spec
from .seen import Scores, Spectrum
from .shown import Facts, Shown
from .statistics.base import Bins, scoring_terms


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


def fitted_of(dataset: Dataset) -> Mask:
    """`fitted_bins` of counts from their fields, for thousands of datasets."""
    fields = fields_of(dataset)
    safe, fit = fields["mask_safe"], fields["mask_fit"]
    if safe is None and fit is None:
        return np.ones(dataset.data_shape, bool)
    if safe is None or fit is None:
        return fit if safe is None else safe
    return safe & fit


def stat_bins_of(dataset: Dataset, models: Models) -> Bins:
    """Fit statistic per bin, 0 outside the mask."""
    prediction, name = dataset.predict(models), type(dataset).__name__
    require_shape(f"{name}.predict", prediction, dataset.data_shape)

    def stat_bins(prediction: Array) -> Bins:
        stat = dataset.stat_bins(prediction)
        require_shape(f"{name}.stat_bins", stat, dataset.data_shape)
        return stat

    return masked(dataset.mask, stat_bins, jnp.asarray(prediction))
