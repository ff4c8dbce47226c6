"""Pictures of datasets, spectra and skies; matplotlib is imported with the first of them."""

from importlib import import_module

from .bands import flux_band as flux_band

PICTURES = {
    "peek": "overview",
    "plot_contour": "scans",
    "plot_corner": "corner",
    "plot_counts": "counts",
    "plot_counts_map": "sky",
    "plot_edisp": "response",
    "plot_flux_points": "sed",
    "plot_flux_profile": "profiles",
    "plot_light_curve": "light_curves",
    "plot_map": "estimated",
    "plot_profile": "scans",
    "plot_psf": "response",
    "plot_sed": "sed",
    "plot_sensitivity": "sensitivities",
    "plot_significance": "estimated",
    "plot_sky": "sky",
    "png": "figures",
}
"""Public functions by the module that draws."""


def __getattr__(name: str) -> object:
    if name in PICTURES:
        return getattr(import_module(f"gammajax.plots.{PICTURES[name]}"), name)
    raise AttributeError(f"module 'gammajax.plots' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *PICTURES])
