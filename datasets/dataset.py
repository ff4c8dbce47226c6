"""What a dataset must say about itself to be fitted, beside datasets of counts.

`Dataset` is the base of flux points, and of dataset types of your own. A type needs three things::

    class Measured(gj.Dataset):
        energy: Any                     # numbers that enter arithmetic: arrays; anything else is a static field
        value: Any
        sigma: Any
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
"""

import dataclasses
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .errors import InputError
from .sky_model import SkyModel
from .spectral_base import SpectralModel


class Dataset(eqx.Module):
    """Base of datasets that are not counts. A subclass has ``data_shape``, ``predict`` and ``stat_bins``.

    ``mask_safe`` and ``mask_fit`` are fields of a subclass that has masks, of ``data_shape`` or None. ``gti`` is one if
    light curves shall apply. What enters arithmetic is an array field; what chooses the program is static.
    """

    tag: ClassVar[str] = ""
    stat_type = "custom"

    @property
    @abstractmethod
    def data_shape(self) -> tuple[int, ...]:
        """Shape of predictions, statistics and masks."""

    @abstractmethod
    def predict(self, models: Sequence[Any]) -> Any:
        """What the data are compared with, of ``data_shape``: traceable by JAX. ``models`` act on this dataset."""

    @abstractmethod
    def stat_bins(self, prediction: Any) -> Any:
        """-2 ln L per bin, masks not applied; finite with finite slopes wherever a bin may be fitted."""

    def deviance_bins(self, prediction: Any) -> Any:
        """`stat_bins` less a constant of the data."""
        return self.stat_bins(prediction)

    def offset_bins(self) -> Any:
        """`stat_bins` minus `deviance_bins`."""
        return jnp.zeros(self.data_shape)

    def scoring_bins(self, prediction: Any) -> tuple[Any, Any, Any]:
        """`deviance_bins`, its slope in the prediction, and a curvature that is not negative, per bin.

        The curvature is that of the statistic, and where that is negative the slope squared over two. Bins must not
        depend on each other's predictions.
        """
        slope = jax.grad(lambda p: jnp.sum(self.deviance_bins(p)))
        prediction = jnp.asarray(prediction)
        first, second = jax.jvp(slope, (prediction,), (jnp.ones_like(prediction),))
        return self.deviance_bins(prediction), first, jnp.where(second > 0, second, first**2 / 2)

    def check_models(self, models: Sequence[Any], what: str) -> None:
        """Raise an `InputError` that starts with ``what`` if the dataset cannot be fitted with these models."""

    def info_dict(self) -> dict[str, Any]:
        """What `gammajax.info_dict` shows beside name, type and statistic."""
        mask = np.ones(self.data_shape, bool) if self.mask is None else np.asarray(self.mask)
        return {"n_bins": int(mask.size), "n_fit_bins": int(mask.sum())}

    @property
    def mask(self) -> Any:
        """Bins that enter the fit statistic: mask_safe and mask_fit; None when there is neither."""
        safe, fit = getattr(self, "mask_safe", None), getattr(self, "mask_fit", None)
        if safe is None or fit is None:
            return fit if safe is None else safe
        return safe & fit

    def replace(self, **changes: Any) -> Any:
        """A copy with changed fields."""
        return dataclasses.replace(self, **changes)

    def stage(self, models: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
        """Program and arrays for a joint fit: ``program(**arrays)`` is the dataset that a fit sees.

        The program is hashable and says all that is static; datasets of equal programs are fitted as one, so that
        their arrays have equal shapes. ``arrays["mask_safe"]`` (n_bins,) is the mask. What the program returns has
        ``mask``, ``predict``, ``deviance_bins``, ``offset_bins`` and ``scoring_bins`` on flat arrays (n_bins,).
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
        mask = np.ones(self.data_shape, bool) if self.mask is None else self.mask
        shapes = tuple((np.shape(a), str(a.dtype)) for a in arrays.values())
        return TreeProgram(treedef, shapes), arrays | {"mask_safe": mask.reshape(-1)}


@dataclass(frozen=True)
class TreeProgram:
    """A dataset from its leaves."""

    treedef: Any
    shapes: tuple[Any, ...]

    def __call__(self, mask_safe: Any, **leaves: Any) -> "FlatDataset":
        numbers = [leaves[f"leaf_{i}"] for i in range(self.treedef.num_leaves)]
        return FlatDataset(jax.tree.unflatten(self.treedef, numbers), mask_safe)


class FlatDataset:
    """A `Dataset` of any shape as a fit sees it: with one axis of bins."""

    def __init__(self, dataset: Dataset, mask: Any):
        self.dataset, self.mask = dataset, mask

    def predict(self, models: Sequence[Any]) -> jax.Array:
        prediction = jnp.asarray(self.dataset.predict(models))
        return jnp.broadcast_to(prediction, self.dataset.data_shape).reshape(-1)

    def deviance_bins(self, prediction: Any) -> jax.Array:
        return jnp.ravel(self.dataset.deviance_bins(self._shaped(prediction)))

    def offset_bins(self) -> jax.Array:
        return jnp.ravel(self.dataset.offset_bins())

    def scoring_bins(self, prediction: Any) -> tuple[jax.Array, ...]:
        return tuple(jnp.ravel(term) for term in self.dataset.scoring_bins(self._shaped(prediction)))

    def _shaped(self, prediction: Any) -> Any:
        return prediction.reshape(self.dataset.data_shape)


def dnde(models: Any, energy: Any, gti: Any = None) -> jax.Array:
    """Differential flux of sky models at ``energy`` (TeV, any shape), summed, in TeV-1 s-1 cm-2.

    Shapes on the sky do not matter. With good time intervals ``gti`` light curves are averaged over them, for energies
    of shape (n,); without, fluxes are those of the spectra, which are averages over time already.
    """
    energy = jnp.asarray(energy)
    total = jnp.zeros(energy.shape, jnp.result_type(energy.dtype, float))
    for model in [models] if isinstance(models, SkyModel) else models:
        if not isinstance(model, SkyModel):
            continue
        spectral = model.spectral
        flux = spectral.evaluate(energy) if isinstance(spectral, SpectralModel) else spectral(energy)
        if model.temporal is not None and gti is not None:
            flux = flux * model.temporal.mean(gti, energy)
        total = total + flux
    return total
