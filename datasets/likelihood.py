"""What a joint fit needs of a dataset: that it is fit for it, and its arrays.

These functions read the fields of a dataset with `fields_of`, and ask for its type once a type: joint fits of ten
thousand runs do nothing else here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .convert import is_concrete
from .dataset import Dataset
from .errors import InputError
from .gti import GTI
from .map import MapBase
from .npred import Counts
from .parameter import fields_of
from .region_map import RegionMapDataset
from .region_response import plan_share
from .sky_model import FoVBackgroundModel, SkyModel
from .statistic import WStatistic

LIKELIHOOD_AXES = {
    "energy_edges": ("energy edges",),
    "energy_true_edges": ("energy_true edges",),
    "counts": ("energy",),
    "counts_off": ("energy",),
    "acceptance": ("energy",),
    "acceptance_off": ("energy",),
    "background": ("energy",),
    "exposure": ("energy_true",),
    "edisp": ("energy_true", "energy"),
    "mask_safe": ("energy",),
    "gti_start": ("intervals",),
    "gti_stop": ("intervals",),
    "gti_reference": (),
}
"""Axes of the arrays of spectra that enter a likelihood: how joint fits pad them."""


@dataclass(frozen=True)
class SpectrumProgram:
    """Static side of a spectrum inside a fit; calling it with arrays gives the dataset."""

    type: type
    nodes: int

    def __call__(self, **arrays: Any) -> Any:
        gti = GTI.from_arrays(arrays)
        if gti is None:
            return self.type(**arrays, nodes=self.nodes)
        own = {k: v for k, v in arrays.items() if not k.startswith("gti_")}
        return self.type(**own, gti=gti, nodes=self.nodes)


class _Kind(NamedTuple):
    """What the type of a dataset says about it."""

    own: bool
    counts: bool
    on_off: bool
    is_map: bool


@lru_cache(maxsize=256)
def _kind(of: Any) -> _Kind:
    return _Kind(issubclass(of, Dataset), issubclass(of, Counts), issubclass(of, WStatistic), issubclass(of, MapBase))


def fitted_bins(dataset: Counts | Dataset) -> Any:
    """The mask as an array, all True where there is none; of the shape of the counts."""
    if isinstance(dataset, Dataset):
        return np.ones(dataset.data_shape, bool) if dataset.mask is None else dataset.mask
    fields = fields_of(dataset)
    safe, fit = fields["mask_safe"], fields["mask_fit"]
    if safe is None and fit is None:
        return np.ones(dataset.data_shape, bool)
    if safe is None or fit is None:
        return fit if safe is None else safe
    return safe & fit


def likelihood_arrays(dataset: Any) -> dict[str, Any]:
    """The arrays of a spectrum that enter the likelihood, by constructor argument; `LIKELIHOOD_AXES` has their axes."""
    fields = fields_of(dataset)
    arrays = {name: fields[name] for name in LIKELIHOOD_AXES if name in fields}
    if arrays["exposure"] is None:
        arrays["exposure"] = np.zeros(len(fields["energy_true_edges"]) - 1)
    if arrays.get("background", arrays) is None:
        arrays["background"] = np.zeros(len(fields["energy_edges"]) - 1)
    edisp = fields["edisp"]
    arrays["edisp"] = dataset.diagonal_matrix() if edisp is None else fields_of(edisp)["matrix"]
    arrays["mask_safe"] = fitted_bins(dataset)
    return arrays


def check_ready(dataset: Any, name: str, models: Sequence[Any]) -> None:
    """Raise an `InputError` if the dataset cannot enter a fit with these models."""
    what = f"Dataset {name!r}"
    of_dataset: Any = type(dataset)
    kind = _kind(of_dataset)
    if kind.own:
        dataset.check_models(models, what)
        mask = fitted_bins(dataset)
        if is_concrete(mask) and not np.any(mask):
            raise InputError(
                f"{what}: none of its {np.size(mask)} bins can be fitted: all are masked, or lack what the statistic "
                f"{dataset.stat_type!r} needs. Widen the fit range, or leave the dataset out."
            )
        return
    if not kind.counts:
        raise InputError(
            f"{what}: found {type(dataset).__name__}, expected a dataset. A type of your own must derive from "
            "gammajax.Dataset, which says what it needs."
        )
    fields = fields_of(dataset)
    if fields["counts"] is None:
        raise InputError(f"{what}: there are no counts. Read or simulate them first.")
    on_off = kind.on_off
    _check_models(dataset, kind, what, models)
    if on_off and fields["counts_off"] is None:
        raise InputError(f"{what}: there are no off counts. Read the background file, or fit a SpectrumDataset.")
    mask = fitted_bins(dataset)
    if not is_concrete(mask):
        return
    if not mask.any():
        kept = {k: "all" if fields[k] is None else int(np.sum(fields[k])) for k in ("mask_safe", "mask_fit")}
        raise InputError(
            f"{what}: the mask excludes every bin (mask_safe keeps {kept['mask_safe']}, mask_fit {kept['mask_fit']} of "
            f"{np.size(mask)}). Widen the fit range, or leave the dataset out."
        )
    if on_off and is_concrete(fields["acceptance"]) and is_concrete(fields["acceptance_off"]):
        on, off = np.asarray(fields["acceptance"]), np.asarray(fields["acceptance_off"])
        bad = np.asarray(mask) & ~((on > 0) & (off > 0))
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            raise InputError(
                f"{what}: alpha must be positive in fitted bins, found acceptance {on[first]} and acceptance_off "
                f"{off[first]} in bin {', '.join(map(str, first))} ({int(bad.sum())} such bins). Exclude them with "
                "mask_safe."
            )


def _check_models(dataset: Any, kind: _Kind, what: str, models: Sequence[Any]) -> None:
    fields = fields_of(dataset)
    backgrounds = [fields_of(m)["name"] for m in models if type(m) is FoVBackgroundModel]
    if len(backgrounds) > 1:
        raise InputError(f"{what}: one background model per dataset, found {', '.join(map(repr, backgrounds))}.")
    if backgrounds and kind.on_off:
        raise InputError(
            f"{what}: the background model {backgrounds[0]!r} has no effect, because the W statistic profiles the "
            "background from the off counts. Remove the model, or fit a SpectrumDataset."
        )
    if backgrounds and fields["background"] is None:
        raise InputError(f"{what}: the model {backgrounds[0]!r} scales a background that is missing.")
    sources = [m for m in models if type(m) is SkyModel]
    is_region = bool(sources) and isinstance(dataset, RegionMapDataset)
    for model in sources:
        of_model = fields_of(model)
        if of_model["temporal"] is not None:
            model.check_times(fields["gti"], what)
        if of_model["spatial"] is not None:
            model.check_place(what)
        if is_region and of_model["spatial"] is not None:
            plan_share(dataset, model)
        elif not kind.is_map:
            if of_model["spatial"] is not None:
                model.check_spectrum()
        elif of_model["spatial"] is None:
            raise InputError(
                f"{what}: model {model.name!r} has no spatial part, and the dataset is a map. Give it one, such as "
                "spatial=PointSpatialModel(lon_0=..., lat_0=...)."
            )
    if fields["exposure"] is None and any(fields_of(m)["flags"][0] for m in sources):
        raise InputError(f"{what}: the exposure is missing, so its models predict nothing.")
