"""Pictures of datasets, spectra and skies; matplotlib is imported with the first of them."""

from importlib import import_module

from .bands import flux_band as flux_band

PICTURES = {
    "plot_counts": "plots",
    "plot_sed": "plots",
    "plot_sky": "plots",
    "plot_map": "estimated",
    "plot_significance": "estimated",
    "counts_figure": "figures",
    "png": "figures",
}
"""Public functions by the module that draws."""


def __getattr__(name: str) -> object:
    if name in PICTURES:
        return getattr(import_module(f"gammajax.plots.{PICTURES[name]}"), name)
    raise AttributeError(f"module 'gammajax.plots' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *PICTURES])
