"""Predicted counts, fit statistic and residuals of one dataset: pure functions of (dataset, models)."""

from collections.abc import Iterable
from typing import Literal, overload

import jax
import jax.numpy as jnp

from ...kernels.elementary import overflowing
from ..arrays import Array
from ..dataset import Dataset, stat_bins_of
from ..errors import InputError
from ..hints.calls import hinted
from ..hints.modules import found
from ..models.collection import Models
from ..models.instrument import InstrumentModel
from ..models.sky_model import ModelBase, SkyModel, TemplateNPredModel
from .base import CountsBase
from .dataset import CountsDataset, require_counts
from .significance import CashCountsStatistic, WStatCountsStatistic

SomeModels = Models | ModelBase | Iterable[ModelBase]
"""Models as users give them: the container, one model, or several."""


@overload
def npred_signal(
    dataset: CountsDataset, models: SomeModels, name: str | None = None, *, stack: Literal[True] = True
) -> jax.Array: ...


@overload
def npred_signal(
    dataset: CountsDataset, models: SomeModels, name: str | None = None, *, stack: Literal[False]
) -> dict[str, jax.Array]: ...


@hinted
def npred_signal(
    dataset: CountsDataset, models: SomeModels, name: str | None = None, *, stack: bool = True
) -> jax.Array | dict[str, jax.Array]:
    """Counts predicted from the sky models, of the shape of the counts.

    Sum over the models of R^T (exposure x flux), with the flux integrated over each true-energy bin. ``name`` is the
    dataset's name; it selects among models with ``datasets_names``. With ``stack=False`` the counts of each of the
    models that act on the dataset, by its name, in their order.
    """
    known, chosen = _with_counts(dataset), acting(models, name)
    if stack:
        return overflowing(known.signal(chosen))
    instruments = [m for m in chosen if isinstance(m, InstrumentModel)]
    sources = [m for m in chosen if isinstance(m, SkyModel | TemplateNPredModel)]
    return {m.name: overflowing(known.signal([m, *instruments])) for m in sources}


@hinted
def npred_background(dataset: CountsDataset, models: SomeModels = (), name: str | None = None) -> jax.Array:
    """Predicted background counts in the on region, of the shape of the counts.

    With a known background that times the norms of its `FoVBackgroundModel`; with a measured one alpha times the off
    expectation, profiled for the signal of ``models``.
    """
    return _with_counts(dataset).npred_background(acting(models, name))


@hinted
def npred(dataset: Dataset, models: SomeModels = (), name: str | None = None) -> jax.Array:
    """Predicted counts, signal plus background, of the shape of the counts.

    Pure: jit, vmap and grad work on dataset and models. Negative predictions (of a negative amplitude, say) are not
    clipped; beyond 1e154 they are infinite (an exponential has run away). For a dataset without counts it is what the
    data are compared with, such as the flux at flux points.
    """
    return overflowing(jnp.asarray(_one(dataset).npred(acting(models, name))))


@hinted
def stat_array(dataset: Dataset, models: SomeModels = (), name: str | None = None) -> jax.Array:
    """Fit statistic per bin (``cash``, ``wstat``, or that of flux points), of the shape of the counts; 0 outside the
    mask. No priors."""
    known = _one(dataset)
    chosen = acting(models, name)
    missing = known.missing_data() if isinstance(known, CountsBase) else None
    if missing is not None:
        raise InputError(f"{type(dataset).__name__}: there are no {missing} to compare with; simulate with fake().")
    return stat_bins_of(dataset, chosen)


@hinted
def residuals(dataset: Dataset, models: SomeModels = (), method: str = "diff", name: str | None = None) -> Array:
    """Residuals of the data to the prediction of ``models``, of the shape of the data.

    ``method``, with n the counts and mu the prediction (on/off data: signal, and the background profiled for it):

    - "diff": n - mu;
    - "diff/model": (n - mu) / mu;
    - "diff/sqrt(model)": (n - mu) / sqrt(mu);
    - "significance": square root of the rise of the fit statistic (Cash, or W with the off counts) from a perfect
      prediction to this one, with the sign of n - mu. It follows a normal distribution where "diff/sqrt(model)" does
      not: for few counts, and for few off counts.

    NaN outside the mask. A bin without counts in which nothing is predicted has residual 0; with counts the two ratios
    are infinite there. Negative predictions have no square root: NaN. Pure: jit and vmap work. ``name`` is the name of
    the dataset, for models with ``datasets_names``. Flux points have methods of their own, see
    `FluxPointsDataset.residuals`.
    """
    if not isinstance(dataset, Dataset):
        require_counts(dataset, "residuals")
    return dataset.residuals(acting(models, name), method)


@hinted
def counts_statistic(
    dataset: CountsDataset, models: SomeModels = (), name: str | None = None
) -> CashCountsStatistic | WStatCountsStatistic:
    """Statistic of every bin of a dataset: a `WStatCountsStatistic` for on/off data, else a `CashCountsStatistic`.

    Arrays of the shape of the counts. The known background is that of `npred_background`: times the norm of a
    `FoVBackgroundModel` among ``models``. Masks are not applied: ``counts_statistic(dataset)[mask].sum()``.
    """
    if require_counts(dataset, "counts_statistic").missing_data() is not None:
        raise InputError("counts_statistic: the dataset has no counts or no off counts. Simulate them with fake().")
    return dataset.counts_statistic(acting(models, name))


def acting(models: SomeModels, name: str | None) -> list[ModelBase]:
    """The models that act on the dataset ``name``."""
    known = models if type(models) is Models else Models(models)
    # through the class: on an instance, equinox makes a module of a method, for each model of a catalogue
    return list(Models.acting_on(known, name).models)


def _one(dataset: Dataset) -> Dataset:
    if not isinstance(dataset, Dataset):
        raise InputError(
            f"Found {found(dataset)}, expected one dataset. Predictions are made for one dataset at a time: "
            "gj.npred(datasets['name'], models, name='name'); sums over Datasets come from gj.stat_sum and gj.fit."
        )
    return dataset


def _with_counts(dataset: Dataset) -> CountsDataset:
    known = _one(dataset)
    if not isinstance(known, CountsDataset):
        raise InputError(f"{type(dataset).__name__} has no counts: gj.npred gives what its data are compared with.")
    return known
