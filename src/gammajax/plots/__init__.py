"""Pictures of datasets, spectra and skies."""

from .figures import counts_figure as counts_figure
from .figures import png as png
from .plots import N_ENERGIES as N_ENERGIES
from .plots import derivatives as derivatives
from .plots import flux_band as flux_band
from .plots import plot_counts as plot_counts
from .plots import plot_sed as plot_sed
from .plots import plot_sky as plot_sky
from .plots import source_names as source_names
