"""Datasets of one region with a point spread function: what of a source the region contains is predicted."""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from .convert import edges_tev, is_concrete
from .counts_base import CountsBase, as_bins, as_exposure, as_livetime, as_mask, quadrature_nodes
from .edisp import EDispKernel
from .edisp_map import EDisp, EDispKernelMap, EDispMap
from .errors import InputError
from .gti import GTI
from .meta import Meta
from .psf import PSFKernel, PSFMap
from .region_geom import RegionGeom
from .statistic import CashStatistic


class RegionMapDataset(CashStatistic, CountsBase):
    """Counts of one region of the sky with a known background, and a point spread function: statistic ``cash``.

    Sources act by what the region contains of them: the integral over the region of their image, blurred by the PSF.
    So the position and the size of a source matter, inside the region and beside it, and predicted counts are smooth in
    both. Models without a spatial part are contained wholly, as in a `SpectrumDataset`. PSF and energy dispersion are
    those at the source, as on maps. gammapy calls this a MapDataset with a RegionGeom.

    Parameters
    ----------
    region : a region of the ``regions`` package on the sky, with an area; or a `RegionGeom`
    energy_edges : reconstructed energy bin edges, (n_reco + 1,), Quantity or TeV
    energy_true_edges : true energy bin edges, (n_true + 1,); default the same
    counts, background : (n_reco,) numbers; counts may be missing (to simulate)
    exposure : (n_true,), Quantity or cm2 s, the mean over the region
    psf : `PSFMap` or `RecoPSFMap`; None for a perfect one (a source's share is then what lies inside the region)
    edisp : `EDispKernel`, `EDispKernelMap` or `EDispMap`; None for a perfect one
    mask_safe, mask_fit : (n_reco,) bool
    livetime : Quantity or s
    gti, meta : `GTI`, `Meta`
    nodes : quadrature nodes per true bin; default from the widest bin (accuracy 1e-8)
    """

    region: RegionGeom
    energy_edges: Any
    energy_true_edges: Any
    counts: Any
    background: Any
    exposure: Any
    psf: PSFMap | None
    edisp: EDisp | None
    mask_safe: Any
    mask_fit: Any
    livetime: Any
    gti: GTI | None
    meta: Meta
    nodes: int = eqx.field(static=True)

    tag = "RegionMapDataset"

    def __init__(
        self,
        region: Any,
        energy_edges: Any,
        energy_true_edges: Any = None,
        counts: Any = None,
        background: Any = None,
        exposure: Any = None,
        psf: PSFMap | None = None,
        edisp: EDisp | None = None,
        mask_safe: Any = None,
        mask_fit: Any = None,
        livetime: Any = None,
        gti: GTI | None = None,
        meta: Meta | None = None,
        nodes: int | None = None,
    ):
        _check_responses(psf, edisp)
        self.region = region.fitted(psf) if isinstance(region, RegionGeom) else RegionGeom.create(region, psf)
        self.energy_edges = edges_tev(energy_edges, "energy_edges")
        self.energy_true_edges = (
            self.energy_edges if energy_true_edges is None else edges_tev(energy_true_edges, "energy_true_edges")
        )
        self.counts, self.background = as_bins(counts), as_bins(background)
        self.exposure = as_exposure(exposure)
        self.psf, self.edisp = psf, edisp
        self.mask_safe, self.mask_fit = as_mask(mask_safe), as_mask(mask_fit)
        self.livetime, self.gti, self.meta = as_livetime(livetime), gti, meta or Meta()
        self.nodes = quadrature_nodes(nodes, self.energy_true_edges)

    def __check_init__(self):
        self._check_common()
        matrix = _matrix_shape(self)
        if matrix is not None and matrix != (self.n_true, self.n_reco):
            raise InputError(
                f"{type(self).__name__}: edisp has shape {matrix}, expected ({self.n_true}, {self.n_reco}): "
                "true-energy bins of the exposure by energy bins of the counts."
            )
        if isinstance(self.edisp, EDispMap) and is_concrete(self.energy_true_edges):
            own, other = np.asarray(self.energy_true_edges), np.asarray(self.edisp.energy_true_edges)
            if own.shape != other.shape or not np.allclose(own, other, rtol=1e-5):
                raise InputError(
                    f"{type(self).__name__}: the true energies of edisp ({other[0]:.4g} to {other[-1]:.4g} TeV) are "
                    f"not those of the exposure ({own[0]:.4g} to {own[-1]:.4g} TeV). Make both on one axis."
                )

    @property
    def excess(self) -> Any:
        """Counts minus background, before any norm."""
        return self.counts if self.background is None else self.counts - self.background

    @property
    def varies(self) -> bool:
        """Whether a response depends on the position."""
        return any(getattr(response, "geom", None) is not None for response in (self.psf, self.edisp))

    def contained_share(self, model: Any) -> jax.Array:
        """Share of a `SkyModel` that is reconstructed inside the region, for each true energy, (n_true,).

        For a `RecoPSFMap` for each reconstructed energy, (n_reco,). Pure: jit, vmap and grad work.
        """
        from .region_npred import contained_share

        return contained_share(self, model)

    def to_spectrum_dataset(self, model: Any = None) -> Any:
        """The `SpectrumDataset` with these counts, exposure and energy dispersion; without PSF sources are contained
        wholly. With a `SkyModel` (one source, at its present position and size) the exposure is multiplied by
        `contained_share` of it."""
        from .region_sums import without_psf

        return without_psf(self, model)

    def stack(self, other: Any) -> Any:
        """The sum of this dataset and another of the same region; see `gammajax.stack`."""
        from .stack import stack_onto

        return stack_onto(self, other)

    @classmethod
    def read(cls, filename: Any) -> "RegionMapDataset":
        """Read gammapy's GADF region form with a PSF; see `read_gadf_region`."""
        from .gadf_region import read_gadf_region

        return read_gadf_region(filename)

    def write(self, filename: Any, overwrite: bool = False) -> None:
        """Write gammapy's GADF region form, one file."""
        from .map_files import write_map

        write_map(self, filename, overwrite)


def _check_responses(psf: Any, edisp: Any) -> None:
    if isinstance(psf, PSFKernel):
        raise InputError(
            "RegionMapDataset: a PSFKernel is made for the pixels of a map, and a region has none. Give a PSFMap."
        )
    if not isinstance(psf, PSFMap | None):
        raise InputError(f"RegionMapDataset: psf must be a PSFMap or RecoPSFMap, found {type(psf).__name__}.")
    if not isinstance(edisp, EDisp | None):
        raise InputError(
            f"RegionMapDataset: edisp must be an EDispKernel, EDispKernelMap or EDispMap, found {type(edisp).__name__}."
        )


def _matrix_shape(dataset: RegionMapDataset) -> tuple[int, int] | None:
    edisp = dataset.edisp
    if isinstance(edisp, EDispKernel):
        return np.shape(edisp.matrix)
    return np.shape(edisp.values)[:2] if isinstance(edisp, EDispKernelMap) else None
