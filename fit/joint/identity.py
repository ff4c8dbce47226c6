"""Which data a fit was made to: the number of its bins, a checksum, and the energies that took part."""

from typing import NamedTuple
from zlib import crc32

import jax
import numpy as np

from ...datasets.arrays import fields_of
from ...datasets.dataset import Dataset, fitted_bins
from ...datasets.energies import fitted_energies
from ...kernels.programs import remembered
from .processes import Share

DATA = ("counts", "counts_off", "background", "acceptance", "acceptance_off", "weights")
"""Fields of what is compared with a prediction; of datasets without counts all their numbers are."""

RESPONSES = ("exposure", "livetime", "edisp", "psf")
"""Fields of which a weighted sum stands for the whole: checksums of every run's cubes would take longer than a fit."""


class FittedData(NamedTuple):
    """What was fitted: fitted bins of all datasets, those that several processes hold counted once; a checksum of what
    was measured in them; lowest and highest energy (TeV) of the fitted bins by dataset, of those that have any.

    The checksum is that of counts, backgrounds and masks, and of weighted sums of the responses, in the order of the
    datasets.
    """

    n_bins: int
    checksum: str
    energies: dict[str, tuple[float, float]]


def fitted_data(share: Share) -> FittedData:
    """What the datasets of all processes hold."""
    parts = share.collect(lambda: {i: (*_of_dataset(d), fitted_energies(d)) for i, d in share.held.items()})
    known = {i: found for part in parts for i, found in part.items()}
    checksum = 0
    energies = {}
    for i in sorted(known):
        _, own, ends = known[i]
        checksum = crc32(own.to_bytes(4, "big"), checksum)
        if ends is not None:
            energies[share.names[i]] = ends
    return FittedData(sum(found[0] for found in known.values()), f"{checksum:08x}", energies)


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


@remembered(8)
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
