"""Datasets of on and off counts: the background is measured, and the prediction is the signal."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...kernels.significance import wstat_ts
from ..arrays import Array, Mask, fields_of, is_concrete, ratio
from ..dataset import Models
from ..errors import InputError
from ..irf.stack import Part
from ..models.sky_model import FoVBackgroundModel
from ..statistics.base import Bins
from ..statistics.wstat import alpha_of
from ..units import Given, as_bins
from .base import Counts, CountsSums, Expected, Sum
from .bins import take_bins
from .dataset import CountsDataset
from .given import per_bin
from .significance import WStatCountsStatistic
from .summary import quotient, significance, sum_of, whole


class MeasuredBackground(CountsDataset):
    """On and off counts, whose background is profiled out bin by bin: statistic ``wstat``, or another of such counts.

    ``acceptance`` and ``acceptance_off`` are numbers or have the shape of the counts; ``alpha`` is their ratio.
    """

    counts_off: Counts | None = None
    acceptance: Counts | float = 1.0
    acceptance_off: Counts | float = 1.0
    stat_type: str = eqx.field(default="wstat", static=True, kw_only=True)

    background_fields = ("counts_off", "acceptance", "acceptance_off")
    statistic_needs = ("counts_off",)
    shown_sums = ("counts", "counts_off", "background")

    def __post_init__(self) -> None:
        super().__post_init__()
        take_bins(self, *self.background_fields)
        shape = self.data_shape
        self.acceptance, self.acceptance_off = per_bin(self.acceptance, shape), per_bin(self.acceptance_off, shape)

    @property
    def alpha(self) -> Array:
        """Acceptance ratio on / off per bin; 0 where the off acceptance is 0."""
        return alpha_of(self.acceptance, self.acceptance_off)  # type: ignore[arg-type]  # arrays by now

    @property
    def background(self) -> Array | None:
        """Background in the on region estimated from the off counts, alpha n_off; None without off counts.

        InputError where alpha is not known in a safe bin, see `require_alpha`.
        """
        if self.counts_off is None:
            return None
        self.require_alpha(self.mask_safe, "background")
        return self.alpha * self.counts_off

    def figure(self, name: str) -> Array | None:
        # also where the background is not known in some bins
        if name == "background" and self.counts_off is not None:
            return self.alpha * self.counts_off
        return super().figure(name)

    @property
    def excess(self) -> Array:
        """Counts minus `background`."""
        if self.counts is None or self.background is None:
            raise InputError(f"{type(self).__name__}: there are no {self.missing_data()}, and so there is no excess.")
        return self.counts - self.background

    def known_background_fields(self) -> dict[str, Any]:
        """Fields of the dataset with a known background instead: alpha times the off counts.

        Bins without an off measurement (off acceptance 0 where there is an on acceptance) leave the safe mask.
        """
        if self.counts_off is None:
            raise InputError(f"{type(self).__name__}: there are no off counts, and so there is no background.")
        own = {f.name for f in dataclasses.fields(self)} - {*self.background_fields, "stat_type"}
        fields = {name: getattr(self, name) for name in own} | {"background": self.alpha * self.counts_off}
        measured = (np.asarray(self.acceptance_off) > 0) | (np.asarray(self.acceptance) == 0)
        return fields if measured.all() else fields | {"mask_safe": self.safe_bins() & measured}

    def missing_data(self) -> str | None:
        fields = fields_of(self)
        if fields["counts"] is None:
            return "counts"
        return "off counts" if fields["counts_off"] is None else None

    def predict(self, models: Models) -> Bins:
        """The signal."""
        return self.signal(models)

    def prediction_of(self, signal: Bins, models: Models) -> Bins:
        return signal

    def stat_bins(self, prediction: Array) -> Bins:
        self.require_alpha(self.mask, f"statistic {self.stat_type!r}")
        return super().stat_bins(prediction)

    def npred_background(self, models: Models = ()) -> Bins:
        """alpha times the off expectation, profiled for the signal of the models, per bin."""
        if self.missing_data() is not None:
            raise InputError(
                "npred_background: the background of an on/off dataset is profiled from counts and off "
                "counts, and they are missing."
            )
        return self.background_of(self.signal(models), models)

    def background_of(self, signal: Bins, models: Models) -> Bins:
        if self.missing_data() is not None:
            return jnp.zeros_like(signal)
        self.require_alpha(self.mask, "npred_background")
        data = {name: getattr(self, name) for name in ("counts", *self.background_fields)}
        return self.statistic.background_bins(data, signal)

    def check_background(self, backgrounds: Sequence[FoVBackgroundModel], mask: Mask, what: str) -> None:
        if backgrounds:
            raise InputError(
                f"{what}: the background model {backgrounds[0].name!r} has no effect, because the W statistic profiles "
                "the background from the off counts. Remove the model, or fit a SpectrumDataset."
            )
        fields = fields_of(self)
        if fields["counts_off"] is None:
            raise InputError(f"{what}: there are no off counts. Read the background file, or fit a SpectrumDataset.")
        # by its class: a method of an eqx.Module makes a new pytree at each access
        type(self).require_alpha(self, mask, what, positive=True)

    def require_alpha(self, mask: Mask | None, what: str, *, positive: bool = False) -> None:
        """Raise an `InputError` for bins inside ``mask`` without an off acceptance: their background has not been
        measured, and is not 0. ``positive``: for bins without an on acceptance too, whose background is 0."""
        fields = fields_of(self)
        known = [x for x in (mask, fields["acceptance"], fields["acceptance_off"]) if x is not None]
        if not all(map(is_concrete, known)):
            return
        on, off = np.asarray(fields["acceptance"]), np.asarray(fields["acceptance_off"])
        bad = ~((off > 0) & (on > 0)) if positive else ~(off > 0)
        bad = bad if mask is None else bad & np.asarray(mask)
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            raise InputError(
                f"{what}: no background was measured in {int(bad.sum())} bins, found acceptance {on[first]} and "
                f"acceptance_off {off[first]} in bin {', '.join(map(str, first))}, expected positive ones. Exclude the "
                "bins: dataset.with_mask_safe(dataset.safe_bins() & (dataset.alpha > 0))."
            )

    def expected(self, models: Models, npred_background: Given | None, what: str) -> Expected:
        signal = self.signal(models)
        self.require_alpha(self.mask, what)
        background = self.expected_background(models, npred_background, what)
        alpha = jnp.asarray(self.alpha)
        off = jnp.where(alpha > 0, background / jnp.where(alpha > 0, alpha, 1.0), 0.0)
        return Expected(signal + background, off)

    def expected_background(self, models: Models, given: Given | None, what: str) -> Bins:
        background = self.background if given is None else as_bins(given, f"{what}: npred_background")
        if background is None:
            raise InputError(
                f"{what}: an on/off dataset without off counts needs npred_background, the expected background."
            )
        shape = jnp.shape(background)
        try:
            return jnp.broadcast_to(jnp.asarray(background), self.data_shape)
        except ValueError as error:
            raise InputError(f"{what}: npred_background has shape {shape}, expected {self.data_shape}.") from error

    def draw(self, key: jax.Array, expected: Expected, poisson: Callable[[jax.Array, Bins], Bins]) -> dict[str, Bins]:
        assert expected.counts_off is not None
        on_key, off_key = jax.random.split(key)
        return {"counts": poisson(on_key, expected.counts), "counts_off": poisson(off_key, expected.counts_off)}

    def counts_statistic(self, models: Models) -> WStatCountsStatistic:
        """The significance of each bin over its off counts."""
        self.require_alpha(self.mask, "counts_statistic")
        return WStatCountsStatistic(self.counts, self.counts_off, self.alpha)

    def rise(self, counts: Bins, expected: Bins, signal: Bins, total: Sum | None = None) -> Bins:
        n_off, alpha = self.counts_off, self.alpha
        if total is not None:
            counted, ratios = np.asarray(n_off), np.asarray(alpha)
            fields = (counted, ratios * counted, self.acceptance, self.acceptance_off)
            whole = (np.broadcast_to(np.asarray(field, float), counted.shape) for field in fields)
            sums = [total(np.where(np.isfinite(field), field, 0.0)) for field in whole]
            n_off, alpha = sums[0], alpha_of_sum(*sums)
        return wstat_ts(counts, jnp.asarray(n_off), jnp.asarray(alpha), signal)

    def background_error(self) -> tuple[Array | None, Array]:
        self.require_alpha(self.mask, "background_error")
        alpha, n_off = np.asarray(self.alpha), np.asarray(self.counts_off)
        return alpha * n_off, alpha**2 * n_off

    @property
    def has_background(self) -> bool:
        return self.missing_data() is None

    def info_sums(
        self, counts: float, background: float, predicted: Mapping[str, float], safe: np.ndarray
    ) -> CountsSums:
        n_off, on, off = (sum_of(v, safe) for v in (self.counts_off, self.acceptance, self.acceptance_off))
        alpha = background / n_off if n_off > 0 else quotient(on, off)
        return CountsSums(
            {"counts_off": whole(n_off)},
            counts - background,
            significance(counts, n_off, alpha),
            {"acceptance": on, "acceptance_off": quotient(on, alpha), "alpha": alpha},
        )

    def background_sums(
        self, fields: Mapping[str, np.ndarray], safe: np.ndarray, total: Sum, average: Sum | None
    ) -> dict[str, np.ndarray]:
        self.require_alpha(np.broadcast_to(safe, self.data_shape), "sums over bins")
        on, off = total(fields["acceptance"] * safe), total(fields["acceptance_off"] * safe)
        sums, n_off, background = {}, np.zeros(np.shape(on)), np.zeros(np.shape(on))
        if "counts_off" in fields:
            sums["counts_off"] = n_off = total(fields["counts_off"] * safe)
            background = total(np.asarray(self.background) * safe)
        acceptance = on if average is None else average(fields["acceptance"])
        return sums | {
            "acceptance": acceptance,
            "acceptance_off": off_acceptance(acceptance, alpha_of_sum(n_off, background, on, off), off),
        }

    def stacked_background(
        self, parts: Sequence[Part], total: Callable[[str], np.ndarray | None], shape: tuple[int, ...]
    ) -> dict[str, np.ndarray | None]:
        """Off counts and acceptances whose alpha times off counts is the sum of the datasets' backgrounds."""
        for part in parts:
            cast(Self, part.dataset).require_alpha(part.safe, f"stack: dataset {part.name!r}")
        acceptance, acceptance_off = total("acceptance"), total("acceptance_off")
        assert acceptance is not None and acceptance_off is not None
        off, background = total("counts_off"), np.zeros(shape)
        if off is not None and parts:
            known = total("background")
            assert known is not None
            background = known
        n_off = np.zeros(shape) if off is None else off
        alpha = alpha_of_sum(n_off, background, acceptance, acceptance_off)
        if n_off.any() and sum(part.safe.any() for part in parts) > 1:
            alpha = np.where(n_off > 0, alpha, background.sum() / n_off.sum())
        acceptance_off = off_acceptance(acceptance, alpha, acceptance_off)
        return {"counts_off": off, "acceptance": acceptance, "acceptance_off": acceptance_off}


def alpha_of_sum(n_off: np.ndarray, background: np.ndarray, on: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Alpha of bins that are sums (of energies, pixels or datasets), from the sums of n_off, alpha n_off, and of the
    acceptances of the on and off regions.

    The background alpha n_off is conserved: alpha = sum(alpha_i n_i) / sum(n_i). Without off counts any alpha does, and
    the acceptances say what it is: sum(acceptance_i) / sum(acceptance_off_i), the ratio of the background events that
    are expected in the two regions if their rate is the same in all. So a bin's alpha depends on what was merged into
    it and on nothing else: a sum of one bin is that bin, and neither the order nor further bins matter. (`stack` then
    gives bins without off counts the mean alpha of all off counts, if there are any.)
    """
    return np.where(n_off > 0, ratio(background, n_off), ratio(on, off))


def off_acceptance(on: np.ndarray, alpha: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Acceptance of the off region that has this alpha; for an alpha of 0 the sum ``off``: it was measured."""
    return np.where(alpha > 0, ratio(on, alpha), off)
