"""What the safe mask leaves of a dataset: its bins, and the responses that belong to them."""

import dataclasses

import equinox as eqx
import numpy as np

from ..arrays import frozen_array
from ..bins import on_host
from ..irf.edisp import EDisp, EDispKernel, EDispKernelMap, EDispMap
from ..irf.psf import PSFMap
from .base import AnyCounts, CountsBase
from .sums import stored


def masked(dataset: AnyCounts) -> AnyCounts:
    """A copy in which the bins outside ``mask_safe`` are empty: counts, background, off counts and acceptances are 0.

    So is the exposure of pixels without any safe bin, the energy dispersion into energies at which no pixel is safe,
    and the exposure that weights responses when datasets are stacked. Safe bins stay as they are, their predictions and
    alpha included. Masks, time intervals and descriptions are carried; without a safe mask nothing changes.
    """
    on_host(dataset, "to_masked")
    if dataset.mask_safe is None:
        return dataset
    safe = np.asarray(dataset.mask_safe)
    changes: dict[str, object] = {
        name: value * safe for name, value in stored(dataset).items() if not name.startswith("mask")
    }
    image = np.asarray(safe.any(axis=0))
    if dataset.exposure is not None:
        changes["exposure"] = np.asarray(dataset.exposure) * image
    # a source beside a safe pixel is seen in it: what its own pixel excludes must not be lost there
    anywhere = np.broadcast_to(safe.any(axis=tuple(range(1, safe.ndim)), keepdims=True), safe.shape)
    edisp = masked_edisp(dataset, safe=anywhere)
    if isinstance(edisp, EDispKernelMap | EDispMap) and edisp.exposure is not None:
        weights = dataset.response_mask(edisp, image[None])
        edisp = dataclasses.replace(edisp, exposure=np.asarray(edisp.exposure) * weights)
    changes["edisp"] = edisp
    if isinstance(dataset.psf, PSFMap):
        changes["psf"] = _masked_psf(dataset.psf, dataset, image)
    return dataset.replace(**changes)


def masked_edisp(dataset: CountsBase, bins: slice = slice(None), safe: np.ndarray | None = None) -> EDisp | None:
    """Energy dispersion of a dataset into the safe ones of its reconstructed bins, zero into the others.

    ``safe``: another mask of the shape of the counts, in place of its mask_safe.

    Migration tables and the perfect response (None) have no bins of their own: they become matrices where the mask
    excludes any of the ``bins`` in question, and stay as they are where it does not. A response that holds at all
    positions goes into a bin that any pixel uses.
    """
    edisp = dataset.edisp
    if safe is None and dataset.mask_safe is not None:
        safe = np.asarray(dataset.mask_safe)
    # where nothing is safe any response will do, and one of zeros is refused
    if safe is None or safe[bins].all() or not safe[bins].any():
        return edisp
    if edisp is None:
        edisp = EDispKernel(np.asarray(dataset.diagonal_matrix()))
    elif isinstance(edisp, EDispMap):
        edisp = edisp.to_kernel_map(dataset.energy_edges)
    if isinstance(edisp, EDispKernel):
        return EDispKernel(np.asarray(edisp.matrix) * safe.reshape(len(safe), -1).any(axis=1))
    weights = dataset.response_mask(edisp, safe)
    return EDispKernelMap(edisp.geom, np.asarray(edisp.values) * weights, edisp.exposure)


def _masked_psf(psf: PSFMap, dataset: CountsBase, image: np.ndarray) -> PSFMap:
    if psf.exposure is None:
        return psf
    exposure = np.asarray(psf.exposure) * dataset.response_mask(psf, image[None])
    return eqx.tree_at(lambda p: p.exposure, psf, frozen_array(exposure))
