"""Predicted counts and fit statistic of one dataset: pure functions of (dataset, models)."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..kernels.quadrature import log_centers
from .counts_base import CountsBase
from .dataset import Dataset
from .errors import InputError
from .footprint import Response, stage
from .image_plan import Plan, plan
from .map import MapBase, MapDataset, MapDatasetOnOff
from .models import Models
from .program import Program
from .region_map import RegionMapDataset
from .region_npred import signal_of_region
from .sky_model import FoVBackgroundModel, SkyModel, TemplateNPredModel
from .spectrum import SpectrumBase, SpectrumDataset, SpectrumDatasetOnOff
from .statistic import WStatistic
from .structure import Structure, canonical

Spectrum = SpectrumDataset | SpectrumDatasetOnOff
Counts = Spectrum | MapDataset | MapDatasetOnOff | RegionMapDataset


def npred_signal(dataset: Any, models: Any, name: str | None = None) -> jax.Array:
    """Counts predicted from the sky models, of the shape of the counts.

    Sum over the models of R^T (exposure x flux), with the flux integrated over each true-energy bin. ``name`` is the
    dataset's name; it selects among models with ``datasets_names``.
    """
    _check(dataset)
    return signal(dataset, list(Models(models).acting_on(name)))


def npred_background(dataset: Any, models: Any = (), name: str | None = None) -> jax.Array:
    """Predicted background counts in the on region, of the shape of the counts.

    `SpectrumDataset`: the background times the norms of its `FoVBackgroundModel`. `SpectrumDatasetOnOff`: alpha times
    the off expectation, profiled for the signal of ``models``.
    """
    _check(dataset)
    chosen = Models(models).acting_on(name)
    if isinstance(dataset, WStatistic):
        if dataset.counts is None or dataset.counts_off is None:
            raise InputError(
                "npred_background: the background of an on/off dataset is profiled from counts and off "
                "counts, and they are missing."
            )
        return dataset.npred_background(signal(dataset, chosen))
    return background(dataset, chosen)


def npred(dataset: Any, models: Any = (), name: str | None = None) -> jax.Array:
    """Predicted counts, signal plus background, of the shape of the counts.

    Pure: jit, vmap and grad work on dataset and models. Negative predictions (of a negative amplitude, say) are not
    clipped. For a dataset without counts it is what the data are compared with, such as the flux at flux points.
    """
    _check(dataset, Dataset)
    chosen = Models(models).acting_on(name)
    if isinstance(dataset, Dataset):
        return jnp.asarray(dataset.predict(list(chosen)))
    counts = signal(dataset, chosen)
    if isinstance(dataset, WStatistic):
        if dataset.counts is None or dataset.counts_off is None:
            return counts
        return counts + dataset.npred_background(counts)
    return counts + background(dataset, chosen)


def stat_array(dataset: Any, models: Any = (), name: str | None = None) -> jax.Array:
    """Fit statistic per bin (``cash``, ``wstat``, or that of flux points), of the shape of the counts; 0 outside the
    mask. No priors."""
    _check(dataset, Dataset)
    chosen = Models(models).acting_on(name)
    if isinstance(dataset, Dataset):
        return masked(dataset, dataset.stat_bins, dataset.predict(list(chosen)))
    if dataset.counts is None or getattr(dataset, "counts_off", dataset.counts) is None:
        missing = "counts" if dataset.counts is None else "off counts"
        raise InputError(f"{type(dataset).__name__}: there are no {missing} to compare with; simulate with fake().")
    return masked(dataset, dataset.stat_bins, predict(dataset, chosen))


def predict(dataset: Any, models: Models | Sequence[Any]) -> jax.Array:
    """The prediction that enters the dataset's statistic: npred for cash, npred_signal for wstat."""
    if not isinstance(dataset, CountsBase):
        return dataset.predict(models)
    counts = signal(dataset, models)
    return counts if isinstance(dataset, WStatistic) else counts + background(dataset, models, fitted_only=True)


def masked(dataset: Any, function: Any, prediction: jax.Array) -> jax.Array:
    """``function(prediction)`` inside the mask, 0 with zero slope outside."""
    if dataset.mask is None:
        return function(prediction)
    mask = jnp.asarray(dataset.mask)
    # the inner where keeps NaN and infinity of masked bins out of the gradient
    return jnp.where(mask, function(jnp.where(mask, prediction, 1.0)), 0.0)


def signal(dataset: Any, models: Models | Sequence[Any]) -> jax.Array:
    """Counts of the sky models and templates among ``models``."""
    sources = [m for m in models if isinstance(m, SkyModel)]
    total = _of_sources(dataset)(dataset, sources)
    for model in models:
        if isinstance(model, TemplateNPredModel):
            total = total + template(dataset, model)
    return total


def _of_sources(dataset: Any) -> Any:
    if isinstance(dataset, MapBase):
        return _of_map
    return signal_of_region if isinstance(dataset, RegionMapDataset) else _of_spectrum


def template(dataset: Any, model: TemplateNPredModel) -> jax.Array:
    """Counts of a template times its norm at the centres of the energy bins."""
    if jnp.shape(model.counts) != dataset.data_shape:
        raise InputError(
            f"Model {model.name!r}: its counts have shape {jnp.shape(model.counts)}, expected {dataset.data_shape} as "
            "the dataset has. Make the template on the same axes and pixels."
        )
    return jnp.asarray(model.counts) * per_energy(dataset, model.evaluate(log_centers(dataset.energy_edges)))


def per_energy(dataset: Any, values: Any) -> Any:
    """Values (n_reco,) in a shape that broadcasts to the counts."""
    return values.reshape(-1, *(1 for _ in dataset.pixels))


def flux(dataset: Any, model: SkyModel) -> Any:
    """Flux in each true-energy bin, mean over the good time intervals: (n_true,) s-1 cm-2."""
    return model.mean_flux(jnp.asarray(dataset.energy_true_edges), dataset.nodes, dataset.gti)


def _of_map(dataset: Any, sources: list[SkyModel]) -> jax.Array:
    response, total = Response.of(dataset), jnp.zeros(dataset.data_shape, jnp.asarray(dataset.energy_true_edges).dtype)
    # sources that differ in numbers only share a program, and are done one after the other
    alike: dict[tuple[Structure, Plan], list[list[Any]]] = {}
    for model in sources:
        if model.temporal is not None:
            model.check_times(dataset.gti, type(dataset).__name__)
        structure, numbers = canonical(model)
        alike.setdefault((structure, plan(dataset, model)), []).append(numbers)
    for (structure, sizes), members in alike.items():
        total = _add_sources((structure, sizes, dataset.nodes), total, members, response, dataset.gti)
    return total


@Program
def _add_sources(
    static: tuple[Structure, Plan, int], total: jax.Array, members: list[list[Any]], response: Response, gti: Any
) -> jax.Array:
    """``total`` and the counts of sources of one structure with these numbers."""
    structure, sizes, nodes = static
    ny, nx = sizes.shape
    edges = jnp.asarray(response.energy_true_edges)

    def add(padded, numbers):
        model: Any = structure.build(numbers)
        of_bins = model.mean_flux(edges, nodes, gti)
        footprint = stage(response, model, sizes)
        counts = footprint.counts(model.spatial, of_bins, log_centers(edges))
        start = (0, footprint.y + ny, footprint.x + nx)
        here = jax.lax.dynamic_slice(padded, start, counts.shape)
        return jax.lax.dynamic_update_slice(padded, here + counts, start), None

    padded = jnp.pad(total, ((0, 0), (ny, ny), (nx, nx)))
    if len(members) == 1:
        padded, _ = add(padded, members[0])
    else:
        padded, _ = jax.lax.scan(add, padded, [jnp.stack(column) for column in zip(*members, strict=True)])
    return padded[:, ny:-ny, nx:-nx]


def _of_spectrum(dataset: SpectrumBase, sources: list[SkyModel]) -> jax.Array:
    """Models that share the response are folded together."""
    dispersed, direct = None, None
    for model in sources:
        model.check_spectrum()
        apply_exposure, _, apply_edisp, _ = model.flags
        counts = flux(dataset, model)
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
    npred = jnp.zeros(dataset.n_reco, jnp.asarray(dataset.energy_true_edges).dtype)
    if dispersed is not None:
        npred = dataset.apply_response(dispersed)
    if direct is not None:
        npred = npred + dataset.apply_response(direct, edisp=False)
    return npred


def background(dataset: Any, models: Models | Sequence[Any], *, fitted_only: bool = False) -> jax.Array:
    """The dataset's background times the norm of its background model.

    With ``fitted_only`` the values outside the mask mean nothing, and are such that a norm which overflows there only
    (a tilt fitted to one bin, say) does no harm.
    """
    acting = [m for m in models if isinstance(m, FoVBackgroundModel)]
    if len(acting) > 1:
        raise InputError(f"One background model per dataset: found {', '.join(repr(m.name) for m in acting)}.")
    if not acting:
        return dataset.npred_background()
    kept = None
    if fitted_only and dataset.mask is not None:
        mask = jnp.asarray(dataset.mask)
        kept = mask.reshape(mask.shape[0], -1).any(axis=1)
    norm = per_energy(dataset, background_norm(dataset, acting[0], kept))
    if acting[0].spatial is not None:
        norm = norm * on_sky(dataset, acting[0])
    return dataset.npred_background(norm)


def background_norm(dataset: Any, model: FoVBackgroundModel, kept: Any = None) -> Any:
    """Norm at the centres of the energy bins, (n_reco,); at those not ``kept`` that of the first one which is."""
    energy = log_centers(dataset.energy_edges)
    return model.evaluate(energy if kept is None else jnp.where(kept, energy, energy[jnp.argmax(kept)]))


def on_sky(dataset: Any, model: FoVBackgroundModel) -> Any:
    """The spatial norm of a background model at the pixel centres: (ny, nx), or (n_reco, ny, nx)."""
    if not isinstance(dataset, MapBase):
        raise InputError(f"Model {model.name!r} has a spatial norm, and the dataset is a spectrum. Remove it.")
    assert model.spatial is not None
    x, y = dataset.geom.pixel_grid
    return model.spatial.evaluate(
        dataset.geom.shown_vectors(jnp.asarray(x), jnp.asarray(y))[0], log_centers(dataset.energy_edges)
    )


def _check(dataset: Any, also: Any = ()) -> None:
    if isinstance(dataset, Dataset) and not also:
        raise InputError(f"{type(dataset).__name__} has no counts: gj.npred gives what its data are compared with.")
    if not isinstance(dataset, Counts) and not isinstance(dataset, also):
        raise InputError(
            f"Found {type(dataset).__name__}, expected one dataset. Predictions are made for one dataset at a time: "
            "gj.npred(datasets['name'], models, name='name'); sums over Datasets come from gj.stat_sum and gj.fit."
        )
