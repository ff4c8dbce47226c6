"""Sums over bins of a dataset: what merging energies, pixels or a region has in common."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from .convert import is_concrete
from .errors import InputError

PER_BIN = ("counts", "background", "counts_off", "acceptance", "acceptance_off", "mask_safe", "mask_fit")
"""Fields of datasets that have one entry per reconstructed bin (and pixel)."""

Sum = Callable[[np.ndarray], np.ndarray]


def on_host(dataset: Any, what: str) -> None:
    """InputError inside a JAX transformation: reshaping chooses shapes, and is done with numpy."""
    if not all(is_concrete(leaf) for leaf in jax.tree.leaves(dataset)):
        raise InputError(f"{what}: call it outside of jit, vmap and grad, and pass its result to them.")


def is_on_off(dataset: Any) -> bool:
    """Whether the background of a dataset is measured (counts_off) and not known."""
    return hasattr(dataset, "acceptance_off")


def stored(dataset: Any) -> dict[str, np.ndarray]:
    """The fields of `PER_BIN` that a dataset stores and that are there."""
    # the background of on/off data is computed
    names = [name for name in PER_BIN if not (name == "background" and is_on_off(dataset))]
    return {name: np.asarray(getattr(dataset, name)) for name in names if getattr(dataset, name, None) is not None}


def bin_sums(dataset: Any, total: Sum, any_of: Sum, average: Sum | None = None) -> dict[str, np.ndarray]:
    """Fields of a dataset whose bins are merged.

    ``total`` adds up merged bins, ``any_of`` is True where one of them is. Counts, background and off counts are those
    of the bins inside ``mask_safe``; merged masks are True where any bin was. The acceptance is summed likewise, or
    what ``average`` makes of it; for the off acceptance see `alpha_of_sum`.
    """
    fields = stored(dataset)
    safe = fields.get("mask_safe", np.True_)
    sums = {name: total(value * safe) for name, value in fields.items() if name in ("counts", "background")}
    sums |= {name: any_of(value) for name, value in fields.items() if name.startswith("mask")}
    return sums | (_off_sums(dataset, fields, safe, total, average) if is_on_off(dataset) else {})


def _off_sums(dataset: Any, fields: Any, safe: Any, total: Sum, average: Sum | None) -> dict[str, np.ndarray]:
    on, off = total(fields["acceptance"] * safe), total(fields["acceptance_off"] * safe)
    sums, n_off, background = {}, np.zeros(np.shape(on)), np.zeros(np.shape(on))
    if "counts_off" in fields:
        sums["counts_off"] = n_off = total(fields["counts_off"] * safe)
        background = total(np.asarray(dataset.background) * safe)
    acceptance = on if average is None else average(fields["acceptance"])
    return sums | {
        "acceptance": acceptance,
        "acceptance_off": ratio(acceptance, alpha_of_sum(n_off, background, on, off)),
    }


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


def ratio(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Quotient, 0 where the denominator is: an off acceptance of 0 stands for alpha = 0."""
    return np.where(lower > 0, upper / np.where(lower > 0, lower, 1.0), 0.0)
