"""Sums over bins of a dataset: what merging energies, pixels or a region has in common."""

import numpy as np

from .base import CountsBase, Sum


def stored(dataset: CountsBase) -> dict[str, np.ndarray]:
    """The fields with one entry per reconstructed bin (and pixel) that are there."""
    names = ("counts", *dataset.background_fields, "mask_safe", "mask_fit")
    return {name: np.asarray(getattr(dataset, name)) for name in names if getattr(dataset, name) is not None}


def bin_sums(dataset: CountsBase, total: Sum, any_of: Sum, average: Sum | None = None) -> dict[str, np.ndarray]:
    """Fields of a dataset whose bins are merged.

    ``total`` adds up merged bins, ``any_of`` is True where one of them is. Counts, background and off counts are those
    of the bins inside ``mask_safe``; merged masks are True where any bin was. The acceptance is summed likewise, or
    what ``average`` makes of it; for the off acceptance see `alpha_of_sum`.
    """
    fields = stored(dataset)
    safe = fields.get("mask_safe", np.array(True))
    sums = {"counts": total(fields["counts"] * safe)} if "counts" in fields else {}
    sums |= {name: any_of(value) for name, value in fields.items() if name.startswith("mask")}
    return sums | dataset.background_sums(fields, safe, total, average)
