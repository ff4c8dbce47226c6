"""Spectrum datasets: counts in energy bins of one region."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..kernels.edisp import fold
from .convert import edges_tev, is_concrete
from .counts_base import CountsBase, as_bins, as_exposure, as_livetime, as_mask, per_bin, quadrature_nodes
from .edisp import EDispKernel
from .errors import InputError
from .gti import GTI
from .meta import Meta
from .statistic import CashStatistic, WStatistic


class SpectrumBase(CountsBase):
    """What spectra with known and with measured background share: one response, no point spread function."""

    edisp: eqx.AbstractVar[EDispKernel | None]

    @property
    def psf(self) -> None:
        """A spectrum has no point spread function: containment is part of its exposure."""
        return None

    def apply_response(self, npred_true: Any, edisp: bool = True) -> jax.Array:
        """Counts per reconstructed bin from counts per true bin; the perfect response if there is no matrix."""
        if edisp and self.edisp is not None:
            return fold(jnp.asarray(self.edisp.matrix), npred_true)
        return fold(self.diagonal_matrix(), npred_true)

    def stack(self, other: Any) -> Any:
        """The sum of this dataset and another of its type; see `gammajax.stack`."""
        from .stack import stack_onto

        return stack_onto(self, other)

    @classmethod
    def create(cls, energy_edges: Any, energy_true_edges: Any = None, **fields: Any) -> Any:
        """An empty dataset into which runs can be stacked; ``mask_safe`` is False everywhere.

        ``fields`` are further arguments of the class; see `create.empty_spectrum`.
        """
        from .create import empty_spectrum

        return empty_spectrum(cls, energy_edges, energy_true_edges, **fields)

    def _check_spectrum(self) -> None:
        self._check_common()
        if (
            self.edisp is not None
            and is_concrete(self.edisp.matrix)
            and np.shape(self.edisp.matrix) != (self.n_true, self.n_reco)
        ):
            raise InputError(
                f"{type(self).__name__}: edisp has shape {np.shape(self.edisp.matrix)}, expected "
                f"({self.n_true}, {self.n_reco}): true-energy bins of the exposure by energy bins of the counts."
            )


class SpectrumDataset(CashStatistic, SpectrumBase):
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
        self.counts, self.background = as_bins(counts), as_bins(background)
        self.exposure = as_exposure(exposure)
        self.edisp = edisp if edisp is None or isinstance(edisp, EDispKernel) else EDispKernel(edisp)
        self.mask_safe, self.mask_fit = as_mask(mask_safe), as_mask(mask_fit)
        self.livetime, self.gti, self.meta = as_livetime(livetime), gti, meta or Meta()
        self.nodes = quadrature_nodes(nodes, self.energy_true_edges)

    def __check_init__(self):
        self._check_spectrum()

    @classmethod
    def read(cls, filename: Any) -> "SpectrumDataset":
        """Read gammapy's GADF region form, or an OGIP PHA file that names no background; see `read_gadf_counts`."""
        from .spectrum_files import read_counts

        return read_counts(filename)

    def write(self, filename: Any, overwrite: bool = False) -> None:
        """Write gammapy's GADF region form, one file."""
        from .spectrum_files import write_spectrum

        write_spectrum(self, filename, overwrite, "gadf")


class SpectrumDatasetOnOff(WStatistic, SpectrumBase):
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
        self.counts, self.counts_off = as_bins(counts), as_bins(counts_off)
        self.acceptance, self.acceptance_off = per_bin(acceptance, (n_reco,)), per_bin(acceptance_off, (n_reco,))
        self.exposure = as_exposure(exposure)
        self.edisp = edisp if edisp is None or isinstance(edisp, EDispKernel) else EDispKernel(edisp)
        self.mask_safe, self.mask_fit = as_mask(mask_safe), as_mask(mask_fit)
        self.livetime, self.gti, self.meta = as_livetime(livetime), gti, meta or Meta()
        self.nodes = quadrature_nodes(nodes, self.energy_true_edges)

    def __check_init__(self):
        self._check_spectrum()

    @classmethod
    def read(cls, filename: Any) -> "SpectrumDatasetOnOff":
        """Read an OGIP PHA file and the files it names, see `read_ogip`; or gammapy's GADF region form."""
        from .spectrum_files import read_on_off

        return read_on_off(filename)

    def write(self, filename: Any, overwrite: bool = False, format: str = "ogip") -> None:
        """Write NAME.fits and its NAME_arf, NAME_rmf and NAME_bkg (OGIP), see `write_ogip`; or one file, "gadf"."""
        from .spectrum_files import write_spectrum

        write_spectrum(self, filename, overwrite, format)
