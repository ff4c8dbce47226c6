"""Norms of a source with the other models fitted along: bin by bin a fit of its own, and conditional fits around it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...datasets.collection.datasets import Datasets
from ...datasets.counts.dataset import CountsDataset
from ...datasets.errors import InputError, listed, warn
from ...datasets.models.collection import Models
from ...datasets.models.spectral.compound import ScaleSpectralModel
from ..fit import fit
from ..result import FitResult
from ..scans.conditional import ConditionalFit, crossing
from ..status import Status
from .bins import Places, source_bins
from .norms import NormFits

ENDS = (Status.CONVERGED, Status.VANISHED, Status.UNCONSTRAINED)
"""Ends of a fit with a minimum; whether the norm has a place in it is told by its error."""


Steps = Callable[[int, int], None]
"""What is called with how many of how many fits are done."""


class Refit(NamedTuple):
    """Fits of all norms, and at the best of each the counts that are expected in its bins, in all and from the source,
    by dataset: (n, n_datasets), NaN where nothing was fitted."""

    fits: NormFits
    npred: np.ndarray
    npred_excess: np.ndarray


def refitted(
    datasets: Mapping[str, CountsDataset],
    places: Mapping[str, Places],
    models: Models,
    source: str,
    held: NormFits,
    amounts: tuple[float, float],
    scan: np.ndarray,
    floor: float,
    what: str,
    progress: Steps | None = None,
) -> Refit:
    """The norms with all other free parameters of other models at their best, for each norm and on the way to its
    errors and limits; the source keeps its shape.

    ``held`` are the norms with everything held, which stand where there are no counts (see `norm_fits`), and where they
    are at ``floor``, the lowest that they may be; ``places``:
    which norm each bin of a dataset is for; ``amounts``: rises of the statistic for errors and for limits; ``scan``:
    norms of scans. A warning names the norms without a fit. ``progress`` is called before each, and at the end.
    """
    found = {name: np.array(values, float) for name, values in held._asdict().items()}
    n = len(found["norm"])
    sums = np.full((2, n, len(datasets)), np.nan)
    failed: list[str] = []
    wanted = np.flatnonzero(np.isfinite(found["err"]))
    for done, k in enumerate(wanted):
        if progress is not None:
            progress(done, len(wanted))
        chosen = [name for name, own in places.items() if np.any(own == k)]
        there = Datasets({name: datasets[name].with_mask_fit(places[name] == k) for name in chosen})
        name = f"{source}.spectral.norm"
        own = _with_norm(models, source, chosen, float(found["norm"][k]))
        own = own.with_parameter(name, min=floor) if np.isfinite(floor) else own
        result = fit(there, own, starts=1)
        error = float(result.parameters[name].error)
        if result.status not in ENDS or not np.isfinite(error):
            failed.append(f"{k} ({result.status})")
            for values in found.values():
                values[k] = np.nan
            continue
        for field, value in _around(there, result, name, amounts, scan, what).items():
            found[field][k] = value
        found["err"][k] = error
        for i, dataset in enumerate(datasets):
            if dataset in chosen:
                part, inside = source_bins(there[dataset], dataset, result.models, source), places[dataset] == k
                ones = np.ones(inside.shape)
                sums[:, k, i] = [float(values[inside].sum()) for values in (part.npred(ones), part.signal)]
    if progress is not None:
        progress(len(wanted), len(wanted))
    if failed:
        warn(f"{what}: {len(failed)} of {n} fits found no place for the norm: {listed(failed)}. They are NaN.")
    return Refit(NormFits(**found), *sums)


def _with_norm(models: Models, source: str, datasets: Sequence[str], norm: float) -> Models:
    """The models that act on some datasets, all of the source frozen but a norm of its spectrum."""
    acting = models.select(datasets_names=datasets)
    changed = []
    for model in acting:
        if model.name == source:
            model = model.replace(spectral=ScaleSpectralModel(model.spectral, norm=norm))
        if model.datasets_names is not None:
            model = model.replace(datasets_names=[name for name in model.datasets_names if name in datasets])
        changed.append(model)
    new = Models(changed, acting.penalties)
    name = f"{source}.spectral.norm"
    of_source = Models(new[source]).parameters
    shape = [other for other, p in of_source.items() if other != name and not p.frozen]
    # without a name all would be frozen
    return new.freeze(*shape) if shape else new


def _around(
    datasets: Datasets, result: FitResult, name: str, amounts: tuple[float, float], scan: np.ndarray, what: str
) -> dict[str, float | np.ndarray]:
    """Best norm, distances to where the statistic has risen, and the statistic there, for none, and along a scan."""
    conditional = ConditionalFit(datasets, result, [name], what)
    best = float(conditional.best.held[0])

    def end(sign: float, rise: float) -> float:
        try:
            found = crossing(conditional, np.array([sign]), rise)
        except InputError:
            # another minimum lies lower: no such distance from this one
            return np.nan
        return float(found.held[0]) if found.end == "reached" else np.nan

    stats = [conditional.at(np.array([norm])).stat for norm in (0.0, *scan)]
    return {
        "norm": best,
        "errn": best - end(-1.0, amounts[0]),
        "errp": end(1.0, amounts[0]) - best,
        "ul": end(1.0, amounts[1]),
        "stat": conditional.best.stat,
        "stat_null": stats[0],
        "stat_scan": np.array(stats[1:]),
    }
