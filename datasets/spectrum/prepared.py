"""Spectra made ready for a fit: their arrays, padded to one size, and what is predicted from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...kernels.programs import remembered
from ..arrays import Array, fields_of
from ..counts.base import CountsBase
from ..counts.instrument import instrument_of, livetime_factor
from ..counts.known import background_model, background_norm, fitted_energies
from ..counts.template import template_counts
from ..dataset import fitted_of
from ..gti import GTI
from ..models.instrument import InstrumentModel
from ..models.sky_model import SkyModel, TemplateNPredModel
from ..prepared import Arrays, Models, PreparedCounts, Size, Spec
from ..statistics.base import Bins, Statistic
from ..statistics.registry import STATISTICS
from .npred import SpectrumResponse, spectrum_counts

AXES: Mapping[str, tuple[str, ...]] = {
    "energy_edges": ("energy edges",),
    "energy_true_edges": ("energy_true edges",),
    "counts": ("energy",),
    "counts_off": ("energy",),
    "acceptance": ("energy",),
    "acceptance_off": ("energy",),
    "background": ("energy",),
    "weights": ("energy",),
    "exposure": ("energy_true",),
    "edisp": ("energy_true", "energy"),
    "mask_safe": ("energy",),
    "bins": (),
    "gti_start": ("intervals",),
    "gti_stop": ("intervals",),
    "gti_reference": (),
}
"""Axes of the arrays of spectra that enter a likelihood: how joint fits pad them."""


@dataclass(frozen=True)
class SpectrumSpec(Spec):
    """Static side of a spectrum inside a fit.

    ``measured``: whether the background is, by off counts. ``exact``: templates have as many bins as their dataset, not
    more. ``lengths``: of the axes, and ``nodes``, the quadrature nodes of a true-energy bin. ``energy_interp``: scale
    of the reconstructed energies.
    """

    statistic: Statistic
    measured: bool
    exact: bool
    lengths: Size
    energy_interp: str

    @property
    def axes(self) -> Mapping[str, tuple[str, ...]]:
        return AXES

    @property
    def size(self) -> Size:
        return self.lengths

    @property
    def of_counts(self) -> tuple[str, ...]:
        return ("counts", "counts_off") if self.measured else ("counts",)

    @property
    def bucketed(self) -> tuple[str, ...]:
        return () if self.exact else ("energy", "energy_true")

    def cost(self, size: Size) -> int:
        lengths = dict(size)
        return lengths["energy"] * lengths["energy_true"]

    def with_size(self, size: Size) -> "SpectrumSpec":
        return _spec(self.statistic, self.measured, self.exact, size, self.energy_interp)

    def __call__(self, **arrays: Array) -> "PreparedSpectrum":
        return (MeasuredSpectrum if self.measured else PreparedSpectrum)(self, arrays)


# thousands of spectra have one
@remembered(1024)
def _spec(statistic: Statistic, measured: bool, exact: bool, size: Size, energy_interp: str) -> SpectrumSpec:
    return SpectrumSpec(statistic, measured, exact, size, energy_interp)


class PreparedSpectrum(PreparedCounts):
    """A spectrum with a known background inside a fit."""

    def __init__(self, spec: SpectrumSpec, arrays: Arrays):
        self.statistic, self.data = spec.statistic, arrays
        self.mask, self.interp = arrays["mask_safe"], spec.energy_interp
        self.response = SpectrumResponse(
            arrays["energy_edges"],
            arrays["energy_true_edges"],
            arrays["exposure"],
            arrays["edisp"],
            dict(spec.size)["nodes"],
            GTI.from_arrays(arrays),
            arrays.get("bins"),
        )

    def signal(self, models: Models) -> Bins:
        """Counts of sources and templates, (n_reco,)."""
        instrument = instrument_of(models, self.response.energy_true_edges, self.response.energy_edges)
        total = spectrum_counts(self.response, [m for m in models if isinstance(m, SkyModel)], instrument)
        for model in models:
            if isinstance(model, TemplateNPredModel):
                total = total + template_counts(model, self.response.energy_edges, total.shape, self.interp)
        return total

    def background(self, models: Models, signal: Bins) -> Bins:
        """Background times its norm, (n_reco,)."""
        known, model = jnp.asarray(self.data["background"]) * livetime_factor(models), background_model(models)
        if model is None:
            return known
        return known * background_norm(model, self.response.energy_edges, self.interp, fitted_energies(self.mask))

    def predict(self, models: Models) -> Bins:
        signal = self.signal(models)
        return signal + self.background(models, signal)

    def spectra(self, models: Models) -> tuple[Bins, Bins]:
        signal = self.signal(models)
        return signal, self.background(models, signal)


class MeasuredSpectrum(PreparedSpectrum):
    """A spectrum with off counts inside a fit."""

    def background(self, models: Models, signal: Bins) -> Bins:
        """Background profiled for the signal, (n_reco,)."""
        return self.statistic.background_bins(self.data, signal)

    def predict(self, models: Models) -> Bins:
        return self.signal(models)

    def expected(self, models: Models) -> Bins:
        signal = self.signal(models)
        return signal + self.background(models, signal)


def prepare_spectrum(dataset: CountsBase, models: Models, *, measured: bool) -> tuple[SpectrumSpec, Arrays]:
    """Spec and arrays of a spectrum. Fields are read as they are kept, for thousands of them."""
    fields = fields_of(dataset)
    n_reco, n_true = len(fields["energy_edges"]) - 1, len(fields["energy_true_edges"]) - 1
    arrays: dict[str, Any] = {name: fields[name] for name in ("energy_edges", "energy_true_edges", "counts")}
    arrays |= {
        name: fields[name] for name in dataset.background_fields if name != "weights" or fields[name] is not None
    }
    arrays["exposure"] = np.zeros(n_true) if fields["exposure"] is None else fields["exposure"]
    if not measured and arrays["background"] is None:
        arrays["background"] = np.zeros(n_reco)
    edisp = fields["edisp"]
    arrays["edisp"] = dataset.diagonal_matrix() if edisp is None else fields_of(edisp)["matrix"]
    arrays["mask_safe"] = fitted_of(dataset)
    size: Size = (("energy", n_reco), ("energy_true", n_true), ("intervals", 0), ("nodes", fields["nodes"]))
    if any(type(m) is SkyModel and fields_of(m)["temporal"] is not None for m in models):
        gti = fields["gti"]
        arrays |= gti.to_arrays()
        size = (*size[:2], ("intervals", np.size(gti.start)), size[3])
    if any(type(m) is InstrumentModel for m in models):
        arrays["bins"] = np.array(n_reco)
    exact = any(type(m) is TemplateNPredModel for m in models)
    return _spec(STATISTICS[fields["stat_type"]], measured, exact, size, fields["energy_interp"]), arrays
