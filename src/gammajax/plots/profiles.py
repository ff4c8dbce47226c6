"""Pictures of flux profiles."""

import numpy as np
from matplotlib.axes import Axes

from gammajax.datasets.errors import InputError
from gammajax.datasets.flux_points.profile import FluxProfile
from gammajax.datasets.hints.modules import found
from gammajax.plots.figures import axes_or_new
from gammajax.plots.rows import draw_rows, require_kind


def plot_flux_profile(profile: FluxProfile, kind: str = "flux", ax: Axes | None = None) -> Axes:
    """Fluxes with errors against the distance along a profile, a colour for each band of energy: axes.

    Horizontal bars are the regions; limits are arrows downwards, whose confidence level the legend says. Fluxes are
    those of whole regions, which may be of different sizes. Bands of very different fluxes get a logarithmic axis, if
    all of them are positive.

    Parameters
    ----------
    profile : what `gammajax.flux_profile` gave, or a `FluxProfile` from a file
    kind : flux, dnde, e2dnde, eflux or norm
    ax : axes to draw into; by default those of a new figure, ``ax.figure``

    Raises
    ------
    InputError
        for what is no `FluxProfile`, and for other kinds

    Examples
    --------
    >>> profile = gj.flux_profile(datasets, result, regions, [1, 10] * u.TeV, exclude="crab")
    >>> gj.plots.plot_flux_profile(profile).figure.savefig("flux-profile.png")
    """
    if not isinstance(profile, FluxProfile):
        raise InputError(f"plot_flux_profile: found {found(profile)}, expected a FluxProfile: gj.flux_profile(...).")
    require_kind(kind, "plot_flux_profile")
    ax = axes_or_new(ax)
    draw_rows(ax, profile, kind, (np.asarray(profile.distance_min), np.asarray(profile.distance_max)), zero=True)
    ax.set_xlabel("Distance [deg]")
    return ax
