"""Which data a fit was made to: the number of its bins, and a checksum."""

import functools
from zlib import crc32

import jax
import numpy as np

from ...datasets.arrays import fields_of
from ...datasets.dataset import Dataset, fitted_bins
from .processes import Share

DATA = ("counts", "counts_off", "background", "acceptance", "acceptance_off", "weights")
"""Fields of what is compared with a prediction; of datasets without counts all their numbers are."""

RESPONSES = ("exposure", "livetime", "edisp", "psf")
"""Fields of which a weighted sum stands for the whole: checksums of every run's cubes would take longer than a fit."""


def bins_and_checksum(share: Share) -> tuple[int, str]:
    """Fitted bins of all datasets, those that several processes hold counted once, and a checksum of what was measured
    in them: of counts, backgrounds and masks, and of weighted sums of the responses, in the order of the datasets."""
    parts = share.collect(lambda: {i: _of_dataset(d) for i, d in share.held.items()})
    known = {i: found for part in parts for i, found in part.items()}
    checksum = 0
    for i in sorted(known):
        checksum = crc32(known[i][1].to_bytes(4, "big"), checksum)
    return sum(n for n, _ in known.values()), f"{checksum:08x}"


def _of_dataset(dataset: Dataset) -> tuple[int, int]:
    mask = np.asarray(fitted_bins(dataset), bool)
    checksum = crc32(np.packbits(mask).tobytes())
    fields = fields_of(dataset)
    data = [fields.get(name) for name in DATA] if dataset.has_counts else jax.tree.leaves(dataset)
    checksum = _checksum([values for values in data if values is not None], mask, checksum)
    responses = jax.tree.leaves([fields.get(name) for name in RESPONSES])
    return int(mask.sum()), _checksum([_weighted_sum(values) for values in responses], mask, checksum)


def _weighted_sum(values: object) -> float:
    """A sum that tells apart what is normalised, as the dispersion of each energy is: weights rise along the axes."""
    numbers = np.asarray(values, float).ravel()
    # processors add in different orders: their roundings are not other data
    return float(f"{numbers @ _weights(numbers.size):.10g}")


@functools.lru_cache(maxsize=8)
def _weights(n: int) -> np.ndarray:
    return np.linspace(1.0, 2.0, n)


def _checksum(data: list[object], mask: np.ndarray, start: int) -> int:
    """Of the numbers in the fitted bins, or all of them where they are not those of bins."""
    for values in data:
        numbers = np.asarray(values, float)
        if numbers.shape == mask.shape:
            numbers = numbers[mask]
        # 0.0 and -0.0 are one number
        start = crc32((numbers + 0.0).tobytes(), start)
    return start
