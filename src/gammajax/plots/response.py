"""Instrument responses: point spread function, energy dispersion, exposure."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from gammajax.datasets.counts.dataset import CountsDataset, require_counts
from gammajax.datasets.errors import InputError
from gammajax.datasets.irf.edisp import EDispKernel, matrix_at
from gammajax.datasets.irf.psf import PSFMap
from gammajax.datasets.sky.geom import SkyGeom
from gammajax.kernels.sphere import lonlat_to_vector
from gammajax.plots.figures import BLUE, LABEL_SIZE, VERMILLION, axes_or_new, figure_of, log_axis

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

CONTAINED = ((0.68, BLUE), (0.95, VERMILLION))
"""Shares of the events inside the radii that are shown."""

SEEN = 1e-3
"""Share of the largest probability down to which it has a colour."""


def plot_psf(
    dataset: CountsDataset, position: "SkyCoord | None" = None, ax: Axes | None = None, size: float = LABEL_SIZE
) -> Axes:
    """Radii that hold 68 % and 95 % of the events of a point source, against energy: axes.

    Parameters
    ----------
    dataset : a dataset with a `PSFMap` (`RecoPSFMap`)
    position : of the source; by default the middle of the map
    ax : axes to draw into; by default those of a new figure
    size : of the labels, in points

    Raises
    ------
    InputError
        for datasets without such a PSF
    """
    psf = require_counts(dataset, "plot_psf").psf
    if not isinstance(psf, PSFMap):
        raise InputError(
            "plot_psf: the dataset has no PSFMap, "
            + ("only a fixed kernel on its pixels." if psf is not None else "its sources are not blurred.")
        )
    ax = axes_or_new(ax)
    energy, vector = np.asarray(psf.energy), _direction(dataset, position, psf.geom)
    radii = [_radii(psf, vector, energy, share) for share, _ in CONTAINED]
    for (share, colour), radius in zip(CONTAINED, radii, strict=True):
        ax.plot(energy, radius, color=colour, lw=1.5, label=f"{100 * share:.0f} % of the events")
    edges = np.asarray(psf.energy_edges)
    low = float(edges[0]) if edges[0] > 0 else float(energy[0])
    high = float(max(edges[-1], low * 1.1))
    log_axis(ax.xaxis, low, high, size)
    ax.set_ylim(0, 1.25 * float(np.max(radii[-1])))
    ax.tick_params(labelsize=size)
    ax.set_xlabel(f"{'True' if psf.energy_axis == 'energy_true' else 'Reconstructed'} energy [TeV]", fontsize=size)
    ax.set_ylabel("Radius [deg]", fontsize=size)
    ax.set_title("Point spread function", fontsize=size + 0.5)
    ax.legend(loc="upper right", frameon=False, fontsize=size - 1)
    return ax


def plot_edisp(
    dataset: CountsDataset, position: "SkyCoord | None" = None, ax: Axes | None = None, size: float = LABEL_SIZE
) -> Axes:
    """Probability of reconstructed energies at true ones, per unit of ln E: axes with a colour bar.

    The probabilities of a true bin add up to the share of its events that are reconstructed between the first and the
    last edge. Arguments as those of `plot_psf`; a dataset without energy dispersion has that of a perfect detector.
    """
    require_counts(dataset, "plot_edisp")
    true, reco = np.asarray(dataset.energy_true_edges), np.asarray(dataset.energy_edges)
    edisp = dataset.edisp
    geom = None if edisp is None or isinstance(edisp, EDispKernel) else edisp.geom
    matrix = np.asarray(matrix_at(edisp, _direction(dataset, position, geom), true, reco))
    density = matrix / np.diff(np.log(reco))
    ax = axes_or_new(ax, 6.0, 4.8)
    shown = ax.pcolormesh(
        true, reco, np.where(density > SEEN * density.max(), density, np.nan).T, cmap="viridis", rasterized=True
    )
    # the perfect response is thinner than a pixel, and would hide the colours
    ax.plot([max(true[0], reco[0]), min(true[-1], reco[-1])], [max(true[0], reco[0]), min(true[-1], reco[-1])],
            color="white", lw=0.8, ls=":")  # fmt: skip
    log_axis(ax.xaxis, float(true[0]), float(true[-1]), size)
    log_axis(ax.yaxis, float(reco[0]), float(reco[-1]), size)
    bar = figure_of(ax).colorbar(shown, ax=ax)
    bar.set_label("dP / d ln E", fontsize=size)
    bar.ax.tick_params(labelsize=size)
    ax.set_xlabel("True energy [TeV]", fontsize=size)
    ax.set_ylabel("Reconstructed energy [TeV]", fontsize=size)
    ax.set_title("Energy dispersion", fontsize=size + 0.5)
    return ax


def draw_exposure(ax: Axes, dataset: CountsDataset, size: float = LABEL_SIZE) -> None:
    """Exposure against true energy, of a map that of its middle."""
    edges, exposure = np.asarray(dataset.energy_true_edges), np.asarray(dataset.exposure, float)
    if exposure.ndim > 1:
        exposure = exposure[:, exposure.shape[1] // 2, exposure.shape[2] // 2]
    log_axis(ax.xaxis, float(edges[0]), float(edges[-1]), size)
    positive = exposure > 0
    if positive.any():
        top = float(exposure.max()) * 2
        low = max(float(exposure[positive].min()) / 2, top / 1e6)
        ax.stairs(np.maximum(exposure, low / 10), edges, baseline=None, color=BLUE, lw=1.5)
        log_axis(ax.yaxis, low, top, size)
    ax.set_xlabel("True energy [TeV]", fontsize=size)
    ax.set_ylabel("Exposure [cm² s]", fontsize=size)
    ax.set_title("Exposure", fontsize=size + 0.5)


def _direction(dataset: CountsDataset, position: "SkyCoord | None", of_response: SkyGeom | None) -> np.ndarray:
    """ICRS unit vector of a position; by default of the middle of the map, else of the positions of the response."""
    if position is not None:
        return np.asarray(lonlat_to_vector(position.icrs.ra.deg, position.icrs.dec.deg))
    geom = of_response if dataset.sky_geom is None else dataset.sky_geom
    if not isinstance(geom, SkyGeom):
        return np.array([1.0, 0.0, 0.0])
    return np.asarray(geom.pixel_to_vector(*geom.middle))


def _radii(psf: PSFMap, vector: np.ndarray, energy: np.ndarray, share: float) -> np.ndarray:
    """Radius (n,) in deg that holds a share of the events in a direction."""
    from astropy.coordinates import SkyCoord

    x, y, z = (float(v) for v in vector)
    position = SkyCoord(x=x, y=y, z=z, representation_type="cartesian", frame="icrs")
    position.representation_type = "unitspherical"
    return np.asarray(psf.containment_radius(share, energy, position).to_value("deg"))
