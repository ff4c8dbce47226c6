"""Numbers per bin in files: bad ones that do not matter are 0, others end in an error."""

import numpy as np

from ..arrays import frozen_array
from ..errors import InputError, warn

ROUNDING = 1e-6
"""Negative numbers down to this part of the largest of their plane are rounding errors."""


def usable_bins(
    values: np.ndarray, where: str, excluded: np.ndarray | None = None, negative: bool = False
) -> np.ndarray:
    """Numbers (n, ...) that are finite and, unless ``negative``, not below 0.

    0 stands for bad numbers where ``excluded`` (of a shape that broadcasts) is True, as the safe mask of a file has it,
    and, with a warning, for negative numbers above -`ROUNDING` of the largest one of their plane, the first axis (of
    the whole, if there is no other). Raises InputError for other bad numbers. ``where`` starts messages.
    """
    finite = np.isfinite(values)
    bad = ~finite if negative else ~finite | (values < 0)
    if not bad.any():
        return frozen_array(values)
    outside = np.broadcast_to(False if excluded is None else excluded, values.shape)
    new = np.where(bad & outside, 0.0, values)
    bad &= ~outside
    if not negative:
        axes = tuple(range(1, values.ndim)) or None
        largest = np.max(np.where(finite, values, 0.0), axis=axes, keepdims=True)
        small = bad & finite & (values >= -ROUNDING * largest)
        if small.any():
            warn(
                f"{where}: {int(small.sum())} of {values.size} values are negative by a rounding error, down to "
                f"{values[small].min():.3g} (the largest is {float(largest.max()):.3g}), and are read as 0."
            )
        new = np.where(small, 0.0, new)
        bad &= ~small
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        place = {1: f"in row {first[0]}", 3: f"at {list(first)} (energy, y, x)"}.get(values.ndim, f"at {list(first)}")
        raise InputError(
            f"{where}: values must be finite{'' if negative else ' and not negative'}, found {values[first]} {place}; "
            f"{int(bad.sum())} bad of {bad.size}. Repair the file: set bad values to 0, and take their bins out of the "
            "safe mask (MASK_SAFE, QUALITY)."
        )
    return frozen_array(new)
