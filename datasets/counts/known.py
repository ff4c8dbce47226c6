"""Datasets of counts with a known background: the prediction is signal plus background."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Self, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...kernels.cash import TRUNCATION
from ...kernels.quadrature import bin_centers
from ...kernels.significance import cash_ts
from ..arrays import Array, Mask, fields_of, frozen_array, is_concrete, ratio
from ..dataset import Models
from ..errors import InputError, listed
from ..irf.stack import Part
from ..models.flatten import models_of_type
from ..models.sky_model import FoVBackgroundModel, SkyModel, TemplateNPredModel
from ..statistics.base import Bins
from ..statistics.registry import STATISTICS
from ..units import Given
from .base import Counts, CountsSums, Expected, Sum
from .bins import take_bins
from .dataset import CountsDataset
from .instrument import livetime_factor
from .significance import CashCountsStatistic
from .summary import significance


class KnownBackground(CountsDataset):
    """Counts with a known background, which a `FoVBackgroundModel` may scale. Statistic ``cash``, or another of counts.

    ``background`` has the shape of the counts; None stands for no background. ``weights``, of that shape too, multiply
    the statistic ``cash_weighted`` bin by bin (1 everywhere by default); other statistics have none.
    """

    background: Counts | None = None
    weights: Counts | None = eqx.field(default=None, kw_only=True)
    stat_type: str = eqx.field(default="cash", static=True, kw_only=True)

    background_fields = ("background", "weights")

    def __post_init__(self) -> None:
        super().__post_init__()
        take_bins(self, *self.background_fields)
        reads = "weights" in getattr(STATISTICS.get(self.stat_type), "names", ())
        if self.weights is None and reads:
            self.weights = frozen_array(np.ones(self.data_shape))
        elif self.weights is not None and not reads:
            raise InputError(
                f"{type(self).__name__}: weights are for stat_type='cash_weighted', found {self.stat_type!r}. Set "
                "both: dataset.replace(stat_type='cash_weighted', weights=...), or weights=None."
            )

    @property
    def excess(self) -> Array | None:
        """Counts minus background, before any norm."""
        return self.counts if self.background is None or self.counts is None else self.counts - self.background

    def missing_data(self) -> str | None:
        return "counts" if self.counts is None else None

    def predict(self, models: Models) -> Bins:
        """Signal plus background. Outside the mask the norms of backgrounds may mean nothing, see `background_norm`."""
        return self.prediction_of(self.signal(models), models)

    def prediction_of(self, signal: Bins, models: Models) -> Bins:
        return signal + self._background(models, fitted_only=True)

    def npred_background(self, models: Models = ()) -> Bins:
        """The background times the norm of its model."""
        return self._background(models)

    def background_of(self, signal: Bins, models: Models) -> Bins:
        return self._background(models)

    def _background(self, models: Models, *, fitted_only: bool = False) -> Bins:
        model = background_model(models)
        if self.background is None:
            known = jnp.zeros(self.data_shape)
        else:
            known = jnp.asarray(self.background) * livetime_factor(models)
        if model is None:
            return known
        kept = None
        if fitted_only and self.mask is not None:
            kept = fitted_energies(self.mask)
        norm = self.per_energy(background_norm(model, self.energy_edges, self.energy_interp, kept))
        if model.spatial is not None:
            norm = norm * self.norm_on_sky(model)
        return known if self.background is None else known * norm

    def check_background(self, backgrounds: Sequence[FoVBackgroundModel], mask: Mask, what: str) -> None:
        if backgrounds and self.background is None:
            raise InputError(f"{what}: the model {backgrounds[0].name!r} scales a background that is missing.")

    def warn_of_unreached(self, models: Models, mask: Mask, what: str) -> None:
        fields = fields_of(self)
        counts, background, exposure = fields["counts"], fields["background"], fields["exposure"]
        # the usual case, of thousands of spectra
        if isinstance(background, np.ndarray) and background.min() > 0:
            return
        if not all(is_concrete(x) for x in (mask, counts, background, exposure)):
            return
        alone = np.logical_and(mask, np.asarray(counts) > 0)
        if background is not None:
            alone = alone & (np.asarray(background) <= 0)
        if not alone.any():
            return
        for model in models:
            if isinstance(model, TemplateNPredModel) and np.shape(model.counts) == alone.shape:
                alone = alone & (np.asarray(model.counts) <= 0)
            elif isinstance(model, SkyModel):
                if not model.flags.exposure:
                    return
                alone = alone & ~self.reached()
        if alone.any():
            bins = [tuple(int(i) for i in place) for place in np.argwhere(alone)]
            text = listed([str(b[0]) if len(b) == 1 else str(b) for b in bins], limit=5)
            warnings.warn(
                f"{what}: {int(np.asarray(counts)[alone].sum())} counts are in bins in which no model predicts any, as "
                f"background and exposure or response are 0 there: {len(bins)} bins, {text}. Each of these counts adds "
                f"{-2 * math.log(TRUNCATION):.1f} to the statistic. Exclude the bins with mask_safe, or give a "
                "background.",
                UserWarning,
                stacklevel=2,
            )

    def reached(self) -> np.ndarray:
        """Bins of the counts that a source with some flux at all energies can reach, if its image does."""
        exposure = np.asarray(self.exposure) > 0
        matrix = self.response_table()
        if matrix is None:
            return np.ones(self.data_shape, bool)
        return np.asarray(np.tensordot(matrix.T, exposure.astype(float), axes=1) > 0)

    def expected(self, models: Models, npred_background: Given | None, what: str) -> Expected:
        if npred_background is not None:
            raise InputError(f"{what}: npred_background is for on/off data; give background models for others.")
        return Expected(self.npred(models))

    def expected_background(self, models: Models, given: Given | None, what: str) -> Bins | None:
        if given is not None:
            raise InputError(f"{what}: npred_background is for on/off data; give background models for others.")
        return self.npred_background(models) if self.has_background else None

    def draw(self, key: jax.Array, expected: Expected, poisson: Callable[[jax.Array, Bins], Bins]) -> dict[str, Bins]:
        return {"counts": poisson(key, expected.counts)}

    def counts_statistic(self, models: Models) -> CashCountsStatistic:
        """The significance of each bin over the background."""
        background = self.npred_background(models)
        return CashCountsStatistic(self.counts, np.asarray(background) if is_concrete(background) else background)

    def rise(self, counts: Bins, expected: Bins, signal: Bins, total: Sum | None = None) -> Bins:
        return cash_ts(counts, expected)

    def background_error(self) -> tuple[Array | None, Array]:
        return None, np.zeros(self.data_shape)

    @property
    def has_background(self) -> bool:
        return self.background is not None

    def info_sums(
        self, counts: float, background: float, predicted: Mapping[str, float], safe: np.ndarray
    ) -> CountsSums:
        expected = predicted.get("npred_background", background) if self.has_background else background
        excess = counts - expected
        return CountsSums({}, excess, significance(counts, counts - excess), {})

    def background_sums(
        self, fields: Mapping[str, np.ndarray], safe: np.ndarray, total: Sum, average: Sum | None
    ) -> dict[str, np.ndarray]:
        sums = {"background": total(fields["background"] * safe)} if "background" in fields else {}
        if "weights" in fields:
            weights = fields["weights"]
            sums["weights"] = _common_weights(
                total(weights * safe), total(weights**2 * safe), total(np.broadcast_to(safe, self.data_shape) * 1.0)
            )
        return sums

    def stacked_background(
        self, parts: Sequence[Part], total: Callable[[str], np.ndarray | None], shape: tuple[int, ...]
    ) -> dict[str, np.ndarray | None]:
        background = total("background")
        if not parts or cast(Self, parts[0].dataset).weights is None:
            return {"background": background, "weights": None}
        sums = np.zeros((3, *shape))
        for part in parts:
            weights = np.asarray(cast(Self, part.dataset).weights)
            sums[(slice(None), *part.place())] += np.stack([weights, weights**2, np.ones(weights.shape)]) * part.safe
        return {"background": background, "weights": _common_weights(*sums)}


def _common_weights(total: np.ndarray, squares: np.ndarray, number: np.ndarray) -> np.ndarray:
    """The weight of merged bins that have one and the same, from sums over them; 1 where none is safe."""
    mean = ratio(total, number)
    if np.any(squares * number - total**2 > 1e-9 * np.maximum(squares * number, 1e-300)):
        raise InputError(
            "weights: bins that are merged have different weights, and the sum of their counts has none then. Merge "
            "with stat_type='cash', and weight the sum."
        )
    return np.where(number > 0, mean, 1.0)


def background_model(models: Models) -> FoVBackgroundModel | None:
    """The background model among models; InputError for several."""
    acting = models_of_type(models, FoVBackgroundModel)
    if len(acting) > 1:
        raise InputError(f"One background model per dataset: found {', '.join(repr(m.name) for m in acting)}.")
    return acting[0] if acting else None


def fitted_energies(mask: Mask) -> Bins:
    """Energies with any fitted bin, (n_reco,)."""
    inside = jnp.asarray(mask)
    return inside.reshape(inside.shape[0], -1).any(axis=1)


def background_norm(model: FoVBackgroundModel, energy_edges: Array, interp: str, kept: Bins | None = None) -> Bins:
    """Norm at the centres of the energy bins in their scale ``interp``, (n_reco,); at those not ``kept`` that of the
    first one which is.

    So a norm that overflows outside the mask only (a tilt fitted to one bin, say) does no harm.
    """
    energy = bin_centers(energy_edges, interp)
    return model.evaluate(energy if kept is None else jnp.where(kept, energy, energy[jnp.argmax(kept)]))
