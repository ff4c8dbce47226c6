"""Light curves of a source: its norm in bins of time and energy, fitted to the datasets of each bin jointly."""

import numpy as np

from ...datasets.collection.datasets import Datasets
from ...datasets.counts.npred import SomeModels
from ...datasets.flux_points.light_curve import LightCurve
from ...datasets.hints.calls import hinted
from ...datasets.units import Given
from ..joint.problem import SomeDatasets, as_datasets
from ..result import FitResult
from .bands import SCANNED, SomeNorms, band_task, fitted_bands
from .reoptimized import Steps
from .times import TimeEdges, time_bins


@hinted
def light_curve(
    datasets: SomeDatasets,
    result: FitResult | SomeModels,
    source: str,
    time_edges: TimeEdges,
    energy_edges: Given,
    *,
    longitude: Given = 0.0,
    n_sigma: Given = 1.0,
    n_sigma_ul: Given = 2.0,
    n_sigma_sensitivity: Given | None = None,
    norms: SomeNorms = SCANNED,
    reoptimize: bool = False,
    progress: Steps | None = None,
) -> LightCurve:
    """Light curve of ``source``: in each bin of time and energy the norm by which its spectrum is to be multiplied.

    As `flux_points` of the datasets of each bin of time, all in one program; the fluxes are those of gammapy's
    ``LightCurveEstimator``. A dataset belongs to the bin in which all of its good
    time lies: none is split. Datasets with good time in a bin and outside of it are left out with a warning, those
    outside of all bins without; bins that hold no dataset are left out, too.

    The energies of a band are the same at all times: those of the fitted bins of all datasets in it. Where a dataset
    has no fitted bins in a part of the band, its flux is that of the whole band by the shape of the spectrum.

    A source with a light curve of its own (``temporal``) keeps it: norms are then multiples of what it predicts, and
    fluxes those of the spectrum times the norm, without it, as in gammapy. For the flux at each time give models
    in which the source has none.

    Parameters
    ----------
    datasets : `Datasets`, a mapping of names to datasets, or one dataset; all of counts, with good time intervals
    result : what `fit` gave, or models
    source : name of a `SkyModel` with one of the package's spectra, or one derived from `SpectralModel`
    time_edges : edges (n + 1,) or starts and stops (n, 2), as Time or MJD (TT), or a list of Time; "run-wise" for one
        bin from start to stop of each dataset (datasets of equal times share theirs, and so do those that overlap, of
        which a warning tells); "night-wise" for bins from noon to noon
    energy_edges : (n + 1,) rising energies, Quantity or TeV
    longitude : of the observatory in deg, east positive: "night-wise" bins begin at its noon of mean solar time; by
        default at 12:00 UTC
    n_sigma, n_sigma_ul : standard deviations of errors and of limits
    n_sigma_sensitivity : significance for ``norm_sensitivity``, gammapy's is 5: the norm that would give it, in counts
        as they are expected with all else as fitted. By default there is none
    norms : (n_norms,) at which ``stat_scan`` is given
    reoptimize : whether free parameters of the other models are fitted again, for each norm in its own bins, and along
        the way to errors, limits, ``stat_null`` and ``stat_scan``. One fit after the other: seconds, not milliseconds
    progress : called as ``progress(done, all)`` before each of these fits

    Raises
    ------
    InputError
        as `flux_points`; and for datasets without good time intervals, bins of time that overlap or hold no dataset.

    Examples
    --------
    >>> curve = gj.light_curve(datasets, result, "crab", "night-wise", [1, 10] * u.TeV)
    >>> curve.flux, curve.flux_err, curve.time.iso
    >>> curve.write("crab-nights.fits", sed_type="flux")
    """
    datasets = as_datasets(datasets)
    task = band_task(
        "light_curve",
        datasets,
        result,
        source,
        energy_edges,
        n_sigma,
        n_sigma_ul,
        n_sigma_sensitivity,
        norms,
        reoptimize,
        progress,
    )
    bins = time_bins(task.datasets, time_edges, longitude, task.what)
    used = Datasets({name: task.datasets[name] for name in bins.place})
    points = fitted_bands(task, bins.place, used.gti, by_dataset=False)
    return LightCurve(np.asarray(bins.low), np.asarray(bins.high), points)
