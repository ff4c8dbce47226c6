"""Spectrum datasets: counts in energy bins of one region."""

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from astropy import units as u

from ..kernels.cash import cash, cash_deviance, cash_offset, cash_terms
from ..kernels.edisp import diagonal_response, fold
from ..kernels.quadrature import nodes_for
from ..kernels.wstat import profile_background, wstat, wstat_terms
from .convert import edges_tev, is_concrete, to_unit
from .edisp import EDispKernel
from .errors import InputError
from .gti import GTI
from .meta import Meta
from .parameter import frozen_array

EDGE_TOLERANCE = 1e-6
"""Relative tolerance when asking whether an energy bin lies inside a range: files store edges in float32 or in keV."""


class SpectrumBase(eqx.Module):
    """What spectra with known and with measured background share.

    Energies are edges in TeV; ``exposure`` is in cm2 s per true-energy bin; counts and masks have one entry per
    reconstructed bin. ``edisp=None`` means a perfect detector.
    """

    energy_edges: eqx.AbstractVar[Any]
    energy_true_edges: eqx.AbstractVar[Any]
    counts: eqx.AbstractVar[Any]
    exposure: eqx.AbstractVar[Any]
    edisp: eqx.AbstractVar[EDispKernel | None]
    mask_safe: eqx.AbstractVar[Any]
    mask_fit: eqx.AbstractVar[Any]
    livetime: eqx.AbstractVar[Any]
    gti: eqx.AbstractVar[GTI | None]
    meta: eqx.AbstractVar[Meta]
    nodes: eqx.AbstractVar[int]

    tag: ClassVar[str] = ""
    stat_type: ClassVar[str] = ""

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
    def energy_centers(self) -> Any:
        """Logarithmic centres of the reconstructed bins, in TeV."""
        return np.sqrt(self.energy_edges[:-1] * self.energy_edges[1:])

    @property
    def psf(self) -> None:
        """A spectrum has no point spread function: containment is part of its exposure."""
        return None

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
        """A copy with another safe mask, shape (n_reco,)."""
        return self.replace(mask_safe=mask)

    def energy_mask(self, energy_min: Any = None, energy_max: Any = None) -> np.ndarray:
        """Bins wholly inside [energy_min, energy_max] (Quantities or numbers in TeV), shape (n_reco,)."""
        low = -np.inf if energy_min is None else float(to_unit(energy_min, "TeV", "energy_min"))
        high = np.inf if energy_max is None else float(to_unit(energy_max, "TeV", "energy_max"))
        edges = np.asarray(self.energy_edges)
        return (edges[:-1] >= low * (1 - EDGE_TOLERANCE)) & (edges[1:] <= high * (1 + EDGE_TOLERANCE))

    def apply_response(self, npred_true: Any, edisp: bool = True) -> jax.Array:
        """Counts per reconstructed bin from counts per true bin; the perfect response if there is no matrix."""
        if edisp and self.edisp is not None:
            return fold(jnp.asarray(self.edisp.matrix), npred_true)
        return fold(self.diagonal_matrix(), npred_true)

    def _check_common(self) -> None:
        name = type(self).__name__
        n_reco, n_true = self.n_reco, self.n_true
        for field, n, axis in (
            ("counts", n_reco, "energy"),
            ("counts_off", n_reco, "energy"),
            ("acceptance", n_reco, "energy"),
            ("acceptance_off", n_reco, "energy"),
            ("background", n_reco, "energy"),
            ("mask_safe", n_reco, "energy"),
            ("mask_fit", n_reco, "energy"),
            ("exposure", n_true, "true-energy"),
        ):
            value = getattr(self, field, None)
            if value is None or not is_concrete(value):
                continue
            if np.shape(value) != (n,):
                raise InputError(f"{name}: {field} has shape {np.shape(value)}, expected ({n},), one per {axis} bin.")
            array = np.asarray(value)
            if array.dtype == bool:
                continue
            bad = ~np.isfinite(array) | (array < 0)
            if bad.any():
                first = int(np.argmax(bad))
                raise InputError(
                    f"{name}: {field} must be finite and not negative, found {array[first]} in bin {first} "
                    f"({int(bad.sum())} bad of {n}). Repair the input, or set the bins to 0 and exclude them with "
                    "mask_safe."
                )
        if (
            self.edisp is not None
            and is_concrete(self.edisp.matrix)
            and np.shape(self.edisp.matrix) != (n_true, n_reco)
        ):
            raise InputError(
                f"{name}: edisp has shape {np.shape(self.edisp.matrix)}, expected ({n_true}, {n_reco}): "
                "true-energy bins of the exposure by energy bins of the counts."
            )

    def diagonal_matrix(self) -> Any:
        """Response of a perfect detector on these axes, (n_true, n_reco)."""
        return diagonal_response(jnp.asarray(self.energy_true_edges), jnp.asarray(self.energy_edges))


def _mask(value: Any) -> Any:
    return value if value is None or isinstance(value, jax.Array) else frozen_array(value, bool)


def _exposure(value: Any) -> Any:
    return None if value is None else to_unit(value, "cm2 s", "exposure")


def _livetime(value: Any) -> Any:
    return to_unit(np.nan if value is None else value, "s", "livetime")


def _bins(value: Any) -> Any:
    if isinstance(value, u.Quantity):
        value = value.value if value.unit == u.ct else to_unit(value, "", "counts")
    return frozen_array(value)


def _nodes(given: int | None, energy_true_edges: Any) -> int:
    if given is not None:
        return given
    if not is_concrete(energy_true_edges):
        raise InputError("nodes must be given when energy_true_edges is traced.")
    return nodes_for(np.asarray(energy_true_edges))


class SpectrumDataset(SpectrumBase):
    """Counts of one region with a known background: Poisson statistic ``cash``.

    Parameters
    ----------
    energy_edges : reconstructed energy bin edges, (n_reco + 1,), Quantity or TeV
    energy_true_edges : true energy bin edges, (n_true + 1,); default the same
    counts, background : (n_reco,) numbers; counts may be missing (to simulate)
    exposure : (n_true,), Quantity or cm2 s
    edisp : `EDispKernel` of shape (n_true, n_reco); None for a perfect detector
    mask_safe, mask_fit : (n_reco,) bool
    livetime : Quantity or s
    gti, meta : `GTI`, `Meta`
    nodes : quadrature nodes per true bin; default from the widest bin (accuracy 1e-8)
    """

    energy_edges: Any
    energy_true_edges: Any
    counts: Any
    background: Any
    exposure: Any
    edisp: EDispKernel | None
    mask_safe: Any
    mask_fit: Any
    livetime: Any
    gti: GTI | None
    meta: Meta
    nodes: int = eqx.field(static=True)

    tag = "SpectrumDataset"
    stat_type = "cash"

    def __init__(
        self,
        energy_edges: Any,
        energy_true_edges: Any = None,
        counts: Any = None,
        background: Any = None,
        exposure: Any = None,
        edisp: Any = None,
        mask_safe: Any = None,
        mask_fit: Any = None,
        livetime: Any = None,
        gti: GTI | None = None,
        meta: Meta | None = None,
        nodes: int | None = None,
    ):
        self.energy_edges = edges_tev(energy_edges, "energy_edges")
        self.energy_true_edges = (
            self.energy_edges if energy_true_edges is None else edges_tev(energy_true_edges, "energy_true_edges")
        )
        self.counts, self.background = _bins(counts), _bins(background)
        self.exposure = _exposure(exposure)
        self.edisp = edisp if edisp is None or isinstance(edisp, EDispKernel) else EDispKernel(edisp)
        self.mask_safe, self.mask_fit = _mask(mask_safe), _mask(mask_fit)
        self.livetime, self.gti, self.meta = _livetime(livetime), gti, meta or Meta()
        self.nodes = _nodes(nodes, self.energy_true_edges)

    def __check_init__(self):
        self._check_common()

    @classmethod
    def read(cls, filename: Any) -> "SpectrumDataset":
        """Read gammapy's GADF region form, or an OGIP PHA file that names no background; see `read_gadf_counts`."""
        from .spectrum_files import read_counts

        return read_counts(filename)

    def write(self, filename: Any, overwrite: bool = False) -> None:
        """Write gammapy's GADF region form, one file."""
        from .spectrum_files import write_spectrum

        write_spectrum(self, filename, overwrite, "gadf")

    def npred_background(self, norm: Any = 1.0) -> jax.Array:
        """Background times ``norm`` (a number or one per bin), shape (n_reco,); zeros without a background."""
        if self.background is None:
            return jnp.zeros(self.n_reco)
        return jnp.asarray(self.background) * norm

    def stat_bins(self, prediction: Any) -> jax.Array:
        """Cash statistic per bin, masks not applied."""
        return cash(jnp.asarray(self.counts), prediction)

    def deviance_bins(self, prediction: Any) -> jax.Array:
        """`stat_bins` less a constant of the data, chosen so that the value is 0 for a perfect model."""
        return cash_deviance(jnp.asarray(self.counts), prediction)

    def offset_bins(self) -> jax.Array:
        """`stat_bins` minus `deviance_bins`."""
        return cash_offset(jnp.asarray(self.counts))

    def scoring_bins(self, prediction: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """`deviance_bins`, its slope in the prediction and its expected curvature, per bin."""
        return cash_terms(jnp.asarray(self.counts), prediction)


class SpectrumDatasetOnOff(SpectrumBase):
    """Counts of an on and an off region: profile likelihood statistic ``wstat``.

    As `SpectrumDataset`, with ``counts_off``, ``acceptance`` and ``acceptance_off`` (numbers or one per bin) in place
    of the background; ``alpha`` is acceptance / acceptance_off.
    """

    energy_edges: Any
    energy_true_edges: Any
    counts: Any
    counts_off: Any
    acceptance: Any
    acceptance_off: Any
    exposure: Any
    edisp: EDispKernel | None
    mask_safe: Any
    mask_fit: Any
    livetime: Any
    gti: GTI | None
    meta: Meta
    nodes: int = eqx.field(static=True)

    tag = "SpectrumDatasetOnOff"
    stat_type = "wstat"

    def __init__(
        self,
        energy_edges: Any,
        energy_true_edges: Any = None,
        counts: Any = None,
        counts_off: Any = None,
        acceptance: Any = 1.0,
        acceptance_off: Any = 1.0,
        exposure: Any = None,
        edisp: Any = None,
        mask_safe: Any = None,
        mask_fit: Any = None,
        livetime: Any = None,
        gti: GTI | None = None,
        meta: Meta | None = None,
        nodes: int | None = None,
    ):
        self.energy_edges = edges_tev(energy_edges, "energy_edges")
        self.energy_true_edges = (
            self.energy_edges if energy_true_edges is None else edges_tev(energy_true_edges, "energy_true_edges")
        )
        n_reco = self.energy_edges.shape[0] - 1
        self.counts, self.counts_off = _bins(counts), _bins(counts_off)
        self.acceptance, self.acceptance_off = _per_bin(acceptance, n_reco), _per_bin(acceptance_off, n_reco)
        self.exposure = _exposure(exposure)
        self.edisp = edisp if edisp is None or isinstance(edisp, EDispKernel) else EDispKernel(edisp)
        self.mask_safe, self.mask_fit = _mask(mask_safe), _mask(mask_fit)
        self.livetime, self.gti, self.meta = _livetime(livetime), gti, meta or Meta()
        self.nodes = _nodes(nodes, self.energy_true_edges)

    def __check_init__(self):
        self._check_common()

    @classmethod
    def read(cls, filename: Any) -> "SpectrumDatasetOnOff":
        """Read an OGIP PHA file and the files it names, see `read_ogip`; or gammapy's GADF region form."""
        from .spectrum_files import read_on_off

        return read_on_off(filename)

    def write(self, filename: Any, overwrite: bool = False, format: str = "ogip") -> None:
        """Write NAME.fits and its NAME_arf, NAME_rmf and NAME_bkg (OGIP), see `write_ogip`; or one file, "gadf"."""
        from .spectrum_files import write_spectrum

        write_spectrum(self, filename, overwrite, format)

    @property
    def alpha(self) -> Any:
        """Acceptance ratio on / off per bin; 0 where the off acceptance is 0."""
        np_or_jnp = np if is_concrete(self.acceptance) and is_concrete(self.acceptance_off) else jnp
        on, off = np_or_jnp.asarray(self.acceptance), np_or_jnp.asarray(self.acceptance_off)
        return np_or_jnp.where(off > 0, on / np_or_jnp.where(off > 0, off, 1.0), 0.0)

    @property
    def background(self) -> Any:
        """Background in the on region estimated from the off counts, alpha n_off; None without off counts."""
        return None if self.counts_off is None else self.alpha * self.counts_off

    @property
    def excess(self) -> Any:
        return self.counts - self.background

    def npred_background(self, npred_signal: Any) -> jax.Array:
        """alpha times the off expectation, profiled for the given signal; shape (n_reco,)."""
        alpha = jnp.asarray(self.alpha)
        return alpha * profile_background(
            jnp.asarray(self.counts), jnp.asarray(self.counts_off), alpha, jnp.asarray(npred_signal)
        )

    def stat_bins(self, prediction: Any) -> jax.Array:
        """W statistic per bin (with the data-only terms, so zero for a perfect model), masks not applied."""
        return wstat(jnp.asarray(self.counts), jnp.asarray(self.counts_off), jnp.asarray(self.alpha), prediction)

    def deviance_bins(self, prediction: Any) -> jax.Array:
        """The same as `stat_bins`: the W statistic is a deviance."""
        return self.stat_bins(prediction)

    def offset_bins(self) -> jax.Array:
        return jnp.zeros(self.n_reco)

    def scoring_bins(self, prediction: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """`deviance_bins`, its slope in the signal and its expected curvature, per bin."""
        return wstat_terms(jnp.asarray(self.counts), jnp.asarray(self.counts_off), jnp.asarray(self.alpha), prediction)


def _per_bin(value: Any, n: int) -> Any:
    value = _bins(value)
    if value is not None and not isinstance(value, jax.Array) and value.ndim == 0:
        return frozen_array(np.full(n, float(value)))
    return value
