"""Numbers a bin as constructors take them: what is masked, or is bad where a mask excludes it, is 0 from then on."""

from typing import Protocol

import numpy as np

from ..arrays import Array, Mask, frozen_array, is_concrete
from ..errors import InputError
from ..units import as_bins, split_mask, to_unit


class Binned(Protocol):
    """A dataset whose masks have been set."""

    mask_safe: Mask | None

    @property
    def mask(self) -> Mask | None: ...
    @property
    def data_shape(self) -> tuple[int, ...]: ...


class Exposed(Binned, Protocol):
    """One that has its energy dispersion, too."""

    exposure: Array | None

    def response_table(self) -> np.ndarray | None: ...


def take_bins(dataset: Binned, *fields: str) -> None:
    """Set fields, of one number a bin, to arrays of what was given for them, for constructors.

    ``mask_safe`` loses what is masked there, and what is NaN, infinite or negative in bins that ``mask_fit`` excludes:
    a wider fit range shall not bring back a number that nobody knows.
    """
    for field in fields:
        given, hidden = split_mask(getattr(dataset, field), field)
        numbers = as_bins(given, field)
        if hidden is not None:
            if hidden.shape != dataset.data_shape:
                raise InputError(
                    f"{field}: found {int(hidden.sum())} masked numbers in an array of shape {hidden.shape}, expected "
                    f"the shape {dataset.data_shape} of the bins. Give one number a bin."
                )
            _leave(dataset, hidden)
        mask = dataset.mask
        if mask is not None and numbers is not None and is_concrete(numbers) and is_concrete(mask):
            array = np.asarray(numbers)
            if array.shape == np.shape(mask) == dataset.data_shape:
                bad = ~(np.isfinite(array) & (array >= 0)) & ~np.asarray(mask)
                if bad.any():
                    numbers = frozen_array(np.where(bad, 0.0, array))
                    _leave(dataset, bad)
        setattr(dataset, field, numbers)


def take_exposure(dataset: Exposed) -> None:
    """Set the exposure from what was given for it, likewise: bad numbers are 0 where no bin inside the masks sees them,
    and the bins that would leave ``mask_safe``."""
    exposure = dataset.exposure = to_unit(dataset.exposure, "cm2 s", "exposure")
    mask, pixels = dataset.mask, dataset.data_shape[1:]
    if exposure is None or mask is None or not (is_concrete(exposure) and is_concrete(mask)):
        return
    array, kept = np.asarray(exposure), np.asarray(mask)
    bad = ~(np.isfinite(array) & (array >= 0))
    if not bad.any() or kept.shape != dataset.data_shape or array.shape[1:] != pixels:
        return
    if pixels:
        bad &= ~kept.any(axis=0)
        blind = np.broadcast_to(bad.any(axis=0), kept.shape)
    else:
        table = dataset.response_table()
        if table is None or len(table) != len(array):
            return
        bad &= ~table[:, kept].any(axis=1)
        blind = table[bad].any(axis=0)
    dataset.exposure = frozen_array(np.where(bad, 0.0, array))
    _leave(dataset, blind)


def _leave(dataset: Binned, bins: np.ndarray) -> None:
    """Take bins out of ``mask_safe``."""
    safe = dataset.mask_safe
    if safe is None or not is_concrete(safe) or np.any(np.asarray(safe) & bins):
        dataset.mask_safe = frozen_array(~bins, bool) if safe is None else safe & ~bins
