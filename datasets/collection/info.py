"""Summaries of datasets: what a table of runs shows."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u

from ..bins import on_host
from ..counts.base import CountsBase
from ..counts.npred import SomeModels, acting
from ..counts.stack import stack_named
from ..counts.summary import Info
from ..dataset import Dataset
from ..energies import energy_bins, fitted_energies
from ..errors import InputError
from ..gti import GTI
from ..hints.calls import hinted
from ..hints.modules import found

if TYPE_CHECKING:
    from astropy.table import Table

Named = Sequence[tuple[str, Dataset]]

COLUMN_FORMATS = {
    "background": ".2f",
    "excess": ".2f",
    "sqrt_ts": ".2f",
    "source_excess": ".2f",
    "source_sqrt_ts": ".2f",
    "npred": ".2f",
    "npred_background": ".2f",
    "npred_signal": ".2f",
    "stat_sum": ".2f",
    "alpha": ".4f",
    "acceptance_off": ".2f",
    "livetime": ".1f",
    "ontime": ".1f",
    "exposure_min": ".3e",
    "exposure_max": ".3e",
    "counts_rate": ".4f",
    "background_rate": ".4f",
    "excess_rate": ".4f",
    "energy_min": ".3f",
    "energy_max": ".3f",
}


@hinted
def info_dict(dataset: Dataset, name: str | None = None, models: SomeModels | None = None) -> dict[str, Info]:
    """Sums over the safe bins of a dataset; numbers with a unit are Quantities, unknown ones NaN.

    ``sqrt_ts`` is the significance of the summed counts (Li & Ma 1983, equation 17, for on/off spectra), with the sign
    of the excess. ``alpha`` is the mean of the acceptance ratio weighted with the off counts (without off counts the
    ratio of the summed acceptances), and ``acceptance_off`` = acceptance / alpha. ``n_fit_bins``, ``energy_min`` and
    ``energy_max`` are those of the bins that enter the fit statistic, all bins if there is no mask.

    With ``models`` there are also the sums ``npred``, ``npred_background`` and ``npred_signal`` (NaN without sky
    models) over the safe bins, and ``stat_sum`` over the fitted ones, without priors; ``excess`` and ``sqrt_ts`` are
    then those over the background times the norms of its model. ``background`` is always that of the dataset. On maps
    ``source_counts``, ``source_excess`` and ``source_sqrt_ts`` are those of the brightest pixels that together hold
    80 % of what the sources with a position are predicted to give: the whole field hardly notices a source.
    """
    if name is not None and not isinstance(name, str):
        raise InputError(
            f"info_dict: name must be a text, found {type(name).__name__}. Give models by name: "
            "gj.info_dict(dataset, models=models)."
        )
    if not isinstance(dataset, Dataset):
        raise InputError(f"info_dict: found {found(dataset)}, expected one dataset: datasets['name'].")
    on_host((dataset, models), "info_dict")
    start: dict[str, Info] = {} if name is None else {"name": name}
    chosen = None if models is None else acting(models, name)
    return start | {"type": dataset.tag, "stat_type": dataset.stat_type} | dataset.summary(chosen)


def table_of_infos(named: Named, models: SomeModels | None = None, *, cumulative: bool = False) -> "Table":
    """`info_dict` of every dataset, as rows of an `astropy.table.Table`. Fields that a type does not have are NaN.

    ``cumulative``: a row is that of the sum (see `stack`) of the datasets up to it, which must be of one type and on
    the same energies and pixels; what depends on models is not there then.
    """
    from astropy.table import Table

    if cumulative and models is not None:
        raise InputError("info_table: a cumulative table knows no models. Leave them out.")
    rows = _sums(named) if cumulative else [info_dict(dataset, name, models) for name, dataset in named]
    # the widest row gives the order of the columns
    fields = list(dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row))
    table = Table()
    for field in fields:
        values = [row.get(field, math.nan) for row in rows]
        unit = next((v.unit for v in values if isinstance(v, u.Quantity)), None)
        table[field] = (
            values if unit is None else [v.to_value(unit) if isinstance(v, u.Quantity) else v for v in values]
        )
        table[field].unit = unit
        if field in COLUMN_FORMATS:
            table[field].info.format = COLUMN_FORMATS[field]
    return table


def _sums(named: Named) -> list[dict[str, Info]]:
    """Rows of the sums of the first one, two, ... datasets."""
    rows: list[dict[str, Info]] = []
    total: Dataset | None = None
    for name, dataset in named:
        if isinstance(dataset, CountsBase):
            # not in the table, and most of the work
            dataset = dataset.replace(edisp=None, **({} if dataset.psf is None else {"psf": None}))
        total = stack_named([(name, dataset)] if total is None else [("sum", total), (name, dataset)])
        rows.append(info_dict(total, name))
    return rows


def energy_ranges(named: Named) -> tuple[u.Quantity, u.Quantity]:
    """Lowest and highest energy of every dataset, masks not applied: two Quantities (n,) in TeV."""
    low, high = [], []
    for name, dataset in named:
        bottom, top = _bins(name, dataset)
        low.append(np.min(bottom))
        high.append(np.max(top))
    return u.Quantity(low, "TeV"), u.Quantity(high, "TeV")


def energy_range(named: Named) -> tuple[u.Quantity, u.Quantity]:
    """Lowest and highest energy that enters the fit statistic of any dataset; NaN where nothing does."""
    for name, dataset in named:
        _bins(name, dataset)
    ends = [found for found in (fitted_energies(dataset) for _, dataset in named) if found is not None]
    low, high = min((e[0] for e in ends), default=np.nan), max((e[1] for e in ends), default=np.nan)
    return u.Quantity(low, "TeV"), u.Quantity(high, "TeV")


def union_of_times(datasets: Iterable[Dataset]) -> GTI | None:
    """Union of the good time intervals of the datasets that have some; None where none has any."""
    known = [gti for gti in (getattr(dataset, "gti", None) for dataset in datasets) if gti is not None]
    known = [gti for gti in known if np.size(gti.start)]
    return GTI.union(known) if known else None


def _bins(name: str, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the energy bins, in TeV."""
    bins = energy_bins(dataset)
    if bins is None:
        raise InputError(f"Dataset {name!r}: {type(dataset).__name__} has no energy_edges.")
    return bins
