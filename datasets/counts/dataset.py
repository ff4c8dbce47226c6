"""What can be done with any dataset of counts: masks, sums, slices, simulation, summaries."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from ..arrays import Array, Mask, fields_of, is_concrete
from ..dataset import Models
from ..errors import InputError
from ..hints.modules import found, require_models
from ..models.sky_model import FoVBackgroundModel, SkyModel
from ..seen import Spectrum
from ..sky.axis import MapAxis
from ..statistics.base import Bins
from ..units import NOT_FITTED, Given, warn_of_cut_bins
from .base import CountsBase, fitted_of
from .instrument import check_instruments
from .reshape_energy import (
    axes_to_slice,
    downsample_energy,
    image,
    resample,
    slice_energy,
    slice_energy_range,
    slice_energy_true,
)
from .reshape_mask import masked
from .residuals import METHODS, count_residuals
from .significance import CashCountsStatistic, WStatCountsStatistic
from .stack import stack_onto
from .summary import Info, counts_summary
from .trials import Trials


class CountsDataset(CountsBase):
    """A dataset of counts. Nothing is set in place: methods return new datasets."""

    @abstractmethod
    def prediction_of(self, signal: Bins, models: Models) -> Bins:
        """`predict` for a signal that is known already."""

    def with_mask_fit(
        self,
        mask: Mask | None = None,
        *,
        energy_min: Given | None = None,
        energy_max: Given | None = None,
        round_to_edge: bool | None = None,
    ) -> Self:
        """A copy that fits the bins wholly inside [energy_min, energy_max], or the bins where ``mask`` is True.

        Energies are Quantities or numbers in TeV. With ``round_to_edge`` they are moved to the nearest edges of bins;
        without it a bin that an energy cuts is not fitted, which a warning says unless it is False. ``mask_safe`` goes
        on applying on top. Called without arguments it removes the fit mask.
        """
        if mask is not None and (energy_min is not None or energy_max is not None):
            raise InputError("with_mask_fit: give either a mask or an energy range, not both.")
        if mask is None and (energy_min is not None or energy_max is not None):
            mask = self.energy_mask(energy_min, energy_max, bool(round_to_edge))
            if round_to_edge is None:
                edges = np.asarray(self.energy_edges)
                warn_of_cut_bins(edges[:-1], edges[1:], (energy_min, energy_max), "with_mask_fit", NOT_FITTED)
        return self.replace(mask_fit=mask)

    def with_mask_safe(self, mask: Mask | None) -> Self:
        """A copy with another safe mask, of the shape of the counts."""
        return self.replace(mask_safe=mask)

    def to_masked(self) -> Self:
        """A copy in which the bins outside ``mask_safe`` are empty; see `reshape_mask.masked`."""
        return masked(self)

    def to_image(self) -> Self:
        """A copy with one reconstructed energy bin, the sum over safe bins; see `reshape_energy.resample`.

        A pixel of a map that is safe at fewer energies than those around it predicts more than was counted.
        """
        return image(self)

    def resample_energy_axis(self, energy_edges: Given | MapAxis) -> Self:
        """A copy with merged reconstructed bins; ``energy_edges`` (Quantity, TeV or `MapAxis`) must be edges already.

        Sums are over safe bins, of the predicted counts too; see `reshape_energy.resample`.
        """
        return resample(self, energy_edges)

    def slice_by_idx(self, slices: Mapping[str, slice] | None = None, **by_name: slice) -> Self:
        """A copy with a range of bins: ``slice_by_idx(energy=slice(0, 3))``, or a mapping.

        Axes are "energy", "energy_true" and, of maps, "x" and "y". With "energy_true" only what sources send at these
        energies is predicted.
        """
        wanted = axes_to_slice(self, slices, by_name)
        dataset = slice_energy(self, wanted.pop("energy")) if "energy" in wanted else self
        dataset = slice_energy_true(dataset, wanted.pop("energy_true")) if "energy_true" in wanted else dataset
        return dataset.crop(wanted.get("y", slice(None)), wanted.get("x", slice(None))) if wanted else dataset

    def crop(self, y: slice, x: slice) -> Self:
        """A copy of a range of pixels."""
        raise InputError(f"crop: a {type(self).__name__} has no pixels.")

    def trials(
        self, source: SkyModel, models: Models, x: np.ndarray, y: np.ndarray, rules: tuple[int, int], what: str
    ) -> tuple[Trials, np.ndarray]:
        """Kernels that stand for a source at pixel coordinates (x, y) of a map, and which one does at each, (n,).

        ``rules``: places along each side of the map at which responses are taken, and steps of a pixel to which
        places between pixels are rounded.
        """
        raise InputError(f"{what}: a {type(self).__name__} has no pixels.")

    def slice_by_energy(
        self,
        energy_min: Given | None = None,
        energy_max: Given | None = None,
        *,
        round_to_edge: bool | None = None,
    ) -> Self:
        """A copy with the reconstructed bins between two energies, which are moved to the nearest edges of bins.

        A warning says so unless ``round_to_edge`` is True; if it is False only bins wholly in the range are taken.
        """
        return slice_energy_range(self, energy_min, energy_max, round_to_edge)

    def downsample(self, factor: int, axis_name: str | None = None) -> Self:
        """A copy in which ``factor`` bins of the axis "energy" are one."""
        if axis_name != "energy":
            raise InputError(f"downsample: axis_name is {axis_name!r}, expected 'energy' for a {type(self).__name__}.")
        return downsample_energy(self, factor)

    def stack(self, other: Self) -> Self:
        """The sum of this dataset and another of its type, on its pixels or a cutout of them; see `gammajax.stack`."""
        return stack_onto(self, other)

    def residual_methods(self) -> tuple[str, ...]:
        return METHODS

    def residuals(self, models: Models | None = None, method: str = "diff") -> Array:
        """See `gammajax.residuals`."""
        return count_residuals(self, require_models(models, "residuals"), method)

    def info_dict(self) -> dict[str, Info]:
        return self.summary()

    def summary(self, models: Models | None = None) -> dict[str, Info]:
        """See `gammajax.info_dict`."""
        return {"type": self.tag, "stat_type": self.stat_type} | counts_summary(self, models)

    @abstractmethod
    def counts_statistic(self, models: Models) -> CashCountsStatistic | WStatCountsStatistic:
        """See `gammajax.counts_statistic`."""

    @abstractmethod
    def contents(self, path: Path, name: str) -> Mapping[Path, bytes]:
        """All files of the dataset as bytes by path, in the form that an index of datasets names; ``name``: its own."""

    def spectrum(self, signal: Array, background: Array) -> Spectrum:
        mask = np.ones(self.data_shape, bool) if self.mask is None else np.asarray(self.mask)

        def per_energy(values: Array | None) -> np.ndarray:
            """Of a map the sum over the fitted pixels."""
            numbers = np.asarray(values, float)
            return numbers if numbers.ndim == 1 else np.where(mask, numbers, 0.0).sum(axis=(1, 2))

        measured, variance = self.background_error()
        expected = per_energy(background)
        return Spectrum(
            edges=np.asarray(self.energy_edges),
            counts=per_energy(self.counts),
            signal=per_energy(signal),
            background=expected,
            background_error=np.sqrt(per_energy(variance)),
            measured_background=expected if measured is None else per_energy(measured),
            mask=np.asarray(mask.reshape(self.n_reco, -1).any(axis=1)),
            n_bins=int(mask.sum()),
        )

    # Fields are read as they are kept, and methods called by their class, where joint fits of ten thousand runs do
    # little else: a method of an eqx.Module makes a new pytree at each access.

    def check_ready(self, models: Models, what: str) -> None:
        fields = fields_of(self)
        if fields["counts"] is None:
            raise InputError(f"{what}: there are no counts. Read or simulate them first.")
        mask = fitted_of(self)
        type(self)._check_models(self, models, mask, what)
        type(self).warn_of_unreached(self, models, mask, what)
        if is_concrete(mask) and not mask.any():
            kept = {k: "all" if fields[k] is None else int(np.sum(fields[k])) for k in ("mask_safe", "mask_fit")}
            raise InputError(
                f"{what}: the mask excludes every bin (mask_safe keeps {kept['mask_safe']}, mask_fit "
                f"{kept['mask_fit']} of {np.size(mask)}). Widen the fit range, or leave the dataset out."
            )

    def check_models(self, models: Models, what: str) -> None:
        self._check_models(models, fitted_of(self), what)

    def _check_models(self, models: Models, mask: Mask, what: str) -> None:
        fields = fields_of(self)
        backgrounds = [m for m in models if type(m) is FoVBackgroundModel]
        if len(backgrounds) > 1:
            names = ", ".join(repr(fields_of(m)["name"]) for m in backgrounds)
            raise InputError(f"{what}: one background model per dataset, found {names}.")
        sources = [m for m in models if type(m) is SkyModel]
        for model in sources:
            of_model = fields_of(model)
            if of_model["temporal"] is not None:
                type(model).check_times(model, fields["gti"], what)
            if of_model["spatial"] is not None:
                type(model).check_place(model, what)
        type(self).check_sources(self, sources, what)
        check_instruments(models, fields.get("psf"), fields.get("source_grid", ""), what)
        type(self)._require_response(self, sources, what)
        if fields["exposure"] is None and any(fields_of(m)["flags"].exposure for m in sources):
            raise InputError(f"{what}: the exposure is missing, so its models predict nothing.")
        type(self).check_background(self, backgrounds, mask, what)

    def _require_response(self, sources: Sequence[SkyModel], what: str) -> None:
        """Raise an `InputError` for an energy dispersion or a point spread function that is 0 everywhere."""
        fields = fields_of(self)
        for name, leaf in (("edisp", "matrix"), ("edisp", "values"), ("psf", "values")):
            response = fields.get(name)
            table = None if response is None else fields_of(response).get(leaf)
            if not isinstance(table, np.ndarray) or not any(getattr(m.flags, name) for m in sources):
                continue
            if not table.any():
                raise InputError(
                    f"{what}: the response {name} is 0 everywhere, so that its models predict nothing. Read or make "
                    f"the right one, or leave it out: dataset.replace({name}=None)."
                )

    def warn_of_unreached(self, models: Models, mask: Mask, what: str) -> None:
        """A warning for fitted bins with counts in which no model can predict any, whatever its parameters are."""

    def require_exposure(self, sources: Sequence[SkyModel]) -> None:
        """Raise an `InputError` if a source predicts nothing because there is no exposure, or no other response."""
        fields = fields_of(self)
        type(self)._require_response(self, sources, type(self).__name__)
        missing = [m for m in sources if fields_of(m)["flags"].exposure] if fields["exposure"] is None else []
        if missing:
            raise InputError(
                f"{type(self).__name__}: the exposure is missing, so model {missing[0].name!r} predicts nothing. "
                "Give exposure=..., or switch it off with apply_irf={'exposure': False}."
            )


def require_counts(dataset: object, what: str) -> CountsDataset:
    """The dataset itself; InputError for what is not one of counts."""
    if not isinstance(dataset, CountsDataset):
        raise InputError(f"{what}: found {found(dataset)}, expected one dataset of counts: datasets['name'].")
    return dataset


def counts_datasets(named: Sequence[tuple[str, object]], what: str) -> list[tuple[str, CountsDataset]]:
    """`require_counts` of all."""
    found = []
    for name, dataset in named:
        if not isinstance(dataset, CountsDataset):
            kind = type(dataset).__name__
            raise InputError(f"{what}: dataset {name!r} is a {kind}, expected one of counts.")
        found.append((name, dataset))
    return found
