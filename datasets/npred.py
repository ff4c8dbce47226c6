"""Predicted counts and fit statistic of one dataset: pure functions of (dataset, models)."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .errors import InputError
from .models import Models
from .sky_model import FoVBackgroundModel, SkyModel
from .spectrum import SpectrumDataset, SpectrumDatasetOnOff

Spectrum = SpectrumDataset | SpectrumDatasetOnOff


def npred_signal(dataset: Spectrum, models: Any, name: str | None = None) -> jax.Array:
    """Counts predicted from the sky models, shape (n_reco,).

    Sum over the models of R^T (exposure x flux), with the flux integrated over each true-energy bin. ``name`` is the
    dataset's name; it selects among models with ``datasets_names``.
    """
    _check(dataset)
    return signal(dataset, list(Models(models).acting_on(name)))


def npred_background(dataset: Spectrum, models: Any = (), name: str | None = None) -> jax.Array:
    """Predicted background counts in the on region, shape (n_reco,).

    `SpectrumDataset`: the background times the norms of its `FoVBackgroundModel`. `SpectrumDatasetOnOff`: alpha times
    the off expectation, profiled for the signal of ``models``.
    """
    _check(dataset)
    chosen = Models(models).acting_on(name)
    if isinstance(dataset, SpectrumDatasetOnOff):
        if dataset.counts is None or dataset.counts_off is None:
            raise InputError(
                "npred_background: the background of an on/off dataset is profiled from counts and off "
                "counts, and they are missing."
            )
        return dataset.npred_background(signal(dataset, chosen))
    return background(dataset, chosen)


def npred(dataset: Spectrum, models: Any = (), name: str | None = None) -> jax.Array:
    """Predicted counts, signal plus background, shape (n_reco,). Pure: jit, vmap and grad work on dataset and models.

    Negative predictions (of a negative amplitude, say) are not clipped.
    """
    _check(dataset)
    chosen = Models(models).acting_on(name)
    counts = signal(dataset, chosen)
    if isinstance(dataset, SpectrumDatasetOnOff):
        if dataset.counts is None or dataset.counts_off is None:
            return counts
        return counts + dataset.npred_background(counts)
    return counts + background(dataset, chosen)


def stat_array(dataset: Spectrum, models: Any = (), name: str | None = None) -> jax.Array:
    """Fit statistic per bin (``cash`` or ``wstat``), shape (n_reco,); 0 outside the mask. Priors are not in it."""
    _check(dataset)
    chosen = Models(models).acting_on(name)
    if dataset.counts is None or getattr(dataset, "counts_off", dataset.counts) is None:
        missing = "counts" if dataset.counts is None else "off counts"
        raise InputError(f"{type(dataset).__name__}: there are no {missing} to compare with; simulate with fake().")
    return masked(dataset, dataset.stat_bins, predict(dataset, chosen))


def predict(dataset: Spectrum, models: Models | Sequence[Any]) -> jax.Array:
    """The prediction that enters the dataset's statistic: npred for cash, npred_signal for wstat."""
    counts = signal(dataset, models)
    return (
        counts if isinstance(dataset, SpectrumDatasetOnOff) else counts + background(dataset, models, fitted_only=True)
    )


def masked(dataset: Spectrum, function: Any, prediction: jax.Array) -> jax.Array:
    """``function(prediction)`` inside the mask, 0 with zero slope outside."""
    if dataset.mask is None:
        return function(prediction)
    mask = jnp.asarray(dataset.mask)
    # the inner where keeps NaN and infinity of masked bins out of the gradient
    return jnp.where(mask, function(jnp.where(mask, prediction, 1.0)), 0.0)


def signal(dataset: Spectrum, models: Models | Sequence[Any]) -> jax.Array:
    """Counts of the sky models among ``models``; models that share the response are folded together."""
    edges = jnp.asarray(dataset.energy_true_edges)
    dispersed, direct = None, None
    for model in models:
        if not isinstance(model, SkyModel):
            continue
        apply_exposure, _, apply_edisp = model.flags
        counts = model.integrate_bins(edges, dataset.nodes)
        if apply_exposure:
            if dataset.exposure is None:
                raise InputError(
                    f"{type(dataset).__name__}: the exposure is missing, so model {model.name!r} predicts nothing. "
                    "Give exposure=..., or switch it off with apply_irf={'exposure': False}."
                )
            counts = counts * jnp.asarray(dataset.exposure)
        if apply_edisp:
            dispersed = counts if dispersed is None else dispersed + counts
        else:
            direct = counts if direct is None else direct + counts
    npred = jnp.zeros(dataset.n_reco, edges.dtype)
    if dispersed is not None:
        npred = dataset.apply_response(dispersed)
    if direct is not None:
        npred = npred + dataset.apply_response(direct, edisp=False)
    return npred


def background(dataset: SpectrumDataset, models: Models | Sequence[Any], *, fitted_only: bool = False) -> jax.Array:
    """The dataset's background times the norm of its background model.

    With ``fitted_only`` the values outside the mask mean nothing, and are such that a norm which overflows there only
    (a tilt fitted to one bin, say) does no harm.
    """
    acting = [m for m in models if isinstance(m, FoVBackgroundModel)]
    if len(acting) > 1:
        raise InputError(f"One background model per dataset: found {', '.join(repr(m.name) for m in acting)}.")
    if not acting:
        return dataset.npred_background()
    edges = jnp.asarray(dataset.energy_edges)
    energy = jnp.sqrt(edges[:-1] * edges[1:])
    if fitted_only and dataset.mask is not None:
        mask = jnp.asarray(dataset.mask)
        energy = jnp.where(mask, energy, energy[jnp.argmax(mask)])
    return dataset.npred_background(acting[0].evaluate(energy))


def _check(dataset: Any) -> None:
    if not isinstance(dataset, Spectrum):
        raise InputError(
            f"Found {type(dataset).__name__}, expected one dataset. Predictions are made for one dataset at a time: "
            "gj.npred(datasets['name'], models, name='name'); sums over Datasets come from gj.stat_sum and gj.fit."
        )
