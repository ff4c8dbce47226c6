"""Flux points of a source: its norm in bands of energy, fitted to all datasets jointly."""

from ...datasets.counts.npred import SomeModels
from ...datasets.flux_points.points import FluxPoints
from ...datasets.hints.calls import hinted
from ...datasets.units import Given
from ..joint.problem import SomeDatasets, as_datasets
from ..result import FitResult
from .bands import SCANNED, SomeNorms, band_task, fitted_bands
from .reoptimized import Steps


@hinted
def flux_points(
    datasets: SomeDatasets,
    result: FitResult | SomeModels,
    source: str,
    energy_edges: Given,
    *,
    n_sigma: Given = 1.0,
    n_sigma_ul: Given = 2.0,
    n_sigma_sensitivity: Given | None = None,
    norms: SomeNorms = SCANNED,
    reoptimize: bool = False,
    progress: Steps | None = None,
) -> FluxPoints:
    """Flux points of ``source``: in each band of energy the norm by which its spectrum is to be multiplied.

    The norm of a band is fitted to the bins of all datasets in it, jointly; the shape of the spectrum inside the band
    stays as it is in ``result``, and so do all other models, unless ``reoptimize`` is True. As gammapy's
    ``FluxPointsEstimator``, whose columns the points have: ``norm`` with ``norm_err`` (from the curvature),
    ``norm_errn`` and ``norm_errp`` (where the statistic has risen by ``n_sigma``^2), ``norm_ul`` (above the norm, by
    ``n_sigma_ul``^2), ``ts``, ``sqrt_ts``, ``stat``, ``stat_null``, ``stat_scan``, and in ``meta["columns"]`` sums per
    dataset, (n, n_datasets): ``counts``, ``npred``, ``npred_excess``.

    Edges are moved to the nearest edges of the bins of each dataset, so that between two bands no bin is lost; the
    energies of a point are those of the fitted bins. A band without a bin, of which a warning tells, or whose bins the
    source does not reach, is a point that is NaN, without success. Where there are no counts the norm is the lowest
    with which no prediction is negative (0 without a background), with nothing but a limit, for two sigma that norm +
    4 / (2 signal).

    Norms may be negative, and so may their limits, of which a warning tells. Where the amplitude of the source has a
    lower bound (``models.with_parameter("crab.spectral.amplitude", min=0)``) norms have it too, and limits are counted
    from there at least; a norm at its bound has no error.

    Parameters
    ----------
    datasets : `Datasets`, a mapping of names to datasets, or one dataset; all of counts
    result : what `fit` gave, or models
    source : name of a `SkyModel` with one of the package's spectra, or one derived from `SpectralModel`
    energy_edges : (n + 1,) rising energies, Quantity or TeV
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
        for datasets without counts, sources that are not there, that are negative or send nothing to the datasets,
        edges that do not rise or meet no dataset.

    Examples
    --------
    >>> points = gj.flux_points(datasets, result, "crab", [1, 3, 10, 30] * u.TeV)
    >>> points.quantity("e2dnde"), points.to_table("dnde")
    """
    datasets = as_datasets(datasets)
    task = band_task(
        "flux_points",
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
    return fitted_bands(task, dict.fromkeys(task.datasets, 0), datasets.gti, by_dataset=True)
