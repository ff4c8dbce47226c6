"""What all counts datasets share: energy axes, masks, responses, checks."""

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u

from ..kernels.edisp import diagonal_response
from ..kernels.quadrature import nodes_for
from .convert import is_concrete, number_in, to_unit
from .errors import InputError
from .gti import GTI
from .meta import Meta
from .parameter import frozen_array

EDGE_TOLERANCE = 1e-6
"""Relative tolerance when asking whether an energy bin lies inside a range: files store edges in float32 or in keV."""


class CountsBase(eqx.Module):
    """What counts datasets share, of one region or of an image of the sky, with known or measured background.

    Energies are edges in TeV; ``exposure`` is in cm2 s per true-energy bin; counts and masks have one entry per
    reconstructed bin (and pixel). ``edisp=None`` means a perfect detector.
    """

    energy_edges: eqx.AbstractVar[Any]
    energy_true_edges: eqx.AbstractVar[Any]
    counts: eqx.AbstractVar[Any]
    exposure: eqx.AbstractVar[Any]
    edisp: eqx.AbstractVar[Any]
    mask_safe: eqx.AbstractVar[Any]
    mask_fit: eqx.AbstractVar[Any]
    livetime: eqx.AbstractVar[Any]
    gti: eqx.AbstractVar[GTI | None]
    meta: eqx.AbstractVar[Meta]
    nodes: eqx.AbstractVar[int]

    tag: ClassVar[str] = ""

    @property
    def mask(self) -> Any:
        """Bins that enter the fit statistic: mask_safe and mask_fit; None when there is neither."""
        if self.mask_safe is None or self.mask_fit is None:
            return self.mask_fit if self.mask_safe is None else self.mask_safe
        return self.mask_safe & self.mask_fit

    @property
    def n_reco(self) -> int:
        return self.energy_edges.shape[0] - 1

    @property
    def n_true(self) -> int:
        return self.energy_true_edges.shape[0] - 1

    @property
    def data_shape(self) -> tuple[int, ...]:
        """Shape of counts and masks."""
        return (self.n_reco, *self.pixels)

    @property
    def pixels(self) -> tuple[int, ...]:
        """Shape of an image: (ny, nx), or () for a spectrum."""
        return ()

    @property
    def energy_centers(self) -> Any:
        """Logarithmic centres of the reconstructed bins, in TeV."""
        return np.sqrt(self.energy_edges[:-1] * self.energy_edges[1:])

    def replace(self, **changes: Any) -> Any:
        """A copy with changed fields."""
        return dataclasses.replace(self, **changes)

    def with_mask_fit(self, mask: Any = None, *, energy_min: Any = None, energy_max: Any = None) -> Any:
        """A copy that fits the bins wholly inside [energy_min, energy_max], or the bins where ``mask`` is True.

        Energies are Quantities or numbers in TeV. ``mask_safe`` goes on applying on top. Called without arguments it
        removes the fit mask.
        """
        if mask is not None and (energy_min is not None or energy_max is not None):
            raise InputError("with_mask_fit: give either a mask or an energy range, not both.")
        if mask is None and (energy_min is not None or energy_max is not None):
            mask = self.energy_mask(energy_min, energy_max)
        return self.replace(mask_fit=mask)

    def with_mask_safe(self, mask: Any) -> Any:
        """A copy with another safe mask, of the shape of the counts."""
        return self.replace(mask_safe=mask)

    def energy_mask(self, energy_min: Any = None, energy_max: Any = None) -> np.ndarray:
        """Bins wholly inside [energy_min, energy_max] (Quantities or numbers in TeV), of the shape of the counts."""
        low = -np.inf if energy_min is None else number_in(energy_min, "TeV", "energy_min")
        high = np.inf if energy_max is None else number_in(energy_max, "TeV", "energy_max")
        edges = np.asarray(self.energy_edges)
        inside = (edges[:-1] >= low * (1 - EDGE_TOLERANCE)) & (edges[1:] <= high * (1 + EDGE_TOLERANCE))
        return np.broadcast_to(inside.reshape(-1, *(1 for _ in self.pixels)), self.data_shape)

    def to_masked(self) -> Any:
        """A copy in which the bins outside ``mask_safe`` are empty; see `reshape_mask.masked`."""
        from .reshape_mask import masked

        return masked(self)

    def to_image(self) -> Any:
        """A copy with one reconstructed energy bin, the sum over safe bins; see `reshape_energy.resample`.

        A pixel of a map that is safe at fewer energies than those around it predicts more than was counted.
        """
        from .reshape_energy import image

        return image(self)

    def resample_energy_axis(self, energy_edges: Any) -> Any:
        """A copy with merged reconstructed bins; ``energy_edges`` (Quantity, TeV or `MapAxis`) must be edges already.

        Sums are over safe bins, of the predicted counts too; see `reshape_energy.resample`.
        """
        from .reshape_energy import resample

        return resample(self, energy_edges)

    def slice_by_idx(self, slices: Any = None, **by_name: slice) -> Any:
        """A copy with a range of bins: ``slice_by_idx(energy=slice(0, 3))``, or a mapping; of maps "x" and "y" too."""
        from .reshape_energy import slice_by_axes

        return slice_by_axes(self, slices, **by_name)

    def slice_by_energy(self, energy_min: Any = None, energy_max: Any = None) -> Any:
        """A copy with the reconstructed bins between two energies, which are moved to the nearest edges of bins."""
        from .reshape_energy import slice_energy_range

        return slice_energy_range(self, energy_min, energy_max)

    def downsample(self, factor: int, axis_name: str | None = None) -> Any:
        """A copy in which ``factor`` by ``factor`` pixels are one, or ``factor`` bins of the axis "energy".

        Merged pixels that are safe in part predict more than was counted; see `reshape_sky.downsample_pixels`.
        """
        from .reshape_sky import downsample

        return downsample(self, factor, axis_name)

    def _check_common(self) -> None:
        name = type(self).__name__
        for field, kind in (("gti", GTI), ("meta", Meta)):
            value = getattr(self, field, None)
            if value is not None and not isinstance(value, kind):
                raise InputError(f"{name}: {field} must be a {kind.__name__}, found {type(value).__name__}.")
        pixels = self.pixels
        reco, true = (self.n_reco, *pixels), (self.n_true, *pixels)
        axes = {1: "one per {} bin", 3: "{} bins, y, x"}[len(reco)]
        for field, shape, axis in (
            ("counts", reco, "energy"),
            ("counts_off", reco, "energy"),
            ("acceptance", reco, "energy"),
            ("acceptance_off", reco, "energy"),
            ("background", reco, "energy"),
            ("mask_safe", reco, "energy"),
            ("mask_fit", reco, "energy"),
            ("exposure", true, "true-energy"),
        ):
            value = getattr(self, field, None)
            if value is None or not is_concrete(value):
                continue
            if np.shape(value) != shape:
                raise InputError(f"{name}: {field} has shape {np.shape(value)}, expected {shape}, {axes.format(axis)}.")
            array = np.asarray(value)
            if array.dtype == bool:
                continue
            bad = ~np.isfinite(array) | (array < 0)
            if bad.any():
                place = tuple(int(i) for i in np.argwhere(bad)[0])
                where = f"bin {place[0]}" if len(place) == 1 else f"bin (energy, y, x) = {place}"
                raise InputError(
                    f"{name}: {field} must be finite and not negative, found {array[place]} in {where} "
                    f"({int(bad.sum())} bad of {array.size}). Repair the input, or set the bins to 0 and exclude them "
                    "with mask_safe."
                )

    def diagonal_matrix(self) -> Any:
        """Response of a perfect detector on these axes, (n_true, n_reco)."""
        return diagonal_response(jnp.asarray(self.energy_true_edges), jnp.asarray(self.energy_edges))


def as_mask(value: Any) -> Any:
    return value if value is None or isinstance(value, jax.Array) else frozen_array(value, bool)


def as_exposure(value: Any) -> Any:
    return None if value is None else to_unit(value, "cm2 s", "exposure")


def as_livetime(value: Any) -> Any:
    return to_unit(np.nan if value is None else value, "s", "livetime")


def as_bins(value: Any, what: str = "counts") -> Any:
    """Numbers of events: plain ones, or Quantities without unit or in counts."""
    if isinstance(value, u.Quantity) and value.unit == u.ct:
        value = value.value
    return to_unit(value, "", what)


def quadrature_nodes(given: int | None, energy_true_edges: Any) -> int:
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < 1:
            raise InputError(f"nodes must be a positive integer, found {given!r}.")
        return int(given)
    if not is_concrete(energy_true_edges):
        raise InputError("nodes must be given when energy_true_edges is traced.")
    return nodes_for(np.asarray(energy_true_edges))


def per_bin(value: Any, shape: tuple[int, ...]) -> Any:
    value = as_bins(value)
    if value is not None and not isinstance(value, jax.Array) and value.ndim == 0:
        return frozen_array(np.full(shape, float(value)))
    return value
